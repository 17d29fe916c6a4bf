/* Creating, and appending.
 *
 * log_append writes a record into the page cache, so that it survives the death of the
 * process and others can read it; wal/durable.c writes it once more.
 *
 * Linking an extent writes three things, in this order: the head of the new extent, the
 * link in the head of the current one, the EXTENT record.  Only the last makes the new
 * extent part of the log; a process that dies before it has changed nothing. */
#include "wal/log.h"

#include "page/bytes.h"
#include "page/mem.h"
#include "wal/logstate.h"

#include <string.h>

enum { PREPARE_PAGES = 4 };

/* ---- creating ---- */

/* Header, and a link to nowhere: a recycled extent still has the one of its earlier life.
 */
static scn_status write_head(struct file *file, const uint8_t uuid[16],
                             const struct log_extent *extent, uint64_t epoch)
{
    struct extent_header header = {
        .number = extent->number,
        .start_lsn = extent->start_lsn,
        .epoch = epoch,
        .pages = extent->pages,
    };
    memcpy(header.uuid, uuid, sizeof header.uuid);
    uint8_t head[RECORD_FIRST_OFF] = {0};
    extent_header_encode(&header, head);
    return file_write(file, extent_file_off(extent->pgno), head, sizeof head, 0);
}

scn_status log_format(struct file *file, const uint8_t uuid[16], uint32_t pgno,
                      uint32_t pages, uint64_t epoch, struct log_base *base)
{
    ASSERT(extent_is_in_file(file, pgno, pages));
    *base = (struct log_base){
        .lsn = RECORD_FIRST_OFF,
        .epoch = record_epoch(uuid, epoch),
        .extent_pgno = pgno,
        .extent_pages = pages,
        .extent_off = RECORD_FIRST_OFF,
    };
    struct log_extent first = {.pgno = pgno, .pages = pages, .start_lsn = base->lsn};
    return write_head(file, uuid, &first, base->epoch);
}

static bool places_are_equal(const struct log_base *a, const struct log_base *b)
{
    return a->lsn == b->lsn && a->epoch == b->epoch && a->prev_crc == b->prev_crc &&
           a->extent_number == b->extent_number && a->extent_pgno == b->extent_pgno &&
           a->extent_off == b->extent_off;
}

static scn_status learn_step(struct log *log, const struct log_walk *walk)
{
    if (walk->record.lsn != walk->from.lsn)
        log_chain_jump(&log->chain, walk->record.lsn, walk->record.lsn - walk->from.lsn);
    if (walk->record.type != RECORD_EXTENT)
        return SCN_OK;
    return log_chain_add(&log->chain, &walk->next);
}

/* Walks from the base to the end and learns extents and jumps on the way. */
static scn_status learn(struct log *log, struct log_walk *walk,
                        const struct log_base *end)
{
    bool is_possible;
    scn_status st = log_walk_enter(walk, &is_possible);
    if (st != SCN_OK)
        return st;
    if (!is_possible || walk->has_bad_head)
        return error_corrupt(walk->at.extent_pgno, 0,
                             "log: no extent where the log begins");
    struct log_extent first = {
        .pgno = walk->at.extent_pgno,
        .pages = walk->at.extent_pages,
        .number = walk->at.extent_number,
        .start_lsn = walk->start_lsn,
    };
    st = log_chain_add(&log->chain, &first);
    while (st == SCN_OK && !places_are_equal(&walk->at, end)) {
        bool found;
        const char *why;
        st = log_walk_next(walk, &found, &why);
        if (st != SCN_OK)
            return st;
        if (!found)
            return error_corrupt(walk->at.extent_pgno, log_place_off(&walk->at), "%s",
                                 why);
        st = learn_step(log, walk);
    }
    return st;
}

/* The end was found on the medium.  The page cache may have something else: a recovery
 * that failed has cut a record there, and its sync was lost. */
