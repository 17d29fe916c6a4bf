/* Holes: see losses.h. */
#include "tools/walcheck/losses.h"

#include "page/mem.h"

enum { HOLES_MAX = 1 << 18, HOLE_BYTES_MAX = 64 << 20 };

void losses_destroy(struct losses *losses)
{
    for (uint32_t i = 0; i < losses->count; i++)
        keyrange_free(&losses->holes[i].range);
    mem_free(losses->holes);
    *losses = (struct losses){0};
}

scn_status losses_add(struct losses *losses, uint32_t table_id,
                      const struct keyrange *range, uint32_t page, struct hole **hole)
{
    *hole = NULL;
    if (losses->count == HOLES_MAX || losses->bytes > HOLE_BYTES_MAX)
        return SCN_OK;
    scn_status st = mem_make_room(&losses->holes, &losses->capacity, losses->count + 1,
                                  sizeof *losses->holes);
    if (st < 0)
        return st;
    struct hole *fresh = &losses->holes[losses->count];
    *fresh = (struct hole){.table_id = table_id, .page = page};
    st = bound_copy(&fresh->range.from, &range->from);
    if (st == SCN_OK)
        st = bound_copy(&fresh->range.to, &range->to);
    if (st < 0) {
        keyrange_free(&fresh->range);
        return st;
    }
    losses->count++;
    losses->bytes += range->from.len + range->to.len;
    *hole = fresh;
    return SCN_OK;
}

/* The key lies behind the hole. */
static bool is_behind(const struct hole *hole, uint32_t table_id, scn_slice key)
{
    const struct bound *to = &hole->range.to;
    if (hole->table_id != table_id)
        return hole->table_id < table_id;
    return !bound_is_above(to, key.data, key.size);
}

struct hole *losses_find(const struct losses *losses, uint32_t table_id, scn_slice key)
{
    uint32_t low = 0;
    uint32_t high = losses->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (is_behind(&losses->holes[middle], table_id, key))
            low = middle + 1;
        else
            high = middle;
    }
    bool is_there = low < losses->count && losses->holes[low].table_id == table_id &&
                    keyrange_has(&losses->holes[low].range, key.data, key.size);
    return is_there ? &losses->holes[low] : NULL;
}
