/* Group commit, and what becomes of everybody when the medium fails. */
#include "test/wal/logworld.h"
#include "wal/group.h"

#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>

enum { THREADS = 8, COMMITS = 40, SAMPLE = 16 };

static struct seen seen;

struct committer {
    struct world *world;
    struct sys_thread *thread;
    uint32_t idx;
    uint32_t unknown_count;
    uint32_t poisoned_count;
    uint32_t ok_count;
    bool is_uncovered; /* a commit came back before it was durable */
    uint64_t ok_lsn;   /* the last that was acknowledged */
    uint32_t window_ms;
};

/* Of the threads of run_committers. */
static atomic_uint going_count;
static atomic_uint waiting_count; /* of those: for a sync, or they make it */

/* A real disk takes its time; the others come while it does.  Where they get no processor
 * it takes longer, until half of them are there; but not for ever. */
static void take_time(void *ctx, struct sim_disk *disk, enum sim_call call,
                      enum sim_moment moment)
{
    enum { TIMES_MAX = 200 };
    (void)ctx;
    (void)disk;
    if (moment != SIM_BEFORE_SYNC || (call != SIM_DSYNC && call != SIM_SYNC))
        return;
    for (int i = 0; i < TIMES_MAX; i++) {
        usleep(300);
        if (2 * atomic_load(&waiting_count) >= atomic_load(&going_count))
            break;
    }
}

/* The record that ends at lsn is on the medium: read it there, after a power cut. */
static bool survives(struct world *world, uint64_t lsn, uint64_t off,
                     const uint8_t *bytes, uint32_t len)
{
    (void)lsn;
    struct sim_disk *after =
        sim_crash(world->disk, &(struct sim_choice){.keep = SIM_KEEP_NONE});
    uint8_t found[256];
    bool is_there =
        sim_peek(after, WORLD_PATH, off, found, len) && memcmp(found, bytes, len) == 0;
    sim_disk_destroy(after);
    return is_there;
}

static void count_answer(struct committer *committer, scn_status st)
{
    committer->ok_count += st == SCN_OK;
    committer->unknown_count += st == SCN_UNKNOWN;
    committer->poisoned_count += st == SCN_POISONED;
}

static void commit_many(void *arg)
{
    struct committer *committer = arg;
    struct world *world = committer->world;
    struct log_packet packet;
    log_packet_init(&packet);
    for (uint32_t i = 0; i < COMMITS; i++) {
        uint8_t payload[64];
        world_payload((uint64_t)committer->idx * COMMITS + i, payload, sizeof payload);
        scn_status st = log_packet_set(&packet, RECORD_COMMIT, payload, sizeof payload);
        if (st == SCN_OK)
            st = lock_take(&world->locks, LOCK_APPEND, UINT32_MAX);
        uint64_t lsn = 0;
        struct log_base end = {0};
        if (st == SCN_OK) {
            st = log_append(world->log, &packet, &lsn);
            log_position(world->log, &end);
            lock_give(&world->locks, LOCK_APPEND);
        }
        atomic_fetch_add(&waiting_count, 1);
        if (st == SCN_OK)
            st = log_sync(world->log, lsn, committer->window_ms);
        atomic_fetch_sub(&waiting_count, 1);
        count_answer(committer, st);
        if (st != SCN_OK)
            continue;
        committer->ok_lsn = lsn;
        committer->is_uncovered |= log_synced(world->log) < lsn;
        uint64_t off =
            (uint64_t)end.extent_pgno * PAGE_BYTES + end.extent_off - sizeof payload;
        if (i % SAMPLE == 0 && !survives(world, lsn, off, payload, sizeof payload))
            committer->is_uncovered = true;
    }
    log_packet_destroy(&packet);
    atomic_fetch_sub(&going_count, 1);
}

