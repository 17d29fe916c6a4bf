/* The publish page (page 2): what processes tell each other.
 *
 * Five lines, each in two self-checksummed copies with a sequence number, each line but
 * POISON written only under its own lock: the writer overwrites the copy that it did not
 * write last (copy sequence & 1), with a sequence one higher.  A reader takes the copy
 * with the higher valid sequence: whatever it meets while a copy is half written, it gets
 * a value that is no older than when the read began.  Every field but FREE_PAGES only
 * grows within an epoch.  Byte table in docs/format.md, "Publish page".
 *
 * [U1] The page is never synced and nothing on it survives a power cut: who is alone
 *      writes all lines anew, SESSION last, before anybody else comes in.  While somebody
 *      is attached, what verifies and bears the session's epoch is true.
 * [U2] A line is written after what it tells has happened: the record is in the log, the
 *      sync has returned, the superblock is durable.
 * [U3] POISON is only ever set, by anybody, both copies with the same bytes; and only for
 *      the session that the page names: poison of one that is over would hide that of the
 *      one that has begun.
 *
 * Any thread. */
#ifndef PAGE_PUBLISH_H
#define PAGE_PUBLISH_H

#include "page/file.h"

enum publish_line {
    PUBLISH_APPEND,     /* under APPEND */
    PUBLISH_SYNC,       /* under SYNC */
    PUBLISH_CHECKPOINT, /* under CHECKPOINT */
    PUBLISH_POISON,     /* [U3] */
    PUBLISH_SESSION,    /* by who is alone, or holds GATE, CHECKPOINT, APPEND and SYNC */
    PUBLISH_LINE_COUNT
};

/* Which field of a line means what. */
enum {
    PUBLISH_FIELD_COUNT = 8,
    /* APPEND: the log's end as its last writer left it */
    APPEND_LSN = 0,       /* end of the last record */
    APPEND_EXTENT = 1,    /* number of the extent where that lies */
    APPEND_OFF = 2,       /* ... and its offset in the file */
    APPEND_LAZY_LSN = 3,  /* lazy commits are visible up to here */
    APPEND_FULL_LSN = 4,  /* end of the newest commit that waits for a sync */
    /* SYNC: the same three of what is durable */
    SYNC_LSN = 0,
    SYNC_EXTENT = 1,
    SYNC_OFF = 2,
    /* CHECKPOINT */
    CHECKPOINT_GEN = 0,
    CHECKPOINT_BASE_LSN = 1,
    CHECKPOINT_GONE_FLOOR = 2, /* snapshots of older generations are given up */
    CHECKPOINT_DROPPING = 3,   /* the newest that gives spare extents up: above GEN it may
                                * have died between its superblock and this line */
    CHECKPOINT_FREE_PAGES = 4, /* of the file, when GEN was told of, and one more; 0:
                                * nobody has counted them */
    /* SESSION: its epoch is the line's */
    SESSION_START_LSN = 0, /* LSNs of the session are not below it */
    SESSION_FOUND_LSN = 1, /* end of the log when the session began */
    SESSION_NEXT_GEN = 2,  /* generations made in the session are not below it */
    SESSION_BOOT_ID = 3    /* of the machine; 16 bytes, in two fields */
};

enum {
    PUBLISH_COPY_BYTES = 128,
    PUBLISH_BYTES = PUBLISH_LINE_COUNT * 2 * PUBLISH_COPY_BYTES
};

struct publish_value {
    uint64_t epoch;
    uint64_t sequence; /* 0: the line says nothing */
    uint64_t field[PUBLISH_FIELD_COUNT];
};

/* All lines as one read found them. */
struct publish {
    struct publish_value line[PUBLISH_LINE_COUNT];
};

void publish_encode(enum publish_line line, const struct publish_value *value,
                    uint8_t copy[PUBLISH_COPY_BYTES]);
/* False, and *out untouched, unless the copy is whole and belongs to this line. */
bool publish_decode(enum publish_line line, const uint8_t copy[PUBLISH_COPY_BYTES],
                    struct publish_value *out);
/* Where a copy (0 or 1) lies in the page. */
static inline uint32_t publish_off(enum publish_line line, uint32_t copy_idx)
{
    return ((uint32_t)line * 2 + copy_idx) * PUBLISH_COPY_BYTES;
}

/* One read; more only where it met a copy that is half written.  A line without a valid
 * copy has sequence 0.  SCN_IO; SCN_CORRUPT where the file ends before the page. */
scn_status publish_read(struct file *file, struct publish *out) MUST_USE;
/* What a read found last, for a reader who mostly finds the same again: then nothing has
 * to be verified anew.  One thread at a time. */
struct publish_seen {
    uint8_t image[PUBLISH_BYTES]; /* as it lay in the file; zeros at first */
    struct publish value;
};
/* publish_read in two halves: the bytes, by any thread; then what they say.  SCN_END: one
 * of them was half written, read again. */
scn_status publish_fetch(struct file *file, uint8_t image[PUBLISH_BYTES]) MUST_USE;
scn_status publish_recall(struct publish_seen *seen, const uint8_t image[PUBLISH_BYTES],
                          struct publish *out) MUST_USE;
/* Under the line's lock, and not for POISON: writes value->epoch and the fields with the
 * sequence behind value->sequence, which is what was read last under this lock, and sets
 * that.  Failure poisons: others do not learn what they have to.  SCN_POISONED,
 * SCN_IO. */
scn_status publish_write(struct file *file, enum publish_line line,
                         struct publish_value *value) MUST_USE;
/* [U3] Nothing, where another session has begun.  Also through a poisoned file, unless it
 * is no longer ours; failure is of no matter, and the last error stays.  It takes the
 * place of an older session's poison.  Waits for who poisons at this moment. */
void publish_poison(struct file *file, uint64_t epoch);

#endif
