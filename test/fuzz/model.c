#include "test/fuzz/model.h"

#include <string.h>

static void clear_rows(struct model_table *table)
{
    for (int i = 0; i < MODEL_KEYS; i++)
        table->rows[i] = (struct model_row){MODEL_ABSENT, 0};
}

void model_init(struct model *model)
{
    memset(model, 0, sizeof *model);
    for (int i = 0; i < MODEL_TABLES; i++)
        clear_rows(&model->state.tables[i]);
}

void model_begin(const struct model *model, struct model_txn *txn, bool is_writing,
                 bool tracks)
{
    memset(txn, 0, sizeof *txn);
    txn->commits = model->commits;
    txn->is_writing = is_writing;
    txn->tracks = tracks;
    txn->snapshot = model->state;
    txn->writes.now = model->state;
}

static bool is_own(const struct model_txn *txn, uint32_t table, uint32_t key)
{
    return txn->writes.restructured[table] || (txn->writes.written[table] >> key & 1);
}

void model_saw(struct model_txn *txn, uint32_t table, uint64_t keys)
{
    if (!txn->tracks)
        return;
    txn->holds_table[table] = true;
    if (!txn->writes.restructured[table])
        txn->held[table] |= keys & ~txn->writes.written[table];
}

static void write(struct model_txn *txn, uint32_t table, uint64_t keys)
{
    txn->holds_table[table] = true;
    txn->writes.written[table] |= keys;
    txn->writes.put[table] &= ~keys;
    txn->writes.added[table] &= ~keys;
}

void model_put(struct model_txn *txn, uint32_t table, uint32_t key,
               struct model_row row, bool is_blind)
{
    uint64_t bit = UINT64_C(1) << key;
    if (!is_blind && !is_own(txn, table, key))
        txn->writes.relied[table] |= bit;
    write(txn, table, bit);
    txn->writes.put[table] |= bit;
    txn->writes.now.tables[table].rows[key] = row;
}

void model_hold(struct model_txn *txn, uint32_t table, uint64_t keys)
{
    txn->holds_table[table] = true;
    if (!txn->writes.restructured[table])
        txn->held[table] |= keys & ~txn->writes.written[table];
}

void model_remove(struct model_txn *txn, uint32_t table, uint64_t keys)
{
    model_hold(txn, table, keys);
    write(txn, table, keys);
    for (int i = 0; i < MODEL_KEYS; i++)
        if (keys >> i & 1)
            txn->writes.now.tables[table].rows[i] = (struct model_row){MODEL_ABSENT, 0};
}

static __int128 value_of(const struct model_row *row)
{
    return row->size == MODEL_ABSENT ? 0 : (int64_t)row->number;
}

static void compose(struct model_sum *sum, int64_t delta, int64_t min, int64_t max)
{
    __int128 lo = (__int128)min - delta - sum->sum;
    __int128 hi = (__int128)max - delta - sum->sum;
    sum->sum += delta;
    sum->lo = lo > sum->lo ? lo : sum->lo;
    sum->hi = hi < sum->hi ? hi : sum->hi;
}

bool model_add(struct model_txn *txn, uint32_t table, uint32_t key, int64_t delta,
               int64_t min, int64_t max)
{
    struct model_row *row = &txn->writes.now.tables[table].rows[key];
    struct model_sum *sum = &txn->writes.sums[table][key];
    uint64_t bit = UINT64_C(1) << key;
    __int128 value = value_of(row) + delta;
    txn->holds_table[table] = true;
    if (txn->writes.written[table] & bit) {
        if (value < min || value > max)
            return false;
    } else {
        if (!(txn->writes.added[table] & bit))
            *sum = (struct model_sum){0, INT64_MIN, INT64_MAX};
        txn->writes.added[table] |= bit;
        compose(sum, delta, min, max);
    }
    *row = (struct model_row){8, (uint64_t)value};
    return true;
}

void model_restructure(struct model_txn *txn, uint32_t table, scn_table_id id)
{
    model_remove(txn, table, id == 0 ? MODEL_ALL : 0);
    txn->writes.restructured[table] = true;
    txn->writes.written[table] = 0;
    txn->writes.put[table] = 0;
    txn->writes.added[table] = 0;
    txn->writes.now.tables[table].id = id;
    clear_rows(&txn->writes.now.tables[table]);
}

bool model_is_out_of_bounds(const struct model *model, const struct model_txn *txn)
{
    for (int i = 0; i < MODEL_TABLES; i++) {
        for (int key = 0; key < MODEL_COUNTERS; key++) {
            const struct model_sum *sum = &txn->writes.sums[i][key];
            __int128 value = txn->writes.restructured[i]
                                 ? 0 : value_of(&model->state.tables[i].rows[key]);
            if ((txn->writes.added[i] >> key & 1) &&
                (value < sum->lo || value > sum->hi || value + sum->sum > INT64_MAX ||
                 value + sum->sum < INT64_MIN))
                return true;
        }
    }
    return false;
}

static bool is_same(const struct model_row *a, const struct model_row *b)
{
    return a->size == b->size && (a->size == MODEL_ABSENT || a->number == b->number);
}

static const char *check_held(const struct model *model, const struct model_txn *txn,
                              uint32_t table)
{
    const struct model_table *before = &txn->snapshot.tables[table];
    const struct model_table *current = &model->state.tables[table];
    uint64_t held = txn->held[table] | txn->writes.relied[table];
    if (txn->holds_table[table] && before->id != current->id)
        return "its table is another one by now";
    for (int key = 0; key < MODEL_KEYS; key++)
        if ((held >> key & 1) &&
            !is_same(&before->rows[key], &current->rows[key]))
            return "a row that it relied on has changed";
    return NULL;
}

static void apply_table(struct model *model, const struct model_txn *txn, uint32_t i)
{
    const struct model_writes *writes = &txn->writes;
    struct model_table *table = &model->state.tables[i];
    if (writes->restructured[i]) {
        *table = writes->now.tables[i];
        return;
    }
    for (int key = 0; key < MODEL_KEYS; key++) {
        struct model_row *row = &table->rows[key];
        if (writes->written[i] >> key & 1)
            *row = writes->now.tables[i].rows[key];
        else if (key < MODEL_COUNTERS && (writes->added[i] >> key & 1))
            *row = (struct model_row){
                8, (uint64_t)(value_of(row) + writes->sums[i][key].sum)};
    }
}

const char *model_commit(struct model *model, const struct model_txn *txn)
{
    bool wrote = false;
    for (uint32_t i = 0; i < MODEL_TABLES; i++)
        wrote |= txn->writes.written[i] || txn->writes.added[i] ||
                 txn->writes.restructured[i];
    if (!wrote)
        return NULL;
    for (uint32_t i = 0; i < MODEL_TABLES; i++) {
        const char *why = check_held(model, txn, i);
        if (why)
            return why;
    }
    for (uint32_t i = 0; i < MODEL_TABLES; i++)
        apply_table(model, txn, i);
    model->commits++;
    return NULL;
}
