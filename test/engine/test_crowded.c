/* Several processes with one file that is nearly full, by chance: whatever they do beside
 * each other, what was acknowledged is there, and all of it can be deleted again.
 *
 * They take turns in one thread, so one model follows them all.  Each round has a seed of
 * its own, which a failure names: SEED=n begins with it.  BUDGET_MS=n goes on for so
 * long. */
#include "engine/checkpoint.h"
#include "engine/peers.h"
#include "engine/session.h"
#include "test/engine/capped.h"
#include "test/engine/story.h"

#include <errno.h>
#include <inttypes.h>

enum {
    PROCESSES = 4,
    STEPS = 1500,
    BUDGET_MS = 2500,
    PUTS = 8,         /* one after the other, in a step */
    KEYS_OF_PAGE = 8, /* more keys than the file has room for values */
    NONE = 0          /* the version of a key without a row */
};

/* A transaction that is large enough to write to the file before its end. */
struct bulk {
    scn_txn *txn;
    uint32_t first;
    uint32_t count;
    uint64_t version; /* of its first row; the next one's is the next */
    bool is_whole;    /* each put of it was taken */
};

/* What a process was about to commit. */
struct doubt {
    uint32_t first;
    uint32_t count; /* 0: nothing */
    uint64_t version; /* of the first; NONE: a deletion */
};

struct crowd {
    const struct shape *shape;
    struct sys *dying; /* may be dead by now, and answers anything then */
    struct doubt doubt;
    uint64_t log_bytes;
    uint64_t seed;
    uint64_t random;
    uint32_t step;
    struct capped process[PROCESSES];
    struct bulk bulk[PROCESSES];
    uint64_t *versions; /* what each key has by what was acknowledged */
    uint64_t next_version;
    uint32_t single_keys; /* those behind belong to bulks */
    uint32_t keys;
};

