/* Tests of the buffer pool by one thread, if sometimes with two readers. */
#include "test/buffer/rig.h"

#include <errno.h>

/* ---- gets ---- */

TEST(pool_get__returns_what_the_pointer_promises)
{
    struct rig *rig = rig_open(4);
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < PAGES; i++)
            CHECK_OK(rig_get(rig, &rig->refs[i]));
    struct pool_stat stat = rig_stat(rig);
    CHECK_EQ(stat.hits + stat.misses, 3 * PAGES);
    CHECK_EQ(stat.misses, rig_reads());
    CHECK_EQ(stat.capacity_bytes, 4 * PAGE_BYTES);
    CHECK_EQ(stat.used_bytes, 4 * PAGE_BYTES);
    CHECK(stat.evictions > 2 * PAGES);
    /* One at a time, so there is always a frame that an earlier operation unlinked. */
    CHECK_EQ(stat.private_frames, 0);
    rig_close(rig);
}

TEST(pool_get__reads_resident_pages_only_once)
{
    struct rig *rig = rig_open(16);
    for (int round = 0; round < 5; round++)
        for (int i = 0; i < 16; i++)
            CHECK_OK(rig_get(rig, &rig->refs[i]));
    CHECK_EQ(rig_reads(), 16);
    CHECK_EQ(rig_stat(rig).hits, 4 * 16);
    CHECK_EQ(rig_stat(rig).evictions, 0);
    rig_close(rig);
}

TEST(pool_get__gives_a_used_page_a_second_chance)
{
    struct rig *rig = rig_open(16);
    for (int i = 0; i < 500; i++) {
        /* More loads apart than a page stays in limbo, fewer than the hand needs for a
         * round. */
        if (i % 6 == 0)
            CHECK_OK(rig_get(rig, &rig->refs[0]));
        CHECK_OK(rig_get(rig, &rig->refs[1 + i % (PAGES - 1)]));
    }
    CHECK_EQ(rig_reads(), 501);
    rig_close(rig);
}

static void check_wrong_pointer(struct rig *rig, struct page_ref wrong)
{
    CHECK_EQ(rig_get(rig, &wrong), SCN_CORRUPT);
    CHECK_EQ(error_last()->page, wrong.pgno);
}

static void check_all_wrong_pointers(struct rig *rig, const struct page_ref *right)
{
    struct page_ref wrong = *right;
    wrong.hash ^= 1;
    check_wrong_pointer(rig, wrong);
    wrong = *right;
    wrong.hash ^= UINT64_C(1) << 63;
    check_wrong_pointer(rig, wrong);
    wrong = *right;
    wrong.birth_gen++;
    check_wrong_pointer(rig, wrong);
    wrong = *right;
    wrong.level = 1;
    check_wrong_pointer(rig, wrong);
    wrong = *right;
    wrong.type = PAGE_LEAF;
    check_wrong_pointer(rig, wrong);
    wrong = *right;
    wrong.pgno++;
    check_wrong_pointer(rig, wrong);
}

TEST(pool_get__reports_a_wrong_pointer_and_keeps_nothing_of_it)
{
    struct rig *rig = rig_open(4);
    check_all_wrong_pointers(rig, &rig->refs[7]);
    CHECK_OK(rig_get(rig, &rig->refs[7]));
    unsigned reads = rig_reads();
    check_all_wrong_pointers(rig, &rig->refs[7]);
    CHECK_EQ(rig_reads(), reads + 2 * 6); /* each asked the medium too */
    CHECK_OK(rig_get(rig, &rig->refs[7]));
    CHECK_EQ(rig_reads(), reads + 2 * 6); /* the right one was there all along */
    rig_close(rig);
}

TEST(pool_get__refuses_page_numbers_that_no_file_has)
{
    struct rig *rig = rig_open(4);
    const uint32_t numbers[] = {0, FIRST + PAGES, FILE_PAGES_MAX - 1, FILE_PAGES_MAX,
                                UINT32_MAX};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct page_ref ref = rig->refs[0];
        ref.pgno = numbers[i];
        CHECK_EQ(rig_get(rig, &ref), SCN_CORRUPT);
        pool_enter(rig->reader);
        CHECK(pool_peek(rig->reader, &ref) == NULL);
        pool_leave(rig->reader);
    }
    CHECK_OK(rig_get(rig, &rig->refs[0]));
    rig_close(rig);
}