static void run_committers(struct world *world, struct committer *committers,
                           uint32_t window_ms)
{
    sim_hook_set(world->disk, take_time, NULL);
    atomic_store(&going_count, THREADS);
    for (uint32_t i = 0; i < THREADS; i++) {
        committers[i] = (struct committer){
            .world = world, .idx = i, .window_ms = i % 2 ? window_ms : 0};
        CHECK_OK(world->sys->ops->thread_start(world->sys, commit_many, &committers[i],
                                               &committers[i].thread));
    }
    for (uint32_t i = 0; i < THREADS; i++)
        world->sys->ops->thread_join(committers[i].thread);
    sim_hook_set(world->disk, NULL, NULL);
}

static void check_group(uint32_t window_ms)
{
    struct world world;
    world_create(&world, WORLD_SPARES);
    struct committer committers[THREADS];
    run_committers(&world, committers, window_ms);
    for (uint32_t i = 0; i < THREADS; i++) {
        CHECK_EQ(committers[i].ok_count, COMMITS);
        CHECK(!committers[i].is_uncovered);
    }
    uint64_t syncs =
        sim_call_count(world.sys, SIM_DSYNC) + sim_call_count(world.sys, SIM_SYNC);
    CHECK(syncs < THREADS * COMMITS / 2);
    CHECK_EQ(world_scan(&world, &seen).kind, LOG_END_CLEAN);
    CHECK_EQ(seen.number_count, THREADS * COMMITS);
    CHECK_EQ(log_synced(world.log), log_appended(world.log));
    world_destroy(&world);
}

TEST(group__shares_syncs_and_answers_nobody_early)
{
    check_group(0);
}

TEST(group__shares_syncs_when_some_wait_for_company)
{
    check_group(3);
}

TEST(group__does_not_sync_what_is_synced)
{
    struct world world;
    world_create(&world, 0);
    uint64_t first = world_append_number(&world, 0, 50);
    uint64_t second = world_append_number(&world, 1, 50);
    CHECK_OK(log_sync(world.log, second, 0));
    uint64_t calls = sim_call_count(world.sys, SIM_DSYNC);
    CHECK_OK(log_sync(world.log, first, 0));
    CHECK_OK(log_sync(world.log, second, 10));
    CHECK_EQ(sim_call_count(world.sys, SIM_DSYNC), calls);
    CHECK_EQ(log_sync(world.log, second + 8, 0), SCN_MISUSE);
    world_destroy(&world);
}

TEST(group__syncs_a_range_that_crosses_extents_or_is_long)
{
    struct world world;
    world_create(&world, WORLD_SPARES);
    world_append_number(&world, 0, 50);
    CHECK_OK(log_roll(world.log));
    world_append_number(&world, 1, 50);
    CHECK_OK(log_sync(world.log, log_appended(world.log), 0));
    CHECK_EQ(sim_pending(world.disk, false), 0);
    uint64_t number = 2;
    uint32_t len = log_payload_max() / 4;
    while (log_appended(world.log) - log_synced(world.log) < 3 * (uint64_t)len)
        world_append_number(&world, number++, len);
    CHECK_OK(log_sync(world.log, log_appended(world.log), 0));
    CHECK_EQ(sim_pending(world.disk, false), 0);
    world_destroy(&world);
}

/* ---- in real time ---- */

struct waiter {
    struct log *log;
    uint64_t lsn;
    scn_status st;
};

enum { LONG_MS = 600000 };

static void wait_long(void *arg)
{
    struct waiter *waiter = arg;
    waiter->st = log_sync(waiter->log, waiter->lsn, LONG_MS);
}

