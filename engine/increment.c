/* Increments: see increment.h. */
#include "engine/increment.h"

#include "engine/catalog.h"
#include "engine/newleaves.h"
#include "engine/parcels.h"
#include "engine/rowstream.h"
#include "engine/tablelist.h"
#include "page/mem.h"

struct increment {
    struct scn_txn *txn;
    struct pool_reader *reader; /* for leaves */
    uint64_t since_gen;
    struct parcels_out out;
    struct table_list tables;
    /* the table being written */
    uint32_t table_id;
    bool is_told; /* TABLE has been written */
    bool has_clears;
    struct rowstream changes;
    bool has_change;
    scn_slice key; /* of the next change */
    scn_slice value;
    uint8_t *fetched; /* the value of a leaf's row */
    size_t fetched_capacity;
    struct values_scratch scratch;
};

/* ---- operations ---- */

/* The first operation in a table tells which. */
static scn_status put_op(struct increment *increment, enum parcel_op op)
{
    struct parcels_out *out = &increment->out;
    scn_status st = SCN_OK;
    if (!increment->is_told) {
        st = parcels_put_op(out, PARCEL_TABLE);
        if (st == SCN_OK)
            st = parcels_put_number(out, increment->table_id);
    }
    increment->is_told = true;
    return st == SCN_OK ? parcels_put_op(out, op) : st;
}

static scn_status put_key(struct increment *increment, enum parcel_op op, scn_slice key)
{
    scn_status st = put_op(increment, op);
    return st == SCN_OK ? parcels_put_bytes(&increment->out, key) : st;
}

static scn_status put_range(struct increment *increment, enum parcel_op op,
                            const scn_slice *from, const scn_slice *to)
{
    const scn_slice none = {"", 0};
    scn_status st = put_key(increment, op, from ? *from : none);
    return st == SCN_OK ? parcels_put_bytes(&increment->out, to ? *to : none) : st;
}

static scn_status put_row(struct increment *increment, scn_slice key, scn_slice value)
{
    scn_status st = put_key(increment, PARCEL_PUT, key);
    return st == SCN_OK ? parcels_put_bytes(&increment->out, value) : st;
}

/* ---- changes ---- */

static scn_status next_change(struct increment *increment)
{
    scn_status st =
        rowstream_next(&increment->changes, &increment->key, &increment->value);
    increment->has_change = st == SCN_OK;
    return st < 0 ? st : SCN_OK;
}

static bool has_change_below(const struct increment *increment, const scn_slice *bound)
{
    return increment->has_change &&
           (bound == NULL || bytes_compare(increment->key.data, increment->key.size,
                                           bound->data, bound->size) < 0);
}

/* Inside of a range a row that is gone is simply not told. */
static scn_status put_change(struct increment *increment, bool in_range)
{
    scn_status st = SCN_OK;
    if (!increment->changes.is_deleted)
        st = put_row(increment, increment->key, increment->value);
    else if (!in_range)
        st = put_key(increment, PARCEL_DELETE, increment->key);
    return st == SCN_OK ? next_change(increment) : st;
}

static scn_status put_changes_below(struct increment *increment, const scn_slice *bound,
                                    bool in_range)
{
    scn_status st = SCN_OK;
    while (st == SCN_OK && has_change_below(increment, bound))
        st = put_change(increment, in_range);
    return st;
}

/* Bounds are copied out of the delta, which lives as long as the view. */
static scn_status put_clears(struct increment *increment)
{
    const struct view *view = increment->txn->view;
    scn_status st = SCN_OK;
    increment->has_clears = false;
    for (uint32_t i = 0; i < view->source_count; i++) {
        const struct delta *delta = view->sources[i].delta;
        const struct delta_table *table =
            delta ? delta_table(delta, increment->table_id) : NULL;
        struct delta_clear clear;
        for (uint32_t j = 0; table && st == SCN_OK && delta_clear_at(table, 0, j, &clear);
             j++) {
            if (clear.lsn > increment->txn->lsn)
                continue;
            increment->has_clears = true;
            st = put_range(increment, PARCEL_CLEAR, clear.has_from ? &clear.from : NULL,
                           clear.has_to ? &clear.to : NULL);
        }
    }
    return st;
}

