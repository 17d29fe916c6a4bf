/* load: JSON Lines into a table, a batch of lines a transaction.
 *
 * A batch is parsed and complete before its transaction begins, so a bad line, a
 * broken pipe or ^C leaves exactly the batches before it, and the message tells up to
 * which line they reach: loading can go on from there. Rows are put blind: whoever
 * loads the same line twice, or next to somebody else, means the last one to win. */
#include "tools/commands.h"
#include "tools/handle.h"
#include "tools/input.h"
#include "tools/interrupt.h"
#include "tools/jsonl.h"
#include "tools/origin.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
    BATCH_LINES = 1000,
    BATCH_LINES_MAX = 1000000,
    /* So much is held in memory at most, one long line aside. */
    BATCH_BYTES = 16 << 20,
    PROGRESS_MS = 100
};

struct batch_row {
    size_t key_start, key_size;
    size_t value_start, value_size;
    uint64_t line_no;
};

struct batch {
    struct text keys;
    struct text values;
    struct batch_row *rows;
    size_t count;
    size_t capacity;
};

struct load {
    const char *table;
    const char *field;
    struct handle handle;
    struct input input;
    struct batch batch;
    uint64_t batch_lines;
    bool skips_bad;
    scn_table_id table_id;
    size_t refused_row; /* the row that the library did not take */
    uint64_t stored_count;
    uint64_t stored_line; /* all lines up to this one are done with */
    uint64_t skipped_count;
    bool shows_progress;
    int64_t progress_ms; /* when it was shown last */
};

/* ---- batch ---- */

static void batch_clear(struct batch *batch)
{
    batch->keys.size = 0;
    batch->values.size = 0;
    batch->count = 0;
}

static void batch_free(struct batch *batch)
{
    text_free(&batch->keys);
    text_free(&batch->values);
    free(batch->rows);
}

static struct batch_row *batch_row(struct batch *batch)
{
    if (batch->count == batch->capacity) {
        batch->capacity = batch->capacity ? batch->capacity * 2 : BATCH_LINES;
        batch->rows = realloc(batch->rows, batch->capacity * sizeof *batch->rows);
        if (batch->rows == NULL)
            outcome_no_memory();
    }
    return &batch->rows[batch->count];
}

static void batch_drop(struct batch *batch, size_t idx)
{
    batch->count--;
    for (size_t i = idx; i < batch->count; i++)
        batch->rows[i] = batch->rows[i + 1];
}

/* ---- what the user sees ---- */

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void show_progress(struct load *load)
{
    if (!load->shows_progress || now_ms() - load->progress_ms < PROGRESS_MS)
        return;
    load->progress_ms = now_ms();
    fprintf(stderr, "\r%llu rows", (unsigned long long)load->stored_count);
}

static void end_progress(struct load *load)
{
    if (load->progress_ms)
        fputs("\r\033[K", stderr);
    load->progress_ms = 0;
}

/* OUTCOME_OK: skipped, go on. */
static enum outcome bad_line(struct load *load, uint64_t line_no, const char *why)
{
    end_progress(load);
    if (load->skips_bad) {
        outcome_say(OUTCOME_FINDINGS, "%s: line %llu skipped: %s", load->input.name,
                    (unsigned long long)line_no, why);
        load->skipped_count++;
        return OUTCOME_OK;
    }
    return outcome_say(OUTCOME_FINDINGS, "%s: line %llu: %s (stored up to line %llu)",
                       load->input.name, (unsigned long long)line_no, why,
                       (unsigned long long)load->stored_line);
}

static enum outcome interrupted(struct load *load)
{
    end_progress(load);
    return outcome_say(OUTCOME_INTERRUPTED, "interrupted; %s is stored up to line %llu",
                       load->input.name, (unsigned long long)load->stored_line);
}

static enum outcome summary(struct load *load)
{
    end_progress(load);
    printf("%llu rows stored", (unsigned long long)load->stored_count);
    if (load->skipped_count)
        printf(", %llu lines skipped", (unsigned long long)load->skipped_count);
    putchar('\n');
    return load->skipped_count ? OUTCOME_FINDINGS : OUTCOME_OK;
}

/* ---- storing ---- */

static scn_status make_table(scn_txn *txn, void *ctx)
{
    struct load *load = ctx;
    scn_status st = scn_table(txn, load->table, SCN_CREATE, &load->table_id);
    if (st == SCN_OK && load->field)
        st = origin_set(txn, load->table, load->field);
    return st;
}

