/* The log of one file: where it ends, how it grows, when it is durable.
 *
 *     extent 0 (256 KiB)      extent 1 (1 MiB)          extent 2
 *     [head][rec][rec]..[EXTENT]->[head][rec]...[EXTENT]->[head][rec] (end)
 *
 * lsn -> place: within an extent lsn and offset move together, except where a record that
 * begins an epoch lets the lsn jump ([R4]).  `struct log_base` (page/superblock.h) names
 * a place in full.
 *
 * [L1] An LSN is never used twice: the EPOCH record of a recovery jumps beyond whatever
 *      the old epoch could have held.
 * [L2] Nothing is appended behind a tail that recovery has not judged; the first record a
 *      recovered log gets is EPOCH, in one write with the first commit (log_begin_epoch
 *      notes it), or, where both do not fit the extent any more, the EXTENT record that
 *      leads on.
 * [L3] W = the highest synced_lsn in any valid record, or the base lsn of either
 *      superblock.  A bad record below W is corruption, at or above W a torn tail.
 * [L4] A failed write or sync of the log poisons the file.
 * [L5] synced_lsn rises to L only by syncs that cover every log byte in (synced_lsn, L],
 *      extent heads and EXTENT records included.
 * [L6] The end of every extent keeps room for one EXTENT record, and before it for a
 *      FREEZE that no commit may take, nor the epoch that it begins when it comes first
 *      after a recovery: a store without room has no other extent to write it in.
 * [L7] An extent is zero-filled and synced before its first use, outside the append lock.
 * [L8] What recovery has cut stays cut: the header of a torn record is erased and synced
 *      before anything is written in its place, which could otherwise complete it.
 *
 * Locking: the place where the log ends, as this process knows it, is guarded by a lock
 * of the caller, `apply`: log_append_room, log_append, log_roll, log_follow, log_restart,
 * log_tell_followed, log_begin_epoch, log_join_epoch, log_position, log_tell_end,
 * log_set_spares and log_drop_spares need it.  Of them log_append and log_roll need the
 * append lock as well.  log_sync takes the sync lock itself.  Everything else is for any
 * thread. */
#ifndef WAL_LOG_H
#define WAL_LOG_H

#include "page/lock.h"
#include "page/publish.h"
#include "page/superblock.h"
#include "wal/extent.h"
#include "wal/record.h"

#include <stdatomic.h>

struct log;

/* ---- reading ---- */

enum log_end_kind {
    LOG_END_CLEAN,  /* zeros or stale bytes of an older life behind the last record */
    LOG_END_TORN,   /* what may be remains of a record that was never acknowledged */
    LOG_END_CORRUPT /* [L3]: acknowledged records lie at or behind the bad place */
};

struct log_scan_result {
    enum log_end_kind kind;
    struct log_base end; /* the place behind the last valid record */
    uint64_t watermark;  /* W */
    uint64_t bad_off;    /* file offset of the first byte that is no record */
    uint64_t record_count;
    uint64_t byte_count;
    /* No LSN of this chain can be beyond it: the next epoch starts above. */
    uint64_t capacity_lsn;
    /* The log ends as a clean close leaves it: zeros, and before them at most one record
     * that may not be durable; `settled` is the place in front of that record. */
    bool is_settled;
    struct log_base settled;
    const char *why; /* static; why there is no record at the end */
};

/* One valid record; payload is decompressed and good during the call.  EXTENT records are
 * reported too, so that the caller can reserve the pages. A negative status stops the
 * scan and is returned. */
struct log_visit {
    struct record record;
    uint64_t end_lsn; /* a commit's LSN */
    uint64_t file_off;
    const uint8_t *payload;
    uint32_t payload_len;
    struct {
        uint32_t pgno;
        uint32_t pages;
        uint64_t number;
    } extent;             /* RECORD_EXTENT only */
    struct log_base next; /* the place behind this record */
};
typedef scn_status (*log_visit_fn)(void *ctx, const struct log_visit *visit);

/* Reads records from base on while they chain, and judges the end [L3].  known_synced:
 * the highest W known from elsewhere (both superblocks' base_lsn, a valid publish line).
 * uncached: read from the medium. Memory is bounded by one extent. SCN_OK whatever the
 * kind of the end; SCN_IO, SCN_NOMEM, or fn's status. Limit: damage in the last batch
 * that was ever synced has no record behind it that says so, and looks torn. A MARK
 * record appended in a quiet moment closes the gap. */
