/* Inner levels, from left to right.
 *
 * Each level is a queue of children.  It is cut into pages in three situations: - it has
 * grown beyond WAITING_BYTES: one page, almost full, from its front; - an old subtree of
 * this level or a higher one is to follow as it is: all of it, in
 *     even pages (levels_settle);
 * - nothing follows: all of it, in full pages (levels_finish).
 *
 * Why a subtree is not simply kept whenever it has no change: before it, everything that
 * waits at its level and below must become pages, and a few children make a poor page.
 * So where little waits, the caller takes the next subtree apart and adds its children,
 * which fills the queue.  Since the queue is cut evenly and not into one full page and a
 * small rest, this ends at the next subtree; a small rest would be pushed through the
 * whole tree.
 *
 * One child alone is never made a page as long as something follows: it stays in the
 * queue and counts as little.  It happens to three children with the longest separators,
 * of which two fit a page. */
#include "engine/levels.h"

#include "page/inner.h"
#include "page/mem.h"

enum {
    WAITING_BYTES = 2 * PAGE_BYTES,
    FILL_BYTES = PAGE_BYTES / 16 * 15, /* room for a few splits below */
    SMALL_BYTES = PAGE_BYTES / 4,
    CHILD_BYTES = PAGE_REF_BYTES + 6 /* and its head and offset: for even cuts */
};

struct child {
    struct page_ref ref; /* null: promised */
    uint32_t bound_off;  /* in bounds */
    uint32_t bound_len;
};

/* Children waiting to become pages of this level. */
struct level {
    struct child *children;
    uint8_t *bounds;
    uint32_t count;
    uint32_t capacity;
    uint32_t bounds_len;
    uint32_t bounds_capacity;
    uint64_t gone; /* children that have become pages */
};

struct levels {
    struct writer *writer;
    struct inner_builder *builder;
    scn_status (*keep)(void *ctx);
    void *ctx;
    uint64_t page_count;
    uint32_t table_id;
    struct level level[TREE_LEVEL_MAX]; /* 0 is not used */
};

scn_status levels_create(struct writer *writer, uint32_t table_id,
                         scn_status (*keep)(void *ctx), void *ctx, struct levels **out)
{
    *out = NULL;
    struct levels *levels = mem_zalloc(sizeof *levels);
    if (levels == NULL)
        return error_nomem();
    levels->writer = writer;
    levels->table_id = table_id;
    levels->keep = keep;
    levels->ctx = ctx;
    scn_status st = inner_builder_create(&levels->builder);
    if (st != SCN_OK) {
        mem_free(levels);
        return st;
    }
    *out = levels;
    return SCN_OK;
}

void levels_destroy(struct levels *levels)
{
    if (levels == NULL)
        return;
    for (uint32_t at = 0; at < TREE_LEVEL_MAX; at++) {
        mem_free(levels->level[at].children);
        mem_free(levels->level[at].bounds);
    }
    inner_builder_destroy(levels->builder);
    mem_free(levels);
}

uint64_t levels_page_count(const struct levels *levels)
{
    return levels->page_count;
}

/* ---- the queue of one level ---- */

/* Bytes in pages, about; pages have a share of head besides. */
static uint64_t bytes_of(uint32_t count, uint64_t bounds_len)
{
    return (uint64_t)CHILD_BYTES * count + bounds_len;
}

static uint64_t level_bytes(const struct level *level)
{
    return bytes_of(level->count, level->bounds_len);
}

static bool is_small(const struct level *level)
{
    return level->count < 2 || level_bytes(level) < SMALL_BYTES;
}

static scn_status reserve(struct level *level, uint32_t bound_len)
{
    scn_status st = mem_make_room(&level->children, &level->capacity, level->count + 1,
                                  sizeof *level->children);
    if (st == SCN_OK)
        st = mem_make_room(&level->bounds, &level->bounds_capacity,
                           (uint64_t)level->bounds_len + bound_len, 1);
    return st;
}

