/* Room in the log: ready extents, and a checkpoint before the log is full.
 *
 *     log bytes since the base:   0 .......... half .......... full
 *                                 |  nothing  |  a checkpoint is due; at `full` commits
 *                                                wait for its end
 * Nobody waits while holding the append lock (K2): a committer that finds no room
 * releases it, comes here, and validates again. */
#ifndef ENGINE_ROOM_H
#define ENGINE_ROOM_H

#include "engine/store.h"

/* A checkpoint should run: log or delta have grown, or runs have piled up. */
bool room_is_checkpoint_due(struct store *store);
/* The log is as full as it may get. Append lock held or not. */
bool room_is_exhausted(struct store *store);
/* Waits for a checkpoint to end, or runs it where there is no thread for it. SCN_OK:
 * look again. SCN_FULL, SCN_POISONED ...: what the checkpoint said; SCN_BUSY: the
 * deadline passed. */
scn_status room_wait(struct store *store, uint64_t deadline_ns) MUST_USE;
/* Makes a log extent ready, unless one is. has_append: the caller holds the append lock
 * (priority). */
scn_status room_extend(struct store *store, bool has_append) MUST_USE;
/* New pages at the end of the file, reserved; for runs and extents. */
scn_status room_grow(struct store *store, uint32_t pages, bool has_append,
                     uint32_t *pgno) MUST_USE;
/* Should be called after a commit, without locks: wakes the background thread, or
 * throttles. */
void room_after_commit(struct store *store);

#endif
