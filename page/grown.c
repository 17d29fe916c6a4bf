/* Grown ranges: see grown.h.
 *
 * The map says what this process has, since the kernel does not tell a process of its own
 * locks; the locks say it to the others. */
#include "page/grown.h"

static const struct sys_ops *ops_of(const struct grown *grown)
{
    return grown->locks->file->sys->ops;
}

scn_status grown_init(struct grown *grown, struct locks *locks)
{
    struct sys *sys = locks->file->sys;
    *grown = (struct grown){0};
    int error = sys->ops->mutex_create(sys, &grown->mutex);
    if (error != 0)
        return error_sys(error, 0, "grown: cannot make the list of %s",
                         locks->file->path);
    grown->locks = locks;
    return SCN_OK;
}

void grown_destroy(struct grown *grown)
{
    if (grown->mutex)
        ops_of(grown)->mutex_destroy(grown->mutex);
    bitmap_destroy(&grown->pages);
    bitmap_destroy(&grown->doubted);
    *grown = (struct grown){0};
}

/* The next page at or behind `from` whose bit is so; `end` if there is none. */
static uint32_t next_page(const struct bitmap *map, uint32_t from, uint32_t end,
                          bool is_set)
{
    while (from < end) {
        uint64_t word = bitmap_word(map, from / 64);
        uint64_t hits = (is_set ? word : ~word) >> (from % 64);
        if (hits != 0) {
            uint32_t page = from + (uint32_t)__builtin_ctzll(hits);
            return page < end ? page : end;
        }
        from = (from / 64 + 1) * 64;
    }
    return end;
}

/* ---- one's own ---- */

static int set_lock(struct grown *grown, uint32_t pgno, uint32_t count,
                    enum sys_lock_mode mode)
{
    if (grown->locks->is_exclusive)
        return 0;
    return ops_of(grown)->lock(grown->locks->file->handle, LOCK_GROW_BASE + pgno, count,
                               mode);
}

static scn_status add(struct grown *grown, uint32_t pgno, uint32_t count)
{
    scn_status st = bitmap_grow(&grown->pages, pgno + count);
    if (st == SCN_OK) /* no memory is needed later, when there is doubt */
        st = bitmap_grow(&grown->doubted, pgno + count);
    if (st != SCN_OK)
        return st;
    int error = set_lock(grown, pgno, count, SYS_EXCLUSIVE);
    if (error != 0)
        return error_set(SCN_IO, error, pgno, 0, "grown: the system refuses a lock of %s",
                         grown->locks->file->path);
    bitmap_set(&grown->pages, pgno, count);
    return SCN_OK;
}

scn_status grown_add(struct grown *grown, uint32_t pgno, uint32_t count)
{
    ASSERT(count > 0);
    ASSERT(pgno < FILE_PAGES_MAX);
    ASSERT(count <= FILE_PAGES_MAX - pgno);
    ops_of(grown)->mutex_lock(grown->mutex);
    scn_status st = add(grown, pgno, count);
    ops_of(grown)->mutex_unlock(grown->mutex);
    return st;
}

bool grown_has(struct grown *grown, uint32_t pgno)
{
    ops_of(grown)->mutex_lock(grown->mutex);
    bool has = bitmap_get(&grown->pages, pgno);
    ops_of(grown)->mutex_unlock(grown->mutex);
    return has;
}

/* Mutex held.  What stays locked keeps its pages from everybody, and from growing anew;
 * and a descriptor that is not ours any more is not to be written through. */
static void give_back(struct grown *grown, uint32_t pgno, uint32_t count)
{
    ASSERT(bitmap_has_all(&grown->pages, pgno, count));
    bitmap_clear(&grown->pages, pgno, count);
    if (set_lock(grown, pgno, count, SYS_UNLOCK) != 0)
        file_poison(grown->locks->file);
}

void grown_remove(struct grown *grown, uint32_t pgno, uint32_t count)
{
    ASSERT(count > 0);
    ops_of(grown)->mutex_lock(grown->mutex);
    give_back(grown, pgno, count);
    ops_of(grown)->mutex_unlock(grown->mutex);
}

void grown_doubt(struct grown *grown, uint32_t pgno, uint32_t count)
{
    ops_of(grown)->mutex_lock(grown->mutex);
    if (bitmap_has_all(&grown->pages, pgno, count))
        bitmap_set(&grown->doubted, pgno, count);
    ops_of(grown)->mutex_unlock(grown->mutex);
}

void grown_settle(struct grown *grown)
{
    ops_of(grown)->mutex_lock(grown->mutex);
    struct bitmap *map = &grown->doubted;
    uint32_t end = bitmap_end(map);
    for (uint32_t pgno = next_page(map, 0, end, true); pgno < end;) {
        uint32_t behind = next_page(map, pgno, end, false);
        bitmap_clear(map, pgno, behind - pgno);
        give_back(grown, pgno, behind - pgno);
        pgno = next_page(map, behind, end, true);
    }
    ops_of(grown)->mutex_unlock(grown->mutex);
}

/* ---- everybody's ---- */

struct walk {
    scn_status (*fn)(void *ctx, uint32_t pgno, uint32_t count);
    void *ctx;
};

static scn_status each_own(struct grown *grown, const struct walk *walk)
{
    scn_status st = SCN_OK;
    ops_of(grown)->mutex_lock(grown->mutex);
    const struct bitmap *map = &grown->pages;
    uint32_t end = bitmap_end(map);
    for (uint32_t pgno = next_page(map, 0, end, true); pgno < end && st >= 0;) {
        uint32_t behind = next_page(map, pgno, end, false);
        st = walk->fn(walk->ctx, pgno, behind - pgno);
        pgno = next_page(map, behind, end, true);
    }
    ops_of(grown)->mutex_unlock(grown->mutex);
    return st < 0 ? st : SCN_OK;
}

static scn_status pass_on(void *ctx, uint64_t start, uint64_t len)
{
    const struct walk *walk = ctx;
    return walk->fn(walk->ctx, (uint32_t)(start - LOCK_GROW_BASE), (uint32_t)len);
}

scn_status grown_each(struct grown *grown,
                      scn_status (*fn)(void *ctx, uint32_t pgno, uint32_t count),
                      void *ctx)
{
    struct walk walk = {fn, ctx};
    scn_status st = each_own(grown, &walk);
    if (st < 0)
        return st;
    return lock_each_elsewhere(grown->locks, LOCK_GROW_BASE, FILE_PAGES_MAX, pass_on,
                               &walk);
}

static scn_status raise_end(void *ctx, uint32_t pgno, uint32_t count)
{
    uint32_t *end = ctx;
    *end = pgno + count > *end ? pgno + count : *end;
    return SCN_OK;
}

scn_status grown_end(struct grown *grown, uint32_t *end)
{
    *end = 0;
    return grown_each(grown, raise_end, end);
}
