/* walcheck and the engine agree on each damaged file: what opens and passes scn_check is
 * clean, what is refused or found is a finding, of the same kind.  The file is not
 * changed.
 *
 * There are millions of variants; usually some at equal distances are tried, and
 * AGREEMENT=all in the environment tries all, AGREEMENT=name,n one. */
#include "test/unit/unit.h"
#include "test/walcheck/damage.h"
#include "test/walcheck/opinion.h"

static bool they_agree(const struct damage *damage, const uint8_t *bytes, uint64_t size)
{
    struct opinion walcheck;
    struct opinion engine;
    struct sim_disk *disk = sim_disk_create(1);
    (void)damage;
    sim_put_file(disk, REFERENCE_PATH, bytes, size);
    opinion_of_walcheck(disk, &walcheck);
    opinion_of_engine(disk, &engine);
    sim_disk_destroy(disk);
    const char *how = opinions_differ(&engine, &walcheck);
    if (how[0])
        printf("    %s; engine: %s %05x %s; walcheck: %s %05x %s\n", how,
               engine.is_refused ? "refused" : "open", engine.kinds, engine.text,
               walcheck.is_refused ? "refused" : "open", walcheck.kinds, walcheck.text);
    return how[0] == 0;
}

static void compare_all(enum damage_kind kind)
{
    damage_walk(kind, "AGREEMENT", they_agree);
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
