/* Lies about trees, the catalog and values (test/engine/lie.h). */
#include "test/engine/lie.h"

#include "engine/catalog.h"
#include "page/inner.h"
#include "page/leaf.h"
#include "page/value.h"
#include "test/unit/unit.h"

enum {
    /* docs/format.md */
    INNER_POINTERS_OFF = 256,
    INDEX_COUNT_OFF = 96
};

#define PAGE_OR_VALUE (ISSUE(PAGE) | ISSUE(VALUE))

/* ---- trees ---- */

static uint8_t *inner_of(struct forge *forge, uint8_t level, uint32_t *pgno)
{
    *pgno = forge_find(forge, PAGE_INNER, level, TABLE_LONG, 0);
    CHECK(*pgno != 0);
    return forge_page(forge, *pgno);
}

static uint8_t *child_of(uint8_t *page, uint32_t idx)
{
    CHECK(idx < inner_count(page));
    return page + INNER_POINTERS_OFF + idx * PAGE_REF_BYTES;
}

static void repeat_child(struct forge *forge)
{
    uint32_t pgno;
    uint8_t *page = inner_of(forge, 1, &pgno);
    memcpy(child_of(page, 1), child_of(page, 0), PAGE_REF_BYTES);
    forge_seal(forge, pgno);
}

static void repeat_subtree(struct forge *forge)
{
    uint32_t pgno;
    uint8_t *page = inner_of(forge, 2, &pgno);
    memcpy(child_of(page, 1), child_of(page, 0), PAGE_REF_BYTES);
    forge_seal(forge, pgno);
}

static void swap_children(struct forge *forge)
{
    uint32_t pgno;
    uint8_t first[PAGE_REF_BYTES];
    uint8_t *page = inner_of(forge, 1, &pgno);
    memcpy(first, child_of(page, 0), PAGE_REF_BYTES);
    memcpy(child_of(page, 0), child_of(page, 1), PAGE_REF_BYTES);
    memcpy(child_of(page, 1), first, PAGE_REF_BYTES);
    forge_seal(forge, pgno);
}

static void jump_a_level(struct forge *forge)
{
    uint32_t root;
    uint32_t below;
    uint8_t *page = inner_of(forge, 2, &root);
    memcpy(child_of(page, 0), child_of(inner_of(forge, 1, &below), 0), PAGE_REF_BYTES);
    forge_seal(forge, root);
}

/* To the page above: its level is another, and so is the one it would have to have. */
static void lead_upwards(struct forge *forge)
{
    uint32_t root;
    uint32_t below;
    inner_of(forge, 2, &root);
    uint8_t *page = inner_of(forge, 1, &below);
    memcpy(child_of(page, 0), forge_pointer(forge, root), PAGE_REF_BYTES);
    forge_seal(forge, below);
}

/* The page leads to itself, and its pointer says the level that its parent wants. */
static void lead_to_itself(struct forge *forge)
{
    uint32_t pgno;
    uint8_t *page = inner_of(forge, 1, &pgno);
    put_u64(page + HEADER_BIRTH_OFF, FORGETFUL_GEN);
    forge_seal(forge, pgno);
    uint8_t *child = child_of(page, 0);
    memcpy(child, forge_pointer(forge, pgno), PAGE_REF_BYTES);
    forge_seal(forge, pgno);
    CHECK(get_u64(child) == forge_hash(page));
}

static void lead_to_a_leaf_of_another_table(struct forge *forge)
{
    uint32_t pgno;
    uint8_t *page = inner_of(forge, 1, &pgno);
    uint32_t leaf = forge_find(forge, PAGE_LEAF, 0, TABLE_PACKED, 0);
    memcpy(child_of(page, 0), forge_pointer(forge, leaf), PAGE_REF_BYTES);
    forge_seal(forge, pgno);
}

