/* Blocks: see blocks.h.  Compiled without AddressSanitizer: heads are poisoned. */
#include "test/fuzz/blocks.h"

#include "page/limits.h"
#include "test/fuzz/target.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    /* A store with a tiny pool and log takes less than 8 MiB; a hostile file does not
     * make it take much more. */
    LIVE_BYTES_MAX = 64 << 20,
    ARENA_BYTES = 512 << 20,
    HEAD_BYTES = 32,
    CLASS_MIN = 6, /* 64 bytes */
    REGION_CLASSES = 28,
    CLASSES = 2 * REGION_CLASSES,
    /* So many blocks of its class are given back before one is taken again; of large
     * ones a few are enough, as each is poisoned in another place. */
    IDLE_MIN = 32,
    LARGE_CLASS = 16,
    LARGE_IDLE_MIN = 2,
    /* mem_region (page/mem.c) asks for so much more than it uses, to align it. */
    HUGE_BYTES = 2 << 20,
    REGION_SLACK = HUGE_BYTES + sizeof(void *),
    /* What is read before it was written is the same in every run, and is no zero. */
    FILL_BYTES = 64,
    TAKEN = 0x6b636f6c
};

struct block {
    uint64_t size;
    uint32_t class;
    uint32_t state; /* TAKEN, or not */
    struct block *next; /* of those that are idle */
};

_Static_assert(sizeof(struct block) <= HEAD_BYTES, "a head lies before its block");

static struct {
    uint8_t *at; /* NULL: there is no arena yet */
    uint8_t *end;
    uint64_t live_bytes;
    struct {
        struct block *first;
        struct block *last;
        uint32_t count;
    } idle[CLASSES];
} arena;

/* Of AddressSanitizer, where it is linked. */
void __asan_poison_memory_region(const volatile void *at, size_t size)
    __attribute__((weak));
void __asan_unpoison_memory_region(const volatile void *at, size_t size)
    __attribute__((weak));

static void poison(const void *at, size_t size)
{
    if (__asan_poison_memory_region)
        __asan_poison_memory_region(at, size);
}

static void unpoison(const void *at, size_t size)
{
    if (__asan_unpoison_memory_region)
        __asan_unpoison_memory_region(at, size);
}

/* A region: its used part begins at the next multiple of HUGE_BYTES. */
static bool is_region(size_t size)
{
    return size > REGION_SLACK && (size - REGION_SLACK) % PAGE_BYTES == 0;
}

static size_t used_bytes(size_t size)
{
    return is_region(size) ? size - REGION_SLACK + HEAD_BYTES / 2 : size;
}

/* 2^class bytes hold the block and its head; regions, which lie where no other block may,
 * are classes of their own. */
static uint32_t class_of(size_t size)
{
    uint64_t bytes = used_bytes(size) + HEAD_BYTES;
    uint32_t class = 64 - (uint32_t)__builtin_clzll(bytes - 1);
    if (class < CLASS_MIN)
        class = CLASS_MIN;
    return is_region(size) ? REGION_CLASSES + class : class;
}

static void create_arena(void)
{
    arena.at = mmap(NULL, ARENA_BYTES, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (arena.at == MAP_FAILED)
        abort();
    arena.end = arena.at + ARENA_BYTES;
}

/* The block itself, behind its head. */
static uint8_t *bytes_of(struct block *block)
{
    return (uint8_t *)block + HEAD_BYTES;
}

/* Where mem_region looks for a multiple of HUGE_BYTES it finds the used part at once. */
static uint8_t *align_region(uint8_t *at)
{
    uint64_t to = (uint64_t)(at + HEAD_BYTES + HEAD_BYTES / 2);
    return at + (-to & (HUGE_BYTES - 1));
}

static struct block *carve(size_t size, uint32_t class)
{
    uint64_t bytes = UINT64_C(1) << class % REGION_CLASSES;
    if (arena.at == NULL)
        create_arena();
    uint8_t *at = is_region(size) ? align_region(arena.at) : arena.at;
    if (bytes > (uint64_t)(arena.end - at))
        fuzz_fail(__FILE__, __LINE__, "no room for a block of %zu bytes", size);
    arena.at = at + bytes;
    poison(at, bytes);
    return (struct block *)at;
}

/* The one that was given back first. */
static struct block *take_idle(uint32_t class)
{
    struct block *block = arena.idle[class].first;
    uint32_t least = class < LARGE_CLASS ? IDLE_MIN : LARGE_IDLE_MIN;
    if (arena.idle[class].count < least)
        return NULL;
    arena.idle[class].first = block->next;
    arena.idle[class].count--;
    return block;
}

static void make_idle(struct block *block)
{
    uint32_t class = block->class;
    block->next = NULL;
    if (arena.idle[class].count++ == 0)
        arena.idle[class].first = block;
    else
        arena.idle[class].last->next = block;
    arena.idle[class].last = block;
}

void *blocks_take(void *user, size_t size)
{
    (void)user;
    if (size > LIVE_BYTES_MAX - arena.live_bytes)
        fuzz_fail(__FILE__, __LINE__, "%zu bytes are taken, %zu more are asked for",
                  (size_t)arena.live_bytes, size);
    uint32_t class = class_of(size);
    struct block *block = take_idle(class);
    if (block == NULL)
        block = carve(size, class);
    arena.live_bytes += size;
    *block = (struct block){size, class, TAKEN, NULL};
    unpoison(bytes_of(block), used_bytes(size));
    memset(bytes_of(block), 0xbe, size < FILL_BYTES ? size : FILL_BYTES);
    return bytes_of(block);
}

void blocks_give(void *user, void *at)
{
    struct block *block = (struct block *)((uint8_t *)at - HEAD_BYTES);
    (void)user;
    if (block->state != TAKEN)
        fuzz_fail(__FILE__, __LINE__, "what is given back is no block, or was before");
    block->state = 0;
    arena.live_bytes -= block->size;
    poison(at, used_bytes(block->size));
    make_idle(block);
}
