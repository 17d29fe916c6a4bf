/* What all pages share: the header, and the pointer that leads to a page.
 *
 * Page header, 64 bytes (docs/format.md, "Page header"):
 *      0 type u8 | 1 level u8 | 2 flags u16, zero | 4 table_id u32 | 8 pgno u32
 *     12 used u32 | 16 birth_gen u64 | 24 xxh3 u64
 *     32 reserved 32 bytes, zero (authentication tag, nonce)
 * `used` counts the bytes from the start of the page that carry data; the rest is zero
 * and not read.  The hash covers [0,24) and [32,used): it is the hash64 of 32 bytes,
 * [0,24) followed by the hash64 of [32,used).
 *
 * Pointer, 32 bytes:
 *      0 hash u64 | 8 birth_gen u64 | 16 link_gen u64 | 24 pgno u32 | 28 hint u16
 *     30 level u8 | 31 type u8
 * `link_gen` is the generation that linked the page, which for pages of a bulk run is
 * later than the birth.  `hint` is the bucket count of a leaf: a reader goes to the right
 * bucket without looking at the leaf's header.
 *
 * [P1] A page is only used through a pointer, and type, level, pgno, birth_gen and hash
 *      of both agree.  So torn, misdirected and lost writes and reused pages are found at
 *      the first read.
 * [P2] page_check accepts only images on which every accessor of the page's kind stays
 *      inside the page and terminates. */
#ifndef PAGE_PAGE_H
#define PAGE_PAGE_H

#include "page/bytes.h"
#include "page/limits.h"
#include "page/status.h"

enum page_type {
    PAGE_NONE = 0,
    PAGE_LEAF = 1,
    PAGE_INNER = 2,
    PAGE_VALUES = 3,     /* many values, or a part of one */
    PAGE_VALUE_INDEX = 4,
    PAGE_SPACE = 5       /* allocation state */
};

enum { PAGE_REF_BYTES = 32 };

struct page_ref {
    uint64_t hash;
    uint64_t birth_gen;
    uint64_t link_gen;
    uint32_t pgno; /* 0: no page */
    uint16_t hint;
    uint8_t level; /* 0 for leaves */
    uint8_t type;
};

static inline bool page_ref_is_null(const struct page_ref *ref)
{
    return ref->pgno == 0;
}

static inline struct page_ref page_ref_decode(const uint8_t *at)
{
    return (struct page_ref){
        .hash = get_u64(at),
        .birth_gen = get_u64(at + 8),
        .link_gen = get_u64(at + 16),
        .pgno = get_u32(at + 24),
        .hint = get_u16(at + 28),
        .level = at[30],
        .type = at[31],
    };
}

/* The last eight bytes of an encoded pointer as one number, for those whose way would be
 * longer than what they do there if they took it apart. */
static inline uint64_t page_ref_place(const struct page_ref *ref)
{
    return (uint64_t)ref->type << 56 | (uint64_t)ref->level << 48 |
           (uint64_t)ref->hint << 32 | ref->pgno;
}

static inline uint32_t place_pgno(uint64_t place)
{
    return (uint32_t)place;
}

static inline uint16_t place_hint(uint64_t place)
{
    return (uint16_t)(place >> 32);
}

static inline uint8_t place_level(uint64_t place)
{
    return (uint8_t)(place >> 48);
}

static inline uint8_t place_type(uint64_t place)
{
    return (uint8_t)(place >> 56);
}

void page_ref_encode(const struct page_ref *ref, uint8_t *at);

struct page_header {
    uint8_t type;
    uint8_t level;
    uint32_t table_id;
    uint32_t pgno;
    uint32_t used;
    uint64_t birth_gen;
    uint64_t hash;
};

void page_header_decode(const uint8_t *page, struct page_header *out);

/* Fills the header of a finished image, zeroes the tail behind used, computes the hash
 * and tells the pointer (link_gen = birth_gen, hint 0). */
void page_seal(uint8_t *page, enum page_type type, uint8_t level, uint32_t table_id,
               uint32_t pgno, uint64_t birth_gen, uint32_t used, struct page_ref *out);

/* The header alone, hash included, against itself and pgno: for readers without a pointer
 * (walcheck).  Says nothing of the contents. */
scn_status page_check_header(const uint8_t *page, uint32_t pgno) MUST_USE;

/* [P1] and [P2]. SCN_CORRUPT with a sentence that names the page and what is wrong. */
scn_status page_check(const uint8_t *page, const struct page_ref *ref) MUST_USE;

/* In memory only: two pointers lead to the same bytes. */
static inline bool page_ref_equal(const struct page_ref *a, const struct page_ref *b)
{
    return a->pgno == b->pgno && a->hash == b->hash && a->birth_gen == b->birth_gen;
}

#endif
