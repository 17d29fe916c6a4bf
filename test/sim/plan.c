/* All the disks that a power cut could leave, or as many as a plan asks for.
 *
 * n changes have 2^n subsets.  Bugs show in few of them: a promise that hangs on the
 * order of two writes is broken by a prefix, one that forgets a sync by a change that is
 * missing from all, one that trusts too early by a change that came alone.  Those are
 * taken one by one, for single sectors and for whole calls; chance takes care of the
 * rest. */
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
    const struct sim_plan *plan;
    struct sim_seen *seen;
    sim_crash_fn fn;
    void *ctx;
    uint64_t count;
};

static void visit(struct walk *walk, struct sim_choice choice)
{
    struct sim_disk *crashed = sim_crash(walk->disk, &choice);
    if (sim_seen_add(walk->seen, sim_hash(crashed) + walk->plan->salt)) {
        walk->count++;
        walk->fn(walk->ctx, crashed, &choice);
    }
    sim_disk_destroy(crashed);
}

static void visit_subsets(struct walk *walk, bool by_call, uint64_t changes)
{
    struct sim_choice choice = {.keep = SIM_KEEP_SUBSET, .by_call = by_call};
    for (choice.n = 0; choice.n < UINT64_C(1) << changes; choice.n++)
        visit(walk, choice);
}

static void visit_each(struct walk *walk, bool by_call, uint64_t changes)
{
    uint64_t most = walk->plan->change_max ? walk->plan->change_max : changes;
    uint64_t step = changes > most ? (changes + most - 1) / most : 1;
    struct sim_choice choice = {.by_call = by_call};
    for (uint64_t n = step > 1 ? walk->plan->seed % step : 0; n < changes; n += step) {
        choice.n = n;
        choice.keep = SIM_KEEP_PREFIX;
        visit(walk, choice);
        choice.keep = SIM_KEEP_ALL_BUT;
        visit(walk, choice);
        choice.keep = SIM_KEEP_ONLY;
        visit(walk, choice);
    }
}

static void visit_changes(struct walk *walk, bool by_call)
{
    uint64_t changes = sim_pending(walk->disk, by_call);
    if (changes <= walk->plan->exhaustive_max)
        visit_subsets(walk, by_call, changes);
    else
        visit_each(walk, by_call, changes);
}

static void visit_lucky(struct walk *walk, bool by_call)
{
    struct sim_choice choice = {.by_call = by_call};
    for (uint32_t i = 0; i < walk->plan->random_count; i++) {
        choice.n = walk->plan->seed + i;
        choice.has_garbage = false;
        choice.keep = SIM_KEEP_RANDOM;
        visit(walk, choice);
        choice.has_garbage = walk->plan->has_garbage;
        choice.keep = SIM_KEEP_TORN;
        visit(walk, choice);
    }
}

static void visit_all(struct walk *walk)
{
    const struct sim_plan *plan = walk->plan;
    uint64_t sectors = sim_pending(walk->disk, false);
    visit(walk, (struct sim_choice){.keep = SIM_KEEP_NONE});
    visit(walk, (struct sim_choice){.keep = SIM_KEEP_ALL});
    if (plan->has_garbage)
        visit(walk, (struct sim_choice){
                        .keep = SIM_KEEP_ALL, .has_garbage = true, .n = plan->seed});
    /* Where every subset of sectors is taken, those of calls are among them. */
    if (sectors > plan->exhaustive_max || !plan->by_sector)
        visit_changes(walk, true);
    if (plan->by_sector)
        visit_changes(walk, false);
    visit_lucky(walk, !plan->by_sector);
}

uint64_t sim_each_crash(struct sim_disk *disk, const struct sim_plan *plan,
                        sim_crash_fn fn, void *ctx)
{
    struct sim_seen *own = plan->seen ? NULL : sim_seen_create();
    struct walk walk = {
        .disk = disk,
        .plan = plan,
        .seen = plan->seen ? plan->seen : own,
        .fn = fn,
        .ctx = ctx,
    };
    visit_all(&walk);
    if (own)
        sim_seen_destroy(own);
    return walk.count;
}
