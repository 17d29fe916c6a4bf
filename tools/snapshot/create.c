/* create: a snapshot of a store in use. */
#include "tools/handle.h"
#include "tools/interrupt.h"
#include "tools/output.h"
#include "tools/snapshot/card.h"
#include "tools/snapshot/facts.h"
#include "tools/snapshot/program.h"
#include "tools/progress.h"
#include "tools/target.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A generation, or the file of a snapshot. */
static enum outcome take_since(const char *text, scn_snapshot_options *options)
{
    struct facts facts;
    char *end;
    if (text == NULL)
        return OUTCOME_OK;
    options->since_gen = strtoull(text, &end, 10);
    if (text[0] >= '1' && text[0] <= '9' && *end == '\0')
        return OUTCOME_OK;
    enum outcome outcome = facts_read(&facts, text, false, false);
    if (outcome != OUTCOME_OK)
        return outcome;
    options->since_gen = facts.info.gen;
    memcpy(options->since_id, facts.info.id, sizeof options->since_id);
    return OUTCOME_OK;
}

/* Where the file can only be read the snapshot is not noted: it is complete all the
 * same, or else it is said so. */
static enum outcome open_source(struct handle *handle, const char *path)
{
    if (access(path, W_OK) != 0)
        return handle_open_to_read_with(handle, path, SCN_NOTHREAD, HANDLE_POOL_ONCE);
    return handle_open_with(handle, path, SCN_NOCREATE | SCN_NOTHREAD, HANDLE_POOL_ONCE);
}

static enum outcome write_to(struct handle *handle, const struct target *target,
                             scn_snapshot_options *options, scn_snapshot_info *info)
{
    struct progress progress;
    options->hooks = progress_hooks(&progress);
    scn_status st = scn_snapshot_to(handle->db, target->fd, options, info);
    progress_end(&progress);
    if (st == SCN_OK)
        return OUTCOME_OK;
    enum outcome outcome = handle_fail(handle, st);
    return st == SCN_NOTFOUND ? OUTCOME_USAGE : outcome;
}

static void tell(const struct args *args, const char *path, const scn_snapshot_info *info)
{
    bool to_stdout = strcmp(path, "-") == 0;
    if (args_has(args, OPTION_JSON) && !to_stdout)
        output_json(card_json(path, info, NULL), JSON_INDENT(2));
    else
        card_print(to_stdout ? stderr : stdout, path, info);
    if (!info->is_noted)
        fputs("scrine-snapshot: it could not be noted, so no increment can be based on "
              "it\n", stderr);
}

enum outcome snapshot_create(const struct args *args)
{
    const char *source = args->operands[0];
    const char *path = args->operands[1];
    const char *since = args->options[OPTION_SINCE];
    const char *kept[] = {source, since ? since : source};
    struct handle handle;
    struct target target;
    scn_snapshot_options options = {.struct_size = sizeof options};
    scn_snapshot_info info = {.struct_size = sizeof info};
    interrupt_watch();
    enum outcome outcome = args_bytes(args, OPTION_RATE, &options.rate_bytes_per_s);
    if (outcome == OUTCOME_OK)
        outcome = take_since(since, &options);
    if (outcome == OUTCOME_OK)
        outcome = open_source(&handle, source);
    if (outcome != OUTCOME_OK)
        return outcome;
    outcome = target_open(&target, path, args_has(args, OPTION_FORCE), kept, 2);
    if (outcome == OUTCOME_OK)
        outcome = target_close(&target, write_to(&handle, &target, &options, &info));
    if (outcome == OUTCOME_OK)
        tell(args, path, &info);
    return handle_close(&handle, outcome);
}
