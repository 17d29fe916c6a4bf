/* The file against the real system, and against one that answers what the test tells it
 * to. */
#include "page/file.h"
#include "page/mem.h"
#include "test/sim/disk.h"
#include "test/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <unistd.h>

static void create_empty(struct sys *sys, const char *path)
{
    struct sys_file *handle = NULL;
    (void)sys->ops->unlink(sys, path);
    CHECK_OK(sys->ops->open(sys, path, SYS_CREATE | SYS_EXCL, &handle));
    sys->ops->close(handle);
}

/* An open file of some zero pages. */
static void open_pages(struct file *file, struct sys *sys, const char *name,
                       uint32_t count)
{
    uint32_t first = 99;
    create_empty(sys, unit_path(name));
    CHECK_OK(file_open(file, sys, unit_path(name), false));
    CHECK_EQ(file->page_count, 0);
    CHECK_OK(file_grow(file, count, &first));
    CHECK_EQ(first, 0);
}

static uint8_t *new_page(uint8_t fill)
{
    uint8_t *page = mem_alloc(PAGE_BYTES);
    CHECK(page != NULL);
    memset(page, fill, PAGE_BYTES);
    return page;
}

static uint64_t size_of(struct file *file)
{
    struct sys_stat st;
    CHECK_OK(file->sys->ops->stat(file->handle, &st));
    return st.size;
}

static void check_zeroed(const struct file *file)
{
    CHECK(file->handle == NULL);
    CHECK(file->path == NULL);
    CHECK(file->sys == NULL);
}

/* ---- open ---- */

TEST(file__open_tells_no_file_from_no_store)
{
    struct file file;
    CHECK_EQ(file_open(&file, sys_posix(), unit_path("absent"), false), SCN_NOTFOUND);
    check_zeroed(&file);
    CHECK_EQ(file_open(&file, sys_posix(), "/", false), SCN_NOTADB);
    check_zeroed(&file);
    CHECK_EQ(file_open(&file, sys_posix(), "/dev/null", false), SCN_NOTADB);
    CHECK(strstr(error_last()->text, "/dev/null") != NULL);
    check_zeroed(&file);
}

TEST(file__close_twice_is_harmless)
{
    struct file file;
    open_pages(&file, sys_posix(), "closed", 1);
    file_close(&file);
    check_zeroed(&file);
    file_close(&file);
}

TEST(file__read_only_refuses_every_change)
{
    struct file file;
    uint32_t first;
    open_pages(&file, sys_posix(), "read-only", 2);
    file_close(&file);
    CHECK_OK(file_open(&file, sys_posix(), unit_path("read-only"), true));
    uint8_t byte = 1;
    CHECK_OK(file_read(&file, 0, &byte, 1, 0));
    CHECK_EQ(byte, 0);
    CHECK_EQ(file_write(&file, 0, "x", 1, 0), SCN_READONLY);
    CHECK_EQ(file_grow(&file, 1, &first), SCN_READONLY);
    CHECK_EQ(file_cut(&file, 1), SCN_READONLY);
    CHECK_EQ(file_sync(&file), SCN_READONLY);
    CHECK(!file_is_poisoned(&file));
    file_close(&file);
}

/* ---- bytes and pages ---- */

TEST(file__returns_what_was_written)
{
    struct file file;
    char buf[5];
    open_pages(&file, sys_posix(), "bytes", 2);
    CHECK_OK(file_write(&file, PAGE_BYTES - 2, "abcde", 5, 0));
    CHECK_OK(file_write(&file, PAGE_BYTES - 1, "X", 1, SYS_DSYNC));
    CHECK_OK(file_sync(&file));
    CHECK_OK(file_read(&file, PAGE_BYTES - 2, buf, 5, 0));
    CHECK(memcmp(buf, "aXcde", 5) == 0);
    CHECK_EQ(file.sync_count, 2);
    CHECK_EQ(file.written_bytes, 6);
    CHECK_EQ(file.read_bytes, 5);
    file_close(&file);
}

