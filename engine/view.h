/* Views: what a snapshot reads, as an ordered list of sources.
 *
 *     newest -> [delta (active)] [run] [delta (frozen)] ... [trees of gen] <- oldest
 *
 * A snapshot is a view and an LSN; the first source that says anything of a key with an
 * LSN not above the snapshot's decides. This is the whole read rule.
 *
 * [W1] A view never changes. A rotation, an ingested run and a checkpoint each install a
 *      new one.
 * [W2] Every record with an LSN above the base and not above appended_lsn, as of the
 *      moment the view was current, is in exactly one of its deltas or runs; whoever
 *      takes the current view and then reads the visible LSN does so under the store's
 *      state mutex, under which views are installed.
 * [W3] A live view pins its generation: its pages are not given out (space.h, A2). */
#ifndef ENGINE_VIEW_H
#define ENGINE_VIEW_H

#include "engine/delta.h"
#include "engine/tree.h"
#include "wal/ops.h"

/* A bulk run: a private tree of one table, committed at `lsn`. Shared by reference
 * count. */
struct run {
    _Atomic uint32_t references;
    uint64_t lsn; /* 0 while its transaction is open */
    struct tree tree;
    uint64_t count;
    uint64_t tombstones;
    uint64_t value_bytes;
    uint64_t birth_gen; /* the generation that was current when the build began */
    scn_slice min;      /* owned */
    scn_slice max;      /* owned */
    uint32_t range_count;
    struct op_range *ranges; /* owned; all pages grown for it */
    bool is_blind; /* in a write set: every put in it asked for no conflict check */
};

/* Copies the bounds and ranges of op. Reference count 1. */
scn_status run_create(uint32_t table_id, const struct op_run *op,
                      const struct op_range *ranges, uint32_t range_count,
                      uint64_t birth_gen, struct run **out) MUST_USE;
struct run *run_ref(struct run *run);
void run_unref(struct run *run);

struct source {
    struct delta *delta; /* one of the two */
    struct run *run;
};

struct view {
    uint32_t references; /* guarded by the store's state mutex, like the list */
    bool is_pinned; /* state; holds a reference on the pin of its generation */
    uint32_t gone_holders; /* state; of them, transactions whose snapshot is given up */
    struct view *next;
    struct view *previous;
    uint64_t gen;
    uint64_t base_lsn;
    struct page_ref catalog;
    uint32_t source_count;
    struct source sources[]; /* newest first; each holds a reference */
};

/* Takes its own references on the sources. */
scn_status view_create(uint64_t gen, uint64_t base_lsn, const struct page_ref *catalog,
                       const struct source *sources, uint32_t source_count,
                       struct view **out) MUST_USE;
void view_destroy(struct view *view);

#endif
