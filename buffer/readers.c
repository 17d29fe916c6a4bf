/* Readers: their slots, what they hold, and their private frames.
 *
 * A slot is never freed before the pool, because the taker of frames walks the list while
 * owners come and go; a destroyed reader is one that is outside and holds nothing,
 * waiting for its next owner. */
#include "buffer/readers.h"

#include "page/mem.h"

enum {
    CACHE_LINE_BYTES = 64,
    PRIVATE_ALIGN = 4096, /* page/sys.h asks it of buffers that are read uncached */
    NOT_HELD = -1
};

/* In held: a private frame, which no taker looks for.  No frame has this number. */
#define HELD_PRIVATE UINT32_MAX

_Static_assert(POOL_HELD_MAX == 32, "places are the bits of a uint32_t");
_Static_assert(offsetof(struct pool_reader, held) == CACHE_LINE_BYTES,
               "a hit needs one line");

static void *align_up(void *at, size_t align)
{
    return (void *)(((uintptr_t)at + align - 1) / align * align);
}

static struct pool_reader *reader_alloc(void)
{
    void *block = mem_zalloc(sizeof(struct pool_reader) + CACHE_LINE_BYTES);
    if (block == NULL)
        return NULL;
    struct pool_reader *reader = align_up(block, CACHE_LINE_BYTES);
    reader->block = block;
    return reader;
}

struct pool_reader *readers_take(struct readers *readers)
{
    struct pool_reader *reader = readers->first;
    while (reader != NULL && reader->is_used)
        reader = reader->next;
    if (reader == NULL) {
        reader = reader_alloc();
        if (reader == NULL)
            return NULL;
        reader->next = readers->first;
        readers->first = reader;
    }
    reader->is_used = true;
    return reader;
}

void readers_close(struct readers *readers)
{
    while (readers->first != NULL) {
        struct pool_reader *reader = readers->first;
        ASSERT(!reader->is_used);
        readers->first = reader->next;
        mem_free(reader->block);
    }
}

uint64_t readers_oldest(const struct readers *readers, uint64_t now)
{
    uint64_t oldest = now;
    for (const struct pool_reader *at = readers->first; at != NULL; at = at->next) {
        uint64_t epoch = atomic_load(&at->epoch);
        if (epoch != 0 && epoch < oldest)
            oldest = epoch;
    }
    return oldest;
}

static bool reader_holds(const struct pool_reader *reader, uint32_t frame_no)
{
    for (int i = 0; i < POOL_HELD_MAX; i++)
        if (atomic_load(&reader->held[i]) == frame_no + 1)
            return true;
    return false;
}

bool readers_hold(const struct readers *readers, uint32_t frame_no)
{
    for (const struct pool_reader *at = readers->first; at != NULL; at = at->next)
        if (reader_holds(at, frame_no))
            return true;
    return false;
}

uint64_t readers_hits(const struct readers *readers)
{
    uint64_t hits = 0;
    for (const struct pool_reader *at = readers->first; at != NULL; at = at->next)
        hits += atomic_load_explicit(&at->hits, memory_order_relaxed);
    return hits;
}

/* ---- private frames ---- */

struct private_frame *readers_private_alloc(const struct page_ref *ref, uint64_t tag)
{
    struct private_frame *private =
        mem_alloc(sizeof *private + PRIVATE_ALIGN - 1 + PAGE_BYTES);
    if (private == NULL)
        return NULL;
    *private = (struct private_frame){
        .page = align_up(private + 1, PRIVATE_ALIGN),
        .tag = tag,
        .pgno = ref->pgno,
        .place = NOT_HELD,
    };
    return private;
}

const uint8_t *readers_private_find(const struct pool_reader *reader, uint32_t pgno,
                                    uint64_t tag)
{
    for (struct private_frame *at = reader->privates; at != NULL; at = at->next)
        if (at->pgno == pgno && at->tag == tag)
            return at->page;
    return NULL;
}

static struct private_frame *private_of_page(const struct pool_reader *reader,
                                             const uint8_t *page)
{
    struct private_frame *at = reader->privates;
    while (at != NULL && at->page != page)
        at = at->next;
    return at;
}

static void private_release(const struct pool_reader *reader, int place)
{
    for (struct private_frame *at = reader->privates; at != NULL; at = at->next)
        if (at->place == place)
            at->place = NOT_HELD;
}

void pool_drop_privates(struct pool_reader *reader)
{
    struct private_frame **link = &reader->privates;
    while (*link != NULL) {
        struct private_frame *private = *link;
        if (private->place == NOT_HELD) {
            *link = private->next;
            mem_free(private);
        } else {
            link = &private->next;
        }
    }
}

/* ---- holding ---- */

/* The place that has the frame already, or NOT_HELD. */
static int find_mark(const struct pool_reader *reader, uint32_t mark)
{
    for (uint32_t left = reader->held_places; left != 0; left &= left - 1) {
        int place = __builtin_ctz(left);
        if (atomic_load_explicit(&reader->held[place], memory_order_relaxed) == mark)
            return place;
    }
    return NOT_HELD;
}

/* A free place, or NOT_HELD. */
static int find_free(const struct pool_reader *reader)
{
    uint32_t free = ~reader->held_places;
    return free != 0 ? __builtin_ctz(free) : NOT_HELD;
}

static bool take_place(struct pool_reader *reader, int place, uint32_t mark)
{
    if (place == NOT_HELD)
        return false;
    /* [E3] r4: r5, a release, comes after it. */
    atomic_store_explicit(&reader->held[place], mark, memory_order_release);
    reader->held_places |= 1u << place;
    reader->fresh_places |= 1u << place;
    reader->last_place = (uint32_t)place;
    return true;
}

static bool hold_private(struct pool_reader *reader, const uint8_t *page)
{
    struct private_frame *private = private_of_page(reader, page);
    ASSERT(private != NULL);
    if (private->place == NOT_HELD)
        private->place = find_free(reader);
    return take_place(reader, private->place, HELD_PRIVATE);
}

bool pool_hold(struct pool_reader *reader, const uint8_t *page)
{
    ASSERT(pool_is_entered(reader));
    size_t off = (size_t)((uintptr_t)page - (uintptr_t)reader->region);
    if (off >= reader->region_bytes)
        return hold_private(reader, page);
    uint32_t mark = (uint32_t)(off / PAGE_BYTES) + 1;
    uint32_t last = reader->last_place;
    if (atomic_load_explicit(&reader->held[last], memory_order_relaxed) == mark) {
        reader->fresh_places |= 1u << last;
        return true;
    }
    /* A second place for the same frame does no harm; only a full set is searched. */
    int place = find_free(reader);
    return take_place(reader, place != NOT_HELD ? place : find_mark(reader, mark), mark);
}

void pool_release_places(struct pool_reader *reader, uint32_t places)
{
    for (uint32_t left = places; left != 0; left &= left - 1) {
        int i = __builtin_ctz(left);
        if (atomic_load_explicit(&reader->held[i], memory_order_relaxed) == HELD_PRIVATE)
            private_release(reader, i);
        atomic_store_explicit(&reader->held[i], 0, memory_order_release);
    }
    reader->held_places &= ~places;
    reader->fresh_places &= ~places;
    /* What was released between enter and leave may have been got again since [B1]. */
    if (reader->privates != NULL && !pool_is_entered(reader))
        pool_drop_privates(reader);
}

void pool_release_all(struct pool_reader *reader)
{
    pool_release_places(reader, reader->held_places);
}
