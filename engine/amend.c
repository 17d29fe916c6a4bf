/* Applying increments: see amend.h. */
#include "engine/amend.h"

#include "engine/catalog.h"
#include "engine/tablelist.h"
#include "page/mem.h"
#include "page/utf8.h"

#include <stdlib.h>

struct amend {
    struct scn_txn *txn;
    struct parcels_in *from;
    struct table_list before;
    struct table_list after;
    uint32_t next_id;
    uint32_t table_id; /* of the table being changed; 0: none yet */
    bool is_tallied;
    struct digest digest;
    bool in_range;
    scn_cursor *cursor; /* over the base's rows of the range */
    bool has_row;
    scn_slice row; /* the key where it stands */
    uint8_t row_copy[KEY_BYTES_MAX];
};

static scn_status corrupt(const struct amend *amend, const char *what)
{
    return error_corrupt(0, amend->from->off, "increment: %s", what);
}

static scn_status foreign_base(scn_slice key)
{
    return error_corrupt(0, 0,
                         "the base lacks a row that it had when the increment was made "
                         "(a key of %zu bytes): it has been changed since",
                         key.size);
}

/* ---- rows ---- */

/* What goes is taken out of the digest: its value is read. */
static scn_status forget_row(struct amend *amend, scn_slice key)
{
    scn_slice value;
    scn_status st =
        scn_get_flags(amend->txn, amend->table_id, key, SCN_UNTRACKED, &value);
    if (st == SCN_OK)
        digest_remove_row(&amend->digest, key, value);
    return st;
}

static scn_status delete_row(struct amend *amend, scn_slice key)
{
    scn_status st = forget_row(amend, key);
    return st == SCN_OK ? scn_del(amend->txn, amend->table_id, key) : st;
}

/* Equal bytes stay where they are. */
static scn_status put_row(struct amend *amend, scn_slice key, scn_slice value)
{
    scn_slice old;
    scn_status st = scn_get_flags(amend->txn, amend->table_id, key, SCN_UNTRACKED, &old);
    if (st < 0)
        return st;
    if (st == SCN_OK && old.size == value.size &&
        (old.size == 0 || memcmp(old.data, value.data, old.size) == 0))
        return SCN_OK;
    if (st == SCN_OK)
        digest_remove_row(&amend->digest, key, old);
    digest_add_row(&amend->digest, key, value);
    return scn_put(amend->txn, amend->table_id, key, value, SCN_PUT_BLIND);
}

/* ---- ranges ---- */

static scn_status take_row(struct amend *amend, scn_status st, scn_slice key)
{
    amend->has_row = st == SCN_OK;
    if (st != SCN_OK)
        return st < 0 ? st : SCN_OK;
    memcpy(amend->row_copy, key.data, key.size);
    amend->row = (scn_slice){amend->row_copy, key.size};
    return SCN_OK;
}

static scn_status next_row(struct amend *amend)
{
    scn_slice key;
    scn_status st = scn_next(amend->cursor, &key, NULL);
    return take_row(amend, st, key);
}

static scn_status open_cursor(struct amend *amend, scn_slice from, scn_slice to,
                              scn_cursor **cursor)
{
    scn_status st = scn_cursor_open(amend->txn, amend->table_id, cursor);
    if (st == SCN_OK)
        st = scn_cursor_flags(*cursor, SCN_UNTRACKED);
    return st < 0 ? st
                  : scn_cursor_bounds(*cursor, from.size ? &from : NULL,
                                      to.size ? &to : NULL);
}

static void close_cursor(struct amend *amend)
{
    if (amend->cursor)
        scn_cursor_close(amend->cursor);
    amend->cursor = NULL;
    amend->in_range = false;
    amend->has_row = false;
}

static scn_status begin_range(struct amend *amend, scn_slice from, scn_slice to)
{
    if (amend->in_range)
        return corrupt(amend, "a range inside a range");
    scn_slice key;
    scn_status st = open_cursor(amend, from, to, &amend->cursor);
    amend->in_range = true;
    if (st < 0)
        return st;
    st = scn_first(amend->cursor, &key, NULL);
    return take_row(amend, st, key);
}

