/* A process that comes, puts one record durably, and goes; and one that only sits there.
 */
#include "bench/groups.h"

#include "bench/figure.h"
#include "bench/mate.h"
#include "bench/rig.h"

#include <malloc.h>
#include <stdio.h>
#include <unistd.h>

enum { VISITS = 21, RECORDS = 100000 };

/* ---- visits ---- */

struct visit {
    double ms;
    double syncs;      /* before the close */
    double bytes_read; /* as well */
};

static struct visit visit_once(const char *path, uint32_t version)
{
    uint8_t value[VALUE_BYTES];
    uint64_t key[KEY_BYTES / 8] = {version, 1, 1};
    scn_stats_t stats = {.struct_size = sizeof stats};
    uint64_t start = wall_ns();
    scn_db *db = store_open(path, 0, 0);
    must(scn_put1(db, "records", (scn_slice){key, KEY_BYTES},
                  record_value(0, version, value)),
         "scn_put1");
    uint64_t paused = wall_ns();
    must(scn_stats(db, &stats), "scn_stats");
    uint64_t end = paused - start;
    start = wall_ns();
    must(scn_close(db), "scn_close");
    end += wall_ns() - start;
    return (struct visit){(double)end / 1e6, (double)stats.syncs,
                          (double)stats.bytes_read / 1024};
}

static void visit_often(const char *path, const char *when, uint32_t version)
{
    char name[64];
    double ms[VISITS];
    double syncs[VISITS];
    double bytes[VISITS];
    for (uint32_t i = 0; i < VISITS; i++) {
        struct visit visit = visit_once(path, version + i);
        ms[i] = visit.ms;
        syncs[i] = visit.syncs;
        bytes[i] = visit.bytes_read;
    }
    snprintf(name, sizeof name, "open, durable put, close %s", when);
    figure_note(name, samples_median(ms, VISITS), "ms");
    snprintf(name, sizeof name, "... of the file read %s", when);
    figure_note(name, samples_median(bytes, VISITS), "KiB");
    snprintf(name, sizeof name, "... syncs %s", when);
    figure_at_most(name, samples_percentile(syncs, VISITS, 100), 1, "");
}

/* Has the file open, and does nothing. */
static void sit(void *ctx, struct mate *caller)
{
    scn_db *db = store_open(ctx, 0, 0);
    mate_tell(caller);
    while (mate_goes_on(caller))
        ;
    must(scn_close(db), "scn_close");
}

static void measure_visits(const char *path)
{
    struct mate sitter;
    mate_start(&sitter, sit, (void *)(uintptr_t)path);
    mate_hear(&sitter);
    visit_often(path, "beside another", 1);
    mate_end(&sitter);
    visit_often(path, "alone", 100);
}

/* ---- memory ---- */

/* An idle process gives up after ten seconds what it has read from the log. */
enum { SETTLE_MS = 13000 };
/* A little less than half of what the log takes: then a checkpoint is due. */
#define LOG_BEHIND ((uint64_t)7900 << 10)

/* Memory that is this process's own, in KiB: not the program's text, nor the file's. */
static double own_kib(void)
{
    char line[128];
    double kib = -1;
    FILE *file = fopen("/proc/self/smaps_rollup", "r");
    require(file != NULL, "the system tells how much memory is used");
    while (fgets(line, sizeof line, file))
        (void)sscanf(line, "Anonymous: %lf", &kib);
    fclose(file);
    require(kib >= 0, "the system tells how much memory is its own");
    return kib;
}

struct idle {
    const char *path;
    double mib; /* that it came to have */
};

/* What the fork brought along and nobody uses would be used before new memory is. */
static void be_idle(void *ctx, struct mate *caller)
{
    struct idle *idle = ctx;
    malloc_trim(0);
    double before = own_kib();
    scn_db *db = store_open(idle->path, 0, 0);
    usleep(SETTLE_MS * 1000);
    idle->mib = (own_kib() - before) / 1024;
    mate_tell(caller);
    while (mate_goes_on(caller))
        ;
    must(scn_close(db), "scn_close");
}

/* Puts records until the log holds so much; then it sits. */
struct owner {
    const char *path;
    uint64_t log_bytes;
};

static void fill_and_sit(void *ctx, struct mate *caller)
{
    struct owner *owner = ctx;
    uint8_t value[VALUE_BYTES];
    uint64_t random = 11;
    scn_options options;
    scn_db *db;
    scn_stats_t stats = {.struct_size = sizeof stats};
    scn_options_init(&options);
    options.durability = SCN_SYNC_LAZY;
    options.flags = SCN_NOTHREAD;
    must(scn_open(owner->path, &options, &db), "scn_open");
    must(scn_checkpoint(db), "scn_checkpoint");
    for (uint32_t i = 0; stats.log_bytes < owner->log_bytes; i++) {
        uint64_t key[KEY_BYTES / 8] = {random_next(&random), random_next(&random), i};
        must(scn_put1(db, "records", (scn_slice){key, KEY_BYTES},
                      record_value(i, 1, value)),
             "scn_put1");
        must(scn_stats(db, &stats), "scn_stats");
    }
    mate_tell(caller);
    while (mate_goes_on(caller))
        ;
    must(scn_close(db), "scn_close");
}

static double measure_idle(const char *path, uint64_t log_bytes)
{
    struct mate owning;
    struct mate idling;
    struct owner owner = {path, log_bytes};
    struct idle *idle = mate_memory(sizeof *idle);
    idle->path = path;
    mate_start(&owning, fill_and_sit, &owner);
    mate_hear(&owning);
    mate_start(&idling, be_idle, idle);
    mate_hear(&idling);
    mate_end(&idling);
    mate_end(&owning);
    return idle->mib;
}

void bench_joins(void)
{
    char path[PATH_BYTES];
    struct record_set set;
    records_create(&set, RECORDS, 12);
    scn_db *db = store_open(rig_path("joins.scn", path), 0, 0);
    store_load(db, &set, 0);
    must(scn_checkpoint(db), "scn_checkpoint");
    must(scn_close(db), "scn_close");
    records_destroy(&set);
    measure_visits(path);
    figure_at_most("memory of an idle process", measure_idle(path, 0), 4, "MiB");
    figure_at_most("memory of an idle process, 8 MiB of log",
                   measure_idle(path, LOG_BEHIND), 4, "MiB");
}
