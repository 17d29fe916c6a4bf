/* Sessions: see session.h. */
#include "engine/session.h"

#include "engine/checkpoint.h"
#include "engine/peers.h"
#include "engine/recovery.h"
#include "engine/room.h"

enum {
    NS_PER_MS = 1000000,
    /* Between two tries of who waits for another process to go. */
    PAUSE_MS = 5,
    /* The last one out takes GATE: who opens gives it back soon. */
    CLOSE_GATE_MS = 1000,
    CURE_POOL_PAGES = 16
};

/* ---- waiting ---- */

/* To find out who is in the way takes as long as a pause: the last try does, which comes
 * after the deadline. */
static void note_time(struct store *store, uint64_t deadline_ns)
{
    store->locks.tries_again = store->sys->ops->now_ns(store->sys) < deadline_ns;
}

/* False when that was the last try. */
static bool pause_until(struct store *store, uint64_t deadline_ns)
{
    const struct sys_ops *ops = store->sys->ops;
    uint64_t now = ops->now_ns(store->sys);
    if (!store->locks.tries_again)
        return false;
    ops->mutex_lock(store->state_mutex);
    (void)ops->cond_wait(store->space_cond, store->state_mutex,
                         now + (uint64_t)PAUSE_MS * NS_PER_MS);
    ops->mutex_unlock(store->state_mutex);
    note_time(store, deadline_ns);
    return true;
}

/* Of a number of tries, which begin. */
static uint64_t deadline_of(struct store *store)
{
    uint64_t deadline_ns = store->sys->ops->now_ns(store->sys) +
                           store->options.busy_timeout_ms * (uint64_t)NS_PER_MS;
    note_time(store, deadline_ns);
    return deadline_ns;
}

/* ---- alone ---- */

/* Neither writers nor readers. */
static scn_status attach_alone(struct store *store)
{
    scn_status st = lock_attach(&store->locks, LOCK_ATTACH, SYS_EXCLUSIVE);
    return st == SCN_OK ? lock_attach(&store->locks, LOCK_READER, SYS_EXCLUSIVE) : st;
}

/* Who does not come in lets ATTACH go before GATE: a reader takes whoever has it for one
 * of the page's session, which may be over [Y1]. */
static scn_status leave_gate(struct store *store, scn_status st)
{
    if (st < 0)
        lock_detach(&store->locks, LOCK_ATTACH);
    lock_give(&store->locks, LOCK_GATE);
    return st;
}

/* Nobody else may come: kernel locks behind these are of no use. */
static scn_status open_exclusively(struct store *store)
{
    uint64_t until = deadline_of(store);
    scn_status st = lock_take(&store->locks, LOCK_GATE, store->options.busy_timeout_ms);
    if (st < 0)
        return st;
    do {
        st = attach_alone(store);
    } while (st == SCN_BUSY && pause_until(store, until));
    store->locks.is_exclusive = st == SCN_OK;
    if (st == SCN_OK)
        st = recovery_run(store);
    if (st == SCN_OK)
        st = peers_tell_nothing(store);
    return leave_gate(store, st);
}

/* Where locks lie, too; what cannot be known is no reason to keep others out. */
static scn_status must_be_alone(struct store *store, bool *is_so)
{
    struct sys_stat stat;
    int failed = store->sys->ops->stat(store->file.handle, &stat);
    if (failed)
        return error_sys(failed, 0, "session: cannot look whether locks work on %.120s",
                         store->file.path);
    *is_so = stat.has_lying_locks || (store->options.flags & SCN_EXCLUSIVE);
    return SCN_OK;
}

/* ---- among others ---- */

/* Nobody else appends or syncs: without the kernel's locks.  But others may have
 * snapshots, and pages that they have grown the file by. */
static scn_status recover_undisturbed(struct store *store)
{
    store->locks.is_exclusive = true;
    store->locks.sees_others = true;
    scn_status st = recovery_run(store);
    store->locks.is_exclusive = false;
    store->locks.sees_others = false;
    return st;
}

static scn_status recover(struct store *store)
{
    scn_status st = recover_undisturbed(store);
    if (st == SCN_OK)
        st = peers_begin_session(store);
    return st == SCN_OK ? lock_attach(&store->locks, LOCK_ATTACH, SYS_SHARED) : st;
}

/* ---- the cure ---- */

static scn_status not_there(const char *path)
{
    return error_set(SCN_MOVED, 0, 0, 0, "%.160s is another file now, or none", path);
}

