/* Coming, going and the cure, one step after another: engine/session.c. */
#include "engine/session.h"
#include "engine/store.h"
#include "test/sim/disk.h"
#include "test/unit/unit.h"

#include <errno.h>

#define STORE "store"

static scn_status open_path(struct sys *sys, const char *path, uint32_t flags,
                            scn_db **db)
{
    scn_options options = {.struct_size = sizeof options, .flags = SCN_NOTHREAD | flags};
    options.pool_bytes = 64 * PAGE_BYTES;
    options.busy_timeout_ms = 50;
    return store_open_on(sys, path, &options, db);
}

static scn_status open_with(struct sys *sys, uint32_t flags, scn_db **db)
{
    return open_path(sys, STORE, flags, db);
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

/* ---- who waits for others to go ---- */

static void (*sim_lock_holder)(struct sys_file *file, uint64_t byte, uint32_t nth,
                               uint32_t *pid, char program[SYS_PROGRAM_BYTES]);
static uint32_t searches;

static void count_search(struct sys_file *file, uint64_t byte, uint32_t nth,
                         uint32_t *pid, char program[SYS_PROGRAM_BYTES])
{
    searches++;
    sim_lock_holder(file, byte, nth, pid, program);
}

/* In vain; how often it has looked for the one who is in the way. */
static uint32_t searches_of(struct sim_disk *disk, uint32_t flags, uint32_t holder_pid)
{
    struct sys *sys = sim_process_create(disk);
    struct sys_ops ops = *sys->ops;
    scn_db *db;
    sim_lock_holder = ops.lock_holder;
    ops.lock_holder = count_search;
    sys->ops = &ops;
    searches = 0;
    uint64_t begun_ns = sim_clock_ns(disk);
    CHECK_EQ(open_with(sys, flags, &db), SCN_BUSY);
    CHECK(sim_clock_ns(disk) - begun_ns >= UINT64_C(50000000));
    CHECK_EQ(error_last()->pid, holder_pid);
    CHECK(strstr(error_last()->text, "waited") == NULL); /* not 0 ms */
    sim_process_destroy(sys);
    return searches;
}

static void check_searches(uint32_t holder_flags, const uint32_t *flags, uint32_t count)
{
    struct sim_disk *disk = sim_disk_create(unit_seed());
    struct sys *holder = sim_process_create(disk);
    uint32_t pid = holder->ops->pid(holder);
    scn_db *db;
    CHECK_OK(open_with(holder, holder_flags, &db));
    for (uint32_t i = 0; i < count; i++)
        CHECK_EQ(searches_of(disk, flags[i], pid), 1);
    CHECK_OK(scn_close(db));
    sim_process_destroy(holder);
    sim_disk_destroy(disk);
}

/* To look through all processes takes as long as a pause between two tries. */
TEST(session__looks_once_for_the_one_it_waits_for)
{
    static const uint32_t all[] = {SCN_EXCLUSIVE, SCN_RDONLY, 0};
    check_searches(0, all, 1);
    check_searches(SCN_EXCLUSIVE, all, 3);
}

/* ---- the cure ---- */

/* A program that has opened a relative path and goes to another folder, or one whose file
 * gets another name: the path it was opened by leads nowhere. */
TEST(session__is_cured_by_the_path_that_leads_there)
{
    struct sim_disk *disk = sim_disk_create(unit_seed());
    struct sys *sys = sim_process_create(disk);
    struct sim_fault fault = {
        .kind = SIM_FAIL, .call = SIM_DSYNC, .nth = 1, .error = EIO};
    scn_slice row = {"row", 3};
    scn_db *db;
    scn_db *again;
    CHECK_OK(open_with(sys, 0, &db));
    sim_fault_set(sys, &fault);
    CHECK_EQ(scn_put1(db, "t", row, row), SCN_UNKNOWN);
    sim_fault_clear(sys);
    CHECK_EQ(sys->ops->rename(sys, STORE, "other"), 0);
    CHECK_EQ(session_cure(db->store), SCN_MOVED);
    CHECK_EQ(scn_put1(db, "t", row, row), SCN_POISONED);
    CHECK_OK(open_path(sys, "other", 0, &again));
    CHECK_OK(scn_put1(again, "t", row, row));
    CHECK_OK(scn_put1(db, "t", row, row));
    CHECK_OK(scn_close(again));
    CHECK_OK(scn_close(db));
    sim_process_destroy(sys);
    sim_disk_destroy(disk);
}
