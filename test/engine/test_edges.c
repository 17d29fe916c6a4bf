/* Transactions at the edges of what a record holds: found by stories, told again here. */
#include "engine/frozen.h"
#include "engine/room.h"
#include "engine/txn.h"
#include "page/mem.h"
#include "test/sim/disk.h"
#include "test/unit/unit.h"

#include <errno.h>

static scn_db *open_with(uint32_t pool_pages)
{
    scn_options options = {.struct_size = sizeof options, .flags = SCN_NOTHREAD};
    scn_db *db;
    options.pool_bytes = pool_pages * PAGE_BYTES;
    CHECK_OK(scn_open(":memory:", &options, &db));
    return db;
}

static scn_db *open_store(void)
{
    return open_with(64);
}

static scn_txn *begin(scn_db *db, scn_table_id *table)
{
    scn_txn *txn;
    CHECK_OK(scn_begin(db, SCN_WRITE, &txn));
    CHECK_OK(scn_table(txn, "table", SCN_CREATE, table));
    return txn;
}

static scn_slice make_key(char buf[16], uint32_t key)
{
    return (scn_slice){buf, (size_t)snprintf(buf, 16, "key%06u", key)};
}

/* The addition goes into the record last, when it is too late for a bulk run. */
TEST(edges__a_full_record_leaves_room_for_its_additions)
{
    scn_db *db = open_store();
    scn_table_id table;
    uint8_t *noise = malloc(log_payload_max());
    uint64_t random = unit_seed() | 1;
    for (uint32_t i = 0; i < log_payload_max(); i++)
        noise[i] = (uint8_t)(unit_random(&random) >> 24);
    for (uint32_t less = 0; less < 120; less += 3) {
        scn_txn *txn = begin(db, &table);
        scn_slice value = {noise, log_payload_max() - less};
        CHECK_OK(scn_put(txn, table, (scn_slice){"large", 5}, value, 0));
        CHECK_OK(scn_add(txn, table, (scn_slice){"sum", 3}, 1, INT64_MIN, INT64_MAX));
        CHECK_OK(scn_commit(txn));
    }
    free(noise);
    CHECK_OK(scn_close(db));
}

/* A bulk run may hold more deletions than rows. */
TEST(edges__a_bulk_run_may_hold_little_but_deletions)
{
    enum { KEYS = PAGE_IS_SMALL ? 3000 : 60000, LONG = 40 };
    static const uint8_t zeros[LONG];
    scn_db *db = open_store();
    scn_table_id table;
    char buf[16];
    uint64_t count;
    for (int round = 0; round < 2; round++) {
        scn_txn *txn = begin(db, &table);
        for (uint32_t i = 0; i < KEYS; i++)
            CHECK_OK(scn_put(txn, table, make_key(buf, i), (scn_slice){zeros, LONG}, 0));
        CHECK_OK(scn_commit(txn));
        txn = begin(db, &table);
        CHECK_OK(scn_put(txn, table, make_key(buf, 7), (scn_slice){zeros, LONG}, 0));
        for (uint32_t i = 10; i < KEYS; i++)
            CHECK_OK(scn_del(txn, table, make_key(buf, i)));
        CHECK_OK(scn_commit(txn));
        txn = begin(db, &table);
        CHECK_OK(scn_table_count(txn, table, &count));
        CHECK_EQ(count, 10);
        scn_abort(txn);
        CHECK_OK(scn_checkpoint(db));
    }
    CHECK_OK(scn_close(db));
}

