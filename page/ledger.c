/* A generation's allocation on disk: see ledger.h, and docs/format.md, "Space pages".
 *
 * The ledger is a stream of items of 32 bytes, cut into pages that hold a whole number of
 * them, so that no item has two parts.
 *
 *     item 0   0 gen u64 | 8 page_count u32 | 12 range_count u32 | 16 zero, 16 B
 *     then     the bits of 256 pages each, page p in bit p % 8 of byte p / 8; zero from
 *              page_count on
 *     then     freed ranges, ascending:
 *              0 pgno u32 | 4 count u32 | 8 birth u64 | 16 freed u64 | 24 kind u32 |
 *              28 zero u32
 *     page     page header 64 B | next pointer 32 B, zeros in the last | items, up to the
 *              end of the page in all but the last
 *
 * Pages are written from the last to the first, so that each knows the pointer to its
 * next.
 *
 * What comes from disk is judged item by item, before anything is allocated for it:
 * memory grows with what was really read, whatever the counts say. A chain that runs in a
 * circle ends too, when it has as many pages as the file.
 *
 * We did not write only the pages of the ledger that changed. A TiB has 2 MiB of bits: 32
 * pages, beside the many a checkpoint of such a store writes anyway. */
#include "page/ledger.h"

#include "page/mem.h"
#include "page/pagecopy.h"

enum {
    NEXT_OFF = PAGE_HEADER_BYTES,
    ITEMS_OFF = NEXT_OFF + PAGE_REF_BYTES,
    ITEM_BYTES = 32,
    ITEM_WORDS = ITEM_BYTES / 8,
    ITEM_PAGES = ITEM_BYTES * 8, /* pages whose bits fill an item */
    PAGE_ITEMS = (PAGE_BYTES - ITEMS_OFF) / ITEM_BYTES,
    KIND_PAGES = 0,
    KIND_LAST = 1
};

_Static_assert((PAGE_BYTES - ITEMS_OFF) % ITEM_BYTES == 0,
               "items fill a page to its end");

void ledger_destroy(struct ledger *ledger)
{
    bitmap_destroy(&ledger->used);
    bitmap_destroy(&ledger->freed);
    mem_free(ledger->ranges);
    mem_free(ledger->own);
    *ledger = (struct ledger){0};
}

static scn_status array_copy(const void *from, size_t bytes, void **to)
{
    if (bytes == 0)
        return SCN_OK;
    *to = mem_alloc(bytes);
    if (*to == NULL)
        return error_nomem();
    memcpy(*to, from, bytes);
    return SCN_OK;
}

scn_status ledger_copy(struct ledger *to, const struct ledger *from)
{
    void *ranges = NULL;
    void *own = NULL;
    scn_status st = bitmap_copy(&to->used, &from->used);
    if (st == SCN_OK)
        st = bitmap_copy(&to->freed, &from->freed);
    if (st == SCN_OK)
        st = array_copy(from->ranges, from->range_count * sizeof *from->ranges, &ranges);
    if (st == SCN_OK)
        st = array_copy(from->own, from->own_count * sizeof *from->own, &own);
    to->ranges = ranges;
    to->own = own;
    if (st != SCN_OK) {
        ledger_destroy(to);
        return st;
    }
    to->range_count = to->range_capacity = from->range_count;
    to->own_count = to->own_capacity = from->own_count;
    return SCN_OK;
}

scn_status ledger_add_own(struct ledger *ledger, uint32_t pgno)
{
    scn_status st = mem_make_room(&ledger->own, &ledger->own_capacity,
                                  ledger->own_count + 1, sizeof *ledger->own);
    if (st == SCN_OK)
        ledger->own[ledger->own_count++] = pgno;
    return st;
}

/* True when b continues a.  Log extents stay apart: each is recycled as it is. */
static bool range_joins(const struct ledger_range *a, const struct ledger_range *b)
{
    return a->kind == KIND_PAGES && b->kind == KIND_PAGES &&
           a->pgno + a->count == b->pgno && a->birth == b->birth && a->freed == b->freed;
}

/* Most frees follow a tree whose pages were written in one go: joining with the last
 * range already keeps the list short; ledger_sort finds the rest. */
static scn_status append_range(struct ledger *ledger, const struct ledger_range *range)
{
    if (ledger->range_count > 0) {
        struct ledger_range *last = &ledger->ranges[ledger->range_count - 1];
        if (range_joins(last, range)) {
            last->count += range->count;
            return SCN_OK;
        }
    }
    scn_status st = mem_make_room(&ledger->ranges, &ledger->range_capacity,
                                  ledger->range_count + 1, sizeof *ledger->ranges);
    if (st == SCN_OK)
        ledger->ranges[ledger->range_count++] = *range;
    return st;
}

