/* Counts of a table, against counting by cursor and against a model. */
#include "include/scrine.h"

#include "engine/store.h"
#include "test/unit/unit.h"

#include <stdbool.h>

static scn_db *open_store(void)
{
    scn_options options;
    scn_db *db = NULL;
    scn_options_init(&options);
    options.flags = SCN_NOTHREAD;
    CHECK_OK(scn_open(":memory:", &options, &db));
    return db;
}

static scn_table_id make_table(scn_db *db, const char *name)
{
    scn_txn *txn;
    scn_table_id id;
    CHECK_OK(scn_begin(db, SCN_WRITE, &txn));
    CHECK_OK(scn_table(txn, name, SCN_CREATE, &id));
    CHECK_OK(scn_commit(txn));
    return id;
}

static scn_slice text(const char *s)
{
    return (scn_slice){s, strlen(s)};
}

struct key {
    char bytes[8];
};

static scn_slice key_of(struct key *key, uint32_t number)
{
    snprintf(key->bytes, sizeof key->bytes, "k%05u", number % 100000);
    return (scn_slice){key->bytes, 6};
}

static uint64_t count_of(scn_txn *txn, scn_table_id id)
{
    uint64_t count = UINT64_MAX;
    CHECK_OK(scn_table_count(txn, id, &count));
    return count;
}

static uint64_t count_by_cursor(scn_txn *txn, scn_table_id id)
{
    scn_cursor *cursor;
    uint64_t count = 0;
    CHECK_OK(scn_cursor_open(txn, id, &cursor));
    scn_status st = scn_first(cursor, NULL, NULL);
    while (st == SCN_OK) {
        count++;
        st = scn_next(cursor, NULL, NULL);
    }
    CHECK_EQ(st, SCN_END);
    scn_cursor_close(cursor);
    return count;
}

static uint64_t committed_count(scn_db *db, scn_table_id id)
{
    scn_txn *txn;
    CHECK_OK(scn_begin(db, SCN_READ, &txn));
    uint64_t count = count_of(txn, id);
    CHECK_EQ(count, count_by_cursor(txn, id));
    scn_abort(txn);
    return count;
}

/* Puts keys [from, to). */
static void put_keys(scn_db *db, scn_table_id id, uint32_t from, uint32_t to)
{
    scn_txn *txn;
    struct key key;
    CHECK_OK(scn_begin(db, SCN_WRITE, &txn));
    for (uint32_t i = from; i < to; i++)
        CHECK_OK(scn_put(txn, id, key_of(&key, i), text("value"), SCN_PUT_BLIND));
    CHECK_OK(scn_commit(txn));
}

TEST(count__of_an_empty_table_is_zero)
{
    scn_db *db = open_store();
    scn_table_id id = make_table(db, "t");
    CHECK_EQ(committed_count(db, id), 0);
    CHECK_OK(scn_checkpoint(db));
    CHECK_EQ(committed_count(db, id), 0);
    CHECK_OK(scn_close(db));
}

TEST(count__does_not_count_a_key_twice)
{
    scn_db *db = open_store();
    scn_table_id id = make_table(db, "t");
    put_keys(db, id, 0, 10);
    put_keys(db, id, 5, 15);
    CHECK_EQ(committed_count(db, id), 15);
    CHECK_OK(scn_checkpoint(db));
    CHECK_EQ(committed_count(db, id), 15);
    put_keys(db, id, 10, 20);
    CHECK_EQ(committed_count(db, id), 20);
    CHECK_EQ(committed_count(db, id), 20); /* from the memo */
    CHECK_OK(scn_close(db));
}

TEST(count__sees_deletions_of_rows_and_of_nothing)
{
    scn_db *db = open_store();
    scn_table_id id = make_table(db, "t");
    struct key key;
    put_keys(db, id, 0, 10);
    CHECK_OK(scn_checkpoint(db));
    CHECK_OK(scn_del1(db, "t", key_of(&key, 3)));
    CHECK_EQ(committed_count(db, id), 9);
    (void)scn_del1(db, "t", key_of(&key, 77));
    CHECK_EQ(committed_count(db, id), 9);
    put_keys(db, id, 3, 4);
    CHECK_EQ(committed_count(db, id), 10);
    CHECK_OK(scn_close(db));
}

