/* Allocation: which pages are free, which will be, and which are spoken for.
 *
 * State of a generation, written whole as fresh PAGE_SPACE pages by every checkpoint:
 *   - one bit a page: used or free, for pages below the superblock's page_count;
 *   - freed ranges {pgno, count, birth, freed, kind}: no longer reachable from the
 *     newest generation, but perhaps from the older slot or from a snapshot.  Their bits
 *     are set.
 * In memory besides: reserved ranges, which belong to somebody whom no generation knows
 * yet (a bulk run being built or waiting to be merged, a log extent linked or made ready
 * behind the freeze point). On disk they count as free: every allocation comes after
 * replay of the log to its end, and replay reserves them again.
 *
 * [A1] A page freed by generation F is given out only when building F+2 or later, i.e.
 *      after superblock F+1 is durable: both slots then stand on F or later.
 * [A2] and only if no live snapshot holds a generation g with birth <= g < freed.
 * [A3] Log extents are freed by the same rule, so the older slot's log stays.
 * [A4] Only the holder of the checkpoint lock takes pages or frees them.  Reserving and
 *      releasing a reservation is for any thread.
 *
 * Life of a checkpoint: space_begin -> take, free ... -> space_encode -> superblock
 * durable -> space_commit; or space_abandon, which restores the state of space_begin.
 * After any of these failed, only space_abandon is of use. Functions without a word about
 * threads are for the holder of the checkpoint lock. */
#ifndef PAGE_SPACE_H
#define PAGE_SPACE_H

#include "page/file.h"
#include "page/page.h"
#include "page/superblock.h"

enum space_kind { SPACE_PAGES = 0, SPACE_LOG = 1 };

struct space;

scn_status space_create(struct sys *sys, struct space **out) MUST_USE;
void space_destroy(struct space *space);

/* Loads the state that a superblock leads to. page_count is the superblock's. Each page
 * of the chain is checked; SCN_CORRUPT names it and leaves the space as it was. The pages
 * of the chain themselves are used pages. Reservations stay, except on pages that the
 * loaded state uses: those have found their generation. Not between space_begin and its
 * end. */
scn_status space_load(struct space *space, struct file *file,
                      const struct page_ref *first, uint32_t page_count,
                      uint64_t gen) MUST_USE;
/* After loading, before anybody reserves: what [A1] and [A2] allow is free.  After a
 * fallback to the older slot such pages may have become log extents or runs since, and
 * their owners are about to reserve them. */
void space_mature(struct space *space, const uint64_t *pins, uint32_t pin_count);
/* State of a new file: the fixed pages and the first extent are used. */
scn_status space_init_new(struct space *space, uint32_t used_pages) MUST_USE;

/* Any thread.  Reserving what is reserved or used already is SCN_CORRUPT (two owners). */
scn_status space_reserve(struct space *space, uint32_t pgno, uint32_t count) MUST_USE;
/* Those of the range that are neither used nor reserved yet: what is used is safe as long
 * as it is not freed, for a freed page will be given out.  is_needed: such a page is
 * SCN_CORRUPT (two owners).  Otherwise it stays freed: who says that it is his has not
 * heard yet that it has become the generation's.  SCN_CORRUPT (no such pages),
 * SCN_NOMEM. */
scn_status space_reserve_rest(struct space *space, uint32_t pgno, uint32_t count,
                              bool is_needed) MUST_USE;
/* All reservations end.  Not between space_begin and its end. */
void space_forget_reservations(struct space *space);
void space_unreserve(struct space *space, uint32_t pgno, uint32_t count);

/* Starts building gen, which is greater than the current one. Matures what [A1] and [A2]
 * allow: pins are the live generations, ascending. Matured SPACE_LOG ranges of exactly
 * extent_pages go to the caller as spares (lowest first, up to spare_room, *spare_count
 * tells; their bits stay set, and space_free with birth gen gives back those that the
 * caller does not want); all else becomes free. file_pages is the size of the file at a
 * moment when, under the append lock, everybody who had grown it was used or reserved
 * here: pages from there on are never given out by space_take, since they may be
 * somebody's who has not said so yet. */
scn_status space_begin(struct space *space, uint64_t gen, const uint64_t *pins,
                       uint32_t pin_count, uint32_t file_pages, uint32_t extent_pages,
                       uint32_t spare_room, struct log_spare *spares,
                       uint32_t *spare_count) MUST_USE;
/* Lowest free contiguous pages in the file as it was at space_begin; SCN_FULL (no
 * sentence) when there are none and the caller takes fewer, or has to grow the file and
 * space_adopt the new range.  Searches for 2, 4, ... 32 are remembered: all of them
 * together pass over the bits a few times in a generation. */
scn_status space_take(struct space *space, uint32_t count, uint32_t *pgno) MUST_USE;
/* A range that was free, reserved or grown becomes used by the generation being built; a
 * reservation on it ends with space_commit. */
scn_status space_adopt(struct space *space, uint32_t pgno, uint32_t count) MUST_USE;
/* A used range is no longer reachable from the generation being built. Pages taken in the
 * same generation (birth == gen) become free at once; birth is not above the link_gen of
 * the pointer. A page that is not used is SCN_CORRUPT (double free), and so is a birth
 * that cannot be. */
scn_status space_free(struct space *space, uint32_t pgno, uint32_t count, uint64_t birth,
                      enum space_kind kind) MUST_USE;
/* Pages by which the file was made longer: *count of them from *pgno on, one at least and
 * no more than `wanted`. */
typedef scn_status (*space_grow_fn)(void *ctx, uint32_t wanted, uint32_t *pgno,
                                    uint32_t *count);
/* Takes the pages it needs, frees the previous chain, and writes the state (not synced);
 * grow is called when the file has no free page, for pages that nobody has reserved. It
 * may lock what it needs: the space is not locked meanwhile. Once a generation, after the
 * last take and free. *page_count is one past the highest used page, *needed_pages one
 * past the highest that is not freed either: both for the superblock. */
scn_status space_encode(struct space *space, struct file *file, space_grow_fn grow,
                        void *ctx, struct page_ref *first, uint32_t *page_count,
                        uint32_t *needed_pages) MUST_USE;
void space_commit(struct space *space);
/* Exactly the state at space_begin, but for reservations that other threads made or
 * released meanwhile; those that space_adopt ended are back. */
void space_abandon(struct space *space);

/* Statistics and checks; any thread. */
struct space_stat {
    uint64_t used_pages;  /* freed ones included */
    uint64_t freed_pages; /* waiting for [A1] and [A2] */
    uint64_t free_pages;  /* below the end of the last used or reserved page */
    uint64_t end_pages;   /* one past the last used or reserved page */
};
void space_stat(struct space *space, struct space_stat *out);
/* Of the generation being built, as it was encoded. */
void space_count(struct space *space, uint32_t *used_pages, uint32_t *freed_pages);
bool space_is_used(struct space *space, uint32_t pgno);
/* [A2] seen from a reader: freed pages that a snapshot of generation gen keeps. */
uint64_t space_held_by(struct space *space, uint64_t gen);

/* Calls fn for each freed range. */
scn_status space_each_freed(struct space *space,
                            scn_status (*fn)(void *ctx, uint32_t pgno, uint32_t count,
                                             uint64_t birth, uint64_t freed),
                            void *ctx) MUST_USE;
/* Calls fn for each page of the current chain of PAGE_SPACE pages. */
scn_status space_each_own(struct space *space, scn_status (*fn)(void *ctx, uint32_t pgno),
                          void *ctx) MUST_USE;

#endif
