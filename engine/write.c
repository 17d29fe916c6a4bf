/* Writing: into the transaction's private set, under no lock.  See txn.h. */
#include "engine/txn.h"

#include "page/mem.h"

/* ---- the write set ---- */

scn_status write_refuse_key(scn_slice key)
{
    if (key.size == 0 || key.data == NULL)
        return error_misuse("the key is empty; it has 1 to %d bytes", KEY_BYTES_MAX);
    return error_set(SCN_TOOBIG, 0, 0, 0, "the key has %zu bytes; at most %d are allowed",
                     key.size, KEY_BYTES_MAX);
}

scn_status write_check_bound(scn_slice bound)
{
    if (bound.size && bound.data == NULL)
        return error_misuse("the bound is NULL but has a size");
    return bound.size ? write_check_key(bound) : SCN_OK;
}

static scn_status check_value(scn_slice value)
{
    if (value.size && value.data == NULL)
        return error_misuse("the value is NULL but has a size");
    if (value.size > VALUE_BYTES_MAX)
        return error_set(SCN_TOOBIG, 0, 0, 0,
                         "the value has %zu bytes; at most %d are allowed", value.size,
                         VALUE_BYTES_MAX);
    return SCN_OK;
}

static scn_status own_delta(struct scn_txn *txn, struct delta **delta, struct delta **out)
{
    if (*delta == NULL) {
        scn_status st = delta_create(0, delta);
        if (st < 0)
            return st;
        txn->writes.shape++;
    }
    *out = *delta;
    return SCN_OK;
}

static scn_status append_to(struct scn_txn *txn, struct delta **place, uint32_t table_id,
                            scn_slice key, uint8_t kind, scn_slice value)
{
    struct delta *delta;
    scn_status st = own_delta(txn, place, &delta);
    if (st == SCN_OK)
        st = delta_reserve(delta, 1, key.size, value.size, 1);
    if (st < 0)
        return st;
    if (delta_table(delta, table_id) == NULL)
        txn->writes.shape++;
    delta_append(delta, table_id, key, kind, value, ++txn->writes.sequence);
    return SCN_OK;
}

/* A pending addition to this key counts no more. */
static scn_status supersede(struct scn_txn *txn, uint32_t table_id, scn_slice key)
{
    const struct delta_version *version;
    const struct delta_table *adds = txn->writes.adds
                                         ? delta_table(txn->writes.adds, table_id)
                                         : NULL;
    if (adds == NULL ||
        delta_find(adds, key, leaf_hash(key.data, key.size), UINT64_MAX, &version) !=
            DELTA_VERSION ||
        version->kind != DELTA_ADD)
        return SCN_OK;
    return append_to(txn, &txn->writes.adds, table_id, key, DELTA_TOMBSTONE,
                     (scn_slice){NULL, 0});
}

static scn_status spill_when_large(struct scn_txn *txn)
{
    if (delta_bytes(txn->writes.delta) <= WRITE_SET_BYTES_MAX)
        return SCN_OK;
    return spill(txn);
}

/* A write that failed is none: the row must not be committed with the others. */
static void take_back(struct scn_txn *txn, uint64_t sequence)
{
    if (txn->writes.delta)
        delta_rollback(txn->writes.delta, sequence);
    if (txn->writes.adds)
        delta_rollback(txn->writes.adds, sequence);
}

static void note_put(struct write_set *writes)
{
    if (writes->first_put == 0)
        writes->first_put = writes->sequence;
}

scn_status write_append(struct scn_txn *txn, uint32_t table_id, scn_slice key,
                        uint8_t kind, scn_slice value)
{
    uint64_t before = txn->writes.sequence;
    scn_status st = supersede(txn, table_id, key);
    if (st == SCN_OK)
        st = append_to(txn, &txn->writes.delta, table_id, key, kind, value);
    if (st == SCN_OK)
        st = spill_when_large(txn);
    if (st < 0)
        take_back(txn, before);
    else if ((kind & ~DELTA_BLIND) == DELTA_PUT)
        note_put(&txn->writes);
    return st;
}

static bool in_range(scn_slice key, const scn_slice *from, const scn_slice *to)
{
    return (!from || bytes_compare(key.data, key.size, from->data, from->size) >= 0) &&
           (!to || bytes_compare(key.data, key.size, to->data, to->size) < 0);
}

