/* How many rows a table has, and when it last changed.
 *
 * The tree knows its own count, so the count of a snapshot is that plus what each newer
 * source changes, from the oldest to the newest:
 *
 *     tree: 1000   delta: +1 -1 +1   run   delta: +1   own writes: +2
 *
 * A delta's entry changes the count by (is there a row after it) - (was there one below
 * it).  What lies below a delta is fixed the moment the delta begins, and every snapshot
 * that sees a version of the entry sees all of it.  So the answer, which costs a search
 * of the tree, is the same for all snapshots and for ever: it is kept in the entry, and a
 * second count only walks the entries.
 *
 * Where the sources below have no row at all there is nothing to ask: what a delta or a
 * run puts is what there is.  That makes a cleared table and a bulk load into an empty
 * one cheap.  What remains, a run or the deletion of a range over rows, is counted row by
 * row.
 *
 * A transaction's own writes come last, with the same rule: below them lies the snapshot.
 * The memo in their entries survives a rollback to a savepoint, since the snapshot does
 * not change. */
#include "engine/txn.h"

#include <string.h>

/* Pages stay in the pool while an operation runs: a long one lets go of them now and
 * then. */
enum { BREATH_STEPS = 256 };

enum { BELOW_UNKNOWN = 0, BELOW_EXISTS = 1, BELOW_ABSENT = 2 };

struct count {
    struct scn_txn *txn;
    const struct binding *binding;
    uint64_t rows;
    uint32_t steps;
    bool needs_scan; /* the sources alone do not tell */
};

static void breathe(struct count *count)
{
    if (++count->steps % BREATH_STEPS)
        return;
    pool_leave(count->txn->reader);
    pool_enter(count->txn->reader);
}

/* ---- deltas ---- */

/* Is the key in the view's sources from first_source on? */
static scn_status ask_below(struct count *count, struct delta_entry *entry,
                            uint32_t first_source, bool *exists)
{
    uint8_t below = atomic_load_explicit(&entry->below, memory_order_relaxed);
    struct found found;
    if (below == BELOW_UNKNOWN) {
        scn_slice key = {entry->key, entry->key_len};
        scn_status st = read_find_below(count->txn, count->binding, first_source, key,
                                        leaf_hash(key.data, key.size), &found);
        if (st < 0)
            return st;
        below = found.kind == FOUND_NONE ? BELOW_ABSENT : BELOW_EXISTS;
        atomic_store_explicit(&entry->below, below, memory_order_relaxed);
        breathe(count);
    }
    *exists = below == BELOW_EXISTS;
    return SCN_OK;
}

/* What an entry says at a bound. */
enum said { SAID_NOTHING, SAID_ABSENT, SAID_EXISTS };

static enum said entry_says(const struct delta_table *table,
                            const struct delta_entry *entry, uint64_t max_lsn,
                            bool has_clears)
{
    const struct delta_version *version = delta_entry_version(entry, max_lsn);
    scn_slice key = {entry->key, entry->key_len};
    if (version == NULL)
        return SAID_NOTHING;
    if (has_clears && delta_cleared_at(table, key, max_lsn) > version->lsn)
        return SAID_ABSENT;
    if (version->kind == DELTA_ADD)
        return SAID_EXISTS;
    return (version->kind & ~DELTA_BLIND) == DELTA_PUT ? SAID_EXISTS : SAID_ABSENT;
}

/* is_alone: below there is no row. */
static scn_status add_entries(struct count *count, const struct delta_table *table,
                              uint64_t max_lsn, uint32_t first_source, bool is_alone)
{
    bool has_clears = delta_has_clears(table, max_lsn);
    struct delta_entry *entry = delta_seek(table, NULL, SCN_GE);
    while (entry) {
        enum said said = entry_says(table, entry, max_lsn, has_clears);
        bool exists_below = false;
        scn_status st = is_alone || said == SAID_NOTHING
                            ? SCN_OK
                            : ask_below(count, entry, first_source, &exists_below);
        if (st < 0)
            return st;
        if (said != SAID_NOTHING)
            count->rows += (uint64_t)(said == SAID_EXISTS) - (uint64_t)exists_below;
        scn_slice key = {entry->key, entry->key_len};
        entry = delta_seek(table, &key, SCN_GT);
    }
    return SCN_OK;
}

static bool is_cleared_whole(const struct delta_table *table, uint64_t max_lsn)
{
    struct delta_clear clear;
    for (uint32_t i = 0; delta_clear_at(table, 0, i, &clear); i++)
        if (clear.lsn <= max_lsn && !clear.has_from && !clear.has_to)
            return true;
    return false;
}

static scn_status add_delta(struct count *count, const struct delta *delta,
                            uint64_t max_lsn, uint32_t first_source)
{
    const struct delta_table *table = delta_table(delta, count->binding->table_id);
    if (table == NULL)
        return SCN_OK;
    if (is_cleared_whole(table, max_lsn))
        count->rows = 0;
    if (count->rows && delta_has_clears(table, max_lsn)) {
        count->needs_scan = true;
        return SCN_OK;
    }
    return add_entries(count, table, max_lsn, first_source, count->rows == 0);
}

/* ---- all sources ---- */

static void add_run(struct count *count, const struct run *run)
{
    if (run->tree.table_id != count->binding->table_id || run->lsn > count->txn->lsn)
        return;
    if (count->rows)
        count->needs_scan = true;
    else
        count->rows = run->count - run->tombstones;
}

/* Additions are on keys of which the other own writes say nothing: below is the snapshot.
 */
