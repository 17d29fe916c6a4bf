/* Sealing and judging: a page is only what its pointer promised [P1]. */
#include "page/page.h"

#include "page/hash.h"
#include "test/unit/unit.h"

enum { PGNO = 4711, TABLE_ID = 5, BIRTH = 9, USED = 300 };

static uint8_t *page_create(struct page_ref *ref)
{
    uint8_t *page = malloc(PAGE_BYTES);
    memset(page, 0xee, PAGE_BYTES);
    page_seal(page, PAGE_VALUES, 0, TABLE_ID, PGNO, BIRTH, USED, ref);
    return page;
}

TEST(page__a_sealed_page_is_what_its_pointer_says)
{
    struct page_ref ref;
    struct page_header header;
    uint8_t *page = page_create(&ref);
    CHECK_OK(page_check(page, &ref));
    CHECK_OK(page_check_header(page, PGNO));
    page_header_decode(page, &header);
    CHECK_EQ(header.type, PAGE_VALUES);
    CHECK_EQ(header.level, 0);
    CHECK_EQ(header.table_id, TABLE_ID);
    CHECK_EQ(header.pgno, PGNO);
    CHECK_EQ(header.used, USED);
    CHECK_EQ(header.birth_gen, BIRTH);
    CHECK(header.hash == ref.hash);
    CHECK_EQ(ref.link_gen, BIRTH);
    CHECK_EQ(ref.hint, 0);
    CHECK(bytes_are_zero(page + USED, PAGE_BYTES - USED));
    free(page);
}

/* Written out by hand from the format: the layout does not change by accident. */
TEST(page__header_and_hash_are_those_of_the_format)
{
    static const uint8_t head[24] = {3, 0, 0, 0, 5, 0, 0, 0, 0x67, 0x12, 0, 0,
                                     0x2c, 1, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0};
    struct page_ref ref;
    uint8_t hashed[32];
    uint8_t *page = page_create(&ref);
    CHECK(memcmp(page, head, sizeof head) == 0);
    memcpy(hashed, head, sizeof head);
    put_u64(hashed + 24, hash64(page + 32, USED - 32));
    CHECK(get_u64(page + 24) == hash64(hashed, sizeof hashed));
    free(page);
}

TEST(page__each_changed_byte_is_refused)
{
    struct page_ref ref;
    uint8_t *page = page_create(&ref);
    for (uint32_t i = 0; i < USED; i++) {
        for (uint32_t bit = 0; bit < 8; bit++) {
            page[i] ^= (uint8_t)(1u << bit);
            CHECK_EQ(page_check(page, &ref), SCN_CORRUPT);
            CHECK_EQ(page_check_header(page, PGNO), SCN_CORRUPT);
            page[i] ^= (uint8_t)(1u << bit);
        }
    }
    CHECK_OK(page_check(page, &ref));
    free(page);
}

TEST(page__each_broken_promise_is_refused)
{
    struct page_ref ref;
    uint8_t *page = page_create(&ref);
    for (int field = 0; field < 5; field++) {
        struct page_ref other = ref;
        other.pgno += field == 0;
        other.birth_gen += field == 1;
        other.hash += field == 2;
        other.level += field == 3;
        other.type = field == 4 ? PAGE_SPACE : other.type;
        CHECK_EQ(page_check(page, &other), SCN_CORRUPT);
    }
    CHECK_EQ(page_check_header(page, PGNO + 1), SCN_CORRUPT);
    free(page);
}

TEST(page__the_sentence_names_the_page)
{
    struct page_ref ref;
    uint8_t *page = page_create(&ref);
    ref.birth_gen++;
    CHECK_EQ(page_check(page, &ref), SCN_CORRUPT);
    CHECK_EQ(error_last()->page, PGNO);
    CHECK_EQ(error_last()->offset, (uint64_t)PGNO * PAGE_BYTES);
    CHECK(strstr(error_last()->text, "page 4711") != NULL);
    CHECK(strstr(error_last()->text, "generation") != NULL);
    free(page);
}

