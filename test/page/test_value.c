/* References to values and index pages: what is decoded can be trusted, the rest is
 * refused. */
#include "page/value.h"

#include "test/unit/unit.h"

enum { PGNO = 50 };

static struct value_ref plain_ref(void)
{
    return (struct value_ref){
        .len = 500,
        .hash = 0x1122334455667788,
        .page = {.hash = 1, .birth_gen = 2, .link_gen = 3, .pgno = 4,
                 .type = PAGE_VALUES},
        .off = 64,
    };
}

static struct value_ref block_ref(void)
{
    struct value_ref ref = plain_ref();
    ref.block_stored = 300;
    ref.block_raw = 1000;
    ref.inside = 500;
    return ref;
}

static struct value_ref spread_ref(void)
{
    struct value_ref ref = plain_ref();
    ref.page.type = PAGE_VALUE_INDEX;
    ref.len = 3 * (uint64_t)VALUE_SPREAD_BYTES + 1;
    ref.off = 0;
    return ref;
}

static const char *decode(const struct value_ref *ref, struct value_ref *out)
{
    uint8_t *at = malloc(VALUE_REF_BYTES);
    value_ref_encode(ref, at);
    const char *fault = value_ref_decode(at, out);
    free(at);
    return fault;
}

static void check_refused(struct value_ref ref)
{
    struct value_ref got;
    CHECK(decode(&ref, &got) != NULL);
}

static void check_comes_back(struct value_ref ref)
{
    struct value_ref got;
    CHECK(decode(&ref, &got) == NULL);
    CHECK(got.len == ref.len && got.hash == ref.hash);
    CHECK(page_ref_equal(&got.page, &ref.page));
    CHECK(got.page.link_gen == ref.page.link_gen && got.page.type == ref.page.type);
    CHECK_EQ(got.off, ref.off);
    CHECK_EQ(got.block_stored, ref.block_stored);
    CHECK_EQ(got.block_raw, ref.block_raw);
    CHECK_EQ(got.inside, ref.inside);
    CHECK_EQ(value_ref_is_spread(&got), ref.page.type == PAGE_VALUE_INDEX);
}

TEST(value_ref__comes_back_as_it_went)
{
    struct value_ref ref = plain_ref();
    check_comes_back(ref);
    check_comes_back(block_ref());
    check_comes_back(spread_ref());
    ref.len = PAGE_BYTES - PAGE_HEADER_BYTES;
    check_comes_back(ref);
    ref = spread_ref();
    ref.len = VALUE_BYTES_MAX;
    check_comes_back(ref);
}

TEST(value_ref__impossible_pointers_and_lengths_are_refused)
{
    for (int field = 0; field < 7; field++) {
        struct value_ref ref = plain_ref();
        ref.len = field == 0 ? 0 : ref.len;
        ref.len = field == 1 ? (uint64_t)VALUE_BYTES_MAX + 1 : ref.len;
        ref.page.type = field == 2 ? PAGE_LEAF : ref.page.type;
        ref.page.level = field == 3;
        ref.page.pgno = field == 4 ? FIRST_FREE_PAGE_NO - 1 : ref.page.pgno;
        ref.page.pgno = field == 5 ? FILE_PAGES_MAX : ref.page.pgno;
        ref.len = field == 6 ? UINT64_MAX : ref.len;
        check_refused(ref);
    }
}

TEST(value_ref__a_plain_value_lies_in_its_page)
{
    for (int field = 0; field < 6; field++) {
        struct value_ref ref = plain_ref();
        ref.off = field == 0 ? 63 : ref.off;
        ref.off = field == 1 ? PAGE_BYTES - 499 : ref.off;
        ref.off = field == 2 ? UINT32_MAX : ref.off;
        ref.len = field == 3 ? PAGE_BYTES - 63 : ref.len;
        ref.inside = field == 4;
        ref.block_raw = field == 5 ? 500 : 0;
        check_refused(ref);
    }
}

TEST(value_ref__a_value_lies_in_its_block)
{
    for (int field = 0; field < 6; field++) {
        struct value_ref ref = block_ref();
        ref.inside = field == 0 ? 501 : ref.inside;
        ref.inside = field == 1 ? UINT32_MAX : ref.inside;
        ref.block_raw = field == 2 ? 999 : ref.block_raw;
        ref.block_raw = field == 3 ? VALUE_BLOCK_BYTES_MAX + 1 : ref.block_raw;
        ref.block_stored = field == 4 ? PAGE_BYTES - 63 : ref.block_stored;
        ref.block_stored = field == 5 ? UINT32_MAX : ref.block_stored;
        check_refused(ref);
    }
}

TEST(value_ref__a_spread_value_has_no_place_in_a_page)
{
    for (int field = 0; field < 4; field++) {
        struct value_ref ref = spread_ref();
        ref.off = field == 0 ? 64 : 0;
        ref.block_stored = field == 1;
        ref.block_raw = field == 2;
        ref.inside = field == 3;
        check_refused(ref);
    }
}

