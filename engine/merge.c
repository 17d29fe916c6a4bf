/* The merge of sources: see merge.h. */
#include "engine/merge.h"

#include "page/mem.h"

/* Between two breaths of a search among what is deleted.  A leaf has few rows where keys
 * are long, and then their pages are as many as the steps. */
enum { BREATH_STEPS = 64 };

scn_status merge_create(struct pool_reader *reader, uint32_t capacity, struct merge **out)
{
    struct merge *merge = mem_alloc(sizeof *merge + capacity * sizeof merge->subs[0]);
    if (merge == NULL)
        return error_nomem();
    *merge = (struct merge){.reader = reader, .capacity = capacity, .is_forward = true};
    *out = merge;
    return SCN_OK;
}

void merge_destroy(struct merge *merge)
{
    if (merge)
        mem_free(merge->last);
    mem_free(merge);
}

static struct merge_sub *add_sub(struct merge *merge)
{
    ASSERT(merge->sub_count < merge->capacity);
    struct merge_sub *sub = &merge->subs[merge->sub_count++];
    sub->delta = NULL;
    sub->entry = NULL;
    sub->changes = NULL;
    sub->is_adds = false;
    sub->is_run = false;
    sub->has_key = false;
    sub->is_spent = false;
    return sub;
}

void merge_add_delta(struct merge *merge, const struct delta_table *delta,
                     uint64_t max_lsn, const uint64_t *changes)
{
    struct merge_sub *sub = add_sub(merge);
    sub->delta = delta;
    sub->max_lsn = max_lsn;
    sub->changes = changes;
}

void merge_add_additions(struct merge *merge, const struct delta_table *adds,
                         const uint64_t *changes)
{
    merge_add_delta(merge, adds, UINT64_MAX, changes);
    merge->subs[merge->sub_count - 1].is_adds = true;
}

void merge_add_run(struct merge *merge, const struct tree *tree)
{
    merge_add_tree(merge, tree);
    merge->subs[merge->sub_count - 1].is_run = true;
}

void merge_add_tree(struct merge *merge, const struct tree *tree)
{
    tree_cursor_init(&add_sub(merge)->cursor, tree);
}

/* ---- one source ---- */

static scn_slice entry_key(const struct delta_entry *entry)
{
    return (scn_slice){entry->key, entry->key_len};
}

/* The nearest entry that has a version in sight. */
static void delta_sub_seek(struct merge_sub *sub, const scn_slice *key, int op)
{
    struct delta_entry *entry = delta_seek(sub->delta, key, op);
    int on = op == SCN_GE || op == SCN_GT ? SCN_GT : SCN_LT;
    sub->changes_seen = sub->changes ? *sub->changes : 0;
    while (entry) {
        sub->version = delta_entry_version(entry, sub->max_lsn);
        if (sub->version && (!sub->is_adds || sub->version->kind == DELTA_ADD))
            break;
        scn_slice at = entry_key(entry);
        entry = delta_seek(sub->delta, &at, on);
    }
    sub->entry = entry;
    sub->has_key = entry != NULL;
    if (entry)
        sub->key = entry_key(entry);
}

static scn_status took_record(struct merge_sub *sub, scn_status st)
{
    sub->has_key = st == SCN_OK;
    if (st == SCN_OK)
        sub->key = (scn_slice){sub->record.record.key, sub->record.record.key_len};
    return st == SCN_END ? SCN_OK : st;
}

static scn_status sub_seek(struct merge *merge, struct merge_sub *sub,
                           const scn_slice *key, int op)
{
    sub->is_spent = false;
    if (sub->delta) {
        delta_sub_seek(sub, key, op);
        return SCN_OK;
    }
    return took_record(sub,
                       tree_seek(merge->reader, &sub->cursor, key, op, &sub->record));
}

/* To the first key not yet handed out, in the direction of travel. `last` is the last
 * one that was. */
