/* Cursors: a merge, bounds, and what has been read.
 *
 * The merge is collected anew when the transaction's own writes changed shape (a first
 * write to the table, a spill, a rollback, a range deletion); the position is the last
 * key handed out, which the cursor keeps.
 *
 * What a cursor told the user is one closed range a sweep: from where it was sought to
 * the last key it returned, or to the bound where it said END. The range goes to the
 * read set when the sweep ends (the next seek, close, commit). */
#include "engine/txn.h"

#include "page/mem.h"

#define CURSOR_MAGIC 0x53434355u

struct text {
    uint8_t *data;
    size_t len;
    size_t capacity;
    bool is_set;
};

struct scn_cursor {
    uint32_t magic;
    uint32_t table_id;
    uint32_t flags; /* SCN_UNTRACKED */
    scn_status broken;
    struct scn_txn *txn;
    struct scn_cursor *next;
    struct merge *merge;
    uint32_t shape;
    struct text lower;  /* inclusive */
    struct text upper;  /* exclusive */
    struct text wanted; /* what was sought last */
    struct text last;   /* the last key handed out, when is_set */
    struct text low;    /* the sweep's range so far; not set: unbounded */
    struct text high;
    bool has_sweep;
    bool is_fresh; /* the sweep has had no answer yet */
};

/* Without memory for it the text is what it was. */
static scn_status text_reserve(struct text *text, size_t size)
{
    if (text->capacity >= size)
        return SCN_OK;
    uint8_t *fresh = mem_alloc(size + 32);
    if (fresh == NULL)
        return error_nomem();
    if (text->len)
        memcpy(fresh, text->data, text->len);
    mem_free(text->data);
    text->data = fresh;
    text->capacity = size + 32;
    return SCN_OK;
}

static scn_status text_set(struct text *text, scn_slice bytes)
{
    scn_status st = text_reserve(text, bytes.size);
    if (st < 0)
        return st;
    if (bytes.size)
        memmove(text->data, bytes.data, bytes.size);
    text->len = bytes.size;
    text->is_set = true;
    return SCN_OK;
}

static scn_slice text_slice(const struct text *text)
{
    return (scn_slice){text->data, text->len};
}

static scn_status text_copy(struct text *to, const struct text *from)
{
    if (from->is_set)
        return text_set(to, text_slice(from));
    to->is_set = false;
    return SCN_OK;
}

static int text_order(scn_slice key, const struct text *text)
{
    return bytes_compare(key.data, key.size, text->data, text->len);
}

/* ---- what was read ---- */

/* Without memory for it the sweep stays, for the next one who asks: the commit, at the
 * latest. */
static scn_status flush_sweep(struct scn_cursor *cursor)
{
    scn_slice low = text_slice(&cursor->low);
    scn_slice high = text_slice(&cursor->high);
    if (!cursor->has_sweep)
        return SCN_OK;
    scn_status st = readset_range(&cursor->txn->reads, cursor->table_id,
                                  cursor->low.is_set ? &low : NULL,
                                  cursor->high.is_set ? &high : NULL);
    cursor->has_sweep = st < 0;
    return st;
}

scn_status cursor_flush_reads(struct scn_txn *txn)
{
    for (struct scn_cursor *cursor = txn->cursors; cursor; cursor = cursor->next) {
        scn_status st = flush_sweep(cursor);
        if (st < 0)
            return st;
    }
    return SCN_OK;
}

/* The sweep now reaches to `key`, or to the bound when key is NULL, on the side of
 * travel. */
static scn_status extend_sweep(struct scn_cursor *cursor, bool forward,
                               const scn_slice *key)
{
    struct text *side = forward ? &cursor->high : &cursor->low;
    bool is_fresh = cursor->is_fresh;
    if (!cursor->has_sweep)
        return SCN_OK;
    cursor->is_fresh = false;
    if (key == NULL)
        return text_copy(side, forward ? &cursor->upper : &cursor->lower);
    if (is_fresh)
        return text_set(side, *key);
    if (!side->is_set)
        return SCN_OK; /* reached the end of the table before */
    int order = text_order(*key, side);
    return (forward ? order > 0 : order < 0) ? text_set(side, *key) : SCN_OK;
}

/* From a key, or from the edge where the direction begins; the far side follows with the
 * first answer. */
