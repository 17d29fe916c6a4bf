/* Statistics, health, open transactions, named locks, and what belongs to the library. */
#include "engine/store.h"

#include "page/mem.h"
#include "test/unit/unit.h"

#include <sched.h>
#include <stdbool.h>

static scn_db *open_store(const char *path)
{
    scn_options options;
    scn_db *db = NULL;
    scn_options_init(&options);
    options.flags = SCN_NOTHREAD;
    CHECK_OK(scn_open(path, &options, &db));
    return db;
}

static scn_stats_t stats_of(scn_db *db)
{
    scn_stats_t stats = {.struct_size = sizeof stats};
    CHECK_OK(scn_stats(db, &stats));
    /* However it is divided, the file is all there is. */
    CHECK_EQ(stats.used_bytes + stats.freed_bytes + stats.free_bytes, stats.file_bytes);
    return stats;
}

static scn_slice text(const char *s)
{
    return (scn_slice){s, strlen(s)};
}

TEST(stats__follow_what_is_done)
{
    scn_db *db = open_store(":memory:");
    scn_stats_t before = stats_of(db);
    CHECK_EQ(before.page_bytes, SCN_PAGE_BYTES);
    CHECK_EQ(before.tables, 0);
    CHECK_EQ(before.commits, 0);
    CHECK_EQ(before.open_transactions, 0);
    CHECK_EQ(before.oldest_snapshot_age_ms, 0);
    CHECK_OK(scn_put1(db, "one", text("k"), text("v")));
    CHECK_OK(scn_put1(db, "two", text("k"), text("v")));
    scn_stats_t after = stats_of(db);
    CHECK_EQ(after.commits, 2);
    CHECK_EQ(after.tables, 2);
    CHECK_EQ(after.appended_lsn, after.synced_lsn);
    CHECK(after.appended_lsn > before.appended_lsn);
    CHECK(after.syncs + after.bytes_written > before.syncs + before.bytes_written);
    CHECK(after.log_bytes > 0);
    CHECK(after.log_bytes < after.log_capacity_bytes);
    CHECK(after.delta_bytes > before.delta_bytes);
    CHECK_EQ(after.gen, before.gen);
    CHECK_OK(scn_checkpoint(db));
    scn_stats_t merged = stats_of(db);
    CHECK_EQ(merged.checkpoints, 1);
    CHECK_EQ(merged.failed_checkpoints, 0);
    CHECK(merged.gen > after.gen);
    CHECK(merged.base_lsn > after.appended_lsn); /* behind its FREEZE */
    CHECK_EQ(merged.base_lsn, merged.appended_lsn);
    CHECK(merged.log_bytes < after.log_bytes);
    CHECK(merged.delta_bytes < after.delta_bytes);
    CHECK_EQ(merged.tables, 2);
    CHECK_OK(scn_close(db));
}

TEST(stats__count_conflicts_reads_and_the_pool)
{
    scn_db *db = open_store(":memory:");
    scn_txn *txn;
    scn_table_id id;
    scn_slice value;
    CHECK_OK(scn_put1(db, "t", text("k"), text("v")));
    CHECK_OK(scn_checkpoint(db));
    scn_stats_t before = stats_of(db);
    CHECK_OK(scn_begin(db, SCN_WRITE, &txn));
    CHECK_OK(scn_table(txn, "t", 0, &id));
    CHECK_OK(scn_get(txn, id, text("k"), &value));
    CHECK_OK(scn_put1(db, "t", text("k"), text("w")));
    CHECK_OK(scn_put(txn, id, text("k"), text("x"), 0));
    CHECK_EQ(scn_commit(txn), SCN_CONFLICT);
    scn_stats_t after = stats_of(db);
    CHECK_EQ(after.conflicts, before.conflicts + 1);
    CHECK(after.reads > before.reads);
    CHECK(after.pool_hits + after.pool_misses > before.pool_hits + before.pool_misses);
    CHECK(after.pool_used_bytes <= after.pool_capacity_bytes);
    CHECK_OK(scn_close(db));
}

