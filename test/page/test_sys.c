/* Runs the same questions against the Linux and the in-memory implementation, then what
 * only one of them can be asked. */
#include "page/mem.h"
#include "page/sys.h"
#include "test/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOCK_AT (UINT64_C(1) << 62)

static struct sys_file *open_new(struct sys *sys, const char *name)
{
    struct sys_file *file = NULL;
    (void)sys->ops->unlink(sys, unit_path(name));
    int error = sys->ops->open(sys, unit_path(name), SYS_CREATE | SYS_EXCL, &file);
    return error == 0 ? file : NULL;
}

static struct sys_file *open_again(struct sys *sys, const char *name, uint32_t flags)
{
    struct sys_file *file = NULL;
    int error = sys->ops->open(sys, unit_path(name), flags, &file);
    return error == 0 ? file : NULL;
}

/* ---- questions for both ---- */

static void asks_for_files(struct sys *sys)
{
    const struct sys_ops *ops = sys->ops;
    struct sys_file *file = NULL;
    struct sys_stat st;
    char buf[8];
    CHECK_EQ(ops->open(sys, unit_path("files"), 0, &file), -ENOENT);
    CHECK_EQ(ops->stat_path(sys, unit_path("files"), &st), -ENOENT);
    file = open_new(sys, "files");
    CHECK(file != NULL);
    struct sys_file *other = NULL;
    CHECK_EQ(ops->open(sys, unit_path("files"), SYS_CREATE | SYS_EXCL, &other), -EEXIST);

    CHECK_EQ(ops->write(file, 100000, "abc", 3, 0), 3);
    CHECK_EQ(ops->write(file, 99998, "xyz", 3, SYS_DSYNC), 3);
    CHECK_EQ(ops->read(file, 99998, buf, 8, 0), 5);
    CHECK(memcmp(buf, "xyzbc", 5) == 0);
    CHECK_EQ(ops->read(file, 0, buf, 1, 0), 1);
    CHECK_EQ(buf[0], 0);
    CHECK_EQ(ops->read(file, 100003, buf, 1, 0), 0);
    CHECK_OK(ops->stat(file, &st));
    CHECK_EQ(st.size, 100003);
    CHECK_EQ(st.links, 1);
    CHECK(st.is_regular);
    CHECK(!st.is_directory);

    CHECK_OK(ops->truncate(file, 5));
    CHECK_OK(ops->truncate(file, 200000));
    CHECK_EQ(ops->read(file, 100000, buf, 3, 0), 3);
    CHECK(memcmp(buf, "\0\0\0", 3) == 0);
    CHECK_OK(ops->sync(file));
    CHECK_OK(ops->flush_range(file, 0, 100000));
    CHECK_OK(ops->flush_range(file, 0, 0));
    uint64_t free_bytes = 0;
    CHECK_OK(ops->free_bytes(file, &free_bytes));
    CHECK(free_bytes > 0);
    ops->close(file);
}

static void asks_for_names(struct sys *sys)
{
    const struct sys_ops *ops = sys->ops;
    char from[256];
    struct sys_stat a;
    struct sys_stat b;
    struct sys_file *file = open_new(sys, "one");
    strcpy(from, unit_path("one"));
    CHECK(file != NULL);
    CHECK_OK(ops->link(sys, from, unit_path("two")));
    CHECK_EQ(ops->link(sys, from, unit_path("two")), -EEXIST);
    CHECK_OK(ops->stat_path(sys, from, &a));
    CHECK_OK(ops->stat_path(sys, unit_path("two"), &b));
    CHECK_EQ(a.inode, b.inode);
    CHECK_EQ(a.device, b.device);
    CHECK_EQ(a.links, 2);

    struct sys_file *other = open_new(sys, "three");
    CHECK(other != NULL);
    CHECK_OK(ops->rename(sys, from, unit_path("three")));
    CHECK_EQ(ops->stat_path(sys, from, &a), -ENOENT);
    CHECK_OK(ops->stat(other, &a));
    CHECK_EQ(a.links, 0);
    CHECK_EQ(ops->write(other, 0, "still here", 10, 0), 10);
    CHECK_OK(ops->sync_dir(sys, from));

    CHECK_OK(ops->unlink(sys, unit_path("two")));
    CHECK_OK(ops->unlink(sys, unit_path("three")));
    CHECK_EQ(ops->unlink(sys, unit_path("three")), -ENOENT);
    CHECK_OK(ops->stat(file, &a));
    CHECK_EQ(a.links, 0);
    ops->close(file);
    ops->close(other);
}

