/* The store on a machine whose calls fail: each call in turn, once and for ever.
 *
 * A short story is told; call number n of a kind fails.  Whatever is answered then has to
 * be a status that says so, and the store goes on, or is poisoned and goes on after it
 * has been opened again.  At the end the machine loses its power or not, and everything
 * that was acknowledged is there.
 *
 * A failure prints a line FAULT=...; with that in the environment its test makes this one
 * call fail alone. */
#include "test/engine/story.h"
#include "test/sim/disk.h"

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#define STORE "store"

#define ALLOCATOR "SCRINE_TEST_ALLOCATOR"

enum { BUDGET_MS = PAGE_IS_SMALL ? 3000 : 1500 };

struct trial {
    struct sim_disk *disk;
    struct sys *sys;
    scn_db *db;
    struct story story;
    struct sim_fault fault;
    uint64_t failing_allocation; /* 0: none */
    bool is_named; /* opened once: acknowledged to be there */
    bool is_over;  /* the fault has been taken away */
};

/* ---- memory that runs out ---- */

/* An allocator can only be set before the first allocation: the test of it runs in a
 * process of its own. */
static struct {
    uint64_t count;
    uint64_t nth; /* 0: none fails */
    bool is_forever;
} memory;

static void *take_memory(void *user, size_t size)
{
    (void)user;
    memory.count++;
    if (memory.nth && (memory.is_forever ? memory.count >= memory.nth
                                         : memory.count == memory.nth))
        return NULL;
    return malloc(size);
}

static void give_memory(void *user, void *block)
{
    (void)user;
    free(block);
}

__attribute__((constructor)) static void set_allocator(void)
{
    if (getenv(ALLOCATOR) && scn_set_allocator(take_memory, give_memory, NULL) != SCN_OK)
        abort();
}

/* ---- a trial ---- */

static scn_status trial_open(struct trial *trial)
{
    scn_options options = {.struct_size = sizeof options, .flags = SCN_NOTHREAD};
    options.pool_bytes = 64 * PAGE_BYTES;
    options.log_bytes = UINT64_C(4) * LOG_EXTENT_PAGES * PAGE_BYTES;
    options.busy_timeout_ms = 10;
    scn_status st = store_open_on(trial->sys, STORE, &options, &trial->db);
    if (st == SCN_OK)
        trial->is_named = true;
    return st;
}

static void take_fault_away(struct trial *trial)
{
    sim_fault_clear(trial->sys);
    memory.nth = 0;
    trial->is_over = true;
}

/* Can it come from the fault?  Reading what cannot be read is never damage. */
static bool is_clean(const struct trial *trial, scn_status st)
{
    switch (st) {
    case SCN_POISONED:
    case SCN_UNKNOWN:
    case SCN_IO:
        return true;
    case SCN_FULL:
        return trial->fault.error == ENOSPC;
    case SCN_NOMEM:
        return memory.nth || trial->fault.call == SIM_MUTEX_CREATE ||
               trial->fault.call == SIM_COND_CREATE;
    case SCN_MOVED: /* whoever cannot look takes the descriptor for stolen */
        return trial->fault.call == SIM_STAT || trial->fault.call == SIM_ANY;
    case SCN_BUSY:
        return trial->fault.call == SIM_LOCK || trial->fault.call == SIM_ANY;
    default:
        return false;
    }
}

static void judge(struct trial *trial, scn_status st, const char *what)
{
    scn_error error = {.struct_size = sizeof error};
    if (st >= 0)
        return;
    scn_last_error(trial->db, &error);
    if (trial->is_over)
        story_fail(&trial->story, "%s still says %d: %s", what, st, error.text);
    else if (!is_clean(trial, st))
        story_fail(&trial->story, "%s says %d: %s", what, st, error.text);
    else if (error.status != st && st != SCN_UNKNOWN && error.status != SCN_IO &&
             error.status != SCN_FULL)
        story_fail(&trial->story, "%s says %d, and its error is of %d: %s", what, st,
                   error.status, error.text);
}

/* Closing may meet the fault, too, or the poison it left: then what was not synced is
 * unknown, and said to be. */
