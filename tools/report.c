/* tables, stat, check, checkpoint, migrate: what is to be said about a whole file. */
#include "tools/commands.h"
#include "tools/exposition.h"
#include "tools/handle.h"
#include "tools/member.h"
#include "tools/output.h"
#include "tools/summary.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- tables ---- */

static void print_name(const struct summary_table *table)
{
    text_print_escaped(stdout, (scn_slice){table->name, strlen(table->name)});
}

static json_t *table_json(const struct summary_table *table)
{
    const scn_table_stat *stat = &table->stat;
    json_t *json = member_must(json_object());
    member_set_text(json, "name", table->name);
    member_set_number(json, "id", table->id);
    member_set_number(json, "rows", stat->count);
    member_set_number(json, "key_bytes", stat->key_bytes);
    member_set_number(json, "value_bytes", stat->value_bytes);
    member_set_number(json, "stored_bytes", stat->stored_bytes);
    return json;
}

static json_t *tables_json(const struct summary_tables *list)
{
    json_t *array = member_must(json_array());
    for (size_t i = 0; i < list->count; i++)
        member_append(array, table_json(&list->items[i]));
    return array;
}

enum outcome command_tables(const struct args *args)
{
    struct handle handle;
    struct summary_tables list = {.takes_all = args_has(args, OPTION_ALL)};
    enum outcome outcome = handle_open_to_read(&handle, args->operands[0]);
    if (outcome != OUTCOME_OK)
        return outcome;
    outcome = summary_list_tables(&handle, &list);
    if (outcome == OUTCOME_OK && args_has(args, OPTION_JSON))
        output_json(tables_json(&list), JSON_INDENT(2));
    for (size_t i = 0;
         outcome == OUTCOME_OK && !args_has(args, OPTION_JSON) && i < list.count; i++) {
        print_name(&list.items[i]);
        putchar('\n');
    }
    summary_free_tables(&list);
    return handle_close(&handle, outcome);
}

/* ---- stat ---- */

static void print_summary_json(const char *path, const struct summary *summary)
{
    const scn_stats_t *stats = &summary->stats;
    json_t *json = member_must(json_object());
    member_set_file(json, path);
    member_set_number(json, "file_bytes", stats->file_bytes);
    member_set_number(json, "page_bytes", stats->page_bytes);
    member_set(json, "healthy", json_boolean(summary->health.healthy));
    member_set_text(json, "reason", summary->health.reason);
    member_set_number(json, "checkpoint", stats->gen);
    member_set_number(json, "log_bytes", stats->log_bytes);
    if (summary->is_fresh)
        member_set_number(json, "log_records", stats->recovered_records);
    member_set(json, "torn_tail", json_boolean(stats->torn_tail));
    member_set(json, "tables", tables_json(&summary->tables));
    output_json(json, JSON_INDENT(2));
}

static void print_summary(const char *path, const struct summary *summary)
{
    const scn_stats_t *stats = &summary->stats;
    printf("file        %s\n", path);
    printf("size        %" PRIu64 " bytes, pages of %" PRIu32 "\n", stats->file_bytes,
           stats->page_bytes);
    printf("healthy     %s%s\n",
           summary->health.healthy ? "yes" : "no: ", summary->health.reason);
    printf("checkpoint  number %" PRIu64 "; the log behind it has ", stats->gen);
    if (summary->is_fresh)
        printf("%" PRIu64 " records, ", stats->recovered_records);
    printf("%" PRIu64 " bytes%s\n", stats->log_bytes,
           stats->torn_tail ? ", and a torn end that was never acknowledged" : "");
    printf("tables      %zu\n", summary->tables.count);
    if (summary->tables.count)
        printf("\n%12s %14s %14s %14s  %s\n", "rows", "key bytes", "value bytes",
               "tree bytes", "table");
    for (size_t i = 0; i < summary->tables.count; i++) {
        const struct summary_table *table = &summary->tables.items[i];
        printf("%12" PRIu64 " %14" PRIu64 " %14" PRIu64 " %14" PRIu64 "  ",
               table->stat.count, table->stat.key_bytes, table->stat.value_bytes,
               table->stat.stored_bytes);
        print_name(table);
        putchar('\n');
    }
    if (summary->tables.count)
        puts("\nBytes are as of the checkpoint.  Tree bytes are the pages of a table's "
             "tree: longer values\nlie in other pages, which they do not count.");
}

