/* The rules of several processes, each with the interleaving that breaks a store without
 * it: one process is stopped somewhere, or dies there, and others go on.
 *
 * The number in a test's name is that of the rule in the design's list of protocol rules;
 * test/mutants/protocol has, for each, the engine without the rule. */
#include "test/schedule/pair.h"
#include "test/schedule/rows.h"

#include "engine/room.h"
#include "page/lock.h"
#include "page/publish.h"

#include <errno.h>

/* Checkpoints that use up whatever may be used again. */
static void churn(struct stage *stage, int rounds)
{
    for (int round = 0; round < rounds; round++) {
        rows_put(stage, round % 2 ? "newer" : "new");
        stage_checkpoint(stage);
    }
}

/* ---- 1: the publish page ---- */

/* A checkpoint has read the page and is about to tell its generation; meanwhile another
 * process commits. */
TEST(protocol__01_a_checkpoint_takes_no_commit_back)
{
    struct pair pair;
    struct stage third;
    pair_open(&pair);
    stage_put(&pair.a, "k", "old");
    struct part *checkpoint = stage_cast(&pair.a, do_checkpoint, "checkpoint", NULL);
    part_until_line(checkpoint, PUBLISH_CHECKPOINT, SIM_AT_BEGIN);
    struct part *reader = stage_cast(&pair.b, do_read, "k", "old");
    CHECK_OK(part_finish(reader));
    CHECK_OK(part_finish(checkpoint));
    stage_put(&pair.b, "k", "new");
    checkpoint = stage_cast(&pair.a, do_checkpoint, "checkpoint", NULL);
    part_until_line(checkpoint, PUBLISH_CHECKPOINT, SIM_AT_BEGIN);
    /* The record was appended, and only its sync is missing. */
    CHECK_OK(part_finish(checkpoint));
    struct part *writer = stage_cast(&pair.b, do_put, "k", "newest");
    part_until_line(writer, PUBLISH_SYNC, SIM_AT_BEGIN);
    stage_checkpoint(&pair.a);
    CHECK_OK(part_finish(writer));
    stage_join(&third, &pair.a, 0);
    CHECK(stage_has(&third, "k", "newest"));
    CHECK(stage_has(&pair.a, "k", "newest"));
    stage_close(&third);
    pair_close(&pair);
}

/* ---- 2, 8: pins ---- */

/* The pages of a snapshot of another process. */
TEST(protocol__02_a_snapshot_of_another_process_keeps_its_pages)
{
    struct pair pair;
    pair_open(&pair);
    rows_put(&pair.a, "old");
    stage_checkpoint(&pair.a);
    scn_txn *reader = stage_txn(&pair.b, SCN_READ);
    churn(&pair.a, 5);
    CHECK(txn_has_rows(reader, "old"));
    scn_abort(reader);
    pair_close(&pair);
}

/* It has looked up the newest generation and is about to pin it: others make new ones,
 * and use the pages of that one again. */
TEST(protocol__02_a_pin_counts_only_for_the_newest_generation)
{
    struct pair pair;
    pair_open(&pair);
    rows_put(&pair.a, "old");
    stage_checkpoint(&pair.a); /* the other process has not met it */
    struct part *reader = stage_cast(&pair.b, do_read, "x", "y");
    part_until_lock(reader, LOCK_PIN_BASE, UINT64_C(1) << 48, SIM_AT_BEGIN);
    churn(&pair.a, 5);
    stage_put(&pair.a, "x", "y");
    CHECK(part_finish(reader) >= 0);
    stage_speak(&pair.b);
    scn_txn *txn = stage_txn(&pair.b, SCN_READ);
    CHECK(txn_has_rows(txn, "new"));
    scn_abort(txn);
    CHECK_OK(part_finish(stage_cast(&pair.b, do_read, "x", "y")));
    pair_close(&pair);
}

/* All who write have gone; who comes recovers the file, though readers have it. */
TEST(protocol__02_a_snapshot_of_a_reader_outlives_a_session)
{
    struct pair pair;
    stage_open(&pair.a, 0);
    rows_put(&pair.a, "old");
    stage_checkpoint(&pair.a);
    stage_come(&pair.b, &pair.a, SCN_RDONLY);
    pair.b.options.pool_bytes = 8 * PAGE_BYTES;
    CHECK_OK(stage_try_open(&pair.b));
    scn_txn *reader = stage_txn(&pair.b, SCN_READ);
    churn(&pair.a, 4);
    stage_reopen(&pair.a);
    churn(&pair.a, 4);
    CHECK(txn_has_rows(reader, "old"));
    scn_abort(reader);
    pair_close(&pair);
}

