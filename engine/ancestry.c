/* Rows of the catalog about snapshots: see ancestry.h. */
#include "engine/ancestry.h"

#include "engine/catalog.h"
#include "page/mem.h"

enum { NOTE_LETTER = 'B', ORIGIN_LETTER = 'O', TALLY_KEY_BYTES = 5 };

static void put_be64(uint8_t *at, uint64_t value)
{
    put_be32(at, (uint32_t)(value >> 32));
    put_be32(at + 4, (uint32_t)value);
}

static uint64_t get_be64(const uint8_t *at)
{
    return (uint64_t)get_be32(at) << 32 | get_be32(at + 4);
}

/* ---- rows ---- */

static bool key_is(scn_slice key, uint8_t letter, size_t size)
{
    return key.size == size && *(const uint8_t *)key.data == letter;
}

bool ancestry_row_is_right(scn_slice key, scn_slice value)
{
    if (key_is(key, NOTE_LETTER, ANCESTRY_NOTE_KEY_BYTES))
        return value.size == ANCESTRY_NOTE_BYTES;
    if (key_is(key, ORIGIN_LETTER, 1))
        return value.size == ANCESTRY_ORIGIN_BYTES;
    return key_is(key, ORIGIN_LETTER, TALLY_KEY_BYTES) &&
           value.size == ANCESTRY_TALLY_BYTES;
}

bool ancestry_op_is_possible(const struct op *op)
{
    if (op->code == OP_PUT)
        return ancestry_row_is_right(op->key, op->value);
    return op->code == OP_DEL && (key_is(op->key, NOTE_LETTER, ANCESTRY_NOTE_KEY_BYTES) ||
                                  key_is(op->key, ORIGIN_LETTER, TALLY_KEY_BYTES));
}

static scn_slice key_of_note(uint8_t *buf, const struct ancestor *snapshot)
{
    buf[0] = NOTE_LETTER;
    put_be64(buf + 1, snapshot->gen);
    put_be64(buf + 9, snapshot->lsn);
    memcpy(buf + 17, snapshot->id, ANCESTRY_ID_BYTES);
    return (scn_slice){buf, ANCESTRY_NOTE_KEY_BYTES};
}

scn_slice ancestry_key_origin(uint8_t *buf)
{
    buf[0] = ORIGIN_LETTER;
    return (scn_slice){buf, 1};
}

scn_slice ancestry_key_tally(uint8_t *buf, uint32_t table_id)
{
    buf[0] = ORIGIN_LETTER;
    put_be32(buf + 1, table_id);
    return (scn_slice){buf, TALLY_KEY_BYTES};
}

void ancestry_origin_encode(const struct ancestor *origin,
                            uint8_t at[ANCESTRY_ORIGIN_BYTES])
{
    memcpy(at, origin->uuid, 16);
    put_u64(at + 16, origin->gen);
    put_u64(at + 24, origin->lsn);
    memcpy(at + 32, origin->id, ANCESTRY_ID_BYTES);
    put_u64(at + 48, origin->wall_ms);
    digest_encode(&origin->digest, at + 56);
}

static void origin_decode(const uint8_t *at, struct ancestor *out)
{
    memcpy(out->uuid, at, 16);
    out->gen = get_u64(at + 16);
    out->lsn = get_u64(at + 24);
    memcpy(out->id, at + 32, ANCESTRY_ID_BYTES);
    out->wall_ms = get_u64(at + 48);
    out->digest = digest_decode(at + 56);
}

void ancestry_tally_encode(const struct digest *tally, uint8_t at[ANCESTRY_TALLY_BYTES])
{
    put_u64(at, tally->rows);
    digest_encode(&tally->sum, at + 8);
}

/* ---- reading ---- */

static scn_status read_row(struct scn_txn *txn, scn_slice key, size_t size,
                           scn_slice *value)
{
    struct binding catalog = catalog_binding(txn);
    struct found found;
    scn_status st =
        read_find(txn, &catalog, key, leaf_hash(key.data, key.size), &found);
    if (st < 0)
        return st;
    if (found.kind == FOUND_NONE)
        return SCN_NOTFOUND;
    if (found.kind == FOUND_REF || found.bytes.size != size)
        return error_corrupt(txn->view->catalog.pgno, 0,
                             "catalog: a row about snapshots is malformed");
    *value = found.bytes;
    return SCN_OK;
}

