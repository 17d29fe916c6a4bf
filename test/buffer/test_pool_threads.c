/* Tests of the buffer pool by several threads.  What runs in a thread does not CHECK,
 * which would leave the wrong stack, but tells its worker what failed. */
#include "test/buffer/rig.h"

#include <time.h>

enum { THREADS_MAX = 4 };

struct worker {
    struct rig *rig;
    struct model *model;
    struct sys_thread *thread;
    uint64_t random;
    const char *failure;
    uint32_t count;
    atomic_uint step;
};

static void workers_run(struct worker *workers, uint32_t count, void (*run)(void *))
{
    struct sys *sys = sys_posix();
    for (uint32_t i = 0; i < count; i++)
        CHECK_EQ(sys->ops->thread_start(sys, run, &workers[i], &workers[i].thread), 0);
    for (uint32_t i = 0; i < count; i++)
        sys->ops->thread_join(workers[i].thread);
    for (uint32_t i = 0; i < count; i++)
        if (workers[i].failure != NULL)
            unit_fail(__FILE__, __LINE__, "worker %u: %s", i, workers[i].failure);
}

static void get_the_first_pages(void *arg)
{
    struct worker *worker = arg;
    struct pool_reader *reader;
    const uint8_t *page;
    if (pool_reader_create(worker->rig->pool, &reader) != SCN_OK) {
        worker->failure = "no reader";
        return;
    }
    for (uint32_t i = 0; i < worker->count; i++) {
        const struct page_ref *ref = &worker->rig->refs[i];
        pool_enter(reader);
        if (pool_get(reader, ref, &page) != SCN_OK || !rig_page_is(page, ref))
            worker->failure = "wrong page";
        pool_leave(reader);
    }
    pool_reader_destroy(reader);
}

TEST(pool_get__reads_once_for_all_who_want_the_same_pointer)
{
    struct rig *rig = rig_open(16);
    struct worker workers[THREADS_MAX] = {0};
    for (int i = 0; i < THREADS_MAX; i++)
        workers[i] = (struct worker){.rig = rig, .count = 12};
    atomic_store(&rig_hooks.read_delay_us, 2000);
    workers_run(workers, THREADS_MAX, get_the_first_pages);
    CHECK_EQ(rig_reads(), 12);
    CHECK_EQ(rig_stat(rig).misses, 12);
    CHECK_EQ(rig_stat(rig).hits, 12 * (THREADS_MAX - 1));
    rig_close(rig);
}

static void fail_to_get_the_first_pages(void *arg)
{
    struct worker *worker = arg;
    struct pool_reader *reader;
    const uint8_t *page;
    if (pool_reader_create(worker->rig->pool, &reader) != SCN_OK) {
        worker->failure = "no reader";
        return;
    }
    for (uint32_t i = 0; i < worker->count; i++) {
        pool_enter(reader);
        if (pool_get(reader, &worker->rig->refs[i], &page) != SCN_IO)
            worker->failure = "a failing read was not reported";
        pool_leave(reader);
    }
    pool_reader_destroy(reader);
}

TEST(pool_get__tells_everybody_who_waited_for_a_load_that_failed)
{
    struct rig *rig = rig_open(8);
    struct worker workers[THREADS_MAX] = {0};
    for (int i = 0; i < THREADS_MAX; i++)
        workers[i] = (struct worker){.rig = rig, .count = 12};
    atomic_store(&rig_hooks.read_delay_us, 1000);
    atomic_store(&rig_hooks.is_read_failing, true);
    workers_run(workers, THREADS_MAX, fail_to_get_the_first_pages);
    atomic_store(&rig_hooks.read_delay_us, 0);
    atomic_store(&rig_hooks.is_read_failing, false);
    rig_churn(rig, 1);
    CHECK_EQ(rig_stat(rig).private_frames, 0);
    rig_close(rig);
}

