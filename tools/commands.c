/* Finds the command and prints the help. */
#include "tools/commands.h"

#include <stdio.h>
#include <string.h>

struct command {
    struct args_shape shape;
    enum outcome (*run)(const struct args *);
    const char *synopsis;
    const char *purpose;
    const char *help;
};

static const char put_help[] =
    "Creates the file and the table where they are missing.  With - the value is\n"
    "what standard input holds, every byte as it is, with --hex too.  The row is on\n"
    "disk when scrine returns.\n"
    "\n"
    "  --hex          KEY and VALUE are hexadecimal digits\n";

static const char get_help[] =
    "Prints the bytes of the value and nothing else (on a terminal, a newline after\n"
    "them).  Exit code 1: there is no such key or table.\n"
    "\n"
    "  --hex          KEY is hexadecimal digits, and so is what is printed\n"
    "  --json         print {\"key\": ..., \"value\": ...}; \"key_hex\", \"value_hex\"\n"
    "                 with hexadecimal digits where the bytes are no UTF-8\n";

static const char del_help[] =
    "Exit code 1: there was no such key or table.\n"
    "\n"
    "  --hex          KEY is hexadecimal digits\n";

static const char scan_help[] =
    "A line a row: key, tab, value.  Backslashes, control characters and bytes that\n"
    "are no UTF-8 are printed as \\\\ \\t \\n \\r \\xNN.  All rows are of one moment.\n"
    "^C ends after a whole row (exit code 130).\n"
    "\n"
    "  --prefix P     only keys that begin with P\n"
    "  --from A       only keys at or after A\n"
    "  --to B         only keys before B\n"
    "  --limit N      no more than N rows\n"
    "  --reverse      the last key first\n"
    "  --keys         keys only\n"
    "  --json         a line a row: {\"key\": ..., \"value\": ...}; \"key_hex\" and\n"
    "                 \"value_hex\" with hexadecimal digits where the bytes are no\n"
    "                 UTF-8.  load reads these lines\n"
    "  --hex          P, A, B and the output are hexadecimal digits\n";

static const char tables_help[] =
    "One name a line, with escapes as in scan.\n"
    "\n"
    "  --all          also tables kept about other tables; their names begin with ~\n"
    "  --json         with id, number of rows and sizes in bytes\n";

static const char stat_help[] =
    "All tables are counted, those kept about other tables (~) too.\n"
    "\n"
    "  --json         as one JSON object\n";

static const char check_help[] =
    "Reads the whole file and changes nothing.  Prints each finding.  Exit code 1: only\n"
    "such as the next checkpoint puts right; 2: the file is damaged.\n"
    "\n"
    "  --json         as one JSON object\n";

static const char checkpoint_help[] =
    "Never needed, as stores do it by themselves; good before a file is copied away.\n";

static const char compact_help[] =
    "In steps, each of them a checkpoint: programs read and write FILE meanwhile, and\n"
    "^C ends it after a step, with all that is done kept.  What open transactions for\n"
    "reading still need stays.\n"
    "\n"
    "  --budget S     begin no step after S seconds; another call goes on\n"
    "  --json         print the bytes before and after as one JSON object\n";

static const char diff_help[] =
    "A line a row: - where it is only in FILE, + only in OTHER, ! with another value in\n"
    "both; table, tab, key, with escapes as in scan.  Both are read as of one moment\n"
    "each.  Exit code 1: they differ.\n"
    "\n"
    "  --all          also tables kept about other tables; their names begin with ~\n"
    "  --json         a line a row: {\"table\": ..., \"key\": ..., \"in\": \"first\"};\n"
    "                 \"second\", or \"both\" where the values differ\n";

static const char hash_help[] =
    "A line a table: a digest of all its rows, how many there are, its name; the last\n"
    "line is for all tables together.  A digest follows from the rows alone and not\n"
    "from where they lie, so a store, its snapshot and a copy of its rows have the same\n"
    "one.\n"
    "Reads every row.\n"
    "\n"
    "  --json         as one JSON object\n";

