/* More rules of several processes, of steps within what one of them does: it is stopped
 * between two of them, and others go on; or what it was told is wrong, or it fails.
 *
 * The number in a test's name is that of the rule in the design's list of protocol
 * rules. */
#include "engine/peers.h"
#include "engine/session.h"
#include "page/lock.h"
#include "test/schedule/pair.h"

#include <errno.h>

enum {
    BULK_BYTES = PAGE_IS_SMALL ? 40 << 10 : 1200 << 10,
    ROUNDS = 3
};

static void do_put_lazily(struct part *part)
{
    part->durability = SCN_SYNC_LAZY;
    do_put(part);
}

/* Whole, and it was killed before it could tell. */
static void die_behind_record(struct stage *stage, const char *key, const char *value)
{
    struct part *writer = stage_cast(stage, do_put, key, value);
    part_until_line(writer, PUBLISH_APPEND, SIM_AT_BEGIN);
    stage_leave(stage);
}

/* The third opens the file and stays until the end. */
static void cure(struct stage *stage, struct stage *host)
{
    stage_come(stage, host, 0);
    CHECK_OK(part_finish(stage_cast(stage, do_open, "cure", NULL)));
}

/* ---- 1: the publish page ---- */

/* A checkpoint has its superblock, and reads the page before it tells; now somebody tells
 * that he has synced.  False: it does not read so often. */
static bool sync_in_between(uint64_t nth)
{
    struct pair pair;
    struct stage third;
    pair_open(&pair);
    stage_put(&pair.a, "k", "v");
    struct part *checkpoint = stage_cast(&pair.a, do_checkpoint, "checkpoint", NULL);
    part_until(checkpoint, SIM_SYNC, SIM_AT_BEGIN);
    CHECK(stage_has(&pair.b, "k", "v"));
    struct part *writer = stage_cast(&pair.b, do_put, "late", "1");
    part_until_appended(writer);
    part_until_pages(checkpoint, SIM_WRITE, SIM_AT_END, 0, 2);
    struct sim_stop stop = {.step = SIM_READ, .when = SIM_AT_END, .nth = nth};
    stop.from = (uint64_t)PUBLISH_PAGE_NO * PAGE_BYTES;
    stop.to = stop.from + PAGE_BYTES;
    bool has_read = sim_actor_run(checkpoint->actor, &stop) == SIM_STOPPED;
    CHECK_OK(part_finish(writer));
    CHECK_OK(part_finish(checkpoint));
    stage_join(&third, &pair.a, 0);
    CHECK(stage_has(&third, "late", "1"));
    stage_close(&third);
    pair_close(&pair);
    return has_read;
}

TEST(protocol__01_a_checkpoint_takes_no_sync_back)
{
    uint64_t nth = 0;
    while (sync_in_between(nth))
        nth++;
    CHECK(nth > 1);
}

/* ---- 2: the newest generation ---- */

/* The superblock is there, and its owner cannot tell the others: it poisons the file, and
 * goes on reading where it stands. */
TEST(protocol__02_who_could_not_tell_of_a_generation_stands_on_it)
{
    struct pair pair;
    pair_open(&pair);
    stage_put(&pair.a, "k", "v");
    stage_checkpoint(&pair.a);
    stage_put(&pair.a, "l", "w");
    struct part *checkpoint = stage_cast(&pair.a, do_checkpoint, "checkpoint", NULL);
    part_until_line(checkpoint, PUBLISH_CHECKPOINT, SIM_AT_BEGIN);
    stage_fail(&pair.a, SIM_WRITE, 1, EIO);
    CHECK(part_finish(checkpoint) < 0);
    for (int i = 0; i < 2; i++) {
        CHECK(stage_has(&pair.a, "k", "v"));
        CHECK(stage_has(&pair.a, "l", "w"));
        CHECK(stage_has(&pair.b, "l", "w"));
    }
    pair_close(&pair);
}

static void do_begin(struct part *part)
{
    part->st = scn_begin(part->stage->db, SCN_READ, &part->txn);
}

/* It has come to a newer generation, and has not learnt what is visible there. */
static bool has_trees_alone(void *ctx)
{
    struct store *store = ctx;
    return atomic_load(&store->pinned_gen) == atomic_load(&store->known_gen) &&
           store_visible(store) < atomic_load(&store->base_lsn);
}

