/* Several processes with one file, each step of one after a step of another.  Their steps
 * within one another are played by test/schedule. */
#include "engine/checkpoint.h"
#include "engine/extents.h"
#include "engine/peers.h"
#include "engine/room.h"
#include "engine/session.h"
#include "engine/store.h"
#include "engine/txn.h"
#include "page/bytes.h"
#include "page/mem.h"
#include "test/sim/disk.h"
#include "test/unit/unit.h"
#include "wal/logstate.h"

#include <errno.h>

#define STORE "store"
enum { PROCESSES = 3, LOG_BYTES = PAGE_IS_SMALL ? 256 << 10 : 4 << 20 };

struct crew {
    struct sim_disk *disk;
    struct sys *sys[PROCESSES];
    scn_db *db[PROCESSES];
};

static scn_status open_with(struct sys *sys, uint32_t flags, scn_db **db)
{
    scn_options options = {.struct_size = sizeof options, .flags = SCN_NOTHREAD | flags};
    options.pool_bytes = 64 * PAGE_BYTES;
    options.log_bytes = LOG_BYTES;
    options.busy_timeout_ms = 50;
    return store_open_on(sys, STORE, &options, db);
}

static void crew_open(struct crew *crew, int idx, uint32_t flags)
{
    crew->sys[idx] = sim_process_create(crew->disk);
    CHECK_OK(open_with(crew->sys[idx], flags, &crew->db[idx]));
}

static void crew_begin(struct crew *crew)
{
    *crew = (struct crew){.disk = sim_disk_create(unit_seed())};
    for (int i = 0; i < PROCESSES; i++)
        crew_open(crew, i, 0);
}

static void crew_close(struct crew *crew, int idx)
{
    CHECK_OK(scn_close(crew->db[idx]));
    sim_process_destroy(crew->sys[idx]);
    crew->sys[idx] = NULL;
}

static void crew_kill(struct crew *crew, int idx)
{
    sim_process_kill(crew->sys[idx]);
    (void)scn_close(crew->db[idx]); /* its memory */
    sim_process_destroy(crew->sys[idx]);
    crew->sys[idx] = NULL;
}

static void crew_end(struct crew *crew)
{
    uint64_t issues;
    bool is_checked = false;
    for (int i = 0; i < PROCESSES; i++) {
        if (crew->sys[i] == NULL)
            continue;
        if (!is_checked && !crew->db[i]->is_read_only) {
            CHECK_OK(scn_check(crew->db[i], SCN_CHECK_ALL, NULL, NULL, &issues));
            CHECK_EQ(issues, 0);
            is_checked = true;
        }
        crew_close(crew, i);
    }
    sim_disk_destroy(crew->disk);
}

static scn_slice text(const char *from)
{
    return (scn_slice){from, strlen(from)};
}

static void put(scn_db *db, const char *key, const char *value)
{
    CHECK_OK(scn_put1(db, "rows", text(key), text(value)));
}

static bool holds(scn_db *db, const char *key, const char *value)
{
    void *bytes;
    size_t size;
    scn_status st = scn_get_copy(db, "rows", text(key), &bytes, &size);
    if (value == NULL || st != SCN_OK) {
        CHECK(st == SCN_OK || st == SCN_NOTFOUND);
        if (st == SCN_OK)
            scn_free(bytes);
        return (st == SCN_NOTFOUND) == (value == NULL);
    }
    bool is_same = size == strlen(value) && memcmp(bytes, value, size) == 0;
    scn_free(bytes);
    return is_same;
}

static uint64_t count_rows(scn_db *db)
{
    scn_txn *txn;
    scn_table_id table;
    uint64_t count = 0;
    CHECK_OK(scn_begin(db, SCN_READ, &txn));
    CHECK_OK(scn_table(txn, "rows", 0, &table));
    CHECK_OK(scn_table_count(txn, table, &count));
    scn_abort(txn);
    return count;
}

/* ---- following ---- */

static uint64_t peer_commits(scn_db *db)
{
    scn_stats_t stats = {.struct_size = sizeof stats};
    CHECK_OK(scn_stats(db, &stats));
    return stats.peer_commits;
}

TEST(peers__see_what_others_have_committed)
{
    struct crew crew;
    crew_begin(&crew);
    for (int i = 0; i < PROCESSES; i++) {
        char key[2] = {(char)('a' + i), 0};
        put(crew.db[i], key, "one");
        for (int k = 0; k < PROCESSES; k++)
            CHECK(holds(crew.db[k], key, "one"));
    }
    CHECK_EQ(count_rows(crew.db[0]), PROCESSES);
    crew_end(&crew);
}

TEST(peers__count_the_commits_of_others)
{
    struct crew crew;
    crew_begin(&crew);
    crew_close(&crew, 2);
    crew_open(&crew, 2, SCN_RDONLY);
    put(crew.db[0], "a", "1");
    put(crew.db[1], "b", "2");
    put(crew.db[0], "c", "3");
    for (int k = 0; k < PROCESSES; k++)
        CHECK(holds(crew.db[k], "c", "3"));
    CHECK_EQ(peer_commits(crew.db[0]), 1);
    CHECK_EQ(peer_commits(crew.db[1]), 2);
    CHECK_EQ(peer_commits(crew.db[2]), 3);
    crew_end(&crew);
}

static uint64_t commit_lazily(scn_db *db, const char *key)
{
    scn_txn *txn;
    scn_table_id table;
    uint64_t lsn;
    CHECK_OK(scn_begin(db, SCN_WRITE, &txn));
    CHECK_OK(scn_set_durability(txn, SCN_SYNC_LAZY));
    CHECK_OK(scn_table(txn, "rows", 0, &table));
    CHECK_OK(scn_put(txn, table, text(key), text("lazy"), 0));
    CHECK_OK(scn_commit_at(txn, &lsn));
    return lsn;
}

/* Who commits tells the number to another process, which need not have looked at the file
 * since then. */
TEST(peers__wait_for_what_others_have_committed)
{
    static const struct sim_fault fails = {SIM_FAIL, SIM_READ, .nth = 1, .error = EIO};
    struct crew crew;
    crew_begin(&crew);
    put(crew.db[0], "a", "full");
    uint64_t lsn = commit_lazily(crew.db[0], "b");
    CHECK_EQ(scn_wait_durable(crew.db[1], lsn, 0), SCN_BUSY);
    CHECK_OK(scn_wait_durable(crew.db[2], lsn, -1));
    CHECK_OK(scn_wait_durable(crew.db[1], lsn, 0));
    CHECK_OK(scn_wait_durable(crew.db[0], lsn, 0));
    CHECK_EQ(scn_wait_durable(crew.db[1], lsn + 100000, -1), SCN_MISUSE);
    lsn = commit_lazily(crew.db[0], "c");
    sim_fault_set(crew.sys[1], &fails);
    CHECK_EQ(scn_wait_durable(crew.db[1], lsn, -1), SCN_UNKNOWN);
    sim_fault_clear(crew.sys[1]);
    CHECK_OK(scn_wait_durable(crew.db[1], lsn, -1));
    crew_end(&crew);
}

/* Who joins has read the log as who recovers it has. */
TEST(peers__know_how_many_records_they_have_read_when_they_came)
{
    struct crew crew;
    scn_stats_t joined = {.struct_size = sizeof joined};
    scn_stats_t alone = {.struct_size = sizeof alone};
    crew_begin(&crew);
    for (int i = 1; i < PROCESSES; i++)
        crew_close(&crew, i);
    for (int i = 0; i < 5; i++)
        put(crew.db[0], "a", "1");
    crew_open(&crew, 1, 0);
    crew_open(&crew, 2, SCN_RDONLY);
    CHECK_OK(scn_stats(crew.db[1], &joined));
    CHECK(joined.recovered_records >= 5);
    CHECK_OK(scn_stats(crew.db[2], &alone));
    CHECK_EQ(alone.recovered_records, joined.recovered_records);
    crew_close(&crew, 2);
    crew_kill(&crew, 0);
    crew_kill(&crew, 1);
    crew_open(&crew, 2, SCN_RDONLY);
    CHECK_OK(scn_stats(crew.db[2], &alone));
    CHECK_EQ(alone.recovered_records, joined.recovered_records);
    crew_end(&crew);
}

/* Epochs are drawn by lot, and one may come twice. */
static void crew_begin_with_an_old_epoch(struct crew *crew)
{
    *crew = (struct crew){.disk = sim_disk_create(unit_seed())};
    crew_open(crew, 0, 0);
    put(crew->db[0], "a", "1");
    crew_close(crew, 0);
    struct sim_disk *again = sim_disk_copy(crew->disk); /* its lots begin anew */
    sim_disk_destroy(crew->disk);
    crew->disk = again;
    for (int i = 0; i < PROCESSES; i++)
        crew_open(crew, i, 0);
    struct store *store = crew->db[0]->store;
    CHECK_EQ(file_session(&store->file), store->superblock.base.epoch);
    CHECK(log_epoch(store->log) != file_session(&store->file));
}

TEST(peers__take_no_older_epoch_for_that_of_their_session)
{
    struct crew crew;
    crew_begin_with_an_old_epoch(&crew);
    for (int i = PROCESSES - 1; i >= 0; i--) {
        struct store *store = crew.db[i]->store;
        put(crew.db[i], "a", "2");
        CHECK_EQ(log_epoch(store->log), file_session(&store->file));
    }
    crew_end(&crew);
}

