#include "test/schedule/rows.h"

const char *rows_key(int i)
{
    static const char *const keys[ROWS] = {"a", "b", "c", "d", "e", "f"};
    return keys[i];
}

void rows_put(struct stage *stage, const char *value)
{
    for (int i = 0; i < ROWS; i++)
        stage_put_long(stage, rows_key(i), value, VALUE_BYTES);
}

bool txn_has_rows(scn_txn *txn, const char *value)
{
    bool has = true;
    for (int i = 0; i < ROWS; i++)
        has &= txn_has_long(txn, rows_key(i), value, VALUE_BYTES);
    return has;
}

struct part *build_run(struct stage *stage)
{
    struct part *writer = stage_cast(stage, do_put, "bulk", "run");
    writer->len = BULK_BYTES;
    part_until(writer, SIM_SYNC, SIM_AT_END);
    return writer;
}
