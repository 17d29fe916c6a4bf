/* The stage: see stage.h. */
#include "test/schedule/stage.h"

#include "engine/txn.h"
#include "page/bytes.h"

#include <errno.h>

#define STORE "store"
#define TABLE "t"

static scn_slice slice(const char *text)
{
    return (scn_slice){text, strlen(text)};
}

static _Noreturn void say(scn_status st, const char *what)
{
    unit_fail(__FILE__, __LINE__, "%s says %d: %s", what, st, error_last()->text);
}

static void must(scn_status st, const char *what)
{
    if (st != SCN_OK)
        say(st, what);
}

/* ---- opening ---- */

static scn_status open_store(struct stage *stage)
{
    scn_status st = store_open_on(stage->sys, STORE, &stage->options, &stage->db);
    if (st != SCN_OK)
        stage->db = NULL;
    return st;
}

scn_status stage_try_open(struct stage *stage)
{
    if (stage->sys == NULL)
        stage->sys = sim_process_create(stage->disk);
    stage_speak(stage);
    return open_store(stage);
}

void stage_speak(struct stage *stage)
{
    sim_sched_speak_for(stage->sched, stage->sys);
}

static void set_options(struct stage *stage, uint32_t flags)
{
    scn_options_init(&stage->options);
    stage->options.flags = flags & ~STAGE_BACKGROUND;
    if (!(flags & STAGE_BACKGROUND))
        stage->options.flags |= SCN_NOTHREAD;
    stage->options.pool_bytes = 64 * PAGE_BYTES;
    stage->options.log_bytes = UINT64_C(4) * LOG_EXTENT_PAGES * PAGE_BYTES;
}

void stage_init(struct stage *stage, uint32_t flags)
{
    *stage = (struct stage){.disk = sim_disk_create(1)};
    stage->sched = sim_sched_create(stage->disk);
    set_options(stage, flags);
}

void stage_come(struct stage *stage, struct stage *host, uint32_t flags)
{
    *stage = (struct stage){.host = host, .disk = host->disk, .sched = host->sched};
    stage->sys = sim_process_create(stage->disk);
    set_options(stage, flags);
}

void stage_join(struct stage *stage, struct stage *host, uint32_t flags)
{
    stage_come(stage, host, flags);
    must(stage_try_open(stage), "joining");
}

static scn_status create_table(scn_txn *txn, void *ctx)
{
    scn_table_id id;
    (void)ctx;
    return scn_table(txn, TABLE, SCN_CREATE, &id);
}

void stage_begin(struct stage *stage)
{
    must(stage_try_open(stage), "opening");
    must(scn_update(stage->db, create_table, NULL), "creating the table");
}

void stage_open(struct stage *stage, uint32_t flags)
{
    stage_init(stage, flags);
    stage_begin(stage);
}

static void free_parts(struct stage *stage)
{
    for (uint32_t i = 0; i < stage->part_count; i++)
        free(stage->parts[i]);
    stage->part_count = 0;
}

static void lose_process(struct stage *stage)
{
    if (stage->sys)
        sim_process_destroy(stage->sys);
    stage->sys = NULL;
    stage->db = NULL;
    free_parts(stage);
}

void stage_close(struct stage *stage)
{
    if (stage->db) {
        stage_speak(stage);
        (void)scn_close(stage->db);
    }
    lose_process(stage);
    if (stage->host)
        return;
    sim_sched_destroy(stage->sched);
    sim_disk_destroy(stage->disk);
}

void stage_leave(struct stage *stage)
{
    sim_process_kill(stage->sys);
    lose_process(stage);
}

scn_status stage_try_kill(struct stage *stage)
{
    stage_leave(stage);
    return stage_try_open(stage);
}

void stage_kill(struct stage *stage)
{
    must(stage_try_kill(stage), "opening after a kill");
}

