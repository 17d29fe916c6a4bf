/* Two processes of one machine, and how far one of them goes before the other does
 * something. */
#ifndef TEST_SCHEDULE_PAIR_H
#define TEST_SCHEDULE_PAIR_H

#include "page/publish.h"
#include "test/schedule/stage.h"

struct pair {
    struct stage a;
    struct stage b;
};

void pair_open(struct pair *pair);
void pair_close(struct pair *pair);

/* Until it writes this line of the publish page. */
void part_until_line(struct part *part, enum publish_line line, enum sim_when when);
/* Until it locks or unlocks one of these bytes. */
void part_until_lock(struct part *part, uint64_t byte, uint64_t len, enum sim_when when);
/* To its end; others may have to run, or time to pass. */
scn_status part_await(struct part *part);

#endif
