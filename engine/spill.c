/* Spilling: the private delta of a large transaction becomes bulk runs.
 *
 * Each table's rows are built into a tree of their own, in pages grown at the end of the
 * file and reserved (nobody else gives them out), synced before any record can name
 * them. Savepoints cut: what lies before one and what lies after it go into different
 * segments, so that rolling back drops whole segments.
 *
 * Rows of the catalog are few and are asked for in deltas only: they stay in memory. */
#include "engine/rebuild.h"
#include "engine/room.h"
#include "engine/txn.h"
#include "page/mem.h"

#include <stdlib.h>

enum { CHUNK_PAGES_MIN = 4, CHUNK_PAGES_MAX = (4 << 20) / PAGE_BYTES };

/* ---- pages ---- */

/* One run being built. */
struct build {
    struct scn_txn *txn;
    uint64_t birth_gen;
    struct op_range
        *ranges; /* the last one is [pgno, pgno+pages) with `taken` pages used */
    uint32_t range_count;
    uint32_t range_capacity;
    uint32_t taken;
    /* the rows */
    const struct delta_table *table;
    struct delta_entry *entry;
    uint64_t low; /* versions in (low, high] */
    uint64_t high;
    bool has_clears;
    uint64_t tombstones;
    bool has_plain; /* a version that asked for the conflict check */
    scn_slice min; /* in the delta */
    scn_slice max;
};

static scn_status add_range(struct build *build, uint32_t pgno, uint32_t pages)
{
    scn_status st = mem_make_room(&build->ranges, &build->range_capacity,
                                  build->range_count + 1, sizeof *build->ranges);
    if (st < 0)
        return st;
    build->ranges[build->range_count++] = (struct op_range){pgno, pages};
    build->taken = 0;
    return SCN_OK;
}

/* The unused end of the last range goes back. */
static void trim(struct build *build)
{
    if (build->range_count == 0)
        return;
    struct op_range *last = &build->ranges[build->range_count - 1];
    if (build->taken < last->pages)
        room_give_back(build->txn->store, last->pgno + build->taken,
                       last->pages - build->taken);
    last->pages = build->taken;
    if (last->pages == 0)
        build->range_count--;
}

static uint32_t chunk_pages(const struct build *build, uint32_t wanted)
{
    uint32_t pages = CHUNK_PAGES_MIN;
    for (uint32_t i = 0; i < build->range_count && pages < CHUNK_PAGES_MAX; i++)
        pages *= 2;
    return wanted > pages ? wanted : pages;
}

/* At the end of the file, where a limit or a full disk may allow less than a chunk.  What
 * is free before the end is of no use to it until a drain has moved the end. */
static scn_status grow(struct build *build, uint32_t pages)
{
    struct store *store = build->txn->store;
    bool has_append = build->txn->is_priority;
    uint32_t first;
    scn_status st = room_grow_for_run(store, pages, has_append, &first);
    while (st == SCN_FULL && pages > 1) {
        pages /= 2;
        st = room_grow_for_run(store, pages, has_append, &first);
    }
    if (st == SCN_FULL)
        atomic_store(&store->wants_drain, true);
    if (st < 0)
        return st;
    st = add_range(build, first, pages);
    if (st < 0)
        room_give_back(store, first, pages);
    return st;
}

static scn_status take(void *ctx, uint32_t wanted, uint32_t *pgno, uint32_t *count)
{
    struct build *build = ctx;
    scn_status st = SCN_OK;
    if (build->range_count == 0 ||
        build->taken == build->ranges[build->range_count - 1].pages)
        st = grow(build, chunk_pages(build, wanted));
    if (st < 0)
        return st;
    const struct op_range *last = &build->ranges[build->range_count - 1];
    uint32_t left = last->pages - build->taken;
    *count = wanted < left ? wanted : left;
    *pgno = last->pgno + build->taken;
    build->taken += *count;
    return SCN_OK;
}

