/* The rules of transactions, each with the interleaving that breaks a store without it.
 *
 * The number in a test's name is that of the rule in the design's list of protocol rules;
 * test/mutants/protocol has, for each, the engine without the rule. */
#include "test/schedule/stage.h"

#include "engine/txn.h"

/* A value of so many bytes makes a bulk run of its transaction. */
enum { BULK_BYTES = PAGE_IS_SMALL ? 40 << 10 : 1200 << 10 };

static scn_slice slice(const char *text)
{
    return (scn_slice){text, strlen(text)};
}

/* ---- 7: the window of validation ---- */

/* What the transaction read is overwritten, and the overwriting is merged and forgotten
 * by all but the history. */
TEST(protocol__07_history_outlives_checkpoints_while_a_writer_needs_it)
{
    struct stage stage;
    stage_open(&stage, 0);
    stage_put(&stage, "k", "old");
    scn_txn *txn = stage_txn(&stage, SCN_WRITE);
    CHECK(txn_has(txn, "k", "old"));
    stage_checkpoint(&stage);
    stage_put(&stage, "k", "new");
    for (int i = 0; i < 3; i++) {
        stage_checkpoint(&stage);
        stage_put(&stage, "other", "x");
    }
    CHECK_OK(txn_put(txn, "sum", "old", 0));
    CHECK_EQ(scn_commit(txn), SCN_CONFLICT);
    stage_close(&stage);
}

TEST(protocol__07_a_run_that_was_merged_still_conflicts)
{
    struct stage stage;
    stage_open(&stage, 0);
    stage_put(&stage, "k", "old");
    scn_txn *txn = stage_txn(&stage, SCN_WRITE);
    CHECK(txn_has(txn, "k", "old"));
    stage_put_long(&stage, "k", "bulk", BULK_BYTES);
    CHECK(atomic_load(&stage.db->store->run_count) > 0);
    for (int i = 0; i < 3; i++) {
        stage_checkpoint(&stage);
        stage_put(&stage, "other", "x");
    }
    CHECK_OK(txn_put(txn, "sum", "old", 0));
    CHECK_EQ(scn_commit(txn), SCN_CONFLICT);
    stage_close(&stage);
}

/* ---- 11: drops, clears, and ids ---- */

static scn_status drop_table(scn_txn *txn, void *ctx)
{
    (void)ctx;
    return scn_table_drop(txn, txn_table(txn, "t"));
}

TEST(protocol__11_a_clear_hides_what_is_in_the_tree)
{
    struct stage stage;
    stage_open(&stage, 0);
    stage_put(&stage, "k", "old");
    stage_put(&stage, "l", "old");
    stage_checkpoint(&stage);
    scn_txn *before = stage_txn(&stage, SCN_READ);
    CHECK_OK(scn_update(stage.db, txn_clear, NULL));
    CHECK(txn_has(before, "k", "old"));
    CHECK(stage_has(&stage, "k", NULL));
    CHECK_EQ(stage_count(&stage), 0);
    stage_put(&stage, "l", "new");
    CHECK_EQ(stage_count(&stage), 1);
    struct part *checkpoint = stage_cast(&stage, do_checkpoint, "checkpoint", NULL);
    part_until(checkpoint, SIM_SYNC, SIM_AT_BEGIN);
    CHECK(stage_has(&stage, "k", NULL));
    CHECK_OK(part_finish(checkpoint));
    CHECK(stage_has(&stage, "k", NULL));
    CHECK(stage_has(&stage, "l", "new"));
    CHECK(txn_has(before, "k", "old"));
    scn_abort(before);
    stage_close(&stage);
}

TEST(protocol__11_a_blind_put_conflicts_with_the_drop_of_its_table)
{
    struct stage stage;
    stage_open(&stage, 0);
    stage_put(&stage, "k", "old");
    scn_txn *before = stage_txn(&stage, SCN_READ);
    scn_table_id id = txn_table(before, "t");
    scn_abort(before);
    scn_txn *txn = stage_txn(&stage, SCN_WRITE | SCN_SNAPSHOT);
    CHECK_OK(scn_put(txn, id, slice("k"), slice("new"), SCN_PUT_BLIND));
    CHECK_OK(scn_update(stage.db, drop_table, NULL));
    CHECK_EQ(scn_commit(txn), SCN_CONFLICT);
    stage_reopen(&stage);
    stage_check_file(&stage);
    stage_close(&stage);
}

