/* Points: put with its flags, get, del, get_many, add, ranges. */
#include "test/api/kit.h"

#include <pthread.h>

TEST(put__new_refuses_what_exists_and_same_accepts_equal_bytes)
{
    scn_db *db = kit_memory();
    scn_table_id id = kit_table(db, "t");
    kit_write(db, id, "a", "1");
    for (int round = 0; round < 2; round++) {
        scn_txn *txn = kit_begin(db, SCN_WRITE);
        CHECK_EQ(scn_put(txn, id, text("a"), text("2"), SCN_PUT_NEW), SCN_EXISTS);
        CHECK_OK(scn_put(txn, id, text("b"), text("2"), SCN_PUT_NEW));
        CHECK_EQ(scn_put(txn, id, text("b"), text("3"), SCN_PUT_NEW), SCN_EXISTS);
        CHECK_OK(scn_del(txn, id, text("a")));
        CHECK_OK(scn_put(txn, id, text("a"), text("4"), SCN_PUT_NEW));
        CHECK_OK(scn_put(txn, id, text("a"), text("4"), SCN_PUT_SAME));
        CHECK_OK(scn_put(txn, id, text("c"), text("5"), SCN_PUT_SAME));
        CHECK_OK(scn_put(txn, id, text("c"), text("6"), SCN_PUT_SAME));
        CHECK(kit_has(txn, id, "a", "4"));
        CHECK(kit_has(txn, id, "b", "2"));
        CHECK(kit_has(txn, id, "c", "6"));
        scn_abort(txn);
        CHECK(kit_committed(db, id, "a", "1"));
        CHECK_OK(scn_checkpoint(db));
    }
    CHECK_OK(scn_close(db));
}

TEST(put__same_of_equal_bytes_writes_nothing)
{
    scn_db *db = kit_memory();
    scn_table_id id = kit_table(db, "t");
    kit_write(db, id, "a", "1");
    scn_txn *txn = kit_begin(db, SCN_WRITE);
    uint64_t lsn = 0;
    uint64_t before = scn_txn_lsn(txn);
    CHECK_OK(scn_put(txn, id, text("a"), text("1"), SCN_PUT_SAME));
    CHECK_OK(scn_commit_at(txn, &lsn));
    CHECK_EQ(lsn, before);
    CHECK_OK(scn_close(db));
}

TEST(del__answers_whether_the_key_was_there)
{
    scn_db *db = kit_memory();
    scn_table_id id = kit_table(db, "t");
    kit_write(db, id, "a", "1");
    scn_txn *txn = kit_begin(db, SCN_WRITE);
    CHECK_OK(scn_del(txn, id, text("a")));
    CHECK_EQ(scn_del(txn, id, text("a")), SCN_NOTFOUND);
    CHECK_EQ(scn_del(txn, id, text("b")), SCN_NOTFOUND);
    CHECK_OK(kit_put(txn, id, "b", "2"));
    CHECK_OK(scn_del(txn, id, text("b")));
    CHECK(kit_has(txn, id, "b", NULL));
    CHECK_OK(scn_commit(txn));
    CHECK(kit_committed(db, id, "a", NULL));
    CHECK_EQ(kit_count(db, id), 0);
    CHECK_OK(scn_close(db));
}

TEST(put__stores_values_without_bytes)
{
    scn_db *db = kit_memory();
    scn_table_id id = kit_table(db, "t");
    scn_txn *txn = kit_begin(db, SCN_WRITE);
    CHECK_OK(scn_put(txn, id, text("a"), (scn_slice){NULL, 0}, 0));
    CHECK(kit_has(txn, id, "a", ""));
    CHECK_OK(scn_commit(txn));
    for (int i = 0; i < 2; i++) {
        CHECK(kit_committed(db, id, "a", ""));
        CHECK_EQ(kit_count(db, id), 1);
        CHECK_OK(scn_checkpoint(db));
    }
    CHECK_OK(scn_close(db));
}

