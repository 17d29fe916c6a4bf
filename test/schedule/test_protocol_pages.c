/* The rules of pages, generations and extents, each with the interleaving that breaks a
 * store without it.
 *
 * The number in a test's name is that of the rule in the design's list of protocol rules;
 * test/mutants/protocol has, for each, the engine without the rule. */
#include "test/schedule/rows.h"

#include "engine/room.h"

#include <errno.h>

static bool db_has_rows(scn_db *db, const char *value)
{
    scn_txn *txn;
    CHECK_OK(scn_begin(db, SCN_READ, &txn));
    bool has = txn_has_rows(txn, value);
    scn_abort(txn);
    return has;
}

/* ---- 2, 8: pins ---- */

/* The reader begins while a checkpoint is under way that has looked at the pins before;
 * and while others use up all pages that may be used again. */
TEST(protocol__02_a_snapshot_keeps_its_pages)
{
    struct stage stage;
    stage_open(&stage, 0);
    rows_put(&stage, "old");
    stage_checkpoint(&stage);
    stage_reopen(&stage); /* nothing is in the pool */
    stage_put(&stage, "x", "y");
    struct part *checkpoint = stage_cast(&stage, do_checkpoint, "checkpoint", NULL);
    part_until(checkpoint, SIM_WRITE, SIM_AT_BEGIN);
    scn_txn *reader = stage_txn(&stage, SCN_READ);
    CHECK_OK(part_finish(checkpoint));
    for (int round = 0; round < 5; round++) {
        rows_put(&stage, round % 2 ? "newer" : "new");
        stage_checkpoint(&stage);
    }
    CHECK(txn_has_rows(reader, "old"));
    scn_abort(reader);
    CHECK(db_has_rows(stage.db, "new"));
    stage_close(&stage);
}

/* A snapshot reads a run beside its tree; the run is merged, overwritten and freed. */
TEST(protocol__08_a_snapshot_keeps_the_pages_of_its_runs)
{
    struct stage stage;
    stage_init(&stage, 0);
    stage.options.pool_bytes = 8 * PAGE_BYTES;
    stage_begin(&stage);
    stage_put(&stage, "x", "y");
    stage_checkpoint(&stage);
    stage_put_long(&stage, "bulk", "old", BULK_BYTES);
    CHECK(atomic_load(&store_of(&stage)->run_count) > 0);
    scn_txn *reader = stage_txn(&stage, SCN_READ);
    stage_del(&stage, "bulk");
    for (int round = 0; round < 6; round++) {
        rows_put(&stage, round % 2 ? "newer" : "new");
        stage_checkpoint(&stage);
    }
    CHECK(txn_has_long(reader, "bulk", "old", BULK_BYTES));
    scn_abort(reader);
    stage_check_file(&stage);
    stage_close(&stage);
}

/* ---- 3, 25: space that no generation knows of ---- */

/* The pages of a run are written, and its record is not; checkpoints come and need
 * pages. */
TEST(protocol__03_grown_pages_are_not_given_out_before_their_record)
{
    struct stage stage;
    stage_open(&stage, 0);
    rows_put(&stage, "old");
    struct part *writer = build_run(&stage);
    for (int round = 0; round < 5; round++) {
        rows_put(&stage, round % 2 ? "newer" : "new");
        CHECK_OK(checkpoint_run(store_of(&stage), CHECKPOINT_DRAIN));
    }
    CHECK_OK(part_finish(writer));
    CHECK(stage_has_long(&stage, "bulk", "run", BULK_BYTES));
    stage_cut(&stage, SIM_KEEP_NONE);
    CHECK(stage_has_long(&stage, "bulk", "run", BULK_BYTES));
    CHECK(db_has_rows(stage.db, "new"));
    stage_check_file(&stage);
    stage_close(&stage);
}

/* The checkpoint is durable and the run's record is lost: its pages are free, and not
 * used for ever. */
TEST(protocol__25_pages_of_a_lost_run_are_free_again)
{
    struct stage stage;
    struct space_stat before;
    struct space_stat after;
    stage_open(&stage, 0);
    rows_put(&stage, "old");
    stage_checkpoint(&stage);
    space_stat(store_of(&stage)->space, &before);
    (void)build_run(&stage);
    stage_put(&stage, "x", "y");
    stage_checkpoint(&stage);
    stage_cut(&stage, SIM_KEEP_ALL);
    CHECK(stage_has(&stage, "bulk", NULL));
    CHECK(stage_has(&stage, "x", "y"));
    stage_check_file(&stage); /* tells pages that are used by nobody */
    space_stat(store_of(&stage)->space, &after);
    CHECK(after.used_pages < before.used_pages + BULK_BYTES / PAGE_BYTES);
    stage_close(&stage);
}

