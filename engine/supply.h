/* Pages for a checkpoint: free ones first, lowest address first, then the file grows by
 * bounded steps.  Neighbours are given where they can be had, but no page is passed over:
 * as long as any is free, or the file may grow by one, there is a page.  And its pace:
 * beside commits that wait for the disk it writes no faster than their syncs can bear.
 *
 * Used by the checkpoint's thread, between space_begin and space_commit or
 * space_abandon. */
#ifndef ENGINE_SUPPLY_H
#define ENGINE_SUPPLY_H

#include "engine/store.h"

struct supply {
    struct store *store;
    bool has_append; /* the caller's to set */
    /* Pages grown and not yet taken, [next, end): nobody else takes or cuts pages behind
     * the size at the freeze point, and after a failure they are simply free. */
    uint32_t grown_next;
    uint32_t grown_end;
    uint64_t grown_pages; /* in all */
    uint64_t paced_full; /* end of the last commit that waits for a sync, then */
    uint64_t paced_ns;
};

void supply_init(struct supply *supply, struct store *store);
/* Pages of the generation being built (writer_take_fn; ctx is the supply).  SCN_FULL. */
scn_status supply_take(void *ctx, uint32_t wanted, uint32_t *pgno,
                       uint32_t *count) MUST_USE;
/* Grown pages, not yet adopted (space_grow_fn). */
scn_status supply_take_new(void *ctx, uint32_t wanted, uint32_t *pgno,
                           uint32_t *count) MUST_USE;
/* After each written batch (writer_pace_fn). */
void supply_pace(void *ctx, uint64_t bytes);
/* What was grown and not taken is nobody's again. */
void supply_release(struct supply *supply);

#endif
