/* Commit: one record, one lock, one shared sync.
 *
 *     encode (no lock) -> APPEND: validate, reserve memory, write the record, apply
 *                      -> release -> sync
 *
 * [C1] A record is applied under the append lock, in log order, and the memory for it
 *      was got before it was written (delta.h, D4): what is in the log is in memory.
 * [C2] A transaction is acknowledged when the log is durable up to its end; a lazy one
 *      when it is written, provided that nothing before it still waits for a sync:
 *      visible commits are a prefix of the log.
 * [C3] After the record is written nothing fails softly: the outcome is OK or UNKNOWN. */
#include "engine/apply.h"
#include "engine/checkpoint.h"
#include "engine/peers.h"
#include "engine/room.h"
#include "engine/txn.h"

#include "page/mem.h"

/* ---- the record ---- */

static scn_status encode_clears(struct ops_writer *ops, uint32_t table_id,
                                const struct delta_table *table)
{
    struct delta_clear clear;
    for (uint32_t i = 0; delta_clear_at(table, 0, i, &clear); i++) {
        scn_status st = ops_clear(ops, table_id, clear.has_from ? &clear.from : NULL,
                                  clear.has_to ? &clear.to : NULL);
        if (st < 0)
            return st;
    }
    return SCN_OK;
}

static scn_status encode_table_clears(void *ctx, uint32_t table_id,
                                      const struct delta_table *table)
{
    return encode_clears(ctx, table_id, table);
}

static scn_status encode_table_rows(void *ctx, uint32_t table_id,
                                    const struct delta_table *table)
{
    struct ops_writer *ops = ctx;
    bool has_clears = delta_has_clears(table, UINT64_MAX);
    struct delta_entry *entry = delta_seek(table, NULL, SCN_GE);
    while (entry) {
        scn_slice key = {entry->key, entry->key_len};
        const struct delta_version *version = delta_entry_version(entry, UINT64_MAX);
        scn_status st = SCN_OK;
        if (version &&
            !(has_clears && delta_cleared_at(table, key, UINT64_MAX) > version->lsn))
            st = (version->kind & ~DELTA_BLIND) == DELTA_PUT
                     ? ops_put(ops, table_id, key,
                               (scn_slice){version->data, version->len})
                     : ops_del(ops, table_id, key);
        if (st < 0)
            return st;
        entry = delta_seek(table, &key, SCN_GT);
    }
    return SCN_OK;
}

static scn_status encode_segment(struct ops_writer *ops, const struct segment *segment)
{
    scn_status st = segment->clears
                        ? delta_each_table(segment->clears, encode_table_clears, ops)
                        : SCN_OK;
    for (uint32_t i = 0; i < segment->run_count && st == SCN_OK; i++) {
        const struct run *run = segment->runs[i];
        struct op_run op = {.root = run->tree.root,
                            .count = run->count,
                            .tombstones = run->tombstones,
                            .value_bytes = run->value_bytes,
                            .min = run->min,
                            .max = run->max};
        st = ops_run(ops, run->tree.table_id, &op, run->ranges, run->range_count);
    }
    return st;
}

static scn_status encode(struct scn_txn *txn)
{
    struct write_set *writes = &txn->writes;
    scn_status st = SCN_OK;
    txn->ops.len = 0;
    txn->ops.table_id = 0;
    for (uint32_t i = 0; i < writes->segment_count && st == SCN_OK; i++)
        st = encode_segment(&txn->ops, &writes->segments[i]);
    if (st == SCN_OK && writes->delta)
        st = delta_each_table(writes->delta, encode_table_clears, &txn->ops);
    if (st == SCN_OK && writes->delta)
        st = delta_each_table(writes->delta, encode_table_rows, &txn->ops);
    return st;
}

static scn_status seal_record(struct scn_txn *txn)
{
    if (txn->ops.len > log_payload_max())
        return error_set(
            SCN_TOOBIG, 0, 0, 0,
            "the transaction has too many range deletions, additions or bulk runs for "
            "one record; split it");
    return log_packet_set(&txn->packet, RECORD_COMMIT, txn->ops.data,
                          (uint32_t)txn->ops.len);
}

