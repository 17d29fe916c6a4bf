/* Applying an increment to the store that its base was restored to, or is: in one
 * transaction, so that it is there as a whole or not at all.
 *
 * What each table holds is kept up to date as rows come and go (engine/digest.h), so the
 * result is as good as its base was, and whoever reads it all can tell.
 *
 * Every block is judged before it is used, and the transaction is committed when the last
 * one was.  A row that the increment says the base has, and which it has not: the base
 * has been changed. */
#ifndef ENGINE_AMEND_H
#define ENGINE_AMEND_H

#include "engine/ancestry.h"
#include "engine/parcels.h"

/* Into a transaction for writing without tracked reads, which the caller commits or
 * aborts.  SCN_CORRUPT (the increment or the base), and what reading and writing
 * answer. */
scn_status amend(struct scn_txn *txn, struct parcels_in *from) MUST_USE;

#endif
