/* Chronicle: see chronicle.h. */
#include "test/schedule/chronicle.h"

#include "page/bytes.h"
#include "test/unit/unit.h"

#include <inttypes.h>
#include <stdarg.h>
static void *must_have(void *block)
{
    if (block == NULL)
        abort();
    return block;
}

static uint64_t roll(uint64_t *random, uint64_t bound)
{
    return (unit_random(random) >> 20) % bound;
}

void chronicle_fail(struct chronicle *chronicle, const char *format, ...)
{
    va_list args;
    if (chronicle->wrong[0] != 0)
        return;
    va_start(args, format);
    vsnprintf(chronicle->wrong, sizeof chronicle->wrong, format, args);
    va_end(args);
}

void chronicle_init(struct chronicle *chronicle)
{
    *chronicle = (struct chronicle){.next_version = 1};
    for (int i = 0; i < DEED_ACTORS; i++)
        chronicle->next_number[i] = 1;
}

void chronicle_destroy(struct chronicle *chronicle)
{
    for (int i = 0; i < DEED_ACTORS; i++)
        free(chronicle->values[i]);
    free(chronicle->entries);
    free(chronicle->states);
    free(chronicle->order);
}

/* ---- programs ---- */

static enum deed_kind some_kind(uint64_t *random, bool is_write)
{
    static const enum deed_kind reads[] = {DO_GET,       DO_GET,   DO_SCAN,
                                           DO_SCAN_BACK, DO_COUNT, DO_SUM};
    static const enum deed_kind writes[] = {
        DO_PUT, DO_PUT, DO_PUT,       DO_PUT_NEW, DO_PUT_BLIND, DO_DEL,
        DO_DEL, DO_ADD, DO_DEL_RANGE, DO_CLEAR,   DO_RENEW,     DO_BEGIN_VAIN};
    if (!is_write || roll(random, 100) < 40)
        return reads[roll(random, sizeof reads / sizeof *reads)];
    enum deed_kind kind = writes[roll(random, sizeof writes / sizeof *writes)];
    bool is_rare = kind == DO_CLEAR || kind == DO_RENEW;
    return is_rare && roll(random, kind == DO_CLEAR ? 4 : 12) != 0 ? DO_PUT : kind;
}

static void plan_deed(struct chronicle *chronicle, uint64_t *random, struct entry *entry,
                    bool *is_vain)
{
    struct deed *deed = &entry->deeds[entry->deed_count++];
    *deed = (struct deed){.kind = some_kind(random, entry->is_write)};
    deed->table = (uint32_t)roll(random, DEED_TABLES);
    deed->key = (uint32_t)roll(random, DEED_KEYS);
    deed->limit = 1 + (uint32_t)roll(random, 5);
    if (deed->kind == DO_SUM || deed->kind == DO_ADD)
        deed->key %= DEED_SUMS;
    if (deed->kind == DO_BEGIN_VAIN && *is_vain)
        deed->kind = DO_END_VAIN;
    if (deed->kind == DO_BEGIN_VAIN || deed->kind == DO_END_VAIN)
        *is_vain = !*is_vain;
    if (deed->kind >= DO_PUT && deed->kind <= DO_PUT_BLIND)
        deed->version = chronicle->next_version++;
}

uint32_t chronicle_plan(struct chronicle *chronicle, uint64_t *random, uint32_t actor,
                      bool is_write, bool is_snapshot)
{
    if (chronicle->count == chronicle->capacity) {
        chronicle->capacity = chronicle->capacity ? chronicle->capacity * 2 : 64;
        chronicle->entries = must_have(realloc(
            chronicle->entries, chronicle->capacity * sizeof *chronicle->entries));
    }
    struct entry *entry = &chronicle->entries[chronicle->count];
    *entry = (struct entry){
        .actor = actor, .is_write = is_write, .is_snapshot = is_snapshot};
    uint32_t count = 1 + (uint32_t)roll(random, is_write ? 5 : CHRONICLE_DEEDS - 1);
    bool is_vain = false;
    for (uint32_t i = 0; i < count; i++)
        plan_deed(chronicle, random, entry, &is_vain);
    if (is_vain)
        entry->deeds[entry->deed_count++] = (struct deed){.kind = DO_END_VAIN};
    return chronicle->count++;
}

/* ---- acting ---- */

/* In the actor's own buffer: others act while this one puts. */
static scn_slice make_value(struct chronicle *chronicle, uint32_t actor, uint32_t version)
{
    uint8_t **buf = &chronicle->values[actor];
    if (*buf == NULL)
        *buf = must_have(malloc(DEED_VALUE_BYTES_MAX));
    return deed_value(*buf, version);
}

struct act {
    struct chronicle *chronicle;
    uint32_t actor;
    scn_txn *txn;
    scn_table_id tables[DEED_TABLES];
    scn_table_id sums;
    uint32_t savepoint;
};