static scn_status put_rows(scn_txn *txn, void *ctx)
{
    struct load *load = ctx;
    const struct batch *batch = &load->batch;
    scn_status st = SCN_OK;
    for (size_t i = 0; i < batch->count && st == SCN_OK; i++) {
        const struct batch_row *row = &batch->rows[i];
        scn_slice key = {batch->keys.data + row->key_start, row->key_size};
        scn_slice value = {batch->values.data + row->value_start, row->value_size};
        st = scn_put(txn, load->table_id, key, value, SCN_PUT_BLIND);
        load->refused_row = i;
    }
    return st;
}

/* A key or value beyond the limits is only noticed here; without it the batch is tried
 * anew. */
static enum outcome store_batch(struct load *load)
{
    scn_status st = SCN_OK;
    while (load->batch.count) {
        st = scn_update(load->handle.db, put_rows, load);
        if (st != SCN_TOOBIG)
            break;
        scn_error error = {.struct_size = sizeof error};
        scn_last_error(load->handle.db, &error);
        enum outcome outcome =
            bad_line(load, load->batch.rows[load->refused_row].line_no, error.text);
        if (outcome != OUTCOME_OK)
            return outcome;
        batch_drop(&load->batch, load->refused_row);
    }
    if (st != SCN_OK) {
        end_progress(load);
        return handle_fail(&load->handle, st);
    }
    load->stored_count += load->batch.count;
    load->stored_line = load->input.line_no;
    batch_clear(&load->batch);
    show_progress(load);
    return interrupt_seen() ? interrupted(load) : OUTCOME_OK;
}

/* ---- reading ---- */

static bool is_blank(scn_slice line)
{
    const char *data = line.data;
    size_t i = 0;
    while (i < line.size && (data[i] == ' ' || data[i] == '\t' || data[i] == '\r'))
        i++;
    return i == line.size;
}

static enum outcome take_line(struct load *load, scn_slice line)
{
    struct batch *batch = &load->batch;
    struct batch_row *row = batch_row(batch);
    struct jsonl_problem problem;
    *row = (struct batch_row){.key_start = batch->keys.size,
                              .value_start = batch->values.size,
                              .line_no = load->input.line_no};
    if (is_blank(line))
        return OUTCOME_OK;
    if (!jsonl_parse(line, load->field, &batch->keys, &batch->values, &problem))
        return bad_line(load, row->line_no, problem.text);
    row->key_size = batch->keys.size - row->key_start;
    row->value_size = batch->values.size - row->value_start;
    batch->count++;
    bool is_full = batch->count >= load->batch_lines ||
                   batch->keys.size + batch->values.size >= BATCH_BYTES;
    return is_full ? store_batch(load) : OUTCOME_OK;
}

static enum outcome take_lines(struct load *load)
{
    scn_slice line;
    enum input_result result;
    while ((result = input_line(&load->input, &line)) == INPUT_LINE) {
        enum outcome outcome = take_line(load, line);
        if (outcome != OUTCOME_OK)
            return outcome;
    }
    if (result == INPUT_INTERRUPTED)
        return interrupted(load);
    if (result == INPUT_FAILED)
        return OUTCOME_IO;
    enum outcome outcome = store_batch(load);
    return outcome == OUTCOME_OK ? summary(load) : outcome;
}

static enum outcome load_into(struct load *load, const char *path)
{
    enum outcome outcome = handle_open(&load->handle, path, 0);
    if (outcome != OUTCOME_OK)
        return outcome;
    scn_status st = scn_update(load->handle.db, make_table, load);
    outcome = st == SCN_OK ? take_lines(load) : handle_fail(&load->handle, st);
    return handle_close(&load->handle, outcome);
}

enum outcome command_load(const struct args *args)
{
    struct load load = {.table = args->operands[1],
                        .field = args->options[OPTION_KEY],
                        .skips_bad = args_has(args, OPTION_SKIP_BAD),
                        .shows_progress = isatty(STDERR_FILENO)};
    enum outcome outcome =
        args_number(args, OPTION_BATCH, BATCH_LINES, BATCH_LINES_MAX, &load.batch_lines);
    if (outcome == OUTCOME_OK && load.batch_lines == 0)
        outcome = outcome_say(OUTCOME_USAGE, "--batch: a batch has at least one line");
    if (outcome != OUTCOME_OK)
        return outcome;
    interrupt_watch();
    outcome = input_open(&load.input, args->operands[2]);
    if (outcome == OUTCOME_OK) {
        outcome = load_into(&load, args->operands[0]);
        input_close(&load.input);
    }
    batch_free(&load.batch);
    return outcome;
}
