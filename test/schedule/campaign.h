/* A campaign: schedules by chance, one seed after the other, for a while.
 *
 * BUDGET_MS=n gives it so long; RUN=seed does this one alone.  With VERBOSE a failure
 * prints its chronicle. */
#ifndef TEST_SCHEDULE_CAMPAIGN_H
#define TEST_SCHEDULE_CAMPAIGN_H

#include "test/schedule/chronicle.h"
#include "test/sim/disk.h"

struct campaign {
    /* One run.  Its chronicle is the caller's to destroy. */
    void (*run)(const struct campaign *campaign, uint64_t seed, struct sim_seen *seen,
                struct chronicle *chronicle);
    uint32_t flags;
    void *totals; /* for run */
};

/* Fails the test with the first run that went wrong.  How many there were, and how long
 * they took. */
uint64_t campaign_go_on(const struct campaign *campaign, uint64_t budget_ms,
                        uint64_t *ms);
/* The one run alone; what it says is not looked at. */
void campaign_once(const struct campaign *campaign, uint64_t seed);

#endif
