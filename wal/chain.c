#include "wal/chain.h"

#include "page/mem.h"

#include <string.h>

static void enter(struct log_chain *chain)
{
    chain->sys->ops->mutex_lock(chain->mutex);
}

static void leave(struct log_chain *chain)
{
    chain->sys->ops->mutex_unlock(chain->mutex);
}

scn_status log_chain_init(struct log_chain *chain, struct sys *sys)
{
    *chain = (struct log_chain){.sys = sys};
    int failed = sys->ops->mutex_create(sys, &chain->mutex);
    if (failed < 0)
        return error_sys(-failed, 0, "log: no mutex for the extents");
    return SCN_OK;
}

void log_chain_destroy(struct log_chain *chain)
{
    if (chain->mutex)
        chain->sys->ops->mutex_destroy(chain->mutex);
    mem_free(chain->extents);
    *chain = (struct log_chain){0};
}

/* Room for the chain when `more` extents are added and all spares are linked. */
static scn_status reserve(struct log_chain *chain, uint32_t more)
{
    return mem_make_room(&chain->extents, &chain->extent_capacity,
                         chain->extent_count + chain->spare_count + more,
                         sizeof *chain->extents);
}

scn_status log_chain_add(struct log_chain *chain, const struct log_extent *extent)
{
    enter(chain);
    scn_status st = reserve(chain, 1);
    if (st == SCN_OK)
        chain->extents[chain->extent_count++] = *extent;
    leave(chain);
    return st;
}

scn_status log_chain_add_spare(struct log_chain *chain, struct log_spare spare)
{
    ASSERT(spare.pages > 0);
    ASSERT(spare.pages <= LOG_EXTENT_PAGES);
    enter(chain);
    scn_status st = SCN_FULL;
    if (chain->spare_count < LOG_SPARE_MAX)
        st = reserve(chain, 1);
    if (st == SCN_OK)
        chain->spares[chain->spare_count++] = spare;
    leave(chain);
    return st;
}

static void remove_spare(struct log_chain *chain, uint32_t idx)
{
    chain->spare_count--;
    memmove(&chain->spares[idx], &chain->spares[idx + 1],
            (chain->spare_count - idx) * sizeof chain->spares[0]);
}

void log_chain_clear(struct log_chain *chain)
{
    enter(chain);
    chain->extent_count = 0;
    chain->jump_count = 0;
    leave(chain);
}

scn_status log_chain_begin(struct log_chain *chain, const struct log_extent *first)
{
    uint32_t before = 0;
    enter(chain);
    while (before < chain->extent_count && chain->extents[before].number != first->number)
        before++;
    bool is_known = before < chain->extent_count;
    scn_status st = is_known ? SCN_OK : reserve(chain, 1);
    if (st == SCN_OK) {
        chain->extent_count -= before;
        memmove(chain->extents, chain->extents + before,
                chain->extent_count * sizeof *chain->extents);
        if (!is_known)
            chain->extents[chain->extent_count++] = *first;
        chain->jump_count = 0;
    }
    leave(chain);
    return st;
}

bool log_chain_has(struct log_chain *chain, uint32_t pgno)
{
    enter(chain);
    bool has = false;
    for (uint32_t i = 0; i < chain->extent_count; i++)
        has |= chain->extents[i].pgno == pgno;
    leave(chain);
    return has;
}

bool log_chain_find(struct log_chain *chain, uint64_t number, struct log_extent *out)
{
    enter(chain);
    bool is_found = false;
    for (uint32_t i = 0; i < chain->extent_count && !is_found; i++) {
        is_found = chain->extents[i].number == number;
        if (is_found)
            *out = chain->extents[i];
    }
    leave(chain);
    return is_found;
}

bool log_chain_first(struct log_chain *chain, struct log_extent *out)
{
    return log_chain_extents(chain, out, 1) > 0;
}

bool log_chain_last(struct log_chain *chain, struct log_extent *out)
{
    enter(chain);
    bool has_any = chain->extent_count > 0;
    if (has_any)
        *out = chain->extents[chain->extent_count - 1];
    leave(chain);
    return has_any;
}

