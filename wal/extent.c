/* Byte layout: docs/format.md, "Log extents". */
#include "wal/extent.h"

#include "page/bytes.h"
#include "page/hash.h"

_Static_assert(EXTENT_LINK_OFF + EXTENT_LINK_BYTES == RECORD_FIRST_OFF,
               "records follow the link");
_Static_assert(LOG_EXTENT_FIRST_PAGES <= LOG_EXTENT_PAGES,
               "buffers hold the longest extent");

/* "scnextnt" and "scnlink." in little-endian. */
#define HEADER_MAGIC UINT64_C(0x746e7478656e6373)
#define LINK_MAGIC   UINT64_C(0x2e6b6e696c6e6373)
enum { HASHED_BYTES = 56 };

static bool block_is_sound(const uint8_t *at, uint64_t magic)
{
    return get_u64(at) == magic && get_u64(at + HASHED_BYTES) == hash64(at, HASHED_BYTES);
}

static void block_seal(uint8_t *at, uint64_t magic)
{
    put_u64(at, magic);
    put_u64(at + HASHED_BYTES, hash64(at, HASHED_BYTES));
}

void extent_header_encode(const struct extent_header *header, uint8_t *at)
{
    memset(at, 0, LOG_EXTENT_HEADER_BYTES);
    memcpy(at + 8, header->uuid, 16);
    put_u64(at + 24, header->number);
    put_u64(at + 32, header->start_lsn);
    put_u64(at + 40, header->epoch);
    put_u32(at + 48, header->pages);
    block_seal(at, HEADER_MAGIC);
}

bool extent_header_decode(const uint8_t *at, struct extent_header *out)
{
    if (!block_is_sound(at, HEADER_MAGIC) || get_u32(at + 52) != 0)
        return false;
    memcpy(out->uuid, at + 8, 16);
    out->number = get_u64(at + 24);
    out->start_lsn = get_u64(at + 32);
    out->epoch = get_u64(at + 40);
    out->pages = get_u32(at + 48);
    return true;
}

void extent_link_encode(const uint8_t uuid[16], const struct log_extent *next,
                        uint8_t *at)
{
    memset(at, 0, EXTENT_LINK_BYTES);
    memcpy(at + 8, uuid, 16);
    put_u64(at + 24, next->number);
    put_u64(at + 32, next->start_lsn);
    put_u32(at + 40, next->pgno);
    put_u32(at + 44, next->pages);
    block_seal(at, LINK_MAGIC);
}

bool extent_link_decode(const uint8_t *at, const uint8_t uuid[16],
                        struct log_extent *next)
{
    if (!block_is_sound(at, LINK_MAGIC) || memcmp(at + 8, uuid, 16) != 0 ||
        get_u64(at + 48) != 0)
        return false;
    next->number = get_u64(at + 24);
    next->start_lsn = get_u64(at + 32);
    next->pgno = get_u32(at + 40);
    next->pages = get_u32(at + 44);
    return true;
}

void extent_payload_encode(const struct record_origin *origin,
                           const struct log_extent *next, uint8_t *at)
{
    record_origin_encode(origin, at);
    put_u32(at + 16, next->pgno);
    put_u32(at + 20, next->pages);
    put_u64(at + 24, next->number);
}

void extent_payload_decode(const uint8_t *at, struct log_extent *next)
{
    next->pgno = get_u32(at + 16);
    next->pages = get_u32(at + 20);
    next->number = get_u64(at + 24);
    next->start_lsn = 0;
}

bool extent_is_in_file(struct file *file, uint32_t pgno, uint32_t pages)
{
    if (pages == 0 || pages > LOG_EXTENT_PAGES || pgno < FIRST_FREE_PAGE_NO)
        return false;
    uint64_t end = (uint64_t)pgno + pages;
    if (end > atomic_load(&file->page_count) && file_learn_size(file) < 0)
        return false;
    return end <= atomic_load(&file->page_count);
}
