/* A real file, a real process, a real SIGKILL.
 *
 * A child commits from two threads and writes every acknowledgement into a pipe.  It is
 * killed at a moment it does not know; then the parent opens the file, and finds what the
 * pipe says, at most one commit a thread more, and no half of any.  The next child goes
 * on in the same file. */
#include "engine/store.h"
#include "page/bytes.h"
#include "test/unit/unit.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    ROUNDS = 40,
    BUDGET_MS = 6000,
    THREADS = 2,
    KEPT = 40, /* rows of a thread; older ones are deleted */
    LIFE_US_MAX = 150000
};

/* ---- what a commit writes ---- */

struct worker {
    scn_db *db;
    uint32_t no;
    uint64_t next; /* number of its next commit */
    int ledger;
};

static scn_slice row_key(uint8_t buf[9], uint32_t worker, uint64_t number)
{
    buf[0] = (uint8_t)worker;
    put_u64(buf + 1, number);
    return (scn_slice){buf, 9};
}

static scn_slice last_key(uint8_t buf[1], uint32_t worker)
{
    buf[0] = (uint8_t)worker;
    return (scn_slice){buf, 1};
}

/* Most are short; some are pages of their own, some make a bulk run. */
static size_t value_len(uint64_t number)
{
    if (number % 61 == 0)
        return 13 * PAGE_BYTES + number % 1000;
    return number % 7 == 0 ? PAGE_BYTES / 3 + number % 100 : number % 200;
}

static uint8_t value_byte(uint32_t worker, uint64_t number, size_t at)
{
    return (uint8_t)((number + worker) * 31 + at / 3);
}

static scn_status put_row(scn_txn *txn, scn_table_id rows, const struct worker *worker)
{
    uint8_t key[9];
    size_t len = value_len(worker->next);
    uint8_t *value = malloc(len + 1);
    for (size_t i = 0; i < len; i++)
        value[i] = value_byte(worker->no, worker->next, i);
    scn_status st = scn_put(txn, rows, row_key(key, worker->no, worker->next),
                            (scn_slice){value, len}, 0);
    free(value);
    if (st == SCN_OK && worker->next > KEPT)
        st = scn_del(txn, rows, row_key(key, worker->no, worker->next - KEPT));
    return st < 0 ? st : SCN_OK;
}

static scn_status write_all(scn_txn *txn, void *ctx)
{
    const struct worker *worker = ctx;
    scn_table_id rows;
    scn_table_id last;
    uint8_t key[1];
    uint8_t number[8];
    put_u64(number, worker->next);
    scn_status st = scn_table(txn, "rows", SCN_CREATE, &rows);
    if (st == SCN_OK)
        st = scn_table(txn, "last", SCN_CREATE, &last);
    if (st == SCN_OK)
        st = put_row(txn, rows, worker);
    if (st == SCN_OK)
        st = scn_put(txn, last, last_key(key, worker->no), (scn_slice){number, 8}, 0);
    return st;
}

static void *work(void *arg)
{
    struct worker *worker = arg;
    for (;; worker->next++) {
        uint64_t entry[2] = {worker->no, worker->next};
        if (scn_update(worker->db, write_all, worker) != SCN_OK)
            _exit(3);
        if (write(worker->ledger, entry, sizeof entry) != sizeof entry)
            _exit(4);
    }
    return NULL;
}

/* ---- the child ---- */

static scn_status open_store(const char *path, uint32_t flags, scn_db **db)
{
    scn_options options = {.struct_size = sizeof options, .flags = flags};
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

/* How the child ended. */
static int let_live(const char *path, uint64_t life_us, uint64_t acked[THREADS])
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
    struct timespec life = {0, (long)life_us * 1000};
    nanosleep(&life, NULL);
    kill(child, SIGKILL);
    read_ledger(ledger[0], acked);
    close(ledger[0]);
    CHECK_EQ(waitpid(child, &status, 0), child);
    return status;
}

/* ---- what is left ---- */

static void check_row(scn_slice value, uint32_t worker, uint64_t number)
{
    const uint8_t *bytes = value.data;
    CHECK_EQ(value.size, value_len(number));
    for (size_t i = 0; i < value.size; i++)
        CHECK(bytes[i] == value_byte(worker, number, i));
}

static void check_worker(scn_txn *txn, uint32_t worker, uint64_t *acked)
{
    scn_table_id rows;
    scn_table_id last;
    scn_slice value;
    uint8_t key[9];
    scn_status st = scn_table(txn, "last", 0, &last);
    if (st == SCN_OK)
        st = scn_get(txn, last, last_key(key, worker), &value);
    if (st == SCN_NOTFOUND) {
        CHECK_EQ(*acked, 0);
        return;
    }
    CHECK_OK(st);
    uint64_t found = get_u64(value.data);
    CHECK(found == *acked || found == *acked + 1);
    *acked = found;
    CHECK_OK(scn_table(txn, "rows", 0, &rows));
    for (uint64_t i = found > KEPT + 3 ? found - KEPT - 3 : 1; i <= found + 2; i++) {
        st = scn_get(txn, rows, row_key(key, worker, i), &value);
        CHECK_EQ(st, i <= found && i + KEPT > found ? SCN_OK : SCN_NOTFOUND);
        if (st == SCN_OK)
            check_row(value, worker, i);
    }
}

static scn_status print_issue(void *ctx, const scn_issue *issue)
{
    (void)ctx;
    fprintf(stderr, "    %s\n", issue->text);
    return SCN_OK;
}

static void check_store(const char *path, uint64_t acked[THREADS])
{
    scn_db *db;
    scn_txn *txn;
    uint64_t issues;
    CHECK_OK(open_store(path, SCN_NOTHREAD, &db));
    CHECK_OK(scn_begin(db, SCN_READ, &txn));
    for (uint32_t i = 0; i < THREADS; i++)
        check_worker(txn, i, &acked[i]);
    scn_abort(txn);
    CHECK_OK(scn_check(db, SCN_CHECK_ALL, print_issue, NULL, &issues));
    CHECK_EQ(issues, 0);
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
    for (int round = 0; round < ROUNDS && now_ms() < until; round++) {
        uint64_t life_us = 500 + (unit_random(&random) >> 20) % LIFE_US_MAX;
        int status = let_live(path, round < 4 ? life_us % 10000 : life_us, acked);
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        check_store(path, acked);
    }
    if (getenv("VERBOSE"))
        printf("%llu and %llu commits\n", (unsigned long long)acked[0],
               (unsigned long long)acked[1]);
    CHECK(acked[0] + acked[1] > 0);
}
