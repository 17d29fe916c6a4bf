/* Background work: see background.h. */
#include "engine/background.h"

#include "engine/checkpoint.h"
#include "engine/peers.h"
#include "engine/room.h"
#include "engine/session.h"
#include "engine/txn.h"
#include "page/mem.h"

#define CURE_FIRST_NS UINT64_C(1000000000)
#define CURE_MAX_NS UINT64_C(60000000000)

struct background {
    struct store *store;
    struct sys_thread *thread;
    struct sys_mutex *mutex;
    struct sys_cond *cond;
    bool is_woken;   /* mutex */
    bool is_stopped; /* mutex */
};

/* ---- what there is to do ---- */

/* Nothing was appended for a while, and this process was the last who did.  Who comes
 * next has little to read then. */
static bool is_due_when_idle(struct store *store, uint64_t appended)
{
    enum { QUIET_ROUNDS = 10 };
    uint64_t own = atomic_load(&store->own_end_lsn);
    if (appended != own && appended != atomic_load(&store->marked_lsn))
        return false;
    if (own != atomic_exchange(&store->idle_lsn, own))
        atomic_store(&store->idle_rounds, 0);
    return atomic_fetch_add(&store->idle_rounds, 1) >= QUIET_ROUNDS &&
           room_is_worth_a_checkpoint(store);
}

/* A checkpoint that failed is tried again when something has changed: not in a loop. */
static scn_status checkpoint_when_due(struct store *store, bool *did_work)
{
    uint64_t appended = log_appended(store->log);
    if (!room_is_checkpoint_due(store) && !is_due_when_idle(store, appended))
        return SCN_OK;
    if (!atomic_load(&store->wants_drain) && atomic_load(&store->checkpoint_status) < 0 &&
        appended == atomic_load(&store->failed_at_lsn) && !room_is_exhausted(store))
        return SCN_OK;
    /* Another process is at it: it merges what is in the log for everybody. */
    if (lock_is_held_elsewhere(&store->locks, LOCK_CHECKPOINT))
        return SCN_OK;
    *did_work = true;
    return checkpoint_run(store, atomic_exchange(&store->wants_drain, false)
                                     ? CHECKPOINT_DRAIN
                                     : CHECKPOINT_PLAIN);
}

/* For commits of this process: who only follows needs none.  Where there is no room for
 * one, the commit that cannot do without is told. */
static scn_status extend_when_due(struct store *store, bool *did_work)
{
    uint64_t base = atomic_load(&store->base_lsn);
    if (log_spare_count(store->log) > 0 || atomic_load(&store->own_end_lsn) <= base ||
        log_bytes_since(store->log, base) < 65536)
        return SCN_OK;
    scn_status st = room_extend_for_commit(store, false, true);
    *did_work |= st != SCN_FULL;
    return st == SCN_FULL ? SCN_OK : st;
}

/* Lazy commits become durable some time. */
static scn_status sync_lazy(struct store *store, bool *did_work)
{
    uint64_t lazy = atomic_load(&store->lazy_lsn);
    if (lazy <= log_synced(store->log))
        return SCN_OK;
    *did_work = true;
    return log_sync(store->log, lazy, 0);
}

/* Another process has cured the file, and this one had not learnt it: it goes on in the
 * session after.  But a lazy commit of its own may be lost with the one before: that is
 * said once. */
static scn_status learn_of_cure(struct store *store, scn_status st)
{
    if (st != SCN_UNKNOWN || file_is_poisoned(&store->file))
        return st;
    scn_status followed = peers_follow(store);
    if (followed < 0 || !atomic_exchange(&store->has_untold_loss, false))
        return followed;
    return st;
}

/* After a quiet moment the last batch gets a witness: a record that says it was durable.
 */
static scn_status mark_when_quiet(struct store *store)
{
    uint64_t appended = log_appended(store->log);
    if (appended == atomic_load(&store->marked_lsn) ||
        appended != atomic_load(&store->own_end_lsn) ||
        log_synced(store->log) != appended)
        return SCN_OK;
    if (appended != atomic_exchange(&store->quiet_lsn, appended))
        return SCN_OK;
    return checkpoint_mark(store, true);
}

/* A transaction that is open for long would conflict, were its process not to read what
 * others commit meanwhile before it is recycled.  Who has found the file without a writer
 * holds pages of then until it has joined the session of one who came later.  And a file
 * that was poisoned may have been cured. */
static scn_status look_at_others(struct store *store)
{
    peers_rest(store);
    bool is_due = store_has_writers(store) || atomic_load(&store->is_alone) ||
                  file_is_poisoned(&store->file);
    return store_is_shared(store) && is_due ? peers_follow(store) : SCN_OK;
}

/* What failed may work again: after a second, then after two, and so on up to a minute.
 * Whoever opens the file meanwhile does not wait for that. */
static scn_status cure_when_due(struct store *store)
{
    uint64_t now = store->sys->ops->now_ns(store->sys);
    uint64_t pause = atomic_load(&store->cure_pause_ns);
    if (!file_is_poisoned(&store->file) || !store_is_shared(store)) {
        atomic_store(&store->cure_pause_ns, 0);
        return SCN_OK;
    }
    if (pause == 0 || now >= atomic_load(&store->cure_ns)) {
        bool is_first = pause == 0;
        pause = is_first ? CURE_FIRST_NS : pause * 2;
        atomic_store(&store->cure_pause_ns, pause < CURE_MAX_NS ? pause : CURE_MAX_NS);
        atomic_store(&store->cure_ns, now + pause);
        return is_first ? SCN_OK : session_cure(store);
    }
    return SCN_OK;
}

