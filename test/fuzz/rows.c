/* Transactions on a store, and the same on a model (test/fuzz/model.h).
 *
 * Up to four transactions are open side by side, for reading and for writing; each step
 * of the input is one call of one of them, or a checkpoint, a check, an opening anew.
 * Every answer is compared at once.
 *
 * An input need not begin at the beginning: its first byte may ask for a store that
 * chance has filled (struct ready), so that a few steps are enough to get far.
 *
 *     store u8 | steps: who u8, what u8, then what the step asks for */
#include "engine/store.h"
#include "test/fuzz/feed.h"
#include "test/fuzz/model.h"
#include "test/fuzz/stage.h"
#include "test/fuzz/target.h"
#include "test/unit/unit.h"
#include "wal/record.h"

#include <stdlib.h>

enum { ACTORS = 4, STEPS_MAX = 64, FILLS_MAX = 2, KEY_ROOM = 260, VALUE_ROOM = 20000 };

static const char *const names[MODEL_TABLES] = {"first", "second", "third"};

struct actor {
    scn_txn *txn; /* NULL: none is open */
    struct model_txn model;
    uint32_t savepoints[MODEL_SAVEPOINTS];
    /* An addition of its cannot be made on top of its snapshot: all that is left is to
     * commit, since reading the counter is refused as well. */
    bool is_doomed;
    bool must_fail; /* whatever others commit */
    size_t record_bytes; /* range deletions and runs have to fit one record */
};

struct play {
    struct feed feed;
    struct sys *sys;
    scn_db *db;
    struct model model;
    struct actor actors[ACTORS];
    uint64_t next_number;
    uint32_t fills; /* that may still come: each costs as much as a hundred other steps */
};

static void check(scn_status st, scn_status expected, const char *what)
{
    scn_error error = {.struct_size = sizeof error};
    if (st == expected)
        return;
    scn_last_error(NULL, &error);
    fuzz_fail(__FILE__, __LINE__, "%s says %d, not %d: %s", what, st, expected,
              st < 0 ? error.text : "");
}

/* ---- bytes ---- */

/* In the order of their numbers.  Each table has keys of another shape: short ones; a
 * long prefix and long tails; each the beginning of the next. */
static scn_slice key_bytes(uint32_t table, uint32_t key, uint8_t buf[KEY_ROOM])
{
    size_t len = 0;
    if (table == 0) {
        buf[len++] = (uint8_t)(key * 6);
        if (key % 3 == 0)
            buf[len++] = (uint8_t)(255 - key);
    } else if (table == 1) {
        memset(buf, 'p', 100);
        len = 100;
        buf[len++] = (uint8_t)('0' + key);
        memset(buf + len, 'x', key % 4 * 37);
        len += key % 4 * 37;
    } else {
        memset(buf, 0xfe, key + 1);
        len = key + 1;
    }
    return (scn_slice){buf, len};
}

static scn_slice value_bytes(struct model_row row, uint8_t buf[VALUE_ROOM])
{
    memset(buf, (int)(row.number * 31), row.size);
    memcpy(buf, &row.number, row.size < 8 ? row.size : 8);
    return (scn_slice){buf, row.size};
}

static void check_value(scn_slice value, const struct model_row *row, const char *what)
{
    static uint8_t expected[VALUE_ROOM];
    if (value.size != row->size)
        fuzz_fail(__FILE__, __LINE__, "%s: a value of %zu bytes, not %u", what,
                  value.size, row->size);
    scn_slice bytes = value_bytes(*row, expected);
    if (value.size > 0 && memcmp(value.data, bytes.data, value.size) != 0)
        fuzz_fail(__FILE__, __LINE__, "%s: a wrong value of %zu bytes", what, value.size);
}

static struct model_row some_row(struct play *play, uint32_t key)
{
    static const uint32_t sizes[] = {8, 0, 3, 20, 100, 287, 289, 63, 64, 700, 1025, 4000,
                                     9000, 40, 12, VALUE_ROOM};
    uint32_t size = sizes[feed_u8(&play->feed) % (sizeof sizes / sizeof *sizes)];
    if (key < MODEL_COUNTERS)
        return (struct model_row){8, feed_u8(&play->feed)};
    return (struct model_row){size, play->next_number++ * 0x101};
}

static scn_status found(const struct model_row *row)
{
    return row->size == MODEL_ABSENT ? SCN_NOTFOUND : SCN_OK;
}

