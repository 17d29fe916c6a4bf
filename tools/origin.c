#include "tools/origin.h"

#include <string.h>

scn_status origin_set(scn_txn *txn, const char *table, const char *field)
{
    scn_table_id id;
    scn_slice key = {table, strlen(table)};
    scn_slice value = {field, strlen(field)};
    scn_status st = scn_table(txn, ORIGIN_TABLE, SCN_CREATE, &id);
    return st == SCN_OK ? scn_put(txn, id, key, value, SCN_PUT_SAME) : st;
}

scn_status origin_get(scn_txn *txn, const char *table, struct text *field)
{
    scn_table_id id;
    scn_slice key = {table, strlen(table)};
    scn_slice value;
    scn_status st = scn_table(txn, ORIGIN_TABLE, 0, &id);
    if (st == SCN_OK)
        st = scn_get(txn, id, key, &value);
    if (st != SCN_OK)
        return st;
    text_append(field, value.data, value.size);
    text_append(field, "", 1);
    return SCN_OK;
}
