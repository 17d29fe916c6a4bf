/* Trouble: a life in which one call, one read or one allocation goes wrong, or all from
 * there on.
 *
 * What fails has to say so with a status that fits the cause; what does not fail has to
 * be right.  At the end the trouble goes away, the machine loses its power, and all that
 * was acknowledged is there.  Nothing that the library took is left. */
#ifndef TEST_FAULT_TROUBLE_H
#define TEST_FAULT_TROUBLE_H

#include "test/fault/key.h"
#include "test/fault/life.h"

/* How often something could go wrong in a run of a workload. */
struct trouble_room {
    uint64_t calls[SIM_CALL_COUNT];
    uint64_t allocations;
};

enum trouble_kind {
    TROUBLE_CALLS,  /* errors, for each call, and deaths in it */
    TROUBLE_READS,  /* a bit is flipped in a buffer */
    TROUBLE_MEMORY
};

struct trouble_batch {
    enum trouble_kind kind;
    const struct workload *workload;
    uint64_t seed;
    uint64_t first; /* of all the trials of the run: this one, and then ... */
    uint64_t step;  /* ... each of so many; 1: all */
    uint64_t until_ms;
    uint64_t trial_count;
    char wrong[sizeof((struct story *)0)->wrong]; /* empty: nothing */
    char wrong_key[KEY_TEXT_MAX];
};

/* ---- inside a life ---- */
void trouble_step(struct life *life, const struct step *step);
void trouble_reopen(struct life *life);

/* ---- runs ---- */
/* False: see `wrong`. */
bool trouble_run(struct trouble_batch *batch);
/* One trial, by its key. */
bool trouble_run_only(struct trouble_batch *batch, const struct key *key);
bool trouble_current(struct key *key);

#endif
