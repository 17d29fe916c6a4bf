/* What can be seen to be wrong is refused, and nothing changes. */
#include "test/api/kit.h"

struct rig {
    scn_db *db;
    scn_table_id id;
    scn_txn *reader;
    scn_txn *writer;
};

static struct rig rig_open(void)
{
    struct rig rig = {.db = kit_memory()};
    rig.id = kit_table(rig.db, "t");
    kit_write(rig.db, rig.id, "a", "1");
    rig.reader = kit_begin(rig.db, SCN_READ);
    rig.writer = kit_begin(rig.db, SCN_WRITE);
    return rig;
}

/* The writer had nothing to write: it commits. */
static void rig_close(struct rig *rig)
{
    scn_abort(rig->reader);
    CHECK_OK(scn_commit(rig->writer));
    CHECK(kit_committed(rig->db, rig->id, "a", "1"));
    CHECK_EQ(kit_count(rig->db, rig->id), 1);
    CHECK_OK(scn_close(rig->db));
}

static scn_status end_quietly(scn_txn *txn, void *ctx)
{
    (void)txn;
    (void)ctx;
    return SCN_OK;
}

static scn_status name_quietly(void *ctx, const char *name, scn_table_id id)
{
    (void)ctx;
    (void)name;
    (void)id;
    return SCN_OK;
}

static void on_end_quietly(void *ctx, scn_status st, uint64_t lsn)
{
    (void)ctx;
    (void)st;
    (void)lsn;
}

TEST(misuse__null_handles_are_refused)
{
    uint32_t number;
    uint64_t size;
    size_t got;
    scn_slice value;
    scn_slice key;
    scn_table_id id;
    scn_txn *txn;
    scn_cursor *cursor;
    scn_status st;
    char buf[4];
    void *copy;
    CHECK_EQ(scn_begin(NULL, SCN_READ, &txn), SCN_MISUSE);
    CHECK_EQ(scn_commit(NULL), SCN_MISUSE);
    CHECK_EQ(scn_commit_at(NULL, &size), SCN_MISUSE);
    scn_abort(NULL);
    CHECK(scn_txn_db(NULL) == NULL);
    CHECK_EQ(scn_txn_lsn(NULL), 0);
    CHECK_EQ(scn_savepoint(NULL, &number), SCN_MISUSE);
    CHECK_EQ(scn_rollback_to(NULL, 0), SCN_MISUSE);
    CHECK_EQ(scn_set_durability(NULL, 0), SCN_MISUSE);
    CHECK_EQ(scn_wait_durable(NULL, 0, 0), SCN_MISUSE);
    CHECK_EQ(scn_on_end(NULL, on_end_quietly, NULL), SCN_MISUSE);
    CHECK_EQ(scn_update(NULL, end_quietly, NULL), SCN_MISUSE);
    CHECK_EQ(scn_table(NULL, "t", 0, &id), SCN_MISUSE);
    CHECK_EQ(scn_table_drop(NULL, 16), SCN_MISUSE);
    CHECK_EQ(scn_table_clear(NULL, 16), SCN_MISUSE);
    CHECK_EQ(scn_table_rename(NULL, 16, "x"), SCN_MISUSE);
    CHECK_EQ(scn_table_each(NULL, name_quietly, NULL), SCN_MISUSE);
    CHECK_EQ(scn_table_count(NULL, 16, &size), SCN_MISUSE);
    CHECK_EQ(scn_table_version(NULL, 16), 0);
    scn_table_stat stat = {.struct_size = sizeof stat};
    CHECK_EQ(scn_table_info(NULL, 16, &stat), SCN_MISUSE);
    CHECK_EQ(scn_get(NULL, 16, text("a"), &value), SCN_MISUSE);
    CHECK_EQ(scn_get_flags(NULL, 16, text("a"), 0, &value), SCN_MISUSE);
    key = text("a");
    CHECK_EQ(scn_get_many(NULL, 16, &key, 1, &value, &st), SCN_MISUSE);
    CHECK_EQ(scn_value_size(NULL, 16, key, &size), SCN_MISUSE);
    CHECK_EQ(scn_read_at(NULL, 16, key, 0, buf, sizeof buf, &got), SCN_MISUSE);
    CHECK_EQ(scn_put(NULL, 16, key, key, 0), SCN_MISUSE);
    CHECK_EQ(scn_add(NULL, 16, key, 1, 0, 2), SCN_MISUSE);
    CHECK_EQ(scn_del(NULL, 16, key), SCN_MISUSE);
    CHECK_EQ(scn_del_range(NULL, 16, key, key, NULL), SCN_MISUSE);
    CHECK_EQ(scn_get_copy(NULL, "t", key, &copy, &got), SCN_MISUSE);
    CHECK_EQ(scn_put1(NULL, "t", key, key), SCN_MISUSE);
    CHECK_EQ(scn_del1(NULL, "t", key), SCN_MISUSE);
    CHECK_EQ(scn_cursor_open(NULL, 16, &cursor), SCN_MISUSE);
    CHECK_EQ(scn_cursor_flags(NULL, 0), SCN_MISUSE);
    scn_cursor_close(NULL);
    CHECK_EQ(scn_cursor_bounds(NULL, NULL, NULL), SCN_MISUSE);
    CHECK_EQ(scn_cursor_prefix(NULL, key), SCN_MISUSE);
    CHECK_EQ(scn_seek(NULL, key, SCN_GE, &key, &value), SCN_MISUSE);
    CHECK_EQ(scn_next(NULL, &key, &value), SCN_MISUSE);
    CHECK_EQ(scn_prev(NULL, &key, &value), SCN_MISUSE);
    CHECK_EQ(scn_first(NULL, &key, &value), SCN_MISUSE);
    CHECK_EQ(scn_last(NULL, &key, &value), SCN_MISUSE);
    CHECK_EQ(scn_checkpoint(NULL), SCN_MISUSE);
    CHECK_EQ(scn_tick(NULL, 0), SCN_MISUSE);
    scn_free(NULL);
}

