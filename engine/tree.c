/* Reading published trees.
 *
 * The way down.  A pointer says at which level its page stands, so the whole way is known
 * before the first step: root.level steps, each one level lower.  A page is looked at
 * only after its first eight header bytes (type, level, flags, table) were compared, in
 * one compare, with what they must be here.  So a way down ends after at most root.level
 * steps whatever the disk says, and no accessor meets a page of another kind, even when a
 * forged pointer leads to a page that somebody else loaded through an honest one.
 *
 * In a leaf, a point read needs the bucket line and the record; the compare of the header
 * waits for neither, so its cache miss overlaps with the bucket's.
 *
 * A cursor is a path of pointers and indexes and no page: the pages may go between two
 * calls, and come back through the pointers.  Within a leaf a step is one translation and
 * one leaf_at.  At the end of a leaf the path climbs to the first level with a further
 * child and goes down at its near edge.  page_check accepts no empty leaf, so a step
 * visits one leaf. */
#include "engine/tree.h"

#include "page/inner.h"

enum { LEVEL_SHIFT = 8, TABLE_SHIFT = 32 };

/* The first eight bytes of the page header, docs/format.md "Page header". */
static inline uint64_t header_start(uint8_t level, uint32_t table_id)
{
    uint64_t type = level > 0 ? PAGE_INNER : PAGE_LEAF;
    return type | (uint64_t)level << LEVEL_SHIFT | (uint64_t)table_id << TABLE_SHIFT;
}

#define COLD __attribute__((noinline, cold))
static COLD scn_status strange_page(const struct page_ref *ref)
{
    return error_corrupt(ref->pgno, 0, "tree: not a page of this table at level %u",
                         ref->level);
}

static COLD scn_status strange_level(const struct page_ref *parent,
                                     const struct page_ref *child)
{
    return error_corrupt(parent->pgno, 0, "tree: level %u leads to level %u",
                         parent->level, child->level);
}

static COLD scn_status strange_root(const struct page_ref *root)
{
    return error_corrupt(root->pgno, 0, "tree: a root of level %u", root->level);
}

static inline bool is_right_page(const struct tree *tree, const struct page_ref *ref,
                                 const uint8_t *page)
{
    return get_u64(page) == header_start(ref->level, tree->table_id);
}

static FLAT scn_status get_page(struct pool_reader *reader, const struct tree *tree,
                                  const struct page_ref *ref, const uint8_t **page)
{
    scn_status st = pool_get(reader, ref, page);
    if (st != SCN_OK)
        return st;
    return is_right_page(tree, ref, *page) ? SCN_OK : strange_page(ref);
}

scn_status tree_page(struct pool_reader *reader, const struct tree *tree,
                     const struct page_ref *ref, const uint8_t **page)
{
    return get_page(reader, tree, ref, page);
}

static FLAT scn_status get_child(const struct page_ref *parent, const uint8_t *page,
                                   uint32_t idx, struct page_ref *out)
{
    *out = page_ref_decode(inner_ref(page, idx));
    return out->level + 1 == parent->level ? SCN_OK : strange_level(parent, out);
}

scn_status tree_child(const struct page_ref *parent, const uint8_t *page, uint32_t idx,
                      struct page_ref *out)
{
    ASSERT(idx < inner_count(page));
    return get_child(parent, page, idx, out);
}

/* ---- point reads ---- */

/* A pointer on the way down: three words that stay in registers. */
struct way {
    uint64_t hash;
    uint64_t birth;
    uint64_t place;
};

static FLAT struct way way_of(const struct page_ref *ref)
{
    return (struct way){ref->hash, ref->birth_gen, page_ref_place(ref)};
}

/* As the pointer was, but for what no reader asks: who linked it. */
static struct page_ref ref_of(struct way way)
{
    return (struct page_ref){
        .hash = way.hash,
        .birth_gen = way.birth,
        .pgno = place_pgno(way.place),
        .hint = place_hint(way.place),
        .level = place_level(way.place),
        .type = place_type(way.place),
    };
}

static COLD scn_status load_way(struct pool_reader *reader, struct way way,
                                const uint8_t **page)
{
    struct page_ref ref = ref_of(way);
    return pool_load(reader, &ref, page);
}

static COLD scn_status strange_way(struct way way)
{
    struct page_ref ref = ref_of(way);
    return strange_page(&ref);
}

static COLD scn_status strange_step(struct way parent, struct way child)
{
    struct page_ref from = ref_of(parent);
    struct page_ref to = ref_of(child);
    return strange_level(&from, &to);
}

static FLAT scn_status look_up(struct pool_reader *reader, struct way way,
                               const uint8_t **page)
{
    *page = pool_look(reader, way.hash, way.birth, way.place);
    return __builtin_expect(*page != NULL, 1) ? SCN_OK : load_way(reader, way, page);
}

