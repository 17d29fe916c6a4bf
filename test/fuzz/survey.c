#include "test/fuzz/survey.h"

#include "page/hash.h"
#include "page/limits.h"
#include "test/fuzz/feed.h"
#include "test/fuzz/stage.h"
#include "test/fuzz/target.h"

#include <string.h>

enum {
    TABLES_MAX = 8,
    /* A damaged tree may lead to one leaf many times. */
    ROWS_MAX = 400,
    PART_BYTES = 64
};

struct tour {
    scn_txn *txn;
    scn_table_id ids[TABLES_MAX];
    uint32_t count;
};

/* ---- reading ---- */

static scn_status note_table(void *ctx, const char *name, scn_table_id id)
{
    struct tour *tour = ctx;
    scn_table_id again;
    stage_judge(scn_table(tour->txn, name, 0, &again), "looking up a table");
    if (tour->count < TABLES_MAX)
        tour->ids[tour->count++] = id;
    return SCN_OK;
}

static uint64_t seen;

/* Every byte that was handed out can be read. */
static void touch(scn_slice bytes)
{
    if (bytes.size > 0)
        seen ^= hash64(bytes.data, bytes.size);
}

/* A row that a cursor has shown, asked for by its key. */
static void read_row(scn_txn *txn, scn_table_id id, scn_slice key)
{
    uint8_t copy[KEY_BYTES_MAX];
    uint8_t part[PART_BYTES];
    uint64_t size = 0;
    size_t got;
    scn_slice value;
    FUZZ_CHECK(key.size >= 1 && key.size <= KEY_BYTES_MAX);
    memcpy(copy, key.data, key.size);
    key.data = copy;
    scn_status st = scn_value_size(txn, id, key, &size);
    stage_judge(st, "the size of a value");
    st = scn_get(txn, id, key, &value);
    stage_judge(st, "a get");
    if (st == SCN_OK)
        touch(value);
    st = scn_read_at(txn, id, key, size / 2, part, sizeof part, &got);
    stage_judge(st, "reading a part of a value");
}

/* From one end to the other. */
static uint32_t walk(scn_txn *txn, scn_table_id id, bool forward, scn_status *ended)
{
    scn_cursor *cursor;
    scn_slice key;
    scn_slice value;
    uint32_t rows = 0;
    *ended = scn_cursor_open(txn, id, &cursor);
    stage_judge(*ended, "opening a cursor");
    if (*ended != SCN_OK)
        return 0;
    scn_status st = forward ? scn_first(cursor, &key, &value)
                            : scn_last(cursor, &key, &value);
    while (st == SCN_OK && rows++ < ROWS_MAX) {
        touch(key);
        touch(value);
        if (rows % 4 == 1)
            read_row(txn, id, key);
        st = forward ? scn_next(cursor, &key, &value) : scn_prev(cursor, &key, &value);
    }
    stage_judge(st, "a cursor");
    scn_cursor_close(cursor);
    *ended = st;
    return rows;
}

/* Bytes between two keys that there are, or before and behind all. */
static void seek_about(scn_txn *txn, scn_table_id id)
{
    static const char *const places[] = {"", "a", "k", "key-00042", "\xff\xff\xff"};
    scn_cursor *cursor;
    scn_slice key;
    scn_status st = scn_cursor_open(txn, id, &cursor);
    stage_judge(st, "opening a cursor");
    for (size_t i = 0; st == SCN_OK && i < sizeof places / sizeof *places; i++) {
        scn_slice at = {places[i], strlen(places[i])};
        for (int op = SCN_GE; op <= SCN_LT && st >= 0; op++) {
            st = scn_seek(cursor, at, op, &key, NULL);
            stage_judge(st, "a seek");
        }
        st = st >= 0 ? SCN_OK : st;
    }
    if (st == SCN_OK)
        scn_cursor_close(cursor);
}

/* A forger who makes checksums right can hang one leaf into the place of another.  Rows
 * are out of order then, and cursors meet what they may; but the check has to tell. */
static void admit_disorder(scn_db *db)
{
    uint64_t issues = 0;
    scn_status st = scn_check(db, SCN_CHECK_ALL, NULL, NULL, &issues);
    stage_judge(st, "a check of rows out of order");
    FUZZ_CHECK(st == SCN_CORRUPT || issues > 0);
}

static void read_table(scn_txn *txn, scn_table_id id)
{
    scn_table_stat stat = {.struct_size = sizeof stat};
    scn_status ended;
    scn_status back;
    uint32_t rows = walk(txn, id, true, &ended);
    uint32_t rows_back = walk(txn, id, false, &back);
    if (ended == SCN_END && back == SCN_END && rows != rows_back)
        admit_disorder(scn_txn_db(txn));
    seek_about(txn, id);
    stage_judge(scn_table_info(txn, id, &stat), "the counts of a table");
    (void)scn_table_version(txn, id);
}

