/* The inspection of a file, without the engine: is it what docs/format.md says?
 *
 *     superblocks -> the generation that an open would take -> the log behind it
 *         -> owners claim their pages: fixed ones, the allocation state, log extents,
 *            catalog, tables, values, usage counts, bulk runs
 *         -> pages that nobody has
 *
 * Whatever an open for writing or scn_check would object to is a finding here, and
 * nothing else is, but a torn tail and features that are unknown.
 *
 * The file may be in use.  The generation is pinned meanwhile, so its pages stay; the
 * log's end moves, so it is looked at again until it is quiet, or it can be no tail.
 *
 * Memory: five bits a page, four bytes for each page of values, an extent of the log, a
 * few dozen pages, and a few words for each table, log extent and bulk run.  One
 * thread. */
#ifndef TOOLS_WALCHECK_INSPECTION_H
#define TOOLS_WALCHECK_INSPECTION_H

#include "tools/walcheck/directory.h"
#include "tools/walcheck/generation.h"
#include "tools/walcheck/survivors.h"
#include "tools/walcheck/trail.h"

struct inspection_wishes {
    void *ctx;
    void (*finding)(void *ctx, const struct finding *finding);
    /* Each record of the log that verifies; NULL: nobody wants to know.  With it a file
     * in use is looked at once, instead of again where it has moved. */
    scn_status (*record)(void *ctx, const struct log_visit *visit);
    /* See subject.h. */
    bool (*goes_on)(void *ctx, uint64_t pages_done, uint64_t pages_expected);
    bool is_quick; /* superblocks, roots, the log and the catalog alone */
};

struct inspection {
    uint64_t file_bytes;
    struct generations generations;
    int chosen;    /* slot whose generation was looked at; -1: none could be */
    bool is_older; /* it is not the newest */
    bool is_refused; /* an open for writing refuses the file */
    bool has_strays; /* bulk runs are younger than the generation, so an open for writing
                        makes a checkpoint: it may put right what was found, or fail
                        where it meets damage */
    bool is_live;  /* somebody had it open for writing */
    bool is_unsteady; /* it changed faster than it could be looked at: findings may be
                         nothing but that */
    struct trail trail;
    struct survivors survivors; /* where the log is damaged */
    struct directory directory; /* of the generation; is_whole: no row is missing */
    bool has_whole_directory;
    uint64_t table_count;
    uint64_t row_count; /* of the tables of the generation, without the log */
    uint64_t value_bytes;
    uint64_t pages_read;
    struct space_stat space; /* zeros: it cannot be read */
    uint64_t log_ns;   /* what reading the log took */
    uint64_t total_ns;
    struct findings findings; /* counts and the worst */
};

/* SCN_OK: the file was looked at, whatever was found; *out is to be destroyed, also after
 * a failure: SCN_NOTFOUND, SCN_NOTADB (a folder, a device), SCN_READONLY, SCN_IO (a
 * superblock cannot be read), SCN_NOMEM, SCN_INTERRUPTED. */
scn_status inspection_run(struct sys *sys, const char *path,
                          const struct inspection_wishes *wishes,
                          struct inspection *out) MUST_USE;
void inspection_destroy(struct inspection *inspection);

#endif
