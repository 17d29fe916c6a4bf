/* Opinions: see opinion.h. */
#include "test/walcheck/opinion.h"

#include "engine/store.h"
#include "page/mem.h"
#include "test/engine/reference.h"
#include "test/unit/unit.h"
#include "tools/walcheck/inspection.h"

/* ---- what the engine says ---- */

static const enum finding_kind kinds_of_issues[] = {
    [SCN_ISSUE_SLOT] = FINDING_SLOT,     [SCN_ISSUE_SPACE] = FINDING_SPACE,
    [SCN_ISSUE_PAGE] = FINDING_PAGE,     [SCN_ISSUE_TREE] = FINDING_TREE,
    [SCN_ISSUE_VALUE] = FINDING_VALUE,   [SCN_ISSUE_COUNT] = FINDING_COUNT,
    [SCN_ISSUE_USAGE] = FINDING_USAGE,   [SCN_ISSUE_CATALOG] = FINDING_CATALOG,
    [SCN_ISSUE_LOG] = FINDING_LOG,       [SCN_ISSUE_SHARED] = FINDING_SHARED,
    [SCN_ISSUE_LOST] = FINDING_LEAK,
};

static scn_status note_issue(void *ctx, const scn_issue *issue)
{
    struct opinion *opinion = ctx;
    opinion->kinds |= 1u << kinds_of_issues[issue->kind];
    snprintf(opinion->text, sizeof opinion->text, "%s", issue->text);
    return SCN_OK;
}

void opinion_of_engine(struct sim_disk *disk, struct opinion *opinion)
{
    struct sys *sys = sim_process_create(disk);
    scn_db *db;
    scn_stats_t stats = {.struct_size = sizeof stats};
    scn_status st = reference_open(sys, SCN_NOCREATE, &db);
    *opinion = (struct opinion){.is_refused = st < 0};
    if (st < 0) {
        scn_error error = {.struct_size = sizeof error};
        scn_last_error(NULL, &error);
        snprintf(opinion->text, sizeof opinion->text, "%s", error.text);
        CHECK(st == SCN_CORRUPT || st == SCN_NOTADB || st == SCN_VERSION);
    } else {
        CHECK_OK(scn_stats(db, &stats));
        opinion->is_torn = stats.torn_tail;
        CHECK_OK(scn_check(db, SCN_CHECK_ALL, note_issue, opinion, NULL));
        CHECK_OK(scn_close(db));
    }
    sim_process_destroy(sys);
}

/* ---- what walcheck says ---- */

static void note_finding(void *ctx, const struct finding *finding)
{
    struct opinion *opinion = ctx;
    opinion->kinds |= 1u << finding->kind;
    CHECK(finding->text[0] != 0);
    snprintf(opinion->text, sizeof opinion->text, "%s", finding->text);
}

void opinion_of_walcheck(struct sim_disk *disk, struct opinion *opinion)
{
    struct sys *sys = sim_process_create(disk);
    struct inspection inspection;
    struct inspection_wishes wishes = {.ctx = opinion, .finding = note_finding};
    uint64_t hash = sim_hash(disk);
    size_t live = mem_live();
    *opinion = (struct opinion){0};
    CHECK_OK(inspection_run(sys, REFERENCE_PATH, &wishes, &inspection));
    opinion->is_refused = inspection.is_refused;
    opinion->has_strays = inspection.has_strays;
    opinion->is_torn = opinion->kinds >> FINDING_TORN & 1;
    opinion->kinds &= ~(1u << FINDING_TORN);
    CHECK(!inspection.is_unsteady);
    inspection_destroy(&inspection);
    CHECK_EQ(mem_live(), live);
    CHECK_EQ(sim_call_count(sys, SIM_WRITE), 0);
    CHECK(sim_hash(disk) == hash);
    sim_process_destroy(sys);
}

/* ---- both ---- */

#define HANDLED (1u << FINDING_SLOT | 1u << FINDING_LEAK)

/* An open that makes a checkpoint has put right what checkpoints do before scn_check
 * looks, or has met damage that an open otherwise leaves to be found. */
const char *opinions_differ(const struct opinion *engine, const struct opinion *walcheck)
{
    bool opens_otherwise = walcheck->has_strays && !walcheck->is_refused;
    if (engine->is_refused != walcheck->is_refused && !opens_otherwise)
        return "one of them refuses it";
    if (engine->is_refused)
        return walcheck->kinds & ~HANDLED ? "" : "it is refused without a finding";
    if (engine->is_torn != walcheck->is_torn)
        return "one of them sees a torn tail";
    if (opens_otherwise)
        return engine->kinds & ~walcheck->kinds ? "one of them finds less" : "";
    return engine->kinds == walcheck->kinds ? "" : "they find different things";
}