static FLAT bool is_page_of(const struct tree *tree, struct way way, const uint8_t *page)
{
    return get_u64(page) == header_start(place_level(way.place), tree->table_id);
}

/* From the pointer of an inner page to the pointer of the child that may hold the key. */
static FLAT scn_status step_down(struct pool_reader *reader, const struct tree *tree,
                                 scn_slice key, struct way *way)
{
    const uint8_t *page;
    scn_status st = look_up(reader, *way, &page);
    if (st != SCN_OK)
        return st;
    if (!is_page_of(tree, *way, page))
        return strange_way(*way);
    const uint8_t *at = inner_child(page, key.data, (uint32_t)key.size);
    struct way child = {get_u64(at), get_u64(at + 8), get_u64(at + 24)};
    if (place_level(child.place) + 1 != place_level(way->place))
        return strange_step(*way, child);
    *way = child;
    return SCN_OK;
}

scn_status tree_get(struct pool_reader *reader, const struct tree *tree, scn_slice key,
                    uint64_t hash, struct tree_record *out)
{
    ASSERT(key.size <= KEY_BYTES_MAX);
    if (page_ref_is_null(&tree->root))
        return SCN_NOTFOUND;
    struct way way = way_of(&tree->root);
    while (place_level(way.place) > 0) {
        scn_status st = step_down(reader, tree, key, &way);
        if (st != SCN_OK)
            return st;
    }
    scn_status st = look_up(reader, way, &out->page);
    if (st != SCN_OK)
        return st;
    if (!is_page_of(tree, way, out->page))
        return strange_way(way);
    bool is_found = leaf_find(out->page, place_hint(way.place), hash, key.data,
                              (uint32_t)key.size, &out->record);
    return is_found ? SCN_OK : SCN_NOTFOUND;
}

/* All keys one level down at a time: the loads of different keys do not wait for each
 * other. */
static void descend_together(struct pool_reader *reader, const struct tree *tree,
                             const scn_slice *keys, uint32_t count, struct way *ways,
                             scn_status *statuses)
{
    for (uint32_t level = tree->root.level; level > 0; level--) {
        for (uint32_t i = 0; i < count; i++) {
            if (statuses[i] == SCN_OK)
                statuses[i] = step_down(reader, tree, keys[i], &ways[i]);
        }
    }
}

static void find_together(struct pool_reader *reader, const struct tree *tree,
                          const scn_slice *keys, const uint64_t *hashes, uint32_t count,
                          const struct way *ways, struct tree_record *out,
                          scn_status *statuses)
{
    for (uint32_t i = 0; i < count; i++) {
        if (statuses[i] != SCN_OK)
            continue;
        statuses[i] = look_up(reader, ways[i], &out[i].page);
        if (statuses[i] != SCN_OK)
            continue;
        __builtin_prefetch(out[i].page);
        leaf_prefetch(out[i].page, place_hint(ways[i].place), hashes[i]);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (statuses[i] == SCN_OK && !is_page_of(tree, ways[i], out[i].page))
            statuses[i] = strange_way(ways[i]);
        if (statuses[i] == SCN_OK)
            leaf_prefetch_record(out[i].page, place_hint(ways[i].place), hashes[i]);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (statuses[i] == SCN_OK &&
            !leaf_find(out[i].page, place_hint(ways[i].place), hashes[i], keys[i].data,
                       (uint32_t)keys[i].size, &out[i].record))
            statuses[i] = SCN_NOTFOUND;
    }
}

scn_status tree_get_many(struct pool_reader *reader, const struct tree *tree,
                         const scn_slice *keys, const uint64_t *hashes, uint32_t count,
                         struct tree_record *out, scn_status *statuses)
{
    ASSERT(count <= TREE_BATCH_MAX);
    struct way ways[TREE_BATCH_MAX];
    bool is_empty = page_ref_is_null(&tree->root);
    for (uint32_t i = 0; i < count; i++) {
        ways[i] = way_of(&tree->root);
        statuses[i] = is_empty ? SCN_NOTFOUND : SCN_OK;
    }
    if (is_empty)
        return SCN_OK;
    descend_together(reader, tree, keys, count, ways, statuses);
    find_together(reader, tree, keys, hashes, count, ways, out, statuses);
    for (uint32_t i = 0; i < count; i++) {
        if (statuses[i] < 0)
            return statuses[i];
    }
    return SCN_OK;
}

/* ---- cursors ---- */

void tree_cursor_init(struct tree_cursor *cursor, const struct tree *tree)
{
    cursor->tree = *tree;
    cursor->is_positioned = false;
    cursor->depth = 0;
}

/* Where a descent turns: to the key if there is one, else along an edge. */
struct heading {
    const scn_slice *key;
    bool is_last;
};