/* One thread has looked at the page before the others' commit; another has exchanged the
 * trees, and not read the log behind them. */
TEST(protocol__02_a_snapshot_holds_no_more_than_it_says)
{
    struct pair pair;
    pair_open(&pair);
    stage_put(&pair.a, "k", "old");
    scn_txn *old = stage_txn(&pair.b, SCN_WRITE);
    CHECK(txn_has(old, "k", "old"));
    struct part *slow = stage_cast(&pair.b, do_begin, "slow", NULL);
    part_until_pages(slow, SIM_READ, SIM_AT_END, PUBLISH_PAGE_NO, PUBLISH_PAGE_NO + 1);
    stage_put(&pair.a, "k", "new");
    stage_checkpoint(&pair.a);
    struct part *first = stage_cast(&pair.b, do_begin, "first", NULL);
    part_until_holds(first, SIM_MUTEX_UNLOCK, SIM_AT_END, has_trees_alone,
                     store_of(&pair.b));
    (void)sim_actor_run(slow->actor, NULL);
    CHECK_OK(part_finish(first));
    CHECK_OK(part_finish(slow));
    CHECK(txn_has(slow->txn, "k", "new"));
    CHECK(scn_txn_lsn(slow->txn) > scn_txn_lsn(old));
    scn_abort(slow->txn);
    scn_abort(first->txn);
    scn_abort(old);
    pair_close(&pair);
}

/* ---- 3, 30: pages that nobody else knows of ---- */

struct growth {
    struct store *store;
    uint64_t pages;
};

static bool has_grown(void *ctx)
{
    const struct growth *growth = ctx;
    return atomic_load(&growth->store->file.page_count) > growth->pages &&
           atomic_load(&growth->store->locks.owner[LOCK_APPEND]) == 0;
}

/* It has just made the file longer, and has written nothing there. */
static struct part *grow_for_run(struct stage *stage)
{
    struct store *store = store_of(stage);
    struct part *writer = stage_cast(stage, do_put, "bulk", "run");
    writer->len = BULK_BYTES;
    CHECK(stage_has(stage, "none", NULL)); /* it knows the size */
    struct growth growth = {store, atomic_load(&store->file.page_count)};
    part_until_holds(writer, SIM_MUTEX_UNLOCK, SIM_AT_END, has_grown, &growth);
    return writer;
}

TEST(protocol__03_a_range_is_locked_before_others_can_look)
{
    struct pair pair;
    pair_open(&pair);
    stage_put_long(&pair.a, "long", "old", STAGE_LONG_BYTES);
    struct part *writer = grow_for_run(&pair.b);
    stage_put_long(&pair.a, "other", "new", STAGE_LONG_BYTES);
    stage_checkpoint(&pair.a);
    stage_put_long(&pair.a, "third", "new", STAGE_LONG_BYTES);
    stage_checkpoint(&pair.a);
    CHECK_OK(part_finish(writer));
    CHECK(stage_has_long(&pair.a, "bulk", "run", BULK_BYTES));
    CHECK(stage_has_long(&pair.b, "other", "new", STAGE_LONG_BYTES));
    stage_check_file(&pair.a);
    pair_close(&pair);
}

/* The checkpoint has frozen, and knows what was grown before; now a thread of its process
 * grows, or another process. */
TEST(protocol__03_pages_that_are_grown_during_a_checkpoint_are_not_given_out)
{
    struct pair pair;
    pair_open(&pair);
    for (int i = 0; i < ROUNDS; i++) {
        stage_put_long(&pair.a, "long", i % 2 ? "odd" : "even", STAGE_LONG_BYTES);
        struct part *checkpoint = stage_cast(&pair.a, do_checkpoint, "checkpoint", NULL);
        part_until_appended(checkpoint);
        struct part *writer = grow_for_run(i % 2 ? &pair.b : &pair.a);
        CHECK_OK(part_finish(checkpoint));
        CHECK_OK(part_finish(writer));
        CHECK(stage_has_long(&pair.a, "bulk", "run", BULK_BYTES));
        CHECK(stage_has_long(&pair.b, "bulk", "run", BULK_BYTES));
        stage_check_file(&pair.a);
    }
    pair_close(&pair);
}

