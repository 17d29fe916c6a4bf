/* The rules of the log, each with the interleaving that breaks a store without it.
 *
 * The number in a test's name is that of the rule in the design's list of protocol rules;
 * test/mutants/protocol has, for each, the engine without the rule. */
#include "test/schedule/stage.h"

#include "engine/room.h"
#include "page/superblock.h"

#include <errno.h>

/* ---- 4: a failed sync is everybody's ---- */

/* A checkpoint has written its pages; a commit that crosses extents is in the page cache;
 * the checkpoint's sync is told of the log's lost page. */
TEST(protocol__04_a_failed_sync_of_a_checkpoint_acknowledges_no_commit)
{
    struct stage stage;
    stage_open(&stage, 0);
    stage_put(&stage, "a", "old");
    struct part *checkpoint = stage_cast(&stage, do_checkpoint, "checkpoint", NULL);
    part_until(checkpoint, SIM_FLUSH, SIM_AT_END);
    struct part *first = stage_cast(&stage, do_put, "b", "long");
    struct part *second = stage_cast(&stage, do_put, "c", "longer");
    first->len = second->len = STAGE_LONG_BYTES;
    CHECK_OK(part_finish(first));
    CHECK_OK(room_extend(store_of(&stage), false));
    part_until(second, SIM_SYNC, SIM_AT_BEGIN);
    stage_fail(&stage, SIM_SYNC, 1, EIO);
    CHECK_EQ(part_finish(checkpoint), SCN_IO);
    CHECK_EQ(part_finish(second), SCN_UNKNOWN);
    stage_cut(&stage, SIM_KEEP_NONE);
    CHECK(stage_has_long(&stage, "b", "long", STAGE_LONG_BYTES));
    CHECK(stage_has(&stage, "a", "old"));
    stage_close(&stage);
}

/* The commit's own sync has begun, and ends well after the other one has failed. */
TEST(protocol__04_a_sync_beside_a_failed_one_acknowledges_nothing)
{
    struct stage stage;
    stage_open(&stage, 0);
    stage_put(&stage, "a", "old");
    struct part *checkpoint = stage_cast(&stage, do_checkpoint, "checkpoint", NULL);
    part_until(checkpoint, SIM_FLUSH, SIM_AT_END);
    struct part *first = stage_cast(&stage, do_put, "b", "long");
    struct part *second = stage_cast(&stage, do_put, "c", "longer");
    first->len = second->len = STAGE_LONG_BYTES;
    CHECK_OK(part_finish(first));
    CHECK_OK(room_extend(store_of(&stage), false));
    part_until(second, SIM_SYNC, SIM_AT_SYNC);
    stage_fail(&stage, SIM_SYNC, 1, EIO);
    CHECK_EQ(part_finish(checkpoint), SCN_IO);
    scn_status st = part_finish(second);
    stage_cut(&stage, SIM_KEEP_NONE);
    CHECK(st != SCN_OK || stage_has_long(&stage, "c", "longer", STAGE_LONG_BYTES));
    CHECK_EQ(st, SCN_UNKNOWN);
    stage_close(&stage);
}

/* ---- 5: recovery believes the medium, and makes durable what it adopts ---- */

TEST(protocol__05_a_recovery_does_not_believe_the_page_cache)
{
    struct stage stage;
    stage_open(&stage, 0);
    stage_put(&stage, "a", "first");
    struct part *writer = stage_cast(&stage, do_put, "b", "second");
    part_until(writer, SIM_DSYNC, SIM_AT_BEGIN);
    stage_fail(&stage, SIM_DSYNC, 1, EIO);
    part_until(writer, SIM_DSYNC, SIM_AT_END);
    stage_kill(&stage); /* before anybody was told */
    bool has_second = stage_has(&stage, "b", "second");
    stage_put(&stage, "c", "third");
    stage_cut(&stage, SIM_KEEP_NONE);
    CHECK(stage_has(&stage, "a", "first"));
    CHECK(stage_has(&stage, "c", "third"));
    CHECK(stage_has(&stage, "b", has_second ? "second" : NULL));
    stage_close(&stage);
}