TEST(peers__take_the_file_over_from_each_other)
{
    struct crew crew;
    crew_begin(&crew);
    put(crew.db[0], "first", "1");
    crew_close(&crew, 0);
    put(crew.db[1], "second", "2");
    crew_kill(&crew, 1);
    CHECK(holds(crew.db[2], "first", "1"));
    CHECK(holds(crew.db[2], "second", "2"));
    put(crew.db[2], "third", "3");
    crew_close(&crew, 2);
    crew_open(&crew, 0, 0);
    CHECK(holds(crew.db[0], "third", "3"));
    CHECK_EQ(count_rows(crew.db[0]), 3);
    crew_end(&crew);
}

TEST(peers__exchange_their_trees_when_another_has_made_a_checkpoint)
{
    struct crew crew;
    char key[16];
    crew_begin(&crew);
    for (int i = 0; i < 40; i++) {
        snprintf(key, sizeof key, "key%03d", i);
        put(crew.db[i % PROCESSES], key, "before");
        if (i % 5 == 0)
            CHECK_OK(scn_checkpoint(crew.db[i / 5 % PROCESSES]));
        for (int k = 0; k < PROCESSES; k++) {
            CHECK(holds(crew.db[k], key, "before"));
            CHECK_EQ(count_rows(crew.db[k]), (uint64_t)i + 1);
        }
    }
    crew_end(&crew);
}

/* One sleeps while the others fill the log several times over. */
TEST(peers__that_slept_start_anew_from_the_newest_generation)
{
    static char large[8192];
    struct crew crew;
    char key[16];
    crew_begin(&crew);
    put(crew.db[2], "mine", "old");
    memset(large, 'x', sizeof large);
    for (int i = 0; i < 4 * LOG_BYTES / (int)sizeof large; i++) {
        snprintf(key, sizeof key, "key%05d", i);
        for (size_t k = 0; k < sizeof large; k++)
            large[k] = (char)(i * 31 + (int)k * 7 + (int)(k >> 5) * i);
        CHECK_OK(scn_put1(crew.db[i % 2], "rows", text(key),
                          (scn_slice){large, sizeof large}));
    }
    put(crew.db[0], "mine", "new");
    CHECK(holds(crew.db[2], "mine", "new"));
    CHECK_EQ(count_rows(crew.db[2]), count_rows(crew.db[1]));
    put(crew.db[2], "mine", "newest");
    CHECK(holds(crew.db[0], "mine", "newest"));
    crew_end(&crew);
}

/* ---- conflicts ---- */

TEST(peers__conflict_key_by_key)
{
    struct crew crew;
    scn_txn *one, *two;
    scn_table_id table;
    scn_slice value;
    crew_begin(&crew);
    put(crew.db[0], "a", "1");
    put(crew.db[0], "b", "1");
    CHECK_OK(scn_begin(crew.db[0], SCN_WRITE, &one));
    CHECK_OK(scn_begin(crew.db[1], SCN_WRITE, &two));
    CHECK_OK(scn_table(one, "rows", 0, &table));
    CHECK_OK(scn_get(one, table, text("a"), &value));
    CHECK_OK(scn_put(one, table, text("b"), text("2"), 0));
    CHECK_OK(scn_table(two, "rows", 0, &table));
    CHECK_OK(scn_put(two, table, text("c"), text("2"), 0));
    CHECK_OK(scn_commit(two)); /* of another key: nobody minds */
    CHECK_OK(scn_begin(crew.db[1], SCN_WRITE, &two));
    CHECK_OK(scn_put(two, table, text("a"), text("2"), 0));
    CHECK_OK(scn_commit(two));
    CHECK_EQ(scn_commit(one), SCN_CONFLICT);
    CHECK(holds(crew.db[2], "b", "1"));
    crew_end(&crew);
}

static scn_status add_one(scn_txn *txn, void *ctx)
{
    scn_table_id table;
    scn_slice value;
    uint8_t sum[8] = {0};
    (void)ctx;
    scn_status st = scn_table(txn, "rows", SCN_CREATE, &table);
    if (st == SCN_OK)
        st = scn_get(txn, table, text("sum"), &value);
    if (st == SCN_OK)
        memcpy(sum, value.data, sizeof sum);
    if (st < 0)
        return st;
    put_u64(sum, get_u64(sum) + 1);
    return scn_put(txn, table, text("sum"), (scn_slice){sum, sizeof sum}, 0);
}

TEST(peers__update_the_same_row_in_turn)
{
    struct crew crew;
    void *bytes;
    size_t size;
    crew_begin(&crew);
    for (int i = 0; i < 300; i++)
        CHECK_OK(scn_update(crew.db[i % PROCESSES], add_one, NULL));
    CHECK_OK(scn_get_copy(crew.db[1], "rows", text("sum"), &bytes, &size));
    CHECK_EQ(get_u64(bytes), 300);
    scn_free(bytes);
    crew_end(&crew);
}

TEST(peers__additions_do_not_conflict)
{
    struct crew crew;
    scn_txn *txn[PROCESSES];
    scn_table_id table;
    scn_slice value;
    crew_begin(&crew);
    put(crew.db[0], "row", "1");
    for (int i = 0; i < PROCESSES; i++) {
        CHECK_OK(scn_begin(crew.db[i], SCN_WRITE, &txn[i]));
        CHECK_OK(scn_table(txn[i], "rows", 0, &table));
        CHECK_OK(scn_add(txn[i], table, text("sum"), i + 1, 0, 100));
    }
    for (int i = 0; i < PROCESSES; i++)
        CHECK_OK(scn_commit(txn[i]));
    CHECK_OK(scn_begin(crew.db[0], SCN_READ, &txn[0]));
    CHECK_OK(scn_get(txn[0], table, text("sum"), &value));
    CHECK_EQ(get_u64(value.data), 1 + 2 + 3);
    scn_abort(txn[0]);
    crew_end(&crew);
}

/* ---- snapshots ---- */

TEST(peers__keep_the_pages_of_each_others_snapshots)
{
    struct crew crew;
    scn_txn *old;
    scn_table_id table;
    scn_slice value;
    char key[16];
    crew_begin(&crew);
    for (int i = 0; i < 200; i++) {
        snprintf(key, sizeof key, "key%03d", i);
        put(crew.db[0], key, "old");
    }
    CHECK_OK(scn_checkpoint(crew.db[0]));
    CHECK_OK(scn_begin(crew.db[1], SCN_READ, &old));
    CHECK_OK(scn_table(old, "rows", 0, &table));
    for (int i = 0; i < 2; i++)
        CHECK_OK(scn_tick(crew.db[1], 0)); /* it is idle but for that */
    for (int round = 0; round < 6; round++) {
        for (int i = 0; i < 200; i++) {
            snprintf(key, sizeof key, "key%03d", i);
            put(crew.db[0], key, "new");
        }
        CHECK_OK(scn_checkpoint(crew.db[round % 2 ? 0 : 2]));
    }
    for (int i = 0; i < 200; i++) {
        snprintf(key, sizeof key, "key%03d", i);
        CHECK_OK(scn_get(old, table, text(key), &value));
        CHECK(value.size == 3 && memcmp(value.data, "old", 3) == 0);
    }
    scn_abort(old);
    CHECK(holds(crew.db[1], "key000", "new"));
    crew_end(&crew);
}

TEST(peers__that_are_idle_hold_nothing_back)
{
    struct crew crew;
    uint64_t *pins;
    uint32_t count;
    crew_begin(&crew);
    put(crew.db[0], "a", "1");
    for (int i = 0; i < PROCESSES; i++)
        CHECK(holds(crew.db[i], "a", "1"));
    CHECK_OK(pins_foreign(&crew.db[0]->store->pins, &pins, &count));
    CHECK_EQ(count, 1);
    mem_free(pins);
    for (int i = 0; i < PROCESSES; i++)
        for (int k = 0; k < 2; k++)
            CHECK_OK(scn_tick(crew.db[i], 0));
    CHECK_OK(pins_foreign(&crew.db[0]->store->pins, &pins, &count));
    CHECK_EQ(count, 0);
    mem_free(pins);
    CHECK(holds(crew.db[1], "a", "1"));
    crew_end(&crew);
}

static scn_status note_reader(void *ctx, const scn_reader *reader)
{
    scn_reader *oldest = ctx;
    if (reader->age_ms >= oldest->age_ms && reader->program[0])
        *oldest = *reader;
    return SCN_OK;
}

