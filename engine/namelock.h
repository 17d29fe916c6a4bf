/* Named locks (scn_lock_try): for the programs that share a store, not for the store. */
#ifndef ENGINE_NAMELOCK_H
#define ENGINE_NAMELOCK_H

#include "engine/store.h"

/* At the store's end: locks that were not dropped are free, and scn_lock_drop still takes
 * them. */
void namelock_detach_all(struct store *store);

#endif
