/* The log: its records one after the other, what each does, and where and how it ends.
 *
 * A record that the log's own rules believe (wal/scan.c) may still say what no
 * transaction writes, or name pages that somebody else has.  An open refuses such a file;
 * here it is a finding, and the reading goes on. */
#ifndef TOOLS_WALCHECK_TRAIL_H
#define TOOLS_WALCHECK_TRAIL_H

#include "page/bitmap.h"
#include "page/space.h"
#include "tools/walcheck/finding.h"
#include "tools/walcheck/subject.h"
#include "wal/log.h"
#include "wal/ops.h"

/* A bulk run that no checkpoint has merged yet. */
struct trail_run {
    uint32_t table_id;
    struct page_ref root;
    uint64_t count; /* records, tombstones included */
    uint64_t tombstones;
};

struct trail {
    struct log_scan_result end;
    uint64_t last_lsn; /* end of the last record */
    uint64_t commit_count;
    uint64_t op_count;
    uint64_t stored_bytes; /* of payloads, as they lie there */
    uint64_t raw_bytes;
    bool is_refused; /* a record, or what the log needs, makes an open refuse the file */
    struct log_spare *extents; /* the base's first */
    struct bitmap linked;      /* their first pages, as far as they are in the file */
    uint32_t extent_count;
    uint32_t extent_capacity;
    struct trail_run *runs; /* in the order of the log */
    uint32_t run_count;
    uint32_t run_capacity;
};
void trail_destroy(struct trail *trail);

/* An extent of the log begins there. */
static inline bool trail_has_extent(const struct trail *trail, uint32_t pgno)
{
    return bitmap_get(&trail->linked, pgno);
}

/* Told of each record, in order, after it was judged; NULL: nobody. */
typedef scn_status (*trail_fn)(void *ctx, const struct log_visit *visit);

/* From the base of `sb` on.  space: the allocation state of that generation, in which the
 * pages that records name become reserved; NULL: it cannot be read.  *out is the caller's
 * to destroy, also after a failure.  SCN_IO, SCN_NOMEM, SCN_INTERRUPTED, fn's status. */
scn_status trail_follow(struct subject *subject, struct findings *findings,
                        const struct superblock *sb, uint64_t known_synced,
                        struct space *space, trail_fn fn, void *ctx,
                        struct trail *out) MUST_USE;

/* How the log ends, as a finding where that is not clean.  is_live: somebody is writing,
 * and a tail is no finding. */
void trail_judge_end(const struct trail *trail, struct findings *findings, bool is_live);

#endif
