/* scn_update and the one-call writes under contention.
 *
 * The last attempt has priority for a second: where the machine has others to serve for
 * longer it answers SCN_BUSY, and is made again. */
#include "test/api/kit.h"

#include <pthread.h>

static scn_status increment(scn_txn *txn, void *ctx)
{
    const scn_table_id *id = ctx;
    uint64_t number = 0;
    scn_slice value;
    scn_status st = scn_get(txn, *id, text("n"), &value);
    if (st < 0)
        return st;
    if (st == SCN_OK)
        memcpy(&number, value.data, 8);
    number++;
    return scn_put(txn, *id, text("n"), (scn_slice){&number, 8}, 0);
}

struct worker {
    scn_db *db;
    scn_table_id id;
    int rounds;
    scn_status failed;
};

static void *increment_often(void *arg)
{
    struct worker *worker = arg;
    for (int i = 0; i < worker->rounds && worker->failed == SCN_OK; i++)
        do
            worker->failed = scn_update(worker->db, increment, &worker->id);
        while (worker->failed == SCN_BUSY);
    return NULL;
}

static void contend(const char *path, uint32_t durability, int rounds)
{
    enum { THREADS = 2 };
    scn_options options;
    scn_db *db;
    pthread_t threads[THREADS];
    struct worker workers[THREADS];
    scn_options_init(&options);
    options.durability = durability;
    options.busy_timeout_ms = KIT_BUSY_MS;
    CHECK_OK(scn_open(path, &options, &db));
    scn_table_id id = kit_table(db, "t");
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){db, id, rounds, SCN_OK};
        CHECK_EQ(pthread_create(&threads[i], NULL, increment_often, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < THREADS; i++)
        CHECK_OK(workers[i].failed);
    scn_txn *txn = kit_begin(db, SCN_READ);
    scn_slice value;
    uint64_t number = 0;
    CHECK_OK(scn_get(txn, id, text("n"), &value));
    memcpy(&number, value.data, 8);
    scn_abort(txn);
    CHECK_EQ(number, THREADS * rounds);
    CHECK_OK(scn_close(db));
}

TEST(update__two_threads_lose_no_increment)
{
    contend(":memory:", SCN_SYNC_FULL, 10000);
}

TEST(update__two_threads_lose_no_increment_when_lazy)
{
    contend(unit_path("update-lazy"), SCN_SYNC_LAZY, 5000);
}

TEST(update__two_threads_lose_no_increment_on_a_disk)
{
    contend(unit_path("update-full"), SCN_SYNC_FULL, 300);
}

/* ---- one call ---- */

static scn_status answer_exists(scn_txn *txn, void *ctx)
{
    const scn_table_id *id = ctx;
    scn_status st = kit_put(txn, *id, "a", "1");
    return st == SCN_OK ? SCN_EXISTS : st;
}

TEST(update__an_answer_other_than_ok_aborts_and_is_returned)
{
    scn_db *db = kit_memory();
    scn_table_id id = kit_table(db, "t");
    CHECK_EQ(scn_update(db, answer_exists, &id), SCN_EXISTS);
    CHECK(kit_committed(db, id, "a", NULL));
    CHECK_OK(scn_close(db));
}

struct nest {
    scn_db *db;
    scn_table_id id;
    scn_status put1;
    scn_status update;
    scn_status commit;
    scn_status own_commit;
    scn_status read;
};

static scn_status write_elsewhere(scn_txn *txn, void *ctx)
{
    struct nest *nest = ctx;
    scn_txn *other;
    nest->put1 = scn_put1(nest->db, "t", text("x"), text("1"));
    nest->update = scn_update(nest->db, increment, &nest->id);
    scn_status st = scn_begin(nest->db, SCN_WRITE, &other);
    if (st == SCN_OK)
        st = kit_put(other, nest->id, "y", "1");
    nest->commit = st == SCN_OK ? scn_commit(other) : st;
    nest->own_commit = scn_commit(txn);
    scn_abort(txn);
    nest->read = scn_begin(nest->db, SCN_READ, &other);
    if (nest->read == SCN_OK)
        scn_abort(other);
    return kit_put(txn, nest->id, "a", "1");
}