TEST(file__pages_go_out_and_come_back_cached_or_not)
{
    enum { COUNT = (1 << 20) / PAGE_BYTES + 3 }; /* more than one push */
    struct file file;
    open_pages(&file, sys_posix(), "pages", COUNT + 1);
    uint8_t *pages = mem_region((size_t)COUNT * PAGE_BYTES);
    uint8_t *page = mem_region(PAGE_BYTES);
    CHECK(pages && page);
    for (uint32_t i = 0; i < COUNT; i++)
        memset(pages + (size_t)i * PAGE_BYTES, (int)i + 1, PAGE_BYTES);
    CHECK_OK(file_write_pages(&file, 1, pages, COUNT));
    for (uint32_t i = 0; i < COUNT; i++) {
        CHECK_OK(file_read_page(&file, i + 1, page, i % 2 ? SYS_UNCACHED : 0));
        CHECK(memcmp(page, pages + (size_t)i * PAGE_BYTES, PAGE_BYTES) == 0);
    }
    CHECK_OK(file_read_page(&file, 0, page, 0));
    CHECK_EQ(page[PAGE_BYTES - 1], 0);
    mem_region_free(pages, (size_t)COUNT * PAGE_BYTES);
    mem_region_free(page, PAGE_BYTES);
    file_close(&file);
}

TEST(file__reads_beyond_the_end_are_corrupt)
{
    struct file file;
    open_pages(&file, sys_posix(), "short", 2);
    uint8_t *page = new_page(0);
    CHECK_EQ(file_read_page(&file, 2, page, 0), SCN_CORRUPT);
    CHECK_EQ(error_last()->page, 2);
    CHECK_EQ(file_read(&file, 2 * PAGE_BYTES - 1, page, 2, 0), SCN_CORRUPT);
    CHECK_EQ(error_last()->offset, 2 * PAGE_BYTES);
    CHECK_EQ(file_read_page(&file, FILE_PAGES_MAX, page, 0), SCN_CORRUPT);
    CHECK_EQ(file_read_page(&file, UINT32_MAX, page, 0), SCN_CORRUPT);
    CHECK_OK(file_read_page(&file, 1, page, 0));
    mem_free(page);
    file_close(&file);
}

TEST(file__write_beyond_the_end_poisons_and_leaves_the_size)
{
    struct file file;
    open_pages(&file, sys_posix(), "beyond", 2);
    CHECK_EQ(file_write(&file, 2 * PAGE_BYTES - 1, "ab", 2, 0), SCN_IO);
    CHECK(file_is_poisoned(&file));
    CHECK_EQ(size_of(&file), 2 * PAGE_BYTES);
    file_close(&file);
}

TEST(file__writes_reach_what_another_handle_grew)
{
    struct file a;
    struct file b;
    uint32_t first = 0;
    open_pages(&a, sys_posix(), "shared", 1);
    CHECK_OK(file_open(&b, sys_posix(), unit_path("shared"), false));
    CHECK_OK(file_grow(&a, 4, &first));
    CHECK_EQ(first, 1);
    CHECK_OK(file_write(&b, 4 * PAGE_BYTES, "x", 1, 0));
    CHECK_EQ(b.page_count, 5);
    CHECK_OK(file_grow(&b, 1, &first));
    CHECK_EQ(first, 5);
    CHECK_OK(file_grow(&a, 1, &first));
    CHECK_EQ(first, 6);
    file_close(&a);
    file_close(&b);
}

/* ---- size ---- */

TEST(file__full_at_max_bytes_leaves_the_size)
{
    struct file file;
    uint32_t first = 77;
    open_pages(&file, sys_posix(), "full", 3);
    file.max_bytes = 5 * PAGE_BYTES + 1;
    CHECK_EQ(file_grow(&file, 3, &first), SCN_FULL);
    CHECK_EQ(first, 77);
    CHECK_EQ(size_of(&file), 3 * PAGE_BYTES);
    CHECK_EQ(file.page_count, 3);
    CHECK(!file_is_poisoned(&file));
    CHECK_OK(file_grow(&file, 2, &first));
    CHECK_EQ(first, 3);
    CHECK_EQ(file_grow(&file, 1, &first), SCN_FULL);
    file.max_bytes = 0;
    CHECK_EQ(file_grow(&file, FILE_PAGES_MAX, &first), SCN_FULL);
    CHECK_EQ(file_grow(&file, UINT32_MAX, &first), SCN_FULL);
    CHECK_EQ(size_of(&file), 5 * PAGE_BYTES);
    file_close(&file);
}

