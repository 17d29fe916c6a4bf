/* Compaction: what is stored stays, the file becomes short, and others go on meanwhile.
 */
#include "engine/checkpoint.h"
#include "engine/forest.h"
#include "engine/relocation.h"
#include "engine/store.h"
#include "engine/txn.h"
#include "test/sim/disk.h"
#include "test/sim/sched.h"
#include "test/unit/unit.h"

#include <errno.h>

enum {
    TABLES = 3,
    ROWS = PAGE_IS_SMALL ? 900 : 2400,
    LONG_EACH = 60, /* rows of which one is several pages long */
    LONG = PAGE_BYTES * 5 / 2,
    VALUE_MAX = LONG
};

struct rig {
    struct sim_disk *disk;
    struct sys *sys;
    scn_db *db;
    uint64_t random;
    uint32_t version[TABLES][ROWS]; /* 0: no row */
    uint32_t last_version;
    uint8_t *value;
    uint32_t calls; /* of progress */
    uint32_t calls_left;
    scn_txn *snapshot;
    uint32_t *seen; /* versions in the snapshot */
};

static const char *const names[TABLES] = {"a", "b", "packed"};

static scn_status open_on(struct sys *sys, scn_db **db)
{
    scn_options options = {.struct_size = sizeof options, .flags = SCN_NOTHREAD};
    options.pool_bytes = 64 * PAGE_BYTES;
    return store_open_on(sys, "store", &options, db);
}

static scn_slice key_of(uint32_t row)
{
    static char text[24];
    return (scn_slice){text, (size_t)snprintf(text, sizeof text, "row-%06u", row)};
}

static uint32_t len_of(uint32_t row, uint32_t version)
{
    if (row % LONG_EACH == 7)
        return LONG - version % 100;
    return row % 3 == 0 ? 20 + version % 60 : VALUE_INLINE_MAX + 1 + version % 700;
}

static scn_slice value_of(struct rig *rig, uint32_t row, uint32_t version)
{
    uint32_t len = len_of(row, version);
    uint64_t random = version * UINT64_C(7919) + row;
    for (uint32_t i = 0; i < len; i++)
        rig->value[i] = (uint8_t)(unit_random(&random) >> 30);
    return (scn_slice){rig->value, len};
}

static scn_status change(struct rig *rig, scn_txn *txn, scn_table_id table, uint32_t t,
                         uint32_t row, bool is_put)
{
    if (is_put) {
        uint32_t version = ++rig->last_version;
        rig->version[t][row] = version;
        return scn_put(txn, table, key_of(row), value_of(rig, row, version), 0);
    }
    if (rig->version[t][row] == 0)
        return SCN_OK;
    rig->version[t][row] = 0;
    return scn_del(txn, table, key_of(row));
}

/* One transaction over rows [from, to) of a table: of those, one in `one_in` is put or
 * deleted. */
static void change_some(struct rig *rig, uint32_t t, uint32_t from, uint32_t to,
                        uint32_t one_in, bool is_put)
{
    scn_txn *txn;
    scn_table_id table;
    CHECK_OK(scn_begin(rig->db, SCN_WRITE, &txn));
    CHECK_OK(scn_table(txn, names[t], t == 2 ? SCN_CREATE | SCN_COMPRESS : SCN_CREATE,
                       &table));
    for (uint32_t row = from; row < to; row++)
        if (unit_random(&rig->random) % one_in == 0)
            CHECK_OK(change(rig, txn, table, t, row, is_put));
    CHECK_OK(scn_commit(txn));
}

static void change_all(struct rig *rig, uint32_t one_in, bool is_put)
{
    for (uint32_t t = 0; t < TABLES; t++)
        for (uint32_t row = 0; row < ROWS; row += ROWS / 20)
            change_some(rig, t, row, row + ROWS / 20, one_in, is_put);
}

