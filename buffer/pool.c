/* The pool: translation, loads, and what writers tell it.
 *
 * A load is in three steps: take a frame (mutex), read and verify (no mutex), show the
 * frame (mutex).  In between the load stands in a list, so that another thread that wants
 * the same pointer waits for it instead of reading too.  A load that found no frame does
 * not stand there: nobody else could use its private frame.
 *
 * Two pointers may name the same page number: the file's page was given back and written
 * anew. Each load is verified against its own pointer and shown under its own tag, so
 * whichever comes last has the entry and both are right; the loser's frame is retired.
 *
 * Lock order: the pool's mutex is the innermost; no I/O and no hook runs under it. */
#include "buffer/pool.h"

#include "buffer/frames.h"
#include "buffer/readers.h"
#include "page/mem.h"
#include "page/pagecopy.h"

/* On the loading thread's stack. */
struct load {
    struct load *next;
    uint64_t tag;
    uint32_t pgno;
};

struct pool {
    struct file *file;                  /* const */
    struct sys_mutex *mutex;            /* const */
    struct sys_cond *loaded;            /* const; a load ended */
    struct pool_chunk *_Atomic *chunks; /* const; members are set once, under the mutex */
    struct pool_key key;                /* const */
    struct frames frames;
    /* Under the mutex. */
    struct readers readers;
    uint32_t chunks_end; /* no chunk was made from here on */
    struct load *loads;
    uint32_t waiters;
    uint64_t misses;
    uint64_t private_frames;
};

static void lock(struct pool *pool)
{
    pool->file->sys->ops->mutex_lock(pool->mutex);
}

static void unlock(struct pool *pool)
{
    pool->file->sys->ops->mutex_unlock(pool->mutex);
}

/* ---- life ---- */

static uint32_t frame_count(uint64_t capacity_bytes)
{
    uint64_t count = capacity_bytes / PAGE_BYTES + (capacity_bytes % PAGE_BYTES != 0);
    if (count < POOL_FRAMES_MIN)
        return POOL_FRAMES_MIN;
    return count < POOL_FRAMES_MAX ? (uint32_t)count : POOL_FRAMES_MAX;
}

static scn_status make_sync(struct pool *pool)
{
    struct sys *sys = pool->file->sys;
    if (sys->ops->mutex_create(sys, &pool->mutex) != 0 ||
        sys->ops->cond_create(sys, &pool->loaded) != 0)
        return error_nomem();
    int result = sys->ops->random(sys, &pool->key, sizeof pool->key);
    if (result < 0)
        return error_sys(-result, 0, "pool: no randomness from the system");
    pool->key.place |= 1; /* odd: no two places have one product */
    return SCN_OK;
}

scn_status pool_create(struct file *file, uint64_t capacity_bytes, struct pool **out)
{
    *out = NULL;
    struct pool *pool = mem_zalloc(sizeof *pool);
    if (pool == NULL)
        return error_nomem();
    pool->file = file;
    scn_status st = make_sync(pool);
    if (st != SCN_OK)
        goto out;
    st = frames_open(&pool->frames, frame_count(capacity_bytes));
    if (st != SCN_OK)
        goto out;
    pool->chunks = mem_zalloc(POOL_CHUNKS_MAX * sizeof *pool->chunks);
    if (pool->chunks == NULL) {
        st = error_nomem();
        goto out;
    }
    *out = pool;
    pool = NULL;
out:
    pool_destroy(pool);
    return st;
}

/* Only where chunks may be: a look at all of the array would cost a small store more than
 * all else it does to close. */
static void free_chunks(struct pool *pool)
{
    for (uint32_t i = 0; i < pool->chunks_end; i++)
        mem_free(atomic_load_explicit(&pool->chunks[i], memory_order_relaxed));
    mem_free(pool->chunks);
}

void pool_destroy(struct pool *pool)
{
    if (pool == NULL)
        return;
    ASSERT(pool->loads == NULL);
    readers_close(&pool->readers);
    free_chunks(pool);
    frames_close(&pool->frames);
    if (pool->loaded != NULL)
        pool->file->sys->ops->cond_destroy(pool->loaded);
    if (pool->mutex != NULL)
        pool->file->sys->ops->mutex_destroy(pool->mutex);
    mem_free(pool);
}

static void fill_constants(struct pool *pool, struct pool_reader *reader)
{
    reader->chunks = pool->chunks;
    reader->region = pool->frames.region;
    reader->region_bytes = (size_t)pool->frames.count * PAGE_BYTES;
    reader->referenced = pool->frames.referenced;
    reader->key = pool->key;
    reader->pool_epoch = &pool->frames.epoch;
    reader->pool = pool;
}

