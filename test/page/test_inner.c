/* Inner pages: the way down is the one a scan of the separators would take, and no image
 * that page_check accepts leads outside. */
#include "page/inner.h"

#include "page/leaf.h"
#include "test/page/key_shapes.h"

enum { PGNO = 78, TABLE_ID = 5, BIRTH = 9, POINTERS_AT = 256 };

struct inner_fixture {
    struct key_set set; /* key i is the lower bound of child i */
    uint32_t count;     /* children */
    uint8_t level;
    struct inner_builder *builder;
    uint8_t *page;
    struct page_ref ref;
};

static struct page_ref child_of(uint32_t idx, uint8_t level)
{
    return (struct page_ref){
        .hash = 0x1000 + idx,
        .birth_gen = idx,
        .link_gen = idx + 1,
        .pgno = FIRST_FREE_PAGE_NO + idx,
        .hint = (uint16_t)(level == 1 ? 1 + idx % LEAF_BUCKETS_MAX : 0),
        .level = (uint8_t)(level - 1),
        .type = level == 1 ? PAGE_LEAF : PAGE_INNER,
    };
}

static void fixture_build(struct inner_fixture *fixture, uint32_t count_max)
{
    inner_builder_reset(fixture->builder);
    fixture->count = 0;
    while (fixture->count < fixture->set.count && fixture->count < count_max) {
        const struct key *key = &fixture->set.keys[fixture->count];
        struct page_ref child = child_of(fixture->count, fixture->level);
        if (!inner_builder_add(fixture->builder, key->bytes, key->len, &child))
            break;
        fixture->count++;
    }
    inner_build(fixture->builder, fixture->page, fixture->level, TABLE_ID, PGNO, BIRTH,
                &fixture->ref);
}

static struct inner_fixture fixture_create(enum shape shape, uint32_t count,
                                           uint8_t level, uint64_t *state)
{
    struct inner_fixture fixture = {
        .set = key_set_create(shape, count, state),
        .level = level,
        .page = malloc(PAGE_BYTES),
    };
    CHECK_OK(inner_builder_create(&fixture.builder));
    memset(fixture.page, 0xee, PAGE_BYTES);
    fixture_build(&fixture, UINT32_MAX);
    return fixture;
}

static void fixture_destroy(struct inner_fixture *fixture)
{
    inner_builder_destroy(fixture->builder);
    key_set_destroy(&fixture->set);
    free(fixture->page);
}

static bool is_ref(const struct page_ref *a, const struct page_ref *b)
{
    return page_ref_equal(a, b) && a->link_gen == b->link_gen && a->hint == b->hint &&
           a->level == b->level && a->type == b->type;
}

static void check_children(const struct inner_fixture *fixture)
{
    struct page_header header;
    page_header_decode(fixture->page, &header);
    CHECK_OK(page_check(fixture->page, &fixture->ref));
    CHECK_EQ(inner_count(fixture->page), fixture->count);
    CHECK_EQ(inner_builder_count(fixture->builder), fixture->count);
    CHECK_EQ(inner_builder_bytes(fixture->builder), header.used);
    for (uint32_t i = 0; i < fixture->count; i++) {
        const struct key *key = &fixture->set.keys[i];
        struct page_ref want = child_of(i, fixture->level);
        struct page_ref got = page_ref_decode(inner_ref(fixture->page, i));
        CHECK(is_ref(&got, &want));
        CHECK_EQ(inner_find(fixture->page, key->bytes, key->len), i);
        uint32_t len = key->len;
        const uint8_t *bound = i > 0 ? inner_separator(fixture->page, i, &len)
                                     : inner_builder_bound(fixture->builder, &len);
        CHECK_EQ(bytes_compare(bound, len, key->bytes, key->len), 0);
    }
}

