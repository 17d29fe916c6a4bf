/* Allocation of pages: see space.h.
 *
 * A page is in one of these states; the letters are the bitmaps that have its bit.
 *
 *     free      -   take, adopt -> used           reserve -> reserved
 *     reserved  R   adopt -> adopted              unreserve -> free
 *     adopted   UR  commit -> used                abandon -> reserved
 *     used      U   free, birth == gen -> free    free, birth < gen -> freed
 *     freed     UF  begin, by [A1] and [A2] -> free, or used (a spare extent)
 *
 * `used` and `freed` and the list of freed ranges are the ledger of a generation. Only
 * the holder of the checkpoint lock changes it, under the mutex, and so reads it without
 * [A4]. `reserved` belongs to all threads. A page is given out when it is neither used
 * nor reserved. space_begin keeps a copy of the ledger and space_abandon puts it back: no
 * step of a checkpoint needs an undo of its own, at the price of copying 4 MiB for each
 * TiB.
 *
 * space_adopt leaves the reservation where it is and only notes that it ends with the
 * generation. So abandoning finds it again, unless its owner released it meanwhile; and a
 * page that was adopted and freed in one generation is not overwritten before that
 * generation is durable: if it never becomes so, the page is still its owner's.
 *
 * Why [A1] is `freed < current` and not a distance of two: generations may skip numbers
 * after a recovery. The stamps in a ledger are those of the current generation and of its
 * ancestors, and the older slot holds the nearest of these. A stamp below the current one
 * is at most that one's, so neither slot reaches the page.
 *
 * Lowest address first: the tail of the file empties and can be cut. No 2^n free
 * pages side by side begin below hint[n], so taking pages one by one passes over each
 * word once, and so does taking pairs, fours and so on. Whatever may free a page lowers
 * all hints.
 *
 * The pages that hold the ledger are part of it. Taking one sets a bit, which may
 * lengthen the bitmap, but adds no range, since the previous chain is freed before. So
 * the number of pages that are needed depends on page_count alone, never falls while
 * pages are taken, and is bounded by its value at FILE_PAGES_MAX. take_chain takes pages,
 * never more than are missing, until it has what is needed: it has more at each step, so
 * it ends, and then it has exactly enough. */
#include "page/space.h"

#include "page/ledger.h"
#include "page/mem.h"

/* The fixed pages are never free: page 0 says that there is none. */
enum { NO_PAGE = 0, HINTS = 6 };

struct space {
    struct sys *sys;
    struct sys_mutex *mutex;
    /* Changed by the holder of the checkpoint lock, under the mutex. */
    struct ledger now;
    struct ledger before; /* at space_begin; empty while nothing is built */
    uint64_t gen;         /* the current, durable one */
    uint64_t building;    /* 0: none */
    uint32_t limit;       /* space_take stays below */
    /* Any thread, under the mutex. */
    struct bitmap reserved;
    struct bitmap adopted; /* reservations that space_commit ends: a part of them */
    uint32_t hint[HINTS];
};

/* ---- life ---- */

static void space_lock(struct space *space)
{
    space->sys->ops->mutex_lock(space->mutex);
}

static void space_unlock(struct space *space)
{
    space->sys->ops->mutex_unlock(space->mutex);
}

scn_status space_create(struct sys *sys, struct space **out)
{
    struct space *space = mem_zalloc(sizeof *space);
    if (space == NULL)
        return error_nomem();
    space->sys = sys;
    int rc = sys->ops->mutex_create(sys, &space->mutex);
    if (rc != 0) {
        mem_free(space);
        return error_sys(-rc, 0, "space: no mutex");
    }
    *out = space;
    return SCN_OK;
}

void space_destroy(struct space *space)
{
    if (space == NULL)
        return;
    ledger_destroy(&space->now);
    ledger_destroy(&space->before);
    bitmap_destroy(&space->reserved);
    bitmap_destroy(&space->adopted);
    space->sys->ops->mutex_destroy(space->mutex);
    mem_free(space);
}

/* Changes the ledgers. */
static void space_replace(struct space *space, struct ledger *ledger, uint64_t gen)
{
    ASSERT(space->building == 0);
    space_lock(space);
    struct ledger old = space->now;
    space->now = *ledger;
    space->gen = gen;
    space->limit = 0;
    for (uint32_t i = 0; i < space->reserved.word_count; i++)
        space->reserved.words[i] &= ~bitmap_word(&space->now.used, i);
    space_unlock(space);
    *ledger = old;
}

