/* Trouble: see trouble.h. */
#include "test/fault/trouble.h"

#include "page/mem.h"
#include "test/fault/scarcity.h"

#include <errno.h>

/* The trial that runs now. */
static struct {
    const struct life *life;
    struct trouble trouble; /* as it was in the beginning */
} current;

/* ---- what may be answered ---- */

static bool is_of(const struct trouble *trouble, enum sim_call call)
{
    return trouble->fault.call == call || trouble->fault.call == SIM_ANY;
}

/* Can it come from the trouble?  Reading what cannot be read is never damage, unless the
 * bytes that came were damaged. */
static bool is_clean(const struct life *life, scn_status st)
{
    const struct trouble *trouble = life->trouble;
    switch (st) {
    case SCN_POISONED:
    case SCN_UNKNOWN:
    case SCN_IO:
        return true;
    case SCN_FULL:
        return trouble->fault.error == ENOSPC || life->may_be_full;
    case SCN_NOMEM:
        return trouble->failing_allocation || is_of(trouble, SIM_MUTEX_CREATE) ||
               is_of(trouble, SIM_COND_CREATE);
    case SCN_MOVED: /* whoever cannot look takes the descriptor for stolen */
        return is_of(trouble, SIM_STAT);
    case SCN_BUSY:
        return is_of(trouble, SIM_LOCK);
    case SCN_CORRUPT:
        return trouble->fault.kind == SIM_FLIP;
    default:
        return false;
    }
}

static void judge(struct life *life, scn_status st, const char *what)
{
    scn_error error = {.struct_size = sizeof error};
    if (st >= 0 || sim_process_is_dead(life->sys))
        return;
    if (life->trouble->is_over) {
        life_must(life, st, what);
        return;
    }
    scn_last_error(life->db, &error);
    if (!is_clean(life, st))
        story_fail(&life->story, "%s says %d: %s", what, st, error.text);
    else if (error.status != st && st != SCN_UNKNOWN && error.status != SCN_IO &&
             error.status != SCN_FULL)
        story_fail(&life->story, "%s says %d, and its error is of %d: %s", what, st,
                   error.status, error.text);
}

/* ---- steps ---- */

static bool has_struck(const struct life *life)
{
    return sim_fault_hits(life->sys) > 0 || scarcity_hits() > 0;
}

static void take_away(struct life *life)
{
    sim_fault_clear(life->sys);
    scarcity_set(0, false);
    life->trouble->is_over = true;
}

/* Closing may meet the trouble, too, or the poison it left: then what was not synced is
 * unknown, and said to be. */
static void close_store(struct life *life)
{
    scn_status st = life->db ? scn_close(life->db) : SCN_OK;
    if (st != SCN_OK && st != SCN_UNKNOWN)
        story_fail(&life->story, "closing says %d", st);
    life->db = NULL;
}

static bool is_dead(const struct life *life)
{
    return sim_process_is_dead(life->sys);
}

static void bury(struct life *life)
{
    close_store(life);
    sim_process_destroy(life->sys);
    life->sys = sim_process_create(life->disk);
    life->trouble->is_over = true;
}

/* All that is there is right, or cannot be read for now. */
static void look(struct life *life, bool settles)
{
    uint32_t number = 0;
    scn_status st = story_read(&life->story, life->db, &number);
    judge(life, st, "reading");
    if (st < 0 && !is_dead(life) && !life->trouble->is_over) {
        take_away(life);
        (void)story_check(&life->story, life->db, &number);
    }
    if (settles && !is_dead(life) && life_is_fine(life))
        story_settle(&life->story, number);
}

static scn_status open_store(struct life *life)
{
    scn_status st = life_open(life, 0);
    life->is_named |= st == SCN_OK;
    return st;
}

void trouble_reopen(struct life *life)
{
    close_store(life);
    if (is_dead(life))
        bury(life);
    scn_status st = open_store(life);
    judge(life, st, "opening");
    if (st < 0) {
        if (is_dead(life))
            bury(life);
        take_away(life);
        st = open_store(life);
        judge(life, st, "opening again");
    }
    if (st == SCN_OK)
        look(life, true);
    if (is_dead(life)) {
        bury(life);
        trouble_reopen(life);
    }
}

static bool is_poisoned(const struct life *life)
{
    return file_is_poisoned(&life->db->store->file);
}

/* False: the store could not be opened, or something is wrong. */
static bool get_ready(struct life *life)
{
    if (life->db && !is_dead(life) && !is_poisoned(life))
        return true;
    if (!is_dead(life))
        take_away(life);
    trouble_reopen(life);
    return life->db && life_is_fine(life);
}

