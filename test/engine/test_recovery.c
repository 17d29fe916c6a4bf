/* The next life: which generation it goes on from, with which numbers, and that it writes
 * over nothing that the last one has acknowledged. */
#include "engine/checkpoint.h"
#include "engine/room.h"
#include "engine/store.h"
#include "page/publish.h"
#include "test/sim/disk.h"
#include "test/unit/unit.h"

#define STORE "store"

struct life {
    struct sim_disk *disk;
    struct sys *sys;
    scn_db *db;
    scn_table_id table;
    uint32_t rows; /* committed: row i has the key of i */
    uint32_t first; /* those before it are deleted */
};

static scn_status open_with(struct life *life, uint32_t flags)
{
    scn_options options = {.struct_size = sizeof options, .flags = SCN_NOTHREAD | flags};
    options.pool_bytes = 64 * PAGE_BYTES;
    return store_open_on(life->sys, STORE, &options, &life->db);
}

static scn_status open_in(struct life *life)
{
    return open_with(life, 0);
}

static scn_status try_open(struct life *life)
{
    life->sys = sim_process_create(life->disk);
    return open_in(life);
}

static void begin_life(struct life *life)
{
    *life = (struct life){.disk = sim_disk_create(1)};
    CHECK_OK(try_open(life));
}

static void end_life(struct life *life)
{
    sim_process_kill(life->sys);
    (void)scn_close(life->db);
    sim_process_destroy(life->sys);
}

/* The log is in good order then, and the next life writes nothing there. */
static void close_life(struct life *life)
{
    CHECK_OK(scn_close(life->db));
    sim_process_destroy(life->sys);
}

static void live_on(struct life *life)
{
    end_life(life);
    CHECK_OK(try_open(life));
}

static void die(struct life *life)
{
    end_life(life);
    sim_disk_destroy(life->disk);
}

static scn_slice make_key(char buf[16], uint32_t row)
{
    return (scn_slice){buf, (size_t)snprintf(buf, 16, "row%06u", row)};
}

/* A row a commit, with a value that does not compress. */
static void add_rows(struct life *life, uint32_t count, uint32_t durability)
{
    static uint8_t noise[PAGE_BYTES / 4];
    static uint64_t random = 1;
    char buf[16];
    for (uint32_t i = 0; i < count; i++) {
        scn_txn *txn;
        for (size_t k = 0; k < sizeof noise; k++)
            noise[k] = (uint8_t)(unit_random(&random) >> 24);
        CHECK_OK(scn_begin(life->db, SCN_WRITE, &txn));
        CHECK_OK(scn_set_durability(txn, durability));
        CHECK_OK(scn_table(txn, "table", SCN_CREATE, &life->table));
        CHECK_OK(scn_put(txn, life->table, make_key(buf, life->rows++),
                         (scn_slice){noise, sizeof noise}, 0));
        CHECK_OK(scn_commit(txn));
    }
}

static uint64_t count_issues(const struct life *life)
{
    uint64_t issues;
    CHECK_OK(scn_check(life->db, SCN_CHECK_ALL, NULL, NULL, &issues));
    return issues;
}

/* All that were committed are there.  How many rows there are. */
static uint64_t read_rows(const struct life *life)
{
    scn_txn *txn;
    uint64_t count;
    char buf[16];
    CHECK_OK(scn_begin(life->db, SCN_READ, &txn));
    for (uint32_t row = life->first; row < life->rows; row++)
        CHECK_OK(scn_get(txn, life->table, make_key(buf, row), &(scn_slice){NULL, 0}));
    CHECK_OK(scn_table_count(txn, life->table, &count));
    scn_abort(txn);
    return count;
}

static void find_rows(const struct life *life)
{
    CHECK_EQ(read_rows(life), life->rows - life->first);
}

static void check_rows(const struct life *life)
{
    find_rows(life);
    CHECK_EQ(count_issues(life), 0);
}

