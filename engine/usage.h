/* How many bytes of each packed value page are still referenced.
 *
 * Table 2, a tree that only checkpoints write: key pgno (BE u32) -> live bytes u32 |
 * birth gen u64. A checkpoint notes every reference that leaves or enters a leaf; in the
 * end the notes are added to the rows, and a page that nobody references any more is
 * freed. Being part of the generation the counts survive restarts. */
#ifndef ENGINE_USAGE_H
#define ENGINE_USAGE_H

#include "engine/rebuild.h"
#include "page/space.h"

struct usage_note {
    uint32_t pgno;
    int64_t bytes;
    uint64_t birth_gen;
};

struct usage {
    struct usage_note *notes;
    size_t count;
    uint32_t capacity;
};

/* A zeroed one is empty; so it is afterwards. */
void usage_destroy(struct usage *usage);
/* References come in key order, so neighbours mostly share their page. */
scn_status usage_note(struct usage *usage, uint32_t pgno, uint64_t birth_gen,
                      int64_t bytes) MUST_USE;
/* How many bytes of a packed value page were referenced in the last generation, whose
 * table this is.  0: it has no row. */
scn_status usage_read(struct pool_reader *reader, const struct tree *table, uint32_t pgno,
                      uint32_t *live) MUST_USE;
/* How many pages hold packed values, and how many would do for them. */
scn_status usage_count(struct pool_reader *reader, const struct tree *table,
                       uint64_t *pages, uint64_t *needed) MUST_USE;
/* Adds the notes to the rows of job->old and frees pages at zero. job has reader,
 * writer, old and stat; `reader` is another one. SCN_CORRUPT when a count would fall
 * below zero. */
scn_status usage_rebuild(struct usage *usage, struct rebuild *job,
                         struct pool_reader *reader, struct space *space,
                         struct page_ref *root) MUST_USE;

#endif
