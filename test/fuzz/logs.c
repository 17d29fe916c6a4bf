/* A log whose records the input describes, and the recovery of a store with it.
 *
 * The records are made right: each has its lsn, epoch, chain and checksum, and an EXTENT
 * record finds the head of an extent where it leads to.  What is in them is the input's;
 * and the input may ask that one of these things be wrong, that bytes are left out, or
 * that a record of an older life lies there.  So the fuzzer gets as deep as it likes:
 * into the operations, from extent to extent, and behind the end of the log.
 *
 *     how u8 (survey.h) | records: type u8, wishes u8, then what these ask for */
#include "engine/store.h"
#include "page/compress.h"
#include "page/hash.h"
#include "test/fuzz/feed.h"
#include "test/fuzz/stage.h"
#include "test/fuzz/survey.h"
#include "test/fuzz/target.h"
#include "wal/log.h"
#include "wal/ops.h"

enum {
    FIRST_LOG_PAGE = FIRST_FREE_PAGE_NO,
    EXTENTS = 4,
    FILE_PAGES = FIRST_LOG_PAGE + EXTENTS * LOG_EXTENT_PAGES,
    PAYLOAD_ROOM = 6000
};

static const uint8_t uuid[16] = "0123456789abcdef";

/* What is asked of a record besides its type. */
enum wish {
    WISH_BAD_CRC = 1,
    WISH_BAD_CHAIN = 2,
    WISH_NEW_EPOCH = 4,
    WISH_SYNCED = 8,  /* it bears witness of all before it */
    WISH_LZ4 = 16,    /* its payload is said to be compressed; with WISH_PACK it is */
    WISH_PACK = 32,
    WISH_GAP = 64,    /* something else lies before it */
    WISH_RAW = 128    /* operations are bytes as they stand in the input */
};

struct scribe {
    uint8_t bytes[FILE_PAGES * PAGE_BYTES];
    struct log_base at;
    uint8_t payload[PAYLOAD_ROOM];
    size_t payload_len;
};

/* ---- payloads ---- */

static scn_slice some_slice(struct feed *feed, size_t bound)
{
    size_t got;
    size_t len = feed_below(feed, (uint32_t)bound);
    const uint8_t *at = feed_bytes(feed, len, &got);
    return (scn_slice){at, got};
}

/* Rows of the catalog, for tables to be there. */
static void write_row(struct ops_writer *writer, struct feed *feed)
{
    uint8_t key[64];
    uint8_t value[64];
    static const char letters[] = "NI#RN";
    size_t key_len = 1;
    uint32_t id = 16 + feed_below(feed, 3);
    key[0] = (uint8_t)letters[feed_below(feed, sizeof letters)];
    memset(value, 0, sizeof value);
    put_u32(value, id);
    size_t value_len = 4;
    if (key[0] == 'N') {
        key[key_len++] = (uint8_t)('a' + id - 16);
    } else if (key[0] == 'I') {
        put_be32(key + 1, id);
        key_len = 5;
        put_u32(value, feed_below(feed, 4));
        value[value_len++] = (uint8_t)('a' + id - 16);
    } else if (key[0] == 'R') {
        put_be32(key + 1, id);
        key_len = 5;
        value_len = sizeof value;
    }
    if (feed_below(feed, 16) == 15)
        value_len = feed_below(feed, sizeof value);
    FUZZ_CHECK(ops_put(writer, TABLE_CATALOG, (scn_slice){key, key_len},
                       (scn_slice){value, value_len}) == SCN_OK);
}

static void write_run(struct ops_writer *writer, struct feed *feed, uint32_t table)
{
    struct op_run run = {
        .root = {.hash = 1, .birth_gen = feed_u8(feed), .link_gen = 1,
                 .pgno = feed_u8(feed), .hint = 1, .type = PAGE_LEAF},
        .count = 1, .value_bytes = 1, .min = {"a", 1}, .max = {"b", 1},
    };
    struct op_range range = {FILE_PAGES - 1 - feed_below(feed, 4),
                             1 + feed_below(feed, 2)};
    run.root.pgno = run.root.pgno < FIRST_FREE_PAGE_NO ? range.pgno : run.root.pgno;
    FUZZ_CHECK(ops_run(writer, table, &run, &range, 1) == SCN_OK);
}

