/* A table of rows whose values lie in pages of their own, and a bulk run: for tests that
 * ask whose the pages are. */
#ifndef TEST_SCHEDULE_ROWS_H
#define TEST_SCHEDULE_ROWS_H

#include "test/schedule/stage.h"

enum {
    ROWS = 6,
    /* A value in pages of its own, which no checkpoint reads again. */
    VALUE_BYTES = 2 * PAGE_BYTES + 100,
    /* A value of so many bytes makes a bulk run of its transaction. */
    BULK_BYTES = PAGE_IS_SMALL ? 40 << 10 : 1200 << 10
};

const char *rows_key(int i);
void rows_put(struct stage *stage, const char *value);
bool txn_has_rows(scn_txn *txn, const char *value);
/* A part that has built a run and synced it, and appended nothing. */
struct part *build_run(struct stage *stage);

#endif
