/* Crews: see crew.h. */
#include "test/schedule/crew.h"

#include "engine/txn.h"
#include "test/unit/unit.h"
#include "wal/record.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#define STORE "store"

uint64_t crew_roll(uint64_t *random, uint64_t bound)
{
    return (unit_random(random) >> 20) % bound;
}

bool crew_is_fine(const struct crew *crew)
{
    return crew->chronicle.wrong[0] == 0;
}

void crew_fail(struct crew *crew, scn_status st, const char *what)
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

scn_status crew_open(struct sys *sys, uint32_t flags, uint32_t busy_timeout_ms,
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
    if (crew_roll(&doer->random, 10))
        return;
    uint64_t until =
        ops->now_ns(hand->sys) + ms[crew_roll(&doer->random, 4)] * UINT64_C(1000000);
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
        crew_fail(crew, st, "a reader");
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
        crew_fail(crew, st, "a commit");
    }
}

static void commit_some(struct doer *doer)
{
    struct crew *crew = doer->hand->crew;
    uint32_t durability =
        (uint32_t)crew_roll(&doer->random, crew->flags & CREW_SYNCS ? 2 : 3);
    bool is_snapshot = crew_roll(&doer->random, 4) == 0;
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
        crew_fail(crew, st, "an update");
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

scn_status crew_check(struct crew *crew, scn_db *db)
{
    return scn_check(db, SCN_CHECK_ALL, take_issue, &crew->chronicle, NULL);
}

static void care_once(struct doer *doer)
{
    struct crew *crew = doer->hand->crew;
    scn_db *db = doer->hand->db;
    uint64_t what = crew_roll(&doer->random, 8);
    scn_status st = what == 0  ? crew_check(crew, db)
                    : what < 5 ? scn_checkpoint(db)
                               : scn_tick(db, 1);
    if (st == SCN_OK)
        crew->totals->checkpoints += what > 0 && what < 5;
    else if (!is_excused(crew, st))
        crew_fail(crew, st, what ? "a checkpoint" : "a check");
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
    for (uint32_t i = 0; is_open && i < doer->count && !doer->is_lost; i++) {
        if (!crew_is_fine(hand->crew))
            break;
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

/* It has the file, and so does somebody who wants it for himself, or the other way
 * round. */
static void judge_company(struct hand *hand)
{
    struct crew *crew = hand->crew;
    bool is_alone = hand->store_flags & SCN_EXCLUSIVE;
    crew->totals->alone += is_alone;
    for (uint32_t i = 0; i < crew->hand_count; i++) {
        const struct hand *other = crew->hands[i];
        if (other != hand && other->is_open && hand_is_alive(other) &&
            !other->is_leaving && (is_alone || (other->store_flags & SCN_EXCLUSIVE)))
            chronicle_fail(&crew->chronicle, "two have a file that is one's alone");
    }
}

/* Somebody has the file for himself, or somebody has it while this one wants to. */
static bool is_kept_out(struct crew *crew, scn_status st)
{
    bool is_so = st == SCN_BUSY && (crew->flags & CREW_EXCLUSIVE);
    crew->totals->refusals += is_so;
    return is_so;
}

static void work(void *arg)
{
    struct hand *hand = arg;
    struct crew *crew = hand->crew;
    bool is_short = crew->flags & (CREW_TIMEOUTS | CREW_EXCLUSIVE);
    scn_status st = crew_open(hand->sys, hand->store_flags | SCN_NOCREATE,
                              is_short ? 50 : 5000, &hand->db);
    if (st == SCN_OK && !(crew->flags & CREW_TIMEOUTS))
        hand->db->store->options.busy_timeout_ms = 5000;
    if (st == SCN_OK)
        judge_company(hand);
    tell_doers(hand, st == SCN_OK);
    if (st != SCN_OK && !is_kept_out(crew, st) && !is_excused(crew, st))
        crew_fail(crew, st, "opening");
    wait_for_doers(hand);
    if (st != SCN_OK)
        return;
    hand->is_leaving = true;
    st = scn_close(hand->db);
    if (st == SCN_OK)
        note_closed(hand);
    else if (!is_excused(crew, st))
        crew_fail(crew, st, "closing");
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

void crew_on_call(void *ctx, struct sim_disk *disk, enum sim_call call,
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

/* ---- coming ---- */

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
    doer->takes_care = is_writer && crew_roll(&crew->random, 4) == 0;
    doer->is_reader = !is_writer || crew_roll(&crew->random, 4) == 0;
    doer->uses_update = crew_roll(&crew->random, 4) == 0;
    doer->count = 2 + (uint32_t)crew_roll(&crew->random, doer->takes_care ? 4 : 9);
    doer->actor = sim_actor_start(crew->sched, hand->sys, "doer", act, doer);
    crew->doers[no] = doer;
    hand->busy++;
}

/* In the middle of any call. */
static void arm_kill(struct hand *hand)
{
    struct crew *crew = hand->crew;
    struct sim_fault fault = {.kind = SIM_KILL, .call = SIM_ANY};
    fault.nth = 1 + crew_roll(&crew->random, 500);
    fault.len = crew_roll(&crew->random, crew_roll(&crew->random, 2) ? 120 : 1000);
    if (crew_roll(&crew->random, 2) == 0)
        fault.call = SIM_WRITE, fault.nth = 1 + fault.nth / 12;
    if ((crew->flags & CREW_KILLS) && crew_roll(&crew->random, 2))
        sim_fault_set(hand->sys, &fault);
}

static void arm_failure(struct hand *hand)
{
    struct crew *crew = hand->crew;
    struct sim_fault fault = {.kind = SIM_FAIL, .error = EIO};
    fault.call = crew_roll(&crew->random, 3) ? SIM_DSYNC : SIM_SYNC;
    fault.nth = 1 + crew_roll(&crew->random, 20);
    fault.bit = crew_roll(&crew->random, 2) * crew_roll(&crew->random, 1000000);
    if ((crew->flags & CREW_SYNCS) && crew_roll(&crew->random, 3) == 0)
        sim_fault_set(hand->sys, &fault);
}

void crew_start_hand(struct crew *crew)
{
    uint32_t doers = 1 + (uint32_t)crew_roll(&crew->random, 3);
    if (crew->hand_count == HANDS_MAX || crew->doer_count + doers > DEED_ACTORS)
        return;
    struct hand *hand = calloc(1, sizeof *hand);
    if (hand == NULL)
        abort();
    crew->hands[crew->hand_count++] = hand;
    hand->crew = crew;
    hand->sys = sim_process_create(crew->disk);
    hand->store_flags = crew_roll(&crew->random, 2) ? SCN_NOTHREAD : 0;
    if (crew_roll(&crew->random, 6) == 0)
        hand->store_flags |= SCN_RDONLY;
    else if ((crew->flags & CREW_EXCLUSIVE) && crew_roll(&crew->random, 5) == 0)
        hand->store_flags |= SCN_EXCLUSIVE;
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

bool hand_is_alive(const struct hand *hand)
{
    return !hand->is_gone && !sim_process_is_dead(hand->sys);
}