/* Process 0 gives old snapshots up; process 1 has one. */
TEST(peers__give_up_each_others_old_snapshots)
{
    struct crew crew;
    scn_txn *old;
    scn_table_id table;
    scn_slice value;
    scn_reader oldest = {.pid = 0};
    char key[16];
    scn_status st = SCN_OK;
    crew_begin(&crew);
    for (int i = 0; i < 200; i++) {
        snprintf(key, sizeof key, "key%03d", i);
        put(crew.db[1], key, "old");
    }
    CHECK_OK(scn_checkpoint(crew.db[2])); /* its pages are in no pool of process 1 */
    crew.db[0]->store->options.max_snapshot_age_ms = 1000;
    CHECK_OK(scn_begin(crew.db[1], SCN_READ, &old));
    CHECK_OK(scn_table(old, "rows", 0, &table));
    for (int round = 0; round < 6; round++) {
        for (int i = 0; i < 200; i++) {
            snprintf(key, sizeof key, "key%03d", i);
            put(crew.db[0], key, round % 2 ? "new" : "newer");
        }
        sim_clock_set(crew.disk, sim_clock_ns(crew.disk) + 600 * UINT64_C(1000000));
        CHECK_OK(scn_readers_each(crew.db[0], note_reader, &oldest));
        CHECK_OK(scn_checkpoint(crew.db[0]));
    }
    CHECK(oldest.pid != 0 && oldest.age_ms >= 600);
    for (int i = 0; i < 200 && st == SCN_OK; i++) {
        snprintf(key, sizeof key, "key%03d", i);
        st = scn_get(old, table, text(key), &value);
        CHECK(st < 0 || (value.size == 3 && memcmp(value.data, "old", 3) == 0));
    }
    CHECK_EQ(st, SCN_SNAPSHOT_GONE);
    CHECK_EQ(scn_get(old, table, text("key000"), &value), SCN_SNAPSHOT_GONE);
    scn_abort(old);
    CHECK(holds(crew.db[1], "key000", "new"));
    crew_end(&crew);
}

TEST(peers__that_do_nothing_for_long_give_their_memory_back)
{
    static char large[4096];
    struct crew crew;
    char key[16];
    crew_begin(&crew);
    crew.db[0]->store->options.log_bytes = 64 << 20; /* no checkpoint meanwhile */
    for (int i = 0; i < 600; i++) {
        snprintf(key, sizeof key, "key%05d", i);
        CHECK_OK(scn_put1(crew.db[0], "rows", text(key), (scn_slice){large, 2000}));
    }
    struct store *idle = crew.db[1]->store;
    idle->options.log_bytes = 64 << 20;
    CHECK_EQ(count_rows(crew.db[1]), 600);
    CHECK(atomic_load(&idle->delta_debt) > 1 << 20);
    for (int i = 0; i < 110; i++)
        CHECK_OK(scn_tick(crew.db[1], 0));
    CHECK_EQ(atomic_load(&idle->delta_debt), 0);
    CHECK_EQ(count_rows(crew.db[1]), 600);
    put(crew.db[1], "mine", "1");
    CHECK(holds(crew.db[0], "mine", "1"));
    crew_end(&crew);
}

/* ---- large transactions ---- */

static void put_run(scn_db *db, const char *prefix, int rows)
{
    static char value[PAGE_BYTES / 2];
    scn_txn *txn;
    scn_table_id table;
    char key[32];
    CHECK_OK(scn_begin(db, SCN_WRITE, &txn));
    CHECK_OK(scn_table(txn, "rows", SCN_CREATE, &table));
    for (int i = 0; i < rows; i++) {
        snprintf(key, sizeof key, "%s%05d", prefix, i);
        for (size_t k = 0; k < sizeof value; k++)
            value[k] = (char)(i * 17 + (int)k * 3 + (int)(k >> 6) * i);
        CHECK_OK(scn_put(txn, table, text(key), (scn_slice){value, sizeof value}, 0));
    }
    CHECK_OK(scn_commit(txn));
}

TEST(peers__read_bulk_runs_of_others)
{
    enum { ROWS = PAGE_IS_SMALL ? 200 : 100 };
    struct crew crew;
    crew_begin(&crew);
    put(crew.db[0], "a", "1");
    CHECK(holds(crew.db[1], "a", "1"));
    for (int i = 0; i < 6; i++) {
        char prefix[24];
        snprintf(prefix, sizeof prefix, "run%d-", i);
        put_run(crew.db[i % PROCESSES], prefix, ROWS);
        if (i % 2)
            CHECK_OK(scn_checkpoint(crew.db[(i + 1) % PROCESSES]));
        for (int k = 0; k < PROCESSES; k++)
            CHECK_EQ(count_rows(crew.db[k]), (uint64_t)(i + 1) * ROWS + 1);
    }
    crew_end(&crew);
}

/* Pages of a run whose record does not exist yet, a checkpoint of another process. */
TEST(peers__leave_each_others_new_pages_alone)
{
    enum { ROWS = 3 * WRITE_SET_BYTES_MAX / (PAGE_BYTES / 2) };
    static char value[PAGE_BYTES / 2];
    struct crew crew;
    scn_txn *txn;
    scn_table_id table;
    char key[32];
    crew_begin(&crew);
    put(crew.db[0], "a", "1");
    CHECK_OK(scn_begin(crew.db[0], SCN_WRITE, &txn));
    CHECK_OK(scn_table(txn, "rows", 0, &table));
    for (int i = 0; i < ROWS; i++) {
        snprintf(key, sizeof key, "row%05d", i);
        CHECK_OK(scn_put(txn, table, text(key), (scn_slice){value, sizeof value}, 0));
    }
    CHECK(txn->writes.segment_count > 0);
    for (int i = 0; i < 4; i++) {
        put_run(crew.db[1], "other", 30);
        CHECK_OK(scn_tick(crew.db[0], 0)); /* reads on, for the open transaction */
        CHECK_OK(scn_checkpoint(crew.db[1 + i % 2]));
    }
    CHECK_OK(scn_commit(txn));
    CHECK_EQ(count_rows(crew.db[2]), ROWS + 1 + 30);
    CHECK_OK(scn_checkpoint(crew.db[2]));
    CHECK_EQ(count_rows(crew.db[1]), ROWS + 1 + 30);
    crew_end(&crew);
}

/* ---- checkpoints that die ---- */

static void put_large(scn_db *db, int number)
{
    static uint64_t large[700];
    uint64_t dice = (uint64_t)number + 1;
    char key[16];
    snprintf(key, sizeof key, "key%05d", number % 40);
    for (size_t k = 0; k < sizeof large / sizeof *large; k++)
        large[k] = unit_random(&dice);
    CHECK_OK(scn_put1(db, "rows", text(key), (scn_slice){large, sizeof large}));
}

/* Extents are linked, freed and used again; in the end nothing belongs to two. */
static void go_on_without(struct crew *crew)
{
    for (int i = 0; i < 40; i++)
        put_large(crew->db[1], i);
    for (int round = 0; round < 4; round++) {
        CHECK_OK(scn_checkpoint(crew->db[2]));
        for (int i = 0; i < 10; i++)
            put_large(crew->db[1 + i % 2], i);
    }
    CHECK_EQ(count_rows(crew->db[1]), 41);
}

/* Then the file is packed, and the log gives spare extents up. */
static void clear(scn_db *db)
{
    scn_txn *txn;
    scn_table_id table;
    CHECK_OK(scn_begin(db, SCN_WRITE, &txn));
    CHECK_OK(scn_table(txn, "rows", 0, &table));
    CHECK_OK(scn_table_clear(txn, table));
    CHECK_OK(scn_commit(txn));
    put(db, "a", "1");
}

/* False: it has not died. */
static bool checkpoint_dies(uint64_t nth)
{
    struct crew crew;
    crew_begin(&crew);
    put(crew.db[0], "a", "1");
    for (int i = 0; i < 120; i++)
        put_large(crew.db[i % 2], i);
    for (int round = 0; round < 2; round++) {
        CHECK_OK(scn_checkpoint(crew.db[2]));
        for (int i = 0; i < 10; i++)
            put_large(crew.db[i % 2], i);
    }
    clear(crew.db[0]);
    const struct sim_fault fault = {.kind = SIM_KILL, .call = SIM_WRITE, .nth = nth};
    sim_fault_set(crew.sys[0], &fault);
    bool has_died = scn_checkpoint(crew.db[0]) != SCN_OK;
    if (has_died) {
        (void)scn_close(crew.db[0]);
        sim_process_destroy(crew.sys[0]);
        crew.sys[0] = NULL;
    }
    go_on_without(&crew);
    crew_end(&crew);
    return has_died;
}

TEST(peers__go_on_where_a_checkpoint_has_died)
{
    uint64_t nth = 1;
    while (PAGE_IS_SMALL && checkpoint_dies(nth))
        nth++;
    CHECK(!PAGE_IS_SMALL || nth > 10);
}

/* ---- readers ---- */

TEST(peers__that_only_read_follow_writers_that_come_and_go)
{
    struct crew crew = {.disk = sim_disk_create(unit_seed())};
    crew_open(&crew, 0, 0);
    put(crew.db[0], "a", "1");
    crew_open(&crew, 1, SCN_RDONLY);
    CHECK(holds(crew.db[1], "a", "1"));
    put(crew.db[0], "a", "2");
    CHECK(holds(crew.db[1], "a", "2"));
    crew_close(&crew, 0);
    CHECK(holds(crew.db[1], "a", "2"));
    crew_open(&crew, 2, SCN_RDONLY); /* nobody writes now */
    CHECK(holds(crew.db[2], "a", "2"));
    crew_open(&crew, 0, 0);
    put(crew.db[0], "a", "3");
    for (int i = 0; i < PROCESSES; i++)
        CHECK(holds(crew.db[i], "a", "3"));
    CHECK_OK(scn_checkpoint(crew.db[0]));
    put(crew.db[0], "a", "4");
    for (int i = 0; i < PROCESSES; i++)
        CHECK(holds(crew.db[i], "a", "4"));
    crew_kill(&crew, 0);
    CHECK(holds(crew.db[1], "a", "4"));
    crew_open(&crew, 0, 0);
    put(crew.db[0], "a", "5");
    for (int i = 0; i < PROCESSES; i++)
        CHECK(holds(crew.db[i], "a", "5"));
    crew_end(&crew);
}

