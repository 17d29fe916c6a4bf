/* Frames: CLOCK, limbo, and why a frame is never taken from under a reader [B3].
 *
 * The idea is that of epochs.  A reader announces the number of the epoch in which it
 * entered, on a cache line of its own.  Who unlinks a frame stamps it with the current
 * epoch and begins the next.  The frame may be taken when every announced epoch is 0 or
 * greater than the stamp and no reader holds it.  The steps, each a seq_cst operation but
 * for r4 and r5, which are releases:
 *
 *     reader R                               unlinking, then taking frame f with stamp s
 *  r1  e = epoch                          u1  entry = 0, or marked POOL_LIMBO
 *  r2  R.epoch = e                        u2  s = epoch, epoch = s + 1
 *  r3  reads the entry, uses f            u3  reads R.epoch: x
 *  r4  R.held = f        (pool_hold)      u4  reads R.held
 *  r5  R.epoch = 0                        u5  fills f with another page
 *
 * [E1] r1, r2, r3 stay in this order.  [E2] u1, u2, u3 stay in this order.
 * [E3] u3 comes before u4, r4 before r5.
 *
 * f is only taken with x = 0 or x > s.  Two races could hurt:
 *
 * A. R enters beside us: u3 reads x = 0, and R then announces an old e <= s and looks up
 *    the page.  As u3 did not see r2, u3 precedes r2 in the one order of all seq_cst
 *    operations; so u1 < u3 < r2 < r3, and R finds the entry gone: a miss.  The age of e
 *    only makes R's stay look longer than it is.  (With r3 a mere acquire load, r3 could
 *    overtake r2, and both sides see the state before the other's step.)
 * B. R has entered already: u3 reads x > s.  R took x from the epoch at r1, which holds a
 *    value above s only since u2; so u2 happens before r3, and with it u1: R finds the
 *    entry gone.  Had R looked up before, in a stay that is over, then its leaving (r5,
 *    release) came before the announcement that we read, and its reads of f before u5.
 *
 * In the remaining case, 0 < x <= s, R may be looking at f, and f is left where it is.
 * Holding: R calls pool_hold before it leaves.  If u3 reads the 0 of r5, or a later
 * epoch, r4 happens before u4, which sees the mark, because marks never move.  If u3
 * reads R's older epoch, f is left anyway.  Releasing is a release store that u4
 * acquires, so R's last reads of f come before u5.
 *
 * A frame in limbo comes back into sight only by frames_rescue, under the mutex under
 * which it would be taken; a new unlinking gives it a new stamp.
 *
 * There are no fences here: each order above is made by operations on the variables
 * themselves, which costs a reader one xchg on x86, and which the thread sanitizer
 * understands.  We do not count pins: two shared writes a page cost a quarter to a half
 * of a lookup. */
#include "buffer/frames.h"

#include "page/mem.h"

enum {
    /* Frames that one take unlinks ahead: more than it takes, so that limbo fills up. */
    AHEAD_MAX = 2,
    /* Frames at the head of limbo that may turn out to be held, before the load goes
     * private. */
    HELD_TRIES = 8
};

scn_status frames_open(struct frames *frames, uint32_t count)
{
    *frames = (struct frames){
        .region = mem_region((size_t)count * PAGE_BYTES),
        .all = mem_zalloc((size_t)count * sizeof(struct frame)),
        .referenced = mem_zalloc(count),
        .count = count,
        .limbo_first = FRAME_NONE,
        .limbo_last = FRAME_NONE,
        /* An operation cannot take what it unlinked itself, so there must be frames that
         * earlier ones did.  An eighth of the pool: pages that wait there cost a rescue,
         * not a read. */
        .limbo_target = count / 8 + 1,
        .epoch = 1,
    };
    if (frames->region == NULL || frames->all == NULL || frames->referenced == NULL)
        return error_nomem();
    return SCN_OK;
}

void frames_close(struct frames *frames)
{
    if (frames->region != NULL)
        mem_region_free(frames->region, (size_t)frames->count * PAGE_BYTES);
    mem_free(frames->all);
    mem_free(frames->referenced);
    *frames = (struct frames){0};
}

