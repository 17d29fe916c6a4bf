/* Many processes that work on one file, and are killed and stopped at any moment.
 *
 * A supervisor keeps a few processes at work: writers, readers beside them, and such that
 * come and go.  It kills one with SIGKILL, or stops one until several checkpoints have been
 * made without it.  Each round ends with an audit: what was acknowledged is there, nothing
 * is there in part, and no page is out of order.  MANY_SECONDS is how long it takes. */
#include "test/many/bank.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    CREW_MAX = 8,
    ROUNDS = 4,
    ROUND_END_S = 30, /* when asked to, who has not ended by then hangs */
    STOP_MAX_MS = 1200,
    MISSED_CHECKPOINTS = 3,
    SECONDS_DEFAULT = 3
};

struct stress {
    const char *path;
    struct bank_book *book;
    uint64_t dice;
    struct partner crew[CREW_MAX];
    int crew_count;
    int stopped; /* -1: nobody */
    uint64_t stopped_until_ns;
    uint64_t stopped_at_checkpoint;
    uint32_t kills;
    uint32_t stops;
    uint32_t missed; /* stops that lasted for MISSED_CHECKPOINTS */
};

static uint32_t roll(uint64_t *dice, uint32_t limit)
{
    return (uint32_t)(unit_random(dice) >> 16) % limit;
}

/* ---- the crew ---- */

static bool goes_on(const struct bank *bank)
{
    return !atomic_load(&bank->book->is_over);
}

static void care(struct bank *bank)
{
    uint32_t chance = roll(&bank->dice, 300);
    scn_status st = SCN_OK;
    if (chance < 6)
        st = scn_checkpoint(bank->db);
    else if (chance < 12)
        st = scn_tick(bank->db, 1);
    else if (chance == 12)
        st = scn_check(bank->db, SCN_CHECK_QUICK, NULL, NULL, NULL);
    if (chance < 6 && st == SCN_OK)
        atomic_fetch_add(&bank->book->checkpoints, 1);
    if (st != SCN_BUSY)
        MUST_OK(st);
}

static void write_on(struct bank *bank, const char *path, uint32_t writer)
{
    bank_open(bank, path, 0);
    for (uint32_t left = 1 + roll(&bank->dice, 400); left && goes_on(bank); left--) {
        bank_work(bank, writer);
        if (roll(&bank->dice, 4) == 0)
            bank_look(bank);
        care(bank);
    }
    bank_close(bank);
}

static void read_on(struct bank *bank, const char *path)
{
    bank_open(bank, path, SCN_RDONLY);
    for (uint32_t left = 1 + roll(&bank->dice, 400); left && goes_on(bank); left--)
        bank_look(bank);
    bank_close(bank);
}

static void crew_run(void *ctx, int fd)
{
    const struct stress *stress = ctx;
    struct bank bank = {.book = stress->book, .dice = stress->dice | 1};
    bool is_reader = roll(&bank.dice, 5) == 0;
    uint32_t writer = 0;
    (void)fd;
    if (!is_reader)
        writer = atomic_fetch_add(&stress->book->writers, 1);
    MUST(writer < BANK_WRITERS_MAX);
    while (goes_on(&bank)) {
        if (is_reader)
            read_on(&bank, stress->path);
        else
            write_on(&bank, stress->path, writer);
    }
}

static void hire(struct stress *stress, int place)
{
    unit_random(&stress->dice);
    stress->crew[place] = party_start(crew_run, stress);
}

/* ---- the supervisor ---- */

static void let_go_on(struct stress *stress)
{
    if (stress->stopped >= 0 && stress->crew[stress->stopped].pid)
        kill(stress->crew[stress->stopped].pid, SIGCONT);
    stress->stopped = -1;
}

static void stop_one(struct stress *stress)
{
    stress->stopped = (int)roll(&stress->dice, (uint32_t)stress->crew_count);
    stress->stopped_until_ns =
        party_ns() + roll(&stress->dice, STOP_MAX_MS) * UINT64_C(1000000);
    stress->stopped_at_checkpoint = atomic_load(&stress->book->checkpoints);
    kill(stress->crew[stress->stopped].pid, SIGSTOP);
    stress->stops++;
}

static void look_after_stopped(struct stress *stress)
{
    bool has_missed = atomic_load(&stress->book->checkpoints) >=
                      stress->stopped_at_checkpoint + MISSED_CHECKPOINTS;
    if (stress->stopped < 0)
        return;
    if (has_missed || party_ns() > stress->stopped_until_ns) {
        stress->missed += has_missed;
        let_go_on(stress);
    }
}