TEST(misuse__missing_places_for_results_are_refused)
{
    struct rig rig = rig_open();
    scn_slice key = text("a");
    scn_slice value;
    scn_status st;
    size_t got;
    void *copy;
    CHECK_EQ(scn_begin(rig.db, SCN_READ, NULL), SCN_MISUSE);
    CHECK_EQ(scn_open(NULL, NULL, NULL), SCN_MISUSE);
    scn_db *db;
    CHECK_EQ(scn_open(NULL, NULL, &db), SCN_MISUSE);
    CHECK_EQ(scn_open("", NULL, &db), SCN_MISUSE);
    CHECK_EQ(scn_savepoint(rig.writer, NULL), SCN_MISUSE);
    CHECK_EQ(scn_table(rig.writer, "t", 0, NULL), SCN_MISUSE);
    CHECK_EQ(scn_table_count(rig.reader, rig.id, NULL), SCN_MISUSE);
    CHECK_EQ(scn_table_info(rig.reader, rig.id, NULL), SCN_MISUSE);
    CHECK_EQ(scn_table_each(rig.reader, NULL, NULL), SCN_MISUSE);
    CHECK_EQ(scn_on_end(rig.reader, NULL, NULL), SCN_MISUSE);
    CHECK_EQ(scn_update(rig.db, NULL, NULL), SCN_MISUSE);
    CHECK_EQ(scn_get_many(rig.reader, rig.id, NULL, 1, &value, &st), SCN_MISUSE);
    CHECK_EQ(scn_get_many(rig.reader, rig.id, &key, 1, NULL, &st), SCN_MISUSE);
    CHECK_EQ(scn_get_many(rig.reader, rig.id, &key, 1, &value, NULL), SCN_MISUSE);
    CHECK_OK(scn_get_many(rig.reader, rig.id, NULL, 0, NULL, NULL));
    CHECK_EQ(scn_value_size(rig.reader, rig.id, key, NULL), SCN_MISUSE);
    CHECK_EQ(scn_read_at(rig.reader, rig.id, key, 0, NULL, 1, &got), SCN_MISUSE);
    CHECK_EQ(scn_read_at(rig.reader, rig.id, key, 0, &st, 1, NULL), SCN_MISUSE);
    CHECK_EQ(scn_get_copy(rig.db, "t", key, NULL, &got), SCN_MISUSE);
    CHECK_EQ(scn_get_copy(rig.db, "t", key, &copy, NULL), SCN_MISUSE);
    CHECK_EQ(scn_cursor_open(rig.reader, rig.id, NULL), SCN_MISUSE);
    /* A get without a place asks whether the key is there. */
    CHECK_OK(scn_get(rig.reader, rig.id, key, NULL));
    CHECK_EQ(scn_get(rig.reader, rig.id, text("b"), NULL), SCN_NOTFOUND);
    rig_close(&rig);
}

