/* One page of a file, whatever the file has become: what it is, whether it is as it was
 * written, who has it, and what it holds.
 *
 * A page is judged by itself, as no pointer is at hand: an old page, or one in a wrong
 * place of a tree, looks right here.  (An inspection finds those.)  What is in a page is
 * only told where its checksum is right. */
#ifndef TOOLS_WALCHECK_PORTRAIT_H
#define TOOLS_WALCHECK_PORTRAIT_H

#include "page/sys.h"
#include "tools/walcheck/request.h"

/* Prints page request->page.  OUTCOME_CORRUPT: it is in use and is not what it has to
 * be.  OUTCOME_FOREIGN: the file is no store, but the page was printed.  OUTCOME_USAGE:
 * there is no such page; then, and after a failure, it was said why. */
enum outcome portrait_print(struct sys *sys, const struct request *request);

#endif
