/* Down a tree: all its records in the order of their keys, from whatever pages can still
 * be proved.
 *
 * A page's own contents are judged by page_check.  Here: that pages fit together, which
 * is levels, tables, generations, and keys within the bounds that the separators promise.
 * A page that cannot be followed is told with the range of keys that is lost with it, as
 * far as the pages above leave it: so no two of these ranges of a tree meet, however a
 * forged tree goes about its promises.
 *
 * One image a level, which stays: a page that the descent before this one has led through
 * is neither read nor told of once more.  One descent at a time. */
#ifndef TOOLS_WALCHECK_DESCENT_H
#define TOOLS_WALCHECK_DESCENT_H

#include "page/keyrange.h"
#include "page/leaf.h"
#include "tools/walcheck/finding.h"
#include "tools/walcheck/subject.h"

/* What is met on the way; ctx is handed to each.  A negative status ends the descent and
 * is returned. */
struct descent_visitor {
    void *ctx;
    /* False: the page is not to be followed, which was told.  NULL: all are. */
    bool (*may_enter)(void *ctx, const struct page_ref *ref);
    /* key and payload are good during the call. */
    scn_status (*record)(void *ctx, const struct leaf_record *record, uint32_t pgno);
    /* The keys of this range cannot be reached; it is good during the call.  NULL: nobody
     * wants to know. */
    scn_status (*lost)(void *ctx, const struct keyrange *range, uint32_t pgno);
};

struct descent_tree {
    struct page_ref root; /* null: an empty tree */
    uint32_t table_id;
    uint64_t gen;       /* nothing in it is newer */
    const char *owner;  /* a phrase such as "table 17" */
    const struct keyrange *within; /* NULL: all keys */
    uint64_t pages_max; /* no more are entered: trees of forged files may be endless */
};

struct descent;
scn_status descent_create(struct subject *subject, struct findings *findings,
                          struct descent **out) MUST_USE;
void descent_destroy(struct descent *descent);

/* *pages (may be NULL): how many could be read.  *is_whole: all of them.  SCN_NOMEM,
 * SCN_INTERRUPTED, or a visitor's status. */
scn_status descent_run(struct descent *descent, const struct descent_tree *tree,
                       const struct descent_visitor *visitor, uint64_t *pages,
                       bool *is_whole) MUST_USE;

#endif
