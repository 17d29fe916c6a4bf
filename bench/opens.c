/* Opening: after a kill, a new file, a large one; and what a large transaction needs. */
#include "bench/groups.h"

#include "bench/figure.h"
#include "bench/rig.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROUNDS = 3 };

/* ---- recovery ---- */

#define LOG_BYTES ((uint64_t)16 << 20)

struct filler {
    const char *path;
    uint32_t version;
};

/* Fills the log as far as it goes without a checkpoint. */
static void fill_log(void *ctx)
{
    struct filler *filler = ctx;
    uint8_t value[VALUE_BYTES];
    uint64_t seed = filler->version;
    scn_options options;
    scn_db *db;
    scn_stats_t stats = {.struct_size = sizeof stats};
    scn_options_init(&options);
    options.durability = SCN_SYNC_LAZY;
    options.flags = SCN_NOTHREAD;
    must(scn_open(filler->path, &options, &db), "scn_open");
    store_table(db);
    for (uint32_t i = 0; stats.log_bytes < LOG_BYTES - 4096; i++) {
        uint64_t key[KEY_BYTES / 8] = {random_next(&seed), random_next(&seed), i};
        must(scn_put1(db, "records", (scn_slice){key, KEY_BYTES},
                      record_value(i, filler->version, value)),
             "scn_put1");
        must(scn_stats(db, &stats), "scn_stats");
    }
    raise(SIGKILL);
}

void bench_recovery(void)
{
    char path[PATH_BYTES];
    double ms[ROUNDS];
    double log_bytes = 0;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        struct filler filler = {rig_path("killed.scn", path), round};
        scn_stats_t stats = {.struct_size = sizeof stats};
        run_killed(fill_log, &filler);
        uint64_t start = wall_ns();
        scn_db *db = store_open(path, 0, 0);
        ms[round] = (double)(wall_ns() - start) / 1e6;
        must(scn_stats(db, &stats), "scn_stats");
        log_bytes = (double)stats.log_bytes;
        must(scn_close(db), "scn_close");
        unlink(path);
    }
    figure_note("bytes of log that were recovered", log_bytes / (1 << 20), "MiB");
    figure_at_most("recovery of a full log", samples_median(ms, ROUNDS), 300, "ms");
}

/* ---- files ---- */

enum { LARGE_VALUE_BYTES = 1000, OPENS = 21 };

static void fill_with(const char *path, uint64_t bytes, uint64_t pool_bytes)
{
    uint8_t value[LARGE_VALUE_BYTES];
    uint64_t seed = 5;
    scn_txn *txn;
    scn_table_id table;
    scn_db *db = store_open(path, pool_bytes, 0);
    must(scn_begin(db, SCN_WRITE, &txn), "scn_begin");
    must(scn_table(txn, "records", SCN_CREATE, &table), "scn_table");
    for (uint64_t done = 0; done < bytes; done += KEY_BYTES + LARGE_VALUE_BYTES) {
        uint64_t key[KEY_BYTES / 8] = {random_next(&seed), random_next(&seed), done};
        for (uint32_t at = 0; at < LARGE_VALUE_BYTES; at += 8) {
            uint64_t word = random_next(&seed);
            memcpy(value + at, &word, 8);
        }
        must(scn_put(txn, table, (scn_slice){key, KEY_BYTES},
                     (scn_slice){value, LARGE_VALUE_BYTES}, 0),
             "scn_put");
    }
    must(scn_commit(txn), "scn_commit");
    must(scn_close(db), "scn_close");
}

#define LARGE_POOL_BYTES ((uint64_t)64 << 20)

void child_large(const char *path)
{
    uint64_t start = wall_ns();
    uint64_t cpu = process_cpu_ns();
    fill_with(path, (uint64_t)2 << 30, LARGE_POOL_BYTES);
    figure_note("one transaction of 2 GiB, with open and close",
                (double)(wall_ns() - start) / 1e9, "s");
    figure_note("one transaction of 2 GiB, CPU", (double)(process_cpu_ns() - cpu) / 1e9,
                "s");
}

void child_fill(const char *path)
{
    fill_with(path, (uint64_t)1 << 30, (uint64_t)256 << 20);
}

static void measure_large_transaction(void)
{
    char path[PATH_BYTES];
    struct rusage usage;
    const char *const arguments[] = {"scrine-bench", "child-large",
                                     rig_path("large.scn", path), NULL};
    require(run_again(arguments, &usage) == 0, "a transaction of 2 GiB commits");
    figure_at_most("peak memory of a 2 GiB transaction beyond the pool",
                   (double)usage.ru_maxrss / 1024 - (double)LARGE_POOL_BYTES / (1 << 20),
                   256, "MiB");
    unlink(path);
}

static void measure_new_file(void)
{
    char path[PATH_BYTES];
    scn_db *db = store_open(rig_path("new.scn", path), 0, 0);
    double opened = (double)rig_file_bytes(path) / 1024;
    must(scn_close(db), "scn_close");
    double closed = (double)rig_file_bytes(path) / 1024;
    figure_at_most("a new file", opened > closed ? opened : closed, 512, "KiB");
}

/* Of the pages that it looks at, which are in the page cache by then. */
static void measure_walcheck(const char *path)
{
    double rate[ROUNDS];
    scn_stats_t stats = {.struct_size = sizeof stats};
    const char *const arguments[] = {"scrine-walcheck", path, NULL};
    scn_db *db = store_open(path, 0, SCN_NOTHREAD);
    must(scn_stats(db, &stats), "scn_stats");
    must(scn_close(db), "scn_close");
    for (uint32_t i = 0; i < ROUNDS; i++) {
        uint64_t start = wall_ns();
        require(run_beside(arguments) == 0, "scrine-walcheck finds nothing");
        rate[i] = (double)stats.used_bytes / (double)(wall_ns() - start);
    }
    figure_at_least("scrine-walcheck of 1 GiB in the page cache",
                    samples_median(rate, ROUNDS), 1, "GB/s");
}

static void measure_open(void)
{
    char path[PATH_BYTES];
    struct rusage usage;
    double ms[OPENS];
    const char *const arguments[] = {"scrine-bench", "child-fill",
                                     rig_path("fill.scn", path), NULL};
    require(run_again(arguments, &usage) == 0, "1 GiB can be stored");
    for (uint32_t i = 0; i < OPENS; i++) {
        uint64_t start = wall_ns();
        scn_db *db = store_open(path, (uint64_t)256 << 20, 0);
        ms[i] = (double)(wall_ns() - start) / 1e6;
        must(scn_close(db), "scn_close");
    }
    double first = ms[0];
    figure_note("the file that is opened", (double)rig_file_bytes(path) / (1 << 20),
                "MiB");
    figure_note("opening it, the first time", first, "ms");
    figure_at_most("opening 1 GiB that was closed cleanly", samples_median(ms, OPENS), 2,
                   "ms");
    measure_walcheck(path);
    unlink(path);
}

void bench_opening(void)
{
    measure_new_file();
    measure_large_transaction();
    measure_open();
}
