/* Tables: see directory.h. */
#include "tools/walcheck/directory.h"

#include "page/hash.h"
#include "page/mem.h"
#include "page/utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

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
    mem_free(directory->forks);
    *directory = (struct directory){0};
}

/* Ids come in any order, as a forged catalog has them, and there may be millions: a
 * binary tree of the bits in which they differ, the highest one on top.  So no way down
 * is longer than 32 steps, and a new table moves nothing. */
struct directory_fork {
    uint32_t bit;
    uint32_t down[2]; /* by that bit of the id: an index, and which array it is of */
};

static uint32_t to_fork(uint32_t idx)
{
    return idx << 1;
}

static uint32_t to_table(uint32_t idx)
{
    return idx << 1 | 1;
}

static bool is_fork(uint32_t link)
{
    return (link & 1) == 0;
}

/* Of all tables the one that has the most of the first bits of the id; there is one. */
static struct table *nearest(const struct directory *directory, uint32_t table_id)
{
    uint32_t link = directory->root;
    while (is_fork(link)) {
        const struct directory_fork *fork = &directory->forks[link >> 1];
        link = fork->down[table_id >> fork->bit & 1];
    }
    return &directory->tables[link >> 1];
}

struct table *directory_find(const struct directory *directory, uint32_t table_id)
{
    if (directory->count == 0)
        return NULL;
    struct table *table = nearest(directory, table_id);
    return table->id == table_id ? table : NULL;
}

/* tables[idx], behind all that are there already. */
static void enter(struct directory *directory, uint32_t idx)
{
    uint32_t id = directory->tables[idx].id;
    uint32_t *link = &directory->root;
    if (idx == 0) {
        *link = to_table(idx);
        return;
    }
    uint32_t differing = id ^ nearest(directory, id)->id;
    uint32_t bit = 31 - (uint32_t)__builtin_clz(differing);
    while (is_fork(*link) && directory->forks[*link >> 1].bit > bit) {
        struct directory_fork *fork = &directory->forks[*link >> 1];
        link = &fork->down[id >> fork->bit & 1];
    }
    struct directory_fork *fresh = &directory->forks[idx - 1];
    fresh->bit = bit;
    fresh->down[id >> bit & 1] = to_table(idx);
    fresh->down[~id >> bit & 1] = *link;
    *link = to_fork(idx - 1);
}

static scn_status make_room(struct directory *directory)
{
    scn_status st = mem_make_room(&directory->tables, &directory->capacity,
                                  directory->count + 1, sizeof *directory->tables);
    if (st == SCN_OK)
        st = mem_make_room(&directory->forks, &directory->fork_capacity,
                           directory->count + 1, sizeof *directory->forks);
    return st;
}

scn_status directory_get(struct directory *directory, uint32_t table_id,
                         struct table **out)
{
    *out = directory_find(directory, table_id);
    scn_status st = *out ? SCN_OK : make_room(directory);
    if (*out || st < 0)
        return st;
    *out = &directory->tables[directory->count];
    **out = (struct table){.id = table_id};
    enter(directory, directory->count++);
    return SCN_OK;
}

static int by_id(const void *left, const void *right)
{
    uint32_t a = ((const struct table *)left)->id;
    uint32_t b = ((const struct table *)right)->id;
    return (a > b) - (a < b);
}

void directory_sort(struct directory *directory)
{
    if (directory->count)
        qsort(directory->tables, directory->count, sizeof *directory->tables, by_id);
    for (uint32_t i = 0; i < directory->count; i++)
        enter(directory, i);
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
