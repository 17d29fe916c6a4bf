/* Files in memory, for a store without a file.
 *
 *     instance --- names:  path -> node        a node may have several names, or none
 *              \-- nodes:  bytes and locks     while a handle is open
 *
 * It keeps what struct sys promises, so that nothing above knows the difference: names
 * and nodes are two things, a deleted file lives until its last close, locks exclude
 * handles.  Only durability means nothing here: what was written is as safe as it gets.
 *
 * Bytes lie in chunks, and all chunks of a file's size exist.  So growth may run out of
 * memory, where that is expected and can be refused; a write into the file never does.
 *
 * One mutex guards everything.  A store in memory reads a page from here only when its
 * pool is too small for its data, and copying under a mutex is still far from a disk. */
#include "page/sys.h"

#include "page/mem.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
    CHUNK_BYTES = 65536, /* a page of the usual size */
    /* 16 TiB, as many bytes as the largest store. */
    CHUNK_COUNT_MAX = 1 << 28
};

struct range {
    struct sys_file *holder;
    uint64_t start;
    uint64_t end;
    enum sys_lock_mode mode;
    struct range *next;
};

struct node {
    uint64_t inode;
    uint64_t size;
    uint8_t **chunks;
    size_t chunk_count;
    size_t chunk_capacity;
    uint64_t name_count;
    uint64_t handle_count;
    struct range *locks;
};

struct name {
    char *path;
    struct node *node;
    struct name *next;
};

struct memory {
    struct sys sys;
    struct sys_ops ops;    /* those of the system, with ours in their place */
    struct sys *system;
    struct sys_mutex *mutex;
    struct name *names;    /* this and what it leads to: under mutex */
    uint64_t inode_count;
};

struct sys_file {
    struct memory *memory; /* const after open */
    struct node *node;     /* const after open */
    bool is_read_only;     /* const after open */
};

static struct memory *memory_of(struct sys *sys)
{
    return (struct memory *)sys;
}

static void enter(struct memory *memory)
{
    memory->system->ops->mutex_lock(memory->mutex);
}

static void leave(struct memory *memory)
{
    memory->system->ops->mutex_unlock(memory->mutex);
}

/* ---- bytes ---- */

static void free_chunks_from(struct node *node, size_t first)
{
    for (size_t i = first; i < node->chunk_count; i++)
        mem_free(node->chunks[i]);
    if (first < node->chunk_count)
        node->chunk_count = first;
}

static int reserve_slots(struct node *node, size_t count)
{
    if (count <= node->chunk_capacity)
        return 0;
    size_t capacity = node->chunk_capacity * 2 > count ? node->chunk_capacity * 2 : count;
    uint8_t **chunks = mem_grow(node->chunks, node->chunk_count * sizeof *chunks,
                                capacity * sizeof *chunks);
    if (!chunks)
        return -ENOMEM;
    node->chunks = chunks;
    node->chunk_capacity = capacity;
    return 0;
}

/* All or nothing. */
static int add_chunks(struct node *node, size_t count)
{
    int error = reserve_slots(node, count);
    if (error != 0)
        return error;
    size_t before = node->chunk_count;
    while (node->chunk_count < count) {
        uint8_t *chunk = mem_zalloc(CHUNK_BYTES);
        if (!chunk) {
            free_chunks_from(node, before);
            return -ENOMEM;
        }
        node->chunks[node->chunk_count++] = chunk;
    }
    return 0;
}

/* What is cut off must read as zero when the file grows again. */
static void zero_tail(struct node *node, uint64_t size)
{
    size_t used = size % CHUNK_BYTES;
    if (used != 0 && size / CHUNK_BYTES < node->chunk_count)
        memset(node->chunks[size / CHUNK_BYTES] + used, 0, CHUNK_BYTES - used);
}

static int set_size(struct node *node, uint64_t size)
{
    if (size > (uint64_t)CHUNK_COUNT_MAX * CHUNK_BYTES)
        return -EFBIG;
    size_t count = (size_t)((size + CHUNK_BYTES - 1) / CHUNK_BYTES);
    int error = add_chunks(node, count);
    if (error != 0)
        return error;
    free_chunks_from(node, count);
    if (size < node->size)
        zero_tail(node, size);
    node->size = size;
    return 0;
}

