/* The snapshots of a life: full ones, and increments that are applied to one of them.
 *
 * A snapshot goes into a file of its own, whose empty beginning is durable, or over the
 * full one before.  After a power cut it is no store, or the whole of one; what
 * increments are applied to is the older or the newer snapshot and never anything
 * between: its rows give the digest that it tells of. */
#ifndef TEST_FAULT_HEIRS_H
#define TEST_FAULT_HEIRS_H

#include "test/fault/life.h"

/* A full snapshot: a store with what the story tells. */
void heirs_take(struct life *life);
/* An increment on the last snapshot, applied to it.  Where that was not noted a full one
 * instead. */
void heirs_follow(struct life *life);
/* After a power cut. */
void heirs_check(struct life *life);

#endif
