/* The groups of figures; each runs in a process of its own (bench/main.c). */
#ifndef BENCH_GROUPS_H
#define BENCH_GROUPS_H

void bench_reads(void);
void bench_commits(void);
void bench_beside(void);
void bench_loads(void);
void bench_lazy(void);
void bench_recovery(void);
void bench_opening(void);
void bench_space(void);
void bench_shrink(void);
void bench_snapshot(void);
/* Of many processes. */
void bench_crowd(void);
void bench_patience(void);
void bench_begins(void);
void bench_deaths(void);
void bench_joins(void);

/* Children of bench_opening: one transaction of 2 GiB, and a file of 1 GiB, closed
 * cleanly. */
void child_large(const char *path);
void child_fill(const char *path);

#endif
