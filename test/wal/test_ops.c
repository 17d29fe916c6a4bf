#include "page/bytes.h"
#include "test/unit/unit.h"
#include "wal/ops.h"
#include "wal/record.h"

static scn_slice text(const char *string)
{
    return (scn_slice){string, strlen(string)};
}

static bool is_text(scn_slice slice, const char *string)
{
    return slice.size == strlen(string) && memcmp(slice.data, string, slice.size) == 0;
}

static const struct op_range ranges[] = {{3, 1}, {100, 64}, {FILE_PAGES_MAX - 2, 2}};
enum { RANGE_COUNT = 3, OP_COUNT = 7 };

static struct op_run sample_run(void)
{
    return (struct op_run){
        .root = {.hash = 5,
                 .birth_gen = 6,
                 .link_gen = 7,
                 .pgno = 101,
                 .level = 1,
                 .type = PAGE_INNER},
        .count = 1000,
        .tombstones = 3,
        .value_bytes = UINT64_C(1) << 40,
        .min = text("apple"),
        .max = text("pear"),
    };
}

/* One of each. */
static void write_sample(struct ops_writer *writer)
{
    scn_slice from = text("b");
    scn_slice to = text("m");
    struct op_run run = sample_run();
    ops_writer_init(writer);
    CHECK_OK(ops_clear(writer, 7, &from, &to));
    CHECK_OK(ops_clear(writer, 7, NULL, NULL));
    CHECK_OK(ops_run(writer, 7, &run, ranges, RANGE_COUNT));
    CHECK_OK(ops_put(writer, 7, text("key"), text("value")));
    CHECK_OK(ops_put(writer, 0, text("k"), text("")));
    CHECK_OK(ops_del(writer, UINT32_MAX - 1, text("gone")));
    CHECK_OK(ops_clear(writer, UINT32_MAX - 1, NULL, &to));
}

TEST(ops__come_back_as_they_were_written)
{
    struct ops_writer writer;
    write_sample(&writer);
    struct ops_reader reader;
    ops_reader_init(&reader, writer.data, writer.len);
    struct op op;
    CHECK_OK(ops_next(&reader, &op));
    CHECK(op.code == OP_CLEAR && op.table_id == 7 && op.has_from && op.has_to);
    CHECK(is_text(op.key, "b") && is_text(op.value, "m"));
    CHECK_OK(ops_next(&reader, &op));
    CHECK(op.code == OP_CLEAR && !op.has_from && !op.has_to);
    CHECK_OK(ops_next(&reader, &op));
    CHECK(op.code == OP_RUN && op.run.root.pgno == 101 && op.run.root.link_gen == 7);
    CHECK(op.run.count == 1000 && op.run.tombstones == 3);
    CHECK(op.run.value_bytes == UINT64_C(1) << 40);
    CHECK(is_text(op.run.min, "apple") && is_text(op.run.max, "pear"));
    uint64_t cursor = 0;
    struct op_range range;
    for (uint32_t i = 0; i < RANGE_COUNT; i++) {
        CHECK(op_run_range(&op.run, &cursor, &range));
        CHECK(range.pgno == ranges[i].pgno && range.pages == ranges[i].pages);
    }
    CHECK(!op_run_range(&op.run, &cursor, &range));
    CHECK_OK(ops_next(&reader, &op));
    CHECK(op.code == OP_PUT && op.table_id == 7);
    CHECK(is_text(op.key, "key") && is_text(op.value, "value"));
    CHECK_OK(ops_next(&reader, &op));
    CHECK(op.code == OP_PUT && op.table_id == 0 && is_text(op.value, ""));
    CHECK_OK(ops_next(&reader, &op));
    CHECK(op.code == OP_DEL && op.table_id == UINT32_MAX - 1 && is_text(op.key, "gone"));
    CHECK_OK(ops_next(&reader, &op));
    CHECK(op.code == OP_CLEAR && !op.has_from && op.has_to);
    CHECK_EQ(ops_next(&reader, &op), SCN_END);
    ops_writer_destroy(&writer);
}

/* Reads everything; the answer after the last operation. */
static scn_status read_all(const uint8_t *bytes, size_t len, uint32_t *count)
{
    struct ops_reader reader;
    ops_reader_init(&reader, bytes, len);
    *count = 0;
    for (;;) {
        struct op op;
        scn_status st = ops_next(&reader, &op);
        if (st != SCN_OK)
            return st;
        ++*count;
        uint64_t cursor = 0;
        struct op_range range;
        while (op.code == OP_RUN && op_run_range(&op.run, &cursor, &range))
            CHECK(range.pages > 0 && range.pgno + range.pages <= FILE_PAGES_MAX);
        if (op.key.size > 0)
            CHECK((const uint8_t *)op.key.data + op.key.size <= bytes + len);
        if (op.value.size > 0)
            CHECK((const uint8_t *)op.value.data + op.value.size <= bytes + len);
    }
}

TEST(ops__cut_anywhere_are_a_prefix_or_damage)
{
    struct ops_writer writer;
    write_sample(&writer);
    for (size_t len = 0; len < writer.len; len++) {
        uint8_t *cut = malloc(len + 1); /* of exact size, for the address sanitizer */
        uint8_t *exact = realloc(cut, len ? len : 1);
        memcpy(exact, writer.data, len);
        uint32_t count;
        scn_status st = read_all(exact, len, &count);
        CHECK(st == SCN_END || st == SCN_CORRUPT);
        CHECK(count < OP_COUNT);
        free(exact);
    }
    ops_writer_destroy(&writer);
}

