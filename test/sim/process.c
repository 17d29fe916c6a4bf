/* A simulated process: `struct sys` over a disk that it may share with others. */
#include "test/sim/heap.h"
#include "test/sim/state.h"
#include "test/sim/turns.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { UNCACHED_ALIGNMENT = 4096, FIRST_PID = 1000, STREAM_BIT = 1 << 20 };

#define WALL_MS_AT_START INT64_C(1700000000000)
#define FREE_BYTES_UNLIMITED (UINT64_C(1) << 40)

static struct sim_process *process_of(struct sys *sys)
{
    return (struct sim_process *)sys;
}

static struct sim_handle *handle_of(struct sys_file *file)
{
    return (struct sim_handle *)file;
}

/* ---- locks ---- */

static void locks_add(struct sim_disk *disk, struct lock_range range)
{
    disk->locks = must(realloc(disk->locks, (disk->lock_count + 1) * sizeof range));
    disk->locks[disk->lock_count++] = range;
}

static const struct lock_range *locks_conflict(const struct sim_disk *disk,
                                               const struct lock_range *want,
                                               uint32_t nth)
{
    for (size_t i = 0; i < disk->lock_count; i++) {
        const struct lock_range *held = &disk->locks[i];
        bool meets = held->start < want->end && want->start < held->end;
        bool is_shared = held->mode == SYS_SHARED && want->mode == SYS_SHARED;
        bool is_other = held->handle != want->handle &&
                        held->handle->file_no == want->handle->file_no;
        if (meets && is_other && !is_shared && nth-- == 0)
            return held;
    }
    return NULL;
}

/* A handle has one mode at each byte: what it held in the range goes, the rest stays. */
void locks_set(struct sim_disk *disk, const struct lock_range *want)
{
    size_t old_count = disk->lock_count;
    struct lock_range *old = disk->locks;
    disk->locks = NULL;
    disk->lock_count = 0;
    for (size_t i = 0; i < old_count; i++) {
        struct lock_range before = old[i];
        struct lock_range after = old[i];
        if (old[i].handle == want->handle && old[i].end > want->start &&
            old[i].start < want->end) {
            before.end = want->start;
            after.start = want->end;
        } else {
            after.start = after.end;
        }
        if (before.start < before.end)
            locks_add(disk, before);
        if (after.start < after.end)
            locks_add(disk, after);
    }
    free(old);
    if (want->mode != SYS_UNLOCK)
        locks_add(disk, *want);
}

static struct lock_range whole_range(struct sim_handle *handle)
{
    return (struct lock_range){.handle = handle, .end = UINT64_MAX, .mode = SYS_UNLOCK};
}

void process_die(struct sim_process *process)
{
    process->is_dead = true;
    for (struct sim_handle *handle = process->handles; handle; handle = handle->next) {
        struct lock_range all = whole_range(handle);
        locks_set(process->disk, &all);
    }
    turns_drop(process);
}

/* ---- files ---- */

static int open_file_no(struct sim_disk *disk, const char *path, uint32_t flags,
                        uint32_t *file_no)
{
    struct medium *medium = disk->medium;
    if (flags & SYS_UNNAMED) {
        if (disk->lacks_unnamed)
            return -EOPNOTSUPP;
        *file_no = medium_add_file(medium, NULL, false);
        return 0;
    }
    *file_no = medium_find(medium, path);
    if (*file_no == MEDIUM_NONE && !(flags & SYS_CREATE))
        return -ENOENT;
    if (*file_no != MEDIUM_NONE && (flags & SYS_CREATE) && (flags & SYS_EXCL))
        return -EEXIST;
    if (*file_no == MEDIUM_NONE)
        *file_no = medium_add_file(medium, path, false);
    bool is_write = !(flags & SYS_READ_ONLY);
    return is_write && medium_is_directory(medium, *file_no) ? -EISDIR : 0;
}

static int sim_open(struct sys *sys, const char *path, uint32_t flags,
                    struct sys_file **out)
{
    struct sim_process *process = process_of(sys);
    struct sim_fault fault;
    uint32_t file_no;
    *out = NULL;
    int st = call_begin(process, SIM_OPEN, &fault);
    if (st == 0)
        st = open_file_no(process->disk, path, flags, &file_no);
    if (st == 0) {
        struct sim_handle *handle = must(calloc(1, sizeof *handle));
        handle->process = process;
        handle->file_no = file_no;
        handle->is_read_only = flags & SYS_READ_ONLY;
        handle->is_unnamed = flags & SYS_UNNAMED;
        handle->next = process->handles;
        process->handles = handle;
        *out = (struct sys_file *)handle;
    }
    return (int)call_end(process, SIM_OPEN, st);
}

