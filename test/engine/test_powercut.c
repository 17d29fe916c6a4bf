/* The store under power cuts and kills.
 *
 * A story (test/engine/story.h) is told on a simulated machine.  Before every sync, and
 * after every acknowledgement, some of the disks that a power cut could leave now are
 * taken: each has to open, to hold the story up to a transaction between the last one
 * acknowledged and the last one begun, to go on, and to be opened again.  Some of those
 * second lives are cut, too.  The story itself is now and then killed in the middle of a
 * system call, meets an I/O error, or loses its power, and goes on from what is left.
 * While a checkpoint writes, commits go on; and a reader keeps its snapshot over it all.
 *
 * A failure prints a line POWERCUT=...; with that in the environment its test looks at
 * this one state alone. */
#include "engine/room.h"
#include "test/engine/story.h"
#include "test/sim/disk.h"

#include <errno.h>

#define STORE "store"

enum {
    CHOICES = 3,     /* disks taken at a moment */
    DEEPER_ONE_IN = 12 /* so few second lives are cut again */
};

/* One life of a store on one disk. */
struct life {
    const char *name;
    struct sim_disk *disk;
    struct sys *sys;
    scn_db *db;
    struct story story;
    uint64_t seed;
    uint64_t dice; /* of everything but the story */
    uint64_t moment;
    uint32_t depth;
    uint32_t pages_max; /* the file may not grow beyond; 0: no limit */
    bool is_named; /* the file has been opened once: no power cut takes its name */
    struct sim_seen *seen;
    uint64_t state_count;
    bool is_open_to_commits; /* a checkpoint runs, and nobody has committed beside it */
    scn_txn *reader;         /* an old snapshot, NULL: none */
    struct story memory;     /* the story as the reader knows it */
    uint64_t until_ms; /* the story ends here; 0: it is told to its end */
    const char *only; /* POWERCUT, when it is meant for this life */
};

static uint64_t roll(struct life *life, uint64_t bound)
{
    return (unit_random(&life->dice) >> 20) % bound;
}

static scn_status life_open(struct life *life, uint32_t flags)
{
    scn_options options = {.struct_size = sizeof options, .flags = SCN_NOTHREAD | flags};
    options.pool_bytes = 64 * PAGE_BYTES;
    options.log_bytes = UINT64_C(4) * LOG_EXTENT_PAGES * PAGE_BYTES;
    options.max_file_bytes = (uint64_t)life->pages_max * PAGE_BYTES;
    return store_open_on(life->sys, STORE, &options, &life->db);
}

/* The power may be gone: then the last sync fails, and the handle ends all the same. */
static void stop_reading(struct life *life)
{
    if (life->reader == NULL)
        return;
    scn_abort(life->reader);
    story_destroy(&life->memory);
    life->reader = NULL;
}

static void life_close(struct life *life)
{
    stop_reading(life);
    scn_status st = life->db ? scn_close(life->db) : SCN_OK;
    if (st == SCN_MISUSE || st == SCN_FORKED)
        story_fail(&life->story, "the store does not close");
    life->db = NULL;
}

/* Opens, and what is there is what the story has been from now on. */
static void life_resume(struct life *life)
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

static bool is_fine(const struct life *life)
{
    return life->story.wrong[0] == 0;
}

/* ---- power cuts ---- */

static void on_call(void *ctx, struct sim_disk *disk, enum sim_call call,
                    enum sim_moment moment);

static void must(struct life *life, scn_status st, const char *what)
{
    scn_error error = {.struct_size = sizeof error};
    if (st >= 0 || (st == SCN_FULL && life->pages_max))
        return;
    scn_last_error(life->db, &error);
    story_fail(&life->story, "%s says %d: %s", what, st, error.text);
}

static void go_on(struct life *life)
{
    uint64_t how = roll(life, 4);
    if (how == 1)
        must(life, scn_checkpoint(life->db), "a checkpoint after the crash");
    if (is_fine(life))
        must(life, story_commit(&life->story, life->db), "a commit after the crash");
    if (is_fine(life) && how == 2)
        must(life, scn_checkpoint(life->db), "a checkpoint");
    if (is_fine(life) && how >= 2)
        must(life, story_commit(&life->story, life->db), "a second commit");
}

