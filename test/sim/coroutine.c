/* Coroutines: see coroutine.h.
 *
 * A switch saves what a function call has to keep (six registers and the stack pointer)
 * and no signal mask, so it costs a few nanoseconds.  Stacks are mappings with a page
 * below that nobody may touch; those of ended coroutines are used again. */
#include "test/sim/coroutine.h"

#include "test/sim/state.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#ifndef __has_feature
#define __has_feature(name) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define HAS_ASAN 1
void __sanitizer_start_switch_fiber(void **fake, const void *bottom, size_t size);
void __sanitizer_finish_switch_fiber(void *fake, const void **bottom, size_t *size);
void __asan_unpoison_memory_region(void const volatile *at, size_t size);
#endif
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
#define HAS_TSAN 1
void *__tsan_create_fiber(unsigned flags);
void *__tsan_get_current_fiber(void);
void __tsan_destroy_fiber(void *fiber);
void __tsan_switch_to_fiber(void *fiber, unsigned flags);
#endif

enum {
    GUARD_BYTES = 4096,
    /* The deepest call of the engine takes a tenth of it, under ASan a half. */
    STACK_BYTES = 256 << 10,
    KEPT_STACKS = 32,
    SAVED_WORDS = 6 /* pushed by coroutine_jump */
};

struct coroutine {
    void *stack_pointer; /* while it does not run */
    uint8_t *mapping;    /* NULL: adopted */
    void (*run)(void *);
    void *arg;
    void *fake_stack;   /* ASan's */
    const void *bottom; /* of the stack, for ASan */
    size_t size;
    void *fiber; /* TSan's */
};

static uint8_t *kept[KEPT_STACKS];
static int kept_count;
/* Who jumps to whom: the new stack has no other way to know. */
static struct coroutine *jumps_from;
static struct coroutine *jumps_to;

void coroutine_jump(void **save, void *to);
__asm__(".text\n"
        ".globl coroutine_jump\n"
        ".type coroutine_jump, @function\n"
        "coroutine_jump:\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    ret\n"
        ".size coroutine_jump, . - coroutine_jump\n");

static uint8_t *take_stack(void)
{
    if (kept_count > 0)
        return kept[--kept_count];
    uint8_t *mapping = mmap(NULL, GUARD_BYTES + STACK_BYTES, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapping == MAP_FAILED || mprotect(mapping, GUARD_BYTES, PROT_NONE) != 0)
        abort();
    return mapping;
}

static void give_stack(uint8_t *mapping)
{
    if (kept_count < KEPT_STACKS)
        kept[kept_count++] = mapping;
    else
        munmap(mapping, GUARD_BYTES + STACK_BYTES);
}

/* On the new stack, once the sanitizers know. */
static void arrive(struct coroutine *self)
{
#ifdef HAS_ASAN
    __sanitizer_finish_switch_fiber(self->fake_stack, &jumps_from->bottom,
                                    &jumps_from->size);
#endif
    (void)self;
}

static void begin(void)
{
    struct coroutine *self = jumps_to;
    arrive(self);
    self->run(self->arg);
    abort();
}

struct coroutine *coroutine_create(void (*run)(void *), void *arg)
{
    struct coroutine *coroutine = must(calloc(1, sizeof *coroutine));
    coroutine->run = run;
    coroutine->arg = arg;
    coroutine->mapping = take_stack();
    coroutine->bottom = coroutine->mapping + GUARD_BYTES;
    coroutine->size = STACK_BYTES;
#ifdef HAS_ASAN
    __asan_unpoison_memory_region(coroutine->bottom, STACK_BYTES);
#endif
#ifdef HAS_TSAN
    coroutine->fiber = __tsan_create_fiber(0);
#endif
    /* From the bottom up: the saved registers, where to `ret` to, and a word in the
     * place of begin's own return address, which keeps the stack aligned for it. */
    uintptr_t *top = (uintptr_t *)(coroutine->mapping + GUARD_BYTES + STACK_BYTES);
    memset(top - SAVED_WORDS - 2, 0, (SAVED_WORDS + 2) * sizeof *top);
    top[-2] = (uintptr_t)begin;
    coroutine->stack_pointer = top - SAVED_WORDS - 2;
    return coroutine;
}

struct coroutine *coroutine_adopt(void)
{
    struct coroutine *coroutine = must(calloc(1, sizeof *coroutine));
#ifdef HAS_TSAN
    coroutine->fiber = __tsan_get_current_fiber();
#endif
    return coroutine;
}

void coroutine_destroy(struct coroutine *coroutine)
{
    if (coroutine->mapping) {
#ifdef HAS_TSAN
        __tsan_destroy_fiber(coroutine->fiber);
#endif
        give_stack(coroutine->mapping);
    }
    free(coroutine);
}

void coroutine_switch(struct coroutine *from, struct coroutine *to)
{
    jumps_from = from;
    jumps_to = to;
#ifdef HAS_ASAN
    __sanitizer_start_switch_fiber(&from->fake_stack, to->bottom, to->size);
#endif
#ifdef HAS_TSAN
    __tsan_switch_to_fiber(to->fiber, 0);
#endif
    coroutine_jump(&from->stack_pointer, to->stack_pointer);
    arrive(from);
}
