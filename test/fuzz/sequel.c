/* What an increment makes of a store: see sequel.h. */
#include "test/fuzz/sequel.h"

#include "page/bytes.h"
#include "page/parcel.h"
#include "test/fuzz/target.h"

/* ---- lists ---- */

static int compare(uint32_t table, scn_slice key, const struct sequel_row *row)
{
    if (table != row->table)
        return table < row->table ? -1 : 1;
    return bytes_compare(key.data, key.size, row->key.data, row->key.size);
}

/* The first row that is not before the key. */
static uint32_t place_of(const struct sequel *sequel, uint32_t table, scn_slice key)
{
    uint32_t low = 0;
    uint32_t high = sequel->row_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (compare(table, key, &sequel->rows[middle]) <= 0)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static bool stands_at(const struct sequel *sequel, uint32_t place, uint32_t table,
                      scn_slice key)
{
    return place < sequel->row_count && compare(table, key, &sequel->rows[place]) == 0;
}

static void remove_rows(struct sequel *sequel, uint32_t from, uint32_t to)
{
    memmove(sequel->rows + from, sequel->rows + to,
            (sequel->row_count - to) * sizeof sequel->rows[0]);
    sequel->row_count -= to - from;
}

static void put_row(struct sequel *sequel, uint32_t table, scn_slice key, scn_slice value)
{
    uint32_t place = place_of(sequel, table, key);
    if (!stands_at(sequel, place, table, key)) {
        FUZZ_CHECK(sequel->row_count < SEQUEL_ROWS);
        memmove(sequel->rows + place + 1, sequel->rows + place,
                (sequel->row_count - place) * sizeof sequel->rows[0]);
        sequel->row_count++;
    }
    sequel->rows[place] = (struct sequel_row){table, key, value};
}

static const struct sequel_table *table_of(const struct sequel *sequel, uint32_t id)
{
    for (uint32_t i = 0; i < sequel->table_count; i++)
        if (sequel->tables[i].id == id)
            return &sequel->tables[i];
    return NULL;
}

/* ---- reading a store ---- */

struct reading {
    struct sequel *sequel;
    scn_txn *txn;
};

static scn_slice keep(struct sequel *sequel, scn_slice from)
{
    FUZZ_CHECK(from.size <= SEQUEL_BYTES - sequel->used);
    uint8_t *at = sequel->bytes + sequel->used;
    if (from.size > 0)
        memcpy(at, from.data, from.size);
    sequel->used += from.size;
    return (scn_slice){at, from.size};
}

static void add_table(struct sequel *sequel, struct sequel_table table)
{
    uint32_t place = sequel->table_count;
    FUZZ_CHECK(place < SEQUEL_TABLES);
    while (place > 0 && sequel->tables[place - 1].id > table.id) {
        sequel->tables[place] = sequel->tables[place - 1];
        place--;
    }
    sequel->tables[place] = table;
    sequel->table_count++;
}

static scn_status read_table(void *ctx, const char *name, scn_table_id id)
{
    struct reading *reading = ctx;
    scn_table_stat stat = {.struct_size = sizeof stat};
    scn_cursor *cursor;
    scn_slice key;
    scn_slice value;
    uint32_t before = reading->sequel->row_count;
    FUZZ_CHECK(scn_table_info(reading->txn, id, &stat) == SCN_OK);
    scn_slice text = keep(reading->sequel, (scn_slice){name, strlen(name)});
    add_table(reading->sequel, (struct sequel_table){id, stat.flags, text});
    FUZZ_CHECK(scn_cursor_open(reading->txn, id, &cursor) == SCN_OK);
    scn_status st = scn_first(cursor, &key, &value);
    while (st == SCN_OK) {
        scn_slice kept = keep(reading->sequel, key);
        put_row(reading->sequel, id, kept, keep(reading->sequel, value));
        st = scn_next(cursor, &key, &value);
    }
    scn_cursor_close(cursor);
    FUZZ_CHECK(st == SCN_END);
    FUZZ_CHECK(reading->sequel->row_count - before == stat.count);
    return SCN_OK;
}

void sequel_read(struct sequel *sequel, scn_db *db)
{
    struct reading reading = {.sequel = sequel};
    sequel->table_count = sequel->row_count = 0;
    sequel->used = 0;
    FUZZ_CHECK(scn_begin(db, SCN_READ, &reading.txn) == SCN_OK);
    FUZZ_CHECK(scn_table_each(reading.txn, read_table, &reading) == SCN_OK);
    scn_abort(reading.txn);
}

/* ---- an increment ---- */

struct amending {
    struct sequel *sequel;
    const uint8_t *at;
    const uint8_t *end;
    uint32_t table;
    bool in_range;
    uint32_t next; /* place of the first row of the range that was not passed yet */
    scn_slice to;
};

static uint64_t take_number(struct amending *amending)
{
    uint64_t number = 0;
    for (uint32_t shift = 0; shift < 64; shift += 7) {
        FUZZ_CHECK(amending->at < amending->end);
        uint8_t byte = *amending->at++;
        number |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return number;
    }
    fuzz_fail(__FILE__, __LINE__, "a number that does not end was taken");
}

static scn_slice take_bytes(struct amending *amending)
{
    uint64_t len = take_number(amending);
    FUZZ_CHECK(len <= (uint64_t)(amending->end - amending->at));
    scn_slice bytes = {amending->at, len};
    amending->at += len;
    return bytes;
}

/* The first row of the table at or behind a bound, where an empty one is no bound. */
static uint32_t bound_of(const struct amending *amending, scn_slice bound, bool is_upper)
{
    if (bound.size > 0)
        return place_of(amending->sequel, amending->table, bound);
    return place_of(amending->sequel, amending->table + is_upper, (scn_slice){"", 0});
}

/* Rows of the range up to a place go. */
static void pass(struct amending *amending, uint32_t place)
{
    uint32_t end = bound_of(amending, amending->to, true);
    if (place > end)
        place = end;
    if (place > amending->next)
        remove_rows(amending->sequel, amending->next, place);
}

/* In a range whatever was not named before it goes, and the row itself is passed. */
static void put(struct amending *amending, scn_slice key, scn_slice value)
{
    struct sequel *sequel = amending->sequel;
    if (amending->in_range)
        pass(amending, place_of(sequel, amending->table, key));
    uint32_t place = place_of(sequel, amending->table, key);
    bool is_passed = place <= amending->next;
    bool was_next = place == amending->next &&
                    stands_at(sequel, place, amending->table, key);
    uint32_t before = sequel->row_count;
    put_row(sequel, amending->table, key, value);
    if (is_passed)
        amending->next += sequel->row_count - before + was_next;
}

static void keep_row(struct amending *amending, scn_slice key)
{
    FUZZ_CHECK(amending->in_range);
    pass(amending, place_of(amending->sequel, amending->table, key));
    FUZZ_CHECK(stands_at(amending->sequel, amending->next, amending->table, key));
    FUZZ_CHECK(amending->next < bound_of(amending, amending->to, true));
    amending->next++;
}

static void delete_row(struct amending *amending, scn_slice key)
{
    uint32_t place = place_of(amending->sequel, amending->table, key);
    if (stands_at(amending->sequel, place, amending->table, key))
        remove_rows(amending->sequel, place, place + 1);
}

static void take_bounds(struct amending *amending, enum parcel_op op)
{
    scn_slice from = take_bytes(amending);
    scn_slice to = take_bytes(amending);
    FUZZ_CHECK(!amending->in_range);
    uint32_t first = bound_of(amending, from, false);
    if (op == PARCEL_CLEAR) {
        remove_rows(amending->sequel, first, bound_of(amending, to, true));
        return;
    }
    amending->in_range = true;
    amending->next = first;
    amending->to = to;
}

static void take_table(struct amending *amending)
{
    FUZZ_CHECK(!amending->in_range);
    amending->table = (uint32_t)take_number(amending);
    FUZZ_CHECK(table_of(amending->sequel, amending->table) != NULL);
}

static void take_op(struct amending *amending, enum parcel_op op)
{
    scn_slice key;
    if (op == PARCEL_TABLE) {
        take_table(amending);
        return;
    }
    FUZZ_CHECK(amending->table != 0);
    if (op == PARCEL_CLEAR || op == PARCEL_RANGE) {
        take_bounds(amending, op);
    } else if (op == PARCEL_DONE) {
        FUZZ_CHECK(amending->in_range);
        pass(amending, bound_of(amending, amending->to, true));
        amending->in_range = false;
    } else {
        key = take_bytes(amending);
        FUZZ_CHECK(key.size > 0);
        if (op == PARCEL_PUT)
            put(amending, key, take_bytes(amending));
        else if (op == PARCEL_KEEP)
            keep_row(amending, key);
        else
            delete_row(amending, key);
    }
}

/* All tables by name; rows of those that are not among them go. */
static void take_catalog(struct amending *amending)
{
    struct sequel *sequel = amending->sequel;
    FUZZ_CHECK(amending->at < amending->end && *amending->at++ == PARCEL_NEXT);
    uint64_t next_id = take_number(amending);
    sequel->table_count = 0;
    while (amending->at < amending->end && *amending->at == PARCEL_NAME) {
        amending->at++;
        uint64_t id = take_number(amending);
        uint64_t flags = take_number(amending);
        FUZZ_CHECK(id < next_id && flags <= SCN_COMPRESS);
        add_table(sequel, (struct sequel_table){(uint32_t)id, (uint32_t)flags,
                                                take_bytes(amending)});
    }
    for (uint32_t i = sequel->row_count; i-- > 0;)
        if (table_of(sequel, sequel->rows[i].table) == NULL)
            remove_rows(sequel, i, i + 1);
}

void sequel_amend(struct sequel *sequel, const struct sequel *from, const uint8_t *ops,
                  size_t len)
{
    struct amending amending = {.sequel = sequel, .at = ops, .end = ops + len};
    sequel->row_count = from->row_count;
    memcpy(sequel->rows, from->rows, from->row_count * sizeof from->rows[0]);
    take_catalog(&amending);
    while (amending.at < amending.end) {
        enum parcel_op op = (enum parcel_op)*amending.at++;
        FUZZ_CHECK(op >= PARCEL_TABLE && op <= PARCEL_DONE);
        take_op(&amending, op);
    }
    FUZZ_CHECK(!amending.in_range);
}

/* ---- comparing ---- */

static bool is_same(scn_slice a, scn_slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

void sequel_compare(const struct sequel *sequel, scn_db *db)
{
    static struct sequel found;
    sequel_read(&found, db);
    FUZZ_CHECK(found.table_count == sequel->table_count);
    for (uint32_t i = 0; i < found.table_count; i++) {
        const struct sequel_table *a = &found.tables[i];
        const struct sequel_table *b = &sequel->tables[i];
        FUZZ_CHECK(a->id == b->id && a->flags == b->flags && is_same(a->name, b->name));
    }
    FUZZ_CHECK(found.row_count == sequel->row_count);
    for (uint32_t i = 0; i < found.row_count; i++) {
        const struct sequel_row *a = &found.rows[i];
        const struct sequel_row *b = &sequel->rows[i];
        FUZZ_CHECK(compare(a->table, a->key, b) == 0 && is_same(a->value, b->value));
    }
}
