/* The operations in the log as JSON Lines: for --dump.
 *
 *     {"lsn": 128, "op": "put", "table": "fruit", "table_id": 16, "key": "apple", ...}
 *
 * lsn is the commit's, "table" is absent where the name is not known.  Keys and values
 * that are no UTF-8 are "key_hex", "value_hex". */
#ifndef TOOLS_WALCHECK_OPERATIONS_H
#define TOOLS_WALCHECK_OPERATIONS_H

#include "tools/walcheck/inspection.h"

#include <stdio.h>

/* Records from from_lsn on of the generation that was inspected, those behind damage
 * included.  Statuses of inspection_run. */
scn_status operations_print(struct sys *sys, const char *path,
                            struct inspection *inspection, uint64_t from_lsn, FILE *out,
                            bool (*goes_on)(void *, uint64_t, uint64_t),
                            void *ctx) MUST_USE;

#endif
