/* The delta: see delta.h.
 *
 *     delta -> map of tables -> table: bloom | tree of entries | LSNs | clears
 *                                              entry -> newest version -> older -> ...
 *
 * All of it lies in one arena, but for the larger Bloom filters.  The first piece of
 * the arena is part of the delta's own block, so that a small transaction costs one
 * allocation.
 *
 * Order of one append, and why readers may come at any time: the version is complete
 * before it is linked, the entry has its version and its Bloom bits before it is in
 * the tree.  A reader that was told of an LSN synchronised with the appender behind
 * all of that, and finds it; what it sees beyond that has larger LSNs and is skipped
 * by its bound.
 *
 * Taking back: each version is preceded by a struct undo, which chains the versions of
 * the whole delta in the order of their coming.  LSNs do not decrease along that
 * chain, so a rollback pops it down to its bound. */
#include "engine/delta.h"

#include "engine/art.h"
#include "engine/bloom.h"
#include "engine/lsn_stack.h"
#include "page/bytes.h"
#include "page/leaf.h"
#include "page/limits.h"
#include "page/mem.h"

#include <string.h>

enum {
    /* The delta's own block: room for a few small operations, and malloc is quick. */
    FIRST_BYTES = 2048,
    MAP_SLOTS_MIN = 8
};

struct delta_table {
    struct delta_table *older; /* const: the table that came before */
    uint32_t id;               /* const */
    struct art art;
    _Atomic uint64_t entries;
    struct lsn_stack changes;
    struct lsn_stack clears; /* of struct clear */
    uint64_t bounded_clears; /* appender; of them, not of the whole table */
    struct bloom bloom;
};

/* Open addressing, at most half full. */
struct table_map {
    uint32_t slot_count; /* a power of two; const */
    _Atomic(struct delta_table *) slots[];
};

struct clear {
    struct lsn_node node;
    uint32_t from_len;
    uint32_t to_len;
    bool has_from;
    bool has_to;
    uint8_t bytes[]; /* from, to */
};

/* In front of each version. */
struct undo {
    struct delta_entry *entry;
    struct undo *previous;
};

struct delta {
    _Atomic uint32_t references;
    uint32_t table_count; /* appender */
    uint64_t start_lsn;   /* const once others see the delta */
    uint64_t newest_lsn;  /* appender */
    _Atomic uint64_t change_count; /* nodes in all tables' `changes` */
    _Atomic uint64_t clears_most;  /* the largest `bounded_clears` of a table */
    _Atomic(struct table_map *) map;
    _Atomic(struct delta_table *) newest_table;
    struct undo *undo; /* appender: the newest version's */
    struct arena arena; /* appender */
    struct art_memory nodes; /* appender */
};

_Static_assert(KEY_BYTES_MAX <= UINT16_MAX, "delta_entry.key_len");
_Static_assert(sizeof(struct delta) % ARENA_ALIGN == 0, "the arena begins behind it");
_Static_assert(sizeof(struct undo) % _Alignof(struct delta_version) == 0,
               "a version follows");

/* What an operation takes beside key, value and nodes, each piece rounded up. */
enum {
    PUT_BYTES = sizeof(struct delta_entry) + sizeof(struct undo) +
                sizeof(struct delta_version) + sizeof(struct lsn_node) + 2 * ARENA_ALIGN,
    CLEAR_BYTES = sizeof(struct clear) + sizeof(struct lsn_node) + ARENA_ALIGN,
    TABLE_BYTES = sizeof(struct delta_table) + ARENA_ALIGN
};
_Static_assert(CLEAR_BYTES <= PUT_BYTES, "operations are counted, not told apart");

/* ---- life ---- */

scn_status delta_create(uint64_t start_lsn, struct delta **out)
{
    struct delta *delta = mem_alloc(FIRST_BYTES);
    if (delta == NULL)
        return error_nomem();
    memset(delta, 0, sizeof *delta);
    atomic_init(&delta->references, 1);
    delta->start_lsn = start_lsn;
    delta->newest_lsn = start_lsn;
    arena_init(&delta->arena, delta + 1, FIRST_BYTES - sizeof *delta);
    delta->nodes.arena = &delta->arena;
    *out = delta;
    return SCN_OK;
}

