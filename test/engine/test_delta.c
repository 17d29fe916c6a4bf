#include "engine/delta.h"
#include "page/bytes.h"
#include "page/leaf.h"
#include "page/limits.h"
#include "test/unit/unit.h"

#include <pthread.h>

enum { TABLE = 17, OTHER_TABLE = 99 };

static scn_slice slice_of(const char *text)
{
    return (scn_slice){text, strlen(text)};
}

static const scn_slice nothing = {NULL, 0};

static struct delta *create(uint64_t start_lsn)
{
    struct delta *delta = NULL;
    CHECK_OK(delta_create(start_lsn, &delta));
    return delta;
}

static void append(struct delta *delta, uint32_t table_id, scn_slice key,
                   enum delta_kind kind, scn_slice value, uint64_t lsn)
{
    CHECK_OK(delta_reserve(delta, 1, key.size, value.size, 1));
    delta_append(delta, table_id, key, kind, value, lsn);
}

static void put(struct delta *delta, const char *key, const char *value, uint64_t lsn)
{
    append(delta, TABLE, slice_of(key), DELTA_PUT, slice_of(value), lsn);
}

static void clear(struct delta *delta, const char *from, const char *to, uint64_t lsn)
{
    scn_slice low = from ? slice_of(from) : nothing;
    scn_slice high = to ? slice_of(to) : nothing;
    CHECK_OK(delta_reserve(delta, 1, low.size + high.size, 0, 1));
    delta_append_clear(delta, TABLE, from ? &low : NULL, to ? &high : NULL, lsn);
}

/* What the delta says of a key: its value, "-" tombstone, "x" cleared, "" nothing. */
static const char *find(const struct delta *delta, const char *key, uint64_t max_lsn)
{
    static char text[64];
    const struct delta_table *table = delta_table(delta, TABLE);
    const struct delta_version *version = NULL;
    scn_slice at = slice_of(key);
    if (table == NULL)
        return "";
    switch (delta_find(table, at, leaf_hash(at.data, at.size), max_lsn, &version)) {
    case DELTA_CLEARED:
        return "x";
    case DELTA_VERSION:
        CHECK(version->lsn <= max_lsn);
        if (version->kind == DELTA_TOMBSTONE)
            return "-";
        CHECK(version->len < sizeof text);
        memcpy(text, version->data, version->len);
        text[version->len] = 0;
        return text;
    default:
        return "";
    }
}

#define CHECK_FIND(delta, key, max_lsn, expected)                                        \
    CHECK(strcmp(find(delta, key, max_lsn), expected) == 0)

TEST(delta__empty_one_says_nothing)
{
    struct delta *delta = create(100);
    CHECK_EQ(delta_start(delta), 100);
    CHECK(delta_is_empty(delta));
    CHECK(delta_table(delta, TABLE) == NULL);
    CHECK(delta_bytes(delta) > 0);
    delta_unref(delta);
    delta_unref(NULL);
}

TEST(delta__last_reference_frees)
{
    struct delta *delta = create(0);
    CHECK(delta_ref(delta) == delta);
    delta_unref(delta);
    put(delta, "a", "1", 1);
    CHECK_FIND(delta, "a", 1, "1");
    delta_unref(delta);
}

TEST(delta__reader_sees_the_newest_version_up_to_its_bound)
{
    struct delta *delta = create(0);
    put(delta, "a", "ten", 10);
    append(delta, TABLE, slice_of("a"), DELTA_TOMBSTONE, nothing, 20);
    put(delta, "a", "thirty", 30);
    put(delta, "a", "thirty again", 30);
    CHECK_FIND(delta, "a", 9, "");
    CHECK_FIND(delta, "a", 10, "ten");
    CHECK_FIND(delta, "a", 19, "ten");
    CHECK_FIND(delta, "a", 20, "-");
    CHECK_FIND(delta, "a", UINT64_MAX, "thirty again");
    CHECK_FIND(delta, "b", UINT64_MAX, "");
    CHECK(!delta_is_empty(delta));
    const struct delta_table *table = delta_table(delta, TABLE);
    CHECK_EQ(delta_table_entries(table), 1);
    struct delta_entry *entry =
        delta_entry_find(table, slice_of("a"), leaf_hash("a", 1));
    CHECK(entry != NULL);
    CHECK_EQ(atomic_load(&entry->below), 0);
    CHECK(delta_entry_version(entry, 5) == NULL);
    delta_unref(delta);
}

