/* Making the log durable.
 *
 * A record is written twice.  log_append writes it into the page cache; a sync writes the
 * same bytes again with SYS_DSYNC.  That costs no more than either alone, and the durable
 * write waits for these bytes only, where a sync of the file would wait for every page
 * that a checkpoint has just written beside them.  Where the range crosses an extent
 * (once a MiB) or is long, its bytes are written without waiting and one sync of the file
 * covers them: heads, links and EXTENT records included [L5].
 *
 * Because every byte between what is durable and what is to be is written again, it is of
 * no matter who tried before.  A process may have failed at a sync and died before it
 * could tell: the pages it lost are clean, and a sync alone would pass over them.
 *
 * What was read is not written before it has been verified: a bit that was flipped on the
 * way would cut the log there.  What does not verify at a second look is lost, and fails
 * the sync: nothing may be acknowledged behind it.
 */
#include "wal/logstate.h"

#include "page/publish.h"

/* Longer ranges are synced through the file: the pages then outweigh what else is
 * dirty. */
enum { SYNC_PIECE_BYTES = 256 * 1024, SYNC_COUNTED_NS = 1000000 };

/* ---- the bytes ---- */

/* An earlier session may have had the same LSNs, if a power cut has taken what led to
 * them and left the rest. */
static bool is_of_session(const struct log *log, uint64_t lsn, uint64_t epoch)
{
    return lsn < atomic_load(&log->new_lsn) || epoch == atomic_load(&log->new_epoch);
}

/* The length of the records at the start of the piece, up to and with the first that
 * leads on; 0 when one of them is damaged, or of an earlier life of the extent, whose
 * LSNs are lower or whose epoch is another: that is whole as well, and may be as long as
 * what was lost. */
static uint64_t records_len(struct log *log, uint64_t len)
{
    uint64_t lsn = log->piece_lsn;
    uint64_t done = 0;
    bool leads_on = false;
    while (done < len && !leads_on) {
        const uint8_t *at = log->piece + done;
        struct record record;
        if (!record_decode(at, len - done, &record) ||
            !record_crc_matches(&record, at) || record.lsn < lsn ||
            !is_of_session(log, record.lsn, record.epoch))
            return 0;
        lsn = record.lsn + record_bytes(record.stored_len);
        done += record_bytes(record.stored_len);
        leads_on = record.type == RECORD_EXTENT;
    }
    log->piece_lsn = lsn;
    return done;
}

static scn_status lost(struct log *log, uint64_t off)
{
    return error_set(SCN_IO, 0, off / PAGE_BYTES, off,
                     "log: what was written to %s is not there any more",
                     log->file->path);
}

/* The records of these bytes, whole up to the end or to one that leads on: *len is how
 * long.  What does not verify is read once more; a bit may have been flipped on the way.
 * Then it is gone: somebody has failed at a sync, and what is chained behind it would be
 * cut off by a recovery. */
static scn_status read_records(struct log *log, uint64_t off, uint64_t *len)
{
    uint64_t whole = 0;
    for (int i = 0; i < 2 && whole == 0; i++) {
        scn_status st = file_read(log->file, off, log->piece, *len, 0);
        if (st != SCN_OK)
            return st;
        whole = records_len(log, *len);
    }
    if (whole == 0 && *len > 0)
        return lost(log, off);
    *len = whole;
    return SCN_OK;
}

/* [L5]: one extent and not long, so these bytes are the whole range. */
static scn_status sync_piece(struct log *log, uint64_t from_off, uint64_t to_off)
{
    uint64_t len = to_off - from_off;
    scn_status st = read_records(log, from_off, &len);
    if (st == SCN_OK && len != to_off - from_off)
        st = lost(log, from_off + len);
    if (st != SCN_OK)
        return st;
    return file_write(log->file, from_off, log->piece, len, SYS_DSYNC);
}

/* Behind its first record it is durable, and where the extent begins may not be known
 * here. */
static bool is_sound_head(const struct log *log, const struct log_extent *extent,
                          uint32_t off)
{
    struct extent_header header;
    if (!extent_header_decode(log->piece, &header) || header.number != extent->number ||
        memcmp(header.uuid, log->uuid, sizeof header.uuid) != 0)
        return false;
    if (off > RECORD_FIRST_OFF)
        return true;
    return header.start_lsn == extent->start_lsn &&
           is_of_session(log, header.start_lsn - RECORD_EXTENT_BYTES, header.epoch);
}

/* Nobody reads it until the record that says the same is damaged, so what was lost of it
 * is put right. */
