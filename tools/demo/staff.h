/* Processes that work on one store at the same time: each stores every third episode, and
 * writes down each key whose commit returned.  One of them kills itself with SIGKILL in
 * the middle of its work, with threads inside their transactions; the others go on. */
#ifndef TOOLS_DEMO_STAFF_H
#define TOOLS_DEMO_STAFF_H

#include "tools/demo/material.h"

enum { STAFF_PROCESSES = 3, STAFF_KILLED = 0 };

/* Who stores it. */
static inline int staff_of(size_t number)
{
    return (int)(number % STAFF_PROCESSES);
}

/* From beginning to end; receipts_paths are files to be made.  The caller has nothing
 * open.  False: it went otherwise than planned, said so. */
bool staff_work(const struct material *material, const char *store_path,
                const char *const receipts_paths[STAFF_PROCESSES]);

#endif
