/* The suite: see suite.h. */
#include "test/fault/suite.h"

#include "test/fault/survey.h"
#include "test/fault/trouble.h"

#include <inttypes.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    ROWS_MAX = 256,
    PROCESSES_MAX = 16,
    STATES_A_JOB = 2000,
    SPARSE_STATES_A_JOB = 200,
    SPARSE_ONE_IN = 4,  /* of the crash points */
    TRIAL_PARTS = 256,  /* the trials of a run are so many jobs */
    NEWS_EVERY_MS = 10000,
    TRIAL_SHARE = 12    /* of each row of trials, as workload.share */
};

enum kind { KIND_CUTS, KIND_CALLS, KIND_READS, KIND_MEMORY, KINDS };
static const char *const kind_names[KINDS] = {"cuts", "calls", "reads", "memory"};

/* In memory that all processes share. */
struct row {
    const struct workload *workload;
    enum kind kind;
    uint64_t quota; /* of states or jobs; 0: none */
    uint64_t share;
    _Atomic uint64_t jobs;
    _Atomic uint64_t states; /* or trials */
    _Atomic uint64_t seconds;
    _Atomic uint64_t violations;
    _Atomic uint64_t busy_us;
};

struct board {
    struct row rows[ROWS_MAX];
    uint32_t row_count;
    atomic_bool is_over;
};

static struct board *board;

/* ---- what a process was at when it ended ---- */

static void print_where(void)
{
    struct key key;
    char text[KEY_TEXT_MAX];
    if (!survey_current(&key) && !trouble_current(&key))
        return;
    key_print(&key, text);
    printf("ended at FAULTS='%s'\n", text);
    fflush(stdout);
}

static void on_signal(int number)
{
    signal(number, SIG_DFL);
    print_where();
    raise(number);
}