TEST(protocol__05_what_a_recovery_adopts_is_durable_before_it_is_built_upon)
{
    struct stage stage;
    stage_open(&stage, 0);
    stage_put(&stage, "a", "first");
    struct part *writer = stage_cast(&stage, do_put, "b", "second");
    part_until(writer, SIM_DSYNC, SIM_AT_BEGIN);
    stage_kill(&stage);
    CHECK(stage_has(&stage, "b", "second"));
    stage_put(&stage, "c", "third");
    stage_cut(&stage, SIM_KEEP_NONE);
    CHECK(stage_has(&stage, "c", "third"));
    CHECK(stage_has(&stage, "b", "second"));
    stage_close(&stage);
}

/* ---- 6: the stop rule ---- */

static void flip_bit_of(struct stage *stage, const char *text)
{
    uint8_t byte;
    uint64_t off = stage_find(stage, text);
    CHECK(off != UINT64_MAX);
    CHECK(sim_peek(stage->disk, "store", off, &byte, 1));
    byte ^= 4;
    CHECK(sim_rot(stage->disk, "store", off, &byte, 1));
}

TEST(protocol__06_rot_before_acknowledged_commits_is_not_taken_for_a_torn_tail)
{
    struct stage stage;
    char text[24];
    stage_open(&stage, 0);
    for (int i = 1; i <= 9; i++) {
        snprintf(text, sizeof text, "value-%d", i);
        stage_put(&stage, text, text);
    }
    flip_bit_of(&stage, "value-4");
    uint64_t hash = sim_hash(stage.disk);
    CHECK_EQ(stage_try_kill(&stage), SCN_CORRUPT);
    CHECK_EQ(sim_hash(stage.disk), hash);
    stage_close(&stage);
}

/* The EXTENT record itself is what is damaged: all that follows lies in extents that
 * nothing but the link leads to. */
TEST(protocol__06_a_damaged_extent_record_hides_no_commits)
{
    struct stage stage;
    struct log_base before;
    struct log_base after;
    uint8_t byte;
    stage_open(&stage, 0);
    CHECK_OK(room_extend(store_of(&stage), false));
    log_position(store_of(&stage)->log, &before);
    CHECK_OK(lock_take(&store_of(&stage)->locks, LOCK_APPEND, 0));
    CHECK_OK(log_roll(store_of(&stage)->log));
    lock_give(&store_of(&stage)->locks, LOCK_APPEND);
    log_position(store_of(&stage)->log, &after);
    CHECK(after.extent_number == before.extent_number + 1);
    stage_put(&stage, "a", "first");
    stage_put(&stage, "b", "second");
    uint64_t off = (uint64_t)before.extent_pgno * PAGE_BYTES + before.extent_off + 40;
    CHECK(sim_peek(stage.disk, "store", off, &byte, 1));
    byte ^= 1;
    CHECK(sim_rot(stage.disk, "store", off, &byte, 1));
    CHECK_EQ(stage_try_kill(&stage), SCN_CORRUPT);
    stage_close(&stage);
}

/* ---- 9: applying, and what is visible ---- */

static void do_sync(struct part *part)
{
    struct log *log = store_of(part->stage)->log;
    part->st = log_sync(log, log_appended(log), 0);
}

/* The record is in the log, and somebody else syncs it before it is in the delta. */
TEST(protocol__09_nobody_sees_a_commit_before_it_is_applied)
{
    struct stage stage;
    stage_open(&stage, SCN_EXCLUSIVE);
    stage_put(&stage, "k", "old");
    uint64_t before = log_appended(store_of(&stage)->log);
    struct part *writer = stage_cast(&stage, do_put, "k", "new");
    part_until(writer, SIM_WRITE, SIM_AT_END);
    part_until(writer, SIM_MUTEX_UNLOCK, SIM_AT_END);
    CHECK(log_appended(store_of(&stage)->log) > before);
    CHECK_OK(part_finish(stage_cast(&stage, do_sync, "syncer", NULL)));
    scn_txn *reader = stage_txn(&stage, SCN_READ);
    CHECK(txn_has(reader, "k", "old"));
    CHECK_OK(part_finish(writer));
    CHECK(txn_has(reader, "k", "old"));
    scn_abort(reader);
    CHECK(stage_has(&stage, "k", "new"));
    stage_close(&stage);
}