/* The tree is pinned, and a run that is younger comes from another process. */
TEST(protocol__08_a_run_of_another_process_keeps_its_pages)
{
    struct pair pair;
    stage_open(&pair.a, 0);
    stage_come(&pair.b, &pair.a, 0);
    pair.b.options.pool_bytes = 8 * PAGE_BYTES;
    CHECK_OK(stage_try_open(&pair.b));
    CHECK(stage_has(&pair.b, "bulk", NULL)); /* stands on the first generation */
    stage_put(&pair.a, "x", "y");
    stage_checkpoint(&pair.a);
    stage_put_long(&pair.a, "bulk", "old", BULK_BYTES);
    scn_txn *reader = stage_txn(&pair.b, SCN_READ);
    stage_del(&pair.a, "bulk");
    churn(&pair.a, 6);
    CHECK(txn_has_long(reader, "bulk", "old", BULK_BYTES));
    scn_abort(reader);
    stage_check_file(&pair.b);
    pair_close(&pair);
}

/* ---- 3, 30: pages that only their owner knows ---- */

TEST(protocol__03_pages_that_another_process_grows_are_not_given_out)
{
    struct pair pair;
    pair_open(&pair);
    rows_put(&pair.a, "old");
    struct part *writer = build_run(&pair.b);
    for (int i = 0; i < 4; i++) {
        churn(&pair.a, 1);
        stage_speak(&pair.b); /* it follows, else it would conflict */
        CHECK_OK(scn_tick(pair.b.db, 1));
    }
    CHECK_OK(part_finish(writer));
    CHECK(stage_has_long(&pair.a, "bulk", "run", BULK_BYTES));
    CHECK(stage_has_long(&pair.b, "bulk", "run", BULK_BYTES));
    stage_check_file(&pair.a);
    pair_close(&pair);
}

/* Who was growing it dies: nobody else has to do anything for the pages to be free. */
TEST(protocol__03_pages_that_a_dead_process_grew_are_free)
{
    struct pair pair;
    pair_open(&pair);
    stage_put(&pair.a, "x", "y");
    (void)build_run(&pair.b);
    uint64_t grown = 0;
    uint64_t size = 0;
    CHECK(sim_file_size(pair.a.disk, "store", &grown));
    stage_leave(&pair.b);
    for (int i = 0; i < 3; i++) {
        stage_put(&pair.a, "x", i % 2 ? "y" : "z");
        stage_checkpoint(&pair.a);
    }
    CHECK(sim_file_size(pair.a.disk, "store", &size));
    CHECK(size < grown);
    stage_check_file(&pair.a);
    stage_close(&pair.a);
}

TEST(protocol__30_a_tail_that_another_process_grew_is_not_cut)
{
    struct pair pair;
    pair_open(&pair);
    stage_put_long(&pair.a, "bulk", "gone", BULK_BYTES);
    stage_checkpoint(&pair.a);
    stage_del(&pair.a, "bulk");
    stage_checkpoint(&pair.a);
    stage_put(&pair.a, "x", "y");
    stage_checkpoint(&pair.a);
    stage_put(&pair.a, "x", "z");
    struct part *checkpoint = stage_cast(&pair.a, do_checkpoint, "checkpoint", NULL);
    part_until_pages(checkpoint, SIM_WRITE, SIM_AT_END, 0, 2);
    struct part *writer = build_run(&pair.b);
    CHECK_OK(part_finish(checkpoint));
    CHECK_OK(part_finish(writer));
    CHECK(stage_has_long(&pair.a, "bulk", "run", BULK_BYTES));
    stage_check_file(&pair.a);
    pair_close(&pair);
}

/* ---- 5, 9, 16: a commit whose owner is gone ---- */

static void append_and_die(struct stage *stage, const char *key, const char *value)
{
    CHECK(stage_has(stage, "none", NULL)); /* it has followed */
    part_until_appended(stage_cast(stage, do_put, key, value));
    stage_leave(stage);
}

/* The sync failed, the process died before it could tell, and the pages are clean. */
TEST(protocol__05_a_sync_that_failed_unnoticed_is_made_good)
{
    struct pair pair;
    pair_open(&pair);
    stage_put(&pair.a, "a", "0");
    struct part *writer = stage_cast(&pair.b, do_put, "b", "1");
    stage_fail(&pair.b, SIM_DSYNC, 1, EIO);
    part_until(writer, SIM_DSYNC, SIM_AT_END);
    stage_leave(&pair.b);
    stage_put(&pair.a, "c", "2");
    stage_cut(&pair.a, SIM_KEEP_NONE);
    CHECK(stage_has(&pair.a, "c", "2"));
    CHECK(stage_has(&pair.a, "b", "1"));
    stage_close(&pair.a);
}

/* Whoever could see the lazy commit would see the full one before it, too. */
TEST(protocol__09_a_lazy_commit_waits_for_a_full_one_of_a_dead_process)
{
    struct pair pair;
    pair_open(&pair);
    stage_put(&pair.a, "x", "y");
    append_and_die(&pair.b, "full", "1");
    struct part *lazy = stage_cast(&pair.a, do_put, "lazy", "2");
    lazy->durability = SCN_SYNC_LAZY;
    CHECK_OK(part_finish(lazy));
    CHECK(stage_has(&pair.a, "lazy", "2"));
    CHECK(stage_has(&pair.a, "full", "1"));
    stage_cut(&pair.a, SIM_KEEP_NONE);
    CHECK(stage_has(&pair.a, "full", "1"));
    stage_close(&pair.a);
}

