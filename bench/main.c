/* scrine-bench smoke: every figure of one process.  scrine-bench many: every figure of
 * many.  scrine-bench <group>: one group of them; snapshot is in neither of the two.
 *
 * Each group runs in a process of its own: what one of them leaves in memory does not
 * count for the next. */
#include "bench/figure.h"
#include "bench/groups.h"
#include "bench/rig.h"

#include <stdio.h>
#include <string.h>

static const struct group {
    const char *name;
    void (*run)(void);
    enum { OF_ONE, OF_MANY, APART } kind; /* processes */
} groups[] = {
    {"reads", bench_reads, OF_ONE},       {"commits", bench_commits, OF_ONE},
    {"beside", bench_beside, OF_ONE},     {"loads", bench_loads, OF_ONE},
    {"lazy", bench_lazy, OF_ONE},         {"recovery", bench_recovery, OF_ONE},
    {"shrink", bench_shrink, OF_ONE},
    {"opening", bench_opening, OF_ONE},   {"space", bench_space, OF_ONE},
    {"crowd", bench_crowd, OF_MANY},      {"patience", bench_patience, OF_MANY},
    {"begins", bench_begins, OF_MANY},    {"deaths", bench_deaths, OF_MANY},
    {"joins", bench_joins, OF_MANY},      {"snapshot", bench_snapshot, APART},
};
enum { GROUP_COUNT = sizeof groups / sizeof groups[0] };

static int run_all(const char *program, int kind)
{
    int failed = 0;
    for (uint32_t i = 0; i < GROUP_COUNT; i++) {
        const char *const arguments[] = {program, groups[i].name, NULL};
        struct rusage usage;
        if ((int)groups[i].kind == kind && run_again(arguments, &usage) != 0) {
            printf("%s: could not be measured\n", groups[i].name);
            failed = 1;
        }
    }
    return failed;
}

static int run_one(const char *name)
{
    for (uint32_t i = 0; i < GROUP_COUNT; i++) {
        if (strcmp(groups[i].name, name) != 0)
            continue;
        rig_open();
        groups[i].run();
        rig_close();
        return 0;
    }
    fprintf(stderr, "bench: no group `%s`; there are: smoke, many", name);
    for (uint32_t i = 0; i < GROUP_COUNT; i++)
        fprintf(stderr, ", %s", groups[i].name);
    fprintf(stderr, "\n");
    return 64;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "child-large") == 0)
        return child_large(argv[2]), 0;
    if (argc == 3 && strcmp(argv[1], "child-fill") == 0)
        return child_fill(argv[2]), 0;
    if (argc == 1 || strcmp(argv[1], "smoke") == 0)
        return run_all(argv[0], OF_ONE);
    if (strcmp(argv[1], "many") == 0)
        return run_all(argv[0], OF_MANY);
    return run_one(argv[1]);
}
