/* Transactions on a machine where things go wrong when the input says so.
 *
 * A story (test/engine/story.h) is told on a simulated disk.  Between its transactions,
 * and in the middle of them, calls fail, transfers are short, the process dies and the
 * power goes; what a power cut leaves is the input's choice.  Whoever opens the store
 * afterwards finds the story up to a transaction between the last one acknowledged and
 * the last one begun, an error is only told where there was one, and reading what could
 * not be read is never called damage.
 *
 * A story need not begin at the beginning: the first byte may ask for one that has gone
 * on for a while (struct ready), so that a few steps are enough to get far.
 *
 *     story u8 | flags u8 | seed u16 | fault u8 | steps: what u8, then what it asks */
#include "page/mem.h"
#include "test/engine/story.h"
#include "test/fuzz/feed.h"
#include "test/fuzz/stage.h"
#include "test/fuzz/target.h"
#include "test/sim/disk.h"

#include <errno.h>

enum { STEPS_MAX = 4, FAULTS_MAX = 6 };

struct life {
    struct feed feed;
    struct sim_disk *disk;
    struct sys *sys;
    scn_db *db; /* NULL: closed, or it could not be opened */
    struct story story;
    bool is_named;  /* opened once: no power cut takes its name */
    bool has_fault; /* one may strike, or has struck */
    int faults;     /* set since the last were cleared; a process has room for 8 */
    uint32_t syncs_to_cut; /* the power is cut before so many syncs more; 0: not */
    struct sim_choice cut;
};

/* ---- judging ---- */

static bool is_excused(const struct life *life)
{
    return life->has_fault || sim_process_is_dead(life->sys) ||
           (life->db && file_is_poisoned(&life->db->store->file));
}

static bool is_of_the_machine(scn_status st)
{
    return st == SCN_IO || st == SCN_UNKNOWN || st == SCN_POISONED || st == SCN_FULL ||
           st == SCN_MOVED || st == SCN_BUSY || st == SCN_NOMEM;
}

static void judge(struct life *life, scn_status st, const char *what)
{
    scn_error error = {.struct_size = sizeof error};
    if (life->story.wrong[0] != 0)
        fuzz_fail(__FILE__, __LINE__, "%s: %s", what, life->story.wrong);
    if (st >= 0 || (is_excused(life) && is_of_the_machine(st)))
        return;
    scn_last_error(life->db, &error);
    fuzz_fail(__FILE__, __LINE__, "%s says %d: %s", what, st, error.text);
}

static void clear_fault(struct life *life)
{
    sim_fault_clear(life->sys);
    life->has_fault = false;
    life->faults = 0;
}

/* ---- opening and closing ---- */

static scn_status life_open(struct life *life)
{
    scn_options options = stage_options(life->is_named ? SCN_NOCREATE : 0);
    options.pool_bytes = 32 * PAGE_BYTES;
    options.max_file_bytes = 0;
    scn_status st = store_open_on(life->sys, STAGE_STORE, &options, &life->db);
    if (st == SCN_OK)
        life->is_named = true;
    else
        life->db = NULL;
    return st;
}

/* Everything that was begun is acknowledged where a close has nothing to complain of. */
static void life_close(struct life *life)
{
    if (life->db == NULL)
        return;
    bool was_excused = is_excused(life);
    scn_status st = scn_close(life->db);
    life->db = NULL;
    if (st != SCN_OK && !(st == SCN_UNKNOWN && was_excused))
        fuzz_fail(__FILE__, __LINE__, "closing says %d", st);
    if (!was_excused)
        story_ack(&life->story);
}

static void replace_process(struct life *life)
{
    sim_process_kill(life->sys);
    life_close(life);
    sim_process_destroy(life->sys);
    life->sys = sim_process_create(life->disk);
    life->has_fault = false;
    life->faults = 0;
}

static void life_read(struct life *life, uint32_t *number)
{
    scn_status st = story_read(&life->story, life->db, number);
    judge(life, st, "reading");
    if (st >= 0)
        return;
    clear_fault(life);
    if (sim_process_is_dead(life->sys)) {
        replace_process(life);
        judge(life, life_open(life), "opening to read");
    }
    (void)story_check(&life->story, life->db, number);
    judge(life, SCN_OK, "reading again");
}

/* What is there now is what the story has been. */
static void life_resume(struct life *life)
{
    uint32_t number = 0;
    scn_status st = life_open(life);
    judge(life, st, "opening");
    if (st < 0) {
        clear_fault(life);
        if (sim_process_is_dead(life->sys))
            replace_process(life);
        st = life_open(life);
        judge(life, st, "opening again");
    }
    if (st != SCN_OK)
        fuzz_fail(__FILE__, __LINE__, "opening says %d", st);
    life_read(life, &number);
    story_settle(&life->story, number);
}

