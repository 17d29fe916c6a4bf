/* The store's file: see file.h.
 *
 * What is retryable and what is not decides everything here.  A failed write leaves bytes
 * that nobody refers to yet, so it may be tried again.  A failed sync, in whatever shape
 * (fdatasync, a write with SYS_DSYNC, the push of a range), is different: the kernel
 * reports the loss of a dirty page once per description and then takes the page for
 * clean.  The next sync would succeed without it.  Whoever sees the report cannot know
 * whose page it was, so the file is poisoned [F2], and running out of space counts as a
 * failed sync as well if a sync reports it (copy-on-write file systems do that). */
#include "page/file.h"

#include "page/mem.h"
#include "page/publish.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum {
    /* One MiB: long enough to stream, short enough that a commit beside it waits for
     * a few milliseconds of writing at most [F3]. */
    PUSH_BYTES = 1 << 20,
    PUSH_PAGES = PUSH_BYTES / PAGE_BYTES
};

static uint64_t page_off(uint64_t pgno)
{
    return pgno * PAGE_BYTES;
}

static bool is_same(const struct file *file, const struct sys_stat *st)
{
    return st->device == file->device && st->inode == file->inode;
}

/* ---- open ---- */

static scn_status check_kind(const struct sys_stat *st, const char *path)
{
    if (st->is_directory)
        return error_set(SCN_NOTADB, 0, 0, 0, "file: %s is a folder", path);
    if (!st->is_regular)
        return error_set(SCN_NOTADB, 0, 0, 0, "file: %s is not a regular file", path);
    return SCN_OK;
}

/* Looks before it opens: to open a pipe waits for its other end, to open a device may
 * act. */
static scn_status open_handle(struct file *file, const char *path)
{
    struct sys *sys = file->sys;
    struct sys_stat st;
    int error = sys->ops->stat_path(sys, path, &st);
    if (error == -ENOENT)
        return SCN_NOTFOUND;
    if (error != 0)
        return error_sys(error, 0, "file: cannot look at %s", path);
    scn_status status = check_kind(&st, path);
    if (status != SCN_OK)
        return status;
    uint32_t flags = file->is_read_only ? SYS_READ_ONLY : 0;
    error = sys->ops->open(sys, path, flags, &file->handle);
    if (error == -ENOENT)
        return SCN_NOTFOUND;
    if (error != 0)
        return error_sys(error, 0, "file: cannot open %s", path);
    return SCN_OK;
}

/* What the handle leads to counts; the path may have changed since. */
static scn_status identify(struct file *file)
{
    struct sys_stat st;
    int error = file->sys->ops->stat(file->handle, &st);
    if (error != 0)
        return error_sys(error, 0, "file: cannot look at %s", file->path);
    file->device = st.device;
    file->inode = st.inode;
    atomic_store(&file->page_count, st.size / PAGE_BYTES);
    return check_kind(&st, file->path);
}

static scn_status keep_path(struct file *file, const char *path)
{
    size_t size = strlen(path) + 1;
    file->path = mem_alloc(size);
    if (!file->path)
        return error_nomem();
    memcpy(file->path, path, size);
    return SCN_OK;
}

/* [F2] a second open file description, to which the system reports each failure anew. */
static scn_status open_durable_handle(struct file *file)
{
    struct sys_stat st;
    if (file->is_read_only)
        return SCN_OK;
    int error = file->sys->ops->open(file->sys, file->path, 0, &file->durable_handle);
    if (error == 0)
        error = file->sys->ops->stat(file->durable_handle, &st);
    if (error != 0)
        return error_sys(error, 0, "file: cannot open %s", file->path);
    if (st.device != file->device || st.inode != file->inode)
        return error_set(SCN_MOVED, 0, 0, 0, "file: %s was replaced while it was opened",
                         file->path);
    return SCN_OK;
}

static scn_status make_mutexes(struct file *file)
{
    const struct sys_ops *ops = file->sys->ops;
    int error = ops->mutex_create(file->sys, &file->sync_mutex);
    if (error == 0)
        error = ops->mutex_create(file->sys, &file->poison_mutex);
    if (error == 0)
        error = ops->cond_create(file->sys, &file->poison_cond);
    return error ? error_sys(error, 0, "file: no mutex for %s", file->path) : SCN_OK;
}

