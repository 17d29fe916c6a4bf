/* Leaves linked after a generation: see newleaves.h. */
#include "engine/newleaves.h"

#include "page/inner.h"
#include "page/keyrange.h"
#include "page/mem.h"

/* A page on the path. */
struct stop {
    struct page_ref ref;
    uint32_t idx; /* of the child to look at next */
    uint32_t count;
    struct keyrange range;
};

struct walker {
    const struct newleaves *walk;
    uint32_t depth; /* stops taken apart; path[depth] is the one in question */
    uint8_t *leaf;  /* a copy */
    struct stop path[TREE_LEVEL_MAX + 1];
};

static scn_status tell(const struct walker *walker, const struct keyrange *range)
{
    scn_slice from = bound_key(&range->from);
    scn_slice to = bound_key(&range->to);
    return walker->walk->visit(walker->walk->ctx, range->from.is_set ? &from : NULL,
                               range->to.is_set ? &to : NULL, walker->leaf);
}

/* ---- pages ---- */

static bool is_old(const struct walker *walker, const struct page_ref *ref)
{
    return ref->link_gen <= walker->walk->since_gen;
}

/* Of a forged file pages may lead to the same ones again and again, which without this
 * would take for ever where no leaf is looked at. */
static scn_status check_keys(const struct stop *stop, const uint8_t *page)
{
    if (keyrange_fault(&stop->range, page) != NULL)
        return error_corrupt(stop->ref.pgno, 0, "snapshot: keys are out of range");
    return SCN_OK;
}

static scn_status copy_leaf(struct walker *walker, const struct page_ref *ref)
{
    const uint8_t *page;
    pool_enter(walker->walk->reader);
    scn_status st = tree_page(walker->walk->reader, &walker->walk->tree, ref, &page);
    if (st == SCN_OK)
        memcpy(walker->leaf, page, PAGE_BYTES);
    pool_leave(walker->walk->reader);
    return st;
}

static scn_status open_inner(struct walker *walker, struct stop *stop)
{
    const uint8_t *page;
    pool_enter(walker->walk->reader);
    scn_status st =
        tree_page(walker->walk->reader, &walker->walk->tree, &stop->ref, &page);
    if (st == SCN_OK) {
        stop->idx = 0;
        stop->count = inner_count(page);
        st = check_keys(stop, page);
    }
    pool_leave(walker->walk->reader);
    return st;
}

/* The next child of the last stop is the one in question. */
static scn_status locate(struct walker *walker)
{
    struct stop *parent = &walker->path[walker->depth - 1];
    struct stop *child = &walker->path[walker->depth];
    const uint8_t *page;
    pool_enter(walker->walk->reader);
    scn_status st =
        tree_page(walker->walk->reader, &walker->walk->tree, &parent->ref, &page);
    if (st == SCN_OK)
        st = tree_child(&parent->ref, page, parent->idx, &child->ref);
    if (st == SCN_OK)
        st = keyrange_of_child(&child->range, &parent->range, page, parent->idx);
    pool_leave(walker->walk->reader);
    parent->idx++;
    return st;
}

/* ---- the walk ---- */

/* Behind the last key of an old subtree that ends the tree.  A key too long to have one
 * right behind it is visited once more. */
static scn_status begin_behind(struct bound *from, const struct leaf_record *last)
{
    return last->key_len < KEY_BYTES_MAX
               ? bound_set_behind(from, last->key, last->key_len)
               : bound_set(from, last->key, last->key_len);
}

static scn_status visit_tail(struct walker *walker, struct stop *stop)
{
    struct page_ref ref = stop->ref;
    scn_status st = SCN_OK;
    while (st == SCN_OK && ref.level > 0) {
        const uint8_t *page;
        struct page_ref child;
        pool_enter(walker->walk->reader);
        st = tree_page(walker->walk->reader, &walker->walk->tree, &ref, &page);
        if (st == SCN_OK)
            st = tree_child(&ref, page, inner_count(page) - 1, &child);
        pool_leave(walker->walk->reader);
        if (st == SCN_OK)
            ref = child;
    }
    if (st == SCN_OK)
        st = copy_leaf(walker, &ref);
    if (st < 0)
        return st;
    struct leaf_record last;
    leaf_at(walker->leaf, leaf_count(walker->leaf) - 1, &last);
    st = begin_behind(&stop->range.from, &last);
    return st < 0 ? st : tell(walker, &stop->range);
}

static scn_status visit(struct walker *walker)
{
    struct stop *stop = &walker->path[walker->depth];
    if (is_old(walker, &stop->ref))
        return stop->range.to.is_set ? SCN_OK : visit_tail(walker, stop);
    if (stop->ref.level > 0) {
        scn_status st = open_inner(walker, stop);
        walker->depth += st == SCN_OK;
        return st;
    }
    scn_status st = copy_leaf(walker, &stop->ref);
    if (st == SCN_OK)
        st = check_keys(stop, walker->leaf);
    return st < 0 ? st : tell(walker, &stop->range);
}

/* Ends: each stop has a level less than the one before, and its children are passed
 * once. */
static scn_status visit_all(struct walker *walker)
{
    struct stop *path = walker->path;
    path[0].ref = walker->walk->tree.root;
    if (path[0].ref.level >= TREE_LEVEL_MAX)
        return error_corrupt(0, 0, "snapshot: a tree of too many levels");
    scn_status st = visit(walker);
    while (st == SCN_OK) {
        while (walker->depth > 0 &&
               path[walker->depth - 1].idx == path[walker->depth - 1].count)
            walker->depth--;
        if (walker->depth == 0)
            break;
        st = locate(walker);
        if (st == SCN_OK)
            st = visit(walker);
    }
    return st;
}

scn_status newleaves_walk(const struct newleaves *walk)
{
    struct walker walker = {.walk = walk, .leaf = mem_alloc(PAGE_BYTES)};
    scn_status st = walker.leaf ? visit_all(&walker) : error_nomem();
    for (uint32_t i = 0; i <= TREE_LEVEL_MAX; i++)
        keyrange_free(&walker.path[i].range);
    mem_free(walker.leaf);
    return st;
}
