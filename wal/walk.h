/* A walk along the log: from a place, record by record, for as long as they chain.
 *
 * A record is believed when its header is possible, its lsn and epoch are those of the
 * place (or it is an EPOCH or EXTENT record that says it stood there, [R4]), its prev_crc
 * is the CRC of the record before, and its CRC is right.  An EXTENT record is believed
 * together with the header of the extent it leads to.  So stale bytes of a recycled
 * extent never pass: with a fitting lsn and epoch they would still have to chain.
 *
 * The walk ends; each step moves forward in an extent, and each extent has a number one
 * higher than the one before, while a page can bear only one number.
 *
 * A walk reads whole extents, for those who look behind the end as well.  With `follows`
 * it reads no more than it needs, from the page cache, and again in each call: the log
 * grows meanwhile.
 *
 * Internal to wal/.  One thread a walk. */
#ifndef WAL_WALK_H
#define WAL_WALK_H

#include "page/superblock.h"
#include "wal/extent.h"
#include "wal/log.h"

struct log_walk {
    struct file *file;
    uint8_t uuid[16];
    uint32_t read_flags;
    void *block;     /* owned: room for extent and head */
    uint8_t *extent; /* bytes of the extent read last */
    uint32_t extent_len;
    uint32_t extent_pgno; /* 0: none read */
    bool follows;
    uint32_t window_from; /* follows: these bytes of the extent are read */
    uint32_t window_end;
    uint32_t window_next; /* follows: so many bytes are read at once next time */
    uint8_t *head;        /* the head of the extent looked at last */
    uint64_t start_lsn;   /* of the extent entered last */
    bool has_bad_head;    /* the header of the base's extent is damaged */
    bool leads_outside;   /* the last record leads to an extent behind the file's end */
    struct log_base at;   /* the place of the next record */

    /* The record found last. */
    struct record record;
    struct log_base from;
    uint64_t file_off;
    const uint8_t *stored;  /* stored_len bytes, good until the next step */
    struct log_extent next; /* EXTENT: where it leads */
};

/* Only takes memory.  SCN_NOMEM. */
scn_status log_walk_open(struct log_walk *walk, struct file *file, const uint8_t uuid[16],
                         const struct log_base *base, bool uncached) MUST_USE;
/* An opened or zeroed walk. */
void log_walk_close(struct log_walk *walk);

/* One record on.  At the end *found is false, nothing has moved, and *why says in a
 * static sentence why there is no record; the extent of the end has been read if it lies
 * in the file (extent_pgno == at.extent_pgno).  SCN_IO. */
scn_status log_walk_next(struct log_walk *walk, bool *found, const char **why) MUST_USE;

/* The same for a walk that follows.  What looks like the end is not read a second time.
 */
scn_status log_walk_follow(struct log_walk *walk, bool *found) MUST_USE;
/* What was read before counts no more.  is_short: most likely there is nothing. */
void log_walk_refresh(struct log_walk *walk, bool is_short);

/* The record found last, as its visitor sees it; the payload is to be unpacked. */
void log_walk_describe(const struct log_walk *walk, struct log_visit *visit);

/* Reads the extent of the place, unless it is the one read last.  *is_possible: the place
 * lies in the file. SCN_IO. */
scn_status log_walk_enter(struct log_walk *walk, bool *is_possible) MUST_USE;

/* Reads any extent that lies in the file, replacing the one read last. */
scn_status log_walk_read(struct log_walk *walk, uint32_t pgno, uint32_t pages) MUST_USE;

#endif