TEST(protocol__11_a_blind_put_conflicts_with_a_clear)
{
    struct stage stage;
    stage_open(&stage, 0);
    stage_put(&stage, "k", "old");
    scn_txn *txn = stage_txn(&stage, SCN_WRITE);
    CHECK_OK(txn_put(txn, "new", "x", SCN_PUT_BLIND));
    CHECK_OK(scn_update(stage.db, txn_clear, NULL));
    CHECK_EQ(scn_commit(txn), SCN_CONFLICT);
    CHECK_EQ(stage_count(&stage), 0);
    stage_close(&stage);
}

TEST(protocol__11_two_creators_of_tables_conflict)
{
    struct stage stage;
    scn_table_id first;
    scn_table_id second;
    stage_open(&stage, 0);
    scn_txn *one = stage_txn(&stage, SCN_WRITE);
    scn_txn *two = stage_txn(&stage, SCN_WRITE);
    CHECK_OK(scn_table(one, "one", SCN_CREATE, &first));
    CHECK_OK(scn_table(two, "two", SCN_CREATE, &second));
    CHECK_OK(scn_commit(one));
    CHECK_EQ(scn_commit(two), SCN_CONFLICT);
    stage_close(&stage);
}

/* ---- 12: puts of equal bytes ---- */

TEST(protocol__12_an_object_that_was_found_is_not_deleted_under_its_reference)
{
    struct stage stage;
    stage_open(&stage, 0);
    stage_put(&stage, "object", "bytes");
    scn_txn *writer = stage_txn(&stage, SCN_WRITE);
    CHECK_OK(txn_put(writer, "object", "bytes", SCN_PUT_SAME));
    CHECK_OK(txn_put(writer, "head", "object", SCN_PUT_BLIND));
    stage_del(&stage, "object");
    CHECK_EQ(scn_commit(writer), SCN_CONFLICT);
    /* The other way round: it was absent, and so was written. */
    writer = stage_txn(&stage, SCN_WRITE);
    CHECK_OK(txn_put(writer, "object", "bytes", SCN_PUT_SAME));
    CHECK_OK(txn_put(writer, "head", "object", SCN_PUT_BLIND));
    stage_put(&stage, "object", "bytes");
    CHECK_OK(scn_commit(writer));
    CHECK(stage_has(&stage, "object", "bytes"));
    stage_close(&stage);
}

/* ---- 13: whatever tells the user something is a read ---- */

/* The table has b, d, f, h.  Each reading is made untrue by one change, and not by
 * another. */
struct reading {
    const char *name;
    scn_status (*read)(scn_txn *txn, scn_table_id id);
    const char *put; /* by somebody else; or */
    const char *del;
    const char *harmless; /* a put that it does not notice */
};

static scn_status read_absent(scn_txn *txn, scn_table_id id)
{
    return scn_get(txn, id, slice("c"), NULL);
}

static scn_status read_row(scn_txn *txn, scn_table_id id)
{
    scn_slice value;
    return scn_get(txn, id, slice("d"), &value);
}

static scn_status read_many(scn_txn *txn, scn_table_id id)
{
    scn_slice keys[2] = {slice("b"), slice("c")};
    scn_slice values[2];
    scn_status statuses[2];
    return scn_get_many(txn, id, keys, 2, values, statuses);
}

static scn_status read_size(scn_txn *txn, scn_table_id id)
{
    uint64_t size;
    return scn_value_size(txn, id, slice("d"), &size);
}

static scn_status read_part(scn_txn *txn, scn_table_id id)
{
    char byte;
    size_t got;
    return scn_read_at(txn, id, slice("d"), 0, &byte, 1, &got);
}

static scn_status read_exists(scn_txn *txn, scn_table_id id)
{
    return scn_put(txn, id, slice("d"), slice("x"), SCN_PUT_NEW);
}

static scn_status read_del_absent(scn_txn *txn, scn_table_id id)
{
    return scn_del(txn, id, slice("c"));
}

static scn_status read_removed(scn_txn *txn, scn_table_id id)
{
    uint64_t removed;
    return scn_del_range(txn, id, slice("c"), slice("e"), &removed);
}

static scn_status read_count(scn_txn *txn, scn_table_id id)
{
    uint64_t count;
    return scn_table_count(txn, id, &count);
}

static scn_status read_version(scn_txn *txn, scn_table_id id)
{
    return scn_table_version(txn, id) ? SCN_OK : SCN_NOTFOUND;
}

