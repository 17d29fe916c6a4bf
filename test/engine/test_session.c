/* Coming, going and the cure, one step after another: engine/session.c. */
#include "engine/session.h"
#include "engine/store.h"
#include "test/sim/disk.h"
#include "test/unit/unit.h"

#include <errno.h>

#define STORE "store"

static scn_status open_with(struct sys *sys, uint32_t flags, scn_db **db)
{
    scn_options options = {.struct_size = sizeof options, .flags = SCN_NOTHREAD | flags};
    options.pool_bytes = 64 * PAGE_BYTES;
    options.busy_timeout_ms = 50;
    return store_open_on(sys, STORE, &options, db);
}

/* A file that cannot be looked at is no file that must be had alone. */
TEST(session__of_a_failed_look_is_not_exclusive)
{
    struct sim_disk *disk = sim_disk_create(unit_seed());
    struct sim_fault fail = {.kind = SIM_FAIL, .call = SIM_STAT, .error = EIO};
    uint64_t hits = 1;
    scn_db *db;
    struct sys *sys = sim_process_create(disk);
    CHECK_OK(open_with(sys, 0, &db));
    CHECK_OK(scn_close(db));
    sim_process_destroy(sys);
    for (fail.nth = 1; hits > 0; fail.nth++) {
        sys = sim_process_create(disk);
        sim_fault_set(sys, &fail);
        scn_status st = open_with(sys, 0, &db);
        hits = sim_fault_hits(sys);
        if (st == SCN_OK) {
            CHECK(store_is_shared(db->store));
            CHECK_OK(scn_close(db));
        } else {
            CHECK_EQ(st, SCN_IO);
        }
        sim_process_destroy(sys);
    }
    CHECK(fail.nth > 4);
    sim_disk_destroy(disk);
}
