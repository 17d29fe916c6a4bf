/* Transactions: savepoints, large ones, durability, the end calls, snapshots. */
#include "test/api/kit.h"

#include <pthread.h>

TEST(savepoint__nested_rollbacks_take_back_what_came_after)
{
    scn_db *db = kit_memory();
    scn_table_id id = kit_table(db, "t");
    uint32_t outer;
    uint32_t inner;
    kit_write(db, id, "a", "0");
    scn_txn *txn = kit_begin(db, SCN_WRITE);
    CHECK_OK(kit_put(txn, id, "a", "1"));
    CHECK_OK(scn_savepoint(txn, &outer));
    CHECK_OK(kit_put(txn, id, "a", "2"));
    CHECK_OK(kit_put(txn, id, "b", "2"));
    CHECK_OK(scn_savepoint(txn, &inner));
    CHECK_OK(scn_del(txn, id, text("a")));
    CHECK_OK(scn_table_clear(txn, id));
    CHECK_OK(kit_put(txn, id, "c", "3"));
    scn_table_id other = kit_table_in(txn, "other");
    CHECK_OK(kit_put(txn, other, "x", "3"));
    CHECK_OK(scn_rollback_to(txn, inner));
    CHECK_EQ(scn_get(txn, other, text("x"), NULL), SCN_NOTFOUND);
    CHECK(kit_has(txn, id, "a", "2"));
    CHECK(kit_has(txn, id, "b", "2"));
    CHECK(kit_has(txn, id, "c", NULL));
    CHECK_EQ(kit_count_in(txn, id), 2);
    CHECK_OK(kit_put(txn, id, "d", "4"));
    CHECK_OK(scn_rollback_to(txn, inner));
    CHECK(kit_has(txn, id, "d", NULL));
    CHECK_OK(scn_rollback_to(txn, outer));
    CHECK_EQ(scn_rollback_to(txn, inner), SCN_MISUSE);
    CHECK(kit_has(txn, id, "a", "1"));
    CHECK(kit_has(txn, id, "b", NULL));
    CHECK_OK(kit_put(txn, id, "e", "5"));
    CHECK_OK(scn_commit(txn));
    CHECK(kit_committed(db, id, "a", "1"));
    CHECK(kit_committed(db, id, "b", NULL));
    CHECK(kit_committed(db, id, "e", "5"));
    CHECK_EQ(kit_count(db, id), 2);
    CHECK_OK(scn_close(db));
}

TEST(savepoint__rolled_back_to_nothing_commits_nothing)
{
    scn_db *db = kit_memory();
    scn_table_id id = kit_table(db, "t");
    uint32_t savepoint;
    uint64_t lsn = 0;
    scn_txn *txn = kit_begin(db, SCN_WRITE);
    uint64_t before = scn_txn_lsn(txn);
    CHECK_OK(scn_savepoint(txn, &savepoint));
    CHECK_OK(kit_put(txn, id, "a", "1"));
    CHECK_OK(scn_rollback_to(txn, savepoint));
    CHECK_OK(scn_commit_at(txn, &lsn));
    CHECK(lsn >= before);
    CHECK_EQ(kit_count(db, id), 0);
    CHECK_OK(scn_close(db));
}

/* Half of these rows are more than a write set keeps in memory. */
enum {
    LARGE_ROWS = KIT_IS_SMALL ? 4000 : 8000,
    STEP_ROWS = LARGE_ROWS / 4,
    ROW_BYTES = KIT_IS_SMALL ? 128 : 12000
};

static void put_rows(scn_txn *txn, scn_table_id id, uint32_t from, uint32_t to,
                     uint32_t seed)
{
    char key[16];
    uint8_t bytes[ROW_BYTES];
    for (uint32_t i = from; i < to; i++) {
        memset(bytes, (int)(i + seed), sizeof bytes);
        CHECK_OK(scn_put(txn, id, kit_number_key(key, i),
                         (scn_slice){bytes, sizeof bytes}, 0));
    }
}

static void check_rows(scn_txn *txn, scn_table_id id, uint32_t from, uint32_t to,
                       uint32_t seed)
{
    char key[16];
    uint32_t step = (to - from) / 997 + 1;
    for (uint32_t i = from; i < to; i += step) {
        scn_slice value;
        uint8_t bytes[ROW_BYTES];
        memset(bytes, (int)(i + seed), sizeof bytes);
        CHECK_OK(scn_get(txn, id, kit_number_key(key, i), &value));
        CHECK_EQ(value.size, sizeof bytes);
        CHECK(memcmp(value.data, bytes, sizeof bytes) == 0);
    }
}

