/* Durable single commits, against the least that a durable commit can be: write 200
 * bytes, sync.
 *
 * Both take turns on one disk.  Wall time is what counts, the median: a commit waits, and
 * a disk has hiccups that say nothing of the store. */
#include "bench/groups.h"

#include "bench/figure.h"
#include "bench/raw.h"
#include "bench/rig.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { TURN = 20 };

struct commits {
    struct record_set set;
    scn_db *db;
    struct raw raw;
    uint32_t next;
    double *ours;
    double *theirs;
    uint32_t our_count;
    uint32_t their_count;
};

static void commits_open(struct commits *commits, uint32_t record_count,
                         uint32_t sample_count)
{
    char path[PATH_BYTES];
    *commits = (struct commits){0};
    records_create(&commits->set, record_count, 2);
    commits->db = store_open(rig_path("commits.scn", path), (uint64_t)1 << 30, 0);
    store_load(commits->db, &commits->set, 0);
    must(scn_checkpoint(commits->db), "scn_checkpoint");
    raw_open(&commits->raw);
    commits->ours = malloc(sample_count * sizeof *commits->ours);
    commits->theirs = malloc(sample_count * sizeof *commits->theirs);
    require(commits->ours && commits->theirs, "there is memory for the samples");
}

static void commits_close(struct commits *commits)
{
    must(scn_close(commits->db), "scn_close");
    raw_close(&commits->raw);
    free(commits->ours);
    free(commits->theirs);
    records_destroy(&commits->set);
}

static void commit_ours(struct commits *commits)
{
    uint8_t value[VALUE_BYTES];
    uint32_t i = commits->set.order[commits->next++ % commits->set.count];
    uint64_t start = wall_ns();
    must(scn_put1(commits->db, "records", record_key(&commits->set, i),
                  record_value(i, commits->next, value)),
         "scn_put1");
    commits->ours[commits->our_count++] = (double)(wall_ns() - start) / 1000;
}

static void commit_theirs(struct commits *commits)
{
    uint64_t start = wall_ns();
    raw_commit(&commits->raw);
    commits->theirs[commits->their_count++] = (double)(wall_ns() - start) / 1000;
}

/* ---- alone ---- */

enum { COMMITS = 6000 };

void bench_commits(void)
{
    struct commits commits;
    commits_open(&commits, 100000, COMMITS);
    uint64_t our_cpu = 0;
    uint64_t their_cpu = 0;
    for (uint32_t turn = 0; turn < COMMITS / TURN; turn++) {
        uint64_t start = thread_cpu_ns();
        for (uint32_t i = 0; i < TURN; i++)
            commit_theirs(&commits);
        uint64_t middle = thread_cpu_ns();
        for (uint32_t i = 0; i < TURN; i++)
            commit_ours(&commits);
        their_cpu += middle - start;
        our_cpu += thread_cpu_ns() - middle;
    }
    double ours = samples_median(commits.ours, COMMITS);
    double theirs = samples_median(commits.theirs, COMMITS);
    figure_note("durable put, CPU", (double)our_cpu / COMMITS / 1000, "us");
    figure_note("pwrite and fdatasync, CPU", (double)their_cpu / COMMITS / 1000, "us");
    figure_note("durable put, median", ours, "us");
    figure_note("durable put, p99", samples_percentile(commits.ours, COMMITS, 99), "us");
    figure_note("pwrite and fdatasync, median", theirs, "us");
    figure_note("pwrite and fdatasync, p99",
                samples_percentile(commits.theirs, COMMITS, 99), "us");
    figure_at_most("durable put against pwrite and fdatasync", ours / theirs, 1.25, "x");
    commits_close(&commits);
}

/* ---- beside checkpoints ---- */

enum {
    BESIDE_RECORDS = 1000000,
    BESIDE_CHANGES = 60000,
    BESIDE_ROUNDS = 2,
    SAMPLES_MAX = 400000
};

struct checkpointer {
    scn_db *db;
    _Atomic int is_done;
};

static void *run_checkpoint(void *arg)
{
    struct checkpointer *checkpointer = arg;
    must(scn_checkpoint(checkpointer->db), "scn_checkpoint");
    atomic_store(&checkpointer->is_done, 1);
    return NULL;
}

/* Changes all over the table: the checkpoint writes every leaf anew. */
static void change_many(struct commits *commits, uint32_t version)
{
    scn_txn *txn;
    scn_table_id table;
    uint8_t value[VALUE_BYTES];
    must(scn_begin(commits->db, SCN_WRITE, &txn), "scn_begin");
    must(scn_table(txn, "records", 0, &table), "scn_table");
    for (uint32_t i = 0; i < BESIDE_CHANGES; i++) {
        uint32_t record = commits->set.order[commits->next++ % BESIDE_RECORDS];
        must(scn_put(txn, table, record_key(&commits->set, record),
                     record_value(record, version, value), 0),
             "scn_put");
    }
    must(scn_commit(txn), "scn_commit");
}

static void commit_beside_one(struct commits *commits)
{
    pthread_t thread;
    struct checkpointer checkpointer = {.db = commits->db};
    require(pthread_create(&thread, NULL, run_checkpoint, &checkpointer) == 0,
            "a thread can be started");
    while (!atomic_load(&checkpointer.is_done) && commits->our_count < SAMPLES_MAX)
        commit_ours(commits);
    pthread_join(thread, NULL);
}

void bench_beside(void)
{
    struct commits commits;
    commits_open(&commits, BESIDE_RECORDS, SAMPLES_MAX);
    uint64_t checkpoint_ns = 0;
    for (uint32_t round = 0; round < BESIDE_ROUNDS; round++) {
        for (uint32_t i = 0; i < 500; i++)
            commit_theirs(&commits);
        change_many(&commits, 1000 + round);
        uint64_t start = wall_ns();
        commit_beside_one(&commits);
        checkpoint_ns += wall_ns() - start;
    }
    double theirs = samples_median(commits.theirs, commits.their_count);
    double ours = samples_median(commits.ours, commits.our_count);
    double p99 = samples_percentile(commits.ours, commits.our_count, 99);
    figure_note("scn_checkpoint of 1M records, commits beside it",
                (double)checkpoint_ns / BESIDE_ROUNDS / 1e6, "ms");
    figure_note("durable puts beside a checkpoint, samples", commits.our_count, "");
    figure_note("durable put beside a checkpoint, median", ours, "us");
    figure_note("durable put beside a checkpoint, p99", p99, "us");
    figure_note("durable put beside a checkpoint, worst",
                samples_percentile(commits.ours, commits.our_count, 100), "us");
    figure_at_most("the median against a quiet pwrite and fdatasync", ours / theirs, 3,
                   "x");
    figure_at_most("the p99 against that median", p99 / ours, 20, "x");
    commits_close(&commits);
}
