/* Stories: see story.h. */
#include "test/engine/story.h"

#include "page/bytes.h"

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
    *story = (struct story){.random = seed * 2 + 1, .flags = flags, .capacity = 64};
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
}

void story_settle(struct story *story, uint32_t number)
{
    story->begun = number;
    story->acked = number;
}

/* ---- keys and values ---- */

static scn_slice make_key(char buf[48], uint32_t key)
{
    static const char tail[] = "-the-rest-of-a-longer-key";
    int len = snprintf(buf, 48, "%04u%.*s", key, (int)(key % 4 * 8), tail);
    return (scn_slice){buf, (size_t)len};
}

static uint64_t mixed(uint64_t n)
{
    n = (n ^ n >> 31) * UINT64_C(0x9e3779b97f4a7c15);
    n = (n ^ n >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
    return n ^ n >> 32;
}

/* The low bits of a version say of which class its length is. */
enum length_class { LENGTH_SMALL, LENGTH_ROW, LENGTH_PAGE, LENGTH_PAGES, LENGTH_CLASSES };

static size_t value_len(uint32_t version)
{
    uint64_t r = mixed(version) >> 8;
    switch (version % LENGTH_CLASSES) {
    case LENGTH_SMALL:
        return r % 40;
    case LENGTH_ROW:
        return 300 + r % 1200;
    case LENGTH_PAGE:
        return PAGE_BYTES / 2 + r % PAGE_BYTES;
    default:
        return PAGE_BYTES * (2 + r % 46);
    }
}

/* Half of the versions compress well. */
static uint8_t value_byte(uint32_t version, size_t at)
{
    size_t step = version / LENGTH_CLASSES % 2 ? at / 64 : at;
    return (uint8_t)mixed((uint64_t)version << 32 | step);
}

static scn_slice make_value(uint32_t version)
{
    size_t len = value_len(version);
    uint8_t *bytes = must_have(malloc(len + 1));
    for (size_t i = 0; i < len; i++)
        bytes[i] = value_byte(version, i);
    return (scn_slice){bytes, len};
}

static bool value_is(uint32_t version, scn_slice value)
{
    const uint8_t *bytes = value.data;
    if (value.size != value_len(version))
        return false;
    for (size_t i = 0; i < value.size; i++)
        if (bytes[i] != value_byte(version, i))
            return false;
    return true;
}

static uint32_t new_version(struct story *story, enum length_class class)
{
    uint32_t version = ++story->next_version * LENGTH_CLASSES + class;
    return version;
}

static enum length_class some_class(struct story *story)
{
    uint64_t r = story_random(story, 100);
    if (r < 60 || (story->flags & STORY_TINY))
        return LENGTH_SMALL;
    if (r < 92)
        return LENGTH_ROW;
    return r < 98 || !(story->flags & STORY_BIG) ? LENGTH_PAGE : LENGTH_PAGES;
}

/* ---- writing ---- */

struct act {
    struct story *story;
    scn_txn *txn;
    struct story_state *state;
};

static uint32_t some_key(struct story *story)
{
    return (uint32_t)story_random(story, story->flags & STORY_TINY ? 24 : STORY_KEYS);
}

static scn_status put(struct act *act, uint32_t table, uint32_t key,
                      enum length_class class)
{
    char buf[48];
    scn_table_id id;
    uint32_t version = new_version(act->story, class);
    scn_status st = scn_table(act->txn, names[table], 0, &id);
    if (st != SCN_OK)
        return st;
    scn_slice value = make_value(version);
    uint32_t flags = story_random(act->story, 8) == 0 ? SCN_PUT_BLIND : 0;
    st = scn_put(act->txn, id, make_key(buf, key), value, flags);
    free((void *)value.data);
    act->state->version[table][key] = version;
    return st;
}

static scn_status put_some(struct act *act, uint32_t table)
{
    uint32_t key = some_key(act->story);
    uint32_t count = (uint32_t)story_random(act->story, 12) == 0 ? 30 : 1;
    scn_status st = SCN_OK;
    for (uint32_t i = key; i < key + count && i < STORY_KEYS && st == SCN_OK; i++)
        st = put(act, table, i, some_class(act->story));
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
        enum length_class class = is_row ? LENGTH_ROW : LENGTH_PAGE;
        st = put(act, table, i, class);
        uint64_t len = value_len(act->state->version[table][i]);
        left = len < left ? left - len : 0;
    }
    return st;
}