/* Table, code, two lengths and the value, beside the key. */
enum { ADDITION_BYTES_MAX = 32 };

static scn_status measure_additions(void *ctx, uint32_t table_id,
                                    const struct delta_table *table)
{
    size_t *bytes = ctx;
    (void)table_id;
    struct delta_entry *entry = delta_seek(table, NULL, SCN_GE);
    while (entry) {
        scn_slice key = {entry->key, entry->key_len};
        *bytes += key.size + ADDITION_BYTES_MAX;
        entry = delta_seek(table, &key, SCN_GT);
    }
    return SCN_OK;
}

/* What does not fit one record, with the additions that are resolved later, goes into
 * runs. */
static scn_status make_record(struct scn_txn *txn)
{
    size_t later = 0;
    scn_status st = encode(txn);
    if (st == SCN_OK && txn->writes.adds)
        st = delta_each_table(txn->writes.adds, measure_additions, &later);
    if (st == SCN_OK && txn->writes.delta && txn->ops.len + later > log_payload_max()) {
        txn->writes.savepoint_count = 0; /* nobody goes back any more: one run a table */
        txn_enter(txn);
        st = spill(txn);
        st = txn_leave(txn, st);
        if (st == SCN_OK)
            st = encode(txn);
    }
    return st < 0 ? st : seal_record(txn);
}

/* ---- additions ---- */

/* An addition is resolved against the newest commit, under the append lock, where no
 * cold page may be read. So the part of the answer that lies in trees and runs is read
 * before, in one view; under the lock only the active delta is asked, if the view still
 * has the same trees and runs. */
struct base_value {
    uint32_t table_id;
    scn_slice key; /* in the write set */
    struct addition addition;
    struct found found;
    uint8_t bytes[8];
};

struct bases {
    struct scn_txn *txn;
    struct base_value *items;
    uint32_t count;
    uint32_t capacity;
    uint64_t gen;
    uint32_t source_count;
};

static scn_status list_additions(void *ctx, uint32_t table_id,
                                 const struct delta_table *table)
{
    struct bases *bases = ctx;
    struct delta_entry *entry = delta_seek(table, NULL, SCN_GE);
    while (entry) {
        scn_slice key = {entry->key, entry->key_len};
        const struct delta_version *version = delta_entry_version(entry, UINT64_MAX);
        if (version && version->kind == DELTA_ADD) {
            scn_status st = mem_make_room(&bases->items, &bases->capacity,
                                          bases->count + 1, sizeof *bases->items);
            if (st < 0)
                return st;
            bases->items[bases->count++] = (struct base_value){
                .table_id = table_id,
                .key = key,
                .addition = addition_decode(version->data)};
        }
        entry = delta_seek(table, &key, SCN_GT);
    }
    return SCN_OK;
}

/* The newest value in a view. */
static scn_status read_base(struct scn_txn *reader, struct base_value *base)
{
    struct binding *binding;
    scn_status st = catalog_bind(reader, base->table_id, &binding);
    base->found.kind = FOUND_NONE;
    if (st == SCN_OK)
        st = read_find(reader, binding, base->key,
                       leaf_hash(base->key.data, base->key.size), &base->found);
    if (st == SCN_OK && base->found.kind == FOUND_BYTES && base->found.bytes.size == 8) {
        memcpy(base->bytes, base->found.bytes.data, 8);
        base->found.bytes.data = base->bytes;
    }
    return st == SCN_NOTFOUND ? SCN_OK : st;
}

static scn_status read_bases(struct bases *bases)
{
    struct store *store = bases->txn->store;
    struct scn_txn *reader;
    scn_status st = SCN_OK;
    if (bases->items == NULL)
        st = delta_each_table(bases->txn->writes.adds, list_additions, bases);
    if (st == SCN_OK)
        st = txn_begin_on(store, bases->txn->db, SCN_READ, &reader);
    if (st < 0)
        return st;
    /* Also what is appended and not yet visible: additions build on the log's order. */
    reader->lsn = UINT64_MAX;
    bases->gen = reader->view->gen;
    bases->source_count = reader->view->source_count;
    txn_enter(reader);
    for (uint32_t i = 0; i < bases->count && st == SCN_OK; i++)
        st = read_base(reader, &bases->items[i]);
    st = txn_leave(reader, st);
    txn_end(reader, SCN_OK, 0);
    return st;
}

