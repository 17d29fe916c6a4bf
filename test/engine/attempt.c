/* Attempts with damaged files: see attempt.h. */
#include "test/engine/attempt.h"

#include "engine/checkpoint.h"
#include "test/engine/story.h"
#include "test/sim/disk.h"
#include "test/unit/unit.h"

#include <malloc.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    /* A healthy file takes a tenth. */
    CALLS_MAX = 4000,
    ALARM_SECONDS = 60,
    TRIED_MIN = PAGE_IS_SMALL ? 10 : 2,
    WRONG_MAX = 10
};

/* Above what the process has.  A healthy file takes a few MiB, most of them mapped but
 * not touched. */
#define MEMORY_MAX (UINT64_C(64) << 20)

static void fail(struct attempt *attempt, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void fail(struct attempt *attempt, const char *format, ...)
{
    va_list args;
    if (attempt->wrong[0] != 0)
        return;
    va_start(args, format);
    vsnprintf(attempt->wrong, sizeof attempt->wrong, format, args);
    va_end(args);
}

/* ---- judging ---- */

static bool is_told(const struct attempt *attempt, scn_status st, bool is_open)
{
    if (st == SCN_CORRUPT)
        return true;
    if (is_open)
        return st == SCN_NOTADB || st == SCN_VERSION;
    return attempt->is_forged && (st == SCN_FULL || st == SCN_TOOBIG);
}

/* db NULL: opening. */
static void judge(struct attempt *attempt, scn_db *db, scn_status st, const char *what)
{
    scn_error error = {.struct_size = sizeof error};
    if (st >= 0)
        return;
    attempt->is_detected = true;
    scn_last_error(db, &error);
    snprintf(attempt->said, sizeof attempt->said, "%s: %.100s", what, error.text);
    if (!is_told(attempt, st, db == NULL))
        fail(attempt, "%s says %d: %s", what, st, error.text);
    else if (error.status != st || error.text[0] == 0)
        fail(attempt, "%s says %d without a sentence", what, st);
}

static scn_status count_finding(void *ctx, const scn_issue *issue)
{
    struct attempt *attempt = ctx;
    attempt->kinds |= 1u << issue->kind;
    attempt->is_detected = true;
    if (issue->text == NULL || issue->text[0] == 0)
        fail(attempt, "a finding without a sentence");
    return SCN_OK;
}

static void read_all(struct attempt *attempt, scn_db *db, struct reading *reading)
{
    reading->number = 0;
    reference_read(db, reading);
    judge(attempt, db, reading->st, "reading");
    if (reading->is_endless)
        fail(attempt, "a cursor comes to no end");
    if (reading->wrong[0] != 0 && !attempt->is_forged && !attempt->is_lost &&
        reading->is_known)
        fail(attempt, "%s", reading->wrong);
}

/* ---- two lives ---- */

static scn_status open_it(struct attempt *attempt, struct sys *sys, uint32_t flags,
                          scn_db **db)
{
    scn_status st = reference_open(sys, SCN_NOCREATE | flags, db);
    judge(attempt, NULL, st, "opening");
    attempt->is_refused |= st != SCN_OK;
    return st;
}

static void close_it(struct attempt *attempt, scn_db *db)
{
    scn_status st = scn_close(db);
    if (st != SCN_OK && !(attempt->is_forged && st == SCN_CORRUPT))
        fail(attempt, "closing says %d", st);
}

/* One more commit, which may be the last one from now on. */
static void go_on(struct attempt *attempt, scn_db *db, struct reading *reading)
{
    uint32_t number = reading->number;
    attempt->is_lost = !reading->is_known;
    scn_status st = reference_commit(db, number + 1);
    judge(attempt, db, st, "a commit");
    reading->most = number + (st == SCN_OK);
    reading->least = reading->most;
    judge(attempt, db, checkpoint_run(db->store, CHECKPOINT_PLAIN), "a checkpoint");
}

static void check(struct attempt *attempt, scn_db *db)
{
    judge(attempt, db, scn_check(db, SCN_CHECK_ALL, count_finding, attempt, NULL),
          "a check");
}

static void live(struct attempt *attempt, struct sys *sys)
{
    struct reading reading = {.least = attempt->least};
    scn_db *db;
    reading.most = attempt->reference->commits;
    if (open_it(attempt, sys, 0, &db) != SCN_OK)
        return;
    read_all(attempt, db, &reading);
    check(attempt, db);
    if (attempt->wrong[0] == 0)
        go_on(attempt, db, &reading);
    close_it(attempt, db);
    if (attempt->wrong[0] != 0 || open_it(attempt, sys, 0, &db) != SCN_OK)
        return;
    read_all(attempt, db, &reading);
    close_it(attempt, db);
}

/* A log that is damaged in the middle is read up to there, and scn_health says so. */
static void look(struct attempt *attempt, struct sys *sys)
{
    struct reading reading = {.least = attempt->least};
    scn_health_t health = {.struct_size = sizeof health};
    scn_db *db;
    reading.most = attempt->reference->commits;
    if (open_it(attempt, sys, SCN_RDONLY, &db) != SCN_OK)
        return;
    judge(attempt, db, scn_health(db, &health), "health");
    if (!health.healthy) {
        attempt->is_detected = true;
        reading.least = attempt->least_told;
    }
    read_all(attempt, db, &reading);
    if (attempt->is_forged || attempt->is_detected)
        check(attempt, db);
    close_it(attempt, db);
}

/* ---- limits ---- */

static char under_way[64]; /* what HOSTILE has to be to come here again */

static void say_where(int signal_no)
{
    static const char head[] = "\n    HOSTILE=";
    ssize_t done = write(2, head, sizeof head - 1);
    done = write(2, under_way, strlen(under_way));
    done = write(2, "\n", 1);
    (void)done;
    signal(signal_no, SIG_DFL);
    raise(signal_no);
}

/* What is given back is taken again at once; the kernel need not hear of it. */
static void keep_memory(void)
{
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
}

static uint64_t used_address_space(void)
{
    unsigned long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%llu", &pages) != 1)
        pages = 0;
    if (file)
        fclose(file);
    return pages * 4096;
}

/* A sanitizer's own memory has no bounds. */
static void limit_memory(bool is_on)
{
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    static struct rlimit before;
    uint64_t used = used_address_space();
    if (is_on && getrlimit(RLIMIT_AS, &before) != 0)
        abort();
    struct rlimit limit = before;
    if (is_on && used + MEMORY_MAX < limit.rlim_cur)
        limit.rlim_cur = used + MEMORY_MAX;
    if (setrlimit(RLIMIT_AS, &limit) != 0)
        abort();
#else
    (void)is_on;
    (void)used_address_space;
#endif
}

void attempt_guard(bool is_on)
{
    limit_memory(is_on);
    signal(SIGABRT, is_on ? say_where : SIG_DFL);
    signal(SIGALRM, is_on ? say_where : SIG_DFL);
}

static void in_a_process(struct attempt *attempt, struct sim_disk *disk,
                         void (*run)(struct attempt *, struct sys *))
{
    struct sys *sys = sim_process_create(disk);
    run(attempt, sys);
    uint64_t calls = sim_call_count(sys, SIM_ANY);
    if (calls > attempt->calls)
        attempt->calls = calls;
    if (calls > CALLS_MAX)
        fail(attempt, "%llu system calls", (unsigned long long)calls);
    sim_process_destroy(sys);
}

/* Only what differs: the rest of the disk is shared with the healthy one. */
static void spoil(struct attempt *attempt, struct sim_disk *disk)
{
    for (uint64_t off = 0; off < attempt->size; off += PAGE_BYTES)
        if (memcmp(attempt->bytes + off, attempt->reference->now.bytes + off,
                   PAGE_BYTES) != 0)
            CHECK(sim_rot(disk, REFERENCE_PATH, off, attempt->bytes + off, PAGE_BYTES));
}

/* Who only reads comes first, and leaves everything as it was. */
void attempt_run(struct attempt *attempt)
{
    struct sim_disk *disk = sim_disk_copy(attempt->disk);
    uint64_t size;
    CHECK(sim_file_size(disk, REFERENCE_PATH, &size));
    if (size == attempt->size)
        spoil(attempt, disk);
    else
        sim_put_file(disk, REFERENCE_PATH, attempt->bytes, attempt->size);
    alarm(ALARM_SECONDS);
    in_a_process(attempt, disk, look);
    if (attempt->wrong[0] == 0)
        in_a_process(attempt, disk, live);
    alarm(0);
    if (attempt->is_lie && !attempt->is_detected)
        fail(attempt, "a lie is believed");
    sim_disk_destroy(disk);
}

/* ---- many attempts ---- */

struct tally {
    struct sim_disk *disk;
    uint64_t tried;
    uint64_t detected;
    uint64_t refused;
    uint64_t wrong;
    uint64_t calls;
};

static void try_one(const struct campaign *campaign, const struct reference *reference,
                    uint64_t n, struct tally *tally)
{
    struct attempt attempt = {
        .reference = reference, .disk = tally->disk, .size = reference->now.size};
    attempt.least = reference->commits;
    attempt.least_told = reference->in_trees;
    attempt.bytes = malloc(attempt.size);
    CHECK(attempt.bytes != NULL);
    memcpy(attempt.bytes, reference->now.bytes, attempt.size);
    snprintf(under_way, sizeof under_way, "%s,%llu", campaign->name,
             (unsigned long long)n);
    if (campaign->damage(campaign->ctx, &attempt, n)) {
        attempt_run(&attempt);
        tally->tried++;
        tally->detected += attempt.is_detected;
        tally->refused += attempt.is_refused;
        if (attempt.calls > tally->calls)
            tally->calls = attempt.calls;
        if (attempt.wrong[0] != 0 && tally->wrong++ < WRONG_MAX)
            printf("    %s\n    HOSTILE=%s\n", attempt.wrong, under_way);
    }
    free(attempt.bytes);
}

/* What HOSTILE asks for. */
struct wish {
    bool is_all;
    unsigned long long part;
    unsigned long long parts;
    bool is_one;
    unsigned long long n;
    bool is_other; /* one of another campaign */
};

static struct wish read_wish(const char *name)
{
    struct wish wish = {.parts = 1};
    const char *text = getenv("HOSTILE");
    size_t len = strlen(name);
    if (text == NULL)
        return wish;
    wish.is_all = strncmp(text, "all", 3) == 0;
    if (wish.is_all && sscanf(text + 3, ",%llu,%llu", &wish.part, &wish.parts) == 2)
        wish.parts += wish.parts == 0;
    wish.is_one = strncmp(text, name, len) == 0 && text[len] == ',' &&
                  sscanf(text + len + 1, "%llu", &wish.n) == 1;
    wish.is_other = !wish.is_all && !wish.is_one;
    return wish;
}

/* Numbers at golden distances: however early the time is over, they lie everywhere. */
static uint64_t stride_of(uint64_t count)
{
    uint64_t stride = (uint64_t)((double)count * 0.6180339887) | 1;
    for (;; stride += 2) {
        uint64_t a = count;
        uint64_t b = stride;
        while (b) {
            uint64_t rest = a % b;
            a = b;
            b = rest;
        }
        if (a == 1)
            return stride % count;
    }
}

static void try_many(const struct campaign *campaign, const struct reference *reference,
                     const struct wish *wish, uint64_t until_ms, struct tally *tally)
{
    uint64_t stride = stride_of(campaign->count);
    uint64_t n = unit_seed() % campaign->count;
    for (uint64_t i = 0; i < campaign->count; i++, n = (n + stride) % campaign->count) {
        if (wish->is_all && n % wish->parts != wish->part)
            continue;
        if (!wish->is_all && tally->tried >= TRIED_MIN && story_now_ms() > until_ms)
            break;
        try_one(campaign, reference, n, tally);
    }
}

static void report(const struct campaign *campaign, const struct tally *tally,
                   uint64_t ms)
{
    if (getenv("VERBOSE") == NULL)
        return;
    printf("%-16s %8llu of %8llu: %8llu detected (%llu at opening), %llu harmless, "
           "%llu wrong; at most %llu calls; %llu s\n",
           campaign->name, (unsigned long long)tally->tried,
           (unsigned long long)campaign->count, (unsigned long long)tally->detected,
           (unsigned long long)tally->refused,
           (unsigned long long)(tally->tried - tally->detected),
           (unsigned long long)tally->wrong, (unsigned long long)tally->calls,
           (unsigned long long)ms / 1000);
    fflush(stdout);
}

void campaign_run(const struct campaign *campaign, const struct reference *reference,
                  uint64_t usual_ms)
{
    struct wish wish = read_wish(campaign->name);
    struct tally tally = {0};
    uint64_t begun = story_now_ms();
    if (wish.is_other)
        return;
    tally.disk = sim_disk_create(1);
    sim_put_file(tally.disk, REFERENCE_PATH, reference->now.bytes, reference->now.size);
    keep_memory();
    attempt_guard(true);
    if (wish.is_one)
        try_one(campaign, reference, wish.n, &tally);
    else
        try_many(campaign, reference, &wish, begun + story_budget_ms(usual_ms), &tally);
    attempt_guard(false);
    sim_disk_destroy(tally.disk);
    report(campaign, &tally, story_now_ms() - begun);
    if (tally.wrong > 0)
        unit_fail(__FILE__, __LINE__, "%llu of %llu files went wrong",
                  (unsigned long long)tally.wrong, (unsigned long long)tally.tried);
    CHECK(tally.tried > 0);
}
