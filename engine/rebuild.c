/* The next generation of a tree.
 *
 * The old tree is visited from left to right, along a path of pointers.  For each
 * subtree, from the root on, one of three things is done: - no change and no range
 * deletion lies in its range: it is kept, as one pointer; - it is a leaf: its records are
 * merged with the changes of its range; - else it is taken apart: its page goes, and its
 * children are visited.  What comes out is in key order by itself and flows into two
 * funnels: records into engine/leafcut.c, which makes leaves of them, pointers into
 * engine/levels.c, which makes inner pages.
 *
 * When a subtree is kept, nothing smaller may wait in the funnels.  A few waiting records
 * or pointers would make a poor page; then the subtree is taken apart too, or the leaf
 * merged, though nothing in it changes, and what waits is joined with its first children.
 * So a deletion that leaves little behind ends in one more leaf rewritten, and never in a
 * chain of them.
 *
 * Every subtree comes with its range (page/keyrange.h), copied from the separators on the
 * way.  The lower bound of an old leaf is that of the first new leaf in its place: it is
 * above all keys before, and not above any key of the leaf or of a change in its range.
 *
 * Protection.  The reader has entered only while a page on the path is looked at.  A leaf
 * is held while it is merged, and released when all its records are in new pages or
 * copied.  So writing, its pacing and the caller's functions never keep others from
 * giving frames away.
 *
 * What comes from disk is judged where it could do harm: separators and keys outside the
 * range of their page, more records or pages than the catalog counts (so also a page that
 * is reached twice). */
#include "engine/rebuild.h"

#include "engine/leafcut.h"
#include "engine/levels.h"
#include "page/inner.h"
#include "page/keyrange.h"
#include "page/mem.h"

enum { MOVED_PART_BYTES = 1 << 20 };

/* A subtree on the path. */
struct place {
    struct page_ref ref;
    uint32_t idx; /* of the child to visit next */
    uint32_t count;
    struct keyrange range;
};

struct rebuilder {
    struct rebuild *job;
    struct levels *levels;
    struct leafcut *cut;
    uint64_t stepped;     /* leaves written when step was called last */
    struct values_scratch scratch;
    uint8_t *moved; /* the value that moves */
    uint64_t moved_capacity;
    uint64_t moved_bytes; /* of the leaf in question */
    bool moves_values;    /* the leaf in question is in the step of the relocation */
    struct change change; /* the next one */
    bool has_change;
    bool has_gap;     /* [T5] leaves before this place are gone: */
    struct bound gap; /* ... the lower bound of the first of them */
    uint32_t depth; /* places taken apart; path[depth] is the one in question */
    struct place path[TREE_LEVEL_MAX + 1];
};

/* ---- what the caller is told ---- */

static scn_status step(struct rebuilder *rebuilder)
{
    rebuilder->stepped = leafcut_page_count(rebuilder->cut);
    if (rebuilder->job->step == NULL)
        return SCN_OK;
    return rebuilder->job->step(rebuilder->job->ctx);
}

static scn_status next_change(struct rebuilder *rebuilder)
{
    scn_status st = rebuilder->job->next(rebuilder->job->ctx, &rebuilder->change);
    rebuilder->has_change = st == SCN_OK;
    return st == SCN_END ? SCN_OK : st;
}

static scn_status free_page(struct rebuilder *rebuilder, const struct page_ref *ref)
{
    struct rebuild *job = rebuilder->job;
    if (job->is_uncounted)
        return job->page_freed(job->ctx, ref);
    if (job->stat.pages == 0)
        return error_corrupt(ref->pgno, 0, "rebuild: more pages than the catalog counts");
    job->stat.pages--;
    return job->page_freed(job->ctx, ref);
}

/* ---- records ---- */

