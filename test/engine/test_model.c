/* Random transactions against a model.
 *
 * The model is a few small tables in arrays.  Transactions run on the store, alone or
 * from several threads, and write down every step and what it answered.  Afterwards the
 * committed ones are put into the order of their LSNs and played on the model, which
 * gives the state after each commit.  Then every transaction, also those that did not
 * commit, is judged:
 *
 *     [snapshot]      its answers are those of the state at its snapshot, with its own
 *                     writes on top
 *     [serializable]  if it committed writes and tracked its reads, its answers are also
 *                     those of the state just before its commit
 *     [strict]        a snapshot has every commit that was acknowledged before it began
 *
 * Between rounds the store is checkpointed, checked and opened anew; some snapshots live
 * on for rounds.  SEED=n reruns a seed: exactly, where there is one thread. */
#include "engine/store.h"
#include "test/unit/unit.h"

#include <pthread.h>

enum {
    SLOTS = 3,
    KEYS = 96,
    COUNTERS = 16, /* keys below it hold numbers of 8 bytes */
    SAVEPOINTS = 3,
    ACTORS_MAX = 4,
    TXNS_MAX = 400,
    STEPS_MAX = 60,
    HELD_MAX = 4,
    KEY_ROOM = 512,
    VALUE_ROOM = 30000
};
#define ABSENT UINT32_MAX

/* ---- the model ---- */

/* The first 8 bytes are the number, the rest follows from it. */
struct val {
    uint32_t size;
    uint64_t number;
};

struct slot {
    scn_table_id id; /* 0: there is none */
    struct val rows[KEYS];
};

struct state {
    struct slot slots[SLOTS];
};

enum kind {
    DO_LOOKUP,
    DO_CREATE,
    DO_DROP,
    DO_CLEAR,
    DO_GET,
    DO_GET_MANY,
    DO_SIZE,
    DO_READ_AT,
    DO_COUNT,
    DO_PUT,
    DO_ADD,
    DO_DEL,
    DO_DEL_RANGE,
    DO_SCAN,
    DO_WALK,
    DO_SAVEPOINT,
    DO_ROLLBACK
};

enum {
    SCAN_FORWARD = 1,
    SCAN_TURNS = 2,
    SCAN_BOUNDED = 4,
    SCAN_FROM_EDGE = 8,
    SCAN_STRICT = 16,
    IS_UNTRACKED = 32
};

/* What was asked and what was answered. */
struct step {
    uint8_t kind;
    uint8_t slot;
    uint8_t flags;
    uint16_t key;
    uint16_t to;
    uint16_t count;
    struct val val;
    scn_table_id id;
    scn_status st;
    uint64_t fold; /* all answers in one number */
};

struct trial {
    uint32_t flags;
    uint32_t actor;
    uint32_t first_step;
    uint32_t step_count;
    uint64_t snapshot_lsn;
    uint64_t commit_lsn;
    bool wrote;
};

static uint64_t fold_in(uint64_t fold, uint64_t number)
{
    fold = (fold ^ number) * UINT64_C(0x9e3779b97f4a7c15);
    return fold ^ fold >> 29;
}

static uint64_t fold_val(uint64_t fold, const struct val *val)
{
    return fold_in(fold_in(fold, val->size), val->number);
}

static void state_clear(struct slot *slot)
{
    for (int i = 0; i < KEYS; i++)
        slot->rows[i] = (struct val){ABSENT, 0};
}

/* ---- bytes ---- */

/* Sorted like their numbers; some are long. */
static scn_slice key_bytes(uint32_t key, char buf[KEY_ROOM])
{
    int len = snprintf(buf, KEY_ROOM, "key-%05u", key);
    int more = key % 5 == 0 ? (int)(key * 37 % 400) : 0;
    memset(buf + len, 'x', (size_t)more);
    return (scn_slice){buf, (size_t)(len + more)};
}

static uint32_t key_number(scn_slice key)
{
    uint32_t number = 0;
    for (size_t i = 4; i < 9 && i < key.size; i++)
        number = number * 10 + (uint32_t)(((const char *)key.data)[i] - '0');
    return number;
}

static scn_slice val_bytes(struct val val, uint8_t buf[VALUE_ROOM])
{
    memset(buf, (int)(val.number * 31), val.size);
    memcpy(buf, &val.number, val.size < 8 ? val.size : 8);
    return (scn_slice){buf, val.size};
}

static struct val val_of(scn_slice bytes)
{
    struct val val = {(uint32_t)bytes.size, 0};
    memcpy(&val.number, bytes.data, bytes.size < 8 ? bytes.size : 8);
    for (size_t i = 8; i < bytes.size; i++)
        if (((const uint8_t *)bytes.data)[i] != (uint8_t)(val.number * 31))
            return (struct val){ABSENT - 1, i};
    return val;
}

static struct val random_val(uint64_t *random, uint32_t key)
{
    static const uint32_t sizes[] = {0,   3,    8,    20,   100,  287,  289,
                                     700, 1023, 1025, 2500, 5000, 9000, 25000};
    struct val val = {8, unit_random(random) % 1000};
    if (key >= COUNTERS) {
        uint32_t pick = (uint32_t)(unit_random(random) % 30);
        val.size = pick < 14 ? sizes[pick] : pick * 10;
        val.number = unit_random(random);
        if (val.size < 8)
            val.number &= (UINT64_C(1) << val.size * 8) - 1;
    }
    return val;
}

/* ---- one transaction on the store ---- */