/* As much as lies in one chunk. */
static uint64_t part_len(uint64_t off, uint64_t len)
{
    uint64_t left = CHUNK_BYTES - off % CHUNK_BYTES;
    return len < left ? len : left;
}

static uint8_t *byte_at(struct node *node, uint64_t off)
{
    return node->chunks[off / CHUNK_BYTES] + off % CHUNK_BYTES;
}

static void copy_out(struct node *node, uint64_t off, uint8_t *to, uint64_t len)
{
    while (len > 0) {
        uint64_t part = part_len(off, len);
        memcpy(to, byte_at(node, off), part);
        off += part;
        to += part;
        len -= part;
    }
}

static void copy_in(struct node *node, uint64_t off, const uint8_t *from, uint64_t len)
{
    while (len > 0) {
        uint64_t part = part_len(off, len);
        memcpy(byte_at(node, off), from, part);
        off += part;
        from += part;
        len -= part;
    }
}

static int64_t memory_read(struct sys_file *file, uint64_t off, void *buf, uint64_t len,
                           uint32_t flags)
{
    (void)flags;
    struct node *node = file->node;
    enter(file->memory);
    uint64_t left = off < node->size ? node->size - off : 0;
    uint64_t count = len < left ? len : left;
    copy_out(node, off, buf, count);
    leave(file->memory);
    return (int64_t)count;
}

static int64_t memory_write(struct sys_file *file, uint64_t off, const void *buf,
                            uint64_t len, uint32_t flags)
{
    (void)flags;
    struct node *node = file->node;
    if (file->is_read_only)
        return -EBADF;
    if (off + len < off)
        return -EFBIG;
    enter(file->memory);
    bool is_growth = len > 0 && off + len > node->size;
    int error = is_growth ? set_size(node, off + len) : 0;
    if (error == 0)
        copy_in(node, off, buf, len);
    leave(file->memory);
    return error != 0 ? error : (int64_t)len;
}

static int memory_sync(struct sys_file *file)
{
    (void)file;
    return 0;
}

static int memory_flush_range(struct sys_file *file, uint64_t off, uint64_t len)
{
    (void)file;
    (void)off;
    (void)len;
    return 0;
}

static int memory_truncate(struct sys_file *file, uint64_t size)
{
    if (file->is_read_only)
        return -EINVAL;
    enter(file->memory);
    int error = set_size(file->node, size);
    leave(file->memory);
    return error;
}

/* Nobody knows how much memory there is; running out of it is said when it happens. */
static int memory_free_bytes(struct sys_file *file, uint64_t *out)
{
    (void)file;
    *out = INT64_MAX;
    return 0;
}

/* ---- names and nodes ---- */

static struct name **find_name(struct memory *memory, const char *path)
{
    struct name **link = &memory->names;
    while (*link && strcmp((*link)->path, path) != 0)
        link = &(*link)->next;
    return link;
}

static void node_drop_if_unused(struct node *node)
{
    if (node->name_count > 0 || node->handle_count > 0)
        return;
    ASSERT(node->locks == NULL);
    free_chunks_from(node, 0);
    mem_free(node->chunks);
    mem_free(node);
}

static char *copy_path(const char *path)
{
    size_t size = strlen(path) + 1;
    char *copy = mem_alloc(size);
    return copy ? memcpy(copy, path, size) : NULL;
}

static int add_name(struct memory *memory, const char *path, struct node *node)
{
    struct name *name = mem_zalloc(sizeof *name);
    char *copy = copy_path(path);
    if (!name || !copy) {
        mem_free(name);
        mem_free(copy);
        return -ENOMEM;
    }
    name->path = copy;
    name->node = node;
    name->next = memory->names;
    memory->names = name;
    node->name_count++;
    return 0;
}

static void remove_name(struct name **link)
{
    struct name *name = *link;
    *link = name->next;
    name->node->name_count--;
    node_drop_if_unused(name->node);
    mem_free(name->path);
    mem_free(name);
}

