/* Everything that can be asked of a store that anybody may have written: each answer is
 * a clean status (stage_judge), and each loop ends. */
#ifndef TEST_FUZZ_SURVEY_H
#define TEST_FUZZ_SURVEY_H

#include "include/scrine.h"

/* Reads all tables in every way. */
void survey_read(scn_db *db);
/* Statistics, health, checks. */
void survey_care(scn_db *db);
/* Commits, a checkpoint, a change of every table. */
void survey_write(scn_db *db);

#endif
