/* Records behind the damage: see survivors.h. */
#include "tools/walcheck/survivors.h"

#include "page/bytes.h"
#include "page/compress.h"
#include "page/mem.h"
#include "wal/walk.h"

#include <stdlib.h>

/* As in wal/scan.c: somebody may pile up candidates that each claim half an extent. */
enum { FAILED_BYTES_MAX = 64 * LOG_EXTENT_PAGES * PAGE_BYTES };
enum { BREATH_HEADS = 256 };

/* Headers of extents that lie in the file, by number, then by page: read once, as a
 * forged log may lead on nowhere in each of millions of extents. */
struct heads {
    struct log_extent *items;
    uint32_t count;
    uint32_t capacity;
    bool are_listed;
};

struct search {
    struct subject *subject;
    struct log_walk walk; /* reads extents */
    const struct survivors_visitor *visitor;
    struct survivors *out;
    uint64_t watermark; /* all before it was durable */
    bool is_measuring;  /* the first time, to find the watermark out */
    uint64_t first_epoch;
    uint8_t *raw;
    uint64_t failed_bytes;
    struct log_extent next; /* number 0: no trace of it */
    struct heads heads;
    /* Where the log goes on if nothing is missing. */
    uint64_t extent_number;
    uint32_t off;
    uint64_t lsn;
    uint64_t epoch;
    uint32_t prev_crc;
    uint64_t last_lsn; /* behind the record that was found last, */
    uint64_t last_off; /* and where that is in the file */
    bool is_over;
};

static bool is_possible(struct search *search, const struct record *record, uint64_t lsn)
{
    bool is_ours = record->epoch == search->epoch ||
                   record->epoch == search->first_epoch ||
                   record_epoch_is_ours(search->walk.uuid, record->epoch);
    return is_ours && record->lsn >= lsn;
}

/* A record stands at `off`, where without a gap or an epoch the lsn would be `lsn`. */
static bool find_at(struct search *search, uint32_t off, uint64_t lsn, struct record *out)
{
    const uint8_t *at = search->walk.extent + off;
    if (!record_decode(at, search->walk.extent_len - off, out) ||
        !is_possible(search, out, lsn))
        return false;
    if (record_crc_matches(out, at))
        return true;
    search->failed_bytes += record_bytes(out->stored_len);
    return false;
}

/* False: the payload does not decompress. */
static bool unpack(struct search *search, const struct record *record,
                   const uint8_t *stored, struct log_visit *visit)
{
    visit->payload = stored;
    visit->payload_len = record->raw_len;
    if (!(record->flags & RECORD_IS_LZ4))
        return true;
    visit->payload = search->raw;
    return decompress_block(stored, record->stored_len, search->raw, record->raw_len);
}

static scn_status tell_gap(struct search *search, const struct record *record,
                           uint64_t file_off)
{
    struct survivors_gap gap = {
        .from_off = search->last_off,
        .from_lsn = search->last_lsn,
        .to_off = file_off,
        .to_lsn = record->lsn,
    };
    search->out->gap_count++;
    return search->visitor->gap ? search->visitor->gap(search->visitor->ctx, &gap)
                                : SCN_OK;
}

static void count(struct search *search, const struct record *record)
{
    struct survivors *out = search->out;
    out->record_count++;
    out->commit_count += record->type == RECORD_COMMIT;
    out->byte_count += record_bytes(record->stored_len);
}

static void advance(struct search *search, const struct record *record, uint32_t off)
{
    if (record->synced_lsn > search->watermark)
        search->watermark = record->synced_lsn;
    search->off = off + record_bytes(record->stored_len);
    search->lsn = record->lsn + record_bytes(record->stored_len);
    search->last_lsn = search->lsn;
    search->last_off = extent_file_off(search->walk.extent_pgno) + search->off;
    search->epoch = record->epoch;
    search->prev_crc = record->crc;
}

static scn_status show(struct search *search, const struct record *record, uint32_t off)
{
    const uint8_t *stored = search->walk.extent + off + RECORD_HEADER_BYTES;
    struct log_visit visit = {.record = *record};
    visit.end_lsn = record->lsn + record_bytes(record->stored_len);
    visit.file_off = extent_file_off(search->walk.extent_pgno) + off;
    if (record->type == RECORD_EXTENT) {
        visit.extent.pgno = search->next.pgno;
        visit.extent.pages = search->next.pages;
        visit.extent.number = search->next.number;
    }
    bool is_wanted = search->visitor->record && unpack(search, record, stored, &visit);
    return is_wanted ? search->visitor->record(search->visitor->ctx, &visit) : SCN_OK;
}

