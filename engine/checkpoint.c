/* Checkpoint: see checkpoint.h. */
#include "engine/checkpoint.h"

#include "engine/apply.h"
#include "engine/frozen.h"
#include "engine/room.h"
#include "engine/runpages.h"
#include "engine/usage.h"
#include "page/mem.h"

#include <stdlib.h>

enum {
    EXTENTS_MAX = 4096,
    /* Growth is by bounded steps, never by doubling: a 32nd of the file. */
    GROW_PAGES_MIN = 4,
    GROW_PAGES_MAX = (16 << 20) / PAGE_BYTES,
    /* A checkpoint beside commits writes no faster: their syncs share the device. */
    PACED_BYTES_PER_MS = 200 << 10,
    DRAIN_ROUNDS = 10,
    DRAIN_SLACK_PAGES = 8
};

/* A new root, for the catalog. */
struct new_root {
    uint32_t table_id;
    struct catalog_root root;
};

struct checkpoint {
    struct store *store;
    uint64_t gen;
    struct log_base base; /* the freeze point */
    uint32_t file_pages; /* at the freeze point, when every grower's range was reserved */
    struct frozen frozen;
    struct writer *writer;
    struct usage usage;
    struct run_pages run_pages;
    struct new_root *roots;
    uint32_t root_count;
    uint32_t root_capacity;
    uint32_t grown_next; /* pages grown and not yet taken: [next, end) */
    uint32_t grown_end;
    struct log_spare
        spares[LOG_SPARE_MAX]; /* matured extents, for the log when this is durable */
    uint32_t spare_count;
    bool drains;
    bool moves_tables;  /* drain: the user tables' too */
    uint32_t move_from; /* drain: pages of catalog and usage from here on move down */
    struct log_spare
        low_extent; /* drain: where the log moves to; pages 0 when it stays */
    struct log_spare dropped[LOG_SPARE_MAX]; /* drain: spares given up for it */
    uint32_t dropped_count;
    struct superblock superblock;
    uint64_t paced_appended; /* log end at the last pace */
    uint64_t paced_ns;
    /* the table being rebuilt */
    uint32_t table_id;
    struct frozen_input input;
};

/* ---- pages for the writer ---- */

static uint32_t grow_step(const struct store *store, uint32_t count)
{
    uint64_t step = atomic_load(&store->file.page_count) / 32;
    if (step < GROW_PAGES_MIN)
        step = GROW_PAGES_MIN;
    if (step > GROW_PAGES_MAX)
        step = GROW_PAGES_MAX;
    return count > step ? count : (uint32_t)step;
}

/* At the end of the file, where a full disk allows less than a whole step. */
static scn_status grow(struct checkpoint *cp, uint32_t count)
{
    uint32_t step = grow_step(cp->store, count);
    if (cp->grown_next < cp->grown_end)
        space_unreserve(cp->store->space, cp->grown_next, cp->grown_end - cp->grown_next);
    cp->grown_next = cp->grown_end = 0;
    scn_status st = room_grow(cp->store, step, false, &cp->grown_next);
    if (st == SCN_FULL && step > count) {
        step = count;
        st = room_grow(cp->store, step, false, &cp->grown_next);
    }
    if (st == SCN_OK)
        cp->grown_end = cp->grown_next + step;
    return st;
}

static scn_status take_grown(struct checkpoint *cp, uint32_t count, uint32_t *pgno)
{
    if (cp->grown_end - cp->grown_next < count) {
        scn_status st = grow(cp, count);
        if (st < 0)
            return st;
    }
    *pgno = cp->grown_next;
    cp->grown_next += count;
    return SCN_OK;
}

static scn_status take_pages(void *ctx, uint32_t count, uint32_t *pgno)
{
    struct checkpoint *cp = ctx;
    scn_status st = space_take(cp->store->space, count, pgno);
    if (st != SCN_FULL)
        return st;
    st = take_grown(cp, count, pgno);
    return st < 0 ? st : space_adopt(cp->store->space, *pgno, count);
}

