/* A file that is poisoned or damaged, and what becomes of those who have it: rules 4, 5,
 * 20 and 26, between processes.  As in test_protocol_peers.c, one process is stopped
 * somewhere, or dies there, and others go on. */
#include "test/schedule/pair.h"

#include "engine/room.h"
#include "engine/session.h"
#include "page/lock.h"
#include "page/publish.h"

#include <errno.h>

enum { BULK_BYTES = PAGE_IS_SMALL ? 40 << 10 : 1200 << 10 };

/* ---- 26: poison ---- */

/* A commit was acknowledged, and this process has not followed it; then the file was
 * poisoned, and who recovered it died between the lines of the new session. */
TEST(protocol__26_a_cure_that_died_hides_no_commit)
{
    struct pair pair;
    struct stage third;
    pair_open(&pair);
    CHECK(stage_has(&pair.a, "k", NULL));
    stage_put(&pair.b, "k", "new");
    stage_fail(&pair.b, SIM_DSYNC, 1, EIO);
    CHECK_EQ(part_finish(stage_cast(&pair.b, do_put, "k", "lost")), SCN_UNKNOWN);
    stage_come(&third, &pair.a, 0);
    struct part *opener = stage_cast(&third, do_open, "opener", NULL);
    part_until_line(opener, PUBLISH_SESSION, SIM_AT_BEGIN);
    stage_leave(&third);
    CHECK(stage_has(&pair.a, "k", "new"));
    CHECK_OK(stage_try_open(&third));
    CHECK(stage_has(&pair.a, "k", "new"));
    stage_put(&third, "k", "newer");
    CHECK(stage_has(&pair.a, "k", "newer"));
    CHECK(stage_has(&pair.b, "k", "newer"));
    stage_close(&third);
    pair_close(&pair);
}

/* Its sync fails in a session that is over when it comes to say so: the next one has
 * begun meanwhile, and is poisoned itself. */
TEST(protocol__26_late_poison_hides_none_of_a_later_session)
{
    struct pair pair;
    struct stage third;
    pair_open(&pair);
    stage_put(&pair.a, "k", "old");
    struct part *late = stage_cast(&pair.b, do_put, "bulk", "run");
    late->len = BULK_BYTES;
    stage_fail(&pair.b, SIM_SYNC, 1, EIO);
    part_until_lock(late, LOCK_POISON, 1, SIM_AT_BEGIN);
    stage_poison(&pair.a);
    stage_join(&third, &pair.a, 0);
    stage_put(&third, "k", "new");
    stage_poison(&pair.a);
    CHECK(part_finish(late) < 0);
    CHECK_EQ(part_finish(stage_cast(&third, do_put, "b", "2")), SCN_POISONED);
    stage_speak(&third);
    CHECK_OK(session_cure(store_of(&third)));
    stage_put(&pair.a, "a", "3");
    stage_put(&pair.b, "b", "3");
    CHECK(stage_has(&third, "k", "new"));
    stage_close(&third);
    pair_close(&pair);
}

/* Who poisons is stopped between its look at the session and the line: nobody begins
 * another one meanwhile. */
TEST(protocol__26_no_session_begins_while_one_is_being_poisoned)
{
    struct pair pair;
    struct stage third;
    pair_open(&pair);
    stage_put(&pair.a, "k", "old");
    struct part *late = stage_cast(&pair.b, do_put, "bulk", "run");
    late->len = BULK_BYTES;
    stage_fail(&pair.b, SIM_SYNC, 1, EIO);
    part_until(late, SIM_SYNC, SIM_AT_BEGIN);
    stage_poison(&pair.a);
    part_until_line(late, PUBLISH_POISON, SIM_AT_BEGIN);
    stage_come(&third, &pair.a, 0);
    struct part *opener = stage_cast(&third, do_open, "opener", NULL);
    part_blocks(opener);
    CHECK(part_finish(late) < 0);
    CHECK_OK(part_await(opener));
    stage_put(&third, "k", "new");
    CHECK(stage_has(&pair.a, "k", "new"));
    stage_put(&pair.b, "k", "newer");
    CHECK(stage_has(&third, "k", "newer"));
    stage_close(&third);
    pair_close(&pair);
}

static void do_cure(struct part *part)
{
    part->st = session_cure(store_of(part->stage));
}

/* Two want to cure the file.  While one of them waits for the other, another thread of it
 * comes into the session that has begun: then there is nothing left to cure. */
