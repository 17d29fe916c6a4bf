/* Workloads: small directed stories, each about one thing.  A new one is a function and a
 * row of the table in workloads.c. */
#ifndef TEST_FAULT_WORKLOAD_H
#define TEST_FAULT_WORKLOAD_H

#include <stdbool.h>
#include <stdint.h>

struct life;

struct workload {
    const char *name;
    void (*run)(struct life *life); /* from a store that was just opened */
    uint32_t story_flags;
    uint32_t log_extents; /* the log's capacity; 0: 4 */
    bool at_every_call;   /* crash points after all that changes the disk, too */
    bool is_patient;      /* tells of faults by itself, or takes too long for them */
    uint32_t share;       /* of the states of a run, in thousandths */
};

extern const struct workload workloads[];
extern const uint32_t workload_count;

#endif
