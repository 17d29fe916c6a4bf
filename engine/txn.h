/* A transaction: a snapshot, what was read, and what is to be written.
 *
 * Life: scn_begin -> reads and writes -> scn_commit or scn_abort. The struct is a shell
 * that the store keeps after the end and gives to a later begin, oldest first: a stale
 * handle meets the wrong magic, not freed memory.
 *
 * Writes are collected in a private delta whose LSNs count the operations (savepoints
 * are such numbers). Past WRITE_SET_BYTES_MAX it is spilled into bulk runs: segments,
 * oldest first, each the range deletions and runs of one spill (wal/ops.h). */
#ifndef ENGINE_TXN_H
#define ENGINE_TXN_H

#include "engine/merge.h"
#include "engine/readset.h"
#include "engine/store.h"
#include "engine/values.h"

#define TXN_MAGIC 0x5343545eu
#define TXN_ENDED 0x53435400u

/* What this transaction knows of a table. */
struct binding {
    uint32_t table_id;
    bool exists;
    bool is_write_checked; /* its catalog entry is in the read set */
    uint32_t flags;        /* SCN_COMPRESS */
    struct tree tree;      /* in the snapshot's generation */
    uint64_t tree_count;
    uint64_t key_bytes;
    uint64_t value_bytes;
    uint64_t tree_pages;
};
enum { BINDING_CACHE = 8 };

/* Copies of bytes for the user; blocks never move. */
struct arena_block {
    struct arena_block *next;
    size_t capacity;
    size_t used;
    uint8_t data[];
};

struct end_call {
    struct end_call *next;
    void (*fn)(void *, scn_status, uint64_t);
    void *ctx;
};

/* One spill. */
struct segment {
    struct delta *clears; /* the range deletions; NULL when there are none */
    struct run **runs; /* one a table */
    uint32_t run_count;
    uint64_t sequence; /* operations up to here are in it */
};

/* Additions lie apart from the other writes: they are on top of what is committed,
 * cannot be spilled, and are superseded (a version of kind TOMBSTONE) when the
 * transaction writes or clears their key. */
struct write_set {
    struct delta *delta;       /* puts, deletions, clears; NULL until the first */
    struct delta *adds;        /* NULL until the first */
    uint64_t sequence;         /* operations so far */
    uint64_t spilled_sequence; /* operations up to here are in segments */
    uint32_t shape; /* changes when cursors have to collect their sources anew */
    struct segment *segments;
    uint32_t segment_count;
    uint32_t segment_capacity;
    uint64_t first_put; /* the operation; 0: deletions alone, which may use the reserve */
    uint32_t savepoint_count;
    uint64_t *savepoints; /* sequence at each */
    uint32_t savepoint_capacity;
};

struct scn_txn {
    uint32_t magic;
    uint32_t flags; /* SCN_READ, SCN_WRITE, SCN_SNAPSHOT */
    uint32_t durability;
    atomic_bool is_stale; /* its history ended with a session: it conflicts */
    atomic_bool is_gone; /* past max_snapshot_age; set before a page is reused */
    bool is_priority; /* holds the append lock (scn_update) */
    bool is_in_update;        /* written under state */
    scn_status broken; /* sticky: only abort is possible */
    scn_db *db;
    struct store *store;
    struct scn_txn *next; /* open or idle list; state */
    struct scn_txn *previous;
    struct view *view;
    uint64_t lsn;      /* the snapshot's */
    uint64_t log_life; /* of the log when its record was appended */
    uint64_t begun_ns; /* state; 0: nobody has looked yet (engine/stats.c) */
    uint64_t thread_id;
    struct pool_reader *reader;
    struct readset reads;
    struct write_set writes;
    struct binding bindings[BINDING_CACHE];
    uint32_t binding_next;
    struct scn_cursor *cursors;
    struct end_call *end_calls;
    /* Bytes handed out last stay good during the next call: two of each, used in turn. */
    struct values_scratch scratch[2];
    struct arena_block *arena[2];
    uint32_t turn;
    uint64_t read_count;
    struct ops_writer ops; /* the record being made */
    struct log_packet packet;
};

static inline bool txn_is_write(const struct scn_txn *txn)
{
    return (txn->flags & SCN_WRITE) != 0;
}