TEST(group__window_ends_when_somebody_is_in_a_hurry)
{
    const char *path = unit_path("hurry");
    FILE *stream = fopen(path, "w");
    CHECK(stream && ftruncate(fileno(stream), (off_t)WORLD_PAGES * PAGE_BYTES) == 0);
    fclose(stream);
    struct world world = {.sys = sys_posix()};
    CHECK_OK(file_open(&world.file, world.sys, path, false));
    CHECK_OK(locks_init(&world.locks, &world.file));
    world.locks.is_exclusive = true;
    CHECK_OK(log_format(&world.file, world_uuid, WORLD_FIRST_PGNO, LOG_EXTENT_FIRST_PAGES,
                        1, &world.base));
    CHECK_OK(log_create(&world.file, &world.locks, world_uuid, &world.base, &world.base,
                        NULL, 0, &world.log));
    uint64_t from_ns = world.sys->ops->now_ns(world.sys);
    struct waiter waiter = {.log = world.log, .lsn = world_append_number(&world, 0, 50)};
    struct sys_thread *thread;
    CHECK_OK(world.sys->ops->thread_start(world.sys, wait_long, &waiter, &thread));
    usleep(20000);
    CHECK(log_synced(world.log) < waiter.lsn);
    world_commit_number(&world, 1, 50);
    world.sys->ops->thread_join(thread);
    CHECK_OK(waiter.st);
    CHECK(world.sys->ops->now_ns(world.sys) - from_ns < LONG_MS * UINT64_C(500000));
    log_destroy(world.log);
    log_packet_destroy(&world.packet);
    locks_destroy(&world.locks);
    file_close(&world.file);
}

/* ---- failures ---- */

static void fail_next(struct world *world, enum sim_call call, uint64_t nth)
{
    sim_fault_set(
        world->sys,
        &(struct sim_fault){.kind = SIM_FAIL, .call = call, .nth = nth, .error = EIO});
}

/* After any failure: what was acknowledged stays so, all else is refused or unknown. */
static void check_poisoned(struct world *world, uint64_t synced_lsn)
{
    uint64_t lsn;
    CHECK(file_is_poisoned(&world->file));
    CHECK_OK(log_sync(world->log, synced_lsn, 0));
    CHECK_EQ(world_append(world, "more", 4, &lsn), SCN_POISONED);
    CHECK_EQ(log_roll(world->log), SCN_POISONED);
    uint64_t appended = log_appended(world->log);
    CHECK_EQ(log_sync(world->log, appended, 0),
             appended > synced_lsn ? SCN_UNKNOWN : SCN_OK);
    CHECK_EQ(log_synced(world->log), synced_lsn);
}

TEST(group__failed_sync_poisons_and_leaves_the_commit_unknown)
{
    struct world world;
    world_create(&world, WORLD_SPARES);
    world_commit_number(&world, 0, 50);
    uint64_t synced_lsn = log_synced(world.log);
    uint64_t lsn = world_append_number(&world, 1, 50);
    fail_next(&world, SIM_DSYNC, 1);
    CHECK_EQ(log_sync(world.log, lsn, 0), SCN_UNKNOWN);
    check_poisoned(&world, synced_lsn);
    world_destroy(&world);
}

TEST(group__failed_sync_of_the_file_poisons_too)
{
    struct world world;
    world_create(&world, WORLD_SPARES);
    world_commit_number(&world, 0, 50);
    uint64_t synced_lsn = log_synced(world.log);
    CHECK_OK(log_roll(world.log));
    uint64_t lsn = world_append_number(&world, 1, 50);
    fail_next(&world, SIM_SYNC, 1);
    CHECK_EQ(log_sync(world.log, lsn, 0), SCN_UNKNOWN);
    check_poisoned(&world, synced_lsn);
    world_destroy(&world);
}

struct answers {
    uint32_t asked;
    scn_status first; /* then all is well */
};

static scn_status answer(void *ctx, const struct log_point *from,
                         struct log_point *to)
{
    struct answers *answers = ctx;
    (void)from;
    (void)to;
    return answers->asked++ == 0 ? answers->first : SCN_OK;
}

