/* The fault simulator: computers whose disk, power and luck belong to the test.
 *
 *     struct sim_disk *disk = sim_disk_create(seed);
 *     struct sys *sys = sim_process_create(disk);     one simulated process
 *     ... open stores through sys ...
 *     sim_process_kill(sys);                          its locks are free, its calls fail
 *     struct sim_choice all = {.keep = SIM_KEEP_ALL};
 *     struct sim_disk *after = sim_crash(disk, &all);
 *
 * What the model of the disk promises and what it does not is in test/sim/medium.h.
 * Several processes share one disk; locks are between handles, like Linux's OFD locks.
 * Calls of several threads are safe.  Threads, mutexes and conditions are those of
 * sys_posix(), or coroutines where the disk has a scheduler (test/sim/sched.h).
 *
 * Time belongs to the disk and is shared by its processes.  It stands still, but for a
 * microsecond a look at the clock, and a wait with a deadline that nobody ends moves it
 * there. Randomness comes from the seed.  So a run with one thread repeats itself
 * exactly. */
#ifndef TEST_SIM_DISK_H
#define TEST_SIM_DISK_H

#include "page/sys.h"

struct sim_disk;

enum sim_call {
    SIM_OPEN,
    SIM_STAT, /* by path or handle */
    SIM_READ,
    SIM_WRITE,
    SIM_DSYNC, /* a write with SYS_DSYNC */
    SIM_SYNC,
    SIM_FLUSH,
    SIM_TRUNCATE,
    SIM_RENAME,
    SIM_LINK,
    SIM_UNLINK,
    SIM_SYNC_DIR,
    SIM_LOCK,
    SIM_PROBE,
    SIM_RANDOM,
    SIM_FREE_BYTES,
    SIM_THREAD_START,
    SIM_MUTEX_CREATE,
    SIM_COND_CREATE,
    SIM_CALL_COUNT,
    SIM_ANY = SIM_CALL_COUNT /* in a fault: the n-th call of whatever kind */
};

/* ---- disks ---- */

struct sim_disk *sim_disk_create(uint64_t seed);
/* Files with all that is pending; no process, no lock.  In the same boot of the machine.
 * */
struct sim_disk *sim_disk_copy(struct sim_disk *disk);
/* After its processes are destroyed. */
void sim_disk_destroy(struct sim_disk *disk);

/* Growth beyond it is ENOSPC; 0: none. */
void sim_disk_set_capacity(struct sim_disk *disk, uint64_t bytes);
void sim_disk_set_lying_locks(struct sim_disk *disk, bool are_lying);
/* Files without a name; it has them unless told otherwise. */
void sim_disk_set_unnamed(struct sim_disk *disk, bool has_unnamed);
/* One thread uses it: what it waits for never comes, so waits end at once. */
void sim_disk_set_alone(struct sim_disk *disk, bool is_alone);
void sim_disk_add_folder(struct sim_disk *disk, const char *path);
/* Clean pages leave the cache: where a failed sync lost bytes, reads now see the old
 * ones. */
void sim_disk_evict(struct sim_disk *disk);
void sim_clock_set(struct sim_disk *disk, uint64_t ns);
uint64_t sim_clock_ns(struct sim_disk *disk);

/* The bytes of a file, without a process and without events.  False: no such file, or not
 * that long. sim_rot changes what is there (flip a bit, age a page); sim_put_file makes a
 * file of exactly these bytes, durable at once. */
bool sim_file_size(struct sim_disk *disk, const char *path, uint64_t *size);
bool sim_peek(struct sim_disk *disk, const char *path, uint64_t off, void *buf,
              uint64_t len);
bool sim_rot(struct sim_disk *disk, const char *path, uint64_t off, const void *buf,
             uint64_t len);
void sim_put_file(struct sim_disk *disk, const char *path, const void *bytes,
                  uint64_t len);

/* How many names of files and folders there are. */
uint64_t sim_name_count(struct sim_disk *disk);

/* The number by which a process adopts a file as a descriptor of its host's; the file is
 * made where it is absent. A stream stands at its first byte and cannot be sought. */
int sim_fd(struct sim_disk *disk, const char *path, bool is_stream);

/* ---- power cuts ---- */

enum sim_keep {
    SIM_KEEP_NONE,
    SIM_KEEP_ALL,
    SIM_KEEP_PREFIX,  /* the first n pending changes */
    SIM_KEEP_ALL_BUT, /* all but number n */
    SIM_KEEP_ONLY,    /* only number n */
    SIM_KEEP_RANDOM,  /* n is a seed */
    SIM_KEEP_TORN,    /* n is a seed; some of the sectors that stay are torn */
    SIM_KEEP_SUBSET   /* change number i if bit i of n is set; the first 64 */
};

