#include "wal/walk.h"

#include "page/bytes.h"
#include "page/mem.h"

enum {
    /* What an uncached read needs of addresses and lengths. */
    BLOCK_BYTES = 4096,
    EXTENT_BYTES_MAX = LOG_EXTENT_PAGES * PAGE_BYTES
};

_Static_assert((int)RECORD_FIRST_OFF <= (int)BLOCK_BYTES, "a block holds the head");

scn_status log_walk_open(struct log_walk *walk, struct file *file, const uint8_t uuid[16],
                         const struct log_base *base, bool uncached)
{
    *walk = (struct log_walk){
        .file = file,
        .read_flags = uncached ? SYS_UNCACHED : 0,
        .at = *base,
    };
    memcpy(walk->uuid, uuid, sizeof walk->uuid);
    walk->block = mem_alloc(EXTENT_BYTES_MAX + 2 * BLOCK_BYTES);
    if (!walk->block)
        return error_nomem();
    uintptr_t aligned =
        ((uintptr_t)walk->block + BLOCK_BYTES - 1) & ~(uintptr_t)(BLOCK_BYTES - 1);
    walk->extent = (uint8_t *)aligned;
    walk->head = walk->extent + EXTENT_BYTES_MAX;
    return SCN_OK;
}

void log_walk_close(struct log_walk *walk)
{
    mem_free(walk->block);
    *walk = (struct log_walk){0};
}

scn_status log_walk_read(struct log_walk *walk, uint32_t pgno, uint32_t pages)
{
    walk->extent_pgno = 0;
    scn_status st = file_read(walk->file, extent_file_off(pgno), walk->extent,
                              extent_bytes(pages), walk->read_flags);
    if (st != SCN_OK)
        return st;
    walk->extent_pgno = pgno;
    walk->extent_len = extent_bytes(pages);
    return SCN_OK;
}

/* The base comes from a superblock, whose checksum is right; the file may still be
 * another. */
static bool place_is_possible(const struct log_walk *walk)
{
    const struct log_base *at = &walk->at;
    if (!extent_is_in_file(walk->file, at->extent_pgno, at->extent_pages))
        return false;
    if (at->extent_off < RECORD_FIRST_OFF ||
        at->extent_off > extent_bytes(at->extent_pages))
        return false;
    return at->extent_off % RECORD_ALIGN == 0 && at->lsn % RECORD_ALIGN == 0 &&
           at->lsn <= RECORD_LSN_MAX;
}

static bool header_fits(const struct log_walk *walk, const struct extent_header *header,
                        uint64_t number, uint32_t pages)
{
    return memcmp(header->uuid, walk->uuid, sizeof walk->uuid) == 0 &&
           header->number == number && header->pages == pages;
}

static bool has_sound_head(const struct log_walk *walk, struct extent_header *header)
{
    return extent_header_decode(walk->extent, header) &&
           header_fits(walk, header, walk->at.extent_number, walk->at.extent_pages) &&
           header->start_lsn <= walk->at.lsn;
}

/* A bad header only matters for the first extent: the others were judged before their
 * EXTENT record was believed. */
scn_status log_walk_enter(struct log_walk *walk, bool *is_possible)
{
    *is_possible = true;
    if (walk->extent_pgno != 0 && walk->extent_pgno == walk->at.extent_pgno)
        return SCN_OK;
    *is_possible = place_is_possible(walk);
    if (!*is_possible)
        return SCN_OK;
    struct extent_header header;
    scn_status st = log_walk_read(walk, walk->at.extent_pgno, walk->at.extent_pages);
    if (st == SCN_OK && !has_sound_head(walk, &header))
        st = log_walk_read(walk, walk->at.extent_pgno, walk->at.extent_pages);
    if (st != SCN_OK)
        return st;
    bool is_sound = has_sound_head(walk, &header);
    walk->start_lsn = is_sound ? header.start_lsn : walk->at.lsn;
    walk->has_bad_head |= !is_sound;
    return SCN_OK;
}

