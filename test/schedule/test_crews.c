/* Schedules by chance, of crews: several processes have one file open, and all of them
 * write, read, make checkpoints, come, go, and are killed.
 *
 * A run is a few lives of a disk.  In each, two to four processes work at a time: each
 * opens the store, lets its doers do transactions (test/schedule/chronicle.h), and closes
 * it.  Meanwhile others come, some are killed, between two calls or in the middle of one,
 * and the disks that a power cut could leave now are opened and judged.  Afterwards
 *
 *     everybody was told what he would have been told alone, in the order of the log, be
 *     it by this process or by that; a snapshot has all that anybody was acknowledged
 *     before it began; conflicts had a reason;
 *     nothing that was acknowledged is lost with any process, and nothing durable in a
 *     power cut; scn_check finds nothing.
 *
 * Whose record was being written when his process died is in doubt: what a copy of the
 * disk recovers to says whether it is in the log.
 *
 * A run follows from its seed.  A failure prints RUN=seed; with that in the environment
 * only this run is done. */
#include "engine/txn.h"
#include "test/engine/story.h"
#include "test/schedule/verdict.h"
#include "test/sim/sched.h"
#include "wal/record.h"

#include <errno.h>
#include <inttypes.h>

#define STORE "store"

enum {
    BUDGET_MS = PAGE_IS_SMALL ? 4000 : 1500,
    LIVES = 3,
    CREW_MAX = 4,      /* at a time */
    HANDS_MAX = 12,    /* in a life */
    CHECK_ONE_IN = 4,  /* scn_check of what a power cut has left */
    EVENT_ONE_IN = 120 /* steps */
};

enum crew_flags {
    CREW_CUTS = 1, /* power cuts */
    CREW_KILLS = 2,
    CREW_TIMEOUTS = 4, /* deadlines pass early, so locks are not got */
    CREW_SYNCS = 8     /* syncs fail; then nothing is lazy, and the power stays */
};

struct totals {
    uint64_t trace;
    uint64_t runs;
    uint64_t steps;
    uint64_t processes;
    uint64_t commits;
    uint64_t conflicts;
    uint64_t gaps; /* conflicts since the history has a gap */
    uint64_t refusals;
    uint64_t readers;
    uint64_t checkpoints;
    uint64_t states; /* after power cuts */
    uint64_t kills;
    uint64_t doubts;
    uint64_t kept; /* of these, commits that are in the log */
    uint64_t failures; /* calls that met a failed sync */
};

struct doer {
    struct hand *hand;
    struct sim_actor *actor;
    uint32_t no;
    uint32_t count; /* transactions to do */
    bool is_reader;
    bool uses_update;
    bool takes_care;
    uint64_t random;
    uint32_t entry_no; /* under way */
    bool is_committing;
    bool has_gap;
    bool is_lost; /* it does not know whether its last commit is there */
    scn_txn *txn;
    uint64_t lsn;
};

/* A process of the crew. */
struct hand {
    struct crew *crew;
    struct sys *sys;
    struct sim_actor *actor;
    scn_db *db;
    uint32_t store_flags;
    struct sys_mutex *mutex;
    struct sys_cond *cond;
    bool is_open;    /* mutex */
    bool is_refused; /* mutex */
    uint32_t busy;   /* mutex: doers that are not done */
    bool is_gone;
};

struct crew {
    uint64_t seed;
    uint32_t flags;
    uint64_t random;
    struct sim_disk *disk;
    struct sim_sched *sched;
    struct chronicle chronicle;
    struct totals *totals;
    struct sim_seen *seen;
    struct hand *hands[HANDS_MAX];
    uint32_t hand_count;
    struct doer *doers[DEED_ACTORS];
    uint32_t doer_count;
    uint64_t events;
    uint64_t last_event; /* number of the one that ends the life; 0: none */
    bool ends_in_kill;
};

static uint64_t roll(uint64_t *random, uint64_t bound)
{
    return (unit_random(random) >> 20) % bound;
}

static bool is_fine(const struct crew *crew)
{
    return crew->chronicle.wrong[0] == 0;
}

static void fail(struct crew *crew, scn_status st, const char *what)
{
    chronicle_fail(&crew->chronicle, "%s says %d: %s", what, st, error_last()->text);
}