scn_status file_open(struct file *file, struct sys *sys, const char *path, bool read_only)
{
    *file = (struct file){.sys = sys, .is_read_only = read_only};
    scn_status st = keep_path(file, path);
    if (st == SCN_OK)
        st = make_mutexes(file);
    if (st == SCN_OK)
        st = open_handle(file, path);
    if (st == SCN_OK)
        st = identify(file);
    if (st == SCN_OK)
        st = open_durable_handle(file);
    if (st != SCN_OK)
        file_close(file);
    return st;
}

scn_status file_open_unnamed(struct file *file, struct sys *sys, const char *path)
{
    *file = (struct file){.sys = sys};
    scn_status st = keep_path(file, path);
    if (st == SCN_OK)
        st = make_mutexes(file);
    if (st == SCN_OK && sys->ops->open(sys, path, SYS_UNNAMED, &file->handle) != 0)
        st = SCN_NOTFOUND;
    if (st == SCN_OK)
        st = identify(file);
    file->durable_handle = file->handle;
    if (st != SCN_OK)
        file_close(file);
    return st;
}

bool file_give_name(struct file *file)
{
    int error = file->sys->ops->link_file(file->handle, file->path);
    return error == 0 || error == -EEXIST;
}

void file_close(struct file *file)
{
    if (file->durable_handle && file->durable_handle != file->handle)
        file->sys->ops->close(file->durable_handle);
    if (file->handle)
        file->sys->ops->close(file->handle);
    if (file->poison_cond)
        file->sys->ops->cond_destroy(file->poison_cond);
    if (file->poison_mutex)
        file->sys->ops->mutex_destroy(file->poison_mutex);
    if (file->sync_mutex)
        file->sys->ops->mutex_destroy(file->sync_mutex);
    mem_free(file->path);
    *file = (struct file){0};
}

/* ---- poison ---- */

void file_poison(struct file *file)
{
    bool was_poisoned = atomic_exchange(&file->is_poisoned, true);
    uint64_t session = file_session(file);
    if (!was_poisoned && session && !file->is_read_only)
        publish_poison(file, session);
}

scn_status file_check_poison(struct file *file)
{
    if (!file_is_poisoned(file))
        return SCN_OK;
    return error_set(SCN_POISONED, 0, 0, 0,
                     "file: an earlier write or sync of %s failed; nothing is written "
                     "until it is opened again", file->path);
}

/* A failed sync, of whatever shape [F2]. */
static scn_status poison_with(struct file *file, int error, uint64_t off,
                              const char *what)
{
    file_poison(file);
    return error_set(SCN_IO, error, off / PAGE_BYTES, off, "file: %s of %s failed", what,
                     file->path);
}

static scn_status check_writable(struct file *file)
{
    if (file->is_read_only)
        return error_set(SCN_READONLY, 0, 0, 0, "file: %s is open for reading only",
                         file->path);
    return file_check_poison(file);
}

/* ---- bytes ---- */

scn_status file_read(struct file *file, uint64_t off, void *buf, uint64_t len,
                     uint32_t flags)
{
    const struct sys_ops *ops = file->sys->ops;
    uint8_t *to = buf;
    uint64_t done = 0;
    while (done < len) {
        int64_t count = ops->read(file->handle, off + done, to + done, len - done, flags);
        if (count == -EINTR)
            continue;
        if (count < 0)
            return error_sys((int)count, off + done, "file: reading %s", file->path);
        if (count == 0)
            return error_corrupt(off / PAGE_BYTES, off + done,
                                 "file: %s ends at %" PRIu64 ", in what was to be read",
                                 file->path, off + done);
        done += (uint64_t)count;
        if (done % SUPERBLOCK_BYTES != 0)
            flags = 0; /* the file's end: past the cache one cannot go on from here */
    }
    atomic_fetch_add_explicit(&file->read_bytes, len, memory_order_relaxed);
    return SCN_OK;
}

/* The size as the kernel knows it; others may have grown the file. */
static scn_status learn_size(struct file *file, uint64_t *size)
{
    struct sys_stat st;
    int error = file->sys->ops->stat(file->handle, &st);
    if (error != 0)
        return error_sys(error, 0, "file: cannot look at %s", file->path);
    *size = st.size;
    return SCN_OK;
}

/* Nobody's newer value is overwritten: the exchange fails if another thread has learnt
 * the size, grown or cut the file in between.  What that one has seen may be older than
 * what was seen here, so it is looked at once more; each turn another thread has done
 * so. */
