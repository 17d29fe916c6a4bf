#include "page/bytes.h"
#include "test/unit/unit.h"
#include "wal/extent.h"
#include "wal/record.h"

static const uint8_t uuid[16] = "one of the uuids";

static struct record sample(uint8_t *at, uint32_t len)
{
    memset(at, 0, record_bytes(len));
    for (uint32_t i = 0; i < len; i++)
        at[RECORD_HEADER_BYTES + i] = (uint8_t)(i * 7 + 1);
    struct record record = {
        .type = RECORD_COMMIT,
        .stored_len = len,
        .raw_len = len,
        .lsn = 4096,
        .epoch = 77,
        .synced_lsn = 4000,
        .prev_crc = 0x12345678,
    };
    record_encode(&record, record_payload_crc(at + RECORD_HEADER_BYTES, len), at);
    return record;
}

TEST(record__comes_back_as_it_was_written)
{
    uint8_t at[256];
    struct record record = sample(at, 45);
    struct record found;
    CHECK(record_decode(at, sizeof at, &found));
    CHECK(record_crc_matches(&found, at));
    CHECK_EQ(found.stored_len, 45);
    CHECK_EQ(found.lsn, record.lsn);
    CHECK_EQ(found.epoch, record.epoch);
    CHECK_EQ(found.synced_lsn, record.synced_lsn);
    CHECK_EQ(found.prev_crc, record.prev_crc);
    CHECK_EQ(found.crc, record.crc);
}

TEST(record__does_not_survive_a_flipped_bit)
{
    uint8_t at[256];
    uint32_t len = record_bytes(sample(at, 45).stored_len);
    for (uint32_t bit = 0; bit < len * 8; bit++) {
        at[bit / 8] ^= (uint8_t)(1 << bit % 8);
        struct record found;
        bool is_believed =
            record_decode(at, sizeof at, &found) && record_crc_matches(&found, at);
        at[bit / 8] ^= (uint8_t)(1 << bit % 8);
        CHECK(!is_believed);
    }
}

TEST(record__is_not_made_of_zeros)
{
    uint8_t at[RECORD_HEADER_BYTES] = {0};
    struct record found;
    CHECK(!record_decode(at, sizeof at, &found));
}

TEST(record__needs_its_whole_length)
{
    uint8_t at[256];
    uint32_t len = record_bytes(sample(at, 45).stored_len);
    struct record found;
    for (uint32_t room = 0; room < len; room++)
        CHECK(!record_decode(at, room, &found));
    CHECK(record_decode(at, len, &found));
}

/* Sets a field and makes the CRC right again: only the judgement of the field is left. */
static bool is_accepted(uint32_t off, uint64_t value, uint32_t width)
{
    uint8_t at[256];
    sample(at, 48);
    for (uint32_t i = 0; i < width; i++)
        at[off + i] = (uint8_t)(value >> (8 * i));
    struct record found;
    return record_decode(at, sizeof at, &found);
}

TEST(record__judges_each_field)
{
    CHECK(is_accepted(12, RECORD_COMMIT, 1));
    CHECK(!is_accepted(12, 0, 1));
    CHECK(!is_accepted(12, 5, 1));
    CHECK(!is_accepted(12, RECORD_MARK, 1));
    CHECK(!is_accepted(12, RECORD_EPOCH, 1));
    CHECK(!is_accepted(12, RECORD_EXTENT, 1));
    CHECK(!is_accepted(13, 2, 1));
    CHECK(!is_accepted(13, RECORD_IS_LZ4, 1)); /* not shorter than raw */
    CHECK(!is_accepted(14, 1, 1));
    CHECK(!is_accepted(4, UINT32_MAX, 4));
    CHECK(!is_accepted(8, UINT32_MAX, 4));
    CHECK(!is_accepted(8, 49, 4));
    CHECK(!is_accepted(16, 4097, 8));
    CHECK(!is_accepted(16, UINT64_MAX - 7, 8));
    CHECK(!is_accepted(32, 4097, 8));
    CHECK(!is_accepted(44, 1, 1));
    CHECK(!is_accepted(48, 1, 1));
    CHECK(!is_accepted(79, 1, 1));
}

TEST(record__padding_is_zero)
{
    uint8_t at[256];
    struct record record = sample(at, 45);
    at[RECORD_HEADER_BYTES + 45] = 1;
    CHECK(!record_crc_matches(&record, at));
}

TEST(record__epoch_belongs_to_one_file)
{
    uint64_t state = unit_seed();
    uint8_t other[16] = "another uuid....";
    for (int i = 0; i < 100; i++) {
        uint64_t random = unit_random(&state);
        uint64_t epoch = record_epoch(uuid, random);
        CHECK(record_epoch_is_ours(uuid, epoch));
        CHECK(!record_epoch_is_ours(other, epoch));
        CHECK(!record_epoch_is_ours(uuid, epoch ^ UINT64_C(1) << (i % 64)));
        CHECK(record_epoch(uuid, random + 1) != epoch);
    }
}

TEST(extent__header_comes_back_and_does_not_survive_a_flipped_bit)
{
    struct extent_header header = {
        .number = 5, .start_lsn = 800, .epoch = 9, .pages = 16};
    memcpy(header.uuid, uuid, 16);
    uint8_t at[LOG_EXTENT_HEADER_BYTES];
    extent_header_encode(&header, at);
    struct extent_header found;
    CHECK(extent_header_decode(at, &found));
    CHECK_EQ(found.number, 5);
    CHECK_EQ(found.start_lsn, 800);
    CHECK_EQ(found.epoch, 9);
    CHECK_EQ(found.pages, 16);
    CHECK(memcmp(found.uuid, uuid, 16) == 0);
    for (uint32_t bit = 0; bit < sizeof at * 8; bit++) {
        at[bit / 8] ^= (uint8_t)(1 << bit % 8);
        CHECK(!extent_header_decode(at, &found));
        at[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

TEST(extent__link_comes_back_and_does_not_survive_a_flipped_bit)
{
    struct log_extent next = {.pgno = 77, .pages = 4, .number = 3, .start_lsn = 1600};
    uint8_t at[EXTENT_LINK_BYTES];
    extent_link_encode(uuid, &next, at);
    struct log_extent found;
    CHECK(extent_link_decode(at, uuid, &found));
    CHECK_EQ(found.pgno, 77);
    CHECK_EQ(found.pages, 4);
    CHECK_EQ(found.number, 3);
    CHECK_EQ(found.start_lsn, 1600);
    CHECK(!extent_link_decode(at, (const uint8_t *)"another uuid....", &found));
    for (uint32_t bit = 0; bit < sizeof at * 8; bit++) {
        at[bit / 8] ^= (uint8_t)(1 << bit % 8);
        CHECK(!extent_link_decode(at, uuid, &found));
        at[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    memset(at, 0, sizeof at);
    CHECK(!extent_link_decode(at, uuid, &found));
}