/* What the machine finds after the power cut. */
static void live_again(struct life *life)
{
    life->sys = sim_process_create(life->disk);
    scn_status st = life->is_named ? SCN_OK : life_open(life, SCN_NOCREATE);
    if (!life->is_named && st == SCN_OK) {
        life->is_named = true;
        life_close(life);
    }
    life_resume(life);
    if (is_fine(life))
        go_on(life);
    life_close(life);
    story_ack(&life->story);
    if (is_fine(life))
        life_resume(life);
    life_close(life);
    sim_process_destroy(life->sys);
}

static void say_where(struct life *life, const struct life *later,
                      const struct sim_choice *choice)
{
    story_fail(&life->story, "%s\n    POWERCUT=%s,%llu,%llu,%d,%d,%llu",
               later->story.wrong, life->name, (unsigned long long)life->seed,
               (unsigned long long)life->moment, choice->keep, choice->by_call,
               (unsigned long long)choice->n);
}

static void look_at(struct life *life, const struct sim_choice *choice)
{
    struct sim_disk *crashed = sim_crash(life->disk, choice);
    /* The same disk says more when more has been promised. */
    uint64_t hash = sim_hash(crashed) + life->story.acked * UINT64_C(0x9e3779b97f4a7c15);
    if (sim_seen_add(life->seen, hash)) {
        struct life later = {
            .name = life->name,
            .disk = crashed,
            .seed = life->seed,
            .dice = (life->seed << 20) + life->moment * 64 + choice->n * 8 + choice->keep,
            .depth = life->depth + 1,
            .pages_max = life->pages_max,
            .is_named = life->is_named,
            .seen = life->seen,
        };
        later.dice = later.dice * 2 + 1;
        unit_random(&later.dice);
        story_fork(&later.story, &life->story);
        if (life->depth == 0 && roll(&later, DEEPER_ONE_IN) == 0)
            sim_hook_set(crashed, on_call, &later);
        live_again(&later);
        life->state_count += 1 + later.state_count;
        if (!is_fine(&later))
            say_where(life, &later, choice);
        story_destroy(&later.story);
    }
    sim_disk_destroy(crashed);
}

static struct sim_choice some_choice(struct life *life)
{
    struct sim_choice choice = {.keep = (enum sim_keep)roll(life, 7)};
    choice.by_call = roll(life, 2) == 0;
    uint64_t pending = sim_pending(life->disk, choice.by_call);
    uint64_t bound = choice.keep >= SIM_KEEP_RANDOM ? 1000000 : pending + 1;
    choice.n = roll(life, bound);
    return choice;
}

/* Is it the state that POWERCUT asks for? */
static void look_at_only(struct life *life)
{
    unsigned long long seed;
    unsigned long long moment;
    unsigned long long n;
    int keep;
    int by_call;
    const char *at = life->only + strlen(life->name) + 1;
    if (sscanf(at, "%llu,%llu,%d,%d,%llu", &seed, &moment, &keep, &by_call, &n) != 5 ||
        moment != life->moment)
        return;
    struct sim_choice choice = {
        .keep = (enum sim_keep)keep, .by_call = by_call != 0, .n = n};
    look_at(life, &choice);
}

/* The budget is spent, and enough was seen. */
static bool is_late(const struct life *life)
{
    return life->until_ms && life->state_count > 40 && story_now_ms() > life->until_ms;
}

static void cut_power_here(struct life *life)
{
    life->moment++;
    for (int i = 0; i < CHOICES && is_fine(life); i++) {
        struct sim_choice choice = some_choice(life);
        if (life->only == NULL && !is_late(life))
            look_at(life, &choice);
    }
    if (life->only && is_fine(life))
        look_at_only(life);
}

/* Can a commit go on here, in the middle of the checkpoint's own thread?  Not where it
 * would wait for that thread: far from any limit, since it brings something itself. */
