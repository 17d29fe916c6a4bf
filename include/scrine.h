/* Scrine: an embedded, transactional key-value store.  One file, one library, this
 * header.
 *
 * A store (scn_db) has tables (scn_table_id), a table has rows: keys in memcmp order,
 * each with one value.  Everything happens in transactions (scn_txn).  A transaction sees
 * the store as it was when it began, and its own writes; others see them when scn_commit
 * has returned SCN_OK.  Nobody waits for an open transaction: a commit whose reads or
 * writes were overtaken by another commit answers SCN_CONFLICT, and is to be run again
 * (scn_update does that).
 *
 * Threads.  A scn_db may be used by all threads at once.  A transaction, with its
 * cursors, is used by one thread at a time; it may move from one to the next.  No
 * transaction is bound to a thread, and a thread may have several.
 *
 * Processes.  Any number of processes have one file open at the same time; all may read
 * and write, and what one has committed is in the next transaction of each.  Nobody waits
 * for another's open transaction, for reading or for writing: conflicts are found per
 * key, at commit.  Any of them may be killed at any moment: its locks vanish with it, and
 * the others go on without a repair.  One that is stopped while it holds a lock of a
 * commit delays those who write (for busy_timeout_ms, then SCN_BUSY; in the middle of its
 * sync, until it goes on or is killed), not those who read.
 * SCN_RDONLY reads beside writers and changes nothing; SCN_EXCLUSIVE lets nobody in.
 * On network file systems, where locks do not reach everybody, one process at a time
 * has the file (SCN_NOT_LOCAL, SCN_ALLOW_NOT_LOCAL).  After fork, the child's calls with
 * a handle of the parent answer SCN_FORKED and change nothing; the child opens the store
 * for itself, also while the parent has it open.  An open file takes up to three
 * descriptors, none of which survives exec; a program that closes all it has (closefrom)
 * does so before it opens stores.
 *
 * Bytes.  Keys and values handed out by a call with a transaction or its cursor are good
 * until the next call with the same transaction (or a cursor of it) returns.  So they may
 * be the input of that next call.  Bytes given to a call are copied before it returns.
 *
 * Failures.  A status below 0 means that the call did not do what was asked; unless said
 * otherwise nothing has changed then, and what it was to hand out must not be used
 * (handles are NULL).  Every call that takes a handle answers SCN_MISUSE for a NULL one.
 *
 * A transaction that has ended answers SCN_MISUSE for as long as its memory rests, which
 * is until at least 64 more transactions of the store have ended; later, and after the
 * store was closed, the handle must not be used.  Closed stores and closed cursors are
 * freed at once: their handles must not be used at all.
 *
 * The library never prints, exits, aborts or sets a signal handler.
 *
 * Example: open, write, read, close.
 *
 *     static scn_status remember(const char *path)
 *     {
 *         scn_slice key = {"colour", 6};
 *         scn_slice value = {"blue", 4};
 *         void *copy = NULL;
 *         size_t size = 0;
 *         scn_db *db = NULL;
 *         scn_status st = scn_open(path, NULL, &db);
 *         if (st != SCN_OK)
 *             return st;
 *         st = scn_put1(db, "facts", key, value);
 *         if (st == SCN_OK)
 *             st = scn_get_copy(db, "facts", key, &copy, &size);
 *         scn_free(copy);
 *         scn_close(db);
 *         return st;
 *     }
 */
#ifndef SCRINE_H
#define SCRINE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- types ---- */

typedef struct scn_db scn_db;
typedef struct scn_txn scn_txn;
typedef struct scn_cursor scn_cursor;
typedef struct scn_lock scn_lock;

/* The number of a table: the same in every transaction and process until the table is
 * dropped, and never used again.  0 is none.  The caller may keep it. */
typedef uint32_t scn_table_id;

/* 0: done.  Above 0: an answer.  Below 0: not done. */
typedef int32_t scn_status;
enum {
    SCN_OK = 0,
    SCN_NOTFOUND = 1, /* no such key, table or file */
    SCN_EXISTS = 2,   /* there is one already; nothing was written */
    SCN_END = 3,      /* a cursor has nothing further in this direction */

    SCN_BUSY = -1,     /* somebody else holds a lock, or room for the commit takes longer
                        * than busy_timeout_ms; try again */
    SCN_CONFLICT = -2, /* another commit changed what this transaction read or wrote;
                        * run it again */
    SCN_FULL = -3,     /* the disk is full, or max_file_bytes is reached; or the limit of
                        * the process (ulimit -f), where it ignores SIGXFSZ: else the
                        * system ends it there */
    SCN_POISONED = -4, /* a write or sync failed before, so nothing more is written;
                        * reads go on.  To open the file once more cures it for all who
                        * have it open; an exclusive store has to be closed first */
    SCN_CORRUPT = -5,  /* the file is damaged; scn_last_error names the place */
    SCN_MOVED = -6,    /* the path no longer leads to the open file */
    SCN_FORKED = -7,   /* the handle belongs to the parent process */
    SCN_NOT_LOCAL = -8, /* on this file system locks do not reach every user */
    SCN_VERSION = -9,  /* the file has a version, a page size or a feature that this
                        * library does not know */
    SCN_SNAPSHOT_GONE = -10, /* its pages are given up: older than max_snapshot_age_ms, or
                              * with commits that a failed sync has lost */
    SCN_READONLY = -11, /* the handle was opened for reading only, or the system does not
                         * let this process write */
    SCN_TOOBIG = -12,   /* a key, value or name is too long; a transaction does not fit; a
                         * counter would leave its bounds */
    SCN_NOMEM = -13,    /* no memory */
    SCN_IO = -14,       /* the system reported an error; scn_last_error has its number */
    SCN_MISUSE = -15,   /* the call is not allowed like this */
    SCN_INTERRUPTED = -16, /* a function of the program said so; or given to scn_on_end
                            * functions of an aborted transaction */
    SCN_UNKNOWN = -17,  /* the outcome is not known: the commit may survive or not.  Open
                         * the store again and look */
    SCN_NOTADB = -18    /* not a file of this library; it was left alone */
};

