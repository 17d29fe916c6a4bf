/* What walcheck finds: each has a kind with a stable word, a place, a sentence, and what
 * to do about it.
 *
 * `findings` hands each one on as it comes and keeps nothing but counts, so that a file
 * with a million faults takes no more memory than one with none.  One thread. */
#ifndef TOOLS_WALCHECK_FINDING_H
#define TOOLS_WALCHECK_FINDING_H

#include "page/status.h"

enum finding_kind {
    FINDING_TORN,      /* the log ends in what was never acknowledged */
    FINDING_SLOT,      /* one superblock cannot be used; the other one can */
    FINDING_LEAK,      /* used pages that nothing leads to */
    FINDING_SLOTS,     /* no superblock can be used */
    FINDING_CUT,       /* the file ends before what it must hold */
    FINDING_SPACE,     /* the allocation state, or an owner that disagrees with it */
    FINDING_PAGE,      /* a page is not what its pointer says */
    FINDING_TREE,      /* pages of a tree do not fit together */
    FINDING_VALUE,     /* a value outside its leaf */
    FINDING_COUNT,     /* a table's count or sums */
    FINDING_USAGE,     /* the live bytes of a value page */
    FINDING_CATALOG,   /* names, ids and roots that do not fit together */
    FINDING_SHARED,    /* a page has two owners */
    FINDING_LOG,       /* the log is damaged before acknowledged commits */
    FINDING_OPERATION, /* a whole record says what no transaction writes */
    FINDING_UNREADABLE, /* the system cannot read a place */
    FINDING_NEWER,     /* of a version, page size or feature that is unknown here */
    FINDING_FOREIGN,   /* no store at all */
    FINDING_KIND_COUNT
};

/* In order: the worst one decides. */
enum severity {
    SEVERITY_NONE,
    SEVERITY_HANDLED, /* the next open, or the next checkpoints, put it right */
    SEVERITY_CORRUPT,
    SEVERITY_UNREADABLE,
    SEVERITY_FOREIGN
};

struct finding {
    enum finding_kind kind;
    uint64_t page;
    uint64_t offset; /* in the file */
    const char *text; /* a sentence, good during the call */
};

/* Static texts: the word of a kind; what to do. */
const char *finding_word(enum finding_kind kind);
const char *finding_remedy(enum finding_kind kind);
enum severity finding_severity(enum finding_kind kind);

struct findings {
    void (*tell)(void *ctx, const struct finding *finding); /* may be NULL */
    void *ctx;
    uint64_t count;
    uint64_t count_of[FINDING_KIND_COUNT];
    enum severity worst;
};

void findings_note(struct findings *findings, enum finding_kind kind, uint64_t page,
                   uint64_t offset, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* What a failed call said, whose status is `st`: SCN_CORRUPT becomes a finding of this
 * kind, SCN_IO an unreadable place, and both SCN_OK; any other status is returned. */
scn_status findings_note_error(struct findings *findings, enum finding_kind kind,
                               scn_status st) MUST_USE;

#endif
