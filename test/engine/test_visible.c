/* What a snapshot may see of commits that are under way [C2].
 *
 * The disk stops in the durable write of a commit, and the test looks around. */
#include "engine/store.h"
#include "test/sim/disk.h"
#include "test/unit/unit.h"

#include <pthread.h>
#include <sched.h>

#define STORE "store"

struct scene {
    struct sim_disk *disk;
    struct sys *sys;
    scn_db *db;
    scn_table_id table;
    void (*act)(struct scene *scene); /* in the next durable write, once */
    pthread_t thread;
    scn_status said; /* by the thread */
};

static scn_status put(struct scene *scene, const char *key, uint32_t durability)
{
    scn_txn *txn;
    scn_status st = scn_begin(scene->db, SCN_WRITE, &txn);
    if (st != SCN_OK)
        return st;
    st = scn_set_durability(txn, durability);
    if (st == SCN_OK)
        st = scn_put(txn, scene->table, (scn_slice){key, strlen(key)},
                     (scn_slice){"value", 5}, 0);
    if (st == SCN_OK)
        return scn_commit(txn);
    scn_abort(txn);
    return st;
}

static bool has(struct scene *scene, const char *key)
{
    scn_txn *txn;
    CHECK_OK(scn_begin(scene->db, SCN_READ, &txn));
    scn_status st = scn_get(txn, scene->table, (scn_slice){key, strlen(key)}, NULL);
    scn_abort(txn);
    CHECK(st == SCN_OK || st == SCN_NOTFOUND);
    return st == SCN_OK;
}

static void on_call(void *ctx, struct sim_disk *disk, enum sim_call call,
                    enum sim_moment moment)
{
    struct scene *scene = ctx;
    (void)disk;
    if (call != SIM_DSYNC || moment != SIM_BEFORE_SYNC || scene->act == NULL)
        return;
    void (*act)(struct scene *) = scene->act;
    scene->act = NULL;
    act(scene);
}

static void open_scene(struct scene *scene)
{
    scn_options options = {.struct_size = sizeof options, .flags = SCN_NOTHREAD};
    scn_txn *txn;
    *scene = (struct scene){.disk = sim_disk_create(1)};
    options.pool_bytes = 64 * PAGE_BYTES;
    scene->sys = sim_process_create(scene->disk);
    CHECK_OK(store_open_on(scene->sys, STORE, &options, &scene->db));
    CHECK_OK(scn_begin(scene->db, SCN_WRITE, &txn));
    CHECK_OK(scn_table(txn, "table", SCN_CREATE, &scene->table));
    CHECK_OK(scn_commit(txn));
    sim_hook_set(scene->disk, on_call, scene);
}

static void close_scene(struct scene *scene)
{
    CHECK(scene->act == NULL);
    CHECK_OK(scn_close(scene->db));
    sim_process_destroy(scene->sys);
    sim_disk_destroy(scene->disk);
}

static void see_nothing(struct scene *scene)
{
    CHECK(!has(scene, "full"));
}

TEST(visible__is_no_commit_that_waits_for_its_sync)
{
    struct scene scene;
    open_scene(&scene);
    scene.act = see_nothing;
    CHECK_OK(put(&scene, "full", SCN_SYNC_FULL));
    CHECK(has(&scene, "full"));
    close_scene(&scene);
}

static void *commit_lazily(void *arg)
{
    struct scene *scene = arg;
    scene->said = put(scene, "lazy", SCN_SYNC_LAZY);
    return NULL;
}

/* Until another thread's commit is appended, and its thread has given the lock. */
static void await_append(struct store *store, uint64_t before)
{
    while (log_appended(store->log) == before ||
           atomic_load(&store->locks.owner[LOCK_APPEND]) != 0)
        sched_yield();
}

static void begin_lazy_commit(struct scene *scene)
{
    uint64_t before = log_appended(scene->db->store->log);
    CHECK(pthread_create(&scene->thread, NULL, commit_lazily, scene) == 0);
    await_append(scene->db->store, before);
    CHECK(!has(scene, "lazy"));
    CHECK(!has(scene, "full"));
}

TEST(visible__is_no_lazy_commit_behind_one_that_waits)
{
    struct scene scene;
    open_scene(&scene);
    scene.act = begin_lazy_commit;
    CHECK_OK(put(&scene, "full", SCN_SYNC_FULL));
    pthread_join(scene.thread, NULL);
    CHECK_OK(scene.said);
    CHECK(has(&scene, "lazy"));
    CHECK(has(&scene, "full"));
    close_scene(&scene);
}

TEST(visible__is_a_lazy_commit_at_once_where_nothing_waits)
{
    struct scene scene;
    open_scene(&scene);
    CHECK_OK(put(&scene, "lazy", SCN_SYNC_LAZY));
    CHECK(has(&scene, "lazy"));
    struct store *store = scene.db->store;
    CHECK(log_synced(store->log) < log_appended(store->log));
    close_scene(&scene);
}
