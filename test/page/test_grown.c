#include "page/grown.h"
#include "test/sim/disk.h"
#include "test/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define PATH "/store"
enum { PAGES = 200 };

/* One process. */
struct side {
    struct sys *sys;
    struct file file;
    struct locks locks;
    struct grown grown;
};

static void side_start(struct side *side, struct sys *sys, const char *path)
{
    side->sys = sys;
    CHECK_OK(file_open(&side->file, sys, path, false));
    CHECK_OK(locks_init(&side->locks, &side->file));
    CHECK_OK(grown_init(&side->grown, &side->locks));
}

static void side_open(struct side *side, struct sim_disk *disk)
{
    side_start(side, sim_process_create(disk), PATH);
}

static void side_end(struct side *side)
{
    grown_destroy(&side->grown);
    locks_destroy(&side->locks);
    file_close(&side->file);
}

static void side_close(struct side *side)
{
    side_end(side);
    sim_process_destroy(side->sys);
}

static struct sim_disk *disk_with_file(void)
{
    struct sim_disk *disk = sim_disk_create(1);
    sim_put_file(disk, PATH, "", 0);
    return disk;
}

struct seen {
    uint8_t pages[PAGES];
    int calls;
    int calls_left; /* then SCN_NOMEM */
};

static scn_status see(void *ctx, uint32_t pgno, uint32_t count)
{
    struct seen *seen = ctx;
    if (seen->calls++ == seen->calls_left)
        return SCN_NOMEM;
    CHECK(count > 0);
    CHECK(pgno + count <= PAGES);
    for (uint32_t i = 0; i < count; i++)
        CHECK_EQ(seen->pages[pgno + i]++, 0);
    return SCN_OK;
}

/* All sees [from, from + count) and nothing else; count 0: nothing. */
static void check_range(struct side *side, uint32_t from, uint32_t count)
{
    struct seen seen = {.calls_left = -1};
    uint32_t end = 77;
    CHECK_OK(grown_each(&side->grown, see, &seen));
    for (uint32_t i = 0; i < PAGES; i++)
        CHECK_EQ(seen.pages[i], i >= from && i < from + count);
    CHECK_OK(grown_end(&side->grown, &end));
    CHECK_EQ(end, count ? from + count : 0);
}

TEST(grown__range_is_seen_by_all_until_it_is_removed)
{
    struct sim_disk *disk = disk_with_file();
    struct side a;
    struct side b;
    side_open(&a, disk);
    side_open(&b, disk);
    check_range(&a, 0, 0);
    CHECK_OK(grown_add(&a.grown, 60, 70));
    check_range(&a, 60, 70);
    check_range(&b, 60, 70);
    grown_remove(&a.grown, 60, 10);
    grown_remove(&a.grown, 120, 10);
    check_range(&a, 70, 50);
    check_range(&b, 70, 50);
    grown_remove(&a.grown, 70, 50);
    check_range(&a, 0, 0);
    check_range(&b, 0, 0);
    side_close(&a);
    side_close(&b);
    sim_disk_destroy(disk);
}

TEST(grown__range_of_one_is_refused_to_others)
{
    struct sim_disk *disk = disk_with_file();
    struct side a;
    struct side b;
    side_open(&a, disk);
    side_open(&b, disk);
    CHECK_OK(grown_add(&a.grown, 10, 10));
    CHECK_EQ(grown_add(&b.grown, 19, 2), SCN_IO);
    check_range(&b, 10, 10);
    CHECK_OK(grown_add(&b.grown, 20, 2));
    check_range(&a, 10, 12);
    side_close(&a);
    check_range(&b, 20, 2);
    side_close(&b);
    sim_disk_destroy(disk);
}

TEST(grown__range_of_a_killed_process_is_gone)
{
    struct sim_disk *disk = disk_with_file();
    struct side a;
    struct side b;
    side_open(&a, disk);
    side_open(&b, disk);
    CHECK_OK(grown_add(&a.grown, 3, 5));
    check_range(&b, 3, 5);
    sim_process_kill(a.sys);
    check_range(&b, 0, 0);
    CHECK_OK(grown_add(&b.grown, 3, 5));
    side_close(&a);
    side_close(&b);
    sim_disk_destroy(disk);
}

/* What was in doubt is nobody's once the log is recovered; the rest stays. */
TEST(grown__range_in_doubt_stays_until_it_is_settled)
{
    struct sim_disk *disk = disk_with_file();
    struct side a;
    struct side b;
    side_open(&a, disk);
    side_open(&b, disk);
    CHECK_OK(grown_add(&a.grown, 3, 5));
    CHECK_OK(grown_add(&a.grown, 70, 2));
    grown_doubt(&a.grown, 3, 2);
    grown_doubt(&a.grown, 70, 2);
    grown_doubt(&a.grown, 80, 1); /* never was its own */
    CHECK_EQ(grown_add(&b.grown, 70, 2), SCN_IO);
    grown_settle(&a.grown);
    CHECK(!grown_has(&a.grown, 3));
    CHECK(!grown_has(&a.grown, 71));
    check_range(&a, 5, 3);
    CHECK_OK(grown_add(&b.grown, 70, 2));
    grown_settle(&a.grown);
    side_close(&a);
    side_close(&b);
    sim_disk_destroy(disk);
}