/* Among others it is visible to them by then: who begins waits until it is applied. */
TEST(protocol__09_what_others_see_is_applied_before_a_snapshot)
{
    struct stage stage;
    stage_open(&stage, 0);
    stage_put(&stage, "k", "old");
    struct part *writer = stage_cast(&stage, do_put, "k", "new");
    part_until(writer, SIM_WRITE, SIM_AT_END);
    part_until(writer, SIM_MUTEX_UNLOCK, SIM_AT_END);
    CHECK_OK(part_finish(stage_cast(&stage, do_sync, "syncer", NULL)));
    scn_txn *reader = stage_txn(&stage, SCN_READ);
    CHECK(txn_has(reader, "k", "new"));
    scn_abort(reader);
    CHECK_OK(part_finish(writer));
    stage_close(&stage);
}

/* A lazy commit behind a full one that waits for its sync. */
TEST(protocol__09_a_lazy_commit_shows_no_full_one_that_is_not_synced)
{
    struct stage stage;
    stage_open(&stage, 0);
    struct part *full = stage_cast(&stage, do_put, "full", "1");
    struct part *lazy = stage_cast(&stage, do_put, "lazy", "2");
    lazy->durability = SCN_SYNC_LAZY;
    part_until(full, SIM_DSYNC, SIM_AT_BEGIN);
    (void)sim_actor_run(lazy->actor, NULL);
    bool was_seen = stage_has(&stage, "full", "1");
    bool is_acked = lazy->st == SCN_OK;
    stage_cut(&stage, SIM_KEEP_NONE);
    CHECK(!was_seen || stage_has(&stage, "full", "1"));
    CHECK(!is_acked);
    stage_close(&stage);
}

/* Whoever waits syncs himself where nobody does: the owner of the full commit has given
 * up the lock and does not run. */
TEST(protocol__09_who_waits_syncs_when_nobody_else_does)
{
    struct stage stage;
    stage_open(&stage, 0);
    struct part *full = stage_cast(&stage, do_put, "full", "1");
    struct part *lazy = stage_cast(&stage, do_put, "lazy", "2");
    lazy->durability = SCN_SYNC_LAZY;
    part_until_appended(full);
    CHECK_EQ(atomic_load(&store_of(&stage)->locks.owner[LOCK_APPEND]), 0);
    CHECK_OK(part_finish(lazy));
    CHECK(stage_has(&stage, "full", "1"));
    stage_cut(&stage, SIM_KEEP_NONE);
    CHECK(stage_has(&stage, "full", "1"));
    CHECK(stage_has(&stage, "lazy", "2"));
    stage_close(&stage);
}

/* ---- 18: half a record, after a restart ---- */

TEST(protocol__18_half_a_record_is_overwritten)
{
    struct stage stage;
    stage_open(&stage, 0);
    stage_put(&stage, "a", "first");
    struct sim_fault fault = {.kind = SIM_KILL, .call = SIM_WRITE, .nth = 1, .len = 100};
    struct part *writer = stage_cast(&stage, do_put, "b", "second");
    writer->len = STAGE_LONG_BYTES;
    sim_fault_set(stage.sys, &fault);
    CHECK_EQ(part_finish(writer), SCN_INTERRUPTED);
    stage_kill(&stage);
    CHECK(stage_has(&stage, "b", NULL));
    stage_put(&stage, "c", "third");
    stage_cut(&stage, SIM_KEEP_NONE);
    CHECK(stage_has(&stage, "a", "first"));
    CHECK(stage_has(&stage, "b", NULL));
    CHECK(stage_has(&stage, "c", "third"));
    stage_close(&stage);
}