void stage_reopen(struct stage *stage)
{
    stage_speak(stage);
    must(scn_close(stage->db), "closing");
    lose_process(stage);
    must(stage_try_open(stage), "opening again");
}

static scn_status try_cut_by(struct stage *stage, const struct sim_choice *choice)
{
    struct sim_disk *crashed = sim_crash(stage->disk, choice);
    stage_leave(stage);
    sim_sched_destroy(stage->sched);
    sim_disk_destroy(stage->disk);
    stage->disk = crashed;
    stage->sched = sim_sched_create(crashed);
    return stage_try_open(stage);
}

scn_status stage_try_cut(struct stage *stage, enum sim_keep keep)
{
    return try_cut_by(stage, &(struct sim_choice){.keep = keep, .by_call = true});
}

void stage_cut_by(struct stage *stage, const struct sim_choice *choice)
{
    must(try_cut_by(stage, choice), "opening after a power cut");
}

void stage_cut(struct stage *stage, enum sim_keep keep)
{
    stage_cut_by(stage, &(struct sim_choice){.keep = keep, .by_call = true});
}

struct each {
    const struct stage *stage;
    bool (*holds)(scn_db *db);
    scn_status st;
    bool is_kept;
    char text[256];
};

static scn_status go_on(scn_db *db)
{
    scn_status st = scn_put1(db, TABLE, slice("afterwards"), slice("1"));
    return st == SCN_OK ? scn_checkpoint(db) : st;
}

static void look_at(void *ctx, struct sim_disk *crashed, const struct sim_choice *choice)
{
    struct each *each = ctx;
    struct sys *sys = sim_process_create(crashed);
    scn_db *db;
    (void)choice;
    scn_status st = store_open_on(sys, STORE, &each->stage->options, &db);
    if (st == SCN_OK) {
        each->is_kept &= each->holds(db);
        st = go_on(db);
        each->is_kept &= each->holds(db);
        (void)scn_close(db);
    }
    if (st != SCN_OK && each->st == SCN_OK)
        snprintf(each->text, sizeof each->text, "%s", error_last()->text);
    each->st = each->st == SCN_OK ? st : each->st;
    sim_process_destroy(sys);
}

void stage_each_cut(struct stage *stage, bool (*holds)(scn_db *db))
{
    struct each each = {.stage = stage, .holds = holds, .is_kept = true};
    struct sim_plan plan = {.by_sector = true, .change_max = 40};
    plan.seed = 1;
    plan.random_count = PAGE_IS_SMALL ? 100 : 10; /* large disks take long to copy */
    uint64_t count = sim_each_crash(stage->disk, &plan, look_at, &each);
    if (each.st != SCN_OK)
        unit_fail(__FILE__, __LINE__, "after a power cut: %d, %s", each.st, each.text);
    CHECK(each.is_kept);
    CHECK(count > 0);
}

/* ---- rows ---- */

/* Begins with the text; what follows does not compress. */
static uint8_t *long_bytes(const char *text, uint32_t len)
{
    uint8_t *bytes = malloc(len + 8);
    uint64_t random = strlen(text) + len;
    if (bytes == NULL)
        abort();
    for (const char *at = text; *at; at++)
        random = random * 31 + (uint8_t)*at;
    random |= 1;
    for (uint32_t i = 0; i < len; i += 8)
        put_u64(bytes + i, unit_random(&random));
    memcpy(bytes, text, strlen(text) < len ? strlen(text) : len);
    return bytes;
}

scn_table_id txn_table(scn_txn *txn, const char *name)
{
    sim_speak_for(txn->store->sys); /* the director; of parts their processes are known */
    scn_table_id id;
    must(scn_table(txn, name, 0, &id), "the table");
    return id;
}

scn_status txn_put(scn_txn *txn, const char *key, const char *value, uint32_t flags)
{
    return scn_put(txn, txn_table(txn, TABLE), slice(key), slice(value), flags);
}

