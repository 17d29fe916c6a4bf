/* Each life of a store writes an epoch of its own, with LSNs of its own: what is asked of
 * an LSN whose epoch a power cut has taken. */
#include "engine/store.h"
#include "test/sim/disk.h"
#include "test/unit/unit.h"

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