/* What one process has shown to its user, no later snapshot of another lacks. */
TEST(protocol__09_a_lazy_commit_is_seen_by_others_at_once)
{
    struct pair pair;
    pair_open(&pair);
    stage_put(&pair.a, "x", "y");
    struct part *lazy = stage_cast(&pair.a, do_put, "lazy", "1");
    lazy->durability = SCN_SYNC_LAZY;
    CHECK_OK(part_finish(lazy));
    CHECK(stage_has(&pair.b, "lazy", "1"));
    stage_leave(&pair.a);
    pair.a.sys = NULL;
    CHECK(stage_has(&pair.b, "lazy", "1"));
    CHECK_OK(stage_try_open(&pair.a));
    CHECK(stage_has(&pair.a, "lazy", "1"));
    pair_close(&pair);
}

TEST(protocol__16_an_update_gets_past_a_commit_of_a_dead_process)
{
    struct pair pair;
    pair_open(&pair);
    stage_put(&pair.a, "k", "0");
    append_and_die(&pair.b, "k", "1");
    struct part *update = stage_cast(&pair.a, do_update, "k", "2");
    CHECK_OK(part_finish(update));
    CHECK(update->count <= 3);
    CHECK(stage_has(&pair.a, "k", "2"));
    stage_close(&pair.a);
}

/* The same by who runs his transaction again himself. */
TEST(protocol__16_a_transaction_that_is_run_again_gets_past_a_dead_process)
{
    struct pair pair;
    pair_open(&pair);
    stage_put(&pair.a, "k", "0");
    append_and_die(&pair.b, "k", "1");
    for (int tries = 0;; tries++) {
        scn_txn *txn = stage_txn(&pair.a, SCN_WRITE);
        bool is_old = txn_has(txn, "k", "0");
        CHECK_OK(txn_put(txn, "k", "2", 0));
        scn_status st = scn_commit(txn);
        if (st == SCN_OK)
            break;
        CHECK_EQ(st, SCN_CONFLICT);
        CHECK(is_old);
        CHECK(tries < 1);
    }
    CHECK(stage_has(&pair.a, "k", "2"));
    stage_close(&pair.a);
}

/* ---- 18: the owner of APPEND dies ---- */

static void die_in_record(struct stage *stage, uint64_t len)
{
    struct sim_fault fault = {.kind = SIM_KILL, .call = SIM_WRITE, .nth = 1, .len = len};
    struct part *writer = stage_cast(stage, do_put, "b", "second");
    writer->len = 1500;
    sim_fault_set(stage->sys, &fault);
    CHECK_EQ(part_finish(writer), SCN_INTERRUPTED);
    stage_leave(stage);
}

TEST(protocol__18_half_a_record_of_a_dead_process_is_overwritten)
{
    struct pair pair;
    struct stage third;
    pair_open(&pair);
    stage_join(&third, &pair.a, 0);
    stage_put(&pair.a, "a", "first");
    die_in_record(&pair.b, 700);
    CHECK(stage_has(&pair.a, "b", NULL));
    stage_put(&pair.a, "c", "third");
    CHECK(stage_has(&third, "c", "third"));
    CHECK(stage_has(&third, "b", NULL));
    stage_put(&third, "d", "fourth");
    CHECK(stage_has(&pair.a, "d", "fourth"));
    stage_close(&third);
    stage_cut(&pair.a, SIM_KEEP_NONE);
    CHECK(stage_has(&pair.a, "a", "first"));
    CHECK(stage_has(&pair.a, "b", NULL));
    CHECK(stage_has(&pair.a, "c", "third"));
    stage_close(&pair.a);
}

/* All of the record is there, and the line is not written: nobody reads it before it is
 * adopted. */
TEST(protocol__18_a_record_of_a_dead_process_is_adopted)
{
    struct pair pair;
    struct stage third;
    pair_open(&pair);
    stage_join(&third, &pair.a, 0);
    stage_put(&pair.a, "a", "first");
    die_in_record(&pair.b, UINT64_MAX);
    CHECK(stage_has(&third, "b", NULL));
    stage_put(&pair.a, "c", "third");
    CHECK(stage_has_long(&pair.a, "b", "second", 1500));
    CHECK(stage_has(&third, "c", "third"));
    CHECK(stage_has_long(&third, "b", "second", 1500));
    stage_close(&third);
    stage_cut(&pair.a, SIM_KEEP_NONE);
    CHECK(stage_has_long(&pair.a, "b", "second", 1500));
    CHECK(stage_has(&pair.a, "c", "third"));
    stage_close(&pair.a);
}