static uint32_t pick_child(const uint8_t *page, uint32_t count,
                           const struct heading *heading)
{
    if (heading->key != NULL)
        return inner_find(page, heading->key->data, (uint32_t)heading->key->size);
    return heading->is_last ? count - 1 : 0;
}

/* Fills the path from `at`, whose pointer is set, down to the leaf. */
static scn_status descend(struct pool_reader *reader, struct tree_cursor *cursor,
                          uint32_t at, const struct heading *heading,
                          const uint8_t **leaf)
{
    struct tree_step *step = &cursor->path[at];
    for (; step->ref.level > 0; step++) {
        const uint8_t *page;
        scn_status st = get_page(reader, &cursor->tree, &step->ref, &page);
        if (st != SCN_OK)
            return st;
        step->count = inner_count(page);
        step->idx = pick_child(page, step->count, heading);
        st = get_child(&step->ref, page, step->idx, &step[1].ref);
        if (st != SCN_OK)
            return st;
    }
    scn_status st = get_page(reader, &cursor->tree, &step->ref, leaf);
    if (st != SCN_OK)
        return st;
    step->count = leaf_count(*leaf);
    return SCN_OK;
}

static void tell_record(const struct tree_cursor *cursor, const uint8_t *leaf,
                        struct tree_record *out)
{
    leaf_at(leaf, cursor->path[cursor->depth - 1].idx, &out->record);
    out->page = leaf;
}

/* The lowest inner level with a child beyond the path's own; depth: none. */
static uint32_t climb(const struct tree_cursor *cursor, bool is_forward)
{
    for (uint32_t at = cursor->depth - 1u; at-- > 0;) {
        const struct tree_step *step = &cursor->path[at];
        if (is_forward ? step->idx + 1 < step->count : step->idx > 0)
            return at;
    }
    return cursor->depth;
}

/* To the first record of the next leaf, or the last one of the leaf before.  The path is
 * changed only when this succeeds, so that after an error the same step can be tried
 * again and nothing is left out. */
static scn_status step_over(struct pool_reader *reader, struct tree_cursor *cursor,
                            bool is_forward, struct tree_record *out)
{
    struct tree_cursor moved = *cursor;
    uint32_t at = climb(&moved, is_forward);
    if (at == moved.depth) {
        cursor->is_positioned = false;
        return SCN_END;
    }
    struct tree_step *step = &moved.path[at];
    const uint8_t *page;
    scn_status st = get_page(reader, &moved.tree, &step->ref, &page);
    if (st != SCN_OK)
        return st;
    step->idx += is_forward ? 1 : -1u;
    st = get_child(&step->ref, page, step->idx, &step[1].ref);
    if (st != SCN_OK)
        return st;
    struct heading heading = {.key = NULL, .is_last = !is_forward};
    st = descend(reader, &moved, at + 1, &heading, &page);
    if (st != SCN_OK)
        return st;
    struct tree_step *leaf = &moved.path[moved.depth - 1];
    leaf->idx = is_forward ? 0 : leaf->count - 1;
    *cursor = moved;
    tell_record(cursor, page, out);
    return SCN_OK;
}

/* Down to the leaf where the key belongs, or to an edge of the tree. */
static scn_status seek_leaf(struct pool_reader *reader, struct tree_cursor *cursor,
                            const struct heading *heading, const uint8_t **leaf)
{
    const struct page_ref *root = &cursor->tree.root;
    if (root->level >= TREE_LEVEL_MAX)
        return strange_root(root);
    cursor->depth = (uint8_t)(root->level + 1);
    cursor->path[0].ref = *root;
    return descend(reader, cursor, 0, heading, leaf);
}

/* Index of the record sought, as if the leaf had one more record on each side: count, or
 * UINT32_MAX before the first. */
static uint32_t seek_record(const uint8_t *leaf, uint32_t count, const scn_slice *key,
                            int op)
{
    bool is_forward = op == SCN_GE || op == SCN_GT;
    if (key == NULL)
        return is_forward ? 0 : count - 1;
    bool is_equal;
    uint32_t idx = leaf_seek(leaf, key->data, (uint32_t)key->size, &is_equal);
    if (is_equal)
        return op == SCN_GT ? idx + 1 : op == SCN_LT ? idx - 1 : idx;
    return is_forward ? idx : idx - 1;
}

scn_status tree_seek(struct pool_reader *reader, struct tree_cursor *cursor,
                     const scn_slice *key, int op, struct tree_record *out)
{
    ASSERT(op == SCN_GE || op == SCN_GT || op == SCN_LE || op == SCN_LT);
    cursor->is_positioned = false;
    if (page_ref_is_null(&cursor->tree.root))
        return SCN_END;
    bool is_forward = op == SCN_GE || op == SCN_GT;
    struct heading heading = {.key = key, .is_last = !is_forward};
    const uint8_t *leaf;
    scn_status st = seek_leaf(reader, cursor, &heading, &leaf);
    if (st != SCN_OK)
        return st;
    uint32_t last = cursor->depth - 1u;
    uint32_t count = cursor->path[last].count;
    uint32_t idx = seek_record(leaf, count, key, op);
    if (idx >= count) {
        st = step_over(reader, cursor, is_forward, out);
        cursor->is_positioned = st == SCN_OK;
        return st;
    }
    cursor->path[last].idx = idx;
    cursor->is_positioned = true;
    tell_record(cursor, leaf, out);
    return SCN_OK;
}

