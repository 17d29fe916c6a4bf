/* Room in the log: see room.h. */
#include "engine/room.h"

#include "engine/background.h"
#include "engine/checkpoint.h"

static uint64_t log_bytes(struct store *store)
{
    return log_bytes_since(store->log, atomic_load(&store->base_lsn));
}

bool room_is_checkpoint_due(struct store *store)
{
    return log_bytes(store) > store->options.log_bytes / 2 ||
           atomic_load(&store->delta_debt) > 2 * store->options.log_bytes ||
           atomic_load(&store->run_count) > RUN_COUNT_HIGH;
}

bool room_is_exhausted(struct store *store)
{
    return log_bytes(store) > store->options.log_bytes ||
           atomic_load(&store->delta_debt) > 8 * store->options.log_bytes ||
           atomic_load(&store->run_count) > 4 * RUN_COUNT_HIGH;
}

static scn_status wait_for_thread(struct store *store, uint64_t deadline_ns)
{
    const struct sys_ops *ops = store->sys->ops;
    uint64_t seen = atomic_load(&store->checkpoint_number);
    bool in_time = true;
    background_wake(store->background);
    ops->mutex_lock(store->state_mutex);
    while (in_time && atomic_load(&store->checkpoint_number) == seen)
        in_time = ops->cond_wait(store->space_cond, store->state_mutex, deadline_ns);
    ops->mutex_unlock(store->state_mutex);
    if (!in_time)
        return error_set(
            SCN_BUSY, 0, 0, 0,
            "the log is full and the checkpoint that empties it takes longer than "
            "busy_timeout; give the store a larger log or more time");
    return SCN_OK;
}

scn_status room_wait(struct store *store, uint64_t deadline_ns)
{
    scn_status st = store->background ? wait_for_thread(store, deadline_ns)
                                      : checkpoint_run(store, CHECKPOINT_PLAIN);
    if (st < 0)
        return st;
    st = atomic_load(&store->checkpoint_status);
    if (st < 0)
        return error_set(
            st, 0, 0, 0,
            "the log is full and the checkpoint that would empty it failed: %s",
            scn_strerror(st));
    return SCN_OK;
}

scn_status room_grow(struct store *store, uint32_t pages, bool has_append, uint32_t *pgno)
{
    if (!has_append) {
        scn_status st = lock_take(&store->locks, LOCK_APPEND,
                                  store->options.busy_timeout_ms);
        if (st < 0)
            return st;
    }
    scn_status st = file_grow(&store->file, pages, pgno);
    if (st == SCN_OK) {
        st = space_reserve(store->space, *pgno, pages);
        if (st < 0)
            /* The pages stay unreferenced: free at the next checkpoint. */
            *pgno = 0;
    }
    if (!has_append)
        lock_give(&store->locks, LOCK_APPEND);
    return st;
}

static scn_status make_spare(struct store *store, bool has_append)
{
    struct log_spare spare = {0, LOG_EXTENT_PAGES};
    scn_status st = room_grow(store, spare.pages, has_append, &spare.pgno);
    if (st < 0)
        return st;
    st = log_prepare_extent(&store->file, spare.pgno, spare.pages);
    if (st == SCN_OK && !has_append)
        st = lock_take(&store->locks, LOCK_APPEND, store->options.busy_timeout_ms);
    if (st == SCN_OK) {
        st = log_add_spare(store->log, spare);
        if (!has_append)
            lock_give(&store->locks, LOCK_APPEND);
    }
    if (st < 0)
        space_unreserve(store->space, spare.pgno, spare.pages);
    return st;
}

scn_status room_extend(struct store *store, bool has_append)
{
    scn_status st = SCN_OK;
    if (has_append)
        return log_spare_count(store->log) ? SCN_OK : make_spare(store, true);
    store->sys->ops->mutex_lock(store->extend_mutex);
    if (log_spare_count(store->log) == 0)
        st = make_spare(store, false);
    store->sys->ops->mutex_unlock(store->extend_mutex);
    return st;
}

void room_after_commit(struct store *store)
{
    if (store->background &&
        (room_is_checkpoint_due(store) || log_spare_count(store->log) == 0))
        background_wake(store->background);
}
