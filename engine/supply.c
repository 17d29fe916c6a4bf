/* The supply of pages: see supply.h. */
#include "engine/supply.h"

#include "engine/room.h"

enum {
    /* Growth is by bounded steps, never by doubling: a 32nd of the file. */
    GROW_PAGES_MIN = 4,
    GROW_PAGES_MAX = (16 << 20) / PAGE_BYTES,
    /* More are worth no search: with large pages a writer writes so many at once. */
    NEIGHBOURS_MAX = 16,
    /* A checkpoint beside commits writes no faster: their syncs share the device. */
    PACED_BYTES_PER_MS = 200 << 10
};

void supply_init(struct supply *supply, struct store *store)
{
    *supply = (struct supply){.store = store,
                              .paced_full = atomic_load(&store->full_lsn),
                              .paced_ns = store->sys->ops->now_ns(store->sys)};
}

void supply_release(struct supply *supply)
{
    supply->grown_next = supply->grown_end = 0;
}

static uint32_t grow_step(const struct store *store, uint32_t wanted)
{
    uint64_t step = atomic_load(&store->file.page_count) / 32;
    if (step < GROW_PAGES_MIN)
        step = GROW_PAGES_MIN;
    if (step > GROW_PAGES_MAX)
        step = GROW_PAGES_MAX;
    return wanted > step ? wanted : (uint32_t)step;
}

/* At the end of the file, where a limit or a full disk may allow less than a whole step.
 * What was grown before is all taken: none of it is given up. */
static scn_status grow(struct supply *supply, uint32_t wanted)
{
    uint32_t step = grow_step(supply->store, wanted);
    uint32_t first;
    scn_status st = room_grow(supply->store, step, supply->has_append, false, &first);
    while (st == SCN_FULL && step > 1) {
        step /= 2;
        st = room_grow(supply->store, step, supply->has_append, false, &first);
    }
    if (st == SCN_OK) {
        supply->grown_next = first;
        supply->grown_end = first + step;
        supply->grown_pages += step;
    }
    return st;
}

scn_status supply_take_new(void *ctx, uint32_t wanted, uint32_t *pgno, uint32_t *count)
{
    struct supply *supply = ctx;
    if (supply->grown_next == supply->grown_end) {
        scn_status st = grow(supply, wanted);
        if (st < 0)
            return st;
    }
    uint32_t left = supply->grown_end - supply->grown_next;
    *count = wanted < left ? wanted : left;
    *pgno = supply->grown_next;
    supply->grown_next += *count;
    return SCN_OK;
}

/* Powers of two: the searches for them are remembered (page/space.h). */
static scn_status take_free(struct supply *supply, uint32_t wanted, uint32_t *pgno,
                            uint32_t *count)
{
    scn_status st;
    *count = NEIGHBOURS_MAX;
    while (*count > wanted)
        *count /= 2;
    while ((st = space_take(supply->store->space, *count, pgno)) == SCN_FULL &&
           *count > 1)
        *count /= 2;
    return st;
}

scn_status supply_take(void *ctx, uint32_t wanted, uint32_t *pgno, uint32_t *count)
{
    struct supply *supply = ctx;
    scn_status st = take_free(supply, wanted, pgno, count);
    if (st != SCN_FULL)
        return st;
    st = supply_take_new(supply, wanted, pgno, count);
    return st < 0 ? st : space_adopt(supply->store->space, *pgno, *count);
}

/* Waits so long that the writing stays at its pace while somebody waits for syncs. Lazy
 * commits do not: they need the checkpoint's end soon, or the log is full. */
void supply_pace(void *ctx, uint64_t bytes)
{
    struct supply *supply = ctx;
    struct store *store = supply->store;
    const struct sys_ops *ops = store->sys->ops;
    uint64_t full = atomic_load(&store->full_lsn);
    uint64_t now = ops->now_ns(store->sys);
    bool is_alone = full == supply->paced_full;
    uint64_t until = supply->paced_ns + bytes * 1000000 / PACED_BYTES_PER_MS;
    supply->paced_full = full;
    supply->paced_ns = now;
    if (is_alone || until <= now || store->background == NULL ||
        log_bytes_since(store->log, atomic_load(&store->base_lsn)) >
            store->options.log_bytes / 4 * 3)
        return;
    ops->mutex_lock(store->state_mutex);
    while (ops->cond_wait(store->space_cond, store->state_mutex, until))
        ;
    ops->mutex_unlock(store->state_mutex);
    supply->paced_ns = ops->now_ns(store->sys);
}
