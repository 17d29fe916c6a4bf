/* Tests of reading trees.  That every key is found and every scan is right is checked by
 * test_rebuild.c after each generation; here are the ways of moving, and what goes
 * wrong. */
#include "test/engine/tree_rig.h"

#include "page/inner.h"

#include <errno.h>

enum { POOL_BYTES = 512 * PAGE_BYTES, FEW_FRAMES = 4 * PAGE_BYTES };

static bool is_read_failing;

static int64_t read_or_fail(struct sys_file *file, uint64_t off, void *buf, uint64_t len,
                            uint32_t flags)
{
    if (is_read_failing)
        return -EIO;
    return sys_posix()->ops->read(file, off, buf, len, flags);
}

static struct tree_rig *open_filled(uint64_t pool_bytes)
{
    is_read_failing = false;
    struct tree_rig *rig = rig_open(RIG_BYTES, PAGE_BYTES / 8, 5, pool_bytes);
    rig->ops.read = read_or_fail;
    for (uint32_t rank = 0; rank < rig->key_count; rank++) {
        if (rank % 5 != 0)
            rig_put(rig, rank, 100);
    }
    CHECK_OK(rig_build(rig));
    CHECK(rig->tree.root.level > 0);
    return rig;
}

/* ---- nothing ---- */

TEST(tree__finds_nothing_in_an_empty_tree)
{
    struct tree_rig *rig = rig_open(RIG_NUMBERS, 16, 1, POOL_BYTES);
    scn_slice keys[2] = {rig_key(rig, 0), rig_key(rig, 1)};
    uint64_t hashes[2] = {1, 2};
    struct tree_record records[2];
    scn_status statuses[2];
    struct tree_cursor cursor;
    tree_cursor_init(&cursor, &rig->tree);
    pool_enter(rig->reader);
    CHECK_EQ(tree_get(rig->reader, &rig->tree, keys[0], 1, records), SCN_NOTFOUND);
    CHECK_OK(tree_get_many(rig->reader, &rig->tree, keys, hashes, 2, records, statuses));
    CHECK_EQ(statuses[0], SCN_NOTFOUND);
    CHECK_EQ(statuses[1], SCN_NOTFOUND);
    CHECK_EQ(tree_seek(rig->reader, &cursor, NULL, SCN_GE, records), SCN_END);
    CHECK_EQ(tree_seek(rig->reader, &cursor, &keys[0], SCN_LE, records), SCN_END);
    CHECK_EQ(tree_next(rig->reader, &cursor, records), SCN_END);
    CHECK_EQ(tree_prev(rig->reader, &cursor, records), SCN_END);
    CHECK_EQ(tree_current(rig->reader, &cursor, records), SCN_END);
    pool_leave(rig->reader);
    rig_close(rig);
}

/* ---- moving ---- */

static uint32_t neighbour(const struct tree_rig *rig, uint32_t rank, bool is_forward)
{
    do
        rank += is_forward ? 1 : -1u;
    while (rank < rig->key_count && rig->model[rank].version == 0);
    return rank;
}

static void check_key(const struct tree_rig *rig, uint32_t rank,
                      const struct tree_record *record)
{
    scn_slice key = rig_key(rig, rank);
    CHECK_EQ(key.size, record->record.key_len);
    CHECK(memcmp(key.data, record->record.key, key.size) == 0);
}

