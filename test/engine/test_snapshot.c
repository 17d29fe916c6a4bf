/* Snapshots: full ones are stores with the same rows, and a base with its increments is
 * what a full one would be. */
#include "engine/catalog.h"
#include "engine/txn.h"
#include "page/inner.h"
#include "test/engine/forge.h"
#include "test/engine/rowsum.h"
#include "test/engine/snaplab.h"
#include "test/engine/story.h"

enum { ROUNDS = PAGE_IS_SMALL ? 60 : 16 };

/* ---- full ---- */

static void put_rows(scn_db *db, const char *name, uint32_t from, uint32_t to,
                     size_t value_len, uint8_t fill)
{
    scn_txn *txn;
    scn_table_id table;
    uint8_t *value = malloc(value_len + 1);
    CHECK(value != NULL);
    CHECK_OK(scn_begin(db, SCN_WRITE, &txn));
    CHECK_OK(scn_table(txn, name, SCN_CREATE, &table));
    for (uint32_t i = from; i < to; i++) {
        char key[16];
        memset(value, fill + (int)i, value_len);
        snprintf(key, sizeof key, "key%06u", i);
        CHECK_OK(scn_put(txn, table, (scn_slice){key, 9}, (scn_slice){value, value_len},
                         0));
    }
    CHECK_OK(scn_commit(txn));
    free(value);
}

static void check_full(struct snaplab *lab, scn_db *db, bool is_stream)
{
    scn_db *copy;
    scn_snapshot_info info;
    scn_snapshot_info origin = {.struct_size = sizeof origin};
    CHECK_OK(snaplab_take(lab, db, "full", is_stream, NULL, &info));
    CHECK_EQ(info.kind, SCN_SNAPSHOT_FULL);
    snaplab_check(db, info.digest);
    CHECK_OK(snaplab_open(lab, "full", &copy));
    snaplab_check(copy, info.digest);
    CHECK_OK(scn_snapshot_origin(copy, &origin));
    CHECK(memcmp(origin.digest, info.digest, 16) == 0);
    CHECK(memcmp(origin.id, info.id, 16) == 0);
    CHECK_EQ(origin.gen, info.gen);
    CHECK_OK(scn_checkpoint(copy));
    snaplab_check(copy, info.digest);
    put_rows(copy, "more", 0, 100, 50, 7); /* it is a store like any other */
    CHECK_OK(scn_checkpoint(copy));
    CHECK_OK(scn_close(copy));
}

TEST(snapshot__of_an_empty_store_is_an_empty_store)
{
    struct snaplab lab;
    scn_db *db;
    snaplab_create(&lab, 1);
    CHECK_OK(snaplab_open(&lab, "store", &db));
    check_full(&lab, db, false);
    check_full(&lab, db, true);
    CHECK_OK(scn_close(db));
    snaplab_destroy(&lab);
}

TEST(snapshot__has_what_the_log_holds_and_what_the_trees_hold)
{
    struct snaplab lab;
    scn_db *db;
    snaplab_create(&lab, 2);
    CHECK_OK(snaplab_open(&lab, "store", &db));
    put_rows(db, "a", 0, 300, 20, 1);
    put_rows(db, "b", 0, 20, PAGE_BYTES / 3, 1);
    CHECK_OK(scn_checkpoint(db));
    put_rows(db, "a", 200, 400, 30, 2);
    put_rows(db, "c", 0, 2, 3 * PAGE_BYTES, 1);
    check_full(&lab, db, false);
    check_full(&lab, db, true);
    CHECK_OK(scn_close(db));
    snaplab_destroy(&lab);
}

static scn_status drop(scn_txn *txn, void *ctx)
{
    scn_table_id id;
    scn_status st = scn_table(txn, ctx, 0, &id);
    return st == SCN_OK ? scn_table_drop(txn, id) : st;
}

