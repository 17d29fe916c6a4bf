/* Checkpoint: see checkpoint.h. */
#include "engine/checkpoint.h"

#include "engine/apply.h"
#include "engine/extents.h"
#include "engine/forest.h"
#include "engine/peers.h"
#include "engine/recovery.h"
#include "engine/reserved.h"
#include "engine/room.h"
#include "engine/supply.h"
#include "engine/txn.h"
#include "page/mem.h"

enum {
    DRAIN_ROUNDS = 10,
    DRAIN_SLACK_PAGES = 8,
    /* A shorter tail is not worth cutting: the file is about to grow again. */
    TAIL_SLACK_PAGES = 4
};

/* One generation under construction. */
struct checkpoint {
    struct store *store;
    uint64_t gen;
    struct log_base base; /* the freeze point */
    uint32_t file_pages; /* at the freeze point, when every grower's range was reserved */
    bool drains;
    bool only_grows; /* takes no page of the file as it was */
    bool has_append; /* from the listing of the extents on (engine/extents.h) */
    struct frozen frozen;
    struct supply supply;
    struct forest forest;
    struct extents extents;
    struct superblock superblock;
};

/* ---- freeze ---- */

/* Where nothing was committed since the last FREEZE all deltas still begin there.  But an
 * extent is only given back when the log goes on behind it. */
static bool needs_record(struct store *store)
{
    struct log_base at;
    log_position(store->log, &at);
    return store->has_commits || at.extent_number != store->rest_base.extent_number;
}

/* SCN_FULL (no sentence): another extent is needed. */
static scn_status append_record(struct store *store)
{
    struct log_packet packet;
    struct log_base behind;
    uint64_t end;
    log_packet_init(&packet);
    scn_status st = log_packet_set(&packet, RECORD_FREEZE, NULL, 0);
    if (st == SCN_OK)
        st = log_append_room(store->log, &packet);
    if (st == SCN_OK)
        st = peers_append(store, &packet, &end);
    log_packet_destroy(&packet);
    if (st < 0)
        return st;
    log_position(store->log, &behind);
    if (apply_freeze(store, &behind) < 0) {
        file_poison(&store->file); /* the others end their deltas here */
        return SCN_NOMEM;
    }
    return peers_tell_append(store);
}

static scn_status freeze_under_append(struct checkpoint *cp)
{
    struct store *store = cp->store;
    uint64_t visible;
    scn_status st = needs_record(store) ? append_record(store) : SCN_OK;
    if (st == SCN_OK)
        st = reserve_all(store);
    if (st < 0)
        return st;
    cp->base = store->rest_base;
    cp->file_pages = (uint32_t)atomic_load(&store->file.page_count);
    struct view *view = store_view(store, &visible);
    cp->frozen.view = view;
    cp->frozen.sources = view->sources + 1;
    cp->frozen.source_count = view->source_count - 1;
    return SCN_OK;
}

static scn_status try_freeze(struct checkpoint *cp)
{
    struct store *store = cp->store;
    scn_status st = append_enter(store, store->options.busy_timeout_ms);
    if (st < 0)
        return st;
    st = freeze_under_append(cp);
    append_leave(store);
    return st;
}

/* The frozen view is a registered snapshot, so what it reads stays; X is durable before
 * anything is built on it. */
static scn_status freeze(struct checkpoint *cp)
{
    struct store *store = cp->store;
    scn_status st = try_freeze(cp);
    if (st == SCN_FULL && cp->frozen.view == NULL) {
        st = room_extend(store, false);
        if (st == SCN_OK)
            st = try_freeze(cp);
    }
    return st < 0 ? st : log_sync(store->log, cp->base.lsn, 0);
}

static scn_status write_space(struct checkpoint *cp)
{
    struct superblock *sb = &cp->superblock;
    scn_status st = space_encode(cp->store->space, &cp->store->file, supply_take_new,
                                 &cp->supply, &sb->space, &sb->page_count,
                                 &sb->needed_pages);
    space_count(cp->store->space, &sb->used_pages, &sb->freed_pages);
    return st < 0 ? st : file_sync(&cp->store->file);
}

