/* A COMMIT record becomes visible memory: its operations go into the active delta, its
 * runs become sources.
 *
 * Two steps, because a record that is in the log must be applied [D4]: apply_prepare
 * gets all memory, apply_finish cannot fail. Both under the apply lock, in log order;
 * followers and recovery use the same code. */
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
    uint64_t tables;        /* besides the catalog; one counts each time that it comes */
    uint64_t bytes;
    uint64_t run_pages;     /* of its runs, those that are written again */
    uint64_t newest_birth;  /* of its runs; 0: none */
};

/* Who has made the record decides how far it is trusted: this process; another one, which
 * has locked the pages of its runs; or nobody knows, and those pages are reserved here.
 */
enum apply_origin { APPLY_OWN, APPLY_FOLLOWED, APPLY_RECOVERED };
scn_status apply_prepare(struct store *store, const void *payload, size_t len,
                         enum apply_origin origin, struct apply *out) MUST_USE;
void apply_finish(struct store *store, struct apply *apply, uint64_t lsn);
void apply_abandon(struct apply *apply);

/* A FREEZE record, and what lies behind it: the active delta begins there, or a fresh one
 * does, and the others are frozen from now on.  SCN_NOMEM: nothing has changed. */
scn_status apply_freeze(struct store *store, const struct log_base *behind) MUST_USE;

#endif
