/* Worker threads that store the episodes still missing, each its own durable
 * transaction. */
#ifndef TOOLS_DEMO_CREW_H
#define TOOLS_DEMO_CREW_H

#include "tools/demo/memory.h"

enum { CREW_THREADS = 4 };

struct crew_orders {
    struct memory *memory;
    const struct material *material;
    int receipts; /* where acknowledged keys go; -1: nowhere */
    /* Kill this process, threads at work and all, after so many receipts (0: never), or
     * after this time, so that a slow disk does not make the demo long. */
    size_t kill_count;
    double kill_seconds;
};

/* False: a worker failed, said why.  With kill_count it does not return otherwise. */
bool crew_work(const struct crew_orders *orders);

#endif
