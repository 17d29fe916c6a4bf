/* The readers of a pool, as the one who takes frames sees them.  The list never shrinks
 * while the pool lives; all functions run under the pool's mutex. */
#ifndef BUFFER_READERS_H
#define BUFFER_READERS_H

#include "buffer/pool.h"

struct readers {
    struct pool_reader *first;
};

/* An unused reader of the list, or a new one; NULL: no memory.  The caller fills its
 * constants when its pool is NULL. */
struct pool_reader *readers_take(struct readers *readers) MUST_USE;
void readers_close(struct readers *readers);

/* Frames with a stamp below the result are out of everybody's sight, unless held.
 * `now` is the pool's epoch. */
uint64_t readers_oldest(const struct readers *readers, uint64_t now);
/* [E3] Only means something after readers_oldest. */
bool readers_hold(const struct readers *readers, uint32_t frame_no);
uint64_t readers_hits(const struct readers *readers);

/* A private frame [B5]: the owner's alone, no mutex needed.  Its page is to be filled,
 * and listed or freed. */
struct private_frame {
    struct private_frame *next;
    uint8_t *page; /* in this block, aligned for SYS_UNCACHED */
    uint64_t tag;
    uint32_t pgno;
    int place; /* in held; -1: not held */
};
struct private_frame *readers_private_alloc(const struct page_ref *ref, uint64_t tag)
    MUST_USE;
const uint8_t *readers_private_find(const struct pool_reader *reader, uint32_t pgno,
                                    uint64_t tag);

#endif