/* The writer has grown the file, and has led the log there. */
TEST(protocol__18_an_extent_that_a_dead_process_linked_is_adopted)
{
    struct pair pair;
    pair_open(&pair);
    stage_put_long(&pair.a, "a", "first", STAGE_LONG_BYTES);
    stage_speak(&pair.b);
    CHECK_OK(room_extend(store_of(&pair.b), false));
    struct part *writer = stage_cast(&pair.b, do_put, "b", "second");
    writer->len = STAGE_LONG_BYTES;
    part_until_line(writer, PUBLISH_APPEND, SIM_AT_BEGIN);
    stage_leave(&pair.b);
    stage_put(&pair.a, "c", "third");
    stage_checkpoint(&pair.a);
    stage_put(&pair.a, "d", "fourth");
    CHECK(stage_has_long(&pair.a, "b", "second", STAGE_LONG_BYTES));
    stage_check_file(&pair.a);
    stage_kill(&pair.a);
    CHECK(stage_has_long(&pair.a, "b", "second", STAGE_LONG_BYTES));
    CHECK(stage_has(&pair.a, "c", "third"));
    CHECK(stage_has(&pair.a, "d", "fourth"));
    stage_close(&pair.a);
}

/* ---- 19: coming ---- */

/* Two wait for who recovers the file, and he dies. */
TEST(protocol__19_who_dies_in_recovery_leaves_it_to_the_next)
{
    struct stage a;
    struct stage b;
    struct stage c;
    struct stage d;
    stage_open(&a, 0);
    stage_put(&a, "k", "v");
    die_in_record(&a, 700);
    stage_come(&b, &a, 0);
    stage_come(&c, &a, 0);
    stage_come(&d, &a, 0);
    struct part *dead = stage_cast(&b, do_open, "the first", NULL);
    part_until_line(dead, PUBLISH_SESSION, SIM_AT_BEGIN);
    struct part *second = stage_cast(&c, do_open, "the second", NULL);
    struct part *third = stage_cast(&d, do_open, "the third", NULL);
    part_blocks(second);
    part_blocks(third);
    stage_leave(&b);
    CHECK_OK(part_await(second));
    CHECK_OK(part_await(third));
    stage_put(&c, "k", "new");
    CHECK(stage_has(&d, "k", "new"));
    CHECK(stage_has(&d, "b", NULL));
    stage_close(&c);
    stage_close(&d);
    stage_close(&a);
}

/* A reader has the file, which nobody has recovered. */
TEST(protocol__19_readers_keep_nobody_from_recovering)
{
    struct pair pair;
    stage_open(&pair.a, 0);
    stage_put(&pair.a, "k", "v");
    stage_checkpoint(&pair.a);
    stage_put(&pair.a, "k", "w");
    stage_cut(&pair.a, SIM_KEEP_NONE);
    stage_put(&pair.a, "k", "x");
    stage_leave(&pair.a);
    stage_come(&pair.b, &pair.a, SCN_RDONLY);
    CHECK_OK(stage_try_open(&pair.b));
    CHECK(stage_has(&pair.b, "k", "x"));
    uint64_t session = file_session(&store_of(&pair.b)->file);
    CHECK_OK(stage_try_open(&pair.a));
    CHECK(file_session(&store_of(&pair.a)->file) != session);
    stage_put(&pair.a, "k", "y");
    CHECK(stage_has(&pair.b, "k", "y"));
    pair_close(&pair);
}

/* Who comes has looked at the file, and before it gets the lock others have grown it,
 * made a checkpoint, and gone. */
TEST(protocol__19_who_was_slow_to_open_looks_at_the_file_again)
{
    struct pair pair;
    stage_open(&pair.a, 0);
    stage_come(&pair.b, &pair.a, 0);
    struct part *opener = stage_cast(&pair.b, do_open, "opener", NULL);
    part_until(opener, SIM_LOCK, SIM_AT_BEGIN);
    churn(&pair.a, 3);
    CHECK_OK(part_finish(stage_cast(&pair.a, do_close, "the other", NULL)));
    CHECK_OK(part_finish(opener));
    churn(&pair.b, 2);
    stage_check_file(&pair.b);
    pair_close(&pair);
}

/* The reader knows the last session; who opens is between the lines of the next. */
TEST(protocol__19_a_reader_goes_on_while_a_session_is_begun)
{
    struct stage a;
    struct stage b;
    struct stage reader;
    stage_open(&a, 0);
    stage_come(&reader, &a, SCN_RDONLY);
    CHECK_OK(stage_try_open(&reader));
    stage_put(&a, "k", "old");
    CHECK(stage_has(&reader, "k", "old"));
    stage_put(&a, "k", "new");
    stage_leave(&a);
    stage_come(&b, &a, 0);
    struct part *opener = stage_cast(&b, do_open, "opener", NULL);
    part_until_line(opener, PUBLISH_SESSION, SIM_AT_BEGIN);
    CHECK(stage_has(&reader, "k", "new"));
    stage_leave(&b); /* he never gets there */
    CHECK(stage_has(&reader, "k", "new"));
    stage_close(&reader);
    stage_close(&a);
}