static void asks_for_locks(struct sys *sys)
{
    const struct sys_ops *ops = sys->ops;
    struct sys_file *a = open_new(sys, "locks");
    struct sys_file *b = open_again(sys, "locks", 0);
    CHECK(a && b);

    CHECK_OK(ops->lock(a, LOCK_AT, 1, SYS_EXCLUSIVE));
    CHECK_EQ(ops->lock(b, LOCK_AT, 1, SYS_EXCLUSIVE), -EAGAIN);
    CHECK_EQ(ops->lock(b, LOCK_AT, 1, SYS_SHARED), -EAGAIN);
    CHECK_EQ(ops->lock_probe(b, LOCK_AT, 1, NULL), 1);
    CHECK_EQ(ops->lock_probe(b, LOCK_AT + 1, 1, NULL), 0);
    CHECK_EQ(ops->lock_probe(a, LOCK_AT, 1, NULL), 0);
    CHECK_OK(ops->lock(a, LOCK_AT, 1, SYS_EXCLUSIVE));

    CHECK_OK(ops->lock(a, LOCK_AT, 1, SYS_SHARED));
    CHECK_OK(ops->lock(b, LOCK_AT, 1, SYS_SHARED));
    CHECK_EQ(ops->lock(a, LOCK_AT, 1, SYS_EXCLUSIVE), -EAGAIN);
    CHECK_OK(ops->lock(b, LOCK_AT, 1, SYS_UNLOCK));
    CHECK_OK(ops->lock(a, LOCK_AT, 1, SYS_EXCLUSIVE));
    ops->close(a);
    CHECK_OK(ops->lock(b, LOCK_AT, 1, SYS_EXCLUSIVE));
    ops->close(b);
}

static void asks_for_holders(struct sys *sys)
{
    const struct sys_ops *ops = sys->ops;
    struct sys_file *a = open_new(sys, "holders");
    struct sys_file *b = open_again(sys, "holders", 0);
    struct sys_file *other = open_new(sys, "holders-of-another");
    uint32_t pid = 77;
    char program[SYS_PROGRAM_BYTES] = "x";
    CHECK(a && b && other);
    CHECK_OK(ops->lock(other, LOCK_AT, 10, SYS_EXCLUSIVE));
    CHECK_OK(ops->lock(a, LOCK_AT + 3, 2, SYS_SHARED));
    ops->lock_holder(b, LOCK_AT + 2, 0, &pid, program);
    CHECK_EQ(pid, 0);
    CHECK(program[0] == '\0');
    ops->lock_holder(a, LOCK_AT + 3, 0, &pid, program);
    CHECK_EQ(pid, 0);
    ops->lock_holder(b, LOCK_AT + 4, 0, &pid, program);
    CHECK_EQ(pid, ops->pid(sys));
    CHECK(program[0] != '\0');
    ops->close(a);
    ops->lock_holder(b, LOCK_AT + 4, 0, &pid, program);
    CHECK_EQ(pid, 0);
    ops->close(b);
    ops->close(other);
}

static void asks_for_ranges(struct sys *sys)
{
    const struct sys_ops *ops = sys->ops;
    struct sys_file *a = open_new(sys, "ranges");
    struct sys_file *b = open_again(sys, "ranges", 0);
    struct sys_lock_found found = {0};
    CHECK(a && b);
    CHECK_OK(ops->lock(a, LOCK_AT, 100, SYS_EXCLUSIVE));
    CHECK_OK(ops->lock(a, LOCK_AT + 40, 20, SYS_UNLOCK));
    CHECK_EQ(ops->lock(b, LOCK_AT + 39, 2, SYS_EXCLUSIVE), -EAGAIN);
    CHECK_EQ(ops->lock(b, LOCK_AT + 59, 2, SYS_EXCLUSIVE), -EAGAIN);
    CHECK_OK(ops->lock(b, LOCK_AT + 40, 20, SYS_EXCLUSIVE));
    CHECK_EQ(ops->lock_probe(a, LOCK_AT, 100, &found), 1);
    CHECK_EQ(found.start, LOCK_AT + 40);
    CHECK_EQ(found.len, 20);
    CHECK_EQ(found.mode, SYS_EXCLUSIVE);
    CHECK_OK(ops->lock(a, LOCK_AT + 10, 10, SYS_SHARED));
    CHECK_OK(ops->lock(b, LOCK_AT + 12, 1, SYS_SHARED));
    CHECK_EQ(ops->lock(b, LOCK_AT + 9, 1, SYS_SHARED), -EAGAIN);
    CHECK_EQ(ops->lock(b, LOCK_AT + 20, 1, SYS_SHARED), -EAGAIN);
    CHECK_EQ(ops->lock_probe(b, LOCK_AT + 12, 2, &found), 1);
    CHECK_EQ(found.start, LOCK_AT + 10);
    CHECK_EQ(found.len, 10);
    CHECK_EQ(found.mode, SYS_SHARED);
    CHECK_OK(ops->lock(a, LOCK_AT - 5, 200, SYS_UNLOCK));
    CHECK_EQ(ops->lock_probe(b, LOCK_AT - 5, 200, &found), 0);
    ops->close(a);
    ops->close(b);
}