static const char load_help[] =
    "Reads INPUT, or standard input where it is absent or -.  Creates the file and\n"
    "the table where they are missing.  Each line is one JSON object and becomes one\n"
    "row:\n"
    "\n"
    "  * {\"key\": K, \"value\": V}, exactly two members, both strings: key K, value V.\n"
    "    \"key_hex\" and \"value_hex\" may stand in their places, with hexadecimal\n"
    "    digits.\n"
    "  * any other object: the key is its field FIELD, a string or a number, and the\n"
    "    value is the text of the line as it is, without blanks around it.  A number\n"
    "    is written in decimal, in the shortest form that reads back the same.\n"
    "\n"
    "Empty lines are passed over.  A row replaces one of the same key.  A line that is\n"
    "not JSON or has no such field ends the loading with exit code 1 and its line\n"
    "number: nothing of its batch is stored, all batches before it are.  ^C does the\n"
    "same (exit code 130).  Each batch is on disk before the next one begins.\n"
    "\n"
    "  --key FIELD    the field that holds the key; without it only lines of the first\n"
    "                 form are taken\n"
    "  --batch N      lines in a transaction (1000; 16 MiB of them are a batch as well)\n"
    "  --skip-bad     report bad lines, leave them out and go on; exit code 1 if there\n"
    "                 were any\n";

static const char dump_help[] =
    "A row is printed as its value alone if load would make the same row of that line:\n"
    "the value is the text of a JSON object, on one line, whose field FIELD holds the\n"
    "key.  Every other row is printed as {\"key\": ..., \"value\": ...}, with\n"
    "\"key_hex\" or \"value_hex\" and hexadecimal digits where the bytes are no UTF-8.\n"
    "FIELD is the one that the table was loaded by the last time; a table that was\n"
    "never loaded by a field is printed in the second form throughout.\n"
    "\n"
    "Loading all lines with the same --key gives equal rows, whatever bytes they hold.\n"
    "\n"
    "  --key FIELD    use this FIELD instead\n";

enum {
    SCAN_OPTIONS = OPTION_BIT(OPTION_PREFIX) | OPTION_BIT(OPTION_FROM) |
                   OPTION_BIT(OPTION_TO) | OPTION_BIT(OPTION_LIMIT) |
                   OPTION_BIT(OPTION_REVERSE) | OPTION_BIT(OPTION_KEYS) |
                   OPTION_BIT(OPTION_JSON) | OPTION_BIT(OPTION_HEX),
    LOAD_OPTIONS = OPTION_BIT(OPTION_KEY) | OPTION_BIT(OPTION_BATCH) |
                   OPTION_BIT(OPTION_SKIP_BAD)
};

