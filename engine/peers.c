/* Following other processes, and telling them: see peers.h and docs/processes.md. */
#include "engine/peers.h"

#include "engine/apply.h"
#include "engine/extents.h"
#include "engine/room.h"
#include "engine/txn.h"
#include "page/bytes.h"

enum {
    /* A round is 100 ms, unless lazy_interval_ms says otherwise. */
    SHED_ROUNDS = 100,
    SHED_BYTES = 1 << 20
};

/* ---- the page ---- */

static bool bears_session(struct store *store, const struct publish *page,
                          enum publish_line line)
{
    return page->line[line].sequence != 0 &&
           page->line[line].epoch == file_session(&store->file);
}

/* A session may be begun, or its opener may have died over it: for readers at any time,
 * for all while the file is poisoned.  Its lines come before it.  They are true of the
 * log that is followed here, and what they have taken the place of is not to be had any
 * more. */
static bool has_line(struct store *store, const struct publish *page,
                     enum publish_line line)
{
    bool is_begun = line != PUBLISH_POISON && page->line[line].sequence != 0 &&
                    (store->is_read_only || bears_session(store, page, PUBLISH_POISON));
    return is_begun || bears_session(store, page, line);
}

static uint64_t field_of(struct store *store, const struct publish *page,
                         enum publish_line line, int field)
{
    return has_line(store, page, line) ? page->line[line].field[field] : 0;
}

static uint64_t gen_in(struct store *store, const struct publish *page)
{
    return field_of(store, page, PUBLISH_CHECKPOINT, CHECKPOINT_GEN);
}

/* Never back: who could not tell of a generation still stands on it. */
static uint64_t newest_gen(struct store *store, const struct publish *page)
{
    uint64_t gen = gen_in(store, page);
    uint64_t known = atomic_load(&store->known_gen);
    return gen > known ? gen : known;
}

/* What room_count said of a generation, where it was told. */
static uint64_t counted_in(struct store *store, const struct publish *page, uint64_t gen)
{
    return gen_in(store, page) == gen
               ? field_of(store, page, PUBLISH_CHECKPOINT, CHECKPOINT_FREE_PAGES)
               : 0;
}

static uint64_t visible_in(struct store *store, const struct publish *page)
{
    uint64_t synced = field_of(store, page, PUBLISH_SYNC, SYNC_LSN);
    uint64_t lazy = field_of(store, page, PUBLISH_APPEND, APPEND_LAZY_LSN);
    return synced > lazy ? synced : lazy;
}

static bool is_other_session(struct store *store, const struct publish *page)
{
    const struct publish_value *now = &page->line[PUBLISH_SESSION];
    const struct publish_value *last = &store->last_session;
    if (atomic_load(&store->is_alone))
        return now->sequence != last->sequence || now->epoch != last->epoch;
    return now->sequence != 0 && now->epoch != file_session(&store->file);
}

static void raise_to(_Atomic uint64_t *value, uint64_t to)
{
    uint64_t seen = atomic_load(value);
    while (seen < to && !atomic_compare_exchange_weak(value, &seen, to))
        ;
}

/* What is on the page is applied: so it may become visible here. */
static void learn(struct store *store, const struct publish *page)
{
    if (has_line(store, page, PUBLISH_SYNC))
        log_learn_synced(store->log, &page->line[PUBLISH_SYNC]);
    raise_to(&store->lazy_lsn, field_of(store, page, PUBLISH_APPEND, APPEND_LAZY_LSN));
    raise_to(&store->full_lsn, field_of(store, page, PUBLISH_APPEND, APPEND_FULL_LSN));
}

/* ---- the newest generation ---- */

static scn_status damaged_page(struct store *store)
{
    file_poison(&store->file);
    return error_corrupt(PUBLISH_PAGE_NO, (uint64_t)PUBLISH_PAGE_NO * PAGE_BYTES,
                         "%.100s: the page by which processes agree is damaged; open the "
                         "store again",
                         store->file.path);
}

