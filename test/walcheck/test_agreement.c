/* walcheck and the engine agree on each damaged file: what opens and passes scn_check is
 * clean, what is refused or found is a finding, of the same kind.  The file is not
 * changed.
 *
 * There are millions of variants; usually some at equal distances are tried, and
 * AGREEMENT=all in the environment tries all, AGREEMENT=name,n one. */
#include "test/unit/unit.h"
#include "test/walcheck/damage.h"
#include "test/walcheck/opinion.h"

#include <time.h>

enum { BUDGET_MS = 700 };

static void compare(const struct damage *damage, enum damage_kind kind, uint64_t n,
                    uint64_t *tried, uint64_t *wrong)
{
    const struct reference_image *now = &damage->reference.now;
    uint64_t size = now->size;
    uint8_t *bytes = malloc(size);
    struct opinion walcheck;
    struct opinion engine;
    CHECK(bytes != NULL);
    memcpy(bytes, now->bytes, size);
    if (damage_apply(damage, kind, n, bytes, &size)) {
        struct sim_disk *disk = sim_disk_create(1);
        sim_put_file(disk, REFERENCE_PATH, bytes, size);
        opinion_of_walcheck(disk, &walcheck);
        opinion_of_engine(disk, &engine);
        sim_disk_destroy(disk);
        ++*tried;
        const char *how = opinions_differ(&engine, &walcheck);
        if (how[0] && ++*wrong <= 5)
            printf("    AGREEMENT=%s,%llu: %s\n      engine: %s %03x %s\n"
                   "      walcheck: %s %03x %s\n",
                   damage_name(kind), (unsigned long long)n, how,
                   engine.is_refused ? "refused" : "open", engine.kinds, engine.text,
                   walcheck.is_refused ? "refused" : "open", walcheck.kinds,
                   walcheck.text);
    }
    free(bytes);
}

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static bool is_chosen(enum damage_kind kind, uint64_t *one)
{
    const char *wish = getenv("AGREEMENT");
    size_t len = strlen(damage_name(kind));
    *one = UINT64_MAX;
    if (wish == NULL || strcmp(wish, "all") == 0)
        return true;
    if (strncmp(wish, damage_name(kind), len) != 0)
        return false;
    if (wish[len] == ',')
        *one = strtoull(wish + len + 1, NULL, 10);
    return wish[len] == ',' || wish[len] == 0;
}

static void compare_all(enum damage_kind kind)
{
    struct damage damage;
    uint64_t one;
    uint64_t tried = 0;
    uint64_t wrong = 0;
    uint64_t until = now_ms() + BUDGET_MS;
    if (!is_chosen(kind, &one))
        return;
    damage_open(&damage);
    uint64_t count = damage_count(&damage, kind);
    if (one != UINT64_MAX)
        compare(&damage, kind, one, &tried, &wrong);
    for (uint64_t i = 0; i < count && one == UINT64_MAX; i++) {
        if (getenv("AGREEMENT") == NULL && i > 8 && now_ms() > until)
            break;
        compare(&damage, kind, damage_pick(count, i, unit_seed()), &tried, &wrong);
    }
    if (getenv("VERBOSE"))
        printf("%-8s %llu of %llu, %llu wrong\n", damage_name(kind),
               (unsigned long long)tried, (unsigned long long)count,
               (unsigned long long)wrong);
    damage_close(&damage);
    CHECK_EQ(wrong, 0);
}

TEST(agreement__on_the_healthy_file)
{
    struct damage damage;
    struct opinion walcheck;
    struct opinion engine;
    damage_open(&damage);
    struct sim_disk *disk = sim_disk_create(1);
    sim_put_file(disk, REFERENCE_PATH, damage.reference.now.bytes,
                 damage.reference.now.size);
    opinion_of_walcheck(disk, &walcheck);
    opinion_of_engine(disk, &engine);
    if (walcheck.kinds || walcheck.is_refused || walcheck.is_torn)
        unit_fail(__FILE__, __LINE__, "%s", walcheck.text);
    CHECK(!engine.is_refused && engine.kinds == 0);
    sim_disk_destroy(disk);
    damage_close(&damage);
}

TEST(agreement__on_each_bit)
{
    compare_all(DAMAGE_BIT);
}

TEST(agreement__on_each_sector_of_zeros)
{
    compare_all(DAMAGE_ZERO);
}

TEST(agreement__on_each_sector_of_garbage)
{
    compare_all(DAMAGE_GARBAGE);
}

TEST(agreement__on_pages_that_changed_places)
{
    compare_all(DAMAGE_SWAP);
}

TEST(agreement__on_pages_in_the_place_of_others)
{
    compare_all(DAMAGE_REPLACE);
}

TEST(agreement__on_stale_pages)
{
    compare_all(DAMAGE_STALE);
}

TEST(agreement__on_holes)
{
    compare_all(DAMAGE_HOLE);
}

TEST(agreement__on_cuts)
{
    compare_all(DAMAGE_CUT);
}

TEST(agreement__on_pages_of_another_store)
{
    compare_all(DAMAGE_FOREIGN);
}

TEST(agreement__on_another_uuid)
{
    compare_all(DAMAGE_UUID);
}