scn_status ancestry_origin(struct scn_txn *txn, struct ancestor *out)
{
    uint8_t buf[CATALOG_KEY_MAX];
    scn_slice value;
    scn_status st =
        read_row(txn, ancestry_key_origin(buf), ANCESTRY_ORIGIN_BYTES, &value);
    if (st == SCN_OK)
        origin_decode(value.data, out);
    return st;
}

scn_status ancestry_tally(struct scn_txn *txn, uint32_t table_id, struct digest *out)
{
    uint8_t buf[CATALOG_KEY_MAX];
    scn_slice value;
    *out = (struct digest){.rows = 0};
    scn_status st = read_row(txn, ancestry_key_tally(buf, table_id), ANCESTRY_TALLY_BYTES,
                             &value);
    if (st == SCN_OK) {
        const uint8_t *at = value.data;
        *out = (struct digest){.sum = digest_decode(at + 8), .rows = get_u64(at)};
    }
    return st;
}

/* ---- notes ---- */

struct notes {
    struct scn_txn *txn;
    struct merge *merge;
    bool is_started;
};

static scn_status notes_open(struct notes *notes, struct scn_txn *txn)
{
    struct binding catalog = catalog_binding(txn);
    *notes = (struct notes){.txn = txn};
    return read_merge(txn, &catalog, &notes->merge);
}

/* Ascending by generation and LSN.  SCN_END. */
static scn_status notes_next(struct notes *notes, struct ancestor *out)
{
    static const uint8_t first[1] = {NOTE_LETTER};
    scn_slice from = {first, 1};
    struct merge_item item;
    scn_status st = notes->is_started
                        ? merge_step(notes->merge, true, &item)
                        : merge_seek(notes->merge, &from, SCN_GE, &item);
    notes->is_started = true;
    if (st != SCN_OK)
        return st;
    if (!key_is(item.key, NOTE_LETTER, ANCESTRY_NOTE_KEY_BYTES))
        return SCN_END;
    if (item.kind != MERGE_BYTES || item.value.size != ANCESTRY_NOTE_BYTES)
        return error_corrupt(notes->txn->view->catalog.pgno, 0,
                             "catalog: a row about snapshots is malformed");
    const uint8_t *key = item.key.data;
    const uint8_t *row = item.value.data;
    *out = (struct ancestor){.gen = get_be64(key + 1),
                             .lsn = get_be64(key + 9),
                             .wall_ms = get_u64(row)};
    memcpy(out->id, key + 17, ANCESTRY_ID_BYTES);
    return SCN_OK;
}

scn_status ancestry_find_note(struct scn_txn *txn, uint64_t gen,
                              const uint8_t id[ANCESTRY_ID_BYTES], struct ancestor *out)
{
    struct notes notes;
    struct ancestor note;
    bool any_id = bytes_are_zero(id, ANCESTRY_ID_BYTES);
    bool is_found = false;
    scn_status st = notes_open(&notes, txn);
    while (st == SCN_OK && (st = notes_next(&notes, &note)) == SCN_OK) {
        if (note.gen != gen || (!any_id && memcmp(note.id, id, ANCESTRY_ID_BYTES) != 0))
            continue;
        *out = note;
        is_found = true;
    }
    merge_destroy(notes.merge);
    return st < 0 ? st : is_found ? SCN_OK : SCN_NOTFOUND;
}

/* Notes sort by generation, and right before this. */
static scn_status last_note(struct merge *merge, uint64_t *gen)
{
    static const uint8_t behind[1] = {NOTE_LETTER + 1};
    scn_slice to = {behind, 1};
    struct merge_item item;
    pool_enter(merge->reader);
    scn_status st = merge_seek(merge, &to, SCN_LT, &item);
    if (st == SCN_OK && key_is(item.key, NOTE_LETTER, ANCESTRY_NOTE_KEY_BYTES))
        *gen = get_be64((const uint8_t *)item.key.data + 1);
    pool_leave(merge->reader);
    return st < 0 ? st : SCN_OK;
}

