/* Published B+trees: point reads, batches, cursors.  Read only; one version a key.
 *
 * All functions but tree_walk run between pool_enter and pool_leave of the reader; pages
 * and records they return are good until pool_leave, or longer where the caller holds
 * them (pool_hold).  Trees come from disk: depth is bounded by TREE_LEVEL_MAX, levels
 * must fall by one at each step, and table ids must agree, else SCN_CORRUPT. */
#ifndef ENGINE_TREE_H
#define ENGINE_TREE_H

#include "buffer/pool.h"
#include "page/leaf.h"

struct tree {
    struct page_ref root; /* null: empty */
    uint32_t table_id;
};

struct tree_record {
    struct leaf_record record;
    const uint8_t *page; /* the leaf, for pool_hold */
};

/* SCN_OK, SCN_NOTFOUND, or an error. hash is leaf_hash(key). */
scn_status tree_get(struct pool_reader *reader, const struct tree *tree, scn_slice key,
                    uint64_t hash, struct tree_record *out) MUST_USE;
/* Up to TREE_BATCH_MAX keys at once, their cache misses overlapped.  Each status is OK,
 * NOTFOUND or an error; the first key's error is returned. */
enum { TREE_BATCH_MAX = 16 };
scn_status tree_get_many(struct pool_reader *reader, const struct tree *tree,
                         const scn_slice *keys, const uint64_t *hashes, uint32_t count,
                         struct tree_record *out, scn_status *statuses) MUST_USE;

/* A position in a tree.  Plain memory, no page is kept between pool_leave and the next
 * pool_enter: each step gets its leaf again from the pool, through the pointer.  After an
 * error in tree_next or tree_prev the position is what it was before.  On an unpositioned
 * cursor both answer SCN_END. */
struct tree_step {
    struct page_ref ref;
    uint32_t idx;
    uint32_t count;
};
struct tree_cursor {
    struct tree tree;
    bool is_positioned;
    uint8_t depth;                          /* levels in path */
    struct tree_step path[TREE_LEVEL_MAX]; /* root first, leaf last */
};
void tree_cursor_init(struct tree_cursor *cursor, const struct tree *tree);
/* op is SCN_GE, SCN_GT, SCN_LE, SCN_LT; key NULL: first (GE) or last (LE).  SCN_END: no
 * such record, the cursor is unpositioned, as it is after an error. */
scn_status tree_seek(struct pool_reader *reader, struct tree_cursor *cursor,
                     const scn_slice *key, int op, struct tree_record *out) MUST_USE;
scn_status tree_next(struct pool_reader *reader, struct tree_cursor *cursor,
                     struct tree_record *out) MUST_USE;
scn_status tree_prev(struct pool_reader *reader, struct tree_cursor *cursor,
                     struct tree_record *out) MUST_USE;
/* The record under the cursor again. */
scn_status tree_current(struct pool_reader *reader, struct tree_cursor *cursor,
                        struct tree_record *out) MUST_USE;

/* Calls fn for every page of the tree, parents first, leaves included, in key order.
 * Bounded memory, one path.  Enters and leaves the reader for itself, anew for each page;
 * fn runs in between, so it may ask the pool for more, and what it got is gone at its
 * next call.  What is not SCN_OK ends the walk. */
scn_status tree_walk(struct pool_reader *reader, const struct tree *tree,
                     scn_status (*fn)(void *ctx, const struct page_ref *ref,
                                      const uint8_t *page),
                     void *ctx) MUST_USE;

/* For those who go their own way down (rebuild): the page of a pointer, if it is one of
 * this table and of the pointer's level; and a child's pointer, if it stands one level
 * lower. */
scn_status tree_page(struct pool_reader *reader, const struct tree *tree,
                     const struct page_ref *ref, const uint8_t **page) MUST_USE;
scn_status tree_child(const struct page_ref *parent, const uint8_t *page, uint32_t idx,
                      struct page_ref *out) MUST_USE;

#endif
