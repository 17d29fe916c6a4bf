/* The first moments of a file: its name, and who comes next when its maker failed. */
#include "engine/store.h"
#include "test/sim/disk.h"
#include "test/unit/unit.h"

#include <errno.h>

#define STORE "store"

static scn_status open_on(struct sys *sys, uint32_t flags, scn_db **db)
{
    scn_options options = {.struct_size = sizeof options, .flags = SCN_NOTHREAD | flags};
    options.pool_bytes = 64 * PAGE_BYTES;
    return store_open_on(sys, STORE, &options, db);
}

static void put_word(scn_db *db, const char *word)
{
    scn_slice key = {word, strlen(word)};
    CHECK_OK(scn_put1(db, "words", key, key));
}

static void check_word(scn_db *db, const char *word)
{
    scn_slice key = {word, strlen(word)};
    void *value;
    size_t size;
    CHECK_OK(scn_get_copy(db, "words", key, &value, &size));
    CHECK_EQ(size, strlen(word));
    scn_free(value);
}

/* The maker got no further than the name; the next one commits, and the power goes. */
static void check_name_survives(const struct sim_fault *fault)
{
    struct sim_choice nothing_pending = {.keep = SIM_KEEP_NONE};
    struct sim_disk *disk = sim_disk_create(unit_seed());
    struct sys *maker = sim_process_create(disk);
    scn_db *db;
    sim_fault_set(maker, fault);
    CHECK(open_on(maker, 0, &db) < 0);
    sim_process_destroy(maker);

    struct sys *second = sim_process_create(disk);
    CHECK_OK(open_on(second, SCN_NOCREATE, &db));
    put_word(db, "acknowledged");
    struct sim_disk *after = sim_crash(disk, &nothing_pending);
    CHECK_OK(scn_close(db));
    sim_process_destroy(second);
    sim_disk_destroy(disk);

    struct sys *third = sim_process_create(after);
    CHECK_OK(open_on(third, SCN_NOCREATE, &db));
    check_word(db, "acknowledged");
    CHECK_OK(scn_close(db));
    sim_process_destroy(third);
    sim_disk_destroy(after);
}

TEST(creation__who_finds_a_name_that_may_vanish_makes_it_durable)
{
    struct sim_fault killed = {.kind = SIM_KILL, .call = SIM_SYNC_DIR, .nth = 1};
    struct sim_fault failed = {.kind = SIM_FAIL, .call = SIM_SYNC_DIR, .nth = 1};
    failed.error = EIO;
    check_name_survives(&killed);
    check_name_survives(&failed);
}

/* ---- who is killed ---- */

struct cuts {
    uint64_t opened;
    uint64_t absent;
};

/* Either there is no file, or there is a store and nothing else. */
static void check_left(void *ctx, struct sim_disk *disk, const struct sim_choice *choice)
{
    struct cuts *cuts = ctx;
    uint64_t size;
    scn_db *db;
    (void)choice;
    bool is_there = sim_file_size(disk, STORE, &size);
    CHECK_EQ(sim_name_count(disk), is_there);
    cuts->opened += is_there;
    cuts->absent += !is_there;
    struct sys *next = sim_process_create(disk);
    CHECK_OK(open_on(next, is_there ? SCN_NOCREATE : 0, &db));
    put_word(db, "goes on");
    CHECK_OK(scn_close(db));
    CHECK_EQ(sim_name_count(disk), 1);
    sim_process_destroy(next);
}

/* False: it was done before it had made so many calls. */
static bool kill_at(uint64_t nth, struct cuts *kills, struct cuts *cuts)
{
    struct sim_fault killed = {.kind = SIM_KILL, .call = SIM_ANY, .nth = nth};
    struct sim_plan plan = {.exhaustive_max = 4, .change_max = 8, .random_count = 2};
    struct sim_disk *disk = sim_disk_create(unit_seed());
    struct sys *maker = sim_process_create(disk);
    scn_db *db = NULL;
    sim_fault_set(maker, &killed);
    scn_status st = open_on(maker, 0, &db);
    bool is_killed = sim_process_is_dead(maker);
    CHECK(st == SCN_OK || is_killed);
    if (st == SCN_OK)
        CHECK(scn_close(db) == SCN_OK || is_killed);
    sim_process_destroy(maker);
    sim_each_crash(disk, &plan, check_left, cuts);
    check_left(kills, disk, NULL);
    sim_disk_destroy(disk);
    return is_killed;
}

TEST(creation__who_is_killed_leaves_nothing_or_a_store)
{
    struct cuts kills = {0};
    struct cuts cuts = {0};
    uint64_t nth = 1;
    while (kill_at(nth, &kills, &cuts))
        nth++;
    CHECK(kills.opened > 0 && kills.absent > 0);
    CHECK(cuts.opened > 0 && cuts.absent > 0);
}

