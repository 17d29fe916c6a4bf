/* Judging the end of a log.  The expectation of every damage comes from a scan of the
 * same log while it was whole: a damaged record ends the log before itself, and that is
 * corruption exactly when a record behind it says that its place had been synced. */
#include "page/hash.h"
#include "test/wal/logworld.h"

static struct seen whole;
static struct seen seen;

static uint8_t byte_at(struct world *world, uint64_t off)
{
    uint8_t byte;
    CHECK(sim_peek(world->disk, WORLD_PATH, off, &byte, 1));
    return byte;
}

static void flip(struct world *world, uint64_t off, uint8_t mask)
{
    uint8_t byte = byte_at(world, off) ^ mask;
    CHECK(sim_rot(world->disk, WORLD_PATH, off, &byte, 1));
}

/* Records of two extents and two epochs; some were synced one by one, some together, the
 * last two never. */
static void build(struct world *world)
{
    world_create(world, WORLD_SPARES);
    world_commit_number(world, 0, 40);
    world_append_number(world, 1, 100);
    world_commit_number(world, 2, 8);
    struct log_base base = world->base;
    struct log_spare spares[WORLD_SPARES];
    world_spares(spares);
    struct sim_disk *disk = world->disk;
    world_detach(world);
    world_attach(world, disk);
    world->base = base;
    struct log_scan_result result = world_scan(world, &seen);
    world_recover(world, &result, spares, WORLD_SPARES, 7);
    world_commit_number(world, 3, 33);
    world_commit_number(world, 4, 65);
    CHECK_OK(log_roll(world->log));
    world_append_number(world, 5, 20);
    world_commit_number(world, 6, 300);
    world_commit_number(world, 7, 9);
    world_append_number(world, 8, 50);
    world_append_number(world, 9, 60);
    /* On the medium, where the damage will be; the log does not know of this sync. */
    CHECK_OK(file_sync(&world->file));
    result = world_scan(world, &whole);
    CHECK_EQ(result.kind, LOG_END_CLEAN);
    CHECK_EQ(whole.number_count, 10);
    CHECK_EQ(whole.count, 12);
}

static uint64_t place_lsn(const struct world *world, uint32_t idx)
{
    return idx == 0 ? world->base.lsn : whole.visits[idx - 1].next.lsn;
}

static uint64_t end_off(uint32_t idx)
{
    return whole.visits[idx].file_off + record_bytes(whole.visits[idx].record.stored_len);
}

/* Record idx is bad; does one behind it tell? */
static bool is_proved(const struct world *world, uint32_t idx)
{
    for (uint32_t i = idx + 1; i < whole.count; i++) {
        if (whole.visits[i].record.synced_lsn > place_lsn(world, idx))
            return true;
    }
    return false;
}

static void check_ends_before(struct world *world, uint32_t idx)
{
    struct log_scan_result result = world_scan(world, &seen);
    CHECK_EQ(seen.count, idx);
    CHECK_EQ(result.end.lsn, place_lsn(world, idx));
    CHECK_EQ(result.bad_off, whole.visits[idx].file_off);
    CHECK_EQ(result.kind, is_proved(world, idx) ? LOG_END_CORRUPT : LOG_END_TORN);
    CHECK(!seen.is_wrong);
    CHECK(result.why != NULL);
}

TEST(scan__tells_rot_from_a_torn_tail_at_every_byte_of_every_record)
{
    struct world world;
    build(&world);
    uint64_t state = unit_seed();
    for (uint32_t i = 0; i < whole.count; i++) {
        uint64_t stride = PAGE_IS_SMALL ? 1 : 3;
        for (uint64_t off = whole.visits[i].file_off; off < end_off(i); off += stride) {
            uint8_t mask = (uint8_t)(1 << (unit_random(&state) >> 40) % 8);
            flip(&world, off, mask);
            check_ends_before(&world, i);
            flip(&world, off, mask);
        }
    }
    /* Both kinds were there, and the first record of an epoch and of an extent. */
    CHECK(is_proved(&world, 0));
    CHECK(!is_proved(&world, whole.count - 2));
    CHECK_EQ(whole.visits[3].record.type, RECORD_EPOCH);
    CHECK_EQ(whole.visits[6].record.type, RECORD_EXTENT);
    world_destroy(&world);
}