TEST(update__writes_outside_its_transaction_are_misuse)
{
    scn_db *db = kit_memory();
    struct nest nest = {.db = db, .id = kit_table(db, "t")};
    CHECK_OK(scn_update(db, write_elsewhere, &nest));
    CHECK_EQ(nest.put1, SCN_MISUSE);
    CHECK_EQ(nest.update, SCN_MISUSE);
    CHECK_EQ(nest.commit, SCN_MISUSE);
    CHECK_EQ(nest.own_commit, SCN_MISUSE);
    CHECK_OK(nest.read);
    CHECK(kit_committed(db, nest.id, "a", "1"));
    CHECK(kit_committed(db, nest.id, "x", NULL));
    CHECK(kit_committed(db, nest.id, "y", NULL));
    CHECK_OK(scn_close(db));
}

/* The callback's own key is changed under it at each attempt but the last: another thread
 * does it, because a write of this one would be misuse. */
struct stubborn {
    scn_db *db;
    scn_table_id id;
    int attempts;
    scn_status failed;
};

static void *change_key(void *arg)
{
    struct stubborn *stubborn = arg;
    scn_txn *txn;
    scn_status st = scn_begin(stubborn->db, SCN_WRITE, &txn);
    if (st == SCN_OK)
        st = scn_put(txn, stubborn->id, text("k"), text("theirs"), SCN_PUT_BLIND);
    if (st == SCN_OK)
        st = scn_commit(txn);
    if (st != SCN_OK && st != SCN_BUSY)
        stubborn->failed = st;
    return NULL;
}

static scn_status read_slowly(scn_txn *txn, void *ctx)
{
    struct stubborn *stubborn = ctx;
    pthread_t thread;
    scn_slice value;
    scn_status st = scn_get(txn, stubborn->id, text("k"), &value);
    if (st < 0)
        return st;
    if (stubborn->attempts++ < 3) {
        if (pthread_create(&thread, NULL, change_key, stubborn) != 0)
            return SCN_IO;
        pthread_join(thread, NULL);
    }
    return kit_put(txn, stubborn->id, "k", "mine");
}

static scn_status update_in_time(struct stubborn *stubborn,
                                 scn_status (*fn)(scn_txn *, void *))
{
    scn_status st;
    do {
        stubborn->attempts = 0;
        st = scn_update(stubborn->db, fn, stubborn);
    } while (st == SCN_BUSY);
    return st;
}

TEST(update__gets_through_with_priority_after_some_conflicts)
{
    scn_db *db = kit_memory();
    struct stubborn stubborn = {.db = db, .id = kit_table(db, "t")};
    CHECK_OK(update_in_time(&stubborn, read_slowly));
    CHECK_OK(stubborn.failed);
    CHECK_EQ(stubborn.attempts, 4);
    CHECK(kit_committed(db, stubborn.id, "k", "mine"));
    CHECK_OK(scn_close(db));
}

/* In the attempt with priority the thread holds the lock that all commits take. */
struct careless {
    struct stubborn stubborn;
    scn_txn *other;
    scn_status checkpoint[4];
    scn_status tick[4];
    scn_status check[4];
    scn_status put;
};

static scn_status put_much(scn_txn *txn, scn_table_id id)
{
    static uint8_t bytes[60000];
    scn_status st = SCN_OK;
    for (uint32_t i = 0; i < 1000 && st == SCN_OK; i++) {
        char key[16];
        st = scn_put(txn, id, kit_number_key(key, i), (scn_slice){bytes, sizeof bytes},
                     0);
    }
    return st;
}

static scn_status call_what_waits(scn_txn *txn, void *ctx)
{
    struct careless *careless = ctx;
    scn_db *db = careless->stubborn.db;
    int i = careless->stubborn.attempts;
    careless->checkpoint[i] = scn_checkpoint(db);
    careless->tick[i] = scn_tick(db, 0);
    careless->check[i] = scn_check(db, SCN_CHECK_QUICK, NULL, NULL, NULL);
    if (i == 3)
        careless->put = put_much(careless->other, careless->stubborn.id);
    return read_slowly(txn, &careless->stubborn);
}

TEST(update__refuses_inside_what_would_wait_for_it)
{
    scn_db *db = kit_memory();
    struct careless careless = {.stubborn = {.db = db, .id = kit_table(db, "t")}};
    careless.other = kit_begin(db, SCN_WRITE);
    scn_status st = scn_update(db, call_what_waits, &careless);
    CHECK(st == SCN_OK || st == SCN_BUSY); /* it took longer than a second */
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(careless.checkpoint[i], SCN_MISUSE);
        CHECK_EQ(careless.tick[i], SCN_MISUSE);
        CHECK_EQ(careless.check[i], SCN_MISUSE);
    }
    CHECK_EQ(careless.put, SCN_MISUSE);
    scn_abort(careless.other);
    CHECK_OK(scn_checkpoint(db));
    CHECK_OK(scn_close(db));
}

