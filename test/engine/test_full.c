/* A store that may not grow any more: whatever it took in, it can be emptied again, row
 * by row and as a table, though each checkpoint needs pages before it frees any. */
#include "engine/peers.h"
#include "engine/room.h"
#include "test/sim/disk.h"
#include "test/unit/unit.h"

#include <errno.h>

struct shape {
    uint32_t pages;
    uint32_t key_bytes;
    uint32_t value_bytes;
};

struct rig {
    const struct shape *shape;
    struct sim_disk *disk;
    struct sys *sys;
    scn_db *db;
    uint64_t random;
    uint8_t *key;
    uint8_t *value;
};

/* log_bytes 0: as usual. */
static void rig_open(struct rig *rig, const struct shape *shape, uint64_t log_bytes)
{
    scn_options options = {.struct_size = sizeof options, .flags = SCN_NOTHREAD};
    options.pool_bytes = 64 * PAGE_BYTES;
    options.max_file_bytes = (uint64_t)shape->pages * PAGE_BYTES;
    options.log_bytes = log_bytes;
    *rig = (struct rig){.shape = shape, .random = unit_seed() | 1};
    rig->key = calloc(1, shape->key_bytes);
    rig->value = calloc(1, shape->value_bytes);
    CHECK(rig->key != NULL && rig->value != NULL);
    rig->disk = sim_disk_create(unit_seed());
    rig->sys = sim_process_create(rig->disk);
    CHECK_OK(store_open_on(rig->sys, "store", &options, &rig->db));
}

static void rig_begin(struct rig *rig, const struct shape *shape)
{
    rig_open(rig, shape, 0);
}

static void rig_end(struct rig *rig)
{
    CHECK_OK(scn_close(rig->db));
    sim_process_destroy(rig->sys);
    sim_disk_destroy(rig->disk);
    free(rig->key);
    free(rig->value);
}

/* Keys that are alike but for their ends, in no order. */
static scn_slice key_of(struct rig *rig, uint32_t number)
{
    uint32_t scattered = number * 2654435761u;
    for (uint32_t i = 0; i < 4; i++)
        rig->key[rig->shape->key_bytes - 1 - i] = (uint8_t)(scattered >> 8 * i);
    return (scn_slice){rig->key, rig->shape->key_bytes};
}

static scn_status put(struct rig *rig, uint32_t number)
{
    for (uint32_t i = 0; i < rig->shape->value_bytes; i++)
        rig->value[i] = (uint8_t)(unit_random(&rig->random) >> 30);
    return scn_put1(rig->db, "rows", key_of(rig, number),
                    (scn_slice){rig->value, rig->shape->value_bytes});
}

/* Rows until no more are taken, then other values until none are. */
static uint32_t fill(struct rig *rig)
{
    uint32_t count = 0;
    uint32_t changed = 0;
    scn_status st = SCN_OK;
    while ((st = put(rig, count)) == SCN_OK)
        count++;
    CHECK_EQ(st, SCN_FULL);
    CHECK(count > 0);
    while (changed < 2 * count && (st = put(rig, changed * 7 % count)) == SCN_OK)
        changed++;
    CHECK(st == SCN_OK || st == SCN_FULL);
    return count;
}

static void check_empty(struct rig *rig)
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
        struct rig rig;
        rig_begin(&rig, &shapes[i]);
        uint32_t count = fill(&rig);
        for (uint32_t number = 0; number < count; number++)
            CHECK_OK(scn_del1(rig.db, "rows", key_of(&rig, number)));
        check_empty(&rig);
        rig_end(&rig);
    }
}