static scn_status supersede_range(struct scn_txn *txn, uint32_t table_id,
                                  const scn_slice *from, const scn_slice *to)
{
    const struct delta_table *adds = txn->writes.adds
                                         ? delta_table(txn->writes.adds, table_id)
                                         : NULL;
    if (adds == NULL)
        return SCN_OK;
    struct delta_entry *entry = delta_seek(adds, from, SCN_GE);
    while (entry) {
        scn_slice key = {entry->key, entry->key_len};
        if (!in_range(key, from, to))
            break;
        scn_status st = supersede(txn, table_id, key);
        if (st < 0)
            return st;
        entry = delta_seek(adds, &key, SCN_GT);
    }
    return SCN_OK;
}

scn_status write_clear(struct scn_txn *txn, uint32_t table_id, const scn_slice *from,
                       const scn_slice *to)
{
    struct delta *delta;
    scn_status st = supersede_range(txn, table_id, from, to);
    if (st == SCN_OK)
        st = own_delta(txn, &txn->writes.delta, &delta);
    if (st == SCN_OK)
        st = delta_reserve(delta, 1, (from ? from->size : 0) + (to ? to->size : 0), 0, 1);
    /* What somebody put there since the snapshot would vanish unseen. */
    if (st == SCN_OK)
        st = readset_range(&txn->reads, table_id, from, to);
    if (st < 0)
        return st;
    delta_append_clear(delta, table_id, from, to, ++txn->writes.sequence);
    txn->writes.shape++;
    return SCN_OK;
}

/* One version a key for each savepoint, however often it is added to. */
static scn_status keep_addition(struct scn_txn *txn, uint32_t table_id, scn_slice key,
                                uint64_t hash, scn_slice addition)
{
    struct write_set *writes = &txn->writes;
    uint64_t saved = writes->savepoint_count
                         ? writes->savepoints[writes->savepoint_count - 1]
                         : 0;
    if (writes->adds &&
        delta_replace(writes->adds, table_id, key, hash, DELTA_ADD, addition, saved))
        return SCN_OK;
    return append_to(txn, &writes->adds, table_id, key, DELTA_ADD, addition);
}

scn_status write_addition(struct scn_txn *txn, uint32_t table_id, scn_slice key,
                          const struct addition *addition)
{
    uint8_t buf[ADDITION_BYTES];
    struct addition both = *addition;
    struct found found;
    struct binding *binding;
    int64_t value;
    uint64_t hash = leaf_hash(key.data, key.size);
    scn_status st = catalog_bind(txn, table_id, &binding);
    if (st == SCN_OK)
        st = read_find_own(txn, table_id, key, hash, &found);
    if (st == SCN_OK) {
        /* This transaction wrote the key before: its value is known. */
        st = addition_apply(addition, &found, &value);
        put_u64(buf, (uint64_t)value);
        return st < 0 ? st
                      : write_append(txn, table_id, key, DELTA_PUT, (scn_slice){buf, 8});
    }
    if (st < 0)
        return st;
    if (found.has_add)
        both = addition_compose(&found.addition, addition);
    addition_encode(&both, buf);
    st = keep_addition(txn, table_id, key, hash, (scn_slice){buf, sizeof buf});
    if (st == SCN_OK)
        note_put(&txn->writes);
    return st;
}

bool write_is_empty(const struct scn_txn *txn)
{
    const struct write_set *writes = &txn->writes;
    return writes->segment_count == 0 &&
           (!writes->delta || delta_is_empty(writes->delta)) &&
           (!writes->adds || delta_is_empty(writes->adds));
}

void write_destroy(struct scn_txn *txn)
{
    struct write_set *writes = &txn->writes;
    if (writes->delta)
        delta_unref(writes->delta);
    if (writes->adds)
        delta_unref(writes->adds);
    for (uint32_t i = 0; i < writes->segment_count; i++)
        segment_destroy(txn->store, &writes->segments[i], false);
    mem_free(writes->segments);
    mem_free(writes->savepoints);
    *writes = (struct write_set){.shape = writes->shape + 1};
}

/* ---- put and delete ---- */

/* SCN_OK: nothing there.  Positive: there, in *found. */
static scn_status look(struct scn_txn *txn, struct binding *binding, scn_slice key,
                       struct found *found)
{
    scn_status st = read_find(txn, binding, key, leaf_hash(key.data, key.size), found);
    if (st < 0)
        return st;
    return found->kind == FOUND_NONE && !found->has_add ? SCN_OK : SCN_EXISTS;
}

