/* The background thread of a store: checkpoints that are due or that an idle moment
 * allows, log extents made ready ahead of need, the sync of lazy commits, the MARK
 * record of a quiet log, and, for readers too, what an idle process gives back. With
 * SCN_NOTHREAD scn_tick does the same. */
#ifndef ENGINE_BACKGROUND_H
#define ENGINE_BACKGROUND_H

#include "engine/store.h"

struct background;

scn_status background_start(struct store *store) MUST_USE;
/* Waits for the step under way. */
void background_stop(struct background *background);
void background_wake(struct background *background);

#endif