static bool has_started_anew(void *ctx)
{
    struct store *store = ctx;
    return atomic_load(&store->has_gap) && atomic_load(&store->pinned_gen) != 0;
}

/* Two threads of a reader meet a new session: one has looked at the page before it began,
 * the other has started anew, and has not followed the log yet. */
TEST(protocol__19_no_snapshot_begins_before_a_new_session_is_followed)
{
    struct stage a;
    struct stage reader;
    stage_open(&a, 0);
    stage_come(&reader, &a, SCN_RDONLY);
    CHECK_OK(stage_try_open(&reader));
    stage_put(&a, "k", "new");
    CHECK(stage_has(&reader, "k", "new"));
    struct part *slow = stage_cast(&reader, do_read, "k", "new");
    part_until(slow, SIM_READ, SIM_AT_END);
    part_until(slow, SIM_MUTEX_LOCK, SIM_AT_END); /* it compares what it has read */
    part_until(slow, SIM_MUTEX_LOCK, SIM_AT_BEGIN); /* its snapshot is next */
    stage_leave(&a);
    CHECK_OK(stage_try_open(&a));
    struct part *first = stage_cast(&reader, do_read, "k", "new");
    part_until_holds(first, SIM_READ, SIM_AT_BEGIN, has_started_anew, store_of(&reader));
    part_blocks(slow);
    CHECK_OK(part_finish(first));
    CHECK_OK(part_finish(slow));
    stage_close(&reader);
    stage_close(&a);
}

/* ---- 20: the owner of CHECKPOINT dies ---- */

static bool has_y_and_z(scn_db *db)
{
    return db_has(db, "y", "2") && db_has(db, "z", "3");
}

/* A superblock is in the page cache, and its owner dies in the sync.  What it frees, the
 * durable ones still need: their log. */
TEST(protocol__20_a_superblock_of_a_dead_process_is_synced_before_it_counts)
{
    struct pair pair;
    stage_open(&pair.a, 0);
    stage_come(&pair.b, &pair.a, 0);
    /* More than the other one keeps as spares: what is freed becomes pages of trees. */
    pair.b.options.log_bytes = UINT64_C(16) * LOG_EXTENT_PAGES * PAGE_BYTES;
    CHECK_OK(stage_try_open(&pair.b));
    for (int i = 0; i < 6; i++) {
        stage_put_long(&pair.b, "long", "long", STAGE_LONG_BYTES);
        stage_checkpoint(&pair.b);
    }
    stage_put(&pair.b, "y", "2");
    for (int i = 0; i < 12; i++)
        stage_put_long(&pair.b, "long", "longer", STAGE_LONG_BYTES);
    struct part *checkpoint = stage_cast(&pair.b, do_checkpoint, "checkpoint", NULL);
    part_until_pages(checkpoint, SIM_WRITE, SIM_AT_END, 0, 2);
    stage_leave(&pair.b);
    stage_put(&pair.a, "z", "3");
    for (int i = 0; i < 3; i++) {
        rows_put(&pair.a, i % 2 ? "newer" : "new");
        struct part *next = stage_cast(&pair.a, do_drain, "next", NULL);
        part_until_pages(next, SIM_WRITE, SIM_AT_BEGIN, 0, 2);
        stage_each_cut(&pair.a, has_y_and_z);
        CHECK_OK(part_finish(next));
    }
    stage_close(&pair.a);
}

/* It was durable, and he died before he could say so. */
TEST(protocol__20_a_generation_of_a_dead_process_is_gone_on_from)
{
    struct pair pair;
    pair_open(&pair);
    rows_put(&pair.a, "old");
    struct part *checkpoint = stage_cast(&pair.b, do_checkpoint, "checkpoint", NULL);
    part_until_line(checkpoint, PUBLISH_CHECKPOINT, SIM_AT_BEGIN);
    uint64_t gen = store_of(&pair.b)->superblock.gen;
    stage_leave(&pair.b);
    scn_txn *reader = stage_txn(&pair.a, SCN_READ);
    stage_checkpoint(&pair.a);
    CHECK_EQ(store_of(&pair.a)->superblock.gen, gen);
    stage_put(&pair.a, "x", "y");
    stage_checkpoint(&pair.a);
    CHECK(store_of(&pair.a)->superblock.gen > gen);
    churn(&pair.a, 3);
    CHECK(txn_has_rows(reader, "old"));
    scn_abort(reader);
    stage_check_file(&pair.a);
    stage_close(&pair.a);
}

/* ---- 23, 24: room in the log ---- */

/* The checkpoint that would make room is stopped: who waits for it holds nothing, so it
 * can go on, and others can. */