enum { MANY_ROWS = PAGE_IS_SMALL ? 4000 : 80000 };

static int checkpoint_beside(void *user, uint64_t done, uint64_t expected)
{
    scn_db **writer = user;
    (void)done, (void)expected;
    CHECK_EQ(scn_checkpoint(*writer), SCN_BUSY);
    return 0;
}

/* A bulk run, and it is not merged. */
static void put_many(scn_db *db, const char *value)
{
    scn_txn *txn;
    scn_table_id table;
    char key[16];
    CHECK_OK(scn_begin(db, SCN_WRITE, &txn));
    CHECK_OK(scn_table(txn, "rows", SCN_CREATE, &table));
    for (int i = 0; i < MANY_ROWS; i++) {
        snprintf(key, sizeof key, "key%05d", i);
        CHECK_OK(scn_put(txn, table, text(key), text(value), 0));
    }
    CHECK_OK(scn_commit(txn));
    CHECK(atomic_load(&db->store->run_count) > 0);
}

/* It came when nobody wrote, and generations have passed since; none does while it
 * looks. */
TEST(peers__that_only_read_find_nothing_wrong_beside_checkpoints)
{
    struct crew crew = {.disk = sim_disk_create(unit_seed())};
    uint64_t issues;
    crew_open(&crew, 0, 0);
    put_many(crew.db[0], "a row that takes some bytes of a page, and some more");
    CHECK_OK(scn_checkpoint(crew.db[0]));
    crew_close(&crew, 0);
    crew_open(&crew, 1, SCN_RDONLY);
    crew_open(&crew, 0, 0);
    crew.db[1]->store->options.hooks =
        (scn_hooks){.user = &crew.db[0], .progress = checkpoint_beside};
    for (int i = 0; i < 4; i++) {
        put(crew.db[0], "key00001", i % 2 ? "one" : "two");
        CHECK_OK(scn_checkpoint(crew.db[0]));
    }
    put_many(crew.db[0], "another row");
    put(crew.db[0], "key00002", "behind the last one");
    CHECK_OK(scn_check(crew.db[1], SCN_CHECK_ALL, NULL, NULL, &issues));
    CHECK_EQ(issues, 0);
    CHECK_OK(scn_checkpoint(crew.db[0]));
    crew_end(&crew);
}

/* ---- poison ---- */

static void poison(struct crew *crew, int idx)
{
    struct sim_fault failing = {.kind = SIM_FAIL, .call = SIM_DSYNC, .nth = 1};
    failing.error = EIO;
    sim_fault_set(crew->sys[idx], &failing);
    CHECK_EQ(scn_put1(crew->db[idx], "rows", text("unknown"), text("?")), SCN_UNKNOWN);
    sim_fault_clear(crew->sys[idx]);
}

static void check_doubt(int number)
{
    scn_error error = {.struct_size = sizeof error};
    scn_last_error(NULL, &error);
    CHECK_EQ(error.status, SCN_UNKNOWN);
    CHECK_EQ(error.sys_errno, number);
    CHECK(strstr(error.text, "not known") != NULL);
    CHECK(strstr(error.text, strerror(number)) != NULL);
}

static scn_status put_one(scn_txn *txn, void *ctx)
{
    scn_table_id table;
    scn_status st = scn_table(txn, ctx, SCN_CREATE, &table);
    return st == SCN_OK ? scn_put(txn, table, text("k"), text("v"), 0) : st;
}

/* Of the append, of the sync, and of that of the last close. */
TEST(peers__are_told_why_an_outcome_is_not_known)
{
    struct crew crew;
    struct sim_fault failing = {.kind = SIM_FAIL, .call = SIM_WRITE, .nth = 1};
    crew_begin(&crew);
    poison(&crew, 0);
    check_doubt(EIO);
    crew_kill(&crew, 0);
    crew_open(&crew, 0, 0); /* cures it */
    failing.error = ENOSPC;
    sim_fault_set(crew.sys[0], &failing);
    CHECK_EQ(scn_update(crew.db[0], put_one, "t"), SCN_UNKNOWN);
    check_doubt(ENOSPC);
    sim_fault_clear(crew.sys[0]);
    crew_kill(&crew, 0);
    crew_open(&crew, 0, 0);
    crew.db[0]->store->options.durability = SCN_SYNC_LAZY;
    put(crew.db[0], "first", "waits");
    put(crew.db[0], "second", "does not");
    failing.call = SIM_DSYNC;
    failing.error = EIO;
    sim_fault_set(crew.sys[0], &failing);
    CHECK_EQ(scn_close(crew.db[0]), SCN_UNKNOWN);
    check_doubt(EIO);
    sim_process_destroy(crew.sys[0]);
    crew.sys[0] = NULL;
    crew_open(&crew, 0, 0);
    crew_end(&crew);
}

/* Nobody acknowledges any more; reads go on; who opens the file cures it for all. */
TEST(peers__go_on_when_somebody_has_cured_the_file)
{
    struct crew crew;
    scn_db *other;
    scn_txn *reader, *writer;
    scn_table_id table;
    scn_slice value;
    crew_begin(&crew);
    put(crew.db[0], "a", "1");
    CHECK_OK(scn_begin(crew.db[1], SCN_READ, &reader));
    CHECK_OK(scn_begin(crew.db[2], SCN_WRITE, &writer));
    CHECK_OK(scn_table(writer, "rows", 0, &table));
    CHECK_OK(scn_put(writer, table, text("b"), text("2"), 0));
    poison(&crew, 0);
    for (int i = 0; i < PROCESSES; i++) {
        CHECK(holds(crew.db[i], "a", "1"));
        CHECK_EQ(scn_put1(crew.db[i], "rows", text("x"), text("y")), SCN_POISONED);
    }
    struct sys *sys = sim_process_create(crew.disk);
    CHECK_OK(open_with(sys, 0, &other));
    put(other, "c", "3");
    CHECK_OK(scn_get(reader, table, text("a"), &value));
    scn_abort(reader);
    CHECK_EQ(scn_commit(writer), SCN_CONFLICT);
    for (int i = 0; i < PROCESSES; i++) {
        char key[] = {'k', (char)('0' + i), 0};
        CHECK(holds(crew.db[i], "c", "3"));
        put(crew.db[i], key, "4");
        CHECK(holds(other, key, "4"));
    }
    CHECK_OK(scn_close(other));
    sim_process_destroy(sys);
    crew_end(&crew);
}

TEST(peers__cure_the_file_by_opening_it_once_more)
{
    struct crew crew;
    scn_db *again;
    crew_begin(&crew);
    put(crew.db[0], "a", "1");
    poison(&crew, 1);
    CHECK_OK(open_with(crew.sys[1], 0, &again));
    for (int i = 0; i < PROCESSES; i++)
        put(crew.db[i], "a", "2");
    CHECK_OK(scn_close(again));
    crew_end(&crew);
}

/* ---- threads of one process, while another one cures ---- */

/* Played by the one thread there is, in a call of its own. */
struct interruption {
    struct crew *crew;
    bool (*is_due)(struct crew *crew, enum sim_call call);
    void (*run)(struct crew *crew);
    bool is_done;
};

static void interrupt(void *ctx, struct sim_disk *disk, enum sim_call call,
                      enum sim_moment moment)
{
    struct interruption *interruption = ctx;
    (void)disk;
    if (interruption->is_done || moment != SIM_AFTER ||
        !interruption->is_due(interruption->crew, call))
        return;
    interruption->is_done = true;
    interruption->run(interruption->crew);
}

static void cure_by_first(struct crew *crew)
{
    CHECK_OK(session_cure(crew->db[0]->store));
    CHECK_OK(peers_follow(crew->db[1]->store)); /* another thread */
}

static void lose_and_cure(struct crew *crew)
{
    poison(crew, 0); /* what the other one has appended is lost, too */
    cure_by_first(crew);
}

static bool is_reading(struct crew *crew, enum sim_call call)
{
    (void)crew;
    return call == SIM_READ;
}

static bool is_about_to_sync(struct crew *crew, enum sim_call call)
{
    return call == SIM_PROBE && crew->db[1]->store->log->group.is_leading;
}

static uint64_t session_on_page(struct store *store)
{
    struct publish page;
    CHECK_OK(publish_read(&store->file, &page));
    return page.line[PUBLISH_SESSION].epoch;
}

/* What it has read of the page is old when it comes to believe it. */
TEST(peers__do_not_go_back_to_the_session_before)
{
    struct crew crew;
    struct interruption cure = {&crew, is_reading, cure_by_first, false};
    crew_begin(&crew);
    struct store *store = crew.db[1]->store;
    put(crew.db[0], "a", "1");
    CHECK(holds(crew.db[1], "a", "1"));
    poison(&crew, 0);
    uint64_t life = log_life(store->log);
    sim_hook_set(crew.disk, interrupt, &cure);
    CHECK_OK(peers_follow(store));
    sim_hook_set(crew.disk, NULL, NULL);
    CHECK(cure.is_done);
    CHECK_EQ(file_session(&store->file), session_on_page(store));
    CHECK_EQ(log_life(store->log), life + 1);
    put(crew.db[0], "a", "2");
    CHECK(holds(crew.db[1], "a", "2"));
    crew_end(&crew);
}

