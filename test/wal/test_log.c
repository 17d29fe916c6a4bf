#include "test/wal/logworld.h"

#include <errno.h>

static struct seen seen;

static void check_numbers(uint64_t count)
{
    CHECK(!seen.is_wrong);
    CHECK_EQ(seen.number_count, count);
    for (uint64_t i = 0; i < count; i++)
        CHECK_EQ(seen.numbers[i], i);
}

TEST(log__finds_again_what_was_appended)
{
    struct world world;
    world_create(&world, WORLD_SPARES);
    for (uint64_t i = 0; i < 20; i++)
        world_append_number(&world, i, 8 + (uint32_t)i * 13);
    struct log_scan_result result = world_scan(&world, &seen);
    CHECK_EQ(result.kind, LOG_END_CLEAN);
    check_numbers(20);
    CHECK_EQ(result.record_count, 20);
    CHECK_EQ(result.end.lsn, log_appended(world.log));
    CHECK_EQ(result.byte_count, log_bytes_since(world.log, world.base.lsn));
    struct log_base at;
    log_position(world.log, &at);
    CHECK(memcmp(&at, &result.end, sizeof at) == 0);
    world_destroy(&world);
}

TEST(log__is_empty_at_first)
{
    struct world world;
    world_create(&world, 0);
    struct log_scan_result result = world_scan(&world, &seen);
    CHECK_EQ(result.kind, LOG_END_CLEAN);
    CHECK_EQ(result.record_count, 0);
    CHECK_EQ(result.end.lsn, world.base.lsn);
    CHECK_EQ(result.bad_off, (uint64_t)WORLD_FIRST_PGNO * PAGE_BYTES + RECORD_FIRST_OFF);
    world_destroy(&world);
}

TEST(log__compresses_what_pays)
{
    struct world world;
    world_create(&world, WORLD_SPARES);
    uint8_t text[4096];
    memset(text, 'a', sizeof text);
    CHECK_OK(log_packet_set(&world.packet, RECORD_COMMIT, text, 511));
    CHECK_EQ(world.packet.stored_len, 511);
    CHECK_OK(log_packet_set(&world.packet, RECORD_COMMIT, text, 512));
    CHECK(world.packet.stored_len < 100);
    CHECK_EQ(world.packet.flags, RECORD_IS_LZ4);
    /* A sixteenth could be saved: not worth it. */
    world_payload(5, text, sizeof text - 256);
    CHECK_OK(log_packet_set(&world.packet, RECORD_COMMIT, text, sizeof text));
    CHECK_EQ(world.packet.stored_len, sizeof text);
    memset(text, 'b', sizeof text);
    uint64_t lsn;
    CHECK_OK(world_append(&world, text, sizeof text, &lsn));
    world_scan(&world, &seen);
    CHECK_EQ(seen.count, 1);
    CHECK_EQ(seen.visits[0].payload_len, sizeof text);
    CHECK(seen.visits[0].record.stored_len < 200);
    world_destroy(&world);
}

TEST(log__goes_on_in_its_spares_and_is_full_after_them)
{
    struct world world;
    world_create(&world, WORLD_SPARES);
    uint32_t len = log_payload_max() / 3;
    uint8_t *payload = malloc(len);
    uint64_t count = 0;
    uint64_t lsn;
    scn_status st = SCN_OK;
    for (; count < WORLD_RECORDS_MAX; count++) {
        world_payload(count, payload, len);
        st = world_append(&world, payload, len, &lsn);
        if (st != SCN_OK)
            break;
    }
    free(payload);
    CHECK_EQ(st, SCN_FULL);
    CHECK_EQ(log_spare_count(world.log), 0);
    struct log_scan_result result = world_scan(&world, &seen);
    CHECK_EQ(result.kind, LOG_END_CLEAN);
    check_numbers(count);
    CHECK_EQ(seen.count, count + WORLD_SPARES);
    CHECK_EQ(result.end.extent_number, WORLD_SPARES);
    struct log_extent extents[8];
    CHECK_EQ(log_extents(world.log, extents, 8), WORLD_SPARES + 1);
    for (uint32_t i = 0; i <= WORLD_SPARES; i++)
        CHECK_EQ(extents[i].number, i);
    /* Small records still fit what is left; the log is never over-full [L6]. */
    while (world_append(&world, "x", 1, &lsn) == SCN_OK)
        continue;
    CHECK_EQ(world_scan(&world, &seen).kind, LOG_END_CLEAN);
    CHECK(!file_is_poisoned(&world.file));
    world_destroy(&world);
}

