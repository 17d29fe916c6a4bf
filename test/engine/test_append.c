/* What is not done under the append lock, and what has to be done again there. */
#include "engine/checkpoint.h"
#include "engine/store.h"
#include "page/bytes.h"
#include "test/sim/disk.h"
#include "test/unit/unit.h"

#include <pthread.h>

#define STORE "store"

enum { LOG_BYTES = PAGE_IS_SMALL ? 256 << 10 : 4 << 20 };

static scn_status open_with(struct sys *sys, uint32_t flags, scn_db **db)
{
    scn_options options = {.struct_size = sizeof options, .flags = SCN_NOTHREAD | flags};
    options.pool_bytes = 16 * PAGE_BYTES;
    options.log_bytes = LOG_BYTES;
    return store_open_on(sys, STORE, &options, db);
}

static scn_status open_on(struct sys *sys, scn_db **db)
{
    return open_with(sys, 0, db);
}

static scn_table_id make_table(scn_db *db)
{
    scn_txn *txn;
    scn_table_id table;
    CHECK_OK(scn_begin(db, SCN_WRITE, &txn));
    CHECK_OK(scn_table(txn, "table", SCN_CREATE, &table));
    CHECK_OK(scn_commit(txn));
    return table;
}

static scn_slice make_key(char buf[16], uint32_t key)
{
    return (scn_slice){buf, (size_t)snprintf(buf, 16, "key%06u", key)};
}

/* Rows with keys from `from` on, each with the same len bytes, in one transaction. */
static void put_rows(scn_db *db, scn_table_id table, uint32_t from, uint32_t count,
                     size_t len)
{
    static uint8_t noise[VALUE_INLINE_MAX * 4]; /* so that the log does not shrink */
    static uint64_t random = 1;
    scn_txn *txn;
    char buf[16];
    CHECK(len <= sizeof noise);
    for (size_t i = 0; i < len; i++)
        noise[i] = (uint8_t)(unit_random(&random) >> 24);
    CHECK_OK(scn_begin(db, SCN_WRITE, &txn));
    for (uint32_t i = from; i < from + count; i++)
        CHECK_OK(scn_put(txn, table, make_key(buf, i), (scn_slice){noise, len}, 0));
    CHECK_OK(scn_commit(txn));
}

/* ---- the append lock [K2] ---- */

struct witness {
    struct store *store;
    uint64_t calls[SIM_CALL_COUNT]; /* under the lock */
    bool is_held;
    uint64_t misses; /* of the pool, at the last call under the lock */
    uint64_t cold_reads;
};

static void look(void *ctx, struct sim_disk *disk, enum sim_call call,
                 enum sim_moment moment)
{
    struct witness *witness = ctx;
    (void)disk;
    (void)moment;
    bool was_held = witness->is_held;
    witness->is_held = witness->store &&
                       lock_is_mine(&witness->store->locks, LOCK_APPEND);
    if (!witness->is_held)
        return;
    struct pool_stat stat;
    pool_stat(witness->store->pool, &stat);
    witness->cold_reads += was_held && stat.misses != witness->misses;
    witness->misses = stat.misses;
    witness->calls[call]++;
}

static void add_one(scn_db *db, scn_table_id table)
{
    scn_txn *txn;
    CHECK_OK(scn_begin(db, SCN_WRITE, &txn));
    CHECK_OK(scn_add(txn, table, (scn_slice){"counter", 7}, 1, 0, INT64_MAX));
    CHECK_OK(scn_commit(txn));
}

/* Log, pool and file are so small that each of them has to make room many times. */
static struct witness watch(uint32_t flags)
{
    enum { ROUNDS = 400 };
    scn_db *db;
    struct witness witness = {.store = NULL};
    struct sim_disk *disk = sim_disk_create(1);
    struct sys *sys = sim_process_create(disk);
    CHECK_OK(open_with(sys, flags, &db));
    scn_table_id table = make_table(db);
    sim_hook_set(disk, look, &witness);
    witness.store = db->store;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        put_rows(db, table, i * 7 % 1000, 5, VALUE_INLINE_MAX * 2);
        add_one(db, table);
    }
    put_rows(db, table, 0, PAGE_IS_SMALL ? 500 : 2000, VALUE_INLINE_MAX * 2);
    CHECK_OK(scn_checkpoint(db));
    witness.store = NULL;
    CHECK_OK(scn_close(db));
    sim_process_destroy(sys);
    sim_disk_destroy(disk);
    return witness;
}

TEST(append__lock_is_held_over_no_read_and_no_sync)
{
    struct witness witness = watch(SCN_EXCLUSIVE);
    CHECK(witness.calls[SIM_WRITE] > 0);
    CHECK_EQ(witness.calls[SIM_READ], 0);
    CHECK_EQ(witness.calls[SIM_SYNC], 0);
    CHECK_EQ(witness.calls[SIM_DSYNC], 0);
    CHECK_EQ(witness.calls[SIM_FLUSH], 0);
}

/* Beside others the publish page and the log's end are looked at, and a checkpoint that
 * gives spare extents up is published under the lock (engine/extents.h). */
