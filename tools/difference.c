/* diff: the tables and rows in which two stores differ, which is all that the digests of
 * hash differ by.
 *
 * Both are read in one snapshot each, table by table, side by side in the order of the
 * keys: nothing is kept but one row of each. */
#include "tools/commands.h"
#include "tools/handle.h"
#include "tools/interrupt.h"
#include "tools/member.h"
#include "tools/output.h"

#include <stdlib.h>
#include <string.h>

struct side {
    struct handle handle;
    scn_cursor *cursor; /* NULL: this store has no such table */
    uint32_t flags;     /* of the table */
    scn_slice key;
    scn_slice value;
    scn_status st; /* SCN_OK: on a row; SCN_END */
};

struct names {
    char **items;
    size_t count;
};

struct difference {
    const struct args *args;
    struct side sides[2];
    bool has_table; /* one of them */
    bool has_any;
};

/* ---- which tables ---- */

struct listing {
    struct names *names;
    bool takes_all;
};

static scn_status add_name(void *ctx, const char *name, scn_table_id id)
{
    struct listing *listing = ctx;
    struct names *names = listing->names;
    (void)id;
    if (name[0] == '~' && !listing->takes_all)
        return SCN_OK;
    names->items = realloc(names->items, (names->count + 1) * sizeof *names->items);
    char *copy = names->items ? strdup(name) : NULL;
    if (copy == NULL)
        outcome_no_memory();
    names->items[names->count++] = copy;
    return SCN_OK;
}

static int by_name(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

static enum outcome list_names(struct difference *difference, struct names *names)
{
    struct listing listing = {names, args_has(difference->args, OPTION_ALL)};
    for (int i = 0; i < 2; i++) {
        struct handle *handle = &difference->sides[i].handle;
        scn_status st = scn_table_each(handle->txn, add_name, &listing);
        if (st != SCN_OK)
            return handle_fail(handle, st);
    }
    if (names->count)
        qsort(names->items, names->count, sizeof *names->items, by_name);
    return OUTCOME_OK;
}

static void names_free(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->items[i]);
    free(names->items);
}

/* ---- rows ---- */

static enum outcome side_next(struct side *side)
{
    if (side->cursor == NULL || side->st == SCN_END)
        return OUTCOME_OK;
    side->st = scn_next(side->cursor, &side->key, &side->value);
    if (side->st == SCN_OK || side->st == SCN_END)
        return OUTCOME_OK;
    return handle_fail(&side->handle, side->st);
}

/* On its first row, if it has the table. */
static enum outcome side_begin(struct side *side, const char *name)
{
    scn_table_id table;
    scn_table_stat stat = {.struct_size = sizeof stat};
    side->cursor = NULL;
    side->st = scn_table(side->handle.txn, name, 0, &table);
    if (side->st == SCN_NOTFOUND) {
        side->st = SCN_END;
        return OUTCOME_OK;
    }
    if (side->st == SCN_OK)
        side->st = scn_table_info(side->handle.txn, table, &stat);
    side->flags = stat.flags;
    if (side->st == SCN_OK)
        side->st = scn_cursor_open(side->handle.txn, table, &side->cursor);
    return side->st == SCN_OK ? side_next(side) : handle_fail(&side->handle, side->st);
}

static void side_end(struct side *side)
{
    if (side->cursor)
        scn_cursor_close(side->cursor);
    side->cursor = NULL;
}

/* Below 0: the first side's row comes first, or the second side has ended. */
static int order(const struct side *sides)
{
    if (sides[0].st == SCN_END || sides[1].st == SCN_END)
        return (sides[0].st == SCN_END) - (sides[1].st == SCN_END);
    return text_order(sides[0].key, sides[1].key);
}

/* key NULL: the table itself. */
static void print_json(const char *table, char sign, const scn_slice *key)
{
    const char *what = sign == '-' ? "first" : sign == '+' ? "second" : "both";
    json_t *json = member_must(json_object());
    member_set_bytes(json, "table", (scn_slice){table, strlen(table)});
    if (key)
        member_set_bytes(json, "key", *key);
    member_set(json, "in", json_string(what));
    output_json(json, JSON_COMPACT);
}