/* Who knows the generation does not depend on what has become of its slot. */
static scn_status read_superblock(struct store *store, uint64_t gen, bool is_new_life,
                                  struct superblock *sb, enum superblock_verdict *verdict)
{
    if (is_new_life || store->view == NULL || store->superblock.gen != gen)
        return superblock_peek(&store->file, superblock_slot(gen), sb, verdict);
    *sb = store->superblock;
    *verdict = SUPERBLOCK_GOOD;
    return SCN_OK;
}

/* The generation on the page, pinned [K5]; page is read again.  Each turn somebody has
 * published another one. */
static scn_status pin_newest(struct store *store, struct publish *page, bool is_new_life,
                             struct superblock *sb)
{
    for (;;) {
        uint64_t gen = newest_gen(store, page);
        enum superblock_verdict verdict = SUPERBLOCK_BLANK;
        if (gen == 0)
            return damaged_page(store);
        scn_status st = pin_take(&store->pins, gen);
        if (st < 0)
            return st;
        st = read_superblock(store, gen, is_new_life, sb, &verdict);
        if (st == SCN_OK)
            st = publish_read(&store->file, page);
        if (st == SCN_OK && newest_gen(store, page) == gen &&
            (verdict != SUPERBLOCK_GOOD || sb->gen != gen))
            st = error_corrupt(superblock_slot(gen), 0,
                               "the superblock of generation %llu is damaged",
                               (unsigned long long)gen);
        if (st == SCN_OK && newest_gen(store, page) == gen)
            return SCN_OK;
        pin_drop(&store->pins, gen);
        if (st < 0)
            return st;
    }
}

static void note_generation(struct store *store, const struct superblock *sb)
{
    struct log_extent freed[16];
    store->sys->ops->mutex_lock(store->state_mutex);
    store->superblock = *sb;
    store->sys->ops->mutex_unlock(store->state_mutex);
    atomic_store(&store->known_gen, sb->gen);
    atomic_store(&store->base_lsn, sb->base.lsn);
    while (log_forget(store->log, &sb->base, freed, 16) == 16)
        ;
}

/* [O4] Those that a generation lists which may be in its slot and is not published; and
 * what only this process knows. */
static scn_status keep_listed(struct store *store, uint64_t gen)
{
    struct superblock sb;
    struct log_spare had[LOG_SPARE_MAX];
    enum superblock_verdict verdict;
    uint32_t kept = 0;
    scn_status st = superblock_peek(&store->file, superblock_slot(gen), &sb, &verdict);
    if (st < 0 || verdict != SUPERBLOCK_GOOD || sb.gen != gen)
        return st;
    uint32_t count = log_spares(store->log, had, LOG_SPARE_MAX);
    for (uint32_t i = 0; i < count; i++) {
        bool is_listed = grown_has(&store->grown, had[i].pgno);
        for (uint32_t k = 0; k < sb.spare_count; k++)
            is_listed |= sb.spares[k].pgno == had[i].pgno;
        if (is_listed)
            had[kept++] = had[i];
    }
    return log_set_spares(store->log, had, kept);
}

/* Everything up to the base is applied, and a delta begins there. */
static uint32_t sources_behind(const struct view *view, uint64_t base_lsn)
{
    uint32_t count = 0;
    while (count < view->source_count) {
        const struct source *source = &view->sources[count];
        if (source->run ? source->run->lsn <= base_lsn
                        : delta_start(source->delta) < base_lsn)
            break;
        count++;
    }
    return count;
}

static scn_status exchange_trees(struct store *store, const struct superblock *sb)
{
    struct view *view = NULL;
    const struct view *current = store->view;
    scn_status st = view_create(sb->gen, sb->base.lsn, &sb->catalog, current->sources,
                                sources_behind(current, sb->base.lsn), &view);
    if (st < 0)
        return st;
    view->is_pinned = true;
    note_generation(store, sb);
    store_install_view(store, view);
    store_trim_history(store);
    return SCN_OK;
}

/* From the base, as a newcomer.  No snapshot begins before the log is followed from there
 * on: it would be older than what was visible. */