static void kill_one(struct stress *stress)
{
    int place = (int)roll(&stress->dice, (uint32_t)stress->crew_count);
    if (place == stress->stopped)
        stress->stopped = -1;
    party_kill(&stress->crew[place]);
    stress->kills++;
    hire(stress, place);
}

static void kill_all(struct stress *stress)
{
    for (int i = 0; i < CREW_MAX; i++)
        party_kill(&stress->crew[i]);
    stress->stopped = -1;
}

/* Nobody ends before it is told to, unless something was wrong. */
static void look_after_crew(struct stress *stress)
{
    for (int i = 0; i < stress->crew_count; i++) {
        bool is_well = false;
        if (stress->crew[i].pid && party_has_ended(&stress->crew[i], &is_well)) {
            kill_all(stress);
            unit_fail(__FILE__, __LINE__, "a process has ended, %s",
                      is_well ? "too early" : "badly");
        }
    }
}

static void end_gently(struct stress *stress)
{
    uint64_t until = party_ns() + ROUND_END_S * UINT64_C(1000000000);
    let_go_on(stress);
    atomic_store(&stress->book->is_over, true);
    for (int i = 0; i < stress->crew_count; i++) {
        bool is_well = false;
        while (!party_has_ended(&stress->crew[i], &is_well)) {
            if (party_ns() > until) {
                printf("    process %d hangs\n", (int)stress->crew[i].pid);
                fflush(stdout);
                if (getenv("MANY_WAIT"))
                    pause();
                kill_all(stress);
                unit_fail(__FILE__, __LINE__, "a process hangs");
            }
            party_pause_us(1000);
        }
        if (!is_well)
            kill_all(stress);
        CHECK(is_well);
    }
    atomic_store(&stress->book->is_over, false);
}

static void run_round(struct stress *stress, double seconds)
{
    uint64_t until = party_ns() + (uint64_t)(seconds * 1e9);
    for (int i = 0; i < stress->crew_count; i++)
        hire(stress, i);
    while (party_ns() < until) {
        uint32_t chance = roll(&stress->dice, 8);
        party_pause_us(200 + roll(&stress->dice, 40000));
        look_after_crew(stress);
        look_after_stopped(stress);
        if (chance < 4)
            kill_one(stress);
        else if (chance == 4 && stress->stopped < 0)
            stop_one(stress);
    }
    if (roll(&stress->dice, 2))
        kill_all(stress);
    else
        end_gently(stress);
}

static void audit_run(void *ctx, int fd)
{
    const struct stress *stress = ctx;
    struct bank bank = {.book = stress->book, .dice = stress->dice | 1};
    (void)fd;
    bank_open(&bank, stress->path, 0);
    bank_audit(&bank);
    bank_close(&bank);
}

static void create_run(void *ctx, int fd)
{
    const struct stress *stress = ctx;
    struct bank bank = {.book = stress->book, .dice = stress->dice | 1};
    (void)fd;
    bank_create(&bank, stress->path);
}

static void alone(struct stress *stress, void (*run)(void *, int))
{
    struct partner partner = party_start(run, stress);
    party_end(&partner);
}

static void tell(const struct stress *stress)
{
    const struct bank_book *book = stress->book;
    printf("    %u writers, %u kills, %u stops (%u across %d checkpoints); %llu opens, "
           "%llu commits, %llu conflicts, %llu refusals, %llu looks, %llu checkpoints\n",
           atomic_load(&book->writers), stress->kills, stress->stops, stress->missed,
           MISSED_CHECKPOINTS, (unsigned long long)atomic_load(&book->opens),
           (unsigned long long)atomic_load(&book->commits),
           (unsigned long long)atomic_load(&book->retries),
           (unsigned long long)atomic_load(&book->refusals),
           (unsigned long long)atomic_load(&book->looks),
           (unsigned long long)atomic_load(&book->checkpoints));
}

static double seconds_wanted(void)
{
    const char *given = getenv("MANY_SECONDS");
    return given ? atof(given) : SECONDS_DEFAULT;
}

TEST(stress__loses_nothing_and_shows_nothing_in_part)
{
    struct stress stress = {.dice = unit_seed(), .stopped = -1};
    char *path = strdup(unit_path("stress.scn"));
    CHECK(path);
    stress.path = path;
    stress.book = party_shared(sizeof *stress.book);
    alone(&stress, create_run);
    for (int i = 0; i < ROUNDS; i++) {
        stress.crew_count = 4 + (int)roll(&stress.dice, CREW_MAX - 3);
        run_round(&stress, seconds_wanted() / ROUNDS);
        alone(&stress, audit_run);
    }
    tell(&stress);
    CHECK(atomic_load(&stress.book->commits) > 0);
    CHECK_OK(unlink(path));
    free(path);
}
