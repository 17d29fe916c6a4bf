/* Schedules by chance: writers, readers, checkpoints and the background thread of one
 * store, under the scheduler.
 *
 * A run is a few lives of a store on one disk.  In each, some actors do transactions by
 * chance (test/schedule/chronicle.h) until they have done enough, or the process is
 * killed between two calls, or in the middle of one, or the power goes.  At chosen
 * moments the disks that a power cut could leave are opened and judged, too.  Afterwards
 *
 *     every transaction was told what it would have been told alone, in the order of the
 *     log; conflicts and refusals had a reason; nobody got stuck;
 *     what is found after a kill are all acknowledged commits, after a power cut at
 *     least the durable ones, and in both cases a prefix of the log and no part of a
 *     commit.
 *
 * A run follows from its seed.  A failure prints RUN=seed (test/schedule/campaign.h). */
#include "test/engine/story.h"
#include "test/schedule/campaign.h"
#include "test/schedule/verdict.h"
#include "test/sim/sched.h"

#include <inttypes.h>

#define STORE "store"

enum {
    BUDGET_MS = PAGE_IS_SMALL ? 4000 : 1500,
    LIVES = 3,
    DEEPER_ONE_IN = 12, /* so few recoveries lose their power, too */
    CHECK_ONE_IN = 4    /* scn_check of what a power cut has left */
};

enum run_flags {
    RUN_CUTS = 1,    /* power cuts */
    RUN_KILLS = 2,
    RUN_TIMEOUTS = 4 /* deadlines pass early, so locks are not got */
};

struct totals {
    uint64_t trace; /* of the last scheduler */
    uint64_t runs;
    uint64_t steps;
    uint64_t commits;
    uint64_t conflicts;
    uint64_t refusals;
    uint64_t readers;
    uint64_t states; /* after power cuts */
    uint64_t deeper;
    uint64_t kills;
};

struct trial {
    uint64_t seed;
    uint32_t flags;
    uint64_t random; /* of everything but the actors' programs and the scheduler */
    struct sim_disk *disk;
    struct sim_sched *sched;
    struct sys *sys;
    scn_db *db;
    uint32_t store_flags;
    uint32_t busy_timeout_ms;
    struct chronicle chronicle;
    struct totals *totals;
    struct sim_seen *seen;
    struct doer *doers[DEED_ACTORS];
    uint64_t events;
    uint64_t last_event; /* number of the one that ends the life; 0: none */
    bool ends_in_kill;
};

/* An actor of a life. */
struct doer {
    struct trial *run;
    struct sim_actor *actor;
    uint32_t no;
    uint32_t count; /* transactions to do */
    bool is_reader;
    bool uses_update;
    uint64_t random;
    uint32_t entry_no;    /* under way */
    bool is_committing;
};

static uint64_t roll(uint64_t *random, uint64_t bound)
{
    return (unit_random(random) >> 20) % bound;
}

static bool is_fine(const struct trial *run)
{
    return run->chronicle.wrong[0] == 0;
}

static void fail(struct trial *run, scn_status st, const char *what)
{
    chronicle_fail(&run->chronicle, "%s says %d: %s", what, st, error_last()->text);
}

static scn_status open_on(struct sys *sys, const struct trial *run, uint32_t flags,
                          scn_db **db)
{
    scn_options options = {.struct_size = sizeof options, .flags = flags};
    options.pool_bytes = 16 * PAGE_BYTES;
    options.log_bytes = UINT64_C(4) * LOG_EXTENT_PAGES * PAGE_BYTES;
    options.busy_timeout_ms = run->busy_timeout_ms;
    return store_open_on(sys, STORE, &options, db);
}

/* ---- transactions ---- */

static bool is_refusal(const struct trial *run, scn_status st)
{
    return st == SCN_BUSY && (run->flags & RUN_TIMEOUTS);
}

static scn_status begin(struct doer *doer, uint32_t flags, scn_txn **txn)
{
    struct chronicle *chronicle = &doer->run->chronicle;
    uint64_t acked_lsn = chronicle->acked_lsn;
    scn_status st = scn_begin(doer->run->db, flags, txn);
    if (st == SCN_OK)
        chronicle_began(chronicle, doer->entry_no, acked_lsn, scn_txn_lsn(*txn));
    return st;
}

