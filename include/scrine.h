/* Scrine: an embedded, single-file, transactional store. */
#ifndef SCRINE_H
#define SCRINE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct scn_db scn_db;
typedef struct scn_txn scn_txn;
typedef struct scn_cursor scn_cursor;
typedef struct scn_lock scn_lock;
typedef uint32_t scn_table_id;   /* never reused; same in every transaction and process; 0 is none */
typedef int32_t scn_status;
enum { SCN_OK = 0, SCN_NOTFOUND = 1, SCN_EXISTS = 2, SCN_END = 3,
       SCN_BUSY = -1, SCN_CONFLICT = -2, SCN_FULL = -3, SCN_POISONED = -4, SCN_CORRUPT = -5, SCN_MOVED = -6, SCN_FORKED = -7,
       SCN_NOT_LOCAL = -8, SCN_VERSION = -9, SCN_SNAPSHOT_GONE = -10, SCN_READONLY = -11, SCN_TOOBIG = -12, SCN_NOMEM = -13, SCN_IO = -14,
       SCN_MISUSE = -15, SCN_INTERRUPTED = -16, SCN_UNKNOWN = -17, SCN_NOTADB = -18 };
enum { SCN_RDONLY = 1, SCN_NOCREATE = 2, SCN_EXCLUSIVE = 4, SCN_NOTHREAD = 8, SCN_ALLOW_NOT_LOCAL = 16 };  /* open */
enum { SCN_READ = 1, SCN_WRITE = 2, SCN_SNAPSHOT = 4 };   /* begin */
enum { SCN_CREATE = 1, SCN_COMPRESS = 2 };   /* table */
enum { SCN_PUT_NEW = 1, SCN_PUT_BLIND = 2, SCN_PUT_SAME = 4 };   /* put */
enum { SCN_UNTRACKED = 1 };   /* get, cursor */
enum { SCN_GE = 0, SCN_GT, SCN_LE, SCN_LT, SCN_EQ };
enum { SCN_SYNC_FULL = 0, SCN_SYNC_GROUP = 1, SCN_SYNC_LAZY = 2 };   /* durability */
typedef struct scn_slice { const void *data; size_t size; } scn_slice;
typedef struct scn_error { uint32_t struct_size; scn_status status; int32_t sys_errno; uint32_t pid; uint64_t page, offset; char text[256]; } scn_error;
typedef struct scn_hooks { void (*log)(void *, int, const char *); int64_t (*now_ms)(void *); int (*progress)(void *, uint64_t, uint64_t); void *user; } scn_hooks;
typedef struct scn_options { uint32_t struct_size, flags; uint64_t pool_bytes, log_bytes, max_file_bytes;
  uint32_t busy_timeout_ms, durability, group_window_ms, lazy_interval_ms; uint64_t max_snapshot_age_ms; scn_hooks hooks; } scn_options;
/* A moment of a store.  used + freed + free bytes make up the file; in a store that is open for
 * reading only they are 0.  Counters begin with the open, in this process. */
