/* The commands.  Each gets its arguments already parsed and counted, says itself what
 * went wrong, and returns the exit code. */
#ifndef TOOLS_COMMANDS_H
#define TOOLS_COMMANDS_H

#include "tools/args.h"

/* What the arguments of main ask for; the first is the program's name. */
enum outcome commands_run(int argc, char **argv);
/* The same for a line of the shell: words[0] is a command, and FILE is left out of its
 * operands; TABLE as well where one is given. */
enum outcome commands_run_on(const char *file, const char *table, int count,
                             char **words);
/* The commands that the shell has, a line each. */
void commands_print_list(void);

/* tools/pair.c */
enum outcome command_put(const struct args *args);
enum outcome command_get(const struct args *args);
enum outcome command_del(const struct args *args);
/* tools/listing.c */
enum outcome command_scan(const struct args *args);
/* tools/compaction.c */
enum outcome command_compact(const struct args *args);
/* tools/difference.c */
enum outcome command_diff(const struct args *args);
/* tools/load.c */
enum outcome command_load(const struct args *args);
/* tools/digests.c */
enum outcome command_hash(const struct args *args);
/* tools/dump.c */
enum outcome command_dump(const struct args *args);
/* tools/report.c */
enum outcome command_tables(const struct args *args);
enum outcome command_stat(const struct args *args);
enum outcome command_check(const struct args *args);
enum outcome command_checkpoint(const struct args *args);
enum outcome command_migrate(const struct args *args);
/* tools/monitor.c */
enum outcome command_top(const struct args *args);
/* tools/measure.c */
enum outcome command_bench(const struct args *args);
/* tools/shell.c */
enum outcome command_shell(const struct args *args);
/* tools/rescue.c */
enum outcome command_page(const struct args *args);
enum outcome command_recover(const struct args *args);

#endif