/* The number of a descriptor is that of its file, see sim_fd. */
static int sim_adopt(struct sys *sys, int fd, bool *can_seek, struct sys **owner,
                     struct sys_file **out)
{
    struct sim_process *process = process_of(sys);
    struct sim_fault fault;
    int st = call_begin(process, SIM_OPEN, &fault);
    if (st == 0) {
        struct sim_handle *handle = must(calloc(1, sizeof *handle));
        handle->process = process;
        handle->file_no = (uint32_t)fd & ~(uint32_t)STREAM_BIT;
        handle->is_stream = fd & STREAM_BIT;
        handle->next = process->handles;
        process->handles = handle;
        *can_seek = !handle->is_stream;
        *owner = sys;
        *out = (struct sys_file *)handle;
    }
    return (int)call_end(process, SIM_OPEN, st);
}

int sim_fd(struct sim_disk *disk, const char *path, bool is_stream)
{
    disk_lock(disk);
    uint32_t file_no = medium_find(disk->medium, path);
    if (file_no == MEDIUM_NONE)
        file_no = medium_add_file(disk->medium, path, false);
    disk_unlock(disk);
    return (int)(file_no | (is_stream ? (uint32_t)STREAM_BIT : 0));
}

/* Where a transfer begins. */
static uint64_t place_of(const struct sim_handle *handle, uint64_t off)
{
    return handle->is_stream ? handle->position : off;
}

static void close_handle(struct sim_handle *handle)
{
    struct lock_range all = whole_range(handle);
    struct sim_handle **link = &handle->process->handles;
    locks_set(handle->process->disk, &all);
    while (*link != handle)
        link = &(*link)->next;
    *link = handle->next;
    free(handle);
}

static void sim_close(struct sys_file *file)
{
    struct sim_process *process = handle_of(file)->process;
    turns_take(process, SIM_CLOSE, SIM_AT_BEGIN);
    disk_lock(process->disk);
    close_handle(handle_of(file));
    disk_unlock(process->disk);
    turns_take(process, SIM_CLOSE, SIM_AT_END);
}

static int fill_stat(struct sim_disk *disk, uint32_t file_no, struct sys_stat *out)
{
    if (file_no == MEDIUM_NONE)
        return -ENOENT;
    bool is_directory = medium_is_directory(disk->medium, file_no);
    *out = (struct sys_stat){
        .size = medium_size(disk->medium, file_no),
        .device = 1,
        .inode = (uint64_t)file_no + 1,
        .links = medium_links(disk->medium, file_no),
        .is_regular = !is_directory,
        .is_directory = is_directory,
        .has_lying_locks = disk->has_lying_locks,
    };
    return 0;
}

static int sim_stat_path(struct sys *sys, const char *path, struct sys_stat *out)
{
    struct sim_process *process = process_of(sys);
    struct sim_fault fault;
    int st = call_begin(process, SIM_STAT, &fault);
    if (st == 0)
        st = fill_stat(process->disk, medium_find(process->disk->medium, path), out);
    return (int)call_end(process, SIM_STAT, st);
}

static int sim_stat(struct sys_file *file, struct sys_stat *out)
{
    struct sim_process *process = handle_of(file)->process;
    struct sim_fault fault;
    int st = call_begin(process, SIM_STAT, &fault);
    if (st == 0)
        st = fill_stat(process->disk, handle_of(file)->file_no, out);
    return (int)call_end(process, SIM_STAT, st);
}

static uint64_t short_len(const struct sim_fault *fault, uint64_t len)
{
    uint64_t want = fault->len ? fault->len : len / 2;
    if (fault->kind != SIM_SHORT || want >= len)
        return len;
    return want > 0 ? want : 1;
}

static void flip(const struct sim_fault *fault, uint8_t *buf, uint64_t len)
{
    if (fault->kind != SIM_FLIP || len == 0)
        return;
    uint64_t bit = fault->bit % (len * 8);
    buf[bit / 8] ^= (uint8_t)(1u << bit % 8);
}

