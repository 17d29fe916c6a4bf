/* The arena: see arena.h.
 *
 *     [first | chunk | chunk ... at ---- end]   [spare, not begun]
 *
 * Two places hold room: the rest of the current chunk and one spare chunk.  A
 * reservation is good if either holds it alone.  Pieces come from the current chunk
 * while they fit; the first that does not begins the spare, which then holds the whole
 * reservation.  So a large reservation of which little is taken costs nothing the next
 * time, and what is lost at the end of a chunk is less than one piece, or, where a
 * reservation is larger than the spare, than that reservation.
 *
 * Chunks double up to CHUNK_BYTES_MAX: a small transaction lives in `first`, a large
 * one asks the allocator seldom.  Large chunks are pages of the system: what is freed
 * after long is a delta of many MiB, and malloc would keep it. */
#include "engine/arena.h"

#include "page/mem.h"

enum {
    CHUNK_BYTES_MIN = 4096,
    /* What the last chunk leaves unused is little beside what fills the others. */
    CHUNK_BYTES_MAX = 1 << 20,
    CHUNK_BYTES_PAGES = 128 << 10 /* from here on */
};
/* No address space holds it; sums below cannot overflow. */
#define RESERVE_BYTES_MAX (UINT64_C(1) << 40)

struct arena_chunk {
    struct arena_chunk *next;
    size_t size; /* with this head */
};

_Static_assert(sizeof(struct arena_chunk) % ARENA_ALIGN == 0,
               "the first piece is aligned");

void arena_init(struct arena *arena, void *first, size_t first_bytes)
{
    ASSERT((uintptr_t)first % ARENA_ALIGN == 0);
    arena->at = first;
    arena->end = (uint8_t *)first + first_bytes;
    arena->chunks = NULL;
    arena->spare = NULL;
    arena->chunk_bytes = CHUNK_BYTES_MIN;
    atomic_init(&arena->used, 0);
}

static void *chunk_alloc(size_t size)
{
    return size < CHUNK_BYTES_PAGES ? mem_alloc(size) : mem_pages(size);
}

static void chunk_free(struct arena_chunk *chunk)
{
    if (chunk->size < CHUNK_BYTES_PAGES)
        mem_free(chunk);
    else
        mem_pages_free(chunk, chunk->size);
}

void arena_destroy(struct arena *arena)
{
    struct arena_chunk *chunk = arena->chunks;
    while (chunk) {
        struct arena_chunk *next = chunk->next;
        chunk_free(chunk);
        chunk = next;
    }
}

static struct arena_chunk *chunk_create(struct arena *arena, uint64_t room)
{
    if (room > RESERVE_BYTES_MAX)
        return NULL;
    size_t size = room + sizeof(struct arena_chunk);
    if (size < arena->chunk_bytes)
        size = arena->chunk_bytes;
    struct arena_chunk *chunk = chunk_alloc(size);
    if (chunk == NULL)
        return NULL;
    chunk->size = size;
    chunk->next = arena->chunks;
    arena->chunks = chunk;
    if (arena->chunk_bytes < CHUNK_BYTES_MAX)
        arena->chunk_bytes *= 2;
    return chunk;
}

static void begin_spare(struct arena *arena)
{
    arena->at = (uint8_t *)(arena->spare + 1);
    arena->end = (uint8_t *)arena->spare + arena->spare->size;
    arena->spare = NULL;
}

scn_status arena_reserve(struct arena *arena, uint64_t size)
{
    if ((uint64_t)(arena->end - arena->at) >= size)
        return SCN_OK;
    if (arena->spare && arena->spare->size - sizeof *arena->spare >= size)
        return SCN_OK;
    struct arena_chunk *chunk = chunk_create(arena, size);
    if (chunk == NULL)
        return error_nomem();
    if (arena->spare)
        begin_spare(arena);
    arena->spare = chunk;
    return SCN_OK;
}

void *arena_take(struct arena *arena, size_t size)
{
    size = arena_rounded(size);
    if ((size_t)(arena->end - arena->at) < size) {
        ASSERT(arena->spare);
        begin_spare(arena);
    }
    ASSERT((size_t)(arena->end - arena->at) >= size);
    void *piece = arena->at;
    arena->at += size;
    uint64_t used = atomic_load_explicit(&arena->used, memory_order_relaxed);
    atomic_store_explicit(&arena->used, used + size, memory_order_relaxed);
    return piece;
}

uint64_t arena_used(const struct arena *arena)
{
    return atomic_load_explicit(&arena->used, memory_order_relaxed);
}