TEST(file__cut_gives_space_back_and_never_grows)
{
    struct file file;
    uint32_t first;
    open_pages(&file, sys_posix(), "cut", 6);
    CHECK_OK(file_write(&file, 5 * PAGE_BYTES, "old", 3, 0));
    CHECK_OK(file_cut(&file, 4));
    CHECK_EQ(size_of(&file), 4 * PAGE_BYTES);
    CHECK_EQ(file.page_count, 4);
    CHECK_OK(file_cut(&file, 4));
    CHECK_EQ(file_cut(&file, 5), SCN_CORRUPT);
    CHECK_EQ(size_of(&file), 4 * PAGE_BYTES);
    CHECK_OK(file_grow(&file, 2, &first));
    uint8_t byte = 1;
    CHECK_OK(file_read(&file, 5 * PAGE_BYTES, &byte, 1, 0));
    CHECK_EQ(byte, 0);
    file_close(&file);
}

TEST(file__growth_covers_a_part_of_a_page)
{
    struct file file;
    uint32_t first;
    open_pages(&file, sys_posix(), "odd", 2);
    CHECK_OK(file.sys->ops->truncate(file.handle, 2 * PAGE_BYTES + 100));
    CHECK_OK(file_grow(&file, 1, &first));
    CHECK_EQ(first, 3);
    CHECK_EQ(size_of(&file), 4 * PAGE_BYTES);
    file_close(&file);
}

/* ---- moved ---- */

TEST(file__moved_is_noticed_whether_deleted_replaced_or_renamed)
{
    char path[256];
    struct file file;
    struct sys *sys = sys_posix();
    open_pages(&file, sys, "here", 1);
    strcpy(path, unit_path("here"));
    CHECK_OK(file_check_moved(&file));
    CHECK_OK(sys->ops->rename(sys, path, unit_path("there")));
    CHECK_EQ(file_check_moved(&file), SCN_MOVED);
    create_empty(sys, path);
    CHECK_EQ(file_check_moved(&file), SCN_MOVED);
    CHECK_OK(sys->ops->rename(sys, unit_path("there"), path));
    CHECK_OK(file_check_moved(&file));
    CHECK_OK(sys->ops->unlink(sys, path));
    CHECK_EQ(file_check_moved(&file), SCN_MOVED);
    CHECK(!file_is_poisoned(&file));
    file_close(&file);
}

TEST(file__relative_path_does_not_move_with_the_working_folder)
{
    char home[256];
    struct file file;
    struct sys *sys = sys_posix();
    create_empty(sys, unit_path("relative"));
    CHECK(getcwd(home, sizeof home) != NULL);
    char folder[256];
    strcpy(folder, unit_path("relative"));
    *strrchr(folder, '/') = 0;
    CHECK_OK(chdir(folder));
    CHECK_OK(file_open(&file, sys, "relative", false));
    CHECK_OK(chdir("/"));
    CHECK_OK(file_check_moved(&file));
    CHECK_OK(sys->ops->unlink(sys, unit_path("relative")));
    CHECK_EQ(file_check_moved(&file), SCN_MOVED);
    CHECK_OK(chdir(home));
    file_close(&file);
}

static int descriptor_of(const struct file *file)
{
    for (int fd = 3; fd < 256; fd++) {
        char link[64];
        char path[256];
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t len = readlink(link, path, sizeof path - 1);
        path[len < 0 ? 0 : len] = 0;
        if (strcmp(path, file->path) == 0)
            return fd;
    }
    return -1;
}

TEST(file__a_stolen_descriptor_is_noticed_and_poisons)
{
    struct file file;
    open_pages(&file, sys_posix(), "stolen", 1);
    int fd = descriptor_of(&file);
    int other = open("/dev/null", O_RDWR);
    CHECK(fd >= 3 && other >= 0);
    CHECK_EQ(dup2(other, fd), fd);
    CHECK_EQ(file_check_moved(&file), SCN_MOVED);
    CHECK_EQ(file_write(&file, 0, "x", 1, 0), SCN_POISONED);
    close(other);
    file_close(&file);
}

/* ---- failures ---- */

/* The real system, except that the next operation of a kind fails or falls short. */
struct moody {
    struct sys sys;
    struct sys_ops ops;
    int write_error;
    int sync_error;
    int flush_error;
    int truncate_error;
    const struct sys_file *told; /* a lost page: the one handle that has reported it */
    bool is_slow; /* transfers at most 1000 bytes, and every second call is interrupted */
    int calls;
    int flushes;
};

static struct moody moody; /* the operations of a file do not tell whose it is */

