/* The log under power cuts: a run of commits is cut before every sync, with every choice
 * of what the medium kept; what recovery finds must be a prefix of what was appended,
 * hold everything that was acknowledged, and never be called corrupt.  Then recovery goes
 * on, and the machine stops again. */
#include "test/wal/logworld.h"

static struct seen seen;

/* An extent of the real size takes a millisecond to crash and to read. */
enum {
    AGAIN = 1000,
    CRASHES_MAX = PAGE_IS_SMALL ? 24 : 5,
    RANDOM_CRASHES = PAGE_IS_SMALL ? 3 : 1,
    COMMITS_FIRST = PAGE_IS_SMALL ? 16 : 10,
    COMMITS_AGAIN = PAGE_IS_SMALL ? 6 : 3
};

struct run {
    struct world *world;
    uint64_t seed;
    uint64_t acked;    /* commits 0 .. acked - 1 were acknowledged */
    uint64_t appended; /* and so many were begun */
    uint32_t generation;
    uint64_t kept; /* what an earlier recovery adopted */
    uint64_t crashes;
    char wrong[160]; /* the first breach: the hook runs inside the log's own calls */
};

static void fail_run(struct run *run, const char *what, uint64_t got, uint64_t wanted)
{
    if (run->wrong[0] == 0)
        snprintf(run->wrong, sizeof run->wrong, "%s: %llu, %llu (generation %u)", what,
                 (unsigned long long)got, (unsigned long long)wanted, run->generation);
}

/* Numbers 0 .. kept - 1, then AGAIN .. of the second generation. */
static void check_prefix(struct run *run)
{
    if (seen.is_wrong)
        fail_run(run, "wrong bytes", 0, 0);
    for (uint64_t i = 0; i < seen.number_count; i++) {
        uint64_t wanted = i;
        if (run->generation == 2 && i >= run->kept)
            wanted = AGAIN + i - run->kept;
        if (seen.numbers[i] != wanted)
            fail_run(run, "no prefix", seen.numbers[i], wanted);
    }
    uint64_t base = run->generation == 2 ? run->kept : 0;
    if (seen.number_count < base + run->acked)
        fail_run(run, "lost an acknowledged commit", seen.number_count,
                 base + run->acked);
    if (seen.number_count > base + run->appended)
        fail_run(run, "more than was appended", seen.number_count, base + run->appended);
}

static void go_on(struct run *first, struct sim_disk *crashed);

static void check_crashed(void *ctx, struct sim_disk *crashed,
                          const struct sim_choice *choice)
{
    (void)choice;
    struct run *run = ctx;
    run->crashes++;
    struct world world;
    world_attach(&world, crashed);
    world.base = run->world->base;
    struct log_scan_result result = world_scan(&world, &seen);
    if (result.kind == LOG_END_CORRUPT)
        fail_run(run, result.why, result.bad_off, 0);
    check_prefix(run);
    world_detach(&world);
    if (run->generation == 1 && run->crashes % 7 == 0)
        go_on(run, crashed);
}

static void cut_power(void *ctx, struct sim_disk *disk, enum sim_call call,
                      enum sim_moment moment)
{
    struct run *run = ctx;
    if (moment != SIM_BEFORE_SYNC || (call != SIM_DSYNC && call != SIM_SYNC))
        return;
    struct sim_plan plan = {
        .by_sector = true,
        .change_max = CRASHES_MAX,
        .random_count = RANDOM_CRASHES,
        .seed = run->seed + run->crashes,
    };
    sim_each_crash(disk, &plan, check_crashed, run);
}

/* Some commits wait for their sync, some do not; extents roll. */
static void commit_some(struct run *run, uint64_t first, uint32_t count)
{
    uint64_t state = run->seed * 2 + 1;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t len = 8 + (uint32_t)(unit_random(&state) >> 40) % 900;
        if (unit_random(&state) % 6 == 0 && log_roll(run->world->log) != SCN_OK)
            CHECK_EQ(log_spare_count(run->world->log), 0);
        run->appended++;
        uint64_t lsn = world_append_number(run->world, first + i, len);
        if (unit_random(&state) % 3 != 0)
            continue;
        CHECK_OK(log_sync(run->world->log, lsn, 0));
        run->acked = run->appended;
    }
}

/* Recovers from a power cut, commits, and is cut again. */
static void go_on(struct run *first, struct sim_disk *crashed)
{
    struct world world;
    world_attach(&world, sim_disk_copy(crashed));
    world.base = first->world->base;
    struct log_scan_result result = world_scan(&world, &seen);
    struct run run = {
        .world = &world,
        .seed = first->seed + first->crashes,
        .generation = 2,
        .kept = seen.number_count,
    };
    struct log_spare spares[WORLD_SPARES];
    world_spares(spares);
    /* What is linked is no spare any more. */
    uint64_t linked = result.end.extent_number;
    sim_hook_set(world.disk, cut_power, &run);
    world_recover(&world, &result, spares + linked, (uint32_t)(WORLD_SPARES - linked),
                  run.seed);
    commit_some(&run, AGAIN, COMMITS_AGAIN);
    sim_hook_set(world.disk, NULL, NULL);
    if (run.wrong[0] != 0)
        memcpy(first->wrong, run.wrong, sizeof run.wrong);
    first->crashes += run.crashes;
    world_destroy(&world);
}

TEST(powercut__keeps_what_was_acknowledged_and_a_prefix_of_the_rest)
{
    uint64_t seed = unit_seed();
    uint64_t crashes = 0;
    for (uint32_t round = 0; round < (PAGE_IS_SMALL ? 6 : 4); round++) {
        struct world world;
        world_create(&world, WORLD_SPARES);
        struct run run = {
            .world = &world, .seed = seed % 1000003 + round, .generation = 1};
        sim_hook_set(world.disk, cut_power, &run);
        commit_some(&run, 0, COMMITS_FIRST);
        sim_hook_set(world.disk, NULL, NULL);
        crashes += run.crashes;
        world_destroy(&world);
        if (run.wrong[0] != 0)
            unit_fail(__FILE__, __LINE__, "%s", run.wrong);
    }
    CHECK(crashes > (PAGE_IS_SMALL ? 500 : 20));
}
