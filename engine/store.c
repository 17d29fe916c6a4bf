/* Stores: opening, closing, views, the registry.  See store.h. */
#include "engine/store.h"

#include "engine/background.h"
#include "engine/namelock.h"
#include "engine/options.h"
#include "engine/peers.h"
#include "engine/recovery.h"
#include "engine/room.h"
#include "engine/session.h"
#include "engine/txn.h"
#include "page/mem.h"

#include <string.h>

/* ---- handles ---- */

scn_status db_check(const scn_db *db)
{
    if (db == NULL)
        return error_misuse("the store handle is NULL");
    if (db->magic != DB_MAGIC)
        return error_misuse("the store handle is closed");
    if (db->store->sys->ops->is_forked(db->store->sys))
        return error_set(SCN_FORKED, 0, 0, 0,
                         "the handle belongs to the parent process; open the store anew");
    return SCN_OK;
}

scn_status db_check_write(const scn_db *db)
{
    scn_status st = db_check(db);
    if (st == SCN_OK && db->is_read_only)
        return error_set(SCN_READONLY, 0, 0, 0, "the store is open for reading only");
    return st;
}

/* ---- views ---- */

struct view *store_view(struct store *store, uint64_t *visible_lsn)
{
    store->sys->ops->mutex_lock(store->state_mutex);
    struct view *view = store->view;
    view->references++;
    *visible_lsn = store_visible(store);
    store->sys->ops->mutex_unlock(store->state_mutex);
    return view;
}

static void destroy_view(struct store *store, struct view *view)
{
    if (view->is_pinned)
        pin_drop(&store->pins, view->gen);
    view_destroy(view);
}

/* State mutex held; true when the caller has to destroy it. */
static bool drop_reference(struct store *store, struct view *view)
{
    if (--view->references)
        return false;
    if (view->previous)
        view->previous->next = view->next;
    else
        store->views = view->next;
    if (view->next)
        view->next->previous = view->previous;
    return true;
}

void store_view_release(struct store *store, struct view *view)
{
    store->sys->ops->mutex_lock(store->state_mutex);
    bool is_last = drop_reference(store, view);
    store->sys->ops->mutex_unlock(store->state_mutex);
    if (is_last)
        destroy_view(store, view);
}

/* Apply lock held, or nobody else has the store: nothing is appended meanwhile.  Of a
 * range the leaves at its two ends are written again. */
static scn_status add_ops(void *ctx, uint32_t table_id, const struct delta_table *table)
{
    uint64_t *ops = ctx;
    (void)table_id;
    *ops += delta_table_entries(table) + 2 * delta_table_clears(table);
    return SCN_OK;
}

static uint64_t pages_of(const struct run *run)
{
    uint64_t pages = 0;
    for (uint32_t i = 0; i < run->range_count; i++)
        pages += run->ranges[i].pages;
    return pages;
}

/* The catalog is no table with a root in the catalog. */
static uint64_t changed_tables(const struct delta *delta)
{
    return delta_tables(delta) - (delta_table(delta, TABLE_CATALOG) != NULL);
}

/* What the next checkpoint will have to merge. */
static void note_debt(struct store *store, const struct view *view)
{
    uint64_t bytes = 0;
    uint64_t ops[2] = {0, 0}; /* active, frozen */
    uint64_t tables[2] = {0, 0};
    uint64_t run_pages = 0;
    uint32_t runs = 0;
    for (uint32_t i = 0; i < view->source_count; i++) {
        const struct source *source = &view->sources[i];
        if (source->run) {
            runs++;
            run_pages += room_for_run(store, source->run->count, pages_of(source->run));
            ops[1] += source->run->count;
            tables[1]++;
            continue;
        }
        bytes += i > 0 ? delta_bytes(source->delta) : 0;
        tables[i > 0] += changed_tables(source->delta);
        if (delta_each_table(source->delta, add_ops, &ops[i > 0]) < 0)
            ops[i > 0] = UINT32_MAX;
    }
    atomic_store(&store->frozen_bytes, bytes);
    atomic_store(&store->run_count, runs);
    atomic_store(&store->debt_run_pages, run_pages);
    atomic_store(&store->active_ops, ops[0]);
    atomic_store(&store->frozen_ops, ops[1]);
    atomic_store(&store->active_tables, tables[0]);
    atomic_store(&store->frozen_tables, tables[1]);
    atomic_store(&store->delta_debt, bytes);
    atomic_store(&store->clear_count,
                 view->source_count && view->sources[0].delta
                     ? delta_clears_most(view->sources[0].delta)
                     : 0);
}

