/* What a store tells of itself: statistics, health, open transactions.
 *
 * A monitor asks often, perhaps while the store is in trouble.  So nothing here waits for
 * a lock that is held across I/O, and nothing that is not in memory is needed: only the
 * number of tables is read from the catalog, whose pages mostly are.
 *
 * The clock is not read when a transaction for reading begins: that would be a good part
 * of its cost.  Such a transaction gets its time when it is first looked at here, and its
 * age counts from then. */
#include "engine/room.h"
#include "engine/txn.h"

#include "page/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { NS_PER_MS = 1000000, READERS_FIRST = 16 };

static void lock_state(struct store *store)
{
    store->sys->ops->mutex_lock(store->state_mutex);
}

static void unlock_state(struct store *store)
{
    store->sys->ops->mutex_unlock(store->state_mutex);
}

/* State mutex held. */
static uint64_t age_ns(struct scn_txn *txn, uint64_t now_ns)
{
    if (txn->begun_ns == 0)
        txn->begun_ns = now_ns;
    return now_ns > txn->begun_ns ? now_ns - txn->begun_ns : 0;
}

struct open_txns {
    uint32_t count;
    uint64_t oldest_ms; /* at least 1 when there is one */
};

/* State mutex held. */
static struct open_txns look_at_txns(struct store *store)
{
    struct open_txns open = {0};
    uint64_t now = store->sys->ops->now_ns(store->sys);
    for (struct scn_txn *txn = store->open_txns; txn; txn = txn->next) {
        uint64_t ms = age_ns(txn, now) / NS_PER_MS + 1;
        open.oldest_ms = ms > open.oldest_ms ? ms : open.oldest_ms;
        open.count++;
    }
    return open;
}

static uint64_t log_backlog(struct store *store)
{
    return atomic_load(&store->is_alone)
               ? store->recovered.byte_count
               : log_bytes_since(store->log, atomic_load(&store->base_lsn));
}

/* ---- statistics ---- */

static void fill_from_state(struct store *store, struct scn_stats_t *out)
{
    lock_state(store);
    struct open_txns open = look_at_txns(store);
    const struct view *view = store->view;
    out->gen = view->gen;
    out->base_lsn = view->base_lsn;
    for (uint32_t i = 0; i < view->source_count; i++) {
        if (view->sources[i].run)
            out->runs++;
        else
            out->delta_bytes += delta_bytes(view->sources[i].delta);
    }
    unlock_state(store);
    out->open_transactions = open.count;
    out->oldest_snapshot_age_ms = open.oldest_ms;
}

static void fill_from_file(struct store *store, struct scn_stats_t *out)
{
    struct space_stat space = {0};
    out->page_bytes = PAGE_BYTES;
    room_stat(store, &space);
    /* The end of the file comes second: what the space knows of is in it by then, but for
     * a file that was cut in between. */
    uint64_t pages = atomic_load(&store->file.page_count);
    pages = pages > space.end_pages ? pages : space.end_pages;
    out->file_bytes = pages * PAGE_BYTES;
    uint64_t free_pages = space.free_pages + (pages - space.end_pages);
    out->freed_bytes = space.freed_pages * PAGE_BYTES;
    out->free_bytes = free_pages * PAGE_BYTES;
    out->used_bytes = out->file_bytes - out->freed_bytes - out->free_bytes;
    out->syncs = atomic_load(&store->file.sync_count);
    out->bytes_written = atomic_load(&store->file.written_bytes);
    out->bytes_read = atomic_load(&store->file.read_bytes);
}

static void fill_from_log(struct store *store, struct scn_stats_t *out)
{
    out->log_bytes = log_backlog(store);
    out->log_capacity_bytes = store->options.log_bytes;
    out->appended_lsn = store_appended(store);
    out->synced_lsn = log_synced(store->log);
    out->recovered_records = store->recovered.record_count;
    out->recovery_ms = store->recovery_ns / NS_PER_MS;
    out->torn_tail = store->recovered.kind == LOG_END_TORN;
}

static void fill_from_counters(struct store *store, struct scn_stats_t *out)
{
    struct counters *counters = &store->counters;
    out->commits = atomic_load(&counters->commits);
    out->peer_commits = atomic_load(&counters->peer_commits);
    out->lazy_commits = atomic_load(&counters->lazy_commits);
    out->conflicts = atomic_load(&counters->conflicts);
    out->checkpoints = atomic_load(&counters->checkpoints);
    out->failed_checkpoints = atomic_load(&counters->failed_checkpoints);
    out->reads = atomic_load(&counters->reads);
}