/* The base's rows before key (NULL: all that are left in the range) go. */
static scn_status pass_rows(struct amend *amend, const scn_slice *key)
{
    scn_status st = SCN_OK;
    while (st == SCN_OK && amend->has_row &&
           (key == NULL || bytes_compare(amend->row.data, amend->row.size, key->data,
                                         key->size) < 0)) {
        st = delete_row(amend, amend->row);
        if (st == SCN_OK)
            st = next_row(amend);
    }
    return st;
}

static bool stands_at(const struct amend *amend, scn_slice key)
{
    return amend->has_row && amend->row.size == key.size &&
           memcmp(amend->row.data, key.data, key.size) == 0;
}

static scn_status put_in_range(struct amend *amend, scn_slice key, scn_slice value)
{
    scn_status st = pass_rows(amend, &key);
    bool is_there = st == SCN_OK && stands_at(amend, key);
    if (st == SCN_OK)
        st = put_row(amend, key, value);
    return st == SCN_OK && is_there ? next_row(amend) : st;
}

static scn_status keep_in_range(struct amend *amend, scn_slice key)
{
    if (!amend->in_range)
        return corrupt(amend, "a row is kept outside of a range");
    scn_status st = pass_rows(amend, &key);
    if (st < 0)
        return st;
    return stands_at(amend, key) ? next_row(amend) : foreign_base(key);
}

static scn_status end_range(struct amend *amend)
{
    if (!amend->in_range)
        return corrupt(amend, "the end of no range");
    scn_status st = pass_rows(amend, NULL);
    close_cursor(amend);
    return st;
}

/* ---- clears ---- */

static scn_status forget_rows(struct amend *amend, scn_slice from, scn_slice to)
{
    scn_cursor *cursor = NULL;
    scn_slice key;
    scn_slice value;
    scn_status st = open_cursor(amend, from, to, &cursor);
    if (st == SCN_OK)
        st = scn_first(cursor, &key, &value);
    while (st == SCN_OK) {
        digest_remove_row(&amend->digest, key, value);
        st = scn_next(cursor, &key, &value);
    }
    if (cursor)
        scn_cursor_close(cursor);
    return st < 0 ? st : SCN_OK;
}

static scn_status clear(struct amend *amend, scn_slice from, scn_slice to)
{
    if (amend->in_range)
        return corrupt(amend, "a deletion inside a range");
    if (from.size == 0 && to.size == 0) {
        amend->digest = (struct digest){.rows = 0};
        return scn_table_clear(amend->txn, amend->table_id);
    }
    scn_status st = forget_rows(amend, from, to);
    return st == SCN_OK ? scn_del_range(amend->txn, amend->table_id, from, to, NULL) : st;
}

/* ---- tables ---- */

static scn_status end_table(struct amend *amend)
{
    if (amend->in_range)
        return corrupt(amend, "a range without an end");
    if (amend->table_id == 0)
        return SCN_OK;
    txn_enter(amend->txn);
    scn_status st = ancestry_put_tally(amend->txn, amend->table_id, &amend->digest);
    amend->table_id = 0;
    return txn_leave(amend->txn, st);
}

static scn_status begin_table(struct amend *amend, uint32_t id)
{
    scn_status st = end_table(amend);
    if (st < 0)
        return st;
    if (table_list_find(&amend->after, id) == NULL)
        return corrupt(amend, "rows of a table without a name");
    amend->table_id = id;
    txn_enter(amend->txn);
    st = ancestry_tally(amend->txn, id, &amend->digest);
    return txn_leave(amend->txn, st == SCN_NOTFOUND ? SCN_OK : st);
}

/* ---- the catalog ---- */

static bool is_same(const struct table_entry *a, const struct table_entry *b)
{
    return a && b && a->flags == b->flags && a->name_len == b->name_len &&
           memcmp(a->name, b->name, a->name_len) == 0;
}

static scn_status write_catalog_row(struct amend *amend, scn_slice key, const void *value,
                                    size_t len)
{
    uint8_t kind = value ? DELTA_PUT : DELTA_TOMBSTONE;
    return write_append(amend->txn, TABLE_CATALOG, key, kind, (scn_slice){value, len});
}

static scn_status remove_name(struct amend *amend, const struct table_entry *table)
{
    uint8_t buf[CATALOG_KEY_MAX];
    return write_catalog_row(
        amend, catalog_key_name(buf, table->name, table->name_len), NULL, 0);
}

