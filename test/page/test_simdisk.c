#include "test/sim/disk.h"
#include "test/unit/unit.h"

#include <errno.h>

enum { SECTOR = 512 };

/* One disk, one process, one file with a durable name. */
struct bench {
    struct sim_disk *disk;
    struct sys *sys;
    struct sys_file *file;
};

static struct bench bench_open(void)
{
    struct bench bench = {.disk = sim_disk_create(7)};
    bench.sys = sim_process_create(bench.disk);
    CHECK_OK(bench.sys->ops->open(bench.sys, "/d/a", SYS_CREATE | SYS_EXCL, &bench.file));
    CHECK_OK(bench.sys->ops->sync_dir(bench.sys, "/d/a"));
    return bench;
}

static void bench_close(struct bench *bench)
{
    bench->sys->ops->close(bench->file);
    sim_process_destroy(bench->sys);
    sim_disk_destroy(bench->disk);
}

static void put(struct bench *bench, uint64_t off, char fill, uint64_t len,
                uint32_t flags)
{
    char buf[4096];
    CHECK(len <= sizeof buf);
    memset(buf, fill, len);
    CHECK_EQ(bench->sys->ops->write(bench->file, off, buf, len, flags), (int64_t)len);
}

static void sync_all(struct bench *bench)
{
    CHECK_OK(bench->sys->ops->sync(bench->file));
}

static void set_fault(struct bench *bench, enum sim_fault_kind kind, enum sim_call call)
{
    struct sim_fault fault = {.kind = kind, .call = call, .nth = 1, .error = EIO};
    sim_fault_set(bench->sys, &fault);
}

static char byte_at(struct sim_disk *disk, uint64_t off)
{
    char byte;
    return sim_peek(disk, "/d/a", off, &byte, 1) ? byte : '-';
}

static uint64_t size_of(struct sim_disk *disk)
{
    uint64_t size;
    return sim_file_size(disk, "/d/a", &size) ? size : UINT64_MAX;
}

static struct sim_disk *crash(struct bench *bench, enum sim_keep keep, uint64_t n)
{
    struct sim_choice choice = {.keep = keep, .n = n};
    return sim_crash(bench->disk, &choice);
}

/* What one byte of the file is after a power cut. */
static char survivor(struct bench *bench, enum sim_keep keep, uint64_t n, uint64_t off)
{
    struct sim_disk *crashed = crash(bench, keep, n);
    char byte = byte_at(crashed, off);
    sim_disk_destroy(crashed);
    return byte;
}

TEST(simdisk__reads_what_was_written)
{
    struct bench bench = bench_open();
    char buf[100];
    put(&bench, 10, 'x', 20, 0);
    CHECK_EQ(bench.sys->ops->read(bench.file, 0, buf, sizeof buf, 0), 30);
    CHECK_EQ(buf[9], 0);
    CHECK_EQ(buf[10], 'x');
    CHECK_EQ(buf[29], 'x');
    CHECK_EQ(bench.sys->ops->read(bench.file, 30, buf, sizeof buf, 0), 0);
    CHECK_OK(bench.sys->ops->truncate(bench.file, 15));
    CHECK_OK(bench.sys->ops->truncate(bench.file, 20));
    CHECK_EQ(bench.sys->ops->read(bench.file, 14, buf, sizeof buf, 0), 6);
    CHECK_EQ(buf[0], 'x');
    CHECK_EQ(buf[1], 0);
    bench_close(&bench);
}

TEST(simdisk__loses_what_was_not_synced)
{
    struct bench bench = bench_open();
    put(&bench, 0, 'a', SECTOR, 0);
    sync_all(&bench);
    put(&bench, 0, 'b', SECTOR, 0);
    put(&bench, SECTOR, 'c', SECTOR, 0);
    CHECK_EQ(survivor(&bench, SIM_KEEP_NONE, 0, 0), 'a');
    CHECK_EQ(survivor(&bench, SIM_KEEP_NONE, 0, SECTOR), '-');
    CHECK_EQ(survivor(&bench, SIM_KEEP_ALL, 0, 0), 'b');
    CHECK_EQ(survivor(&bench, SIM_KEEP_ALL, 0, SECTOR), 'c');
    sync_all(&bench);
    CHECK_EQ(sim_pending(bench.disk, false), 0);
    CHECK_EQ(survivor(&bench, SIM_KEEP_NONE, 0, SECTOR), 'c');
    bench_close(&bench);
}

TEST(simdisk__keeps_every_version_of_a_sector)
{
    struct bench bench = bench_open();
    put(&bench, 0, 'a', SECTOR, 0);
    sync_all(&bench);
    put(&bench, 0, 'b', SECTOR, 0);
    put(&bench, 0, 'c', SECTOR, 0);
    CHECK_EQ(sim_pending(bench.disk, false), 2);
    CHECK_EQ(survivor(&bench, SIM_KEEP_PREFIX, 0, 0), 'a');
    CHECK_EQ(survivor(&bench, SIM_KEEP_PREFIX, 1, 0), 'b');
    CHECK_EQ(survivor(&bench, SIM_KEEP_PREFIX, 2, 0), 'c');
    CHECK_EQ(survivor(&bench, SIM_KEEP_ALL_BUT, 1, 0), 'b');
    CHECK_EQ(survivor(&bench, SIM_KEEP_ONLY, 1, 0), 'c');
    bench_close(&bench);
}

