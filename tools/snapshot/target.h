/* A file that comes into being as a whole: written under a temporary name in the folder
 * of its own, synced, and then renamed.  Whatever happens before, a kill included, there
 * is nothing new under its name; a kill may leave the temporary file, ^C and TERM do
 * not. */
#ifndef TOOLS_SNAPSHOT_TARGET_H
#define TOOLS_SNAPSHOT_TARGET_H

#include "tools/outcome.h"

#include <stdbool.h>

/* Starts zeroed. */
struct target {
    const char *path;
    char *temporary; /* owned; NULL: standard output */
    int fd;
    bool may_replace;
};

/* A file that is there already is OUTCOME_USAGE, but with force; one of `kept` always is:
 * a source is never replaced.  It may be read by whoever may read the first of those.
 * path "-" is standard output. */
enum outcome target_open(struct target *target, const char *path, bool force,
                         const char *const *kept, int kept_count);
/* What was written gets its name, or where the outcome is no OUTCOME_OK goes.  The
 * outcome, or why it could not. */
enum outcome target_close(struct target *target, enum outcome outcome);

#endif