TEST(put__keys_may_be_any_bytes_and_prefixes_of_each_other)
{
    static const scn_slice keys[] = {{"\0", 1},   {"\0\0", 2},    {"\0\0\1", 3},
                                     {"a", 1},    {"a\0", 2},     {"ab", 2},
                                     {"\xff", 1}, {"\xff\xff", 2}};
    enum { COUNT = sizeof keys / sizeof keys[0] };
    scn_db *db = kit_memory();
    scn_table_id id = kit_table(db, "t");
    scn_txn *txn = kit_begin(db, SCN_WRITE);
    for (int i = COUNT - 1; i >= 0; i--)
        CHECK_OK(scn_put(txn, id, keys[i], keys[i], 0));
    CHECK_OK(scn_commit(txn));
    for (int round = 0; round < 2; round++) {
        scn_cursor *cursor;
        scn_slice key;
        scn_slice value;
        txn = kit_begin(db, SCN_READ);
        CHECK_OK(scn_cursor_open(txn, id, &cursor));
        for (int i = 0; i < COUNT; i++) {
            CHECK_OK(scn_next(cursor, &key, &value));
            CHECK(key.size == keys[i].size &&
                  memcmp(key.data, keys[i].data, key.size) == 0);
            CHECK(value.size == key.size && memcmp(value.data, key.data, key.size) == 0);
        }
        CHECK_EQ(scn_next(cursor, &key, &value), SCN_END);
        CHECK(key.data == NULL && key.size == 0);
        scn_abort(txn);
        CHECK_OK(scn_checkpoint(db));
    }
    CHECK_OK(scn_close(db));
}

/* ---- many ---- */

TEST(get_many__answers_each_key_and_keeps_all_bytes)
{
    enum { COUNT = 200 };
    scn_db *db = kit_memory();
    scn_table_id id = kit_table(db, "t");
    static char names[COUNT][16];
    scn_slice keys[COUNT];
    scn_slice values[COUNT];
    scn_status statuses[COUNT];
    static uint8_t bytes[3000];
    for (uint32_t i = 0; i < COUNT; i++)
        keys[i] = kit_number_key(names[i], i * 7 % COUNT);
    scn_txn *txn = kit_begin(db, SCN_WRITE);
    for (uint32_t i = 0; i < COUNT; i += 2) {
        kit_fill(bytes, sizeof bytes, i);
        CHECK_OK(scn_put(txn, id, keys[i], (scn_slice){bytes, i % 3 ? 10 : 3000}, 0));
    }
    for (int round = 0; round < 5; round++) {
        CHECK_OK(scn_get_many(txn, id, keys, COUNT, values, statuses));
        for (uint32_t i = 0; i < COUNT; i++) {
            CHECK_EQ(statuses[i], i % 2 ? SCN_NOTFOUND : SCN_OK);
            kit_fill(bytes, sizeof bytes, i);
            CHECK_EQ(values[i].size, i % 2 ? 0 : i % 3 ? 10 : 3000);
            CHECK(values[i].size == 0 ||
                  memcmp(values[i].data, bytes, values[i].size) == 0);
        }
        if (round == 0)
            CHECK_OK(scn_commit(txn));
        else
            scn_abort(txn);
        if (round == 1 || round == 3)
            CHECK_OK(scn_checkpoint(db));
        if (round == 2)
            kit_write(db, id, "elsewhere", "x");
        txn = kit_begin(db, round == 3 ? SCN_WRITE : SCN_READ);
    }
    scn_abort(txn);
    CHECK_OK(scn_close(db));
}

/* ---- additions ---- */

static int64_t counter_in(scn_txn *txn, scn_table_id id, const char *key)
{
    scn_slice value;
    int64_t number;
    CHECK_OK(scn_get(txn, id, text(key), &value));
    CHECK_EQ(value.size, 8);
    memcpy(&number, value.data, 8);
    return number;
}

static int64_t counter(scn_db *db, scn_table_id id, const char *key)
{
    scn_txn *txn = kit_begin(db, SCN_READ);
    int64_t number = counter_in(txn, id, key);
    scn_abort(txn);
    return number;
}

static scn_status add_one(scn_db *db, scn_table_id id, const char *key, int64_t delta,
                          int64_t min, int64_t max)
{
    scn_txn *txn = kit_begin(db, SCN_WRITE);
    scn_status st = scn_add(txn, id, text(key), delta, min, max);
    if (st == SCN_OK)
        return scn_commit(txn);
    scn_abort(txn);
    return st;
}