/* A record of the old tree that is not in the new one. */
static scn_status drop_old(struct rebuilder *rebuilder, const struct leaf_record *record)
{
    struct rebuild *job = rebuilder->job;
    uint64_t value_len = record->payload_len;
    struct value_ref ref;
    if (record->kind == LEAF_REF) {
        const char *fault = value_ref_decode(record->payload, &ref);
        if (fault != NULL)
            return error_corrupt(0, 0, "%s", fault);
        value_len = ref.len;
    }
    struct rebuild_stat *stat = &job->stat;
    if (job->is_uncounted)
        return record->kind == LEAF_REF ? job->value_dropped(job->ctx, &ref) : SCN_OK;
    if (stat->count < 1 || stat->key_bytes < record->key_len ||
        stat->value_bytes < value_len)
        return error_corrupt(0, 0, "rebuild: more records than the catalog counts");
    stat->count--;
    stat->key_bytes -= record->key_len;
    stat->value_bytes -= value_len;
    return record->kind == LEAF_REF ? job->value_dropped(job->ctx, &ref) : SCN_OK;
}

static scn_status put_ref(struct rebuilder *rebuilder, struct leaf_record *record)
{
    struct rebuild *job = rebuilder->job;
    struct value_ref ref;
    const char *fault = "rebuild: a reference of a wrong length";
    if (record->payload_len == VALUE_REF_BYTES)
        fault = value_ref_decode(record->payload, &ref);
    if (fault != NULL)
        return error_corrupt(0, 0, "%s", fault);
    record->kind = LEAF_REF;
    job->stat.value_bytes += ref.len;
    scn_status st = leafcut_copy(rebuilder->cut, record);
    return st == SCN_OK ? job->value_added(job->ctx, &ref) : st;
}

static scn_status put(struct rebuilder *rebuilder, const struct change *change)
{
    struct rebuild *job = rebuilder->job;
    struct leaf_record record = {
        .key = change->key.data,
        .payload = change->value.data,
        .key_len = (uint32_t)change->key.size,
        .payload_len = (uint16_t)change->value.size,
        .kind = LEAF_INLINE,
    };
    job->stat.count++;
    job->stat.key_bytes += change->key.size;
    if (change->kind == CHANGE_PUT_REF)
        return put_ref(rebuilder, &record);
    job->stat.value_bytes += change->value.size;
    if (change->value.size > VALUE_INLINE_MAX ||
        (job->compress && change->value.size >= REBUILD_COMPRESS_MIN))
        return leafcut_put_outside(rebuilder->cut, change->key, change->value);
    return leafcut_copy(rebuilder->cut, &record);
}

static scn_status take_change(struct rebuilder *rebuilder)
{
    const struct change *change = &rebuilder->change;
    ASSERT(change->key.size >= 1);
    ASSERT(change->key.size <= KEY_BYTES_MAX);
    if (change->kind != CHANGE_DELETE)
        return put(rebuilder, change);
    if (!rebuilder->job->keep_tombstones)
        return SCN_OK;
    struct leaf_record tombstone = {
        .key = change->key.data,
        .key_len = (uint32_t)change->key.size,
        .kind = LEAF_TOMBSTONE,
    };
    return leafcut_copy(rebuilder->cut, &tombstone);
}

/* ---- values that move ---- */

static scn_status make_room_for_moved(struct rebuilder *rebuilder, uint64_t len)
{
    if (len <= rebuilder->moved_capacity)
        return SCN_OK;
    uint8_t *grown = mem_alloc(len);
    if (grown == NULL)
        return error_nomem();
    mem_free(rebuilder->moved);
    rebuilder->moved = grown;
    rebuilder->moved_capacity = len;
    return SCN_OK;
}

/* In parts, since it may be longer than the pool; and a copy, since nobody may stay in
 * the pool while it is written. */
static scn_status fetch_moved(struct rebuilder *rebuilder, const struct value_ref *ref,
                              scn_slice *value)
{
    struct pool_reader *reader = rebuilder->job->reader;
    scn_status st = make_room_for_moved(rebuilder, ref->len);
    size_t got = 1;
    for (uint64_t off = 0; off < ref->len && got > 0 && st == SCN_OK; off += got) {
        uint64_t left = ref->len - off;
        pool_enter(reader);
        st = values_read_at(reader, ref, &rebuilder->scratch, off,
                            rebuilder->moved + off,
                            left < MOVED_PART_BYTES ? left : MOVED_PART_BYTES, &got);
        pool_leave(reader);
    }
    *value = (scn_slice){rebuilder->moved, ref->len};
    return st;
}