static void trial_close(struct trial *trial)
{
    scn_status st = trial->db ? scn_close(trial->db) : SCN_OK;
    if (st != SCN_OK && st != SCN_UNKNOWN)
        story_fail(&trial->story, "closing says %d", st);
    trial->db = NULL;
}

static void look(struct trial *trial, bool settles)
{
    uint32_t number;
    scn_status st = story_read(&trial->story, trial->db, &number);
    judge(trial, st, "reading");
    if (st < 0 && !trial->is_over) {
        take_fault_away(trial);
        (void)story_check(&trial->story, trial->db, &number);
    }
    if (settles && trial->story.wrong[0] == 0)
        story_settle(&trial->story, number);
}

static void reopen(struct trial *trial)
{
    trial_close(trial);
    scn_status st = trial_open(trial);
    judge(trial, st, "opening");
    if (st < 0) {
        take_fault_away(trial);
        st = trial_open(trial);
        judge(trial, st, "opening again");
    }
    if (st == SCN_OK)
        look(trial, true);
}

static bool is_poisoned(struct trial *trial)
{
    return file_is_poisoned(&trial->db->store->file);
}

enum step { STEP_COMMIT, STEP_CHECKPOINT, STEP_REOPEN, STEP_TICK };

static scn_status do_step(struct trial *trial, enum step step)
{
    scn_status st;
    if (step == STEP_COMMIT)
        return story_commit(&trial->story, trial->db);
    if (step == STEP_TICK)
        return scn_tick(trial->db, 1);
    st = scn_checkpoint(trial->db);
    if (st == SCN_OK)
        story_ack(&trial->story);
    return st;
}

static void run_step(struct trial *trial, enum step step)
{
    static const char *const what[] = {"a commit", "a checkpoint", "", "a tick"};
    if (is_poisoned(trial))
        take_fault_away(trial);
    if (step == STEP_REOPEN || is_poisoned(trial))
        reopen(trial);
    if (step == STEP_REOPEN || trial->story.wrong[0] != 0)
        return;
    scn_status st = do_step(trial, step);
    judge(trial, st, what[step]);
    if (st >= 0 || trial->story.wrong[0] != 0)
        return;
    if (is_poisoned(trial)) {
        look(trial, false);
        reopen(trial);
    } else {
        look(trial, false);
        /* A fault that has struck and is gone leaves nothing behind. */
        if (!trial->fault.is_forever && !memory.is_forever)
            trial->is_over = true;
    }
    if (trial->story.wrong[0] == 0)
        judge(trial, do_step(trial, step), "trying again");
}

static const enum step steps[] = {
    STEP_COMMIT, STEP_COMMIT, STEP_COMMIT,     STEP_CHECKPOINT, STEP_COMMIT, STEP_COMMIT,
    STEP_COMMIT, STEP_TICK,   STEP_CHECKPOINT, STEP_COMMIT,     STEP_REOPEN, STEP_COMMIT,
    STEP_COMMIT, STEP_CHECKPOINT,
};

static void live_on(struct trial *trial)
{
    scn_status st = trial_open(trial);
    if (st == SCN_OK) {
        look(trial, true);
        if (trial->story.wrong[0] == 0)
            judge(trial, story_commit(&trial->story, trial->db), "a commit at the end");
        if (trial->story.wrong[0] == 0)
            judge(trial, scn_checkpoint(trial->db), "a checkpoint at the end");
        (void)story_check_file(&trial->story, trial->db);
    }
    judge(trial, st, "opening at the end");
    trial_close(trial);
}

/* The power goes, or only the process. */
static void end(struct trial *trial, uint64_t n)
{
    static const enum sim_keep keeps[] = {SIM_KEEP_NONE, SIM_KEEP_ALL, SIM_KEEP_RANDOM,
                                          SIM_KEEP_TORN};
    struct sim_choice choice = {.keep = keeps[n % 4], .n = n};
    trial_close(trial);
    if (sim_process_open_files(trial->sys) != 0)
        story_fail(&trial->story, "a closed store leaves files open");
    take_fault_away(trial);
    sim_process_destroy(trial->sys);
    struct sim_disk *after = sim_crash(trial->disk, &choice);
    sim_disk_destroy(trial->disk);
    trial->disk = after;
    trial->sys = sim_process_create(after);
    for (int i = 0; i < 2 && trial->story.wrong[0] == 0; i++)
        live_on(trial);
    sim_process_destroy(trial->sys);
    sim_disk_destroy(trial->disk);
}