static int create_node(struct memory *memory, const char *path)
{
    struct node *node = mem_zalloc(sizeof *node);
    if (!node)
        return -ENOMEM;
    node->inode = ++memory->inode_count;
    int error = add_name(memory, path, node);
    if (error != 0)
        mem_free(node);
    return error;
}

/* Finds or makes what open asks for. */
static int resolve(struct memory *memory, const char *path, uint32_t flags,
                   struct node **out)
{
    struct name *name = *find_name(memory, path);
    if (name && (flags & SYS_CREATE) && (flags & SYS_EXCL))
        return -EEXIST;
    if (!name && !(flags & SYS_CREATE))
        return -ENOENT;
    int error = name ? 0 : create_node(memory, path);
    if (error == 0)
        *out = (*find_name(memory, path))->node;
    return error;
}

static int memory_open(struct sys *sys, const char *path, uint32_t flags,
                       struct sys_file **out)
{
    struct memory *memory = memory_of(sys);
    if (flags & SYS_UNNAMED)
        return -EOPNOTSUPP;
    struct sys_file *file = mem_zalloc(sizeof *file);
    if (!file)
        return -ENOMEM;
    file->memory = memory;
    file->is_read_only = flags & SYS_READ_ONLY;
    enter(memory);
    int error = resolve(memory, path, flags, &file->node);
    if (error == 0)
        file->node->handle_count++;
    leave(memory);
    if (error != 0) {
        mem_free(file);
        return error;
    }
    *out = file;
    return 0;
}

static void fill_stat(const struct node *node, struct sys_stat *out)
{
    *out = (struct sys_stat){
        .size = node->size,
        .device = 1,
        .inode = node->inode,
        .links = node->name_count,
        .is_regular = true,
    };
}

static int memory_stat_path(struct sys *sys, const char *path, struct sys_stat *out)
{
    struct memory *memory = memory_of(sys);
    enter(memory);
    struct name *name = *find_name(memory, path);
    if (name)
        fill_stat(name->node, out);
    leave(memory);
    return name ? 0 : -ENOENT;
}

static int memory_stat(struct sys_file *file, struct sys_stat *out)
{
    enter(file->memory);
    fill_stat(file->node, out);
    leave(file->memory);
    return 0;
}

static int add_second_name(struct memory *memory, const char *from, const char *to)
{
    struct name *name = *find_name(memory, from);
    if (!name)
        return -ENOENT;
    if (*find_name(memory, to))
        return -EEXIST;
    return add_name(memory, to, name->node);
}

static int memory_link(struct sys *sys, const char *from, const char *to)
{
    struct memory *memory = memory_of(sys);
    enter(memory);
    int error = add_second_name(memory, from, to);
    leave(memory);
    return error;
}

/* Two names of one file stay as they are, as POSIX has it. */
static int move_name(struct memory *memory, const char *from, const char *to)
{
    struct name *name = *find_name(memory, from);
    if (!name)
        return -ENOENT;
    struct name **target = find_name(memory, to);
    if (*target && (*target)->node == name->node)
        return 0;
    char *path = copy_path(to);
    if (!path)
        return -ENOMEM;
    if (*target)
        remove_name(target);
    mem_free(name->path);
    name->path = path;
    return 0;
}

static int memory_rename(struct sys *sys, const char *from, const char *to)
{
    struct memory *memory = memory_of(sys);
    enter(memory);
    int error = move_name(memory, from, to);
    leave(memory);
    return error;
}

/* There are none: nothing outlives the instance anyhow. */
static int memory_link_file(struct sys_file *file, const char *to)
{
    (void)file;
    (void)to;
    return -EOPNOTSUPP;
}

static int memory_unlink(struct sys *sys, const char *path)
{
    struct memory *memory = memory_of(sys);
    enter(memory);
    struct name **link = find_name(memory, path);
    bool is_there = *link != NULL;
    if (is_there)
        remove_name(link);
    leave(memory);
    return is_there ? 0 : -ENOENT;
}

static int memory_sync_dir(struct sys *sys, const char *path)
{
    (void)sys;
    (void)path;
    return 0;
}

/* ---- locks ---- */

static bool overlaps(const struct range *range, uint64_t start, uint64_t end)
{
    return range->start < end && start < range->end;
}

