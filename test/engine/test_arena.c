#include "engine/arena.h"
#include "test/unit/unit.h"

#include <malloc.h>
#include <sys/mman.h>

TEST(arena__pieces_are_aligned_and_apart)
{
    struct arena arena;
    uint64_t first[32];
    arena_init(&arena, first, sizeof first);
    uint8_t *pieces[400];
    for (int i = 0; i < 400; i++) {
        CHECK_OK(arena_reserve(&arena, arena_rounded((uint64_t)i * 7)));
        pieces[i] = arena_take(&arena, (size_t)i * 7);
        CHECK_EQ((uintptr_t)pieces[i] % ARENA_ALIGN, 0);
        memset(pieces[i], i & 255, (size_t)i * 7);
    }
    for (int i = 0; i < 400; i++)
        for (int j = 0; j < i * 7; j++)
            CHECK_EQ(pieces[i][j], i & 255);
    arena_destroy(&arena);
}

TEST(arena__small_reservation_asks_for_no_memory)
{
    struct arena arena;
    uint64_t first[32];
    arena_init(&arena, first, sizeof first);
    CHECK_OK(arena_reserve(&arena, sizeof first));
    CHECK(arena.chunks == NULL);
    CHECK(arena_take(&arena, sizeof first) == first);
    CHECK_OK(arena_reserve(&arena, 1));
    CHECK(arena.chunks != NULL);
    arena_destroy(&arena);
}

TEST(arena__reservation_holds_for_any_cut_into_pieces)
{
    uint64_t state = unit_seed();
    struct arena arena;
    arena_init(&arena, NULL, 0);
    for (int round = 0; round < 2000; round++) {
        uint64_t left = unit_random(&state) >> 20 & (round % 50 == 0 ? 0x1fffff : 0xfff);
        left &= ~(uint64_t)(ARENA_ALIGN - 1);
        CHECK_OK(arena_reserve(&arena, left));
        uint64_t keep = round & 1 ? left / 3 : 0; /* not all of it is taken */
        while (left > keep) {
            uint64_t size = 1 + unit_random(&state) % left;
            memset(arena_take(&arena, size), 1, size);
            left -= arena_rounded(size);
        }
    }
    arena_destroy(&arena);
}

TEST(arena__untaken_reservation_is_used_by_the_next)
{
    struct arena arena;
    arena_init(&arena, NULL, 0);
    uint64_t taken = 0;
    for (int i = 0; i < 1000; i++) {
        CHECK_OK(arena_reserve(&arena, 3000000));
        (void)!arena_take(&arena, 1000);
        taken += 1000;
    }
    CHECK_EQ(arena_used(&arena), taken);
    /* One chunk begun and one spare, not one for each call. */
    int chunks = 0;
    const void *chunk = arena.chunks;
    for (; chunk; chunk = *(void *const *)chunk) /* its first member leads on */
        chunks++;
    CHECK_EQ(chunks, 2);
    arena_destroy(&arena);
}

TEST(arena__spare_that_is_too_small_is_used_up_first)
{
    struct arena arena;
    arena_init(&arena, NULL, 0);
    CHECK_OK(arena_reserve(&arena, 5000));
    CHECK_OK(arena_reserve(&arena, 50000));
    CHECK(arena.end - arena.at >= 5000);
    CHECK(arena.spare != NULL);
    arena_destroy(&arena);
}

TEST(arena__refused_reservation_changes_nothing)
{
    struct arena arena;
    uint64_t first[32];
    arena_init(&arena, first, sizeof first);
    CHECK_EQ(arena_reserve(&arena, UINT64_C(1) << 60), SCN_NOMEM);
    CHECK_OK(arena_reserve(&arena, sizeof first));
    CHECK(arena_take(&arena, sizeof first) == first);
    CHECK_EQ(arena_used(&arena), sizeof first);
    arena_destroy(&arena);
}

/* Whatever the program has told malloc to keep. */
TEST(arena__large_pieces_go_back_to_the_system)
{
    struct arena arena;
    uint8_t *pieces[8];
    (void)mallopt(M_MMAP_THRESHOLD, 1 << 25);
    (void)mallopt(M_TRIM_THRESHOLD, 1 << 30);
    arena_init(&arena, NULL, 0);
    for (int i = 0; i < 8; i++) {
        CHECK_OK(arena_reserve(&arena, 1 << 20));
        pieces[i] = arena_take(&arena, 1 << 20);
        memset(pieces[i], 1, 1 << 20);
    }
    arena_destroy(&arena);
    for (int i = 0; i < 8; i++) {
        void *page = (void *)(((uintptr_t)pieces[i] + 4095) & ~(uintptr_t)4095);
        CHECK_EQ(msync(page, 1, MS_ASYNC), -1);
    }
}
