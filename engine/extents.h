/* The log's extents as a checkpoint sees them: which belong to the generation, which are
 * freed in it, which are spare.
 *
 * An extent is freed like a page, by the generation that no longer needs it; when its
 * time has come (space.h, A1) it is a spare for the log again. Spares are listed in the
 * superblock, so a crash does not lose them; one that the log has linked meanwhile is
 * found in the chain. A draining checkpoint gives the spares up and lets the log go on
 * in an extent further down, so that the file can be cut. */
#ifndef ENGINE_EXTENTS_H
#define ENGINE_EXTENTS_H

#include "engine/store.h"

/* The first group is the caller's to fill, the rest zero. */
struct extents {
    struct store *store;
    uint64_t gen;
    const struct log_base *base;   /* the freeze point */
    struct superblock *superblock; /* being made */
    bool drains;
    uint32_t packed_end; /* drain: spares from here on keep the file long; 0: none does */

    struct log_spare matured[LOG_SPARE_MAX]; /* by space_begin; for the log */
    uint32_t matured_count;
    struct log_spare low; /* drain: where the log moves to; pages 0: it stays */
    struct log_spare dropped[LOG_SPARE_MAX]; /* drain: spares given up */
    uint32_t dropped_count;
};

/* Apply lock held: the log's spares become those that the generation lists, and those
 * that this process has made ready; one of these that cannot be listed is given back. */
scn_status extents_list_spares(struct store *store,
                               const struct superblock *sb) MUST_USE;
/* So many matured extents are welcome. */
uint32_t extents_wanted(const struct extents *extents);
/* Chain and spares belong to the generation, what lies before the base is freed in it
 * (A3: the older slot still needs it), the superblock lists the spares. Takes the append
 * lock for a moment; *has_append: it is still held, since spares are given up that others
 * must not link before they know, and only to be given back when the generation is
 * published or abandoned. */
scn_status extents_settle(struct extents *extents, bool *has_append) MUST_USE;
/* Append and apply lock held, the superblock durable: the log forgets what lies before
 * the base and gets its spares. */
void extents_publish(struct extents *extents);
/* The spares that were given up come back. */
void extents_abandon(struct extents *extents);

#endif
