/* Checkpoints that fail, what they build on, and what waits for them. */
#include "engine/checkpoint.h"
#include "engine/peers.h"
#include "engine/reserved.h"
#include "engine/room.h"
#include "engine/session.h"
#include "engine/store.h"
#include "engine/txn.h"
#include "test/sim/disk.h"
#include "test/unit/unit.h"

#include <errno.h>

#define STORE "store"

enum { ROWS = PAGE_IS_SMALL ? 60 : 48, STEP = PAGE_IS_SMALL ? 1 : 3 };

static scn_status open_on(struct sys *sys, scn_db **db)
{
    scn_options options = {.struct_size = sizeof options, .flags = SCN_NOTHREAD};
    options.pool_bytes = 64 * PAGE_BYTES;
    return store_open_on(sys, STORE, &options, db);
}

static scn_slice make_key(char buf[16], uint32_t key)
{
    return (scn_slice){buf, (size_t)snprintf(buf, 16, "key%06u", key)};
}

/* Rows of about a page each: put, or deleted. */
static void change_rows(scn_db *db, uint32_t count, bool is_put, uint32_t durability)
{
    static uint8_t value[PAGE_BYTES - 1024];
    uint64_t random = 1; /* so that the log does not shrink */
    scn_table_id table;
    char buf[16];
    for (size_t i = 0; i < sizeof value; i++)
        value[i] = (uint8_t)(unit_random(&random) >> 24);
    for (uint32_t i = 0; i < count; i++) {
        scn_txn *txn;
        scn_slice key = make_key(buf, i);
        CHECK_OK(scn_begin(db, SCN_WRITE, &txn));
        CHECK_OK(scn_set_durability(txn, durability));
        CHECK_OK(scn_table(txn, "table", SCN_CREATE, &table));
        if (is_put)
            CHECK_OK(scn_put(txn, table, key, (scn_slice){value, sizeof value}, 0));
        else
            CHECK_OK(scn_del(txn, table, key));
        CHECK_OK(scn_commit(txn));
    }
}

TEST(checkpoint__builds_on_what_is_durable)
{
    scn_db *db;
    struct sim_disk *disk = sim_disk_create(1);
    struct sys *sys = sim_process_create(disk);
    CHECK_OK(open_on(sys, &db));
    change_rows(db, 3, true, SCN_SYNC_LAZY);
    struct store *store = db->store;
    CHECK(log_synced(store->log) < log_appended(store->log));
    CHECK_OK(scn_checkpoint(db));
    CHECK(log_synced(store->log) >= atomic_load(&store->base_lsn));
    CHECK_OK(scn_close(db));
    sim_process_destroy(sys);
    sim_disk_destroy(disk);
}

static void check_silent(scn_db *db)
{
    uint64_t issues = 1;
    CHECK_OK(scn_check(db, SCN_CHECK_ALL, NULL, NULL, &issues));
    CHECK_EQ(issues, 0);
}

/* Reserved pages that no generation knows yet: those of the log alone, where no bulk run
 * is under way. */
static uint64_t log_pages(struct store *store)
{
    struct log_extent extents[64];
    struct log_spare spares[LOG_SPARE_MAX];
    uint64_t pages = 0;
    uint32_t count = log_extents(store->log, extents, 64);
    CHECK(count <= 64);
    for (uint32_t i = 0; i < count; i++)
        pages += space_is_used(store->space, extents[i].pgno) ? 0 : extents[i].pages;
    count = log_spares(store->log, spares, LOG_SPARE_MAX);
    for (uint32_t i = 0; i < count; i++)
        pages += space_is_used(store->space, spares[i].pgno) ? 0 : spares[i].pages;
    return pages;
}

static bool log_knows(struct store *store, uint32_t pgno)
{
    struct log_extent extents[64];
    struct log_spare spares[LOG_SPARE_MAX];
    bool knows = false;
    uint32_t count = log_extents(store->log, extents, 64);
    for (uint32_t i = 0; i < count; i++)
        knows |= extents[i].pgno == pgno;
    count = log_spares(store->log, spares, LOG_SPARE_MAX);
    for (uint32_t i = 0; i < count; i++)
        knows |= spares[i].pgno == pgno;
    return knows;
}

static void check_nothing_is_lost(scn_db *db)
{
    struct space_stat stat;
    struct store *store = db->store;
    for (uint32_t i = 0; i < store->superblock.spare_count; i++)
        CHECK(log_knows(store, store->superblock.spares[i].pgno));
    space_stat(store->space, &stat);
    CHECK_EQ(stat.used_pages + stat.free_pages + log_pages(store), stat.end_pages);
    check_silent(db);
}