scn_status space_init_new(struct space *space, uint32_t used_pages)
{
    ASSERT(used_pages >= FIRST_FREE_PAGE_NO);
    ASSERT(used_pages <= FILE_PAGES_MAX);
    struct ledger ledger = {0};
    scn_status st = bitmap_grow(&ledger.used, used_pages);
    if (st == SCN_OK) {
        bitmap_set(&ledger.used, 0, used_pages);
        space_replace(space, &ledger, 0);
    }
    ledger_destroy(&ledger);
    return st;
}

/* ---- reservations ---- */

static scn_status judge_bounds(uint32_t pgno, uint32_t count)
{
    if (pgno >= FIRST_FREE_PAGE_NO && count > 0 &&
        (uint64_t)pgno + count <= FILE_PAGES_MAX)
        return SCN_OK;
    return error_corrupt(pgno, 0, "space: %u pages from page %u on cannot exist", count,
                         pgno);
}

/* The pages from pgno on may be free now. */
static void lower_hints(struct space *space, uint32_t pgno)
{
    for (uint32_t n = 0; n < HINTS; n++) {
        /* It may end a range that begins before it. */
        uint32_t before = (UINT32_C(1) << n) - 1;
        uint32_t from = pgno > before ? pgno - before : 0;
        if (from < space->hint[n])
            space->hint[n] = from;
    }
}

static scn_status two_owners(uint32_t pgno, uint32_t count)
{
    return error_corrupt(pgno, (uint64_t)pgno * PAGE_BYTES,
                         "space: %u pages from page %u on have two owners", count, pgno);
}

static scn_status reserve_locked(struct space *space, uint32_t pgno, uint32_t count)
{
    /* What the durable generation uses is used, though the next one has freed it. */
    if (bitmap_has_any(&space->now.used, pgno, count) ||
        bitmap_has_any(&space->before.used, pgno, count) ||
        bitmap_has_any(&space->reserved, pgno, count))
        return two_owners(pgno, count);
    scn_status st = bitmap_grow(&space->reserved, pgno + count);
    if (st == SCN_OK)
        bitmap_set(&space->reserved, pgno, count);
    return st;
}

scn_status space_reserve(struct space *space, uint32_t pgno, uint32_t count)
{
    scn_status st = judge_bounds(pgno, count);
    if (st != SCN_OK)
        return st;
    space_lock(space);
    st = reserve_locked(space, pgno, count);
    space_unlock(space);
    return st;
}

static scn_status reserve_rest(struct space *space, uint32_t pgno, uint32_t count)
{
    scn_status st = bitmap_grow(&space->reserved, pgno + count);
    for (uint32_t i = pgno; i < pgno + count && st == SCN_OK; i++)
        if (!bitmap_get(&space->now.used, i))
            bitmap_set(&space->reserved, i, 1);
    return st;
}

scn_status space_reserve_rest(struct space *space, uint32_t pgno, uint32_t count,
                              bool is_needed)
{
    scn_status st = judge_bounds(pgno, count);
    if (st != SCN_OK)
        return st;
    space_lock(space);
    st = is_needed && bitmap_has_any(&space->now.freed, pgno, count)
             ? two_owners(pgno, count)
             : reserve_rest(space, pgno, count);
    space_unlock(space);
    return st;
}

void space_forget_reservations(struct space *space)
{
    ASSERT(space->building == 0);
    space_lock(space);
    bitmap_destroy(&space->reserved);
    lower_hints(space, 0);
    space_unlock(space);
}

void space_unreserve(struct space *space, uint32_t pgno, uint32_t count)
{
    space_lock(space);
    bitmap_clear(&space->reserved, pgno, count);
    bitmap_clear(&space->adopted, pgno, count);
    lower_hints(space, pgno);
    space_unlock(space);
}

/* ---- building a generation ---- */

/* [A1] [A2] */
static bool range_is_mature(const struct ledger_range *range, uint64_t current_gen,
                            const uint64_t *pins, uint32_t pin_count)
{
    if (range->freed >= current_gen)
        return false;
    /* The lowest pin that is not below birth decides. */
    uint32_t low = 0;
    uint32_t high = pin_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (pins[middle] < range->birth)
            low = middle + 1;
        else
            high = middle;
    }
    return low == pin_count || pins[low] >= range->freed;
}