struct delta *delta_ref(struct delta *delta)
{
    atomic_fetch_add_explicit(&delta->references, 1, memory_order_relaxed);
    return delta;
}

static struct delta_table *newest_table(const struct delta *delta)
{
    return atomic_load_explicit(&delta->newest_table, memory_order_acquire);
}

void delta_unref(struct delta *delta)
{
    if (delta == NULL)
        return;
    if (atomic_fetch_sub_explicit(&delta->references, 1, memory_order_acq_rel) != 1)
        return;
    for (struct delta_table *table = newest_table(delta); table; table = table->older)
        bloom_destroy(&table->bloom);
    arena_destroy(&delta->arena);
    mem_free(delta);
}

uint64_t delta_start(const struct delta *delta)
{
    return delta->start_lsn;
}

void delta_set_start(struct delta *delta, uint64_t lsn)
{
    ASSERT(delta_is_empty(delta));
    delta->start_lsn = lsn;
    delta->newest_lsn = lsn;
}

uint64_t delta_bytes(const struct delta *delta)
{
    return FIRST_BYTES + arena_used(&delta->arena);
}

bool delta_is_empty(const struct delta *delta)
{
    return atomic_load_explicit(&delta->change_count, memory_order_relaxed) == 0;
}

/* ---- tables ---- */

static uint32_t map_start(const struct table_map *map, uint32_t table_id)
{
    return table_id * UINT32_C(2654435769) >> 8 & (map->slot_count - 1);
}

/* The slot that holds the table, or the empty one where it belongs. */
static _Atomic(struct delta_table *) *map_slot(struct table_map *map, uint32_t table_id)
{
    uint32_t idx = map_start(map, table_id);
    for (;;) { /* ends: half of the slots are empty */
        struct delta_table *table = atomic_load_explicit(&map->slots[idx],
                                                         memory_order_acquire);
        if (table == NULL || table->id == table_id)
            return &map->slots[idx];
        idx = (idx + 1) & (map->slot_count - 1);
    }
}

static struct delta_table *table_find(const struct delta *delta, uint32_t table_id)
{
    struct table_map *map = atomic_load_explicit(&delta->map, memory_order_acquire);
    if (map == NULL)
        return NULL;
    return atomic_load_explicit(map_slot(map, table_id), memory_order_acquire);
}

static uint64_t map_bytes(uint64_t slot_count)
{
    return sizeof(struct table_map) + slot_count * sizeof(struct delta_table *);
}

/* What the map takes while as many more tables come. */
static uint64_t map_reserve_bytes(const struct delta *delta, uint64_t more_tables)
{
    const struct table_map *map = atomic_load_explicit(&delta->map, memory_order_relaxed);
    uint64_t slot_count = map ? map->slot_count : 0;
    uint64_t bytes = 0;
    while (more_tables && slot_count < 2 * (delta->table_count + more_tables)) {
        slot_count = slot_count ? 2 * slot_count : MAP_SLOTS_MIN;
        bytes += arena_rounded(map_bytes(slot_count));
    }
    return bytes;
}

/* A map with room for one more table. */
static struct table_map *map_for_append(struct delta *delta)
{
    struct table_map *old = atomic_load_explicit(&delta->map, memory_order_relaxed);
    if (old && 2 * (delta->table_count + 1) <= old->slot_count)
        return old;
    uint32_t slot_count = old ? 2 * old->slot_count : MAP_SLOTS_MIN;
    struct table_map *map = arena_take(&delta->arena, map_bytes(slot_count));
    map->slot_count = slot_count;
    for (uint32_t i = 0; i < slot_count; i++)
        atomic_init(&map->slots[i], NULL);
    for (struct delta_table *table = newest_table(delta); table; table = table->older)
        atomic_store_explicit(map_slot(map, table->id), table, memory_order_relaxed);
    atomic_store_explicit(&delta->map, map, memory_order_release);
    return map;
}