/* Flags of scn_open (scn_options.flags). */
enum {
    SCN_RDONLY = 1,    /* no writes through this handle; an absent file is not created */
    SCN_NOCREATE = 2,  /* an absent file is SCN_NOTFOUND */
    SCN_EXCLUSIVE = 4, /* no other process: waits until the others have gone, and while it
                        * lasts they are answered SCN_BUSY; takes no kernel locks later */
    SCN_NOTHREAD = 8,  /* no background thread: the program calls scn_tick, and a commit
                        * that finds the log full runs the checkpoint itself */
    SCN_ALLOW_NOT_LOCAL = 16 /* also on NFS, CIFS, 9p or FUSE; the caller sees to it that
                              * one process alone uses the file */
};

/* Flags of scn_begin. */
enum {
    SCN_READ = 1,
    SCN_WRITE = 2,
    SCN_SNAPSHOT = 4 /* with SCN_WRITE: reads need not hold at commit.  Two writers of one
                      * key still conflict */
};

/* Flags of scn_table. */
enum {
    SCN_CREATE = 1,
    SCN_COMPRESS = 2 /* of a table that this call creates: values of 64 bytes and more are
                      * kept in LZ4 blocks once a checkpoint has merged them */
};

/* Flags of scn_put, at most one. */
enum {
    SCN_PUT_NEW = 1,   /* SCN_EXISTS where the key is there already */
    SCN_PUT_BLIND = 2, /* no conflict with others who wrote the key: the last commit wins.
                        * Only dropping or clearing the table conflicts, and the deletion
                        * of a range around it may */
    SCN_PUT_SAME = 4   /* where the key has these bytes already nothing is written, and
                        * only a later change of the key by others conflicts.  Where it is
                        * absent, as SCN_PUT_BLIND: for rows whose key decides the
                        * value */
};

/* Flag of scn_get_flags and scn_cursor_flags: what is read need not hold at commit. */
enum { SCN_UNTRACKED = 1 };

/* How scn_seek compares. */
enum { SCN_GE = 0, SCN_GT, SCN_LE, SCN_LT, SCN_EQ };

/* When a commit returns. */
enum {
    SCN_SYNC_FULL = 0,  /* when it survives a power cut */
    SCN_SYNC_GROUP = 1, /* the same, but it waits up to group_window_ms for others to
                         * share the sync with */
    SCN_SYNC_LAZY = 2   /* when it survives the death of this process; the sync follows
                         * after lazy_interval_ms.  A power cut before it may take the
                         * last commits, newest first, never one from the middle.  The
                         * first commit after an open waits for its sync all the same */
};

/* Bytes.  data may be NULL where size is 0. */
typedef struct scn_slice {
    const void *data;
    size_t size;
} scn_slice;

/* Structs begin with struct_size, the sizeof that their maker was compiled with: no more
 * is read or written.  scn_options_init sets it; in structs that the library fills the
 * caller does, in those that a function of the program is given the library. */

typedef struct scn_error {
    uint32_t struct_size;
    scn_status status;
    int32_t sys_errno; /* of the system call that failed; 0: none */
    uint32_t pid;      /* SCN_BUSY: who holds the lock, where the system tells; else 0 */
    uint64_t page;     /* number of the page that is damaged; 0 also where it says
                        * nothing */
    uint64_t offset;   /* in the file */
    char text[256];    /* one sentence in English, zero-terminated */
} scn_error;

/* Functions of the program.  NULL where there is none; user is handed to each.  They may
 * be called from the background thread, and must not open or close stores. */
typedef struct scn_hooks {
    /* What went wrong where no caller is there to be told: in the background and in
     * scn_close.  The number is the status, the text good during the call. */
    void (*log)(void *user, int status, const char *text);
    int64_t (*now_ms)(void *user);                                /* not called yet */
    /* See scn_check, scn_compact, scn_snapshot_to, scn_snapshot_apply. */
    int (*progress)(void *user, uint64_t done, uint64_t expected);
    void *user;
} scn_hooks;

/* A member that is 0 has its default.  Names for scn_options_set are in quotes. */
typedef struct scn_options {
    uint32_t struct_size;
    uint32_t flags;      /* SCN_RDONLY ...; "rdonly", "nocreate", "exclusive", "nothread",
                          * "allow_not_local" */
    uint64_t pool_bytes; /* "pool": memory for pages; 256 MiB, at least 256 KiB */
    uint64_t log_bytes;  /* "log": commits wait for a checkpoint when the log holds so
                          * much; the commits in it are kept in memory as well; 16 MiB, at
                          * least 4 MiB, at most 448 MiB */
    uint64_t max_file_bytes;   /* "max_file": SCN_FULL instead of growing beyond; none, at
                                * least 1 MiB */
    uint32_t busy_timeout_ms;  /* "busy_timeout": the longest wait for a lock or for room
                                * in the log; 5000, at least 1 */
    uint32_t durability;       /* "durability": full, group or lazy; SCN_SYNC_FULL */
    uint32_t group_window_ms;  /* "group_window": see SCN_SYNC_GROUP; 2, at most 10000 */
    uint32_t lazy_interval_ms; /* "lazy_interval": see SCN_SYNC_LAZY; also the interval of
                                * all background work; 100, at most 3600000 */
    uint64_t max_snapshot_age_ms; /* "max_snapshot_age": a snapshot older than this, of an
                                   * older generation, is given up by the next checkpoint:
                                   * its pages may be used again, and further calls answer
                                   * SCN_SNAPSHOT_GONE; none */
    scn_hooks hooks;
} scn_options;

/* A moment of a store.  used + freed + free bytes make up the file; in a store that is
 * open for reading only they are those of the newest checkpoint.  Counters begin with the
 * open, in this process. */