static void limbo_append(struct frames *frames, uint32_t no)
{
    struct frame *frame = &frames->all[no];
    frame->state = FRAME_LIMBO;
    frame->next = FRAME_NONE;
    frame->prev = frames->limbo_last;
    if (frames->limbo_last == FRAME_NONE)
        frames->limbo_first = no;
    else
        frames->all[frames->limbo_last].next = no;
    frames->limbo_last = no;
    frames->limbo_count++;
}

static void limbo_prepend(struct frames *frames, uint32_t no)
{
    struct frame *frame = &frames->all[no];
    frame->state = FRAME_LIMBO;
    frame->prev = FRAME_NONE;
    frame->next = frames->limbo_first;
    if (frames->limbo_first == FRAME_NONE)
        frames->limbo_last = no;
    else
        frames->all[frames->limbo_first].prev = no;
    frames->limbo_first = no;
    frames->limbo_count++;
}

static void limbo_remove(struct frames *frames, uint32_t no)
{
    struct frame *frame = &frames->all[no];
    ASSERT(frame->state == FRAME_LIMBO);
    if (frame->prev == FRAME_NONE)
        frames->limbo_first = frame->next;
    else
        frames->all[frame->prev].next = frame->next;
    if (frame->next == FRAME_NONE)
        frames->limbo_last = frame->prev;
    else
        frames->all[frame->next].prev = frame->prev;
    frames->limbo_count--;
}

/* Out of sight for everybody who enters from now on. */
static void unlink_frame(struct frames *frames, uint32_t no, uint64_t entry)
{
    struct frame *frame = &frames->all[no];
    ASSERT(frame->state == FRAME_RESIDENT);
    atomic_store(frame->entry, entry); /* [E2] u1 */
    frame->stamp = atomic_fetch_add(&frames->epoch, 1); /* u2 */
    limbo_append(frames, no);
}

static bool is_victim(struct frames *frames, const struct readers *readers, uint32_t no)
{
    if (frames->all[no].state != FRAME_RESIDENT)
        return false;
    if (atomic_load_explicit(&frames->referenced[no], memory_order_relaxed)) {
        atomic_store_explicit(&frames->referenced[no], 0, memory_order_relaxed);
        return false;
    }
    /* A held frame would wait in limbo for nothing. */
    return !readers_hold(readers, no);
}

/* CLOCK: the first round may only clear marks, the second finds what nobody used
 * meanwhile. */
static bool unlink_one(struct frames *frames, const struct readers *readers)
{
    uint64_t steps_max = 2 * (uint64_t)frames->touched;
    for (uint64_t step = 0; step < steps_max; step++) {
        uint32_t no = frames->hand;
        frames->hand = no + 1 < frames->touched ? no + 1 : 0;
        if (is_victim(frames, readers, no)) {
            unlink_frame(frames, no, atomic_load(frames->all[no].entry) | POOL_LIMBO);
            return true;
        }
    }
    return false;
}

static void unlink_ahead(struct frames *frames, const struct readers *readers)
{
    uint32_t untouched = frames->count - frames->touched;
    for (int i = 0; i < AHEAD_MAX; i++)
        if (untouched + frames->limbo_count >= frames->limbo_target ||
            !unlink_one(frames, readers))
            return;
}

/* A frame without a page before one that was never used: its memory is there already. */
static uint32_t take_retired(struct frames *frames, const struct readers *readers)
{
    uint32_t no = frames->limbo_first;
    if (no == FRAME_NONE || frames->all[no].entry != NULL ||
        frames->all[no].stamp >= readers_oldest(readers, atomic_load(&frames->epoch)) ||
        readers_hold(readers, no))
        return FRAME_NONE;
    limbo_remove(frames, no);
    return no;
}

static uint32_t take_untouched(struct frames *frames)
{
    if (frames->touched == frames->count)
        return FRAME_NONE;
    return frames->touched++;
}