static void let_go(struct store *store, const struct op_range *ranges, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        pool_forget(store->pool, ranges[i].pgno, ranges[i].pages);
        room_give_back(store, ranges[i].pgno, ranges[i].pages);
    }
}

/* ---- rows ---- */

/* The row's version in this segment; NULL when there is none or a later range deletion
 * hides it. */
static const struct delta_version *row_version(const struct build *build,
                                               const struct delta_entry *entry)
{
    const struct delta_version *version = delta_entry_version(entry, build->high);
    if (version == NULL || version->lsn <= build->low)
        return NULL;
    scn_slice key = {entry->key, entry->key_len};
    if (build->has_clears &&
        delta_cleared_at(build->table, key, build->high) > version->lsn)
        return NULL;
    return version;
}

static struct delta_entry *next_entry(const struct build *build,
                                      const struct delta_entry *after)
{
    scn_slice key = {after ? after->key : NULL, after ? after->key_len : 0};
    struct delta_entry *entry = delta_seek(build->table, after ? &key : NULL,
                                           after ? SCN_GT : SCN_GE);
    while (entry && row_version(build, entry) == NULL) {
        key = (scn_slice){entry->key, entry->key_len};
        entry = delta_seek(build->table, &key, SCN_GT);
    }
    return entry;
}

/* Of a key that was put plainly and then blindly the first put looks back. */
static bool is_plain(const struct build *build, const struct delta_version *version)
{
    for (; version && version->lsn > build->low; version = version->older)
        if (!(version->kind & DELTA_BLIND))
            return true;
    return false;
}

static scn_status next_row(void *ctx, struct change *out)
{
    struct build *build = ctx;
    build->entry = next_entry(build, build->entry);
    if (build->entry == NULL)
        return SCN_END;
    const struct delta_version *version = row_version(build, build->entry);
    out->key = (scn_slice){build->entry->key, build->entry->key_len};
    out->value = (scn_slice){version->data, version->len};
    out->kind = (version->kind & ~DELTA_BLIND) == DELTA_PUT ? CHANGE_PUT : CHANGE_DELETE;
    build->tombstones += out->kind == CHANGE_DELETE;
    build->has_plain |= is_plain(build, version);
    if (build->min.data == NULL)
        build->min = out->key;
    build->max = out->key;
    return SCN_OK;
}

/* ---- one run ---- */

static scn_status nothing_freed(void *ctx, const struct page_ref *ref)
{
    (void)ctx;
    return error_corrupt(ref->pgno, 0, "bulk run: a page of a fresh tree was freed");
}

static scn_status value_ignored(void *ctx, const struct value_ref *ref)
{
    (void)ctx;
    (void)ref;
    return SCN_OK;
}

static scn_status build_tree(struct build *build, uint32_t table_id, bool compress,
                             struct op_run *out)
{
    struct store *store = build->txn->store;
    struct writer *writer = NULL;
    struct pool_reader *reader = NULL;
    struct rebuild job = {.old = {{0}, table_id},
                          .compress = compress,
                          .keep_tombstones = true,
                          .next = next_row,
                          .page_freed = nothing_freed,
                          .value_dropped = value_ignored,
                          .value_added = value_ignored,
                          .ctx = build};
    scn_status st = pool_reader_create(store->pool, &reader);
    if (st == SCN_OK)
        st = writer_create(&store->file, store->pool, build->birth_gen, take, NULL, build,
                           &writer);
    job.reader = reader;
    job.writer = writer;
    if (st == SCN_OK)
        st = rebuild_tree(&job, &out->root);
    if (st == SCN_OK)
        st = writer_flush(writer);
    writer_destroy(writer);
    if (reader)
        pool_reader_destroy(reader);
    out->count = job.stat.count + build->tombstones;
    out->value_bytes = job.stat.value_bytes;
    out->tombstones = build->tombstones;
    out->min = build->min;
    out->max = build->max;
    return st;
}