static void fill_from_pool(struct store *store, struct scn_stats_t *out)
{
    struct pool_stat pool;
    pool_stat(store->pool, &pool);
    out->pool_capacity_bytes = pool.capacity_bytes;
    out->pool_used_bytes = pool.used_bytes;
    out->pool_hits = pool.hits;
    out->pool_misses = pool.misses;
    out->pool_evictions = pool.evictions;
}

static scn_status count_names(struct scn_txn *txn, uint32_t *count)
{
    const struct binding catalog = catalog_binding(txn);
    struct merge *merge;
    struct merge_item item;
    scn_status st = read_merge(txn, &catalog, &merge);
    if (st < 0)
        return st;
    st = merge_seek(merge, &(scn_slice){"N", 1}, SCN_GE, &item);
    while (st == SCN_OK && *(const uint8_t *)item.key.data == 'N') {
        ++*count;
        pool_renew(txn->reader); /* the catalog may be larger than the pool */
        st = merge_step(merge, true, &item);
    }
    merge_destroy(merge);
    return st;
}

static uint32_t count_tables(scn_db *db)
{
    struct scn_txn *txn;
    uint32_t count = 0;
    if (txn_begin_on(db->store, db, SCN_READ, &txn) < 0)
        return 0;
    txn_enter(txn);
    scn_status st = count_names(txn, &count);
    st = txn_leave(txn, st);
    txn_end(txn, SCN_OK, 0);
    return st < 0 ? 0 : count;
}

scn_status scn_stats(scn_db *db, scn_stats_t *out)
{
    struct scn_stats_t stats = {0};
    scn_status st = db_check(db);
    if (st < 0)
        return st;
    if (out == NULL || out->struct_size < sizeof out->struct_size)
        return error_misuse(
            "scn_stats: the result is NULL or its struct_size is not set");
    fill_from_state(db->store, &stats);
    fill_from_file(db->store, &stats);
    fill_from_log(db->store, &stats);
    fill_from_counters(db->store, &stats);
    fill_from_pool(db->store, &stats);
    stats.tables = count_tables(db);
    stats.struct_size = out->struct_size;
    memcpy(out, &stats,
           stats.struct_size < sizeof stats ? stats.struct_size : sizeof stats);
    return SCN_OK;
}

/* ---- health ---- */

static uint64_t disk_free(struct store *store)
{
    uint64_t bytes = 0;
    uint64_t file = atomic_load(&store->file.page_count) * PAGE_BYTES;
    uint64_t most = store->file.max_bytes;
    if (store->sys->ops->free_bytes(store->file.handle, &bytes) < 0)
        bytes = 0;
    if (most == 0)
        return bytes;
    uint64_t room = most > file ? most - file : 0;
    return room < bytes ? room : bytes;
}

/* What checkpoints can write to: free pages of the file count as well. */
static uint64_t room_bytes(struct store *store, const struct scn_health_t *health)
{
    struct space_stat space;
    room_stat(store, &space);
    return health->disk_free_bytes + space.free_pages * PAGE_BYTES;
}

/* The worst thing first; false: nothing is wrong. */
static bool find_reason(struct store *store, scn_status moved,
                        const struct scn_health_t *health, char *out, size_t size)
{
    scn_status checkpoint = atomic_load(&store->checkpoint_status);
    if (moved < 0)
        snprintf(out, size, "%.150s", error_last()->text);
    else if (health->poisoned && store->is_read_only)
        snprintf(out, size,
                 "a write or sync failed: nothing is written until the store is opened "
                 "for writing; reads go on");
    else if (health->poisoned)
        snprintf(out, size, "a write or sync failed: close the store and open it again");
    else if (store->recovered.kind == LOG_END_CORRUPT)
        snprintf(out, size,
                 "the log is damaged at offset %" PRIu64
                 "; commits behind it are missing",
                 store->recovered.bad_off);
    else if (store->is_read_only)
        return false;
    else if (checkpoint < 0)
        snprintf(out, size, "the last checkpoint failed: %s", scn_strerror(checkpoint));
    else if (room_is_exhausted(store))
        snprintf(out, size, "the log is full: commits wait for the checkpoint");
    else if (room_bytes(store, health) < store->options.log_bytes)
        snprintf(out, size,
                 "%" PRIu64
                 " bytes are left on the disk; the next checkpoint may not fit",
                 health->disk_free_bytes);
    else
        return false;
    return true;
}