/* ---- power cuts ---- */

static struct sim_choice some_choice(struct life *life)
{
    struct sim_choice choice = {.keep = (enum sim_keep)feed_below(&life->feed, 7)};
    choice.by_call = feed_u8(&life->feed) & 1;
    choice.n = feed_u8(&life->feed);
    return choice;
}

static void bound(struct sim_choice *choice, struct sim_disk *disk)
{
    if (choice->keep < SIM_KEEP_RANDOM)
        choice->n %= sim_pending(disk, choice->by_call) + 1;
}

/* The life that somebody would have whose power went now. */
static void live_again(struct life *life, struct sim_choice choice)
{
    bound(&choice, life->disk);
    struct life later = {.disk = sim_crash(life->disk, &choice),
                         .is_named = life->is_named};
    later.sys = sim_process_create(later.disk);
    story_fork(&later.story, &life->story);
    life_resume(&later);
    (void)story_check_file(&later.story, later.db);
    judge(&later, story_commit(&later.story, later.db), "a commit after the power cut");
    life_close(&later);
    life_resume(&later);
    life_close(&later);
    story_destroy(&later.story);
    sim_process_destroy(later.sys);
    sim_disk_destroy(later.disk);
}

static void on_call(void *ctx, struct sim_disk *disk, enum sim_call call,
                    enum sim_moment moment)
{
    struct life *life = ctx;
    (void)disk;
    (void)call;
    if (moment != SIM_BEFORE_SYNC || life->syncs_to_cut == 0 ||
        --life->syncs_to_cut != 0 || life->story.wrong[0] != 0)
        return;
    live_again(life, life->cut);
}

static void lose_power(struct life *life)
{
    struct sim_choice choice = some_choice(life);
    bound(&choice, life->disk);
    struct sim_disk *crashed = sim_crash(life->disk, &choice);
    sim_hook_set(life->disk, NULL, NULL);
    struct sim_disk *old = life->disk;
    sim_process_kill(life->sys);
    life_close(life);
    sim_process_destroy(life->sys);
    sim_disk_destroy(old);
    life->disk = crashed;
    sim_hook_set(crashed, on_call, life);
    life->sys = sim_process_create(crashed);
    life->has_fault = false;
    life->faults = 0;
    life_resume(life);
}

/* ---- steps ---- */

static void commit(struct life *life)
{
    life->story.random = ((uint64_t)feed_u16(&life->feed) << 16 | 1) +
                         life->story.next_version * UINT64_C(0x9e3779b97f4a7c15);
    unit_random(&life->story.random);
    judge(life, story_commit(&life->story, life->db), "a commit");
}

static void checkpoint(struct life *life)
{
    bool was_excused = is_excused(life);
    scn_status st = scn_checkpoint(life->db);
    judge(life, st, "a checkpoint");
    if (st == SCN_OK)
        story_ack(&life->story);
    if (!was_excused && !is_excused(life))
        (void)story_check_file(&life->story, life->db);
    judge(life, SCN_OK, "a check");
}

static void set_fault(struct life *life)
{
    static const int errors[] = {EIO, ENOSPC, EINTR, EIO};
    static const enum sim_call often[] = {SIM_WRITE, SIM_DSYNC, SIM_SYNC, SIM_ANY};
    uint8_t shape = feed_u8(&life->feed);
    uint8_t call = feed_u8(&life->feed);
    if (life->faults++ == FAULTS_MAX)
        clear_fault(life);
    struct sim_fault fault = {.kind = shape % 3 == 0   ? SIM_FAIL
                                      : shape % 3 == 1 ? SIM_SHORT
                                                       : SIM_KILL};
    fault.call = call < 128 ? often[call % 4] : (enum sim_call)(call % SIM_THREAD_START);
    fault.is_forever = shape >> 6 == 3;
    fault.error = errors[shape >> 4 & 3];
    if (fault.error == EINTR) {
        bool may_be_interrupted = fault.call == SIM_READ || fault.call == SIM_WRITE ||
                                  fault.call == SIM_DSYNC;
        fault.error = may_be_interrupted && !fault.is_forever ? EINTR : EIO;
    }
    fault.nth = 1 + feed_u8(&life->feed) % 48;
    fault.len = (uint64_t)feed_u8(&life->feed) * 97;
    sim_fault_set(life->sys, &fault);
    life->has_fault = true;
}

static void arm_cut(struct life *life)
{
    life->cut = some_choice(life);
    life->syncs_to_cut = 1 + feed_below(&life->feed, 8);
}

