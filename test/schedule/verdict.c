/* Verdicts: see verdict.h. */
#include "test/schedule/verdict.h"

#include "page/bytes.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void *must_have(void *block)
{
    if (block == NULL)
        abort();
    return block;
}

/* ---- in the order of the log ---- */

/* Runs the program on the state; the number of the first operation that is told something
 * else, or deed_count. */
static uint32_t model_run(struct state *state, const struct entry *entry)
{
    struct state before;
    uint32_t first = entry->deed_count;
    for (uint32_t i = 0; i < entry->deed_count; i++) {
        const struct deed *deed = &entry->deeds[i];
        if (deed->kind == DO_BEGIN_VAIN)
            before = *state;
        uint64_t told = deed_play(state, deed);
        if (deed->kind == DO_END_VAIN)
            *state = before;
        if (told != deed->told && first == entry->deed_count)
            first = i;
    }
    if (entry->is_write)
        state->last[entry->actor] = entry->number;
    return first;
}

static int by_stamp(const void *a, const void *b, void *ctx)
{
    const struct entry *entries = ctx;
    uint64_t x = entries[*(const uint32_t *)a].stamp;
    uint64_t y = entries[*(const uint32_t *)b].stamp;
    return (x > y) - (x < y);
}

/* Nothing is written where a row was found to be there, or not to be. */
static bool is_idle(const struct deed *deed)
{
    return (deed->kind == DO_PUT_NEW && deed->told) ||
           (deed->kind == DO_DEL && !deed->told);
}

/* With a snapshot the effects were decided there; nobody else has touched those keys. */
static void model_effects(struct state *state, const struct entry *entry)
{
    struct entry writes = *entry;
    writes.deed_count = 0;
    for (uint32_t i = 0; i < entry->deed_count; i++)
        if (!is_idle(&entry->deeds[i]))
            writes.deeds[writes.deed_count++] = entry->deeds[i];
    for (uint32_t i = 0; i < writes.deed_count; i++)
        if (writes.deeds[i].kind == DO_PUT_NEW)
            writes.deeds[i].kind = DO_PUT;
    (void)model_run(state, &writes);
}

/* Commits in the order of the log, and the states they leave. */
static void make_order(struct chronicle *chronicle)
{
    uint32_t room = chronicle->count + 1;
    if (room > chronicle->order_capacity) {
        chronicle->order_capacity = room * 2;
        chronicle->order = must_have(realloc(
            chronicle->order, chronicle->order_capacity * sizeof *chronicle->order));
        chronicle->states = must_have(realloc(
            chronicle->states, chronicle->order_capacity * sizeof *chronicle->states));
    }
    chronicle->order_count = 0;
    for (uint32_t i = 0; i < chronicle->count; i++) {
        const struct entry *entry = &chronicle->entries[i];
        if (entry->is_write && entry->stamp && entry->fate != FATE_OPEN)
            chronicle->order[chronicle->order_count++] = i;
    }
    qsort_r(chronicle->order, chronicle->order_count, sizeof *chronicle->order, by_stamp,
            chronicle->entries);
    chronicle->states[0] = chronicle->base;
    for (uint32_t i = 0; i < chronicle->order_count; i++) {
        chronicle->states[i + 1] = chronicle->states[i];
        model_effects(&chronicle->states[i + 1],
                      &chronicle->entries[chronicle->order[i]]);
    }
}

static void say_entry(struct chronicle *chronicle, const struct entry *entry,
                      uint32_t deed_no, uint64_t should)
{
    const struct deed *deed = &entry->deeds[deed_no];
    chronicle_fail(chronicle, "actor %u, %s %u at snapshot %" PRIu64 ", commit %" PRIu64
                 ": operation %u (%s, table %u, key %u, limit %u) was told %" PRIu64
                 ", not %" PRIu64,
                 entry->actor, entry->is_write ? "commit" : "reader", entry->number,
                 entry->snapshot_lsn, entry->lsn, deed_no, deed_names[deed->kind],
                 deed->table,
                 deed->key, deed->limit, deed->told, should);
}

static uint64_t told_by_model(const struct state *base, const struct entry *entry,
                              uint32_t deed_no)
{
    struct state state = *base;
    struct entry part = *entry;
    for (uint32_t i = 0; i < deed_no; i++)
        (void)deed_play(&state, &part.deeds[i]);
    return deed_play(&state, &part.deeds[deed_no]);
}

static bool is_told_so(const struct state *base, const struct entry *entry)
{
    struct state state = *base;
    return model_run(&state, entry) == entry->deed_count;
}

static void check_on(struct chronicle *chronicle, const struct entry *entry,
                     const struct state *base)
{
    struct state state = *base;
    uint32_t first = model_run(&state, entry);
    if (first < entry->deed_count)
        say_entry(chronicle, entry, first, told_by_model(base, entry, first));
}

/* Of commits that were not answered the LSN is not known: such a one may be in the
 * snapshot or not, if it lies between one that is and one that is not. */
