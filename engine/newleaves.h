/* The leaves of a tree that were linked after a generation, with the key ranges that are
 * theirs; subtrees that are older are not read, but for the last leaf of the tree.
 *
 * Why the leaves that are left out need no look: [T5] (engine/rebuild.h).  A leaf stands
 * for its range, from its lower bound to that of the next leaf.  Where a leaf is old, its
 * range is no larger than it was, but for the last leaf of the tree: behind its last key
 * there may have been others, so what lies behind it is visited.  That holds for a tree
 * without a new page, too: an old one may be all that is left of it.
 *
 * One thread; pages are copied, none is held. */
#ifndef ENGINE_NEWLEAVES_H
#define ENGINE_NEWLEAVES_H

#include "engine/tree.h"

struct newleaves {
    struct pool_reader *reader;
    struct tree tree; /* not null */
    uint64_t since_gen;
    /* In key order.  The records of the range are those of the leaf from lower on.  NULL
     * bounds are open.  Bytes are good during the call; the reader has not entered. */
    scn_status (*visit)(void *ctx, const scn_slice *lower, const scn_slice *upper,
                        const uint8_t *leaf);
    void *ctx;
};

scn_status newleaves_walk(const struct newleaves *walk) MUST_USE;

#endif