static scn_status start_anew(struct store *store, const struct superblock *sb,
                             bool is_new_life)
{
    store_stop_begins(store);
    scn_status st = store->log
                        ? log_restart(store->log, &sb->base, is_new_life)
                        : log_join(&store->file, &store->locks, sb->uuid, &sb->base,
                                   &store->log);
    if (st < 0)
        return st;
    log_join_epoch(store->log, file_session(&store->file),
                   atomic_load(&store->epoch_start_lsn));
    store_forget_history(store, sb->base.lsn);
    note_generation(store, sb);
    store->rest_base = sb->base;
    store->has_commits = false;
    store->followed_records = 0;
    return store_start_view(store, true);
}

/* ---- the log ---- */

struct following {
    struct store *store;
    bool is_younger; /* a run is younger than the view [O3] */
};

/* Who starts anew meets some a second time. */
static void count_commit(struct store *store, uint64_t lsn)
{
    if (lsn <= store->peer_lsn)
        return;
    store->peer_lsn = lsn;
    atomic_fetch_add_explicit(&store->counters.peer_commits, 1, memory_order_relaxed);
}

static scn_status follow_commit(struct following *following,
                                const struct log_visit *visit)
{
    struct store *store = following->store;
    struct apply apply;
    scn_status st = apply_prepare(store, visit->payload, visit->payload_len,
                                  APPLY_FOLLOWED, &apply);
    if (st < 0)
        return st;
    following->is_younger = apply.newest_birth > store->view->gen;
    if (following->is_younger) {
        apply_abandon(&apply);
        return SCN_BUSY;
    }
    uint64_t ops = apply.count ? 0 : apply.ops; /* a new view counts anew */
    apply_finish(store, &apply, visit->end_lsn);
    store_note_active(store, ops);
    store->has_commits = true;
    count_commit(store, visit->end_lsn);
    return SCN_OK;
}

static scn_status visit_record(struct following *following, const struct log_visit *visit)
{
    switch (visit->record.type) {
    case RECORD_COMMIT:
        return follow_commit(following, visit);
    case RECORD_FREEZE:
        return apply_freeze(following->store, &visit->next);
    case RECORD_MARK:
        atomic_store(&following->store->marked_lsn, visit->end_lsn);
        return SCN_OK;
    default:
        return SCN_OK;
    }
}

static scn_status follow_record(void *ctx, const struct log_visit *visit)
{
    struct following *following = ctx;
    scn_status st = visit_record(following, visit);
    following->store->followed_records += st == SCN_OK;
    return st;
}

/* *again: the page has to be read anew. */
static scn_status follow_to(struct store *store, uint64_t limit, bool *again)
{
    struct following following = {.store = store};
    bool is_whole;
    scn_status st = log_follow(store->log, limit, follow_record, &following, &is_whole);
    *again = following.is_younger || (st == SCN_OK && !is_whole);
    return *again ? SCN_OK : st;
}

/* ---- going along ---- */

/* Open transactions that write need what lies between here and the base, if it is still
 * there, or they conflict. */
static scn_status reach_base(struct store *store, const struct superblock *sb,
                             bool *is_reached)
{
    bool again;
    scn_status st = SCN_OK;
    *is_reached = store->view && !atomic_load(&store->has_gap);
    if (!*is_reached || log_appended(store->log) >= sb->base.lsn)
        return SCN_OK;
    *is_reached = store_has_writers(store);
    if (*is_reached) {
        st = follow_to(store, sb->base.lsn, &again);
        *is_reached = st == SCN_OK && !again;
    }
    return st;
}

/* It is the view's own generation, whose pin was given back: everything else stays, the
 * spares among it, some of which a checkpoint of this process may be giving up. */
static void pin_again(struct store *store)
{
    store->sys->ops->mutex_lock(store->state_mutex);
    store->view->is_pinned = true;
    atomic_store(&store->pinned_gen, store->view->gen);
    store->sys->ops->mutex_unlock(store->state_mutex);
}