static void check_snapshot(struct chronicle *chronicle, const struct entry *entry)
{
    uint32_t place = 0;
    for (uint32_t i = 0; i < chronicle->order_count; i++) {
        const struct entry *commit = &chronicle->entries[chronicle->order[i]];
        if (commit->lsn && commit->lsn <= entry->snapshot_lsn)
            place = i + 1;
    }
    uint32_t last = place;
    while (last < chronicle->order_count &&
           chronicle->entries[chronicle->order[last]].lsn == 0)
        last++;
    for (uint32_t i = place; i <= last; i++)
        if (is_told_so(&chronicle->states[i], entry))
            return;
    check_on(chronicle, entry, &chronicle->states[place]);
}

static void check_order(struct chronicle *chronicle)
{
    uint64_t lsn = 0;
    for (uint32_t i = 0; i < chronicle->order_count; i++) {
        const struct entry *entry = &chronicle->entries[chronicle->order[i]];
        if (entry->lsn && entry->lsn <= lsn)
            chronicle_fail(chronicle, "commit %u of actor %u has LSN %" PRIu64
                         " behind one with %" PRIu64,
                         entry->number, entry->actor, entry->lsn, lsn);
        lsn = entry->lsn > lsn ? entry->lsn : lsn;
    }
}

bool verdict_on_all(struct chronicle *chronicle)
{
    make_order(chronicle);
    check_order(chronicle);
    for (uint32_t i = 0; i < chronicle->order_count; i++) {
        const struct entry *entry = &chronicle->entries[chronicle->order[i]];
        if (entry->fate == FATE_ACKED && !entry->is_snapshot)
            check_on(chronicle, entry, &chronicle->states[i]);
    }
    for (uint32_t i = 0; i < chronicle->count; i++) {
        const struct entry *entry = &chronicle->entries[i];
        if (entry->fate == FATE_ACKED && entry->is_write && entry->stamp == 0)
            chronicle_fail(chronicle, "commit %u of actor %u was acknowledged unwritten",
                         entry->number, entry->actor);
        if (entry->fate == FATE_ACKED && entry->is_snapshot)
            check_snapshot(chronicle, entry);
    }
    return chronicle->wrong[0] == 0;
}

/* ---- conflicts ---- */

/* Large transactions become runs, which are compared by their first and last keys. */
static bool is_bulk(const struct entry *entry)
{
    for (uint32_t i = 0; i < entry->deed_count; i++)
        if (entry->deeds[i].version && entry->deeds[i].version % DEED_BULK_ONE_IN == 0)
            return true;
    return false;
}

/* What deed number i touches, or all writes of a large transaction to that table. */
static struct touch wide_touch(const struct entry *entry, uint32_t i)
{
    struct touch touch = deed_touch(&entry->deeds[i]);
    if (!deed_is_written(&entry->deeds[i]) || !is_bulk(entry))
        return touch;
    for (uint32_t j = 0; j < entry->deed_count; j++) {
        struct touch other = deed_touch(&entry->deeds[j]);
        if (!deed_is_written(&entry->deeds[j]) || other.table != touch.table)
            continue;
        touch.lo = other.lo < touch.lo ? other.lo : touch.lo;
        touch.hi = other.hi > touch.hi ? other.hi : touch.hi;
    }
    return touch;
}

static bool meets(const struct entry *entry, const struct entry *commit)
{
    for (uint32_t i = 0; i < commit->deed_count; i++) {
        if (commit->deeds[i].kind == DO_RENEW)
            return true; /* everybody begins with a look at the names */
        struct touch theirs = wide_touch(commit, i);
        for (uint32_t j = 0; deed_is_written(&commit->deeds[i]) && j < entry->deed_count;
             j++) {
            struct touch ours = wide_touch(entry, j);
            if (ours.table == theirs.table && ours.lo <= theirs.hi &&
                theirs.lo <= ours.hi && entry->deeds[j].kind < DO_BEGIN_VAIN)
                return true;
        }
    }
    return false;
}

void verdict_on_conflict(struct chronicle *chronicle, uint32_t entry_no)
{
    const struct entry *entry = &chronicle->entries[entry_no];
    for (uint32_t i = 0; i < chronicle->count; i++) {
        const struct entry *commit = &chronicle->entries[i];
        bool is_later = commit->stamp &&
                        (commit->lsn == 0 || commit->lsn > entry->snapshot_lsn);
        if (i != entry_no && is_later && meets(entry, commit))
            return;
    }
    chronicle_fail(chronicle, "actor %u was told of a conflict with nobody, at snapshot %"
                 PRIu64, entry->actor, entry->snapshot_lsn);
}

/* ---- what a store holds ---- */

static scn_status read_table(scn_txn *txn, uint32_t table, struct state *state)
{
    scn_table_id id;
    uint8_t buf[8];
    uint64_t count;
    uint64_t found = 0;
    scn_status st = scn_table(txn, deed_tables[table], 0, &id);
    for (uint32_t key = 0; st >= 0 && key < DEED_KEYS; key++) {
        scn_slice value;
        st = scn_get(txn, id, deed_key(buf, key), &value);
        if (st == SCN_OK)
            state->version[table][key] = deed_read_value(value);
        found += st == SCN_OK;
    }
    if (st >= 0)
        st = scn_table_count(txn, id, &count);
    return st == SCN_OK && count != found ? SCN_CORRUPT : st;
}