TEST(delta__values_of_any_length_are_kept_as_they_are)
{
    struct delta *delta = create(0);
    uint8_t *value = malloc(3 << 20);
    memset(value, 0xab, 3 << 20);
    append(delta, TABLE, slice_of("long"), DELTA_ADD, (scn_slice){value, 3 << 20}, 1);
    append(delta, TABLE, slice_of("none"), DELTA_PUT, nothing, 2);
    const struct delta_version *version = NULL;
    CHECK_EQ(delta_find(delta_table(delta, TABLE), slice_of("long"), leaf_hash("long", 4),
                        2, &version),
             DELTA_VERSION);
    CHECK_EQ(version->kind, DELTA_ADD);
    CHECK_EQ(version->len, 3 << 20);
    CHECK(memcmp(version->data, value, 3 << 20) == 0);
    CHECK_FIND(delta, "none", 2, "");
    CHECK(delta_bytes(delta) > 3 << 20);
    free(value);
    delta_unref(delta);
}

TEST(delta__clear_hides_what_is_older_and_only_that)
{
    struct delta *delta = create(0);
    put(delta, "b", "1", 10);
    put(delta, "d", "1", 10);
    clear(delta, "b", "d", 20);
    clear(delta, NULL, "a", 20);
    put(delta, "c", "2", 30);
    CHECK_FIND(delta, "b", 19, "1");
    CHECK_FIND(delta, "b", 20, "x");
    CHECK_FIND(delta, "bb", 20,
               "x"); /* never written here, but older sources may hold it */
    CHECK_FIND(delta, "bb", 19, "");
    CHECK_FIND(delta, "d", 20, "1");
    CHECK_FIND(delta, "e", 20, "");
    CHECK_FIND(delta, "a", 20, "");
    CHECK_FIND(delta, "A", 20, "x");
    CHECK_FIND(delta, "c", 29, "x");
    CHECK_FIND(delta, "c", 30, "2");
    clear(delta, NULL, NULL, 40);
    CHECK_FIND(delta, "z", 40, "x");
    CHECK_FIND(delta, "c", 40, "x");
    CHECK_FIND(delta, "c", 39, "2");
    clear(delta, "x", NULL, 50);
    const struct delta_table *table = delta_table(delta, TABLE);
    CHECK_EQ(delta_cleared_at(table, slice_of("x"), 100), 50);
    CHECK_EQ(delta_cleared_at(table, slice_of("w"), 100), 40);
    CHECK_EQ(delta_cleared_at(table, slice_of("b"), 39), 20);
    CHECK_EQ(delta_cleared_at(table, slice_of("z"), 39), 0);
    CHECK(!delta_has_clears(table, 19));
    CHECK(delta_has_clears(table, 20));
    delta_unref(delta);
}

TEST(delta__version_wins_over_a_clear_with_its_own_lsn)
{
    struct delta *delta = create(0);
    put(delta, "a", "old", 10);
    clear(delta, NULL, NULL, 20);
    put(delta, "a", "new", 20);
    CHECK_FIND(delta, "a", 20, "new");
    CHECK_FIND(delta, "b", 20, "x");
    delta_unref(delta);
}