struct actor {
    scn_db *db;
    pthread_t thread;
    uint64_t random;
    uint32_t number;
    uint32_t txn_count;
    bool has_large;
    _Atomic uint64_t *acknowledged; /* the highest LSN whose commit was acknowledged */
    struct trial records[TXNS_MAX];
    uint32_t record_count;
    struct step *steps;
    uint32_t step_count;
    const char *failed;
    scn_status failed_status;
    /* of the transaction under way */
    scn_txn *txn;
    scn_table_id ids[SLOTS];
    bool is_looked[SLOTS];
    uint32_t savepoints;
    uint32_t savepoint_ids[SAVEPOINTS];
    char key[KEY_ROOM];
    char key_to[KEY_ROOM];
    uint8_t value[VALUE_ROOM];
    uint8_t part[VALUE_ROOM];
};

static uint32_t pick(struct actor *actor, uint32_t count)
{
    return (uint32_t)(unit_random(&actor->random) % count);
}

static void run_get_many(struct actor *actor, struct step *step)
{
    enum { MANY = 6 };
    static const uint32_t apart = 7;
    char bufs[MANY][KEY_ROOM];
    scn_slice keys[MANY];
    scn_slice values[MANY];
    scn_status statuses[MANY];
    for (uint32_t i = 0; i < MANY; i++)
        keys[i] = key_bytes((step->key + i * apart) % KEYS, bufs[i]);
    step->st = scn_get_many(actor->txn, step->id, keys, MANY, values, statuses);
    for (uint32_t i = 0; i < MANY && step->st == SCN_OK; i++) {
        struct val val = statuses[i] == SCN_OK ? val_of(values[i])
                                               : (struct val){ABSENT, 0};
        step->fold = fold_val(step->fold, &val);
    }
}

static struct val model_many(const struct slot *slot, const struct step *step, uint32_t i)
{
    return slot->rows[(step->key + i * 7) % KEYS];
}

static void run_get(struct actor *actor, struct step *step)
{
    scn_slice value;
    scn_slice key = key_bytes(step->key, actor->key);
    step->st = scn_get_flags(actor->txn, step->id, key,
                             step->flags & IS_UNTRACKED ? SCN_UNTRACKED : 0, &value);
    if (step->st == SCN_OK) {
        struct val val = val_of(value);
        step->fold = fold_val(0, &val);
    }
}

static void run_read_at(struct actor *actor, struct step *step)
{
    size_t got = 0;
    scn_slice key = key_bytes(step->key, actor->key);
    step->st = scn_read_at(actor->txn, step->id, key, step->to, actor->part, step->count,
                           &got);
    if (step->st == SCN_OK) {
        step->fold = fold_in(0, got);
        for (size_t i = 0; i < got; i++)
            step->fold = fold_in(step->fold, actor->part[i]);
    }
}

static uint64_t model_read_at(struct val val, const struct step *step)
{
    static _Thread_local uint8_t bytes[VALUE_ROOM];
    scn_slice all = val_bytes(val, bytes);
    size_t left = step->to < all.size ? all.size - step->to : 0;
    size_t got = left < step->count ? left : step->count;
    uint64_t fold = fold_in(0, got);
    for (size_t i = 0; i < got; i++)
        fold = fold_in(fold, bytes[step->to + i]);
    return fold;
}

/* ---- cursors ---- */

static void fold_row(struct step *step, scn_slice key, scn_slice value)
{
    struct val val = val_of(value);
    step->fold = fold_val(fold_in(step->fold, key_number(key)), &val);
}

static scn_status scan_start(struct actor *actor, scn_cursor *cursor,
                             const struct step *step, scn_slice *key, scn_slice *value)
{
    bool forward = step->flags & SCAN_FORWARD;
    bool strict = step->flags & SCAN_STRICT;
    if (step->flags & SCAN_FROM_EDGE)
        return forward ? scn_first(cursor, key, value) : scn_last(cursor, key, value);
    return scn_seek(cursor, key_bytes(step->key, actor->key),
                    forward ? (strict ? SCN_GT : SCN_GE) : (strict ? SCN_LT : SCN_LE),
                    key, value);
}

/* `count` steps one way, and where it turns as many back. */
static void run_scan(struct actor *actor, struct step *step)
{
    scn_cursor *cursor;
    scn_slice key;
    scn_slice value;
    bool forward = step->flags & SCAN_FORWARD;
    scn_status st = scn_cursor_open(actor->txn, step->id, &cursor);
    step->st = st;
    if (st != SCN_OK)
        return;
    if (step->flags & SCAN_BOUNDED) {
        char low_buf[KEY_ROOM];
        char high_buf[KEY_ROOM];
        scn_slice low = key_bytes(step->key / 2, low_buf);
        scn_slice high = key_bytes(step->to, high_buf);
        st = scn_cursor_bounds(cursor, &low, &high);
    }
    if (st == SCN_OK && (step->flags & IS_UNTRACKED))
        st = scn_cursor_flags(cursor, SCN_UNTRACKED);
    if (st == SCN_OK)
        st = scan_start(actor, cursor, step, &key, &value);
    bool began = st == SCN_OK;
    for (uint32_t i = 0; st == SCN_OK && i < step->count; i++) {
        fold_row(step, key, value);
        st = forward ? scn_next(cursor, &key, &value) : scn_prev(cursor, &key, &value);
    }
    if (st == SCN_OK)
        fold_row(step, key, value);
    step->fold = fold_in(step->fold, (uint64_t)st);
    if (began && st >= 0 && (step->flags & SCAN_TURNS)) {
        st = SCN_OK;
        for (uint32_t i = 0; st == SCN_OK && i < step->count; i++) {
            st = forward ? scn_prev(cursor, &key, &value)
                         : scn_next(cursor, &key, &value);
            if (st == SCN_OK)
                fold_row(step, key, value);
        }
        step->fold = fold_in(step->fold, (uint64_t)st);
    }
    scn_cursor_close(cursor);
    step->st = st < 0 ? st : SCN_OK;
}