TEST(log__takes_the_longest_payload)
{
    struct world world;
    world_create(&world, WORLD_SPARES);
    uint32_t len = log_payload_max();
    CHECK(len <= 512 * 1024);
    for (uint64_t i = 0; i < 2; i++)
        world_commit_number(&world, i, len);
    CHECK_EQ(world_scan(&world, &seen).kind, LOG_END_CLEAN);
    check_numbers(2);
    uint8_t *payload = calloc(1, len + 1);
    CHECK_EQ(log_packet_set(&world.packet, RECORD_COMMIT, payload, len + 1), SCN_TOOBIG);
    free(payload);
    world_destroy(&world);
}

TEST(log__rolls_through_a_spare_that_is_too_small)
{
    struct world world;
    world_create(&world, 0);
    struct log_spare spares[WORLD_SPARES];
    world_spares(spares);
    struct log_spare tiny = {.pgno = spares[0].pgno, .pages = 1};
    CHECK_OK(log_add_spare(world.log, tiny));
    uint32_t len = PAGE_BYTES + 8;
    CHECK_OK(log_roll(world.log));
    uint8_t *payload = calloc(1, len);
    world_payload(0, payload, len);
    uint64_t lsn;
    CHECK_EQ(world_append(&world, payload, len, &lsn), SCN_FULL);
    tiny.pgno++;
    CHECK_OK(log_add_spare(world.log, tiny));
    CHECK_EQ(world_append(&world, payload, len, &lsn), SCN_FULL);
    CHECK_EQ(log_spare_count(world.log), 1);
    CHECK_OK(log_add_spare(world.log, spares[1]));
    CHECK_OK(world_append(&world, payload, len, &lsn));
    free(payload);
    CHECK_EQ(log_spare_count(world.log), 0);
    CHECK_EQ(world_scan(&world, &seen).end.extent_number, 3);
    check_numbers(1);
    world_destroy(&world);
}

TEST(log__rolls_forgets_and_reuses_extents)
{
    struct world world;
    world_create(&world, 2);
    uint64_t number = 0;
    struct log_base base = world.base;
    /* Each extent comes back as it is, full of records of its earlier life. */
    for (int round = 0; round < 12; round++) {
        for (int i = 0; i < 5; i++)
            world_append_number(&world, number++, 200);
        CHECK_OK(log_sync(world.log, log_appended(world.log), 0));
        CHECK_OK(log_roll(world.log));
        log_position(world.log, &base);
        struct log_extent old;
        CHECK_EQ(log_forget(world.log, &base, &old, 1), 1);
        CHECK_EQ(old.number, (uint64_t)round);
        CHECK_EQ(log_extents(world.log, NULL, 0), 1);
        CHECK_OK(log_add_spare(world.log, (struct log_spare){old.pgno, old.pages}));
        world.base = base;
        struct log_scan_result result = world_scan(&world, &seen);
        CHECK_EQ(result.kind, LOG_END_CLEAN);
        CHECK_EQ(result.record_count, 0);
        world_append_number(&world, number++, 200);
        result = world_scan(&world, &seen);
        CHECK_EQ(result.kind, LOG_END_CLEAN);
        CHECK_EQ(result.record_count, 1);
        CHECK_EQ(seen.numbers[0], number - 1);
    }
    world_destroy(&world);
}

TEST(log__keeps_the_extent_of_the_base_and_those_behind_it)
{
    struct world world;
    struct log_base base;
    struct log_extent forgotten[WORLD_SPARES];
    struct log_extent kept[WORLD_SPARES + 1];
    world_create(&world, 2);
    CHECK_OK(log_roll(world.log));
    log_position(world.log, &base);
    CHECK_OK(log_roll(world.log));
    CHECK_EQ(log_forget(world.log, &base, forgotten, WORLD_SPARES), 1);
    CHECK_EQ(forgotten[0].number, 0);
    CHECK_EQ(log_extents(world.log, kept, WORLD_SPARES + 1), 2);
    CHECK_EQ(kept[0].number, base.extent_number);
    world_destroy(&world);
}

