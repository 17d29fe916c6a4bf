/* Other processes, which do what they are told, one step after the other.
 *
 * A mate is forked: it knows what this process knew, shares what mate_memory gave out,
 * has to open stores for itself, and dies with this process. */
#ifndef BENCH_MATE_H
#define BENCH_MATE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct mate {
    pid_t pid;
    int line; /* to the other one */
};

/* The mate runs fn, and ends when that returns. */
void mate_start(struct mate *mate, void (*fn)(void *ctx, struct mate *caller), void *ctx);
/* By either side, to the other: tell one thing, and wait to be told one. */
void mate_tell(struct mate *mate);
void mate_hear(struct mate *mate);
/* By a mate: false when there is nothing more to do. */
bool mate_goes_on(struct mate *caller);
/* Lets it end: it is waiting for its next step. */
void mate_end(struct mate *mate);
/* Kill -9, at whatever it does; returns without waiting for its end. */
void mate_kill(struct mate *mate);
/* After mate_kill. */
void mate_bury(struct mate *mate);

/* Memory that mates started later share, zeroed, until the program ends. */
void *mate_memory(size_t bytes);

#endif
