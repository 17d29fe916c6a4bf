/* The suite: every workload under power cuts, failing calls, flipped bits and scarce
 * memory, by several processes side by side.
 *
 * Each pair of a workload and a kind of misfortune is a row of the table.  A row is done
 * in jobs: one run of the workload with one seed, or some of the trials of such a run.
 * The processes share the rows' counts and take, each time, a job of the row that is
 * farthest behind. */
#ifndef TEST_FAULT_SUITE_H
#define TEST_FAULT_SUITE_H

#include <stdbool.h>
#include <stdint.h>

struct suite_order {
    uint64_t seed;
    uint32_t process_count;
    uint64_t until_ms;      /* of story_now_ms; 0: no end */
    uint64_t state_count;   /* after power cuts, in all; 0: as the time allows */
    uint64_t state_min;     /* fewer are a failure, where there are power cuts at all */
    uint32_t trial_part;    /* of all trials of a run, one in so many; 0: all, again and
                             * again, with new seeds */
    char **names;           /* of workloads and kinds; NULL: all */
    bool has_cuts;
    bool has_trials;
    bool is_dense;          /* many choices at each crash point */
    bool is_sparse;         /* a few of the crash points */
    bool is_long;           /* tells how it goes on, and ends with the first violation */
};

/* Prints the table.  How many rows passed and failed. */
void suite_run(const struct suite_order *order, uint32_t *passed, uint32_t *failed);
/* Runs what a key leads to.  False: something is wrong; it was printed. */
bool suite_run_key(const char *text);

#endif
