/* The scheduler keeps to its own rules (test/sim/sched.h). */
#include "test/sim/sched.h"

#include "page/mem.h"
#include "test/sim/heap.h"
#include "test/unit/unit.h"

#include <errno.h>

enum { ACTORS = 3, ROUNDS = 20 };

/* Blocks of killed processes are freed with them in all tests of this program. */
__attribute__((constructor)) static void install_heap(void)
{
    sim_heap_install();
}

struct world {
    struct sim_disk *disk;
    struct sim_sched *sched;
    struct sys *sys;
    struct sys_mutex *mutex;
    struct sys_mutex *other;
    struct sys_cond *cond;
    struct sys_file *file;
    uint64_t inside;
    uint64_t count;
    uint64_t order[ACTORS * ROUNDS]; /* who came when */
};

struct player {
    struct world *world;
    uint64_t no;
    uint64_t deadline_ns;
    bool result;
};

static void world_make(struct world *world)
{
    *world = (struct world){.disk = sim_disk_create(1)};
    world->sched = sim_sched_create(world->disk);
    world->sys = sim_process_create(world->disk);
    CHECK_OK(world->sys->ops->mutex_create(world->sys, &world->mutex));
    CHECK_OK(world->sys->ops->mutex_create(world->sys, &world->other));
    CHECK_OK(world->sys->ops->cond_create(world->sys, &world->cond));
    CHECK_OK(world->sys->ops->open(world->sys, "file", SYS_CREATE, &world->file));
}

static void world_end(struct world *world)
{
    sim_process_destroy(world->sys);
    sim_sched_destroy(world->sched);
    sim_disk_destroy(world->disk);
}

static void play(struct world *world, struct player *player, void (*fn)(void *))
{
    player->world = world;
    sim_actor_start(world->sched, world->sys, "player", fn, player);
}

/* ---- order ---- */

static void enter_often(void *arg)
{
    struct player *player = arg;
    struct world *world = player->world;
    const struct sys_ops *ops = world->sys->ops;
    for (int i = 0; i < ROUNDS; i++) {
        ops->mutex_lock(world->mutex);
        player->result |= world->inside++ > 0; /* somebody else is inside */
        world->order[world->count++] = player->no;
        (void)ops->now_ns(world->sys);
        world->inside--;
        ops->mutex_unlock(world->mutex);
    }
}

/* A hash of who came when. */
static uint64_t run_with(uint64_t seed, uint64_t *trace)
{
    struct world world;
    struct player players[ACTORS] = {0};
    struct sim_chance chance = sim_chance_of(seed, 200);
    uint64_t hash = 0;
    world_make(&world);
    sim_sched_set_chance(world.sched, &chance);
    for (uint64_t i = 0; i < ACTORS; i++) {
        players[i].no = i;
        play(&world, &players[i], enter_often);
    }
    CHECK(sim_sched_run(world.sched));
    CHECK_EQ(world.count, ACTORS * ROUNDS);
    for (uint64_t i = 0; i < world.count; i++)
        hash = hash * 31 + world.order[i];
    for (uint64_t i = 0; i < ACTORS; i++)
        CHECK(!players[i].result);
    *trace = sim_sched_trace(world.sched);
    world_end(&world);
    return hash;
}

TEST(sched__repeats_a_run_and_finds_others)
{
    enum { SEEDS = 40 };
    uint64_t hashes[SEEDS];
    uint64_t trace;
    uint64_t again;
    int different = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        hashes[seed] = run_with(seed + 1, &trace);
        CHECK_EQ(run_with(seed + 1, &again), hashes[seed]);
        CHECK_EQ(trace, again);
        bool is_new = true;
        for (uint64_t i = 0; i < seed; i++)
            is_new &= hashes[i] != hashes[seed];
        different += is_new;
    }
    CHECK(different > SEEDS / 2);
}

/* ---- waiting ---- */

static void sleep_until(void *arg)
{
    struct player *player = arg;
    struct world *world = player->world;
    const struct sys_ops *ops = world->sys->ops;
    ops->mutex_lock(world->mutex);
    player->result = ops->cond_wait(world->cond, world->mutex, player->deadline_ns);
    world->order[world->count++] = player->no;
    ops->mutex_unlock(world->mutex);
}

TEST(sched__time_passes_when_everybody_waits)
{
    struct world world;
    struct player late = {.no = 2, .deadline_ns = 5000000000};
    struct player early = {.no = 1, .deadline_ns = 2000000000};
    world_make(&world);
    play(&world, &late, sleep_until);
    play(&world, &early, sleep_until);
    CHECK(sim_sched_run(world.sched));
    CHECK(!late.result && !early.result);
    CHECK_EQ(world.order[0], 1);
    CHECK_EQ(world.order[1], 2);
    CHECK(sim_clock_ns(world.disk) >= 5000000000);
    CHECK(sim_clock_ns(world.disk) < 5001000000);
    world_end(&world);
}

