/* Byte layout: docs/format.md, "Log record". */
#include "wal/record.h"

#include "page/bytes.h"
#include "page/hash.h"

_Static_assert(RECORD_PAYLOAD_MAX % RECORD_ALIGN == 0,
               "the longest payload needs no padding");
_Static_assert((int)RECORD_PAYLOAD_MAX > (int)KEY_BYTES_MAX, "a key fits a record");
_Static_assert(RECORD_FIRST_OFF % RECORD_ALIGN == 0, "records are aligned in the file");

static const uint8_t padding[RECORD_ALIGN];

static uint32_t padding_bytes(uint32_t stored_len)
{
    return record_bytes(stored_len) - RECORD_HEADER_BYTES - stored_len;
}

uint32_t record_payload_crc(const void *payload, uint32_t stored_len)
{
    uint32_t crc = crc32c(0, payload, stored_len);
    return crc32c(crc, padding, padding_bytes(stored_len));
}

static uint32_t header_crc(uint32_t payload_crc, const uint8_t *at)
{
    return crc32c(payload_crc, at + 4, RECORD_HEADER_BYTES - 4);
}

void record_encode(struct record *record, uint32_t payload_crc, uint8_t *at)
{
    ASSERT(record->lsn % RECORD_ALIGN == 0);
    ASSERT(record->synced_lsn <= record->lsn);
    memset(at, 0, RECORD_HEADER_BYTES);
    put_u32(at + 4, record->stored_len);
    put_u32(at + 8, record->raw_len);
    at[12] = record->type;
    at[13] = record->flags;
    put_u64(at + 16, record->lsn);
    put_u64(at + 24, record->epoch);
    put_u64(at + 32, record->synced_lsn);
    put_u32(at + 40, record->prev_crc);
    record->crc = header_crc(payload_crc, at);
    put_u32(at, record->crc);
}

/* Only COMMIT has a payload of its own shape, and only it is ever compressed. */
static bool lengths_are_possible(const struct record *record)
{
    bool is_lz4 = record->flags & RECORD_IS_LZ4;
    switch (record->type) {
    case RECORD_COMMIT:
        if (record->raw_len > RECORD_PAYLOAD_MAX)
            return false;
        return is_lz4 ? record->stored_len > 0 && record->stored_len < record->raw_len
                      : record->stored_len == record->raw_len;
    case RECORD_EXTENT:
        return !is_lz4 && record->stored_len == RECORD_EXTENT_PAYLOAD_BYTES &&
               record->raw_len == record->stored_len;
    case RECORD_EPOCH:
        return !is_lz4 && record->stored_len == RECORD_EPOCH_PAYLOAD_BYTES &&
               record->raw_len == record->stored_len;
    case RECORD_MARK:
    case RECORD_FREEZE:
        return !is_lz4 && record->stored_len == 0 && record->raw_len == 0;
    default:
        return false;
    }
}

bool record_decode(const uint8_t *at, uint64_t room, struct record *out)
{
    if (room < RECORD_HEADER_BYTES)
        return false;
    *out = (struct record){
        .crc = get_u32(at),
        .stored_len = get_u32(at + 4),
        .raw_len = get_u32(at + 8),
        .type = at[12],
        .flags = at[13],
        .lsn = get_u64(at + 16),
        .epoch = get_u64(at + 24),
        .synced_lsn = get_u64(at + 32),
        .prev_crc = get_u32(at + 40),
    };
    if (get_u16(at + 14) != 0 || (out->flags & ~RECORD_IS_LZ4) != 0 ||
        !lengths_are_possible(out))
        return false;
    if (record_bytes(out->stored_len) > room)
        return false;
    if (out->lsn % RECORD_ALIGN != 0 || out->lsn > RECORD_LSN_MAX ||
        out->synced_lsn > out->lsn)
        return false;
    return bytes_are_zero(at + 44, RECORD_HEADER_BYTES - 44);
}

bool record_crc_matches(const struct record *record, const uint8_t *at)
{
    const uint8_t *payload = at + RECORD_HEADER_BYTES;
    if (!bytes_are_zero(payload + record->stored_len, padding_bytes(record->stored_len)))
        return false;
    return header_crc(record_payload_crc(payload, record->stored_len), at) == record->crc;
}

void record_origin_encode(const struct record_origin *origin, uint8_t *at)
{
    put_u64(at, origin->epoch);
    put_u64(at + 8, origin->lsn);
}

struct record_origin record_origin_decode(const uint8_t *at)
{
    return (struct record_origin){.epoch = get_u64(at), .lsn = get_u64(at + 8)};
}

static uint64_t epoch_of(const uint8_t uuid[16], uint32_t high)
{
    uint8_t seed[20];
    memcpy(seed, uuid, 16);
    put_u32(seed + 16, high);
    return (uint64_t)high << 32 | (uint32_t)hash64(seed, sizeof seed);
}

uint64_t record_epoch(const uint8_t uuid[16], uint64_t random)
{
    return epoch_of(uuid, (uint32_t)(random ^ random >> 32));
}

bool record_epoch_is_ours(const uint8_t uuid[16], uint64_t epoch)
{
    return epoch == epoch_of(uuid, (uint32_t)(epoch >> 32));
}
