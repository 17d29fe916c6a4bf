/* Log extents: the head of each, and how one leads to the next.
 *
 *     0        64      128
 *     [header ][link  ][record][record] ... [EXTENT]
 *
 * Header, LOG_EXTENT_HEADER_BYTES = 64 (docs/format.md, "Log extents"):
 *      0 magic u64 | 8 uuid 16 | 24 number u64 | 32 start_lsn u64 | 40 epoch u64
 *     48 pages u32 | 52 zero u32 | 56 xxh3 u64 of [0,56)
 * Link, 64 bytes; zero until there is a next extent:
 *      0 magic u64 | 8 uuid 16 | 24 number u64 | 32 start_lsn u64 | 40 pgno u32
 *     44 pages u32 | 48 zero u64 | 56 xxh3 u64 of [0,56)
 *
 * The chain is made by EXTENT records alone.  The link says the same thing once more, far
 * from the record: whoever finds the EXTENT record damaged learns from the link where to
 * look for acknowledged records behind it (wal/scan.c), without searching the file. */
#ifndef WAL_EXTENT_H
#define WAL_EXTENT_H

#include "page/file.h"
#include "wal/record.h"

struct log_extent {
    uint32_t pgno;
    uint32_t pages;
    uint64_t number;    /* 0, 1, 2 ... along the chain */
    uint64_t start_lsn; /* LSN of the first byte behind header and link */
};

enum { EXTENT_LINK_OFF = LOG_EXTENT_HEADER_BYTES, EXTENT_LINK_BYTES = 64 };

struct extent_header {
    uint8_t uuid[16];
    uint64_t number;
    uint64_t start_lsn;
    uint64_t epoch; /* of the record that linked it */
    uint32_t pages;
};
void extent_header_encode(const struct extent_header *header, uint8_t *at);
bool extent_header_decode(const uint8_t *at, struct extent_header *out);

void extent_link_encode(const uint8_t uuid[16], const struct log_extent *next,
                        uint8_t *at);
/* False: none, or one of another file. */
bool extent_link_decode(const uint8_t *at, const uint8_t uuid[16],
                        struct log_extent *next);

/* Payload of RECORD_EXTENT; number and place of next, its start_lsn is the end of the
 * record. */
void extent_payload_encode(const struct record_origin *origin,
                           const struct log_extent *next, uint8_t *at);
void extent_payload_decode(const uint8_t *at, struct log_extent *next);

/* The pages can be an extent of this file, which another process may have grown. */
bool extent_is_in_file(struct file *file, uint32_t pgno, uint32_t pages);

static inline uint64_t extent_file_off(uint32_t pgno)
{
    return (uint64_t)pgno * PAGE_BYTES;
}

static inline uint32_t extent_bytes(uint32_t pages)
{
    return pages * (uint32_t)PAGE_BYTES;
}

#endif
