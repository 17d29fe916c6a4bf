/* The scheduler: see sched.h.
 *
 * An actor is in one of these states; who can run is looked up each time, since there
 * are few:
 *
 *     READY    runs, or could
 *     LOCKING  until its mutex has no owner, or its deadline has passed
 *     WAITING  until its condition is woken (then LOCKING), or its deadline has passed
 *     JOINING  until another actor has ENDED
 *     IDLE     the director, outside of the library: it is switched to on purpose only
 *
 * The director is an actor, too, so that it can wait inside the library like others; but
 * it takes no turns. */
#include "test/sim/sched.h"

#include "test/sim/coroutine.h"
#include "test/sim/heap.h"
#include "test/sim/turns.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHANGES_MAX = 8,
    REPORT_BYTES = 1200,
    NAME_BYTES = 24
};

enum actor_state { READY, LOCKING, WAITING, JOINING, IDLE, ENDED };
enum news { NEWS_NONE, NEWS_STOP, NEWS_BLOCKED, NEWS_ENDED, NEWS_EVENT, NEWS_STUCK };

struct sim_actor {
    struct sim_sched *sched;
    struct sim_actor *next;
    struct coroutine *coroutine; /* NULL: ended and freed */
    struct sim_process *process; /* the director: who pays for its memory */
    void (*run)(void *);
    void *arg;
    char name[NAME_BYTES];
    uint64_t id;
    uint64_t priority; /* the greatest runs */
    enum actor_state state;
    bool is_tests;               /* started by the test */
    struct sim_mutex *mutex;     /* LOCKING, or to be taken again after WAITING */
    struct sim_cond *cond;       /* WAITING */
    struct sim_actor *awaited;   /* JOINING */
    uint64_t deadline_ns;        /* 0: none */
    bool is_woken;
    uint64_t range_off; /* what its call is about */
    uint64_t range_len;
    struct scn_error error; /* the thread's last one, while another runs */
};

struct sim_sched {
    struct sim_disk *disk;
    struct sim_actor director;
    struct sim_actor *actors; /* newest first */
    struct sim_actor *current;
    struct sim_actor *only;    /* sim_actor_run */
    struct sim_actor *watched; /* whom `stop` is for */
    struct sim_stop stop;
    uint64_t stop_seen;
    enum news news;
    uint64_t last_id;
    uint64_t steps;
    uint64_t trace;
    struct sim_chance chance;
    uint64_t random;
    uint64_t changes[CHANGES_MAX]; /* steps */
    uint64_t lowest; /* priority given last at a change */
    sim_event_fn event;
    void *event_ctx;
    uint32_t event_one_in;
    bool syncs_early;
    char report[REPORT_BYTES];
};

/* Above all that changes give away. */
#define PRIORITY_BASE (UINT64_C(1) << 32)

static uint64_t roll(struct sim_sched *sched, uint64_t bound)
{
    return (medium_random(&sched->random) >> 16) % bound;
}

static bool happens(struct sim_sched *sched, uint32_t one_in)
{
    return one_in > 0 && roll(sched, one_in) == 0;
}

/* ---- life ---- */

struct sim_sched *sim_sched_create(struct sim_disk *disk)
{
    if (disk->sched || disk->process_count > 0)
        abort();
    struct sim_sched *sched = must(calloc(1, sizeof *sched));
    sched->disk = disk;
    sched->random = 1;
    sched->director.sched = sched;
    sched->director.coroutine = coroutine_adopt();
    sched->director.state = IDLE;
    sched->director.id = ++sched->last_id;
    sched->director.priority = UINT64_MAX;
    strcpy(sched->director.name, "the director");
    sched->current = &sched->director;
    disk->sched = sched;
    return sched;
}

static void free_stack(struct sim_actor *actor)
{
    if (actor->coroutine)
        coroutine_destroy(actor->coroutine);
    actor->coroutine = NULL;
}

