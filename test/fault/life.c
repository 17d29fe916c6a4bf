/* Lives: see life.h. */
#include "test/fault/life.h"

#include "engine/room.h"
#include "test/fault/survey.h"
#include "test/fault/trouble.h"

#include <errno.h>

#define STORE "store"

enum { POOL_PAGES = 16, LOG_EXTENTS = 4, BUSY_MS = 10 };

bool life_is_fine(const struct life *life)
{
    return life->story.wrong[0] == 0;
}

uint64_t life_roll(struct life *life, uint64_t bound)
{
    return story_random(&life->story, bound);
}

void life_must(struct life *life, scn_status st, const char *what)
{
    scn_error error = {.struct_size = sizeof error};
    if (st >= 0 || (st == SCN_FULL && life->may_be_full))
        return;
    scn_last_error(life->db, &error);
    story_fail(&life->story, "%s says %d: %s", what, st, error.text);
}

/* ---- opening and closing ---- */

scn_status life_open(struct life *life, uint32_t flags)
{
    uint32_t extents = life->workload->log_extents;
    scn_options options = {.struct_size = sizeof options, .flags = SCN_NOTHREAD | flags};
    options.pool_bytes = POOL_PAGES * PAGE_BYTES;
    options.log_bytes =
        (uint64_t)(extents ? extents : LOG_EXTENTS) * LOG_EXTENT_PAGES * PAGE_BYTES;
    options.max_file_bytes = (uint64_t)life->pages_max * PAGE_BYTES;
    options.busy_timeout_ms = BUSY_MS;
    return store_open_on(life->sys, STORE, &options, &life->db);
}

static void stop_reading(struct life *life)
{
    if (life->reader == NULL)
        return;
    scn_abort(life->reader);
    story_destroy(&life->memory);
    life->reader = NULL;
}

void life_close(struct life *life)
{
    stop_reading(life);
    scn_status st = life->db ? scn_close(life->db) : SCN_OK;
    if (st == SCN_MISUSE || st == SCN_FORKED)
        story_fail(&life->story, "the store does not close");
    life->db = NULL;
}

void life_resume(struct life *life)
{
    uint32_t number = 0;
    scn_status st = life_open(life, life->is_named ? SCN_NOCREATE : 0);
    if (st != SCN_OK) {
        scn_error error = {.struct_size = sizeof error};
        scn_last_error(NULL, &error);
        story_fail(&life->story, "opening says %d: %s", st, error.text);
        return;
    }
    life->is_named = true;
    if (story_check(&life->story, life->db, &number) &&
        story_check_file(&life->story, life->db))
        story_settle(&life->story, number);
}

void life_resume_alone(struct life *life)
{
    uint32_t told = life->story.told;
    life->sys = sim_process_create(life->disk);
    life_resume(life);
    if (life_is_fine(life) && life->story.begun < told)
        story_fail(&life->story, "with its process went transaction %u, after %u", told,
                   life->story.begun);
}

/* ---- steps ---- */

void life_take(struct life *life, const struct step *step)
{
    if (!life_is_fine(life))
        return;
    if (life->trouble) {
        trouble_step(life, step);
        return;
    }
    life_must(life, step->run(life, step), step->what);
    survey_point(life);
}

static scn_status commit(struct life *life, const struct step *step)
{
    struct act act;
    scn_status st = act_begin(&act, &life->story, life->db);
    if (st >= 0)
        st = step->fn(&act, step->arg);
    return act_end(&act, step->durability, st);
}

void life_commit(struct life *life, life_act fn, uint64_t arg)
{
    struct step step = {"a commit", commit, fn, arg, SCN_SYNC_FULL};
    life_take(life, &step);
}

void life_commit_lazy(struct life *life, life_act fn, uint64_t arg)
{
    struct step step = {"a lazy commit", commit, fn, arg, SCN_SYNC_LAZY};
    life_take(life, &step);
}

static scn_status commit_any(struct life *life, const struct step *step)
{
    (void)step;
    return story_commit(&life->story, life->db);
}

void life_commit_any(struct life *life)
{
    struct step step = {.what = "a commit", .run = commit_any};
    life_take(life, &step);
}

static scn_status care(struct life *life, uint64_t beside_after,
                       scn_status (*call)(scn_db *db))
{
    uint32_t begun = life->story.begun;
    life->beside_after = beside_after;
    life->beside_calls = 0;
    scn_status st = call(life->db);
    life->beside_after = 0;
    /* What was lazy before it is durable after it. */
    if (st == SCN_OK && life->story.acked < begun)
        life->story.acked = begun;
    if (st == SCN_OK && !life->trouble)
        (void)story_check_file(&life->story, life->db);
    return st;
}

