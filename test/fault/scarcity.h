/* Memory that runs out: the library's allocator in this program.
 *
 * It can only be set before the first allocation, so it is there from the start of the
 * program.  One thread. */
#ifndef TEST_FAULT_SCARCITY_H
#define TEST_FAULT_SCARCITY_H

#include <stdbool.h>
#include <stdint.h>

/* From now on the nth allocation fails, counted from 1, and, if it is for ever, all later
 * ones; 0: none.  The count begins anew. */
void scarcity_set(uint64_t nth, bool is_forever);
bool scarcity_is_set(void);
/* Allocations since then. */
uint64_t scarcity_count(void);
uint64_t scarcity_hits(void);

#endif