TEST(protocol__26_a_file_is_cured_once)
{
    struct pair pair;
    pair_open(&pair);
    stage_put(&pair.a, "k", "old");
    stage_poison(&pair.b);
    struct part *late = stage_cast(&pair.b, do_cure, "late", NULL);
    part_until_lock(late, LOCK_BASE + LOCK_GATE, 1, SIM_AT_BEGIN);
    stage_speak(&pair.a);
    CHECK_OK(session_cure(store_of(&pair.a)));
    CHECK(stage_has(&pair.b, "k", "old"));
    struct part *writer = stage_cast(&pair.a, do_put, "k", "new");
    part_until_appended(writer);
    CHECK_OK(part_finish(late));
    CHECK_OK(part_finish(writer));
    CHECK(stage_has(&pair.b, "k", "new"));
    pair_close(&pair);
}

/* It knows that the file was poisoned, and not that another has cured it. */
TEST(protocol__26_a_checkpoint_is_made_in_the_session_after)
{
    struct pair pair;
    pair_open(&pair);
    stage_put(&pair.a, "k", "old");
    stage_poison(&pair.b);
    stage_speak(&pair.a);
    CHECK_OK(session_cure(store_of(&pair.a)));
    CHECK_OK(part_finish(stage_cast(&pair.b, do_checkpoint, "late", NULL)));
    stage_put(&pair.b, "k", "new");
    CHECK(stage_has(&pair.a, "k", "new"));
    pair_close(&pair);
}

/* A process has a transaction open that writes, and lags; what it would have to follow
 * has been cut by a cure that died.  It cures the file itself, all the same. */
TEST(protocol__26_who_cannot_follow_cures_the_file)
{
    struct pair pair;
    struct stage third;
    pair_open(&pair);
    stage_put(&pair.a, "k", "old");
    scn_txn *writer = stage_txn(&pair.b, SCN_WRITE);
    struct part *lazy = stage_cast(&pair.a, do_put, "lazy", "1");
    lazy->durability = SCN_SYNC_LAZY;
    CHECK_OK(part_finish(lazy));
    stage_poison(&pair.a);
    stage_leave(&pair.a);
    stage_come(&third, &pair.a, 0);
    struct part *opener = stage_cast(&third, do_open, "opener", NULL);
    part_until_line(opener, PUBLISH_APPEND, SIM_AT_BEGIN);
    stage_leave(&third);
    stage_speak(&pair.b);
    CHECK_EQ(scn_tick(pair.b.db, 0), SCN_POISONED);
    sim_clock_set(pair.b.disk, sim_clock_ns(pair.b.disk) + 2 * UINT64_C(1000000000));
    CHECK_OK(scn_tick(pair.b.db, 0));
    scn_abort(writer);
    stage_put(&pair.b, "k", "new");
    CHECK(stage_has(&pair.b, "lazy", NULL));
    stage_close(&pair.b);
    stage_close(&pair.a);
}

/* Pages that may be used again are. */
static void use_pages(struct stage *stage)
{
    for (int i = 0; i < 6; i++) {
        stage_put_long(stage, "other", i % 2 ? "one" : "two", BULK_BYTES);
        stage_checkpoint(stage);
    }
}

static scn_status txn_read(scn_txn *txn, const char *key)
{
    scn_slice value;
    return scn_get(txn, txn_table(txn, "t"), (scn_slice){key, strlen(key)}, &value);
}

/* A lazy commit is seen by all, and then it is lost with a sync.  Its run has pages that
 * belong to nobody now. */
TEST(protocol__26_a_snapshot_of_what_a_cure_has_cut_says_so)
{
    for (int has_followed = 0; has_followed < 2; has_followed++) {
        struct pair pair;
        struct stage third;
        stage_open(&pair.a, 0);
        stage_put(&pair.a, "k", "old");
        stage_come(&pair.b, &pair.a, 0);
        pair.b.options.pool_bytes = 8 * PAGE_BYTES;
        CHECK_OK(stage_try_open(&pair.b));
        struct part *lazy = stage_cast(&pair.a, do_put, "bulk", "run");
        lazy->len = BULK_BYTES;
        lazy->durability = SCN_SYNC_LAZY;
        CHECK_OK(part_finish(lazy));
        scn_txn *reader = stage_txn(&pair.b, SCN_READ);
        scn_txn *other = stage_txn(&pair.b, SCN_READ);
        CHECK(txn_has(reader, "k", "old"));
        CHECK_OK(txn_read(other, "bulk"));
        stage_poison(&pair.a);
        stage_join(&third, &pair.a, 0);
        CHECK(stage_has(&third, "bulk", NULL));
        use_pages(&third);
        if (has_followed)
            CHECK(stage_has(&pair.b, "bulk", NULL));
        stage_speak(&pair.b);
        CHECK_EQ(txn_read(reader, "bulk"), SCN_SNAPSHOT_GONE);
        scn_abort(reader);
        CHECK(txn_has(other, "k", "old")); /* and who does not need it reads on */
        scn_abort(other);
        CHECK(stage_has(&pair.b, "k", "old"));
        stage_close(&third);
        pair_close(&pair);
    }
}

