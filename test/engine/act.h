/* Acts: what one transaction of a story does, to the store and to the story's memory.
 *
 *     struct act act;
 *     scn_status st = act_begin(&act, story, db);
 *     if (st >= 0)
 *         st = act_put(&act, 0, 17, ROW_SMALL);
 *     st = act_end(&act, SCN_SYNC_FULL, st);
 *
 * Each answers what the call of the library did.  An act that failed leaves the memory of
 * its transaction wrong; act_end throws it away then. */
#ifndef TEST_ENGINE_ACT_H
#define TEST_ENGINE_ACT_H

#include "test/engine/row.h"
#include "test/engine/story.h"

struct act {
    struct story *story;
    scn_txn *txn;              /* NULL: it did not begin */
    struct story_state *state; /* as it will be after the transaction */
};

struct act_mark {
    uint32_t savepoint;
    struct story_state state;
};

/* Every transaction writes its number. */
scn_status act_begin(struct act *act, struct story *story, scn_db *db);
/* Commits, or, where st is negative, aborts and answers st.  An unknown outcome counts as
 * begun, one that waited for its sync as acknowledged. */
scn_status act_end(struct act *act, uint32_t durability, scn_status st);

/* A table that exists stays as it is. */
scn_status act_create(struct act *act, uint32_t table, uint32_t flags);
/* Creates the table where it is absent. */
scn_status act_put(struct act *act, uint32_t table, uint32_t key, enum row_class class);
/* Tables that exist: */
scn_status act_delete(struct act *act, uint32_t table, uint32_t key);
/* from <= key < to; `counts` asks how many there were, and compares. */
scn_status act_delete_range(struct act *act, uint32_t table, uint32_t from, uint32_t to,
                            bool counts);
scn_status act_clear(struct act *act, uint32_t table);
scn_status act_drop(struct act *act, uint32_t table);
/* `to` does not exist. */
scn_status act_rename(struct act *act, uint32_t from, uint32_t to);
/* Reads a row, and compares. */
scn_status act_look(struct act *act, uint32_t table, uint32_t key);
scn_status act_add(struct act *act, int64_t more);

scn_status act_mark(struct act *act, struct act_mark *mark);
scn_status act_return(struct act *act, const struct act_mark *mark);

#endif