/* Whoever began the transaction: the thread that commits it is in an update. */
static void *begin_elsewhere(void *arg)
{
    struct careless *careless = arg;
    scn_status st = scn_begin(careless->stubborn.db, SCN_WRITE, &careless->other);
    careless->put = st < 0 ? st : kit_put(careless->other, careless->stubborn.id, "x",
                                          "1");
    return NULL;
}

static scn_status commit_the_other(scn_txn *txn, void *ctx)
{
    struct careless *careless = ctx;
    careless->put = scn_commit(careless->other);
    return kit_put(txn, careless->stubborn.id, "a", "1");
}

TEST(update__refuses_to_commit_what_another_thread_began)
{
    scn_db *db = kit_memory();
    struct careless careless = {.stubborn = {.db = db, .id = kit_table(db, "t")}};
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, begin_elsewhere, &careless), 0);
    pthread_join(thread, NULL);
    CHECK_OK(careless.put);
    CHECK_OK(scn_update(db, commit_the_other, &careless));
    CHECK_EQ(careless.put, SCN_MISUSE);
    CHECK(kit_committed(db, careless.stubborn.id, "x", NULL));
    CHECK_OK(scn_close(db));
}

static void write_from_end(void *ctx, scn_status st, uint64_t lsn)
{
    struct stubborn *stubborn = ctx;
    (void)lsn;
    if (st == SCN_OK)
        stubborn->failed = scn_put1(stubborn->db, "t", text("end"), text("1"));
}

static scn_status read_slowly_and_follow_up(scn_txn *txn, void *ctx)
{
    scn_status st = scn_on_end(txn, write_from_end, ctx);
    return st == SCN_OK ? read_slowly(txn, ctx) : st;
}

TEST(update__end_calls_of_the_attempt_with_priority_may_write)
{
    scn_db *db = kit_memory();
    struct stubborn stubborn = {.db = db, .id = kit_table(db, "t"), .failed = SCN_OK};
    CHECK_OK(update_in_time(&stubborn, read_slowly_and_follow_up));
    CHECK_OK(stubborn.failed);
    CHECK(kit_committed(db, stubborn.id, "end", "1"));
    CHECK_OK(scn_close(db));
}

/* With priority the append lock is held: growth and spilling must not wait for it. */
enum { MUCH_ROWS = KIT_IS_SMALL ? 400 : 1000, MUCH_BYTES = KIT_IS_SMALL ? 1000 : 60000 };

static scn_status write_much(scn_txn *txn, void *ctx)
{
    static uint8_t bytes[MUCH_BYTES];
    struct stubborn *stubborn = ctx;
    scn_status st = read_slowly(txn, ctx);
    for (uint32_t i = 0; i < MUCH_ROWS && st == SCN_OK; i++) {
        char key[16];
        st = scn_put(txn, stubborn->id, kit_number_key(key, i),
                     (scn_slice){bytes, MUCH_BYTES}, 0);
    }
    return st;
}

TEST(update__a_large_transaction_with_priority_spills_and_commits)
{
    scn_db *db = kit_memory();
    struct stubborn stubborn = {.db = db, .id = kit_table(db, "t")};
    scn_status st = scn_update(db, write_much, &stubborn);
    /* Priority lasts a second; a build with a sanitizer may take longer. */
    CHECK(st == SCN_OK || st == SCN_BUSY);
    CHECK_EQ(kit_count(db, stubborn.id), st == SCN_OK ? MUCH_ROWS + 1 : 1);
    CHECK_OK(scn_close(db));
}

static void *put_often(void *arg)
{
    struct worker *worker = arg;
    for (int i = 0; i < worker->rounds && worker->failed == SCN_OK; i++) {
        char key[16];
        char table[32];
        snprintf(table, sizeof table, "table-%d", i / 20);
        worker->failed = scn_put1(worker->db, table, kit_number_key(key, (uint32_t)i % 7),
                                  text("v"));
        if (worker->failed == SCN_OK && i % 5 == 0)
            worker->failed = scn_del1(worker->db, table,
                                      kit_number_key(key, (uint32_t)i % 7));
    }
    return NULL;
}

TEST(one_call__writes_of_several_threads_never_conflict)
{
    enum { THREADS = 3 };
    scn_db *db = kit_memory();
    pthread_t threads[THREADS];
    struct worker workers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){db, 0, 300, SCN_OK};
        CHECK_EQ(pthread_create(&threads[i], NULL, put_often, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < THREADS; i++)
        CHECK_OK(workers[i].failed);
    CHECK_OK(scn_close(db));
}