/* POSIX record locks fail here: any close of the inode drops them. */
static void asks_for_an_unrelated_close(struct sys *sys)
{
    const struct sys_ops *ops = sys->ops;
    struct sys_file *holder = open_new(sys, "unrelated");
    struct sys_file *passer = open_again(sys, "unrelated", 0);
    CHECK(holder && passer);
    CHECK_OK(ops->lock(holder, LOCK_AT, 1, SYS_EXCLUSIVE));
    ops->close(passer);
    struct sys_file *rival = open_again(sys, "unrelated", 0);
    CHECK(rival != NULL);
    CHECK_EQ(ops->lock(rival, LOCK_AT, 1, SYS_EXCLUSIVE), -EAGAIN);
    ops->close(rival);
    ops->close(holder);
}

static void asks_for_read_only(struct sys *sys)
{
    const struct sys_ops *ops = sys->ops;
    struct sys_file *file = open_new(sys, "read-only");
    struct sys_file *reader = open_again(sys, "read-only", SYS_READ_ONLY);
    CHECK(file && reader);
    CHECK_EQ(ops->write(reader, 0, "x", 1, 0), -EBADF);
    CHECK_EQ(ops->lock(reader, LOCK_AT, 1, SYS_EXCLUSIVE), -EBADF);
    CHECK_OK(ops->lock(reader, LOCK_AT, 1, SYS_SHARED));
    CHECK_EQ(ops->lock(file, LOCK_AT, 1, SYS_EXCLUSIVE), -EAGAIN);
    ops->close(reader);
    CHECK_OK(ops->lock(file, LOCK_AT, 1, SYS_EXCLUSIVE));
    ops->close(file);
}

struct meeting {
    struct sys *sys;
    struct sys_mutex *mutex;
    struct sys_cond *cond;
    uint64_t thread_id;
    bool was_refused;
    bool has_arrived;
};

static void arrive(void *arg)
{
    struct meeting *meeting = arg;
    const struct sys_ops *ops = meeting->sys->ops;
    uint64_t soon = ops->now_ns(meeting->sys) + 2000000;
    meeting->was_refused = !ops->mutex_lock_until(meeting->mutex, soon);
    if (meeting->was_refused)
        ops->mutex_lock(meeting->mutex);
    meeting->thread_id = ops->thread_id(meeting->sys);
    meeting->has_arrived = true;
    ops->cond_wake_all(meeting->cond);
    ops->mutex_unlock(meeting->mutex);
}

static void asks_for_threads(struct sys *sys)
{
    const struct sys_ops *ops = sys->ops;
    struct meeting meeting = {.sys = sys};
    struct sys_thread *thread = NULL;
    CHECK_OK(ops->mutex_create(sys, &meeting.mutex));
    CHECK_OK(ops->cond_create(sys, &meeting.cond));

    ops->mutex_lock(meeting.mutex);
    CHECK_OK(ops->thread_start(sys, arrive, &meeting, &thread));
    uint64_t start = ops->now_ns(sys);
    while (ops->cond_wait(meeting.cond, meeting.mutex, start + 1) && !meeting.has_arrived)
        continue;
    while (!meeting.has_arrived)
        (void)ops->cond_wait(meeting.cond, meeting.mutex, 0);
    ops->mutex_unlock(meeting.mutex);
    ops->thread_join(thread);
    CHECK(meeting.thread_id != 0);
    CHECK(meeting.thread_id != ops->thread_id(sys));
    CHECK(ops->mutex_lock_until(meeting.mutex, 1));
    ops->mutex_unlock(meeting.mutex);
    ops->cond_destroy(meeting.cond);
    ops->mutex_destroy(meeting.mutex);
}

static void asks_for_the_rest(struct sys *sys)
{
    const struct sys_ops *ops = sys->ops;
    uint8_t boot_a[16];
    uint8_t boot_b[16];
    uint8_t random[300] = {0};
    uint64_t now = ops->now_ns(sys);
    CHECK(ops->now_ns(sys) >= now);
    CHECK(ops->wall_ms(sys) > INT64_C(1500000000000));
    CHECK_EQ(ops->pid(sys), getpid());
    ops->boot_id(sys, boot_a);
    ops->boot_id(sys, boot_b);
    CHECK(memcmp(boot_a, boot_b, 16) == 0);
    CHECK_OK(ops->random(sys, random, sizeof random));
    int zeros = 0;
    for (size_t i = 0; i < sizeof random; i++)
        zeros += random[i] == 0;
    CHECK(zeros < 50);
    CHECK(!ops->is_forked(sys));
    CHECK(sys->registry == NULL);
    CHECK(sys->registry_mutex != NULL);
}

/* ---- Linux ---- */

