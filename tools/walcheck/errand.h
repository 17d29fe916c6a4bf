/* What is to be done with a file that is not opened: to look at it, to dump its log,
 * to cut a torn tail, to salvage what can be proved.  For scrine-walcheck, and for
 * those commands of scrine that need no store that opens. */
#ifndef TOOLS_WALCHECK_ERRAND_H
#define TOOLS_WALCHECK_ERRAND_H

#include "tools/walcheck/request.h"

/* Prints what is to be said, and on stderr why it could not be done. ^C is noted from
 * here on. */
enum outcome errand_run(const struct request *request);

#endif