static bool is_refusal(const struct crew *crew, scn_status st)
{
    return st == SCN_BUSY && (crew->flags & CREW_TIMEOUTS);
}

/* Somebody's sync has failed. */
static bool is_failure(const struct crew *crew, scn_status st)
{
    bool is_one = st == SCN_IO || st == SCN_POISONED || st == SCN_UNKNOWN;
    return is_one && (crew->flags & CREW_SYNCS);
}

/* An answer that is neither right nor wrong; counted. */
static bool is_excused(struct crew *crew, scn_status st)
{
    bool fails = is_failure(crew, st);
    bool is_busy = is_refusal(crew, st);
    crew->totals->failures += fails;
    crew->totals->refusals += is_busy;
    return fails || is_busy;
}

static scn_status open_on(struct sys *sys, uint32_t flags, uint32_t busy_timeout_ms,
                          scn_db **db)
{
    scn_options options = {.struct_size = sizeof options, .flags = flags};
    options.pool_bytes = 16 * PAGE_BYTES;
    options.log_bytes = UINT64_C(4) * LOG_EXTENT_PAGES * PAGE_BYTES;
    options.busy_timeout_ms = busy_timeout_ms;
    return store_open_on(sys, STORE, &options, db);
}

/* ---- transactions ---- */

/* Some take their time, while others make checkpoints: pins are given back, processes are
 * lapped. */
static void dawdle(struct doer *doer)
{
    struct hand *hand = doer->hand;
    const struct sys_ops *ops = hand->sys->ops;
    static const uint32_t ms[] = {1, 10, 120, 400};
    if (roll(&doer->random, 10))
        return;
    uint64_t until =
        ops->now_ns(hand->sys) + ms[roll(&doer->random, 4)] * UINT64_C(1000000);
    ops->mutex_lock(hand->mutex);
    while (ops->cond_wait(hand->cond, hand->mutex, until))
        continue;
    ops->mutex_unlock(hand->mutex);
}

static scn_status begin(struct doer *doer, uint32_t flags, scn_txn **txn)
{
    struct chronicle *chronicle = &doer->hand->crew->chronicle;
    dawdle(doer);
    uint64_t acked_lsn = chronicle->acked_lsn;
    scn_status st = scn_begin(doer->hand->db, flags, txn);
    if (st == SCN_OK) {
        chronicle_began(chronicle, doer->entry_no, acked_lsn, scn_txn_lsn(*txn));
        dawdle(doer);
    }
    return st;
}

static void read_some(struct doer *doer)
{
    struct crew *crew = doer->hand->crew;
    scn_txn *txn;
    doer->entry_no =
        chronicle_plan(&crew->chronicle, &doer->random, doer->no, false, true);
    scn_status st = begin(doer, SCN_READ, &txn);
    if (st == SCN_OK) {
        st = chronicle_act(&crew->chronicle, doer->entry_no, txn);
        scn_abort(txn);
    }
    if (st == SCN_OK) {
        chronicle_acked(&crew->chronicle, doer->entry_no, 0, false);
        crew->totals->readers++;
    } else if (!is_excused(crew, st)) {
        fail(crew, st, "a reader");
    }
}

/* While the transaction still is among the open ones. */
static void take_end(void *ctx, scn_status st, uint64_t lsn)
{
    struct doer *doer = ctx;
    const struct entry *entry = &doer->hand->crew->chronicle.entries[doer->entry_no];
    doer->lsn = lsn;
    doer->has_gap =
        entry->snapshot_lsn < doer->hand->db->store->history.window_start ||
        atomic_load(&doer->txn->is_stale);
    (void)st;
}

static void note_outcome(struct doer *doer, scn_status st, uint64_t lsn, bool is_lazy)
{
    struct crew *crew = doer->hand->crew;
    struct entry *entry = &crew->chronicle.entries[doer->entry_no];
    doer->is_committing = false;
    if (st == SCN_OK) {
        chronicle_acked(&crew->chronicle, doer->entry_no, lsn, !is_lazy);
        crew->totals->commits++;
        return;
    }
    doer->is_lost = st == SCN_UNKNOWN && is_failure(crew, st);
    if (!doer->is_lost)
        entry->fate = FATE_OPEN;
    if (st == SCN_CONFLICT) {
        crew->totals->conflicts++;
        crew->totals->gaps += doer->has_gap;
        if (!doer->has_gap)
            verdict_on_conflict(&crew->chronicle, doer->entry_no);
    } else if (!is_excused(crew, st)) {
        fail(crew, st, "a commit");
    }
}