static void read_some(struct doer *doer)
{
    struct trial *run = doer->run;
    scn_txn *txn;
    doer->entry_no =
        chronicle_plan(&run->chronicle, &doer->random, doer->no, false, true);
    scn_status st = begin(doer, SCN_READ, &txn);
    if (st == SCN_OK) {
        st = chronicle_act(&run->chronicle, doer->entry_no, txn);
        scn_abort(txn);
    }
    if (st != SCN_OK) {
        fail(run, st, "a reader");
        return;
    }
    chronicle_acked(&run->chronicle, doer->entry_no, 0, false);
    run->totals->readers++;
}

static void note_outcome(struct doer *doer, scn_status st, uint64_t lsn, bool is_lazy)
{
    struct trial *run = doer->run;
    struct entry *entry = &run->chronicle.entries[doer->entry_no];
    doer->is_committing = false;
    if (st == SCN_OK) {
        chronicle_acked(&run->chronicle, doer->entry_no, lsn, !is_lazy);
        run->totals->commits++;
        return;
    }
    entry->fate = FATE_OPEN;
    if (st == SCN_CONFLICT) {
        run->totals->conflicts++;
        verdict_on_conflict(&run->chronicle, doer->entry_no);
    } else if (is_refusal(run, st)) {
        run->totals->refusals++;
    } else {
        fail(run, st, "a commit");
    }
}

static void commit_some(struct doer *doer)
{
    struct trial *run = doer->run;
    uint32_t durability = (uint32_t)roll(&doer->random, 3);
    bool is_snapshot = roll(&doer->random, 4) == 0;
    scn_txn *txn;
    uint64_t lsn = 0;
    doer->entry_no = chronicle_plan(&run->chronicle, &doer->random, doer->no, true,
                                  is_snapshot);
    scn_status st = begin(doer, SCN_WRITE | (is_snapshot ? SCN_SNAPSHOT : 0), &txn);
    if (st != SCN_OK) {
        fail(run, st, "a begin");
        return;
    }
    st = chronicle_act(&run->chronicle, doer->entry_no, txn);
    if (st == SCN_OK)
        st = scn_set_durability(txn, durability);
    if (st != SCN_OK) {
        scn_abort(txn);
        note_outcome(doer, st, 0, false);
        return;
    }
    run->chronicle.entries[doer->entry_no].fate = FATE_COMMITTING;
    doer->is_committing = true;
    st = scn_commit_at(txn, &lsn);
    note_outcome(doer, st, lsn, durability == SCN_SYNC_LAZY);
}

/* ---- scn_update: the program is run anew after each conflict ---- */

struct update {
    struct doer *doer;
    uint64_t lsn;
};

static void take_lsn(void *ctx, scn_status st, uint64_t lsn)
{
    (void)st;
    ((struct update *)ctx)->lsn = lsn;
}

static scn_status act_in_update(scn_txn *txn, void *ctx)
{
    struct update *update = ctx;
    struct doer *doer = update->doer;
    struct chronicle *chronicle = &doer->run->chronicle;
    struct entry *entry = &chronicle->entries[doer->entry_no];
    entry->snapshot_lsn = scn_txn_lsn(txn);
    entry->stamp = 0;
    doer->is_committing = false;
    scn_status st = scn_on_end(txn, take_lsn, update);
    if (st == SCN_OK)
        st = chronicle_act(chronicle, doer->entry_no, txn);
    chronicle->entries[doer->entry_no].fate = FATE_COMMITTING;
    doer->is_committing = true;
    return st;
}

static void update_some(struct doer *doer)
{
    struct trial *run = doer->run;
    struct update update = {.doer = doer};
    doer->entry_no =
        chronicle_plan(&run->chronicle, &doer->random, doer->no, true, false);
    scn_status st = scn_update(run->db, act_in_update, &update);
    if (st == SCN_CONFLICT)
        fail(run, st, "an update");
    note_outcome(doer, st, update.lsn, false);
}

/* ---- actors ---- */

static void act(void *arg)
{
    struct doer *doer = arg;
    for (uint32_t i = 0; i < doer->count && is_fine(doer->run); i++) {
        if (doer->is_reader)
            read_some(doer);
        else if (doer->uses_update)
            update_some(doer);
        else
            commit_some(doer);
    }
}

static void take_care(void *arg)
{
    struct doer *doer = arg;
    for (uint32_t i = 0; i < doer->count && is_fine(doer->run); i++) {
        scn_status st = roll(&doer->random, 3) ? scn_checkpoint(doer->run->db)
                                               : scn_tick(doer->run->db, 1);
        if (st != SCN_OK && !is_refusal(doer->run, st))
            fail(doer->run, st, "a checkpoint");
    }
}