/* The view has the same trees and runs, so only the active delta can know more. */
static void ask_active(struct store *store, struct base_value *base)
{
    uint64_t hash = leaf_hash(base->key.data, base->key.size);
    const struct delta_table *table = delta_table(store->active, base->table_id);
    const struct delta_version *version;
    enum delta_found said =
        table ? delta_find(table, base->key, hash, UINT64_MAX, &version) : DELTA_MISS;
    if (said == DELTA_MISS)
        return;
    base->found.kind = FOUND_NONE;
    if (said == DELTA_VERSION && version->kind == DELTA_PUT) {
        base->found.kind = FOUND_BYTES;
        base->found.bytes = (scn_slice){version->data, version->len};
    }
}

/* Append lock held. SCN_BUSY: trees or runs have changed, read the bases again. */
static scn_status resolve_additions(struct bases *bases)
{
    struct scn_txn *txn = bases->txn;
    struct store *store = txn->store;
    size_t mark = txn->ops.len;
    uint32_t mark_table = txn->ops.table_id;
    if (store->view->gen != bases->gen ||
        store->view->source_count != bases->source_count)
        return SCN_BUSY;
    scn_status st = SCN_OK;
    for (uint32_t i = 0; i < bases->count && st == SCN_OK; i++) {
        struct base_value *base = &bases->items[i];
        uint8_t buf[8];
        int64_t value;
        ask_active(store, base);
        st = addition_apply(&base->addition, &base->found, &value);
        if (st < 0)
            break;
        put_u64(buf, (uint64_t)value);
        st = ops_put(&txn->ops, base->table_id, base->key, (scn_slice){buf, 8});
    }
    if (st == SCN_OK)
        st = seal_record(txn);
    txn->ops.len = st < 0 ? mark : txn->ops.len;
    txn->ops.table_id = st < 0 ? mark_table : txn->ops.table_id;
    return st;
}

/* ---- under the append lock ---- */

enum step { STEP_DONE, STEP_EXTEND, STEP_WAIT, STEP_DRAIN, STEP_BASES };

/* A lazy commit is visible at once unless something before it waits for a sync [C2]. The
 * first of an epoch waits, too: an epoch that a power cut takes as a whole leaves no
 * trace, and the next one would give its LSNs again (wal/log.h, L1). */
static bool is_visible_now(struct store *store, const struct scn_txn *txn, uint64_t start,
                           uint64_t end)
{
    if (txn->durability != SCN_SYNC_LAZY) {
        atomic_store(&store->full_lsn, end);
        return false;
    }
    if (log_synced(store->log) < atomic_load(&store->epoch_start_lsn))
        return false;
    uint64_t full = atomic_load(&store->full_lsn);
    return full <= store_visible(store) || full > start;
}

static void each_grown(struct scn_txn *txn,
                       void (*fn)(struct grown *grown, uint32_t pgno, uint32_t count))
{
    struct grown *grown = &txn->store->grown;
    for (uint32_t i = 0; i < txn->writes.segment_count; i++)
        for (uint32_t k = 0; k < txn->writes.segments[i].run_count; k++) {
            const struct run *run = txn->writes.segments[i].runs[k];
            for (uint32_t n = 0; n < run->range_count; n++)
                fn(grown, run->ranges[n].pgno, run->ranges[n].pages);
        }
}

/* The runs' pages now belong to the record: the transaction's end must not let them go.
 */
static void hand_over_segments(struct scn_txn *txn)
{
    for (uint32_t i = 0; i < txn->writes.segment_count; i++)
        segment_destroy(txn->store, &txn->writes.segments[i], true);
    txn->writes.segment_count = 0;
}