/* ---- 3: pages whose record is in doubt ---- */

static bool grows_nothing(struct stage *stage)
{
    uint32_t end;
    CHECK_OK(grown_end(&store_of(stage)->grown, &end));
    return end == 0;
}

/* The record that leads to a run cannot be written, or so the system says.  The process
 * lives on, and its pages are of use to others as soon as the file is cured. */
TEST(protocol__03_pages_of_an_unknown_commit_are_settled_by_the_cure)
{
    for (uint64_t written = 0; written < 2; written++) {
        struct pair pair;
        pair_open(&pair);
        stage_put(&pair.a, "k", "old");
        struct part *writer = stage_cast(&pair.b, do_put, "bulk", "run");
        struct sim_fault fail = {.kind = SIM_FAIL, .call = SIM_WRITE, .nth = 1};
        fail.error = EIO;
        fail.len = written * UINT64_MAX;
        writer->len = BULK_BYTES;
        part_until(writer, SIM_SYNC, SIM_AT_END);
        sim_fault_set(pair.b.sys, &fail);
        CHECK_EQ(part_finish(writer), SCN_UNKNOWN);
        CHECK(!grows_nothing(&pair.a));
        stage_speak(&pair.a);
        CHECK_OK(session_cure(store_of(&pair.a)));
        CHECK(!grows_nothing(&pair.a));
        CHECK(stage_has(&pair.b, "k", "old"));
        CHECK(grows_nothing(&pair.a));
        CHECK(grows_nothing(&pair.b));
        use_pages(&pair.a);
        stage_put_long(&pair.b, "bulk", "again", BULK_BYTES);
        stage_check_file(&pair.b);
        pair_close(&pair);
    }
}

/* Its own process comes into the next session before it does anything more. */
TEST(protocol__03_pages_of_an_unknown_commit_are_in_doubt_before_the_cure)
{
    struct pair pair;
    pair_open(&pair);
    stage_put(&pair.a, "k", "old");
    struct part *writer = stage_cast(&pair.b, do_put, "bulk", "run");
    writer->len = BULK_BYTES;
    part_until(writer, SIM_SYNC, SIM_AT_END);
    stage_fail(&pair.b, SIM_WRITE, 1, EIO);
    for (int i = 0; i < 2; i++) /* taken, and given back */
        part_until_lock(writer, LOCK_BASE + LOCK_APPEND, 1, SIM_AT_END);
    stage_speak(&pair.a);
    CHECK_OK(session_cure(store_of(&pair.a)));
    CHECK(stage_has(&pair.b, "k", "old"));
    CHECK_EQ(part_finish(writer), SCN_UNKNOWN);
    CHECK(grows_nothing(&pair.a));
    CHECK(grows_nothing(&pair.b));
    pair_close(&pair);
}

/* The same for an extent: the log leads there, and who made it ready was told that it
 * does not. */
TEST(protocol__24_an_extent_whose_record_is_in_doubt_is_linked_once)
{
    struct pair pair;
    pair_open(&pair);
    stage_put_long(&pair.a, "a", "first", STAGE_LONG_BYTES);
    stage_speak(&pair.b);
    CHECK_OK(room_extend(store_of(&pair.b), false));
    struct part *writer = stage_cast(&pair.b, do_put, "b", "second");
    writer->len = STAGE_LONG_BYTES;
    struct sim_fault fail = {.kind = SIM_FAIL, .call = SIM_WRITE, .len = UINT64_MAX};
    fail.error = EIO;
    fail.nth = 3; /* the head of the extent, the link, the record */
    sim_fault_set(pair.b.sys, &fail);
    CHECK(part_finish(writer) < 0);
    CHECK(file_is_poisoned(&store_of(&pair.b)->file));
    stage_speak(&pair.a);
    CHECK_OK(session_cure(store_of(&pair.a)));
    for (int i = 0; i < 6; i++) { /* the log goes on, and uses the extent again */
        stage_put_long(&pair.a, "long", i % 2 ? "odd" : "even", STAGE_LONG_BYTES);
        stage_checkpoint(&pair.a);
    }
    use_pages(&pair.a);
    CHECK(stage_has(&pair.b, "none", NULL));
    CHECK_EQ(log_spare_count(store_of(&pair.b)->log),
             store_of(&pair.b)->superblock.spare_count);
    stage_put_long(&pair.b, "c", "third", STAGE_LONG_BYTES);
    stage_put_long(&pair.b, "d", "fourth", STAGE_LONG_BYTES);
    stage_check_file(&pair.a);
    stage_close(&pair.b);
    stage_kill(&pair.a);
    CHECK(stage_has_long(&pair.a, "c", "third", STAGE_LONG_BYTES));
    CHECK(stage_has_long(&pair.a, "d", "fourth", STAGE_LONG_BYTES));
    stage_close(&pair.a);
}

