/* Images: see image.h. */
#include "test/sim/image.h"

#include "page/hash.h"
#include "test/sim/medium.h"
#include "test/sim/state.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { ROOM_STEP = 32 };

struct chunk {
    _Atomic uint32_t references;
    _Atomic uint64_t hash; /* 0: not known yet */
    uint8_t bytes[CHUNK_BYTES];
};

static const uint8_t zeros[CHUNK_BYTES];

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* ---- chunks ---- */

static struct chunk *chunk_create(const uint8_t bytes[CHUNK_BYTES])
{
    struct chunk *chunk = must(malloc(sizeof *chunk));
    atomic_init(&chunk->references, 1);
    atomic_init(&chunk->hash, 0);
    memcpy(chunk->bytes, bytes, CHUNK_BYTES);
    return chunk;
}

struct chunk *chunk_share(struct chunk *chunk)
{
    if (chunk)
        atomic_fetch_add_explicit(&chunk->references, 1, memory_order_relaxed);
    return chunk;
}

void chunk_drop(struct chunk *chunk)
{
    if (chunk && atomic_fetch_sub_explicit(&chunk->references, 1,
                                           memory_order_acq_rel) == 1)
        free(chunk);
}

const uint8_t *chunk_bytes(const struct chunk *chunk)
{
    return chunk ? chunk->bytes : zeros;
}

struct chunk *chunk_replace(struct chunk *old, const uint8_t bytes[CHUNK_BYTES])
{
    struct chunk *chunk = chunk_create(bytes);
    chunk_drop(old);
    return chunk;
}

/* Whoever shares it may be the first to ask; all find the same. */
static uint64_t chunk_hash(struct chunk *chunk)
{
    uint64_t hash = atomic_load_explicit(&chunk->hash, memory_order_relaxed);
    if (hash == 0) {
        hash = hash64(chunk->bytes, CHUNK_BYTES) | 1;
        atomic_store_explicit(&chunk->hash, hash, memory_order_relaxed);
    }
    return hash;
}

/* The chunk as one that may be changed [M5]. */
static struct chunk *own_chunk(struct chunk **at)
{
    struct chunk *chunk = *at;
    if (chunk == NULL)
        *at = chunk_create(zeros);
    else if (atomic_load_explicit(&chunk->references, memory_order_acquire) > 1)
        *at = chunk_replace(chunk, chunk->bytes);
    atomic_store_explicit(&(*at)->hash, 0, memory_order_relaxed);
    return *at;
}

/* ---- images ---- */

void image_clear(struct image *image)
{
    for (uint64_t i = 0; i < image->count; i++)
        chunk_drop(image->chunks[i]);
    free(image->chunks);
    *image = (struct image){0};
}

void image_copy(struct image *to, const struct image *from)
{
    struct image copy = {.count = from->count, .room = from->count, .size = from->size};
    if (copy.count > 0)
        copy.chunks = must(malloc(copy.count * sizeof(struct chunk *)));
    for (uint64_t i = 0; i < copy.count; i++)
        copy.chunks[i] = chunk_share(from->chunks[i]);
    image_clear(to);
    *to = copy;
}

static void reserve(struct image *image, uint64_t count)
{
    if (count <= image->room)
        return;
    image->room = least(count * 2, count + 8 * ROOM_STEP);
    image->chunks =
        must(realloc(image->chunks, image->room * sizeof(struct chunk *)));
}

/* What is cut off is gone, also where the file grows again. */
static void cut(struct image *image, uint64_t size)
{
    uint64_t count = (size + CHUNK_BYTES - 1) / CHUNK_BYTES;
    for (uint64_t i = count; i < image->count; i++)
        chunk_drop(image->chunks[i]);
    image->count = count;
    uint64_t part = size % CHUNK_BYTES;
    if (part > 0 && image->chunks[count - 1])
        memset(own_chunk(&image->chunks[count - 1])->bytes + part, 0, CHUNK_BYTES - part);
}

void image_set_size(struct image *image, uint64_t size)
{
    if (size > MEDIUM_SIZE_MAX)
        abort();
    if (size < image->size)
        cut(image, size);
    uint64_t count = (size + CHUNK_BYTES - 1) / CHUNK_BYTES;
    reserve(image, count);
    while (image->count < count)
        image->chunks[image->count++] = NULL;
    image->size = size;
}

void image_read(const struct image *image, uint64_t off, void *buf, uint64_t len)
{
    uint64_t end = off + least(len, off < image->size ? image->size - off : 0);
    uint8_t *to = buf;
    memset(to + (end - off), 0, len - (end - off));
    while (off < end) {
        uint64_t at = off % CHUNK_BYTES;
        uint64_t part = least(end - off, CHUNK_BYTES - at);
        memcpy(to, chunk_bytes(image->chunks[off / CHUNK_BYTES]) + at, part);
        to += part;
        off += part;
    }
}

void image_write(struct image *image, uint64_t off, const void *buf, uint64_t len)
{
    uint64_t end = off + least(len, off < image->size ? image->size - off : 0);
    const uint8_t *from = buf;
    while (off < end) {
        uint64_t at = off % CHUNK_BYTES;
        uint64_t part = least(end - off, CHUNK_BYTES - at);
        struct chunk **chunk = &image->chunks[off / CHUNK_BYTES];
        if (*chunk || memcmp(from, zeros, part) != 0)
            memcpy(own_chunk(chunk)->bytes + at, from, part);
        from += part;
        off += part;
    }
}

/* A chunk of zeros that somebody wrote is worth as much as one that nobody did. */
uint64_t image_hash(const struct image *image)
{
    uint64_t nothing = hash64(zeros, CHUNK_BYTES) | 1;
    uint64_t hash = image->size;
    for (uint64_t i = 0; i < image->count; i++) {
        uint64_t one = image->chunks[i] ? chunk_hash(image->chunks[i]) : nothing;
        uint64_t mix = one + i * UINT64_C(0x9e3779b97f4a7c15);
        if (one != nothing)
            hash += medium_random(&mix);
    }
    return hash;
}

struct chunk *image_take_chunk(struct image *image, uint64_t no)
{
    return no < image->count ? chunk_share(image->chunks[no]) : NULL;
}

void image_put_chunk(struct image *image, uint64_t no, struct chunk *chunk)
{
    if ((no + 1) * CHUNK_BYTES > image->size) {
        image_write(image, no * CHUNK_BYTES, chunk_bytes(chunk), CHUNK_BYTES);
        return;
    }
    chunk_share(chunk);
    chunk_drop(image->chunks[no]);
    image->chunks[no] = chunk;
}