TEST(pool_get__asks_the_medium_when_the_page_cache_lies)
{
    struct rig *rig = rig_open(4);
    atomic_store(&rig_hooks.is_cache_lying, true);
    CHECK_OK(rig_get(rig, &rig->refs[3]));
    CHECK_EQ(atomic_load(&rig_hooks.uncached_count), 1);
    atomic_store(&rig_hooks.is_medium_lying, true);
    CHECK_EQ(rig_get(rig, &rig->refs[4]), SCN_CORRUPT);
    CHECK_OK(rig_get(rig, &rig->refs[3]));
    rig_close(rig);
}

TEST(pool_get__loses_no_frame_by_failed_loads)
{
    struct rig *rig = rig_open(4);
    for (int i = 0; i < 100; i++) {
        atomic_store(&rig_hooks.is_read_failing, true);
        CHECK_EQ(rig_get(rig, &rig->refs[i % PAGES]), SCN_IO);
        atomic_store(&rig_hooks.is_read_failing, false);
        if (i % 3 == 0)
            CHECK_OK(rig_get(rig, &rig->refs[i % PAGES]));
    }
    CHECK_EQ(rig_stat(rig).private_frames, 0);
    rig_close(rig);
}

TEST(pool_get__keeps_every_page_until_leave)
{
    struct rig *rig = rig_open(4);
    const uint8_t *pages[PAGES];
    pool_enter(rig->reader);
    for (int i = 0; i < PAGES; i++)
        CHECK_OK(pool_get(rig->reader, &rig->refs[i], &pages[i]));
    for (int i = 0; i < PAGES; i++)
        CHECK(rig_page_is(pages[i], &rig->refs[i]));
    CHECK_EQ(rig_stat(rig).private_frames, PAGES - 4);
    /* A private page is found again. */
    const uint8_t *again;
    CHECK_OK(pool_get(rig->reader, &rig->refs[PAGES - 1], &again));
    CHECK(again == pages[PAGES - 1]);
    CHECK_EQ(rig_reads(), PAGES);
    pool_leave(rig->reader);
    rig_close(rig);
}

TEST(pool_get__gives_way_to_another_readers_epoch)
{
    struct rig *rig = rig_open(8);
    struct pool_reader *other;
    const uint8_t *pages[4];
    CHECK_OK(pool_reader_create(rig->pool, &other));
    pool_enter(other);
    for (int i = 0; i < 4; i++)
        CHECK_OK(pool_get(other, &rig->refs[i], &pages[i]));
    for (int i = 0; i < 300; i++)
        CHECK_OK(rig_get(rig, &rig->refs[4 + i % (PAGES - 4)]));
    for (int i = 0; i < 4; i++)
        CHECK(rig_page_is(pages[i], &rig->refs[i]));
    CHECK_EQ(rig_stat(rig).evictions, 0);
    CHECK(rig_stat(rig).private_frames > 0);
    pool_leave(other);
    uint64_t private_frames = rig_stat(rig).private_frames;
    for (int i = 0; i < 300; i++)
        CHECK_OK(rig_get(rig, &rig->refs[4 + i % (PAGES - 4)]));
    CHECK_EQ(rig_stat(rig).private_frames, private_frames);
    pool_reader_destroy(other);
    rig_close(rig);
}

TEST(pool_get__brings_a_page_in_limbo_back_without_a_read)
{
    struct rig *rig = rig_open(4);
    for (int i = 0; i < 4; i++)
        CHECK_OK(rig_get(rig, &rig->refs[i])); /* the fourth unlinks one ahead */
    pool_enter(rig->reader);
    int visible = 0;
    for (int i = 0; i < 4; i++)
        visible += pool_peek(rig->reader, &rig->refs[i]) != NULL;
    pool_leave(rig->reader);
    CHECK_EQ(visible, 3);
    for (int i = 0; i < 4; i++)
        CHECK_OK(rig_get(rig, &rig->refs[i]));
    CHECK_EQ(rig_reads(), 4);
    rig_close(rig);
}