/* A few operations that decode. */
static void write_ops(struct scribe *scribe, struct feed *feed)
{
    static const uint8_t zeros[4000];
    static const scn_slice long_values[] = {{zeros, 300}, {zeros, sizeof zeros}};
    struct ops_writer writer;
    ops_writer_init(&writer);
    uint32_t count = feed_below(feed, 12);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t kind = feed_below(feed, 16);
        uint32_t table = feed_below(feed, 8);
        table = table == 7 ? TABLE_USAGE : table == 6 ? feed_u8(feed) : 16 + table % 3;
        scn_slice key = some_slice(feed, 24);
        key = key.size > 0 ? key : (scn_slice){"k", 1};
        scn_slice to = kind >= 8 ? some_slice(feed, 64) : (scn_slice){NULL, 0};
        if (kind < 4)
            write_row(&writer, feed);
        else if (kind < 6)
            FUZZ_CHECK(ops_del(&writer, table, key) == SCN_OK);
        else if (kind < 8)
            FUZZ_CHECK(ops_put(&writer, table, key, long_values[kind - 6]) == SCN_OK);
        else if (kind < 14)
            FUZZ_CHECK(ops_put(&writer, table, key, to) == SCN_OK);
        else if (kind == 14)
            FUZZ_CHECK(ops_clear(&writer, table, key.size > 1 ? &key : NULL,
                                 to.size > 0 ? &to : NULL) == SCN_OK);
        else
            write_run(&writer, feed, table);
    }
    scribe->payload_len = writer.len < PAYLOAD_ROOM ? writer.len : PAYLOAD_ROOM;
    if (writer.len > 0)
        memcpy(scribe->payload, writer.data, scribe->payload_len);
    ops_writer_destroy(&writer);
}

static void take_ops(struct scribe *scribe, struct feed *feed)
{
    size_t got;
    const uint8_t *at = feed_bytes(feed, feed_u16(feed) % PAYLOAD_ROOM, &got);
    memcpy(scribe->payload, at, got);
    scribe->payload_len = got;
}

/* ---- records ---- */

static struct record frame(struct scribe *scribe, struct feed *feed, uint8_t type,
                           uint8_t wishes)
{
    struct record record = {.type = type, .lsn = scribe->at.lsn,
                            .epoch = scribe->at.epoch, .prev_crc = scribe->at.prev_crc};
    if (wishes & WISH_NEW_EPOCH) {
        record.epoch = record_epoch(uuid, feed_u8(feed));
        record.lsn += RECORD_ALIGN * (uint64_t)feed_u16(feed);
    }
    if (wishes & WISH_SYNCED)
        record.synced_lsn = record.lsn;
    if (wishes & WISH_BAD_CHAIN)
        record.prev_crc ^= 1u << feed_below(feed, 32);
    return record;
}

/* Into payload; the length of what is stored. */
static void fill_payload(struct scribe *scribe, struct feed *feed, struct record *record,
                         uint8_t wishes, struct log_extent *next)
{
    struct record_origin origin = {scribe->at.epoch, scribe->at.lsn};
    scribe->payload_len = 0;
    if (record->type == RECORD_COMMIT) {
        if (wishes & WISH_RAW)
            take_ops(scribe, feed);
        else
            write_ops(scribe, feed);
    } else if (record->type == RECORD_EPOCH) {
        record_origin_encode(&origin, scribe->payload);
        scribe->payload_len = RECORD_EPOCH_PAYLOAD_BYTES;
    } else if (record->type == RECORD_EXTENT) {
        extent_payload_encode(&origin, next, scribe->payload);
        scribe->payload_len = RECORD_EXTENT_PAYLOAD_BYTES;
    }
    record->stored_len = record->raw_len = (uint32_t)scribe->payload_len;
}