/* ---- 10: what a checkpoint may build on ---- */

/* A record is appended and not synced; the checkpoint freezes behind it. */
TEST(protocol__10_a_checkpoint_syncs_what_it_merges)
{
    struct stage stage;
    scn_stats_t stats = {.struct_size = sizeof stats};
    stage_open(&stage, 0);
    stage_put(&stage, "k", "old");
    struct part *writer = stage_cast(&stage, do_put, "k", "new");
    part_until_appended(writer);
    CHECK_EQ(atomic_load(&store_of(&stage)->locks.owner[LOCK_APPEND]), 0);
    struct part *checkpoint = stage_cast(&stage, do_checkpoint, "checkpoint", NULL);
    CHECK_OK(part_finish(checkpoint));
    scn_txn *reader = stage_txn(&stage, SCN_READ);
    CHECK_OK(scn_stats(stage.db, &stats));
    CHECK(scn_txn_lsn(reader) >= stats.base_lsn); /* else it sees more than its LSN */
    CHECK(stats.synced_lsn >= stats.base_lsn);
    scn_abort(reader);
    stage_cut(&stage, SIM_KEEP_NONE);
    CHECK(stage_has(&stage, "k", "new"));
    stage_close(&stage);
}

static bool has_old_or_new(scn_db *db)
{
    return db_has(db, "k", "old") && db_has_rows(db, "old");
}

static void do_extend(struct part *part)
{
    part->st = room_extend(part->stage->db->store, false);
}

static struct part *cast_second_checkpoint(struct stage *stage)
{
    stage_open(stage, 0);
    for (int i = 0; i < 2; i++) {
        stage_put(stage, "k", "old");
        rows_put(stage, "old");
        if (i == 0)
            stage_checkpoint(stage);
    }
    return stage_cast(stage, do_checkpoint, "checkpoint", NULL);
}

/* It leaves the generation before it, on every disk that a power cut may leave. */
static void fail_checkpoint(struct stage *stage, struct part *checkpoint)
{
    uint64_t gen = store_of(stage)->superblock.gen;
    CHECK(part_finish(checkpoint) < 0);
    CHECK_EQ(store_of(stage)->superblock.gen, gen);
    stage_each_cut(stage, has_old_or_new);
    stage_close(stage);
}

/* A commit's sync fails while a checkpoint has begun its own, which then has nothing to
 * do and would succeed. */
TEST(protocol__10_a_poisoned_file_gets_no_superblock)
{
    struct stage stage;
    struct part *checkpoint = cast_second_checkpoint(&stage);
    part_until(checkpoint, SIM_SYNC, SIM_AT_BEGIN);
    stage_fail(&stage, SIM_DSYNC, 1, EIO);
    CHECK_EQ(part_finish(stage_cast(&stage, do_put, "other", "lost")), SCN_UNKNOWN);
    fail_checkpoint(&stage, checkpoint);
}

/* Another sync of the file fails, and who made it is stopped before it can say so.  What
 * a generation is judged by is written afterwards, so it would be believed. */
TEST(protocol__10_a_sync_beside_a_failed_one_gets_no_superblock)
{
    struct stage stage;
    struct part *checkpoint = cast_second_checkpoint(&stage);
    part_until(checkpoint, SIM_FLUSH, SIM_AT_END);
    struct log_spare spares[LOG_SPARE_MAX];
    (void)log_drop_spares(store_of(&stage)->log, 0, 0, spares);
    struct part *extender = stage_cast(&stage, do_extend, "extender", NULL);
    part_until(extender, SIM_SYNC, SIM_AT_BEGIN);
    stage_fail(&stage, SIM_SYNC, 1, EIO);
    part_until(extender, SIM_SYNC, SIM_AT_END);
    part_blocks(checkpoint);
    CHECK_EQ(part_finish(extender), SCN_IO);
    fail_checkpoint(&stage, checkpoint);
}

/* ---- 14: frames of a generation that failed ---- */

/* The checkpoint fails when its pages are in the pool; the next one has the same number
 * and the same pages, with other bytes. */
TEST(protocol__14_frames_of_a_failed_checkpoint_are_not_believed)
{
    struct stage stage;
    stage_open(&stage, 0);
    rows_put(&stage, "old");
    stage_put(&stage, "k", "old");
    stage_checkpoint(&stage);
    uint64_t gen = store_of(&stage)->next_gen;
    stage_put(&stage, "k", "failed");
    stage_put(&stage, "l", "failed");
    stage_fail(&stage, SIM_WRITE, 5, ENOSPC);
    CHECK_EQ(checkpoint_run(store_of(&stage), CHECKPOINT_PLAIN), SCN_FULL);
    sim_fault_clear(stage.sys);
    CHECK_EQ(store_of(&stage)->next_gen, gen);
    stage_put(&stage, "k", "better");
    stage_put(&stage, "l", "better");
    stage_checkpoint(&stage);
    CHECK_EQ(store_of(&stage)->superblock.gen, gen);
    CHECK(stage_has(&stage, "k", "better"));
    CHECK(stage_has(&stage, "l", "better"));
    CHECK(db_has_rows(stage.db, "old"));
    stage_check_file(&stage);
    stage_close(&stage);
}