scn_status ledger_add_range(struct ledger *ledger, const struct ledger_range *range)
{
    scn_status st = bitmap_grow(&ledger->freed, range->pgno + range->count);
    if (st == SCN_OK)
        st = append_range(ledger, range);
    if (st == SCN_OK)
        bitmap_set(&ledger->freed, range->pgno, range->count);
    return st;
}

/* The heap over ranges[0, count) is right but perhaps at `at`. */
static void sift_down(struct ledger_range *ranges, uint32_t at, uint32_t count)
{
    while (at < count / 2) {
        uint32_t child = 2 * at + 1;
        if (child + 1 < count && ranges[child + 1].pgno > ranges[child].pgno)
            child++;
        if (ranges[at].pgno > ranges[child].pgno)
            return;
        struct ledger_range lower = ranges[at];
        ranges[at] = ranges[child];
        ranges[child] = lower;
        at = child;
    }
}

/* In place, and no order of frees makes it slow. */
static void heap_sort(struct ledger_range *ranges, uint32_t count)
{
    for (uint32_t i = count / 2; i > 0; i--)
        sift_down(ranges, i - 1, count);
    for (uint32_t i = count; i > 1; i--) {
        struct ledger_range highest = ranges[0];
        ranges[0] = ranges[i - 1];
        ranges[i - 1] = highest;
        sift_down(ranges, 0, i - 1);
    }
}

void ledger_sort(struct ledger *ledger)
{
    struct ledger_range *ranges = ledger->ranges;
    heap_sort(ranges, ledger->range_count);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < ledger->range_count; i++) {
        if (kept > 0 && range_joins(&ranges[kept - 1], &ranges[i]))
            ranges[kept - 1].count += ranges[i].count;
        else
            ranges[kept++] = ranges[i];
    }
    ledger->range_count = kept;
}

uint32_t ledger_page_count(const struct ledger *ledger)
{
    return bitmap_end(&ledger->used);
}

uint32_t ledger_needed_pages(const struct ledger *ledger)
{
    for (uint32_t i = ledger->used.word_count; i > 0; i--) {
        uint64_t needed = ledger->used.words[i - 1] & ~bitmap_word(&ledger->freed, i - 1);
        if (needed != 0)
            return i * 64 - (uint32_t)__builtin_clzll(needed);
    }
    return 0;
}

/* ---- writing ---- */

static uint32_t bit_items(uint32_t page_count)
{
    return (page_count + ITEM_PAGES - 1) / ITEM_PAGES;
}

static uint32_t item_count(const struct ledger *ledger, uint32_t page_count)
{
    return 1 + bit_items(page_count) + ledger->range_count;
}

uint32_t ledger_chain_pages(const struct ledger *ledger, uint32_t page_count)
{
    uint32_t items = item_count(ledger, page_count);
    return items / PAGE_ITEMS + (items % PAGE_ITEMS != 0);
}

static void put_range(const struct ledger_range *range, uint8_t *at)
{
    put_u32(at, range->pgno);
    put_u32(at + 4, range->count);
    put_u64(at + 8, range->birth);
    put_u64(at + 16, range->freed);
    put_u32(at + 24, range->kind);
}

static void put_item(const struct ledger *ledger, uint64_t gen, uint32_t page_count,
                     uint32_t idx, uint8_t *at)
{
    memset(at, 0, ITEM_BYTES);
    if (idx == 0) {
        put_u64(at, gen);
        put_u32(at + 8, page_count);
        put_u32(at + 12, ledger->range_count);
    } else if (idx <= bit_items(page_count)) {
        for (uint32_t i = 0; i < ITEM_WORDS; i++)
            put_u64(at + 8 * i, bitmap_word(&ledger->used, (idx - 1) * ITEM_WORDS + i));
    } else {
        put_range(&ledger->ranges[idx - 1 - bit_items(page_count)], at);
    }
}

static scn_status write_chain(const struct ledger *ledger, struct file *file,
                              uint64_t gen, uint8_t *page, struct page_ref *first)
{
    uint32_t page_count = ledger_page_count(ledger);
    uint32_t items = item_count(ledger, page_count);
    struct page_ref next = {0};
    ASSERT(ledger->own_count == ledger_chain_pages(ledger, page_count));
    for (uint32_t i = ledger->own_count; i > 0; i--) {
        uint32_t from = (i - 1) * PAGE_ITEMS;
        uint32_t count = items - from < PAGE_ITEMS ? items - from : PAGE_ITEMS;
        page_ref_encode(&next, page + NEXT_OFF);
        for (uint32_t k = 0; k < count; k++)
            put_item(ledger, gen, page_count, from + k,
                     page + ITEMS_OFF + k * ITEM_BYTES);
        page_seal(page, PAGE_SPACE, 0, 0, ledger->own[i - 1], gen,
                  ITEMS_OFF + count * ITEM_BYTES, &next);
        scn_status st = file_write_pages(file, ledger->own[i - 1], page, 1);
        if (st != SCN_OK)
            return st;
    }
    *first = next;
    return SCN_OK;
}

