/* Creating a file, and finding the state of one that exists.
 *
 * Opening an existing file:
 * 1. read both slots; the newest generation whose slot and roots verify is the one. The
 *      older one is taken only if the log from its base is whole up to the newest base
 *      (then nothing is missing); the newer one is given up then, as the last step.
 * 2. load the allocation state; replay the log from the base into the active delta; what
 *      records reference (runs, extents) is reserved.
 * 3. judge the end of the log: a torn tail is cut, by starting a new epoch at the cut;
 *      corruption refuses writing and changes nothing.
 * 4. what was adopted beyond the watermark is written again: so far it may only live in
 *      the page cache. The header of what was torn behind it is erased, and both are
 *      synced (wal/log.h, [L8]). Nothing is written before step 4. */
#ifndef ENGINE_RECOVERY_H
#define ENGINE_RECOVERY_H

#include "engine/store.h"

/* Makes a new store.
 *
 * [Y3] It gets its name when it is whole and synced, and has no other one before, where
 *      the file system has files without a name: whoever is killed leaves nothing.
 *      recovery_run of whoever finds it so syncs it under its name, and then the folder.
 *
 * Elsewhere it has a temporary name first, which a kill leaves. SCN_OK also when somebody
 * else created path meanwhile. docs/durability.md says why this is right. */
scn_status recovery_create(struct sys *sys, const char *path) MUST_USE;

/* store has file, locks, pool, readers, space (unless read-only) and the mutexes; gets
 * everything else. SCN_NOTADB, SCN_VERSION, SCN_CORRUPT, SCN_IO, SCN_NOMEM. */
scn_status recovery_run(struct store *store) MUST_USE;

/* Checkpoint lock held: who held it before may have been another process, and may have
 * died.  The newest durable generation is this store's, and told; its allocation state is
 * loaded, and next_gen is free. */
scn_status recovery_adopt(struct store *store) MUST_USE;

#endif
