/* Pages of merged runs: see runpages.h. */
#include "engine/runpages.h"

#include "page/mem.h"

#include <stdlib.h>

static int by_page(const void *left, const void *right)
{
    const struct run_range *a = left;
    const struct run_range *b = right;
    return (a->pgno > b->pgno) - (a->pgno < b->pgno);
}

static scn_status add_run(struct run_pages *pages, const struct run *run,
                          struct space *space)
{
    for (uint32_t i = 0; i < run->range_count; i++) {
        struct run_range *range = &pages->ranges[pages->count];
        *range = (struct run_range){.pgno = run->ranges[i].pgno,
                                    .pages = run->ranges[i].pages,
                                    .birth_gen = run->birth_gen};
        range->survives = mem_zalloc((range->pages / 64 + 1) * sizeof(uint64_t));
        if (range->survives == NULL)
            return error_nomem();
        pages->count++;
        scn_status st = space_adopt(space, range->pgno, range->pages);
        if (st < 0)
            return st;
    }
    return SCN_OK;
}

scn_status run_pages_adopt(struct run_pages *pages, const struct source *sources,
                           uint32_t source_count, struct space *space)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < source_count; i++)
        count += sources[i].run ? sources[i].run->range_count : 0;
    *pages = (struct run_pages){0};
    if (count == 0)
        return SCN_OK;
    pages->ranges = mem_alloc(count * sizeof *pages->ranges);
    if (pages->ranges == NULL)
        return error_nomem();
    scn_status st = SCN_OK;
    for (uint32_t i = 0; i < source_count && st == SCN_OK; i++)
        if (sources[i].run)
            st = add_run(pages, sources[i].run, space);
    qsort(pages->ranges, pages->count, sizeof *pages->ranges, by_page);
    return st;
}

static struct run_range *find(struct run_pages *pages, uint32_t pgno)
{
    uint32_t low = 0;
    uint32_t high = pages->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        struct run_range *range = &pages->ranges[middle];
        if (pgno < range->pgno)
            high = middle;
        else if (pgno - range->pgno >= range->pages)
            low = middle + 1;
        else
            return range;
    }
    return NULL;
}

void run_pages_keep(struct run_pages *pages, uint32_t pgno, uint32_t count)
{
    struct run_range *range = NULL;
    for (uint32_t i = 0; i < count; i++, pgno++) {
        if (range == NULL || pgno - range->pgno >= range->pages)
            range = find(pages, pgno);
        if (range == NULL)
            continue;
        uint32_t bit = pgno - range->pgno;
        range->survives[bit / 64] |= UINT64_C(1) << (bit % 64);
    }
}

static bool survives(const struct run_range *range, uint32_t bit)
{
    return (range->survives[bit / 64] >> (bit % 64)) & 1;
}

scn_status run_pages_free_rest(struct run_pages *pages, struct space *space)
{
    for (uint32_t i = 0; i < pages->count; i++) {
        struct run_range *range = &pages->ranges[i];
        for (uint32_t from = 0, to; from < range->pages; from = to + 1) {
            for (to = from; to < range->pages && !survives(range, to); to++)
                ;
            if (to == from)
                continue;
            scn_status st = space_free(space, range->pgno + from, to - from,
                                       range->birth_gen, SPACE_PAGES);
            if (st < 0)
                return st;
        }
    }
    return SCN_OK;
}

void run_pages_destroy(struct run_pages *pages)
{
    for (uint32_t i = 0; i < pages->count; i++)
        mem_free(pages->ranges[i].survives);
    mem_free(pages->ranges);
    *pages = (struct run_pages){0};
}
