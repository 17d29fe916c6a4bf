/* Who has each page.
 *
 * The allocation state says of each page that it is used, freed or free.  Here its real
 * owners claim their pages: trees, values, the log, the state itself.  In the end
 *   - no page has two owners, but for value pages, which values share;
 *   - an owner's page is used and not freed;
 *   - a used page has an owner or is freed.
 * It takes four bits a page, and four bytes for each value page. */
#ifndef TOOLS_WALCHECK_HOLDING_H
#define TOOLS_WALCHECK_HOLDING_H

#include "page/bitmap.h"
#include "page/space.h"
#include "tools/walcheck/finding.h"

enum holding_kind {
    HOLDING_OLD,   /* of the generation: it must be used */
    HOLDING_LATER, /* of a bulk run that a later generation will merge: not used yet */
    HOLDING_EITHER /* of an extent that may have been linked since */
};

struct holdings {
    struct findings *findings;
    uint32_t page_count; /* of the file */
    bool has_space;      /* the allocation state could be read */
    bool is_whole;       /* nothing unreadable was met: pages without an owner are lost */
    struct bitmap used;
    struct bitmap freed;
    struct bitmap seen;
    struct bitmap shared; /* of those seen: pages of values */
    uint32_t *live;       /* bytes of values that lead there, a page */
};

/* space NULL: it cannot be read, and nothing is compared with it.  SCN_NOMEM. */
scn_status holdings_init(struct holdings *holdings, struct findings *findings,
                         struct space *space, uint32_t page_count) MUST_USE;
void holdings_destroy(struct holdings *holdings);

/* owner is a phrase such as "table 17".  True: nobody had them before and they are in the
 * file, so what they lead to may be followed. */
bool holdings_take(struct holdings *holdings, uint32_t pgno, uint32_t count,
                   enum holding_kind kind, const char *owner);
/* One value of `bytes` in a page that others may share.  False: it has another kind of
 * owner, or is outside the file. */
bool holdings_share(struct holdings *holdings, uint32_t pgno, enum holding_kind kind,
                    const char *owner, uint64_t bytes);
/* After the last claim: pages without an owner. */
void holdings_judge(struct holdings *holdings);

#endif
