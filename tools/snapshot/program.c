/* The command `scrine-snapshot`: backups of stores in use, through the public interface
 * alone.  Finds the command and prints the help. */
#include "tools/snapshot/program.h"
#include "tools/output.h"

#include <stdio.h>
#include <string.h>

struct command {
    struct args_shape shape;
    enum outcome (*run)(const struct args *);
    const char *synopsis;
    const char *purpose;
    const char *help;
};

static const char create_help[] =
    "While others read and write SRC.  DST is a store like any other, compact and with\n"
    "an empty log; - is standard output.  With --since it is an increment: what has\n"
    "changed since another snapshot, which it can be applied to.  There is never a half\n"
    "of it under its name: it is written beside, synced and renamed.\n"
    "\n"
    "A snapshot is noted in SRC, so that increments can be based on it; where SRC can\n"
    "only be read they cannot.  Exit code 2 though DST is there: the log of such a SRC\n"
    "is damaged, and DST holds what was committed before.\n"
    "\n"
    "  --since S      S is the file of a snapshot, or the generation of a noted one\n"
    "  --rate N       no more than N bytes a second, such as 64M; otherwise as fast as\n"
    "                 it goes, but gently while there are commits\n"
    "  --force        replace DST\n"
    "  --json         print what was made as one JSON object\n";

static const char apply_help[] =
    "BASE is the file of a full snapshot and becomes the newer one, by each INC in\n"
    "turn: as a whole or, if anything is wrong, not at all.  An INC of - is standard\n"
    "input.  BASE is read before and compared with what it says it holds.  Exit code 1:\n"
    "it has an INC already, or it was changed.\n"
    "\n"
    "  --force        do not compare\n"
    "  --json         print what it has become as one JSON object\n";

static const char verify_help[] =
    "Full snapshots and increments: reads all of each, compares checksums and digests,\n"
    "and checks the file as scrine check does; - is an increment in standard input.\n"
    "Exit code 1: a store holds something else than when it was made, or the next\n"
    "checkpoint will put right what was found; 2: damage.\n"
    "\n"
    "  --json         print what they are as a JSON array\n";

static const char restore_help[] =
    "The first FILE is a full snapshot; increments follow in their order, one of them\n"
    "may be - for standard input.  DST becomes a store with all of it, and the files\n"
    "stay as they are.\n"
    "\n"
    "  --force        replace DST\n"
    "  --json         print what was made as one JSON object\n";

static const char list_help[] =
    "Of a folder all snapshots in it; other files are passed over.  What an increment\n"
    "has to be applied to is the snapshot with the id that stands behind \"since\".\n"
    "\n"
    "  --json         as a JSON array, with what each table held\n";

enum {
    TARGET_OPTIONS = OPTION_BIT(OPTION_FORCE) | OPTION_BIT(OPTION_JSON),
    CREATE_OPTIONS = TARGET_OPTIONS | OPTION_BIT(OPTION_SINCE) | OPTION_BIT(OPTION_RATE)
};

static const struct command commands[] = {
    {{"create", CREATE_OPTIONS, 2, 2},
     snapshot_create,
     "create SRC DST|- [--since S] [--rate N]",
     "write a snapshot of a store",
     create_help},
    {{"apply", TARGET_OPTIONS, 2, OPERANDS_MAX},
     snapshot_apply,
     "apply BASE INC...",
     "bring a full snapshot up to date",
     apply_help},
    {{"verify", OPTION_BIT(OPTION_JSON), 1, OPERANDS_MAX},
     snapshot_verify,
     "verify FILE...",
     "find out whether snapshots are whole",
     verify_help},
    {{"restore", TARGET_OPTIONS, 2, OPERANDS_MAX},
     snapshot_restore,
     "restore FILE... DST",
     "make a store from a snapshot and increments",
     restore_help},
    {{"list", OPTION_BIT(OPTION_JSON), 1, OPERANDS_MAX},
     snapshot_list,
     "list FILE...|DIR",
     "print what snapshots are",
     list_help},
};
enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

static const char outcomes_help[] =
    "Exit codes: 0 done; 1 findings; 2 damaged; 3 not a store or snapshot, or of a\n"
    "newer version; 4 input or output failed, or there is no such file; 64 wrong usage,\n"
    "or the wrong base; 75 busy, try again; 130 interrupted.\n";

static enum outcome print_help(void)
{
    puts("usage: scrine-snapshot COMMAND ...\n\nMakes backups of scrine stores.\n");
    for (int i = 0; i < COMMAND_COUNT; i++)
        printf("  %-42s %s\n", commands[i].synopsis, commands[i].purpose);
    printf("\nscrine-snapshot COMMAND --help tells more, --version prints the version.\n"
           "Options may stand anywhere after the command; -- ends them.\n\n%s",
           outcomes_help);
    return OUTCOME_OK;
}

static enum outcome print_command_help(const struct command *command)
{
    printf("usage: scrine-snapshot %s\n\nTo %s.\n%s\n%s", command->synopsis,
           command->purpose, command->help, outcomes_help);
    return OUTCOME_OK;
}

static const struct command *find_command(const char *name)
{
    for (int i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(commands[i].shape.command, name) == 0)
            return &commands[i];
    return NULL;
}

static enum outcome run_command(int argc, char **argv)
{
    struct args args;
    const struct command *command = find_command(argv[1]);
    if (command == NULL)
        return outcome_say(OUTCOME_USAGE,
                           "there is no command \"%s\"; see scrine-snapshot --help",
                           argv[1]);
    enum outcome outcome = args_parse(&args, &command->shape, argc - 2, argv + 2);
    if (outcome != OUTCOME_OK)
        return outcome;
    return args_has(&args, OPTION_HELP) ? print_command_help(command)
                                        : command->run(&args);
}

static enum outcome run(int argc, char **argv)
{
    if (argc < 2)
        return outcome_say(OUTCOME_USAGE, "no command; see scrine-snapshot --help");
    if (strcmp(argv[1], "--version") == 0) {
        printf("scrine-snapshot %s\n", scn_version());
        return OUTCOME_OK;
    }
    return strcmp(argv[1], "--help") == 0 ? print_help() : run_command(argc, argv);
}

int main(int argc, char **argv)
{
    outcome_set_program("scrine-snapshot");
    output_prepare();
    return (int)output_finish(run(argc, argv));
}
