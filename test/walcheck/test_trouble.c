/* walcheck where the system fails it: what it says then, and what it leaves behind.  And
 * the torn tail, which it may cut. */
#include "engine/store.h"
#include "page/mem.h"
#include "test/engine/forge.h"
#include "test/engine/reference.h"
#include "test/sim/disk.h"
#include "test/unit/unit.h"
#include "tools/walcheck/estimate.h"
#include "tools/walcheck/inspection.h"
#include "tools/walcheck/salvage.h"
#include "tools/walcheck/tail.h"

#include <errno.h>

#define KEEP_PATH "store.cut"

/* ---- memory that runs out ---- */

static uint64_t blocks_left; /* 0: there is no end */

static void *take_block(void *user, size_t size)
{
    (void)user;
    if (blocks_left && --blocks_left == 0)
        return NULL;
    return malloc(size);
}

static void give_block(void *user, void *block)
{
    (void)user;
    free(block);
}

/* Before anything else takes memory. */
__attribute__((constructor)) static void set_allocator(void)
{
    if (scn_set_allocator(take_block, give_block, NULL) != SCN_OK)
        abort();
}

/* ---- the rig ---- */

struct rig {
    struct reference reference;
    struct forge forge;
    struct sim_disk *disk;
    struct sys *sys;
};

static void rig_open(struct rig *rig, bool is_torn)
{
    reference_make(&rig->reference);
    const struct reference_image *now = &rig->reference.now;
    forge_open(&rig->forge, now->bytes, now->size);
    if (is_torn) {
        const struct forge_record *last =
            &rig->forge.records[rig->forge.record_count - 1];
        uint8_t *at = now->bytes + last->off + last->bytes;
        memcpy(at, now->bytes + last->off, RECORD_HEADER_BYTES);
        put_u64(at + 16, get_u64(at + 16) + last->bytes);
        at[0] ^= 1;
        at[300] = 7;
    }
    rig->disk = sim_disk_create(1);
    sim_put_file(rig->disk, REFERENCE_PATH, now->bytes, now->size);
    rig->sys = sim_process_create(rig->disk);
}

static void rig_close(struct rig *rig)
{
    sim_process_destroy(rig->sys);
    sim_disk_destroy(rig->disk);
    forge_close(&rig->forge);
    reference_destroy(&rig->reference);
}

static scn_status inspect(struct sys *sys, struct inspection *out)
{
    struct inspection_wishes wishes = {0};
    return inspection_run(sys, REFERENCE_PATH, &wishes, out);
}

static void fail_call(struct sys *sys, enum sim_fault_kind kind, enum sim_call call,
                      uint64_t nth)
{
    struct sim_fault fault = {.kind = kind, .call = call, .nth = nth, .error = EIO};
    fault.bit = nth * 977;
    sim_fault_clear(sys);
    sim_fault_set(sys, &fault);
}

/* ---- reading ---- */

TEST(trouble__a_bit_flipped_on_the_way_is_no_finding)
{
    struct rig rig;
    struct inspection inspection;
    rig_open(&rig, false);
    for (uint64_t nth = 1;; nth++) {
        fail_call(rig.sys, SIM_FLIP, SIM_READ, nth);
        CHECK_OK(inspect(rig.sys, &inspection));
        CHECK_EQ(inspection.findings.count, 0);
        inspection_destroy(&inspection);
        if (sim_fault_hits(rig.sys) == 0)
            break;
    }
    rig_close(&rig);
}

/* An answer or a finding, and no memory is left. */
TEST(trouble__a_call_that_fails_is_told)
{
    struct rig rig;
    struct inspection inspection;
    rig_open(&rig, false);
    size_t live = mem_live();
    for (uint64_t nth = 1;; nth++) {
        fail_call(rig.sys, SIM_FAIL, SIM_ANY, nth);
        scn_status st = inspect(rig.sys, &inspection);
        bool has_locks = sim_fault_hits(rig.sys) == 0;
        if (st == SCN_OK && inspection.findings.worst == SEVERITY_NONE)
            CHECK(has_locks || inspection.findings.count == 0);
        else
            CHECK(st == SCN_IO || inspection.findings.worst >= SEVERITY_HANDLED);
        inspection_destroy(&inspection);
        CHECK_EQ(mem_live(), live);
        if (has_locks)
            break;
    }
    rig_close(&rig);
}