/* What a commit writes under the append lock is its record, last of all. */
static void stamp_who_appends(struct trial *run)
{
    uint64_t owner = atomic_load(&run->db->store->locks.owner[LOCK_APPEND]);
    for (int i = 0; i < DEED_ACTORS; i++) {
        struct doer *doer = run->doers[i];
        if (doer && doer->is_committing && sim_actor_id(doer->actor) == owner)
            chronicle_stamp(&run->chronicle, doer->entry_no);
    }
}

static void on_call(void *ctx, struct sim_disk *disk, enum sim_call call,
                    enum sim_moment moment)
{
    struct trial *run = ctx;
    uint64_t id = run->sys->ops->thread_id(run->sys);
    (void)disk;
    if (call == SIM_WRITE && moment == SIM_AFTER &&
        atomic_load(&run->db->store->locks.owner[LOCK_APPEND]) == id)
        stamp_who_appends(run);
}

/* ---- what is left ---- */

static scn_status take_issue(void *ctx, const scn_issue *issue)
{
    if (issue->kind != SCN_ISSUE_SLOT)
        chronicle_fail(ctx, "the check finds, page %" PRIu64 ": %s", issue->page,
                     issue->text);
    return SCN_OK;
}

static void check_file(struct trial *run, scn_db *db)
{
    scn_status st = scn_check(db, SCN_CHECK_ALL, take_issue, &run->chronicle, NULL);
    if (st != SCN_OK)
        fail(run, st, "the check");
}

static scn_status put_one(scn_txn *txn, void *ctx)
{
    scn_table_id id;
    scn_status st = scn_table(txn, "afterwards", SCN_CREATE, &id);
    (void)ctx;
    return st == SCN_OK ? scn_put(txn, id, (scn_slice){"a", 1}, (scn_slice){"b", 1}, 0)
                        : st;
}

struct cut {
    struct trial *run;
    uint64_t random;
};

static struct sim_choice some_choice(struct sim_disk *disk, uint64_t *random)
{
    struct sim_choice choice = {.keep = (enum sim_keep)roll(random, 7)};
    choice.by_call = roll(random, 2) == 0;
    uint64_t bound = sim_pending(disk, choice.by_call) + 1;
    choice.n = roll(random, choice.keep >= SIM_KEEP_RANDOM ? 1000000 : bound);
    return choice;
}

static void open_and_judge(struct trial *run, struct sim_disk *disk, uint64_t random);

/* In the middle of a recovery the power goes again. */
static void cut_again(void *ctx, struct sim_disk *disk, enum sim_call call,
                      enum sim_moment moment)
{
    struct cut *cut = ctx;
    (void)call;
    if (moment != SIM_BEFORE_SYNC || !is_fine(cut->run))
        return;
    struct sim_choice choice = some_choice(disk, &cut->random);
    struct sim_disk *crashed = sim_crash(disk, &choice);
    cut->run->totals->deeper++;
    open_and_judge(cut->run, crashed, 3);
    sim_disk_destroy(crashed);
}

static void open_and_judge(struct trial *run, struct sim_disk *disk, uint64_t random)
{
    struct sys *sys = sim_process_create(disk);
    uint32_t place;
    scn_db *db;
    scn_status st = open_on(sys, run, SCN_NOTHREAD | SCN_NOCREATE, &db);
    if (st != SCN_OK) {
        fail(run, st, "opening after a power cut");
    } else {
        (void)verdict_on_store(&run->chronicle, db, false, &place);
        if (roll(&random, CHECK_ONE_IN) == 0)
            check_file(run, db);
        st = scn_update(db, put_one, NULL);
        if (st != SCN_OK)
            fail(run, st, "a commit after a power cut");
        (void)scn_close(db);
    }
    sim_process_destroy(sys);
}

static void look_at_cut(struct trial *run)
{
    struct sim_choice choice = some_choice(run->disk, &run->random);
    struct sim_disk *crashed = sim_crash(run->disk, &choice);
    struct cut cut = {.run = run, .random = run->random | 1};
    bool is_deep = roll(&run->random, DEEPER_ONE_IN) == 0;
    if (sim_seen_add(run->seen, sim_hash(crashed) + run->chronicle.last_stamp)) {
        run->totals->states++;
        if (is_deep)
            sim_hook_set(crashed, cut_again, &cut);
        open_and_judge(run, crashed, cut.random);
    }
    sim_disk_destroy(crashed);
}

/* ---- a life ---- */