static bool is_aligned(uint64_t off, const void *buf, uint64_t len)
{
    return (off | len | (uintptr_t)buf) % UNCACHED_ALIGNMENT == 0;
}

static int64_t read_bytes(struct sim_handle *handle, uint64_t off, void *buf,
                          uint64_t len, uint32_t flags)
{
    struct medium *medium = handle->process->disk->medium;
    if (medium_is_directory(medium, handle->file_no))
        return -EISDIR;
    if (flags & SYS_UNCACHED)
        return (int64_t)medium_read_uncached(medium, handle->file_no, off, buf, len);
    return (int64_t)medium_read(medium, handle->file_no, off, buf, len);
}

static int64_t sim_read(struct sys_file *file, uint64_t off, void *buf, uint64_t len,
                        uint32_t flags)
{
    struct sim_handle *handle = handle_of(file);
    struct sim_fault fault;
    off = place_of(handle, off);
    turns_note_range(handle->process, off, len);
    int64_t got = call_begin(handle->process, SIM_READ, &fault);
    if (got == 0 && (flags & SYS_UNCACHED) && !is_aligned(off, buf, len))
        got = -EINVAL;
    if (got == 0)
        got = read_bytes(handle, off, buf, short_len(&fault, len), flags);
    if (got > 0)
        flip(&fault, buf, (uint64_t)got);
    if (got > 0)
        handle->position += (uint64_t)got;
    return call_end(handle->process, SIM_READ, got);
}

/* 0, or what growing the file to this size meets. */
static int judge_growth(struct sim_handle *handle, uint64_t size)
{
    struct sim_disk *disk = handle->process->disk;
    uint64_t now = medium_size(disk->medium, handle->file_no);
    if (size > MEDIUM_SIZE_MAX)
        return -EFBIG;
    if (size <= now || disk->capacity == 0)
        return 0;
    /* Without a name it is not among what is used. */
    bool is_counted = medium_links(disk->medium, handle->file_no) > 0;
    uint64_t more = is_counted ? size - now : size;
    return medium_used_bytes(disk->medium) + more > disk->capacity ? -ENOSPC : 0;
}

/* How much of a write happens before the fault. */
static uint64_t written_len(const struct sim_fault *fault, enum sim_call call,
                            uint64_t len)
{
    if (fault->kind == SIM_KILL || (fault->kind == SIM_FAIL && call == SIM_WRITE))
        return fault->len < len ? fault->len : len;
    return short_len(fault, len);
}

/* A sync promises what was written before it began, and others may write while it lasts:
 * the scheduler says whether that survives with it or not. */
static bool syncs_early(struct sim_process *process)
{
    return process->disk->sched && turns_sync_early(process);
}

/* A DSYNC write that fails has failed in its sync: all its bytes are in the cache. */
static int64_t finish_write(struct sim_handle *handle, enum sim_call call,
                            const struct sim_fault *fault, uint64_t off, uint64_t len)
{
    struct medium *medium = handle->process->disk->medium;
    if (fault->kind == SIM_KILL) {
        process_die(handle->process);
        return -EIO;
    }
    bool is_early = call == SIM_DSYNC && !fault->kind && syncs_early(handle->process);
    if (is_early)
        medium_sync_range(medium, handle->file_no, off, len);
    int st = call == SIM_DSYNC ? call_before_sync(handle->process, call) : 0;
    if (st < 0)
        return st;
    if (fault->kind == SIM_FAIL && call == SIM_DSYNC)
        medium_drop_range(medium, handle->file_no, off, len, fault->bit);
    if (fault->kind == SIM_FAIL)
        return -fault->error;
    if (call == SIM_DSYNC && !is_early)
        medium_sync_range(medium, handle->file_no, off, len);
    return (int64_t)len;
}

static int64_t sim_write(struct sys_file *file, uint64_t off, const void *buf,
                         uint64_t len, uint32_t flags)
{
    struct sim_handle *handle = handle_of(file);
    enum sim_call call = flags & SYS_DSYNC ? SIM_DSYNC : SIM_WRITE;
    struct sim_fault fault;
    off = place_of(handle, off);
    turns_note_range(handle->process, off, len);
    int64_t done = call_begin(handle->process, call, &fault);
    uint64_t part = written_len(&fault, call, len);
    if (done == 0 && handle->is_read_only)
        done = -EBADF;
    if (done == 0)
        done = judge_growth(handle, off + part);
    if (done == 0) {
        medium_write(handle->process->disk->medium, handle->file_no, off, buf, part);
        done = finish_write(handle, call, &fault, off, part);
    }
    if (done > 0)
        handle->position += (uint64_t)done;
    return call_end(handle->process, call, done);
}