void trouble_step(struct life *life, const struct step *step)
{
    if (!get_ready(life))
        return;
    scn_status st = step->run(life, step);
    judge(life, st, step->what);
    bool is_answer = st >= 0 || (st == SCN_FULL && !has_struck(life));
    if ((is_answer && !is_dead(life)) || !life_is_fine(life))
        return;
    if (!is_dead(life))
        look(life, false);
    if (is_dead(life) || is_poisoned(life)) {
        trouble_reopen(life);
    } else if (!life->trouble->fault.is_forever && !life->trouble->is_scarce_forever) {
        /* What has struck once and is gone leaves nothing behind. */
        life->trouble->is_over = true;
    }
    if (st < 0 && life->db && life_is_fine(life))
        judge(life, step->run(life, step), "trying again");
}

/* ---- a trial ---- */

static void live_on(struct life *life)
{
    scn_status st = open_store(life);
    judge(life, st, "opening at the end");
    if (st == SCN_OK) {
        look(life, true);
        if (life_is_fine(life))
            judge(life, story_commit(&life->story, life->db), "a commit at the end");
        if (life_is_fine(life))
            judge(life, scn_checkpoint(life->db), "a checkpoint at the end");
        if (life_is_fine(life))
            (void)story_check_file(&life->story, life->db);
    }
    close_store(life);
}

/* The power goes, or only the process. */
static void end(struct life *life, uint64_t n)
{
    static const enum sim_keep keeps[] = {SIM_KEEP_NONE, SIM_KEEP_ALL, SIM_KEEP_RANDOM,
                                          SIM_KEEP_TORN};
    struct sim_choice choice = {.keep = keeps[n % 4], .n = n};
    close_store(life);
    if (sim_process_open_files(life->sys) != 0)
        story_fail(&life->story, "a closed store leaves files open");
    take_away(life);
    sim_process_destroy(life->sys);
    life_move(life, sim_crash(life->disk, &choice));
    life->sys = sim_process_create(life->disk);
    for (int i = 0; i < 2 && life_is_fine(life); i++)
        live_on(life);
}

/* What one run leaves behind, beside its story. */
struct outcome {
    struct trouble_room room;
    char wrong[sizeof((struct story *)0)->wrong];
};

static void count_room(const struct life *life, struct trouble_room *room)
{
    for (int i = 0; i < SIM_CALL_COUNT; i++)
        room->calls[i] = sim_call_count(life->sys, (enum sim_call)i);
    room->allocations = scarcity_count();
}

static void run_trial(const struct workload *workload, uint64_t seed,
                      const struct trouble *what, uint64_t n, struct outcome *out)
{
    struct trouble trouble = *what;
    struct life life = {.trouble = &trouble};
    size_t live = mem_live();
    life_begin(&life, workload, seed);
    current.life = &life;
    current.trouble = *what;
    if (what->fault.kind)
        sim_fault_set(life.sys, &what->fault);
    scarcity_set(what->failing_allocation, what->is_scarce_forever);
    trouble.is_over = !what->fault.kind && !what->failing_allocation;
    trouble_reopen(&life);
    if (life_is_fine(&life))
        workload->run(&life);
    count_room(&life, &out->room);
    end(&life, n);
    current.life = NULL;
    memcpy(out->wrong, life.story.wrong, sizeof out->wrong);
    life_end(&life);
    if (out->wrong[0] == 0 && mem_live() != live)
        snprintf(out->wrong, sizeof out->wrong, "%zu blocks of memory are left",
                 mem_live() - live);
}

static void make_key(const struct workload *workload, uint64_t seed,
                     const struct trouble *trouble, struct key *key)
{
    *key = (struct key){
        .seed = seed,
        .has_fault = trouble->failing_allocation == 0,
        .fault = trouble->fault,
        .failing_allocation = trouble->failing_allocation,
        .is_scarce_forever = trouble->is_scarce_forever,
    };
    snprintf(key->workload, sizeof key->workload, "%s", workload->name);
}

bool trouble_current(struct key *key)
{
    if (current.life)
        make_key(current.life->workload, current.life->seed, &current.trouble, key);
    return current.life != NULL;
}

static bool try(struct trouble_batch *batch, const struct trouble *trouble, uint64_t n,
                struct trouble_room *room)
{
    struct outcome out = {0};
    struct key key;
    run_trial(batch->workload, batch->seed, trouble, n, &out);
    batch->trial_count++;
    if (room)
        *room = out.room;
    if (out.wrong[0] == 0)
        return true;
    make_key(batch->workload, batch->seed, trouble, &key);
    key_print(&key, batch->wrong_key);
    memcpy(batch->wrong, out.wrong, sizeof batch->wrong);
    return false;
}

/* ---- all trials ---- */

#define CALL(call) (UINT32_C(1) << (call))

/* What can happen to which calls. */
struct shape {
    enum trouble_kind of;
    enum sim_fault_kind kind;
    int error;
    bool is_forever;
    bool is_lucky;  /* a failed sync has reached some sectors */
    uint64_t len;   /* written before a write fails */
    uint32_t calls; /* 0: all */
};

