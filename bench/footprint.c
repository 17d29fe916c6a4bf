/* Space: what a long snapshot costs, that the file stops growing, and that it shrinks
 * again. */
#include "bench/groups.h"

#include "bench/figure.h"
#include "bench/rig.h"

#include <stdio.h>
#include <string.h>

enum { RECORDS = 1000000, STEP = 10000, CHECKPOINTS = 3, EXTENT_MIB = 1 };

static scn_stats_t stats_of(scn_db *db)
{
    scn_stats_t stats = {.struct_size = sizeof stats};
    must(scn_stats(db, &stats), "scn_stats");
    return stats;
}

static void checkpoint_thrice(scn_db *db)
{
    for (uint32_t i = 0; i < CHECKPOINTS; i++)
        must(scn_checkpoint(db), "scn_checkpoint");
}

/* Every record anew, in transactions of STEP. */
static void overwrite(scn_db *db, scn_table_id table, const struct record_set *set,
                      uint32_t version)
{
    for (uint32_t at = 0; at < RECORDS; at += STEP) {
        scn_txn *txn;
        must(scn_begin(db, SCN_WRITE, &txn), "scn_begin");
        for (uint32_t i = at; i < at + STEP; i++) {
            uint8_t value[VALUE_BYTES];
            uint32_t record = set->order[i];
            must(scn_put(txn, table, record_key(set, record),
                         record_value(record, version, value), 0),
                 "scn_put");
        }
        must(scn_commit(txn), "scn_commit");
    }
    checkpoint_thrice(db);
}

static void delete_all(scn_db *db, scn_table_id table, const struct record_set *set)
{
    for (uint32_t at = 0; at < RECORDS; at += STEP) {
        scn_txn *txn;
        must(scn_begin(db, SCN_WRITE, &txn), "scn_begin");
        for (uint32_t i = at; i < at + STEP; i++)
            must(scn_del(txn, table, record_key(set, set->order[i])), "scn_del");
        must(scn_commit(txn), "scn_commit");
    }
}

/* Wrong or missing values of a version, as a transaction sees them. */
static uint32_t count_wrong(scn_txn *txn, scn_table_id table,
                            const struct record_set *set, uint32_t version)
{
    uint32_t wrong = 0;
    for (uint32_t i = 0; i < RECORDS; i++) {
        scn_slice found;
        uint8_t value[VALUE_BYTES];
        record_value(i, version, value);
        scn_status st = scn_get(txn, table, record_key(set, i), &found);
        if (st != SCN_OK || found.size != VALUE_BYTES ||
            memcmp(found.data, value, VALUE_BYTES))
            wrong++;
    }
    return wrong;
}

static double overwrite_and_measure(scn_db *db, scn_table_id table,
                                    const struct record_set *set, uint32_t version)
{
    char name[64];
    overwrite(db, table, set, version);
    double mb = (double)stats_of(db).file_bytes / 1e6;
    snprintf(name, sizeof name, "the file after overwrite %u", version);
    figure_note(name, mb, "MB");
    return mb;
}

static void measure_snapshot(scn_db *db, scn_table_id table, const struct record_set *set)
{
    scn_txn *txn;
    must(scn_begin(db, SCN_READ, &txn), "scn_begin");
    double with_snapshot = overwrite_and_measure(db, table, set, 1);
    figure_at_most("values that a snapshot lost to 1M overwrites",
                   count_wrong(txn, table, set, 0), 0, "");
    scn_abort(txn);
    double first = overwrite_and_measure(db, table, set, 2);
    double second = overwrite_and_measure(db, table, set, 3);
    double more = second > first ? second : first;
    figure_at_most("the file after two more, to that with the snapshot",
                   more / with_snapshot, 1.05, "x");
    figure_at_most("the file after the second, to that after the first", second / first,
                   1.05, "x");
}

static void measure_deletion(scn_db *db, scn_table_id table, const struct record_set *set)
{
    delete_all(db, table, set);
    checkpoint_thrice(db);
    scn_stats_t stats = stats_of(db);
    /* What the log holds of it is one extent, which the library does not tell. */
    figure_note("of the file in use then", (double)stats.used_bytes / (1 << 20), "MiB");
    figure_at_most("the file after deleting everything",
                   (double)stats.file_bytes / (1 << 20), 1 + EXTENT_MIB, "MiB");
}

void bench_space(void)
{
    char path[PATH_BYTES];
    struct record_set set;
    records_create(&set, RECORDS, 6);
    scn_db *db = store_open(rig_path("space.scn", path), (uint64_t)512 << 20, 0);
    store_load(db, &set, 0);
    scn_table_id table = store_table(db);
    checkpoint_thrice(db);
    figure_note("the file after the load", (double)stats_of(db).file_bytes / 1e6, "MB");
    measure_snapshot(db, table, &set);
    measure_deletion(db, table, &set);
    must(scn_close(db), "scn_close");
    records_destroy(&set);
}