TEST(simdisk__counts_sectors_or_calls)
{
    struct bench bench = bench_open();
    put(&bench, 0, 'a', 4 * SECTOR, 0); /* a size and four sectors */
    put(&bench, 100, 'b', SECTOR, 0);   /* two sectors */
    CHECK_EQ(sim_pending(bench.disk, false), 7);
    CHECK_EQ(sim_pending(bench.disk, true), 2);
    struct sim_choice second = {.keep = SIM_KEEP_PREFIX, .by_call = true, .n = 1};
    struct sim_disk *crashed = sim_crash(bench.disk, &second);
    CHECK_EQ(byte_at(crashed, 100), 'a');
    CHECK_EQ(byte_at(crashed, 4 * SECTOR - 1), 'a');
    sim_disk_destroy(crashed);
    bench_close(&bench);
}

TEST(simdisk__bytes_below_a_surviving_size_are_zero_until_they_survive)
{
    struct bench bench = bench_open();
    put(&bench, 0, 'a', 2 * SECTOR, 0); /* pending: size, sector 0, sector 1 */
    CHECK_EQ(survivor(&bench, SIM_KEEP_ONLY, 0, 0), 0);
    CHECK_EQ(survivor(&bench, SIM_KEEP_ONLY, 1, 0), '-');
    CHECK_EQ(survivor(&bench, SIM_KEEP_ALL_BUT, 1, 0), 0);
    CHECK_EQ(survivor(&bench, SIM_KEEP_ALL_BUT, 1, SECTOR), 'a');
    bench_close(&bench);
}

TEST(simdisk__dsync_saves_its_own_sectors_and_the_size_to_reach_them)
{
    struct bench bench = bench_open();
    CHECK_OK(bench.sys->ops->truncate(bench.file, 100 * SECTOR));
    put(&bench, 0, 'a', 8 * SECTOR, 0);
    put(&bench, 2 * SECTOR, 'b', SECTOR, SYS_DSYNC);
    struct sim_disk *crashed = crash(&bench, SIM_KEEP_NONE, 0);
    CHECK_EQ(size_of(crashed), 3 * SECTOR);
    CHECK_EQ(byte_at(crashed, 2 * SECTOR), 'b');
    CHECK_EQ(byte_at(crashed, SECTOR), 0);
    sim_disk_destroy(crashed);
    crashed = crash(&bench, SIM_KEEP_ALL, 0);
    CHECK_EQ(size_of(crashed), 100 * SECTOR);
    CHECK_EQ(byte_at(crashed, 2 * SECTOR), 'b');
    CHECK_EQ(byte_at(crashed, 3 * SECTOR), 'a');
    sim_disk_destroy(crashed);
    bench_close(&bench);
}

static void check_dsync_byte(void *ctx, struct sim_disk *crashed,
                             const struct sim_choice *choice)
{
    (void)choice;
    CHECK_EQ(byte_at(crashed, *(uint64_t *)ctx), 'z');
}

TEST(simdisk__dsync_bytes_survive_whatever_sizes_were_pending)
{
    struct bench bench = bench_open();
    uint64_t off = 3 * SECTOR;
    put(&bench, 0, 'a', 8 * SECTOR, 0);
    sync_all(&bench);
    CHECK_OK(bench.sys->ops->truncate(bench.file, SECTOR + 7));
    CHECK_OK(bench.sys->ops->truncate(bench.file, 6 * SECTOR));
    put(&bench, off, 'z', 10, SYS_DSYNC);
    CHECK_OK(bench.sys->ops->truncate(bench.file, 9 * SECTOR));
    struct sim_plan plan = {.by_sector = true, .random_count = 50, .seed = unit_seed()};
    CHECK(sim_each_crash(bench.disk, &plan, check_dsync_byte, &off) > 1);
    bench_close(&bench);
}

TEST(simdisk__bytes_behind_a_cut_do_not_come_back)
{
    struct bench bench = bench_open();
    put(&bench, 0, 'a', 4 * SECTOR, 0);
    sync_all(&bench);
    CHECK_OK(bench.sys->ops->truncate(bench.file, SECTOR + 1));
    CHECK_OK(bench.sys->ops->truncate(bench.file, 4 * SECTOR));
    CHECK_EQ(survivor(&bench, SIM_KEEP_NONE, 0, SECTOR + 1), 'a');
    CHECK_EQ(survivor(&bench, SIM_KEEP_ALL, 0, SECTOR), 'a');
    CHECK_EQ(survivor(&bench, SIM_KEEP_ALL, 0, SECTOR + 1), 0);
    /* A later size implies the earlier ones. */
    uint64_t last = sim_pending(bench.disk, false) - 1;
    CHECK_EQ(survivor(&bench, SIM_KEEP_ONLY, last, 2 * SECTOR), 0);
    sync_all(&bench);
    CHECK_EQ(survivor(&bench, SIM_KEEP_NONE, 0, 2 * SECTOR), 0);
    CHECK_EQ(survivor(&bench, SIM_KEEP_NONE, 0, SECTOR), 'a');
    bench_close(&bench);
}

TEST(simdisk__names_need_a_sync_of_the_folder)
{
    struct bench bench = bench_open();
    struct sys *sys = bench.sys;
    struct sys_file *file;
    uint64_t size;
    CHECK_OK(sys->ops->open(sys, "/d/new", SYS_CREATE, &file));
    CHECK_OK(sys->ops->sync(file));
    sys->ops->close(file);
    struct sim_disk *crashed = crash(&bench, SIM_KEEP_NONE, 0);
    CHECK(!sim_file_size(crashed, "/d/new", &size));
    sim_disk_destroy(crashed);
    CHECK_OK(sys->ops->sync_dir(sys, "/other/x"));
    CHECK_EQ(sim_pending(bench.disk, false), 1);
    CHECK_OK(sys->ops->sync_dir(sys, "/d/whatever"));
    CHECK_EQ(sim_pending(bench.disk, false), 0);
    crashed = crash(&bench, SIM_KEEP_NONE, 0);
    CHECK(sim_file_size(crashed, "/d/new", &size));
    sim_disk_destroy(crashed);
    bench_close(&bench);
}