/* Waits so long that the writing stays at its pace while somebody commits. */
static void pace(void *ctx, uint64_t bytes)
{
    struct checkpoint *cp = ctx;
    struct store *store = cp->store;
    const struct sys_ops *ops = store->sys->ops;
    uint64_t appended = log_appended(store->log);
    uint64_t now = ops->now_ns(store->sys);
    bool is_alone = appended == cp->paced_appended;
    uint64_t until = cp->paced_ns + bytes * 1000000 / PACED_BYTES_PER_MS;
    cp->paced_appended = appended;
    cp->paced_ns = now;
    if (is_alone || until <= now || store->background == NULL ||
        log_bytes_since(store->log, atomic_load(&store->base_lsn)) >
            store->options.log_bytes / 4 * 3)
        return;
    ops->mutex_lock(store->state_mutex);
    while (ops->cond_wait(store->space_cond, store->state_mutex, until))
        ;
    ops->mutex_unlock(store->state_mutex);
    cp->paced_ns = ops->now_ns(store->sys);
}

/* ---- freeze ---- */

static scn_status freeze_under_append(struct checkpoint *cp)
{
    struct store *store = cp->store;
    uint64_t visible;
    log_position(store->log, &cp->base);
    cp->file_pages = (uint32_t)atomic_load(&store->file.page_count);
    scn_status st = apply_rotate(store);
    if (st < 0)
        return st;
    struct view *view = store_view(store, &visible);
    cp->frozen.view = view;
    cp->frozen.sources = view->sources + 1;
    cp->frozen.source_count = view->source_count - 1;
    return SCN_OK;
}

/* The frozen view is a registered snapshot, so what it reads stays; X is durable before
 * anything is built on it. */
static scn_status freeze(struct checkpoint *cp)
{
    struct store *store = cp->store;
    scn_status st = lock_take(&store->locks, LOCK_APPEND, store->options.busy_timeout_ms);
    if (st < 0)
        return st;
    st = freeze_under_append(cp);
    lock_give(&store->locks, LOCK_APPEND);
    return st < 0 ? st : log_sync(store->log, cp->base.lsn, 0);
}

/* ---- rebuild ---- */

static scn_status next_change(void *ctx, struct change *out)
{
    struct checkpoint *cp = ctx;
    return frozen_input_next(&cp->input, out);
}

static bool is_cleared(void *ctx, scn_slice key)
{
    struct checkpoint *cp = ctx;
    return frozen_is_cleared(&cp->frozen, cp->table_id, key);
}

static bool touches_clear(void *ctx, const scn_slice *from, const scn_slice *to)
{
    struct checkpoint *cp = ctx;
    return frozen_touches_clear(&cp->frozen, cp->table_id, from, to);
}

static scn_status page_freed(void *ctx, const struct page_ref *ref)
{
    struct checkpoint *cp = ctx;
    return space_free(cp->store->space, ref->pgno, 1, ref->birth_gen, SPACE_PAGES);
}

static scn_status free_value_pages(void *ctx, uint32_t pgno, uint32_t count,
                                   uint64_t birth_gen, bool is_shared)
{
    struct checkpoint *cp = ctx;
    return is_shared ? SCN_OK
                     : space_free(cp->store->space, pgno, count, birth_gen, SPACE_PAGES);
}

static scn_status keep_value_pages(void *ctx, uint32_t pgno, uint32_t count,
                                   uint64_t birth_gen, bool is_shared)
{
    struct checkpoint *cp = ctx;
    (void)birth_gen;
    (void)is_shared;
    run_pages_keep(&cp->run_pages, pgno, count);
    return SCN_OK;
}

static scn_status each_value_page(struct checkpoint *cp, const struct value_ref *ref,
                                  scn_status (*fn)(void *, uint32_t, uint32_t, uint64_t,
                                                   bool))
{
    pool_enter(cp->frozen.reader);
    scn_status st = values_each_page(cp->frozen.reader, ref, fn, cp);
    pool_leave(cp->frozen.reader);
    return st;
}

static scn_status value_dropped(void *ctx, const struct value_ref *ref)
{
    struct checkpoint *cp = ctx;
    if (value_ref_is_spread(ref))
        return each_value_page(cp, ref, free_value_pages);
    return usage_note(&cp->usage, ref->page.pgno, ref->page.birth_gen,
                      -(int64_t)ref->len);
}

