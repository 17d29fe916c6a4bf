/* The read set: see readset.h. */
#include "engine/readset.h"

#include "page/mem.h"

#include <stdlib.h>

static void item_free(struct read_range *item)
{
    mem_free((void *)item->lo.data);
    if (!item->is_key)
        mem_free((void *)item->hi.data);
}

void readset_destroy(struct readset *set)
{
    for (uint32_t i = 0; i < set->count; i++)
        item_free(&set->items[i]);
    mem_free(set->items);
    *set = (struct readset){0};
}

static scn_status copy_slice(scn_slice from, scn_slice *out)
{
    uint8_t *copy = mem_alloc(from.size ? from.size : 1);
    if (copy == NULL)
        return error_nomem();
    if (from.size)
        memcpy(copy, from.data, from.size);
    *out = (scn_slice){copy, from.size};
    return SCN_OK;
}

static int compare_slices(scn_slice a, scn_slice b)
{
    return bytes_compare(a.data, a.size, b.data, b.size);
}

/* ---- coarser ---- */

static int by_table(const void *left, const void *right)
{
    const struct read_range *a = left;
    const struct read_range *b = right;
    return (a->table_id > b->table_id) - (a->table_id < b->table_id);
}

static uint64_t item_bytes(const struct read_range *item)
{
    return sizeof *item + item->lo.size + (item->is_key ? 0 : item->hi.size);
}

static void take_bound(scn_slice *mine, scn_slice *theirs)
{
    scn_slice swap = *mine;
    *mine = *theirs;
    *theirs = swap;
}

/* into grows to cover item too; item's bounds may change owner. */
static void cover(struct read_range *into, struct read_range *item)
{
    into->has_lo = into->has_lo && item->has_lo;
    into->has_hi = into->has_hi && item->has_hi;
    if (into->has_lo && compare_slices(item->lo, into->lo) < 0)
        take_bound(&into->lo, &item->lo);
    if (into->has_hi && compare_slices(item->hi, into->hi) > 0)
        take_bound(&into->hi, &item->hi);
}

/* A key's two bounds are one block: give the upper one a block of its own before bounds
 * move. */
static scn_status split_key(struct read_range *item)
{
    if (!item->is_key)
        return SCN_OK;
    scn_status st = copy_slice(item->lo, &item->hi);
    if (st == SCN_OK)
        item->is_key = false;
    return st;
}

/* One range a table; where that is still too much, whole tables. */
static scn_status make_coarser(struct readset *set)
{
    for (uint32_t i = 0; i < set->count; i++) {
        scn_status st = split_key(&set->items[i]);
        if (st < 0)
            return st;
    }
    qsort(set->items, set->count, sizeof *set->items, by_table);
    uint32_t kept = 0;
    set->bytes = 0;
    for (uint32_t i = 0; i < set->count; i++) {
        struct read_range *item = &set->items[i];
        if (kept > 0 && set->items[kept - 1].table_id == item->table_id) {
            cover(&set->items[kept - 1], item);
            item_free(item);
        } else {
            set->items[kept++] = *item;
        }
    }
    set->count = kept;
    for (uint32_t i = 0; i < kept; i++)
        set->bytes += item_bytes(&set->items[i]);
    for (uint32_t i = 0; i < kept && set->bytes > READSET_BYTES_MAX / 2; i++) {
        struct read_range *item = &set->items[i];
        set->bytes -= item->lo.size + item->hi.size;
        item_free(item);
        *item = (struct read_range){.table_id = item->table_id};
    }
    return SCN_OK;
}

/* ---- adding ---- */

static scn_status make_room(struct readset *set, uint64_t bytes)
{
    if (set->bytes + bytes > READSET_BYTES_MAX && set->count > 1) {
        scn_status st = make_coarser(set);
        if (st < 0)
            return st;
    }
    return mem_make_room(&set->items, &set->capacity, set->count + 1, sizeof *set->items);
}

static void add(struct readset *set, const struct read_range *item)
{
    set->items[set->count++] = *item;
    set->bytes += item_bytes(item);
}

/* The last items are the likely repeats: a loop that reads one key again and again. */
static bool is_recent(const struct readset *set, uint32_t table_id, scn_slice key,
                      uint64_t hash)
{
    for (uint32_t i = set->count, looked = 0; i > 0 && looked < 4; i--, looked++) {
        const struct read_range *item = &set->items[i - 1];
        if (item->is_key && item->table_id == table_id && item->hash == hash &&
            compare_slices(item->lo, key) == 0)
            return true;
    }
    return false;
}

scn_status readset_key(struct readset *set, uint32_t table_id, scn_slice key,
                       uint64_t hash)
{
    if (is_recent(set, table_id, key, hash))
        return SCN_OK;
    struct read_range item = {.table_id = table_id,
                              .has_lo = true,
                              .has_hi = true,
                              .hash = hash,
                              .is_key = true};
    scn_status st = make_room(set, sizeof item + key.size);
    if (st == SCN_OK)
        st = copy_slice(key, &item.lo);
    if (st < 0)
        return st;
    item.hi = item.lo;
    add(set, &item);
    return SCN_OK;
}

scn_status readset_range(struct readset *set, uint32_t table_id, const scn_slice *lo,
                         const scn_slice *hi)
{
    struct read_range item = {
        .table_id = table_id, .has_lo = lo != NULL, .has_hi = hi != NULL};
    scn_status st = make_room(set,
                              sizeof item + (lo ? lo->size : 0) + (hi ? hi->size : 0));
    if (st == SCN_OK && lo)
        st = copy_slice(*lo, &item.lo);
    if (st == SCN_OK && hi)
        st = copy_slice(*hi, &item.hi);
    if (st < 0) {
        item_free(&item);
        return st;
    }
    add(set, &item);
    return SCN_OK;
}

scn_status readset_table(struct readset *set, uint32_t table_id)
{
    return readset_range(set, table_id, NULL, NULL);
}