static void reopen(struct life *life)
{
    life_close(life);
    if (sim_process_is_dead(life->sys))
        replace_process(life);
    life_resume(life);
}

static void step(struct life *life)
{
    uint32_t number;
    uint32_t what = feed_below(&life->feed, 16);
    if (what < 6)
        commit(life);
    else if (what == 6)
        checkpoint(life);
    else if (what == 7)
        judge(life, scn_tick(life->db, 1), "a tick");
    else if (what == 8)
        life_read(life, &number);
    else if (what == 9 || what == 10)
        set_fault(life);
    else if (what == 11)
        clear_fault(life);
    else if (what == 12)
        arm_cut(life);
    else if (what == 13)
        lose_power(life);
    else if (what == 14)
        live_again(life, some_choice(life));
    else
        reopen(life);
    if (life->db == NULL || sim_process_is_dead(life->sys) ||
        file_is_poisoned(&life->db->store->file))
        reopen(life);
}

/* Many rows are rare, and long values and bulk runs rarer, as they cost up to a hundred
 * times the rest. */
static uint32_t some_flags(uint8_t byte, uint64_t dice)
{
    uint32_t flags = byte & (STORY_LAZY | STORY_TABLE);
    if (dice % 4 != 0)
        return flags | STORY_TINY;
    if (dice % 16 == 0)
        flags |= STORY_BIG;
    return dice % 32 == 0 ? flags | STORY_BULK : flags;
}

/* ---- stories to begin with ---- */

/* A disk without a process, and the story that it holds; made when it is first asked for.
 * Number 0 is no story. */
struct ready {
    struct sim_disk *disk; /* NULL: not made yet */
    struct story story;
};
enum { READY = 16 };

static struct ready readies[READY];

/* From small to large; the process ends with a close, or dies. */
static void make_ready(uint32_t number)
{
    static const uint8_t flags[] = {STORY_TABLE, STORY_TINY, STORY_LAZY,
                                    STORY_TINY | STORY_LAZY};
    struct ready *ready = &readies[number];
    struct life life = {.disk = sim_disk_create(number)};
    sim_disk_set_alone(life.disk, true);
    life.sys = sim_process_create(life.disk);
    story_init(&life.story, number, flags[number % 4]);
    life_resume(&life);
    for (uint32_t i = 0; i < 2 + number / 2; i++) {
        judge(&life, story_commit(&life.story, life.db), "a commit");
        if (i % 5 == 3)
            checkpoint(&life);
    }
    if (number % 3 == 0)
        sim_process_kill(life.sys);
    life_close(&life);
    sim_process_destroy(life.sys);
    *ready = (struct ready){life.disk, life.story};
}

static void begin_with(struct life *life, uint32_t number)
{
    life->disk = sim_disk_copy(readies[number].disk);
    story_fork(&life->story, &readies[number].story);
    life->is_named = true;
}

/* In how many blocks of the library's memory it has begun. */
static size_t begin(struct life *life, uint64_t dice)
{
    uint32_t number = feed_below(&life->feed, READY);
    uint32_t flags = some_flags(feed_u8(&life->feed), dice);
    uint64_t seed = feed_u16(&life->feed);
    if (number > 0 && readies[number].disk == NULL)
        make_ready(number);
    (void)sys_posix(); /* takes its memory once and for all */
    size_t blocks = mem_live();
    if (number > 0) {
        begin_with(life, number);
        life->story.flags = flags;
    } else {
        story_init(&life->story, seed, flags);
        life->disk = sim_disk_create(seed + 1);
        sim_disk_set_alone(life->disk, true);
    }
    life->sys = sim_process_create(life->disk);
    sim_hook_set(life->disk, on_call, life);
    return blocks;
}

static void run_mishaps(const uint8_t *data, size_t size)
{
    struct life life = {.feed = feed_of(data, size)};
    size_t blocks = begin(&life, feed_dice(data, size));
    if (feed_u8(&life.feed) >= 192) {
        arm_cut(&life);
        set_fault(&life);
    }
    life_resume(&life);
    for (int i = 0; i < STEPS_MAX && feed_left(&life.feed) > 0; i++)
        step(&life);
    clear_fault(&life);
    reopen(&life);
    (void)story_check_file(&life.story, life.db);
    judge(&life, SCN_OK, "the end");
    life_close(&life);
    story_destroy(&life.story);
    sim_process_destroy(life.sys);
    sim_disk_destroy(life.disk);
    FUZZ_CHECK(mem_live() == blocks);
}

FUZZ_TARGET(mishaps, run_mishaps, NULL)