static scn_status add_own(struct count *count)
{
    const struct write_set *writes = &count->txn->writes;
    if (writes->segment_count) {
        count->needs_scan = true;
        return SCN_OK;
    }
    scn_status st = writes->delta ? add_delta(count, writes->delta, UINT64_MAX, 0)
                                  : SCN_OK;
    const struct delta_table *adds =
        writes->adds ? delta_table(writes->adds, count->binding->table_id) : NULL;
    for (struct delta_entry *entry = adds ? delta_seek(adds, NULL, SCN_GE) : NULL;
         entry && st == SCN_OK && !count->needs_scan;) {
        const struct delta_version *version = delta_entry_version(entry, UINT64_MAX);
        bool exists = true;
        if (version && version->kind == DELTA_ADD)
            st = ask_below(count, entry, 0, &exists);
        count->rows += !exists;
        scn_slice key = {entry->key, entry->key_len};
        entry = delta_seek(adds, &key, SCN_GT);
    }
    return st;
}

static scn_status add_sources(struct count *count)
{
    const struct view *view = count->txn->view;
    scn_status st = SCN_OK;
    for (uint32_t i = view->source_count; i > 0 && st == SCN_OK && !count->needs_scan;
         i--) {
        const struct source *source = &view->sources[i - 1];
        if (source->run)
            add_run(count, source->run);
        else
            st = add_delta(count, source->delta, count->txn->lsn, i);
    }
    return st == SCN_OK && !count->needs_scan ? add_own(count) : st;
}

static scn_status scan(struct count *count)
{
    struct merge *merge;
    struct merge_item item;
    scn_status st = read_merge(count->txn, count->binding, &merge);
    if (st < 0)
        return st;
    count->rows = 0;
    st = merge_seek(merge, NULL, SCN_GE, &item);
    while (st == SCN_OK) {
        count->rows++;
        breathe(count);
        st = merge_step(merge, true, &item);
    }
    merge_destroy(merge);
    return st == SCN_END ? SCN_OK : st;
}

static scn_status count_rows(struct scn_txn *txn, const struct binding *binding,
                             uint64_t *rows)
{
    struct count count = {.txn = txn, .binding = binding, .rows = binding->tree_count};
    scn_status st = txn_tracks(txn, 0) ? readset_table(&txn->reads, binding->table_id)
                                       : SCN_OK;
    if (st == SCN_OK)
        st = add_sources(&count);
    if (st == SCN_OK && count.needs_scan)
        st = scan(&count);
    *rows = count.rows;
    return st;
}

/* ---- public ---- */

scn_status scn_table_count(scn_txn *txn, scn_table_id id, uint64_t *rows)
{
    struct binding *binding;
    scn_status st = txn_check(txn);
    if (st < 0)
        return st;
    if (rows == NULL)
        return error_misuse("scn_table_count: the place for the count is NULL");
    *rows = 0;
    txn_enter(txn);
    st = catalog_bind(txn, id, &binding);
    if (st == SCN_OK)
        st = count_rows(txn, binding, rows);
    st = txn_leave(txn, st);
    if (st != SCN_OK)
        *rows = 0;
    return st;
}

scn_status scn_table_info(scn_txn *txn, scn_table_id id, scn_table_stat *out)
{
    struct binding *binding;
    struct scn_table_stat stat = {0};
    scn_status st = txn_check(txn);
    if (st < 0)
        return st;
    if (out == NULL || out->struct_size < sizeof out->struct_size)
        return error_misuse(
            "scn_table_info: the result is NULL or its struct_size is not set");
    txn_enter(txn);
    st = catalog_bind(txn, id, &binding);
    if (st == SCN_OK)
        st = count_rows(txn, binding, &stat.count);
    st = txn_leave(txn, st);
    if (st != SCN_OK)
        return st;
    stat.struct_size = out->struct_size;
    stat.flags = binding->flags;
    stat.key_bytes = binding->key_bytes;
    stat.value_bytes = binding->value_bytes;
    stat.stored_bytes = binding->tree_pages * PAGE_BYTES;
    memcpy(out, &stat, stat.struct_size < sizeof stat ? stat.struct_size : sizeof stat);
    return SCN_OK;
}

static uint64_t source_version(const struct source *source, uint32_t table_id,
                               uint64_t max_lsn)
{
    if (source->run)
        return source->run->tree.table_id == table_id && source->run->lsn <= max_lsn
                   ? source->run->lsn
                   : 0;
    const struct delta_table *table = delta_table(source->delta, table_id);
    return table ? delta_table_version(table, max_lsn) : 0;
}

/* It tells the user something, so it is a read of the whole table [I1]. */
static scn_status bind_version(struct scn_txn *txn, uint32_t table_id)
{
    struct binding *binding;
    txn_enter(txn);
    scn_status st = catalog_bind(txn, table_id, &binding);
    if (st == SCN_OK && txn_tracks(txn, 0))
        st = readset_table(&txn->reads, table_id);
    return txn_leave(txn, st);
}

/* A failure looks like a table that is not there: who may have acted on that, and has not
 * had it noted, cannot commit any more. */
uint64_t scn_table_version(scn_txn *txn, scn_table_id id)
{
    if (txn_check(txn) < 0)
        return 0;
    scn_status st = bind_version(txn, id);
    if (st < 0 && txn_tracks(txn, 0))
        txn->broken = st;
    if (st != SCN_OK)
        return 0;
    uint64_t newest = txn->view->base_lsn;
    for (uint32_t i = 0; i < txn->view->source_count; i++) {
        uint64_t lsn = source_version(&txn->view->sources[i], id, txn->lsn);
        newest = lsn > newest ? lsn : newest;
    }
    return newest;
}
