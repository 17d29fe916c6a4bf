/* The next generation of one tree: old tree + sorted changes -> new tree, copy on write,
 * leaf by leaf.
 *
 * The changes come in key order, each key once.  Leaves and whole subtrees without a
 * change keep their pages and pointers.  A touched leaf is merged into new ones; runs of
 * unchanged records are copied as they are, and values outside the leaf keep their place,
 * but for those that a relocation moves (relocation.h).
 * Each group of new leaves is cut evenly, but for the right edge, which is packed full
 * (ascending keys are the common case); what remains small is joined with the next leaf.
 *
 * [T1] No page of the old tree is written.  Pages no longer reachable are told to
 *      page_freed, exactly once.
 * [T2] A value reference that leaves the tree is told to value_dropped, exactly once, and
 *      one that enters it to value_added.
 * [T3] Memory is bounded by a few pages a level, whatever the size of the tree; one path,
 *      no recursion.
 * [T4] On failure the old tree is intact, and what was written is the caller's to
 *      abandon.
 * [T5] A kept leaf stands for no more keys than before, but for the last leaf of the
 *      tree: where leaves have lost all their records and are gone, the next one is
 *      written anew, and its lower bound is theirs.  So the ranges of the leaves that a
 *      generation has written hold all that it has changed. */
#ifndef ENGINE_REBUILD_H
#define ENGINE_REBUILD_H

#include "engine/relocation.h"
#include "engine/tree.h"
#include "engine/values.h"
#include "engine/writer.h"

enum { REBUILD_COMPRESS_MIN = 64 }; /* shorter values stay in the leaf */

enum change_kind {
    CHANGE_PUT,     /* value bytes: inline or outside, as their length says */
    CHANGE_PUT_REF, /* an encoded value_ref, already written (from a run) */
    CHANGE_DELETE
};

struct change {
    scn_slice key;
    scn_slice value;
    enum change_kind kind;
};

struct rebuild_stat {
    uint64_t count;
    uint64_t key_bytes;
    uint64_t value_bytes; /* lengths of the values, wherever they lie */
    uint64_t pages;       /* pages of the tree itself */
};

struct rebuild {
    struct pool_reader *reader;
    struct writer *writer;
    struct tree old;
    struct rebuild_stat stat; /* in: of old; out: of the new tree */
    bool compress;            /* SCN_COMPRESS: values of REBUILD_COMPRESS_MIN and more
                                 go to blocks */
    struct relocation *relocation; /* NULL: nothing moves */
    bool is_uncounted;        /* the catalog itself: nobody keeps its statistics */
    bool keep_tombstones;     /* bulk runs, old is empty: deletes become tombstones,
                                 which are not counted */
    /* The next change in key order: SCN_OK, SCN_END or an error.  Bytes are good until
     * the next call. */
    scn_status (*next)(void *ctx, struct change *out);
    /* Does a range deletion cover this key of the old tree?  NULL: there is none. */
    bool (*is_cleared)(void *ctx, scn_slice key);
    /* Is any key of [from, to) covered?  NULL: unbounded.  True in doubt. */
    bool (*touches_clear)(void *ctx, const scn_slice *from, const scn_slice *to);
    scn_status (*page_freed)(void *ctx, const struct page_ref *ref);
    scn_status (*value_dropped)(void *ctx, const struct value_ref *ref);
    /* Also for CHANGE_PUT_REF. */
    scn_status (*value_added)(void *ctx, const struct value_ref *ref);
    /* Progress and cancellation, about once a leaf read or written; may be NULL.  What is
     * not SCN_OK ends the rebuild. */
    scn_status (*step)(void *ctx);
    void *ctx;
};

/* Everything written through the writer, flushed; *root is null when the tree is empty.
 * The reader has not entered when the functions above are called.  They may use it
 * between an enter and a leave of their own, but what they hold is released. */
scn_status rebuild_tree(struct rebuild *job, struct page_ref *root) MUST_USE;

#endif