TEST(trouble__without_memory_it_says_so)
{
    struct rig rig;
    struct inspection inspection;
    scn_status st = SCN_NOMEM;
    rig_open(&rig, false);
    size_t live = mem_live();
    for (uint64_t nth = 1; st == SCN_NOMEM; nth++) {
        blocks_left = nth;
        st = inspect(rig.sys, &inspection);
        blocks_left = 0;
        inspection_destroy(&inspection);
        CHECK(st == SCN_OK || st == SCN_NOMEM);
        CHECK_EQ(mem_live(), live);
    }
    rig_close(&rig);
}

static bool stop(void *ctx, uint64_t pages_done, uint64_t pages_expected)
{
    (void)ctx;
    (void)pages_done;
    (void)pages_expected;
    return false;
}

TEST(trouble__an_estimate_can_be_interrupted)
{
    struct rig rig;
    struct inspection inspection;
    struct estimate estimate;
    rig_open(&rig, false);
    CHECK_OK(inspect(rig.sys, &inspection));
    CHECK_EQ(estimate_make(rig.sys, REFERENCE_PATH, &inspection, stop, NULL, &estimate),
             SCN_INTERRUPTED);
    CHECK_OK(estimate_make(rig.sys, REFERENCE_PATH, &inspection, NULL, NULL, &estimate));
    CHECK(estimate.sample > 0);
    inspection_destroy(&inspection);
    rig_close(&rig);
}

/* ---- in use ---- */

TEST(trouble__a_store_in_use_is_clean)
{
    struct rig rig;
    struct inspection inspection;
    scn_db *db;
    rig_open(&rig, false);
    struct sys *other = sim_process_create(rig.disk);
    CHECK_OK(reference_open(other, 0, &db));
    for (uint32_t n = rig.reference.commits + 1; n < rig.reference.commits + 8; n++) {
        CHECK_OK(reference_commit(db, n));
        if (n % 3 == 0)
            CHECK_OK(scn_checkpoint(db));
        CHECK_OK(inspect(rig.sys, &inspection));
        CHECK(inspection.is_live);
        CHECK_EQ(inspection.findings.count, 0);
        inspection_destroy(&inspection);
    }
    CHECK_OK(scn_close(db));
    sim_process_destroy(other);
    rig_close(&rig);
}

/* ---- the tail ---- */

static void check_content(struct sim_disk *disk, uint32_t commits)
{
    struct reading reading = {.least = commits, .most = commits};
    struct sys *sys = sim_process_create(disk);
    scn_db *db;
    CHECK_OK(reference_open(sys, SCN_NOCREATE, &db));
    reference_read(db, &reading);
    CHECK_OK(reading.st);
    if (reading.wrong[0])
        unit_fail(__FILE__, __LINE__, "%s", reading.wrong);
    CHECK_OK(scn_close(db));
    sim_process_destroy(sys);
}

static scn_status cut(struct sys *sys, struct tail *tail)
{
    struct inspection inspection;
    scn_status st = inspect(sys, &inspection);
    if (st == SCN_OK && inspection.findings.count_of[FINDING_TORN] != 1)
        st = SCN_IO; /* a failure has hidden it */
    if (st == SCN_OK)
        st = tail_measure(sys, REFERENCE_PATH, &inspection, tail);
    if (st == SCN_OK)
        st = tail_cut(sys, REFERENCE_PATH, &inspection, tail, KEEP_PATH);
    inspection_destroy(&inspection);
    return st;
}

