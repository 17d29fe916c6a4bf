/* Walcheck in a life: see repairs.h. */
#include "test/fault/repairs.h"

#include "page/hash.h"
#include "page/mem.h"
#include "test/engine/rowsum.h"
#include "test/fault/survey.h"
#include "tools/walcheck/salvage.h"
#include "tools/walcheck/tail.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { PATH_BYTES = 40, POOL_PAGES = 16, CALLS_OF_A_RUN = 80 };
#define STORE "store"

/* ---- files ---- */

/* The hash of some bytes of a file; of what is not there, 0. */
static uint64_t sum_of(struct life *life, const char *path, uint64_t off, uint64_t bytes)
{
    uint8_t *buffer = mem_alloc(bytes + 1);
    uint64_t sum = 0;
    if (buffer == NULL)
        story_fail(&life->story, "no memory for %" PRIu64 " bytes of %s", bytes, path);
    else if (sim_peek(life->disk, path, off, buffer, bytes))
        sum = hash64(buffer, bytes);
    mem_free(buffer);
    return sum;
}

static uint64_t sum_of_store(struct life *life)
{
    uint64_t size = 0;
    (void)sim_file_size(life->disk, STORE, &size);
    return sum_of(life, STORE, 0, size);
}

/* ---- what is looked at ---- */

static void tell(void *ctx, const struct finding *finding)
{
    struct life *life = ctx;
    if (finding_severity(finding->kind) > SEVERITY_HANDLED &&
        !sim_process_is_dead(life->sys))
        story_fail(&life->story, "walcheck of a sound store: %s", finding->text);
}

/* False: there is nothing to go on with.  A process that is killed says nothing. */
static bool inspect(struct life *life, bool is_quick, struct inspection *out)
{
    struct inspection_wishes wishes = {
        .ctx = life, .finding = tell, .is_quick = is_quick};
    scn_status st = inspection_run(life->sys, STORE, &wishes, out);
    if (sim_process_is_dead(life->sys))
        return false;
    life_must(life, st, "walcheck");
    if (st == SCN_OK && out->is_refused)
        story_fail(&life->story, "walcheck refuses a sound store");
    return st == SCN_OK && life_is_fine(life);
}

/* Another process of the tool, which may be killed in one of its calls. */
static void begin_tool(struct life *life, uint64_t killed_in)
{
    struct sim_fault fault = {.kind = SIM_KILL, .call = SIM_ANY, .nth = killed_in};
    life->repairs.run_count++;
    life->sys = sim_process_create(life->disk);
    fault.len = killed_in * 7;
    if (killed_in)
        sim_fault_set(life->sys, &fault);
}

static uint64_t roll_kill(struct life *life)
{
    return life_roll(life, 2) ? 1 + life_roll(life, CALLS_OF_A_RUN) : 0;
}

/* ---- torn tails ---- */

static void name_kept(const struct repairs *repairs, char path[PATH_BYTES])
{
    snprintf(path, PATH_BYTES, STORE ".cut-%" PRIu64, repairs->tail_lsn);
}

static bool is_kept(struct life *life)
{
    const struct repairs *repairs = &life->repairs;
    char path[PATH_BYTES];
    uint64_t size;
    name_kept(repairs, path);
    return sim_file_size(life->disk, path, &size) && size == repairs->tail_bytes &&
           sum_of(life, path, 0, size) == repairs->tail_sum;
}

static void check_tail(struct life *life)
{
    const struct repairs *repairs = &life->repairs;
    bool is_there = sum_of(life, STORE, repairs->tail_off, repairs->tail_bytes) ==
                    repairs->tail_sum;
    if (!is_there && !is_kept(life))
        story_fail(&life->story, "the torn tail at %" PRIu64 " is neither there nor kept",
                   repairs->tail_off);
}

static void note_tail(struct life *life, const struct tail *tail)
{
    struct repairs *repairs = &life->repairs;
    repairs->tail_lsn = tail->lsn;
    repairs->tail_off = tail->offset;
    repairs->tail_bytes = tail->bytes;
    repairs->tail_sum = sum_of(life, STORE, tail->offset, tail->bytes);
    repairs->has_tail = true;
}

static void cut_tail(struct life *life, const struct inspection *inspection)
{
    struct tail tail;
    char keep[PATH_BYTES];
    scn_status st = tail_measure(life->sys, STORE, inspection, &tail);
    if (st == SCN_OK) {
        if (life->repairs.is_durable && !life->repairs.has_tail)
            note_tail(life, &tail);
        snprintf(keep, sizeof keep, STORE ".cut-%" PRIu64, tail.lsn);
        st = tail_cut(life->sys, STORE, inspection, &tail, keep);
    }
    if (st != SCN_OK && !sim_process_is_dead(life->sys))
        story_fail(&life->story, "cutting a torn tail says %d: %s", st,
                   error_last()->text);
}

/* scrine-walcheck --truncate --force.  True: its process lived to the end. */
static bool run_cut(struct life *life, uint64_t killed_in)
{
    struct inspection inspection;
    begin_tool(life, killed_in);
    if (inspect(life, true, &inspection) && inspection.findings.count_of[FINDING_TORN])
        cut_tail(life, &inspection);
    bool has_lived = !sim_process_is_dead(life->sys);
    inspection_destroy(&inspection);
    sim_process_destroy(life->sys);
    life->sys = NULL;
    if (life_is_fine(life) && life->repairs.has_tail)
        check_tail(life);
    return has_lived;
}

