/* bench: what a user's own disk makes of it, in a few seconds.
 *
 * The yardstick is measured in the same run, before and after: a loop that writes a block
 * into a file and waits for the disk, which is the least that a durable put can do. */
#include "tools/commands.h"
#include "tools/handle.h"
#include "tools/interrupt.h"
#include "tools/member.h"
#include "tools/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    BLOCK_BYTES = 4096,
    RAW_BLOCKS = 256,
    VALUE_BYTES = 100,
    KEY_ROOM = 32,
    BATCH = 100 /* gets in a transaction */
};
static const double part_s = 0.6;

struct measure {
    char folder[4096];
    char store[4200];
    char raw[4200];
    struct handle handle;
    scn_table_id table;
    uint64_t rows;
    uint64_t seed;
    int fd;
};

struct part {
    const char *name;
    scn_status (*step)(struct measure *measure, uint64_t *count);
    double rate;
};

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* A write that is cut short is a full disk, and then there is no errno. */
static enum outcome raw_failure(const struct measure *measure)
{
    return outcome_say(OUTCOME_IO, "%s: %s", measure->raw,
                       strerror(errno ? errno : ENOSPC));
}

/* ---- one step of each ---- */

static scn_status write_raw(struct measure *measure, uint64_t *count)
{
    static char block[BLOCK_BYTES];
    off_t at = (off_t)(*count % RAW_BLOCKS * BLOCK_BYTES);
    *count += 1;
    errno = 0;
    bool is_done = pwrite(measure->fd, block, sizeof block, at) == sizeof block &&
                   fdatasync(measure->fd) == 0;
    return is_done ? SCN_OK : SCN_IO;
}

static int make_key(char key[KEY_ROOM], uint64_t number)
{
    return snprintf(key, KEY_ROOM, "key-%012llu", (unsigned long long)number);
}

static scn_status put_row(scn_txn *txn, void *ctx)
{
    static const char value[VALUE_BYTES] = "a row as long as a short note";
    struct measure *measure = ctx;
    char key[KEY_ROOM];
    int len = make_key(key, measure->rows++);
    scn_status st = scn_table(txn, "rows", SCN_CREATE, &measure->table);
    return st == SCN_OK ? scn_put(txn, measure->table, (scn_slice){key, (size_t)len},
                                  (scn_slice){value, sizeof value}, 0)
                        : st;
}

static scn_status put_lazily(scn_txn *txn, void *ctx)
{
    scn_status st = scn_set_durability(txn, SCN_SYNC_LAZY);
    return st == SCN_OK ? put_row(txn, ctx) : st;
}

static scn_status put_durable(struct measure *measure, uint64_t *count)
{
    *count += 1;
    return scn_update(measure->handle.db, put_row, measure);
}

static scn_status put_lazy(struct measure *measure, uint64_t *count)
{
    *count += 1;
    return scn_update(measure->handle.db, put_lazily, measure);
}

static scn_status get_rows(struct measure *measure, uint64_t *count)
{
    scn_txn *txn = NULL;
    scn_status st = scn_begin(measure->handle.db, SCN_READ, &txn);
    for (int i = 0; i < BATCH && st == SCN_OK; i++) {
        char key[KEY_ROOM];
        scn_slice value;
        measure->seed = measure->seed * 6364136223846793005u + 1442695040888963407u;
        int len = make_key(key, (measure->seed >> 33) % measure->rows);
        st = scn_get(txn, measure->table, (scn_slice){key, (size_t)len}, &value);
        *count += 1;
    }
    scn_abort(txn);
    return st;
}

static scn_status scan_rows(struct measure *measure, uint64_t *count)
{
    scn_txn *txn = NULL;
    scn_cursor *cursor;
    scn_slice key, value;
    scn_status st = scn_begin(measure->handle.db, SCN_READ, &txn);
    if (st == SCN_OK)
        st = scn_cursor_open(txn, measure->table, &cursor);
    for (; st == SCN_OK; *count += st == SCN_OK)
        st = scn_next(cursor, &key, &value);
    scn_abort(txn);
    return st == SCN_END ? SCN_OK : st;
}

