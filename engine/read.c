/* The read rule: newest source first, the first one that knows the key decides. See
 * txn.h. */
#include "engine/txn.h"

#include "page/mem.h"

/* ---- one key ---- */

static void found_in_delta(const struct delta_version *version, struct found *out)
{
    out->page = NULL;
    if ((version->kind & ~DELTA_BLIND) == DELTA_PUT) {
        out->kind = FOUND_BYTES;
        out->bytes = (scn_slice){version->data, version->len};
    } else {
        out->kind = FOUND_NONE;
    }
}

static FLAT void found_in_tree(const struct tree_record *at, struct found *out)
{
    out->page = at->page;
    out->bytes = (scn_slice){at->record.payload, at->record.payload_len};
    out->kind = at->record.kind == LEAF_INLINE ? FOUND_BYTES
                : at->record.kind == LEAF_REF  ? FOUND_REF
                                               : FOUND_NONE;
}

static bool run_may_hold(const struct run *run, scn_slice key)
{
    return bytes_compare(key.data, key.size, run->min.data, run->min.size) >= 0 &&
           bytes_compare(key.data, key.size, run->max.data, run->max.size) <= 0;
}

/* SCN_OK: decided, in out.  SCN_NOTFOUND: this source says nothing. */
static FLAT scn_status ask_delta(const struct delta *delta, uint32_t table_id,
                                 scn_slice key, uint64_t hash, uint64_t max_lsn,
                                 struct found *out)
{
    const struct delta_table *table = delta_table(delta, table_id);
    const struct delta_version *version;
    if (table == NULL)
        return SCN_NOTFOUND;
    switch (delta_find(table, key, hash, max_lsn, &version)) {
    case DELTA_VERSION:
        found_in_delta(version, out);
        return SCN_OK;
    case DELTA_CLEARED:
        out->kind = FOUND_NONE;
        return SCN_OK;
    default:
        return SCN_NOTFOUND;
    }
}

static FLAT scn_status ask_tree(struct scn_txn *txn, const struct tree *tree,
                                scn_slice key, uint64_t hash, struct found *out)
{
    struct tree_record at;
    if (page_ref_is_null(&tree->root))
        return SCN_NOTFOUND;
    scn_status st = tree_get(txn->reader, tree, key, hash, &at);
    if (st == SCN_OK)
        found_in_tree(&at, out);
    return st;
}

static FLAT scn_status ask_run(struct scn_txn *txn, const struct run *run,
                               uint32_t table_id, scn_slice key, uint64_t hash,
                               struct found *out)
{
    if (run->tree.table_id != table_id || !run_may_hold(run, key))
        return SCN_NOTFOUND;
    return ask_tree(txn, &run->tree, key, hash, out);
}

static scn_status ask_segments(struct scn_txn *txn, uint32_t table_id, scn_slice key,
                               uint64_t hash, struct found *out)
{
    for (uint32_t i = txn->writes.segment_count; i > 0; i--) {
        const struct segment *segment = &txn->writes.segments[i - 1];
        for (uint32_t j = 0; j < segment->run_count; j++) {
            scn_status st = ask_run(txn, segment->runs[j], table_id, key, hash, out);
            if (st != SCN_NOTFOUND)
                return st;
        }
        if (segment->clears) {
            scn_status st = ask_delta(segment->clears, table_id, key, hash, UINT64_MAX,
                                      out);
            if (st != SCN_NOTFOUND)
                return st;
        }
    }
    return SCN_NOTFOUND;
}

static FLAT scn_status ask_source(struct scn_txn *txn, const struct source *source,
                                  uint32_t table_id, scn_slice key, uint64_t hash,
                                  struct found *out)
{
    if (source->delta)
        return ask_delta(source->delta, table_id, key, hash, txn->lsn, out);
    if (source->run->lsn <= txn->lsn)
        return ask_run(txn, source->run, table_id, key, hash, out);
    return SCN_NOTFOUND;
}

static FLAT scn_status find_below(struct scn_txn *txn, const struct binding *binding,
                                  uint32_t first_source, scn_slice key, uint64_t hash,
                                  struct found *out)
{
    const struct view *view = txn->view;
    out->kind = FOUND_NONE;
    out->has_add = false;
    out->page = NULL;
    for (uint32_t i = first_source; i < view->source_count; i++) {
        scn_status st = ask_source(txn, &view->sources[i], binding->table_id, key, hash,
                                   out);
        if (st != SCN_NOTFOUND)
            return st;
    }
    scn_status st = ask_tree(txn, &binding->tree, key, hash, out);
    return st == SCN_NOTFOUND ? SCN_OK : st;
}

scn_status read_find_below(struct scn_txn *txn, const struct binding *binding,
                           uint32_t first_source, scn_slice key, uint64_t hash,
                           struct found *out)
{
    return find_below(txn, binding, first_source, key, hash, out);
}

/* What the private delta and its segments say; SCN_NOTFOUND: nothing. */
static scn_status ask_own(struct scn_txn *txn, uint32_t table_id, scn_slice key,
                          uint64_t hash, struct found *out)
{
    scn_status st = SCN_NOTFOUND;
    if (txn->writes.delta)
        st = ask_delta(txn->writes.delta, table_id, key, hash, UINT64_MAX, out);
    if (st == SCN_NOTFOUND && txn->writes.segment_count)
        st = ask_segments(txn, table_id, key, hash, out);
    return st;
}

