/* The buffer pool: verified, clean pages in frames, CLOCK replacement.
 *
 * Translation is a flat array pgno -> {frame, tag}; the tag is made of the pointer's hash, birth and
 * hint, so a frame is only ever seen through the very pointer that loaded it.  Frames have
 * PAGE_BYTES and lie in one huge-page region, filled lazily.
 *
 * Readers.  Every reader (one per transaction) has a slot with an epoch and a few held frames.
 * [B1] Between pool_enter and pool_leave all pages that pool_get returned stay readable.
 * [B2] pool_hold keeps the frame under a pointer until the next pool_release: for bytes handed to the user.  Up to
 *      POOL_HELD_MAX per reader.
 * [B3] A frame is given to another page only when it was unlinked from the array before every epoch
 *      now announced, and no reader holds it.  So no counter is touched on the way down a tree.
 * [B4] A page is verified once, when it is loaded (page_check).  A failed load leaves the frame
 *      empty.  The pool has no dirty pages.
 * [B5] A load never fails and never waits for want of a frame: when none can be had in a bounded number of steps,
 *      the page goes to a private frame of the reader, freed at pool_leave (or, held, at pool_release).
 *
 * pool_enter/leave do not nest.  A reader is used by one thread at a time; the pool by any. */
#ifndef BUFFER_POOL_H
#define BUFFER_POOL_H

#include "page/file.h"
#include "page/page.h"

#include <stdatomic.h>

enum { POOL_HELD_MAX = 16 };

struct pool;
struct pool_reader;

/* capacity is rounded up to a few frames. */
scn_status pool_create(struct file *file, uint64_t capacity_bytes, struct pool **out) MUST_USE;
void pool_destroy(struct pool *pool);

/* Readers are recycled; create and destroy are cheap. */
scn_status pool_reader_create(struct pool *pool, struct pool_reader **out) MUST_USE;
void pool_reader_destroy(struct pool_reader *reader);

void pool_enter(struct pool_reader *reader);
void pool_leave(struct pool_reader *reader);
bool pool_is_entered(const struct pool_reader *reader);

/* The page a pointer leads to.  Between enter and leave.  SCN_CORRUPT (not what the pointer promised, also after
 * reading again from the medium), SCN_IO, SCN_NOMEM. */
scn_status pool_get(struct pool_reader *reader, const struct page_ref *ref, const uint8_t **page)
    MUST_USE;
/* The page if it is resident, else NULL: never waits. */
const uint8_t *pool_peek(struct pool_reader *reader, const struct page_ref *ref);

/* Keeps a page that pool_get returned since pool_enter beyond pool_leave [B2].  False: no place left. */
bool pool_hold(struct pool_reader *reader, const uint8_t *page);
/* Drops everything held before the current pool_enter (the bytes of the previous call); what was held
 * since stays. Called as the last step of an operation. */
void pool_release_previous(struct pool_reader *reader);
void pool_release_all(struct pool_reader *reader);

/* A page just written: resident from now on if there is room without evicting much. */
void pool_install(struct pool *pool, const struct page_ref *ref, const uint8_t *page);
/* Forgets frames of these pages: of a failed checkpoint or run. */
void pool_forget(struct pool *pool, uint32_t pgno, uint32_t count);

struct pool_stat {
    uint64_t capacity_bytes;
    uint64_t used_bytes;
    uint64_t hits;      /* counted per reader, summed here */
    uint64_t misses;
    uint64_t evictions;
    uint64_t private_frames; /* loads that found no frame [B5] */
};
void pool_stat(struct pool *pool, struct pool_stat *out);

#endif