TEST(delta__clears_are_listed_newest_first)
{
    struct delta *delta = create(0);
    clear(delta, "b", "d", 10);
    clear(delta, NULL, "", 20);
    clear(delta, "x", NULL, 30);
    const struct delta_table *table = delta_table(delta, TABLE);
    struct delta_clear out;
    CHECK(delta_clear_at(table, 0, 0, &out));
    CHECK_EQ(out.lsn, 30);
    CHECK(out.has_from && !out.has_to);
    CHECK(out.from.size == 1 && memcmp(out.from.data, "x", 1) == 0);
    CHECK(delta_clear_at(table, 0, 1, &out));
    CHECK_EQ(out.lsn, 20);
    CHECK(!out.has_from && out.has_to && out.to.size == 0);
    CHECK(delta_clear_at(table, 9, 2, &out));
    CHECK_EQ(out.lsn, 10);
    CHECK(out.has_from && out.has_to && memcmp(out.to.data, "d", 1) == 0);
    CHECK(!delta_clear_at(table, 10, 2, &out));
    CHECK(!delta_clear_at(table, 0, 3, &out));
    delta_unref(delta);
}

TEST(delta__table_version_is_the_newest_change_up_to_the_bound)
{
    struct delta *delta = create(5);
    put(delta, "a", "1", 10);
    put(delta, "b", "1", 10);
    append(delta, OTHER_TABLE, slice_of("a"), DELTA_PUT, nothing, 15);
    clear(delta, NULL, NULL, 20);
    CHECK_OK(delta_reserve(delta, 1, 0, 0, 1));
    delta_touch(delta, TABLE, 30);
    uint64_t bytes = delta_bytes(delta);
    delta_touch(delta, TABLE, 30); /* noted already */
    CHECK_EQ(delta_bytes(delta), bytes);
    const struct delta_table *table = delta_table(delta, TABLE);
    CHECK_EQ(delta_table_version(table, 9), 0);
    CHECK_EQ(delta_table_version(table, 10), 10);
    CHECK_EQ(delta_table_version(table, 19), 10);
    CHECK_EQ(delta_table_version(table, 29), 20);
    CHECK_EQ(delta_table_version(table, UINT64_MAX), 30);
    CHECK_EQ(delta_table_newest(table), 30);
    CHECK_EQ(delta_table_newest(delta_table(delta, OTHER_TABLE)), 15);
    delta_unref(delta);
}

static scn_status count_table(void *ctx, uint32_t table_id,
                              const struct delta_table *table)
{
    uint32_t *seen = ctx;
    CHECK(table_id < 2000 && table != NULL);
    seen[table_id]++;
    return SCN_OK;
}

static scn_status stop_at_once(void *ctx, uint32_t table_id,
                               const struct delta_table *table)
{
    (void)table_id;
    (void)table;
    ++*(int *)ctx;
    return SCN_END;
}

TEST(delta__tables_are_kept_apart_and_all_are_visited)
{
    static uint32_t seen[2000];
    memset(seen, 0, sizeof seen);
    struct delta *delta = create(0);
    CHECK_OK(delta_reserve(delta, 1000, 4000, 4000, 1000));
    for (uint32_t i = 0; i < 1000; i++)
        delta_append(delta, 2 * i, (scn_slice){"same", 4}, DELTA_PUT, (scn_slice){&i, 4},
                     i + 1);
    for (uint32_t i = 0; i < 1000; i++) {
        const struct delta_table *table = delta_table(delta, 2 * i);
        const struct delta_version *version;
        CHECK(table != NULL);
        CHECK(delta_table(delta, 2 * i + 1) == NULL);
        CHECK_EQ(
            delta_find(table, slice_of("same"), leaf_hash("same", 4), 1000, &version),
            DELTA_VERSION);
        CHECK(memcmp(version->data, &i, 4) == 0);
    }
    CHECK_OK(delta_each_table(delta, count_table, seen));
    for (uint32_t i = 0; i < 2000; i++)
        CHECK_EQ(seen[i], i % 2 == 0);
    int calls = 0;
    CHECK_EQ(delta_each_table(delta, stop_at_once, &calls), SCN_END);
    CHECK_EQ(calls, 1);
    delta_unref(delta);
}