scn_status log_chain_follow(struct log_chain *chain, const struct log_extent *extent)
{
    enter(chain);
    scn_status st = reserve(chain, 1);
    if (st == SCN_OK) {
        for (uint32_t i = 0; i < chain->spare_count; i++)
            if (chain->spares[i].pgno == extent->pgno)
                remove_spare(chain, i--);
        chain->extents[chain->extent_count++] = *extent;
    }
    leave(chain);
    return st;
}

bool log_chain_peek(struct log_chain *chain, struct log_spare *out)
{
    enter(chain);
    bool has_spare = chain->spare_count > 0;
    if (has_spare)
        *out = chain->spares[0];
    leave(chain);
    return has_spare;
}

void log_chain_link(struct log_chain *chain, uint64_t number, uint64_t start_lsn)
{
    enter(chain);
    ASSERT(chain->spare_count > 0);
    ASSERT(chain->extent_count < chain->extent_capacity);
    chain->extents[chain->extent_count++] = (struct log_extent){
        .pgno = chain->spares[0].pgno,
        .pages = chain->spares[0].pages,
        .number = number,
        .start_lsn = start_lsn,
    };
    remove_spare(chain, 0);
    leave(chain);
}

bool log_chain_has_spare(struct log_chain *chain, uint64_t bytes)
{
    enter(chain);
    bool has_spare = false;
    for (uint32_t i = 0; i < chain->spare_count; i++)
        has_spare |= extent_bytes(chain->spares[i].pages) >= bytes;
    leave(chain);
    return has_spare;
}

void log_chain_jump(struct log_chain *chain, uint64_t lsn, uint64_t gap)
{
    enter(chain);
    if (chain->jump_count == LOG_JUMP_MAX) {
        chain->jumps[1].gap += chain->jumps[0].gap;
        chain->jump_count--;
        memmove(&chain->jumps[0], &chain->jumps[1],
                chain->jump_count * sizeof chain->jumps[0]);
    }
    chain->jumps[chain->jump_count++] = (struct log_jump){lsn, gap};
    leave(chain);
}

uint64_t log_chain_gap(struct log_chain *chain, uint64_t lsn)
{
    enter(chain);
    uint64_t gap = 0;
    for (uint32_t i = 0; i < chain->jump_count; i++) {
        if (chain->jumps[i].lsn > lsn)
            gap += chain->jumps[i].gap;
    }
    leave(chain);
    return gap;
}

uint32_t log_chain_drop_spares(struct log_chain *chain, uint32_t pgno, uint32_t keep,
                               struct log_spare *out)
{
    enter(chain);
    uint32_t dropped = 0;
    uint32_t i = keep;
    while (i < chain->spare_count) {
        if (chain->spares[i].pgno < pgno) {
            i++;
            continue;
        }
        out[dropped++] = chain->spares[i];
        remove_spare(chain, i);
    }
    leave(chain);
    return dropped;
}

uint32_t log_chain_spares(struct log_chain *chain, struct log_spare *out, uint32_t room)
{
    enter(chain);
    uint32_t count = chain->spare_count;
    for (uint32_t i = 0; i < count && i < room; i++)
        out[i] = chain->spares[i];
    leave(chain);
    return count;
}

uint32_t log_chain_extents(struct log_chain *chain, struct log_extent *out, uint32_t room)
{
    enter(chain);
    uint32_t count = chain->extent_count;
    for (uint32_t i = 0; i < count && i < room; i++)
        out[i] = chain->extents[i];
    leave(chain);
    return count;
}

uint32_t log_chain_forget(struct log_chain *chain, uint64_t number,
                          struct log_extent *out, uint32_t room)
{
    enter(chain);
    uint32_t count = 0;
    while (count < room && count + 1 < chain->extent_count &&
           chain->extents[count].number < number) {
        out[count] = chain->extents[count];
        count++;
    }
    chain->extent_count -= count;
    if (count > 0)
        memmove(chain->extents, chain->extents + count,
                chain->extent_count * sizeof *chain->extents);
    leave(chain);
    return count;
}
