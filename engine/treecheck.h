/* One tree, page by page: what a reader relies on, judged from the file and not from the
 * pool.
 *
 * A page's own contents are judged by page_check.  Here: that the pages fit together
 * (levels, tables, generations, keys within the bounds that the separators promise), that
 * values are where they should be, and that counts add up. */
#ifndef ENGINE_TREECHECK_H
#define ENGINE_TREECHECK_H

#include "engine/claims.h"
#include "engine/tree.h"

struct treecheck;

/* gen: pages and links are not newer; run_gen: those of bulk runs are not, which may have
 * been built when a newer generation was there that cannot be read any more.  hooks: what
 * their progress says but 0 ends a run with SCN_INTERRUPTED. */
scn_status treecheck_create(struct file *file, struct findings *findings,
                            struct claims *claims, const scn_hooks *hooks, uint64_t gen,
                            uint64_t run_gen, struct treecheck **out) MUST_USE;
void treecheck_destroy(struct treecheck *check);

struct treecheck_total {
    uint64_t count; /* tombstones not included */
    uint64_t tombstones;
    uint64_t key_bytes;
    uint64_t value_bytes;
    uint64_t pages;
    bool is_whole; /* every page could be read */
};
/* kind: CLAIM_USED, or CLAIM_LATER for a bulk run.  record, which may be NULL, is called
 * for each record; what it says but SCN_OK ends the walk and is returned, as is what
 * findings_add says. */
scn_status
treecheck_run(struct treecheck *check, const struct tree *tree, enum claim_kind kind,
              scn_status (*record)(void *ctx, const struct leaf_record *record),
              void *ctx, struct treecheck_total *total) MUST_USE;

#endif
