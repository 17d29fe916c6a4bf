/* Rows of a whole table: see rowstream.h. */
#include "engine/rowstream.h"

#include "page/mem.h"

enum {
    /* A longer value is read in parts, so that few of its pages have to stay. */
    PART_BYTES = 1 << 20
};

scn_status rowstream_open(struct rowstream *rows, struct scn_txn *txn,
                          const struct binding *binding)
{
    rows->txn = txn;
    rows->is_started = false;
    return read_merge(txn, binding, &rows->merge);
}

scn_status rowstream_open_changes(struct rowstream *rows, struct scn_txn *txn,
                                  uint32_t table_id)
{
    const struct view *view = txn->view;
    rows->txn = txn;
    rows->is_started = false;
    scn_status st = merge_create(txn->reader, view->source_count, &rows->merge);
    if (st < 0)
        return st;
    rows->merge->reports_deletions = true;
    for (uint32_t i = 0; i < view->source_count; i++) {
        const struct source *source = &view->sources[i];
        const struct delta_table *table =
            source->delta ? delta_table(source->delta, table_id) : NULL;
        if (table)
            merge_add_delta(rows->merge, table, txn->lsn, NULL);
        else if (source->run && source->run->tree.table_id == table_id &&
                 source->run->lsn <= txn->lsn)
            merge_add_run(rows->merge, &source->run->tree);
    }
    return SCN_OK;
}

void rowstream_close(struct rowstream *rows)
{
    merge_destroy(rows->merge);
    values_scratch_destroy(&rows->scratch);
    mem_free(rows->copy);
    *rows = (struct rowstream){0};
}

static scn_status make_room(uint8_t **buf, size_t *capacity, size_t used, size_t wanted)
{
    if (wanted <= *capacity)
        return SCN_OK;
    size_t grown = wanted + wanted / 4 + 256;
    uint8_t *fresh = mem_grow(*buf, used, grown);
    if (fresh == NULL)
        return error_nomem();
    *buf = fresh;
    *capacity = grown;
    return SCN_OK;
}

static scn_status fetch_whole(struct pool_reader *reader, const struct value_ref *ref,
                              struct values_scratch *scratch, uint8_t *to)
{
    scn_slice bytes;
    const uint8_t *page;
    pool_enter(reader);
    scn_status st = values_read(reader, ref, scratch, &bytes, &page);
    if (st == SCN_OK)
        memcpy(to, bytes.data, bytes.size);
    pool_leave(reader);
    return st;
}

static scn_status fetch_parts(struct pool_reader *reader, const struct value_ref *ref,
                              struct values_scratch *scratch, uint8_t *to)
{
    scn_status st = SCN_OK;
    for (uint64_t off = 0; off < ref->len && st == SCN_OK;) {
        size_t got = 0;
        pool_enter(reader);
        st = values_read_at(reader, ref, scratch, off, to + off, PART_BYTES, &got);
        pool_leave(reader);
        off += got;
    }
    return st;
}

scn_status rowstream_fetch(struct pool_reader *reader, const void *encoded,
                           struct values_scratch *scratch, uint8_t **buf,
                           size_t *capacity, size_t at, size_t *len)
{
    struct value_ref ref;
    const char *why = value_ref_decode(encoded, &ref);
    if (why)
        return error_corrupt(0, 0, "value reference: %s", why);
    scn_status st = make_room(buf, capacity, at, at + ref.len);
    if (st < 0)
        return st;
    *len = ref.len;
    return ref.len > PART_BYTES ? fetch_parts(reader, &ref, scratch, *buf + at)
                                : fetch_whole(reader, &ref, scratch, *buf + at);
}

/* Copies the key and what the leaf or the delta holds.  The key before is still there:
 * in a damaged tree keys may be anywhere, and more often than once. */
static scn_status copy_item(struct rowstream *rows, const struct merge_item *item)
{
    size_t len = item->kind == MERGE_DELETED ? 0 : item->value.size;
    if (bytes_compare(item->key.data, item->key.size, rows->copy, rows->key_len) <= 0)
        return error_corrupt(0, 0, "snapshot: the keys of a table do not ascend");
    scn_status st = make_room(&rows->copy, &rows->capacity, 0, item->key.size + len);
    if (st < 0)
        return st;
    memcpy(rows->copy, item->key.data, item->key.size);
    if (len)
        memcpy(rows->copy + item->key.size, item->value.data, len);
    rows->key_len = item->key.size;
    return SCN_OK;
}

static scn_status step(struct rowstream *rows, struct merge_item *item)
{
    pool_enter(rows->txn->reader);
    scn_status st = rows->is_started ? merge_step(rows->merge, true, item)
                                     : merge_seek(rows->merge, NULL, SCN_GE, item);
    rows->is_started = true;
    if (st == SCN_OK)
        st = copy_item(rows, item);
    pool_leave(rows->txn->reader);
    return st;
}

scn_status rowstream_next(struct rowstream *rows, scn_slice *key, scn_slice *value)
{
    struct merge_item item;
    scn_status st = step(rows, &item);
    rows->is_deleted = st == SCN_OK && item.kind == MERGE_DELETED;
    size_t len = st == SCN_OK && !rows->is_deleted ? item.value.size : 0;
    if (st == SCN_OK && item.kind == MERGE_REF) {
        uint8_t encoded[VALUE_REF_BYTES];
        memcpy(encoded, rows->copy + item.key.size, sizeof encoded);
        st = rowstream_fetch(rows->txn->reader, encoded, &rows->scratch, &rows->copy,
                             &rows->capacity, item.key.size, &len);
    }
    if (st < 0)
        return txn_failure(rows->txn, st);
    if (st == SCN_OK) {
        *key = (scn_slice){rows->copy, item.key.size};
        *value = (scn_slice){rows->copy + item.key.size, len};
    }
    return st;
}
