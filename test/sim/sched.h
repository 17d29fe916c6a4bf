/* A scheduler that belongs to the test: threads of simulated processes as coroutines.
 *
 *     struct sim_disk *disk = sim_disk_create(seed);
 *     struct sim_sched *sched = sim_sched_create(disk);      before the first process
 *     struct sys *sys = sim_process_create(disk);
 *     sim_actor_start(sched, sys, "writer", write, &args);   a thread of the test
 *     sim_sched_run(sched);                                  until all of them have ended
 *
 * All threads of all processes of the disk, those that the library starts included, run
 * in the one real thread that calls these functions, the director.  They switch at calls
 * of struct sys and nowhere else: before each, after each, and between the writing and
 * the promise of a sync.  Who runs next follows from a seed, so a run repeats itself.
 * Atomics between two calls are therefore single steps here; the thread sanitizer looks
 * after those with real threads.
 *
 * Time moves when everybody waits: to the nearest deadline.  When everybody waits and
 * there is none, nobody can ever go on: that is told as being stuck, with who waits for
 * what.
 *
 * The director may call the library, too.  It is not interrupted; where it has to wait,
 * others run meanwhile.  Where that gets stuck the program is aborted with a report.
 *
 * A killed process never runs again.  Its threads are dropped wherever they are, and
 * sim_process_destroy frees its memory (test/sim/heap.h); its handles, transactions and
 * stores must not be touched any more.
 *
 * Destroy actors' processes first, then the scheduler, then the disk.  A disk without a
 * scheduler has real threads. */
#ifndef TEST_SIM_SCHED_H
#define TEST_SIM_SCHED_H

#include "test/sim/disk.h"

struct sim_sched;
struct sim_actor;

/* Steps beside the calls of enum sim_call. */
enum sim_step {
    SIM_MUTEX_LOCK = SIM_ANY + 1,
    SIM_MUTEX_UNLOCK,
    SIM_COND_WAIT,
    SIM_COND_WAKE,
    SIM_CLOCK,
    SIM_CLOSE,
    SIM_JOIN
};
enum sim_when {
    SIM_AT_BEGIN, /* nothing of the call is done */
    SIM_AT_SYNC,  /* SIM_SYNC, SIM_DSYNC, SIM_SYNC_DIR: written, not durable */
    SIM_AT_END
};

struct sim_sched *sim_sched_create(struct sim_disk *disk);
void sim_sched_destroy(struct sim_sched *sched);
/* What the director takes of memory is this process's from now on; NULL: nobody's. */
void sim_sched_speak_for(struct sim_sched *sched, struct sys *sys);
/* The same, where the process is at hand; nothing where it has no scheduler. */
void sim_speak_for(struct sys *sys);

/* ---- chance ---- */

/* How the next one is chosen.  Many bugs need few switches at the right places: with
 * priorities each actor runs until it has to wait, but for `change_count` moments among
 * the next `change_span` steps at which the one that runs falls behind all others. */
struct sim_chance {
    uint64_t seed;
    uint32_t switch_one_in; /* steps; 0: by priorities */
    uint32_t change_count;
    uint64_t change_span;
    uint32_t early_one_in; /* steps after which a deadline passes though others could run,
                            * or a condition wakes for nothing; 0: never */
};
/* Without any: each runs until it has to wait, first come first. */
void sim_sched_set_chance(struct sim_sched *sched, const struct sim_chance *chance);
/* Syncs take their effect when they begin (what others write while one lasts is not in
 * it), or when they end (nothing of it survives before).  By chance both, else the
 * latter, unless it is said here. */
void sim_sched_sync_early(struct sim_sched *sched, bool is_early);
/* A way of choosing that follows from a seed; span: about as many steps as are to
 * come. */
struct sim_chance sim_chance_of(uint64_t seed, uint64_t span);

/* ---- running ---- */

/* fn runs as a thread of the process.  The actor is the scheduler's. */
struct sim_actor *sim_actor_start(struct sim_sched *sched, struct sys *sys,
                                  const char *name, void (*fn)(void *), void *arg);
/* fn returned, or the process was killed. */
bool sim_actor_has_ended(const struct sim_actor *actor);
/* It waits for a mutex, a condition or the end of a thread. */
bool sim_actor_is_waiting(const struct sim_actor *actor);
uint64_t sim_actor_id(const struct sim_actor *actor);
/* In a hook: who makes the call, and what bytes it is about. */
uint64_t sim_sched_current(const struct sim_sched *sched);
void sim_sched_range(const struct sim_sched *sched, uint64_t *off, uint64_t *len);

/* Until all actors that the test started have ended, or an event says so.  False: stuck,
 * see sim_sched_report. */
bool sim_sched_run(struct sim_sched *sched);
const char *sim_sched_report(const struct sim_sched *sched);
/* Called by the director between two steps of sim_sched_run, by chance once in so many.
 * It may look at the disk, cut its power, kill processes and start actors.  False ends
 * the run. */
typedef bool (*sim_event_fn)(void *ctx);
void sim_sched_on_event(struct sim_sched *sched, uint32_t one_in, sim_event_fn fn,
                        void *ctx);
/* Steps so far; and a hash of all of them: equal runs have equal hashes. */
uint64_t sim_sched_steps(const struct sim_sched *sched);
uint64_t sim_sched_trace(const struct sim_sched *sched);

/* ---- directing ---- */

struct sim_stop {
    int step;            /* enum sim_call or enum sim_step; SIM_ANY: each one */
    enum sim_when when;
    uint64_t nth;        /* counted from now on; 0 is the first */
    uint64_t from;       /* of reads, writes and locks: those that meet these bytes */
    uint64_t to;         /* 0: wherever */
    bool (*holds)(void *ctx); /* and only when this is true; NULL: always */
    void *ctx;
};
enum sim_outcome {
    SIM_STOPPED, /* at the stop */
    SIM_BLOCKED, /* it waits: somebody else has to run, or time has to pass */
    SIM_ENDED
};
/* Only this actor runs.  stop NULL: as far as it can. */
enum sim_outcome sim_actor_run(struct sim_actor *actor, const struct sim_stop *stop);
/* Everybody runs by chance until this one gets there.  SIM_BLOCKED: all are stuck. */
enum sim_outcome sim_actor_await(struct sim_actor *actor, const struct sim_stop *stop);

#endif
