/* The store's file: whole reads and writes, growth, sync, and the poison.
 *
 * [F1] The size only changes in file_grow and file_cut, each called with the append lock
 *      held.
 * [F2] A failed sync, by anybody and for whatever purpose, poisons: it may be the only
 *      report of a lost log page. A poisoned file accepts no write and no sync any more.
 *      Linux reports a failed write-back once to each open file description: the log's
 *      syncs have one of their own, so that a checkpoint's sync cannot swallow the
 *      report between the kernel's answer and the poison.  All others share one, and
 *      go one after the other, each up to its poison.
 * [F3] Pages are written and read through the page cache, and each written MiB is pushed
 *      out at once, so that a commit beside a checkpoint finds few dirty pages.
 *
 * Any thread. */
#ifndef PAGE_FILE_H
#define PAGE_FILE_H

#include "page/limits.h"
#include "page/sys.h"

#include <stdatomic.h>

struct file {
    struct sys *sys;             /* const after open */
    struct sys_file *handle;     /* const after open */
    struct sys_file *durable_handle; /* const after open; of the log's syncs alone [F2] */
    char *path;                  /* const after open; owned */
    uint64_t device;
    uint64_t inode;
    bool is_read_only;
    atomic_bool is_poisoned;
    struct sys_mutex *sync_mutex; /* a sync through handle, and its poison [F2] */
    struct sys_mutex *poison_mutex; /* page/publish.c, [U3] */
    struct sys_cond *poison_cond;
    _Atomic uint64_t session;    /* epoch of the session that others share
                                    (docs/processes.md); 0: there are no others */
    _Atomic uint64_t page_count; /* size of the file in whole pages, as this process
                                    knows it: others may have grown it */
    uint64_t max_bytes;          /* 0: no limit; growth beyond it is SCN_FULL */
    _Atomic uint64_t sync_count; /* statistics */
    _Atomic uint64_t written_bytes;
    _Atomic uint64_t read_bytes;
};

/* Opens an existing file. SCN_NOTFOUND (no such file; no sentence set), SCN_NOTADB
 * (folder or not a regular file), SCN_READONLY, SCN_IO, SCN_NOMEM. On failure file is
 * zeroed. */
scn_status file_open(struct file *file, struct sys *sys, const char *path, bool read_only)
    MUST_USE;
/* A new, empty file without a name [S4], in the folder that holds path.  One handle is
 * enough for it [F2]: whoever writes it gives it up after the first failure.
 * SCN_NOTFOUND (no sentence set): there are no such files here, or something else stands
 * in the way; SCN_NOMEM. */
scn_status file_open_unnamed(struct file *file, struct sys *sys, const char *path)
    MUST_USE;
/* It gets the name `path`, unless another file has it.  False: the system refuses it. */
bool file_give_name(struct file *file) MUST_USE;
void file_close(struct file *file);

/* Exactly len bytes, continuing short transfers and EINTR.  A read beyond the end is
 * SCN_CORRUPT.  flags: SYS_UNCACHED. */
scn_status file_read(struct file *file, uint64_t off, void *buf, uint64_t len,
                     uint32_t flags) MUST_USE;
/* Exactly len bytes inside the file.  SCN_POISONED, SCN_READONLY; SCN_FULL, SCN_IO: an
 * unknown part is written.  A write beyond the end poisons [F1].
 * flags: SYS_DSYNC, whose failure poisons [F2] and is SCN_IO, a full disk included. */
scn_status file_write(struct file *file, uint64_t off, const void *buf, uint64_t len,
                      uint32_t flags) MUST_USE;
/* One try to write bytes inside the file, also when it is poisoned, but only while the
 * handle leads to it.  Whether it worked is not told, nor set as the last error. */
void file_write_hint(struct file *file, uint64_t off, const void *buf, uint64_t len);
/* [F2].  SCN_POISONED, SCN_READONLY, SCN_IO (a full disk included). */
scn_status file_sync(struct file *file) MUST_USE;

/* The same for the log's bytes, through the handle that SYS_DSYNC writes use [F2]. */
scn_status file_sync_log(struct file *file) MUST_USE;

/* Whole pages, then pushed out [F3].  Write failures are retryable; a failed push
 * poisons. */
scn_status file_write_pages(struct file *file, uint32_t pgno, const void *pages,
                            uint32_t count) MUST_USE;
scn_status file_read_page(struct file *file, uint32_t pgno, void *page, uint32_t flags)
    MUST_USE;

/* Under the append lock.  Appends count pages and tells the first.  SCN_FULL; unchanged
 * on failure. */
scn_status file_grow(struct file *file, uint32_t count, uint32_t *first_pgno) MUST_USE;
/* Under the append lock and the checkpoint lock: cuts the file to page_count pages.
 * SCN_CORRUPT when it is shorter already; unchanged on failure. */
scn_status file_cut(struct file *file, uint64_t page_count) MUST_USE;

/* For this process, and for the others of the session. */
/* The size as it is now: others may have grown or cut the file.  SCN_IO. */
scn_status file_learn_size(struct file *file) MUST_USE;

void file_poison(struct file *file);
static inline bool file_is_poisoned(struct file *file)
{
    return atomic_load(&file->is_poisoned);
}
static inline uint64_t file_session(struct file *file)
{
    return atomic_load(&file->session);
}
/* SCN_OK, or SCN_POISONED with its sentence. */
scn_status file_check_poison(struct file *file) MUST_USE;

/* SCN_OK, or SCN_MOVED when the path no longer leads to this file (an absolute path; of a
 * relative one only that the file is deleted), or when the handle no longer does, which
 * poisons. */
scn_status file_check_moved(struct file *file) MUST_USE;
/* The handle alone: hosts call closefrom(), and another file may have got the number.
 * Before each superblock write. SCN_MOVED, poisoned. */
scn_status file_check_handle(struct file *file) MUST_USE;

#endif
