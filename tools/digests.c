/* hash: whether two stores hold the same rows, without comparing them. */
#include "tools/commands.h"
#include "tools/fingerprint.h"
#include "tools/interrupt.h"
#include "tools/member.h"
#include "tools/output.h"

#include <inttypes.h>
#include <string.h>

static json_t *prints_json(const struct fingerprints *prints, bool has_total)
{
    json_t *json = member_must(json_object());
    if (has_total)
        member_set_hex(json, "digest", prints->digest, sizeof prints->digest);
    json_t *tables = member_list(json, "tables");
    for (size_t i = 0; i < prints->count; i++) {
        const struct fingerprint *table = &prints->items[i];
        json_t *item = member_item(tables);
        member_set_text(item, "name", table->name);
        member_set_number(item, "rows", table->rows);
        member_set_hex(item, "digest", table->digest, sizeof table->digest);
    }
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