TEST(delta__rollback_takes_back_what_is_newer)
{
    struct delta *delta = create(0);
    put(delta, "a", "1", 1);
    clear(delta, "k", "l", 2);
    put(delta, "a", "3", 3);
    put(delta, "b", "4", 4);
    clear(delta, NULL, NULL, 5);
    append(delta, OTHER_TABLE, slice_of("o"), DELTA_PUT, nothing, 6);
    delta_rollback(delta, 6);
    CHECK_FIND(delta, "a", 6, "x");
    delta_rollback(delta, 3);
    CHECK_FIND(delta, "a", 9, "3");
    CHECK_FIND(delta, "b", 9, "");
    CHECK_FIND(delta, "k", 9, "x");
    const struct delta_table *table = delta_table(delta, TABLE);
    CHECK_EQ(delta_table_newest(table), 3);
    CHECK_EQ(delta_table_newest(delta_table(delta, OTHER_TABLE)), 0);
    struct delta_entry *left = delta_seek(table, &(scn_slice){"a", 1}, SCN_GT);
    CHECK(left != NULL && left->key[0] == 'b');
    CHECK(delta_entry_version(left, 9) == NULL);
    put(delta, "b", "again", 4);
    CHECK_FIND(delta, "b", 9, "again");
    delta_rollback(delta, 0);
    CHECK(delta_is_empty(delta));
    CHECK_FIND(delta, "a", 9, "");
    CHECK_FIND(delta, "k", 9, "");
    delta_unref(delta);
}

TEST(delta__failed_reservation_leaves_it_usable)
{
    struct delta *delta = create(0);
    put(delta, "a", "1", 1);
    static const uint64_t absurd[] = {UINT64_C(1) << 42, UINT64_C(1) << 60, UINT64_MAX};
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(delta_reserve(delta, 1, 0, absurd[i], 0), SCN_NOMEM);
        CHECK_EQ(delta_reserve(delta, absurd[i], 0, 0, 0), SCN_NOMEM);
        CHECK_EQ(delta_reserve(delta, 1, absurd[i], 0, 0), SCN_NOMEM);
        CHECK_EQ(delta_reserve(delta, 1, 0, 0, absurd[i]), SCN_NOMEM);
    }
    put(delta, "b", "2", 2);
    CHECK_FIND(delta, "a", 2, "1");
    CHECK_FIND(delta, "b", 2, "2");
    delta_unref(delta);
}

TEST(delta__one_reservation_serves_a_batch_of_any_mixture)
{
    enum { BATCH = 3000 };
    uint64_t state = unit_seed();
    struct delta *delta = create(0);
    uint64_t lsn = 1;
    for (int round = 0; round < 10; round++) {
        CHECK_OK(delta_reserve(delta, BATCH, BATCH * 6, BATCH * 5, BATCH));
        for (int i = 0; i < BATCH; i++, lsn++) {
            uint64_t dice = unit_random(&state);
            uint32_t table_id = dice % 3 ? TABLE : (uint32_t)(dice >> 32) % 5000;
            scn_slice key = {&dice, 1 + dice % 3};
            if (dice % 50 == 0)
                delta_append_clear(delta, table_id, &key, &key, lsn);
            else
                delta_append(delta, table_id, key, DELTA_PUT, (scn_slice){"value", 5},
                             lsn);
        }
    }
    CHECK_EQ(delta_table_newest(delta_table(delta, TABLE)) > 0, 1);
    delta_unref(delta);
}

/* ---- against a model ---- */

enum { MODEL_KEYS = 400, MODEL_OPS = 6000, MODEL_KEY_MAX = 700 };

struct model_op {
    uint32_t key; /* a clear: from */
    uint32_t to;
    uint64_t lsn;
    int kind; /* enum delta_kind, or -1: clear */
};

struct model {
    uint8_t keys[MODEL_KEYS][MODEL_KEY_MAX];
    size_t lens[MODEL_KEYS];
    struct model_op ops[MODEL_OPS];
    uint32_t op_count;
    uint32_t ever[MODEL_KEYS]; /* has an entry, rolled back or not */
};