TEST(trouble__a_torn_tail_is_cut_and_kept)
{
    struct rig rig;
    struct tail tail;
    struct inspection inspection;
    uint64_t size;
    uint8_t kept[1024];
    rig_open(&rig, true);
    CHECK_OK(cut(rig.sys, &tail));
    CHECK_EQ(tail.bytes, 301);
    CHECK(sim_file_size(rig.disk, KEEP_PATH, &size));
    CHECK_EQ(size, tail.bytes);
    CHECK(sim_peek(rig.disk, KEEP_PATH, 0, kept, size));
    CHECK(memcmp(kept, rig.reference.now.bytes + tail.offset, size) == 0);
    CHECK_OK(inspect(rig.sys, &inspection));
    CHECK_EQ(inspection.findings.count, 0);
    inspection_destroy(&inspection);
    check_content(rig.disk, rig.reference.commits);
    rig_close(&rig);
}

TEST(trouble__nothing_is_cut_of_a_file_that_somebody_has)
{
    struct rig rig;
    struct tail tail;
    struct inspection inspection;
    scn_db *db;
    rig_open(&rig, true);
    struct sys *other = sim_process_create(rig.disk);
    CHECK_OK(inspect(rig.sys, &inspection));
    CHECK_OK(tail_measure(rig.sys, REFERENCE_PATH, &inspection, &tail));
    CHECK_OK(reference_open(other, SCN_RDONLY, &db));
    CHECK_EQ(tail_cut(rig.sys, REFERENCE_PATH, &inspection, &tail, KEEP_PATH), SCN_BUSY);
    CHECK_OK(scn_close(db));
    CHECK_OK(reference_open(other, 0, &db)); /* which cuts it by itself */
    CHECK_EQ(tail_cut(rig.sys, REFERENCE_PATH, &inspection, &tail, KEEP_PATH), SCN_BUSY);
    CHECK_OK(scn_close(db));
    CHECK_EQ(tail_cut(rig.sys, REFERENCE_PATH, &inspection, &tail, KEEP_PATH),
             SCN_CONFLICT);
    inspection_destroy(&inspection);
    sim_process_destroy(other);
    rig_close(&rig);
}

/* What is gone from the store is in the other file, and half of it has not its name. */
static void check_kept(const struct rig *rig, struct sim_disk *disk)
{
    uint64_t size;
    const struct forge_record *last = &rig->forge.records[rig->forge.record_count - 1];
    uint64_t off = last->off + last->bytes;
    enum { TAIL_BYTES = 301 };
    uint8_t now[TAIL_BYTES];
    uint8_t kept[TAIL_BYTES];
    CHECK(!sim_file_size(disk, KEEP_PATH, &size) || size == TAIL_BYTES);
    CHECK(sim_peek(disk, REFERENCE_PATH, off, now, sizeof now));
    if (memcmp(now, rig->reference.now.bytes + off, sizeof now) == 0)
        return;
    CHECK(sim_peek(disk, KEEP_PATH, 0, kept, sizeof kept));
    CHECK(memcmp(kept, rig->reference.now.bytes + off, sizeof kept) == 0);
}

/* Zeros behind the log need no sync of who opens the store next: so the header that was
 * there has to be gone for good before they come. */
TEST(trouble__zeros_come_when_the_torn_header_is_gone_for_good)
{
    static const uint8_t zeros[RECORD_HEADER_BYTES];
    uint8_t torn[RECORD_HEADER_BYTES];
    uint8_t now[RECORD_HEADER_BYTES];
    bool has_struck = true;
    for (uint64_t nth = 1; has_struck; nth++) {
        struct rig rig;
        struct tail tail;
        rig_open(&rig, true);
        const struct forge_record *last = &rig.forge.records[rig.forge.record_count - 1];
        uint64_t off = last->off + last->bytes;
        CHECK(sim_peek(rig.disk, REFERENCE_PATH, off, torn, sizeof torn));
        fail_call(rig.sys, SIM_KILL, SIM_SYNC, nth);
        (void)cut(rig.sys, &tail);
        has_struck = sim_fault_hits(rig.sys) > 0;
        CHECK(sim_peek(rig.disk, REFERENCE_PATH, off, now, sizeof now));
        if (memcmp(now, zeros, sizeof now) == 0) {
            struct sim_choice none = {.keep = SIM_KEEP_NONE};
            struct sim_disk *after = sim_crash(rig.disk, &none);
            CHECK(sim_peek(after, REFERENCE_PATH, off, now, sizeof now));
            CHECK(memcmp(now, torn, sizeof now) != 0);
            sim_disk_destroy(after);
        }
        rig_close(&rig);
    }
}

