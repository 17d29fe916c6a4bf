/* An agent's memory in a store: three tables that one transaction changes together.
 *
 *     episodes   time and number -> JSON text of the episode
 *     sources    source -> the episode's key
 *     words      word -> how often, a counter (scn_add): writers of the same word do not
 *                wait for each other */
#ifndef TOOLS_DEMO_MEMORY_H
#define TOOLS_DEMO_MEMORY_H

#include "include/scrine.h"
#include "tools/demo/material.h"

/* Zeroed is closed. */
struct memory {
    scn_db *db;
    scn_table_id episodes;
    scn_table_id sources;
    scn_table_id words;
};

/* "2026-01-31T12:00:00Z/00001234": sorts by time, then number. */
enum { MEMORY_KEY_BYTES = 30 };

/* Creates the file and the tables where they are missing. */
scn_status memory_open(struct memory *memory, const char *path);
scn_status memory_close(struct memory *memory);

void memory_key(const struct material *material, size_t number,
                char key[MEMORY_KEY_BYTES]);
/* The value of an episode; the caller frees it. */
char *memory_value(const struct material *material, size_t number);

/* One durable transaction.  SCN_EXISTS: it is there already, nothing changed. */
scn_status memory_store(struct memory *memory, const struct material *material,
                        size_t number);
/* SCN_OK: the episode and its source are there, byte for byte.  SCN_NOTFOUND: neither
 * is.  SCN_CORRUPT: anything else. */
scn_status memory_verify(struct memory *memory, scn_txn *txn,
                         const struct material *material, size_t number);

/* Prints what the library said about the last failure of this thread; returns 1. */
int memory_fail(const struct memory *memory, const char *what, scn_status st);

#endif