static scn_status walk(scn_txn *txn, scn_table_id id, const char *from, const char *to,
                       int steps)
{
    scn_cursor *cursor;
    scn_slice low = slice(from);
    scn_slice high = slice(to);
    scn_slice key;
    CHECK_OK(scn_cursor_open(txn, id, &cursor));
    CHECK_OK(scn_cursor_bounds(cursor, &low, &high));
    scn_status st = scn_first(cursor, &key, NULL);
    for (int i = 1; i < steps && st == SCN_OK; i++)
        st = scn_next(cursor, &key, NULL);
    scn_cursor_close(cursor);
    return st;
}

/* To b and d, so e is beyond what it was told. */
static scn_status read_walk(scn_txn *txn, scn_table_id id)
{
    return walk(txn, id, "a", "z", 2);
}

static scn_status read_to_end(scn_txn *txn, scn_table_id id)
{
    return walk(txn, id, "e", "h", 5);
}

static scn_status read_nothing(scn_txn *txn, scn_table_id id)
{
    return walk(txn, id, "i", "k", 1);
}

static scn_status read_backwards(scn_txn *txn, scn_table_id id)
{
    scn_cursor *cursor;
    scn_slice key;
    CHECK_OK(scn_cursor_open(txn, id, &cursor));
    scn_status st = scn_seek(cursor, slice("e"), SCN_LE, &key, NULL);
    if (st == SCN_OK)
        st = scn_prev(cursor, &key, NULL);
    scn_cursor_close(cursor);
    return st;
}

static scn_status read_and_roll_back(scn_txn *txn, scn_table_id id)
{
    uint32_t savepoint;
    CHECK_OK(scn_savepoint(txn, &savepoint));
    CHECK_OK(scn_put(txn, id, slice("x"), slice("x"), 0));
    CHECK_EQ(scn_get(txn, id, slice("c"), NULL), SCN_NOTFOUND);
    return scn_rollback_to(txn, savepoint);
}

static const struct reading readings[] = {
    {"NOTFOUND", read_absent, "c", NULL, "e"},
    {"a value", read_row, "d", NULL, "e"},
    {"that a row is there", read_row, NULL, "d", "e"},
    {"several", read_many, "c", NULL, "d"},
    {"a size", read_size, "d", NULL, "e"},
    {"a part", read_part, "d", NULL, "e"},
    {"EXISTS", read_exists, NULL, "d", "e"},
    {"what a deletion found", read_del_absent, "c", NULL, "e"},
    {"how many were removed", read_removed, "cc", NULL, "f"},
    {"a count", read_count, "g", NULL, NULL},
    {"a version", read_version, "g", NULL, NULL},
    {"a walk", read_walk, "a", NULL, "e"},
    {"a walk to the end", read_to_end, "g", NULL, "i"},
    {"an empty range", read_nothing, "j", NULL, "l"},
    {"a walk backwards", read_backwards, "c", NULL, "a"},
    {"what was rolled back", read_and_roll_back, "c", NULL, "e"},
};

static void lay_rows(struct stage *stage)
{
    static const char *const keys[] = {"b", "d", "f", "h"};
    stage_open(stage, 0);
    for (int i = 0; i < 4; i++) {
        stage_put(stage, keys[i], "1");
        if (i == 1)
            stage_checkpoint(stage); /* some in the tree, some in the delta */
    }
}

static scn_status read_then_commit(const struct reading *reading, const char *put,
                                   const char *del)
{
    struct stage stage;
    lay_rows(&stage);
    scn_txn *txn = stage_txn(&stage, SCN_WRITE);
    if (reading->read(txn, txn_table(txn, "t")) < 0)
        unit_fail(__FILE__, __LINE__, "reading %s fails", reading->name);
    if (put)
        stage_put(&stage, put, "2");
    if (del)
        stage_del(&stage, del);
    CHECK_OK(txn_put(txn, "result", "x", SCN_PUT_BLIND));
    scn_status st = scn_commit(txn);
    stage_close(&stage);
    return st;
}

