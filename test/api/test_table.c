/* Tables: names, ids, clearing, dropping, counts. */
#include "test/api/kit.h"

struct names {
    char text[400];
    uint32_t count;
    scn_status answer;
};

static scn_status list_name(void *ctx, const char *name, scn_table_id id)
{
    struct names *names = ctx;
    size_t len = strlen(names->text);
    snprintf(names->text + len, sizeof names->text - len, "%s=%u ", name, id);
    names->count++;
    return names->answer;
}

TEST(table__ids_are_the_same_everywhere_and_never_reused)
{
    const char *path = unit_path("table-ids");
    scn_db *db = kit_open_flags(path, 0);
    scn_table_id a = kit_table(db, "a");
    scn_table_id b = kit_table(db, "b");
    CHECK(a != b);
    CHECK_EQ(kit_table(db, "a"), a);
    scn_txn *txn = kit_begin(db, SCN_WRITE);
    CHECK_OK(scn_table_drop(txn, b));
    CHECK_OK(scn_commit(txn));
    scn_table_id again = kit_table(db, "b");
    CHECK(again > b);
    CHECK_OK(scn_checkpoint(db));
    CHECK_OK(scn_close(db));
    db = kit_open_flags(path, 0);
    CHECK_EQ(kit_table(db, "a"), a);
    CHECK_EQ(kit_table(db, "b"), again);
    CHECK(kit_table(db, "c") > again);
    CHECK_OK(scn_close(db));
}

TEST(table__created_and_aborted_is_not_there)
{
    scn_db *db = kit_memory();
    scn_txn *txn = kit_begin(db, SCN_WRITE);
    scn_table_id id = kit_table_in(txn, "t");
    CHECK_OK(kit_put(txn, id, "a", "1"));
    CHECK(kit_has(txn, id, "a", "1"));
    scn_abort(txn);
    txn = kit_begin(db, SCN_READ);
    CHECK_EQ(scn_table(txn, "t", 0, &id), SCN_NOTFOUND);
    CHECK_EQ(id, 0);
    scn_abort(txn);
    CHECK_OK(scn_close(db));
}

TEST(table__each_lists_names_in_order_and_own_changes)
{
    scn_db *db = kit_memory();
    struct names names = {.answer = SCN_OK};
    char expected[100];
    scn_table_id b = kit_table(db, "b");
    scn_table_id a = kit_table(db, "a");
    CHECK_OK(scn_checkpoint(db));
    scn_table_id c = kit_table(db, "c");
    scn_txn *txn = kit_begin(db, SCN_WRITE);
    scn_table_id d = kit_table_in(txn, "d");
    CHECK_OK(scn_table_drop(txn, b));
    CHECK_OK(scn_table_rename(txn, c, "~c"));
    CHECK_OK(scn_table_each(txn, list_name, &names));
    snprintf(expected, sizeof expected, "a=%u d=%u ~c=%u ", a, d, c);
    CHECK(strcmp(names.text, expected) == 0);
    names = (struct names){.answer = SCN_EXISTS};
    CHECK_EQ(scn_table_each(txn, list_name, &names), SCN_EXISTS);
    CHECK_EQ(names.count, 1);
    CHECK_OK(scn_commit(txn));
    CHECK_OK(scn_close(db));
}

static scn_status read_inside(void *ctx, const char *name, scn_table_id id)
{
    uint64_t count;
    (void)name;
    return scn_table_count(ctx, id, &count);
}

TEST(table__each_allows_the_callback_to_use_the_transaction)
{
    scn_db *db = kit_memory();
    kit_table(db, "a");
    kit_table(db, "b");
    scn_txn *txn = kit_begin(db, SCN_WRITE);
    CHECK_OK(scn_table_each(txn, read_inside, txn));
    scn_abort(txn);
    CHECK_OK(scn_close(db));
}

