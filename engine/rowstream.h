/* All rows of a table in one snapshot, in key order, values included, for those who go
 * through a whole store.
 *
 * The reader has entered only while a row is got, so writing and waiting between two rows
 * keep nobody from giving frames away.  Key and value are copies, good until the next
 * call.  One thread, the transaction's. */
#ifndef ENGINE_ROWSTREAM_H
#define ENGINE_ROWSTREAM_H

#include "engine/txn.h"

/* Starts zeroed. */
struct rowstream {
    struct scn_txn *txn;
    struct merge *merge;
    bool is_started;
    bool is_deleted; /* of changes: the last key has gone, and has no value */
    uint8_t *copy; /* key, then value */
    size_t capacity;
    size_t key_len; /* of the last row; 0: none yet */
    struct values_scratch scratch;
};

/* The catalog's own rows too, with catalog_binding. */
scn_status rowstream_open(struct rowstream *rows, struct scn_txn *txn,
                          const struct binding *binding) MUST_USE;
/* Instead, only what is newer than the view's trees, deletions of keys included (those of
 * ranges are in the deltas alone). */
scn_status rowstream_open_changes(struct rowstream *rows, struct scn_txn *txn,
                                  uint32_t table_id) MUST_USE;
void rowstream_close(struct rowstream *rows);
/* SCN_OK, SCN_END, or an error, SCN_SNAPSHOT_GONE among them. */
scn_status rowstream_next(struct rowstream *rows, scn_slice *key,
                          scn_slice *value) MUST_USE;

/* A value behind an encoded reference, as bytes in a buffer that grows (mem_free is the
 * caller's), from `at` on.  The reader has not entered. */
scn_status rowstream_fetch(struct pool_reader *reader, const void *encoded,
                           struct values_scratch *scratch, uint8_t **buf,
                           size_t *capacity, size_t at, size_t *len) MUST_USE;

#endif
