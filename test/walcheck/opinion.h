/* What the engine and walcheck think of one file, and whether that is the same. */
#ifndef TEST_WALCHECK_OPINION_H
#define TEST_WALCHECK_OPINION_H

#include "test/sim/disk.h"
#include "tools/walcheck/finding.h"

struct opinion {
    bool is_refused;
    uint32_t kinds; /* bit FINDING_..., without FINDING_TORN */
    bool is_torn;
    bool has_strays; /* walcheck: see inspection.h */
    char text[256]; /* of the last finding or refusal */
};

/* Of the file REFERENCE_PATH on the disk.  The engine opens it for writing, which may
 * change it: so it is asked last. */
void opinion_of_walcheck(struct sim_disk *disk, struct opinion *opinion);
void opinion_of_engine(struct sim_disk *disk, struct opinion *opinion);

/* Empty, or how they differ. */
const char *opinions_differ(const struct opinion *engine, const struct opinion *walcheck);

#endif