void store_note_active(struct store *store, uint64_t ops)
{
    atomic_fetch_add(&store->active_ops, ops);
    atomic_store(&store->active_tables, changed_tables(store->active));
    atomic_store(&store->clear_count, delta_clears_most(store->active));
    atomic_store(&store->delta_debt,
                 atomic_load(&store->frozen_bytes) + delta_bytes(store->active));
}

/* State mutex held: a generation is known now.  Those above it are lost, and say nothing
 * of how old its snapshots are. */
static void note_time(struct store *store, uint64_t gen)
{
    struct generation_time *times = store->times;
    struct generation_time *newest = &times[GENERATION_TIMES - 1];
    while (newest->gen > gen) {
        memmove(times + 1, times, (GENERATION_TIMES - 1) * sizeof *times);
        times[0] = (struct generation_time){0};
    }
    if (newest->gen == gen)
        return;
    memmove(times, times + 1, (GENERATION_TIMES - 1) * sizeof *times);
    times[GENERATION_TIMES - 1] =
        (struct generation_time){gen, store->sys->ops->now_ns(store->sys)};
}

void store_install_view(struct store *store, struct view *view)
{
    bool is_last = false;
    store->sys->ops->mutex_lock(store->state_mutex);
    struct view *old = store->view;
    store->view = view;
    atomic_store(&store->pinned_gen, view->is_pinned ? view->gen : 0);
    note_time(store, view->gen);
    view->next = store->views;
    view->previous = NULL;
    if (view->next)
        view->next->previous = view;
    store->views = view;
    if (old)
        is_last = drop_reference(store, old);
    store->sys->ops->mutex_unlock(store->state_mutex);
    note_debt(store, view);
    if (is_last)
        destroy_view(store, old);
}

uint64_t store_appended(struct store *store)
{
    return store->log ? log_appended(store->log) : store->replayed_lsn;
}

static scn_status reserve_history(struct store *store, uint32_t more)
{
    struct history *history = &store->history;
    return mem_make_room(&history->items, &history->capacity, history->count + more,
                         sizeof *history->items);
}

scn_status store_prepare_push(struct store *store, const struct source *sources,
                              uint32_t count, struct view **view)
{
    const struct view *current = store->view;
    uint32_t total = count + current->source_count;
    struct source *all = mem_alloc(total * sizeof *all);
    if (all == NULL)
        return error_nomem();
    for (uint32_t i = 0; i < count; i++)
        all[i] = sources[count - 1 - i];
    if (current->source_count)
        memcpy(all + count, current->sources, current->source_count * sizeof *all);
    scn_status st = reserve_history(store, count);
    if (st == SCN_OK)
        st = view_create(current->gen, current->base_lsn, &current->catalog, all, total,
                         view);
    mem_free(all);
    return st;
}

/* The view of the same generation that comes after the current one is pinned as it is: a
 * second reference takes no memory and no call. */
static void keep_pin(struct store *store, struct view *view)
{
    store->sys->ops->mutex_lock(store->state_mutex);
    view->is_pinned = store->view->is_pinned &&
                      pin_take(&store->pins, view->gen) == SCN_OK;
    store->sys->ops->mutex_unlock(store->state_mutex);
}

