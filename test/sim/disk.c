/* Disks as a test holds them: contents, clock, copies and power cuts. */
#include "test/sim/heap.h"
#include "test/sim/state.h"

#include <stdlib.h>
#include <string.h>

enum { LOOK_NS = 1000 };

void *must(void *block)
{
    if (!block)
        abort();
    return block;
}

static const struct sys_ops *real_ops(void)
{
    return sys_posix()->ops;
}

void disk_lock(struct sim_disk *disk)
{
    if (!disk->is_alone)
        real_ops()->mutex_lock(disk->mutex);
}

void disk_unlock(struct sim_disk *disk)
{
    if (!disk->is_alone)
        real_ops()->mutex_unlock(disk->mutex);
}

uint64_t disk_look_at_clock(struct sim_disk *disk)
{
    disk_lock(disk);
    uint64_t now = disk->clock_ns += LOOK_NS;
    disk_unlock(disk);
    return now;
}

void disk_move_clock_to(struct sim_disk *disk, uint64_t ns)
{
    disk_lock(disk);
    if (disk->clock_ns < ns)
        disk->clock_ns = ns;
    disk_unlock(disk);
}

static struct sim_disk *disk_of(struct medium *medium, uint64_t seed)
{
    struct sim_disk *disk = must(calloc(1, sizeof *disk));
    disk->medium = medium;
    disk->seed = seed;
    struct sim_process *payer = heap_charge(NULL);
    if (real_ops()->mutex_create(sys_posix(), &disk->mutex) < 0)
        abort();
    heap_charge(payer);
    return disk;
}

struct sim_disk *sim_disk_create(uint64_t seed)
{
    return disk_of(medium_create(), seed);
}

/* What the disk is apart from its files. */
static void copy_settings(struct sim_disk *to, const struct sim_disk *from)
{
    to->boot_no = from->boot_no;
    to->clock_ns = from->clock_ns;
    to->capacity = from->capacity;
    to->has_lying_locks = from->has_lying_locks;
    to->lacks_unnamed = from->lacks_unnamed;
    to->is_alone = from->is_alone;
}

struct sim_disk *sim_disk_copy(struct sim_disk *disk)
{
    disk_lock(disk);
    struct sim_disk *copy = disk_of(medium_copy(disk->medium), disk->seed);
    copy_settings(copy, disk);
    disk_unlock(disk);
    return copy;
}

void sim_disk_destroy(struct sim_disk *disk)
{
    real_ops()->mutex_destroy(disk->mutex);
    medium_destroy(disk->medium);
    free(disk->locks);
    free(disk);
}

void sim_disk_set_capacity(struct sim_disk *disk, uint64_t bytes)
{
    disk->capacity = bytes;
}

void sim_disk_set_lying_locks(struct sim_disk *disk, bool are_lying)
{
    disk->has_lying_locks = are_lying;
}

void sim_disk_set_unnamed(struct sim_disk *disk, bool has_unnamed)
{
    disk->lacks_unnamed = !has_unnamed;
}

void sim_disk_set_alone(struct sim_disk *disk, bool is_alone)
{
    disk->is_alone = is_alone;
}

void sim_disk_add_folder(struct sim_disk *disk, const char *path)
{
    disk_lock(disk);
    medium_add_file(disk->medium, path, true);
    medium_sync_names(disk->medium, path);
    disk_unlock(disk);
}

void sim_disk_evict(struct sim_disk *disk)
{
    disk_lock(disk);
    medium_evict(disk->medium);
    disk_unlock(disk);
}

void sim_clock_set(struct sim_disk *disk, uint64_t ns)
{
    disk_lock(disk);
    disk->clock_ns = ns;
    disk_unlock(disk);
}

uint64_t sim_clock_ns(struct sim_disk *disk)
{
    disk_lock(disk);
    uint64_t ns = disk->clock_ns;
    disk_unlock(disk);
    return ns;
}

uint64_t sim_name_count(struct sim_disk *disk)
{
    disk_lock(disk);
    uint64_t count = medium_name_count(disk->medium);
    disk_unlock(disk);
    return count;
}

bool sim_file_size(struct sim_disk *disk, const char *path, uint64_t *size)
{
    disk_lock(disk);
    uint32_t file_no = medium_find(disk->medium, path);
    if (file_no != MEDIUM_NONE)
        *size = medium_size(disk->medium, file_no);
    disk_unlock(disk);
    return file_no != MEDIUM_NONE;
}

static bool has_bytes(struct sim_disk *disk, const char *path, uint64_t off, uint64_t len)
{
    uint64_t size;
    return sim_file_size(disk, path, &size) && off <= size && len <= size - off;
}

bool sim_peek(struct sim_disk *disk, const char *path, uint64_t off, void *buf,
              uint64_t len)
{
    if (!has_bytes(disk, path, off, len))
        return false;
    disk_lock(disk);
    medium_read(disk->medium, medium_find(disk->medium, path), off, buf, len);
    disk_unlock(disk);
    return true;
}

bool sim_rot(struct sim_disk *disk, const char *path, uint64_t off, const void *buf,
             uint64_t len)
{
    if (!has_bytes(disk, path, off, len))
        return false;
    disk_lock(disk);
    medium_rot(disk->medium, medium_find(disk->medium, path), off, buf, len);
    disk_unlock(disk);
    return true;
}

void sim_put_file(struct sim_disk *disk, const char *path, const void *bytes,
                  uint64_t len)
{
    disk_lock(disk);
    uint32_t file_no = medium_find(disk->medium, path);
    if (file_no == MEDIUM_NONE)
        file_no = medium_add_file(disk->medium, path, false);
    medium_set_size(disk->medium, file_no, 0);
    medium_write(disk->medium, file_no, 0, bytes, len);
    medium_sync(disk->medium, file_no);
    medium_sync_names(disk->medium, path);
    disk_unlock(disk);
}

uint64_t sim_pending(struct sim_disk *disk, bool by_call)
{
    disk_lock(disk);
    uint64_t count = medium_pending(disk->medium, by_call);
    disk_unlock(disk);
    return count;
}

struct sim_disk *sim_crash(struct sim_disk *disk, const struct sim_choice *choice)
{
    disk_lock(disk);
    struct sim_disk *crashed = disk_of(medium_crash(disk->medium, choice), disk->seed);
    copy_settings(crashed, disk);
    crashed->boot_no++;
    disk_unlock(disk);
    return crashed;
}

uint64_t sim_hash(struct sim_disk *disk)
{
    disk_lock(disk);
    uint64_t hash = medium_hash(disk->medium);
    disk_unlock(disk);
    return hash;
}

void sim_hook_set(struct sim_disk *disk, sim_hook_fn fn, void *ctx)
{
    disk->hook = fn;
    disk->hook_ctx = ctx;
}