scn_status ledger_write(const struct ledger *ledger, struct file *file, uint64_t gen,
                        struct page_ref *first)
{
    uint8_t *page = mem_alloc(PAGE_BYTES);
    if (page == NULL)
        return error_nomem();
    scn_status st = write_chain(ledger, file, gen, page, first);
    mem_free(page);
    return st;
}

/* ---- loading ---- */

struct loader {
    struct file *file;
    uint8_t *page;
    struct page_ref next;
    uint32_t pgno;       /* of page; 0: none yet */
    uint32_t item_count; /* of page */
    uint32_t item;       /* the next one */
    uint32_t page_count;
    uint32_t range_count;
    uint64_t gen;
};

static scn_status loader_fault(const struct loader *loader, const char *what)
{
    uint64_t off = (uint64_t)loader->pgno * PAGE_BYTES;
    if (loader->item > 0)
        off += ITEMS_OFF + (uint64_t)(loader->item - 1) * ITEM_BYTES;
    return error_corrupt(loader->pgno, off, "space: page %u: %s", loader->pgno, what);
}

static scn_status judge_next(const struct loader *loader)
{
    const struct page_ref *next = &loader->next;
    if (page_ref_is_null(next))
        return loader_fault(loader, "the state ends early");
    if (loader->pgno != 0 && loader->item_count != PAGE_ITEMS)
        return loader_fault(loader, "it is not full, but not the last");
    if (next->type != PAGE_SPACE || next->level != 0 || next->birth_gen != loader->gen)
        return loader_fault(loader, "a pointer to something else");
    if (next->pgno < FIRST_FREE_PAGE_NO || next->pgno >= loader->page_count)
        return loader_fault(loader, "a pointer out of the file");
    return SCN_OK;
}

static scn_status load_page(struct loader *loader, struct ledger *ledger)
{
    scn_status st = judge_next(loader);
    if (st == SCN_OK && ledger->own_count >= atomic_load(&loader->file->page_count))
        st = loader_fault(loader, "a longer state than the file has pages");
    if (st == SCN_OK)
        st = pagecopy_read(loader->file, &loader->next, loader->page);
    if (st == SCN_OK)
        st = ledger_add_own(ledger, loader->next.pgno);
    if (st != SCN_OK)
        return st;
    struct page_header header;
    page_header_decode(loader->page, &header);
    loader->pgno = loader->next.pgno;
    loader->item = 0;
    if (header.used < ITEMS_OFF + ITEM_BYTES ||
        (header.used - ITEMS_OFF) % ITEM_BYTES != 0)
        return loader_fault(loader, "its length is no number of items");
    loader->item_count = (header.used - ITEMS_OFF) / ITEM_BYTES;
    loader->next = page_ref_decode(loader->page + NEXT_OFF);
    return SCN_OK;
}

static scn_status next_item(struct loader *loader, struct ledger *ledger,
                            const uint8_t **at)
{
    if (loader->item == loader->item_count) {
        scn_status st = load_page(loader, ledger);
        if (st != SCN_OK)
            return st;
    }
    *at = loader->page + ITEMS_OFF + loader->item * ITEM_BYTES;
    loader->item++;
    return SCN_OK;
}

static scn_status load_head(struct loader *loader, struct ledger *ledger)
{
    const uint8_t *at;
    scn_status st = next_item(loader, ledger, &at);
    if (st != SCN_OK)
        return st;
    loader->range_count = get_u32(at + 12);
    if (get_u64(at) != loader->gen)
        return loader_fault(loader, "the state of another generation");
    if (get_u32(at + 8) != loader->page_count)
        return loader_fault(loader, "its page count is not the superblock's");
    if (loader->range_count > loader->page_count)
        return loader_fault(loader, "more freed ranges than pages");
    if (!bytes_are_zero(at + 16, ITEM_BYTES - 16))
        return loader_fault(loader, "reserved bytes are not zero");
    return SCN_OK;
}