static void wake_all(void *arg)
{
    struct player *player = arg;
    player->world->sys->ops->cond_wake_all(player->world->cond);
}

TEST(sched__who_is_woken_goes_on_before_its_deadline)
{
    struct world world;
    struct player sleeper = {.no = 1};
    struct player waker = {.no = 2};
    world_make(&world);
    play(&world, &sleeper, sleep_until);
    play(&world, &waker, wake_all);
    CHECK(sim_sched_run(world.sched));
    CHECK(sleeper.result);
    world_end(&world);
}

static void lock_late(void *arg)
{
    struct player *player = arg;
    const struct sys_ops *ops = player->world->sys->ops;
    player->result = ops->mutex_lock_until(player->world->mutex, player->deadline_ns);
}

TEST(sched__a_lock_is_given_up_at_its_deadline)
{
    struct world world;
    struct player player = {.deadline_ns = 1000000000};
    world_make(&world);
    world.sys->ops->mutex_lock(world.mutex);
    play(&world, &player, lock_late);
    CHECK(sim_sched_run(world.sched));
    CHECK(!player.result);
    CHECK(sim_clock_ns(world.disk) >= 1000000000);
    world.sys->ops->mutex_unlock(world.mutex);
    world_end(&world);
}

static void lock_both(void *arg)
{
    struct player *player = arg;
    struct world *world = player->world;
    struct sys_mutex *first = player->no ? world->mutex : world->other;
    struct sys_mutex *second = player->no ? world->other : world->mutex;
    world->sys->ops->mutex_lock(first);
    world->sys->ops->mutex_lock(second);
    world->sys->ops->mutex_unlock(second);
    world->sys->ops->mutex_unlock(first);
}

/* Two locks in two orders: some schedule gets stuck, and says where. */
TEST(sched__says_who_waits_for_whom_when_all_are_stuck)
{
    bool is_stuck = false;
    for (uint64_t seed = 1; seed < 100 && !is_stuck; seed++) {
        struct world world;
        struct player players[2] = {{.no = 0}, {.no = 1}};
        struct sim_chance chance = {.seed = seed, .switch_one_in = 2};
        world_make(&world);
        sim_sched_set_chance(world.sched, &chance);
        play(&world, &players[0], lock_both);
        play(&world, &players[1], lock_both);
        is_stuck = !sim_sched_run(world.sched);
        const char *report = sim_sched_report(world.sched);
        if (is_stuck)
            CHECK(strstr(report, "player 2 waits for a mutex of player 3"));
        sim_process_kill(world.sys);
        world_end(&world);
    }
    CHECK(is_stuck);
}

static void join_another(void *arg)
{
    struct player *player = arg;
    struct sys *sys = player->world->sys;
    struct sys_thread *thread;
    player->result = sys->ops->thread_start(sys, enter_often, player, &thread) == 0;
    sys->ops->thread_join(thread);
    player->world->order[0] = player->world->count;
}

TEST(sched__a_join_waits_for_the_end)
{
    struct world world;
    struct player player = {0};
    world_make(&world);
    play(&world, &player, join_another);
    CHECK(sim_sched_run(world.sched));
    CHECK_EQ(world.order[0], ROUNDS);
    world_end(&world);
}

/* ---- the director ---- */

TEST(sched__the_director_waits_while_others_run)
{
    struct world world;
    struct player player = {0};
    world_make(&world);
    struct sim_stop inside = {.step = SIM_CLOCK};
    play(&world, &player, enter_often);
    struct sim_actor *actor =
        sim_actor_start(world.sched, world.sys, "other", enter_often, &player);
    CHECK_EQ(sim_actor_run(actor, &inside), SIM_STOPPED);
    world.sys->ops->mutex_lock(world.mutex);
    CHECK_EQ(world.inside, 0);
    CHECK(world.count > 0);
    world.sys->ops->mutex_unlock(world.mutex);
    CHECK(sim_sched_run(world.sched));
    world_end(&world);
}

static void write_three(void *arg)
{
    struct player *player = arg;
    const struct sys_ops *ops = player->world->sys->ops;
    char bytes[10] = "123456789";
    for (uint64_t i = 0; i < 3; i++)
        if (ops->write(player->world->file, i * 1000, bytes, 10,
                       i == 1 ? SYS_DSYNC : 0) == 10)
            player->world->count++;
}

TEST(sched__an_actor_runs_up_to_a_call)
{
    struct world world;
    struct player player = {0};
    struct sim_stop third = {.step = SIM_WRITE, .from = 2000, .to = 2001};
    struct sim_stop sync = {.step = SIM_DSYNC, .when = SIM_AT_SYNC};
    struct sim_choice none = {.keep = SIM_KEEP_NONE};
    uint64_t size = 77;
    world_make(&world);
    player.world = &world;
    CHECK_OK(world.sys->ops->sync_dir(world.sys, "file"));
    struct sim_actor *actor =
        sim_actor_start(world.sched, world.sys, "writer", write_three, &player);
    CHECK_EQ(sim_actor_run(actor, &sync), SIM_STOPPED);
    CHECK_EQ(world.count, 1);
    struct sim_disk *crashed = sim_crash(world.disk, &none);
    CHECK(sim_file_size(crashed, "file", &size));
    CHECK_EQ(size, 0);
    sim_disk_destroy(crashed);
    CHECK_EQ(sim_actor_run(actor, &third), SIM_STOPPED);
    CHECK_EQ(world.count, 2);
    CHECK_EQ(sim_actor_run(actor, NULL), SIM_ENDED);
    CHECK_EQ(world.count, 3);
    world_end(&world);
}

