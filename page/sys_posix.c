/* Linux behind struct sys.
 *
 * Locks are OFD locks: they belong to the open file description.  Unlike the older POSIX
 * kind they are not lost when an unrelated handle of the same file is closed, and they
 * exclude two handles of one process as well.  Their price is fork: a child shares the
 * description, so as long as it has the descriptor open it keeps every lock of its parent
 * alive, even after the parent's death.  Hence
 *  - all descriptors are O_CLOEXEC, for children that go on to exec;
 *  - a fork handler closes the descriptors of all open files in the child.  Closing
 *    releases nothing while the parent lives, and unlocking would release the parent's
 *    locks, so the child only closes;
 *  - opening and closing happen under `guard`, which the fork handlers hold across the
 *    fork: no descriptor is open and not yet listed, or unlisted and not yet closed, at
 *    that instant;
 *  - closing a file in its own process unlocks first, in case a description was handed to
 *    a child by a road without handlers (vfork, a bare clone).
 * That the process is a fork shows in a word that the kernel wipes in the child: getpid
 * says nothing where pids are reused, and handlers do not run on every road.
 *
 * Descriptors 0, 1 and 2 are never used: a program that closed its standard error and
 * prints a warning would print it into the store. */
#include "page/sys.h"

#include "page/fstype.h"
#include "page/mem.h"
#include "page/sys_proc.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S UINT64_C(1000000000)

#if defined(__SANITIZE_THREAD__)
#define IS_THREAD_SANITIZED 1
#elif defined(__has_feature)
#define IS_THREAD_SANITIZED __has_feature(thread_sanitizer)
#else
#define IS_THREAD_SANITIZED 0
#endif

enum {
    ALIVE_PAGE_BYTES = 4096,
    FIRST_FD = 3,
    PROC_PATH_MAX = 64,
    /* direct_fd, when it is no descriptor */
    DIRECT_UNTRIED = -1,
    DIRECT_REFUSED = -2
};

struct posix {
    struct sys sys;
    volatile uint32_t *alive; /* a page of its own; zero in a forked child */
    struct sys_file *files;   /* all open ones; under guard */
};

struct sys_file {
    struct posix *posix;
    int fd;                   /* const after open; -1 in a forked child */
    atomic_int direct_fd;     /* for SYS_UNCACHED; opened by the first who needs it */
    atomic_bool lacks_dsync;  /* the file system refused RWF_DSYNC once */
    bool is_adopted;          /* const; the host's descriptor, and not listed */
    bool is_stream;           /* const; of them, one that cannot be sought */
    uint64_t start;           /* const; of an adopted one, where byte 0 is */
    struct sys_file *next;    /* under guard */
    struct sys_file **link;
};

struct sys_thread {
    pthread_t thread;
    void (*run)(void *);
    void *arg;
};

struct sys_mutex {
    pthread_mutex_t mutex;
};

struct sys_cond {
    pthread_cond_t cond;
};

/* The fork handlers get no argument, so what they need cannot hang on an instance. */
static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;
static struct posix *instance;
static bool has_fork_handlers;

/* ---- files ---- */

static int or_errno(int64_t result)
{
    return result < 0 ? -errno : 0;
}

static void close_fd(int fd)
{
    /* Linux has let go of the number even where close reports an error: no second try. */
    if (fd >= 0)
        (void)close(fd);
}

/* Exchanges a descriptor for one above standard error. */
static int move_up(int fd)
{
    if (fd < 0 || fd >= FIRST_FD)
        return fd;
    int higher = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FD);
    int error = errno;
    close_fd(fd);
    errno = error;
    return higher;
}

static int open_fd(const char *path, int flags)
{
    int fd;
    do {
        fd = open(path, flags | O_CLOEXEC | O_NOCTTY, 0644);
    } while (fd < 0 && errno == EINTR);
    return move_up(fd);
}

static int open_flags(uint32_t flags)
{
    int access = flags & SYS_READ_ONLY ? O_RDONLY : O_RDWR;
    return access | (flags & SYS_CREATE ? O_CREAT : 0) | (flags & SYS_EXCL ? O_EXCL : 0);
}