void store_finish_push(struct store *store, const struct source *sources, uint32_t count,
                       struct view *view)
{
    struct history *history = &store->history;
    keep_pin(store, view);
    for (uint32_t i = 0; i < count; i++) {
        history->items[history->count++] = sources[i];
        if (sources[i].delta)
            store->active = delta_ref(sources[i].delta); /* the history's reference */
        else
            run_ref(sources[i].run);
    }
    store_install_view(store, view);
}

void store_stop_begins(struct store *store)
{
    store->sys->ops->mutex_lock(store->state_mutex);
    atomic_store(&store->pinned_gen, 0);
    atomic_store(&store->has_gap, true);
    store->sys->ops->mutex_unlock(store->state_mutex);
}

/* All memory first: once the view is there it holds the pin. */
scn_status store_start_view(struct store *store, bool is_pinned)
{
    const struct superblock *sb = &store->superblock;
    struct source source = {0};
    struct view *view = NULL;
    scn_status st = reserve_history(store, 1);
    if (st == SCN_OK)
        st = delta_create(sb->base.lsn, &source.delta);
    if (st == SCN_OK)
        st = view_create(sb->gen, sb->base.lsn, &sb->catalog, &source, 1, &view);
    if (st == SCN_OK) {
        view->is_pinned = is_pinned;
        store->history.items[store->history.count++] = source;
        store->active = source.delta;
        store_install_view(store, view);
    } else if (source.delta) {
        delta_unref(source.delta);
    }
    return st;
}

bool store_has_writers(struct store *store)
{
    bool has = false;
    store->sys->ops->mutex_lock(store->state_mutex);
    for (const struct scn_txn *txn = store->open_txns; txn; txn = txn->next)
        has |= txn_is_write(txn);
    store->sys->ops->mutex_unlock(store->state_mutex);
    return has;
}

/* ---- history ---- */

/* The last LSN that source i may hold, exclusive of what is still to come. */
static uint64_t source_end(const struct history *history, uint32_t i)
{
    if (history->items[i].run)
        return history->items[i].run->lsn;
    if (i + 1 == history->count)
        return UINT64_MAX;
    const struct source *next = &history->items[i + 1];
    return next->run ? next->run->lsn : delta_start(next->delta);
}

static uint64_t oldest_writer(struct store *store)
{
    /* Who begins after this sees at least what is visible now. */
    store->sys->ops->mutex_lock(store->state_mutex);
    uint64_t oldest = store_visible(store);
    for (const struct scn_txn *txn = store->open_txns; txn; txn = txn->next)
        if (txn_is_write(txn) && txn->lsn < oldest)
            oldest = txn->lsn;
    store->sys->ops->mutex_unlock(store->state_mutex);
    return oldest;
}

static void unref_source(const struct source *source)
{
    if (source->delta)
        delta_unref(source->delta);
    else
        run_unref(source->run);
}

/* Memory for history, beyond which the oldest writers get CONFLICT. */
static uint64_t history_budget(const struct store *store)
{
    return 16 * store->options.log_bytes;
}

void store_trim_history(struct store *store)
{
    struct history *history = &store->history;
    uint64_t oldest = oldest_writer(store);
    uint64_t bytes = 0;
    uint32_t drop = 0;
    for (uint32_t i = 0; i < history->count; i++)
        bytes += history->items[i].delta ? delta_bytes(history->items[i].delta) : 0;
    while (drop + 1 < history->count) {
        const struct source *source = &history->items[drop];
        uint64_t end = source_end(history, drop);
        if (end > oldest && bytes <= history_budget(store))
            break;
        if (end > history->window_start)
            history->window_start = end;
        bytes -= source->delta ? delta_bytes(source->delta) : 0;
        unref_source(source);
        drop++;
    }
    history->count -= drop;
    memmove(history->items, history->items + drop,
            history->count * sizeof *history->items);
}