static void run_trial(struct trial *trial, uint64_t seed, uint32_t flags)
{
    story_init(&trial->story, seed, flags);
    trial->disk = sim_disk_create(seed);
    trial->sys = sim_process_create(trial->disk);
    if (trial->fault.kind)
        sim_fault_set(trial->sys, &trial->fault);
    memory.count = 0;
    memory.nth = trial->failing_allocation;
    trial->is_over = !trial->fault.kind && memory.nth == 0;
    reopen(trial);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        if (trial->story.wrong[0] == 0)
            run_step(trial, steps[i]);
}

static void count_calls(uint64_t seed, uint32_t flags, uint64_t counts[SIM_CALL_COUNT])
{
    struct trial trial = {0};
    run_trial(&trial, seed, flags);
    for (int i = 0; i < SIM_CALL_COUNT; i++)
        counts[i] = sim_call_count(trial.sys, (enum sim_call)i);
    end(&trial, 1);
    story_destroy(&trial.story);
    if (trial.story.wrong[0] != 0)
        unit_fail(__FILE__, __LINE__, "without a fault: %s", trial.story.wrong);
}

static void try_fault(uint64_t seed, uint32_t flags, const struct sim_fault *fault)
{
    struct trial trial = {.fault = *fault};
    run_trial(&trial, seed, flags);
    end(&trial, fault->nth);
    story_destroy(&trial.story);
    if (trial.story.wrong[0] != 0)
        unit_fail(__FILE__, __LINE__, "%s\n    FAULT=%llu,%u,%d,%d,%llu,%d,%d",
                  trial.story.wrong, (unsigned long long)seed, flags, fault->kind,
                  fault->call, (unsigned long long)fault->nth, fault->is_forever,
                  fault->error);
}

static bool try_only(void)
{
    unsigned long long seed;
    unsigned long long nth;
    unsigned flags;
    int kind;
    int call;
    int forever;
    int error;
    const char *only = getenv("FAULT");
    if (only == NULL)
        return false;
    if (sscanf(only, "%llu,%u,%d,%d,%llu,%d,%d", &seed, &flags, &kind, &call, &nth,
               &forever, &error) != 7)
        return false;
    struct sim_fault fault = {.kind = (enum sim_fault_kind)kind,
                              .call = (enum sim_call)call,
                              .nth = nth,
                              .is_forever = forever,
                              .error = error};
    try_fault(seed, flags, &fault);
    return true;
}