scn_status txn_put_long(scn_txn *txn, const char *key, const char *value, uint32_t len)
{
    uint8_t *bytes = long_bytes(value, len);
    scn_status st = scn_put(txn, txn_table(txn, TABLE), slice(key),
                            (scn_slice){bytes, len}, 0);
    free(bytes);
    return st;
}

scn_status txn_clear(scn_txn *txn, void *unused)
{
    (void)unused;
    return scn_table_clear(txn, txn_table(txn, TABLE));
}

bool txn_has(scn_txn *txn, const char *key, const char *value)
{
    scn_slice found;
    scn_status st = scn_get(txn, txn_table(txn, TABLE), slice(key), &found);
    if (st < 0)
        say(st, "a get");
    if (value == NULL || st == SCN_NOTFOUND)
        return value == NULL && st == SCN_NOTFOUND;
    return found.size == strlen(value) && memcmp(found.data, value, found.size) == 0;
}

bool txn_has_long(scn_txn *txn, const char *key, const char *value, uint32_t len)
{
    scn_slice found;
    scn_status st = scn_get(txn, txn_table(txn, TABLE), slice(key), &found);
    if (st < 0)
        say(st, "a get");
    uint8_t *bytes = long_bytes(value, len);
    bool is_same =
        st == SCN_OK && found.size == len && memcmp(found.data, bytes, len) == 0;
    free(bytes);
    return is_same;
}

scn_txn *stage_txn(struct stage *stage, uint32_t flags)
{
    scn_txn *txn;
    stage_speak(stage);
    must(scn_begin(stage->db, flags, &txn), "a begin");
    return txn;
}

bool db_has(scn_db *db, const char *key, const char *value)
{
    scn_txn *txn;
    sim_speak_for(db->store->sys);
    must(scn_begin(db, SCN_READ, &txn), "a begin");
    bool has = txn_has(txn, key, value);
    scn_abort(txn);
    return has;
}

bool stage_has(struct stage *stage, const char *key, const char *value)
{
    return db_has(stage->db, key, value);
}

bool stage_has_long(struct stage *stage, const char *key, const char *value, uint32_t len)
{
    scn_txn *txn = stage_txn(stage, SCN_READ);
    bool has = txn_has_long(txn, key, value, len);
    scn_abort(txn);
    return has;
}

struct store *store_of(struct stage *stage)
{
    return stage->db->store;
}

void stage_put(struct stage *stage, const char *key, const char *value)
{
    scn_txn *txn = stage_txn(stage, SCN_WRITE);
    must(txn_put(txn, key, value, 0), "a put");
    must(scn_commit(txn), "a commit");
}

void stage_put_long(struct stage *stage, const char *key, const char *value, uint32_t len)
{
    scn_txn *txn = stage_txn(stage, SCN_WRITE);
    must(txn_put_long(txn, key, value, len), "a put");
    must(scn_commit(txn), "a commit");
}

void stage_del(struct stage *stage, const char *key)
{
    scn_txn *txn = stage_txn(stage, SCN_WRITE);
    must(scn_del(txn, txn_table(txn, TABLE), slice(key)), "a deletion");
    must(scn_commit(txn), "a commit");
}

void stage_checkpoint(struct stage *stage)
{
    stage_speak(stage);
    must(checkpoint_run(stage->db->store, CHECKPOINT_PLAIN), "a checkpoint");
}

uint64_t stage_count(struct stage *stage)
{
    uint64_t count;
    scn_txn *txn = stage_txn(stage, SCN_READ);
    must(scn_table_count(txn, txn_table(txn, TABLE), &count), "a count");
    scn_abort(txn);
    return count;
}

static scn_status take_issue(void *ctx, const scn_issue *issue)
{
    (void)ctx;
    if (issue->kind != SCN_ISSUE_SLOT)
        unit_fail(__FILE__, __LINE__, "the check finds, page %llu: %s",
                  (unsigned long long)issue->page, issue->text);
    return SCN_OK;
}

