/* The bytes of a file, in chunks that images share until one of them writes.
 *
 * A power cut makes a new disk of which almost everything is as it was; so copying an
 * image copies no bytes, and the hash of a chunk is computed once for all who share it.
 *
 * [M5] A chunk with more than one reference is never changed.
 * [M6] NULL stands for a chunk of zeros.  Bytes behind the size are zero.
 *
 * An image belongs to one owner; chunks may be shared by images of several threads. */
#ifndef TEST_SIM_IMAGE_H
#define TEST_SIM_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A chunk is a page of the page cache; a sector is what a power cut leaves whole. */
enum {
    CHUNK_BYTES = 4096,
    SECTOR_BYTES = 512,
    CHUNK_SECTORS = CHUNK_BYTES / SECTOR_BYTES
};

struct chunk;
struct image {
    struct chunk **chunks;
    uint64_t count; /* of chunks that the size reaches into */
    uint64_t room;
    uint64_t size;
};

void image_clear(struct image *image);
/* `to` becomes what `from` is. */
void image_copy(struct image *to, const struct image *from);
void image_set_size(struct image *image, uint64_t size);
/* len bytes, with zeros behind the end. */
void image_read(const struct image *image, uint64_t off, void *buf, uint64_t len);
/* Behind the end nothing is stored. */
void image_write(struct image *image, uint64_t off, const void *buf, uint64_t len);
/* Of the size and the bytes. */
uint64_t image_hash(const struct image *image);

/* A reference to what the image has in its chunk `no` now: image_write goes elsewhere
 * until it is dropped. */
struct chunk *image_take_chunk(struct image *image, uint64_t no);
void chunk_drop(struct chunk *chunk);
struct chunk *chunk_share(struct chunk *chunk);
const uint8_t *chunk_bytes(const struct chunk *chunk);
/* A new chunk in place of one that is dropped. */
struct chunk *chunk_replace(struct chunk *old, const uint8_t bytes[CHUNK_BYTES]);
/* The image shares the chunk from now on, in so far as its size reaches. */
void image_put_chunk(struct image *image, uint64_t no, struct chunk *chunk);

#endif
