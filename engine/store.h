/* The core of one open file, shared by all handles of this process, and the locks that
 * order its parts.
 *
 * Locks, outermost first (page/lock.h has the first six):
 *     GATE, ATTACH, BACKUP, CHECKPOINT, EXTEND, APPEND, apply, SYNC, state
 * The state mutex is a leaf: it guards the current view, the list of views and of open
 * transactions, and nobody waits while holding it.  Of `apply` see engine/peers.h.
 *
 * Who may touch what is said at each field: `open` is const after scn_open;
 * `checkpoint`, `append`, `apply` and `state` name the lock; atomics stand alone. */
#ifndef ENGINE_STORE_H
#define ENGINE_STORE_H

#include "buffer/pool.h"
#include "engine/view.h"
#include "page/grown.h"
#include "page/lock.h"
#include "page/pin.h"
#include "page/publish.h"
#include "page/space.h"
#include "page/superblock.h"
#include "wal/log.h"

#include <stdatomic.h>

/* Catalog: table 1, key -> value (engine/catalog.c). Usage: table 2, value page -> live
 * bytes. */
enum { TABLE_CATALOG = 1, TABLE_USAGE = 2, TABLE_FIRST_USER = 16 };

enum {
    DEFAULT_POOL_BYTES = 256 << 20,
    DEFAULT_LOG_BYTES = PAGE_IS_SMALL ? 256 << 10 : 16 << 20,
    DEFAULT_BUSY_TIMEOUT_MS = 5000,
    DEFAULT_GROUP_WINDOW_MS = 2,
    DEFAULT_LAZY_INTERVAL_MS = 100,
    /* A write set larger than this goes into bulk runs. */
    WRITE_SET_BYTES_MAX = PAGE_IS_SMALL ? 128 << 10 : 48 << 20,
    /* More sources than this make every miss dear: a checkpoint is due. */
    RUN_COUNT_HIGH = 8,
    /* ... and so do range deletions of one table, which every search in it looks at. */
    CLEAR_COUNT_HIGH = 256,
    IDLE_MS = 100
};

struct store_options {
    uint32_t flags;
    uint64_t pool_bytes;
    uint64_t log_bytes;
    uint64_t max_file_bytes;
    uint32_t busy_timeout_ms;
    uint32_t durability;
    uint32_t group_window_ms;
    uint32_t lazy_interval_ms;
    uint64_t max_snapshot_age_ms;
    scn_hooks hooks;
};

/* What validation looks at: the sources of the last commits, oldest first. A source
 * covers the LSNs up to its end, which for the last one is open. */
struct history {
    struct source *items; /* each holds a reference */
    uint32_t count;
    uint32_t capacity;
    uint64_t window_start; /* the history is gapless above this LSN */
};

struct counters {
    _Atomic uint64_t commits;
    _Atomic uint64_t peer_commits; /* of other processes, read from the log */
    _Atomic uint64_t lazy_commits;
    _Atomic uint64_t conflicts;
    _Atomic uint64_t checkpoints;
    _Atomic uint64_t failed_checkpoints;
    _Atomic uint64_t reads;
    _Atomic uint64_t writes;
};

/* When this process learnt of a generation: snapshots of older ones are at least as old.
 */
enum { GENERATION_TIMES = 64 };
struct generation_time {
    uint64_t gen;
    uint64_t seen_ns;
};

struct background;

struct store {
    struct sys *sys;              /* open */
    bool owns_sys;                /* open; `:memory:` */
    bool is_read_only;            /* open */
    struct store_options options; /* open */
    struct file file;
    struct locks locks;
    struct pins pins;
    struct grown grown;
    struct log *log;                        /* open; NULL until recovered or joined */
    struct pool *pool;                      /* open */
    struct space *space;                    /* open; NULL when read-only */
    struct pool_reader *maintenance_reader; /* checkpoint */
    struct pool_reader *frozen_reader;      /* checkpoint */

    struct store *next;    /* registry mutex */
    uint32_t handle_count; /* registry mutex */

    struct publish page; /* append; as it was read under the lock */
    struct publish_seen seen_page; /* state; of who begins */
    struct generation_time times[GENERATION_TIMES]; /* state; ascending, 0 at the front */
    _Atomic uint64_t known_gen; /* written under apply; `superblock`'s */
    uint64_t session_gen;    /* apply; the session's generations are not below */
    struct superblock superblock; /* apply and state; of the newest generation known */
    uint64_t next_gen;       /* checkpoint */
    /* `space` is the state of this generation; written under checkpoint. */
    _Atomic uint64_t space_gen;
    _Atomic uint64_t end_pages; /* new pages lie behind all that was ever given out */