TEST(add__counts_from_zero_and_sees_itself)
{
    scn_db *db = kit_memory();
    scn_table_id id = kit_table(db, "t");
    for (int round = 1; round < 4; round++) {
        scn_txn *txn = kit_begin(db, SCN_WRITE);
        CHECK_OK(scn_add(txn, id, text("n"), 5, INT64_MIN, INT64_MAX));
        CHECK_EQ(counter_in(txn, id, "n"), 7 * (round - 1) + 5);
        CHECK_EQ(kit_count_in(txn, id), 1);
        CHECK_OK(scn_add(txn, id, text("n"), 2, INT64_MIN, INT64_MAX));
        CHECK_EQ(counter_in(txn, id, "n"), 7 * round);
        CHECK_OK(scn_commit(txn));
        CHECK_EQ(counter(db, id, "n"), 7 * round);
        if (round == 2)
            CHECK_OK(scn_checkpoint(db));
    }
    CHECK_EQ(kit_count(db, id), 1);
    CHECK_OK(scn_close(db));
}

TEST(add__does_not_conflict_with_other_additions)
{
    scn_db *db = kit_memory();
    scn_table_id id = kit_table(db, "t");
    scn_txn *txns[5];
    for (int i = 0; i < 5; i++) {
        txns[i] = kit_begin(db, SCN_WRITE);
        CHECK_OK(scn_add(txns[i], id, text("n"), i + 1, 0, 100));
    }
    for (int i = 0; i < 5; i++)
        CHECK_OK(scn_commit(txns[i]));
    CHECK_EQ(counter(db, id, "n"), 15);
    CHECK_OK(scn_close(db));
}

TEST(add__conflicts_with_a_read_of_the_key)
{
    scn_db *db = kit_memory();
    scn_table_id id = kit_table(db, "t");
    scn_txn *txn = kit_begin(db, SCN_WRITE);
    CHECK(kit_has(txn, id, "n", NULL));
    CHECK_OK(kit_put(txn, id, "other", "x"));
    CHECK_OK(add_one(db, id, "n", 1, 0, 10));
    CHECK_EQ(scn_commit(txn), SCN_CONFLICT);
    CHECK_OK(scn_close(db));
}

TEST(add__a_broken_bound_is_answered_at_commit_at_the_latest)
{
    scn_db *db = kit_memory();
    scn_table_id id = kit_table(db, "t");
    CHECK_OK(add_one(db, id, "n", 9, 0, 10));
    CHECK_EQ(add_one(db, id, "n", 2, 0, 10), SCN_TOOBIG);
    CHECK_EQ(add_one(db, id, "n", -10, 0, 10), SCN_TOOBIG);
    CHECK_OK(add_one(db, id, "n", 1, 0, 10));
    CHECK_EQ(counter(db, id, "n"), 10);
    CHECK_OK(add_one(db, id, "big", INT64_MAX, INT64_MIN, INT64_MAX));
    CHECK_EQ(add_one(db, id, "big", 1, INT64_MIN, INT64_MAX), SCN_TOOBIG);
    CHECK_OK(add_one(db, id, "big", INT64_MIN, INT64_MIN, INT64_MAX));
    CHECK_EQ(counter(db, id, "big"), -1);
    CHECK_EQ(add_one(db, id, "n", 1, 5, 4), SCN_MISUSE);
    /* Bounds hold after each addition, not only after the last. */
    scn_txn *txn = kit_begin(db, SCN_WRITE);
    CHECK_OK(kit_put(txn, id, "other", "x"));
    scn_status st = scn_add(txn, id, text("n"), 5, 0, 10);
    if (st == SCN_OK)
        st = scn_add(txn, id, text("n"), -5, 0, 10);
    CHECK(st == SCN_OK || st == SCN_TOOBIG);
    CHECK_EQ(scn_commit(txn), SCN_TOOBIG);
    CHECK(kit_committed(db, id, "other", NULL));
    CHECK_OK(scn_close(db));
}

