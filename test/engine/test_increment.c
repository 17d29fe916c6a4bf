/* Increments: what they must not miss, and what they are refused for. */
#include "engine/session.h"
#include "page/parcel.h"
#include "test/engine/rowsum.h"
#include "test/engine/snaplab.h"
#include "test/unit/unit.h"

#include <errno.h>

enum { RUN_BYTES = WRITE_SET_BYTES_MAX + (PAGE_IS_SMALL ? 64 << 10 : 4 << 20) };

struct scene {
    struct snaplab lab;
    scn_db *db;
    scn_db *base;
    scn_snapshot_info last; /* what the base is */
    bool is_cured;
    bool has_interrupted;
};

static void scene_open(struct scene *scene, uint64_t seed)
{
    *scene = (struct scene){.db = NULL};
    snaplab_create(&scene->lab, seed);
    CHECK_OK(snaplab_open(&scene->lab, "store", &scene->db));
}

static void scene_close(struct scene *scene)
{
    if (scene->base)
        CHECK_OK(scn_close(scene->base));
    CHECK_OK(scn_close(scene->db));
    snaplab_destroy(&scene->lab);
}

static void take_base(struct scene *scene)
{
    CHECK_OK(snaplab_take(&scene->lab, scene->db, "base", false, NULL, &scene->last));
    CHECK_OK(snaplab_open(&scene->lab, "base", &scene->base));
}

static void take_increment(struct scene *scene, const char *path, scn_snapshot_info *info)
{
    CHECK_OK(snaplab_take(&scene->lab, scene->db, path, true, &scene->last, info));
}

/* The base becomes what the store is. */
static void check_increment(struct scene *scene)
{
    scn_snapshot_info info;
    scn_snapshot_info applied;
    uint8_t digest[16];
    take_increment(scene, "inc", &info);
    CHECK_OK(snaplab_apply(&scene->lab, scene->base, "inc", &applied));
    CHECK_OK(rowsum_digest(scene->db, digest));
    snaplab_check(scene->base, digest);
    CHECK(memcmp(digest, applied.digest, sizeof digest) == 0);
    scene->last = info;
}

static scn_slice key_of(char buf[16], uint32_t number)
{
    return (scn_slice){buf, (size_t)snprintf(buf, 16, "key%06u", number)};
}

static void put_in(scn_txn *txn, const char *name, uint32_t number, size_t len, int fill)
{
    static uint8_t value[PAGE_BYTES];
    char buf[16];
    scn_table_id id;
    memset(value, fill, len);
    CHECK_OK(scn_table(txn, name, SCN_CREATE, &id));
    CHECK_OK(scn_put(txn, id, key_of(buf, number), (scn_slice){value, len}, 0));
}

static void put(scn_db *db, const char *name, uint32_t number, size_t len, int fill)
{
    scn_txn *txn;
    CHECK_OK(scn_begin(db, SCN_WRITE, &txn));
    put_in(txn, name, number, len, fill);
    CHECK_OK(scn_commit(txn));
}

static void del(scn_db *db, const char *name, uint32_t number)
{
    char buf[16];
    CHECK_OK(scn_del1(db, name, key_of(buf, number)));
}

/* ---- what they must not miss ---- */

/* The run's pages are as old as the base, and it comes into the store later. */
TEST(increment__has_a_run_that_was_built_before_its_base)
{
    struct scene scene;
    scn_txn *txn;
    scene_open(&scene, 1);
    put(scene.db, "a", 0, 10, 1);
    CHECK_OK(scn_checkpoint(scene.db));
    CHECK_OK(scn_begin(scene.db, SCN_WRITE, &txn));
    for (uint32_t i = 0; i < RUN_BYTES / 2000; i++)
        put_in(txn, "a", i, 2000, (int)i);
    take_base(&scene);
    CHECK_OK(scn_commit(txn));
    check_increment(&scene); /* as a run */
    CHECK_OK(scn_checkpoint(scene.db));
    check_increment(&scene); /* merged */
    scene_close(&scene);
}

