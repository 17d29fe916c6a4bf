/* Writers: what is gathered, what is asked for, and where it ends up. */
#include "engine/writer.h"
#include "page/mem.h"
#include "test/unit/unit.h"

enum { FILE_PAGES = 700, TAKES_MAX = 1024, BATCH = WRITER_BATCH_BYTES / PAGE_BYTES };

struct fixture {
    struct sys *sys;
    struct file file;
    struct pool *pool;
    struct pool_reader *reader;
    struct writer *writer;
    /* What take was asked for, and where it goes on. */
    uint32_t wanted[TAKES_MAX];
    uint32_t take_count;
    uint32_t most; /* that are given at once; 0: all */
    uint32_t next;
    uint32_t step; /* from one single page to the next */
    bool is_full;
    uint32_t batches;
    uint64_t paced_bytes;
};

static scn_status take(void *ctx, uint32_t wanted, uint32_t *pgno, uint32_t *count)
{
    struct fixture *fixture = ctx;
    if (fixture->is_full)
        return SCN_FULL;
    CHECK(fixture->take_count < TAKES_MAX);
    fixture->wanted[fixture->take_count++] = wanted;
    *pgno = fixture->next;
    *count = fixture->most > 0 && wanted > fixture->most ? fixture->most : wanted;
    fixture->next += *count == 1 ? fixture->step : *count;
    CHECK(fixture->next <= FILE_PAGES);
    return SCN_OK;
}

static void pace(void *ctx, uint64_t bytes)
{
    struct fixture *fixture = ctx;
    fixture->batches++;
    fixture->paced_bytes += bytes;
}

static void fixture_open(struct fixture *fixture)
{
    *fixture = (struct fixture){.sys = sys_memory_create(), .next = 3, .step = 1};
    CHECK(fixture->sys != NULL);
    struct sys_file *handle;
    CHECK_OK(fixture->sys->ops->open(fixture->sys, "writer", SYS_CREATE, &handle));
    fixture->sys->ops->close(handle);
    CHECK_OK(file_open(&fixture->file, fixture->sys, "writer", false));
    uint32_t first;
    CHECK_OK(file_grow(&fixture->file, FILE_PAGES, &first));
    CHECK_OK(pool_create(&fixture->file, (uint64_t)64 * PAGE_BYTES, &fixture->pool));
    CHECK_OK(pool_reader_create(fixture->pool, &fixture->reader));
    CHECK_OK(writer_create(&fixture->file, fixture->pool, 7, take, pace, fixture,
                           &fixture->writer));
    CHECK_EQ(writer_gen(fixture->writer), 7);
}

static void fixture_close(struct fixture *fixture)
{
    writer_destroy(fixture->writer);
    pool_reader_destroy(fixture->reader);
    pool_destroy(fixture->pool);
    file_close(&fixture->file);
    sys_memory_destroy(fixture->sys);
}

/* A page of values that says which one it is. */
static scn_status write_one(struct fixture *fixture, uint32_t number,
                            struct page_ref *ref)
{
    uint32_t pgno;
    uint8_t *image;
    scn_status st = writer_begin(fixture->writer, &pgno, &image);
    if (st != SCN_OK)
        return st;
    CHECK(bytes_are_zero(image, PAGE_BYTES));
    put_u32(image + PAGE_HEADER_BYTES, number);
    page_seal(image, PAGE_VALUES, 0, 1, pgno, 7, PAGE_HEADER_BYTES + 4, ref);
    return writer_finish(fixture->writer, ref);
}

static void check_on_disk(struct fixture *fixture, const struct page_ref *ref,
                          uint32_t number)
{
    uint8_t *page = mem_alloc(PAGE_BYTES);
    CHECK(page != NULL);
    CHECK_OK(file_read_page(&fixture->file, ref->pgno, page, 0));
    CHECK_OK(page_check(page, ref));
    CHECK_EQ(get_u32(page + PAGE_HEADER_BYTES), number);
    mem_free(page);
}

TEST(writer__writes_neighbours_at_once)
{
    struct fixture fixture;
    fixture_open(&fixture);
    enum { COUNT = 2 * BATCH + 3 };
    struct page_ref refs[COUNT];
    for (uint32_t i = 0; i < COUNT; i++)
        CHECK_OK(write_one(&fixture, i, &refs[i]));
    CHECK_EQ(fixture.batches, 2);
    CHECK_OK(writer_flush(fixture.writer));
    CHECK_OK(writer_flush(fixture.writer));
    CHECK_EQ(fixture.batches, 3);
    CHECK_EQ(fixture.paced_bytes, (uint64_t)COUNT * PAGE_BYTES);
    CHECK_EQ(writer_page_count(fixture.writer), COUNT);
    for (uint32_t i = 0; i < COUNT; i++)
        check_on_disk(&fixture, &refs[i], i);
    fixture_close(&fixture);
}