static uint32_t walk_all(scn_txn *txn, scn_table_id id)
{
    scn_cursor *cursor;
    scn_slice key;
    uint32_t count = 0;
    scn_status st;
    CHECK_OK(scn_cursor_open(txn, id, &cursor));
    while ((st = scn_next(cursor, &key, NULL)) == SCN_OK)
        count++;
    CHECK_EQ(st, SCN_END);
    scn_cursor_close(cursor);
    return count;
}

TEST(large__transaction_reads_its_own_rows_and_commits)
{
    char path[256];
    snprintf(path, sizeof path, "%s", unit_path("large-commit"));
    scn_db *db = kit_open_flags(path, 0);
    scn_table_id id = kit_table(db, "t");
    scn_txn *txn = kit_begin(db, SCN_WRITE);
    put_rows(txn, id, 0, LARGE_ROWS, 1);
    put_rows(txn, id, 100, 200, 2);
    CHECK_OK(scn_del(txn, id, text("k00000300")));
    check_rows(txn, id, 0, 100, 1);
    check_rows(txn, id, 100, 200, 2);
    CHECK(kit_has(txn, id, "k00000300", NULL));
    CHECK_EQ(kit_count_in(txn, id), LARGE_ROWS - 1);
    CHECK_EQ(walk_all(txn, id), LARGE_ROWS - 1);
    CHECK_OK(scn_commit(txn));
    for (int round = 0; round < 3; round++) {
        txn = kit_begin(db, SCN_READ);
        check_rows(txn, id, 100, 200, 2);
        check_rows(txn, id, 301, LARGE_ROWS, 1);
        CHECK(kit_has(txn, id, "k00000300", NULL));
        CHECK_EQ(kit_count_in(txn, id), LARGE_ROWS - 1);
        CHECK_EQ(walk_all(txn, id), LARGE_ROWS - 1);
        scn_abort(txn);
        CHECK_OK(scn_close(db));
        db = kit_open_flags(path, 0);
        if (round == 1)
            CHECK_OK(scn_checkpoint(db));
    }
    CHECK_OK(scn_close(db));
}

TEST(large__transaction_rolls_back_over_what_was_spilled)
{
    scn_db *db = kit_memory();
    scn_table_id id = kit_table(db, "t");
    uint32_t first;
    uint32_t second;
    scn_txn *txn = kit_begin(db, SCN_WRITE);
    put_rows(txn, id, 0, 2 * STEP_ROWS, 1);
    CHECK_OK(scn_savepoint(txn, &first));
    put_rows(txn, id, STEP_ROWS, 3 * STEP_ROWS, 2);
    CHECK_OK(scn_del_range(txn, id, text("k00000000"), text("k00000100"), NULL));
    CHECK_OK(scn_savepoint(txn, &second));
    put_rows(txn, id, 2 * STEP_ROWS, 4 * STEP_ROWS, 3);
    CHECK_OK(scn_table_clear(txn, id));
    put_rows(txn, id, 0, 10, 4);
    CHECK_EQ(walk_all(txn, id), 10);
    CHECK_OK(scn_rollback_to(txn, second));
    check_rows(txn, id, 100, STEP_ROWS, 1);
    check_rows(txn, id, STEP_ROWS, 3 * STEP_ROWS, 2);
    CHECK_EQ(walk_all(txn, id), 3 * STEP_ROWS - 100);
    CHECK_OK(scn_rollback_to(txn, first));
    check_rows(txn, id, 0, 2 * STEP_ROWS, 1);
    CHECK_EQ(walk_all(txn, id), 2 * STEP_ROWS);
    put_rows(txn, id, 0, 50, 5);
    CHECK_OK(scn_commit(txn));
    for (int round = 0; round < 2; round++) {
        txn = kit_begin(db, SCN_READ);
        check_rows(txn, id, 0, 50, 5);
        check_rows(txn, id, 50, 2 * STEP_ROWS, 1);
        CHECK_EQ(walk_all(txn, id), 2 * STEP_ROWS);
        CHECK_EQ(kit_count_in(txn, id), 2 * STEP_ROWS);
        scn_abort(txn);
        CHECK_OK(scn_checkpoint(db));
    }
    CHECK_OK(scn_close(db));
}