static void read_all(scn_db *db)
{
    struct tour tour = {0};
    scn_status st = scn_begin(db, SCN_READ, &tour.txn);
    FUZZ_CHECK(st == SCN_OK);
    stage_judge(scn_table_each(tour.txn, note_table, &tour), "listing tables");
    for (uint32_t i = 0; i < tour.count; i++)
        read_table(tour.txn, tour.ids[i]);
    scn_abort(tour.txn);
}

/* ---- care ---- */

static void care(scn_db *db)
{
    scn_stats_t stats = {.struct_size = sizeof stats};
    scn_health_t health = {.struct_size = sizeof health};
    uint64_t issues;
    FUZZ_CHECK(scn_stats(db, &stats) == SCN_OK);
    FUZZ_CHECK(scn_health(db, &health) == SCN_OK);
    stage_judge(scn_check(db, SCN_CHECK_QUICK, NULL, NULL, &issues), "a quick check");
    stage_judge(scn_check(db, SCN_CHECK_ALL, NULL, NULL, &issues), "a check");
}

/* ---- writing ---- */

static void write_rows(scn_txn *txn, scn_table_id id, scn_status *st)
{
    static uint8_t bytes[3 * PAGE_BYTES];
    static const uint32_t sizes[] = {0, 8, 200, 1500, sizeof bytes};
    for (size_t i = 0; *st >= 0 && i < sizeof sizes / sizeof *sizes; i++) {
        char name[] = "key-0000x";
        name[8] = (char)('0' + i);
        *st = scn_put(txn, id, (scn_slice){name, 9}, (scn_slice){bytes, sizes[i]},
                      SCN_PUT_BLIND);
    }
    if (*st >= 0)
        *st = scn_del_range(txn, id, (scn_slice){"a", 1}, (scn_slice){"k", 1}, NULL);
    if (*st >= 0)
        *st = scn_add(txn, id, (scn_slice){"zz", 2}, 1, INT64_MIN, INT64_MAX);
    stage_judge(*st, "a write");
}

/* An addition to something that is no number is a misuse, a bound that would be passed
 * too big; both may be what the file holds. */
static void commit(scn_txn *txn, scn_status st)
{
    if (st < 0) {
        scn_abort(txn);
        return;
    }
    st = scn_commit(txn);
    if (st != SCN_MISUSE && st != SCN_TOOBIG)
        stage_judge(st, "a commit");
}

static void write_all(scn_db *db)
{
    struct tour tour = {0};
    scn_table_id id;
    FUZZ_CHECK(scn_begin(db, SCN_WRITE, &tour.txn) == SCN_OK);
    scn_status st = scn_table_each(tour.txn, note_table, &tour);
    stage_judge(st, "listing tables");
    for (uint32_t i = 0; st >= 0 && i < tour.count; i++)
        write_rows(tour.txn, tour.ids[i], &st);
    if (st >= 0)
        st = scn_table(tour.txn, "fresh", SCN_CREATE | SCN_COMPRESS, &id);
    stage_judge(st, "creating a table");
    if (st >= 0)
        write_rows(tour.txn, id, &st);
    if (st >= 0 && tour.count > 2)
        st = scn_table_drop(tour.txn, tour.ids[0]);
    commit(tour.txn, st);
}

static void write_twice(scn_db *db)
{
    scn_slice key = {"k", 1};
    stage_judge(scn_put1(db, "small", key, key), "a put");
    stage_judge(scn_checkpoint(db), "a checkpoint");
    write_all(db);
    stage_judge(scn_tick(db, 0), "a tick");
    stage_judge(scn_checkpoint(db), "a second checkpoint");
}

/* ---- lives ---- */

uint32_t survey_how(const uint8_t *data, size_t size)
{
    static const uint8_t ways[16] = {
        [8] = SURVEY_CARE, SURVEY_CARE, SURVEY_RDONLY | SURVEY_CARE, SURVEY_TWICE,
        SURVEY_WRITE, SURVEY_WRITE, SURVEY_WRITE | SURVEY_CARE,
        SURVEY_WRITE | SURVEY_CARE | SURVEY_TWICE};
    if (size > 0 && data[0] >= 240)
        return data[0] & 15;
    return ways[feed_dice(data, size) % 16];
}

static void live(scn_db *db, uint32_t how)
{
    read_all(db);
    if (how & SURVEY_CARE)
        care(db);
    if ((how & SURVEY_WRITE) && !(how & SURVEY_RDONLY)) {
        write_twice(db);
        read_all(db);
    }
    stage_judge(scn_close(db), "closing");
}

void survey_lives(struct sys *sys, uint32_t how)
{
    uint32_t flags = SCN_NOCREATE | (how & SURVEY_RDONLY ? SCN_RDONLY : 0);
    for (int lives = how & SURVEY_TWICE ? 2 : 1; lives > 0; lives--) {
        scn_db *db;
        scn_status st = stage_open(sys, flags, &db);
        stage_judge(st, "opening");
        if (st != SCN_OK)
            return;
        live(db, how);
    }
}