static scn_status accept(struct search *search, const struct record *record, uint32_t off)
{
    scn_status st = SCN_OK;
    if (record->type == RECORD_EXTENT)
        extent_payload_decode(search->walk.extent + off + RECORD_HEADER_BYTES,
                              &search->next);
    if (!search->is_measuring) {
        count(search, record);
        if (record->prev_crc != search->prev_crc)
            st = tell_gap(search, record,
                          extent_file_off(search->walk.extent_pgno) + off);
        if (st == SCN_OK)
            st = show(search, record, off);
    }
    advance(search, record, off);
    return st;
}

/* Behind a gap that nobody has synced over lies what was never acknowledged. */
static bool is_unproved(const struct search *search, const struct record *record)
{
    return !search->is_measuring && record->prev_crc != search->prev_crc &&
           record->lsn > search->watermark;
}

/* The extent that was read last, from search->off on. */
static scn_status search_extent(struct search *search)
{
    scn_status st = subject_breathe(search->subject);
    uint32_t off = search->off;
    search->next.number = 0;
    while (st == SCN_OK && !search->is_over &&
           search->walk.extent_len - off >= RECORD_HEADER_BYTES &&
           search->failed_bytes <= FAILED_BYTES_MAX) {
        struct record record;
        uint64_t lsn = search->lsn + (off - search->off);
        if (!find_at(search, off, lsn, &record)) {
            off += RECORD_ALIGN;
            continue;
        }
        search->is_over = is_unproved(search, &record);
        if (!search->is_over)
            st = accept(search, &record, off);
        off = search->off;
    }
    return st;
}

/* ---- from extent to extent ---- */

static bool has_our_head(const struct search *search, const uint8_t *at,
                    struct extent_header *header)
{
    return extent_header_decode(at, header) &&
           memcmp(header->uuid, search->walk.uuid, sizeof header->uuid) == 0;
}

static scn_status add_head(struct heads *heads, uint32_t pgno,
                           const struct extent_header *header)
{
    scn_status st = mem_make_room(&heads->items, &heads->capacity, heads->count + 1,
                                  sizeof *heads->items);
    if (st < 0)
        return st;
    heads->items[heads->count++] =
        (struct log_extent){pgno, header->pages, header->number, header->start_lsn};
    return SCN_OK;
}

static int by_number(const void *left, const void *right)
{
    const struct log_extent *a = left;
    const struct log_extent *b = right;
    if (a->number != b->number)
        return a->number < b->number ? -1 : 1;
    return (a->pgno > b->pgno) - (a->pgno < b->pgno);
}

static scn_status list_heads(struct search *search)
{
    struct file *file = &search->subject->file;
    struct heads *heads = &search->heads;
    uint64_t pages = atomic_load(&file->page_count);
    scn_status st = SCN_OK;
    for (uint32_t pgno = FIRST_FREE_PAGE_NO; pgno < pages && st == SCN_OK; pgno++) {
        uint8_t bytes[LOG_EXTENT_HEADER_BYTES];
        struct extent_header header;
        if (pgno % BREATH_HEADS == 0)
            st = subject_breathe(search->subject);
        if (st == SCN_OK &&
            file_read(file, extent_file_off(pgno), bytes, sizeof bytes, 0) == SCN_OK &&
            has_our_head(search, bytes, &header))
            st = add_head(heads, pgno, &header);
    }
    if (heads->count)
        qsort(heads->items, heads->count, sizeof *heads->items, by_number);
    heads->are_listed = st == SCN_OK;
    return st;
}