    struct sys_mutex *apply_mutex; /* engine/peers.h */
    struct delta *active;   /* apply; the newest source, held by the history */
    _Atomic uint64_t frozen_bytes; /* of the other deltas in the view */
    struct history history; /* apply */

    struct sys_mutex *state_mutex;
    struct view *view;         /* state; the current one */
    struct view *views;        /* state; all live ones */
    struct scn_txn *open_txns; /* state */
    struct scn_txn *idle_txns; /* state; ended shells, oldest first (engine/txn.h) */
    struct scn_txn *idle_txns_tail;
    uint32_t idle_txn_count;     /* state */
    struct scn_lock *named_locks;  /* state; held, or being tried (engine/namelock.c) */
    struct sys_cond *space_cond; /* state; woken when a checkpoint ended */
    uint64_t begin_count;      /* state; snapshots taken */
    uint32_t rest_rounds;      /* state; looks of peers_rest without one */
    uint64_t rest_count;       /* state; begin_count when peers_rest looked last */

    uint64_t replayed_lsn;     /* apply; where replay stands, until there is a log */
    /* A reader of a file that nobody wrote: the line SESSION as it was then. */
    /* Written under apply; until the log is followed from the view on: no snapshot
     * begins. */
    _Atomic bool has_gap;
    _Atomic uint64_t pinned_gen; /* written under state; the view's; 0: none */
    bool has_commits;          /* apply; applied since rest_base */
    struct log_base rest_base; /* apply; behind the last FREEZE: deltas begin here */
    atomic_bool is_alone;      /* written under apply; what is known comes from no page */
    struct publish_value last_session; /* apply */
    /* [9] Start of the record that is being appended and applied, UINT64_MAX when there
     *     is none: a sync may cover it before its operations are in the delta. */
    _Atomic uint64_t applying_lsn;
    _Atomic uint64_t lazy_lsn; /* [C2] lazy commits are visible up to here */
    _Atomic uint64_t full_lsn; /* end of the newest commit that waits for a sync */
    _Atomic uint64_t base_lsn;      /* of the newest superblock */
    _Atomic uint64_t delta_debt;    /* bytes in deltas that a checkpoint would free */
    _Atomic uint64_t frozen_ops;    /* what a checkpoint has to merge: frozen rows */
    _Atomic uint64_t active_ops;    /* ... and in the active delta */
    _Atomic uint64_t frozen_tables; /* the tables that these are of */
    _Atomic uint64_t active_tables;
    _Atomic uint64_t longest_key;   /* of all operations applied since the open */
    _Atomic uint64_t debt_run_pages; /* pages of runs that it has to write again */
    atomic_bool wants_drain;        /* a commit or a run found the store full */
    /* Written under apply or checkpoint: the log's spares are fewer than the generation's
     * (engine/extents.h). */
    atomic_bool gives_up_spares;
    _Atomic uint64_t reserve_pages; /* of room_pages, for deletions alone */
    _Atomic uint64_t room_pages;    /* it may take so many; engine/room.h */
    _Atomic uint64_t room_size;     /* of the file in pages, when they were counted */
    _Atomic uint64_t room_needed;   /* when the file's size was looked at; 0: not since */
    _Atomic uint64_t tree_pages;    /* of the newest generation, all kinds */
    _Atomic uint64_t side_pages;    /* that usage and allocation state may fill at most */
    _Atomic uint32_t run_count;     /* runs in the current view */
    _Atomic uint64_t clear_count;   /* range deletions of a table in the active delta */
    _Atomic uint64_t failed_at_lsn; /* end of the log when the last checkpoint failed */
    /* Of background work, which scn_tick may do beside the thread. */
    _Atomic uint64_t idle_lsn;      /* own_end_lsn in the last round */
    _Atomic uint32_t idle_rounds;   /* rounds since it changed */
    _Atomic uint64_t quiet_lsn;     /* the end of the log a moment ago */
    _Atomic uint64_t marked_lsn;    /* the log ends with a MARK here */
    _Atomic int32_t checkpoint_status;  /* of the last one */
    _Atomic uint64_t checkpoint_number; /* finished ones, failed included */
    _Atomic uint64_t drain_number;      /* of them, those that drained */
    _Atomic uint32_t update_count;      /* scn_update callbacks running */
    _Atomic uint64_t cure_ns;       /* of a poisoned file: when it is tried next */
    _Atomic uint64_t cure_pause_ns; /* ... how long after the last; 0: not yet */
    uint64_t opened_ns;                 /* open */
    struct log_scan_result recovered;   /* open */
    _Atomic uint64_t epoch_start_lsn;   /* the session's LSNs are not below */
    _Atomic uint64_t own_end_lsn;       /* of the last record appended here; 0: none in
                                         * the session */
    _Atomic uint64_t own_lazy_lsn;      /* the last lazy commit acknowledged here; 0: as
                                         * above */
    atomic_bool has_lost_lazy;          /* one may be lost, with the session before */
    atomic_bool has_untold_loss;        /* ... and no round of background work said so */
    uint64_t recovery_ns;               /* open; how long it took */
    struct background *background;      /* open; NULL: SCN_NOTHREAD */
    struct counters counters;
    uint64_t peer_lsn; /* apply; commits of others up to here are counted */
    _Atomic uint64_t found_lsn; /* end of what the session began with */
    uint64_t told_synced_lsn;   /* open; of a cure: others know that it was durable */
    uint64_t followed_records;  /* apply; since the log was last begun to be followed */
};