TEST(protocol__13_whatever_tells_the_user_something_is_a_read)
{
    for (size_t i = 0; i < sizeof readings / sizeof *readings; i++) {
        const struct reading *reading = &readings[i];
        scn_status st = read_then_commit(reading, reading->put, reading->del);
        if (st != SCN_CONFLICT)
            unit_fail(__FILE__, __LINE__, "%s is no read: the commit says %d",
                      reading->name, st);
        if (reading->harmless)
            st = read_then_commit(reading, reading->harmless, NULL);
        if (reading->harmless && st != SCN_OK)
            unit_fail(__FILE__, __LINE__, "%s conflicts with %s: %d", reading->name,
                      reading->harmless, st);
    }
}

/* More than a read set has room for: it becomes ranges, and then whole tables. */
TEST(protocol__13_a_read_set_past_its_budget_forgets_nothing)
{
    enum { KEYS = 20000 };
    char key[32];
    struct stage stage;
    stage_open(&stage, 0);
    for (int is_changed = 0; is_changed < 2; is_changed++) {
        scn_txn *txn = stage_txn(&stage, SCN_WRITE);
        scn_table_id id = txn_table(txn, "t");
        for (int i = 0; i < KEYS; i++) {
            snprintf(key, sizeof key, "a-rather-long-key-%07d", i);
            CHECK_EQ(scn_get(txn, id, slice(key), NULL), SCN_NOTFOUND);
        }
        if (is_changed)
            stage_put(&stage, "a-rather-long-key-0000003", "x");
        CHECK_OK(txn_put(txn, "result", "x", SCN_PUT_BLIND));
        CHECK_EQ(scn_commit(txn), is_changed ? SCN_CONFLICT : SCN_OK);
    }
    stage_close(&stage);
}

/* ---- 16: scn_update gets through ---- */

/* What it conflicts with is appended and not visible, and its owner does not run. */
TEST(protocol__16_an_update_gets_past_a_commit_that_nobody_syncs)
{
    struct stage stage;
    stage_open(&stage, 0);
    stage_put(&stage, "k", "old");
    struct part *writer = stage_cast(&stage, do_put, "k", "unsynced");
    part_until_appended(writer);
    CHECK_EQ(atomic_load(&stage.db->store->locks.owner[LOCK_APPEND]), 0);
    struct part *update = stage_cast(&stage, do_update, "k", "updated");
    CHECK_OK(part_finish(update));
    CHECK(update->count <= 4);
    CHECK(stage_has(&stage, "k", "updated"));
    stage_cut(&stage, SIM_KEEP_NONE);
    CHECK(stage_has(&stage, "k", "updated"));
    stage_close(&stage);
}

struct attempt {
    const struct part *part;
    uint64_t no;
};

static bool has_read(void *ctx)
{
    const struct attempt *attempt = ctx;
    return attempt->part->count == attempt->no;
}

/* Others commit to the same key in each of its attempts, after it has read: the last one
 * holds the lock that they take. */
TEST(protocol__16_an_update_gets_past_writers_that_never_rest)
{
    struct stage stage;
    stage_open(&stage, 0);
    stage_put(&stage, "k", "old");
    struct part *update = stage_cast(&stage, do_update, "k", "updated");
    struct attempt attempt = {update, 1};
    part_until_holds(update, SIM_CLOCK, SIM_AT_BEGIN, has_read, &attempt);
    while (atomic_load(&stage.db->store->locks.owner[LOCK_APPEND]) == 0) {
        stage_put(&stage, "k", "disturbed");
        attempt.no++;
        CHECK(attempt.no <= 4);
        part_until_holds(update, SIM_CLOCK, SIM_AT_BEGIN, has_read, &attempt);
    }
    struct part *other = stage_cast(&stage, do_put, "k", "late");
    part_blocks(other);
    CHECK_OK(part_finish(update));
    CHECK(update->count >= 2);
    CHECK(stage_has(&stage, "k", "updated"));
    stage_close(&stage);
}

/* ---- 17: a large transaction is one commit ---- */

static bool is_all_or_nothing(scn_db *db)
{
    scn_txn *txn;
    CHECK_OK(scn_begin(db, SCN_READ, &txn));
    bool has_bulk = txn_has_long(txn, "bulk", "two", BULK_BYTES);
    bool has_rest = txn_has(txn, "rest", "x");
    bool is_right = has_bulk == has_rest && txn_has(txn, "vain", NULL) &&
                    (has_bulk || txn_has(txn, "bulk", NULL));
    scn_abort(txn);
    return is_right;
}

