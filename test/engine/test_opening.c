/* Opening a store that was closed: it costs no write, and the commit that comes next is
 * as durable as any. */
#include "engine/store.h"
#include "test/sim/disk.h"
#include "test/unit/unit.h"

#define STORE "store"

static scn_db *open_with(struct sys *sys, uint32_t flags)
{
    scn_options options = {.struct_size = sizeof options, .flags = SCN_NOTHREAD | flags};
    scn_db *db;
    options.pool_bytes = 64 * PAGE_BYTES;
    CHECK_OK(store_open_on(sys, STORE, &options, &db));
    return db;
}

static scn_db *open_on(struct sys *sys)
{
    return open_with(sys, 0);
}

static void put_bytes(scn_db *db, const char *word, size_t len)
{
    static const char bytes[1024];
    scn_slice key = {word, strlen(word)};
    CHECK_OK(scn_put1(db, "words", key, (scn_slice){bytes, len}));
}

static void put_word(scn_db *db, const char *word)
{
    put_bytes(db, word, strlen(word));
}

static void check_word(scn_db *db, const char *word)
{
    scn_slice key = {word, strlen(word)};
    void *value;
    size_t size;
    CHECK_OK(scn_get_copy(db, "words", key, &value, &size));
    CHECK_EQ(size, strlen(word));
    scn_free(value);
}

static uint64_t writes_of(struct sys *sys)
{
    return sim_call_count(sys, SIM_WRITE) + sim_call_count(sys, SIM_DSYNC) +
           sim_call_count(sys, SIM_SYNC);
}

static struct sim_disk *closed_store(void)
{
    struct sim_disk *disk = sim_disk_create(unit_seed());
    struct sys *sys = sim_process_create(disk);
    scn_db *db = open_on(sys);
    put_word(db, "first");
    put_word(db, "second");
    CHECK_OK(scn_close(db));
    sim_process_destroy(sys);
    return disk;
}

static void open_and_close(uint32_t flags)
{
    struct sim_disk *disk = closed_store();
    struct sys *sys = sim_process_create(disk);
    scn_db *db = open_with(sys, flags);
    check_word(db, "second");
    uint64_t lines = writes_of(sys); /* of the publish page */
    CHECK_EQ(lines, flags & SCN_EXCLUSIVE ? 1 : PUBLISH_LINE_COUNT - 1);
    CHECK_OK(scn_close(db));
    CHECK_EQ(writes_of(sys), lines);
    CHECK_EQ(sim_call_count(sys, SIM_SYNC) + sim_call_count(sys, SIM_DSYNC), 0);
    sim_process_destroy(sys);
    sim_disk_destroy(disk);
}

TEST(opening__of_a_closed_store_writes_nothing)
{
    open_and_close(0);
    open_and_close(SCN_EXCLUSIVE);
}

/* The process dies in its close, behind a MARK that no sync has covered. */
static void die_closing(struct sys *sys, scn_db *db)
{
    struct sim_fault killed = {.kind = SIM_KILL, .call = SIM_DSYNC, .nth = 1};
    sim_fault_set(sys, &killed);
    (void)scn_close(db);
    sim_process_destroy(sys);
}

static void check_next_commit(size_t len)
{
    struct sim_disk *disk = closed_store();
    struct sys *sys = sim_process_create(disk);
    scn_db *db = open_on(sys);
    put_bytes(db, "third", len);
    die_closing(sys, db);

    sys = sim_process_create(disk);
    db = open_on(sys);
    put_word(db, "fourth");
    struct sim_choice nothing_pending = {.keep = SIM_KEEP_NONE};
    struct sim_disk *after = sim_crash(disk, &nothing_pending);
    CHECK_OK(scn_close(db));
    sim_process_destroy(sys);
    sim_disk_destroy(disk);

    sys = sim_process_create(after);
    db = open_on(sys);
    check_word(db, "fourth");
    CHECK_OK(scn_close(db));
    sim_process_destroy(sys);
    sim_disk_destroy(after);
}

/* What chains on to a record that is not durable is no better than it, unless one sync
 * covers both.  Of all lengths: a MARK in the same sector would be saved by luck. */
TEST(opening__of_a_closed_store_makes_its_end_durable_with_the_next_commit)
{
    for (size_t len = 0; len < 512; len += 8)
        check_next_commit(len);
}