typedef struct scn_stats_t {
    uint32_t struct_size; /* set by the caller: no more is written */
    uint32_t page_bytes;
    uint64_t file_bytes;
    uint64_t used_bytes;
    uint64_t freed_bytes;        /* kept for snapshots, or until the next checkpoints */
    uint64_t free_bytes;
    uint64_t log_bytes;          /* of records that no checkpoint has merged yet */
    uint64_t log_capacity_bytes; /* commits wait for a checkpoint when log_bytes gets
                                  * here */
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
    uint32_t torn_tail;          /* 1: the log ended in a record that was never
                                  * acknowledged */
    uint64_t peer_commits;       /* of other processes, as far as transactions of this one
                                  * have met them in the log */
} scn_stats_t;
/* healthy is 1 when commits can go on; else reason says what is wrong, the worst thing
 * first. */
typedef struct scn_health_t {
    uint32_t struct_size; /* set by the caller: no more is written */
    uint32_t healthy;
    uint32_t poisoned;  /* a write or sync failed; open the store anew */
    uint32_t read_only;
    uint64_t log_backlog_bytes;
    uint64_t disk_free_bytes; /* on the file system, or up to max_file_bytes if that is
                               * less */
    uint64_t file_bytes;
    uint64_t oldest_snapshot_age_ms;
    char reason[160]; /* empty when healthy */
} scn_health_t;

/* A table as a snapshot sees it; see scn_table_info. */
typedef struct scn_table_stat {
    uint32_t struct_size;
    uint32_t flags;        /* SCN_COMPRESS */
    uint64_t count;        /* rows, those of this transaction included */
    uint64_t key_bytes;    /* the following three as of the snapshot's checkpoint: */
    uint64_t value_bytes;  /* lengths of the values, uncompressed */
    uint64_t stored_bytes; /* pages of the table's tree; pages that hold longer values are
                            * not counted */
} scn_table_stat;

/* An open transaction of this process, or another process with open transactions; see
 * scn_readers_each. */
typedef struct scn_reader {
    uint32_t struct_size;
    uint32_t pid;        /* 0: the system does not tell */
    char program[32];    /* of another process, as the system knows it */
    uint64_t gen;        /* number of the checkpoint that its snapshot stands on */
    uint64_t age_ms;     /* of a transaction for reading: since it was first looked at; of
                          * another process: at least so long */
    uint64_t pages_held; /* freed pages that it keeps from being used again */
} scn_reader;

/* scn_check: levels, and the kinds of what it finds. */
enum { SCN_CHECK_QUICK = 0, SCN_CHECK_ALL = 1 };
enum {
    SCN_ISSUE_SLOT = 1,    /* one of the two superblocks; the next checkpoint writes it
                            * anew */
    SCN_ISSUE_SPACE = 2,   /* the allocation state, or an owner that disagrees with it */
    SCN_ISSUE_PAGE = 3,    /* a page that is not what its pointer says, or cannot be
                            * read */
    SCN_ISSUE_TREE = 4,    /* pages of a tree that do not fit together */
    SCN_ISSUE_VALUE = 5,   /* a value outside its leaf */
    SCN_ISSUE_COUNT = 6,   /* a table's count or sums */
    SCN_ISSUE_USAGE = 7,   /* the live bytes of a value page */
    SCN_ISSUE_CATALOG = 8, /* names, ids and roots that do not fit together */
    SCN_ISSUE_LOG = 9,
    SCN_ISSUE_SHARED = 10, /* a page with two owners */
    SCN_ISSUE_LOST = 11    /* used pages that nothing leads to */
};

/* A finding; see scn_check. */
typedef struct scn_issue {
    uint32_t struct_size;
    uint32_t kind;    /* SCN_ISSUE_SLOT ... */
    uint64_t page;    /* its number; 0 where it says nothing */
    uint64_t offset;  /* in the file */
    const char *text; /* a sentence, good during the call */
} scn_issue;

/* What scn_snapshot_to writes. */
enum {
    SCN_SNAPSHOT_FULL = 1,     /* a store */
    SCN_SNAPSHOT_INCREMENT = 2 /* what has changed since a snapshot */
};
enum { SCN_SNAPSHOT_UNNOTED = 1 }; /* flags */

/* A member that is 0 has its default. */
typedef struct scn_snapshot_options {
    uint32_t struct_size;
    uint32_t flags;            /* SCN_SNAPSHOT_UNNOTED: nothing can be based on it */
    uint64_t since_gen;        /* gen of an earlier snapshot: an increment on it; 0: a
                                * full one */
    uint64_t rate_bytes_per_s; /* no faster; 0: as fast as it goes, but slow enough to
                                * leave the disk to commits while there are any */
    scn_hooks hooks;           /* progress: bytes written, or of an increment read, and
                                * how many there may be; what is not 0 ends the call with
                                * SCN_INTERRUPTED */
    uint8_t since_id[16];      /* id of that snapshot; zeros: the newest of since_gen */
} scn_snapshot_options;

/* A snapshot, or the one that a store was made from. */
typedef struct scn_snapshot_info {
    uint32_t struct_size; /* set by the caller: no more is written */
    uint32_t kind;        /* SCN_SNAPSHOT_FULL ... */
    uint64_t gen;         /* number of the newest checkpoint of the source then */
    uint64_t lsn;         /* everything up to here is in it */
    uint64_t pages;       /* of a full one */
    uint64_t bytes;       /* that were written, or read */
    uint8_t uuid[16];     /* of the source */
    uint8_t digest[16];   /* full: of all rows, independent of their places; increment: of
                           * its bytes */
    uint8_t id[16];       /* random */
    uint8_t since_id[16]; /* increment: of the snapshot that it has to be applied to */
    uint64_t since_gen;
    uint64_t since_lsn;
    int64_t wall_ms;      /* when it was begun, since 1970 */
    uint64_t tables;
    uint64_t rows;        /* of an increment: that it holds */
    uint32_t is_noted;    /* 1: an increment can be based on it */
    uint32_t reserved;
} scn_snapshot_info;