static bool on_event(void *ctx)
{
    struct trial *run = ctx;
    if (!is_fine(run))
        return false;
    if (++run->events == run->last_event)
        return false;
    if (run->flags & RUN_CUTS)
        look_at_cut(run);
    return is_fine(run);
}

static void start_doer(struct trial *run, uint32_t no, void (*fn)(void *))
{
    struct doer *doer = calloc(1, sizeof *doer);
    if (doer == NULL)
        abort();
    *doer = (struct doer){.run = run, .no = no, .random = run->random + no * 7919};
    doer->random |= 1;
    doer->count = 2 + (uint32_t)roll(&run->random, fn == take_care ? 4 : 9);
    doer->is_reader = roll(&run->random, 4) == 0;
    doer->uses_update = roll(&run->random, 4) == 0;
    doer->actor = sim_actor_start(run->sched, run->sys, "doer", fn, doer);
    run->doers[no] = doer;
}

static void start_doers(struct trial *run)
{
    uint32_t count = 2 + (uint32_t)roll(&run->random, 4);
    for (uint32_t i = 0; i < count; i++)
        start_doer(run, i, act);
    if (roll(&run->random, 3) || (run->store_flags & SCN_NOTHREAD))
        start_doer(run, DEED_ACTORS - 1, take_care);
}

static void free_doers(struct trial *run)
{
    for (int i = 0; i < DEED_ACTORS; i++) {
        free(run->doers[i]);
        run->doers[i] = NULL;
    }
}

static void plan_life(struct trial *run)
{
    struct sim_chance chance = sim_chance_of(unit_random(&run->random), 2500);
    if (!(run->flags & RUN_TIMEOUTS))
        chance.early_one_in = 0;
    sim_sched_set_chance(run->sched, &chance);
    run->store_flags = roll(&run->random, 3) == 0 ? SCN_NOTHREAD : 0;
    run->busy_timeout_ms = 5000;
    if (run->flags & RUN_TIMEOUTS)
        run->busy_timeout_ms = 1 + (uint32_t)roll(&run->random, 50);
    run->events = 0;
    run->last_event = (run->flags & RUN_KILLS) || roll(&run->random, 2)
                          ? 1 + roll(&run->random, 24)
                          : 0;
    run->ends_in_kill = roll(&run->random, 2) == 0;
}

/* In the middle of a write or a sync. */
static void arm_kill(struct trial *run)
{
    struct sim_fault fault = {.kind = SIM_KILL, .call = SIM_ANY};
    fault.nth = 1 + roll(&run->random, 300);
    fault.len = roll(&run->random, 600);
    if ((run->flags & RUN_KILLS) && roll(&run->random, 2))
        sim_fault_set(run->sys, &fault);
}

static void machine_start(struct trial *run, struct sim_disk *disk)
{
    run->disk = disk;
    run->sched = sim_sched_create(disk);
}

static void machine_stop(struct trial *run)
{
    sim_sched_destroy(run->sched);
    sim_disk_destroy(run->disk);
}

/* The next life begins with what is there. */
static void resume(struct trial *run, bool needs_all)
{
    uint32_t place;
    run->sys = sim_process_create(run->disk);
    sim_sched_speak_for(run->sched, run->sys);
    scn_status st = open_on(run->sys, run, SCN_NOCREATE | run->store_flags, &run->db);
    if (st != SCN_OK) {
        run->db = NULL;
        fail(run, st, "opening");
    } else if (verdict_on_store(&run->chronicle, run->db, needs_all, &place)) {
        check_file(run, run->db);
        verdict_settle(&run->chronicle, place);
    }
}

static void die(struct trial *run)
{
    sim_process_kill(run->sys);
    sim_process_destroy(run->sys);
    free_doers(run);
    run->totals->kills++;
}

static void lose_power(struct trial *run)
{
    struct sim_choice choice = some_choice(run->disk, &run->random);
    struct sim_disk *crashed = sim_crash(run->disk, &choice);
    die(run);
    machine_stop(run);
    machine_start(run, crashed);
}

static void close_store(struct trial *run)
{
    sim_fault_clear(run->sys); /* the director does not die */
    scn_status st = scn_close(run->db);
    if (st != SCN_OK)
        fail(run, st, "closing");
    sim_process_destroy(run->sys);
    free_doers(run);
    chronicle_synced(&run->chronicle);
}