TEST(writer__writes_scattered_pages_where_they_belong)
{
    struct fixture fixture;
    fixture_open(&fixture);
    struct page_ref refs[60];
    for (uint32_t i = 0; i < 60; i++) {
        fixture.step = i % 7 == 0 ? 3 : 1;
        if (i == 30)
            fixture.next = 400; /* and back */
        if (i == 45)
            fixture.next = 200;
        CHECK_OK(write_one(&fixture, i, &refs[i]));
    }
    CHECK_OK(writer_flush(fixture.writer));
    for (uint32_t i = 0; i < 60; i++)
        check_on_disk(&fixture, &refs[i], i);
    fixture_close(&fixture);
}

/* One page, five that belong together, and one again. */
static void write_seven(struct fixture *fixture, struct page_ref *refs)
{
    CHECK_OK(write_one(fixture, 0, &refs[0]));
    writer_expect(fixture->writer, 5);
    for (uint32_t i = 1; i < 6; i++)
        CHECK_OK(write_one(fixture, i, &refs[i]));
    CHECK_OK(write_one(fixture, 6, &refs[6]));
    CHECK_OK(writer_flush(fixture->writer));
    for (uint32_t i = 0; i < 7; i++)
        check_on_disk(fixture, &refs[i], i);
}

TEST(writer__asks_for_single_pages_unless_more_are_expected)
{
    struct fixture fixture;
    struct page_ref refs[7];
    fixture_open(&fixture);
    write_seven(&fixture, refs);
    for (uint32_t i = 0; i < 7; i++)
        CHECK_EQ(refs[i].pgno, 3 + i);
    CHECK_EQ(fixture.take_count, 3);
    CHECK_EQ(fixture.wanted[0], 1);
    CHECK_EQ(fixture.wanted[1], 5);
    CHECK_EQ(fixture.wanted[2], 1);
    fixture_close(&fixture);
}

TEST(writer__takes_what_neighbours_there_are)
{
    static const uint32_t wanted[] = {1, 5, 3, 1, 1};
    struct fixture fixture;
    struct page_ref refs[7];
    fixture_open(&fixture);
    fixture.most = 2;
    fixture.step = 10;
    write_seven(&fixture, refs);
    CHECK_EQ(refs[1].pgno, 13);
    CHECK_EQ(refs[4].pgno, 16);
    CHECK_EQ(refs[5].pgno, 17);
    CHECK_EQ(refs[6].pgno, 27);
    CHECK_EQ(fixture.take_count, 5);
    for (uint32_t i = 0; i < 5; i++)
        CHECK_EQ(fixture.wanted[i], wanted[i]);
    fixture_close(&fixture);
}

TEST(writer__shows_a_page_to_the_pool_when_it_is_written)
{
    struct fixture fixture;
    fixture_open(&fixture);
    struct page_ref ref;
    CHECK_OK(write_one(&fixture, 9, &ref));
    pool_enter(fixture.reader);
    CHECK(pool_peek(fixture.reader, &ref) == NULL);
    pool_leave(fixture.reader);
    CHECK_OK(writer_flush(fixture.writer));
    pool_enter(fixture.reader);
    const uint8_t *page = pool_peek(fixture.reader, &ref);
    CHECK(page != NULL);
    CHECK_EQ(get_u32(page + PAGE_HEADER_BYTES), 9);
    pool_leave(fixture.reader);
    fixture_close(&fixture);
}

TEST(writer__passes_on_that_there_is_no_room)
{
    struct fixture fixture;
    fixture_open(&fixture);
    fixture.is_full = true;
    struct page_ref ref;
    CHECK_EQ(write_one(&fixture, 0, &ref), SCN_FULL);
    writer_expect(fixture.writer, 2);
    CHECK_EQ(write_one(&fixture, 0, &ref), SCN_FULL);
    CHECK_EQ(writer_page_count(fixture.writer), 0);
    fixture_close(&fixture);
}

TEST(writer__passes_on_a_failed_write_and_shows_nothing_to_the_pool)
{
    struct fixture fixture;
    fixture_open(&fixture);
    struct page_ref ref;
    CHECK_OK(write_one(&fixture, 0, &ref));
    file_poison(&fixture.file);
    CHECK_EQ(writer_flush(fixture.writer), SCN_POISONED);
    CHECK_EQ(fixture.batches, 0);
    pool_enter(fixture.reader);
    CHECK(pool_peek(fixture.reader, &ref) == NULL);
    pool_leave(fixture.reader);
    fixture_close(&fixture);
}