scn_status tree_next(struct pool_reader *reader, struct tree_cursor *cursor,
                     struct tree_record *out)
{
    if (!cursor->is_positioned)
        return SCN_END;
    struct tree_step *leaf = &cursor->path[cursor->depth - 1];
    if (leaf->idx + 1 >= leaf->count)
        return step_over(reader, cursor, true, out);
    scn_status st = pool_get(reader, &leaf->ref, &out->page);
    if (st != SCN_OK)
        return st;
    leaf_at(out->page, ++leaf->idx, &out->record);
    return SCN_OK;
}

scn_status tree_prev(struct pool_reader *reader, struct tree_cursor *cursor,
                     struct tree_record *out)
{
    if (!cursor->is_positioned)
        return SCN_END;
    struct tree_step *leaf = &cursor->path[cursor->depth - 1];
    if (leaf->idx == 0)
        return step_over(reader, cursor, false, out);
    scn_status st = pool_get(reader, &leaf->ref, &out->page);
    if (st != SCN_OK)
        return st;
    leaf_at(out->page, --leaf->idx, &out->record);
    return SCN_OK;
}

scn_status tree_current(struct pool_reader *reader, struct tree_cursor *cursor,
                        struct tree_record *out)
{
    if (!cursor->is_positioned)
        return SCN_END;
    const uint8_t *leaf;
    scn_status st = pool_get(reader, &cursor->path[cursor->depth - 1].ref, &leaf);
    if (st != SCN_OK)
        return st;
    tell_record(cursor, leaf, out);
    return SCN_OK;
}

/* ---- the whole tree ---- */

struct walk {
    struct pool_reader *reader;
    struct tree_cursor place; /* idx: the child to visit next */
    scn_status (*fn)(void *ctx, const struct page_ref *ref, const uint8_t *page);
    void *ctx;
};

/* Hands the page at `at` of the path to the caller. */
static scn_status walk_visit(struct walk *walk, uint32_t at)
{
    struct tree_step *step = &walk->place.path[at];
    const uint8_t *page;
    scn_status st = get_page(walk->reader, &walk->place.tree, &step->ref, &page);
    if (st != SCN_OK)
        return st;
    step->idx = 0;
    step->count = step->ref.level > 0 ? inner_count(page) : 0;
    return walk->fn(walk->ctx, &step->ref, page);
}

/* The next child of the page at `at`: its pointer goes into the path, and it is visited.
 */
static scn_status walk_child(struct walk *walk, uint32_t at)
{
    struct tree_step *step = &walk->place.path[at];
    const uint8_t *page;
    scn_status st = get_page(walk->reader, &walk->place.tree, &step->ref, &page);
    if (st != SCN_OK)
        return st;
    st = get_child(&step->ref, page, step->idx++, &step[1].ref);
    return st == SCN_OK ? walk_visit(walk, at + 1) : st;
}

/* Pages with two parents could make a small file an endless tree: so they are counted. */
static scn_status walk_all(struct walk *walk)
{
    struct tree_step *path = walk->place.path;
    pool_enter(walk->reader);
    scn_status st = walk_visit(walk, 0);
    pool_leave(walk->reader);
    uint32_t at = 0;
    for (uint32_t visited = 1; st == SCN_OK && visited < FILE_PAGES_MAX; visited++) {
        while (at > 0 && path[at].idx == path[at].count)
            at--;
        if (path[at].idx == path[at].count)
            return SCN_OK;
        pool_enter(walk->reader);
        st = walk_child(walk, at++);
        pool_leave(walk->reader);
    }
    if (st != SCN_OK)
        return st;
    return error_corrupt(path[0].ref.pgno, 0, "tree: more pages than a file can hold");
}

scn_status tree_walk(struct pool_reader *reader, const struct tree *tree,
                     scn_status (*fn)(void *ctx, const struct page_ref *ref,
                                      const uint8_t *page),
                     void *ctx)
{
    if (page_ref_is_null(&tree->root))
        return SCN_OK;
    if (tree->root.level >= TREE_LEVEL_MAX)
        return strange_root(&tree->root);
    struct walk walk = {.reader = reader, .fn = fn, .ctx = ctx};
    tree_cursor_init(&walk.place, tree);
    walk.place.path[0].ref = tree->root;
    return walk_all(&walk);
}
