/* scrine-bench smoke: every figure of one process.  scrine-bench many: every figure of
 * many.  scrine-bench <group>: one group of them.
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
    bool is_of_many; /* processes */
} groups[] = {
    {"reads", bench_reads, false},       {"commits", bench_commits, false},
    {"beside", bench_beside, false},     {"loads", bench_loads, false},
    {"lazy", bench_lazy, false},         {"recovery", bench_recovery, false},
    {"shrink", bench_shrink, false},
    {"opening", bench_opening, false},   {"space", bench_space, false},
    {"snapshot", bench_snapshot, false}, {"crowd", bench_crowd, true},
    {"patience", bench_patience, true},
    {"begins", bench_begins, true},      {"deaths", bench_deaths, true},
    {"joins", bench_joins, true},
};
enum { GROUP_COUNT = sizeof groups / sizeof groups[0] };

static int run_all(const char *program, bool is_of_many)
{
    int failed = 0;
    for (uint32_t i = 0; i < GROUP_COUNT; i++) {
        const char *const arguments[] = {program, groups[i].name, NULL};
        struct rusage usage;
        if (groups[i].is_of_many == is_of_many && run_again(arguments, &usage) != 0) {
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
        return run_all(argv[0], false);
    if (strcmp(argv[1], "many") == 0)
        return run_all(argv[0], true);
    return run_one(argv[1]);
}