static bool can_commit_now(const struct life *life)
{
    struct store *store = life->db->store;
    return atomic_load(&store->locks.owner[LOCK_APPEND]) == 0 &&
           atomic_load(&store->locks.owner[LOCK_SYNC]) == 0 &&
           log_bytes_since(store->log, atomic_load(&store->base_lsn)) <
               store->options.log_bytes / 2 &&
           atomic_load(&store->delta_debt) < 4 * store->options.log_bytes &&
           atomic_load(&store->run_count) <= RUN_COUNT_HIGH;
}

static void commit_beside(struct life *life)
{
    life->is_open_to_commits = false;
    uint64_t count = 1 + story_random(&life->story, 3);
    for (uint64_t i = 0; i < count && is_fine(life) && can_commit_now(life); i++) {
        must(life, story_commit(&life->story, life->db), "a commit beside a checkpoint");
        cut_power_here(life);
    }
    life->is_open_to_commits = story_random(&life->story, 2) == 0;
}

static void on_call(void *ctx, struct sim_disk *disk, enum sim_call call,
                    enum sim_moment moment)
{
    struct life *life = ctx;
    (void)disk;
    bool is_write = call == SIM_WRITE || call == SIM_FLUSH || call == SIM_SYNC;
    if (life->is_open_to_commits && moment == SIM_AFTER && is_write && is_fine(life) &&
        story_random(&life->story, 8) == 0 && can_commit_now(life))
        commit_beside(life);
    if (moment == SIM_BEFORE_SYNC && is_fine(ctx))
        cut_power_here(ctx);
}

/* ---- the story ---- */

static void leave(struct life *life)
{
    sim_process_kill(life->sys);
    life_close(life);
    sim_process_destroy(life->sys);
}

/* The process dies in some system call of what it does next. */
static void die(struct life *life)
{
    struct sim_fault fault = {.kind = SIM_KILL, .call = SIM_ANY};
    fault.nth = 1 + story_random(&life->story, 24);
    fault.len = story_random(&life->story, 600);
    sim_fault_set(life->sys, &fault);
    uint64_t what = story_random(&life->story, 4);
    if (what == 0)
        (void)scn_checkpoint(life->db);
    else if (what == 1)
        life_close(life);
    else
        (void)story_commit(&life->story, life->db);
    leave(life);
    life->sys = sim_process_create(life->disk);
    life_resume(life);
}

/* So does the machine. */
static void lose_power(struct life *life)
{
    uint64_t dice = life->dice;
    life->dice = life->story.random;
    struct sim_choice choice = some_choice(life);
    life->dice = dice;
    struct sim_disk *crashed = sim_crash(life->disk, &choice);
    leave(life);
    sim_hook_set(life->disk, NULL, NULL);
    sim_disk_destroy(life->disk);
    life->disk = crashed;
    sim_hook_set(life->disk, on_call, life);
    life->sys = sim_process_create(life->disk);
    life_resume(life);
}

static void reopen(struct life *life)
{
    life_close(life);
    story_ack(&life->story);
    cut_power_here(life);
    life_resume(life);
}

static void checkpoint_some(struct life *life)
{
    uint64_t count = 1 + story_random(&life->story, 3);
    for (uint64_t i = 0; i < count && is_fine(life); i++) {
        uint32_t begun = life->story.begun;
        /* On a full file a commit would wait for the end of this very checkpoint. */
        life->is_open_to_commits =
            story_random(&life->story, 2) == 0 && life->pages_max == 0;
        scn_status st = scn_checkpoint(life->db);
        must(life, st, "a checkpoint");
        life->is_open_to_commits = false;
        if (st == SCN_OK && life->story.acked < begun)
            life->story.acked = begun;
        (void)story_check_file(&life->story, life->db);
        cut_power_here(life);
    }
}