static void check_rows(struct rig *rig, scn_txn *txn, uint32_t (*version)[ROWS])
{
    for (uint32_t t = 0; t < TABLES; t++) {
        scn_table_id table;
        CHECK_OK(scn_table(txn, names[t], 0, &table));
        for (uint32_t row = 0; row < ROWS; row++) {
            scn_slice got;
            scn_status st = scn_get(txn, table, key_of(row), &got);
            uint32_t wanted = version[t][row];
            CHECK_EQ(st, wanted ? SCN_OK : SCN_NOTFOUND);
            if (st != SCN_OK)
                continue;
            scn_slice value = value_of(rig, row, wanted);
            CHECK_EQ(got.size, value.size);
            CHECK(memcmp(got.data, value.data, value.size) == 0);
        }
    }
}

static void check_store(struct rig *rig)
{
    scn_txn *txn;
    uint64_t issues = 1;
    CHECK_OK(scn_begin(rig->db, SCN_READ, &txn));
    check_rows(rig, txn, rig->version);
    scn_abort(txn);
    CHECK_OK(scn_check(rig->db, SCN_CHECK_ALL, NULL, NULL, &issues));
    CHECK_EQ(issues, 0);
}

static uint64_t file_bytes(struct rig *rig)
{
    scn_stats_t stats = {.struct_size = sizeof stats};
    CHECK_OK(scn_stats(rig->db, &stats));
    return stats.file_bytes;
}

static struct rig *rig_open(void)
{
    struct rig *rig = calloc(1, sizeof *rig);
    CHECK(rig != NULL);
    rig->value = calloc(1, VALUE_MAX);
    rig->seen = calloc(TABLES, sizeof rig->version[0]);
    CHECK(rig->value && rig->seen);
    rig->random = unit_seed();
    rig->disk = sim_disk_create(unit_seed());
    rig->sys = sim_process_create(rig->disk);
    CHECK_OK(open_on(rig->sys, &rig->db));
    change_all(rig, 1, true);
    CHECK_OK(scn_checkpoint(rig->db));
    return rig;
}

static void rig_close(struct rig *rig)
{
    CHECK_OK(scn_close(rig->db));
    sim_process_destroy(rig->sys);
    sim_disk_destroy(rig->disk);
    free(rig->value);
    free(rig->seen);
    free(rig);
}

static void reopen(struct rig *rig)
{
    CHECK_OK(scn_close(rig->db));
    CHECK_OK(open_on(rig->sys, &rig->db));
}

/* ---- steps ---- */

static scn_status moves_nothing(void *ctx, const struct value_ref *ref, bool *moves)
{
    (void)ctx;
    (void)ref;
    *moves = false;
    return SCN_OK;
}

TEST(relocation__goes_on_where_a_step_has_stopped)
{
    struct relocation relocation = {.from = 9, .judge = moves_nothing};
    scn_slice b = {"b", 1};
    scn_slice c = {"c", 1};
    relocation.budget_bytes = 100;
    CHECK(relocation_concerns(&relocation, &b));
    CHECK_OK(relocation_spend(&relocation, 60, &b));
    CHECK(relocation_concerns(&relocation, &c));
    CHECK_OK(relocation_spend(&relocation, 60, &c));
    CHECK(!relocation_concerns(&relocation, NULL));
    relocation.budget_bytes = 100; /* the next step */
    CHECK(!relocation_concerns(&relocation, &b));
    CHECK(!relocation_concerns(&relocation, &c));
    CHECK(relocation_concerns(&relocation, NULL));
    CHECK_OK(relocation_spend(&relocation, 10, NULL));
    CHECK(!relocation_concerns(&relocation, NULL));
    relocation_rewind(&relocation);
    CHECK(relocation_concerns(&relocation, &b));
    relocation_destroy(&relocation);
}

struct sweep {
    struct store *store;
    struct forest_pass pass;
    uint64_t since_gen;
    uint32_t steps;
    uint32_t leaves;
};