static void commit_some(struct doer *doer)
{
    struct crew *crew = doer->hand->crew;
    uint32_t durability =
        (uint32_t)roll(&doer->random, crew->flags & CREW_SYNCS ? 2 : 3);
    bool is_snapshot = roll(&doer->random, 4) == 0;
    scn_txn *txn;
    uint64_t lsn = 0;
    doer->entry_no = chronicle_plan(&crew->chronicle, &doer->random, doer->no, true,
                                    is_snapshot);
    scn_status st = begin(doer, SCN_WRITE | (is_snapshot ? SCN_SNAPSHOT : 0), &txn);
    if (st != SCN_OK) {
        note_outcome(doer, st, 0, false);
        return;
    }
    doer->txn = txn;
    st = scn_on_end(txn, take_end, doer);
    if (st == SCN_OK)
        st = chronicle_act(&crew->chronicle, doer->entry_no, txn);
    if (st == SCN_OK)
        st = scn_set_durability(txn, durability);
    if (st != SCN_OK) {
        scn_abort(txn);
        note_outcome(doer, st, 0, false);
        return;
    }
    dawdle(doer);
    crew->chronicle.entries[doer->entry_no].fate = FATE_COMMITTING;
    doer->is_committing = true;
    st = scn_commit_at(txn, &lsn);
    note_outcome(doer, st, lsn, durability == SCN_SYNC_LAZY);
}

/* The program is run anew after each conflict. */
static scn_status act_in_update(scn_txn *txn, void *ctx)
{
    struct doer *doer = ctx;
    struct chronicle *chronicle = &doer->hand->crew->chronicle;
    struct entry *entry = &chronicle->entries[doer->entry_no];
    entry->snapshot_lsn = scn_txn_lsn(txn);
    entry->stamp = 0;
    doer->is_committing = false;
    doer->txn = txn;
    scn_status st = scn_on_end(txn, take_end, doer);
    if (st == SCN_OK)
        st = chronicle_act(chronicle, doer->entry_no, txn);
    chronicle->entries[doer->entry_no].fate = FATE_COMMITTING;
    doer->is_committing = true;
    return st;
}

static void update_some(struct doer *doer)
{
    struct crew *crew = doer->hand->crew;
    doer->entry_no =
        chronicle_plan(&crew->chronicle, &doer->random, doer->no, true, false);
    scn_status st = scn_update(doer->hand->db, act_in_update, doer);
    if (st == SCN_CONFLICT)
        fail(crew, st, "an update");
    note_outcome(doer, st, doer->lsn, false);
}

/* ---- care ---- */

static scn_status take_issue(void *ctx, const scn_issue *issue)
{
    if (issue->kind != SCN_ISSUE_SLOT)
        chronicle_fail(ctx, "the check finds, page %" PRIu64 ": %s", issue->page,
                       issue->text);
    return SCN_OK;
}

static scn_status check_file(struct crew *crew, scn_db *db)
{
    return scn_check(db, SCN_CHECK_ALL, take_issue, &crew->chronicle, NULL);
}

static void care_once(struct doer *doer)
{
    struct crew *crew = doer->hand->crew;
    scn_db *db = doer->hand->db;
    uint64_t what = roll(&doer->random, 8);
    scn_status st = what == 0  ? check_file(crew, db)
                    : what < 5 ? scn_checkpoint(db)
                               : scn_tick(db, 1);
    if (st == SCN_OK)
        crew->totals->checkpoints += what > 0 && what < 5;
    else if (!is_excused(crew, st))
        fail(crew, st, what ? "a checkpoint" : "a check");
}

/* ---- the threads of a process ---- */

static bool waits_for_open(struct hand *hand)
{
    const struct sys_ops *ops = hand->sys->ops;
    ops->mutex_lock(hand->mutex);
    while (!hand->is_open && !hand->is_refused)
        (void)ops->cond_wait(hand->cond, hand->mutex, 0);
    bool is_open = hand->is_open;
    ops->mutex_unlock(hand->mutex);
    return is_open;
}