/* An I/O error, once. */
static void suffer(struct life *life)
{
    static const enum sim_call calls[] = {SIM_WRITE, SIM_DSYNC, SIM_SYNC, SIM_ANY};
    struct sim_fault fault = {.kind = SIM_FAIL, .error = EIO};
    fault.call = calls[story_random(&life->story, 4)];
    fault.nth = 1 + story_random(&life->story, 6);
    fault.len = story_random(&life->story, 2) * 100000;
    sim_fault_set(life->sys, &fault);
    scn_status st = story_random(&life->story, 3) == 0
                        ? scn_checkpoint(life->db)
                        : story_commit(&life->story, life->db);
    sim_fault_clear(life->sys);
    bool is_told = st == SCN_IO || st == SCN_POISONED || st == SCN_UNKNOWN;
    if (!is_told && st < 0 && st != SCN_MOVED)
        must(life, st, "a call that failed");
    cut_power_here(life);
    if (!file_is_poisoned(&life->db->store->file))
        return;
    life_close(life);
    life_resume(life);
}

static void read_old(struct life *life)
{
    uint32_t number;
    scn_status st = SCN_OK;
    if (life->reader == NULL) {
        must(life, scn_begin(life->db, SCN_READ, &life->reader), "a reader");
        story_fork(&life->memory, &life->story);
        st = story_read_in(&life->memory, life->reader, &number);
        if (life->memory.wrong[0] == 0)
            story_settle(&life->memory, number);
    } else {
        st = story_read_in(&life->memory, life->reader, &number);
    }
    must(life, st, "reading an old snapshot");
    if (life->memory.wrong[0] != 0)
        story_fail(&life->story, "in an old snapshot: %s", life->memory.wrong);
    if (story_random(&life->story, 3) == 0)
        stop_reading(life);
}

static void step(struct life *life)
{
    uint64_t what = story_random(&life->story, 100);
    if (what < 10) {
        checkpoint_some(life);
    } else if (what < 14) {
        reopen(life);
    } else if (what < 18) {
        die(life);
    } else if (what < 22) {
        lose_power(life);
    } else if (what < 26) {
        suffer(life);
    } else if (what < 38) {
        read_old(life);
    } else if (what < 40) {
        must(life, scn_tick(life->db, 1), "a tick");
    } else {
        must(life, story_commit(&life->story, life->db), "a commit");
        cut_power_here(life);
    }
}

static void life_begin(struct life *life, uint32_t flags)
{
    story_init(&life->story, life->seed, flags);
    life->dice = life->seed * 2 + 1;
    life->disk = sim_disk_create(life->seed);
    life->sys = sim_process_create(life->disk);
    sim_hook_set(life->disk, on_call, life);
    life_resume(life);
}

static void life_end(struct life *life)
{
    life_close(life);
    sim_process_destroy(life->sys);
    sim_disk_destroy(life->disk);
}

static void tell(struct life *life, uint32_t flags, uint32_t step_count)
{
    life_begin(life, flags);
    for (uint32_t i = 0; i < step_count && is_fine(life); i++)
        if (!is_late(life))
            step(life);
    life_end(life);
}

/* Story after story until the time is over, at least one. */
static void tell_for(uint32_t budget_ms, const char *name, uint32_t flags,
                     uint32_t step_count, bool is_full)
{
    const char *only = getenv("POWERCUT");
    uint64_t until = story_now_ms() + story_budget_ms(budget_ms);
    uint64_t seed = unit_seed() % 1000003;
    uint64_t states = 0;
    if (only && strncmp(only, name, strlen(name)) != 0)
        return;
    if (only)
        seed = strtoull(only + strlen(name) + 1, NULL, 10);
    struct sim_seen *seen = sim_seen_create();
    do {
        struct life life = {.name = name, .seed = seed++, .seen = seen, .only = only};
        life.until_ms = only ? 0 : until;
        if (is_full)
            life.pages_max = 4 * LOG_EXTENT_PAGES + 30 + (uint32_t)(life.seed % 7) * 30;
        tell(&life, flags, step_count);
        states += life.state_count;
        story_destroy(&life.story);
        if (!is_fine(&life)) {
            sim_seen_destroy(seen);
            unit_fail(__FILE__, __LINE__, "%s,%llu: %s", name,
                      (unsigned long long)life.seed, life.story.wrong);
        }
    } while (story_now_ms() < until && only == NULL);
    sim_seen_destroy(seen);
    if (getenv("VERBOSE"))
        printf("%s: %llu states in %llu stories\n", name, (unsigned long long)states,
               (unsigned long long)(seed - unit_seed() % 1000003));
    CHECK(states > 0);
}