/* Does what this call learns have to hold at commit? */
static inline bool txn_tracks(const struct scn_txn *txn, uint32_t flags)
{
    return (txn->flags & (SCN_WRITE | SCN_SNAPSHOT)) == SCN_WRITE &&
           !(flags & SCN_UNTRACKED);
}

/* Why a transaction cannot be used. */
scn_status txn_refuse(const struct scn_txn *txn) MUST_USE;
/* SCN_OK; SCN_MISUSE for NULL, ended or foreign handles; SCN_FORKED; the sticky error. */
static inline scn_status txn_check(const struct scn_txn *txn)
{
    bool is_usable = txn != NULL && txn->magic == TXN_MAGIC &&
                     !txn->store->sys->ops->is_forked(txn->store->sys) &&
                     !atomic_load_explicit(&txn->is_gone, memory_order_relaxed) &&
                     txn->broken == SCN_OK;
    return is_usable ? SCN_OK : txn_refuse(txn);
}
/* As txn_check, and the transaction may write.  SCN_READONLY where the store cannot. */
scn_status txn_check_write(const struct scn_txn *txn) MUST_USE;

/* The copies made for the call before the last may go. */
void txn_reuse_arena(struct scn_txn *txn);
/* What a failed call tells: st, or SCN_SNAPSHOT_GONE in its place. */
scn_status txn_failure(struct scn_txn *txn, scn_status st) MUST_USE;

/* Around every operation that touches pages. txn_leave drops the bytes of the previous
 * call, and passes st on, or what it stands for. */
static inline void txn_enter(struct scn_txn *txn)
{
    txn->turn ^= 1;
    if (txn->arena[txn->turn])
        txn_reuse_arena(txn);
    pool_enter(txn->reader);
}

MUST_USE static inline scn_status txn_leave(struct scn_txn *txn, scn_status st)
{
    pool_release_previous(txn->reader);
    pool_leave(txn->reader);
    return st < 0 ? txn_failure(txn, st) : st;
}
/* Keeps a page until the next operation ends, or copies the bytes when no place is left.
 */
scn_status txn_keep(struct scn_txn *txn, const uint8_t *page, scn_slice *bytes) MUST_USE;
/* Copies the bytes into memory that lives as long. */
scn_status txn_copy(struct scn_txn *txn, scn_slice *bytes) MUST_USE;

/* Beside the flags of scn_begin: on what this process knows already, without a look at
 * what others have committed since. */
#define TXN_AS_IT_IS (UINT32_C(1) << 31)
scn_status txn_begin_on(struct store *store, scn_db *db, uint32_t flags,
                        struct scn_txn **out) MUST_USE;
/* Ends the shell: list, view, memory.  Calls the end calls with st and lsn. */
void txn_end(struct scn_txn *txn, scn_status st, uint64_t lsn);
/* An idle shell, at the store's end. */
void txn_destroy_shell(struct scn_txn *txn);

/* ---- reading (engine/read.c) ---- */

/* Pending additions of this transaction to one key, composed: base may lie in [lo, hi],
 * and becomes base + sum. */
struct addition {
    int64_t sum;
    int64_t lo;
    int64_t hi;
};
enum found_kind { FOUND_NONE, FOUND_BYTES, FOUND_REF };
struct found {
    enum found_kind kind;
    bool has_add; /* pending additions of this transaction on top */
    struct addition addition;
    scn_slice bytes;     /* the value, or the encoded value_ref */
    const uint8_t *page; /* NULL: lives as long as the snapshot */
};
/* Own writes, then the view, then the tree; between txn_enter and txn_leave. */
scn_status read_find(struct scn_txn *txn, const struct binding *binding, scn_slice key,
                     uint64_t hash, struct found *out) MUST_USE;
/* The transaction's own writes alone: SCN_OK decided, SCN_NOTFOUND they say nothing (but
 * has_add is told). */
scn_status read_find_own(struct scn_txn *txn, uint32_t table_id, scn_slice key,
                         uint64_t hash, struct found *out) MUST_USE;
/* Without the transaction's own writes: in the view's sources from first_source on, and
 * the tree. */