TEST(log__does_not_roll_without_a_spare)
{
    struct world world;
    world_create(&world, 0);
    CHECK_EQ(log_roll(world.log), SCN_FULL);
    CHECK(!file_is_poisoned(&world.file));
    world_append_number(&world, 0, 100);
    CHECK_EQ(world_scan(&world, &seen).kind, LOG_END_CLEAN);
    check_numbers(1);
    world_destroy(&world);
}

TEST(log__gives_spares_back)
{
    struct world world;
    world_create(&world, WORLD_SPARES);
    struct log_spare out[LOG_SPARE_MAX];
    struct log_spare spares[WORLD_SPARES];
    world_spares(spares);
    CHECK_EQ(log_drop_spares(world.log, spares[1].pgno, 2, out), 1);
    CHECK_EQ(out[0].pgno, spares[2].pgno);
    CHECK_EQ(log_drop_spares(world.log, spares[1].pgno, 0, out), 1);
    CHECK_EQ(out[0].pgno, spares[1].pgno);
    CHECK_EQ(log_spares(world.log, out, LOG_SPARE_MAX), 1);
    CHECK_EQ(out[0].pgno, spares[0].pgno);
    CHECK_EQ(log_drop_spares(world.log, 0, 0, out), 1);
    CHECK_EQ(log_spare_count(world.log), 0);
    struct log_spare spare = {.pgno = 3, .pages = 1};
    for (int i = 0; i < LOG_SPARE_MAX; i++)
        CHECK_OK(log_add_spare(world.log, spare));
    CHECK_EQ(log_add_spare(world.log, spare), SCN_FULL);
    world_destroy(&world);
}

TEST(log__prepares_an_extent_with_zeros)
{
    struct world world;
    world_create(&world, 0);
    uint8_t *pages = malloc((size_t)LOG_EXTENT_PAGES * PAGE_BYTES);
    memset(pages, 0xee, (size_t)LOG_EXTENT_PAGES * PAGE_BYTES);
    CHECK_OK(file_write_pages(&world.file, WORLD_SPARE_PGNO, pages, LOG_EXTENT_PAGES));
    CHECK_OK(log_prepare_extent(&world.file, WORLD_SPARE_PGNO, LOG_EXTENT_PAGES));
    CHECK_EQ(sim_pending(world.disk, false), 0);
    CHECK_OK(file_read(&world.file, (uint64_t)WORLD_SPARE_PGNO * PAGE_BYTES, pages,
                       (uint64_t)LOG_EXTENT_PAGES * PAGE_BYTES, 0));
    CHECK(bytes_are_zero(pages, (size_t)LOG_EXTENT_PAGES * PAGE_BYTES));
    free(pages);
    world_destroy(&world);
}

/* ---- epochs ---- */

/* Reopens the log as after a crash; the caller gets the result of the scan. */
static struct log_scan_result reopen(struct world *world, const struct log_spare *spares,
                                     uint32_t spare_count, uint64_t epoch)
{
    struct log_base base = world->base;
    struct sim_disk *disk = world->disk;
    world_detach(world);
    world_attach(world, disk);
    world->base = base;
    struct log_scan_result result = world_scan(world, &seen);
    world_recover(world, &result, spares, spare_count, epoch);
    return result;
}

/* Nobody has room for another extent, and the process is killed before its checkpoint. */
TEST(log__that_is_full_has_room_for_the_freeze_of_the_next_life)
{
    for (uint32_t len = 0; len <= RECORD_EPOCH_BYTES + RECORD_HEADER_BYTES; len += 8) {
        struct world world;
        uint64_t lsn;
        world_create(&world, 0);
        world_commit_number(&world, 0, len);
        while (world_append(&world, "x", 1, &lsn) == SCN_OK)
            continue;
        (void)reopen(&world, NULL, 0, 7);
        CHECK_OK(log_packet_set(&world.packet, RECORD_FREEZE, NULL, 0));
        CHECK_OK(lock_take(&world.locks, LOCK_APPEND, UINT32_MAX));
        CHECK_OK(log_append_room(world.log, &world.packet));
        CHECK_OK(log_append(world.log, &world.packet, &lsn));
        lock_give(&world.locks, LOCK_APPEND);
        CHECK_EQ(world_scan(&world, &seen).kind, LOG_END_CLEAN);
        world_destroy(&world);
    }
}

