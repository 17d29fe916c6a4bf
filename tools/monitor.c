/* top: a store as it lives.
 *
 * The file is open for reading only.  A transaction of a moment takes up what others have
 * committed since the last look, so that their commits and bytes are counted; rates are
 * the differences of two looks. */
#include "tools/commands.h"
#include "tools/handle.h"
#include "tools/interrupt.h"
#include "tools/output.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { INTERVAL_S_MAX = 3600, LOOKS_MAX = 1000000000 };

/* Another screen without a cursor, and back. */
static const char screen_begin[] = "\033[?1049h\033[?25l";
static const char screen_end[] = "\033[?25h\033[?1049l";
static const char screen_top[] = "\033[H";
static const char line_end[] = "\033[K\n";
static const char screen_rest[] = "\033[J";

struct look {
    scn_stats_t stats;
    scn_health_t health;
    double at_s;
};

struct monitor {
    struct handle *handle;
    bool is_screen;
    const char *newline;
    struct look before;
    struct look now;
    uint64_t reader_count;
};

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static enum outcome look(struct monitor *monitor)
{
    scn_txn *txn;
    scn_db *db = monitor->handle->db;
    struct look *now = &monitor->now;
    monitor->before = *now;
    *now = (struct look){.stats.struct_size = sizeof now->stats,
                         .health.struct_size = sizeof now->health};
    scn_status st = scn_begin(db, SCN_READ, &txn);
    if (st < 0)
        return handle_fail(monitor->handle, st);
    scn_abort(txn);
    now->at_s = now_s();
    st = scn_stats(db, &now->stats);
    if (st == SCN_OK)
        st = scn_health(db, &now->health);
    return st == SCN_OK || st == SCN_MOVED ? OUTCOME_OK
                                           : handle_fail(monitor->handle, st);
}

/* ---- what is shown ---- */

static double mib(uint64_t bytes)
{
    return (double)bytes / (1 << 20);
}

static double rate(const struct monitor *monitor, uint64_t before, uint64_t now)
{
    double seconds = monitor->now.at_s - monitor->before.at_s;
    return seconds > 0 && now > before ? (double)(now - before) / seconds : 0;
}

static void print_size(const struct monitor *monitor)
{
    const scn_stats_t *stats = &monitor->now.stats;
    printf("size        %.1f MiB; %.1f used, %.1f freed, %.1f free; disk %.1f free%s",
           mib(stats->file_bytes), mib(stats->used_bytes), mib(stats->freed_bytes),
           mib(stats->free_bytes), mib(monitor->now.health.disk_free_bytes),
           monitor->newline);
}

static void print_rates(const struct monitor *monitor)
{
    const scn_stats_t *now = &monitor->now.stats;
    const scn_stats_t *before = &monitor->before.stats;
    printf("commits     %.1f a second%s",
           rate(monitor, before->commits + before->peer_commits,
                now->commits + now->peer_commits),
           monitor->newline);
    printf("log         %.2f MiB a second; %.1f MiB behind the checkpoint, up to lsn "
           "%" PRIu64 "%s",
           rate(monitor, before->appended_lsn, now->appended_lsn) / (1 << 20),
           mib(now->log_bytes), now->appended_lsn, monitor->newline);
    printf("checkpoint  number %" PRIu64 "; %.2f a second; %" PRIu32
           " bulk runs wait for the next%s",
           now->gen, rate(monitor, before->gen, now->gen), now->runs, monitor->newline);
}

static scn_status print_reader(void *ctx, const scn_reader *reader)
{
    struct monitor *monitor = ctx;
    if (monitor->reader_count++ == 0)
        printf("%s%10s %10s %10s %10s  %s%s", monitor->newline, "pid", "age s", "pages",
               "checkpoint", "reader", monitor->newline);
    printf("%10" PRIu32 " %10.1f ", reader->pid, (double)reader->age_ms / 1000);
    /* Known to who has the allocation state, and a handle for reading only has not. */
    if (monitor->now.health.read_only)
        printf("%10s", "-");
    else
        printf("%10" PRIu64, reader->pages_held);
    printf(" %10" PRIu64 "  ", reader->gen);
    text_print_escaped(stdout, (scn_slice){reader->program,
                                           strnlen(reader->program,
                                                   sizeof reader->program)});
    fputs(monitor->newline, stdout);
    return SCN_OK;
}

static enum outcome show(struct monitor *monitor)
{
    const scn_health_t *health = &monitor->now.health;
    if (monitor->is_screen)
        fputs(screen_top, stdout);
    printf("file        %s%s", monitor->handle->path, monitor->newline);
    printf("health      %s%s", health->healthy ? "well" : health->reason,
           monitor->newline);
    print_size(monitor);
    print_rates(monitor);
    monitor->reader_count = 0;
    scn_status st = scn_readers_each(monitor->handle->db, print_reader, monitor);
    fputs(monitor->is_screen ? screen_rest : "\n", stdout);
    fflush(stdout);
    return st == SCN_OK ? OUTCOME_OK : handle_fail(monitor->handle, st);
}

/* ---- looking on ---- */

static enum outcome watch(struct monitor *monitor, uint32_t interval_ms, uint64_t looks)
{
    enum outcome outcome = look(monitor);
    for (uint64_t i = 0; i < looks && outcome == OUTCOME_OK; i++) {
        if (!interrupt_sleep(interval_ms))
            return OUTCOME_INTERRUPTED;
        if (output_is_broken())
            break;
        outcome = look(monitor);
        if (outcome == OUTCOME_OK)
            outcome = show(monitor);
    }
    return outcome;
}

static enum outcome monitor_run(struct handle *handle, uint32_t interval_ms,
                                uint64_t looks)
{
    struct monitor monitor = {.handle = handle, .newline = "\n"};
    monitor.is_screen = looks == LOOKS_MAX && isatty(STDOUT_FILENO);
    interrupt_watch_end(); /* before there is a screen to put back */
    if (monitor.is_screen) {
        monitor.newline = line_end;
        fputs(screen_begin, stdout);
        fflush(stdout);
    }
    enum outcome outcome = watch(&monitor, interval_ms, looks);
    if (monitor.is_screen) {
        fputs(screen_end, stdout);
        fflush(stdout);
    }
    return outcome;
}

enum outcome command_top(const struct args *args)
{
    struct handle handle;
    uint64_t interval_s;
    uint64_t looks;
    uint64_t all = args_has(args, OPTION_ONCE) ? 1 : LOOKS_MAX;
    enum outcome outcome =
        args_number(args, OPTION_INTERVAL, 1, INTERVAL_S_MAX, &interval_s);
    if (outcome == OUTCOME_OK)
        outcome = args_number(args, OPTION_LIMIT, all, LOOKS_MAX, &looks);
    if (outcome == OUTCOME_OK && interval_s == 0)
        outcome = outcome_say(OUTCOME_USAGE, "--interval: at least one second");
    if (outcome == OUTCOME_OK)
        outcome = handle_open_to_read(&handle, args->operands[0]);
    if (outcome != OUTCOME_OK)
        return outcome;
    return handle_close(&handle,
                        monitor_run(&handle, (uint32_t)interval_s * 1000, looks));
}