static void rename_leaf(struct forge *forge)
{
    uint32_t leaf = forge_find(forge, PAGE_LEAF, 0, TABLE_LONG, 0);
    put_u32(forge_page(forge, leaf) + 4, TABLE_PACKED);
    forge_seal(forge, leaf);
}

static void date_leaf_ahead(struct forge *forge)
{
    uint32_t leaf = forge_find(forge, PAGE_LEAF, 0, TABLE_LONG, 0);
    put_u64(forge_page(forge, leaf) + HEADER_BIRTH_OFF,
            forge->sb[forge->newest].gen + 100);
    forge_seal(forge, leaf);
}

/* A key rises above the one behind it. */
static void disorder_leaf(struct forge *forge)
{
    uint32_t leaf = forge_find(forge, PAGE_LEAF, 0, TABLE_LONG, 0);
    struct leaf_record record;
    leaf_at(forge_page(forge, leaf), 0, &record);
    forge->bytes[record.key - forge->bytes + record.key_len - 2] = '9';
    forge_seal(forge, leaf);
}

/* The last key of a leaf, past what its parent promises; head, hints and bucket would
 * betray it, so the whole page is built anew. */
static void disorder_leaves(struct forge *forge)
{
    uint32_t leaf = forge_find(forge, PAGE_LEAF, 0, TABLE_LONG, 0);
    uint8_t *page = forge_page(forge, leaf);
    uint8_t copy[PAGE_BYTES];
    uint8_t key[KEY_BYTES_MAX];
    struct leaf_builder *builder;
    struct page_ref ref;
    memcpy(copy, page, sizeof copy);
    CHECK_OK(leaf_builder_create(&builder));
    for (uint32_t i = 0; i < leaf_count(copy); i++) {
        struct leaf_record record;
        leaf_at(copy, i, &record);
        if (i + 1 == leaf_count(copy)) {
            memcpy(key, record.key, record.key_len);
            key[record.key_len - 2] = '9';
            record.key = key;
        }
        CHECK(leaf_builder_add(builder, &record));
    }
    leaf_build(builder, page, TABLE_LONG, leaf, get_u64(copy + HEADER_BIRTH_OFF), &ref);
    leaf_builder_destroy(builder);
    forge_seal(forge, leaf);
}

TEST(lies__about_trees_are_told)
{
    static const struct lie lies[] = {
        {"a child twice", repeat_child, ISSUE(SHARED)},
        {"a subtree twice", repeat_subtree, ISSUE(SHARED)},
        {"children in disorder", swap_children, ISSUE(TREE)},
        {"a level too low", jump_a_level, ISSUE(PAGE) | ISSUE(TREE)},
        {"a child above its parent", lead_upwards, ISSUE(PAGE) | ISSUE(TREE)},
        {"a page below itself", lead_to_itself, ISSUE(PAGE) | ISSUE(TREE)},
        {"a leaf of two tables", lead_to_a_leaf_of_another_table,
         ISSUE(TREE) | ISSUE(SHARED)},
        {"another table's leaf", rename_leaf, ISSUE(TREE)},
        {"a leaf from the future", date_leaf_ahead, ISSUE(TREE)},
        {"keys in disorder", disorder_leaf, ISSUE(PAGE)},
        {"leaves in disorder", disorder_leaves, ISSUE(TREE)},
    };
    TELL_ALL(lies);
}

/* ---- the catalog ---- */

/* The row `R` of a table, which is in place. */
static uint8_t *root_row(struct forge *forge, uint32_t table_id, uint32_t *leaf)
{
    for (uint32_t nth = 0;; nth++) {
        *leaf = forge_find(forge, PAGE_LEAF, 0, TABLE_CATALOG, nth);
        CHECK(*leaf != 0);
        const uint8_t *page = forge_page(forge, *leaf);
        for (uint32_t i = 0; i < leaf_count(page); i++) {
            struct leaf_record record;
            leaf_at(page, i, &record);
            if (record.key[0] == 'R' && get_be32(record.key + 1) == table_id)
                return forge->bytes + (record.payload - forge->bytes);
        }
    }
}