static scn_status add_run(struct segment *segment, struct run *run)
{
    void *grown = mem_grow(segment->runs, segment->run_count * sizeof run,
                           (segment->run_count + 1) * sizeof run);
    if (grown == NULL)
        return error_nomem();
    segment->runs = grown;
    segment->runs[segment->run_count++] = run;
    return SCN_OK;
}

static scn_status build_run(struct build *build, uint32_t table_id, bool compress,
                            struct segment *segment)
{
    struct op_run op = {0};
    struct run *run = NULL;
    if (next_entry(build, NULL) == NULL)
        return SCN_OK;
    scn_status st = build_tree(build, table_id, compress, &op);
    trim(build);
    if (st == SCN_OK)
        st = run_create(table_id, &op, build->ranges, build->range_count,
                        build->birth_gen, &run);
    if (st == SCN_OK)
        run->is_blind = !build->has_plain;
    if (st == SCN_OK)
        st = add_run(segment, run);
    if (st < 0) {
        run_unref(run);
        let_go(build->txn->store, build->ranges, build->range_count);
    }
    return st;
}

/* ---- one segment ---- */

struct cut {
    struct scn_txn *txn;
    struct segment *segment;
    uint64_t birth_gen;
    uint64_t low;
    uint64_t high;
};

static scn_status keep_clears(const struct cut *cut, uint32_t table_id,
                              const struct delta_table *table)
{
    struct delta_clear clear;
    scn_status st = SCN_OK;
    for (uint32_t i = 0; st == SCN_OK && delta_clear_at(table, cut->low, i, &clear);
         i++) {
        if (clear.lsn > cut->high)
            continue;
        if (cut->segment->clears == NULL)
            st = delta_create(0, &cut->segment->clears);
        if (st == SCN_OK)
            st = delta_reserve(cut->segment->clears, 1, clear.from.size + clear.to.size,
                               0, 1);
        /* Newest first here; among clears of one segment the order says nothing. */
        if (st == SCN_OK)
            delta_append_clear(cut->segment->clears, table_id,
                               clear.has_from ? &clear.from : NULL,
                               clear.has_to ? &clear.to : NULL, cut->high);
    }
    return st;
}

static scn_status spill_table(void *ctx, uint32_t table_id,
                              const struct delta_table *table)
{
    struct cut *cut = ctx;
    struct binding *binding;
    struct build build = {.txn = cut->txn,
                          .birth_gen = cut->birth_gen,
                          .table = table,
                          .low = cut->low,
                          .high = cut->high,
                          .has_clears = delta_has_clears(table, cut->high)};
    if (table_id == TABLE_CATALOG)
        return SCN_OK;
    scn_status st = catalog_bind(cut->txn, table_id, &binding);
    bool compress = st == SCN_OK && (binding->flags & SCN_COMPRESS);
    if (st == SCN_OK || st == SCN_NOTFOUND)
        st = keep_clears(cut, table_id, table);
    if (st == SCN_OK)
        st = build_run(&build, table_id, compress, cut->segment);
    mem_free(build.ranges);
    return st;
}

void segment_destroy(struct store *store, struct segment *segment, bool keeps_pages)
{
    for (uint32_t i = 0; i < segment->run_count; i++) {
        struct run *run = segment->runs[i];
        if (!keeps_pages)
            let_go(store, run->ranges, run->range_count);
        run_unref(run);
    }
    mem_free(segment->runs);
    if (segment->clears)
        delta_unref(segment->clears);
    *segment = (struct segment){0};
}

static scn_status add_segment(struct scn_txn *txn, const struct cut *cut)
{
    struct write_set *writes = &txn->writes;
    struct segment segment = {.sequence = cut->high};
    struct cut inside = *cut;
    scn_status st = mem_make_room(&writes->segments, &writes->segment_capacity,
                                  writes->segment_count + 1, sizeof *writes->segments);
    if (st < 0)
        return st;
    inside.segment = &segment;
    st = delta_each_table(writes->delta, spill_table, &inside);
    if (st < 0 || (segment.run_count == 0 && segment.clears == NULL)) {
        segment_destroy(txn->store, &segment, false);
        return st;
    }
    writes->segments[writes->segment_count++] = segment;
    return SCN_OK;
}

