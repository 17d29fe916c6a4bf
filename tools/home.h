/* The store of the shell: opened once, and what commands work on instead of opening it
 * again.  Between commands no transaction is open, unless one was begun by name. */
#ifndef TOOLS_HOME_H
#define TOOLS_HOME_H

#include "tools/outcome.h"

#include <stdbool.h>

/* For writing, or where that is refused for reading only.  Otherwise than OUTCOME_OK and
 * OUTCOME_CORRUPT, with which it is open as well (reading only, the log is damaged): said
 * why, nothing to close. */
enum outcome home_open(const char *path);
bool home_is_open(void);
/* An open transaction is rolled back.  As scn_close; the outcome given goes first. */
enum outcome home_close(enum outcome outcome);

/* NULL unless it is this very string that home_open was given. */
scn_db *home_store(const char *path);
/* The transaction that was begun; NULL: none. */
scn_txn *home_txn(void);
/* Each says why it could not be done.  After a commit, whatever became of it, and a
 * rollback there is no transaction. */
enum outcome home_begin(void);
enum outcome home_commit(void);
enum outcome home_rollback(void);

#endif
