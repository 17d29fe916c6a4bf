/* kill -9 of a process that commits without pause, and so nearly always holds a lock or
 * has one to come: how long until another process has committed? */
#include "bench/groups.h"

#include "bench/figure.h"
#include "bench/mate.h"
#include "bench/rig.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

enum { DEATHS = 20, COMMITS_BEFORE = 30 };

struct victim {
    char path[PATH_BYTES];
    bool forks;
    _Atomic uint32_t commits;
    _Atomic pid_t child; /* of the victim; it outlives it */
    _Atomic bool is_over;
};

static void *commit_for_ever(void *ctx)
{
    struct victim *victim = ctx;
    uint8_t value[VALUE_BYTES];
    uint64_t random = (uint64_t)getpid();
    scn_db *db = store_open(victim->path, 0, 0);
    for (uint32_t i = 0;; i++) {
        uint64_t key[KEY_BYTES / 8] = {random_next(&random), random_next(&random), i};
        must(scn_put1(db, "records", (scn_slice){key, KEY_BYTES},
                      record_value(i, i, value)),
             "scn_put1");
        victim->commits++;
    }
    return NULL;
}

/* In the middle of the thread's commits; the child keeps what a child inherits. */
static void fork_child(struct victim *victim)
{
    while (victim->commits < COMMITS_BEFORE / 2)
        usleep(100);
    pid_t child = fork();
    require(child >= 0, "a process can be started");
    if (child != 0)
        return;
    victim->child = getpid();
    while (!victim->is_over)
        usleep(1000);
    _exit(0);
}

static void be_killed(void *ctx, struct mate *caller)
{
    struct victim *victim = ctx;
    pthread_t thread;
    (void)caller;
    require(pthread_create(&thread, NULL, commit_for_ever, victim) == 0,
            "a thread can be started");
    if (victim->forks)
        fork_child(victim);
    pthread_join(thread, NULL);
}

static void put_one(scn_db *db, uint64_t *random)
{
    uint8_t value[VALUE_BYTES];
    uint64_t key[KEY_BYTES / 8] = {random_next(random), random_next(random), 0};
    must(scn_put1(db, "records", (scn_slice){key, KEY_BYTES},
                  record_value(0, (uint32_t)*random, value)),
         "scn_put1");
}

/* The survivor commits beside the victim until that has begun, and some time more: where
 * in its commit the victim dies is chance. */
static double die_once(struct victim *victim, scn_db *db, uint64_t *random)
{
    struct mate mate;
    victim->commits = 0;
    victim->child = 0;
    victim->is_over = false;
    mate_start(&mate, be_killed, victim);
    while (victim->commits < COMMITS_BEFORE || (victim->forks && victim->child == 0))
        put_one(db, random);
    usleep((useconds_t)(random_next(random) % 1000));
    uint64_t start = wall_ns();
    mate_kill(&mate);
    put_one(db, random);
    double ms = (double)(wall_ns() - start) / 1e6;
    mate_bury(&mate);
    if (victim->forks)
        require(kill(victim->child, 0) == 0, "the child has outlived it");
    victim->is_over = true;
    return ms;
}

static void die_often(const char *path, bool forks, const char *what)
{
    char name[64];
    double ms[DEATHS];
    uint64_t random = 10;
    struct victim *victim = mate_memory(sizeof *victim);
    scn_db *db = store_open(path, 0, 0);
    snprintf(victim->path, PATH_BYTES, "%s", path);
    victim->forks = forks;
    store_table(db);
    for (uint32_t i = 0; i < DEATHS; i++)
        ms[i] = die_once(victim, db, &random);
    must(scn_close(db), "scn_close");
    snprintf(name, sizeof name, "commit after kill -9%s, median", what);
    figure_note(name, samples_median(ms, DEATHS), "ms");
    snprintf(name, sizeof name, "commit after kill -9%s, worst of %d", what, DEATHS);
    figure_at_most(name, samples_percentile(ms, DEATHS, 100), 50, "ms");
}

void bench_deaths(void)
{
    char path[PATH_BYTES];
    rig_path("deaths.scn", path);
    die_often(path, false, "");
    die_often(path, true, ", its child lives");
}