/* A counter of what a long transaction does. */
TEST(edges__additions_to_one_key_take_no_memory_each)
{
    scn_db *db = open_store();
    scn_table_id table;
    scn_slice key = {"sum", 3};
    scn_slice value;
    uint32_t savepoint;
    scn_txn *txn = begin(db, &table);
    for (int i = 0; i < 100000; i++)
        CHECK_OK(scn_add(txn, table, key, 1, 0, INT64_MAX));
    CHECK_OK(scn_savepoint(txn, &savepoint));
    for (int i = 0; i < 100000; i++)
        CHECK_OK(scn_add(txn, table, key, 1, 0, INT64_MAX));
    CHECK(delta_bytes(txn->writes.adds) < 16384);
    CHECK_OK(scn_get(txn, table, key, &value));
    CHECK_EQ(get_u64(value.data), 200000);
    CHECK_OK(scn_rollback_to(txn, savepoint));
    CHECK_OK(scn_get(txn, table, key, &value));
    CHECK_EQ(get_u64(value.data), 100000);
    CHECK_OK(scn_add(txn, table, key, 1, 0, INT64_MAX));
    CHECK_OK(scn_rollback_to(txn, savepoint));
    CHECK_OK(scn_commit(txn));
    txn = begin(db, &table);
    CHECK_OK(scn_get(txn, table, key, &value));
    CHECK_EQ(get_u64(value.data), 100000);
    scn_abort(txn);
    CHECK_OK(scn_close(db));
}

/* A layer above may set one for each of its statements. */
TEST(edges__savepoints_make_no_runs_of_their_own_at_commit)
{
    enum { SAVEPOINTS = 60 };
    static uint8_t value[2000];
    scn_db *db = open_store();
    scn_table_id table;
    char buf[16];
    uint32_t savepoint;
    scn_stats_t stats = {.struct_size = sizeof stats};
    scn_txn *txn = begin(db, &table);
    uint64_t bytes = 2 * log_payload_max();
    for (uint32_t i = 0; i * sizeof value < bytes || i < SAVEPOINTS; i++) {
        CHECK_OK(scn_savepoint(txn, &savepoint));
        CHECK_OK(scn_put(txn, table, make_key(buf, i),
                         (scn_slice){value, sizeof value}, 0));
    }
    CHECK_EQ(txn->writes.segment_count, 0); /* the commit has to make the runs */
    CHECK_OK(scn_commit(txn));
    CHECK_OK(scn_stats(db, &stats));
    CHECK_EQ(stats.runs, 1);
    CHECK_OK(scn_close(db));
}

/* A commit that found the log full gives the append lock back, and the checkpoint that
 * was only waiting for it ends before the commit has come to wait for that.  No other
 * checkpoint is due then. */
TEST(edges__nobody_waits_for_a_checkpoint_that_has_ended)
{
    scn_options options = {.struct_size = sizeof options};
    scn_db *db;
    options.pool_bytes = 64 * PAGE_BYTES;
    CHECK_OK(scn_open(":memory:", &options, &db));
    CHECK_OK(scn_put1(db, "t", (scn_slice){"k", 1}, (scn_slice){"v", 1}));
    struct sys *sys = db->store->sys;
    uint64_t until = sys->ops->now_ns(sys) + UINT64_C(200000000);
    CHECK_OK(room_wait(db->store, CHECKPOINT_PLAIN, until));
    CHECK_OK(scn_close(db));
}

/* Somebody else's sync fails while a commit waits for a checkpoint. */
TEST(edges__nobody_waits_for_a_checkpoint_that_will_never_come)
{
    scn_options options = {.struct_size = sizeof options};
    scn_db *db;
    options.pool_bytes = 64 * PAGE_BYTES;
    CHECK_OK(scn_open(":memory:", &options, &db));
    struct sys *sys = db->store->sys;
    uint64_t until = sys->ops->now_ns(sys) + UINT64_C(60000000000);
    file_poison(&db->store->file);
    CHECK_EQ(room_wait(db->store, CHECKPOINT_DRAIN, until), SCN_POISONED);
    CHECK(sys->ops->now_ns(sys) < until);
    CHECK_OK(scn_close(db));
}

