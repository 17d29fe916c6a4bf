/* Memory that runs out inside a transaction: each allocation of a story fails once.
 *
 * The story keeps to calls of one transaction, so the only thing that may be said is
 * SCN_NOMEM, or that the outcome is unknown where a write to a store in memory met it.
 * Afterwards the transaction can be ended, nothing is lost or half there, and all memory
 * comes back.  An allocator can only be set before the first allocation: hence a program
 * of its own. */
#include "test/api/kit.h"

static struct {
    uint64_t count;
    uint64_t nth; /* 0: none fails */
    int64_t live;
} memory;

static void *take(void *user, size_t size)
{
    (void)user;
    if (++memory.count == memory.nth)
        return NULL;
    void *block = malloc(size);
    memory.live += block != NULL;
    return block;
}

static void give(void *user, void *block)
{
    (void)user;
    memory.live -= block != NULL;
    free(block);
}

__attribute__((constructor)) static void set_allocator(void)
{
    if (scn_set_allocator(take, give, NULL) != SCN_OK)
        abort();
}

struct story {
    scn_db *db;
    scn_table_id id; /* has the row "old" */
    scn_txn *txn;
};

typedef scn_status (*plot)(struct story *story);

/* A replaced allocator has to fill the whole pool with zeros. */
static scn_db *open_quiet(void)
{
    scn_options options;
    scn_db *db = NULL;
    scn_options_init(&options);
    options.flags = SCN_NOTHREAD;
    options.pool_bytes = 1 << 20;
    CHECK_OK(scn_open(":memory:", &options, &db));
    return db;
}

static bool is_from_memory(scn_status st)
{
    return st == SCN_NOMEM || st == SCN_UNKNOWN || st == SCN_POISONED || st == SCN_IO;
}

/* False: the story has no such allocation. */
static bool tell(plot tell_it, uint64_t nth)
{
    struct story story = {.db = open_quiet()};
    story.id = kit_table(story.db, "t");
    kit_write(story.db, story.id, "old", "1");
    memory.count = 0;
    memory.nth = nth;
    scn_status st = scn_begin(story.db, SCN_WRITE, &story.txn);
    if (st == SCN_OK)
        st = tell_it(&story);
    bool has_failed = memory.count >= nth;
    memory.nth = 0;
    if (st < 0 && !is_from_memory(st))
        unit_fail(__FILE__, __LINE__, "allocation %llu: %d", (unsigned long long)nth, st);
    scn_abort(story.txn);
    CHECK(kit_committed(story.db, story.id, "old", "1"));
    st = scn_close(story.db);
    CHECK(st == SCN_OK || st == SCN_UNKNOWN);
    return has_failed;
}

static void tell_all(plot tell_it)
{
    uint64_t nth = 1;
    scn_close(open_quiet()); /* what the process keeps */
    int64_t before = memory.live;
    while (tell(tell_it, nth)) {
        CHECK_EQ(memory.live, before);
        nth++;
    }
    CHECK(nth > 5);
}

/* Enough for bulk runs: at the latest, the commit makes them. */
enum { ROWS = KIT_IS_SMALL ? 100 : 20, VALUE_BYTES = KIT_IS_SMALL ? 3000 : 60000 };

static scn_status put_rows(struct story *story, scn_table_id id)
{
    static uint8_t value[VALUE_BYTES];
    char key[16];
    scn_status st = SCN_OK;
    for (uint32_t i = 0; i < ROWS && st == SCN_OK; i++)
        st = scn_put(story->txn, id, kit_number_key(key, i),
                     (scn_slice){value, VALUE_BYTES}, 0);
    return st;
}

static scn_status commit(struct story *story)
{
    scn_txn *txn = story->txn;
    story->txn = NULL;
    return scn_commit(txn);
}

/* Rows of the catalog stay in memory: here more than the first block of a write set
 * holds. */
static scn_status create_and_spill(struct story *story)
{
    enum { TABLES = 40 };
    scn_table_id id = 0;
    uint32_t savepoint;
    scn_status st = SCN_OK;
    for (int i = 0; i < TABLES && st == SCN_OK; i++) {
        char name[100];
        snprintf(name, sizeof name, "a table with a name that is not short, number %d",
                 i);
        st = scn_table(story->txn, name, SCN_CREATE, &id);
    }
    if (st == SCN_OK)
        st = scn_savepoint(story->txn, &savepoint);
    if (st == SCN_OK)
        st = put_rows(story, id);
    return st == SCN_OK ? commit(story) : st;
}

