/* Digests of stores: see rowsum.h. */
#include "test/engine/rowsum.h"

#include "engine/digest.h"

#include <string.h>

struct tally {
    scn_txn *txn;
    struct digest_sum sum;
};

static scn_status add_table(void *ctx, const char *name, scn_table_id id)
{
    struct tally *tally = ctx;
    struct digest digest = {.rows = 0};
    scn_table_stat stat = {.struct_size = sizeof stat};
    scn_cursor *cursor;
    scn_slice key;
    scn_slice value;
    scn_status st = scn_table_info(tally->txn, id, &stat);
    if (st == SCN_OK)
        st = scn_cursor_open(tally->txn, id, &cursor);
    if (st < 0)
        return st;
    st = scn_first(cursor, &key, &value);
    while (st == SCN_OK) {
        digest_add_row(&digest, key, value);
        st = scn_next(cursor, &key, &value);
    }
    scn_cursor_close(cursor);
    if (st == SCN_END && stat.count != digest.rows)
        return error_corrupt(0, 0, "table %.40s: its count is wrong", name);
    digest_add_table(&tally->sum, &digest, stat.flags, name, strlen(name));
    return st == SCN_END ? SCN_OK : st;
}

scn_status rowsum_digest(scn_db *db, uint8_t out[16])
{
    struct tally tally = {.txn = NULL};
    scn_status st = scn_begin(db, SCN_READ, &tally.txn);
    if (st < 0)
        return st;
    st = scn_table_each(tally.txn, add_table, &tally);
    scn_abort(tally.txn);
    digest_encode(&tally.sum, out);
    return st;
}