/* The nearest row from `at` on, inside [low, high); -1: none. */
static int model_seek(const struct slot *slot, int at, bool forward, int low, int high)
{
    if (forward && at < low)
        at = low;
    if (!forward && at >= high)
        at = high - 1;
    for (; at >= low && at < high; at += forward ? 1 : -1)
        if (slot->rows[at].size != ABSENT)
            return at;
    return -1;
}

static uint64_t fold_model_row(const struct slot *slot, int at, uint64_t fold)
{
    return fold_val(fold_in(fold, (uint64_t)at), &slot->rows[at]);
}

static uint64_t model_scan(const struct slot *slot, const struct step *step)
{
    bool forward = step->flags & SCAN_FORWARD;
    bool is_bounded = step->flags & SCAN_BOUNDED;
    int low = is_bounded ? step->key / 2 : 0;
    int high = is_bounded ? step->to : KEYS;
    int start = step->flags & SCAN_FROM_EDGE ? (forward ? 0 : KEYS - 1)
                : step->flags & SCAN_STRICT  ? step->key + (forward ? 1 : -1)
                                             : step->key;
    uint64_t fold = 0;
    int last = -1;
    int at = model_seek(slot, start, forward, low, high);
    for (uint32_t i = 0; at >= 0 && i < step->count; i++) {
        fold = fold_model_row(slot, at, fold);
        last = at;
        at = model_seek(slot, at + (forward ? 1 : -1), forward, low, high);
    }
    if (at >= 0)
        fold = fold_model_row(slot, last = at, fold);
    fold = fold_in(fold, at >= 0 ? SCN_OK : SCN_END);
    if (last < 0 || !(step->flags & SCAN_TURNS))
        return fold;
    at = last;
    for (uint32_t i = 0; at >= 0 && i < step->count; i++) {
        at = model_seek(slot, at + (forward ? -1 : 1), !forward, low, high);
        if (at >= 0)
            fold = fold_model_row(slot, at, fold);
    }
    return fold_in(fold, at >= 0 ? SCN_OK : SCN_END);
}

/* What a walk does at a key: it changes the table under its own cursor. */
enum { WALK_DELETES, WALK_PUTS_BEHIND, WALK_PUTS_BEFORE, WALK_OVERWRITES, WALK_ACTS = 7 };

static uint32_t walk_act(const struct step *step, uint32_t key)
{
    return (uint32_t)(fold_in(step->val.number, key) % WALK_ACTS);
}

static uint32_t walk_target(uint32_t act, uint32_t key)
{
    return act == WALK_PUTS_BEHIND   ? (key + 1) % KEYS
           : act == WALK_PUTS_BEFORE ? (key + KEYS - 1) % KEYS
                                     : key;
}

static struct val walk_val(const struct step *step, uint32_t key)
{
    return (struct val){key < COUNTERS ? 8 : 8 + key * 3, step->val.number % 1000 + key};
}

static void run_walk(struct actor *actor, struct step *step)
{
    scn_cursor *cursor;
    scn_slice key;
    scn_slice value;
    bool forward = step->flags & SCAN_FORWARD;
    scn_status st = scn_cursor_open(actor->txn, step->id, &cursor);
    step->st = st;
    if (st != SCN_OK)
        return;
    st = forward ? scn_first(cursor, &key, &value) : scn_last(cursor, &key, &value);
    for (uint32_t i = 0; st == SCN_OK && i < step->count; i++) {
        uint32_t number = key_number(key);
        uint32_t act = walk_act(step, number);
        uint32_t target = walk_target(act, number);
        scn_slice target_key = key_bytes(target, actor->key);
        fold_row(step, key, value);
        if (act == WALK_DELETES)
            st = scn_del(actor->txn, step->id, target_key);
        else if (act <= WALK_OVERWRITES)
            st = scn_put(actor->txn, step->id, target_key,
                         val_bytes(walk_val(step, target), actor->value), 0);
        if (st == SCN_OK)
            st = forward ? scn_next(cursor, &key, &value)
                         : scn_prev(cursor, &key, &value);
    }
    step->fold = fold_in(step->fold, (uint64_t)st);
    scn_cursor_close(cursor);
    step->st = st < 0 ? st : SCN_OK;
}

static uint64_t model_walk(struct slot *slot, const struct step *step)
{
    bool forward = step->flags & SCAN_FORWARD;
    uint64_t fold = 0;
    int at = model_seek(slot, forward ? 0 : KEYS - 1, forward, 0, KEYS);
    for (uint32_t i = 0; at >= 0 && i < step->count; i++) {
        uint32_t act = walk_act(step, (uint32_t)at);
        uint32_t target = walk_target(act, (uint32_t)at);
        fold = fold_model_row(slot, at, fold);
        if (act == WALK_DELETES)
            slot->rows[target] = (struct val){ABSENT, 0};
        else if (act <= WALK_OVERWRITES)
            slot->rows[target] = walk_val(step, target);
        at = model_seek(slot, at + (forward ? 1 : -1), forward, 0, KEYS);
    }
    return fold_in(fold, at >= 0 ? SCN_OK : SCN_END);
}

/* ---- writes and tables ---- */

static const char *slot_name(uint32_t slot)
{
    static const char *const names[SLOTS] = {"first", "second", "third"};
    return names[slot];
}

