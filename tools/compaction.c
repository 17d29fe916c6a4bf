/* compact: a shorter file, while others use it. */
#include "tools/commands.h"
#include "tools/handle.h"
#include "tools/output.h"
#include "tools/progress.h"

#include <inttypes.h>

enum { BUDGET_S_MAX = 86400 };

struct compaction {
    uint64_t before;
    uint64_t after;
    bool is_done;
};

static enum outcome file_bytes(struct handle *handle, uint64_t *bytes)
{
    scn_stats_t stats = {.struct_size = sizeof stats};
    scn_status st = scn_stats(handle->db, &stats);
    *bytes = stats.file_bytes;
    return st == SCN_OK ? OUTCOME_OK : handle_fail(handle, st);
}

static void print(const struct args *args, const struct compaction *result)
{
    const char *path = args->operands[0];
    if (args_has(args, OPTION_JSON)) {
        output_json(json_pack("{s:I, s:I, s:b}", "bytes_before",
                              (json_int_t)result->before, "bytes_after",
                              (json_int_t)result->after, "done", result->is_done),
                    JSON_INDENT(2));
        return;
    }
    printf("%s: %" PRIu64 " bytes before, %" PRIu64 " after%s\n", path, result->before,
           result->after,
           result->is_done ? "" : "; the time was over, another call goes on");
}

static enum outcome compact(struct handle *handle, const struct args *args,
                            uint64_t budget_s)
{
    struct progress progress;
    struct compaction result = {.is_done = true};
    scn_compact_options options = {.struct_size = sizeof options};
    options.budget_ms = (uint32_t)(budget_s * 1000);
    options.hooks = progress_hooks(&progress);
    enum outcome outcome = file_bytes(handle, &result.before);
    if (outcome != OUTCOME_OK)
        return outcome;
    scn_status st = scn_compact(handle->db, &options);
    progress_end(&progress);
    if (st < 0)
        return handle_fail(handle, st);
    result.is_done = st == SCN_OK;
    outcome = file_bytes(handle, &result.after);
    if (outcome == OUTCOME_OK)
        print(args, &result);
    return outcome;
}

enum outcome command_compact(const struct args *args)
{
    struct handle handle;
    uint64_t budget_s;
    enum outcome outcome = args_number(args, OPTION_BUDGET, 0, BUDGET_S_MAX, &budget_s);
    if (outcome == OUTCOME_OK)
        outcome = handle_open(&handle, args->operands[0], SCN_NOCREATE);
    if (outcome != OUTCOME_OK)
        return outcome;
    return handle_close(&handle, compact(&handle, args, budget_s));
}
