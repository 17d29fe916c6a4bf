#include "wal/group.h"

scn_status log_group_init(struct log_group *group, struct sys *sys,
                          const struct log_point *appended,
                          const struct log_point *synced)
{
    *group = (struct log_group){.sys = sys, .appended = *appended, .synced = *synced};
    atomic_store(&group->appended_lsn, appended->lsn);
    atomic_store(&group->synced_lsn, synced->lsn);
    int failed = sys->ops->mutex_create(sys, &group->mutex);
    if (failed == 0)
        failed = sys->ops->cond_create(sys, &group->cond);
    if (failed < 0)
        return error_sys(-failed, 0, "log: no mutex for group commit");
    return SCN_OK;
}

void log_group_destroy(struct log_group *group)
{
    ASSERT(!group->is_leading);
    if (group->cond)
        group->sys->ops->cond_destroy(group->cond);
    if (group->mutex)
        group->sys->ops->mutex_destroy(group->mutex);
    group->cond = NULL;
    group->mutex = NULL;
}

void log_group_append(struct log_group *group, const struct log_point *point)
{
    group->sys->ops->mutex_lock(group->mutex);
    ASSERT(point->lsn >= group->appended.lsn);
    group->appended = *point;
    atomic_store(&group->appended_lsn, point->lsn);
    group->sys->ops->mutex_unlock(group->mutex);
}

/* Never back: what others have synced is learnt in any order. */
static void set_synced(struct log_group *group, const struct log_point *point)
{
    if (point->lsn < group->synced.lsn)
        return;
    group->synced = *point;
    atomic_store(&group->synced_lsn, point->lsn);
}

void log_group_synced(struct log_group *group, struct log_point *out)
{
    group->sys->ops->mutex_lock(group->mutex);
    *out = group->synced;
    group->sys->ops->mutex_unlock(group->mutex);
}

void log_group_settle(struct log_group *group, const struct log_point *point)
{
    group->sys->ops->mutex_lock(group->mutex);
    set_synced(group, point);
    group->sys->ops->mutex_unlock(group->mutex);
}

void log_group_restart(struct log_group *group, const struct log_point *point,
                       uint64_t session, bool is_new_life)
{
    const struct sys_ops *ops = group->sys->ops;
    ops->mutex_lock(group->mutex);
    group->session = session;
    group->appended = *point;
    atomic_store(&group->appended_lsn, point->lsn);
    if (is_new_life) {
        group->synced = *point;
        atomic_store(&group->synced_lsn, point->lsn);
        group->has_failed = false;
        atomic_fetch_add(&group->life, 1);
    } else {
        set_synced(group, point);
    }
    ops->mutex_unlock(group->mutex);
    ops->cond_wake_all(group->cond);
}

void log_group_set_place(struct log_group *group, enum log_group_place place)
{
    const struct sys_ops *ops = group->sys->ops;
    ops->mutex_lock(group->mutex);
    group->place = place;
    ops->mutex_unlock(group->mutex);
    ops->cond_wake_all(group->cond);
}

/* Mutex held.  Others append while the leader waits; one who does not want to wait ends
 * it. */
static void gather(struct log_group *group, uint32_t window_ms)
{
    const struct sys_ops *ops = group->sys->ops;
    uint64_t deadline_ns = ops->now_ns(group->sys) + (uint64_t)window_ms * 1000000;
    while (!group->is_hurried && ops->cond_wait(group->cond, group->mutex, deadline_ns))
        continue;
}

/* Mutex held before and after, not during the sync. */
static scn_status lead(struct log_group *group, uint32_t window_ms,
                       log_group_sync_fn sync, void *ctx)
{
    const struct sys_ops *ops = group->sys->ops;
    group->is_leading = true;
    group->is_hurried = window_ms == 0;
    if (!group->is_hurried)
        gather(group, window_ms);
    struct log_point from = group->synced;
    struct log_point to = group->appended; /* [Q1] */
    group->led_session = group->session;
    uint64_t life = atomic_load(&group->life);
    ops->mutex_unlock(group->mutex);
    scn_status st = sync(ctx, &from, &to);
    ops->mutex_lock(group->mutex);
    if (st == SCN_OK && life == atomic_load(&group->life))
        set_synced(group, &to);
    else if (life == atomic_load(&group->life))
        group->has_failed = true;
    group->is_leading = false;
    ops->cond_wake_all(group->cond);
    return st;
}

static scn_status not_appended(uint64_t lsn)
{
    return error_misuse("log: lsn %llu is not appended yet", (unsigned long long)lsn);
}

static scn_status place_is_lost(void)
{
    return error_set(SCN_UNKNOWN, 0, 0, 0,
                     "log: it could not be read anew, and where the commit lies in it is "
                     "not known; look whether it is there");
}

/* Mutex held.  Ends: each turn leads a sync that covers lsn, or waits for the end of
 * another's, or for who reads the log up to there. */
static scn_status wait_or_lead(struct log_group *group, uint64_t lsn, uint32_t window_ms,
                               log_group_sync_fn sync, void *ctx)
{
    const struct sys_ops *ops = group->sys->ops;
    uint64_t life = atomic_load(&group->life);
    bool was_appended = lsn <= group->appended.lsn;
    while (atomic_load(&group->life) == life && group->synced.lsn < lsn) {
        if (group->has_failed)
            return error_set(
                SCN_UNKNOWN, 0, 0, 0,
                "log: a sync failed; reopen the store to learn what was kept");
        if (lsn > group->appended.lsn) {
            /* A sync would end before it. */
            if (group->place != LOG_PLACE_ANEW)
                return was_appended || group->place == LOG_PLACE_LOST
                           ? place_is_lost()
                           : not_appended(lsn);
            (void)ops->cond_wait(group->cond, group->mutex, 0);
            continue;
        }
        if (!group->is_leading) {
            if (lead(group, window_ms, sync, ctx) != SCN_OK)
                return error_in_doubt();
            continue;
        }
        if (window_ms == 0 && !group->is_hurried) {
            group->is_hurried = true;
            ops->cond_wake_all(group->cond);
        }
        (void)ops->cond_wait(group->cond, group->mutex, 0);
    }
    if (atomic_load(&group->life) != life)
        return error_set(SCN_UNKNOWN, 0, 0, 0,
                         "log: the file was recovered after a failed sync; look whether "
                         "the commit is there");
    return SCN_OK;
}

scn_status log_group_wait(struct log_group *group, uint64_t lsn, uint32_t window_ms,
                          log_group_sync_fn sync, void *ctx)
{
    if (atomic_load(&group->synced_lsn) >= lsn)
        return SCN_OK;
    group->sys->ops->mutex_lock(group->mutex);
    scn_status st = wait_or_lead(group, lsn, window_ms, sync, ctx);
    group->sys->ops->mutex_unlock(group->mutex);
    return st;
}