static scn_status small_step(void *ctx)
{
    struct sweep *sweep = ctx;
    sweep->pass.relocation.budget_bytes = 16 * PAGE_BYTES;
    sweep->steps++;
    return checkpoint_generation(sweep->store, &sweep->pass);
}

static scn_status is_moved(void *ctx, const struct page_ref *ref, const uint8_t *page)
{
    struct sweep *sweep = ctx;
    (void)page;
    sweep->leaves += ref->level == 0;
    CHECK(ref->level > 0 || ref->birth_gen > sweep->since_gen);
    return SCN_OK;
}

static void check_all_moved(struct sweep *sweep, scn_table_id id)
{
    struct pool_reader *reader;
    struct catalog_root root;
    CHECK_OK(pool_reader_create(sweep->store->pool, &reader));
    pool_enter(reader);
    CHECK_OK(catalog_read_root(reader, &sweep->store->superblock.catalog, id, &root));
    pool_leave(reader);
    struct tree tree = {root.root, id};
    CHECK_OK(tree_walk(reader, &tree, is_moved, sweep));
    pool_reader_destroy(reader);
}

/* A pass that takes every page for one that has to move. */
TEST(compact__a_step_that_ends_in_a_table_leaves_out_no_row_of_it)
{
    struct rig *rig = rig_open();
    struct store *store = rig->db->store;
    struct sweep sweep = {.store = store, .since_gen = store->superblock.gen};
    sweep.pass.relocation.from = FIRST_FREE_PAGE_NO;
    while (!sweep.pass.is_done)
        CHECK_OK(checkpoint_hold(store, small_step, &sweep));
    CHECK(sweep.steps > 2 * TABLES);
    for (scn_table_id t = 0; t < TABLES; t++)
        check_all_moved(&sweep, TABLE_FIRST_USER + t);
    CHECK(sweep.leaves > TABLES);
    relocation_destroy(&sweep.pass.relocation);
    check_store(rig);
    rig_close(rig);
}

/* ---- how short ---- */

static void delete_most(struct rig *rig)
{
    for (uint32_t t = 0; t < TABLES; t++)
        for (uint32_t row = 0; row < ROWS; row += ROWS / 20)
            for (int i = 0; i < 3; i++)
                change_some(rig, t, row, row + ROWS / 20, 2, false);
    CHECK_OK(scn_checkpoint(rig->db));
}

TEST(compact__gives_back_what_was_deleted_here_and_there)
{
    struct rig *rig = rig_open();
    uint64_t full = file_bytes(rig);
    delete_most(rig);
    uint64_t merged = file_bytes(rig);
    CHECK_OK(scn_compact(rig->db, NULL));
    check_store(rig);
    uint64_t shorter = file_bytes(rig);
    CHECK(shorter < full / 4);
    CHECK(shorter < merged / 2);
    reopen(rig);
    check_store(rig);
    CHECK_OK(scn_compact(rig->db, NULL));
    CHECK(file_bytes(rig) <= shorter + 4 * PAGE_BYTES);
    check_store(rig);
    rig_close(rig);
}

/* Values that are written anew leave holes in the pages of those beside them. */
TEST(compact__empties_pages_that_hold_little)
{
    struct rig *rig = rig_open();
    uint64_t full = file_bytes(rig);
    for (int i = 0; i < 6; i++) {
        change_all(rig, 3, true);
        CHECK_OK(scn_checkpoint(rig->db));
    }
    uint64_t grown = file_bytes(rig);
    CHECK_OK(scn_compact(rig->db, NULL));
    uint64_t shorter = file_bytes(rig);
    CHECK(shorter < grown);
    CHECK(shorter < full + (grown - full) / 2);
    check_store(rig);
    rig_close(rig);
}