static scn_status judge_ref(const struct rebuilder *rebuilder,
                            const struct leaf_record *record, struct value_ref *ref,
                            bool *moves)
{
    struct relocation *relocation = rebuilder->job->relocation;
    const char *fault = value_ref_decode(record->payload, ref);
    *moves = false;
    if (fault != NULL)
        return error_corrupt(0, 0, "%s", fault);
    return relocation->judge(relocation->ctx, ref, moves);
}

/* The record as a change that puts the same value. */
static scn_status move_value(struct rebuilder *rebuilder,
                             const struct leaf_record *record,
                             const struct value_ref *ref)
{
    struct change change = {.key = {record->key, record->key_len}, .kind = CHANGE_PUT};
    scn_status st = fetch_moved(rebuilder, ref, &change.value);
    if (st == SCN_OK)
        st = drop_old(rebuilder, record);
    if (st == SCN_OK)
        st = put(rebuilder, &change);
    rebuilder->moved_bytes += ref->len;
    return st;
}

static scn_status keep_or_move(struct rebuilder *rebuilder,
                               const struct leaf_record *record)
{
    struct value_ref ref;
    bool moves = false;
    scn_status st = SCN_OK;
    if (rebuilder->moves_values && record->kind == LEAF_REF)
        st = judge_ref(rebuilder, record, &ref, &moves);
    if (st != SCN_OK)
        return st;
    return moves ? move_value(rebuilder, record, &ref)
                 : leafcut_borrow(rebuilder->cut, record);
}

static scn_status take_old(struct rebuilder *rebuilder, const uint8_t *leaf,
                           uint32_t from, uint32_t to, bool has_clears)
{
    struct rebuild *job = rebuilder->job;
    for (uint32_t idx = from; idx < to; idx++) {
        struct leaf_record record;
        leaf_at(leaf, idx, &record);
        scn_slice key = {record.key, record.key_len};
        scn_status st;
        if (record.kind == LEAF_TOMBSTONE)
            return error_corrupt(0, 0, "rebuild: a tombstone in a tree");
        if (has_clears && job->is_cleared(job->ctx, key))
            st = drop_old(rebuilder, &record);
        else
            st = keep_or_move(rebuilder, &record);
        if (st != SCN_OK)
            return st;
    }
    return SCN_OK;
}

/* ---- one leaf ---- */

static bool has_change_below(const struct rebuilder *rebuilder, const struct bound *upper)
{
    const scn_slice *key = &rebuilder->change.key;
    return rebuilder->has_change && bound_is_above(upper, key->data, key->size);
}

/* The records of a leaf, all old ones in its range, and the changes in that range. leaf
 * NULL: no old records. */
static scn_status merge(struct rebuilder *rebuilder, const uint8_t *leaf,
                        const struct bound *upper, bool has_clears)
{
    uint32_t from = 0;
    while (has_change_below(rebuilder, upper)) {
        const scn_slice *key = &rebuilder->change.key;
        bool is_equal = false;
        uint32_t idx = 0;
        if (leaf != NULL)
            idx = leaf_seek(leaf, key->data, (uint32_t)key->size, &is_equal);
        ASSERT(idx >= from);
        scn_status st = take_old(rebuilder, leaf, from, idx, has_clears);
        if (st == SCN_OK && is_equal) {
            struct leaf_record replaced;
            leaf_at(leaf, idx, &replaced);
            st = drop_old(rebuilder, &replaced);
        }
        if (st == SCN_OK)
            st = take_change(rebuilder);
        if (st == SCN_OK)
            st = next_change(rebuilder);
        if (st == SCN_OK && leafcut_page_count(rebuilder->cut) != rebuilder->stepped)
            st = step(rebuilder);
        if (st != SCN_OK)
            return st;
        from = idx + is_equal;
    }
    if (leaf == NULL)
        return SCN_OK;
    return take_old(rebuilder, leaf, from, leaf_count(leaf), has_clears);
}

/* Gets a leaf and holds it beyond pool_leave. */
static scn_status hold_leaf(struct rebuilder *rebuilder, const struct place *place,
                            const uint8_t **leaf)
{
    struct rebuild *job = rebuilder->job;
    pool_enter(job->reader);
    scn_status st = tree_page(job->reader, &job->old, &place->ref, leaf);
    bool is_held = st == SCN_OK && pool_hold(job->reader, *leaf);
    pool_leave(job->reader);
    if (st == SCN_OK && !is_held)
        return error_misuse("rebuild: the reader holds too many pages");
    return st;
}

