/* Lies about structure, told under right checksums: pages with two owners, cycles, levels
 * and tables that do not fit, counts that are wrong, pages that are used and free,
 * lengths beyond all measure.  Each is refused when the file is opened, or scn_check
 * names it, or both; and as with all forged files (test/engine/attempt.h) nobody crashes,
 * hangs, or takes much memory. */
#include "test/engine/attempt.h"
#include "test/engine/forge.h"

#include "engine/catalog.h"
#include "page/inner.h"
#include "page/leaf.h"
#include "page/value.h"
#include "test/sim/disk.h"
#include "test/unit/unit.h"
#include "wal/ops.h"

enum {
    /* docs/format.md */
    INNER_POINTERS_OFF = 256,
    SPACE_ITEMS_OFF = 96,
    SPACE_ITEM_BYTES = 32,
    NEXT_OFF = 64,
    BIRTH_OFF = 16,
    INDEX_COUNT_OFF = 96,
    /* Tables, in the order in which the reference file makes them. */
    TABLE_LONG = TABLE_FIRST_USER + 1,
    TABLE_PACKED,
    TABLE_BLOCKS,
    TABLE_SPREAD
};

#define ISSUE(kind) (1u << SCN_ISSUE_##kind)
#define REFUSED (1u << 31)
#define PAGE_OR_VALUE (ISSUE(PAGE) | ISSUE(VALUE))

/* A generation of this number makes the hash of a page forget the page's body: XXH3
 * multiplies it, mixed with a secret that is the same everywhere, by the body's hash; and
 * the mixture is zero.  So a page can lead to itself. */
#define FORGETFUL_GEN UINT64_C(0xdb979083e96dd4de)

/* ---- telling one ---- */

struct lie {
    const char *name;
    void (*tell)(struct forge *forge);
    uint32_t outcomes; /* of these, one at least */
};

static void tell(const struct reference *reference, struct sim_disk *disk,
                 const struct lie *lie)
{
    struct forge forge;
    struct attempt attempt = {.reference = reference, .disk = disk, .is_forged = true};
    attempt.size = reference->now.size;
    attempt.bytes = malloc(attempt.size);
    CHECK(attempt.bytes != NULL);
    memcpy(attempt.bytes, reference->now.bytes, attempt.size);
    forge_open(&forge, attempt.bytes, attempt.size);
    lie->tell(&forge);
    attempt_run(&attempt);
    if (getenv("VERBOSE"))
        printf("%-26s kinds %03x, %llu calls; %s%s\n", lie->name, attempt.kinds,
               (unsigned long long)attempt.calls, attempt.is_refused ? "refused: " : "",
               attempt.said);
    if (attempt.wrong[0] != 0)
        unit_fail(__FILE__, __LINE__, "%s: %s", lie->name, attempt.wrong);
    uint32_t outcomes = attempt.kinds | (attempt.is_refused ? REFUSED : 0);
    if ((outcomes & lie->outcomes) == 0)
        unit_fail(__FILE__, __LINE__, "%s is believed; kinds found: %x", lie->name,
                  attempt.kinds);
    forge_close(&forge);
    free(attempt.bytes);
}

static void tell_all(const struct lie *lies, size_t count)
{
    struct reference reference;
    reference_make(&reference);
    struct sim_disk *disk = sim_disk_create(1);
    sim_put_file(disk, REFERENCE_PATH, reference.now.bytes, reference.now.size);
    for (size_t i = 0; i < count; i++)
        tell(&reference, disk, &lies[i]);
    sim_disk_destroy(disk);
    reference_destroy(&reference);
}

#define TELL_ALL(lies) tell_all(lies, sizeof(lies) / sizeof *(lies))

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
    put_u64(page + BIRTH_OFF, FORGETFUL_GEN);
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
    put_u64(forge_page(forge, leaf) + BIRTH_OFF, forge->sb[forge->newest].gen + 100);
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
    leaf_build(builder, page, TABLE_LONG, leaf, get_u64(copy + BIRTH_OFF), &ref);
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
    put_u64(forge_page(forge, leaf) + BIRTH_OFF, FORGETFUL_GEN);
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

