/* Point reads of the public interface. */
#include "engine/txn.h"

#include "page/mem.h"

static scn_status track_key(struct scn_txn *txn, uint32_t id, scn_slice key,
                            uint64_t hash, uint32_t flags)
{
    return txn_tracks(txn, flags) ? readset_key(&txn->reads, id, key, hash) : SCN_OK;
}

/* Finds a key for a call that has entered; NOTFOUND where there is neither a row nor an
 * addition. */
static FLAT scn_status find(struct scn_txn *txn, uint32_t id, scn_slice key,
                            uint32_t flags, struct found *found)
{
    struct binding *binding;
    uint64_t hash = leaf_hash(key.data, key.size);
    scn_status st = catalog_bind(txn, id, &binding);
    if (st != SCN_OK)
        return st;
    txn->read_count++;
    st = track_key(txn, id, key, hash, flags);
    if (st == SCN_OK)
        st = read_find(txn, binding, key, hash, found);
    if (st == SCN_OK && found->kind == FOUND_NONE && !found->has_add)
        return SCN_NOTFOUND;
    return st;
}

static FLAT scn_status check_get(const struct scn_txn *txn, scn_slice key,
                                 uint32_t flags)
{
    scn_status st = txn_check(txn);
    if (st == SCN_OK)
        st = write_check_key(key);
    if (st == SCN_OK && (flags & ~(uint32_t)SCN_UNTRACKED))
        return error_misuse("unknown read flags 0x%x", flags);
    return st;
}

static FLAT scn_status get(scn_txn *txn, scn_table_id id, scn_slice key, uint32_t flags,
                           scn_slice *value)
{
    struct found found;
    scn_status st = check_get(txn, key, flags);
    if (st < 0)
        return st;
    txn_enter(txn);
    st = find(txn, id, key, flags, &found);
    if (st == SCN_OK && value)
        st = read_value(txn, &found, value);
    st = txn_leave(txn, st);
    if (st != SCN_OK && value)
        *value = (scn_slice){NULL, 0};
    return st;
}

scn_status scn_get_flags(scn_txn *txn, scn_table_id id, scn_slice key, uint32_t flags,
                         scn_slice *value)
{
    return get(txn, id, key, flags, value);
}

scn_status scn_get(scn_txn *txn, scn_table_id id, scn_slice key, scn_slice *value)
{
    return get(txn, id, key, 0, value);
}

static scn_status length_of(const struct found *found, uint64_t *size)
{
    struct value_ref ref;
    if (found->has_add) {
        *size = 8;
        return SCN_OK;
    }
    if (found->kind == FOUND_BYTES) {
        *size = found->bytes.size;
        return SCN_OK;
    }
    const char *why = value_ref_decode(found->bytes.data, &ref);
    if (why)
        return error_corrupt(0, 0, "value reference: %s", why);
    *size = ref.len;
    return SCN_OK;
}

scn_status scn_value_size(scn_txn *txn, scn_table_id id, scn_slice key, uint64_t *size)
{
    struct found found;
    scn_status st = check_get(txn, key, 0);
    if (st < 0)
        return st;
    if (size == NULL)
        return error_misuse("scn_value_size: the place for the size is NULL");
    *size = 0;
    txn_enter(txn);
    st = find(txn, id, key, 0, &found);
    if (st == SCN_OK)
        st = length_of(&found, size);
    st = txn_leave(txn, st);
    return st;
}

static scn_status read_part(struct scn_txn *txn, const struct found *found, uint64_t off,
                            void *buf, size_t len, size_t *got)
{
    struct value_ref ref;
    scn_slice value;
    if (found->kind == FOUND_REF && !found->has_add) {
        const char *why = value_ref_decode(found->bytes.data, &ref);
        if (why)
            return error_corrupt(0, 0, "value reference: %s", why);
        return values_read_at(txn->reader, &ref, &txn->scratch[txn->turn], off, buf, len,
                              got);
    }
    scn_status st = read_value(txn, found, &value);
    if (st < 0)
        return st;
    if (off < value.size)
        *got = value.size - off < len ? value.size - off : len;
    if (*got)
        memcpy(buf, (const uint8_t *)value.data + off, *got);
    return SCN_OK;
}

scn_status scn_read_at(scn_txn *txn, scn_table_id id, scn_slice key, uint64_t off,
                       void *buf, size_t len, size_t *got)
{
    struct found found;
    scn_status st = check_get(txn, key, 0);
    if (st < 0)
        return st;
    if (got == NULL || (buf == NULL && len))
        return error_misuse(
            "scn_read_at: the buffer or the place for the length is NULL");
    *got = 0;
    txn_enter(txn);
    st = find(txn, id, key, 0, &found);
    if (st == SCN_OK)
        st = read_part(txn, &found, off, buf, len, got);
    st = txn_leave(txn, st);
    return st;
}

/* ---- many at once ---- */

/* Sources before the tree may know a key: then the single path is taken. */
static bool has_other_sources(const struct scn_txn *txn, uint32_t id)
{
    if (txn->writes.delta || txn->writes.adds || txn->writes.segment_count)
        return true;
    for (uint32_t i = 0; i < txn->view->source_count; i++) {
        const struct source *source = &txn->view->sources[i];
        if (source->run ? source->run->tree.table_id == id
                        : delta_table(source->delta, id) != NULL)
            return true;
    }
    return false;
}

/* A value whose page could be held is left in place; bytes in a scratch buffer that the
 * next value will use again are copied. */
