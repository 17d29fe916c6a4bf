/* The work of the stress: what many writers change in one store, and what must hold in
 * every snapshot of it.
 *
 *     accounts   balances; their sum never changes
 *     pairs      two rows that one transaction always changes together
 *     batches    many rows that one large transaction replaces, all with its stamp
 *     journal    writer and number -> bytes: a row for every commit of a writer, without
 *                a gap
 *     window     writer and number, for the last commits alone: older rows are deleted
 *     counters   how many commits, of each writer and of all
 *
 * What was acknowledged is written down in memory that outlives a killed process. */
#ifndef TEST_MANY_BANK_H
#define TEST_MANY_BANK_H

#include "test/many/party.h"

enum { BANK_WRITERS_MAX = 8192 };

/* begun is written before a commit that may be the first with this number, acknowledged
 * after it returned. */
struct bank_line {
    _Atomic uint32_t begun;
    _Atomic uint32_t acknowledged;
};

/* Shared memory.  The counts are told at the end. */
struct bank_book {
    _Atomic uint32_t writers;
    _Atomic uint64_t commits;
    _Atomic uint64_t retries;
    _Atomic uint64_t refusals; /* SCN_BUSY */
    _Atomic uint64_t looks;
    _Atomic uint64_t opens;
    struct bank_line lines[BANK_WRITERS_MAX];
};

struct bank {
    scn_db *db;
    struct bank_book *book;
    uint64_t dice;
    scn_table_id accounts;
    scn_table_id pairs;
    scn_table_id batches;
    scn_table_id journal;
    scn_table_id window;
    scn_table_id counters;
};

/* All from here on end the process where something is not as it must be. */

/* With everything in it. */
void bank_create(struct bank *bank, const char *path);
/* flags of scn_open; what the dice say is added to them. */
void bank_open(struct bank *bank, const char *path, uint32_t flags);
void bank_close(struct bank *bank);
/* One more commit of this writer. */
void bank_work(struct bank *bank, uint32_t writer);
/* One snapshot, in which everything must fit together, and with everything that was
 * acknowledged before it began. */
void bank_look(struct bank *bank);
/* Nobody works: everything, and every page. */
void bank_audit(struct bank *bank);

#endif