TEST(value_ref__random_changes_are_refused_or_harmless)
{
    uint64_t state = unit_seed();
    uint8_t *at = malloc(VALUE_REF_BYTES);
    for (uint32_t i = 0; i < 30000; i++) {
        struct value_ref got;
        struct value_ref kinds[3] = {plain_ref(), block_ref(), spread_ref()};
        struct value_ref ref = kinds[i % 3];
        value_ref_encode(&ref, at);
        for (uint32_t n = 1 + i % 4; n > 0; n--)
            at[unit_random(&state) % VALUE_REF_BYTES] = (uint8_t)unit_random(&state);
        if (value_ref_decode(at, &got) != NULL)
            continue;
        CHECK(got.len >= 1 && got.len <= VALUE_BYTES_MAX);
        if (value_ref_is_spread(&got))
            CHECK(got.off == 0 && got.inside == 0 && got.block_stored == 0);
        else if (got.block_stored != 0)
            CHECK((uint64_t)got.off + got.block_stored <= PAGE_BYTES);
        else
            CHECK((uint64_t)got.off + got.len <= PAGE_BYTES);
    }
    free(at);
}

TEST(value__page_count_rounds_up)
{
    CHECK_EQ(value_page_count(1), 1);
    CHECK_EQ(value_page_count(VALUE_SPREAD_BYTES), 1);
    CHECK_EQ(value_page_count(VALUE_SPREAD_BYTES + 1), 2);
    CHECK_EQ(value_page_count(2 * (uint64_t)VALUE_SPREAD_BYTES), 2);
    uint64_t full = (uint64_t)VALUE_INDEX_FANOUT * VALUE_SPREAD_BYTES;
    CHECK_EQ(value_index_pages(1), 1);
    CHECK_EQ(value_index_pages(full), 1);
    CHECK_EQ(value_index_pages(full + 1), 2);
}

/* ---- index pages ---- */

static uint8_t *index_create(uint32_t count, const struct page_ref *next,
                             struct page_ref *ref)
{
    static struct value_part parts[VALUE_INDEX_FANOUT];
    uint8_t *page = malloc(PAGE_BYTES);
    memset(page, 0xee, PAGE_BYTES);
    for (uint32_t i = 0; i < count; i++)
        parts[i] = (struct value_part){.hash = 0x9e3779b97f4a7c15 * (i + 1),
                                       .pgno = FILE_PAGES_MAX - 1 - 3 * i};
    value_index_fill(page, parts, count, next);
    page_seal(page, PAGE_VALUE_INDEX, 0, 1, PGNO, 9, value_index_used(count), ref);
    return page;
}

static const struct page_ref next_index = {
    .hash = 8, .birth_gen = 7, .link_gen = 7, .pgno = 99, .type = PAGE_VALUE_INDEX};

TEST(value_index__gives_back_parts_and_next)
{
    static const uint32_t counts[] = {1, 2, 100, VALUE_INDEX_FANOUT};
    for (size_t i = 0; i < 4; i++) {
        struct page_ref ref;
        uint8_t *page = index_create(counts[i], &next_index, &ref);
        CHECK_OK(page_check(page, &ref));
        CHECK_EQ(value_index_count(page), counts[i]);
        struct value_part part = value_index_part(page, counts[i] - 1);
        CHECK(part.hash == 0x9e3779b97f4a7c15 * counts[i]);
        CHECK_EQ(part.pgno, FILE_PAGES_MAX - 1 - 3 * (counts[i] - 1));
        struct page_ref next = value_index_next(page);
        CHECK(page_ref_equal(&next, &next_index));
        free(page);
    }
}

TEST(value_index__the_last_page_has_no_next)
{
    struct page_ref none = {0};
    struct page_ref ref;
    uint8_t *page = index_create(3, &none, &ref);
    CHECK_OK(page_check(page, &ref));
    struct page_ref next = value_index_next(page);
    CHECK(page_ref_is_null(&next));
    free(page);
}

TEST(value_index__each_part_is_judged)
{
    static const struct { uint32_t at; uint32_t value; } changes[] = {
        {1, 1}, {64, 1}, {64 + 24, 2}, {64 + 31, PAGE_VALUES}, {64 + 30, 1},
        {96, 0}, {96, 4}, {98, 1}, {99, 0x80}, {100, 1}, {103, 1},
    };
    struct page_ref none = {0};
    struct page_ref ref;
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        bool has_next = changes[i].at == 64 + 24 || changes[i].at > 64 + 24;
        uint8_t *page = index_create(3, has_next ? &next_index : &none, &ref);
        CHECK(value_index_check(page) == NULL);
        page[changes[i].at] = (uint8_t)changes[i].value;
        CHECK(value_index_check(page) != NULL);
        free(page);
    }
}

TEST(value_index__a_part_has_a_page_that_can_exist)
{
    static const uint32_t numbers[] = {
        0, FIRST_FREE_PAGE_NO - 1, FIRST_FREE_PAGE_NO, FILE_PAGES_MAX - 1, FILE_PAGES_MAX,
        UINT32_MAX,
    };
    struct page_ref none = {0};
    struct page_ref ref;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        for (uint32_t idx = 0; idx < 3; idx++) {
            uint8_t *page = index_create(3, &none, &ref);
            put_u32(page + VALUE_INDEX_HEADER_BYTES + 12 * idx + 8, numbers[i]);
            CHECK_EQ(value_index_check(page) == NULL, i == 2 || i == 3);
            free(page);
        }
    }
}

TEST(value_index__a_length_that_is_not_the_counts_is_refused)
{
    struct page_ref none = {0};
    struct page_ref ref;
    uint8_t *page = index_create(3, &none, &ref);
    for (uint32_t used = 64; used < 200; used++) {
        page_seal(page, PAGE_VALUE_INDEX, 0, 1, PGNO, 9, value_index_used(3), &ref);
        put_u32(page + 12, used);
        CHECK_EQ(value_index_check(page) == NULL, used == value_index_used(3));
    }
    free(page);
}