static void run_table(struct actor *actor, struct step *step)
{
    if (step->kind == DO_DROP)
        step->st = scn_table_drop(actor->txn, step->id);
    else if (step->kind == DO_CLEAR)
        step->st = scn_table_clear(actor->txn, step->id);
    else
        step->st = scn_table(actor->txn, slot_name(step->slot),
                             step->kind == DO_CREATE
                                 ? SCN_CREATE | (step->slot == 1 ? SCN_COMPRESS : 0)
                                 : 0,
                             &step->id);
    if (step->kind == DO_DROP && step->st == SCN_OK)
        actor->ids[step->slot] = 0;
    if (step->kind <= DO_CREATE)
        actor->ids[step->slot] = step->st == SCN_OK ? step->id : 0;
}

static void run_savepoint(struct actor *actor, struct step *step)
{
    if (step->kind == DO_SAVEPOINT) {
        step->st = scn_savepoint(actor->txn, &actor->savepoint_ids[actor->savepoints++]);
        return;
    }
    step->st = scn_rollback_to(actor->txn, actor->savepoint_ids[step->count]);
    actor->savepoints = step->count + 1u;
    memset(actor->is_looked, 0, sizeof actor->is_looked);
    memset(actor->ids, 0, sizeof actor->ids);
}

static void run_del_range(struct actor *actor, struct step *step)
{
    uint64_t removed = 0;
    step->st = scn_del_range(actor->txn, step->id, key_bytes(step->key, actor->key),
                             key_bytes(step->to, actor->key_to),
                             step->count ? &removed : NULL);
    step->fold = removed;
}

static void run_step(struct actor *actor, struct step *step)
{
    scn_slice key;
    uint64_t number = 0;
    switch (step->kind) {
    case DO_GET:
        run_get(actor, step);
        break;
    case DO_GET_MANY:
        run_get_many(actor, step);
        break;
    case DO_SIZE:
        key = key_bytes(step->key, actor->key);
        step->st = scn_value_size(actor->txn, step->id, key, &number);
        step->fold = number;
        break;
    case DO_READ_AT:
        run_read_at(actor, step);
        break;
    case DO_COUNT:
        step->st = scn_table_count(actor->txn, step->id, &number);
        step->fold = number;
        break;
    case DO_PUT:
        key = key_bytes(step->key, actor->key);
        step->st = scn_put(actor->txn, step->id, key, val_bytes(step->val, actor->value),
                           step->flags);
        break;
    case DO_ADD:
        key = key_bytes(step->key, actor->key);
        step->st = scn_add(actor->txn, step->id, key, (int64_t)step->val.number,
                           INT64_MIN, INT64_MAX);
        break;
    case DO_DEL:
        step->st = scn_del(actor->txn, step->id, key_bytes(step->key, actor->key));
        break;
    case DO_DEL_RANGE:
        run_del_range(actor, step);
        break;
    case DO_SCAN:
        run_scan(actor, step);
        break;
    case DO_WALK:
        run_walk(actor, step);
        break;
    case DO_SAVEPOINT:
    case DO_ROLLBACK:
        run_savepoint(actor, step);
        break;
    default:
        run_table(actor, step);
    }
}

/* ---- choosing ---- */

static struct step *add_step(struct actor *actor, struct step step)
{
    struct step *added = &actor->steps[actor->step_count++];
    *added = step;
    run_step(actor, added);
    if (added->st < 0 && actor->failed == NULL) {
        actor->failed = "a step failed";
        actor->failed_status = added->st;
    }
    return added;
}

static struct step random_read(struct actor *actor, struct step step)
{
    static const uint8_t kinds[] = {DO_GET,     DO_GET,   DO_GET,  DO_GET_MANY, DO_SIZE,
                                    DO_READ_AT, DO_COUNT, DO_SCAN, DO_SCAN,     DO_SCAN};
    step.kind = kinds[pick(actor, sizeof kinds)];
    if (step.kind == DO_GET && pick(actor, 8) == 0)
        step.flags = IS_UNTRACKED;
    if (step.kind == DO_READ_AT) {
        step.to = (uint16_t)(pick(actor, 2) ? pick(actor, 30) : pick(actor, 10000));
        step.count = (uint16_t)pick(actor, 6000);
    }
    if (step.kind == DO_SCAN) {
        step.flags = (uint8_t)pick(actor, 32);
        if (pick(actor, 10) == 0)
            step.flags |= IS_UNTRACKED;
        step.count = (uint16_t)pick(actor, 12);
        step.to = (uint16_t)pick(actor, KEYS);
    }
    return step;
}

static struct step random_write(struct actor *actor, struct step step, bool is_snapshot)
{
    static const uint8_t put_flags[] = {0,           0, 0, SCN_PUT_NEW, SCN_PUT_BLIND,
                                        SCN_PUT_SAME};
    uint32_t kind = pick(actor, 100);
    step.kind = kind < 55   ? DO_PUT
                : kind < 67 ? DO_ADD
                : kind < 82 ? DO_DEL
                : kind < 90 ? DO_DEL_RANGE
                : kind < 94 ? DO_CLEAR
                : kind < 95 ? DO_DROP
                            : DO_WALK;
    if (step.kind == DO_WALK && is_snapshot)
        step.kind = DO_PUT; /* it acts on what it reads */
    if (step.kind == DO_PUT)
        step.flags = put_flags[pick(actor, sizeof put_flags)];
    if (step.kind == DO_ADD)
        step.key = (uint16_t)(step.key % COUNTERS);
    step.val = random_val(&actor->random, step.key);
    step.to = (uint16_t)(step.key + pick(actor, KEYS / 3));
    step.count = (uint16_t)pick(actor, 2);
    if (step.kind == DO_WALK) {
        step.flags = (uint8_t)(pick(actor, 2) ? SCAN_FORWARD : 0);
        step.count = (uint16_t)pick(actor, 40);
    }
    return step;
}

