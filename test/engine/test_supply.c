/* The supply of pages: every one that is counted as room is given, once, and neighbours
 * are where they can be. */
#include "engine/supply.h"
#include "test/sim/disk.h"
#include "test/unit/unit.h"

enum { PAGES = 400, FREE = 200, WANTED_MAX = 40 };

struct rig {
    struct sim_disk *disk;
    struct sys *sys;
    scn_db *db;
    struct supply supply;
    uint32_t first; /* of pages that are free, but for those that are reserved */
    bool is_given[PAGES];
};

/* `hole`: of so many pages one is free; 1: all. */
static void rig_begin(struct rig *rig, uint32_t hole)
{
    scn_options options = {.struct_size = sizeof options, .flags = SCN_NOTHREAD};
    options.pool_bytes = 64 * PAGE_BYTES;
    options.max_file_bytes = (uint64_t)PAGES * PAGE_BYTES;
    *rig = (struct rig){.disk = sim_disk_create(unit_seed())};
    rig->sys = sim_process_create(rig->disk);
    CHECK_OK(store_open_on(rig->sys, "store", &options, &rig->db));
    struct store *store = rig->db->store;
    CHECK_OK(file_grow(&store->file, FREE, &rig->first));
    for (uint32_t i = 0; i < FREE; i++) {
        if (i % hole != 0)
            CHECK_OK(space_reserve(store->space, rig->first + i, 1));
    }
    uint32_t spare_count;
    CHECK_OK(space_begin(store->space, store->next_gen, NULL, 0, rig->first + FREE,
                         LOG_EXTENT_PAGES, 0, NULL, &spare_count));
    supply_init(&rig->supply, store);
}

static void rig_end(struct rig *rig)
{
    supply_release(&rig->supply);
    space_abandon(rig->db->store->space);
    CHECK_OK(scn_close(rig->db));
    sim_process_destroy(rig->sys);
    sim_disk_destroy(rig->disk);
}

static scn_status take(struct rig *rig, uint32_t wanted, uint32_t *pgno, uint32_t *count)
{
    scn_status st = supply_take(&rig->supply, wanted, pgno, count);
    if (st != SCN_OK)
        return st;
    CHECK(*count >= 1 && *count <= wanted);
    for (uint32_t i = *pgno; i < *pgno + *count; i++) {
        CHECK(i < PAGES && !rig->is_given[i]);
        CHECK(space_is_used(rig->db->store->space, i));
        rig->is_given[i] = true;
    }
    return SCN_OK;
}

static uint64_t free_and_growable(struct rig *rig)
{
    struct space_stat stat;
    space_stat(rig->db->store->space, &stat);
    return stat.free_pages + PAGES - stat.end_pages;
}

TEST(supply__gives_all_there_are)
{
    for (uint32_t hole = 1; hole <= 4; hole++) {
        struct rig rig;
        uint64_t random = unit_seed();
        uint64_t taken = 0;
        uint32_t pgno;
        uint32_t count;
        scn_status st;
        rig_begin(&rig, hole);
        uint64_t room = free_and_growable(&rig);
        CHECK(room > FREE / hole);
        while ((st = take(&rig, 1 + unit_random(&random) % WANTED_MAX, &pgno, &count)) ==
               SCN_OK)
            taken += count;
        CHECK_EQ(st, SCN_FULL);
        CHECK_EQ(taken, room);
        rig_end(&rig);
    }
}

TEST(supply__gives_neighbours_where_there_are_some)
{
    struct rig rig;
    uint32_t pgno;
    uint32_t count;
    rig_begin(&rig, 2);
    CHECK_OK(take(&rig, 5, &pgno, &count));
    CHECK_EQ(count, 1);
    CHECK_EQ(pgno, rig.first);
    space_unreserve(rig.db->store->space, rig.first + 101, 5);
    CHECK_OK(take(&rig, 5, &pgno, &count));
    CHECK_EQ(count, 4);
    CHECK_EQ(pgno, rig.first + 100);
    CHECK_OK(take(&rig, 1, &pgno, &count));
    CHECK_EQ(pgno, rig.first + 2);
    rig_end(&rig);
}
