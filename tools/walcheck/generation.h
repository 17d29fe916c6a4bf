/* The two superblocks, and which of their generations an open would take.
 *
 * The rules are those of docs/format.md, "What open refuses". */
#ifndef TOOLS_WALCHECK_GENERATION_H
#define TOOLS_WALCHECK_GENERATION_H

#include "page/space.h"
#include "page/superblock.h"
#include "tools/walcheck/subject.h"

struct generations {
    struct superblock sb[2];
    enum superblock_verdict verdict[2];
    const char *why[2]; /* static; NULL for good and blank ones */
    int newest;         /* slot of the newest good one; -1: none */
};

/* "good", "damaged" ... */
const char *generation_verdict_word(enum superblock_verdict verdict);

/* SCN_IO. */
scn_status generations_read(struct subject *subject, struct generations *out) MUST_USE;
bool generations_equal(const struct generations *a, const struct generations *b);
bool generations_have(const struct generations *generations,
                      enum superblock_verdict verdict);
/* The highest base lsn of both good slots: everything below it was durable. */
uint64_t generations_synced(const struct generations *generations);

/* The roots of a generation: the file is long enough, the catalog's root page is right,
 * and the allocation state can be read, which is then in *space (the caller's).
 * SCN_CORRUPT, SCN_IO, SCN_NOMEM. */
scn_status generation_load(struct subject *subject, const struct superblock *sb,
                           struct space **space) MUST_USE;
/* The last of these alone. */
scn_status generation_load_space(struct subject *subject, const struct superblock *sb,
                                 struct space **space) MUST_USE;

#endif