static void change_root(struct forge *forge, uint32_t table_id, uint32_t off,
                        uint64_t value)
{
    uint32_t leaf;
    uint8_t *row = root_row(forge, table_id, &leaf);
    put_u64(row + off, value);
    forge_seal(forge, leaf);
}

static void count_more(struct forge *forge)
{
    change_root(forge, TABLE_LONG, 32, 17);
}

static void count_too_many(struct forge *forge)
{
    change_root(forge, TABLE_LONG, 32, UINT64_MAX);
}

static void count_pages_wrong(struct forge *forge)
{
    change_root(forge, TABLE_LONG, 56, UINT64_MAX / 2);
}

static void share_a_tree(struct forge *forge)
{
    uint32_t leaf;
    uint8_t *from = root_row(forge, TABLE_PACKED, &leaf);
    memcpy(root_row(forge, TABLE_BLOCKS, &leaf), from, CATALOG_ROOT_BYTES);
    forge_seal(forge, leaf);
}

static void forget_the_root(struct forge *forge)
{
    uint32_t leaf;
    uint32_t below;
    uint8_t *row = root_row(forge, TABLE_LONG, &leaf);
    inner_of(forge, 1, &below);
    memcpy(row, forge_pointer(forge, below), PAGE_REF_BYTES);
    forge_seal(forge, leaf);
}

static void lead_into_the_catalog(struct forge *forge)
{
    uint32_t leaf;
    uint8_t *row = root_row(forge, TABLE_PACKED, &leaf);
    put_u64(forge_page(forge, leaf) + HEADER_BIRTH_OFF, FORGETFUL_GEN);
    forge_seal(forge, leaf);
    memcpy(row, forge_pointer(forge, leaf), PAGE_REF_BYTES);
    forge_seal(forge, leaf);
}

static void have_no_root(struct forge *forge)
{
    uint32_t leaf;
    uint8_t *row = root_row(forge, TABLE_PACKED, &leaf);
    memset(row, 0, PAGE_REF_BYTES);
    forge_seal(forge, leaf);
}

static void have_a_root_outside(struct forge *forge)
{
    uint32_t leaf;
    uint8_t *row = root_row(forge, TABLE_PACKED, &leaf);
    put_u32(row + 24, FILE_PAGES_MAX - 1);
    forge_seal(forge, leaf);
}

TEST(lies__of_the_catalog_are_told)
{
    static const struct lie lies[] = {
        {"one row more", count_more, ISSUE(COUNT)},
        {"rows without number", count_too_many, ISSUE(COUNT)},
        {"pages without number", count_pages_wrong, ISSUE(COUNT)},
        {"one tree, two tables", share_a_tree, ISSUE(SHARED)},
        {"the root forgotten", forget_the_root, ISSUE(COUNT)},
        /* The superblock's pointer is born after it, so it is no good one. */
        {"a table in the catalog", lead_into_the_catalog, ISSUE(SLOT)},
        {"no root", have_no_root, ISSUE(COUNT) | ISSUE(LOST)},
        {"a root outside", have_a_root_outside, ISSUE(PAGE) | ISSUE(SPACE)},
    };
    TELL_ALL(lies);
}

/* ---- values ---- */

/* The first reference to a value in a leaf of the table, in place. */
static uint8_t *value_of(struct forge *forge, uint32_t table_id, uint32_t nth,
                         uint32_t *leaf)
{
    *leaf = forge_find(forge, PAGE_LEAF, 0, table_id, 0);
    const uint8_t *page = forge_page(forge, *leaf);
    for (uint32_t i = 0; i < leaf_count(page); i++) {
        struct leaf_record record;
        leaf_at(page, i, &record);
        if (record.kind == LEAF_REF && nth-- == 0)
            return forge->bytes + (record.payload - forge->bytes);
    }
    CHECK(!"a value outside its leaf");
    return NULL;
}