static const struct shape shapes[] = {
    {400, 20, PAGE_BYTES - PAGE_HEADER_BYTES + 1},
    {200, 200, 200},
    {300, 20, VALUE_INLINE_MAX + 1},
    {800, 20, PAGE_BYTES - PAGE_HEADER_BYTES},
    {600, 20, 200},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static _Noreturn void fail(const struct crowd *crowd, const char *what, long long n)
{
    const struct shape *shape = crowd->shape;
    unit_fail(__FILE__, __LINE__,
              "SEED=%" PRIu64 ", step %u, {%u, %u, %u}, log of %" PRIu64
              " pages: %s %lld; the last error: %s",
              crowd->seed, crowd->step, shape->pages, shape->key_bytes,
              shape->value_bytes, crowd->log_bytes / PAGE_BYTES, what, n,
              error_last()->text);
}

static bool is_dead(const struct crowd *crowd)
{
    return crowd->dying && sim_process_is_dead(crowd->dying);
}

static void must(const struct crowd *crowd, const char *what, scn_status st)
{
    if (st != SCN_OK && !is_dead(crowd))
        fail(crowd, what, st);
}

/* A file may be full, but not in any other trouble. */
static void may_be_full(const struct crowd *crowd, const char *what, scn_status st)
{
    if (st != SCN_OK && st != SCN_FULL && !is_dead(crowd))
        fail(crowd, what, st);
}

static uint32_t chance(struct crowd *crowd, uint64_t bound)
{
    return (uint32_t)(unit_random(&crowd->random) % bound);
}

/* ---- rows ---- */

static scn_slice value_of(struct capped *process, uint64_t version)
{
    process->random = version * UINT64_C(0x9e3779b97f4a7c15) | 1;
    return capped_value(process);
}

static scn_txn *begin(struct crowd *crowd, uint32_t who, uint32_t mode,
                      scn_table_id *rows)
{
    scn_txn *txn = NULL;
    must(crowd, "to begin says", scn_begin(crowd->process[who].db, mode, &txn));
    must(crowd, "the table says", scn_table(txn, "rows", 0, rows));
    return txn;
}

static scn_status put(struct crowd *crowd, uint32_t who, uint32_t key)
{
    struct capped *process = &crowd->process[who];
    uint64_t version = crowd->next_version++;
    scn_slice value = value_of(process, version);
    crowd->doubt = (struct doubt){key, 1, version};
    scn_status st = scn_put1(process->db, "rows", capped_key(process, key), value);
    if (st == SCN_OK || st == SCN_FULL)
        crowd->doubt.count = 0;
    if (st == SCN_OK)
        crowd->versions[key] = version;
    return st;
}

static scn_status delete(struct crowd *crowd, uint32_t who, uint32_t key)
{
    struct capped *process = &crowd->process[who];
    crowd->doubt = (struct doubt){key, 1, NONE};
    scn_status st = scn_del1(process->db, "rows", capped_key(process, key));
    if (st == SCN_OK || st == SCN_FULL)
        crowd->doubt.count = 0;
    if (st == SCN_OK)
        crowd->versions[key] = NONE;
    return st;
}

/* ---- what they do ---- */

static void put_some(struct crowd *crowd, uint32_t who)
{
    scn_status st = SCN_OK;
    for (uint32_t i = 0; i < PUTS && st == SCN_OK; i++)
        st = put(crowd, who, chance(crowd, crowd->single_keys));
    may_be_full(crowd, "a put says", st);
}

static void delete_one(struct crowd *crowd, uint32_t who)
{
    may_be_full(crowd, "a deletion says",
                delete(crowd, who, chance(crowd, crowd->keys)));
}

static void begin_bulk(struct crowd *crowd, uint32_t who)
{
    struct capped *process = &crowd->process[who];
    struct bulk *bulk = &crowd->bulk[who];
    uint32_t count = chance(crowd, crowd->shape->pages / 4);
    scn_status st = SCN_OK;
    scn_table_id rows = 0;
    *bulk = (struct bulk){.count = count, .version = crowd->next_version};
    bulk->first = crowd->single_keys +
                  chance(crowd, crowd->keys - crowd->single_keys - count);
    bulk->txn = begin(crowd, who, SCN_WRITE, &rows);
    crowd->next_version += count;
    for (uint32_t i = 0; i < count && st == SCN_OK; i++)
        st = scn_put(bulk->txn, rows, capped_key(process, bulk->first + i),
                     value_of(process, bulk->version + i), 0);
    may_be_full(crowd, "a put of many says", st);
    bulk->is_whole = st == SCN_OK;
}

static void commit_bulk(struct crowd *crowd, uint32_t who)
{
    struct bulk *bulk = &crowd->bulk[who];
    crowd->doubt = (struct doubt){bulk->first, bulk->count, bulk->version};
    scn_status st = scn_commit(bulk->txn);
    bulk->txn = NULL;
    if (st == SCN_OK || st == SCN_FULL || st == SCN_CONFLICT)
        crowd->doubt.count = 0;
    for (uint32_t i = 0; i < bulk->count && st == SCN_OK; i++)
        crowd->versions[bulk->first + i] = bulk->version + i;
    if (st != SCN_CONFLICT)
        may_be_full(crowd, "a commit of many says", st);
}

static void abort_bulk(struct crowd *crowd, uint32_t who)
{
    scn_abort(crowd->bulk[who].txn);
    crowd->bulk[who].txn = NULL;
}

static void turn_bulk(struct crowd *crowd, uint32_t who)
{
    struct bulk *bulk = &crowd->bulk[who];
    if (!bulk->txn)
        begin_bulk(crowd, who);
    else if (bulk->is_whole && chance(crowd, 2))
        commit_bulk(crowd, who);
    else
        abort_bulk(crowd, who);
}

static void drain(struct crowd *crowd, uint32_t who)
{
    may_be_full(crowd, "a checkpoint says", scn_checkpoint(crowd->process[who].db));
}

static void merge(struct crowd *crowd, uint32_t who)
{
    may_be_full(crowd, "a merge says",
                checkpoint_run(crowd->process[who].db->store, CHECKPOINT_PLAIN));
}

static void tick(struct crowd *crowd, uint32_t who)
{
    may_be_full(crowd, "a tick says", scn_tick(crowd->process[who].db, 0));
}

/* It has done nothing for a while, and may give the memory of the log back. */
static void be_idle_for_long(struct crowd *crowd, uint32_t who)
{
    struct store *store = crowd->process[who].db->store;
    bool has_gap = atomic_load(&store->has_gap);
    for (int rounds = 0; rounds < 2; rounds++)
        peers_rest(store); /* now the view is not pinned */
    store->rest_rounds = 1000;
    uint64_t debt = atomic_exchange(&store->delta_debt, 2 << 20);
    peers_rest(store);
    if (has_gap == atomic_load(&store->has_gap))
        atomic_store(&store->delta_debt, debt);
}

static void fail_to_checkpoint(struct crowd *crowd, uint32_t who)
{
    struct capped *process = &crowd->process[who];
    struct store *store = process->db->store;
    struct sim_fault fault = {SIM_FAIL, SIM_WRITE, .error = EIO};
    fault.nth = 1 + chance(crowd, 30);
    sim_fault_set(process->sys, &fault);
    scn_status st = checkpoint_run(store, CHECKPOINT_DRAIN);
    sim_fault_clear(process->sys);
    if (st != SCN_IO && st != SCN_UNKNOWN && st != SCN_POISONED)
        may_be_full(crowd, "a checkpoint that fails says", st);
    if (!file_is_poisoned(&store->file))
        return;
    must(crowd, "a cure says", session_cure(store));
}

static void die(struct crowd *crowd, uint32_t who);
static void die_all(struct crowd *crowd, uint32_t who);

static const struct action {
    void (*act)(struct crowd *crowd, uint32_t who);
    uint32_t share;
} actions[] = {
    {put_some, 30}, {tick, 3},  {delete_one, 2},       {turn_bulk, 1},
    {drain, 1},     {merge, 1}, {be_idle_for_long, 1}, {fail_to_checkpoint, 1},
    {die, 2},       {die_all, 1},
};
enum { ACTIONS = sizeof actions / sizeof *actions, SHARES = 43, LIVELY = 6 };

static bool has_value(struct crowd *crowd, uint32_t who, uint32_t key, uint64_t version)
{
    struct capped *process = &crowd->process[who];
    void *bytes = NULL;
    size_t size = 0;
    scn_status st = scn_get_copy(process->db, "rows", capped_key(process, key), &bytes,
                                 &size);
    if (st != SCN_OK && st != SCN_NOTFOUND)
        fail(crowd, "a row in doubt says", st);
    scn_slice value = value_of(process, version);
    bool has = version == NONE ? st == SCN_NOTFOUND
                               : st == SCN_OK && size == value.size &&
                                     memcmp(bytes, value.data, size) == 0;
    scn_free(bytes);
    return has;
}

/* Whatever the dead has left in the log is adopted now, or never. */
static void settle(struct crowd *crowd, uint32_t who)
{
    struct store *store = crowd->process[who].db->store;
    struct doubt *doubt = &crowd->doubt;
    must(crowd, "the append lock says", append_enter(store, 0));
    append_leave(store);
    must(crowd, "a sync says", log_sync(store->log, log_appended(store->log), 0));
    if (doubt->count && has_value(crowd, who, doubt->first, doubt->version))
        for (uint32_t i = 0; i < doubt->count; i++)
            crowd->versions[doubt->first + i] =
                doubt->version == NONE ? NONE : doubt->version + i;
    doubt->count = 0;
}

/* At some call of whatever it does, and somebody comes in its place. */
static void die(struct crowd *crowd, uint32_t who)
{
    struct capped *process = &crowd->process[who];
    struct sim_fault fault = {SIM_KILL, SIM_ANY, .len = chance(crowd, 2 * PAGE_BYTES)};
    uint32_t action = chance(crowd, LIVELY);
    fault.nth = 1 + chance(crowd, 1 << chance(crowd, 10));
    crowd->doubt.count = 0;
    crowd->dying = process->sys;
    sim_fault_set(process->sys, &fault);
    actions[action].act(crowd, who);
    sim_fault_clear(process->sys);
    bool died = is_dead(crowd);
    crowd->dying = NULL;
    if (!died)
        return;
    if (crowd->bulk[who].txn)
        abort_bulk(crowd, who);
    (void)scn_close(process->db);
    sim_process_destroy(process->sys);
    uint32_t other = (who + 1) % PROCESSES;
    settle(crowd, other);
    capped_join(process, &crowd->process[other], crowd->log_bytes);
}

/* Between two calls; who comes first recovers the file. */
static void die_all(struct crowd *crowd, uint32_t who)
{
    (void)who;
    for (uint32_t i = 0; i < PROCESSES; i++)
        sim_process_kill(crowd->process[i].sys);
    for (uint32_t i = 0; i < PROCESSES; i++) {
        if (crowd->bulk[i].txn)
            abort_bulk(crowd, i);
        (void)scn_close(crowd->process[i].db);
        sim_process_destroy(crowd->process[i].sys);
    }
    for (uint32_t i = 0; i < PROCESSES; i++)
        capped_join(&crowd->process[i], &crowd->process[0], crowd->log_bytes);
}

static void take_step(struct crowd *crowd)
{
    uint32_t who = chance(crowd, PROCESSES);
    uint32_t at = chance(crowd, SHARES);
    const struct action *action = actions;
    while (at >= action->share)
        at -= (action++)->share;
    action->act(crowd, who);
}

/* ---- what is there ---- */

static void check_row(struct crowd *crowd, uint32_t who, uint32_t key)
{
    struct capped *process = &crowd->process[who];
    uint64_t version = crowd->versions[key];
    void *bytes = NULL;
    size_t size = 0;
    scn_status st = scn_get_copy(process->db, "rows", capped_key(process, key), &bytes,
                                 &size);
    if (st != (version == NONE ? SCN_NOTFOUND : SCN_OK))
        fail(crowd, version == NONE ? "a row that is not there says"
                                    : "a row that is there says", st);
    scn_slice value = value_of(process, version);
    if (version != NONE && (size != value.size || memcmp(bytes, value.data, size) != 0))
        fail(crowd, "another value has key", key);
    scn_free(bytes);
}

/* Each process tells of some rows, and of how many there are. */
static void check_rows(struct crowd *crowd)
{
    uint64_t expected = 0;
    for (uint32_t key = 0; key < crowd->keys; key++) {
        check_row(crowd, key % PROCESSES, key);
        expected += crowd->versions[key] != NONE;
    }
    for (uint32_t who = 0; who < PROCESSES; who++) {
        scn_table_id rows;
        uint64_t count;
        scn_txn *txn = begin(crowd, who, SCN_READ, &rows);
        must(crowd, "the count says", scn_table_count(txn, rows, &count));
        scn_abort(txn);
        if (count != expected)
            fail(crowd, "the number of rows is", (long long)count);
    }
}

static scn_status take_issue(void *ctx, const scn_issue *issue)
{
    fail(ctx, issue->text, (long long)issue->page);
}

static void check_file(struct crowd *crowd)
{
    uint32_t who = chance(crowd, PROCESSES);
    must(crowd, "the check says", scn_check(crowd->process[who].db, SCN_CHECK_ALL,
                                            take_issue, crowd, NULL));
}

/* Who has nothing to do holds the pages of what it saw last: so each has its turn. */
static void empty_by_turns(struct crowd *crowd)
{
    uint32_t turn = 0;
    for (uint32_t key = 0; key < crowd->keys; key++)
        if (crowd->versions[key] != NONE)
            must(crowd, "a deletion at the end says",
                 delete(crowd, turn++ % PROCESSES, key));
    for (uint32_t who = 0; who < PROCESSES; who++)
        must(crowd, "the last checkpoint says", scn_checkpoint(crowd->process[who].db));
}

/* ---- rounds ---- */

static void begin_round(struct crowd *crowd, uint64_t seed)
{
    static const uint64_t log_pages[] = {0, 300, 1000};
    *crowd = (struct crowd){.seed = seed, .shape = &shapes[seed % SHAPES]};
    crowd->random = seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
    crowd->log_bytes = log_pages[chance(crowd, 3)] * PAGE_BYTES;
    crowd->next_version = NONE + 1;
    crowd->single_keys = crowd->shape->pages * KEYS_OF_PAGE;
    crowd->keys = 2 * crowd->single_keys;
    crowd->versions = calloc(crowd->keys, sizeof *crowd->versions);
    CHECK(crowd->versions != NULL);
    capped_open(&crowd->process[0], crowd->shape, crowd->log_bytes, seed);
    must(crowd, "the first put says", put(crowd, 0, 0));
    for (uint32_t who = 1; who < PROCESSES; who++)
        capped_join(&crowd->process[who], &crowd->process[0], crowd->log_bytes);
}

static void end_round(struct crowd *crowd)
{
    uint64_t size;
    for (uint32_t who = PROCESSES - 1; who > 0; who--)
        capped_leave(&crowd->process[who]);
    must(crowd, "a checkpoint alone says", scn_checkpoint(crowd->process[0].db));
    CHECK(sim_file_size(crowd->process[0].disk, "store", &size));
    if (size > (uint64_t)crowd->shape->pages * PAGE_BYTES / 2)
        fail(crowd, "the empty file has so many bytes:", (long long)size);
    capped_close(&crowd->process[0]);
    free(crowd->versions);
}

static void play_round(uint64_t seed)
{
    struct crowd crowd;
    begin_round(&crowd, seed);
    for (crowd.step = 0; crowd.step < STEPS; crowd.step++)
        take_step(&crowd);
    for (uint32_t who = 0; who < PROCESSES; who++)
        if (crowd.bulk[who].txn)
            abort_bulk(&crowd, who);
    check_rows(&crowd);
    check_file(&crowd);
    empty_by_turns(&crowd);
    check_rows(&crowd);
    check_file(&crowd);
    end_round(&crowd);
}

TEST(crowded__a_full_file_keeps_what_it_has_and_can_be_emptied)
{
    uint64_t seed = unit_seed();
    uint64_t until = story_now_ms() + story_budget_ms(BUDGET_MS);
    uint64_t rounds = 0;
    if (!PAGE_IS_SMALL)
        return; /* so many large pages take long to fill */
    do
        play_round(seed + rounds++);
    while (story_now_ms() < until);
    if (getenv("VERBOSE"))
        printf("%" PRIu64 " rounds\n", rounds);
}
