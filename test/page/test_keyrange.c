/* Ranges of keys: what separators promise, and who keeps it. */
#include "page/keyrange.h"

#include "page/inner.h"
#include "page/leaf.h"
#include "page/mem.h"
#include "test/page/key_shapes.h"

enum { PGNO = 79, TABLE_ID = 5, BIRTH = 9 };

/* Child i of an inner page has keys[i] as its lower bound. Of the longest keys not all
 * have room. */
static uint8_t *inner_of(const struct key_set *set, uint32_t from, uint32_t count)
{
    struct inner_builder *builder;
    struct page_ref ref;
    struct page_ref child = {.pgno = FIRST_FREE_PAGE_NO, .type = PAGE_LEAF, .hint = 1};
    uint8_t *page = malloc(PAGE_BYTES);
    CHECK_OK(inner_builder_create(&builder));
    uint32_t i = from;
    while (i < from + count &&
           inner_builder_add(builder, set->keys[i].bytes, set->keys[i].len, &child))
        i++;
    inner_build(builder, page, 1, TABLE_ID, PGNO, BIRTH, &ref);
    inner_builder_destroy(builder);
    return page;
}

static uint8_t *leaf_of(const struct key_set *set, uint32_t from, uint32_t count)
{
    struct leaf_builder *builder;
    struct page_ref ref;
    uint8_t *page = malloc(PAGE_BYTES);
    CHECK_OK(leaf_builder_create(&builder));
    for (uint32_t i = from; i < from + count; i++) {
        struct leaf_record record = {.key = set->keys[i].bytes,
                                     .key_len = set->keys[i].len,
                                     .payload = set->keys[i].bytes,
                                     .kind = LEAF_INLINE};
        CHECK(leaf_builder_add(builder, &record));
    }
    leaf_build(builder, page, TABLE_ID, PGNO, BIRTH, &ref);
    leaf_builder_destroy(builder);
    return page;
}

static bool has(const struct keyrange *range, const struct key *key)
{
    return keyrange_has(range, key->bytes, key->len);
}

static void set_range(struct keyrange *range, const struct key *from,
                      const struct key *to)
{
    CHECK_OK(bound_set(&range->from, from->bytes, from->len));
    CHECK_OK(bound_set(&range->to, to->bytes, to->len));
}

TEST(keyrange__begins_with_its_lower_bound_and_ends_before_the_upper_one)
{
    uint64_t state = unit_seed();
    for (int shape = 0; shape < SHAPE_COUNT; shape++) {
        struct key_set set = key_set_create((enum shape)shape, 40, &state);
        struct keyrange range = {0};
        CHECK(set.count > 6); /* some of those drawn are the same */
        for (uint32_t i = 0; i < set.count; i++)
            CHECK(has(&range, &set.keys[i]));
        set_range(&range, &set.keys[2], &set.keys[5]);
        for (uint32_t i = 0; i < set.count; i++)
            CHECK_EQ(has(&range, &set.keys[i]), i >= 2 && i < 5);
        keyrange_clear(&range);
        for (uint32_t i = 0; i < set.count; i++)
            CHECK(has(&range, &set.keys[i]));
        CHECK_EQ(range.from.len, 0);
        keyrange_free(&range);
        key_set_destroy(&set);
    }
}

TEST(keyrange__behind_a_key_no_other_key_is_left_out)
{
    struct keyrange range = {0};
    CHECK_OK(bound_set(&range.from, "ab", 2));
    CHECK_OK(bound_set_behind(&range.to, "ab", 2));
    CHECK(keyrange_has(&range, "ab", 2));
    CHECK(!keyrange_has(&range, "ab\0", 3));
    CHECK(!keyrange_has(&range, "aa\xff", 3));
    CHECK(!keyrange_has(&range, "ac", 2));
    CHECK_OK(bound_set_behind(&range.from, "", 0));
    CHECK(!keyrange_has(&range, "", 0));
    CHECK(keyrange_has(&range, "\0", 1));
    keyrange_free(&range);
}