static scn_status value_added(void *ctx, const struct value_ref *ref)
{
    struct checkpoint *cp = ctx;
    scn_status st = SCN_OK;
    if (cp->run_pages.count)
        st = value_ref_is_spread(ref) && ref->page.birth_gen == cp->gen
                 ? SCN_OK
                 : each_value_page(cp, ref, keep_value_pages);
    if (st == SCN_OK && !value_ref_is_spread(ref))
        st = usage_note(&cp->usage, ref->page.pgno, ref->page.birth_gen,
                        (int64_t)ref->len);
    return st;
}

/* A poisoned file, or a host that wants to stop. */
static scn_status step(void *ctx)
{
    struct checkpoint *cp = ctx;
    return file_check_poison(&cp->store->file);
}

static scn_status add_root(struct checkpoint *cp, uint32_t table_id,
                           const struct catalog_root *root)
{
    if (cp->root_count == cp->root_capacity) {
        uint32_t capacity = cp->root_capacity ? cp->root_capacity * 2 : 16;
        void *grown = mem_grow(cp->roots, cp->root_capacity * sizeof *cp->roots,
                               capacity * sizeof *cp->roots);
        if (grown == NULL)
            return error_nomem();
        cp->roots = grown;
        cp->root_capacity = capacity;
    }
    cp->roots[cp->root_count++] = (struct new_root){table_id, *root};
    return SCN_OK;
}

static scn_status read_old_root(struct checkpoint *cp, uint32_t table_id,
                                struct catalog_root *out)
{
    pool_enter(cp->frozen.reader);
    scn_status st = catalog_read_root(cp->frozen.reader, &cp->frozen.view->catalog,
                                      table_id, out);
    pool_leave(cp->frozen.reader);
    return st;
}

static void fill_job(struct checkpoint *cp, struct rebuild *job, uint32_t table_id,
                     const struct catalog_root *old)
{
    *job = (struct rebuild){
        .reader = cp->store->maintenance_reader,
        .writer = cp->writer,
        .old = {old->root, table_id},
        .stat = old->stat,
        .page_freed = page_freed,
        .value_dropped = value_dropped,
        .value_added = value_added,
        .step = step,
        .ctx = cp,
    };
}

static scn_status no_change(void *ctx, struct change *out)
{
    (void)ctx;
    (void)out;
    return SCN_END;
}

static bool all_is_cleared(void *ctx, scn_slice key)
{
    (void)ctx;
    (void)key;
    return true;
}

static bool all_touches(void *ctx, const scn_slice *from, const scn_slice *to)
{
    (void)ctx;
    (void)from;
    (void)to;
    return true;
}

static scn_status rebuild_table(struct checkpoint *cp, uint32_t table_id)
{
    struct catalog_root root;
    struct rebuild job;
    bool exists;
    uint32_t flags;
    scn_status st = frozen_table_flags(&cp->frozen, table_id, &exists, &flags);
    if (st == SCN_OK)
        st = read_old_root(cp, table_id, &root);
    if (st < 0)
        return st;
    fill_job(cp, &job, table_id, &root);
    job.compress = (flags & SCN_COMPRESS) != 0;
    job.next = next_change;
    if (frozen_has_clears(&cp->frozen, table_id)) {
        job.is_cleared = is_cleared;
        job.touches_clear = touches_clear;
    }
    if (cp->moves_tables)
        job.move_from = cp->move_from;
    if (!exists) {
        job.next = no_change;
        job.is_cleared = all_is_cleared;
        job.touches_clear = all_touches;
    }
    cp->table_id = table_id;
    st = frozen_input_open(&cp->input, &cp->frozen, table_id, cp->gen);
    if (st == SCN_OK)
        st = rebuild_tree(&job, &root.root);
    frozen_input_close(&cp->input);
    root.stat = job.stat;
    return st < 0 ? st : add_root(cp, table_id, &root);
}