TEST(scan__takes_a_lost_sector_in_front_of_synced_records_for_corruption)
{
    struct world world;
    build(&world);
    static const uint8_t zeros[RECORD_PAYLOAD_MAX + 2 * RECORD_HEADER_BYTES];
    uint8_t saved[1024];
    for (uint32_t i = 0; i < whole.count; i++) {
        uint64_t len = end_off(i) - whole.visits[i].file_off;
        CHECK(sim_peek(world.disk, WORLD_PATH, whole.visits[i].file_off, saved, len));
        CHECK(sim_rot(world.disk, WORLD_PATH, whole.visits[i].file_off, zeros, len));
        struct log_scan_result result = world_scan(&world, &seen);
        CHECK_EQ(seen.count, i);
        CHECK_EQ(result.kind == LOG_END_CORRUPT, is_proved(&world, i));
        CHECK(sim_rot(world.disk, WORLD_PATH, whole.visits[i].file_off, saved, len));
    }
    world_destroy(&world);
}

TEST(scan__judges_the_header_of_each_extent)
{
    struct world world;
    build(&world);
    for (uint64_t off = 0; off < LOG_EXTENT_HEADER_BYTES; off++) {
        flip(&world, (uint64_t)WORLD_FIRST_PGNO * PAGE_BYTES + off, 1);
        struct log_scan_result result = world_scan(&world, &seen);
        CHECK_EQ(result.kind, LOG_END_CORRUPT);
        CHECK_EQ(result.bad_off, (uint64_t)WORLD_FIRST_PGNO * PAGE_BYTES);
        CHECK_EQ(seen.count, whole.count);
        flip(&world, (uint64_t)WORLD_FIRST_PGNO * PAGE_BYTES + off, 1);
        /* An EXTENT record goes down with the extent it leads to. */
        flip(&world, (uint64_t)WORLD_SPARE_PGNO * PAGE_BYTES + off, 1);
        check_ends_before(&world, 6);
        flip(&world, (uint64_t)WORLD_SPARE_PGNO * PAGE_BYTES + off, 1);
    }
    world_destroy(&world);
}

/* A power cut has taken a long record, and left the one behind it that led on.  The log
 * leaves the extent anew, in front of that. */
TEST(scan__follows_the_log_where_it_left_an_extent_last)
{
    struct world world;
    struct log_spare spares[WORLD_SPARES];
    world_create(&world, WORLD_SPARES);
    world_spares(spares);
    world_commit_number(&world, 0, 40);
    struct log_base cut;
    log_position(world.log, &cut);
    world_append_number(&world, 1, 2000);
    CHECK_OK(log_roll(world.log));
    CHECK_OK(file_sync(&world.file));
    flip(&world, (uint64_t)cut.extent_pgno * PAGE_BYTES + cut.extent_off, 1);
    struct log_base base = world.base;
    struct sim_disk *disk = world.disk;
    world_detach(&world);
    world_attach(&world, disk);
    world.base = base;
    struct log_scan_result result = world_scan(&world, &seen);
    CHECK_EQ(result.end.lsn, cut.lsn);
    world_recover(&world, &result, spares + 1, WORLD_SPARES - 1, 7);
    world_append_number(&world, 2, 40);
    CHECK_OK(log_roll(world.log));
    world_commit_number(&world, 3, 40);
    world_commit_number(&world, 4, 40);
    result = world_scan(&world, &whole);
    CHECK_EQ(whole.number_count, 4);
    CHECK_EQ(whole.visits[3].record.type, RECORD_EXTENT);
    CHECK(is_proved(&world, 3));
    for (uint32_t i = 0; i < whole.count; i++) {
        flip(&world, whole.visits[i].file_off, 1);
        check_ends_before(&world, i);
        flip(&world, whole.visits[i].file_off, 1);
    }
    world_destroy(&world);
}

