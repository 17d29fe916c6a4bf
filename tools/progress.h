/* The hook of a long run: ^C ends it, and on a terminal it shows how far it is. */
#ifndef TOOLS_PROGRESS_H
#define TOOLS_PROGRESS_H

#include "include/scrine.h"

struct progress {
    int shown; /* percent; -1: nothing yet */
};
#define PROGRESS_NONE {-1}

/* From here on ^C is noted. */
scn_hooks progress_hooks(struct progress *progress);
/* The same, but it is only noted if somebody else has asked for that. */
scn_hooks progress_hooks_unwatched(struct progress *progress);
/* The line goes. */
void progress_end(struct progress *progress);

#endif