/* ---- reading ---- */

struct at {
    struct actor *actor;
    uint32_t table;
    uint32_t key;
    scn_table_id id;
    const struct model_table *now;
    uint8_t buf[KEY_ROOM];
    scn_slice bytes;
};

static void see(const struct at *at, uint32_t from, uint32_t to)
{
    for (uint32_t key = from; key <= to && key < MODEL_KEYS; key++)
        model_saw(&at->actor->model, at->table, UINT64_C(1) << key);
}

static void get(struct play *play, struct at *at)
{
    scn_slice value;
    const struct model_row *row = &at->now->rows[at->key];
    uint32_t flags = feed_u8(&play->feed) % 8 == 7 ? SCN_UNTRACKED : 0;
    scn_status st = scn_get_flags(at->actor->txn, at->id, at->bytes, flags, &value);
    check(st, found(row), "a get");
    if (flags == 0)
        see(at, at->key, at->key);
    if (st == SCN_OK)
        check_value(value, row, "a get");
}

static void get_many(struct play *play, struct at *at)
{
    enum { MANY = 20 };
    static uint8_t bufs[MANY][KEY_ROOM];
    scn_slice keys[MANY];
    scn_slice values[MANY];
    scn_status statuses[MANY];
    uint32_t numbers[MANY];
    uint32_t count = 1 + feed_below(&play->feed, MANY);
    uint32_t apart = feed_below(&play->feed, MODEL_KEYS);
    for (uint32_t i = 0; i < count; i++) {
        numbers[i] = (at->key + i * apart) % MODEL_KEYS;
        keys[i] = key_bytes(at->table, numbers[i], bufs[i]);
    }
    check(scn_get_many(at->actor->txn, at->id, keys, count, values, statuses), SCN_OK,
          "a get of many");
    for (uint32_t i = 0; i < count; i++) {
        const struct model_row *row = &at->now->rows[numbers[i]];
        see(at, numbers[i], numbers[i]);
        check(statuses[i], found(row), "one of many");
        if (statuses[i] == SCN_OK)
            check_value(values[i], row, "one of many");
    }
}

static void read_part(struct play *play, struct at *at)
{
    static uint8_t part[VALUE_ROOM];
    static uint8_t whole[VALUE_ROOM];
    size_t got = 0;
    uint64_t size = 0;
    const struct model_row *row = &at->now->rows[at->key];
    uint32_t off = feed_u16(&play->feed) % (VALUE_ROOM + 10);
    uint32_t len = feed_u16(&play->feed) % VALUE_ROOM;
    scn_status st = scn_read_at(at->actor->txn, at->id, at->bytes, off, part, len, &got);
    check(st, found(row), "reading a part");
    check(scn_value_size(at->actor->txn, at->id, at->bytes, &size), found(row), "a size");
    see(at, at->key, at->key);
    if (st != SCN_OK)
        return;
    scn_slice bytes = value_bytes(*row, whole);
    size_t left = off < bytes.size ? bytes.size - off : 0;
    FUZZ_CHECK(size == row->size);
    FUZZ_CHECK(got == (left < len ? left : len));
    FUZZ_CHECK(got == 0 || memcmp(part, whole + off, got) == 0);
}

static uint64_t count_rows(const struct model_table *table)
{
    uint64_t count = 0;
    for (int i = 0; i < MODEL_KEYS; i++)
        count += table->rows[i].size != MODEL_ABSENT;
    return count;
}

static void count(struct at *at)
{
    uint64_t rows = 0;
    scn_table_stat stat = {.struct_size = sizeof stat};
    check(scn_table_count(at->actor->txn, at->id, &rows), SCN_OK, "a count");
    check(scn_table_info(at->actor->txn, at->id, &stat), SCN_OK, "a table's counts");
    see(at, 0, MODEL_KEYS - 1);
    FUZZ_CHECK(rows == count_rows(at->now) && stat.count == rows);
}

/* ---- cursors ---- */

struct walk {
    scn_cursor *cursor;
    int low; /* bounds: low <= key < high */
    int high;
    int on; /* the row it stands on; -1: none */
};

/* The nearest row from `key` on. */
static int nearest(const struct at *at, const struct walk *walk, int key, int step)
{
    if (step > 0 && key < walk->low)
        key = walk->low;
    if (step < 0 && key >= walk->high)
        key = walk->high - 1;
    for (; key >= walk->low && key < walk->high; key += step)
        if (at->now->rows[key].size != MODEL_ABSENT)
            return key;
    return -1;
}

