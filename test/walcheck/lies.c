/* The lies of test/engine/test_lies.c and test/engine/test_lies_space.c, told once more:
 * what the engine does not believe, walcheck does not believe. */
#include "test/engine/lie.h"

#include "test/sim/disk.h"
#include "test/unit/unit.h"
#include "test/walcheck/damage.h"
#include "test/walcheck/opinion.h"

enum { TRIES = 60 };

/* bytes are the changed file. */
static void compare(const uint8_t *bytes, uint64_t size, const char *name, uint64_t n)
{
    struct opinion walcheck;
    struct opinion engine;
    struct sim_disk *disk = sim_disk_create(1);
    sim_put_file(disk, REFERENCE_PATH, bytes, size);
    opinion_of_walcheck(disk, &walcheck);
    opinion_of_engine(disk, &engine);
    const char *how = opinions_differ(&engine, &walcheck);
    /* Who cuts a tail looks at the file with other eyes afterwards. */
    if (how[0] && !(engine.is_torn && walcheck.is_torn))
        unit_fail(__FILE__, __LINE__,
                  "%s %llu: %s; engine: %s %05x %s; walcheck: %s %05x %s", name,
                  (unsigned long long)n, how, engine.is_refused ? "refused" : "open",
                  engine.kinds, engine.text, walcheck.is_refused ? "refused" : "open",
                  walcheck.kinds, walcheck.text);
    sim_disk_destroy(disk);
}

static uint8_t *copy_of(const struct reference *reference)
{
    uint8_t *bytes = malloc(reference->now.size);
    CHECK(bytes != NULL);
    memcpy(bytes, reference->now.bytes, reference->now.size);
    return bytes;
}

static void tell(const struct reference *reference, const struct lie *lie)
{
    struct forge forge;
    uint8_t *bytes = copy_of(reference);
    forge_open(&forge, bytes, reference->now.size);
    lie->tell(&forge);
    compare(bytes, reference->now.size, lie->name, 0);
    forge_close(&forge);
    free(bytes);
}

void lie_tell_all(const struct lie *lies, size_t count)
{
    struct reference reference;
    reference_make(&reference);
    for (size_t i = 0; i < count; i++)
        tell(&reference, &lies[i]);
    reference_destroy(&reference);
}

/* Some of the variants, at equal distances. */
void campaign_run(const struct campaign *campaign, const struct reference *reference,
                  uint64_t usual_ms)
{
    (void)usual_ms;
    for (uint64_t i = 0; i < TRIES; i++) {
        struct attempt attempt = {.reference = reference, .bytes = copy_of(reference)};
        uint64_t n = damage_pick(campaign->count, i, unit_seed());
        attempt.size = reference->now.size;
        if (campaign->damage(campaign->ctx, &attempt, n))
            compare(attempt.bytes, attempt.size, campaign->name, n);
        free(attempt.bytes);
    }
}
