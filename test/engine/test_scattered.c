/* A file that may not grow any more and whose free pages lie one by one: what is admitted
 * there is merged, values of several pages among it, and the file does not grow for them.
 * Before, such a value had to have neighbours. */
#include "engine/room.h"
#include "test/sim/disk.h"
#include "test/unit/unit.h"

enum {
    PAGES = 600,
    ONE = PAGE_BYTES - PAGE_HEADER_BYTES, /* a page of values of its own */
    SEVERAL = PAGE_IS_SMALL ? 2 : 4, /* that a record takes */
    LONG = SEVERAL * PAGE_BYTES
};

struct rig {
    struct sim_disk *disk;
    struct sys *sys;
    scn_db *db;
    uint8_t *value;
    uint8_t key[8];
};

static void rig_begin(struct rig *rig)
{
    scn_options options = {.struct_size = sizeof options, .flags = SCN_NOTHREAD};
    options.pool_bytes = 64 * PAGE_BYTES;
    options.max_file_bytes = (uint64_t)PAGES * PAGE_BYTES;
    *rig = (struct rig){.value = calloc(1, LONG)};
    CHECK(rig->value != NULL);
    rig->disk = sim_disk_create(unit_seed());
    rig->sys = sim_process_create(rig->disk);
    CHECK_OK(store_open_on(rig->sys, "store", &options, &rig->db));
}

static void rig_end(struct rig *rig)
{
    CHECK_OK(scn_close(rig->db));
    sim_process_destroy(rig->sys);
    sim_disk_destroy(rig->disk);
    free(rig->value);
}

/* Keys ascend, and so do the pages of their values. */
static scn_slice key_of(struct rig *rig, uint32_t number)
{
    put_be32(rig->key, number);
    return (scn_slice){rig->key, 4};
}

static void fill_value(uint8_t *value, uint32_t number, uint32_t len)
{
    uint64_t random = number * 2 + 1;
    for (uint32_t i = 0; i < len; i++)
        value[i] = (uint8_t)(unit_random(&random) >> 30);
}

static scn_status put(struct rig *rig, const char *table, uint32_t number, uint32_t len)
{
    fill_value(rig->value, number, len);
    return scn_put1(rig->db, table, key_of(rig, number), (scn_slice){rig->value, len});
}

static uint64_t free_pages(struct rig *rig)
{
    struct space_stat stat;
    space_stat(rig->db->store->space, &stat);
    return stat.free_pages;
}

/* Free pages of which so many lie side by side, up to the end of the file. */
static uint32_t free_in_ranges(struct rig *rig, uint32_t least)
{
    struct space_stat stat;
    uint32_t pages = 0;
    uint32_t run = 0;
    space_stat(rig->db->store->space, &stat);
    for (uint32_t pgno = FIRST_FREE_PAGE_NO; pgno <= stat.end_pages; pgno++) {
        bool is_free = pgno < stat.end_pages &&
                       !space_is_used(rig->db->store->space, pgno);
        if (!is_free)
            pages += run >= least ? run : 0;
        run = is_free ? run + 1 : 0;
    }
    return pages;
}

/* Rows of a page each, every second of which goes.  How many there were. */
static uint32_t scatter(struct rig *rig)
{
    uint32_t count = 0;
    while (put(rig, "rows", count, ONE) == SCN_OK)
        count++;
    CHECK_OK(scn_checkpoint(rig->db));
    for (uint32_t number = 1; number < count; number += 2)
        CHECK_OK(scn_del1(rig->db, "rows", key_of(rig, number)));
    /* What a generation frees is free two later. */
    for (int i = 0; i < 3; i++) {
        CHECK_OK(put(rig, "rows", 0, ONE));
        CHECK_OK(scn_checkpoint(rig->db));
    }
    CHECK(free_pages(rig) > count / 3);
    CHECK(free_in_ranges(rig, SEVERAL + 1) < free_pages(rig) / 3);
    return count;
}

static scn_status tell(void *ctx, const scn_issue *issue)
{
    (void)ctx;
    fprintf(stderr, "    %s\n", issue->text);
    return SCN_OK;
}

static void check_values(struct rig *rig, uint32_t count)
{
    uint64_t issues;
    uint8_t *expected = calloc(1, LONG);
    scn_txn *txn;
    scn_table_id table;
    CHECK(expected != NULL);
    CHECK_OK(scn_begin(rig->db, SCN_READ, &txn));
    CHECK_OK(scn_table(txn, "long", 0, &table));
    for (uint32_t number = 0; number < count; number++) {
        scn_slice value;
        fill_value(expected, number, LONG);
        CHECK_OK(scn_get(txn, table, key_of(rig, number), &value));
        CHECK_EQ(value.size, LONG);
        CHECK(memcmp(value.data, expected, LONG) == 0);
    }
    scn_abort(txn);
    free(expected);
    CHECK_OK(scn_check(rig->db, SCN_CHECK_ALL, tell, NULL, &issues));
    CHECK_EQ(issues, 0);
}

/* Until no more are taken; each is merged at once. */
static uint32_t put_long_values(struct rig *rig)
{
    uint32_t count = 0;
    scn_status st;
    while ((st = put(rig, "long", count, LONG)) == SCN_OK) {
        CHECK_OK(scn_checkpoint(rig->db));
        count++;
    }
    CHECK_EQ(st, SCN_FULL);
    return count;
}

TEST(scattered__pages_take_values_of_several)
{
    struct rig rig;
    rig_begin(&rig);
    uint32_t rows = scatter(&rig);
    uint64_t room = free_pages(&rig);
    uint32_t count = put_long_values(&rig);
    CHECK(count * (SEVERAL + 2) > room / 2);
    check_values(&rig, count);
    for (uint32_t number = 0; number < count; number++)
        CHECK_OK(scn_del1(rig.db, "long", key_of(&rig, number)));
    CHECK_OK(scn_checkpoint(rig.db));
    for (uint32_t number = 0; number < rows; number += 2)
        CHECK_OK(scn_del1(rig.db, "rows", key_of(&rig, number)));
    CHECK_OK(scn_checkpoint(rig.db));
    rig_end(&rig);
}

/* As many as one checkpoint may have to merge. */
TEST(scattered__pages_take_all_that_was_admitted)
{
    struct rig rig;
    uint32_t count = 0;
    rig_begin(&rig);
    (void)scatter(&rig);
    while (put(&rig, "long", count, LONG) == SCN_OK)
        count++;
    CHECK(count > 0);
    CHECK_OK(scn_checkpoint(rig.db));
    check_values(&rig, count);
    rig_end(&rig);
}

TEST(scattered__pages_are_used_before_the_file_grows)
{
    enum { COUNT = 5 };
    struct rig rig;
    uint64_t before;
    uint64_t after;
    rig_begin(&rig);
    (void)scatter(&rig);
    for (uint32_t number = 0; number < COUNT; number++) {
        CHECK_OK(put(&rig, "long", number, LONG)); /* the log may grow */
        CHECK(sim_file_size(rig.disk, "store", &before));
        CHECK_OK(checkpoint_run(rig.db->store, CHECKPOINT_PLAIN));
        CHECK(sim_file_size(rig.disk, "store", &after));
        CHECK(after <= before);
    }
    check_values(&rig, COUNT);
    rig_end(&rig);
}