/* Without a row more or less in the tables that are left. */
TEST(snapshot__remembers_what_tables_there_were)
{
    struct snaplab lab;
    scn_db *db;
    scn_db *copy;
    scn_snapshot_info info;
    scn_snapshot_info origin = {.struct_size = sizeof origin};
    uint8_t digest[16];
    snaplab_create(&lab, 4);
    CHECK_OK(snaplab_open(&lab, "store", &db));
    put_rows(db, "a", 0, 10, 20, 1);
    put_rows(db, "b", 0, 10, 20, 1);
    CHECK_OK(snaplab_take(&lab, db, "full", false, NULL, &info));
    CHECK_OK(snaplab_open(&lab, "full", &copy));
    CHECK_OK(scn_update(copy, drop, "b"));
    CHECK_OK(scn_snapshot_origin(copy, &origin));
    CHECK_OK(rowsum_digest(copy, digest));
    CHECK(memcmp(origin.digest, info.digest, 16) == 0);
    CHECK(memcmp(origin.digest, digest, 16) != 0);
    CHECK_OK(scn_close(copy));
    CHECK_OK(scn_close(db));
    snaplab_destroy(&lab);
}

TEST(snapshot__to_a_stream_is_the_same_but_for_its_names)
{
    struct snaplab lab;
    scn_db *db;
    scn_snapshot_info a;
    scn_snapshot_info b;
    uint64_t size_a;
    uint64_t size_b;
    snaplab_create(&lab, 3);
    CHECK_OK(snaplab_open(&lab, "store", &db));
    put_rows(db, "a", 0, 500, 20, 1);
    CHECK_OK(snaplab_take(&lab, db, "file", false, NULL, &a));
    CHECK_OK(snaplab_take(&lab, db, "pipe", true, NULL, &b));
    CHECK(memcmp(a.digest, b.digest, 16) == 0);
    CHECK_EQ(a.pages, b.pages);
    CHECK(sim_file_size(lab.disk, "file", &size_a));
    CHECK(sim_file_size(lab.disk, "pipe", &size_b));
    CHECK_EQ(size_a, a.bytes);
    CHECK_EQ(size_b, b.bytes);
    CHECK_OK(scn_close(db));
    snaplab_destroy(&lab);
}

/* ---- models ---- */

struct scene {
    struct snaplab lab;
    struct story story;
    scn_db *db;
    scn_db *base; /* NULL: there is none yet */
    scn_snapshot_info last; /* what the base is */
    uint64_t random;
    uint32_t increments;
};

static uint64_t dice(struct scene *scene, uint64_t bound)
{
    return (unit_random(&scene->random) >> 20) % bound;
}

static void check_story(struct scene *scene, scn_db *db)
{
    uint32_t number;
    if (!story_check(&scene->story, db, &number))
        unit_fail(__FILE__, __LINE__, "%s", scene->story.wrong);
    CHECK_EQ(number, scene->story.begun);
}

static void take_full(struct scene *scene)
{
    scn_db *copy;
    scn_snapshot_info info;
    bool is_stream = dice(scene, 3) == 0;
    CHECK_OK(snaplab_take(&scene->lab, scene->db, "full", is_stream, NULL, &info));
    CHECK_EQ(info.is_noted, 1);
    CHECK_OK(snaplab_open(&scene->lab, "full", &copy));
    snaplab_check(copy, info.digest);
    check_story(scene, copy);
    CHECK_OK(scn_close(copy));
    if (scene->base && dice(scene, 3))
        return;
    if (scene->base)
        CHECK_OK(scn_close(scene->base));
    snaplab_copy(&scene->lab, "full", "base");
    CHECK_OK(snaplab_open(&scene->lab, "base", &scene->base));
    scene->last = info;
}

static void take_increment(struct scene *scene)
{
    scn_snapshot_info info;
    scn_snapshot_info applied;
    scn_snapshot_info full;
    CHECK_OK(snaplab_take(&scene->lab, scene->db, "inc", dice(scene, 2), &scene->last,
                          &info));
    CHECK_OK(snaplab_apply(&scene->lab, scene->base, "inc", &applied));
    snaplab_check(scene->base, applied.digest);
    check_story(scene, scene->base);
    CHECK_OK(snaplab_take(&scene->lab, scene->db, "full", false, NULL, &full));
    CHECK(memcmp(full.digest, applied.digest, 16) == 0);
    if (dice(scene, 3) == 0)
        CHECK_OK(scn_checkpoint(scene->base));
    scene->last = info;
    scene->increments++;
}