/* What is due now.  Who only reads has nothing to do but to hold nothing back.  A full
 * disk that allows no new extent must not keep the checkpoint from making room. */
static scn_status do_round(struct store *store, bool *did_work)
{
    *did_work = false;
    scn_status st = look_at_others(store);
    if (store->is_read_only)
        return st;
    if (st == SCN_OK || file_is_poisoned(&store->file))
        st = cure_when_due(store); /* there may be nothing left that could be followed */
    if (st == SCN_OK)
        st = file_check_poison(&store->file);
    if (st == SCN_OK)
        st = learn_of_cure(store, sync_lazy(store, did_work));
    if (st < 0)
        return st;
    scn_status extended = extend_when_due(store, did_work);
    st = checkpoint_when_due(store, did_work);
    if (st == SCN_OK)
        st = extended;
    if (st == SCN_OK && !*did_work)
        st = learn_of_cure(store, mark_when_quiet(store));
    return st;
}

/* ---- the thread ---- */

/* False: stop. */
static bool wait_for_work(struct background *background)
{
    struct store *store = background->store;
    const struct sys_ops *ops = store->sys->ops;
    uint64_t interval = store->options.lazy_interval_ms;
    uint64_t until = ops->now_ns(store->sys) +
                     (interval ? interval : IDLE_MS) * UINT64_C(1000000);
    bool in_time = true;
    ops->mutex_lock(background->mutex);
    while (in_time && !background->is_woken && !background->is_stopped)
        in_time = ops->cond_wait(background->cond, background->mutex, until);
    background->is_woken = false;
    bool goes_on = !background->is_stopped;
    ops->mutex_unlock(background->mutex);
    return goes_on;
}

/* Who waits for a checkpoint looks again: after a failure there may be none (room_wait).
 */
static void wake_waiters(struct store *store)
{
    const struct sys_ops *ops = store->sys->ops;
    ops->mutex_lock(store->state_mutex);
    ops->mutex_unlock(store->state_mutex);
    ops->cond_wake_all(store->space_cond);
}

static void run(void *arg)
{
    struct background *background = arg;
    struct store *store = background->store;
    const struct scn_hooks *hooks = &store->options.hooks;
    scn_status told = SCN_OK;
    while (wait_for_work(background)) {
        bool did_work;
        scn_status st = do_round(store, &did_work);
        if (st < 0)
            wake_waiters(store);
        /* The host hears of it, too, once while it stays the same. */
        if (st < 0 && st != told && hooks->log)
            hooks->log(hooks->user, st, error_last()->text);
        told = st;
    }
}

void background_wake(struct background *background)
{
    const struct sys_ops *ops = background->store->sys->ops;
    ops->mutex_lock(background->mutex);
    bool was_woken = background->is_woken;
    background->is_woken = true;
    ops->mutex_unlock(background->mutex);
    if (!was_woken)
        ops->cond_wake_all(background->cond);
}

static void background_free(struct background *background)
{
    const struct sys_ops *ops = background->store->sys->ops;
    if (background->cond)
        ops->cond_destroy(background->cond);
    if (background->mutex)
        ops->mutex_destroy(background->mutex);
    mem_free(background);
}

scn_status background_start(struct store *store)
{
    const struct sys_ops *ops = store->sys->ops;
    struct background *background = mem_zalloc(sizeof *background);
    if (background == NULL)
        return error_nomem();
    background->store = store;
    int failed = ops->mutex_create(store->sys, &background->mutex);
    if (failed == 0)
        failed = ops->cond_create(store->sys, &background->cond);
    if (failed == 0) {
        store->background = background;
        failed = ops->thread_start(store->sys, run, background, &background->thread);
    }
    if (failed) {
        store->background = NULL;
        background_free(background);
        return error_sys(-failed, 0,
                         "the background thread cannot be started; "
                         "SCN_NOTHREAD does without");
    }
    return SCN_OK;
}

void background_stop(struct background *background)
{
    if (background == NULL)
        return;
    const struct sys_ops *ops = background->store->sys->ops;
    ops->mutex_lock(background->mutex);
    background->is_stopped = true;
    ops->mutex_unlock(background->mutex);
    ops->cond_wake_all(background->cond);
    ops->thread_join(background->thread);
    background_free(background);
}

scn_status scn_tick(scn_db *db, uint32_t budget_ms)
{
    scn_status st = db_check(db);
    if (st == SCN_OK)
        st = checkpoint_check_caller(db->store);
    if (st < 0)
        return st;
    struct store *store = db->store;
    const struct sys_ops *ops = store->sys->ops;
    uint64_t until = ops->now_ns(store->sys) + budget_ms * UINT64_C(1000000);
    bool did_work;
    do {
        st = do_round(store, &did_work);
    } while (st == SCN_OK && did_work && ops->now_ns(store->sys) < until);
    return st;
}
