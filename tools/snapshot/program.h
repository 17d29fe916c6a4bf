/* The commands of `scrine-snapshot`.  Each gets its arguments already parsed and counted,
 * says itself what went wrong, and returns the exit code. */
#ifndef TOOLS_SNAPSHOT_PROGRAM_H
#define TOOLS_SNAPSHOT_PROGRAM_H

#include "tools/args.h"

/* tools/snapshot/create.c */
enum outcome snapshot_create(const struct args *args);
/* tools/snapshot/succession.c */
enum outcome snapshot_apply(const struct args *args);
enum outcome snapshot_restore(const struct args *args);
/* tools/snapshot/inventory.c */
enum outcome snapshot_verify(const struct args *args);
enum outcome snapshot_list(const struct args *args);

#endif