/* For the thread sanitizer: nothing orders the two threads here but the pool itself. */
static void hold_read_and_release(void *arg)
{
    struct worker *worker = arg;
    struct rig *rig = worker->rig;
    const uint8_t *page;
    pool_enter(rig->reader);
    if (pool_get(rig->reader, &rig->refs[0], &page) != SCN_OK ||
        !pool_hold(rig->reader, page))
        worker->failure = "no page held";
    pool_leave(rig->reader);
    if (!rig_page_is(page, &rig->refs[0]))
        worker->failure = "wrong page";
    pool_release_all(rig->reader);
    atomic_store_explicit(&worker->step, 1, memory_order_relaxed);
    while (atomic_load_explicit(&worker->step, memory_order_relaxed) == 1)
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
}

TEST(pool_release_all__comes_before_the_next_use_of_the_frame)
{
    struct rig *rig = rig_open(4);
    struct sys *sys = sys_posix();
    struct worker worker = {.rig = rig};
    struct pool_reader *reader;
    const uint8_t *page;
    CHECK_OK(pool_reader_create(rig->pool, &reader));
    CHECK_EQ(sys->ops->thread_start(sys, hold_read_and_release, &worker, &worker.thread),
             0);
    while (atomic_load_explicit(&worker.step, memory_order_relaxed) == 0)
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    for (int i = 1; i < PAGES; i++) {
        pool_enter(reader);
        CHECK_OK(pool_get(reader, &rig->refs[i], &page));
        CHECK(rig_page_is(page, &rig->refs[i]));
        pool_leave(reader);
    }
    atomic_store_explicit(&worker.step, 2, memory_order_relaxed);
    sys->ops->thread_join(worker.thread);
    CHECK(worker.failure == NULL);
    pool_reader_destroy(reader);
    rig_close(rig);
}

/* The model.  The first STABLE pages never change.  Of the others, a writer makes new
 * generations in place; `turn` is odd while one is being made, so that a reader knows
 * whether a refused pointer was refused with right. */
enum {
    STABLE = PAGES / 2,
    STAY_PAGES = 6,
    CALLS_MIN = 100 /* however late it is: so many evict something */
};

struct model {
    struct sys_mutex *mutex; /* of refs of changing pages */
    atomic_uint turns[PAGES];
    atomic_bool is_over;
    uint64_t deadline_ns; /* a run ends with its calls or its time: sanitizers are slow */
};

static bool model_is_late(const struct model *model)
{
    return sys_posix()->ops->now_ns(sys_posix()) > model->deadline_ns;
}

static void model_lock(struct model *model)
{
    sys_posix()->ops->mutex_lock(model->mutex);
}

static void model_unlock(struct model *model)
{
    sys_posix()->ops->mutex_unlock(model->mutex);
}

static void model_write(void *arg)
{
    struct worker *worker = arg;
    struct rig *rig = worker->rig;
    struct model *model = worker->model;
    uint64_t gen = 1;
    while (!atomic_load(&model->is_over)) {
        uint64_t random = unit_random(&worker->random);
        uint32_t i = STABLE + (uint32_t)(random % (PAGES - STABLE));
        struct page_ref ref = rig_page_make(rig->page, FIRST + i, ++gen);
        atomic_fetch_add(&model->turns[i], 1);
        if (!rig_write(rig, rig->page, ref.pgno))
            worker->failure = "write";
        if (random >> 32 & 1)
            pool_install(rig->pool, &ref, rig->page);
        model_lock(model);
        rig->refs[i] = ref;
        model_unlock(model);
        atomic_fetch_add(&model->turns[i], 1);
        if ((random >> 33 & 7) == 0)
            pool_forget(rig->pool, FIRST + (uint32_t)(random >> 40) % PAGES, 3);
        nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
    }
}

struct seen {
    struct page_ref ref;
    const uint8_t *page; /* NULL: nothing */
};

static const char *model_get(struct worker *worker, struct pool_reader *reader,
                             struct seen *seen)
{
    struct model *model = worker->model;
    uint32_t i = (uint32_t)(unit_random(&worker->random) % PAGES);
    unsigned turn = atomic_load(&model->turns[i]);
    model_lock(model);
    seen->ref = worker->rig->refs[i];
    model_unlock(model);
    seen->page = NULL;
    if (unit_random(&worker->random) % 8 == 0) {
        seen->page = pool_peek(reader, &seen->ref);
        return NULL;
    }
    const uint8_t *page;
    scn_status st = pool_get(reader, &seen->ref, &page);
    if (st == SCN_OK)
        seen->page = page;
    else if (st != SCN_CORRUPT)
        return "a get failed";
    else if (turn % 2 == 0 && turn == atomic_load(&model->turns[i]))
        return "a good pointer was refused";
    return NULL;
}

