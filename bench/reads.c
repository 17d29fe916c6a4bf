/* Point reads, batches, seeks and scans, one thread, one long transaction on both sides.
 *
 * The rounds are interleaved, so that a machine that is slow for a while is slow for
 * both, and CPU time is compared: nobody waits here. */
#include "bench/groups.h"

#include "bench/figure.h"
#include "bench/peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    RECORDS = 1000000,
    GETS = 500000,
    SEEKS = 100000,
    NEXTS = 10,
    BATCH = 16,
    ROUNDS = 3
};

struct sides {
    struct record_set set;
    scn_db *db;
    scn_txn *txn;
    scn_table_id table;
    struct peer peer;
    MDB_txn *peer_txn;
    uint64_t sum; /* the bytes are looked at, or nothing would be read */
};

static uint32_t touch(const void *data, size_t size)
{
    uint32_t word;
    require(size == VALUE_BYTES, "a value has its length");
    memcpy(&word, data, sizeof word);
    return word;
}

/* ---- the operations: `count` of them from the set's order ---- */

static void get_ours(struct sides *sides)
{
    for (uint32_t at = 0; at < GETS; at++) {
        scn_slice value;
        scn_slice key = record_query(&sides->set, at);
        must(scn_get(sides->txn, sides->table, key, &value), "scn_get");
        sides->sum += touch(value.data, value.size);
    }
}

static void get_theirs(struct sides *sides)
{
    for (uint32_t at = 0; at < GETS; at++) {
        MDB_val key = {KEY_BYTES, sides->set.queries[at]};
        MDB_val value;
        peer_must(mdb_get(sides->peer_txn, sides->peer.dbi, &key, &value), "mdb_get");
        sides->sum += touch(value.mv_data, value.mv_size);
    }
}

static void get_many_ours(struct sides *sides)
{
    for (uint32_t at = 0; at < GETS; at += BATCH) {
        scn_slice keys[BATCH];
        scn_slice values[BATCH];
        scn_status statuses[BATCH];
        for (uint32_t i = 0; i < BATCH; i++)
            keys[i] = record_query(&sides->set, at + i);
        must(scn_get_many(sides->txn, sides->table, keys, BATCH, values, statuses),
             "scn_get_many");
        for (uint32_t i = 0; i < BATCH; i++)
            sides->sum += touch(values[i].data, values[i].size);
    }
}

static void seek_ours(struct sides *sides)
{
    scn_cursor *cursor;
    must(scn_cursor_open(sides->txn, sides->table, &cursor), "scn_cursor_open");
    for (uint32_t at = 0; at < SEEKS; at++) {
        scn_slice key = record_query(&sides->set, at);
        scn_slice value;
        scn_status st = scn_seek(cursor, key, SCN_GE, &key, &value);
        for (uint32_t i = 0; st == SCN_OK && i < NEXTS; i++) {
            sides->sum += touch(value.data, value.size);
            st = scn_next(cursor, &key, &value);
        }
        require(st == SCN_OK || st == SCN_END, "a seek goes on");
    }
    scn_cursor_close(cursor);
}

static void seek_theirs(struct sides *sides)
{
    MDB_cursor *cursor;
    peer_must(mdb_cursor_open(sides->peer_txn, sides->peer.dbi, &cursor),
              "mdb_cursor_open");
    for (uint32_t at = 0; at < SEEKS; at++) {
        MDB_val key = {KEY_BYTES, sides->set.queries[at]};
        MDB_val value;
        int answer = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
        for (uint32_t i = 0; answer == 0 && i < NEXTS; i++) {
            sides->sum += touch(value.mv_data, value.mv_size);
            answer = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
        }
        require(answer == 0 || answer == MDB_NOTFOUND, "a seek goes on");
    }
    mdb_cursor_close(cursor);
}

