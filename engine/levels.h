/* The inner levels of a tree that is built from left to right.
 *
 * Subtrees come in key order: new leaves, and old subtrees of any level that are kept as
 * they are.  Those of level l - 1 wait until they become pages of level l, which then
 * wait one level higher.
 *
 * [N1] A subtree is added only when nothing waits at its own level or below
 *      (levels_settle), so
 *      keys stay in order and all leaves stay at one depth.
 * [N2] Each page has at least two children, but for the last one of its level.
 * [N3] At each level about two pages of children wait at most.
 *
 * One thread. */
#ifndef ENGINE_LEVELS_H
#define ENGINE_LEVELS_H

#include "engine/writer.h"

struct levels;

/* keep: see levels_promise.  Runs inside any of the functions below. */
scn_status levels_create(struct writer *writer, uint32_t table_id,
                         scn_status (*keep)(void *ctx), void *ctx, struct levels **out)
    MUST_USE;
void levels_destroy(struct levels *levels);

/* The next subtree; bound is its lower bound, and is copied [N1]. */
scn_status levels_add(struct levels *levels, const void *bound, uint32_t bound_len,
                      const struct page_ref *child) MUST_USE;

/* The next leaf, whose pointer is not known yet.  When it is needed, `keep` is called,
 * and has kept every promise when it returns SCN_OK. */
scn_status levels_promise(struct levels *levels, const void *bound, uint32_t bound_len,
                          uint64_t *promise) MUST_USE;
void levels_keep(struct levels *levels, uint64_t promise, const struct page_ref *leaf);

/* Makes pages of what waits, so that a subtree of this level may be added.  *is_settled
 * is false when too little waits at some level to make a good page of: then the subtree's
 * children come instead of the subtree. */
scn_status levels_settle(struct levels *levels, uint8_t level, bool *is_settled) MUST_USE;

/* Nothing comes any more.  *root is null when nothing came. */
scn_status levels_finish(struct levels *levels, struct page_ref *root) MUST_USE;

/* Inner pages written. */
uint64_t levels_page_count(const struct levels *levels);

#endif