static scn_status go_to_newest(struct store *store, struct publish *page,
                               bool is_new_life)
{
    struct superblock sb;
    bool is_reached = false;
    scn_status st = pin_newest(store, page, is_new_life, &sb);
    if (st < 0)
        return st;
    st = file_learn_size(&store->file);
    if (st == SCN_OK && !is_new_life)
        st = reach_base(store, &sb, &is_reached);
    if (st == SCN_OK && is_reached && store->view->gen == sb.gen &&
        !store->view->is_pinned) {
        pin_again(store);
        return SCN_OK;
    }
    if (st == SCN_OK)
        st = is_reached ? exchange_trees(store, &sb)
                        : start_anew(store, &sb, is_new_life);
    if (st < 0) {
        pin_drop(&store->pins, sb.gen);
        return st;
    }
    /* While a checkpoint of this process gives some up, they are its own to list. */
    if (!atomic_load(&store->gives_up_spares))
        st = extents_list_spares(store, &sb);
    room_measure(store, counted_in(store, page, sb.gen));
    return st;
}

/* Of a poisoned file what was not synced may be gone: a recovery in place that died has
 * cut it off.  Of another it was lost with a write that failed [L4], and who was told of
 * that has died. */
static scn_status not_whole(struct store *store, const struct publish *page)
{
    struct log_base at;
    log_position(store->log, &at);
    if (has_line(store, page, PUBLISH_POISON) ||
        at.lsn >= field_of(store, page, PUBLISH_SYNC, SYNC_LSN))
        file_poison(&store->file);
    scn_status st = file_check_poison(&store->file);
    if (st < 0)
        return st;
    return error_corrupt(at.extent_pgno, (uint64_t)at.extent_pgno * PAGE_BYTES +
                                             at.extent_off,
                         "%.100s: the log ends before what is known to be in it",
                         store->file.path);
}

static void give_up_writers(struct store *store)
{
    store->sys->ops->mutex_lock(store->state_mutex);
    for (struct scn_txn *txn = store->open_txns; txn; txn = txn->next)
        atomic_store(&txn->is_stale, true);
    store->sys->ops->mutex_unlock(store->state_mutex);
}

/* What this process had grown the file by, and did not know whether the log leads there.
 * Now the log is what recovery has found: what it leads to everybody knows, and an extent
 * that it leads to must not be linked again. */
static void settle_grown(struct store *store)
{
    struct log_spare had[LOG_SPARE_MAX];
    uint32_t count = store->log ? log_drop_spares(store->log, 0, 0, had) : 0;
    for (uint32_t i = 0; i < count; i++)
        if (grown_has(&store->grown, had[i].pgno))
            grown_remove(&store->grown, had[i].pgno, had[i].pages);
    grown_settle(&store->grown);
}

/* Of the session before nothing is synced any more.  What this process has answered for
 * then, and not synced, it tells when it leaves. */
static void let_own_go(struct store *store)
{
    uint64_t lazy = atomic_exchange(&store->own_lazy_lsn, 0);
    if (store->log && lazy > log_synced(store->log)) {
        atomic_store(&store->has_lost_lazy, true);
        atomic_store(&store->has_untold_loss, true);
    }
    atomic_store(&store->own_end_lsn, 0);
}

/* Another session: this process knows nothing any more. */
static scn_status enter_session(struct store *store, struct publish *page)
{
    const struct publish_value *session = &page->line[PUBLISH_SESSION];
    if (session->sequence == 0)
        return damaged_page(store);
    store_stop_begins(store); /* before anything that a snapshot is made of goes back */
    give_up_writers(store);
    atomic_store(&store->file.session, session->epoch);
    atomic_store(&store->file.is_poisoned, false);
    atomic_store(&store->epoch_start_lsn, session->field[SESSION_START_LSN]);
    atomic_store(&store->found_lsn, session->field[SESSION_FOUND_LSN]);
    store->session_gen = session->field[SESSION_NEXT_GEN];
    atomic_store(&store->lazy_lsn, 0);
    atomic_store(&store->full_lsn, 0);
    atomic_store(&store->known_gen, 0);
    settle_grown(store);
    let_own_go(store);
    scn_status st = go_to_newest(store, page, true);
    if (st < 0)
        atomic_store(&store->file.session, 0);
    if (st >= 0)
        atomic_store(&store->is_alone, false);
    return st;
}

/* Of a generation that is not the newest any more the log may be gone, though it is
 * pinned: used for something else, or cut off with the end of the file. */
static bool is_left_behind(struct store *store, struct publish *page)
{
    struct publish now;
    bool has_moved = publish_read(&store->file, &now) == SCN_OK &&
                     newest_gen(store, &now) != newest_gen(store, page);
    if (has_moved)
        *page = now;
    return has_moved;
}