/* Rows of more than an extent of the log. */
enum { EXTENT_ROWS = 4 * LOG_EXTENT_PAGES + 1 };

static void checkpoint(struct life *life)
{
    CHECK_OK(checkpoint_run(life->db->store, CHECKPOINT_PLAIN));
}

/* ---- the log ---- */

TEST(recovery__goes_on_in_extents_that_no_generation_knows)
{
    struct life life;
    begin_life(&life);
    for (int round = 0; round < 4; round++) {
        add_rows(&life, 2 * EXTENT_ROWS, SCN_SYNC_FULL);
        live_on(&life);
        check_rows(&life);
        if (round % 2 == 1)
            checkpoint(&life); /* takes pages beside the log */
        add_rows(&life, 1, SCN_SYNC_FULL);
        live_on(&life);
        check_rows(&life);
    }
    die(&life);
}

TEST(recovery__uses_no_spare_twice)
{
    struct life life;
    begin_life(&life);
    for (int round = 0; round < 4; round++) {
        add_rows(&life, EXTENT_ROWS, SCN_SYNC_FULL);
        checkpoint(&life);
    }
    CHECK(life.db->store->superblock.spare_count > 0);
    for (int round = 0; round < 3; round++) {
        add_rows(&life, EXTENT_ROWS, SCN_SYNC_FULL);
        live_on(&life);
        check_rows(&life);
    }
    die(&life);
}

/* Lazy commits are told their LSN before a power cut takes them. */
TEST(recovery__gives_no_lsn_to_another_commit)
{
    struct life life;
    struct sim_choice none = {.keep = SIM_KEEP_NONE};
    begin_life(&life);
    add_rows(&life, 2, SCN_SYNC_FULL);
    uint32_t durable = life.rows;
    add_rows(&life, 3, SCN_SYNC_LAZY);
    uint64_t told = log_appended(life.db->store->log);
    struct sim_disk *after = sim_crash(life.disk, &none);
    die(&life);
    life.disk = after;
    life.rows = durable;
    CHECK_OK(try_open(&life));
    CHECK_EQ(scn_wait_durable(life.db, told, 0), SCN_UNKNOWN);
    add_rows(&life, 1, SCN_SYNC_FULL);
    CHECK(log_appended(life.db->store->log) > told);
    CHECK_EQ(scn_wait_durable(life.db, told, 0), SCN_UNKNOWN);
    die(&life);
}

/* ---- the generations ---- */

/* The newest generation's catalog cannot be read any more. */
static void damage_newest(struct life *life)
{
    uint8_t byte = 0;
    uint64_t pgno = life->db->store->superblock.catalog.pgno;
    CHECK(pgno != 0);
    CHECK(sim_peek(life->disk, STORE, pgno * PAGE_BYTES + 100, &byte, 1));
    byte ^= 1;
    CHECK(sim_rot(life->disk, STORE, pgno * PAGE_BYTES + 100, &byte, 1));
}

/* Whatever the log did since then: its extents of that time are still there [A3]. */
TEST(recovery__falls_back_to_the_older_generation_and_its_log)
{
    for (uint32_t more = 0; more <= 4 * EXTENT_ROWS; more += EXTENT_ROWS) {
        struct life life;
        begin_life(&life);
        for (int round = 0; round < 3; round++) {
            add_rows(&life, EXTENT_ROWS, SCN_SYNC_FULL);
            checkpoint(&life);
        }
        uint64_t newest = life.db->store->superblock.gen;
        add_rows(&life, more, SCN_SYNC_FULL);
        damage_newest(&life);
        live_on(&life);
        CHECK_EQ(life.db->store->superblock.gen, newest - 1);
        find_rows(&life);
        CHECK_EQ(count_issues(&life), 1); /* the slot of the newest */
        checkpoint(&life);
        CHECK(life.db->store->superblock.gen > newest); /* [H2] */
        live_on(&life);
        CHECK(life.db->store->superblock.gen > newest);
        check_rows(&life);
        die(&life);
    }
}

