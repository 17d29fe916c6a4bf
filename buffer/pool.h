/* The buffer pool: verified, clean pages in frames, CLOCK replacement.
 *
 * Translation is an array pgno -> {tag, frame} in two levels; the tag is mixed from the
 * pointer's hash, birth, hint, type and level, so a frame is only ever seen through the
 * very pointer that loaded it.  Frames have PAGE_BYTES and lie in one huge-page region,
 * filled lazily.
 *
 * Readers.  Every reader (one per transaction) has an epoch and a few held frames.
 * [B1] Between pool_enter and pool_leave or pool_renew all pages that pool_get returned
 *      stay readable.
 * [B2] pool_hold keeps the frame under a pointer beyond pool_leave: for bytes handed to
 *      the user. Up to POOL_HELD_MAX per reader.
 * [B3] A frame is given to another page only when it was unlinked from the array before
 *      every epoch now announced, and no reader holds it.  So no counter is touched on
 *      the way down a tree.  The argument is at the head of buffer/frames.c.
 * [B4] A page is verified once, when it is loaded (page_check).  A failed load leaves
 *      nothing behind.  The pool has no dirty pages.
 * [B5] A load never fails and never waits for want of a frame: when none can be had in a
 *      bounded number of steps, the page goes to a private frame of the reader, freed at
 *      pool_leave or, held, when it is released.
 *
 * pool_enter/leave do not nest.  A reader is used by one thread at a time; the pool by
 * any. */
#ifndef BUFFER_POOL_H
#define BUFFER_POOL_H

#include "page/file.h"
#include "page/page.h"

#include <stdatomic.h>

/* Two batches of 16: the bytes of one call stay good during the next. */
enum { POOL_HELD_MAX = 32 };

struct pool;
struct pool_reader;
struct private_frame;

/* capacity_bytes is rounded up to whole frames, at least POOL_FRAMES_MIN.  The file stays
 * the caller's and outlives the pool.  SCN_NOMEM, SCN_IO (no randomness). */
scn_status pool_create(struct file *file, uint64_t capacity_bytes, struct pool **out)
    MUST_USE;
/* After all its readers are destroyed.  NULL is fine. */
void pool_destroy(struct pool *pool);

/* Readers are recycled; create and destroy are cheap.  SCN_NOMEM. */
scn_status pool_reader_create(struct pool *pool, struct pool_reader **out) MUST_USE;
/* Not between enter and leave.  Releases what is held.  NULL is fine. */
void pool_reader_destroy(struct pool_reader *reader);

static inline void pool_enter(struct pool_reader *reader);
static inline void pool_leave(struct pool_reader *reader);
static inline bool pool_is_entered(const struct pool_reader *reader);
/* Leaves and enters, in an operation that reads more pages than a pool can spare: what
 * was got so far is gone unless it is held; what was held since pool_enter still counts
 * as that. */
static inline void pool_renew(struct pool_reader *reader);

/* The page a pointer leads to.  Between enter and leave.  SCN_CORRUPT (not what the
 * pointer promised, also after reading again from the medium), SCN_IO, SCN_NOMEM. */
static inline scn_status pool_get(struct pool_reader *reader, const struct page_ref *ref,
                                  const uint8_t **page) MUST_USE;
/* The page if it is resident, else NULL: never waits.  Between enter and leave. */
static inline const uint8_t *pool_peek(struct pool_reader *reader,
                                       const struct page_ref *ref);

/* Keeps a page that pool_get returned since pool_enter beyond pool_leave [B2].  Between
 * enter and leave.  False: no place left, nothing changed. */
bool pool_hold(struct pool_reader *reader, const uint8_t *page) MUST_USE;
/* Drops everything held before the latest pool_enter (the bytes of the previous call);
 * what was held since stays.  Called as the last step of an operation, before or after
 * pool_leave. */
static inline void pool_release_previous(struct pool_reader *reader);
void pool_release_all(struct pool_reader *reader);