static scn_status keep_one(struct scn_txn *txn, const struct found *found,
                           scn_slice *value)
{
    scn_status st = read_value(txn, found, value);
    const struct values_scratch *scratch = &txn->scratch[txn->turn];
    const uint8_t *at = value->data;
    bool in_scratch = (scratch->data && at >= scratch->data &&
                       at < scratch->data + scratch->capacity) ||
                      (scratch->block && at >= scratch->block &&
                       at < scratch->block + scratch->block_capacity);
    if (st == SCN_OK && found->kind == FOUND_REF && in_scratch)
        st = txn_copy(txn, value);
    return st;
}

static scn_status get_batch(struct scn_txn *txn, struct binding *binding,
                            const scn_slice *keys, uint32_t count, scn_slice *values,
                            scn_status *statuses)
{
    uint64_t hashes[TREE_BATCH_MAX] = {0};
    struct tree_record records[TREE_BATCH_MAX];
    for (uint32_t i = 0; i < count; i++)
        hashes[i] = leaf_hash(keys[i].data, keys[i].size);
    scn_status st = tree_get_many(txn->reader, &binding->tree, keys, hashes, count,
                                  records, statuses);
    if (st < 0)
        return st;
    for (uint32_t i = 0; i < count; i++) {
        const struct leaf_record *record = &records[i].record;
        struct found found = {.kind = record->kind == LEAF_REF ? FOUND_REF : FOUND_BYTES,
                              .bytes = {record->payload, record->payload_len},
                              .page = records[i].page};
        values[i] = (scn_slice){NULL, 0};
        if (statuses[i] == SCN_OK)
            statuses[i] = keep_one(txn, &found, &values[i]);
        if (statuses[i] < 0)
            return statuses[i];
    }
    return SCN_OK;
}

static scn_status get_singly(struct scn_txn *txn, uint32_t id, const scn_slice *keys,
                             size_t count, scn_slice *values, scn_status *statuses)
{
    for (size_t i = 0; i < count; i++) {
        struct found found;
        values[i] = (scn_slice){NULL, 0};
        if (i > 0 && i % TREE_BATCH_MAX == 0)
            pool_renew(txn->reader); /* as below */
        statuses[i] = find(txn, id, keys[i], 0, &found);
        if (statuses[i] == SCN_OK)
            statuses[i] = keep_one(txn, &found, &values[i]);
        if (statuses[i] < 0)
            return statuses[i];
    }
    return SCN_OK;
}

static scn_status get_many(struct scn_txn *txn, uint32_t id, const scn_slice *keys,
                           size_t count, scn_slice *values, scn_status *statuses)
{
    struct binding *binding;
    scn_status st = catalog_bind(txn, id, &binding);
    if (st != SCN_OK)
        return st;
    if (txn_tracks(txn, 0) || has_other_sources(txn, id) ||
        page_ref_is_null(&binding->tree.root))
        return get_singly(txn, id, keys, count, values, statuses);
    txn->read_count += count;
    for (size_t at = 0; at < count && st == SCN_OK; at += TREE_BATCH_MAX) {
        uint32_t part = count - at < TREE_BATCH_MAX ? (uint32_t)(count - at)
                                                    : TREE_BATCH_MAX;
        /* The pages of many keys would be more than the pool can spare. */
        if (at > 0)
            pool_renew(txn->reader);
        st = get_batch(txn, binding, keys + at, part, values + at, statuses + at);
    }
    return st;
}

scn_status scn_get_many(scn_txn *txn, scn_table_id id, const scn_slice *keys,
                        size_t count, scn_slice *values, scn_status *statuses)
{
    scn_status st = txn_check(txn);
    if (st == SCN_OK && count && (keys == NULL || values == NULL || statuses == NULL))
        return error_misuse("scn_get_many: an array is NULL");
    for (size_t i = 0; i < count && st == SCN_OK; i++)
        st = write_check_key(keys[i]);
    if (st < 0)
        return st;
    txn_enter(txn);
    st = get_many(txn, id, keys, count, values, statuses);
    st = txn_leave(txn, st);
    return st;
}

/* ---- one call ---- */

static scn_status copy_out(struct scn_txn *txn, const char *table, scn_slice key,
                           void **out, size_t *size)
{
    scn_table_id id;
    scn_slice value;
    scn_status st = write_check_key(key);
    if (st == SCN_OK)
        st = scn_table(txn, table, 0, &id);
    if (st == SCN_OK)
        st = scn_get(txn, id, key, &value);
    if (st != SCN_OK)
        return st;
    void *copy = mem_alloc(value.size + 1);
    if (copy == NULL)
        return error_nomem();
    if (value.size)
        memcpy(copy, value.data, value.size);
    ((uint8_t *)copy)[value.size] = 0;
    *out = copy;
    *size = value.size;
    return SCN_OK;
}

scn_status scn_get_copy(scn_db *db, const char *table, scn_slice key, void **out,
                        size_t *size)
{
    struct scn_txn *txn;
    if (out == NULL || size == NULL)
        return error_misuse("scn_get_copy: a place for the result is NULL");
    *out = NULL;
    *size = 0;
    scn_status st = scn_begin(db, SCN_READ, &txn);
    if (st < 0)
        return st;
    st = copy_out(txn, table, key, out, size);
    scn_abort(txn);
    return st;
}

void scn_free(void *block)
{
    mem_free(block);
}
