/* The reference file: a small store that has a page of every kind and a log that has not
 * been merged, and what it holds.
 *
 * Trees of one, two and three levels; packed, spread and compressed values; an allocation
 * state of more than one page; freed pages and spare extents; two good superblocks.  In
 * the log: plain and compressed commits, deletions, a bulk run, an EPOCH, an EXTENT, and
 * a MARK at the end.  With large pages it has less: no bulk run, one extent, and one page
 * of allocation state.
 *
 * The content follows from the number of the last commit, which is in the file: whoever
 * reads it compares all rows with what they are after that commit, so there is no state
 * to carry.  Commits beyond those of the file go on in the same way. */
#ifndef TEST_ENGINE_REFERENCE_H
#define TEST_ENGINE_REFERENCE_H

#include "engine/store.h"

enum { REFERENCE_OLDER_MAX = 24 };

struct reference_image {
    uint8_t *bytes;
    uint64_t size;
};

struct reference {
    struct reference_image now;
    struct reference_image older[REFERENCE_OLDER_MAX]; /* the same file, earlier */
    uint32_t older_count;
    uint32_t in_trees; /* commits that the newest generation holds */
    uint32_t in_older_trees;
    uint32_t commits;  /* all; the last one is followed by a MARK */
};

/* Built anew each time, and always the same bytes. */
void reference_make(struct reference *reference);
void reference_destroy(struct reference *reference);

#define REFERENCE_PATH "store"
scn_status reference_open(struct sys *sys, uint32_t flags, scn_db **db);
/* Commit number `number`, which is one above the last. */
scn_status reference_commit(scn_db *db, uint32_t number);

/* The rows that there may be, by number: what row `idx` is after commit `number`.  False:
 * there are no more.  The key is good until the next call. */
struct reference_row {
    uint32_t table_id; /* as the file numbers them */
    const char *table;
    scn_slice key;
    scn_slice value;
    uint32_t version; /* the commit that wrote it; 0: there is no such row */
};
bool reference_row(uint32_t number, uint32_t idx, struct reference_row *out);

struct reading {
    uint32_t least; /* the last commit in the store is one of these */
    uint32_t most;
    uint32_t number; /* out: the one that was found */
    bool is_known;   /* out: it could be read, or there is but one */
    bool is_endless; /* out: a cursor did not come to an end */
    scn_status st;   /* out: the first failure to read, else SCN_OK */
    char wrong[160]; /* out: empty, or what is not as it was after that commit */
};
/* Reads everything there is in several ways.  What can be read is judged also where
 * something else cannot. */
void reference_read(scn_db *db, struct reading *reading);

#endif