static void put_lazily(scn_db *db, const char *key, const char *value)
{
    scn_txn *txn;
    scn_table_id table;
    CHECK_OK(scn_begin(db, SCN_WRITE, &txn));
    CHECK_OK(scn_set_durability(txn, SCN_SYNC_LAZY));
    CHECK_OK(scn_table(txn, "rows", 0, &table));
    CHECK_OK(scn_put(txn, table, text(key), text(value), 0));
    CHECK_OK(scn_commit(txn));
}

/* A process that has read a lazy commit is about to sync it; another has cured the file
 * meanwhile.  Only who has made one has lost something. */
TEST(peers__are_told_of_a_cure_who_have_lost_something_with_it)
{
    struct crew crew;
    crew_begin(&crew);
    put(crew.db[0], "k", "1");
    put_lazily(crew.db[2], "lazy", "1");
    CHECK(holds(crew.db[1], "lazy", "1"));
    poison(&crew, 0);
    CHECK_OK(session_cure(crew.db[0]->store));
    CHECK_OK(scn_tick(crew.db[1], 0));
    CHECK_EQ(scn_tick(crew.db[2], 0), SCN_UNKNOWN);
    CHECK_OK(scn_tick(crew.db[2], 0));
    for (int i = 0; i < PROCESSES; i++)
        CHECK(holds(crew.db[i], "k", "1"));
    put(crew.db[1], "after", "1");
    CHECK(holds(crew.db[2], "after", "1"));
    CHECK_EQ(scn_close(crew.db[2]), SCN_UNKNOWN);
    sim_process_destroy(crew.sys[2]);
    crew.sys[2] = NULL;
    crew_end(&crew);
}

/* Who has met the failure looks whether somebody has cured the file, at each tick. */
TEST(peers__hear_of_a_cure_without_a_transaction)
{
    struct crew crew;
    crew_begin(&crew);
    put(crew.db[0], "k", "1");
    CHECK(holds(crew.db[1], "k", "1"));
    poison(&crew, 0);
    CHECK_EQ(scn_put1(crew.db[1], "rows", text("x"), text("y")), SCN_POISONED);
    CHECK_EQ(scn_tick(crew.db[1], 0), SCN_POISONED);
    CHECK_OK(session_cure(crew.db[0]->store));
    CHECK_OK(scn_tick(crew.db[1], 0));
    put(crew.db[1], "k", "2");
    crew_end(&crew);
}

static void close_after_a_loss(struct crew *crew, int idx)
{
    CHECK_EQ(scn_close(crew->db[idx]), SCN_UNKNOWN);
    sim_process_destroy(crew->sys[idx]);
    crew->sys[idx] = NULL;
}

static void lose_others_commits(struct crew *crew)
{
    poison(crew, 0);
    CHECK_OK(session_cure(crew->db[0]->store));
}

/* What was lost with one cure was not lost with the next. */
TEST(peers__are_told_of_each_loss_once)
{
    struct crew crew;
    crew_begin(&crew);
    put(crew.db[0], "k", "1");
    for (int who = 2; who > 0; who--) {
        put_lazily(crew.db[who], "lazy", "1");
        CHECK(holds(crew.db[2], "lazy", "1"));
        lose_others_commits(&crew);
        for (int i = 1; i < PROCESSES; i++)
            CHECK_EQ(scn_tick(crew.db[i], 0), i == who ? SCN_UNKNOWN : SCN_OK);
        put(crew.db[0], "k", "2"); /* the first of a session is synced */
    }
    close_after_a_loss(&crew, 2);
    close_after_a_loss(&crew, 1);
    crew_end(&crew);
}

/* All that it has committed was durable before: it was about to say so in the log. */
TEST(peers__lose_nothing_with_a_mark)
{
    struct crew crew;
    struct interruption cure = {&crew, is_about_to_sync, lose_others_commits, false};
    crew_begin(&crew);
    put(crew.db[1], "k", "1");
    CHECK(holds(crew.db[0], "k", "1"));
    CHECK_OK(scn_tick(crew.db[1], 0));
    sim_hook_set(crew.disk, interrupt, &cure);
    CHECK_OK(scn_tick(crew.db[1], 0));
    sim_hook_set(crew.disk, NULL, NULL);
    CHECK(cure.is_done);
    CHECK(holds(crew.db[1], "k", "1"));
    put(crew.db[1], "k", "2");
    CHECK(holds(crew.db[2], "k", "2"));
    crew_end(&crew);
}

/* Somebody else loses what he has shown and cures the file; shows something; loses it. */
enum { CURE_STEPS = 3, CURE_PUTS = 1, CURE_READS = 18 };

struct cures {
    struct crew *crew;
    uint64_t at[CURE_STEPS]; /* behind these reads */
    uint64_t reads;
    uint32_t done;
    bool is_running;
};

static void go_on_curing(void *ctx, struct sim_disk *disk, enum sim_call call,
                         enum sim_moment moment)
{
    struct cures *cures = ctx;
    (void)disk;
    if (cures->is_running || moment != SIM_AFTER || call != SIM_READ)
        return;
    cures->reads++;
    if (cures->done == CURE_STEPS || cures->reads != cures->at[cures->done])
        return;
    cures->is_running = true;
    if (cures->done == CURE_PUTS) {
        put(cures->crew->db[0], "b", "1"); /* the first of a session is synced */
        put_lazily(cures->crew->db[0], "lazy", "again");
    } else {
        poison(cures->crew, 0);
        CHECK_OK(session_cure(cures->crew->db[0]->store));
    }
    cures->is_running = false;
    cures->done++;
}

static void follow_beside_cures(uint64_t first, uint64_t second, uint64_t third)
{
    struct crew crew;
    struct cures cures = {.crew = &crew, .at = {first, second, third}};
    crew_begin(&crew);
    put(crew.db[0], "a", "1");
    CHECK(holds(crew.db[1], "a", "1"));
    put_lazily(crew.db[0], "lazy", "1");
    sim_hook_set(crew.disk, go_on_curing, &cures);
    CHECK_OK(peers_follow(crew.db[1]->store));
    sim_hook_set(crew.disk, NULL, NULL);
    put(crew.db[0], "a", "2");
    CHECK(holds(crew.db[1], "a", "2"));
    CHECK_EQ(scn_close(crew.db[0]), cures.done ? SCN_UNKNOWN : SCN_OK); /* it tells */
    sim_process_destroy(crew.sys[0]);
    crew.sys[0] = NULL;
    crew_end(&crew);
    CHECK(cures.reads < CURE_READS);
}

/* A log that ends early twice is damaged, but not where two sessions have ended it. */
TEST(peers__follow_through_two_cures)
{
    for (uint64_t first = 1; first < CURE_READS; first++)
        for (uint64_t second = first + 1; second < CURE_READS; second++)
            for (uint64_t third = second + 1; third < CURE_READS; third++)
                follow_beside_cures(first, second, third);
}

/* Its commit was lost, and it waited for the lock while the file was cured: where the log
 * ended before says nothing of the new session. */
TEST(peers__tell_no_session_of_a_sync_of_the_one_before)
{
    static char large[2000];
    struct crew crew;
    struct publish page;
    struct interruption cure = {&crew, is_about_to_sync, lose_and_cure, false};
    crew_begin(&crew);
    put(crew.db[0], "a", "1");
    CHECK(holds(crew.db[1], "a", "1"));
    sim_hook_set(crew.disk, interrupt, &cure);
    CHECK_EQ(scn_put1(crew.db[1], "rows", text("lost"), (scn_slice){large, sizeof large}),
             SCN_UNKNOWN);
    sim_hook_set(crew.disk, NULL, NULL);
    CHECK(cure.is_done);
    CHECK_OK(publish_read(&crew.db[0]->store->file, &page));
    CHECK(page.line[PUBLISH_SYNC].field[SYNC_LSN] <=
          page.line[PUBLISH_APPEND].field[APPEND_LSN]);
    put(crew.db[2], "b", "2");
    CHECK(holds(crew.db[1], "b", "2"));
    crew_end(&crew);
}

static void evict(struct crew *crew)
{
    sim_disk_evict(crew->disk);
}

/* Somebody has failed at a sync and died before it could say so, and the pages that it
 * lost are read anew: what is chained behind them is not acknowledged. */
TEST(peers__acknowledge_nothing_behind_a_lost_record)
{
    static char large[5000];
    struct crew crew;
    struct interruption eviction = {&crew, is_about_to_sync, evict, false};
    struct sim_fault fail = {.kind = SIM_FAIL, .call = SIM_DSYNC, .nth = 1, .error = EIO};
    struct sim_fault dies = {.kind = SIM_KILL, .call = SIM_WRITE, .nth = 3};
    uint64_t dice = unit_seed();
    crew_begin(&crew);
    for (size_t i = 0; i < sizeof large; i++)
        large[i] = (char)unit_random(&dice);
    put(crew.db[0], "a", "1");
    CHECK(holds(crew.db[1], "a", "1"));
    CHECK(holds(crew.db[2], "a", "1"));
    sim_fault_set(crew.sys[0], &fail);
    sim_fault_set(crew.sys[0], &dies); /* the record, the line, and no poison */
    CHECK(scn_put1(crew.db[0], "rows", text("lost"),
                   (scn_slice){large, sizeof large}) != SCN_OK);
    CHECK(sim_process_is_dead(crew.sys[0]));
    CHECK_EQ(sim_fault_hits(crew.sys[0]), 2);
    (void)scn_close(crew.db[0]);
    sim_process_destroy(crew.sys[0]);
    crew.sys[0] = NULL;
    sim_hook_set(crew.disk, interrupt, &eviction);
    scn_status st = scn_put1(crew.db[1], "rows", text("b"),
                             (scn_slice){large, sizeof large});
    sim_hook_set(crew.disk, NULL, NULL);
    CHECK(eviction.is_done);
    CHECK_EQ(st, SCN_UNKNOWN);
    for (int i = 1; i < PROCESSES; i++)
        crew_kill(&crew, i);
    sim_disk_destroy(crew.disk);
}

