/* Where a store comes from, and which snapshots were taken of it: rows of the catalog.
 *
 *     'B' gen (BE u64) lsn (BE u64) id 16 -> wall_ms u64        in the source
 *     'O'                           -> uuid 16 | gen u64 | lsn u64 | id 16 | wall_ms u64
 *                                      | digest 16               in what was made of it
 *     'O' table id (BE u32)         -> rows u64 | sum 16         of that table then
 *
 * The digest is that of all tables then, so that it is not forgotten what tables there
 * were.
 *
 * Both are written by transactions, so they are as durable and as atomic as rows.
 *
 * [Z1] A row 'B' is committed after its snapshot was taken, and in the same session:
 *      a cure between them may have cut what the snapshot saw.  So whoever finds it in a
 *      later snapshot of the same file knows that everything that was visible in the
 *      first one, and the generation it stood on, belong to this file's history: the log
 *      is kept or lost from some place on, never in the middle, and that place lies
 *      behind the row.  A copy of the file that went another way has no such row, and
 *      neither has one that lost commits which the snapshot saw. */
#ifndef ENGINE_ANCESTRY_H
#define ENGINE_ANCESTRY_H

#include "engine/digest.h"
#include "engine/txn.h"

enum {
    ANCESTRY_ID_BYTES = 16,
    ANCESTRY_NOTE_KEY_BYTES = 33,
    ANCESTRY_NOTE_BYTES = 8,
    ANCESTRY_ORIGIN_BYTES = 72,
    ANCESTRY_TALLY_BYTES = 24,
    /* A year of nights, and a day of minutes; older ones are forgotten. */
    ANCESTRY_NOTES_MAX = PAGE_IS_SMALL ? 8 : 2048
};

/* One snapshot. */
struct ancestor {
    uint8_t uuid[16]; /* of the source; not in rows 'B' */
    uint64_t gen;
    uint64_t lsn;
    uint8_t id[ANCESTRY_ID_BYTES];
    uint64_t wall_ms;
    struct digest_sum digest; /* of an origin */
};

/* Is this operation on a row 'B' or 'O' one that a transaction can have written? */
bool ancestry_op_is_possible(const struct op *op);
/* The same of a row in a tree. */
bool ancestry_row_is_right(scn_slice key, scn_slice value);

scn_slice ancestry_key_origin(uint8_t *buf);
scn_slice ancestry_key_tally(uint8_t *buf, uint32_t table_id);
void ancestry_origin_encode(const struct ancestor *origin,
                            uint8_t at[ANCESTRY_ORIGIN_BYTES]);
void ancestry_tally_encode(const struct digest *tally, uint8_t at[ANCESTRY_TALLY_BYTES]);

/* Between txn_enter and txn_leave.  SCN_NOTFOUND: the store was made from none. */
scn_status ancestry_origin(struct scn_txn *txn, struct ancestor *out) MUST_USE;
/* SCN_NOTFOUND. */
scn_status ancestry_tally(struct scn_txn *txn, uint32_t table_id,
                          struct digest *out) MUST_USE;
/* Writes the origin, or a table's tally (NULL: deletes it), into the transaction. */
scn_status ancestry_put_origin(struct scn_txn *txn,
                               const struct ancestor *origin) MUST_USE;
scn_status ancestry_put_tally(struct scn_txn *txn, uint32_t table_id,
                              const struct digest *tally) MUST_USE;

/* The noted snapshot of this generation and id; zeros: the newest of the generation.
 * SCN_NOTFOUND. */
scn_status ancestry_find_note(struct scn_txn *txn, uint64_t gen,
                              const uint8_t id[ANCESTRY_ID_BYTES],
                              struct ancestor *out) MUST_USE;
/* Of the notes that came behind the view's trees, and are not deleted; 0: there is
 * none. */
scn_status ancestry_newest_gen(const struct view *view, struct pool_reader *reader,
                               uint64_t *gen) MUST_USE;
/* [Z1] A transaction of its own, durable when it returns.  SCN_CONFLICT: the snapshot is
 * of another session than this one, and perhaps of commits that a cure has cut. */
scn_status ancestry_note(scn_db *db, const struct ancestor *snapshot,
                         uint64_t session) MUST_USE;

#endif
