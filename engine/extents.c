/* The log's extents in a checkpoint: see extents.h. */
#include "engine/extents.h"

#include "engine/peers.h"
#include "engine/room.h"
#include "page/mem.h"

/* Of those that were listed before.  Nobody else could list them later. */
static void give_back_unlisted(struct store *store, const struct log_spare *had,
                               uint32_t had_count)
{
    struct log_spare listed[LOG_SPARE_MAX];
    uint32_t count = log_spares(store->log, listed, LOG_SPARE_MAX);
    for (uint32_t i = 0; i < had_count; i++) {
        bool is_own = grown_has(&store->grown, had[i].pgno);
        for (uint32_t k = 0; k < count; k++)
            is_own &= listed[k].pgno != had[i].pgno;
        if (is_own)
            room_give_back(store, had[i].pgno, had[i].pages);
    }
}

scn_status extents_list_spares(struct store *store, const struct superblock *sb)
{
    struct log_spare all[LOG_SPARE_MAX];
    struct log_spare had[LOG_SPARE_MAX];
    uint32_t count = sb->spare_count;
    uint32_t had_count = log_spares(store->log, had, LOG_SPARE_MAX);
    memcpy(all, sb->spares, count * sizeof *all);
    for (uint32_t i = 0; i < had_count && count < LOG_SPARE_MAX; i++)
        if (grown_has(&store->grown, had[i].pgno))
            all[count++] = had[i];
    scn_status st = log_set_spares(store->log, all, count);
    give_back_unlisted(store, had, had_count);
    return st;
}

static scn_status own(struct extents *extents, uint32_t pgno, uint32_t pages)
{
    return space_is_used(extents->store->space, pgno)
               ? SCN_OK
               : space_adopt(extents->store->space, pgno, pages);
}

/* Extents of the chain belong to the generation; those wholly before the base are freed
 * in it (A3: the older slot still needs them). */
static scn_status settle_chain(struct extents *extents, const struct log_extent *chain,
                               uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        scn_status st = own(extents, chain[i].pgno, chain[i].pages);
        if (st == SCN_OK && chain[i].number < extents->base->extent_number)
            st = space_free(extents->store->space, chain[i].pgno, chain[i].pages,
                            extents->gen - 1, SPACE_LOG);
        if (st < 0)
            return st;
    }
    return SCN_OK;
}

uint32_t extents_wanted(const struct extents *extents)
{
    const struct store *store = extents->store;
    uint32_t have = log_spare_count(extents->store->log);
    if (extents->drains)
        return 0;
    /* As many as one round of the log takes; or has taken, where it takes more: else the
     * rest would be grown at the end of the file in each round. */
    uint64_t wanted =
        store->options.log_bytes / (LOG_EXTENT_PAGES * (uint64_t)PAGE_BYTES) + 1;
    uint32_t used = log_extents(store->log, NULL, 0);
    if (wanted < used)
        wanted = used;
    if (wanted > LOG_SPARE_MAX - 1)
        wanted = LOG_SPARE_MAX - 1; /* and one that the log moves to */
    return have < wanted ? (uint32_t)wanted - have : 0;
}

/* All of them where the log moves down anyway, else those that keep the file long; but
 * not the last one where no other could be made. */
static uint32_t drop_spares(struct extents *extents)
{
    struct log *log = extents->store->log;
    if (extents->low.pages)
        return log_drop_spares(log, 0, 0, extents->dropped);
    if (extents->packed_end)
        return log_drop_spares(log, extents->packed_end,
                               room_can_extend(extents->store) ? 0 : 1,
                               extents->dropped);
    return log_drop_spares(log, 0, 1, extents->dropped);
}

/* Append lock held: the chain and the spares as they are now, the latter for the
 * superblock. */
static scn_status list_log(struct extents *extents, struct log_extent **chain,
                           uint32_t *count)
{
    struct store *store = extents->store;
    struct superblock *sb = extents->superblock;
    uint32_t room = log_extents(store->log, NULL, 0);
    *chain = mem_alloc((room + 1) * sizeof **chain);
    if (*chain == NULL)
        return error_nomem();
    /* There may have been no memory for some of the newest generation's. */
    scn_status st = extents_list_spares(store, &store->superblock);
    if (st < 0)
        return st;
    *count = log_extents(store->log, *chain, room);
    if (extents->drains)
        extents->dropped_count = drop_spares(extents);
    sb->spare_count = log_spares(store->log, sb->spares, LOG_SPARE_MAX);
    return SCN_OK;
}

/* Draining: an extent at the end of the file keeps the file from shrinking.  When there
 * is room before it, the log is to go on there, and its spares are given up.  And where
 * it has no spare, and the file may not grow, since others have pages at its end, any
 * place will do for one. */
