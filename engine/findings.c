/* Findings of a check: see findings.h. */
#include "engine/findings.h"

#include <stdarg.h>
#include <stdio.h>

enum { TEXT_BYTES = 320 };

static scn_status tell(struct findings *findings, uint32_t kind, uint64_t pgno,
                       uint64_t off, const char *text)
{
    struct scn_issue issue = {
        .struct_size = sizeof issue,
        .kind = kind,
        .page = pgno,
        .offset = off,
        .text = text,
    };
    findings->count++;
    return findings->fn ? findings->fn(findings->ctx, &issue) : SCN_OK;
}

scn_status findings_add(struct findings *findings, uint32_t kind, uint64_t pgno,
                        uint64_t off, const char *format, ...)
{
    char text[TEXT_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return tell(findings, kind, pgno, off, text);
}

scn_status findings_add_error(struct findings *findings, uint32_t kind, scn_status st)
{
    /* A copy: fn may call the library, and that may fail. */
    struct scn_error error = *error_last();
    if (st != SCN_CORRUPT && st != SCN_IO)
        return st;
    return tell(findings, kind, error.page, error.offset, error.text);
}
