/* The work of the stress: see bank.h. */
#include "test/many/bank.h"

enum {
    ACCOUNTS = 24,
    START_BALANCE = 1000,
    PAIRS = 6,
    BATCHES = 3,
    BATCH_ROWS = 240,
    BATCH_VALUE_BYTES = 700, /* with small limits more than a record holds */
    WINDOW = 8,
    BIG_VALUE_BYTES = 40000,
    /* Then scn_update, which gets through. */
    TRIES_MAX = 4
};

struct key {
    char text[24];
};

static scn_slice key_of(struct key *key, char kind, uint32_t major, uint32_t minor)
{
    int len = snprintf(key->text, sizeof key->text, "%c%06u.%06u", kind, major, minor);
    return (scn_slice){key->text, (size_t)len};
}

static uint32_t below(struct bank *bank, uint32_t limit)
{
    return (uint32_t)(unit_random(&bank->dice) >> 16) % limit;
}

/* ---- values ---- */

static scn_slice slice_of(const uint64_t *number)
{
    return (scn_slice){number, sizeof *number};
}

static uint64_t number_in(scn_slice value)
{
    uint64_t number;
    MUST(value.size >= sizeof number);
    memcpy(&number, value.data, sizeof number);
    return number;
}

static uint64_t stamp_of(uint32_t writer, uint32_t number)
{
    return (uint64_t)writer << 32 | number;
}

static size_t journal_size(uint64_t stamp)
{
    uint64_t dice = (stamp + 1) * UINT64_C(0x9e3779b97f4a7c15);
    unit_random(&dice);
    if (dice % 64 == 0)
        return 8 + dice / 64 % BIG_VALUE_BYTES;
    return 8 + dice / 64 % 120;
}

/* Bytes that depend on the stamp; size of them. */
static void fill(uint8_t *bytes, size_t size, uint64_t stamp)
{
    uint64_t dice = stamp * 2 + 1;
    memcpy(bytes, &stamp, sizeof stamp);
    for (size_t i = sizeof stamp; i < size; i++)
        bytes[i] = (uint8_t)((dice += dice << 7 ^ dice >> 9) >> 5);
}

static scn_slice journal_value(uint8_t *bytes, uint64_t stamp)
{
    size_t size = journal_size(stamp);
    fill(bytes, size, stamp);
    return (scn_slice){bytes, size};
}

/* ---- one commit ---- */

struct move {
    struct bank *bank;
    uint32_t writer;
    uint32_t number;
};

static scn_status transfer(struct bank *bank, scn_txn *txn)
{
    struct key key[2];
    scn_slice value;
    uint64_t balance[2];
    uint32_t from = below(bank, ACCOUNTS);
    uint32_t to = (from + 1 + below(bank, ACCOUNTS - 1)) % ACCOUNTS;
    uint32_t which[2] = {from, to};
    for (int i = 0; i < 2; i++) {
        scn_status st =
            scn_get(txn, bank->accounts, key_of(&key[i], 'a', which[i], 0), &value);
        if (st != SCN_OK)
            return st;
        balance[i] = number_in(value);
    }
    uint64_t amount = balance[0] ? below(bank, (uint32_t)balance[0]) : 0;
    balance[0] -= amount;
    balance[1] += amount;
    for (int i = 0; i < 2; i++) {
        scn_status st = scn_put(txn, bank->accounts, key_of(&key[i], 'a', which[i], 0),
                                slice_of(&balance[i]), 0);
        if (st != SCN_OK)
            return st;
    }
    return SCN_OK;
}

static scn_status change_pair(const struct move *move, scn_txn *txn)
{
    struct bank *bank = move->bank;
    struct key left, right;
    scn_slice value;
    uint64_t stamp = stamp_of(move->writer, move->number);
    uint32_t pair = below(bank, PAIRS);
    scn_status st = scn_get(txn, bank->pairs, key_of(&left, 'l', pair, 0), &value);
    if (st != SCN_OK)
        return st;
    uint64_t had = number_in(value);
    st = scn_get(txn, bank->pairs, key_of(&right, 'r', pair, 0), &value);
    if (st != SCN_OK)
        return st;
    MUST(number_in(value) == had);
    st = scn_put(txn, bank->pairs, key_of(&left, 'l', pair, 0), slice_of(&stamp), 0);
    if (st == SCN_OK)
        st = scn_put(txn, bank->pairs, key_of(&right, 'r', pair, 0), slice_of(&stamp), 0);
    return st;
}

