/* Surveys: what every power cut at every crash point of a life would leave.
 *
 * Each disk that was not seen before with as much acknowledged is given a life of its
 * own: it opens; it holds the story up to a transaction between the last one acknowledged
 * and the last one begun; the check finds nothing; it goes on; and some are opened once
 * more.  In some of those lives, while they recover and go on, the power goes again. */
#ifndef TEST_FAULT_SURVEY_H
#define TEST_FAULT_SURVEY_H

#include "test/fault/key.h"
#include "test/fault/life.h"

struct survey {
    struct sim_plan plan; /* how many choices at a point; the seed is each point's own */
    uint32_t point_one_in; /* so few of the points are looked at; 0: all */
    uint64_t state_max;
    uint64_t until_ms;      /* of story_now_ms; 0: no end */
    const struct key *only; /* look at this state alone; NULL: at all */
    struct sim_seen *seen;

    uint64_t state_count;  /* after one power cut */
    uint64_t second_count; /* after more than one */
    char wrong[sizeof((struct story *)0)->wrong]; /* empty: nothing */
    char wrong_key[KEY_TEXT_MAX];
};

/* A crash point: called by the life itself, and before each sync of its machine. */
void survey_point(struct life *life);
/* Any choice of what is pending. */
struct sim_choice survey_choice(struct sim_disk *disk, uint64_t *random);
/* Tells a workload once.  False: see `wrong`. */
bool survey_run(struct survey *survey, const struct workload *workload, uint64_t seed);
/* The state that is being looked at, should the program end here. */
bool survey_current(struct key *key);

#endif