static scn_status checkpoint(struct life *life, const struct step *step)
{
    return care(life, step->arg, scn_checkpoint);
}

static scn_status compact_all(scn_db *db)
{
    return scn_compact(db, NULL);
}

static scn_status compact(struct life *life, const struct step *step)
{
    return care(life, step->arg, compact_all);
}

void life_compact_beside(struct life *life, uint64_t call_count)
{
    struct step step = {.what = "a compaction", .run = compact, .arg = call_count};
    life_take(life, &step);
}

void life_checkpoint_beside(struct life *life, uint64_t call_count)
{
    struct step step = {.what = "a checkpoint", .run = checkpoint, .arg = call_count};
    life_take(life, &step);
}

void life_checkpoint(struct life *life)
{
    life_checkpoint_beside(life, 0);
}

static scn_status tick(struct life *life, const struct step *step)
{
    (void)step;
    return scn_tick(life->db, 1);
}

void life_tick(struct life *life)
{
    struct step step = {.what = "a tick", .run = tick};
    life_take(life, &step);
}

void life_reopen(struct life *life)
{
    if (!life_is_fine(life))
        return;
    if (life->trouble) {
        trouble_reopen(life);
        return;
    }
    life_close(life);
    story_ack(&life->story);
    survey_point(life);
    if (life_is_fine(life))
        life_resume(life);
}

/* ---- two processes ---- */

static void swap(struct life *life)
{
    struct sys *sys = life->sys;
    scn_db *db = life->db;
    life->sys = life->peer_sys;
    life->db = life->peer_db;
    life->peer_sys = sys;
    life->peer_db = db;
}

void life_swap(struct life *life)
{
    if (!life_is_fine(life) || life->peer_sys == NULL)
        return;
    stop_reading(life);
    swap(life);
}

void life_join(struct life *life)
{
    if (!life_is_fine(life) || life->peer_sys)
        return;
    stop_reading(life);
    swap(life);
    life->sys = sim_process_create(life->disk);
    life_must(life, life_open(life, SCN_NOCREATE), "joining");
    swap(life);
    survey_point(life);
}

static void end_peer(struct life *life)
{
    if (life->peer_sys == NULL)
        return;
    stop_reading(life);
    swap(life);
    life_close(life);
    sim_process_destroy(life->sys);
    life->sys = NULL;
    swap(life);
}

void life_part(struct life *life)
{
    if (!life_is_fine(life))
        return;
    end_peer(life);
    survey_point(life);
}

/* ---- worse things ---- */

static scn_status do_deed(struct life *life, enum life_deed deed)
{
    if (deed == DEED_CHECKPOINT)
        return scn_checkpoint(life->db);
    if (deed == DEED_COMMIT)
        return story_commit(&life->story, life->db);
    life_close(life);
    return SCN_OK;
}

void life_leave(struct life *life)
{
    sim_process_kill(life->sys);
    life_close(life);
    sim_process_destroy(life->sys);
    life->sys = NULL;
}

void life_die(struct life *life, enum life_deed deed, uint64_t nth)
{
    struct sim_fault fault = {.kind = SIM_KILL, .call = SIM_ANY, .nth = nth};
    if (!life_is_fine(life))
        return;
    fault.len = life_roll(life, 600);
    sim_fault_set(life->sys, &fault);
    (void)do_deed(life, deed);
    life_leave(life);
    /* Its last record is there or not: the other one shows it. */
    if (life->peer_db)
        life_must(life, scn_checkpoint(life->peer_db), "a checkpoint after a death");
    life_resume_alone(life);
    survey_point(life);
}

void life_lose_power(struct life *life)
{
    if (!life_is_fine(life))
        return;
    struct sim_choice choice = survey_choice(life->disk, &life->story.random);
    struct sim_disk *crashed = sim_crash(life->disk, &choice);
    life_leave(life);
    if (life->peer_sys)
        sim_process_kill(life->peer_sys);
    end_peer(life);
    life_move(life, crashed);
    life->sys = sim_process_create(crashed);
    life_resume(life);
}