TEST(count__of_an_older_snapshot_stays_what_it_was)
{
    scn_db *db = open_store();
    scn_table_id id = make_table(db, "t");
    scn_txn *old;
    put_keys(db, id, 0, 10);
    CHECK_OK(scn_begin(db, SCN_READ, &old));
    put_keys(db, id, 8, 20);
    CHECK_EQ(committed_count(db, id), 20);
    CHECK_EQ(count_of(old, id), 10);
    CHECK_OK(scn_checkpoint(db));
    put_keys(db, id, 20, 21);
    CHECK_EQ(committed_count(db, id), 21);
    CHECK_EQ(count_of(old, id), 10);
    scn_abort(old);
    CHECK_OK(scn_close(db));
}

TEST(count__restarts_at_a_clear)
{
    scn_db *db = open_store();
    scn_table_id id = make_table(db, "t");
    scn_txn *txn;
    scn_txn *old;
    put_keys(db, id, 0, 100);
    CHECK_OK(scn_checkpoint(db));
    put_keys(db, id, 50, 150);
    CHECK_OK(scn_begin(db, SCN_READ, &old));
    CHECK_OK(scn_begin(db, SCN_WRITE, &txn));
    CHECK_OK(scn_table_clear(txn, id));
    CHECK_EQ(count_of(txn, id), 0);
    CHECK_OK(scn_put(txn, id, text("k00007"), text("v"), 0));
    CHECK_EQ(count_of(txn, id), 1);
    CHECK_OK(scn_commit(txn));
    CHECK_EQ(committed_count(db, id), 1);
    put_keys(db, id, 0, 5);
    CHECK_EQ(committed_count(db, id), 6);
    CHECK_EQ(count_of(old, id), 150);
    scn_abort(old);
    CHECK_OK(scn_checkpoint(db));
    CHECK_EQ(committed_count(db, id), 6);
    CHECK_OK(scn_close(db));
}

TEST(count__sees_the_deletion_of_a_range)
{
    scn_db *db = open_store();
    scn_table_id id = make_table(db, "t");
    scn_txn *txn;
    struct key from;
    struct key to;
    uint64_t removed = 0;
    put_keys(db, id, 0, 300);
    CHECK_OK(scn_checkpoint(db));
    put_keys(db, id, 300, 400);
    CHECK_OK(scn_begin(db, SCN_WRITE, &txn));
    CHECK_OK(scn_del_range(txn, id, key_of(&from, 100), key_of(&to, 350), &removed));
    CHECK_EQ(removed, 250);
    CHECK_EQ(count_of(txn, id), 150);
    CHECK_OK(scn_commit(txn));
    CHECK_EQ(committed_count(db, id), 150);
    put_keys(db, id, 120, 130);
    CHECK_EQ(committed_count(db, id), 160);
    CHECK_OK(scn_checkpoint(db));
    CHECK_EQ(committed_count(db, id), 160);
    CHECK_OK(scn_close(db));
}

TEST(count__includes_own_writes_and_follows_a_rollback)
{
    scn_db *db = open_store();
    scn_table_id id = make_table(db, "t");
    scn_txn *txn;
    struct key key;
    uint32_t savepoint;
    put_keys(db, id, 0, 10);
    CHECK_OK(scn_begin(db, SCN_WRITE, &txn));
    CHECK_OK(scn_put(txn, id, key_of(&key, 5), text("v"), 0));
    CHECK_OK(scn_put(txn, id, key_of(&key, 50), text("v"), 0));
    CHECK_EQ(count_of(txn, id), 11);
    CHECK_OK(scn_savepoint(txn, &savepoint));
    CHECK_OK(scn_del(txn, id, key_of(&key, 50)));
    CHECK_OK(scn_del(txn, id, key_of(&key, 1)));
    CHECK_OK(scn_put(txn, id, key_of(&key, 60), text("v"), 0));
    CHECK_EQ(count_of(txn, id), 10);
    CHECK_OK(scn_rollback_to(txn, savepoint));
    CHECK_EQ(count_of(txn, id), 11);
    CHECK_OK(scn_put(txn, id, key_of(&key, 60), text("v"), 0));
    CHECK_EQ(count_of(txn, id), 12);
    CHECK_EQ(count_by_cursor(txn, id), 12);
    scn_abort(txn);
    CHECK_EQ(committed_count(db, id), 10);
    CHECK_OK(scn_close(db));
}