static scn_status follow_page(struct store *store, struct publish *page, bool to_end)
{
    uint64_t tried_gen = 0;
    for (;;) {
        bool again = false;
        scn_status st = SCN_OK;
        /* It may have been read before another thread came into the session after it. */
        if (is_other_session(store, page))
            st = publish_read(&store->file, page);
        if (st == SCN_OK && is_other_session(store, page)) {
            tried_gen = 0; /* was the session before's */
            st = enter_session(store, page);
        } else if (st == SCN_OK &&
                   newest_gen(store, page) != atomic_load(&store->pinned_gen)) {
            st = go_to_newest(store, page, false);
        }
        uint64_t gen = newest_gen(store, page);
        uint64_t limit = to_end ? field_of(store, page, PUBLISH_APPEND, APPEND_LSN)
                                : visible_in(store, page);
        if (st == SCN_OK)
            st = follow_to(store, limit, &again);
        if (st == SCN_CORRUPT && is_left_behind(store, page))
            continue;
        if (st == SCN_OK && !again) {
            if (has_line(store, page, PUBLISH_POISON))
                file_poison(&store->file);
            learn(store, page);
            atomic_store(&store->has_gap, false);
        }
        if (st < 0 || !again)
            return st;
        if (gen == tried_gen)
            return not_whole(store, page);
        tried_gen = gen;
        st = publish_read(&store->file, page);
        if (st < 0)
            return st;
    }
}

/* Apply lock held.  With the append lock: to the line's end, else to what is visible. */
static scn_status go_along(struct store *store, struct publish *page, bool to_end)
{
    scn_status st = follow_page(store, page, to_end);
    if (store->log)
        log_tell_followed(store->log, st == SCN_OK);
    return st;
}

/* A commit of another thread may be synced, and visible to others, before it is applied
 * here. */
static bool is_applied(struct store *store, uint64_t lsn)
{
    return lsn <= log_appended(store->log) && lsn <= atomic_load(&store->applying_lsn);
}

static bool is_current(struct store *store, const struct publish *page)
{
    if (is_other_session(store, page) || atomic_load(&store->has_gap))
        return false;
    /* It is learnt under the apply lock: a session that another thread comes into must
     * not be poisoned for the one before. */
    if (!file_is_poisoned(&store->file) && has_line(store, page, PUBLISH_POISON))
        return false;
    return atomic_load(&store->is_alone) ||
           (newest_gen(store, page) == atomic_load(&store->pinned_gen) &&
            is_applied(store, visible_in(store, page)));
}

static scn_status look_at_page(struct store *store, struct publish *page)
{
    uint8_t image[PUBLISH_BYTES];
    scn_status st = publish_fetch(&store->file, image);
    if (st < 0)
        return st;
    store->sys->ops->mutex_lock(store->state_mutex);
    st = publish_recall(&store->seen_page, image, page);
    store->sys->ops->mutex_unlock(store->state_mutex);
    return st == SCN_END ? publish_read(&store->file, page) : st;
}

scn_status peers_look(struct store *store, uint64_t *visible)
{
    struct publish page;
    *visible = 0;
    if (!store_is_shared(store))
        return SCN_OK;
    scn_status st = look_at_page(store, &page);
    if (st < 0)
        return st;
    if (!is_current(store, &page)) {
        apply_enter(store);
        st = go_along(store, &page, false);
        apply_leave(store);
    } else if (!atomic_load(&store->is_alone)) {
        learn(store, &page);
    }
    if (!atomic_load(&store->is_alone))
        *visible = visible_in(store, &page);
    return st;
}

scn_status peers_follow(struct store *store)
{
    uint64_t visible;
    return peers_look(store, &visible);
}

/* ---- the append lock ---- */

void apply_enter(struct store *store)
{
    store->sys->ops->mutex_lock(store->apply_mutex);
}

void apply_leave(struct store *store)
{
    store->sys->ops->mutex_unlock(store->apply_mutex);
}

/* What chains on behind the line's end was written by somebody who could not say so: it
 * counts, as a commit that waits for its sync [O1]. */