static bool all_are_right(const struct seen *seen, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (seen[i].page != NULL && !rig_page_is(seen[i].page, &seen[i].ref))
            return false;
    return true;
}

/* One call: up to STAY_PAGES gets, some held; what the previous call held is good to the
 * end. */
static const char *model_call(struct worker *worker, struct pool_reader *reader,
                              struct seen held[STAY_PAGES])
{
    struct seen seen[STAY_PAGES] = {0};
    struct seen held_now[STAY_PAGES] = {0};
    uint32_t count = 1 + (uint32_t)(unit_random(&worker->random) % STAY_PAGES);
    const char *failure = NULL;
    pool_enter(reader);
    for (uint32_t i = 0; i < count && failure == NULL; i++) {
        failure = model_get(worker, reader, &seen[i]);
        if (seen[i].page != NULL && unit_random(&worker->random) % 4 == 0) {
            held_now[i] = seen[i];
            if (!pool_hold(reader, seen[i].page))
                failure = "no place to hold a page";
        }
    }
    if (!all_are_right(seen, STAY_PAGES))
        failure = "a page changed before leave";
    pool_leave(reader);
    if (!all_are_right(held, STAY_PAGES) || !all_are_right(held_now, STAY_PAGES))
        failure = "a held page changed";
    memcpy(held, held_now, sizeof held_now);
    pool_release_previous(reader);
    return failure;
}

static void model_read(void *arg)
{
    struct worker *worker = arg;
    struct pool_reader *reader = NULL;
    struct seen held[STAY_PAGES] = {0};
    for (uint32_t i = 0; i < worker->count && worker->failure == NULL; i++) {
        if (reader == NULL && pool_reader_create(worker->rig->pool, &reader) != SCN_OK) {
            worker->failure = "no reader";
            return;
        }
        worker->failure = model_call(worker, reader, held);
        if (i + 1 >= CALLS_MIN && model_is_late(worker->model))
            break;
        if (unit_random(&worker->random) % 64 == 0) {
            pool_reader_destroy(reader);
            reader = NULL;
            memset(held, 0, sizeof held);
        }
    }
    pool_reader_destroy(reader);
    atomic_store(&worker->model->is_over, true);
}

static void model_run(uint32_t frame_count, uint32_t reader_count, uint32_t calls)
{
    struct rig *rig = rig_open(frame_count);
    struct sys *sys = sys_posix();
    struct model model = {.deadline_ns = sys->ops->now_ns(sys) + 500 * 1000 * 1000};
    struct worker workers[THREADS_MAX + 1] = {0};
    uint64_t random = unit_seed() ^ frame_count << 8 ^ reader_count;
    CHECK_EQ(sys->ops->mutex_create(sys, &model.mutex), 0);
    for (uint32_t i = 0; i <= reader_count; i++)
        workers[i] = (struct worker){.rig = rig, .model = &model, .count = calls,
                                     .random = unit_random(&random) | 1};
    CHECK_EQ(sys->ops->thread_start(sys, model_write, &workers[reader_count],
                                    &workers[reader_count].thread), 0);
    workers_run(workers, reader_count, model_read);
    sys->ops->thread_join(workers[reader_count].thread);
    CHECK(workers[reader_count].failure == NULL);
    CHECK(rig_stat(rig).evictions > 0);
    sys->ops->mutex_destroy(model.mutex);
    rig_close(rig);
}

TEST(pool__is_right_for_one_reader_beside_a_writer)
{
    model_run(4, 1, 1500);
    model_run(16, 1, 1500);
}

TEST(pool__is_right_for_many_readers_beside_a_writer)
{
    model_run(4, 2, 1000);
    model_run(9, 3, 1000);
    model_run(16, 4, 1000);
    model_run(48, 4, 1000);
}
