/* Everything that can be asked of a store that anybody may have written: each answer is
 * a clean status (stage_judge), and each loop ends. */
#ifndef TEST_FUZZ_SURVEY_H
#define TEST_FUZZ_SURVEY_H

#include "include/scrine.h"
#include "page/sys.h"

/* What is done besides reading all tables in every way; bits. */
enum {
    SURVEY_RDONLY = 1, /* opened for reading */
    SURVEY_CARE = 2,   /* statistics, health, checks */
    SURVEY_WRITE = 4,  /* commits, checkpoints, a change of every table; reading again */
    SURVEY_TWICE = 8   /* and all of it once more after a close */
};

/* Writing costs ten times as much as opening and reading, and finds what those find.  So
 * a number that changes with every input says how this one is looked at, unless its first
 * byte does: from 240 on it is the bits. */
uint32_t survey_how(const uint8_t *data, size_t size);
/* Opens the store in STAGE_STORE, or is refused; looks at it, and closes it. */
void survey_lives(struct sys *sys, uint32_t how);

#endif