static void check_emptied_at_once(scn_status (*empty)(scn_txn *, scn_table_id))
{
    for (int i = 0; i < SHAPES; i++) {
        struct rig rig;
        scn_txn *txn;
        scn_table_id table;
        rig_begin(&rig, &shapes[i]);
        (void)fill(&rig);
        CHECK_OK(scn_begin(rig.db, SCN_WRITE, &txn));
        CHECK_OK(scn_table(txn, "rows", 0, &table));
        CHECK_OK(empty(txn, table));
        CHECK_OK(scn_commit(txn));
        check_empty(&rig);
        rig_end(&rig);
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
    struct rig rig;
    scn_txn *txn;
    scn_table_id table;
    rig_begin(&rig, &shape);
    for (uint32_t number = 0; number < ROWS; number++)
        CHECK_OK(put(&rig, number));
    CHECK_OK(scn_checkpoint(rig.db));
    uint8_t *large = calloc(LARGE, PAGE_BYTES);
    CHECK_OK(scn_begin(rig.db, SCN_WRITE, &txn));
    CHECK_OK(scn_table(txn, "rows", 0, &table));
    for (uint32_t number = 0; number < LARGE; number++)
        CHECK_OK(scn_put(txn, table, key_of(&rig, number),
                         (scn_slice){large, LARGE * PAGE_BYTES}, 0));
    CHECK_OK(scn_commit(txn));
    free(large);
    CHECK_OK(scn_checkpoint(rig.db));
    rig_end(&rig);
}

/* What a transaction has spilled before its end counts as little as itself. */
TEST(full__a_large_transaction_leaves_room_for_what_was_admitted)
{
    enum { SMALL_ROWS = 200, ROWS_MOST = 100000, LOG_PAGES = 1000 };
    static const struct shape shape = {1600, 20, PAGE_BYTES - PAGE_HEADER_BYTES + 1};
    struct rig rig;
    scn_txn *txn;
    scn_table_id table;
    rig_open(&rig, &shape, (uint64_t)LOG_PAGES * PAGE_BYTES);
    for (uint32_t number = 0; number < SMALL_ROWS; number++)
        CHECK_OK(put(&rig, number));
    CHECK_OK(scn_begin(rig.db, SCN_WRITE, &txn));
    CHECK_OK(scn_table(txn, "rows", 0, &table));
    scn_status st = SCN_OK;
    for (uint32_t number = 0; st == SCN_OK && number < ROWS_MOST; number++)
        st = scn_put(txn, table, key_of(&rig, SMALL_ROWS + number),
                     (scn_slice){rig.value, shape.value_bytes}, 0);
    CHECK_EQ(st, SCN_FULL);
    CHECK_OK(scn_checkpoint(rig.db));
    CHECK_OK(put(&rig, 0));
    scn_abort(txn);
    CHECK_OK(scn_checkpoint(rig.db));
    rig_end(&rig);
}

/* ---- several processes ---- */

/* Another process with the same file; it has the rig's keys and values. */
static void rig_join(struct rig *rig, const struct rig *first, uint64_t log_bytes)
{
    scn_options options = {.struct_size = sizeof options, .flags = SCN_NOTHREAD};
    options.pool_bytes = 64 * PAGE_BYTES;
    options.max_file_bytes = (uint64_t)first->shape->pages * PAGE_BYTES;
    options.log_bytes = log_bytes;
    *rig = *first;
    rig->sys = sim_process_create(rig->disk);
    CHECK_OK(store_open_on(rig->sys, "store", &options, &rig->db));
}

static void rig_leave(struct rig *rig)
{
    CHECK_OK(scn_close(rig->db));
    sim_process_destroy(rig->sys);
}

static scn_txn *put_many(struct rig *rig, uint32_t first, uint32_t count)
{
    scn_txn *txn;
    scn_table_id table;
    CHECK_OK(scn_begin(rig->db, SCN_WRITE, &txn));
    CHECK_OK(scn_table(txn, "rows", 0, &table));
    for (uint32_t number = 0; number < count; number++)
        CHECK_OK(scn_put(txn, table, key_of(rig, first + number),
                         (scn_slice){rig->value, rig->shape->value_bytes}, 0));
    return txn;
}

static void empty_beside(struct rig *rig, uint32_t count)
{
    CHECK_OK(scn_checkpoint(rig->db));
    for (uint32_t number = 0; number < count; number++)
        CHECK_OK(scn_del1(rig->db, "rows", key_of(rig, number)));
    CHECK_OK(scn_checkpoint(rig->db));
}

/* What another process has made the file longer by is not there any more: neither what it
 * may still commit, nor what it has. */
TEST(full__room_that_another_process_takes_is_given_to_nobody)
{
    enum { LARGE_ROWS = 250, LARGE_FIRST = 1 << 20, LOG_PAGES = 1000 };
    static const struct shape shape = {1600, 20, PAGE_BYTES - PAGE_HEADER_BYTES + 1};
    for (int commits = 0; commits < 2; commits++) {
        struct rig rig;
        struct rig other;
        rig_open(&rig, &shape, (uint64_t)LOG_PAGES * PAGE_BYTES);
        CHECK_OK(put(&rig, 0));
        rig_join(&other, &rig, (uint64_t)LOG_PAGES * PAGE_BYTES);
        scn_txn *txn = put_many(&other, LARGE_FIRST, LARGE_ROWS);
        if (commits)
            CHECK_OK(scn_commit(txn));
        uint32_t count = fill(&rig);
        empty_beside(&rig, count);
        if (!commits)
            scn_abort(txn);
        rig_leave(&other);
        rig_end(&rig);
    }
}

/* Nor is what others have been promised meanwhile there for a large transaction. */
TEST(full__a_large_transaction_leaves_room_for_what_others_were_promised)
{
    enum { SMALL_ROWS = 200, SMALL_FIRST = 1, LARGE_FIRST = 1 << 20, LOG_PAGES = 1000 };
    static const struct shape shape = {1600, 20, PAGE_BYTES - PAGE_HEADER_BYTES + 1};
    struct rig rig;
    struct rig other;
    scn_table_id table;
    scn_status st = SCN_OK;
    rig_open(&rig, &shape, (uint64_t)LOG_PAGES * PAGE_BYTES);
    CHECK_OK(put(&rig, 0));
    rig_join(&other, &rig, (uint64_t)LOG_PAGES * PAGE_BYTES);
    scn_txn *txn = put_many(&other, LARGE_FIRST, 1);
    for (uint32_t number = 0; number < SMALL_ROWS; number++)
        CHECK_OK(put(&rig, SMALL_FIRST + number));
    CHECK_OK(scn_table(txn, "rows", 0, &table));
    for (uint32_t number = 1; st == SCN_OK; number++)
        st = scn_put(txn, table, key_of(&other, LARGE_FIRST + number),
                     (scn_slice){rig.value, shape.value_bytes}, 0);
    CHECK_EQ(st, SCN_FULL);
    CHECK_OK(scn_checkpoint(rig.db));
    CHECK_OK(put(&rig, 0));
    scn_abort(txn);
    rig_leave(&other);
    rig_end(&rig);
}

static scn_txn *begin_on(scn_db *db, scn_table_id *table)
{
    scn_txn *txn;
    CHECK_OK(scn_begin(db, SCN_WRITE, &txn));
    CHECK_OK(scn_table(txn, "rows", 0, table));
    return txn;
}

/* One commit of so many rows, which others follow. */
static scn_status put_some(struct rig *rig, uint32_t first, uint32_t count, size_t bytes)
{
    scn_table_id table;
    scn_txn *txn = begin_on(rig->db, &table);
    for (uint32_t number = first; number < first + count; number++)
        CHECK_OK(scn_put(txn, table, key_of(rig, number),
                         (scn_slice){rig->value, bytes}, 0));
    return scn_commit(txn);
}

/* It has done nothing for a while, and gives the memory of the log back. */
static void be_idle_for_long(struct rig *rig)
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
    struct rig rig;
    struct rig other;
    rig_open(&rig, &shape, (uint64_t)LOG_PAGES * PAGE_BYTES);
    rig_join(&other, &rig, (uint64_t)LOG_PAGES * PAGE_BYTES);
    CHECK_OK(put(&rig, 0));
    CHECK_OK(scn_checkpoint(rig.db));
    scn_txn *txn = put_many(&other, LARGE_FIRST, LARGE_ROWS);
    be_idle_for_long(&rig);
    uint32_t count = fill(&rig);
    empty_beside(&rig, count);
    scn_abort(txn);
    rig_leave(&other);
    rig_end(&rig);
}

