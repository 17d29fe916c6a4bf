/* Snapshots: how fast, how gentle, and how much an increment reads. */
#include "bench/groups.h"

#include "bench/figure.h"
#include "bench/rig.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* As much as scrine-snapshot takes. */
#define POOL_BYTES (UINT64_C(32) << 20)

enum { ROUNDS = 3, ROW_BYTES = 1000, ROWS = 1 << 20, STEP = 16384, COPY_BYTES = 1 << 20,
       ALONE_US = 8000000 };

/* ---- the store ---- */

static scn_slice key_of(uint8_t key[8], uint32_t number)
{
    for (int i = 0; i < 8; i++)
        key[i] = i < 4 ? 'k' : (uint8_t)(number >> (8 * (7 - i)));
    return (scn_slice){key, 8};
}

/* Bytes that do not compress. */
static void put_row(scn_txn *txn, scn_table_id table, uint32_t number, uint32_t version)
{
    uint8_t key[8];
    uint64_t value[ROW_BYTES / 8];
    uint64_t seed = (uint64_t)version << 32 | number;
    for (size_t i = 0; i < ROW_BYTES / 8; i++)
        value[i] = random_next(&seed);
    must(scn_put(txn, table, key_of(key, number), (scn_slice){value, ROW_BYTES}, 0),
         "scn_put");
}

/* Rows in transactions of STEP, the next ones or random ones. */
static void put_rows(scn_db *db, uint32_t from, uint32_t count, bool is_random,
                     uint32_t version)
{
    scn_table_id table = store_table(db);
    uint64_t seed = version;
    for (uint32_t at = 0; at < count; at += STEP) {
        scn_txn *txn;
        must(scn_begin(db, SCN_WRITE, &txn), "scn_begin");
        for (uint32_t i = at; i < at + STEP && i < count; i++) {
            uint32_t any = (uint32_t)(random_next(&seed) % ROWS);
            put_row(txn, table, is_random ? any : from + i, version);
        }
        must(scn_commit(txn), "scn_commit");
    }
    must(scn_checkpoint(db), "scn_checkpoint");
}

static void fill(const char *path)
{
    scn_db *db = store_open(path, 0, 0);
    put_rows(db, 0, ROWS, false, 1);
    must(scn_close(db), "scn_close");
}

/* ---- speed ---- */

static int open_target(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
    require(fd >= 0, "a target can be opened");
    return fd;
}

static double copy_seconds(const char *from, const char *to)
{
    uint64_t start = wall_ns();
    int source = open(from, O_RDONLY);
    int target = open_target(to);
    char *buffer = malloc(COPY_BYTES);
    ssize_t count;
    require(source >= 0 && buffer, "a file can be copied");
    while ((count = read(source, buffer, COPY_BYTES)) > 0)
        require(write(target, buffer, (size_t)count) == count, "a copy can be written");
    require(fsync(target) == 0, "a copy can be synced");
    free(buffer);
    close(source);
    close(target);
    unlink(to);
    return (double)(wall_ns() - start) / 1e9;
}

static void snapshot_into(scn_db *db, const char *path, uint64_t rate,
                          const scn_snapshot_info *since, scn_snapshot_info *info)
{
    int fd = open_target(path);
    scn_snapshot_options options = {.struct_size = sizeof options,
                                    .rate_bytes_per_s = rate};
    if (since) {
        options.since_gen = since->gen;
        memcpy(options.since_id, since->id, sizeof options.since_id);
    }
    *info = (scn_snapshot_info){.struct_size = sizeof *info};
    must(scn_snapshot_to(db, fd, &options, info), "scn_snapshot_to");
    close(fd);
    unlink(path);
}

static double snapshot_seconds(const char *from, const char *to)
{
    scn_snapshot_info info;
    uint64_t start = wall_ns();
    scn_db *db = store_open(from, POOL_BYTES, SCN_NOTHREAD);
    snapshot_into(db, to, 0, NULL, &info);
    must(scn_close(db), "scn_close");
    return (double)(wall_ns() - start) / 1e9;
}

static void measure_speed(const char *path)
{
    char to[PATH_BYTES];
    double copies[ROUNDS];
    double snapshots[ROUNDS];
    double mib = (double)rig_file_bytes(path) / (1 << 20);
    rig_path("copy", to);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        copies[i] = copy_seconds(path, to);
        snapshots[i] = snapshot_seconds(path, to);
    }
    double copy = samples_median(copies, ROUNDS);
    double snapshot = samples_median(snapshots, ROUNDS);
    figure_note("the file", mib, "MiB");
    figure_note("copying it, with fsync", mib / copy, "MiB/s");
    figure_note("a full snapshot of it", mib / snapshot, "MiB/s");
    figure_at_least("a full snapshot by the speed of a copy", copy / snapshot, 0.6, "");
}

/* ---- a writer beside it ---- */

struct counter {
    _Atomic uint64_t commits;
    atomic_bool is_over;
};

static void write_on(const char *path, struct counter *counter)
{
    scn_db *db = store_open(path, 0, 0);
    uint8_t value[100] = {0};
    for (uint32_t i = 0; !atomic_load(&counter->is_over); i++) {
        uint8_t key[8];
        must(scn_put1(db, "writer", key_of(key, i % 10000),
                      (scn_slice){value, sizeof value}),
             "scn_put1");
        atomic_fetch_add(&counter->commits, 1);
    }
    must(scn_close(db), "scn_close");
    _exit(0);
}