/* [R4], [R1] */
static const char *judge_chain(const struct log_base *at, const struct record *record,
                               const uint8_t *payload)
{
    if (record->type == RECORD_EPOCH || record->type == RECORD_EXTENT) {
        struct record_origin origin = record_origin_decode(payload);
        if (origin.epoch != at->epoch || origin.lsn != at->lsn || record->lsn < at->lsn)
            return "log: a record that belongs to another place of the log";
        if (record->epoch == at->epoch && record->lsn != at->lsn)
            return "log: the lsn jumps within an epoch";
    } else if (record->epoch != at->epoch || record->lsn != at->lsn) {
        return "log: a record with another epoch or lsn";
    }
    return record->prev_crc == at->prev_crc ? NULL
                                            : "log: a record that follows another record";
}

/* NULL when a whole record stands at the place. */
static const char *read_record(struct log_walk *walk, struct record *record)
{
    const uint8_t *bytes = walk->extent + walk->at.extent_off;
    if (!record_decode(bytes, walk->extent_len - walk->at.extent_off, record))
        return "log: no record header";
    const char *why = judge_chain(&walk->at, record, bytes + RECORD_HEADER_BYTES);
    if (why)
        return why;
    return record_crc_matches(record, bytes) ? NULL
                                             : "log: a record with a wrong checksum";
}

/* Judges the extent an EXTENT record leads to by its header; *why stays NULL when it is
 * right. */
static scn_status judge_next(struct log_walk *walk, const struct record *record,
                             struct log_extent *next, const char **why)
{
    extent_payload_decode(walk->extent + walk->at.extent_off + RECORD_HEADER_BYTES, next);
    next->start_lsn = record->lsn + RECORD_EXTENT_BYTES;
    *why = "log: the extent a record leads to is impossible";
    if (next->number != walk->at.extent_number + 1)
        return SCN_OK;
    if (!extent_is_in_file(walk->file, next->pgno, next->pages)) {
        walk->leads_outside = true;
        return SCN_OK;
    }
    scn_status st = file_read(walk->file, extent_file_off(next->pgno), walk->head,
                              BLOCK_BYTES, walk->read_flags);
    if (st != SCN_OK)
        return st;
    struct extent_header header;
    *why = "log: the extent a record leads to has another header";
    if (extent_header_decode(walk->head, &header) &&
        header_fits(walk, &header, next->number, next->pages) &&
        header.start_lsn == next->start_lsn && header.epoch == record->epoch)
        *why = NULL;
    return SCN_OK;
}

static void step(struct log_walk *walk, const struct record *record,
                 const struct log_extent *next)
{
    struct log_base *at = &walk->at;
    walk->record = *record;
    walk->from = *at;
    walk->file_off = extent_file_off(at->extent_pgno) + at->extent_off;
    walk->stored = walk->extent + at->extent_off + RECORD_HEADER_BYTES;
    walk->next = *next;
    at->lsn = record->lsn + record_bytes(record->stored_len);
    at->epoch = record->epoch;
    at->prev_crc = record->crc;
    at->extent_off += record_bytes(record->stored_len);
    if (record->type == RECORD_EXTENT) {
        at->extent_pgno = next->pgno;
        at->extent_pages = next->pages;
        at->extent_number = next->number;
        at->extent_off = RECORD_FIRST_OFF;
    }
}

/* Nothing was ever written at the place. */
static bool is_blank(const struct log_walk *walk)
{
    uint32_t room = walk->extent_len - walk->at.extent_off;
    uint32_t len = room < RECORD_HEADER_BYTES ? room : RECORD_HEADER_BYTES;
    return bytes_are_zero(walk->extent + walk->at.extent_off, len);
}

/* ---- following ---- */

enum { WINDOW_SHORT = 128, WINDOW_FIRST = 4096, WINDOW_MAX = 256 * 1024 };

void log_walk_refresh(struct log_walk *walk, bool is_short)
{
    walk->extent_pgno = 0;
    walk->window_next = is_short ? WINDOW_SHORT : WINDOW_FIRST;
}