/* [X1]: everything is synced; a poisoned file gets no superblock, and poison is set
 * under SYNC.  [O4] */
static scn_status write_superblock(struct checkpoint *cp)
{
    struct store *store = cp->store;
    struct superblock *sb = &cp->superblock;
    sb->gen = cp->gen;
    store->sys->ops->boot_id(store->sys, sb->boot_id);
    sb->previous_gen_id = store->superblock.gen_id;
    sb->base = cp->base;
    int failed = store->sys->ops->random(store->sys, &sb->gen_id, sizeof sb->gen_id);
    if (failed)
        return error_sys(-failed, 0, "no random number for the generation's id");
    scn_status st = cp->has_append ? peers_tell_dropping(store, cp->gen) : SCN_OK;
    if (st == SCN_OK)
        st = lock_take(&store->locks, LOCK_SYNC, UINT32_MAX);
    if (st < 0)
        return st;
    st = file_check_poison(&store->file);
    if (st == SCN_OK)
        st = file_check_handle(&store->file);
    if (st == SCN_OK)
        st = superblock_write(&store->file, sb);
    lock_give(&store->locks, LOCK_SYNC);
    return st;
}

/* The sources that came after the freeze stay in front of the new trees. */
static scn_status make_view(struct checkpoint *cp, struct view **out)
{
    const struct view *current = cp->store->view;
    scn_status st = pin_take(&cp->store->pins, cp->gen);
    if (st < 0)
        return st;
    st = view_create(cp->gen, cp->base.lsn, &cp->superblock.catalog, current->sources,
                     current->source_count - cp->frozen.source_count, out);
    if (st < 0)
        pin_drop(&cp->store->pins, cp->gen);
    else
        (*out)->is_pinned = true;
    return st;
}

/* The tail that nobody uses goes back to the file system; some of it stays where the
 * file is about to grow again. */
static uint64_t kept_pages(struct store *store, bool exactly)
{
    struct space_stat stat;
    space_stat(store->space, &stat);
    uint64_t pages = atomic_load(&store->file.page_count);
    uint64_t slack = stat.end_pages / 16 > TAIL_SLACK_PAGES ? stat.end_pages / 16
                                                            : TAIL_SLACK_PAGES;
    if (pages <= stat.end_pages || (!exactly && pages - stat.end_pages <= slack))
        return pages;
    return stat.end_pages;
}

static scn_status cut_tail(struct store *store, uint64_t kept)
{
    return kept < atomic_load(&store->file.page_count)
               ? file_cut(&store->file, (uint32_t)kept)
               : SCN_OK;
}

static void note_published(struct checkpoint *cp, struct view *view)
{
    struct store *store = cp->store;
    store->sys->ops->mutex_lock(store->state_mutex);
    store->superblock = cp->superblock;
    store->sys->ops->mutex_unlock(store->state_mutex);
    store->next_gen = cp->gen + 1;
    atomic_store(&store->known_gen, cp->gen);
    atomic_store(&store->base_lsn, cp->base.lsn);
    store_install_view(store, view);
    store_trim_history(store);
}

static bool has_older_snapshots(struct checkpoint *cp)
{
    struct store *store = cp->store;
    bool has = false;
    store->sys->ops->mutex_lock(store->state_mutex);
    for (const struct view *view = store->views; view; view = view->next)
        has |= view->gen < cp->gen && view != cp->frozen.view;
    store->sys->ops->mutex_unlock(store->state_mutex);
    return has;
}

static scn_status forget_if_new(void *ctx, uint32_t pgno, uint32_t count, uint64_t birth,
                                uint64_t freed)
{
    struct checkpoint *cp = ctx;
    (void)birth;
    if (freed == cp->gen)
        pool_forget(cp->store->pool, pgno, count);
    return SCN_OK;
}

/* What this generation has freed, only older snapshots can ask for.  Where there are
 * none its frames are the first to be used again: else the pool would grow by a copy of
 * what was changed at each checkpoint. */
