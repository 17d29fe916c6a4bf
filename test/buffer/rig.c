/* See rig.h. */
#include "test/buffer/rig.h"

#include "page/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

/* ---- a system that counts, fails and lies ---- */

struct rig_hooks rig_hooks;

static int64_t hook_read(struct sys_file *file, uint64_t off, void *buf, uint64_t len,
                         uint32_t flags)
{
    bool is_uncached = flags & SYS_UNCACHED;
    atomic_fetch_add(&rig_hooks.read_count, 1);
    atomic_fetch_add(&rig_hooks.uncached_count, is_uncached);
    unsigned delay = atomic_load(&rig_hooks.read_delay_us);
    if (delay > 0)
        nanosleep(&(struct timespec){.tv_nsec = delay * 1000L}, NULL);
    if (atomic_load(&rig_hooks.is_read_failing))
        return -EIO;
    int64_t got = sys_posix()->ops->read(file, off, buf, len, flags);
    atomic_bool *is_lying =
        is_uncached ? &rig_hooks.is_medium_lying : &rig_hooks.is_cache_lying;
    if (got > 0 && atomic_load(is_lying))
        ((uint8_t *)buf)[got / 2] ^= 1;
    return got;
}

static int hook_random(struct sys *sys, void *buf, uint64_t len)
{
    (void)sys;
    if (rig_hooks.random_result < 0)
        return rig_hooks.random_result;
    return sys_posix()->ops->random(sys_posix(), buf, len);
}

static int hook_mutex_create(struct sys *sys, struct sys_mutex **out)
{
    (void)sys;
    if (rig_hooks.mutex_result < 0)
        return rig_hooks.mutex_result;
    return sys_posix()->ops->mutex_create(sys_posix(), out);
}

static int hook_cond_create(struct sys *sys, struct sys_cond **out)
{
    (void)sys;
    if (rig_hooks.cond_result < 0)
        return rig_hooks.cond_result;
    return sys_posix()->ops->cond_create(sys_posix(), out);
}

static void *hook_alloc(void *user, size_t size)
{
    (void)user;
    if (atomic_load(&rig_hooks.allocs_left) > 0 &&
        atomic_fetch_sub(&rig_hooks.allocs_left, 1) == 1) {
        atomic_store(&rig_hooks.allocs_left, 1); /* and so it stays */
        return NULL;
    }
    return malloc(size);
}

static void hook_free(void *user, void *block)
{
    (void)user;
    free(block);
}

/* Before the first allocation, or not at all. */
__attribute__((constructor)) static void hook_memory(void)
{
    if (mem_set_allocator(hook_alloc, hook_free, NULL) != SCN_OK)
        abort();
}

static struct sys_ops hook_ops;
static struct sys hook_sys = {.ops = &hook_ops};

static void hooks_reset(void)
{
    hook_ops = *sys_posix()->ops;
    hook_ops.read = hook_read;
    hook_ops.random = hook_random;
    hook_ops.mutex_create = hook_mutex_create;
    hook_ops.cond_create = hook_cond_create;
    atomic_store(&rig_hooks.read_count, 0);
    atomic_store(&rig_hooks.uncached_count, 0);
    atomic_store(&rig_hooks.is_read_failing, false);
    atomic_store(&rig_hooks.is_cache_lying, false);
    atomic_store(&rig_hooks.is_medium_lying, false);
    atomic_store(&rig_hooks.read_delay_us, 0);
    atomic_store(&rig_hooks.allocs_left, 0);
    rig_hooks.random_result = rig_hooks.mutex_result = rig_hooks.cond_result = 0;
}

/* ---- pages ---- */

static uint64_t page_word(uint32_t pgno, uint64_t gen, uint32_t i)
{
    return (gen << 32 | pgno) * UINT64_C(0x9e3779b97f4a7c15) + i;
}

struct page_ref rig_page_make(uint8_t *page, uint32_t pgno, uint64_t gen)
{
    struct page_ref ref;
    for (uint32_t off = PAGE_HEADER_BYTES; off < PAGE_BYTES; off += 8)
        put_u64(page + off, page_word(pgno, gen, off));
    page_seal(page, PAGE_VALUES, 0, 1, pgno, gen, PAGE_BYTES, &ref);
    return ref;
}

bool rig_page_is(const uint8_t *page, const struct page_ref *ref)
{
    if (get_u32(page + 8) != ref->pgno || get_u64(page + 24) != ref->hash)
        return false;
    for (uint32_t off = PAGE_HEADER_BYTES; off < PAGE_BYTES; off += 248)
        if (get_u64(page + off) != page_word(ref->pgno, ref->birth_gen, off))
            return false;
    return get_u64(page + PAGE_BYTES - 8) ==
           page_word(ref->pgno, ref->birth_gen, PAGE_BYTES - 8);
}

/* ---- the rig ---- */

bool rig_write(struct rig *rig, const uint8_t *page, uint32_t pgno)
{
    return pwrite(rig->fd, page, PAGE_BYTES, (off_t)pgno * PAGE_BYTES) == PAGE_BYTES;
}

struct rig *rig_open(uint32_t frame_count)
{
    const char *path = unit_path("pool");
    struct rig *rig = calloc(1, sizeof *rig);
    CHECK(rig != NULL);
    hooks_reset();
    rig->fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK(rig->fd >= 0);
    for (uint32_t i = 0; i < PAGES; i++) {
        rig->refs[i] = rig_page_make(rig->page, FIRST + i, 1);
        CHECK(rig_write(rig, rig->page, FIRST + i));
    }
    CHECK_OK(file_open(&rig->file, sys_posix(), path, true));
    rig->file.sys = &hook_sys;
    CHECK_OK(pool_create(&rig->file, (uint64_t)frame_count * PAGE_BYTES, &rig->pool));
    CHECK_OK(pool_reader_create(rig->pool, &rig->reader));
    return rig;
}

void rig_close(struct rig *rig)
{
    pool_reader_destroy(rig->reader);
    pool_destroy(rig->pool);
    rig->file.sys = sys_posix();
    file_close(&rig->file);
    close(rig->fd);
    free(rig);
}

scn_status rig_get(struct rig *rig, const struct page_ref *ref)
{
    const uint8_t *page = NULL;
    pool_enter(rig->reader);
    scn_status st = pool_get(rig->reader, ref, &page);
    if (st == SCN_OK && !rig_page_is(page, ref))
        st = SCN_UNKNOWN;
    pool_leave(rig->reader);
    return st;
}

struct pool_stat rig_stat(struct rig *rig)
{
    struct pool_stat stat;
    pool_stat(rig->pool, &stat);
    return stat;
}

void rig_churn(struct rig *rig, int rounds)
{
    for (int round = 0; round < rounds; round++)
        for (int i = 0; i < PAGES; i++)
            CHECK_OK(rig_get(rig, &rig->refs[i]));
}