/* The hash is made right again: what remains is judged for itself. */
static void check_refused_header(uint8_t *page, uint32_t used)
{
    uint8_t hashed[32];
    struct page_ref ref = {
        .pgno = PGNO, .birth_gen = BIRTH, .type = page[0], .level = page[1]};
    memcpy(hashed, page, 24);
    put_u64(hashed + 24, hash64(page + 32, used - 32));
    ref.hash = hash64(hashed, sizeof hashed);
    put_u64(page + 24, ref.hash);
    CHECK_EQ(page_check(page, &ref), SCN_CORRUPT);
    CHECK_EQ(page_check_header(page, PGNO), SCN_CORRUPT);
}

TEST(page__impossible_headers_are_refused_even_with_a_right_hash)
{
    static const struct { uint32_t at; uint32_t value; } changes[] = {
        {0, PAGE_NONE}, {0, PAGE_SPACE + 1}, {2, 1}, {3, 1}, {32, 1}, {63, 0x80},
    };
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        struct page_ref ref;
        uint8_t *page = page_create(&ref);
        page[changes[i].at] = (uint8_t)changes[i].value;
        check_refused_header(page, USED);
        free(page);
    }
}

TEST(page__impossible_lengths_are_refused_unread)
{
    static const uint32_t lengths[] = {0, 24, 31, 32, 63, PAGE_BYTES + 1, 1u << 31, ~0u};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct page_ref ref;
        uint8_t *page = page_create(&ref);
        put_u32(page + 12, lengths[i]);
        CHECK_EQ(page_check(page, &ref), SCN_CORRUPT);
        CHECK(strstr(error_last()->text, "length") != NULL);
        free(page);
    }
}

TEST(page__a_page_may_be_empty_or_full)
{
    static const uint32_t lengths[] = {PAGE_HEADER_BYTES, PAGE_BYTES};
    for (size_t i = 0; i < 2; i++) {
        struct page_ref ref;
        uint8_t *page = malloc(PAGE_BYTES);
        memset(page, 1, PAGE_BYTES);
        page_seal(page, PAGE_SPACE, 0, 0, PGNO, BIRTH, lengths[i], &ref);
        CHECK_OK(page_check(page, &ref));
        free(page);
    }
}

TEST(page__random_bytes_are_no_page)
{
    uint64_t state = unit_seed();
    uint8_t *page = malloc(PAGE_BYTES);
    for (int round = 0; round < 200; round++) {
        for (uint32_t i = 0; i < 256; i += 8)
            put_u64(page + i, unit_random(&state));
        memset(page + 256, 0, PAGE_BYTES - 256);
        put_u16(page + 2, 0);
        put_u32(page + 12, (uint32_t)(unit_random(&state) % (PAGE_BYTES + 2)));
        page[0] = (uint8_t)(round % 6);
        memset(page + 32, 0, 32);
        CHECK_EQ(page_check_header(page, get_u32(page + 8)), SCN_CORRUPT);
    }
    free(page);
}

TEST(page_ref__comes_back_as_it_went)
{
    static const uint8_t want[PAGE_REF_BYTES] = {
        1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16,
        17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32};
    uint8_t got[PAGE_REF_BYTES];
    struct page_ref ref = page_ref_decode(want);
    CHECK(ref.hash == 0x0807060504030201);
    CHECK(ref.birth_gen == 0x100f0e0d0c0b0a09);
    CHECK(ref.link_gen == 0x1817161514131211);
    CHECK_EQ(ref.pgno, 0x1c1b1a19);
    CHECK_EQ(ref.hint, 0x1e1d);
    CHECK_EQ(ref.level, 31);
    CHECK_EQ(ref.type, 32);
    page_ref_encode(&ref, got);
    CHECK(memcmp(got, want, sizeof got) == 0);
}