static const struct command commands[] = {
    {{"put", OPTION_BIT(OPTION_HEX), 4, 4},
     command_put,
     "put FILE TABLE KEY VALUE|-",
     "store a value under a key",
     put_help},
    {{"get", OPTION_BIT(OPTION_HEX) | OPTION_BIT(OPTION_JSON), 3, 3},
     command_get,
     "get FILE TABLE KEY",
     "print the value of a key",
     get_help},
    {{"del", OPTION_BIT(OPTION_HEX), 3, 3},
     command_del,
     "del FILE TABLE KEY",
     "delete a key",
     del_help},
    {{"scan", SCAN_OPTIONS, 2, 2},
     command_scan,
     "scan FILE TABLE [OPTIONS]",
     "print the rows of a table in the order of their keys",
     scan_help},
    {{"tables", OPTION_BIT(OPTION_ALL) | OPTION_BIT(OPTION_JSON), 1, 1},
     command_tables,
     "tables FILE",
     "list the tables",
     tables_help},
    {{"stat", OPTION_BIT(OPTION_JSON), 1, 1},
     command_stat,
     "stat FILE",
     "print sizes, health and the rows of each table",
     stat_help},
    {{"check", OPTION_BIT(OPTION_JSON), 1, 1},
     command_check,
     "check FILE",
     "look for damage in the whole file",
     check_help},
    {{"hash", OPTION_BIT(OPTION_JSON), 1, 2},
     command_hash,
     "hash FILE [TABLE]",
     "print digests of the rows of each table",
     hash_help},
    {{"diff", OPTION_BIT(OPTION_ALL) | OPTION_BIT(OPTION_JSON), 2, 3},
     command_diff,
     "diff FILE OTHER [TABLE]",
     "print the rows in which two stores differ",
     diff_help},
    {{"compact", OPTION_BIT(OPTION_BUDGET) | OPTION_BIT(OPTION_JSON), 1, 1},
     command_compact,
     "compact FILE [--budget S]",
     "make the file as short as what it holds",
     compact_help},
    {{"checkpoint", 0, 1, 1},
     command_checkpoint,
     "checkpoint FILE",
     "move what is in the log into the pages of the tables",
     checkpoint_help},
    {{"load", LOAD_OPTIONS, 2, 3},
     command_load,
     "load FILE TABLE --key FIELD [OPTIONS] [INPUT]",
     "store JSON Lines as rows",
     load_help},
    {{"dump", OPTION_BIT(OPTION_KEY), 2, 2},
     command_dump,
     "dump FILE TABLE [--key FIELD]",
     "print a table as JSON Lines",
     dump_help},
};
enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

static const char outcomes_help[] =
    "Exit codes: 0 done; 1 absent key or table, or bad input lines; 2 the file is\n"
    "damaged; 3 not a store, or of a newer version; 4 input or output failed, or there\n"
    "is no such file; 64 wrong usage; 75 busy, try again; 130 interrupted.\n";

static const char general_help[] =
    "\n"
    "scrine COMMAND --help tells more.  scrine --version prints the version.  Options\n"
    "may stand anywhere after the command; -- ends them.  Only put and load create a\n"
    "file; get, scan, tables, stat, check, diff, hash and dump change nothing.\n"
    "\n";

static enum outcome print_help(void)
{
    puts("usage: scrine COMMAND FILE ...\n\nReads and writes scrine stores.\n");
    for (int i = 0; i < COMMAND_COUNT; i++)
        printf("  %-46s %s\n", commands[i].synopsis, commands[i].purpose);
    printf("%s%s", general_help, outcomes_help);
    return OUTCOME_OK;
}

static enum outcome print_command_help(const struct command *command)
{
    printf("usage: scrine %s\n\nTo %s.\n%s\n%s", command->synopsis, command->purpose,
           command->help, outcomes_help);
    return OUTCOME_OK;
}

static const struct command *find_command(const char *name)
{
    for (int i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(commands[i].shape.command, name) == 0)
            return &commands[i];
    return NULL;
}

enum outcome commands_run(int argc, char **argv)
{
    struct args args;
    if (argc < 2)
        return outcome_say(OUTCOME_USAGE, "no command; see scrine --help");
    if (strcmp(argv[1], "--version") == 0) {
        printf("scrine %s\n", scn_version());
        return OUTCOME_OK;
    }
    bool is_help_word = strcmp(argv[1], "help") == 0;
    if (strcmp(argv[1], "--help") == 0 || (is_help_word && argc == 2))
        return print_help();
    const struct command *command = find_command(argv[is_help_word ? 2 : 1]);
    if (command == NULL)
        return outcome_say(OUTCOME_USAGE, "there is no command \"%s\"; see scrine --help",
                           argv[is_help_word ? 2 : 1]);
    if (is_help_word)
        return print_command_help(command);
    enum outcome outcome = args_parse(&args, &command->shape, argc - 2, argv + 2);
    if (outcome != OUTCOME_OK)
        return outcome;
    return args_has(&args, OPTION_HELP) ? print_command_help(command)
                                        : command->run(&args);
}