/* A visible commit that nobody has read yet.  Who only reads is there, too. */
static void lose_unread_beside(struct crew *crew, scn_db **reader)
{
    struct sim_fault fail = {.kind = SIM_FAIL, .call = SIM_DSYNC, .nth = 1, .error = EIO};
    struct sim_fault dies = {.kind = SIM_KILL, .call = SIM_WRITE, .nth = 3};
    crew_begin(crew);
    put(crew->db[0], "a", "1");
    CHECK(holds(crew->db[1], "a", "1"));
    CHECK(holds(crew->db[2], "a", "1"));
    if (reader) {
        CHECK_OK(open_with(sim_process_create(crew->disk), SCN_RDONLY, reader));
        CHECK(holds(*reader, "a", "1"));
    }
    sim_fault_set(crew->sys[0], &fail);
    sim_fault_set(crew->sys[0], &dies);
    put_lazily(crew->db[0], "lost", "1");
    struct log *log = crew->db[0]->store->log;
    CHECK_EQ(log_sync(log, log_appended(log), 0), SCN_UNKNOWN);
    CHECK(sim_process_is_dead(crew->sys[0]));
    (void)scn_close(crew->db[0]);
    sim_process_destroy(crew->sys[0]);
    crew->sys[0] = NULL;
    evict(crew);
}

static void lose_unread(struct crew *crew)
{
    lose_unread_beside(crew, NULL);
}

static void check_cured(struct crew *crew, int idx)
{
    put(crew->db[idx], "b", "2");
    CHECK(holds(crew->db[2], "a", "1"));
    CHECK(holds(crew->db[2], "b", "2"));
    CHECK(holds(crew->db[2], "lost", NULL));
    crew_end(crew);
}

/* It was never synced: that is no damage, and the next cure goes on without it. */
TEST(peers__who_cannot_read_what_was_lost_cures_the_file)
{
    struct crew crew;
    lose_unread(&crew);
    CHECK_EQ(scn_put1(crew.db[1], "rows", text("b"), text("1")), SCN_POISONED);
    CHECK_OK(session_cure(crew.db[1]->store));
    check_cured(&crew, 1);
}

TEST(peers__who_comes_and_cannot_read_what_was_lost_cures_the_file)
{
    struct crew crew;
    lose_unread(&crew);
    CHECK_EQ(scn_put1(crew.db[1], "rows", text("b"), text("1")), SCN_POISONED);
    crew_open(&crew, 0, 0);
    check_cured(&crew, 0);
}

/* Who only reads cannot cure it, and shows nobody less than was visible before.  Nobody
 * has told of the loss when the next one opens the file. */
TEST(peers__who_only_reads_waits_for_the_cure_of_what_was_lost)
{
    struct crew crew;
    scn_db *early;
    scn_db *late;
    scn_txn *txn;
    lose_unread_beside(&crew, &early);
    struct sys *sys = sim_process_create(crew.disk);
    CHECK_EQ(scn_begin(early, SCN_READ, &txn), SCN_POISONED);
    CHECK_EQ(open_with(sys, SCN_RDONLY, &late), SCN_POISONED);
    crew_open(&crew, 0, 0);
    CHECK_OK(open_with(sys, SCN_RDONLY, &late));
    for (int i = 0; i < 2; i++) {
        scn_db *db = i ? late : early;
        scn_health_t health = {.struct_size = sizeof health};
        CHECK(holds(db, "a", "1"));
        CHECK(holds(db, "lost", NULL));
        CHECK_OK(scn_health(db, &health));
        CHECK(health.healthy);
        struct sys *its = db->store->sys;
        CHECK_OK(scn_close(db));
        sim_process_destroy(its);
    }
    check_cured(&crew, 0);
}

/* ---- a drain, and another thread that begins meanwhile ---- */

static bool has_given_up(struct crew *crew, enum sim_call call)
{
    struct store *store = crew->db[0]->store;
    return call == SIM_SYNC && lock_is_mine(&store->locks, LOCK_APPEND);
}

/* After a rest, when a commit has exchanged the view that the checkpoint holds. */
static void begin_after_a_rest(struct crew *crew)
{
    struct store *store = crew->db[0]->store;
    store->sys->ops->mutex_lock(store->state_mutex);
    if (store->view->is_pinned) {
        store->view->is_pinned = false;
        atomic_store(&store->pinned_gen, 0);
        pin_drop(&store->pins, store->view->gen);
    }
    store->sys->ops->mutex_unlock(store->state_mutex);
    CHECK_OK(peers_follow(store));
}

static bool is_listed(const struct superblock *sb, uint32_t pgno)
{
    for (uint32_t i = 0; i < sb->spare_count; i++)
        if (sb->spares[i].pgno == pgno)
            return true;
    return false;
}

TEST(peers__link_no_spare_that_their_own_checkpoint_has_given_up)
{
    struct crew crew;
    struct interruption begin = {&crew, has_given_up, begin_after_a_rest, false};
    crew_begin(&crew);
    struct store *store = crew.db[0]->store;
    put(crew.db[0], "a", "1");
    for (int i = 0; i < 120; i++)
        put_large(crew.db[i % 2], i);
    for (int round = 0; round < 2; round++) {
        CHECK_OK(scn_checkpoint(crew.db[2]));
        for (int i = 0; i < 10; i++)
            put_large(crew.db[i % 2], i);
    }
    clear(crew.db[0]);
    sim_hook_set(crew.disk, interrupt, &begin);
    CHECK_OK(checkpoint_run(store, CHECKPOINT_DRAIN));
    sim_hook_set(crew.disk, NULL, NULL);
    CHECK(!PAGE_IS_SMALL || begin.is_done);
    struct log_spare spares[LOG_SPARE_MAX];
    uint32_t count = log_spares(store->log, spares, LOG_SPARE_MAX);
    for (uint32_t i = 0; i < count; i++)
        CHECK(is_listed(&store->superblock, spares[i].pgno));
    for (int i = 0; i < 40; i++)
        put_large(crew.db[0], i);
    crew_end(&crew);
}

/* What many processes only follow makes the file no longer. */
TEST(peers__that_only_follow_make_no_extent_ready)
{
    struct crew crew;
    crew_begin(&crew);
    struct store *store = crew.db[0]->store;
    for (int i = 0; log_bytes_since(store->log, atomic_load(&store->base_lsn)) < 65536;)
        put_large(crew.db[0], i++);
    for (int i = 0; i < PROCESSES; i++) {
        struct log *log = crew.db[i]->store->log;
        CHECK_OK(peers_follow(crew.db[i]->store));
        CHECK_EQ(log_spare_count(log), 0);
        CHECK_OK(scn_tick(crew.db[i], 0));
        CHECK_EQ(log_spare_count(log), i == 0);
    }
    crew_end(&crew);
}

/* A generation's spares are somebody's, though there was no memory to list them here. */
TEST(peers__lose_no_spare_that_they_could_not_list)
{
    struct log_spare lost[LOG_SPARE_MAX];
    struct crew crew;
    crew_begin(&crew);
    CHECK_OK(room_extend(crew.db[0]->store, false));
    put(crew.db[0], "a", "1");
    CHECK_OK(checkpoint_run(crew.db[0]->store, CHECKPOINT_PLAIN));
    put(crew.db[1], "b", "2");
    struct store *store = crew.db[1]->store;
    CHECK(store->superblock.spare_count > 0);
    CHECK(log_drop_spares(store->log, 0, 0, lost) > 0);
    CHECK_OK(checkpoint_run(store, CHECKPOINT_PLAIN));
    for (int i = 0; i < 60; i++)
        put_large(crew.db[i % 2], i);
    crew_end(&crew);
}

/* Nor do they keep one that they have made ready, and cannot list any more. */
TEST(peers__give_back_an_extent_that_they_cannot_list)
{
    struct log_spare own;
    struct crew crew;
    crew_begin(&crew);
    put(crew.db[1], "a", "1");
    struct store *store = crew.db[1]->store;
    CHECK_OK(room_extend(store, false));
    CHECK_EQ(log_spares(store->log, &own, 1), 1);
    struct superblock sb = store->superblock;
    sb.spare_count = 1;
    sb.spares[0] = (struct log_spare){FILE_PAGES_MAX - 1, 1}; /* no such page */
    apply_enter(store);
    CHECK_EQ(extents_list_spares(store, &sb), SCN_CORRUPT);
    apply_leave(store);
    CHECK(!grown_has(&store->grown, own.pgno));
    CHECK_OK(checkpoint_run(store, CHECKPOINT_PLAIN));
    crew_end(&crew);
}