/* The group alone, without a file that would refuse. */
TEST(group__never_syncs_again_after_a_failure)
{
    struct log_group group;
    struct answers answers = {.first = SCN_IO};
    struct log_point start = {.lsn = 128};
    struct log_point end = {.lsn = 256};
    CHECK_OK(log_group_init(&group, sys_posix(), &start, &start));
    log_group_append(&group, &end);
    CHECK_EQ(log_group_wait(&group, 256, 0, answer, &answers), SCN_UNKNOWN);
    CHECK_EQ(log_group_wait(&group, 256, 0, answer, &answers), SCN_UNKNOWN);
    CHECK_EQ(log_group_wait(&group, 200, 0, answer, &answers), SCN_UNKNOWN);
    CHECK_OK(log_group_wait(&group, 128, 0, answer, &answers));
    CHECK_EQ(answers.asked, 1);
    log_group_destroy(&group);
}

/* What cannot be read again cannot be made durable. */
TEST(group__sync_that_cannot_read_its_records_poisons)
{
    struct world world;
    world_create(&world, WORLD_SPARES);
    world_commit_number(&world, 0, 50);
    uint64_t synced_lsn = log_synced(world.log);
    uint64_t lsn = world_append_number(&world, 1, 50);
    fail_next(&world, SIM_READ, 1);
    CHECK_EQ(log_sync(world.log, lsn, 0), SCN_UNKNOWN);
    check_poisoned(&world, synced_lsn);
    world_destroy(&world);
}

/* Records that were lost with a sync that nobody has heard of, and read anew: what lies
 * there is of an earlier life of the extent, as whole as they, and as long. */
static void lose_to_older_ones(struct world *world, uint32_t len)
{
    struct log_base end;
    uint32_t record_len = record_bytes(len);
    uint8_t *older = malloc(record_len);
    log_position(world->log, &end);
    uint64_t off = (uint64_t)end.extent_pgno * PAGE_BYTES + end.extent_off - record_len;
    CHECK(sim_peek(world->disk, WORLD_PATH, off - record_len, older, record_len));
    CHECK_EQ(world->sys->ops->write(world->file.handle, off, older, record_len, 0),
             record_len);
    free(older);
}

TEST(group__sync_takes_no_records_of_an_earlier_life)
{
    enum { LONG_BYTES = 8 * 1024 };
    for (int is_long = 0; is_long < 2; is_long++) {
        struct world world;
        uint32_t len = is_long ? LONG_BYTES : 64;
        world_create(&world, WORLD_SPARES);
        world_commit_number(&world, 0, len);
        uint64_t synced_lsn = log_synced(world.log);
        uint64_t lsn = world_append_number(&world, 1, len);
        lose_to_older_ones(&world, len);
        if (is_long) {
            CHECK_OK(log_roll(world.log));
            lsn = world_append_number(&world, 2, len);
        }
        CHECK_EQ(log_sync(world.log, lsn, 0), SCN_UNKNOWN);
        check_poisoned(&world, synced_lsn);
        world_destroy(&world);
    }
}

/* Another process syncs these bytes, fails, and is killed before it can say so. */
static void lose_with_another(struct world *world, uint64_t off, uint32_t len)
{
    uint8_t bytes[256];
    struct file file;
    struct sys *other = sim_process_create(world->disk);
    CHECK(len <= sizeof bytes);
    CHECK_OK(file_open(&file, other, WORLD_PATH, false));
    CHECK_OK(file_read(&file, off, bytes, len, 0));
    sim_fault_set(other, &(struct sim_fault){.kind = SIM_FAIL,
                                             .call = SIM_DSYNC,
                                             .nth = 1,
                                             .error = EIO});
    CHECK_EQ(file_write(&file, off, bytes, len, SYS_DSYNC), SCN_IO);
    sim_process_kill(other);
    file_close(&file);
    sim_process_destroy(other);
    sim_disk_evict(world->disk);
}

