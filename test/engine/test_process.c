/* What a store promises to other processes, to its own children, and to the next life. */
#include "engine/store.h"
#include "test/sim/disk.h"
#include "test/unit/unit.h"

#define STORE "store"

static scn_status open_on(struct sys *sys, uint32_t flags, scn_db **db)
{
    scn_options options = {.struct_size = sizeof options, .flags = SCN_NOTHREAD | flags};
    options.pool_bytes = 64 * PAGE_BYTES;
    options.busy_timeout_ms = 20;
    return store_open_on(sys, STORE, &options, db);
}

static scn_slice text(const char *from)
{
    return (scn_slice){from, strlen(from)};
}

static scn_status put(scn_db *db, const char *key, const char *value, uint32_t durability)
{
    scn_txn *txn;
    scn_table_id table;
    CHECK_OK(scn_begin(db, SCN_WRITE, &txn));
    CHECK_OK(scn_set_durability(txn, durability));
    CHECK_OK(scn_table(txn, "table", SCN_CREATE, &table));
    CHECK_OK(scn_put(txn, table, text(key), text(value), 0));
    return scn_commit(txn);
}

static bool has(scn_db *db, const char *key)
{
    scn_txn *txn;
    scn_table_id table;
    CHECK_OK(scn_begin(db, SCN_READ, &txn));
    scn_status st = scn_table(txn, "table", 0, &table);
    if (st == SCN_OK)
        st = scn_get(txn, table, text(key), NULL);
    scn_abort(txn);
    CHECK(st == SCN_OK || st == SCN_NOTFOUND);
    return st == SCN_OK;
}

TEST(process__that_is_exclusive_is_alone)
{
    scn_db *writer;
    scn_db *other;
    struct sim_disk *disk = sim_disk_create(1);
    struct sys *first = sim_process_create(disk);
    struct sys *second = sim_process_create(disk);
    CHECK_OK(open_on(first, SCN_EXCLUSIVE, &writer));
    CHECK_EQ(open_on(second, 0, &other), SCN_BUSY);
    CHECK_EQ(open_on(second, SCN_EXCLUSIVE, &other), SCN_BUSY);
    CHECK_EQ(open_on(second, SCN_RDONLY, &other), SCN_BUSY);
    CHECK_OK(put(writer, "key", "value", SCN_SYNC_FULL));
    CHECK_OK(scn_close(writer));
    CHECK_OK(open_on(second, SCN_RDONLY, &other));
    CHECK(has(other, "key"));
    CHECK_EQ(open_on(first, SCN_EXCLUSIVE, &writer), SCN_BUSY);
    CHECK_OK(scn_close(other));
    CHECK_OK(open_on(first, SCN_EXCLUSIVE, &writer));
    CHECK_OK(scn_close(writer));
    sim_process_destroy(first);
    sim_process_destroy(second);
    sim_disk_destroy(disk);
}

TEST(process__that_was_forked_does_not_touch_the_store)
{
    scn_db *db;
    scn_txn *open;
    scn_txn *other;
    struct sim_disk *disk = sim_disk_create(1);
    struct sys *sys = sim_process_create(disk);
    CHECK_OK(open_on(sys, 0, &db));
    CHECK_OK(scn_begin(db, SCN_WRITE, &open));
    sim_process_set_forked(sys, true);
    CHECK_EQ(scn_begin(db, SCN_READ, &other), SCN_FORKED);
    CHECK_EQ(scn_commit(open), SCN_FORKED);
    CHECK_EQ(scn_checkpoint(db), SCN_FORKED);
    CHECK_EQ(scn_tick(db, 0), SCN_FORKED);
    CHECK_EQ(scn_close(db), SCN_FORKED);
    sim_process_set_forked(sys, false);
    CHECK_OK(scn_commit(open));
    CHECK_OK(scn_close(db));
    sim_process_destroy(sys);
    sim_disk_destroy(disk);
}