TEST(memory__runs_out_while_a_transaction_with_new_tables_is_spilled)
{
    tell_all(create_and_spill);
}

/* ---- the other calls ---- */

enum { FEW = 30 };

static scn_status put_few(struct story *story)
{
    scn_status st = SCN_OK;
    for (uint32_t i = 0; i < FEW && st == SCN_OK; i++) {
        char key[200] = {0};
        snprintf(key, sizeof key, "%03u and a tail that makes the key a long one: %090u",
                 i, i);
        st = scn_put(story->txn, story->id, text(key), text(key), 0);
    }
    return st;
}

static scn_status walk(struct story *story, bool forward)
{
    scn_cursor *cursor;
    scn_slice key;
    scn_slice value;
    scn_status st = scn_cursor_open(story->txn, story->id, &cursor);
    if (st == SCN_OK)
        st = scn_cursor_prefix(cursor, text("0"));
    while (st == SCN_OK)
        st = forward ? scn_next(cursor, &key, &value) : scn_prev(cursor, &key, &value);
    if (st == SCN_END)
        st = scn_seek(cursor, text("015"), SCN_LE, &key, &value);
    if (st == SCN_OK)
        st = scn_put(story->txn, story->id, key, value, SCN_PUT_SAME);
    scn_cursor_close(cursor);
    return st;
}

static scn_status read_and_walk(struct story *story)
{
    scn_slice keys[3] = {text("old"), text("new"), text("001")};
    scn_slice values[3];
    scn_status statuses[3];
    uint64_t count;
    scn_status st = put_few(story);
    if (st == SCN_OK)
        st = walk(story, true);
    if (st == SCN_OK)
        st = walk(story, false);
    if (st == SCN_OK)
        st = scn_get_many(story->txn, story->id, keys, 3, values, statuses);
    if (st == SCN_OK)
        st = scn_table_count(story->txn, story->id, &count);
    if (st == SCN_OK && count != FEW + 1)
        st = SCN_CORRUPT;
    return st == SCN_OK ? commit(story) : st;
}

TEST(memory__runs_out_while_rows_are_read_and_walked)
{
    tell_all(read_and_walk);
}

static scn_status take_back(struct story *story)
{
    uint32_t savepoint;
    uint64_t removed;
    scn_status st = SCN_OK;
    for (int i = 0; i < 20 && st == SCN_OK; i++)
        st = scn_savepoint(story->txn, &savepoint);
    if (st == SCN_OK)
        st = put_few(story);
    if (st == SCN_OK)
        st = scn_add(story->txn, story->id, text("sum"), 1, 0, 10);
    if (st == SCN_OK)
        st = scn_del_range(story->txn, story->id, text("0"), text("1"), &removed);
    if (st == SCN_OK)
        st = scn_table_clear(story->txn, story->id);
    if (st == SCN_OK)
        st = scn_rollback_to(story->txn, savepoint);
    for (int i = 0; i < 40 && st == SCN_OK; i++) {
        char key[16];
        st = scn_add(story->txn, story->id, kit_number_key(key, (uint32_t)i), 1, 0, 10);
    }
    return st == SCN_OK ? commit(story) : st;
}

TEST(memory__runs_out_while_writes_are_taken_back_and_added_to)
{
    tell_all(take_back);
}

static scn_status name_tables(void *ctx, const char *name, scn_table_id id)
{
    (void)name;
    return id ? scn_table_rename(ctx, id, "another name") : SCN_OK;
}

static scn_status update_quietly(scn_txn *txn, void *ctx)
{
    struct story *story = ctx;
    scn_slice value;
    scn_status st = scn_get(txn, story->id, text("old"), &value);
    return st == SCN_OK ? scn_put(txn, story->id, text("new"), value, 0) : st;
}