/* The log from the older base ends before the newest one: something is missing. */
TEST(recovery__does_not_fall_back_over_a_gap)
{
    struct life life;
    struct log_base base;
    uint8_t byte;
    begin_life(&life);
    add_rows(&life, 2, SCN_SYNC_FULL);
    checkpoint(&life);
    log_position(life.db->store->log, &base);
    add_rows(&life, 1, SCN_SYNC_FULL);
    checkpoint(&life);
    damage_newest(&life);
    uint64_t off = (uint64_t)base.extent_pgno * PAGE_BYTES + base.extent_off +
                   RECORD_HEADER_BYTES;
    CHECK(sim_peek(life.disk, STORE, off, &byte, 1));
    byte ^= 1;
    CHECK(sim_rot(life.disk, STORE, off, &byte, 1));
    end_life(&life);
    uint64_t hash = sim_hash(life.disk);
    CHECK_EQ(try_open(&life), SCN_CORRUPT);
    CHECK(sim_hash(life.disk) == hash); /* [H3] */
    sim_process_destroy(life.sys);
    sim_disk_destroy(life.disk);
}

/* A torn slot held a number that nobody knows; the next one above the good slot's is
 * what it is likely to have been. */
TEST(recovery__goes_on_above_the_generation_of_a_torn_slot)
{
    struct life life;
    uint8_t byte = 0x55;
    begin_life(&life);
    add_rows(&life, 2, SCN_SYNC_FULL);
    checkpoint(&life);
    checkpoint(&life);
    uint64_t gen = life.db->store->superblock.gen;
    uint64_t other = superblock_slot(gen + 1) * PAGE_BYTES;
    CHECK(sim_rot(life.disk, STORE, other + 1000, &byte, 1));
    live_on(&life);
    CHECK_EQ(life.db->store->superblock.gen, gen);
    add_rows(&life, 1, SCN_SYNC_FULL);
    checkpoint(&life);
    CHECK(life.db->store->superblock.gen > gen + 1);
    CHECK_EQ(superblock_slot(life.db->store->superblock.gen), superblock_slot(gen + 1));
    live_on(&life);
    check_rows(&life);
    die(&life);
}

/* After a fall back it may be further ahead, and is there as long as its part of the slot
 * is. */
TEST(recovery__goes_on_above_the_generation_that_a_torn_slot_still_tells)
{
    struct life life;
    uint8_t bytes[SUPERBLOCK_BYTES];
    begin_life(&life);
    add_rows(&life, 2, SCN_SYNC_FULL);
    checkpoint(&life);
    struct superblock torn = life.db->store->superblock;
    torn.gen += 5;
    superblock_encode(&torn, bytes);
    bytes[1000] ^= 1;
    CHECK(sim_rot(life.disk, STORE, superblock_slot(torn.gen) * PAGE_BYTES, bytes,
                  sizeof bytes));
    live_on(&life);
    CHECK_EQ(life.db->store->superblock.gen, torn.gen - 5);
    add_rows(&life, 1, SCN_SYNC_FULL);
    checkpoint(&life);
    CHECK(life.db->store->superblock.gen > torn.gen);
    check_rows(&life);
    die(&life);
}

/* As if a page at the end had been cut off that neither generation can do without. */
static void need_one_page_more(struct life *life)
{
    uint64_t size;
    CHECK(sim_file_size(life->disk, STORE, &size));
    for (uint64_t slot = 0; slot < 2; slot++) {
        struct superblock sb;
        uint8_t bytes[SUPERBLOCK_BYTES];
        CHECK(sim_peek(life->disk, STORE, slot * PAGE_BYTES, bytes, sizeof bytes));
        CHECK_EQ(superblock_decode(bytes, &sb, NULL), SUPERBLOCK_GOOD);
        sb.needed_pages = (uint32_t)(size / PAGE_BYTES) + 1;
        superblock_encode(&sb, bytes);
        CHECK(sim_rot(life->disk, STORE, slot * PAGE_BYTES, bytes, sizeof bytes));
    }
}