static struct delta_table *table_create(struct delta *delta, uint32_t table_id)
{
    struct table_map *map = map_for_append(delta);
    struct delta_table *table = arena_take(&delta->arena, sizeof *table);
    memset(table, 0, sizeof *table);
    table->older = newest_table(delta);
    table->id = table_id;
    art_init(&table->art);
    bloom_init(&table->bloom);
    delta->table_count++;
    atomic_store_explicit(map_slot(map, table_id), table, memory_order_release);
    atomic_store_explicit(&delta->newest_table, table, memory_order_release);
    return table;
}

const struct delta_table *delta_table(const struct delta *delta, uint32_t table_id)
{
    return table_find(delta, table_id);
}

scn_status delta_each_table(const struct delta *delta,
                            scn_status (*fn)(void *ctx, uint32_t table_id,
                                             const struct delta_table *table),
                            void *ctx)
{
    scn_status st = SCN_OK;
    for (const struct delta_table *table = newest_table(delta); table && st == SCN_OK;
         table = table->older)
        st = fn(ctx, table->id, table);
    return st;
}

/* ---- appending ---- */

scn_status delta_reserve(struct delta *delta, uint64_t count, uint64_t key_bytes,
                         uint64_t value_bytes, uint64_t table_count)
{
    if ((count | key_bytes | value_bytes | table_count) >>
        48) /* no sum below overflows */
        return error_nomem();
    return arena_reserve(&delta->arena, count * PUT_BYTES + key_bytes + value_bytes +
                                            table_count * TABLE_BYTES +
                                            map_reserve_bytes(delta, table_count) +
                                            art_reserve_bytes(&delta->nodes, count));
}

static void note_change(struct delta *delta, struct delta_table *table, uint64_t lsn)
{
    ASSERT(lsn >= delta->start_lsn);
    ASSERT(lsn >= delta->newest_lsn); /* [D2] */
    delta->newest_lsn = lsn;
    if (delta_table_newest(table) == lsn)
        return;
    lsn_stack_push(&table->changes, arena_take(&delta->arena, sizeof(struct lsn_node)),
                   lsn);
    atomic_fetch_add_explicit(&delta->change_count, 1, memory_order_relaxed);
}

static struct delta_table *table_for_append(struct delta *delta, uint32_t table_id)
{
    struct delta_table *table = table_find(delta, table_id);
    return table ? table : table_create(delta, table_id);
}

static struct delta_entry *entry_create(struct delta *delta, scn_slice key)
{
    ASSERT(key.size <= KEY_BYTES_MAX);
    struct delta_entry *entry =
        arena_take(&delta->arena, offsetof(struct delta_entry, key) + key.size);
    atomic_init(&entry->newest, NULL);
    atomic_init(&entry->below, 0);
    entry->key_len = (uint16_t)key.size;
    memcpy(entry->key, key.data, key.size);
    return entry;
}

/* On top of the entry's versions, in sight of readers if the entry is. */
static void version_push(struct delta *delta, struct delta_entry *entry,
                         enum delta_kind kind, scn_slice value, uint64_t lsn)
{
    ASSERT(value.size <= UINT32_MAX);
    struct undo *undo = arena_take(
        &delta->arena, sizeof *undo + offsetof(struct delta_version, data) + value.size);
    struct delta_version *version = (struct delta_version *)(undo + 1);
    undo->entry = entry;
    undo->previous = delta->undo;
    delta->undo = undo;
    version->lsn = lsn;
    version->older = atomic_load_explicit(&entry->newest, memory_order_relaxed);
    version->len = (uint32_t)value.size;
    version->kind = (uint8_t)kind;
    if (value.size)
        memcpy(version->data, value.data, value.size);
    atomic_store_explicit(&entry->newest, version, memory_order_release);
}