/* Dependence on what was found, whatever the isolation: a put on condition is a write
 * that conflicts. */
static scn_status depend_on(struct scn_txn *txn, uint32_t table_id, scn_slice key)
{
    return readset_key(&txn->reads, table_id, key, leaf_hash(key.data, key.size));
}

static scn_status put_new(struct scn_txn *txn, struct binding *binding, scn_slice key,
                          scn_slice value)
{
    struct found found;
    uint32_t table_id = binding->table_id;
    scn_status st = look(txn, binding, key, &found);
    if (st < 0)
        return st;
    scn_status tracked = depend_on(txn, table_id, key);
    if (tracked < 0 || st == SCN_EXISTS)
        return tracked < 0 ? tracked : st;
    return write_append(txn, table_id, key, DELTA_PUT, value);
}

/* Equal bytes are no write; a later deletion by others is a conflict. Where nothing is,
 * racers write equal bytes. */
static scn_status put_same(struct scn_txn *txn, struct binding *binding, scn_slice key,
                           scn_slice value)
{
    struct found found;
    scn_slice present;
    uint32_t table_id = binding->table_id;
    scn_status st = look(txn, binding, key, &found);
    if (st < 0)
        return st;
    if (st == SCN_OK)
        return write_append(txn, table_id, key, DELTA_PUT | DELTA_BLIND, value);
    st = read_value(txn, &found, &present);
    if (st < 0)
        return st;
    if (present.size == value.size &&
        (value.size == 0 || memcmp(present.data, value.data, value.size) == 0))
        return depend_on(txn, table_id, key);
    return write_append(txn, table_id, key, DELTA_PUT, value);
}

scn_status scn_put(scn_txn *txn, scn_table_id id, scn_slice key, scn_slice value,
                   uint32_t flags)
{
    struct binding *binding;
    scn_status st = txn_check_write(txn);
    if (st == SCN_OK)
        st = write_check_key(key);
    if (st == SCN_OK)
        st = check_value(value);
    if (st < 0)
        return st;
    if (flags > SCN_PUT_SAME || (flags & (flags - 1)))
        return error_misuse("scn_put: flags 0x%x; give at most one", flags);
    txn_enter(txn);
    st = catalog_bind_write(txn, id, &binding);
    if (st == SCN_OK && flags == SCN_PUT_NEW)
        st = put_new(txn, binding, key, value);
    else if (st == SCN_OK && flags == SCN_PUT_SAME)
        st = put_same(txn, binding, key, value);
    else if (st == SCN_OK)
        st = write_append(txn, id, key,
                          flags == SCN_PUT_BLIND ? DELTA_PUT | DELTA_BLIND : DELTA_PUT,
                          value);
    st = txn_leave(txn, st);
    return st;
}

static scn_status del(struct scn_txn *txn, uint32_t id, scn_slice key)
{
    struct binding *binding;
    struct found found;
    scn_status st = catalog_bind_write(txn, id, &binding);
    if (st != SCN_OK)
        return st;
    st = look(txn, binding, key, &found);
    if (st < 0)
        return st;
    /* The answer is a read, which a rollback of the deletion does not undo. */
    scn_status tracked = txn_tracks(txn, 0) ? depend_on(txn, id, key) : SCN_OK;
    if (tracked < 0)
        return tracked;
    if (st == SCN_EXISTS)
        return write_append(txn, id, key, DELTA_TOMBSTONE, (scn_slice){NULL, 0});
    return SCN_NOTFOUND;
}

scn_status scn_del(scn_txn *txn, scn_table_id id, scn_slice key)
{
    scn_status st = txn_check_write(txn);
    if (st == SCN_OK)
        st = write_check_key(key);
    if (st < 0)
        return st;
    txn_enter(txn);
    st = del(txn, id, key);
    st = txn_leave(txn, st);
    return st;
}

/* ---- ranges ---- */

/* Up to this many keys are deleted one by one: a range deletion is asked by every read
 * that comes by, until the next checkpoint. */
enum { DEL_RANGE_SINGLE = 64, RANGE_STEP = 512 };

struct range_keys {
    uint64_t count;
    scn_slice keys[DEL_RANGE_SINGLE];
};

/* The keys of [from, to), at most DEL_RANGE_SINGLE of them kept; all are counted where
 * counts_all. */