TEST(recovery__refuses_a_file_that_was_cut)
{
    struct life life;
    begin_life(&life);
    add_rows(&life, 10, SCN_SYNC_FULL);
    checkpoint(&life);
    end_life(&life);
    need_one_page_more(&life);
    CHECK_EQ(try_open(&life), SCN_CORRUPT);
    sim_process_destroy(life.sys);
    sim_disk_destroy(life.disk);
}

static void damage_slot(struct life *life)
{
    uint8_t byte = 0x55;
    uint32_t slot = superblock_slot(life->db->store->superblock.gen);
    CHECK(sim_rot(life->disk, STORE, slot * PAGE_BYTES + 1000, &byte, 1));
}

/* Another process comes, and makes generations beside it. */
static void let_another_go_on(struct life *life)
{
    struct life other = *life;
    CHECK_OK(try_open(&other));
    checkpoint(&other);
    add_rows(&other, EXTENT_ROWS, SCN_SYNC_FULL);
    checkpoint(&other);
    check_rows(&other);
    end_life(&other);
    life->rows = other.rows;
    check_rows(life);
}

/* Others load the allocation state of the older generation, too. */
TEST(recovery__falls_back_for_others_who_make_checkpoints)
{
    for (uint32_t more = 0; more <= 4 * EXTENT_ROWS; more += EXTENT_ROWS / 2) {
        struct life life;
        begin_life(&life);
        for (int round = 0; round < 3; round++) {
            add_rows(&life, EXTENT_ROWS, SCN_SYNC_FULL);
            checkpoint(&life);
        }
        add_rows(&life, more, SCN_SYNC_FULL);
        if (more % EXTENT_ROWS)
            damage_slot(&life);
        else
            damage_newest(&life);
        live_on(&life);
        let_another_go_on(&life);
        die(&life);
    }
}

/* ---- a file that is too short for the newest generation ---- */

/* All but the last row, so that the end of the file stays where it is. */
static void leave_one_row(struct life *life)
{
    char buf[16];
    scn_txn *txn;
    CHECK_OK(scn_begin(life->db, SCN_WRITE, &txn));
    for (; life->first + 1 < life->rows; life->first++)
        CHECK_OK(scn_del(txn, life->table, make_key(buf, life->first)));
    CHECK_OK(scn_commit(txn));
}

/* The last one once more. */
static void replace_row(struct life *life)
{
    life->rows--;
    add_rows(life, 1, SCN_SYNC_FULL);
}

/* The newest generation lies in the middle of the file, but for a spare extent of the log
 * at its end, of which the older one knows nothing. */
static void make_long_newest(struct life *life)
{
    begin_life(life);
    add_rows(life, 100, SCN_SYNC_FULL);
    checkpoint(life);
    leave_one_row(life);
    for (int i = 0; i < 4; i++) {
        replace_row(life);
        checkpoint(life);
    }
    while (log_spare_count(life->db->store->log) > 0)
        replace_row(life);
    CHECK_OK(room_extend(life->db->store, false));
    checkpoint(life);
}

static struct superblock read_slot(struct life *life, uint64_t gen)
{
    struct superblock sb;
    uint8_t bytes[SUPERBLOCK_BYTES];
    CHECK(sim_peek(life->disk, STORE, superblock_slot(gen) * PAGE_BYTES, bytes,
                   sizeof bytes));
    CHECK_EQ(superblock_decode(bytes, &sb, NULL), SUPERBLOCK_GOOD);
    CHECK_EQ(sb.gen, gen);
    return sb;
}

static void cut(struct life *life, uint64_t pages)
{
    uint8_t *bytes = malloc(pages * PAGE_BYTES);
    CHECK(bytes != NULL);
    CHECK(sim_peek(life->disk, STORE, 0, bytes, pages * PAGE_BYTES));
    sim_put_file(life->disk, STORE, bytes, pages * PAGE_BYTES);
    free(bytes);
}