static void random_step(struct actor *actor, uint32_t flags)
{
    struct step step = {.slot = (uint8_t)pick(actor, SLOTS),
                        .key = (uint16_t)pick(actor, KEYS)};
    bool writes = flags & SCN_WRITE;
    uint32_t what = pick(actor, 100);
    if (writes && what < 4 && actor->savepoints < SAVEPOINTS) {
        step.kind = DO_SAVEPOINT;
        add_step(actor, step);
        return;
    }
    if (writes && what < 8 && actor->savepoints > 0) {
        step.kind = DO_ROLLBACK;
        step.count = (uint16_t)pick(actor, actor->savepoints);
        add_step(actor, step);
        return;
    }
    if (!actor->is_looked[step.slot]) {
        struct step look = {.kind = DO_LOOKUP, .slot = step.slot};
        actor->is_looked[step.slot] = true;
        add_step(actor, look);
    }
    if (actor->ids[step.slot] == 0 && writes && pick(actor, 3) == 0) {
        struct step create = {.kind = DO_CREATE, .slot = step.slot};
        add_step(actor, create);
    }
    step.id = actor->ids[step.slot];
    if (step.id == 0)
        return;
    add_step(actor, writes && what < 65 ? random_write(actor, step, flags & SCN_SNAPSHOT)
                                        : random_read(actor, step));
}

/* Enough bytes to be spilled where limits are small. */
static void fill_much(struct actor *actor)
{
    struct step step = {.kind = DO_PUT, .slot = (uint8_t)pick(actor, SLOTS)};
    uint32_t count = 10 + pick(actor, 20);
    step.id = actor->ids[step.slot];
    for (uint32_t i = 0; i < count && step.id && !actor->failed; i++) {
        step.key = (uint16_t)(COUNTERS + pick(actor, KEYS - COUNTERS));
        step.val = (struct val){7000 + pick(actor, 9000), unit_random(&actor->random)};
        add_step(actor, step);
    }
}

static void end_txn(struct actor *actor, struct trial *record)
{
    uint64_t lsn = 0;
    if (pick(actor, 12) == 0) {
        scn_abort(actor->txn);
        return;
    }
    scn_status st = scn_commit_at(actor->txn, &lsn);
    if (st == SCN_CONFLICT)
        return;
    if (st != SCN_OK) {
        actor->failed = "a commit failed";
        actor->failed_status = st;
        return;
    }
    record->commit_lsn = lsn;
    record->wrote = lsn > record->snapshot_lsn;
    uint64_t known = atomic_load(actor->acknowledged);
    while (record->wrote && known < lsn &&
           !atomic_compare_exchange_weak(actor->acknowledged, &known, lsn))
        continue;
}

static void one_txn(struct actor *actor)
{
    static const uint32_t kinds[] = {SCN_READ,  SCN_WRITE, SCN_WRITE,
                                     SCN_WRITE, SCN_WRITE, SCN_WRITE | SCN_SNAPSHOT};
    struct trial *record = &actor->records[actor->record_count++];
    uint64_t acknowledged = atomic_load(actor->acknowledged);
    uint32_t steps = 1 + pick(actor, 20);
    *record = (struct trial){.flags = kinds[pick(actor, 6)],
                             .actor = actor->number,
                             .first_step = actor->step_count};
    actor->failed_status = scn_begin(actor->db, record->flags, &actor->txn);
    if (actor->failed_status != SCN_OK) {
        actor->failed = "begin failed";
        return;
    }
    memset(actor->ids, 0, sizeof actor->ids);
    memset(actor->is_looked, 0, sizeof actor->is_looked);
    actor->savepoints = 0;
    record->snapshot_lsn = scn_txn_lsn(actor->txn);
    if (record->snapshot_lsn < acknowledged)
        actor->failed = "a snapshot lacks an acknowledged commit";
    if ((record->flags & SCN_WRITE) &&
        scn_set_durability(actor->txn, pick(actor, 3)) != SCN_OK)
        actor->failed = "set_durability failed";
    for (uint32_t i = 0; i < steps && !actor->failed; i++) {
        random_step(actor, record->flags);
        if (actor->has_large && i == steps / 2 && (record->flags & SCN_WRITE) &&
            pick(actor, 6) == 0)
            fill_much(actor);
    }
    record->step_count = actor->step_count - record->first_step;
    if (actor->failed)
        scn_abort(actor->txn);
    else
        end_txn(actor, record);
}

static void *act(void *arg)
{
    struct actor *actor = arg;
    for (uint32_t i = 0; i < actor->txn_count && !actor->failed; i++)
        one_txn(actor);
    return NULL;
}

/* ---- playing on the model ---- */

struct play {
    struct state now;
    struct state saved[SAVEPOINTS];
    uint32_t saved_count;
};

static scn_status found(const struct val *val)
{
    return val->size == ABSENT ? SCN_NOTFOUND : SCN_OK;
}

static void model_put(struct val *row, const struct step *step, struct step *expected)
{
    if (step->flags == SCN_PUT_NEW && row->size != ABSENT)
        expected->st = SCN_EXISTS;
    if (step->st == SCN_OK)
        *row = step->val;
}

static void model_add(struct val *row, const struct step *step)
{
    uint64_t base = row->size == ABSENT ? 0 : row->number;
    *row = (struct val){8, base + step->val.number};
}

