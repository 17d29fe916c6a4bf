/* The ledger: one generation's allocation as it lies on disk (page/space.h says what it
 * means, and has the other invariants).
 *
 * [A5] freed is a subset of used, and has exactly the pages of the ranges.
 * [A6] own lists the PAGE_SPACE pages that the ledger was read from or will be written
 *      to, in the order of the chain.  They are used and not freed.
 *
 * Not locked; used by page/space.c alone. */
#ifndef PAGE_LEDGER_H
#define PAGE_LEDGER_H

#include "page/bitmap.h"
#include "page/file.h"
#include "page/page.h"

struct ledger_range {
    uint32_t pgno;
    uint32_t count;
    uint64_t birth;
    uint64_t freed;
    uint32_t kind; /* enum space_kind */
};

/* Starts zeroed. */
struct ledger {
    struct bitmap used;
    struct bitmap freed;
    struct ledger_range *ranges;
    uint32_t range_count;
    uint32_t range_capacity;
    uint32_t *own;
    uint32_t own_count;
    uint32_t own_capacity;
};

void ledger_destroy(struct ledger *ledger);
/* to starts zeroed.  SCN_NOMEM: it still is. */
scn_status ledger_copy(struct ledger *to, const struct ledger *from) MUST_USE;

/* Adds a range that overlaps none of the others and sets its freed bits. */
scn_status ledger_add_range(struct ledger *ledger,
                            const struct ledger_range *range) MUST_USE;
/* Ranges ascend afterwards, and neighbours of equal birth, freed and kind are one. */
void ledger_sort(struct ledger *ledger);
scn_status ledger_add_own(struct ledger *ledger, uint32_t pgno) MUST_USE;

/* One past the highest used page; and one past the highest that is not freed either. */
uint32_t ledger_page_count(const struct ledger *ledger);
uint32_t ledger_needed_pages(const struct ledger *ledger);

/* Pages that the ledger fills on disk if it ends at page_count. */
uint32_t ledger_chain_pages(const struct ledger *ledger, uint32_t page_count);
/* Writes the ledger to its own pages, of which it has ledger_chain_pages; not synced.
   Sorted. */
scn_status ledger_write(const struct ledger *ledger, struct file *file, uint64_t gen,
                        struct page_ref *first) MUST_USE;
/* Fills a zeroed ledger.  Whatever fails, ledger_destroy releases it. */
scn_status ledger_load(struct ledger *ledger, struct file *file,
                       const struct page_ref *first, uint32_t page_count,
                       uint64_t gen) MUST_USE;
/* Of one page of a chain whose header is right: how many items it has, and the next one
 * of the chain, as they lie there. */
uint32_t ledger_page_items(const uint8_t *page, struct page_ref *next);

#endif