static uint64_t recover_with_spares(struct world *world, uint64_t epoch, uint32_t grown)
{
    struct log_spare spares[WORLD_SPARES];
    struct log_scan_result result = world_scan(world, &seen);
    result.capacity_lsn += grown;
    world_spares(spares);
    world_recover(world, &result, spares, WORLD_SPARES, epoch);
    return result.capacity_lsn;
}

/* A session whose first record leads to another extent, and the power cut that takes this
 * record and the link, and leaves what lies in that extent.  The next session has the
 * same LSNs, unless the file has grown. */
static void create_after_lost_link(struct world *world, uint32_t grown)
{
    enum { HEAD = 1, LINK = 2, LEADS_ON = 4, FIRST = 8, SECOND = 16 };
    world_create(world, 0);
    world_commit_number(world, 0, 64);
    log_destroy(world->log);
    uint64_t lost_lsn = recover_with_spares(world, 2, 0);
    CHECK_OK(log_roll(world->log));
    (void)world_append_number(world, 1, 64);
    (void)world_append_number(world, 2, 64);
    CHECK_EQ(sim_pending(world->disk, true), 5);
    struct sim_disk *after = sim_crash(
        world->disk, &(struct sim_choice){.keep = SIM_KEEP_SUBSET,
                                          .by_call = true,
                                          .n = HEAD | FIRST | SECOND});
    struct log_base base = world->base;
    world_destroy(world);
    world_attach(world, after);
    world->base = base;
    CHECK_EQ(recover_with_spares(world, 3, grown), lost_lsn + grown);
}

static uint64_t end_off(struct world *world)
{
    struct log_base end;
    log_position(world->log, &end);
    return (uint64_t)end.extent_pgno * PAGE_BYTES + end.extent_off;
}

TEST(group__sync_takes_no_records_of_an_earlier_session)
{
    for (int is_piece = 0; is_piece < 2; is_piece++) {
        struct world world;
        create_after_lost_link(&world, 0);
        uint64_t synced_lsn = log_synced(world.log);
        CHECK_OK(log_roll(world.log));
        if (is_piece) {
            world_commit_number(&world, 3, 64);
            synced_lsn = log_synced(world.log);
        }
        (void)world_append_number(&world, 4, 64);
        lose_with_another(&world, end_off(&world) - record_bytes(64), record_bytes(64));
        uint64_t lsn = world_append_number(&world, 5, 64);
        CHECK_EQ(log_sync(world.log, lsn, 0), SCN_UNKNOWN);
        check_poisoned(&world, synced_lsn);
        world_destroy(&world);
    }
}

/* The head tells whose extent it is, too: the link is not believed without. */
TEST(group__sync_takes_no_head_of_an_earlier_session)
{
    for (uint32_t grown = 0; grown <= PAGE_BYTES; grown += PAGE_BYTES) {
        struct world world;
        create_after_lost_link(&world, grown);
        uint64_t synced_lsn = log_synced(world.log);
        CHECK_OK(log_roll(world.log));
        lose_with_another(&world, end_off(&world) - RECORD_FIRST_OFF, RECORD_FIRST_OFF);
        uint64_t lsn = world_append_number(&world, 4, 64);
        CHECK_EQ(log_sync(world.log, lsn, 0), SCN_UNKNOWN);
        check_poisoned(&world, synced_lsn);
        world_destroy(&world);
    }
}

/* It leads to what proves that a damaged EXTENT record was whole. */
TEST(group__sync_writes_a_lost_link_anew)
{
    struct world world;
    world_create(&world, WORLD_SPARES);
    world_commit_number(&world, 0, 512);
    uint64_t leads_on_off = end_off(&world);
    CHECK_OK(log_roll(world.log));
    lose_with_another(&world, extent_file_off(WORLD_FIRST_PGNO), RECORD_FIRST_OFF);
    world_commit_number(&world, 1, 64);
    world_commit_number(&world, 2, 64);
    CHECK(sim_rot(world.disk, WORLD_PATH, leads_on_off, "rot", 3));
    CHECK_EQ(world_scan(&world, &seen).kind, LOG_END_CORRUPT);
    world_destroy(&world);
}