static void proc_path(int fd, char out[PROC_PATH_MAX])
{
    snprintf(out, PROC_PATH_MAX, "/proc/self/fd/%d", fd);
}

/* The folder part of a path: "." for a bare name. */
static int folder_of(const char *path, char folder[PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    size_t len = slash ? (size_t)(slash - path) : 0;
    if (len >= PATH_MAX)
        return -ENAMETOOLONG;
    if (!slash)
        strcpy(folder, ".");
    else if (len == 0)
        strcpy(folder, "/");
    else
        snprintf(folder, PATH_MAX, "%.*s", (int)len, path);
    return 0;
}

/* It gets its name through /proc: without that it would be of no use. */
static int open_unnamed(const char *path)
{
    char folder[PATH_MAX];
    char link[PROC_PATH_MAX];
    int error = folder_of(path, folder);
    if (error != 0) {
        errno = -error;
        return -1;
    }
    int fd = open_fd(folder, O_RDWR | O_TMPFILE);
    if (fd < 0)
        return fd;
    proc_path(fd, link);
    if (access(link, F_OK) == 0)
        return fd;
    close_fd(fd);
    errno = EOPNOTSUPP;
    return -1;
}

static void list_file(struct posix *posix, struct sys_file *file)
{
    file->next = posix->files;
    file->link = &posix->files;
    if (file->next)
        file->next->link = &file->next;
    posix->files = file;
}

static void unlist_file(struct sys_file *file)
{
    *file->link = file->next;
    if (file->next)
        file->next->link = file->link;
}

static int posix_open(struct sys *sys, const char *path, uint32_t flags,
                      struct sys_file **out)
{
    struct posix *posix = (struct posix *)sys;
    struct sys_file *file = mem_zalloc(sizeof *file);
    if (!file)
        return -ENOMEM;
    file->posix = posix;
    atomic_init(&file->direct_fd, DIRECT_UNTRIED);

    pthread_mutex_lock(&guard);
    file->fd = flags & SYS_UNNAMED ? open_unnamed(path)
                                   : open_fd(path, open_flags(flags));
    int error = or_errno(file->fd);
    if (error == 0)
        list_file(posix, file);
    pthread_mutex_unlock(&guard);

    if (error != 0) {
        mem_free(file);
        return error;
    }
    /* Pages are read whole and at random; read-ahead would fetch neighbours that are
     * being written.  Advice. */
    (void)posix_fadvise(file->fd, 0, 0, POSIX_FADV_RANDOM);
    *out = file;
    return 0;
}

/* Linux lets pwrite on a descriptor with O_APPEND write at the end, wherever it is told
 * to: such a file is a stream as well. */
static int posix_adopt(struct sys *sys, int fd, bool *can_seek, struct sys **owner,
                       struct sys_file **out)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0)
        return -errno;
    struct sys_file *file = mem_zalloc(sizeof *file);
    if (!file)
        return -ENOMEM;
    off_t at = lseek(fd, 0, SEEK_CUR);
    *file = (struct sys_file){.posix = (struct posix *)sys, .fd = fd, .is_adopted = true};
    file->is_stream = at < 0 || (flags & O_APPEND);
    file->start = at < 0 ? 0 : (uint64_t)at;
    atomic_init(&file->direct_fd, DIRECT_REFUSED);
    *can_seek = !file->is_stream;
    *owner = sys;
    *out = file;
    return 0;
}

static int set_lock(int fd, int command, struct flock *lock)
{
    int result;
    do {
        result = fcntl(fd, command, lock);
    } while (result < 0 && errno == EINTR);
    return or_errno(result);
}

static bool is_forked(const struct posix *posix)
{
    return *posix->alive == 0;
}

static void close_descriptors(struct sys_file *file)
{
    close_fd(file->fd);
    close_fd(atomic_load(&file->direct_fd));
    file->fd = -1;
    atomic_store(&file->direct_fd, DIRECT_REFUSED);
}