static scn_status start_sweep(struct scn_cursor *cursor, const scn_slice *from,
                              bool forward)
{
    scn_status st = flush_sweep(cursor);
    if (st < 0 || !txn_tracks(cursor->txn, cursor->flags))
        return st;
    if (from) {
        st = text_set(&cursor->low, *from);
        if (st == SCN_OK)
            st = text_set(&cursor->high, *from);
    } else {
        const struct text *bound = forward ? &cursor->lower : &cursor->upper;
        st = text_copy(&cursor->low, bound);
        if (st == SCN_OK)
            st = text_copy(&cursor->high, bound);
    }
    cursor->has_sweep = st == SCN_OK;
    cursor->is_fresh = true;
    return st;
}

/* ---- life ---- */

/* A failure sticks where the cursor is not what it was, or what it would go over is not
 * noted. */
static scn_status stick(struct scn_cursor *cursor, scn_status st)
{
    if (st < 0)
        cursor->broken = st;
    return st;
}

static scn_status cursor_check(const struct scn_cursor *cursor)
{
    if (cursor == NULL)
        return error_misuse("the cursor is NULL");
    if (cursor->magic != CURSOR_MAGIC)
        return error_misuse("the cursor is closed");
    scn_status st = txn_check(cursor->txn);
    return st < 0 ? st : error_again(cursor->broken, "a call of this cursor");
}

scn_status scn_cursor_open(scn_txn *txn, scn_table_id id, scn_cursor **out)
{
    struct binding *binding;
    if (out == NULL)
        return error_misuse("scn_cursor_open: the place for the cursor is NULL");
    *out = NULL;
    scn_status st = txn_check(txn);
    if (st < 0)
        return st;
    txn_enter(txn);
    st = catalog_bind(txn, id, &binding);
    st = txn_leave(txn, st);
    if (st != SCN_OK)
        return st;
    struct scn_cursor *cursor = mem_zalloc(sizeof *cursor);
    if (cursor == NULL)
        return error_nomem();
    cursor->magic = CURSOR_MAGIC;
    cursor->table_id = id;
    cursor->txn = txn;
    cursor->next = txn->cursors;
    txn->cursors = cursor;
    *out = cursor;
    return SCN_OK;
}

static void cursor_free(struct scn_cursor *cursor)
{
    struct text *texts[] = {&cursor->wanted, &cursor->lower, &cursor->upper,
                            &cursor->last,   &cursor->low,   &cursor->high};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        mem_free(texts[i]->data);
    merge_destroy(cursor->merge);
    cursor->magic = 0;
    mem_free(cursor);
}

void scn_cursor_close(scn_cursor *cursor)
{
    if (cursor == NULL || cursor->magic != CURSOR_MAGIC)
        return;
    struct scn_txn *txn = cursor->txn;
    /* Without memory for the range the transaction can no longer be judged. */
    scn_status st = flush_sweep(cursor);
    if (st < 0 && txn->broken == SCN_OK)
        txn->broken = st;
    struct scn_cursor **at = &txn->cursors;
    while (*at != cursor)
        at = &(*at)->next;
    *at = cursor->next;
    cursor_free(cursor);
}

void cursor_close_all(struct scn_txn *txn)
{
    while (txn->cursors) {
        struct scn_cursor *cursor = txn->cursors;
        txn->cursors = cursor->next;
        cursor_free(cursor);
    }
}

scn_status scn_cursor_flags(scn_cursor *cursor, uint32_t flags)
{
    scn_status st = cursor_check(cursor);
    if (st < 0)
        return st;
    if (flags & ~(uint32_t)SCN_UNTRACKED)
        return error_misuse("scn_cursor_flags: unknown flags 0x%x", flags);
    st = flush_sweep(cursor);
    if (st < 0)
        return st;
    cursor->flags = flags;
    scn_slice last = text_slice(&cursor->last);
    if (cursor->last.is_set)
        st = start_sweep(cursor, &last, true);
    return stick(cursor, st);
}

/* ---- bounds ---- */

/* Both, or neither. */
static scn_status reserve_bounds(struct scn_cursor *cursor, const scn_slice *from,
                                 const scn_slice *to)
{
    scn_status st = from ? text_reserve(&cursor->lower, from->size) : SCN_OK;
    return st == SCN_OK && to ? text_reserve(&cursor->upper, to->size) : st;
}

static scn_status set_bound(struct text *text, const scn_slice *bytes)
{
    text->is_set = false;
    return bytes ? text_set(text, *bytes) : SCN_OK;
}

