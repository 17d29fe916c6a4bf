/* A real file, a real process, a real SIGKILL.
 *
 * A child commits from two threads and writes every acknowledgement into a pipe.  It is
 * killed at a moment it does not know; then the parent opens the file, and finds what the
 * pipe says, at most one commit a thread more, and no half of any.  The next child goes
 * on in the same file.  The last one lives until it has had an acknowledgement, however
 * slow the disk is. */
#include "test/engine/workers.h"
#include "test/unit/unit.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    ROUNDS = 40,
    BUDGET_MS = 6000,
    THREADS = 2,
    LIFE_US_MAX = 150000
};

struct worker {
    scn_db *db;
    uint32_t no;
    uint64_t next; /* number of its next commit */
    int ledger;
};

/* ---- the child ---- */

static void *work(void *arg)
{
    struct worker *worker = arg;
    for (;; worker->next++) {
        uint64_t entry[2] = {worker->no, worker->next};
        if (worker_commit(worker->db, worker->no, worker->next) != SCN_OK)
            _exit(3);
        if (write(worker->ledger, entry, sizeof entry) != sizeof entry)
            _exit(4);
    }
    return NULL;
}

static scn_status open_store(const char *path, uint32_t flags, scn_db **db)
{
    scn_options options = {.struct_size = sizeof options, .flags = flags};
    options.busy_timeout_ms = 60000; /* the disk may have others to serve */
    options.pool_bytes = 64 * PAGE_BYTES;
    options.log_bytes = UINT64_C(4) * LOG_EXTENT_PAGES * PAGE_BYTES;
    return scn_open(path, &options, db);
}

static _Noreturn void live(const char *path, const uint64_t next[THREADS], int ledger)
{
    scn_db *db;
    pthread_t threads[THREADS];
    struct worker workers[THREADS];
    if (open_store(path, 0, &db) != SCN_OK)
        _exit(2);
    for (uint32_t i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){db, i, next[i], ledger};
        if (pthread_create(&threads[i], NULL, work, &workers[i]) != 0)
            _exit(5);
    }
    for (uint32_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    _exit(6);
}

/* Until the pipe ends, which it does when the child is dead. */
static void read_ledger(int ledger, uint64_t acked[THREADS])
{
    uint64_t entry[2];
    while (read(ledger, entry, sizeof entry) == sizeof entry) {
        CHECK(entry[0] < THREADS);
        CHECK(entry[1] == acked[entry[0]] + 1);
        acked[entry[0]] = entry[1];
    }
}

/* At least until the first entry is there, if it is to be waited for. */
static void await_entry(int ledger)
{
    struct pollfd wait = {.fd = ledger, .events = POLLIN};
    while (poll(&wait, 1, -1) < 0 && errno == EINTR)
        ;
}

/* How the child ended. */
static int let_live(const char *path, uint64_t life_us, bool is_last,
                    uint64_t acked[THREADS])
{
    int ledger[2];
    int status;
    uint64_t next[THREADS];
    for (uint32_t i = 0; i < THREADS; i++)
        next[i] = acked[i] + 1;
    CHECK_OK(pipe(ledger));
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        close(ledger[0]);
        live(path, next, ledger[1]);
    }
    CHECK(child > 0);
    close(ledger[1]);
    if (is_last)
        await_entry(ledger[0]);
    struct timespec life = {0, (long)life_us * 1000};
    nanosleep(&life, NULL);
    kill(child, SIGKILL);
    read_ledger(ledger[0], acked);
    close(ledger[0]);
    CHECK_EQ(waitpid(child, &status, 0), child);
    return status;
}

/* ---- what is left ---- */

static void check_store(const char *path, uint64_t acked[THREADS])
{
    scn_db *db;
    uint64_t found[THREADS];
    char wrong[WORKERS_WRONG_BYTES];
    CHECK_OK(open_store(path, SCN_NOTHREAD, &db));
    if (!workers_check(db, THREADS, found, wrong))
        unit_fail(__FILE__, __LINE__, "%s", wrong);
    for (uint32_t i = 0; i < THREADS; i++) {
        CHECK(found[i] == acked[i] || found[i] == acked[i] + 1);
        acked[i] = found[i];
    }
    CHECK_OK(scn_close(db));
}

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

TEST(kill__loses_nothing_that_was_acknowledged)
{
    char path[256];
    uint64_t acked[THREADS] = {0};
    uint64_t random = unit_seed() | 1;
    uint64_t until = now_ms() + BUDGET_MS;
    snprintf(path, sizeof path, "%s", unit_path("killed"));
    bool is_last = false;
    for (int round = 0; !is_last; round++) {
        uint64_t life_us = 500 + (unit_random(&random) >> 20) % LIFE_US_MAX;
        is_last = round + 1 >= ROUNDS || now_ms() >= until;
        int status =
            let_live(path, round < 4 ? life_us % 10000 : life_us, is_last, acked);
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        check_store(path, acked);
    }
    if (getenv("VERBOSE"))
        printf("%llu and %llu commits\n", (unsigned long long)acked[0],
               (unsigned long long)acked[1]);
    CHECK(acked[0] + acked[1] > 0);
}
