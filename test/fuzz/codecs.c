/* The small decoders, each with its checksum made right: superblock, publish page,
 * reference to a value, log record, extent head, operations, compressed block.
 *
 * What a decoder accepts is encoded again: it has to become the same bytes, or, where one
 * thing may be written in two ways, to be read as the same thing. */
#include "page/compress.h"
#include "page/hash.h"
#include "page/publish.h"
#include "page/superblock.h"
#include "page/value.h"
#include "test/fuzz/feed.h"
#include "test/fuzz/target.h"
#include "wal/extent.h"
#include "wal/ops.h"
#include "wal/record.h"

#include <stdlib.h>

static const uint8_t uuid[16] = "0123456789abcdef";

/* The rest of the input, zeros behind it. */
static void take_rest(struct feed *feed, uint8_t *at, size_t len)
{
    size_t got;
    const uint8_t *bytes = feed_bytes(feed, len, &got);
    memset(at, 0, len);
    if (got > 0)
        memcpy(at, bytes, got);
}

/* ---- superblock ---- */

/* A decent one, so that a few changed bytes are enough to meet one judgement alone. */
static void fill_slot(uint8_t *slot)
{
    struct superblock sb = {
        .version = SUPERBLOCK_VERSION, .page_bytes = PAGE_BYTES, .gen = 8, .gen_id = 1,
        .base = {.lsn = 128, .epoch = 1, .extent_pgno = 3, .extent_pages = 4,
                 .extent_off = 128},
        .catalog = {.hash = 1, .birth_gen = 7, .link_gen = 7, .pgno = 9, .hint = 1,
                    .type = PAGE_LEAF},
        .space = {.hash = 1, .birth_gen = 8, .link_gen = 8, .pgno = 10,
                  .type = PAGE_SPACE},
        .page_count = 20, .needed_pages = 20, .spare_count = 2,
        .spares = {{11, 4}, {15, 4}},
    };
    superblock_encode(&sb, slot);
}

static void seal_slot(uint8_t *slot)
{
    uint8_t sum[16];
    memset(slot + 16, 0, 16);
    hash128(slot, SUPERBLOCK_BYTES, sum);
    memcpy(slot + 16, sum, 16);
}

static void run_superblock(struct feed *feed)
{
    static uint8_t slot[SUPERBLOCK_BYTES];
    static uint8_t again[SUPERBLOCK_BYTES];
    struct superblock sb;
    const char *why = NULL;
    if (feed_u8(feed) % 4 == 0) {
        take_rest(feed, slot, sizeof slot);
    } else {
        fill_slot(slot);
        while (feed_left(feed) >= 3)
            slot[feed_u16(feed) % SUPERBLOCK_BYTES] = feed_u8(feed);
    }
    seal_slot(slot);
    enum superblock_verdict verdict = superblock_decode(slot, &sb, &why);
    if (verdict == SUPERBLOCK_NEWER)
        FUZZ_CHECK(superblock_say_newer(&sb) == SCN_VERSION);
    FUZZ_CHECK(verdict != SUPERBLOCK_BROKEN || why != NULL);
    if (verdict != SUPERBLOCK_GOOD)
        return;
    superblock_encode(&sb, again);
    FUZZ_CHECK(memcmp(slot, again, sizeof slot) == 0);
}

/* ---- publish page ---- */

static void run_publish(struct feed *feed)
{
    uint8_t image[PUBLISH_BYTES];
    uint8_t sealed = feed_u8(feed);
    uint8_t kept = feed_u8(feed);
    take_rest(feed, image, sizeof image);
    for (uint32_t i = 0; i < 2 * PUBLISH_LINE_COUNT; i++) {
        uint8_t *copy = image + i * PUBLISH_COPY_BYTES;
        struct publish_value value;
        uint8_t again[PUBLISH_COPY_BYTES];
        if (!(kept >> i % 8 & 1)) {
            put_u32(copy + 88, i / 2 + 1);
            memset(copy + 92, 0, PUBLISH_COPY_BYTES - 92);
        }
        if (sealed >> i % 8 & 1)
            put_u64(copy, hash64(copy + 8, PUBLISH_COPY_BYTES - 8));
        if (!publish_decode((enum publish_line)(i / 2), copy, &value))
            continue;
        publish_encode((enum publish_line)(i / 2), &value, again);
        FUZZ_CHECK(memcmp(again, copy, sizeof again) == 0);
    }
}

/* ---- references ---- */

