/* What of each table could not be read from the newest trees: ranges of keys, ascending,
 * none of which meets another.
 *
 * So many are remembered that a disk full of bad pages fits; what comes behind them is
 * told, but the log is not asked about it. */
#ifndef TOOLS_WALCHECK_LOSSES_H
#define TOOLS_WALCHECK_LOSSES_H

#include "tools/walcheck/descent.h"

struct hole {
    uint32_t table_id;
    struct keyrange range;
    uint32_t page;
    bool is_point;   /* one key, whose value is lost */
    bool is_filled;  /* the older generation could be read there */
    bool is_settled; /* a later record of the log has written or deleted the key */
};

/* Zeroed is empty. */
struct losses {
    struct hole *holes;
    uint32_t count;
    uint32_t capacity;
    uint64_t bytes;
};
void losses_destroy(struct losses *losses);

/* Behind all of its table that were added before; tables come in ascending order.
 * *hole NULL: there is no more room.  Others may move.  SCN_NOMEM. */
scn_status losses_add(struct losses *losses, uint32_t table_id,
                      const struct keyrange *range, uint32_t page,
                      struct hole **hole) MUST_USE;
/* The hole that the key lies in, or NULL. */
struct hole *losses_find(const struct losses *losses, uint32_t table_id, scn_slice key);

#endif
