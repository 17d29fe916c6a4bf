/* Reading the log, and judging where it ends.
 *
 * A walk (wal/walk.h) stops at the first place where no record chains on.  That alone
 * tells nothing: it looks the same whether the machine stopped in the middle of a write
 * that nobody was promised anything about, or a bit has rotted in front of ten thousand
 * acknowledged commits.  Each record carries the synced_lsn of its time, so records
 * *behind* the bad place can tell: one of them with a synced_lsn above the lsn of the bad
 * place proves that a sync had covered that place, hence that a whole record stood there.
 * That is corruption, and nothing may be cut [L3].
 *
 * Why the proof is one:
 *   - synced_lsn only rises over bytes that are durable [L5]; a record in a torn tail was
 *     written before any sync of the bad place ended, and carries less.
 *   - Stale records of an extent's earlier life are older than the bad place [L1], and so
 *     is their synced_lsn.
 *   - The epoch tells this file's records from bytes that only look like some, such as
 *     another log stored in a value: it is one of this chain, or of this file [R5].  The
 *     second matters when the damage hides the EPOCH record that everything else follows.
 * Neither the lsn nor the chain of such a witness is asked for: where the chain is broken
 * and epochs may have begun unseen, nobody knows them.
 *
 * The witness may be in a later extent, and the EXTENT record that leads there may be
 * what is damaged; then the link in the head of the extent leads on. */
#include "wal/log.h"

#include "page/bytes.h"
#include "page/compress.h"
#include "page/mem.h"
#include "wal/walk.h"

/* Candidates that fail their CRC are rare in any log this code has written.  Somebody
 * else may pile them up, each claiming half an extent, to make the search quadratic; this
 * bounds it. */
enum { FAILED_BYTES_MAX = 64 * LOG_EXTENT_PAGES * PAGE_BYTES };

struct evidence {
    const uint8_t *uuid;
    uint64_t first_epoch; /* of the base */
    uint64_t last_epoch;  /* of the bad place */
    uint64_t bad_lsn;
    uint64_t synced_lsn; /* the highest one seen */
    uint64_t top_lsn;    /* the highest end of a record seen */
    uint64_t failed_bytes;
    bool has_later; /* records written after the bad place was */
    bool has_older; /* records of an earlier life */
    struct log_extent
        next; /* number 0: none.  The extent behind the one that was searched */
};

static bool is_of_this_log(const struct evidence *evidence, uint64_t epoch)
{
    return epoch == evidence->last_epoch || epoch == evidence->first_epoch ||
           record_epoch_is_ours(evidence->uuid, epoch);
}

/* Most of an extent is zero most of the time: no record begins in the first bytes of so
 * many zeros, since its type is not zero. */
enum { ZEROS_BYTES = 128 };

static bool begins_with_zeros(const uint8_t *at, uint32_t len)
{
    return len >= ZEROS_BYTES && get_u64(at + 8) == 0 && bytes_are_zero(at, ZEROS_BYTES);
}

/* The cheap half of record_decode: rejects zeros and nearly all of everything else. */
static bool may_be_record(const uint8_t *at)
{
    uint32_t kind = get_u32(at + 12);
    return (kind & 0xff) - 1 < RECORD_TYPE_MAX && kind >> 9 == 0 && get_u32(at + 44) == 0;
}

static bool is_settled(const struct evidence *evidence)
{
    return evidence->synced_lsn > evidence->bad_lsn ||
           evidence->failed_bytes > FAILED_BYTES_MAX;
}

/* Where an extent was left more than once, after a cut, the last time counts. */
static void lead_on(struct evidence *evidence, const struct log_extent *next,
                    uint64_t number)
{
    if (next->number == number + 1 && next->start_lsn >= evidence->next.start_lsn)
        evidence->next = *next;
}

static void take_witness(struct evidence *evidence, const struct record *record,
                         const uint8_t *at, uint64_t number)
{
    uint64_t end_lsn = record->lsn + record_bytes(record->stored_len);
    if (record->synced_lsn > evidence->synced_lsn)
        evidence->synced_lsn = record->synced_lsn;
    if (end_lsn > evidence->top_lsn)
        evidence->top_lsn = end_lsn;
    if (record->lsn >= evidence->bad_lsn)
        evidence->has_later = true;
    else
        evidence->has_older = true;
    if (record->type != RECORD_EXTENT)
        return;
    struct log_extent next;
    extent_payload_decode(at + RECORD_HEADER_BYTES, &next);
    next.start_lsn = end_lsn;
    lead_on(evidence, &next, number);
}