void store_forget_history(struct store *store, uint64_t window_start)
{
    struct history *history = &store->history;
    for (uint32_t i = 0; i < history->count; i++)
        unref_source(&history->items[i]);
    history->count = 0;
    history->window_start = window_start;
}

/* ---- pins ---- */

static int insert_gen(uint64_t *gens, uint32_t count, uint64_t gen)
{
    uint32_t at = 0;
    while (at < count && gens[at] < gen)
        at++;
    if (at < count && gens[at] == gen)
        return 0;
    memmove(gens + at + 1, gens + at, (count - at) * sizeof *gens);
    gens[at] = gen;
    return 1;
}

/* State mutex held: snapshots past their age, of older generations, are given up. A view
 * that only such transactions hold, or those that have given theirs up themselves, pins
 * nothing any more. */
static uint32_t count_views(struct store *store)
{
    uint64_t now = store->sys->ops->now_ns(store->sys);
    uint64_t age_ms = store->options.max_snapshot_age_ms;
    uint32_t count = 0;
    for (struct view *view = store->views; view; view = view->next, count++)
        view->gone_holders = 0;
    for (struct scn_txn *txn = store->open_txns; txn; txn = txn->next) {
        if (age_ms && txn->view->gen < store->view->gen &&
            (now - txn->begun_ns) / 1000000 >= age_ms)
            atomic_store(&txn->is_gone, true);
        if (atomic_load(&txn->is_gone))
            txn->view->gone_holders++;
    }
    return count;
}

/* State mutex held.  A view that only those hold whose snapshots are given up gives its
 * lock back, too: another process, or a recovery that falls back, would keep the pages
 * that this one gives to others. */
static bool pins_pages(struct store *store, struct view *view)
{
    if (view->references > view->gone_holders)
        return true;
    if (view->is_pinned)
        pin_drop(&store->pins, view->gen);
    view->is_pinned = false;
    return false;
}

static scn_status own_pins(struct store *store, uint64_t **gens, uint32_t *count)
{
    const struct sys_ops *ops = store->sys->ops;
    uint32_t room = 0;
    *count = 0;
    *gens = NULL;
    for (;;) {
        ops->mutex_lock(store->state_mutex);
        uint32_t views = count_views(store);
        for (struct view *view = store->views; view && views <= room; view = view->next)
            if (pins_pages(store, view))
                *count += insert_gen(*gens, *count, view->gen);
        ops->mutex_unlock(store->state_mutex);
        if (views <= room)
            return SCN_OK;
        mem_free(*gens);
        room = views + 16;
        *gens = mem_alloc(room * sizeof **gens);
        if (*gens == NULL)
            return error_nomem();
    }
}

uint64_t store_snapshot_age_ms(struct store *store, uint64_t gen)
{
    uint64_t now = store->sys->ops->now_ns(store->sys);
    for (int i = 0; i < GENERATION_TIMES; i++)
        if (store->times[i].gen > gen)
            return (now - store->times[i].seen_ns) / 1000000;
    return 0;
}

/* Snapshots of other processes past their age are given up, too: but first that is said.
 */
static scn_status give_up_old(struct store *store, uint64_t *gens, uint32_t *count)
{
    uint64_t age_ms = store->options.max_snapshot_age_ms;
    uint64_t floor = 0;
    uint32_t kept = 0;
    if (age_ms == 0)
        return SCN_OK;
    store->sys->ops->mutex_lock(store->state_mutex);
    for (uint32_t i = 0; i < *count; i++) {
        bool is_old = gens[i] < store->superblock.gen &&
                      store_snapshot_age_ms(store, gens[i]) >= age_ms;
        floor = is_old ? gens[i] + 1 : floor;
        if (!is_old)
            gens[kept++] = gens[i];
    }
    store->sys->ops->mutex_unlock(store->state_mutex);
    *count = kept;
    return floor ? peers_tell_gone(store, floor) : SCN_OK;
}

