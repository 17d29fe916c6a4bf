/* What the benchmarks work on: records, stores, files, child processes. */
#ifndef BENCH_RIG_H
#define BENCH_RIG_H

#include "include/scrine.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

enum { KEY_BYTES = 24, VALUE_BYTES = 150, PATH_BYTES = 512 };

/* splitmix64: the same numbers on every machine. */
uint64_t random_next(uint64_t *state);

/* Record i of a set: a random key, and a value that a version number tells apart. */
struct record_set {
    uint32_t count;
    uint8_t (*keys)[KEY_BYTES];
    uint32_t *order;               /* a random order of 0 .. count - 1 */
    uint8_t (*queries)[KEY_BYTES]; /* the keys in that order, side by side: to draw a key
                                      costs nothing */
};
void records_create(struct record_set *set, uint32_t count, uint64_t seed);
void records_destroy(struct record_set *set);
/* Draws a new order. */
void records_shuffle(struct record_set *set, uint64_t seed);
scn_slice record_key(const struct record_set *set, uint32_t i);
scn_slice record_query(const struct record_set *set, uint32_t at);
scn_slice record_value(uint32_t i, uint32_t version, uint8_t buf[VALUE_BYTES]);

/* A status that is not SCN_OK ends the program with the library's sentence. */
void must(scn_status st, const char *what);

/* A folder of its own, removed by rig_close: under $BENCH_DIR, else in build/ if there is
 * one here. */
void rig_open(void);
void rig_close(void);
const char *rig_path(const char *name, char path[PATH_BYTES]);
uint64_t rig_file_bytes(const char *path);

scn_db *store_open(const char *path, uint64_t pool_bytes, uint32_t flags);
scn_table_id store_table(scn_db *db);
/* All records in one transaction, in the set's order. */
void store_load(scn_db *db, const struct record_set *set, uint32_t version);

/* This program again, with these arguments; its exit and what it used. */
int run_again(const char *const arguments[], struct rusage *usage);
/* The program in the same folder that the first argument names; its exit. */
int run_beside(const char *const arguments[]);
/* A fork that runs fn and is expected to end by SIGKILL. */
void run_killed(void (*fn)(void *ctx), void *ctx);

#endif