/* Of those that have ended, but for the one that runs. */
static void free_stacks(struct sim_sched *sched)
{
    for (struct sim_actor *actor = sched->actors; actor; actor = actor->next)
        if (actor->state == ENDED && actor != sched->current)
            free_stack(actor);
}

void sim_sched_destroy(struct sim_sched *sched)
{
    heap_charge(NULL);
    while (sched->actors) {
        struct sim_actor *actor = sched->actors;
        sched->actors = actor->next;
        free_stack(actor);
        free(actor);
    }
    free_stack(&sched->director);
    sched->disk->sched = NULL;
    free(sched);
}

void sim_sched_speak_for(struct sim_sched *sched, struct sys *sys)
{
    sched->director.process = (struct sim_process *)sys;
    if (sched->current == &sched->director)
        heap_charge(sched->director.process);
}

void sim_speak_for(struct sys *sys)
{
    struct sim_sched *sched = ((struct sim_process *)sys)->disk->sched;
    if (sched)
        sim_sched_speak_for(sched, sys);
}

/* ---- chance ---- */

/* The newest has the highest number, so without chance the oldest must be preferred. */
static uint64_t first_priority(struct sim_sched *sched, uint64_t id)
{
    if (sched->chance.seed == 0)
        return PRIORITY_BASE - id;
    return PRIORITY_BASE + roll(sched, PRIORITY_BASE);
}

void sim_sched_set_chance(struct sim_sched *sched, const struct sim_chance *chance)
{
    uint64_t count = chance->change_count;
    sched->chance = *chance;
    sched->random = chance->seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
    sched->lowest = PRIORITY_BASE / 2;
    for (uint64_t i = 0; i < CHANGES_MAX; i++)
        sched->changes[i] = i < count && chance->change_span > 0
                                ? sched->steps + 1 + roll(sched, chance->change_span)
                                : 0;
    for (struct sim_actor *actor = sched->actors; actor; actor = actor->next)
        actor->priority = first_priority(sched, actor->id);
}

struct sim_chance sim_chance_of(uint64_t seed, uint64_t span)
{
    static const uint32_t one_in[] = {2, 5, 12, 40, 150, 600};
    uint64_t random = seed * UINT64_C(0xd1342543de82ef95) | 1;
    struct sim_chance chance = {.seed = seed ? seed : 1, .change_span = span};
    medium_random(&random);
    uint64_t dice = medium_random(&random) >> 20;
    if (dice % 2)
        chance.switch_one_in = one_in[dice / 2 % 6];
    else
        chance.change_count = 1 + (uint32_t)(dice / 2 % CHANGES_MAX);
    if (dice / 16 % 3 == 0)
        chance.early_one_in = 300;
    return chance;
}

static void change_priorities(struct sim_sched *sched)
{
    for (int i = 0; i < CHANGES_MAX; i++)
        if (sched->changes[i] != 0 && sched->changes[i] == sched->steps)
            sched->current->priority = sched->lowest--;
}

/* ---- who can run ---- */

static bool is_late(const struct sim_actor *actor)
{
    return actor->deadline_ns != 0 &&
           actor->sched->disk->clock_ns >= actor->deadline_ns;
}

static bool can_run(const struct sim_actor *actor)
{
    switch (actor->state) {
    case READY: return true;
    case LOCKING: return actor->mutex->owner == NULL || is_late(actor);
    case WAITING: return actor->is_woken || is_late(actor);
    case JOINING: return actor->awaited->state == ENDED;
    default: return false;
    }
}

/* Number n of those for whom `is` holds; the director comes last. */
static struct sim_actor *find(struct sim_sched *sched,
                              bool (*is)(const struct sim_actor *), uint64_t n)
{
    for (struct sim_actor *actor = sched->actors; actor; actor = actor->next)
        if (is(actor) && n-- == 0)
            return actor;
    return is(&sched->director) && n == 0 ? &sched->director : NULL;
}

