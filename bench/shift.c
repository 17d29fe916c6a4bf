#include "bench/shift.h"

#include "bench/figure.h"

#include <stdio.h>
#include <stdlib.h>

double shift_seconds(void)
{
    const char *text = getenv("BENCH_SECONDS");
    double seconds = text ? atof(text) : 10;
    require(seconds > 0, "BENCH_SECONDS is a number above 0");
    return seconds;
}

struct shift *shift_prepare(const struct contender *contender,
                            const struct record_set *set, uint32_t count)
{
    struct shift *shifts = mate_memory(count * sizeof *shifts);
    char path[PATH_BYTES];
    void *store = contender->open(rig_path(contender->file, path));
    contender->load(store, set);
    contender->close(store);
    for (uint32_t i = 0; i < count; i++) {
        shifts[i].contender = contender;
        shifts[i].set = set;
        shifts[i].seed = i + 1;
        snprintf(shifts[i].path, PATH_BYTES, "%s", path);
    }
    return shifts;
}

static void commit_one(struct shift *shift, void *store, uint64_t *random)
{
    uint8_t value[VALUE_BYTES];
    uint64_t drawn = random_next(random);
    uint32_t i = (uint32_t)(drawn % shift->set->count);
    record_value(i, (uint32_t)(drawn >> 32), value);
    uint64_t start = wall_ns();
    if (!shift->contender->put(store, record_key(shift->set, i),
                               (scn_slice){value, VALUE_BYTES}))
        shift->refused++;
    else
        shift->count++;
    if (shift->sampled < SHIFT_SAMPLES)
        shift->us[shift->sampled++] = (double)(wall_ns() - start) / 1000;
}

/* The first commits go uncounted: caches are cold, the log has its first extent. */
static void warm_up(struct shift *shift, void *store, uint64_t *random)
{
    for (uint32_t i = 0; i < 20; i++)
        commit_one(shift, store, random);
    shift->count = 0;
    shift->sampled = 0;
    shift->refused = 0;
}

static void turn(struct shift *shift, void *store, uint64_t *random)
{
    uint64_t before[2] = {0, 0};
    uint64_t after[2] = {0, 0};
    uint64_t cpu = process_cpu_ns();
    if (shift->contender->count)
        shift->contender->count(store, &before[0], &before[1]);
    while (wall_ns() < shift->until_ns)
        commit_one(shift, store, random);
    if (shift->contender->count)
        shift->contender->count(store, &after[0], &after[1]);
    shift->commits += after[0] - before[0];
    shift->syncs += after[1] - before[1];
    shift->cpu_ns += process_cpu_ns() - cpu;
}

void shift_work(void *ctx, struct mate *caller)
{
    struct shift *shift = ctx;
    uint64_t random = shift->seed;
    void *store = shift->contender->open(shift->path);
    warm_up(shift, store, &random);
    mate_tell(caller);
    while (mate_goes_on(caller)) {
        turn(shift, store, &random);
        mate_tell(caller);
    }
    shift->contender->close(store);
}

void shift_hold(void *ctx, struct mate *caller)
{
    struct shift *shift = ctx;
    uint8_t value[VALUE_BYTES];
    uint8_t key[KEY_BYTES] = {0}; /* nobody else's */
    void *store = shift->contender->open(shift->path);
    record_value(0, shift->seed, value);
    mate_tell(caller);
    while (mate_goes_on(caller)) {
        shift->contender->hold(store, (scn_slice){key, KEY_BYTES},
                               (scn_slice){value, VALUE_BYTES});
        mate_tell(caller);
        mate_hear(caller);
        shift->contender->let_go(store);
        mate_tell(caller);
    }
    shift->contender->close(store);
}