static void begin_elsewhere(struct forge *forge)
{
    set_value_word(forge, TABLE_SPREAD, 60, FIRST_FREE_PAGE_NO);
}

static void end_outside(struct forge *forge)
{
    set_value_word(forge, TABLE_SPREAD, 60, FILE_PAGES_MAX - 3);
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
    put_u64(page + BIRTH_OFF, FORGETFUL_GEN);
    put_u32(page + INDEX_COUNT_OFF, VALUE_INDEX_FANOUT);
    put_u32(page + 12, value_index_used(VALUE_INDEX_FANOUT));
    forge_seal(forge, index);
    memcpy(page + NEXT_OFF, forge_pointer(forge, index), PAGE_REF_BYTES);
    CHECK(get_u64(page + NEXT_OFF) == forge_hash(page));
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
        {"a value in the log", begin_elsewhere,
         ISSUE(SHARED) | ISSUE(PAGE) | ISSUE(SPACE)},
        {"a value outside the file", end_outside, PAGE_OR_VALUE},
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

/* ---- space ---- */

static uint8_t *space_item(struct forge *forge, uint32_t idx, uint32_t *pgno)
{
    enum { ITEMS = (PAGE_BYTES - SPACE_ITEMS_OFF) / SPACE_ITEM_BYTES };
    *pgno = forge->sb[forge->newest].space.pgno;
    for (; idx >= ITEMS; idx -= ITEMS)
        *pgno = get_u32(forge_page(forge, *pgno) + NEXT_OFF + 24);
    return forge_page(forge, *pgno) + SPACE_ITEMS_OFF + idx * SPACE_ITEM_BYTES;
}

static void flip_used(struct forge *forge, uint32_t pgno)
{
    uint32_t space;
    uint8_t *bits = space_item(forge, 1 + pgno / 256, &space);
    bits[pgno % 256 / 8] ^= (uint8_t)(1u << pgno % 8);
    forge_seal(forge, space);
}

static void free_a_leaf(struct forge *forge)
{
    flip_used(forge, forge_find(forge, PAGE_LEAF, 0, TABLE_LONG, 0));
}

static void free_a_value(struct forge *forge)
{
    flip_used(forge, forge_find(forge, PAGE_VALUES, 0, TABLE_PACKED, 0));
}

static void free_the_log(struct forge *forge)
{
    flip_used(forge, forge->sb[forge->newest].base.extent_pgno + 1);
}

static void free_itself(struct forge *forge)
{
    flip_used(forge, forge->sb[forge->newest].space.pgno);
}

static void use_nobodys(struct forge *forge)
{
    flip_used(forge, forge->sb[forge->newest].page_count - 2);
}

static uint32_t range_count(struct forge *forge)
{
    uint32_t space;
    return get_u32(space_item(forge, 0, &space) + 12);
}

static uint8_t *range_at(struct forge *forge, uint32_t idx, uint32_t *space)
{
    uint32_t bits = (forge->sb[forge->newest].page_count + 255) / 256;
    return space_item(forge, 1 + bits + idx, space);
}

/* A range begins one page earlier, with a tree's page. */
static void free_pages_in_use(struct forge *forge)
{
    for (uint32_t i = 0; i < range_count(forge); i++) {
        uint32_t space;
        uint8_t *range = range_at(forge, i, &space);
        uint32_t before = get_u32(range) - 1;
        if (before >= forge->size / PAGE_BYTES)
            break;
        bool is_tree = forge_is_reached(forge, before) &&
                       get_u64(forge_page(forge, before) + BIRTH_OFF) <
                           get_u64(range + 16);
        uint32_t type = forge_page(forge, before)[0];
        if (!is_tree || (type != PAGE_LEAF && type != PAGE_INNER && type != PAGE_VALUES))
            continue;
        put_u32(range, before);
        put_u32(range + 4, get_u32(range + 4) + 1);
        forge_seal(forge, space);
        return;
    }
    CHECK(!"a freed range behind a page in use");
}

static void have_ranges_without_number(struct forge *forge)
{
    uint32_t space;
    put_u32(space_item(forge, 0, &space) + 12, forge->sb[forge->newest].page_count);
    forge_seal(forge, space);
}

/* All 2^28 pages, whose bits would be many pages of state. */
static void have_all_pages(struct forge *forge)
{
    uint32_t space;
    struct superblock *sb = &forge->sb[forge->newest];
    put_u32(space_item(forge, 0, &space) + 8, FILE_PAGES_MAX);
    put_u32(forge->bytes + forge->newest * PAGE_BYTES + 136, FILE_PAGES_MAX);
    sb->page_count = FILE_PAGES_MAX;
    forge_seal(forge, space);
}

/* A generation of the number that lets a page lead to itself, with all pages a file can
 * have: the state goes round for as long as it has bits to tell.  The other slot holds
 * the generation that this one was made from. */
static void go_round_in_space(struct forge *forge)
{
    uint32_t pgno;
    uint8_t *slot = forge->bytes + superblock_slot(FORGETFUL_GEN) * PAGE_BYTES;
    struct superblock sb = forge->sb[forge->newest];
    uint8_t *page = space_item(forge, 0, &pgno) - SPACE_ITEMS_OFF;
    memset(page + SPACE_ITEMS_OFF, 0xff, PAGE_BYTES - SPACE_ITEMS_OFF);
    put_u64(page + SPACE_ITEMS_OFF, FORGETFUL_GEN);
    put_u32(page + SPACE_ITEMS_OFF + 8, FILE_PAGES_MAX);
    put_u32(page + SPACE_ITEMS_OFF + 12, 1000);
    memset(page + SPACE_ITEMS_OFF + 16, 0, 16);
    put_u64(page + BIRTH_OFF, FORGETFUL_GEN);
    sb.gen = FORGETFUL_GEN;
    sb.page_count = FILE_PAGES_MAX;
    page_seal(page, PAGE_SPACE, 0, 0, pgno, FORGETFUL_GEN, PAGE_BYTES, &sb.space);
    page_ref_encode(&sb.space, page + NEXT_OFF);
    CHECK(sb.space.hash == forge_hash(page));
    superblock_encode(&sb, slot);
}

/* With large pages the reference file has none. */
static struct superblock *have_a_spare(struct forge *forge)
{
    struct superblock *sb = &forge->sb[forge->newest];
    if (sb->spare_count == 0)
        sb->spares[sb->spare_count++] =
            (struct log_spare){sb->base.extent_pgno + sb->base.extent_pages, 2};
    return sb;
}

static void spare_a_leaf(struct forge *forge)
{
    struct superblock *sb = have_a_spare(forge);
    sb->spares[0].pgno = forge_find(forge, PAGE_LEAF, 0, TABLE_LONG, 0);
    sb->spares[0].pages = 1;
    superblock_encode(sb, forge->bytes + forge->newest * PAGE_BYTES);
}

static void spare_the_same_twice(struct forge *forge)
{
    struct superblock *sb = have_a_spare(forge);
    sb->spares[sb->spare_count] = sb->spares[0];
    sb->spares[sb->spare_count++].pages--;
    superblock_encode(sb, forge->bytes + forge->newest * PAGE_BYTES);
}

static void spare_all(struct forge *forge)
{
    struct superblock *sb = have_a_spare(forge);
    sb->spares[0].pages = FILE_PAGES_MAX - sb->spares[0].pgno;
    superblock_encode(sb, forge->bytes + forge->newest * PAGE_BYTES);
}

static void need_more(struct forge *forge)
{
    struct superblock *sb = &forge->sb[forge->newest];
    sb->needed_pages = FILE_PAGES_MAX;
    superblock_encode(sb, forge->bytes + forge->newest * PAGE_BYTES);
}

TEST(lies__about_space_are_told)
{
    static const struct lie lies[] = {
        {"a leaf that is free", free_a_leaf, ISSUE(SPACE)},
        {"a value that is free", free_a_value, ISSUE(SPACE)},
        {"a log that is free", free_the_log, ISSUE(SPACE)},
        {"a state that is free", free_itself, ISSUE(SPACE)},
        {"a page of nobody", use_nobodys, ISSUE(LOST) | ISSUE(SPACE)},
        {"a page freed in use", free_pages_in_use, ISSUE(SPACE)},
        {"ranges without number", have_ranges_without_number, ISSUE(SPACE)},
        {"all pages", have_all_pages, ISSUE(SPACE)},
        {"a state in a circle", go_round_in_space, ISSUE(SPACE) | ISSUE(SLOT)},
        {"a leaf to spare", spare_a_leaf, ISSUE(SHARED)},
        {"a spare to spare", spare_the_same_twice, ISSUE(SLOT)},
        {"everything to spare", spare_all, ISSUE(SLOT) | ISSUE(PAGE)},
        {"a file too short", need_more, ISSUE(SLOT)},
    };
    TELL_ALL(lies);
}

/* ---- the log ---- */

static uint8_t *record_of(struct forge *forge, enum record_type type, bool is_packed,
                          uint32_t *idx)
{
    for (uint32_t i = 0; i < forge->record_count; i++) {
        uint8_t *at = forge->bytes + forge->records[i].off;
        bool fits = at[12] == type && (at[13] & RECORD_IS_LZ4) == is_packed;
        *idx = i;
        if (fits)
            return at;
    }
    CHECK(!"a record of this type");
    return NULL;
}

static void set_raw_len(struct forge *forge, uint32_t len)
{
    uint32_t idx;
    put_u32(record_of(forge, RECORD_COMMIT, true, &idx) + 8, len);
    forge_seal_record(forge, idx);
}

static void unpack_the_longest(struct forge *forge)
{
    set_raw_len(forge, RECORD_PAYLOAD_MAX);
}

static void unpack_a_longer(struct forge *forge)
{
    set_raw_len(forge, RECORD_PAYLOAD_MAX + 1);
}

static void unpack_without_end(struct forge *forge)
{
    set_raw_len(forge, UINT32_MAX);
}

static void unpack_nothing(struct forge *forge)
{
    set_raw_len(forge, 0);
}

static void store_without_end(struct forge *forge)
{
    uint32_t idx;
    put_u32(record_of(forge, RECORD_COMMIT, true, &idx) + 4, UINT32_MAX - 7);
    forge_seal_record(forge, idx);
}

static void lead_the_log(struct forge *forge, uint32_t pgno, uint32_t pages)
{
    uint32_t idx;
    uint8_t *at = record_of(forge, RECORD_EXTENT, false, &idx);
    put_u32(at + RECORD_HEADER_BYTES + 16, pgno);
    put_u32(at + RECORD_HEADER_BYTES + 20, pages);
    forge_seal_record(forge, idx);
}

static void lead_the_log_round(struct forge *forge)
{
    lead_the_log(forge, (uint32_t)(forge->extents[0] / PAGE_BYTES), LOG_EXTENT_PAGES);
}

static void lead_the_log_into_a_tree(struct forge *forge)
{
    lead_the_log(forge, forge_find(forge, PAGE_LEAF, 0, TABLE_LONG, 0), 1);
}

static void lead_the_log_outside(struct forge *forge)
{
    lead_the_log(forge, UINT32_MAX - 1, LOG_EXTENT_PAGES);
}

static void lead_the_log_far(struct forge *forge)
{
    lead_the_log(forge, (uint32_t)(forge->extents[1] / PAGE_BYTES), UINT32_MAX);
}

static void sync_the_future(struct forge *forge)
{
    uint32_t idx;
    uint8_t *at = record_of(forge, RECORD_MARK, false, &idx);
    put_u64(at + 32, UINT64_MAX);
    forge_seal_record(forge, idx);
}

static void jump_far(struct forge *forge)
{
    uint32_t idx;
    put_u64(record_of(forge, RECORD_EPOCH, false, &idx) + 16, RECORD_LSN_MAX - 8);
    forge_seal_record(forge, idx);
}

/* The run's record: its operation begins with the root's pointer. */
static void lead_run_elsewhere(struct forge *forge)
{
    uint32_t leaf = forge_find(forge, PAGE_LEAF, 0, TABLE_PACKED, 0);
    for (uint32_t i = 0; i < forge->place_count; i++) {
        const struct forge_place *place = &forge->places[i];
        for (uint32_t k = 0; k < forge->record_count; k++) {
            if (place->off < forge->records[k].off ||
                place->off >= forge->records[k].off + forge->records[k].bytes)
                continue;
            memcpy(forge->bytes + place->off, forge_pointer(forge, leaf), PAGE_REF_BYTES);
            forge_seal_record(forge, k);
            return;
        }
    }
    CHECK(!"a bulk run");
}

TEST(lies__of_the_log_are_told)
{
    static const struct lie lies[] = {
        {"the longest record", unpack_the_longest, REFUSED},
        {"a record too long", unpack_a_longer, REFUSED},
        {"a record without end", unpack_without_end, REFUSED},
        {"a record of nothing", unpack_nothing, REFUSED},
        {"a record stored without end", store_without_end, REFUSED},
        {"a log in a circle", lead_the_log_round, REFUSED | ISSUE(LOG)},
        {"a log in a tree", lead_the_log_into_a_tree, REFUSED | ISSUE(LOG)},
        {"a log outside", lead_the_log_outside, REFUSED | ISSUE(LOG)},
        {"a log in a large extent", lead_the_log_far, REFUSED | ISSUE(LOG)},
        {"a sync of the future", sync_the_future, REFUSED},
        {"a jump", jump_far, REFUSED},
        {"a run of another table", lead_run_elsewhere, ISSUE(TREE) | ISSUE(SHARED)},
    };
    if (PAGE_IS_SMALL) /* the others have no second extent and no run */
        TELL_ALL(lies);
}

/* ---- pointers ---- */

struct pointers {
    struct reference reference;
    struct forge forge;
};

/* Each leads where each other one leads. */
static bool lead_elsewhere(void *ctx, struct attempt *attempt, uint64_t n)
{
    struct pointers *pointers = ctx;
    struct forge *forge = &pointers->forge;
    uint32_t idx = (uint32_t)(n % forge->place_count);
    const struct forge_place *from = &forge->places[idx];
    const struct forge_place *to = &forge->places[n / forge->place_count];
    uint8_t *at = attempt->bytes + from->off;
    if (from->is_hash || to->is_hash || from->pgno == to->pgno)
        return false;
    forge_use(forge, attempt->bytes);
    memcpy(at, attempt->bytes + to->off, PAGE_REF_BYTES);
    forge_seal_around(forge, from->off);
    attempt->is_forged = true;
    attempt->is_lie = idx < forge->newest_count;
    return true;
}

TEST(lies__no_pointer_can_lead_elsewhere)
{
    enum { BUDGET_MS = 500 };
    struct pointers pointers = {0};
    reference_make(&pointers.reference);
    forge_open(&pointers.forge, pointers.reference.now.bytes,
               pointers.reference.now.size);
    uint64_t count = pointers.forge.place_count;
    struct campaign campaign = {"pointer", count * count, lead_elsewhere, &pointers};
    campaign_run(&campaign, &pointers.reference, BUDGET_MS);
    forge_close(&pointers.forge);
    reference_destroy(&pointers.reference);
}
