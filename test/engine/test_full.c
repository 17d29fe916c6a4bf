/* A store that may not grow any more: whatever it took in, it can be emptied again, row
 * by row and as a table, though each checkpoint needs pages before it frees any. */
#include "engine/catalog.h"
#include "engine/peers.h"
#include "engine/room.h"
#include "engine/tree.h"
#include "page/bytes.h"
#include "page/leaf.h"
#include "test/engine/capped.h"
#include "test/unit/unit.h"

#include <errno.h>

/* log_bytes 0: as usual. */
static void rig_open(struct capped *rig, const struct shape *shape, uint64_t log_bytes)
{
    capped_open(rig, shape, log_bytes, unit_seed());
}

static void rig_begin(struct capped *rig, const struct shape *shape)
{
    rig_open(rig, shape, 0);
}

/* Rows until no more are taken, then other values until none are. */
static uint32_t fill(struct capped *rig)
{
    uint32_t count = 0;
    uint32_t changed = 0;
    scn_status st = SCN_OK;
    while ((st = capped_put(rig, count)) == SCN_OK)
        count++;
    CHECK_EQ(st, SCN_FULL);
    CHECK(count > 0);
    while (changed < 2 * count && (st = capped_put(rig, changed * 7 % count)) == SCN_OK)
        changed++;
    CHECK(st == SCN_OK || st == SCN_FULL);
    return count;
}

static void check_empty(struct capped *rig)
{
    uint64_t size;
    CHECK_OK(scn_checkpoint(rig->db));
    CHECK(sim_file_size(rig->disk, "store", &size));
    CHECK(size < (uint64_t)rig->shape->pages * PAGE_BYTES / 2);
}

