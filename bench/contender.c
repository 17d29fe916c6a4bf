#include "bench/contender.h"

#include "bench/figure.h"
#include "bench/peer.h"

#include <stdio.h>
#include <stdlib.h>

#include <sqlite3.h>

static void *allocate(size_t bytes)
{
    void *memory = calloc(1, bytes);
    require(memory != NULL, "there is memory for a store");
    return memory;
}

/* ---- Scrine ---- */

struct ours {
    scn_db *db;
    scn_txn *held;
};

static void *ours_open(const char *path)
{
    struct ours *ours = allocate(sizeof *ours);
    ours->db = store_open(path, 0, 0);
    return ours;
}

static void ours_close(void *store)
{
    struct ours *ours = store;
    must(scn_close(ours->db), "scn_close");
    free(ours);
}

static void ours_load(void *store, const struct record_set *set)
{
    struct ours *ours = store;
    store_load(ours->db, set, 0);
    must(scn_checkpoint(ours->db), "scn_checkpoint");
}

static bool ours_put(void *store, scn_slice key, scn_slice value)
{
    struct ours *ours = store;
    scn_status st = scn_put1(ours->db, "records", key, value);
    if (st == SCN_BUSY)
        return false;
    must(st, "scn_put1");
    return true;
}

static void ours_hold(void *store, scn_slice key, scn_slice value)
{
    struct ours *ours = store;
    scn_table_id table;
    must(scn_begin(ours->db, SCN_WRITE, &ours->held), "scn_begin");
    must(scn_table(ours->held, "records", 0, &table), "scn_table");
    must(scn_put(ours->held, table, key, value, 0), "scn_put");
}

static void ours_let_go(void *store)
{
    struct ours *ours = store;
    scn_abort(ours->held);
}

static void ours_count(void *store, uint64_t *commits, uint64_t *syncs)
{
    struct ours *ours = store;
    scn_stats_t stats = {.struct_size = sizeof stats};
    must(scn_stats(ours->db, &stats), "scn_stats");
    *commits = stats.commits;
    *syncs = stats.syncs;
}

static const struct contender scrine = {
    .name = "Scrine",
    .file = "many.scn",
    .open = ours_open,
    .close = ours_close,
    .load = ours_load,
    .put = ours_put,
    .hold = ours_hold,
    .let_go = ours_let_go,
    .count = ours_count,
};

/* ---- LMDB ---- */

struct theirs {
    struct peer peer;
    MDB_txn *held;
};

static void *theirs_open(const char *path)
{
    struct theirs *theirs = allocate(sizeof *theirs);
    peer_open(&theirs->peer, path);
    return theirs;
}

static void theirs_close(void *store)
{
    struct theirs *theirs = store;
    peer_close(&theirs->peer);
    free(theirs);
}

static void theirs_load(void *store, const struct record_set *set)
{
    struct theirs *theirs = store;
    peer_load(&theirs->peer, set);
}

static void theirs_hold(void *store, scn_slice key, scn_slice value)
{
    struct theirs *theirs = store;
    MDB_val key_val = {key.size, (void *)(uintptr_t)key.data};
    MDB_val value_val = {value.size, (void *)(uintptr_t)value.data};
    peer_must(mdb_txn_begin(theirs->peer.env, NULL, 0, &theirs->held), "mdb_txn_begin");
    peer_must(mdb_put(theirs->held, theirs->peer.dbi, &key_val, &value_val, 0),
              "mdb_put");
}

static void theirs_let_go(void *store)
{
    struct theirs *theirs = store;
    mdb_txn_abort(theirs->held);
}

static bool theirs_put(void *store, scn_slice key, scn_slice value)
{
    struct theirs *theirs = store;
    theirs_hold(theirs, key, value);
    peer_must(mdb_txn_commit(theirs->held), "mdb_txn_commit");
    return true;
}

static const struct contender lmdb = {
    .name = "LMDB",
    .file = "many.mdb",
    .open = theirs_open,
    .close = theirs_close,
    .load = theirs_load,
    .put = theirs_put,
    .hold = theirs_hold,
    .let_go = theirs_let_go,
};

/* ---- SQLite ---- */

enum { BUSY_TIMEOUT_MS = 5000 };

struct lite {
    sqlite3 *db;
    sqlite3_stmt *insert;
};

static void lite_must(struct lite *lite, int answer, const char *what)
{
    if (answer == SQLITE_OK || answer == SQLITE_DONE)
        return;
    fprintf(stderr, "bench: %s: %s\n", what, sqlite3_errmsg(lite->db));
    exit(1);
}

static void lite_run(struct lite *lite, const char *sql)
{
    lite_must(lite, sqlite3_exec(lite->db, sql, NULL, NULL, NULL), sql);
}

static void *lite_open(const char *path)
{
    struct lite *lite = allocate(sizeof *lite);
    lite_must(lite, sqlite3_open(path, &lite->db), "sqlite3_open");
    lite_must(lite, sqlite3_busy_timeout(lite->db, BUSY_TIMEOUT_MS),
              "sqlite3_busy_timeout");
    lite_run(lite, "PRAGMA journal_mode=WAL");
    lite_run(lite, "PRAGMA synchronous=FULL");
    lite_run(lite, "CREATE TABLE IF NOT EXISTS records"
                   "(key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID");
    lite_must(lite,
              sqlite3_prepare_v2(lite->db, "INSERT OR REPLACE INTO records VALUES(?, ?)",
                                 -1, &lite->insert, NULL),
              "sqlite3_prepare_v2");
    return lite;
}

static void lite_close(void *store)
{
    struct lite *lite = store;
    sqlite3_finalize(lite->insert);
    lite_must(lite, sqlite3_close(lite->db), "sqlite3_close");
    free(lite);
}

static bool lite_put(void *store, scn_slice key, scn_slice value)
{
    struct lite *lite = store;
    sqlite3_bind_blob(lite->insert, 1, key.data, (int)key.size, SQLITE_STATIC);
    sqlite3_bind_blob(lite->insert, 2, value.data, (int)value.size, SQLITE_STATIC);
    int answer = sqlite3_step(lite->insert);
    sqlite3_reset(lite->insert);
    if (answer == SQLITE_BUSY)
        return false;
    lite_must(lite, answer, "sqlite3_step");
    return true;
}

static void lite_load(void *store, const struct record_set *set)
{
    struct lite *lite = store;
    uint8_t value[VALUE_BYTES];
    lite_run(lite, "BEGIN IMMEDIATE");
    for (uint32_t i = 0; i < set->count; i++)
        require(lite_put(lite, record_key(set, i), record_value(i, 0, value)),
                "a record can be loaded");
    lite_run(lite, "COMMIT");
}

static void lite_hold(void *store, scn_slice key, scn_slice value)
{
    struct lite *lite = store;
    lite_run(lite, "BEGIN IMMEDIATE");
    require(lite_put(lite, key, value), "who has begun can write");
}

static void lite_let_go(void *store)
{
    lite_run(store, "ROLLBACK");
}

static const struct contender sqlite = {
    .name = "SQLite",
    .file = "many.db",
    .open = lite_open,
    .close = lite_close,
    .load = lite_load,
    .put = lite_put,
    .hold = lite_hold,
    .let_go = lite_let_go,
};

const struct contender *const contenders[CONTENDERS] = {&scrine, &lmdb, &sqlite};