static scn_status change_batch(const struct move *move, scn_txn *txn)
{
    struct bank *bank = move->bank;
    struct key from, to;
    uint8_t bytes[BATCH_VALUE_BYTES];
    uint32_t batch = below(bank, BATCHES);
    fill(bytes, sizeof bytes, stamp_of(move->writer, move->number));
    scn_status st = SCN_OK;
    if (below(bank, 2))
        st = scn_del_range(txn, bank->batches, key_of(&from, 'b', batch, 0),
                           key_of(&to, 'b', batch + 1, 0), NULL);
    for (uint32_t i = 0; st == SCN_OK && i < BATCH_ROWS; i++)
        st = scn_put(txn, bank->batches, key_of(&from, 'b', batch, i),
                     (scn_slice){bytes, sizeof bytes}, 0);
    return st;
}

static scn_status add(struct bank *bank, scn_txn *txn, char kind, uint32_t writer)
{
    struct key key;
    return scn_add(txn, bank->counters, key_of(&key, kind, writer, 0), 1, 0, INT64_MAX);
}

static scn_status sign(const struct move *move, scn_txn *txn)
{
    static uint8_t bytes[8 + BIG_VALUE_BYTES];
    struct bank *bank = move->bank;
    struct key key;
    uint64_t stamp = stamp_of(move->writer, move->number);
    scn_status st =
        scn_put(txn, bank->journal, key_of(&key, 'j', move->writer, move->number),
                journal_value(bytes, stamp), SCN_PUT_NEW);
    if (st == SCN_OK)
        st = scn_put(txn, bank->window, key_of(&key, 'w', move->writer, move->number),
                     slice_of(&stamp), 0);
    if (st == SCN_OK && move->number > WINDOW)
        st = scn_del(txn, bank->window,
                     key_of(&key, 'w', move->writer, move->number - WINDOW));
    if (st == SCN_OK)
        st = add(bank, txn, 'c', move->writer);
    return st == SCN_OK ? add(bank, txn, 'C', 0) : st;
}

static scn_status make_move(scn_txn *txn, void *ctx)
{
    const struct move *move = ctx;
    uint32_t chance = below(move->bank, 100);
    scn_status st = SCN_OK;
    if (below(move->bank, 2))
        st = scn_set_durability(txn, SCN_SYNC_LAZY);
    if (st != SCN_OK)
        return st;
    if (chance < 40)
        st = transfer(move->bank, txn);
    else if (chance < 80)
        st = change_pair(move, txn);
    else if (chance < 84)
        st = change_batch(move, txn);
    return st == SCN_OK ? sign(move, txn) : st;
}

static scn_status try_move(struct move *move)
{
    scn_txn *txn = NULL;
    uint32_t level = below(move->bank, 2) ? SCN_SNAPSHOT : 0;
    scn_status st = scn_begin(move->bank->db, SCN_WRITE | level, &txn);
    if (st == SCN_OK)
        st = make_move(txn, move);
    if (st == SCN_OK)
        return scn_commit(txn);
    scn_abort(txn);
    return st;
}

static bool is_to_repeat(struct bank *bank, scn_status st)
{
    if (st == SCN_BUSY)
        atomic_fetch_add(&bank->book->refusals, 1);
    else if (st == SCN_CONFLICT)
        atomic_fetch_add(&bank->book->retries, 1);
    return st == SCN_BUSY || st == SCN_CONFLICT;
}

void bank_work(struct bank *bank, uint32_t writer)
{
    struct bank_line *line = &bank->book->lines[writer];
    struct move move = {bank, writer, atomic_load(&line->begun) + 1};
    bool is_update = below(bank, 2);
    scn_status st;
    int tries = 0;
    atomic_store(&line->begun, move.number);
    do {
        st = is_update || ++tries > TRIES_MAX ? scn_update(bank->db, make_move, &move)
                                              : try_move(&move);
    } while (is_to_repeat(bank, st));
    MUST_OK(st);
    atomic_store(&line->acknowledged, move.number);
    atomic_fetch_add(&bank->book->commits, 1);
}

/* ---- looking ---- */

static void look_at_sum(struct bank *bank, scn_txn *txn)
{
    scn_cursor *cursor;
    scn_slice key, value;
    scn_status st;
    uint64_t sum = 0;
    int count = 0;
    MUST_OK(scn_cursor_open(txn, bank->accounts, &cursor));
    while ((st = scn_next(cursor, &key, &value)) == SCN_OK) {
        sum += number_in(value);
        count++;
    }
    MUST_OK(st - SCN_END);
    scn_cursor_close(cursor);
    MUST(count == ACCOUNTS);
    MUST(sum == (uint64_t)ACCOUNTS * START_BALANCE);
}