/* ---- 22, 35: a snapshot that is given up ---- */

static void do_get(struct part *part)
{
    scn_slice value;
    scn_slice key = {part->key, strlen(part->key)};
    part->st = scn_get(part->txn, (scn_table_id)part->count, key, &value);
}

static void do_read_part(struct part *part)
{
    uint8_t bytes[16];
    size_t got;
    scn_slice key = {part->key, strlen(part->key)};
    part->st = scn_read_at(part->txn, (scn_table_id)part->count, key, PAGE_BYTES + 8,
                           bytes, sizeof bytes, &got);
}

static void age_and_reuse(struct stage *stage)
{
    sim_clock_set(stage->disk, sim_clock_ns(stage->disk) + UINT64_C(10000000000));
    for (int round = 0; round < 5; round++) {
        rows_put(stage, round % 2 ? "newer" : "new");
        stage_checkpoint(stage);
    }
}

/* Stops before each of the reader's reads in turn; in the last round before none. */
static void read_past_its_age(void (*fn)(struct part *))
{
    enum sim_outcome outcome = SIM_STOPPED;
    struct sim_stop read = {.step = SIM_READ};
    for (read.nth = 1; outcome == SIM_STOPPED; read.nth++) {
        struct stage stage;
        stage_init(&stage, 0);
        stage.options.max_snapshot_age_ms = 1000;
        stage_begin(&stage);
        rows_put(&stage, "old");
        stage_checkpoint(&stage);
        stage_reopen(&stage);
        struct part *reader = stage_cast(&stage, fn, "c", NULL);
        reader->txn = stage_txn(&stage, SCN_READ);
        reader->count = txn_table(reader->txn, "t");
        outcome = sim_actor_run(reader->actor, &read);
        age_and_reuse(&stage);
        if (outcome == SIM_STOPPED)
            CHECK_EQ(part_finish(reader), SCN_SNAPSHOT_GONE);
        CHECK(outcome == SIM_STOPPED || read.nth > 2);
        scn_slice other = {"d", 1};
        CHECK_EQ(scn_get(reader->txn, (scn_table_id)reader->count, other, NULL),
                 SCN_SNAPSHOT_GONE);
        scn_abort(reader->txn);
        CHECK(db_has_rows(stage.db, "new"));
        stage_close(&stage);
    }
}

/* The reader is between two pages of a value when its snapshot passes its age and the
 * pages are used again. */
TEST(protocol__22_a_reader_past_its_age_gets_no_bytes_of_others)
{
    read_past_its_age(do_get);
}

TEST(protocol__22_a_reader_of_a_part_gets_no_bytes_of_others)
{
    read_past_its_age(do_read_part);
}

/* ---- 24: extents ---- */

/* A checkpoint lists a spare extent for its superblock, and before that is written the
 * log goes on in that extent. */
TEST(protocol__24_a_spare_that_was_linked_is_not_linked_again)
{
    struct stage stage;
    stage_open(&stage, 0);
    stage_put_long(&stage, "a", "first", STAGE_LONG_BYTES);
    CHECK_OK(room_extend(store_of(&stage), false));
    struct part *checkpoint = stage_cast(&stage, do_checkpoint, "checkpoint", NULL);
    part_until(checkpoint, SIM_SYNC, SIM_AT_BEGIN);
    uint32_t spares = log_spare_count(store_of(&stage)->log);
    stage_put_long(&stage, "b", "second", STAGE_LONG_BYTES);
    stage_put_long(&stage, "c", "third", STAGE_LONG_BYTES);
    CHECK(log_spare_count(store_of(&stage)->log) < spares);
    CHECK_OK(part_finish(checkpoint));
    stage_cut(&stage, SIM_KEEP_NONE);
    CHECK(stage_has_long(&stage, "b", "second", STAGE_LONG_BYTES));
    stage_put_long(&stage, "d", "fourth", STAGE_LONG_BYTES);
    stage_put_long(&stage, "e", "fifth", STAGE_LONG_BYTES);
    stage_cut(&stage, SIM_KEEP_NONE);
    CHECK(stage_has_long(&stage, "a", "first", STAGE_LONG_BYTES));
    CHECK(stage_has_long(&stage, "b", "second", STAGE_LONG_BYTES));
    CHECK(stage_has_long(&stage, "c", "third", STAGE_LONG_BYTES));
    CHECK(stage_has_long(&stage, "d", "fourth", STAGE_LONG_BYTES));
    CHECK(stage_has_long(&stage, "e", "fifth", STAGE_LONG_BYTES));
    stage_check_file(&stage);
    stage_close(&stage);
}