static void renew_link(struct log *log, const struct log_extent *extent)
{
    struct log_extent next;
    if (log_chain_find(&log->chain, extent->number + 1, &next))
        extent_link_encode(log->uuid, &next, log->piece + EXTENT_LINK_OFF);
}

/* Head and records of one extent, from `off` to `end` (0: to where it leads on).  The
 * link of the last extent is not touched: somebody may be writing it. */
static scn_status rewrite_extent(struct log *log, const struct log_extent *extent,
                                 uint32_t off, uint32_t end)
{
    uint64_t file_off = extent_file_off(extent->pgno);
    uint32_t head = end ? EXTENT_LINK_OFF : RECORD_FIRST_OFF;
    uint64_t len = (end ? end : extent_bytes(extent->pages)) - off;
    scn_status st = file_read(log->file, file_off, log->piece, head, 0);
    if (st == SCN_OK && !is_sound_head(log, extent, off))
        st = file_read(log->file, file_off, log->piece, head, 0);
    if (end == 0)
        renew_link(log, extent);
    if (st == SCN_OK)
        st = is_sound_head(log, extent, off)
                 ? file_write(log->file, file_off, log->piece, head, 0)
                 : lost(log, file_off);
    if (st == SCN_OK)
        st = read_records(log, file_off + off, &len);
    if (st != SCN_OK || len == 0)
        return st;
    return file_write(log->file, file_off + off, log->piece, len, 0);
}

/* By a checkpoint: all of it is durable. */
static bool is_forgotten(struct log *log, uint64_t number)
{
    struct log_extent first;
    return log_chain_first(&log->chain, &first) && number < first.number;
}

static scn_status rewrite_range(struct log *log, const struct log_point *from,
                                const struct log_point *to)
{
    struct log_extent extent;
    scn_status st = SCN_OK;
    for (uint64_t number = from->extent_number; number <= to->extent_number; number++) {
        if (!log_chain_find(&log->chain, number, &extent)) {
            if (is_forgotten(log, number))
                continue;
            return lost(log, to->file_off);
        }
        uint64_t start = extent_file_off(extent.pgno);
        uint32_t off = number == from->extent_number ? (uint32_t)(from->file_off - start)
                                                     : RECORD_FIRST_OFF;
        uint32_t end = number == to->extent_number ? (uint32_t)(to->file_off - start) : 0;
        st = rewrite_extent(log, &extent, off, end);
        if (st != SCN_OK)
            return st;
    }
    return st;
}

static bool is_piece(const struct log_point *from, const struct log_point *to)
{
    return from->extent_number == to->extent_number &&
           to->file_off - from->file_off <= SYNC_PIECE_BYTES;
}

static scn_status sync_bytes(struct log *log, const struct log_point *from,
                             const struct log_point *to)
{
    log->piece_lsn = from->lsn;
    if (is_piece(from, to))
        return sync_piece(log, from->file_off, to->file_off);
    scn_status st = rewrite_range(log, from, to);
    return st == SCN_OK ? file_sync_log(log->file) : st;
}

/* ---- under the sync lock ---- */

static bool is_shared(const struct log *log)
{
    return !log->locks->is_exclusive;
}

static struct log_point point_in(const struct publish_value *line)
{
    return (struct log_point){
        .lsn = line->field[SYNC_LSN],
        .extent_number = line->field[SYNC_EXTENT],
        .file_off = line->field[SYNC_OFF],
    };
}

_Static_assert((int)APPEND_LSN == (int)SYNC_LSN &&
                   (int)APPEND_EXTENT == (int)SYNC_EXTENT &&
                   (int)APPEND_OFF == (int)SYNC_OFF,
               "both lines begin with a point");

static void tell(const struct log_point *point, struct publish_value *line)
{
    line->field[SYNC_LSN] = point->lsn;
    line->field[SYNC_EXTENT] = point->extent_number;
    line->field[SYNC_OFF] = point->file_off;
}

static scn_status other_session(void)
{
    return error_set(SCN_UNKNOWN, 0, 0, 0,
                     "log: the file was recovered after a failed sync; look whether the "
                     "commit is there");
}

/* What others have synced need not be synced again, and what they have appended is synced
 * along with ours where it lies in the same extent. */