static scn_status drop_table(struct amend *amend, const struct table_entry *table)
{
    uint8_t buf[CATALOG_KEY_MAX];
    scn_status st = remove_name(amend, table);
    if (st == SCN_OK)
        st = write_catalog_row(amend, catalog_key_id(buf, table->id), NULL, 0);
    if (st == SCN_OK)
        st = write_clear(amend->txn, table->id, NULL, NULL);
    return st == SCN_OK ? ancestry_put_tally(amend->txn, table->id, NULL) : st;
}

static scn_status name_table(struct amend *amend, const struct table_entry *table)
{
    uint8_t buf[CATALOG_KEY_MAX];
    uint8_t row[4 + TABLE_NAME_MAX];
    put_u32(row, table->id);
    scn_status st = write_catalog_row(
        amend, catalog_key_name(buf, table->name, table->name_len), row, 4);
    put_u32(row, table->flags);
    memcpy(row + 4, table->name, table->name_len);
    return st < 0 ? st
                  : write_catalog_row(amend, catalog_key_id(buf, table->id), row,
                                      4 + table->name_len);
}

/* Names may have changed hands: all that go go first. */
static scn_status remove_names(struct amend *amend)
{
    scn_status st = SCN_OK;
    for (uint32_t i = 0; st == SCN_OK && i < amend->before.count; i++) {
        const struct table_entry *old = &amend->before.entries[i];
        const struct table_entry *new = table_list_find(&amend->after, old->id);
        if (new == NULL)
            st = drop_table(amend, old);
        else if (!is_same(old, new))
            st = remove_name(amend, old);
    }
    return st;
}

static scn_status add_names(struct amend *amend)
{
    scn_status st = SCN_OK;
    for (uint32_t i = 0; st == SCN_OK && i < amend->after.count; i++) {
        const struct table_entry *new = &amend->after.entries[i];
        const struct table_entry *old = table_list_find(&amend->before, new->id);
        struct digest none = {.rows = 0};
        if (!is_same(old, new))
            st = name_table(amend, new);
        if (st == SCN_OK && old == NULL)
            st = ancestry_put_tally(amend->txn, new->id, &none);
    }
    return st;
}

static int by_name(const void *left, const void *right)
{
    const struct table_entry *a = *(const struct table_entry *const *)left;
    const struct table_entry *b = *(const struct table_entry *const *)right;
    return bytes_compare(a->name, a->name_len, b->name, b->name_len);
}

/* There may be as many as the increment is long. */
static scn_status check_names_differ(const struct amend *amend)
{
    const struct table_list *list = &amend->after;
    const struct table_entry **sorted = mem_alloc((list->count + 1) * sizeof *sorted);
    bool has_equal = false;
    if (sorted == NULL)
        return error_nomem();
    for (uint32_t i = 0; i < list->count; i++)
        sorted[i] = &list->entries[i];
    qsort(sorted, list->count, sizeof *sorted, by_name);
    for (uint32_t i = 1; i < list->count; i++)
        has_equal |= by_name(&sorted[i - 1], &sorted[i]) == 0;
    mem_free(sorted);
    return has_equal ? corrupt(amend, "two tables of one name") : SCN_OK;
}

static scn_status check_names(const struct amend *amend)
{
    const struct table_list *list = &amend->after;
    for (uint32_t i = 0; i < list->count; i++) {
        const struct table_entry *table = &list->entries[i];
        if (table->id >= amend->next_id || (table->flags & ~(uint32_t)SCN_COMPRESS))
            return corrupt(amend, "a table that cannot be");
    }
    return check_names_differ(amend);
}

static scn_status change_catalog(struct amend *amend)
{
    static const uint8_t next_key[1] = {'#'};
    uint8_t row[4];
    scn_status st = check_names(amend);
    if (st == SCN_OK)
        st = table_list_read(&amend->before, amend->txn);
    if (st < 0)
        return st;
    put_u32(row, amend->next_id);
    txn_enter(amend->txn);
    st = remove_names(amend);
    if (st == SCN_OK)
        st = add_names(amend);
    if (st == SCN_OK && amend->next_id > TABLE_FIRST_USER)
        st = write_catalog_row(amend, (scn_slice){next_key, 1}, row, 4);
    catalog_forget(amend->txn);
    return txn_leave(amend->txn, st);
}