/* A file that is mostly garbage, and spares: the next checkpoint drains it. */
static void make_garbage(scn_db *db)
{
    change_rows(db, ROWS, true, SCN_SYNC_FULL);
    for (int i = 0; i < 4; i++) { /* the extents of the rows come back as spares */
        change_rows(db, 1, true, SCN_SYNC_FULL);
        CHECK_OK(checkpoint_run(db->store, CHECKPOINT_PLAIN));
    }
    change_rows(db, ROWS - 2, false, SCN_SYNC_FULL);
    CHECK(log_spare_count(db->store->log) > 1);
}

/* New rows, for which the file has to grow. */
static void make_rows(scn_db *db)
{
    change_rows(db, ROWS, true, SCN_SYNC_FULL);
}

/* False: there are not so many writes. */
static bool fail_in_write(uint64_t nth, void (*make)(scn_db *db))
{
    scn_db *db;
    struct sim_fault fault = {SIM_FAIL, SIM_WRITE, .nth = nth, .error = ENOSPC};
    struct sim_disk *disk = sim_disk_create(1);
    struct sys *sys = sim_process_create(disk);
    CHECK_OK(open_on(sys, &db));
    struct store *store = db->store;
    make(db);
    sim_fault_set(sys, &fault);
    scn_status st = scn_checkpoint(db);
    bool has_failed = sim_fault_hits(sys) > 0;
    sim_fault_clear(sys);
    if (!file_is_poisoned(&store->file)) { /* by a superblock or the log */
        CHECK_EQ(st, has_failed ? SCN_FULL : SCN_OK);
        check_nothing_is_lost(db);
        CHECK_OK(scn_checkpoint(db));
        check_nothing_is_lost(db);
    }
    (void)scn_close(db);
    sim_process_destroy(sys);
    sim_disk_destroy(disk);
    return has_failed;
}

TEST(checkpoint__that_fails_in_any_write_loses_no_page)
{
    uint64_t nth = 1;
    while (fail_in_write(nth, make_garbage))
        nth += STEP;
    CHECK(nth > 10);
}

TEST(checkpoint__that_fails_while_the_file_grows_loses_no_page)
{
    uint64_t nth = 1;
    while (fail_in_write(nth, make_rows))
        nth += STEP;
    CHECK(nth > 4);
}

/* False: there are not so many calls. */
static bool fail_in_call(uint64_t nth)
{
    scn_db *db;
    struct sim_fault fault = {SIM_FAIL, SIM_ANY, .nth = nth, .error = EIO};
    struct sim_disk *disk = sim_disk_create(1);
    struct sys *sys = sim_process_create(disk);
    CHECK_OK(open_on(sys, &db));
    make_garbage(db);
    sim_fault_set(sys, &fault);
    (void)scn_checkpoint(db);
    bool has_failed = sim_fault_hits(sys) > 0;
    sim_fault_clear(sys);
    if (file_is_poisoned(&db->store->file))
        CHECK_OK(session_cure(db->store));
    for (int i = 0; i < 2; i++) {
        change_rows(db, 1, true, SCN_SYNC_FULL);
        CHECK_OK(scn_checkpoint(db));
        check_nothing_is_lost(db);
    }
    CHECK_OK(scn_close(db));
    sim_process_destroy(sys);
    sim_disk_destroy(disk);
    return has_failed;
}

/* Nor is any behind the superblock, where only a cure goes on. */
TEST(checkpoint__that_fails_in_any_call_leaves_a_process_that_goes_on)
{
    uint64_t nth = 1;
    while (fail_in_call(nth))
        nth += STEP;
    CHECK(nth > 10);
}

/* ---- pages that wait for a checkpoint ---- */

/* A transaction that is too large for a record. */
static void commit_run(scn_db *db)
{
    static uint8_t noise[PAGE_BYTES];
    scn_txn *txn;
    scn_table_id table;
    char buf[16];
    CHECK_OK(scn_begin(db, SCN_WRITE, &txn));
    CHECK_OK(scn_table(txn, "run", SCN_CREATE, &table));
    for (uint32_t i = 0; i < log_payload_max() / PAGE_BYTES + 2; i++)
        CHECK_OK(scn_put(txn, table, make_key(buf, i), (scn_slice){noise, PAGE_BYTES},
                         0));
    CHECK_OK(scn_commit(txn));
}

TEST(run__keeps_its_pages_until_it_is_merged)
{
    scn_db *db;
    uint32_t pages = 0;
    struct sim_disk *disk = sim_disk_create(1);
    struct sys *sys = sim_process_create(disk);
    CHECK_OK(open_on(sys, &db));
    struct store *store = db->store;
    commit_run(db);
    space_forget_reservations(store->space);
    CHECK_OK(append_enter(store, 0));
    CHECK_OK(reserve_all(store));
    append_leave(store);
    for (uint32_t i = 0; i < store->view->source_count; i++) {
        const struct run *run = store->view->sources[i].run;
        for (uint32_t k = 0; run && k < run->range_count; k++) {
            const struct op_range *range = &run->ranges[k];
            for (uint32_t page = 0; page < range->pages; page++, pages++)
                CHECK_EQ(space_reserve(store->space, range->pgno + page, 1), SCN_CORRUPT);
        }
    }
    CHECK(pages > 0);
    CHECK_OK(scn_checkpoint(db));
    check_nothing_is_lost(db);
    CHECK_OK(scn_close(db));
    sim_process_destroy(sys);
    sim_disk_destroy(disk);
}

