/* page, recover: what can be had of a file that does not open.  What scrine-walcheck
 * does, under the names that are looked for here. */
#include "tools/commands.h"
#include "tools/walcheck/errand.h"

enum outcome command_page(const struct args *args)
{
    struct request request = {.file = args->operands[0],
                              .is_json = args_has(args, OPTION_JSON),
                              .is_hex = args_has(args, OPTION_HEX)};
    enum outcome outcome = request_take_page(&request, args->operands[1]);
    return outcome == OUTCOME_OK ? errand_run(&request) : outcome;
}

enum outcome command_recover(const struct args *args)
{
    struct request request = {.file = args->operands[0],
                              .salvage = args->operands[1],
                              .is_json = args_has(args, OPTION_JSON),
                              .is_forced = args_has(args, OPTION_FORCE)};
    return errand_run(&request);
}
