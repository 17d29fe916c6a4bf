/* Owners of pages: see claims.h. */
#include "engine/claims.h"

#include "page/mem.h"

static scn_status mark_freed(void *ctx, uint32_t pgno, uint32_t count, uint64_t birth,
                             uint64_t freed)
{
    struct claims *claims = ctx;
    (void)birth;
    (void)freed;
    scn_status st = bitmap_grow(&claims->freed, pgno + count);
    if (st == SCN_OK)
        bitmap_set(&claims->freed, pgno, count);
    return st;
}

static scn_status copy_space(struct claims *claims, struct space *space)
{
    struct space_stat stat;
    space_stat(space, &stat);
    scn_status st = bitmap_grow(&claims->used, (uint32_t)stat.end_pages);
    for (uint32_t pgno = 0; st == SCN_OK && pgno < stat.end_pages; pgno++)
        if (space_is_used(space, pgno))
            bitmap_set(&claims->used, pgno, 1);
    return st < 0 ? st : space_each_freed(space, mark_freed, claims);
}

scn_status claims_init(struct claims *claims, struct findings *findings,
                       struct space *space, uint32_t page_count)
{
    *claims =
        (struct claims){.findings = findings, .page_count = page_count, .is_whole = true};
    scn_status st = bitmap_grow(&claims->seen, page_count);
    if (st == SCN_OK)
        st = bitmap_grow(&claims->shared, page_count);
    if (st == SCN_OK && space)
        st = copy_space(claims, space);
    if (st < 0)
        return st;
    /* Untouched memory costs nothing. */
    claims->live = mem_zalloc((size_t)page_count * sizeof *claims->live);
    return claims->live ? SCN_OK : error_nomem();
}

void claims_destroy(struct claims *claims)
{
    bitmap_destroy(&claims->used);
    bitmap_destroy(&claims->freed);
    bitmap_destroy(&claims->seen);
    bitmap_destroy(&claims->shared);
    mem_free(claims->live);
    *claims = (struct claims){0};
}

/* ---- one claim ---- */

static scn_status add(struct claims *claims, uint32_t kind, uint32_t pgno,
                      const char *owner, const char *what)
{
    return findings_add(claims->findings, kind, pgno, (uint64_t)pgno * PAGE_BYTES,
                        "page %u of %s %s", pgno, owner, what);
}

static bool has_space(const struct claims *claims)
{
    return claims->used.word_count > 0;
}

/* Against the allocation state.  One finding a claim. */
static scn_status judge_space(struct claims *claims, uint32_t pgno, uint32_t count,
                              enum claim_kind kind, const char *owner)
{
    if (!has_space(claims) || kind == CLAIM_EITHER)
        return SCN_OK;
    for (uint32_t i = pgno; i < pgno + count; i++) {
        if (kind == CLAIM_LATER && bitmap_get(&claims->used, i))
            return add(claims, SCN_ISSUE_SPACE, i, owner,
                       "has another owner in the allocation state");
        if (kind == CLAIM_USED && !bitmap_get(&claims->used, i))
            return add(claims, SCN_ISSUE_SPACE, i, owner,
                       "is free in the allocation state");
        if (kind == CLAIM_USED && bitmap_get(&claims->freed, i))
            return add(claims, SCN_ISSUE_SPACE, i, owner,
                       "is freed in the allocation state");
    }
    return SCN_OK;
}

static bool is_in_file(const struct claims *claims, uint32_t pgno, uint32_t count)
{
    return pgno < claims->page_count && count <= claims->page_count - pgno;
}

static scn_status outside(struct claims *claims, uint32_t pgno, const char *owner)
{
    claims->is_whole = false;
    return add(claims, SCN_ISSUE_PAGE, pgno, owner, "lies outside the file");
}

scn_status claims_take(struct claims *claims, uint32_t pgno, uint32_t count,
                       enum claim_kind kind, const char *owner, bool *is_new)
{
    *is_new = false;
    if (!is_in_file(claims, pgno, count))
        return outside(claims, pgno, owner);
    for (uint32_t i = pgno; i < pgno + count; i++)
        if (bitmap_get(&claims->seen, i))
            return add(claims, SCN_ISSUE_SHARED, i, owner, "has a second owner");
    *is_new = true;
    bitmap_set(&claims->seen, pgno, count);
    return judge_space(claims, pgno, count, kind, owner);
}

scn_status claims_share(struct claims *claims, uint32_t pgno, enum claim_kind kind,
                        const char *owner, uint64_t bytes, bool *is_new, bool *is_bad)
{
    scn_status st = SCN_OK;
    *is_bad = false;
    *is_new = false;
    if (!is_in_file(claims, pgno, 1) || !bitmap_get(&claims->shared, pgno)) {
        st = claims_take(claims, pgno, 1, kind, owner, is_new);
        *is_bad = !*is_new;
        if (st != SCN_OK || *is_bad)
            return st;
        bitmap_set(&claims->shared, pgno, 1);
    }
    /* Values of a run have no row in the usage table yet. */
    if (kind == CLAIM_USED &&
        __builtin_add_overflow(claims->live[pgno], bytes, &claims->live[pgno]))
        st = add(claims, SCN_ISSUE_USAGE, pgno, owner,
                 "has more values than a page can hold");
    return st;
}

/* ---- the end ---- */

static bool is_lost(const struct claims *claims, uint32_t pgno)
{
    return bitmap_get(&claims->used, pgno) && !bitmap_get(&claims->freed, pgno) &&
           !bitmap_get(&claims->seen, pgno);
}

/* Where a part of a tree could not be read, its pages have no owner either: that says
 * nothing new. */
scn_status claims_judge(struct claims *claims)
{
    uint32_t end = bitmap_end(&claims->used);
    scn_status st = SCN_OK;
    if (!claims->is_whole)
        return SCN_OK;
    for (uint32_t from = 0, to; from < end && st == SCN_OK; from = to + 1) {
        for (to = from; to < end && is_lost(claims, to); to++)
            ;
        if (to > from)
            st = findings_add(
                claims->findings, SCN_ISSUE_LOST, from, (uint64_t)from * PAGE_BYTES,
                "%u pages from page %u on are used, but nothing leads to them", to - from,
                from);
    }
    return st;
}