static scn_status delete_one(struct act *act, uint32_t table)
{
    char buf[48];
    scn_table_id id;
    uint32_t key = some_key(act->story);
    scn_status st = scn_table(act->txn, names[table], 0, &id);
    if (st == SCN_OK)
        st = scn_del(act->txn, id, make_key(buf, key));
    act->state->version[table][key] = 0;
    return st;
}

static scn_status delete_range(struct act *act, uint32_t table)
{
    char from_buf[48];
    char to_buf[48];
    scn_table_id id;
    uint64_t removed;
    uint64_t expected = 0;
    uint32_t from = some_key(act->story);
    uint32_t to = from + 1 + (uint32_t)story_random(act->story, 80);
    bool counts = story_random(act->story, 2) == 0;
    scn_slice end = {NULL, 0};
    if (to < STORY_KEYS)
        end = make_key(to_buf, to);
    else
        to = STORY_KEYS;
    scn_status st = scn_table(act->txn, names[table], 0, &id);
    if (st == SCN_OK)
        st = scn_del_range(act->txn, id, make_key(from_buf, from), end,
                           counts ? &removed : NULL);
    for (uint32_t i = from; i < to; i++) {
        expected += act->state->version[table][i] != 0;
        act->state->version[table][i] = 0;
    }
    if (st == SCN_OK && counts && removed != expected)
        story_fail(act->story, "a deleted range of %s had %" PRIu64 " rows, not %" PRIu64,
                   names[table], expected, removed);
    return st;
}

static scn_status drop_or_clear(struct act *act, uint32_t table)
{
    scn_table_id id;
    scn_status st = scn_table(act->txn, names[table], 0, &id);
    bool drops = story_random(act->story, 2) == 0;
    if (st == SCN_OK)
        st = drops ? scn_table_drop(act->txn, id) : scn_table_clear(act->txn, id);
    act->state->exists[table] = !drops;
    memset(act->state->version[table], 0, sizeof act->state->version[table]);
    return st;
}

static scn_status rename_table(struct act *act, uint32_t table)
{
    scn_table_id id;
    uint32_t to = (table + 1) % STORY_TABLES;
    if (act->state->exists[to])
        return SCN_OK;
    scn_status st = scn_table(act->txn, names[table], 0, &id);
    if (st == SCN_OK)
        st = scn_table_rename(act->txn, id, names[to]);
    act->state->exists[table] = false;
    act->state->exists[to] = true;
    memcpy(act->state->version[to], act->state->version[table],
           sizeof act->state->version[to]);
    memset(act->state->version[table], 0, sizeof act->state->version[table]);
    return st;
}

static scn_status create_table(struct act *act, uint32_t table)
{
    scn_table_id id;
    act->state->exists[table] = true;
    uint32_t flags = story_random(act->story, 3) == 0 ? SCN_COMPRESS : 0;
    return scn_table(act->txn, names[table], SCN_CREATE | flags, &id);
}

/* The transaction sees what it has written itself. */
static scn_status look(struct act *act, uint32_t table)
{
    char buf[48];
    scn_slice value;
    scn_table_id id;
    uint32_t key = some_key(act->story);
    uint32_t version = act->state->version[table][key];
    scn_status st = scn_table(act->txn, names[table], 0, &id);
    if (st == SCN_OK)
        st = scn_get(act->txn, id, make_key(buf, key), &value);
    if (st < 0)
        return st;
    if (st != (version ? SCN_OK : SCN_NOTFOUND) || (version && !value_is(version, value)))
        story_fail(act->story, "a transaction does not see its row %u of %s", key,
                   names[table]);
    return SCN_OK;
}