static void catch_signals(void)
{
    static const int numbers[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        signal(numbers[i], on_signal);
}

/* ---- rows ---- */

static bool is_named(const struct suite_order *order, const char *what)
{
    for (char **name = order->names; name && *name; name++)
        if (strcmp(*name, what) == 0)
            return true;
    return false;
}

/* Of the names some are kinds, some workloads; no kind means all of them. */
static bool is_wanted_kind(const struct suite_order *order, enum kind kind)
{
    bool has_any = false;
    for (int i = 0; i < KINDS; i++)
        has_any |= is_named(order, kind_names[i]);
    return !has_any || is_named(order, kind_names[kind]);
}

static bool is_wanted(const struct suite_order *order, const struct workload *workload)
{
    bool has_any = false;
    for (uint32_t i = 0; i < workload_count; i++)
        has_any |= is_named(order, workloads[i].name);
    return !has_any || is_named(order, workload->name);
}

static void add_row(const struct suite_order *order, const struct workload *workload,
                    enum kind kind)
{
    if (!is_wanted(order, workload) || !is_wanted_kind(order, kind))
        return;
    struct row *row = &board->rows[board->row_count++];
    row->workload = workload;
    row->kind = kind;
    row->share = kind == KIND_CUTS ? workload->share : TRIAL_SHARE;
    if (kind != KIND_CUTS && order->trial_part)
        row->quota = TRIAL_PARTS / order->trial_part;
}

static void share_states(uint64_t state_count)
{
    uint64_t shares = 0;
    for (uint32_t i = 0; i < board->row_count; i++)
        shares += board->rows[i].share;
    for (uint32_t i = 0; i < board->row_count; i++)
        board->rows[i].quota = state_count * board->rows[i].share / shares;
}

static void add_rows(const struct suite_order *order)
{
    for (uint32_t i = 0; i < workload_count; i++)
        if (order->has_cuts)
            add_row(order, &workloads[i], KIND_CUTS);
    share_states(order->state_count);
    for (uint32_t i = 0; i < workload_count; i++)
        for (int kind = KIND_CALLS; kind < KINDS; kind++)
            if (order->has_trials && !workloads[i].is_patient)
                add_row(order, &workloads[i], (enum kind)kind);
}

static double progress(const struct row *row)
{
    uint64_t done = row->kind == KIND_CUTS ? row->states : row->jobs;
    if (row->violations > 0)
        return 1e18;
    if (row->quota > 0)
        return done >= row->quota ? 1e18 : (double)done / (double)row->quota;
    return (double)row->busy_us / (double)row->share / 1e9;
}

/* NULL: nothing is left to do.  Where a short run ends early, it is not always the same
 * rows that are missed. */
static struct row *next_row(const struct suite_order *order)
{
    struct row *best = NULL;
    for (uint32_t i = 0; i < board->row_count; i++) {
        struct row *row = &board->rows[(order->seed + i) % board->row_count];
        if (progress(row) < 1e18 && (!best || progress(row) < progress(best)))
            best = row;
    }
    return best;
}

/* ---- jobs ---- */

static uint64_t job_seed(const struct suite_order *order, uint64_t job)
{
    uint64_t n = (order->seed + job + 1) * UINT64_C(0x9e3779b97f4a7c15);
    return (n ^ n >> 32) % 1000000007;
}

static void tell_wrong(struct row *row, const char *wrong, const char *key)
{
    row->violations++;
    printf("%s, %s: %s\n    FAULTS='%s'\n", row->workload->name, kind_names[row->kind],
           wrong, key);
    fflush(stdout);
}

/* Now and then all of what is pending at each point, mostly some of it: bugs may need
 * many seeds as well as many choices. */
static struct sim_plan plan_of(const struct suite_order *order, uint64_t job)
{
    struct sim_plan plan = {.by_sector = true, .has_garbage = true};
    bool is_all = order->is_dense && job % 4 == 3;
    plan.exhaustive_max = is_all ? 12 : order->is_dense ? 9 : 5;
    plan.change_max = is_all ? 0 : order->is_dense ? 24 : 6;
    plan.random_count = is_all ? 24 : order->is_dense ? 8 : 3;
    return plan;
}

static void survey_job(const struct suite_order *order, struct row *row, uint64_t job)
{
    static struct survey survey;
    uint64_t left = row->quota > row->states ? row->quota - row->states : 0;
    survey = (struct survey){
        .plan = plan_of(order, job),
        .state_max = order->is_dense    ? UINT64_MAX
                     : order->is_sparse ? SPARSE_STATES_A_JOB
                                        : STATES_A_JOB,
        .point_one_in = order->is_sparse ? SPARSE_ONE_IN : 0,
        .until_ms = order->until_ms,
        .seen = sim_seen_create(),
    };
    if (row->quota > 0 && left < survey.state_max)
        survey.state_max = left;
    bool is_fine = survey_run(&survey, row->workload, job_seed(order, job));
    sim_seen_destroy(survey.seen);
    row->states += survey.state_count;
    row->seconds += survey.second_count;
    if (!is_fine)
        tell_wrong(row, survey.wrong, survey.wrong_key);
}

static void trouble_job(const struct suite_order *order, struct row *row, uint64_t job)
{
    static const enum trouble_kind kinds[KINDS] = {
        [KIND_CALLS] = TROUBLE_CALLS,
        [KIND_READS] = TROUBLE_READS,
        [KIND_MEMORY] = TROUBLE_MEMORY,
    };
    static struct trouble_batch batch;
    uint64_t seed = job_seed(order, job / TRIAL_PARTS);
    batch = (struct trouble_batch){
        .kind = kinds[row->kind],
        .workload = row->workload,
        .seed = seed,
        .first = (job + seed) % TRIAL_PARTS,
        .step = TRIAL_PARTS,
        .until_ms = order->until_ms,
    };
    bool is_fine = trouble_run(&batch);
    row->states += batch.trial_count;
    if (!is_fine)
        tell_wrong(row, batch.wrong, batch.wrong_key);
}

/* Of this process's own time: the machine may have others to serve. */
static uint64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static bool is_over(const struct suite_order *order)
{
    return board->is_over || (order->until_ms && story_now_ms() > order->until_ms);
}

static void work(const struct suite_order *order)
{
    struct row *row;
    (void)sys_posix(); /* each process has its own, for ever: it is nobody's leak */
    catch_signals();
    while (!is_over(order) && (row = next_row(order)) != NULL) {
        uint64_t begun = now_us();
        uint64_t job = atomic_fetch_add(&row->jobs, 1);
        if (row->kind == KIND_CUTS)
            survey_job(order, row, job);
        else
            trouble_job(order, row, job);
        row->busy_us += now_us() - begun;
        if (row->violations > 0 && order->is_long)
            board->is_over = true;
    }
}

/* ---- the table ---- */

struct sum {
    uint64_t states;
    uint64_t seconds;
    uint64_t trials;
    uint64_t violations;
    uint64_t cuts_us; /* of processors, for the states */
};

static struct sum add_up(void)
{
    struct sum sum = {0};
    for (uint32_t i = 0; i < board->row_count; i++) {
        const struct row *row = &board->rows[i];
        *(row->kind == KIND_CUTS ? &sum.states : &sum.trials) += row->states;
        sum.seconds += row->seconds;
        sum.violations += row->violations;
        sum.cuts_us += row->kind == KIND_CUTS ? row->busy_us : 0;
    }
    return sum;
}

/* Of both kinds of states, a minute of one processor's time. */
static void print_rate(const struct sum *sum)
{
    if (sum->cuts_us > 0)
        printf("%.0f states a minute of a core\n",
               (double)(sum->states + sum->seconds) * 6e7 / (double)sum->cuts_us);
}

/* A workload's rows as one line. */
static void print_workload(const struct workload *workload)
{
    struct sum sum = {0};
    uint64_t count[KINDS] = {0};
    uint64_t busy_us = 0;
    for (uint32_t i = 0; i < board->row_count; i++) {
        const struct row *row = &board->rows[i];
        if (row->workload != workload)
            continue;
        count[row->kind] = row->states;
        sum.seconds += row->seconds;
        sum.violations += row->violations;
        busy_us += row->busy_us;
    }
    printf("%-14s %10" PRIu64 " %10" PRIu64 " %8" PRIu64 " %8" PRIu64 " %8" PRIu64
           " %10" PRIu64 " %9.1f\n",
           workload->name, count[KIND_CUTS], sum.seconds, count[KIND_CALLS],
           count[KIND_READS], count[KIND_MEMORY], sum.violations, (double)busy_us / 1e6);
}

static void print_table(const struct suite_order *order, uint64_t begun_ms)
{
    struct sum sum = add_up();
    double seconds = (double)(story_now_ms() - begun_ms + 1) / 1e3;
    printf("%-14s %10s %10s %8s %8s %8s %10s %9s\n", "workload", "states", "second",
           "calls", "reads", "memory", "violations", "seconds");
    for (uint32_t i = 0; i < workload_count; i++)
        if (is_wanted(order, &workloads[i]))
            print_workload(&workloads[i]);
    printf("%" PRIu64 " crash states, %" PRIu64 " second-level, %" PRIu64
           " faults, %" PRIu64 " violations in %.0f s\n",
           sum.states, sum.seconds, sum.trials, sum.violations, seconds);
    print_rate(&sum);
    fflush(stdout);
}

/* ---- processes ---- */

static void print_news(uint64_t begun_ms)
{
    struct sum sum = add_up();
    double minutes = (double)(story_now_ms() - begun_ms + 1) / 6e4;
    printf("%.1f min: %" PRIu64 " states, %" PRIu64 " second-level, %" PRIu64
           " faults\n",
           minutes, sum.states, sum.seconds, sum.trials);
    print_rate(&sum);
    fflush(stdout);
}

static pid_t spawn(const struct suite_order *order)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        work(order);
        fflush(stdout);
        exit(0); /* not _exit: leaks are looked for at the end */
    }
    return child;
}