TEST(log__begins_an_epoch_with_its_first_record)
{
    struct world world;
    world_create(&world, 0);
    world_commit_number(&world, 0, 100);
    uint64_t old_epoch = log_epoch(world.log);
    struct log_scan_result before = reopen(&world, NULL, 0, 42);
    CHECK(before.capacity_lsn >= before.end.lsn);
    CHECK_EQ(log_appended(world.log), before.end.lsn);
    CHECK_EQ(log_synced(world.log), before.end.lsn);
    CHECK_EQ(log_epoch(world.log), old_epoch);
    uint64_t calls = sim_call_count(world.sys, SIM_WRITE);
    uint64_t lsn = world_append_number(&world, 1, 100);
    CHECK_EQ(sim_call_count(world.sys, SIM_WRITE), calls + 1);
    CHECK(lsn > before.capacity_lsn);
    CHECK(log_epoch(world.log) != old_epoch);
    CHECK_EQ(log_epoch(world.log), record_epoch(world_uuid, 42));
    struct log_scan_result after = world_scan(&world, &seen);
    CHECK_EQ(after.kind, LOG_END_CLEAN);
    check_numbers(2);
    CHECK_EQ(seen.visits[1].record.type, RECORD_EPOCH);
    CHECK_EQ(seen.visits[1].record.prev_crc, seen.visits[0].record.crc);
    CHECK_EQ(after.end.lsn, lsn);
    CHECK_EQ(after.byte_count, log_bytes_since(world.log, world.base.lsn));
    /* And the jump is still known after another opening. */
    reopen(&world, NULL, 0, 43);
    CHECK_EQ(after.byte_count, log_bytes_since(world.log, world.base.lsn));
    CHECK_EQ(log_bytes_since(world.log, lsn), 0);
    world_destroy(&world);
}

TEST(log__begins_an_epoch_with_the_extent_record_when_the_extent_is_full)
{
    struct world world;
    world_create(&world, 0);
    uint64_t lsn;
    uint64_t count = 0;
    uint32_t len = PAGE_BYTES / 4;
    uint8_t *payload = malloc(len);
    for (;; count++) {
        world_payload(count, payload, len);
        if (world_append(&world, payload, len, &lsn) != SCN_OK)
            break;
    }
    free(payload);
    while (world_append(&world, "x", 1, &lsn) == SCN_OK)
        continue;
    struct log_spare spares[WORLD_SPARES];
    world_spares(spares);
    struct log_scan_result before = reopen(&world, spares, 1, 42);
    world_append_number(&world, count, 100);
    struct log_scan_result after = world_scan(&world, &seen);
    CHECK_EQ(after.kind, LOG_END_CLEAN);
    check_numbers(count + 1);
    const struct log_visit *link = &seen.visits[seen.count - 2];
    CHECK_EQ(link->record.type, RECORD_EXTENT);
    CHECK_EQ(link->record.epoch, record_epoch(world_uuid, 42));
    CHECK_EQ(link->record.lsn, before.capacity_lsn);
    CHECK_EQ(after.end.lsn, log_appended(world.log));
    /* It stays readable and writable after the next opening. */
    reopen(&world, spares + 1, 1, 43);
    world_commit_number(&world, count + 1, 100);
    CHECK_EQ(world_scan(&world, &seen).kind, LOG_END_CLEAN);
    check_numbers(count + 2);
    world_destroy(&world);
}

TEST(log__can_roll_as_the_first_act_of_an_epoch)
{
    struct world world;
    world_create(&world, 0);
    world_commit_number(&world, 0, 100);
    struct log_spare spares[WORLD_SPARES];
    world_spares(spares);
    reopen(&world, spares, 2, 42);
    CHECK_OK(log_roll(world.log));
    CHECK_EQ(log_epoch(world.log), record_epoch(world_uuid, 42));
    world_commit_number(&world, 1, 100);
    CHECK_EQ(world_scan(&world, &seen).kind, LOG_END_CLEAN);
    check_numbers(2);
    CHECK_EQ(seen.count, 3);
    world_destroy(&world);
}