void life_suffer(struct life *life, enum life_deed deed, enum sim_call call,
                 uint64_t nth)
{
    struct sim_fault fault = {.kind = SIM_FAIL, .call = call, .nth = nth, .error = EIO};
    if (!life_is_fine(life))
        return;
    fault.len = life_roll(life, 2) * 100000;
    fault.bit = life_roll(life, 1000);
    sim_fault_set(life->sys, &fault);
    scn_status st = do_deed(life, deed);
    sim_fault_clear(life->sys);
    if (st != SCN_IO && st != SCN_POISONED && st != SCN_UNKNOWN && st != SCN_MOVED)
        life_must(life, st, "a call that failed");
    survey_point(life);
    if (life->db == NULL || file_is_poisoned(&life->db->store->file)) {
        life_close(life);
        life_resume(life);
    }
}

static void begin_reading(struct life *life)
{
    uint32_t number = 0;
    scn_status st = scn_begin(life->db, SCN_READ, &life->reader);
    life_must(life, st, "a reader");
    if (st < 0)
        return;
    story_fork(&life->memory, &life->story);
    life_must(life, story_read_in(&life->memory, life->reader, &number),
              "reading a snapshot");
    if (life->memory.wrong[0] == 0)
        story_settle(&life->memory, number);
}

void life_read_old(struct life *life)
{
    uint32_t number;
    if (!life_is_fine(life) || life->trouble)
        return;
    if (life->reader == NULL)
        begin_reading(life);
    else
        life_must(life, story_read_in(&life->memory, life->reader, &number),
                  "reading an old snapshot");
    if (life->reader && life->memory.wrong[0] != 0)
        story_fail(&life->story, "in an old snapshot: %s", life->memory.wrong);
    if (life_roll(life, 3) == 0)
        stop_reading(life);
}

/* ---- beside a checkpoint ---- */

/* Can a commit go on here, in the middle of the checkpoint's own thread?  Not where it
 * would wait for that thread: far from any limit, since it brings something itself, and
 * not in its sync, behind which others of the same process wait with theirs [F2]. */
static bool can_commit_now(const struct life *life, enum sim_call call)
{
    struct store *store = life->db->store;
    return (call != SIM_SYNC || life->peer_db) &&
           atomic_load(&store->locks.owner[LOCK_APPEND]) == 0 &&
           atomic_load(&store->locks.owner[LOCK_SYNC]) == 0 &&
           log_bytes_since(store->log, atomic_load(&store->base_lsn)) <
               store->options.log_bytes / 2 &&
           atomic_load(&store->delta_debt) < 4 * store->options.log_bytes &&
           atomic_load(&store->run_count) <= RUN_COUNT_HIGH;
}

static void commit_beside(struct life *life, enum sim_call call)
{
    uint64_t after = life->beside_after;
    if (++life->beside_calls < after || !can_commit_now(life, call))
        return;
    life->beside_after = 0;
    life_must(life,
              story_commit(&life->story, life->peer_db ? life->peer_db : life->db),
              "a commit beside a checkpoint");
    survey_point(life);
    life->beside_after = after;
    life->beside_calls = 0;
}

static bool changes_disk(enum sim_call call)
{
    return call == SIM_WRITE || call == SIM_DSYNC || call == SIM_SYNC ||
           call == SIM_TRUNCATE || call == SIM_LINK || call == SIM_UNLINK ||
           call == SIM_RENAME || call == SIM_SYNC_DIR;
}

static void on_call(void *ctx, struct sim_disk *disk, enum sim_call call,
                    enum sim_moment moment)
{
    struct life *life = ctx;
    (void)disk;
    if (!life_is_fine(life) || life->trouble)
        return;
    if (moment == SIM_AFTER && life->beside_after &&
        (changes_disk(call) || call == SIM_FLUSH))
        commit_beside(life, call);
    if (moment == SIM_BEFORE_SYNC ||
        (life->workload->at_every_call && changes_disk(call)))
        survey_point(life);
}

/* ---- begin and end ---- */

void life_begin(struct life *life, const struct workload *workload, uint64_t seed)
{
    life->workload = workload;
    life->seed = seed;
    story_init(&life->story, seed, workload->story_flags);
    life->disk = sim_disk_create(seed);
    sim_disk_set_alone(life->disk, true);
    life->sys = sim_process_create(life->disk);
    sim_hook_set(life->disk, on_call, life);
}

void life_move(struct life *life, struct sim_disk *disk)
{
    sim_hook_set(life->disk, NULL, NULL);
    sim_disk_destroy(life->disk);
    life->disk = disk;
    sim_hook_set(disk, on_call, life);
}

void life_listen(struct life *life)
{
    sim_hook_set(life->disk, on_call, life);
}

void life_end(struct life *life)
{
    end_peer(life);
    life_close(life);
    if (life->sys)
        sim_process_destroy(life->sys);
    sim_disk_destroy(life->disk);
    story_destroy(&life->story);
}
