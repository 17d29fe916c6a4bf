/* The log: see trail.h. */
#include "tools/walcheck/trail.h"

#include "page/mem.h"
#include "tools/walcheck/directory.h"

#include <inttypes.h>

void trail_destroy(struct trail *trail)
{
    mem_free(trail->extents);
    bitmap_destroy(&trail->linked);
    mem_free(trail->runs);
    *trail = (struct trail){0};
}

struct following {
    struct subject *subject;
    struct findings *findings;
    struct space *space;
    struct trail *trail;
    trail_fn fn;
    void *ctx;
};

/* ---- extents ---- */

static scn_status mark_extent(struct trail *trail, uint32_t pgno)
{
    scn_status st = bitmap_grow(&trail->linked, pgno + 1);
    if (st == SCN_OK)
        bitmap_set(&trail->linked, pgno, 1);
    return st;
}

static scn_status add_extent(struct following *following, uint32_t pgno, uint32_t pages)
{
    struct trail *trail = following->trail;
    if (trail_has_extent(trail, pgno))
        return SCN_OK;
    scn_status st = mem_make_room(&trail->extents, &trail->extent_capacity,
                                  trail->extent_count + 1, sizeof *trail->extents);
    if (st < 0)
        return st;
    trail->extents[trail->extent_count++] = (struct log_spare){pgno, pages};
    return extent_is_in_file(&following->subject->file, pgno, pages)
               ? mark_extent(trail, pgno)
               : SCN_OK;
}

/* What makes an open refuse the file. */
static scn_status refuse(struct following *following, enum finding_kind kind,
                         scn_status st)
{
    following->trail->is_refused = true;
    return findings_note_error(following->findings, kind, st);
}

/* An extent that came from the end of the file is not yet known to the generation. */
static scn_status meet_extent(struct following *following, const struct log_visit *visit)
{
    struct space *space = following->space;
    uint32_t pgno = visit->extent.pgno;
    scn_status st = add_extent(following, pgno, visit->extent.pages);
    if (st < 0 || space == NULL || space_is_used(space, pgno))
        return st;
    st = space_reserve(space, pgno, visit->extent.pages);
    return st < 0 ? refuse(following, FINDING_SHARED, st) : SCN_OK;
}

/* ---- operations ---- */

/* Can a transaction have written this row of the catalog? */
static bool catalog_op_is_possible(const struct op *op)
{
    const uint8_t *key = op->key.data;
    struct catalog_row row;
    static const uint8_t four[4];
    if (op->code != OP_PUT && op->code != OP_DEL)
        return false;
    if (op->code == OP_DEL && op->key.size == 5 && key[0] == 'I')
        return true;
    catalog_row_decode(op->key, op->code == OP_PUT ? op->value : (scn_slice){four, 4},
                       &row);
    if (op->code == OP_DEL)
        return row.kind == CATALOG_ROW_NAME || catalog_key_is_past(op->key);
    if (row.kind == CATALOG_ROW_ID)
        return op->value.size <= 4 + TABLE_NAME_MAX;
    return row.kind == CATALOG_ROW_NAME || row.kind == CATALOG_ROW_NEXT ||
           row.kind == CATALOG_ROW_PAST;
}

static bool op_is_possible(const struct op *op)
{
    bool has_key = op->key.size > 0 || (op->code != OP_PUT && op->code != OP_DEL);
    return (op->table_id >= FIRST_USER_TABLE && has_key) ||
           (op->table_id == CATALOG_TABLE && catalog_op_is_possible(op));
}

static scn_status add_run(struct trail *trail, const struct op *op)
{
    scn_status st = mem_make_room(&trail->runs, &trail->run_capacity,
                                  trail->run_count + 1, sizeof *trail->runs);
    if (st == SCN_OK)
        trail->runs[trail->run_count++] =
            (struct trail_run){op->table_id, op->run.root, op->run.count,
                               op->run.tombstones};
    return st;
}

/* Its pages: in the file, which was that long before the record was written, and
 * nobody else's. */
static scn_status meet_range(struct following *following, const struct op_range *range)
{
    uint64_t file_pages = atomic_load(&following->subject->file.page_count);
    if ((uint64_t)range->pgno + range->pages > file_pages)
        return refuse(following, FINDING_CUT,
                      error_corrupt(range->pgno, (uint64_t)range->pgno * PAGE_BYTES,
                                    "log: a bulk run has pages behind the end of the "
                                    "file"));
    scn_status st = following->space
                        ? space_reserve(following->space, range->pgno, range->pages)
                        : SCN_OK;
    return st < 0 ? refuse(following, FINDING_SHARED, st) : SCN_OK;
}

