/* Reading what others have appended: see log.h, "With other processes". */
#include "wal/logstate.h"

#include "page/compress.h"
#include "page/mem.h"

static scn_status open_walk(struct log *log, bool is_short)
{
    scn_status st = SCN_OK;
    if (log->walk.block == NULL)
        st = log_walk_open(&log->walk, log->file, log->uuid, &log->at, false);
    if (st == SCN_OK && log->raw == NULL) {
        log->raw = mem_alloc(RECORD_PAYLOAD_MAX);
        st = log->raw ? SCN_OK : error_nomem();
    }
    log->walk.follows = true;
    log->walk.at = log->at;
    log_walk_refresh(&log->walk, is_short);
    return st;
}

static scn_status unpack(struct log *log, struct log_visit *visit)
{
    const struct log_walk *walk = &log->walk;
    visit->payload = walk->stored;
    visit->payload_len = walk->record.raw_len;
    if (!(walk->record.flags & RECORD_IS_LZ4))
        return SCN_OK;
    visit->payload = log->raw;
    if (decompress_block(walk->stored, walk->record.stored_len, log->raw,
                         walk->record.raw_len))
        return SCN_OK;
    return error_corrupt(walk->from.extent_pgno, walk->file_off,
                         "log: a record that does not decompress");
}

/* The chain is told first: it is what may have no memory, and being told twice does no
 * harm.  The pages may be those of an older extent that is not forgotten yet. */
static scn_status learn(struct log *log)
{
    const struct log_walk *walk = &log->walk;
    struct log_extent known;
    if (walk->record.type != RECORD_EXTENT ||
        log_chain_find(&log->chain, walk->next.number, &known))
        return SCN_OK;
    return log_chain_follow(&log->chain, &walk->next);
}

static void go_on(struct log *log)
{
    const struct log_walk *walk = &log->walk;
    bool begins = log->has_new_epoch && walk->record.lsn >= log->new_lsn;
    if (walk->record.lsn != walk->from.lsn && !begins)
        log_chain_jump(&log->chain, walk->record.lsn, walk->record.lsn - walk->from.lsn);
    if (!begins)
        atomic_store(&log->epoch, walk->at.epoch);
    else
        log->new_lsn = walk->record.lsn;
    log_advance(log, &walk->at);
}

/* An older session may have had the same epoch, but not the same LSNs [L1]. */
static bool is_of_session(const struct log *log, const struct record *record)
{
    return record->epoch == file_session(log->file) &&
           !(log->has_new_epoch && record->lsn < log->new_lsn);
}

/* Behind the published end only records of the session count.  One that chains on and is
 * older was cut by the recovery that began the session; it may still be in the page
 * cache. */
static scn_status visit_next(struct log *log, bool is_published, log_visit_fn fn,
                             void *ctx, bool *found)
{
    struct log_visit visit = {0};
    scn_status st = log_walk_follow(&log->walk, found);
    if (*found && !is_published && !is_of_session(log, &log->walk.record))
        *found = false;
    if (st != SCN_OK || !*found)
        return st;
    log_walk_describe(&log->walk, &visit);
    st = unpack(log, &visit);
    if (st == SCN_OK)
        st = learn(log);
    if (st == SCN_OK)
        st = fn(ctx, &visit);
    if (st < 0)
        return st;
    go_on(log);
    return SCN_OK;
}

void log_limit(struct log *log, uint64_t lsn)
{
    struct log_point point = log_point_of(&log->at);
    point.lsn = lsn; /* where it lies is of no matter: a reader syncs nothing */
    log_group_restart(&log->group, &point, file_session(log->file), true);
    point = log_point_of(&log->at);
    log_group_append(&log->group, &point);
}

scn_status log_follow(struct log *log, uint64_t limit, log_visit_fn fn, void *ctx,
                      bool *is_whole)
{
    bool found = true;
    bool is_second_look = false;
    scn_status st = log->at.lsn < limit ? open_walk(log, limit == UINT64_MAX) : SCN_OK;
    while (st == SCN_OK && log->at.lsn < limit) {
        st = visit_next(log, limit != UINT64_MAX, fn, ctx, &found);
        if (found || st != SCN_OK) {
            is_second_look = false;
            continue;
        }
        /* Somebody says that there is more: a bit may have been flipped on the way, or
         * the file is longer than it was. */
        if (limit == UINT64_MAX || is_second_look)
            break;
        is_second_look = true;
        log_walk_refresh(&log->walk, false);
        st = file_learn_size(log->file);
    }
    *is_whole = st == SCN_OK && (limit == UINT64_MAX || log->at.lsn >= limit);
    return st;
}
