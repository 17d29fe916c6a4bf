/* Limits that the host sets: the size of the file, the age of snapshots. */
#include "test/api/kit.h"

#include <stdio.h>

enum { VALUE_BYTES = 500, AGED_ROWS = 2000 };

static scn_db *open_limited(const char *name, uint64_t max_file_bytes, uint64_t age_ms)
{
    scn_options options;
    scn_db *db = NULL;
    scn_options_init(&options);
    options.max_file_bytes = max_file_bytes;
    options.max_snapshot_age_ms = age_ms;
    options.durability = SCN_SYNC_LAZY;
    options.pool_bytes = 1 << 20;
    options.busy_timeout_ms = KIT_BUSY_MS;
    CHECK_OK(scn_open(unit_path(name), &options, &db));
    return db;
}

/* Spread over the table, so that each touches another leaf. */
static scn_slice row_key(char *buf, size_t size, uint32_t number)
{
    snprintf(buf, size, "%08x", number * 2654435761u);
    return text(buf);
}

static scn_status put_row(scn_db *db, uint32_t number, char fill)
{
    char key[16];
    char value[VALUE_BYTES];
    memset(value, fill, sizeof value);
    return scn_put1(db, "rows", row_key(key, sizeof key, number),
                    (scn_slice){value, sizeof value});
}

static uint64_t count_rows(scn_db *db)
{
    uint64_t count = 0;
    scn_txn *txn = kit_begin(db, SCN_READ);
    CHECK_OK(scn_table_count(txn, kit_table_in(txn, "rows"), &count));
    CHECK_OK(scn_commit(txn));
    return count;
}

TEST(limit__a_full_store_can_be_emptied_and_filled_again)
{
    const uint64_t limit = KIT_IS_SMALL ? 2 << 20 : 24 << 20;
    char key[16];
    scn_db *db = open_limited("full.scn", limit, 0);
    uint32_t count = 0;
    scn_status st;
    while ((st = put_row(db, count, 'a')) == SCN_OK)
        count++;
    CHECK_EQ(st, SCN_FULL);
    /* A quarter of the file, at least: copying a tree needs room for the copy. */
    CHECK((uint64_t)count * VALUE_BYTES > limit / 4);
    CHECK_EQ(count_rows(db), count);
    for (uint32_t i = 0; i < count; i++)
        CHECK_OK(scn_del1(db, "rows", row_key(key, sizeof key, i)));
    CHECK_EQ(count_rows(db), 0);
    CHECK_OK(scn_checkpoint(db));
    for (uint32_t i = 0; i < count / 2; i++)
        CHECK_OK(put_row(db, i, 'b'));
    CHECK_EQ(count_rows(db), count / 2);
    CHECK_OK(scn_close(db));
}

static void overwrite_and_checkpoint(scn_db *db, int rounds)
{
    for (int round = 0; round < rounds; round++) {
        for (uint32_t i = 0; i < AGED_ROWS; i++)
            CHECK_OK(put_row(db, i, (char)('a' + round)));
        CHECK_OK(scn_checkpoint(db));
    }
}

TEST(limit__a_snapshot_past_its_age_is_gone_and_says_so)
{
    char key[16];
    scn_slice value;
    scn_db *db = open_limited("aged.scn", 0, 1);
    overwrite_and_checkpoint(db, 1);
    scn_txn *txn = kit_begin(db, SCN_READ);
    scn_table_id id = kit_table_in(txn, "rows");
    overwrite_and_checkpoint(db, 3);
    scn_slice at = row_key(key, sizeof key, 7);
    CHECK_EQ(scn_get(txn, id, at, &value), SCN_SNAPSHOT_GONE);
    CHECK_EQ(scn_commit(txn), SCN_SNAPSHOT_GONE);
    txn = kit_begin(db, SCN_READ);
    CHECK_OK(scn_get(txn, id, at, &value));
    CHECK_EQ(((const char *)value.data)[0], 'c');
    CHECK_OK(scn_commit(txn));
    CHECK_OK(scn_close(db));
}

TEST(limit__a_snapshot_without_a_limit_keeps_its_values)
{
    char key[16];
    scn_slice value;
    scn_db *db = open_limited("kept.scn", 0, 0);
    overwrite_and_checkpoint(db, 1);
    scn_txn *txn = kit_begin(db, SCN_READ);
    scn_table_id id = kit_table_in(txn, "rows");
    overwrite_and_checkpoint(db, 3);
    for (uint32_t i = 0; i < AGED_ROWS; i++) {
        CHECK_OK(scn_get(txn, id, row_key(key, sizeof key, i), &value));
        CHECK_EQ(((const char *)value.data)[0], 'a');
    }
    CHECK_OK(scn_commit(txn));
    CHECK_OK(scn_close(db));
}

TEST(limit__an_age_of_centuries_is_no_short_one)
{
    char key[16];
    scn_slice value;
    /* The least number of milliseconds whose nanoseconds no 64 bits hold. */
    scn_db *db = open_limited("old.scn", 0, UINT64_MAX / 1000000 + 1);
    overwrite_and_checkpoint(db, 1);
    scn_txn *txn = kit_begin(db, SCN_READ);
    scn_table_id id = kit_table_in(txn, "rows");
    overwrite_and_checkpoint(db, 3);
    CHECK_OK(scn_get(txn, id, row_key(key, sizeof key, 7), &value));
    CHECK_EQ(((const char *)value.data)[0], 'a');
    CHECK_OK(scn_commit(txn));
    CHECK_OK(scn_close(db));
}