/* ---- the catalog's rows stay ---- */

struct kept {
    scn_slice key;
    const struct delta_version *version;
};

static int by_lsn(const void *left, const void *right)
{
    const struct kept *a = left;
    const struct kept *b = right;
    return (a->version->lsn > b->version->lsn) - (a->version->lsn < b->version->lsn);
}

static scn_status list_versions(const struct delta_table *table, struct kept **out,
                                size_t *count)
{
    uint32_t capacity = 0;
    struct delta_entry *entry = delta_seek(table, NULL, SCN_GE);
    while (entry) {
        scn_slice key = {entry->key, entry->key_len};
        const struct delta_version *version = delta_entry_version(entry, UINT64_MAX);
        for (; version; version = version->older) {
            scn_status st = mem_make_room(out, &capacity, *count + 1, sizeof **out);
            if (st < 0)
                return st;
            (*out)[(*count)++] = (struct kept){key, version};
        }
        entry = delta_seek(table, &key, SCN_GT);
    }
    return SCN_OK;
}

static scn_status copy_kept(struct delta *to, const struct kept *kept, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        scn_slice value = {kept[i].version->data, kept[i].version->len};
        scn_status st = delta_reserve(to, 1, kept[i].key.size, value.size, 1);
        if (st < 0)
            return st;
        delta_append(to, TABLE_CATALOG, kept[i].key, kept[i].version->kind, value,
                     kept[i].version->lsn);
    }
    return SCN_OK;
}

/* A fresh private delta with the catalog's rows, every version, so that savepoints still
 * find theirs. */
static scn_status fresh_delta(const struct delta *old, struct delta **out)
{
    const struct delta_table *catalog = delta_table(old, TABLE_CATALOG);
    struct kept *kept = NULL;
    size_t count = 0;
    struct delta *fresh = NULL;
    scn_status st = catalog ? list_versions(catalog, &kept, &count) : SCN_OK;
    if (st == SCN_OK)
        st = delta_create(0, &fresh);
    if (count)
        qsort(kept, count, sizeof *kept, by_lsn);
    if (st == SCN_OK)
        st = copy_kept(fresh, kept, count);
    mem_free(kept);
    *out = fresh; /* after a failure, too: the caller lets go of it */
    return st;
}

/* ---- all ---- */

static uint64_t current_gen(struct store *store)
{
    uint64_t visible;
    struct view *view = store_view(store, &visible);
    uint64_t gen = view->gen;
    store_view_release(store, view);
    return gen;
}

static scn_status cut_at_savepoints(struct scn_txn *txn)
{
    struct write_set *writes = &txn->writes;
    struct cut cut = {.txn = txn,
                      .birth_gen = current_gen(txn->store),
                      .low = writes->spilled_sequence};
    scn_status st = SCN_OK;
    for (uint32_t i = 0; i <= writes->savepoint_count && st == SCN_OK; i++) {
        cut.high = i < writes->savepoint_count ? writes->savepoints[i] : writes->sequence;
        if (cut.high <= cut.low)
            continue;
        st = add_segment(txn, &cut);
        cut.low = cut.high;
    }
    return st;
}

scn_status spill(struct scn_txn *txn)
{
    struct write_set *writes = &txn->writes;
    struct delta *fresh = NULL;
    uint32_t first = writes->segment_count;
    scn_status st = fresh_delta(writes->delta, &fresh);
    if (st == SCN_OK)
        st = cut_at_savepoints(txn);
    if (st == SCN_OK)
        st = file_sync(&txn->store->file);
    if (st < 0) {
        while (writes->segment_count > first)
            segment_destroy(txn->store, &writes->segments[--writes->segment_count],
                            false);
        if (fresh)
            delta_unref(fresh);
        return st;
    }
    delta_unref(writes->delta);
    writes->delta = fresh;
    writes->spilled_sequence = writes->sequence;
    writes->shape++;
    return SCN_OK;
}
