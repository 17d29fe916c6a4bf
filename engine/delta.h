/* The delta: recent commits in memory, ordered, several versions a key.  Also the
 * private write set of a transaction.
 *
 * (table, key, lsn) -> value | tombstone, plus range tombstones per table.  One radix
 * tree (ART) a table over key bytes; a blocked bloom filter in front, since almost
 * every read of a tree asks here first and misses.
 *
 * [D1] One appender at a time (it holds the append lock); any number of readers,
 *      without locks: nodes grow by copy and are published by one release store;
 *      nothing is freed before the delta.
 * [D2] LSNs never decrease from one append to the next.  A reader asks with a bound
 *      and never sees versions above it.
 * [D3] Within one delta, a range tombstone hides versions with a smaller LSN; at equal
 *      LSN the version wins (a record lists its clears before its puts).
 * [D4] Appends cannot fail: delta_reserve got the memory before the log record was
 *      written.
 *
 * Memory is an arena that is freed whole with the last reference. */
#ifndef ENGINE_DELTA_H
#define ENGINE_DELTA_H

#include "page/status.h"
#include "page/sys.h"

#include <stdatomic.h>

struct delta;
struct delta_table;

enum delta_kind {
    DELTA_PUT = 0,
    DELTA_TOMBSTONE = 1,
    DELTA_ADD = 2 /* write sets only */
};
/* Beside the kind of a version in a write set: the put asked for no conflict check. */
enum { DELTA_BLIND = 16 };

struct delta_version {
    uint64_t lsn;
    struct delta_version *older; /* const once published, but for delta_rollback */
    uint32_t len;
    uint8_t kind;
    uint8_t data[];
};

struct delta_entry {
    _Atomic(struct delta_version *) newest;
    /* Memo for counts: 0 unknown, 1 the key exists under this delta, 2 it does not. */
    _Atomic uint8_t below;
    uint16_t key_len; /* KEY_BYTES_MAX fits */
    uint8_t key[];
};

/* Reference count 1.  start_lsn: versions are above it. */
scn_status delta_create(uint64_t start_lsn, struct delta **out) MUST_USE;
struct delta *delta_ref(struct delta *delta);
void delta_unref(struct delta *delta);
uint64_t delta_start(const struct delta *delta);
/* By the appender, while the delta is empty: its versions will be above lsn. */
void delta_set_start(struct delta *delta, uint64_t lsn);
/* Bytes of memory in use, also by what was rolled back; a hint for thresholds.  Any
 * thread. */
uint64_t delta_bytes(const struct delta *delta);
bool delta_is_empty(const struct delta *delta);

/* ---- appender ---- */

/* Memory for count operations (puts, clears, touches) with key_bytes (and bounds of
 * clears) and value_bytes in all, in up to table_count new tables [D4].  It counts
 * from here: what an earlier call reserved and nobody used is not added.  SCN_NOMEM:
 * nothing changed. */
scn_status delta_reserve(struct delta *delta, uint64_t count, uint64_t key_bytes,
                         uint64_t value_bytes, uint64_t table_count) MUST_USE;
void delta_append(struct delta *delta, uint32_t table_id, scn_slice key,
                  enum delta_kind kind, scn_slice value, uint64_t lsn);
/* from/to NULL: unbounded.  from <= key < to. */
void delta_append_clear(struct delta *delta, uint32_t table_id, const scn_slice *from,
                        const scn_slice *to, uint64_t lsn);
/* Notes that lsn changed the table (for table_version); delta_append and
 * delta_append_clear do it themselves. */
void delta_touch(struct delta *delta, uint32_t table_id, uint64_t lsn);
/* Write sets only, no concurrent reader: the newest version of the key gets another value
 * of the same length, if its LSN is above the given one and its kind is this.  False: it
 * is not. */
bool delta_replace(struct delta *delta, uint32_t table_id, scn_slice key, uint64_t hash,
                   enum delta_kind kind, scn_slice value, uint64_t lsn) MUST_USE;
/* Write sets only, no concurrent reader: takes back everything with lsn > the given
 * one, newest first. */
void delta_rollback(struct delta *delta, uint64_t lsn);

/* ---- readers ---- */

/* NULL: the delta says nothing of the table.  Good as long as the delta. */
const struct delta_table *delta_table(const struct delta *delta, uint32_t table_id);
/* Calls fn for each table present; a snapshot of the set. */
scn_status delta_each_table(const struct delta *delta,
                            scn_status (*fn)(void *ctx, uint32_t table_id,
                                             const struct delta_table *table),
                            void *ctx) MUST_USE;
/* The newest LSN <= max_lsn that changed the table; 0 when none here. */
uint64_t delta_table_version(const struct delta_table *table, uint64_t max_lsn);
/* Newest LSN of any change: cheap test for "nothing new here". */
uint64_t delta_table_newest(const struct delta_table *table);
/* Entries in the table, versions not counted; those without a version are. */
uint64_t delta_table_entries(const struct delta_table *table);
/* Tables that the delta says something of.  For the appender, or as below. */
uint64_t delta_tables(const struct delta *delta);
/* Range tombstones with a bound.  For the appender, or where nobody appends any more. */
uint64_t delta_table_clears(const struct delta_table *table);

enum delta_found { DELTA_MISS, DELTA_VERSION, DELTA_CLEARED };
/* What this delta says of a key at max_lsn.  VERSION: *out is it (put, tombstone or
 * add).  CLEARED: a range tombstone hides the key here and in everything older.  hash
 * is leaf_hash(key). */
enum delta_found delta_find(const struct delta_table *table, scn_slice key, uint64_t hash,
                            uint64_t max_lsn, const struct delta_version **out);
/* The entry itself, whatever its versions; NULL when absent. */
struct delta_entry *delta_entry_find(const struct delta_table *table, scn_slice key,
                                     uint64_t hash);
/* The newest version of an entry with lsn <= max_lsn, or NULL. */
const struct delta_version *delta_entry_version(const struct delta_entry *entry,
                                                uint64_t max_lsn);

/* The nearest entry by key: op is SCN_GE, SCN_GT, SCN_LE or SCN_LT; key NULL: first
 * (GE) or last (LE). NULL: none. Stateless, so appends between two calls are seen.  An
 * entry appended during the call may be returned or passed over: its LSN is beyond the
 * bound of whoever could miss it.  The entry may have no version at the caller's
 * bound; rolled back ones have none at all. */
struct delta_entry *delta_seek(const struct delta_table *table, const scn_slice *key,
                               int op);

/* Range tombstones, for merging sources and for validation. */
bool delta_has_clears(const struct delta_table *table, uint64_t max_lsn);
/* The newest clear with lsn <= max_lsn that covers the key; 0 when none. */
uint64_t delta_cleared_at(const struct delta_table *table, scn_slice key,
                          uint64_t max_lsn);
/* Is there a clear with an LSN above min_lsn that covers the key?  Looks at no other. */
bool delta_cleared_above(const struct delta_table *table, scn_slice key,
                         uint64_t min_lsn);
/* Range tombstones with a bound in the table that has most of them: every search in it
 * looks at them all.  Any thread. */
uint64_t delta_clears_most(const struct delta *delta);
struct delta_clear {
    uint64_t lsn;
    bool has_from;
    bool has_to;
    scn_slice from;
    scn_slice to;
};
/* Clear idx, newest first; false when there are no more.  Each with lsn > min_lsn.  A
 * clear that is appended between two calls moves the others: one may be met twice,
 * none is missed. */
bool delta_clear_at(const struct delta_table *table, uint64_t min_lsn, uint32_t idx,
                    struct delta_clear *out);

#endif