TEST(misuse__unknown_flags_are_refused)
{
    struct rig rig = rig_open();
    scn_table_id id;
    scn_txn *txn;
    scn_cursor *cursor;
    scn_slice key = text("a");
    CHECK_EQ(scn_begin(rig.db, 64, &txn), SCN_MISUSE);
    CHECK_EQ(scn_table(rig.writer, "u", 64, &id), SCN_MISUSE);
    CHECK_EQ(scn_get_flags(rig.reader, rig.id, key, 2, NULL), SCN_MISUSE);
    CHECK_EQ(scn_put(rig.writer, rig.id, key, key, 8), SCN_MISUSE);
    CHECK_EQ(scn_put(rig.writer, rig.id, key, key, SCN_PUT_NEW | SCN_PUT_BLIND),
             SCN_MISUSE);
    CHECK_EQ(scn_put(rig.writer, rig.id, key, key, SCN_PUT_SAME | SCN_PUT_BLIND),
             SCN_MISUSE);
    CHECK_EQ(scn_set_durability(rig.writer, 3), SCN_MISUSE);
    CHECK_OK(scn_cursor_open(rig.reader, rig.id, &cursor));
    CHECK_EQ(scn_cursor_flags(cursor, 2), SCN_MISUSE);
    CHECK_EQ(scn_seek(cursor, key, 5, NULL, NULL), SCN_MISUSE);
    CHECK_EQ(scn_seek(cursor, key, -1, NULL, NULL), SCN_MISUSE);
    scn_cursor_close(cursor);
    scn_options options;
    scn_db *db;
    scn_options_init(&options);
    options.flags = 1u << 30;
    CHECK_EQ(scn_open(":memory:", &options, &db), SCN_MISUSE);
    scn_options_init(&options);
    options.durability = 9;
    CHECK_EQ(scn_open(":memory:", &options, &db), SCN_MISUSE);
    rig_close(&rig);
}

TEST(misuse__a_reader_cannot_write)
{
    struct rig rig = rig_open();
    uint32_t savepoint;
    scn_slice key = text("a");
    scn_table_id id;
    CHECK_EQ(scn_put(rig.reader, rig.id, key, key, 0), SCN_MISUSE);
    CHECK_EQ(scn_del(rig.reader, rig.id, key), SCN_MISUSE);
    CHECK_EQ(scn_del_range(rig.reader, rig.id, key, key, NULL), SCN_MISUSE);
    CHECK_EQ(scn_add(rig.reader, rig.id, key, 1, 0, 10), SCN_MISUSE);
    CHECK_EQ(scn_table(rig.reader, "u", SCN_CREATE, &id), SCN_MISUSE);
    CHECK_EQ(scn_table_drop(rig.reader, rig.id), SCN_MISUSE);
    CHECK_EQ(scn_table_clear(rig.reader, rig.id), SCN_MISUSE);
    CHECK_EQ(scn_table_rename(rig.reader, rig.id, "u"), SCN_MISUSE);
    CHECK_EQ(scn_savepoint(rig.reader, &savepoint), SCN_MISUSE);
    CHECK_EQ(scn_rollback_to(rig.reader, 0), SCN_MISUSE);
    CHECK_EQ(scn_set_durability(rig.reader, SCN_SYNC_LAZY), SCN_MISUSE);
    CHECK(kit_has(rig.reader, rig.id, "a", "1"));
    rig_close(&rig);
}