/* The first one of that number or a higher one. */
static uint32_t find_number(const struct heads *heads, uint64_t number)
{
    uint32_t low = 0;
    uint32_t high = heads->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (heads->items[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* No record and no link leads on: each page of the file may be the extent's first. */
static scn_status search_file(struct search *search, uint64_t number)
{
    const struct heads *heads = &search->heads;
    scn_status st = heads->are_listed ? SCN_OK : list_heads(search);
    if (st < 0)
        return st;
    for (uint32_t i = find_number(heads, number);
         i < heads->count && heads->items[i].number == number; i++)
        if (heads->items[i].start_lsn >= search->lsn) {
            search->next = heads->items[i];
            break;
        }
    return SCN_OK;
}

static scn_status find_next(struct search *search)
{
    uint64_t number = search->extent_number + 1;
    struct log_extent *next = &search->next;
    if (next->number != number &&
        !(extent_link_decode(search->walk.extent + EXTENT_LINK_OFF, search->walk.uuid,
                             next) &&
          next->number == number))
        next->number = 0;
    if (next->number != 0 &&
        extent_is_in_file(&search->subject->file, next->pgno, next->pages))
        return SCN_OK;
    next->number = 0;
    return search->lsn < search->watermark ? search_file(search, number) : SCN_OK;
}

/* The next extent; its header says which lsn it begins with. */
static scn_status enter_next(struct search *search)
{
    struct extent_header header;
    struct log_extent next = search->next;
    if (!extent_is_in_file(&search->subject->file, next.pgno, next.pages)) {
        search->is_over = true;
        return SCN_OK;
    }
    scn_status st = log_walk_read(&search->walk, next.pgno, next.pages);
    if (st < 0)
        return st;
    search->extent_number = next.number;
    search->off = RECORD_FIRST_OFF;
    if (has_our_head(search, search->walk.extent, &header) &&
        header.number == next.number && header.start_lsn >= search->lsn)
        search->lsn = header.start_lsn;
    return SCN_OK;
}

/* Each extent has the next number, and a page bears only one: the loop ends with the
 * file's pages. */
static scn_status search_all(struct search *search)
{
    uint64_t extents_max = atomic_load(&search->subject->file.page_count);
    scn_status st = search_extent(search);
    for (uint64_t i = 0; i < extents_max && st == SCN_OK && !search->is_over; i++) {
        st = find_next(search);
        if (st < 0 || search->next.number == 0)
            break;
        st = enter_next(search);
        if (st == SCN_OK && !search->is_over)
            st = search_extent(search);
    }
    return st;
}

static scn_status search_from(struct search *search, const struct log_base *at)
{
    search->extent_number = at->extent_number;
    search->off = at->extent_off;
    search->lsn = at->lsn;
    search->epoch = at->epoch;
    search->prev_crc = at->prev_crc;
    search->last_lsn = at->lsn;
    search->last_off = extent_file_off(at->extent_pgno) + at->extent_off;
    search->failed_bytes = 0;
    search->is_over = false;
    scn_status st = log_walk_read(&search->walk, at->extent_pgno, at->extent_pages);
    return st == SCN_OK ? search_all(search) : st;
}

static bool is_place(struct subject *subject, const struct log_base *at)
{
    return extent_is_in_file(&subject->file, at->extent_pgno, at->extent_pages) &&
           at->extent_off >= RECORD_FIRST_OFF && at->extent_off % RECORD_ALIGN == 0 &&
           at->extent_off <= extent_bytes(at->extent_pages);
}

/* Twice: the last of the survivors may be who knows that the first gap was durable. */
scn_status survivors_find(struct subject *subject, const uint8_t uuid[16],
                          const struct log_scan_result *end,
                          const struct survivors_visitor *visitor, struct survivors *out)
{
    struct search search = {.subject = subject,
                            .visitor = visitor,
                            .out = out,
                            .watermark = end->watermark,
                            .first_epoch = end->end.epoch,
                            .is_measuring = true};
    *out = (struct survivors){.watermark = end->watermark};
    if (!is_place(subject, &end->end))
        return SCN_OK;
    scn_status st =
        log_walk_open(&search.walk, &subject->file, uuid, &end->end, false);
    search.raw = st == SCN_OK ? mem_alloc(RECORD_PAYLOAD_MAX) : NULL;
    if (st == SCN_OK && search.raw == NULL)
        st = error_nomem();
    if (st == SCN_OK)
        st = search_from(&search, &end->end);
    search.is_measuring = false;
    if (st == SCN_OK)
        st = search_from(&search, &end->end);
    out->watermark = search.watermark;
    mem_free(search.raw);
    mem_free(search.heads.items);
    log_walk_close(&search.walk);
    return st;
}