/* The spare extent goes.  The generation that needs it. */
static uint64_t cut_newest_after(struct life *life, void (*end)(struct life *))
{
    uint64_t gen = life->db->store->superblock.gen;
    struct superblock newest = read_slot(life, gen);
    struct superblock older = read_slot(life, gen - 1);
    struct log_spare spare = newest.spares[0];
    CHECK_EQ(newest.spare_count, 1);
    CHECK_EQ(newest.needed_pages, spare.pgno + spare.pages);
    CHECK(spare.pgno > newest.catalog.pgno && spare.pgno > newest.space.pgno);
    CHECK(spare.pgno >= older.page_count);
    end(life);
    cut(life, spare.pgno);
    return gen;
}

static uint64_t cut_newest(struct life *life)
{
    return cut_newest_after(life, end_life);
}

static scn_status put_noise(struct life *life, scn_txn *txn, uint32_t count)
{
    static uint8_t noise[VALUE_INLINE_MAX + 1];
    static uint64_t random = 2;
    char buf[16];
    scn_status st = SCN_OK;
    for (uint32_t i = 0; i < count && st == SCN_OK; i++) {
        for (size_t k = 0; k < sizeof noise; k++)
            noise[k] = (uint8_t)(unit_random(&random) >> 24);
        st = scn_put(txn, life->table, make_key(buf, life->rows + i),
                     (scn_slice){noise, sizeof noise}, 0);
    }
    return st;
}

/* In one transaction. */
static scn_status try_add(struct life *life, uint32_t count)
{
    scn_txn *txn;
    scn_status st = scn_begin(life->db, SCN_WRITE, &txn);
    if (st < 0)
        return st;
    st = put_noise(life, txn, count);
    if (st < 0)
        scn_abort(txn);
    else
        st = scn_commit(txn);
    life->rows += st == SCN_OK ? count : 0;
    return st;
}

enum {
    /* So many are a bulk run, which takes pages at the end of the file. */
    RUN_ROWS = 2 * WRITE_SET_BYTES_MAX / VALUE_INLINE_MAX,
    /* A third of an extent of the log. */
    LOG_ROWS = LOG_EXTENT_PAGES * PAGE_BYTES / VALUE_INLINE_MAX / 3
};

/* The file is as long again as that generation needs it, with a run where its spare
 * was. */
TEST(recovery__does_not_come_back_to_a_generation_that_it_gave_up)
{
    struct life life;
    make_long_newest(&life);
    uint64_t gen = cut_newest(&life);
    CHECK_OK(try_open(&life));
    CHECK_EQ(life.db->store->superblock.gen, gen - 1);
    find_rows(&life);
    CHECK_OK(try_add(&life, RUN_ROWS));
    for (int i = 0; i < 2; i++) {
        live_on(&life);
        CHECK_EQ(life.db->store->superblock.gen, gen - 1);
        find_rows(&life);
        CHECK_EQ(count_issues(&life), 1); /* the slot of the newest */
    }
    checkpoint(&life);
    CHECK(life.db->store->superblock.gen > gen); /* [H2] */
    check_rows(&life);
    live_on(&life);
    CHECK(life.db->store->superblock.gen > gen);
    check_rows(&life);
    die(&life);
}

/* Opens the file, and dies in its call number nth, or lives.  Of a write of several pages
 * the first is done. */
static bool live_until(struct life *life, uint64_t nth)
{
    struct sim_fault fault = {
        .kind = SIM_KILL, .call = SIM_ANY, .nth = nth, .len = PAGE_BYTES};
    life->sys = sim_process_create(life->disk);
    sim_fault_set(life->sys, &fault);
    scn_status st = open_in(life);
    bool is_open = st == SCN_OK;
    for (int i = 0; i < 4 && st == SCN_OK; i++) /* until the log is longer */
        st = try_add(life, LOG_ROWS);
    if (st == SCN_OK)
        st = checkpoint_run(life->db->store, CHECKPOINT_PLAIN);
    bool is_alive = !sim_process_is_dead(life->sys);
    CHECK(st == SCN_OK || !is_alive);
    sim_process_kill(life->sys);
    if (is_open)
        (void)scn_close(life->db);
    sim_process_destroy(life->sys);
    return is_alive;
}