TEST(increment__has_a_run_that_was_merged_after_its_base)
{
    struct scene scene;
    scn_txn *txn;
    scene_open(&scene, 2);
    put(scene.db, "a", 0, 10, 1);
    CHECK_OK(scn_checkpoint(scene.db));
    CHECK_OK(scn_begin(scene.db, SCN_WRITE, &txn));
    for (uint32_t i = 0; i < RUN_BYTES / 2000; i++)
        put_in(txn, "a", i, 2000, (int)i);
    take_base(&scene);
    CHECK_OK(scn_commit(txn));
    CHECK_OK(scn_checkpoint(scene.db));
    check_increment(&scene);
    scene_close(&scene);
}

/* The base has commits that no tree of the source ever had. */
TEST(increment__takes_back_what_the_base_had_in_its_log_alone)
{
    struct scene scene;
    scene_open(&scene, 3);
    for (uint32_t i = 0; i < 100; i++)
        put(scene.db, "a", i, 100, 1);
    CHECK_OK(scn_put1(scene.db, "empty", (scn_slice){"x", 1}, (scn_slice){"", 0}));
    CHECK_OK(scn_del1(scene.db, "empty", (scn_slice){"x", 1}));
    CHECK_OK(scn_checkpoint(scene.db));
    put(scene.db, "a", 50, 100, 2);      /* another value */
    put(scene.db, "a", 1000, 100, 2);    /* a row behind all others */
    put(scene.db, "empty", 7, 100, 2);   /* a row in a table without any */
    del(scene.db, "a", 10);
    take_base(&scene);
    put(scene.db, "a", 50, 100, 1);
    del(scene.db, "a", 1000);
    del(scene.db, "empty", 7);
    put(scene.db, "a", 10, 100, 1);
    CHECK_OK(scn_checkpoint(scene.db));
    check_increment(&scene);
    scene_close(&scene);
}

TEST(increment__of_a_store_that_has_not_changed_is_small)
{
    struct scene scene;
    scn_snapshot_info info;
    scene_open(&scene, 4);
    for (uint32_t i = 0; i < 200; i++)
        put(scene.db, "a", i, 500, 1);
    CHECK_OK(scn_checkpoint(scene.db));
    take_base(&scene);
    take_increment(&scene, "inc", &info);
    CHECK_EQ(info.rows, 0);
    CHECK(info.bytes < 1000);
    check_increment(&scene);
    scene_close(&scene);
}

TEST(increment__does_not_read_values_that_the_base_has)
{
    struct scene scene;
    scn_snapshot_info info;
    scene_open(&scene, 5);
    for (uint32_t i = 0; i < 40; i++)
        put(scene.db, "a", i, PAGE_BYTES / 2, (int)i);
    CHECK_OK(scn_checkpoint(scene.db));
    take_base(&scene);
    put(scene.db, "a", 20, 100, 1);
    CHECK_OK(scn_checkpoint(scene.db));
    take_increment(&scene, "inc", &info);
    CHECK(info.rows > 1);
    CHECK(info.bytes < PAGE_BYTES);
    check_increment(&scene);
    scene_close(&scene);
}

/* ---- other pasts ---- */

/* A copy of the file went another way, through generations and LSNs of the same
 * numbers. */
TEST(increment__is_refused_where_the_base_is_of_another_past)
{
    struct scene scene;
    scn_db *other;
    scn_snapshot_info info;
    scene_open(&scene, 6);
    put(scene.db, "a", 1, 100, 1);
    CHECK_OK(scn_checkpoint(scene.db));
    CHECK_OK(scn_close(scene.db));
    snaplab_copy(&scene.lab, "store", "other");
    CHECK_OK(snaplab_open(&scene.lab, "store", &scene.db));
    CHECK_OK(snaplab_open(&scene.lab, "other", &other));
    put(scene.db, "a", 2, 100, 1);
    put(other, "a", 2, 100, 2);
    CHECK_OK(scn_checkpoint(scene.db));
    CHECK_OK(scn_checkpoint(other));
    take_base(&scene);
    CHECK_EQ(snaplab_take(&scene.lab, other, "inc", false, &scene.last, &info),
             SCN_NOTFOUND);
    CHECK_OK(scn_close(other));
    check_increment(&scene);
    scene_close(&scene);
}