/* The log leads there, and the record behind could not be written: once it is a spare
 * again, it is no more that of who had made it ready than anybody's. */
TEST(protocol__24_an_extent_that_an_unknown_commit_has_gone_on_in_is_linked_once)
{
    enum { LATER = 6 };
    static const char *const later[LATER] = {"c", "d", "e", "f", "g", "h"};
    struct pair pair;
    pair_open(&pair);
    stage_put_long(&pair.a, "a", "first", STAGE_LONG_BYTES);
    stage_speak(&pair.b);
    CHECK_OK(room_extend(store_of(&pair.b), false));
    struct part *writer = stage_cast(&pair.b, do_put, "b", "second");
    struct sim_fault fail = {.kind = SIM_FAIL, .call = SIM_WRITE, .error = EIO};
    writer->len = STAGE_LONG_BYTES;
    fail.nth = 4; /* the head of the extent, the link, its record, the commit's */
    sim_fault_set(pair.b.sys, &fail);
    CHECK_EQ(part_finish(writer), SCN_UNKNOWN);
    stage_speak(&pair.a);
    CHECK_OK(session_cure(store_of(&pair.a)));
    for (int i = 0; i < 4; i++) { /* the log goes on, until the extent is a spare */
        stage_put_long(&pair.a, "long", i % 2 ? "odd" : "even", STAGE_LONG_BYTES);
        stage_checkpoint(&pair.a);
    }
    for (int i = 0; i < 2; i++) { /* which two generations list */
        CHECK(stage_has(&pair.b, "none", NULL));
        stage_put(&pair.a, "short", i ? "1" : "0");
        stage_checkpoint(&pair.a);
    }
    for (int i = 0; i < LATER; i++)
        stage_put_long(&pair.b, later[i], "late", STAGE_LONG_BYTES);
    CHECK(grows_nothing(&pair.a));
    stage_close(&pair.b);
    stage_kill(&pair.a);
    for (int i = 0; i < LATER; i++)
        CHECK(stage_has_long(&pair.a, later[i], "late", STAGE_LONG_BYTES));
    stage_close(&pair.a);
}

/* ---- 26: what a process has answered for ---- */

static scn_status close_store(struct stage *stage)
{
    stage_speak(stage);
    scn_status st = scn_close(stage->db);
    stage->db = NULL;
    return st;
}

/* It was acknowledged, and the cure has cut it: who leaves is told, whatever it has done
 * since. */
TEST(protocol__26_a_lost_lazy_commit_is_told_at_the_close)
{
    for (int goes_on = 0; goes_on < 2; goes_on++) {
        struct pair pair;
        pair_open(&pair);
        struct part *lazy = stage_cast(&pair.b, do_put, "lazy", "1");
        lazy->durability = SCN_SYNC_LAZY;
        stage_put(&pair.b, "k", "old");
        CHECK_OK(part_finish(lazy));
        stage_poison(&pair.a);
        stage_speak(&pair.a);
        CHECK_OK(session_cure(store_of(&pair.a)));
        CHECK(stage_has(&pair.b, "lazy", NULL));
        if (goes_on)
            stage_put(&pair.b, "k", "new");
        CHECK_EQ(close_store(&pair.b), SCN_UNKNOWN);
        CHECK_OK(close_store(&pair.a));
        pair_close(&pair);
    }
}

/* Who was told that it is unknown need not hear it again; what is to be synced is not
 * what was cut. */
TEST(protocol__26_an_unknown_commit_is_not_synced_at_the_close)
{
    struct pair pair;
    pair_open(&pair);
    stage_put(&pair.a, "k", "old");
    stage_poison(&pair.b);
    stage_speak(&pair.a);
    CHECK_OK(session_cure(store_of(&pair.a)));
    CHECK(stage_has(&pair.b, "k", "old"));
    CHECK_OK(close_store(&pair.b));
    pair_close(&pair);
}