static void check_packed(const struct value_ref *ref)
{
    uint64_t stored = ref->block_stored ? ref->block_stored : ref->len;
    FUZZ_CHECK(ref->off >= PAGE_HEADER_BYTES && ref->off + stored <= PAGE_BYTES);
    if (ref->block_stored == 0)
        return;
    FUZZ_CHECK(ref->block_raw <= VALUE_BLOCK_BYTES_MAX);
    FUZZ_CHECK(ref->inside + ref->len <= ref->block_raw);
}

static void run_value(struct feed *feed)
{
    uint8_t at[VALUE_REF_BYTES];
    uint8_t again[VALUE_REF_BYTES];
    struct value_ref ref;
    uint8_t shape = feed_u8(feed);
    take_rest(feed, at, sizeof at);
    if (shape & 1) {
        at[46] = 0;
        at[47] = shape & 2 ? PAGE_VALUES : PAGE_VALUE_INDEX;
    }
    if (shape & 4)
        memset(at + 3, 0, 5);
    if (shape & 8)
        memset(at + 50, 0, 2);
    if (value_ref_decode(at, &ref) != NULL)
        return;
    FUZZ_CHECK(ref.len >= 1 && ref.len <= VALUE_BYTES_MAX);
    if (value_ref_is_spread(&ref))
        FUZZ_CHECK(ref.off == 0 && ref.inside == 0 && ref.block_stored == 0);
    else
        check_packed(&ref);
    value_ref_encode(&ref, again);
    FUZZ_CHECK(memcmp(at, again, sizeof at) == 0);
}

/* ---- records and extents ---- */

static void seal_record(uint8_t *at, size_t room)
{
    uint32_t stored = get_u32(at + 4);
    if (stored > room - RECORD_HEADER_BYTES)
        return;
    uint32_t crc = record_payload_crc(at + RECORD_HEADER_BYTES, stored);
    put_u32(at, crc32c(crc, at + 4, RECORD_HEADER_BYTES - 4));
}

static void run_record(struct feed *feed)
{
    enum { ROOM = 512 };
    uint8_t bytes[ROOM];
    uint8_t again[RECORD_HEADER_BYTES];
    struct record record;
    uint8_t shape = feed_u8(feed);
    uint64_t room = ROOM - (shape & 0xf0);
    take_rest(feed, bytes, sizeof bytes);
    if (shape & 1)
        memset(bytes + 44, 0, RECORD_HEADER_BYTES - 44);
    if (shape & 2)
        put_u32(bytes + 8, get_u32(bytes + 4));
    if (shape & 4)
        bytes[16] &= 0xf8;
    seal_record(bytes, sizeof bytes);
    if (!record_decode(bytes, room, &record))
        return;
    FUZZ_CHECK(record_bytes(record.stored_len) <= room);
    if (!record_crc_matches(&record, bytes))
        return;
    if (record.type == RECORD_EXTENT) {
        struct log_extent next;
        extent_payload_decode(bytes + RECORD_HEADER_BYTES, &next);
    }
    record_encode(&record,
                  record_payload_crc(bytes + RECORD_HEADER_BYTES, record.stored_len),
                  again);
    FUZZ_CHECK(memcmp(bytes, again, sizeof again) == 0);
}

static void run_extent(struct feed *feed)
{
    uint8_t head[RECORD_FIRST_OFF];
    uint8_t again[RECORD_FIRST_OFF];
    struct extent_header header;
    struct log_extent next = {.number = 1};
    uint8_t shape = feed_u8(feed);
    take_rest(feed, head, sizeof head);
    header = (struct extent_header){.pages = 4};
    extent_header_encode(&header, again);
    extent_link_encode(uuid, &next, again + EXTENT_LINK_OFF);
    for (uint32_t off = 0; off < RECORD_FIRST_OFF; off += 64) {
        if (shape & 1)
            memcpy(head + off, again + off, 8); /* the magic */
        if (shape & 2)
            memcpy(head + off + 8, uuid, sizeof uuid);
        if (shape & 4)
            put_u64(head + off + 48, off ? 0 : get_u32(head + 48));
        put_u64(head + off + 56, hash64(head + off, 56));
    }
    if (extent_header_decode(head, &header)) {
        extent_header_encode(&header, again);
        FUZZ_CHECK(memcmp(head, again, LOG_EXTENT_HEADER_BYTES) == 0);
    }
    if (extent_link_decode(head + EXTENT_LINK_OFF, uuid, &next)) {
        extent_link_encode(uuid, &next, again);
        FUZZ_CHECK(memcmp(head + EXTENT_LINK_OFF, again, 48) == 0);
    }
}

/* ---- operations ---- */