static scn_slice model_key(const struct model *model, uint32_t key)
{
    return (scn_slice){model->keys[key], model->lens[key]};
}

static int compare_keys(scn_slice a, scn_slice b)
{
    return bytes_compare(a.data, a.size, b.data, b.size);
}

/* Some are prefixes of others, some share long beginnings, some are dense, some hold
 * zeros. */
static void model_keys(struct model *model, uint64_t *state)
{
    for (uint32_t i = 0; i < MODEL_KEYS; i++) {
        uint8_t *key = model->keys[i];
        uint64_t dice = unit_random(state);
        size_t start = 0;
        if (i > 0 && dice % 3 == 0) {
            uint32_t other = (dice >> 8) % i;
            start = (dice >> 40) % model->lens[other];
            memcpy(key, model->keys[other], start);
        } else if (dice % 3 == 1) {
            start = dice % 2 ? 600 : 3;
            memset(key, 'p', start);
        }
        size_t len = start + 1 + (dice >> 20) % 6;
        if (len > MODEL_KEY_MAX)
            len = MODEL_KEY_MAX;
        for (size_t at = start; at < len; at++)
            key[at] = (uint8_t)(unit_random(state) >> 32 & (dice & 16 ? 3 : 255));
        model->lens[i] = len;
    }
}

/* The newest operation that says something of the key, or NULL. */
static const struct model_op *model_find(const struct model *model, scn_slice key,
                                         uint64_t max_lsn)
{
    for (uint32_t i = model->op_count; i-- > 0;) {
        const struct model_op *op = &model->ops[i];
        if (op->lsn > max_lsn)
            continue;
        scn_slice from = model_key(model, op->key);
        if (op->kind >= 0 && compare_keys(from, key) == 0)
            return op;
        if (op->kind < 0 && compare_keys(from, key) <= 0 &&
            compare_keys(key, model_key(model, op->to)) < 0)
            return op;
    }
    return NULL;
}

static void check_key(const struct model *model, const struct delta_table *table,
                      uint32_t key, uint64_t max_lsn)
{
    scn_slice at = model_key(model, key);
    const struct model_op *op = model_find(model, at, max_lsn);
    const struct delta_version *version = NULL;
    enum delta_found found = delta_find(table, at, leaf_hash(at.data, at.size), max_lsn,
                                        &version);
    CHECK_EQ(found, op == NULL     ? DELTA_MISS
                    : op->kind < 0 ? DELTA_CLEARED
                                   : DELTA_VERSION);
    if (found != DELTA_VERSION)
        return;
    CHECK_EQ(version->kind, op->kind);
    CHECK_EQ(version->lsn, op->lsn);
    uint32_t index = (uint32_t)(op - model->ops);
    CHECK(version->len == sizeof index &&
          memcmp(version->data, &index, sizeof index) == 0);
}

static void check_seek(const struct model *model, const struct delta_table *table,
                       scn_slice key, int op)
{
    const scn_slice *best = NULL;
    scn_slice candidate[MODEL_KEYS];
    for (uint32_t i = 0; i < MODEL_KEYS; i++) {
        candidate[i] = model_key(model, i);
        int side = compare_keys(candidate[i], key);
        bool is_up = op == SCN_GE || op == SCN_GT;
        bool fits = side == 0 ? op == SCN_GE || op == SCN_LE : (side > 0) == is_up;
        if (!model->ever[i] || !fits)
            continue;
        if (best == NULL || (compare_keys(candidate[i], *best) < 0) == is_up)
            best = &candidate[i];
    }
    struct delta_entry *entry = delta_seek(table, &key, op);
    CHECK((entry == NULL) == (best == NULL));
    if (entry)
        CHECK_EQ(compare_keys((scn_slice){entry->key, entry->key_len}, *best), 0);
}