static scn_status note_name(struct amend *amend, const struct parcels_item *item)
{
    const struct table_list *list = &amend->after;
    bool ascends = list->count == 0 || list->entries[list->count - 1].id < item->number;
    if (!ascends || item->flags > UINT32_MAX || item->key.size > TABLE_NAME_MAX ||
        !utf8_is_text(item->key.data, item->key.size))
        return corrupt(amend, "a table that cannot be");
    return table_list_add(&amend->after, (uint32_t)item->number, (uint32_t)item->flags,
                          item->key);
}

/* ---- all of it ---- */

static scn_status read_catalog(struct amend *amend, struct parcels_item *item)
{
    scn_status st = parcels_next(amend->from, item);
    if (st == SCN_END || (st == SCN_OK && item->op != PARCEL_NEXT))
        return corrupt(amend, "no catalog");
    amend->next_id = (uint32_t)item->number;
    while (st == SCN_OK) {
        st = parcels_next(amend->from, item);
        if (st != SCN_OK || item->op != PARCEL_NAME)
            break;
        st = note_name(amend, item);
    }
    return st;
}

static scn_status take_row_op(struct amend *amend, const struct parcels_item *item)
{
    if (amend->table_id == 0)
        return corrupt(amend, "rows without a table");
    switch (item->op) {
    case PARCEL_CLEAR:
        return clear(amend, item->key, item->value);
    case PARCEL_RANGE:
        return begin_range(amend, item->key, item->value);
    case PARCEL_DONE:
        return end_range(amend);
    case PARCEL_KEEP:
        return keep_in_range(amend, item->key);
    case PARCEL_PUT:
        return amend->in_range ? put_in_range(amend, item->key, item->value)
                               : put_row(amend, item->key, item->value);
    case PARCEL_DELETE:
        return amend->in_range ? corrupt(amend, "a row is deleted inside of a range")
                               : delete_row(amend, item->key);
    default:
        return corrupt(amend, "an operation out of order");
    }
}

static scn_status take_op(struct amend *amend, const struct parcels_item *item)
{
    if (item->op == PARCEL_TABLE)
        return begin_table(amend, (uint32_t)item->number);
    scn_status st = take_row_op(amend, item);
    return st == SCN_NOTFOUND ? SCN_OK : st; /* a row that was not there to be deleted */
}

static scn_status add_tally(struct amend *amend, const struct table_entry *table,
                            struct digest_sum *sum)
{
    struct digest tally;
    txn_enter(amend->txn);
    scn_status st = txn_leave(amend->txn, ancestry_tally(amend->txn, table->id, &tally));
    digest_add_table(sum, &tally, table->flags, table->name, table->name_len);
    return st < 0 ? st : SCN_OK;
}

static scn_status put_origin(struct amend *amend)
{
    const struct parcel_head *head = &amend->from->head;
    struct ancestor origin = {
        .gen = head->gen, .lsn = head->lsn, .wall_ms = head->wall_ms};
    scn_status st = SCN_OK;
    memcpy(origin.uuid, head->uuid, sizeof origin.uuid);
    memcpy(origin.id, head->id, sizeof origin.id);
    for (uint32_t i = 0; st == SCN_OK && i < amend->after.count; i++)
        st = add_tally(amend, &amend->after.entries[i], &origin.digest);
    if (st < 0)
        return st;
    txn_enter(amend->txn);
    return txn_leave(amend->txn, ancestry_put_origin(amend->txn, &origin));
}

static scn_status run(struct amend *amend)
{
    struct parcels_item item;
    scn_status st = read_catalog(amend, &item);
    scn_status changed = st < 0 ? st : change_catalog(amend);
    if (changed < 0)
        return changed;
    while (st == SCN_OK) {
        st = take_op(amend, &item);
        if (st == SCN_OK)
            st = parcels_next(amend->from, &item);
    }
    if (st == SCN_END)
        st = end_table(amend);
    return st == SCN_OK ? put_origin(amend) : st;
}

scn_status amend(struct scn_txn *txn, struct parcels_in *from)
{
    struct amend *amend = mem_zalloc(sizeof *amend);
    if (amend == NULL)
        return error_nomem();
    amend->txn = txn;
    amend->from = from;
    scn_status st = run(amend);
    close_cursor(amend);
    table_list_destroy(&amend->before);
    table_list_destroy(&amend->after);
    mem_free(amend);
    return st;
}
