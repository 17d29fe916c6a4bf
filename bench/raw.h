/* The least that a durable commit can be: write 200 bytes, sync. */
#ifndef BENCH_RAW_H
#define BENCH_RAW_H

#include <stdint.h>

/* A file that is written over, so that no sync has blocks to allocate. */
struct raw {
    int fd;
    uint64_t off;
};

void raw_open(struct raw *raw);
void raw_commit(struct raw *raw);
void raw_close(struct raw *raw);

#endif