static void do_wait(struct part *part)
{
    part->st = scn_wait_durable(part->stage->db, part->lsn, -1);
}

static bool is_behind(void *ctx)
{
    struct part *waiter = ctx;
    return log_appended(store_of(waiter->stage)->log) < waiter->lsn;
}

static void wait_beside_who_reads_anew(bool can_read)
{
    struct pair pair;
    pair_open(&pair);
    stage_put(&pair.a, "k", "old");
    stage_put(&pair.b, "k", "new");
    struct part *waiter = stage_cast(&pair.b, do_wait, "waiter", NULL);
    for (int i = 0; i < 2; i++) { /* their sync needs to know both extents */
        struct part *lazy = stage_cast(&pair.b, do_put, i ? "even" : "odd", "lazy");
        lazy->durability = SCN_SYNC_LAZY;
        lazy->len = STAGE_LONG_BYTES;
        CHECK_OK(part_finish(lazy));
        waiter->lsn = lazy->lsn;
    }
    store_stop_begins(store_of(&pair.b));
    struct part *reader = stage_cast(&pair.b, do_read, "k", "new");
    part_until_holds(reader, SIM_READ, SIM_AT_BEGIN, is_behind, waiter);
    part_blocks(waiter);
    if (!can_read)
        stage_fail(&pair.b, SIM_READ, 1, EIO);
    CHECK_EQ(part_finish(reader), can_read ? SCN_OK : SCN_IO);
    CHECK_EQ(part_await(waiter), can_read ? SCN_OK : SCN_UNKNOWN);
    CHECK(stage_has(&pair.b, "k", "new"));
    stage_speak(&pair.b);
    CHECK_OK(scn_wait_durable(pair.b.db, waiter->lsn, -1));
    pair_close(&pair);
}

/* A process has given back what it knew of the log, and reads it anew: meanwhile nobody
 * can sync what lies behind the place where it is. */
TEST(protocol__09_who_waits_for_a_sync_waits_for_who_reads_the_log_anew)
{
    wait_beside_who_reads_anew(true);
    wait_beside_who_reads_anew(false);
}

/* Who asks whether a lazy commit is durable is stopped in between; its session ends, the
 * commit is lost, and what the next one has made durable lies behind it. */
TEST(protocol__21_a_lost_commit_is_not_durable_for_what_was_synced_after_it)
{
    struct pair pair;
    pair_open(&pair);
    stage_put(&pair.a, "k", "old");
    stage_put(&pair.b, "k", "new");
    struct part *lazy = stage_cast(&pair.b, do_put, "lazy", "1");
    lazy->durability = SCN_SYNC_LAZY;
    CHECK_OK(part_finish(lazy));
    struct part *waiter = stage_cast(&pair.b, do_wait, "waiter", NULL);
    waiter->lsn = lazy->lsn;
    part_until(waiter, SIM_MUTEX_LOCK, SIM_AT_BEGIN);
    stage_poison(&pair.a);
    stage_speak(&pair.a);
    CHECK_OK(session_cure(store_of(&pair.a)));
    CHECK(stage_has(&pair.b, "lazy", NULL));
    stage_put(&pair.b, "k", "newer");
    CHECK_EQ(part_finish(waiter), SCN_UNKNOWN);
    pair_close(&pair);
}

/* ---- 16, 26: what is run again ---- */

static void do_clear(struct part *part)
{
    part->st = scn_update(part->stage->db, txn_clear, NULL);
}

static void do_put1(struct part *part)
{
    part->st = scn_put1(part->stage->db, "t", (scn_slice){part->key, strlen(part->key)},
                        (scn_slice){part->value, strlen(part->value)});
}

/* It meets a commit that waits for its sync, which fails; and while it wants to make that
 * commit visible, to run again what conflicts, the file is recovered by another. */
static void run_again_in_another_session(void (*fn)(struct part *))
{
    struct pair pair;
    pair_open(&pair);
    stage_put(&pair.a, "k", "old");
    CHECK(stage_has(&pair.b, "k", "old"));
    struct part *again = stage_cast(&pair.b, fn, "k", "new");
    part_until_lock(again, LOCK_BASE + LOCK_APPEND, 1, SIM_AT_BEGIN);
    struct part *met = stage_cast(&pair.a, do_clear, "met", NULL);
    part_until_appended(met);
    part_until_lock(again, LOCK_BASE + LOCK_SYNC, 1, SIM_AT_BEGIN);
    stage_fail(&pair.a, SIM_DSYNC, 1, EIO);
    CHECK_EQ(part_finish(met), SCN_UNKNOWN);
    stage_speak(&pair.a);
    CHECK_OK(session_cure(store_of(&pair.a)));
    CHECK_OK(part_await(again));
    CHECK(stage_has(&pair.b, "k", "new"));
    CHECK(stage_has(&pair.a, "k", "new"));
    pair_close(&pair);
}