void delta_append(struct delta *delta, uint32_t table_id, scn_slice key,
                  enum delta_kind kind, scn_slice value, uint64_t lsn)
{
    struct delta_table *table = table_for_append(delta, table_id);
    struct art_place place;
    struct delta_entry *entry = art_place(&table->art, key, &place);
    if (entry) {
        version_push(delta, entry, kind, value, lsn);
    } else {
        entry = entry_create(delta, key);
        version_push(delta, entry, kind, value, lsn);
        bloom_add(&table->bloom, leaf_hash(key.data, key.size));
        art_insert(&delta->nodes, &place, entry);
        atomic_fetch_add_explicit(&table->entries, 1, memory_order_relaxed);
    }
    note_change(delta, table, lsn);
}

void delta_append_clear(struct delta *delta, uint32_t table_id, const scn_slice *from,
                        const scn_slice *to, uint64_t lsn)
{
    struct delta_table *table = table_for_append(delta, table_id);
    size_t from_len = from ? from->size : 0;
    size_t to_len = to ? to->size : 0;
    struct clear *clear =
        arena_take(&delta->arena, offsetof(struct clear, bytes) + from_len + to_len);
    clear->from_len = (uint32_t)from_len;
    clear->to_len = (uint32_t)to_len;
    clear->has_from = from != NULL;
    clear->has_to = to != NULL;
    if (from_len)
        memcpy(clear->bytes, from->data, from_len);
    if (to_len)
        memcpy(clear->bytes + from_len, to->data, to_len);
    lsn_stack_push(&table->clears, &clear->node, lsn);
    table->bounded_clears += from || to;
    if (table->bounded_clears > delta_clears_most(delta))
        atomic_store_explicit(&delta->clears_most, table->bounded_clears,
                              memory_order_relaxed);
    note_change(delta, table, lsn);
}

void delta_touch(struct delta *delta, uint32_t table_id, uint64_t lsn)
{
    note_change(delta, table_for_append(delta, table_id), lsn);
}

bool delta_replace(struct delta *delta, uint32_t table_id, scn_slice key, uint64_t hash,
                   enum delta_kind kind, scn_slice value, uint64_t lsn)
{
    const struct delta_table *table = table_find(delta, table_id);
    struct delta_entry *entry = table ? delta_entry_find(table, key, hash) : NULL;
    struct delta_version *newest =
        entry ? atomic_load_explicit(&entry->newest, memory_order_relaxed) : NULL;
    if (newest == NULL || newest->lsn <= lsn || newest->kind != kind ||
        newest->len != value.size)
        return false;
    memcpy(newest->data, value.data, value.size);
    return true;
}

void delta_rollback(struct delta *delta, uint64_t lsn)
{
    while (delta->undo) {
        const struct delta_version *version =
            (const struct delta_version *)(delta->undo + 1);
        if (version->lsn <= lsn)
            break;
        atomic_store_explicit(&delta->undo->entry->newest, version->older,
                              memory_order_relaxed);
        delta->undo = delta->undo->previous;
    }
    for (struct delta_table *table = newest_table(delta); table; table = table->older) {
        lsn_stack_pop(&table->clears, lsn);
        uint64_t popped = lsn_stack_pop(&table->changes, lsn);
        atomic_fetch_sub_explicit(&delta->change_count, popped, memory_order_relaxed);
    }
    if (delta->newest_lsn > lsn)
        delta->newest_lsn = lsn > delta->start_lsn ? lsn : delta->start_lsn;
}

/* ---- reading ---- */

uint64_t delta_table_version(const struct delta_table *table, uint64_t max_lsn)
{
    const struct lsn_node *node = lsn_stack_at(&table->changes, max_lsn);
    return node ? node->lsn : 0;
}

uint64_t delta_table_newest(const struct delta_table *table)
{
    const struct lsn_node *node = lsn_stack_top(&table->changes);
    return node ? node->lsn : 0;
}

uint64_t delta_table_entries(const struct delta_table *table)
{
    return atomic_load_explicit(&table->entries, memory_order_relaxed);
}

