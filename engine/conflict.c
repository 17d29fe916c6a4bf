/* Validation: is what the transaction read and overwrote still so?
 *
 * [I3] The history holds the sources of all commits above window_start. A commit above
 *      the snapshot is a conflict when it touched a key in the read set, or a key that
 *      this transaction writes and did not put blindly. Where the history does not reach
 *      back to the snapshot the answer is CONFLICT, without guessing.
 *
 * Bulk runs of others are judged by their bounds: a cold page must not be read under the
 * append lock. */
#include "engine/txn.h"

static scn_status conflict(struct scn_txn *txn)
{
    atomic_fetch_add_explicit(&txn->store->counters.conflicts, 1, memory_order_relaxed);
    return error_set(
        SCN_CONFLICT, 0, 0, 0,
        "another transaction changed what this one had read or wrote; run it again");
}

static int order(scn_slice a, scn_slice b)
{
    return bytes_compare(a.data, a.size, b.data, b.size);
}

/* ---- deltas ---- */

static bool key_changed(const struct delta_table *table, scn_slice key, uint64_t hash,
                        uint64_t lsn)
{
    const struct delta_entry *entry = delta_entry_find(table, key, hash);
    const struct delta_version *newest = entry ? delta_entry_version(entry, UINT64_MAX)
                                               : NULL;
    return (newest && newest->lsn > lsn) ||
           delta_cleared_above(table, key, lsn);
}

static bool clear_meets(const struct delta_clear *clear, const struct read_range *range)
{
    if (clear->has_from && range->has_hi && order(clear->from, range->hi) > 0)
        return false;
    return !(clear->has_to && range->has_lo && order(clear->to, range->lo) <= 0);
}

static bool range_changed(const struct delta_table *table, const struct read_range *range,
                          uint64_t lsn)
{
    struct delta_clear clear;
    for (uint32_t i = 0; delta_clear_at(table, lsn, i, &clear); i++)
        if (clear_meets(&clear, range))
            return true;
    if (!range->has_lo && !range->has_hi)
        return delta_table_newest(table) > lsn;
    struct delta_entry *entry = delta_seek(table, range->has_lo ? &range->lo : NULL,
                                           SCN_GE);
    while (entry) {
        scn_slice key = {entry->key, entry->key_len};
        if (range->has_hi && order(key, range->hi) > 0)
            return false;
        const struct delta_version *newest = delta_entry_version(entry, UINT64_MAX);
        if (newest && newest->lsn > lsn)
            return true;
        entry = delta_seek(table, &key, SCN_GT);
    }
    return false;
}

/* ---- runs ---- */

static bool run_meets(const struct run *run, const struct read_range *range)
{
    return !(range->has_hi && order(run->min, range->hi) > 0) &&
           !(range->has_lo && order(run->max, range->lo) < 0);
}

/* ---- reads ---- */

static bool read_changed(const struct read_range *range, const struct source *source,
                         uint64_t lsn)
{
    if (source->run)
        return source->run->tree.table_id == range->table_id && source->run->lsn > lsn &&
               run_meets(source->run, range);
    const struct delta_table *table = delta_table(source->delta, range->table_id);
    if (table == NULL || delta_table_newest(table) <= lsn)
        return false;
    return range->is_key ? key_changed(table, range->lo, range->hash, lsn)
                         : range_changed(table, range, lsn);
}

static bool reads_changed(const struct scn_txn *txn, const struct source *source)
{
    for (uint32_t i = 0; i < txn->reads.count; i++)
        if (read_changed(&txn->reads.items[i], source, txn->lsn))
            return true;
    return false;
}

/* ---- writes ---- */

/* Only if every put of the key was blind: deletions and plain puts look back. */
static bool is_blind(const struct delta_entry *entry)
{
    const struct delta_version *version = delta_entry_version(entry, UINT64_MAX);
    for (; version; version = version->older)
        if (!(version->kind & DELTA_BLIND))
            return false;
    return true;
}

struct write_check {
    struct scn_txn *txn;
    const struct source *source;
    bool is_adds; /* they build on whatever is there, like blind puts */
};

static scn_status table_write_check(void *ctx, uint32_t table_id,
                                    const struct delta_table *own)
{
    struct write_check *check = ctx;
    const struct source *source = check->source;
    uint64_t lsn = check->txn->lsn;
    const struct delta_table *theirs = source->delta
                                           ? delta_table(source->delta, table_id)
                                           : NULL;
    if (source->run ? source->run->tree.table_id != table_id || source->run->lsn <= lsn
                    : theirs == NULL || delta_table_newest(theirs) <= lsn)
        return SCN_OK;
    struct delta_entry *entry = delta_seek(own, NULL, SCN_GE);
    while (entry) {
        scn_slice key = {entry->key, entry->key_len};
        struct read_range at = {.table_id = table_id,
                                .has_lo = true,
                                .has_hi = true,
                                .lo = key,
                                .hi = key,
                                .is_key = true};
        if (!check->is_adds && !is_blind(entry)) {
            at.hash = leaf_hash(key.data, key.size);
            if (read_changed(&at, source, lsn))
                return SCN_CONFLICT;
        } else if (theirs && delta_cleared_above(theirs, key, lsn)) {
            return SCN_CONFLICT;
        }
        entry = delta_seek(own, &key, SCN_GT);
    }
    return SCN_OK;
}

static bool range_cleared(const struct read_range *range, const struct source *source,
                          uint64_t lsn)
{
    struct delta_clear clear;
    const struct delta_table *table =
        source->delta ? delta_table(source->delta, range->table_id) : NULL;
    for (uint32_t i = 0; table && delta_clear_at(table, lsn, i, &clear); i++)
        if (clear_meets(&clear, range))
            return true;
    return false;
}

/* A spilled run is compared by bounds too: precise where it matters, in the deltas' keys.
 * One of blind puts alone meets only what was cleared. */
static bool segment_changed(const struct segment *segment, const struct source *source,
                            uint64_t lsn)
{
    for (uint32_t i = 0; i < segment->run_count; i++) {
        const struct run *run = segment->runs[i];
        struct read_range range = {.table_id = run->tree.table_id,
                                   .has_lo = true,
                                   .has_hi = true,
                                   .lo = run->min,
                                   .hi = run->max};
        if (run->is_blind ? range_cleared(&range, source, lsn)
                          : read_changed(&range, source, lsn))
            return true;
    }
    return false;
}

static bool writes_changed(struct scn_txn *txn, const struct source *source)
{
    struct write_check check = {txn, source, false};
    struct write_check adds = {txn, source, true};
    for (uint32_t i = 0; i < txn->writes.segment_count; i++)
        if (segment_changed(&txn->writes.segments[i], source, txn->lsn))
            return true;
    if (txn->writes.delta &&
        delta_each_table(txn->writes.delta, table_write_check, &check) == SCN_CONFLICT)
        return true;
    return txn->writes.adds &&
           delta_each_table(txn->writes.adds, table_write_check, &adds) == SCN_CONFLICT;
}

/* ---- all ---- */

scn_status conflict_check(struct scn_txn *txn, const struct history *history)
{
    if (txn->lsn < history->window_start || atomic_load(&txn->is_stale))
        return conflict(txn);
    for (uint32_t i = history->count; i > 0; i--) {
        const struct source *source = &history->items[i - 1];
        if (reads_changed(txn, source) || writes_changed(txn, source))
            return conflict(txn);
        /* Older sources hold only what the snapshot has seen. */
        if (source->delta && delta_start(source->delta) <= txn->lsn)
            break;
    }
    return SCN_OK;
}
