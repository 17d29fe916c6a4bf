/* What scrine-walcheck writes, in a life: torn tails that it cuts, and salvages.
 *
 * A cut: the process dies in a commit, the machine may start anew, and walcheck cuts what
 * is torn.  At any moment the bytes are where they were or, all of them, in the file
 * beside; who is killed or loses power in the middle can do it again.
 *
 * A salvage: from a store that was closed, or whose process died, into a new one.  It is
 * a sound store or not there at all, and once its close has returned it has what the
 * story tells.  The source stays as it was.
 *
 * After a power cut walcheck has to take each disk for sound, too. */
#ifndef TEST_FAULT_REPAIRS_H
#define TEST_FAULT_REPAIRS_H

#include "test/fault/life.h"

void repairs_cut(struct life *life);
void repairs_salvage(struct life *life);
/* After a power cut, before the store is opened. */
void repairs_check(struct life *life);

#endif