TEST(misuse__keys_have_1_to_the_allowed_bytes)
{
    static uint8_t bytes[KIT_KEY_MAX + 1];
    struct rig rig = rig_open();
    scn_slice value;
    scn_slice longest = {bytes, KIT_KEY_MAX};
    scn_slice too_long = {bytes, KIT_KEY_MAX + 1};
    scn_slice empty = {"", 0};
    scn_slice null = {NULL, 0};
    memset(bytes, 'x', sizeof bytes);
    CHECK_EQ(scn_get(rig.reader, rig.id, empty, &value), SCN_MISUSE);
    CHECK_EQ(scn_get(rig.reader, rig.id, null, &value), SCN_MISUSE);
    CHECK_EQ(scn_get(rig.reader, rig.id, too_long, &value), SCN_TOOBIG);
    CHECK_EQ(scn_put(rig.writer, rig.id, empty, empty, 0), SCN_MISUSE);
    CHECK_EQ(scn_put(rig.writer, rig.id, too_long, empty, 0), SCN_TOOBIG);
    CHECK_EQ(scn_del(rig.writer, rig.id, empty), SCN_MISUSE);
    CHECK_EQ(scn_del(rig.writer, rig.id, too_long), SCN_TOOBIG);
    CHECK_EQ(scn_add(rig.writer, rig.id, empty, 1, 0, 1), SCN_MISUSE);
    CHECK_EQ(scn_add(rig.writer, rig.id, too_long, 1, 0, 1), SCN_TOOBIG);
    CHECK_EQ(scn_del_range(rig.writer, rig.id, too_long, empty, NULL), SCN_TOOBIG);
    CHECK_EQ(scn_put1(rig.db, "t", empty, empty), SCN_MISUSE);
    CHECK_EQ(scn_put1(rig.db, "t", too_long, empty), SCN_TOOBIG);
    CHECK_EQ(scn_del1(rig.db, "t", empty), SCN_MISUSE);
    /* Also where there is no table that could have the key. */
    void *copy;
    size_t size;
    CHECK_EQ(scn_del1(rig.db, "none", empty), SCN_MISUSE);
    CHECK_EQ(scn_del1(rig.db, "none", too_long), SCN_TOOBIG);
    CHECK_EQ(scn_get_copy(rig.db, "none", empty, &copy, &size), SCN_MISUSE);
    CHECK_EQ(scn_get_copy(rig.db, "none", too_long, &copy, &size), SCN_TOOBIG);
    rig_close(&rig);
    scn_db *db = kit_memory();
    scn_table_id id = kit_table(db, "t");
    scn_txn *txn = kit_begin(db, SCN_WRITE);
    CHECK_OK(scn_put(txn, id, longest, text("long"), 0));
    CHECK_OK(scn_commit(txn));
    CHECK_OK(scn_checkpoint(db));
    txn = kit_begin(db, SCN_READ);
    CHECK_OK(scn_get(txn, id, longest, &value));
    CHECK(is_text(value, "long"));
    scn_abort(txn);
    CHECK_OK(scn_close(db));
}

TEST(misuse__slices_without_bytes_are_refused)
{
    struct rig rig = rig_open();
    scn_slice hollow = {NULL, 5};
    scn_slice value;
    scn_cursor *cursor;
    CHECK_EQ(scn_get(rig.reader, rig.id, hollow, &value), SCN_MISUSE);
    CHECK_EQ(scn_put(rig.writer, rig.id, hollow, text("x"), 0), SCN_MISUSE);
    CHECK_EQ(scn_put(rig.writer, rig.id, text("x"), hollow, 0), SCN_MISUSE);
    CHECK_EQ(scn_del_range(rig.writer, rig.id, hollow, text("x"), NULL), SCN_MISUSE);
    CHECK_EQ(scn_del_range(rig.writer, rig.id, text("x"), hollow, NULL), SCN_MISUSE);
    CHECK_OK(scn_cursor_open(rig.reader, rig.id, &cursor));
    CHECK_EQ(scn_cursor_prefix(cursor, hollow), SCN_MISUSE);
    CHECK_EQ(scn_cursor_bounds(cursor, &hollow, NULL), SCN_MISUSE);
    CHECK_EQ(scn_cursor_bounds(cursor, NULL, &hollow), SCN_MISUSE);
    CHECK_EQ(scn_seek(cursor, hollow, SCN_GE, NULL, NULL), SCN_MISUSE);
    CHECK_OK(scn_first(cursor, NULL, NULL));
    rig_close(&rig);
}

TEST(misuse__values_over_a_gibibyte_are_refused)
{
    struct rig rig = rig_open();
    scn_slice huge = {"x", (size_t)(1 << 30) + 1};
    CHECK_EQ(scn_put(rig.writer, rig.id, text("x"), huge, 0), SCN_TOOBIG);
    CHECK_EQ(scn_put1(rig.db, "t", text("x"), huge), SCN_TOOBIG);
    rig_close(&rig);
}

