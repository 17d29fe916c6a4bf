/* Deeds: single operations of transactions, what they do and what they are told.
 *
 * A state is what the tables hold, in versions: the bytes of keys and values follow from
 * numbers.  deed_play is the meaning of a deed, on a state of the model; carrying it out
 * on a store is test/schedule/chronicle.c. */
#ifndef TEST_SCHEDULE_DEED_H
#define TEST_SCHEDULE_DEED_H

#include "engine/store.h"

enum {
    DEED_TABLES = 2,
    DEED_KEYS = 20,
    DEED_SUMS = 2,
    DEED_ACTORS = 24,
    DEED_TOLD_END = 7777777, /* in what a walk is told: there is nothing further */
    DEED_VALUE_BYTES_MAX = 6 * PAGE_BYTES,
    DEED_BULK_ONE_IN = 53 /* versions make a bulk run of their transaction */
};

struct state {
    uint32_t version[DEED_TABLES][DEED_KEYS]; /* 0: no row */
    int64_t sum[DEED_SUMS];
    uint32_t last[DEED_ACTORS]; /* number of each actor's last commit */
};

enum deed_kind {
    DO_GET,
    DO_SCAN, /* from key on, at most `limit` rows */
    DO_SCAN_BACK,
    DO_COUNT,
    DO_SUM,
    DO_PUT,
    DO_PUT_NEW,
    DO_PUT_BLIND,
    DO_DEL,
    DO_DEL_RANGE, /* key <= k < key + limit */
    DO_CLEAR,
    DO_RENEW, /* drop the table, and make it again */
    DO_ADD, /* limit to the sum `key` */
    DO_BEGIN_VAIN, /* what is written from here ... */
    DO_END_VAIN    /* ... to here is rolled back */
};

struct deed {
    enum deed_kind kind;
    uint32_t table;
    uint32_t key;
    uint32_t limit;
    uint32_t version; /* written */
    uint64_t told;
};

/* Rows of one table from lo to hi. */
struct touch {
    uint32_t table; /* DEED_TABLES: the sums */
    int lo;
    int hi;
};

extern const char *const deed_tables[DEED_TABLES];
extern const char deed_last_table[]; /* number of each actor's last commit */
extern const char deed_sum_table[];
extern const char *const deed_names[]; /* by kind */

scn_slice deed_key(uint8_t buf[8], uint32_t key);
uint32_t deed_read_key(scn_slice key);
/* Most are short; some are pages of their own, a few make a bulk run. */
scn_slice deed_value(uint8_t bytes[DEED_VALUE_BYTES_MAX], uint32_t version);
/* The version of a value; UINT32_MAX: nobody's. */
uint32_t deed_read_value(scn_slice value);
/* What a walk is told of its next row. */
uint64_t deed_mix(uint64_t told, uint64_t key, uint64_t version);

/* What it is told on this state, which it changes. */
uint64_t deed_play(struct state *state, const struct deed *deed);
bool deed_is_written(const struct deed *deed);
struct touch deed_touch(const struct deed *deed);

#endif
