/* Group commit: one sync for everybody who waits.
 *
 * Whoever needs durability and finds no sync under way leads: it waits for company if it
 * wants to, syncs all that is appended at that moment, and wakes the others.  Whoever
 * finds a sync under way waits for its end; if that sync began too early to cover it, it
 * leads the next one, and the commits that came meanwhile ride along.
 *
 *     IDLE --lead--> GATHERING --window over, or somebody in a hurry--> SYNCING --> IDLE
 *                                                                          `-----> FAILED
 *
 * [Q1] synced only takes values that `appended` had before the sync began; here, or in
 *      the process that synced.  It may be ahead of what this process has appended or
 *      read.
 * [Q2] After a failure nobody leads again [L4]: what is not synced has an unknown fate.
 * [Q3] Nobody waits for a thread that is not running: a leader always comes back, and so
 *      does who reads the log anew.
 *
 * Any thread.  Internal to wal/. */
#ifndef WAL_GROUP_H
#define WAL_GROUP_H

#include "page/sys.h"

#include <stdatomic.h>

/* A position in the log, and where it lies. */
struct log_point {
    uint64_t lsn;
    uint64_t extent_number;
    uint64_t file_off;
};

/* How `appended` came to be where it is: who waits may wait for what is behind it. */
enum log_group_place {
    LOG_PLACE_KNOWN, /* all that this process has appended lies before it */
    LOG_PLACE_ANEW,  /* it went back, and a thread is reading on from there */
    LOG_PLACE_LOST   /* ... and could not */
};

struct log_group {
    struct sys *sys;
    struct sys_mutex *mutex;
    struct sys_cond *cond;
    struct log_point appended; /* mutex */
    struct log_point synced;   /* mutex */
    enum log_group_place place; /* mutex; written by who reads the log */
    uint64_t session;          /* mutex; that these belong to, once others can come */
    uint64_t led_session;      /* the leader's; that of the points it was given */
    bool is_leading;           /* mutex */
    bool is_hurried;           /* mutex */
    bool has_failed;           /* mutex */
    _Atomic uint64_t life;     /* written under the mutex; sessions so far */
    /* The same for those who only look; written under the mutex. */
    _Atomic uint64_t appended_lsn;
    _Atomic uint64_t synced_lsn;
};

/* Makes [from, to) durable, and perhaps more: then it moves *to.  Called by one thread at
 * a time, without the mutex. */
typedef scn_status (*log_group_sync_fn)(void *ctx, const struct log_point *from,
                                        struct log_point *to);

scn_status log_group_init(struct log_group *group, struct sys *sys,
                          const struct log_point *appended,
                          const struct log_point *synced) MUST_USE;
/* An initialised or zeroed group that nobody waits in. */
void log_group_destroy(struct log_group *group);

/* Under the append lock: the log has grown. */
void log_group_append(struct log_group *group, const struct log_point *point);
void log_group_synced(struct log_group *group, struct log_point *out);
/* All that is appended up to the point is known to be durable. */
void log_group_settle(struct log_group *group, const struct log_point *point);
/* The log goes on from another place, up to which it is durable.  A new life: who waits
 * learns that the outcome is not known, and a failure is forgotten. */
void log_group_restart(struct log_group *group, const struct log_point *point,
                       uint64_t session, bool is_new_life);
/* By who reads the log: before it goes back, and when it has read on. */
void log_group_set_place(struct log_group *group, enum log_group_place place);
/* SCN_OK: durable up to lsn.  SCN_UNKNOWN: it never will be known, or the place where it
 * lies is lost.  SCN_MISUSE: lsn is not appended. */
scn_status log_group_wait(struct log_group *group, uint64_t lsn, uint32_t window_ms,
                          log_group_sync_fn sync, void *ctx) MUST_USE;

#endif