static scn_status learn_chain(struct log *log, const struct log_base *base,
                              const struct log_base *end)
{
    if (!extent_is_in_file(log->file, end->extent_pgno, end->extent_pages))
        return error_corrupt(end->extent_pgno, 0, "log: no extent where the log ends");
    if (end->extent_off + RECORD_EXTENT_BYTES > extent_bytes(end->extent_pages))
        return error_corrupt(end->extent_pgno, log_place_off(end),
                             "log: no room for an EXTENT record [L6]");
    scn_status st = SCN_CORRUPT;
    for (int uncached = 0; uncached < 2 && st == SCN_CORRUPT; uncached++) {
        struct log_walk walk;
        log_chain_clear(&log->chain);
        st = log_walk_open(&walk, log->file, log->uuid, base, uncached);
        if (st == SCN_OK)
            st = learn(log, &walk, end);
        log_walk_close(&walk);
    }
    return st;
}

static scn_status add_spares(struct log *log, const struct log_spare *spares,
                             uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!extent_is_in_file(log->file, spares[i].pgno, spares[i].pages))
            return error_corrupt(spares[i].pgno, 0,
                                 "log: a spare extent lies outside the file");
        scn_status st = log_chain_add_spare(&log->chain, spares[i]);
        if (st != SCN_OK)
            return st;
    }
    return SCN_OK;
}

static scn_status make_parts(struct log *log, const struct log_base *base,
                             const struct log_base *end)
{
    struct log_point appended = log_point_of(end);
    struct log_point synced = log_point_of(base);
    log->at = *end;
    log->new_epoch = end->epoch;
    log->new_lsn = end->lsn;
    atomic_store(&log->epoch, end->epoch);
    scn_status st = log_chain_init(&log->chain, log->file->sys);
    if (st == SCN_OK)
        st = log_group_init(&log->group, log->file->sys, &appended, &synced);
    if (st != SCN_OK)
        return st;
    log->piece = mem_alloc(LOG_EXTENT_PAGES * PAGE_BYTES);
    return log->piece ? SCN_OK : error_nomem();
}

/* Whatever comes of it, *out is to be destroyed. */
static scn_status make(struct file *file, struct locks *locks, const uint8_t uuid[16],
                       const struct log_base *base, const struct log_base *end,
                       struct log **out)
{
    struct log *log = mem_zalloc(sizeof *log);
    *out = log;
    if (!log)
        return error_nomem();
    log->file = file;
    log->locks = locks;
    memcpy(log->uuid, uuid, sizeof log->uuid);
    return make_parts(log, base, end);
}

scn_status log_create(struct file *file, struct locks *locks, const uint8_t uuid[16],
                      const struct log_base *base, const struct log_base *end,
                      const struct log_spare *spares, uint32_t spare_count,
                      struct log **out)
{
    struct log *log;
    *out = NULL;
    scn_status st = make(file, locks, uuid, base, end, &log);
    if (st == SCN_OK)
        st = learn_chain(log, base, end);
    if (st == SCN_OK)
        st = add_spares(log, spares, spare_count);
    if (st != SCN_OK) {
        log_destroy(log);
        return st;
    }
    *out = log;
    return SCN_OK;
}

/* The chain from a base on is learnt by following.  In the same life it goes on where it
 * was known to: a sync may be under way there. */
static scn_status begin_chain(struct log *log, const struct log_base *base,
                              bool is_new_life)
{
    if (!extent_is_in_file(log->file, base->extent_pgno, base->extent_pages))
        return error_corrupt(base->extent_pgno, 0, "log: no extent where the log begins");
    struct log_extent first = {
        .pgno = base->extent_pgno,
        .pages = base->extent_pages,
        .number = base->extent_number,
        .start_lsn = base->lsn,
    };
    if (is_new_life)
        log_chain_clear(&log->chain);
    return log_chain_begin(&log->chain, &first);
}

scn_status log_join(struct file *file, struct locks *locks, const uint8_t uuid[16],
                    const struct log_base *base, struct log **out)
{
    struct log *log;
    *out = NULL;
    scn_status st = make(file, locks, uuid, base, base, &log);
    if (st == SCN_OK)
        st = begin_chain(log, base, true);
    if (st != SCN_OK) {
        log_destroy(log);
        return st;
    }
    log->group.session = file_session(file);
    *out = log;
    return SCN_OK;
}