/* How many ended badly. */
static uint32_t await(const struct suite_order *order, uint32_t running)
{
    uint64_t begun_ms = story_now_ms();
    uint64_t told_ms = begun_ms;
    uint32_t bad = order->process_count - running;
    while (running > 0) {
        int status = 0;
        pid_t child = waitpid(-1, &status, order->is_long ? WNOHANG : 0);
        if (child > 0) {
            running--;
            bad += status != 0;
            if (status != 0 && order->is_long)
                board->is_over = true;
        }
        if (child == 0)
            usleep(100000);
        if (order->is_long && story_now_ms() - told_ms > NEWS_EVERY_MS) {
            told_ms = story_now_ms();
            print_news(begun_ms);
        }
    }
    return bad;
}

static bool has_enough(const struct suite_order *order)
{
    uint64_t states = add_up().states;
    bool has_cuts = false;
    for (uint32_t i = 0; i < board->row_count; i++)
        has_cuts |= board->rows[i].kind == KIND_CUTS;
    if (!has_cuts || states >= order->state_min)
        return true;
    printf("the time was over after %" PRIu64 " crash states; it takes %" PRIu64 "\n",
           states, order->state_min);
    return false;
}

void suite_run(const struct suite_order *order, uint32_t *passed, uint32_t *failed)
{
    uint64_t begun_ms = story_now_ms();
    uint32_t running = 0;
    board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                 -1, 0);
    if (board == MAP_FAILED)
        abort();
    add_rows(order);
    for (uint32_t i = 0; i < order->process_count; i++)
        running += spawn(order) > 0;
    uint32_t bad = await(order, running);
    print_table(order, begun_ms);
    *passed = 0;
    *failed = bad + !has_enough(order);
    for (uint32_t i = 0; i < board->row_count; i++) {
        const struct row *row = &board->rows[i];
        *failed += row->violations > 0;
        *passed += row->violations == 0 && row->states > 0;
    }
    if (bad > 0)
        printf("%u of the processes ended before their time\n", bad);
    munmap(board, sizeof *board);
}

/* ---- one state ---- */

static const struct workload *find_workload(const char *name)
{
    for (uint32_t i = 0; i < workload_count; i++)
        if (strcmp(workloads[i].name, name) == 0)
            return &workloads[i];
    return NULL;
}

static bool survey_key(const struct workload *workload, const struct key *key)
{
    static struct survey survey;
    survey = (struct survey){.only = key, .state_max = UINT64_MAX};
    bool is_fine = survey_run(&survey, workload, key->seed);
    if (!is_fine)
        printf("%s\n", survey.wrong);
    printf("%" PRIu64 " states\n", survey.state_count + survey.second_count);
    return is_fine;
}

static bool trouble_key(const struct workload *workload, const struct key *key)
{
    static struct trouble_batch batch;
    batch = (struct trouble_batch){.workload = workload, .seed = key->seed};
    bool is_fine = trouble_run_only(&batch, key);
    if (!is_fine)
        printf("%s\n", batch.wrong);
    return is_fine;
}

bool suite_run_key(const char *text)
{
    struct key key;
    const struct workload *workload = NULL;
    if (key_parse(text, &key))
        workload = find_workload(key.workload);
    if (workload == NULL) {
        printf("FAULTS=%s is no key\n", text);
        return false;
    }
    (void)sys_posix();
    catch_signals();
    if (key.has_fault || key.failing_allocation)
        return trouble_key(workload, &key);
    return survey_key(workload, &key);
}