static scn_status adopt(struct store *store)
{
    uint64_t known = log_appended(store->log);
    bool again;
    scn_status st = follow_to(store, UINT64_MAX, &again);
    if (st < 0 || log_appended(store->log) == known)
        return st;
    atomic_store(&store->full_lsn, log_appended(store->log));
    return peers_tell_append(store);
}

static scn_status catch_up(struct store *store)
{
    scn_status st = publish_read(&store->file, &store->page);
    if (st == SCN_OK)
        st = go_along(store, &store->page, true);
    uint64_t dropping =
        field_of(store, &store->page, PUBLISH_CHECKPOINT, CHECKPOINT_DROPPING);
    if (st == SCN_OK && dropping > gen_in(store, &store->page))
        st = keep_listed(store, dropping);
    return st == SCN_OK ? adopt(store) : st;
}

scn_status append_enter(struct store *store, uint32_t timeout_ms)
{
    scn_status st = lock_take(&store->locks, LOCK_APPEND, timeout_ms);
    if (st < 0)
        return st;
    apply_enter(store);
    if (store_is_shared(store))
        st = catch_up(store);
    if (st < 0)
        append_leave(store);
    return st;
}

void append_leave(struct store *store)
{
    apply_leave(store);
    lock_give(&store->locks, LOCK_APPEND);
}

/* ---- appending ---- */

/* An extent that this process had made ready: the record that leads there is in the log.
 */
static void let_extent_go(struct store *store)
{
    struct log_base at;
    log_position(store->log, &at);
    if (grown_has(&store->grown, at.extent_pgno))
        grown_remove(&store->grown, at.extent_pgno, at.extent_pages);
}

scn_status peers_append(struct store *store, struct log_packet *packet, uint64_t *end_lsn)
{
    scn_status st = log_append(store->log, packet, end_lsn);
    let_extent_go(store);
    return st;
}

scn_status peers_roll(struct store *store)
{
    scn_status st = log_roll(store->log);
    let_extent_go(store);
    return st;
}

/* ---- telling ---- */

static scn_status tell(struct store *store, enum publish_line line)
{
    struct publish_value *value = &store->page.line[line];
    value->epoch = file_session(&store->file);
    return publish_write(&store->file, line, value);
}

scn_status peers_tell_lazy(struct store *store, uint64_t lazy_lsn)
{
    struct publish_value *line = &store->page.line[PUBLISH_APPEND];
    scn_status st = SCN_OK;
    if (store_is_shared(store)) {
        log_tell_end(store->log, line);
        line->field[APPEND_LAZY_LSN] = lazy_lsn;
        line->field[APPEND_FULL_LSN] = atomic_load(&store->full_lsn);
        st = tell(store, PUBLISH_APPEND);
    }
    if (st == SCN_OK)
        raise_to(&store->lazy_lsn, lazy_lsn);
    return st;
}

scn_status peers_tell_append(struct store *store)
{
    return peers_tell_lazy(store, atomic_load(&store->lazy_lsn));
}

scn_status peers_tell_generation(struct store *store, const struct superblock *sb,
                                 uint64_t counted)
{
    struct publish page;
    if (!store_is_shared(store))
        return SCN_OK;
    scn_status st = publish_read(&store->file, &page);
    if (st < 0)
        return st;
    struct publish_value *line = &page.line[PUBLISH_CHECKPOINT];
    line->epoch = file_session(&store->file);
    line->field[CHECKPOINT_GEN] = sb->gen;
    line->field[CHECKPOINT_BASE_LSN] = sb->base.lsn;
    line->field[CHECKPOINT_FREE_PAGES] = counted;
    return publish_write(&store->file, PUBLISH_CHECKPOINT, line);
}

scn_status peers_tell_gone(struct store *store, uint64_t floor)
{
    struct publish page;
    scn_status st = publish_read(&store->file, &page);
    if (st < 0)
        return st;
    struct publish_value *line = &page.line[PUBLISH_CHECKPOINT];
    if (!has_line(store, &page, PUBLISH_CHECKPOINT) ||
        line->field[CHECKPOINT_GONE_FLOOR] >= floor)
        return SCN_OK;
    line->field[CHECKPOINT_GONE_FLOOR] = floor;
    return publish_write(&store->file, PUBLISH_CHECKPOINT, line);
}