TEST(sys_posix__keeps_files) { asks_for_files(sys_posix()); }
TEST(sys_posix__keeps_names) { asks_for_names(sys_posix()); }
TEST(sys_posix__locks_exclude_two_opens_of_one_process) { asks_for_locks(sys_posix()); }
TEST(sys_posix__holder_is_named_but_never_the_handle) { asks_for_holders(sys_posix()); }
TEST(sys_posix__lock_ranges_split_and_merge) { asks_for_ranges(sys_posix()); }
TEST(sys_posix__lock_survives_the_close_of_another_handle)
{
    asks_for_an_unrelated_close(sys_posix());
}
TEST(sys_posix__read_only_handles_lock_shared_only) { asks_for_read_only(sys_posix()); }
TEST(sys_posix__threads_meet) { asks_for_threads(sys_posix()); }
TEST(sys_posix__time_random_and_identity_are_told) { asks_for_the_rest(sys_posix()); }

/* A file system that has none says so, and the store does without. */
TEST(sys_posix__unnamed_files_get_a_name_or_go)
{
    struct sys *sys = sys_posix();
    const struct sys_ops *ops = sys->ops;
    struct sys_file *file;
    struct sys_file *late;
    struct sys_stat stat;
    struct sys_stat named;
    if (ops->open(sys, unit_path("unnamed"), SYS_UNNAMED, &file) < 0) {
        printf("    skipped: no files without a name here\n");
        return;
    }
    CHECK_OK(ops->open(sys, unit_path("unnamed"), SYS_UNNAMED, &late));
    CHECK_EQ(ops->stat_path(sys, unit_path("unnamed"), &named), -ENOENT);
    CHECK_EQ(ops->write(file, 0, "whole", 5, SYS_DSYNC), 5);
    CHECK_OK(ops->sync(file));
    CHECK_OK(ops->stat(file, &stat));
    CHECK_EQ(stat.links, 0);
    CHECK(stat.is_regular);
    CHECK_OK(ops->link_file(file, unit_path("unnamed")));
    CHECK_EQ(ops->link_file(late, unit_path("unnamed")), -EEXIST);
    CHECK_OK(ops->stat_path(sys, unit_path("unnamed"), &named));
    CHECK_EQ(named.inode, stat.inode);
    CHECK_EQ(named.links, 1);
    CHECK_EQ(named.size, 5);
    ops->close(late);
    ops->close(file);
    CHECK_OK(ops->unlink(sys, unit_path("unnamed")));
}

/* What is free in the file is not free on the disk as well; where the file system can
 * say so. */