static scn_status act_get(struct act *act, struct deed *deed)
{
    uint8_t key[8];
    scn_slice value;
    scn_status st = scn_get(act->txn, act->tables[deed->table], deed_key(key, deed->key),
                            &value);
    deed->told = st == SCN_OK ? deed_read_value(value) : 0;
    return st;
}

static scn_status act_scan(struct act *act, struct deed *deed)
{
    bool is_back = deed->kind == DO_SCAN_BACK;
    scn_cursor *cursor;
    scn_slice key;
    scn_slice value;
    uint8_t buf[8];
    scn_status st = scn_cursor_open(act->txn, act->tables[deed->table], &cursor);
    if (st != SCN_OK)
        return st;
    deed->told = 0;
    st = scn_seek(cursor, deed_key(buf, deed->key), is_back ? SCN_LE : SCN_GE, &key,
                  &value);
    for (uint32_t i = 0; st == SCN_OK && i < deed->limit; i++) {
        deed->told = deed_mix(deed->told, deed_read_key(key), deed_read_value(value));
        st = is_back ? scn_prev(cursor, &key, &value) : scn_next(cursor, &key, &value);
    }
    if (st == SCN_END)
        deed->told = deed_mix(deed->told, DEED_TOLD_END, 0);
    scn_cursor_close(cursor);
    return st;
}

static scn_status act_sum(struct act *act, struct deed *deed)
{
    uint8_t key = (uint8_t)deed->key;
    scn_slice value;
    scn_status st = scn_get(act->txn, act->sums, (scn_slice){&key, 1}, &value);
    deed->told = st == SCN_OK && value.size == 8 ? get_u64(value.data) : 0;
    return st;
}

static scn_status act_put(struct act *act, struct deed *deed)
{
    uint8_t key[8];
    uint32_t flags = deed->kind == DO_PUT_NEW     ? SCN_PUT_NEW
                     : deed->kind == DO_PUT_BLIND ? SCN_PUT_BLIND
                                                : 0;
    scn_slice value = make_value(act->chronicle, act->actor, deed->version);
    scn_status st = scn_put(act->txn, act->tables[deed->table], deed_key(key, deed->key),
                            value, flags);
    deed->told = st == SCN_EXISTS;
    return st;
}

static scn_status act_del_range(struct act *act, struct deed *deed)
{
    uint8_t from[8];
    uint8_t to[8];
    return scn_del_range(act->txn, act->tables[deed->table], deed_key(from, deed->key),
                         deed_key(to, deed->key + deed->limit), &deed->told);
}

static scn_status act_add(struct act *act, struct deed *deed)
{
    uint8_t key = (uint8_t)deed->key;
    return scn_add(act->txn, act->sums, (scn_slice){&key, 1}, deed->limit, INT64_MIN,
                   INT64_MAX);
}

static uint32_t table_flags(uint32_t table)
{
    return SCN_CREATE | (table ? SCN_COMPRESS : 0);
}

static scn_status act_renew(struct act *act, struct deed *deed)
{
    scn_status st = scn_table_drop(act->txn, act->tables[deed->table]);
    return st == SCN_OK ? scn_table(act->txn, deed_tables[deed->table],
                                    table_flags(deed->table), &act->tables[deed->table])
                        : st;
}

static scn_status find_tables(struct act *act)
{
    scn_status st = SCN_OK;
    for (int i = 0; st == SCN_OK && i < DEED_TABLES; i++)
        st = scn_table(act->txn, deed_tables[i], 0, &act->tables[i]);
    return st == SCN_NOTFOUND ? SCN_CORRUPT : st;
}

/* A table that was made in vain is not there any more. */
static scn_status act_end_vain(struct act *act)
{
    scn_status st = scn_rollback_to(act->txn, act->savepoint);
    return st == SCN_OK ? find_tables(act) : st;
}

static scn_status act_one(struct act *act, struct deed *deed)
{
    uint8_t key[8];
    scn_status st;
    switch (deed->kind) {
    case DO_GET: return act_get(act, deed);
    case DO_SCAN:
    case DO_SCAN_BACK: return act_scan(act, deed);
    case DO_COUNT:
        return scn_table_count(act->txn, act->tables[deed->table], &deed->told);
    case DO_SUM: return act_sum(act, deed);
    case DO_PUT:
    case DO_PUT_NEW:
    case DO_PUT_BLIND: return act_put(act, deed);
    case DO_DEL:
        st = scn_del(act->txn, act->tables[deed->table], deed_key(key, deed->key));
        deed->told = st == SCN_OK;
        return st;
    case DO_DEL_RANGE: return act_del_range(act, deed);
    case DO_CLEAR: return scn_table_clear(act->txn, act->tables[deed->table]);
    case DO_RENEW: return act_renew(act, deed);
    case DO_ADD: return act_add(act, deed);
    case DO_BEGIN_VAIN: return scn_savepoint(act->txn, &act->savepoint);
    default: return act_end_vain(act);
    }
}