TEST(simdisk__renames_whole_or_not_at_all)
{
    struct bench bench = bench_open();
    struct sys *sys = bench.sys;
    put(&bench, 0, 'a', 1, 0);
    sync_all(&bench);
    sim_put_file(bench.disk, "/d/tmp", "b", 1);
    CHECK_OK(sys->ops->rename(sys, "/d/tmp", "/d/a"));
    CHECK_EQ(byte_at(bench.disk, 0), 'b');
    CHECK_EQ(survivor(&bench, SIM_KEEP_NONE, 0, 0), 'a');
    CHECK_EQ(survivor(&bench, SIM_KEEP_ALL, 0, 0), 'b');
    bench_close(&bench);
}

TEST(simdisk__links_and_unlinks)
{
    struct bench bench = bench_open();
    struct sys *sys = bench.sys;
    struct sys_stat stat;
    CHECK_OK(sys->ops->link(sys, "/d/a", "/d/b"));
    CHECK_EQ(sys->ops->link(sys, "/d/a", "/d/b"), -EEXIST);
    CHECK_OK(sys->ops->stat(bench.file, &stat));
    CHECK_EQ(stat.links, 2);
    CHECK_OK(sys->ops->unlink(sys, "/d/a"));
    CHECK_EQ(sys->ops->unlink(sys, "/d/a"), -ENOENT);
    CHECK_EQ(sys->ops->stat_path(sys, "/d/a", &stat), -ENOENT);
    CHECK_OK(sys->ops->stat_path(sys, "/d/b", &stat));
    CHECK(stat.is_regular);
    /* An open file without a name goes on. */
    CHECK_OK(sys->ops->unlink(sys, "/d/b"));
    put(&bench, 0, 'x', 5, 0);
    CHECK_OK(sys->ops->stat(bench.file, &stat));
    CHECK_EQ(stat.size, 5);
    CHECK_EQ(stat.links, 0);
    bench_close(&bench);
}

static struct sys_file *open_unnamed(struct bench *bench)
{
    struct sys_file *file;
    CHECK_OK(bench->sys->ops->open(bench->sys, "/d/any", SYS_UNNAMED, &file));
    CHECK_EQ(bench->sys->ops->write(file, 0, "whole", 5, 0), 5);
    return file;
}

static bool survives(struct bench *bench, const char *path, enum sim_keep keep)
{
    char buf[5];
    struct sim_disk *crashed = crash(bench, keep, 0);
    bool is_there = sim_peek(crashed, path, 0, buf, sizeof buf);
    CHECK(!is_there || memcmp(buf, "whole", 5) == 0);
    sim_disk_destroy(crashed);
    return is_there;
}

TEST(simdisk__unnamed_files_get_a_name_or_go)
{
    struct bench bench = bench_open();
    const struct sys_ops *ops = bench.sys->ops;
    struct sys_file *lost = open_unnamed(&bench);
    struct sys_file *kept = open_unnamed(&bench);
    struct sys_stat stat;
    CHECK_EQ(sim_name_count(bench.disk), 1);
    CHECK_OK(ops->stat(kept, &stat));
    CHECK_EQ(stat.links, 0);
    CHECK_OK(ops->sync(kept));
    CHECK_OK(ops->link_file(kept, "/d/kept"));
    CHECK_EQ(ops->link_file(lost, "/d/kept"), -EEXIST);
    CHECK_EQ(ops->link_file(bench.file, "/d/again"), -ENOENT);
    CHECK(survives(&bench, "/d/kept", SIM_KEEP_ALL));
    CHECK(!survives(&bench, "/d/kept", SIM_KEEP_NONE));
    CHECK_OK(ops->sync(kept));
    CHECK_OK(ops->sync_dir(bench.sys, "/d/kept"));
    CHECK(survives(&bench, "/d/kept", SIM_KEEP_NONE));
    ops->close(lost);
    ops->close(kept);
    CHECK_EQ(sim_name_count(bench.disk), 2);
    sim_disk_set_unnamed(bench.disk, false);
    CHECK_EQ(ops->open(bench.sys, "/d/any", SYS_UNNAMED, &lost), -EOPNOTSUPP);
    bench_close(&bench);
}

TEST(simdisk__what_was_synced_without_a_name_needs_a_sync_before_the_folders)
{
    struct bench bench = bench_open();
    const struct sys_ops *ops = bench.sys->ops;
    struct sys_file *file = open_unnamed(&bench);
    CHECK_OK(ops->sync(file));
    CHECK_OK(ops->link_file(file, "/d/new"));
    CHECK_OK(ops->sync_dir(bench.sys, "/d/new"));
    CHECK(!survives(&bench, "/d/new", SIM_KEEP_NONE));
    CHECK(survives(&bench, "/d/new", SIM_KEEP_ALL));
    CHECK_OK(ops->sync(file));
    CHECK(survives(&bench, "/d/new", SIM_KEEP_NONE));
    ops->close(file);
    bench_close(&bench);
}