/* The record of a run is in the log, and the checkpoint under way does not merge it. */
TEST(protocol__30_a_run_that_was_committed_during_a_checkpoint_is_not_cut)
{
    struct pair pair;
    pair_open(&pair);
    stage_put_long(&pair.a, "bulk", "gone", BULK_BYTES);
    stage_checkpoint(&pair.a);
    stage_del(&pair.a, "bulk");
    stage_checkpoint(&pair.a);
    stage_put(&pair.a, "x", "y");
    struct part *checkpoint = stage_cast(&pair.a, do_drain, "checkpoint", NULL);
    part_until_pages(checkpoint, SIM_WRITE, SIM_AT_END, 0, 2);
    struct part *writer = stage_cast(&pair.b, do_put, "bulk", "run");
    writer->len = BULK_BYTES;
    (void)sim_actor_run(writer->actor, NULL); /* it may have to wait for APPEND */
    CHECK_OK(part_await(checkpoint));
    CHECK_OK(part_await(writer));
    CHECK(stage_has_long(&pair.a, "bulk", "run", BULK_BYTES));
    CHECK(stage_has_long(&pair.b, "bulk", "run", BULK_BYTES));
    stage_check_file(&pair.a);
    pair_close(&pair);
}

/* ---- 5: cures ---- */

/* Its record was lost with a sync that failed, and the log of the next session is longer:
 * an LSN that is synced does not mean its commit. */
TEST(protocol__05_a_commit_that_a_cure_has_cut_is_unknown)
{
    struct pair pair;
    struct stage third;
    pair_open(&pair);
    stage_put(&pair.a, "k", "v");
    CHECK(stage_has(&pair.b, "k", "v"));
    struct part *writer = stage_cast(&pair.b, do_put, "lost", "?");
    part_until_appended(writer);
    stage_poison(&pair.a);
    cure(&third, &pair.a);
    for (int i = 0; i < 8; i++)
        stage_put(&third, "k", i % 2 ? "odd" : "even");
    CHECK(stage_has(&pair.b, "k", "odd"));
    CHECK_EQ(part_finish(writer), SCN_UNKNOWN);
    CHECK(stage_has(&pair.b, "lost", NULL));
    stage_close(&third);
    pair_close(&pair);
}

/* Somebody is about to sync his record when the sync of a checkpoint fails, which loses
 * the record: it is written once more. */
TEST(protocol__05_a_cure_waits_for_who_syncs)
{
    struct pair pair;
    struct stage third;
    pair_open(&pair);
    stage_put(&pair.a, "k", "v");
    struct part *checkpoint = stage_cast(&pair.a, do_checkpoint, "checkpoint", NULL);
    part_until(checkpoint, SIM_SYNC, SIM_AT_BEGIN);
    CHECK(stage_has(&pair.b, "k", "v"));
    struct part *writer = stage_cast(&pair.b, do_put, "late", "1");
    part_until(writer, SIM_DSYNC, SIM_AT_BEGIN);
    stage_fail(&pair.a, SIM_SYNC, 1, EIO);
    CHECK(part_finish(checkpoint) < 0);
    stage_come(&third, &pair.a, 0);
    struct part *opener = stage_cast(&third, do_open, "cure", NULL);
    (void)sim_actor_run(opener->actor, NULL);
    scn_status st = part_finish(writer);
    CHECK(st == SCN_OK || st == SCN_UNKNOWN);
    CHECK_OK(part_await(opener));
    CHECK(st == SCN_UNKNOWN || stage_has(&third, "late", "1"));
    stage_put(&pair.b, "k", "w");
    CHECK(st == SCN_UNKNOWN || stage_has(&third, "late", "1"));
    stage_close(&third);
    pair_close(&pair);
}

/* So long that it is synced through the file. */
TEST(protocol__05_a_long_sync_that_failed_unnoticed_is_made_good)
{
    struct pair pair;
    pair_open(&pair);
    stage_put(&pair.a, "a", "0");
    struct part *first = stage_cast(&pair.a, do_put, "b", "1");
    first->len = STAGE_LONG_BYTES;
    part_until_appended(first);
    struct part *second = stage_cast(&pair.b, do_put, "c", "2");
    second->len = STAGE_LONG_BYTES;
    part_until_line(second, PUBLISH_APPEND, SIM_AT_END);
    stage_fail(&pair.b, SIM_SYNC, 1, EIO);
    part_until(second, SIM_SYNC, SIM_AT_END);
    stage_leave(&pair.b);
    CHECK_OK(part_finish(first));
    stage_put(&pair.a, "d", "3");
    stage_cut(&pair.a, SIM_KEEP_NONE);
    CHECK(stage_has_long(&pair.a, "b", "1", STAGE_LONG_BYTES));
    CHECK(stage_has_long(&pair.a, "c", "2", STAGE_LONG_BYTES));
    CHECK(stage_has(&pair.a, "d", "3"));
    stage_close(&pair.a);
}