/* A table of a snapshot; see scn_snapshot_tables. */
typedef struct scn_snapshot_table {
    uint32_t struct_size;
    uint32_t flags;       /* SCN_COMPRESS */
    const char *name;     /* good during the call */
    uint64_t rows;
    uint8_t digest[16];
} scn_snapshot_table;

/* ---- library ---- */

/* "0.1.0".  Static. */
const char *scn_version(void);
/* What a status means, in a few English words.  Static, never NULL. */
const char *scn_strerror(scn_status st);
/* 1 where the same work may succeed when it is begun anew without any other change:
 * SCN_BUSY, SCN_CONFLICT, SCN_SNAPSHOT_GONE, SCN_INTERRUPTED.  Else 0. */
int scn_is_retryable(scn_status st);
/* What the last call of this thread that failed had to say; a call that succeeds leaves
 * it as it is.  db is not looked at and may be NULL. */
void scn_last_error(const scn_db *db, scn_error *out);
/* Where all memory comes from, in the whole process: both functions, or NULL for both
 * (the C library).  They get user, may be called by any thread, and must not call the
 * library.  SCN_MISUSE once the library has taken memory: call it before the first
 * open. */
scn_status scn_set_allocator(void *(*alloc)(void *user, size_t size),
                             void (*dealloc)(void *user, void *block), void *user);
/* Gives back what scn_get_copy handed out.  NULL is fine. */
void scn_free(void *block);
/* XXH3-128 with seed 0 over size bytes; the low 8 bytes come first, little-endian. */
void scn_hash128(const void *data, size_t size, uint8_t out[16]);

/* ---- opening and closing ---- */

/* All defaults, and struct_size.  NULL is fine. */
void scn_options_init(scn_options *options);
/* Sets a member by its name (see scn_options; the member's own name is known too) from
 * text: amounts as whole numbers with a unit (B, KiB, MiB, GiB, TiB, KB, MB, GB, TB; ms,
 * s, m) or without (bytes, milliseconds); flags as 1, true, yes, 0, false or no.  Upper
 * and lower case are the same.  SCN_MISUSE: the sentence says what is allowed. */
scn_status scn_options_set(scn_options *options, const char *name, const char *value);

/* Opens a file, after creating it where it is absent, and brings it into order after a
 * crash.  ":memory:" is a new store without a file that vanishes with its handle.
 * options NULL: all defaults; the struct may go afterwards.  *db is the caller's until
 * scn_close; NULL after a failure.
 *
 * A file that this process has open already is shared by its handles: then SCN_RDONLY is
 * the only option that counts.
 *
 * SCN_NOTFOUND (it must not be created), SCN_BUSY (another process has it exclusively, or
 * has it while this one wants to be exclusive, or this one has it open for reading only),
 * SCN_NOTADB (an empty file, too), SCN_VERSION, SCN_CORRUPT (a damaged log, which
 * SCN_RDONLY opens up to the damage, or damaged pages that nothing can be read without),
 * SCN_NOT_LOCAL, SCN_READONLY, SCN_FULL, SCN_IO (the folder is absent, too), SCN_NOMEM,
 * SCN_MOVED (replaced meanwhile), SCN_POISONED (with SCN_RDONLY, beside others: what they
 * have committed was lost with a failed sync, which nobody has cured yet), SCN_MISUSE
 * (options).  A file that was refused is left as it was. */
scn_status scn_open(const char *path, const scn_options *options, scn_db **db);
/* Ends a handle; the last one of a file syncs what SCN_SYNC_LAZY left, stops the
 * background thread and frees everything.  Other threads must be done with the handle.
 * SCN_MISUSE while transactions begun with it are open, SCN_FORKED: the handle stays.
 * Otherwise the handle is gone: SCN_OK, or SCN_UNKNOWN when lazy commits of this process
 * may be lost, with the last sync or with one that failed before the file was cured.  A
 * checkpoint that fails here costs nothing and goes to the log hook. */
scn_status scn_close(scn_db *db);

/* ---- transactions ---- */

/* A snapshot of everything committed so far.  flags: SCN_READ (also 0) or SCN_WRITE,
 * either with SCN_SNAPSHOT.  *txn is the caller's until scn_commit or scn_abort; NULL
 * after a failure.  Waits for no commit and no checkpoint.  SCN_READONLY, SCN_FORKED,
 * SCN_NOMEM, SCN_MISUSE; SCN_IO, SCN_CORRUPT and SCN_POISONED where what other processes
 * have committed cannot be read. */
scn_status scn_begin(scn_db *db, uint32_t flags, scn_txn **txn);
/* Makes the transaction's writes visible and durable, all or none, then ends it: whatever
 * is returned the transaction, its cursors and the bytes it handed out are gone.  Two
 * exceptions leave it open: SCN_FORKED, and SCN_MISUSE inside scn_update for the very
 * transaction that the function was given.
 *
 * In a transaction begun with SCN_WRITE alone every read is checked: if what it was told
 * (values, absences, ranges scanned, counts) was changed by a later commit, the answer is
 * SCN_CONFLICT, so that commits are as if run one after the other.  A transaction that
 * wrote nothing commits without any check and without I/O.
 *
 * SCN_OK: done, as durable as was asked.  SCN_UNKNOWN: the record was written, or half
 * written, and its sync failed; the store is poisoned.  All others mean that nothing was
 * changed: SCN_CONFLICT, SCN_BUSY (the log stayed full, or another thread committed all
 * the time), SCN_FULL, SCN_TOOBIG (an scn_add out of bounds; too many range deletions,
 * additions or bulk runs for one record), SCN_MISUSE (an scn_add to a value that is no
 * counter; a commit inside scn_update), SCN_SNAPSHOT_GONE, SCN_POISONED, SCN_CORRUPT,
 * SCN_IO, SCN_NOMEM. */
scn_status scn_commit(scn_txn *txn);
/* The same, and the LSN of the commit, which is what scn_wait_durable asks for; of a
 * transaction that wrote nothing the LSN of its snapshot; after a failure it says
 * nothing.  lsn may be NULL. */