/* ... and fill the disk like others. */
TEST(simdisk__unnamed_files_take_room)
{
    struct bench bench = bench_open();
    const struct sys_ops *ops = bench.sys->ops;
    struct sys_file *file = open_unnamed(&bench);
    sim_disk_set_capacity(bench.disk, 2 * SECTOR);
    CHECK_OK(ops->truncate(file, SECTOR));
    CHECK_OK(ops->truncate(file, 2 * SECTOR));
    CHECK_EQ(ops->truncate(file, 3 * SECTOR), -ENOSPC);
    ops->close(file);
    bench_close(&bench);
}

TEST(simdisk__tears_sectors_at_eight_bytes)
{
    struct bench bench = bench_open();
    put(&bench, 0, 'a', SECTOR, 0);
    sync_all(&bench);
    put(&bench, 0, 'b', SECTOR, 0);
    int torn_count = 0;
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct sim_disk *crashed = crash(&bench, SIM_KEEP_TORN, seed);
        char buf[SECTOR];
        CHECK(sim_peek(crashed, "/d/a", 0, buf, SECTOR));
        int change_count = 0;
        for (int i = 1; i < SECTOR; i++) {
            CHECK(buf[i] == buf[i - 1] || i % 8 == 0);
            change_count += buf[i] != buf[i - 1];
        }
        CHECK(change_count <= 1);
        torn_count += change_count;
        sim_disk_destroy(crashed);
    }
    CHECK(torn_count > 5 && torn_count < 150);
    bench_close(&bench);
}

TEST(simdisk__a_failed_sync_drops_what_was_dirty)
{
    struct bench bench = bench_open();
    static _Alignas(4096) char page[4096];
    put(&bench, 0, 'a', 4096, 0);
    sync_all(&bench);
    put(&bench, 0, 'b', 4096, 0);
    set_fault(&bench, SIM_FAIL, SIM_SYNC);
    CHECK_EQ(bench.sys->ops->sync(bench.file), -EIO);
    CHECK_EQ(byte_at(bench.disk, 0), 'b');
    CHECK_EQ(bench.sys->ops->read(bench.file, 0, page, 4096, SYS_UNCACHED), 4096);
    CHECK_EQ(page[0], 'a');
    sync_all(&bench); /* succeeds, and saves nothing */
    CHECK_EQ(survivor(&bench, SIM_KEEP_ALL, 0, 0), 'a');
    sim_disk_evict(bench.disk);
    CHECK_EQ(byte_at(bench.disk, 0), 'a');
    bench_close(&bench);
}

TEST(simdisk__a_failed_dsync_drops_its_own_bytes)
{
    struct bench bench = bench_open();
    put(&bench, 0, 'a', 2 * SECTOR, 0);
    sync_all(&bench);
    put(&bench, 0, 'b', SECTOR, 0);
    set_fault(&bench, SIM_FAIL, SIM_DSYNC);
    char buf[SECTOR] = "c";
    CHECK_EQ(bench.sys->ops->write(bench.file, SECTOR, buf, SECTOR, SYS_DSYNC), -EIO);
    CHECK_EQ(byte_at(bench.disk, SECTOR), 'c');
    CHECK_EQ(survivor(&bench, SIM_KEEP_ALL, 0, 0), 'b');
    CHECK_EQ(survivor(&bench, SIM_KEEP_ALL, 0, SECTOR), 'a');
    bench_close(&bench);
}

TEST(simdisk__uncached_reads_see_dirty_bytes)
{
    struct bench bench = bench_open();
    static _Alignas(4096) char page[4096];
    put(&bench, 0, 'a', 4096, 0);
    CHECK_EQ(bench.sys->ops->read(bench.file, 0, page, 4096, SYS_UNCACHED), 4096);
    CHECK_EQ(page[4095], 'a');
    CHECK_EQ(bench.sys->ops->read(bench.file, 1, page, 4096, SYS_UNCACHED), -EINVAL);
    bench_close(&bench);
}

TEST(simdisk__fails_the_nth_call_once_or_for_ever)
{
    struct bench bench = bench_open();
    struct sim_fault fault = {
        .kind = SIM_FAIL, .call = SIM_WRITE, .nth = 2, .error = ENOSPC};
    sim_fault_set(bench.sys, &fault);
    put(&bench, 0, 'a', 1, 0);
    CHECK_EQ(bench.sys->ops->write(bench.file, 0, "b", 1, 0), -ENOSPC);
    put(&bench, 0, 'c', 1, 0);
    CHECK_EQ(sim_fault_hits(bench.sys), 1);
    fault.is_forever = true;
    sim_fault_set(bench.sys, &fault);
    put(&bench, 0, 'd', 1, 0);
    CHECK_EQ(bench.sys->ops->write(bench.file, 0, "e", 1, 0), -ENOSPC);
    CHECK_EQ(bench.sys->ops->write(bench.file, 0, "f", 1, 0), -ENOSPC);
    CHECK_EQ(byte_at(bench.disk, 0), 'd');
    sim_fault_clear(bench.sys);
    put(&bench, 0, 'g', 1, 0);
    CHECK_EQ(sim_call_count(bench.sys, SIM_WRITE), 7);
    bench_close(&bench);
}

TEST(simdisk__a_failed_write_may_have_written_its_beginning)
{
    struct bench bench = bench_open();
    struct sim_fault fault = {
        .kind = SIM_FAIL, .call = SIM_WRITE, .nth = 1, .error = EIO, .len = 3};
    put(&bench, 0, 'a', 10, 0);
    sim_fault_set(bench.sys, &fault);
    CHECK_EQ(bench.sys->ops->write(bench.file, 0, "bbbbbb", 6, 0), -EIO);
    CHECK_EQ(byte_at(bench.disk, 2), 'b');
    CHECK_EQ(byte_at(bench.disk, 3), 'a');
    bench_close(&bench);
}