enum {
    WRITES = CALL(SIM_WRITE) | CALL(SIM_DSYNC),
    SYNCS = CALL(SIM_SYNC) | CALL(SIM_DSYNC),
    GROWTH = WRITES | CALL(SIM_SYNC) | CALL(SIM_TRUNCATE),
    NAMING = CALL(SIM_LINK) | CALL(SIM_OPEN)
};

static const struct shape shapes[] = {
    {.kind = SIM_FAIL, .error = EIO},
    {.kind = SIM_FAIL, .error = EIO, .is_forever = true},
    {.kind = SIM_FAIL, .error = EIO, .len = 700, .calls = CALL(SIM_WRITE)},
    {.kind = SIM_FAIL, .error = EIO, .is_lucky = true, .calls = SYNCS},
    {.kind = SIM_FAIL, .error = ENOSPC, .calls = GROWTH | NAMING},
    {.kind = SIM_FAIL, .error = ENOSPC, .is_forever = true, .calls = GROWTH},
    {.kind = SIM_FAIL, .error = EINTR, .calls = WRITES | CALL(SIM_READ)},
    {.kind = SIM_SHORT, .calls = WRITES | CALL(SIM_READ)},
    {.kind = SIM_SHORT, .is_forever = true, .calls = WRITES | CALL(SIM_READ)},
    {.kind = SIM_SHORT, .is_forever = true, .len = 512, .calls = WRITES | CALL(SIM_READ)},
    {.kind = SIM_KILL},
    {.kind = SIM_KILL, .len = 520, .calls = WRITES},
    {.of = TROUBLE_READS, .kind = SIM_FLIP, .calls = CALL(SIM_READ)},
    {.of = TROUBLE_READS, .kind = SIM_FLIP, .calls = CALL(SIM_READ), .is_lucky = true},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

/* Each trial has a number; the batch takes some of them. */
struct walk {
    struct trouble_batch *batch;
    uint64_t no;
};

static bool is_late(const struct trouble_batch *batch)
{
    return batch->until_ms && story_now_ms() > batch->until_ms;
}

static bool is_taken(struct walk *walk)
{
    const struct trouble_batch *batch = walk->batch;
    return walk->no++ % batch->step == batch->first % batch->step && !is_late(batch);
}

static struct trouble fault_of(const struct shape *shape, enum sim_call call,
                               uint64_t nth, uint64_t seed)
{
    struct sim_fault fault = {
        .kind = shape->kind,
        .call = call,
        .nth = nth,
        .is_forever = shape->is_forever,
        .error = shape->error,
        .len = shape->len,
    };
    uint64_t luck = (seed + shape->is_lucky) * 2 + nth * 128 + 1;
    if (shape->is_lucky || shape->kind == SIM_FLIP)
        fault.bit = 1 + unit_random(&luck) % 1000003;
    return (struct trouble){.fault = fault};
}

static bool try_calls(struct walk *walk, const struct shape *shape,
                      const struct trouble_room *room)
{
    for (int call = 0; call < SIM_CALL_COUNT; call++) {
        if (shape->calls && !(shape->calls & CALL(call)))
            continue;
        uint64_t most = room->calls[call];
        if (shape->kind == SIM_SHORT && shape->is_forever && most > 1)
            most = 1; /* from the first on is enough */
        for (uint64_t nth = 1; nth <= most; nth++) {
            struct trouble trouble =
                fault_of(shape, (enum sim_call)call, nth, walk->batch->seed);
            if (is_taken(walk) && !try(walk->batch, &trouble, nth, NULL))
                return false;
        }
    }
    return true;
}

static bool try_memory(struct walk *walk, const struct trouble_room *room)
{
    for (uint64_t nth = 1; nth <= room->allocations; nth++)
        for (int forever = 0; forever < 2; forever++) {
            struct trouble trouble = {.failing_allocation = nth,
                                      .is_scarce_forever = forever != 0};
            if (is_taken(walk) && !try(walk->batch, &trouble, nth, NULL))
                return false;
        }
    return true;
}

bool trouble_run(struct trouble_batch *batch)
{
    struct trouble none = {.is_over = true};
    struct trouble_room room;
    struct walk walk = {.batch = batch};
    bool is_fine = try(batch, &none, 1, &room);
    if (is_fine && batch->kind == TROUBLE_MEMORY)
        return try_memory(&walk, &room);
    for (size_t i = 0; i < SHAPES && is_fine; i++)
        if (shapes[i].of == batch->kind)
            is_fine = try_calls(&walk, &shapes[i], &room);
    return is_fine;
}

bool trouble_run_only(struct trouble_batch *batch, const struct key *key)
{
    struct trouble trouble = {
        .fault = key->fault,
        .failing_allocation = key->failing_allocation,
        .is_scarce_forever = key->is_scarce_forever,
    };
    uint64_t n = key->failing_allocation ? key->failing_allocation : key->fault.nth;
    return try(batch, &trouble, n, NULL);
}