static void see_between(const struct at *at, int from, int to)
{
    int low = from < to ? from : to;
    int high = from < to ? to : from;
    see(at, (uint32_t)(low < 0 ? 0 : low), (uint32_t)(high < 0 ? 0 : high));
}

/* The cursor has answered a step from `from` that should have led to row `wanted`. */
static void check_step(struct at *at, struct walk *walk, int from, int wanted,
                       scn_status st, scn_slice key, scn_slice value)
{
    uint8_t buf[KEY_ROOM];
    check(st, wanted < 0 ? SCN_END : SCN_OK, "a cursor");
    if (wanted < 0) {
        FUZZ_CHECK(key.size == 0 && value.size == 0);
        return;
    }
    scn_slice expected = key_bytes(at->table, (uint32_t)wanted, buf);
    FUZZ_CHECK(key.size == expected.size);
    FUZZ_CHECK(memcmp(key.data, expected.data, key.size) == 0);
    check_value(value, &at->now->rows[wanted], "a cursor");
    walk->on = wanted;
    if (from >= walk->low && from < walk->high)
        see_between(at, from, wanted);
    else
        see_between(at, wanted, wanted);
}

static void set_bounds(struct play *play, struct at *at, struct walk *walk)
{
    uint8_t low_buf[KEY_ROOM];
    uint8_t high_buf[KEY_ROOM];
    uint8_t which = feed_u8(&play->feed);
    int low = (int)feed_below(&play->feed, MODEL_KEYS);
    int high = (int)feed_below(&play->feed, MODEL_KEYS);
    scn_slice from = key_bytes(at->table, (uint32_t)low, low_buf);
    scn_slice to = key_bytes(at->table, (uint32_t)high, high_buf);
    check(scn_cursor_bounds(walk->cursor, which & 1 ? &from : NULL,
                            which & 2 ? &to : NULL),
          SCN_OK, "bounds");
    walk->low = which & 1 ? low : 0;
    walk->high = which & 2 ? high : MODEL_KEYS;
    walk->on = -1;
}

static void seek(struct play *play, struct at *at, struct walk *walk)
{
    uint8_t buf[KEY_ROOM];
    scn_slice key;
    scn_slice value;
    int op = (int)feed_below(&play->feed, 5);
    int to = (int)feed_below(&play->feed, MODEL_KEYS);
    int step = op == SCN_LE || op == SCN_LT ? -1 : 1;
    int from = op == SCN_GT || op == SCN_LT ? to + step : to;
    scn_status st = scn_seek(walk->cursor, key_bytes(at->table, (uint32_t)to, buf), op,
                             &key, &value);
    walk->on = -1;
    int wanted = nearest(at, walk, from, step);
    if (op == SCN_EQ && wanted != to) {
        check(st, SCN_NOTFOUND, "a seek of one key");
        return;
    }
    check_step(at, walk, from, wanted, st, key, value);
}

static void edge(struct at *at, struct walk *walk, bool first)
{
    scn_slice key;
    scn_slice value;
    int from = first ? walk->low : walk->high - 1;
    scn_status st = first ? scn_first(walk->cursor, &key, &value)
                          : scn_last(walk->cursor, &key, &value);
    walk->on = -1;
    check_step(at, walk, from, nearest(at, walk, from, first ? 1 : -1), st, key, value);
}

static void move(struct at *at, struct walk *walk, int step)
{
    scn_slice key;
    scn_slice value;
    int from = walk->on >= 0 ? walk->on + step : step > 0 ? walk->low : walk->high - 1;
    scn_status st = step > 0 ? scn_next(walk->cursor, &key, &value)
                             : scn_prev(walk->cursor, &key, &value);
    check_step(at, walk, from, nearest(at, walk, from, step), st, key, value);
}