scn_status log_scan(struct file *file, const uint8_t uuid[16],
                    const struct log_base *base, uint64_t known_synced, bool uncached,
                    log_visit_fn fn, void *ctx, struct log_scan_result *out) MUST_USE;

/* ---- creating ---- */

/* For a new file: writes the head of the first extent over zeros that the caller has
 * written; *base is where the first record goes.  Not synced.  base->epoch is
 * record_epoch(uuid, epoch). */
scn_status log_format(struct file *file, const uint8_t uuid[16], uint32_t pgno,
                      uint32_t pages, uint64_t epoch, struct log_base *base) MUST_USE;

/* ---- writing ---- */

/* A log that goes on at `end`, which log_scan found from `base`; it walks there once more
 * to learn the extents. spares are consumed in order.  synced is base->lsn until
 * log_rewrite, log_settle or log_sync.  SCN_CORRUPT, SCN_IO, SCN_NOMEM, SCN_FULL (too
 * many). */
scn_status log_create(struct file *file, struct locks *locks, const uint8_t uuid[16],
                      const struct log_base *base, const struct log_base *end,
                      const struct log_spare *spares, uint32_t spare_count,
                      struct log **out) MUST_USE;
/* A log of which only the base is known yet: log_follow learns the rest.  Between calls
 * its end is where following stopped.  SCN_CORRUPT (the base), SCN_NOMEM. */
scn_status log_join(struct file *file, struct locks *locks, const uint8_t uuid[16],
                    const struct log_base *base, struct log **out) MUST_USE;
void log_destroy(struct log *log);

/* After recovery, before the first append: makes the adopted range [from, end of log)
 * durable again by writing it in place (its bytes may so far only live in the page
 * cache), erases the header of whatever was torn behind it [L8], and syncs.  Failure
 * poisons [L4]. */
scn_status log_rewrite(struct log *log, const struct log_base *from) MUST_USE;
/* In its place where the scan found the log settled: there is nothing torn to erase, the
 * extent's head is durable, and the next sync begins at `settled`.  No I/O. */
void log_settle(struct log *log, const struct log_base *settled);
/* The next append starts the epoch record_epoch(uuid, epoch) at start_lsn, rounded up
 * [L1], [L2].  Call it before anybody appends; log_epoch and log_appended change with
 * that append. */
void log_begin_epoch(struct log *log, uint64_t epoch, uint64_t start_lsn);

/* ---- with other processes ---- */

/* Records that others have appended, in order, from where this process's log ends: fn is
 * told of each before the end moves behind it, and a negative status leaves it in front.
 * limit: the published end, up to which records have to chain, or UINT64_MAX, only under
 * the append lock: whatever chains.  *is_whole is false where they do not chain up to the
 * limit: that part of the log has been recycled, or the file is damaged.  An EXTENT
 * record takes its extent out of the spares.  SCN_IO, SCN_NOMEM, SCN_CORRUPT (a record
 * that does not decompress), or fn's status. */
scn_status log_follow(struct log *log, uint64_t limit, log_visit_fn fn, void *ctx,
                      bool *is_whole) MUST_USE;
/* The log goes on from another base, up to which all is durable, and is read from there;
 * spares stay.  is_new_life: another session; whoever waits for a sync learns
 * SCN_UNKNOWN.  SCN_CORRUPT, SCN_NOMEM: the log must not be used. */
scn_status log_restart(struct log *log, const struct log_base *base,
                       bool is_new_life) MUST_USE;
/* Who has begun the log anew has read on from there, or cannot: whoever waits for a sync
 * of what lay behind the base goes on, or learns SCN_UNKNOWN. */
void log_tell_followed(struct log *log, bool is_whole);
/* The session's epoch begins at start_lsn: unless the log has it already, with the next
 * record. */
void log_join_epoch(struct log *log, uint64_t session, uint64_t start_lsn);
/* By who has begun the file's session, before others come. */
void log_begin_session(struct log *log);
/* The epoch that the next record will have. */
uint64_t log_pending_epoch(const struct log *log);
/* A log that was joined, by a reader: no more than this is taken for synced. */
void log_limit(struct log *log, uint64_t lsn);
/* Counts the sessions: a log_sync says nothing of a commit of an earlier one. */
uint64_t log_life(struct log *log);
/* The list becomes these, without those that hold records.  SCN_FULL, SCN_CORRUPT,
 * SCN_NOMEM: some are missing. */
scn_status log_set_spares(struct log *log, const struct log_spare *spares,
                          uint32_t count) MUST_USE;