/* From the last to the first: the right ones come before the left ones. */
static void look_at_pairs(struct bank *bank, scn_txn *txn, uint64_t *right)
{
    scn_cursor *cursor;
    scn_slice key, value;
    MUST_OK(scn_cursor_open(txn, bank->pairs, &cursor));
    for (int i = 0; i < PAIRS; i++) {
        MUST_OK(scn_prev(cursor, &key, &value));
        right[i] = number_in(value);
    }
    for (int i = 0; i < PAIRS; i++) {
        MUST_OK(scn_prev(cursor, &key, &value));
        MUST(number_in(value) == right[i]);
    }
    MUST_OK(scn_prev(cursor, &key, &value) - SCN_END);
    scn_cursor_close(cursor);
}

static void look_at_batch(struct bank *bank, scn_txn *txn)
{
    uint8_t expected[BATCH_VALUE_BYTES];
    scn_cursor *cursor;
    scn_slice key, value;
    struct key prefix;
    scn_status st;
    uint32_t count = 0;
    scn_slice whole = key_of(&prefix, 'b', below(bank, BATCHES), 0);
    whole.size -= 6; /* the number of the row */
    MUST_OK(scn_cursor_open(txn, bank->batches, &cursor));
    MUST_OK(scn_cursor_prefix(cursor, whole));
    while ((st = scn_next(cursor, &key, &value)) == SCN_OK) {
        if (count++ == 0)
            fill(expected, sizeof expected, number_in(value));
        MUST(value.size == sizeof expected);
        MUST(memcmp(value.data, expected, sizeof expected) == 0);
    }
    MUST_OK(st - SCN_END);
    scn_cursor_close(cursor);
    MUST(count == 0 || count == BATCH_ROWS);
}

static uint64_t counter(struct bank *bank, scn_txn *txn, char kind, uint32_t writer)
{
    struct key key;
    scn_slice value;
    scn_status st = scn_get(txn, bank->counters, key_of(&key, kind, writer, 0), &value);
    if (st == SCN_NOTFOUND)
        return 0;
    MUST_OK(st);
    return number_in(value);
}

static void look_at_row(struct bank *bank, scn_txn *txn, uint32_t writer, uint32_t number,
                        scn_status expected)
{
    static uint8_t bytes[8 + BIG_VALUE_BYTES];
    struct key key;
    scn_slice value;
    scn_slice name = key_of(&key, 'j', writer, number);
    MUST_OK(scn_get(txn, bank->journal, name, &value) - expected);
    if (expected != SCN_OK)
        return;
    scn_slice was = journal_value(bytes, stamp_of(writer, number));
    MUST(value.size == was.size);
    MUST(memcmp(value.data, was.data, was.size) == 0);
}

static void look_at_window(struct bank *bank, scn_txn *txn, uint32_t writer,
                           uint32_t last)
{
    scn_cursor *cursor;
    scn_slice key, value;
    struct key prefix;
    scn_status st;
    uint32_t number = last > WINDOW ? last - WINDOW : 0;
    scn_slice whole = key_of(&prefix, 'w', writer, 0);
    whole.size -= 6;
    MUST_OK(scn_cursor_open(txn, bank->window, &cursor));
    MUST_OK(scn_cursor_prefix(cursor, whole));
    while ((st = scn_next(cursor, &key, &value)) == SCN_OK)
        MUST(number_in(value) == stamp_of(writer, ++number));
    MUST_OK(st - SCN_END);
    scn_cursor_close(cursor);
    MUST(number == last);
}

/* What a writer has done in this snapshot: at least what it had been told before. */
static uint32_t look_at_writer(struct bank *bank, scn_txn *txn, uint32_t writer,
                               uint32_t acknowledged)
{
    uint32_t last = (uint32_t)counter(bank, txn, 'c', writer);
    MUST(last >= acknowledged);
    MUST(last <= atomic_load(&bank->book->lines[writer].begun));
    if (last > 0)
        look_at_row(bank, txn, writer, last, SCN_OK);
    if (last > 1)
        look_at_row(bank, txn, writer, 1 + below(bank, last), SCN_OK);
    look_at_row(bank, txn, writer, last + 1, SCN_NOTFOUND);
    look_at_window(bank, txn, writer, last);
    return last;
}

void bank_look(struct bank *bank)
{
    uint64_t before[PAIRS], after[PAIRS];
    scn_txn *txn;
    uint32_t writers = atomic_load(&bank->book->writers);
    uint32_t writer = writers ? below(bank, writers) : 0;
    if (writers > 12 && below(bank, 2))
        writer = writers - 1 - below(bank, 12);
    uint32_t acknowledged = atomic_load(&bank->book->lines[writer].acknowledged);
    MUST_OK(scn_begin(bank->db, SCN_READ, &txn));
    look_at_pairs(bank, txn, before);
    uint32_t last = look_at_writer(bank, txn, writer, acknowledged);
    look_at_sum(bank, txn);
    if (below(bank, 8) == 0)
        look_at_batch(bank, txn);
    if (below(bank, 16) == 0)
        party_pause_us(below(bank, 60000));
    MUST(last == look_at_writer(bank, txn, writer, acknowledged));
    look_at_pairs(bank, txn, after);
    MUST(memcmp(before, after, sizeof after) == 0);
    scn_abort(txn);
    atomic_fetch_add(&bank->book->looks, 1);
}