/* The cursor sees what its transaction writes under it. */
static void write_under(struct play *play, struct at *at)
{
    static uint8_t bytes[VALUE_ROOM];
    uint8_t buf[KEY_ROOM];
    struct model_txn *model = &at->actor->model;
    uint32_t key = feed_below(&play->feed, MODEL_KEYS);
    scn_slice slice = key_bytes(at->table, key, buf);
    if (!model->is_writing)
        return;
    if (feed_u8(&play->feed) & 1) {
        struct model_row row = some_row(play, key);
        check(scn_put(at->actor->txn, at->id, slice, value_bytes(row, bytes), 0), SCN_OK,
              "a put under a cursor");
        model_put(model, at->table, key, row, false);
    } else {
        scn_status expected = found(&at->now->rows[key]);
        check(scn_del(at->actor->txn, at->id, slice), expected,
              "a deletion under a cursor");
        see(at, key, key);
        if (expected == SCN_OK)
            model_remove(model, at->table, UINT64_C(1) << key);
    }
}

static void use_cursor(struct play *play, struct at *at)
{
    struct walk walk = {.high = MODEL_KEYS, .on = -1};
    uint32_t moves = feed_below(&play->feed, 24);
    check(scn_cursor_open(at->actor->txn, at->id, &walk.cursor), SCN_OK,
          "opening a cursor");
    for (uint32_t i = 0; i <= moves; i++) {
        uint32_t what = feed_below(&play->feed, 16);
        if (what < 6)
            move(at, &walk, 1);
        else if (what < 10)
            move(at, &walk, -1);
        else if (what < 12)
            seek(play, at, &walk);
        else if (what < 14)
            edge(at, &walk, what == 12);
        else if (what == 14)
            set_bounds(play, at, &walk);
        else
            write_under(play, at);
    }
    scn_cursor_close(walk.cursor);
}

/* ---- writing ---- */

static void put(struct play *play, struct at *at)
{
    static uint8_t bytes[VALUE_ROOM];
    static const uint32_t flag_of[] = {0, 0, 0, SCN_PUT_NEW, SCN_PUT_BLIND, SCN_PUT_SAME};
    struct model_txn *model = &at->actor->model;
    const struct model_row *old = &at->now->rows[at->key];
    uint32_t flags = flag_of[feed_below(&play->feed, 6)];
    struct model_row row = some_row(play, at->key);
    if (flags == SCN_PUT_SAME && feed_u8(&play->feed) % 2 && old->size != MODEL_ABSENT)
        row = *old;
    scn_status st = scn_put(at->actor->txn, at->id, at->bytes, value_bytes(row, bytes),
                            flags);
    bool is_there = old->size != MODEL_ABSENT;
    if (flags == SCN_PUT_NEW)
        see(at, at->key, at->key);
    check(st, flags == SCN_PUT_NEW && is_there ? SCN_EXISTS : SCN_OK, "a put");
    if (st != SCN_OK)
        return;
    bool is_same = is_there && row.size == old->size && row.number == old->number;
    if (flags == SCN_PUT_SAME && is_same)
        return;
    model_put(model, at->table, at->key, row,
              flags == SCN_PUT_BLIND || (flags == SCN_PUT_SAME && !is_there));
}

static void add(struct play *play, struct at *at)
{
    static const int64_t bounds[][2] = {
        {INT64_MIN, INT64_MAX}, {0, 300}, {-20, 20}, {0, INT64_MAX}};
    uint8_t shape = feed_u8(&play->feed);
    int64_t delta = (int8_t)feed_u8(&play->feed);
    const int64_t *bound = bounds[shape % 4];
    at->key %= MODEL_COUNTERS;
    at->bytes = key_bytes(at->table, at->key, at->buf);
    if (shape >= 250)
        delta = INT64_MAX - (delta & 127);
    bool is_put = at->actor->model.writes.put[at->table] >> at->key & 1;
    scn_status st = scn_add(at->actor->txn, at->id, at->bytes, delta, bound[0], bound[1]);
    bool is_fine = model_add(&at->actor->model, at->table, at->key, delta, bound[0],
                             bound[1]);
    /* A counter that the transaction has deleted, and perhaps added to since, may be
     * remembered or not: it is told now or by the commit. */
    at->actor->must_fail = !is_fine && st == SCN_OK && !is_put;
    if (!at->actor->must_fail)
        check(st, is_fine ? SCN_OK : SCN_TOOBIG, "an addition");
    const struct model before = {.state = at->actor->model.snapshot};
    at->actor->is_doomed = at->actor->must_fail ||
                           model_is_out_of_bounds(&before, &at->actor->model);
}

static void del(struct at *at)
{
    const struct model_row *row = &at->now->rows[at->key];
    scn_status expected = found(row);
    check(scn_del(at->actor->txn, at->id, at->bytes), expected, "a deletion");
    see(at, at->key, at->key);
    if (expected == SCN_OK)
        model_remove(&at->actor->model, at->table, UINT64_C(1) << at->key);
}