static void pack(struct scribe *scribe, struct feed *feed, struct record *record,
                 uint8_t wishes)
{
    uint8_t packed[PAYLOAD_ROOM];
    if (!(wishes & WISH_LZ4))
        return;
    record->flags = RECORD_IS_LZ4;
    record->raw_len += wishes & WISH_PACK ? 0 : 1 + feed_u16(feed);
    if (!(wishes & WISH_PACK))
        return;
    size_t len = compress_block(scribe->payload, scribe->payload_len, packed,
                                sizeof packed);
    if (len > 0 && len < scribe->payload_len) {
        memcpy(scribe->payload, packed, len);
        record->stored_len = (uint32_t)len;
    } else {
        record->flags = 0;
    }
}

/* Where the log goes on, and its head. */
static struct log_extent next_extent(struct scribe *scribe, struct feed *feed,
                                     const struct record *record)
{
    uint32_t shape = feed_below(feed, 32);
    struct log_extent next = {
        .pgno = FIRST_LOG_PAGE + LOG_EXTENT_PAGES * (shape % EXTENTS),
        .pages = LOG_EXTENT_PAGES, .number = scribe->at.extent_number + 1,
        .start_lsn = record->lsn + RECORD_EXTENT_BYTES};
    if (shape >= 24)
        next.pages = feed_u8(feed);
    if (shape >= 28)
        next.pgno = feed_u8(feed);
    return next;
}

static bool is_in_image(const struct log_extent *next)
{
    return next->pgno >= FIRST_LOG_PAGE && next->pages >= 1 &&
           next->pages <= LOG_EXTENT_PAGES && next->pgno + next->pages <= FILE_PAGES;
}

static void enter(struct scribe *scribe, struct feed *feed, const struct record *record,
                  const struct log_extent *next)
{
    uint8_t shape = feed_u8(feed);
    struct extent_header header = {.number = next->number, .start_lsn = next->start_lsn,
                                   .epoch = record->epoch, .pages = next->pages};
    uint8_t *head = scribe->bytes + extent_file_off(next->pgno);
    memcpy(header.uuid, uuid, sizeof uuid);
    if (shape & 1)
        extent_link_encode(uuid, next, scribe->bytes +
                                           extent_file_off(scribe->at.extent_pgno) +
                                           EXTENT_LINK_OFF);
    header.number += (shape & 6) == 6;
    header.epoch += (shape & 24) == 24;
    extent_header_encode(&header, head);
    if ((shape & 96) == 96)
        head[shape % 64] ^= 1;
    scribe->at.extent_pgno = next->pgno;
    scribe->at.extent_pages = next->pages;
    scribe->at.extent_number = next->number;
    scribe->at.extent_off = RECORD_FIRST_OFF;
    scribe->at.lsn = next->start_lsn;
}

/* False: it does not fit. */
static bool put_record(struct scribe *scribe, struct record *record, bool is_broken)
{
    uint8_t *extent = scribe->bytes + extent_file_off(scribe->at.extent_pgno);
    uint32_t room = extent_bytes(scribe->at.extent_pages) - scribe->at.extent_off;
    uint8_t *at = extent + scribe->at.extent_off;
    if (record_bytes(record->stored_len) > room)
        return false;
    memset(at, 0, record_bytes(record->stored_len));
    memcpy(at + RECORD_HEADER_BYTES, scribe->payload, record->stored_len);
    record_encode(record, record_payload_crc(scribe->payload, record->stored_len), at);
    at[record->stored_len % RECORD_HEADER_BYTES] ^= is_broken;
    scribe->at.extent_off += record_bytes(record->stored_len);
    scribe->at.lsn = record->lsn + record_bytes(record->stored_len);
    scribe->at.epoch = record->epoch;
    scribe->at.prev_crc = record->crc;
    return true;
}

static bool write_record(struct scribe *scribe, struct feed *feed)
{
    static const uint8_t types[] = {RECORD_COMMIT, RECORD_COMMIT, RECORD_COMMIT,
                                    RECORD_EPOCH,  RECORD_EXTENT, RECORD_MARK,
                                    RECORD_COMMIT, 0};
    uint8_t type = types[feed_below(feed, sizeof types)];
    uint8_t wishes = feed_u8(feed);
    struct log_extent next = {0};
    if (wishes & WISH_GAP)
        scribe->at.extent_off += RECORD_ALIGN * feed_u8(feed);
    if (scribe->at.extent_off >= extent_bytes(scribe->at.extent_pages))
        return false;
    struct record record = frame(scribe, feed, type, wishes);
    if (type == RECORD_EXTENT)
        next = next_extent(scribe, feed, &record);
    fill_payload(scribe, feed, &record, wishes, &next);
    pack(scribe, feed, &record, wishes);
    if (!put_record(scribe, &record, wishes & WISH_BAD_CRC))
        return false;
    if (type == RECORD_EXTENT && is_in_image(&next))
        enter(scribe, feed, &record, &next);
    return true;
}