struct delta_entry *delta_entry_find(const struct delta_table *table, scn_slice key,
                                     uint64_t hash)
{
    return bloom_may_hold(&table->bloom, hash) ? art_find(&table->art, key) : NULL;
}

uint64_t delta_tables(const struct delta *delta)
{
    return delta->table_count;
}

uint64_t delta_table_clears(const struct delta_table *table)
{
    return table->bounded_clears;
}

const struct delta_version *delta_entry_version(const struct delta_entry *entry,
                                                uint64_t max_lsn)
{
    const struct delta_version *version =
        atomic_load_explicit(&entry->newest, memory_order_acquire);
    while (version && version->lsn > max_lsn)
        version = version->older;
    return version;
}

struct delta_entry *delta_seek(const struct delta_table *table, const scn_slice *key,
                               int op)
{
    return art_seek(&table->art, key, op);
}

/* ---- range tombstones ---- */

static const struct clear *clear_of(const struct lsn_node *node)
{
    return (const struct clear *)node; /* its first member */
}

static scn_slice clear_from(const struct clear *clear)
{
    return (scn_slice){clear->bytes, clear->from_len};
}

static scn_slice clear_to(const struct clear *clear)
{
    return (scn_slice){clear->bytes + clear->from_len, clear->to_len};
}

static int key_compare(scn_slice a, scn_slice b)
{
    return bytes_compare(a.data, a.size, b.data, b.size);
}

static bool clear_covers(const struct clear *clear, scn_slice key)
{
    if (clear->has_from && key_compare(key, clear_from(clear)) < 0)
        return false;
    return !clear->has_to || key_compare(key, clear_to(clear)) < 0;
}

/* The newest clear in (min_lsn, max_lsn] that covers the key; 0 when none. */
static uint64_t cleared_between(const struct delta_table *table, scn_slice key,
                                uint64_t min_lsn, uint64_t max_lsn)
{
    const struct lsn_node *node = lsn_stack_at(&table->clears, max_lsn);
    for (; node && node->lsn > min_lsn; node = node->below)
        if (clear_covers(clear_of(node), key))
            return node->lsn;
    return 0;
}

bool delta_has_clears(const struct delta_table *table, uint64_t max_lsn)
{
    return lsn_stack_at(&table->clears, max_lsn) != NULL;
}

uint64_t delta_cleared_at(const struct delta_table *table, scn_slice key,
                          uint64_t max_lsn)
{
    return cleared_between(table, key, 0, max_lsn);
}

bool delta_cleared_above(const struct delta_table *table, scn_slice key, uint64_t min_lsn)
{
    return cleared_between(table, key, min_lsn, UINT64_MAX) != 0;
}

uint64_t delta_clears_most(const struct delta *delta)
{
    return atomic_load_explicit(&delta->clears_most, memory_order_relaxed);
}

bool delta_clear_at(const struct delta_table *table, uint64_t min_lsn, uint32_t idx,
                    struct delta_clear *out)
{
    const struct lsn_node *node = lsn_stack_nth(&table->clears, idx);
    if (node == NULL || node->lsn <= min_lsn)
        return false;
    const struct clear *clear = clear_of(node);
    *out = (struct delta_clear){
        .lsn = node->lsn,
        .has_from = clear->has_from,
        .has_to = clear->has_to,
        .from = clear_from(clear),
        .to = clear_to(clear),
    };
    return true;
}

enum delta_found delta_find(const struct delta_table *table, scn_slice key, uint64_t hash,
                            uint64_t max_lsn, const struct delta_version **out)
{
    const struct delta_entry *entry = delta_entry_find(table, key, hash);
    const struct delta_version *version = entry ? delta_entry_version(entry, max_lsn)
                                                : NULL;
    /* [D3] A clear with the version's own LSN came before it. */
    if (cleared_between(table, key, version ? version->lsn : 0, max_lsn) != 0)
        return DELTA_CLEARED;
    if (version == NULL)
        return DELTA_MISS;
    *out = version;
    return DELTA_VERSION;
}