/* Fill the fields of a point, of the lines APPEND and SYNC (page/publish.h). */
void log_tell_end(struct log *log, struct publish_value *line);
void log_tell_synced(struct log *log, struct publish_value *line);
/* The line SYNC of the session: what somebody has synced. */
void log_learn_synced(struct log *log, const struct publish_value *line);

/* ---- appending ---- */

/* A record ready for the lock: payload compressed when that pays (>= 512 B and at least
 * an eighth saved), its CRC computed.  Owned by the caller, reusable. */
enum { LOG_PACKET_ROOM = RECORD_EPOCH_BYTES + RECORD_HEADER_BYTES };
struct log_packet {
    uint8_t *data; /* LOG_PACKET_ROOM, payload, padding */
    size_t capacity;
    uint32_t stored_len;
    uint32_t raw_len;
    uint32_t payload_crc;
    uint8_t type;
    uint8_t flags;
};
void log_packet_init(struct log_packet *packet);
void log_packet_destroy(struct log_packet *packet);
/* COMMIT, or MARK and FREEZE without payload.  SCN_TOOBIG, SCN_NOMEM. */
scn_status log_packet_set(struct log_packet *packet, enum record_type type,
                          const void *payload, uint32_t len) MUST_USE;

/* The longest raw payload that is a record; more goes into bulk runs. */
uint32_t log_payload_max(void);
/* SCN_OK, or SCN_FULL (no sentence) when the packet does not fit and no spare is ready:
 * release the append lock, make one of LOG_EXTENT_PAGES ready, come again.  Never waits
 * [K2]. */
scn_status log_append_room(struct log *log, const struct log_packet *packet) MUST_USE;
/* After log_append_room, under the same lock.  Writes the record, linking extents when
 * needed.  *end_lsn is the commit's LSN.  SCN_POISONED: nothing of the record is written;
 * SCN_UNKNOWN: its write failed.  Both leave the file poisoned. */
scn_status log_append(struct log *log, struct log_packet *packet,
                      uint64_t *end_lsn) MUST_USE;

/* Durable up to lsn: returns at once when that is so, else syncs for everybody appended
 * so far or waits for the thread that does.  window_ms: wait so long for company first;
 * somebody without a window ends the wait. SCN_UNKNOWN: appended, and no sync will ever
 * cover it.  SCN_MISUSE: lsn was never appended. */
scn_status log_sync(struct log *log, uint64_t lsn, uint32_t window_ms) MUST_USE;

uint64_t log_appended(struct log *log);
uint64_t log_synced(struct log *log);
/* Number of the last extent that this process knows of. */
uint64_t log_extent_number(struct log *log);
/* Of the record appended last. */
uint64_t log_epoch(struct log *log);
/* Bytes of records appended since lsn, which is base.lsn or later. */
uint64_t log_bytes_since(struct log *log, uint64_t lsn);
/* Where the next record goes. */
void log_position(struct log *log, struct log_base *out);

/* ---- extents ---- */

/* Zero-fills and syncs pages that the caller owns.  No lock.  A failed write is
 * retryable, a failed sync poisons. */
scn_status log_prepare_extent(struct file *file, uint32_t pgno, uint32_t pages) MUST_USE;
/* A prepared or recycled extent.  SCN_FULL (no sentence) when the list is full,
 * SCN_NOMEM. */
scn_status log_add_spare(struct log *log, struct log_spare spare) MUST_USE;
/* Takes spares out of the list that lie at or behind pgno (all: pgno 0), keeping the
 * first `keep`; returns how many (out has room for LOG_SPARE_MAX). */
uint32_t log_drop_spares(struct log *log, uint32_t pgno, uint32_t keep,
                         struct log_spare *out);
/* The list in order (at most room are written); returns the count. */
uint32_t log_spares(struct log *log, struct log_spare *out, uint32_t room);
uint32_t log_spare_count(struct log *log);
/* One of them holds every record: only another's file has shorter ones. */
bool log_has_full_spare(struct log *log);
/* Ends the current extent and goes on in the next spare, so that the current one can be
 * freed by a checkpoint. SCN_FULL (no sentence): no spare.  SCN_POISONED: a write failed.
 */
scn_status log_roll(struct log *log) MUST_USE;
/* The chain from the oldest extent still held to the current one; returns the count (at
 * most room are written). */
uint32_t log_extents(struct log *log, struct log_extent *out, uint32_t room);
/* The chain forgets the extents whose every record lies below base; they are told, at
 * most room in a call. */
uint32_t log_forget(struct log *log, const struct log_base *base, struct log_extent *out,
                    uint32_t room);

#endif