TEST(count__includes_counters_that_additions_make)
{
    scn_db *db = open_store();
    scn_table_id id = make_table(db, "t");
    scn_txn *txn;
    CHECK_OK(scn_begin(db, SCN_WRITE, &txn));
    CHECK_OK(scn_add(txn, id, text("a"), 1, INT64_MIN, INT64_MAX));
    CHECK_EQ(count_of(txn, id), 1);
    CHECK_OK(scn_commit(txn));
    CHECK_EQ(committed_count(db, id), 1);
    CHECK_OK(scn_begin(db, SCN_WRITE, &txn));
    CHECK_OK(scn_add(txn, id, text("a"), 1, INT64_MIN, INT64_MAX));
    CHECK_OK(scn_add(txn, id, text("b"), 1, INT64_MIN, INT64_MAX));
    CHECK_EQ(count_of(txn, id), 2);
    CHECK_OK(scn_del(txn, id, text("b")));
    CHECK_EQ(count_of(txn, id), 1);
    CHECK_OK(scn_commit(txn));
    CHECK_EQ(committed_count(db, id), 1);
    CHECK_OK(scn_close(db));
}

/* Larger than a write set may be: goes into runs. */
static void load(scn_db *db, scn_table_id id, uint32_t from, uint32_t to)
{
    static uint8_t value[4000];
    scn_txn *txn;
    struct key key;
    CHECK_OK(scn_begin(db, SCN_WRITE, &txn));
    for (uint32_t i = from; i < to; i++)
        CHECK_OK(scn_put(txn, id, key_of(&key, i), (scn_slice){value, sizeof value}, 0));
    CHECK_EQ(count_of(txn, id), count_by_cursor(txn, id));
    CHECK_OK(scn_commit(txn));
}

TEST(count__includes_bulk_runs)
{
    scn_db *db = open_store();
    scn_table_id id = make_table(db, "t");
    uint32_t rows = WRITE_SET_BYTES_MAX / 4000 + 100;
    load(db, id, 0, rows);
    CHECK_EQ(committed_count(db, id), rows);
    put_keys(db, id, rows, rows + 10);
    CHECK_EQ(committed_count(db, id), rows + 10);
    load(db, id, 10, rows + 20);
    CHECK_EQ(committed_count(db, id), rows + 20);
    CHECK_OK(scn_checkpoint(db));
    CHECK_EQ(committed_count(db, id), rows + 20);
    CHECK_OK(scn_close(db));
}

TEST(count__is_a_read_of_the_whole_table)
{
    scn_db *db = open_store();
    scn_table_id id = make_table(db, "t");
    scn_table_id other = make_table(db, "other");
    scn_txn *txn;
    CHECK_OK(scn_begin(db, SCN_WRITE, &txn));
    CHECK_EQ(count_of(txn, id), 0);
    CHECK_OK(scn_put(txn, other, text("limit"), text("ok"), 0));
    put_keys(db, id, 1, 2);
    CHECK_EQ(scn_commit(txn), SCN_CONFLICT);
    CHECK_OK(scn_begin(db, SCN_WRITE | SCN_SNAPSHOT, &txn));
    CHECK_EQ(count_of(txn, id), 1);
    CHECK_OK(scn_put(txn, other, text("limit"), text("ok"), 0));
    put_keys(db, id, 2, 3);
    CHECK_OK(scn_commit(txn));
    CHECK_OK(scn_close(db));
}