static void act(void *arg)
{
    struct doer *doer = arg;
    struct hand *hand = doer->hand;
    const struct sys_ops *ops = hand->sys->ops;
    bool is_open = waits_for_open(hand);
    for (uint32_t i = 0; is_open && i < doer->count && !doer->is_lost && is_fine(hand->crew);
         i++) {
        if (doer->takes_care)
            care_once(doer);
        else if (doer->is_reader)
            read_some(doer);
        else if (doer->uses_update)
            update_some(doer);
        else
            commit_some(doer);
    }
    ops->mutex_lock(hand->mutex);
    hand->busy--;
    ops->mutex_unlock(hand->mutex);
    ops->cond_wake_all(hand->cond);
}

static void tell_doers(struct hand *hand, bool is_open)
{
    const struct sys_ops *ops = hand->sys->ops;
    ops->mutex_lock(hand->mutex);
    hand->is_open = is_open;
    hand->is_refused = !is_open;
    ops->mutex_unlock(hand->mutex);
    ops->cond_wake_all(hand->cond);
}

static void wait_for_doers(struct hand *hand)
{
    const struct sys_ops *ops = hand->sys->ops;
    ops->mutex_lock(hand->mutex);
    while (hand->busy > 0)
        (void)ops->cond_wait(hand->cond, hand->mutex, 0);
    ops->mutex_unlock(hand->mutex);
}

/* What this process has appended is durable once it has closed the store. */
static void note_closed(struct hand *hand)
{
    struct chronicle *chronicle = &hand->crew->chronicle;
    for (uint32_t i = 0; i < chronicle->count; i++) {
        struct entry *entry = &chronicle->entries[i];
        if (entry->fate == FATE_ACKED && hand->crew->doers[entry->actor]->hand == hand)
            entry->is_durable = true;
    }
}

static void work(void *arg)
{
    struct hand *hand = arg;
    struct crew *crew = hand->crew;
    uint32_t timeout_ms = crew->flags & CREW_TIMEOUTS ? 50 : 5000;
    scn_status st =
        open_on(hand->sys, hand->store_flags | SCN_NOCREATE, timeout_ms, &hand->db);
    tell_doers(hand, st == SCN_OK);
    if (st != SCN_OK && !is_excused(crew, st))
        fail(crew, st, "opening");
    wait_for_doers(hand);
    if (st != SCN_OK)
        return;
    st = scn_close(hand->db);
    if (st == SCN_OK)
        note_closed(hand);
    else if (!is_excused(crew, st))
        fail(crew, st, "closing");
    hand->is_gone = true;
}

/* ---- what the simulator sees ---- */

/* Of what is in the file there: a commit, or the start of one. */
static bool has_commit(struct sim_disk *disk, uint64_t off, uint64_t len)
{
    uint8_t header[RECORD_HEADER_BYTES];
    struct record record;
    uint64_t end = off + len;
    while (off < end && sim_peek(disk, STORE, off, header, sizeof header) &&
           record_decode(header, end - off, &record)) {
        if (record.type == RECORD_COMMIT)
            return true;
        off += record_bytes(record.stored_len);
    }
    return false;
}

static struct doer *who_commits(struct crew *crew)
{
    uint64_t id = sim_sched_current(crew->sched);
    for (uint32_t i = 0; i < crew->doer_count; i++) {
        struct doer *doer = crew->doers[i];
        if (doer->is_committing && sim_actor_id(doer->actor) == id &&
            atomic_load(&doer->hand->db->store->locks.owner[LOCK_APPEND]) == id)
            return doer;
    }
    return NULL;
}

static void on_call(void *ctx, struct sim_disk *disk, enum sim_call call,
                    enum sim_moment moment)
{
    struct crew *crew = ctx;
    uint64_t off;
    uint64_t len;
    if (call != SIM_WRITE || moment == SIM_BEFORE_SYNC)
        return;
    struct doer *doer = who_commits(crew);
    sim_sched_range(crew->sched, &off, &len);
    if (doer && has_commit(disk, off, len))
        chronicle_stamp(&crew->chronicle, doer->entry_no);
}

/* ---- what is left ---- */