bool peers_have_given_up(struct store *store, uint64_t gen)
{
    struct publish page;
    if (!store_is_shared(store) || publish_read(&store->file, &page) < 0)
        return false;
    return is_other_session(store, &page) ||
           field_of(store, &page, PUBLISH_CHECKPOINT, CHECKPOINT_GONE_FLOOR) > gen;
}

scn_status peers_tell_dropping(struct store *store, uint64_t gen)
{
    struct publish page;
    if (!store_is_shared(store))
        return SCN_OK;
    scn_status st = publish_read(&store->file, &page);
    if (st < 0)
        return st;
    page.line[PUBLISH_CHECKPOINT].field[CHECKPOINT_DROPPING] = gen;
    return publish_write(&store->file, PUBLISH_CHECKPOINT,
                         &page.line[PUBLISH_CHECKPOINT]);
}

/* ---- sessions ---- */

scn_status peers_join(struct store *store)
{
    struct publish page;
    scn_status st = publish_read(&store->file, &page);
    if (st == SCN_OK && page.line[PUBLISH_SESSION].sequence == 0)
        st = damaged_page(store);
    if (st < 0)
        return st;
    apply_enter(store);
    st = go_along(store, &page, false);
    store->recovered.record_count = store->followed_records;
    apply_leave(store);
    return st;
}

static scn_status pin_current(struct store *store)
{
    scn_status st = pin_take(&store->pins, store->view->gen);
    if (st < 0)
        return st;
    store->sys->ops->mutex_lock(store->state_mutex);
    store->view->is_pinned = true;
    atomic_store(&store->pinned_gen, store->view->gen);
    store->sys->ops->mutex_unlock(store->state_mutex);
    return SCN_OK;
}

static void boot_fields(struct store *store, uint64_t out[2])
{
    uint8_t boot_id[16];
    store->sys->ops->boot_id(store->sys, boot_id);
    out[0] = get_u64(boot_id);
    out[1] = get_u64(boot_id + 8);
}

/* Recovery has looked at both slots: what a checkpoint of before was about to give up is
 * given up in this generation, or it is not.  Where it has fallen back, snapshots of this
 * generation begin anew. */
static scn_status tell_first_generation(struct store *store)
{
    struct publish_value *line = &store->page.line[PUBLISH_CHECKPOINT];
    line->field[CHECKPOINT_GEN] = store->superblock.gen;
    line->field[CHECKPOINT_BASE_LSN] = store->superblock.base.lsn;
    if (line->field[CHECKPOINT_GONE_FLOOR] > store->superblock.gen)
        line->field[CHECKPOINT_GONE_FLOOR] = store->superblock.gen;
    line->field[CHECKPOINT_DROPPING] = 0;
    line->field[CHECKPOINT_FREE_PAGES] = room_count_alone(store);
    return tell(store, PUBLISH_CHECKPOINT);
}

scn_status peers_begin_session(struct store *store)
{
    scn_status st = publish_read(&store->file, &store->page);
    if (st < 0)
        return st;
    struct publish_value *session = &store->page.line[PUBLISH_SESSION];
    atomic_store(&store->file.session, log_pending_epoch(store->log));
    log_begin_session(store->log);
    log_tell_synced(store->log, &store->page.line[PUBLISH_SYNC]);
    session->field[SESSION_START_LSN] = atomic_load(&store->epoch_start_lsn);
    session->field[SESSION_FOUND_LSN] = log_appended(store->log);
    session->field[SESSION_NEXT_GEN] = store->next_gen;
    boot_fields(store, &session->field[SESSION_BOOT_ID]);
    store->session_gen = store->next_gen;
    atomic_store(&store->known_gen, store->superblock.gen);
    st = peers_tell_append(store);
    if (st == SCN_OK)
        st = tell(store, PUBLISH_SYNC);
    if (st == SCN_OK)
        st = tell_first_generation(store);
    if (st == SCN_OK)
        st = tell(store, PUBLISH_SESSION);
    return st == SCN_OK ? pin_current(store) : st;
}

