/* What a store has to hold: a few tables of a few rows, and what each open transaction
 * sees of them.
 *
 * The model knows no conflicts.  It notes what a transaction has been told, and what must
 * not have changed for its writes; when its commit was let through, all of that has to be
 * as it was (model_commit).  When it was refused, somebody else must have committed since
 * its snapshot. */
#ifndef TEST_FUZZ_MODEL_H
#define TEST_FUZZ_MODEL_H

#include "include/scrine.h"

#include <stdbool.h>

enum { MODEL_TABLES = 3, MODEL_KEYS = 40, MODEL_COUNTERS = 6, MODEL_SAVEPOINTS = 3 };
#define MODEL_ABSENT UINT32_MAX
#define MODEL_ALL ((UINT64_C(1) << MODEL_KEYS) - 1)

struct model_row {
    uint32_t size; /* MODEL_ABSENT: none */
    uint64_t number;
};

struct model_table {
    scn_table_id id; /* 0: there is none */
    struct model_row rows[MODEL_KEYS];
};

/* An addition that waits for its commit: the counter's value before it must lie in
 * [lo, hi]. */
struct model_sum {
    __int128 sum;
    __int128 lo;
    __int128 hi;
};

struct model_state {
    struct model_table tables[MODEL_TABLES];
};

/* A transaction's writes; bits are keys. */
struct model_writes {
    struct model_state now; /* its view */
    uint64_t written[MODEL_TABLES];
    uint64_t put[MODEL_TABLES]; /* of those written: not deleted since */
    uint64_t relied[MODEL_TABLES]; /* what plain puts must find as in the snapshot */
    uint64_t added[MODEL_TABLES];
    struct model_sum sums[MODEL_TABLES][MODEL_COUNTERS];
    bool restructured[MODEL_TABLES];
};

struct model_txn {
    uint64_t commits; /* how many there were at its snapshot */
    bool tracks;
    bool is_writing;
    struct model_state snapshot;
    struct model_writes writes;
    uint64_t held[MODEL_TABLES]; /* rows that must be as in the snapshot */
    bool holds_table[MODEL_TABLES];
    struct model_writes saved[MODEL_SAVEPOINTS];
    uint32_t saved_count;
};

struct model {
    struct model_state state;
    uint64_t commits;
};

void model_init(struct model *model);
void model_begin(const struct model *model, struct model_txn *txn, bool is_writing,
                 bool tracks);

/* It was told of these rows, unless it has written them. */
void model_saw(struct model_txn *txn, uint32_t table, uint64_t keys);
void model_put(struct model_txn *txn, uint32_t table, uint32_t key,
               struct model_row row, bool is_blind);
/* Nothing was deleted, so nothing written; a commit conflicts with any change of them. */
void model_hold(struct model_txn *txn, uint32_t table, uint64_t keys);
/* Rows are gone; conflicts with any change of them. */
void model_remove(struct model_txn *txn, uint32_t table, uint64_t keys);
/* False: the sum is out of bounds, and the transaction, which has put the counter itself,
 * is told now. */
bool model_add(struct model_txn *txn, uint32_t table, uint32_t key, int64_t delta,
               int64_t min, int64_t max);
/* The table is dropped (id 0) or created. */
void model_restructure(struct model_txn *txn, uint32_t table, scn_table_id id);

/* One of its additions cannot be made any more. */
bool model_is_out_of_bounds(const struct model *model, const struct model_txn *txn);
/* NULL, or what should have been a conflict. */
const char *model_commit(struct model *model, const struct model_txn *txn);

#endif