struct sim_choice {
    enum sim_keep keep;
    bool by_call; /* count the changes of one call as one; else each sector, size, name */
    uint64_t n;
    bool has_garbage; /* what a file has grown by shows anything, not zeros (seed: n) */
};

/* How many changes are pending: the bound of n. */
uint64_t sim_pending(struct sim_disk *disk, bool by_call);
/* The disk after a power cut and the next boot.  The old disk is unchanged. */
struct sim_disk *sim_crash(struct sim_disk *disk, const struct sim_choice *choice);
/* Of names and bytes: equal disks have equal hashes. */
uint64_t sim_hash(struct sim_disk *disk);

/* Hashes that were seen before. */
struct sim_seen;
struct sim_seen *sim_seen_create(void);
void sim_seen_destroy(struct sim_seen *seen);
/* True when the hash is new; it is not any more. */
bool sim_seen_add(struct sim_seen *seen, uint64_t hash);

struct sim_plan {
    bool by_sector;          /* each sector is a change; calls are looked at as well */
    bool has_garbage;        /* torn choices, and one that keeps all, show garbage */
    uint32_t exhaustive_max; /* of up to so many changes every subset is taken */
    uint64_t change_max;     /* of more changes, that many are taken, evenly; 0: all */
    uint32_t random_count;   /* so many seeds, each without and with torn sectors */
    uint64_t seed;
    uint64_t salt;           /* equal disks with different salts are different */
    struct sim_seen *seen;   /* NULL: equal disks are left out within this call only */
};
typedef void (*sim_crash_fn)(void *ctx, struct sim_disk *crashed,
                             const struct sim_choice *choice);
/* Each different disk that a power cut now could leave, by every kind of choice.  fn
 * borrows it.  How many they were. */
uint64_t sim_each_crash(struct sim_disk *disk, const struct sim_plan *plan,
                        sim_crash_fn fn, void *ctx);

/* ---- processes ---- */

struct sys *sim_process_create(struct sim_disk *disk);
/* The process is gone: its locks are free and each call fails with EIO and does nothing.
 * The test may then close its stores to free their memory. */
void sim_process_kill(struct sys *sys);
/* After the last close; files still open are closed. */
void sim_process_destroy(struct sys *sys);
void sim_process_set_forked(struct sys *sys, bool is_forked);
bool sim_process_is_dead(struct sys *sys);
uint32_t sim_process_open_files(struct sys *sys);

/* ---- faults ---- */

enum sim_fault_kind {
    /* -error.  A write has written `len` bytes before.  A failed sync or DSYNC write
     * leaves its bytes readable, clean, and not durable [S3]; `bit` is a seed by which
     * some of them have reached the disk, 0: none. */
    SIM_FAIL = 1,
    /* A read or write moves only `len` bytes (0: half); other calls are untouched. */
    SIM_SHORT,
    /* A read gives `bit` (modulo its length) flipped. */
    SIM_FLIP,
    /* The process dies in this call; a write has written `len` bytes before. */
    SIM_KILL
};

struct sim_fault {
    enum sim_fault_kind kind;
    enum sim_call call;
    uint64_t nth;    /* counted from 1, from now on */
    bool is_forever; /* the nth and all later ones */
    int error;
    uint64_t len;
    uint64_t bit;
};

/* Up to 8 at a time; a fault that is not forever is spent when it struck. */
void sim_fault_set(struct sys *sys, const struct sim_fault *fault);
void sim_fault_clear(struct sys *sys);
/* How often a fault of this process struck since sim_fault_clear. */
uint64_t sim_fault_hits(struct sys *sys);
/* Calls so far: run once without faults, then fail each. */
uint64_t sim_call_count(struct sys *sys, enum sim_call call);

/* ---- hooks ---- */

enum sim_moment {
    SIM_BEFORE_SYNC, /* SIM_SYNC, SIM_DSYNC, SIM_SYNC_DIR: written, not yet durable */
    SIM_AFTER,       /* the call has done its work */
    SIM_KILLED       /* the process died in this call, which may have done part of it */
};
/* Called by the thread that makes the call, of all processes; it may use the disk. */
typedef void (*sim_hook_fn)(void *ctx, struct sim_disk *disk, enum sim_call call,
                            enum sim_moment moment);
void sim_hook_set(struct sim_disk *disk, sim_hook_fn fn, void *ctx);

#endif