scn_status log_restart(struct log *log, const struct log_base *base, bool is_new_life)
{
    scn_status st = begin_chain(log, base, is_new_life);
    if (st != SCN_OK)
        return st;
    struct log_point point = log_point_of(base);
    log->at = *base;
    log->has_new_epoch = false;
    atomic_store(&log->epoch, base->epoch);
    log_group_set_place(&log->group, LOG_PLACE_ANEW);
    log_group_restart(&log->group, &point, file_session(log->file), is_new_life);
    return SCN_OK;
}

void log_tell_followed(struct log *log, bool is_whole)
{
    if (log->group.place != LOG_PLACE_KNOWN)
        log_group_set_place(&log->group, is_whole ? LOG_PLACE_KNOWN : LOG_PLACE_LOST);
}

scn_status log_set_spares(struct log *log, const struct log_spare *spares, uint32_t count)
{
    struct log_spare old[LOG_SPARE_MAX];
    (void)log_chain_drop_spares(&log->chain, 0, 0, old);
    for (uint32_t i = 0; i < count; i++) {
        if (log_chain_has(&log->chain, spares[i].pgno))
            continue;
        scn_status st = add_spares(log, &spares[i], 1);
        if (st != SCN_OK)
            return st;
    }
    return SCN_OK;
}

void log_destroy(struct log *log)
{
    if (!log)
        return;
    log_group_destroy(&log->group);
    log_chain_destroy(&log->chain);
    log_walk_close(&log->walk);
    mem_free(log->raw);
    mem_free(log->piece);
    mem_free(log);
}

/* ---- after recovery ---- */

/* Writes what the walk has read of its extent, up to `end_off`: always the head, and the
 * records from `off`. */
static scn_status rewrite_extent(struct log_walk *walk, uint32_t pgno, uint32_t off,
                                 uint32_t end_off)
{
    uint64_t file_off = extent_file_off(pgno);
    scn_status st = file_write(walk->file, file_off, walk->extent, RECORD_FIRST_OFF, 0);
    if (st != SCN_OK || off == end_off)
        return st;
    return file_write(walk->file, file_off + off, walk->extent + off, end_off - off, 0);
}

/* Half of a torn record may be on the medium, and the other half of what is written there
 * next may be the same bytes: a repeated payload, an EXTENT record to the same spare.  If
 * the machine then stops between two sectors, the old record is whole, and a commit that
 * recovery has cut is back.  So its header goes first, durably.
 *
 * Zeros come last: whoever is killed before the sync leaves them in the page cache, where
 * the next recovery could take them for those of a log that is settled. */
static scn_status erase_tail(struct log_walk *walk)
{
    uint64_t off = log_place_off(&walk->at);
    uint8_t header[RECORD_HEADER_BYTES];
    scn_status st = SCN_OK;
    if (!bytes_are_zero(walk->extent + walk->at.extent_off, sizeof header)) {
        memset(header, 0xff, sizeof header);
        st = file_write(walk->file, off, header, sizeof header, 0);
        if (st == SCN_OK)
            st = file_sync(walk->file);
    }
    memset(header, 0, sizeof header);
    return st == SCN_OK ? file_write(walk->file, off, header, sizeof header, 0) : st;
}

static scn_status rewrite_range(struct log_walk *walk, const struct log_base *end)
{
    uint32_t off = walk->at.extent_off;
    while (!places_are_equal(&walk->at, end)) {
        bool found;
        const char *why;
        scn_status st = log_walk_next(walk, &found, &why);
        if (st != SCN_OK)
            return st;
        if (!found)
            return error_corrupt(walk->at.extent_pgno, log_place_off(&walk->at), "%s",
                                 why);
        if (walk->record.type != RECORD_EXTENT)
            continue;
        /* It may be lost, though the record is there. */
        extent_link_encode(walk->uuid, &walk->next, walk->extent + EXTENT_LINK_OFF);
        st = rewrite_extent(walk, walk->from.extent_pgno, off,
                            walk->from.extent_off + RECORD_EXTENT_BYTES);
        if (st != SCN_OK)
            return st;
        off = RECORD_FIRST_OFF;
    }
    bool is_possible;
    scn_status st = log_walk_enter(walk, &is_possible);
    if (st != SCN_OK)
        return st;
    if (!is_possible)
        return error_corrupt(end->extent_pgno, 0, "log: no extent where the log ends");
    return rewrite_extent(walk, end->extent_pgno, off, end->extent_off);
}