TEST(sys_posix__growth_takes_its_room_on_the_disk)
{
    enum { FIRST = 100000, PART = 300000, SIZE = 1 << 20 };
    struct sys *sys = sys_posix();
    struct sys_file *file = open_new(sys, "grown");
    struct stat st;
    char read[4] = "abc";
    int fd = open(unit_path("grown-by-hand"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    CHECK(file && fd >= 0);
    bool can = fallocate(fd, 0, 0, 1) == 0;
    CHECK_OK(close(fd));
    CHECK_OK(unlink(unit_path("grown-by-hand")));
    CHECK_OK(sys->ops->truncate(file, FIRST));
    CHECK_EQ(sys->ops->write(file, PART - 1, "x", 1, 0), 1); /* with a hole before it */
    CHECK_OK(sys->ops->truncate(file, PART));
    CHECK_OK(sys->ops->truncate(file, SIZE));
    CHECK_OK(stat(unit_path("grown"), &st));
    CHECK_EQ(st.st_size, SIZE);
    if (can)
        CHECK((uint64_t)st.st_blocks * 512 >= FIRST + SIZE - PART);
    else
        printf("    skipped: files of this file system have no room in advance\n");
    CHECK_EQ(sys->ops->read(file, SIZE - 3, read, 4, 0), 3);
    CHECK(memcmp(read, "\0\0\0", 3) == 0);
    CHECK_OK(sys->ops->truncate(file, FIRST));
    CHECK_OK(stat(unit_path("grown"), &st));
    CHECK_EQ(st.st_size, FIRST);
    sys->ops->close(file);
}

TEST(sys_posix__is_one_instance)
{
    CHECK(sys_posix() != NULL);
    CHECK(sys_posix() == sys_posix());
}

TEST(sys_posix__uncached_reads_see_what_was_written)
{
    struct sys *sys = sys_posix();
    struct sys_file *file = open_new(sys, "uncached");
    uint8_t *region = mem_region(16384);
    CHECK(file && region);
    for (int round = 1; round < 4; round++) {
        memset(region, round, 8192);
        CHECK_EQ(sys->ops->write(file, 4096, region, 8192, 0), 8192);
        memset(region, 0xee, 16384);
        CHECK_EQ(sys->ops->read(file, 4096, region, 4096, SYS_UNCACHED), 4096);
        CHECK_EQ(region[0], round);
        CHECK_EQ(region[4095], round);
        CHECK_EQ(region[4096], 0xee);
        CHECK_EQ(sys->ops->read(file, 8192, region, 8192, SYS_UNCACHED), 4096);
    }
    mem_region_free(region, 16384);
    sys->ops->close(file);
}

TEST(sys_posix__a_folder_says_so)
{
    struct sys_stat st;
    struct sys *sys = sys_posix();
    CHECK_OK(sys->ops->stat_path(sys, "/", &st));
    CHECK(st.is_directory);
    CHECK(!st.is_regular);
    CHECK_OK(sys->ops->sync_dir(sys, "name-without-folder"));
}

/* The child answers with what it saw, one bit a claim. */
static int wait_for(pid_t child)
{
    int status = 0;
    if (child <= 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
        return -1;
    return WEXITSTATUS(status);
}

static int descriptor_count(void)
{
    int count = 0;
    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

/* Of those that a program that is started now would have. */
static int inherited_count(void)
{
    int count = 0;
    for (int fd = 0; fd < 256; fd++) {
        int flags = fcntl(fd, F_GETFD);
        count += flags >= 0 && !(flags & FD_CLOEXEC);
    }
    return count;
}

TEST(sys_posix__descriptors_are_not_handed_to_programs)
{
    struct sys *sys = sys_posix();
    int before = inherited_count();
    struct sys_file *file = open_new(sys, "private");
    uint8_t *region = mem_region(4096);
    CHECK(file && region);
    CHECK_EQ(sys->ops->read(file, 0, region, 4096, SYS_UNCACHED), 0);
    CHECK_EQ(inherited_count(), before);
    sys->ops->close(file);
    mem_region_free(region, 4096);
}

static int look_around_as_child(struct sys *parent, struct sys_file *file, int before)
{
    char byte;
    int seen = 0;
    seen |= parent->ops->is_forked(parent) ? 1 : 0;
    seen |= parent->ops->read(file, 0, &byte, 1, 0) == -EBADF ? 2 : 0;
    seen |= descriptor_count() == before ? 4 : 0;
    parent->ops->close(file);

    struct sys *own = sys_posix();
    struct sys_file *again = own ? open_again(own, "forked", 0) : NULL;
    seen |= own && own != parent && !own->ops->is_forked(own) ? 8 : 0;
    seen |= again && own->ops->lock(again, LOCK_AT, 1, SYS_SHARED) == -EAGAIN ? 16 : 0;
    seen |= again && own->ops->lock(again, LOCK_AT + 1, 1, SYS_EXCLUSIVE) == 0 ? 32 : 0;
    return seen;
}

TEST(sys_posix__child_is_forked_has_no_descriptors_and_can_open_anew)
{
    struct sys *sys = sys_posix();
    int before = descriptor_count();
    struct sys_file *file = open_new(sys, "forked");
    uint8_t *region = mem_region(4096);
    CHECK(file && region);
    CHECK_EQ(sys->ops->read(file, 0, region, 4096, SYS_UNCACHED), 0);
    CHECK_OK(sys->ops->lock(file, LOCK_AT, 1, SYS_EXCLUSIVE));
    fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        _exit(look_around_as_child(sys, file, before));
    CHECK_EQ(wait_for(child), 63);

    CHECK(!sys->ops->is_forked(sys));
    struct sys_file *rival = open_again(sys, "forked", 0);
    CHECK_EQ(sys->ops->lock(rival, LOCK_AT, 1, SYS_EXCLUSIVE), -EAGAIN);
    sys->ops->close(rival);
    sys->ops->close(file);
    mem_region_free(region, 4096);
}

TEST(sys_posix__locks_of_a_dead_process_are_free_though_its_child_lives)
{
    int ready[2];
    int release[2];
    char byte = 0;
    struct sys *sys = sys_posix();
    struct sys_file *file = open_new(sys, "orphan");
    CHECK(file != NULL);
    CHECK_OK(pipe(ready));
    CHECK_OK(pipe(release));
    fflush(NULL);
    pid_t holder = fork();
    if (holder == 0) {
        struct sys *own = sys_posix();
        struct sys_file *again = open_again(own, "orphan", 0);
        int error = own->ops->lock(again, LOCK_AT, 1, SYS_EXCLUSIVE);
        if (error == 0 && fork() == 0) {
            /* The grandchild outlives the holder, until the test lets it go. */
            close(release[1]);
            (void)!write(ready[1], "x", 1);
            (void)!read(release[0], &byte, 1);
            _exit(0);
        }
        _exit(error != 0);
    }
    CHECK_EQ(read(ready[0], &byte, 1), 1);
    CHECK_EQ(wait_for(holder), 0);
    CHECK_OK(sys->ops->lock(file, LOCK_AT, 1, SYS_EXCLUSIVE));
    for (int i = 0; i < 2; i++) {
        close(ready[i]);
        close(release[i]);
    }
    sys->ops->close(file);
}

/* A child that has locked some bytes of the file, until its end of the pipe is closed. */
struct lodger {
    pid_t pid;
    int release;
};

static int lock_as_lodger(const char *name)
{
    struct sys *sys = sys_posix();
    struct sys_file *file = open_again(sys, name, 0);
    int other_fd = open(unit_path(name), O_RDWR);
    (void)prctl(PR_SET_NAME, "a\033[31m lodger");
    return flock(other_fd, LOCK_SH) != 0 ||
           sys->ops->lock(file, LOCK_AT, 3, SYS_EXCLUSIVE) != 0 ||
           sys->ops->lock(file, LOCK_AT + 5, 1, SYS_SHARED) != 0;
}

static struct lodger lodger_start(const char *name)
{
    int ready[2];
    int release[2];
    char byte = 0;
    CHECK_OK(pipe(ready));
    CHECK_OK(pipe(release));
    fflush(NULL);
    struct lodger lodger = {.pid = fork(), .release = release[1]};
    if (lodger.pid == 0) {
        close(release[1]);
        if (lock_as_lodger(name) == 0)
            (void)!write(ready[1], "x", 1);
        (void)!read(release[0], &byte, 1);
        _exit(0);
    }
    close(ready[1]);
    CHECK_EQ(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(release[0]);
    return lodger;
}

TEST(sys_posix__holder_is_named_across_processes)
{
    struct sys *sys = sys_posix();
    struct sys_file *file = open_new(sys, "lodger");
    uint32_t pid = 0;
    char program[SYS_PROGRAM_BYTES];
    CHECK(file != NULL);
    struct lodger lodger = lodger_start("lodger");
    static const uint64_t locked[] = {0, 1, 2, 5};
    for (int i = 0; i < 4; i++) {
        sys->ops->lock_holder(file, LOCK_AT + locked[i], 0, &pid, program);
        CHECK_EQ(pid, lodger.pid);
        CHECK(strcmp(program, "a?[31m lodger") == 0);
    }
    /* The lock of flock() covers the whole file, and is none of ours. */
    static const uint64_t not_locked[] = {3, 4, 6};
    for (int i = 0; i < 3; i++) {
        sys->ops->lock_holder(file, LOCK_AT + not_locked[i], 0, &pid, program);
        CHECK_EQ(pid, 0);
        CHECK(program[0] == '\0');
    }
    close(lodger.release);
    CHECK_EQ(wait_for(lodger.pid), 0);
    sys->ops->lock_holder(file, LOCK_AT, 0, &pid, program);
    CHECK_EQ(pid, 0);
    sys->ops->close(file);
}

TEST(sys_posix__holder_of_a_lock_to_the_end_of_the_file_is_named)
{
    struct sys *sys = sys_posix();
    struct sys_file *file = open_new(sys, "endless");
    struct sys_lock_found found = {0};
    struct flock whole = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 8};
    uint32_t pid = 0;
    char program[SYS_PROGRAM_BYTES];
    int fd = open(unit_path("endless"), O_RDWR);
    CHECK(file != NULL);
    CHECK_OK(fcntl(fd, F_OFD_SETLK, &whole));
    sys->ops->lock_holder(file, LOCK_AT, 0, &pid, program);
    CHECK_EQ(pid, getpid());
    CHECK_EQ(sys->ops->lock_probe(file, LOCK_AT, 1, &found), 1);
    CHECK_EQ(found.start, 8);
    CHECK(found.start + found.len > LOCK_AT);
    CHECK_EQ(found.mode, SYS_SHARED);
    close(fd);
    sys->ops->close(file);
}

static int open_with_standard_error_closed(struct sys *sys)
{
    close(2);
    struct sys_file *file = open_again(sys, "high", SYS_CREATE);
    return file && fcntl(2, F_GETFD) < 0 ? 0 : 1;
}

TEST(sys_posix__descriptors_stay_clear_of_the_standard_three)
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        _exit(open_with_standard_error_closed(sys_posix()));
    CHECK_EQ(wait_for(child), 0);
}

struct traffic {
    struct sys *sys;
    atomic_bool is_over;
    char path[256];
};

static void *open_and_close(void *arg)
{
    struct traffic *traffic = arg;
    const struct sys_ops *ops = traffic->sys->ops;
    while (!atomic_load(&traffic->is_over)) {
        struct sys_file *file = NULL;
        if (ops->open(traffic->sys, traffic->path, SYS_CREATE, &file) == 0)
            ops->close(file);
    }
    return NULL;
}

TEST(sys_posix__fork_beside_opens_leaves_no_descriptor_in_the_child)
{
    int before = descriptor_count();
    struct traffic traffic = {.sys = sys_posix()};
    pthread_t thread;
    strcpy(traffic.path, unit_path("traffic"));
    CHECK_OK(pthread_create(&thread, NULL, open_and_close, &traffic));
    int strays = 0;
    fflush(NULL);
    for (int i = 0; i < 30; i++) {
        pid_t child = fork();
        if (child == 0)
            _exit(descriptor_count() != before);
        strays += wait_for(child) != 0;
    }
    atomic_store(&traffic.is_over, true);
    CHECK_OK(pthread_join(thread, NULL));
    CHECK_EQ(strays, 0);
}

/* ---- memory ---- */

/* Asks, destroys, and nothing is left. */
static void ask_memory(void (*asks)(struct sys *sys))
{
    (void)sys_posix();
#ifdef SCN_ASSERT
    size_t before = mem_live();
#endif
    struct sys *sys = sys_memory_create();
    CHECK(sys != NULL);
    asks(sys);
    sys_memory_destroy(sys);
#ifdef SCN_ASSERT
    CHECK_EQ(mem_live(), before);
#endif
}

TEST(sys_memory__keeps_files) { ask_memory(asks_for_files); }
static void asks_for_no_unnamed(struct sys *sys)
{
    struct sys_file *file = open_new(sys, "named");
    struct sys_file *other;
    CHECK_EQ(sys->ops->open(sys, "memory", SYS_UNNAMED, &other), -EOPNOTSUPP);
    CHECK_EQ(sys->ops->link_file(file, "memory"), -EOPNOTSUPP);
    sys->ops->close(file);
}

TEST(sys_memory__has_no_unnamed_files) { ask_memory(asks_for_no_unnamed); }
TEST(sys_memory__keeps_names) { ask_memory(asks_for_names); }
TEST(sys_memory__locks_exclude_two_handles) { ask_memory(asks_for_locks); }
TEST(sys_memory__holder_is_named_but_never_the_handle) { ask_memory(asks_for_holders); }
TEST(sys_memory__lock_ranges_split_and_merge) { ask_memory(asks_for_ranges); }
TEST(sys_memory__lock_survives_the_close_of_another_handle)
{
    ask_memory(asks_for_an_unrelated_close);
}
TEST(sys_memory__read_only_handles_lock_shared_only) { ask_memory(asks_for_read_only); }
TEST(sys_memory__threads_meet) { ask_memory(asks_for_threads); }
TEST(sys_memory__time_random_and_identity_are_told) { ask_memory(asks_for_the_rest); }

TEST(sys_memory__instances_share_nothing)
{
    struct sys *a = sys_memory_create();
    struct sys *b = sys_memory_create();
    struct sys_stat st;
    CHECK(a && b);
    struct sys_file *file = open_new(a, "private");
    CHECK(file != NULL);
    CHECK_EQ(b->ops->stat_path(b, unit_path("private"), &st), -ENOENT);
    a->ops->close(file);
    sys_memory_destroy(a);
    sys_memory_destroy(b);
    sys_memory_destroy(NULL);
}

TEST(sys_memory__impossible_growth_is_refused_and_changes_nothing)
{
    struct sys *sys = sys_memory_create();
    struct sys_stat st;
    struct sys_file *file = open_new(sys, "huge");
    CHECK(file != NULL);
    CHECK_EQ(sys->ops->write(file, 0, "abc", 3, 0), 3);
    CHECK_EQ(sys->ops->write(file, 100, "", 0, 0), 0);
    CHECK_EQ(sys->ops->truncate(file, UINT64_MAX), -EFBIG);
    CHECK_EQ(sys->ops->write(file, UINT64_MAX, "abc", 3, 0), -EFBIG);
    CHECK_OK(sys->ops->stat(file, &st));
    CHECK_EQ(st.size, 3);
    sys->ops->close(file);
    sys_memory_destroy(sys);
}

/* Bytes and locks against a plain array, at the borders of chunks and beyond. */
TEST(sys_memory__agrees_with_an_array)
{
    enum { SIZE = 300000, STEPS = 300 };
    uint64_t state = unit_seed();
    struct sys *sys = sys_memory_create();
    struct sys_file *file = open_new(sys, "array");
    uint8_t *model = mem_zalloc(SIZE);
    uint8_t *buf = mem_alloc(SIZE);
    uint64_t size = 0;
    CHECK(file && model && buf);
    for (int step = 0; step < STEPS; step++) {
        uint64_t off = unit_random(&state) % SIZE;
        uint64_t len = unit_random(&state) % (SIZE - off);
        if (step % 5 == 0) {
            CHECK_OK(sys->ops->truncate(file, off));
            if (off < size)
                memset(model + off, 0, size - off);
            size = off;
        } else if (step % 5 < 3) {
            memset(buf, step, len);
            memset(model + off, step, len);
            CHECK_EQ(sys->ops->write(file, off, buf, len, 0), len);
            size = len > 0 && off + len > size ? off + len : size;
        } else {
            uint64_t left = off < size ? size - off : 0;
            uint64_t count = len < left ? len : left;
            CHECK_EQ(sys->ops->read(file, off, buf, len, 0), count);
            CHECK(memcmp(buf, model + off, count) == 0);
        }
    }
    mem_free(model);
    mem_free(buf);
    sys->ops->close(file);
    sys_memory_destroy(sys);
}

static bool is_held_by(const uint8_t *model, int start, int end, bool by_exclusive)
{
    for (int i = start; i < end; i++)
        if (by_exclusive ? model[i] == SYS_EXCLUSIVE : model[i] != SYS_UNLOCK)
            return true;
    return false;
}

static void play_locks(struct sys *sys)
{
    enum { BYTES = 24, STEPS = 2000 };
    uint8_t model[2][BYTES] = {{0}};
    uint64_t state = unit_seed();
    struct sys_file *handles[2] = {open_new(sys, "play"), open_again(sys, "play", 0)};
    CHECK(handles[0] && handles[1]);
    for (int step = 0; step < STEPS; step++) {
        int side = (int)(unit_random(&state) % 2);
        int start = (int)(unit_random(&state) % BYTES);
        int len = 1 + (int)(unit_random(&state) % (uint64_t)(BYTES - start));
        enum sys_lock_mode mode = (enum sys_lock_mode)(unit_random(&state) % 3);
        int end = start + len;
        bool is_refused = mode != SYS_UNLOCK &&
                          is_held_by(model[!side], start, end, mode == SYS_SHARED);
        int error = sys->ops->lock(handles[side], LOCK_AT + (uint64_t)start,
                                   (uint64_t)len, mode);
        CHECK_EQ(error, is_refused ? -EAGAIN : 0);
        if (!is_refused)
            memset(model[side] + start, (int)mode, (size_t)len);
        CHECK_EQ(sys->ops->lock_probe(handles[side], LOCK_AT, BYTES, NULL),
                 is_held_by(model[!side], 0, BYTES, false));
    }
    sys->ops->close(handles[0]);
    sys->ops->close(handles[1]);
}

TEST(sys_posix__locks_agree_with_a_model) { play_locks(sys_posix()); }
TEST(sys_memory__locks_agree_with_a_model) { ask_memory(play_locks); }

/* ---- descriptors of the host ---- */

/* What is behind the descriptor from its first byte on, in a fresh file. */
static void adopts_a_file(struct sys *sys)
{
    char buf[8] = {0};
    bool can_seek = false;
    struct sys *owner;
    struct sys_file *file;
    int fd = open(unit_path("adopted"), O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK(fd >= 0);
    CHECK_EQ(write(fd, "before", 6), 6); /* byte 0 is behind it */
    CHECK_OK(sys->ops->adopt(sys, fd, &can_seek, &owner, &file));
    CHECK(can_seek);
    CHECK_EQ(owner->ops->write(file, 4, "tail", 4, 0), 4);
    CHECK_EQ(owner->ops->write(file, 0, "head", 4, 0), 4);
    CHECK_OK(owner->ops->start_flush(file, 0, 8));
    CHECK_OK(owner->ops->flush_range(file, 0, 8));
    CHECK_OK(owner->ops->sync(file));
    CHECK_EQ(owner->ops->read(file, 2, buf, 4, 0), 4);
    CHECK(memcmp(buf, "adta", 4) == 0);
    owner->ops->close(file);
    CHECK_EQ(pread(fd, buf, 8, 4), 8); /* the descriptor is still the host's */
    CHECK(memcmp(buf, "reheadta", 8) == 0);
    close(fd);
    CHECK_EQ(sys->ops->adopt(sys, fd, &can_seek, &owner, &file), -EBADF);
}

static void adopts_streams(struct sys *sys)
{
    char buf[8] = {0};
    bool can_seek = true;
    struct sys *owner;
    struct sys_file *file;
    int ends[2];
    CHECK_OK(pipe(ends));
    CHECK_OK(sys->ops->adopt(sys, ends[1], &can_seek, &owner, &file));
    CHECK(!can_seek);
    CHECK_EQ(owner->ops->write(file, 77, "ab", 2, 0), 2);
    CHECK_EQ(owner->ops->write(file, 0, "cd", 2, 0), 2);
    owner->ops->close(file);
    CHECK_OK(sys->ops->adopt(sys, ends[0], &can_seek, &owner, &file));
    CHECK_EQ(owner->ops->read(file, 0, buf, 3, 0), 3);
    CHECK_EQ(owner->ops->read(file, 0, buf + 3, 1, 0), 1);
    CHECK(memcmp(buf, "abcd", 4) == 0);
    owner->ops->close(file);
    close(ends[0]);
    close(ends[1]);
    int fd = open(unit_path("appended"), O_WRONLY | O_APPEND | O_CREAT, 0600);
    CHECK(fd >= 0);
    CHECK_OK(sys->ops->adopt(sys, fd, &can_seek, &owner, &file));
    CHECK(!can_seek); /* it would write at the end, whatever it is told */
    owner->ops->close(file);
    close(fd);
}

TEST(sys_posix__adopts_a_descriptor_and_leaves_it_open) { adopts_a_file(sys_posix()); }
TEST(sys_posix__adopts_what_cannot_be_sought) { adopts_streams(sys_posix()); }
TEST(sys_memory__adopts_descriptors_of_the_system)
{
    ask_memory(adopts_a_file);
    ask_memory(adopts_streams);
}