static scn_status rebuild_tables(struct checkpoint *cp)
{
    uint32_t *ids = NULL;
    uint32_t count = 0;
    scn_status st = run_pages_adopt(&cp->run_pages, cp->frozen.sources,
                                    cp->frozen.source_count, cp->store->space);
    if (st == SCN_OK)
        st = frozen_tables(&cp->frozen, cp->moves_tables, &ids, &count);
    for (uint32_t i = 0; i < count && st == SCN_OK; i++)
        st = rebuild_table(cp, ids[i]);
    mem_free(ids);
    return st < 0 ? st : run_pages_free_rest(&cp->run_pages, cp->store->space);
}

static scn_status rebuild_usage(struct checkpoint *cp)
{
    struct catalog_root root;
    struct rebuild job;
    if (cp->usage.count == 0 && cp->move_from == 0)
        return SCN_OK;
    scn_status st = read_old_root(cp, TABLE_USAGE, &root);
    if (st < 0 || (cp->usage.count == 0 && page_ref_is_null(&root.root)))
        return st < 0 ? st : SCN_OK;
    fill_job(cp, &job, TABLE_USAGE, &root);
    job.move_from = cp->move_from;
    st = usage_rebuild(&cp->usage, &job, cp->frozen.reader, cp->store->space, &root.root);
    root.stat = job.stat;
    return st < 0 ? st : add_root(cp, TABLE_USAGE, &root);
}

/* The catalog's changes: what transactions wrote, then the roots. 'R' sorts behind all
 * letters that transactions write, so the second stream simply follows the first. */
struct catalog_feed {
    struct checkpoint *cp;
    uint32_t next_root;
    uint32_t turn;
    uint8_t keys[2][CATALOG_KEY_MAX];
    uint8_t rows[2][CATALOG_ROOT_BYTES];
};

static scn_status next_catalog_change(void *ctx, struct change *out)
{
    struct catalog_feed *feed = ctx;
    struct checkpoint *cp = feed->cp;
    scn_status st = frozen_input_next(&cp->input, out);
    if (st != SCN_END)
        return st;
    if (feed->next_root == cp->root_count)
        return SCN_END;
    const struct new_root *root = &cp->roots[feed->next_root++];
    uint32_t turn = feed->turn ^= 1;
    *out = (struct change){.key = catalog_key_root(feed->keys[turn], root->table_id),
                           .kind = CHANGE_DELETE};
    if (!page_ref_is_null(&root->root.root)) {
        catalog_root_encode(&root->root, feed->rows[turn]);
        out->kind = CHANGE_PUT;
        out->value = (scn_slice){feed->rows[turn], CATALOG_ROOT_BYTES};
    }
    return SCN_OK;
}

static scn_status catalog_page_freed(void *ctx, const struct page_ref *ref)
{
    struct catalog_feed *feed = ctx;
    return page_freed(feed->cp, ref);
}

static int by_table(const void *left, const void *right)
{
    const struct new_root *a = left;
    const struct new_root *b = right;
    return (a->table_id > b->table_id) - (a->table_id < b->table_id);
}

static scn_status rebuild_catalog(struct checkpoint *cp)
{
    struct catalog_feed feed = {.cp = cp};
    struct catalog_root old = {.root = cp->frozen.view->catalog};
    struct rebuild job;
    if (cp->root_count)
        qsort(cp->roots, cp->root_count, sizeof *cp->roots, by_table);
    fill_job(cp, &job, TABLE_CATALOG, &old);
    job.next = next_catalog_change;
    job.page_freed = catalog_page_freed;
    job.step = NULL;
    job.is_uncounted = true;
    job.move_from = cp->move_from;
    job.ctx = &feed;
    scn_status st = frozen_input_open(&cp->input, &cp->frozen, TABLE_CATALOG, cp->gen);
    if (st == SCN_OK)
        st = rebuild_tree(&job, &cp->superblock.catalog);
    frozen_input_close(&cp->input);
    return st;
}

/* ---- the log's extents ---- */

static scn_status own(struct checkpoint *cp, uint32_t pgno, uint32_t pages)
{
    return space_is_used(cp->store->space, pgno)
               ? SCN_OK
               : space_adopt(cp->store->space, pgno, pages);
}

/* Extents of the chain belong to the generation; those wholly before the base are freed
 * in it (A3: the older slot still needs them). */