static scn_status find_low(struct extents *extents)
{
    struct store *store = extents->store;
    uint32_t pgno;
    scn_status st = space_take(store->space, LOG_EXTENT_PAGES, &pgno);
    if (st == SCN_FULL)
        return SCN_OK;
    if (st < 0)
        return st;
    bool is_low = pgno + LOG_EXTENT_PAGES <= extents->base->extent_pgno;
    bool is_cornered = extents->matured_count == 0 && room_is_cornered(store);
    if (!is_low && !is_cornered)
        return space_free(store->space, pgno, LOG_EXTENT_PAGES, extents->gen,
                          SPACE_PAGES);
    st = log_prepare_extent(&store->file, pgno, LOG_EXTENT_PAGES);
    if (st == SCN_OK && is_low)
        extents->low = (struct log_spare){pgno, LOG_EXTENT_PAGES};
    else if (st == SCN_OK)
        extents->matured[extents->matured_count++] =
            (struct log_spare){pgno, LOG_EXTENT_PAGES};
    return st;
}

static scn_status free_dropped(struct extents *extents)
{
    for (uint32_t i = 0; i < extents->dropped_count; i++) {
        const struct log_spare *spare = &extents->dropped[i];
        scn_status st = own(extents, spare->pgno, spare->pages);
        if (st == SCN_OK)
            st = space_free(extents->store->space, spare->pgno, spare->pages,
                            extents->gen - 1, SPACE_PAGES);
        if (st < 0)
            return st;
    }
    return SCN_OK;
}

static scn_status add_spares_to_superblock(struct extents *extents)
{
    struct superblock *sb = extents->superblock;
    for (uint32_t i = 0; i < sb->spare_count; i++) {
        scn_status st = own(extents, sb->spares[i].pgno, sb->spares[i].pages);
        if (st < 0)
            return st;
    }
    for (uint32_t i = 0; i < extents->matured_count && sb->spare_count < LOG_SPARE_MAX;
         i++)
        sb->spares[sb->spare_count++] = extents->matured[i];
    if (extents->low.pages && sb->spare_count < LOG_SPARE_MAX)
        sb->spares[sb->spare_count++] = extents->low;
    return SCN_OK;
}

/* Others would link what is being given up. */
static bool gives_up(const struct extents *extents)
{
    return extents->dropped_count > 0 || extents->low.pages > 0;
}

scn_status extents_settle(struct extents *extents, bool *has_append)
{
    struct store *store = extents->store;
    struct log_extent *chain = NULL;
    uint32_t count = 0;
    scn_status st = extents->drains ? find_low(extents) : SCN_OK;
    if (st == SCN_OK)
        st = append_enter(store, store->options.busy_timeout_ms);
    if (st < 0)
        return st;
    st = list_log(extents, &chain, &count);
    *has_append = store_is_shared(store) && gives_up(extents);
    atomic_store(&store->gives_up_spares, *has_append);
    if (*has_append)
        apply_leave(store);
    else
        append_leave(store);
    if (st == SCN_OK)
        st = settle_chain(extents, chain, count);
    if (st == SCN_OK)
        st = free_dropped(extents);
    if (st == SCN_OK)
        st = add_spares_to_superblock(extents);
    mem_free(chain);
    return st;
}

/* What was this process's own belongs to the generation now. */
static void let_go(struct store *store, const struct log_spare *spares, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (grown_has(&store->grown, spares[i].pgno))
            grown_remove(&store->grown, spares[i].pgno, spares[i].pages);
}

/* Append lock held, the superblock durable. */
void extents_publish(struct extents *extents)
{
    struct store *store = extents->store;
    struct log_extent freed[16]; /* settle_chain did so */
    while (log_forget(store->log, extents->base, freed, 16) == 16)
        ;
    if (extents->low.pages && log_add_spare(store->log, extents->low) == SCN_OK &&
        peers_roll(store) < 0)
        file_poison(&store->file);
    let_go(store, extents->superblock->spares, extents->superblock->spare_count);
    let_go(store, extents->dropped, extents->dropped_count);
    for (uint32_t i = 0; i < extents->matured_count; i++)
        /* The list has room: what does not fit was not asked for. */
        if (log_add_spare(store->log, extents->matured[i]) < 0)
            break;
}

/* The spares that were given up come back; but not where the superblock may be there
 * although its sync has failed: the recovery that finds it takes them for free. */
void extents_abandon(struct extents *extents)
{
    struct store *store = extents->store;
    if (file_is_poisoned(&store->file) && store_is_shared(store)) {
        let_go(store, extents->dropped, extents->dropped_count);
        return;
    }
    for (uint32_t i = 0; i < extents->dropped_count; i++)
        if (log_add_spare(store->log, extents->dropped[i]) < 0)
            break; /* the list filled up: this extent is lost until the next checkpoint */
}