static uint64_t count(struct sim_sched *sched, bool (*is)(const struct sim_actor *))
{
    uint64_t n = is(&sched->director);
    for (const struct sim_actor *actor = sched->actors; actor; actor = actor->next)
        n += is(actor);
    return n;
}

static struct sim_actor *find_first(struct sim_sched *sched)
{
    struct sim_actor *first = can_run(&sched->director) ? &sched->director : NULL;
    for (struct sim_actor *actor = sched->actors; actor; actor = actor->next)
        if (can_run(actor) && (first == NULL || actor->priority > first->priority))
            first = actor;
    return first;
}

static struct sim_actor *find_any(struct sim_sched *sched)
{
    uint64_t n = count(sched, can_run);
    if (n == 0)
        return NULL;
    if (can_run(sched->current) && !happens(sched, sched->chance.switch_one_in))
        return sched->current;
    return find(sched, can_run, roll(sched, n));
}

static bool waits_for_time(const struct sim_actor *actor)
{
    return actor->deadline_ns != 0 &&
           (actor->state == LOCKING || actor->state == WAITING) && !can_run(actor);
}

static bool may_wake_for_nothing(const struct sim_actor *actor)
{
    return actor->state == WAITING && !can_run(actor);
}

static void move_clock(struct sim_sched *sched, uint64_t ns)
{
    if (sched->disk->clock_ns < ns)
        sched->disk->clock_ns = ns;
}

/* The machine is slow, or a condition wakes for nothing. */
static void be_unkind(struct sim_sched *sched)
{
    bool (*is)(const struct sim_actor *) =
        roll(sched, 2) ? waits_for_time : may_wake_for_nothing;
    uint64_t n = count(sched, is);
    if (n == 0)
        return;
    struct sim_actor *actor = find(sched, is, roll(sched, n));
    if (is == waits_for_time)
        move_clock(sched, actor->deadline_ns);
    else
        actor->is_woken = true;
}

/* False: nobody waits for time. */
static bool let_time_pass(struct sim_sched *sched)
{
    uint64_t nearest = UINT64_MAX;
    uint64_t n = count(sched, waits_for_time);
    for (uint64_t i = 0; i < n; i++) {
        const struct sim_actor *actor = find(sched, waits_for_time, i);
        if (actor->deadline_ns < nearest)
            nearest = actor->deadline_ns;
    }
    if (n > 0)
        move_clock(sched, nearest);
    return n > 0;
}

/* NULL: nobody ever can. */
static struct sim_actor *choose(struct sim_sched *sched)
{
    struct sim_actor *actor;
    if (happens(sched, sched->chance.early_one_in))
        be_unkind(sched);
    do {
        actor = sched->chance.switch_one_in ? find_any(sched) : find_first(sched);
    } while (actor == NULL && let_time_pass(sched));
    return actor;
}

/* ---- being stuck ---- */

static const char *owner_name(const struct sim_actor *actor)
{
    if (actor->state == JOINING)
        return actor->awaited->name;
    bool has_owner = actor->state == LOCKING && actor->mutex->owner;
    return has_owner ? actor->mutex->owner->name : "";
}

static void describe(struct sim_sched *sched, const struct sim_actor *actor)
{
    static const char *const what[] = {
        [READY] = "could run",
        [LOCKING] = "waits for a mutex of",
        [WAITING] = "waits for a condition",
        [JOINING] = "waits for the end of",
    };
    size_t len = strlen(sched->report);
    if (actor->state <= JOINING)
        snprintf(sched->report + len, sizeof sched->report - len, "%s%s %s %s",
                 len ? "; " : "", actor->name, what[actor->state], owner_name(actor));
}

static void write_report(struct sim_sched *sched)
{
    sched->report[0] = 0;
    describe(sched, &sched->director);
    for (const struct sim_actor *actor = sched->actors; actor; actor = actor->next)
        describe(sched, actor);
}

const char *sim_sched_report(const struct sim_sched *sched)
{
    return sched->report;
}

/* ---- switching ---- */

