/* Records behind damage, where a forged log leads on nowhere. */
#include "page/mem.h"
#include "test/sim/disk.h"
#include "test/unit/unit.h"
#include "tools/walcheck/survivors.h"
#include "wal/extent.h"

enum { EXTENTS = 400, FIRST = FIRST_FREE_PAGE_NO };
#define PATH "log"

static const uint8_t uuid[16] = {1, 2, 3};

/* Extents of a page each, that neither a record nor a link leads to; the numbers fall
 * with the pages, so that each lies in front of the one before. */
static void make_file(struct sim_disk *disk)
{
    size_t size = (size_t)(FIRST + EXTENTS) * PAGE_BYTES;
    uint8_t *bytes = calloc(1, size);
    CHECK(bytes != NULL);
    for (uint32_t i = 0; i < EXTENTS; i++) {
        struct extent_header header = {.number = i + 1,
                                       .start_lsn = 1000 * (uint64_t)(i + 1),
                                       .pages = 1};
        memcpy(header.uuid, uuid, sizeof uuid);
        extent_header_encode(&header,
                             bytes + (size_t)(FIRST + EXTENTS - 1 - i) * PAGE_BYTES);
    }
    sim_put_file(disk, PATH, bytes, size);
    free(bytes);
}

static scn_status find(struct sys *sys, bool (*goes_on)(void *, uint64_t, uint64_t))
{
    struct subject subject;
    struct survivors survivors;
    struct survivors_visitor visitor = {0};
    struct log_scan_result end = {.kind = LOG_END_CORRUPT, .watermark = UINT64_MAX};
    end.end = (struct log_base){.extent_number = 1,
                                .extent_pgno = FIRST + EXTENTS - 1,
                                .extent_pages = 1,
                                .extent_off = RECORD_FIRST_OFF,
                                .lsn = 1000};
    CHECK_OK(subject_open(&subject, sys, PATH));
    subject.goes_on = goes_on;
    scn_status st = survivors_find(&subject, uuid, &end, &visitor, &survivors);
    CHECK_EQ(survivors.record_count, 0);
    subject_close(&subject);
    return st;
}

/* With a search of all pages for each extent it would be their square. */
TEST(survivors__the_file_is_searched_once)
{
    struct sim_disk *disk = sim_disk_create(1);
    struct sys *sys = sim_process_create(disk);
    make_file(disk);
    size_t live = mem_live();
    uint64_t before = sim_call_count(sys, SIM_READ);
    CHECK_OK(find(sys, NULL));
    uint64_t reads = sim_call_count(sys, SIM_READ) - before;
    CHECK(reads > 2 * EXTENTS && reads < 8 * EXTENTS);
    CHECK_EQ(mem_live(), live);
    sim_process_destroy(sys);
    sim_disk_destroy(disk);
}

static bool stop_later(void *ctx, uint64_t pages_done, uint64_t pages_expected)
{
    static int calls;
    (void)ctx;
    (void)pages_done;
    (void)pages_expected;
    return ++calls <= 1;
}

TEST(survivors__a_search_of_the_file_can_be_interrupted)
{
    struct sim_disk *disk = sim_disk_create(1);
    struct sys *sys = sim_process_create(disk);
    make_file(disk);
    uint64_t before = sim_call_count(sys, SIM_READ);
    CHECK_EQ(find(sys, stop_later), SCN_INTERRUPTED);
    CHECK(sim_call_count(sys, SIM_READ) - before < EXTENTS);
    sim_process_destroy(sys);
    sim_disk_destroy(disk);
}