TEST(append__lock_is_held_over_no_cold_read)
{
    struct witness witness = watch(0);
    CHECK(witness.calls[SIM_READ] > 0);
    CHECK_EQ(witness.cold_reads, 0);
    CHECK_EQ(witness.calls[SIM_DSYNC], 0);
}

/* ---- additions ---- */

struct race {
    scn_db *db;
    scn_table_id table;
    bool is_armed; /* for the next read of the file */
    scn_status said;
};

static scn_status add(scn_db *db, scn_table_id table, int64_t first, int64_t last)
{
    scn_txn *txn;
    scn_status st = scn_begin(db, SCN_WRITE, &txn);
    if (st != SCN_OK)
        return st;
    if (first)
        st = scn_add(txn, table, (scn_slice){"a", 1}, first, 0, 100);
    if (st == SCN_OK && last)
        st = scn_add(txn, table, (scn_slice){"z", 1}, last, 0, 100);
    if (st == SCN_OK)
        return scn_commit(txn);
    scn_abort(txn);
    return st;
}

static void *add_and_merge(void *arg)
{
    struct race *race = arg;
    race->said = add(race->db, race->table, 10, 0);
    if (race->said == SCN_OK)
        race->said = checkpoint_run(race->db->store, CHECKPOINT_PLAIN);
    return NULL;
}

static void let_another_come_first(void *ctx, struct sim_disk *disk, enum sim_call call,
                                   enum sim_moment moment)
{
    struct race *race = ctx;
    pthread_t thread;
    (void)disk;
    (void)moment;
    if (call != SIM_READ || !race->is_armed)
        return;
    race->is_armed = false;
    if (pthread_create(&thread, NULL, add_and_merge, race) == 0)
        pthread_join(thread, NULL);
}

static uint64_t counter(scn_db *db, scn_table_id table, const char *key)
{
    scn_txn *txn;
    scn_slice value;
    CHECK_OK(scn_begin(db, SCN_READ, &txn));
    CHECK_OK(scn_get(txn, table, (scn_slice){key, 1}, &value));
    CHECK_EQ(value.size, 8);
    uint64_t number = get_u64(value.data);
    scn_abort(txn);
    return number;
}

/* One counter has been looked at, and the leaf of the other is being read, when somebody
 * adds to the first and a checkpoint takes that out of the delta. */
TEST(append__addition_sees_what_was_merged_while_it_looked)
{
    scn_db *db;
    struct sim_disk *disk = sim_disk_create(1);
    struct sys *sys = sim_process_create(disk);
    CHECK_OK(open_on(sys, &db));
    struct race race = {.table = make_table(db), .said = SCN_MISUSE};
    CHECK_OK(add(db, race.table, 1, 1));
    for (uint32_t i = 0; i < 40; i++)
        put_rows(db, race.table, i * 100, 100, 100); /* between the two */
    CHECK_OK(scn_checkpoint(db));
    CHECK_OK(scn_close(db));
    CHECK_OK(open_on(sys, &db));
    race.db = db;
    CHECK_EQ(counter(db, race.table, "a"), 1);
    sim_hook_set(disk, let_another_come_first, &race);
    race.is_armed = true;
    CHECK_OK(add(db, race.table, 1, 1));
    CHECK(!race.is_armed);
    CHECK_OK(race.said);
    CHECK_EQ(counter(db, race.table, "a"), 12);
    CHECK_EQ(counter(db, race.table, "z"), 2);
    CHECK_OK(scn_close(db));
    sim_process_destroy(sys);
    sim_disk_destroy(disk);
}

/* ---- the history [I3] ---- */

TEST(history__that_was_cut_off_conflicts_with_whoever_is_older)
{
    enum { ROWS = 20, ROWS_BYTES = ROWS * VALUE_INLINE_MAX };
    scn_db *db;
    scn_txn *old;
    char buf[16];
    struct sim_disk *disk = sim_disk_create(1);
    struct sys *sys = sim_process_create(disk);
    CHECK_OK(open_on(sys, &db));
    scn_table_id table = make_table(db);
    put_rows(db, table, 0, 1, 10);
    CHECK_OK(scn_begin(db, SCN_WRITE, &old));
    CHECK_OK(scn_get(old, table, make_key(buf, 0), NULL));
    CHECK_OK(scn_put(old, table, (scn_slice){"mine", 4}, (scn_slice){"1", 1}, 0));
    /* Somebody changes what it read; then so much follows that this is forgotten. */
    put_rows(db, table, 0, 1, 20);
    for (uint64_t bytes = 0; bytes < 20 * LOG_BYTES; bytes += 10 * ROWS_BYTES) {
        for (int i = 0; i < 10; i++)
            put_rows(db, table, 1, ROWS, VALUE_INLINE_MAX);
        CHECK_OK(scn_checkpoint(db));
    }
    CHECK_EQ(scn_commit(old), SCN_CONFLICT);
    CHECK_OK(scn_close(db));
    sim_process_destroy(sys);
    sim_disk_destroy(disk);
}