static scn_status check_leaf(const struct place *place, const uint8_t *leaf)
{
    if (keyrange_fault(&place->range, leaf) != NULL)
        return error_corrupt(place->ref.pgno, 0, "rebuild: keys are out of range");
    return SCN_OK;
}

/* [T5] Where the leaf begins, or where those that are gone began.  What waits already has
 * a bound, and then nothing is gone. */
static scn_status note_lower(struct rebuilder *rebuilder, const struct place *place)
{
    struct bound *gap = &rebuilder->gap;
    scn_status st = SCN_OK;
    if (!rebuilder->has_gap)
        st = bound_copy(gap, &place->range.from);
    if (st == SCN_OK)
        leafcut_begin(rebuilder->cut, gap->bytes, (uint32_t)gap->len);
    return st;
}

/* Has anything of the leaf's range come out?  Pages may have been written already. */
static void note_outcome(struct rebuilder *rebuilder)
{
    rebuilder->has_gap = leafcut_is_empty(rebuilder->cut);
}

/* Afterwards nothing is borrowed from the leaf: its records are in new leaves, or, if
 * they are few and more is to come, copied. */
static scn_status merge_held(struct rebuilder *rebuilder, const struct place *place,
                             const uint8_t *leaf, bool has_clears)
{
    scn_status st = check_leaf(place, leaf);
    if (st != SCN_OK)
        return st;
    st = note_lower(rebuilder, place);
    if (st == SCN_OK)
        st = merge(rebuilder, leaf, &place->range.to, has_clears);
    if (st != SCN_OK)
        return st;
    note_outcome(rebuilder);
    bool is_last = !place->range.to.is_set;
    if (!is_last && leafcut_is_small(rebuilder->cut))
        return leafcut_own(rebuilder->cut);
    return leafcut_flush(rebuilder->cut, is_last);
}

static scn_status merge_leaf(struct rebuilder *rebuilder, const struct place *place,
                             bool has_clears)
{
    const uint8_t *leaf;
    scn_status st = hold_leaf(rebuilder, place, &leaf);
    if (st != SCN_OK)
        return st;
    st = merge_held(rebuilder, place, leaf, has_clears);
    pool_release_all(rebuilder->job->reader);
    if (st == SCN_OK)
        st = free_page(rebuilder, &place->ref);
    return st == SCN_OK ? step(rebuilder) : st;
}

/* ---- the old tree ---- */

static bool touches_clear(const struct rebuilder *rebuilder, const struct place *place)
{
    const struct rebuild *job = rebuilder->job;
    if (job->is_cleared == NULL)
        return false;
    const struct keyrange *range = &place->range;
    scn_slice from = bound_key(&range->from);
    scn_slice to = bound_key(&range->to);
    return job->touches_clear(job->ctx, range->from.is_set ? &from : NULL,
                              range->to.is_set ? &to : NULL);
}

/* Into the new tree as it is, if nothing small waits before it. */
static scn_status keep(struct rebuilder *rebuilder, const struct place *place,
                       bool *is_kept)
{
    *is_kept = false;
    if (!leafcut_is_empty(rebuilder->cut) || rebuilder->has_gap)
        return SCN_OK;
    scn_status st = levels_settle(rebuilder->levels, place->ref.level, is_kept);
    if (st != SCN_OK || !*is_kept)
        return st;
    const struct bound *from = &place->range.from;
    return levels_add(rebuilder->levels, from->bytes, (uint32_t)from->len, &place->ref);
}

/* Separators are in order within a page; here, also within the page's range. */
static scn_status check_separators(const struct place *place, const uint8_t *page)
{
    if (place->count < 2)
        return SCN_OK;
    uint32_t first_len;
    uint32_t last_len;
    const uint8_t *first = inner_separator(page, 1, &first_len);
    const uint8_t *last = inner_separator(page, place->count - 1, &last_len);
    const struct bound *from = &place->range.from;
    if (bytes_compare(first, first_len, from->bytes, from->len) <= 0 ||
        !bound_is_above(&place->range.to, last, last_len))
        return error_corrupt(place->ref.pgno, 0, "rebuild: separators are out of range");
    return SCN_OK;
}