/* ---- 9: what is visible ---- */

/* Another thread of the process begins while the lazy commit is not told: who begins
 * later, in another process, must not see less. */
TEST(protocol__09_a_lazy_commit_is_shown_when_it_is_told)
{
    struct pair pair;
    pair_open(&pair);
    stage_put(&pair.a, "x", "y");
    struct part *lazy = stage_cast(&pair.a, do_put_lazily, "lazy", "1");
    part_until_line(lazy, PUBLISH_APPEND, SIM_AT_BEGIN);
    CHECK(stage_has(&pair.a, "lazy", NULL));
    CHECK(stage_has(&pair.b, "lazy", NULL));
    CHECK_OK(part_finish(lazy));
    CHECK(stage_has(&pair.b, "lazy", "1"));
    pair_close(&pair);
}

/* A close is a sync, also of who is not the last. */
TEST(protocol__09_who_leaves_others_behind_leaves_no_lazy_commit)
{
    struct pair pair;
    pair_open(&pair);
    stage_put(&pair.a, "x", "y");
    CHECK_OK(part_finish(stage_cast(&pair.b, do_put_lazily, "lazy", "1")));
    stage_close(&pair.b);
    stage_cut(&pair.a, SIM_KEEP_NONE);
    CHECK(stage_has(&pair.a, "lazy", "1"));
    stage_close(&pair.a);
}

/* ---- 10: the base ---- */

TEST(protocol__10_the_base_is_where_the_deltas_end)
{
    struct stage stage;
    stage_open(&stage, 0);
    stage_put(&stage, "k", "v");
    struct part *checkpoint = stage_cast(&stage, do_checkpoint, "checkpoint", NULL);
    part_until_appended(checkpoint);
    stage_put(&stage, "late", "1");
    CHECK_OK(part_finish(checkpoint));
    stage_kill(&stage);
    CHECK(stage_has(&stage, "k", "v"));
    CHECK(stage_has(&stage, "late", "1"));
    stage_close(&stage);
}

/* ---- 16: updates ---- */

struct settling {
    struct store *store;
    uint64_t lsn;
};

static bool is_settled(void *ctx)
{
    const struct settling *settling = ctx;
    return log_synced(settling->store->log) >= settling->lsn;
}

/* Its three attempts have failed; before it has the lock somebody commits once more, and
 * does not sync. */
TEST(protocol__16_the_last_attempt_sees_what_waits_for_its_sync)
{
    struct pair pair;
    pair_open(&pair);
    struct store *store = store_of(&pair.a);
    stage_put(&pair.a, "k", "old");
    struct part *update = stage_cast(&pair.a, do_update, "k", "updated");
    for (uint64_t no = 1; no <= 3; no++) {
        while (update->count < no)
            part_until(update, SIM_CLOCK, SIM_AT_BEGIN);
        part_until_appended(stage_cast(&pair.a, do_put, "k", "disturbed"));
        struct settling settling = {store, log_appended(store->log)};
        part_until_holds(update, SIM_MUTEX_UNLOCK, SIM_AT_END, is_settled, &settling);
    }
    part_until_lock(update, LOCK_BASE + LOCK_APPEND, 1, SIM_AT_BEGIN);
    CHECK(stage_has(&pair.b, "k", "disturbed")); /* it has followed */
    part_until_appended(stage_cast(&pair.b, do_put, "k", "late"));
    CHECK_OK(part_finish(update));
    CHECK_EQ(update->count, 4);
    CHECK(stage_has(&pair.b, "k", "updated"));
    stage_finish(&pair.b);
    pair_close(&pair);
}

/* SCN_CONFLICT until it has the append lock. */
static scn_status put_the_fourth_time(scn_txn *txn, void *ctx)
{
    struct part *part = ctx;
    if (++part->count < 4)
        return SCN_CONFLICT;
    scn_status st = scn_set_durability(txn, part->durability);
    return st == SCN_OK ? txn_put(txn, part->key, part->value, 0) : st;
}

