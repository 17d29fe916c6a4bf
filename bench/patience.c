/* Commits while another process holds a transaction for writing open. */
#include "bench/groups.h"

#include "bench/figure.h"
#include "bench/shift.h"

#include <time.h>

enum { RECORDS = 100000, ROUNDS = 3, WORKER = 0, HOLDER = 1, PAIR = 2 };

struct pair {
    const struct contender *contender;
    struct shift *shift; /* the worker's */
    struct mate worker;
    struct mate holder;
};

/* What a turn of the worker came to. */
struct outcome {
    double commits; /* before the turn was over */
    double refused;
    double p99_us;
    double worst_us;
};

static void pair_start(struct pair *pair, const struct contender *contender,
                       const struct record_set *set)
{
    pair->contender = contender;
    pair->shift = shift_prepare(contender, set, PAIR);
    mate_start(&pair->worker, shift_work, &pair->shift[WORKER]);
    mate_start(&pair->holder, shift_hold, &pair->shift[HOLDER]);
    mate_hear(&pair->worker);
    mate_hear(&pair->holder);
}

static void pair_end(struct pair *pair)
{
    mate_end(&pair->worker);
    mate_end(&pair->holder);
}

static void sleep_until(uint64_t until_ns)
{
    struct timespec until = {(time_t)(until_ns / 1000000000u),
                             (long)(until_ns % 1000000000u)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) != 0)
        ;
}

static void tell_holder(struct pair *pair, bool is_held)
{
    if (!is_held)
        return;
    mate_tell(&pair->holder);
    mate_hear(&pair->holder);
}

/* The holder lets go when the time is over, wherever the worker is. */
static struct outcome pair_turn(struct pair *pair, bool is_held, double seconds)
{
    struct outcome outcome;
    struct shift *shift = pair->shift;
    tell_holder(pair, is_held);
    shift->count = 0;
    shift->refused = 0;
    shift->sampled = 0;
    shift->until_ns = wall_ns() + (uint64_t)(seconds * 1e9);
    mate_tell(&pair->worker);
    sleep_until(shift->until_ns);
    outcome.commits = shift->count;
    outcome.refused = (double)shift->refused;
    tell_holder(pair, is_held);
    mate_hear(&pair->worker);
    outcome.p99_us = samples_percentile(shift->us, shift->sampled, 99);
    outcome.worst_us = samples_percentile(shift->us, shift->sampled, 100);
    return outcome;
}

static void tell(const struct pair *pair, const struct outcome *before,
                 const struct outcome *during)
{
    const char *whose = pair->contender->name;
    figure_note_of(whose, "commits before", before->commits, "");
    figure_note_of(whose, "commits while another process holds", during->commits, "");
    figure_note_of(whose, "refused meanwhile", during->refused, "");
    figure_note_of(whose, "p99 before", before->p99_us, "us");
    figure_note_of(whose, "p99 while another process holds", during->p99_us, "us");
    figure_note_of(whose, "worst while another process holds", during->worst_us, "us");
}

/* Of three rounds the median: p99 is the disk's matter as well. */
static void judge_ours(struct pair *pair, double seconds)
{
    double ratios[ROUNDS];
    for (uint32_t round = 0; round < ROUNDS; round++) {
        struct outcome before = pair_turn(pair, false, seconds);
        struct outcome during = pair_turn(pair, true, seconds);
        tell(pair, &before, &during);
        ratios[round] = during.p99_us / before.p99_us;
    }
    figure_at_most("p99 while a transaction is open, to that before",
                   samples_median(ratios, ROUNDS), 1.3, "x");
}

void bench_patience(void)
{
    struct record_set set;
    double seconds = shift_seconds();
    struct pair pairs[CONTENDERS];
    records_create(&set, RECORDS, 8);
    for (uint32_t i = 0; i < CONTENDERS; i++)
        pair_start(&pairs[i], contenders[i], &set);
    judge_ours(&pairs[0], seconds);
    for (uint32_t i = 1; i < CONTENDERS; i++) {
        struct outcome before = pair_turn(&pairs[i], false, seconds);
        struct outcome during = pair_turn(&pairs[i], true, seconds);
        tell(&pairs[i], &before, &during);
    }
    for (uint32_t i = 0; i < CONTENDERS; i++)
        pair_end(&pairs[i]);
    records_destroy(&set);
}