TEST(simdisk__shortens_transfers_and_flips_bits)
{
    struct bench bench = bench_open();
    char buf[8];
    put(&bench, 0, 'a', 8, 0);
    set_fault(&bench, SIM_SHORT, SIM_READ);
    CHECK_EQ(bench.sys->ops->read(bench.file, 0, buf, 8, 0), 4);
    set_fault(&bench, SIM_SHORT, SIM_WRITE);
    CHECK_EQ(bench.sys->ops->write(bench.file, 0, "b", 1, 0), 1);
    struct sim_fault flip = {.kind = SIM_FLIP, .call = SIM_READ, .nth = 1, .bit = 9};
    sim_fault_set(bench.sys, &flip);
    CHECK_EQ(bench.sys->ops->read(bench.file, 0, buf, 8, 0), 8);
    CHECK_EQ(buf[0], 'b');
    CHECK_EQ(buf[1], 'a' ^ 2);
    CHECK_EQ(bench.sys->ops->read(bench.file, 0, buf, 8, 0), 8);
    CHECK_EQ(buf[1], 'a');
    bench_close(&bench);
}

TEST(simdisk__every_kind_of_call_can_fail)
{
    struct bench bench = bench_open();
    struct sys *sys = bench.sys;
    struct sys_file *file;
    struct sys_stat stat;
    struct sys_thread *thread;
    struct sys_mutex *mutex;
    struct sys_cond *cond;
    uint64_t count;
    char byte;
    struct sim_fault fault = {
        .kind = SIM_FAIL, .call = SIM_ANY, .nth = 1, .is_forever = true, .error = EMFILE};
    sim_fault_set(sys, &fault);
    CHECK_EQ(sys->ops->open(sys, "/d/a", 0, &file), -EMFILE);
    CHECK_EQ(sys->ops->stat_path(sys, "/d/a", &stat), -EMFILE);
    CHECK_EQ(sys->ops->stat(bench.file, &stat), -EMFILE);
    CHECK_EQ(sys->ops->read(bench.file, 0, &byte, 1, 0), -EMFILE);
    CHECK_EQ(sys->ops->write(bench.file, 0, "", 1, 0), -EMFILE);
    CHECK_EQ(sys->ops->write(bench.file, 0, "", 1, SYS_DSYNC), -EMFILE);
    CHECK_EQ(sys->ops->sync(bench.file), -EMFILE);
    CHECK_EQ(sys->ops->flush_range(bench.file, 0, 1), -EMFILE);
    CHECK_EQ(sys->ops->truncate(bench.file, 9), -EMFILE);
    CHECK_EQ(sys->ops->rename(sys, "/d/a", "/d/b"), -EMFILE);
    CHECK_EQ(sys->ops->link(sys, "/d/a", "/d/b"), -EMFILE);
    CHECK_EQ(sys->ops->unlink(sys, "/d/a"), -EMFILE);
    CHECK_EQ(sys->ops->sync_dir(sys, "/d/a"), -EMFILE);
    CHECK_EQ(sys->ops->lock(bench.file, 0, 1, SYS_SHARED), -EMFILE);
    CHECK_EQ(sys->ops->lock_probe(bench.file, 0, 1, NULL), -EMFILE);
    CHECK_EQ(sys->ops->random(sys, &byte, 1), -EMFILE);
    CHECK_EQ(sys->ops->free_bytes(bench.file, &count), -EMFILE);
    CHECK_EQ(sys->ops->thread_start(sys, NULL, NULL, &thread), -EMFILE);
    CHECK_EQ(sys->ops->mutex_create(sys, &mutex), -EMFILE);
    CHECK_EQ(sys->ops->cond_create(sys, &cond), -EMFILE);
    CHECK_EQ(sim_fault_hits(sys), 20);
    bench_close(&bench);
}

TEST(simdisk__runs_out_of_space)
{
    struct bench bench = bench_open();
    uint64_t left;
    sim_disk_set_capacity(bench.disk, 1000);
    put(&bench, 0, 'a', 600, 0);
    CHECK_EQ(bench.sys->ops->write(bench.file, 600, bench.disk, 401, 0), -ENOSPC);
    CHECK_EQ(bench.sys->ops->truncate(bench.file, 1001), -ENOSPC);
    CHECK_OK(bench.sys->ops->free_bytes(bench.file, &left));
    CHECK_EQ(left, 400);
    put(&bench, 600, 'a', 400, 0);
    bench_close(&bench);
}

