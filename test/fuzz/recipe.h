/* Files for targets that look at whole ones: stores that the engine makes, by number, and
 * what becomes of them.
 *
 *     how u8 | image (test/fuzz/image.h), or, in up to three bytes, a recipe: steps, what
 *
 * The mutator turns a recipe into its image and then changes that, mostly with checksums
 * repaired. */
#ifndef TEST_FUZZ_RECIPE_H
#define TEST_FUZZ_RECIPE_H

#include "test/fuzz/image.h"

enum { RECIPE_BYTES_MAX = 3 };

/* steps: how many transactions, and a checkpoint behind which of them; what: bits of what
 * they do. */
void recipe_cook(struct image *image, uint8_t steps, uint8_t what);
/* For FUZZ_TARGET. */
size_t recipe_mutate(uint8_t *data, size_t size, size_t room, uint64_t seed);

#endif
