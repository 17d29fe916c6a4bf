/* Who has each page: the heart of a check.
 *
 * The allocation state says of each page that it is used, used and freed, or free.  The
 * check finds out who really has it: trees, values, the log, the allocation state itself.
 * Each owner claims its pages here, and in the end both must agree:
 *   - no page has two owners (but for value pages, which are shared by the values in
 * them);
 *   - an owner's page is used and not freed;
 *   - a used page has an owner, or is freed.
 * It takes 4 bits and 4 bytes a page, the latter only where value pages are: at most 66
 * MiB a TiB. */
#ifndef ENGINE_CLAIMS_H
#define ENGINE_CLAIMS_H

#include "engine/findings.h"
#include "page/bitmap.h"
#include "page/space.h"

struct claims {
    struct findings *findings;
    uint32_t page_count; /* of the file */
    struct bitmap used;
    struct bitmap freed;
    struct bitmap seen;
    struct bitmap shared; /* of those seen: value pages */
    uint32_t *live;       /* referenced bytes of value pages */
    bool is_whole; /* nothing unreadable was met: pages without an owner are lost */
};

/* Whether the generation under check knows of the page. */
enum claim_kind {
    CLAIM_USED,  /* it must be used */
    CLAIM_LATER, /* it must not: of a bulk run, merged by a later one */
    CLAIM_EITHER /* of a log extent that came after it */
};

/* space: the state that the newest superblock leads to, or NULL when it cannot be read:
 * then nothing is compared with it. */
scn_status claims_init(struct claims *claims, struct findings *findings,
                       struct space *space, uint32_t page_count) MUST_USE;
void claims_destroy(struct claims *claims);

/* owner is a phrase for the findings, such as "table 17".  *is_new: nobody had them
 * before, they are in the file: they may be followed. */
scn_status claims_take(struct claims *claims, uint32_t pgno, uint32_t count,
                       enum claim_kind kind, const char *owner, bool *is_new) MUST_USE;
/* One reference of `bytes` to a value page.  *is_new as above; *is_bad: it has another
 * kind of owner. */
scn_status claims_share(struct claims *claims, uint32_t pgno, enum claim_kind kind,
                        const char *owner, uint64_t bytes, bool *is_new,
                        bool *is_bad) MUST_USE;
/* After the last claim: pages without an owner. */
scn_status claims_judge(struct claims *claims) MUST_USE;

#endif