/* The session has processes, so what its page says is true [U1]. */
static uint64_t told_synced(const struct publish *page)
{
    const struct publish_value *session = &page->line[PUBLISH_SESSION];
    const struct publish_value *synced = &page->line[PUBLISH_SYNC];
    bool is_told = session->sequence && synced->sequence &&
                   synced->epoch == session->epoch;
    return is_told ? synced->field[SYNC_LSN] : 0;
}

/* As after a crash, by a store of its own: it opens the file anew, so that it reads what
 * is there and sees no error of before. */
static scn_status recover_aside(struct store *store, const char *path,
                                const struct publish *page)
{
    struct store *other;
    uint64_t old_session = page->line[PUBLISH_SESSION].epoch;
    struct store_options options = store->options;
    options.pool_bytes = CURE_POOL_PAGES * (uint64_t)PAGE_BYTES;
    options.flags |= SCN_NOCREATE;
    scn_status st = store_prepare(store->sys, path, &options, &other);
    if (st != SCN_OK)
        return st < 0 ? st : not_there(path);
    bool is_same = other->file.device == store->file.device &&
                   other->file.inode == store->file.inode;
    other->told_synced_lsn = told_synced(page);
    st = is_same ? recover_undisturbed(other) : not_there(path);
    /* Those who look meanwhile are to know what they see (engine/peers.c: has_line).  Not
     * before it is sure that the file can be recovered: they may be in good health. */
    if (st == SCN_OK && old_session)
        publish_poison(&other->file, old_session);
    if (st == SCN_OK)
        st = peers_begin_session(other);
    store_destroy(other);
    return st;
}

/* Another process has done it, and this one may be in the new session by now. */
static bool is_cured(const struct publish *page, uint64_t poisoned)
{
    const struct publish_value *session = &page->line[PUBLISH_SESSION];
    const struct publish_value *poison = &page->line[PUBLISH_POISON];
    bool is_poisoned = poison->sequence != 0 && poison->epoch == session->epoch;
    return session->sequence != 0 && session->epoch != poisoned && !is_poisoned;
}

/* With all locks: nobody appends, syncs, or makes a checkpoint meanwhile; who reads goes
 * on with what he has. */
static scn_status cure_locked(struct store *store, const char *path,
                              uint64_t poisoned)
{
    struct publish page;
    scn_status st = publish_read(&store->file, &page);
    if (st < 0 || (store->view != NULL && is_cured(&page, poisoned)))
        return st;
    return recover_aside(store, path, &page);
}

/* GATE held. */
static scn_status cure(struct store *store, const char *path, uint64_t poisoned)
{
    static const enum lock_kind kinds[] = {LOCK_CHECKPOINT, LOCK_APPEND, LOCK_SYNC};
    enum { KINDS = sizeof kinds / sizeof *kinds };
    scn_status st = SCN_OK;
    int held = 0;
    while (held < KINDS && st == SCN_OK) {
        st = lock_take(&store->locks, kinds[held], store->options.busy_timeout_ms);
        held += st == SCN_OK;
    }
    if (st == SCN_OK)
        st = cure_locked(store, path, poisoned);
    while (held > 0)
        lock_give(&store->locks, kinds[--held]);
    return st;
}

/* 0: none that this process knows of.  Under the apply lock, since another thread may
 * come into the session after it, which is in good health. */
static uint64_t find_poisoned(struct store *store)
{
    apply_enter(store);
    uint64_t session = file_is_poisoned(&store->file) ? file_session(&store->file) : 0;
    apply_leave(store);
    return session;
}

scn_status session_cure_by(struct store *store, const char *path)
{
    scn_status st = lock_take(&store->locks, LOCK_GATE, store->options.busy_timeout_ms);
    if (st < 0)
        return st;
    st = cure(store, path, find_poisoned(store));
    lock_give(&store->locks, LOCK_GATE);
    return st == SCN_OK ? peers_follow(store) : st;
}

scn_status session_cure(struct store *store)
{
    return session_cure_by(store, store->file.path);
}

/* Who comes to a file that others have poisoned, or left while they cured it.  What he
 * should see of it may be lost. */
static scn_status join(struct store *store)
{
    scn_status st = peers_join(store);
    bool is_lost = st == SCN_CORRUPT || st == SCN_POISONED;
    if (!is_lost && (st < 0 || !file_is_poisoned(&store->file)))
        return st;
    st = cure(store, store->file.path, file_session(&store->file));
    return st == SCN_OK ? peers_join(store) : st;
}

/* GATE held.  SCN_BUSY: somebody has the file for himself.  Who was met at the first try
 * may be gone at the second: if he was exclusive, nobody lives, and what the page says is
 * from before him.  So who has the lock tries once more whether he is alone [Y1]. */