static void go_on(struct scene *scene)
{
    uint64_t commits = 1 + dice(scene, 12);
    for (uint64_t i = 0; i < commits; i++) {
        CHECK(story_commit(&scene->story, scene->db) >= 0);
        if (dice(scene, 10) == 0)
            CHECK_OK(scn_checkpoint(scene->db));
        if (dice(scene, 8) == 0)
            CHECK_OK(scn_tick(scene->db, 0));
        if (dice(scene, 25) == 0)
            CHECK_OK(scn_compact(scene->db, NULL));
    }
    story_ack(&scene->story);
}

static void run_model(uint64_t seed, uint32_t flags)
{
    struct scene scene = {.random = seed * 2 + 1};
    snaplab_create(&scene.lab, seed);
    story_init(&scene.story, seed, flags);
    CHECK_OK(snaplab_open(&scene.lab, "store", &scene.db));
    for (int i = 0; i < ROUNDS; i++) {
        go_on(&scene);
        if (scene.base == NULL || dice(&scene, 8) == 0)
            take_full(&scene);
        else if (dice(&scene, 3))
            take_increment(&scene);
    }
    CHECK(scene.increments > 0);
    CHECK_OK(scn_close(scene.base));
    CHECK_OK(scn_close(scene.db));
    story_destroy(&scene.story);
    snaplab_destroy(&scene.lab);
}

TEST(snapshot__and_increments_follow_a_story)
{
    run_model(unit_seed(), 0);
}

TEST(snapshot__and_increments_follow_a_story_with_tables_and_long_values)
{
    run_model(unit_seed() + 1, STORY_BIG | STORY_TABLE);
}

TEST(snapshot__and_increments_follow_a_story_with_bulk_runs)
{
    run_model(unit_seed() + 2, STORY_BULK | STORY_TABLE);
}

TEST(snapshot__and_increments_follow_a_small_story)
{
    run_model(unit_seed() + 3, STORY_TINY | STORY_TABLE);
}

/* ---- leaves that go ---- */

/* The keys of one leaf, counted from 0; false: there are not so many leaves. */
struct leaf_keys {
    uint32_t wanted;
    uint32_t seen;
    uint32_t count;
    char keys[400][16];
};

static scn_status note_leaf(void *ctx, const struct page_ref *ref, const uint8_t *page)
{
    struct leaf_keys *keys = ctx;
    if (ref->level > 0 || keys->seen++ != keys->wanted)
        return SCN_OK;
    keys->count = leaf_count(page);
    CHECK(keys->count <= 400);
    for (uint32_t i = 0; i < keys->count; i++) {
        struct leaf_record record;
        leaf_at(page, i, &record);
        CHECK_EQ(record.key_len, 9);
        memcpy(keys->keys[i], record.key, 9);
    }
    return SCN_OK;
}

static bool find_leaf(scn_db *db, const char *name, struct leaf_keys *keys)
{
    scn_txn *txn;
    scn_table_id id;
    struct catalog_root root;
    CHECK_OK(scn_begin(db, SCN_READ, &txn));
    CHECK_OK(scn_table(txn, name, 0, &id));
    pool_enter(db->store->maintenance_reader);
    CHECK_OK(catalog_read_root(db->store->maintenance_reader, &txn->view->catalog, id,
                               &root));
    pool_leave(db->store->maintenance_reader);
    struct tree tree = {root.root, id};
    CHECK_OK(tree_walk(db->store->maintenance_reader, &tree, note_leaf, keys));
    scn_abort(txn);
    return keys->wanted < keys->seen;
}