/* Foreign ones after own ones: room for both, then one order. */
static scn_status add_foreign_pins(struct store *store, uint64_t **gens, uint32_t *count)
{
    uint64_t *foreign = NULL;
    uint32_t foreign_count = 0;
    scn_status st = pins_foreign(&store->pins, &foreign, &foreign_count);
    if (st == SCN_OK)
        st = give_up_old(store, foreign, &foreign_count);
    uint32_t capacity = *count;
    if (st == SCN_OK)
        st = mem_make_room(gens, &capacity, *count + foreign_count + 1, sizeof **gens);
    for (uint32_t i = 0; st == SCN_OK && i < foreign_count; i++)
        *count += insert_gen(*gens, *count, foreign[i]);
    mem_free(foreign);
    return st;
}

/* A recovery writes alone, but beside those who read. */
scn_status store_pins(struct store *store, uint64_t **gens, uint32_t *count)
{
    bool has_others = store_is_shared(store) || store->locks.sees_others;
    scn_status st = own_pins(store, gens, count);
    return st == SCN_OK && has_others ? add_foreign_pins(store, gens, count) : st;
}

/* ---- opening ---- */

static scn_status not_local(const char *path)
{
    return error_set(SCN_NOT_LOCAL, 0, 0, 0,
                     "%.100s lies on a file system whose locks do not reach every user; "
                     "SCN_ALLOW_NOT_LOCAL opens it for this process alone",
                     path);
}

static scn_status check_local(struct store *store, const char *path)
{
    struct sys_stat stat;
    int failed = store->sys->ops->stat(store->file.handle, &stat);
    if (failed)
        return error_sys(failed, 0, "%.120s cannot be examined", path);
    if (stat.has_lying_locks && !(store->options.flags & SCN_ALLOW_NOT_LOCAL))
        return not_local(path);
    return SCN_OK;
}

static scn_status open_file(struct store *store, const char *path)
{
    uint32_t flags = store->options.flags;
    scn_status st = file_open(&store->file, store->sys, path, store->is_read_only);
    if (st == SCN_NOTFOUND && !(flags & (SCN_NOCREATE | SCN_RDONLY))) {
        st = recovery_create(store->sys, path);
        if (st == SCN_OK)
            st = file_open(&store->file, store->sys, path, store->is_read_only);
    }
    if (st == SCN_NOTFOUND)
        return error_set(SCN_NOTFOUND, 0, 0, 0, "there is no store %.160s", path);
    store->file.max_bytes = store->options.max_file_bytes;
    return st;
}

static scn_status make_parts(struct store *store)
{
    scn_status st = pins_init(&store->pins, &store->locks);
    if (st == SCN_OK)
        st = grown_init(&store->grown, &store->locks);
    if (st == SCN_OK)
        st = pool_create(&store->file, store->options.pool_bytes, &store->pool);
    if (st == SCN_OK)
        st = pool_reader_create(store->pool, &store->maintenance_reader);
    if (st == SCN_OK)
        st = pool_reader_create(store->pool, &store->frozen_reader);
    if (st == SCN_OK && !store->is_read_only)
        st = space_create(store->sys, &store->space);
    return st;
}

static scn_status make_mutexes(struct store *store)
{
    const struct sys_ops *ops = store->sys->ops;
    int failed = ops->mutex_create(store->sys, &store->state_mutex);
    if (failed == 0)
        failed = ops->mutex_create(store->sys, &store->apply_mutex);
    if (failed == 0)
        failed = ops->cond_create(store->sys, &store->space_cond);
    return failed ? error_sys(failed, 0, "no mutex") : SCN_OK;
}