TEST(keyrange__copy_of_a_bound_is_its_own_or_none)
{
    struct bound bound = {0};
    struct bound copy = {0};
    CHECK_OK(bound_set(&bound, "key", 3));
    CHECK_OK(bound_copy(&copy, &bound));
    CHECK_OK(bound_set(&bound, "another", 7));
    CHECK(copy.is_set);
    CHECK_EQ(copy.len, 3);
    CHECK(memcmp(copy.bytes, "key", 3) == 0);
    bound_free(&bound);
    CHECK_OK(bound_copy(&copy, &bound));
    CHECK(!copy.is_set);
    CHECK_EQ(copy.len, 0);
    bound_free(&copy);
}

/* The page's own range is that between the first and the last key of the set. */
static void check_children(const struct key_set *set, const uint8_t *page)
{
    struct keyrange parent = {0};
    struct keyrange child = {0};
    uint32_t count = inner_count(page);
    set_range(&parent, &set->keys[0], &set->keys[set->count - 1]);
    for (uint32_t i = 0; i < count; i++) {
        CHECK_OK(keyrange_of_child(&child, &parent, page, i));
        for (uint32_t key = 0; key < set->count; key++)
            CHECK_EQ(has(&child, &set->keys[key]),
                     has(&parent, &set->keys[key]) &&
                         inner_find(page, set->keys[key].bytes, set->keys[key].len) == i);
    }
    keyrange_clear(&parent);
    CHECK_OK(keyrange_of_child(&child, &parent, page, 0));
    CHECK(!child.from.is_set);
    CHECK_EQ(child.to.is_set, count > 1);
    CHECK_OK(keyrange_of_child(&child, &parent, page, count - 1));
    CHECK_EQ(child.from.is_set, count > 1);
    CHECK(!child.to.is_set);
    keyrange_free(&parent);
    keyrange_free(&child);
}

TEST(keyrange__each_key_is_in_that_of_one_child)
{
    uint64_t state = unit_seed();
    for (int shape = 0; shape < SHAPE_COUNT; shape++) {
        struct key_set set = key_set_create((enum shape)shape, 12, &state);
        for (uint32_t count = 1; count <= set.count && count < 6; count++) {
            uint8_t *page = inner_of(&set, 0, count);
            CHECK(inner_count(page) == count || shape == SHAPE_LONG);
            check_children(&set, page);
            free(page);
        }
        key_set_destroy(&set);
    }
}

/* The keys in the page are those of set from 1 to count - 2. */
static void check_fault(const struct key_set *set, const uint8_t *page)
{
    struct keyrange range = {0};
    const struct key *keys = set->keys;
    uint32_t last = set->count - 2;
    CHECK(keyrange_fault(&range, page) == NULL);
    set_range(&range, &keys[1], &keys[last + 1]);
    CHECK(keyrange_fault(&range, page) == NULL);
    set_range(&range, &keys[2], &keys[last + 1]);
    CHECK(strstr(keyrange_fault(&range, page), "first key"));
    set_range(&range, &keys[0], &keys[last]);
    CHECK(strstr(keyrange_fault(&range, page), "last key"));
    keyrange_free(&range);
}

TEST(keyrange__page_with_a_key_outside_is_found)
{
    uint64_t state = unit_seed();
    struct key_set set = key_set_create(SHAPE_TEXT, 8, &state);
    struct keyrange range = {0};
    uint8_t *leaf = leaf_of(&set, 1, set.count - 2);
    uint8_t *inner = inner_of(&set, 0, set.count - 1);
    uint8_t *lone = inner_of(&set, 0, 1);
    check_fault(&set, leaf);
    check_fault(&set, inner);
    set_range(&range, &set.keys[3], &set.keys[4]);
    CHECK(keyrange_fault(&range, lone) == NULL);
    keyrange_free(&range);
    free(leaf);
    free(inner);
    free(lone);
    key_set_destroy(&set);
}