static scn_status act_begin(struct act *act, scn_table_id *last)
{
    scn_status st = scn_table(act->txn, deed_last_table, 0, last);
    if (st == SCN_OK)
        st = scn_table(act->txn, deed_sum_table, 0, &act->sums);
    if (st == SCN_OK)
        st = find_tables(act);
    return st == SCN_NOTFOUND ? SCN_CORRUPT : st;
}

/* Blind, so that it makes no conflict of its own. */
static scn_status write_number(struct chronicle *chronicle, struct entry *entry,
                               scn_txn *txn, scn_table_id last)
{
    uint8_t key = (uint8_t)entry->actor;
    uint8_t number[8];
    entry->number = chronicle->next_number[entry->actor]++;
    put_u64(number, entry->number);
    return scn_put(txn, last, (scn_slice){&key, 1}, (scn_slice){number, 8},
                   SCN_PUT_BLIND);
}

scn_status chronicle_act(struct chronicle *chronicle, uint32_t entry_no, scn_txn *txn)
{
    struct act act = {.chronicle = chronicle, .txn = txn};
    scn_table_id last;
    act.actor = chronicle->entries[entry_no].actor;
    scn_status st = act_begin(&act, &last);
    uint32_t count = chronicle->entries[entry_no].deed_count;
    for (uint32_t i = 0; st >= 0 && i < count; i++) {
        /* Others may plan meanwhile, and the entries move. */
        struct deed deed = chronicle->entries[entry_no].deeds[i];
        st = act_one(&act, &deed);
        chronicle->entries[entry_no].deeds[i].told = deed.told;
    }
    if (st >= 0 && chronicle->entries[entry_no].is_write) {
        struct entry entry = chronicle->entries[entry_no];
        st = write_number(chronicle, &entry, txn, last);
        chronicle->entries[entry_no].number = entry.number;
    }
    return st < 0 ? st : SCN_OK;
}

static scn_status create_all(scn_txn *txn, void *ctx)
{
    scn_table_id id;
    scn_status st = scn_table(txn, deed_last_table, SCN_CREATE, &id);
    (void)ctx;
    for (int i = 0; st == SCN_OK && i < DEED_TABLES; i++)
        st = scn_table(txn, deed_tables[i], table_flags((uint32_t)i), &id);
    return st == SCN_OK ? scn_table(txn, deed_sum_table, SCN_CREATE, &id) : st;
}

scn_status chronicle_prepare(scn_db *db)
{
    return scn_update(db, create_all, NULL);
}

/* ---- what is noted ---- */

void chronicle_began(struct chronicle *chronicle, uint32_t entry_no, uint64_t acked_lsn,
                   uint64_t lsn)
{
    struct entry *entry = &chronicle->entries[entry_no];
    entry->snapshot_lsn = lsn;
    if (lsn < acked_lsn)
        chronicle_fail(chronicle, "actor %u: the snapshot is at %" PRIu64 ", but %" PRIu64
                     " was acknowledged before", entry->actor, lsn, acked_lsn);
}

void chronicle_stamp(struct chronicle *chronicle, uint32_t entry_no)
{
    chronicle->entries[entry_no].stamp = ++chronicle->last_stamp;
}

void chronicle_acked(struct chronicle *chronicle, uint32_t entry_no, uint64_t lsn,
                   bool is_durable)
{
    struct entry *entry = &chronicle->entries[entry_no];
    entry->fate = FATE_ACKED;
    entry->lsn = lsn;
    entry->is_durable = is_durable;
    if (entry->is_write && lsn > chronicle->acked_lsn)
        chronicle->acked_lsn = lsn;
}

void chronicle_synced(struct chronicle *chronicle)
{
    for (uint32_t i = 0; i < chronicle->count; i++)
        if (chronicle->entries[i].fate == FATE_ACKED)
            chronicle->entries[i].is_durable = true;
}

/* ---- for people ---- */

void chronicle_print(const struct chronicle *chronicle)
{
    for (uint32_t i = 0; i < chronicle->count; i++) {
        const struct entry *entry = &chronicle->entries[i];
        printf("  %u: actor %u %s%s number %u, fate %d, stamp %" PRIu64
               ", snapshot %" PRIu64 ", lsn %" PRIu64 "%s\n",
               i, entry->actor, entry->is_write ? "writes" : "reads",
               entry->is_snapshot ? " from a snapshot" : "", entry->number,
               (int)entry->fate, entry->stamp, entry->snapshot_lsn, entry->lsn,
               entry->is_durable ? ", durable" : "");
        for (uint32_t j = 0; j < entry->deed_count; j++) {
            const struct deed *deed = &entry->deeds[j];
            printf("      %s %s %u, limit %u, version %u: %" PRIu64 "\n",
                   deed_names[deed->kind], deed_tables[deed->table], deed->key,
                   deed->limit, deed->version, deed->told);
        }
    }
}