TEST(simdisk__locks_exclude_other_handles_only)
{
    struct bench bench = bench_open();
    struct sys *other = sim_process_create(bench.disk);
    const struct sys_ops *ops = other->ops;
    struct sys_file *file;
    struct sys_lock_found found;
    uint32_t pid;
    char program[SYS_PROGRAM_BYTES];
    CHECK_OK(ops->open(other, "/d/a", 0, &file));
    CHECK_OK(ops->lock(bench.file, 10, 10, SYS_EXCLUSIVE));
    CHECK_OK(ops->lock(bench.file, 12, 2, SYS_SHARED));
    CHECK_EQ(ops->lock(file, 10, 1, SYS_SHARED), -EAGAIN);
    CHECK_EQ(ops->lock(file, 19, 5, SYS_EXCLUSIVE), -EAGAIN);
    CHECK_OK(ops->lock(file, 20, 5, SYS_EXCLUSIVE));
    CHECK_OK(ops->lock(file, 12, 2, SYS_SHARED));
    CHECK_EQ(ops->lock(file, 12, 2, SYS_EXCLUSIVE), -EAGAIN);
    CHECK_EQ(ops->lock_probe(file, 0, 10, &found), 0);
    CHECK_EQ(ops->lock_probe(file, 0, 11, &found), 1);
    CHECK_EQ(found.start, 10);
    CHECK_EQ(found.len, 2);
    CHECK_EQ(found.mode, SYS_EXCLUSIVE);
    ops->lock_holder(file, 10, 0, &pid, program);
    CHECK_EQ(pid, bench.sys->ops->pid(bench.sys));
    CHECK(program[0] != '\0');
    ops->lock_holder(file, 9, 0, &pid, program);
    CHECK_EQ(pid, 0);
    CHECK(program[0] == '\0');
    CHECK_EQ(ops->lock_probe(bench.file, 14, 5, NULL), 0);
    CHECK_OK(ops->lock(bench.file, 0, 15, SYS_UNLOCK));
    CHECK_OK(ops->lock(file, 10, 5, SYS_EXCLUSIVE));
    CHECK_EQ(ops->lock(file, 15, 1, SYS_EXCLUSIVE), -EAGAIN);
    sim_process_destroy(other); /* closes the handle, which gives its locks back */
    CHECK_OK(ops->lock(bench.file, 0, 100, SYS_EXCLUSIVE));
    bench_close(&bench);
}

TEST(simdisk__read_only_handles_neither_write_nor_exclude)
{
    struct bench bench = bench_open();
    const struct sys_ops *ops = bench.sys->ops;
    struct sys_file *file;
    CHECK_OK(ops->open(bench.sys, "/d/a", SYS_READ_ONLY, &file));
    CHECK_EQ(ops->write(file, 0, "x", 1, 0), -EBADF);
    CHECK_EQ(ops->truncate(file, 10), -EINVAL);
    CHECK_EQ(ops->lock(file, 0, 1, SYS_EXCLUSIVE), -EBADF);
    CHECK_OK(ops->lock(file, 0, 1, SYS_SHARED));
    ops->close(file);
    CHECK_EQ(ops->open(bench.sys, "/d/none", 0, &file), -ENOENT);
    CHECK_EQ(ops->open(bench.sys, "/d/a", SYS_CREATE | SYS_EXCL, &file), -EEXIST);
    sim_disk_add_folder(bench.disk, "/d/folder");
    CHECK_EQ(ops->open(bench.sys, "/d/folder", 0, &file), -EISDIR);
    CHECK_EQ(sim_process_open_files(bench.sys), 1);
    bench_close(&bench);
}

TEST(simdisk__a_killed_process_frees_its_locks_and_does_no_more)
{
    struct bench bench = bench_open();
    struct sys *other = sim_process_create(bench.disk);
    struct sys_file *file;
    CHECK_OK(other->ops->open(other, "/d/a", 0, &file));
    CHECK_OK(bench.sys->ops->lock(bench.file, 0, 1, SYS_EXCLUSIVE));
    put(&bench, 0, 'a', 10, 0);
    struct sim_fault fault = {.kind = SIM_KILL, .call = SIM_WRITE, .nth = 1, .len = 4};
    sim_fault_set(bench.sys, &fault);
    CHECK_EQ(bench.sys->ops->write(bench.file, 0, "bbbbbbbb", 8, 0), -EIO);
    CHECK(sim_process_is_dead(bench.sys));
    CHECK_EQ(byte_at(bench.disk, 3), 'b');
    CHECK_EQ(byte_at(bench.disk, 4), 'a');
    CHECK_EQ(bench.sys->ops->write(bench.file, 0, "c", 1, 0), -EIO);
    CHECK_EQ(bench.sys->ops->lock(bench.file, 5, 1, SYS_SHARED), -EIO);
    CHECK_EQ(byte_at(bench.disk, 0), 'b');
    CHECK_OK(other->ops->lock(file, 0, 1, SYS_EXCLUSIVE));
    sim_process_destroy(other);
    bench_close(&bench);
}

struct watcher {
    uint32_t before_count;
    uint32_t after_count;
    uint64_t pending_before;
    uint64_t pending_after;
    struct sys *victim;
};

static void watch(void *ctx, struct sim_disk *disk, enum sim_call call,
                  enum sim_moment moment)
{
    struct watcher *watcher = ctx;
    if (call != SIM_SYNC && call != SIM_DSYNC)
        return;
    watcher->before_count += moment == SIM_BEFORE_SYNC;
    watcher->after_count += moment == SIM_AFTER;
    *(moment == SIM_BEFORE_SYNC ? &watcher->pending_before : &watcher->pending_after) =
        sim_pending(disk, false);
    if (moment == SIM_BEFORE_SYNC && watcher->victim)
        sim_process_kill(watcher->victim);
}

TEST(simdisk__hooks_see_the_disk_before_and_after_each_sync)
{
    struct bench bench = bench_open();
    struct watcher watcher = {0};
    sim_hook_set(bench.disk, watch, &watcher);
    put(&bench, 0, 'a', SECTOR, 0);
    sync_all(&bench);
    CHECK_EQ(watcher.pending_before, 2);
    CHECK_EQ(watcher.pending_after, 0);
    put(&bench, 0, 'a', 1, SYS_DSYNC);
    CHECK_EQ(watcher.pending_before, 1);
    CHECK_EQ(watcher.pending_after, 0);
    CHECK_EQ(watcher.before_count, 2);
    CHECK_EQ(watcher.after_count, 2);
    watcher.victim = bench.sys;
    CHECK_EQ(bench.sys->ops->write(bench.file, 0, "b", 1, SYS_DSYNC), -EIO);
    CHECK_EQ(sim_pending(bench.disk, false), 1);
    sim_hook_set(bench.disk, NULL, NULL);
    bench_close(&bench);
}