scn_status file_learn_size(struct file *file)
{
    uint64_t known;
    uint64_t size = 0;
    scn_status st;
    do {
        known = atomic_load(&file->page_count);
        st = learn_size(file, &size);
    } while (st == SCN_OK && !atomic_compare_exchange_strong(&file->page_count, &known,
                                                             size / PAGE_BYTES));
    return st;
}

/* Raises page_count to what another process grew, as above. */
static scn_status check_inside(struct file *file, uint64_t end)
{
    uint64_t known = atomic_load(&file->page_count);
    if (end <= page_off(known))
        return SCN_OK;
    uint64_t size = 0;
    scn_status st = learn_size(file, &size);
    if (st != SCN_OK)
        return st;
    uint64_t found = size / PAGE_BYTES;
    if (found > known)
        (void)atomic_compare_exchange_strong(&file->page_count, &known, found);
    if (end <= size)
        return SCN_OK;
    /* The last guard of [F1]: either we are about to write at a wrong place, or
     * somebody cut the file under us.  Both times the file is not what we believe. */
    file_poison(file);
    return error_set(SCN_IO, 0, end / PAGE_BYTES, end,
                     "file: a write up to %" PRIu64 " passes the end of %s at %" PRIu64,
                     end, file->path, size);
}

static scn_status write_failed(struct file *file, int error, uint64_t off, uint32_t flags)
{
    if (flags & SYS_DSYNC)
        return poison_with(file, error, off, "a durable write");
    return error_sys(error, off, "file: writing %s", file->path);
}

static scn_status write_all(struct file *file, uint64_t off, const void *buf,
                            uint64_t len, uint32_t flags)
{
    const struct sys_ops *ops = file->sys->ops;
    struct sys_file *handle = flags & SYS_DSYNC ? file->durable_handle : file->handle;
    const uint8_t *from = buf;
    uint64_t done = 0;
    while (done < len) {
        int64_t count =
            ops->write(handle, off + done, from + done, len - done, flags);
        if (count == -EINTR)
            continue;
        if (count <= 0)
            return write_failed(file, count ? (int)count : -EIO, off + done, flags);
        done += (uint64_t)count;
    }
    return SCN_OK;
}

scn_status file_write(struct file *file, uint64_t off, const void *buf, uint64_t len,
                      uint32_t flags)
{
    scn_status st = check_writable(file);
    if (st == SCN_OK)
        st = check_inside(file, off + len);
    if (st == SCN_OK)
        st = write_all(file, off, buf, len, flags);
    if (st != SCN_OK)
        return st;
    atomic_fetch_add_explicit(&file->written_bytes, len, memory_order_relaxed);
    if (flags & SYS_DSYNC)
        atomic_fetch_add_explicit(&file->sync_count, 1, memory_order_relaxed);
    return SCN_OK;
}

void file_write_hint(struct file *file, uint64_t off, const void *buf, uint64_t len)
{
    struct sys_stat st;
    if (file->is_read_only || file->sys->ops->stat(file->handle, &st) != 0)
        return;
    if (is_same(file, &st) && off + len <= st.size)
        (void)file->sys->ops->write(file->handle, off, buf, len, 0);
}

static scn_status sync_handle(struct file *file, struct sys_file *handle)
{
    scn_status st = check_writable(file);
    if (st != SCN_OK)
        return st;
    int error = file->sys->ops->sync(handle);
    if (error != 0)
        return poison_with(file, error, 0, "a sync");
    atomic_fetch_add_explicit(&file->sync_count, 1, memory_order_relaxed);
    return SCN_OK;
}

/* [F2] One after the other: of two, the system tells one alone of a lost page, whose it
 * may not be; who comes second finds the poison. */
scn_status file_sync(struct file *file)
{
    file->sys->ops->mutex_lock(file->sync_mutex);
    scn_status st = sync_handle(file, file->handle);
    file->sys->ops->mutex_unlock(file->sync_mutex);
    return st;
}

scn_status file_sync_log(struct file *file)
{
    return sync_handle(file, file->durable_handle);
}

/* ---- pages ---- */

static scn_status write_and_push(struct file *file, uint64_t off, const void *pages,
                                 uint64_t len)
{
    scn_status st = file_write(file, off, pages, len, 0);
    if (st != SCN_OK)
        return st;
    int error = file->sys->ops->flush_range(file->handle, off, len);
    return error == 0 ? SCN_OK : poison_with(file, error, off, "the write-back");
}

