/* Four processes that put durably into one file, against a process that writes and syncs
 * alone, and against four on other stores.
 *
 * They take turns in rounds, so that all of them meet the same disk; of each the median
 * round counts. */
#include "bench/groups.h"

#include "bench/figure.h"
#include "bench/raw.h"
#include "bench/shift.h"

#include <stdlib.h>

enum { WORKERS = 4, CROWD_ROUNDS = 10, RECORDS = 100000, RAW_SAMPLES = 1000000 };

struct crowd {
    const struct contender *contender;
    struct shift *shifts;
    struct mate mates[WORKERS];
    double rates[CROWD_ROUNDS];
};

static void crowd_start(struct crowd *crowd, const struct contender *contender,
                        const struct record_set *set)
{
    crowd->contender = contender;
    crowd->shifts = shift_prepare(contender, set, WORKERS);
    for (uint32_t i = 0; i < WORKERS; i++)
        mate_start(&crowd->mates[i], shift_work, &crowd->shifts[i]);
    for (uint32_t i = 0; i < WORKERS; i++)
        mate_hear(&crowd->mates[i]);
}

static uint64_t crowd_count(const struct crowd *crowd)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < WORKERS; i++)
        count += crowd->shifts[i].count;
    return count;
}

static void crowd_turn(struct crowd *crowd, uint32_t round, double seconds)
{
    uint64_t before = crowd_count(crowd);
    uint64_t start = wall_ns();
    for (uint32_t i = 0; i < WORKERS; i++) {
        crowd->shifts[i].until_ns = start + (uint64_t)(seconds * 1e9);
        mate_tell(&crowd->mates[i]);
    }
    for (uint32_t i = 0; i < WORKERS; i++)
        mate_hear(&crowd->mates[i]);
    double passed = (double)(wall_ns() - start) / 1e9;
    crowd->rates[round] = (double)(crowd_count(crowd) - before) / passed;
}

static double crowd_percentile(const struct crowd *crowd, double percent)
{
    double *all = malloc(WORKERS * sizeof crowd->shifts->us);
    uint32_t count = 0;
    require(all != NULL, "there is memory for the samples");
    for (uint32_t i = 0; i < WORKERS; i++)
        for (uint32_t k = 0; k < crowd->shifts[i].sampled; k++)
            all[count++] = crowd->shifts[i].us[k];
    double found = samples_percentile(all, count, percent);
    free(all);
    return found;
}

static void crowd_tell(const struct crowd *crowd, double rate)
{
    const char *whose = crowd->contender->name;
    uint64_t cpu_ns = 0;
    uint64_t refused = 0;
    for (uint32_t i = 0; i < WORKERS; i++) {
        cpu_ns += crowd->shifts[i].cpu_ns;
        refused += crowd->shifts[i].refused;
    }
    figure_note_of(whose, "4 processes, durable puts a second", rate, "");
    figure_note_of(whose, "a put, median", crowd_percentile(crowd, 50), "us");
    figure_note_of(whose, "a put, p99", crowd_percentile(crowd, 99), "us");
    figure_note_of(whose, "a put, worst", crowd_percentile(crowd, 100), "us");
    figure_note_of(whose, "a put, CPU of all processes",
                   (double)cpu_ns / 1000 / (double)crowd_count(crowd), "us");
    figure_note_of(whose, "puts refused because others were busy", (double)refused, "");
}

static double commits_a_sync(const struct crowd *crowd)
{
    uint64_t commits = 0;
    uint64_t syncs = 0;
    for (uint32_t i = 0; i < WORKERS; i++) {
        commits += crowd->shifts[i].commits;
        syncs += crowd->shifts[i].syncs;
    }
    return (double)commits / (double)syncs;
}

struct loop {
    struct raw raw;
    double *us;
    uint32_t count;
    double rates[CROWD_ROUNDS];
};

static void loop_turn(struct loop *loop, uint32_t round, double seconds)
{
    uint64_t start = wall_ns();
    uint64_t until = start + (uint64_t)(seconds * 1e9);
    uint32_t before = loop->count;
    uint64_t now = start;
    while (now < until && loop->count < RAW_SAMPLES) {
        uint64_t began = now;
        raw_commit(&loop->raw);
        now = wall_ns();
        loop->us[loop->count++] = (double)(now - began) / 1000;
    }
    loop->rates[round] = (double)(loop->count - before) * 1e9 / (double)(now - start);
}

static void judge(struct crowd crowds[CONTENDERS], const double rates[CONTENDERS],
                  struct loop *loop)
{
    uint64_t refused = 0;
    double loop_rate = samples_median(loop->rates, CROWD_ROUNDS);
    double loop_us = samples_median(loop->us, loop->count);
    for (uint32_t i = 0; i < WORKERS; i++)
        refused += crowds[0].shifts[i].refused;
    figure_note("pwrite and fdatasync of one process, a second", loop_rate, "");
    figure_note("pwrite and fdatasync, median", loop_us, "us");
    figure_note("pwrite and fdatasync, p99",
                samples_percentile(loop->us, loop->count, 99), "us");
    for (uint32_t i = 0; i < CONTENDERS; i++)
        crowd_tell(&crowds[i], rates[i]);
    figure_note("commits that shared a sync, mean", commits_a_sync(&crowds[0]), "");
    figure_at_least("4 processes against pwrite and fdatasync of one",
                    rates[0] / loop_rate, 1.4, "x");
    figure_at_least("4 processes against LMDB", rates[0] / rates[1], 1, "x");
    figure_at_least("4 processes against SQLite", rates[0] / rates[2], 1, "x");
    figure_at_most("p99 of a put against pwrite and fdatasync",
                   crowd_percentile(&crowds[0], 99) / loop_us, 10, "x");
    figure_at_most("puts that answered SCN_BUSY", (double)refused, 0, "");
}

void bench_crowd(void)
{
    struct record_set set;
    struct crowd crowds[CONTENDERS];
    double rates[CONTENDERS];
    struct loop loop = {.us = malloc(RAW_SAMPLES * sizeof *loop.us)};
    double seconds = shift_seconds() / CROWD_ROUNDS;
    require(loop.us != NULL, "there is memory for the samples");
    records_create(&set, RECORDS, 3);
    for (uint32_t i = 0; i < CONTENDERS; i++)
        crowd_start(&crowds[i], contenders[i], &set);
    raw_open(&loop.raw);
    for (uint32_t round = 0; round < CROWD_ROUNDS; round++) {
        loop_turn(&loop, round, seconds);
        for (uint32_t i = 0; i < CONTENDERS; i++)
            crowd_turn(&crowds[i], round, seconds);
    }
    for (uint32_t i = 0; i < CONTENDERS; i++) {
        rates[i] = samples_median(crowds[i].rates, CROWD_ROUNDS);
        for (uint32_t k = 0; k < WORKERS; k++)
            mate_end(&crowds[i].mates[k]);
    }
    judge(crowds, rates, &loop);
    raw_close(&loop.raw);
    free(loop.us);
    records_destroy(&set);
}