TEST(table__rename_keeps_id_and_rows)
{
    const char *path = unit_path("table-rename");
    scn_db *db = kit_open_flags(path, 0);
    scn_table_id a = kit_table(db, "a");
    scn_table_id b = kit_table(db, "b");
    scn_table_id found;
    kit_write(db, a, "key", "value");
    scn_txn *txn = kit_begin(db, SCN_WRITE);
    CHECK_EQ(scn_table_rename(txn, a, "b"), SCN_EXISTS);
    CHECK_OK(scn_table_rename(txn, a, "a"));
    CHECK_OK(scn_table_rename(txn, a, "x"));
    CHECK_EQ(scn_table(txn, "a", 0, &found), SCN_NOTFOUND);
    CHECK_OK(scn_table_rename(txn, b, "a"));
    CHECK_OK(scn_table_rename(txn, a, "b"));
    CHECK(kit_has(txn, a, "key", "value"));
    CHECK_OK(scn_commit(txn));
    CHECK_OK(scn_close(db));
    db = kit_open_flags(path, 0);
    CHECK_EQ(kit_table(db, "b"), a);
    CHECK_EQ(kit_table(db, "a"), b);
    CHECK(kit_committed(db, a, "key", "value"));
    CHECK_OK(scn_close(db));
}

TEST(table__clear_takes_all_rows_older_ones_in_trees_too)
{
    scn_db *db = kit_memory();
    scn_table_id id = kit_table(db, "t");
    char key[16];
    for (int round = 0; round < 3; round++) {
        scn_txn *txn = kit_begin(db, SCN_WRITE);
        for (uint32_t i = 0; i < 300; i++)
            CHECK_OK(scn_put(txn, id, kit_number_key(key, i), text("v"), 0));
        CHECK_OK(scn_commit(txn));
        if (round == 1)
            CHECK_OK(scn_checkpoint(db));
        scn_txn *before = kit_begin(db, SCN_READ);
        txn = kit_begin(db, SCN_WRITE);
        CHECK_OK(kit_put(txn, id, "gone", "1"));
        CHECK_OK(scn_table_clear(txn, id));
        CHECK_EQ(kit_count_in(txn, id), 0);
        CHECK_OK(kit_put(txn, id, "stays", "1"));
        CHECK(kit_has(txn, id, "gone", NULL));
        CHECK(kit_has(txn, id, "k00000007", NULL));
        CHECK_EQ(kit_count_in(txn, id), 1);
        CHECK_OK(scn_commit(txn));
        CHECK_EQ(kit_count(db, id), 1);
        CHECK(kit_committed(db, id, "stays", "1"));
        CHECK(kit_committed(db, id, "k00000007", NULL));
        if (round == 2)
            CHECK_OK(scn_checkpoint(db));
        CHECK_EQ(kit_count(db, id), 1);
        CHECK(kit_has(before, id, "k00000007", "v"));
        CHECK_EQ(kit_count_in(before, id), 300 + (round > 0));
        scn_abort(before);
    }
    CHECK_OK(scn_close(db));
}

TEST(table__dropped_is_not_found_but_older_snapshots_read_on)
{
    scn_db *db = kit_memory();
    scn_table_id id = kit_table(db, "t");
    kit_write(db, id, "a", "1");
    CHECK_OK(scn_checkpoint(db));
    kit_write(db, id, "b", "2");
    scn_txn *before = kit_begin(db, SCN_READ);
    scn_txn *txn = kit_begin(db, SCN_WRITE);
    CHECK_OK(scn_table_drop(txn, id));
    CHECK_EQ(scn_get(txn, id, text("a"), NULL), SCN_NOTFOUND);
    CHECK_EQ(scn_put(txn, id, text("a"), text("x"), 0), SCN_NOTFOUND);
    CHECK_EQ(scn_table_drop(txn, id), SCN_NOTFOUND);
    scn_table_id fresh = kit_table_in(txn, "t");
    CHECK(fresh != id);
    CHECK_OK(kit_put(txn, fresh, "a", "fresh"));
    CHECK_OK(scn_commit(txn));
    for (int i = 0; i < 4; i++) {
        CHECK(kit_has(before, id, "a", "1"));
        CHECK(kit_has(before, id, "b", "2"));
        CHECK_EQ(kit_count_in(before, id), 2);
        CHECK(kit_committed(db, fresh, "a", "fresh"));
        CHECK_EQ(kit_count(db, fresh), 1);
        kit_write(db, fresh, "c", "3");
        kit_write(db, fresh, "c", NULL);
        CHECK_OK(scn_checkpoint(db));
    }
    scn_abort(before);
    CHECK_OK(scn_close(db));
}

