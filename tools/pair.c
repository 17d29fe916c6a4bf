/* put, get, del: one key and its value. */
#include "tools/commands.h"
#include "tools/handle.h"
#include "tools/input.h"
#include "tools/jsonl.h"
#include "tools/output.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A longer value is refused, and need not be read to its end for that. */
#define VALUE_BYTES_MAX ((size_t)1 << 30)

/* An argument as bytes: itself, or with --hex what its digits stand for. */
static enum outcome take_bytes(const struct args *args, const char *argument,
                               struct text *out)
{
    if (!args_has(args, OPTION_HEX))
        text_append(out, argument, strlen(argument));
    else if (!text_append_unhex(out, argument, strlen(argument)))
        return outcome_say(OUTCOME_USAGE,
                           "\"%s\" is no even number of hexadecimal digits", argument);
    return OUTCOME_OK;
}

struct row {
    const char *table;
    scn_slice key;
    scn_slice value;
};

static scn_status put_one(scn_txn *txn, void *ctx)
{
    const struct row *row = ctx;
    scn_table_id table;
    scn_status st = scn_table(txn, row->table, SCN_CREATE, &table);
    return st == SCN_OK ? scn_put(txn, table, row->key, row->value, 0) : st;
}

static enum outcome put(const struct args *args, scn_slice key, scn_slice value)
{
    struct handle handle;
    enum outcome outcome = handle_open(&handle, args->operands[0], SCN_NOTHREAD);
    if (outcome != OUTCOME_OK)
        return outcome;
    struct row row = {args->operands[1], key, value};
    scn_status st = handle_update(&handle, put_one, &row);
    if (st != SCN_OK)
        outcome = handle_fail(&handle, st);
    return handle_close(&handle, outcome);
}

/* The value is complete before the file is opened: nobody waits for our input. */
enum outcome command_put(const struct args *args)
{
    struct text key = {0};
    struct text value = {0};
    struct input input = {.fd = -1};
    scn_slice bytes = {0};
    bool is_stdin = strcmp(args->operands[3], "-") == 0;
    enum outcome outcome = take_bytes(args, args->operands[2], &key);
    if (outcome == OUTCOME_OK && is_stdin) {
        outcome = input_open(&input, NULL);
        if (outcome == OUTCOME_OK)
            outcome = input_all(&input, VALUE_BYTES_MAX, &bytes);
    } else if (outcome == OUTCOME_OK) {
        outcome = take_bytes(args, args->operands[3], &value);
        bytes = text_slice(&value);
    }
    if (outcome == OUTCOME_OK)
        outcome = put(args, text_slice(&key), bytes);
    input_close(&input);
    text_free(&key);
    text_free(&value);
    return outcome;
}

/* The bytes and nothing else, so that a file goes in and out unchanged; a person gets
 * a line. */
static void print_value(const struct args *args, scn_slice value)
{
    if (args_has(args, OPTION_HEX))
        text_print_hex(stdout, value);
    else if (value.size)
        fwrite(value.data, 1, value.size, stdout);
    if (args_has(args, OPTION_HEX) || isatty(STDOUT_FILENO))
        putchar('\n');
}

static enum outcome get(struct handle *handle, const struct args *args, scn_slice key)
{
    scn_table_id table;
    scn_slice value;
    enum outcome outcome = handle_read_table(handle, args->operands[1], &table);
    if (outcome != OUTCOME_OK)
        return outcome;
    scn_status st = scn_get(handle->txn, table, key, &value);
    if (st == SCN_NOTFOUND)
        return handle_no_key(handle, args->operands[1], args->operands[2]);
    if (st != SCN_OK)
        return handle_fail(handle, st);
    if (args_has(args, OPTION_JSON))
        output_json(jsonl_row(key, value, false), JSON_COMPACT);
    else
        print_value(args, value);
    return OUTCOME_OK;
}

enum outcome command_get(const struct args *args)
{
    struct handle handle = {0};
    struct text key = {0};
    enum outcome outcome = take_bytes(args, args->operands[2], &key);
    if (outcome == OUTCOME_OK)
        outcome = handle_open_to_read(&handle, args->operands[0]);
    if (outcome == OUTCOME_OK)
        outcome = handle_close(&handle, get(&handle, args, text_slice(&key)));
    text_free(&key);
    return outcome;
}

struct deletion {
    const char *table;
    scn_slice key;
    scn_status absence; /* SCN_NOTFOUND if the table or the key is not there */
};

/* Absence is no failure of the transaction: it is to commit, so that what it saw is
 * checked. */
static scn_status delete_one(scn_txn *txn, void *ctx)
{
    struct deletion *deletion = ctx;
    scn_table_id table;
    scn_status st = scn_table(txn, deletion->table, 0, &table);
    if (st == SCN_OK)
        st = scn_del(txn, table, deletion->key);
    deletion->absence = st == SCN_NOTFOUND ? st : SCN_OK;
    return st == SCN_NOTFOUND ? SCN_OK : st;
}

enum outcome command_del(const struct args *args)
{
    struct handle handle = {0};
    struct text key = {0};
    enum outcome outcome = take_bytes(args, args->operands[2], &key);
    if (outcome == OUTCOME_OK)
        outcome = handle_open(&handle, args->operands[0], SCN_NOCREATE | SCN_NOTHREAD);
    if (outcome == OUTCOME_OK) {
        struct deletion deletion = {args->operands[1], text_slice(&key), SCN_OK};
        scn_status st = handle_update(&handle, delete_one, &deletion);
        if (st != SCN_OK)
            outcome = handle_fail(&handle, st);
        else if (deletion.absence == SCN_NOTFOUND)
            outcome = handle_no_key(&handle, args->operands[1], args->operands[2]);
        outcome = handle_close(&handle, outcome);
    }
    text_free(&key);
    return outcome;
}