static void do_insist(struct part *part)
{
    part->st = scn_update(part->stage->db, put_the_fourth_time, part);
}

/* Nobody else can append, so nobody comes to share its sync. */
TEST(protocol__16_the_last_attempt_waits_for_no_company)
{
    struct stage stage;
    stage_init(&stage, 0);
    stage.options.group_window_ms = 10000;
    stage_begin(&stage);
    uint64_t begun = stage.sys->ops->now_ns(stage.sys);
    struct part *update = stage_cast(&stage, do_insist, "k", "v");
    update->durability = SCN_SYNC_GROUP;
    CHECK_OK(part_finish(update));
    CHECK(stage.sys->ops->now_ns(stage.sys) - begun < UINT64_C(5000000000));
    CHECK(stage_has(&stage, "k", "v"));
    stage_close(&stage);
}

static bool has_append(void *ctx)
{
    struct store *store = ctx;
    return atomic_load(&store->locks.owner[LOCK_APPEND]) != 0;
}

static void do_rest(struct part *part)
{
    peers_rest(part->stage->db->store);
}

static void be_idle_for_long(struct store *store)
{
    store->rest_rounds = 1000;
    store->rest_count = store->begin_count;
    atomic_store(&store->delta_debt, 2 << 20);
}

/* It holds the append lock from before its snapshot to its commit, and what it has learnt
 * under it must not be given back between the two. */
TEST(protocol__16_nothing_is_given_back_under_the_last_attempt)
{
    struct pair pair;
    pair_open(&pair);
    struct store *store = store_of(&pair.b);
    stage_put(&pair.a, "k", "old");
    CHECK(stage_has(&pair.b, "k", "old"));
    struct part *update = stage_cast(&pair.b, do_insist, "k", "new");
    part_until_holds(update, SIM_MUTEX_LOCK, SIM_AT_END, has_append, store);
    peers_rest(store);
    peers_rest(store); /* now its view is not pinned */
    be_idle_for_long(store);
    struct part *idle = stage_cast(&pair.b, do_rest, "rest", NULL);
    part_blocks(idle); /* until what others have done is known */
    for (int looks = 0; looks < 3; looks++) /* with the lock, the pin, at the begin */
        part_until_pages(update, SIM_READ, SIM_AT_END, PUBLISH_PAGE_NO,
                         PUBLISH_PAGE_NO + 1);
    part_until(idle, SIM_MUTEX_UNLOCK, SIM_AT_END);
    part_blocks(update);
    CHECK_EQ(part_finish(idle), SCN_INTERRUPTED);
    CHECK_OK(part_finish(update));
    CHECK(stage_has(&pair.a, "k", "new"));
    pair_close(&pair);
}

/* ---- 18: adopting ---- */

/* Nobody knows whether its owner has failed at something. */
TEST(protocol__18_what_is_adopted_waits_for_a_sync)
{
    struct pair pair;
    struct stage third;
    pair_open(&pair);
    stage_join(&third, &pair.a, 0);
    stage_put(&pair.a, "a", "first");
    die_behind_record(&pair.b, "b", "second");
    struct part *writer = stage_cast(&pair.a, do_put, "c", "third");
    part_until_appended(writer);
    CHECK(stage_has(&third, "b", NULL));
    CHECK(stage_has(&pair.a, "b", NULL));
    CHECK_OK(part_finish(writer));
    CHECK(stage_has(&third, "b", "second"));
    stage_close(&third);
    stage_close(&pair.a);
}

/* A bit is flipped in the n-th read of who appends.  False: it does not read so often. */
static bool append_misled(struct stage *stage, uint64_t nth)
{
    struct sim_fault fault = {.kind = SIM_FLIP, .call = SIM_READ, .nth = nth, .bit = 300};
    sim_fault_set(stage->sys, &fault);
    (void)part_finish(stage_cast(stage, do_put, "c", "third"));
    bool has_struck = sim_fault_hits(stage->sys) > 0;
    sim_fault_clear(stage->sys);
    return has_struck;
}