/* ---- death ---- */

static void take_memory(void *arg)
{
    struct player *player = arg;
    struct world *world = player->world;
    void *blocks[3];
    for (int i = 0; i < 3; i++)
        blocks[i] = mem_alloc(100);
    mem_free(blocks[1]);
    world->sys->ops->mutex_lock(world->mutex);
    (void)world->sys->ops->now_ns(world->sys);
    player->result = true;
    world->sys->ops->mutex_unlock(world->mutex);
    mem_free(blocks[0]);
    mem_free(blocks[2]);
}

TEST(sched__a_killed_process_stops_where_it_is_and_leaves_no_memory)
{
    struct world world;
    struct player player = {0};
    struct sim_stop inside = {.step = SIM_CLOCK};
    world_make(&world);
    player.world = &world;
    struct sim_actor *actor =
        sim_actor_start(world.sched, world.sys, "victim", take_memory, &player);
    CHECK_EQ(sim_actor_run(actor, &inside), SIM_STOPPED);
    CHECK_EQ(sim_heap_count(world.sys), 2);
    sim_process_kill(world.sys);
    CHECK(sim_actor_has_ended(actor));
    CHECK_EQ(sim_actor_run(actor, NULL), SIM_ENDED);
    CHECK(sim_sched_run(world.sched));
    CHECK(!player.result);
    world_end(&world); /* the address sanitizer looks for leaks */
}

TEST(sched__a_process_may_die_in_a_call_of_its_own)
{
    struct world world;
    struct player player = {0};
    struct sim_fault fault = {.kind = SIM_KILL, .call = SIM_DSYNC, .nth = 1, .len = 5};
    char bytes[10] = "";
    world_make(&world);
    sim_fault_set(world.sys, &fault);
    play(&world, &player, write_three);
    CHECK(sim_sched_run(world.sched));
    CHECK_EQ(world.count, 1);
    CHECK(sim_process_is_dead(world.sys));
    CHECK(sim_peek(world.disk, "file", 1000, bytes, 5));
    CHECK(memcmp(bytes, "12345", 5) == 0);
    world_end(&world);
}

static void try_lock(void *arg)
{
    struct player *player = arg;
    struct sys *sys = player->world->sys;
    struct sys_file *file;
    player->result = sys->ops->open(sys, "file", 0, &file) == 0 &&
                     sys->ops->lock(file, 0, 1, SYS_EXCLUSIVE) == -EAGAIN;
    while (sys->ops->lock(file, 0, 1, SYS_EXCLUSIVE) == -EAGAIN)
        player->world->count++;
    sys->ops->close(file);
}

/* The mechanism for several processes: one waits for the lock of another and gets it when
 * that one is killed. */
TEST(sched__processes_share_a_disk_and_die_apart)
{
    struct world world;
    struct player player = {0};
    struct world second;
    struct sim_stop tries = {.step = SIM_LOCK, .when = SIM_AT_END, .nth = 5};
    world_make(&world);
    second = world;
    second.sys = sim_process_create(world.disk);
    player.world = &second;
    CHECK_OK(world.sys->ops->lock(world.file, 0, 1, SYS_EXCLUSIVE));
    struct sim_actor *actor =
        sim_actor_start(world.sched, second.sys, "heir", try_lock, &player);
    CHECK_EQ(sim_actor_run(actor, &tries), SIM_STOPPED);
    sim_process_kill(world.sys);
    CHECK_EQ(sim_actor_run(actor, NULL), SIM_ENDED);
    CHECK(player.result);
    CHECK_EQ(second.count, 4);
    sim_process_destroy(second.sys);
    world_end(&world);
}

struct cutter {
    struct world *world;
    uint64_t events;
};

static bool kill_at_third(void *ctx)
{
    struct cutter *cutter = ctx;
    if (++cutter->events < 3)
        return true;
    sim_process_kill(cutter->world->sys);
    return false;
}

TEST(sched__events_come_between_steps)
{
    struct world world;
    struct player player = {0};
    struct cutter cutter = {.world = &world};
    world_make(&world);
    play(&world, &player, enter_often);
    sim_sched_on_event(world.sched, 4, kill_at_third, &cutter);
    CHECK(sim_sched_run(world.sched));
    CHECK_EQ(cutter.events, 3);
    CHECK(world.count < ROUNDS);
    world_end(&world);
}