static struct sim_choice some_choice(struct sim_disk *disk, uint64_t *random)
{
    struct sim_choice choice = {.keep = (enum sim_keep)roll(random, 7)};
    choice.by_call = roll(random, 2) == 0;
    uint64_t bound = sim_pending(disk, choice.by_call) + 1;
    choice.n = roll(random, choice.keep >= SIM_KEEP_RANDOM ? 1000000 : bound);
    return choice;
}

static scn_status put_one(scn_txn *txn, void *ctx)
{
    scn_table_id id;
    scn_status st = scn_table(txn, "afterwards", SCN_CREATE, &id);
    (void)ctx;
    return st == SCN_OK ? scn_put(txn, id, (scn_slice){"a", 1}, (scn_slice){"b", 1}, 0)
                        : st;
}

static void open_and_judge(struct crew *crew, struct sim_disk *disk)
{
    struct sys *sys = sim_process_create(disk);
    uint32_t place;
    scn_db *db;
    scn_status st = open_on(sys, SCN_NOTHREAD | SCN_NOCREATE, 5000, &db);
    if (st != SCN_OK) {
        fail(crew, st, "opening after a power cut");
    } else {
        (void)verdict_on_store(&crew->chronicle, db, false, &place);
        if (roll(&crew->random, CHECK_ONE_IN) == 0)
            st = check_file(crew, db);
        if (st == SCN_OK)
            st = scn_update(db, put_one, NULL);
        if (st != SCN_OK)
            fail(crew, st, "a check or commit after a power cut");
        (void)scn_close(db);
    }
    sim_process_destroy(sys);
}

static bool is_in_doubt(const struct crew *crew, const struct entry *entry)
{
    const struct doer *doer = crew->doers[entry->actor];
    return entry->is_write && entry->fate == FATE_COMMITTING &&
           (doer->is_lost || sim_process_is_dead(doer->hand->sys));
}

static bool has_doubts(const struct crew *crew)
{
    bool has = false;
    for (uint32_t i = 0; i < crew->chronicle.count; i++)
        has |= is_in_doubt(crew, &crew->chronicle.entries[i]);
    return has;
}

/* Those in the log are as good as acknowledged, as long as the power does not go. */
static void judge_doubts(struct crew *crew, scn_db *db)
{
    uint32_t last[DEED_ACTORS];
    scn_status st = verdict_read_last(db, last);
    if (st != SCN_OK)
        fail(crew, st, "reading for the doubtful");
    for (uint32_t i = 0; st == SCN_OK && i < crew->chronicle.count; i++) {
        struct entry *entry = &crew->chronicle.entries[i];
        if (!is_in_doubt(crew, entry))
            continue;
        bool is_there = entry->stamp && last[entry->actor] == entry->number;
        entry->fate = is_there ? FATE_KEPT : FATE_OPEN;
        crew->totals->doubts += entry->stamp != 0;
        crew->totals->kept += is_there;
    }
}

static void settle_doubts(struct crew *crew)
{
    scn_db *db;
    if (!is_fine(crew) || !has_doubts(crew))
        return;
    struct sim_disk *copy = sim_disk_copy(crew->disk);
    struct sys *sys = sim_process_create(copy);
    scn_status st = open_on(sys, SCN_NOTHREAD | SCN_NOCREATE, 5000, &db);
    if (st == SCN_OK) {
        judge_doubts(crew, db);
        (void)scn_close(db);
    } else {
        fail(crew, st, "opening a copy");
    }
    sim_process_destroy(sys);
    sim_disk_destroy(copy);
}

static void look_at_cut(struct crew *crew)
{
    struct sim_choice choice = some_choice(crew->disk, &crew->random);
    struct sim_disk *crashed = sim_crash(crew->disk, &choice);
    if (sim_seen_add(crew->seen, sim_hash(crashed) + crew->chronicle.last_stamp)) {
        crew->totals->states++;
        open_and_judge(crew, crashed);
    }
    sim_disk_destroy(crashed);
}

/* ---- processes ---- */

