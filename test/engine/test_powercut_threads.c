/* Power cuts while several threads commit and the background thread runs checkpoints.
 *
 * Who waits for a sync may be acknowledged by somebody else's; what was acknowledged
 * before the power went has to be there, whoever synced it.  The order of threads is the
 * system's: a seed does not repeat a run. */
#include "test/engine/story.h"
#include "test/engine/workers.h"
#include "test/sim/disk.h"

#include <pthread.h>

#define STORE "store"

enum { THREADS = 3, BUDGET_MS = PAGE_IS_SMALL ? 2000 : 1000 };

struct scene {
    struct sim_disk *disk;
    struct sys *sys;
    scn_db *db;
    uint64_t until_ms;
    _Atomic uint64_t acked[THREADS];
    _Atomic uint64_t begun[THREADS];
    _Atomic uint64_t state_count;
    _Atomic bool is_open; /* before, the hook does nothing */
    _Atomic bool is_over;
    _Atomic scn_status failed; /* what a commit said */
    pthread_mutex_t mutex; /* guards what is below */
    uint64_t random;
    char wrong[WORKERS_WRONG_BYTES + 100];
};

struct actor {
    struct scene *scene;
    uint32_t no;
    pthread_t thread;
};

static scn_status open_on(struct sys *sys, uint32_t flags, scn_db **db)
{
    scn_options options = {.struct_size = sizeof options, .flags = flags};
    options.pool_bytes = 16 * PAGE_BYTES;
    options.log_bytes = UINT64_C(4) * LOG_EXTENT_PAGES * PAGE_BYTES;
    return store_open_on(sys, STORE, &options, db);
}

static bool numbers_fit(struct scene *scene, const uint64_t acked[THREADS],
                        const uint64_t found[THREADS])
{
    for (uint32_t i = 0; i < THREADS; i++) {
        uint64_t begun = atomic_load(&scene->begun[i]);
        if (found[i] >= acked[i] && found[i] <= begun)
            continue;
        snprintf(scene->wrong, sizeof scene->wrong,
                 "worker %u: %llu is the last, %llu acknowledged, %llu begun", i,
                 (unsigned long long)found[i], (unsigned long long)acked[i],
                 (unsigned long long)begun);
        return false;
    }
    return true;
}

static bool look_at(struct scene *scene, struct sim_disk *crashed,
                    const uint64_t acked[THREADS])
{
    uint64_t found[THREADS];
    struct sys *sys = sim_process_create(crashed);
    scn_db *db;
    scn_status st = open_on(sys, SCN_NOTHREAD, &db);
    bool is_right = st == SCN_OK;
    if (is_right) {
        is_right = workers_check(db, THREADS, found, scene->wrong) &&
                   numbers_fit(scene, acked, found) &&
                   worker_commit(db, 0, found[0] + 1) == SCN_OK;
        is_right &= scn_close(db) == SCN_OK;
    }
    if (!is_right && scene->wrong[0] == 0)
        snprintf(scene->wrong, sizeof scene->wrong, "opening says %d: %s", st,
                 error_last()->text);
    sim_process_destroy(sys);
    return is_right;
}

/* What was acknowledged is asked before the power goes, what was begun after. */
static void cut_power(struct scene *scene)
{
    uint64_t acked[THREADS];
    struct sim_choice choice = {.keep = (enum sim_keep)(unit_random(&scene->random) % 7)};
    choice.by_call = unit_random(&scene->random) % 2;
    for (uint32_t i = 0; i < THREADS; i++)
        acked[i] = atomic_load(&scene->acked[i]);
    choice.n = unit_random(&scene->random) % (sim_pending(scene->disk, true) + 1);
    struct sim_disk *crashed = sim_crash(scene->disk, &choice);
    scene->state_count++;
    if (!look_at(scene, crashed, acked))
        atomic_store(&scene->is_over, true);
    sim_disk_destroy(crashed);
}

/* One thread at a time looks; the others go on meanwhile. */
static void on_call(void *ctx, struct sim_disk *disk, enum sim_call call,
                    enum sim_moment moment)
{
    struct scene *scene = ctx;
    (void)disk;
    bool is_moment = moment == SIM_BEFORE_SYNC || call == SIM_DSYNC || call == SIM_SYNC;
    if (!atomic_load(&scene->is_open) || !is_moment ||
        pthread_mutex_trylock(&scene->mutex) != 0)
        return;
    if (!atomic_load(&scene->is_over) && unit_random(&scene->random) % 3 == 0)
        cut_power(scene);
    pthread_mutex_unlock(&scene->mutex);
}

/* However late a thread gets a processor, and whatever the states have taken. */
static bool has_enough(struct scene *scene)
{
    bool is_enough = atomic_load(&scene->state_count) > 0;
    for (uint32_t i = 0; i < THREADS; i++)
        is_enough &= atomic_load(&scene->acked[i]) > 1;
    return is_enough;
}

static void *act(void *arg)
{
    struct actor *actor = arg;
    struct scene *scene = actor->scene;
    for (uint64_t n = 1; !atomic_load(&scene->is_over); n++) {
        atomic_store(&scene->begun[actor->no], n);
        scn_status st = worker_commit(scene->db, actor->no, n);
        if (st == SCN_OK)
            atomic_store(&scene->acked[actor->no], n);
        else if (st == SCN_BUSY)
            n--; /* the simulator's time passes as soon as somebody waits for it */
        else
            atomic_store(&scene->failed, st);
        bool is_late = story_now_ms() > scene->until_ms && has_enough(scene);
        if (atomic_load(&scene->failed) != 0 || is_late)
            atomic_store(&scene->is_over, true);
    }
    return NULL;
}

TEST(powercut_threads__keep_what_any_sync_acknowledged)
{
    uint64_t seed = unit_seed();
    struct scene scene = {.random = seed | 1, .mutex = PTHREAD_MUTEX_INITIALIZER};
    struct actor actors[THREADS];
    scene.until_ms = story_now_ms() + story_budget_ms(BUDGET_MS);
    scene.disk = sim_disk_create(seed);
    scene.sys = sim_process_create(scene.disk);
    sim_hook_set(scene.disk, on_call, &scene);
    CHECK_OK(open_on(scene.sys, 0, &scene.db));
    atomic_store(&scene.is_open, true);
    for (uint32_t i = 0; i < THREADS; i++) {
        actors[i] = (struct actor){.scene = &scene, .no = i};
        CHECK_EQ(pthread_create(&actors[i].thread, NULL, act, &actors[i]), 0);
    }
    for (uint32_t i = 0; i < THREADS; i++)
        pthread_join(actors[i].thread, NULL);
    CHECK_OK(scn_close(scene.db));
    sim_hook_set(scene.disk, NULL, NULL);
    sim_process_destroy(scene.sys);
    sim_disk_destroy(scene.disk);
    if (getenv("VERBOSE"))
        printf("%llu states, %llu commits of a thread\n",
               (unsigned long long)scene.state_count, (unsigned long long)scene.acked[0]);
    if (scene.wrong[0] != 0)
        unit_fail(__FILE__, __LINE__, "%s", scene.wrong);
    CHECK_OK(scene.failed);
}