static void check_next_life(struct life *life)
{
    CHECK_OK(try_open(life));
    CHECK(read_rows(life) >= life->rows - life->first);
    checkpoint(life);
    CHECK(read_rows(life) >= life->rows - life->first);
    die(life);
}

TEST(recovery__loses_nothing_wherever_it_dies_after_a_fall_back)
{
    struct life life;
    bool is_alive = false;
    make_long_newest(&life);
    (void)cut_newest(&life);
    for (uint64_t nth = 1; !is_alive; nth += PAGE_IS_SMALL ? 1 : 7) {
        struct life copy = life;
        copy.disk = sim_disk_copy(life.disk);
        is_alive = live_until(&copy, nth);
        struct sim_choice torn = {.keep = SIM_KEEP_TORN, .n = nth};
        struct life after = copy;
        after.disk = sim_crash(copy.disk, &torn);
        check_next_life(&after);
        check_next_life(&copy);
    }
    sim_disk_destroy(life.disk);
}

/* Opens the file, and dies in its n-th write or sync. */
static bool dies_in(struct life *life, enum sim_call call, uint64_t nth)
{
    struct sim_fault fault = {.kind = SIM_KILL, .call = call, .nth = nth, .len = 100};
    life->sys = sim_process_create(life->disk);
    sim_fault_set(life->sys, &fault);
    bool is_open = open_in(life) == SCN_OK;
    bool is_dead = sim_process_is_dead(life->sys);
    sim_process_kill(life->sys);
    if (is_open)
        (void)scn_close(life->db);
    sim_process_destroy(life->sys);
    return is_dead;
}

static bool can_be_used(struct life *life, uint64_t gen)
{
    struct superblock sb;
    uint8_t bytes[SUPERBLOCK_BYTES];
    CHECK(sim_peek(life->disk, STORE, superblock_slot(gen) * PAGE_BYTES, bytes,
                   sizeof bytes));
    return superblock_decode(bytes, &sb, NULL) == SUPERBLOCK_GOOD &&
           sb.needed_pages < FILE_PAGES_MAX;
}

/* Who gives it up dies before that is durable.  The next one finds it given up, and a
 * power cut must not take that from under what he does. */
static void check_given_up_for_good(enum sim_call call)
{
    struct life life;
    uint32_t tries = 0;
    make_long_newest(&life);
    uint64_t gen = cut_newest_after(&life, close_life);
    for (uint64_t nth = 1;; nth++) {
        struct life copy = life;
        copy.disk = sim_disk_copy(life.disk);
        bool is_dead = dies_in(&copy, call, nth);
        if (is_dead && !can_be_used(&copy, gen)) {
            struct sim_choice none = {.keep = SIM_KEEP_NONE};
            CHECK_OK(try_open(&copy));
            CHECK_EQ(copy.db->store->superblock.gen, gen - 1);
            find_rows(&copy);
            struct life after = copy;
            after.disk = sim_crash(copy.disk, &none);
            CHECK(!can_be_used(&after, gen));
            check_next_life(&after);
            end_life(&copy);
            tries++;
        }
        sim_disk_destroy(copy.disk);
        if (!is_dead)
            break;
    }
    CHECK(tries > 0);
    sim_disk_destroy(life.disk);
}

TEST(recovery__gives_up_for_good_what_a_killed_one_has_given_up)
{
    check_given_up_for_good(SIM_SYNC);
}

TEST(recovery__gives_up_for_good_what_a_killed_one_has_torn)
{
    check_given_up_for_good(SIM_WRITE);
}

/* ---- a slot that has an older generation again ---- */

struct slot_image {
    uint64_t off;
    uint8_t bytes[SUPERBLOCK_BYTES];
};

