/* A full snapshot: everything that one transaction sees, as a store of its own.
 *
 *     pages 0, 1      superblocks of generations 1 and 2, both with the same trees
 *     page 2          the publish page, zeros
 *     pages 3 to 6    a log extent without a record
 *     from page 7 on  leaves, values, inner pages, table after table; the usage; the
 *                     catalog, with the origin and what each table holds
 *
 * What is written is a clean and compact store: packed leaves, no free page, a new uuid.
 * It is read through the transaction's view (deltas, runs, trees), so no checkpoint is
 * needed and nobody waits.  Pages come out in the order of their numbers.  Where the
 * target can seek, the superblocks are written last, after a sync.  Where it cannot,
 * everything is done twice: the first time only to learn the superblocks.  The snapshot
 * does not change, so both times give the same pages; whether they did is asked for.
 *
 * Memory: a few pages a level, a row, and the list of tables. */
#ifndef ENGINE_EXPORT_H
#define ENGINE_EXPORT_H

#include "engine/ancestry.h"
#include "engine/hostfile.h"

struct export_result {
    uint64_t pages;
    uint64_t tables;
    uint64_t rows;
    struct digest_sum digest;
};

/* origin: what the new store says of where it comes from.  SCN_FULL, SCN_IO, and what
 * reading answers.  Whatever fails, the target is no store. */
scn_status export_store(struct scn_txn *txn, struct hostfile *to,
                        const struct ancestor *origin,
                        struct export_result *out) MUST_USE;

#endif
