/* A set of hashes that may say yes wrongly and never no: a chain of blocked Bloom
 * filters.
 *
 * One thread adds, any number ask.  A filter's lines are set before its address is
 * published by the release store of `newest`; a hash is seen by whoever synchronised
 * with the adder after bloom_add. */
#ifndef ENGINE_BLOOM_H
#define ENGINE_BLOOM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { BLOOM_LINE_WORDS = 8 /* one cache line */ };

struct bloom_filter {
    struct bloom_filter *older;
    _Atomic uint64_t *words;
    uint64_t line_mask;
    uint64_t room; /* adder only: hashes it still takes */
};

struct bloom {
    _Atomic(struct bloom_filter *) newest;
    struct bloom_filter first; /* in place: small sets cost no allocation */
    _Atomic uint64_t first_line[BLOOM_LINE_WORDS];
};

void bloom_init(struct bloom *bloom);
void bloom_destroy(struct bloom *bloom);
/* Cannot fail: without memory for a larger filter the set answers yes more often. */
void bloom_add(struct bloom *bloom, uint64_t hash);
bool bloom_may_hold(const struct bloom *bloom, uint64_t hash);

#endif