/* A power cut has taken the link, and left the record. */
TEST(scan__finds_the_link_that_a_recovery_has_written)
{
    struct world world;
    struct log_spare spares[WORLD_SPARES];
    static const uint8_t zeros[EXTENT_LINK_BYTES];
    world_create(&world, WORLD_SPARES);
    world_spares(spares);
    world_commit_number(&world, 0, 40);
    CHECK_OK(log_roll(world.log));
    CHECK_OK(file_sync(&world.file));
    uint64_t link_off = extent_file_off(WORLD_FIRST_PGNO) + EXTENT_LINK_OFF;
    CHECK(sim_rot(world.disk, WORLD_PATH, link_off, zeros, sizeof zeros));
    log_destroy(world.log);
    struct log_scan_result result = world_scan(&world, &seen);
    world_recover(&world, &result, spares + 1, WORLD_SPARES - 1, 7);
    world_commit_number(&world, 1, 40);
    world_commit_number(&world, 2, 40);
    (void)world_scan(&world, &whole);
    CHECK_EQ(whole.visits[1].record.type, RECORD_EXTENT);
    CHECK(is_proved(&world, 1));
    flip(&world, whole.visits[1].file_off, 1);
    check_ends_before(&world, 1);
    world_destroy(&world);
}

TEST(scan__does_not_need_the_link)
{
    struct world world;
    build(&world);
    for (uint64_t off = EXTENT_LINK_OFF; off < RECORD_FIRST_OFF; off++) {
        flip(&world, (uint64_t)WORLD_FIRST_PGNO * PAGE_BYTES + off, 0x10);
        CHECK_EQ(world_scan(&world, &seen).kind, LOG_END_CLEAN);
        CHECK_EQ(seen.count, whole.count);
        flip(&world, (uint64_t)WORLD_FIRST_PGNO * PAGE_BYTES + off, 0x10);
    }
    world_destroy(&world);
}

/* Everything from off on is gone, in the order of the log. */
static void cut(struct world *world, uint64_t off, uint64_t extent_end)
{
    static const uint8_t zeros[LOG_EXTENT_PAGES * PAGE_BYTES];
    CHECK(sim_rot(world->disk, WORLD_PATH, off, zeros, extent_end - off));
    uint64_t next = (uint64_t)WORLD_SPARE_PGNO * PAGE_BYTES;
    if (extent_end <= next)
        CHECK(sim_rot(world->disk, WORLD_PATH, next, zeros, sizeof zeros));
}

TEST(scan__finds_the_right_prefix_at_every_cut)
{
    struct world world;
    build(&world);
    uint64_t split = (uint64_t)WORLD_SPARE_PGNO * PAGE_BYTES;
    uint64_t end = split + (uint64_t)LOG_EXTENT_PAGES * PAGE_BYTES;
    for (uint32_t i = whole.count; i-- > 0;) {
        uint64_t first = whole.visits[i].file_off;
        for (uint64_t off = end_off(i) - 8; off + 8 > first; off -= 8) {
            cut(&world, off, first < split ? split : end);
            struct log_scan_result result = world_scan(&world, &seen);
            CHECK_EQ(seen.count, i);
            CHECK_EQ(result.end.lsn, place_lsn(&world, i));
            CHECK_EQ(result.kind, off == first ? LOG_END_CLEAN : LOG_END_TORN);
        }
    }
    world_destroy(&world);
}

TEST(scan__appends_behind_a_torn_tail_through_a_new_epoch)
{
    struct world world;
    build(&world);
    uint32_t last = whole.count - 2;
    flip(&world, whole.visits[last].file_off + 90, 1);
    struct log_base base = world.base;
    struct sim_disk *disk = world.disk;
    for (uint64_t round = 0; round < 5; round++) {
        world_detach(&world);
        world_attach(&world, disk);
        world.base = base;
        struct log_scan_result result = world_scan(&world, &seen);
        CHECK(round == 0 ? result.kind == LOG_END_TORN : result.kind != LOG_END_CORRUPT);
        CHECK_EQ(seen.number_count, 8 + round);
        world_recover(&world, &result, NULL, 0, 100 + round);
        world_commit_number(&world, 100 + round, 60);
    }
    world_scan(&world, &seen);
    for (uint64_t i = 0; i < 13; i++)
        CHECK_EQ(seen.numbers[i], i < 8 ? i : 100 + i - 8);
    world_destroy(&world);
}