static uint64_t model_remove_range(struct slot *slot, const struct step *step)
{
    uint64_t removed = 0;
    for (uint32_t i = step->key; i < step->to && i < KEYS; i++) {
        removed += slot->rows[i].size != ABSENT;
        slot->rows[i] = (struct val){ABSENT, 0};
    }
    return step->count ? removed : 0;
}

static uint64_t model_count(const struct slot *slot)
{
    uint64_t count = 0;
    for (int i = 0; i < KEYS; i++)
        count += slot->rows[i].size != ABSENT;
    return count;
}

static void model_table(struct play *play, const struct step *step, struct step *expected)
{
    struct slot *slot = &play->now.slots[step->slot];
    if (step->kind == DO_LOOKUP)
        expected->st = slot->id ? SCN_OK : SCN_NOTFOUND;
    if (step->kind == DO_LOOKUP)
        expected->id = slot->id;
    if (step->kind == DO_CLEAR || step->kind == DO_DROP || step->kind == DO_CREATE)
        state_clear(slot);
    if (step->kind == DO_DROP)
        slot->id = 0;
    if (step->kind == DO_CREATE)
        slot->id = step->id;
}

static void model_savepoint(struct play *play, const struct step *step)
{
    if (step->kind == DO_SAVEPOINT) {
        play->saved[play->saved_count++] = play->now;
    } else {
        play->now = play->saved[step->count];
        play->saved_count = step->count + 1u;
    }
}

static void model_one_row(struct slot *slot, const struct step *step,
                          struct step *expected)
{
    struct val *row = &slot->rows[step->key];
    if (step->kind != DO_PUT && step->kind != DO_ADD)
        expected->st = found(row);
    if (step->kind == DO_GET)
        expected->fold = row->size == ABSENT ? 0 : fold_val(0, row);
    else if (step->kind == DO_SIZE)
        expected->fold = row->size == ABSENT ? 0 : row->size;
    else if (step->kind == DO_READ_AT)
        expected->fold = row->size == ABSENT ? 0 : model_read_at(*row, step);
    else if (step->kind == DO_PUT)
        model_put(row, step, expected);
    else if (step->kind == DO_ADD)
        model_add(row, step);
    else if (step->st == SCN_OK)
        *row = (struct val){ABSENT, 0};
}

/* What the model would have answered; what was answered decides what is done. */
static struct step play_step(struct play *play, const struct step *step)
{
    struct step expected = *step;
    struct slot *slot = &play->now.slots[step->slot];
    expected.st = SCN_OK;
    expected.fold = 0;
    switch (step->kind) {
    case DO_GET_MANY:
        for (uint32_t i = 0; i < 6; i++) {
            struct val val = model_many(slot, step, i);
            expected.fold = fold_val(expected.fold, &val);
        }
        break;
    case DO_COUNT:
        expected.fold = model_count(slot);
        break;
    case DO_DEL_RANGE:
        expected.fold = model_remove_range(slot, step);
        break;
    case DO_SCAN:
        expected.fold = model_scan(slot, step);
        break;
    case DO_WALK:
        expected.fold = model_walk(slot, step);
        break;
    case DO_LOOKUP:
    case DO_CREATE:
    case DO_DROP:
    case DO_CLEAR:
        model_table(play, step, &expected);
        break;
    case DO_SAVEPOINT:
    case DO_ROLLBACK:
        model_savepoint(play, step);
        break;
    default:
        model_one_row(slot, step, &expected);
    }
    return expected;
}

static bool agrees(const struct step *step, const struct step *expected)
{
    return step->st == expected->st && step->fold == expected->fold &&
           step->id == expected->id;
}

static _Noreturn void tell(const char *what, const struct trial *record, uint32_t number,
                           const struct step *step, const struct step *expected)
{
    unit_fail(
        __FILE__, __LINE__,
        "%s: thread %u, flags %u, snapshot %llu, commit %llu, step %u of %u: kind %u, "
        "slot "
        "%u, key %u, to %u, count %u, flags %u: %d %llx, expected %d %llx",
        what, record->actor, record->flags, (unsigned long long)record->snapshot_lsn,
        (unsigned long long)record->commit_lsn, number, record->step_count, step->kind,
        step->slot, step->key, step->to, step->count, step->flags, step->st,
        (unsigned long long)step->fold, expected->st, (unsigned long long)expected->fold);
}

/* ---- a round ---- */

struct held {
    scn_txn *txn; /* NULL: none */
    bool is_known;
    struct state state;
};

struct world {
    struct sys *sys;
    const char *path;
    uint32_t open_flags;
    scn_db *db;
    uint64_t random;
    struct state state; /* between rounds */
    struct actor *actors[ACTORS_MAX];
    uint32_t actor_count;
    _Atomic uint64_t acknowledged;
    struct held held[HELD_MAX];
    /* of the round: the commits in order, and the state after each; states[0] is before
     */
    struct trial *order[ACTORS_MAX * TXNS_MAX];
    uint32_t order_count;
    struct state *states;
    uint32_t commits;
};

static int by_lsn(const void *left, const void *right)
{
    const struct trial *a = *(struct trial *const *)left;
    const struct trial *b = *(struct trial *const *)right;
    return (a->commit_lsn > b->commit_lsn) - (a->commit_lsn < b->commit_lsn);
}

static void sort_commits(struct world *world)
{
    world->order_count = 0;
    for (uint32_t i = 0; i < world->actor_count; i++) {
        struct actor *actor = world->actors[i];
        for (uint32_t j = 0; j < actor->record_count; j++)
            if (actor->records[j].wrote)
                world->order[world->order_count++] = &actor->records[j];
    }
    qsort(world->order, world->order_count, sizeof *world->order, by_lsn);
    for (uint32_t i = 1; i < world->order_count; i++)
        CHECK(world->order[i - 1]->commit_lsn < world->order[i]->commit_lsn);
}