scn_status scn_commit_at(scn_txn *txn, uint64_t *lsn);
/* Ends the transaction without a trace.  NULL is fine, and so is a transaction that has
 * ended (see the top of this file); inside scn_update it does nothing. */
void scn_abort(scn_txn *txn);

/* The handle that the transaction was begun with; NULL when it has ended. */
scn_db *scn_txn_db(const scn_txn *txn);
/* The LSN of the snapshot: it holds the commits up to there.  0 when it has ended. */
uint64_t scn_txn_lsn(const scn_txn *txn);

/* A point to come back to: *savepoint is its number, 0 for the first.  SCN_MISUSE in a
 * transaction for reading, SCN_NOMEM. */
scn_status scn_savepoint(scn_txn *txn, uint32_t *savepoint);
/* Takes back the writes made since the savepoint, which stays; later savepoints are gone.
 * What was read since then still has to hold at commit.  SCN_MISUSE: no such
 * savepoint. */
scn_status scn_rollback_to(scn_txn *txn, uint32_t savepoint);

/* SCN_SYNC_FULL ... for this transaction alone.  SCN_MISUSE: unknown, or for reading. */
scn_status scn_set_durability(scn_txn *txn, uint32_t durability);
/* Waits until the commit with this LSN (scn_commit_at), of this process or another, and
 * all before it, survive a power cut.  timeout_ms 0 does not wait and answers SCN_BUSY
 * where they do not yet; with any other value the call syncs, or waits for the sync under
 * way, however long that takes.  SCN_UNKNOWN: a sync failed, or what other processes have
 * committed cannot be read; or the LSN is from before the file was recovered, or was
 * opened while nobody had it open, so that the commit may be there or not: read what it
 * wrote.  SCN_MISUSE: no commit has this LSN.  A store that is open for reading only
 * always answers SCN_OK. */
scn_status scn_wait_durable(scn_db *db, uint64_t lsn, int32_t timeout_ms);

/* fn is called when the transaction ends, in the thread that ends it, with the status and
 * the LSN that scn_commit_at would give; SCN_INTERRUPTED and 0 for scn_abort.  Several
 * are called in the order given.  The transaction counts as ended, no lock is held, and
 * fn may use the store; but scn_close still answers SCN_MISUSE there.  SCN_NOMEM,
 * SCN_MISUSE. */
scn_status scn_on_end(scn_txn *txn, void (*fn)(void *ctx, scn_status st, uint64_t lsn),
                      void *ctx);

/* Begins a transaction for writing, calls fn with it, and commits when fn returns SCN_OK;
 * whatever else fn returns aborts and is returned.  After a conflict all is done again,
 * so fn must not change anything but the transaction.  After three conflicts it runs with
 * the lock that all commits take, so that the fourth attempt gets through, unless fn
 * takes more than a second: then it is given up as SCN_BUSY.  Inside fn the thread must
 * not write or commit otherwise, nor call scn_checkpoint, scn_tick or scn_check
 * (SCN_MISUSE), and scn_commit and scn_abort are not for fn to call.  Statuses: those of
 * scn_begin and scn_commit, and what fn returns.
 *
 * Example: a job is taken by whoever comes first.
 *
 *     struct job {
 *         scn_table_id table;
 *         scn_slice name;
 *         scn_slice owner;
 *     };
 *
 *     static scn_status take(scn_txn *txn, void *ctx)
 *     {
 *         const struct job *job = (const struct job *)ctx;
 *         scn_status st = scn_get(txn, job->table, job->name, NULL);
 *         if (st != SCN_NOTFOUND)
 *             return st == SCN_OK ? SCN_EXISTS : st;
 *         return scn_put(txn, job->table, job->name, job->owner, 0);
 *     }
 *
 *     static scn_status take_job(scn_db *db, struct job *job)
 *     {
 *         return scn_update(db, take, job);
 *     }
 */
scn_status scn_update(scn_db *db, scn_status (*fn)(scn_txn *txn, void *ctx), void *ctx);

/* ---- tables ----
 *
 * Names have 1 to 255 bytes of UTF-8 (SCN_MISUSE, SCN_TOOBIG); those that begin with ~
 * are left to layers above the store.  A table id that does not exist in the snapshot is
 * SCN_NOTFOUND everywhere.  Beside the statuses named, all functions from here on may
 * answer SCN_CORRUPT, SCN_IO, SCN_NOMEM, SCN_MISUSE, SCN_FORKED and, where snapshots can
 * be given up (see SCN_SNAPSHOT_GONE), that; those that write also
 * SCN_FULL, SCN_BUSY and SCN_POISONED, since a large transaction writes to the file
 * before its commit.  A write that fails with one of these three, or with SCN_NOMEM,
 * SCN_IO or SCN_CORRUPT, may have been done in part: abort, or go back to a savepoint. */

/* The table with this name.  Where it is absent: SCN_NOTFOUND, or with SCN_CREATE it is
 * created by this transaction (SCN_MISUSE in one for reading).  SCN_COMPRESS only counts
 * for a table that is created here. */
scn_status scn_table(scn_txn *txn, const char *name, uint32_t flags, scn_table_id *id);
/* The table and its rows are gone with the commit.  Conflicts with whoever wrote to it
 * since the snapshot. */
scn_status scn_table_drop(scn_txn *txn, scn_table_id id);
/* All rows are gone with the commit; the table stays.  Costs the same whatever its size.
 * Conflicts as scn_table_drop. */
scn_status scn_table_clear(scn_txn *txn, scn_table_id id);
/* Another name, the same id.  SCN_EXISTS: another table has it. */
scn_status scn_table_rename(scn_txn *txn, scn_table_id id, const char *name);
/* Calls fn for each table in the order of the names; the name is good during the call.
 * fn may use the transaction.  What fn returns other than SCN_OK ends the walk and is
 * returned. */
scn_status scn_table_each(scn_txn *txn,
                          scn_status (*fn)(void *ctx, const char *name, scn_table_id id),
                          void *ctx);