typedef struct scn_stats_t {
    uint32_t struct_size; /* set by the caller: no more is written */
    uint32_t page_bytes;
    uint64_t file_bytes;
    uint64_t used_bytes;
    uint64_t freed_bytes;        /* kept for snapshots, or until the next checkpoints */
    uint64_t free_bytes;
    uint64_t log_bytes;          /* of records that no checkpoint has merged yet */
    uint64_t log_capacity_bytes; /* commits wait for a checkpoint when log_bytes gets here */
    uint64_t gen;                /* number of the newest checkpoint */
    uint64_t base_lsn;           /* everything up to here is in it */
    uint64_t appended_lsn;
    uint64_t synced_lsn;         /* everything up to here survives a power cut */
    uint64_t commits;            /* that wrote something */
    uint64_t lazy_commits;       /* acknowledged before their sync */
    uint64_t conflicts;
    uint64_t checkpoints;
    uint64_t failed_checkpoints;
    uint64_t syncs;
    uint64_t bytes_written;
    uint64_t bytes_read;
    uint64_t reads;              /* keys looked up by transactions that have ended */
    uint64_t pool_capacity_bytes;
    uint64_t pool_used_bytes;
    uint64_t pool_hits;
    uint64_t pool_misses;
    uint64_t pool_evictions;
    uint64_t delta_bytes;        /* memory of commits that no checkpoint has merged yet */
    uint64_t oldest_snapshot_age_ms; /* 0: nothing is open */
    uint64_t recovered_records;  /* read from the log when the store was opened */
    uint64_t recovery_ms;
    uint32_t runs;               /* bulk runs that no checkpoint has merged yet */
    uint32_t open_transactions;
    uint32_t tables;             /* 0 also where the catalog cannot be read */
    uint32_t torn_tail;          /* 1: the log ended in a record that was never acknowledged */
} scn_stats_t;
/* healthy is 1 when commits can go on; else reason says what is wrong, the worst thing first. */
typedef struct scn_health_t {
    uint32_t struct_size; /* set by the caller: no more is written */
    uint32_t healthy;
    uint32_t poisoned;  /* a write or sync failed; open the store anew */
    uint32_t read_only;
    uint64_t log_backlog_bytes;
    uint64_t disk_free_bytes; /* on the file system, or up to max_file_bytes if that is less */
    uint64_t file_bytes;
    uint64_t oldest_snapshot_age_ms;
    char reason[160]; /* empty when healthy */
} scn_health_t;
typedef struct scn_table_stat { uint32_t struct_size, flags; uint64_t count, key_bytes, value_bytes, stored_bytes; } scn_table_stat;
typedef struct scn_reader { uint32_t struct_size, pid; char program[32]; uint64_t gen, age_ms, pages_held; } scn_reader;
typedef struct scn_issue { uint32_t struct_size, kind; uint64_t page, offset; const char *text; } scn_issue;
typedef struct scn_snapshot_options { uint32_t struct_size, flags; uint64_t since_gen, rate_bytes_per_s; scn_hooks hooks; } scn_snapshot_options;
typedef struct scn_snapshot_info { uint32_t struct_size; uint64_t gen, lsn, pages, bytes; uint8_t uuid[16], digest[16]; } scn_snapshot_info;
typedef struct scn_compact_options { uint32_t struct_size; uint32_t budget_ms; uint64_t max_bytes; scn_hooks hooks; } scn_compact_options;