static void write_run(struct ops_writer *writer, const struct op *op)
{
    enum { RANGES_MAX = 64 };
    struct op_range ranges[RANGES_MAX];
    uint64_t cursor = 0;
    uint64_t count = 0;
    struct op_range range;
    while (op_run_range(&op->run, &cursor, &range)) {
        FUZZ_CHECK(range.pages > 0);
        FUZZ_CHECK((uint64_t)range.pgno + range.pages <= FILE_PAGES_MAX);
        if (count < RANGES_MAX)
            ranges[count] = range;
        count++;
    }
    FUZZ_CHECK(count == op->run.range_count);
    if (count <= RANGES_MAX)
        FUZZ_CHECK(ops_run(writer, op->table_id, &op->run, ranges, count) == SCN_OK);
}

static void write_op(struct ops_writer *writer, const struct op *op)
{
    scn_status st = SCN_OK;
    if (op->code == OP_PUT)
        st = ops_put(writer, op->table_id, op->key, op->value);
    else if (op->code == OP_DEL)
        st = ops_del(writer, op->table_id, op->key);
    else if (op->code == OP_CLEAR)
        st = ops_clear(writer, op->table_id, op->has_from ? &op->key : NULL,
                       op->has_to ? &op->value : NULL);
    else
        write_run(writer, op);
    FUZZ_CHECK(st == SCN_OK);
}

static bool is_same(scn_slice a, scn_slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* Each number has one shortest form, and the writer uses it. */
static void compare_ops(const uint8_t *data, size_t len, const struct ops_writer *writer)
{
    struct ops_reader first;
    struct ops_reader second;
    struct op a;
    struct op b;
    ops_reader_init(&first, data, len);
    ops_reader_init(&second, writer->data, writer->len);
    while (ops_next(&first, &a) == SCN_OK) {
        if (a.code == OP_RUN && a.run.range_count > 64)
            return;
        FUZZ_CHECK(ops_next(&second, &b) == SCN_OK);
        FUZZ_CHECK(a.code == b.code && a.table_id == b.table_id);
        FUZZ_CHECK(is_same(a.key, b.key) && is_same(a.value, b.value));
        FUZZ_CHECK(a.run.count == b.run.count && is_same(a.run.min, b.run.min));
        FUZZ_CHECK(a.run.range_count == b.run.range_count);
    }
}

static void run_ops(struct feed *feed)
{
    size_t len;
    struct ops_reader reader;
    struct ops_writer writer;
    struct op op;
    scn_status st;
    const uint8_t *at = feed_bytes(feed, RECORD_PAYLOAD_MAX, &len);
    uint8_t *data = malloc(len ? len : 1);
    FUZZ_CHECK(data != NULL);
    memcpy(data, at, len);
    ops_reader_init(&reader, data, len);
    ops_writer_init(&writer);
    while ((st = ops_next(&reader, &op)) == SCN_OK) {
        FUZZ_CHECK(op.key.size <= KEY_BYTES_MAX || op.code == OP_CLEAR);
        write_op(&writer, &op);
    }
    FUZZ_CHECK(st == SCN_END || st == SCN_CORRUPT);
    compare_ops(data, len, &writer);
    ops_writer_destroy(&writer);
    free(data);
}

/* ---- blocks ---- */

static void run_block(struct feed *feed)
{
    size_t len;
    size_t raw_len = feed_u16(feed);
    bool is_plain = feed_u8(feed) & 1;
    const uint8_t *at = feed_bytes(feed, PAGE_BYTES, &len);
    uint8_t packed[2 * PAGE_BYTES];
    uint8_t *raw = malloc(raw_len ? raw_len : 1);
    FUZZ_CHECK(raw != NULL);
    if (is_plain && len > 0) {
        size_t packed_len = compress_block(at, len, packed, sizeof packed);
        FUZZ_CHECK(packed_len > 0);
        if (raw_len == len) {
            FUZZ_CHECK(decompress_block(packed, packed_len, raw, raw_len));
            FUZZ_CHECK(memcmp(raw, at, len) == 0);
        } else {
            FUZZ_CHECK(!decompress_block(packed, packed_len, raw, raw_len));
        }
    } else {
        (void)!decompress_block(at, len, raw, raw_len);
    }
    free(raw);
}

static void run_codecs(const uint8_t *data, size_t size)
{
    static void (*const decoders[])(struct feed *) = {
        run_superblock, run_publish, run_value, run_record,
        run_extent,     run_ops,     run_block};
    struct feed feed = feed_of(data, size);
    decoders[feed_below(&feed, sizeof decoders / sizeof *decoders)](&feed);
}

FUZZ_TARGET(codecs, run_codecs, NULL)
