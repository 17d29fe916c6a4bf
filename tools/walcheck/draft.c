/* Writing the new store: see draft.h. */
#include "tools/walcheck/draft.h"

#include <inttypes.h>
#include <stdio.h>

enum {
    BATCH_BYTES = 4 << 20,
    ROW_BYTES = 64, /* what a row costs besides its bytes */
    NAME_BYTES = TABLE_NAME_MAX + 1
};

void draft_begin(struct draft *draft, scn_db *db, struct directory *directory,
                 uint64_t bytes_max)
{
    *draft = (struct draft){.db = db, .directory = directory, .bytes_max = bytes_max};
}

void draft_abandon(struct draft *draft)
{
    scn_abort(draft->txn);
    draft->txn = NULL;
}

/* ---- transactions ---- */

/* Nobody conflicts, so nothing that is read has to hold. */
static scn_status open_txn(struct draft *draft)
{
    return draft->txn ? SCN_OK
                      : scn_begin(draft->db, SCN_WRITE | SCN_SNAPSHOT, &draft->txn);
}

static scn_status close_txn(struct draft *draft)
{
    scn_txn *txn = draft->txn;
    draft->txn = NULL;
    draft->pending_bytes = 0;
    return txn ? scn_commit(txn) : SCN_OK;
}

static scn_status count_bytes(struct draft *draft, uint64_t bytes)
{
    draft->bytes += bytes;
    draft->pending_bytes += bytes + ROW_BYTES;
    if (draft->bytes > draft->bytes_max)
        return error_corrupt(0, 0,
                             "the file leads to more data than any file of its size can "
                             "hold: it was made to do so");
    return draft->pending_bytes >= BATCH_BYTES ? close_txn(draft) : SCN_OK;
}

/* ---- tables ---- */

static scn_status create_table(struct draft *draft, struct table *table)
{
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "~salvage-%" PRIu32, table->id);
    uint32_t flags = SCN_CREATE | (table->flags & SCN_COMPRESS);
    return scn_table(draft->txn, name, flags, &table->out_id);
}

/* With an open transaction. */
static scn_status bind(struct draft *draft, uint32_t table_id, scn_table_id *out)
{
    struct table *table;
    scn_status st = open_txn(draft);
    if (st == SCN_OK)
        st = directory_get(draft->directory, table_id, &table);
    if (st == SCN_OK && table->out_id == 0)
        st = create_table(draft, table);
    if (st == SCN_OK)
        *out = table->out_id;
    return st;
}

/* ---- rows ---- */

scn_status draft_put(struct draft *draft, uint32_t table_id, scn_slice key,
                     scn_slice value)
{
    scn_table_id id;
    scn_status st = bind(draft, table_id, &id);
    if (st == SCN_OK)
        st = scn_put(draft->txn, id, key, value, SCN_PUT_BLIND);
    draft->put_count++;
    return st == SCN_OK ? count_bytes(draft, key.size + value.size) : st;
}

scn_status draft_del(struct draft *draft, uint32_t table_id, scn_slice key)
{
    scn_table_id id;
    scn_status st = bind(draft, table_id, &id);
    if (st == SCN_OK)
        st = scn_del(draft->txn, id, key);
    return st >= 0 ? count_bytes(draft, key.size) : st;
}

scn_status draft_clear(struct draft *draft, uint32_t table_id, const scn_slice *from,
                       const scn_slice *to)
{
    static const scn_slice open;
    scn_table_id id;
    scn_status st = bind(draft, table_id, &id);
    if (st == SCN_OK && from == NULL && to == NULL)
        st = scn_table_clear(draft->txn, id);
    else if (st == SCN_OK)
        st = scn_del_range(draft->txn, id, from ? *from : open, to ? *to : open, NULL);
    if (st < 0)
        return st;
    /* A few of them fill a batch: a record has its limits. */
    draft->pending_bytes += BATCH_BYTES / 64;
    return count_bytes(draft, 0);
}

/* ---- names ---- */

static scn_status rename_to(struct draft *draft, const struct table *table,
                            const char *name)
{
    scn_status st = scn_table_rename(draft->txn, table->out_id, name);
    for (uint32_t i = 1; st == SCN_EXISTS && i < 100; i++) {
        char other[NAME_BYTES];
        snprintf(other, sizeof other, "%.200s-%" PRIu32 "-%" PRIu32, name, table->id, i);
        st = scn_table_rename(draft->txn, table->out_id, other);
    }
    /* A name cut in the middle of a character, or one that is none. */
    if (st == SCN_MISUSE || st == SCN_TOOBIG) {
        char plain[NAME_BYTES];
        snprintf(plain, sizeof plain, "table-%" PRIu32, table->id);
        st = scn_table_rename(draft->txn, table->out_id, plain);
    }
    return st;
}

static scn_status look_for_rows(struct draft *draft, const struct table *table,
                                bool *is_empty)
{
    scn_cursor *cursor;
    scn_slice key;
    *is_empty = false;
    scn_status st = scn_cursor_open(draft->txn, table->out_id, &cursor);
    if (st != SCN_OK)
        return st;
    st = scn_first(cursor, &key, NULL);
    *is_empty = st == SCN_END;
    scn_cursor_close(cursor);
    return st < 0 ? st : SCN_OK;
}

static scn_status finish_unknown(struct draft *draft, const struct table *table)
{
    char name[NAME_BYTES];
    bool is_empty;
    scn_status st = look_for_rows(draft, table, &is_empty);
    if (st < 0)
        return st;
    snprintf(name, sizeof name, "table-%" PRIu32, table->id);
    return is_empty ? scn_table_drop(draft->txn, table->out_id)
                    : rename_to(draft, table, table->name ? table->name : name);
}

static scn_status finish_table(struct draft *draft, struct table *table)
{
    scn_status st = open_txn(draft);
    if (st == SCN_OK && table->exists && table->out_id == 0)
        st = create_table(draft, table);
    if (st < 0 || table->out_id == 0)
        return st;
    if (table->is_dropped)
        st = scn_table_drop(draft->txn, table->out_id);
    else if (table->exists)
        st = rename_to(draft, table, table->name);
    else
        st = finish_unknown(draft, table);
    /* Each in a transaction of its own: there may be many. */
    return st < 0 ? st : close_txn(draft);
}

scn_status draft_finish(struct draft *draft)
{
    struct directory *directory = draft->directory;
    scn_status st = close_txn(draft);
    for (uint32_t i = 0; i < directory->count && st == SCN_OK; i++)
        st = finish_table(draft, &directory->tables[i]);
    if (st == SCN_OK)
        st = close_txn(draft);
    return st == SCN_OK ? scn_checkpoint(draft->db) : st;
}