scn_status scn_cursor_bounds(scn_cursor *cursor, const scn_slice *from,
                             const scn_slice *to)
{
    scn_status st = cursor_check(cursor);
    if (st == SCN_OK && from)
        st = write_check_bound(*from);
    if (st == SCN_OK && to)
        st = write_check_bound(*to);
    if (st == SCN_OK)
        st = reserve_bounds(cursor, from, to);
    if (st == SCN_OK)
        st = flush_sweep(cursor);
    if (st < 0)
        return st;
    cursor->last.is_set = false;
    st = set_bound(&cursor->lower, from);
    return st == SCN_OK ? set_bound(&cursor->upper, to) : st;
}

/* The least key above all that begin with the prefix: its last byte below 255 raised,
 * the rest cut. */
scn_status scn_cursor_prefix(scn_cursor *cursor, scn_slice prefix)
{
    size_t len = prefix.size;
    const uint8_t *bytes = prefix.data;
    scn_status st = cursor_check(cursor);
    if (st == SCN_OK)
        st = write_check_bound(prefix);
    if (st < 0)
        return st;
    while (len && bytes[len - 1] == 0xff)
        len--;
    scn_slice upper = {prefix.data, len};
    st = scn_cursor_bounds(cursor, &prefix, len ? &upper : NULL);
    if (st == SCN_OK && len)
        cursor->upper.data[len - 1]++;
    return st;
}

/* ---- moving ---- */

static scn_status collect(struct scn_cursor *cursor)
{
    struct scn_txn *txn = cursor->txn;
    struct binding *binding;
    if (cursor->merge && cursor->shape == txn->writes.shape)
        return SCN_OK;
    merge_destroy(cursor->merge);
    cursor->merge = NULL;
    scn_status st = catalog_bind(txn, cursor->table_id, &binding);
    if (st == SCN_OK)
        st = read_merge(txn, binding, &cursor->merge);
    cursor->shape = txn->writes.shape;
    return st;
}

static bool is_outside(const struct scn_cursor *cursor, scn_slice key)
{
    return (cursor->upper.is_set && text_order(key, &cursor->upper) >= 0) ||
           (cursor->lower.is_set && text_order(key, &cursor->lower) < 0);
}

/* An addition is on top of what older sources say. */
static scn_status added_value(struct scn_cursor *cursor, scn_slice key, scn_slice *value)
{
    struct binding *binding;
    struct found found;
    scn_status st = catalog_bind(cursor->txn, cursor->table_id, &binding);
    if (st == SCN_OK)
        st = read_find(cursor->txn, binding, key, leaf_hash(key.data, key.size), &found);
    return st == SCN_OK ? read_value(cursor->txn, &found, value) : st;
}

static scn_status item_value(struct scn_cursor *cursor, const struct merge_item *item,
                             scn_slice *value)
{
    struct found found = {.kind = FOUND_REF, .bytes = item->value, .page = item->page};
    switch (item->kind) {
    case MERGE_ADD:
        return added_value(cursor, item->key, value);
    case MERGE_REF:
        return read_value(cursor->txn, &found, value);
    default:
        *value = item->value;
        return txn_keep(cursor->txn, item->page, value);
    }
}

/* An answer: judged against the bounds, noted, handed out. Errors stick: a cursor that
 * skipped something must not go on as if nothing had been there. */
static scn_status answer(struct scn_cursor *cursor, scn_status st, bool forward,
                         const struct merge_item *item, scn_slice *key, scn_slice *value)
{
    if (st == SCN_OK && is_outside(cursor, item->key)) {
        /* The way back starts from the last key handed out, not from this one. */
        cursor->merge->is_positioned = false;
        st = SCN_END;
    }
    if (st == SCN_OK && value)
        st = item_value(cursor, item, value);
    if (st == SCN_OK)
        st = text_set(&cursor->last, item->key);
    if (st == SCN_OK || st == SCN_END) {
        scn_status noted = extend_sweep(cursor, forward,
                                        st == SCN_OK ? &item->key : NULL);
        st = noted < 0 ? noted : st;
    }
    /* Our copy outlives the page. */
    if (st == SCN_OK && key)
        *key = text_slice(&cursor->last);
    return stick(cursor, st);
}

static scn_status seek_merge(struct scn_cursor *cursor, const scn_slice *key, int op,
                             struct merge_item *item)
{
    scn_status st = collect(cursor);
    return st != SCN_OK ? st : merge_seek(cursor->merge, key, op, item);
}

/* From the end of the table or of the bounds. */
static scn_status from_edge(struct scn_cursor *cursor, bool forward, scn_slice *key,
                            scn_slice *value)
{
    struct merge_item item;
    scn_slice bound = text_slice(forward ? &cursor->lower : &cursor->upper);
    bool has_bound = forward ? cursor->lower.is_set : cursor->upper.is_set;
    cursor->last.is_set = false;
    scn_status st = start_sweep(cursor, NULL, forward);
    if (st == SCN_OK)
        st = seek_merge(cursor, has_bound ? &bound : NULL,
                        forward     ? SCN_GE
                        : has_bound ? SCN_LT
                                    : SCN_LE,
                        &item);
    return answer(cursor, st, forward, &item, key, value);
}

