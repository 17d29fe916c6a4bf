/* LMDB, the peer that the figures are ratios to. */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include "bench/rig.h"

#include <lmdb.h>

struct peer {
    MDB_env *env;
    MDB_dbi dbi;
};

/* An answer that is not 0 ends the program. */
void peer_must(int answer, const char *what);
void peer_open(struct peer *peer, const char *path);
void peer_close(struct peer *peer);
/* All records in one transaction, in the set's order. */
void peer_load(struct peer *peer, const struct record_set *set);

#endif
