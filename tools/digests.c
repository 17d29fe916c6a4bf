/* hash: whether two stores hold the same rows, without comparing them. */
#include "tools/commands.h"
#include "tools/fingerprint.h"
#include "tools/interrupt.h"
#include "tools/output.h"

#include <inttypes.h>
#include <string.h>

static json_t *prints_json(const struct fingerprints *prints, bool has_total)
{
    char hex[FINGERPRINT_HEX_BYTES];
    json_t *json = json_object();
    json_t *tables = json_array();
    if (json == NULL || tables == NULL)
        outcome_no_memory();
    for (size_t i = 0; i < prints->count; i++) {
        const struct fingerprint *table = &prints->items[i];
        fingerprint_hex(table->digest, hex);
        json_t *item = json_pack("{s:s, s:I, s:s}", "name", table->name, "rows",
                                 (json_int_t)table->rows, "digest", hex);
        if (item == NULL || json_array_append_new(tables, item) < 0)
            outcome_no_memory();
    }
    fingerprint_hex(prints->digest, hex);
    if (has_total && json_object_set_new(json, "digest", json_string(hex)) < 0)
        outcome_no_memory();
    if (json_object_set_new(json, "tables", tables) < 0)
        outcome_no_memory();
    return json;
}

static void print_line(const uint8_t *digest, uint64_t rows, const char *name)
{
    char hex[FINGERPRINT_HEX_BYTES];
    fingerprint_hex(digest, hex);
    printf("%s %12" PRIu64 "  ", hex, rows);
    text_print_escaped(stdout, (scn_slice){name, strlen(name)});
    putchar('\n');
}

static void print_lines(const struct fingerprints *prints, bool has_total)
{
    uint64_t rows = 0;
    for (size_t i = 0; i < prints->count; i++) {
        const struct fingerprint *table = &prints->items[i];
        print_line(table->digest, table->rows, table->name);
        rows += table->rows;
    }
    if (has_total)
        print_line(prints->digest, rows, "(all)");
}

enum outcome command_hash(const struct args *args)
{
    struct handle handle;
    struct fingerprints prints = {0};
    const char *table = args->operand_count > 1 ? args->operands[1] : NULL;
    interrupt_watch();
    enum outcome outcome = handle_open_to_read(&handle, args->operands[0]);
    if (outcome != OUTCOME_OK)
        return outcome;
    outcome = fingerprints_read(&prints, &handle, table);
    if (outcome == OUTCOME_OK && args_has(args, OPTION_JSON))
        output_json(prints_json(&prints, table == NULL), JSON_INDENT(2));
    else if (outcome == OUTCOME_OK)
        print_lines(&prints, table == NULL);
    fingerprints_free(&prints);
    return handle_close(&handle, outcome);
}