/* Where the next generation will be. */
static struct slot_image keep_slot(const struct life *life)
{
    struct slot_image image;
    image.off = superblock_slot(life->db->store->superblock.gen + 1) * PAGE_BYTES;
    CHECK(sim_peek(life->disk, STORE, image.off, image.bytes, sizeof image.bytes));
    return image;
}

static void put_back(struct life *life, const struct slot_image *image)
{
    CHECK(sim_rot(life->disk, STORE, image->off, image->bytes, sizeof image->bytes));
}

/* No process has told others anything; or a power cut has taken it. */
static void lose_page(struct life *life)
{
    static const uint8_t zeros[PUBLISH_BYTES];
    CHECK(sim_rot(life->disk, STORE, PUBLISH_PAGE_NO * PAGE_BYTES, zeros, sizeof zeros));
}

/* A run with a value of several pages, which are the run's until they are merged. */
static void add_run(struct life *life)
{
    static uint8_t value[3 * PAGE_BYTES];
    scn_txn *txn;
    char buf[16];
    memset(value, 'v', sizeof value);
    CHECK_OK(scn_begin(life->db, SCN_WRITE, &txn));
    CHECK_OK(scn_put(txn, life->table, make_key(buf, life->rows++),
                     (scn_slice){value, sizeof value}, 0));
    CHECK_OK(put_noise(life, txn, RUN_ROWS));
    CHECK_OK(scn_commit(txn));
    life->rows += RUN_ROWS;
}

static void check_run(struct life *life)
{
    scn_txn *txn;
    scn_slice value;
    char buf[16];
    uint32_t row = life->rows - RUN_ROWS - 1;
    check_rows(life);
    for (int i = 0; i < 4; i++) {
        add_rows(life, EXTENT_ROWS, SCN_SYNC_FULL);
        checkpoint(life);
    }
    check_rows(life);
    CHECK_OK(scn_begin(life->db, SCN_READ, &txn));
    CHECK_OK(scn_get(txn, life->table, make_key(buf, row), &value));
    CHECK_EQ(value.size, 3 * PAGE_BYTES);
    for (size_t i = 0; i < value.size; i++)
        CHECK_EQ(((const uint8_t *)value.data)[i], 'v');
    scn_abort(txn);
}

/* The run was born in the generation that is lost.  A second one of its number would take
 * the pages of the run for its own. */
TEST(recovery__makes_no_second_generation_in_which_a_run_was_born)
{
    for (int is_told = 0; is_told < 2; is_told++) {
        struct life life;
        begin_life(&life);
        add_rows(&life, 10, SCN_SYNC_FULL);
        checkpoint(&life);
        add_rows(&life, 10, SCN_SYNC_FULL);
        struct slot_image older = keep_slot(&life);
        checkpoint(&life);
        uint64_t gen = life.db->store->superblock.gen;
        add_run(&life);
        put_back(&life, &older);
        if (!is_told)
            lose_page(&life);
        live_on(&life);
        uint64_t merged = life.db->store->superblock.gen;
        check_run(&life);
        CHECK(merged > gen);
        die(&life);
    }
}

/* The slot was torn by a power cut once, so that the next generation was further ahead;
 * then nothing is left of that one's. */
TEST(recovery__makes_no_generation_that_is_older_than_a_run)
{
    struct life life;
    uint8_t bytes[SUPERBLOCK_BYTES] = {1};
    begin_life(&life);
    add_rows(&life, 10, SCN_SYNC_FULL);
    checkpoint(&life);
    struct superblock torn = life.db->store->superblock;
    torn.gen += 5;
    superblock_encode(&torn, bytes);
    bytes[1000] ^= 1;
    uint64_t off = superblock_slot(torn.gen) * PAGE_BYTES;
    CHECK(sim_rot(life.disk, STORE, off, bytes, sizeof bytes));
    live_on(&life);
    add_rows(&life, 1, SCN_SYNC_FULL);
    checkpoint(&life);
    uint64_t gen = life.db->store->superblock.gen;
    CHECK(gen > torn.gen);
    add_run(&life);
    memset(bytes, 1, sizeof bytes);
    CHECK(sim_rot(life.disk, STORE, off, bytes, sizeof bytes));
    lose_page(&life);
    live_on(&life);
    uint64_t merged = life.db->store->superblock.gen;
    check_run(&life);
    CHECK(merged > gen);
    die(&life);
}

