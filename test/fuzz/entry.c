/* libFuzzer's side of a target: the one that is linked with this file.  The test harness,
 * which has a main of its own, is replaced by the little of it that targets use. */
#include "test/fuzz/target.h"
#include "test/unit/unit.h"

#include <stdarg.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t room);

static struct fuzz_target *chosen;

void fuzz_register(struct fuzz_target *target)
{
    chosen = target;
}

static _Noreturn void fail(const char *file, int line, const char *format, va_list args)
{
    fprintf(stderr, "%s:%d: ", file, line);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    abort();
}

_Noreturn void fuzz_fail(const char *file, int line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fail(file, line, format, args);
}

_Noreturn void unit_fail(const char *file, int line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fail(file, line, format, args);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    chosen->run(data, size);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed)
{
    return chosen->mutate ? chosen->mutate(data, size, room, seed)
                          : LLVMFuzzerMutate(data, size, room);
}