/* Mostly in the write of its record, after some of the bytes. */
static void die_in_commit(struct life *life)
{
    struct sim_fault fault = {.kind = SIM_KILL, .call = SIM_WRITE, .nth = 1};
    fault.nth += life_roll(life, 6) == 0;
    fault.len = 1 + life_roll(life, 150);
    sim_fault_set(life->sys, &fault);
    (void)story_commit(&life->story, life->db);
    life_leave(life);
}

void repairs_cut(struct life *life)
{
    struct sim_choice all = {.keep = SIM_KEEP_ALL};
    if (!life_is_fine(life))
        return;
    die_in_commit(life);
    life->repairs.is_durable = life_roll(life, 4) != 0;
    if (life->repairs.is_durable)
        life_move(life, sim_crash(life->disk, &all));
    if (!run_cut(life, roll_kill(life)) && life_is_fine(life))
        (void)run_cut(life, 0);
    life->repairs.has_tail = false; /* whoever opens may write there */
    if (life_is_fine(life))
        life_resume_alone(life);
    survey_point(life);
}

/* ---- salvages ---- */

static void name_out(const struct repairs *repairs, char path[PATH_BYTES])
{
    snprintf(path, PATH_BYTES, "salvaged%u", repairs->out_count);
}

static scn_status open_out(struct life *life, uint32_t flags, scn_db **db)
{
    char path[PATH_BYTES];
    scn_options options = {.struct_size = sizeof options,
                           .flags = SCN_NOTHREAD | flags,
                           .durability = SCN_SYNC_LAZY,
                           .pool_bytes = POOL_PAGES * PAGE_BYTES};
    name_out(&life->repairs, path);
    return store_open_on(life->sys, path, &options, db);
}

static scn_status fill_out(struct life *life)
{
    struct salvage_wishes wishes = {0};
    struct salvage result;
    scn_db *db;
    scn_status st = open_out(life, SCN_EXCLUSIVE, &db);
    if (st != SCN_OK)
        return st;
    st = salvage_run(life->sys, STORE, db, &wishes, &result);
    /* Who dies reads nothing any more. */
    if (st == SCN_OK && result.loss_count && !sim_process_is_dead(life->sys))
        story_fail(&life->story, "a salvage of a sound store tells of a loss");
    scn_status closed = scn_close(db);
    return st == SCN_OK ? closed : st;
}

/* Of what is there; a new one has all of the story. */
static void judge_out(struct life *life, bool is_new)
{
    struct repairs *repairs = &life->repairs;
    uint8_t digest[16];
    uint32_t number;
    scn_db *db;
    scn_status st = open_out(life, SCN_RDONLY | SCN_NOCREATE, &db);
    if (st == SCN_NOTFOUND && !repairs->is_out_whole)
        return;
    life_must(life, st, "opening what was salvaged");
    if (st != SCN_OK)
        return;
    if (is_new)
        (void)story_check(&life->story, db, &number);
    if (life_is_fine(life) && story_check_file(&life->story, db)) {
        life_must(life, rowsum_digest(db, digest), "reading what was salvaged");
        if (repairs->is_out_whole && memcmp(digest, repairs->out_digest, 16) != 0)
            story_fail(&life->story, "what was salvaged has changed");
        memcpy(repairs->out_digest, digest, 16);
    }
    (void)scn_close(db);
}

/* scrine-walcheck --salvage, of a new name. */
static void run_salvage(struct life *life, uint64_t killed_in)
{
    uint64_t before = sum_of_store(life);
    begin_tool(life, killed_in);
    life->repairs.out_count++;
    life->repairs.is_out_whole = false;
    scn_status st = fill_out(life);
    sim_fault_clear(life->sys);
    if (sum_of_store(life) != before)
        story_fail(&life->story, "a salvage changed its source");
    if (!sim_process_is_dead(life->sys)) {
        life_must(life, st, "a salvage");
        if (life_is_fine(life))
            judge_out(life, true);
        life->repairs.is_out_whole = true;
    }
    sim_process_destroy(life->sys);
    life->sys = NULL;
}

static void end_process(struct life *life)
{
    if (life_roll(life, 2)) {
        life_close(life);
        story_ack(&life->story);
    }
    life_leave(life);
}

void repairs_salvage(struct life *life)
{
    if (!life_is_fine(life))
        return;
    end_process(life);
    run_salvage(life, life_roll(life, 4) ? 0 : 1 + life_roll(life, 4 * CALLS_OF_A_RUN));
    survey_point(life);
    if (life_is_fine(life))
        life_resume_alone(life);
}

/* ---- after a power cut ---- */

static void check_inspection(struct life *life)
{
    struct inspection inspection;
    if (inspect(life, false, &inspection) && inspection.is_unsteady)
        story_fail(&life->story, "walcheck: a file that nobody uses is not steady");
    inspection_destroy(&inspection);
}

void repairs_check(struct life *life)
{
    struct sys *sys = life->sys;
    if (life->repairs.run_count == 0)
        return;
    check_inspection(life);
    if (life_is_fine(life) && life->repairs.out_count)
        judge_out(life, false);
    if (life_is_fine(life) && life->repairs.has_tail) {
        check_tail(life);
        if (life_is_fine(life) && life->dice % 2)
            (void)run_cut(life, 0);
    }
    life->repairs.has_tail = false;
    life->sys = sys;
}
