/* Finds the command and prints the help. */
#include "tools/commands.h"
#include "tools/manual.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

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
                   OPTION_BIT(OPTION_SKIP_BAD),
    TOP_OPTIONS = OPTION_BIT(OPTION_INTERVAL) | OPTION_BIT(OPTION_LIMIT) |
                  OPTION_BIT(OPTION_ONCE)
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
    {{"top", TOP_OPTIONS, 1, 1},
     command_top,
     "top FILE [--interval S]",
     "show commits, log, pages and readers as they change",
     manual_top},
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
     "print the tables and rows in which two stores differ",
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
    {{"shell", 0, 1, 1},
     command_shell,
     "shell FILE",
     "run commands on one store as they are typed",
     manual_shell},
    {{"bench", OPTION_BIT(OPTION_JSON), 0, 1},
     command_bench,
     "bench [FOLDER]",
     "measure puts, gets and a scan on this disk",
     manual_bench},
    {{"migrate", 0, 1, 1},
     command_migrate,
     "migrate FILE",
     "bring a file of an older format up to this version's",
     manual_migrate},
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
    puts("usage: scrine COMMAND FILE ...\n       scrine FILE\n\nReads and writes scrine "
         "stores.  Without a command it is the shell.\n");
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

/* With the operands that args has already. */
static enum outcome run_command(const struct command *command, struct args *args,
                                int count, char **words)
{
    enum outcome outcome = args_parse_more(args, &command->shape, count, words);
    if (outcome != OUTCOME_OK)
        return outcome;
    return args_has(args, OPTION_HELP) ? print_command_help(command)
                                       : command->run(args);
}

/* scrine FILE: the shell. */
static enum outcome run_without_command(int argc, char **argv)
{
    struct args args = {.operands = {argv[1]}, .operand_count = 1};
    if (argc == 2 && access(argv[1], F_OK) == 0)
        return command_shell(&args);
    return outcome_say(OUTCOME_USAGE,
                       argc == 2 ? "there is no command and no file \"%s\"; see scrine "
                                   "--help"
                                 : "there is no command \"%s\"; see scrine --help",
                       argv[1]);
}

static enum outcome run_help(int argc, char **argv)
{
    const struct command *command = argc > 2 ? find_command(argv[2]) : NULL;
    if (argc == 2)
        return print_help();
    return command ? print_command_help(command)
                   : outcome_say(OUTCOME_USAGE,
                                 "there is no command \"%s\"; see scrine --help",
                                 argv[2]);
}

enum outcome commands_run(int argc, char **argv)
{
    struct args args = {0};
    if (argc < 2)
        return outcome_say(OUTCOME_USAGE, "no command; see scrine --help");
    if (strcmp(argv[1], "--version") == 0) {
        printf("scrine %s\n", scn_version());
        return OUTCOME_OK;
    }
    if (strcmp(argv[1], "--help") == 0)
        return print_help();
    if (strcmp(argv[1], "help") == 0)
        return run_help(argc, argv);
    const struct command *command = find_command(argv[1]);
    return command ? run_command(command, &args, argc - 2, argv + 2)
                   : run_without_command(argc, argv);
}

/* ---- in the shell ---- */

/* Behind its name the synopsis says so. */
static bool takes(const struct command *command, const char *operands)
{
    const char *behind = command->synopsis + strlen(command->shape.command);
    return strncmp(behind, operands, strlen(operands)) == 0;
}

static bool is_in_shell(const struct command *command)
{
    return takes(command, " FILE") && command->run != command_shell;
}

enum outcome commands_run_on(const char *file, const char *table, int count, char **words)
{
    const struct command *command = find_command(words[0]);
    struct args args = {.operands = {file, table}, .operand_count = 1};
    if (command == NULL || !is_in_shell(command))
        return outcome_say(OUTCOME_USAGE, "there is no command \"%s\" here; see .help",
                           words[0]);
    if (table && takes(command, " FILE TABLE"))
        args.operand_count = 2;
    return run_command(command, &args, count - 1, words + 1);
}

void commands_print_list(void)
{
    for (int i = 0; i < COMMAND_COUNT; i++)
        if (is_in_shell(&commands[i]))
            printf("  %-12s %s\n", commands[i].shape.command, commands[i].purpose);
}