TEST(ops__survive_hostile_bytes)
{
    uint64_t state = unit_seed();
    struct ops_writer writer;
    write_sample(&writer);
    for (int i = 0; i < 100000; i++) {
        uint8_t *bytes = malloc(writer.len);
        memcpy(bytes, writer.data, writer.len);
        uint32_t changes = 1 + unit_random(&state) % 4;
        for (uint32_t k = 0; k < changes; k++)
            bytes[unit_random(&state) % writer.len] =
                (uint8_t)(unit_random(&state) >> 40);
        uint32_t count;
        scn_status st = read_all(bytes, writer.len, &count);
        CHECK(st == SCN_END || st == SCN_CORRUPT);
        free(bytes);
    }
    ops_writer_destroy(&writer);
}

#define CHECK_CORRUPT(...)                                                               \
    do {                                                                                 \
        const uint8_t bytes_[] = {__VA_ARGS__};                                          \
        uint32_t count_;                                                                 \
        CHECK_EQ(read_all(bytes_, sizeof bytes_, &count_), SCN_CORRUPT);                 \
    } while (0)

TEST(ops__name_a_table_first)
{
    CHECK_CORRUPT(OP_DEL, 1, 'k');
    CHECK_CORRUPT(OP_TABLE, 0xff, 0xff, 0xff, 0xff, 0x0f, OP_DEL, 1, 'k');
}

TEST(ops__refuse_lengths_beyond_the_payload)
{
    CHECK_CORRUPT(OP_TABLE, 1, OP_DEL, 2, 'k');
    CHECK_CORRUPT(OP_TABLE, 1, OP_DEL, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                  0xff, 1);
    CHECK_CORRUPT(OP_TABLE, 1, OP_DEL, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                  0xff, 2);
    /* The tenth byte has one bit more, and not that it would be 1 without it. */
    CHECK_CORRUPT(OP_TABLE, 1, OP_DEL, 0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
                  0x80, 2, 'k');
    CHECK_CORRUPT(OP_TABLE, 1, OP_PUT, 1, 'k', 0xff, 0xff, 0xff, 0xff, 0x07);
    CHECK_CORRUPT(OP_TABLE, 1, OP_CLEAR, 4);
    CHECK_CORRUPT(OP_TABLE, 1, 0);
    CHECK_CORRUPT(OP_TABLE, 1, 6);
}

/* A run with its fields changed one at a time. */
static scn_status read_run(const struct op_run *run, const struct op_range *list,
                           uint64_t count)
{
    struct ops_writer writer;
    ops_writer_init(&writer);
    CHECK_OK(ops_run(&writer, 1, run, list, count));
    uint32_t seen;
    scn_status st = read_all(writer.data, writer.len, &seen);
    ops_writer_destroy(&writer);
    return st;
}

TEST(ops__judge_the_fields_of_a_run)
{
    struct op_run run = sample_run();
    CHECK_EQ(read_run(&run, ranges, RANGE_COUNT), SCN_END);
    run.root.pgno = 2;
    CHECK_EQ(read_run(&run, ranges, RANGE_COUNT), SCN_CORRUPT);
    run = sample_run();
    run.root.level = TREE_LEVEL_MAX;
    CHECK_EQ(read_run(&run, ranges, RANGE_COUNT), SCN_CORRUPT);
    run = sample_run();
    run.root.type = PAGE_VALUES;
    CHECK_EQ(read_run(&run, ranges, RANGE_COUNT), SCN_CORRUPT);
    run = sample_run();
    run.tombstones = run.count + 1;
    CHECK_EQ(read_run(&run, ranges, RANGE_COUNT), SCN_CORRUPT);
    run = sample_run();
    run.min = text("zebra");
    CHECK_EQ(read_run(&run, ranges, RANGE_COUNT), SCN_CORRUPT);
    run = sample_run();
    const struct op_range bad[] = {
        {2, 1}, {3, 0}, {FILE_PAGES_MAX - 2, 3}, {UINT32_MAX, 1}};
    for (uint32_t i = 0; i < 4; i++)
        CHECK_EQ(read_run(&run, &bad[i], 1), SCN_CORRUPT);
}

/* docs/format.md, "Log record". */
TEST(ops__and_record_are_the_bytes_of_the_documented_example)
{
    static const uint8_t example[] = {
        0x07, 0xb0, 0xb2, 0x9e, 0x05, 0x00, 0x00, 0x00, 0x05, 0x00, 0x00, 0x00, 0x01,
        0x00, 0x00, 0x00, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x4e, 0xf1,
        0x27, 0xf4, 0x44, 0x33, 0x22, 0x11, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x01, 0x10, 0x03, 0x01, 0x6b, 0x00, 0x00, 0x00,
    };
    struct ops_writer writer;
    ops_writer_init(&writer);
    CHECK_OK(ops_del(&writer, 16, text("k")));
    uint8_t at[RECORD_HEADER_BYTES + RECORD_ALIGN] = {0};
    memcpy(at + RECORD_HEADER_BYTES, writer.data, writer.len);
    struct record record = {
        .type = RECORD_COMMIT,
        .stored_len = (uint32_t)writer.len,
        .raw_len = (uint32_t)writer.len,
        .lsn = 128,
        .epoch =
            record_epoch((const uint8_t *)"0123456789abcdef", UINT64_C(0x11223344) << 32),
        .synced_lsn = 128,
    };
    record_encode(&record, record_payload_crc(writer.data, record.stored_len), at);
    CHECK_EQ(sizeof at, sizeof example);
    CHECK(memcmp(at, example, sizeof at) == 0);
    ops_writer_destroy(&writer);
}
