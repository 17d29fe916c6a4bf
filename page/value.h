/* Values that do not live in the leaf: where they are.
 *
 * Packed: many values in one PAGE_VALUES page, `off` counts from the start of the page.
 * Spread: a value of more than one page lies in PAGE_VALUES pages of VALUE_SPREAD_BYTES
 * each (the last one shorter), anywhere in the file; `page` leads to the first of a chain
 * of PAGE_VALUE_INDEX pages that hold each page's number and hash.
 * Block: a packed page's [off, off+stored) is an LZ4 block of raw bytes; the value is
 * [inside, inside+len) of it.
 *
 * Encoded, 64 bytes:
 *      0 len u64 | 8 xxh3 of the value u64 | 16 pointer 32 B | 48 off u32
 *     52 block_stored u32 (0: plain) | 56 block_raw u32 | 60 inside u32
 *
 * [V1] No byte is handed out from a page whose header and hash were not checked against
 *      the leaf's pointer or the index page's. */
#ifndef PAGE_VALUE_H
#define PAGE_VALUE_H

#include "page/page.h"

enum {
    VALUE_REF_BYTES = 64,
    VALUE_SPREAD_BYTES = PAGE_BYTES - PAGE_HEADER_BYTES,
    /* Raw bytes of a block: bounds what a reader decompresses for one value. */
    VALUE_BLOCK_BYTES_MAX = PAGE_BYTES,
    /* Index page: header, then next pointer 32 B, count u32, zero u32, then entries of
     * {hash u64, pgno u32}. */
    VALUE_INDEX_HEADER_BYTES = PAGE_HEADER_BYTES + PAGE_REF_BYTES + 8,
    VALUE_INDEX_ENTRY_BYTES = 12,
    VALUE_INDEX_FANOUT = (PAGE_BYTES - VALUE_INDEX_HEADER_BYTES) / VALUE_INDEX_ENTRY_BYTES
};

struct value_ref {
    uint64_t len;
    uint64_t hash;
    struct page_ref page; /* PAGE_VALUES: packed; PAGE_VALUE_INDEX: spread */
    uint32_t off;
    uint32_t block_stored;
    uint32_t block_raw;
    uint32_t inside;
};

/* A data page of a spread value.  Its birth is that of the index page. */
struct value_part {
    uint64_t hash;
    uint32_t pgno;
};

static inline bool value_ref_is_spread(const struct value_ref *ref)
{
    return ref->page.type == PAGE_VALUE_INDEX;
}

void value_ref_encode(const struct value_ref *ref, uint8_t *at);
/* NULL, or what is wrong: lengths and offsets that cannot be.  After NULL: 1 <= len <=
 * VALUE_BYTES_MAX; packed, the stored bytes lie in the page behind its header, and in a
 * block inside + len <= block_raw <= VALUE_BLOCK_BYTES_MAX. */
const char *value_ref_decode(const uint8_t *at, struct value_ref *out);
/* Pages of data of a spread value, and of its index. */
uint32_t value_page_count(uint64_t len);
uint32_t value_index_pages(uint64_t len);

/* Index pages.  Accessors trust the image; page_check has judged it. */
uint32_t value_index_count(const uint8_t *page);
struct page_ref value_index_next(const uint8_t *page);
struct value_part value_index_part(const uint8_t *page, uint32_t idx);
/* Used by page_check: NULL, or what is wrong.  After NULL each part's page can exist. */
const char *value_index_check(const uint8_t *page);
/* Fills an unsealed image; page_seal with value_index_used(count) comes next.  The last
 * page's next is a null pointer. */
void value_index_fill(uint8_t *page, const struct value_part *parts, uint32_t count,
                      const struct page_ref *next);
uint32_t value_index_used(uint32_t count);

#endif