TEST(compact__has_nothing_to_do_in_a_packed_file)
{
    struct rig *rig = rig_open();
    CHECK_OK(scn_compact(rig->db, NULL));
    uint64_t gen = rig->db->store->superblock.gen;
    CHECK_OK(scn_compact(rig->db, NULL));
    CHECK_EQ(rig->db->store->superblock.gen, gen);
    rig_close(rig);
}

/* ---- limits ---- */

TEST(compact__ends_at_its_limit_and_is_done_after_some_calls)
{
    struct rig *rig = rig_open();
    scn_compact_options options = {.struct_size = sizeof options,
                                   .max_bytes = 30 * PAGE_BYTES};
    uint32_t calls = 1;
    uint64_t full = file_bytes(rig);
    delete_most(rig);
    scn_status st = scn_compact(rig->db, &options);
    CHECK_EQ(st, SCN_END);
    check_store(rig);
    while (st == SCN_END && calls++ < 100) {
        options.max_bytes *= 2;
        st = scn_compact(rig->db, &options);
    }
    CHECK_EQ(st, SCN_OK);
    CHECK(file_bytes(rig) < full / 4);
    check_store(rig);
    rig_close(rig);
}

/* ---- beside others ---- */

static scn_compact_options watched(struct rig *rig,
                                   int (*progress)(void *, uint64_t, uint64_t))
{
    scn_compact_options options = {.struct_size = sizeof options};
    options.hooks.progress = progress;
    options.hooks.user = rig;
    return options;
}

static int let_time_pass(void *user, uint64_t done, uint64_t expected)
{
    struct rig *rig = user;
    CHECK(done > 0);
    CHECK(expected > 0);
    rig->calls++;
    sim_clock_set(rig->disk, sim_clock_ns(rig->disk) + UINT64_C(20000000));
    return 0;
}

TEST(compact__begins_no_step_when_its_time_is_over)
{
    struct rig *rig = rig_open();
    scn_compact_options options = watched(rig, let_time_pass);
    options.budget_ms = 20;
    change_all(rig, 3, true);
    delete_most(rig);
    CHECK_EQ(scn_compact(rig->db, &options), SCN_END);
    CHECK_EQ(rig->calls, 1);
    check_store(rig);
    rig_close(rig);
}

static int end_after_some(void *user, uint64_t done, uint64_t expected)
{
    struct rig *rig = user;
    (void)done;
    (void)expected;
    return rig->calls_left-- == 0;
}

TEST(compact__ends_when_the_program_says_so)
{
    struct rig *rig = rig_open();
    scn_compact_options options = watched(rig, end_after_some);
    delete_most(rig);
    for (uint32_t calls = 0; calls < 4; calls++) {
        rig->calls_left = calls;
        scn_status st = scn_compact(rig->db, &options);
        CHECK(st == SCN_INTERRUPTED || st == SCN_OK);
        CHECK(st == SCN_INTERRUPTED || calls > 0);
        change_all(rig, 40, true);
        check_store(rig);
    }
    rig_close(rig);
}

/* Between steps: the old snapshot is whole, and commits change what was moved. */
static int read_and_change(void *user, uint64_t done, uint64_t expected)
{
    struct rig *rig = user;
    (void)done;
    (void)expected;
    rig->calls++;
    check_rows(rig, rig->snapshot, (uint32_t(*)[ROWS])rig->seen);
    change_some(rig, unit_random(&rig->random) % TABLES, 0, ROWS, 50, true);
    change_some(rig, unit_random(&rig->random) % TABLES, 0, ROWS, 50, false);
    return 0;
}

TEST(compact__goes_on_beside_readers_and_commits)
{
    struct rig *rig = rig_open();
    scn_compact_options options = watched(rig, read_and_change);
    uint64_t full = file_bytes(rig);
    CHECK_OK(scn_begin(rig->db, SCN_READ, &rig->snapshot));
    memcpy(rig->seen, rig->version, sizeof rig->version);
    delete_most(rig);
    CHECK_OK(scn_compact(rig->db, &options));
    CHECK(rig->calls > 0);
    check_rows(rig, rig->snapshot, (uint32_t(*)[ROWS])rig->seen);
    check_store(rig);
    scn_abort(rig->snapshot);
    CHECK_OK(scn_compact(rig->db, NULL));
    CHECK(file_bytes(rig) < full / 3);
    check_store(rig);
    rig_close(rig);
}

