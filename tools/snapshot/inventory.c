/* verify and list: what snapshots are, and whether they are whole. */
#include "tools/handle.h"
#include "tools/interrupt.h"
#include "tools/member.h"
#include "tools/output.h"
#include "tools/snapshot/card.h"
#include "tools/snapshot/facts.h"
#include "tools/snapshot/program.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- what is printed ---- */

/* With --json one array, when all have been seen. */
struct report {
    const struct args *args;
    json_t *array;
};

static void report_begin(struct report *report, const struct args *args)
{
    *report = (struct report){.args = args};
    if (args_has(args, OPTION_JSON))
        report->array = member_must(json_array());
}

static void report_add(struct report *report, const char *path, const struct facts *facts)
{
    const char *name = facts_name(path);
    if (report->array) {
        member_append(report->array, card_json(name, &facts->info, facts->tables));
        return;
    }
    card_print(stdout, name, &facts->info);
    json_decref(facts->tables);
}

static enum outcome report_end(struct report *report, enum outcome outcome)
{
    if (report->array)
        output_json(report->array, JSON_INDENT(2));
    return outcome;
}

/* The worst of all that were met; what is damaged is worse than what is not there. */
static enum outcome worse(enum outcome a, enum outcome b)
{
    static const enum outcome order[] = {OUTCOME_OK,      OUTCOME_FINDINGS,
                                         OUTCOME_USAGE,   OUTCOME_BUSY,
                                         OUTCOME_FOREIGN, OUTCOME_IO,
                                         OUTCOME_CORRUPT, OUTCOME_INTERRUPTED};
    enum outcome found = a;
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++)
        if (order[i] == a || order[i] == b)
            found = order[i];
    return found;
}

/* ---- verify ---- */

struct verification {
    struct handle handle;
    enum outcome found; /* by the check */
};

static scn_status say_issue(void *ctx, const scn_issue *issue)
{
    struct verification *verification = ctx;
    enum outcome outcome = outcome_of_issue(issue);
    outcome_say(outcome, "%s: %s", verification->handle.path, issue->text);
    verification->found = worse(verification->found, outcome);
    return interrupt_seen() ? SCN_INTERRUPTED : SCN_OK;
}

static enum outcome verify_store(struct facts *facts, const char *path)
{
    struct verification verification = {.found = OUTCOME_OK};
    struct handle *handle = &verification.handle;
    enum outcome outcome = handle_open_to_read(handle, path);
    if (outcome != OUTCOME_OK)
        return outcome;
    scn_status st = handle_check(handle, say_issue, &verification, NULL);
    if (st < 0)
        outcome = handle_fail(handle, st);
    else if (verification.found == OUTCOME_CORRUPT)
        outcome = OUTCOME_CORRUPT;
    if (outcome == OUTCOME_OK)
        outcome = facts_of_store(facts, handle, true, false);
    if (outcome == OUTCOME_OK)
        outcome = facts_compare(facts, handle);
    return handle_close(handle, worse(outcome, verification.found));
}

static enum outcome verify_file(struct report *report, const char *path)
{
    struct facts facts;
    enum outcome outcome = facts_read(&facts, path, false, false);
    if (outcome == OUTCOME_OK && facts.info.kind == SCN_SNAPSHOT_FULL)
        outcome = verify_store(&facts, path);
    if (outcome == OUTCOME_OK)
        report_add(report, path, &facts);
    else
        json_decref(facts.tables);
    return outcome;
}

enum outcome snapshot_verify(const struct args *args)
{
    struct report report;
    enum outcome outcome = OUTCOME_OK;
    interrupt_watch();
    report_begin(&report, args);
    for (int i = 0; i < args->operand_count && !interrupt_seen(); i++)
        outcome = worse(outcome, verify_file(&report, args->operands[i]));
    return report_end(&report, interrupt_seen() ? OUTCOME_INTERRUPTED : outcome);
}

/* ---- list ---- */

static enum outcome list_file(struct report *report, const char *path, bool is_found)
{
    struct facts facts;
    enum outcome outcome = facts_read(&facts, path, report->array != NULL, is_found);
    if (outcome == OUTCOME_OK)
        report_add(report, path, &facts);
    else
        json_decref(facts.tables);
    bool is_neither = outcome == OUTCOME_FOREIGN || outcome == OUTCOME_FINDINGS;
    return is_found && is_neither ? OUTCOME_OK : outcome;
}

static enum outcome list_entry(struct report *report, const char *folder,
                               const char *name)
{
    char path[4096];
    struct stat found;
    int len = snprintf(path, sizeof path, "%s/%s", folder, name);
    if (len < 0 || (size_t)len >= sizeof path || stat(path, &found) < 0 ||
        !S_ISREG(found.st_mode))
        return OUTCOME_OK;
    return list_file(report, path, true);
}

static enum outcome list_folder(struct report *report, const char *folder)
{
    struct dirent **entries;
    enum outcome outcome = OUTCOME_OK;
    int count = scandir(folder, &entries, NULL, alphasort);
    if (count < 0)
        return outcome_say(OUTCOME_IO, "%s: %s", folder, strerror(errno));
    for (int i = 0; i < count; i++) {
        if (!interrupt_seen())
            outcome = worse(outcome, list_entry(report, folder, entries[i]->d_name));
        free(entries[i]);
    }
    free(entries);
    return outcome;
}

static enum outcome list_operand(struct report *report, const char *path)
{
    struct stat found;
    bool is_folder = stat(path, &found) == 0 && S_ISDIR(found.st_mode);
    return is_folder ? list_folder(report, path) : list_file(report, path, false);
}

enum outcome snapshot_list(const struct args *args)
{
    struct report report;
    enum outcome outcome = OUTCOME_OK;
    interrupt_watch();
    report_begin(&report, args);
    for (int i = 0; i < args->operand_count && !interrupt_seen(); i++)
        outcome = worse(outcome, list_operand(&report, args->operands[i]));
    return report_end(&report, interrupt_seen() ? OUTCOME_INTERRUPTED : outcome);
}