struct restart {
    struct world *world;
    bool is_done;
};

static void restart_log(void *ctx, struct sim_disk *disk, enum sim_call call,
                        enum sim_moment moment)
{
    struct restart *restart = ctx;
    (void)disk;
    if (restart->is_done || moment != SIM_AFTER || call != SIM_WRITE)
        return;
    restart->is_done = true;
    CHECK_OK(log_restart(restart->world->log, &restart->world->base, false));
}

/* A process that was idle reads its log anew while a thread of it syncs what it had. */
TEST(group__sync_passes_over_no_extent_while_the_log_is_read_anew)
{
    for (int is_lost = 0; is_lost < 2; is_lost++) {
        struct world world;
        struct restart restart = {.world = &world};
        world_create(&world, WORLD_SPARES);
        world_commit_number(&world, 0, 64);
        uint64_t synced_lsn = log_synced(world.log);
        (void)world_append_number(&world, 1, 64);
        CHECK_OK(log_roll(world.log));
        (void)world_append_number(&world, 2, 64);
        uint64_t lsn = world_append_number(&world, 3, 64);
        if (is_lost)
            lose_to_older_ones(&world, 64);
        sim_hook_set(world.disk, restart_log, &restart);
        scn_status st = log_sync(world.log, lsn, 0);
        sim_hook_set(world.disk, NULL, NULL);
        CHECK(restart.is_done);
        CHECK_EQ(st, is_lost ? SCN_UNKNOWN : SCN_OK);
        if (is_lost)
            check_poisoned(&world, synced_lsn);
        world_destroy(&world);
    }
}

TEST(group__poison_by_somebody_else_reaches_the_waiters)
{
    struct world world;
    world_create(&world, WORLD_SPARES);
    world_commit_number(&world, 0, 50);
    uint64_t synced_lsn = log_synced(world.log);
    uint64_t lsn = world_append_number(&world, 1, 50);
    file_poison(&world.file);
    CHECK_EQ(log_sync(world.log, lsn, 0), SCN_UNKNOWN);
    check_poisoned(&world, synced_lsn);
    world_destroy(&world);
}

static void poison_now(void *ctx, struct sim_disk *disk, enum sim_call call,
                       enum sim_moment moment)
{
    (void)disk;
    if (moment == SIM_BEFORE_SYNC && call == SIM_DSYNC)
        file_poison(ctx);
}

/* Another sync may have been told of the lost page, and ours then knows nothing. */
TEST(group__sync_that_succeeds_beside_a_failed_one_acknowledges_nothing)
{
    struct world world;
    world_create(&world, WORLD_SPARES);
    world_commit_number(&world, 0, 50);
    uint64_t synced_lsn = log_synced(world.log);
    uint64_t lsn = world_append_number(&world, 1, 50);
    sim_hook_set(world.disk, poison_now, &world.file);
    CHECK_EQ(log_sync(world.log, lsn, 0), SCN_UNKNOWN);
    sim_hook_set(world.disk, NULL, NULL);
    check_poisoned(&world, synced_lsn);
    world_destroy(&world);
}

TEST(group__failed_write_of_a_record_leaves_it_unknown)
{
    struct world world;
    world_create(&world, WORLD_SPARES);
    world_commit_number(&world, 0, 50);
    uint64_t synced_lsn = log_synced(world.log);
    fail_next(&world, SIM_WRITE, 1);
    uint64_t lsn;
    CHECK_EQ(world_append(&world, "lost", 4, &lsn), SCN_UNKNOWN);
    CHECK_EQ(log_appended(world.log), synced_lsn);
    check_poisoned(&world, synced_lsn);
    CHECK(world_scan(&world, &seen).kind != LOG_END_CORRUPT);
    CHECK_EQ(seen.number_count, 1);
    world_destroy(&world);
}