static void print(struct difference *difference, const char *table, char sign,
                  const scn_slice *key)
{
    difference->has_any = true;
    if (args_has(difference->args, OPTION_JSON)) {
        print_json(table, sign, key);
        return;
    }
    putchar(sign);
    putchar(' ');
    text_print_escaped(stdout, (scn_slice){table, strlen(table)});
    if (key) {
        putchar('\t');
        text_print_escaped(stdout, *key);
    }
    putchar('\n');
}

static void compare_heads(struct difference *difference, const char *table)
{
    const struct side *sides = difference->sides;
    if (sides[0].cursor && sides[1].cursor == NULL)
        print(difference, table, '-', NULL);
    else if (sides[1].cursor && sides[0].cursor == NULL)
        print(difference, table, '+', NULL);
    else if (sides[0].cursor && sides[0].flags != sides[1].flags)
        print(difference, table, '!', NULL);
}

static void compare_rows(struct difference *difference, const char *table, int which)
{
    const struct side *sides = difference->sides;
    if (which < 0)
        print(difference, table, '-', &sides[0].key);
    else if (which > 0)
        print(difference, table, '+', &sides[1].key);
    else if (!text_equal(sides[0].value, sides[1].value))
        print(difference, table, '!', &sides[0].key);
}

static enum outcome walk(struct difference *difference, const char *table)
{
    struct side *sides = difference->sides;
    enum outcome outcome = OUTCOME_OK;
    while (outcome == OUTCOME_OK &&
           (sides[0].st == SCN_OK || sides[1].st == SCN_OK)) {
        int which = order(sides);
        compare_rows(difference, table, which);
        if (which <= 0)
            outcome = side_next(&sides[0]);
        if (which >= 0 && outcome == OUTCOME_OK)
            outcome = side_next(&sides[1]);
        if (outcome == OUTCOME_OK && interrupt_seen())
            outcome = OUTCOME_INTERRUPTED;
        if (output_is_broken())
            break;
    }
    return outcome;
}

static enum outcome compare_table(struct difference *difference, const char *table)
{
    struct side *sides = difference->sides;
    enum outcome outcome = side_begin(&sides[0], table);
    if (outcome == OUTCOME_OK)
        outcome = side_begin(&sides[1], table);
    difference->has_table |= sides[0].cursor || sides[1].cursor;
    if (outcome == OUTCOME_OK) {
        compare_heads(difference, table);
        outcome = walk(difference, table);
    }
    side_end(&sides[0]);
    side_end(&sides[1]);
    return outcome;
}

/* ---- all of it ---- */

static enum outcome compare_all(struct difference *difference)
{
    struct names names = {0};
    enum outcome outcome = list_names(difference, &names);
    for (size_t i = 0;
         i < names.count && outcome == OUTCOME_OK && !output_is_broken(); i++)
        if (i == 0 || strcmp(names.items[i], names.items[i - 1]) != 0)
            outcome = compare_table(difference, names.items[i]);
    names_free(&names);
    return outcome;
}

/* The one that was asked for: where neither store has it, that is no agreement. */
static enum outcome compare_named(struct difference *difference, const char *table)
{
    enum outcome outcome = compare_table(difference, table);
    if (outcome != OUTCOME_OK || difference->has_table)
        return outcome;
    return outcome_say(OUTCOME_FINDINGS, "there is no table \"%s\" in either store",
                       table);
}

static enum outcome compare(struct difference *difference)
{
    const struct args *args = difference->args;
    enum outcome outcome = handle_read(&difference->sides[0].handle);
    if (outcome == OUTCOME_OK)
        outcome = handle_read(&difference->sides[1].handle);
    if (outcome == OUTCOME_OK)
        outcome = args->operand_count > 2 ? compare_named(difference, args->operands[2])
                                          : compare_all(difference);
    return outcome == OUTCOME_OK && difference->has_any ? OUTCOME_FINDINGS : outcome;
}

enum outcome command_diff(const struct args *args)
{
    struct difference difference = {.args = args};
    struct handle *first = &difference.sides[0].handle;
    struct handle *second = &difference.sides[1].handle;
    interrupt_watch();
    enum outcome outcome = handle_open_to_read(first, args->operands[0]);
    if (outcome != OUTCOME_OK)
        return outcome;
    outcome = handle_open_to_read(second, args->operands[1]);
    if (outcome == OUTCOME_OK)
        outcome = handle_close(second, compare(&difference));
    return handle_close(first, outcome);
}