TEST(large__aborted_transactions_leave_no_rows_and_little_file)
{
    scn_db *db = kit_memory();
    scn_table_id id = kit_table(db, "t");
    kit_write(db, id, "a", "1");
    uint64_t bytes = 0;
    for (int round = 0; round < 6; round++) {
        scn_txn *txn = kit_begin(db, SCN_WRITE);
        put_rows(txn, id, 0, KIT_IS_SMALL ? LARGE_ROWS : LARGE_ROWS / 2, 1);
        scn_abort(txn);
        kit_write(db, id, "a", "1");
        CHECK_OK(scn_checkpoint(db));
        scn_stats_t stats = {.struct_size = sizeof stats};
        CHECK_OK(scn_stats(db, &stats));
        if (round == 1)
            bytes = stats.file_bytes;
        if (round > 1)
            CHECK(stats.file_bytes <= bytes + bytes / 2);
    }
    CHECK_EQ(kit_count(db, id), 1);
    CHECK_OK(scn_close(db));
}

TEST(large__transaction_over_rows_that_exist_replaces_and_deletes_them)
{
    scn_db *db = kit_memory();
    scn_table_id id = kit_table(db, "t");
    scn_txn *txn = kit_begin(db, SCN_WRITE);
    put_rows(txn, id, 0, 1000, 1);
    CHECK_OK(scn_commit(txn));
    CHECK_OK(scn_checkpoint(db));
    scn_txn *before = kit_begin(db, SCN_READ);
    txn = kit_begin(db, SCN_WRITE);
    put_rows(txn, id, 500, LARGE_ROWS, 2);
    for (uint32_t i = 0; i < 250; i++) {
        char key[16];
        CHECK_OK(scn_del(txn, id, kit_number_key(key, i)));
    }
    put_rows(txn, id, LARGE_ROWS, LARGE_ROWS + STEP_ROWS, 2);
    CHECK_OK(scn_commit(txn));
    for (int round = 0; round < 2; round++) {
        txn = kit_begin(db, SCN_READ);
        check_rows(txn, id, 250, 500, 1);
        check_rows(txn, id, 500, LARGE_ROWS + STEP_ROWS, 2);
        CHECK(kit_has(txn, id, "k00000100", NULL));
        CHECK_EQ(walk_all(txn, id), LARGE_ROWS + STEP_ROWS - 250);
        CHECK_EQ(kit_count_in(txn, id), LARGE_ROWS + STEP_ROWS - 250);
        scn_abort(txn);
        CHECK_OK(scn_checkpoint(db));
        check_rows(before, id, 0, 1000, 1);
        CHECK_EQ(walk_all(before, id), 1000);
        CHECK_EQ(kit_count_in(before, id), 1000);
    }
    scn_abort(before);
    CHECK_OK(scn_close(db));
}

/* ---- durability ---- */

TEST(durability__every_level_is_visible_at_once_and_can_be_waited_for)
{
    static const uint32_t levels[] = {SCN_SYNC_FULL, SCN_SYNC_GROUP, SCN_SYNC_LAZY};
    char path[256];
    snprintf(path, sizeof path, "%s", unit_path("durability"));
    scn_db *db = kit_open_flags(path, 0);
    scn_table_id id = kit_table(db, "t");
    for (uint32_t i = 0; i < 30; i++) {
        char key[16];
        uint64_t lsn = 0;
        scn_txn *txn = kit_begin(db, SCN_WRITE);
        CHECK_OK(scn_set_durability(txn, levels[i % 3]));
        CHECK_OK(scn_put(txn, id, kit_number_key(key, i), text("v"), 0));
        CHECK_OK(scn_commit_at(txn, &lsn));
        CHECK(lsn > 0);
        CHECK(kit_committed(db, id, key, "v"));
        if (i % 2)
            CHECK_OK(scn_wait_durable(db, lsn, 5000));
        scn_status st = scn_wait_durable(db, lsn, 0);
        CHECK(st == SCN_OK || (levels[i % 3] == SCN_SYNC_LAZY && st == SCN_BUSY));
    }
    CHECK_OK(scn_close(db));
    db = kit_open_flags(path, 0);
    CHECK_EQ(kit_count(db, id), 30);
    CHECK_OK(scn_close(db));
}

/* ---- on_end ---- */

struct ends {
    scn_status st[4];
    uint64_t lsn[4];
    int count;
};