/* ---- opening ---- */

void bank_open(struct bank *bank, const char *path, uint32_t flags)
{
    scn_options options;
    scn_txn *txn;
    scn_status st;
    scn_options_init(&options);
    options.flags = flags;
    if (below(bank, 4) == 0)
        options.flags |= SCN_NOTHREAD;
    options.lazy_interval_ms = 1 + below(bank, 60);
    do {
        st = scn_open(path, &options, &bank->db);
    } while (is_to_repeat(bank, st));
    MUST_OK(st);
    MUST_OK(scn_begin(bank->db, SCN_READ, &txn));
    MUST_OK(scn_table(txn, "accounts", 0, &bank->accounts));
    MUST_OK(scn_table(txn, "pairs", 0, &bank->pairs));
    MUST_OK(scn_table(txn, "batches", 0, &bank->batches));
    MUST_OK(scn_table(txn, "journal", 0, &bank->journal));
    MUST_OK(scn_table(txn, "window", 0, &bank->window));
    MUST_OK(scn_table(txn, "counters", 0, &bank->counters));
    scn_abort(txn);
    atomic_fetch_add(&bank->book->opens, 1);
}

void bank_close(struct bank *bank)
{
    MUST_OK(scn_close(bank->db));
    bank->db = NULL;
}

static scn_status endow(scn_txn *txn, void *ctx)
{
    static const char *const names[] = {"accounts", "pairs",  "batches",
                                        "journal",  "window", "counters"};
    scn_table_id ids[6];
    struct key key;
    uint64_t balance = START_BALANCE;
    uint64_t none = 0;
    (void)ctx;
    for (int i = 0; i < 6; i++)
        MUST_OK(scn_table(txn, names[i], i < 3 ? SCN_CREATE : SCN_CREATE | SCN_COMPRESS,
                          &ids[i]));
    for (uint32_t i = 0; i < ACCOUNTS; i++)
        MUST_OK(scn_put(txn, ids[0], key_of(&key, 'a', i, 0), slice_of(&balance), 0));
    for (uint32_t i = 0; i < PAIRS; i++) {
        MUST_OK(scn_put(txn, ids[1], key_of(&key, 'l', i, 0), slice_of(&none), 0));
        MUST_OK(scn_put(txn, ids[1], key_of(&key, 'r', i, 0), slice_of(&none), 0));
    }
    return SCN_OK;
}

void bank_create(struct bank *bank, const char *path)
{
    scn_db *db = NULL;
    MUST_OK(scn_open(path, NULL, &db));
    MUST_OK(scn_update(db, endow, NULL));
    MUST_OK(scn_close(db));
    bank_open(bank, path, 0);
    bank_close(bank);
}

/* ---- the audit ---- */

static scn_status tell_issue(void *ctx, const scn_issue *issue)
{
    (void)ctx;
    fprintf(stderr, "    page %llu: %s\n", (unsigned long long)issue->page, issue->text);
    return SCN_OK;
}

static void audit_writer(struct bank *bank, scn_txn *txn, uint32_t writer,
                         uint64_t *total)
{
    const struct bank_line *line = &bank->book->lines[writer];
    uint32_t last =
        look_at_writer(bank, txn, writer, atomic_load(&line->acknowledged));
    MUST(last <= atomic_load(&line->acknowledged) + 1);
    for (uint32_t i = 1; i <= last; i++)
        look_at_row(bank, txn, writer, i, SCN_OK);
    *total += last;
}

void bank_audit(struct bank *bank)
{
    scn_txn *txn;
    uint64_t pairs[PAIRS];
    uint64_t total = 0;
    uint64_t count = 0;
    MUST_OK(scn_begin(bank->db, SCN_READ, &txn));
    look_at_sum(bank, txn);
    look_at_pairs(bank, txn, pairs);
    for (int i = 0; i < 3 * BATCHES; i++)
        look_at_batch(bank, txn);
    for (uint32_t i = 0; i < atomic_load(&bank->book->writers); i++)
        audit_writer(bank, txn, i, &total);
    MUST(counter(bank, txn, 'C', 0) == total);
    MUST_OK(scn_table_count(txn, bank->journal, &count));
    MUST(count == total);
    scn_abort(txn);
    MUST_OK(scn_check(bank->db, SCN_CHECK_ALL, tell_issue, NULL, &count));
    MUST(count == 0);
}