/* Every place from `off` to the end of an extent; `number` is the extent's. */
static void search(struct evidence *evidence, const uint8_t *extent, uint32_t off,
                   uint32_t len, uint64_t number)
{
    struct log_extent link;
    evidence->next = (struct log_extent){.number = 0};
    while (len - off >= RECORD_HEADER_BYTES && !is_settled(evidence)) {
        const uint8_t *at = extent + off;
        struct record record;
        if (begins_with_zeros(at, len - off)) {
            off += ZEROS_BYTES - RECORD_HEADER_BYTES;
            continue;
        }
        off += RECORD_ALIGN;
        if (!may_be_record(at) ||
            !record_decode(at, len - (off - RECORD_ALIGN), &record) ||
            !is_of_this_log(evidence, record.epoch))
            continue;
        if (!record_crc_matches(&record, at)) {
            evidence->failed_bytes += record_bytes(record.stored_len);
            continue;
        }
        take_witness(evidence, &record, at, number);
        off += record_bytes(record.stored_len) - RECORD_ALIGN;
    }
    if (extent_link_decode(extent + EXTENT_LINK_OFF, evidence->uuid, &link))
        lead_on(evidence, &link, number);
}

/* The rest of the extent, and the extents behind it as long as there is a trace of one:
 * each has the next number and lies in the file, which bounds the loop. */
static scn_status gather(struct evidence *evidence, struct log_walk *walk)
{
    uint64_t number = walk->at.extent_number;
    uint64_t extents_max = atomic_load(&walk->file->page_count);
    search(evidence, walk->extent, walk->at.extent_off, walk->extent_len, number);
    for (uint64_t i = 0; i < extents_max && evidence->next.number != 0; i++) {
        if (is_settled(evidence) ||
            !extent_is_in_file(walk->file, evidence->next.pgno, evidence->next.pages))
            break;
        number = evidence->next.number;
        scn_status st = log_walk_read(walk, evidence->next.pgno, evidence->next.pages);
        if (st != SCN_OK)
            return st;
        search(evidence, walk->extent, RECORD_FIRST_OFF, walk->extent_len, number);
    }
    return SCN_OK;
}

/* The bad place bears the beginning of a record that was meant for it. */
static bool has_remains(const struct log_walk *walk)
{
    uint32_t off = walk->at.extent_off;
    if (walk->extent_len - off < RECORD_HEADER_BYTES)
        return false;
    const uint8_t *at = walk->extent + off;
    return get_u64(at + 16) == walk->at.lsn && get_u64(at + 24) == walk->at.epoch;
}

static bool has_zeros(const struct log_walk *walk)
{
    uint32_t off = walk->at.extent_off;
    uint32_t room = walk->extent_len - off;
    uint32_t len = room < RECORD_HEADER_BYTES ? room : RECORD_HEADER_BYTES;
    return bytes_are_zero(walk->extent + off, len);
}

static void say_corrupt(struct log_scan_result *out, const char *why)
{
    out->kind = LOG_END_CORRUPT;
    out->why = why;
}

/* No LSN of the chain lies beyond: what was appended behind the last record seen lay in
 * this file. */
static uint64_t bound_lsn(struct file *file, const struct log_scan_result *result,
                          uint64_t top_lsn)
{
    uint64_t lsn = result->end.lsn;
    if (result->watermark > lsn)
        lsn = result->watermark;
    if (top_lsn > lsn)
        lsn = top_lsn;
    if (lsn > RECORD_LSN_MAX)
        lsn = RECORD_LSN_MAX;
    lsn += atomic_load(&file->page_count) * PAGE_BYTES;
    return (lsn + RECORD_ALIGN - 1) & ~(uint64_t)(RECORD_ALIGN - 1);
}

/* The head of an extent was synced with the first record in it at the latest [L5]: so the
 * place has to lie behind one. */
static bool settles_at(const struct log_scan_result *out, const struct log_base *place)
{
    return place->lsn == out->watermark && place->extent_pgno == out->end.extent_pgno &&
           place->extent_off > RECORD_FIRST_OFF;
}

/* A failed sync may have left a record in the page cache that the medium does not have.
 * Nobody is shown it, but the next write beside it would bring it back: where there is
 * one, the end has to be written anew. */
static scn_status look_into_cache(const struct log_walk *walk, bool *is_blank)
{
    uint8_t header[RECORD_HEADER_BYTES];
    uint32_t off = walk->at.extent_off;
    uint32_t room = walk->extent_len - off;
    uint32_t len = room < sizeof header ? room : sizeof header;
    scn_status st = file_read(walk->file, extent_file_off(walk->at.extent_pgno) + off,
                              header, len, 0);
    *is_blank = st == SCN_OK && bytes_are_zero(header, len);
    return st;
}

static scn_status find_settled(const struct log_walk *walk, struct log_scan_result *out)
{
    bool has_last = out->record_count > 0 && settles_at(out, &walk->from);
    if (!has_last && !settles_at(out, &out->end))
        return SCN_OK;
    out->settled = has_last ? walk->from : out->end;
    return look_into_cache(walk, &out->is_settled);
}

