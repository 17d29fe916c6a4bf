/* The filter in front of a delta table: see bloom.h.
 *
 * A hash owns six bits of one cache line: three in a word of its first half, three in
 * a word of the second.  So a question costs one cache miss and two words.  With
 * BITS_PER_KEY at 16 a full filter answers about one absent key in 600 wrongly.
 *
 * A full filter stays as it is and a new one, GROWTH times as large, is chained in
 * front of it; a question goes to all of them. Filling a larger one with the old
 * hashes would need the hashes again and would make one commit wait for it.  With a
 * growth of 8 a hundred thousand keys make five filters, of which all but the first
 * two lie in the innermost cache. */
#include "engine/bloom.h"

#include "page/mem.h"

#include <string.h>

enum {
    LINE_BYTES = 64,
    BITS_PER_KEY = 16,
    KEYS_PER_LINE = LINE_BYTES * 8 / BITS_PER_KEY,
    GROWTH = 8,
    LINES_MAX = 1 << 24 /* the hash has no more bits for the line */
};
_Static_assert(BLOOM_LINE_WORDS * sizeof(uint64_t) == LINE_BYTES, "a line is a line");

struct bloom_bits {
    uint64_t line;
    uint32_t word[2];
    uint64_t mask[2];
};

static inline uint64_t three_bits(uint64_t hash)
{
    return UINT64_C(1) << (hash & 63) | UINT64_C(1) << (hash >> 6 & 63) |
           UINT64_C(1) << (hash >> 12 & 63);
}

static inline struct bloom_bits bits_of(uint64_t hash)
{
    return (struct bloom_bits){
        .line = hash >> 40,
        .word = {hash >> 36 & 3, 4 + (hash >> 38 & 3)},
        .mask = {three_bits(hash), three_bits(hash >> 18)},
    };
}

static void filter_init(struct bloom_filter *filter, struct bloom_filter *older,
                        _Atomic uint64_t *words, uint64_t line_count)
{
    filter->older = older;
    filter->words = words;
    filter->line_mask = line_count - 1;
    filter->room = line_count * KEYS_PER_LINE;
}

void bloom_init(struct bloom *bloom)
{
    filter_init(&bloom->first, NULL, bloom->first_line, 1);
    for (int i = 0; i < BLOOM_LINE_WORDS; i++)
        atomic_init(&bloom->first_line[i], 0);
    atomic_init(&bloom->newest, &bloom->first);
}

void bloom_destroy(struct bloom *bloom)
{
    struct bloom_filter *filter = atomic_load_explicit(&bloom->newest,
                                                       memory_order_relaxed);
    while (filter != &bloom->first) {
        struct bloom_filter *older = filter->older;
        mem_free(filter);
        filter = older;
    }
}

/* This is the one allocation on the way of a commit, once in each eightfold growth; it
 * may fail. */
static struct bloom_filter *grow(struct bloom *bloom, struct bloom_filter *full)
{
    uint64_t line_count = (full->line_mask + 1) * GROWTH;
    uint8_t *block = NULL;
    if (line_count <= LINES_MAX)
        block = mem_zalloc(sizeof *full + LINE_BYTES + line_count * LINE_BYTES);
    if (block == NULL) {
        full->room = (full->line_mask + 1) *
                     KEYS_PER_LINE; /* try again after as many keys */
        return full;
    }
    struct bloom_filter *filter = (struct bloom_filter *)block;
    uintptr_t lines = (uintptr_t)(filter + 1) + LINE_BYTES - 1;
    lines -= lines % LINE_BYTES;
    filter_init(filter, full, (_Atomic uint64_t *)lines, line_count);
    atomic_store_explicit(&bloom->newest, filter, memory_order_release);
    return filter;
}

static inline _Atomic uint64_t *line_of(const struct bloom_filter *filter, uint64_t line)
{
    return filter->words + (line & filter->line_mask) * BLOOM_LINE_WORDS;
}

void bloom_add(struct bloom *bloom, uint64_t hash)
{
    struct bloom_filter *filter = atomic_load_explicit(&bloom->newest,
                                                       memory_order_relaxed);
    if (filter->room == 0)
        filter = grow(bloom, filter);
    filter->room--;
    struct bloom_bits bits = bits_of(hash);
    _Atomic uint64_t *line = line_of(filter, bits.line);
    for (int i = 0; i < 2; i++) {
        /* Only this thread stores: no read-modify-write is needed. */
        uint64_t word = atomic_load_explicit(&line[bits.word[i]], memory_order_relaxed);
        atomic_store_explicit(&line[bits.word[i]], word | bits.mask[i],
                              memory_order_relaxed);
    }
}

bool bloom_may_hold(const struct bloom *bloom, uint64_t hash)
{
    struct bloom_bits bits = bits_of(hash);
    const struct bloom_filter *filter = atomic_load_explicit(&bloom->newest,
                                                             memory_order_acquire);
    for (; filter; filter = filter->older) {
        const _Atomic uint64_t *line = line_of(filter, bits.line);
        uint64_t a = atomic_load_explicit(&line[bits.word[0]], memory_order_relaxed);
        uint64_t b = atomic_load_explicit(&line[bits.word[1]], memory_order_relaxed);
        if ((~a & bits.mask[0]) == 0 && (~b & bits.mask[1]) == 0)
            return true;
    }
    return false;
}