scn_status ancestry_newest_gen(const struct view *view, struct pool_reader *reader,
                               uint64_t *gen)
{
    struct merge *merge;
    *gen = 0;
    scn_status st = merge_create(reader, view->source_count, &merge);
    if (st < 0)
        return st;
    for (uint32_t i = 0; i < view->source_count; i++) {
        const struct delta *delta = view->sources[i].delta;
        const struct delta_table *table =
            delta ? delta_table(delta, TABLE_CATALOG) : NULL;
        if (table)
            merge_add_delta(merge, table, UINT64_MAX, NULL);
    }
    st = last_note(merge, gen);
    merge_destroy(merge);
    return st;
}

/* ---- writing ---- */

static scn_status put_row(struct scn_txn *txn, scn_slice key, const uint8_t *row,
                          size_t size)
{
    uint8_t kind = row ? DELTA_PUT : DELTA_TOMBSTONE;
    return write_append(txn, TABLE_CATALOG, key, (uint8_t)(kind | DELTA_BLIND),
                        (scn_slice){row, size});
}

scn_status ancestry_put_origin(struct scn_txn *txn, const struct ancestor *origin)
{
    uint8_t buf[CATALOG_KEY_MAX];
    uint8_t row[ANCESTRY_ORIGIN_BYTES];
    ancestry_origin_encode(origin, row);
    return put_row(txn, ancestry_key_origin(buf), row, sizeof row);
}

scn_status ancestry_put_tally(struct scn_txn *txn, uint32_t table_id,
                              const struct digest *tally)
{
    uint8_t buf[CATALOG_KEY_MAX];
    uint8_t row[ANCESTRY_TALLY_BYTES];
    scn_slice key = ancestry_key_tally(buf, table_id);
    if (tally == NULL)
        return put_row(txn, key, NULL, 0);
    ancestry_tally_encode(tally, row);
    return put_row(txn, key, row, sizeof row);
}

/* The oldest notes, so that one more has a place. */
static scn_status forget_old(struct scn_txn *txn)
{
    struct ancestor oldest[2];
    struct notes notes;
    struct ancestor note;
    uint32_t count = 0;
    scn_status st = notes_open(&notes, txn);
    while (st == SCN_OK && (st = notes_next(&notes, &note)) == SCN_OK)
        if (count++ < 2)
            oldest[count - 1] = note;
    merge_destroy(notes.merge);
    /* Two, where others have noted at the same time. */
    for (uint32_t i = 0; st >= 0 && i < 2 && count >= ANCESTRY_NOTES_MAX; i++, count--) {
        uint8_t buf[ANCESTRY_NOTE_KEY_BYTES];
        st = put_row(txn, key_of_note(buf, &oldest[i]), NULL, 0);
    }
    return st < 0 ? st : SCN_OK;
}

static scn_status write_note(struct scn_txn *txn, const struct ancestor *snapshot)
{
    uint8_t buf[ANCESTRY_NOTE_KEY_BYTES];
    uint8_t row[ANCESTRY_NOTE_BYTES];
    put_u64(row, snapshot->wall_ms);
    txn_enter(txn);
    scn_status st = forget_old(txn);
    if (st == SCN_OK)
        st = put_row(txn, key_of_note(buf, snapshot), row, sizeof row);
    return txn_leave(txn, st);
}

/* In another session the log may lack commits that the snapshot saw; and where one begins
 * from here on, the note conflicts. */
static scn_status check_session(struct store *store, uint64_t session)
{
    if (file_session(&store->file) == session)
        return SCN_OK;
    return error_set(SCN_CONFLICT, 0, 0, 0,
                     "the file was recovered from a failed sync while the snapshot was "
                     "taken");
}

/* All its writes are blind, and nothing it reads matters to others. */
scn_status ancestry_note(scn_db *db, const struct ancestor *snapshot, uint64_t session)
{
    scn_txn *txn;
    scn_status st = scn_begin(db, SCN_WRITE | SCN_SNAPSHOT, &txn);
    if (st == SCN_OK)
        st = scn_set_durability(txn, SCN_SYNC_FULL);
    if (st < 0)
        return st;
    st = check_session(db->store, session);
    if (st == SCN_OK)
        st = write_note(txn, snapshot);
    if (st == SCN_OK)
        return scn_commit(txn);
    scn_abort(txn);
    return st;
}
