/* An increment: what has changed in a store since a snapshot of it, as a list of key
 * ranges and rows.
 *
 * Let the base stand on generation G and have everything up to LSN L.  The new snapshot
 * stands on trees of a later (or the same) generation G', which have everything up to B',
 * and on the deltas and runs above B', its changes.  For each table:
 *
 * 1. No tree: all rows are changes, and replace whatever the base has.
 * 2. Each leaf of the tree linked after G (newleaves.h): its range, and all rows there:
 *    those of the leaf, under the changes.  A row of the leaf whose value lies in a page
 *    linked at G or before is not read: KEEP, the base has it.
 * 3. Elsewhere, the changes: rows, deletions of rows, deletions of ranges.
 *
 * Why the base then has what the snapshot has, at each key k:
 * - If a commit in (base of G, B'] touched k, the checkpoint that merged it wrote the
 *   leaf that k belongs to, also where it came out as it was, or k's place is in the
 *   range of one that was written instead [T5], or behind the last leaf, or the tree is
 *   empty. So k lies in a range of 1 or 2, and what the base has there is replaced,
 *   whatever the base's own commits above G were.  Later checkpoints may write the leaf
 *   again, for k or for a neighbour: linked later still.
 * - Else the trees of G and G' agree at k.  If a commit above B' touched k, or deleted a
 *   range with k in it, k is among the changes, and it does not matter that the base may
 *   have had the commit already.
 * - Else no commit above the base of G touched k: base and snapshot have what both trees
 *   have.
 * KEEP: a reference enters a tree with the generation that links its page, or, where a
 * run brings it, is stamped with that generation (frozen.c); the page's birth may be
 * older by far.  So a reference linked at G or before has been in the tree since, k was
 * not touched by what was merged after G, and it is not touched by changes, or it would
 * not be the leaf's row that is written.
 *
 * Reads the pages that were linked since G, the inner pages above them, the last leaf of
 * each table and what leads to it, and runs.  Memory: a few pages a level, a row. */
#ifndef ENGINE_INCREMENT_H
#define ENGINE_INCREMENT_H

#include "engine/ancestry.h"
#include "engine/hostfile.h"

struct increment_result {
    uint64_t tables; /* of the store */
    uint64_t rows;   /* in the increment */
    uint8_t chain[16];
};

/* self: of this snapshot, since: of the base [Z1].  SCN_FULL, SCN_IO, and what reading
 * answers. */
scn_status increment_write(struct scn_txn *txn, struct hostfile *to,
                           const struct ancestor *self, const struct ancestor *since,
                           struct increment_result *out) MUST_USE;

#endif
