/* Who waits for a checkpoint of the background thread: it may have ended, or have become
 * impossible, between the look at the log and the wait. */
#include "engine/room.h"
#include "test/sim/disk.h"
#include "test/unit/unit.h"

#define SECOND_NS UINT64_C(1000000000)

struct rig {
    struct sim_disk *disk;
    struct sys *sys;
    scn_db *db;
};

static void rig_begin(struct rig *rig)
{
    scn_options options = {.struct_size = sizeof options};
    options.pool_bytes = 64 * PAGE_BYTES;
    rig->disk = sim_disk_create(unit_seed());
    rig->sys = sim_process_create(rig->disk);
    CHECK_OK(store_open_on(rig->sys, "store", &options, &rig->db));
}

static void rig_end(struct rig *rig)
{
    (void)scn_close(rig->db);
    sim_process_destroy(rig->sys);
    sim_disk_destroy(rig->disk);
}

static scn_status wait_an_hour(struct rig *rig, enum checkpoint_mode mode)
{
    return room_wait(rig->db->store, mode,
                     sim_clock_ns(rig->disk) + 3600 * SECOND_NS);
}

TEST(room__nobody_waits_for_a_checkpoint_that_has_ended)
{
    struct rig rig;
    rig_begin(&rig);
    CHECK_OK(wait_an_hour(&rig, CHECKPOINT_PLAIN));
    rig_end(&rig);
}

TEST(room__nobody_waits_for_a_checkpoint_of_a_poisoned_store)
{
    struct rig rig;
    rig_begin(&rig);
    file_poison(&rig.db->store->file);
    CHECK_EQ(wait_an_hour(&rig, CHECKPOINT_DRAIN), SCN_POISONED);
    CHECK_EQ(wait_an_hour(&rig, CHECKPOINT_PLAIN), SCN_POISONED);
    rig_end(&rig);
}