static void check_near_keys(const struct inner_fixture *fixture, uint64_t *state)
{
    for (uint32_t i = 0; i < fixture->set.count && i < 400; i++) {
        for (uint32_t kind = 0; kind < NEAR_KINDS; kind++) {
            struct key key = key_near(&fixture->set.keys[i], kind, state);
            bool is_equal;
            uint32_t idx = key_set_scan(&fixture->set, fixture->count, &key, &is_equal);
            uint32_t want = is_equal || idx == 0 ? idx : idx - 1;
            CHECK_EQ(inner_find(fixture->page, key.bytes, key.len), want);
            free(key.bytes);
        }
    }
}

static uint32_t many(void)
{
    return PAGE_IS_SMALL ? 120 : 1800;
}

TEST(inner__finds_the_child_that_a_scan_finds)
{
    uint64_t state = unit_seed();
    for (int shape = 0; shape < SHAPE_COUNT; shape++) {
        uint8_t level = (uint8_t)(1 + shape % 3);
        struct inner_fixture fixture =
            fixture_create((enum shape)shape, many(), level, &state);
        check_children(&fixture);
        check_near_keys(&fixture, &state);
        for (uint32_t count = 1; count < 40; count += 1 + count / 4) {
            fixture_build(&fixture, count);
            check_children(&fixture);
            check_near_keys(&fixture, &state);
        }
        fixture_destroy(&fixture);
    }
}

TEST(inner__one_child_takes_every_key)
{
    uint64_t state = unit_seed();
    struct inner_fixture fixture = fixture_create(SHAPE_RANDOM, 1, 1, &state);
    check_children(&fixture);
    CHECK_EQ(inner_find(fixture.page, "", 0), 0);
    CHECK_EQ(inner_find(fixture.page, "\xff\xff\xff\xff\xff\xff", 6), 0);
    fixture_destroy(&fixture);
}

TEST(inner__two_children_always_fit)
{
    static uint8_t bound[KEY_BYTES_MAX];
    struct inner_fixture fixture = {.level = 1, .page = malloc(PAGE_BYTES)};
    struct page_ref child = child_of(0, 1);
    CHECK_OK(inner_builder_create(&fixture.builder));
    memset(bound, 'b', sizeof bound);
    CHECK(inner_builder_add(fixture.builder, bound, KEY_BYTES_MAX, &child));
    bound[KEY_BYTES_MAX - 1]++;
    CHECK(inner_builder_add(fixture.builder, bound, KEY_BYTES_MAX, &child));
    inner_build(fixture.builder, fixture.page, 1, TABLE_ID, PGNO, BIRTH, &fixture.ref);
    CHECK_OK(page_check(fixture.page, &fixture.ref));
    CHECK_EQ(inner_find(fixture.page, bound, KEY_BYTES_MAX), 1);
    CHECK_EQ(inner_find(fixture.page, bound, KEY_BYTES_MAX - 1), 0);
    fixture_destroy(&fixture);
}

TEST(inner__the_first_bound_may_be_empty)
{
    struct inner_builder *builder;
    struct page_ref child = child_of(0, 1);
    uint32_t len = 7;
    CHECK_OK(inner_builder_create(&builder));
    CHECK_EQ(inner_builder_count(builder), 0);
    CHECK(inner_builder_add(builder, NULL, 0, &child));
    inner_builder_bound(builder, &len);
    CHECK_EQ(len, 0);
    inner_builder_destroy(builder);
}

TEST(inner__a_refused_child_changes_nothing)
{
    uint64_t state = unit_seed();
    struct inner_fixture fixture = fixture_create(SHAPE_RANDOM, many(), 1, &state);
    CHECK(fixture.count < fixture.set.count);
    uint32_t bytes = inner_builder_bytes(fixture.builder);
    const struct key *key = &fixture.set.keys[fixture.count];
    struct page_ref child = child_of(0, 1);
    CHECK(bytes < PAGE_BYTES);
    CHECK(bytes + key->len + 38 >= PAGE_BYTES);
    CHECK(!inner_builder_add(fixture.builder, key->bytes, key->len, &child));
    CHECK_EQ(inner_builder_count(fixture.builder), fixture.count);
    CHECK_EQ(inner_builder_bytes(fixture.builder), bytes);
    check_children(&fixture);
    fixture_destroy(&fixture);
}