static bool is_cleared(const struct increment *increment, scn_slice key)
{
    const struct view *view = increment->txn->view;
    for (uint32_t i = 0; increment->has_clears && i < view->source_count; i++) {
        const struct delta *delta = view->sources[i].delta;
        const struct delta_table *table =
            delta ? delta_table(delta, increment->table_id) : NULL;
        if (table && delta_cleared_at(table, key, increment->txn->lsn))
            return true;
    }
    return false;
}

/* ---- leaves ---- */

static scn_status put_reference(struct increment *increment, scn_slice key,
                                const uint8_t *encoded)
{
    struct value_ref ref;
    size_t len = 0;
    const char *why = value_ref_decode(encoded, &ref);
    if (why)
        return error_corrupt(0, 0, "value reference: %s", why);
    if (ref.page.link_gen <= increment->since_gen)
        return put_key(increment, PARCEL_KEEP, key);
    scn_status st =
        rowstream_fetch(increment->reader, encoded, &increment->scratch,
                        &increment->fetched, &increment->fetched_capacity, 0, &len);
    return st == SCN_OK ? put_row(increment, key, (scn_slice){increment->fetched, len})
                        : st;
}

static scn_status put_record(struct increment *increment,
                             const struct leaf_record *record)
{
    scn_slice key = {record->key, record->key_len};
    if (is_cleared(increment, key))
        return SCN_OK;
    if (record->kind == LEAF_REF)
        return put_reference(increment, key, record->payload);
    if (record->kind == LEAF_INLINE)
        return put_row(increment, key, (scn_slice){record->payload, record->payload_len});
    return error_corrupt(0, 0, "snapshot: a tombstone in a tree");
}

static scn_status put_records(struct increment *increment, const scn_slice *lower,
                              const uint8_t *leaf)
{
    bool is_equal = false;
    uint32_t idx =
        lower ? leaf_seek(leaf, lower->data, (uint32_t)lower->size, &is_equal) : 0;
    scn_status st = SCN_OK;
    for (uint32_t count = leaf_count(leaf); idx < count && st == SCN_OK; idx++) {
        struct leaf_record record;
        leaf_at(leaf, idx, &record);
        scn_slice key = {record.key, record.key_len};
        st = put_changes_below(increment, &key, true);
        if (st < 0)
            return st;
        bool is_changed = increment->has_change && increment->key.size == key.size &&
                          memcmp(increment->key.data, key.data, key.size) == 0;
        st = is_changed ? put_change(increment, true) : put_record(increment, &record);
    }
    return st;
}

static scn_status visit_leaf(void *ctx, const scn_slice *lower, const scn_slice *upper,
                             const uint8_t *leaf)
{
    struct increment *increment = ctx;
    scn_status st =
        lower ? put_changes_below(increment, lower, false) : SCN_OK;
    if (st == SCN_OK)
        st = put_range(increment, PARCEL_RANGE, lower, upper);
    if (st == SCN_OK)
        st = put_records(increment, lower, leaf);
    if (st == SCN_OK)
        st = put_changes_below(increment, upper, true);
    return st == SCN_OK ? put_op(increment, PARCEL_DONE) : st;
}

/* ---- tables ---- */

static scn_status put_empty_tree(struct increment *increment)
{
    scn_status st = put_range(increment, PARCEL_RANGE, NULL, NULL);
    if (st == SCN_OK)
        st = put_changes_below(increment, NULL, true);
    return st == SCN_OK ? put_op(increment, PARCEL_DONE) : st;
}

static scn_status put_tree(struct increment *increment, const struct tree *tree)
{
    struct newleaves walk = {.reader = increment->reader,
                             .tree = *tree,
                             .since_gen = increment->since_gen,
                             .visit = visit_leaf,
                             .ctx = increment};
    scn_status st = newleaves_walk(&walk);
    return st == SCN_OK ? put_changes_below(increment, NULL, false) : st;
}

static scn_status read_root(struct increment *increment, struct tree *out)
{
    struct catalog_root root;
    struct scn_txn *txn = increment->txn;
    pool_enter(increment->reader);
    scn_status st = catalog_read_root(increment->reader, &txn->view->catalog,
                                      increment->table_id, &root);
    pool_leave(increment->reader);
    *out = (struct tree){root.root, increment->table_id};
    return st < 0 ? st : SCN_OK;
}