static void crash_and_open(struct scene *scene)
{
    struct sim_choice none = {.keep = SIM_KEEP_NONE};
    struct sim_disk *after = sim_crash(scene->lab.disk, &none);
    sim_process_kill(scene->lab.sys);
    (void)scn_close(scene->db);
    (void)scn_close(scene->base);
    snaplab_destroy(&scene->lab);
    scene->lab = (struct snaplab){.disk = after, .sys = sim_process_create(after)};
    CHECK_OK(snaplab_open(&scene->lab, "store", &scene->db));
    CHECK_OK(snaplab_open(&scene->lab, "base", &scene->base));
}

TEST(increment__can_rely_on_a_base_that_saw_lazy_commits)
{
    struct scene scene;
    scn_txn *txn;
    scene_open(&scene, 7);
    put(scene.db, "a", 1, 100, 1);
    CHECK_OK(scn_begin(scene.db, SCN_WRITE, &txn));
    put_in(txn, "a", 2, 100, 1);
    CHECK_OK(scn_set_durability(txn, SCN_SYNC_LAZY));
    CHECK_OK(scn_commit(txn));
    take_base(&scene);
    crash_and_open(&scene);
    uint8_t digest[16];
    CHECK_OK(rowsum_digest(scene.db, digest));
    CHECK(memcmp(digest, scene.last.digest, sizeof digest) == 0);
    check_increment(&scene);
    scene_close(&scene);
}

/* A sync fails while the snapshot is written, and the file is cured. */
static int lose_and_cure(void *user, uint64_t done, uint64_t expected)
{
    struct scene *scene = user;
    struct sim_fault fault = {
        .kind = SIM_FAIL, .call = SIM_DSYNC, .nth = 1, .error = EIO};
    (void)done;
    (void)expected;
    if (scene->is_cured)
        return 0;
    scene->is_cured = true;
    sim_fault_set(scene->lab.sys, &fault);
    CHECK_EQ(scn_put1(scene->db, "a", (scn_slice){"x", 1}, (scn_slice){"", 0}),
             SCN_UNKNOWN);
    sim_fault_clear(scene->lab.sys);
    CHECK_OK(session_cure(scene->db->store));
    return 0;
}

/* The commit that the snapshot saw is in no file any more, so nothing can be based on
 * it. */
TEST(increment__is_not_based_on_what_a_cure_has_cut)
{
    struct scene scene;
    scn_txn *txn;
    scn_snapshot_info info = {.struct_size = sizeof info};
    scn_snapshot_options options = {
        .struct_size = sizeof options,
        .hooks = {.progress = lose_and_cure, .user = &scene}};
    scene_open(&scene, 17);
    put(scene.db, "a", 1, 100, 1);
    CHECK_OK(scn_begin(scene.db, SCN_WRITE, &txn));
    put_in(txn, "a", 2, 100, 1);
    CHECK_OK(scn_set_durability(txn, SCN_SYNC_LAZY));
    CHECK_OK(scn_commit(txn));
    sim_put_file(scene.lab.disk, "base", "", 0);
    int fd = sim_fd(scene.lab.disk, "base", false);
    CHECK_OK(scn_snapshot_to(scene.db, fd, &options, &info));
    CHECK(scene.is_cured);
    CHECK_EQ(info.rows, 2);
    CHECK_EQ(info.is_noted, 0);
    CHECK_EQ(scn_close(scene.db), SCN_UNKNOWN); /* of the lazy commit */
    snaplab_destroy(&scene.lab);
}