static void start_doer(struct hand *hand)
{
    struct crew *crew = hand->crew;
    struct doer *doer = calloc(1, sizeof *doer);
    if (doer == NULL)
        abort();
    uint32_t no = crew->doer_count++;
    *doer = (struct doer){.hand = hand, .no = no, .random = crew->random + no * 7919};
    doer->random |= 1;
    bool is_writer = !(hand->store_flags & SCN_RDONLY);
    doer->takes_care = is_writer && roll(&crew->random, 4) == 0;
    doer->is_reader = !is_writer || roll(&crew->random, 4) == 0;
    doer->uses_update = roll(&crew->random, 4) == 0;
    doer->count = 2 + (uint32_t)roll(&crew->random, doer->takes_care ? 4 : 9);
    doer->actor = sim_actor_start(crew->sched, hand->sys, "doer", act, doer);
    crew->doers[no] = doer;
    hand->busy++;
}

/* In the middle of any call. */
static void arm_kill(struct hand *hand)
{
    struct crew *crew = hand->crew;
    struct sim_fault fault = {.kind = SIM_KILL, .call = SIM_ANY};
    fault.nth = 1 + roll(&crew->random, 500);
    fault.len = roll(&crew->random, roll(&crew->random, 2) ? 120 : 1000);
    if (roll(&crew->random, 2) == 0)
        fault.call = SIM_WRITE, fault.nth = 1 + fault.nth / 12;
    if ((crew->flags & CREW_KILLS) && roll(&crew->random, 2))
        sim_fault_set(hand->sys, &fault);
}

static void arm_failure(struct hand *hand)
{
    struct crew *crew = hand->crew;
    struct sim_fault fault = {.kind = SIM_FAIL, .error = EIO};
    fault.call = roll(&crew->random, 3) ? SIM_DSYNC : SIM_SYNC;
    fault.nth = 1 + roll(&crew->random, 20);
    fault.bit = roll(&crew->random, 2) * roll(&crew->random, 1000000);
    if ((crew->flags & CREW_SYNCS) && roll(&crew->random, 3) == 0)
        sim_fault_set(hand->sys, &fault);
}

static void start_hand(struct crew *crew)
{
    uint32_t doers = 1 + (uint32_t)roll(&crew->random, 3);
    if (crew->hand_count == HANDS_MAX || crew->doer_count + doers > DEED_ACTORS)
        return;
    struct hand *hand = calloc(1, sizeof *hand);
    if (hand == NULL)
        abort();
    crew->hands[crew->hand_count++] = hand;
    hand->crew = crew;
    hand->sys = sim_process_create(crew->disk);
    hand->store_flags = roll(&crew->random, 2) ? SCN_NOTHREAD : 0;
    /* A reader of a file that nobody writes shows what nobody has synced: a sync that fails
     * later may take it away. */
    if (roll(&crew->random, 6) == 0 && !(crew->flags & CREW_SYNCS))
        hand->store_flags |= SCN_RDONLY;
    if (hand->sys->ops->mutex_create(hand->sys, &hand->mutex) != 0 ||
        hand->sys->ops->cond_create(hand->sys, &hand->cond) != 0)
        abort();
    for (uint32_t i = 0; i < doers; i++)
        start_doer(hand);
    arm_kill(hand);
    arm_failure(hand);
    hand->actor = sim_actor_start(crew->sched, hand->sys, "hand", work, hand);
    crew->totals->processes++;
}

static bool is_alive(const struct hand *hand)
{
    return !hand->is_gone && !sim_process_is_dead(hand->sys);
}

static uint32_t count_alive(const struct crew *crew)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < crew->hand_count; i++)
        count += is_alive(crew->hands[i]);
    return count;
}

static void kill_one(struct crew *crew)
{
    struct hand *hand = crew->hands[roll(&crew->random, crew->hand_count)];
    if (!is_alive(hand))
        return;
    sim_process_kill(hand->sys);
    crew->totals->kills++;
}

static bool on_event(void *ctx)
{
    struct crew *crew = ctx;
    if (!is_fine(crew) || ++crew->events == crew->last_event)
        return false;
    if (crew->flags & CREW_CUTS) {
        settle_doubts(crew);
        if (is_fine(crew))
            look_at_cut(crew);
    }
    if ((crew->flags & CREW_KILLS) && roll(&crew->random, 12) == 0)
        kill_one(crew);
    if (count_alive(crew) < CREW_MAX && roll(&crew->random, 6) == 0)
        start_hand(crew);
    return is_fine(crew);
}