static void mature(struct space *space, const uint64_t *pins, uint32_t pin_count,
                   uint32_t extent_pages, uint32_t spare_room, struct log_spare *spares,
                   uint32_t *spare_count)
{
    struct ledger *now = &space->now;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < now->range_count; i++) {
        const struct ledger_range *range = &now->ranges[i];
        if (!range_is_mature(range, space->gen, pins, pin_count)) {
            now->ranges[kept++] = *range;
            continue;
        }
        bitmap_clear(&now->freed, range->pgno, range->count);
        bool is_spare = range->kind == SPACE_LOG && range->count == extent_pages &&
                        *spare_count < spare_room;
        if (is_spare)
            spares[(*spare_count)++] = (struct log_spare){range->pgno, range->count};
        else
            bitmap_clear(&now->used, range->pgno, range->count);
    }
    now->range_count = kept;
}

void space_mature(struct space *space, const uint64_t *pins, uint32_t pin_count)
{
    uint32_t spare_count = 0;
    ASSERT(space->building == 0);
    space_lock(space);
    mature(space, pins, pin_count, 0, 0, NULL, &spare_count);
    space_unlock(space);
}

scn_status space_load(struct space *space, struct file *file,
                      const struct page_ref *first, uint32_t page_count, uint64_t gen)
{
    struct ledger ledger = {0};
    scn_status st = ledger_load(&ledger, file, first, page_count, gen);
    if (st == SCN_OK)
        space_replace(space, &ledger, gen);
    ledger_destroy(&ledger);
    return st;
}

scn_status space_begin(struct space *space, uint64_t gen, const uint64_t *pins,
                       uint32_t pin_count, uint32_t file_pages, uint32_t extent_pages,
                       uint32_t spare_room, struct log_spare *spares,
                       uint32_t *spare_count)
{
    ASSERT(space->building == 0);
    ASSERT(gen > space->gen);
    *spare_count = 0;
    struct ledger before = {0};
    scn_status st = ledger_copy(&before, &space->now);
    if (st != SCN_OK)
        return st;
    space_lock(space);
    space->before = before;
    space->building = gen;
    space->limit = file_pages < FILE_PAGES_MAX ? file_pages : FILE_PAGES_MAX;
    for (uint32_t n = 0; n < HINTS; n++)
        space->hint[n] = FIRST_FREE_PAGE_NO;
    mature(space, pins, pin_count, extent_pages, spare_room, spares, spare_count);
    space_unlock(space);
    return SCN_OK;
}

/* The lowest page >= from where count free pages begin, all below the limit; NO_PAGE if
   none. */
static uint32_t find_free(const struct space *space, uint32_t from, uint32_t count)
{
    uint32_t pgno = from;
    uint32_t run = 0;
    while (pgno < space->limit && run < count) {
        uint32_t left = 64 - pgno % 64;
        uint64_t taken = bitmap_word(&space->now.used, pgno / 64) |
                         bitmap_word(&space->reserved, pgno / 64);
        taken >>= pgno % 64;
        uint32_t free = taken != 0 ? (uint32_t)__builtin_ctzll(taken) : left;
        run += free;
        pgno += free;
        if (free == left || run >= count)
            continue;
        run = 0;
        taken = ~(taken >> free);
        uint32_t used = taken != 0 ? (uint32_t)__builtin_ctzll(taken) : 64;
        pgno += used < left - free ? used : left - free;
    }
    uint32_t start = pgno - run;
    return run >= count && count <= space->limit - start ? start : NO_PAGE;
}

/* The best that is known: no count free pages side by side begin below this one. */
static uint32_t hint_for(const struct space *space, uint32_t count)
{
    uint32_t from = space->hint[0];
    for (uint32_t n = 1; n < HINTS && count >> n != 0; n++)
        from = space->hint[n] > from ? space->hint[n] : from;
    return from;
}

/* What a search that began where it had to has shown: below end nothing begins for
   count. */
static void raise_hint(struct space *space, uint32_t count, uint32_t end)
{
    for (uint32_t n = 0; n < HINTS; n++) {
        if (count == UINT32_C(1) << n)
            space->hint[n] = end;
    }
}

static scn_status take_locked(struct space *space, uint32_t count, uint32_t *pgno)
{
    uint32_t found = find_free(space, hint_for(space, count), count);
    if (found == NO_PAGE) {
        raise_hint(space, count, space->limit);
        return SCN_FULL;
    }
    scn_status st = bitmap_grow(&space->now.used, found + count);
    if (st != SCN_OK)
        return st;
    bitmap_set(&space->now.used, found, count);
    raise_hint(space, count, found + count);
    *pgno = found;
    return SCN_OK;
}