TEST(group__failed_link_of_an_extent_has_written_nothing_of_the_record)
{
    for (uint64_t nth = 1; nth <= 3; nth++) {
        struct world world;
        world_create(&world, WORLD_SPARES);
        world_commit_number(&world, 0, 50);
        uint64_t synced_lsn = log_synced(world.log);
        fail_next(&world, SIM_WRITE, nth);
        CHECK_EQ(log_roll(world.log), SCN_POISONED);
        CHECK_EQ(log_spare_count(world.log), WORLD_SPARES);
        check_poisoned(&world, synced_lsn);
        CHECK(world_scan(&world, &seen).kind != LOG_END_CORRUPT);
        CHECK_EQ(seen.number_count, 1);
        world_destroy(&world);
    }
}

TEST(group__short_writes_are_continued)
{
    struct world world;
    world_create(&world, 0);
    sim_fault_set(
        world.sys,
        &(struct sim_fault){
            .kind = SIM_SHORT, .call = SIM_WRITE, .nth = 1, .is_forever = true});
    sim_fault_set(
        world.sys,
        &(struct sim_fault){
            .kind = SIM_SHORT, .call = SIM_DSYNC, .nth = 1, .is_forever = true});
    for (uint64_t i = 0; i < 3; i++)
        world_commit_number(&world, i, 500);
    CHECK(sim_fault_hits(world.sys) > 6);
    sim_fault_clear(world.sys);
    struct sim_disk *after =
        sim_crash(world.disk, &(struct sim_choice){.keep = SIM_KEEP_NONE});
    struct log_base base = world.base;
    world_destroy(&world);
    world_attach(&world, after);
    world.base = base;
    CHECK_EQ(world_scan(&world, &seen).kind, LOG_END_CLEAN);
    CHECK_EQ(seen.number_count, 3);
    world_destroy(&world);
}

TEST(group__does_not_write_back_a_bit_that_was_flipped_on_the_way)
{
    struct world world;
    world_create(&world, 0);
    for (uint64_t i = 0; i < 8; i++) {
        uint64_t lsn = world_append_number(&world, i, 100);
        sim_fault_set(world.sys, &(struct sim_fault){.kind = SIM_FLIP,
                                                     .call = SIM_READ,
                                                     .nth = 1,
                                                     .bit = i * 157 + 3});
        CHECK_OK(log_sync(world.log, lsn, 0));
        CHECK_EQ(sim_fault_hits(world.sys), i + 1);
    }
    struct sim_disk *after =
        sim_crash(world.disk, &(struct sim_choice){.keep = SIM_KEEP_NONE});
    struct log_base base = world.base;
    world_destroy(&world);
    world_attach(&world, after);
    world.base = base;
    CHECK_EQ(world_scan(&world, &seen).kind, LOG_END_CLEAN);
    CHECK_EQ(seen.number_count, 8);
    CHECK(!seen.is_wrong);
    world_destroy(&world);
}

TEST(group__failure_among_many_threads_acknowledges_nothing_more)
{
    for (uint64_t nth = 1; nth < 20; nth += 6) {
        struct world world;
        world_create(&world, WORLD_SPARES);
        fail_next(&world, SIM_DSYNC, nth);
        struct committer committers[THREADS];
        run_committers(&world, committers, 0);
        uint64_t synced_lsn = log_synced(world.log);
        uint32_t unknown_count = 0;
        for (uint32_t i = 0; i < THREADS; i++) {
            CHECK_EQ(committers[i].ok_count + committers[i].unknown_count +
                         committers[i].poisoned_count,
                     COMMITS);
            CHECK(committers[i].ok_lsn <= synced_lsn);
            CHECK(!committers[i].is_uncovered);
            unknown_count += committers[i].unknown_count;
        }
        CHECK(unknown_count > 0);
        check_poisoned(&world, synced_lsn);
        world_destroy(&world);
    }
}