scn_status pool_reader_create(struct pool *pool, struct pool_reader **out)
{
    lock(pool);
    struct pool_reader *reader = readers_take(&pool->readers);
    if (reader != NULL && reader->pool == NULL)
        fill_constants(pool, reader);
    unlock(pool);
    *out = reader;
    return reader != NULL ? SCN_OK : error_nomem();
}

void pool_reader_destroy(struct pool_reader *reader)
{
    if (reader == NULL)
        return;
    ASSERT(!pool_is_entered(reader));
    pool_release_all(reader);
    ASSERT(reader->privates == NULL);
    lock(reader->pool);
    reader->is_used = false;
    unlock(reader->pool);
}

/* ---- translation ---- */

/* NULL: no page so near was ever shown. */
static _Atomic uint64_t *entry_find(struct pool *pool, uint32_t pgno)
{
    struct pool_chunk *chunk = atomic_load(&pool->chunks[pgno / POOL_CHUNK_ENTRIES]);
    return chunk != NULL ? &chunk->entries[pgno % POOL_CHUNK_ENTRIES] : NULL;
}

/* NULL: no memory. */
static _Atomic uint64_t *entry_make(struct pool *pool, uint32_t pgno)
{
    struct pool_chunk *_Atomic *at = &pool->chunks[pgno / POOL_CHUNK_ENTRIES];
    if (atomic_load(at) == NULL) {
        struct pool_chunk *chunk = mem_zalloc(sizeof *chunk);
        if (chunk == NULL)
            return NULL;
        atomic_store(at, chunk);
        if (pgno / POOL_CHUNK_ENTRIES >= pool->chunks_end)
            pool->chunks_end = pgno / POOL_CHUNK_ENTRIES + 1;
    }
    return entry_find(pool, pgno);
}

/* A filled frame becomes the page's, or is given back.  The chunk is made only now, after
 * the page was verified: a hostile page number costs no memory. */
static scn_status show(struct pool *pool, uint32_t pgno, uint64_t tag, uint32_t frame_no)
{
    _Atomic uint64_t *entry = entry_make(pool, pgno);
    if (entry == NULL) {
        frames_give_back(&pool->frames, frame_no);
        return error_nomem();
    }
    frames_retire(&pool->frames, entry);
    frames_show(&pool->frames, frame_no, entry, tag);
    return SCN_OK;
}

/* Under the mutex: the page if it is resident or can be made so without I/O. */
static const uint8_t *find_resident(struct pool_reader *reader,
                                    const struct page_ref *ref, uint64_t tag)
{
    struct pool *pool = reader->pool;
    _Atomic uint64_t *entry = entry_find(pool, ref->pgno);
    if (entry == NULL)
        return NULL;
    uint64_t frame = (atomic_load(entry) ^ (tag | POOL_LIMBO)) - 1;
    if (frame < POOL_FRAMES_MAX)
        frames_rescue(&pool->frames, (uint32_t)frame);
    return pool_peek(reader, ref);
}

/* ---- loads ---- */

static scn_status load_private(struct pool_reader *reader, const struct page_ref *ref,
                               uint64_t tag, const uint8_t **page)
{
    struct private_frame *private = readers_private_alloc(ref, tag);
    if (private == NULL)
        return error_nomem();
    scn_status st = pagecopy_read(reader->pool->file, ref, private->page);
    if (st != SCN_OK) {
        mem_free(private);
        return st;
    }
    private->next = reader->privates;
    reader->privates = private;
    *page = private->page;
    return SCN_OK;
}

static bool is_loading(const struct pool *pool, uint32_t pgno, uint64_t tag)
{
    const struct load *at = pool->loads;
    while (at != NULL && (at->pgno != pgno || at->tag != tag))
        at = at->next;
    return at != NULL;
}

/* Ends: each load in the list belongs to a thread that is reading, and one that
 * failed is not repeated by its thread. */
static void wait_for_load(struct pool *pool, uint32_t pgno, uint64_t tag)
{
    pool->waiters++;
    while (is_loading(pool, pgno, tag))
        pool->file->sys->ops->cond_wait(pool->loaded, pool->mutex, 0);
    pool->waiters--;
}

static void end_load(struct pool *pool, const struct load *load)
{
    struct load **link = &pool->loads;
    while (*link != load)
        link = &(*link)->next;
    *link = load->next;
    if (pool->waiters > 0)
        pool->file->sys->ops->cond_wake_all(pool->loaded);
}