void stage_check_file(struct stage *stage)
{
    stage_speak(stage);
    must(scn_check(stage->db, SCN_CHECK_ALL, take_issue, NULL, NULL), "the check");
}

uint64_t stage_find(struct stage *stage, const char *text)
{
    uint64_t size = 0;
    uint64_t off = UINT64_MAX;
    CHECK(sim_file_size(stage->disk, STORE, &size));
    uint8_t *bytes = malloc(size);
    if (bytes == NULL || !sim_peek(stage->disk, STORE, 0, bytes, size))
        abort();
    const uint8_t *at = memmem(bytes, size, text, strlen(text));
    if (at)
        off = (uint64_t)(at - bytes);
    free(bytes);
    return off;
}

/* ---- parts ---- */

static void run_part(void *arg)
{
    struct part *part = arg;
    part->fn(part);
}

struct part *stage_cast(struct stage *stage, void (*fn)(struct part *), const char *key,
                        const char *value)
{
    struct part *part = calloc(1, sizeof *part);
    if (part == NULL || stage->part_count == STAGE_PARTS)
        abort();
    part->stage = stage;
    part->fn = fn;
    part->st = SCN_INTERRUPTED;
    snprintf(part->key, sizeof part->key, "%s", key ? key : "");
    snprintf(part->value, sizeof part->value, "%s", value ? value : "");
    part->actor = sim_actor_start(stage->sched, stage->sys, part->key, run_part, part);
    stage->parts[stage->part_count++] = part;
    return part;
}

void do_commit(struct part *part)
{
    part->st = scn_commit_at(part->txn, &part->lsn);
}

static scn_status begin_own(struct part *part)
{
    if (part->txn)
        return SCN_OK;
    scn_status st = scn_begin(part->stage->db, SCN_WRITE, &part->txn);
    return st == SCN_OK ? scn_set_durability(part->txn, part->durability) : st;
}

void do_put(struct part *part)
{
    scn_status st = begin_own(part);
    if (st == SCN_OK)
        st = part->len ? txn_put_long(part->txn, part->key, part->value, part->len)
                       : txn_put(part->txn, part->key, part->value, part->flags);
    if (st < 0) {
        scn_abort(part->txn);
        part->st = st;
        return;
    }
    do_commit(part);
}

void do_add(struct part *part)
{
    scn_status st = begin_own(part);
    if (st == SCN_OK)
        st = scn_add(part->txn, txn_table(part->txn, TABLE), slice(part->key),
                     (int64_t)part->count, INT64_MIN, INT64_MAX);
    if (st == SCN_OK)
        do_commit(part);
    else
        part->st = st;
}

static scn_status read_and_put(scn_txn *txn, void *ctx)
{
    struct part *part = ctx;
    scn_slice found;
    part->count++;
    scn_status st = scn_get(txn, txn_table(txn, TABLE), slice(part->key), &found);
    return st < 0 ? st : txn_put(txn, part->key, part->value, 0);
}

void do_update(struct part *part)
{
    part->st = scn_update(part->stage->db, read_and_put, part);
}

void do_checkpoint(struct part *part)
{
    part->st = checkpoint_run(part->stage->db->store, CHECKPOINT_PLAIN);
}

void do_drain(struct part *part)
{
    part->st = checkpoint_run(part->stage->db->store, CHECKPOINT_DRAIN);
}

void do_open(struct part *part)
{
    part->st = open_store(part->stage);
}

void do_close(struct part *part)
{
    part->st = scn_close(part->stage->db);
    part->stage->db = NULL;
}

void do_read(struct part *part)
{
    scn_txn *txn;
    part->st = scn_begin(part->stage->db, SCN_READ, &txn);
    if (part->st != SCN_OK)
        return;
    if (!txn_has(txn, part->key, part->value))
        part->st = SCN_NOTFOUND;
    part->lsn = scn_txn_lsn(txn);
    scn_abort(txn);
}