enum outcome command_stat(const struct args *args)
{
    struct handle handle;
    struct summary summary;
    enum outcome outcome = handle_open_to_read(&handle, args->operands[0]);
    if (outcome != OUTCOME_OK)
        return outcome;
    outcome = summary_read(&handle, &summary);
    if (outcome == OUTCOME_OK && args_has(args, OPTION_JSON))
        print_summary_json(args->operands[0], &summary);
    else if (outcome == OUTCOME_OK && args_has(args, OPTION_PROM))
        exposition_print(stdout, args->operands[0], &summary);
    else if (outcome == OUTCOME_OK)
        print_summary(args->operands[0], &summary);
    summary_free_tables(&summary.tables);
    return handle_close(&handle, outcome);
}

/* ---- check ---- */

struct findings {
    json_t *issues;       /* NULL: printed as they come */
    enum outcome outcome; /* the worst so far */
};

static scn_status take_issue(void *ctx, const scn_issue *issue)
{
    struct findings *findings = ctx;
    enum outcome outcome = outcome_of_issue(issue);
    if (outcome > findings->outcome)
        findings->outcome = outcome;
    if (findings->issues == NULL) {
        printf("page %" PRIu64 ", offset %" PRIu64 ": %s\n", issue->page, issue->offset,
               issue->text);
        return SCN_OK;
    }
    json_t *json = member_item(findings->issues);
    member_set_number(json, "kind", issue->kind);
    member_set_number(json, "page", issue->page);
    member_set_number(json, "offset", issue->offset);
    member_set(json, "harmless", json_boolean(outcome == OUTCOME_FINDINGS));
    member_set_text(json, "text", issue->text);
    return SCN_OK;
}

static void print_verdict_json(const char *path, const struct findings *findings)
{
    json_t *json = member_must(json_object());
    member_set_file(json, path);
    member_set(json, "clean", json_boolean(findings->outcome == OUTCOME_OK));
    member_set(json, "issues", findings->issues);
    output_json(json, JSON_INDENT(2));
}

static void print_verdict(const char *path, const struct findings *findings,
                          uint64_t count)
{
    if (count == 0)
        printf("%s: clean\n", path);
    else
        printf("%s: %" PRIu64 " findings, %s\n", path, count,
               findings->outcome == OUTCOME_CORRUPT
                   ? "the file is damaged"
                   : "which the next checkpoint puts right");
}

static enum outcome check(struct handle *handle, struct findings *findings)
{
    uint64_t count = 0;
    scn_status st = handle_check(handle, take_issue, findings, &count);
    if (st != SCN_OK)
        return handle_fail(handle, st);
    if (findings->issues)
        print_verdict_json(handle->path, findings);
    else
        print_verdict(handle->path, findings, count);
    return findings->outcome;
}

enum outcome command_check(const struct args *args)
{
    struct handle handle;
    struct findings findings = {NULL, OUTCOME_OK};
    enum outcome outcome = handle_open_to_read(&handle, args->operands[0]);
    if (outcome != OUTCOME_OK)
        return outcome;
    if (args_has(args, OPTION_JSON))
        findings.issues = member_must(json_array());
    return handle_close(&handle, check(&handle, &findings));
}

/* ---- checkpoint ---- */

enum outcome command_checkpoint(const struct args *args)
{
    struct handle handle;
    enum outcome outcome =
        handle_open(&handle, args->operands[0], SCN_NOCREATE | SCN_NOTHREAD);
    if (outcome != OUTCOME_OK)
        return outcome;
    scn_status st = scn_checkpoint(handle.db);
    return handle_close(&handle, st == SCN_OK ? OUTCOME_OK : handle_fail(&handle, st));
}

/* ---- migrate ---- */

/* Whoever opens a file knows its format; docs/format.md says what the next one will
 * mean. */
enum outcome command_migrate(const struct args *args)
{
    struct handle handle;
    enum outcome outcome = handle_open_to_read(&handle, args->operands[0]);
    if (outcome != OUTCOME_OK)
        return outcome;
    printf("%s: of the current format; there is nothing to do\n", args->operands[0]);
    return handle_close(&handle, OUTCOME_OK);
}