TEST(inner__separators_of_one_byte_fill_a_page)
{
    struct inner_builder *builder;
    struct page_ref child = child_of(3, 1);
    struct page_ref ref;
    uint8_t *page = malloc(PAGE_BYTES);
    CHECK_OK(inner_builder_create(&builder));
    for (int i = 0; i < 256; i++) {
        uint8_t byte = (uint8_t)i;
        if (!inner_builder_add(builder, &byte, 1, &child))
            break;
    }
    CHECK(inner_builder_count(builder) > 90);
    inner_build(builder, page, 1, TABLE_ID, PGNO, BIRTH, &ref);
    CHECK_OK(page_check(page, &ref));
    inner_builder_destroy(builder);
    free(page);
}

TEST(inner__a_separator_is_the_shortest_that_parts)
{
    uint64_t state = unit_seed();
    for (int shape = 0; shape < SHAPE_COUNT; shape++) {
        struct key_set set = key_set_create((enum shape)shape, 300, &state);
        for (uint32_t i = 1; i < set.count; i++) {
            const struct key *left = &set.keys[i - 1];
            const struct key *right = &set.keys[i];
            uint32_t len =
                inner_separator_len(left->bytes, left->len, right->bytes, right->len);
            CHECK(len >= 1 && len <= right->len);
            CHECK(bytes_compare(left->bytes, left->len, right->bytes, len) < 0);
            CHECK(bytes_compare(left->bytes, left->len, right->bytes, len - 1) >= 0);
        }
        key_set_destroy(&set);
    }
    CHECK_EQ(inner_separator_len("", 0, "abc", 3), 1);
}

/* ---- judging ---- */

TEST(inner__each_changed_byte_is_refused)
{
    uint64_t state = unit_seed();
    struct inner_fixture fixture = fixture_create(SHAPE_TEXT, 40, 1, &state);
    uint32_t used = inner_builder_bytes(fixture.builder);
    for (uint32_t i = 0; i < used; i++) {
        uint8_t flip = (uint8_t)(1 + unit_random(&state) % 255);
        fixture.page[i] ^= flip;
        CHECK_EQ(page_check(fixture.page, &fixture.ref), SCN_CORRUPT);
        fixture.page[i] ^= flip;
    }
    CHECK_OK(page_check(fixture.page, &fixture.ref));
    fixture_destroy(&fixture);
}

static void check_consistent(const uint8_t *page)
{
    uint32_t count = inner_count(page);
    for (uint32_t i = 0; i < count; i++) {
        struct page_ref child = page_ref_decode(inner_ref(page, i));
        CHECK(child.pgno >= FIRST_FREE_PAGE_NO);
        if (i == 0)
            continue;
        uint32_t len;
        const uint8_t *separator = inner_separator(page, i, &len);
        CHECK(separator + len <= page + PAGE_BYTES);
        CHECK_EQ(inner_find(page, separator, len), i);
        CHECK_EQ(inner_find(page, separator, len - 1) < i, true);
    }
}

TEST(inner__what_is_accepted_with_a_right_hash_is_consistent)
{
    uint64_t state = unit_seed();
    uint8_t *page = malloc(PAGE_BYTES);
    for (int shape = 0; shape < SHAPE_COUNT; shape++) {
        struct inner_fixture fixture = fixture_create((enum shape)shape, 50, 1, &state);
        uint32_t full = inner_builder_bytes(fixture.builder);
        for (uint32_t i = 0; i < 1500; i++) {
            memcpy(page, fixture.page, PAGE_BYTES);
            uint32_t used =
                i % 10 ? full : full - (uint32_t)(unit_random(&state) % (full - 64));
            uint32_t reach = i % 2 ? full - 64 : 200;
            page[64 + unit_random(&state) % reach] = (uint8_t)unit_random(&state);
            struct page_ref ref;
            page_seal(page, PAGE_INNER, 1, TABLE_ID, PGNO, BIRTH, used, &ref);
            if (page_check(page, &ref) == SCN_OK)
                check_consistent(page);
        }
        fixture_destroy(&fixture);
    }
    free(page);
}