/* The first half of a record was on the medium, recovery has cut it, and the second half
 * comes with a later write that happens to have the same bytes there. */
TEST(protocol__18_a_torn_record_is_never_completed)
{
    struct stage stage;
    struct log_base at;
    uint8_t half[512];
    stage_open(&stage, 0);
    stage_put(&stage, "a", "first");
    log_position(store_of(&stage)->log, &at);
    uint64_t off = (uint64_t)at.extent_pgno * PAGE_BYTES + at.extent_off + 300;
    struct part *writer = stage_cast(&stage, do_put, "b", "second");
    writer->len = 1000;
    part_until(writer, SIM_DSYNC, SIM_AT_END);
    CHECK(sim_peek(stage.disk, "store", off, half, sizeof half));
    static const uint8_t zeros[sizeof half];
    CHECK(sim_rot(stage.disk, "store", off, zeros, sizeof zeros));
    stage_kill(&stage);
    CHECK(stage_has(&stage, "b", NULL));
    CHECK(sim_rot(stage.disk, "store", off, half, sizeof half));
    stage_kill(&stage);
    CHECK(stage_has(&stage, "b", NULL));
    CHECK(stage_has(&stage, "a", "first"));
    stage_close(&stage);
}

/* ---- 20: what a sync covers, and which superblock counts ---- */

/* The owner of the first record has given the lock away and does not run. */
static void append_unsynced(struct stage *stage, const char *key, const char *value)
{
    struct part *writer = stage_cast(stage, do_put, key, value);
    writer->len = 1500;
    part_until_appended(writer);
    CHECK_EQ(atomic_load(&store_of(stage)->locks.owner[LOCK_APPEND]), 0);
}

TEST(protocol__20_a_sync_covers_what_others_have_appended)
{
    struct stage stage;
    stage_open(&stage, 0);
    append_unsynced(&stage, "a", "first");
    CHECK_OK(part_finish(stage_cast(&stage, do_put, "b", "second")));
    stage_cut(&stage, SIM_KEEP_NONE);
    CHECK(stage_has_long(&stage, "a", "first", 1500));
    CHECK(stage_has(&stage, "b", "second"));
    stage_close(&stage);
}

TEST(protocol__20_a_sync_covers_the_way_into_the_next_extent)
{
    struct stage stage;
    stage_open(&stage, 0);
    stage_put_long(&stage, "long", "long", STAGE_LONG_BYTES);
    CHECK_OK(room_extend(store_of(&stage), false));
    append_unsynced(&stage, "a", "first");
    struct part *writer = stage_cast(&stage, do_put, "b", "second");
    writer->len = STAGE_LONG_BYTES;
    CHECK_OK(part_finish(writer));
    stage_cut(&stage, SIM_KEEP_NONE);
    CHECK(stage_has_long(&stage, "a", "first", 1500));
    CHECK(stage_has_long(&stage, "b", "second", STAGE_LONG_BYTES));
    stage_close(&stage);
}

/* The second record is appended while the sync of the first one is under way. */
TEST(protocol__20_a_sync_counts_for_what_was_appended_before_it_began)
{
    struct stage stage;
    stage_open(&stage, 0);
    stage_put_long(&stage, "long", "long", STAGE_LONG_BYTES);
    CHECK_OK(room_extend(store_of(&stage), false));
    sim_sched_sync_early(stage.sched, true);
    struct part *first = stage_cast(&stage, do_put, "a", "first");
    struct part *second = stage_cast(&stage, do_put, "b", "second");
    first->len = STAGE_LONG_BYTES;
    part_until(first, SIM_SYNC, SIM_AT_SYNC);
    part_blocks(second);
    CHECK_OK(part_finish(first));
    CHECK_OK(part_finish(second));
    stage_cut(&stage, SIM_KEEP_NONE);
    CHECK(stage_has_long(&stage, "a", "first", STAGE_LONG_BYTES));
    CHECK(stage_has(&stage, "b", "second"));
    stage_close(&stage);
}