TEST(creation__survives_a_power_cut_as_soon_as_it_is_open)
{
    struct sim_choice nothing_pending = {.keep = SIM_KEEP_NONE};
    struct sim_disk *disk = sim_disk_create(unit_seed());
    struct sys *maker = sim_process_create(disk);
    struct cuts cuts = {0};
    scn_db *db;
    CHECK_OK(open_on(maker, 0, &db));
    struct sim_disk *after = sim_crash(disk, &nothing_pending);
    check_left(&cuts, after, &nothing_pending);
    CHECK_EQ(cuts.opened, 1);
    CHECK_OK(scn_close(db));
    sim_process_destroy(maker);
    sim_disk_destroy(after);
    sim_disk_destroy(disk);
}

/* ---- several makers ---- */

struct rival {
    struct sys *sys;
    scn_db *db; /* NULL: not yet */
    uint64_t calls_left;
};

/* Behind one of the other maker's calls he makes all of his. */
static void make_meanwhile(void *ctx, struct sim_disk *disk, enum sim_call call,
                           enum sim_moment moment)
{
    struct rival *rival = ctx;
    (void)call;
    if (moment != SIM_AFTER || rival->db || rival->calls_left-- > 0)
        return;
    sim_hook_set(disk, NULL, NULL);
    CHECK_OK(open_on(rival->sys, 0, &rival->db));
    put_word(rival->db, "mine");
}

/* False: the first one had done before. */
static bool race(uint64_t calls, bool has_unnamed)
{
    struct sim_disk *disk = sim_disk_create(unit_seed());
    struct rival rival = {.sys = sim_process_create(disk), .calls_left = calls};
    struct sys *maker = sim_process_create(disk);
    scn_db *db;
    sim_disk_set_unnamed(disk, has_unnamed);
    sim_hook_set(disk, make_meanwhile, &rival);
    scn_status st = open_on(maker, 0, &db);
    bool is_race = rival.db != NULL;
    sim_hook_set(disk, NULL, NULL);
    CHECK_OK(st);
    CHECK_EQ(sim_name_count(disk), 1);
    if (is_race) {
        check_word(db, "mine");
        put_word(db, "yours");
        check_word(rival.db, "yours");
        CHECK_OK(scn_close(rival.db));
    }
    CHECK_OK(scn_close(db));
    sim_process_destroy(maker);
    sim_process_destroy(rival.sys);
    sim_disk_destroy(disk);
    return is_race;
}

/* As far as the file is concerned: later ones would wait for each other's locks. */
static uint64_t calls_until_link(bool has_unnamed)
{
    struct sim_disk *disk = sim_disk_create(unit_seed());
    struct sys *maker = sim_process_create(disk);
    struct sim_fault killed = {.kind = SIM_KILL, .call = SIM_LINK, .nth = 1};
    scn_db *db;
    sim_disk_set_unnamed(disk, has_unnamed);
    sim_fault_set(maker, &killed);
    CHECK(open_on(maker, 0, &db) < 0);
    uint64_t calls = sim_call_count(maker, SIM_ANY);
    sim_process_destroy(maker);
    sim_disk_destroy(disk);
    return calls;
}

TEST(creation__of_two_the_first_wins_at_whatever_call_it_comes)
{
    for (int has_unnamed = 0; has_unnamed < 2; has_unnamed++) {
        uint64_t calls = calls_until_link(has_unnamed);
        CHECK(calls > 10);
        for (uint64_t i = 0; i < calls; i++)
            CHECK(race(i, has_unnamed));
    }
}

/* ---- file systems without such files ---- */

TEST(creation__goes_by_a_temporary_name_where_it_has_to)
{
    struct sim_fault killed = {.kind = SIM_KILL, .call = SIM_LINK, .nth = 1};
    for (int is_killed = 0; is_killed < 2; is_killed++) {
        struct sim_disk *disk = sim_disk_create(unit_seed());
        struct sys *maker = sim_process_create(disk);
        scn_db *db = NULL;
        sim_disk_set_unnamed(disk, false);
        if (is_killed)
            sim_fault_set(maker, &killed);
        CHECK_EQ(open_on(maker, 0, &db) == SCN_OK, !is_killed);
        CHECK_EQ(sim_name_count(disk), 1);
        if (db)
            CHECK_OK(scn_close(db));
        sim_process_destroy(maker);
        struct sys *next = sim_process_create(disk);
        CHECK_OK(open_on(next, is_killed ? 0 : SCN_NOCREATE, &db));
        put_word(db, "goes on");
        CHECK_OK(scn_close(db));
        CHECK_EQ(sim_name_count(disk), is_killed ? 2 : 1);
        sim_process_destroy(next);
        sim_disk_destroy(disk);
    }
}

/* A system that makes such a file and then refuses the name. */
TEST(creation__goes_by_a_temporary_name_where_a_link_is_refused)
{
    struct sim_fault refused = {
        .kind = SIM_FAIL, .call = SIM_LINK, .nth = 1, .error = EPERM};
    struct sim_disk *disk = sim_disk_create(unit_seed());
    struct sys *maker = sim_process_create(disk);
    scn_db *db;
    sim_fault_set(maker, &refused);
    CHECK_OK(open_on(maker, 0, &db));
    CHECK_EQ(sim_fault_hits(maker), 1);
    CHECK_EQ(sim_name_count(disk), 1);
    CHECK_OK(scn_close(db));
    sim_process_destroy(maker);
    sim_disk_destroy(disk);
}
