/* Reservations: see reserved.h. */
#include "engine/reserved.h"

#include "page/mem.h"

static scn_status reserve_run(struct store *store, const struct run *run)
{
    scn_status st = SCN_OK;
    for (uint32_t i = 0; i < run->range_count && st == SCN_OK; i++)
        st = space_reserve(store->space, run->ranges[i].pgno, run->ranges[i].pages);
    return st;
}

static scn_status reserve_runs(struct store *store)
{
    const struct view *view = store->view;
    scn_status st = SCN_OK;
    for (uint32_t i = 0; i < view->source_count && st == SCN_OK; i++)
        if (view->sources[i].run)
            st = reserve_run(store, view->sources[i].run);
    return st;
}

static scn_status reserve_chain(struct store *store)
{
    uint32_t count = log_extents(store->log, NULL, 0);
    struct log_extent *chain = mem_alloc((count + 1) * sizeof *chain);
    scn_status st = chain ? SCN_OK : error_nomem();
    if (st == SCN_OK)
        count = log_extents(store->log, chain, count);
    for (uint32_t i = 0; i < count && st == SCN_OK; i++)
        st = space_reserve_rest(store->space, chain[i].pgno, chain[i].pages,
                                true);
    mem_free(chain);
    return st;
}

static scn_status reserve_spares(struct store *store)
{
    struct log_spare spares[LOG_SPARE_MAX];
    uint32_t count = log_spares(store->log, spares, LOG_SPARE_MAX);
    scn_status st = SCN_OK;
    for (uint32_t i = 0; i < count && st == SCN_OK; i++)
        st = space_reserve_rest(store->space, spares[i].pgno, spares[i].pages,
                                true);
    return st;
}

/* Who was stopped before he gave the lock back may still lock pages that a generation has
 * had, and freed, meanwhile. */
static scn_status reserve_grown(void *ctx, uint32_t pgno, uint32_t count)
{
    struct store *store = ctx;
    return space_reserve_rest(store->space, pgno, count, false);
}

scn_status reserve_all(struct store *store)
{
    space_forget_reservations(store->space);
    scn_status st = file_learn_size(&store->file);
    if (st == SCN_OK)
        st = reserve_runs(store);
    if (st == SCN_OK)
        st = reserve_chain(store);
    if (st == SCN_OK)
        st = reserve_spares(store);
    return st == SCN_OK ? grown_each(&store->grown, reserve_grown, store) : st;
}
