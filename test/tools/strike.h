/* A command that is sent a signal at a system call.
 *
 * It is traced (ptrace), with all its threads; their calls are counted together, from
 * the first one behind exec, and the signal comes at the entry of one of them: with
 * SIGKILL that call is not made.  Threads make the count differ a little from run to
 * run. */
#ifndef TEST_TOOLS_STRIKE_H
#define TEST_TOOLS_STRIKE_H

#include <stdbool.h>
#include <stdint.h>

enum strike_kind {
    STRIKE_ANY,
    STRIKE_CHANGING, /* those that change files, names or what is durable; opening, too */
    STRIKE_KINDS
};

struct strike {
    enum strike_kind kind; /* the calls that are counted */
    uint64_t nth;          /* from 1 */
    uint64_t more;         /* calls behind it that are struck, too */
    int signal_no;
};

struct strike_result {
    bool was_struck;
    int exit_code;                /* -1: a signal has ended it */
    int signal_no;                /* that one; else 0 */
    uint64_t calls[STRIKE_KINDS]; /* that were begun */
};

/* False: the system does not let this process trace its children, or does not tell of
 * their calls, which is printed. */
bool strike_is_allowed(void);
/* Runs it in the folder; output: the path of a file for what it prints. */
struct strike_result strike_run(const char *folder, const char *const *words,
                                const char *output, struct strike strike);

#endif