static void note_end(void *ctx, scn_status st, uint64_t lsn)
{
    struct ends *ends = ctx;
    if (ends->count < 4) {
        ends->st[ends->count] = st;
        ends->lsn[ends->count] = lsn;
    }
    ends->count++;
}

TEST(on_end__is_called_once_with_the_outcome)
{
    scn_db *db = kit_memory();
    scn_table_id id = kit_table(db, "t");
    struct ends ends = {.count = 0};
    uint64_t lsn = 0;
    scn_txn *txn = kit_begin(db, SCN_WRITE);
    CHECK_OK(scn_on_end(txn, note_end, &ends));
    CHECK_OK(scn_on_end(txn, note_end, &ends));
    CHECK_OK(kit_put(txn, id, "a", "1"));
    CHECK_OK(scn_commit_at(txn, &lsn));
    CHECK_EQ(ends.count, 2);
    CHECK_OK(ends.st[1]);
    CHECK_EQ(ends.lsn[0], lsn);
    txn = kit_begin(db, SCN_WRITE);
    CHECK(kit_has(txn, id, "a", "1"));
    CHECK_OK(kit_put(txn, id, "b", "1"));
    CHECK_OK(scn_on_end(txn, note_end, &ends));
    kit_write(db, id, "a", "2");
    CHECK_EQ(scn_commit(txn), SCN_CONFLICT);
    CHECK_EQ(ends.count, 3);
    CHECK_EQ(ends.st[2], SCN_CONFLICT);
    txn = kit_begin(db, SCN_READ);
    CHECK_OK(scn_on_end(txn, note_end, &ends));
    scn_abort(txn);
    CHECK_EQ(ends.count, 4);
    CHECK(ends.st[3] < 0);
    CHECK_OK(scn_close(db));
}

struct follow_up {
    scn_db *db;
    scn_status st;
};

static void write_afterwards(void *ctx, scn_status st, uint64_t lsn)
{
    struct follow_up *follow_up = ctx;
    (void)st;
    (void)lsn;
    follow_up->st = scn_put1(follow_up->db, "t", text("afterwards"), text("1"));
}

static scn_status write_and_follow_up(scn_txn *txn, void *ctx)
{
    scn_table_id id;
    scn_status st = scn_table(txn, "t", SCN_CREATE, &id);
    if (st == SCN_OK)
        st = kit_put(txn, id, "a", "1");
    return st == SCN_OK ? scn_on_end(txn, write_afterwards, ctx) : st;
}

TEST(on_end__may_write_to_the_store)
{
    scn_db *db = kit_memory();
    struct follow_up follow_up = {db, SCN_MISUSE};
    CHECK_OK(scn_update(db, write_and_follow_up, &follow_up));
    CHECK_OK(follow_up.st);
    scn_table_id id = kit_table(db, "t");
    CHECK(kit_committed(db, id, "afterwards", "1"));
    CHECK_OK(scn_close(db));
}

static void close_afterwards(void *ctx, scn_status st, uint64_t lsn)
{
    struct follow_up *follow_up = ctx;
    (void)st;
    (void)lsn;
    follow_up->st = scn_close(follow_up->db);
}

TEST(on_end__may_not_close_the_store)
{
    scn_db *db = kit_memory();
    struct follow_up follow_up = {db, SCN_OK};
    scn_txn *txn = kit_begin(db, SCN_WRITE);
    CHECK_OK(scn_on_end(txn, close_afterwards, &follow_up));
    CHECK_OK(scn_commit(txn));
    CHECK_EQ(follow_up.st, SCN_MISUSE);
    CHECK_OK(scn_close(db));
}

/* ---- snapshots ---- */