TEST(protocol__16_what_conflicts_is_run_again_in_the_session_after)
{
    run_again_in_another_session(do_put1);
    run_again_in_another_session(do_update);
}

/* ---- 20: a generation that cannot be read any more ---- */

/* A run that was built in the newest generation. */
static void put_young_run(struct stage *stage)
{
    stage_put(stage, "x", "1");
    stage_checkpoint(stage);
    stage_put(stage, "x", "2");
    stage_checkpoint(stage);
    stage_put_long(stage, "bulk", "run", BULK_BYTES);
}

/* Who falls back to the older generation has a run that is younger. */
TEST(protocol__20_a_run_of_a_lost_generation_is_everybodys)
{
    struct pair pair;
    stage_open(&pair.a, 0);
    put_young_run(&pair.a);
    stage_lose_newest_root(&pair.a);
    stage_kill(&pair.a);
    CHECK(stage_has_long(&pair.a, "bulk", "run", BULK_BYTES));
    stage_come(&pair.b, &pair.a, 0);
    pair.b.options.pool_bytes = 8 * PAGE_BYTES;
    CHECK_OK(stage_try_open(&pair.b));
    scn_txn *reader = stage_txn(&pair.b, SCN_READ);
    CHECK(txn_has(reader, "x", "2"));
    stage_del(&pair.a, "bulk");
    use_pages(&pair.a);
    CHECK(txn_has_long(reader, "bulk", "run", BULK_BYTES));
    scn_abort(reader);
    stage_check_file(&pair.b);
    pair_close(&pair);
}

/* The same in a cure: others live, and grow the file, meanwhile. */
TEST(protocol__20_a_cure_falls_back_beside_who_grows_the_file)
{
    struct pair pair;
    struct stage third;
    pair_open(&pair);
    put_young_run(&pair.a);
    stage_put(&pair.b, "y", "3");
    struct part *builder = stage_cast(&pair.b, do_put, "mine", "run");
    builder->len = BULK_BYTES;
    part_until(builder, SIM_SYNC, SIM_AT_END);
    stage_lose_newest_root(&pair.a);
    stage_poison(&pair.a);
    stage_join(&third, &pair.a, 0);
    CHECK(stage_has_long(&third, "bulk", "run", BULK_BYTES));
    CHECK(stage_has(&third, "y", "3"));
    use_pages(&third);
    CHECK_EQ(part_finish(builder), SCN_CONFLICT);
    CHECK(stage_has_long(&pair.b, "bulk", "run", BULK_BYTES));
    stage_put(&pair.b, "y", "4");
    stage_checkpoint(&pair.b);
    stage_check_file(&pair.b);
    CHECK(stage_has_long(&pair.a, "bulk", "run", BULK_BYTES));
    stage_close(&third);
    pair_close(&pair);
}

/* The run is merged before anybody comes; and a reader who has been there all along keeps
 * the pages that only its snapshot knows. */
TEST(protocol__20_who_merges_a_run_of_a_lost_generation_leaves_readers_their_pages)
{
    struct pair pair;
    stage_open(&pair.a, 0);
    stage_put_long(&pair.a, "v", "old", BULK_BYTES);
    stage_checkpoint(&pair.a);
    stage_come(&pair.b, &pair.a, SCN_RDONLY);
    pair.b.options.pool_bytes = 8 * PAGE_BYTES;
    CHECK_OK(stage_try_open(&pair.b));
    scn_txn *reader = stage_txn(&pair.b, SCN_READ);
    CHECK(txn_has(reader, "k", NULL));
    stage_del(&pair.a, "v");
    stage_checkpoint(&pair.a);
    put_young_run(&pair.a);
    stage_lose_newest_root(&pair.a);
    stage_kill(&pair.a);
    use_pages(&pair.a);
    CHECK(txn_has_long(reader, "v", "old", BULK_BYTES));
    scn_abort(reader);
    pair_close(&pair);
}

/* ---- 5: what is lost ---- */

static bool has_failed(void *ctx)
{
    return sim_fault_hits(ctx) > 0;
}

/* Somebody has failed at a sync and died before he could say so, and what he has lost is
 * read anew: nothing is acknowledged that is chained behind it, over however many
 * extents. */