static bool is_interrupted(uint64_t *len)
{
    if (!moody.is_slow)
        return false;
    *len = *len < 1000 ? *len : 1000;
    return moody.calls++ % 2 == 0;
}

/* The kernel tells each open file description once of a page that it has lost. */
static bool must_report(const struct sys_file *file)
{
    return moody.told && moody.told != file;
}

static int64_t moody_read(struct sys_file *file, uint64_t off, void *buf, uint64_t len,
                          uint32_t flags)
{
    if (is_interrupted(&len))
        return -EINTR;
    return sys_posix()->ops->read(file, off, buf, len, flags);
}

static int64_t moody_write(struct sys_file *file, uint64_t off, const void *buf,
                           uint64_t len, uint32_t flags)
{
    if (is_interrupted(&len))
        return -EINTR;
    if (moody.write_error || ((flags & SYS_DSYNC) && must_report(file)))
        return moody.write_error ? -moody.write_error : -EIO;
    return sys_posix()->ops->write(file, off, buf, len, flags);
}

static int moody_sync(struct sys_file *file)
{
    if (must_report(file))
        return -EIO;
    return moody.sync_error ? -moody.sync_error : sys_posix()->ops->sync(file);
}

static int moody_flush_range(struct sys_file *file, uint64_t off, uint64_t len)
{
    (void)file;
    (void)off;
    moody.flushes += len <= 1 << 20;
    return -moody.flush_error;
}

static int moody_truncate(struct sys_file *file, uint64_t size)
{
    if (moody.truncate_error)
        return -moody.truncate_error;
    return sys_posix()->ops->truncate(file, size);
}

static struct sys *moody_start(void)
{
    moody = (struct moody){.sys = *sys_posix(), .ops = *sys_posix()->ops};
    moody.sys.ops = &moody.ops;
    moody.ops.read = moody_read;
    moody.ops.write = moody_write;
    moody.ops.sync = moody_sync;
    moody.ops.flush_range = moody_flush_range;
    moody.ops.truncate = moody_truncate;
    /* open finds its instance behind the struct sys */
    return sys_posix();
}

static void open_moody(struct file *file, const char *name, uint32_t pages)
{
    open_pages(file, moody_start(), name, pages);
    file->sys = &moody.sys;
}

static void close_moody(struct file *file)
{
    file->sys = sys_posix();
    file_close(file);
}

TEST(file__short_and_interrupted_transfers_are_continued)
{
    struct file file;
    open_moody(&file, "slow", 2);
    uint8_t *out = new_page(0);
    uint8_t *in = new_page(0);
    for (int i = 0; i < PAGE_BYTES; i++)
        out[i] = (uint8_t)(i * 7 + i / 1000);
    moody.is_slow = true;
    CHECK_OK(file_write(&file, 100, out, PAGE_BYTES, SYS_DSYNC));
    CHECK_OK(file_read(&file, 100, in, PAGE_BYTES, 0));
    CHECK(memcmp(in, out, PAGE_BYTES) == 0);
    CHECK(moody.calls >= 4 * (PAGE_BYTES / 1000));
    mem_free(out);
    mem_free(in);
    close_moody(&file);
}

static void check_poisoned(struct file *file)
{
    uint32_t first;
    uint8_t byte;
    CHECK(file_is_poisoned(file));
    CHECK_EQ(file_check_poison(file), SCN_POISONED);
    CHECK_EQ(file_write(file, 0, "x", 1, 0), SCN_POISONED);
    CHECK_EQ(file_write(file, 0, "x", 1, SYS_DSYNC), SCN_POISONED);
    CHECK_EQ(file_sync(file), SCN_POISONED);
    CHECK_EQ(file_grow(file, 1, &first), SCN_POISONED);
    CHECK_EQ(file_cut(file, 1), SCN_POISONED);
    CHECK_OK(file_read(file, 0, &byte, 1, 0));
}

TEST(file__failed_sync_poisons_even_when_the_disk_is_only_full)
{
    static const int errors[] = {EIO, ENOSPC, EDQUOT, EINTR};
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        struct file file;
        open_moody(&file, "sync", 2);
        moody.sync_error = errors[i];
        CHECK_EQ(file_sync(&file), SCN_IO);
        CHECK_EQ(error_last()->sys_errno, errors[i]);
        moody.sync_error = 0;
        check_poisoned(&file);
        CHECK_EQ(file.sync_count, 0);
        close_moody(&file);
    }
}