/* What can happen to which calls. */
struct shape {
    enum sim_fault_kind kind;
    int error;
    bool is_forever;
    uint32_t calls; /* bits; 0: all */
};
static const struct shape shapes[] = {
    {SIM_FAIL, EIO, false, 0},
    {SIM_FAIL, EIO, true, 0},
    {SIM_FAIL, ENOSPC, false, 1 << SIM_WRITE | 1 << SIM_DSYNC | 1 << SIM_SYNC |
                                  1 << SIM_TRUNCATE | 1 << SIM_LINK | 1 << SIM_OPEN},
    {SIM_FAIL, ENOSPC, true, 1 << SIM_WRITE | 1 << SIM_DSYNC | 1 << SIM_SYNC |
                                 1 << SIM_TRUNCATE},
    {SIM_FAIL, EINTR, false, 1 << SIM_WRITE | 1 << SIM_READ | 1 << SIM_DSYNC},
    {SIM_SHORT, 0, true, 1 << SIM_WRITE | 1 << SIM_READ | 1 << SIM_DSYNC},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static uint64_t try_calls(uint64_t seed, uint32_t flags, const struct shape *shape,
                          const uint64_t counts[SIM_CALL_COUNT], uint64_t first,
                          uint64_t step, uint64_t until)
{
    uint64_t tried = 0;
    for (int call = 0; call < SIM_CALL_COUNT; call++) {
        if (shape->calls && !(shape->calls >> call & 1))
            continue;
        uint64_t most = shape->kind == SIM_SHORT && counts[call] ? 1 : counts[call];
        for (uint64_t n = 1 + first; n <= most && story_now_ms() < until; n += step) {
            struct sim_fault fault = {.kind = shape->kind,
                                      .call = (enum sim_call)call,
                                      .nth = n,
                                      .is_forever = shape->is_forever,
                                      .error = shape->error};
            try_fault(seed, flags, &fault);
            tried++;
        }
    }
    return tried;
}

/* All calls, if there is time: every step-th in each round. */
static void try_all(uint32_t flags)
{
    enum { STEP = 8 };
    uint64_t counts[SIM_CALL_COUNT];
    uint64_t seed = unit_seed() % 1000003;
    uint64_t until = story_now_ms() + story_budget_ms(BUDGET_MS);
    uint64_t tried = 0;
    uint64_t rounds = 0;
    if (try_only())
        return;
    count_calls(seed, flags, counts);
    for (uint64_t i = 0; i < STEP && story_now_ms() < until; i++, rounds++)
        for (uint64_t shape = 0; shape < SHAPES; shape++)
            tried += try_calls(seed, flags, &shapes[(seed + shape) % SHAPES], counts,
                               (seed + i) % STEP, STEP, until);
    if (getenv("VERBOSE"))
        printf("flags %u: %llu faults, %llu of %d rounds\n", flags,
               (unsigned long long)tried, (unsigned long long)rounds, STEP);
    CHECK(tried > 0);
}

TEST(fault__in_any_call_loses_nothing_of_small_commits)
{
    try_all(STORY_TINY);
}

TEST(fault__in_any_call_loses_nothing_of_bulk_runs_and_tables)
{
    try_all(STORY_BULK | STORY_TABLE | STORY_LAZY | STORY_BIG);
}

static void try_allocation(uint64_t seed, uint32_t flags, uint64_t nth, bool is_forever)
{
    struct trial trial = {.failing_allocation = nth};
    memory.is_forever = is_forever;
    run_trial(&trial, seed, flags);
    end(&trial, nth);
    story_destroy(&trial.story);
    if (trial.story.wrong[0] != 0)
        unit_fail(__FILE__, __LINE__, "%s\n    ALLOCATION=%llu,%u,%llu,%d",
                  trial.story.wrong, (unsigned long long)seed, flags,
                  (unsigned long long)nth, is_forever);
}

static bool try_allocation_only(void)
{
    unsigned long long seed;
    unsigned long long nth;
    unsigned flags;
    int is_forever;
    const char *only = getenv("ALLOCATION");
    if (only == NULL ||
        sscanf(only, "%llu,%u,%llu,%d", &seed, &flags, &nth, &is_forever) != 4)
        return false;
    try_allocation(seed, flags, nth, is_forever);
    return true;
}

static void try_all_allocations(uint32_t flags, uint64_t budget_ms)
{
    enum { STEP = 64 };
    uint64_t seed = unit_seed() % 1000003;
    uint64_t until = story_now_ms() + story_budget_ms(budget_ms);
    if (try_allocation_only())
        return;
    try_allocation(seed, flags, 0, false);
    uint64_t count = memory.count;
    uint64_t tried = 0;
    for (uint64_t i = 0; i < STEP && story_now_ms() < until; i++)
        for (uint64_t n = 1 + (seed + i * 7) % STEP; n <= count && story_now_ms() < until;
             n += STEP, tried++)
            try_allocation(seed, flags, n, (n + i) % 2);
    if (getenv("VERBOSE"))
        printf("flags %u: %llu of %llu allocations\n", flags, (unsigned long long)tried,
               (unsigned long long)count);
    CHECK(tried > 0);
}

TEST(fault__in_any_allocation_loses_nothing)
{
    if (getenv(ALLOCATOR)) {
        try_all_allocations(STORY_TINY, BUDGET_MS / 2);
        try_all_allocations(STORY_BULK | STORY_TABLE | STORY_LAZY, BUDGET_MS / 2);
        return;
    }
    char seed[32];
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)unit_seed());
    setenv("SEED", seed, 1);
    int status = -1;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        setenv(ALLOCATOR, "1", 1);
        dup2(2, 1);
        execl("/proc/self/exe", "test-engine", "fault__in_any_allocation", (char *)NULL);
        _exit(127);
    }
    CHECK(child > 0);
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
}