static void posix_close(struct sys_file *file)
{
    struct flock everything = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
    if (file->is_adopted) {
        mem_free(file);
        return;
    }
    pthread_mutex_lock(&guard);
    if (!is_forked(file->posix))
        (void)set_lock(file->fd, F_OFD_SETLK, &everything);
    unlist_file(file);
    close_descriptors(file);
    pthread_mutex_unlock(&guard);
    mem_free(file);
}

static void fill_stat(const struct stat *from, const struct statfs *fs,
                      struct sys_stat *out)
{
    *out = (struct sys_stat){
        .size = (uint64_t)from->st_size,
        .device = from->st_dev,
        .inode = from->st_ino,
        .links = from->st_nlink,
        .is_regular = S_ISREG(from->st_mode),
        .is_directory = S_ISDIR(from->st_mode),
        .has_lying_locks = fstype_is_lying((uint32_t)fs->f_type),
    };
}

static int posix_stat_path(struct sys *sys, const char *path, struct sys_stat *out)
{
    (void)sys;
    struct stat found;
    struct statfs fs;
    if (stat(path, &found) < 0 || statfs(path, &fs) < 0)
        return -errno;
    fill_stat(&found, &fs, out);
    return 0;
}

static int posix_stat(struct sys_file *file, struct sys_stat *out)
{
    struct stat found;
    struct statfs fs;
    if (fstat(file->fd, &found) < 0 || fstatfs(file->fd, &fs) < 0)
        return -errno;
    fill_stat(&found, &fs, out);
    return 0;
}

/* A second description of the same inode, whatever its name is by now. */
static int open_direct(struct sys_file *file)
{
    char path[PROC_PATH_MAX];
    proc_path(file->fd, path);
    int fd = open_fd(path, O_RDONLY | O_DIRECT);
    return fd < 0 ? DIRECT_REFUSED : fd;
}

static int direct_fd(struct sys_file *file)
{
    int fd = atomic_load(&file->direct_fd);
    if (fd != DIRECT_UNTRIED)
        return fd;
    /* Under guard, for the sake of fork; and one of two readers opens it. */
    pthread_mutex_lock(&guard);
    fd = atomic_load(&file->direct_fd);
    if (fd == DIRECT_UNTRIED) {
        fd = open_direct(file);
        atomic_store(&file->direct_fd, fd);
    }
    pthread_mutex_unlock(&guard);
    return fd;
}

/* Some file systems take O_DIRECT at open and refuse the read, others want a coarser
 * alignment: they all get the second best, which asks the kernel to forget the range. */
static int64_t read_uncached(struct sys_file *file, uint64_t off, void *buf, uint64_t len)
{
    int fd = direct_fd(file);
    if (fd >= 0) {
        ssize_t count = pread(fd, buf, len, (off_t)off);
        if (count >= 0 || errno != EINVAL)
            return count < 0 ? -errno : count;
    }
    (void)posix_fadvise(file->fd, (off_t)off, (off_t)len, POSIX_FADV_DONTNEED);
    ssize_t count = pread(file->fd, buf, len, (off_t)off);
    return count < 0 ? -errno : count;
}

static int64_t posix_read(struct sys_file *file, uint64_t off, void *buf, uint64_t len,
                          uint32_t flags)
{
    if (flags & SYS_UNCACHED)
        return read_uncached(file, off, buf, len);
    off_t at = (off_t)(file->start + off);
    ssize_t count =
        file->is_stream ? read(file->fd, buf, len) : pread(file->fd, buf, len, at);
    return count < 0 ? -errno : count;
}

static bool is_refusal(int error)
{
    return error == EOPNOTSUPP || error == EINVAL || error == ENOSYS;
}

static int64_t write_dsync(struct sys_file *file, uint64_t off, const void *buf,
                           uint64_t len)
{
    if (!atomic_load_explicit(&file->lacks_dsync, memory_order_relaxed)) {
        struct iovec part = {.iov_base = (void *)(uintptr_t)buf, .iov_len = len};
        ssize_t count = pwritev2(file->fd, &part, 1, (off_t)off, RWF_DSYNC);
        if (count >= 0)
            return count;
        if (!is_refusal(errno))
            return -errno;
        atomic_store_explicit(&file->lacks_dsync, true, memory_order_relaxed);
    }
    ssize_t count = pwrite(file->fd, buf, len, (off_t)off);
    if (count < 0 || fdatasync(file->fd) < 0)
        return -errno;
    return count;
}