/* A power cut after a lazy commit and what is done then. */
static void check_lazy(bool ticks)
{
    scn_db *db;
    struct sim_choice none = {.keep = SIM_KEEP_NONE};
    struct sim_disk *disk = sim_disk_create(1);
    struct sys *sys = sim_process_create(disk);
    CHECK_OK(open_on(sys, 0, &db));
    /* The first commit of a life is synced in any case. */
    CHECK_OK(put(db, "first", "value", SCN_SYNC_FULL));
    CHECK_OK(put(db, "lazy", "value", SCN_SYNC_LAZY));
    CHECK(log_synced(db->store->log) < log_appended(db->store->log));
    CHECK_OK(ticks ? scn_tick(db, 0) : scn_close(db));
    struct sim_disk *after = sim_crash(disk, &none);
    if (ticks)
        CHECK_OK(scn_close(db));
    sim_process_destroy(sys);
    sim_disk_destroy(disk);
    sys = sim_process_create(after);
    CHECK_OK(open_on(sys, 0, &db));
    CHECK(has(db, "lazy"));
    CHECK_OK(scn_close(db));
    sim_process_destroy(sys);
    sim_disk_destroy(after);
}

TEST(process__that_closes_leaves_lazy_commits_durable)
{
    check_lazy(false);
}

TEST(process__that_ticks_makes_lazy_commits_durable)
{
    check_lazy(true);
}

/* The name as well: it may be the only thing that the folder was not told of. */
TEST(process__that_created_a_store_finds_it_after_a_power_cut)
{
    scn_db *db;
    struct sim_disk *disk = sim_disk_create(1);
    struct sys *sys = sim_process_create(disk);
    CHECK_OK(open_on(sys, 0, &db));
    CHECK_OK(put(db, "key", "value", SCN_SYNC_FULL));
    struct sim_choice none = {.keep = SIM_KEEP_NONE};
    struct sim_disk *after = sim_crash(disk, &none);
    CHECK_OK(scn_close(db));
    sim_process_destroy(sys);
    sim_disk_destroy(disk);
    sys = sim_process_create(after);
    CHECK_OK(open_on(sys, SCN_NOCREATE, &db));
    CHECK(has(db, "key"));
    CHECK_OK(scn_close(db));
    sim_process_destroy(sys);
    sim_disk_destroy(after);
}

/* What a power cut leaves of the disk that was not synced. */
static struct sim_disk *cut_power(struct sim_disk *disk, struct sys *sys)
{
    struct sim_choice none = {.keep = SIM_KEEP_NONE};
    struct sim_disk *after = sim_crash(disk, &none);
    sim_process_destroy(sys);
    sim_disk_destroy(disk);
    return after;
}

/* The last byte of the record that ends there, padding aside. */
static void rot_last_commit(struct sim_disk *disk, const struct log_base *end)
{
    uint8_t byte;
    uint64_t off = (uint64_t)end->extent_pgno * PAGE_BYTES + end->extent_off - 1;
    do {
        CHECK(sim_peek(disk, STORE, off, &byte, 1));
        off--;
    } while (byte == 0); /* padding */
    byte ^= 0x40;
    CHECK(sim_rot(disk, STORE, off + 1, &byte, 1));
}

TEST(process__that_had_a_quiet_moment_leaves_a_witness_of_its_last_commit)
{
    for (int ticks = 0; ticks <= 2; ticks += 2) {
        scn_db *db;
        struct log_base end;
        struct sim_disk *disk = sim_disk_create(1);
        struct sys *sys = sim_process_create(disk);
        CHECK_OK(open_on(sys, 0, &db));
        CHECK_OK(put(db, "key", "value", SCN_SYNC_FULL));
        log_position(db->store->log, &end);
        for (int i = 0; i < ticks; i++)
            CHECK_OK(scn_tick(db, 0));
        sim_process_kill(sys);
        (void)scn_close(db);
        rot_last_commit(disk, &end);
        disk = cut_power(disk, sys);
        sys = sim_process_create(disk);
        /* Without a witness the damage looks like a torn tail. */
        CHECK_EQ(open_on(sys, 0, &db), ticks ? SCN_CORRUPT : SCN_OK);
        if (ticks == 0)
            CHECK_OK(scn_close(db));
        sim_process_destroy(sys);
        sim_disk_destroy(disk);
    }
}
