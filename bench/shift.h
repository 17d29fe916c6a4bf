/* One process that commits for a while, and what came of it.
 *
 * Bench groups with many processes are shifts in turns: the others rest meanwhile, with
 * their files open. */
#ifndef BENCH_SHIFT_H
#define BENCH_SHIFT_H

#include "bench/contender.h"
#include "bench/mate.h"

#include <stdatomic.h>

enum { SHIFT_SAMPLES = 200000 };

/* In shared memory: the worker writes it while it works, its caller otherwise.  What is
 * atomic the caller may read meanwhile. */
struct shift {
    const struct contender *contender;
    const struct record_set *set;
    char path[PATH_BYTES];
    uint32_t seed;
    uint64_t until_ns;  /* of the next turn: when it is over */
    /* Of all turns. */
    uint64_t cpu_ns;
    _Atomic uint64_t refused;
    uint64_t commits;   /* of its process, as the store counts them */
    uint64_t syncs;
    _Atomic uint32_t count; /* of commits */
    uint32_t sampled;   /* up to SHIFT_SAMPLES of them */
    double us[SHIFT_SAMPLES];
};

/* count workers on one file, which is loaded first. */
struct shift *shift_prepare(const struct contender *contender,
                            const struct record_set *set, uint32_t count);
/* For mate_start: opens the file, and works one turn for each thing it is told. */
void shift_work(void *ctx, struct mate *caller);
/* For mate_start: holds a transaction open from one thing it is told to the next. */
void shift_hold(void *ctx, struct mate *caller);
/* Seconds that a measurement is to take: $BENCH_SECONDS, else 10. */
double shift_seconds(void);

#endif