/* The number of rows, exactly; it counts as a read of the whole table.  Costs a walk over
 * the rows written since the last checkpoint, or over all rows where the transaction is
 * so large that part of it is in the file already, or where a range deletion or another
 * large transaction is not merged yet. */
scn_status scn_table_count(scn_txn *txn, scn_table_id id, uint64_t *count);
/* Count and sizes.  Costs and reads what scn_table_count does. */
scn_status scn_table_info(scn_txn *txn, scn_table_id id, scn_table_stat *out);
/* An LSN that only changes when the table may have: the newest commit in the snapshot
 * that changed the table or, where there is none since the last checkpoint, the end of
 * that checkpoint.  The transaction's own writes do not count.  A read of the whole
 * table.  0: no such table, or a failure; after that a transaction whose reads have to
 * hold cannot commit. */
uint64_t scn_table_version(scn_txn *txn, scn_table_id id);

/* ---- reading ----
 *
 * Keys have 1 to 32768 bytes: SCN_MISUSE for an empty one, SCN_TOOBIG for a longer one.
 * All reads see the transaction's own writes.  In a transaction begun with SCN_WRITE
 * without SCN_SNAPSHOT they count for its commit (see there), whatever they answer. */

/* The value of a key, SCN_NOTFOUND.  value may be NULL to ask only whether it is
 * there. */
scn_status scn_get(scn_txn *txn, scn_table_id id, scn_slice key, scn_slice *value);
/* The same; flags SCN_UNTRACKED. */
scn_status scn_get_flags(scn_txn *txn, scn_table_id id, scn_slice key, uint32_t flags,
                         scn_slice *value);
/* count keys at once: values[i] and statuses[i] (SCN_OK, SCN_NOTFOUND) for keys[i].
 * Faster than one by one in a transaction that does not track its reads.  A failure is
 * returned, and the arrays are then of no use. */
scn_status scn_get_many(scn_txn *txn, scn_table_id id, const scn_slice *keys,
                        size_t count, scn_slice *values, scn_status *statuses);
/* The length of the value in bytes, without reading it.  SCN_NOTFOUND. */
scn_status scn_value_size(scn_txn *txn, scn_table_id id, scn_slice key, uint64_t *size);
/* Copies up to len bytes of the value from offset on into buf; *got tells how many, fewer
 * only at the end of the value.  Reads the pages it needs and no others.
 * SCN_NOTFOUND. */
scn_status scn_read_at(scn_txn *txn, scn_table_id id, scn_slice key, uint64_t offset,
                       void *buf, size_t len, size_t *got);

/* ---- writing ----
 *
 * Into the transaction, which must have been begun with SCN_WRITE (SCN_MISUSE).  Nothing
 * is locked. */

/* Sets the value of a key: 0 bytes to 1 GiB (SCN_TOOBIG).  flags: 0, or SCN_PUT_NEW
 * (SCN_EXISTS), SCN_PUT_BLIND or SCN_PUT_SAME.  Without a flag the commit conflicts with
 * whoever wrote the key since the snapshot; that of a transaction of more than half a
 * MiB, unless it only puts blindly there, with whoever wrote between its first key and
 * its last in the table. */
scn_status scn_put(scn_txn *txn, scn_table_id id, scn_slice key, scn_slice value,
                   uint32_t flags);
/* Adds delta to a counter: a value of 8 bytes, little-endian, signed; an absent key
 * counts as 0.  The sum is made at commit, on top of the newest commit, so that additions
 * of several transactions do not conflict.  scn_commit answers SCN_TOOBIG where the sum
 * would not lie in [min, max] and SCN_MISUSE where the value is no counter.  Where this
 * transaction has put the key itself, both are answered here.  To read the counter in
 * this transaction adds it up for the snapshot, with the same answers, and makes it
 * conflict with others' additions like any read. */
scn_status scn_add(scn_txn *txn, scn_table_id id, scn_slice key, int64_t delta,
                   int64_t min, int64_t max);
/* Deletes a row.  SCN_NOTFOUND: it was not there, which counts as a read. */
scn_status scn_del(scn_txn *txn, scn_table_id id, scn_slice key);
/* Deletes all keys with from <= key < to; an empty slice is no bound, and nothing is
 * deleted where from is not below to.  *removed tells how many; to count a large range
 * takes time, so removed may be NULL.  Conflicts with whoever wrote in the range since
 * the snapshot. */
scn_status scn_del_range(scn_txn *txn, scn_table_id id, scn_slice from, scn_slice to,
                         uint64_t *removed);

/* ---- one call ----
 *
 * Each is a transaction of its own, with the table by its name. */

/* A copy of the value, followed by a zero byte that *size does not count; scn_free gives
 * it back.  SCN_NOTFOUND: no such table or key. */
scn_status scn_get_copy(scn_db *db, const char *table, scn_slice key, void **value,
                        size_t *size);
/* Sets a value whatever was there, in a table that is created where it is absent.
 * Returns when the commit is as durable as the store's options say.  Statuses of
 * scn_commit, but conflicts, which it repeats; SCN_READONLY; SCN_MISUSE inside
 * scn_update. */
scn_status scn_put1(scn_db *db, const char *table, scn_slice key, scn_slice value);
/* Deletes a key; SCN_OK also where there was no such table or key.  As scn_put1. */
scn_status scn_del1(scn_db *db, const char *table, scn_slice key);

