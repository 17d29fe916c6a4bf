/* The test harness: see unit.h. */
#include "test/unit/unit.h"

#include <ftw.h>
#include <stdarg.h>
#include <time.h>
#include <unistd.h>

static struct unit_test *tests;
static struct unit_test **tests_tail = &tests;
static jmp_buf test_end;
static char folder[200];

void unit_register(struct unit_test *test)
{
    *tests_tail = test;
    tests_tail = &test->next;
}

_Noreturn void unit_fail(const char *file, int line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "    %s:%d: ", file, line);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    longjmp(test_end, 1);
}

uint64_t unit_seed(void)
{
    static uint64_t seed;
    if (seed == 0) {
        const char *given = getenv("SEED");
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        seed = given ? strtoull(given, NULL, 0) : (uint64_t)now.tv_nsec * 2654435761u + 1;
        printf("SEED=%llu\n", (unsigned long long)seed);
        fflush(stdout);
    }
    return seed;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static void remove_folder(void)
{
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *unit_path(const char *name)
{
    static char path[300];
    if (folder[0] == 0) {
        const char *parent = getenv("TMPDIR");
        snprintf(folder, sizeof folder, "%s/scrine-test-XXXXXX",
                 parent ? parent : "/tmp");
        if (mkdtemp(folder) == NULL)
            abort();
        atexit(remove_folder);
    }
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

/* SKIP="rebuild__ tree__": tests whose names begin so are left out. */
static int is_skipped(const struct unit_test *test)
{
    const char *at = getenv("SKIP");
    while (at && *at) {
        size_t len = strcspn(at, " ");
        if (len && strncmp(test->name, at, len) == 0)
            return 1;
        at += len + strspn(at + len, " ");
    }
    return 0;
}

static int is_chosen(const struct unit_test *test, int argc, char **argv)
{
    if (is_skipped(test))
        return 0;
    for (int i = 1; i < argc; i++)
        if (strstr(test->name, argv[i]))
            return 1;
    return argc == 1;
}

int main(int argc, char **argv)
{
    volatile int passed = 0;
    volatile int failed = 0;
    for (struct unit_test *volatile test = tests; test; test = test->next) {
        if (!is_chosen(test, argc, argv))
            continue;
        if (setjmp(test_end) == 0) {
            test->run();
            passed++;
        } else {
            failed++;
            printf("FAILED %s\n", test->name);
            fflush(stdout);
        }
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