/* The last error is a thread's own, and here all threads are one. */
static struct scn_error *thread_error(void)
{
    return (struct scn_error *)error_last();
}

static void switch_to(struct sim_sched *sched, struct sim_actor *next)
{
    struct sim_actor *self = sched->current;
    if (next == self)
        return;
    self->error = *thread_error();
    *thread_error() = next->error;
    sched->current = next;
    heap_charge(next->process);
    coroutine_switch(self->coroutine, next->coroutine);
}

static void tell_director(struct sim_sched *sched, enum news news)
{
    sched->news = news;
    switch_to(sched, &sched->director);
}

/* The one that runs cannot go on, or has ended. */
static void pass_on(struct sim_sched *sched)
{
    bool is_directed = sched->director.state == IDLE;
    struct sim_actor *self = sched->current;
    if (is_directed && self->state == ENDED) {
        tell_director(sched, NEWS_ENDED);
    } else if (is_directed && self == sched->only) {
        tell_director(sched, NEWS_BLOCKED);
    } else {
        struct sim_actor *next = choose(sched);
        if (next) {
            switch_to(sched, next);
        } else if (is_directed) {
            tell_director(sched, NEWS_STUCK);
        } else {
            write_report(sched);
            fprintf(stderr, "stuck: %s\n", sched->report);
            abort();
        }
    }
}

/* Until it can go on. */
static void block(struct sim_actor *self, enum actor_state state)
{
    self->state = state;
    do
        pass_on(self->sched);
    while (!can_run(self));
    self->state = self == &self->sched->director ? IDLE : READY;
}

static void leave_for_ever(struct sim_actor *self)
{
    self->state = ENDED;
    pass_on(self->sched);
    abort(); /* nobody switches to the dead */
}

/* ---- steps ---- */

static bool meets_range(const struct sim_sched *sched)
{
    const struct sim_stop *stop = &sched->stop;
    const struct sim_actor *self = sched->current;
    return stop->to == 0 || (self->range_off < stop->to &&
                             self->range_off + self->range_len > stop->from);
}

static bool is_at_stop(struct sim_sched *sched, int step, enum sim_when when)
{
    const struct sim_stop *stop = &sched->stop;
    if (sched->current != sched->watched || when != stop->when ||
        (stop->step != SIM_ANY && stop->step != step) || !meets_range(sched) ||
        (stop->holds && !stop->holds(stop->ctx)))
        return false;
    return ++sched->stop_seen >= stop->nth;
}

static void trace_step(struct sim_sched *sched, int step, enum sim_when when)
{
    const struct sim_actor *self = sched->current;
    uint64_t what = self->id * 4096 + (uint64_t)step * 4 + when;
    what += (self->range_off ^ self->range_len << 40) * UINT64_C(0x9e3779b97f4a7c15);
    sched->steps++;
    sched->trace = (sched->trace ^ what) * UINT64_C(0x100000001b3);
}

void turns_take(struct sim_process *process, int step, enum sim_when when)
{
    struct sim_sched *sched = process->disk->sched;
    if (sched == NULL || sched->current == &sched->director)
        return;
    if (process->is_dead)
        leave_for_ever(sched->current);
    trace_step(sched, step, when);
    if (is_at_stop(sched, step, when))
        tell_director(sched, NEWS_STOP);
    else if (sched->event && !sched->only && sched->director.state == IDLE &&
             happens(sched, sched->event_one_in))
        tell_director(sched, NEWS_EVENT);
    else if (!sched->only) {
        change_priorities(sched);
        switch_to(sched, choose(sched));
    }
    if (when == SIM_AT_END)
        sched->current->range_len = 0;
}

bool turns_sync_early(struct sim_process *process)
{
    struct sim_sched *sched = process->disk->sched;
    return sched->syncs_early || (sched->chance.seed && roll(sched, 2) == 0);
}

void sim_sched_sync_early(struct sim_sched *sched, bool is_early)
{
    sched->syncs_early = is_early;
}

