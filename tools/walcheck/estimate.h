/* How long an open would take to read the log, on this machine.
 *
 * Both parts are measured, not guessed: reading, checking and decoding the records was
 * timed by the inspection; applying them is timed with the first operations of the log,
 * put into a store in memory, and multiplied by their number. */
#ifndef TOOLS_WALCHECK_ESTIMATE_H
#define TOOLS_WALCHECK_ESTIMATE_H

#include "tools/walcheck/inspection.h"

struct estimate {
    uint64_t bytes;      /* of the log */
    uint64_t op_count;   /* in it */
    uint64_t sample;     /* operations that were tried */
    uint64_t read_ns;
    uint64_t apply_ns;   /* for all of them */
};

/* goes_on: see subject.h.  Statuses of inspection_run and of the library. */
scn_status estimate_make(struct sys *sys, const char *path,
                         const struct inspection *inspection,
                         bool (*goes_on)(void *, uint64_t, uint64_t), void *ctx,
                         struct estimate *out) MUST_USE;

#endif