/* The generation that the base stands on is lost; its commits are not. */
TEST(increment__is_right_after_a_fall_back_to_the_older_generation)
{
    struct scene scene;
    uint8_t zeros[SUPERBLOCK_BYTES] = {0};
    scene_open(&scene, 8);
    for (uint32_t i = 0; i < 100; i++)
        put(scene.db, "a", i, 100, 1);
    CHECK_OK(scn_checkpoint(scene.db));
    for (uint32_t i = 0; i < 50; i++)
        put(scene.db, "a", i, 100, 2);
    CHECK_OK(scn_tick(scene.db, 0));
    CHECK_OK(scn_checkpoint(scene.db));
    take_base(&scene);
    uint64_t gen = scene.last.gen;
    zeros[0] = 1;
    CHECK_OK(scn_close(scene.db));
    CHECK(sim_rot(scene.lab.disk, "store", (gen & 1) * PAGE_BYTES, zeros, sizeof zeros));
    CHECK_OK(snaplab_open(&scene.lab, "store", &scene.db));
    CHECK(scene.db->store->superblock.gen < gen);
    for (uint32_t i = 40; i < 60; i++)
        put(scene.db, "a", i, 100, 3);
    check_increment(&scene);
    del(scene.db, "a", 3);
    CHECK_OK(scn_checkpoint(scene.db));
    check_increment(&scene);
    scene_close(&scene);
}

/* Nothing in the slot tells which generation it was, nor does the page that others
 * read. */
static void lose_generation(struct scene *scene)
{
    static const uint8_t zeros[PUBLISH_BYTES];
    uint8_t garbage[SUPERBLOCK_BYTES] = {1};
    uint64_t gen = scene->db->store->superblock.gen;
    CHECK_OK(scn_close(scene->db));
    CHECK(sim_rot(scene->lab.disk, "store", (gen & 1) * PAGE_BYTES, garbage,
                  sizeof garbage));
    CHECK(sim_rot(scene->lab.disk, "store", PUBLISH_PAGE_NO * PAGE_BYTES, zeros,
                  sizeof zeros));
    CHECK_OK(snaplab_open(&scene->lab, "store", &scene->db));
    CHECK(scene->db->store->superblock.gen < gen);
}

/* The base stands on a generation that was made after one fall back and is lost in the
 * next. */
static void lose_the_base_of_two(struct scene *scene)
{
    scene_open(scene, 18);
    put(scene->db, "a", 1, 100, 1);
    CHECK_OK(scn_checkpoint(scene->db));
    put(scene->db, "a", 2, 100, 1);
    CHECK_OK(scn_checkpoint(scene->db));
    lose_generation(scene);
    put(scene->db, "a", 3, 100, 1);
    CHECK_OK(scn_checkpoint(scene->db));
    take_base(scene);
    lose_generation(scene);
    put(scene->db, "a", 4, 100, 1);
}

/* What is merged now is newer than the base. */
TEST(increment__is_right_where_a_slot_is_lost_twice)
{
    struct scene scene;
    lose_the_base_of_two(&scene);
    CHECK_OK(scn_checkpoint(scene.db));
    check_increment(&scene);
    scene_close(&scene);
}

TEST(increment__is_right_where_others_go_on_behind_two_lost_slots)
{
    struct scene scene;
    lose_the_base_of_two(&scene);
    struct snaplab other = {scene.lab.disk, sim_process_create(scene.lab.disk)};
    scn_db *db;
    CHECK_OK(snaplab_open(&other, "store", &db));
    CHECK_OK(scn_checkpoint(db));
    check_increment(&scene);
    CHECK_OK(scn_close(db));
    sim_process_destroy(other.sys);
    scene_close(&scene);
}

/* ---- what is refused ---- */

TEST(increment__is_refused_twice_and_out_of_order)
{
    struct scene scene;
    scn_snapshot_info first;
    scn_snapshot_info second;
    scn_snapshot_info applied;
    uint8_t digest[16];
    scene_open(&scene, 9);
    put(scene.db, "a", 1, 100, 1);
    take_base(&scene);
    put(scene.db, "a", 2, 100, 1);
    take_increment(&scene, "first", &first);
    put(scene.db, "a", 3, 100, 1);
    CHECK_OK(snaplab_take(&scene.lab, scene.db, "second", true, &first, &second));
    CHECK_EQ(snaplab_apply(&scene.lab, scene.base, "second", &applied), SCN_MISUSE);
    CHECK_OK(snaplab_apply(&scene.lab, scene.base, "first", &applied));
    CHECK_EQ(snaplab_apply(&scene.lab, scene.base, "first", &applied), SCN_EXISTS);
    CHECK_OK(snaplab_apply(&scene.lab, scene.base, "second", &applied));
    CHECK_EQ(snaplab_apply(&scene.lab, scene.base, "first", &applied), SCN_MISUSE);
    CHECK_EQ(snaplab_apply(&scene.lab, scene.db, "first", &applied), SCN_MISUSE);
    CHECK_OK(rowsum_digest(scene.db, digest));
    snaplab_check(scene.base, digest);
    scene_close(&scene);
}

