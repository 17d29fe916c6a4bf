/* Leaves linked after a generation: see newleaves.h. */
#include "engine/newleaves.h"

#include "page/inner.h"
#include "page/mem.h"

/* A key, or no bound at all. */
struct edge {
    uint8_t data[KEY_BYTES_MAX];
    uint32_t len;
    bool is_open;
};

/* An inner page on the path. */
struct stop {
    struct page_ref ref;
    uint32_t idx; /* of the child to look at next */
    uint32_t count;
    struct edge lower;
    struct edge upper;
};

struct walker {
    const struct newleaves *walk;
    uint32_t depth; /* stops taken apart; path[depth] is the one in question */
    uint8_t *leaf;  /* a copy */
    struct stop *path[TREE_LEVEL_MAX + 1];
};

/* ---- edges ---- */

static void edge_set(struct edge *edge, const void *data, uint32_t len)
{
    ASSERT(len <= sizeof edge->data);
    edge->is_open = false;
    edge->len = len;
    if (len)
        memcpy(edge->data, data, len);
}

static void edge_copy(struct edge *edge, const struct edge *from)
{
    edge_set(edge, from->data, from->len);
    edge->is_open = from->is_open;
}

static scn_status tell(const struct walker *walker, const struct edge *lower,
                       const struct edge *upper, const uint8_t *leaf)
{
    scn_slice from = {lower->data, lower->len};
    scn_slice to = {upper->data, upper->len};
    return walker->walk->visit(walker->walk->ctx, lower->is_open ? NULL : &from,
                               upper->is_open ? NULL : &to, leaf);
}

/* ---- pages ---- */

static bool is_old(const struct walker *walker, const struct page_ref *ref)
{
    return ref->link_gen <= walker->walk->since_gen;
}

static scn_status make_stop(struct walker *walker, uint32_t depth)
{
    if (depth > TREE_LEVEL_MAX)
        return error_corrupt(0, 0, "snapshot: a tree of too many levels");
    if (walker->path[depth] == NULL)
        walker->path[depth] = mem_zalloc(sizeof *walker->path[depth]);
    return walker->path[depth] ? SCN_OK : error_nomem();
}

static bool is_in_range(const struct stop *stop, const void *key, uint32_t len)
{
    const struct edge *lower = &stop->lower;
    const struct edge *upper = &stop->upper;
    return (lower->is_open || bytes_compare(key, len, lower->data, lower->len) >= 0) &&
           (upper->is_open || bytes_compare(key, len, upper->data, upper->len) < 0);
}

static scn_status check_keys(const struct stop *stop, const uint8_t *leaf)
{
    struct leaf_record first;
    struct leaf_record last;
    leaf_at(leaf, 0, &first);
    leaf_at(leaf, leaf_count(leaf) - 1, &last);
    return is_in_range(stop, first.key, first.key_len) &&
                   is_in_range(stop, last.key, last.key_len)
               ? SCN_OK
               : error_corrupt(stop->ref.pgno, 0, "snapshot: keys are out of range");
}

/* Of a forged file pages may lead to the same ones again and again, which without this
 * would take for ever where no leaf is looked at. */
static scn_status check_separators(const struct stop *stop, const uint8_t *page)
{
    if (stop->count < 2)
        return SCN_OK;
    uint32_t first_len;
    uint32_t last_len;
    const uint8_t *first = inner_separator(page, 1, &first_len);
    const uint8_t *last = inner_separator(page, stop->count - 1, &last_len);
    return is_in_range(stop, first, first_len) && is_in_range(stop, last, last_len)
               ? SCN_OK
               : error_corrupt(stop->ref.pgno, 0,
                               "snapshot: separators are out of range");
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
        st = check_separators(stop, page);
    }
    pool_leave(walker->walk->reader);
    return st;
}

static void set_edges(const struct stop *parent, const uint8_t *page, struct stop *child)
{
    uint32_t len;
    const uint8_t *separator;
    if (parent->idx > 0) {
        separator = inner_separator(page, parent->idx, &len);
        edge_set(&child->lower, separator, len);
    } else {
        edge_copy(&child->lower, &parent->lower);
    }
    if (parent->idx + 1 < parent->count) {
        separator = inner_separator(page, parent->idx + 1, &len);
        edge_set(&child->upper, separator, len);
    } else {
        edge_copy(&child->upper, &parent->upper);
    }
}

/* The next child of the last stop is the one in question. */
static scn_status locate(struct walker *walker)
{
    struct stop *parent = walker->path[walker->depth - 1];
    scn_status st = make_stop(walker, walker->depth);
    if (st < 0)
        return st;
    struct stop *child = walker->path[walker->depth];
    const uint8_t *page;
    pool_enter(walker->walk->reader);
    st = tree_page(walker->walk->reader, &walker->walk->tree, &parent->ref, &page);
    if (st == SCN_OK)
        st = tree_child(&parent->ref, page, parent->idx, &child->ref);
    if (st == SCN_OK)
        set_edges(parent, page, child);
    pool_leave(walker->walk->reader);
    parent->idx++;
    return st;
}

/* ---- the walk ---- */

/* Behind the last key of an old subtree that ends the tree.  A key too long to have one
 * right behind it is visited once more. */
static void edge_set_behind(struct edge *edge, const struct leaf_record *last)
{
    edge_set(edge, last->key, last->key_len);
    if (edge->len < sizeof edge->data)
        edge->data[edge->len++] = 0;
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
    edge_set_behind(&stop->lower, &last);
    return tell(walker, &stop->lower, &stop->upper, walker->leaf);
}

static scn_status visit(struct walker *walker)
{
    struct stop *stop = walker->path[walker->depth];
    if (is_old(walker, &stop->ref))
        return stop->upper.is_open ? visit_tail(walker, stop) : SCN_OK;
    if (stop->ref.level > 0) {
        scn_status st = open_inner(walker, stop);
        walker->depth += st == SCN_OK;
        return st;
    }
    scn_status st = copy_leaf(walker, &stop->ref);
    if (st == SCN_OK)
        st = check_keys(stop, walker->leaf);
    return st < 0 ? st : tell(walker, &stop->lower, &stop->upper, walker->leaf);
}

/* Ends: each stop has a level less than the one before, and its children are passed
 * once. */
static scn_status visit_all(struct walker *walker)
{
    scn_status st = make_stop(walker, 0);
    if (st < 0)
        return st;
    struct stop *root = walker->path[0];
    root->ref = walker->walk->tree.root;
    root->lower.is_open = true;
    root->upper.is_open = true;
    st = visit(walker);
    while (st == SCN_OK) {
        while (walker->depth > 0 && walker->path[walker->depth - 1]->idx ==
                                        walker->path[walker->depth - 1]->count)
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
        mem_free(walker.path[i]);
    mem_free(walker.leaf);
    return st;
}