/* Flips a bit of the bytes, wherever they lie in the file. */
static void rot_text(struct crew *crew, const char *bytes)
{
    uint64_t size = 0;
    uint8_t found[64];
    size_t len = strlen(bytes);
    CHECK(sim_file_size(crew->disk, STORE, &size));
    for (uint64_t off = 0; off + len <= size; off++)
        if (sim_peek(crew->disk, STORE, off, found, len) && !memcmp(found, bytes, len)) {
            found[0] ^= 1;
            CHECK(sim_rot(crew->disk, STORE, off, found, 1));
            return;
        }
    CHECK(!"the bytes are in the file");
}

/* Who comes finds the log damaged; who is there has what was in it, and goes on. */
TEST(peers__are_not_poisoned_by_who_finds_damage)
{
    struct crew crew;
    scn_db *other;
    crew_begin(&crew);
    put(crew.db[0], "a", "a value that is about to rot");
    put(crew.db[0], "b", "2");
    CHECK(holds(crew.db[1], "b", "2"));
    rot_text(&crew, "a value that is about to rot");
    struct sys *sys = sim_process_create(crew.disk);
    CHECK_EQ(open_with(sys, 0, &other), SCN_CORRUPT);
    sim_process_destroy(sys);
    put(crew.db[0], "c", "3");
    put(crew.db[1], "d", "4");
    CHECK_OK(scn_checkpoint(crew.db[0]));
    CHECK(holds(crew.db[1], "a", "a value that is about to rot"));
    crew_end(&crew);
}

/* Nothing in the log says that its last commit was durable, but who is there knows. */
TEST(peers__lose_nothing_to_who_finds_the_last_commit_damaged)
{
    for (int is_poisoned = 0; is_poisoned < 2; is_poisoned++) {
        struct crew crew;
        scn_db *other;
        crew_begin(&crew);
        put(crew.db[0], "a", "a value that is about to rot");
        CHECK(holds(crew.db[1], "a", "a value that is about to rot"));
        if (is_poisoned)
            poison(&crew, 2);
        rot_text(&crew, "a value that is about to rot");
        struct sys *sys = sim_process_create(crew.disk);
        CHECK_EQ(open_with(sys, 0, &other), SCN_CORRUPT);
        sim_process_destroy(sys);
        CHECK(holds(crew.db[0], "a", "a value that is about to rot"));
        CHECK(holds(crew.db[1], "a", "a value that is about to rot"));
        if (is_poisoned) {
            CHECK_EQ(session_cure(crew.db[1]->store), SCN_CORRUPT);
            for (int i = 0; i < PROCESSES; i++)
                crew_kill(&crew, i);
        } else {
            put(crew.db[1], "b", "2");
            CHECK_OK(scn_checkpoint(crew.db[0]));
        }
        crew_end(&crew);
    }
}

/* ---- a generation that is lost ---- */

/* Its catalog cannot be read any more. */
static void damage_newest(struct crew *crew)
{
    const struct superblock *sb = &crew->db[0]->store->superblock;
    uint64_t off = (uint64_t)sb->catalog.pgno * PAGE_BYTES + 100;
    uint8_t byte = 0;
    CHECK(sim_peek(crew->disk, STORE, off, &byte, 1));
    byte ^= 1;
    CHECK(sim_rot(crew->disk, STORE, off, &byte, 1));
}

/* The log has gone on in extents that were still waiting in the older generation.  One of
 * the processes has built that one, and still has it in memory. */
TEST(peers__build_on_what_they_have_built_when_a_cure_falls_back_to_it)
{
    struct crew crew;
    crew_begin(&crew);
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 20; i++)
            put_large(crew.db[0], i);
        struct store *store = crew.db[round == 3 ? 2 : 0]->store;
        CHECK_OK(peers_follow(store));
        CHECK_OK(checkpoint_run(store, CHECKPOINT_PLAIN));
    }
    uint64_t newest = crew.db[0]->store->superblock.gen;
    for (int i = 0; i < 6; i++)
        put_large(crew.db[0], i);
    poison(&crew, 1);
    damage_newest(&crew);
    CHECK_OK(session_cure(crew.db[1]->store));
    CHECK_OK(peers_follow(crew.db[2]->store));
    CHECK(crew.db[2]->store->superblock.gen < newest);
    CHECK_EQ(atomic_load(&crew.db[2]->store->space_gen),
             crew.db[2]->store->superblock.gen);
    CHECK_OK(checkpoint_run(crew.db[2]->store, CHECKPOINT_PLAIN));
    CHECK(holds(crew.db[0], "a", NULL));
    put(crew.db[0], "a", "1");
    CHECK(holds(crew.db[1], "a", "1"));
    crew_end(&crew);
}

/* It keeps no page from the log that has gone on in it since, whether it is that of who
 * has made the generations, or another's. */
static void fall_back_beside_a_snapshot_of(int whose)
{
    struct crew crew;
    scn_txn *old;
    crew_begin(&crew);
    put_large(crew.db[0], 0);
    for (int i = 0; i < PROCESSES; i++)
        crew.db[i]->store->options.max_snapshot_age_ms = 1000;
    for (int round = 0; round < 6; round++) {
        for (int i = 0; i < 20; i++)
            put_large(crew.db[0], i);
        if (round == 3)
            CHECK_OK(scn_begin(crew.db[whose], SCN_READ, &old));
        sim_clock_set(crew.disk, sim_clock_ns(crew.disk) + 600 * UINT64_C(1000000));
        CHECK_OK(checkpoint_run(crew.db[0]->store, CHECKPOINT_PLAIN));
    }
    uint64_t newest = crew.db[0]->store->superblock.gen;
    for (int i = 0; i < 6; i++)
        put_large(crew.db[0], i);
    poison(&crew, 2);
    damage_newest(&crew);
    CHECK_OK(session_cure(crew.db[2]->store));
    CHECK_OK(peers_follow(crew.db[2]->store));
    CHECK(crew.db[2]->store->superblock.gen < newest);
    CHECK_OK(checkpoint_run(crew.db[2]->store, CHECKPOINT_PLAIN));
    scn_abort(old);
    put(crew.db[0], "a", "1");
    CHECK(holds(crew.db[1], "a", "1"));
    crew_end(&crew);
}

TEST(peers__fall_back_beside_a_snapshot_that_was_given_up)
{
    fall_back_beside_a_snapshot_of(1);
    fall_back_beside_a_snapshot_of(0);
}

/* Generations by process 0, and the newest by process 2.  What its slot had before. */
static uint64_t make_generations(struct crew *crew, uint8_t before[SUPERBLOCK_BYTES])
{
    for (int round = 0; round < 3; round++) {
        put_large(crew->db[0], round);
        CHECK_OK(checkpoint_run(crew->db[0]->store, CHECKPOINT_PLAIN));
    }
    put_large(crew->db[0], 3);
    struct store *store = crew->db[2]->store;
    CHECK_OK(peers_follow(store));
    uint64_t slot = superblock_slot(store->superblock.gen + 1);
    CHECK(sim_peek(crew->disk, STORE, slot * PAGE_BYTES, before, SUPERBLOCK_BYTES));
    CHECK_OK(checkpoint_run(store, CHECKPOINT_PLAIN));
    CHECK_OK(peers_follow(crew->db[0]->store));
    return store->superblock.gen;
}

/* Its slot has an older generation again.  Who has built it still has the allocation
 * state of its number. */
TEST(peers__take_no_lost_generation_for_a_new_one)
{
    struct crew crew;
    uint8_t before[SUPERBLOCK_BYTES];
    crew_begin(&crew);
    uint64_t gen = make_generations(&crew, before);
    poison(&crew, 1);
    CHECK(sim_rot(crew.disk, STORE, superblock_slot(gen) * PAGE_BYTES, before,
                  sizeof before));
    CHECK_OK(session_cure(crew.db[1]->store));
    uint64_t first = 0;
    for (int i = 0; i < 4; i++) {
        struct store *store = crew.db[i % 2 * 2]->store;
        for (int k = 0; k < 10; k++)
            put_large(crew.db[i % 2 * 2], 10 * i + k);
        CHECK_OK(checkpoint_run(store, CHECKPOINT_PLAIN));
        first = first ? first : store->superblock.gen;
    }
    crew_end(&crew);
    CHECK(first > gen);
}

/* A newer one, of which they knew, says nothing of their age: it is lost. */
TEST(peers__keep_snapshots_that_begin_after_a_fall_back)
{
    struct crew crew;
    uint8_t before[SUPERBLOCK_BYTES];
    scn_txn *young;
    crew_begin(&crew);
    for (int i = 0; i < PROCESSES; i++)
        crew.db[i]->store->options.max_snapshot_age_ms = 1000;
    uint64_t gen = make_generations(&crew, before);
    sim_clock_set(crew.disk, sim_clock_ns(crew.disk) + 2000 * UINT64_C(1000000));
    poison(&crew, 2);
    damage_newest(&crew);
    CHECK_OK(session_cure(crew.db[2]->store));
    CHECK_OK(peers_follow(crew.db[0]->store));
    put(crew.db[0], "a", "1");
    CHECK_OK(scn_begin(crew.db[1], SCN_READ, &young));
    CHECK(young->view->gen < gen);
    for (int i = 0; i < 4; i++) {
        for (int k = 0; k < 10; k++)
            put_large(crew.db[0], k);
        CHECK_OK(checkpoint_run(crew.db[0]->store, CHECKPOINT_PLAIN));
        CHECK(!peers_have_given_up(crew.db[1]->store, young->view->gen));
    }
    scn_abort(young);
    crew_end(&crew);
}