TEST(tree_cursor__goes_back_and_forth)
{
    struct tree_rig *rig = open_filled(FEW_FRAMES);
    uint64_t random = unit_seed();
    struct tree_cursor cursor;
    struct tree_record record;
    uint32_t rank = 1;
    tree_cursor_init(&cursor, &rig->tree);
    bool is_forward = true;
    pool_enter(rig->reader);
    CHECK_OK(tree_seek(rig->reader, &cursor, NULL, SCN_GE, &record));
    pool_leave(rig->reader);
    for (uint32_t i = 0; i < 20000; i++) {
        if (rig_random(&random, 1000) == 0)
            is_forward = !is_forward;
        uint32_t expected = neighbour(rig, rank, is_forward);
        pool_enter(rig->reader);
        scn_status st = is_forward ? tree_next(rig->reader, &cursor, &record)
                                   : tree_prev(rig->reader, &cursor, &record);
        if (expected >= rig->key_count) {
            CHECK_EQ(st, SCN_END);
            CHECK(!cursor.is_positioned);
            scn_slice key = rig_key(rig, rank);
            CHECK_OK(tree_seek(rig->reader, &cursor, &key, SCN_GE, &record));
            is_forward = !is_forward;
        } else {
            CHECK_OK(st);
            rank = expected;
        }
        check_key(rig, rank, &record);
        pool_leave(rig->reader);
    }
    rig_close(rig);
}

TEST(tree_cursor__stays_where_it_is_when_a_step_fails)
{
    struct tree_rig *rig = open_filled(FEW_FRAMES);
    uint64_t random = 3;
    struct tree_cursor cursor;
    struct tree_record record;
    tree_cursor_init(&cursor, &rig->tree);
    uint32_t failures = 0;
    uint32_t rank = neighbour(rig, UINT32_MAX, true);
    pool_enter(rig->reader);
    scn_status st = tree_seek(rig->reader, &cursor, NULL, SCN_GE, &record);
    pool_leave(rig->reader);
    while (st != SCN_END) {
        if (st == SCN_OK) {
            rank = neighbour(rig, rank, true);
        } else {
            CHECK_EQ(st, SCN_IO);
            CHECK(cursor.is_positioned);
            failures++;
        }
        is_read_failing = rig_random(&random, 2) == 0;
        pool_enter(rig->reader);
        st = tree_next(rig->reader, &cursor, &record);
        if (st == SCN_OK)
            check_key(rig, rank, &record);
        pool_leave(rig->reader);
    }
    CHECK(rank >= rig->key_count);
    CHECK(failures > 5);
    rig_close(rig);
}

/* ---- batches ---- */

TEST(tree_get_many__answers_for_each_key_by_itself)
{
    struct tree_rig *rig = open_filled(FEW_FRAMES);
    scn_slice keys[TREE_BATCH_MAX];
    uint64_t hashes[TREE_BATCH_MAX];
    struct tree_record records[TREE_BATCH_MAX];
    scn_status statuses[TREE_BATCH_MAX];
    for (uint32_t i = 0; i < TREE_BATCH_MAX; i++) {
        keys[i] = rig_key(rig, rig->key_count / TREE_BATCH_MAX * i);
        hashes[i] = leaf_hash(keys[i].data, keys[i].size);
    }
    /* One leaf and the root are in the pool, the others cannot be read. */
    pool_enter(rig->reader);
    scn_status st = tree_get(rig->reader, &rig->tree, keys[3], hashes[3], records);
    CHECK(st == SCN_OK || st == SCN_NOTFOUND);
    is_read_failing = true;
    CHECK_EQ(tree_get_many(rig->reader, &rig->tree, keys, hashes, TREE_BATCH_MAX, records,
                           statuses), SCN_IO);
    pool_leave(rig->reader);
    CHECK_EQ(statuses[3], st);
    for (uint32_t i = 0; i < TREE_BATCH_MAX; i++) {
        bool is_there = rig->model[rig->key_count / TREE_BATCH_MAX * i].version != 0;
        CHECK(statuses[i] == SCN_IO || statuses[i] == (is_there ? SCN_OK : SCN_NOTFOUND));
    }
    rig_close(rig);
}

/* ---- what goes wrong ---- */

static scn_status count_page(void *ctx, const struct page_ref *ref, const uint8_t *page)
{
    (void)ref;
    (void)page;
    uint32_t *left = ctx;
    return --*left == 0 ? SCN_INTERRUPTED : SCN_OK;
}

