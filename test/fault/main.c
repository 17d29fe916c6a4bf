/* test-fault: the fault suite.
 *
 *     test-fault [slice]      20 seconds of everything
 *     test-fault check        a million crash states, and a part of all faults
 *     test-fault every        each call, each read, each allocation, of one seed
 *     test-fault soak         without end, or for SOAK_SECONDS
 *
 * Names of workloads may follow, and of kinds: cuts, calls, reads, memory.  SEED=n
 * repeats a run; PROCESSES=n is how many work side by side.  A violation prints a line
 * FAULTS='...'; with that in the environment this one state is looked at, alone. */
#include "test/engine/story.h"
#include "test/fault/suite.h"

#include <inttypes.h>
#include <time.h>

enum {
    SLICE_MS = 20000,
    /* Two processors take three minutes; beside others it takes longer. */
    CHECK_MS = 2000000,
    /* A check aims at a few more, and fails where its time was over before so many. */
    STATES = 1050000,
    STATES_MIN = 1000000,
    PROCESSES = 2
};

static uint64_t number_of(const char *name, uint64_t usual)
{
    const char *text = getenv(name);
    return text && *text ? strtoull(text, NULL, 10) : usual;
}

static bool fill_order(struct suite_order *order, const char *what)
{
    uint64_t now = story_now_ms();
    order->has_cuts = true;
    order->has_trials = true;
    if (strcmp(what, "slice") == 0) {
        order->until_ms = now + number_of("BUDGET_MS", SLICE_MS);
        order->is_sparse = true;
    } else if (strcmp(what, "check") == 0) {
        order->until_ms = now + number_of("BUDGET_MS", CHECK_MS);
        order->state_count = STATES;
        order->state_min = STATES_MIN;
        order->trial_part = 8;
    } else if (strcmp(what, "every") == 0) {
        order->has_cuts = false;
        order->trial_part = 1;
    } else if (strcmp(what, "soak") == 0) {
        uint64_t seconds = number_of("SOAK_SECONDS", 0);
        order->until_ms = seconds ? now + seconds * 1000 : 0;
        order->is_dense = true;
        order->is_long = true;
    } else {
        return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    const char *key = getenv("FAULTS");
    struct suite_order order = {
        .seed = number_of("SEED", (uint64_t)time(NULL)),
        .process_count = (uint32_t)number_of("PROCESSES", PROCESSES),
    };
    uint32_t passed = 0;
    uint32_t failed = 0;
    if (argc > 2)
        order.names = argv + 2;
    if (key) {
        passed = suite_run_key(key);
        failed = !passed;
    } else if (fill_order(&order, argc > 1 ? argv[1] : "slice")) {
        printf("SEED=%" PRIu64 "\n", order.seed);
        suite_run(&order, &passed, &failed);
    } else {
        printf("usage: test-fault [slice|check|every|soak]\n");
        return 2;
    }
    printf("%u passed, %u failed\n", passed, failed);
    return failed > 0;
}