static int64_t posix_write(struct sys_file *file, uint64_t off, const void *buf,
                           uint64_t len, uint32_t flags)
{
    if (flags & SYS_DSYNC)
        return write_dsync(file, off, buf, len);
    off_t at = (off_t)(file->start + off);
    ssize_t count =
        file->is_stream ? write(file->fd, buf, len) : pwrite(file->fd, buf, len, at);
    return count < 0 ? -errno : count;
}

/* Not repeated, not even after EINTR [S3]. */
static int posix_sync(struct sys_file *file)
{
    return or_errno(fdatasync(file->fd));
}

enum {
    FLUSH_AND_WAIT = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
                     SYNC_FILE_RANGE_WAIT_AFTER
};

static int flush(struct sys_file *file, uint64_t off, uint64_t len, unsigned how)
{
    if (len == 0)
        return 0; /* to the kernel, zero means up to the end of the file */
    off64_t at = (off64_t)(file->start + off);
    int error = or_errno(sync_file_range(file->fd, at, (off64_t)len, how));
    bool is_missing = error == -ENOSYS || error == -EINVAL || error == -ESPIPE;
    return is_missing ? 0 : error;
}

static int posix_flush_range(struct sys_file *file, uint64_t off, uint64_t len)
{
    return flush(file, off, len, FLUSH_AND_WAIT);
}

static int posix_start_flush(struct sys_file *file, uint64_t off, uint64_t len)
{
    return flush(file, off, len, SYNC_FILE_RANGE_WRITE);
}

static int set_size(int fd, uint64_t size)
{
    int result;
    do {
        result = ftruncate(fd, (off_t)size);
    } while (result < 0 && errno == EINTR);
    return or_errno(result);
}

/* A hole takes no room: what is free in the file would be free on the disk a second time,
 * and whoever counts both promises what nobody can write.  0: the file is as long, or the
 * file system does not do so, or is interrupted each time. */
static int allocate(int fd, uint64_t from, uint64_t len)
{
    enum { TRIES = 3 };
    int error = -EINTR;
    for (int i = 0; i < TRIES && error == -EINTR; i++)
        error = or_errno(fallocate(fd, 0, (off_t)from, (off_t)len));
    return error == -ENOSPC || error == -EDQUOT ? error : 0;
}

/* Part of what there was no room for may be there. */
static int posix_truncate(struct sys_file *file, uint64_t size)
{
    struct stat st;
    if (fstat(file->fd, &st) < 0)
        return -errno;
    uint64_t old = (uint64_t)st.st_size;
    int error = size > old ? allocate(file->fd, old, size - old) : 0;
    if (error == 0)
        return set_size(file->fd, size);
    (void)set_size(file->fd, old);
    return error;
}

static int posix_rename(struct sys *sys, const char *from, const char *to)
{
    (void)sys;
    return or_errno(rename(from, to));
}

static int posix_link(struct sys *sys, const char *from, const char *to)
{
    (void)sys;
    return or_errno(link(from, to));
}

static int posix_link_file(struct sys_file *file, const char *to)
{
    char from[PROC_PATH_MAX];
    proc_path(file->fd, from);
    return or_errno(linkat(AT_FDCWD, from, AT_FDCWD, to, AT_SYMLINK_FOLLOW));
}

static int posix_unlink(struct sys *sys, const char *path)
{
    (void)sys;
    return or_errno(unlink(path));
}