scn_status read_find_below(struct scn_txn *txn, const struct binding *binding,
                           uint32_t first_source, scn_slice key, uint64_t hash,
                           struct found *out) MUST_USE;
/* The value of a found key, pending additions included, as bytes kept for the user.
 * SCN_NOTFOUND for NONE. */
scn_status read_value(struct scn_txn *txn, const struct found *found,
                      scn_slice *out) MUST_USE;
/* A merge over everything this transaction sees of the table. */
scn_status read_merge(struct scn_txn *txn, const struct binding *binding,
                      struct merge **out) MUST_USE;
enum { ADDITION_BYTES = 24 };
struct addition addition_decode(const void *data);
void addition_encode(const struct addition *addition, uint8_t *out);
/* First one, then the other. */
struct addition addition_compose(const struct addition *first,
                                 const struct addition *second);
/* kind NONE counts as 0. SCN_TOOBIG: a bound breaks; SCN_MISUSE: the value is no counter
 * (8 bytes). */
scn_status addition_apply(const struct addition *addition, const struct found *base,
                          int64_t *out) MUST_USE;

/* ---- writing (engine/write.c, engine/spill.c) ---- */

/* One operation into the write set; spills when it has grown too large. kind: DELTA_PUT
 * or DELTA_TOMBSTONE, perhaps with DELTA_BLIND. */
scn_status write_append(struct scn_txn *txn, uint32_t table_id, scn_slice key,
                        uint8_t kind, scn_slice value) MUST_USE;
scn_status write_addition(struct scn_txn *txn, uint32_t table_id, scn_slice key,
                          const struct addition *addition) MUST_USE;
/* Why a key is none. */
scn_status write_refuse_key(scn_slice key) MUST_USE;
/* SCN_MISUSE for an empty key, SCN_TOOBIG for one over KEY_BYTES_MAX. */
static inline scn_status write_check_key(scn_slice key)
{
    bool is_key = key.data != NULL && key.size - 1 < KEY_BYTES_MAX; /* 0 wraps around */
    return is_key ? SCN_OK : write_refuse_key(key);
}
/* The same for the bound of a range, which may be empty. */
scn_status write_check_bound(scn_slice bound) MUST_USE;
scn_status write_clear(struct scn_txn *txn, uint32_t table_id, const scn_slice *from,
                       const scn_slice *to) MUST_USE;
bool write_is_empty(const struct scn_txn *txn);
void write_destroy(struct scn_txn *txn);
/* Everything in the private delta becomes segments of runs, cut at the savepoints. */
scn_status spill(struct scn_txn *txn) MUST_USE;
/* Lets go of a segment's pages: savepoint rolled back, abort. */
void segment_destroy(struct store *store, struct segment *segment, bool keeps_pages);

/* ---- catalog (engine/catalog.c) ---- */

/* SCN_OK, SCN_NOTFOUND (also for 0 and system tables), or an error. Good until the next
 * call. Tracked as a read when the transaction tracks. */
scn_status catalog_bind(struct scn_txn *txn, uint32_t table_id,
                        struct binding **out) MUST_USE;
/* As catalog_bind, for writing: commit will find a drop of the table even for blind
 * writes. */
scn_status catalog_bind_write(struct scn_txn *txn, uint32_t table_id,
                              struct binding **out) MUST_USE;
void catalog_forget(struct scn_txn *txn);
/* The catalog itself, as a table. */
struct binding catalog_binding(const struct scn_txn *txn);

/* ---- commit (engine/commit.c, engine/conflict.c, engine/update.c) ---- */

/* SCN_MISUSE: the calling thread runs the function of an scn_update. */
scn_status update_check_not_inside(struct store *store) MUST_USE;

scn_status commit_txn(struct scn_txn *txn, uint64_t *lsn) MUST_USE;
/* The history is the store's, under the append lock, or a copy that holds its own
 * references. SCN_OK or SCN_CONFLICT. */
scn_status conflict_check(struct scn_txn *txn, const struct history *history) MUST_USE;
/* All cursors' ranges into the read set. */
scn_status cursor_flush_reads(struct scn_txn *txn) MUST_USE;
void cursor_close_all(struct scn_txn *txn);

#endif
