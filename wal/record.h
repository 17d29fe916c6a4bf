/* Log records: the frame around a payload.
 *
 * Header, RECORD_HEADER_BYTES = 80 (docs/format.md, "Log record"):
 *      0 crc32c u32 | 4 stored_len u32 | 8 raw_len u32 | 12 type u8 | 13 flags u8
 *     14 zero u16 | 16 lsn u64 | 24 epoch u64 | 32 synced_lsn u64 | 40 prev_crc u32
 *     44 zero u32 | 48 reserved 32 bytes, zero
 * then the payload, zero-padded to a multiple of 8.  lsn is the position of the record's
 * first byte; a commit's LSN is the end of its record.  The CRC covers the payload (with
 * padding) and then the header behind the CRC field: the payload's part can be computed
 * before the lock is taken.
 *
 * [R1] prev_crc is the CRC of the record before it, whatever extent that lies in.
 * [R2] A record lies in one extent.
 * [R3] Type 0 is invalid: zeros are no record.
 * [R4] Only EPOCH and EXTENT may begin an epoch and let the lsn jump.  Their payload
 *      starts with the epoch and the lsn at which the log stood before them, so that the
 *      jump is part of the chain.
 * [R5] The low half of an epoch is a hash of its high half and the file's uuid.  So a
 *      record can be told to be this file's even where the record that began its epoch is
 *      damaged. */
#ifndef WAL_RECORD_H
#define WAL_RECORD_H

#include "page/limits.h"
#include "page/status.h"

enum {
    RECORD_HEADER_BYTES = 80,
    RECORD_ALIGN = 8,
    RECORD_EPOCH_PAYLOAD_BYTES = 16,
    RECORD_EXTENT_PAYLOAD_BYTES = 32,
    RECORD_EPOCH_BYTES = RECORD_HEADER_BYTES + RECORD_EPOCH_PAYLOAD_BYTES,
    RECORD_EXTENT_BYTES = RECORD_HEADER_BYTES + RECORD_EXTENT_PAYLOAD_BYTES,
    RECORD_FREEZE_BYTES = RECORD_HEADER_BYTES,
    /* Where the first record of an extent lies: behind its header and its link
     * (wal/extent.h). */
    RECORD_FIRST_OFF = 128,

    /* A fresh extent holds its head, one record, a FREEZE that may have an EPOCH before
     * it, and the EXTENT record that leads on.  512 KiB: two of them still
     * fit an extent of 1 MiB. */
    RECORD_EXTENT_ROOM = LOG_EXTENT_PAGES * PAGE_BYTES - RECORD_FIRST_OFF -
                         RECORD_EPOCH_BYTES - RECORD_HEADER_BYTES - RECORD_FREEZE_BYTES -
                         RECORD_EXTENT_BYTES,
    RECORD_PAYLOAD_MAX = RECORD_EXTENT_ROOM < 512 * 1024 ? RECORD_EXTENT_ROOM : 512 * 1024
};

/* Far beyond what any log reaches, and sums with the size of a file still fit 64 bits. */
#define RECORD_LSN_MAX (UINT64_C(1) << 62)

enum record_type {
    RECORD_COMMIT = 1, /* all of one transaction: payload is operations (wal/ops.h) */
    RECORD_EXTENT = 2, /* the log goes on in another extent */
    RECORD_EPOCH = 3,  /* first record after a recovery: lsn jumps, epoch is new */
    RECORD_MARK = 4,   /* nothing but a fresh synced_lsn */
    RECORD_FREEZE = 5, /* a checkpoint merges what lies before it: deltas end here */
    RECORD_TYPE_MAX = RECORD_FREEZE
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
    return RECORD_HEADER_BYTES +
           ((stored_len + RECORD_ALIGN - 1) & ~(uint32_t)(RECORD_ALIGN - 1));
}

/* CRC of a payload and its padding: the first part of a record's CRC. */
uint32_t record_payload_crc(const void *payload, uint32_t stored_len);
/* Writes RECORD_HEADER_BYTES; sets record->crc. */
void record_encode(struct record *record, uint32_t payload_crc, uint8_t *at);
/* Judges the header's own fields (type, lengths against room, zeros); false: no record
 * here. room: bytes from at to the end of the extent. */
bool record_decode(const uint8_t *at, uint64_t room, struct record *out);
/* at holds record_bytes(stored_len). */
bool record_crc_matches(const struct record *record, const uint8_t *at);

/* What EPOCH and EXTENT begin with [R4]: epoch u64 | lsn u64.  EXTENT goes on with
 * pgno u32 | pages u32 | number u64 of the next extent (wal/extent.h). */
struct record_origin {
    uint64_t epoch;
    uint64_t lsn;
};
void record_origin_encode(const struct record_origin *origin, uint8_t *at);
struct record_origin record_origin_decode(const uint8_t *at);

/* [R5]: an epoch of this file, out of 64 random bits. */
uint64_t record_epoch(const uint8_t uuid[16], uint64_t random);
bool record_epoch_is_ours(const uint8_t uuid[16], uint64_t epoch);

#endif
