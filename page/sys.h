/* The one way to the world: files, locks, time, randomness, threads.
 *
 * Everything the library asks of the operating system goes through `struct sys`, a table
 * of functions with an owner.  sys_posix() is Linux.  sys_memory_create() is a store
 * without a file.  The fault simulator of the tests is one more implementation, and
 * therefore owns every step at which a crash, an error or a switch of threads can happen.
 *
 * Results: 0 or a positive count is success, a negative number is -errno.  read and write
 * may be short and may answer -EINTR; page/file.c continues them.  Functions may be
 * called by any thread unless said.
 *
 * [S1] A lock taken through a file handle is released when the handle is closed or its
 *      process dies, and by nothing else.
 * [S2] After sync returns 0, all bytes written through any handle of the file before the
 *      call survive a power cut, and so does the size.  After write with SYS_DSYNC
 *      returns, the bytes of that write do (and nothing is said of any other).
 * [S3] A failed sync may have dropped the written bytes: nobody repeats it.
 * [S4] A file without a name is gone with its last handle, with its process, and in a
 *      power cut. */
#ifndef PAGE_SYS_H
#define PAGE_SYS_H

#include "page/status.h"

#include <stdint.h>

struct sys;
struct sys_file;
struct sys_thread;
struct sys_mutex;
struct sys_cond;

enum {
    SYS_READ_ONLY = 1,
    SYS_CREATE = 2,   /* with SYS_EXCL: the name must not exist */
    SYS_EXCL = 4,
    SYS_UNNAMED = 8   /* alone: a new file without a name [S4], in the folder that holds
                         path */
};
enum {
    SYS_DSYNC = 1,    /* these bytes are durable when write returns */
    SYS_UNCACHED = 2  /* read: from the medium, not from the page cache, where it can be
                         had; off, len and buf are multiples of 4096 */
};
enum sys_lock_mode { SYS_UNLOCK, SYS_SHARED, SYS_EXCLUSIVE };
enum { SYS_PROGRAM_BYTES = 32 };

struct sys_lock_found {
    uint64_t start;
    uint64_t len;
    enum sys_lock_mode mode;
};

struct sys_stat {
    uint64_t size;
    uint64_t device;
    uint64_t inode;
    uint64_t links;
    bool is_regular;
    bool is_directory;
    bool has_lying_locks; /* a file system on which locks do not reach every user */
};

struct sys_ops {
    /* SYS_UNNAMED: -EOPNOTSUPP, or something else, where the file system has no such
     * files or could not give them a name. */
    int (*open)(struct sys *sys, const char *path, uint32_t flags, struct sys_file **out);
    /* A handle for a descriptor of the host's, which stays the host's: closing the handle
     * leaves it open.  Byte 0 is where the descriptor stands.  With *can_seek false (a
     * pipe, a file that is only appended to) each read or write goes on where the one
     * before has ended, and off is not looked at.  The handle is for the functions of
     * *owner: a store in memory writes to real files. */
    int (*adopt)(struct sys *sys, int fd, bool *can_seek, struct sys **owner,
                 struct sys_file **out);
    void (*close)(struct sys_file *file);
    int (*stat_path)(struct sys *sys, const char *path, struct sys_stat *out);
    int (*stat)(struct sys_file *file, struct sys_stat *out);
    int64_t (*read)(struct sys_file *file, uint64_t off, void *buf, uint64_t len,
                    uint32_t flags);
    int64_t (*write)(struct sys_file *file, uint64_t off, const void *buf, uint64_t len,
                     uint32_t flags);
    int (*sync)(struct sys_file *file);
    /* Start and await write-back of a range.  Promises no durability; keeps dirty pages
     * few, so that somebody else's sync has little to wait for. */
    int (*flush_range)(struct sys_file *file, uint64_t off, uint64_t len);
    /* Start it, and wait for nothing but a place in the queue. */
    int (*start_flush)(struct sys_file *file, uint64_t off, uint64_t len);
    /* What the file becomes longer by is zero, and takes its room on the disk at once
     * where the file system can do that: later writes there find it.  -ENOSPC: the file
     * is as long as before. */
    int (*truncate)(struct sys_file *file, uint64_t size);
    int (*rename)(struct sys *sys, const char *from, const char *to);
    /* Fails with -EEXIST when the new name exists. */
    int (*link)(struct sys *sys, const char *from, const char *to);
    /* The same for a file that was opened with SYS_UNNAMED, which has a name then. */
    int (*link_file)(struct sys_file *file, const char *to);
    int (*unlink)(struct sys *sys, const char *path);
    /* Makes names in the folder that holds path durable. */
    int (*sync_dir)(struct sys *sys, const char *path);
    /* Never waits: -EAGAIN when somebody else holds a conflicting lock. */
    int (*lock)(struct sys_file *file, uint64_t start, uint64_t len,
                enum sys_lock_mode mode);
    /* 1 when an exclusive lock of ours would meet another owner's, 0 when not.  *found
     * (may be NULL) is then one such lock, as a whole: adjacent ones of one owner and
     * mode may be one.  Does not see this handle's own locks. */
    int (*lock_probe)(struct sys_file *file, uint64_t start, uint64_t len,
                      struct sys_lock_found *found);
    /* Who holds a lock on this byte that an exclusive one of ours would meet, the nth of
     * them from 0 on; pid 0 and an empty name when nobody does or the system does not
     * tell.  Never this handle; another of this process has our own pid.  Takes
     * milliseconds on Linux: for answers to people. */
    void (*lock_holder)(struct sys_file *file, uint64_t byte, uint32_t nth, uint32_t *pid,
                        char program[SYS_PROGRAM_BYTES]);