static bool is_read(const struct step *step)
{
    return step->kind != DO_SAVEPOINT && step->kind != DO_ROLLBACK;
}

/* Plays a transaction on a state; `why` names what is judged, NULL: nothing is. */
static void play_record(struct world *world, const struct trial *record,
                        struct play *play, const char *why)
{
    const struct step *steps = world->actors[record->actor]->steps + record->first_step;
    bool at_commit = why && strcmp(why, "snapshot") != 0;
    play->saved_count = 0;
    for (uint32_t i = 0; i < record->step_count; i++) {
        struct step expected = play_step(play, &steps[i]);
        bool is_free = at_commit &&
                       (steps[i].kind == DO_GET || steps[i].kind == DO_SCAN) &&
                       (steps[i].flags & IS_UNTRACKED);
        if (why && is_read(&steps[i]) && !is_free && !agrees(&steps[i], &expected))
            tell(why, record, i, &steps[i], &expected);
    }
}

static void play_commits(struct world *world)
{
    static struct play play;
    world->states = realloc(world->states,
                            (world->order_count + 1) * sizeof *world->states);
    CHECK(world->states != NULL);
    world->states[0] = world->state;
    for (uint32_t i = 0; i < world->order_count; i++) {
        const struct trial *record = world->order[i];
        play.now = world->states[i];
        play_record(world, record, &play,
                    record->flags & SCN_SNAPSHOT ? NULL : "serializable");
        world->states[i + 1] = play.now;
    }
    world->state = world->states[world->order_count];
}

static const struct state *state_at(const struct world *world, uint64_t lsn)
{
    uint32_t i = 0;
    while (i < world->order_count && world->order[i]->commit_lsn <= lsn)
        i++;
    return &world->states[i];
}

static void judge_snapshots(struct world *world)
{
    static struct play play;
    for (uint32_t i = 0; i < world->actor_count; i++) {
        struct actor *actor = world->actors[i];
        for (uint32_t j = 0; j < actor->record_count; j++) {
            play.now = *state_at(world, actor->records[j].snapshot_lsn);
            play_record(world, &actor->records[j], &play, "snapshot");
        }
    }
}

/* A whole snapshot against a whole state. */
static void compare(scn_txn *txn, const struct state *state)
{
    for (uint32_t i = 0; i < SLOTS; i++) {
        const struct slot *slot = &state->slots[i];
        scn_table_id id;
        scn_cursor *cursor;
        scn_slice key;
        scn_slice value;
        uint64_t count;
        CHECK_EQ(scn_table(txn, slot_name(i), 0, &id), slot->id ? SCN_OK : SCN_NOTFOUND);
        CHECK_EQ(id, slot->id);
        if (id == 0)
            continue;
        CHECK_OK(scn_table_count(txn, id, &count));
        CHECK_EQ(count, model_count(slot));
        CHECK_OK(scn_cursor_open(txn, id, &cursor));
        for (int at = model_seek(slot, 0, true, 0, KEYS); at >= 0;
             at = model_seek(slot, at + 1, true, 0, KEYS)) {
            CHECK_OK(scn_next(cursor, &key, &value));
            CHECK_EQ(key_number(key), at);
            struct val val = val_of(value);
            CHECK_EQ(val.size, slot->rows[at].size);
            CHECK_EQ(val.number, slot->rows[at].number);
        }
        CHECK_EQ(scn_next(cursor, &key, &value), SCN_END);
        scn_cursor_close(cursor);
    }
}

static void compare_now(struct world *world)
{
    scn_txn *txn;
    CHECK_OK(scn_begin(world->db, SCN_READ, &txn));
    compare(txn, &world->state);
    scn_abort(txn);
}

static scn_status tell_issue(void *ctx, const scn_issue *issue)
{
    (void)ctx;
    fprintf(stderr, "    issue %u at page %llu: %s\n", issue->kind,
            (unsigned long long)issue->page, issue->text);
    return SCN_OK;
}

static void check_file(struct world *world)
{
    uint64_t issues = 0;
    CHECK_OK(scn_check(world->db, SCN_CHECK_ALL, tell_issue, NULL, &issues));
    CHECK_EQ(issues, 0);
}

static void world_open(struct world *world)
{
    scn_options options;
    scn_options_init(&options);
    options.flags = world->open_flags;
    options.busy_timeout_ms = 60000;
    options.lazy_interval_ms = 5;
    options.group_window_ms = 1;
    CHECK_OK(scn_options_set(&options, "log", PAGE_IS_SMALL ? "128KiB" : "4MiB"));
    CHECK_OK(scn_options_set(&options, "pool", PAGE_IS_SMALL ? "512KiB" : "8MiB"));
    CHECK_OK(store_open_on(world->sys, world->path, &options, &world->db));
}

static void drop_held(struct world *world, uint32_t i)
{
    if (world->held[i].txn == NULL)
        return;
    if (world->held[i].is_known)
        compare(world->held[i].txn, &world->held[i].state);
    scn_abort(world->held[i].txn);
    world->held[i].txn = NULL;
}

static void take_held(struct world *world)
{
    uint32_t i = (uint32_t)(unit_random(&world->random) % HELD_MAX);
    if (world->held[i].txn && !world->held[i].is_known)
        return;
    drop_held(world, i);
    world->held[i].is_known = false;
    CHECK_OK(scn_begin(world->db, SCN_READ, &world->held[i].txn));
}

