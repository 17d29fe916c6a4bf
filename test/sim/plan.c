/* All the disks that a power cut could leave, or as many as a plan asks for.
 *
 * n changes have 2^n subsets.  Bugs show in few of them: a promise that hangs on the
 * order of two writes is broken by a prefix, one that forgets a sync by a change that is
 * missing from all, one that trusts too early by a change that came alone.  Those are
 * taken one by one; chance takes care of the rest. */
#include "test/sim/state.h"

#include <stdlib.h>

/* Open addressing; 0 marks a free place, so the hash 0 is kept as 1. */
struct sim_seen {
    uint64_t *slots;
    size_t room;
    size_t count;
};

struct sim_seen *sim_seen_create(void)
{
    struct sim_seen *seen = must(calloc(1, sizeof *seen));
    seen->room = 64;
    seen->slots = must(calloc(seen->room, sizeof *seen->slots));
    return seen;
}

void sim_seen_destroy(struct sim_seen *seen)
{
    free(seen->slots);
    free(seen);
}

static uint64_t *find_slot(struct sim_seen *seen, uint64_t hash)
{
    size_t idx = hash & (seen->room - 1);
    while (seen->slots[idx] != 0 && seen->slots[idx] != hash)
        idx = (idx + 1) & (seen->room - 1);
    return &seen->slots[idx];
}

static void double_room(struct sim_seen *seen)
{
    struct sim_seen old = *seen;
    seen->room *= 2;
    seen->slots = must(calloc(seen->room, sizeof *seen->slots));
    for (size_t i = 0; i < old.room; i++)
        if (old.slots[i] != 0)
            *find_slot(seen, old.slots[i]) = old.slots[i];
    free(old.slots);
}

bool sim_seen_add(struct sim_seen *seen, uint64_t hash)
{
    if (seen->count * 2 >= seen->room)
        double_room(seen);
    uint64_t key = hash ? hash : 1;
    uint64_t *slot = find_slot(seen, key);
    if (*slot == key)
        return false;
    *slot = key;
    seen->count++;
    return true;
}

struct walk {
    struct sim_disk *disk;
    struct sim_seen *seen;
    bool by_call;
    sim_crash_fn fn;
    void *ctx;
    uint64_t count;
};

static void visit(struct walk *walk, enum sim_keep keep, uint64_t n)
{
    struct sim_choice choice = {.keep = keep, .by_call = walk->by_call, .n = n};
    struct sim_disk *crashed = sim_crash(walk->disk, &choice);
    if (sim_seen_add(walk->seen, sim_hash(crashed))) {
        walk->count++;
        walk->fn(walk->ctx, crashed, &choice);
    }
    sim_disk_destroy(crashed);
}

static void visit_each(struct walk *walk, const struct sim_plan *plan)
{
    uint64_t changes = sim_pending(walk->disk, walk->by_call);
    uint64_t most = plan->change_max ? plan->change_max : changes;
    uint64_t step = changes > most ? (changes + most - 1) / most : 1;
    visit(walk, SIM_KEEP_NONE, 0);
    visit(walk, SIM_KEEP_ALL, 0);
    for (uint64_t n = 0; n < changes; n += step) {
        visit(walk, SIM_KEEP_PREFIX, n);
        visit(walk, SIM_KEEP_ALL_BUT, n);
        visit(walk, SIM_KEEP_ONLY, n);
    }
    for (uint32_t i = 0; i < plan->random_count; i++) {
        visit(walk, SIM_KEEP_RANDOM, plan->seed + i);
        visit(walk, SIM_KEEP_TORN, plan->seed + i);
    }
}

uint64_t sim_each_crash(struct sim_disk *disk, const struct sim_plan *plan,
                        sim_crash_fn fn, void *ctx)
{
    struct sim_seen *own = plan->seen ? NULL : sim_seen_create();
    struct walk walk = {
        .disk = disk,
        .seen = plan->seen ? plan->seen : own,
        .by_call = !plan->by_sector,
        .fn = fn,
        .ctx = ctx,
    };
    visit_each(&walk, plan);
    if (own)
        sim_seen_destroy(own);
    return walk.count;
}
