/* Stories: see story.h. */
#include "test/engine/story.h"

#include "page/bytes.h"
#include "test/engine/act.h"

#include <inttypes.h>
#include <stdarg.h>
#include <time.h>

static const char *const names[STORY_TABLES] = {"alpha", "beta", "gamma"};
static const char number_table[] = "number";

/* ---- life ---- */

static void *must_have(void *block)
{
    if (block == NULL)
        abort();
    return block;
}

void story_init(struct story *story, uint64_t seed, uint32_t flags)
{
    *story = (struct story){.random = seed * 2 + 1, .flags = flags, .capacity = 8};
    story->states = must_have(calloc(story->capacity, sizeof *story->states));
    for (int i = 0; i < 4; i++)
        unit_random(&story->random);
}

void story_fork(struct story *to, const struct story *from)
{
    *to = *from;
    to->states = must_have(malloc(to->capacity * sizeof *to->states));
    memcpy(to->states + from->acked, from->states + from->acked,
           (from->begun - from->acked + 1) * sizeof *to->states);
}

void story_destroy(struct story *story)
{
    free(story->states);
    story->states = NULL;
}

uint64_t story_random(struct story *story, uint64_t bound)
{
    return (unit_random(&story->random) >> 20) % bound;
}

void story_fail(struct story *story, const char *format, ...)
{
    va_list args;
    if (story->wrong[0] != 0)
        return;
    va_start(args, format);
    vsnprintf(story->wrong, sizeof story->wrong, format, args);
    va_end(args);
}

void story_ack(struct story *story)
{
    story->acked = story->begun;
    story->told = story->begun;
}

void story_settle(struct story *story, uint32_t number)
{
    story->begun = number;
    story->acked = number;
    story->told = number;
}

struct story_state *story_next_state(struct story *story)
{
    if (story->begun + 2 >= story->capacity) {
        story->capacity *= 2;
        size_t bytes = story->capacity * sizeof *story->states;
        story->states = must_have(realloc(story->states, bytes));
    }
    story->states[story->begun + 1] = story->states[story->begun];
    return &story->states[story->begun + 1];
}

const char *story_table_name(uint32_t table)
{
    return names[table];
}

/* ---- writing ---- */

static enum row_class some_class(struct story *story)
{
    uint64_t r = story_random(story, 100);
    if (r < 60 || (story->flags & STORY_TINY))
        return r < 2 ? ROW_EMPTY : ROW_SMALL;
    if (r < 92)
        return ROW_MIDDLE;
    return r < 98 || !(story->flags & STORY_BIG) ? ROW_PAGE : ROW_PAGES;
}

static uint32_t some_key(struct story *story)
{
    uint32_t keys = story->flags & STORY_TINY ? STORY_TINY_KEYS : STORY_KEYS;
    return (uint32_t)story_random(story, keys);
}

static scn_status put_some(struct act *act, uint32_t table)
{
    uint32_t key = some_key(act->story);
    uint32_t count = (uint32_t)story_random(act->story, 12) == 0 ? 30 : 1;
    scn_status st = SCN_OK;
    for (uint32_t i = key; i < key + count && i < STORY_KEYS && st == SCN_OK; i++)
        st = act_put(act, table, i, some_class(act->story));
    return st;
}

/* More than a record or the write set in memory may hold. */
static scn_status put_bulk(struct act *act, uint32_t table)
{
    uint32_t key = some_key(act->story) / 2;
    uint64_t left = PAGE_IS_SMALL ? 150 << 10 : 600 << 10;
    scn_status st = SCN_OK;
    for (uint32_t i = key; left > 0 && i < STORY_KEYS && st == SCN_OK; i++) {
        bool is_row = PAGE_IS_SMALL && story_random(act->story, 8) != 0;
        st = act_put(act, table, i, is_row ? ROW_MIDDLE : ROW_PAGE);
        uint64_t len = row_value_len(act->state->version[table][i]);
        left = len < left ? left - len : 0;
    }
    return st;
}

static scn_status delete_range(struct act *act, uint32_t table)
{
    uint32_t from = some_key(act->story);
    uint32_t to = from + 1 + (uint32_t)story_random(act->story, 80);
    return act_delete_range(act, table, from, to, story_random(act->story, 2) == 0);
}

static scn_status rename_table(struct act *act, uint32_t table)
{
    uint32_t to = (table + 1) % STORY_TABLES;
    return act->state->exists[to] ? SCN_OK : act_rename(act, table, to);
}

static scn_status change_table(struct act *act, uint32_t table)
{
    uint64_t what = story_random(act->story, 4);
    if (what == 0)
        return act_drop(act, table);
    return what == 1 ? act_clear(act, table) : rename_table(act, table);
}