void log_settle(struct log *log, const struct log_base *settled)
{
    struct log_point point = log_point_of(settled);
    ASSERT(point.lsn <= log_appended(log));
    log_group_settle(&log->group, &point);
}

scn_status log_rewrite(struct log *log, const struct log_base *from)
{
    ASSERT(log_appended(log) == log->at.lsn);
    struct log_walk walk;
    scn_status st = log_walk_open(&walk, log->file, log->uuid, from, true);
    if (st == SCN_OK) {
        st = rewrite_range(&walk, &log->at);
        if (st == SCN_OK)
            st = erase_tail(&walk);
        if (st == SCN_OK)
            st = file_sync(log->file);
        if (st != SCN_OK)
            file_poison(log->file);
        else
            log_settle(log, &log->at);
    }
    log_walk_close(&walk);
    return st;
}

void log_begin_epoch(struct log *log, uint64_t epoch, uint64_t start_lsn)
{
    ASSERT(start_lsn >= log->at.lsn);
    log->has_new_epoch = true;
    log->new_epoch = record_epoch(log->uuid, epoch);
    if (log->new_epoch == log->at.epoch)
        log->new_epoch = record_epoch(log->uuid, epoch + 1);
    log->new_lsn = (start_lsn + RECORD_ALIGN - 1) & ~(uint64_t)(RECORD_ALIGN - 1);
}

void log_join_epoch(struct log *log, uint64_t session, uint64_t start_lsn)
{
    log->has_new_epoch = log->at.lsn < start_lsn;
    log->new_epoch = session;
    log->new_lsn = start_lsn;
}

void log_begin_session(struct log *log)
{
    log->group.session = file_session(log->file);
}

uint64_t log_pending_epoch(const struct log *log)
{
    return log->has_new_epoch ? log->new_epoch : log->at.epoch;
}

/* ---- appending ---- */

/* The fields that tie a record to its place; `at` is moved behind it. */
static void chain_record(struct log *log, struct log_base *at, struct record *record,
                         uint32_t payload_crc, uint8_t *bytes)
{
    record->lsn = at->lsn;
    record->epoch = at->epoch;
    record->prev_crc = at->prev_crc;
    record->synced_lsn = log_synced(log);
    record_encode(record, payload_crc, bytes);
    at->lsn += record_bytes(record->stored_len);
    at->extent_off += record_bytes(record->stored_len);
    at->prev_crc = record->crc;
}

void log_advance(struct log *log, const struct log_base *at)
{
    if (log->has_new_epoch && at->lsn > log->new_lsn) {
        log_chain_jump(&log->chain, log->new_lsn, log->new_lsn - log->at.lsn);
        log->has_new_epoch = false;
        atomic_store(&log->epoch, at->epoch);
    }
    log->at = *at;
    struct log_point point = log_point_of(at);
    log_group_append(&log->group, &point);
}

/* [R4] */
static void enter_epoch(struct log *log, struct log_base *at)
{
    if (!log->has_new_epoch)
        return;
    at->epoch = log->new_epoch;
    at->lsn = log->new_lsn;
}

static scn_status write_link(struct log *log, const struct log_extent *next)
{
    uint8_t link[EXTENT_LINK_BYTES];
    extent_link_encode(log->uuid, next, link);
    return file_write(log->file, extent_file_off(log->at.extent_pgno) + EXTENT_LINK_OFF,
                      link, sizeof link, 0);
}

/* The EXTENT record, which begins the new epoch when there is one to begin.  SCN_FULL: no
 * spare. */
