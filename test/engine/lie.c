/* Lies: see lie.h. */
#include "test/engine/lie.h"

#include "test/sim/disk.h"
#include "test/unit/unit.h"

static void tell(const struct reference *reference, struct sim_disk *disk,
                 const struct lie *lie)
{
    struct forge forge;
    struct attempt attempt = {.reference = reference, .disk = disk, .is_forged = true};
    attempt.size = reference->now.size;
    attempt.bytes = malloc(attempt.size);
    CHECK(attempt.bytes != NULL);
    memcpy(attempt.bytes, reference->now.bytes, attempt.size);
    forge_open(&forge, attempt.bytes, attempt.size);
    lie->tell(&forge);
    attempt_run(&attempt);
    if (getenv("VERBOSE"))
        printf("%-26s kinds %03x, %llu calls; %s%s\n", lie->name, attempt.kinds,
               (unsigned long long)attempt.calls, attempt.is_refused ? "refused: " : "",
               attempt.said);
    if (attempt.wrong[0] != 0)
        unit_fail(__FILE__, __LINE__, "%s: %s", lie->name, attempt.wrong);
    uint32_t outcomes = attempt.kinds | (attempt.is_refused ? REFUSED : 0);
    if ((outcomes & lie->outcomes) == 0)
        unit_fail(__FILE__, __LINE__, "%s is believed; kinds found: %x", lie->name,
                  attempt.kinds);
    forge_close(&forge);
    free(attempt.bytes);
}

void lie_tell_all(const struct lie *lies, size_t count)
{
    struct reference reference;
    reference_make(&reference);
    struct sim_disk *disk = sim_disk_create(1);
    sim_put_file(disk, REFERENCE_PATH, reference.now.bytes, reference.now.size);
    attempt_guard(true);
    for (size_t i = 0; i < count; i++)
        tell(&reference, disk, &lies[i]);
    attempt_guard(false);
    sim_disk_destroy(disk);
    reference_destroy(&reference);
}
