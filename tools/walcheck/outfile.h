/* A new store, written beside its target (tools/target.h) and given its name when it is
 * whole. */
#ifndef TOOLS_WALCHECK_OUTFILE_H
#define TOOLS_WALCHECK_OUTFILE_H

#include "tools/target.h"

struct outfile {
    struct target target;
    scn_db *db;
};

/* As target_open, with the source as what is kept; but "-" is refused. */
enum outcome outfile_open(struct outfile *outfile, const char *path, const char *source,
                          bool is_forced);
/* Closes the store; with is_whole it gets its name, else it is gone. */
enum outcome outfile_close(struct outfile *outfile, bool is_whole);

#endif
