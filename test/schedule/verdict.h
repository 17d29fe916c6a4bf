/* The verdict on a chronicle: was everybody told the truth, and is what a store holds
 * what it should be?  See test/schedule/chronicle.h.  The first thing that is wrong is
 * left in `wrong` there. */
#ifndef TEST_SCHEDULE_VERDICT_H
#define TEST_SCHEDULE_VERDICT_H

#include "test/schedule/chronicle.h"

/* A conflict needs somebody who touched what it touched. */
void verdict_on_conflict(struct chronicle *chronicle, uint32_t entry_no);
/* All that was acknowledged was told the truth. */
bool verdict_on_all(struct chronicle *chronicle);
/* What a store holds is what some prefix of the commits has left, with all durable ones
 * in it, or all acknowledged ones.  *place is its length. */
bool verdict_on_store(struct chronicle *chronicle, scn_db *db, bool needs_all,
                      uint32_t *place);
/* The number of each actor's last commit that is in a store. */
scn_status verdict_read_last(scn_db *db, uint32_t last[DEED_ACTORS]);
/* The next life begins with what the first `place` commits have left. */
void verdict_settle(struct chronicle *chronicle, uint32_t place);

#endif
