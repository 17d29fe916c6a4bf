/* Each life of a store writes an epoch of its own, with LSNs of its own: what is asked of
 * an LSN whose epoch a power cut has taken. */
#include "engine/peers.h"
#include "engine/room.h"
#include "test/sim/disk.h"
#include "test/unit/unit.h"

#include <errno.h>

#define STORE "store"

static scn_status open_on(struct sys *sys, scn_db **db)
{
    scn_options options = {.struct_size = sizeof options, .flags = SCN_NOTHREAD};
    options.pool_bytes = 64 * PAGE_BYTES;
    options.durability = SCN_SYNC_LAZY;
    return store_open_on(sys, STORE, &options, db);
}

static uint64_t commit_lazily(scn_db *db, const char *word)
{
    scn_txn *txn;
    scn_table_id table;
    uint64_t lsn;
    scn_slice key = {word, strlen(word)};
    CHECK_OK(scn_begin(db, SCN_WRITE, &txn));
    CHECK_OK(scn_table(txn, "words", SCN_CREATE, &table));
    CHECK_OK(scn_put(txn, table, key, key, 0));
    CHECK_OK(scn_commit_at(txn, &lsn));
    return lsn;
}

static struct sim_disk *cut_power(struct sim_disk *disk, struct sys *sys, scn_db *db)
{
    struct sim_choice nothing_pending = {.keep = SIM_KEEP_NONE};
    struct sim_disk *after = sim_crash(disk, &nothing_pending);
    sim_process_kill(sys);
    (void)scn_close(db);
    sim_process_destroy(sys);
    sim_disk_destroy(disk);
    return after;
}

/* The next life writes more than the lost one did, so that it would reach its LSNs. */
static void check_lost(struct sim_disk *disk, const uint64_t *lsns, int count)
{
    struct sys *sys = sim_process_create(disk);
    scn_db *db;
    CHECK_OK(open_on(sys, &db));
    for (int i = 0; i < 4 * count; i++)
        CHECK_OK(scn_wait_durable(db, commit_lazily(db, "another"), -1));
    for (int i = 0; i < count; i++)
        CHECK_EQ(scn_wait_durable(db, lsns[i], -1), SCN_UNKNOWN);
    CHECK_OK(scn_close(db));
    sim_process_destroy(sys);
    sim_disk_destroy(disk);
}

TEST(epochs__lsns_of_lost_commits_are_never_given_again)
{
    enum { COMMITS = 5 };
    uint64_t lsns[COMMITS];
    struct sim_disk *disk = sim_disk_create(unit_seed());
    scn_db *db;
    for (int life = 0; life < 2; life++) {
        struct sys *sys = sim_process_create(disk);
        CHECK_OK(open_on(sys, &db));
        for (int i = 0; i < COMMITS; i++)
            lsns[i] = commit_lazily(db, "lost");
        disk = cut_power(disk, sys, db);
    }
    check_lost(disk, lsns + 1, COMMITS - 1);
}

/* ---- what a failed sync has dropped, seen through the page cache ---- */

static const struct sys_ops *sim_ops;

static int64_t read_cached(struct sys_file *file, uint64_t off, void *buf, uint64_t len,
                           uint32_t flags)
{
    return sim_ops->read(file, off, buf, len, flags & ~(uint32_t)SYS_UNCACHED);
}

/* A system that has no way round its cache. */
static struct sys *process_with_cache_alone(struct sim_disk *disk, struct sys_ops *ops)
{
    struct sys *sys = sim_process_create(disk);
    sim_ops = sys->ops;
    *ops = *sim_ops;
    ops->read = read_cached;
    sys->ops = ops;
    return sys;
}

/* The record that leads to another extent is the last one, as after a checkpoint that
 * moves the log, and the sync that should have made it durable fails. */
static void lose_last_extent_record(struct sys *sys)
{
    struct sim_fault failing = {.kind = SIM_FAIL, .call = SIM_SYNC, .nth = 1};
    scn_db *db;
    failing.error = EIO;
    CHECK_OK(open_on(sys, &db));
    CHECK_OK(scn_wait_durable(db, commit_lazily(db, "first"), -1));
    CHECK_OK(room_extend(db->store, false));
    CHECK_OK(append_enter(db->store, 0));
    CHECK_OK(log_roll(db->store->log));
    CHECK_OK(peers_tell_append(db->store));
    append_leave(db->store);
    sim_fault_set(sys, &failing);
    CHECK_OK(scn_close(db)); /* no commit is lost */
    sim_fault_clear(sys);
}

TEST(epochs__what_comes_behind_the_last_commit_is_made_durable_too)
{
    struct sim_disk *disk = sim_disk_create(unit_seed());
    struct sys_ops ops;
    struct sys *sys = process_with_cache_alone(disk, &ops);
    scn_db *db;
    void *value;
    size_t size;
    lose_last_extent_record(sys);
    CHECK_OK(open_on(sys, &db));
    CHECK_OK(scn_wait_durable(db, commit_lazily(db, "acknowledged"), -1));
    disk = cut_power(disk, sys, db);
    sys = sim_process_create(disk);
    CHECK_OK(open_on(sys, &db));
    CHECK_OK(scn_get_copy(db, "words", (scn_slice){"acknowledged", 12}, &value, &size));
    scn_free(value);
    CHECK_OK(scn_close(db));
    sim_process_destroy(sys);
    sim_disk_destroy(disk);
}

static bool has_word(scn_db *db, const char *word)
{
    void *value;
    size_t size;
    scn_slice key = {word, strlen(word)};
    scn_status st = scn_get_copy(db, "words", key, &value, &size);
    CHECK(st == SCN_OK || st == SCN_NOTFOUND);
    if (st == SCN_OK)
        scn_free(value);
    return st == SCN_OK;
}

/* A life that ends with a commit whose sync fails, behind so many that are durable. */
static void lose_commit(struct sys *sys, int commits)
{
    struct sim_fault failing = {.kind = SIM_FAIL, .call = SIM_DSYNC, .nth = 1,
                                .error = EIO};
    scn_db *db;
    CHECK_OK(open_on(sys, &db));
    for (int i = 0; i < commits; i++)
        CHECK_OK(scn_wait_durable(db, commit_lazily(db, "durable"), -1));
    CHECK_OK(scn_close(db));
    CHECK_OK(open_on(sys, &db));
    sim_fault_set(sys, &failing);
    /* The first lazy commit of a life waits for its sync. */
    CHECK_EQ(scn_put1(db, "words", (scn_slice){"lost", 4}, (scn_slice){"", 0}),
             SCN_UNKNOWN);
    sim_fault_clear(sys);
    (void)scn_close(db);
}

/* Nothing is written but what lies beside it. */
TEST(epochs__a_commit_that_was_seen_to_be_lost_does_not_come_back)
{
    for (int commits = 1; commits < 12; commits++) {
        struct sim_disk *disk = sim_disk_create(unit_seed());
        struct sys *sys = sim_process_create(disk);
        scn_db *db;
        lose_commit(sys, commits);
        CHECK_OK(open_on(sys, &db));
        CHECK(!has_word(db, "lost"));
        CHECK_OK(scn_tick(db, 1));
        CHECK_OK(scn_close(db));
        CHECK_OK(open_on(sys, &db));
        CHECK(!has_word(db, "lost"));
        CHECK_OK(scn_close(db));
        sim_process_destroy(sys);
        sim_disk_destroy(disk);
    }
}