static scn_status look_at_others(struct log *log, struct publish *page,
                                 struct log_point *from, struct log_point *to)
{
    scn_status st = publish_read(log->file, page);
    /* Not the file's, which another thread may have changed: the points are older. */
    uint64_t session = log->group.led_session;
    if (st != SCN_OK)
        return st;
    if (page->line[PUBLISH_SESSION].epoch != session)
        return other_session();
    const struct publish_value *poison = &page->line[PUBLISH_POISON];
    if (poison->sequence && poison->epoch == session)
        file_poison(log->file);
    st = file_check_poison(log->file);
    const struct publish_value *synced = &page->line[PUBLISH_SYNC];
    const struct publish_value *appended = &page->line[PUBLISH_APPEND];
    if (synced->epoch == session && synced->field[SYNC_LSN] > from->lsn)
        *from = point_in(synced);
    if (appended->epoch == session && appended->field[APPEND_LSN] > to->lsn) {
        struct log_point end = point_in(appended);
        if (is_piece(from, &end))
            *to = end;
    }
    return st;
}

/* One that took long says little of the next. */
static scn_status sync_and_time(struct log *log, const struct log_point *from,
                                const struct log_point *to)
{
    struct sys *sys = log->file->sys;
    uint64_t start_ns = sys->ops->now_ns(sys);
    scn_status st = sync_bytes(log, from, to);
    uint64_t took_ns = sys->ops->now_ns(sys) - start_ns;
    uint64_t counted_ns = took_ns < SYNC_COUNTED_NS ? took_ns : SYNC_COUNTED_NS;
    log->sync_ns = log->sync_ns ? (log->sync_ns * 7 + counted_ns) / 8 : counted_ns;
    return st;
}

static scn_status sync_with_others(struct log *log, struct log_point from,
                                   struct log_point *to)
{
    struct publish page;
    scn_status st = look_at_others(log, &page, &from, to);
    if (st != SCN_OK)
        return st;
    if (from.lsn >= to->lsn) {
        *to = from;
        return SCN_OK;
    }
    st = sync_and_time(log, &from, to);
    if (st == SCN_OK)
        st = file_check_poison(log->file);
    if (st != SCN_OK)
        return st;
    struct publish_value *line = &page.line[PUBLISH_SYNC];
    line->epoch = log->group.led_session;
    tell(to, line);
    return publish_write(log->file, PUBLISH_SYNC, line);
}

static scn_status sync_alone(struct log *log, const struct log_point *from,
                             const struct log_point *to)
{
    scn_status st = sync_bytes(log, from, to);
    /* Somebody else's sync may have been told of a page of ours [F2]. */
    return st == SCN_OK ? file_check_poison(log->file) : st;
}

/* Who waits for SYNC waits for its holder's sync, or for the next one, which covers all
 * that is appended: mostly there is nothing left to do for who would take the lock then,
 * and meanwhile it would keep the next sync waiting. */
struct awaited {
    struct log *log;
    struct log_point *to; /* moved to what is durable */
    scn_status st;
};

/* Nobody syncs but with the lock: what the page says without it is old at worst. */
static bool is_settled(void *ctx)
{
    struct awaited *awaited = ctx;
    struct publish page;
    struct log_point from = {.lsn = 0};
    struct log_point to = *awaited->to;
    awaited->st = look_at_others(awaited->log, &page, &from, &to);
    if (awaited->st != SCN_OK)
        return true;
    if (from.lsn < awaited->to->lsn)
        return false;
    *awaited->to = from;
    return true;
}

/* What failed and is no other session poisons. */
static scn_status judge(struct log *log, scn_status st)
{
    if (st != SCN_OK && st != SCN_UNKNOWN)
        file_poison(log->file);
    return st;
}

static scn_status sync_range(void *ctx, const struct log_point *from,
                             struct log_point *to)
{
    struct log *log = ctx;
    struct awaited awaited = {.log = log, .to = to};
    struct lock_unless unless = {is_settled, &awaited, log->sync_ns / 4 * 3};
    scn_status st = lock_take_unless(log->locks, LOCK_SYNC, &unless);
    if (st == SCN_EXISTS)
        return judge(log, awaited.st);
    if (st != SCN_OK) {
        file_poison(log->file);
        return st;
    }
    st = is_shared(log) ? sync_with_others(log, *from, to) : sync_alone(log, from, to);
    st = judge(log, st);
    lock_give(log->locks, LOCK_SYNC);
    return st;
}

scn_status log_sync(struct log *log, uint64_t lsn, uint32_t window_ms)
{
    return log_group_wait(&log->group, lsn, window_ms, sync_range, log);
}

void log_tell_synced(struct log *log, struct publish_value *line)
{
    struct log_point point;
    log_group_synced(&log->group, &point);
    tell(&point, line);
}

void log_tell_end(struct log *log, struct publish_value *line)
{
    struct log_point point = log_point_of(&log->at);
    tell(&point, line);
}

void log_learn_synced(struct log *log, const struct publish_value *line)
{
    struct log_point point = point_in(line);
    if (point.lsn > log_synced(log))
        log_group_settle(&log->group, &point);
}