/* Some that stood on the older generation are too old, but not those that begin on it
 * now. */
TEST(peers__fall_back_to_a_generation_that_has_been_given_up)
{
    struct crew crew;
    uint8_t before[SUPERBLOCK_BYTES];
    scn_txn *old;
    crew_begin(&crew);
    for (int i = 0; i < PROCESSES; i++)
        crew.db[i]->store->options.max_snapshot_age_ms = 1000;
    (void)make_generations(&crew, before);
    CHECK_OK(scn_begin(crew.db[1], SCN_READ, &old));
    uint64_t gen = old->view->gen;
    put_large(crew.db[0], 4);
    CHECK_OK(checkpoint_run(crew.db[0]->store, CHECKPOINT_PLAIN));
    sim_clock_set(crew.disk, sim_clock_ns(crew.disk) + 2000 * UINT64_C(1000000));
    uint64_t *gens;
    uint32_t count;
    CHECK_OK(store_pins(crew.db[0]->store, &gens, &count));
    mem_free(gens);
    CHECK(peers_have_given_up(crew.db[0]->store, gen));
    poison(&crew, 2);
    damage_newest(&crew);
    CHECK_OK(session_cure(crew.db[2]->store));
    for (int i = 0; i < PROCESSES; i++) {
        struct store *store = crew.db[i]->store;
        CHECK_OK(peers_follow(store));
        CHECK_EQ(store->superblock.gen, gen);
        CHECK(!peers_have_given_up(store, gen));
        CHECK(peers_have_given_up(store, gen - 1));
    }
    scn_abort(old);
    CHECK_OK(checkpoint_run(crew.db[0]->store, CHECKPOINT_PLAIN));
    crew_end(&crew);
}

/* Who has not learnt of it puts a row as if nothing had happened. */
TEST(peers__put_in_the_session_after_one_whose_generation_is_lost)
{
    struct crew crew;
    uint8_t before[SUPERBLOCK_BYTES];
    crew_begin(&crew);
    (void)make_generations(&crew, before);
    poison(&crew, 2);
    damage_newest(&crew);
    CHECK_OK(session_cure(crew.db[2]->store));
    put(crew.db[0], "a", "1");
    CHECK(holds(crew.db[1], "a", "1"));
    CHECK_OK(checkpoint_run(crew.db[0]->store, CHECKPOINT_PLAIN));
    crew_end(&crew);
}

static void damage_newest_slot(struct crew *crew)
{
    uint64_t slot = superblock_slot(crew->db[0]->store->superblock.gen);
    uint8_t byte = 0x55;
    CHECK(sim_rot(crew->disk, STORE, slot * PAGE_BYTES + 1000, &byte, 1));
}

/* What rots, or has an older generation again, is in the memory of all who know it: they
 * begin transactions after a rest, and the next checkpoint writes it anew. */
TEST(peers__go_on_where_the_newest_superblock_is_damaged)
{
    for (int is_older = 0; is_older < 2; is_older++) {
        struct crew crew;
        uint8_t before[SUPERBLOCK_BYTES];
        crew_begin(&crew);
        uint64_t gen = make_generations(&crew, before);
        put(crew.db[1], "a", "1");
        if (is_older)
            CHECK(sim_rot(crew.disk, STORE, superblock_slot(gen) * PAGE_BYTES, before,
                          sizeof before));
        else
            damage_newest_slot(&crew);
        for (int i = 0; i < 2 * PROCESSES; i++)
            peers_rest(crew.db[i % PROCESSES]->store);
        for (int i = 0; i < PROCESSES; i++) {
            CHECK_EQ(atomic_load(&crew.db[i]->store->pinned_gen), 0);
            CHECK(holds(crew.db[i], "a", "1"));
        }
        put(crew.db[1], "a", "2");
        CHECK_OK(checkpoint_run(crew.db[1]->store, CHECKPOINT_PLAIN));
        CHECK(crew.db[1]->store->superblock.gen > gen);
        CHECK(holds(crew.db[2], "a", "2"));
        crew_end(&crew);
    }
}

/* Tables of long rows, in runs: those of "kept" are newly written in the newest
 * generation; a younger run is in the log, and "gone" leaves room for it there. */
enum { LONG_ROWS = 3 * WRITE_SET_BYTES_MAX / (PAGE_BYTES / 4) };

static void put_long(scn_db *db, const char *name, uint8_t fill)
{
    static uint8_t value[PAGE_BYTES / 4];
    scn_txn *txn;
    scn_table_id table;
    char key[16];
    CHECK_OK(scn_begin(db, SCN_WRITE, &txn));
    CHECK_OK(scn_table(txn, name, SCN_CREATE, &table));
    for (uint32_t i = 0; i < LONG_ROWS; i++) {
        snprintf(key, sizeof key, "key%05u", i);
        memset(value, fill, sizeof value);
        CHECK_OK(scn_put(txn, table, text(key), (scn_slice){value, sizeof value}, 0));
    }
    CHECK_OK(scn_commit(txn));
}

static void find_long(scn_db *db, const char *name, uint8_t fill)
{
    scn_txn *txn;
    scn_table_id table;
    scn_slice value;
    char key[16];
    CHECK_OK(scn_begin(db, SCN_READ, &txn));
    CHECK_OK(scn_table(txn, name, 0, &table));
    for (uint32_t i = 0; i < LONG_ROWS; i++) {
        snprintf(key, sizeof key, "key%05u", i);
        CHECK_OK(scn_get(txn, table, text(key), &value));
        CHECK_EQ(value.size, PAGE_BYTES / 4);
        CHECK_EQ(((const uint8_t *)value.data)[PAGE_BYTES / 4 - 1], fill);
    }
    scn_abort(txn);
}

static void drop(scn_db *db, const char *name)
{
    scn_txn *txn;
    scn_table_id table;
    CHECK_OK(scn_begin(db, SCN_WRITE, &txn));
    CHECK_OK(scn_table(txn, name, 0, &table));
    CHECK_OK(scn_table_drop(txn, table));
    CHECK_OK(scn_commit(txn));
}

/* False: it has not died.  It finds the newest generation's superblock damaged, and goes
 * on from the older one. */
static bool dies_while_it_comes(struct crew *crew, uint64_t nth)
{
    scn_db *db;
    struct sys *sys = sim_process_create(crew->disk);
    struct sim_fault fault = {
        .kind = SIM_KILL, .call = SIM_WRITE, .nth = nth, .len = 4 * PAGE_BYTES};
    sim_fault_set(sys, &fault);
    scn_status st = open_with(sys, 0, &db);
    bool is_dead = sim_process_is_dead(sys);
    CHECK(st == SCN_OK || is_dead);
    if (st == SCN_OK)
        (void)scn_close(db);
    sim_process_destroy(sys);
    return is_dead;
}

/* Who is in good health has the newest generation, and reads and writes meanwhile. */
static bool lose_nothing_to_who_dies(uint64_t nth)
{
    struct crew crew;
    crew_begin(&crew);
    put_long(crew.db[0], "kept", 1);
    CHECK_OK(checkpoint_run(crew.db[0]->store, CHECKPOINT_PLAIN));
    put_long(crew.db[0], "kept", 2);
    put_long(crew.db[0], "gone", 2);
    CHECK_OK(checkpoint_run(crew.db[0]->store, CHECKPOINT_PLAIN));
    drop(crew.db[0], "gone");
    put_long(crew.db[0], "young", 3);
    CHECK(atomic_load(&crew.db[0]->store->run_count) > 0);
    damage_newest_slot(&crew);
    bool has_died = dies_while_it_comes(&crew, nth);
    find_long(crew.db[0], "kept", 2);
    scn_status st = scn_put1(crew.db[0], "rows", text("a"), text("1"));
    CHECK(st == SCN_OK || st == SCN_POISONED);
    scn_status made = checkpoint_run(crew.db[0]->store, CHECKPOINT_PLAIN);
    CHECK(st == SCN_OK || made != SCN_OK);
    find_long(crew.db[0], "kept", 2);
    crew_kill(&crew, 1);
    crew_open(&crew, 1, 0); /* cures the file, unless that is done */
    put(crew.db[2], "b", "2");
    CHECK(holds(crew.db[1], "a", st == SCN_OK ? "1" : NULL));
    for (int i = 0; i < PROCESSES; i++) {
        find_long(crew.db[i], "kept", 2);
        find_long(crew.db[i], "young", 3);
        put(crew.db[i], "a", "2");
        CHECK_OK(checkpoint_run(crew.db[i]->store, CHECKPOINT_PLAIN));
    }
    find_long(crew.db[0], "kept", 2);
    crew_end(&crew);
    return has_died;
}

TEST(peers__lose_nothing_to_who_falls_back_and_dies)
{
    uint64_t nth = 1;
    while (PAGE_IS_SMALL && lose_nothing_to_who_dies(nth))
        nth++;
    CHECK(!PAGE_IS_SMALL || nth > 4);
}