TEST(protocol__23_who_waits_for_room_holds_up_no_other_process)
{
    struct pair pair;
    pair_open(&pair);
    stage_put(&pair.a, "x", "y");
    struct part *checkpoint = stage_cast(&pair.a, do_checkpoint, "checkpoint", NULL);
    part_until(checkpoint, SIM_SYNC, SIM_AT_BEGIN);
    struct part *writer;
    int count = 0;
    do {
        writer = stage_cast(&pair.b, do_put, "long", "long");
        writer->len = STAGE_LONG_BYTES;
    } while (sim_actor_run(writer->actor, NULL) == SIM_ENDED && ++count < 20);
    CHECK(count < 20);
    stage_finish(&pair.a);
    CHECK_OK(checkpoint->st);
    CHECK_OK(writer->st);
    pair_close(&pair);
}

/* Both know of the same spares, and link them in turn. */
TEST(protocol__24_two_processes_link_no_spare_twice)
{
    struct pair pair;
    pair_open(&pair);
    for (int i = 0; i < 4; i++) {
        stage_put_long(&pair.a, "long", "long", STAGE_LONG_BYTES);
        stage_checkpoint(&pair.a);
    }
    stage_speak(&pair.a);
    CHECK_OK(room_extend(store_of(&pair.a), false));
    stage_put(&pair.a, "x", "y");
    stage_checkpoint(&pair.a);
    CHECK(stage_has_long(&pair.b, "long", "long", STAGE_LONG_BYTES));
    stage_speak(&pair.b);
    CHECK(log_spare_count(store_of(&pair.b)->log) > 0);
    stage_put_long(&pair.a, "a", "1", STAGE_LONG_BYTES);
    stage_put_long(&pair.b, "b", "2", STAGE_LONG_BYTES);
    stage_put_long(&pair.a, "c", "3", STAGE_LONG_BYTES);
    stage_put_long(&pair.b, "d", "4", STAGE_LONG_BYTES);
    stage_close(&pair.b);
    stage_cut(&pair.a, SIM_KEEP_NONE);
    CHECK(stage_has_long(&pair.a, "a", "1", STAGE_LONG_BYTES));
    CHECK(stage_has_long(&pair.a, "b", "2", STAGE_LONG_BYTES));
    CHECK(stage_has_long(&pair.a, "c", "3", STAGE_LONG_BYTES));
    CHECK(stage_has_long(&pair.a, "d", "4", STAGE_LONG_BYTES));
    stage_check_file(&pair.a);
    stage_close(&pair.a);
}

/* ---- 7, 29: following over checkpoints ---- */

static void lap(struct stage *stage, const char *value)
{
    for (int i = 0; i < 4; i++) {
        stage_put_long(stage, "long", value, STAGE_LONG_BYTES);
        stage_checkpoint(stage);
    }
}

/* It reads a record of an extent that is used again, and cut off, meanwhile; twice. */
TEST(protocol__29_a_follower_that_is_lapped_starts_anew)
{
    struct pair pair;
    pair_open(&pair);
    for (uint64_t nth = 0; nth < 12; nth++) {
        stage_put_long(&pair.a, "long", "old", STAGE_LONG_BYTES);
        stage_put(&pair.a, "k", "v");
        struct part *reader = stage_cast(&pair.b, do_read, "long", "other");
        struct sim_stop stop = {.step = SIM_READ, .nth = nth, .when = SIM_AT_BEGIN};
        if (sim_actor_run(reader->actor, &stop) == SIM_STOPPED) {
            lap(&pair.a, "new");
            stop.nth = 1;
            if (sim_actor_run(reader->actor, &stop) == SIM_STOPPED) {
                lap(&pair.a, "newer");
                stage_speak(&pair.a);
                CHECK_OK(checkpoint_run(store_of(&pair.a), CHECKPOINT_DRAIN));
            }
        }
        CHECK_EQ(part_await(reader), SCN_NOTFOUND); /* another value, and no error */
        CHECK(stage_has(&pair.b, "k", "v"));
    }
    stage_check_file(&pair.b);
    pair_close(&pair);
}

/* The log lay at the end of the file, and a follower is about to read it there: the file
 * is shorter now. */
static uint64_t drained_bytes(struct stage *stage)
{
    uint64_t size = 0;
    for (int i = 0; i < ROWS; i++)
        stage_del(stage, rows_key(i));
    stage_speak(stage);
    CHECK_OK(scn_checkpoint(stage->db));
    CHECK(sim_file_size(stage->disk, "store", &size));
    return size;
}

/* Both have followed it. */
static void put_log_at_the_end(struct pair *pair)
{
    for (int i = 0; i < ROWS; i++)
        stage_put_long(&pair->a, rows_key(i), "old", BULK_BYTES);
    for (int i = 0; i < 3; i++)
        stage_put_long(&pair->a, "long", "long", STAGE_LONG_BYTES);
    CHECK(stage_has_long(&pair->b, "long", "long", STAGE_LONG_BYTES));
}

