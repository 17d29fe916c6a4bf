/* A story: a seeded run of transactions on a store, and what each of them leaves behind.
 *
 * Every transaction writes its number, so whoever opens the store later knows how far the
 * story got there; everything else has to be exactly what the story was after that
 * transaction. Bytes follow from version numbers: a state is small, yet no two values
 * are alike.
 *
 *     acked <= number found <= begun
 *
 * story_check does not fail a test: it is called inside hooks of the simulator, too.  It
 * leaves a sentence in `wrong` and the first one stays. */
#ifndef TEST_ENGINE_STORY_H
#define TEST_ENGINE_STORY_H

#include "engine/store.h"
#include "test/engine/row.h"
#include "test/unit/unit.h"

enum { STORY_TABLES = 3, STORY_KEYS = ROW_KEYS };

enum story_flags {
    STORY_BIG = 1,   /* some values are many pages long */
    STORY_BULK = 2,  /* some transactions go into bulk runs */
    STORY_LAZY = 4,  /* some commits do not wait for their sync */
    STORY_TABLE = 8, /* tables are dropped, cleared, renamed, created again */
    STORY_TINY = 16  /* few small rows */
};
enum { STORY_TINY_KEYS = 24 };

struct story_state {
    uint32_t version[STORY_TABLES][STORY_KEYS]; /* 0: no row */
    bool exists[STORY_TABLES];
    int64_t sum; /* of additions */
};

struct story {
    uint64_t random;
    uint32_t flags;
    uint32_t next_version;
    uint32_t begun; /* transactions that may be in the store: 1 .. begun */
    uint32_t acked; /* those that must be */
    uint32_t told;  /* those that must be as long as the machine does not stop */
    uint32_t capacity;
    struct story_state *states; /* after each; acked .. begun are kept */
    char wrong[320];
};

void story_init(struct story *story, uint64_t seed, uint32_t flags);
/* Another ending of the same story. */
void story_fork(struct story *to, const struct story *from);
void story_destroy(struct story *story);
uint64_t story_random(struct story *story, uint64_t bound);
void story_fail(struct story *story, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* One transaction of a few random operations.  What the first call that failed said; a
 * commit whose outcome is unknown counts as begun. */
scn_status story_commit(struct story *story, scn_db *db);
/* Where the state after the next transaction goes; it begins as the one before. */
struct story_state *story_next_state(struct story *story);
const char *story_table_name(uint32_t table);
/* Everything that has begun is durable now. */
void story_ack(struct story *story);
/* From here on, the story went as far as `number` and no farther. */
void story_settle(struct story *story, uint32_t number);
/* Reads the whole store.  A negative status: reading failed, nothing is judged.  SCN_OK
 * also where the content is wrong: see `wrong`. */
scn_status story_read(struct story *story, scn_db *db, uint32_t *number);
/* The same in a transaction's snapshot. */
scn_status story_read_in(struct story *story, scn_txn *txn, uint32_t *number);
/* As story_read, and a failure to read is wrong, too. */
bool story_check(struct story *story, scn_db *db, uint32_t *number);
/* scn_check finds nothing; but for a superblock that a power cut has torn. */
bool story_check_file(struct story *story, scn_db *db);

/* Of a clock that only rises. */
uint64_t story_now_ms(void);
/* What BUDGET_MS in the environment says, for long runs; else as usual. */
uint64_t story_budget_ms(uint64_t usual);

#endif
