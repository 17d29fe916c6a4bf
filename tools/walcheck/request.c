/* Options of scrine-walcheck: see request.h. */
#include "tools/walcheck/request.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static const struct {
    const char *name;
    size_t flag; /* offset of a bool in the request */
} flags[] = {
    {"-v", offsetof(struct request, is_verbose)},
    {"--verbose", offsetof(struct request, is_verbose)},
    {"--json", offsetof(struct request, is_json)},
    {"--dump", offsetof(struct request, is_dump)},
    {"--quick", offsetof(struct request, is_quick)},
    {"--estimate", offsetof(struct request, is_estimate)},
    {"--truncate", offsetof(struct request, is_truncate)},
    {"--force", offsetof(struct request, is_forced)},
    {"--hex", offsetof(struct request, is_hex)},
    {"--help", offsetof(struct request, is_help)},
    {"--version", offsetof(struct request, is_version)},
};

static bool take_flag(struct request *request, const char *word)
{
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (strcmp(word, flags[i].name) == 0) {
            *(bool *)((char *)request + flags[i].flag) = true;
            return true;
        }
    return false;
}

static bool take_number(uint64_t *out, const char *text)
{
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0;
}

static enum outcome take_lsn(struct request *request, const char *text)
{
    if (take_number(&request->from_lsn, text))
        return OUTCOME_OK;
    return outcome_say(OUTCOME_USAGE, "--from: \"%s\" is no LSN", text);
}

enum outcome request_take_page(struct request *request, const char *text)
{
    request->is_page = true;
    if (take_number(&request->page, text))
        return OUTCOME_OK;
    return outcome_say(OUTCOME_USAGE, "\"%s\" is no number of a page", text);
}

/* The word is an option with a value: in itself behind =, or the next word.  NULL: it is
 * not this one. */
static const char *value_of(const char *word, const char *name, int argc, char **argv,
                            int *idx)
{
    size_t len = strlen(name);
    if (strncmp(word, name, len) != 0)
        return NULL;
    if (word[len] == '=')
        return word + len + 1;
    return word[len] == '\0' && *idx + 1 < argc ? argv[++*idx] : NULL;
}

static enum outcome take_option(struct request *request, int argc, char **argv, int *idx)
{
    const char *word = argv[*idx];
    const char *value;
    if (take_flag(request, word))
        return OUTCOME_OK;
    value = value_of(word, "--from", argc, argv, idx);
    if (value)
        return take_lsn(request, value);
    value = value_of(word, "--page", argc, argv, idx);
    if (value)
        return request_take_page(request, value);
    request->salvage = value_of(word, "--salvage", argc, argv, idx);
    if (request->salvage)
        return OUTCOME_OK;
    return outcome_say(OUTCOME_USAGE,
                       "unknown option %s, or its value is missing; see "
                       "scrine-walcheck --help",
                       word);
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
    enum outcome outcome = OUTCOME_OK;
    bool options_ended = false;
    *request = (struct request){0};
    for (int i = 1; i < argc && outcome == OUTCOME_OK; i++) {
        if (!options_ended && strcmp(argv[i], "--") == 0)
            options_ended = true;
        else if (!options_ended && argv[i][0] == '-' && argv[i][1] != '\0')
            outcome = take_option(request, argc, argv, &i);
        else if (request->file == NULL)
            request->file = argv[i];
        else
            outcome = outcome_say(OUTCOME_USAGE, "one file at a time: \"%s\"", argv[i]);
    }
    return outcome == OUTCOME_OK ? judge(request) : outcome;
}

void request_print_help(void)
{
    fputs(help, stdout);
}