static bool has_a_to_c(scn_db *db)
{
    return db_has(db, "a", "1") && db_has(db, "b", "2") && db_has(db, "c", "3");
}

/* A superblock lies in the page cache, its sync failed, and the process died.  Who
 * believes it gives pages out that the durable slots still need. */
TEST(protocol__20_a_superblock_that_was_not_synced_is_not_believed)
{
    struct stage stage;
    stage_open(&stage, 0);
    stage_put(&stage, "a", "1");
    for (int i = 0; i < 6; i++) { /* the log of the first generations is used again */
        stage_put_long(&stage, "long", "long", STAGE_LONG_BYTES);
        stage_checkpoint(&stage);
    }
    stage_put(&stage, "b", "2");
    struct part *checkpoint = stage_cast(&stage, do_checkpoint, "checkpoint", NULL);
    part_until_pages(checkpoint, SIM_WRITE, SIM_AT_END, 0, 2);
    stage_fail(&stage, SIM_SYNC, 1, EIO);
    CHECK(part_finish(checkpoint) < 0);
    stage_kill(&stage);
    stage_put(&stage, "c", "3");
    for (int i = 0; i < 3; i++) {
        struct part *next = stage_cast(&stage, do_checkpoint, "next", NULL);
        part_until_pages(next, SIM_WRITE, SIM_AT_END, 0, 2);
        part_until(next, SIM_SYNC, SIM_AT_SYNC);
        stage_each_cut(&stage, has_a_to_c);
        CHECK_OK(part_finish(next));
        stage_put_long(&stage, "long", "longer", STAGE_LONG_BYTES);
    }
    stage_close(&stage);
}

/* The newest generation cannot be read: the older one will do if the log leads on to
 * where the newest began, and only then.  In the second gap the record behind the lost
 * one is lost as well, and with it the last witness in the log that there was one. */
TEST(protocol__20_an_older_generation_needs_a_log_without_a_gap)
{
    for (int has_gap = 0; has_gap < 3; has_gap++) {
        struct stage stage;
        stage_open(&stage, 0);
        stage_put(&stage, "a", "first");
        stage_checkpoint(&stage);
        stage_put(&stage, "b", "second");
        uint64_t record_off = stage_find(&stage, "second");
        uint64_t freeze_off = stage_log_end_off(&stage);
        stage_checkpoint(&stage);
        stage_lose_newest_root(&stage);
        if (has_gap)
            CHECK(sim_rot(stage.disk, "store", record_off, "S", 1));
        if (has_gap == 2)
            CHECK(sim_rot(stage.disk, "store", freeze_off + 8, "S", 1));
        uint64_t hash = sim_hash(stage.disk);
        scn_status st = stage_try_kill(&stage);
        CHECK_EQ(st, has_gap ? SCN_CORRUPT : SCN_OK);
        CHECK(!has_gap || sim_hash(stage.disk) == hash);
        CHECK(has_gap || stage_has(&stage, "b", "second"));
        CHECK(has_gap || stage_has(&stage, "a", "first"));
        stage_close(&stage);
    }
}

/* ---- 21: LSNs ---- */

TEST(protocol__21_the_lsn_of_a_lost_commit_never_means_another)
{
    struct stage stage;
    stage_open(&stage, 0);
    stage_put(&stage, "a", "first");
    struct part *lazy = stage_cast(&stage, do_put, "b", "second");
    lazy->durability = SCN_SYNC_LAZY;
    CHECK_OK(part_finish(lazy));
    uint64_t lsn = lazy->lsn;
    stage_cut(&stage, SIM_KEEP_NONE);
    CHECK(stage_has(&stage, "b", NULL));
    for (int i = 0; i < 5; i++)
        stage_put(&stage, "c", "third");
    CHECK_EQ(scn_wait_durable(stage.db, lsn, -1), SCN_UNKNOWN);
    scn_txn *reader = stage_txn(&stage, SCN_READ);
    CHECK(scn_txn_lsn(reader) > lsn);
    scn_abort(reader);
    stage_close(&stage);
}
