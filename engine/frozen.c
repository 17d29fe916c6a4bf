/* The frozen sources of a checkpoint: see frozen.h. */
#include "engine/frozen.h"

#include "engine/store.h"
#include "page/mem.h"

#include <stdlib.h>

/* ---- which tables ---- */

struct id_list {
    uint32_t *ids;
    uint32_t count;
    uint32_t capacity;
};

static scn_status add_id(struct id_list *list, uint32_t id)
{
    if (id < TABLE_FIRST_USER)
        return SCN_OK;
    scn_status st = mem_make_room(&list->ids, &list->capacity, list->count + 1,
                                  sizeof *list->ids);
    if (st == SCN_OK)
        list->ids[list->count++] = id;
    return st;
}

static scn_status add_table(void *ctx, uint32_t table_id, const struct delta_table *table)
{
    (void)table;
    return add_id(ctx, table_id);
}

static int by_number(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left;
    uint32_t b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

static void sort_unique(struct id_list *list)
{
    uint32_t kept = 0;
    if (list->count)
        qsort(list->ids, list->count, sizeof *list->ids, by_number);
    for (uint32_t i = 0; i < list->count; i++)
        if (kept == 0 || list->ids[kept - 1] != list->ids[i])
            list->ids[kept++] = list->ids[i];
    list->count = kept;
}

static scn_status add_source_tables(struct id_list *list, const struct frozen *frozen)
{
    scn_status st = SCN_OK;
    for (uint32_t i = 0; i < frozen->source_count && st == SCN_OK; i++) {
        const struct source *source = &frozen->sources[i];
        st = source->delta ? delta_each_table(source->delta, add_table, list)
                           : add_id(list, source->run->tree.table_id);
    }
    return st;
}

/* The rows 'R' of the catalog, from the first user table on. */
static scn_status add_tree_tables(struct id_list *list, const struct frozen *frozen)
{
    struct tree catalog = {frozen->view->catalog, TABLE_CATALOG};
    uint8_t buf[CATALOG_KEY_MAX];
    scn_slice from = catalog_key_root(buf, TABLE_FIRST_USER);
    struct tree_cursor cursor;
    struct tree_record record;
    if (page_ref_is_null(&catalog.root))
        return SCN_OK;
    tree_cursor_init(&cursor, &catalog);
    pool_enter(frozen->reader);
    scn_status st = tree_seek(frozen->reader, &cursor, &from, SCN_GE, &record);
    while (st == SCN_OK && record.record.key_len == from.size &&
           record.record.key[0] == 'R') {
        st = add_id(list, get_be32(record.record.key + 1));
        pool_renew(frozen->reader); /* the catalog may be larger than the pool */
        if (st == SCN_OK)
            st = tree_next(frozen->reader, &cursor, &record);
    }
    pool_leave(frozen->reader);
    return st < 0 ? st : SCN_OK;
}

scn_status frozen_tables(const struct frozen *frozen, bool all, uint32_t **ids,
                         uint32_t *count)
{
    struct id_list list = {0};
    scn_status st = add_source_tables(&list, frozen);
    if (st == SCN_OK && all)
        st = add_tree_tables(&list, frozen);
    if (st < 0) {
        mem_free(list.ids);
        return st;
    }
    sort_unique(&list);
    *ids = list.ids;
    *count = list.count;
    return SCN_OK;
}

/* ---- one table ---- */

scn_status frozen_table_flags(const struct frozen *frozen, uint32_t table_id,
                              bool *exists, uint32_t *flags)
{
    uint8_t buf[CATALOG_KEY_MAX];
    scn_slice key = catalog_key_id(buf, table_id);
    uint64_t hash = leaf_hash(key.data, key.size);
    struct tree catalog = {frozen->view->catalog, TABLE_CATALOG};
    *exists = false;
    *flags = 0;
    for (uint32_t i = 0; i < frozen->source_count; i++) {
        const struct delta *delta = frozen->sources[i].delta;
        const struct delta_table *table = delta ? delta_table(delta, TABLE_CATALOG)
                                                : NULL;
        const struct delta_version *version;
        if (table == NULL ||
            delta_find(table, key, hash, UINT64_MAX, &version) != DELTA_VERSION)
            continue;
        *exists = version->kind == DELTA_PUT && version->len >= 4;
        *flags = *exists ? get_u32(version->data) : 0;
        return SCN_OK;
    }
    if (page_ref_is_null(&catalog.root))
        return SCN_OK;
    struct tree_record found;
    pool_enter(frozen->reader);
    scn_status st = tree_get(frozen->reader, &catalog, key, hash, &found);
    if (st == SCN_OK && found.record.kind == LEAF_INLINE &&
        found.record.payload_len >= 4) {
        *exists = true;
        *flags = get_u32(found.record.payload);
    }
    pool_leave(frozen->reader);
    return st < 0 ? st : SCN_OK;
}

static const struct delta_table *table_of(const struct source *source, uint32_t table_id)
{
    return source->delta ? delta_table(source->delta, table_id) : NULL;
}

bool frozen_is_cleared(const struct frozen *frozen, uint32_t table_id, scn_slice key)
{
    for (uint32_t i = 0; i < frozen->source_count; i++) {
        const struct delta_table *table = table_of(&frozen->sources[i], table_id);
        if (table && delta_cleared_at(table, key, UINT64_MAX))
            return true;
    }
    return false;
}

bool frozen_has_clears(const struct frozen *frozen, uint32_t table_id)
{
    for (uint32_t i = 0; i < frozen->source_count; i++) {
        const struct delta_table *table = table_of(&frozen->sources[i], table_id);
        if (table && delta_has_clears(table, UINT64_MAX))
            return true;
    }
    return false;
}

static bool clear_meets(const struct delta_clear *clear, const scn_slice *from,
                        const scn_slice *to)
{
    if (clear->has_from && to &&
        bytes_compare(clear->from.data, clear->from.size, to->data, to->size) >= 0)
        return false;
    return !(clear->has_to && from &&
             bytes_compare(clear->to.data, clear->to.size, from->data, from->size) <= 0);
}

bool frozen_touches_clear(const struct frozen *frozen, uint32_t table_id,
                          const scn_slice *from, const scn_slice *to)
{
    struct delta_clear clear;
    for (uint32_t i = 0; i < frozen->source_count; i++) {
        const struct delta_table *table = table_of(&frozen->sources[i], table_id);
        for (uint32_t j = 0; table && delta_clear_at(table, 0, j, &clear); j++)
            if (clear_meets(&clear, from, to))
                return true;
    }
    return false;
}

/* ---- its changes ---- */

scn_status frozen_input_open(struct frozen_input *input, const struct frozen *frozen,
                             uint32_t table_id, uint64_t link_gen)
{
    *input = (struct frozen_input){.frozen = frozen, .link_gen = link_gen};
    scn_status st = merge_create(frozen->reader, frozen->source_count, &input->merge);
    if (st < 0)
        return st;
    input->merge->reports_deletions = true;
    for (uint32_t i = 0; i < frozen->source_count; i++) {
        const struct source *source = &frozen->sources[i];
        const struct delta_table *table = table_of(source, table_id);
        if (table)
            merge_add_delta(input->merge, table, UINT64_MAX, NULL);
        else if (source->run && source->run->tree.table_id == table_id)
            merge_add_run(input->merge, &source->run->tree);
    }
    return SCN_OK;
}

void frozen_input_close(struct frozen_input *input)
{
    merge_destroy(input->merge);
    mem_free(input->copies[0]);
    mem_free(input->copies[1]);
    *input = (struct frozen_input){0};
}

static scn_status copy_room(struct frozen_input *input, size_t size, uint8_t **out)
{
    uint32_t turn = input->turn ^= 1;
    if (input->capacities[turn] < size) {
        uint8_t *fresh = mem_alloc(size * 2);
        if (fresh == NULL)
            return error_nomem();
        mem_free(input->copies[turn]);
        input->copies[turn] = fresh;
        input->capacities[turn] = size * 2;
    }
    *out = input->copies[turn];
    return SCN_OK;
}

static scn_status link_value(struct frozen_input *input, uint8_t *encoded)
{
    struct value_ref ref;
    const char *why = value_ref_decode(encoded, &ref);
    if (why)
        return error_corrupt(0, 0, "bulk run: value reference: %s", why);
    ref.page.link_gen = input->link_gen;
    value_ref_encode(&ref, encoded);
    return SCN_OK;
}

static scn_status to_change(struct frozen_input *input, const struct merge_item *item,
                            struct change *out)
{
    uint8_t *copy = NULL;
    bool copies_value = item->page != NULL && item->kind != MERGE_DELETED;
    size_t size = item->key.size + (copies_value ? item->value.size : 0);
    scn_status st = copy_room(input, size, &copy);
    if (st < 0)
        return st;
    memcpy(copy, item->key.data, item->key.size);
    *out = (struct change){.key = {copy, item->key.size}, .value = item->value};
    if (copies_value) {
        out->value.data = copy + item->key.size;
        memcpy(copy + item->key.size, item->value.data, item->value.size);
    }
    out->kind = item->kind == MERGE_BYTES ? CHANGE_PUT
                : item->kind == MERGE_REF ? CHANGE_PUT_REF
                                          : CHANGE_DELETE;
    return out->kind == CHANGE_PUT_REF ? link_value(input, copy + item->key.size)
                                       : SCN_OK;
}

scn_status frozen_input_next(struct frozen_input *input, struct change *out)
{
    struct merge_item item;
    if (input->has_ended)
        return SCN_END;
    pool_enter(input->frozen->reader);
    scn_status st = input->is_started ? merge_step(input->merge, true, &item)
                                      : merge_seek(input->merge, NULL, SCN_GE, &item);
    input->is_started = true;
    input->has_ended = st == SCN_END;
    if (st == SCN_OK)
        st = to_change(input, &item, out);
    pool_leave(input->frozen->reader);
    return st;
}