static void model_append(struct model *model, struct delta *delta, uint64_t *state,
                         uint64_t lsn)
{
    uint64_t dice = unit_random(state);
    struct model_op *op = &model->ops[model->op_count];
    *op = (struct model_op){.key = (dice >> 8) % MODEL_KEYS, .lsn = lsn};
    scn_slice key = model_key(model, op->key);
    if (dice % 32 == 0) {
        op->kind = -1;
        op->to = (dice >> 32) % MODEL_KEYS;
        scn_slice to = model_key(model, op->to);
        CHECK_OK(delta_reserve(delta, 1, key.size + to.size, 0, 1));
        delta_append_clear(delta, TABLE, &key, &to, lsn);
    } else {
        op->kind = (int)((dice >> 40) % 3);
        model->ever[op->key] = 1;
        append(delta, TABLE, key, (enum delta_kind)op->kind,
               (scn_slice){&model->op_count, sizeof model->op_count}, lsn);
    }
    model->op_count++;
}

TEST(delta__agrees_with_a_list_of_operations)
{
    uint64_t state = unit_seed();
    struct model *model = calloc(1, sizeof *model);
    model_keys(model, &state);
    struct delta *delta = create(0);
    uint64_t lsn = 0;
    for (uint32_t round = 0; round < MODEL_OPS; round++) {
        uint64_t dice = unit_random(&state);
        model_append(model, delta, &state, ++lsn);
        const struct delta_table *table = delta_table(delta, TABLE);
        if (dice % 100 == 0) {
            lsn -= (dice >> 8) % 40 % lsn;
            delta_rollback(delta, lsn);
            while (model->op_count && model->ops[model->op_count - 1].lsn > lsn)
                model->op_count--;
        }
        for (int i = 0; i < 4; i++)
            check_key(model, table, unit_random(&state) % MODEL_KEYS,
                      lsn - unit_random(&state) % 300 % (lsn + 1));
        check_seek(model, table, model_key(model, (dice >> 32) % MODEL_KEYS),
                   (int)((dice >> 24) % 4));
        uint64_t asked = lsn - (dice >> 16) % (lsn + 1);
        CHECK_EQ(delta_table_version(table, asked),
                 asked); /* each LSN changed the table */
    }
    delta_unref(delta);
    free(model);
}

/* ---- one appender, three readers ---- */

enum { SHARED_KEYS = 3000, SHARED_ROUNDS = 4, READERS = 3 };

/* LSN n writes key (n - 1) % SHARED_KEYS, so that everything follows from the
 * published LSN. */
struct shared {
    struct delta *delta;
    _Atomic uint64_t published;
    uint8_t keys[SHARED_KEYS][12];
    size_t lens[SHARED_KEYS];
    uint32_t by_order[SHARED_KEYS];
    uint32_t rank[SHARED_KEYS];
    _Atomic int failures;
};

struct shared_reader {
    struct shared *shared;
    uint64_t state;
    pthread_t thread;
};

static scn_slice shared_key(const struct shared *shared, uint32_t key)
{
    return (scn_slice){shared->keys[key], shared->lens[key]};
}

static struct shared *sorting; /* for qsort, before any thread is there */

static int compare_shared(const void *a, const void *b)
{
    return compare_keys(shared_key(sorting, *(const uint32_t *)a),
                        shared_key(sorting, *(const uint32_t *)b));
}

static void shared_keys(struct shared *shared, uint64_t *state)
{
    for (uint32_t i = 0; i < SHARED_KEYS; i++) {
        /* Two bytes make it unique; the first byte and the tail make nodes of all
         * kinds. */
        shared->lens[i] = 3 + unit_random(state) % 9;
        for (size_t at = 0; at < shared->lens[i]; at++)
            shared->keys[i][at] = (uint8_t)(unit_random(state) >> 40 & 1);
        uint16_t unique = (uint16_t)(i * 40503u);
        memcpy(shared->keys[i] + 1, &unique, 2);
        shared->by_order[i] = i;
    }
    sorting = shared;
    qsort(shared->by_order, SHARED_KEYS, sizeof(uint32_t), compare_shared);
    for (uint32_t i = 0; i < SHARED_KEYS; i++)
        shared->rank[shared->by_order[i]] = i;
}