static void check_corrupt(struct tree_rig *rig, const struct tree *tree)
{
    scn_slice key = rig_key(rig, 1);
    uint64_t hash = leaf_hash(key.data, key.size);
    struct tree_record record;
    struct tree_cursor cursor;
    scn_status status;
    uint32_t left = UINT32_MAX;
    tree_cursor_init(&cursor, tree);
    pool_enter(rig->reader);
    CHECK_EQ(tree_get(rig->reader, tree, key, hash, &record), SCN_CORRUPT);
    scn_status st = tree_get_many(rig->reader, tree, &key, &hash, 1, &record, &status);
    CHECK_EQ(st, SCN_CORRUPT);
    CHECK_EQ(status, SCN_CORRUPT);
    CHECK_EQ(tree_seek(rig->reader, &cursor, &key, SCN_GE, &record), SCN_CORRUPT);
    CHECK(!cursor.is_positioned);
    pool_leave(rig->reader);
    CHECK_EQ(tree_walk(rig->reader, tree, count_page, &left), SCN_CORRUPT);
}

TEST(tree__refuses_pages_of_another_table)
{
    struct tree_rig *rig = open_filled(POOL_BYTES);
    struct tree tree = {.root = rig->tree.root, .table_id = RIG_TABLE + 1};
    check_corrupt(rig, &tree);
    rig_close(rig);
}

TEST(tree__refuses_a_pointer_with_a_wrong_level)
{
    struct tree_rig *rig = open_filled(POOL_BYTES);
    struct tree tree = rig->tree;
    tree.root.level = 0;
    tree.root.type = PAGE_LEAF;
    check_corrupt(rig, &tree);
    tree = rig->tree;
    tree.root.level = TREE_LEVEL_MAX + 8;
    check_corrupt(rig, &tree);
    rig_close(rig);
}

/* An honest root of one table above a leaf of another. */
TEST(tree__refuses_a_leaf_of_another_table)
{
    struct tree_rig *rig = open_filled(POOL_BYTES);
    static uint8_t image[PAGE_BYTES];
    struct inner_builder *builder;
    struct page_ref child;
    struct tree tree = {.table_id = RIG_TABLE + 1};
    uint32_t pgno;
    const uint8_t *page;
    pool_enter(rig->reader);
    struct page_ref above = rig->tree.root;
    while (above.level > 1) {
        CHECK_OK(pool_get(rig->reader, &above, &page));
        above = page_ref_decode(inner_ref(page, 0));
    }
    CHECK_OK(pool_get(rig->reader, &above, &page));
    child = page_ref_decode(inner_ref(page, 0));
    pool_leave(rig->reader);
    CHECK_OK(inner_builder_create(&builder));
    CHECK(inner_builder_add(builder, "", 0, &child));
    CHECK_OK(file_grow(&rig->file, 1, &pgno));
    inner_build(builder, image, 1, tree.table_id, pgno, 1, &tree.root);
    CHECK_OK(file_write_pages(&rig->file, pgno, image, 1));
    check_corrupt(rig, &tree);
    inner_builder_destroy(builder);
    rig_close(rig);
}

TEST(tree_walk__visits_parents_first_and_ends_when_told)
{
    struct tree_rig *rig = open_filled(FEW_FRAMES);
    uint32_t left = 1;
    CHECK_EQ(tree_walk(rig->reader, &rig->tree, count_page, &left), SCN_INTERRUPTED);
    CHECK(!pool_is_entered(rig->reader));
    left = (uint32_t)rig->stat.pages;
    CHECK_EQ(tree_walk(rig->reader, &rig->tree, count_page, &left), SCN_INTERRUPTED);
    left = (uint32_t)rig->stat.pages + 1;
    CHECK_OK(tree_walk(rig->reader, &rig->tree, count_page, &left));
    rig_close(rig);
}
