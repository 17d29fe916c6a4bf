/* Tables: see directory.h. */
#include "tools/walcheck/directory.h"

#include "page/hash.h"
#include "page/mem.h"
#include "page/utf8.h"

#include <inttypes.h>
#include <stdio.h>

enum { ROOT_ROW_BYTES = 64, ID_KEY_BYTES = 5 };

/* ---- rows ---- */

static bool is_name(const uint8_t *at, size_t len)
{
    return len > 0 && len <= TABLE_NAME_MAX && utf8_is_text(at, len);
}

static void root_decode(const uint8_t *at, struct catalog_row *out)
{
    out->root = page_ref_decode(at);
    out->count = get_u64(at + 32);
    out->key_bytes = get_u64(at + 40);
    out->value_bytes = get_u64(at + 48);
    out->pages = get_u64(at + 56);
}

bool catalog_key_is_past(scn_slice key)
{
    const uint8_t *k = key.data;
    return (key.size == NOTE_KEY_BYTES && k[0] == 'B') ||
           (key.size == ID_KEY_BYTES && k[0] == 'O');
}

static bool is_of_snapshots(scn_slice key, size_t value_len)
{
    const uint8_t *k = key.data;
    if (key.size == 1)
        return k[0] == 'O' && value_len == ORIGIN_ROW_BYTES;
    return catalog_key_is_past(key) &&
           value_len == (k[0] == 'B' ? NOTE_ROW_BYTES : TALLY_ROW_BYTES);
}

void catalog_row_decode(scn_slice key, scn_slice value, struct catalog_row *out)
{
    const uint8_t *k = key.data;
    const uint8_t *v = value.data;
    *out = (struct catalog_row){0};
    if (key.size == 0)
        return;
    bool has_id = key.size == ID_KEY_BYTES;
    if (k[0] == 'N' && value.size == 4 && is_name(k + 1, key.size - 1)) {
        *out = (struct catalog_row){.kind = CATALOG_ROW_NAME, .table_id = get_u32(v)};
        out->name = (scn_slice){k + 1, key.size - 1};
    } else if (k[0] == 'I' && has_id && value.size > 4) {
        *out = (struct catalog_row){.kind = CATALOG_ROW_ID, .flags = get_u32(v)};
        out->name = (scn_slice){v + 4, value.size - 4};
    } else if (k[0] == 'R' && has_id && value.size == ROOT_ROW_BYTES) {
        out->kind = CATALOG_ROW_ROOT;
        root_decode(v, out);
    } else if (k[0] == '#' && key.size == 1 && value.size == 4) {
        *out = (struct catalog_row){.kind = CATALOG_ROW_NEXT, .table_id = get_u32(v)};
    } else if (is_of_snapshots(key, value.size)) {
        out->kind = CATALOG_ROW_PAST;
    }
    if (out->kind == CATALOG_ROW_ID || out->kind == CATALOG_ROW_ROOT)
        out->table_id = get_be32(k + 1);
}

/* ---- tables ---- */

void directory_destroy(struct directory *directory)
{
    for (uint32_t i = 0; i < directory->count; i++)
        mem_free(directory->tables[i].name);
    mem_free(directory->tables);
    *directory = (struct directory){0};
}

/* Where the table is, or would be. */
static uint32_t place_of(const struct directory *directory, uint32_t table_id)
{
    uint32_t low = 0;
    uint32_t high = directory->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (directory->tables[middle].id < table_id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct table *directory_find(const struct directory *directory, uint32_t table_id)
{
    uint32_t at = place_of(directory, table_id);
    bool is_there =
        at < directory->count && directory->tables[at].id == table_id;
    return is_there ? &directory->tables[at] : NULL;
}

static scn_status make_room(struct directory *directory)
{
    if (directory->count < directory->capacity)
        return SCN_OK;
    uint32_t capacity = directory->capacity ? directory->capacity * 2 : 32;
    void *grown = mem_grow(directory->tables,
                           directory->count * sizeof *directory->tables,
                           capacity * sizeof *directory->tables);
    if (grown == NULL)
        return error_nomem();
    directory->tables = grown;
    directory->capacity = capacity;
    return SCN_OK;
}

scn_status directory_get(struct directory *directory, uint32_t table_id,
                         struct table **out)
{
    *out = directory_find(directory, table_id);
    scn_status st = *out ? SCN_OK : make_room(directory);
    if (*out || st < 0)
        return st;
    uint32_t at = place_of(directory, table_id);
    *out = &directory->tables[at];
    memmove(*out + 1, *out, (directory->count - at) * sizeof **out);
    **out = (struct table){.id = table_id};
    directory->count++;
    return SCN_OK;
}

static scn_status set_name(struct table *table, scn_slice name)
{
    char *copy = mem_alloc(name.size + 1);
    if (copy == NULL)
        return error_nomem();
    memcpy(copy, name.data, name.size);
    copy[name.size] = 0;
    mem_free(table->name);
    table->name = copy;
    table->name_len = name.size;
    return SCN_OK;
}

static scn_status learn_table(struct table *table, const struct catalog_row *row)
{
    if (row->kind == CATALOG_ROW_NAME) {
        table->name_rows++;
        table->name_hash = hash64(row->name.data, row->name.size);
        return table->name ? SCN_OK : set_name(table, row->name);
    }
    if (row->kind == CATALOG_ROW_ROOT) {
        table->has_root = true;
        table->root = *row;
        table->root.name = (scn_slice){NULL, 0};
        return SCN_OK;
    }
    table->exists = true;
    table->flags = row->flags;
    return set_name(table, row->name);
}

scn_status directory_learn(struct directory *directory, const struct catalog_row *row)
{
    struct table *table;
    if (row->kind == CATALOG_ROW_NEXT)
        directory->next_id = row->table_id;
    if (row->kind == CATALOG_ROW_NEXT || row->kind == CATALOG_ROW_BAD ||
        row->kind == CATALOG_ROW_PAST)
        return SCN_OK;
    scn_status st = directory_get(directory, row->table_id, &table);
    return st < 0 ? st : learn_table(table, row);
}

/* NULL, or what of the table's rows does not fit. */
static const char *rows_fault(const struct table *table, uint32_t next_id)
{
    if (table->name_rows > 1 || (table->name_rows && !table->exists))
        return "a name leads to it, but it does not exist";
    if (table->exists && !table->name_rows)
        return "no name leads to it";
    if (table->exists && hash64(table->name, table->name_len) != table->name_hash)
        return "it has another name than the one that leads to it";
    if (table->exists && (table->id < FIRST_USER_TABLE || table->id >= next_id))
        return "it has a number that was never given";
    if (table->has_root && !table->exists && table->id != USAGE_TABLE)
        return "it has rows, but does not exist";
    return NULL;
}

void directory_judge(const struct directory *directory, struct findings *findings,
                     uint32_t catalog_pgno)
{
    for (uint32_t i = 0; i < directory->count; i++) {
        const struct table *table = &directory->tables[i];
        const char *why = rows_fault(table, directory->next_id);
        if (why)
            findings_note(findings, FINDING_CATALOG, catalog_pgno,
                          (uint64_t)catalog_pgno * PAGE_BYTES, "table %" PRIu32 ": %s",
                          table->id, why);
    }
}

const char *table_owner(char buf[TABLE_OWNER_BYTES], uint32_t table_id)
{
    snprintf(buf, TABLE_OWNER_BYTES, "table %" PRIu32, table_id);
    return buf;
}