static void lengthen(struct forge *forge, uint64_t len)
{
    uint32_t leaf;
    put_u64(value_of(forge, TABLE_SPREAD, 0, &leaf), len);
    forge_seal(forge, leaf);
}

static void lengthen_by_one(struct forge *forge)
{
    uint32_t leaf;
    lengthen(forge, get_u64(value_of(forge, TABLE_SPREAD, 0, &leaf)) + 1);
}

static void lengthen_to_all_pages(struct forge *forge)
{
    lengthen(forge, VALUE_BYTES_MAX);
}

static void lengthen_beyond(struct forge *forge)
{
    lengthen(forge, UINT64_MAX);
}

static void set_value_word(struct forge *forge, uint32_t table_id, uint32_t off,
                           uint32_t word)
{
    uint32_t leaf;
    put_u32(value_of(forge, table_id, 0, &leaf) + off, word);
    forge_seal(forge, leaf);
}

static void unpack_much(struct forge *forge)
{
    set_value_word(forge, TABLE_BLOCKS, 56, VALUE_BLOCK_BYTES_MAX);
}

static void unpack_beyond(struct forge *forge)
{
    set_value_word(forge, TABLE_BLOCKS, 56, UINT32_MAX);
}

static void store_beyond(struct forge *forge)
{
    set_value_word(forge, TABLE_BLOCKS, 52, UINT32_MAX);
}

static void lie_inside_beyond(struct forge *forge)
{
    set_value_word(forge, TABLE_BLOCKS, 60, UINT32_MAX);
}

static void begin_behind_the_data(struct forge *forge)
{
    set_value_word(forge, TABLE_PACKED, 48, PAGE_BYTES - 1);
}

static void hash_otherwise(struct forge *forge)
{
    set_value_word(forge, TABLE_SPREAD, 8, 1);
}

static void set_spread_inside(struct forge *forge)
{
    set_value_word(forge, TABLE_SPREAD, 60, FIRST_FREE_PAGE_NO);
}

/* Where the first part of a spread value is. */
static void move_part(struct forge *forge, uint32_t pgno)
{
    uint32_t index = forge_find(forge, PAGE_VALUE_INDEX, 0, TABLE_SPREAD, 0);
    put_u32(forge_page(forge, index) + VALUE_INDEX_HEADER_BYTES + 8, pgno);
    forge_seal(forge, index);
}

static void begin_elsewhere(struct forge *forge)
{
    move_part(forge, FIRST_FREE_PAGE_NO);
}

static void begin_outside(struct forge *forge)
{
    move_part(forge, FILE_PAGES_MAX - 1);
}

static void begin_nowhere(struct forge *forge)
{
    move_part(forge, UINT32_MAX);
}

static void repeat_part(struct forge *forge)
{
    uint32_t index = forge_find(forge, PAGE_VALUE_INDEX, 0, TABLE_SPREAD, 0);
    uint8_t *parts = forge_page(forge, index) + VALUE_INDEX_HEADER_BYTES;
    memcpy(parts + VALUE_INDEX_ENTRY_BYTES, parts, VALUE_INDEX_ENTRY_BYTES);
    forge_seal(forge, index);
}

static void share_a_value(struct forge *forge)
{
    uint32_t leaf;
    uint8_t *from = value_of(forge, TABLE_SPREAD, 0, &leaf);
    memcpy(value_of(forge, TABLE_PACKED, 0, &leaf), from, VALUE_REF_BYTES);
    forge_seal(forge, leaf);
}

static void overlap_in_a_page(struct forge *forge)
{
    uint32_t leaf;
    uint8_t *from = value_of(forge, TABLE_PACKED, 0, &leaf);
    memcpy(value_of(forge, TABLE_PACKED, 1, &leaf), from, VALUE_REF_BYTES);
    forge_seal(forge, leaf);
}