/* ---- a life ---- */

static void machine_start(struct crew *crew, struct sim_disk *disk)
{
    crew->disk = disk;
    crew->sched = sim_sched_create(disk);
}

static void machine_stop(struct crew *crew)
{
    sim_sched_destroy(crew->sched);
    sim_disk_destroy(crew->disk);
}

static void plan_life(struct crew *crew)
{
    struct sim_chance chance = sim_chance_of(unit_random(&crew->random), 5000);
    if (!(crew->flags & CREW_TIMEOUTS))
        chance.early_one_in = 0;
    sim_sched_set_chance(crew->sched, &chance);
    crew->events = 0;
    crew->last_event = roll(&crew->random, 2) ? 1 + roll(&crew->random, 60) : 0;
    crew->ends_in_kill = roll(&crew->random, 2) == 0;
}

/* All processes are gone; what they left stays. */
static void dismiss(struct crew *crew)
{
    for (uint32_t i = 0; i < crew->hand_count; i++) {
        if (!crew->hands[i]->is_gone)
            sim_process_kill(crew->hands[i]->sys);
        sim_process_destroy(crew->hands[i]->sys);
        free(crew->hands[i]);
    }
    for (uint32_t i = 0; i < crew->doer_count; i++) {
        free(crew->doers[i]);
        crew->doers[i] = NULL;
    }
    crew->hand_count = 0;
    crew->doer_count = 0;
}

/* The next life begins with what is there. */
static void take_stock(struct crew *crew, bool needs_all)
{
    struct sys *sys = sim_process_create(crew->disk);
    uint32_t place;
    scn_db *db;
    sim_sched_speak_for(crew->sched, sys);
    scn_status st = open_on(sys, SCN_NOCREATE | SCN_NOTHREAD, 5000, &db);
    if (st != SCN_OK) {
        fail(crew, st, "opening afterwards");
    } else {
        if (verdict_on_store(&crew->chronicle, db, needs_all, &place)) {
            st = check_file(crew, db);
            verdict_settle(&crew->chronicle, place);
        }
        if (st == SCN_OK)
            st = scn_close(db);
        if (st != SCN_OK)
            fail(crew, st, "the check or the end");
    }
    sim_sched_speak_for(crew->sched, NULL);
    sim_process_destroy(sys);
}

static void lose_power(struct crew *crew)
{
    struct sim_choice choice = some_choice(crew->disk, &crew->random);
    struct sim_disk *crashed = sim_crash(crew->disk, &choice);
    dismiss(crew);
    machine_stop(crew);
    machine_start(crew, crashed);
}

static void live(struct crew *crew)
{
    uint32_t count = 2 + (uint32_t)roll(&crew->random, CREW_MAX - 1);
    for (uint32_t i = 0; i < count; i++)
        start_hand(crew);
    sim_hook_set(crew->disk, on_call, crew);
    sim_sched_on_event(crew->sched, EVENT_ONE_IN, on_event, crew);
    bool is_stuck = !sim_sched_run(crew->sched);
    sim_hook_set(crew->disk, NULL, NULL);
    crew->totals->steps += sim_sched_steps(crew->sched);
    crew->totals->trace = crew->totals->trace * 31 + sim_sched_trace(crew->sched);
    if (is_stuck)
        chronicle_fail(&crew->chronicle, "stuck: %s", sim_sched_report(crew->sched));
    settle_doubts(crew);
    if (is_fine(crew))
        (void)verdict_on_all(&crew->chronicle);
    bool is_over = crew->last_event && crew->events >= crew->last_event;
    bool is_cut = is_over && !crew->ends_in_kill && (crew->flags & CREW_CUTS);
    if (!is_fine(crew)) {
        dismiss(crew);
        return;
    }
    if (is_cut)
        lose_power(crew);
    else
        dismiss(crew);
    take_stock(crew, !is_cut);
}

static struct sim_disk *prepared_disk(struct crew *crew)
{
    struct sim_disk *disk = sim_disk_create(crew->seed);
    struct sys *sys = sim_process_create(disk);
    scn_db *db;
    CHECK_OK(open_on(sys, SCN_NOTHREAD, 5000, &db));
    CHECK_OK(chronicle_prepare(db));
    CHECK_OK(scn_close(db));
    sim_process_destroy(sys);
    struct sim_disk *copy = sim_disk_copy(disk);
    sim_disk_destroy(disk);
    return copy;
}