void turns_note_range(struct sim_process *process, uint64_t off, uint64_t len)
{
    struct sim_sched *sched = process->disk->sched;
    if (sched == NULL)
        return;
    sched->current->range_off = off;
    sched->current->range_len = len;
}

void sim_sched_range(const struct sim_sched *sched, uint64_t *off, uint64_t *len)
{
    *off = sched->current->range_off;
    *len = sched->current->range_len;
}

uint64_t sim_sched_current(const struct sim_sched *sched)
{
    return sched->current->id;
}

void turns_drop(struct sim_process *process)
{
    struct sim_sched *sched = process->disk->sched;
    struct sim_actor *actor = sched ? sched->actors : NULL;
    for (; actor; actor = actor->next)
        if (actor->process == process && actor != sched->current)
            actor->state = ENDED;
}

void turns_forget(struct sim_process *process)
{
    struct sim_sched *sched = process->disk->sched;
    if (sched == NULL)
        return;
    turns_drop(process);
    free_stacks(sched);
    if (sched->director.process == process)
        sched->director.process = NULL;
}

/* ---- threads ---- */

static void actor_main(void *arg)
{
    struct sim_actor *self = arg;
    self->run(self->arg);
    leave_for_ever(self);
}

static struct sim_actor *actor_create(struct sim_sched *sched,
                                      struct sim_process *process, const char *name,
                                      void (*run)(void *), void *arg)
{
    struct sim_actor *actor = must(calloc(1, sizeof *actor));
    free_stacks(sched);
    actor->sched = sched;
    actor->next = sched->actors;
    actor->coroutine = coroutine_create(actor_main, actor);
    actor->process = process;
    actor->run = run;
    actor->arg = arg;
    actor->id = ++sched->last_id;
    actor->priority = first_priority(sched, actor->id);
    actor->error.struct_size = sizeof actor->error;
    snprintf(actor->name, sizeof actor->name, "%s %" PRIu64, name, actor->id);
    sched->actors = actor;
    return actor;
}

struct sim_actor *sim_actor_start(struct sim_sched *sched, struct sys *sys,
                                  const char *name, void (*fn)(void *), void *arg)
{
    struct sim_process *process = (struct sim_process *)sys;
    struct sim_actor *actor = actor_create(sched, process, name, fn, arg);
    actor->is_tests = true;
    if (process->is_dead)
        actor->state = ENDED;
    return actor;
}

struct sim_actor *turns_thread_start(struct sim_process *process, void (*run)(void *),
                                     void *arg)
{
    return actor_create(process->disk->sched, process, "thread", run, arg);
}

void turns_thread_join(struct sim_process *process, struct sim_actor *awaited)
{
    struct sim_actor *self = awaited->sched->current;
    turns_take(process, SIM_JOIN, SIM_AT_BEGIN);
    self->awaited = awaited;
    self->deadline_ns = 0;
    if (awaited->state != ENDED)
        block(self, JOINING);
    free_stack(awaited);
}

uint64_t turns_thread_id(struct sim_disk *disk)
{
    return disk->sched->current->id;
}

bool sim_actor_has_ended(const struct sim_actor *actor)
{
    return actor->state == ENDED;
}

bool sim_actor_is_waiting(const struct sim_actor *actor)
{
    return !can_run(actor) && actor->state != ENDED;
}

uint64_t sim_actor_id(const struct sim_actor *actor)
{
    return actor->id;
}

/* ---- mutexes and conditions ---- */

bool turns_lock(struct sim_mutex *mutex, uint64_t deadline_ns)
{
    struct sim_actor *self = mutex->process->disk->sched->current;
    self->mutex = mutex;
    self->deadline_ns = deadline_ns;
    if (mutex->owner == self)
        abort(); /* it would wait for itself */
    while (mutex->owner && !is_late(self))
        block(self, LOCKING);
    if (mutex->owner)
        return false;
    mutex->owner = self;
    return true;
}