/* Nor are pages between those of a generation that was made later. */
TEST(full__room_that_others_have_below_the_end_is_given_to_nobody)
{
    enum { ROWS = 10, LARGE_ROWS = 250, LARGE_FIRST = 1 << 20, LOG_PAGES = 1000 };
    static const struct shape shape = {1600, 20, PAGE_BYTES - PAGE_HEADER_BYTES + 1};
    for (int commits = 0; commits < 2; commits++) {
        struct rig rig;
        struct rig other;
        struct rig third;
        rig_open(&rig, &shape, (uint64_t)LOG_PAGES * PAGE_BYTES);
        rig_join(&other, &rig, (uint64_t)LOG_PAGES * PAGE_BYTES);
        rig_join(&third, &rig, (uint64_t)LOG_PAGES * PAGE_BYTES);
        CHECK_OK(put(&rig, 0));
        scn_txn *txn = put_many(&other, LARGE_FIRST, LARGE_ROWS);
        for (uint32_t number = 0; number < ROWS; number++)
            CHECK_OK(scn_put1(third.db, "beside", key_of(&third, number),
                              (scn_slice){third.value, shape.value_bytes}));
        CHECK_OK(checkpoint_run(third.db->store, CHECKPOINT_PLAIN));
        if (commits)
            CHECK_OK(scn_commit(txn));
        uint32_t count = fill(&rig);
        empty_beside(&rig, count);
        if (!commits)
            scn_abort(txn);
        rig_leave(&third);
        rig_leave(&other);
        rig_end(&rig);
    }
}