static void know_held(struct world *world)
{
    for (uint32_t i = 0; i < HELD_MAX; i++) {
        struct held *held = &world->held[i];
        if (held->txn && !held->is_known)
            held->state = *state_at(world, scn_txn_lsn(held->txn));
        held->is_known = held->txn != NULL;
        if (held->txn)
            compare(held->txn, &held->state);
    }
}

/* What the main thread does beside the others. */
static void disturb(struct world *world)
{
    take_held(world);
    if (unit_random(&world->random) % 2)
        CHECK_OK(scn_checkpoint(world->db));
    if (world->open_flags & SCN_NOTHREAD)
        CHECK_OK(scn_tick(world->db, 1));
}

static void run_actors(struct world *world, uint32_t txns)
{
    for (uint32_t i = 0; i < world->actor_count; i++) {
        struct actor *actor = world->actors[i];
        actor->db = world->db;
        actor->record_count = 0;
        actor->step_count = 0;
        actor->txn_count = txns;
        actor->failed = NULL;
    }
    if (world->actor_count == 1) {
        /* In turns, so that a seed runs the same again. */
        struct actor *actor = world->actors[0];
        for (uint32_t i = 0; i < txns && !actor->failed; i++) {
            one_txn(actor);
            if (unit_random(&world->random) % 16 == 0)
                disturb(world);
        }
        return;
    }
    for (uint32_t i = 0; i < world->actor_count; i++)
        CHECK_EQ(pthread_create(&world->actors[i]->thread, NULL, act, world->actors[i]),
                 0);
    for (int i = 0; i < 4; i++)
        disturb(world);
    for (uint32_t i = 0; i < world->actor_count; i++)
        pthread_join(world->actors[i]->thread, NULL);
}

static void judge_actors(struct world *world)
{
    for (uint32_t i = 0; i < world->actor_count; i++) {
        struct actor *actor = world->actors[i];
        if (actor->failed)
            unit_fail(__FILE__, __LINE__, "%s: %d, kind %u", actor->failed,
                      actor->failed_status,
                      actor->step_count ? actor->steps[actor->step_count - 1].kind : 0);
    }
}

static void maybe_reopen(struct world *world)
{
    uint64_t choice = unit_random(&world->random) % 4;
    if (choice == 0)
        CHECK_OK(scn_checkpoint(world->db));
    compare_now(world);
    check_file(world);
    if (choice != 1)
        return;
    for (uint32_t i = 0; i < HELD_MAX; i++)
        drop_held(world, i);
    CHECK_OK(scn_close(world->db));
    world_open(world);
    compare_now(world);
    check_file(world);
}

static void run_round(struct world *world, uint32_t txns)
{
    run_actors(world, txns);
    judge_actors(world);
    sort_commits(world);
    play_commits(world);
    judge_snapshots(world);
    know_held(world);
    world->commits += world->order_count;
    maybe_reopen(world);
}

static struct actor *actor_create(struct world *world, uint32_t number, bool has_large)
{
    struct actor *actor = calloc(1, sizeof *actor);
    CHECK(actor != NULL);
    actor->steps = calloc(TXNS_MAX, STEPS_MAX * sizeof *actor->steps);
    CHECK(actor->steps != NULL);
    actor->number = number;
    actor->has_large = has_large;
    actor->random = unit_random(&world->random) | 1;
    actor->acknowledged = &world->acknowledged;
    return actor;
}

static void run_world(struct sys *sys, const char *path, uint32_t open_flags,
                      uint32_t actors, uint32_t rounds, uint32_t txns)
{
    struct world *world = calloc(1, sizeof *world);
    CHECK(world != NULL);
    CHECK(txns <= TXNS_MAX && actors <= ACTORS_MAX);
    world->sys = sys;
    world->path = path;
    world->open_flags = open_flags;
    world->random = unit_seed() * 2 + 1;
    world->actor_count = actors;
    for (uint32_t i = 0; i < SLOTS; i++)
        state_clear(&world->state.slots[i]);
    for (uint32_t i = 0; i < actors; i++)
        world->actors[i] = actor_create(world, i, true);
    world_open(world);
    for (uint32_t i = 0; i < rounds; i++)
        run_round(world, txns);
    for (uint32_t i = 0; i < HELD_MAX; i++)
        drop_held(world, i);
    CHECK_OK(scn_checkpoint(world->db));
    compare_now(world);
    CHECK_OK(scn_close(world->db));
    CHECK(world->commits > 0);
    for (uint32_t i = 0; i < actors; i++) {
        free(world->actors[i]->steps);
        free(world->actors[i]);
    }
    free(world->states);
    free(world);
}

TEST(model__one_thread_and_no_background)
{
    struct sys *sys = sys_memory_create();
    CHECK(sys != NULL);
    run_world(sys, "model", SCN_NOTHREAD, 1, 8, 100);
    sys_memory_destroy(sys);
}

TEST(model__one_thread_with_background)
{
    struct sys *sys = sys_memory_create();
    CHECK(sys != NULL);
    run_world(sys, "model", 0, 1, 8, 100);
    sys_memory_destroy(sys);
}

TEST(model__several_threads)
{
    struct sys *sys = sys_memory_create();
    CHECK(sys != NULL);
    run_world(sys, "model", 0, 3, 8, 60);
    sys_memory_destroy(sys);
}

TEST(model__several_threads_on_a_disk)
{
    static char path[256];
    snprintf(path, sizeof path, "%s", unit_path("model.scn"));
    run_world(sys_posix(), path, 0, 2, 4, 60);
}