/* unit_fail may not leave a thread: failures are counted. */
static void expect(struct shared *shared, bool is_true)
{
    if (!is_true)
        atomic_fetch_add(&shared->failures, 1);
}

static void read_key(struct shared *shared, const struct delta_table *table, uint32_t key,
                     uint64_t lsn)
{
    const struct delta_version *version = NULL;
    scn_slice at = shared_key(shared, key);
    enum delta_found found =
        delta_find(table, at, leaf_hash(at.data, at.size), lsn, &version);
    uint64_t newest = key + 1 > lsn ? 0 : lsn - (lsn - (key + 1)) % SHARED_KEYS;
    expect(shared, found == (newest ? DELTA_VERSION : DELTA_MISS));
    if (found == DELTA_VERSION) {
        expect(shared, version->lsn == newest);
        expect(shared, version->len == 8 && memcmp(version->data, &newest, 8) == 0);
    }
}

static void read_neighbour(struct shared *shared, const struct delta_table *table,
                           uint32_t key, uint64_t lsn, bool is_up)
{
    scn_slice at = shared_key(shared, key);
    const struct delta_entry *entry = delta_seek(table, &at, is_up ? SCN_GT : SCN_LT);
    uint32_t step = is_up ? 1 : UINT32_MAX; /* ranks wrap around to beyond the last */
    uint32_t rank = shared->rank[key] + step;
    while (rank < SHARED_KEYS && shared->by_order[rank] >= lsn)
        rank += step;
    if (entry == NULL) {
        expect(shared, rank >= SHARED_KEYS);
        return;
    }
    /* Beyond the key, and no farther than the nearest that was there before. */
    scn_slice got = {entry->key, entry->key_len};
    int away = is_up ? 1 : -1;
    expect(shared, compare_keys(got, at) * away > 0);
    if (rank < SHARED_KEYS)
        expect(shared,
               compare_keys(got, shared_key(shared, shared->by_order[rank])) * away <= 0);
}

static void *read_shared(void *arg)
{
    struct shared_reader *reader = arg;
    struct shared *shared = reader->shared;
    uint64_t last = SHARED_KEYS * SHARED_ROUNDS;
    for (uint64_t lsn = 0; lsn < last;) {
        lsn = atomic_load_explicit(&shared->published, memory_order_acquire);
        const struct delta_table *table = delta_table(shared->delta, TABLE);
        if (lsn == 0)
            continue;
        expect(shared, table != NULL);
        if (table == NULL)
            break;
        uint32_t key = unit_random(&reader->state) % SHARED_KEYS;
        read_key(shared, table, key, lsn);
        read_key(shared, table, (uint32_t)((lsn - 1) % SHARED_KEYS), lsn);
        read_neighbour(shared, table, key, lsn, lsn & 1);
        expect(shared, delta_table_version(table, lsn) == lsn);
        expect(shared, delta_table_newest(table) >= lsn);
        uint64_t cleared = delta_cleared_at(delta_table(shared->delta, OTHER_TABLE),
                                            shared_key(shared, key), lsn);
        expect(shared, cleared == (lsn > 1 ? lsn - 1 : lsn) || cleared == lsn);
        expect(shared, delta_bytes(shared->delta) > 0);
    }
    return NULL;
}

static void append_shared(struct shared *shared)
{
    for (uint64_t lsn = 1; lsn <= SHARED_KEYS * SHARED_ROUNDS; lsn++) {
        scn_slice key = shared_key(shared, (uint32_t)((lsn - 1) % SHARED_KEYS));
        CHECK_OK(delta_reserve(shared->delta, 2, key.size, sizeof lsn, 2));
        delta_append_clear(shared->delta, OTHER_TABLE, NULL, NULL, lsn);
        delta_append(shared->delta, TABLE, key, DELTA_PUT, (scn_slice){&lsn, sizeof lsn},
                     lsn);
        atomic_store_explicit(&shared->published, lsn, memory_order_release);
    }
}