TEST(pool_get__finds_pages_of_distant_chunks)
{
    struct rig *rig = rig_open(4);
    const uint32_t numbers[] = {POOL_CHUNK_ENTRIES - 1, 2 * POOL_CHUNK_ENTRIES,
                                2 * POOL_CHUNK_ENTRIES + 5};
    struct page_ref refs[3];
    for (int i = 0; i < 3; i++) {
        refs[i] = rig_page_make(rig->page, numbers[i], 9);
        CHECK(rig_write(rig, rig->page, numbers[i]));
    }
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 3; i++)
            CHECK_OK(rig_get(rig, &refs[i]));
    CHECK_EQ(rig_reads(), 3);
    pool_forget(rig->pool, 0, UINT32_MAX);
    CHECK_OK(rig_get(rig, &refs[2]));
    CHECK_EQ(rig_reads(), 4);
    rig_close(rig);
}

/* ---- holding ---- */

TEST(pool_hold__keeps_pages_while_others_are_evicted)
{
    struct rig *rig = rig_open(8);
    struct pool_reader *holder;
    const uint8_t *pages[POOL_HELD_MAX + 1];
    CHECK_OK(pool_reader_create(rig->pool, &holder));
    pool_enter(holder);
    for (int i = 0; i <= POOL_HELD_MAX; i++) { /* eight in frames, the others private */
        CHECK_OK(pool_get(holder, &rig->refs[i], &pages[i]));
        CHECK_EQ(pool_hold(holder, pages[i]), i < POOL_HELD_MAX);
    }
    pool_leave(holder);
    rig_churn(rig, 4);
    for (int i = 0; i < POOL_HELD_MAX; i++)
        CHECK(rig_page_is(pages[i], &rig->refs[i]));
    pool_release_all(holder);
    uint64_t evictions = rig_stat(rig).evictions;
    rig_churn(rig, 2);
    CHECK(rig_stat(rig).evictions > evictions);
    pool_reader_destroy(holder);
    rig_close(rig);
}

TEST(pool_hold__leaves_the_other_frames_in_use)
{
    struct rig *rig = rig_open(8);
    struct pool_reader *holder;
    const uint8_t *page;
    CHECK_OK(pool_reader_create(rig->pool, &holder));
    for (int i = 0; i < 5; i++) {
        pool_enter(holder);
        CHECK_OK(pool_get(holder, &rig->refs[i], &page));
        CHECK(pool_hold(holder, page));
        pool_leave(holder);
    }
    rig_churn(rig, 2);
    uint64_t private_frames = rig_stat(rig).private_frames;
    rig_churn(rig, 2);
    CHECK_EQ(rig_stat(rig).private_frames, private_frames);
    for (int i = 0; i < 5; i++) { /* never driven out */
        unsigned reads = rig_reads();
        CHECK_OK(rig_get(rig, &rig->refs[i]));
        CHECK_EQ(rig_reads(), reads);
    }
    pool_reader_destroy(holder);
    rig_close(rig);
}

/* Two pages held in turn take all places but one. */
TEST(pool_hold__keeps_the_page_in_the_last_place)
{
    struct rig *rig = rig_open(8);
    struct pool_reader *holder;
    const uint8_t *pages[3];
    CHECK_OK(pool_reader_create(rig->pool, &holder));
    pool_enter(holder);
    for (int i = 0; i < 3; i++)
        CHECK_OK(pool_get(holder, &rig->refs[i], &pages[i]));
    for (int i = 0; i < POOL_HELD_MAX - 1; i++)
        CHECK(pool_hold(holder, pages[i % 2]));
    CHECK(pool_hold(holder, pages[2]));
    pool_leave(holder);
    rig_churn(rig, 4);
    CHECK(rig_page_is(pages[2], &rig->refs[2]));
    pool_reader_destroy(holder);
    rig_close(rig);
}