/* More than a transaction may keep in memory: it is spilled at once. */
static void put_much(scn_txn *txn, const char *key, const char *value)
{
    char name[STAGE_TEXT_BYTES];
    CHECK_OK(txn_put_long(txn, key, value, BULK_BYTES));
    for (uint32_t len = 0; len <= WRITE_SET_BYTES_MAX; len += BULK_BYTES) {
        snprintf(name, sizeof name, "%s-%u", key, len);
        CHECK_OK(txn_put_long(txn, name, value, BULK_BYTES));
    }
}

TEST(protocol__17_a_transaction_of_several_runs_is_there_or_not)
{
    struct stage stage;
    uint32_t savepoint;
    if (!PAGE_IS_SMALL)
        return; /* a transaction keeps 48 MiB in memory there */
    stage_init(&stage, 0);
    stage.options.log_bytes *= 4;
    stage_begin(&stage);
    scn_txn *txn = stage_txn(&stage, SCN_WRITE);
    put_much(txn, "bulk", "one");
    CHECK_OK(scn_savepoint(txn, &savepoint));
    CHECK_OK(txn_put_long(txn, "vain", "one", BULK_BYTES));
    put_much(txn, "vain-too", "one");
    CHECK_OK(scn_rollback_to(txn, savepoint));
    put_much(txn, "bulk", "two");
    CHECK_OK(txn_put(txn, "rest", "x", 0));
    CHECK(txn->writes.segment_count >= 2);
    struct part *writer = stage_cast(&stage, do_commit, "writer", NULL);
    writer->txn = txn;
    struct sim_stop write = {.step = SIM_WRITE, .when = SIM_AT_END};
    while (sim_actor_run(writer->actor, &write) == SIM_STOPPED)
        stage_each_cut(&stage, is_all_or_nothing);
    CHECK_OK(writer->st);
    stage_cut(&stage, SIM_KEEP_NONE);
    CHECK(is_all_or_nothing(stage.db));
    CHECK(stage_has(&stage, "rest", "x"));
    stage_checkpoint(&stage);
    CHECK(is_all_or_nothing(stage.db));
    stage_check_file(&stage);
    stage_close(&stage);
}

/* ---- 23: nobody waits for room while he holds the append lock ---- */

/* Commits fill the log while the background thread does not run, until one of them waits
 * for a checkpoint, which needs that lock. */
TEST(protocol__23_a_full_log_stops_nobody_for_good)
{
    struct stage stage;
    struct part *part;
    enum sim_outcome outcome = SIM_ENDED;
    stage_init(&stage, STAGE_BACKGROUND);
    stage.options.busy_timeout_ms = 2000;
    stage_begin(&stage);
    while (outcome == SIM_ENDED && stage.part_count + 2 < STAGE_PARTS) {
        part = stage_cast(&stage, do_put, "k", "x");
        part->len = STAGE_LONG_BYTES;
        outcome = sim_actor_run(part->actor, NULL);
        CHECK(outcome == SIM_BLOCKED || part->st == SCN_OK);
    }
    CHECK_EQ(outcome, SIM_BLOCKED);
    struct part *other = stage_cast(&stage, do_put, "l", "y");
    part_blocks(other);
    stage_finish(&stage);
    CHECK_OK(part->st);
    CHECK_OK(other->st);
    stage_close(&stage);
}

/* ---- 33: counters and counts ---- */

static bool counter_is(struct stage *stage, const char *key, int64_t value)
{
    scn_txn *txn = stage_txn(stage, SCN_READ);
    scn_slice found;
    CHECK_OK(scn_get(txn, txn_table(txn, "t"), slice(key), &found));
    bool is = found.size == 8 && memcmp(found.data, &value, 8) == 0;
    scn_abort(txn);
    return is;
}

static struct part *cast_add(struct stage *stage, uint64_t count)
{
    struct part *part = stage_cast(stage, do_add, "counter", NULL);
    part->count = count;
    return part;
}

/* Up to the append lock: what the addition builds on has been read. */
static void wait_for_append(struct part *part)
{
    part_until_nth(part, SIM_CLOCK, SIM_AT_BEGIN, 3);
    CHECK_EQ(atomic_load(&part->stage->db->store->locks.owner[LOCK_APPEND]), 0);
}

TEST(protocol__33_additions_are_made_under_the_append_lock)
{
    struct stage stage;
    stage_open(&stage, 0);
    CHECK_OK(part_finish(cast_add(&stage, 10)));
    stage_checkpoint(&stage);
    struct part *slow = cast_add(&stage, 5);
    wait_for_append(slow);
    CHECK_OK(part_finish(cast_add(&stage, 7)));
    CHECK_OK(part_finish(slow));
    CHECK(counter_is(&stage, "counter", 22));
    stage_close(&stage);
}

