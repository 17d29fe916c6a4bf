/* The folder that a command is killed in, again and again: files that are made once, and
 * copied for each run; and what is in it afterwards.
 *
 * Everything here fails the test where it cannot. */
#ifndef TEST_TOOLS_YARD_H
#define TEST_TOOLS_YARD_H

#include "include/scrine.h"
#include "test/tools/strike.h"

enum { YARD_WORDS = 10, YARD_FILES = 4 };

/* The first word is a command of the build; NULL ends them, and files. */
typedef const char *const yard_words[YARD_WORDS];
typedef const char *const yard_files[YARD_FILES];

/* Of a file that is made once. */
const char *yard_made(const char *name);
/* Of one in the folder where commands run; good until the next call but one. */
const char *yard_used(const char *name);
bool yard_has(const char *name);

/* Copies of these files, and nothing else, lie in the folder. */
void yard_stock(yard_files names);
/* Nothing lies there but these files, and another one; NULL: none. */
void yard_check_only(yard_files names, const char *other);
/* They have the bytes that they were made with. */
void yard_check_same(const char *name);

/* Runs a command to its end, beside what is made or in the folder: its exit code. */
int yard_make(yard_words words);
int yard_run(yard_words words);
struct strike_result yard_strike(yard_words words, struct strike strike);
/* What the last one printed, good until the next call. */
const char *yard_output(void);

/* A number for all that a store shows: equal tables and rows, equal numbers.  The store
 * has to be sound. */
uint64_t yard_rows(const char *path);

#endif