static scn_status attach(struct store *store)
{
    scn_status st = lock_attach_alone(&store->locks, LOCK_ATTACH);
    if (st == SCN_OK)
        return recover(store);
    if (st == SCN_BUSY)
        st = lock_attach(&store->locks, LOCK_ATTACH, SYS_SHARED);
    if (st < 0)
        return st;
    st = lock_attach_alone(&store->locks, LOCK_ATTACH);
    if (st == SCN_OK)
        return recover(store);
    return st == SCN_BUSY ? join(store) : st;
}

static scn_status read_beside(struct store *store)
{
    if (lock_is_held_elsewhere(&store->locks, LOCK_ATTACH))
        return peers_join(store);
    scn_status st = recovery_run(store);
    return st == SCN_OK ? peers_read_alone(store) : st;
}

/* Who finds the file taken gives GATE back while it waits: else nobody could leave. */
static scn_status open_shared(struct store *store)
{
    uint64_t until = deadline_of(store);
    scn_status st;
    do {
        st = lock_take(&store->locks, LOCK_GATE, store->options.busy_timeout_ms);
        if (st < 0)
            return st;
        st = leave_gate(store, attach(store));
    } while (st == SCN_BUSY && store->view == NULL && pause_until(store, until));
    return st;
}

static scn_status open_to_read(struct store *store)
{
    uint64_t until = deadline_of(store);
    scn_status st;
    do {
        st = lock_take_shared(&store->locks, LOCK_GATE, store->options.busy_timeout_ms);
        if (st < 0)
            return st;
        st = lock_attach(&store->locks, LOCK_READER, SYS_SHARED);
        if (st == SCN_OK)
            st = read_beside(store);
        lock_give(&store->locks, LOCK_GATE);
    } while (st == SCN_BUSY && store->view == NULL && pause_until(store, until));
    return st;
}

static scn_status open_as_asked(struct store *store)
{
    bool is_alone = false;
    if (store->is_read_only)
        return open_to_read(store);
    scn_status st = must_be_alone(store, &is_alone);
    if (st < 0)
        return st;
    return is_alone ? open_exclusively(store) : open_shared(store);
}

scn_status session_open(struct store *store)
{
    scn_status st = open_as_asked(store);
    store->locks.tries_again = false;
    return st;
}

/* ---- going ---- */

static void tell_host(struct store *store, scn_status st)
{
    if (st < 0 && store->options.hooks.log)
        store->options.hooks.log(store->options.hooks.user, st, error_last()->text);
}

/* The next open has little to replay, and a witness that all of it was durable. */
static void tidy_up(struct store *store)
{
    if (file_is_poisoned(&store->file))
        return;
    if (room_is_worth_a_checkpoint(store))
        tell_host(store, checkpoint_run(store, CHECKPOINT_PLAIN));
    uint64_t end = log_appended(store->log);
    if (end == atomic_load(&store->marked_lsn) || end == store->recovered.end.lsn)
        return;
    scn_status st = end > log_synced(store->log) ? log_sync(store->log, end, 0) : SCN_OK;
    if (st == SCN_OK && !file_is_poisoned(&store->file))
        st = checkpoint_mark(store, false);
    tell_host(store, st);
}

/* Under GATE nobody comes, so who gets ATTACH for itself is the last one. */
static void leave_last(struct store *store)
{
    if (lock_take(&store->locks, LOCK_GATE, CLOSE_GATE_MS) < 0)
        return;
    if (lock_attach_alone(&store->locks, LOCK_ATTACH) == SCN_OK) {
        scn_status st = append_enter(store, store->options.busy_timeout_ms);
        if (st == SCN_OK) {
            append_leave(store);
            tidy_up(store);
        }
        tell_host(store, st);
    }
    lock_give(&store->locks, LOCK_GATE);
}

scn_status session_close(struct store *store)
{
    if (store->is_read_only)
        return SCN_OK;
    uint64_t end = atomic_load(&store->own_end_lsn);
    scn_status st = end > log_synced(store->log) ? log_sync(store->log, end, 0) : SCN_OK;
    if (st == SCN_OK && store_is_shared(store))
        leave_last(store);
    else if (st == SCN_OK)
        tidy_up(store);
    if (st == SCN_OK && atomic_load(&store->has_lost_lazy))
        st = error_set(SCN_UNKNOWN, 0, 0, 0,
                       "the file was recovered after a failed sync: lazy commits of this "
                       "process may be lost");
    return st < 0 ? error_in_doubt() : SCN_OK;
}