TEST(scan__counts_what_others_know_to_be_synced)
{
    struct world world;
    build(&world);
    uint64_t end_lsn = log_appended(world.log);
    struct log_scan_result result;
    CHECK_OK(log_scan(&world.file, world_uuid, &world.base, end_lsn, false, seen_visit,
                      &seen, &result));
    CHECK_EQ(result.kind, LOG_END_CLEAN);
    CHECK_EQ(result.watermark, end_lsn);
    CHECK_OK(log_scan(&world.file, world_uuid, &world.base, end_lsn + 1, false,
                      seen_visit, &seen, &result));
    CHECK_EQ(result.kind, LOG_END_CORRUPT);
    world_destroy(&world);
}

/* ---- records that somebody made up ---- */

/* Puts a record with a right CRC at the end of the log; chained as told. */
static void forge(struct world *world, struct record record, const void *payload)
{
    struct log_base at;
    log_position(world->log, &at);
    uint8_t bytes[1024] = {0};
    memcpy(bytes + RECORD_HEADER_BYTES, payload, record.stored_len);
    record_encode(&record, record_payload_crc(payload, record.stored_len), bytes);
    uint64_t off = (uint64_t)at.extent_pgno * PAGE_BYTES + at.extent_off;
    CHECK(sim_rot(world->disk, WORLD_PATH, off, bytes, record_bytes(record.stored_len)));
}

static struct record fitting(struct world *world, enum record_type type, uint32_t len)
{
    struct log_base at;
    log_position(world->log, &at);
    return (struct record){
        .type = (uint8_t)type,
        .stored_len = len,
        .raw_len = len,
        .lsn = at.lsn,
        .epoch = at.epoch,
        .prev_crc = at.prev_crc,
    };
}

static void check_refused(struct world *world, uint32_t kind)
{
    struct log_scan_result result = world_scan(world, &seen);
    CHECK_EQ(seen.count, 1);
    CHECK_EQ(result.kind, kind);
}

TEST(scan__refuses_a_stale_record_that_fits_but_for_the_chain)
{
    struct world world;
    world_create(&world, 0);
    world_commit_number(&world, 0, 40);
    uint8_t payload[8] = "payload";
    struct record record = fitting(&world, RECORD_COMMIT, 8);
    forge(&world, record, payload);
    world_scan(&world, &seen);
    CHECK_EQ(seen.count, 2); /* so it is only what follows that is refused */
    record.prev_crc ^= 1;
    forge(&world, record, payload);
    check_refused(&world, LOG_END_TORN);
    record = fitting(&world, RECORD_COMMIT, 8);
    record.epoch ^= 1;
    forge(&world, record, payload);
    check_refused(&world, LOG_END_TORN);
    record = fitting(&world, RECORD_COMMIT, 8);
    record.lsn += 8;
    forge(&world, record, payload);
    check_refused(&world, LOG_END_TORN);
    world_destroy(&world);
}

TEST(scan__refuses_an_epoch_that_began_elsewhere)
{
    struct world world;
    world_create(&world, 0);
    world_commit_number(&world, 0, 40);
    struct record record = fitting(&world, RECORD_EPOCH, RECORD_EPOCH_PAYLOAD_BYTES);
    struct record_origin origin = {.epoch = record.epoch, .lsn = record.lsn};
    uint8_t payload[RECORD_EPOCH_PAYLOAD_BYTES];
    record.epoch = 12345;
    record.lsn += 4096;
    record_origin_encode(&origin, payload);
    forge(&world, record, payload);
    world_scan(&world, &seen);
    CHECK_EQ(seen.count, 2);
    origin.lsn -= 8;
    record_origin_encode(&origin, payload);
    forge(&world, record, payload);
    check_refused(&world, LOG_END_TORN);
    /* Backwards. */
    record.lsn -= 8192;
    origin.lsn += 8;
    record_origin_encode(&origin, payload);
    forge(&world, record, payload);
    check_refused(&world, LOG_END_TORN);
    record.lsn += 8192;
    origin.epoch ^= 1;
    record_origin_encode(&origin, payload);
    forge(&world, record, payload);
    check_refused(&world, LOG_END_TORN);
    /* No epoch, but a jump. */
    origin.epoch ^= 1;
    record.epoch = origin.epoch;
    record_origin_encode(&origin, payload);
    forge(&world, record, payload);
    check_refused(&world, LOG_END_TORN);
    world_destroy(&world);
}