static scn_status forget_freed(struct checkpoint *cp)
{
    if (has_older_snapshots(cp))
        return SCN_OK;
    return space_each_freed(cp->store->space, forget_if_new, cp);
}

/* Append lock held. */
static scn_status install(struct checkpoint *cp)
{
    struct store *store = cp->store;
    struct view *view = NULL;
    scn_status st = make_view(cp, &view);
    if (st < 0) {
        /* The file is ahead of this process's memory: reopening reads it, going on would
         * not be right. */
        file_poison(&store->file);
        return st;
    }
    extents_publish(&cp->extents);
    note_published(cp, view);
    scn_status reserved = reserve_all(store);
    uint64_t kept = kept_pages(store, cp->drains);
    uint64_t counted = reserved == SCN_OK ? room_count(store, kept) : 0;
    st = peers_tell_append(store); /* the log may have moved */
    if (st == SCN_OK)
        st = peers_tell_generation(store, &cp->superblock, counted);
    if (st == SCN_OK)
        st = reserved;
    if (st == SCN_OK)
        st = cut_tail(store, kept);
    room_measure(store, counted);
    return st;
}

static scn_status enter_again(struct checkpoint *cp)
{
    if (!cp->has_append)
        return append_enter(cp->store, UINT32_MAX);
    apply_enter(cp->store);
    return SCN_OK;
}

/* The superblock is durable: from here on nothing may fail softly, and whatever fails,
 * the generation is built. */
static scn_status publish(struct checkpoint *cp)
{
    struct store *store = cp->store;
    supply_release(&cp->supply);
    space_commit(store->space);
    atomic_store(&store->space_gen, cp->gen);
    scn_status st = enter_again(cp);
    if (st < 0) {
        file_poison(&store->file);
        return st;
    }
    st = install(cp);
    append_leave(store);
    return st < 0 ? st : forget_freed(cp);
}

/* ---- one generation ---- */

static scn_status begin_space(struct checkpoint *cp)
{
    struct store *store = cp->store;
    uint64_t *pins = NULL;
    uint32_t pin_count = 0;
    struct extents *extents = &cp->extents;
    uint32_t limit = cp->only_grows ? 0 : cp->file_pages;
    scn_status st = store_pins(store, &pins, &pin_count);
    if (st == SCN_OK)
        st = space_begin(store->space, cp->gen, pins, pin_count, limit, LOG_EXTENT_PAGES,
                         extents_wanted(extents), extents->matured,
                         &extents->matured_count);
    mem_free(pins);
    return st;
}

static scn_status build(struct checkpoint *cp)
{
    struct store *store = cp->store;
    struct writer *writer = NULL;
    scn_status st = writer_create(&store->file, store->pool, cp->gen, supply_take,
                                  supply_pace, &cp->supply, &writer);
    cp->forest.writer = writer;
    if (st == SCN_OK)
        st = forest_rebuild(&cp->forest, &cp->superblock.catalog);
    if (st == SCN_OK)
        st = extents_settle(&cp->extents, &cp->has_append);
    cp->supply.has_append = cp->has_append;
    if (st == SCN_OK)
        st = write_space(cp);
    writer_destroy(writer);
    return st;
}

/* [X2]  Others may have grown the file since the freeze point, and told nobody. */
static void abandon(struct checkpoint *cp)
{
    struct store *store = cp->store;
    supply_release(&cp->supply);
    space_abandon(store->space);
    room_measure(store, room_count(store, cp->file_pages + cp->supply.grown_pages));
    extents_abandon(&cp->extents);
    if (cp->has_append)
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
    cp->forest.tail.from = (uint32_t)live + DRAIN_SLACK_PAGES;
    cp->forest.moves_tables = live <= stat.free_pages;
}

/* Nothing moves to where pages are in use, or not free yet. */
static void plan_shortening(struct checkpoint *cp, uint32_t from)
{
    struct space_stat stat;
    space_stat(cp->store->space, &stat);
    cp->forest.tail.from = stat.used_pages > from ? (uint32_t)stat.used_pages : from;
    cp->forest.moves_tables = true;
}

