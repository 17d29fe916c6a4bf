/* dump: a table as JSON Lines; tools/jsonl.h says which line stands for a row. */
#include "tools/commands.h"
#include "tools/handle.h"
#include "tools/interrupt.h"
#include "tools/jsonl.h"
#include "tools/origin.h"
#include "tools/output.h"

#include <stdio.h>

static enum outcome print_rows(struct handle *handle, scn_table_id table,
                               const char *field)
{
    scn_cursor *cursor;
    scn_slice key, value;
    enum outcome outcome = OUTCOME_OK;
    scn_status st = scn_cursor_open(handle->txn, table, &cursor);
    if (st != SCN_OK)
        return handle_fail(handle, st);
    while (!output_is_broken() && !interrupt_seen()) {
        st = scn_next(cursor, &key, &value);
        if (st != SCN_OK)
            break;
        jsonl_print(key, value, field);
    }
    if (interrupt_seen())
        outcome = OUTCOME_INTERRUPTED;
    else if (st < 0)
        outcome = handle_fail(handle, st);
    scn_cursor_close(cursor);
    return outcome;
}

static enum outcome dump(struct handle *handle, const struct args *args)
{
    scn_table_id table;
    struct text origin = {0};
    const char *field = args->options[OPTION_KEY];
    enum outcome outcome = handle_read_table(handle, args->operands[1], &table);
    if (outcome != OUTCOME_OK)
        return outcome;
    if (field == NULL) {
        scn_status st = origin_get(handle->txn, args->operands[1], &origin);
        if (st < 0)
            return handle_fail(handle, st);
        field = st == SCN_OK ? origin.data : NULL;
    }
    outcome = print_rows(handle, table, field);
    text_free(&origin);
    return outcome;
}

enum outcome command_dump(const struct args *args)
{
    struct handle handle;
    interrupt_watch();
    enum outcome outcome = handle_open_to_read(&handle, args->operands[0]);
    if (outcome == OUTCOME_OK)
        outcome = handle_close(&handle, dump(&handle, args));
    return outcome;
}