static scn_status call_once(struct story *story)
{
    scn_table_stat stat = {.struct_size = sizeof stat};
    void *copy = NULL;
    size_t size;
    scn_lock *lock = NULL;
    scn_status st = scn_table_each(story->txn, name_tables, story->txn);
    if (st == SCN_OK)
        st = scn_table_info(story->txn, story->id, &stat);
    if (st == SCN_OK)
        st = scn_table_drop(story->txn, story->id);
    if (st == SCN_OK)
        st = scn_put1(story->db, "new", text("a"), text("b"));
    if (st == SCN_OK)
        st = scn_get_copy(story->db, "new", text("a"), &copy, &size);
    scn_free(copy);
    if (st == SCN_OK)
        st = scn_update(story->db, update_quietly, story);
    if (st == SCN_OK)
        st = scn_del1(story->db, "new", text("a"));
    if (st == SCN_OK)
        st = scn_lock_try(story->db, "name", &lock);
    scn_lock_drop(lock);
    return st;
}

TEST(memory__runs_out_while_tables_are_named_and_one_call_does_all)
{
    tell_all(call_once);
}

/* ---- what sticks ---- */

static scn_status last_status(void)
{
    scn_error error = {.struct_size = sizeof error};
    scn_last_error(NULL, &error);
    return error.status;
}

/* The failure of a cursor is answered at every later call, with a sentence of its own,
 * whatever has failed in between. */
TEST(memory__that_ran_out_under_a_cursor_is_told_again)
{
    scn_db *db = open_quiet();
    scn_table_id id = kit_table(db, "t");
    kit_write(db, id, "a key that is too long for the first buffer of a cursor", "1");
    scn_txn *txn = kit_begin(db, SCN_READ);
    scn_cursor *cursor;
    CHECK_OK(scn_cursor_open(txn, id, &cursor));
    memory.count = 0;
    memory.nth = 1;
    CHECK_EQ(scn_next(cursor, NULL, NULL), SCN_NOMEM);
    memory.nth = 0;
    CHECK_EQ(scn_next(cursor, NULL, NULL), SCN_NOMEM);
    CHECK_EQ(last_status(), SCN_NOMEM);
    CHECK_EQ(scn_begin(db, SCN_READ, NULL), SCN_MISUSE);
    CHECK_EQ(scn_next(cursor, NULL, NULL), SCN_NOMEM);
    CHECK_EQ(last_status(), SCN_NOMEM);
    scn_abort(txn);
    CHECK_OK(scn_close(db));
}

/* ---- what was read ---- */

/* What a transaction reads while an allocation fails. */
struct reading {
    scn_txn *txn;
    scn_table_id id;
    scn_cursor *cursor; /* has handed out "a" */
};

/* Was the row "b" told, or that it is not there? */
typedef bool (*reader)(struct reading *reading);

static bool moves_on(struct reading *reading)
{
    return scn_next(reading->cursor, NULL, NULL) == SCN_OK;
}

static bool seeks(struct reading *reading)
{
    (void)scn_seek(reading->cursor, text("b"), SCN_GE, NULL, NULL);
    return moves_on(reading);
}

static bool begins_anew(struct reading *reading)
{
    (void)scn_last(reading->cursor, NULL, NULL);
    return moves_on(reading);
}

static bool is_bounded(struct reading *reading)
{
    static const char from[] = "a bound that is too long for the first buffer of a text";
    scn_slice to = text("c");
    (void)scn_cursor_bounds(reading->cursor, &(scn_slice){from, sizeof from}, &to);
    return moves_on(reading);
}

static bool is_flagged(struct reading *reading)
{
    (void)scn_cursor_flags(reading->cursor, 0);
    return moves_on(reading);
}

/* False: there is no such allocation.  Who was told of a row conflicts with whoever
 * changes it. */
static bool read_and_commit(reader read, const char *changed, uint64_t nth)
{
    scn_db *db = open_quiet();
    struct reading reading = {.id = kit_table(db, "t")};
    kit_write(db, reading.id, "a", "1");
    kit_write(db, reading.id, "b", "1");
    reading.txn = kit_begin(db, SCN_WRITE);
    CHECK_OK(scn_cursor_open(reading.txn, reading.id, &reading.cursor));
    CHECK_OK(scn_first(reading.cursor, NULL, NULL));
    memory.count = 0;
    memory.nth = nth;
    bool has_told = read(&reading);
    bool has_failed = memory.count >= nth;
    memory.nth = 0;
    kit_write(db, reading.id, changed, "2");
    scn_status st = kit_put(reading.txn, reading.id, "mine", "1");
    if (st == SCN_OK)
        st = scn_commit(reading.txn);
    else
        scn_abort(reading.txn);
    if (has_failed && (has_told || changed[0] == 'a'))
        CHECK(st < 0);
    CHECK_OK(scn_close(db));
    return has_failed;
}

