/* The library's memory: malloc, or what the program put in its place.
 *
 * The source can only be replaced before its first use, so it is constant while anybody
 * looks at it, and a block always goes back to where it came from.  This file holds the
 * one piece of state that cannot hang on an instance of struct sys: blocks exist before
 * there is one. */
#include "page/mem.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    REGION_ALIGN = 2 << 20, /* a huge page */
    MAP_ALIGN = 4096,
    ITEMS_FIRST = 16 /* of an array */
};

static struct {
    void *(*alloc)(void *, size_t);
    void (*dealloc)(void *, void *);
    void *user;
    atomic_bool is_used;
#ifdef SCN_ASSERT
    atomic_size_t live;
#endif
} source;

/* A store only the first time: after that every thread only reads the line. */
static void mark_used(void)
{
    if (!atomic_load_explicit(&source.is_used, memory_order_relaxed))
        atomic_store(&source.is_used, true);
}

static void *count_taken(void *block)
{
#ifdef SCN_ASSERT
    if (block)
        atomic_fetch_add_explicit(&source.live, 1, memory_order_relaxed);
#endif
    return block;
}

static void count_given(const void *block)
{
#ifdef SCN_ASSERT
    if (block)
        atomic_fetch_sub_explicit(&source.live, 1, memory_order_relaxed);
#endif
    (void)block;
}

void *mem_alloc(size_t size)
{
    mark_used();
    if (size == 0)
        size = 1; /* NULL only ever means no memory */
    return count_taken(source.alloc ? source.alloc(source.user, size) : malloc(size));
}

void *mem_zalloc(size_t size)
{
    if (!source.alloc) {
        mark_used();
        return count_taken(calloc(1, size ? size : 1));
    }
    void *block = mem_alloc(size);
    if (block)
        memset(block, 0, size);
    return block;
}

void *mem_grow(void *block, size_t old_size, size_t new_size)
{
    ASSERT(new_size >= old_size);
    if (block && !source.alloc)
        return realloc(block, new_size ? new_size : 1);
    void *grown = mem_alloc(new_size);
    if (grown && block) {
        memcpy(grown, block, old_size);
        mem_free(block);
    }
    return grown;
}

void mem_free(void *block)
{
    if (!block)
        return;
    count_given(block);
    if (source.dealloc)
        source.dealloc(source.user, block);
    else
        free(block);
}

scn_status mem_make_room(void *array, uint32_t *capacity, uint64_t needed, size_t each)
{
    void *items;
    if (needed <= *capacity)
        return SCN_OK;
    uint64_t wanted = 2 * (uint64_t)*capacity;
    if (wanted < ITEMS_FIRST)
        wanted = ITEMS_FIRST;
    if (wanted < needed)
        wanted = needed;
    memcpy(&items, array, sizeof items); /* a pointer of any type */
    if (wanted > UINT32_MAX)
        return error_nomem();
    items = mem_grow(items, *capacity * each, wanted * each);
    if (items == NULL)
        return error_nomem();
    memcpy(array, &items, sizeof items);
    *capacity = (uint32_t)wanted;
    return SCN_OK;
}

static size_t map_size(size_t size)
{
    return (size + MAP_ALIGN - 1) & ~(size_t)(MAP_ALIGN - 1);
}

static void unmap(char *from, const char *to)
{
    if (from < to)
        munmap(from, (size_t)(to - from));
}

void *mem_pages(size_t size)
{
    if (source.alloc)
        return mem_alloc(size);
    mark_used();
    if (size == 0 || size > SIZE_MAX / 2)
        return NULL;
    void *pages = mmap(NULL, map_size(size), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return pages == MAP_FAILED ? NULL : count_taken(pages);
}

void mem_pages_free(void *pages, size_t size)
{
    if (source.dealloc) {
        mem_free(pages);
    } else if (pages) {
        count_given(pages);
        unmap(pages, (char *)pages + map_size(size));
    }
}

static char *align_region(char *at)
{
    uintptr_t address = (uintptr_t)at;
    return at + (-address & (REGION_ALIGN - 1));
}

/* The kernel aligns mappings to 4 KiB only: map one huge page more and cut both ends. */
static void *region_map(size_t size)
{
    size_t mapped = map_size(size) + REGION_ALIGN;
    char *start = mmap(NULL, mapped, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start == MAP_FAILED)
        return NULL;
    char *region = align_region(start);
    unmap(start, region);
    unmap(region + map_size(size), start + mapped);
    /* Advice: without huge pages everything works, a third slower. */
    (void)madvise(region, map_size(size), MADV_HUGEPAGE);
    return region;
}

/* From a replaced allocator: the block's start is kept in front of the aligned part. */
static void *region_alloc(size_t size)
{
    char *block = source.alloc(source.user, size + REGION_ALIGN + sizeof block);
    if (!block)
        return NULL;
    char *region = align_region(block + sizeof block);
    memcpy(region - sizeof block, &block, sizeof block);
    return memset(region, 0, size);
}

void *mem_region(size_t size)
{
    mark_used();
    if (size == 0 || size > SIZE_MAX / 2)
        return NULL;
    return count_taken(source.alloc ? region_alloc(size) : region_map(size));
}

void mem_region_free(void *region, size_t size)
{
    if (!region)
        return;
    count_given(region);
    if (!source.dealloc) {
        unmap(region, (char *)region + map_size(size));
        return;
    }
    void *block;
    memcpy(&block, (char *)region - sizeof block, sizeof block);
    source.dealloc(source.user, block);
}

scn_status mem_set_allocator(void *(*alloc)(void *, size_t),
                             void (*dealloc)(void *, void *), void *user)
{
    if ((alloc == NULL) != (dealloc == NULL))
        return error_misuse("scn_set_allocator: give both functions or neither");
    if (atomic_load(&source.is_used))
        return error_misuse("scn_set_allocator: memory was taken already; "
                            "call it before the first open");
    source.alloc = alloc;
    source.dealloc = dealloc;
    source.user = user;
    return SCN_OK;
}

#ifdef SCN_ASSERT
size_t mem_live(void)
{
    return atomic_load(&source.live);
}
#endif