static void forget_entry(struct frames *frames, struct frame *frame)
{
    if (frame->entry == NULL)
        return;
    atomic_store(frame->entry, 0);
    frame->entry = NULL;
    frames->evictions++;
}

static uint32_t take_limbo(struct frames *frames, const struct readers *readers)
{
    uint64_t oldest = readers_oldest(readers, atomic_load(&frames->epoch)); /* u3 */
    for (int i = 0; i < HELD_TRIES && frames->limbo_first != FRAME_NONE; i++) {
        uint32_t no = frames->limbo_first;
        struct frame *frame = &frames->all[no];
        if (frame->stamp >= oldest)
            return FRAME_NONE; /* and so are all behind it */
        if (!readers_hold(readers, no)) { /* [E3] u4 */
            limbo_remove(frames, no);
            forget_entry(frames, frame);
            return no;
        }
        if (frame->entry != NULL) {
            frames_rescue(frames, no);
        } else {
            limbo_remove(frames, no);
            frame->stamp = atomic_fetch_add(&frames->epoch, 1);
            limbo_append(frames, no);
        }
    }
    return FRAME_NONE;
}

uint32_t frames_take(struct frames *frames, const struct readers *readers)
{
    uint32_t no = take_retired(frames, readers);
    if (no == FRAME_NONE)
        no = take_untouched(frames);
    if (no == FRAME_NONE)
        no = take_limbo(frames, readers);
    unlink_ahead(frames, readers);
    /* The operations under way need more than the target: let limbo grow, but not beyond
     * half of the pool, or a reader that stays for long would drain it. */
    if (no == FRAME_NONE && frames->limbo_count < frames->count / 2)
        (void)unlink_one(frames, readers);
    if (no != FRAME_NONE)
        frames->all[no].state = FRAME_FILLING;
    return no;
}

uint32_t frames_take_spare(struct frames *frames, const struct readers *readers,
                           bool may_replace)
{
    uint32_t no = take_retired(frames, readers);
    if (no == FRAME_NONE)
        no = take_untouched(frames);
    if (no == FRAME_NONE && (may_replace || frames->limbo_count > frames->limbo_target))
        no = take_limbo(frames, readers);
    if (no != FRAME_NONE)
        frames->all[no].state = FRAME_FILLING;
    return no;
}

void frames_show(struct frames *frames, uint32_t no, _Atomic uint64_t *entry,
                 uint64_t tag)
{
    struct frame *frame = &frames->all[no];
    ASSERT(frame->state == FRAME_FILLING);
    ASSERT(atomic_load(entry) == 0);
    frame->state = FRAME_RESIDENT;
    frame->entry = entry;
    /* Not referenced: only a second use earns a second chance, so a scan drives itself
     * out. */
    atomic_store_explicit(&frames->referenced[no], 0, memory_order_relaxed);
    atomic_store(entry, tag | (no + 1));
}

void frames_give_back(struct frames *frames, uint32_t no)
{
    ASSERT(frames->all[no].state == FRAME_FILLING);
    ASSERT(frames->all[no].entry == NULL);
    frames->all[no].stamp = 0;
    limbo_prepend(frames, no);
}

void frames_rescue(struct frames *frames, uint32_t no)
{
    struct frame *frame = &frames->all[no];
    ASSERT(frame->entry != NULL);
    limbo_remove(frames, no);
    frame->state = FRAME_RESIDENT;
    atomic_store_explicit(&frames->referenced[no], 1, memory_order_relaxed);
    atomic_store(frame->entry, atomic_load(frame->entry) & ~(uint64_t)POOL_LIMBO);
}

void frames_retire(struct frames *frames, _Atomic uint64_t *entry)
{
    uint64_t value = atomic_load(entry);
    if (value == 0)
        return;
    uint32_t no = (uint32_t)(value & POOL_FRAMES_MAX) - 1;
    ASSERT(frames->all[no].entry == entry);
    if (value & POOL_LIMBO)
        atomic_store(entry, 0); /* its stamp stays right */
    else
        unlink_frame(frames, no, 0);
    frames->all[no].entry = NULL;
}