TEST(protocol__33_an_addition_notices_that_its_base_was_merged)
{
    struct stage stage;
    stage_open(&stage, 0);
    CHECK_OK(part_finish(cast_add(&stage, 10)));
    stage_checkpoint(&stage);
    struct part *slow = cast_add(&stage, 5);
    wait_for_append(slow);
    CHECK_OK(part_finish(cast_add(&stage, 7)));
    stage_checkpoint(&stage);
    CHECK_OK(part_finish(slow));
    CHECK(counter_is(&stage, "counter", 22));
    stage_close(&stage);
}

TEST(protocol__33_a_read_of_a_counter_conflicts_with_an_addition)
{
    struct stage stage;
    scn_slice value;
    stage_open(&stage, 0);
    CHECK_OK(part_finish(cast_add(&stage, 10)));
    scn_txn *txn = stage_txn(&stage, SCN_WRITE);
    CHECK_OK(scn_get(txn, txn_table(txn, "t"), slice("counter"), &value));
    CHECK_OK(txn_put(txn, "seen", "10", 0));
    CHECK_OK(part_finish(cast_add(&stage, 1)));
    CHECK_EQ(scn_commit(txn), SCN_CONFLICT);
    stage_close(&stage);
}

/* Blind puts and deletions before and after a checkpoint, and one while it runs. */
TEST(protocol__33_a_count_is_exact_beside_a_checkpoint)
{
    struct stage stage;
    stage_open(&stage, 0);
    stage_put(&stage, "a", "1");
    stage_put(&stage, "b", "1");
    stage_checkpoint(&stage);
    stage_put(&stage, "b", "2");
    stage_del(&stage, "a");
    stage_put(&stage, "c", "1");
    struct part *checkpoint = stage_cast(&stage, do_checkpoint, "checkpoint", NULL);
    part_until(checkpoint, SIM_SYNC, SIM_AT_BEGIN);
    scn_txn *blind = stage_txn(&stage, SCN_WRITE);
    CHECK_OK(txn_put(blind, "c", "2", SCN_PUT_BLIND));
    CHECK_OK(txn_put(blind, "d", "1", SCN_PUT_BLIND));
    CHECK_OK(scn_commit(blind));
    CHECK_EQ(stage_count(&stage), 3);
    CHECK_OK(part_finish(checkpoint));
    CHECK_EQ(stage_count(&stage), 3);
    stage_checkpoint(&stage);
    CHECK_EQ(stage_count(&stage), 3);
    stage_close(&stage);
}

/* ---- 34: bytes are good until the next call has returned ---- */

static void do_churn(struct part *part)
{
    part->st = SCN_OK;
    for (uint32_t i = 0; i < 40; i++) {
        char key[16];
        snprintf(key, sizeof key, "row-%u", i);
        if (!stage_has_long(part->stage, key, key, PAGE_BYTES / 2))
            part->st = SCN_NOTFOUND;
    }
}

/* The value of a get is given to a put, and between the two somebody reads so much that
 * every page but those held leaves the pool. */
TEST(protocol__34_borrowed_bytes_survive_other_readers)
{
    struct stage stage;
    scn_slice value;
    stage_init(&stage, 0);
    stage.options.pool_bytes = 8 * PAGE_BYTES;
    stage_begin(&stage);
    for (uint32_t i = 0; i < 40; i++) {
        char key[16];
        snprintf(key, sizeof key, "row-%u", i);
        stage_put_long(&stage, key, key, PAGE_BYTES / 2);
    }
    stage_checkpoint(&stage);
    stage_reopen(&stage);
    scn_txn *txn = stage_txn(&stage, SCN_WRITE);
    scn_table_id id = txn_table(txn, "t");
    CHECK_OK(scn_get(txn, id, slice("row-7"), &value));
    CHECK_OK(part_finish(stage_cast(&stage, do_churn, "churn", NULL)));
    CHECK_OK(scn_put(txn, id, slice("copy"), value, 0));
    CHECK(txn_has_long(txn, "copy", "row-7", PAGE_BYTES / 2));
    CHECK_OK(scn_commit(txn));
    CHECK(stage_has_long(&stage, "copy", "row-7", PAGE_BYTES / 2));
    stage_close(&stage);
}