/* ... and so do those of another process, checkpoints among them. */
static int play_other(void *user, uint64_t done, uint64_t expected)
{
    struct rig *rig = user;
    scn_db *own = rig->db;
    struct sys *sys = sim_process_create(rig->disk);
    (void)done;
    (void)expected;
    rig->calls++;
    sim_speak_for(sys);
    CHECK_OK(open_on(sys, &rig->db));
    change_some(rig, unit_random(&rig->random) % TABLES, 0, ROWS, 50, true);
    if (rig->calls % 2)
        CHECK_OK(scn_checkpoint(rig->db));
    CHECK_OK(scn_close(rig->db));
    sim_process_destroy(sys);
    sim_speak_for(rig->sys);
    rig->db = own;
    return 0;
}

TEST(compact__goes_on_beside_another_process)
{
    struct rig *rig = rig_open();
    scn_compact_options options = watched(rig, play_other);
    uint64_t full = file_bytes(rig);
    delete_most(rig);
    CHECK_OK(scn_compact(rig->db, &options));
    CHECK(rig->calls > 0);
    CHECK(file_bytes(rig) < full / 3);
    check_store(rig);
    rig_close(rig);
}

/* ---- rows that all lie in their leaves ---- */

struct plain {
    scn_db *db;
    uint32_t calls;
};

enum { PLAIN_ROWS = PAGE_IS_SMALL ? 40000 : 300000, PLAIN_BATCH = 2000 };

static void put_plain(scn_db *db, uint32_t from, uint32_t to)
{
    static const char value[40] = "which is short";
    scn_txn *txn;
    scn_table_id table;
    CHECK_OK(scn_begin(db, SCN_WRITE, &txn));
    CHECK_OK(scn_table(txn, "plain", SCN_CREATE, &table));
    for (uint32_t row = from; row < to; row++)
        CHECK_OK(scn_put(txn, table, key_of(row), (scn_slice){value, sizeof value}, 0));
    CHECK_OK(scn_commit(txn));
}

static int put_one_plain(void *user, uint64_t done, uint64_t expected)
{
    struct plain *plain = user;
    (void)done;
    (void)expected;
    put_plain(plain->db, plain->calls, plain->calls + 1);
    plain->calls++;
    return 0;
}

/* A store that has never had a page of values: what is committed between two steps is
 * merged by the second one. */
TEST(compact__merges_what_comes_meanwhile_though_no_value_ever_lay_outside)
{
    struct sim_disk *disk = sim_disk_create(unit_seed());
    struct sys *sys = sim_process_create(disk);
    struct plain plain = {.calls = 0};
    scn_compact_options options = {.struct_size = sizeof options};
    options.hooks = (scn_hooks){.progress = put_one_plain, .user = &plain};
    CHECK_OK(open_on(sys, &plain.db));
    for (uint32_t row = 0; row < PLAIN_ROWS; row += PLAIN_BATCH)
        put_plain(plain.db, row, row + PLAIN_BATCH);
    CHECK_OK(scn_checkpoint(plain.db));
    scn_txn *txn;
    scn_table_id table;
    uint64_t count = 0;
    CHECK_OK(scn_begin(plain.db, SCN_WRITE, &txn));
    CHECK_OK(scn_table(txn, "plain", 0, &table));
    CHECK_OK(scn_del_range(txn, table, key_of(0), (scn_slice){"row-015", 7}, &count));
    CHECK_OK(scn_commit(txn));
    CHECK_EQ(scn_compact(plain.db, &options), SCN_OK);
    CHECK(plain.calls > 1);
    CHECK_OK(scn_begin(plain.db, SCN_READ, &txn));
    CHECK_OK(scn_table_count(txn, table, &count));
    scn_abort(txn);
    CHECK_EQ(count, PLAIN_ROWS - 15000 + plain.calls);
    CHECK_OK(scn_close(plain.db));
    sim_process_destroy(sys);
    sim_disk_destroy(disk);
}

