/* Acts: see act.h. */
#include "test/engine/act.h"

#include "page/bytes.h"

#include <inttypes.h>

static const char number_table[] = "number";

/* ---- transactions ---- */

static scn_status write_number(struct act *act, uint32_t number)
{
    scn_table_id id;
    uint8_t bytes[8];
    put_u64(bytes, number);
    scn_status st = scn_table(act->txn, number_table, SCN_CREATE, &id);
    if (st < 0)
        return st;
    return scn_put(act->txn, id, (scn_slice){"number", 6}, (scn_slice){bytes, 8}, 0);
}

scn_status act_begin(struct act *act, struct story *story, scn_db *db)
{
    *act = (struct act){.story = story, .state = story_next_state(story)};
    scn_status st = scn_begin(db, SCN_WRITE, &act->txn);
    if (st < 0) {
        act->txn = NULL;
        return st;
    }
    return write_number(act, story->begun + 1);
}

scn_status act_end(struct act *act, uint32_t durability, scn_status st)
{
    struct story *story = act->story;
    if (act->txn == NULL)
        return st;
    if (st >= 0)
        st = scn_set_durability(act->txn, durability);
    if (st < 0) {
        scn_abort(act->txn);
        return st;
    }
    story->begun++;
    st = scn_commit(act->txn);
    if (st < 0 && st != SCN_UNKNOWN)
        story->begun--;
    if (st == SCN_OK)
        story->told = story->begun;
    if (st == SCN_OK && durability != SCN_SYNC_LAZY)
        story_ack(story);
    return st;
}

/* ---- tables ---- */

static scn_status bind(struct act *act, uint32_t table, scn_table_id *id)
{
    return scn_table(act->txn, story_table_name(table), 0, id);
}

scn_status act_create(struct act *act, uint32_t table, uint32_t flags)
{
    scn_table_id id;
    act->state->exists[table] = true;
    return scn_table(act->txn, story_table_name(table), SCN_CREATE | flags, &id);
}

static void forget_rows(struct act *act, uint32_t table)
{
    memset(act->state->version[table], 0, sizeof act->state->version[table]);
}

scn_status act_clear(struct act *act, uint32_t table)
{
    scn_table_id id;
    scn_status st = bind(act, table, &id);
    forget_rows(act, table);
    return st == SCN_OK ? scn_table_clear(act->txn, id) : st;
}

scn_status act_drop(struct act *act, uint32_t table)
{
    scn_table_id id;
    scn_status st = bind(act, table, &id);
    forget_rows(act, table);
    act->state->exists[table] = false;
    return st == SCN_OK ? scn_table_drop(act->txn, id) : st;
}

scn_status act_rename(struct act *act, uint32_t from, uint32_t to)
{
    scn_table_id id;
    scn_status st = bind(act, from, &id);
    if (st == SCN_OK)
        st = scn_table_rename(act->txn, id, story_table_name(to));
    act->state->exists[from] = false;
    act->state->exists[to] = true;
    memcpy(act->state->version[to], act->state->version[from],
           sizeof act->state->version[to]);
    forget_rows(act, from);
    return st;
}

/* ---- rows ---- */

scn_status act_put(struct act *act, uint32_t table, uint32_t key, enum row_class class)
{
    struct story *story = act->story;
    scn_table_id id;
    uint32_t version = ++story->next_version * ROW_CLASSES + class;
    uint32_t flags = version / ROW_CLASSES % 8 == 0 ? SCN_PUT_BLIND : 0;
    scn_status st = scn_table(act->txn, story_table_name(table), SCN_CREATE, &id);
    if (st < 0)
        return st;
    scn_slice value = row_value(version);
    st = scn_put(act->txn, id, row_key(key), value, flags);
    free((void *)value.data);
    act->state->exists[table] = true;
    act->state->version[table][key] = version;
    return st;
}

scn_status act_delete(struct act *act, uint32_t table, uint32_t key)
{
    scn_table_id id;
    scn_status st = bind(act, table, &id);
    act->state->version[table][key] = 0;
    return st == SCN_OK ? scn_del(act->txn, id, row_key(key)) : st;
}

/* How many there were. */
static uint64_t forget_range(struct act *act, uint32_t table, uint32_t from, uint32_t to)
{
    uint64_t count = 0;
    for (uint32_t i = from; i < to; i++) {
        count += act->state->version[table][i] != 0;
        act->state->version[table][i] = 0;
    }
    return count;
}

scn_status act_delete_range(struct act *act, uint32_t table, uint32_t from, uint32_t to,
                            bool counts)
{
    scn_table_id id;
    uint64_t removed;
    scn_slice end = to < STORY_KEYS ? row_key(to) : (scn_slice){NULL, 0};
    scn_status st = bind(act, table, &id);
    if (st == SCN_OK)
        st = scn_del_range(act->txn, id, row_key(from), end, counts ? &removed : NULL);
    uint64_t expected = forget_range(act, table, from, to < STORY_KEYS ? to : STORY_KEYS);
    if (st == SCN_OK && counts && removed != expected)
        story_fail(act->story, "a deleted range of %s had %" PRIu64 " rows, not %" PRIu64,
                   story_table_name(table), expected, removed);
    return st;
}

scn_status act_look(struct act *act, uint32_t table, uint32_t key)
{
    scn_slice value;
    scn_table_id id;
    uint32_t version = act->state->version[table][key];
    scn_status st = bind(act, table, &id);
    if (st == SCN_OK)
        st = scn_get(act->txn, id, row_key(key), &value);
    if (st < 0)
        return st;
    if (st != (version ? SCN_OK : SCN_NOTFOUND) ||
        (version && !row_value_is(version, value)))
        story_fail(act->story, "a transaction does not see its row %u of %s", key,
                   story_table_name(table));
    return SCN_OK;
}

scn_status act_add(struct act *act, int64_t more)
{
    scn_table_id id;
    scn_status st = scn_table(act->txn, number_table, SCN_CREATE, &id);
    act->state->sum += more;
    if (st < 0)
        return st;
    return scn_add(act->txn, id, (scn_slice){"sum", 3}, more, INT64_MIN, INT64_MAX);
}

/* ---- savepoints ---- */

scn_status act_mark(struct act *act, struct act_mark *mark)
{
    mark->state = *act->state;
    return scn_savepoint(act->txn, &mark->savepoint);
}

scn_status act_return(struct act *act, const struct act_mark *mark)
{
    *act->state = mark->state;
    return scn_rollback_to(act->txn, mark->savepoint);
}
