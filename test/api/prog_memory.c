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