/* Whoever recovers the log decides, and nobody does so before the lock is given back:
 * this process may come into the next session at once. */
static void leave_in_doubt(struct scn_txn *txn)
{
    each_grown(txn, grown_doubt);
    hand_over_segments(txn);
}

static scn_status write_record(struct scn_txn *txn, uint64_t *lsn, bool *is_done)
{
    struct store *store = txn->store;
    struct apply apply;
    uint64_t start = log_appended(store->log);
    scn_status st = apply_prepare(store, txn->ops.data, txn->ops.len, APPLY_OWN, &apply);
    if (st < 0)
        return st;
    st = room_admit(store, apply.ops, apply.tables, apply.bytes, apply.run_pages,
                    txn->writes.first_put > 0);
    if (st < 0) {
        apply_abandon(&apply);
        return st;
    }
    atomic_store(&store->applying_lsn, start);
    st = peers_append(store, &txn->packet, lsn);
    if (st < 0) {
        apply_abandon(&apply);
        atomic_store(&store->applying_lsn, UINT64_MAX);
        return st;
    }
    uint64_t ops = apply.count ? 0 : apply.ops;
    apply_finish(store, &apply, *lsn);
    atomic_store(&store->applying_lsn, UINT64_MAX);
    store_note_active(store, ops);
    store->has_commits = true;
    atomic_store(&store->own_end_lsn, *lsn);
    txn->log_life = log_life(store->log);
    *is_done = is_visible_now(store, txn, start, *lsn);
    if (*is_done)
        atomic_store(&store->own_lazy_lsn, *lsn);
    /* The record in the log leads to these pages: everybody knows them now. */
    each_grown(txn, grown_remove);
    uint64_t lazy = *is_done ? *lsn : atomic_load(&store->lazy_lsn);
    return peers_tell_lazy(store, lazy) < 0 ? error_in_doubt() : SCN_OK;
}

static scn_status append(struct scn_txn *txn, struct bases *bases, enum step *step,
                         uint64_t *lsn, bool *is_done)
{
    struct store *store = txn->store;
    *step = STEP_DONE;
    scn_status st = file_check_poison(&store->file);
    if (st == SCN_OK)
        st = conflict_check(txn, &store->history);
    if (st < 0)
        return st;
    if (room_is_exhausted(store) && !txn->is_priority) {
        *step = STEP_WAIT;
        return SCN_OK;
    }
    if (bases) {
        st = resolve_additions(bases);
        if (st == SCN_BUSY) {
            *step = STEP_BASES;
            return SCN_OK;
        }
        if (st < 0)
            return st;
    }
    st = log_append_room(store->log, &txn->packet);
    if (st == SCN_FULL) {
        *step = STEP_EXTEND;
        if (bases)
            st = encode(txn); /* the resolved additions go out again */
        return st == SCN_FULL ? SCN_OK : st;
    }
    return st < 0 ? st : write_record(txn, lsn, is_done);
}

/* ---- around it ---- */

static uint64_t deadline(struct store *store)
{
    return store->sys->ops->now_ns(store->sys) +
           store->options.busy_timeout_ms * UINT64_C(1000000);
}

static scn_status take_append(struct scn_txn *txn)
{
    if (!txn->is_priority)
        return append_enter(txn->store, txn->store->options.busy_timeout_ms);
    apply_enter(txn->store);
    return SCN_OK;
}

static void give_append(struct scn_txn *txn)
{
    if (txn->is_priority)
        apply_leave(txn->store);
    else
        append_leave(txn->store);
}

/* What the step under the lock asked for, done without it. */
static scn_status prepare_step(struct scn_txn *txn, struct bases *bases, enum step step,
                               uint64_t until)
{
    switch (step) {
    case STEP_EXTEND:
        return room_extend_for_commit(txn->store, txn->is_priority,
                                      txn->writes.first_put > 0);
    case STEP_WAIT:
        return room_wait(txn->store, CHECKPOINT_PLAIN, until);
    case STEP_DRAIN:
        return room_wait(txn->store, CHECKPOINT_DRAIN, until);
    case STEP_BASES:
        return read_bases(bases);
    default:
        return SCN_OK;
    }
}