TEST(log__knows_its_extents_after_reopening)
{
    struct world world;
    world_create(&world, WORLD_SPARES);
    for (uint64_t i = 0; i < 3; i++) {
        world_commit_number(&world, i, 100);
        CHECK_OK(log_roll(world.log));
    }
    struct log_extent before[8];
    struct log_extent after[8];
    CHECK_EQ(log_extents(world.log, before, 8), 4);
    reopen(&world, NULL, 0, 42);
    CHECK_EQ(log_extents(world.log, after, 8), 4);
    CHECK(memcmp(before, after, 4 * sizeof before[0]) == 0);
    world_destroy(&world);
}

TEST(log__rewrite_makes_everything_durable_again)
{
    struct world world;
    world_create(&world, WORLD_SPARES);
    for (uint64_t i = 0; i < 3; i++) {
        world_append_number(&world, i, 1000);
        CHECK_OK(log_roll(world.log));
    }
    world_append_number(&world, 3, 1000);
    CHECK(sim_pending(world.disk, false) > 0);
    reopen(&world, NULL, 0, 42);
    CHECK_EQ(sim_pending(world.disk, false), 0);
    CHECK_EQ(log_synced(world.log), log_appended(world.log));
    struct sim_disk *after =
        sim_crash(world.disk, &(struct sim_choice){.keep = SIM_KEEP_NONE});
    struct log_base base = world.base;
    world_destroy(&world);
    world_attach(&world, after);
    world.base = base;
    CHECK_EQ(world_scan(&world, &seen).kind, LOG_END_CLEAN);
    check_numbers(4);
    world_destroy(&world);
}

/* ---- what a failed sync has left in the page cache ---- */

static const struct sys_ops *sim_ops;

static int64_t read_cached(struct sys_file *file, uint64_t off, void *buf, uint64_t len,
                           uint32_t flags)
{
    return sim_ops->read(file, off, buf, len, flags & ~(uint32_t)SYS_UNCACHED);
}

/* Number 0 is durable; 1, on a sector of its own, is clean and not durable. */
static void create_with_failed_sync(struct world *world)
{
    struct sim_fault failing = {.kind = SIM_FAIL, .call = SIM_DSYNC, .nth = 1};
    failing.error = EIO;
    world_create(world, 0);
    world_commit_number(world, 0, 1000);
    uint64_t lsn = world_append_number(world, 1, 1000);
    sim_fault_set(world->sys, &failing);
    CHECK_EQ(log_sync(world->log, lsn, 0), SCN_UNKNOWN);
}

static void attach_again(struct world *world)
{
    struct log_base base = world->base;
    struct sim_disk *disk = world->disk;
    world_detach(world);
    world_attach(world, disk);
    world->base = base;
}

TEST(log__scan_past_the_cache_does_not_see_what_a_failed_sync_has_dropped)
{
    struct world world;
    create_with_failed_sync(&world);
    attach_again(&world);
    world_scan(&world, &seen);
    check_numbers(1);
    world_destroy(&world);
}

/* Where there is no way past the cache, what it holds is adopted; and nothing but a write
 * makes it dirty, so that a sync takes it along. */
TEST(log__rewrite_writes_again_what_a_failed_sync_has_dropped)
{
    struct world world;
    create_with_failed_sync(&world);
    attach_again(&world);
    sim_ops = world.sys->ops;
    struct sys_ops ops = *sim_ops;
    ops.read = read_cached;
    world.sys->ops = &ops;
    struct log_scan_result result = world_scan(&world, &seen);
    check_numbers(2);
    world_recover(&world, &result, NULL, 0, 42);
    struct sim_disk *after =
        sim_crash(world.disk, &(struct sim_choice){.keep = SIM_KEEP_NONE});
    struct log_base base = world.base;
    world_destroy(&world);
    world_attach(&world, after);
    world.base = base;
    world_scan(&world, &seen);
    check_numbers(2);
    world_destroy(&world);
}

