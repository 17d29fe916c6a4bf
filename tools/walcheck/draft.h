/* The new store that a salvage writes, through the public interface alone.
 *
 * Tables have working names until the end, since names may come late, twice, or never.
 * Rows go into transactions of some MiB; nobody else sees the store, so it does not
 * matter that it is not whole before draft_finish. */
#ifndef TOOLS_WALCHECK_DRAFT_H
#define TOOLS_WALCHECK_DRAFT_H

#include "tools/walcheck/directory.h"

struct draft {
    scn_db *db;
    struct directory *directory;
    scn_txn *txn; /* NULL: none is open */
    uint64_t pending_bytes;
    uint64_t bytes;
    uint64_t bytes_max; /* a forged file may claim any amount */
    uint64_t put_count;
};

/* db is the caller's, empty, and used by nobody else. */
void draft_begin(struct draft *draft, scn_db *db, struct directory *directory,
                 uint64_t bytes_max);
/* Closes what is open, without finishing. */
void draft_abandon(struct draft *draft);

/* The first write creates the table, which is in the directory afterwards.  Statuses of
 * the library; SCN_CORRUPT beyond bytes_max. */
scn_status draft_put(struct draft *draft, uint32_t table_id, scn_slice key,
                     scn_slice value) MUST_USE;
scn_status draft_del(struct draft *draft, uint32_t table_id, scn_slice key) MUST_USE;
/* NULL: no bound. */
scn_status draft_clear(struct draft *draft, uint32_t table_id, const scn_slice *from,
                       const scn_slice *to) MUST_USE;

/* Gives the tables their names: those that exist their own; those of which nobody knows
 * whether they do "table-17", where they have rows; and drops those that were dropped. */
scn_status draft_finish(struct draft *draft) MUST_USE;

#endif