/* Each search in the table looks at every range that was deleted since. */
TEST(edges__many_deleted_ranges_make_a_checkpoint_due)
{
    enum { RANGES = CLEAR_COUNT_HIGH + 1, ROWS = 66 };
    scn_db *db = open_store();
    scn_table_id table;
    char buf[16];
    char end[16];
    scn_txn *txn = begin(db, &table);
    for (uint32_t i = 0; i < RANGES * ROWS; i++)
        CHECK_OK(scn_put(txn, table, make_key(buf, i), (scn_slice){NULL, 0}, 0));
    CHECK_OK(scn_commit(txn));
    CHECK_OK(scn_checkpoint(db));
    for (uint32_t i = 0; i < RANGES; i++) {
        CHECK(!room_is_checkpoint_due(db->store));
        txn = begin(db, &table);
        CHECK_OK(scn_del_range(txn, table, make_key(buf, i * ROWS),
                               make_key(end, (i + 1) * ROWS), NULL));
        CHECK_OK(scn_commit(txn));
    }
    CHECK(room_is_checkpoint_due(db->store));
    CHECK_OK(scn_tick(db, 0));
    CHECK(!room_is_checkpoint_due(db->store));
    CHECK_OK(scn_close(db));
}

/* A bulk run finds no room: the put that asked for it is none, and those before are not
 * lost. */
TEST(edges__a_put_that_failed_is_not_committed)
{
    static uint8_t noise[PAGE_BYTES / 8];
    struct sim_fault fault = {SIM_FAIL, SIM_WRITE, .nth = 1, .error = ENOSPC};
    scn_options options = {.struct_size = sizeof options, .flags = SCN_NOTHREAD};
    scn_db *db;
    scn_table_id table;
    scn_status st = SCN_OK;
    char buf[16];
    uint32_t key = 0;
    uint64_t count;
    struct sim_disk *disk = sim_disk_create(1);
    struct sys *sys = sim_process_create(disk);
    options.pool_bytes = 64 * PAGE_BYTES;
    CHECK_OK(store_open_on(sys, "store", &options, &db));
    scn_txn *txn = begin(db, &table);
    sim_fault_set(sys, &fault);
    while (st == SCN_OK)
        st = scn_put(txn, table, make_key(buf, key++), (scn_slice){noise, sizeof noise},
                     0);
    CHECK_EQ(st, SCN_FULL);
    CHECK_EQ(sim_fault_hits(sys), 1);
    CHECK_EQ(scn_get(txn, table, make_key(buf, key - 1), NULL), SCN_NOTFOUND);
    CHECK_OK(scn_get(txn, table, make_key(buf, key - 2), NULL));
    CHECK_OK(scn_commit(txn));
    txn = begin(db, &table);
    CHECK_OK(scn_table_count(txn, table, &count));
    CHECK_EQ(count, key - 1);
    scn_abort(txn);
    CHECK_OK(scn_close(db));
    sim_process_destroy(sys);
    sim_disk_destroy(disk);
}

/* ---- more pages than the pool has ---- */

enum { WIDE_KEYS = PAGE_IS_SMALL ? 6144 : 122880, WIDE_BYTES = 250, WIDE_POOL = 96 };

/* Rows in their leaves, in many more pages than the pool has. */
static scn_db *open_wide(void)
{
    static uint8_t value[WIDE_BYTES];
    scn_db *db = open_with(WIDE_POOL);
    scn_table_id table;
    char buf[16];
    scn_txn *txn = begin(db, &table);
    for (uint32_t i = 0; i < WIDE_KEYS; i++) {
        memcpy(value, &i, sizeof i);
        CHECK_OK(scn_put(txn, table, make_key(buf, i), (scn_slice){value, WIDE_BYTES},
                         0));
    }
    CHECK_OK(scn_commit(txn));
    CHECK_OK(scn_checkpoint(db));
    return db;
}

static uint64_t private_frames(scn_db *db)
{
    struct pool_stat stat;
    pool_stat(db->store->pool, &stat);
    return stat.private_frames;
}