scn_status scn_health(scn_db *db, scn_health_t *out)
{
    struct scn_health_t health = {0};
    scn_status st = db_check(db);
    if (st < 0)
        return st;
    if (out == NULL || out->struct_size < sizeof out->struct_size)
        return error_misuse(
            "scn_health: the result is NULL or its struct_size is not set");
    struct store *store = db->store;
    st = file_check_moved(&store->file);
    lock_state(store);
    struct open_txns open = look_at_txns(store);
    unlock_state(store);
    health.struct_size = out->struct_size;
    health.poisoned = file_is_poisoned(&store->file);
    health.read_only = store->is_read_only;
    health.log_backlog_bytes = log_backlog(store);
    health.disk_free_bytes = disk_free(store);
    health.file_bytes = atomic_load(&store->file.page_count) * PAGE_BYTES;
    health.oldest_snapshot_age_ms = open.oldest_ms;
    health.healthy = !find_reason(store, st, &health, health.reason,
                                  sizeof health.reason);
    memcpy(out, &health,
           health.struct_size < sizeof health ? health.struct_size : sizeof health);
    return st;
}

/* ---- open transactions ---- */

struct readers {
    struct scn_reader *items;
    uint32_t count;
    uint32_t room;
};

/* As many as there is room for; tells how many there are. */
static uint32_t copy_readers(struct store *store, struct readers *readers)
{
    uint32_t all = 0;
    uint64_t now = store->sys->ops->now_ns(store->sys);
    uint32_t pid = store->sys->ops->pid(store->sys);
    readers->count = 0;
    lock_state(store);
    for (struct scn_txn *txn = store->open_txns; txn; txn = txn->next) {
        if (all++ >= readers->room)
            continue;
        readers->items[readers->count++] = (struct scn_reader){
            .struct_size = sizeof *readers->items,
            .pid = pid,
            .gen = txn->view->gen,
            .age_ms = age_ns(txn, now) / NS_PER_MS,
        };
    }
    unlock_state(store);
    return all;
}

static scn_status add_reader(struct readers *readers, const struct scn_reader *reader)
{
    scn_status st = mem_make_room(&readers->items, &readers->room, readers->count + 1,
                                  sizeof *reader);
    if (st == SCN_OK)
        readers->items[readers->count++] = *reader;
    return st;
}

/* Every process that pins the generation, as far as the system tells which they are. */
static scn_status add_holders(struct store *store, struct readers *readers, uint64_t gen)
{
    struct scn_reader reader = {.struct_size = sizeof reader, .gen = gen};
    uint64_t byte = LOCK_PIN_BASE + gen;
    scn_status st = SCN_OK;
    lock_state(store);
    reader.age_ms = store_snapshot_age_ms(store, gen);
    unlock_state(store);
    for (uint32_t nth = 0; st == SCN_OK; nth++) {
        store->sys->ops->lock_holder(store->file.handle, byte, nth, &reader.pid,
                                     reader.program);
        if (nth > 0 && reader.pid == 0)
            break;
        st = add_reader(readers, &reader);
        if (reader.pid == 0)
            break;
    }
    return st;
}

static scn_status list_foreign(struct store *store, struct readers *readers)
{
    uint64_t *gens = NULL;
    uint32_t count = 0;
    scn_status st = store_is_shared(store) ? pins_foreign(&store->pins, &gens, &count)
                                           : SCN_OK;
    for (uint32_t i = 0; i < count && st == SCN_OK; i++)
        st = add_holders(store, readers, gens[i]);
    mem_free(gens);
    return st;
}

static scn_status list_readers(struct store *store, struct readers *readers)
{
    uint32_t all = READERS_FIRST;
    do {
        scn_status st = mem_make_room(&readers->items, &readers->room, all + all / 2,
                                      sizeof *readers->items);
        if (st < 0)
            return st;
        all = copy_readers(store, readers);
    } while (all > readers->room);
    scn_status st = list_foreign(store, readers);
    if (st < 0)
        return st;
    for (uint32_t i = 0; i < readers->count && store->space; i++)
        readers->items[i].pages_held = space_held_by(store->space, readers->items[i].gen);
    return SCN_OK;
}

scn_status scn_readers_each(scn_db *db, scn_status (*fn)(void *, const scn_reader *),
                            void *ctx)
{
    struct readers readers = {0};
    scn_status st = db_check(db);
    if (st < 0)
        return st;
    if (fn == NULL)
        return error_misuse("scn_readers_each: the function is NULL");
    st = list_readers(db->store, &readers);
    for (uint32_t i = 0; i < readers.count && st == SCN_OK; i++)
        st = fn(ctx, &readers.items[i]);
    mem_free(readers.items);
    return st;
}
