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
 * A run follows from its seed.  A failure prints RUN=seed (test/schedule/campaign.h). */
#include "test/engine/story.h"
#include "test/schedule/campaign.h"
#include "test/schedule/crew.h"

#include <inttypes.h>

enum {
    BUDGET_MS = PAGE_IS_SMALL ? 1500 : 1000,
    LIVES = 3,
    CREW_MAX = 4,      /* at a time */
    CHECK_ONE_IN = 4,  /* scn_check of what a power cut has left */
    EVENT_ONE_IN = 120 /* steps */
};

/* ---- what is left ---- */

static struct sim_choice some_choice(struct sim_disk *disk, uint64_t *random)
{
    struct sim_choice choice = {.keep = (enum sim_keep)crew_roll(random, 7)};
    choice.by_call = crew_roll(random, 2) == 0;
    uint64_t bound = sim_pending(disk, choice.by_call) + 1;
    choice.n = crew_roll(random, choice.keep >= SIM_KEEP_RANDOM ? 1000000 : bound);
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
    scn_status st = crew_open(sys, SCN_NOTHREAD | SCN_NOCREATE, 5000, &db);
    if (st != SCN_OK) {
        crew_fail(crew, st, "opening after a power cut");
    } else {
        (void)verdict_on_store(&crew->chronicle, db, false, &place);
        if (crew_roll(&crew->random, CHECK_ONE_IN) == 0)
            st = crew_check(crew, db);
        if (st == SCN_OK)
            st = scn_update(db, put_one, NULL);
        if (st != SCN_OK)
            crew_fail(crew, st, "a check or commit after a power cut");
        (void)scn_close(db);
    }
    sim_process_destroy(sys);
}

/* Where syncs fail, who is alive and has no answer yet is in doubt, too: the record may
 * be lost, and the file cured without it, while its thread is stopped. */
static bool is_in_doubt(const struct crew *crew, const struct entry *entry)
{
    const struct doer *doer = crew->doers[entry->actor];
    return entry->is_write && entry->fate == FATE_COMMITTING &&
           (doer->is_lost || (crew->flags & CREW_SYNCS) ||
            sim_process_is_dead(doer->hand->sys));
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
        crew_fail(crew, st, "reading for the doubtful");
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
    if (!crew_is_fine(crew) || !has_doubts(crew))
        return;
    struct sim_disk *copy = sim_disk_copy(crew->disk);
    struct sys *sys = sim_process_create(copy);
    scn_status st = crew_open(sys, SCN_NOTHREAD | SCN_NOCREATE, 5000, &db);
    if (st == SCN_OK) {
        judge_doubts(crew, db);
        (void)scn_close(db);
    } else {
        crew_fail(crew, st, "opening a copy");
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

static uint32_t count_alive(const struct crew *crew)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < crew->hand_count; i++)
        count += hand_is_alive(crew->hands[i]);
    return count;
}

static void kill_one(struct crew *crew)
{
    struct hand *hand = crew->hands[crew_roll(&crew->random, crew->hand_count)];
    if (!hand_is_alive(hand))
        return;
    sim_process_kill(hand->sys);
    crew->totals->kills++;
}