TEST(scan__refuses_extents_that_cannot_be)
{
    struct world world;
    world_create(&world, 0);
    world_commit_number(&world, 0, 40);
    const struct log_extent bad[] = {
        {.pgno = 0, .pages = 1, .number = 1},
        {.pgno = WORLD_FIRST_PGNO, .pages = LOG_EXTENT_FIRST_PAGES, .number = 1},
        {.pgno = WORLD_FIRST_PGNO, .pages = LOG_EXTENT_FIRST_PAGES, .number = 0},
        {.pgno = WORLD_SPARE_PGNO, .pages = 0, .number = 1},
        {.pgno = WORLD_SPARE_PGNO, .pages = UINT32_MAX, .number = 1},
        {.pgno = WORLD_PAGES - 1, .pages = 2, .number = 1},
        {.pgno = UINT32_MAX, .pages = 1, .number = 1},
        {.pgno = WORLD_SPARE_PGNO,
         .pages = LOG_EXTENT_PAGES,
         .number = 1}, /* no header */
    };
    for (uint32_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct record record =
            fitting(&world, RECORD_EXTENT, RECORD_EXTENT_PAYLOAD_BYTES);
        struct record_origin origin = {.epoch = record.epoch, .lsn = record.lsn};
        uint8_t payload[RECORD_EXTENT_PAYLOAD_BYTES];
        extent_payload_encode(&origin, &bad[i], payload);
        forge(&world, record, payload);
        /* Extents are in the file, durably, before a record leads to them. */
        bool is_inside = extent_is_in_file(&world.file, bad[i].pgno, bad[i].pages);
        check_refused(&world, is_inside ? LOG_END_TORN : LOG_END_CORRUPT);
    }
    world_destroy(&world);
}

/* Forges the way into the first spare, whose header is as told; how many records are
 * believed. */
static uint32_t follow(struct world *world, struct extent_header header)
{
    struct record record = fitting(world, RECORD_EXTENT, RECORD_EXTENT_PAYLOAD_BYTES);
    struct record_origin origin = {.epoch = record.epoch, .lsn = record.lsn};
    struct log_extent next = {
        .pgno = WORLD_SPARE_PGNO, .pages = LOG_EXTENT_PAGES, .number = 1};
    uint8_t payload[RECORD_EXTENT_PAYLOAD_BYTES];
    extent_payload_encode(&origin, &next, payload);
    uint8_t head[LOG_EXTENT_HEADER_BYTES];
    extent_header_encode(&header, head);
    uint64_t off = (uint64_t)WORLD_SPARE_PGNO * PAGE_BYTES;
    CHECK(sim_rot(world->disk, WORLD_PATH, off, head, sizeof head));
    forge(world, record, payload);
    world_scan(world, &seen);
    return seen.count;
}

TEST(scan__compares_each_field_of_the_next_header)
{
    struct world world;
    world_create(&world, 0);
    world_commit_number(&world, 0, 40);
    struct extent_header right = {
        .number = 1,
        .start_lsn = log_appended(world.log) + RECORD_EXTENT_BYTES,
        .epoch = log_epoch(world.log),
        .pages = LOG_EXTENT_PAGES,
    };
    memcpy(right.uuid, world_uuid, sizeof right.uuid);
    CHECK_EQ(follow(&world, right), 2);
    struct extent_header wrong = right;
    wrong.number++;
    CHECK_EQ(follow(&world, wrong), 1);
    wrong = right;
    wrong.start_lsn += 8;
    CHECK_EQ(follow(&world, wrong), 1);
    wrong = right;
    wrong.epoch++;
    CHECK_EQ(follow(&world, wrong), 1);
    wrong = right;
    wrong.pages--;
    CHECK_EQ(follow(&world, wrong), 1);
    wrong = right;
    wrong.uuid[5]++;
    CHECK_EQ(follow(&world, wrong), 1);
    world_destroy(&world);
}

TEST(scan__takes_a_payload_that_does_not_decompress_for_corruption)
{
    struct world world;
    world_create(&world, 0);
    world_commit_number(&world, 0, 40);
    struct record record = fitting(&world, RECORD_COMMIT, 64);
    uint8_t payload[64];
    memset(payload, 0xff, sizeof payload);
    record.raw_len = 4096;
    record.flags = RECORD_IS_LZ4;
    forge(&world, record, payload);
    check_refused(&world, LOG_END_CORRUPT);
    world_destroy(&world);
}