TEST(misuse__unknown_tables_are_not_found)
{
    struct rig rig = rig_open();
    static const scn_table_id unknown[] = {0, 1, 2, 15, 4711, UINT32_MAX};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        scn_table_id id = unknown[i];
        scn_slice key = text("a");
        uint64_t size;
        size_t got;
        char buf[4];
        scn_cursor *cursor;
        scn_table_stat stat = {.struct_size = sizeof stat};
        CHECK_EQ(scn_get(rig.reader, id, key, NULL), SCN_NOTFOUND);
        CHECK_EQ(scn_value_size(rig.reader, id, key, &size), SCN_NOTFOUND);
        CHECK_EQ(scn_read_at(rig.reader, id, key, 0, buf, 4, &got), SCN_NOTFOUND);
        CHECK_EQ(scn_table_count(rig.reader, id, &size), SCN_NOTFOUND);
        CHECK_EQ(scn_table_info(rig.reader, id, &stat), SCN_NOTFOUND);
        CHECK_EQ(scn_table_version(rig.reader, id), 0);
        CHECK_EQ(scn_cursor_open(rig.reader, id, &cursor), SCN_NOTFOUND);
        CHECK_EQ(scn_put(rig.writer, id, key, key, 0), SCN_NOTFOUND);
        CHECK_EQ(scn_put(rig.writer, id, key, key, SCN_PUT_BLIND), SCN_NOTFOUND);
        CHECK_EQ(scn_add(rig.writer, id, key, 1, 0, 10), SCN_NOTFOUND);
        CHECK_EQ(scn_del(rig.writer, id, key), SCN_NOTFOUND);
        CHECK_EQ(scn_del_range(rig.writer, id, key, text("b"), &size), SCN_NOTFOUND);
        CHECK_EQ(scn_table_clear(rig.writer, id), SCN_NOTFOUND);
        CHECK_EQ(scn_table_drop(rig.writer, id), SCN_NOTFOUND);
        CHECK_EQ(scn_table_rename(rig.writer, id, "u"), SCN_NOTFOUND);
    }
    rig_close(&rig);
}

TEST(misuse__ended_transactions_are_told)
{
    scn_db *db = kit_memory();
    scn_table_id id = kit_table(db, "t");
    scn_txn *aborted = kit_begin(db, SCN_WRITE);
    scn_abort(aborted);
    scn_txn *committed = kit_begin(db, SCN_WRITE);
    CHECK_OK(kit_put(committed, id, "a", "1"));
    CHECK_OK(scn_commit(committed));
    scn_txn *ended[] = {aborted, committed};
    for (int i = 0; i < 2; i++) {
        scn_slice value;
        CHECK_EQ(scn_get(ended[i], id, text("a"), &value), SCN_MISUSE);
        CHECK_EQ(kit_put(ended[i], id, "a", "2"), SCN_MISUSE);
        CHECK_EQ(scn_commit(ended[i]), SCN_MISUSE);
        CHECK_EQ(scn_txn_lsn(ended[i]), 0);
        scn_abort(ended[i]);
    }
    CHECK(kit_committed(db, id, "a", "1"));
    CHECK_OK(scn_close(db));
}

TEST(misuse__unknown_savepoints_are_refused)
{
    struct rig rig = rig_open();
    uint32_t savepoint;
    CHECK_EQ(scn_rollback_to(rig.writer, 0), SCN_MISUSE);
    CHECK_OK(scn_savepoint(rig.writer, &savepoint));
    CHECK_EQ(scn_rollback_to(rig.writer, savepoint + 1), SCN_MISUSE);
    CHECK_OK(scn_rollback_to(rig.writer, savepoint));
    rig_close(&rig);
}

TEST(misuse__bad_table_names_are_refused)
{
    struct rig rig = rig_open();
    char name[300];
    scn_table_id id;
    memset(name, 'n', sizeof name);
    name[256] = 0;
    CHECK_EQ(scn_table(rig.writer, NULL, SCN_CREATE, &id), SCN_MISUSE);
    CHECK_EQ(scn_table(rig.writer, "", SCN_CREATE, &id), SCN_MISUSE);
    CHECK_EQ(scn_table(rig.writer, name, SCN_CREATE, &id), SCN_TOOBIG);
    CHECK_EQ(scn_table(rig.writer, "no\xff\xfe", SCN_CREATE, &id), SCN_MISUSE);
    CHECK_EQ(scn_table_rename(rig.writer, rig.id, ""), SCN_MISUSE);
    CHECK_EQ(scn_table_rename(rig.writer, rig.id, name), SCN_TOOBIG);
    CHECK_EQ(scn_table_rename(rig.writer, rig.id, NULL), SCN_MISUSE);
    rig_close(&rig);
}

TEST(misuse__a_wait_for_a_commit_that_never_was_is_refused)
{
    struct rig rig = rig_open();
    CHECK(scn_wait_durable(rig.db, UINT64_MAX, 0) < 0);
    CHECK_OK(scn_wait_durable(rig.db, scn_txn_lsn(rig.reader), 1000));
    rig_close(&rig);
}