TEST(protocol__29_a_follower_reads_behind_the_end_of_a_file_that_was_cut)
{
    struct pair pair;
    struct log_base at;
    pair_open(&pair);
    put_log_at_the_end(&pair);
    log_position(store_of(&pair.b)->log, &at);
    stage_put(&pair.a, "k", "v");
    struct part *reader = stage_cast(&pair.b, do_read, "k", "v");
    part_until_pages(reader, SIM_READ, SIM_AT_BEGIN, at.extent_pgno,
                     at.extent_pgno + at.extent_pages);
    uint64_t size = drained_bytes(&pair.a);
    CHECK(!PAGE_IS_SMALL || size <= (uint64_t)at.extent_pgno * PAGE_BYTES);
    CHECK_OK(part_finish(reader));
    pair_close(&pair);
}

/* For a transaction that is open it would go on from where it has read last, if that were
 * still there. */
TEST(protocol__29_a_follower_with_a_writer_reads_behind_the_end_of_a_file_that_was_cut)
{
    struct pair pair;
    struct log_base at;
    pair_open(&pair);
    put_log_at_the_end(&pair);
    log_position(store_of(&pair.b)->log, &at);
    scn_txn *txn = stage_txn(&pair.b, SCN_WRITE);
    CHECK(txn_has(txn, "k", NULL));
    CHECK_OK(txn_put(txn, "j", "1", 0));
    stage_put(&pair.a, "k", "v");
    uint64_t size = drained_bytes(&pair.a);
    CHECK(!PAGE_IS_SMALL || size <= (uint64_t)at.extent_pgno * PAGE_BYTES);
    CHECK(stage_has(&pair.b, "k", "v"));
    stage_speak(&pair.b);
    CHECK_EQ(scn_commit(txn), SCN_CONFLICT);
    pair_close(&pair);
}

/* It has pinned the newest generation, and is about to follow the log from its base; then
 * there are many newer ones, and the file ends before that. */
TEST(protocol__29_a_follower_whose_base_was_cut_off_looks_again)
{
    struct pair pair;
    pair_open(&pair);
    put_log_at_the_end(&pair);
    stage_put(&pair.a, "k", "v");
    stage_checkpoint(&pair.a);
    uint32_t base_pgno = store_of(&pair.a)->superblock.base.extent_pgno;
    struct part *reader = stage_cast(&pair.b, do_read, "k", "v");
    part_until_lock(reader, LOCK_PIN_BASE, UINT64_C(1) << 48, SIM_AT_END);
    part_until(reader, SIM_STAT, SIM_AT_END);   /* the superblock is there */
    part_until(reader, SIM_STAT, SIM_AT_BEGIN); /* and it is the newest */
    stage_put(&pair.a, "x", "y");
    stage_checkpoint(&pair.a); /* it begins in the same extent, and that is not pinned */
    uint64_t size = drained_bytes(&pair.a);
    CHECK(!PAGE_IS_SMALL || size <= (uint64_t)base_pgno * PAGE_BYTES);
    CHECK_OK(part_finish(reader));
    pair_close(&pair);
}

/* What was committed while it slept may be gone from the log: it cannot tell whom it
 * meets, and conflicts. */
TEST(protocol__07_a_writer_that_was_lapped_conflicts)
{
    struct pair pair;
    pair_open(&pair);
    stage_put(&pair.a, "k", "0");
    scn_txn *txn = stage_txn(&pair.b, SCN_WRITE);
    CHECK(txn_has(txn, "k", "0"));
    CHECK_OK(txn_put(txn, "j", "1", 0));
    stage_put(&pair.a, "k", "1");
    lap(&pair.a, "new");
    lap(&pair.a, "newer");
    CHECK_EQ(scn_commit(txn), SCN_CONFLICT);
    CHECK(stage_has(&pair.b, "j", NULL));
    CHECK(stage_has(&pair.b, "k", "1"));
    pair_close(&pair);
}

/* ---- going ---- */

/* The last one out is killed at each of its steps. */
TEST(protocol__19_who_dies_while_it_leaves_takes_nothing_along)
{
    bool is_over = false;
    for (uint64_t nth = 0; !is_over; nth += 3) {
        struct pair pair;
        pair_open(&pair);
        stage_put(&pair.a, "k", "v");
        struct part *lazy = stage_cast(&pair.a, do_put, "lazy", "1");
        lazy->durability = SCN_SYNC_LAZY;
        CHECK_OK(part_finish(lazy));
        stage_close(&pair.b);
        struct part *last = stage_cast(&pair.a, do_close, "the last", NULL);
        struct sim_stop stop = {.step = SIM_ANY, .when = SIM_AT_END, .nth = nth};
        is_over = sim_actor_run(last->actor, &stop) != SIM_STOPPED;
        stage_leave(&pair.a);
        CHECK_OK(stage_try_open(&pair.a));
        CHECK(stage_has(&pair.a, "k", "v"));
        CHECK(stage_has(&pair.a, "lazy", "1"));
        stage_put(&pair.a, "k", "w");
        stage_close(&pair.a);
    }
}

/* ---- 35: those who do nothing ---- */

static uint64_t file_bytes(struct stage *stage)
{
    uint64_t size = 0;
    CHECK(sim_file_size(stage->disk, "store", &size));
    return size;
}