/* Another thread's, played while the transaction of the first one is open. */
static void apply_second(void *ctx, struct sim_disk *disk, enum sim_call call,
                         enum sim_moment moment)
{
    struct scene *scene = ctx;
    scn_snapshot_info applied;
    (void)disk;
    if (moment != SIM_AFTER || call != SIM_READ || scene->has_interrupted ||
        scene->base->store->open_txns == NULL)
        return;
    scene->has_interrupted = true;
    CHECK_OK(snaplab_apply(&scene->lab, scene->base, "second", &applied));
}

/* Both fit the base, and only the first that is committed fits what it has become. */
TEST(increment__conflicts_with_another_one_on_the_same_base)
{
    struct scene scene;
    scn_snapshot_info first;
    scn_snapshot_info second;
    scn_snapshot_info applied;
    scene_open(&scene, 18);
    put(scene.db, "a", 1, 100, 1);
    take_base(&scene);
    put(scene.db, "a", 2, 100, 1);
    take_increment(&scene, "first", &first);
    put(scene.db, "a", 3, 100, 1);
    take_increment(&scene, "second", &second);
    sim_hook_set(scene.lab.disk, apply_second, &scene);
    CHECK_EQ(snaplab_apply(&scene.lab, scene.base, "first", &applied), SCN_CONFLICT);
    sim_hook_set(scene.lab.disk, NULL, NULL);
    CHECK(scene.has_interrupted);
    scene.last = second;
    check_increment(&scene);
    scene_close(&scene);
}

/* Nobody gets a full one who has asked for an increment. */
TEST(increment__is_refused_without_a_generation)
{
    struct scene scene;
    scn_snapshot_info info = {.struct_size = sizeof info};
    scn_snapshot_options options = {.struct_size = sizeof options, .since_id = {1}};
    scene_open(&scene, 20);
    int fd = sim_fd(scene.lab.disk, "inc", false);
    CHECK_EQ(scn_snapshot_to(scene.db, fd, &options, &info), SCN_MISUSE);
    scene_close(&scene);
}

TEST(increment__is_refused_by_the_snapshot_of_another_store)
{
    struct scene scene;
    scn_db *other;
    scn_snapshot_info info;
    scn_snapshot_info applied;
    scene_open(&scene, 10);
    put(scene.db, "a", 1, 100, 1);
    take_base(&scene);
    take_increment(&scene, "inc", &info);
    CHECK_OK(snaplab_open(&scene.lab, "elsewhere", &other));
    CHECK_OK(snaplab_take(&scene.lab, other, "foreign", false, NULL, &info));
    CHECK_OK(scn_close(other));
    CHECK_OK(snaplab_open(&scene.lab, "foreign", &other));
    CHECK_EQ(snaplab_apply(&scene.lab, other, "inc", &applied), SCN_MISUSE);
    CHECK_EQ(snaplab_apply(&scene.lab, other, "base", &applied), SCN_NOTADB);
    CHECK_OK(scn_close(other));
    scene_close(&scene);
}

/* A base that somebody has deleted a row of that the increment leaves to it. */
TEST(increment__notices_a_base_that_lacks_a_row)
{
    struct scene scene;
    scn_snapshot_info info;
    scn_snapshot_info applied;
    scene_open(&scene, 11);
    put(scene.db, "a", 1, 2000, 1);
    put(scene.db, "a", 2, 20, 1);
    CHECK_OK(scn_checkpoint(scene.db));
    take_base(&scene);
    put(scene.db, "a", 2, 20, 2);
    CHECK_OK(scn_checkpoint(scene.db));
    take_increment(&scene, "inc", &info);
    del(scene.base, "a", 1);
    CHECK_EQ(snaplab_apply(&scene.lab, scene.base, "inc", &applied), SCN_CORRUPT);
    scene_close(&scene);
}