TEST(table__count_is_exact_with_overwrites_and_blind_puts)
{
    scn_db *db = kit_memory();
    scn_table_id id = kit_table(db, "t");
    for (int i = 0; i < 3; i++) {
        kit_write(db, id, "a", "1");
        kit_write(db, id, "b", "1");
        CHECK_OK(scn_put1(db, "t", text("b"), text("2")));
        CHECK_OK(scn_put1(db, "t", text("c"), text("2")));
        CHECK_OK(scn_del1(db, "t", text("nothing")));
        CHECK_EQ(kit_count(db, id), 3);
        CHECK_OK(scn_del1(db, "t", text("c")));
        CHECK_OK(scn_del1(db, "t", text("c")));
        CHECK_EQ(kit_count(db, id), 2);
        scn_txn *txn = kit_begin(db, SCN_WRITE);
        CHECK_EQ(scn_del(txn, id, text("c")), SCN_NOTFOUND);
        CHECK_OK(scn_put(txn, id, text("c"), text("3"), SCN_PUT_BLIND));
        CHECK_OK(scn_put(txn, id, text("a"), text("3"), SCN_PUT_BLIND));
        CHECK_EQ(kit_count_in(txn, id), 3);
        CHECK_OK(scn_del(txn, id, text("a")));
        CHECK_EQ(kit_count_in(txn, id), 2);
        scn_abort(txn);
        CHECK_OK(scn_checkpoint(db));
    }
    CHECK_OK(scn_close(db));
}

TEST(table__info_tells_count_and_sizes)
{
    scn_db *db = kit_memory();
    scn_txn *txn = kit_begin(db, SCN_WRITE);
    scn_table_id id;
    CHECK_OK(scn_table(txn, "t", SCN_CREATE | SCN_COMPRESS, &id));
    CHECK_OK(kit_put(txn, id, "abc", "12345"));
    CHECK_OK(scn_commit(txn));
    CHECK_OK(scn_checkpoint(db));
    txn = kit_begin(db, SCN_READ);
    scn_table_stat stat = {.struct_size = sizeof stat};
    CHECK_OK(scn_table_info(txn, id, &stat));
    CHECK_EQ(stat.count, 1);
    CHECK_EQ(stat.key_bytes, 3);
    CHECK_EQ(stat.value_bytes, 5);
    CHECK(stat.stored_bytes > 0);
    CHECK_EQ(stat.flags, SCN_COMPRESS);
    scn_abort(txn);
    CHECK_OK(scn_close(db));
}

TEST(table__version_moves_with_every_commit_to_the_table)
{
    scn_db *db = kit_memory();
    scn_table_id a = kit_table(db, "a");
    scn_table_id b = kit_table(db, "b");
    uint64_t at = 0;
    scn_txn *txn = kit_begin(db, SCN_WRITE);
    CHECK_OK(kit_put(txn, a, "k", "1"));
    CHECK_OK(scn_commit_at(txn, &at));
    kit_write(db, b, "k", "1");
    txn = kit_begin(db, SCN_READ);
    CHECK_EQ(scn_table_version(txn, a), at);
    CHECK(scn_table_version(txn, b) > at);
    CHECK_EQ(scn_table_version(txn, b), scn_txn_lsn(txn));
    kit_write(db, a, "k", "2");
    CHECK_EQ(scn_table_version(txn, a), at);
    scn_abort(txn);
    CHECK_OK(scn_close(db));
}

TEST(table__many_can_be_created_in_one_transaction)
{
    scn_db *db = kit_memory();
    char name[32];
    scn_table_id ids[40];
    scn_txn *txn = kit_begin(db, SCN_WRITE);
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof name, "table-%d", i);
        ids[i] = kit_table_in(txn, name);
        CHECK_OK(kit_put(txn, ids[i], name, "v"));
    }
    CHECK_OK(scn_commit(txn));
    CHECK_OK(scn_checkpoint(db));
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof name, "table-%d", i);
        CHECK_EQ(kit_table(db, name), ids[i]);
        CHECK(kit_committed(db, ids[i], name, "v"));
    }
    CHECK_OK(scn_close(db));
}

static scn_status abort_inside(void *ctx, const char *name, scn_table_id id)
{
    (void)name;
    (void)id;
    scn_abort(ctx);
    return SCN_OK;
}