/* What is in the way of a lock in this mode; NULL: nothing. */
static const struct range *find_range(const struct sys_file *file, uint64_t start,
                                      uint64_t end, enum sys_lock_mode mode)
{
    for (const struct range *range = file->node->locks; range; range = range->next)
        if (range->holder != file && overlaps(range, start, end) &&
            (mode == SYS_EXCLUSIVE || range->mode == SYS_EXCLUSIVE))
            return range;
    return NULL;
}

static struct range *add_range(struct sys_file *file, uint64_t start, uint64_t end,
                               enum sys_lock_mode mode)
{
    struct range *range = mem_alloc(sizeof *range);
    if (!range)
        return NULL;
    *range = (struct range){.holder = file, .start = start, .end = end, .mode = mode,
                            .next = file->node->locks};
    file->node->locks = range;
    return range;
}

static void remove_range(struct range **link)
{
    struct range *range = *link;
    *link = range->next;
    mem_free(range);
}

/* Makes every range of the handle lie inside or outside of [start, end), none across.  A
 * range that is cut becomes two, which lock the same bytes: failing between is
 * harmless. */
static int split_at(struct sys_file *file, uint64_t at)
{
    for (struct range *range = file->node->locks; range; range = range->next) {
        if (range->holder != file || range->start >= at || range->end <= at)
            continue;
        if (!add_range(file, at, range->end, range->mode))
            return -ENOMEM;
        range->end = at;
        return 0; /* the ranges of a handle are disjoint: only one can lie across */
    }
    return 0;
}

static void remove_inside(struct sys_file *file, uint64_t start, uint64_t end)
{
    for (struct range **link = &file->node->locks; *link;) {
        if ((*link)->holder == file && overlaps(*link, start, end))
            remove_range(link);
        else
            link = &(*link)->next;
    }
}

static int set_range(struct sys_file *file, uint64_t start, uint64_t end,
                     enum sys_lock_mode mode)
{
    if (mode != SYS_UNLOCK && find_range(file, start, end, mode))
        return -EAGAIN;
    int error = split_at(file, start);
    if (error == 0)
        error = split_at(file, end);
    if (error != 0)
        return error;
    /* Made first, with no bytes, so that the old range is only lost to the new one. */
    struct range *range = NULL;
    if (mode != SYS_UNLOCK && !(range = add_range(file, start, start, mode)))
        return -ENOMEM;
    remove_inside(file, start, end);
    if (range)
        range->end = end;
    return 0;
}

static int memory_lock(struct sys_file *file, uint64_t start, uint64_t len,
                       enum sys_lock_mode mode)
{
    if (file->is_read_only && mode == SYS_EXCLUSIVE)
        return -EBADF;
    enter(file->memory);
    int error = set_range(file, start, start + len, mode);
    leave(file->memory);
    return error;
}

static int memory_lock_probe(struct sys_file *file, uint64_t start, uint64_t len,
                             struct sys_lock_found *found)
{
    enter(file->memory);
    const struct range *range = find_range(file, start, start + len, SYS_EXCLUSIVE);
    if (range && found)
        *found = (struct sys_lock_found){
            .start = range->start, .len = range->end - range->start, .mode = range->mode};
    leave(file->memory);
    return range != NULL;
}

/* Nobody else has this memory. */
static void memory_lock_holder(struct sys_file *file, uint64_t byte, uint32_t nth,
                               uint32_t *pid, char program[SYS_PROGRAM_BYTES])
{
    struct sys *system = file->memory->system;
    bool is_held = nth == 0 && memory_lock_probe(file, byte, 1, NULL) == 1;
    *pid = is_held ? system->ops->pid(system) : 0;
    (void)snprintf(program, SYS_PROGRAM_BYTES, "%s", is_held ? "this program" : "");
}

static void memory_close(struct sys_file *file)
{
    struct memory *memory = file->memory;
    enter(memory);
    remove_inside(file, 0, UINT64_MAX);
    file->node->handle_count--;
    node_drop_if_unused(file->node);
    leave(memory);
    mem_free(file);
}

/* ---- what the system does ---- */

static struct sys *system_of(struct sys *sys)
{
    return memory_of(sys)->system;
}