    uint64_t (*now_ns)(struct sys *sys);  /* monotonic */
    int64_t (*wall_ms)(struct sys *sys);  /* since 1970 */
    int (*random)(struct sys *sys, void *buf, uint64_t len);
    uint32_t (*pid)(struct sys *sys);
    /* Changes with every boot of the machine; zeros when unknown. */
    void (*boot_id)(struct sys *sys, uint8_t out[16]);
    /* True in a child of the process that made this instance.  Its files are closed
     * there, without unlocking anything of the parent's; an open of its own needs a new
     * instance. */
    bool (*is_forked)(struct sys *sys);
    /* Free bytes on the file system of the file. */
    int (*free_bytes)(struct sys_file *file, uint64_t *out);

    int (*thread_start)(struct sys *sys, void (*run)(void *), void *arg,
                        struct sys_thread **out);
    void (*thread_join)(struct sys_thread *thread);
    /* A number for the calling thread, unequal to 0 and to every other live thread's. */
    uint64_t (*thread_id)(struct sys *sys);
    int (*mutex_create)(struct sys *sys, struct sys_mutex **out);
    void (*mutex_destroy)(struct sys_mutex *mutex);
    void (*mutex_lock)(struct sys_mutex *mutex);
    /* deadline_ns on the now_ns clock; false when it passed. */
    bool (*mutex_lock_until)(struct sys_mutex *mutex, uint64_t deadline_ns);
    void (*mutex_unlock)(struct sys_mutex *mutex);
    int (*cond_create)(struct sys *sys, struct sys_cond **out);
    void (*cond_destroy)(struct sys_cond *cond);
    /* deadline_ns 0: no limit.  False when the deadline passed.  May wake for nothing. */
    bool (*cond_wait)(struct sys_cond *cond, struct sys_mutex *mutex,
                      uint64_t deadline_ns);
    void (*cond_wake_all)(struct sys_cond *cond);
};

/* An implementation embeds this as its first member. */
struct sys {
    const struct sys_ops *ops;
    /* The open stores of this instance, owned by engine/store.c; NULL when none.  Guarded
     * by registry_mutex, which the instance creates before its first use. */
    void *registry;
    struct sys_mutex *registry_mutex;
};

/* Linux; one instance a process, never freed: in a forked child a fresh one.  NULL: no
 * memory.  Other implementations may hand on its time, randomness and threads. */
struct sys *sys_posix(void);

/* Files that live in memory and vanish with the instance, for `:memory:`.  Time,
 * randomness and threads are those of sys_posix().  Destroy it after the last close. */
struct sys *sys_memory_create(void);
void sys_memory_destroy(struct sys *sys);

#endif