TEST(protocol__05_nothing_is_acknowledged_behind_a_record_that_is_lost)
{
    for (int is_long = 0; is_long < 2; is_long++) {
        struct pair pair;
        pair_open(&pair);
        stage_put(&pair.a, "k", "old");
        stage_speak(&pair.b);
        CHECK_OK(room_extend(store_of(&pair.b), false)); /* its sync is not meant */
        struct part *writer = stage_cast(&pair.b, do_put, "lost", "1");
        writer->len = STAGE_LONG_BYTES;
        stage_fail(&pair.b, SIM_DSYNC, 1, EIO);
        stage_fail(&pair.b, SIM_SYNC, 1, EIO);
        part_until_holds(writer, SIM_ANY, SIM_AT_END, has_failed, pair.b.sys);
        stage_leave(&pair.b);
        writer = stage_cast(&pair.a, do_put, "behind", "2");
        writer->len = is_long ? STAGE_LONG_BYTES : 0;
        part_until_appended(writer);
        sim_disk_evict(pair.a.disk);
        CHECK_EQ(part_finish(writer), SCN_UNKNOWN);
        stage_kill(&pair.a);
        CHECK(stage_has(&pair.a, "k", "old"));
        CHECK(stage_has(&pair.a, "behind", NULL));
        stage_close(&pair.a);
    }
}

/* As by a recovery that cuts a record and fails at its sync: the page cache has lost the
 * record, and the medium has not. */
static void cut_in_vain(struct stage *stage, uint64_t off)
{
    static const uint8_t zeros[8];
    struct sim_fault fail = {.kind = SIM_FAIL, .call = SIM_SYNC, .nth = 1, .error = EIO};
    struct sys *sys = sim_process_create(stage->disk);
    struct sys_file *file;
    sim_sched_speak_for(stage->sched, sys);
    CHECK_EQ(sys->ops->open(sys, "store", 0, &file), 0);
    CHECK_EQ(sys->ops->write(file, off, zeros, sizeof zeros, 0), sizeof zeros);
    sim_fault_set(sys, &fail);
    CHECK_EQ(sys->ops->sync(file), -EIO);
    sys->ops->close(file);
    sim_process_destroy(sys);
}

/* is_closed: all of it is known to be durable. */
static void recover_what_was_cut_in_vain(bool is_closed)
{
    struct stage a;
    struct stage b;
    stage_open(&a, 0);
    stage_put(&a, "k", "old");
    uint64_t off = stage_log_end_off(&a);
    stage_put(&a, "k", "new");
    stage_put(&a, "j", "newer");
    if (is_closed)
        CHECK_OK(close_store(&a));
    stage_leave(&a);
    cut_in_vain(&a, off);
    CHECK_OK(stage_try_open(&a));
    CHECK(stage_has(&a, "k", "new"));
    CHECK(stage_has(&a, "j", "newer"));
    stage_join(&b, &a, 0); /* and reads it from the page cache */
    CHECK(stage_has(&b, "k", "new"));
    CHECK(stage_has(&b, "j", "newer"));
    stage_close(&b);
    stage_put(&a, "k", "newest");
    stage_kill(&a);
    CHECK(stage_has(&a, "k", "newest"));
    stage_check_file(&a);
    stage_close(&a);
}

TEST(protocol__05_a_recovery_learns_the_log_as_the_medium_has_it)
{
    recover_what_was_cut_in_vain(false);
    recover_what_was_cut_in_vain(true);
}

/* ---- 5: who only reads ---- */

/* The sync of a full commit fails, and its process dies before it can say so.  Nobody has
 * the file then, and the record is still in the page cache. */
TEST(protocol__05_who_reads_alone_shows_no_commit_that_was_not_visible)
{
    struct stage a;
    struct stage reader;
    stage_open(&a, 0);
    stage_put(&a, "k", "old");
    struct part *lazy = stage_cast(&a, do_put, "lazy", "1");
    lazy->durability = SCN_SYNC_LAZY;
    CHECK_OK(part_finish(lazy));
    struct part *writer = stage_cast(&a, do_put, "k", "new");
    stage_fail(&a, SIM_DSYNC, 1, EIO);
    part_until(writer, SIM_DSYNC, SIM_AT_END);
    stage_leave(&a);
    stage_come(&reader, &a, SCN_RDONLY);
    CHECK_OK(stage_try_open(&reader));
    CHECK(stage_has(&reader, "k", "old"));
    CHECK(stage_has(&reader, "lazy", NULL)); /* lost with the sync, as for who recovers */
    CHECK_OK(stage_try_open(&a));
    CHECK(stage_has(&a, "k", "old"));
    CHECK(stage_has(&a, "lazy", NULL));
    CHECK(stage_has(&reader, "k", "old"));
    stage_put(&a, "k", "newer");
    CHECK(stage_has(&reader, "k", "newer"));
    stage_close(&reader);
    stage_close(&a);
}

