/* Inside an open log: what the files of wal/ that make it up share.
 *
 *     wal/log.c       creating, appending, extents
 *     wal/durable.c   syncs
 *     wal/follow.c    reading what others have appended
 *
 * Who appends or follows holds the caller's lock for that (wal/log.h, "Locking"). */
#ifndef WAL_LOGSTATE_H
#define WAL_LOGSTATE_H

#include "wal/chain.h"
#include "wal/group.h"
#include "wal/log.h"
#include "wal/walk.h"

struct log {
    struct file *file;      /* const */
    struct locks *locks;    /* const */
    uint8_t uuid[16];       /* const */
    struct log_base at;     /* apply: where the next record goes */
    bool has_new_epoch;     /* apply: the next record begins it */
    /* The session's, of all records from new_lsn on; written under apply. */
    _Atomic uint64_t new_epoch;
    _Atomic uint64_t new_lsn;
    struct log_walk walk;   /* apply: of who follows; opened when it is needed */
    uint8_t *raw;           /* apply: a payload of a record met there */
    _Atomic uint64_t epoch; /* at.epoch for those without the lock */
    struct log_chain chain; /* has its own mutex */
    struct log_group group; /* has its own mutex */
    uint8_t *piece;         /* sync lock; a whole extent */
    uint64_t piece_lsn;     /* sync lock; no record of the piece is older */
    uint64_t sync_ns;       /* the group's leader: what its syncs take, on average */
};

static inline uint64_t log_place_off(const struct log_base *at)
{
    return extent_file_off(at->extent_pgno) + at->extent_off;
}

static inline struct log_point log_point_of(const struct log_base *at)
{
    return (struct log_point){
        .lsn = at->lsn,
        .extent_number = at->extent_number,
        .file_off = log_place_off(at),
    };
}

/* The log now ends at `at`. */
void log_advance(struct log *log, const struct log_base *at);

#endif
