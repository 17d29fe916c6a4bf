/* What a rebuild writes anew though nothing in it changes, so that the file can become
 * shorter: pages from a place on, and values that lie there or in pages which hold
 * little else.
 *
 * Pages of trees alone move all at once.  Where values move too, every leaf has to be
 * looked at: a pass over a table, in steps of bounded work.  A step goes on where the one
 * before stopped, and leaves the rest of the tree as it is. */
#ifndef ENGINE_RELOCATION_H
#define ENGINE_RELOCATION_H

#include "buffer/pool.h"
#include "page/value.h"

struct relocation {
    uint32_t from; /* pages from here on */
    /* NULL: pages of trees alone.  Else: should this value move? */
    scn_status (*judge)(void *ctx, const struct value_ref *ref, bool *moves);
    void *ctx;
    uint64_t budget_bytes; /* with judge: of work that is left */
    uint8_t *start;        /* with judge: keys below it are done; owned */
    uint32_t start_len;
    uint32_t start_capacity;
    bool is_at_end; /* with judge: all keys are done */
};

void relocation_destroy(struct relocation *relocation);
/* From the first key of a table on. */
void relocation_rewind(struct relocation *relocation);
/* Is there something to do in a subtree that ends before `upper` (NULL: with the table)?
 */
bool relocation_concerns(const struct relocation *relocation, const scn_slice *upper);
/* So much work is done, up to `upper` (NULL: the end of the table).  SCN_NOMEM. */
scn_status relocation_spend(struct relocation *relocation, uint64_t bytes,
                            const scn_slice *upper) MUST_USE;

#endif
