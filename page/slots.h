/* The ordered half of leaf and inner pages: a place among sorted keys, with few cache
 * misses.
 *
 * Slot header, 64 bytes behind the page header:
 *     0 count u32 | 4 bucket_count u32 (zero in inner pages) | 8 positions 4 x u16
 *     16 template 48 bytes
 * Elsewhere in the page, where each kind of page puts them, three arrays:
 *     hints 32 x u32 | heads count x u32 | offsets count x u16
 *
 * The positions p0 < p1 < p2 < p3 count bytes from the start of a key.  p0 is the length
 * of the longest prefix that all keys share.  Each later one is the next at which the
 * keys are not all alike (a key that has ended is not like one that has not), if it is
 * below 48 and within 32 of p0; else the one right behind the position before it.  The
 * template is the bytes below min(p3, 48) of any key, zeros at the positions and from
 * there on.
 *
 * heads[i] is made of the bytes of key i at the positions, p0's highest, zeros where the
 * key has ended.  So heads ascend with the keys, and only equal heads need a look at the
 * keys themselves.  hints[j] is heads[(j + 1) * count / 33], or 0 where there are no
 * heads. */
#ifndef PAGE_SLOTS_H
#define PAGE_SLOTS_H

#include "page/page.h"

enum {
    SLOTS_HEADER_OFF = PAGE_HEADER_BYTES,
    SLOTS_HEADER_BYTES = 64,
    SLOTS_BODY_OFF = SLOTS_HEADER_OFF + SLOTS_HEADER_BYTES,
    SLOTS_HINT_COUNT = 32,
    SLOTS_HINT_BYTES = 4 * SLOTS_HINT_COUNT,
    SLOTS_HEAD_BYTES = 4,
    SLOTS_OFFSET_BYTES = 2
};

/* A page's slots and where their parts lie. */
struct slots {
    const uint8_t *page;
    uint32_t count;       /* keys */
    uint32_t hints_off;
    uint32_t heads_off;
    uint32_t offsets_off;
    /* Key idx, which lies where entry idx of the offsets says. */
    const uint8_t *(*key_at)(const struct slots *slots, uint32_t idx, uint32_t *len);
};

static inline const uint8_t *slots_header(const uint8_t *page)
{
    return page + SLOTS_HEADER_OFF;
}

static inline uint32_t slots_count(const uint8_t *page)
{
    return get_u32(slots_header(page));
}

/* For leaves; zero in inner pages. */
static inline uint32_t slots_bucket_count(const uint8_t *page)
{
    return get_u32(slots_header(page) + 4);
}

static inline uint32_t slots_offset(const struct slots *slots, uint32_t idx)
{
    return get_u16(slots->page + slots->offsets_off + SLOTS_OFFSET_BYTES * idx);
}

/* Index of the first key >= the given one (count when none); *is_equal tells whether it
 * is the key. */
uint32_t slots_seek(const struct slots *slots, const void *key, uint32_t key_len,
                    bool *is_equal);

/* Writes header, hints and heads of a page whose offsets and keys are in place. page is
 * slots->page. */
void slots_fill(const struct slots *slots, uint8_t *page, uint32_t bucket_count);

/* NULL, or what is wrong: keys not strictly ascending, or a header, hint or head that
 * slots_fill would not have written.  The caller has judged counts, offsets and lengths,
 * so that key_at stays in the page. */
const char *slots_check(const struct slots *slots);

#endif
