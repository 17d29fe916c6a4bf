/* scn_update, the one-call writes, and waiting for durability. */
#include "engine/peers.h"
#include "engine/room.h"
#include "engine/txn.h"

enum {
    /* So many conflicts, then the append lock first. */
    OPTIMISTIC_TRIES = 3,
    PRIORITY_MS = 1000
};

/* What a conflict met may be appended and not yet visible: it has to become so, or the
 * next attempt meets it again.  Of this one nothing is written, whatever becomes of the
 * sync: where its session is over, the next attempt begins in the one after. */
static scn_status make_visible(struct store *store)
{
    uint64_t appended = log_appended(store->log);
    if (appended > store_visible(store) && log_sync(store->log, appended, 0) < 0)
        return file_check_poison(&store->file);
    return SCN_OK;
}

static void set_in_update(struct scn_txn *txn)
{
    const struct sys_ops *ops = txn->store->sys->ops;
    ops->mutex_lock(txn->store->state_mutex);
    txn->is_in_update = true;
    ops->mutex_unlock(txn->store->state_mutex);
}

/* With priority the append lock is held, and given up before the end calls: they may
 * write. */
static scn_status attempt(scn_db *db, scn_status (*fn)(scn_txn *, void *), void *ctx,
                          bool is_priority)
{
    struct store *store = db->store;
    struct scn_txn *txn;
    uint64_t lsn = 0;
    scn_status st = txn_begin_on(store, db, SCN_WRITE, &txn);
    if (st < 0) {
        if (is_priority)
            lock_give(&store->locks, LOCK_APPEND);
        return st;
    }
    uint64_t until = store->sys->ops->now_ns(store->sys) +
                     PRIORITY_MS * UINT64_C(1000000);
    set_in_update(txn);
    txn->is_priority = is_priority;
    atomic_fetch_add(&store->update_count, 1);
    st = fn(txn, ctx);
    atomic_fetch_sub(&store->update_count, 1);
    if (st == SCN_OK && is_priority && store->sys->ops->now_ns(store->sys) > until)
        st = error_set(
            SCN_BUSY, 0, 0, 0,
            "scn_update: the callback held all writers up for more than %d ms; make it "
            "shorter",
            PRIORITY_MS);
    if (st == SCN_OK)
        st = commit_txn(txn, &lsn);
    if (is_priority) {
        lock_give(&store->locks, LOCK_APPEND);
        room_after_commit(store);
    }
    txn_end(txn, st, lsn);
    return st;
}

/* With the append lock held nobody else commits between the snapshot and the end. */
static scn_status attempt_with_priority(scn_db *db, scn_status (*fn)(scn_txn *, void *),
                                        void *ctx)
{
    struct store *store = db->store;
    scn_status st = append_enter(store, store->options.busy_timeout_ms);
    if (st < 0)
        return st;
    apply_leave(store);
    st = make_visible(store);
    if (st == SCN_OK)
        return attempt(db, fn, ctx, true);
    lock_give(&store->locks, LOCK_APPEND);
    return st;
}

scn_status update_check_not_inside(struct store *store)
{
    uint64_t thread_id = store->sys->ops->thread_id(store->sys);
    bool is_nested = false;
    if (atomic_load(&store->update_count) == 0)
        return SCN_OK;
    store->sys->ops->mutex_lock(store->state_mutex);
    for (const struct scn_txn *open = store->open_txns; open; open = open->next)
        is_nested |= open->is_in_update && open->thread_id == thread_id;
    store->sys->ops->mutex_unlock(store->state_mutex);
    if (is_nested)
        return error_misuse(
            "inside scn_update, write through the transaction you were given");
    return SCN_OK;
}

static scn_status check_writable(const scn_db *db)
{
    scn_status st = db_check_write(db);
    return st < 0 ? st : update_check_not_inside(db->store);
}

scn_status scn_update(scn_db *db, scn_status (*fn)(scn_txn *, void *), void *ctx)
{
    scn_status st = check_writable(db);
    if (st < 0)
        return st;
    if (fn == NULL)
        return error_misuse("scn_update: the function is NULL");
    for (int i = 0; i < OPTIMISTIC_TRIES; i++) {
        st = attempt(db, fn, ctx, false);
        if (st != SCN_CONFLICT)
            return st;
        st = make_visible(db->store);
        if (st < 0)
            return st;
    }
    return attempt_with_priority(db, fn, ctx);
}

/* ---- one call ---- */

struct one_write {
    const char *table;
    scn_slice key;
    const scn_slice *value; /* NULL: delete */
};