static int posix_sync_dir(struct sys *sys, const char *path)
{
    (void)sys;
    char folder[PATH_MAX];
    int error = folder_of(path, folder);
    if (error != 0)
        return error;
    int fd = open_fd(folder, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        return -errno;
    error = or_errno(fsync(fd));
    close_fd(fd);
    /* A file system that cannot sync a folder says EINVAL: it keeps names in its own
     * way. */
    return error == -EINVAL ? 0 : error;
}

static int posix_free_bytes(struct sys_file *file, uint64_t *out)
{
    struct statvfs fs;
    if (fstatvfs(file->fd, &fs) < 0)
        return -errno;
    *out = (uint64_t)fs.f_bavail * fs.f_frsize;
    return 0;
}

/* ---- locks ---- */

static int posix_lock(struct sys_file *file, uint64_t start, uint64_t len,
                      enum sys_lock_mode mode)
{
    static const short types[] = {
        [SYS_UNLOCK] = F_UNLCK,
        [SYS_SHARED] = F_RDLCK,
        [SYS_EXCLUSIVE] = F_WRLCK,
    };
    struct flock lock = {
        .l_type = types[mode],
        .l_whence = SEEK_SET,
        .l_start = (off_t)start,
        .l_len = (off_t)len,
    };
    int error = set_lock(file->fd, F_OFD_SETLK, &lock);
    return error == -EACCES ? -EAGAIN : error;
}

static int posix_lock_probe(struct sys_file *file, uint64_t start, uint64_t len,
                            struct sys_lock_found *found)
{
    struct flock lock = {
        .l_type = F_WRLCK,
        .l_whence = SEEK_SET,
        .l_start = (off_t)start,
        .l_len = (off_t)len,
    };
    int error = set_lock(file->fd, F_OFD_GETLK, &lock);
    if (error != 0 || lock.l_type == F_UNLCK)
        return error;
    if (found) {
        found->start = (uint64_t)lock.l_start;
        /* Length 0: up to the largest offset there is. */
        found->len = lock.l_len ? (uint64_t)lock.l_len : UINT64_MAX - found->start;
        found->mode = lock.l_type == F_RDLCK ? SYS_SHARED : SYS_EXCLUSIVE;
    }
    return 1;
}

static void posix_lock_holder(struct sys_file *file, uint64_t byte, uint32_t nth,
                              uint32_t *pid, char program[SYS_PROGRAM_BYTES])
{
    sys_proc_holder(file->fd, byte, nth, pid, program);
}

/* ---- time, randomness, identity ---- */

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now = {0, 0};
    (void)clock_gettime(clock, &now); /* cannot fail for the clocks used here */
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static uint64_t posix_now_ns(struct sys *sys)
{
    (void)sys;
    return clock_ns(CLOCK_MONOTONIC);
}

static int64_t posix_wall_ms(struct sys *sys)
{
    (void)sys;
    return (int64_t)(clock_ns(CLOCK_REALTIME) / 1000000);
}

static int posix_random(struct sys *sys, void *buf, uint64_t len)
{
    (void)sys;
    for (uint64_t done = 0; done < len;) {
        ssize_t count = getrandom((char *)buf + done, len - done, 0);
        if (count < 0 && errno != EINTR)
            return -errno;
        done += count > 0 ? (uint64_t)count : 0;
    }
    return 0;
}

static uint32_t posix_pid(struct sys *sys)
{
    (void)sys;
    return (uint32_t)getpid();
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "01234567-89ab-...": 32 digits, with dashes anywhere between.  False if there are
 * fewer. */
static bool parse_boot_id(const char *text, uint8_t out[16])
{
    int digits = 0;
    memset(out, 0, 16);
    for (; *text && digits < 32; text++) {
        int digit = hex_digit(*text);
        if (digit < 0)
            continue;
        out[digits / 2] |= (uint8_t)(digits % 2 ? digit : digit << 4);
        digits++;
    }
    return digits == 32;
}

static void posix_boot_id(struct sys *sys, uint8_t out[16])
{
    (void)sys;
    char text[64] = "";
    int fd = open_fd("/proc/sys/kernel/random/boot_id", O_RDONLY);
    ssize_t count = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    close_fd(fd);
    if (count < 0 || !parse_boot_id(text, out))
        memset(out, 0, 16);
}

static bool posix_is_forked(struct sys *sys)
{
    return is_forked((struct posix *)sys);
}

/* ---- threads ---- */

static void *thread_main(void *arg)
{
    struct sys_thread *thread = arg;
    thread->run(thread->arg);
    return NULL;
}

/* The program's signals are for the program's threads. */
static int create_silent(struct sys_thread *thread)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    int error = pthread_sigmask(SIG_SETMASK, &all, &before);
    if (error != 0)
        return -error;
    error = pthread_create(&thread->thread, NULL, thread_main, thread);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -error;
}

static int posix_thread_start(struct sys *sys, void (*run)(void *), void *arg,
                              struct sys_thread **out)
{
    (void)sys;
    struct sys_thread *thread = mem_alloc(sizeof *thread);
    if (!thread)
        return -ENOMEM;
    thread->run = run;
    thread->arg = arg;
    int error = create_silent(thread);
    if (error != 0) {
        mem_free(thread);
        return error;
    }
    *out = thread;
    return 0;
}

static void posix_thread_join(struct sys_thread *thread)
{
    int error = pthread_join(thread->thread, NULL);
    ASSERT(error == 0);
    (void)error;
    mem_free(thread);
}

/* No two live threads have the same variable. */
static uint64_t posix_thread_id(struct sys *sys)
{
    static _Thread_local char mark;
    (void)sys;
    return (uint64_t)(uintptr_t)&mark;
}

static int posix_mutex_create(struct sys *sys, struct sys_mutex **out)
{
    (void)sys;
    struct sys_mutex *mutex = mem_alloc(sizeof *mutex);
    if (!mutex)
        return -ENOMEM;
    int error = pthread_mutex_init(&mutex->mutex, NULL);
    if (error != 0) {
        mem_free(mutex);
        return -error;
    }
    *out = mutex;
    return 0;
}

static void posix_mutex_destroy(struct sys_mutex *mutex)
{
    if (!mutex)
        return;
    (void)pthread_mutex_destroy(&mutex->mutex);
    mem_free(mutex);
}

static void posix_mutex_lock(struct sys_mutex *mutex)
{
    int error = pthread_mutex_lock(&mutex->mutex);
    ASSERT(error == 0);
    (void)error;
}

static struct timespec timespec_of(uint64_t ns)
{
    return (struct timespec){
        .tv_sec = (time_t)(ns / NS_PER_S),
        .tv_nsec = (long)(ns % NS_PER_S),
    };
}

#if IS_THREAD_SANITIZED
/* The sanitizer does not know pthread_mutex_clocklock and would report every lock taken
 * by it.  pthread_mutex_timedlock it knows; a jump of the wall clock costs a test at
 * most. */
static bool posix_mutex_lock_until(struct sys_mutex *mutex, uint64_t deadline_ns)
{
    uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
    uint64_t left_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
    struct timespec deadline = timespec_of(clock_ns(CLOCK_REALTIME) + left_ns);
    return pthread_mutex_timedlock(&mutex->mutex, &deadline) == 0;
}
#else
static bool posix_mutex_lock_until(struct sys_mutex *mutex, uint64_t deadline_ns)
{
    struct timespec deadline = timespec_of(deadline_ns);
    return pthread_mutex_clocklock(&mutex->mutex, CLOCK_MONOTONIC, &deadline) == 0;
}
#endif

static void posix_mutex_unlock(struct sys_mutex *mutex)
{
    int error = pthread_mutex_unlock(&mutex->mutex);
    ASSERT(error == 0);
    (void)error;
}

static int init_cond(pthread_cond_t *cond)
{
    pthread_condattr_t attributes;
    int error = pthread_condattr_init(&attributes);
    if (error != 0)
        return -error;
    error = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    if (error == 0)
        error = pthread_cond_init(cond, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    return -error;
}

static int posix_cond_create(struct sys *sys, struct sys_cond **out)
{
    (void)sys;
    struct sys_cond *cond = mem_alloc(sizeof *cond);
    if (!cond)
        return -ENOMEM;
    int error = init_cond(&cond->cond);
    if (error != 0) {
        mem_free(cond);
        return error;
    }
    *out = cond;
    return 0;
}

static void posix_cond_destroy(struct sys_cond *cond)
{
    if (!cond)
        return;
    (void)pthread_cond_destroy(&cond->cond);
    mem_free(cond);
}

static bool posix_cond_wait(struct sys_cond *cond, struct sys_mutex *mutex,
                            uint64_t deadline_ns)
{
    if (deadline_ns == 0)
        return pthread_cond_wait(&cond->cond, &mutex->mutex) == 0;
    struct timespec deadline = timespec_of(deadline_ns);
    return pthread_cond_timedwait(&cond->cond, &mutex->mutex, &deadline) != ETIMEDOUT;
}

static void posix_cond_wake_all(struct sys_cond *cond)
{
    (void)pthread_cond_broadcast(&cond->cond);
}

/* ---- the instance ---- */

static const struct sys_ops posix_ops = {
    .open = posix_open,
    .adopt = posix_adopt,
    .close = posix_close,
    .stat_path = posix_stat_path,
    .stat = posix_stat,
    .read = posix_read,
    .write = posix_write,
    .sync = posix_sync,
    .flush_range = posix_flush_range,
    .start_flush = posix_start_flush,
    .truncate = posix_truncate,
    .rename = posix_rename,
    .link = posix_link,
    .link_file = posix_link_file,
    .unlink = posix_unlink,
    .sync_dir = posix_sync_dir,
    .lock = posix_lock,
    .lock_probe = posix_lock_probe,
    .lock_holder = posix_lock_holder,
    .now_ns = posix_now_ns,
    .wall_ms = posix_wall_ms,
    .random = posix_random,
    .pid = posix_pid,
    .boot_id = posix_boot_id,
    .is_forked = posix_is_forked,
    .free_bytes = posix_free_bytes,
    .thread_start = posix_thread_start,
    .thread_join = posix_thread_join,
    .thread_id = posix_thread_id,
    .mutex_create = posix_mutex_create,
    .mutex_destroy = posix_mutex_destroy,
    .mutex_lock = posix_mutex_lock,
    .mutex_lock_until = posix_mutex_lock_until,
    .mutex_unlock = posix_mutex_unlock,
    .cond_create = posix_cond_create,
    .cond_destroy = posix_cond_destroy,
    .cond_wait = posix_cond_wait,
    .cond_wake_all = posix_cond_wake_all,
};

static void before_fork(void)
{
    pthread_mutex_lock(&guard);
}

static void in_parent(void)
{
    pthread_mutex_unlock(&guard);
}

/* In the child: close, never unlock.  The instance stays as it is for handles that still
 * point to it; the child's own first open makes another. */
static void in_child(void)
{
    if (instance) {
        for (struct sys_file *file = instance->files; file; file = file->next)
            close_descriptors(file);
        *instance->alive = 0; /* on kernels older than MADV_WIPEONFORK */
        instance = NULL;
    }
    pthread_mutex_unlock(&guard);
}

static bool add_fork_handlers(void)
{
    if (!has_fork_handlers)
        has_fork_handlers = pthread_atfork(before_fork, in_parent, in_child) == 0;
    return has_fork_handlers;
}

static volatile uint32_t *alive_create(void)
{
    void *page = mmap(NULL, ALIVE_PAGE_BYTES, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return NULL;
    (void)madvise(page, ALIVE_PAGE_BYTES, MADV_WIPEONFORK);
    volatile uint32_t *alive = page;
    *alive = 1;
    return alive;
}

static struct posix *instance_create(void)
{
    struct posix *posix = mem_zalloc(sizeof *posix);
    if (!posix)
        return NULL;
    posix->sys.ops = &posix_ops;
    if (posix_mutex_create(&posix->sys, &posix->sys.registry_mutex) < 0)
        goto failed;
    posix->alive = alive_create();
    if (!posix->alive)
        goto failed;
    return posix;
failed:
    posix_mutex_destroy(posix->sys.registry_mutex);
    mem_free(posix);
    return NULL;
}

struct sys *sys_posix(void)
{
    pthread_mutex_lock(&guard);
    /* A child made without fork handlers still has its parent's. */
    if (instance && is_forked(instance))
        instance = NULL;
    if (!instance && add_fork_handlers())
        instance = instance_create();
    struct sys *sys = instance ? &instance->sys : NULL;
    pthread_mutex_unlock(&guard);
    return sys;
}