struct failure {
    struct rig *rig;
    struct rig *other;
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
    struct rig rig;
    struct rig other;
    struct failure failure = {&rig, &other, false, NULL};
    rig_open(&rig, &shape, (uint64_t)LOG_PAGES * PAGE_BYTES);
    rig_join(&other, &rig, (uint64_t)LOG_PAGES * PAGE_BYTES);
    for (uint32_t number = 0; number < ROWS; number++)
        CHECK_OK(put(&rig, number));
    sim_hook_set(rig.disk, take_room, &failure);
    CHECK_EQ(scn_checkpoint(rig.db), SCN_IO);
    sim_hook_set(rig.disk, NULL, NULL);
    CHECK(failure.txn != NULL);
    uint32_t count = fill(&rig);
    empty_beside(&rig, count);
    scn_abort(failure.txn);
    rig_leave(&other);
    rig_end(&rig);
}

/* Whatever a commit that was refused would have needed: what others take of the room
 * after it is seen. */
TEST(full__a_commit_that_was_refused_hides_no_growth)
{
    enum { ROWS = 16000, PART = 50, LARGE_FIRST = 1 << 20, LOG_PAGES = 1000 };
    static const struct shape shape = {3200, 8, 200};
    struct rig rig;
    struct rig other;
    scn_table_id table;
    scn_status st = SCN_OK;
    if (!PAGE_IS_SMALL)
        return; /* so many rows take few large pages */
    rig_open(&rig, &shape, (uint64_t)LOG_PAGES * PAGE_BYTES);
    CHECK_OK(put(&rig, 0));
    for (uint32_t number = 0; number < ROWS; number += PART)
        CHECK_OK(put_some(&rig, number, PART, shape.value_bytes));
    CHECK_OK(scn_checkpoint(rig.db));
    rig_join(&other, &rig, (uint64_t)LOG_PAGES * PAGE_BYTES);
    CHECK_EQ(put_some(&rig, 0, ROWS / 4, 1), SCN_FULL);
    scn_txn *txn = begin_on(other.db, &table);
    for (uint32_t number = LARGE_FIRST; st == SCN_OK; number++)
        st = scn_put(txn, table, key_of(&other, number),
                     (scn_slice){other.value, shape.value_bytes}, 0);
    CHECK_EQ(st, SCN_FULL);
    for (uint32_t number = 0; number < ROWS && put_some(&rig, number, PART, 1) == SCN_OK;)
        number += PART;
    CHECK_OK(room_admit(rig.db->store, 1, shape.key_bytes, 0, false)); /* a deletion */
    CHECK_OK(scn_checkpoint(rig.db));
    scn_abort(txn);
    rig_leave(&other);
    rig_end(&rig);
}