static double commits_per_second(struct counter *counter, uint64_t commits, uint64_t ns)
{
    return (double)(atomic_load(&counter->commits) - commits) * 1e9 /
           (double)(wall_ns() - ns);
}

static double rate_alone(struct counter *counter)
{
    uint64_t commits = atomic_load(&counter->commits);
    uint64_t start = wall_ns();
    usleep(ALONE_US);
    return commits_per_second(counter, commits, start);
}

/* *speed: of the snapshot, in MiB a second. */
static double rate_beside(scn_db *db, const char *to, uint64_t rate,
                          struct counter *counter, double *speed)
{
    scn_snapshot_info info;
    uint64_t commits = atomic_load(&counter->commits);
    uint64_t start = wall_ns();
    snapshot_into(db, to, rate, NULL, &info);
    *speed = (double)info.bytes * 1e9 / (1 << 20) / (double)(wall_ns() - start);
    return commits_per_second(counter, commits, start);
}

/* Against the writer alone before and after, since a disk changes its mind. */
static void measure_kept(scn_db *db, struct counter *counter, const char *name,
                         uint64_t rate, double goal)
{
    char to[PATH_BYTES];
    char text[80];
    double kept[ROUNDS];
    double speeds[ROUNDS];
    double before = rate_alone(counter);
    rig_path("copy", to);
    for (int i = 0; i < ROUNDS; i++) {
        double beside = rate_beside(db, to, rate, counter, &speeds[i]);
        double after = rate_alone(counter);
        kept[i] = 2 * beside / (before + after);
        before = after;
    }
    figure_note("commits of a writer alone", before, "/s");
    snprintf(text, sizeof text, "kept beside a snapshot %s", name);
    figure_at_least(text, samples_median(kept, ROUNDS), goal, "");
    figure_note("... whose speed is", samples_median(speeds, ROUNDS), "MiB/s");
}

static void measure_writer(const char *path)
{
    struct counter *counter = mmap(NULL, sizeof *counter, PROT_READ | PROT_WRITE,
                                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    require(counter != MAP_FAILED, "memory can be shared");
    pid_t writer = fork();
    require(writer >= 0, "a process can be made");
    if (writer == 0)
        write_on(path, counter);
    scn_db *db = store_open(path, POOL_BYTES, SCN_NOTHREAD);
    while (atomic_load(&counter->commits) < 1000)
        usleep(1000);
    measure_kept(db, counter, "of 64 MiB/s", UINT64_C(64) << 20, 0.8);
    measure_kept(db, counter, "as it is", 0, 0.5);
    atomic_store(&counter->is_over, true);
    waitpid(writer, NULL, 0);
    must(scn_close(db), "scn_close");
    munmap(counter, sizeof *counter);
}

/* ---- increments ---- */

/* Of a pool that has nothing yet, so that all that is looked at is read. */
static void measure_increment(const char *path, const char *name, double goal,
                              scn_snapshot_info *last)
{
    char to[PATH_BYTES];
    char text[80];
    scn_stats_t before = {.struct_size = sizeof before};
    scn_stats_t after = {.struct_size = sizeof after};
    scn_snapshot_info info;
    scn_db *db = store_open(path, POOL_BYTES, SCN_NOTHREAD);
    must(scn_stats(db, &before), "scn_stats");
    uint64_t start = wall_ns();
    snapshot_into(db, rig_path("inc", to), 0, last, &info);
    double seconds = (double)(wall_ns() - start) / 1e9;
    must(scn_stats(db, &after), "scn_stats");
    must(scn_close(db), "scn_close");
    double share = (double)(after.bytes_read - before.bytes_read) * 100 /
                   (double)after.file_bytes;
    snprintf(text, sizeof text, "an increment after %s 1 %% reads", name);
    if (goal > 0)
        figure_at_most(text, share, goal, "% of the file");
    else
        figure_note(text, share, "% of the file");
    snprintf(text, sizeof text, "... and writes, in %.2f s", seconds);
    figure_note(text, (double)info.bytes / (1 << 20), "MiB");
    *last = info;
}

static void change(const char *path, bool is_random, uint32_t version)
{
    scn_db *db = store_open(path, 0, 0);
    put_rows(db, ROWS / 3, ROWS / 100, is_random, version);
    must(scn_close(db), "scn_close");
}

static void measure_increments(const char *path)
{
    char to[PATH_BYTES];
    scn_snapshot_info last;
    scn_db *db = store_open(path, POOL_BYTES, SCN_NOTHREAD);
    must(scn_checkpoint(db), "scn_checkpoint");
    snapshot_into(db, rig_path("copy", to), 0, NULL, &last);
    must(scn_close(db), "scn_close");
    change(path, false, 2);
    measure_increment(path, "a contiguous", 3, &last);
    change(path, true, 3);
    measure_increment(path, "a random", 0, &last);
}

void bench_snapshot(void)
{
    char path[PATH_BYTES];
    rig_path("store.scn", path);
    fill(path);
    measure_speed(path);
    measure_increments(path);
    measure_writer(path);
    unlink(path);
}