/* Each step is a number of 64 bits, the sum of them is none. */
TEST(add__several_go_from_one_end_of_the_numbers_to_the_other)
{
    scn_db *db = kit_memory();
    scn_table_id id = kit_table(db, "t");
    static const struct {
        int64_t delta[3];
        int64_t from;
        int64_t to;
        scn_status st;
    } ways[] = {
        {{INT64_MAX, INT64_MAX, 1}, INT64_MIN, INT64_MAX, SCN_OK},
        {{INT64_MAX, INT64_MAX, 2}, INT64_MIN, INT64_MIN, SCN_TOOBIG},
        {{INT64_MIN, INT64_MIN + 1, 0}, INT64_MAX, INT64_MIN, SCN_OK},
        {{INT64_MIN, INT64_MIN, 0}, INT64_MAX, INT64_MAX, SCN_TOOBIG},
        {{INT64_MAX, INT64_MAX, INT64_MIN}, INT64_MIN, -2, SCN_OK},
        {{INT64_MAX, INT64_MAX, INT64_MIN}, 1, 1, SCN_TOOBIG},
    };
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        scn_txn *txn = kit_begin(db, SCN_WRITE);
        CHECK_OK(scn_put(txn, id, text("n"), (scn_slice){&ways[i].from, 8}, 0));
        CHECK_OK(scn_commit(txn));
        txn = kit_begin(db, SCN_WRITE);
        for (int j = 0; j < 3; j++)
            CHECK_OK(scn_add(txn, id, text("n"), ways[i].delta[j], INT64_MIN, INT64_MAX));
        CHECK_EQ(scn_commit(txn), ways[i].st);
        CHECK_EQ(counter(db, id, "n"), ways[i].to);
    }
    CHECK_OK(scn_close(db));
}

TEST(add__refuses_a_value_that_is_no_counter)
{
    scn_db *db = kit_memory();
    scn_table_id id = kit_table(db, "t");
    kit_write(db, id, "word", "seven");
    CHECK_EQ(add_one(db, id, "word", 1, 0, 10), SCN_MISUSE);
    CHECK(kit_committed(db, id, "word", "seven"));
    CHECK_OK(scn_close(db));
}

TEST(add__mixes_with_put_del_and_clear_in_one_transaction)
{
    scn_db *db = kit_memory();
    scn_table_id id = kit_table(db, "t");
    int64_t forty = 40;
    scn_slice forty_bytes = {&forty, 8};
    CHECK_OK(add_one(db, id, "n", 3, 0, 100));
    scn_txn *txn = kit_begin(db, SCN_WRITE);
    CHECK_OK(scn_add(txn, id, text("n"), 1, 0, 100));
    CHECK_OK(scn_put(txn, id, text("n"), forty_bytes, 0));
    CHECK_OK(scn_add(txn, id, text("n"), 2, 0, 100));
    CHECK_EQ(counter_in(txn, id, "n"), 42);
    CHECK_OK(scn_add(txn, id, text("m"), 1, 0, 100));
    CHECK_OK(scn_del(txn, id, text("m")));
    CHECK(kit_has(txn, id, "m", NULL));
    CHECK_OK(scn_commit(txn));
    CHECK_EQ(counter(db, id, "n"), 42);
    CHECK(kit_committed(db, id, "m", NULL));
    txn = kit_begin(db, SCN_WRITE);
    CHECK_OK(scn_add(txn, id, text("n"), 1, 0, 100));
    CHECK_OK(scn_table_clear(txn, id));
    CHECK_EQ(kit_count_in(txn, id), 0);
    CHECK_OK(scn_add(txn, id, text("n"), 5, 0, 100));
    CHECK_EQ(counter_in(txn, id, "n"), 5);
    CHECK_OK(scn_commit(txn));
    CHECK_EQ(counter(db, id, "n"), 5);
    CHECK_EQ(kit_count(db, id), 1);
    CHECK_OK(scn_close(db));
}

TEST(add__rolls_back_to_a_savepoint)
{
    scn_db *db = kit_memory();
    scn_table_id id = kit_table(db, "t");
    uint32_t savepoint;
    CHECK_OK(add_one(db, id, "n", 3, 0, 100));
    scn_txn *txn = kit_begin(db, SCN_WRITE);
    CHECK_OK(scn_add(txn, id, text("n"), 1, 0, 100));
    CHECK_OK(scn_savepoint(txn, &savepoint));
    CHECK_OK(scn_add(txn, id, text("n"), 10, 0, 100));
    CHECK_OK(scn_add(txn, id, text("m"), 10, 0, 100));
    CHECK_OK(scn_del(txn, id, text("n")));
    CHECK_OK(scn_rollback_to(txn, savepoint));
    CHECK_EQ(counter_in(txn, id, "n"), 4);
    CHECK(kit_has(txn, id, "m", NULL));
    CHECK_OK(scn_commit(txn));
    CHECK_EQ(counter(db, id, "n"), 4);
    CHECK_EQ(kit_count(db, id), 1);
    CHECK_OK(scn_close(db));
}