/* Where nobody has counted what is free, since who made the generation died before he
 * told of it, or others had just been cured: the next one does, with nothing to merge. */
TEST(full__room_that_nobody_has_counted_is_counted_before_a_deletion_fails)
{
    static const struct shape shape = {1600, 20, PAGE_BYTES - PAGE_HEADER_BYTES};
    struct rig rig;
    rig_begin(&rig, &shape);
    struct store *store = rig.db->store;
    uint32_t pgno;
    (void)fill(&rig);
    CHECK_OK(scn_checkpoint(rig.db));
    uint64_t left = shape.pages - atomic_load(&store->file.page_count);
    CHECK_OK(room_grow(store, (uint32_t)left, false, false, &pgno));
    room_measure(store, 0);
    CHECK_OK(scn_del1(rig.db, "rows", key_of(&rig, 0)));
    rig_end(&rig);
}

/* As many as there are, and what they have made ready for the log. */
struct idlers {
    struct rig rig[24];
    uint32_t count;
};

static void idlers_join(struct idlers *idlers, const struct rig *first,
                        uint64_t log_bytes)
{
    idlers->count = sizeof idlers->rig / sizeof *idlers->rig;
    for (uint32_t i = 0; i < idlers->count; i++)
        rig_join(&idlers->rig[i], first, log_bytes);
}

static void idlers_leave(struct idlers *idlers)
{
    for (uint32_t i = 0; i < idlers->count; i++)
        rig_leave(&idlers->rig[i]);
}

static bool is_row(struct rig *rig, uint32_t number)
{
    void *bytes;
    size_t size;
    scn_status st = scn_get_copy(rig->db, "rows", key_of(rig, number), &bytes, &size);
    if (st == SCN_OK)
        scn_free(bytes);
    return st == SCN_OK;
}

/* As many rows as are admitted before a checkpoint. */
static uint32_t fill_the_log(struct rig *rig, uint32_t first)
{
    uint32_t count = first;
    size_t bytes = rig->shape->key_bytes + rig->shape->value_bytes;
    while (room_admit(rig->db->store, 1, bytes, 0, true) == SCN_OK)
        CHECK_OK(put(rig, count++));
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
        struct rig rig;
        struct idlers idlers;
        rig_open(&rig, &shape, (uint64_t)LOG_PAGES * PAGE_BYTES);
        idlers_join(&idlers, &rig, (uint64_t)LOG_PAGES * PAGE_BYTES);
        for (uint32_t i = 0; i < idlers.count; i++)
            CHECK_OK(write ? put(&idlers.rig[i], i) : put(&rig, i));
        uint32_t count = fill_the_log(&rig, idlers.count);
        for (uint32_t i = 0; i < idlers.count; i++) {
            CHECK(is_row(&idlers.rig[i], count - 1));
            CHECK_OK(scn_tick(idlers.rig[i].db, 0));
        }
        empty_beside(&rig, count);
        idlers_leave(&idlers);
        rig_end(&rig);
    }
}

/* A put that will be refused leaves no extent behind. */
TEST(full__room_for_deletions_is_not_made_ready_for_puts)
{
    enum { LOG_PAGES = 1000 };
    static const struct shape shape = {400, 20, PAGE_BYTES - PAGE_HEADER_BYTES + 1};
    struct rig rig;
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
    rig_end(&rig);
}

/* The log lies as far down as it can, and what was made ready for it does not. */
TEST(full__an_extent_in_reserve_does_not_keep_the_file_long)
{
    static const struct shape shape = {200, 20, 60 * PAGE_BYTES};
    struct rig rig;
    rig_begin(&rig, &shape);
    CHECK_OK(put(&rig, 0));
    CHECK_OK(room_extend(rig.db->store, false));
    CHECK_EQ(log_spare_count(rig.db->store->log), 1);
    CHECK_OK(scn_del1(rig.db, "rows", key_of(&rig, 0)));
    CHECK_OK(scn_checkpoint(rig.db));
    CHECK_OK(scn_checkpoint(rig.db));
    uint64_t size;
    CHECK(sim_file_size(rig.disk, "store", &size));
    CHECK(size < (uint64_t)60 * PAGE_BYTES);
    rig_end(&rig);
}