static scn_status meet_run(struct following *following, const struct op *op,
                           uint64_t file_off)
{
    uint64_t cursor = 0;
    uint64_t count = 0;
    struct op_range range;
    scn_status st = add_run(following->trail, op);
    while (st == SCN_OK && count < op->run.range_count &&
           op_run_range(&op->run, &cursor, &range)) {
        st = meet_range(following, &range);
        count++;
    }
    if (st == SCN_OK && count != op->run.range_count)
        st = refuse(following, FINDING_OPERATION,
                    error_corrupt(op->run.root.pgno, file_off,
                                  "log: the page ranges of a bulk run are malformed"));
    return st;
}

static scn_status meet_op(struct following *following, const struct op *op,
                          uint64_t file_off)
{
    following->trail->op_count++;
    if (!op_is_possible(op))
        return refuse(following, FINDING_OPERATION,
                      error_corrupt(file_off / PAGE_BYTES, file_off,
                                    "log: operation %d in table %" PRIu32
                                    " is impossible",
                                    op->code, op->table_id));
    return op->code == OP_RUN ? meet_run(following, op, file_off) : SCN_OK;
}

static scn_status meet_commit(struct following *following, const struct log_visit *visit)
{
    struct ops_reader reader;
    struct op op;
    scn_status st;
    following->trail->commit_count++;
    ops_reader_init(&reader, visit->payload, visit->payload_len);
    while ((st = ops_next(&reader, &op)) == SCN_OK) {
        st = meet_op(following, &op, visit->file_off);
        if (st < 0)
            return st;
    }
    if (st == SCN_END)
        return SCN_OK;
    return st == SCN_CORRUPT
               ? refuse(following, FINDING_OPERATION,
                        error_corrupt(visit->file_off / PAGE_BYTES, visit->file_off,
                                      "log: the operations of a record are malformed"))
               : st;
}

/* ---- the walk ---- */

static scn_status meet(void *ctx, const struct log_visit *visit)
{
    struct following *following = ctx;
    struct trail *trail = following->trail;
    scn_status st = subject_breathe(following->subject);
    trail->stored_bytes += visit->record.stored_len;
    trail->raw_bytes += visit->record.raw_len;
    if (st == SCN_OK && visit->record.type == RECORD_COMMIT)
        st = meet_commit(following, visit);
    else if (st == SCN_OK && visit->record.type == RECORD_EXTENT)
        st = meet_extent(following, visit);
    trail->last_lsn = visit->end_lsn;
    if (st == SCN_OK && following->fn)
        st = following->fn(following->ctx, visit);
    return st;
}

/* What a log needs to go on. */
static scn_status judge_room(struct following *following, const struct superblock *sb)
{
    const struct log_base *end = &following->trail->end.end;
    struct file *file = &following->subject->file;
    scn_status st = SCN_OK;
    bool has_room = end->extent_off + (uint64_t)RECORD_EXTENT_BYTES <=
                    (uint64_t)end->extent_pages * PAGE_BYTES;
    if (following->trail->end.kind != LOG_END_CORRUPT && !has_room)
        st = refuse(following, FINDING_LOG,
                    error_corrupt(end->extent_pgno, following->trail->end.bad_off,
                                  "log: where it ends no extent record has room"));
    for (uint32_t i = 0; i < sb->spare_count && st == SCN_OK; i++)
        if (!extent_is_in_file(file, sb->spares[i].pgno, sb->spares[i].pages))
            st = refuse(following, FINDING_CUT,
                        error_corrupt(sb->spares[i].pgno,
                                      (uint64_t)sb->spares[i].pgno * PAGE_BYTES,
                                      "log: a spare extent lies outside the file"));
    return st;
}

scn_status trail_follow(struct subject *subject, struct findings *findings,
                        const struct superblock *sb, uint64_t known_synced,
                        struct space *space, trail_fn fn, void *ctx, struct trail *out)
{
    struct following following = {subject, findings, space, out, fn, ctx};
    *out = (struct trail){.last_lsn = sb->base.lsn};
    scn_status st = add_extent(&following, sb->base.extent_pgno, sb->base.extent_pages);
    if (st == SCN_OK)
        st = log_scan(&subject->file, sb->uuid, &sb->base, known_synced, false, meet,
                      &following, &out->end);
    return st == SCN_OK ? judge_room(&following, sb) : st;
}

void trail_judge_end(const struct trail *trail, struct findings *findings, bool is_live)
{
    const struct log_scan_result *end = &trail->end;
    uint64_t page = end->bad_off / PAGE_BYTES;
    const char *why = end->why ? end->why : "the log ends there";
    if (end->kind == LOG_END_CORRUPT)
        findings_note(findings, FINDING_LOG, page, end->bad_off,
                      "the log is damaged at lsn %" PRIu64
                      " before acknowledged commits, which reach to lsn %" PRIu64
                      " at least (%s)",
                      end->end.lsn, end->watermark, why);
    else if (end->kind == LOG_END_TORN && !is_live)
        findings_note(findings, FINDING_TORN, page, end->bad_off,
                      "behind lsn %" PRIu64
                      " lies the beginning of what was never acknowledged (%s)",
                      end->end.lsn, why);
}