/* A checkpoint gives the end of the file back, but for what somebody is about to use. */
TEST(run__keeps_its_pages_until_its_commit)
{
    static uint8_t value[PAGE_BYTES / 2];
    enum { RUN_ROWS = 3 * (WRITE_SET_BYTES_MAX / PAGE_BYTES) };
    scn_db *db;
    scn_txn *txn;
    scn_table_id table;
    char buf[16];
    struct sim_disk *disk = sim_disk_create(1);
    struct sys *sys = sim_process_create(disk);
    CHECK_OK(open_on(sys, &db));
    make_rows(db);
    CHECK_OK(scn_begin(db, SCN_WRITE, &txn));
    CHECK_OK(scn_table(txn, "run", SCN_CREATE, &table));
    for (uint32_t i = 0; i < RUN_ROWS; i++)
        CHECK_OK(scn_put(txn, table, make_key(buf, i),
                         (scn_slice){value, sizeof value}, 0));
    CHECK(txn->writes.segment_count > 0);
    CHECK_OK(scn_checkpoint(db));
    CHECK_OK(scn_commit(txn));
    CHECK_OK(scn_checkpoint(db));
    check_nothing_is_lost(db);
    CHECK_OK(scn_begin(db, SCN_READ, &txn));
    for (uint32_t i = 0; i < RUN_ROWS; i++)
        CHECK_OK(scn_get(txn, table, make_key(buf, i), NULL));
    scn_abort(txn);
    CHECK_OK(scn_close(db));
    sim_process_destroy(sys);
    sim_disk_destroy(disk);
}

/* [L7]: its size too, or a power cut leaves it behind the end of the file. */
TEST(room__extent_is_zero_and_durable_before_anybody_uses_it)
{
    scn_db *db;
    struct log_spare spare;
    static uint8_t bytes[LOG_EXTENT_PAGES * PAGE_BYTES];
    struct sim_choice none = {.keep = SIM_KEEP_NONE};
    struct sim_disk *disk = sim_disk_create(1);
    struct sys *sys = sim_process_create(disk);
    CHECK_OK(open_on(sys, &db));
    CHECK_OK(room_extend(db->store, false));
    CHECK_EQ(log_spares(db->store->log, &spare, 1), 1);
    struct sim_disk *after = sim_crash(disk, &none);
    CHECK(sim_peek(after, STORE, (uint64_t)spare.pgno * PAGE_BYTES, bytes, sizeof bytes));
    CHECK(bytes_are_zero(bytes, sizeof bytes));
    sim_disk_destroy(after);
    CHECK_OK(scn_close(db));
    sim_process_destroy(sys);
    sim_disk_destroy(disk);
}

/* ---- extents ---- */

/* Records of a little more than half an extent: each extent holds one. */
static uint64_t one_round(scn_db *db)
{
    enum { LEN = LOG_EXTENT_PAGES * PAGE_BYTES / 2 + 100, PUTS = 6 };
    static uint8_t noise[LEN];
    static uint64_t random = 1;
    for (int i = 0; i < PUTS; i++) {
        for (size_t k = 0; k < LEN; k++)
            noise[k] = (uint8_t)(unit_random(&random) >> 24);
        CHECK_OK(scn_put1(db, "rows", (scn_slice){"key", 3}, (scn_slice){noise, LEN}));
    }
    CHECK_OK(checkpoint_run(db->store, CHECKPOINT_PLAIN));
    return atomic_load(&db->store->file.page_count);
}

/* A round of the log takes more extents than its size says that it needs.  (Of large
 * pages two records fit each extent.) */
TEST(extents__of_a_long_log_are_used_again)
{
    enum { ROUNDS = PAGE_IS_SMALL ? 24 : 0, SETTLED = 8 };
    scn_db *db;
    struct sim_disk *disk = sim_disk_create(1);
    struct sys *sys = sim_process_create(disk);
    CHECK_OK(open_on(sys, &db));
    db->store->options.log_bytes = 4 * LOG_EXTENT_PAGES * PAGE_BYTES;
    uint64_t settled = 0;
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t pages = one_round(db);
        settled = i <= SETTLED ? pages : settled;
        CHECK(pages <= settled);
    }
    CHECK_OK(scn_close(db));
    sim_process_destroy(sys);
    sim_disk_destroy(disk);
}
