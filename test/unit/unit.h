/* The test harness.
 *
 *     TEST(scan__stops_at_a_torn_record)
 *     {
 *         CHECK(1 + 1 == 2);
 *         CHECK_EQ(got, 3);
 *     }
 *
 * Tests register themselves and run in one program per layer; `program NAME...` runs
 * those whose name contains a NAME.  SKIP="A__ B__" in the environment leaves out those
 * that begin so.  A failed check ends its test.  SEED=n in the environment reruns a
 * seed. */
#ifndef TEST_UNIT_H
#define TEST_UNIT_H

#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct unit_test {
    const char *name;
    void (*run)(void);
    struct unit_test *next;
};
void unit_register(struct unit_test *test);
_Noreturn void unit_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The seed of this run: SEED from the environment, or fresh; printed at the start. */
uint64_t unit_seed(void);
/* xorshift over a state that the test owns. */
uint64_t unit_random(uint64_t *state);
/* A path for a scratch file in a folder that is removed at the end of the program. */
const char *unit_path(const char *name);

#define TEST(test_name)                                                                  \
    static void test_name(void);                                                         \
    __attribute__((constructor)) static void register_##test_name(void)                  \
    {                                                                                    \
        static struct unit_test test = {#test_name, test_name, NULL};                    \
        unit_register(&test);                                                            \
    }                                                                                    \
    static void test_name(void)

#define CHECK(condition)                                                                 \
    do {                                                                                 \
        if (!(condition))                                                                \
            unit_fail(__FILE__, __LINE__, "%s", #condition);                             \
    } while (0)

#define CHECK_EQ(a, b)                                                                   \
    do {                                                                                 \
        long long unit_a_ = (long long)(a);                                              \
        long long unit_b_ = (long long)(b);                                              \
        if (unit_a_ != unit_b_)                                                          \
            unit_fail(__FILE__, __LINE__, "%s is %lld, %s is %lld", #a, unit_a_, #b,     \
                      unit_b_);                                                          \
    } while (0)

#define CHECK_OK(call) CHECK_EQ((call), 0)

#endif