static scn_status write_one(struct scn_txn *txn, const struct one_write *write)
{
    struct binding *binding;
    scn_table_id id;
    scn_status st = write_check_key(write->key);
    if (st == SCN_OK)
        st = scn_table(txn, write->table, write->value ? SCN_CREATE : 0, &id);
    if (st != SCN_OK)
        return st == SCN_NOTFOUND ? SCN_OK : st;
    if (write->value)
        return scn_put(txn, id, write->key, *write->value, SCN_PUT_BLIND);
    txn_enter(txn);
    st = catalog_bind_write(txn, id, &binding);
    if (st == SCN_OK)
        st = write_append(txn, id, write->key, DELTA_TOMBSTONE | DELTA_BLIND,
                          (scn_slice){NULL, 0});
    st = txn_leave(txn, st);
    return st;
}

/* Blind, so only the table's creation, drop or clearing can conflict: the store moved
 * on, and so the loop ends.  What is taken as it is may stand on a generation that is
 * lost. */
static scn_status run_one_write(scn_db *db, const struct one_write *write)
{
    scn_status st = check_writable(db);
    if (st < 0)
        return st;
    /* A put looks at nothing but its table, and whatever happened to that conflicts. */
    uint32_t first = write->value ? TXN_AS_IT_IS : 0;
    scn_status visible = SCN_OK;
    do {
        struct scn_txn *txn;
        uint64_t lsn = 0;
        bool is_as_it_is = first != 0;
        st = txn_begin_on(db->store, db, SCN_WRITE | SCN_SNAPSHOT | first, &txn);
        first = 0;
        if (st < 0)
            return st;
        st = write_one(txn, write);
        if (st == SCN_OK)
            st = commit_txn(txn, &lsn);
        txn_end(txn, st, lsn);
        if (st == SCN_SNAPSHOT_GONE && is_as_it_is)
            st = SCN_CONFLICT;
        if (st == SCN_CONFLICT)
            visible = make_visible(db->store);
    } while (st == SCN_CONFLICT && visible == SCN_OK);
    return visible < 0 ? visible : st;
}

scn_status scn_put1(scn_db *db, const char *table, scn_slice key, scn_slice value)
{
    return run_one_write(db, &(struct one_write){table, key, &value});
}

scn_status scn_del1(scn_db *db, const char *table, scn_slice key)
{
    return run_one_write(db, &(struct one_write){table, key, NULL});
}

/* ---- durability ---- */

static scn_status of_earlier_life(void)
{
    return error_set(SCN_UNKNOWN, 0, 0, 0,
                     "the LSN belongs to an earlier life of the log, from before the "
                     "store was opened or the file was recovered");
}

static scn_status unreadable(void)
{
    return error_set(SCN_UNKNOWN, 0, 0, 0,
                     "what other processes have committed cannot be read; look whether "
                     "the commit is there");
}

static scn_status not_durable_yet(void)
{
    return error_set(SCN_BUSY, 0, 0, 0, "the commit is not durable yet");
}

static scn_status wait_durable(struct store *store, uint64_t lsn, int32_t timeout_ms)
{
    if (lsn <= log_synced(store->log))
        return SCN_OK;
    if (timeout_ms == 0 && lsn <= log_appended(store->log))
        return not_durable_yet();
    return log_sync(store->log, lsn, 0);
}

/* The LSNs of a later life are above all of this one's: what is synced in it says nothing
 * of a commit that was lost between the two.  But where a session begins, its recovery
 * has made everything durable that snapshots see before the first commit. */
static scn_status wait_in_life(struct store *store, uint64_t lsn, int32_t timeout_ms)
{
    uint64_t life = log_life(store->log);
    if (lsn < atomic_load(&store->epoch_start_lsn) &&
        lsn != atomic_load(&store->found_lsn))
        return of_earlier_life();
    scn_status st = wait_durable(store, lsn, timeout_ms);
    return st == SCN_OK && log_life(store->log) != life ? of_earlier_life() : st;
}

/* Another process may have told of its commit, or have synced this one's: who has not
 * read that yet does so now.  Where it cannot be read nobody knows what the log has
 * there. */
scn_status scn_wait_durable(scn_db *db, uint64_t lsn, int32_t timeout_ms)
{
    scn_status st = db_check(db);
    if (st < 0 || db->store->is_read_only)
        return st;
    struct store *store = db->store;
    st = wait_in_life(store, lsn, timeout_ms);
    if (st != SCN_MISUSE && st != SCN_BUSY)
        return st;
    if (peers_follow(store) == SCN_OK)
        return wait_in_life(store, lsn, timeout_ms);
    return st == SCN_BUSY ? not_durable_yet() : unreadable();
}
