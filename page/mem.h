/* All memory of the library comes from here; scn_set_allocator replaces the source.
 * Any thread.  NULL means no memory; nothing is set as last error. */
#ifndef PAGE_MEM_H
#define PAGE_MEM_H

#include "page/status.h"

#include <stddef.h>

void *mem_alloc(size_t size) MUST_USE;
void *mem_zalloc(size_t size) MUST_USE;
/* Keeps the old block when it returns NULL. old_size bytes are copied. */
void *mem_grow(void *block, size_t old_size, size_t new_size) MUST_USE;
void mem_free(void *block);

/* Room for so many items of `each` bytes in an array: *(T **)array and *capacity, in
 * items, where it has less.  It at least doubles.  SCN_NOMEM changes nothing. */
scn_status mem_make_room(void *array, uint32_t *capacity, uint64_t needed,
                         size_t each) MUST_USE;

/* For blocks of many pages: they go back to the system when they are freed, while malloc
 * may keep them for the next that asks.  Aligned to a page of the system; with a replaced
 * allocator they come from there.  size as it was asked for. */
void *mem_pages(size_t size) MUST_USE;
void mem_pages_free(void *pages, size_t size);

/* A large region aligned to 2 MiB, zero until touched, asked to be backed by huge pages.
 * With a replaced allocator it comes from there. */
void *mem_region(size_t size) MUST_USE;
void mem_region_free(void *region, size_t size);

/* SCN_MISUSE once anything was allocated: blocks would meet the wrong release function.
 * Both functions or neither; alloc and dealloc get user first. */
scn_status mem_set_allocator(void *(*alloc)(void *, size_t),
                             void (*dealloc)(void *, void *), void *user) MUST_USE;

#ifdef SCN_ASSERT
/* What was handed out and not given back: tests look for leaks with it. */
size_t mem_live(void);
#endif

#endif