/* What somebody has adopted, and made durable, is known to be there. */
TEST(protocol__18_what_was_adopted_is_not_overwritten)
{
    bool has_struck = true;
    for (uint64_t nth = 1; has_struck; nth++) {
        struct pair pair;
        struct stage third;
        pair_open(&pair);
        stage_join(&third, &pair.a, 0);
        stage_put(&pair.a, "a", "first");
        CHECK(stage_has(&third, "a", "first"));
        die_behind_record(&pair.b, "b", "second");
        stage_speak(&pair.a);
        CHECK_OK(append_enter(store_of(&pair.a), 100));
        append_leave(store_of(&pair.a));
        has_struck = append_misled(&third, nth);
        stage_leave(&third);
        CHECK(stage_has(&pair.a, "none", NULL));
        stage_put(&pair.a, "d", "fourth");
        stage_kill(&pair.a);
        CHECK(stage_has(&pair.a, "b", "second"));
        CHECK(stage_has(&pair.a, "d", "fourth"));
        stage_close(&pair.a);
    }
}

TEST(protocol__18_what_was_appended_is_not_overwritten)
{
    bool has_struck = true;
    for (uint64_t nth = 1; has_struck; nth++) {
        struct pair pair;
        pair_open(&pair);
        stage_put(&pair.a, "a", "first");
        CHECK(stage_has(&pair.b, "a", "first"));
        struct part *writer = stage_cast(&pair.a, do_put, "b", "second");
        part_until_appended(writer);
        has_struck = append_misled(&pair.b, nth);
        stage_leave(&pair.b);
        CHECK_OK(part_finish(writer));
        stage_kill(&pair.a);
        CHECK(stage_has(&pair.a, "b", "second"));
        stage_close(&pair.a);
    }
}

/* A sync has failed, so the cure finds no record on the medium; the page cache still
 * shows it, right behind the end.  What comes before is known to be durable, so nothing
 * is written again. */
TEST(protocol__18_what_a_cure_has_cut_does_not_come_back)
{
    struct pair pair;
    struct stage third;
    stage_open(&pair.a, 0);
    stage_put(&pair.a, "k", "v");
    stage_reopen(&pair.a);
    stage_join(&pair.b, &pair.a, 0);
    stage_poison(&pair.a);
    cure(&third, &pair.a);
    CHECK(stage_has(&third, "unknown", NULL));
    stage_put(&third, "k", "w");
    CHECK(stage_has(&third, "unknown", NULL));
    stage_put(&pair.b, "k", "x");
    CHECK(stage_has(&pair.b, "unknown", NULL));
    stage_close(&third);
    pair_close(&pair);
}

/* ---- 19: coming ---- */

/* A reader finds nobody; somebody comes and writes before it has remembered of what
 * session that was. */
TEST(protocol__19_who_comes_waits_for_a_reader_that_looks)
{
    bool is_over = false;
    for (uint64_t nth = 0; !is_over; nth++) {
        struct stage a;
        struct stage b;
        struct stage reader;
        stage_open(&a, 0);
        stage_put(&a, "k", "old");
        stage_leave(&a);
        stage_come(&reader, &a, SCN_RDONLY);
        stage_come(&b, &a, 0);
        struct part *look = stage_cast(&reader, do_open, "reader", NULL);
        struct sim_stop stop = {.step = SIM_READ, .when = SIM_AT_BEGIN, .nth = nth};
        is_over = sim_actor_run(look->actor, &stop) == SIM_ENDED;
        struct part *opener = stage_cast(&b, do_open, "opener", NULL);
        (void)sim_actor_run(opener->actor, NULL);
        CHECK_OK(part_await(look));
        CHECK_OK(part_await(opener));
        stage_put(&b, "k", "new");
        CHECK(stage_has(&reader, "k", "new"));
        stage_close(&reader);
        stage_close(&b);
        stage_close(&a);
    }
}

/* ---- 24: spares that are given up ---- */

struct giving {
    struct log *log;
    uint32_t spares;
};

static bool has_given_up(void *ctx)
{
    const struct giving *giving = ctx;
    return log_spare_count(giving->log) < giving->spares;
}

/* A checkpoint that drains is about to write its superblock; whether it gives extents
 * up. */
