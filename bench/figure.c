#include "bench/figure.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { NAME_COLUMNS = 52 };

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    require(clock_gettime(clock, &now) == 0, "the clock can be read");
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t wall_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

uint64_t thread_cpu_ns(void)
{
    return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

uint64_t process_cpu_ns(void)
{
    return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return x < y ? -1 : x > y;
}

double samples_percentile(double *samples, uint32_t count, double percent)
{
    require(count > 0, "there are samples");
    qsort(samples, count, sizeof *samples, by_value);
    uint32_t at = (uint32_t)(percent / 100 * (count - 1) + 0.5);
    return samples[at];
}

double samples_median(double *samples, uint32_t count)
{
    return samples_percentile(samples, count, 50);
}

static void print_figure(const char *name, double value, const char *unit,
                         const char *bound, double goal, bool is_met)
{
    printf("%-*s %10.2f %-4s (goal %s %.2f) %s\n", NAME_COLUMNS, name, value, unit, bound,
           goal, is_met ? "ok" : "MISSED");
    fflush(stdout);
}

void figure_at_least(const char *name, double value, double goal, const char *unit)
{
    print_figure(name, value, unit, ">=", goal, value >= goal);
}

void figure_at_most(const char *name, double value, double goal, const char *unit)
{
    print_figure(name, value, unit, "<=", goal, value <= goal);
}

void figure_note(const char *name, double value, const char *unit)
{
    printf("%-*s %10.2f %-4s\n", NAME_COLUMNS, name, value, unit);
    fflush(stdout);
}

void figure_note_of(const char *whose, const char *what, double value, const char *unit)
{
    char name[64];
    snprintf(name, sizeof name, "%s, %s", whose, what);
    figure_note(name, value, unit);
}

void require(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "bench: does not hold: %s\n", what);
    exit(1);
}