static void run_all_lives(struct crew *crew)
{
    crew->random = crew->seed * 2 + 1;
    unit_random(&crew->random);
    chronicle_init(&crew->chronicle);
    machine_start(crew, prepared_disk(crew));
    for (int i = 0; i < LIVES && is_fine(crew); i++) {
        plan_life(crew);
        live(crew);
    }
    machine_stop(crew);
}

static void say_totals(const char *name, const struct totals *totals, uint64_t ms)
{
    if (getenv("VERBOSE"))
        printf("%s: %" PRIu64 " schedules (%" PRIu64 " a second) of %" PRIu64
               " processes, %" PRIu64 " killed; %" PRIu64 " steps, %" PRIu64
               " crash states; %" PRIu64 " commits, %" PRIu64 " conflicts (%" PRIu64
               " for a gap), %" PRIu64 " refusals, %" PRIu64 " readers, %" PRIu64
               " checkpoints, %" PRIu64 " records in doubt, %" PRIu64 " of them kept, %" PRIu64
               " failures\n",
               name, totals->runs, totals->runs * 1000 / (ms + 1), totals->processes,
               totals->kills, totals->steps, totals->states, totals->commits,
               totals->conflicts, totals->gaps, totals->refusals, totals->readers,
               totals->checkpoints, totals->doubts, totals->kept, totals->failures);
}

static void run_for_a_while(const char *name, uint32_t flags)
{
    const char *only = getenv("RUN");
    uint64_t seed = only ? strtoull(only, NULL, 0) : unit_seed() % 1000000007;
    uint64_t begun = story_now_ms();
    uint64_t until = begun + story_budget_ms(BUDGET_MS);
    struct totals totals = {0};
    struct sim_seen *seen = sim_seen_create();
    do {
        struct crew crew = {.seed = seed++, .flags = flags, .totals = &totals};
        char wrong[CHRONICLE_WRONG_BYTES];
        crew.seen = seen;
        run_all_lives(&crew);
        totals.runs++;
        strcpy(wrong, crew.chronicle.wrong);
        if (wrong[0] && getenv("VERBOSE"))
            chronicle_print(&crew.chronicle);
        chronicle_destroy(&crew.chronicle);
        if (wrong[0]) {
            sim_seen_destroy(seen);
            unit_fail(__FILE__, __LINE__, "%s, RUN=%" PRIu64, wrong, crew.seed);
        }
    } while (story_now_ms() < until && only == NULL);
    sim_seen_destroy(seen);
    say_totals(name, &totals, story_now_ms() - begun);
    CHECK(totals.commits > 0);
}

static uint64_t trace_of(uint64_t seed)
{
    struct totals totals = {0};
    struct crew crew = {.seed = seed, .flags = CREW_KILLS | CREW_CUTS | CREW_TIMEOUTS};
    crew.totals = &totals;
    crew.seen = sim_seen_create();
    run_all_lives(&crew);
    sim_seen_destroy(crew.seen);
    chronicle_destroy(&crew.chronicle);
    CHECK(totals.steps > 0);
    return totals.trace;
}

TEST(crews__repeat_themselves)
{
    for (uint64_t seed = 1; seed < 4; seed++)
        CHECK_EQ(trace_of(seed), trace_of(seed));
}

TEST(crews__are_serializable)
{
    run_for_a_while("plain", 0);
}

TEST(crews__are_serializable_when_locks_are_not_got)
{
    run_for_a_while("timeouts", CREW_TIMEOUTS);
}

TEST(crews__lose_nothing_in_power_cuts)
{
    run_for_a_while("cuts", CREW_CUTS);
}

TEST(crews__lose_nothing_when_processes_are_killed)
{
    run_for_a_while("kills", CREW_KILLS);
}

TEST(crews__lose_nothing_when_syncs_fail)
{
    run_for_a_while("syncs", CREW_SYNCS | CREW_KILLS);
}

TEST(crews__lose_nothing_in_kills_and_power_cuts)
{
    run_for_a_while("all", CREW_KILLS | CREW_CUTS | CREW_TIMEOUTS);
}