static bool stop_giving_up(struct stage *stage, struct part **checkpoint)
{
    uint32_t spares = log_spare_count(store_of(stage)->log);
    struct giving giving = {store_of(stage)->log, spares};
    struct sim_stop stop = {.step = SIM_WRITE, .to = 2 * PAGE_BYTES};
    stop.holds = has_given_up;
    stop.ctx = &giving;
    *checkpoint = stage_cast(stage, do_drain, "checkpoint", NULL);
    return sim_actor_run((*checkpoint)->actor, &stop) == SIM_STOPPED;
}

/* Spares, and pages that are free. */
static void fill_and_clear(struct stage *stage)
{
    stage_put_long(stage, "bulk", "old", BULK_BYTES);
    for (int i = 0; i < 4; i++) {
        stage_put_long(stage, "long", "long", STAGE_LONG_BYTES);
        stage_checkpoint(stage);
    }
    stage_del(stage, "bulk");
    stage_del(stage, "long");
}

/* A checkpoint has listed the extents that it gives up, and its superblock is not
 * there. */
TEST(protocol__24_nobody_links_a_spare_that_is_being_given_up)
{
    struct pair pair;
    struct part *checkpoint;
    pair_open(&pair);
    fill_and_clear(&pair.a);
    CHECK(stage_has(&pair.b, "bulk", NULL));
    bool gives_up = stop_giving_up(&pair.a, &checkpoint);
    CHECK(gives_up || !PAGE_IS_SMALL);
    struct part *writer = stage_cast(&pair.b, do_put, "even", "long");
    writer->len = STAGE_LONG_BYTES;
    if (sim_actor_run(writer->actor, NULL) == SIM_ENDED)
        stage_put_long(&pair.b, "odd", "long", STAGE_LONG_BYTES);
    CHECK_OK(part_finish(checkpoint));
    scn_status st = part_await(writer); /* the log that it lacks may be gone */
    CHECK(st == SCN_OK || st == SCN_CONFLICT);
    for (int i = 0; i < 4; i++) {
        stage_put_long(&pair.a, "long", "again", STAGE_LONG_BYTES);
        stage_checkpoint(&pair.a);
    }
    CHECK_EQ(stage_has_long(&pair.b, "even", "long", STAGE_LONG_BYTES), st == SCN_OK);
    stage_check_file(&pair.a);
    pair_close(&pair);
}

/* It has failed: the superblock is in the page cache, and the medium has the one before.
 * What it was about to give up is the log's again. */
TEST(protocol__24_spares_of_a_failed_checkpoint_come_back_with_the_cure)
{
    struct pair pair;
    struct part *checkpoint;
    pair_open(&pair);
    fill_and_clear(&pair.a);
    bool gives_up = stop_giving_up(&pair.a, &checkpoint);
    CHECK(gives_up || !PAGE_IS_SMALL);
    stage_fail(&pair.a, SIM_SYNC, 1, EIO);
    CHECK(part_finish(checkpoint) < 0 || !gives_up);
    CHECK(stage_has(&pair.b, "bulk", NULL));
    stage_speak(&pair.b);
    CHECK_OK(session_cure(store_of(&pair.b)));
    stage_put(&pair.b, "k", "v");
    CHECK_EQ(log_spare_count(store_of(&pair.b)->log),
             store_of(&pair.b)->superblock.spare_count);
    stage_checkpoint(&pair.b);
    stage_check_file(&pair.b);
    pair_close(&pair);
}

/* ---- 21: LSNs ---- */

static bool is_durable(struct stage *stage)
{
    scn_txn *txn = stage_txn(stage, SCN_WRITE);
    uint64_t lsn;
    CHECK_OK(scn_commit_at(txn, &lsn));
    return scn_wait_durable(stage->db, lsn, -1) == SCN_OK;
}

/* The LSN of a snapshot before the session's first commit is below all of its own, and a
 * recovery has made durable what it stands for. */
TEST(protocol__21_what_a_session_begins_with_is_durable)
{
    struct pair pair;
    stage_open(&pair.a, 0);
    stage_put(&pair.a, "k", "v");
    stage_reopen(&pair.a);
    stage_join(&pair.b, &pair.a, 0);
    CHECK(is_durable(&pair.a));
    CHECK(is_durable(&pair.b));
    stage_poison(&pair.a);
    stage_speak(&pair.a);
    CHECK_OK(session_cure(store_of(&pair.a)));
    CHECK(is_durable(&pair.a));
    CHECK(is_durable(&pair.b));
    pair_close(&pair);
}