static void collect(void *ctx, struct sim_disk *crashed, const struct sim_choice *choice)
{
    (void)choice;
    char *seen = ctx;
    size_t len = strlen(seen);
    seen[len] = byte_at(crashed, 0);
    seen[len + 1] = byte_at(crashed, SECTOR);
}

TEST(simdisk__each_crash_visits_each_state_once)
{
    struct bench bench = bench_open();
    char states[100] = "";
    put(&bench, 0, 'a', 2 * SECTOR, 0);
    sync_all(&bench);
    put(&bench, 0, 'b', SECTOR, 0);
    put(&bench, SECTOR, 'b', SECTOR, 0);
    struct sim_plan plan = {.random_count = 20};
    struct sim_seen *seen = sim_seen_create();
    plan.seen = seen;
    CHECK_EQ(sim_each_crash(bench.disk, &(struct sim_plan){0}, collect, states), 4);
    CHECK(strcmp(states, "aabbabba") == 0 || strcmp(states, "aabbbaab") == 0);
    CHECK(sim_each_crash(bench.disk, &plan, collect, states) >= 4);
    CHECK_EQ(sim_each_crash(bench.disk, &plan, collect, states), 0);
    sim_seen_destroy(seen);
    bench_close(&bench);
}

TEST(simdisk__seen_hashes_are_kept_apart)
{
    struct sim_seen *seen = sim_seen_create();
    uint64_t state = unit_seed();
    uint64_t first = state;
    CHECK(sim_seen_add(seen, 0));
    CHECK(!sim_seen_add(seen, 0));
    for (int i = 0; i < 5000; i++)
        CHECK(sim_seen_add(seen, unit_random(&state) | 2));
    for (int i = 0; i < 5000; i++)
        CHECK(!sim_seen_add(seen, unit_random(&first) | 2));
    sim_seen_destroy(seen);
}

TEST(simdisk__copies_with_all_that_is_pending)
{
    struct bench bench = bench_open();
    put(&bench, 0, 'a', SECTOR, 0);
    sync_all(&bench);
    put(&bench, 0, 'b', SECTOR, 0);
    struct sim_disk *copy = sim_disk_copy(bench.disk);
    sync_all(&bench);
    CHECK(sim_hash(copy) == sim_hash(bench.disk));
    CHECK_EQ(sim_pending(copy, false), 1);
    struct sim_choice none = {.keep = SIM_KEEP_NONE};
    struct sim_disk *crashed = sim_crash(copy, &none);
    CHECK_EQ(byte_at(crashed, 0), 'a');
    CHECK(sim_hash(crashed) != sim_hash(copy));
    sim_disk_destroy(crashed);
    sim_disk_destroy(copy);
    bench_close(&bench);
}

static void id_and_luck(struct sim_disk *disk, uint8_t out[32])
{
    struct sys *sys = sim_process_create(disk);
    sys->ops->boot_id(sys, out);
    CHECK_OK(sys->ops->random(sys, out + 16, 16));
    sim_process_destroy(sys);
}

TEST(simdisk__repeats_itself_and_changes_with_each_boot)
{
    uint8_t first[32];
    uint8_t second[32];
    struct sim_disk *disk = sim_disk_create(5);
    struct sim_disk *twin = sim_disk_create(5);
    struct sim_disk *next = sim_crash(disk, &(struct sim_choice){.keep = SIM_KEEP_ALL});
    id_and_luck(disk, first);
    id_and_luck(twin, second);
    CHECK(memcmp(first, second, 32) == 0);
    id_and_luck(next, second);
    CHECK(memcmp(first, second, 16) != 0);
    CHECK(memcmp(first + 16, second + 16, 16) != 0);
    sim_disk_destroy(disk);
    sim_disk_destroy(twin);
    sim_disk_destroy(next);
}

TEST(simdisk__time_moves_to_the_deadline_of_a_wait)
{
    struct sim_disk *disk = sim_disk_create(1);
    struct sys *sys = sim_process_create(disk);
    struct sys_mutex *mutex;
    struct sys_cond *cond;
    CHECK_OK(sys->ops->mutex_create(sys, &mutex));
    CHECK_OK(sys->ops->cond_create(sys, &cond));
    sim_clock_set(disk, 1000000);
    uint64_t hour = sys->ops->now_ns(sys) + UINT64_C(3600000000000);
    sys->ops->mutex_lock(mutex);
    CHECK(!sys->ops->cond_wait(cond, mutex, hour));
    sys->ops->mutex_unlock(mutex);
    CHECK(sim_clock_ns(disk) >= hour);
    CHECK(sys->ops->now_ns(sys) < hour + 1000000);
    CHECK(sys->ops->mutex_lock_until(mutex, hour));
    sys->ops->mutex_unlock(mutex);
    sys->ops->cond_destroy(cond);
    sys->ops->mutex_destroy(mutex);
    sim_process_destroy(sys);
    sim_disk_destroy(disk);
}

enum { WILD_SECTORS = 8 };

/* For each sector the values it may have after a power cut: those written since the last
 * sync and the one before. */
struct wild {
    bool may[WILD_SECTORS][256];
    uint8_t now[WILD_SECTORS];
};

static void wild_settle(struct wild *wild, int sector)
{
    memset(wild->may[sector], 0, sizeof wild->may[sector]);
    wild->may[sector][wild->now[sector]] = true;
}

