/* The leaves of a tree that is built from left to right: records gathered, and cut into
 * pages.
 *
 * [G1] Records come in key order.  At most about two pages of them wait.
 * [G2] A leaf with values outside is built when their pages are sealed.  Until then it is
 *      promised to the level above, and its records are kept here: of LEAFCUT_HELD_MAX
 *      leaves at most, so that neighbouring leaves share pages of values.
 *
 * One thread. */
#ifndef ENGINE_LEAFCUT_H
#define ENGINE_LEAFCUT_H

#include "engine/levels.h"
#include "page/leaf.h"
#include "page/value.h"

enum {
    /* 2 MiB of records.  A page of values serves so many leaves with one long value each.
     */
    LEAFCUT_HELD_MAX = 32
};

struct leafcut;

struct leafcut_options {
    struct writer *writer;
    struct levels *levels;
    uint32_t table_id;
    bool compress; /* for values outside */
    scn_status (*value_added)(void *ctx, const struct value_ref *ref);
    void *ctx;
};
scn_status leafcut_create(const struct leafcut_options *options, struct leafcut **out)
    MUST_USE;
void leafcut_destroy(struct leafcut *cut);

/* A lower bound of what comes next, above all that came before.  Of account only when
 * nothing waits. */
void leafcut_begin(struct leafcut *cut, const void *bound, uint32_t bound_len);
/* The bytes of the record are good until leafcut_own or leafcut_flush. */
scn_status leafcut_borrow(struct leafcut *cut, const struct leaf_record *record) MUST_USE;
/* The same, and the bytes are copied. */
scn_status leafcut_copy(struct leafcut *cut, const struct leaf_record *record) MUST_USE;
/* A record whose value goes to pages of values.  Both are copied. */
scn_status leafcut_put_outside(struct leafcut *cut, scn_slice key, scn_slice value)
    MUST_USE;

bool leafcut_is_empty(const struct leafcut *cut);
/* Too little waits to make a good page of. */
bool leafcut_is_small(const struct leafcut *cut);
/* Copies what is borrowed. */
scn_status leafcut_own(struct leafcut *cut) MUST_USE;
/* All that waits becomes leaves: even ones, or full ones at the right edge of the tree.
 */
scn_status leafcut_flush(struct leafcut *cut, bool is_right_edge) MUST_USE;
/* Seals the pages of values and builds all promised leaves. */
scn_status leafcut_keep(struct leafcut *cut) MUST_USE;

/* Leaves written. */
uint64_t leafcut_page_count(const struct leafcut *cut);

#endif