static void live(struct trial *run)
{
    start_doers(run);
    arm_kill(run);
    sim_hook_set(run->disk, on_call, run);
    sim_sched_on_event(run->sched, 150, on_event, run);
    bool is_stuck = !sim_sched_run(run->sched);
    sim_hook_set(run->disk, NULL, NULL);
    run->totals->steps += sim_sched_steps(run->sched);
    run->totals->trace = run->totals->trace * 31 + sim_sched_trace(run->sched);
    if (is_stuck)
        chronicle_fail(&run->chronicle, "stuck: %s", sim_sched_report(run->sched));
    if (sim_process_is_dead(run->sys)) /* its record may be whole */
        stamp_who_appends(run);
    (void)verdict_on_all(&run->chronicle);
    bool is_over = run->last_event && run->events >= run->last_event;
    if (!is_fine(run) || sim_process_is_dead(run->sys) ||
        (is_over && run->ends_in_kill)) {
        die(run);
        resume(run, true);
    } else if (is_over) {
        lose_power(run);
        resume(run, false);
    } else {
        close_store(run);
        resume(run, true);
    }
}

static struct sim_disk *prepared_disk(struct trial *run)
{
    struct sim_disk *disk = sim_disk_create(run->seed);
    struct sys *sys = sim_process_create(disk);
    scn_db *db;
    run->busy_timeout_ms = 5000;
    CHECK_OK(open_on(sys, run, SCN_NOTHREAD, &db));
    CHECK_OK(chronicle_prepare(db));
    CHECK_OK(scn_close(db));
    sim_process_destroy(sys);
    struct sim_disk *copy = sim_disk_copy(disk);
    sim_disk_destroy(disk);
    return copy;
}

static void run_all_lives(struct trial *run)
{
    run->random = run->seed * 2 + 1;
    unit_random(&run->random);
    chronicle_init(&run->chronicle);
    machine_start(run, prepared_disk(run));
    plan_life(run);
    resume(run, true);
    for (int i = 0; i < LIVES && is_fine(run); i++) {
        live(run);
        if (is_fine(run))
            plan_life(run);
    }
    if (run->db)
        (void)scn_close(run->db);
    sim_process_destroy(run->sys);
    machine_stop(run);
}

static void say_totals(const char *name, const struct totals *totals, uint64_t ms)
{
    if (getenv("VERBOSE"))
        printf("%s: %" PRIu64 " schedules, %" PRIu64 " crash states and %" PRIu64
               " deeper ones, %" PRIu64 " kills; %" PRIu64 " schedules and %" PRIu64
               " states a second; %" PRIu64 " steps, %" PRIu64 " commits, %" PRIu64
               " conflicts, %" PRIu64 " refusals, %" PRIu64 " readers\n",
               name, totals->runs, totals->states, totals->deeper, totals->kills,
               totals->runs * 1000 / (ms + 1), totals->states * 1000 / (ms + 1),
               totals->steps, totals->commits, totals->conflicts, totals->refusals,
               totals->readers);
}

static void run_one(const struct campaign *campaign, uint64_t seed,
                    struct sim_seen *seen, struct chronicle *chronicle)
{
    struct trial run = {.seed = seed, .flags = campaign->flags, .seen = seen};
    run.totals = campaign->totals;
    run_all_lives(&run);
    *chronicle = run.chronicle;
}

static void run_for_a_while(const char *name, uint32_t flags)
{
    uint64_t ms;
    struct totals totals = {0};
    struct campaign campaign = {run_one, flags, &totals};
    totals.runs = campaign_go_on(&campaign, BUDGET_MS, &ms);
    say_totals(name, &totals, ms);
    CHECK(totals.commits > 0);
}

static uint64_t trace_of(uint64_t seed)
{
    struct totals totals = {0};
    struct campaign campaign = {run_one, RUN_KILLS | RUN_CUTS | RUN_TIMEOUTS, &totals};
    campaign_once(&campaign, seed);
    CHECK(totals.steps > 0);
    return totals.trace;
}

TEST(runs__repeat_themselves)
{
    for (uint64_t seed = 1; seed < 5; seed++)
        CHECK_EQ(trace_of(seed), trace_of(seed));
}

TEST(runs__are_serializable)
{
    run_for_a_while("plain", 0);
}

TEST(runs__are_serializable_when_locks_are_not_got)
{
    run_for_a_while("timeouts", RUN_TIMEOUTS);
}

TEST(runs__lose_nothing_in_power_cuts)
{
    run_for_a_while("cuts", RUN_CUTS);
}

TEST(runs__lose_nothing_when_the_process_is_killed)
{
    run_for_a_while("kills", RUN_KILLS | RUN_CUTS | RUN_TIMEOUTS);
}