TEST(table__each_notices_when_the_callback_ends_the_transaction)
{
    scn_db *db = kit_memory();
    kit_table(db, "a");
    kit_table(db, "b");
    scn_txn *txn = kit_begin(db, SCN_READ);
    CHECK_EQ(scn_table_each(txn, abort_inside, txn), SCN_MISUSE);
    CHECK_OK(scn_close(db));
}

/* Rows that drive everything else out of a small pool. */
enum { WIDE_ROWS = 100, WIDE_BYTES = KIT_IS_SMALL ? 3000 : 60000 };

struct wide {
    scn_db *db;
    scn_table_id id;
    scn_slice borrowed;
    bool is_good;
};

static scn_status read_all_elsewhere(void *ctx, const char *name, scn_table_id id)
{
    static uint8_t expected[WIDE_BYTES];
    struct wide *wide = ctx;
    scn_txn *txn = kit_begin(wide->db, SCN_READ);
    (void)name;
    (void)id;
    for (uint32_t i = 1; i < WIDE_ROWS; i++) {
        char key[16];
        scn_slice value;
        CHECK_OK(scn_get(txn, wide->id, kit_number_key(key, i), &value));
    }
    scn_abort(txn);
    kit_fill(expected, WIDE_BYTES, 0);
    wide->is_good &= memcmp(wide->borrowed.data, expected, WIDE_BYTES) == 0;
    return SCN_OK;
}

TEST(table__each_leaves_bytes_alone_that_were_handed_out_before)
{
    static uint8_t value[WIDE_BYTES];
    scn_options options;
    struct wide wide = {.is_good = true};
    char key[16];
    scn_options_init(&options);
    options.pool_bytes = UINT64_C(8) * (KIT_IS_SMALL ? 4096 : 65536);
    CHECK_OK(scn_open(":memory:", &options, &wide.db));
    wide.id = kit_table(wide.db, "rows");
    kit_table(wide.db, "more");
    kit_table(wide.db, "and more");
    scn_txn *txn = kit_begin(wide.db, SCN_WRITE);
    for (uint32_t i = 0; i < WIDE_ROWS; i++) {
        kit_fill(value, WIDE_BYTES, i);
        CHECK_OK(scn_put(txn, wide.id, kit_number_key(key, i),
                         (scn_slice){value, WIDE_BYTES}, 0));
    }
    CHECK_OK(scn_commit(txn));
    CHECK_OK(scn_checkpoint(wide.db));
    txn = kit_begin(wide.db, SCN_READ);
    CHECK_OK(scn_get(txn, wide.id, kit_number_key(key, 0), &wide.borrowed));
    CHECK_OK(scn_table_each(txn, read_all_elsewhere, &wide));
    CHECK(wide.is_good);
    scn_abort(txn);
    CHECK_OK(scn_close(wide.db));
}

/* A name may be bytes of the write set, which a write may have to spill: one of these
 * sizes makes the first row of the new table do so. */
TEST(table__name_may_be_bytes_that_were_handed_out)
{
    static const char name[] = "a table whose name was a value of the transaction";
    static uint8_t filler[8000];
    scn_db *db = kit_memory();
    scn_table_id id = kit_table(db, "t");
    for (uint32_t size = 0; KIT_IS_SMALL && size < sizeof filler; size += 48) {
        scn_txn *txn = kit_begin(db, SCN_WRITE);
        scn_table_id made;
        scn_table_id found;
        scn_slice value;
        char key[16];
        for (uint32_t i = 0; i < 15; i++)
            CHECK_OK(scn_put(txn, id, kit_number_key(key, i),
                             (scn_slice){filler, sizeof filler}, 0));
        CHECK_OK(scn_put(txn, id, text("filler"), (scn_slice){filler, size}, 0));
        CHECK_OK(scn_put(txn, id, text("name"), (scn_slice){name, sizeof name}, 0));
        CHECK_OK(scn_get(txn, id, text("name"), &value));
        CHECK_OK(scn_table(txn, value.data, SCN_CREATE, &made));
        CHECK_OK(scn_table(txn, name, 0, &found));
        CHECK_EQ(found, made);
        CHECK_OK(scn_table_rename(txn, made, "short"));
        CHECK_OK(scn_get(txn, id, text("name"), &value));
        scn_abort(txn);
    }
    CHECK_OK(scn_close(db));
}