static void del_range(struct play *play, struct at *at)
{
    uint8_t buf[KEY_ROOM];
    uint64_t removed = 0;
    uint64_t expected = 0;
    uint64_t keys = 0;
    uint8_t which = feed_u8(&play->feed);
    uint32_t to = feed_below(&play->feed, MODEL_KEYS);
    uint32_t low = which & 1 ? at->key : 0;
    uint32_t high = which & 2 ? to : MODEL_KEYS;
    scn_slice none = {NULL, 0};
    scn_status st = scn_del_range(at->actor->txn, at->id, which & 1 ? at->bytes : none,
                                  which & 2 ? key_bytes(at->table, to, buf) : none,
                                  which & 4 ? &removed : NULL);
    check(st, SCN_OK, "deleting a range");
    for (uint32_t key = low; key < high; key++) {
        keys |= UINT64_C(1) << key;
        expected += at->now->rows[key].size != MODEL_ABSENT;
    }
    FUZZ_CHECK(!(which & 4) || removed == expected);
    at->actor->record_bytes += 2 * KEY_ROOM;
    if (expected > 0)
        model_remove(&at->actor->model, at->table, keys);
    else if (keys)
        model_hold(&at->actor->model, at->table, keys);
}

/* Enough for a bulk run. */
static void fill(struct play *play, struct at *at)
{
    static uint8_t bytes[VALUE_ROOM];
    uint32_t rows = WRITE_SET_BYTES_MAX / VALUE_ROOM + 1 + feed_below(&play->feed, 3);
    play->fills--;
    at->actor->record_bytes += MODEL_TABLES * (2 * KEY_ROOM + PAGE_REF_BYTES);
    for (uint32_t i = 0; i < rows; i++) {
        uint32_t key = MODEL_COUNTERS + (at->key + i) % (MODEL_KEYS - MODEL_COUNTERS);
        struct model_row row = {VALUE_ROOM - i, play->next_number++ * 0x101};
        scn_slice slice = key_bytes(at->table, key, at->buf);
        check(scn_put(at->actor->txn, at->id, slice, value_bytes(row, bytes), 0), SCN_OK,
              "a large put");
        model_put(&at->actor->model, at->table, key, row, false);
    }
}

static void save(struct play *play, struct actor *actor)
{
    struct model_txn *model = &actor->model;
    if (feed_u8(&play->feed) & 1 && model->saved_count < MODEL_SAVEPOINTS) {
        check(scn_savepoint(actor->txn, &actor->savepoints[model->saved_count]), SCN_OK,
              "a savepoint");
        model->saved[model->saved_count++] = model->writes;
    } else if (model->saved_count > 0) {
        uint32_t to = feed_below(&play->feed, model->saved_count);
        check(scn_rollback_to(actor->txn, actor->savepoints[to]), SCN_OK, "going back");
        model->writes = model->saved[to];
        model->saved_count = to + 1;
    }
}

static void change_table(struct play *play, struct at *at)
{
    struct model_txn *model = &at->actor->model;
    if (feed_u8(&play->feed) % 3) {
        check(scn_table_clear(at->actor->txn, at->id), SCN_OK, "clearing a table");
        model_remove(model, at->table, MODEL_ALL);
    } else {
        check(scn_table_drop(at->actor->txn, at->id), SCN_OK, "dropping a table");
        model_restructure(model, at->table, 0);
    }
}

/* ---- transactions ---- */

static void begin(struct play *play, struct actor *actor)
{
    static const uint32_t kinds[] = {SCN_READ, SCN_WRITE, SCN_WRITE, SCN_WRITE,
                                     SCN_WRITE | SCN_SNAPSHOT};
    uint32_t flags = kinds[feed_below(&play->feed, 5)];
    check(scn_begin(play->db, flags, &actor->txn), SCN_OK, "beginning");
    actor->record_bytes = 0;
    model_begin(&play->model, &actor->model, flags & SCN_WRITE, flags == SCN_WRITE);
    if (flags & SCN_WRITE)
        check(scn_set_durability(actor->txn, feed_below(&play->feed, 3)), SCN_OK,
              "a durability");
}

