/* What a write transaction has been told, so that commit can see whether it is still
 * true.
 *
 * Keys, closed ranges and whole tables. Used by one thread.
 *
 * [I1] Whatever tells the user something is a read, also absence, the end of a range, and
 *      counts. A rollback to a savepoint takes back writes, never reads.
 * [I2] Past READSET_BYTES_MAX the set is made coarser (a table's keys and ranges become
 *      one range, then the table): that can add conflicts, never drop a read. */
#ifndef ENGINE_READSET_H
#define ENGINE_READSET_H

#include "page/bytes.h"
#include "page/status.h"

enum { READSET_BYTES_MAX = 1 << 20 };

/* lo <= key <= hi; a single key has lo == hi; a missing bound is unbounded. */
struct read_range {
    uint32_t table_id;
    bool has_lo;
    bool has_hi;
    scn_slice lo;
    scn_slice hi;
    uint64_t hash; /* of a single key; is_key */
    bool is_key;
};

struct readset {
    struct read_range *items;
    uint32_t count;
    uint32_t capacity;
    uint64_t bytes;
};

/* A zeroed one is empty; so it is afterwards. */
void readset_destroy(struct readset *set);
scn_status readset_key(struct readset *set, uint32_t table_id, scn_slice key,
                       uint64_t hash) MUST_USE;
/* NULL: unbounded. */
scn_status readset_range(struct readset *set, uint32_t table_id, const scn_slice *lo,
                         const scn_slice *hi) MUST_USE;
scn_status readset_table(struct readset *set, uint32_t table_id) MUST_USE;

#endif