/* The newest value lies in a bulk run, in front of a delta with an older one. */
TEST(add__counts_on_from_a_value_in_a_bulk_run)
{
    static uint8_t filler[60000];
    scn_options options;
    scn_db *db;
    char key[16];
    int64_t start = 1000;
    scn_options_init(&options);
    options.flags = SCN_NOTHREAD;
    CHECK_OK(scn_open(":memory:", &options, &db));
    scn_table_id id = kit_table(db, "t");
    CHECK_OK(add_one(db, id, "n", 7, 0, 5000));
    scn_txn *txn = kit_begin(db, SCN_WRITE);
    CHECK_OK(scn_put(txn, id, text("n"), (scn_slice){&start, 8}, 0));
    for (uint32_t i = 0; i < (KIT_IS_SMALL ? 5 : 1000); i++)
        CHECK_OK(scn_put(txn, id, kit_number_key(key, i),
                         (scn_slice){filler, sizeof filler}, 0));
    CHECK_OK(scn_commit(txn));
    CHECK_OK(add_one(db, id, "n", 1, 0, 5000));
    CHECK_EQ(counter(db, id, "n"), 1001);
    CHECK_OK(add_one(db, id, "n", 1, 0, 5000));
    CHECK_EQ(counter(db, id, "n"), 1002);
    CHECK_OK(scn_close(db));
}

struct adder {
    scn_db *db;
    scn_table_id id;
    int rounds;
    scn_status failed;
};

static void *add_often(void *arg)
{
    struct adder *adder = arg;
    for (int i = 0; i < adder->rounds && adder->failed == SCN_OK; i++) {
        scn_txn *txn;
        adder->failed = scn_begin(adder->db, SCN_WRITE, &txn);
        if (adder->failed == SCN_OK)
            adder->failed = scn_set_durability(txn, SCN_SYNC_LAZY);
        if (adder->failed == SCN_OK)
            adder->failed = scn_add(txn, adder->id, text("n"), 1, 0, INT64_MAX);
        if (adder->failed == SCN_OK)
            adder->failed = scn_commit(txn);
    }
    return NULL;
}

TEST(add__of_several_threads_loses_nothing_and_never_conflicts)
{
    enum { THREADS = 4, ROUNDS = 500 };
    scn_db *db = kit_memory();
    pthread_t threads[THREADS];
    struct adder adders[THREADS];
    scn_table_id id = kit_table(db, "t");
    for (int i = 0; i < THREADS; i++) {
        adders[i] = (struct adder){db, id, ROUNDS, SCN_OK};
        CHECK_EQ(pthread_create(&threads[i], NULL, add_often, &adders[i]), 0);
    }
    for (int i = 0; i < 3; i++)
        CHECK_OK(scn_checkpoint(db));
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < THREADS; i++)
        CHECK_OK(adders[i].failed);
    CHECK_EQ(counter(db, id, "n"), THREADS * ROUNDS);
    CHECK_OK(scn_close(db));
}

/* ---- ranges ---- */

static void fill_numbers(scn_db *db, scn_table_id id, uint32_t from, uint32_t to)
{
    char key[16];
    scn_txn *txn = kit_begin(db, SCN_WRITE);
    for (uint32_t i = from; i < to; i++)
        CHECK_OK(scn_put(txn, id, kit_number_key(key, i), text("v"), 0));
    CHECK_OK(scn_commit(txn));
}

static uint64_t del_numbers(scn_txn *txn, scn_table_id id, uint32_t from, uint32_t to)
{
    char low[16];
    char high[16];
    uint64_t removed = UINT64_MAX;
    CHECK_OK(scn_del_range(txn, id, kit_number_key(low, from), kit_number_key(high, to),
                           &removed));
    return removed;
}