static scn_status link_extent(struct log *log)
{
    struct log_spare spare;
    if (!log_chain_peek(&log->chain, &spare))
        return SCN_FULL;
    struct log_base at = log->at;
    struct record_origin origin = {.epoch = at.epoch, .lsn = at.lsn};
    enter_epoch(log, &at);
    struct log_extent next = {
        .pgno = spare.pgno,
        .pages = spare.pages,
        .number = at.extent_number + 1,
        .start_lsn = at.lsn + RECORD_EXTENT_BYTES,
    };
    uint8_t bytes[RECORD_EXTENT_BYTES];
    uint8_t *payload = bytes + RECORD_HEADER_BYTES;
    extent_payload_encode(&origin, &next, payload);
    struct record record = {
        .type = RECORD_EXTENT,
        .stored_len = RECORD_EXTENT_PAYLOAD_BYTES,
        .raw_len = RECORD_EXTENT_PAYLOAD_BYTES,
    };
    chain_record(log, &at, &record, record_payload_crc(payload, record.stored_len),
                 bytes);
    ASSERT(at.extent_off <= extent_bytes(at.extent_pages));
    scn_status st = write_head(log->file, log->uuid, &next, at.epoch);
    if (st == SCN_OK)
        st = write_link(log, &next);
    if (st == SCN_OK)
        st = file_write(log->file, log_place_off(&log->at), bytes, sizeof bytes, 0);
    if (st != SCN_OK) {
        file_poison(log->file);
        return SCN_POISONED;
    }
    at.extent_pgno = next.pgno;
    at.extent_pages = next.pages;
    at.extent_number = next.number;
    at.extent_off = RECORD_FIRST_OFF;
    log_chain_link(&log->chain, next.number, next.start_lsn);
    log_advance(log, &at);
    return SCN_OK;
}

/* Only a file that somebody has made up comes near the last lsn. */
static scn_status check_writable(struct log *log)
{
    uint64_t lsn = log->has_new_epoch ? log->new_lsn : log->at.lsn;
    if (lsn >= RECORD_LSN_MAX - UINT32_MAX)
        return error_corrupt(log->at.extent_pgno, log_place_off(&log->at),
                             "log: no lsn is left");
    return file_check_poison(log->file);
}

/* [L6] */
static uint32_t room_behind(const struct log_packet *packet)
{
    uint32_t behind_freeze = RECORD_EXTENT_BYTES;
    return packet->type == RECORD_FREEZE
               ? behind_freeze
               : RECORD_EPOCH_BYTES + RECORD_FREEZE_BYTES + behind_freeze;
}

static bool fits_current(const struct log *log, const struct log_packet *packet)
{
    uint32_t room = extent_bytes(log->at.extent_pages) - log->at.extent_off;
    uint32_t needed = record_bytes(packet->stored_len) + room_behind(packet);
    if (log->has_new_epoch)
        needed += RECORD_EPOCH_BYTES;
    return needed <= room;
}

static uint32_t fresh_extent_bytes(const struct log_packet *packet)
{
    return RECORD_FIRST_OFF + record_bytes(packet->stored_len) + room_behind(packet);
}

scn_status log_append_room(struct log *log, const struct log_packet *packet)
{
    if (fits_current(log, packet))
        return SCN_OK;
    return log_chain_has_spare(&log->chain, fresh_extent_bytes(packet)) ? SCN_OK
                                                                        : SCN_FULL;
}

/* Puts the EPOCH record into the room in front of the packet's header; tells where the
 * bytes begin. */
static uint8_t *encode_epoch(struct log *log, struct log_packet *packet,
                             struct log_base *at)
{
    uint8_t *payload = packet->data + RECORD_HEADER_BYTES;
    struct record_origin origin = {.epoch = at->epoch, .lsn = at->lsn};
    record_origin_encode(&origin, payload);
    struct record record = {
        .type = RECORD_EPOCH,
        .stored_len = RECORD_EPOCH_PAYLOAD_BYTES,
        .raw_len = RECORD_EPOCH_PAYLOAD_BYTES,
    };
    enter_epoch(log, at);
    chain_record(log, at, &record, record_payload_crc(payload, record.stored_len),
                 packet->data);
    return packet->data;
}

