/* A COMMIT record becomes visible memory: its operations go into the active delta, its
 * runs become sources.
 *
 * Two steps, because a record that is in the log must be applied [D4]: apply_prepare
 * gets all memory, apply_finish cannot fail. Both under the append lock, in log order;
 * recovery uses the same code. */
#ifndef ENGINE_APPLY_H
#define ENGINE_APPLY_H

#include "engine/store.h"

struct apply {
    const void *payload;
    size_t len;
    struct view *view;      /* the next one, when there are runs */
    struct source *sources; /* new ones, oldest first; owned references */
    uint32_t count;
    uint64_t ops;           /* what a checkpoint will have to merge (engine/room.h) */
    uint64_t bytes;
    uint64_t run_pages;     /* of its runs, those that are written again */
};

/* is_replay: the runs' pages are reserved here; a committer has done so when it built
 * them. */
scn_status apply_prepare(struct store *store, const void *payload, size_t len,
                         bool is_replay, struct apply *out) MUST_USE;
void apply_finish(struct store *store, struct apply *apply, uint64_t lsn);
void apply_abandon(struct apply *apply);

/* A fresh active delta in front of the others: the older ones are frozen from now on. */
scn_status apply_rotate(struct store *store) MUST_USE;

#endif