/* Each byte, and each length: refused, and nothing of it is done. */
TEST(increment__is_refused_when_any_byte_is_wrong)
{
    struct scene scene;
    scn_snapshot_info info;
    scn_snapshot_info applied;
    uint64_t size;
    scene_open(&scene, 12);
    for (uint32_t i = 0; i < 30; i++)
        put(scene.db, "a", i, 300, 1);
    take_base(&scene);
    for (uint32_t i = 0; i < 30; i += 7)
        put(scene.db, "a", i, 20, 2);
    take_increment(&scene, "inc", &info);
    CHECK(sim_file_size(scene.lab.disk, "inc", &size));
    uint8_t *bytes = malloc(size + 1);
    CHECK(bytes != NULL);
    CHECK(sim_peek(scene.lab.disk, "inc", 0, bytes, size));
    for (uint64_t i = 0; i < size; i += 3) {
        bytes[i] ^= 0x10;
        sim_put_file(scene.lab.disk, "bad", bytes, size);
        bytes[i] ^= 0x10;
        scn_status st = snaplab_apply(&scene.lab, scene.base, "bad", &applied);
        CHECK(st == SCN_CORRUPT || (st == SCN_NOTADB && i < 8));
        sim_put_file(scene.lab.disk, "short", bytes, i);
        st = snaplab_apply(&scene.lab, scene.base, "short", &applied);
        CHECK(st == SCN_CORRUPT || (st == SCN_NOTADB && i < PARCEL_HEADER_BYTES));
    }
    bytes[size] = 0;
    sim_put_file(scene.lab.disk, "long", bytes, size + 1);
    CHECK_EQ(snaplab_apply(&scene.lab, scene.base, "long", &applied), SCN_CORRUPT);
    free(bytes);
    snaplab_check(scene.base, scene.last.digest);
    check_increment(&scene);
    scene_close(&scene);
}

TEST(snapshot__forgets_the_oldest_of_too_many)
{
    struct scene scene;
    scn_snapshot_info info;
    scn_snapshot_info first;
    scn_snapshot_info newest;
    if (!PAGE_IS_SMALL)
        return;
    scene_open(&scene, 13);
    put(scene.db, "a", 1, 10, 1);
    CHECK_OK(snaplab_take(&scene.lab, scene.db, "full", false, NULL, &first));
    for (int i = 0; i < 20; i++)
        CHECK_OK(snaplab_take(&scene.lab, scene.db, "full", false, NULL, &newest));
    CHECK_EQ(snaplab_take(&scene.lab, scene.db, "inc", false, &first, &info),
             SCN_NOTFOUND);
    CHECK_OK(snaplab_take(&scene.lab, scene.db, "inc", false, &newest, &info));
    scene_close(&scene);
}

TEST(snapshot__is_not_written_into_its_own_source)
{
    struct scene scene;
    scene_open(&scene, 16);
    put(scene.db, "a", 1, 10, 1);
    int fd = sim_fd(scene.lab.disk, "store", false);
    CHECK_EQ(scn_snapshot_to(scene.db, fd, NULL, NULL), SCN_MISUSE);
    scene_close(&scene);
}

/* ---- what fails ---- */