const char *scn_version(void);
const char *scn_strerror(scn_status);
int scn_is_retryable(scn_status);
void scn_last_error(const scn_db *, scn_error *);   /* per thread; db may be NULL (failed open) */
scn_status scn_set_allocator(void *(*alloc)(void *, size_t), void (*dealloc)(void *, void *), void *user);  /* before the first open */
void scn_free(void *);
void scn_options_init(scn_options *);
scn_status scn_options_set(scn_options *, const char *, const char *);
scn_status scn_open(const char *, const scn_options *, scn_db **);
scn_status scn_close(scn_db *);
scn_status scn_begin(scn_db *, uint32_t, scn_txn **);
scn_status scn_commit(scn_txn *);
scn_status scn_commit_at(scn_txn *, uint64_t *lsn);    /* the only way to the LSN that wait_durable needs */
void scn_abort(scn_txn *);
scn_db *scn_txn_db(const scn_txn *);
uint64_t scn_txn_lsn(const scn_txn *);   /* the snapshot's LSN */
scn_status scn_savepoint(scn_txn *, uint32_t *);
scn_status scn_rollback_to(scn_txn *, uint32_t);
scn_status scn_set_durability(scn_txn *, uint32_t);
scn_status scn_wait_durable(scn_db *, uint64_t, int32_t);
scn_status scn_on_end(scn_txn *, void (*fn)(void *, scn_status, uint64_t lsn), void *);
scn_status scn_update(scn_db *, scn_status (*fn)(scn_txn *, void *), void *);
scn_status scn_table(scn_txn *, const char *, uint32_t, scn_table_id *);
scn_status scn_table_drop(scn_txn *, scn_table_id);
scn_status scn_table_clear(scn_txn *, scn_table_id);
scn_status scn_table_rename(scn_txn *, scn_table_id, const char *);
scn_status scn_table_each(scn_txn *, scn_status (*fn)(void *, const char *, scn_table_id), void *);
scn_status scn_table_count(scn_txn *, scn_table_id, uint64_t *);
scn_status scn_table_info(scn_txn *, scn_table_id, scn_table_stat *);
uint64_t scn_table_version(scn_txn *, scn_table_id);   /* LSN of the newest commit that changed the table, in this snapshot */
scn_status scn_get(scn_txn *, scn_table_id, scn_slice, scn_slice *);
scn_status scn_get_flags(scn_txn *, scn_table_id, scn_slice, uint32_t, scn_slice *);   /* SCN_UNTRACKED */
scn_status scn_get_many(scn_txn *, scn_table_id, const scn_slice *, size_t, scn_slice *, scn_status *);
scn_status scn_value_size(scn_txn *, scn_table_id, scn_slice, uint64_t *);
scn_status scn_read_at(scn_txn *, scn_table_id, scn_slice, uint64_t, void *, size_t, size_t *);
scn_status scn_put(scn_txn *, scn_table_id, scn_slice, scn_slice, uint32_t);
scn_status scn_add(scn_txn *, scn_table_id, scn_slice key, int64_t delta, int64_t min, int64_t max);   /* resolved at commit, in log order; adds do not conflict with each other */
scn_status scn_del(scn_txn *, scn_table_id, scn_slice);
scn_status scn_del_range(scn_txn *, scn_table_id, scn_slice, scn_slice, uint64_t *);
scn_status scn_get_copy(scn_db *, const char *, scn_slice, void **, size_t *);
scn_status scn_put1(scn_db *, const char *, scn_slice, scn_slice);
scn_status scn_del1(scn_db *, const char *, scn_slice);
scn_status scn_cursor_open(scn_txn *, scn_table_id, scn_cursor **);
scn_status scn_cursor_flags(scn_cursor *, uint32_t);   /* SCN_UNTRACKED */
void scn_cursor_close(scn_cursor *);
scn_status scn_cursor_bounds(scn_cursor *, const scn_slice *, const scn_slice *);
scn_status scn_cursor_prefix(scn_cursor *, scn_slice);
scn_status scn_seek(scn_cursor *, scn_slice, int, scn_slice *, scn_slice *);
scn_status scn_next(scn_cursor *, scn_slice *, scn_slice *);
scn_status scn_prev(scn_cursor *, scn_slice *, scn_slice *);
scn_status scn_first(scn_cursor *, scn_slice *, scn_slice *);
scn_status scn_last(scn_cursor *, scn_slice *, scn_slice *);
scn_status scn_checkpoint(scn_db *);
scn_status scn_compact(scn_db *, const scn_compact_options *);
scn_status scn_check(scn_db *, int, scn_status (*)(void *, const scn_issue *), void *, uint64_t *);
scn_status scn_snapshot_to(scn_db *, int, const scn_snapshot_options *, scn_snapshot_info *);
/* Both take well under a millisecond and wait for nobody.  Any thread.  SCN_MISUSE, SCN_FORKED. */
scn_status scn_stats(scn_db *, scn_stats_t *);
/* SCN_MOVED, with all of the result filled in: the path no longer leads to the open file. */
scn_status scn_health(scn_db *, scn_health_t *);
/* The open transactions of this process, as they were when the call began; fn may use the store.  What fn
 * returns other than SCN_OK ends the walk and is returned. */
scn_status scn_readers_each(scn_db *, scn_status (*)(void *, const scn_reader *), void *);
scn_status scn_tick(scn_db *, uint32_t budget_ms);   /* SCN_NOTHREAD: the background work by hand */
/* A lock for the program's own use: one holder among all threads and processes that have the store
 * open, until scn_lock_drop, the end of the process, or the last scn_close.  Never waits: SCN_BUSY.  Needs
 * a writable store (SCN_READONLY).  name: 1 to 255 bytes. */
scn_status scn_lock_try(scn_db *, const char *name, scn_lock **);
/* NULL is fine; also needed after the store was closed, to free the handle. */
void scn_lock_drop(scn_lock *);
void scn_hash128(const void *, size_t, uint8_t out[16]);

#ifdef __cplusplus
}
#endif

#endif