/* Unlinked while its reader looks at it, and only then held. */
TEST(pool_hold__keeps_a_page_that_is_about_to_go)
{
    struct rig *rig = rig_open(4);
    struct pool_reader *holder;
    const uint8_t *page;
    CHECK_OK(pool_reader_create(rig->pool, &holder));
    pool_enter(holder);
    CHECK_OK(pool_get(holder, &rig->refs[0], &page));
    for (int i = 1; i < 8; i++)
        CHECK_OK(rig_get(rig, &rig->refs[i]));
    CHECK(pool_peek(holder, &rig->refs[0]) == NULL);
    CHECK(pool_hold(holder, page));
    pool_leave(holder);
    for (int i = 8; i < PAGES; i++) /* whoever wants the page itself would save it */
        CHECK_OK(rig_get(rig, &rig->refs[i]));
    CHECK(rig_page_is(page, &rig->refs[0]));
    pool_reader_destroy(holder);
    rig_close(rig);
}

TEST(pool_hold__takes_one_place_for_one_page)
{
    struct rig *rig = rig_open(4);
    const uint8_t *pages[POOL_HELD_MAX];
    pool_enter(rig->reader);
    for (int i = 0; i < POOL_HELD_MAX; i++)
        CHECK_OK(pool_get(rig->reader, &rig->refs[i], &pages[i]));
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < POOL_HELD_MAX; i++)
            CHECK(pool_hold(rig->reader, pages[i]));
    pool_leave(rig->reader);
    for (int i = 0; i < POOL_HELD_MAX; i++)
        CHECK(rig_page_is(pages[i], &rig->refs[i]));
    rig_close(rig);
}

TEST(pool_release_previous__keeps_what_the_running_call_holds)
{
    struct rig *rig = rig_open(4);
    struct pool_reader *holder;
    const uint8_t *pages[PAGES];
    CHECK_OK(pool_reader_create(rig->pool, &holder));
    for (int i = 0; i < PAGES; i++) { /* more calls than places */
        pool_enter(holder);
        CHECK_OK(pool_get(holder, &rig->refs[i], &pages[i]));
        CHECK(pool_hold(holder, pages[i]));
        if (i > 0)
            CHECK(rig_page_is(pages[i - 1], &rig->refs[i - 1]));
        if (i % 2 == 0)
            pool_release_previous(holder);
        pool_leave(holder);
        if (i % 2 == 1)
            pool_release_previous(holder);
        rig_churn(rig, 1);
        CHECK(rig_page_is(pages[i], &rig->refs[i]));
    }
    pool_reader_destroy(holder);
    rig_close(rig);
}

TEST(pool_release_previous__keeps_a_page_that_was_held_again)
{
    struct rig *rig = rig_open(4);
    struct pool_reader *holder;
    const uint8_t *pages[8];
    CHECK_OK(pool_reader_create(rig->pool, &holder));
    for (int call = 0; call < 3; call++) {
        pool_enter(holder);
        for (int i = 0; i < 8; i++) { /* frames and private frames */
            CHECK_OK(pool_get(holder, &rig->refs[i], &pages[i]));
            CHECK(pool_hold(holder, pages[i]));
        }
        pool_leave(holder);
        pool_release_previous(holder);
        rig_churn(rig, 1);
        for (int i = 0; i < 8; i++)
            CHECK(rig_page_is(pages[i], &rig->refs[i]));
    }
    pool_reader_destroy(holder);
    rig_close(rig);
}

TEST(pool_release_all__spares_private_pages_that_were_got_again)
{
    struct rig *rig = rig_open(4);
    const uint8_t *pages[8];
    pool_enter(rig->reader);
    for (int i = 0; i < 8; i++) {
        CHECK_OK(pool_get(rig->reader, &rig->refs[i], &pages[i]));
        CHECK(pool_hold(rig->reader, pages[i]));
    }
    pool_leave(rig->reader);
    pool_enter(rig->reader);
    for (int i = 0; i < 8; i++)
        CHECK_OK(pool_get(rig->reader, &rig->refs[i], &pages[i]));
    pool_release_all(rig->reader);
    for (int i = 0; i < 8; i++)
        CHECK(rig_page_is(pages[i], &rig->refs[i]));
    pool_leave(rig->reader);
    rig_close(rig);
}

