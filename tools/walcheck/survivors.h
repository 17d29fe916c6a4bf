/* Records behind the place where a log is damaged.
 *
 * Nothing chains to them, so the place is the witness: LSNs are positions, and none is
 * used twice.  A record counts where
 *   - its CRC is right and its epoch is one of this file;
 *   - its lsn is that of its place, reckoned from the record before or from the header of
 *     its extent; or it is beyond that, where an epoch has begun in what is lost.  (What
 *     a recycled extent still holds of an earlier life is older than its place.);
 *   - all before it was durable once, as some record behind the damage says; or it chains
 *     to one that counts. */
#ifndef TOOLS_WALCHECK_SURVIVORS_H
#define TOOLS_WALCHECK_SURVIVORS_H

#include "tools/walcheck/subject.h"
#include "wal/log.h"

struct survivors {
    uint64_t record_count;
    uint64_t commit_count;
    uint64_t byte_count;
    uint64_t gap_count; /* places where records are missing */
    uint64_t watermark; /* all before it was durable once */
};

struct survivors_gap {
    uint64_t from_off; /* in the file */
    uint64_t from_lsn;
    uint64_t to_off;
    uint64_t to_lsn; /* of the record behind it */
};

struct survivors_visitor {
    void *ctx;
    /* In the order of the log; either may be NULL.  A negative status ends it. */
    scn_status (*gap)(void *ctx, const struct survivors_gap *gap);
    scn_status (*record)(void *ctx, const struct log_visit *visit);
};

/* end: of a log_scan that found damage.  SCN_IO, SCN_NOMEM, SCN_INTERRUPTED, the
 * visitor's status. */
scn_status survivors_find(struct subject *subject, const uint8_t uuid[16],
                          const struct log_scan_result *end,
                          const struct survivors_visitor *visitor,
                          struct survivors *out) MUST_USE;

#endif