/* ---- directing ---- */

static void run_until(struct part *part, const struct sim_stop *stop)
{
    enum sim_outcome outcome = sim_actor_run(part->actor, stop);
    if (outcome == SIM_ENDED)
        unit_fail(__FILE__, __LINE__, "%s ended with %d and did not get to call %d",
                  part->key, part->st, stop->step);
    if (outcome == SIM_BLOCKED)
        unit_fail(__FILE__, __LINE__, "%s waits and does not get to call %d", part->key,
                  stop->step);
}

void part_until(struct part *part, int step, enum sim_when when)
{
    run_until(part, &(struct sim_stop){.step = step, .when = when});
}

void part_until_nth(struct part *part, int step, enum sim_when when, uint64_t nth)
{
    run_until(part, &(struct sim_stop){.step = step, .when = when, .nth = nth});
}

void part_until_pages(struct part *part, int step, enum sim_when when, uint64_t first,
                      uint64_t end)
{
    struct sim_stop stop = {.step = step, .when = when};
    stop.from = first * PAGE_BYTES;
    stop.to = end * PAGE_BYTES;
    run_until(part, &stop);
}

void part_until_holds(struct part *part, int step, enum sim_when when,
                      bool (*holds)(void *), void *ctx)
{
    run_until(part,
              &(struct sim_stop){.step = step, .when = when, .holds = holds, .ctx = ctx});
}

struct appending {
    struct store *store;
    uint64_t from;
};

static bool has_appended(void *ctx)
{
    struct appending *appending = ctx;
    return log_appended(appending->store->log) > appending->from &&
           atomic_load(&appending->store->locks.owner[LOCK_APPEND]) == 0;
}

void part_until_appended(struct part *part)
{
    struct store *store = part->stage->db->store;
    struct appending appending = {store, log_appended(store->log)};
    part_until_holds(part, SIM_MUTEX_UNLOCK, SIM_AT_END, has_appended, &appending);
}

scn_status part_finish(struct part *part)
{
    enum sim_outcome outcome = sim_actor_run(part->actor, NULL);
    if (outcome != SIM_ENDED)
        unit_fail(__FILE__, __LINE__, "%s waits for somebody", part->key);
    return part->st;
}

void part_blocks(struct part *part)
{
    if (sim_actor_run(part->actor, NULL) != SIM_BLOCKED)
        unit_fail(__FILE__, __LINE__, "%s ended with %d and did not wait", part->key,
                  part->st);
}

void stage_finish(struct stage *stage)
{
    if (!sim_sched_run(stage->sched))
        unit_fail(__FILE__, __LINE__, "stuck: %s", sim_sched_report(stage->sched));
}

void stage_fail(struct stage *stage, enum sim_call call, uint64_t nth, int error)
{
    struct sim_fault fault = {.kind = SIM_FAIL, .call = call, .error = error};
    fault.nth = nth;
    sim_fault_set(stage->sys, &fault);
}

void stage_poison(struct stage *stage)
{
    stage_fail(stage, SIM_DSYNC, 1, EIO);
    CHECK_EQ(part_finish(stage_cast(stage, do_put, "unknown", "?")), SCN_UNKNOWN);
}

void stage_lose_newest_root(struct stage *stage)
{
    uint8_t byte;
    uint64_t off = (uint64_t)store_of(stage)->superblock.catalog.pgno * PAGE_BYTES + 20;
    CHECK(sim_peek(stage->disk, "store", off, &byte, 1));
    byte ^= 1;
    CHECK(sim_rot(stage->disk, "store", off, &byte, 1));
}

uint64_t stage_log_end_off(struct stage *stage)
{
    struct log_base at;
    log_position(store_of(stage)->log, &at);
    return (uint64_t)at.extent_pgno * PAGE_BYTES + at.extent_off;
}
