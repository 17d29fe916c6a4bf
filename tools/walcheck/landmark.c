/* Pages without a page header: see landmark.h. */
#include "tools/walcheck/landmark.h"

#include "page/mem.h"
#include "page/publish.h"
#include "tools/member.h"
#include "tools/walcheck/account.h"

/* ---- superblocks ---- */

static void set_pointer(json_t *facts, const char *name, const struct page_ref *ref)
{
    if (!page_ref_is_null(ref))
        member_set_number(facts, name, ref->pgno);
}

static void set_base(json_t *facts, const struct log_base *base)
{
    member_set_number(facts, "log_lsn", base->lsn);
    member_set_word(facts, "log_epoch", base->epoch);
    member_set_number(facts, "log_extent", base->extent_number);
    member_set_number(facts, "log_page", base->extent_pgno);
    member_set_number(facts, "log_offset",
                        (uint64_t)base->extent_pgno * PAGE_BYTES + base->extent_off);
}

static void set_features(json_t *facts, const struct superblock *sb)
{
    member_set_word(facts, "incompatible", sb->incompatible);
    member_set_word(facts, "read_compatible", sb->read_compatible);
    member_set_word(facts, "compatible", sb->compatible);
}

static void set_pages(json_t *facts, const struct superblock *sb)
{
    set_pointer(facts, "catalog", &sb->catalog);
    set_pointer(facts, "space", &sb->space);
    member_set_number(facts, "pages", sb->page_count);
    member_set_number(facts, "needed_pages", sb->needed_pages);
    member_set_number(facts, "used_pages", sb->used_pages);
    member_set_number(facts, "freed_pages", sb->freed_pages);
    json_t *spares = member_list(facts, "spare_extents");
    for (uint32_t i = 0; i < sb->spare_count && i < LOG_SPARE_MAX; i++) {
        json_t *item = member_item(spares);
        member_set_number(item, "page", sb->spares[i].pgno);
        member_set_number(item, "pages", sb->spares[i].pages);
    }
}

const char *landmark_superblock(json_t *facts, const struct inspection *inspection,
                                uint32_t slot)
{
    const struct superblock *sb = &inspection->generations.sb[slot];
    enum superblock_verdict verdict = inspection->generations.verdict[slot];
    member_set(facts, "superblock", json_string(generation_verdict_word(verdict)));
    if (verdict == SUPERBLOCK_BLANK)
        return NULL;
    if (verdict == SUPERBLOCK_GOOD || verdict == SUPERBLOCK_NEWER) {
        member_set_number(facts, "version", sb->version);
        member_set_number(facts, "page_bytes", sb->page_bytes);
        member_set_hex(facts, "uuid", sb->uuid, sizeof sb->uuid);
        set_features(facts, sb);
        member_set_number(facts, "generation", sb->gen);
    }
    if (verdict == SUPERBLOCK_GOOD) {
        member_set(facts, "taken", json_boolean(inspection->chosen == (int)slot));
        set_base(facts, &sb->base);
        set_pages(facts, sb);
        return NULL;
    }
    const char *why = inspection->generations.why[slot];
    return why ? why : "there is no superblock";
}

/* ---- the publish page ---- */

static const char *const line_words[PUBLISH_LINE_COUNT] = {
    [PUBLISH_APPEND] = "append",         [PUBLISH_SYNC] = "sync",
    [PUBLISH_CHECKPOINT] = "checkpoint", [PUBLISH_POISON] = "poison",
    [PUBLISH_SESSION] = "session"};

static const char *const field_words[PUBLISH_LINE_COUNT][PUBLISH_FIELD_COUNT] = {
    [PUBLISH_APPEND] = {"lsn", "extent", "offset", "lazy_lsn", "full_lsn"},
    [PUBLISH_SYNC] = {"lsn", "extent", "offset"},
    [PUBLISH_CHECKPOINT] = {"generation", "base_lsn", "gone_floor", "dropping"},
    [PUBLISH_SESSION] = {"start_lsn", "found_lsn", "next_generation"}};

static void set_line(json_t *item, enum publish_line line,
                     const struct publish_value *value)
{
    member_set(item, "name", json_string(line_words[line]));
    member_set_number(item, "sequence", value->sequence);
    if (value->sequence == 0)
        return;
    member_set_word(item, "epoch", value->epoch);
    for (int i = 0; i < PUBLISH_FIELD_COUNT && field_words[line][i]; i++)
        member_set_number(item, field_words[line][i], value->field[i]);
}