static uint64_t memory_now_ns(struct sys *sys)
{
    return system_of(sys)->ops->now_ns(system_of(sys));
}

static int64_t memory_wall_ms(struct sys *sys)
{
    return system_of(sys)->ops->wall_ms(system_of(sys));
}

static int memory_random(struct sys *sys, void *buf, uint64_t len)
{
    return system_of(sys)->ops->random(system_of(sys), buf, len);
}

static uint32_t memory_pid(struct sys *sys)
{
    return system_of(sys)->ops->pid(system_of(sys));
}

static void memory_boot_id(struct sys *sys, uint8_t out[16])
{
    system_of(sys)->ops->boot_id(system_of(sys), out);
}

static int memory_adopt(struct sys *sys, int fd, bool *can_seek, struct sys **owner,
                        struct sys_file **out)
{
    return system_of(sys)->ops->adopt(system_of(sys), fd, can_seek, owner, out);
}

static bool memory_is_forked(struct sys *sys)
{
    return system_of(sys)->ops->is_forked(system_of(sys));
}

static int memory_thread_start(struct sys *sys, void (*run)(void *), void *arg,
                               struct sys_thread **out)
{
    return system_of(sys)->ops->thread_start(system_of(sys), run, arg, out);
}

static uint64_t memory_thread_id(struct sys *sys)
{
    return system_of(sys)->ops->thread_id(system_of(sys));
}

static int memory_mutex_create(struct sys *sys, struct sys_mutex **out)
{
    return system_of(sys)->ops->mutex_create(system_of(sys), out);
}

static int memory_cond_create(struct sys *sys, struct sys_cond **out)
{
    return system_of(sys)->ops->cond_create(system_of(sys), out);
}

/* ---- the instance ---- */

/* Operations on threads, mutexes and conditions that exist stay the system's own. */
static void fill_ops(struct sys_ops *ops)
{
    ops->open = memory_open;
    ops->adopt = memory_adopt;
    ops->close = memory_close;
    ops->stat_path = memory_stat_path;
    ops->stat = memory_stat;
    ops->read = memory_read;
    ops->write = memory_write;
    ops->sync = memory_sync;
    ops->flush_range = memory_flush_range;
    ops->start_flush = memory_flush_range;
    ops->truncate = memory_truncate;
    ops->rename = memory_rename;
    ops->link = memory_link;
    ops->link_file = memory_link_file;
    ops->unlink = memory_unlink;
    ops->sync_dir = memory_sync_dir;
    ops->lock = memory_lock;
    ops->lock_probe = memory_lock_probe;
    ops->lock_holder = memory_lock_holder;
    ops->now_ns = memory_now_ns;
    ops->wall_ms = memory_wall_ms;
    ops->random = memory_random;
    ops->pid = memory_pid;
    ops->boot_id = memory_boot_id;
    ops->is_forked = memory_is_forked;
    ops->free_bytes = memory_free_bytes;
    ops->thread_start = memory_thread_start;
    ops->thread_id = memory_thread_id;
    ops->mutex_create = memory_mutex_create;
    ops->cond_create = memory_cond_create;
}

struct sys *sys_memory_create(void)
{
    struct sys *system = sys_posix();
    struct memory *memory = system ? mem_zalloc(sizeof *memory) : NULL;
    if (!memory)
        return NULL;
    memory->system = system;
    memory->ops = *system->ops;
    fill_ops(&memory->ops);
    memory->sys.ops = &memory->ops;
    if (system->ops->mutex_create(system, &memory->mutex) < 0 ||
        system->ops->mutex_create(system, &memory->sys.registry_mutex) < 0) {
        sys_memory_destroy(&memory->sys);
        return NULL;
    }
    return &memory->sys;
}

void sys_memory_destroy(struct sys *sys)
{
    if (!sys)
        return;
    struct memory *memory = memory_of(sys);
    ASSERT(sys->registry == NULL);
    while (memory->names)
        remove_name(&memory->names);
    if (sys->registry_mutex)
        memory->system->ops->mutex_destroy(sys->registry_mutex);
    if (memory->mutex)
        memory->system->ops->mutex_destroy(memory->mutex);
    mem_free(memory);
}