TEST(memory__that_ran_out_makes_no_read_forgotten)
{
    static const reader readers[] = {seeks, begins_anew, is_bounded, is_flagged};
    for (size_t i = 0; i < sizeof readers / sizeof readers[0]; i++)
        for (int both = 0; both < 2; both++) {
            uint64_t nth = 1;
            while (read_and_commit(readers[i], both ? "b" : "a", nth))
                nth++;
            CHECK(nth > 1);
        }
}

/* The number that stands for a table that is not there stands for a failure, too. */
static bool ask_for_version(uint64_t nth)
{
    scn_db *db = open_quiet();
    scn_table_id id = kit_table(db, "t");
    scn_table_id other = kit_table(db, "other");
    scn_txn *txn = kit_begin(db, SCN_WRITE);
    memory.count = 0;
    memory.nth = nth;
    bool is_hidden = scn_table_version(txn, id) == 0;
    bool has_failed = memory.count >= nth;
    memory.nth = 0;
    CHECK(is_hidden == has_failed);
    kit_write(db, id, "b", "2");
    scn_status st = kit_put(txn, other, "mine", "1");
    if (st == SCN_OK)
        st = scn_commit(txn);
    else
        scn_abort(txn);
    CHECK(st < 0);
    CHECK_OK(scn_close(db));
    return has_failed;
}

TEST(memory__that_ran_out_hides_no_table)
{
    uint64_t nth = 1;
    while (ask_for_version(nth))
        nth++;
    CHECK(nth > 1);
}

/* What a cursor has been over counts, though the next seek had no memory to note it. */
static bool seek_without(uint64_t nth)
{
    scn_db *db = open_quiet();
    scn_table_id id = kit_table(db, "t");
    kit_write(db, id, "a", "1");
    scn_txn *txn = kit_begin(db, SCN_WRITE);
    scn_cursor *cursor;
    CHECK_OK(scn_put(txn, id, text("z"), text("1"), 0));
    CHECK_OK(scn_cursor_open(txn, id, &cursor));
    CHECK_OK(scn_first(cursor, NULL, NULL));
    kit_write(db, id, "a", "2");
    memory.count = 0;
    memory.nth = nth;
    scn_status st = scn_seek(cursor, text("z"), SCN_EQ, NULL, NULL);
    memory.nth = 0;
    CHECK_EQ(scn_commit(txn), SCN_CONFLICT);
    CHECK_OK(scn_close(db));
    return st == SCN_NOMEM;
}

TEST(memory__that_ran_out_in_a_seek_leaves_what_was_read_before)
{
    uint64_t nth = 1;
    while (seek_without(nth))
        nth++;
    CHECK(nth > 3);
}

/* Either both bounds are new, or both are what they were. */
static bool bound_without(uint64_t nth)
{
    scn_db *db = open_quiet();
    scn_table_id id = kit_table(db, "t");
    scn_slice lower = text("b");
    scn_slice upper = text("c");
    static const char tail[200] = "c";
    scn_slice key;
    kit_write(db, id, "a", "1");
    kit_write(db, id, "b", "1");
    kit_write(db, id, "c", "1");
    scn_txn *txn = kit_begin(db, SCN_READ);
    scn_cursor *cursor;
    CHECK_OK(scn_cursor_open(txn, id, &cursor));
    CHECK_OK(scn_cursor_bounds(cursor, &lower, &upper));
    memory.count = 0;
    memory.nth = nth;
    scn_slice from = {tail, sizeof tail - 1};
    scn_slice to = {tail, sizeof tail};
    scn_status st = scn_cursor_bounds(cursor, &from, &to);
    memory.nth = 0;
    if (st == SCN_NOMEM) {
        CHECK_OK(scn_first(cursor, &key, NULL));
        CHECK(key.size == 1 && memcmp(key.data, "b", 1) == 0);
        CHECK_EQ(scn_next(cursor, NULL, NULL), SCN_END);
    } else {
        CHECK_EQ(scn_first(cursor, NULL, NULL), SCN_END);
    }
    scn_abort(txn);
    CHECK_OK(scn_close(db));
    return st == SCN_NOMEM;
}

TEST(memory__that_ran_out_for_bounds_leaves_those_before)
{
    uint64_t nth = 1;
    while (bound_without(nth))
        nth++;
    CHECK_EQ(nth, 3);
}
