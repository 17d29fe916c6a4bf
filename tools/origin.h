/* Which field the keys of a loaded table came from.
 *
 * load remembers it in a table of the file, table name -> field, so that dump can give
 * the same lines back without being told.  It is a convenience: dump proves each row
 * before it trusts the field. */
#ifndef TOOLS_ORIGIN_H
#define TOOLS_ORIGIN_H

#include "tools/text.h"

/* Names with a tilde in front are for what is kept about tables, not for users' rows. */
#define ORIGIN_TABLE "~jsonl"

/* In a write transaction; nothing is written if it is known already. */
scn_status origin_set(scn_txn *txn, const char *table, const char *field);
/* Appends the field and a terminating zero.  SCN_NOTFOUND: never loaded by a field. */
scn_status origin_get(scn_txn *txn, const char *table, struct text *field);

#endif
