/* Workers: threads that commit numbered rows, and can tell later what is left of them.
 *
 * Commit number n of a worker writes its row n, deletes an older one, and notes n as its
 * last: whatever happens, the rows that are there have to fit the number. */
#ifndef TEST_ENGINE_WORKERS_H
#define TEST_ENGINE_WORKERS_H

#include "engine/store.h"

enum { WORKERS_MAX = 4, WORKERS_WRONG_BYTES = 200 };

/* Numbers begin with 1. */
scn_status worker_commit(scn_db *db, uint32_t worker, uint64_t number);
/* The last number of each worker; 0: none.  False: `wrong` says what does not fit. */
bool workers_check(scn_db *db, uint32_t count, uint64_t found[],
                   char wrong[WORKERS_WRONG_BYTES]);

#endif