/* Enters and leaves with the mutex held, without it in between. */
static scn_status load_frame(struct pool *pool, const struct page_ref *ref, uint64_t tag,
                             uint32_t frame_no)
{
    struct load load = {.next = pool->loads, .tag = tag, .pgno = ref->pgno};
    pool->loads = &load;
    unlock(pool);
    scn_status st = pagecopy_read(pool->file, ref, frames_page(&pool->frames, frame_no));
    lock(pool);
    if (st == SCN_OK)
        st = show(pool, ref->pgno, tag, frame_no);
    else
        frames_give_back(&pool->frames, frame_no);
    end_load(pool, &load);
    return st;
}

scn_status pool_load(struct pool_reader *reader, const struct page_ref *ref,
                     const uint8_t **page)
{
    ASSERT(pool_is_entered(reader));
    struct pool *pool = reader->pool;
    if (ref->pgno == 0 || ref->pgno >= FILE_PAGES_MAX)
        return error_corrupt(ref->pgno, 0, "pool: a pointer leads to page %u, "
                                           "which no file has", ref->pgno);
    uint64_t tag = pool_tag(&pool->key, ref);
    *page = readers_private_find(reader, ref->pgno, tag);
    if (*page != NULL) {
        pool_count_hit(reader);
        return SCN_OK;
    }

    lock(pool);
    wait_for_load(pool, ref->pgno, tag);
    *page = find_resident(reader, ref, tag);
    if (*page != NULL) {
        unlock(pool);
        return SCN_OK;
    }
    pool->misses++;
    uint32_t frame_no = frames_take(&pool->frames, &pool->readers);
    if (frame_no == FRAME_NONE) {
        pool->private_frames++;
        unlock(pool);
        return load_private(reader, ref, tag, page);
    }
    scn_status st = load_frame(pool, ref, tag, frame_no);
    unlock(pool);
    /* Even if somebody retires it now: it was in sight after our pool_enter. */
    if (st == SCN_OK)
        *page = frames_page(&pool->frames, frame_no);
    return st;
}

/* ---- what writers tell ---- */

/* FRAME_NONE: it is there already, or there is no room. */
static uint32_t take_for_install(struct pool *pool, uint32_t pgno, uint64_t tag)
{
    _Atomic uint64_t *entry = entry_find(pool, pgno);
    uint64_t value = entry != NULL ? atomic_load(entry) : 0;
    if (value != 0 && value >> POOL_TAG_SHIFT == tag >> POOL_TAG_SHIFT)
        return FRAME_NONE;
    if (value != 0)
        frames_retire(&pool->frames, entry);
    return frames_take_spare(&pool->frames, &pool->readers, value != 0);
}

void pool_install(struct pool *pool, const struct page_ref *ref, const uint8_t *page)
{
    ASSERT(ref->pgno != 0 && ref->pgno < FILE_PAGES_MAX);
    uint64_t tag = pool_tag(&pool->key, ref);
    lock(pool);
    uint32_t frame_no = take_for_install(pool, ref->pgno, tag);
    unlock(pool);
    if (frame_no == FRAME_NONE)
        return;
    memcpy(frames_page(&pool->frames, frame_no), page, PAGE_BYTES);
    lock(pool);
    /* Without memory for the chunk the page is not resident, which is all the same. */
    scn_status ignored = show(pool, ref->pgno, tag, frame_no);
    (void)ignored;
    unlock(pool);
}

void pool_forget(struct pool *pool, uint32_t pgno, uint32_t count)
{
    uint64_t end = (uint64_t)pgno + count;
    if (end > FILE_PAGES_MAX)
        end = FILE_PAGES_MAX;
    lock(pool);
    uint64_t at = pgno;
    while (at < end) {
        _Atomic uint64_t *entry = entry_find(pool, (uint32_t)at);
        if (entry != NULL)
            frames_retire(&pool->frames, entry);
        /* A chunk that is not there is passed over in one step. */
        at = entry != NULL ? at + 1 : (at / POOL_CHUNK_ENTRIES + 1) * POOL_CHUNK_ENTRIES;
    }
    unlock(pool);
}

void pool_stat(struct pool *pool, struct pool_stat *out)
{
    lock(pool);
    *out = (struct pool_stat){
        .capacity_bytes = (uint64_t)pool->frames.count * PAGE_BYTES,
        .used_bytes = (uint64_t)pool->frames.touched * PAGE_BYTES,
        .hits = readers_hits(&pool->readers),
        .misses = pool->misses,
        .evictions = pool->frames.evictions,
        .private_frames = pool->private_frames,
    };
    unlock(pool);
}
