/* Lies about structure, told under right checksums: pages with two owners, cycles, levels
 * and tables that do not fit, counts that are wrong, pages that are used and free,
 * lengths beyond all measure.  Each is refused when the file is opened, or scn_check
 * names it, or both; and as with all forged files (test/engine/attempt.h) nobody crashes,
 * hangs, or takes much memory. */
#ifndef TEST_ENGINE_LIE_H
#define TEST_ENGINE_LIE_H

#include "test/engine/attempt.h"
#include "test/engine/forge.h"

struct lie {
    const char *name;
    void (*tell)(struct forge *forge);
    uint32_t outcomes; /* of these, one at least */
};

/* Outcomes. */
#define ISSUE(kind) (1u << SCN_ISSUE_##kind)
#define REFUSED (1u << 31)

/* Each to a reference file of its own; fails the test where one is believed. */
void lie_tell_all(const struct lie *lies, size_t count);
#define TELL_ALL(lies) lie_tell_all(lies, sizeof(lies) / sizeof *(lies))

enum {
    /* Tables, in the order in which the reference file makes them. */
    TABLE_LONG = TABLE_FIRST_USER + 1,
    TABLE_PACKED,
    TABLE_BLOCKS,
    TABLE_SPREAD,

    /* docs/format.md */
    HEADER_BIRTH_OFF = 16,
    NEXT_PAGE_OFF = 64 /* of a value index page and of the allocation state */
};

/* A generation of this number makes the hash of a page forget the page's body: XXH3
 * multiplies it, mixed with a secret that is the same everywhere, by the body's hash; and
 * the mixture is zero.  So a page can lead to itself. */
#define FORGETFUL_GEN UINT64_C(0xdb979083e96dd4de)

#endif
