/* What a checkpoint merges: the deltas and runs up to its freeze point, over the trees
 * of the current generation.
 *
 * Used by one thread, the checkpoint's. It holds a reference on its view, so nothing of
 * it goes away. */
#ifndef ENGINE_FROZEN_H
#define ENGINE_FROZEN_H

#include "engine/catalog.h"
#include "engine/merge.h"
#include "engine/rebuild.h"
#include "engine/view.h"

struct frozen {
    struct view *view;            /* owned reference, given back by the owner */
    const struct source *sources; /* newest first */
    uint32_t source_count;
    struct pool_reader *
        reader; /* for runs, catalog rows and index pages; never inside another's enter */
};

/* The user tables that the sources mention, or all that have a tree besides, ascending;
 * *ids is the caller's to free. */
scn_status frozen_tables(const struct frozen *frozen, bool all, uint32_t **ids,
                         uint32_t *count) MUST_USE;
/* Does the table exist at the freeze point, and with which flags? */
scn_status frozen_table_flags(const struct frozen *frozen, uint32_t table_id,
                              bool *exists, uint32_t *flags) MUST_USE;
bool frozen_is_cleared(const struct frozen *frozen, uint32_t table_id, scn_slice key);
bool frozen_has_clears(const struct frozen *frozen, uint32_t table_id);
/* May any range deletion touch [from, to)?  NULL: unbounded. */
bool frozen_touches_clear(const struct frozen *frozen, uint32_t table_id,
                          const scn_slice *from, const scn_slice *to);

/* One table's changes in key order, as rebuild_tree wants them. */
struct frozen_input {
    const struct frozen *frozen;
    struct merge *merge;
    uint64_t link_gen; /* stamped on references to values of runs */
    bool is_started;
    bool has_ended;
    uint32_t turn;
    uint8_t *copies[2]; /* key and, of runs, value: good until the second call from it */
    size_t capacities[2];
};
scn_status frozen_input_open(struct frozen_input *input, const struct frozen *frozen,
                             uint32_t table_id, uint64_t link_gen) MUST_USE;
void frozen_input_close(struct frozen_input *input);
scn_status frozen_input_next(struct frozen_input *input, struct change *out) MUST_USE;

#endif