TEST(count__of_no_table_is_not_found)
{
    scn_db *db = open_store();
    scn_txn *txn;
    uint64_t count = 7;
    CHECK_OK(scn_begin(db, SCN_READ, &txn));
    CHECK_EQ(scn_table_count(txn, 999, &count), SCN_NOTFOUND);
    CHECK_EQ(count, 0);
    CHECK_EQ(scn_table_count(txn, 1, &count), SCN_NOTFOUND);
    CHECK_EQ(scn_table_count(txn, 999, NULL), SCN_MISUSE);
    CHECK_EQ(scn_table_count(NULL, 999, &count), SCN_MISUSE);
    CHECK_EQ(scn_table_version(txn, 999), 0);
    scn_abort(txn);
    CHECK_OK(scn_close(db));
}

TEST(count__info_tells_what_lies_in_the_tree)
{
    scn_db *db = open_store();
    scn_table_id id = make_table(db, "t");
    scn_txn *txn;
    scn_table_stat stat = {.struct_size = sizeof stat};
    put_keys(db, id, 0, 10);
    CHECK_OK(scn_checkpoint(db));
    put_keys(db, id, 10, 12);
    CHECK_OK(scn_begin(db, SCN_READ, &txn));
    CHECK_OK(scn_table_info(txn, id, &stat));
    CHECK_EQ(stat.count, 12);
    CHECK_EQ(stat.key_bytes, 60);
    CHECK_EQ(stat.value_bytes, 50);
    CHECK_EQ(stat.stored_bytes, SCN_PAGE_BYTES);
    CHECK_EQ(stat.flags, 0);
    memset(&stat, 0xee, sizeof stat);
    stat.struct_size = offsetof(scn_table_stat, key_bytes);
    CHECK_OK(scn_table_info(txn, id, &stat));
    CHECK_EQ(stat.count, 12);
    CHECK_EQ(stat.key_bytes, 0xeeeeeeeeeeeeeeee);
    stat.struct_size = 0;
    CHECK_EQ(scn_table_info(txn, id, &stat), SCN_MISUSE);
    scn_abort(txn);
    CHECK_OK(scn_close(db));
}

static uint64_t version_of(scn_db *db, scn_table_id id)
{
    scn_txn *txn;
    CHECK_OK(scn_begin(db, SCN_READ, &txn));
    uint64_t version = scn_table_version(txn, id);
    scn_abort(txn);
    return version;
}

TEST(count__version_changes_with_the_table_and_no_other)
{
    scn_db *db = open_store();
    scn_table_id id = make_table(db, "t");
    scn_table_id other = make_table(db, "other");
    scn_txn *txn;
    uint64_t lsn;
    CHECK_OK(scn_begin(db, SCN_WRITE, &txn));
    CHECK_OK(scn_put(txn, id, text("a"), text("b"), 0));
    uint64_t before = scn_table_version(txn, id);
    CHECK_EQ(before, version_of(db, id)); /* own writes do not count */
    CHECK_OK(scn_commit_at(txn, &lsn));
    CHECK_EQ(version_of(db, id), lsn);
    CHECK(lsn > before);
    put_keys(db, other, 0, 3);
    CHECK_EQ(version_of(db, id), lsn);
    CHECK(version_of(db, other) > lsn);
    CHECK_OK(scn_checkpoint(db));
    CHECK(version_of(db, id) >= lsn);
    uint64_t settled = version_of(db, id);
    put_keys(db, id, 0, 1);
    CHECK(version_of(db, id) > settled);
    CHECK_OK(scn_close(db));
}

/* ---- a model ---- */

enum { MODEL_KEYS = 200, SNAPSHOTS = 4 };

struct model {
    scn_db *db;
    scn_table_id id;
    uint64_t random;
    bool has[MODEL_KEYS];
    scn_txn *snapshots[SNAPSHOTS];
    uint64_t counts[SNAPSHOTS];
};

static uint64_t model_count(const struct model *model)
{
    uint64_t count = 0;
    for (int i = 0; i < MODEL_KEYS; i++)
        count += model->has[i];
    return count;
}

