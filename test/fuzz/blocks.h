/* The engine's memory while a target runs: cheaper than malloc of AddressSanitizer, and
 * as watchful.
 *
 * Blocks come from one arena, by size classes.  What nobody has taken is poisoned: the
 * head before each block, the rest of its class behind it, and every block that was given
 * back, which is taken again only after some others of its class.  In a build without
 * AddressSanitizer nothing is poisoned.
 *
 * One thread.  Reports know no history of a block; PLAIN_MALLOC in the environment has
 * the engine take its memory from malloc, which keeps it (test/fuzz/stage.c). */
#ifndef TEST_FUZZ_BLOCKS_H
#define TEST_FUZZ_BLOCKS_H

#include <stddef.h>

/* For scn_set_allocator.  Fail the target where too much is taken at a time, and where
 * something else is given back than was taken. */
void *blocks_take(void *user, size_t size);
void blocks_give(void *user, void *at);

#endif