static scn_status act_once(struct act *act)
{
    struct story *story = act->story;
    uint32_t table = (uint32_t)story_random(story, STORY_TABLES);
    uint64_t what = story_random(story, 100);
    if (!act->state->exists[table])
        return act_create(act, table,
                          story_random(story, 3) == 0 ? SCN_COMPRESS : 0);
    if ((story->flags & STORY_BULK) && what < 6)
        return put_bulk(act, table);
    if (what < 55)
        return put_some(act, table);
    if (what < 75)
        return act_delete(act, table, some_key(story));
    if (what < 82)
        return delete_range(act, table);
    if (what < 90)
        return act_look(act, table, some_key(story));
    return story->flags & STORY_TABLE ? change_table(act, table) : put_some(act, table);
}

static scn_status act_some(struct act *act)
{
    uint64_t count = 1 + story_random(act->story, act->story->flags & STORY_TINY ? 2 : 6);
    scn_status st = SCN_OK;
    for (uint64_t i = 0; i < count && st >= 0; i++)
        st = act_once(act);
    return st;
}

/* Writes that are taken back. */
static scn_status act_in_vain(struct act *act)
{
    struct act_mark *mark = must_have(malloc(sizeof *mark));
    scn_status st = act_mark(act, mark);
    if (st == SCN_OK)
        st = act_some(act);
    if (st >= 0)
        st = act_return(act, mark);
    free(mark);
    return st;
}

static scn_status act_all(struct act *act)
{
    scn_status st = SCN_OK;
    if (story_random(act->story, 3) == 0)
        st = act_add(act, (int64_t)story_random(act->story, 1000));
    if (st >= 0 && story_random(act->story, 6) == 0)
        st = act_in_vain(act);
    if (st >= 0)
        st = act_some(act);
    if (st >= 0 && story_random(act->story, 10) == 0)
        st = act_in_vain(act);
    return st;
}

static uint32_t some_durability(struct story *story)
{
    uint64_t r = story_random(story, 10);
    if (!(story->flags & STORY_LAZY) || r < 6)
        return SCN_SYNC_FULL;
    return r < 7 ? SCN_SYNC_GROUP : SCN_SYNC_LAZY;
}

scn_status story_commit(struct story *story, scn_db *db)
{
    struct act act;
    uint32_t durability = some_durability(story);
    scn_status st = act_begin(&act, story, db);
    if (st >= 0)
        st = act_all(&act);
    return act_end(&act, durability, st);
}

/* ---- reading ---- */

static scn_status read_number(struct story *story, scn_txn *txn, uint32_t *number)
{
    scn_table_id id;
    scn_slice value;
    *number = 0;
    scn_status st = scn_table(txn, number_table, 0, &id);
    if (st == SCN_NOTFOUND)
        return SCN_OK;
    if (st == SCN_OK)
        st = scn_get(txn, id, (scn_slice){"number", 6}, &value);
    if (st < 0)
        return st;
    if (st == SCN_NOTFOUND || value.size != 8) {
        story_fail(story, "there is a table of numbers without a number");
        return SCN_OK;
    }
    uint64_t found = get_u64(value.data);
    if (found > story->begun || found < story->acked)
        story_fail(story, "transaction %" PRIu64 " is the last; %u were acknowledged, %u "
                   "begun", found, story->acked, story->begun);
    *number = (uint32_t)found;
    return SCN_OK;
}

static scn_status check_sum(struct story *story, scn_txn *txn, uint32_t number)
{
    scn_table_id id;
    scn_slice value;
    scn_status st = scn_table(txn, number_table, 0, &id);
    if (st != SCN_OK)
        return st < 0 ? st : SCN_OK;
    st = scn_get(txn, id, (scn_slice){"sum", 3}, &value);
    int64_t sum = st == SCN_OK && value.size == 8 ? (int64_t)get_u64(value.data) : 0;
    if (st >= 0 && sum != story->states[number].sum)
        story_fail(story, "after transaction %u the sum is %" PRId64 ", not %" PRId64,
                   number, sum, story->states[number].sum);
    return st < 0 ? st : SCN_OK;
}

static void say_row(struct story *story, uint32_t number, uint32_t table, uint32_t key,
                    const char *what)
{
    story_fail(story, "after transaction %u row %u of %s %s", number, key, names[table],
               what);
}

/* The next row that the state has, from `key` on. */
static uint32_t next_row(const struct story_state *state, uint32_t table, uint32_t key)
{
    while (key < STORY_KEYS && state->version[table][key] == 0)
        key++;
    return key;
}