/* What is deleted now nobody holds. */
static void expect_shorter(struct pair *pair, uint64_t full)
{
    stage_del(&pair->a, "bulk");
    stage_speak(&pair->a);
    CHECK_OK(scn_checkpoint(pair->a.db));
    CHECK(file_bytes(&pair->a) + BULK_BYTES / 2 < full);
    CHECK(stage_has(&pair->b, "bulk", NULL));
}

/* A process that has the file open, and has read something some time ago. */
TEST(protocol__35_an_idle_process_holds_no_pages)
{
    struct pair pair;
    pair_open(&pair);
    stage_put_long(&pair.a, "bulk", "old", BULK_BYTES);
    stage_checkpoint(&pair.a);
    uint64_t full = file_bytes(&pair.a);
    CHECK(stage_has(&pair.b, "none", NULL));
    CHECK(stage_has(&pair.b, "none", NULL));
    stage_speak(&pair.b);
    CHECK_OK(scn_tick(pair.b.db, 1));
    CHECK_OK(scn_tick(pair.b.db, 1));
    expect_shorter(&pair, full);
    pair_close(&pair);
}

/* A second goes by, for everybody. */
static void do_pause(struct part *part)
{
    struct store *store = part->stage->db->store;
    const struct sys_ops *ops = store->sys->ops;
    uint64_t until = ops->now_ns(store->sys) + UINT64_C(1000000000);
    ops->mutex_lock(store->state_mutex);
    while (ops->cond_wait(store->space_cond, store->state_mutex, until))
        continue;
    ops->mutex_unlock(store->state_mutex);
    part->st = SCN_OK;
}

/* With a thread of its own, or where the program calls scn_tick. */
static void read_once_and_rest(uint32_t flags)
{
    struct pair pair;
    stage_open(&pair.a, 0);
    stage_put_long(&pair.a, "bulk", "old", BULK_BYTES);
    stage_checkpoint(&pair.a);
    uint64_t full = file_bytes(&pair.a);
    stage_join(&pair.b, &pair.a, SCN_RDONLY | flags);
    CHECK(stage_has(&pair.b, "none", NULL));
    CHECK_OK(part_await(stage_cast(&pair.a, do_pause, "pause", NULL)));
    stage_speak(&pair.b);
    for (int i = 0; i < 2 && !flags; i++)
        CHECK_OK(scn_tick(pair.b.db, 1));
    expect_shorter(&pair, full);
    pair_close(&pair);
}

TEST(protocol__35_an_idle_reader_holds_no_pages)
{
    read_once_and_rest(0);
    read_once_and_rest(STAGE_BACKGROUND);
}

/* Nobody has the file when the reader comes, and somebody does later: then, too, it is
 * the generation of before that the reader may read at any time, until it has joined. */
static void read_alone_and_rest(uint32_t flags)
{
    struct pair pair;
    stage_open(&pair.a, 0);
    stage_put_long(&pair.a, "bulk", "old", BULK_BYTES);
    stage_checkpoint(&pair.a);
    uint64_t full = file_bytes(&pair.a);
    stage_leave(&pair.a);
    stage_join(&pair.b, &pair.a, SCN_RDONLY | flags);
    CHECK(stage_has_long(&pair.b, "bulk", "old", BULK_BYTES));
    CHECK_OK(stage_try_open(&pair.a));
    CHECK_OK(part_await(stage_cast(&pair.a, do_pause, "pause", NULL)));
    stage_speak(&pair.b);
    for (int i = 0; i < 3 && !flags; i++)
        CHECK_OK(scn_tick(pair.b.db, 1));
    expect_shorter(&pair, full);
    pair_close(&pair);
}

TEST(protocol__35_an_idle_reader_that_came_first_holds_no_pages)
{
    read_alone_and_rest(0);
    read_alone_and_rest(STAGE_BACKGROUND);
}

TEST(protocol__35_a_reader_that_joins_meanwhile_keeps_its_snapshot)
{
    struct pair pair;
    stage_open(&pair.a, 0);
    stage_put_long(&pair.a, "bulk", "old", BULK_BYTES);
    stage_checkpoint(&pair.a);
    stage_leave(&pair.a);
    stage_join(&pair.b, &pair.a, SCN_RDONLY);
    scn_txn *txn = stage_txn(&pair.b, SCN_READ);
    CHECK_OK(stage_try_open(&pair.a));
    for (int i = 0; i < 3; i++) {
        stage_speak(&pair.b);
        CHECK_OK(scn_tick(pair.b.db, 1));
        stage_put_long(&pair.a, "bulk", i % 2 ? "newer" : "new", BULK_BYTES);
        stage_checkpoint(&pair.a);
    }
    CHECK(txn_has_long(txn, "bulk", "old", BULK_BYTES));
    scn_abort(txn);
    CHECK(stage_has_long(&pair.b, "bulk", "new", BULK_BYTES));
    pair_close(&pair);
}