static scn_status append(struct levels *levels, uint32_t at, const void *bound,
                         uint32_t bound_len, const struct page_ref *ref)
{
    if (at >= TREE_LEVEL_MAX)
        return error_corrupt(ref->pgno, 0, "levels: the tree is deeper than %d levels",
                             TREE_LEVEL_MAX);
    struct level *level = &levels->level[at];
    scn_status st = reserve(level, bound_len);
    if (st != SCN_OK)
        return st;
    level->children[level->count++] = (struct child){
        .ref = *ref, .bound_off = level->bounds_len, .bound_len = bound_len};
    if (bound_len > 0)
        memcpy(level->bounds + level->bounds_len, bound, bound_len);
    level->bounds_len += bound_len;
    return SCN_OK;
}

/* The first `count` children leave the queue. */
static void drop(struct level *level, uint32_t count)
{
    level->gone += count;
    level->count -= count;
    if (level->count == 0) {
        level->bounds_len = 0;
        return;
    }
    memmove(level->children, level->children + count,
            level->count * sizeof *level->children);
    uint32_t off = level->children[0].bound_off;
    for (uint32_t i = 0; i < level->count; i++)
        level->children[i].bound_off -= off;
    level->bounds_len -= off;
    memmove(level->bounds, level->bounds + off, level->bounds_len);
}

/* ---- pages ---- */

/* Children from the front into the builder: up to `count`, until `bytes` are reached, as
 * long as they fit, but two at least where there are two. */
static scn_status load(struct levels *levels, uint32_t at, uint32_t count, uint32_t bytes,
                       uint32_t *loaded)
{
    struct level *level = &levels->level[at];
    struct inner_builder *builder = levels->builder;
    inner_builder_reset(builder);
    for (uint32_t i = 0; i < count; i++) {
        struct child *child = &level->children[i];
        if (i >= 2 && inner_builder_bytes(builder) >= bytes)
            break;
        scn_status st = SCN_OK;
        if (page_ref_is_null(&child->ref))
            st = levels->keep(levels->ctx);
        if (st != SCN_OK)
            return st;
        ASSERT(!page_ref_is_null(&child->ref));
        const uint8_t *bound = level->bounds + child->bound_off;
        if (!inner_builder_add(builder, bound, child->bound_len, &child->ref))
            break;
    }
    *loaded = inner_builder_count(builder);
    return SCN_OK;
}

/* What was loaded becomes a page, and waits one level higher. */
static scn_status build(struct levels *levels, uint32_t at)
{
    uint32_t pgno;
    uint8_t *image;
    scn_status st = writer_begin(levels->writer, &pgno, &image);
    if (st != SCN_OK)
        return st;
    struct page_ref ref;
    inner_build(levels->builder, image, (uint8_t)at, levels->table_id, pgno,
                writer_gen(levels->writer), &ref);
    st = writer_finish(levels->writer, &ref);
    if (st != SCN_OK)
        return st;
    levels->page_count++;
    uint32_t bound_len;
    const uint8_t *bound = inner_builder_bound(levels->builder, &bound_len);
    st = append(levels, at + 1, bound, bound_len, &ref);
    if (st == SCN_OK)
        drop(&levels->level[at], inner_builder_count(levels->builder));
    return st;
}

/* Keeps each level within its bounds [N3], from `at` upwards. */
static scn_status trim(struct levels *levels, uint32_t at)
{
    for (; at < TREE_LEVEL_MAX && level_bytes(&levels->level[at]) > WAITING_BYTES; at++) {
        while (level_bytes(&levels->level[at]) > WAITING_BYTES) {
            uint32_t count = levels->level[at].count;
            scn_status st = load(levels, at, count, FILL_BYTES, &count);
            if (st == SCN_OK)
                st = build(levels, at);
            if (st != SCN_OK)
                return st;
        }
    }
    return SCN_OK;
}

/* Of a queue whose first `fitting` children fill a page: how many to take so that all
 * pages become alike.  No single child is left over if that can be [N2]. */
static uint32_t even_share(const struct level *level, uint32_t fitting)
{
    uint64_t total = level_bytes(level);
    uint64_t page = bytes_of(fitting, level->children[fitting].bound_off);
    uint64_t pages = (total + page - 1) / page;
    uint64_t share = total / (pages > 2 ? pages : 2);
    uint32_t count = 2;
    /* The child on the border goes to the side where more of it lies. */
    while (count < fitting && bytes_of(count, level->children[count].bound_off) +
                                      level->children[count].bound_len / 2 < share)
        count++;
    return count > 2 && level->count - count == 1 ? count - 1 : count;
}

