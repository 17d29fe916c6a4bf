/* What a check has found: each finding is told to the caller at once, none is kept. */
#ifndef ENGINE_FINDINGS_H
#define ENGINE_FINDINGS_H

#include "page/status.h"

struct findings {
    scn_status (*fn)(void *, const scn_issue *); /* NULL: they are counted only */
    void *ctx;
    uint64_t count;
};

/* What fn says: anything but SCN_OK ends the check.  kind is one of SCN_ISSUE_*. */
scn_status findings_add(struct findings *findings, uint32_t kind, uint64_t pgno,
                        uint64_t off, const char *format, ...) PRINTF_LIKE(5, 6) MUST_USE;
/* After a read that did not succeed: damage is a finding, with the sentence that this
 * thread's last error has; everything else (no memory) is returned as it is. */
scn_status findings_add_error(struct findings *findings, uint32_t kind,
                              scn_status st) MUST_USE;

#endif