static void clear_outputs(scn_slice *key, scn_slice *value)
{
    if (key)
        *key = (scn_slice){NULL, 0};
    if (value)
        *value = (scn_slice){NULL, 0};
}

static scn_status step(struct scn_cursor *cursor, bool forward, scn_slice *key,
                       scn_slice *value)
{
    struct merge_item item;
    scn_status st;
    if (!cursor->last.is_set)
        return from_edge(cursor, forward, key, value);
    if (cursor->merge && cursor->shape == cursor->txn->writes.shape &&
        cursor->merge->is_positioned) {
        st = merge_step(cursor->merge, forward, &item);
    } else {
        scn_slice last = text_slice(&cursor->last);
        st = seek_merge(cursor, &last, forward ? SCN_GT : SCN_LT, &item);
    }
    return answer(cursor, st, forward, &item, key, value);
}

/* from_edge or step. */
typedef scn_status (*way_fn)(struct scn_cursor *cursor, bool forward, scn_slice *key,
                             scn_slice *value);

static scn_status move(struct scn_cursor *cursor, way_fn way, bool forward,
                       scn_slice *key, scn_slice *value)
{
    scn_status st = cursor_check(cursor);
    clear_outputs(key, value);
    if (st < 0)
        return st;
    txn_enter(cursor->txn);
    st = way(cursor, forward, key, value);
    return txn_leave(cursor->txn, st);
}

scn_status scn_first(scn_cursor *cursor, scn_slice *key, scn_slice *value)
{
    return move(cursor, from_edge, true, key, value);
}

scn_status scn_last(scn_cursor *cursor, scn_slice *key, scn_slice *value)
{
    return move(cursor, from_edge, false, key, value);
}

scn_status scn_next(scn_cursor *cursor, scn_slice *key, scn_slice *value)
{
    return move(cursor, step, true, key, value);
}

scn_status scn_prev(scn_cursor *cursor, scn_slice *key, scn_slice *value)
{
    return move(cursor, step, false, key, value);
}

/* A seek from beyond a bound starts at the bound. */
static scn_status seek(struct scn_cursor *cursor, scn_slice from, int op, scn_slice *key,
                       scn_slice *value)
{
    struct merge_item item;
    bool forward = op != SCN_LE && op != SCN_LT;
    if (op == SCN_EQ && is_outside(cursor, from)) {
        cursor->last.is_set = false;
        return SCN_NOTFOUND;
    }
    if (forward && cursor->lower.is_set && text_order(from, &cursor->lower) < 0)
        return from_edge(cursor, true, key, value);
    if (!forward && cursor->upper.is_set && text_order(from, &cursor->upper) >= 0)
        return from_edge(cursor, false, key, value);
    cursor->last.is_set = false;
    scn_status st = start_sweep(cursor, &from, forward);
    if (st == SCN_OK)
        st = seek_merge(cursor, &from, op == SCN_EQ ? SCN_GE : op, &item);
    if (op == SCN_EQ &&
        (st == SCN_END || (st == SCN_OK && bytes_compare(item.key.data, item.key.size,
                                                         from.data, from.size))))
        return SCN_NOTFOUND;
    return answer(cursor, st, forward, &item, key, value);
}

scn_status scn_seek(scn_cursor *cursor, scn_slice from, int op, scn_slice *key,
                    scn_slice *value)
{
    scn_status st = cursor_check(cursor);
    if (st < 0) {
        clear_outputs(key, value);
        return st;
    }
    if (op < SCN_GE || op > SCN_EQ)
        return error_misuse("scn_seek: unknown comparison %d", op);
    st = write_check_bound(from);
    if (st < 0)
        return st;
    txn_enter(cursor->txn);
    scn_slice found_key = {NULL, 0};
    scn_slice found_value = {NULL, 0};
    /* It may be part of the last key handed out, which the merge is about to replace. */
    st = text_set(&cursor->wanted, from);
    from = text_slice(&cursor->wanted);
    if (st == SCN_OK)
        st = seek(cursor, from, op, &found_key, value ? &found_value : NULL);
    st = txn_leave(cursor->txn, st);
    /* from may lie where the results go */
    if (key)
        *key = found_key;
    if (value)
        *value = found_value;
    return st;
}