TEST(stats__write_no_more_than_the_caller_has)
{
    scn_db *db = open_store(":memory:");
    scn_stats_t stats;
    scn_health_t health;
    memset(&stats, 0xee, sizeof stats);
    stats.struct_size = offsetof(scn_stats_t, used_bytes);
    CHECK_OK(scn_stats(db, &stats));
    CHECK(stats.file_bytes >= 3 * SCN_PAGE_BYTES);
    CHECK_EQ(stats.used_bytes, 0xeeeeeeeeeeeeeeee);
    CHECK_EQ(stats.struct_size, offsetof(scn_stats_t, used_bytes));
    memset(&health, 0xee, sizeof health);
    health.struct_size = 8;
    CHECK_OK(scn_health(db, &health));
    CHECK_EQ(health.healthy, 1);
    CHECK_EQ(health.poisoned, 0xeeeeeeee);
    stats.struct_size = 0;
    CHECK_EQ(scn_stats(db, &stats), SCN_MISUSE);
    CHECK_EQ(scn_stats(db, NULL), SCN_MISUSE);
    CHECK_EQ(scn_stats(NULL, &stats), SCN_MISUSE);
    CHECK_EQ(scn_health(db, NULL), SCN_MISUSE);
    CHECK_OK(scn_close(db));
}

TEST(stats__of_a_reader_are_those_of_the_last_checkpoint)
{
    const char *path = unit_path("stats-reader.scn");
    scn_db *db = open_store(path);
    scn_options options;
    CHECK_OK(scn_put1(db, "t", text("k"), text("v")));
    CHECK_OK(scn_close(db));
    scn_options_init(&options);
    options.flags = SCN_RDONLY;
    CHECK_OK(scn_open(path, &options, &db));
    scn_stats_t stats = {.struct_size = sizeof stats};
    scn_health_t health = {.struct_size = sizeof health};
    CHECK_OK(scn_stats(db, &stats));
    CHECK_EQ(stats.tables, 1);
    CHECK(stats.used_bytes > 0);
    CHECK_EQ(stats.used_bytes + stats.freed_bytes + stats.free_bytes, stats.file_bytes);
    CHECK(stats.recovered_records > 0);
    CHECK_EQ(stats.torn_tail, 0);
    CHECK_OK(scn_health(db, &health));
    CHECK_EQ(health.healthy, 1);
    CHECK_EQ(health.read_only, 1);
    CHECK_OK(scn_close(db));
}

/* ---- health ---- */

TEST(health__of_a_poisoned_store_says_so)
{
    scn_db *db = open_store(":memory:");
    scn_health_t health = {.struct_size = sizeof health};
    CHECK_OK(scn_health(db, &health));
    CHECK_EQ(health.healthy, 1);
    CHECK_EQ(health.reason[0], 0);
    CHECK(health.file_bytes > 0);
    CHECK(health.disk_free_bytes > 0);
    file_poison(&db->store->file);
    CHECK_OK(scn_health(db, &health));
    CHECK_EQ(health.healthy, 0);
    CHECK_EQ(health.poisoned, 1);
    CHECK(strstr(health.reason, "open it again") != NULL);
    CHECK_OK(scn_close(db));
}

struct heard {
    atomic_int count;
    int status;
    char text[256];
};

static void hear(void *user, int status, const char *text)
{
    struct heard *heard = user;
    heard->status = status;
    snprintf(heard->text, sizeof heard->text, "%s", text);
    atomic_fetch_add(&heard->count, 1);
}

static void await(const struct heard *heard, int count, uint64_t ms, struct sys *sys)
{
    uint64_t until = sys->ops->now_ns(sys) + ms * UINT64_C(1000000);
    while (atomic_load(&heard->count) < count && sys->ops->now_ns(sys) < until)
        sched_yield();
}