static scn_status sub_step(struct merge *merge, struct merge_sub *sub,
                           const scn_slice *last)
{
    int op = merge->is_forward ? SCN_GT : SCN_LT;
    if (sub->delta) {
        if (sub->is_spent || (sub->changes && *sub->changes != sub->changes_seen))
            delta_sub_seek(sub, last, op);
    } else if (sub->is_spent) {
        scn_status st = merge->is_forward
                            ? tree_next(merge->reader, &sub->cursor, &sub->record)
                            : tree_prev(merge->reader, &sub->cursor, &sub->record);
        sub->is_spent = false;
        return took_record(sub, st);
    } else if (sub->has_key) {
        return took_record(sub, tree_current(merge->reader, &sub->cursor, &sub->record));
    }
    sub->is_spent = false;
    return SCN_OK;
}

/* ---- all sources ---- */

static struct merge_sub *nearest(struct merge *merge)
{
    struct merge_sub *best = NULL;
    for (uint32_t i = 0; i < merge->sub_count; i++) {
        struct merge_sub *sub = &merge->subs[i];
        if (!sub->has_key)
            continue;
        if (best == NULL) {
            best = sub;
            continue;
        }
        int order = bytes_compare(sub->key.data, sub->key.size, best->key.data,
                                  best->key.size);
        if (merge->is_forward ? order < 0 : order > 0)
            best = sub;
    }
    return best;
}

static bool is_at(const struct merge_sub *sub, scn_slice key)
{
    return sub->has_key && sub->key.size == key.size &&
           memcmp(sub->key.data, key.data, key.size) == 0;
}

static void fill_from_delta(const struct merge_sub *sub, struct merge_item *out)
{
    const struct delta_version *version = sub->version;
    out->page = NULL;
    out->value = (scn_slice){version->data, version->len};
    switch (version->kind & ~DELTA_BLIND) {
    case DELTA_PUT:
        out->kind = MERGE_BYTES;
        break;
    case DELTA_ADD:
        out->kind = MERGE_ADD;
        break;
    default:
        out->kind = MERGE_DELETED;
    }
}

static void fill_from_tree(const struct merge_sub *sub, struct merge_item *out)
{
    const struct leaf_record *record = &sub->record.record;
    out->page = sub->record.page;
    out->value = (scn_slice){record->payload, record->payload_len};
    out->kind = record->kind == LEAF_INLINE ? MERGE_BYTES
                : record->kind == LEAF_REF  ? MERGE_REF
                                            : MERGE_DELETED;
}

/* What the newest source that knows the key says. All sources at the key are spent by
 * it. */
static void decide(struct merge *merge, scn_slice key, struct merge_item *out)
{
    bool is_decided = false;
    out->key = key;
    out->kind = MERGE_DELETED;
    out->page = NULL;
    for (uint32_t i = 0; i < merge->sub_count; i++) {
        struct merge_sub *sub = &merge->subs[i];
        bool here = is_at(sub, key);
        if (here)
            sub->is_spent = true;
        if (is_decided)
            continue;
        uint64_t cleared = sub->delta ? delta_cleared_at(sub->delta, key, sub->max_lsn)
                                      : 0;
        if (here && !(sub->delta && cleared > sub->version->lsn)) {
            if (sub->delta)
                fill_from_delta(sub, out);
            else
                fill_from_tree(sub, out);
            is_decided = true;
        } else if (cleared) {
            is_decided = true;
        }
    }
}

/* The item's key is our copy: it outlives the page, and the next step starts from it. */
static scn_status remember(struct merge *merge, struct merge_item *out)
{
    if (merge->last_capacity < out->key.size) {
        size_t capacity = out->key.size * 2 + 64;
        uint8_t *grown = mem_alloc(capacity);
        if (grown == NULL)
            return error_nomem();
        mem_free(merge->last);
        merge->last = grown;
        merge->last_capacity = capacity;
    }
    memcpy(merge->last, out->key.data, out->key.size);
    merge->last_len = out->key.size;
    out->key.data = merge->last;
    merge->is_positioned = true;
    return SCN_OK;
}