struct scn_db {
    uint32_t magic;
    bool is_read_only; /* this handle; the store may have others that write */
    struct store *store;
};
#define DB_MAGIC 0x5343444eu

/* SCN_OK, or SCN_MISUSE for NULL or closed, SCN_FORKED. */
scn_status db_check(const scn_db *db) MUST_USE;
/* As db_check, and SCN_READONLY when the handle was opened for reading only. */
scn_status db_check_write(const scn_db *db) MUST_USE;

/* All commits up to this LSN are in snapshots that begin now.  What others have synced
 * may be ahead of what is applied here. */
static inline uint64_t store_visible(struct store *store)
{
    if (store->log == NULL)
        return store->replayed_lsn;
    uint64_t synced = log_synced(store->log);
    uint64_t lazy = atomic_load(&store->lazy_lsn);
    uint64_t applied = log_appended(store->log);
    uint64_t applying = atomic_load(&store->applying_lsn); /* after the others */
    uint64_t settled = lazy > synced ? lazy : synced;
    applied = applied < applying ? applied : applying;
    return settled < applied ? settled : applied;
}

/* Others may have the file, too. */
static inline bool store_is_shared(const struct store *store)
{
    return !store->locks.is_exclusive;
}

/* The current view and the visible LSN, taken together [W2].  view_release ends it. */
struct view *store_view(struct store *store, uint64_t *visible_lsn);
void store_view_release(struct store *store, struct view *view);
/* The end of what has been applied: the log's, or what a recovery under way has
 * replayed. */
uint64_t store_appended(struct store *store);

/* Apply lock held, in two steps, the second without failure: sources, oldest first, in
 * front of those that the current view has. The last one is a delta and becomes the
 * active one. */
scn_status store_prepare_push(struct store *store, const struct source *sources,
                              uint32_t count, struct view **view) MUST_USE;
void store_finish_push(struct store *store, const struct source *sources, uint32_t count,
                       struct view *view);
/* Apply lock held: the view becomes current; the store owns it. */
void store_install_view(struct store *store, struct view *view);
/* Transactions for writing are open. */
bool store_has_writers(struct store *store);
/* Operations have come into the active delta. */
void store_note_active(struct store *store, uint64_t ops);
/* Apply lock held: from here on, until has_gap is false again, no snapshot begins. */
void store_stop_begins(struct store *store);
/* Apply lock held: the generation of `superblock`, and an empty delta in front. */
scn_status store_start_view(struct store *store, bool is_pinned) MUST_USE;
/* Apply lock held: no source of before is in the history any more; it is gapless from
 * window_start on. */
void store_forget_history(struct store *store, uint64_t window_start);
/* State mutex held: so old is every snapshot of this generation, in any process, at
 * least; 0 for the newest one. */
uint64_t store_snapshot_age_ms(struct store *store, uint64_t gen);
/* The generations that live views pin, in this process and in others, ascending, each
 * once; *gens is the caller's to free. */
scn_status store_pins(struct store *store, uint64_t **gens, uint32_t *count) MUST_USE;
/* Apply lock held: the history forgets what no open write transaction can ask for. */
void store_trim_history(struct store *store);

/* A store whose file is open and that has all its parts, and knows nothing of what is in
 * the file; SCN_NOTFOUND where there is none. */
scn_status store_prepare(struct sys *sys, const char *path,
                         const struct store_options *options,
                         struct store **out) MUST_USE;
void store_destroy(struct store *store);

/* Opens a store on an implementation of the system; sys_posix() for scn_open. Tests use
 * it directly. */
scn_status store_open_on(struct sys *sys, const char *path, const scn_options *options,
                         scn_db **out) MUST_USE;

#endif