static const struct shape shapes[] = {
    {100, 20, 1},
    {100, 200, 1},
    {200, 200, 200},
    {200, 20, VALUE_INLINE_MAX + 1},
    {200, 20, PAGE_BYTES - PAGE_HEADER_BYTES + 1},
    {200, KEY_BYTES_MAX - 24, 200},
    {200, KEY_BYTES_MAX, 1},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

TEST(full__store_can_be_emptied_row_by_row)
{
    for (int i = 0; i < SHAPES; i++) {
        struct capped rig;
        rig_begin(&rig, &shapes[i]);
        uint32_t count = fill(&rig);
        for (uint32_t number = 0; number < count; number++)
            CHECK_OK(scn_del1(rig.db, "rows", capped_key(&rig, number)));
        check_empty(&rig);
        capped_close(&rig);
    }
}

/* As who has tried a put that was too much, and goes back to make room for it. */
static scn_status delete_behind_a_rollback(struct capped *rig, uint32_t number)
{
    scn_txn *txn;
    scn_table_id table;
    uint32_t savepoint;
    scn_slice key = capped_key(rig, number);
    CHECK_OK(scn_begin(rig->db, SCN_WRITE, &txn));
    CHECK_OK(scn_table(txn, "rows", 0, &table));
    CHECK_OK(scn_savepoint(txn, &savepoint));
    CHECK_OK(scn_put(txn, table, key, capped_value(rig), 0));
    CHECK_OK(scn_rollback_to(txn, savepoint));
    CHECK_OK(scn_del(txn, table, key));
    return scn_commit(txn);
}

TEST(full__store_can_be_emptied_behind_puts_that_were_rolled_back)
{
    for (int i = 0; i < 3; i++) {
        struct capped rig;
        rig_begin(&rig, &shapes[i]);
        uint32_t count = fill(&rig);
        for (uint32_t number = 0; number < count; number++)
            CHECK_OK(delete_behind_a_rollback(&rig, number));
        check_empty(&rig);
        capped_close(&rig);
    }
}

static void check_emptied_at_once(scn_status (*empty)(scn_txn *, scn_table_id))
{
    for (int i = 0; i < SHAPES; i++) {
        struct capped rig;
        scn_txn *txn;
        scn_table_id table;
        rig_begin(&rig, &shapes[i]);
        (void)fill(&rig);
        CHECK_OK(scn_begin(rig.db, SCN_WRITE, &txn));
        CHECK_OK(scn_table(txn, "rows", 0, &table));
        CHECK_OK(empty(txn, table));
        CHECK_OK(scn_commit(txn));
        check_empty(&rig);
        capped_close(&rig);
    }
}

TEST(full__store_can_be_emptied_at_once)
{
    check_emptied_at_once(scn_table_clear);
    check_emptied_at_once(scn_table_drop);
}

/* What a bulk run needs room for is its rows and their leaves, not the whole table's. */
TEST(full__a_large_transaction_needs_no_room_for_a_copy_of_the_table)
{
    enum { ROWS = 200, LARGE = 8, PAGES = 400 };
    static const struct shape shape = {PAGES, 20, PAGE_BYTES - PAGE_HEADER_BYTES};
    struct capped rig;
    scn_txn *txn;
    scn_table_id table;
    rig_begin(&rig, &shape);
    for (uint32_t number = 0; number < ROWS; number++)
        CHECK_OK(capped_put(&rig, number));
    CHECK_OK(scn_checkpoint(rig.db));
    uint8_t *large = calloc(LARGE, PAGE_BYTES);
    CHECK_OK(scn_begin(rig.db, SCN_WRITE, &txn));
    CHECK_OK(scn_table(txn, "rows", 0, &table));
    for (uint32_t number = 0; number < LARGE; number++)
        CHECK_OK(scn_put(txn, table, capped_key(&rig, number),
                         (scn_slice){large, LARGE * PAGE_BYTES}, 0));
    CHECK_OK(scn_commit(txn));
    free(large);
    CHECK_OK(scn_checkpoint(rig.db));
    capped_close(&rig);
}

/* What a transaction has spilled before its end counts as little as itself. */
TEST(full__a_large_transaction_leaves_room_for_what_was_admitted)
{
    enum { SMALL_ROWS = 200, ROWS_MOST = 100000, LOG_PAGES = 1000 };
    static const struct shape shape = {1600, 20, PAGE_BYTES - PAGE_HEADER_BYTES + 1};
    struct capped rig;
    scn_txn *txn;
    scn_table_id table;
    rig_open(&rig, &shape, (uint64_t)LOG_PAGES * PAGE_BYTES);
    for (uint32_t number = 0; number < SMALL_ROWS; number++)
        CHECK_OK(capped_put(&rig, number));
    CHECK_OK(scn_begin(rig.db, SCN_WRITE, &txn));
    CHECK_OK(scn_table(txn, "rows", 0, &table));
    scn_status st = SCN_OK;
    for (uint32_t number = 0; st == SCN_OK && number < ROWS_MOST; number++)
        st = scn_put(txn, table, capped_key(&rig, SMALL_ROWS + number),
                     (scn_slice){rig.value, shape.value_bytes}, 0);
    CHECK_EQ(st, SCN_FULL);
    CHECK_OK(scn_checkpoint(rig.db));
    CHECK_OK(capped_put(&rig, 0));
    scn_abort(txn);
    CHECK_OK(scn_checkpoint(rig.db));
    capped_close(&rig);
}

/* ---- several processes ---- */

static scn_txn *put_many(struct capped *rig, uint32_t first, uint32_t count)
{
    scn_txn *txn;
    scn_table_id table;
    CHECK_OK(scn_begin(rig->db, SCN_WRITE, &txn));
    CHECK_OK(scn_table(txn, "rows", 0, &table));
    for (uint32_t number = 0; number < count; number++)
        CHECK_OK(scn_put(txn, table, capped_key(rig, first + number),
                         (scn_slice){rig->value, rig->shape->value_bytes}, 0));
    return txn;
}

static void empty_beside(struct capped *rig, uint32_t count)
{
    CHECK_OK(scn_checkpoint(rig->db));
    for (uint32_t number = 0; number < count; number++)
        CHECK_OK(scn_del1(rig->db, "rows", capped_key(rig, number)));
    CHECK_OK(scn_checkpoint(rig->db));
}

/* What another process has made the file longer by is not there any more: neither what it
 * may still commit, nor what it has. */
TEST(full__room_that_another_process_takes_is_given_to_nobody)
{
    enum { LARGE_ROWS = 250, LARGE_FIRST = 1 << 20, LOG_PAGES = 1000 };
    static const struct shape shape = {1600, 20, PAGE_BYTES - PAGE_HEADER_BYTES + 1};
    for (int commits = 0; commits < 2; commits++) {
        struct capped rig;
        struct capped other;
        rig_open(&rig, &shape, (uint64_t)LOG_PAGES * PAGE_BYTES);
        CHECK_OK(capped_put(&rig, 0));
        capped_join(&other, &rig, (uint64_t)LOG_PAGES * PAGE_BYTES);
        scn_txn *txn = put_many(&other, LARGE_FIRST, LARGE_ROWS);
        if (commits)
            CHECK_OK(scn_commit(txn));
        uint32_t count = fill(&rig);
        empty_beside(&rig, count);
        if (!commits)
            scn_abort(txn);
        capped_leave(&other);
        capped_close(&rig);
    }
}

/* Nor is what others have been promised meanwhile there for a large transaction. */
TEST(full__a_large_transaction_leaves_room_for_what_others_were_promised)
{
    enum { SMALL_ROWS = 200, SMALL_FIRST = 1, LARGE_FIRST = 1 << 20, LOG_PAGES = 1000 };
    static const struct shape shape = {1600, 20, PAGE_BYTES - PAGE_HEADER_BYTES + 1};
    struct capped rig;
    struct capped other;
    scn_table_id table;
    scn_status st = SCN_OK;
    rig_open(&rig, &shape, (uint64_t)LOG_PAGES * PAGE_BYTES);
    CHECK_OK(capped_put(&rig, 0));
    capped_join(&other, &rig, (uint64_t)LOG_PAGES * PAGE_BYTES);
    scn_txn *txn = put_many(&other, LARGE_FIRST, 1);
    for (uint32_t number = 0; number < SMALL_ROWS; number++)
        CHECK_OK(capped_put(&rig, SMALL_FIRST + number));
    CHECK_OK(scn_table(txn, "rows", 0, &table));
    for (uint32_t number = 1; st == SCN_OK; number++)
        st = scn_put(txn, table, capped_key(&other, LARGE_FIRST + number),
                     (scn_slice){rig.value, shape.value_bytes}, 0);
    CHECK_EQ(st, SCN_FULL);
    CHECK_OK(scn_checkpoint(rig.db));
    CHECK_OK(capped_put(&rig, 0));
    scn_abort(txn);
    capped_leave(&other);
    capped_close(&rig);
}

static scn_txn *begin_on(scn_db *db, scn_table_id *table)
{
    scn_txn *txn;
    CHECK_OK(scn_begin(db, SCN_WRITE, &txn));
    CHECK_OK(scn_table(txn, "rows", 0, table));
    return txn;
}

/* One commit of so many rows, which others follow. */
static scn_status put_some(struct capped *rig, uint32_t first, uint32_t count,
                           size_t bytes)
{
    scn_table_id table;
    scn_txn *txn = begin_on(rig->db, &table);
    for (uint32_t number = first; number < first + count; number++)
        CHECK_OK(scn_put(txn, table, capped_key(rig, number),
                         (scn_slice){rig->value, bytes}, 0));
    return scn_commit(txn);
}

/* It has done nothing for a while, and gives the memory of the log back. */
static void be_idle_for_long(struct capped *rig)
{
    struct store *store = rig->db->store;
    for (int rounds = 0; rounds < 2; rounds++)
        peers_rest(store); /* now the view is not pinned */
    store->rest_rounds = 1000;
    atomic_store(&store->delta_debt, 2 << 20);
    peers_rest(store);
    CHECK(atomic_load(&store->has_gap));
}

/* Who reads the log anew stands on the generation that it has made, and the file is
 * longer than it was then. */
TEST(full__room_that_others_took_before_the_log_is_read_anew_is_gone)
{
    enum { LARGE_ROWS = 250, LARGE_FIRST = 1 << 20, LOG_PAGES = 1000 };
    static const struct shape shape = {1600, 20, PAGE_BYTES - PAGE_HEADER_BYTES + 1};
    struct capped rig;
    struct capped other;
    rig_open(&rig, &shape, (uint64_t)LOG_PAGES * PAGE_BYTES);
    capped_join(&other, &rig, (uint64_t)LOG_PAGES * PAGE_BYTES);
    CHECK_OK(capped_put(&rig, 0));
    CHECK_OK(scn_checkpoint(rig.db));
    scn_txn *txn = put_many(&other, LARGE_FIRST, LARGE_ROWS);
    be_idle_for_long(&rig);
    uint32_t count = fill(&rig);
    empty_beside(&rig, count);
    scn_abort(txn);
    capped_leave(&other);
    capped_close(&rig);
}

/* Nor are pages between those of a generation that was made later. */
TEST(full__room_that_others_have_below_the_end_is_given_to_nobody)
{
    enum { ROWS = 10, LARGE_ROWS = 250, LARGE_FIRST = 1 << 20, LOG_PAGES = 1000 };
    static const struct shape shape = {1600, 20, PAGE_BYTES - PAGE_HEADER_BYTES + 1};
    for (int commits = 0; commits < 2; commits++) {
        struct capped rig;
        struct capped other;
        struct capped third;
        rig_open(&rig, &shape, (uint64_t)LOG_PAGES * PAGE_BYTES);
        capped_join(&other, &rig, (uint64_t)LOG_PAGES * PAGE_BYTES);
        capped_join(&third, &rig, (uint64_t)LOG_PAGES * PAGE_BYTES);
        CHECK_OK(capped_put(&rig, 0));
        scn_txn *txn = put_many(&other, LARGE_FIRST, LARGE_ROWS);
        for (uint32_t number = 0; number < ROWS; number++)
            CHECK_OK(scn_put1(third.db, "beside", capped_key(&third, number),
                              (scn_slice){third.value, shape.value_bytes}));
        CHECK_OK(checkpoint_run(third.db->store, CHECKPOINT_PLAIN));
        if (commits)
            CHECK_OK(scn_commit(txn));
        uint32_t count = fill(&rig);
        empty_beside(&rig, count);
        if (!commits)
            scn_abort(txn);
        capped_leave(&third);
        capped_leave(&other);
        capped_close(&rig);
    }
}

struct failure {
    struct capped *rig;
    struct capped *other;
    bool is_done;
    scn_txn *txn;
};

/* The checkpoint is under way, and will fail. */
static void take_room(void *ctx, struct sim_disk *disk, enum sim_call call,
                      enum sim_moment moment)
{
    struct failure *failure = ctx;
    struct sim_fault fault = {SIM_FAIL, SIM_WRITE, .nth = 1, .error = EIO};
    enum { LARGE_ROWS = 250, LARGE_FIRST = 1 << 20 };
    (void)disk;
    struct locks *locks = &failure->rig->db->store->locks;
    if (failure->is_done || call != SIM_WRITE || moment != SIM_AFTER ||
        !lock_is_mine(locks, LOCK_CHECKPOINT) || lock_is_mine(locks, LOCK_APPEND))
        return;
    failure->is_done = true;
    failure->txn = put_many(failure->other, LARGE_FIRST, LARGE_ROWS);
    sim_fault_set(failure->rig->sys, &fault);
}

TEST(full__room_that_others_take_beside_a_checkpoint_that_fails_is_gone)
{
    enum { ROWS = 100, LOG_PAGES = 1000 };
    static const struct shape shape = {1600, 20, PAGE_BYTES - PAGE_HEADER_BYTES + 1};
    struct capped rig;
    struct capped other;
    struct failure failure = {&rig, &other, false, NULL};
    rig_open(&rig, &shape, (uint64_t)LOG_PAGES * PAGE_BYTES);
    capped_join(&other, &rig, (uint64_t)LOG_PAGES * PAGE_BYTES);
    for (uint32_t number = 0; number < ROWS; number++)
        CHECK_OK(capped_put(&rig, number));
    sim_hook_set(rig.disk, take_room, &failure);
    CHECK_EQ(scn_checkpoint(rig.db), SCN_IO);
    sim_hook_set(rig.disk, NULL, NULL);
    CHECK(failure.txn != NULL);
    uint32_t count = fill(&rig);
    empty_beside(&rig, count);
    scn_abort(failure.txn);
    capped_leave(&other);
    capped_close(&rig);
}

/* Whatever a commit that was refused would have needed: what others take of the room
 * after it is seen. */
TEST(full__a_commit_that_was_refused_hides_no_growth)
{
    enum { ROWS = 16000, PART = 50, LARGE_FIRST = 1 << 20, LOG_PAGES = 1000 };
    static const struct shape shape = {3200, 8, 200};
    struct capped rig;
    struct capped other;
    scn_table_id table;
    scn_status st = SCN_OK;
    if (!PAGE_IS_SMALL)
        return; /* so many rows take few large pages */
    rig_open(&rig, &shape, (uint64_t)LOG_PAGES * PAGE_BYTES);
    CHECK_OK(capped_put(&rig, 0));
    for (uint32_t number = 0; number < ROWS; number += PART)
        CHECK_OK(put_some(&rig, number, PART, shape.value_bytes));
    CHECK_OK(scn_checkpoint(rig.db));
    capped_join(&other, &rig, (uint64_t)LOG_PAGES * PAGE_BYTES);
    CHECK_EQ(put_some(&rig, 0, ROWS / 4, 1), SCN_FULL);
    scn_txn *txn = begin_on(other.db, &table);
    for (uint32_t number = LARGE_FIRST; st == SCN_OK; number++)
        st = scn_put(txn, table, capped_key(&other, number),
                     (scn_slice){other.value, shape.value_bytes}, 0);
    CHECK_EQ(st, SCN_FULL);
    for (uint32_t number = 0; number < ROWS && put_some(&rig, number, PART, 1) == SCN_OK;)
        number += PART;
    CHECK_OK(room_admit(rig.db->store, 1, 1, shape.key_bytes, 0, false)); /* a deletion */
    CHECK_OK(scn_checkpoint(rig.db));
    scn_abort(txn);
    capped_leave(&other);
    capped_close(&rig);
}

/* Where nobody has counted what is free, since who made the generation died before he
 * told of it, or others had just been cured: the next one does, with nothing to merge. */
TEST(full__room_that_nobody_has_counted_is_counted_before_a_deletion_fails)
{
    static const struct shape shape = {1600, 20, PAGE_BYTES - PAGE_HEADER_BYTES};
    struct capped rig;
    rig_begin(&rig, &shape);
    struct store *store = rig.db->store;
    uint32_t pgno;
    (void)fill(&rig);
    CHECK_OK(scn_checkpoint(rig.db));
    uint64_t left = shape.pages - atomic_load(&store->file.page_count);
    CHECK_OK(room_grow(store, (uint32_t)left, false, false, &pgno));
    room_measure(store, 0);
    CHECK_OK(scn_del1(rig.db, "rows", capped_key(&rig, 0)));
    capped_close(&rig);
}

/* It was killed, or has given up what it was about to commit. */
static void leave_without_a_commit(struct capped *rig, scn_txn *txn, bool is_killed)
{
    if (is_killed)
        sim_process_kill(rig->sys);
    scn_abort(txn);
    (void)scn_close(rig->db);
    sim_process_destroy(rig->sys);
}

/* Rows of a transaction until no more are taken, and then single ones.  The first that
 * are refused have the rest of the room found. */
static scn_txn *fill_with_one(struct capped *rig, struct capped *other)
{
    enum { LARGE_FIRST = 1 << 20, REFUSED = 3 };
    scn_table_id table;
    scn_status st = SCN_OK;
    scn_txn *txn = begin_on(other->db, &table);
    for (uint32_t number = LARGE_FIRST; st == SCN_OK; number++)
        st = scn_put(txn, table, capped_key(other, number), capped_value(other), 0);
    CHECK_EQ(st, SCN_FULL);
    uint32_t refused = 0;
    for (uint32_t number = 1; refused < REFUSED; number++) {
        st = capped_put(rig, number);
        CHECK(st == SCN_OK || st == SCN_FULL);
        refused = st == SCN_OK ? 0 : refused + 1;
    }
    return txn;
}

/* Nobody tells that he gives pages back, and there is nothing to merge. */
TEST(full__room_that_another_process_gives_back_is_found)
{
    enum { LOG_PAGES = 1000 };
    static const struct shape shape = {800, 20, PAGE_BYTES - PAGE_HEADER_BYTES + 1};
    /* Of large pages the one run that is refused has all. */
    for (int is_killed = 0; PAGE_IS_SMALL && is_killed < 2; is_killed++) {
        struct capped rig;
        struct capped other;
        rig_open(&rig, &shape, (uint64_t)LOG_PAGES * PAGE_BYTES);
        CHECK_OK(capped_put(&rig, 0));
        CHECK_OK(scn_checkpoint(rig.db));
        capped_join(&other, &rig, (uint64_t)LOG_PAGES * PAGE_BYTES);
        scn_txn *txn = fill_with_one(&rig, &other);
        CHECK_EQ(capped_put(&rig, 1 << 16), SCN_FULL);
        leave_without_a_commit(&other, txn, is_killed);
        CHECK_OK(capped_put(&rig, 1 << 16));
        capped_close(&rig);
    }
}

/* What another process has made ready lies at the end of a file that may not grow, and
 * all before it is free: the log of who does the work has to go on there. */
TEST(full__an_extent_of_another_process_at_the_end_keeps_nobody_from_going_on)
{
    enum { LOG_PAGES = 1000, ROWS = 3000 };
    static const struct shape shape = {400, 20, 100};
    struct capped rig;
    struct capped other;
    uint32_t pgno;
    if (!PAGE_IS_SMALL)
        return; /* so few rows need no second large extent */
    rig_open(&rig, &shape, (uint64_t)LOG_PAGES * PAGE_BYTES);
    CHECK_OK(capped_put(&rig, 0));
    CHECK_OK(scn_checkpoint(rig.db));
    capped_join(&other, &rig, (uint64_t)LOG_PAGES * PAGE_BYTES);
    struct store *store = other.db->store;
    uint64_t left = shape.pages - LOG_EXTENT_PAGES - atomic_load(&store->file.page_count);
    CHECK_OK(room_grow(store, (uint32_t)left, false, true, &pgno));
    CHECK_OK(room_extend(store, false));
    room_give_back(store, pgno, (uint32_t)left);
    for (uint32_t number = 0; number < ROWS; number++)
        CHECK_OK(capped_put(&rig, number % 100));
    capped_leave(&other);
    capped_close(&rig);
}

/* Pages for large transactions come from the end of the file alone. */
TEST(full__a_large_transaction_finds_room_behind_one_that_was_too_large)
{
    enum { LOG_PAGES = 1000, TICKS = 4 };
    static const struct shape shape = {800, 20, PAGE_BYTES - PAGE_HEADER_BYTES + 1};
    struct capped rig;
    scn_table_id table;
    scn_status st = SCN_OK;
    uint32_t taken = 0;
    rig_open(&rig, &shape, (uint64_t)LOG_PAGES * PAGE_BYTES);
    CHECK_OK(capped_put(&rig, 0));
    CHECK_OK(scn_checkpoint(rig.db));
    scn_txn *txn = begin_on(rig.db, &table);
    while ((st = scn_put(txn, table, capped_key(&rig, taken), capped_value(&rig), 0)) ==
           SCN_OK)
        taken++;
    CHECK_EQ(st, SCN_FULL);
    scn_abort(txn);
    txn = begin_on(rig.db, &table);
    for (int i = 0; i < TICKS; i++)
        CHECK_OK(scn_tick(rig.db, 0));
    for (uint32_t number = 0; number < taken / 4; number++)
        CHECK_OK(scn_put(txn, table, capped_key(&rig, number), capped_value(&rig), 0));
    CHECK_OK(scn_commit(txn));
    capped_close(&rig);
}

/* It was full of others' files, which are gone. */
TEST(full__room_on_a_disk_that_was_full_is_found)
{
    enum { PAGES = 400, ANY = 0 };
    static const struct shape shape = {ANY, 20, PAGE_BYTES - PAGE_HEADER_BYTES + 1};
    struct capped rig;
    rig_begin(&rig, &shape);
    sim_disk_set_capacity(rig.disk, (uint64_t)PAGES * PAGE_BYTES);
    uint32_t count = fill(&rig);
    while (capped_put(&rig, count) == SCN_OK)
        count++;
    CHECK_EQ(capped_put(&rig, count), SCN_FULL);
    sim_disk_set_capacity(rig.disk, 0);
    CHECK_OK(capped_put(&rig, count));
    capped_close(&rig);
}

/* As many as there are, and what they have made ready for the log. */
struct idlers {
    struct capped rig[24];
    uint32_t count;
};

static void idlers_join(struct idlers *idlers, const struct capped *first,
                        uint64_t log_bytes)
{
    idlers->count = sizeof idlers->rig / sizeof *idlers->rig;
    for (uint32_t i = 0; i < idlers->count; i++)
        capped_join(&idlers->rig[i], first, log_bytes);
}

static void idlers_leave(struct idlers *idlers)
{
    for (uint32_t i = 0; i < idlers->count; i++)
        capped_leave(&idlers->rig[i]);
}

static bool is_row(struct capped *rig, uint32_t number)
{
    void *bytes;
    size_t size;
    scn_status st = scn_get_copy(rig->db, "rows", capped_key(rig, number), &bytes, &size);
    if (st == SCN_OK)
        scn_free(bytes);
    return st == SCN_OK;
}

/* As many rows as are admitted before a checkpoint. */
static uint32_t fill_the_log(struct capped *rig, uint32_t first)
{
    uint32_t count = first;
    size_t bytes = rig->shape->key_bytes + rig->shape->value_bytes;
    while (room_admit(rig->db->store, 1, 1, bytes, 0, true) == SCN_OK)
        CHECK_OK(capped_put(rig, count++));
    CHECK(log_bytes_since(rig->db->store->log,
                          atomic_load(&rig->db->store->base_lsn)) > 65536);
    return count;
}

/* Who only reads needs no extent, and who writes can wait for one until the checkpoint:
 * what each of many processes makes ready, none of them can do without. */
TEST(full__room_of_a_checkpoint_is_not_made_ready_for_the_log)
{
    enum { LOG_PAGES = 1000 };
    static const struct shape shape = {400, 20, PAGE_BYTES - PAGE_HEADER_BYTES + 1};
    for (int write = 0; write < 2; write++) {
        struct capped rig;
        struct idlers idlers;
        rig_open(&rig, &shape, (uint64_t)LOG_PAGES * PAGE_BYTES);
        idlers_join(&idlers, &rig, (uint64_t)LOG_PAGES * PAGE_BYTES);
        for (uint32_t i = 0; i < idlers.count; i++)
            CHECK_OK(write ? capped_put(&idlers.rig[i], i) : capped_put(&rig, i));
        uint32_t count = fill_the_log(&rig, idlers.count);
        for (uint32_t i = 0; i < idlers.count; i++) {
            CHECK(is_row(&idlers.rig[i], count - 1));
            CHECK_OK(scn_tick(idlers.rig[i].db, 0));
        }
        empty_beside(&rig, count);
        idlers_leave(&idlers);
        capped_close(&rig);
    }
}

/* A put that will be refused leaves no extent behind. */
TEST(full__room_for_deletions_is_not_made_ready_for_puts)
{
    enum { LOG_PAGES = 1000 };
    static const struct shape shape = {400, 20, PAGE_BYTES - PAGE_HEADER_BYTES + 1};
    struct capped rig;
    struct idlers idlers;
    rig_open(&rig, &shape, (uint64_t)LOG_PAGES * PAGE_BYTES);
    idlers_join(&idlers, &rig, (uint64_t)LOG_PAGES * PAGE_BYTES);
    uint32_t count = fill_the_log(&rig, 0);
    scn_status st = SCN_OK;
    for (uint32_t i = 0; i < idlers.count; i++) {
        CHECK(is_row(&idlers.rig[i], count - 1));
        st = room_extend_for_commit(idlers.rig[i].db->store, false, true);
    }
    CHECK_EQ(st, SCN_FULL);
    CHECK_OK(room_extend_for_commit(idlers.rig[0].db->store, false, false));
    empty_beside(&rig, count);
    idlers_leave(&idlers);
    capped_close(&rig);
}

/* The log lies as far down as it can, and what was made ready for it does not. */
TEST(full__an_extent_in_reserve_does_not_keep_the_file_long)
{
    static const struct shape shape = {200, 20, 60 * PAGE_BYTES};
    struct capped rig;
    rig_begin(&rig, &shape);
    CHECK_OK(capped_put(&rig, 0));
    CHECK_OK(room_extend(rig.db->store, false));
    CHECK_EQ(log_spare_count(rig.db->store->log), 1);
    CHECK_OK(scn_del1(rig.db, "rows", capped_key(&rig, 0)));
    CHECK_OK(scn_checkpoint(rig.db));
    CHECK_OK(scn_checkpoint(rig.db));
    uint64_t size;
    CHECK(sim_file_size(rig.disk, "store", &size));
    CHECK(size < (uint64_t)60 * PAGE_BYTES);
    capped_close(&rig);
}

/* ---- many leaves, of which each operation has some written ---- */

enum { LEAVES_MOST = 1000, ASCENDING_BYTES = 8, LONG_LOG_PAGES = 1000 };

/* Rows in order, and where each leaf of them begins; one past the last one. */
struct orchard {
    struct capped rig;
    struct shape shape;
    uint32_t first[LEAVES_MOST + 1];
    uint32_t leaves;
};

static scn_slice ascending_key(uint8_t key[ASCENDING_BYTES], uint32_t number)
{
    put_be32(key, 0);
    put_be32(key + 4, number);
    return (scn_slice){key, ASCENDING_BYTES};
}

static scn_status put_ascending(struct capped *rig, uint32_t from, uint32_t to)
{
    uint8_t key[ASCENDING_BYTES];
    scn_table_id rows;
    scn_txn *txn = begin_on(rig->db, &rows);
    for (uint32_t number = from; number < to; number++)
        CHECK_OK(scn_put(txn, rows, ascending_key(key, number), capped_value(rig), 0));
    return scn_commit(txn);
}

static scn_status note_leaf(void *ctx, const struct page_ref *ref, const uint8_t *page)
{
    struct orchard *orchard = ctx;
    struct leaf_record record;
    if (ref->level > 0)
        return SCN_OK;
    CHECK(orchard->leaves < LEAVES_MOST);
    leaf_at(page, 0, &record);
    orchard->first[orchard->leaves++] = get_be32((const uint8_t *)record.key + 4);
    leaf_at(page, leaf_count(page) - 1, &record);
    orchard->first[orchard->leaves] = get_be32((const uint8_t *)record.key + 4) + 1;
    return SCN_OK;
}

static void note_leaves(struct orchard *orchard)
{
    struct store *store = orchard->rig.db->store;
    struct pool_reader *reader = store->maintenance_reader;
    struct catalog_root root;
    scn_table_id rows;
    scn_abort(begin_on(orchard->rig.db, &rows));
    pool_enter(reader);
    CHECK_OK(catalog_read_root(reader, &store->superblock.catalog, rows, &root));
    pool_leave(reader);
    struct tree tree = {root.root, rows};
    CHECK_OK(tree_walk(reader, &tree, note_leaf, orchard));
}

/* So many sixteenths of the pages are leaves. */
static void plant(struct orchard *orchard, uint32_t pages, uint32_t share)
{
    struct capped *rig = &orchard->rig;
    enum { PART = 8 };
    uint8_t key[ASCENDING_BYTES];
    uint32_t of_leaf = PAGE_BYTES / leaf_record_bytes(ASCENDING_BYTES, VALUE_INLINE_MAX);
    uint32_t rows = pages * share / 16 * of_leaf;
    orchard->shape = (struct shape){pages, ASCENDING_BYTES, VALUE_INLINE_MAX};
    orchard->leaves = 0;
    rig_open(rig, &orchard->shape, (uint64_t)LONG_LOG_PAGES * PAGE_BYTES);
    CHECK_OK(scn_put1(rig->db, "rows", ascending_key(key, 0), capped_value(rig)));
    for (uint32_t number = 1; number < rows; number += PART)
        CHECK_OK(put_ascending(rig, number, number + PART));
    CHECK_OK(scn_checkpoint(rig->db));
    note_leaves(orchard);
}

/* Every second leaf loses all rows but so many. */
static void thin_out(struct orchard *orchard, uint32_t kept)
{
    struct capped *rig = &orchard->rig;
    for (uint32_t i = 0; i + 1 < orchard->leaves; i += 2) {
        uint8_t key[ASCENDING_BYTES];
        scn_table_id rows;
        scn_txn *txn = begin_on(rig->db, &rows);
        for (uint32_t number = orchard->first[i] + kept; number < orchard->first[i + 1];
             number++)
            CHECK_OK(scn_del(txn, rows, ascending_key(key, number)));
        CHECK_OK(scn_commit(txn));
    }
}

/* Of the first ones of every second leaf. */
static scn_status delete_firsts(struct orchard *orchard, uint32_t leaves)
{
    uint8_t key[ASCENDING_BYTES];
    scn_table_id rows;
    scn_txn *txn = begin_on(orchard->rig.db, &rows);
    for (uint32_t i = 0; i < leaves; i++)
        CHECK_OK(scn_del(txn, rows, ascending_key(key, orchard->first[2 * i])));
    return scn_commit(txn);
}

/* A deletion that leaves little in its leaf has the next one written anew, too, and the
 * two of them take two pages. */
TEST(full__deletions_that_leave_little_in_their_leaves_find_room)
{
    struct orchard orchard;
    uint32_t record = leaf_record_bytes(ASCENDING_BYTES, VALUE_INLINE_MAX);
    plant(&orchard, 400, 8);
    thin_out(&orchard, (PAGE_BYTES / 4 + record - 1) / record);
    uint32_t count = 0;
    scn_status st = SCN_OK;
    for (; st == SCN_OK; count++)
        st = scn_put1(orchard.rig.db, "other", capped_key(&orchard.rig, count),
                      capped_value(&orchard.rig));
    CHECK_EQ(st, SCN_FULL);
    CHECK_OK(scn_checkpoint(orchard.rig.db));
    uint32_t most = orchard.leaves / 2;
    while ((st = delete_firsts(&orchard, most)) == SCN_FULL && most > 1)
        most--;
    CHECK_OK(st);
    CHECK_OK(scn_checkpoint(orchard.rig.db));
    capped_close(&orchard.rig);
}

static bool admits_deletions(struct orchard *orchard, uint32_t ops)
{
    return room_admit(orchard->rig.db->store, ops, 1, ops * ASCENDING_BYTES, 0, false) ==
           SCN_OK;
}

/* It was killed, and the next one opens the file. */
static void come_back(struct capped *rig)
{
    struct capped next;
    sim_process_kill(rig->sys);
    (void)scn_close(rig->db);
    sim_process_destroy(rig->sys);
    capped_join(&next, rig, (uint64_t)LONG_LOG_PAGES * PAGE_BYTES);
    *rig = next;
}

/* What the log has is to be merged by who recovers it, too. */
TEST(full__what_a_recovery_has_found_takes_its_room)
{
    struct orchard orchard;
    uint32_t next = 0;
    plant(&orchard, 600, 10);
    while (next < orchard.leaves) {
        uint32_t begin = next;
        for (; next < orchard.leaves && admits_deletions(&orchard, 1); next++) {
            uint8_t key[ASCENDING_BYTES];
            CHECK_OK(scn_del1(orchard.rig.db, "rows",
                              ascending_key(key, orchard.first[next])));
        }
        if (next == begin)
            break;
        come_back(&orchard.rig);
    }
    CHECK_OK(scn_checkpoint(orchard.rig.db));
    capped_close(&orchard.rig);
}

/* Each so long that it is not deleted row by row, and across the border of two leaves, of
 * which something is left; as many as are admitted.  The first row that was not looked
 * at. */
static uint32_t delete_across(struct orchard *orchard, uint32_t from_row)
{
    enum { HALF = 33 };
    scn_table_id rows;
    uint32_t ranges = 0;
    scn_txn *txn = begin_on(orchard->rig.db, &rows);
    for (uint32_t i = 0; i < orchard->leaves; i++) {
        uint8_t from[ASCENDING_BYTES];
        uint8_t to[ASCENDING_BYTES];
        uint32_t border = orchard->first[i];
        if (border < from_row + HALF || !admits_deletions(orchard, 2 * ranges + 2))
            continue;
        CHECK_OK(scn_del_range(txn, rows, ascending_key(from, border - HALF),
                               ascending_key(to, border + HALF), NULL));
        from_row = border + HALF + 1;
        ranges++;
    }
    CHECK_OK(scn_commit(txn));
    return from_row;
}

/* The ranges that it was to merge are not forgotten. */
TEST(full__ranges_of_a_checkpoint_that_fails_take_their_room)
{
    struct orchard orchard;
    struct sim_fault fault = {SIM_FAIL, SIM_WRITE, .nth = 4, .error = EIO};
    plant(&orchard, 600, 10);
    for (uint32_t row = 1, next;; row = next) {
        next = delete_across(&orchard, row);
        if (next == row)
            break;
        sim_fault_set(orchard.rig.sys, &fault);
        CHECK_EQ(checkpoint_run(orchard.rig.db->store, CHECKPOINT_PLAIN), SCN_IO);
        sim_fault_clear(orchard.rig.sys);
    }
    CHECK_OK(scn_checkpoint(orchard.rig.db));
    capped_close(&orchard.rig);
}

/* ---- many tables ---- */

static scn_txn *begin_in(struct capped *rig, uint32_t number, scn_table_id *table)
{
    scn_txn *txn;
    char name[16];
    snprintf(name, sizeof name, "table%u", number);
    CHECK_OK(scn_begin(rig->db, SCN_WRITE, &txn));
    CHECK_OK(scn_table(txn, name, SCN_CREATE, table));
    return txn;
}

/* So many rows, a few at a time. */
static void put_in(struct capped *rig, uint32_t number, uint32_t rows)
{
    enum { PART = 8 };
    uint8_t key[ASCENDING_BYTES];
    scn_table_id table;
    for (uint32_t row = 0; row < rows;) {
        scn_txn *txn = begin_in(rig, number, &table);
        for (uint32_t end = row + PART; row < end && row < rows; row++)
            CHECK_OK(scn_put(txn, table, ascending_key(key, row), capped_value(rig), 0));
        CHECK_OK(scn_commit(txn));
    }
}

static void delete_in(struct capped *rig, uint32_t number, uint32_t from, uint32_t to)
{
    uint8_t key[ASCENDING_BYTES];
    scn_table_id table;
    scn_txn *txn = begin_in(rig, number, &table);
    for (uint32_t row = from; row < to; row++)
        CHECK_OK(scn_del(txn, table, ascending_key(key, row)));
    CHECK_OK(scn_commit(txn));
}

static scn_status delete_first_in_each(struct capped *rig, uint32_t tables)
{
    uint8_t key[ASCENDING_BYTES];
    scn_table_id table;
    scn_txn *txn = begin_in(rig, 0, &table);
    for (uint32_t number = 0; number < tables; number++) {
        char name[16];
        snprintf(name, sizeof name, "table%u", number);
        CHECK_OK(scn_table(txn, name, 0, &table));
        CHECK_OK(scn_del(txn, table, ascending_key(key, 0)));
    }
    return scn_commit(txn);
}

/* Each table has a root of its own, and all of them have a row in the catalog. */
TEST(full__deletions_in_many_tables_find_room)
{
    enum { TABLES = 120 };
    static const struct shape shape = {600, ASCENDING_BYTES, VALUE_INLINE_MAX};
    uint32_t record = leaf_record_bytes(ASCENDING_BYTES, VALUE_INLINE_MAX);
    uint32_t of_leaf = PAGE_BYTES / record - 1;
    struct capped rig;
    rig_open(&rig, &shape, (uint64_t)LONG_LOG_PAGES * PAGE_BYTES);
    for (uint32_t number = 0; number < TABLES; number++)
        put_in(&rig, number, 2 * of_leaf);
    CHECK_OK(scn_checkpoint(rig.db));
    for (uint32_t number = 0; number < TABLES; number++)
        delete_in(&rig, number, (PAGE_BYTES / 4 + record - 1) / record, of_leaf);
    CHECK_OK(scn_checkpoint(rig.db));
    uint32_t most = TABLES;
    scn_status st;
    while ((st = delete_first_in_each(&rig, most)) == SCN_FULL && most > 1)
        most--;
    CHECK_OK(st);
    CHECK_OK(scn_checkpoint(rig.db));
    capped_close(&rig);
}