TEST(snapshot__stays_the_same_through_overwrites_and_checkpoints)
{
    enum { SNAPSHOTS = 12, KEYS = 60 };
    scn_db *db = kit_memory();
    scn_table_id id = kit_table(db, "t");
    scn_txn *snapshots[SNAPSHOTS];
    char name[16];
    static uint8_t bytes[6000];
    for (uint32_t round = 0; round < SNAPSHOTS; round++) {
        scn_txn *txn = kit_begin(db, SCN_WRITE);
        for (uint32_t i = 0; i < KEYS; i++) {
            kit_fill(bytes, i * 100, round * KEYS + i);
            CHECK_OK(scn_put(txn, id, kit_number_key(name, i),
                             (scn_slice){bytes, i * 100}, 0));
        }
        CHECK_OK(scn_del(txn, id, kit_number_key(name, round)));
        CHECK_OK(scn_commit(txn));
        snapshots[round] = kit_begin(db, round % 2 ? SCN_READ : SCN_WRITE | SCN_SNAPSHOT);
        if (round % 3 == 0)
            CHECK_OK(scn_checkpoint(db));
    }
    for (uint32_t round = 0; round < SNAPSHOTS; round++) {
        for (uint32_t i = 0; i < KEYS; i++) {
            scn_slice value;
            scn_status st = scn_get(snapshots[round], id, kit_number_key(name, i),
                                    &value);
            CHECK_EQ(st, i == round ? SCN_NOTFOUND : SCN_OK);
            kit_fill(bytes, i * 100, round * KEYS + i);
            CHECK_EQ(value.size, i == round ? 0 : i * 100);
            CHECK(value.size == 0 || memcmp(value.data, bytes, value.size) == 0);
        }
        CHECK_EQ(kit_count_in(snapshots[round], id), KEYS - 1);
        CHECK_EQ(walk_all(snapshots[round], id), KEYS - 1);
        if (round % 4 == 1) {
            kit_write(db, id, "more", "x");
            CHECK_OK(scn_checkpoint(db));
        }
        scn_abort(snapshots[round]);
    }
    CHECK_OK(scn_close(db));
}

TEST(snapshot__lsn_grows_with_commits)
{
    scn_db *db = kit_memory();
    scn_table_id id = kit_table(db, "t");
    uint64_t lsn = 0;
    scn_txn *before = kit_begin(db, SCN_READ);
    scn_txn *txn = kit_begin(db, SCN_WRITE);
    CHECK_OK(kit_put(txn, id, "a", "1"));
    CHECK_OK(scn_commit_at(txn, &lsn));
    scn_txn *after = kit_begin(db, SCN_READ);
    CHECK(scn_txn_lsn(before) < lsn);
    CHECK(scn_txn_lsn(after) >= lsn);
    CHECK(scn_txn_db(after) == db);
    scn_abort(before);
    CHECK_OK(scn_commit(after));
    CHECK_OK(scn_close(db));
}

/* ---- without a thread ---- */

TEST(nothread__tick_does_the_background_work)
{
    char path[256];
    char key[16];
    static uint8_t bytes[1000];
    snprintf(path, sizeof path, "%s", unit_path("nothread"));
    scn_options options;
    scn_db *db;
    scn_options_init(&options);
    options.flags = SCN_NOTHREAD;
    options.durability = SCN_SYNC_LAZY;
    if (KIT_IS_SMALL)
        CHECK_OK(scn_options_set(&options, "log", "128KiB"));
    else
        CHECK_OK(scn_options_set(&options, "log", "4MiB"));
    CHECK_OK(scn_open(path, &options, &db));
    scn_table_id id = kit_table(db, "t");
    for (uint32_t i = 0; i < 8000; i++) {
        scn_txn *txn = kit_begin(db, SCN_WRITE);
        CHECK_OK(
            scn_put(txn, id, kit_number_key(key, i % 1000), (scn_slice){bytes, 1000}, 0));
        CHECK_OK(scn_commit(txn));
        if (i % 50 == 0)
            CHECK_OK(scn_tick(db, 10));
    }
    scn_stats_t stats = {.struct_size = sizeof stats};
    CHECK_OK(scn_stats(db, &stats));
    CHECK(stats.checkpoints > 0);
    CHECK_EQ(kit_count(db, id), 1000);
    CHECK_OK(scn_close(db));
    db = kit_open_flags(path, SCN_NOTHREAD);
    CHECK_EQ(kit_count(db, id), 1000);
    CHECK_OK(scn_close(db));
}

TEST(nothread__a_full_log_is_emptied_by_the_committer)
{
    char key[16];
    static uint8_t bytes[1000];
    scn_db *db = kit_open_flags(":memory:", SCN_NOTHREAD);
    scn_table_id id = kit_table(db, "t");
    for (uint32_t i = 0; i < (KIT_IS_SMALL ? 3000 : 20000); i++) {
        scn_txn *txn = kit_begin(db, SCN_WRITE);
        CHECK_OK(
            scn_put(txn, id, kit_number_key(key, i % 100), (scn_slice){bytes, 1000}, 0));
        CHECK_OK(scn_commit(txn));
    }
    CHECK_EQ(kit_count(db, id), 100);
    CHECK_OK(scn_close(db));
}

/* ---- threads ---- */

struct churn {
    scn_db *db;
    scn_table_id id;
    uint32_t number;
    scn_status failed;
};

