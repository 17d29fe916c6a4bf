/* Lists of tables: see tablelist.h. */
#include "engine/tablelist.h"

#include "engine/catalog.h"
#include "engine/rowstream.h"
#include "page/mem.h"

static scn_status reserve(struct table_list *list)
{
    return mem_make_room(&list->entries, &list->capacity, list->count + 1,
                         sizeof *list->entries);
}

scn_status table_list_add(struct table_list *list, uint32_t id, uint32_t flags,
                          scn_slice name)
{
    scn_status st = reserve(list);
    char *copy = st == SCN_OK ? mem_alloc(name.size + 1) : NULL;
    if (copy == NULL)
        return st < 0 ? st : error_nomem();
    memcpy(copy, name.data, name.size);
    copy[name.size] = '\0';
    list->entries[list->count++] = (struct table_entry){
        .id = id, .flags = flags, .name = copy, .name_len = name.size};
    return SCN_OK;
}

/* A row 'I' of the catalog. */
static scn_status add_row(struct table_list *list, const uint8_t *key, scn_slice row)
{
    const uint8_t *at = row.data;
    return table_list_add(list, get_be32(key + 1), get_u32(at),
                          (scn_slice){at + 4, row.size - 4});
}

static bool is_table(scn_slice key, scn_slice value)
{
    const uint8_t *letter = key.data;
    return key.size == 5 && letter[0] == 'I' && value.size >= 5 &&
           value.size <= 4 + TABLE_NAME_MAX && get_be32(letter + 1) >= TABLE_FIRST_USER;
}

scn_status table_list_read(struct table_list *list, struct scn_txn *txn)
{
    struct binding catalog = catalog_binding(txn);
    struct rowstream rows = {0};
    scn_slice key;
    scn_slice value;
    scn_status st = rowstream_open(&rows, txn, &catalog);
    while (st == SCN_OK && (st = rowstream_next(&rows, &key, &value)) == SCN_OK) {
        uint8_t letter = *(const uint8_t *)key.data;
        if (letter > 'I')
            break; /* keys ascend */
        if (letter != 'I')
            continue;
        st = is_table(key, value)
                 ? add_row(list, key.data, value)
                 : error_corrupt(txn->view->catalog.pgno, 0,
                                 "catalog: a row of a table is malformed");
    }
    rowstream_close(&rows);
    return st < 0 ? st : SCN_OK;
}

void table_list_destroy(struct table_list *list)
{
    for (uint32_t i = 0; i < list->count; i++)
        mem_free(list->entries[i].name);
    mem_free(list->entries);
    *list = (struct table_list){0};
}

const struct table_entry *table_list_find(const struct table_list *list, uint32_t id)
{
    uint32_t low = 0;
    uint32_t high = list->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (list->entries[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < list->count && list->entries[low].id == id ? &list->entries[low] : NULL;
}