/* ---- cursors ----
 *
 * A cursor walks over the rows of one table in the order of memcmp on their keys, a
 * shorter key before the longer one that begins with it.  It sees all writes of its
 * transaction, also those made later.  It stands on the row it handed out last, which may
 * be deleted meanwhile; SCN_END does not move it.  A cursor that has not handed out a row
 * since it was opened, bounded or last sought in vain stands nowhere: scn_next then means
 * scn_first, scn_prev scn_last.
 *
 * key and value may be NULL where they are not wanted; values are then not read.  With
 * SCN_END and SCN_NOTFOUND both are empty.  A failure of a seek or a step sticks:
 * every later call answers it again, so that nothing is passed over unseen.
 *
 * What a cursor has been over counts as read: from where it was sought to the last key,
 * or to the bound where it answered SCN_END.
 *
 * Example: the newest ten rows below a prefix.
 *
 *     static scn_status newest(scn_txn *txn, scn_table_id id, scn_slice prefix,
 *                              void (*show)(scn_slice key, scn_slice value))
 *     {
 *         scn_cursor *cursor = NULL;
 *         scn_slice key;
 *         scn_slice value;
 *         scn_status st = scn_cursor_open(txn, id, &cursor);
 *         if (st == SCN_OK)
 *             st = scn_cursor_prefix(cursor, prefix);
 *         if (st == SCN_OK)
 *             st = scn_last(cursor, &key, &value);
 *         for (int i = 0; st == SCN_OK && i < 10; i++) {
 *             show(key, value);
 *             st = scn_prev(cursor, &key, &value);
 *         }
 *         scn_cursor_close(cursor);
 *         return st == SCN_END ? SCN_OK : st;
 *     }
 */

/* *cursor is the caller's until scn_cursor_close or the end of the transaction, which
 * closes what is still open: the handle must not be used after either. */
scn_status scn_cursor_open(scn_txn *txn, scn_table_id id, scn_cursor **cursor);
/* SCN_UNTRACKED or 0.  To be followed by a seek, scn_first or scn_last: only from there
 * on is it certain what is tracked. */
scn_status scn_cursor_flags(scn_cursor *cursor, uint32_t flags);
/* NULL is fine. */
void scn_cursor_close(scn_cursor *cursor);
/* Only keys with from <= key < to; NULL is no bound.  The cursor stands nowhere then.
 * After a failure bounds and place are what they were. */
scn_status scn_cursor_bounds(scn_cursor *cursor, const scn_slice *from,
                             const scn_slice *to);
/* Only keys that begin with the prefix; instead of bounds. */
scn_status scn_cursor_prefix(scn_cursor *cursor, scn_slice prefix);
/* The nearest row: op SCN_GE, SCN_GT: the first at or behind `at`; SCN_LE, SCN_LT: the
 * last at or before it; SCN_END where there is none.  SCN_EQ: the row with this key,
 * SCN_NOTFOUND, also for one outside the bounds.  Else a search from beyond a bound
 * begins at the bound.  `at` may be empty: before all keys. */
scn_status scn_seek(scn_cursor *cursor, scn_slice at, int op, scn_slice *key,
                    scn_slice *value);
/* The row behind, or before, the one it stands on.  SCN_END. */
scn_status scn_next(scn_cursor *cursor, scn_slice *key, scn_slice *value);
scn_status scn_prev(scn_cursor *cursor, scn_slice *key, scn_slice *value);
/* The first or last row in the bounds.  SCN_END: there is none. */
scn_status scn_first(scn_cursor *cursor, scn_slice *key, scn_slice *value);
scn_status scn_last(scn_cursor *cursor, scn_slice *key, scn_slice *value);

/* ---- care ---- */

/* Merges the log into the trees, and goes on while that makes the file shorter; reads and
 * commits go on meanwhile.  It need not be called: the background thread (or scn_tick)
 * does the merging when it is due.  SCN_READONLY, SCN_BUSY (another thread does it),
 * SCN_FULL, SCN_IO, SCN_CORRUPT, SCN_NOMEM: what was committed is as it was, and the call
 * can be repeated, unless a sync has failed: that poisons the store.  SCN_POISONED,
 * SCN_UNKNOWN (the sync of the log failed). */
scn_status scn_checkpoint(scn_db *db);

/* A member that is 0 has its default. */
typedef struct scn_compact_options {
    uint32_t struct_size;
    uint32_t budget_ms; /* no further step is begun after so long; no limit */
    uint64_t max_bytes; /* of pages to read and write at most; no limit */
    scn_hooks hooks;    /* progress: called after each step, with bytes of work; returns
                         * anything but 0 to end the compaction.  Inside it the thread may
                         * use the store, but not scn_compact */
} scn_compact_options;
/* Makes the file as short as what it holds: the tables' pages move to its front, and
 * pages that hold little else than garbage are emptied.  In steps of at most 64 MiB, each
 * of them a checkpoint; reads and commits go on, other processes need not know of it, and
 * a crash leaves whole what is stored.  NULL: no limits.  What open transactions for
 * reading still need stays.  SCN_END: a limit was reached and there is more to do; a
 * later call begins anew.  SCN_INTERRUPTED: progress said so.  SCN_READONLY, SCN_BUSY
 * (another thread or process checkpoints), SCN_FULL, SCN_IO, SCN_CORRUPT, SCN_NOMEM,
 * SCN_POISONED, SCN_UNKNOWN, SCN_MISUSE: as for scn_checkpoint; the steps that were done
 * stay done. */
scn_status scn_compact(scn_db *db, const scn_compact_options *options);
/* Looks for damage in the file, beside readers and writers: only checkpoints wait
 * meanwhile, and commits once the log is full.  SCN_CHECK_QUICK: superblocks, roots,
 * allocation state.  SCN_CHECK_ALL: every page of the newest generation and of bulk runs,
 * and the log; reads the whole file.  fn (NULL: none) is told each finding, whose text is
 * good during the call; what it returns other than SCN_OK ends the check and is returned.
 * Inside fn the thread must not call scn_checkpoint, scn_tick or scn_check, and where a
 * commit needs a checkpoint it is refused as well (SCN_MISUSE).  *issues (may be NULL) is
 * the number of findings.  The progress hook of the store's options is asked now and
 * then, with bytes that were read and those of the file; to it applies the same, and what
 * is not 0 ends the check with SCN_INTERRUPTED.  SCN_OK: the check ran, whatever it
 * found.  SCN_MISUSE, SCN_BUSY (a checkpoint takes longer than busy_timeout), SCN_IO,
 * SCN_NOMEM; SCN_POISONED and SCN_CORRUPT where what other processes have done cannot be
 * read or settled. */