/* The place becomes part of the path: its children are next. */
static scn_status take_apart(struct rebuilder *rebuilder, struct place *place)
{
    struct rebuild *job = rebuilder->job;
    const uint8_t *page;
    pool_enter(job->reader);
    scn_status st = tree_page(job->reader, &job->old, &place->ref, &page);
    if (st == SCN_OK) {
        place->idx = 0;
        place->count = inner_count(page);
        st = check_separators(place, page);
    }
    pool_leave(job->reader);
    if (st != SCN_OK)
        return st;
    rebuilder->depth++;
    return free_page(rebuilder, &place->ref);
}

static const scn_slice *end_of(const struct place *place, scn_slice *upper)
{
    *upper = bound_key(&place->range.to);
    return place->range.to.is_set ? upper : NULL;
}

static scn_status has_moving_value(struct rebuilder *rebuilder, const uint8_t *leaf,
                                   bool *has)
{
    scn_status st = SCN_OK;
    for (uint32_t idx = 0; idx < leaf_count(leaf) && st == SCN_OK && !*has; idx++) {
        struct leaf_record record;
        struct value_ref ref;
        leaf_at(leaf, idx, &record);
        if (record.kind == LEAF_REF)
            st = judge_ref(rebuilder, &record, &ref, has);
    }
    return st;
}

static scn_status must_move_leaf(struct rebuilder *rebuilder, const struct place *place,
                                 bool *moves)
{
    const struct relocation *relocation = rebuilder->job->relocation;
    const uint8_t *leaf;
    *moves = place->ref.pgno >= relocation->from;
    rebuilder->moves_values = relocation->judge != NULL;
    if (*moves || relocation->judge == NULL)
        return SCN_OK;
    scn_status st = hold_leaf(rebuilder, place, &leaf);
    if (st == SCN_OK)
        st = has_moving_value(rebuilder, leaf, moves);
    pool_release_all(rebuilder->job->reader);
    return st;
}

/* Only a look into an inner page tells what lies below it, so all of them are opened. */
static scn_status must_move(struct rebuilder *rebuilder, const struct place *place,
                            bool *moves)
{
    scn_slice upper;
    rebuilder->moves_values = false;
    rebuilder->moved_bytes = 0;
    *moves = relocation_concerns(rebuilder->job->relocation, end_of(place, &upper));
    if (!*moves || place->ref.level > 0)
        return SCN_OK;
    return must_move_leaf(rebuilder, place, moves);
}

/* A leaf of the relocation's step is done.  One that stays was read. */
static scn_status note_moved(struct rebuilder *rebuilder, const struct place *place,
                             bool is_kept)
{
    scn_slice upper;
    if (!rebuilder->moves_values)
        return SCN_OK;
    uint64_t bytes = is_kept ? PAGE_BYTES / 4 : PAGE_BYTES + rebuilder->moved_bytes;
    return relocation_spend(rebuilder->job->relocation, bytes, end_of(place, &upper));
}

static scn_status visit(struct rebuilder *rebuilder)
{
    struct place *place = &rebuilder->path[rebuilder->depth];
    bool has_clears = touches_clear(rebuilder, place);
    bool moves;
    bool is_kept = false;
    scn_status st = must_move(rebuilder, place, &moves);
    if (st == SCN_OK && !has_clears && !moves &&
        !has_change_below(rebuilder, &place->range.to))
        st = keep(rebuilder, place, &is_kept);
    if (st == SCN_OK && !is_kept && place->ref.level > 0)
        return take_apart(rebuilder, place);
    if (st == SCN_OK && !is_kept)
        st = merge_leaf(rebuilder, place, has_clears);
    return st == SCN_OK ? note_moved(rebuilder, place, is_kept) : st;
}

/* The next child of the last place taken apart is the one in question. */
static scn_status locate(struct rebuilder *rebuilder)
{
    struct rebuild *job = rebuilder->job;
    struct place *parent = &rebuilder->path[rebuilder->depth - 1];
    struct place *child = &rebuilder->path[rebuilder->depth];
    const uint8_t *page;
    pool_enter(job->reader);
    scn_status st = tree_page(job->reader, &job->old, &parent->ref, &page);
    if (st == SCN_OK)
        st = tree_child(&parent->ref, page, parent->idx, &child->ref);
    if (st == SCN_OK)
        st = keyrange_of_child(&child->range, &parent->range, page, parent->idx);
    pool_leave(job->reader);
    parent->idx++;
    return st;
}

