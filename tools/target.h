/* A file that comes into being as a whole: written under a temporary name in the folder
 * of its own, synced, and then renamed.  Whatever happens before, a kill included, there
 * is nothing new under its name.
 *
 * The temporary name of PATH is PATH.part-0, or a higher number where somebody writes
 * PATH already: whoever has it has the file locked (flock).  So a kill leaves a file
 * without a lock, and the next who writes PATH removes it, together with files whose
 * names begin with its name and a dot.  TERM leaves nothing, nor does a second ^C. */
#ifndef TOOLS_TARGET_H
#define TOOLS_TARGET_H

#include "tools/outcome.h"

#include <stdbool.h>

/* Starts zeroed; at most TARGETS_MAX at a time. */
enum { TARGETS_MAX = 2 };
struct target {
    const char *path;
    char *temporary; /* owned; NULL: standard output */
    char *companion; /* owned; a name that belongs to it, for a file that may be put in
                        its place (target_put), and goes with it */
    int fd;          /* of the temporary file, locked */
    bool may_replace;
};

/* A file that is there already is OUTCOME_USAGE, but with force; one of `kept` always is:
 * a source is never replaced.  It may be read by whoever may read the first of those.
 * path "-" is standard output. */
enum outcome target_open(struct target *target, const char *path, bool force,
                         const char *const *kept, int kept_count);
/* The companion, which is complete, is what was written. */
enum outcome target_put(struct target *target);
/* What was written gets its name, or where the outcome is no OUTCOME_OK goes.  The
 * outcome, or why it could not. */
enum outcome target_close(struct target *target, enum outcome outcome);

#endif
