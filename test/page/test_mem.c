#include "page/mem.h"
#include "test/unit/unit.h"

#include <sys/mman.h>

TEST(mem__zalloc_is_zero_and_grow_keeps_the_bytes)
{
    uint8_t *block = mem_zalloc(100);
    CHECK(block != NULL);
    for (int i = 0; i < 100; i++)
        CHECK_EQ(block[i], 0);
    memset(block, 7, 100);
    block = mem_grow(block, 100, 100000);
    CHECK(block != NULL);
    CHECK_EQ(block[0], 7);
    CHECK_EQ(block[99], 7);
    mem_free(block);
}

TEST(mem__room_for_items_at_least_doubles_and_keeps_them)
{
    uint64_t *items = NULL;
    uint32_t capacity = 0;
    uint32_t moves = 0;
    for (uint32_t i = 0; i < 10000; i++) {
        uint32_t before = capacity;
        CHECK_OK(mem_make_room(&items, &capacity, i + 1, sizeof *items));
        CHECK(capacity > i);
        CHECK(capacity == before || capacity >= 2 * before);
        moves += capacity != before;
        items[i] = i;
    }
    CHECK(moves < 20);
    for (uint32_t i = 0; i < 10000; i++)
        CHECK_EQ(items[i], i);
    CHECK_OK(mem_make_room(&items, &capacity, 100000, sizeof *items));
    CHECK_EQ(capacity, 100000);
    mem_free(items);
}

TEST(mem__room_that_cannot_be_had_changes_nothing)
{
    uint8_t *items = NULL;
    uint32_t capacity = 0;
    CHECK_OK(mem_make_room(&items, &capacity, 5, 1));
    uint8_t *before = items;
    uint32_t had = capacity;
    CHECK_EQ(mem_make_room(&items, &capacity, (uint64_t)UINT32_MAX + 1, 1), SCN_NOMEM);
    CHECK(items == before);
    CHECK_EQ(capacity, had);
    mem_free(items);
}

TEST(mem__grow_of_nothing_is_an_allocation)
{
    void *block = mem_grow(NULL, 0, 10);
    CHECK(block != NULL);
    mem_free(block);
    mem_free(NULL);
}

TEST(mem__empty_blocks_are_not_mistaken_for_no_memory)
{
    void *a = mem_alloc(0);
    void *b = mem_zalloc(0);
    CHECK(a != NULL);
    CHECK(b != NULL);
    mem_free(a);
    mem_free(b);
}

/* Whether the page is one of the process's. */
static bool is_mapped(const void *page)
{
    return msync((void *)(uintptr_t)page, 1, MS_ASYNC) == 0;
}

TEST(mem__pages_are_writable_to_the_last_byte_and_go_back_to_the_system)
{
    static const size_t sizes[] = {1, 4096, 4097, 1 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint8_t *pages = mem_pages(sizes[i]);
        CHECK(pages != NULL);
        CHECK_EQ((uintptr_t)pages % 4096, 0);
        pages[0] = 1;
        pages[sizes[i] - 1] = 1;
        CHECK(is_mapped(pages));
        mem_pages_free(pages, sizes[i]);
        CHECK(!is_mapped(pages));
    }
    mem_pages_free(NULL, 5);
    CHECK(mem_pages(0) == NULL);
    CHECK(mem_pages(SIZE_MAX - 1) == NULL);
}

TEST(mem__region_is_aligned_zero_and_writable_to_its_last_byte)
{
    static const size_t sizes[] = {1, 4096, (2 << 20) + 1, 7 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint8_t *region = mem_region(sizes[i]);
        CHECK(region != NULL);
        CHECK_EQ((uintptr_t)region % (2 << 20), 0);
        CHECK_EQ(region[0], 0);
        CHECK_EQ(region[sizes[i] - 1], 0);
        region[0] = 1;
        region[sizes[i] - 1] = 1;
        mem_region_free(region, sizes[i]);
    }
    mem_region_free(NULL, 5);
}

TEST(mem__impossible_region_is_refused)
{
    CHECK(mem_region(0) == NULL);
    CHECK(mem_region(SIZE_MAX - 4096) == NULL);
    CHECK(mem_region(SIZE_MAX / 4) == NULL);
}

static void *never_called(void *user, size_t size)
{
    (void)user;
    (void)size;
    return NULL;
}

static void never_called_either(void *user, void *block)
{
    (void)user;
    (void)block;
}

TEST(mem__allocator_cannot_be_replaced_after_the_first_block)
{
    mem_free(mem_alloc(1));
    CHECK_EQ(mem_set_allocator(never_called, never_called_either, NULL), SCN_MISUSE);
    CHECK_EQ(mem_set_allocator(never_called, NULL, NULL), SCN_MISUSE);
}

#ifdef SCN_ASSERT
TEST(mem__live_counts_what_was_not_given_back)
{
    size_t before = mem_live();
    void *a = mem_alloc(10);
    void *b = mem_region(10);
    void *c = mem_pages(10);
    CHECK_EQ(mem_live(), before + 3);
    a = mem_grow(a, 10, 20);
    CHECK_EQ(mem_live(), before + 3);
    mem_free(a);
    mem_region_free(b, 10);
    mem_pages_free(c, 10);
    CHECK_EQ(mem_live(), before);
}
#endif
