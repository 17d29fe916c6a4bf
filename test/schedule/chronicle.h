/* What transactions did, were told, and may have left: a model of serializability.
 *
 * A transaction is a program of a few operations, made by chance before it runs; running
 * it writes down what each operation was told.  Afterwards the same program is run on
 * the model, in the order of the log, and has to be told the same:
 *
 *     a transaction for writing   on the state left by the commits before its own
 *     one for reading, and with   on the state left by the commits up to the LSN
 *     SCN_SNAPSHOT                of its snapshot
 *
 * That is serializability; and as a snapshot is as new as every commit that was
 * acknowledged before it began, it is strict.  The order of the log is that in which
 * records are written, which the simulator sees (`stamp`): it is known of commits, too,
 * that a power cut has kept from being acknowledged.
 *
 * A chronicle begins with a state and covers one life of a store.  For one real thread.
 */
#ifndef TEST_SCHEDULE_CHRONICLE_H
#define TEST_SCHEDULE_CHRONICLE_H

#include "test/schedule/deed.h"

enum { CHRONICLE_DEEDS = 10, CHRONICLE_WRONG_BYTES = 400 };

enum entry_fate {
    FATE_OPEN,       /* begun, or given up without a trace */
    FATE_COMMITTING, /* not answered yet, or never */
    FATE_KEPT,       /* never answered, its process being dead, but in the log */
    FATE_ACKED
};

struct entry {
    uint32_t actor;
    uint32_t number; /* of the actor's transactions for writing */
    bool is_write;
    bool is_snapshot; /* with SCN_SNAPSHOT, or for reading */
    bool is_durable;  /* acknowledged as such */
    enum entry_fate fate;
    uint64_t snapshot_lsn;
    uint64_t lsn;   /* of the commit; 0: not known */
    uint64_t stamp; /* place in the log; 0: nothing is written */
    uint32_t deed_count;
    struct deed deeds[CHRONICLE_DEEDS];
};

struct chronicle {
    struct state base;
    struct entry *entries;
    uint32_t count;
    uint32_t capacity;
    uint64_t last_stamp;
    uint64_t acked_lsn;    /* the highest */
    uint32_t next_version; /* of values */
    uint32_t next_number[DEED_ACTORS];
    /* Of verdict.c: the commits by stamp, and what each leaves; states[0] is the base. */
    struct state *states;
    uint32_t *order;
    uint32_t order_count;
    uint32_t order_capacity;
    uint8_t *values[DEED_ACTORS]; /* being put */
    char wrong[CHRONICLE_WRONG_BYTES]; /* the first thing that was */
};

void chronicle_init(struct chronicle *chronicle);
void chronicle_destroy(struct chronicle *chronicle);
void chronicle_fail(struct chronicle *chronicle, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The tables, empty: before the first life. */
scn_status chronicle_prepare(scn_db *db);

/* ---- while it runs ---- */

/* A program by chance, of an actor; the entry's number stays good, its address does
 * not. */
uint32_t chronicle_plan(struct chronicle *chronicle, uint64_t *random, uint32_t actor,
                      bool is_write, bool is_snapshot);
/* Runs the program of an entry in a transaction that has begun, and writes down what it
 * is told; at the end of a writing one the actor's number is written, too. */
scn_status chronicle_act(struct chronicle *chronicle, uint32_t entry_no, scn_txn *txn);
/* Its snapshot has to have all that was acknowledged before it: acked_lsn, then. */
void chronicle_began(struct chronicle *chronicle, uint32_t entry_no, uint64_t acked_lsn,
                   uint64_t lsn);
/* A record, or part of one, was just written for it. */
void chronicle_stamp(struct chronicle *chronicle, uint32_t entry_no);
void chronicle_acked(struct chronicle *chronicle, uint32_t entry_no, uint64_t lsn,
                   bool is_durable);
/* Everything acknowledged is durable now. */
void chronicle_synced(struct chronicle *chronicle);

/* For whoever looks for the reason of a failure. */
void chronicle_print(const struct chronicle *chronicle);

#endif
