/* Commands that write, the files that each of them finds, and what may be there when it
 * was stopped at any moment: what it only reads is as it was; what it writes in place
 * holds what it held, or all of the change; a file that comes into being is not there, or
 * whole. */
#ifndef TEST_TOOLS_TASK_H
#define TEST_TOOLS_TASK_H

#include "test/tools/yard.h"

enum task_kind {
    TASK_CREATE,
    TASK_CREATE_OVER,
    TASK_INCREMENT,
    TASK_APPLY,
    TASK_RESTORE,
    TASK_RESTORE_OVER,
    TASK_SALVAGE,
    TASK_SALVAGE_OVER,
    TASK_TRUNCATE,
    TASK_PUT,
    TASK_FIRST_PUT,
    TASK_DEL,
    TASK_LOAD,
    TASK_COMPACT,
    TASK_COUNT
};

struct task {
    yard_words words;
    yard_files files;      /* that there are before */
    const char *result;    /* a file that comes into being, or is replaced */
    const char *place;     /* a store that is written in place */
    bool is_torn;          /* place; its tail goes to a file of its own */
    const char *holds;     /* result or place then has the rows of this store; NULL: it is
                              an increment */
    void (*between)(void); /* judges place where it is neither */
    int again;             /* the exit code where it has been done before */
};

/* Makes the files, once. */
void task_prepare(void);
const struct task *task_of(enum task_kind kind);
/* The file that it may leave besides; NULL: none. */
const char *task_product(const struct task *task);
/* Fails the test where something is not as above.  True: all of it is done. */
bool task_check(const struct task *task);

#endif