static void wild_check(void *ctx, struct sim_disk *crashed,
                       const struct sim_choice *choice)
{
    const struct wild *wild = ctx;
    (void)choice;
    for (int i = 0; i < WILD_SECTORS; i++) {
        uint8_t bytes[SECTOR];
        CHECK(sim_peek(crashed, "/d/a", (uint64_t)i * SECTOR, bytes, SECTOR));
        CHECK(wild->may[i][bytes[0]]);
        CHECK(memcmp(bytes, bytes + 1, SECTOR - 1) == 0 || choice->keep == SIM_KEEP_TORN);
    }
}

static void wild_step(struct bench *bench, struct wild *wild, uint64_t *state)
{
    int sector = (int)(unit_random(state) % WILD_SECTORS);
    uint64_t what = unit_random(state) % 10;
    if (what == 0) {
        sync_all(bench);
        for (int i = 0; i < WILD_SECTORS; i++)
            wild_settle(wild, i);
        return;
    }
    uint8_t value = (uint8_t)unit_random(state);
    put(bench, (uint64_t)sector * SECTOR, (char)value, SECTOR, what < 3 ? SYS_DSYNC : 0);
    wild->now[sector] = value;
    wild->may[sector][value] = true;
    if (what < 3)
        wild_settle(wild, sector);
}

TEST(simdisk__random_work_leaves_only_versions_that_were_written)
{
    uint64_t state = unit_seed();
    struct bench bench = bench_open();
    struct wild wild = {0};
    put(&bench, 0, 0, WILD_SECTORS * SECTOR, 0);
    sync_all(&bench);
    for (int i = 0; i < WILD_SECTORS; i++)
        wild_settle(&wild, i);
    for (int round = 0; round < 300; round++) {
        wild_step(&bench, &wild, &state);
        struct sim_plan plan = {.by_sector = true, .random_count = 5, .seed = state};
        sim_each_crash(bench.disk, &plan, wild_check, &wild);
    }
    bench_close(&bench);
}

enum { ROUNDS = 200 };

static void count_under_lock(void *arg)
{
    struct bench *bench = arg;
    const struct sys_ops *ops = bench->sys->ops;
    for (int i = 0; i < ROUNDS; i++) {
        uint8_t count = 0;
        while (ops->lock(bench->file, 0, 1, SYS_EXCLUSIVE) == -EAGAIN)
            ;
        ops->read(bench->file, 0, &count, 1, 0);
        count++;
        ops->write(bench->file, 0, &count, 1, 0);
        ops->lock(bench->file, 0, 1, SYS_UNLOCK);
    }
}

TEST(simdisk__processes_may_run_in_threads_of_their_own)
{
    struct bench bench = bench_open();
    struct bench other = {.disk = bench.disk, .sys = sim_process_create(bench.disk)};
    struct sys_thread *thread;
    CHECK_OK(other.sys->ops->open(other.sys, "/d/a", 0, &other.file));
    CHECK_OK(other.sys->ops->thread_start(other.sys, count_under_lock, &other, &thread));
    count_under_lock(&bench);
    other.sys->ops->thread_join(thread);
    CHECK_EQ((uint8_t)byte_at(bench.disk, 0), (uint8_t)(2 * ROUNDS));
    sim_process_destroy(other.sys);
    bench_close(&bench);
}

TEST(simdisk__sectors_before_a_cut_that_was_promised_do_not_come_back)
{
    struct bench bench = bench_open();
    put(&bench, 0, 'a', SECTOR, 0);
    sync_all(&bench);
    put(&bench, 2 * SECTOR, 'b', SECTOR, 0);
    CHECK_OK(bench.sys->ops->truncate(bench.file, SECTOR));
    put(&bench, 3 * SECTOR, 'c', SECTOR, SYS_DSYNC);
    CHECK_EQ(survivor(&bench, SIM_KEEP_ALL, 0, 2 * SECTOR), 0);
    CHECK_EQ(survivor(&bench, SIM_KEEP_ALL, 0, 3 * SECTOR), 'c');
    bench_close(&bench);
}

TEST(simdisk__a_sector_that_was_cut_does_not_come_back_behind_the_cut)
{
    struct bench bench = bench_open();
    put(&bench, 0, 'a', 2 * SECTOR, 0);
    sync_all(&bench);
    put(&bench, SECTOR, 'b', SECTOR, 0);
    CHECK_OK(bench.sys->ops->truncate(bench.file, SECTOR + 8));
    put(&bench, 3 * SECTOR, 'c', SECTOR, SYS_DSYNC);
    CHECK_EQ(survivor(&bench, SIM_KEEP_ALL, 0, SECTOR + 7), 'b');
    CHECK_EQ(survivor(&bench, SIM_KEEP_ALL, 0, SECTOR + 8), 0);
    CHECK_EQ(survivor(&bench, SIM_KEEP_NONE, 0, SECTOR + 7), 'a');
    CHECK_EQ(survivor(&bench, SIM_KEEP_NONE, 0, SECTOR + 8), 0);
    bench_close(&bench);
}

TEST(simdisk__dsync_bytes_survive_a_smaller_size_that_was_pending)
{
    struct bench bench = bench_open();
    uint64_t off = 10 * SECTOR;
    CHECK_OK(bench.sys->ops->truncate(bench.file, 4 * SECTOR));
    CHECK_OK(bench.sys->ops->truncate(bench.file, 100 * SECTOR));
    put(&bench, off, 'z', 10, SYS_DSYNC);
    struct sim_plan plan = {.by_sector = true};
    CHECK_EQ(sim_each_crash(bench.disk, &plan, check_dsync_byte, &off), 2);
    bench_close(&bench);
}