static scn_status load_bits(struct loader *loader, struct ledger *ledger)
{
    for (uint32_t done = 0; done < loader->page_count; done += ITEM_PAGES) {
        const uint8_t *at;
        scn_status st = next_item(loader, ledger, &at);
        if (st == SCN_OK)
            st = bitmap_grow(&ledger->used, done + ITEM_PAGES);
        if (st != SCN_OK)
            return st;
        for (uint32_t i = 0; i < ITEM_WORDS; i++)
            ledger->used.words[done / 64 + i] = get_u64(at + 8 * i);
    }
    if (ledger_page_count(ledger) != loader->page_count)
        return loader_fault(loader, "its bits do not end with its page count");
    if (!bitmap_has_all(&ledger->used, 0, FIRST_FREE_PAGE_NO))
        return loader_fault(loader, "the fixed pages are not used");
    return SCN_OK;
}

static const char *range_fault(const struct loader *loader, const struct ledger *ledger,
                               const struct ledger_range *range)
{
    uint32_t floor = FIRST_FREE_PAGE_NO;
    if (ledger->range_count > 0) {
        const struct ledger_range *last = &ledger->ranges[ledger->range_count - 1];
        floor = last->pgno + last->count;
    }
    if (range->pgno < floor)
        return "freed ranges overlap, or do not ascend";
    if (range->count == 0 || (uint64_t)range->pgno + range->count > loader->page_count)
        return "a freed range out of the file";
    if (range->birth >= range->freed || range->freed > loader->gen)
        return "a freed range with impossible generations";
    if (range->kind > KIND_LAST)
        return "a freed range of an unknown kind";
    if (!bitmap_has_all(&ledger->used, range->pgno, range->count))
        return "a freed range that is not used";
    return NULL;
}

static scn_status load_range(struct loader *loader, struct ledger *ledger)
{
    const uint8_t *at;
    scn_status st = next_item(loader, ledger, &at);
    if (st != SCN_OK)
        return st;
    struct ledger_range range = {.pgno = get_u32(at),
                                 .count = get_u32(at + 4),
                                 .birth = get_u64(at + 8),
                                 .freed = get_u64(at + 16),
                                 .kind = get_u32(at + 24)};
    const char *fault = range_fault(loader, ledger, &range);
    if (fault == NULL && get_u32(at + 28) != 0)
        fault = "reserved bytes are not zero";
    return fault == NULL ? ledger_add_range(ledger, &range) : loader_fault(loader, fault);
}

/* [A6], and no page is there twice: it would be freed twice. */
static scn_status judge_own(const struct ledger *ledger, struct bitmap *seen)
{
    for (uint32_t i = 0; i < ledger->own_count; i++) {
        uint32_t pgno = ledger->own[i];
        uint64_t off = (uint64_t)pgno * PAGE_BYTES;
        if (!bitmap_get(&ledger->used, pgno) || bitmap_get(&ledger->freed, pgno))
            return error_corrupt(pgno, off, "space: page %u holds the state, but is free",
                                 pgno);
        if (bitmap_get(seen, pgno))
            return error_corrupt(pgno, off, "space: page %u is in the state twice", pgno);
        bitmap_set(seen, pgno, 1);
    }
    return SCN_OK;
}

static scn_status load_end(const struct loader *loader, const struct ledger *ledger)
{
    if (loader->item != loader->item_count || !page_ref_is_null(&loader->next) ||
        !bytes_are_zero(loader->page + NEXT_OFF, PAGE_REF_BYTES))
        return loader_fault(loader, "it goes on behind the state");
    struct bitmap seen = {0};
    scn_status st = bitmap_grow(&seen, loader->page_count);
    if (st == SCN_OK)
        st = judge_own(ledger, &seen);
    bitmap_destroy(&seen);
    return st;
}

static scn_status load_chain(struct loader *loader, struct ledger *ledger)
{
    scn_status st = load_head(loader, ledger);
    if (st == SCN_OK)
        st = load_bits(loader, ledger);
    for (uint32_t i = 0; st == SCN_OK && i < loader->range_count; i++)
        st = load_range(loader, ledger);
    return st == SCN_OK ? load_end(loader, ledger) : st;
}

scn_status ledger_load(struct ledger *ledger, struct file *file,
                       const struct page_ref *first, uint32_t page_count, uint64_t gen)
{
    if (page_count < FIRST_FREE_PAGE_NO || page_count > FILE_PAGES_MAX)
        return error_corrupt(0, 0, "space: a file of %u pages is impossible", page_count);
    struct loader loader = {
        .file = file, .next = *first, .page_count = page_count, .gen = gen};
    scn_status st = pagecopy_reserve(&loader.page);
    if (st == SCN_OK)
        st = load_chain(&loader, ledger);
    pagecopy_free(loader.page);
    return st;
}

uint32_t ledger_page_items(const uint8_t *page, struct page_ref *next)
{
    struct page_header header;
    page_header_decode(page, &header);
    *next = page_ref_decode(page + NEXT_OFF);
    return header.used < ITEMS_OFF ? 0 : (header.used - ITEMS_OFF) / ITEM_BYTES;
}
