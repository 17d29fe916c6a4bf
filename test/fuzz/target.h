/* A fuzz target: a function that takes any bytes and survives them.
 *
 *     FUZZ_TARGET(pages, run_pages, NULL)
 *
 * A target decodes its input with a feed (test/fuzz/feed.h), does what it says, and calls
 * fuzz_fail where an answer is wrong; a crash, a leak, a hang and too much memory are
 * failures as well.  It repeats itself exactly: no clock, no chance, no disk.
 *
 * Linked alone with test/fuzz/entry.c it is a libFuzzer program (`make fuzz`); all of
 * them with test/fuzz/test_corpus.c are a test that runs the kept inputs of each, those
 * in test/fuzz/corpus/NAME. */
#ifndef TEST_FUZZ_TARGET_H
#define TEST_FUZZ_TARGET_H

#include <stddef.h>
#include <stdint.h>

struct fuzz_target {
    const char *name;
    void (*run)(const uint8_t *data, size_t size);
    /* Changes an input in place and tells its new length, at most `room`.  NULL: any
     * change is as good as another. */
    size_t (*mutate)(uint8_t *data, size_t size, size_t room, uint64_t seed);
    struct fuzz_target *next;
};
void fuzz_register(struct fuzz_target *target);

/* The input has found something. */
_Noreturn void fuzz_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define FUZZ_TARGET(target_name, run_fn, mutate_fn)                                      \
    __attribute__((constructor)) static void register_##target_name(void)                \
    {                                                                                    \
        static struct fuzz_target target = {#target_name, run_fn, mutate_fn, NULL};      \
        fuzz_register(&target);                                                          \
    }

#define FUZZ_CHECK(condition)                                                            \
    do {                                                                                 \
        if (!(condition))                                                                \
            fuzz_fail(__FILE__, __LINE__, "%s", #condition);                             \
    } while (0)

#endif