static void end(struct play *play, struct actor *actor)
{
    scn_txn *txn = actor->txn;
    bool is_late = actor->model.commits != play->model.commits;
    bool is_out = actor->must_fail ||
                  model_is_out_of_bounds(&play->model, &actor->model);
    actor->txn = NULL;
    actor->is_doomed = false;
    actor->must_fail = false;
    if (feed_u8(&play->feed) % 8 == 7) {
        scn_abort(txn);
        return;
    }
    scn_status st = scn_commit(txn);
    bool is_large = actor->record_bytes > RECORD_PAYLOAD_MAX / 2;
    if ((st == SCN_CONFLICT && is_late) || (st == SCN_TOOBIG && is_large))
        return;
    check(st, is_out ? SCN_TOOBIG : SCN_OK, "a commit");
    const char *wrong = st == SCN_OK ? model_commit(&play->model, &actor->model) : NULL;
    if (wrong)
        fuzz_fail(__FILE__, __LINE__, "a commit went through: %s", wrong);
}

/* The table in the transaction's view; false: there is none, and none was created. */
static bool find_table(struct play *play, struct at *at)
{
    struct model_txn *model = &at->actor->model;
    at->now = &model->writes.now.tables[at->table];
    scn_status st = scn_table(at->actor->txn, names[at->table], 0, &at->id);
    check(st, at->now->id ? SCN_OK : SCN_NOTFOUND, "looking up a table");
    model_saw(model, at->table, 0);
    if (st == SCN_OK) {
        FUZZ_CHECK(at->id == at->now->id);
        return true;
    }
    if (!model->is_writing || feed_u8(&play->feed) % 4 == 3)
        return false;
    check(scn_table(at->actor->txn, names[at->table],
                    SCN_CREATE | (at->table == 1 ? SCN_COMPRESS : 0), &at->id),
          SCN_OK, "creating a table");
    model_restructure(model, at->table, at->id);
    return true;
}

static void act(struct play *play, struct actor *actor)
{
    uint32_t what = feed_below(&play->feed, 32);
    if (what < 3 || actor->is_doomed) {
        end(play, actor);
        return;
    }
    if (what < 5 && actor->model.is_writing) {
        save(play, actor);
        return;
    }
    struct at at = {.actor = actor, .table = feed_below(&play->feed, MODEL_TABLES)};
    at.key = feed_below(&play->feed, MODEL_KEYS);
    if (!find_table(play, &at))
        return;
    at.bytes = key_bytes(at.table, at.key, at.buf);
    if (!actor->model.is_writing && what >= 14)
        what = 5 + what % 9;
    if (what < 7)
        get(play, &at);
    else if (what == 7)
        get_many(play, &at);
    else if (what == 8)
        read_part(play, &at);
    else if (what == 9)
        count(&at);
    else if (what < 14)
        use_cursor(play, &at);
    else if (what < 22)
        put(play, &at);
    else if (what < 25)
        add(play, &at);
    else if (what < 27)
        del(&at);
    else if (what < 29)
        del_range(play, &at);
    else if (what == 29)
        change_table(play, &at);
    else if (what == 30 && play->fills > 0)
        fill(play, &at);
    else
        save(play, actor);
}

/* ---- the store ---- */

/* All rows of all tables, by a transaction that has written nothing. */
static void check_all(struct play *play)
{
    struct actor actor = {0};
    check(scn_begin(play->db, SCN_READ, &actor.txn), SCN_OK, "beginning to read");
    model_begin(&play->model, &actor.model, false, false);
    for (uint32_t i = 0; i < MODEL_TABLES; i++) {
        struct at at = {.actor = &actor, .table = i};
        struct walk walk = {.high = MODEL_KEYS, .on = -1};
        if (!find_table(play, &at))
            continue;
        count(&at);
        check(scn_cursor_open(actor.txn, at.id, &walk.cursor), SCN_OK, "a cursor");
        for (uint64_t rows = count_rows(at.now) + 1; rows > 0; rows--)
            move(&at, &walk, i % 2 ? -1 : 1);
        scn_cursor_close(walk.cursor);
    }
    scn_abort(actor.txn);
}

static scn_status say_issue(void *ctx, const scn_issue *issue)
{
    (void)ctx;
    fuzz_fail(__FILE__, __LINE__, "the check finds: %s", issue->text);
}

/* No limit to the file: what is full when is for others to test. */
static void open_store(struct play *play)
{
    scn_options options = stage_options(0);
    options.max_file_bytes = 0;
    check(store_open_on(play->sys, STAGE_STORE, &options, &play->db), SCN_OK, "opening");
}

