/* Options of scrine-walcheck: see request.h. */
#include "tools/walcheck/request.h"

#include "tools/args.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static const char help[] =
    "usage: scrine-walcheck [OPTIONS] FILE\n"
    "\n"
    "Looks at a store without opening it: superblocks, the log record by record and how\n"
    "it ends, every page that is reached and every page that should be.  Also at stores\n"
    "that nothing else opens, and at those in use.  Changes nothing unless told to.\n"
    "\n"
    "  -v, --verbose  each record of the log and what it does\n"
    "  --from LSN     with -v and --dump: leave out records before this one\n"
    "  --dump         the operations of the log as JSON Lines, and nothing else\n"
    "  --quick        superblocks, the log and the catalog alone\n"
    "  --estimate     how long an open would take to read the log\n"
    "  --page N       one page: what it is, whether it is as it was written, what it\n"
    "                 holds; with --hex its bytes, too\n"
    "  --json         as one JSON object\n"
    "  --salvage OUT  write everything that can be proved into a new store OUT, and\n"
    "                 list what is lost; FILE is only read.  --force: OUT may exist\n"
    "  --truncate     show what a torn tail holds; with --force cut it, and keep the\n"
    "                 bytes in FILE.cut-LSN.  Never needed: the next open cuts it\n"
    "  --help, --version\n"
    "\n"
    "Exit codes: 0 clean; 1 findings that an open or a checkpoint puts right; 2 the\n"
    "file is damaged; 3 not a store, or of a newer version; 4 input or output failed,\n"
    "or there is no such file; 64 wrong usage; 75 in use, try again; 130 interrupted.\n";

enum {
    OPTIONS = OPTION_BIT(OPTION_DUMP) | OPTION_BIT(OPTION_ESTIMATE) |
              OPTION_BIT(OPTION_FORCE) | OPTION_BIT(OPTION_FROM) |
              OPTION_BIT(OPTION_HEX) | OPTION_BIT(OPTION_JSON) | OPTION_BIT(OPTION_PAGE) |
              OPTION_BIT(OPTION_QUICK) | OPTION_BIT(OPTION_SALVAGE) |
              OPTION_BIT(OPTION_TRUNCATE) | OPTION_BIT(OPTION_VERBOSE) |
              OPTION_BIT(OPTION_VERSION)
};

enum outcome request_take_page(struct request *request, const char *text)
{
    char *end;
    errno = 0;
    request->is_page = true;
    request->page = strtoull(text, &end, 10);
    if (text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0)
        return OUTCOME_OK;
    return outcome_say(OUTCOME_USAGE, "\"%s\" is no number of a page", text);
}

static enum outcome judge(const struct request *request)
{
    int jobs = request->is_dump + request->is_truncate + request->is_page +
               (request->salvage != NULL);
    if (request->is_help || request->is_version)
        return OUTCOME_OK;
    if (request->file == NULL)
        return outcome_say(OUTCOME_USAGE, "no file; see scrine-walcheck --help");
    if (jobs > 1)
        return outcome_say(OUTCOME_USAGE,
                           "--dump, --page, --truncate and --salvage: one at a time");
    if (request->is_truncate && request->is_json)
        return outcome_say(OUTCOME_USAGE, "--truncate has no --json");
    if (request->is_forced && !request->is_truncate && !request->salvage)
        return outcome_say(OUTCOME_USAGE, "--force goes with --truncate or --salvage");
    if (request->is_hex && !request->is_page)
        return outcome_say(OUTCOME_USAGE, "--hex goes with --page");
    if (jobs && (request->is_verbose || request->is_quick || request->is_estimate))
        return outcome_say(OUTCOME_USAGE,
                           "-v, --quick and --estimate do not go with --dump, --page, "
                           "--truncate or --salvage");
    if (request->from_lsn && !request->is_verbose && !request->is_dump)
        return outcome_say(OUTCOME_USAGE, "--from goes with -v or --dump");
    return OUTCOME_OK;
}

enum outcome request_parse(struct request *request, int argc, char **argv)
{
    static const struct args_shape shape = {"", OPTIONS, 0, 1};
    struct args args;
    enum outcome outcome = args_parse(&args, &shape, argc - 1, argv + 1);
    *request = (struct request){
        .file = args.operands[0],
        .salvage = args.options[OPTION_SALVAGE],
        .is_verbose = args_has(&args, OPTION_VERBOSE),
        .is_json = args_has(&args, OPTION_JSON),
        .is_dump = args_has(&args, OPTION_DUMP),
        .is_estimate = args_has(&args, OPTION_ESTIMATE),
        .is_truncate = args_has(&args, OPTION_TRUNCATE),
        .is_forced = args_has(&args, OPTION_FORCE),
        .is_quick = args_has(&args, OPTION_QUICK),
        .is_hex = args_has(&args, OPTION_HEX),
        .is_help = args_has(&args, OPTION_HELP),
        .is_version = args_has(&args, OPTION_VERSION),
    };
    if (outcome == OUTCOME_OK)
        outcome = args_number(&args, OPTION_FROM, 0, UINT64_MAX, &request->from_lsn);
    if (outcome == OUTCOME_OK && args_has(&args, OPTION_PAGE))
        outcome = request_take_page(request, args.options[OPTION_PAGE]);
    return outcome == OUTCOME_OK ? judge(request) : outcome;
}

void request_print_help(void)
{
    fputs(help, stdout);
}
