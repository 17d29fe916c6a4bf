/* The first moments of a file: its name, and who comes next when its maker failed. */
#include "engine/store.h"
#include "test/sim/disk.h"
#include "test/unit/unit.h"

#include <errno.h>

#define STORE "store"

static scn_status open_on(struct sys *sys, uint32_t flags, scn_db **db)
{
    scn_options options = {.struct_size = sizeof options, .flags = SCN_NOTHREAD | flags};
    options.pool_bytes = 64 * PAGE_BYTES;
    return store_open_on(sys, STORE, &options, db);
}

static void put_word(scn_db *db, const char *word)
{
    scn_slice key = {word, strlen(word)};
    CHECK_OK(scn_put1(db, "words", key, key));
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

/* The maker got no further than the name; the next one commits, and the power goes. */
static void check_name_survives(const struct sim_fault *fault)
{
    struct sim_choice nothing_pending = {.keep = SIM_KEEP_NONE};
    struct sim_disk *disk = sim_disk_create(unit_seed());
    struct sys *maker = sim_process_create(disk);
    scn_db *db;
    sim_fault_set(maker, fault);
    CHECK(open_on(maker, 0, &db) < 0);
    sim_process_destroy(maker);

    struct sys *second = sim_process_create(disk);
    CHECK_OK(open_on(second, SCN_NOCREATE, &db));
    put_word(db, "acknowledged");
    struct sim_disk *after = sim_crash(disk, &nothing_pending);
    CHECK_OK(scn_close(db));
    sim_process_destroy(second);
    sim_disk_destroy(disk);

    struct sys *third = sim_process_create(after);
    CHECK_OK(open_on(third, SCN_NOCREATE, &db));
    check_word(db, "acknowledged");
    CHECK_OK(scn_close(db));
    sim_process_destroy(third);
    sim_disk_destroy(after);
}

TEST(creation__who_finds_a_name_that_may_vanish_makes_it_durable)
{
    struct sim_fault killed = {.kind = SIM_KILL, .call = SIM_SYNC_DIR, .nth = 1};
    struct sim_fault failed = {.kind = SIM_FAIL, .call = SIM_SYNC_DIR, .nth = 1};
    failed.error = EIO;
    check_name_survives(&killed);
    check_name_survives(&failed);
}