static void destroy_views(struct store *store)
{
    for (uint32_t i = 0; i < store->history.count; i++)
        unref_source(&store->history.items[i]);
    mem_free(store->history.items);
    while (store->views) {
        struct view *view = store->views;
        store->views = view->next;
        destroy_view(store, view);
    }
    while (store->idle_txns) {
        struct scn_txn *txn = store->idle_txns;
        store->idle_txns = txn->next;
        txn_destroy_shell(txn);
    }
}

/* Releases whatever there is: also the way out of a failed open. */
void store_destroy(struct store *store)
{
    const struct sys_ops *ops = store->sys->ops;
    background_stop(store->background);
    namelock_detach_all(store);
    destroy_views(store);
    if (store->maintenance_reader)
        pool_reader_destroy(store->maintenance_reader);
    if (store->frozen_reader)
        pool_reader_destroy(store->frozen_reader);
    if (store->log)
        log_destroy(store->log);
    if (store->space)
        space_destroy(store->space);
    if (store->pool)
        pool_destroy(store->pool);
    pins_destroy(&store->pins);
    grown_destroy(&store->grown);
    if (store->locks.file)
        locks_destroy(&store->locks);
    if (store->file.handle)
        file_close(&store->file);
    if (store->space_cond)
        ops->cond_destroy(store->space_cond);
    if (store->apply_mutex)
        ops->mutex_destroy(store->apply_mutex);
    if (store->state_mutex)
        ops->mutex_destroy(store->state_mutex);
    if (store->owns_sys)
        sys_memory_destroy(store->sys);
    mem_free(store);
}

static scn_status prepare(struct store *store, const char *path)
{
    scn_status st = make_mutexes(store);
    if (st == SCN_OK)
        st = open_file(store, path);
    if (st == SCN_OK)
        st = check_local(store, path);
    if (st == SCN_OK)
        st = locks_init(&store->locks, &store->file);
    return st == SCN_OK ? make_parts(store) : st;
}

static scn_status start(struct store *store)
{
    scn_status st = session_open(store);
    if (st == SCN_OK && !(store->options.flags & SCN_NOTHREAD))
        st = background_start(store);
    return st;
}

scn_status store_prepare(struct sys *sys, const char *path,
                         const struct store_options *options, struct store **out)
{
    struct store *store = mem_zalloc(sizeof *store);
    if (store == NULL)
        return error_nomem();
    store->sys = sys;
    store->options = *options;
    store->is_read_only = (options->flags & SCN_RDONLY) != 0;
    atomic_store(&store->applying_lsn, UINT64_MAX);
    store->opened_ns = sys->ops->now_ns(sys);
    scn_status st = prepare(store, path);
    if (st < 0 || st == SCN_NOTFOUND) {
        store_destroy(store);
        return st;
    }
    *out = store;
    return SCN_OK;
}

static scn_status store_start(struct sys *sys, const char *path,
                              const struct store_options *options, bool owns_sys,
                              struct store **out)
{
    struct store *store;
    scn_status st = store_prepare(sys, path, options, &store);
    if (st != SCN_OK)
        return st;
    st = start(store);
    if (st < 0) {
        store_destroy(store);
        return st;
    }
    store->owns_sys = owns_sys;
    *out = store;
    return SCN_OK;
}

/* ---- the registry ---- */

/* One core a file, however it is named: OFD locks of two descriptors would exclude each
 * other. */
static struct store *find_open(struct sys *sys, const char *path)
{
    struct sys_stat stat;
    if (sys->ops->stat_path(sys, path, &stat) != 0)
        return NULL;
    for (struct store *store = sys->registry; store; store = store->next)
        if (store->file.device == stat.device && store->file.inode == stat.inode)
            return store;
    return NULL;
}

