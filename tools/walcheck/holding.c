/* Owners of pages: see holding.h. */
#include "tools/walcheck/holding.h"

#include "page/mem.h"

#include <inttypes.h>

static scn_status mark_freed(void *ctx, uint32_t pgno, uint32_t count, uint64_t birth,
                             uint64_t freed)
{
    struct holdings *holdings = ctx;
    (void)birth;
    (void)freed;
    scn_status st = bitmap_grow(&holdings->freed, pgno + count);
    if (st == SCN_OK)
        bitmap_set(&holdings->freed, pgno, count);
    return st;
}

static scn_status copy_space(struct holdings *holdings, struct space *space)
{
    struct space_stat stat;
    space_stat(space, &stat);
    uint32_t end = (uint32_t)stat.end_pages;
    scn_status st = bitmap_grow(&holdings->used, end);
    for (uint32_t pgno = 0; st == SCN_OK && pgno < end; pgno++)
        if (space_is_used(space, pgno))
            bitmap_set(&holdings->used, pgno, 1);
    return st < 0 ? st : space_each_freed(space, mark_freed, holdings);
}

scn_status holdings_init(struct holdings *holdings, struct findings *findings,
                         struct space *space, uint32_t page_count)
{
    *holdings = (struct holdings){
        .findings = findings, .page_count = page_count, .is_whole = true};
    holdings->has_space = space != NULL;
    scn_status st = bitmap_grow(&holdings->seen, page_count);
    if (st == SCN_OK)
        st = bitmap_grow(&holdings->shared, page_count);
    if (st == SCN_OK && space)
        st = copy_space(holdings, space);
    if (st < 0)
        return st;
    /* Untouched memory costs nothing. */
    holdings->live = mem_zalloc((size_t)page_count * sizeof *holdings->live + 1);
    return holdings->live ? SCN_OK : error_nomem();
}

void holdings_destroy(struct holdings *holdings)
{
    bitmap_destroy(&holdings->used);
    bitmap_destroy(&holdings->freed);
    bitmap_destroy(&holdings->seen);
    bitmap_destroy(&holdings->shared);
    mem_free(holdings->live);
    *holdings = (struct holdings){0};
}

/* ---- one claim ---- */

static void add(struct holdings *holdings, enum finding_kind kind, uint32_t pgno,
                const char *owner, const char *what)
{
    findings_note(holdings->findings, kind, pgno, (uint64_t)pgno * PAGE_BYTES,
                  "page %" PRIu32 " of %s %s", pgno, owner, what);
}

/* Against the allocation state: NULL, or what disagrees. */
static const char *space_fault(const struct holdings *holdings, uint32_t pgno,
                               enum holding_kind kind)
{
    bool is_used = bitmap_get(&holdings->used, pgno);
    if (kind == HOLDING_LATER)
        return is_used ? "has another owner in the allocation state" : NULL;
    if (!is_used)
        return "is free in the allocation state";
    return bitmap_get(&holdings->freed, pgno) ? "is freed in the allocation state" : NULL;
}

/* One finding a claim. */
static void judge_space(struct holdings *holdings, uint32_t pgno, uint32_t count,
                        enum holding_kind kind, const char *owner)
{
    const char *fault = NULL;
    if (!holdings->has_space || kind == HOLDING_EITHER)
        return;
    for (uint32_t i = pgno; i < pgno + count && !fault; i++) {
        fault = space_fault(holdings, i, kind);
        if (fault)
            add(holdings, FINDING_SPACE, i, owner, fault);
    }
}

static bool is_in_file(const struct holdings *holdings, uint32_t pgno, uint32_t count)
{
    return pgno < holdings->page_count && count <= holdings->page_count - pgno;
}

bool holdings_take(struct holdings *holdings, uint32_t pgno, uint32_t count,
                   enum holding_kind kind, const char *owner)
{
    if (!is_in_file(holdings, pgno, count)) {
        holdings->is_whole = false;
        add(holdings, FINDING_PAGE, pgno, owner, "lies outside the file");
        return false;
    }
    for (uint32_t i = pgno; i < pgno + count; i++)
        if (bitmap_get(&holdings->seen, i)) {
            add(holdings, FINDING_SHARED, i, owner, "has a second owner");
            return false;
        }
    bitmap_set(&holdings->seen, pgno, count);
    judge_space(holdings, pgno, count, kind, owner);
    return true;
}

bool holdings_share(struct holdings *holdings, uint32_t pgno, enum holding_kind kind,
                    const char *owner, uint64_t bytes)
{
    if (!is_in_file(holdings, pgno, 1) || !bitmap_get(&holdings->shared, pgno)) {
        if (!holdings_take(holdings, pgno, 1, kind, owner))
            return false;
        bitmap_set(&holdings->shared, pgno, 1);
    }
    /* Values of a run have no row in the usage table yet. */
    if (kind == HOLDING_OLD &&
        __builtin_add_overflow(holdings->live[pgno], bytes, &holdings->live[pgno]))
        add(holdings, FINDING_USAGE, pgno, owner,
            "has more values than a page can hold");
    return true;
}

/* ---- the end ---- */

static bool is_lost(const struct holdings *holdings, uint32_t pgno)
{
    return bitmap_get(&holdings->used, pgno) && !bitmap_get(&holdings->freed, pgno) &&
           !bitmap_get(&holdings->seen, pgno);
}

/* Where a part of a tree could not be read its pages have no owner either: that says
 * nothing new. */
void holdings_judge(struct holdings *holdings)
{
    uint32_t end = holdings->is_whole ? bitmap_end(&holdings->used) : 0;
    for (uint32_t from = 0, to; from < end; from = to + 1) {
        for (to = from; to < end && is_lost(holdings, to); to++)
            ;
        if (to > from)
            findings_note(holdings->findings, FINDING_LEAK, from,
                          (uint64_t)from * PAGE_BYTES,
                          "%" PRIu32 " pages from page %" PRIu32
                          " on are used, but nothing leads to them",
                          to - from, from);
    }
}
