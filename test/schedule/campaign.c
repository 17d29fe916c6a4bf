/* A campaign: see campaign.h. */
#include "test/schedule/campaign.h"

#include "test/engine/story.h"
#include "test/unit/unit.h"

#include <inttypes.h>

static void run_one(const struct campaign *campaign, uint64_t seed,
                    struct sim_seen *seen, char wrong[CHRONICLE_WRONG_BYTES])
{
    struct chronicle chronicle;
    campaign->run(campaign, seed, seen, &chronicle);
    strcpy(wrong, chronicle.wrong);
    if (wrong[0] && getenv("VERBOSE"))
        chronicle_print(&chronicle);
    chronicle_destroy(&chronicle);
}

enum { RUNS_MIN = 20 }; /* one alone may come to no commit */

uint64_t campaign_go_on(const struct campaign *campaign, uint64_t budget_ms, uint64_t *ms)
{
    const char *only = getenv("RUN");
    uint64_t seed = only ? strtoull(only, NULL, 0) : unit_seed() % 1000000007;
    uint64_t begun = story_now_ms();
    uint64_t until = begun + story_budget_ms(budget_ms);
    struct sim_seen *seen = sim_seen_create();
    char wrong[CHRONICLE_WRONG_BYTES];
    uint64_t count = 0;
    do {
        run_one(campaign, seed + count++, seen, wrong);
    } while (wrong[0] == 0 && only == NULL &&
             (count < RUNS_MIN || story_now_ms() < until));
    sim_seen_destroy(seen);
    if (wrong[0])
        unit_fail(__FILE__, __LINE__, "%s\n    RUN=%" PRIu64, wrong, seed + count - 1);
    *ms = story_now_ms() - begun;
    return count;
}

void campaign_once(const struct campaign *campaign, uint64_t seed)
{
    struct sim_seen *seen = sim_seen_create();
    char wrong[CHRONICLE_WRONG_BYTES];
    run_one(campaign, seed, seen, wrong);
    sim_seen_destroy(seen);
}