TEST(grown__alone_is_no_lock)
{
    struct sim_disk *disk = disk_with_file();
    struct side a;
    side_open(&a, disk);
    a.locks.is_exclusive = true;
    uint64_t calls = sim_call_count(a.sys, SIM_ANY);
    CHECK_OK(grown_add(&a.grown, 3, 5));
    check_range(&a, 3, 5);
    grown_remove(&a.grown, 3, 1);
    check_range(&a, 4, 4);
    CHECK_EQ(sim_call_count(a.sys, SIM_ANY), calls);
    side_close(&a);
    sim_disk_destroy(disk);
}

TEST(grown__range_that_the_system_refuses_is_not_added)
{
    struct sim_disk *disk = disk_with_file();
    struct side a;
    struct sim_fault fail = {
        .kind = SIM_FAIL, .call = SIM_LOCK, .nth = 1, .error = ENOLCK};
    side_open(&a, disk);
    sim_fault_set(a.sys, &fail);
    CHECK_EQ(grown_add(&a.grown, 3, 5), SCN_IO);
    CHECK_EQ(error_last()->sys_errno, ENOLCK);
    check_range(&a, 0, 0);
    CHECK(!file_is_poisoned(&a.file));
    CHECK_OK(grown_add(&a.grown, 3, 5));
    sim_fault_set(a.sys, &fail);
    grown_remove(&a.grown, 3, 5);
    CHECK(file_is_poisoned(&a.file));
    side_close(&a);
    sim_disk_destroy(disk);
}

TEST(grown__walk_ends_where_it_is_told_and_where_it_fails)
{
    struct sim_disk *disk = disk_with_file();
    struct side a;
    struct side b;
    struct sim_fault fail = {
        .kind = SIM_FAIL, .call = SIM_PROBE, .nth = 1, .error = EIO};
    side_open(&a, disk);
    side_open(&b, disk);
    CHECK_OK(grown_add(&a.grown, 3, 5));
    CHECK_OK(grown_add(&a.grown, 63, 2));
    CHECK_OK(grown_add(&b.grown, 20, 1));
    CHECK_OK(grown_add(&b.grown, 30, 1));
    for (int left = 0; left < 4; left++) {
        struct seen seen = {.calls_left = left};
        CHECK_EQ(grown_each(&a.grown, see, &seen), SCN_NOMEM);
        CHECK_EQ(seen.calls, left + 1);
    }
    struct seen seen = {.calls_left = 4};
    uint32_t end = 0;
    CHECK_OK(grown_each(&a.grown, see, &seen));
    sim_fault_set(a.sys, &fail);
    CHECK_EQ(grown_end(&a.grown, &end), SCN_IO);
    side_close(&a);
    side_close(&b);
    sim_disk_destroy(disk);
}

TEST(grown__init_without_a_mutex_leaves_nothing)
{
    struct sim_disk *disk = disk_with_file();
    struct side a;
    struct grown grown;
    struct sim_fault fail = {
        .kind = SIM_FAIL, .call = SIM_MUTEX_CREATE, .nth = 1, .error = ENOMEM};
    side_open(&a, disk);
    sim_fault_set(a.sys, &fail);
    CHECK_EQ(grown_init(&grown, &a.locks), SCN_NOMEM);
    grown_destroy(&grown);
    side_close(&a);
    sim_disk_destroy(disk);
}

/* ---- against a model ---- */

enum { SIDE_COUNT = 3, STEPS = 300 };

/* Whose page it is: number of the side + 1. */
static bool is_all(const uint8_t *owner, uint64_t from, uint64_t count, uint64_t who)
{
    for (uint64_t i = from; i < from + count; i++)
        if (owner[i] != who)
            return false;
    return true;
}

static void play(struct side *sides)
{
    uint8_t owner[PAGES] = {0};
    uint64_t state = unit_seed();
    for (int step = 0; step < STEPS; step++) {
        uint64_t i = unit_random(&state) % SIDE_COUNT;
        uint32_t from = (uint32_t)(unit_random(&state) % PAGES);
        uint32_t count = 1 + (uint32_t)(unit_random(&state) % 20);
        count = count < PAGES - from ? count : PAGES - from;
        if (is_all(owner, from, count, 0)) {
            CHECK_OK(grown_add(&sides[i].grown, from, count));
            memset(owner + from, (int)i + 1, count);
        } else if (is_all(owner, from, count, i + 1)) {
            grown_remove(&sides[i].grown, from, count);
            memset(owner + from, 0, count);
        }
        struct seen seen = {.calls_left = -1};
        uint64_t asker = unit_random(&state) % SIDE_COUNT;
        CHECK_OK(grown_each(&sides[asker].grown, see, &seen));
        for (int page = 0; page < PAGES; page++)
            CHECK_EQ(seen.pages[page], owner[page] != 0);
    }
}

TEST(grown__ranges_of_many_processes_agree_with_a_model)
{
    struct sim_disk *disk = disk_with_file();
    struct side sides[SIDE_COUNT];
    for (int i = 0; i < SIDE_COUNT; i++)
        side_open(&sides[i], disk);
    play(sides);
    for (int i = 0; i < SIDE_COUNT; i++)
        side_close(&sides[i]);
    sim_disk_destroy(disk);
}

TEST(grown__agrees_with_a_model_on_the_real_system)
{
    struct side sides[SIDE_COUNT];
    close(open(unit_path("grown"), O_RDWR | O_CREAT, 0600));
    for (int i = 0; i < SIDE_COUNT; i++)
        side_start(&sides[i], sys_posix(), unit_path("grown"));
    play(sides);
    for (int i = 0; i < SIDE_COUNT; i++)
        side_end(&sides[i]);
}