TEST(del_range__counts_and_removes_the_half_open_range)
{
    scn_db *db = kit_memory();
    scn_table_id id = kit_table(db, "t");
    fill_numbers(db, id, 0, 500);
    CHECK_OK(scn_checkpoint(db));
    fill_numbers(db, id, 500, 1000);
    scn_txn *txn = kit_begin(db, SCN_WRITE);
    CHECK_EQ(del_numbers(txn, id, 10, 20), 10);
    CHECK_EQ(del_numbers(txn, id, 10, 30), 10);
    CHECK_EQ(del_numbers(txn, id, 400, 600), 200);
    CHECK_EQ(del_numbers(txn, id, 600, 600), 0);
    CHECK_EQ(del_numbers(txn, id, 700, 600), 0);
    CHECK(kit_has(txn, id, "k00000400", NULL));
    CHECK(kit_has(txn, id, "k00000600", "v"));
    CHECK(kit_has(txn, id, "k00000399", "v"));
    CHECK_EQ(kit_count_in(txn, id), 780);
    CHECK_OK(kit_put(txn, id, "k00000450", "back"));
    CHECK_EQ(kit_count_in(txn, id), 781);
    CHECK_OK(scn_commit(txn));
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(kit_count(db, id), 781);
        CHECK(kit_committed(db, id, "k00000450", "back"));
        CHECK(kit_committed(db, id, "k00000451", NULL));
        CHECK(kit_committed(db, id, "k00000020", NULL));
        CHECK(kit_committed(db, id, "k00000030", "v"));
        CHECK_OK(scn_checkpoint(db));
    }
    CHECK_OK(scn_close(db));
}

TEST(del_range__open_bounds_reach_the_ends)
{
    scn_db *db = kit_memory();
    scn_table_id id = kit_table(db, "t");
    uint64_t removed;
    fill_numbers(db, id, 0, 300);
    scn_txn *txn = kit_begin(db, SCN_WRITE);
    CHECK_OK(scn_del_range(txn, id, (scn_slice){NULL, 0}, text("k00000100"), &removed));
    CHECK_EQ(removed, 100);
    CHECK_OK(scn_del_range(txn, id, text("k00000290"), (scn_slice){NULL, 0}, &removed));
    CHECK_EQ(removed, 10);
    CHECK_OK(scn_del_range(txn, id, (scn_slice){NULL, 0}, (scn_slice){NULL, 0}, NULL));
    CHECK_EQ(kit_count_in(txn, id), 0);
    CHECK_OK(scn_commit(txn));
    CHECK_EQ(kit_count(db, id), 0);
    CHECK_OK(scn_close(db));
}

TEST(del_range__of_a_range_that_was_just_filled_leaves_later_puts)
{
    scn_db *db = kit_memory();
    scn_table_id id = kit_table(db, "t");
    char key[16];
    scn_txn *txn = kit_begin(db, SCN_WRITE);
    for (int round = 0; round < 4; round++) {
        for (uint32_t i = 0; i < 200; i++)
            CHECK_OK(scn_put(txn, id, kit_number_key(key, i), text("v"), 0));
        CHECK_EQ(del_numbers(txn, id, 0, 100), 100);
    }
    CHECK_EQ(kit_count_in(txn, id), 100);
    CHECK_OK(scn_commit(txn));
    CHECK_EQ(kit_count(db, id), 100);
    CHECK_OK(scn_checkpoint(db));
    CHECK_EQ(kit_count(db, id), 100);
    CHECK_OK(scn_close(db));
}

/* ---- one call ---- */

TEST(one_call__writes_create_the_table_and_reads_copy)
{
    scn_db *db = kit_memory();
    void *copy;
    size_t size;
    CHECK_EQ(scn_get_copy(db, "t", text("a"), &copy, &size), SCN_NOTFOUND);
    CHECK_OK(scn_del1(db, "t", text("a")));
    CHECK_OK(scn_put1(db, "t", text("a"), text("value")));
    CHECK_OK(scn_get_copy(db, "t", text("a"), &copy, &size));
    CHECK_EQ(size, 5);
    CHECK(memcmp(copy, "value", 5) == 0);
    scn_free(copy);
    CHECK_EQ(scn_get_copy(db, "t", text("b"), &copy, &size), SCN_NOTFOUND);
    CHECK(copy == NULL);
    CHECK_OK(scn_del1(db, "t", text("a")));
    CHECK_EQ(scn_get_copy(db, "t", text("a"), &copy, &size), SCN_NOTFOUND);
    CHECK_OK(scn_close(db));
}