TEST(file__failed_durable_write_poisons)
{
    struct file file;
    open_moody(&file, "dsync", 2);
    moody.write_error = ENOSPC;
    CHECK_EQ(file_write(&file, 0, "x", 1, SYS_DSYNC), SCN_IO);
    moody.write_error = 0;
    check_poisoned(&file);
    close_moody(&file);
}

/* Between the kernel's answer to a checkpoint and the poison a commit may come by. */
TEST(file__syncs_of_the_log_hear_of_what_others_were_told)
{
    struct file file;
    open_moody(&file, "told", 2);
    moody.told = file.handle;
    CHECK_EQ(file_write(&file, 0, "x", 1, SYS_DSYNC), SCN_IO);
    close_moody(&file);
    open_moody(&file, "told", 2);
    moody.told = file.handle;
    CHECK_EQ(file_sync_log(&file), SCN_IO);
    close_moody(&file);
}

TEST(file__failed_push_poisons)
{
    struct file file;
    open_moody(&file, "push", 2);
    uint8_t *page = new_page(3);
    moody.flush_error = EIO;
    CHECK_EQ(file_write_pages(&file, 1, page, 1), SCN_IO);
    CHECK_EQ(error_last()->page, 1);
    check_poisoned(&file);
    mem_free(page);
    close_moody(&file);
}

TEST(file__pages_are_pushed_a_mebibyte_at_a_time)
{
    enum { COUNT = 2 * (1 << 20) / PAGE_BYTES + 1 };
    struct file file;
    open_moody(&file, "pushes", COUNT);
    uint8_t *pages = mem_zalloc((size_t)COUNT * PAGE_BYTES);
    CHECK(pages != NULL);
    CHECK_OK(file_write_pages(&file, 0, pages, COUNT));
    CHECK_EQ(moody.flushes, 3);
    mem_free(pages);
    close_moody(&file);
}

TEST(file__failed_plain_write_and_growth_can_be_tried_again)
{
    struct file file;
    uint32_t first = 0;
    open_moody(&file, "retry", 2);
    uint8_t *page = new_page(3);
    moody.write_error = ENOSPC;
    CHECK_EQ(file_write_pages(&file, 1, page, 1), SCN_FULL);
    moody.write_error = EIO;
    CHECK_EQ(file_write(&file, 0, "x", 1, 0), SCN_IO);
    moody.write_error = 0;
    CHECK_OK(file_write_pages(&file, 1, page, 1));

    moody.truncate_error = ENOSPC;
    CHECK_EQ(file_grow(&file, 1, &first), SCN_FULL);
    CHECK_EQ(file.page_count, 2);
    moody.truncate_error = 0;
    CHECK_OK(file_grow(&file, 1, &first));
    CHECK_EQ(first, 2);
    mem_free(page);
    close_moody(&file);
}

/* ---- the size, and several threads ---- */

struct slower {
    struct file *file;
    uint64_t page_count; /* as it has seen the file some time ago */
    int calls;
};

static void learn_late(void *ctx, struct sim_disk *disk, enum sim_call call,
                       enum sim_moment moment)
{
    struct slower *slower = ctx;
    (void)disk;
    if (call == SIM_STAT && moment == SIM_AFTER && slower->calls++ == 0)
        atomic_store(&slower->file->page_count, slower->page_count);
}

/* Another thread has looked before the file became longer, and says so afterwards. */
TEST(file__size_is_not_older_than_the_look_at_it)
{
    struct sim_disk *disk = sim_disk_create(1);
    struct sys *sys = sim_process_create(disk);
    struct file file;
    struct file other;
    struct slower slower = {&file, 1, 0};
    uint32_t first;
    create_empty(sys, "some");
    CHECK_OK(file_open(&file, sys, "some", false));
    CHECK_OK(file_open(&other, sys, "some", false));
    CHECK_OK(file_grow(&other, 3, &first));
    sim_hook_set(disk, learn_late, &slower);
    CHECK_OK(file_learn_size(&file));
    sim_hook_set(disk, NULL, NULL);
    CHECK_EQ(slower.calls, 2);
    CHECK_EQ(file.page_count, 3);
    file_close(&file);
    file_close(&other);
    sim_process_destroy(sys);
    sim_disk_destroy(disk);
}