/* ---- all of them ---- */

static enum outcome run_part(struct measure *measure, struct part *part)
{
    double begun = now_s();
    double taken = 0;
    uint64_t count = 0;
    while (taken < part_s) {
        scn_status st = part->step(measure, &count);
        if (st == SCN_IO && part->step == write_raw)
            return raw_failure(measure);
        if (st != SCN_OK)
            return handle_fail(&measure->handle, st);
        if (interrupt_seen())
            return OUTCOME_INTERRUPTED;
        taken = now_s() - begun;
    }
    part->rate = (double)count / taken;
    return OUTCOME_OK;
}

static void print(const struct args *args, const struct part *parts, size_t count)
{
    double raw = (parts[0].rate + parts[2].rate) / 2;
    json_t *json = args_has(args, OPTION_JSON) ? member_must(json_object()) : NULL;
    for (size_t i = 0; i < count; i++) {
        double rate = i == 0 ? raw : parts[i].rate;
        if (i == 2)
            continue;
        if (json == NULL)
            printf("%-24s %12.0f a second %10.2f us each %8.2f x the first\n",
                   parts[i].name, rate, 1e6 / rate, rate / raw);
        else
            member_set(json, parts[i].name,
                       json_pack("{s:f, s:f}", "per_second", rate, "ratio", rate / raw));
    }
    if (json)
        output_json(json, JSON_INDENT(2));
}

static enum outcome run_all(struct measure *measure, const struct args *args)
{
    struct part parts[] = {{"write and fdatasync", write_raw, 0},
                           {"durable puts", put_durable, 0},
                           {"(again)", write_raw, 0},
                           {"lazy puts", put_lazy, 0},
                           {"gets", get_rows, 0},
                           {"rows scanned", scan_rows, 0}};
    enum { PARTS = sizeof parts / sizeof *parts };
    static char zeros[BLOCK_BYTES * RAW_BLOCKS];
    enum outcome outcome = OUTCOME_OK;
    errno = 0;
    measure->fd = open(measure->raw, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (measure->fd < 0 ||
        write(measure->fd, zeros, sizeof zeros) != (ssize_t)sizeof zeros ||
        fsync(measure->fd) != 0)
        return raw_failure(measure);
    outcome = handle_open(&measure->handle, measure->store, 0);
    if (outcome != OUTCOME_OK)
        return outcome;
    for (size_t i = 0; i < PARTS && outcome == OUTCOME_OK; i++)
        outcome = run_part(measure, &parts[i]);
    if (outcome == OUTCOME_OK)
        print(args, parts, PARTS);
    return handle_close(&measure->handle, outcome);
}

enum outcome command_bench(const struct args *args)
{
    static struct measure measure = {.fd = -1};
    const char *where = args->operand_count ? args->operands[0] : ".";
    int len = snprintf(measure.folder, sizeof measure.folder, "%s/scrine-bench-XXXXXX",
                       where);
    interrupt_watch_end();
    if (len >= (int)sizeof measure.folder || mkdtemp(measure.folder) == NULL)
        return outcome_say(OUTCOME_IO, "%s: cannot make a folder there: %s", where,
                           strerror(errno));
    snprintf(measure.store, sizeof measure.store, "%s/store", measure.folder);
    snprintf(measure.raw, sizeof measure.raw, "%s/raw", measure.folder);
    enum outcome outcome = run_all(&measure, args);
    if (measure.fd >= 0)
        close(measure.fd);
    unlink(measure.raw);
    unlink(measure.store);
    if (rmdir(measure.folder) != 0 && outcome == OUTCOME_OK)
        outcome = outcome_say(OUTCOME_IO, "%s: %s", measure.folder, strerror(errno));
    return outcome;
}