/* Whenever it dies or fails and the power goes, the store has all its rows. */
static void trouble_cut(enum sim_fault_kind kind)
{
    struct rig rig;
    bool is_over = false;
    rig_open(&rig, true);
    for (uint64_t nth = 1; !is_over; nth++) {
        struct sim_disk *disk = sim_disk_copy(rig.disk);
        struct sys *sys = sim_process_create(disk);
        struct sim_choice choice = {.keep = SIM_KEEP_RANDOM, .n = nth};
        struct tail tail;
        fail_call(sys, kind, SIM_ANY, nth);
        scn_status st = cut(sys, &tail);
        is_over = sim_fault_hits(sys) == 0;
        CHECK(is_over ? st == SCN_OK : st <= 0);
        struct sim_disk *after = sim_crash(disk, &choice);
        check_kept(&rig, after);
        check_content(after, rig.reference.commits);
        sim_disk_destroy(after);
        sim_process_destroy(sys);
        sim_disk_destroy(disk);
    }
    rig_close(&rig);
}

TEST(trouble__cutting_can_fail_in_any_call)
{
    trouble_cut(SIM_FAIL);
}

TEST(trouble__cutting_can_be_killed_in_any_call)
{
    trouble_cut(SIM_KILL);
}

/* ---- salvage ---- */

static scn_status salvage(struct sys *sys, struct sys *out_sys, struct salvage *result)
{
    scn_options options = {.struct_size = sizeof options, .flags = SCN_NOTHREAD};
    struct salvage_wishes wishes = {0};
    scn_db *db;
    options.pool_bytes = 64 * PAGE_BYTES;
    CHECK_OK(store_open_on(out_sys, "out", &options, &db));
    scn_status st = salvage_run(sys, REFERENCE_PATH, db, &wishes, result);
    (void)scn_close(db);
    return st;
}

/* Of the log of the source when nothing fails. */
static uint64_t count_records(struct rig *rig)
{
    struct sim_disk *other = sim_disk_create(2);
    struct sys *out_sys = sim_process_create(other);
    struct salvage result;
    CHECK_OK(salvage(rig->sys, out_sys, &result));
    sim_process_destroy(out_sys);
    sim_disk_destroy(other);
    return result.record_count;
}

/* The source stays as it was, the statuses fit, and records that cannot be read are told
 * as lost. */
TEST(trouble__salvage_fails_cleanly)
{
    struct rig rig;
    struct salvage result;
    bool is_over = false;
    rig_open(&rig, false);
    uint64_t hash = sim_hash(rig.disk);
    uint64_t records = count_records(&rig);
    size_t live = mem_live();
    for (uint64_t nth = 1; !is_over; nth++) {
        struct sim_disk *other = sim_disk_create(2);
        struct sys *out_sys = sim_process_create(other);
        fail_call(rig.sys, SIM_FAIL, SIM_ANY, nth);
        scn_status st = salvage(rig.sys, out_sys, &result);
        CHECK(st == SCN_OK || st == SCN_IO);
        if (st == SCN_OK && result.record_count < records)
            CHECK(result.loss_count > 0);
        is_over = sim_fault_hits(rig.sys) == 0;
        CHECK(sim_hash(rig.disk) == hash);
        sim_process_destroy(out_sys);
        sim_disk_destroy(other);
        CHECK_EQ(mem_live(), live);
    }
    rig_close(&rig);
}

TEST(trouble__a_full_disk_ends_a_salvage)
{
    struct rig rig;
    struct salvage result;
    rig_open(&rig, false);
    struct sim_disk *other = sim_disk_create(2);
    sim_disk_set_capacity(other, UINT64_C(24) * PAGE_BYTES);
    struct sys *out_sys = sim_process_create(other);
    CHECK_EQ(salvage(rig.sys, out_sys, &result), SCN_FULL);
    sim_process_destroy(out_sys);
    sim_disk_destroy(other);
    rig_close(&rig);
}