static scn_status read_words(scn_txn *txn, const char *name, uint32_t count,
                             uint64_t *words)
{
    scn_table_id id;
    scn_status st = scn_table(txn, name, 0, &id);
    for (uint32_t i = 0; st >= 0 && i < count; i++) {
        uint8_t key = (uint8_t)i;
        scn_slice value;
        st = scn_get(txn, id, (scn_slice){&key, 1}, &value);
        words[i] = st == SCN_OK && value.size == 8 ? get_u64(value.data) : 0;
    }
    return st < 0 ? st : SCN_OK;
}

static scn_status read_state(scn_db *db, struct state *state)
{
    uint64_t last[DEED_ACTORS];
    uint64_t sums[DEED_SUMS];
    scn_txn *txn;
    *state = (struct state){0};
    scn_status st = scn_begin(db, SCN_READ, &txn);
    if (st != SCN_OK)
        return st;
    for (uint32_t i = 0; i < DEED_TABLES && st >= 0; i++)
        st = read_table(txn, i, state);
    if (st >= 0)
        st = read_words(txn, deed_last_table, DEED_ACTORS, last);
    if (st >= 0)
        st = read_words(txn, deed_sum_table, DEED_SUMS, sums);
    scn_abort(txn);
    for (uint32_t i = 0; st >= 0 && i < DEED_ACTORS; i++)
        state->last[i] = (uint32_t)last[i];
    for (uint32_t i = 0; st >= 0 && i < DEED_SUMS; i++)
        state->sum[i] = (int64_t)sums[i];
    return st < 0 ? st : SCN_OK;
}

scn_status verdict_read_last(scn_db *db, uint32_t last[DEED_ACTORS])
{
    struct state state;
    scn_status st = read_state(db, &state);
    memcpy(last, state.last, sizeof state.last);
    return st;
}

/* The length of the prefix with these numbers; UINT32_MAX: there is none. */
static uint32_t find_place(const struct chronicle *chronicle, const struct state *found)
{
    for (uint32_t i = chronicle->order_count + 1; i > 0; i--)
        if (memcmp(chronicle->states[i - 1].last, found->last, sizeof found->last) == 0)
            return i - 1;
    return UINT32_MAX;
}

static uint32_t needed_place(const struct chronicle *chronicle, bool needs_all)
{
    for (uint32_t i = chronicle->order_count; i > 0; i--) {
        const struct entry *entry = &chronicle->entries[chronicle->order[i - 1]];
        if ((entry->fate == FATE_ACKED && entry->is_durable) ||
            (entry->fate >= FATE_KEPT && needs_all))
            return i;
    }
    return 0;
}

static void compare(struct chronicle *chronicle, const struct state *found,
                    uint32_t place)
{
    const struct state *model = &chronicle->states[place];
    for (uint32_t i = 0; i < DEED_TABLES * DEED_KEYS; i++) {
        uint32_t table = i / DEED_KEYS;
        uint32_t key = i % DEED_KEYS;
        if (found->version[table][key] != model->version[table][key])
            chronicle_fail(chronicle,
                           "after commit %u of %u the row %u of %s is %u, not %u",
                         place, chronicle->order_count, key, deed_tables[table],
                         found->version[table][key], model->version[table][key]);
    }
    for (uint32_t i = 0; i < DEED_SUMS; i++)
        if (found->sum[i] != model->sum[i])
            chronicle_fail(chronicle, "after commit %u of %u sum %u is %" PRId64
                         ", not %" PRId64,
                         place, chronicle->order_count, i, found->sum[i], model->sum[i]);
}

bool verdict_on_store(struct chronicle *chronicle, scn_db *db, bool needs_all,
                     uint32_t *place)
{
    struct state found;
    scn_status st = read_state(db, &found);
    make_order(chronicle);
    *place = 0;
    if (st != SCN_OK) {
        chronicle_fail(chronicle, "reading says %d: %s", st, error_last()->text);
        return false;
    }
    *place = find_place(chronicle, &found);
    uint32_t needed = needed_place(chronicle, needs_all);
    if (*place == UINT32_MAX)
        chronicle_fail(chronicle, "what is there is no prefix of the commits");
    else if (*place < needed)
        chronicle_fail(chronicle, "%u commits are there, but %u were promised", *place,
                     needed);
    else
        compare(chronicle, &found, *place);
    return chronicle->wrong[0] == 0;
}

void verdict_settle(struct chronicle *chronicle, uint32_t place)
{
    make_order(chronicle);
    chronicle->base = chronicle->states[place];
    chronicle->count = 0;
    chronicle->last_stamp = 0;
    chronicle->acked_lsn = 0;
    for (uint32_t i = 0; i < DEED_ACTORS; i++)
        chronicle->next_number[i] = chronicle->base.last[i] + 1;
}
