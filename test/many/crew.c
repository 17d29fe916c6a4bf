/* The supervisor: see crew.h. */
#include "test/many/crew.h"

#include <signal.h>
#include <unistd.h>

enum {
    ROUND_END_S = 300, /* who has not ended by then hangs */
    STOP_MAX_MS = 1200,
    PAUSE_MAX_US = 40000
};

uint32_t crew_roll(uint64_t *dice, uint32_t limit)
{
    return (uint32_t)(unit_random(dice) >> 16) % limit;
}

void crew_note_gen(struct crew_signs *signs, scn_db *db)
{
    scn_stats_t stats = {.struct_size = sizeof stats};
    MUST_OK(scn_stats(db, &stats));
    uint64_t seen = atomic_load(&signs->newest_gen);
    while (seen < stats.gen &&
           !atomic_compare_exchange_weak(&signs->newest_gen, &seen, stats.gen))
        ;
}

void crew_init(struct crew *crew, void (*run)(void *ctx, int fd), void *ctx,
               uint64_t seed)
{
    *crew = (struct crew){.run = run, .ctx = ctx, .dice = seed | 1, .stopped = -1};
    crew->signs = party_shared(sizeof *crew->signs);
}

/* ---- stopping ---- */

static void let_go_on(struct crew *crew)
{
    if (crew->stopped >= 0 && crew->members[crew->stopped].pid)
        kill(crew->members[crew->stopped].pid, SIGCONT);
    crew->stopped = -1;
}

static void stop_one(struct crew *crew)
{
    crew->stopped = (int)crew_roll(&crew->dice, (uint32_t)crew->count);
    crew->stopped_until_ns =
        party_ns() + crew_roll(&crew->dice, STOP_MAX_MS) * UINT64_C(1000000);
    crew->stopped_gen = atomic_load(&crew->signs->newest_gen);
    kill(crew->members[crew->stopped].pid, SIGSTOP);
    crew->stops++;
}

static void look_after_stopped(struct crew *crew)
{
    bool has_missed = atomic_load(&crew->signs->newest_gen) >=
                      crew->stopped_gen + CREW_MISSED_GENS;
    if (crew->stopped < 0)
        return;
    if (has_missed || party_ns() > crew->stopped_until_ns) {
        crew->missed += has_missed;
        let_go_on(crew);
    }
}

/* ---- coming and going ---- */

static void hire(struct crew *crew, int place)
{
    unit_random(&crew->dice);
    crew->members[place] = party_start(crew->run, crew->ctx);
}

static void kill_one(struct crew *crew)
{
    int place = (int)crew_roll(&crew->dice, (uint32_t)crew->count);
    if (place == crew->stopped)
        crew->stopped = -1;
    party_kill(&crew->members[place]);
    crew->kills++;
    hire(crew, place);
}

static void kill_all(struct crew *crew)
{
    for (int i = 0; i < CREW_MAX; i++)
        party_kill(&crew->members[i]);
    crew->stopped = -1;
}

/* Nobody ends before it is told to, unless something was wrong. */
static void look_after_all(struct crew *crew)
{
    for (int i = 0; i < crew->count; i++) {
        bool is_well = false;
        if (party_has_ended(&crew->members[i], &is_well)) {
            kill_all(crew);
            unit_fail(__FILE__, __LINE__, "a process has ended, %s",
                      is_well ? "too early" : "badly");
        }
    }
}

static void await_end(struct crew *crew, int place, uint64_t until)
{
    bool is_well = false;
    while (!party_has_ended(&crew->members[place], &is_well)) {
        if (party_ns() > until) {
            printf("    process %d hangs\n", (int)crew->members[place].pid);
            fflush(stdout);
            if (getenv("MANY_WAIT")) /* for a debugger */
                pause();
            kill_all(crew);
            unit_fail(__FILE__, __LINE__, "a process hangs");
        }
        party_pause_us(1000);
    }
    if (!is_well)
        kill_all(crew);
    CHECK(is_well);
}

static void end_gently(struct crew *crew)
{
    uint64_t until = party_ns() + ROUND_END_S * UINT64_C(1000000000);
    let_go_on(crew);
    atomic_store(&crew->signs->is_over, true);
    for (int i = 0; i < crew->count; i++)
        await_end(crew, i, until);
    atomic_store(&crew->signs->is_over, false);
}

void crew_round(struct crew *crew, double seconds)
{
    uint64_t until = party_ns() + (uint64_t)(seconds * 1e9);
    crew->count = 4 + (int)crew_roll(&crew->dice, CREW_MAX - 3);
    for (int i = 0; i < crew->count; i++)
        hire(crew, i);
    while (party_ns() < until) {
        uint32_t chance = crew_roll(&crew->dice, 8);
        party_pause_us(200 + crew_roll(&crew->dice, PAUSE_MAX_US));
        look_after_all(crew);
        look_after_stopped(crew);
        if (chance < 4)
            kill_one(crew);
        else if (chance == 4 && crew->stopped < 0)
            stop_one(crew);
    }
    if (crew_roll(&crew->dice, 2))
        kill_all(crew);
    else
        end_gently(crew);
}

void crew_alone(struct crew *crew, void (*run)(void *ctx, int fd))
{
    unit_random(&crew->dice);
    struct partner partner = party_start(run, crew->ctx);
    party_end(&partner);
}