/* The same of one that was alone: the page does not know what he has told, but the medium
 * knows what the next recovery will find. */
TEST(protocol__05_who_reads_alone_shows_no_commit_that_the_medium_has_lost)
{
    struct stage a;
    struct stage reader;
    stage_open(&a, SCN_EXCLUSIVE);
    stage_put(&a, "k", "old");
    struct part *writer = stage_cast(&a, do_put, "k", "new");
    stage_fail(&a, SIM_DSYNC, 1, EIO);
    part_until(writer, SIM_DSYNC, SIM_AT_END);
    stage_leave(&a);
    stage_come(&reader, &a, SCN_RDONLY);
    CHECK_OK(stage_try_open(&reader));
    CHECK(stage_has(&reader, "k", "old"));
    a.options.flags &= ~SCN_EXCLUSIVE;
    CHECK_OK(stage_try_open(&a));
    CHECK(stage_has(&a, "k", "old"));
    CHECK(stage_has(&reader, "k", "old"));
    stage_close(&reader);
    stage_close(&a);
}

/* ---- 19: who has had the file for himself ---- */

/* He told nobody anything, so what others have told before is old. */
TEST(protocol__19_a_reader_does_not_go_by_what_was_told_before_somebody_was_alone)
{
    struct stage a;
    struct stage alone;
    struct stage reader;
    stage_open(&a, 0);
    stage_put(&a, "k", "old");
    stage_leave(&a);
    stage_come(&alone, &a, SCN_EXCLUSIVE);
    CHECK_OK(stage_try_open(&alone));
    stage_put(&alone, "k", "new");
    stage_leave(&alone);
    stage_come(&reader, &a, SCN_RDONLY);
    CHECK_OK(stage_try_open(&reader));
    CHECK(stage_has(&reader, "k", "new"));
    stage_close(&reader);
    stage_close(&a);
}

/* He dies when somebody who comes has just found the file taken: nobody lives who could
 * be joined. */
TEST(protocol__19_who_meets_one_alone_that_dies_recovers)
{
    struct stage a;
    struct stage alone;
    struct stage third;
    stage_open(&a, 0);
    stage_put(&a, "k", "old");
    stage_leave(&a);
    stage_come(&alone, &a, SCN_EXCLUSIVE);
    CHECK_OK(stage_try_open(&alone));
    stage_put(&alone, "k", "new");
    stage_come(&third, &a, 0);
    struct part *opener = stage_cast(&third, do_open, "opener", NULL);
    part_until_lock(opener, LOCK_BASE + LOCK_ATTACH, 1, SIM_AT_END);
    stage_leave(&alone);
    CHECK_OK(part_finish(opener));
    CHECK(stage_has(&third, "k", "new"));
    stage_put(&third, "j", "newer");
    stage_kill(&third);
    CHECK(stage_has(&third, "k", "new"));
    CHECK(stage_has(&third, "j", "newer"));
    stage_close(&third);
    stage_close(&a);
}

/* He wants it for himself, and a reader is in the way.  What he still has while he goes
 * is no session: the one on the page was over before somebody was alone. */
TEST(protocol__19_who_could_not_be_alone_is_no_session)
{
    struct stage a;
    struct stage alone;
    struct stage first;
    struct stage second;
    struct sim_stop leaves = {.step = SIM_CLOSE, .when = SIM_AT_BEGIN};
    stage_open(&a, 0);
    stage_put(&a, "k", "old");
    stage_leave(&a);
    stage_come(&alone, &a, SCN_EXCLUSIVE);
    CHECK_OK(stage_try_open(&alone));
    stage_put(&alone, "k", "new");
    stage_leave(&alone);
    stage_come(&first, &a, SCN_RDONLY);
    CHECK_OK(stage_try_open(&first));
    stage_come(&alone, &a, SCN_EXCLUSIVE);
    struct part *opener = stage_cast(&alone, do_open, "opener", NULL);
    CHECK_EQ(sim_actor_await(opener->actor, &leaves), SIM_STOPPED);
    stage_come(&second, &a, SCN_RDONLY);
    CHECK_OK(stage_try_open(&second));
    CHECK(stage_has(&second, "k", "new"));
    CHECK_EQ(part_finish(opener), SCN_BUSY);
    stage_close(&second);
    stage_close(&first);
    stage_close(&alone);
    stage_close(&a);
}