static scn_status settle_chain(struct checkpoint *cp, const struct log_extent *chain,
                               uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        scn_status st = own(cp, chain[i].pgno, chain[i].pages);
        if (st == SCN_OK && chain[i].number < cp->base.extent_number)
            st = space_free(cp->store->space, chain[i].pgno, chain[i].pages, cp->gen - 1,
                            SPACE_LOG);
        if (st < 0)
            return st;
    }
    return SCN_OK;
}

static uint32_t spares_wanted(const struct store *store)
{
    uint64_t wanted =
        store->options.log_bytes / (LOG_EXTENT_PAGES * (uint64_t)PAGE_BYTES) + 1;
    return wanted > LOG_SPARE_MAX / 2 ? LOG_SPARE_MAX / 2 : (uint32_t)wanted;
}

/* Append lock held: the chain and the spares as they are now, the latter for the
 * superblock. */
static scn_status list_log(struct checkpoint *cp, struct log_extent **chain,
                           uint32_t *count)
{
    struct store *store = cp->store;
    struct superblock *sb = &cp->superblock;
    uint32_t room = log_extents(store->log, NULL, 0);
    *chain = mem_alloc((room + 1) * sizeof **chain);
    if (*chain == NULL)
        return error_nomem();
    *count = log_extents(store->log, *chain, room);
    if (cp->drains)
        cp->dropped_count = log_drop_spares(store->log, 0, cp->low_extent.pages ? 0 : 1,
                                            cp->dropped);
    sb->spare_count = log_spares(store->log, sb->spares, LOG_SPARE_MAX);
    return SCN_OK;
}

/* Draining: an extent at the end of the file keeps the file from shrinking.  When there
 * is room before it, the log is to go on there, and its spares are given up. */
static scn_status find_low_extent(struct checkpoint *cp)
{
    struct store *store = cp->store;
    uint32_t pgno;
    scn_status st = space_take(store->space, LOG_EXTENT_PAGES, &pgno);
    if (st == SCN_FULL)
        return SCN_OK;
    if (st < 0)
        return st;
    if (pgno + LOG_EXTENT_PAGES > cp->base.extent_pgno)
        return space_free(store->space, pgno, LOG_EXTENT_PAGES, cp->gen, SPACE_PAGES);
    st = log_prepare_extent(&store->file, pgno, LOG_EXTENT_PAGES);
    if (st == SCN_OK)
        cp->low_extent = (struct log_spare){pgno, LOG_EXTENT_PAGES};
    return st;
}

static scn_status free_dropped(struct checkpoint *cp)
{
    for (uint32_t i = 0; i < cp->dropped_count; i++) {
        const struct log_spare *spare = &cp->dropped[i];
        scn_status st = own(cp, spare->pgno, spare->pages);
        if (st == SCN_OK)
            st = space_free(cp->store->space, spare->pgno, spare->pages, cp->gen - 1,
                            SPACE_PAGES);
        if (st < 0)
            return st;
    }
    return SCN_OK;
}

static scn_status add_spares_to_superblock(struct checkpoint *cp)
{
    struct superblock *sb = &cp->superblock;
    for (uint32_t i = 0; i < sb->spare_count; i++) {
        scn_status st = own(cp, sb->spares[i].pgno, sb->spares[i].pages);
        if (st < 0)
            return st;
    }
    for (uint32_t i = 0; i < cp->spare_count && sb->spare_count < LOG_SPARE_MAX; i++)
        sb->spares[sb->spare_count++] = cp->spares[i];
    if (cp->low_extent.pages && sb->spare_count < LOG_SPARE_MAX)
        sb->spares[sb->spare_count++] = cp->low_extent;
    return SCN_OK;
}

static scn_status settle_log(struct checkpoint *cp)
{
    struct store *store = cp->store;
    struct log_extent *chain = NULL;
    uint32_t count = 0;
    scn_status st = cp->drains ? find_low_extent(cp) : SCN_OK;
    if (st == SCN_OK)
        st = lock_take(&store->locks, LOCK_APPEND, store->options.busy_timeout_ms);
    if (st < 0)
        return st;
    st = list_log(cp, &chain, &count);
    lock_give(&store->locks, LOCK_APPEND);
    if (st == SCN_OK)
        st = settle_chain(cp, chain, count);
    if (st == SCN_OK)
        st = free_dropped(cp);
    if (st == SCN_OK)
        st = add_spares_to_superblock(cp);
    mem_free(chain);
    return st;
}