/* Even pages of all that waits, but for a single child that may be left over. */
static scn_status cut_evenly(struct levels *levels, uint32_t at)
{
    struct level *level = &levels->level[at];
    while (level->count > 1) {
        uint32_t loaded;
        scn_status st = load(levels, at, level->count, PAGE_BYTES, &loaded);
        if (st == SCN_OK && loaded < level->count)
            st = load(levels, at, even_share(level, loaded), PAGE_BYTES, &loaded);
        if (st == SCN_OK)
            st = build(levels, at);
        if (st != SCN_OK)
            return st;
    }
    return SCN_OK;
}

/* Full pages of all that waits: the right edge of the tree. */
static scn_status cut_full(struct levels *levels, uint32_t at)
{
    struct level *level = &levels->level[at];
    while (level->count > 0) {
        uint32_t loaded;
        scn_status st = load(levels, at, level->count, PAGE_BYTES, &loaded);
        if (st == SCN_OK && loaded > 2 && level->count - loaded == 1)
            st = load(levels, at, loaded - 1, PAGE_BYTES, &loaded);
        if (st == SCN_OK)
            st = build(levels, at);
        if (st != SCN_OK)
            return st;
    }
    return SCN_OK;
}

/* ---- from left to right ---- */

/* Children that wait at the levels [from, to). */
static uint64_t waiting(const struct levels *levels, uint32_t from, uint32_t to)
{
    uint64_t count = 0;
    for (uint32_t at = from; at < to; at++)
        count += levels->level[at].count;
    return count;
}

scn_status levels_add(struct levels *levels, const void *bound, uint32_t bound_len,
                      const struct page_ref *child)
{
    uint32_t at = child->level + 1u;
    ASSERT(at > TREE_LEVEL_MAX || waiting(levels, 1, at) == 0); /* [N1] */
    scn_status st = append(levels, at, bound, bound_len, child);
    return st == SCN_OK ? trim(levels, at) : st;
}

scn_status levels_promise(struct levels *levels, const void *bound, uint32_t bound_len,
                          uint64_t *promise)
{
    struct level *level = &levels->level[1];
    *promise = level->gone + level->count;
    struct page_ref unknown = {.pgno = 0};
    scn_status st = append(levels, 1, bound, bound_len, &unknown);
    return st == SCN_OK ? trim(levels, 1) : st;
}

void levels_keep(struct levels *levels, uint64_t promise, const struct page_ref *leaf)
{
    struct level *level = &levels->level[1];
    ASSERT(promise - level->gone < level->count);
    ASSERT(page_ref_is_null(&level->children[promise - level->gone].ref));
    level->children[promise - level->gone].ref = *leaf;
}

scn_status levels_settle(struct levels *levels, uint8_t level, bool *is_settled)
{
    *is_settled = false;
    for (uint32_t at = 1; at <= level; at++) {
        if (levels->level[at].count == 0)
            continue;
        if (is_small(&levels->level[at]))
            return SCN_OK;
        scn_status st = cut_evenly(levels, at);
        if (st == SCN_OK)
            st = trim(levels, at + 1);
        if (st != SCN_OK || levels->level[at].count > 0)
            return st;
    }
    *is_settled = true;
    return SCN_OK;
}

/* The one that is left of everything, or none. */
static scn_status take_root(struct levels *levels, uint32_t at, struct page_ref *root)
{
    struct level *level = &levels->level[at];
    *root = (struct page_ref){.pgno = 0};
    if (level->count == 0)
        return SCN_OK;
    scn_status st = SCN_OK;
    if (page_ref_is_null(&level->children[0].ref))
        st = levels->keep(levels->ctx);
    *root = level->children[0].ref;
    return st;
}

scn_status levels_finish(struct levels *levels, struct page_ref *root)
{
    for (uint32_t at = 1; at < TREE_LEVEL_MAX; at++) {
        if (levels->level[at].count <= 1 && waiting(levels, at + 1, TREE_LEVEL_MAX) == 0)
            return take_root(levels, at, root);
        scn_status st = cut_full(levels, at);
        if (st != SCN_OK)
            return st;
    }
    /* append refuses to go beyond the last level, so the loop ends before it does. */
    ASSERT(false);
    return SCN_OK;
}
