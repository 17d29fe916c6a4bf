/* Values of all sizes, whole and in parts. */
#include "test/api/kit.h"

static const uint32_t sizes[] = {
    0,     1,     2,      7,      8,      9,       100,          287,   288,   289,
    1000,  1023,  1024,   1025,   3967,   4000,    4031,         4032,  4033,  4096,
    8191,  8192,  16384,  20000,  32768,  65408,   65471,        65472, 65473, 65535,
    65536, 65537, 100000, 131072, 300000, 1 << 20, (1 << 20) + 1};
enum { SIZE_COUNT = sizeof sizes / sizeof sizes[0], LARGEST = (1 << 20) + 1 };
static uint8_t bytes[LARGEST];
static uint8_t buf[LARGEST];

static void put_sizes(scn_txn *txn, scn_table_id id)
{
    char key[16];
    for (uint32_t i = 0; i < SIZE_COUNT; i++) {
        kit_fill(bytes, sizes[i], i + 1);
        CHECK_OK(
            scn_put(txn, id, kit_number_key(key, i), (scn_slice){bytes, sizes[i]}, 0));
    }
}

static void check_parts(scn_txn *txn, scn_table_id id, scn_slice key, uint32_t size)
{
    const uint32_t places[] = {0, 1, size / 2, size ? size - 1 : 0, size, size + 1};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        size_t got = 99;
        uint32_t left = places[i] < size ? size - places[i] : 0;
        uint32_t wanted = 5000;
        CHECK_OK(scn_read_at(txn, id, key, places[i], buf, wanted, &got));
        CHECK_EQ(got, left < wanted ? left : wanted);
        CHECK(memcmp(buf, bytes + places[i], got) == 0);
    }
    for (uint32_t at = 4000; at < size; at += 61007) {
        size_t got = 0;
        uint32_t len = size - at < 8200 ? size - at : 8200;
        CHECK_OK(scn_read_at(txn, id, key, at, buf, len, &got));
        CHECK_EQ(got, len);
        CHECK(memcmp(buf, bytes + at, len) == 0);
    }
}

static void check_sizes(scn_txn *txn, scn_table_id id)
{
    char name[16];
    for (uint32_t i = 0; i < SIZE_COUNT; i++) {
        scn_slice key = kit_number_key(name, i);
        scn_slice value;
        uint64_t size = 0;
        kit_fill(bytes, sizes[i], i + 1);
        CHECK_OK(scn_value_size(txn, id, key, &size));
        CHECK_EQ(size, sizes[i]);
        CHECK_OK(scn_get(txn, id, key, &value));
        CHECK_EQ(value.size, sizes[i]);
        CHECK(memcmp(value.data ? value.data : bytes, bytes, sizes[i]) == 0);
        check_parts(txn, id, key, sizes[i]);
    }
    scn_cursor *cursor;
    scn_slice value;
    CHECK_OK(scn_cursor_open(txn, id, &cursor));
    for (uint32_t i = 0; i < SIZE_COUNT; i++) {
        kit_fill(bytes, sizes[i], i + 1);
        CHECK_OK(scn_next(cursor, NULL, &value));
        CHECK_EQ(value.size, sizes[i]);
        CHECK(memcmp(value.data ? value.data : bytes, bytes, sizes[i]) == 0);
    }
    CHECK_EQ(scn_next(cursor, NULL, &value), SCN_END);
    scn_cursor_close(cursor);
}

static void check_all_ways(const char *file, uint32_t table_flags)
{
    char path[256];
    scn_table_id id;
    snprintf(path, sizeof path, "%s", unit_path(file));
    scn_db *db = kit_open_flags(path, 0);
    scn_txn *txn = kit_begin(db, SCN_WRITE);
    CHECK_OK(scn_table(txn, "t", SCN_CREATE | table_flags, &id));
    put_sizes(txn, id);
    check_sizes(txn, id);
    CHECK_OK(scn_commit(txn));
    for (int round = 0; round < 4; round++) {
        txn = kit_begin(db, round % 2 ? SCN_WRITE : SCN_READ);
        check_sizes(txn, id);
        scn_abort(txn);
        if (round == 0) {
            CHECK_OK(scn_close(db));
            db = kit_open_flags(path, 0);
        }
        if (round == 1)
            CHECK_OK(scn_checkpoint(db));
        if (round == 2) {
            kit_write(db, id, "k00000003", "a neighbour changes");
            kit_fill(bytes, sizes[3], 4);
            txn = kit_begin(db, SCN_WRITE);
            CHECK_OK(
                scn_put(txn, id, text("k00000003"), (scn_slice){bytes, sizes[3]}, 0));
            CHECK_OK(scn_commit(txn));
            CHECK_OK(scn_checkpoint(db));
        }
    }
    CHECK_OK(scn_close(db));
}