static void model_clear(struct model *model, scn_txn *txn)
{
    struct key from;
    struct key to;
    uint32_t lo = (uint32_t)(unit_random(&model->random) % MODEL_KEYS);
    uint32_t hi = lo + (uint32_t)(unit_random(&model->random) % MODEL_KEYS);
    if (unit_random(&model->random) % 3 == 0) {
        CHECK_OK(scn_table_clear(txn, model->id));
        memset(model->has, 0, sizeof model->has);
        return;
    }
    CHECK_OK(scn_del_range(txn, model->id, key_of(&from, lo), key_of(&to, hi), NULL));
    for (uint32_t i = lo; i < hi && i < MODEL_KEYS; i++)
        model->has[i] = false;
}

static void model_op(struct model *model, scn_txn *txn)
{
    struct key key;
    uint32_t number = (uint32_t)(unit_random(&model->random) % MODEL_KEYS);
    scn_slice slice = key_of(&key, number);
    switch (unit_random(&model->random) % 16) {
    case 0:
        model_clear(model, txn);
        break;
    case 1:
    case 2:
    case 3:
    case 4:
        CHECK_EQ(scn_del(txn, model->id, slice),
                 model->has[number] ? SCN_OK : SCN_NOTFOUND);
        model->has[number] = false;
        break;
    case 5:
    case 6:
        CHECK_OK(scn_add(txn, model->id, slice, 1, INT64_MIN, INT64_MAX));
        model->has[number] = true;
        break;
    default:
        CHECK_OK(scn_put(txn, model->id, slice, text("eight by"), 0));
        model->has[number] = true;
    }
}

/* Some operations, perhaps some taken back, perhaps all. */
static void model_txn(struct model *model)
{
    bool before[MODEL_KEYS];
    bool middle[MODEL_KEYS];
    scn_txn *txn;
    uint32_t savepoint;
    memcpy(before, model->has, sizeof before);
    CHECK_OK(scn_begin(model->db, SCN_WRITE, &txn));
    for (uint64_t i = unit_random(&model->random) % 12; i > 0; i--)
        model_op(model, txn);
    CHECK_EQ(count_of(txn, model->id), model_count(model));
    memcpy(middle, model->has, sizeof middle);
    CHECK_OK(scn_savepoint(txn, &savepoint));
    for (uint64_t i = unit_random(&model->random) % 8; i > 0; i--)
        model_op(model, txn);
    CHECK_EQ(count_of(txn, model->id), model_count(model));
    if (unit_random(&model->random) % 2) {
        CHECK_OK(scn_rollback_to(txn, savepoint));
        memcpy(model->has, middle, sizeof middle);
        CHECK_EQ(count_of(txn, model->id), model_count(model));
    }
    if (unit_random(&model->random) % 4) {
        CHECK_OK(scn_commit(txn));
    } else {
        scn_abort(txn);
        memcpy(model->has, before, sizeof before);
    }
}

static void model_snapshot(struct model *model)
{
    uint32_t slot = (uint32_t)(unit_random(&model->random) % SNAPSHOTS);
    if (model->snapshots[slot]) {
        CHECK_EQ(count_of(model->snapshots[slot], model->id), model->counts[slot]);
        scn_abort(model->snapshots[slot]);
    }
    CHECK_OK(scn_begin(model->db, SCN_READ, &model->snapshots[slot]));
    model->counts[slot] = model_count(model);
}

TEST(count__agrees_with_a_model)
{
    struct model model = {.db = open_store(), .random = unit_seed()};
    model.id = make_table(model.db, "t");
    for (int round = 0; round < 1500; round++) {
        model_txn(&model);
        if (unit_random(&model.random) % 5 == 0)
            model_snapshot(&model);
        if (unit_random(&model.random) % 20 == 0)
            CHECK_OK(scn_checkpoint(model.db));
        if (unit_random(&model.random) % 3)
            CHECK_EQ(committed_count(model.db, model.id), model_count(&model));
    }
    for (int i = 0; i < SNAPSHOTS; i++)
        scn_abort(model.snapshots[i]);
    CHECK_OK(scn_close(model.db));
}
