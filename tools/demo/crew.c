#include "tools/demo/crew.h"
#include "tools/demo/receipts.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

struct crew {
    const struct crew_orders *orders;
    struct timespec start;
    _Atomic size_t next; /* the episode nobody has taken yet */
    _Atomic size_t receipt_count;
    atomic_bool has_failed;
};

static double seconds_since(const struct timespec *start)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - start->tv_sec) +
           (double)(now.tv_nsec - start->tv_nsec) / 1e9;
}

static bool is_late(const struct crew *crew)
{
    double limit = crew->orders->limit_seconds;
    return limit > 0 && seconds_since(&crew->start) > limit;
}

/* The other workers are somewhere inside their transactions: nobody is asked. */
static void die_if_due(struct crew *crew)
{
    size_t kill_count = crew->orders->kill_count;
    size_t count = atomic_fetch_add(&crew->receipt_count, 1) + 1;
    if (kill_count && (count >= kill_count || is_late(crew)))
        kill(getpid(), SIGKILL);
}

static bool store_one(struct crew *crew, size_t number)
{
    const struct crew_orders *orders = crew->orders;
    scn_status st = memory_store(orders->memory, orders->material, number);
    if (st == SCN_EXISTS)
        return true;
    if (st != SCN_OK)
        return memory_fail(orders->memory, "storing an episode", st) == 0;
    if (orders->receipts >= 0 &&
        !receipts_add(orders->receipts, orders->material, number))
        return false;
    die_if_due(crew);
    return true;
}

static void *work(void *ctx)
{
    struct crew *crew = ctx;
    bool stops = crew->orders->kill_count == 0;
    while (!atomic_load(&crew->has_failed) && !(stops && is_late(crew))) {
        size_t number = atomic_fetch_add(&crew->next, crew->orders->step);
        if (number >= crew->orders->material->count)
            break;
        if (!store_one(crew, number))
            atomic_store(&crew->has_failed, true);
    }
    return NULL;
}

bool crew_work(const struct crew_orders *orders)
{
    pthread_t threads[CREW_THREADS];
    struct crew crew = {.orders = orders, .next = orders->first};
    int count = 0;
    clock_gettime(CLOCK_MONOTONIC, &crew.start);
    while (count < CREW_THREADS &&
           pthread_create(&threads[count], NULL, work, &crew) == 0)
        count++;
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    if (count == 0)
        fputs("demo: no thread could be started\n", stderr);
    return count > 0 && !atomic_load(&crew.has_failed);
}
