/* Measuring and telling: clocks, medians, and one line for each figure.
 *
 * A figure is a number with a goal.  What cannot be measured at all ends the program. */
#ifndef BENCH_FIGURE_H
#define BENCH_FIGURE_H

#include <stdbool.h>
#include <stdint.h>

uint64_t wall_ns(void);
/* Of the calling thread, and of the whole process with its background threads. */
uint64_t thread_cpu_ns(void);
uint64_t process_cpu_ns(void);

/* Sorts the samples. */
double samples_median(double *samples, uint32_t count);
double samples_percentile(double *samples, uint32_t count, double percent);

/* Prints `name: value unit (goal ...) ok|MISSED`. */
void figure_at_least(const char *name, double value, double goal, const char *unit);
void figure_at_most(const char *name, double value, double goal, const char *unit);
/* A number without a goal, to judge the others by. */
void figure_note(const char *name, double value, const char *unit);
/* The same of one of several: "Scrine, a put". */
void figure_note_of(const char *whose, const char *what, double value, const char *unit);

/* Ends the program with a sentence unless it holds. */
void require(bool holds, const char *what);

#endif
