/* Findings: see finding.h. */
#include "tools/walcheck/finding.h"

#include "page/limits.h"

#include <stdarg.h>
#include <stdio.h>

enum { TEXT_BYTES = 320 };

#define CURE_BY_CHECKPOINT "nothing to do: the next checkpoints write it anew"
#define CURE_BY_COPY "restore a backup, or write what is left into a new file: --salvage"

static const struct {
    const char *word;
    enum severity severity;
    const char *remedy;
} kinds[FINDING_KIND_COUNT] = {
    [FINDING_TORN] = {"torn", SEVERITY_HANDLED,
                      "nothing to do: the next open for writing cuts it"},
    [FINDING_SLOT] = {"slot", SEVERITY_HANDLED, CURE_BY_CHECKPOINT},
    [FINDING_LEAK] = {"leak", SEVERITY_HANDLED,
                      "no data is missing; a copy of the store has the room back"},
    [FINDING_SLOTS] = {"slots", SEVERITY_CORRUPT, CURE_BY_COPY},
    [FINDING_CUT] = {"cut", SEVERITY_CORRUPT, CURE_BY_COPY},
    [FINDING_SPACE] = {"space", SEVERITY_CORRUPT, CURE_BY_COPY},
    [FINDING_PAGE] = {"page", SEVERITY_CORRUPT, CURE_BY_COPY},
    [FINDING_TREE] = {"tree", SEVERITY_CORRUPT, CURE_BY_COPY},
    [FINDING_VALUE] = {"value", SEVERITY_CORRUPT, CURE_BY_COPY},
    [FINDING_COUNT] = {"count", SEVERITY_CORRUPT, CURE_BY_COPY},
    [FINDING_USAGE] = {"usage", SEVERITY_CORRUPT, CURE_BY_COPY},
    [FINDING_CATALOG] = {"catalog", SEVERITY_CORRUPT, CURE_BY_COPY},
    [FINDING_SHARED] = {"shared", SEVERITY_CORRUPT, CURE_BY_COPY},
    [FINDING_LOG] = {"log", SEVERITY_CORRUPT, CURE_BY_COPY},
    [FINDING_OPERATION] = {"operation", SEVERITY_CORRUPT, CURE_BY_COPY},
    [FINDING_UNREADABLE] = {"unreadable", SEVERITY_UNREADABLE,
                            "look at the disk; copy the file and check the copy"},
    [FINDING_NEWER] = {"newer", SEVERITY_FOREIGN, "use a newer scrine"},
    [FINDING_FOREIGN] = {"foreign", SEVERITY_FOREIGN, "it was left alone"},
};

const char *finding_word(enum finding_kind kind)
{
    return kinds[kind].word;
}

const char *finding_remedy(enum finding_kind kind)
{
    return kinds[kind].remedy;
}

enum severity finding_severity(enum finding_kind kind)
{
    return kinds[kind].severity;
}

static void tell(struct findings *findings, enum finding_kind kind, uint64_t page,
                 uint64_t offset, const char *text)
{
    struct finding finding = {kind, page, offset, text};
    findings->count++;
    findings->count_of[kind]++;
    if (kinds[kind].severity > findings->worst)
        findings->worst = kinds[kind].severity;
    if (findings->tell)
        findings->tell(findings->ctx, &finding);
}

void findings_note(struct findings *findings, enum finding_kind kind, uint64_t page,
                   uint64_t offset, const char *format, ...)
{
    char text[TEXT_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    tell(findings, kind, page, offset, text);
}

scn_status findings_note_error(struct findings *findings, enum finding_kind kind,
                               scn_status st)
{
    const struct scn_error *error = error_last();
    if (st != SCN_CORRUPT && st != SCN_IO)
        return st;
    uint64_t page = error->page ? error->page : error->offset / PAGE_BYTES;
    tell(findings, st == SCN_IO ? FINDING_UNREADABLE : kind, page, error->offset,
         error->text);
    return SCN_OK;
}