TEST(delta__readers_find_everything_up_to_a_published_lsn)
{
    uint64_t state = unit_seed();
    struct shared *shared = calloc(1, sizeof *shared);
    shared->delta = create(0);
    shared_keys(shared, &state);
    struct shared_reader readers[READERS];
    for (int i = 0; i < READERS; i++) {
        readers[i] = (struct shared_reader){.shared = shared,
                                            .state = unit_random(&state) | 1};
        CHECK_EQ(pthread_create(&readers[i].thread, NULL, read_shared, &readers[i]), 0);
    }
    append_shared(shared);
    for (int i = 0; i < READERS; i++)
        CHECK_EQ(pthread_join(readers[i].thread, NULL), 0);
    CHECK_EQ(atomic_load(&shared->failures), 0);
    delta_unref(shared->delta);
    free(shared);
}

/* ---- a key in a busy place ---- */

enum { BUSY_KEY_LEN = 300, BUSY_VALUE_LEN = 8192, BUSY_ROUNDS = 30 };

struct busy {
    struct delta *delta;
    uint8_t key[BUSY_KEY_LEN];
    _Atomic bool is_over;
    _Atomic int failures;
};

static void *look_again_and_again(void *arg)
{
    struct busy *busy = arg;
    scn_slice key = {busy->key, BUSY_KEY_LEN};
    uint64_t hash = leaf_hash(key.data, key.size);
    const struct delta_table *table = delta_table(busy->delta, TABLE);
    while (!atomic_load(&busy->is_over)) {
        const struct delta_version *version;
        bool is_whole = delta_find(table, key, hash, UINT64_MAX, &version) ==
                            DELTA_VERSION &&
                        version->data[0] == version->data[BUSY_VALUE_LEN - 1] &&
                        version->data[0] == version->data[BUSY_VALUE_LEN / 2];
        if (!is_whole)
            atomic_fetch_add(&busy->failures, 1);
    }
    return NULL;
}

/* Each new key parts from it one byte earlier: a node comes above it. */
static void crowd(struct busy *busy)
{
    static uint8_t value[BUSY_VALUE_LEN];
    uint8_t other[BUSY_KEY_LEN];
    uint64_t lsn = 2;
    memcpy(other, busy->key, sizeof other);
    for (uint32_t len = BUSY_KEY_LEN - 1; len > 0; len--) {
        other[len] = 'b';
        append(busy->delta, TABLE, (scn_slice){other, len + 1}, DELTA_PUT, nothing,
               lsn++);
        memset(value, (int)(lsn & 0xff), sizeof value);
        append(busy->delta, TABLE, (scn_slice){busy->key, BUSY_KEY_LEN}, DELTA_PUT,
               (scn_slice){value, sizeof value}, lsn++);
    }
}

TEST(delta__a_key_is_there_and_whole_whatever_comes_beside_it)
{
    static const uint8_t zeros[BUSY_VALUE_LEN];
    struct busy busy = {.failures = 0};
    memset(busy.key, 'a', sizeof busy.key);
    for (int round = 0; round < BUSY_ROUNDS; round++) {
        pthread_t reader;
        busy.delta = create(0);
        append(busy.delta, TABLE, (scn_slice){busy.key, BUSY_KEY_LEN}, DELTA_PUT,
               (scn_slice){zeros, sizeof zeros}, 1);
        atomic_store(&busy.is_over, false);
        CHECK_EQ(pthread_create(&reader, NULL, look_again_and_again, &busy), 0);
        crowd(&busy);
        atomic_store(&busy.is_over, true);
        CHECK_EQ(pthread_join(reader, NULL), 0);
        delta_unref(busy.delta);
    }
    CHECK_EQ(atomic_load(&busy.failures), 0);
}