/* from 0: wherever a packed file would end. */
static void init(struct checkpoint *cp, struct store *store, enum checkpoint_mode mode,
                 struct forest_pass *pass, uint32_t from)
{
    bool drains = mode == CHECKPOINT_DRAIN;
    *cp = (struct checkpoint){.store = store, .gen = store->next_gen, .drains = drains};
    cp->only_grows = mode == CHECKPOINT_GROWING;
    cp->superblock = store->superblock;
    cp->frozen.reader = store->frozen_reader;
    cp->forest = (struct forest){.store = store, .gen = cp->gen, .frozen = &cp->frozen};
    cp->extents = (struct extents){.store = store,
                                   .gen = cp->gen,
                                   .base = &cp->base,
                                   .superblock = &cp->superblock,
                                   .drains = drains};
    cp->forest.pass = pass;
    supply_init(&cp->supply, store);
    if (pass)
        cp->forest.tail.from = pass->relocation.from;
    else if (from)
        plan_shortening(cp, from);
    else
        plan_moves(cp);
    cp->extents.packed_end = cp->forest.tail.from;
}

static scn_status run_one(struct store *store, enum checkpoint_mode mode,
                          struct forest_pass *pass, uint32_t from)
{
    struct checkpoint cp;
    init(&cp, store, mode, pass, from);
    scn_status st = freeze(&cp);
    if (st == SCN_OK)
        st = one_generation(&cp);
    atomic_store(&store->gives_up_spares, false);
    forest_destroy(&cp.forest);
    if (cp.frozen.view)
        store_view_release(store, cp.frozen.view);
    return st;
}

/* ---- when ---- */

static bool has_work(struct store *store)
{
    uint64_t visible;
    /* Records that are no commits fill the log too. */
    bool has = log_bytes_since(store->log, atomic_load(&store->base_lsn)) >
               store->options.log_bytes / 2;
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

/* Nobody tells that he gives pages back, or that the disk has room again.  With
 * everything reserved it can be counted, as for a new generation: where there was none to
 * make, a full store would be full for ever.  But only a new one makes the file shorter:
 * whoever measures by this one takes what it grows by for somebody's. */
static scn_status count_anew(struct store *store, bool *has_tail)
{
    scn_status st = append_enter(store, store->options.busy_timeout_ms);
    if (st < 0)
        return st;
    st = reserve_all(store);
    uint64_t pages = atomic_load(&store->file.page_count);
    if (st == SCN_OK) {
        room_measure(store, room_count(store, pages));
        *has_tail = kept_pages(store, true) < pages;
    }
    append_leave(store);
    return st;
}

static scn_status run_all(struct store *store, enum checkpoint_mode mode)
{
    struct drain drain = {0};
    uint64_t gen = store->next_gen;
    bool has_tail = false;
    enum checkpoint_mode first = mode == CHECKPOINT_DRAIN ? CHECKPOINT_PLAIN : mode;
    scn_status st = has_work(store) ? run_one(store, first, NULL, 0) : SCN_OK;
    if (mode != CHECKPOINT_DRAIN)
        return st;
    for (int i = 0; st == SCN_OK && i < DRAIN_ROUNDS; i++) {
        bool can = can_drain(store, &drain);
        if (!can && (i > 0 || !room_is_cornered(store)))
            break;
        st = run_one(store, CHECKPOINT_DRAIN, NULL, 0);
    }
    if (st == SCN_OK && store->next_gen == gen)
        st = count_anew(store, &has_tail);
    return st == SCN_OK && has_tail ? run_one(store, CHECKPOINT_DRAIN, NULL, 0) : st;
}

static void note_outcome(struct store *store, enum checkpoint_mode mode, scn_status st)
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
    atomic_fetch_add(&store->drain_number, mode == CHECKPOINT_DRAIN);
    store->sys->ops->mutex_unlock(store->state_mutex);
    store->sys->ops->cond_wake_all(store->space_cond);
}