static scn_status check_rows(struct story *story, scn_cursor *cursor, uint32_t number,
                             uint32_t table, uint64_t *count)
{
    const struct story_state *state = &story->states[number];
    scn_slice key;
    scn_slice value;
    uint32_t at = next_row(state, table, 0);
    *count = 0;
    scn_status st = scn_first(cursor, &key, &value);
    while (st == SCN_OK && story->wrong[0] == 0) {
        scn_slice wanted = at < STORY_KEYS ? row_key(at) : (scn_slice){NULL, 0};
        if (at == STORY_KEYS) {
            say_row(story, number, table, at, "and more are there");
        } else if (key.size != wanted.size || memcmp(key.data, wanted.data, key.size)) {
            story_fail(story, "after transaction %u %s has row %.*s, not %u", number,
                       names[table], key.size > 60 ? 60 : (int)key.size,
                       (const char *)key.data, at);
        } else if (!row_value_is(state->version[table][at], value)) {
            say_row(story, number, table, at, "is wrong");
        } else {
            ++*count;
            at = next_row(state, table, at + 1);
            st = scn_next(cursor, &key, &value);
        }
    }
    if (st > 0 && at < STORY_KEYS)
        say_row(story, number, table, at, "is missing");
    return st < 0 ? st : SCN_OK;
}

static scn_status check_gets(struct story *story, scn_txn *txn, scn_table_id id,
                             uint32_t number, uint32_t table)
{
    const struct story_state *state = &story->states[number];
    scn_status st = SCN_OK;
    uint32_t end = story->flags & STORY_TINY ? STORY_TINY_KEYS : STORY_KEYS;
    for (uint32_t key = number % 7; key < end && st >= 0; key += 7) {
        scn_slice value;
        uint32_t version = state->version[table][key];
        st = scn_get(txn, id, row_key(key), &value);
        if (st >= 0 && (st == SCN_OK) != (version != 0))
            say_row(story, number, table, key, version ? "is not found" : "is found");
        if (st == SCN_OK && version && !row_value_is(version, value))
            say_row(story, number, table, key, "is got wrong");
    }
    return st < 0 ? st : SCN_OK;
}

static scn_status check_table(struct story *story, scn_txn *txn, uint32_t number,
                              uint32_t table)
{
    scn_table_id id;
    scn_cursor *cursor;
    uint64_t seen;
    uint64_t count;
    scn_status st = scn_table(txn, names[table], 0, &id);
    if (st < 0)
        return st;
    if ((st == SCN_OK) != story->states[number].exists[table])
        story_fail(story, "after transaction %u table %s %s", number, names[table],
                   st == SCN_OK ? "exists" : "does not exist");
    if (st != SCN_OK || story->wrong[0] != 0)
        return SCN_OK;
    st = scn_cursor_open(txn, id, &cursor);
    if (st > 0)
        story_fail(story, "after transaction %u table %s has no cursor", number,
                   names[table]);
    if (st != SCN_OK)
        return st < 0 ? st : SCN_OK;
    st = check_rows(story, cursor, number, table, &seen);
    scn_cursor_close(cursor);
    if (st == SCN_OK)
        st = check_gets(story, txn, id, number, table);
    if (st == SCN_OK)
        st = scn_table_count(txn, id, &count);
    if (st == SCN_OK && count != seen)
        story_fail(story, "after transaction %u table %s has %" PRIu64
                   " rows and counts %" PRIu64, number, names[table], seen, count);
    return st;
}

scn_status story_read_in(struct story *story, scn_txn *txn, uint32_t *number)
{
    scn_status st = read_number(story, txn, number);
    if (st == SCN_OK && story->wrong[0] == 0)
        st = check_sum(story, txn, *number);
    for (uint32_t i = 0; i < STORY_TABLES && st == SCN_OK && story->wrong[0] == 0; i++)
        st = check_table(story, txn, *number, i);
    return st;
}

scn_status story_read(struct story *story, scn_db *db, uint32_t *number)
{
    scn_txn *txn;
    scn_status st = scn_begin(db, SCN_READ, &txn);
    if (st < 0)
        return st;
    st = story_read_in(story, txn, number);
    scn_abort(txn);
    return st;
}

bool story_check(struct story *story, scn_db *db, uint32_t *number)
{
    scn_status st = story_read(story, db, number);
    if (st < 0) {
        scn_error error = {.struct_size = sizeof error};
        scn_last_error(db, &error);
        story_fail(story, "reading says %d: %s", st, error.text);
    }
    return story->wrong[0] == 0;
}

static scn_status take_issue(void *ctx, const scn_issue *issue)
{
    if (issue->kind != SCN_ISSUE_SLOT)
        story_fail(ctx, "the check finds, page %" PRIu64 ", offset %" PRIu64 ": %s",
                   issue->page, issue->offset, issue->text);
    return SCN_OK;
}

bool story_check_file(struct story *story, scn_db *db)
{
    scn_status st = scn_check(db, SCN_CHECK_ALL, take_issue, story, NULL);
    if (st != SCN_OK)
        story_fail(story, "the check says %d", st);
    return story->wrong[0] == 0;
}

/* ---- time ---- */

uint64_t story_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t story_budget_ms(uint64_t usual)
{
    const char *given = getenv("BUDGET_MS");
    return given ? strtoull(given, NULL, 10) : usual;
}