/* ---- publish ---- */

static scn_status grow_for_space(void *ctx, uint32_t count, uint32_t *pgno)
{
    return take_grown(ctx, count, pgno);
}

static scn_status write_space(struct checkpoint *cp)
{
    struct superblock *sb = &cp->superblock;
    scn_status st = space_encode(cp->store->space, &cp->store->file, grow_for_space, cp,
                                 &sb->space, &sb->page_count, &sb->needed_pages);
    return st < 0 ? st : file_sync(&cp->store->file);
}

/* [X1]: everything is synced; a poisoned file gets no superblock, and poison is set
 * under SYNC. */
static scn_status write_superblock(struct checkpoint *cp)
{
    struct store *store = cp->store;
    struct superblock *sb = &cp->superblock;
    sb->gen = cp->gen;
    sb->previous_gen_id = store->superblock.gen_id;
    sb->base = cp->base;
    int failed = store->sys->ops->random(store->sys, &sb->gen_id, sizeof sb->gen_id);
    if (failed)
        return error_sys(-failed, 0, "no random number for the generation's id");
    scn_status st = lock_take(&store->locks, LOCK_SYNC, UINT32_MAX);
    if (st < 0)
        return st;
    st = file_check_poison(&store->file);
    if (st == SCN_OK)
        st = superblock_write(&store->file, sb);
    lock_give(&store->locks, LOCK_SYNC);
    return st;
}

/* The sources that came after the freeze stay in front of the new trees. */
static scn_status make_view(struct checkpoint *cp, struct view **out)
{
    const struct view *current = cp->store->view;
    return view_create(cp->gen, cp->base.lsn, &cp->superblock.catalog, current->sources,
                       current->source_count - cp->frozen.source_count, out);
}

static void forget_log(struct checkpoint *cp)
{
    struct store *store = cp->store;
    struct log_extent freed[16]; /* settle_chain did so */
    while (log_forget(store->log, &cp->base, freed, 16) == 16)
        ;
    if (cp->low_extent.pages && log_add_spare(store->log, cp->low_extent) == SCN_OK &&
        log_roll(store->log) < 0)
        file_poison(&store->file);
    for (uint32_t i = 0; i < cp->spare_count; i++)
        /* The list has room: what does not fit was not asked for. */
        if (log_add_spare(store->log, cp->spares[i]) < 0)
            break;
}

/* The tail that nobody uses goes back to the file system; some of it stays where the
 * file is about to grow again. */
static scn_status cut_tail(struct store *store, bool exactly)
{
    struct space_stat stat;
    space_stat(store->space, &stat);
    uint64_t pages = atomic_load(&store->file.page_count);
    uint64_t slack = stat.end_pages / 16 > GROW_PAGES_MIN ? stat.end_pages / 16
                                                          : GROW_PAGES_MIN;
    if (pages <= stat.end_pages || (!exactly && pages - stat.end_pages <= slack))
        return SCN_OK;
    return file_cut(&store->file, stat.end_pages);
}

static void note_published(struct checkpoint *cp, struct view *view)
{
    struct store *store = cp->store;
    store->sys->ops->mutex_lock(store->state_mutex);
    store->older_base_lsn = store->superblock.base.lsn;
    store->superblock = cp->superblock;
    store->next_gen = cp->gen + 1;
    store->sys->ops->mutex_unlock(store->state_mutex);
    atomic_store(&store->base_lsn, cp->base.lsn);
    store_install_view(store, view);
    store_trim_history(store);
}