static scn_status append_here(struct log *log, struct log_packet *packet)
{
    struct log_base at = log->at;
    uint8_t *bytes = packet->data + RECORD_EPOCH_BYTES;
    if (log->has_new_epoch)
        bytes = encode_epoch(log, packet, &at);
    struct record record = {
        .type = packet->type,
        .flags = packet->flags,
        .stored_len = packet->stored_len,
        .raw_len = packet->raw_len,
    };
    chain_record(log, &at, &record, packet->payload_crc,
                 packet->data + RECORD_EPOCH_BYTES);
    ASSERT(at.extent_off + RECORD_EXTENT_BYTES <= extent_bytes(at.extent_pages));
    scn_status st = file_write(log->file, log_place_off(&log->at), bytes,
                               at.extent_off - log->at.extent_off, 0);
    if (st != SCN_OK) {
        file_poison(log->file);
        return error_in_doubt();
    }
    log_advance(log, &at);
    return SCN_OK;
}

scn_status log_append(struct log *log, struct log_packet *packet, uint64_t *end_lsn)
{
    scn_status st = check_writable(log);
    if (st != SCN_OK)
        return st;
    /* Each turn consumes a spare. */
    while (!fits_current(log, packet)) {
        st = link_extent(log);
        if (st != SCN_OK)
            return st;
    }
    st = append_here(log, packet);
    if (st == SCN_OK)
        *end_lsn = log->at.lsn;
    return st;
}

scn_status log_roll(struct log *log)
{
    scn_status st = check_writable(log);
    return st == SCN_OK ? link_extent(log) : st;
}

/* ---- looking ---- */

uint64_t log_appended(struct log *log)
{
    return atomic_load(&log->group.appended_lsn);
}

uint64_t log_synced(struct log *log)
{
    return atomic_load(&log->group.synced_lsn);
}

uint64_t log_extent_number(struct log *log)
{
    struct log_extent last;
    return log_chain_last(&log->chain, &last) ? last.number : 0;
}

uint64_t log_life(struct log *log)
{
    return atomic_load(&log->group.life);
}

uint64_t log_epoch(struct log *log)
{
    return atomic_load(&log->epoch);
}

uint64_t log_bytes_since(struct log *log, uint64_t lsn)
{
    uint64_t appended = log_appended(log);
    if (lsn >= appended)
        return 0;
    uint64_t gap = log_chain_gap(&log->chain, lsn);
    return gap < appended - lsn ? appended - lsn - gap : 0;
}

void log_position(struct log *log, struct log_base *out)
{
    *out = log->at;
}

/* ---- extents ---- */

scn_status log_prepare_extent(struct file *file, uint32_t pgno, uint32_t pages)
{
    ASSERT(extent_is_in_file(file, pgno, pages));
    uint8_t *zeros = mem_zalloc((size_t)PREPARE_PAGES * PAGE_BYTES);
    if (!zeros)
        return error_nomem();
    scn_status st = SCN_OK;
    for (uint32_t done = 0; st == SCN_OK && done < pages; done += PREPARE_PAGES) {
        uint32_t count = pages - done < PREPARE_PAGES ? pages - done : PREPARE_PAGES;
        st = file_write_pages(file, pgno + done, zeros, count);
    }
    if (st == SCN_OK)
        st = file_sync(file);
    mem_free(zeros);
    return st;
}

scn_status log_add_spare(struct log *log, struct log_spare spare)
{
    return log_chain_add_spare(&log->chain, spare);
}

uint32_t log_drop_spares(struct log *log, uint32_t pgno, uint32_t keep,
                         struct log_spare *out)
{
    return log_chain_drop_spares(&log->chain, pgno, keep, out);
}

uint32_t log_spares(struct log *log, struct log_spare *out, uint32_t room)
{
    return log_chain_spares(&log->chain, out, room);
}

uint32_t log_spare_count(struct log *log)
{
    return log_chain_spares(&log->chain, NULL, 0);
}

bool log_has_full_spare(struct log *log)
{
    return log_chain_has_spare(&log->chain, extent_bytes(LOG_EXTENT_PAGES));
}

uint32_t log_extents(struct log *log, struct log_extent *out, uint32_t room)
{
    return log_chain_extents(&log->chain, out, room);
}

uint32_t log_forget(struct log *log, const struct log_base *base, struct log_extent *out,
                    uint32_t room)
{
    return log_chain_forget(&log->chain, base->extent_number, out, room);
}