/* Nothing that is left by a failure is taken for a snapshot, and the source goes on. */
TEST(snapshot__that_fails_in_any_write_leaves_no_store)
{
    struct scene scene;
    scn_snapshot_info info;
    scn_db *copy;
    scene_open(&scene, 14);
    for (uint32_t i = 0; i < 60; i++)
        put(scene.db, "a", i, 300, 1);
    CHECK_OK(scn_checkpoint(scene.db));
    for (uint64_t nth = 1;; nth++) {
        struct sim_fault fault = {.kind = SIM_FAIL,
                                  .call = nth % 2 ? SIM_WRITE : SIM_FLUSH,
                                  .nth = (nth + 1) / 2,
                                  .error = ENOSPC};
        sim_fault_set(scene.lab.sys, &fault);
        scn_status st = snaplab_take(&scene.lab, scene.db, "full", false, NULL, &info);
        bool has_struck = sim_fault_hits(scene.lab.sys) > 0;
        sim_fault_clear(scene.lab.sys);
        if (!has_struck && nth % 2)
            break;
        if (st == SCN_OK)
            continue;
        CHECK(st == SCN_FULL || st == SCN_IO);
        scn_status opened = snaplab_open(&scene.lab, "full", &copy);
        CHECK(opened == SCN_NOTADB || opened == SCN_OK);
        if (opened == SCN_OK) { /* all but the last sync was done */
            uint8_t digest[16];
            CHECK_OK(rowsum_digest(scene.db, digest));
            snaplab_check(copy, digest);
            CHECK_OK(scn_close(copy));
        }
    }
    CHECK_OK(snaplab_take(&scene.lab, scene.db, "full", false, NULL, &info));
    snaplab_check(scene.db, info.digest);
    scene_close(&scene);
}

static int stop(void *user, uint64_t done, uint64_t expected)
{
    int *calls = user;
    CHECK(done <= expected);
    return ++*calls > 1;
}

TEST(snapshot__ends_when_the_program_says_so)
{
    struct scene scene;
    int calls = 0;
    scn_snapshot_options options = {.struct_size = sizeof options,
                                    .hooks = {.progress = stop, .user = &calls}};
    scene_open(&scene, 15);
    for (uint32_t i = 0; i < 60; i++)
        put(scene.db, "a", i, PAGE_BYTES - 500, (int)i);
    int fd = sim_fd(scene.lab.disk, "full", false);
    scn_status st = scn_snapshot_to(scene.db, fd, &options, NULL);
    CHECK_EQ(st, calls > 1 ? SCN_INTERRUPTED : SCN_OK);
    scene_close(&scene);
}

/* The program is asked every 256 KiB. */
TEST(increment__is_not_applied_when_the_program_says_so)
{
    struct scene scene;
    scn_snapshot_info info;
    uint8_t before[16];
    uint8_t after[16];
    int calls = 0;
    scn_snapshot_options options = {.struct_size = sizeof options,
                                    .hooks = {.progress = stop, .user = &calls}};
    scene_open(&scene, 16);
    put(scene.db, "a", 1, 100, 1);
    take_base(&scene);
    for (uint32_t i = 0; i < (1 << 20) / PAGE_BYTES; i++)
        put(scene.db, "a", i, PAGE_BYTES - 500, (int)i);
    take_increment(&scene, "inc", &info);
    CHECK_OK(rowsum_digest(scene.base, before));
    int fd = sim_fd(scene.lab.disk, "inc", false);
    CHECK_EQ(scn_snapshot_apply(scene.base, fd, &options, NULL), SCN_INTERRUPTED);
    CHECK_EQ(calls, 2);
    snaplab_check(scene.base, before);
    CHECK_OK(snaplab_apply(&scene.lab, scene.base, "inc", &info));
    CHECK_OK(rowsum_digest(scene.db, after));
    snaplab_check(scene.base, after);
    scene_close(&scene);
}

/* A push has 256 KiB at least, so that between two of them lie minutes. */
TEST(snapshot__ends_soon_when_it_is_slow)
{
    struct scene scene;
    int calls = 0;
    scn_snapshot_options options = {.struct_size = sizeof options,
                                    .rate_bytes_per_s = 1024,
                                    .hooks = {.progress = stop, .user = &calls}};
    scene_open(&scene, 19);
    for (uint32_t i = 0; i < (1 << 20) / PAGE_BYTES; i++)
        put(scene.db, "a", i, PAGE_BYTES - 500, (int)i);
    struct sys *sys = scene.lab.sys;
    uint64_t begun = sys->ops->now_ns(sys);
    int fd = sim_fd(scene.lab.disk, "full", false);
    CHECK_EQ(scn_snapshot_to(scene.db, fd, &options, NULL), SCN_INTERRUPTED);
    CHECK(sys->ops->now_ns(sys) - begun < UINT64_C(10) * 1000000000);
    scene_close(&scene);
}
