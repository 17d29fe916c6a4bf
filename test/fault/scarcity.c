/* Scarcity: see scarcity.h. */
#include "test/fault/scarcity.h"

#include "page/status.h"

#include <malloc.h>
#include <stddef.h>
#include <stdlib.h>

static struct {
    uint64_t count;
    uint64_t nth;
    bool is_forever;
    uint64_t hits;
} memory;

static bool fails(void)
{
    memory.count++;
    if (memory.nth == 0 || memory.count < memory.nth)
        return false;
    if (memory.count > memory.nth && !memory.is_forever)
        return false;
    memory.hits++;
    return true;
}

static void *take(void *user, size_t size)
{
    (void)user;
    return fails() ? NULL : malloc(size);
}

static void give(void *user, void *block)
{
    (void)user;
    free(block);
}

/* A store lives for a fraction of a millisecond here: pages of its pool must not go back
 * to the system each time. */
__attribute__((constructor)) static void set_allocator(void)
{
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
    mallopt(M_TOP_PAD, 16 << 20);
    if (scn_set_allocator(take, give, NULL) != SCN_OK)
        abort();
}

void scarcity_set(uint64_t nth, bool is_forever)
{
    memory.count = 0;
    memory.nth = nth;
    memory.is_forever = is_forever;
    memory.hits = 0;
}

bool scarcity_is_set(void)
{
    return memory.nth != 0;
}

uint64_t scarcity_count(void)
{
    return memory.count;
}

uint64_t scarcity_hits(void)
{
    return memory.hits;
}