static void lead_to_a_leaf(struct forge *forge)
{
    uint32_t leaf;
    uint8_t *value = value_of(forge, TABLE_PACKED, 0, &leaf);
    uint32_t other = forge_find(forge, PAGE_LEAF, 0, TABLE_LONG, 0);
    memcpy(value + 16, forge_pointer(forge, other), PAGE_REF_BYTES);
    value[16 + 31] = PAGE_VALUES;
    forge_seal(forge, leaf);
}

/* An index page that is its own successor, and a value so long that it is passed again
 * and again. */
static void go_round(struct forge *forge, uint64_t len)
{
    uint32_t leaf;
    uint32_t index = forge_find(forge, PAGE_VALUE_INDEX, 0, TABLE_SPREAD, 0);
    uint8_t *page = forge_page(forge, index);
    uint8_t *parts = page + VALUE_INDEX_HEADER_BYTES;
    for (uint32_t i = 1; i < VALUE_INDEX_FANOUT; i++)
        memcpy(parts + i * VALUE_INDEX_ENTRY_BYTES, parts, VALUE_INDEX_ENTRY_BYTES);
    put_u64(page + HEADER_BIRTH_OFF, FORGETFUL_GEN);
    put_u32(page + INDEX_COUNT_OFF, VALUE_INDEX_FANOUT);
    put_u32(page + 12, value_index_used(VALUE_INDEX_FANOUT));
    forge_seal(forge, index);
    memcpy(page + NEXT_PAGE_OFF, forge_pointer(forge, index), PAGE_REF_BYTES);
    CHECK(get_u64(page + NEXT_PAGE_OFF) == forge_hash(page));
    put_u64(value_of(forge, TABLE_SPREAD, 0, &leaf), len);
    forge_seal(forge, leaf);
}

static void go_round_twice(struct forge *forge)
{
    go_round(forge, UINT64_C(2) * VALUE_INDEX_FANOUT * VALUE_SPREAD_BYTES);
}

static void go_round_for_long(struct forge *forge)
{
    go_round(forge, VALUE_BYTES_MAX);
}

TEST(lies__about_values_are_told)
{
    static const struct lie lies[] = {
        {"a value longer by one", lengthen_by_one, PAGE_OR_VALUE},
        {"a value of a gigabyte", lengthen_to_all_pages,
         ISSUE(VALUE) | ISSUE(SPACE) | ISSUE(SHARED) | ISSUE(PAGE)},
        {"a value without end", lengthen_beyond, PAGE_OR_VALUE},
        {"a block of a page", unpack_much, PAGE_OR_VALUE},
        {"a block without end", unpack_beyond, PAGE_OR_VALUE},
        {"a block stored outside", store_beyond, PAGE_OR_VALUE},
        {"a value outside its block", lie_inside_beyond, PAGE_OR_VALUE},
        {"a value behind its page", begin_behind_the_data, PAGE_OR_VALUE},
        {"a value of another hash", hash_otherwise, ISSUE(VALUE)},
        {"a spread value in a block", set_spread_inside, PAGE_OR_VALUE},
        {"a part in the log", begin_elsewhere,
         ISSUE(SHARED) | ISSUE(PAGE) | ISSUE(SPACE)},
        {"a part outside the file", begin_outside, ISSUE(PAGE)},
        {"a part that cannot be", begin_nowhere, PAGE_OR_VALUE},
        {"a part twice", repeat_part, ISSUE(SHARED)},
        {"one value, two rows", share_a_value, ISSUE(SHARED) | ISSUE(VALUE)},
        {"bytes of two values", overlap_in_a_page, ISSUE(USAGE)},
        {"a value in a leaf", lead_to_a_leaf, ISSUE(PAGE) | ISSUE(SHARED)},
        {"an index in a circle", go_round_twice,
         ISSUE(VALUE) | ISSUE(SHARED) | ISSUE(PAGE)},
        {"an index in a long circle", go_round_for_long,
         ISSUE(VALUE) | ISSUE(SHARED) | ISSUE(PAGE) | ISSUE(SPACE)},
    };
    TELL_ALL(lies);
}
