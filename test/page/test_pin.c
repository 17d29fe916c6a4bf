#include "page/mem.h"
#include "page/pin.h"
#include "test/sim/disk.h"
#include "test/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define PATH "/store"

/* One process. */
struct side {
    struct sys *sys;
    struct file file;
    struct locks locks;
    struct pins pins;
};

static void side_start(struct side *side, struct sys *sys, const char *path,
                       bool is_reader)
{
    side->sys = sys;
    CHECK_OK(file_open(&side->file, sys, path, is_reader));
    CHECK_OK(locks_init(&side->locks, &side->file));
    CHECK_OK(pins_init(&side->pins, &side->locks));
}

static void side_open(struct side *side, struct sim_disk *disk, bool is_reader)
{
    side_start(side, sim_process_create(disk), PATH, is_reader);
}

static void side_end(struct side *side)
{
    pins_destroy(&side->pins);
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

static void check_foreign(struct side *side, const uint64_t *expected, uint32_t length)
{
    uint64_t *gens;
    uint32_t count;
    CHECK_OK(pins_foreign(&side->pins, &gens, &count));
    CHECK_EQ(count, length);
    for (uint32_t i = 0; i < count; i++)
        CHECK_EQ(gens[i], expected[i]);
    mem_free(gens);
}

#define CHECK_FOREIGN(side, ...)                                                         \
    check_foreign(side, (const uint64_t[]){__VA_ARGS__},                                 \
                  sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

static void check_none(struct side *side)
{
    check_foreign(side, NULL, 0);
}

TEST(pin__is_seen_by_other_processes_until_its_last_reference_goes)
{
    struct sim_disk *disk = disk_with_file();
    struct side a;
    struct side b;
    side_open(&a, disk, false);
    side_open(&b, disk, false);
    check_none(&b);
    CHECK_OK(pin_take(&a.pins, 7));
    CHECK_OK(pin_take(&a.pins, 7));
    CHECK_FOREIGN(&b, 7);
    pin_drop(&a.pins, 7);
    CHECK_FOREIGN(&b, 7);
    check_none(&a);
    pin_drop(&a.pins, 7);
    check_none(&b);
    side_close(&a);
    side_close(&b);
    sim_disk_destroy(disk);
}

TEST(pin__references_share_one_lock)
{
    struct sim_disk *disk = disk_with_file();
    struct side a;
    side_open(&a, disk, false);
    CHECK_OK(pin_take(&a.pins, 7));
    uint64_t calls = sim_call_count(a.sys, SIM_LOCK);
    CHECK_OK(pin_take(&a.pins, 7));
    pin_drop(&a.pins, 7);
    CHECK_EQ(sim_call_count(a.sys, SIM_LOCK), calls);
    pin_drop(&a.pins, 7);
    CHECK_EQ(sim_call_count(a.sys, SIM_LOCK), calls + 1);
    side_close(&a);
    sim_disk_destroy(disk);
}

TEST(pin__is_shared_and_works_for_readers)
{
    struct sim_disk *disk = disk_with_file();
    struct side a;
    struct side b;
    struct side c;
    side_open(&a, disk, false);
    side_open(&b, disk, true);
    side_open(&c, disk, true);
    CHECK_OK(pin_take(&b.pins, 7));
    CHECK_OK(pin_take(&c.pins, 7));
    CHECK_OK(pin_take(&c.pins, 5));
    CHECK_OK(pin_take(&a.pins, 5));
    CHECK_FOREIGN(&a, 5, 7);
    CHECK_FOREIGN(&b, 5, 7);
    CHECK_FOREIGN(&c, 5, 7);
    pin_drop(&c.pins, 7);
    CHECK_FOREIGN(&a, 5, 7);
    side_close(&a);
    side_close(&b);
    CHECK_OK(pin_take(&c.pins, 7));
    check_none(&c);
    side_close(&c);
    sim_disk_destroy(disk);
}

TEST(pin__of_a_killed_process_is_gone)
{
    struct sim_disk *disk = disk_with_file();
    struct side a;
    struct side b;
    side_open(&a, disk, false);
    side_open(&b, disk, false);
    CHECK_OK(pin_take(&a.pins, 7));
    CHECK_OK(pin_take(&a.pins, 8));
    CHECK_FOREIGN(&b, 7, 8);
    sim_process_kill(a.sys);
    check_none(&b);
    side_close(&a);
    side_close(&b);
    sim_disk_destroy(disk);
}

TEST(pin__alone_is_no_lock)
{
    struct sim_disk *disk = disk_with_file();
    struct side a;
    side_open(&a, disk, false);
    a.locks.is_exclusive = true;
    uint64_t calls = sim_call_count(a.sys, SIM_ANY);
    CHECK_OK(pin_take(&a.pins, 7));
    check_none(&a);
    pin_drop(&a.pins, 7);
    CHECK_EQ(sim_call_count(a.sys, SIM_ANY), calls);
    side_close(&a);
    sim_disk_destroy(disk);
}

TEST(pin__of_a_large_generation_is_told_modulo_2_to_the_48)
{
    struct sim_disk *disk = disk_with_file();
    struct side a;
    struct side b;
    side_open(&a, disk, false);
    side_open(&b, disk, false);
    CHECK_OK(pin_take(&a.pins, 0));
    CHECK_OK(pin_take(&a.pins, (UINT64_C(1) << 48) - 1));
    CHECK_OK(pin_take(&a.pins, (UINT64_C(5) << 48) + 3));
    CHECK_FOREIGN(&b, 0, 3, (UINT64_C(1) << 48) - 1);
    pin_drop(&a.pins, (UINT64_C(5) << 48) + 3);
    CHECK_FOREIGN(&b, 0, (UINT64_C(1) << 48) - 1);
    side_close(&a);
    side_close(&b);
    sim_disk_destroy(disk);
}

TEST(pin__that_the_system_refuses_is_not_taken)
{
    struct sim_disk *disk = disk_with_file();
    struct side a;
    struct side b;
    uint64_t *gens = NULL;
    uint32_t count = 1;
    struct sim_fault fail = {
        .kind = SIM_FAIL, .call = SIM_LOCK, .nth = 1, .error = ENOLCK};
    side_open(&a, disk, false);
    side_open(&b, disk, false);
    sim_fault_set(a.sys, &fail);
    CHECK_EQ(pin_take(&a.pins, 7), SCN_IO);
    CHECK_EQ(error_last()->sys_errno, ENOLCK);
    CHECK_EQ(a.pins.count, 0);
    CHECK_OK(pin_take(&a.pins, 7));
    CHECK_OK(pin_take(&a.pins, 9));
    fail.call = SIM_PROBE;
    fail.nth = 2;
    sim_fault_set(b.sys, &fail);
    CHECK_EQ(pins_foreign(&b.pins, &gens, &count), SCN_IO);
    CHECK(gens == NULL);
    CHECK_EQ(count, 0);
    CHECK_FOREIGN(&b, 7, 9);
    side_close(&a);
    side_close(&b);
    sim_disk_destroy(disk);
}

TEST(pin__init_without_a_mutex_leaves_nothing)
{
    struct sim_disk *disk = disk_with_file();
    struct side a;
    struct pins pins;
    struct sim_fault fail = {
        .kind = SIM_FAIL, .call = SIM_MUTEX_CREATE, .nth = 1, .error = ENOMEM};
    side_open(&a, disk, false);
    sim_fault_set(a.sys, &fail);
    CHECK_EQ(pins_init(&pins, &a.locks), SCN_NOMEM);
    pins_destroy(&pins);
    side_close(&a);
    sim_disk_destroy(disk);
}

/* ---- against a model ---- */

enum { SIDE_COUNT = 4, GEN_COUNT = 24, STEPS = 400 };

static void check_model(struct side *sides, uint32_t references[][GEN_COUNT], int asker)
{
    uint64_t expected[GEN_COUNT];
    uint32_t length = 0;
    for (uint64_t gen = 0; gen < GEN_COUNT; gen++) {
        bool is_pinned = false;
        for (int i = 0; i < SIDE_COUNT; i++)
            is_pinned |= i != asker && references[i][gen] > 0;
        if (is_pinned)
            expected[length++] = gen;
    }
    check_foreign(&sides[asker], expected, length);
}

static void play(struct side *sides)
{
    uint32_t references[SIDE_COUNT][GEN_COUNT] = {{0}};
    uint64_t state = unit_seed();
    for (int step = 0; step < STEPS; step++) {
        uint64_t i = unit_random(&state) % SIDE_COUNT;
        uint64_t gen = unit_random(&state) % GEN_COUNT;
        if (references[i][gen] > 0 && unit_random(&state) % 2) {
            pin_drop(&sides[i].pins, gen);
            references[i][gen]--;
        } else {
            CHECK_OK(pin_take(&sides[i].pins, gen));
            references[i][gen]++;
        }
        check_model(sides, references, (int)(unit_random(&state) % SIDE_COUNT));
    }
}

TEST(pin__of_many_processes_agree_with_a_model)
{
    struct sim_disk *disk = disk_with_file();
    struct side sides[SIDE_COUNT];
    for (int i = 0; i < SIDE_COUNT; i++)
        side_open(&sides[i], disk, i % 2);
    play(sides);
    for (int i = 0; i < SIDE_COUNT; i++)
        side_close(&sides[i]);
    sim_disk_destroy(disk);
}

/* The kernel joins neighbouring locks and sorts them by owner; the simulator does not. */
TEST(pin__agrees_with_a_model_on_the_real_system)
{
    struct side sides[SIDE_COUNT];
    close(open(unit_path("pins"), O_RDWR | O_CREAT, 0600));
    for (int i = 0; i < SIDE_COUNT; i++)
        side_start(&sides[i], sys_posix(), unit_path("pins"), i % 2);
    play(sides);
    for (int i = 0; i < SIDE_COUNT; i++)
        side_end(&sides[i]);
}

TEST(pin__hidden_below_a_lock_of_the_whole_file_is_not_overlooked)
{
    struct side a;
    uint64_t *gens;
    uint32_t count;
    struct flock whole = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
    int fd = open(unit_path("hidden"), O_RDWR | O_CREAT, 0600);
    side_start(&a, sys_posix(), unit_path("hidden"), false);
    CHECK_OK(fcntl(fd, F_OFD_SETLK, &whole));
    CHECK_EQ(pins_foreign(&a.pins, &gens, &count), SCN_IO);
    CHECK(strstr(error_last()->text, "the whole of") != NULL);
    close(fd);
    check_none(&a);
    side_end(&a);
}
