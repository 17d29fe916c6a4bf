/* Memory that is taken piece by piece and freed as a whole.
 *
 * One thread reserves and takes; arena_used may be asked by any.  A reservation is a
 * promise: after arena_reserve(n), pieces of n bytes in all can be taken and none of
 * them fails.  Reservations do not add up: each counts from where the arena stands.
 * Pieces are aligned to ARENA_ALIGN and hold no particular bytes. */
#ifndef ENGINE_ARENA_H
#define ENGINE_ARENA_H

#include "page/status.h"

#include <stdatomic.h>

enum { ARENA_ALIGN = 8 };

struct arena_chunk;

struct arena {
    uint8_t *at;
    uint8_t *end;
    struct arena_chunk *chunks; /* all of them, for the end */
    struct arena_chunk
        *spare; /* begun when [at, end) no longer fits a piece; may be NULL */
    size_t chunk_bytes;         /* of the next chunk */
    _Atomic uint64_t used;
};

/* What a piece of this many bytes takes from a reservation. */
static inline uint64_t arena_rounded(uint64_t size)
{
    return (size + ARENA_ALIGN - 1) & ~(uint64_t)(ARENA_ALIGN - 1);
}

/* The first pieces come from `first`, which the caller owns and which outlives the
 * arena. */
void arena_init(struct arena *arena, void *first, size_t first_bytes);
void arena_destroy(struct arena *arena);
/* SCN_NOMEM: the arena is as before. */
scn_status arena_reserve(struct arena *arena, uint64_t size) MUST_USE;
void *arena_take(struct arena *arena, size_t size) MUST_USE;
/* Bytes taken, as some moment ago. */
uint64_t arena_used(const struct arena *arena);

#endif
