/* Compaction of a file of which nine tenths were deleted, while a thread commits. */
#include "bench/groups.h"

#include "bench/figure.h"
#include "bench/rig.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

enum { ROWS = 500000, KEPT_ONE_IN = 10, BATCH = 10000, BESIDE_MS = 1500 };

static scn_slice key_of(uint32_t row, uint8_t key[8])
{
    for (int i = 0; i < 4; i++)
        key[i] = (uint8_t)(row >> (24 - 8 * i));
    return (scn_slice){key, 4};
}

/* Rows of 250 to 2000 bytes: some lie in leaves, some in pages of values. */
static void fill(scn_db *db)
{
    static uint8_t value[2000];
    uint64_t random = 7;
    for (uint32_t from = 0; from < ROWS; from += BATCH) {
        scn_txn *txn;
        scn_table_id table;
        uint8_t key[8];
        must(scn_begin(db, SCN_WRITE, &txn), "scn_begin");
        must(scn_table(txn, "records", SCN_CREATE, &table), "scn_table");
        for (uint32_t row = from; row < from + BATCH; row++) {
            uint64_t bits = random_next(&random);
            for (uint32_t i = 0; i < sizeof value / 8; i++)
                ((uint64_t *)value)[i] = bits * (i + 1);
            must(scn_put(txn, table, key_of(row, key),
                         (scn_slice){value, 250 + bits % 1750}, 0),
                 "scn_put");
        }
        must(scn_commit(txn), "scn_commit");
    }
    must(scn_checkpoint(db), "scn_checkpoint");
}

/* All but one in ten, chosen at random. */
static void delete_most(scn_db *db)
{
    uint64_t random = 11;
    for (uint32_t from = 0; from < ROWS; from += BATCH) {
        scn_txn *txn;
        scn_table_id table;
        uint8_t key[8];
        must(scn_begin(db, SCN_WRITE, &txn), "scn_begin");
        must(scn_table(txn, "records", 0, &table), "scn_table");
        for (uint32_t row = from; row < from + BATCH; row++)
            if (random_next(&random) % KEPT_ONE_IN != 0)
                must(scn_del(txn, table, key_of(row, key)), "scn_del");
        must(scn_commit(txn), "scn_commit");
    }
}

struct committer {
    scn_db *db;
    _Atomic bool ends;
    _Atomic uint64_t commits;
};

static void *commit_on(void *ctx)
{
    struct committer *committer = ctx;
    uint8_t value[VALUE_BYTES];
    for (uint32_t i = 0; !atomic_load(&committer->ends); i++) {
        uint8_t key[8];
        must(scn_put1(committer->db, "beside", key_of(i % 1000, key),
                      record_value(i, i, value)),
             "scn_put1");
        atomic_fetch_add(&committer->commits, 1);
    }
    return NULL;
}

static double commits_a_second(struct committer *committer, uint64_t commits,
                               uint64_t start_ns)
{
    return (double)(atomic_load(&committer->commits) - commits) * 1e9 /
           (double)(wall_ns() - start_ns);
}

void bench_shrink(void)
{
    char path[PATH_BYTES];
    pthread_t thread;
    scn_db *db = store_open(rig_path("shrink.scn", path), (uint64_t)64 << 20, 0);
    struct committer committer = {.db = db};
    fill(db);
    double full = (double)rig_file_bytes(path);
    delete_most(db);
    require(pthread_create(&thread, NULL, commit_on, &committer) == 0, "a thread starts");
    uint64_t start = wall_ns();
    usleep(BESIDE_MS * 1000);
    double before = commits_a_second(&committer, 0, start);
    uint64_t commits = atomic_load(&committer.commits);
    start = wall_ns();
    must(scn_compact(db, NULL), "scn_compact");
    double seconds = (double)(wall_ns() - start) / 1e9;
    double during = commits_a_second(&committer, commits, start);
    atomic_store(&committer.ends, true);
    pthread_join(thread, NULL);
    double after = (double)rig_file_bytes(path);
    must(scn_close(db), "scn_close");
    figure_note("file, full", full / (1 << 20), "MiB");
    figure_note("file, nine tenths deleted and compacted", after / (1 << 20), "MiB");
    figure_at_least("of the file given back", 1 - after / full, 0.8, "");
    figure_note("compaction", seconds, "s");
    figure_note("commits beside it, against before", during / before, "x");
}
