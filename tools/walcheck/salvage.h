/* Salvage: everything that can be proved, into a new store.
 *
 * What is written is, of each key, the newest version that still verifies:
 *
 *     the trees of the newest generation whose catalog can be found
 *         where they are damaged: the trees of the older one
 *     the log from the older one's base to the newest one's
 *         all of it where it is whole, which makes the older trees as good as the newest;
 *         else for the keys that are missing
 *     the log from there on, and what survives behind its damage (survivors.h)
 *
 * in this order, so that the later overwrites the earlier.  Nothing is taken from a page
 * that no pointer leads to, nor from a torn tail: what was never committed does not come
 * back.  A superblock whose checksum is wrong is believed as far as pages and records
 * agree with it.
 *
 * What is lost is told: keys whose page, value or log record cannot be read.  The source
 * is only read.  Memory: as an inspection, and what it takes to remember what is lost. */
#ifndef TOOLS_WALCHECK_SALVAGE_H
#define TOOLS_WALCHECK_SALVAGE_H

#include "tools/walcheck/finding.h"
#include "page/sys.h"

enum loss_kind {
    LOSS_KEYS,  /* rows with from <= key < to, as far as there were any */
    LOSS_OLDER, /* the same, but what the older generation had is there */
    LOSS_VALUE, /* the value of one key: from */
    LOSS_LOG    /* commits whose records are gone: between two lsns, or behind one */
};

struct loss {
    enum loss_kind kind;
    uint32_t table_id;
    const char *table; /* NULL: its name is not known */
    uint32_t page;
    bool has_from;
    bool has_to;
    scn_slice from;
    scn_slice to;
    uint64_t from_lsn;
    uint64_t to_lsn; /* 0: nothing says how far they went, nor whether there were any */
};

struct salvage_wishes {
    void *ctx;
    void (*finding)(void *ctx, const struct finding *finding); /* may be NULL */
    void (*loss)(void *ctx, const struct loss *loss);          /* may be NULL */
    bool (*goes_on)(void *ctx, uint64_t pages_done, uint64_t pages_expected);
};

struct salvage {
    uint64_t loss_count;
    uint64_t put_count;    /* rows written, those overwritten later included */
    uint64_t table_count;
    uint64_t record_count; /* of the log */
};

/* out is empty and used by nobody else; the caller closes it.  SCN_OK, whatever is lost;
 * SCN_NOTFOUND, SCN_NOTADB, SCN_VERSION (no superblock is left, or a newer one),
 * SCN_CORRUPT (no superblock leads to anything), SCN_BUSY (somebody has the file open and
 * makes checkpoints), SCN_IO, SCN_FULL, SCN_NOMEM, SCN_INTERRUPTED: the new store is not
 * whole. */
scn_status salvage_run(struct sys *sys, const char *path, scn_db *out,
                       const struct salvage_wishes *wishes,
                       struct salvage *result) MUST_USE;

#endif