static scn_status act_once(struct act *act)
{
    struct story *story = act->story;
    uint32_t table = (uint32_t)story_random(story, STORY_TABLES);
    uint64_t what = story_random(story, 100);
    if (!act->state->exists[table])
        return create_table(act, table);
    if ((story->flags & STORY_BULK) && what < 6)
        return put_bulk(act, table);
    if (what < 55)
        return put_some(act, table);
    if (what < 75)
        return delete_one(act, table);
    if (what < 82)
        return delete_range(act, table);
    if (what < 90)
        return look(act, table);
    if (!(story->flags & STORY_TABLE))
        return put_some(act, table);
    return what < 95 ? drop_or_clear(act, table) : rename_table(act, table);
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
    struct story_state *before = must_have(malloc(sizeof *before));
    uint32_t savepoint;
    *before = *act->state;
    scn_status st = scn_savepoint(act->txn, &savepoint);
    if (st == SCN_OK)
        st = act_some(act);
    if (st >= 0)
        st = scn_rollback_to(act->txn, savepoint);
    *act->state = *before;
    free(before);
    return st;
}

static scn_status write_number(struct act *act, uint32_t number)
{
    scn_table_id id;
    uint8_t bytes[8];
    int64_t more = (int64_t)story_random(act->story, 1000);
    put_u64(bytes, number);
    scn_status st = scn_table(act->txn, number_table, SCN_CREATE, &id);
    if (st >= 0)
        st = scn_put(act->txn, id, (scn_slice){"number", 6}, (scn_slice){bytes, 8}, 0);
    if (st < 0 || story_random(act->story, 3) != 0)
        return st;
    act->state->sum += more;
    return scn_add(act->txn, id, (scn_slice){"sum", 3}, more, INT64_MIN, INT64_MAX);
}

static scn_status act_all(struct act *act, uint32_t number)
{
    scn_status st = write_number(act, number);
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

static void make_room(struct story *story)
{
    if (story->begun + 2 < story->capacity)
        return;
    story->capacity *= 2;
    story->states =
        must_have(realloc(story->states, story->capacity * sizeof *story->states));
}

scn_status story_commit(struct story *story, scn_db *db)
{
    struct act act = {.story = story};
    make_room(story);
    act.state = &story->states[story->begun + 1];
    *act.state = story->states[story->begun];
    uint32_t durability = some_durability(story);
    scn_status st = scn_begin(db, SCN_WRITE, &act.txn);
    if (st < 0)
        return st;
    st = act_all(&act, story->begun + 1);
    if (st >= 0)
        st = scn_set_durability(act.txn, durability);
    if (st < 0) {
        scn_abort(act.txn);
        return st;
    }
    story->begun++;
    st = scn_commit(act.txn);
    if (st < 0 && st != SCN_UNKNOWN)
        story->begun--;
    if (st == SCN_OK && durability != SCN_SYNC_LAZY)
        story_ack(story);
    return st;
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
    char buf[48];
    uint32_t at = next_row(state, table, 0);
    *count = 0;
    scn_status st = scn_first(cursor, &key, &value);
    while (st == SCN_OK && story->wrong[0] == 0) {
        scn_slice wanted = make_key(buf, at);
        if (at == STORY_KEYS) {
            say_row(story, number, table, at, "and more are there");
        } else if (key.size != wanted.size || memcmp(key.data, wanted.data, key.size)) {
            story_fail(story, "after transaction %u %s has row %.*s, not %u", number,
                       names[table], key.size > 60 ? 60 : (int)key.size,
                       (const char *)key.data, at);
        } else if (!value_is(state->version[table][at], value)) {
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
    for (uint32_t key = number % 7; key < STORY_KEYS && st >= 0; key += 7) {
        char buf[48];
        scn_slice value;
        uint32_t version = state->version[table][key];
        st = scn_get(txn, id, make_key(buf, key), &value);
        if (st >= 0 && (st == SCN_OK) != (version != 0))
            say_row(story, number, table, key, version ? "is not found" : "is found");
        if (st == SCN_OK && version && !value_is(version, value))
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