static void reopen(struct play *play)
{
    for (int i = 0; i < ACTORS; i++) {
        scn_abort(play->actors[i].txn);
        play->actors[i].txn = NULL;
        play->actors[i].is_doomed = false;
        play->actors[i].must_fail = false;
    }
    check(scn_close(play->db), SCN_OK, "closing");
    open_store(play);
    check_all(play);
}

static void care(struct play *play)
{
    uint64_t issues = 0;
    uint32_t what = feed_below(&play->feed, 8);
    if (what < 4)
        check(scn_checkpoint(play->db), SCN_OK, "a checkpoint");
    else if (what == 4)
        check(scn_tick(play->db, 1), SCN_OK, "a tick");
    else if (what == 5)
        check(scn_check(play->db, SCN_CHECK_ALL, say_issue, NULL, &issues), SCN_OK,
              "a check");
    else if (what == 6)
        check_all(play);
    else
        reopen(play);
}

static void run_steps(struct play *play, int count)
{
    for (int i = 0; i < count && feed_left(&play->feed) > 0; i++) {
        uint32_t who = feed_below(&play->feed, ACTORS * 4 + 1);
        struct actor *actor = &play->actors[who % ACTORS];
        if (who == ACTORS * 4)
            care(play);
        else if (actor->txn == NULL)
            begin(play, actor);
        else
            act(play, actor);
    }
}

/* ---- stores to begin with ---- */

/* A store that random steps have left, and what it holds; made when it is first asked
 * for.  Number 0 is no store. */
struct ready {
    struct model model;
    uint64_t next_number;
    uint8_t *bytes; /* NULL: not made yet */
    size_t size;
};
enum { READY = 16, READY_BYTES_MAX = 4 << 20, READY_STEP_BYTES = 600 };

static struct ready readies[READY];

static void build(struct play *play)
{
    memset(play, 0, sizeof *play);
    play->sys = stage_build();
    model_init(&play->model);
}

/* The feed has ended: all commit. */
static void end_all(struct play *play)
{
    for (int i = 0; i < ACTORS; i++)
        if (play->actors[i].txn)
            end(play, &play->actors[i]);
}

/* Every second one has nothing in its log that is not merged. */
static void make_ready(uint32_t number)
{
    static struct play play;
    uint8_t steps[READY_STEP_BYTES];
    uint64_t random = number;
    struct ready *ready = &readies[number];
    for (size_t i = 0; i < sizeof steps; i++)
        steps[i] = (uint8_t)(unit_random(&random) >> 40);
    build(&play);
    play.fills = number % 8 == 0;
    play.feed = feed_of(steps, sizeof steps);
    open_store(&play);
    run_steps(&play, READY_STEP_BYTES);
    end_all(&play);
    if (number % 2)
        check(scn_checkpoint(play.db), SCN_OK, "a checkpoint");
    check(scn_close(play.db), SCN_OK, "closing");
    *ready = (struct ready){play.model, play.next_number, malloc(READY_BYTES_MAX), 0};
    FUZZ_CHECK(ready->bytes != NULL);
    ready->size = stage_take_file(play.sys, ready->bytes, READY_BYTES_MAX);
    FUZZ_CHECK(ready->size < READY_BYTES_MAX);
    stage_strike(play.sys);
}

static void begin_with(struct play *play, const struct ready *ready)
{
    play->model = ready->model;
    play->next_number = ready->next_number;
    stage_put_file(play->sys, ready->bytes, ready->size);
}

static void run_rows(const uint8_t *data, size_t size)
{
    static struct play play;
    struct feed feed = feed_of(data, size);
    uint32_t number = feed_below(&feed, READY);
    if (number > 0 && readies[number].bytes == NULL)
        make_ready(number);
    build(&play);
    play.feed = feed;
    play.fills = feed_dice(data, size) % 4 == 0 ? FILLS_MAX : 0;
    if (number > 0)
        begin_with(&play, &readies[number]);
    open_store(&play);
    run_steps(&play, STEPS_MAX);
    reopen(&play);
    check(scn_check(play.db, SCN_CHECK_ALL, say_issue, NULL, NULL), SCN_OK, "a check");
    check(scn_close(play.db), SCN_OK, "closing");
    stage_strike(play.sys);
}

FUZZ_TARGET(rows, run_rows, NULL)
