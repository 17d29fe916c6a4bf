/* Finds the command and prints the help. */
#include "tools/commands.h"
#include "tools/manual.h"

#include <stdio.h>
#include <string.h>

struct command {
    struct args_shape shape;
    enum outcome (*run)(const struct args *);
    const char *synopsis;
    const char *purpose;
    const char *help;
};

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
     manual_put},
    {{"get", OPTION_BIT(OPTION_HEX) | OPTION_BIT(OPTION_JSON), 3, 3},
     command_get,
     "get FILE TABLE KEY",
     "print the value of a key",
     manual_get},
    {{"del", OPTION_BIT(OPTION_HEX), 3, 3},
     command_del,
     "del FILE TABLE KEY",
     "delete a key",
     manual_del},
    {{"scan", SCAN_OPTIONS, 2, 2},
     command_scan,
     "scan FILE TABLE [OPTIONS]",
     "print the rows of a table in the order of their keys",
     manual_scan},
    {{"tables", OPTION_BIT(OPTION_ALL) | OPTION_BIT(OPTION_JSON), 1, 1},
     command_tables,
     "tables FILE",
     "list the tables",
     manual_tables},
    {{"stat", OPTION_BIT(OPTION_JSON) | OPTION_BIT(OPTION_PROM), 1, 1},
     command_stat,
     "stat FILE",
     "print sizes, health and the rows of each table",
     manual_stat},
    {{"check", OPTION_BIT(OPTION_JSON), 1, 1},
     command_check,
     "check FILE",
     "look for damage in the whole file",
     manual_check},
    {{"hash", OPTION_BIT(OPTION_JSON), 1, 2},
     command_hash,
     "hash FILE [TABLE]",
     "print digests of the rows of each table",
     manual_hash},
    {{"diff", OPTION_BIT(OPTION_ALL) | OPTION_BIT(OPTION_JSON), 2, 3},
     command_diff,
     "diff FILE OTHER [TABLE]",
     "print the rows in which two stores differ",
     manual_diff},
    {{"compact", OPTION_BIT(OPTION_BUDGET) | OPTION_BIT(OPTION_JSON), 1, 1},
     command_compact,
     "compact FILE [--budget S]",
     "make the file as short as what it holds",
     manual_compact},
    {{"checkpoint", 0, 1, 1},
     command_checkpoint,
     "checkpoint FILE",
     "move what is in the log into the pages of the tables",
     manual_checkpoint},
    {{"load", LOAD_OPTIONS, 2, 3},
     command_load,
     "load FILE TABLE --key FIELD [OPTIONS] [INPUT]",
     "store JSON Lines as rows",
     manual_load},
    {{"dump", OPTION_BIT(OPTION_KEY), 2, 2},
     command_dump,
     "dump FILE TABLE [--key FIELD]",
     "print a table as JSON Lines",
     manual_dump},
    {{"page", OPTION_BIT(OPTION_HEX) | OPTION_BIT(OPTION_JSON), 2, 2},
     command_page,
     "page FILE N",
     "print what a page of the file holds",
     manual_page},
    {{"recover", OPTION_BIT(OPTION_FORCE) | OPTION_BIT(OPTION_JSON), 2, 2},
     command_recover,
     "recover FILE OUT",
     "write what can be proved of a damaged file into a new one",
     manual_recover},
};
enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

static enum outcome print_help(void)
{
    puts("usage: scrine COMMAND FILE ...\n\nReads and writes scrine stores.\n");
    for (int i = 0; i < COMMAND_COUNT; i++)
        printf("  %-46s %s\n", commands[i].synopsis, commands[i].purpose);
    printf("%s%s", manual_general, manual_outcomes);
    return OUTCOME_OK;
}

static enum outcome print_command_help(const struct command *command)
{
    printf("usage: scrine %s\n\nTo %s.\n%s\n%s", command->synopsis, command->purpose,
           command->help, manual_outcomes);
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
