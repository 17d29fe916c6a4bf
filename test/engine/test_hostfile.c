/* The pace of what a snapshot writes: how much at once, and how much a second. */
#include "engine/hostfile.h"
#include "test/engine/snaplab.h"
#include "test/unit/unit.h"

enum { MIB = 1 << 20, WRITTEN = 32 * MIB, WRITE_BYTES = 64 << 10 };

struct scene {
    struct snaplab lab;
    scn_db *db;
    struct hostfile file;
    bool has_commits; /* one before each push is looked at */
    uint64_t flushes;
    uint64_t took_ns;
};

static int commit(void *user, uint64_t done, uint64_t expected)
{
    struct scene *scene = user;
    CHECK(done <= expected);
    if (scene->has_commits)
        CHECK_OK(scn_put1(scene->db, "t", (scn_slice){"key", 3}, (scn_slice){"v", 1}));
    return 0;
}

static void write_on(struct hostfile *file)
{
    static uint8_t data[WRITE_BYTES];
    for (uint64_t off = 0; off < WRITTEN; off += WRITE_BYTES)
        CHECK_OK(hostfile_write(file, off, data, WRITE_BYTES));
    CHECK_OK(hostfile_sync(file));
}

static void run(struct scene *scene, uint64_t rate, bool is_stream)
{
    scn_snapshot_options options = {.struct_size = sizeof options,
                                    .rate_bytes_per_s = rate,
                                    .hooks = {.progress = commit, .user = scene}};
    snaplab_create(&scene->lab, 1);
    CHECK_OK(snaplab_open(&scene->lab, "store", &scene->db));
    CHECK_OK(scn_put1(scene->db, "t", (scn_slice){"key", 3}, (scn_slice){"v", 1}));
    struct sys *sys = scene->lab.sys;
    CHECK_OK(hostfile_open(&scene->file, sys, sim_fd(scene->lab.disk, "to", is_stream),
                           scene->db->store, &options));
    uint64_t flushes = sim_call_count(sys, SIM_FLUSH);
    uint64_t begun = sys->ops->now_ns(sys);
    write_on(&scene->file);
    scene->flushes = sim_call_count(sys, SIM_FLUSH) - flushes;
    scene->took_ns = sys->ops->now_ns(sys) - begun;
    hostfile_close(&scene->file);
    CHECK_OK(scn_close(scene->db));
    snaplab_destroy(&scene->lab);
}

static void check_pace(uint64_t rate, uint64_t push_bytes)
{
    struct scene scene = {.flushes = 0};
    run(&scene, rate, false);
    CHECK_EQ(scene.flushes, (WRITTEN + push_bytes - 1) / push_bytes);
    CHECK(scene.took_ns >= (WRITTEN - push_bytes) * UINT64_C(1000000000) / rate);
}

TEST(hostfile__pushes_as_much_as_the_rate_allows)
{
    check_pace(1 * MIB, MIB / 4);
    check_pace(16 * MIB, MIB);
    check_pace(64 * MIB, 4 * MIB);
    check_pace(UINT64_C(1024) * MIB, 4 * MIB);
}

/* From the second push on, behind which it sees the first commit. */
TEST(hostfile__is_gentle_beside_commits)
{
    struct scene scene = {.has_commits = true};
    run(&scene, 0, false);
    CHECK(scene.flushes >= WRITTEN / (4 * MIB));
    CHECK(scene.took_ns >=
          (WRITTEN - 16 * MIB) * UINT64_C(1000000000) / HOSTFILE_GENTLE_BYTES);
}

/* After the first push, when nobody has committed. Each is started and waited for. */
TEST(hostfile__is_in_a_hurry_alone)
{
    struct scene scene = {.has_commits = false};
    run(&scene, 0, false);
    CHECK(scene.flushes <= 2 * (1 + WRITTEN / (8 * MIB)));
    CHECK(scene.took_ns < UINT64_C(100000000));
}

TEST(hostfile__gives_a_pipe_a_quarter_of_a_mebibyte_at_a_time)
{
    struct scene scene = {.has_commits = false};
    run(&scene, 64 * MIB, true);
    CHECK_EQ(scene.flushes, 0);
    CHECK(scene.took_ns >= (WRITTEN - MIB / 4) / 64 * UINT64_C(1000000000) / MIB);
}