/* The superblock is durable: from here on nothing may fail softly. */
static scn_status publish(struct checkpoint *cp)
{
    struct store *store = cp->store;
    struct view *view = NULL;
    if (cp->grown_next < cp->grown_end)
        space_unreserve(store->space, cp->grown_next, cp->grown_end - cp->grown_next);
    cp->grown_next = cp->grown_end = 0;
    scn_status st = lock_take(&store->locks, LOCK_APPEND, UINT32_MAX);
    if (st < 0) {
        file_poison(&store->file);
        return st;
    }
    st = make_view(cp, &view);
    if (st < 0) {
        /* The file is ahead of this process's memory: reopening reads it, going on would
         * not be right. */
        file_poison(&store->file);
        lock_give(&store->locks, LOCK_APPEND);
        return st;
    }
    space_commit(store->space);
    forget_log(cp);
    note_published(cp, view);
    st = cut_tail(store, cp->drains);
    room_measure(store);
    lock_give(&store->locks, LOCK_APPEND);
    return st;
}

/* ---- one generation ---- */

static scn_status begin_space(struct checkpoint *cp)
{
    struct store *store = cp->store;
    uint64_t *pins = NULL;
    uint32_t pin_count = 0;
    uint32_t have = log_spare_count(store->log);
    uint32_t wanted = spares_wanted(store);
    scn_status st = store_pins(store, &pins, &pin_count);
    if (st == SCN_OK)
        st = space_begin(store->space, cp->gen, pins, pin_count, cp->file_pages,
                         LOG_EXTENT_PAGES,
                         have < wanted && !cp->drains ? wanted - have : 0, cp->spares,
                         &cp->spare_count);
    mem_free(pins);
    return st;
}

static scn_status build(struct checkpoint *cp)
{
    struct store *store = cp->store;
    scn_status st = writer_create(&store->file, store->pool, cp->gen, take_pages, pace,
                                  cp, &cp->writer);
    if (st == SCN_OK)
        st = rebuild_tables(cp);
    if (st == SCN_OK)
        st = rebuild_usage(cp);
    if (st == SCN_OK)
        st = rebuild_catalog(cp);
    if (st == SCN_OK)
        st = writer_flush(cp->writer);
    if (st == SCN_OK)
        st = settle_log(cp);
    if (st == SCN_OK)
        st = write_space(cp);
    return st;
}

/* [X2] */
static void abandon(struct checkpoint *cp)
{
    struct store *store = cp->store;
    if (cp->grown_next < cp->grown_end)
        space_unreserve(store->space, cp->grown_next, cp->grown_end - cp->grown_next);
    space_abandon(store->space);
    room_measure(store);
    if (cp->dropped_count == 0 || lock_take(&store->locks, LOCK_APPEND, UINT32_MAX) < 0)
        return;
    for (uint32_t i = 0; i < cp->dropped_count; i++)
        if (log_add_spare(store->log, cp->dropped[i]) < 0)
            break; /* the list filled up meanwhile: the extent is lost until the next open
                    */
    lock_give(&store->locks, LOCK_APPEND);
}

static scn_status one_generation(struct checkpoint *cp)
{
    scn_status st = begin_space(cp);
    if (st < 0)
        return st;
    st = build(cp);
    if (st == SCN_OK)
        st = write_superblock(cp);
    if (st < 0) {
        abandon(cp);
        return st;
    }
    return publish(cp);
}

/* What lies behind the end of a packed file keeps the file long.
 * It moves once there are free pages to move to; the tables' own pages only where half
 * of the file is garbage: with less that would be a lot of writing for a checkpoint. */
static void plan_moves(struct checkpoint *cp)
{
    struct space_stat stat;
    if (!cp->drains)
        return;
    space_stat(cp->store->space, &stat);
    uint64_t live = stat.used_pages - stat.freed_pages;
    if (stat.free_pages < DRAIN_SLACK_PAGES)
        return;
    cp->move_from = (uint32_t)live + DRAIN_SLACK_PAGES;
    cp->moves_tables = live <= stat.free_pages;
}

static scn_status run_one(struct store *store, bool drains)
{
    struct checkpoint cp = {.store = store, .gen = store->next_gen, .drains = drains};
    cp.superblock = store->superblock;
    plan_moves(&cp);
    cp.frozen.reader = store->frozen_reader;
    cp.paced_appended = log_appended(store->log);
    cp.paced_ns = store->sys->ops->now_ns(store->sys);
    usage_init(&cp.usage);
    scn_status st = freeze(&cp);
    if (st == SCN_OK)
        st = one_generation(&cp);
    writer_destroy(cp.writer);
    usage_destroy(&cp.usage);
    run_pages_destroy(&cp.run_pages);
    mem_free(cp.roots);
    if (cp.frozen.view)
        store_view_release(store, cp.frozen.view);
    return st;
}