scn_status space_take(struct space *space, uint32_t count, uint32_t *pgno)
{
    ASSERT(space->building != 0);
    ASSERT(count > 0);
    space_lock(space);
    scn_status st = take_locked(space, count, pgno);
    space_unlock(space);
    return st;
}

static scn_status adopt_locked(struct space *space, uint32_t pgno, uint32_t count)
{
    if (bitmap_has_any(&space->now.used, pgno, count))
        return two_owners(pgno, count);
    scn_status st = bitmap_grow(&space->now.used, pgno + count);
    if (st == SCN_OK)
        st = bitmap_grow(&space->adopted, pgno + count);
    if (st != SCN_OK)
        return st;
    bitmap_set(&space->now.used, pgno, count);
    for (uint32_t i = pgno; i < pgno + count; i++) {
        if (bitmap_get(&space->reserved, i))
            bitmap_set(&space->adopted, i, 1);
    }
    return SCN_OK;
}

scn_status space_adopt(struct space *space, uint32_t pgno, uint32_t count)
{
    ASSERT(space->building != 0);
    scn_status st = judge_bounds(pgno, count);
    if (st != SCN_OK)
        return st;
    space_lock(space);
    st = adopt_locked(space, pgno, count);
    space_unlock(space);
    return st;
}

/* Was one of these pages used by the generation before, and not freed? Then it is no new
   one. */
static bool is_older(const struct space *space, uint32_t pgno, uint32_t count)
{
    for (uint32_t i = pgno; i < pgno + count; i++) {
        if (bitmap_get(&space->before.used, i) && !bitmap_get(&space->before.freed, i))
            return true;
    }
    return false;
}

static scn_status free_locked(struct space *space, const struct ledger_range *range)
{
    struct ledger *now = &space->now;
    uint64_t off = (uint64_t)range->pgno * PAGE_BYTES;
    if (!bitmap_has_all(&now->used, range->pgno, range->count) ||
        bitmap_has_any(&now->freed, range->pgno, range->count))
        return error_corrupt(range->pgno, off,
                             "space: %u pages from page %u on are freed twice",
                             range->count, range->pgno);
    bool is_new = range->birth == space->building;
    if (range->birth > space->building ||
        (is_new && is_older(space, range->pgno, range->count)))
        return error_corrupt(range->pgno, off,
                             "space: page %u is older than its pointer says",
                             range->pgno);
    if (is_new) {
        bitmap_clear(&now->used, range->pgno, range->count);
        lower_hints(space, range->pgno);
        return SCN_OK;
    }
    return ledger_add_range(now, range);
}

scn_status space_free(struct space *space, uint32_t pgno, uint32_t count, uint64_t birth,
                      enum space_kind kind)
{
    ASSERT(space->building != 0);
    scn_status st = judge_bounds(pgno, count);
    if (st != SCN_OK)
        return st;
    struct ledger_range range = {.pgno = pgno,
                                 .count = count,
                                 .birth = birth,
                                 .freed = space->building,
                                 .kind = kind};
    space_lock(space);
    st = free_locked(space, &range);
    space_unlock(space);
    return st;
}

/* ---- writing the state ---- */

static scn_status free_chain(struct space *space)
{
    struct ledger *now = &space->now;
    for (uint32_t i = 0; i < now->own_count; i++) {
        scn_status st = space_free(space, now->own[i], 1, space->gen, SPACE_PAGES);
        if (st != SCN_OK)
            return st;
    }
    now->own_count = 0;
    /* space_held_by reads the ranges, in any thread. */
    space_lock(space);
    ledger_sort(now);
    space_unlock(space);
    return SCN_OK;
}

/* One free page, or up to as many as are missing where the file has to grow. */
static scn_status take_or_grow(struct space *space, uint32_t missing, space_grow_fn grow,
                               void *ctx, uint32_t *pgno, uint32_t *count)
{
    *count = 1;
    scn_status st = space_take(space, 1, pgno);
    if (st != SCN_FULL)
        return st;
    st = grow(ctx, missing, pgno, count);
    return st == SCN_OK ? space_adopt(space, *pgno, *count) : st;
}