/* ---- the file ---- */

static void write_slots(struct scribe *scribe, const struct log_base *base)
{
    struct superblock sb = {.version = SUPERBLOCK_VERSION, .page_bytes = PAGE_BYTES,
                            .gen = 1, .gen_id = 1, .base = *base};
    sb.page_count = sb.needed_pages = FIRST_LOG_PAGE + LOG_EXTENT_PAGES;
    memcpy(sb.uuid, uuid, sizeof uuid);
    superblock_encode(&sb, scribe->bytes + PAGE_BYTES);
    sb.gen = 2;
    superblock_encode(&sb, scribe->bytes);
}

static void write_file(struct scribe *scribe, struct feed *feed)
{
    struct extent_header header = {.start_lsn = RECORD_FIRST_OFF,
                                   .pages = LOG_EXTENT_PAGES};
    struct log_base base = {.lsn = RECORD_FIRST_OFF, .epoch = record_epoch(uuid, 1),
                            .extent_pgno = FIRST_LOG_PAGE,
                            .extent_pages = LOG_EXTENT_PAGES,
                            .extent_off = RECORD_FIRST_OFF};
    memset(scribe->bytes, 0, sizeof scribe->bytes);
    memcpy(header.uuid, uuid, sizeof uuid);
    header.epoch = base.epoch;
    extent_header_encode(&header, scribe->bytes + extent_file_off(FIRST_LOG_PAGE));
    write_slots(scribe, &base);
    scribe->at = base;
    for (int i = 0; i < 64 && feed_left(feed) >= 2; i++)
        if (!write_record(scribe, feed))
            break;
}

/* ---- the log alone ---- */

static scn_status visit(void *ctx, const struct log_visit *visit)
{
    uint64_t *last = ctx;
    struct ops_reader reader;
    struct op op;
    FUZZ_CHECK(visit->end_lsn > *last);
    *last = visit->end_lsn;
    FUZZ_CHECK(visit->payload_len <= RECORD_PAYLOAD_MAX);
    if (visit->record.type != RECORD_COMMIT)
        return SCN_OK;
    ops_reader_init(&reader, visit->payload, visit->payload_len);
    while (ops_next(&reader, &op) == SCN_OK)
        continue;
    return SCN_OK;
}

static void scan(struct sys *sys, const struct scribe *scribe)
{
    struct superblock sb;
    struct file file;
    struct log_scan_result result;
    uint64_t last = 0;
    FUZZ_CHECK(superblock_decode(scribe->bytes, &sb, NULL) == SUPERBLOCK_GOOD);
    FUZZ_CHECK(file_open(&file, sys, STAGE_STORE, true) == SCN_OK);
    scn_status st = log_scan(&file, uuid, &sb.base, 0, false, visit, &last, &result);
    FUZZ_CHECK(st == SCN_OK);
    FUZZ_CHECK(result.capacity_lsn >= result.end.lsn);
    FUZZ_CHECK(result.end.lsn >= last);
    FUZZ_CHECK(result.kind == LOG_END_CORRUPT || result.watermark <= result.end.lsn);
    file_close(&file);
}

static void run_logs(const uint8_t *data, size_t size)
{
    static struct scribe scribe;
    struct feed feed = feed_of(data, size);
    (void)feed_u8(&feed); /* survey_how looks at it */
    write_file(&scribe, &feed);
    struct sys *sys = stage_build();
    stage_put_file(sys, scribe.bytes, sizeof scribe.bytes);
    scan(sys, &scribe);
    survey_lives(sys, survey_how(data, size));
    stage_strike(sys);
}

FUZZ_TARGET(logs, run_logs, NULL)