TEST(value__of_any_size_comes_back_whole_and_in_parts)
{
    check_all_ways("value-plain", 0);
}

TEST(value__of_any_size_comes_back_from_a_compressed_table)
{
    check_all_ways("value-compressed", SCN_COMPRESS);
}

TEST(value__of_20_mebibytes_survives)
{
    enum { SIZE = 20 << 20 };
    char path[256];
    snprintf(path, sizeof path, "%s", unit_path("value-large"));
    uint8_t *large = malloc(SIZE);
    CHECK(large != NULL);
    kit_fill(large, SIZE, 7);
    scn_db *db = kit_open_flags(path, 0);
    scn_table_id id = kit_table(db, "t");
    scn_txn *txn = kit_begin(db, SCN_WRITE);
    CHECK_OK(scn_put(txn, id, text("large"), (scn_slice){large, SIZE}, 0));
    CHECK_OK(kit_put(txn, id, "small", "1"));
    CHECK_OK(scn_commit(txn));
    for (int round = 0; round < 3; round++) {
        scn_slice value;
        uint8_t part[100];
        size_t got;
        txn = kit_begin(db, SCN_READ);
        CHECK_OK(scn_get(txn, id, text("large"), &value));
        CHECK_EQ(value.size, SIZE);
        CHECK(memcmp(value.data, large, SIZE) == 0);
        CHECK_OK(scn_read_at(txn, id, text("large"), SIZE - 50, part, sizeof part, &got));
        CHECK_EQ(got, 50);
        CHECK(memcmp(part, large + SIZE - 50, 50) == 0);
        scn_abort(txn);
        if (round == 0)
            CHECK_OK(scn_checkpoint(db));
        CHECK_OK(scn_close(db));
        db = kit_open_flags(path, 0);
    }
    txn = kit_begin(db, SCN_WRITE);
    CHECK_OK(scn_del(txn, id, text("large")));
    CHECK_OK(scn_commit(txn));
    CHECK_OK(scn_checkpoint(db));
    CHECK(kit_committed(db, id, "large", NULL));
    CHECK(kit_committed(db, id, "small", "1"));
    CHECK_OK(scn_close(db));
    free(large);
}

/* The call that gets the bytes is the one after which they are gone. */
TEST(value__bytes_handed_out_may_be_the_next_calls_input)
{
    static const uint32_t lengths[] = {5, 500, 5000, 70000, 200000};
    enum { LENGTHS = sizeof lengths / sizeof lengths[0] };
    scn_db *db = kit_memory();
    scn_table_id id = kit_table(db, "t");
    char key[16];
    scn_txn *txn = kit_begin(db, SCN_WRITE);
    for (uint32_t i = 0; i < LENGTHS; i++) {
        kit_fill(bytes, lengths[i], i);
        CHECK_OK(
            scn_put(txn, id, kit_number_key(key, i), (scn_slice){bytes, lengths[i]}, 0));
    }
    CHECK_OK(scn_commit(txn));
    for (int round = 0; round < 3; round++) {
        txn = kit_begin(db, SCN_WRITE);
        scn_cursor *cursor;
        CHECK_OK(scn_cursor_open(txn, id, &cursor));
        for (uint32_t i = 0; i < LENGTHS; i++) {
            scn_slice at;
            scn_slice value;
            kit_fill(bytes, lengths[i], i);
            CHECK_OK(scn_seek(cursor, kit_number_key(key, i), SCN_GE, &at, &value));
            CHECK_OK(scn_put(txn, id, kit_number_key(key, 10 + i), value, 0));
            CHECK_OK(scn_get(txn, id, kit_number_key(key, 10 + i), &value));
            CHECK_OK(scn_put(txn, id, kit_number_key(key, 20 + i), value, SCN_PUT_SAME));
            CHECK_OK(scn_get(txn, id, kit_number_key(key, 20 + i), &value));
            CHECK_OK(scn_put(txn, id, kit_number_key(key, 20 + i), value, SCN_PUT_SAME));
            CHECK_OK(scn_seek(cursor, kit_number_key(key, 20 + i), SCN_EQ, &at, &value));
            CHECK_OK(scn_put(txn, id, at, at, 0));
            CHECK_OK(scn_get(txn, id, kit_number_key(key, 10 + i), &value));
            CHECK_EQ(value.size, lengths[i]);
            CHECK(memcmp(value.data, bytes, lengths[i]) == 0);
        }
        CHECK_OK(scn_commit(txn));
        CHECK_OK(scn_checkpoint(db));
    }
    CHECK_OK(scn_close(db));
}