TEST(log__rewrite_erases_a_torn_record_for_good)
{
    struct world world;
    world_create(&world, 0);
    world_commit_number(&world, 0, 1000);
    struct log_base end;
    log_position(world.log, &end);
    world_commit_number(&world, 1, 1000);
    uint64_t off = (uint64_t)end.extent_pgno * PAGE_BYTES + end.extent_off + 800;
    uint8_t half[200];
    CHECK(sim_peek(world.disk, WORLD_PATH, off, half, sizeof half));
    static const uint8_t zeros[sizeof half];
    CHECK(sim_rot(world.disk, WORLD_PATH, off, zeros, sizeof zeros));
    struct log_scan_result result = reopen(&world, NULL, 0, 42);
    CHECK_EQ(result.kind, LOG_END_TORN);
    CHECK_EQ(sim_pending(world.disk, false), 0);
    /* The missing half comes, with the next write, and nothing else of that. */
    CHECK(sim_rot(world.disk, WORLD_PATH, off, half, sizeof half));
    CHECK(world_scan(&world, &seen).kind != LOG_END_CORRUPT);
    check_numbers(1);
    world_destroy(&world);
}

/* As a recovery does that finds the log settled, or does not. */
static struct log_scan_result go_on(struct world *world)
{
    struct log_scan_result result = world_scan(world, &seen);
    CHECK_OK(log_create(&world->file, &world->locks, world_uuid, &world->base,
                        &result.end, NULL, 0, &world->log));
    if (result.is_settled)
        log_settle(world->log, &result.settled);
    else
        CHECK_OK(log_rewrite(world->log, &world->base));
    return result;
}

static void cut_power(struct world *world)
{
    struct log_base base = world->base;
    struct sim_disk *after =
        sim_crash(world->disk, &(struct sim_choice){.keep = SIM_KEEP_NONE});
    world_destroy(world);
    world_attach(world, after);
    world->base = base;
}

/* Zeros at the end are no sign of a clean close when they have just been written there,
 * by a recovery that was killed before its sync. */
TEST(log__what_a_killed_recovery_has_erased_is_erased_again)
{
    struct world world;
    world_create(&world, 0);
    world_commit_number(&world, 0, 1000);
    CHECK_OK(log_packet_set(&world.packet, RECORD_MARK, NULL, 0));
    uint64_t lsn;
    CHECK_OK(log_append(world.log, &world.packet, &lsn));
    struct log_base end;
    log_position(world.log, &end);
    world_commit_number(&world, 1, 1000);
    uint64_t off = (uint64_t)end.extent_pgno * PAGE_BYTES + end.extent_off + 800;
    uint8_t half[200];
    CHECK(sim_peek(world.disk, WORLD_PATH, off, half, sizeof half));
    static const uint8_t zeros[sizeof half];
    CHECK(sim_rot(world.disk, WORLD_PATH, off, zeros, sizeof zeros));
    attach_again(&world);
    struct log_scan_result result = world_scan(&world, &seen);
    CHECK_EQ(result.kind, LOG_END_TORN);
    CHECK_OK(log_create(&world.file, &world.locks, world_uuid, &world.base, &result.end,
                        NULL, 0, &world.log));
    struct sim_fault fault = {.kind = SIM_KILL, .call = SIM_SYNC, .nth = 1};
    sim_fault_set(world.sys, &fault);
    CHECK(log_rewrite(world.log, &world.base) != SCN_OK);
    attach_again(&world);
    go_on(&world);
    cut_power(&world);
    CHECK(sim_rot(world.disk, WORLD_PATH, off, half, sizeof half));
    world_scan(&world, &seen);
    check_numbers(1);
    attach_again(&world);
    CHECK(go_on(&world).is_settled);
    world_destroy(&world);
}

TEST(log__refuses_to_go_on_at_a_place_that_is_no_end)
{
    struct world world;
    world_create(&world, 0);
    world_commit_number(&world, 0, 100);
    struct log_base end;
    log_position(world.log, &end);
    struct log *log;
    struct log_base wrong = end;
    wrong.prev_crc ^= 1;
    CHECK_EQ(log_create(&world.file, &world.locks, world_uuid, &world.base, &wrong, NULL,
                        0, &log),
             SCN_CORRUPT);
    wrong = end;
    wrong.extent_pgno = 1 << 20;
    CHECK_EQ(log_create(&world.file, &world.locks, world_uuid, &world.base, &wrong, NULL,
                        0, &log),
             SCN_CORRUPT);
    struct log_spare spare = {.pgno = WORLD_PAGES - 1, .pages = 2};
    CHECK_EQ(log_create(&world.file, &world.locks, world_uuid, &world.base, &end, &spare,
                        1, &log),
             SCN_CORRUPT);
    world_destroy(&world);
}