static bool on_event(void *ctx)
{
    struct crew *crew = ctx;
    if (!crew_is_fine(crew) || ++crew->events == crew->last_event)
        return false;
    if (crew->flags & CREW_CUTS) {
        settle_doubts(crew);
        if (crew_is_fine(crew))
            look_at_cut(crew);
    }
    if ((crew->flags & CREW_KILLS) && crew_roll(&crew->random, 12) == 0)
        kill_one(crew);
    if (count_alive(crew) < CREW_MAX && crew_roll(&crew->random, 6) == 0)
        crew_start_hand(crew);
    return crew_is_fine(crew);
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
    crew->last_event = crew_roll(&crew->random, 2) ? 1 + crew_roll(&crew->random, 60) : 0;
    crew->ends_in_kill = crew_roll(&crew->random, 2) == 0;
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
    scn_status st = crew_open(sys, SCN_NOCREATE | SCN_NOTHREAD, 5000, &db);
    if (st != SCN_OK) {
        crew_fail(crew, st, "opening afterwards");
    } else {
        if (verdict_on_store(&crew->chronicle, db, needs_all, &place)) {
            st = crew_check(crew, db);
            verdict_settle(&crew->chronicle, place);
        }
        if (st == SCN_OK)
            st = scn_close(db);
        if (st != SCN_OK)
            crew_fail(crew, st, "the check or the end");
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
    uint32_t count = 2 + (uint32_t)crew_roll(&crew->random, CREW_MAX - 1);
    for (uint32_t i = 0; i < count; i++)
        crew_start_hand(crew);
    sim_hook_set(crew->disk, crew_on_call, crew);
    sim_sched_on_event(crew->sched, EVENT_ONE_IN, on_event, crew);
    bool is_stuck = !sim_sched_run(crew->sched);
    sim_hook_set(crew->disk, NULL, NULL);
    crew->totals->steps += sim_sched_steps(crew->sched);
    crew->totals->trace = crew->totals->trace * 31 + sim_sched_trace(crew->sched);
    if (is_stuck)
        chronicle_fail(&crew->chronicle, "stuck: %s", sim_sched_report(crew->sched));
    settle_doubts(crew);
    if (crew_is_fine(crew))
        (void)verdict_on_all(&crew->chronicle);
    bool is_over = crew->last_event && crew->events >= crew->last_event;
    bool is_cut = is_over && !crew->ends_in_kill && (crew->flags & CREW_CUTS);
    if (!crew_is_fine(crew)) {
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
    CHECK_OK(crew_open(sys, SCN_NOTHREAD, 5000, &db));
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
    for (int i = 0; i < LIVES && crew_is_fine(crew); i++) {
        plan_life(crew);
        live(crew);
    }
    machine_stop(crew);
}

static void say_totals(const char *name, const struct crew_totals *totals, uint64_t ms)
{
    if (getenv("VERBOSE"))
        printf("%s: %" PRIu64 " schedules (%" PRIu64 " a second) of %" PRIu64
               " processes, %" PRIu64 " killed; %" PRIu64 " steps, %" PRIu64
               " crash states; %" PRIu64 " commits, %" PRIu64 " conflicts (%" PRIu64
               " for a gap), %" PRIu64 " refusals, %" PRIu64 " readers, %" PRIu64
               " checkpoints, %" PRIu64 " records in doubt, %" PRIu64
               " of them kept, %" PRIu64 " failures, %" PRIu64 " alone\n",
               name, totals->runs, totals->runs * 1000 / (ms + 1), totals->processes,
               totals->kills, totals->steps, totals->states, totals->commits,
               totals->conflicts, totals->gaps, totals->refusals, totals->readers,
               totals->checkpoints, totals->doubts, totals->kept, totals->failures,
               totals->alone);
}

static void run_one(const struct campaign *campaign, uint64_t seed,
                    struct sim_seen *seen, struct chronicle *chronicle)
{
    struct crew crew = {.seed = seed, .flags = campaign->flags, .seen = seen};
    crew.totals = campaign->totals;
    run_all_lives(&crew);
    *chronicle = crew.chronicle;
}

static void run_for_a_while(const char *name, uint32_t flags)
{
    uint64_t ms;
    struct crew_totals totals = {0};
    struct campaign campaign = {run_one, flags, &totals};
    totals.runs = campaign_go_on(&campaign, BUDGET_MS, &ms);
    say_totals(name, &totals, ms);
    CHECK(totals.commits > 0);
}

static uint64_t trace_of(uint64_t seed)
{
    struct crew_totals totals = {0};
    struct campaign campaign = {run_one, CREW_KILLS | CREW_CUTS | CREW_TIMEOUTS, &totals};
    campaign_once(&campaign, seed);
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

TEST(crews__are_serializable_beside_who_wants_the_file_alone)
{
    run_for_a_while("alone", CREW_EXCLUSIVE | CREW_KILLS);
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
    run_for_a_while("syncs", CREW_SYNCS | CREW_KILLS | CREW_EXCLUSIVE);
}

TEST(crews__lose_nothing_in_kills_and_power_cuts)
{
    run_for_a_while("all", CREW_KILLS | CREW_CUTS | CREW_TIMEOUTS | CREW_EXCLUSIVE);
}