/* Checkpoint lock held.  A session that was poisoned may be over. */
static scn_status adopt(struct store *store)
{
    scn_status st = peers_follow(store);
    if (st == SCN_OK)
        st = file_check_poison(&store->file);
    return st == SCN_OK ? recovery_adopt(store) : st;
}

scn_status checkpoint_run(struct store *store, enum checkpoint_mode mode)
{
    uint64_t seen = atomic_load(&store->base_lsn);
    scn_status st = lock_take(&store->locks, LOCK_CHECKPOINT,
                              store->options.busy_timeout_ms);
    if (st < 0)
        return st;
    st = adopt(store);
    /* Another process may have done it while this one waited. */
    bool is_done = mode == CHECKPOINT_PLAIN && seen != atomic_load(&store->base_lsn) &&
                   !room_is_checkpoint_due(store);
    if (st == SCN_OK && !is_done)
        st = run_all(store, mode);
    note_outcome(store, mode, st);
    lock_give(&store->locks, LOCK_CHECKPOINT);
    return st;
}

scn_status checkpoint_hold(struct store *store, scn_status (*fn)(void *ctx), void *ctx)
{
    scn_status st = lock_take(&store->locks, LOCK_CHECKPOINT,
                              store->options.busy_timeout_ms);
    if (st < 0)
        return st;
    st = adopt(store);
    if (st == SCN_OK)
        st = fn(ctx);
    lock_give(&store->locks, LOCK_CHECKPOINT);
    return st;
}

scn_status checkpoint_generation(struct store *store, struct forest_pass *pass)
{
    scn_status st = run_one(store, CHECKPOINT_DRAIN, pass, 0);
    note_outcome(store, CHECKPOINT_PLAIN, st);
    return st;
}

scn_status checkpoint_shorten(struct store *store, uint32_t from)
{
    scn_status st = run_one(store, CHECKPOINT_DRAIN, NULL, from);
    note_outcome(store, CHECKPOINT_PLAIN, st);
    return st;
}

static scn_status append_mark(struct store *store, struct log_packet *packet,
                              uint64_t *end)
{
    scn_status st = append_enter(store, store->options.busy_timeout_ms);
    if (st < 0)
        return st;
    st = log_append_room(store->log, packet);
    if (st == SCN_OK)
        st = peers_append(store, packet, end);
    if (st == SCN_OK)
        st = peers_tell_append(store);
    append_leave(store);
    return st;
}

scn_status checkpoint_mark(struct store *store, bool syncs)
{
    struct log_packet packet;
    uint64_t end = 0;
    log_packet_init(&packet);
    scn_status st = log_packet_set(&packet, RECORD_MARK, NULL, 0);
    if (st == SCN_OK)
        st = append_mark(store, &packet, &end);
    if (st == SCN_FULL) {
        /* The extent is full: the next commit would need another one as well. */
        st = room_extend_for_commit(store, false, true);
        if (st == SCN_OK)
            st = append_mark(store, &packet, &end);
    }
    log_packet_destroy(&packet);
    if (st == SCN_FULL)
        return SCN_OK; /* so is the disk; the next commit is a witness itself */
    if (st == SCN_OK && syncs)
        st = log_sync(store->log, end, 0);
    if (st == SCN_OK)
        atomic_store(&store->marked_lsn, end);
    return st;
}

scn_status checkpoint_check_not_inside(struct store *store)
{
    if (lock_is_mine(&store->locks, LOCK_CHECKPOINT))
        return error_misuse("inside the function of scn_check checkpoints have to wait");
    return SCN_OK;
}

scn_status checkpoint_check_caller(struct store *store)
{
    scn_status st = checkpoint_check_not_inside(store);
    return st < 0 ? st : update_check_not_inside(store);
}

scn_status scn_checkpoint(scn_db *db)
{
    scn_status st = db_check_write(db);
    if (st == SCN_OK)
        st = checkpoint_check_caller(db->store);
    return st < 0 ? st : checkpoint_run(db->store, CHECKPOINT_DRAIN);
}