static scn_status list_range(struct scn_txn *txn, const struct binding *binding,
                             const scn_slice *from, const scn_slice *to, bool counts_all,
                             struct range_keys *out)
{
    struct merge *merge;
    struct merge_item item;
    out->count = 0;
    scn_status st = read_merge(txn, binding, &merge);
    if (st < 0)
        return st;
    st = merge_seek(merge, from, SCN_GE, &item);
    while (st == SCN_OK && in_range(item.key, from, to)) {
        if (out->count < DEL_RANGE_SINGLE) {
            out->keys[out->count] = item.key;
            st = txn_copy(txn, &out->keys[out->count]);
        }
        out->count++;
        if (st < 0 || (out->count > DEL_RANGE_SINGLE && !counts_all))
            break;
        /* A long walk lets go of its pages now and then: the merge finds its place
         * again. */
        if (out->count % RANGE_STEP == 0) {
            pool_leave(txn->reader);
            pool_enter(txn->reader);
        }
        st = merge_step(merge, true, &item);
    }
    merge_destroy(merge);
    return st < 0 ? st : SCN_OK;
}

static scn_status del_range(struct scn_txn *txn, struct binding *binding,
                            const scn_slice *from, const scn_slice *to, bool counts_all,
                            uint64_t *removed)
{
    struct range_keys found;
    uint32_t table_id = binding->table_id;
    scn_status st = list_range(txn, binding, from, to, counts_all, &found);
    if (st < 0)
        return st;
    *removed = found.count;
    if (found.count > DEL_RANGE_SINGLE)
        return write_clear(txn, table_id, from, to);
    st = readset_range(&txn->reads, table_id, from, to);
    for (uint64_t i = 0; i < found.count && st == SCN_OK; i++)
        st = write_append(txn, table_id, found.keys[i], DELTA_TOMBSTONE,
                          (scn_slice){NULL, 0});
    return st;
}

scn_status scn_del_range(scn_txn *txn, scn_table_id id, scn_slice from, scn_slice to,
                         uint64_t *removed)
{
    struct binding *binding;
    uint64_t count = 0;
    const scn_slice *lo = from.size ? &from : NULL;
    const scn_slice *hi = to.size ? &to : NULL;
    scn_status st = txn_check_write(txn);
    if (st == SCN_OK)
        st = write_check_bound(from);
    if (st == SCN_OK)
        st = write_check_bound(to);
    if (st < 0)
        return st;
    txn_enter(txn);
    st = catalog_bind_write(txn, id, &binding);
    bool is_backward = lo && hi &&
                       bytes_compare(lo->data, lo->size, hi->data, hi->size) >= 0;
    if (st == SCN_OK && !is_backward)
        st = del_range(txn, binding, lo, hi, removed != NULL, &count);
    st = txn_leave(txn, st);
    if (removed)
        *removed = st == SCN_OK ? count : 0;
    return st;
}

/* ---- savepoints ---- */

scn_status scn_savepoint(scn_txn *txn, uint32_t *out)
{
    struct write_set *writes;
    scn_status st = txn_check_write(txn);
    if (st < 0)
        return st;
    if (out == NULL)
        return error_misuse("scn_savepoint: the place for the savepoint is NULL");
    writes = &txn->writes;
    st = mem_make_room(&writes->savepoints, &writes->savepoint_capacity,
                       writes->savepoint_count + 1, sizeof *writes->savepoints);
    if (st < 0)
        return st;
    writes->savepoints[writes->savepoint_count] = writes->sequence;
    *out = writes->savepoint_count++;
    return SCN_OK;
}

scn_status scn_rollback_to(scn_txn *txn, uint32_t savepoint)
{
    struct write_set *writes;
    scn_status st = txn_check_write(txn);
    if (st < 0)
        return st;
    writes = &txn->writes;
    if (savepoint >= writes->savepoint_count)
        return error_misuse("scn_rollback_to: there is no savepoint %u", savepoint);
    uint64_t sequence = writes->savepoints[savepoint];
    writes->savepoint_count = savepoint + 1;
    while (writes->segment_count &&
           writes->segments[writes->segment_count - 1].sequence > sequence)
        segment_destroy(txn->store, &writes->segments[--writes->segment_count], false);
    if (writes->spilled_sequence > sequence)
        writes->spilled_sequence = sequence;
    if (writes->first_put > sequence)
        writes->first_put = 0;
    if (writes->delta)
        delta_rollback(writes->delta, sequence);
    if (writes->adds)
        delta_rollback(writes->adds, sequence);
    writes->shape++;
    catalog_forget(txn);
    return SCN_OK;
}