TEST(pool_reader__comes_back_empty_after_destroy)
{
    struct rig *rig = rig_open(4);
    struct pool_reader *first;
    struct pool_reader *second;
    const uint8_t *page;
    CHECK_OK(pool_reader_create(rig->pool, &first));
    for (int i = 0; i < POOL_HELD_MAX; i++) {
        pool_enter(first);
        CHECK_OK(pool_get(first, &rig->refs[i], &page));
        CHECK(pool_hold(first, page));
        pool_leave(first);
    }
    pool_reader_destroy(first);
    CHECK_OK(pool_reader_create(rig->pool, &second));
    CHECK(second == first);
    CHECK(!pool_is_entered(second));
    for (int i = 0; i < POOL_HELD_MAX; i++) {
        pool_enter(second);
        CHECK_OK(pool_get(second, &rig->refs[i], &page));
        CHECK(pool_hold(second, page));
        pool_leave(second);
    }
    pool_reader_destroy(second);
    rig_close(rig);
}

/* ---- writers ---- */

TEST(pool_get__prefers_the_new_pointer_of_a_reused_page)
{
    struct rig *rig = rig_open(4);
    struct pool_reader *old_reader;
    const uint8_t *old_page;
    CHECK_OK(pool_reader_create(rig->pool, &old_reader));
    pool_enter(old_reader);
    CHECK_OK(pool_get(old_reader, &rig->refs[5], &old_page));
    struct page_ref new_ref = rig_page_make(rig->page, FIRST + 5, 2);
    CHECK(rig_write(rig, rig->page, FIRST + 5));
    CHECK_OK(rig_get(rig, &new_ref));
    for (int i = 6; i < 40; i++)
        CHECK_OK(rig_get(rig, &rig->refs[i]));
    CHECK(rig_page_is(old_page, &rig->refs[5]));
    CHECK_EQ(rig_get(rig, &rig->refs[5]), SCN_CORRUPT);
    CHECK_OK(rig_get(rig, &new_ref));
    pool_leave(old_reader);
    pool_reader_destroy(old_reader);
    rig_close(rig);
}

TEST(pool_install__makes_a_page_resident_where_there_is_room)
{
    struct rig *rig = rig_open(4);
    for (int i = 0; i < 6; i++) {
        struct page_ref ref = rig_page_make(rig->page, FIRST + (uint32_t)i, 1);
        pool_install(rig->pool, &ref, rig->page);
    }
    CHECK_EQ(rig_stat(rig).used_bytes, 4 * PAGE_BYTES);
    for (int i = 0; i < 4; i++)
        CHECK_OK(rig_get(rig, &rig->refs[i]));
    CHECK_EQ(rig_reads(), 0);
    CHECK_OK(rig_get(rig, &rig->refs[4]));
    CHECK_EQ(rig_reads(), 1);
    CHECK_EQ(rig_stat(rig).evictions, 0); /* the last one went private */
    rig_close(rig);
}

TEST(pool_install__replaces_an_older_page_of_that_number)
{
    struct rig *rig = rig_open(4);
    for (int i = 0; i < 4; i++)
        CHECK_OK(rig_get(rig, &rig->refs[i]));
    for (uint64_t gen = 2; gen < 20; gen++) {
        struct page_ref ref = rig_page_make(rig->page, FIRST + 1, gen);
        unsigned reads = rig_reads();
        pool_install(rig->pool, &ref, rig->page);
        pool_install(rig->pool, &ref, rig->page); /* is there already: nothing */
        CHECK_OK(rig_get(rig, &ref));
        CHECK_EQ(rig_reads(), reads);
        CHECK_OK(rig_get(rig, &rig->refs[1])); /* as the file still has it */
    }
    rig_close(rig);
}

TEST(pool_install__leaves_the_old_page_to_those_who_read_it)
{
    struct rig *rig = rig_open(4);
    struct pool_reader *old_reader;
    const uint8_t *old_page;
    CHECK_OK(pool_reader_create(rig->pool, &old_reader));
    pool_enter(old_reader);
    CHECK_OK(pool_get(old_reader, &rig->refs[1], &old_page));
    for (uint64_t gen = 2; gen < 20; gen++) {
        struct page_ref ref = rig_page_make(rig->page, FIRST + 1, gen);
        pool_install(rig->pool, &ref, rig->page);
        CHECK(rig_page_is(old_page, &rig->refs[1]));
    }
    pool_leave(old_reader);
    pool_reader_destroy(old_reader);
    rig_close(rig);
}