/* The thread goes round every millisecond, and has the same to say each time. */
TEST(health__of_a_poisoned_store_is_told_once)
{
    enum { OFTEN = 20, WAIT_MS = 300, PATIENCE_MS = 60000 };
    struct heard heard = {0};
    scn_error error = {.struct_size = sizeof error};
    scn_db *db = NULL;
    scn_options options;
    scn_options_init(&options);
    options.lazy_interval_ms = 1;
    options.hooks.log = hear;
    options.hooks.user = &heard;
    CHECK_OK(scn_open(":memory:", &options, &db));
    file_poison(&db->store->file);
    struct sys *sys = db->store->sys;
    /* However late the thread gets a processor; and then some rounds more. */
    await(&heard, 1, PATIENCE_MS, sys);
    await(&heard, OFTEN, WAIT_MS, sys);
    CHECK_EQ(atomic_load(&heard.count), 1);
    CHECK_EQ(heard.status, SCN_POISONED);
    CHECK(strstr(heard.text, "opened again") != NULL);
    CHECK_EQ(scn_begin(db, SCN_READ, NULL), SCN_MISUSE);
    CHECK_EQ(scn_tick(db, 0), SCN_POISONED);
    scn_last_error(db, &error);
    CHECK_EQ(error.status, SCN_POISONED);
    CHECK_OK(scn_close(db));
}

TEST(health__of_a_file_that_is_gone_is_moved)
{
    const char *path = unit_path("health-moved.scn");
    scn_db *db = open_store(path);
    scn_health_t health = {.struct_size = sizeof health};
    CHECK_OK(scn_health(db, &health));
    CHECK_EQ(remove(path), 0);
    CHECK_EQ(scn_health(db, &health), SCN_MOVED);
    CHECK_EQ(health.healthy, 0);
    CHECK(health.reason[0] != 0);
    CHECK_OK(scn_close(db));
}

TEST(health__says_when_the_file_may_not_grow)
{
    scn_db *db = NULL;
    scn_options options;
    scn_health_t health = {.struct_size = sizeof health};
    scn_options_init(&options);
    options.flags = SCN_NOTHREAD;
    options.max_file_bytes = 16 * SCN_PAGE_BYTES;
    CHECK_OK(scn_open(":memory:", &options, &db));
    CHECK_OK(scn_health(db, &health));
    CHECK_EQ(health.healthy, 0);
    CHECK(health.disk_free_bytes < 16 * SCN_PAGE_BYTES);
    CHECK(strstr(health.reason, "left") != NULL);
    CHECK_OK(scn_close(db));
}

/* A file at its limit goes on in the pages that it has. */
TEST(health__of_a_file_at_its_limit_with_free_pages_is_good)
{
    static uint8_t value[PAGE_BYTES / 2];
    scn_db *db = NULL;
    scn_options options;
    scn_health_t health = {.struct_size = sizeof health};
    char key[16];
    scn_options_init(&options);
    options.flags = SCN_NOTHREAD;
    options.log_bytes = 256 * PAGE_BYTES;
    options.max_file_bytes = 2 * options.log_bytes;
    CHECK_OK(scn_open(":memory:", &options, &db));
    scn_status st = SCN_OK;
    uint32_t count = 0;
    while (st == SCN_OK) {
        snprintf(key, sizeof key, "%u", count++);
        st = scn_put1(db, "t", (scn_slice){key, strlen(key)},
                      (scn_slice){value, sizeof value});
    }
    CHECK_EQ(st, SCN_FULL);
    /* The last row keeps the file long. */
    for (uint32_t i = 0; i + 2 < count; i++) {
        snprintf(key, sizeof key, "%u", i);
        CHECK_OK(scn_del1(db, "t", (scn_slice){key, strlen(key)}));
    }
    for (uint32_t i = 0; i < 20000; i++)
        CHECK_OK(scn_put1(db, "t", (scn_slice){"key", 3}, (scn_slice){value, 100}));
    CHECK_OK(scn_health(db, &health));
    CHECK(health.disk_free_bytes < options.log_bytes);
    CHECK_EQ(health.healthy, 1);
    CHECK_OK(scn_close(db));
}

/* ---- open transactions ---- */

struct seen {
    uint32_t count;
    uint64_t held;
    uint32_t stop_at;
};

