/* How a command ends: exit codes that scripts may rely on, and one sentence on stderr. */
#ifndef TOOLS_OUTCOME_H
#define TOOLS_OUTCOME_H

#include "include/scrine.h"

enum outcome {
    OUTCOME_OK = 0,
    OUTCOME_FINDINGS = 1, /* an absent key or table, lines that load could not take */
    OUTCOME_CORRUPT = 2,
    OUTCOME_FOREIGN = 3, /* not a store, or made by a newer version */
    OUTCOME_IO = 4,
    OUTCOME_USAGE = 64,
    OUTCOME_BUSY = 75, /* trying again may help */
    OUTCOME_INTERRUPTED = 130
};

/* What the next checkpoint puts right by itself is OUTCOME_FINDINGS, all else damage. */
enum outcome outcome_of_issue(const scn_issue *issue);

/* The program's name in what it says; "scrine" until then.  Static text. */
void outcome_set_program(const char *name);
const char *outcome_program(void);

/* Prints "scrine: ..." as one line and returns the outcome, for
 * `return outcome_say(...)`. */
enum outcome outcome_say(enum outcome outcome, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The same for a failed call of the library: what scn_last_error says, with the file's
 * name.  db may be NULL. */
enum outcome outcome_of_store(const scn_db *db, const char *path, scn_status st);

/* Ends the program.  That is always safe: a store needs no closing to be whole. */
void outcome_no_memory(void) __attribute__((noreturn));

#endif
