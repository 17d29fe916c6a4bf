/* Scrine, LMDB and SQLite behind the few calls that many processes are measured by.
 *
 * Each commits durably: Scrine as it is by default, LMDB as well, SQLite with a WAL,
 * synchronous=FULL and a busy_timeout of 5 s. */
#ifndef BENCH_CONTENDER_H
#define BENCH_CONTENDER_H

#include "bench/rig.h"

struct contender {
    const char *name;
    const char *file;
    void *(*open)(const char *path);
    void (*close)(void *store);
    /* All records in one transaction. */
    void (*load)(void *store, const struct record_set *set);
    /* One durable commit; false: it was refused because others were busy. */
    bool (*put)(void *store, scn_slice key, scn_slice value);
    /* Begins a transaction for writing, writes a record, leaves it open; and ends it. */
    void (*hold)(void *store, scn_slice key, scn_slice value);
    void (*let_go)(void *store);
    /* How many commits and syncs this process has made; NULL: unknown. */
    void (*count)(void *store, uint64_t *commits, uint64_t *syncs);
};

enum { CONTENDERS = 3 };
extern const struct contender *const contenders[CONTENDERS];

#endif