static scn_status open_shared(struct sys *sys, const char *path,
                              const struct store_options *options, bool owns_sys,
                              struct store **out)
{
    struct store *store = find_open(sys, path);
    if (store && store->is_read_only && !(options->flags & SCN_RDONLY))
        return error_set(
            SCN_BUSY, 0, 0, 0,
            "this process has %.120s open for reading only; close it there first", path);
    /* Who opens a poisoned file opens it anew. */
    if (store && file_is_poisoned(&store->file) && store_is_shared(store) &&
        !store->is_read_only) {
        scn_status st = session_cure_by(store, path);
        if (st < 0)
            return st;
    }
    if (store == NULL) {
        scn_status st = store_start(sys, path, options, owns_sys, &store);
        if (st != SCN_OK)
            return st;
        store->next = sys->registry;
        sys->registry = store;
    }
    store->handle_count++;
    *out = store;
    return SCN_OK;
}

static scn_status open_handle(struct sys *sys, const char *path,
                              const struct store_options *options, bool owns_sys,
                              scn_db **out)
{
    scn_db *db = mem_zalloc(sizeof *db);
    if (db == NULL)
        return error_nomem();
    sys->ops->mutex_lock(sys->registry_mutex);
    scn_status st = open_shared(sys, path, options, owns_sys, &db->store);
    sys->ops->mutex_unlock(sys->registry_mutex);
    if (st != SCN_OK) {
        mem_free(db);
        return st;
    }
    db->magic = DB_MAGIC;
    db->is_read_only = (options->flags & SCN_RDONLY) != 0;
    *out = db;
    return SCN_OK;
}

scn_status store_open_on(struct sys *sys, const char *path, const scn_options *options,
                         scn_db **out)
{
    struct store_options resolved;
    scn_status st = options_resolve(options, &resolved);
    if (st < 0)
        return st;
    return open_handle(sys, path, &resolved, false, out);
}

static scn_status open_in_memory(const scn_options *options, scn_db **out)
{
    struct store_options resolved;
    scn_status st = options_resolve(options, &resolved);
    if (st < 0)
        return st;
    struct sys *sys = sys_memory_create();
    if (sys == NULL)
        return error_nomem();
    resolved.flags |= SCN_EXCLUSIVE;
    st = open_handle(sys, "memory", &resolved, true, out);
    if (st != SCN_OK)
        sys_memory_destroy(sys);
    return st;
}

scn_status scn_open(const char *path, const scn_options *options, scn_db **out)
{
    if (out == NULL)
        return error_misuse("scn_open: the place for the handle is NULL");
    *out = NULL;
    if (path == NULL || path[0] == 0)
        return error_misuse("scn_open: the path is empty");
    if (strcmp(path, ":memory:") == 0)
        return open_in_memory(options, out);
    struct sys *sys = sys_posix();
    if (sys == NULL)
        return error_nomem();
    return store_open_on(sys, path, options, out);
}

/* ---- closing ---- */

static scn_status finish(struct store *store)
{
    background_stop(store->background);
    store->background = NULL;
    return session_close(store);
}

static void leave_registry(struct sys *sys, struct store *store)
{
    struct store **at = (struct store **)&sys->registry;
    while (*at != store)
        at = &(*at)->next;
    *at = store->next;
}

scn_status scn_close(scn_db *db)
{
    scn_status st = db_check(db);
    if (st < 0)
        return st;
    struct store *store = db->store;
    struct sys *sys = store->sys;
    sys->ops->mutex_lock(store->state_mutex);
    bool has_open = false;
    for (const struct scn_txn *txn = store->open_txns; txn; txn = txn->next)
        has_open |= txn->db == db;
    sys->ops->mutex_unlock(store->state_mutex);
    if (has_open)
        return error_misuse(
            "scn_close: transactions of this handle are still open; end them first");
    sys->ops->mutex_lock(sys->registry_mutex);
    bool is_last = --store->handle_count == 0;
    if (is_last) {
        st = finish(store);
        leave_registry(sys, store);
    }
    sys->ops->mutex_unlock(sys->registry_mutex);
    if (is_last)
        store_destroy(store);
    db->magic = 0;
    mem_free(db);
    return st;
}
