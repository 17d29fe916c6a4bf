/* The torn tail of a log: what lies there, and cutting it.
 *
 * An open for writing does the same, without keeping anything.  Nothing is cut that may
 * have been acknowledged: only where the log ends torn, and nobody has the file open. */
#ifndef TOOLS_WALCHECK_TAIL_H
#define TOOLS_WALCHECK_TAIL_H

#include "tools/walcheck/inspection.h"

struct tail {
    uint64_t lsn;    /* where the log ends */
    uint64_t offset; /* in the file */
    uint64_t bytes;  /* up to the last one that is not zero, in its extent */
};

/* Of a log that ends torn. SCN_IO, SCN_NOMEM, SCN_CORRUPT. */
scn_status tail_measure(struct sys *sys, const char *path,
                        const struct inspection *inspection, struct tail *out) MUST_USE;

/* Writes the bytes into `keep`, a new file, durably; then zeros over them, durably.
 * SCN_BUSY: somebody has the file open; SCN_EXISTS: `keep` is there already;
 * SCN_CONFLICT: the log does not end there any more; SCN_IO, SCN_FULL, SCN_READONLY,
 * SCN_NOMEM. */
scn_status tail_cut(struct sys *sys, const char *path,
                    const struct inspection *inspection, const struct tail *tail,
                    const char *keep) MUST_USE;

#endif
