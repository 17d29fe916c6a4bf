/* A whole file in few bytes: parts that are not zero, each behind the number of zeros
 * before it.  Any bytes are an image.
 *
 *     pages u8 | { zeros u16, in units of 8 bytes | length u16 | bytes }*
 */
#ifndef TEST_FUZZ_IMAGE_H
#define TEST_FUZZ_IMAGE_H

#include "page/limits.h"
#include "test/fuzz/feed.h"

enum { IMAGE_PAGES_MAX = 112, IMAGE_BYTES_MAX = IMAGE_PAGES_MAX * PAGE_BYTES };

struct image {
    uint8_t bytes[IMAGE_BYTES_MAX];
    size_t size; /* whole pages, but for the last one */
};

void image_decode(struct image *image, struct feed *feed);
/* The length, or 0 when it does not fit. */
size_t image_encode(const struct image *image, uint8_t *at, size_t room);

/* Checksums made right again, from the log up to the superblocks; whatever leads to a
 * page by its hash leads to it still. */
void image_repair(struct image *image);

/* One change, as a person or a bad disk would make it. */
void image_forge(struct image *image, uint64_t *random);

#endif