static int sync_file(struct sim_handle *handle, const struct sim_fault *fault)
{
    struct medium *medium = handle->process->disk->medium;
    bool is_early = !fault->kind && syncs_early(handle->process);
    if (is_early)
        medium_sync(medium, handle->file_no);
    int st = call_before_sync(handle->process, SIM_SYNC);
    if (st < 0)
        return st;
    if (fault->kind == SIM_KILL) {
        process_die(handle->process);
        return -EIO;
    }
    if (fault->kind == SIM_FAIL) {
        medium_drop_range(medium, handle->file_no, 0, MEDIUM_SIZE_MAX, fault->bit);
        return -fault->error;
    }
    if (!is_early)
        medium_sync(medium, handle->file_no);
    return 0;
}

static int sim_sync(struct sys_file *file)
{
    struct sim_handle *handle = handle_of(file);
    struct sim_fault fault;
    int st = call_begin(handle->process, SIM_SYNC, &fault);
    if (st == 0)
        st = sync_file(handle, &fault);
    return (int)call_end(handle->process, SIM_SYNC, st);
}

/* Any pending sector may be on the medium at any time; so there is nothing to do. */
static int sim_flush_range(struct sys_file *file, uint64_t off, uint64_t len)
{
    (void)off;
    (void)len;
    struct sim_process *process = handle_of(file)->process;
    struct sim_fault fault;
    int st = call_begin(process, SIM_FLUSH, &fault);
    return (int)call_end(process, SIM_FLUSH, st);
}

static int sim_truncate(struct sys_file *file, uint64_t size)
{
    struct sim_handle *handle = handle_of(file);
    struct sim_fault fault;
    int st = call_begin(handle->process, SIM_TRUNCATE, &fault);
    if (st == 0 && handle->is_read_only)
        st = -EINVAL;
    if (st == 0)
        st = judge_growth(handle, size);
    if (st == 0)
        medium_set_size(handle->process->disk->medium, handle->file_no, size);
    return (int)call_end(handle->process, SIM_TRUNCATE, st);
}

/* ---- names ---- */

static int sim_rename(struct sys *sys, const char *from, const char *to)
{
    struct sim_process *process = process_of(sys);
    struct medium *medium = process->disk->medium;
    struct sim_fault fault;
    int st = call_begin(process, SIM_RENAME, &fault);
    if (st == 0 && medium_find(medium, from) == MEDIUM_NONE)
        st = -ENOENT;
    if (st == 0 && medium_find(medium, from) != medium_find(medium, to))
        medium_rename(medium, from, to);
    return (int)call_end(process, SIM_RENAME, st);
}

static int sim_link(struct sys *sys, const char *from, const char *to)
{
    struct sim_process *process = process_of(sys);
    struct medium *medium = process->disk->medium;
    struct sim_fault fault;
    int st = call_begin(process, SIM_LINK, &fault);
    if (st == 0 && medium_find(medium, from) == MEDIUM_NONE)
        st = -ENOENT;
    if (st == 0 && medium_find(medium, to) != MEDIUM_NONE)
        st = -EEXIST;
    if (st == 0)
        medium_link(medium, medium_find(medium, from), to);
    return (int)call_end(process, SIM_LINK, st);
}

/* Linux: one whose last name is gone gets none again. */
static int sim_link_file(struct sys_file *file, const char *to)
{
    struct sim_handle *handle = handle_of(file);
    struct medium *medium = handle->process->disk->medium;
    struct sim_fault fault;
    int st = call_begin(handle->process, SIM_LINK, &fault);
    if (st == 0 && !handle->is_unnamed)
        st = -ENOENT;
    if (st == 0 && medium_find(medium, to) != MEDIUM_NONE)
        st = -EEXIST;
    if (st == 0) {
        medium_link(medium, handle->file_no, to);
        handle->is_unnamed = false;
    }
    return (int)call_end(handle->process, SIM_LINK, st);
}