/* A record of another log, with a watermark far beyond ours, inside a payload of ours
 * that is torn. */
static void embed(struct world *world, uint64_t epoch)
{
    uint8_t payload[256] = {0};
    struct record inner = {
        .type = RECORD_MARK,
        .lsn = UINT64_C(1) << 40,
        .synced_lsn = UINT64_C(1) << 39,
        .epoch = epoch,
    };
    record_encode(&inner, record_payload_crc(NULL, 0), payload + 64);
    struct record record = fitting(world, RECORD_COMMIT, sizeof payload);
    forge(world, record, payload);
    struct log_base at;
    log_position(world->log, &at);
    flip(world,
         (uint64_t)at.extent_pgno * PAGE_BYTES + at.extent_off + RECORD_HEADER_BYTES, 1);
}

TEST(scan__does_not_listen_to_the_records_of_another_log)
{
    struct world world;
    world_create(&world, 0);
    world_commit_number(&world, 0, 40);
    embed(&world, 0x123456789);
    check_refused(&world, LOG_END_TORN);
    embed(&world, record_epoch((const uint8_t *)"some other uuid.", 5));
    check_refused(&world, LOG_END_TORN);
    /* The same of this log, of whatever epoch, is a witness. */
    embed(&world, record_epoch(world_uuid, 5));
    check_refused(&world, LOG_END_CORRUPT);
    embed(&world, log_epoch(world.log));
    check_refused(&world, LOG_END_CORRUPT);
    world_destroy(&world);
}

TEST(scan__ends_soon_among_piles_of_damaged_records)
{
    struct world world;
    world_create(&world, 0);
    world_commit_number(&world, 0, 40);
    struct log_base at;
    log_position(world.log, &at);
    struct record record = fitting(&world, RECORD_COMMIT, 8);
    record.prev_crc ^= 1;
    uint32_t room = LOG_EXTENT_FIRST_PAGES * PAGE_BYTES - at.extent_off;
    uint8_t *pile = calloc(1, room);
    for (uint32_t off = 0; off + RECORD_HEADER_BYTES <= room;
         off += RECORD_HEADER_BYTES) {
        uint32_t left = room - off - RECORD_HEADER_BYTES;
        record.stored_len = left < RECORD_PAYLOAD_MAX ? left : RECORD_PAYLOAD_MAX;
        record.raw_len = record.stored_len;
        record_encode(&record, 0, pile + off);
    }
    /* Nobody gets as far as the witness at the end. */
    uint8_t *last = pile + room - RECORD_HEADER_BYTES;
    record.stored_len = record.raw_len = 0;
    record.type = RECORD_MARK;
    record.lsn = record.synced_lsn = at.lsn + room;
    record_encode(&record, record_payload_crc(NULL, 0), last);
    uint64_t off = (uint64_t)at.extent_pgno * PAGE_BYTES + at.extent_off;
    CHECK(sim_rot(world.disk, WORLD_PATH, off, pile, room));
    free(pile);
    struct log_scan_result result = world_scan(&world, &seen);
    CHECK_EQ(seen.count, 1);
    CHECK_EQ(result.kind, LOG_END_CORRUPT);
    CHECK(strstr(result.why, "more damaged records") != NULL);
    world_destroy(&world);
}

TEST(scan__survives_a_base_that_leads_nowhere)
{
    struct world world;
    build(&world);
    struct log_base base = world.base;
    const struct log_base bad[] = {
        {.lsn = 128, .extent_pgno = 0, .extent_pages = 4, .extent_off = 128},
        {.lsn = 128, .extent_pgno = UINT32_MAX, .extent_pages = 4, .extent_off = 128},
        {.lsn = 128, .extent_pgno = 3, .extent_pages = UINT32_MAX, .extent_off = 128},
        {.lsn = 128, .extent_pgno = 3, .extent_pages = 4, .extent_off = 5 * PAGE_BYTES},
        {.lsn = 128, .extent_pgno = 3, .extent_pages = 4, .extent_off = 64},
        {.lsn = 128, .extent_pgno = 3, .extent_pages = 4, .extent_off = 132},
        {.lsn = UINT64_MAX - 7, .extent_pgno = 3, .extent_pages = 4, .extent_off = 128},
    };
    for (uint32_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        world.base = bad[i];
        CHECK_EQ(world_scan(&world, &seen).kind, LOG_END_CORRUPT);
        CHECK_EQ(seen.count, 0);
    }
    world.base = base;
    world.base.extent_off = LOG_EXTENT_FIRST_PAGES * PAGE_BYTES; /* no byte is left */
    CHECK_EQ(world_scan(&world, &seen).record_count, 0);
    world_destroy(&world);
}