static scn_status put_table(struct increment *increment, uint32_t table_id)
{
    struct tree tree;
    increment->table_id = table_id;
    increment->is_told = false;
    scn_status st = read_root(increment, &tree);
    if (st == SCN_OK)
        st = rowstream_open_changes(&increment->changes, increment->txn, table_id);
    if (st == SCN_OK)
        st = next_change(increment);
    bool is_empty = page_ref_is_null(&tree.root);
    if (st == SCN_OK && !is_empty)
        st = put_clears(increment);
    if (st == SCN_OK)
        st = is_empty ? put_empty_tree(increment) : put_tree(increment, &tree);
    rowstream_close(&increment->changes);
    return st;
}

/* ---- the catalog ---- */

static scn_status read_next_id(struct scn_txn *txn, uint32_t *id)
{
    struct binding catalog = catalog_binding(txn);
    struct rowstream rows = {0};
    scn_slice key;
    scn_slice value;
    *id = TABLE_FIRST_USER;
    scn_status st = rowstream_open(&rows, txn, &catalog);
    /* '#' sorts before all others. */
    if (st == SCN_OK)
        st = rowstream_next(&rows, &key, &value);
    if (st == SCN_OK && *(const uint8_t *)key.data == '#' && value.size == 4)
        *id = get_u32(value.data);
    rowstream_close(&rows);
    return st < 0 ? st : SCN_OK;
}

static scn_status put_name(struct increment *increment, const struct table_entry *table)
{
    struct parcels_out *out = &increment->out;
    scn_status st = parcels_put_op(out, PARCEL_NAME);
    if (st == SCN_OK)
        st = parcels_put_number(out, table->id);
    if (st == SCN_OK)
        st = parcels_put_number(out, table->flags);
    return st == SCN_OK
               ? parcels_put_bytes(out, (scn_slice){table->name, table->name_len})
               : st;
}

static scn_status put_catalog(struct increment *increment)
{
    uint32_t next_id;
    scn_status st = read_next_id(increment->txn, &next_id);
    if (st == SCN_OK)
        st = parcels_put_op(&increment->out, PARCEL_NEXT);
    if (st == SCN_OK)
        st = parcels_put_number(&increment->out, next_id);
    for (uint32_t i = 0; st == SCN_OK && i < increment->tables.count; i++)
        st = put_name(increment, &increment->tables.entries[i]);
    return st;
}

/* ---- all of it ---- */

static scn_status put_all(struct increment *increment)
{
    scn_status st = pool_reader_create(increment->txn->store->pool, &increment->reader);
    if (st == SCN_OK)
        st = table_list_read(&increment->tables, increment->txn);
    if (st == SCN_OK)
        st = put_catalog(increment);
    for (uint32_t i = 0; st == SCN_OK && i < increment->tables.count; i++)
        st = put_table(increment, increment->tables.entries[i].id);
    return st == SCN_OK ? parcels_end(&increment->out) : st;
}

scn_status increment_write(struct scn_txn *txn, struct hostfile *to,
                           const struct ancestor *self, const struct ancestor *since,
                           struct increment_result *out)
{
    struct increment increment = {.txn = txn, .since_gen = since->gen};
    struct parcel_head head = {.gen = self->gen,
                               .lsn = self->lsn,
                               .wall_ms = self->wall_ms,
                               .since_gen = since->gen,
                               .since_lsn = since->lsn};
    memcpy(head.uuid, self->uuid, sizeof head.uuid);
    memcpy(head.id, self->id, sizeof head.id);
    memcpy(head.since_id, since->id, sizeof head.since_id);
    scn_status st = parcels_begin(&increment.out, to, &head);
    if (st == SCN_OK)
        st = put_all(&increment);
    if (st == SCN_OK)
        st = hostfile_sync(to);
    *out = (struct increment_result){.tables = increment.tables.count,
                                     .rows = increment.out.rows};
    memcpy(out->chain, increment.out.chain, sizeof out->chain);
    if (increment.reader)
        pool_reader_destroy(increment.reader);
    table_list_destroy(&increment.tables);
    parcels_out_destroy(&increment.out);
    values_scratch_destroy(&increment.scratch);
    mem_free(increment.fetched);
    return st < 0 ? txn_failure(txn, st) : st;
}