/* ---- when ---- */

static bool has_work(struct store *store)
{
    uint64_t visible;
    bool has = false;
    struct view *view = store_view(store, &visible);
    for (uint32_t i = 0; i < view->source_count; i++)
        has |= view->sources[i].run || !delta_is_empty(view->sources[i].delta);
    store_view_release(store, view);
    return has;
}

/* Draining goes on while the file is much longer than it would have to be. What one
 * generation frees can be given out two later, so three rounds without any change mean
 * that somebody holds the rest. */
struct drain {
    struct space_stat last;
    int quiet_rounds;
};

static bool can_drain(struct store *store, struct drain *drain)
{
    struct space_stat stat;
    space_stat(store->space, &stat);
    uint64_t garbage = stat.freed_pages + stat.free_pages;
    bool is_same = stat.freed_pages == drain->last.freed_pages &&
                   stat.free_pages == drain->last.free_pages &&
                   stat.end_pages == drain->last.end_pages;
    drain->quiet_rounds = is_same ? drain->quiet_rounds + 1 : 0;
    drain->last = stat;
    return garbage >= LOG_EXTENT_PAGES && garbage >= stat.end_pages / 16 &&
           drain->quiet_rounds < 3;
}

static scn_status run_all(struct store *store, enum checkpoint_mode mode)
{
    struct drain drain = {0};
    scn_status st = has_work(store) ? run_one(store, false) : SCN_OK;
    if (mode == CHECKPOINT_PLAIN)
        return st;
    for (int i = 0; st == SCN_OK && i < DRAIN_ROUNDS && can_drain(store, &drain); i++)
        st = run_one(store, true);
    return st;
}

static void note_outcome(struct store *store, scn_status st)
{
    atomic_store(&store->checkpoint_status, st);
    if (st < 0) {
        atomic_store(&store->failed_at_lsn, log_appended(store->log));
        atomic_fetch_add(&store->counters.failed_checkpoints, 1);
    } else {
        atomic_fetch_add(&store->counters.checkpoints, 1);
    }
    store->sys->ops->mutex_lock(store->state_mutex);
    atomic_fetch_add(&store->checkpoint_number, 1);
    store->sys->ops->mutex_unlock(store->state_mutex);
    store->sys->ops->cond_wake_all(store->space_cond);
}

scn_status checkpoint_run(struct store *store, enum checkpoint_mode mode)
{
    scn_status st = lock_take(&store->locks, LOCK_CHECKPOINT,
                              store->options.busy_timeout_ms);
    if (st < 0)
        return st;
    st = file_check_poison(&store->file);
    if (st == SCN_OK)
        st = run_all(store, mode);
    note_outcome(store, st);
    lock_give(&store->locks, LOCK_CHECKPOINT);
    return st;
}

scn_status checkpoint_mark(struct store *store)
{
    struct log_packet packet;
    uint64_t end = 0;
    log_packet_init(&packet);
    scn_status st = log_packet_set(&packet, RECORD_MARK, NULL, 0);
    if (st == SCN_OK)
        st = lock_take(&store->locks, LOCK_APPEND, store->options.busy_timeout_ms);
    if (st == SCN_OK) {
        st = log_append_room(store->log, &packet);
        if (st == SCN_OK)
            st = log_append(store->log, &packet, &end);
        lock_give(&store->locks, LOCK_APPEND);
    }
    log_packet_destroy(&packet);
    if (st == SCN_FULL)
        return SCN_OK; /* the next commit makes room, and is a witness itself */
    if (st == SCN_OK)
        st = log_sync(store->log, end, 0);
    if (st == SCN_OK)
        store->marked_lsn = end;
    return st;
}

scn_status scn_checkpoint(scn_db *db)
{
    scn_status st = db_check_write(db);
    return st < 0 ? st : checkpoint_run(db->store, CHECKPOINT_DRAIN);
}