static scn_status stop_at_third(void *ctx, const struct log_visit *visit)
{
    (void)visit;
    uint32_t *count = ctx;
    return ++*count == 3 ? SCN_INTERRUPTED : SCN_OK;
}

TEST(scan__stops_when_the_visitor_fails)
{
    struct world world;
    build(&world);
    uint32_t count = 0;
    struct log_scan_result result;
    CHECK_EQ(log_scan(&world.file, world_uuid, &world.base, 0, false, stop_at_third,
                      &count, &result),
             SCN_INTERRUPTED);
    CHECK_EQ(count, 3);
    CHECK_EQ(result.record_count, 2);
    world_destroy(&world);
}

TEST(scan__fails_when_the_medium_does)
{
    struct world world;
    build(&world);
    sim_fault_set(
        world.sys,
        &(struct sim_fault){.kind = SIM_FAIL, .call = SIM_READ, .nth = 2, .error = 5});
    struct log_scan_result result;
    CHECK_EQ(log_scan(&world.file, world_uuid, &world.base, 0, true, seen_visit, &seen,
                      &result),
             SCN_IO);
    world_destroy(&world);
}

TEST(scan__is_not_misled_by_a_bit_flipped_on_the_way)
{
    struct world world;
    build(&world);
    struct log_scan_result right = world_scan(&world, &seen);
    uint64_t reads = sim_call_count(world.sys, SIM_READ);
    (void)world_scan(&world, &seen);
    reads = sim_call_count(world.sys, SIM_READ) - reads;
    CHECK(reads >= 2);
    for (uint64_t nth = 1; nth <= reads; nth++)
        for (uint64_t bit = 0; bit < LOG_EXTENT_FIRST_PAGES * PAGE_BYTES * 8; bit += 61) {
            sim_fault_set(world.sys, &(struct sim_fault){.kind = SIM_FLIP,
                                                         .call = SIM_READ,
                                                         .nth = nth,
                                                         .bit = bit});
            struct log_scan_result result = world_scan(&world, &seen);
            CHECK_EQ(result.end.lsn, right.end.lsn);
            CHECK_EQ(seen.number_count, 10);
            CHECK_EQ(result.kind, right.kind);
            sim_fault_clear(world.sys);
            if (bit > 20000)
                bit += (PAGE_BYTES - 1) / 61 * 61;
        }
    world_destroy(&world);
}

TEST(scan__survives_random_damage)
{
    struct world world;
    build(&world);
    uint64_t state = unit_seed();
    struct sim_disk *sound = sim_disk_copy(world.disk);
    uint64_t from = (uint64_t)WORLD_FIRST_PGNO * PAGE_BYTES;
    uint64_t span = end_off(5) - from;
    uint8_t *bytes = malloc(span);
    CHECK(sim_peek(sound, WORLD_PATH, from, bytes, span));
    for (int i = 0; i < (PAGE_IS_SMALL ? 2000 : 300); i++) {
        uint8_t *mutant = malloc(span);
        memcpy(mutant, bytes, span);
        uint64_t start = unit_random(&state) % span;
        uint64_t len = unit_random(&state) % 700;
        for (uint64_t k = start; k < span && k < start + len; k++)
            mutant[k] = unit_random(&state) & 1 ? (uint8_t)(unit_random(&state) >> 17)
                                                : mutant[k];
        CHECK(sim_rot(world.disk, WORLD_PATH, from, mutant, span));
        free(mutant);
        struct log_scan_result result = world_scan(&world, &seen);
        CHECK(!seen.is_wrong);
        CHECK_EQ(seen.count, result.record_count);
        for (uint32_t k = 0; k < seen.number_count; k++)
            CHECK_EQ(seen.numbers[k], k);
    }
    free(bytes);
    sim_disk_destroy(sound);
    world_destroy(&world);
}
