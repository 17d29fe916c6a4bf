/* Log records: the frame around a payload.
 *
 * Header, RECORD_HEADER_BYTES = 80 (docs/format.md, "Log record"):
 *      0 crc32c u32 | 4 stored_len u32 | 8 raw_len u32 | 12 type u8 | 13 flags u8 | 14 zero u16
 *     16 lsn u64 | 24 epoch u64 | 32 synced_lsn u64 | 40 prev_crc u32 | 44 zero u32 | 48 reserved 32 bytes, zero
 * then the payload, zero-padded to a multiple of 8.  lsn is the position of the record's first byte;
 * a commit's LSN is the end of its record.  The CRC covers the payload (with padding) and then the header
 * behind the CRC field: the payload's part can be computed before the lock is taken.
 *
 * [R1] prev_crc is the CRC of the record before it in the log, whatever extent that lies in.
 * [R2] A record lies in one extent.
 * [R3] Type 0 is invalid: zeros are no record. */
#ifndef WAL_RECORD_H
#define WAL_RECORD_H

#include "page/limits.h"
#include "page/status.h"

enum { RECORD_HEADER_BYTES = 80, RECORD_ALIGN = 8 };

enum record_type {
    RECORD_COMMIT = 1, /* all of one transaction: payload is operations (wal/ops.h) */
    RECORD_EXTENT = 2, /* the log goes on in another extent */
    RECORD_EPOCH = 3,  /* first record after a recovery: lsn jumps, epoch is new */
    RECORD_MARK = 4    /* nothing but a fresh synced_lsn */
};
enum { RECORD_IS_LZ4 = 1 };

struct record {
    uint32_t crc;
    uint32_t stored_len; /* payload bytes in the log, without padding */
    uint32_t raw_len;    /* payload bytes after decompression */
    uint8_t type;
    uint8_t flags;
    uint64_t lsn;
    uint64_t epoch;
    uint64_t synced_lsn;
    uint32_t prev_crc;
};

static inline uint32_t record_bytes(uint32_t stored_len)
{
    return RECORD_HEADER_BYTES + ((stored_len + RECORD_ALIGN - 1) & ~(uint32_t)(RECORD_ALIGN - 1));
}

/* CRC of a payload and its padding: the first part of a record's CRC. */
uint32_t record_payload_crc(const void *payload, uint32_t stored_len);
/* Writes RECORD_HEADER_BYTES; sets record->crc. */
void record_encode(struct record *record, uint32_t payload_crc, uint8_t *at);
/* Judges the header's own fields (type, lengths against room, zeros); false: no record here. */
bool record_decode(const uint8_t *at, uint64_t room, struct record *out);
/* at holds record_bytes(stored_len). */
bool record_crc_matches(const struct record *record, const uint8_t *at);

/* Payload of RECORD_EXTENT, 16 bytes: pgno u32 | pages u32 | number u64. */
enum { RECORD_EXTENT_PAYLOAD_BYTES = 16 };

/* Extent header, LOG_EXTENT_HEADER_BYTES = 64, at the start of each extent:
 *      0 magic u64 | 8 uuid 16 | 24 number u64 | 32 start_lsn u64 | 40 epoch u64 | 48 pages u32 | 52 zero 4 | 56 xxh3 u64 of [0,56) */
struct extent_header {
    uint8_t uuid[16];
    uint64_t number;    /* 0, 1, 2 ... along the chain */
    uint64_t start_lsn; /* LSN of the byte behind the header */
    uint64_t epoch;     /* when it was linked */
    uint32_t pages;
};
void extent_header_encode(const struct extent_header *header, uint8_t *at);
bool extent_header_decode(const uint8_t *at, struct extent_header *out);

#endif