void landmark_publish(json_t *facts, const uint8_t *image)
{
    json_t *lines = member_list(facts, "lines");
    for (enum publish_line line = 0; line < PUBLISH_LINE_COUNT; line++) {
        struct publish_value value = {0};
        for (uint32_t copy = 0; copy < 2; copy++) {
            struct publish_value found;
            if (publish_decode(line, image + publish_off(line, copy), &found) &&
                found.sequence > value.sequence)
                value = found;
        }
        set_line(member_item(lines), line, &value);
    }
}

/* ---- extents ---- */

static bool has_page(uint32_t first, uint32_t count, uint32_t pgno)
{
    return pgno >= first && pgno - first < count;
}

static bool header_covers(struct subject *subject, uint32_t first, uint32_t pgno,
                          struct log_spare *extent)
{
    uint8_t bytes[LOG_EXTENT_HEADER_BYTES];
    struct extent_header header;
    if (file_read(&subject->file, extent_file_off(first), bytes, sizeof bytes, 0) < 0 ||
        !extent_header_decode(bytes, &header) || !has_page(first, header.pages, pgno))
        return false;
    *extent = (struct log_spare){first, header.pages};
    return extent_is_in_file(&subject->file, first, header.pages);
}

bool landmark_find_extent(struct subject *subject, const struct inspection *inspection,
                          uint32_t pgno, struct log_spare *extent)
{
    const struct trail *trail = &inspection->trail;
    for (uint32_t i = 0; i < trail->extent_count; i++) {
        *extent = trail->extents[i];
        if (has_page(extent->pgno, extent->pages, pgno))
            return extent_is_in_file(&subject->file, extent->pgno, extent->pages);
    }
    for (uint32_t back = 0; back < LOG_EXTENT_PAGES && pgno - back >= FIRST_FREE_PAGE_NO;
         back++)
        if (header_covers(subject, pgno - back, pgno, extent))
            return true;
    return false;
}

static void set_extent(json_t *facts, const struct extent_header *header,
                       const struct log_spare *extent)
{
    member_set_number(facts, "first_page", extent->pgno);
    member_set_number(facts, "pages", extent->pages);
    member_set_number(facts, "extent", header->number);
    member_set_number(facts, "start_lsn", header->start_lsn);
    member_set_word(facts, "epoch", header->epoch);
    member_set_hex(facts, "uuid", header->uuid, sizeof header->uuid);
}

static void set_record(json_t *item, const struct record *record, uint32_t off)
{
    member_set_number(item, "at", off);
    member_set(item, "type", json_string(account_type_word(record->type)));
    member_set_number(item, "lsn", record->lsn);
    member_set_number(item, "stored", record->stored_len);
    member_set_number(item, "raw", record->raw_len);
    member_set_number(item, "synced_lsn", record->synced_lsn);
    member_set_word(item, "epoch", record->epoch);
}

/* What an earlier life of the extent has left does not go on from where the records
 * end. */
static bool goes_on(const struct record *record, uint64_t lsn, const uint8_t *at)
{
    bool may_jump = record->type == RECORD_EPOCH || record->type == RECORD_EXTENT;
    return (may_jump ? record->lsn >= lsn : record->lsn == lsn) &&
           record_crc_matches(record, at);
}

static void set_records(json_t *facts, const uint8_t *bytes,
                        const struct log_spare *extent, uint64_t lsn, uint32_t from)
{
    uint32_t len = extent_bytes(extent->pages);
    json_t *records = member_list(facts, "records");
    struct record record;
    uint32_t off = RECORD_FIRST_OFF;
    while (len - off >= RECORD_HEADER_BYTES &&
           record_decode(bytes + off, len - off, &record) &&
           goes_on(&record, lsn, bytes + off)) {
        if (off >= from && off - from < PAGE_BYTES)
            set_record(member_item(records), &record, off - from);
        lsn = record.lsn + record_bytes(record.stored_len);
        off += record_bytes(record.stored_len);
    }
    member_set_number(facts, "end_offset", extent_file_off(extent->pgno) + off);
}

scn_status landmark_extent(json_t *facts, struct subject *subject,
                           const struct log_spare *extent, uint32_t pgno,
                           const char **why)
{
    struct extent_header header;
    uint32_t len = extent_bytes(extent->pages);
    uint32_t from = (pgno - extent->pgno) * (uint32_t)PAGE_BYTES;
    uint8_t *bytes = mem_alloc(len);
    if (bytes == NULL)
        return error_nomem();
    scn_status st =
        file_read(&subject->file, extent_file_off(extent->pgno), bytes, len, 0);
    *why = NULL;
    if (st == SCN_OK && extent_header_decode(bytes, &header)) {
        set_extent(facts, &header, extent);
        set_records(facts, bytes, extent, header.start_lsn, from);
    } else if (st == SCN_OK) {
        *why = "the header of its log extent is damaged";
    }
    mem_free(bytes);
    return st;
}