static scn_status step_all(struct merge *merge, const scn_slice *last)
{
    for (uint32_t i = 0; i < merge->sub_count; i++) {
        scn_status st = sub_step(merge, &merge->subs[i], last);
        if (st < 0)
            return st;
    }
    return SCN_OK;
}

/* Behind a deletion of a range there may be any number of rows that are gone: what was
 * read on the way goes, and the positions are looked at again. */
static scn_status breathe(struct merge *merge)
{
    scn_status st = SCN_OK;
    pool_renew(merge->reader);
    for (uint32_t i = 0; i < merge->sub_count && st == SCN_OK; i++) {
        struct merge_sub *sub = &merge->subs[i];
        if (sub->delta == NULL && sub->has_key)
            st = took_record(sub,
                             tree_current(merge->reader, &sub->cursor, &sub->record));
    }
    return st;
}

/* From the positions as they are to the next item worth reporting. */
static scn_status pick(struct merge *merge, struct merge_item *out)
{
    for (uint32_t steps = 1;; steps++) {
        struct merge_sub *best = nearest(merge);
        if (best == NULL)
            return SCN_END;
        scn_slice key = best->key;
        decide(merge, key, out);
        if (out->kind != MERGE_DELETED || merge->reports_deletions)
            return remember(merge, out);
        scn_status st = step_all(merge, &key);
        if (st == SCN_OK && steps % BREATH_STEPS == 0)
            st = breathe(merge);
        if (st < 0)
            return st;
    }
}

static scn_status seek_all(struct merge *merge, const scn_slice *key, int op)
{
    merge->is_forward = op == SCN_GE || op == SCN_GT;
    for (uint32_t i = 0; i < merge->sub_count; i++) {
        scn_status st = sub_seek(merge, &merge->subs[i], key, op);
        if (st < 0)
            return st;
    }
    return SCN_OK;
}

/* ---- a tree alone ---- */

static bool is_lone_tree(const struct merge *merge)
{
    return merge->sub_count == 1 && merge->subs[0].delta == NULL &&
           !merge->subs[0].is_run;
}

static scn_status lone_item(const struct merge_sub *sub, scn_status st,
                            struct merge_item *out)
{
    if (st != SCN_OK)
        return st;
    out->key = (scn_slice){sub->record.record.key, sub->record.record.key_len};
    fill_from_tree(sub, out);
    return SCN_OK;
}

static scn_status lone_seek(struct merge *merge, const scn_slice *key, int op,
                            struct merge_item *out)
{
    struct merge_sub *sub = &merge->subs[0];
    scn_status st = tree_seek(merge->reader, &sub->cursor, key, op, &sub->record);
    merge->is_positioned = st == SCN_OK;
    return lone_item(sub, st, out);
}

/* At an end the cursor stays on the last item: from there the other direction goes. */
static scn_status lone_step(struct merge *merge, bool forward, struct merge_item *out)
{
    struct merge_sub *sub = &merge->subs[0];
    scn_status st = forward ? tree_next(merge->reader, &sub->cursor, &sub->record)
                            : tree_prev(merge->reader, &sub->cursor, &sub->record);
    sub->cursor.is_positioned = true;
    return lone_item(sub, st, out);
}

/* ---- seeking and stepping ---- */

scn_status merge_seek(struct merge *merge, const scn_slice *key, int op,
                      struct merge_item *out)
{
    if (is_lone_tree(merge))
        return lone_seek(merge, key, op, out);
    merge->is_positioned = false;
    scn_status st = seek_all(merge, key, op);
    return st < 0 ? st : pick(merge, out);
}

scn_status merge_step(struct merge *merge, bool forward, struct merge_item *out)
{
    ASSERT(merge->is_positioned);
    if (is_lone_tree(merge))
        return lone_step(merge, forward, out);
    scn_slice last = {merge->last, merge->last_len};
    scn_status st = forward == merge->is_forward
                        ? step_all(merge, &last)
                        : seek_all(merge, &last, forward ? SCN_GT : SCN_LT);
    return st < 0 ? st : pick(merge, out);
}
