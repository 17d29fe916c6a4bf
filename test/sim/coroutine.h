/* Coroutines: several stacks in one thread, and a jump from one to another.
 *
 * A coroutine runs until it switches to another one by itself; nothing interrupts it.
 * What it leaves on its stack when it is destroyed is gone without a trace, like the
 * stack of a killed process.  Sanitizers are told of each switch. */
#ifndef TEST_SIM_COROUTINE_H
#define TEST_SIM_COROUTINE_H

struct coroutine;

/* run begins at the first switch to it and must not return. */
struct coroutine *coroutine_create(void (*run)(void *), void *arg);
/* The stack that the caller is on: a place to come back to. */
struct coroutine *coroutine_adopt(void);
/* Not the one that runs. */
void coroutine_destroy(struct coroutine *coroutine);
/* `from` is the one that runs; it goes on here when somebody switches to it. */
void coroutine_switch(struct coroutine *from, struct coroutine *to);

#endif