/* Ends: each page taken apart or merged is counted against the catalog's number of pages,
 * and where nobody counts, page_freed refuses a page that it was told of before. */
static scn_status visit_all(struct rebuilder *rebuilder)
{
    struct place *root = &rebuilder->path[0];
    root->ref = rebuilder->job->old.root;
    if (root->ref.level >= TREE_LEVEL_MAX)
        return error_corrupt(root->ref.pgno, 0, "rebuild: a root of level %u",
                             root->ref.level);
    for (;;) {
        scn_status st = visit(rebuilder);
        if (st != SCN_OK)
            return st;
        const struct place *path = rebuilder->path;
        while (rebuilder->depth > 0 &&
               path[rebuilder->depth - 1].idx == path[rebuilder->depth - 1].count)
            rebuilder->depth--;
        if (rebuilder->depth == 0)
            return SCN_OK;
        st = locate(rebuilder);
        if (st != SCN_OK)
            return st;
    }
}

/* ---- all of it ---- */

static scn_status keep_promises(void *ctx)
{
    struct rebuilder *rebuilder = ctx;
    return leafcut_keep(rebuilder->cut);
}

static scn_status open_funnels(struct rebuilder *rebuilder)
{
    const struct rebuild *job = rebuilder->job;
    scn_status st = levels_create(job->writer, job->old.table_id, keep_promises,
                                  rebuilder, &rebuilder->levels);
    if (st != SCN_OK)
        return st;
    struct leafcut_options options = {
        .writer = job->writer,
        .levels = rebuilder->levels,
        .table_id = job->old.table_id,
        .compress = job->compress,
        .value_added = job->value_added,
        .ctx = job->ctx,
    };
    return leafcut_create(&options, &rebuilder->cut);
}

/* Without an old tree all changes are one leaf's, which leafcut cuts as they come. */
static scn_status run(struct rebuilder *rebuilder)
{
    scn_status st = next_change(rebuilder);
    if (st != SCN_OK)
        return st;
    if (!page_ref_is_null(&rebuilder->job->old.root))
        return visit_all(rebuilder);
    struct bound open = {0};
    leafcut_begin(rebuilder->cut, NULL, 0);
    st = merge(rebuilder, NULL, &open, false);
    return st == SCN_OK ? leafcut_flush(rebuilder->cut, true) : st;
}

/* A kept page with one child is the last of its level [N2], and never all that is left:
 * its leaf would be the first behind those that have gone, which is written anew [T5]. */
static scn_status finish(struct rebuilder *rebuilder, struct page_ref *root)
{
    struct rebuild *job = rebuilder->job;
    scn_status st = leafcut_keep(rebuilder->cut);
    if (st == SCN_OK)
        st = levels_finish(rebuilder->levels, root);
    job->stat.pages += leafcut_page_count(rebuilder->cut);
    job->stat.pages += levels_page_count(rebuilder->levels);
    if (st == SCN_OK)
        st = writer_flush(job->writer);
    return st;
}

scn_status rebuild_tree(struct rebuild *job, struct page_ref *root)
{
    ASSERT(!pool_is_entered(job->reader));
    ASSERT(!job->keep_tombstones || page_ref_is_null(&job->old.root));
    *root = (struct page_ref){.pgno = 0};
    struct rebuilder rebuilder = {.job = job};
    scn_status st = open_funnels(&rebuilder);
    if (st == SCN_OK)
        st = run(&rebuilder);
    if (st == SCN_OK)
        st = finish(&rebuilder, root);
    for (uint32_t i = 0; i <= TREE_LEVEL_MAX; i++)
        keyrange_free(&rebuilder.path[i].range);
    values_scratch_destroy(&rebuilder.scratch);
    mem_free(rebuilder.moved);
    bound_free(&rebuilder.gap);
    leafcut_destroy(rebuilder.cut);
    levels_destroy(rebuilder.levels);
    return st;
}