static scn_status see(void *ctx, const scn_reader *reader)
{
    struct seen *seen = ctx;
    CHECK_EQ(reader->struct_size, sizeof *reader);
    CHECK(reader->pid != 0);
    CHECK(reader->gen != 0);
    seen->count++;
    seen->held += reader->pages_held;
    return seen->count == seen->stop_at ? SCN_INTERRUPTED : SCN_OK;
}

TEST(readers__are_the_open_transactions)
{
    enum { MANY = 40 };
    scn_db *db = open_store(":memory:");
    scn_txn *txns[MANY];
    struct seen seen = {0};
    CHECK_OK(scn_readers_each(db, see, &seen));
    CHECK_EQ(seen.count, 0);
    for (int i = 0; i < MANY; i++)
        CHECK_OK(scn_begin(db, i % 2 ? SCN_READ : SCN_WRITE, &txns[i]));
    CHECK_OK(scn_readers_each(db, see, &seen));
    CHECK_EQ(seen.count, MANY);
    CHECK_EQ(stats_of(db).open_transactions, MANY);
    CHECK(stats_of(db).oldest_snapshot_age_ms > 0);
    seen = (struct seen){.stop_at = 3};
    CHECK_EQ(scn_readers_each(db, see, &seen), SCN_INTERRUPTED);
    CHECK_EQ(seen.count, 3);
    for (int i = 0; i < MANY; i++)
        scn_abort(txns[i]);
    CHECK_EQ(scn_readers_each(db, NULL, NULL), SCN_MISUSE);
    CHECK_OK(scn_close(db));
}

TEST(readers__hold_the_pages_that_they_may_still_read)
{
    scn_db *db = open_store(":memory:");
    scn_txn *txn;
    struct seen seen = {0};
    CHECK_OK(scn_put1(db, "t", text("k"), text("v")));
    CHECK_OK(scn_checkpoint(db));
    CHECK_OK(scn_begin(db, SCN_READ, &txn));
    for (int i = 0; i < 4; i++) {
        CHECK_OK(scn_put1(db, "t", text("k"), text("w")));
        CHECK_OK(scn_checkpoint(db));
    }
    CHECK_OK(scn_readers_each(db, see, &seen));
    CHECK_EQ(seen.count, 1);
    CHECK(seen.held >= 2); /* the leaf, the catalog */
    scn_abort(txn);
    CHECK_OK(scn_close(db));
}

/* ---- named locks ---- */

TEST(namelock__has_one_holder)
{
    scn_db *db = open_store(":memory:");
    scn_lock *lock = NULL;
    scn_lock *other = NULL;
    scn_lock *again = NULL;
    CHECK_OK(scn_lock_try(db, "sweeper", &lock));
    CHECK_EQ(scn_lock_try(db, "sweeper", &again), SCN_BUSY);
    CHECK(again == NULL);
    CHECK(strstr(error_last()->text, "sweeper") != NULL);
    CHECK(error_last()->pid != 0);
    CHECK_OK(scn_lock_try(db, "indexer", &other));
    scn_lock_drop(lock);
    CHECK_OK(scn_lock_try(db, "sweeper", &again));
    scn_lock_drop(again);
    scn_lock_drop(other);
    scn_lock_drop(NULL);
    CHECK_OK(scn_close(db));
}

TEST(namelock__is_seen_by_other_processes)
{
    const char *path = unit_path("namelock.scn");
    scn_db *db = open_store(path);
    struct sys *sys = sys_posix();
    struct sys_file *file;
    char own[32];
    scn_lock *lock;
    uint64_t names = UINT64_C(1) << 20;
    CHECK_EQ(sys->ops->open(sys, path, 0, &file), 0);
    CHECK_EQ(sys->ops->lock_probe(file, LOCK_NAMED_BASE, names, NULL), 0);
    CHECK_OK(scn_lock_try(db, "sweeper", &lock));
    CHECK_EQ(sys->ops->lock_probe(file, LOCK_NAMED_BASE, names, NULL), 1);
    scn_lock_drop(lock);
    CHECK_EQ(sys->ops->lock_probe(file, LOCK_NAMED_BASE, names, NULL), 0);
    CHECK_EQ(sys->ops->lock(file, LOCK_NAMED_BASE, names, SYS_EXCLUSIVE), 0);
    CHECK_EQ(scn_lock_try(db, "sweeper", &lock), SCN_BUSY);
    snprintf(own, sizeof own, "process %u (", sys->ops->pid(sys));
    CHECK(strstr(error_last()->text, own) != NULL);
    CHECK_EQ(error_last()->pid, sys->ops->pid(sys));
    sys->ops->close(file);
    CHECK_OK(scn_lock_try(db, "sweeper", &lock));
    scn_lock_drop(lock);
    CHECK_OK(scn_close(db));
}