static void delete_keys(scn_db *db, const char *name, const struct leaf_keys *keys)
{
    scn_txn *txn;
    scn_table_id id;
    CHECK_OK(scn_begin(db, SCN_WRITE, &txn));
    CHECK_OK(scn_table(txn, name, 0, &id));
    for (uint32_t i = 0; i < keys->count; i++)
        CHECK_OK(scn_del(txn, id, (scn_slice){keys->keys[i], 9}));
    CHECK_OK(scn_commit(txn));
}

/* A base in a file, and the store goes on from there. */
static void take_base(struct snaplab *lab, scn_db *db, scn_db **base,
                      scn_snapshot_info *info)
{
    CHECK_OK(snaplab_take(lab, db, "base", false, NULL, info));
    CHECK_EQ(info->is_noted, 1);
    CHECK_OK(snaplab_open(lab, "base", base));
}

static void check_increment(struct snaplab *lab, scn_db *db, scn_db *base,
                            scn_snapshot_info *last)
{
    scn_snapshot_info info;
    scn_snapshot_info applied;
    uint8_t digest[16];
    CHECK_OK(snaplab_take(lab, db, "inc", true, last, &info));
    CHECK_OK(snaplab_apply(lab, base, "inc", &applied));
    CHECK_OK(rowsum_digest(db, digest));
    CHECK(memcmp(digest, applied.digest, 16) == 0);
    snaplab_check(base, digest);
    *last = info;
}

/* Exactly the rows of a leaf go, so that nothing of its neighbours changes. */
static bool lose_leaves(uint32_t first, uint32_t count)
{
    struct snaplab lab;
    scn_db *db;
    scn_db *base;
    scn_snapshot_info last;
    struct leaf_keys keys = {.wanted = first};
    snaplab_create(&lab, first + 1);
    CHECK_OK(snaplab_open(&lab, "store", &db));
    put_rows(db, "a", 0, PAGE_IS_SMALL ? 300 : 1200, 200, 1);
    CHECK_OK(scn_checkpoint(db));
    take_base(&lab, db, &base, &last);
    bool is_there = find_leaf(db, "a", &keys);
    for (uint32_t i = 0; is_there && i < count; i++) {
        keys = (struct leaf_keys){.wanted = first + i};
        if (find_leaf(db, "a", &keys))
            delete_keys(db, "a", &keys);
    }
    CHECK_OK(scn_checkpoint(db));
    check_increment(&lab, db, base, &last);
    CHECK_OK(scn_close(base));
    CHECK_OK(scn_close(db));
    snaplab_destroy(&lab);
    return is_there;
}

TEST(snapshot__increment_knows_of_leaves_that_have_gone)
{
    uint32_t leaves = 0;
    while (lose_leaves(leaves, 1))
        leaves++;
    CHECK(leaves > 3);
    for (uint32_t i = 0; i < leaves; i++)
        lose_leaves(i, 3);
}

/* The other table is there so that no page of the tree moves for the sake of a shorter
 * file. */
TEST(snapshot__increment_knows_of_a_tree_of_which_an_old_page_is_left)
{
    enum { ROWS = PAGE_IS_SMALL ? 40 : 500 };
    struct snaplab lab;
    scn_db *db;
    scn_db *base;
    scn_snapshot_info last;
    struct leaf_keys keys = {.wanted = 1};
    snaplab_create(&lab, 1);
    CHECK_OK(snaplab_open(&lab, "store", &db));
    put_rows(db, "a", 0, ROWS, 200, 1);
    for (uint32_t i = 0; i < 64; i++)
        put_rows(db, "other", i * ROWS, (i + 1) * ROWS, 200, 1);
    CHECK_OK(scn_checkpoint(db));
    take_base(&lab, db, &base, &last);
    for (; find_leaf(db, "a", &keys); keys.wanted++, keys.seen = 0)
        delete_keys(db, "a", &keys);
    CHECK(keys.wanted > 1);
    CHECK_OK(scn_checkpoint(db));
    check_increment(&lab, db, base, &last);
    CHECK_OK(scn_close(base));
    CHECK_OK(scn_close(db));
    snaplab_destroy(&lab);
}