/* One round: what the last one asked for, then the append lock. */
static scn_status append_once(struct scn_txn *txn, struct bases *bases, uint64_t until,
                              enum step *step, uint64_t *lsn, bool *is_done)
{
    scn_status st = prepare_step(txn, bases, *step, until);
    if (st == SCN_OK)
        st = take_append(txn);
    if (st < 0)
        return st;
    st = append(txn, bases, step, lsn, is_done);
    if (st == SCN_UNKNOWN)
        leave_in_doubt(txn);
    give_append(txn);
    return st;
}

/* A full store is drained once: pages that only wait for their generations are room too.
 */
static scn_status append_until_done(struct scn_txn *txn, struct bases *bases,
                                    uint64_t *lsn, bool *is_done)
{
    uint64_t until = deadline(txn->store);
    bool is_drained = txn->is_priority;
    enum step step = STEP_DONE;
    scn_status st;
    do {
        st = append_once(txn, bases, until, &step, lsn, is_done);
        if (st == SCN_FULL && !is_drained) {
            is_drained = true;
            step = STEP_DRAIN;
            /* Its record is made, and it is judged by the history: the pages that its
             * snapshot keeps are of no use but to those that drain. */
            atomic_store(&txn->is_gone, true);
            st = bases ? encode(txn) : SCN_OK; /* the resolved additions go out again */
        }
    } while (st == SCN_OK && step != STEP_DONE);
    return st;
}

static scn_status append_with_additions(struct scn_txn *txn, uint64_t *lsn, bool *is_done)
{
    struct bases bases = {.txn = txn};
    scn_status st = read_bases(&bases);
    if (st == SCN_OK)
        st = append_until_done(txn, &bases, lsn, is_done);
    mem_free(bases.items);
    return st;
}

/* What a conflict met may be appended and not yet visible, and its owner may be dead: it
 * has to become visible, or who runs the transaction again meets it for ever. */
static void show_what_was_met(struct store *store)
{
    uint64_t appended = log_appended(store->log);
    if (appended > store_visible(store) && log_sync(store->log, appended, 0) < 0)
        return; /* the next call says why, and this one of the conflict */
}

scn_status commit_txn(struct scn_txn *txn, uint64_t *lsn)
{
    struct store *store = txn->store;
    bool is_done = false;
    *lsn = txn->lsn;
    scn_status st = txn->broken;
    if (st < 0 || !txn_is_write(txn) || write_is_empty(txn))
        return st;
    /* It would wait for itself, or escape the update's retry. */
    st = txn->is_in_update ? SCN_OK : update_check_not_inside(store);
    if (st == SCN_OK)
        st = cursor_flush_reads(txn);
    if (st == SCN_OK)
        st = make_record(txn);
    if (st == SCN_OK)
        st = txn->writes.adds ? append_with_additions(txn, lsn, &is_done)
                              : append_until_done(txn, NULL, lsn, &is_done);
    if (st < 0) {
        if (st == SCN_CONFLICT && !txn->is_priority)
            show_what_was_met(store);
        return st;
    }
    hand_over_segments(txn);
    atomic_fetch_add_explicit(&store->counters.commits, 1, memory_order_relaxed);
    if (is_done) {
        atomic_fetch_add_explicit(&store->counters.lazy_commits, 1, memory_order_relaxed);
    } else {
        /* Who holds the append lock would wait for company in vain. */
        uint32_t window = txn->durability == SCN_SYNC_GROUP && !txn->is_priority
                              ? store->options.group_window_ms
                              : 0;
        st = log_sync(store->log, *lsn, window);
        if (st == SCN_OK && log_life(store->log) != txn->log_life)
            st = error_set(SCN_UNKNOWN, 0, 0, 0,
                           "the file was recovered after a failed sync; look whether the "
                           "commit is there");
    }
    if (!txn->is_priority)
        room_after_commit(store);
    return st < 0 ? error_in_doubt() : st;
}