TEST(namelock__outlives_its_store_as_a_handle)
{
    scn_db *db = open_store(":memory:");
    scn_lock *lock;
    CHECK_OK(scn_lock_try(db, "sweeper", &lock));
    CHECK_OK(scn_close(db));
    scn_lock_drop(lock);
}

TEST(namelock__refuses_what_is_no_name)
{
    scn_db *db = open_store(":memory:");
    scn_lock *lock;
    char name[300];
    memset(name, 'x', sizeof name);
    name[256] = 0;
    CHECK_EQ(scn_lock_try(db, "", &lock), SCN_MISUSE);
    CHECK_EQ(scn_lock_try(db, NULL, &lock), SCN_MISUSE);
    CHECK_EQ(scn_lock_try(db, name, &lock), SCN_MISUSE);
    CHECK_EQ(scn_lock_try(db, "x", NULL), SCN_MISUSE);
    name[255] = 0;
    CHECK_OK(scn_lock_try(db, name, &lock));
    scn_lock_drop(lock);
    CHECK_OK(scn_close(db));
}

/* ---- the library ---- */

TEST(library__has_a_version_and_names_for_its_statuses)
{
    CHECK(strchr(scn_version(), '.') != NULL);
    for (scn_status st = SCN_NOTADB; st <= SCN_END; st++)
        CHECK(strcmp(scn_strerror(st), "no such status") != 0);
    CHECK(scn_is_retryable(SCN_BUSY));
    CHECK(scn_is_retryable(SCN_CONFLICT));
    CHECK(scn_is_retryable(SCN_SNAPSHOT_GONE));
    CHECK(!scn_is_retryable(SCN_UNKNOWN));
    CHECK(!scn_is_retryable(SCN_CORRUPT));
    CHECK(!scn_is_retryable(SCN_OK));
    CHECK(!scn_is_retryable(SCN_NOTFOUND));
}

TEST(library__tells_the_last_error_as_far_as_there_is_room)
{
    scn_error error;
    scn_db *db;
    CHECK_EQ(scn_open("", NULL, &db), SCN_MISUSE);
    memset(&error, 0xee, sizeof error);
    error.struct_size = sizeof error;
    scn_last_error(NULL, &error);
    CHECK_EQ(error.status, SCN_MISUSE);
    CHECK(strstr(error.text, "path") != NULL);
    memset(&error, 0xee, sizeof error);
    error.struct_size = offsetof(scn_error, page);
    scn_last_error(NULL, &error);
    CHECK_EQ(error.status, SCN_MISUSE);
    CHECK_EQ(error.struct_size, offsetof(scn_error, page));
    CHECK_EQ(error.page, 0xeeeeeeeeeeeeeeee);
    scn_last_error(NULL, NULL);
}

TEST(library__changes_its_allocator_only_before_the_first_use)
{
    void *block = mem_alloc(1);
    CHECK_EQ(scn_set_allocator(NULL, NULL, NULL), SCN_MISUSE);
    mem_free(block);
}

TEST(library__hashes_as_xxh3_does)
{
    uint8_t one[16];
    uint8_t two[16];
    scn_hash128("scrine", 6, one);
    scn_hash128("scrinf", 6, two);
    CHECK(memcmp(one, two, sizeof one) != 0);
    scn_hash128(NULL, 0, one);
    /* XXH3-128 of nothing: 99aa06d3014798d86001c324468d497f, low half first. */
    CHECK_EQ(one[0], 0x7f);
    CHECK_EQ(one[15], 0x99);
}