TEST(edges__a_search_behind_a_deleted_range_keeps_to_the_pool)
{
    scn_db *db = open_wide();
    scn_table_id table;
    char first[16];
    char last[16];
    scn_cursor *cursor;
    scn_slice key;
    scn_txn *txn = begin(db, &table);
    CHECK_OK(scn_del_range(txn, table, make_key(first, 0),
                           make_key(last, WIDE_KEYS - 1), NULL));
    CHECK_OK(scn_commit(txn));
    uint64_t before = private_frames(db);
    CHECK_OK(scn_begin(db, SCN_READ, &txn));
    CHECK_OK(scn_cursor_open(txn, table, &cursor));
    CHECK_OK(scn_first(cursor, &key, NULL));
    CHECK(key.size == 9 && memcmp(key.data, last, 9) == 0);
    CHECK(private_frames(db) - before < 64);
    scn_abort(txn);
    CHECK_OK(scn_close(db));
}

/* Tables with a row each, so that the catalog has many more leaves than the pool has
 * pages. */
static scn_db *open_manifold(uint32_t tables)
{
    scn_db *db = open_with(64);
    char name[16];
    for (uint32_t i = 0; i < tables;) {
        scn_txn *txn;
        CHECK_OK(scn_begin(db, SCN_WRITE, &txn));
        for (uint32_t end = i + 100; i < end && i < tables; i++) {
            scn_table_id id;
            snprintf(name, sizeof name, "t%u", i);
            CHECK_OK(scn_table(txn, name, SCN_CREATE, &id));
            CHECK_OK(scn_put(txn, id, (scn_slice){"k", 1}, (scn_slice){"v", 1}, 0));
        }
        CHECK_OK(scn_commit(txn));
    }
    CHECK_OK(scn_checkpoint(db));
    return db;
}

TEST(edges__a_count_of_all_tables_keeps_to_the_pool)
{
    enum { TABLES = PAGE_IS_SMALL ? 8000 : 500 };
    scn_stats_t stats = {.struct_size = sizeof stats};
    scn_db *db = open_manifold(TABLES);
    uint64_t before = private_frames(db);
    CHECK_OK(scn_stats(db, &stats));
    CHECK_EQ(stats.tables, TABLES);
    CHECK(private_frames(db) - before < 16);
    CHECK_OK(scn_close(db));
}

TEST(edges__a_list_of_all_tables_keeps_to_the_pool)
{
    enum { TABLES = PAGE_IS_SMALL ? 8000 : 500 };
    scn_db *db = open_manifold(TABLES);
    uint64_t visible;
    uint32_t *ids = NULL;
    uint32_t count = 0;
    uint64_t before = private_frames(db);
    struct frozen frozen = {.view = store_view(db->store, &visible),
                            .reader = db->store->frozen_reader};
    CHECK_OK(frozen_tables(&frozen, true, &ids, &count));
    CHECK_EQ(count, TABLES);
    CHECK(private_frames(db) - before < 16);
    mem_free(ids);
    store_view_release(db->store, frozen.view);
    CHECK_OK(scn_close(db));
}

static void get_many_wide(scn_db *db, uint32_t flags)
{
    enum { KEYS = 1024, STEP = WIDE_KEYS / KEYS };
    static char buf[KEYS][16];
    static scn_slice keys[KEYS];
    static scn_slice values[KEYS];
    static scn_status statuses[KEYS];
    scn_table_id table;
    scn_txn *txn;
    uint64_t before = private_frames(db);
    for (uint32_t i = 0; i < KEYS; i++)
        keys[i] = make_key(buf[i], i * STEP);
    CHECK_OK(scn_begin(db, flags, &txn));
    CHECK_OK(scn_table(txn, "table", 0, &table));
    CHECK_OK(scn_get_many(txn, table, keys, KEYS, values, statuses));
    for (uint32_t i = 0; i < KEYS; i++) {
        uint32_t number = i * STEP;
        CHECK_OK(statuses[i]);
        CHECK_EQ(values[i].size, WIDE_BYTES);
        CHECK(memcmp(values[i].data, &number, sizeof number) == 0);
    }
    CHECK(private_frames(db) - before < 64);
    scn_abort(txn);
}

TEST(edges__many_keys_at_once_keep_to_the_pool)
{
    scn_db *db = open_wide();
    get_many_wide(db, SCN_READ);
    get_many_wide(db, SCN_WRITE);
    CHECK_OK(scn_close(db));
}
