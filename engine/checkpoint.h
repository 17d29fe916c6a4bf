/* Checkpoint: frozen deltas and runs become the trees of the next generation.
 *
 * freeze APPEND: X = end of the log, a new active delta; then sync up to X [X <= synced]
 * rebuild no lock but CHECKPOINT: every changed table, leaf by leaf, into new pages
 * publish pages synced -> superblock slot written and synced -> APPEND: the new view
 * forget log extents, pages and memory that nobody can reach any more
 *
 * [X1] The superblock is written after everything it leads to is durable [H1], and only
 *      if the file is not poisoned.
 * [X2] A failure before that changes nothing: deltas and log stay authoritative,
 *      allocation is restored.
 * [X3] A failed sync poisons, whoever made it. */
#ifndef ENGINE_CHECKPOINT_H
#define ENGINE_CHECKPOINT_H

#include "engine/store.h"

enum checkpoint_mode {
    CHECKPOINT_PLAIN,  /* when there is something to merge */
    CHECKPOINT_DRAIN,  /* also goes on while that gives space back */
    CHECKPOINT_GROWING /* as PLAIN, but takes no page of the file as it was */
};

/* SCN_OK, also when there was nothing to do. */
scn_status checkpoint_run(struct store *store, enum checkpoint_mode mode) MUST_USE;
/* Calls fn with the checkpoint lock held and the newest generation at hand; its status,
 * or why it was not called. */
scn_status checkpoint_hold(struct store *store, scn_status (*fn)(void *ctx),
                           void *ctx) MUST_USE;
/* In such a function: one more generation, though there may be nothing to merge, with a
 * step of the pass (NULL: none; engine/forest.h). */
struct forest_pass;
scn_status checkpoint_generation(struct store *store, struct forest_pass *pass) MUST_USE;
/* The same without a pass: trees' pages and the log leave what lies from page `from` on,
 * or from where a file would end that has so many pages in use. */
scn_status checkpoint_shorten(struct store *store, uint32_t from) MUST_USE;
/* Appends a MARK record, and perhaps syncs it: the log's last commits get a witness. */
scn_status checkpoint_mark(struct store *store, bool syncs) MUST_USE;
/* SCN_MISUSE: the calling thread is in a function that scn_check calls, and would wait
 * for itself. */
scn_status checkpoint_check_not_inside(struct store *store) MUST_USE;
/* The same, or in the function of an scn_update: for calls that want a checkpoint, or
 * none. */
scn_status checkpoint_check_caller(struct store *store) MUST_USE;

#endif
