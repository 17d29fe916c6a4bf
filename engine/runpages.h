/* The pages of merged bulk runs: which of them live on in the trees.
 *
 * When a run is merged its tree pages die, and so do the values that something newer
 * hides; the values that enter the tree keep their place. All pages of the run become
 * used by the new generation, then the dead ones are freed in it, so that snapshots and
 * the older slot keep them (space.h, A1 and A2). */
#ifndef ENGINE_RUNPAGES_H
#define ENGINE_RUNPAGES_H

#include "engine/view.h"
#include "page/space.h"

struct run_range {
    uint32_t pgno;
    uint32_t pages;
    uint64_t birth_gen;
    uint64_t *survives; /* one bit a page */
};

struct run_pages {
    struct run_range *ranges; /* by pgno */
    uint32_t count;
};

/* Collects the ranges of all runs among the sources and adopts them. */
scn_status run_pages_adopt(struct run_pages *pages, const struct source *sources,
                           uint32_t source_count, struct space *space) MUST_USE;
/* Pages outside the runs are ignored. */
void run_pages_keep(struct run_pages *pages, uint32_t pgno, uint32_t count);
scn_status run_pages_free_rest(struct run_pages *pages, struct space *space) MUST_USE;
void run_pages_destroy(struct run_pages *pages);

#endif