scn_status file_write_pages(struct file *file, uint32_t pgno, const void *pages,
                            uint32_t count)
{
    ASSERT(pgno < FILE_PAGES_MAX);
    ASSERT(count <= FILE_PAGES_MAX - pgno);
    for (uint32_t done = 0; done < count;) {
        uint32_t some = count - done < PUSH_PAGES ? count - done : PUSH_PAGES;
        scn_status st = write_and_push(file, page_off((uint64_t)pgno + done),
                                       (const uint8_t *)pages + page_off(done),
                                       page_off(some));
        if (st != SCN_OK)
            return st;
        done += some;
    }
    return SCN_OK;
}

scn_status file_read_page(struct file *file, uint32_t pgno, void *page, uint32_t flags)
{
    if (pgno >= FILE_PAGES_MAX)
        return error_corrupt(pgno, 0, "file: no file has a page %" PRIu32, pgno);
    return file_read(file, page_off(pgno), page, PAGE_BYTES, flags);
}

/* ---- size ---- */

static scn_status set_size(struct file *file, uint64_t page_count)
{
    uint64_t size = page_off(page_count);
    int error = file->sys->ops->truncate(file->handle, size);
    if (error != 0)
        return error_sys(error, size, "file: setting the size of %s to %" PRIu64,
                         file->path, size);
    atomic_store(&file->page_count, page_count);
    return SCN_OK;
}

static scn_status check_limit(struct file *file, uint64_t page_count)
{
    uint64_t limit = page_off(FILE_PAGES_MAX);
    if (file->max_bytes != 0 && file->max_bytes < limit)
        limit = file->max_bytes;
    if (page_off(page_count) <= limit)
        return SCN_OK;
    return error_set(SCN_FULL, 0, 0, limit,
                     "file: %s may not grow to %" PRIu64 " bytes; the limit is %" PRIu64,
                     file->path, page_off(page_count), limit);
}

/* The size is asked for anew: another process may have grown the file.  A last part of
 * a page belongs to nobody (growth is by whole pages) and is covered. */
scn_status file_grow(struct file *file, uint32_t count, uint32_t *first_pgno)
{
    uint64_t size = 0;
    scn_status st = check_writable(file);
    if (st == SCN_OK)
        st = learn_size(file, &size);
    if (st != SCN_OK)
        return st;
    uint64_t first = (size + PAGE_BYTES - 1) / PAGE_BYTES;
    st = check_limit(file, first + count);
    if (st == SCN_OK)
        st = set_size(file, first + count);
    if (st == SCN_OK)
        *first_pgno = (uint32_t)first;
    return st;
}

scn_status file_cut(struct file *file, uint64_t page_count)
{
    uint64_t size = 0;
    scn_status st = check_writable(file);
    if (st == SCN_OK)
        st = learn_size(file, &size);
    if (st != SCN_OK)
        return st;
    if (size < page_off(page_count))
        return error_corrupt(page_count, size,
                             "file: %s ends at %" PRIu64 ", before its last used page",
                             file->path, size);
    return set_size(file, page_count);
}

/* ---- moved ---- */

/* The program may have closed our descriptor and got the number for another file: what we
 * write would go there. */
static scn_status check_handle(struct file *file, struct sys_stat *st)
{
    int error = file->sys->ops->stat(file->handle, st);
    if (error == 0 && is_same(file, st))
        return SCN_OK;
    file_poison(file);
    return error_set(SCN_MOVED, -error, 0, 0,
                     "file: the program closed the descriptor of %s", file->path);
}

/* A relative path leads elsewhere once the program changes its folder.  So it can only
 * prove that the file is still there; that it is gone shows in the number of its
 * names. */
scn_status file_check_handle(struct file *file)
{
    struct sys_stat handle;
    return check_handle(file, &handle);
}

scn_status file_check_moved(struct file *file)
{
    struct sys_stat handle;
    struct sys_stat path;
    scn_status st = check_handle(file, &handle);
    if (st != SCN_OK)
        return st;
    int error = file->sys->ops->stat_path(file->sys, file->path, &path);
    if (error == 0 && is_same(file, &path))
        return SCN_OK;
    if (handle.links == 0)
        return error_set(SCN_MOVED, 0, 0, 0, "file: %s was deleted or replaced",
                         file->path);
    if (file->path[0] != '/')
        return SCN_OK;
    if (error != 0 && error != -ENOENT && error != -ENOTDIR)
        return error_sys(error, 0, "file: cannot look at %s", file->path);
    return error_set(SCN_MOVED, 0, 0, 0, "file: %s is another file now, or none",
                     file->path);
}