/* ---- files with little in them ---- */

static uint64_t pages_of(scn_db *db)
{
    scn_stats_t stats = {.struct_size = sizeof stats};
    CHECK_OK(scn_stats(db, &stats));
    return stats.file_bytes / PAGE_BYTES;
}

/* Pages that a generation writes besides those of the rows. */
enum { BESIDES_MAX = 4 };

/* A few rows are put, and some of them deleted again. */
static void change_little(scn_db *db, uint32_t rows, uint64_t *random)
{
    static const uint8_t value[LONG];
    for (uint64_t i = 1 + unit_random(random) % 20; i > 0; i--) {
        scn_slice key = key_of((uint32_t)(unit_random(random) % rows));
        bool is_long = unit_random(random) % 20 == 0;
        uint64_t len = is_long ? LONG : unit_random(random) % 400;
        if (unit_random(random) % 3)
            CHECK_OK(scn_put1(db, "plain", key, (scn_slice){value, len}));
        else
            CHECK(scn_del1(db, "plain", key) >= 0);
    }
}

/* How long a copy of the file is then, and *rested after one more checkpoint. */
static uint64_t pages_after(struct sim_disk *disk, bool compacts, uint64_t *rested)
{
    struct sim_disk *copy = sim_disk_copy(disk);
    struct sys *sys = sim_process_create(copy);
    scn_db *db;
    uint64_t issues = 1;
    CHECK_OK(open_on(sys, &db));
    CHECK_OK(compacts ? scn_compact(db, NULL) : SCN_OK);
    uint64_t pages = pages_of(db);
    CHECK_OK(scn_checkpoint(db));
    *rested = pages_of(db);
    CHECK_OK(scn_check(db, SCN_CHECK_ALL, NULL, NULL, &issues));
    CHECK_EQ(issues, 0);
    CHECK_OK(scn_close(db));
    sim_process_destroy(sys);
    sim_disk_destroy(copy);
    return pages;
}

static void check_no_longer(struct sim_disk *disk, scn_db *db)
{
    uint64_t pages = pages_of(db);
    uint64_t merged;
    uint64_t rested;
    (void)pages_after(disk, false, &merged);
    uint64_t compacted = pages_after(disk, true, &rested);
    uint64_t most = merged > pages ? merged : pages;
    CHECK(rested <= most + BESIDES_MAX);
    if (delta_is_empty(db->store->active))
        CHECK(compacted <= pages && rested <= pages);
}

/* What each generation writes besides is as much as the rows, and lies behind the end
 * first.  What has to be merged takes room, with a compaction or without. */
TEST(compact__makes_no_file_longer_that_holds_little)
{
    uint64_t random = unit_seed();
    for (uint32_t turn = 0; turn < 4; turn++) {
        struct sim_disk *disk = sim_disk_create(unit_seed());
        struct sys *sys = sim_process_create(disk);
        scn_db *db;
        CHECK_OK(open_on(sys, &db));
        uint32_t rows = 1 + (uint32_t)(unit_random(&random) % 300);
        for (uint32_t step = 0; step < 20; step++) {
            change_little(db, rows, &random);
            if (step % 3)
                CHECK_OK(step % 3 == 1 ? scn_checkpoint(db) : scn_compact(db, NULL));
            check_no_longer(disk, db);
        }
        CHECK_OK(scn_close(db));
        sim_process_destroy(sys);
        sim_disk_destroy(disk);
    }
}
