/* Worker threads that store the episodes still missing, each its own durable
 * transaction. */
#ifndef TOOLS_DEMO_CREW_H
#define TOOLS_DEMO_CREW_H

#include "tools/demo/memory.h"

enum { CREW_THREADS = 2 };

struct crew_orders {
    struct memory *memory;
    const struct material *material;
    size_t first; /* the episodes `first`, `first + step`, ... */
    size_t step;
    int receipts; /* where acknowledged keys go; -1: nowhere */
    /* Kill this process, threads at work and all, after so many receipts (0: never), or
     * after limit_seconds. */
    size_t kill_count;
    double limit_seconds; /* then the rest is left (0: never) */
};

/* False: a worker failed, said why.  With kill_count it does not return otherwise. */
bool crew_work(const struct crew_orders *orders);

#endif