static void scan_ours(struct sides *sides)
{
    scn_cursor *cursor;
    scn_slice key;
    scn_slice value;
    uint32_t count = 0;
    must(scn_cursor_open(sides->txn, sides->table, &cursor), "scn_cursor_open");
    scn_status st = scn_first(cursor, &key, &value);
    while (st == SCN_OK) {
        sides->sum += touch(value.data, value.size);
        count++;
        st = scn_next(cursor, &key, &value);
    }
    scn_cursor_close(cursor);
    require(st == SCN_END && count == RECORDS, "a scan sees every record");
}

static void scan_theirs(struct sides *sides)
{
    MDB_cursor *cursor;
    MDB_val key;
    MDB_val value;
    uint32_t count = 0;
    peer_must(mdb_cursor_open(sides->peer_txn, sides->peer.dbi, &cursor),
              "mdb_cursor_open");
    int answer = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    while (answer == 0) {
        sides->sum += touch(value.mv_data, value.mv_size);
        count++;
        answer = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    require(answer == MDB_NOTFOUND && count == RECORDS, "a scan sees every record");
}

/* ---- the rounds ---- */

enum { GET, GET_MANY, SEEK, SCAN, WORK_COUNT };

static const struct work {
    const char *name;
    void (*ours)(struct sides *);
    void (*theirs)(struct sides *);
    double count;
    double goal; /* times the peer's speed */
} works[WORK_COUNT] = {
    {"random get", get_ours, get_theirs, GETS, 2.5},
    {"batched get of 16 against the peer's single gets", get_many_ours, get_theirs, GETS,
     5},
    {"seek and 10 nexts", seek_ours, seek_theirs, SEEKS, 1},
    {"full scan, a record", scan_ours, scan_theirs, RECORDS, 1},
};

static double ns_each(void (*fn)(struct sides *), struct sides *sides, double count)
{
    uint64_t start = thread_cpu_ns();
    fn(sides);
    return (double)(thread_cpu_ns() - start) / count;
}

static void compare(struct sides *sides, const struct work *work)
{
    double ours[ROUNDS];
    double theirs[ROUNDS];
    char name[128];
    for (uint32_t round = 0; round < ROUNDS; round++) {
        records_shuffle(&sides->set, 100 + round);
        theirs[round] = ns_each(work->theirs, sides, work->count);
        ours[round] = ns_each(work->ours, sides, work->count);
    }
    double our_ns = samples_median(ours, ROUNDS);
    double their_ns = samples_median(theirs, ROUNDS);
    snprintf(name, sizeof name, "%s, ours", work->name);
    figure_note(name, our_ns, "ns");
    snprintf(name, sizeof name, "%s, LMDB", work->name);
    figure_note(name, their_ns, "ns");
    figure_at_least(work->name, their_ns / our_ns, work->goal, "x");
}

static void open_sides(struct sides *sides)
{
    char path[PATH_BYTES];
    records_create(&sides->set, RECORDS, 1);
    sides->db = store_open(rig_path("reads.scn", path), (uint64_t)1 << 30, 0);
    store_load(sides->db, &sides->set, 0);
    must(scn_checkpoint(sides->db), "scn_checkpoint");
    sides->table = store_table(sides->db);
    peer_open(&sides->peer, rig_path("reads.mdb", path));
    peer_load(&sides->peer, &sides->set);
    must(scn_begin(sides->db, SCN_READ, &sides->txn), "scn_begin");
    peer_must(mdb_txn_begin(sides->peer.env, NULL, MDB_RDONLY, &sides->peer_txn),
              "mdb_txn_begin");
}

void bench_reads(void)
{
    struct sides sides = {0};
    open_sides(&sides);
    scan_ours(&sides);
    scan_theirs(&sides);
    for (uint32_t i = 0; i < WORK_COUNT; i++)
        compare(&sides, &works[i]);
    scn_abort(sides.txn);
    must(scn_close(sides.db), "scn_close");
    mdb_txn_abort(sides.peer_txn);
    peer_close(&sides.peer);
    records_destroy(&sides.set);
}