/* Every transaction moves one unit between two accounts of 10. */
static void *move_units(void *arg)
{
    struct churn *churn = arg;
    uint64_t random = churn->number * 77777 + 1;
    for (int i = 0; i < 300 && churn->failed == SCN_OK; i++) {
        scn_txn *txn;
        char from[16];
        char to[16];
        scn_slice from_key = kit_number_key(from, (uint32_t)(unit_random(&random) % 10));
        scn_slice to_key = kit_number_key(to, (uint32_t)(unit_random(&random) % 10));
        if (memcmp(from, to, 9) == 0)
            continue;
        churn->failed = scn_begin(churn->db, SCN_WRITE, &txn);
        if (churn->failed)
            break;
        int64_t a = 0;
        int64_t b = 0;
        scn_slice value;
        scn_status st = scn_set_durability(txn, SCN_SYNC_LAZY);
        if (st == SCN_OK && (st = scn_get(txn, churn->id, from_key, &value)) == SCN_OK)
            memcpy(&a, value.data, 8);
        if (st == SCN_OK && (st = scn_get(txn, churn->id, to_key, &value)) == SCN_OK)
            memcpy(&b, value.data, 8);
        a--;
        b++;
        if (st == SCN_OK)
            st = scn_put(txn, churn->id, from_key, (scn_slice){&a, 8}, 0);
        if (st == SCN_OK)
            st = scn_put(txn, churn->id, to_key, (scn_slice){&b, 8}, 0);
        if (st == SCN_OK)
            st = scn_commit(txn);
        else
            scn_abort(txn);
        if (st != SCN_OK && st != SCN_CONFLICT)
            churn->failed = st;
    }
    return NULL;
}

static int64_t sum_of(scn_txn *txn, scn_table_id id)
{
    scn_cursor *cursor;
    scn_slice value;
    int64_t sum = 0;
    if (scn_cursor_open(txn, id, &cursor) != SCN_OK)
        return -1;
    while (scn_next(cursor, NULL, &value) == SCN_OK) {
        int64_t number;
        memcpy(&number, value.data, 8);
        sum += number;
    }
    return sum;
}

TEST(threads__every_snapshot_has_the_whole_of_each_transaction)
{
    enum { THREADS = 3 };
    scn_db *db = kit_memory();
    pthread_t threads[THREADS];
    struct churn churns[THREADS];
    scn_table_id id = kit_table(db, "t");
    scn_txn *txn = kit_begin(db, SCN_WRITE);
    int64_t hundred = 100;
    for (uint32_t i = 0; i < 10; i++) {
        char key[16];
        CHECK_OK(scn_put(txn, id, kit_number_key(key, i), (scn_slice){&hundred, 8}, 0));
    }
    CHECK_OK(scn_commit(txn));
    for (uint32_t i = 0; i < THREADS; i++) {
        churns[i] = (struct churn){db, id, i, SCN_OK};
        CHECK_EQ(pthread_create(&threads[i], NULL, move_units, &churns[i]), 0);
    }
    int64_t sums[100];
    for (int i = 0; i < 100; i++) {
        txn = NULL;
        sums[i] = -1;
        if (scn_begin(db, SCN_READ, &txn) != SCN_OK)
            continue;
        sums[i] = sum_of(txn, id);
        scn_abort(txn);
        if (i % 30 == 0 && scn_checkpoint(db) != SCN_OK)
            sums[i] = -2;
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < THREADS; i++)
        CHECK_OK(churns[i].failed);
    for (int i = 0; i < 100; i++)
        CHECK_EQ(sums[i], 1000);
    CHECK_OK(scn_close(db));
}

static void *tick_often(void *arg)
{
    for (int i = 0; i < 300; i++)
        if (scn_tick(arg, 0) != SCN_OK)
            return arg;
    return NULL;
}

TEST(threads__tick_beside_the_background_thread_and_each_other)
{
    enum { THREADS = 2 };
    pthread_t threads[THREADS];
    scn_options options;
    scn_db *db;
    scn_options_init(&options);
    options.lazy_interval_ms = 1;
    CHECK_OK(scn_open(":memory:", &options, &db));
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, tick_often, db), 0);
    for (int i = 0; i < 100; i++)
        CHECK_OK(scn_put1(db, "t", text("k"), text("v")));
    for (int i = 0; i < THREADS; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        CHECK(failed == NULL);
    }
    CHECK_OK(scn_close(db));
}