/* Nothing in the slots tells that recovery has fallen back. */
TEST(recovery__falls_back_for_others_where_a_slot_is_an_older_one)
{
    for (uint32_t more = 0; more <= 4 * EXTENT_ROWS; more += EXTENT_ROWS) {
        struct life life;
        begin_life(&life);
        struct slot_image older = {.off = 0};
        for (int round = 0; round < 3; round++) {
            add_rows(&life, EXTENT_ROWS, SCN_SYNC_FULL);
            older = keep_slot(&life);
            checkpoint(&life);
        }
        uint64_t gen = life.db->store->superblock.gen;
        add_rows(&life, more, SCN_SYNC_FULL);
        put_back(&life, &older);
        live_on(&life);
        CHECK_EQ(life.db->store->superblock.gen, gen - 1);
        let_another_go_on(&life);
        die(&life);
    }
}

/* Dies in the n-th write of a checkpoint, of which the first 100 bytes are done.  False:
 * it has not died. */
static bool checkpoint_dies(struct life *life, uint64_t nth)
{
    struct sim_fault fault = {
        .kind = SIM_KILL, .call = SIM_WRITE, .nth = nth, .len = 100};
    sim_fault_set(life->sys, &fault);
    scn_status st = checkpoint_run(life->db->store, CHECKPOINT_PLAIN);
    bool is_dead = sim_process_is_dead(life->sys);
    CHECK(st == SCN_OK || is_dead);
    sim_fault_clear(life->sys);
    return is_dead;
}

/* Rot, or an older generation again. */
static void lose_slot(struct life *life, const struct slot_image *older, bool is_older)
{
    if (is_older)
        put_back(life, older);
    else
        damage_slot(life);
}

/* One row of each few leaves: the others there are in no log. */
static void change_rows(struct life *life, uint32_t first)
{
    scn_txn *txn;
    char buf[16];
    CHECK_OK(scn_begin(life->db, SCN_WRITE, &txn));
    for (uint32_t row = first; row < life->rows; row += 10)
        CHECK_OK(scn_put(txn, life->table, make_key(buf, row), (scn_slice){"new", 3}, 0));
    CHECK_OK(scn_commit(txn));
}

/* False: it has lived through the checkpoint. */
static bool live_on_behind_a_dead_checkpoint(uint64_t nth, uint32_t flags, bool is_older)
{
    struct life life;
    struct slot_image older = {.off = 0};
    begin_life(&life);
    close_life(&life);
    life.sys = sim_process_create(life.disk);
    CHECK_OK(open_with(&life, flags));
    add_rows(&life, 200, SCN_SYNC_FULL);
    checkpoint(&life);
    for (uint32_t round = 0; round < 4; round++) {
        change_rows(&life, round);
        older = keep_slot(&life);
        checkpoint(&life);
    }
    change_rows(&life, 5);
    lose_slot(&life, &older, is_older);
    bool has_died = checkpoint_dies(&life, nth);
    live_on(&life);
    find_rows(&life);
    checkpoint(&life);
    find_rows(&life);
    die(&life);
    return has_died;
}

/* The process that stands on the generation still has it in memory.  Should its next one
 * be torn, there would be none to go on from. */
TEST(recovery__has_a_slot_to_go_on_from_wherever_a_checkpoint_dies)
{
    for (int i = 0; i < 4; i++) {
        uint64_t nth = 1;
        while (live_on_behind_a_dead_checkpoint(nth, i / 2 ? SCN_EXCLUSIVE : 0, i % 2))
            nth++;
        CHECK(nth > 3);
    }
}