static void expect_fault(const struct inner_fixture *fixture, uint8_t *at, uint32_t len,
                         const void *bytes, const char *sentence)
{
    uint8_t saved[64];
    memcpy(saved, at, len);
    memcpy(at, bytes, len);
    const char *fault = inner_check(fixture->page, &fixture->ref);
    memcpy(at, saved, len);
    CHECK(fault != NULL);
    if (strstr(fault, sentence) == NULL)
        unit_fail(__FILE__, __LINE__, "'%s' instead of '%s'", fault, sentence);
    CHECK(inner_check(fixture->page, &fixture->ref) == NULL);
}

TEST(inner__each_part_is_judged)
{
    uint64_t state = unit_seed();
    struct inner_fixture fixture = fixture_create(SHAPE_RANDOM, 20, 1, &state);
    uint8_t *page = fixture.page;
    uint8_t *child = page + POINTERS_AT + 32 * 4;
    uint8_t *heads = page + POINTERS_AT + 32 * 20;
    uint8_t *offsets = heads + 4 * 19;
    uint8_t large[4];
    CHECK_EQ(fixture.count, 20);

    expect_fault(&fixture, page + 1, 1, "\0", "its level");
    expect_fault(&fixture, page + 1, 1, "\x20", "its level");
    expect_fault(&fixture, page + 1, 1, "\2", "wrong kind");
    expect_fault(&fixture, page + 64, 4, "\xff\xff\xff\xff", "count");
    expect_fault(&fixture, page + 64, 4, "\xff\xff\0\0", "count");
    expect_fault(&fixture, page + 68, 1, "\1", "count");
    put_u32(large, (PAGE_BYTES - 300) / 40);
    expect_fault(&fixture, page + 64, 4, large, "do not fit");
    put_u32(large, inner_builder_bytes(fixture.builder) + 1);
    expect_fault(&fixture, page + 12, 4, large, "bytes behind the last separator");
    put_u32(large, FILE_PAGES_MAX);
    expect_fault(&fixture, child + 24, 4, large, "cannot exist");
    expect_fault(&fixture, child + 24, 4, "\2\0\0\0", "cannot exist");
    expect_fault(&fixture, child + 28, 2, "\0\0", "hint");
    expect_fault(&fixture, child + 28, 2, "\xff\xff", "hint");
    expect_fault(&fixture, child + 30, 1, "\1", "wrong kind or level");
    expect_fault(&fixture, child + 31, 1, "\2", "wrong kind or level");
    expect_fault(&fixture, heads, 4, "\0\0\0\0", "head");
    expect_fault(&fixture, page + 128, 4, "\xff\xff\xff\xff", "hint");
    expect_fault(&fixture, offsets, 2, "\0\0", "first separator");
    expect_fault(&fixture, offsets + 2, 2, offsets, "separator is empty");
    expect_fault(&fixture, offsets + 2, 2, "\xff\xff", "beyond the end");
    expect_fault(&fixture, page + 12, 4, "\0\0\0\0", "length");
    fixture_destroy(&fixture);
}

TEST(inner__swapped_separators_are_refused)
{
    uint64_t state = unit_seed();
    struct inner_fixture fixture = fixture_create(SHAPE_RANDOM, 20, 1, &state);
    uint32_t len;
    uint8_t swapped[48];
    const uint8_t *separator = inner_separator(fixture.page, 10, &len);
    memcpy(swapped, separator + 24, 24);
    memcpy(swapped + 24, separator, 24);
    uint8_t *at = fixture.page + (separator - fixture.page);
    expect_fault(&fixture, at, 48, swapped, "");
    fixture_destroy(&fixture);
}