static int sim_unlink(struct sys *sys, const char *path)
{
    struct sim_process *process = process_of(sys);
    struct medium *medium = process->disk->medium;
    struct sim_fault fault;
    int st = call_begin(process, SIM_UNLINK, &fault);
    if (st == 0 && medium_find(medium, path) == MEDIUM_NONE)
        st = -ENOENT;
    if (st == 0)
        medium_unlink(medium, path);
    return (int)call_end(process, SIM_UNLINK, st);
}

static int sync_names(struct sim_process *process, const char *path,
                      const struct sim_fault *fault)
{
    int st = call_before_sync(process, SIM_SYNC_DIR);
    if (st < 0)
        return st;
    if (fault->kind == SIM_KILL) {
        process_die(process);
        return -EIO;
    }
    if (fault->kind == SIM_FAIL)
        return -fault->error;
    medium_sync_names(process->disk->medium, path);
    return 0;
}

static int sim_sync_dir(struct sys *sys, const char *path)
{
    struct sim_process *process = process_of(sys);
    struct sim_fault fault;
    int st = call_begin(process, SIM_SYNC_DIR, &fault);
    if (st == 0)
        st = sync_names(process, path, &fault);
    return (int)call_end(process, SIM_SYNC_DIR, st);
}

/* ---- locks, as system calls ---- */

static struct lock_range range_of(struct sim_handle *handle, uint64_t start, uint64_t len,
                                  enum sys_lock_mode mode)
{
    return (struct lock_range){
        .handle = handle, .start = start, .end = start + len, .mode = mode};
}

/* Linux: a descriptor that cannot write has no exclusive locks. */
static int sim_lock(struct sys_file *file, uint64_t start, uint64_t len,
                    enum sys_lock_mode mode)
{
    struct sim_handle *handle = handle_of(file);
    struct lock_range want = range_of(handle, start, len, mode);
    struct sim_fault fault;
    turns_note_range(handle->process, start, len);
    int st = call_begin(handle->process, SIM_LOCK, &fault);
    if (st == 0 && mode == SYS_EXCLUSIVE && handle->is_read_only)
        st = -EBADF;
    if (st == 0 && mode != SYS_UNLOCK && locks_conflict(handle->process->disk, &want, 0))
        st = -EAGAIN;
    if (st == 0)
        locks_set(handle->process->disk, &want);
    return (int)call_end(handle->process, SIM_LOCK, st);
}

static int sim_lock_probe(struct sys_file *file, uint64_t start, uint64_t len,
                          struct sys_lock_found *found)
{
    struct sim_handle *handle = handle_of(file);
    struct lock_range want = range_of(handle, start, len, SYS_EXCLUSIVE);
    struct sim_fault fault;
    turns_note_range(handle->process, start, len);
    int st = call_begin(handle->process, SIM_PROBE, &fault);
    const struct lock_range *held = locks_conflict(handle->process->disk, &want, 0);
    if (st == 0 && held && found)
        *found = (struct sys_lock_found){
            .start = held->start, .len = held->end - held->start, .mode = held->mode};
    if (st == 0 && held)
        st = 1;
    return (int)call_end(handle->process, SIM_PROBE, st);
}

/* Only words of an answer depend on it: no fault, no turn, no count. */
static void sim_lock_holder(struct sys_file *file, uint64_t byte, uint32_t nth,
                            uint32_t *pid, char program[SYS_PROGRAM_BYTES])
{
    struct sim_handle *handle = handle_of(file);
    struct sim_disk *disk = handle->process->disk;
    struct lock_range want = range_of(handle, byte, 1, SYS_EXCLUSIVE);
    disk_lock(disk);
    const struct lock_range *held = locks_conflict(disk, &want, nth);
    *pid = held ? held->handle->process->pid : 0;
    disk_unlock(disk);
    strcpy(program, held ? "simulated" : "");
}

/* ---- time, luck and identity ---- */

static uint64_t sim_now_ns(struct sys *sys)
{
    turns_take(process_of(sys), SIM_CLOCK, SIM_AT_BEGIN);
    return disk_look_at_clock(process_of(sys)->disk);
}

static int64_t sim_wall_ms(struct sys *sys)
{
    uint64_t now_ns = disk_look_at_clock(process_of(sys)->disk);
    return WALL_MS_AT_START + (int64_t)(now_ns / 1000000);
}

static int sim_random(struct sys *sys, void *buf, uint64_t len)
{
    struct sim_process *process = process_of(sys);
    struct sim_fault fault;
    int st = call_begin(process, SIM_RANDOM, &fault);
    for (uint64_t i = 0; st == 0 && i < len; i++)
        ((uint8_t *)buf)[i] = (uint8_t)medium_random(&process->random_state);
    return (int)call_end(process, SIM_RANDOM, st);
}