/* [L3].  why: what the walk found at the place where it ended. */
static scn_status judge_end(struct log_walk *walk, const struct log_base *base,
                            const char *why, struct log_scan_result *out)
{
    struct evidence evidence = {
        .uuid = walk->uuid,
        .first_epoch = base->epoch,
        .last_epoch = walk->at.epoch,
        .bad_lsn = walk->at.lsn,
    };
    out->why = why;
    bool is_read = walk->extent_pgno != 0 && walk->extent_pgno == walk->at.extent_pgno;
    bool has_sign = is_read && has_remains(walk);
    bool is_blank = is_read && has_zeros(walk);
    scn_status st = is_read ? gather(&evidence, walk) : SCN_OK;
    if (st != SCN_OK)
        return st;
    if (evidence.synced_lsn > out->watermark)
        out->watermark = evidence.synced_lsn;
    out->capacity_lsn = bound_lsn(walk->file, out, evidence.top_lsn);
    if (!is_read || out->watermark > walk->at.lsn) {
        say_corrupt(out, why);
    } else if (evidence.failed_bytes > FAILED_BYTES_MAX) {
        say_corrupt(
            out,
            "log: behind the last record lie more damaged records than a log can have");
    } else if (walk->has_bad_head) {
        out->bad_off = extent_file_off(base->extent_pgno);
        say_corrupt(out, "log: the header of the extent where the log begins is damaged");
    } else if (walk->leads_outside) {
        /* The file was that long, durably, before the record was written [L7]. */
        say_corrupt(out, "log: the file was cut where the log goes on");
    } else if (has_sign || evidence.has_later) {
        out->kind = LOG_END_TORN;
    } else {
        out->kind = is_blank || evidence.has_older ? LOG_END_CLEAN : LOG_END_TORN;
        if (is_blank)
            st = find_settled(walk, out);
    }
    return st;
}

/* raw is RECORD_PAYLOAD_MAX bytes.  False: the payload does not decompress. */
static bool unpack(const struct log_walk *walk, uint8_t *raw, struct log_visit *visit)
{
    visit->payload = walk->stored;
    visit->payload_len = walk->record.raw_len;
    if (!(walk->record.flags & RECORD_IS_LZ4))
        return true;
    visit->payload = raw;
    return decompress_block(walk->stored, walk->record.stored_len, raw,
                            walk->record.raw_len);
}

static void count(const struct log_walk *walk, struct log_scan_result *out)
{
    out->end = walk->at;
    out->bad_off = extent_file_off(walk->at.extent_pgno) + walk->at.extent_off;
    out->record_count++;
    out->byte_count += record_bytes(walk->record.stored_len);
    if (walk->record.synced_lsn > out->watermark)
        out->watermark = walk->record.synced_lsn;
}

/* Visits what chains, then judges. */
static scn_status scan_all(struct log_walk *walk, uint8_t *raw,
                           const struct log_base *base, log_visit_fn fn, void *ctx,
                           struct log_scan_result *out)
{
    for (;;) {
        bool found;
        const char *why;
        scn_status st = log_walk_next(walk, &found, &why);
        if (st != SCN_OK)
            return st;
        if (!found)
            return judge_end(walk, base, why, out);
        struct log_visit visit;
        log_walk_describe(walk, &visit);
        if (!unpack(walk, raw, &visit)) {
            /* Its checksum is right: it was written like this. */
            out->capacity_lsn = bound_lsn(walk->file, out, visit.end_lsn);
            say_corrupt(out, "log: a record that does not decompress");
            return SCN_OK;
        }
        st = fn(ctx, &visit);
        if (st < 0)
            return st;
        count(walk, out);
    }
}

scn_status log_scan(struct file *file, const uint8_t uuid[16],
                    const struct log_base *base, uint64_t known_synced, bool uncached,
                    log_visit_fn fn, void *ctx, struct log_scan_result *out)
{
    *out = (struct log_scan_result){
        .end = *base,
        .watermark = known_synced > base->lsn ? known_synced : base->lsn,
        .bad_off = extent_file_off(base->extent_pgno) + base->extent_off,
    };
    struct log_walk walk;
    uint8_t *raw = NULL;
    scn_status st = log_walk_open(&walk, file, uuid, base, uncached);
    if (st != SCN_OK)
        goto out;
    raw = mem_alloc(RECORD_PAYLOAD_MAX);
    if (!raw) {
        st = error_nomem();
        goto out;
    }
    st = scan_all(&walk, raw, base, fn, ctx, out);
out:
    mem_free(raw);
    log_walk_close(&walk);
    return st;
}
