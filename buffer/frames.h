/* The frames of a pool: which is used for what, and which is given away next.
 *
 *     untouched --take--> FILLING --show--> RESIDENT --CLOCK--> LIMBO --take--> FILLING
 *                            |                 |  ^--rescue-------|^
 *                            |                 +------retire-------+|
 *                            +------------------give_back-----------+
 *
 * RESIDENT: an entry of the translation array leads to the frame.  LIMBO: no reader that
 * enters from now on can get it; it waits, first in first out, until those who may still
 * look at it have left.  While it waits, its entry (marked POOL_LIMBO) remembers it, and
 * a load of that page rescues it without I/O; so the waiting room is not lost to the
 * cache.  A retired frame waits without an entry: its page was replaced or forgotten.
 *
 * Everything is under the pool's mutex, but for the pages (FILLING: the one who took it;
 * RESIDENT and LIMBO: nobody writes), the entries, `referenced` and `epoch`. */
#ifndef BUFFER_FRAMES_H
#define BUFFER_FRAMES_H

#include "buffer/pool.h"
#include "buffer/readers.h"

#define FRAME_NONE UINT32_MAX

enum frame_state { FRAME_UNTOUCHED, FRAME_FILLING, FRAME_RESIDENT, FRAME_LIMBO };

struct frame {
    _Atomic uint64_t *entry; /* RESIDENT, LIMBO: the entry that names it; or NULL */
    uint64_t stamp;          /* LIMBO: the epoch in which it was unlinked */
    uint32_t next;           /* LIMBO: the queue */
    uint32_t prev;
    enum frame_state state;
};

struct frames {
    uint8_t *region;
    struct frame *all;
    atomic_uchar *referenced;
    uint32_t count;        /* const */
    uint32_t touched;      /* frames from here on were never used */
    uint32_t hand;         /* CLOCK */
    uint32_t limbo_first;  /* oldest stamp */
    uint32_t limbo_last;
    uint32_t limbo_count;
    uint32_t limbo_target; /* const: frames to unlink ahead of need */
    uint64_t evictions;
    /* Written at each unlinking, read at each pool_enter: on a line of its own. */
    uint8_t pad_before[64];
    _Atomic uint64_t epoch;
    uint8_t pad_after[64];
};

/* SCN_NOMEM; frames_close is then still right. */
scn_status frames_open(struct frames *frames, uint32_t count) MUST_USE;
/* Fine on zeroed memory. */
void frames_close(struct frames *frames);

/* A FILLING frame, unlinking others ahead of the next take; FRAME_NONE: none can be had
 * now. */
uint32_t frames_take(struct frames *frames, const struct readers *readers) MUST_USE;
/* The same without driving a page out for good, except with may_replace. */
uint32_t frames_take_spare(struct frames *frames, const struct readers *readers,
                           bool may_replace) MUST_USE;
/* FILLING -> RESIDENT under an entry that is 0. */
void frames_show(struct frames *frames, uint32_t no, _Atomic uint64_t *entry,
                 uint64_t tag);
/* FILLING -> first in limbo, as nobody has seen it. */
void frames_give_back(struct frames *frames, uint32_t no);
/* LIMBO with an entry -> RESIDENT. */
void frames_rescue(struct frames *frames, uint32_t no);
/* Whatever an entry names, if anything, is forgotten; the entry is 0 then. */
void frames_retire(struct frames *frames, _Atomic uint64_t *entry);

static inline uint8_t *frames_page(const struct frames *frames, uint32_t no)
{
    return frames->region + (size_t)no * PAGE_BYTES;
}

#endif