TEST(pool_forget__makes_the_next_get_read_again)
{
    struct rig *rig = rig_open(16);
    for (int i = 0; i < 8; i++)
        CHECK_OK(rig_get(rig, &rig->refs[i]));
    pool_forget(rig->pool, FIRST + 2, 3);
    for (int i = 0; i < 8; i++)
        CHECK_OK(rig_get(rig, &rig->refs[i]));
    CHECK_EQ(rig_reads(), 8 + 3);
    pool_forget(rig->pool, FIRST, PAGES);
    pool_forget(rig->pool, FILE_PAGES_MAX - 1, UINT32_MAX);
    rig_churn(rig, 3);
    CHECK_EQ(rig_stat(rig).private_frames, 0);
    rig_close(rig);
}

/* All that allocates, memory running out somewhere; false: it did not. */
static bool is_memory_out(struct rig *rig, const struct page_ref *ref)
{
    struct pool *pool = NULL;
    struct pool_reader *reader = NULL;
    const uint8_t *page;
    bool is_out = true;
    if (pool_create(&rig->file, 0, &pool) != SCN_OK)
        return is_out;
    if (pool_reader_create(pool, &reader) != SCN_OK)
        goto out;
    pool_enter(reader);
    pool_install(pool, ref, rig->page);
    for (int i = 0; i < 8; i++) { /* the first needs a chunk, the last private frames */
        scn_status st = pool_get(reader, &rig->refs[i], &page);
        if (st != SCN_OK && st != SCN_NOMEM)
            abort();
        is_out = st == SCN_NOMEM;
        if (is_out)
            break;
    }
    pool_leave(reader);
out:
    pool_reader_destroy(reader);
    pool_destroy(pool);
    return is_out;
}

TEST(pool__says_so_wherever_memory_runs_out)
{
    struct rig *rig = rig_open(4);
    struct page_ref ref = rig_page_make(rig->page, POOL_CHUNK_ENTRIES, 1);
    uint32_t failures = 0;
    bool is_out = true;
    for (uint32_t allocs = 1; is_out && allocs < 100; allocs++) {
        atomic_store(&rig_hooks.allocs_left, allocs);
        is_out = is_memory_out(rig, &ref);
        failures += is_out;
    }
    atomic_store(&rig_hooks.allocs_left, 0);
    CHECK(!is_out);
    /* Two of sync; pool, region, frames, marks, chunks; reader; two chunks; five private
     * frames, as the frame of the installed page is in sight. */
    CHECK(failures >= 13);
    rig_close(rig);
}

TEST(pool_get__loses_no_frame_when_memory_runs_out)
{
    struct rig *rig = rig_open(4);
    for (int i = 0; i < 20; i++) {
        atomic_store(&rig_hooks.allocs_left, 1);
        CHECK_EQ(rig_get(rig, &rig->refs[i]), SCN_NOMEM); /* for the chunk */
        atomic_store(&rig_hooks.allocs_left, 0);
    }
    rig_churn(rig, 2);
    CHECK_EQ(rig_stat(rig).private_frames, 0);
    rig_close(rig);
}

TEST(pool_create__reports_what_the_system_refuses)
{
    struct rig *rig = rig_open(4);
    struct pool *pool;
    rig_hooks.mutex_result = -ENOMEM;
    CHECK_EQ(pool_create(&rig->file, 0, &pool), SCN_NOMEM);
    rig_hooks.mutex_result = 0;
    rig_hooks.cond_result = -ENOMEM;
    CHECK_EQ(pool_create(&rig->file, 0, &pool), SCN_NOMEM);
    rig_hooks.cond_result = 0;
    rig_hooks.random_result = -EIO;
    CHECK_EQ(pool_create(&rig->file, 0, &pool), SCN_IO);
    rig_hooks.random_result = 0;
    CHECK(pool == NULL);
    CHECK_OK(pool_create(&rig->file, 0, &pool));
    pool_destroy(pool);
    rig_close(rig);
}