/* A page just written: copied in and resident from now on, if there is room without
 * driving others out (a spare frame, or an older page of that number was resident).  No
 * reader needed. */
void pool_install(struct pool *pool, const struct page_ref *ref, const uint8_t *page);
/* Forgets frames of these pages: of a failed checkpoint or run.  No reader needed. */
void pool_forget(struct pool *pool, uint32_t pgno, uint32_t count);

struct pool_stat {
    uint64_t capacity_bytes;
    uint64_t used_bytes;     /* frames touched so far */
    uint64_t hits;           /* gets without I/O of their own; counted per reader */
    uint64_t misses;         /* gets that read the file, failed ones included */
    uint64_t evictions;      /* frames given to another page */
    uint64_t private_frames; /* misses that found no frame [B5] */
};
void pool_stat(struct pool *pool, struct pool_stat *out);

/* ---- The hit path: visible only to be inlined; callers use the above. ----
 *
 * An entry of the array:   63        24   23    22       0
 *                          |   tag    | limbo | frame + 1 |       0: no page
 *
 * `limbo`: the frame still has the page but may be taken any time; only a lookup under
 * the pool's mutex may bring it back.  To a hit it is a miss. */
enum {
    POOL_FRAMES_MIN = 4,
    POOL_FRAMES_MAX = (1 << 23) - 1,
    POOL_LIMBO = 1 << 23,
    POOL_TAG_SHIFT = 24,
    /* 16384 entries are 128 KiB: a chunk covers 1 GiB of file. */
    POOL_CHUNK_SHIFT = PAGE_IS_SMALL ? 9 : 14,
    POOL_CHUNK_ENTRIES = 1 << POOL_CHUNK_SHIFT,
    POOL_CHUNKS_MAX = FILE_PAGES_MAX / POOL_CHUNK_ENTRIES
};

struct pool_chunk {
    _Atomic uint64_t entries[POOL_CHUNK_ENTRIES];
};

/* Random for each pool: who writes a hostile file cannot make two tags collide, and by
 * that have a page used as one of another type, unchecked. */
struct pool_key {
    uint64_t hash;
    uint64_t birth;
    uint64_t place;
};

/* Aligned to a cache line. */
struct pool_reader {
    /* First line: all that a hit needs.  Const while in use, but for the last two. */
    struct pool_chunk *_Atomic *chunks; /* a chunk is set once, under the pool's mutex */
    const uint8_t *region;
    atomic_uchar *referenced; /* a byte for each frame; cleared by the CLOCK hand */
    struct pool_key key;
    _Atomic uint64_t epoch; /* 0 outside.  Owner writes, the taker of frames reads */
    _Atomic uint64_t hits;  /* written by the owner, read by pool_stat */

    /* Two lines: frame + 1, or a mark for a private one; 0: free.  As epoch.  A value
     * never moves from place to place: the scan of a taker could miss it. */
    _Atomic uint32_t held[POOL_HELD_MAX];

    /* The owner's alone. */
    const _Atomic uint64_t *pool_epoch;
    size_t region_bytes;
    uint32_t held_places;  /* bits: places of held that are in use */
    uint32_t fresh_places; /* bits: those taken since pool_enter */
    uint32_t last_place;   /* taken last: a scan holds one page again and again */
    struct private_frame *privates;
    struct pool *pool;

    /* Under the pool's mutex. */
    struct pool_reader *next;
    void *block; /* const: what to free */
    bool is_used;
};

/* What pool_get does when the hit path found nothing. */
scn_status pool_load(struct pool_reader *reader, const struct page_ref *ref,
                     const uint8_t **page) MUST_USE;
/* Of pool_release_previous: the places that are in these bits. */
void pool_release_places(struct pool_reader *reader, uint32_t places);
/* Frees the private frames that are not held. */
void pool_drop_privates(struct pool_reader *reader);

