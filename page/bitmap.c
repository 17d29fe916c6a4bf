/* Bits in 64-bit words: see bitmap.h. Ranges are walked word by word through a mask, so
 * that a range of n pages costs n/64 steps. */
#include "page/bitmap.h"

#include "page/mem.h"

#include <string.h>

enum { WORD_BITS = 64 };

scn_status bitmap_grow(struct bitmap *map, uint32_t bits)
{
    uint32_t needed = bits / WORD_BITS + (bits % WORD_BITS != 0);
    if (needed <= map->word_count)
        return SCN_OK;
    /* Doubling keeps page-by-page growth linear; a map of the largest file has 32 MiB. */
    uint32_t count = needed < 2 * map->word_count ? 2 * map->word_count : needed;
    size_t old_bytes = map->word_count * sizeof *map->words;
    uint64_t *words = mem_grow(map->words, old_bytes, count * sizeof *words);
    if (words == NULL)
        return error_nomem();
    memset((uint8_t *)words + old_bytes, 0, count * sizeof *words - old_bytes);
    map->words = words;
    map->word_count = count;
    return SCN_OK;
}

scn_status bitmap_copy(struct bitmap *to, const struct bitmap *from)
{
    ASSERT(to->words == NULL);
    if (from->word_count == 0)
        return SCN_OK;
    to->words = mem_alloc(from->word_count * sizeof *to->words);
    if (to->words == NULL)
        return error_nomem();
    memcpy(to->words, from->words, from->word_count * sizeof *to->words);
    to->word_count = from->word_count;
    return SCN_OK;
}

void bitmap_destroy(struct bitmap *map)
{
    mem_free(map->words);
    *map = (struct bitmap){0};
}

/* The bits of word idx that belong to [from, end). */
static uint64_t mask_of(uint32_t idx, uint64_t from, uint64_t end)
{
    uint64_t first = (uint64_t)idx * WORD_BITS;
    uint64_t low = from > first ? from - first : 0;
    uint64_t high = end - first < WORD_BITS ? end - first : WORD_BITS;
    uint64_t below_high = high == WORD_BITS ? UINT64_MAX : ((uint64_t)1 << high) - 1;
    return below_high & UINT64_MAX << low;
}

void bitmap_set(struct bitmap *map, uint32_t from, uint32_t count)
{
    uint64_t end = (uint64_t)from + count;
    ASSERT(end <= (uint64_t)map->word_count * WORD_BITS);
    for (uint32_t i = from / WORD_BITS; (uint64_t)i * WORD_BITS < end; i++)
        map->words[i] |= mask_of(i, from, end);
}

void bitmap_clear(struct bitmap *map, uint32_t from, uint32_t count)
{
    uint64_t end = (uint64_t)from + count;
    for (uint32_t i = from / WORD_BITS;
         i < map->word_count && (uint64_t)i * WORD_BITS < end; i++)
        map->words[i] &= ~mask_of(i, from, end);
}

bool bitmap_has_any(const struct bitmap *map, uint32_t from, uint32_t count)
{
    uint64_t end = (uint64_t)from + count;
    for (uint32_t i = from / WORD_BITS;
         i < map->word_count && (uint64_t)i * WORD_BITS < end; i++) {
        if ((map->words[i] & mask_of(i, from, end)) != 0)
            return true;
    }
    return false;
}

bool bitmap_has_all(const struct bitmap *map, uint32_t from, uint32_t count)
{
    uint64_t end = (uint64_t)from + count;
    if (end > (uint64_t)map->word_count * WORD_BITS)
        return false;
    for (uint32_t i = from / WORD_BITS; (uint64_t)i * WORD_BITS < end; i++) {
        uint64_t mask = mask_of(i, from, end);
        if ((map->words[i] & mask) != mask)
            return false;
    }
    return true;
}

uint32_t bitmap_end(const struct bitmap *map)
{
    for (uint32_t i = map->word_count; i > 0; i--) {
        if (map->words[i - 1] != 0)
            return i * WORD_BITS - (uint32_t)__builtin_clzll(map->words[i - 1]);
    }
    return 0;
}

uint32_t bitmap_count(const struct bitmap *map)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < map->word_count; i++)
        count += (uint32_t)__builtin_popcountll(map->words[i]);
    return count;
}