/* A session of no boot: see_no_more. */
scn_status peers_tell_nothing(struct store *store)
{
    struct publish page;
    scn_status st = publish_read(&store->file, &page);
    struct publish_value *session = &page.line[PUBLISH_SESSION];
    bool says_something =
        (session->field[SESSION_BOOT_ID] | session->field[SESSION_BOOT_ID + 1]) != 0;
    if (st < 0 || session->sequence == 0 || !says_something)
        return st;
    session->field[SESSION_BOOT_ID] = 0;
    session->field[SESSION_BOOT_ID + 1] = 0;
    return publish_write(&store->file, PUBLISH_SESSION, session);
}

/* The session's processes are gone and the machine is not: what readers saw who came
 * earlier is on the page, and this one must not see more, since the record behind it was
 * told to nobody. */
static void see_no_more(struct store *store, const struct publish *page)
{
    const struct publish_value *session = &page->line[PUBLISH_SESSION];
    uint64_t boot[2];
    boot_fields(store, boot);
    if (session->sequence == 0 || (boot[0] | boot[1]) == 0 ||
        session->field[SESSION_BOOT_ID] != boot[0] ||
        session->field[SESSION_BOOT_ID + 1] != boot[1])
        return;
    atomic_store(&store->file.session, session->epoch);
    uint64_t visible = visible_in(store, page);
    atomic_store(&store->file.session, 0);
    if (visible >= store->superblock.base.lsn && visible < log_appended(store->log))
        log_limit(store->log, visible);
}

scn_status peers_read_alone(struct store *store)
{
    struct publish page;
    scn_status st = publish_read(&store->file, &page);
    if (st < 0)
        return st;
    see_no_more(store, &page);
    atomic_store(&store->is_alone, true);
    store->last_session = page.line[PUBLISH_SESSION];
    return pin_current(store);
}

/* Nobody has a snapshot, and nobody begins one from here on.  In one step: a commit that
 * holds the append lock (scn_update) relies on the active delta. */
static bool stop_begins_if_idle(struct store *store)
{
    store->sys->ops->mutex_lock(store->state_mutex);
    bool is_idle = store->open_txns == NULL;
    if (is_idle)
        atomic_store(&store->has_gap, true);
    store->sys->ops->mutex_unlock(store->state_mutex);
    return is_idle;
}

/* What was read from the log is in the file, too: a process that does nothing for seconds
 * gives the memory back, and starts anew when it is asked again. */
static void shed(struct store *store)
{
    struct view *view = NULL;
    const struct superblock *sb = &store->superblock;
    apply_enter(store);
    /* A checkpoint of this process counts the sources. */
    bool is_free = !atomic_load(&store->has_gap) &&
                   atomic_load(&store->locks.owner[LOCK_CHECKPOINT]) == 0 &&
                   view_create(sb->gen, sb->base.lsn, &sb->catalog, NULL, 0, &view) ==
                       SCN_OK &&
                   stop_begins_if_idle(store);
    if (is_free) {
        store->active = NULL;
        store_forget_history(store, log_appended(store->log));
        store_install_view(store, view);
    } else {
        view_destroy(view);
    }
    apply_leave(store);
}

/* State mutex held.  So many rounds without a transaction. */
static uint32_t count_idle_rounds(struct store *store)
{
    bool is_idle = store->begin_count == store->rest_count &&
                   store->view->references == 1;
    store->rest_count = store->begin_count;
    store->rest_rounds = is_idle ? store->rest_rounds + 1 : 0;
    return store->rest_rounds;
}

void peers_rest(struct store *store)
{
    const struct sys_ops *ops = store->sys->ops;
    if (!store_is_shared(store) || atomic_load(&store->is_alone))
        return;
    ops->mutex_lock(store->state_mutex);
    struct view *view = store->view;
    uint32_t rounds = count_idle_rounds(store);
    if (rounds > 0 && view->is_pinned) {
        view->is_pinned = false;
        atomic_store(&store->pinned_gen, 0);
        pin_drop(&store->pins, view->gen);
    }
    uint64_t bytes = atomic_load(&store->delta_debt);
    ops->mutex_unlock(store->state_mutex);
    if (rounds > SHED_ROUNDS && bytes > SHED_BYTES)
        shed(store);
}