/* In the upper 40 bits; the lower are zero. */
static inline uint64_t pool_mix(const struct pool_key *key, uint64_t hash, uint64_t birth,
                                uint64_t place)
{
    unsigned __int128 product =
        (unsigned __int128)(hash ^ key->hash) * (birth ^ key->birth);
    uint64_t mixed =
        (uint64_t)(product >> 64) ^ (uint64_t)product ^ place * key->place;
    return mixed >> POOL_TAG_SHIFT << POOL_TAG_SHIFT;
}

static inline uint64_t pool_tag(const struct pool_key *key, const struct page_ref *ref)
{
    return pool_mix(key, ref->hash, ref->birth_gen, page_ref_place(ref));
}

static inline bool pool_is_entered(const struct pool_reader *reader)
{
    return atomic_load_explicit(&reader->epoch, memory_order_relaxed) != 0;
}

static inline void pool_enter(struct pool_reader *reader)
{
    ASSERT(!pool_is_entered(reader));
    reader->fresh_places = 0;
    /* [E1] Both seq_cst: the announcement stands before any entry is read. */
    atomic_store(&reader->epoch, atomic_load(reader->pool_epoch));
}

static inline void pool_leave(struct pool_reader *reader)
{
    ASSERT(pool_is_entered(reader));
    /* Release: all reads of pages, and the marks of held ones, are before it. */
    atomic_store_explicit(&reader->epoch, 0, memory_order_release);
    if (reader->privates != NULL)
        pool_drop_privates(reader);
}

static inline void pool_renew(struct pool_reader *reader)
{
    uint32_t fresh_places = reader->fresh_places;
    pool_leave(reader);
    pool_enter(reader);
    reader->fresh_places = fresh_places;
}

static inline void pool_release_previous(struct pool_reader *reader)
{
    uint32_t places = reader->held_places & ~reader->fresh_places;
    if (places != 0)
        pool_release_places(reader, places);
}

static inline void pool_count_hit(struct pool_reader *reader)
{
    uint64_t hits = atomic_load_explicit(&reader->hits, memory_order_relaxed);
    atomic_store_explicit(&reader->hits, hits + 1, memory_order_relaxed);
}

/* pool_peek of a pointer that was not put into a struct. */
static inline const uint8_t *pool_look(struct pool_reader *reader, uint64_t hash,
                                       uint64_t birth, uint64_t place)
{
    uint32_t pgno = place_pgno(place);
    ASSERT(pool_is_entered(reader));
    if (pgno >= FILE_PAGES_MAX)
        return NULL;
    struct pool_chunk *chunk = atomic_load_explicit(
        &reader->chunks[pgno / POOL_CHUNK_ENTRIES], memory_order_acquire);
    if (chunk == NULL)
        return NULL;
    /* [E1] */
    uint64_t entry = atomic_load(&chunk->entries[pgno % POOL_CHUNK_ENTRIES]);
    /* The tags agree, and it is not in limbo.  The frame comes from the entry alone, so
     * that nobody waits for the tag to be mixed before the page is looked at. */
    uint64_t frame = (entry & (POOL_LIMBO - 1)) - 1;
    uint64_t tag = pool_mix(&reader->key, hash, birth, place);
    if ((entry ^ tag) >= POOL_LIMBO || frame >= POOL_FRAMES_MAX)
        return NULL;
    /* Stored only when clear, so that a hot page's line stays shared. */
    if (!atomic_load_explicit(&reader->referenced[frame], memory_order_relaxed))
        atomic_store_explicit(&reader->referenced[frame], 1, memory_order_relaxed);
    pool_count_hit(reader);
    return reader->region + frame * PAGE_BYTES;
}

static inline const uint8_t *pool_peek(struct pool_reader *reader,
                                       const struct page_ref *ref)
{
    return pool_look(reader, ref->hash, ref->birth_gen, page_ref_place(ref));
}

static inline scn_status pool_get(struct pool_reader *reader, const struct page_ref *ref,
                                  const uint8_t **page)
{
    const uint8_t *found = pool_peek(reader, ref);
    if (__builtin_expect(found == NULL, 0))
        return pool_load(reader, ref, page);
    *page = found;
    return SCN_OK;
}

#endif