/* ---- trees that were forged ---- */

enum { FORGED_ROWS = PAGE_IS_SMALL ? 2000 : 4000, POINTERS_OFF = 256, LINK_OFF = 16 };

/* A table with inner pages, of which the root is new since the base.  Level 2 needs small
 * pages. */
static void make_tree(struct snaplab *lab, scn_db **db, scn_snapshot_info *last)
{
    snaplab_create(lab, 1);
    CHECK_OK(snaplab_open(lab, "store", db));
    for (uint32_t i = 0; i < FORGED_ROWS; i += 50)
        put_rows(*db, "a", i, i + 50, 200, 1);
    CHECK_OK(scn_checkpoint(*db));
    CHECK_OK(snaplab_take(lab, *db, "base", false, NULL, last));
    put_rows(*db, "a", 0, 1, 200, 2);
    CHECK_OK(scn_checkpoint(*db));
    CHECK_OK(scn_close(*db));
}

static void forge_tree(struct snaplab *lab, scn_db **db, void (*lie)(struct forge *))
{
    struct forge forge;
    uint64_t size;
    CHECK(sim_file_size(lab->disk, "store", &size));
    uint8_t *bytes = malloc(size);
    CHECK(bytes != NULL);
    CHECK(sim_peek(lab->disk, "store", 0, bytes, size));
    forge_open(&forge, bytes, size);
    lie(&forge);
    sim_put_file(lab->disk, "store", bytes, size);
    forge_close(&forge);
    free(bytes);
    CHECK_OK(snaplab_open(lab, "store", db));
}

static void repeat_child(struct forge *forge, uint8_t level)
{
    uint32_t pgno = forge_find(forge, PAGE_INNER, level, TABLE_FIRST_USER, 0);
    CHECK(pgno != 0);
    uint8_t *pointers = forge_page(forge, pgno) + POINTERS_OFF;
    memcpy(pointers + PAGE_REF_BYTES, pointers, PAGE_REF_BYTES);
    forge_seal(forge, pgno);
}

static void repeat_leaf(struct forge *forge)
{
    repeat_child(forge, 1);
}

/* No leaf below the page that is there twice is looked at. */
static void repeat_old_leaves(struct forge *forge)
{
    uint32_t pgno = forge_find(forge, PAGE_INNER, 1, TABLE_FIRST_USER, 0);
    CHECK(pgno != 0);
    uint8_t *page = forge_page(forge, pgno);
    for (uint32_t i = 0; i < inner_count(page); i++)
        put_u64(page + POINTERS_OFF + i * PAGE_REF_BYTES + LINK_OFF, 1);
    forge_seal(forge, pgno);
    repeat_child(forge, 2);
}

TEST(snapshot__of_a_tree_with_a_page_twice_is_refused)
{
    struct snaplab lab;
    scn_db *db;
    scn_snapshot_info last;
    scn_snapshot_info info;
    make_tree(&lab, &db, &last);
    forge_tree(&lab, &db, repeat_leaf);
    CHECK_EQ(snaplab_take(&lab, db, "full", false, NULL, &info), SCN_CORRUPT);
    CHECK_EQ(snaplab_take(&lab, db, "full", true, NULL, &info), SCN_CORRUPT);
    CHECK_EQ(snaplab_take(&lab, db, "inc", true, &last, &info), SCN_CORRUPT);
    CHECK_OK(scn_close(db));
    snaplab_destroy(&lab);
}

TEST(snapshot__increment_of_a_tree_with_a_subtree_twice_is_refused)
{
    struct snaplab lab;
    scn_db *db;
    scn_snapshot_info last;
    scn_snapshot_info info;
    if (!PAGE_IS_SMALL)
        return;
    make_tree(&lab, &db, &last);
    forge_tree(&lab, &db, repeat_old_leaves);
    CHECK_EQ(snaplab_take(&lab, db, "inc", true, &last, &info), SCN_CORRUPT);
    CHECK_OK(scn_close(db));
    snaplab_destroy(&lab);
}
