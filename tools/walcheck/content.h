/* Values that lie outside their leaves: judged, and handed out where somebody wants them.
 *
 * Every page of values is judged against the pointer that leads there, every value
 * against its hash.  One thread. */
#ifndef TOOLS_WALCHECK_CONTENT_H
#define TOOLS_WALCHECK_CONTENT_H

#include "page/value.h"
#include "tools/walcheck/holding.h"
#include "tools/walcheck/subject.h"

struct content;

/* Whose values they are. */
struct content_owner {
    uint32_t table_id;
    const char *name; /* a phrase such as "table 17" */
    enum holding_kind kind;
};

/* holdings: where the pages are claimed; NULL: nobody counts. */
scn_status content_create(struct subject *subject, struct findings *findings,
                          struct holdings *holdings, struct content **out) MUST_USE;
void content_destroy(struct content *content);

/* *is_good: all of it is as it was written; if not, a finding says why.  The bytes of a
 * value in several pages are only put together where `bytes` is given; they are good
 * until the next call.  SCN_NOMEM, SCN_INTERRUPTED. */
scn_status content_read(struct content *content, const struct content_owner *owner,
                        const struct value_ref *ref, scn_slice *bytes,
                        bool *is_good) MUST_USE;

#endif