static scn_status enter_following(struct log_walk *walk, bool *is_possible)
{
    *is_possible = true;
    if (walk->extent_pgno != 0 && walk->extent_pgno == walk->at.extent_pgno)
        return SCN_OK;
    *is_possible = place_is_possible(walk);
    walk->extent_pgno = walk->at.extent_pgno;
    walk->extent_len = extent_bytes(walk->at.extent_pages);
    walk->window_from = walk->window_end = 0;
    return SCN_OK;
}

/* The bytes [off, off + len) of the extent are there, or all up to its end. */
static scn_status want_bytes(struct log_walk *walk, uint32_t off, uint32_t len)
{
    uint32_t end = walk->extent_len - off < len ? walk->extent_len : off + len;
    if (off >= walk->window_from && end <= walk->window_end)
        return SCN_OK;
    if (end < off + walk->window_next)
        end = walk->extent_len - off < walk->window_next ? walk->extent_len
                                                         : off + walk->window_next;
    scn_status st = file_read(walk->file, extent_file_off(walk->extent_pgno) + off,
                              walk->extent + off, end - off, 0);
    if (st != SCN_OK)
        return st;
    walk->window_from = off;
    walk->window_end = end;
    walk->window_next = walk->window_next < WINDOW_FIRST ? WINDOW_FIRST
                        : walk->window_next < WINDOW_MAX ? walk->window_next * 4
                                                         : WINDOW_MAX;
    return SCN_OK;
}

static scn_status read_following(struct log_walk *walk, struct record *record,
                                 const char **why)
{
    uint32_t off = walk->at.extent_off;
    *why = "log: no record header";
    scn_status st = want_bytes(walk, off, RECORD_HEADER_BYTES);
    if (st != SCN_OK ||
        !record_decode(walk->extent + off, walk->extent_len - off, record))
        return st;
    st = want_bytes(walk, off, record_bytes(record->stored_len));
    if (st == SCN_OK)
        *why = read_record(walk, record);
    return st;
}

scn_status log_walk_follow(struct log_walk *walk, bool *found)
{
    bool is_possible;
    const char *why;
    struct record record;
    struct log_extent next = {0};
    *found = false;
    scn_status st = enter_following(walk, &is_possible);
    if (st != SCN_OK || !is_possible)
        return st;
    st = read_following(walk, &record, &why);
    if (st == SCN_OK && !why && record.type == RECORD_EXTENT)
        st = judge_next(walk, &record, &next, &why);
    if (st == SCN_CORRUPT)
        return SCN_OK; /* the file ends before: a checkpoint has cut what it recycled */
    if (st != SCN_OK || why)
        return st;
    step(walk, &record, &next);
    *found = true;
    return SCN_OK;
}

/* ---- walking ---- */

static scn_status try_next(struct log_walk *walk, bool *found, const char **why)
{
    *found = false;
    *why = "log: the place where the log goes on lies outside the file";
    bool is_possible;
    scn_status st = log_walk_enter(walk, &is_possible);
    if (st != SCN_OK || !is_possible)
        return st;
    struct record record;
    struct log_extent next = {0};
    *why = read_record(walk, &record);
    if (!*why && record.type == RECORD_EXTENT)
        st = judge_next(walk, &record, &next, why);
    if (st != SCN_OK || *why)
        return st;
    step(walk, &record, &next);
    *found = true;
    return SCN_OK;
}

/* Where the log ends it is cut, or called damaged.  So what looks like its end is read a
 * second time, unless it is plain: a bit may have been flipped on the way. */
scn_status log_walk_next(struct log_walk *walk, bool *found, const char **why)
{
    scn_status st = try_next(walk, found, why);
    bool is_read = walk->extent_pgno != 0 && walk->extent_pgno == walk->at.extent_pgno;
    if (st != SCN_OK || *found || !is_read || is_blank(walk))
        return st;
    walk->extent_pgno = 0;
    return try_next(walk, found, why);
}

void log_walk_describe(const struct log_walk *walk, struct log_visit *visit)
{
    visit->record = walk->record;
    visit->end_lsn = walk->record.lsn + record_bytes(walk->record.stored_len);
    visit->file_off = walk->file_off;
    visit->next = walk->at;
    visit->extent.pgno = walk->next.pgno;
    visit->extent.pages = walk->next.pages;
    visit->extent.number = walk->next.number;
}