static uint32_t sim_pid(struct sys *sys)
{
    return process_of(sys)->pid;
}

static void sim_boot_id(struct sys *sys, uint8_t out[16])
{
    struct sim_disk *disk = process_of(sys)->disk;
    uint64_t state = disk->seed + disk->boot_no;
    for (int i = 0; i < 16; i++)
        out[i] = (uint8_t)(medium_random(&state) | 1);
}

static bool sim_is_forked(struct sys *sys)
{
    return process_of(sys)->is_forked;
}

static int sim_free_bytes(struct sys_file *file, uint64_t *out)
{
    struct sim_process *process = handle_of(file)->process;
    struct sim_disk *disk = process->disk;
    struct sim_fault fault;
    int st = call_begin(process, SIM_FREE_BYTES, &fault);
    uint64_t used = medium_used_bytes(disk->medium);
    *out = FREE_BYTES_UNLIMITED;
    if (disk->capacity > 0)
        *out = used < disk->capacity ? disk->capacity - used : 0;
    return (int)call_end(process, SIM_FREE_BYTES, st);
}

static const struct sys_ops sim_ops = {
    .open = sim_open,
    .adopt = sim_adopt,
    .close = sim_close,
    .stat_path = sim_stat_path,
    .stat = sim_stat,
    .read = sim_read,
    .write = sim_write,
    .sync = sim_sync,
    .flush_range = sim_flush_range,
    .start_flush = sim_flush_range,
    .truncate = sim_truncate,
    .rename = sim_rename,
    .link = sim_link,
    .link_file = sim_link_file,
    .unlink = sim_unlink,
    .sync_dir = sim_sync_dir,
    .lock = sim_lock,
    .lock_probe = sim_lock_probe,
    .lock_holder = sim_lock_holder,
    .now_ns = sim_now_ns,
    .wall_ms = sim_wall_ms,
    .random = sim_random,
    .pid = sim_pid,
    .boot_id = sim_boot_id,
    .is_forked = sim_is_forked,
    .free_bytes = sim_free_bytes,
    .thread_start = sim_thread_start,
    .thread_join = sim_thread_join,
    .thread_id = sim_thread_id,
    .mutex_create = sim_mutex_create,
    .mutex_destroy = sim_mutex_destroy,
    .mutex_lock = sim_mutex_lock,
    .mutex_lock_until = sim_mutex_lock_until,
    .mutex_unlock = sim_mutex_unlock,
    .cond_create = sim_cond_create,
    .cond_destroy = sim_cond_destroy,
    .cond_wait = sim_cond_wait,
    .cond_wake_all = sim_cond_wake_all,
};

/* ---- processes ---- */

struct sys *sim_process_create(struct sim_disk *disk)
{
    struct sim_process *process = must(calloc(1, sizeof *process));
    process->sys.ops = &sim_ops;
    process->disk = disk;
    disk_lock(disk);
    process->pid = FIRST_PID + disk->process_count++;
    process->random_state = disk->seed * 31 + disk->boot_no * 1009 + process->pid;
    disk_unlock(disk);
    if (sim_mutex_create(&process->sys, &process->sys.registry_mutex) < 0)
        abort();
    process->counts[SIM_MUTEX_CREATE] = 0;
    return &process->sys;
}

void sim_process_kill(struct sys *sys)
{
    struct sim_process *process = process_of(sys);
    disk_lock(process->disk);
    process_die(process);
    disk_unlock(process->disk);
}

void sim_process_destroy(struct sys *sys)
{
    struct sim_process *process = process_of(sys);
    disk_lock(process->disk);
    while (process->handles)
        close_handle(process->handles);
    disk_unlock(process->disk);
    turns_forget(process);
    parts_free(process);
    heap_release(process);
    free(process);
}

void sim_process_set_forked(struct sys *sys, bool is_forked)
{
    process_of(sys)->is_forked = is_forked;
}

bool sim_process_is_dead(struct sys *sys)
{
    return process_of(sys)->is_dead;
}

uint32_t sim_process_open_files(struct sys *sys)
{
    uint32_t count = 0;
    struct sim_handle *handle = process_of(sys)->handles;
    for (; handle; handle = handle->next)
        count++;
    return count;
}