static void ask_adds(struct scn_txn *txn, uint32_t table_id, scn_slice key, uint64_t hash,
                     struct found *out)
{
    const struct delta_version *version;
    const struct delta_table *table = delta_table(txn->writes.adds, table_id);
    if (table == NULL ||
        delta_find(table, key, hash, UINT64_MAX, &version) != DELTA_VERSION ||
        version->kind != DELTA_ADD)
        return;
    out->has_add = true;
    out->addition = addition_decode(version->data);
}

scn_status read_find_own(struct scn_txn *txn, uint32_t table_id, scn_slice key,
                         uint64_t hash, struct found *out)
{
    out->page = NULL;
    out->has_add = false;
    scn_status st = ask_own(txn, table_id, key, hash, out);
    if (st == SCN_NOTFOUND && txn->writes.adds)
        ask_adds(txn, table_id, key, hash, out);
    return st;
}

static bool has_own_writes(const struct scn_txn *txn)
{
    return txn->writes.delta || txn->writes.adds || txn->writes.segment_count;
}

scn_status read_find(struct scn_txn *txn, const struct binding *binding, scn_slice key,
                     uint64_t hash, struct found *out)
{
    if (!has_own_writes(txn))
        return find_below(txn, binding, 0, key, hash, out);
    scn_status st = read_find_own(txn, binding->table_id, key, hash, out);
    if (st != SCN_NOTFOUND)
        return st;
    bool has_add = out->has_add;
    st = read_find_below(txn, binding, 0, key, hash, out);
    out->has_add = has_add;
    return st;
}

/* ---- values ---- */

/* The counter as it would be, in this call's arena. */
static scn_status resolved_addition(struct scn_txn *txn, const struct found *found,
                                    scn_slice *out)
{
    uint8_t buf[8];
    int64_t value;
    scn_status st = addition_apply(&found->addition, found, &value);
    if (st < 0)
        return st;
    put_u64(buf, (uint64_t)value);
    *out = (scn_slice){buf, sizeof buf};
    return txn_copy(txn, out);
}

scn_status read_value(struct scn_txn *txn, const struct found *found, scn_slice *out)
{
    struct value_ref ref;
    const uint8_t *page;
    if (found->has_add)
        return resolved_addition(txn, found, out);
    if (found->kind == FOUND_NONE)
        return SCN_NOTFOUND;
    *out = found->bytes;
    if (found->kind == FOUND_BYTES)
        return txn_keep(txn, found->page, out);
    const char *why = value_ref_decode(found->bytes.data, &ref);
    if (why)
        return error_corrupt(0, 0, "value reference: %s", why);
    scn_status st = values_read(txn->reader, &ref, &txn->scratch[txn->turn], out, &page);
    return st < 0 ? st : txn_keep(txn, page, out);
}

/* ---- all keys ---- */

static uint32_t source_count(const struct scn_txn *txn)
{
    uint32_t count = 3 + txn->view->source_count; /* own delta, additions, tree */
    for (uint32_t i = 0; i < txn->writes.segment_count; i++)
        count += 1 + txn->writes.segments[i].run_count;
    return count;
}

static void add_delta(struct merge *merge, const struct delta *delta, uint32_t table_id,
                      uint64_t max_lsn)
{
    const struct delta_table *table = delta_table(delta, table_id);
    if (table)
        merge_add_delta(merge, table, max_lsn, NULL);
}

static void add_run(struct merge *merge, const struct run *run, uint32_t table_id)
{
    if (run->tree.table_id == table_id && !page_ref_is_null(&run->tree.root))
        merge_add_run(merge, &run->tree);
}

scn_status read_merge(struct scn_txn *txn, const struct binding *binding,
                      struct merge **out)
{
    uint32_t table_id = binding->table_id;
    struct merge *merge;
    scn_status st = merge_create(txn->reader, source_count(txn), &merge);
    if (st < 0)
        return st;
    const struct delta_table *own = txn->writes.delta
                                        ? delta_table(txn->writes.delta, table_id)
                                        : NULL;
    const struct delta_table *adds = txn->writes.adds
                                         ? delta_table(txn->writes.adds, table_id)
                                         : NULL;
    if (adds)
        merge_add_additions(merge, adds, &txn->writes.sequence);
    if (own)
        merge_add_delta(merge, own, UINT64_MAX, &txn->writes.sequence);
    for (uint32_t i = txn->writes.segment_count; i > 0; i--) {
        const struct segment *segment = &txn->writes.segments[i - 1];
        for (uint32_t j = 0; j < segment->run_count; j++)
            add_run(merge, segment->runs[j], table_id);
        if (segment->clears)
            add_delta(merge, segment->clears, table_id, UINT64_MAX);
    }
    for (uint32_t i = 0; i < txn->view->source_count; i++) {
        const struct source *source = &txn->view->sources[i];
        if (source->delta)
            add_delta(merge, source->delta, table_id, txn->lsn);
        else if (source->run->lsn <= txn->lsn)
            add_run(merge, source->run, table_id);
    }
    if (!page_ref_is_null(&binding->tree.root))
        merge_add_tree(merge, &binding->tree);
    *out = merge;
    return SCN_OK;
}
