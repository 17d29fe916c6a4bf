/* What a checkpoint must not give out although no generation knows it. */
#ifndef ENGINE_RESERVED_H
#define ENGINE_RESERVED_H

#include "engine/store.h"

/* Checkpoint, append and apply lock held, the log applied to its end, nothing being
 * built: the space's reservations become the pages of runs, of log extents and spares
 * behind the generation, and what this process or another one has grown the file by.
 * Learns the file's size.  SCN_CORRUPT (two owners), SCN_NOMEM, SCN_IO. */
scn_status reserve_all(struct store *store) MUST_USE;

#endif
