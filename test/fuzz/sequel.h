/* What a store has to be after an increment, worked out a second time: by the words of
 * page/parcel.h, with tables and rows in sorted lists and nothing of the engine.
 *
 * An increment that the engine has taken has to be one that this can read, too, so it
 * fails the target where it cannot.  What the engine refuses is not its business. */
#ifndef TEST_FUZZ_SEQUEL_H
#define TEST_FUZZ_SEQUEL_H

#include "include/scrine.h"

enum { SEQUEL_TABLES = 64, SEQUEL_ROWS = 16384, SEQUEL_BYTES = 512 << 10 };

struct sequel_table {
    uint32_t id;
    uint32_t flags;
    scn_slice name;
};

struct sequel_row {
    uint32_t table;
    scn_slice key;
    scn_slice value;
};

struct sequel {
    uint32_t table_count;
    uint32_t row_count;
    struct sequel_table tables[SEQUEL_TABLES]; /* by id */
    struct sequel_row rows[SEQUEL_ROWS];       /* by table and key */
    size_t used;
    uint8_t bytes[SEQUEL_BYTES]; /* what a store was read into */
};

/* All that a store shows. */
void sequel_read(struct sequel *sequel, scn_db *db);
/* From: another one, and the operations of an increment; bytes of both are pointed to. */
void sequel_amend(struct sequel *sequel, const struct sequel *from, const uint8_t *ops,
                  size_t len);
/* The store shows exactly this. */
void sequel_compare(const struct sequel *sequel, scn_db *db);

#endif