enum { BUDGET_MS = PAGE_IS_SMALL ? 2000 : 1000 };

TEST(powercut__keeps_tiny_commits)
{
    tell_for(BUDGET_MS, "tiny", STORY_TINY | STORY_LAZY, 60, false);
}

TEST(powercut__keeps_rows_and_pages_of_values)
{
    tell_for(BUDGET_MS, "rows", STORY_LAZY, 60, false);
}

TEST(powercut__keeps_values_of_many_pages)
{
    tell_for(BUDGET_MS, "big", STORY_BIG | STORY_TABLE, 30, false);
}

TEST(powercut__keeps_bulk_runs)
{
    tell_for(BUDGET_MS, "bulk", STORY_BULK | STORY_LAZY, 40, false);
}

TEST(powercut__keeps_tables_as_they_come_and_go)
{
    tell_for(BUDGET_MS, "tables", STORY_TABLE | STORY_LAZY, 60, false);
}

TEST(powercut__keeps_what_a_full_file_holds)
{
    tell_for(BUDGET_MS, "full", STORY_TABLE | STORY_LAZY | STORY_BULK, 60, true);
}

TEST(powercut__keeps_everything_at_once)
{
    uint32_t flags = STORY_TABLE | STORY_LAZY | STORY_BULK | STORY_BIG;
    tell_for(BUDGET_MS, "all", flags, 50, false);
}

/* The page cache shows what a failed sync has lost as if it were written, slots of the
 * superblock, too. */
static void tell_of_failed_syncs(struct life *life, uint64_t first, uint64_t second)
{
    const uint64_t nth[] = {first, second};
    life_begin(life, STORY_TINY);
    for (int i = 0; i < 3 && is_fine(life); i++) {
        must(life, story_commit(&life->story, life->db), "a commit");
        must(life, scn_checkpoint(life->db), "a checkpoint");
    }
    for (int i = 0; i < 2 && is_fine(life); i++) {
        struct sim_fault fault = {.kind = SIM_FAIL, .error = EIO, .call = SIM_SYNC};
        fault.nth = nth[i];
        must(life, story_commit(&life->story, life->db), "a commit");
        sim_fault_set(life->sys, &fault);
        (void)scn_checkpoint(life->db);
        sim_fault_clear(life->sys);
        life_close(life);
        life_resume(life);
    }
    for (int i = 0; i < 2 && is_fine(life); i++) {
        must(life, story_commit(&life->story, life->db), "a commit after all");
        must(life, scn_checkpoint(life->db), "a checkpoint after all");
        cut_power_here(life);
    }
    life_end(life);
}

TEST(powercut__after_failed_syncs_finds_what_reached_the_disk)
{
    enum { SYNCS = 6 };
    uint64_t seed = unit_seed() % 1000003;
    uint64_t until = story_now_ms() + story_budget_ms(BUDGET_MS);
    struct sim_seen *seen = sim_seen_create();
    for (uint64_t round = 0; round < SYNCS * SYNCS && story_now_ms() < until; round++) {
        uint64_t i = (seed + round * 7) % (SYNCS * SYNCS);
        struct life life = {.name = "syncs", .seed = seed, .seen = seen};
        tell_of_failed_syncs(&life, 1 + i / SYNCS, 1 + i % SYNCS);
        story_destroy(&life.story);
        if (!is_fine(&life)) {
            sim_seen_destroy(seen);
            unit_fail(__FILE__, __LINE__, "syncs %d and %d: %s", (int)(1 + i / SYNCS),
                      (int)(1 + i % SYNCS), life.story.wrong);
        }
    }
    sim_seen_destroy(seen);
}
