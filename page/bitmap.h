/* A growing map of bits, one a page.
 *
 * Bits beyond what was ever set are zero and may be asked for and cleared; only setting
 * needs room, which bitmap_grow makes. Not locked: the owner's lock covers it. */
#ifndef PAGE_BITMAP_H
#define PAGE_BITMAP_H

#include "page/status.h"

#include <stdint.h>

struct bitmap {
    uint64_t *words;
    uint32_t word_count;
};

/* Room for bits below `bits`; the new ones are zero.  SCN_NOMEM: unchanged. */
scn_status bitmap_grow(struct bitmap *map, uint32_t bits) MUST_USE;
/* to becomes a copy of from; to starts empty.  SCN_NOMEM: to stays empty. */
scn_status bitmap_copy(struct bitmap *to, const struct bitmap *from) MUST_USE;
void bitmap_destroy(struct bitmap *map);

static inline uint64_t bitmap_word(const struct bitmap *map, uint32_t idx)
{
    return idx < map->word_count ? map->words[idx] : 0;
}

static inline bool bitmap_get(const struct bitmap *map, uint32_t bit)
{
    return bitmap_word(map, bit / 64) >> (bit % 64) & 1;
}

/* [from, from + count) must have room. */
void bitmap_set(struct bitmap *map, uint32_t from, uint32_t count);
void bitmap_clear(struct bitmap *map, uint32_t from, uint32_t count);
/* True when one bit of the range is set, and when all are. */
bool bitmap_has_any(const struct bitmap *map, uint32_t from, uint32_t count);
bool bitmap_has_all(const struct bitmap *map, uint32_t from, uint32_t count);
/* One past the highest set bit; 0 when none is. */
uint32_t bitmap_end(const struct bitmap *map);
uint32_t bitmap_count(const struct bitmap *map);

#endif
