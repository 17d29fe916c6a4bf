/* scan: the rows of a table, in order of their keys. */
#include "tools/commands.h"
#include "tools/handle.h"
#include "tools/interrupt.h"
#include "tools/jsonl.h"
#include "tools/output.h"

#include <stdio.h>
#include <string.h>

/* The keys wanted: from <= key < to.  A bound that is not set is open. */
struct range {
    struct text from;
    struct text to;
    bool has_from;
    bool has_to;
};

static void raise_from(struct range *range, const struct text *bound)
{
    if (range->has_from && text_order(text_slice(bound), text_slice(&range->from)) <= 0)
        return;
    range->has_from = true;
    range->from.size = 0;
    text_append(&range->from, bound->data, bound->size);
}

static void lower_to(struct range *range, const struct text *bound)
{
    if (range->has_to && text_order(text_slice(bound), text_slice(&range->to)) >= 0)
        return;
    range->has_to = true;
    range->to.size = 0;
    text_append(&range->to, bound->data, bound->size);
}

/* The keys with a prefix end before the prefix with its last byte below 255 raised by
 * one and the rest cut. */
static void narrow_to_prefix(struct range *range, struct text *prefix)
{
    raise_from(range, prefix);
    while (prefix->size && (uint8_t)prefix->data[prefix->size - 1] == 0xff)
        prefix->size--;
    if (prefix->size == 0)
        return;
    prefix->data[prefix->size - 1]++;
    lower_to(range, prefix);
}

static enum outcome narrow(const struct args *args, enum option option,
                           struct range *range)
{
    struct text bound = {0};
    const char *argument = args->options[option];
    enum outcome outcome = OUTCOME_OK;
    if (argument == NULL)
        return OUTCOME_OK;
    if (!args_has(args, OPTION_HEX))
        text_append(&bound, argument, strlen(argument));
    else if (!text_append_unhex(&bound, argument, strlen(argument)))
        outcome = outcome_say(OUTCOME_USAGE,
                              "\"%s\" is no even number of hexadecimal digits", argument);
    if (outcome == OUTCOME_OK && option == OPTION_PREFIX)
        narrow_to_prefix(range, &bound);
    else if (outcome == OUTCOME_OK && option == OPTION_FROM)
        raise_from(range, &bound);
    else if (outcome == OUTCOME_OK)
        lower_to(range, &bound);
    text_free(&bound);
    return outcome;
}

static enum outcome range_parse(struct range *range, const struct args *args)
{
    enum outcome outcome = narrow(args, OPTION_PREFIX, range);
    if (outcome == OUTCOME_OK)
        outcome = narrow(args, OPTION_FROM, range);
    if (outcome == OUTCOME_OK)
        outcome = narrow(args, OPTION_TO, range);
    return outcome;
}

static void range_free(struct range *range)
{
    text_free(&range->from);
    text_free(&range->to);
}

static bool range_is_empty(const struct range *range)
{
    return range->has_to &&
           text_order(range->has_from ? text_slice(&range->from) : (scn_slice){0},
                 text_slice(&range->to)) >= 0;
}

static void print_row(const struct args *args, scn_slice key, scn_slice value)
{
    void (*print)(FILE *, scn_slice) =
        args_has(args, OPTION_HEX) ? text_print_hex : text_print_escaped;
    if (args_has(args, OPTION_JSON)) {
        output_json(jsonl_row(key, value, args_has(args, OPTION_KEYS)), JSON_COMPACT);
        return;
    }
    print(stdout, key);
    if (!args_has(args, OPTION_KEYS)) {
        putchar('\t');
        print(stdout, value);
    }
    putchar('\n');
}

static enum outcome walk(struct handle *handle, const struct args *args,
                         scn_cursor *cursor, uint64_t limit)
{
    scn_slice key, value;
    bool is_reverse = args_has(args, OPTION_REVERSE);
    for (uint64_t i = 0; i < limit; i++) {
        scn_status st =
            is_reverse ? scn_prev(cursor, &key, &value) : scn_next(cursor, &key, &value);
        if (st == SCN_END)
            break;
        if (st != SCN_OK)
            return handle_fail(handle, st);
        print_row(args, key, value);
        if (interrupt_seen())
            return OUTCOME_INTERRUPTED;
        if (output_is_broken())
            break;
    }
    return OUTCOME_OK;
}

static enum outcome scan(struct handle *handle, const struct args *args,
                         const struct range *range, uint64_t limit)
{
    scn_table_id table;
    scn_cursor *cursor;
    scn_slice from = text_slice(&range->from);
    scn_slice to = text_slice(&range->to);
    enum outcome outcome = handle_read_table(handle, args->operands[1], &table);
    if (outcome != OUTCOME_OK || range_is_empty(range))
        return outcome;
    scn_status st = scn_cursor_open(handle->txn, table, &cursor);
    if (st != SCN_OK)
        return handle_fail(handle, st);
    st = scn_cursor_bounds(cursor, range->has_from && from.size ? &from : NULL,
                           range->has_to ? &to : NULL);
    outcome = st == SCN_OK ? walk(handle, args, cursor, limit) : handle_fail(handle, st);
    scn_cursor_close(cursor);
    return outcome;
}

enum outcome command_scan(const struct args *args)
{
    struct handle handle;
    struct range range = {0};
    uint64_t limit;
    interrupt_watch();
    enum outcome outcome =
        args_number(args, OPTION_LIMIT, UINT64_MAX, UINT64_MAX, &limit);
    if (outcome == OUTCOME_OK)
        outcome = range_parse(&range, args);
    if (outcome == OUTCOME_OK)
        outcome = handle_open_to_read(&handle, args->operands[0]);
    if (outcome == OUTCOME_OK)
        outcome = handle_close(&handle, scan(&handle, args, &range, limit));
    range_free(&range);
    return outcome;
}