/* ---- 30: cutting the tail ---- */

static bool has_superblock(void *ctx)
{
    struct stage *stage = ctx;
    return atomic_load(&store_of(stage)->locks.owner[LOCK_SYNC]) == 0;
}

/* A checkpoint is about to cut the end of the file off, and a run grows there. */
TEST(protocol__30_a_tail_that_somebody_grew_is_not_cut)
{
    struct stage stage;
    stage_open(&stage, 0);
    stage_put_long(&stage, "bulk", "gone", BULK_BYTES);
    stage_checkpoint(&stage);
    stage_del(&stage, "bulk");
    stage_checkpoint(&stage);
    stage_put(&stage, "x", "y");
    stage_checkpoint(&stage);
    stage_put(&stage, "x", "z");
    struct part *checkpoint = stage_cast(&stage, do_checkpoint, "checkpoint", NULL);
    part_until_pages(checkpoint, SIM_WRITE, SIM_AT_END, 0, 2);
    part_until_holds(checkpoint, SIM_MUTEX_UNLOCK, SIM_AT_END, has_superblock, &stage);
    struct part *writer = build_run(&stage);
    CHECK_OK(part_finish(checkpoint));
    CHECK_OK(part_finish(writer));
    CHECK(stage_has_long(&stage, "bulk", "run", BULK_BYTES));
    stage_cut(&stage, SIM_KEEP_NONE);
    CHECK(stage_has_long(&stage, "bulk", "run", BULK_BYTES));
    CHECK(stage_has(&stage, "x", "z"));
    stage_check_file(&stage);
    stage_close(&stage);
}

/* ---- 31: a full file ---- */

static scn_status put_until_full(struct stage *stage, int *count)
{
    scn_status st = SCN_OK;
    for (*count = 0; st == SCN_OK && *count < 5000; ++*count) {
        char key[32];
        scn_txn *txn = stage_txn(stage, SCN_WRITE);
        snprintf(key, sizeof key, "row-%d", *count);
        st = txn_put_long(txn, key, "full", VALUE_BYTES);
        if (st == SCN_OK)
            st = scn_commit(txn);
        else
            scn_abort(txn);
    }
    --*count;
    return st;
}

static void fill_and_empty(struct stage *stage)
{
    int count;
    for (int round = 0; round < 3; round++) {
        CHECK_EQ(put_until_full(stage, &count), SCN_FULL);
        CHECK(count > 2);
        CHECK(!file_is_poisoned(&store_of(stage)->file));
        CHECK_OK(checkpoint_run(store_of(stage), CHECKPOINT_PLAIN));
        for (int i = 0; i < count; i++) {
            char key[32];
            snprintf(key, sizeof key, "row-%d", i);
            stage_del(stage, key);
        }
        CHECK_OK(checkpoint_run(store_of(stage), CHECKPOINT_DRAIN));
    }
    stage_check_file(stage);
}

/* What was acknowledged, a checkpoint can always merge; and deletions make room. */
TEST(protocol__31_a_full_file_takes_no_commit_that_it_cannot_merge)
{
    struct stage stage;
    stage_init(&stage, 0);
    stage.options.max_file_bytes = UINT64_C(150) * PAGE_BYTES;
    stage_begin(&stage);
    fill_and_empty(&stage);
    stage_close(&stage);
}

TEST(protocol__31_a_full_disk_is_no_poison)
{
    struct stage stage;
    stage_init(&stage, 0);
    stage_begin(&stage);
    sim_disk_set_capacity(stage.disk, UINT64_C(150) * PAGE_BYTES);
    stage_reopen(&stage);
    fill_and_empty(&stage);
    /* Somebody else takes the rest of the disk. */
    uint64_t pages = atomic_load(&store_of(&stage)->file.page_count);
    sim_disk_set_capacity(stage.disk, pages * PAGE_BYTES);
    struct part *bulk = stage_cast(&stage, do_put, "bulk", "x");
    bulk->len = BULK_BYTES;
    CHECK_EQ(part_finish(bulk), SCN_FULL);
    CHECK(!file_is_poisoned(&store_of(&stage)->file));
    sim_disk_set_capacity(stage.disk, UINT64_C(150) * PAGE_BYTES);
    stage_put(&stage, "after", "all");
    stage_close(&stage);
}