/* Ends, and with exactly the pages that are needed: see above. */
static scn_status take_chain(struct space *space, space_grow_fn grow, void *ctx,
                             uint32_t *page_count)
{
    struct ledger *now = &space->now;
    *page_count = ledger_page_count(now);
    uint32_t needed = ledger_chain_pages(now, *page_count);
    while (now->own_count < needed) {
        uint32_t pgno = 0;
        uint32_t count = 0;
        scn_status st =
            take_or_grow(space, needed - now->own_count, grow, ctx, &pgno, &count);
        for (uint32_t i = 0; st == SCN_OK && i < count; i++)
            st = ledger_add_own(now, pgno + i);
        if (st != SCN_OK)
            return st;
        if (pgno + count > *page_count)
            *page_count = pgno + count;
        needed = ledger_chain_pages(now, *page_count);
    }
    ASSERT(now->own_count == needed);
    return SCN_OK;
}

scn_status space_encode(struct space *space, struct file *file, space_grow_fn grow,
                        void *ctx, struct page_ref *first, uint32_t *page_count,
                        uint32_t *needed_pages)
{
    ASSERT(space->building != 0);
    scn_status st = free_chain(space);
    if (st == SCN_OK)
        st = take_chain(space, grow, ctx, page_count);
    if (st == SCN_OK)
        st = ledger_write(&space->now, file, space->building, first);
    if (st == SCN_OK)
        *needed_pages = ledger_needed_pages(&space->now);
    return st;
}

void space_commit(struct space *space)
{
    ASSERT(space->building != 0);
    space_lock(space);
    for (uint32_t i = 0; i < space->adopted.word_count; i++) {
        if (space->adopted.words[i] == 0)
            continue;
        space->reserved.words[i] &= ~space->adopted.words[i];
        space->adopted.words[i] = 0;
    }
    struct ledger before = space->before;
    space->before = (struct ledger){0};
    space->gen = space->building;
    space->building = 0;
    space_unlock(space);
    ledger_destroy(&before);
}

void space_abandon(struct space *space)
{
    ASSERT(space->building != 0);
    space_lock(space);
    struct ledger failed = space->now;
    space->now = space->before;
    space->before = (struct ledger){0};
    bitmap_clear(&space->adopted, 0, space->adopted.word_count * 64);
    space->building = 0;
    space_unlock(space);
    ledger_destroy(&failed);
}

/* ---- statistics ---- */

void space_stat(struct space *space, struct space_stat *out)
{
    space_lock(space);
    const struct bitmap *used = &space->now.used;
    const struct bitmap *reserved = &space->reserved;
    uint32_t used_end = bitmap_end(used);
    uint32_t reserved_end = bitmap_end(reserved);
    uint64_t end = used_end > reserved_end ? used_end : reserved_end;
    uint64_t taken = 0;
    for (uint32_t i = 0; (uint64_t)i * 64 < end; i++) {
        uint64_t word = bitmap_word(used, i) | bitmap_word(reserved, i);
        taken += (uint64_t)__builtin_popcountll(word);
    }
    *out = (struct space_stat){
        .used_pages = bitmap_count(used),
        .freed_pages = bitmap_count(&space->now.freed),
        .free_pages = end - taken,
        .end_pages = end,
    };
    space_unlock(space);
}

void space_count(struct space *space, uint32_t *used_pages, uint32_t *freed_pages)
{
    space_lock(space);
    *used_pages = bitmap_count(&space->now.used);
    *freed_pages = bitmap_count(&space->now.freed);
    space_unlock(space);
}

bool space_is_used(struct space *space, uint32_t pgno)
{
    space_lock(space);
    bool is_used = bitmap_get(&space->now.used, pgno);
    space_unlock(space);
    return is_used;
}

uint64_t space_held_by(struct space *space, uint64_t gen)
{
    uint64_t pages = 0;
    space_lock(space);
    for (uint32_t i = 0; i < space->now.range_count; i++) {
        const struct ledger_range *range = &space->now.ranges[i];
        if (range->birth <= gen && gen < range->freed)
            pages += range->count;
    }
    space_unlock(space);
    return pages;
}

scn_status space_each_freed(struct space *space,
                            scn_status (*fn)(void *ctx, uint32_t pgno, uint32_t count,
                                             uint64_t birth, uint64_t freed),
                            void *ctx)
{
    scn_status st = SCN_OK;
    for (uint32_t i = 0; st == SCN_OK && i < space->now.range_count; i++) {
        const struct ledger_range *range = &space->now.ranges[i];
        st = fn(ctx, range->pgno, range->count, range->birth, range->freed);
    }
    return st;
}

scn_status space_each_own(struct space *space, scn_status (*fn)(void *ctx, uint32_t pgno),
                          void *ctx)
{
    scn_status st = SCN_OK;
    for (uint32_t i = 0; st == SCN_OK && i < space->now.own_count; i++)
        st = fn(ctx, space->now.own[i]);
    return st;
}