scn_status scn_check(scn_db *db, int level,
                     scn_status (*fn)(void *ctx, const scn_issue *issue), void *ctx,
                     uint64_t *issues);

/* ---- snapshots ----
 *
 * A snapshot is everything that one transaction for reading would see, written to a
 * descriptor while others read and write.  A full one is a store of its own: compact,
 * with an empty log and a new identity, to be opened like any other.  An increment holds
 * what has changed since an earlier snapshot of the same store; it is applied to that
 * one, or to what that one has become by increments, which makes it the newer one.
 *
 * The store notes each snapshot that was taken through a handle for writing, in a small
 * commit of its own, after it was written.  Only by such a note it is certain that the
 * earlier snapshot lies in the past of this very file, and not of a copy of it, or of one
 * that lost its last commits in a power cut. */

/* Writes a snapshot to fd, which stays the caller's, from where fd stands.  fd may be a
 * pipe; then a full one is read twice, and SIGPIPE is the program's affair.  It must not
 * be a store that somebody has open.  A file is synced, its name is not; whatever
 * fails, what is there is neither a store nor an increment, or it is what was there
 * before.  With max_snapshot_age the snapshot may be given up like any other
 * (SCN_SNAPSHOT_GONE).  Of a file with a damaged log, which can only be opened with
 * SCN_RDONLY, it holds what lies before the damage: scn_health tells.  options and info
 * may be NULL.  SCN_NOTFOUND: no snapshot of since_gen (and since_id) is noted.  SCN_FULL
 * and SCN_IO (fd or the store), SCN_CORRUPT, SCN_NOMEM, SCN_INTERRUPTED (the progress
 * hook), SCN_SNAPSHOT_GONE, SCN_MISUSE (inside scn_update, or a since_id without
 * since_gen), and statuses of scn_begin. */
scn_status scn_snapshot_to(scn_db *db, int fd, const scn_snapshot_options *options,
                           scn_snapshot_info *info);
/* Applies the increment in fd, read from where it stands, to a store that is its base: in
 * one transaction, so it is there as a whole and durable, or not at all.  options and
 * info may be NULL: of the options only the hooks count, and info tells of the increment,
 * and rows and digest of the store that it has made.  SCN_EXISTS: the store has this
 * increment already.  SCN_MISUSE: it belongs to another base, or others come before it.
 * SCN_NOTADB: it is no increment.  SCN_VERSION, SCN_CORRUPT (the increment or the base,
 * which also may have been changed since), SCN_INTERRUPTED (the progress hook; nothing is
 * applied), and statuses of scn_commit. */
scn_status scn_snapshot_apply(scn_db *db, int fd, const scn_snapshot_options *options,
                              scn_snapshot_info *info);
/* Reads the increment in fd to its end, and judges all of it.  As scn_snapshot_apply. */
scn_status scn_snapshot_verify(int fd, const scn_snapshot_options *options,
                               scn_snapshot_info *info);
/* The snapshot that a store was made from, with its digest then.  A program that compares
 * it with what the rows give now knows whether they are the same.  SCN_NOTFOUND. */
scn_status scn_snapshot_origin(scn_db *db, scn_snapshot_info *info);
/* Calls fn for each table of such a store that was in the snapshot, by id, with what it
 * held then.  What fn returns other than SCN_OK ends the walk and is returned. */
scn_status scn_snapshot_tables(scn_db *db,
                               scn_status (*fn)(void *ctx,
                                                const scn_snapshot_table *table),
                               void *ctx);

/* Both take well under a millisecond and wait for nobody's lock or sync; but scn_stats
 * counts the tables, about a millisecond for a thousand, as of what others have committed
 * by now.  SCN_MISUSE, SCN_FORKED. */
scn_status scn_stats(scn_db *db, scn_stats_t *out);
/* SCN_MOVED, with all of the result filled in: the path no longer leads to the open file.
 * All other calls go on with that file, though it may be nobody else's any more.  Of a
 * relative path only the end of the file's last name is told: the program may have gone
 * to another folder.  The same with SCN_IO or SCN_READONLY: the path cannot be looked
 * at. */
scn_status scn_health(scn_db *db, scn_health_t *out);
/* The open transactions of this process, as they were when the call began, and what other
 * processes hold (a process whose last transaction ended a moment ago may still be among
 * them); fn may use the store.  To find out who they are takes milliseconds.  What fn
 * returns other than SCN_OK ends the walk and is returned. */
scn_status scn_readers_each(scn_db *db,
                            scn_status (*fn)(void *ctx, const scn_reader *reader),
                            void *ctx);
/* The background work by hand: the sync of lazy commits, checkpoints that are due, room
 * in the log.  At least one step, then more until budget_ms have passed; a step may take
 * longer.  Needed where the store was opened with SCN_NOTHREAD, about every
 * lazy_interval_ms.  Statuses of scn_checkpoint; SCN_UNKNOWN also, once, where the file
 * was cured before lazy commits of this process were synced, which may be lost.  Where
 * the store is open for reading only there is less to do: a process without a transaction
 * gives back the pages that it still holds. */
scn_status scn_tick(scn_db *db, uint32_t budget_ms);

/* ---- locks for the program ---- */

/* A lock for the program's own use: one holder among all threads and processes that have
 * the store open, until scn_lock_drop, the end of the process, or the last scn_close.
 * Never waits: SCN_BUSY, which in one of a million cases means another name.  name: 1 to
 * 255 bytes.  SCN_READONLY in a store that is open for reading only, SCN_IO,
 * SCN_NOMEM. */
scn_status scn_lock_try(scn_db *db, const char *name, scn_lock **lock);
/* By any thread.  NULL is fine.  Also needed after the store was closed, to free the
 * handle. */
void scn_lock_drop(scn_lock *lock);

#ifdef __cplusplus
}
#endif

#endif