void turns_unlock(struct sim_mutex *mutex)
{
    if (mutex->owner != mutex->process->disk->sched->current)
        abort();
    mutex->owner = NULL;
}

bool turns_wait(struct sim_cond *cond, struct sim_mutex *mutex, uint64_t deadline_ns)
{
    struct sim_actor *self = cond->process->disk->sched->current;
    self->cond = cond;
    self->deadline_ns = deadline_ns;
    self->is_woken = false;
    turns_unlock(mutex);
    if (!is_late(self))
        block(self, WAITING);
    self->cond = NULL;
    bool is_woken = self->is_woken;
    turns_lock(mutex, 0);
    return is_woken;
}

void turns_wake(struct sim_cond *cond)
{
    struct sim_sched *sched = cond->process->disk->sched;
    for (struct sim_actor *actor = sched->actors; actor; actor = actor->next)
        actor->is_woken |= actor->state == WAITING && actor->cond == cond;
    sched->director.is_woken |= sched->director.cond == cond;
}

/* ---- the director ---- */

static bool is_wanted(const struct sim_actor *actor)
{
    return actor->is_tests && actor->state != ENDED;
}

/* Lets `actor` run, and others if there is no `only`, until there is news. */
static enum news let_run(struct sim_sched *sched, struct sim_actor *actor)
{
    if (sched->current != &sched->director)
        abort(); /* actors do not direct */
    sched->news = NEWS_NONE;
    switch_to(sched, actor);
    free_stacks(sched);
    return sched->news;
}

bool sim_sched_run(struct sim_sched *sched)
{
    sched->only = NULL;
    sched->watched = NULL;
    while (find(sched, is_wanted, 0)) {
        struct sim_actor *actor = choose(sched);
        enum news news = actor ? let_run(sched, actor) : NEWS_STUCK;
        if (news == NEWS_STUCK) {
            write_report(sched);
            return false;
        }
        if (news == NEWS_EVENT && !sched->event(sched->event_ctx))
            break;
    }
    free_stacks(sched);
    return true;
}

void sim_sched_on_event(struct sim_sched *sched, uint32_t one_in, sim_event_fn fn,
                        void *ctx)
{
    sched->event = fn;
    sched->event_ctx = ctx;
    sched->event_one_in = one_in;
}

uint64_t sim_sched_steps(const struct sim_sched *sched)
{
    return sched->steps;
}

uint64_t sim_sched_trace(const struct sim_sched *sched)
{
    return sched->trace;
}

static void set_stop(struct sim_sched *sched, struct sim_actor *actor,
                     const struct sim_stop *stop)
{
    sched->watched = stop ? actor : NULL;
    sched->stop = stop ? *stop : (struct sim_stop){0};
    sched->stop_seen = 0;
}

enum sim_outcome sim_actor_run(struct sim_actor *actor, const struct sim_stop *stop)
{
    struct sim_sched *sched = actor->sched;
    if (actor->state == ENDED)
        return SIM_ENDED;
    if (!can_run(actor))
        return SIM_BLOCKED;
    sched->only = actor;
    set_stop(sched, actor, stop);
    enum news news = let_run(sched, actor);
    sched->only = NULL;
    if (news == NEWS_STOP)
        return SIM_STOPPED;
    return news == NEWS_ENDED ? SIM_ENDED : SIM_BLOCKED;
}

enum sim_outcome sim_actor_await(struct sim_actor *actor, const struct sim_stop *stop)
{
    struct sim_sched *sched = actor->sched;
    set_stop(sched, actor, stop);
    while (actor->state != ENDED) {
        struct sim_actor *next = choose(sched);
        enum news news = next ? let_run(sched, next) : NEWS_STUCK;
        if (news == NEWS_STOP)
            return SIM_STOPPED;
        if (news == NEWS_STUCK) {
            write_report(sched);
            return SIM_BLOCKED;
        }
    }
    return SIM_ENDED;
}
