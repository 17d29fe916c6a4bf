/* walcheck and the engine agree on each damaged file: what opens and passes scn_check is
 * clean, what is refused or found is a finding, of the same kind.  The file is not
 * changed.
 *
 * There are millions of variants; usually some at equal distances are tried, and
 * AGREEMENT=all in the environment tries all, AGREEMENT=name,n one. */
#include "engine/store.h"
#include "page/mem.h"
#include "test/sim/disk.h"
#include "test/unit/unit.h"
#include "test/walcheck/damage.h"
#include "tools/walcheck/inspection.h"

#include <time.h>

enum { BUDGET_MS = 700 };

/* ---- what the engine says ---- */

struct opinion {
    bool is_refused;
    uint32_t kinds; /* bit FINDING_... */
    bool is_torn;
    char text[256];
};

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

static void ask_engine(struct sim_disk *disk, struct opinion *opinion)
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

static void ask_walcheck(struct sim_disk *disk, struct opinion *opinion)
{
    struct sys *sys = sim_process_create(disk);
    struct inspection inspection;
    struct inspection_wishes wishes = {.ctx = opinion, .finding = note_finding};
    uint64_t hash = sim_hash(disk);
    size_t live = mem_live();
    *opinion = (struct opinion){0};
    CHECK_OK(inspection_run(sys, REFERENCE_PATH, &wishes, &inspection));
    opinion->is_refused = inspection.is_refused;
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

/* Empty, or how they differ. */
static const char *difference(const struct opinion *engine,
                              const struct opinion *walcheck)
{
    if (engine->is_refused != walcheck->is_refused)
        return "one of them refuses it";
    if (engine->is_refused)
        return walcheck->kinds & ~HANDLED ? "" : "it is refused without a finding";
    if (engine->is_torn != walcheck->is_torn)
        return "one of them sees a torn tail";
    return engine->kinds == walcheck->kinds ? "" : "they find different things";
}

static void compare(const struct damage *damage, enum damage_kind kind, uint64_t n,
                    uint64_t *tried, uint64_t *wrong)
{
    const struct reference_image *now = &damage->reference.now;
    uint64_t size = now->size;
    uint8_t *bytes = malloc(size);
    struct opinion walcheck;
    struct opinion engine;
    CHECK(bytes != NULL);
    memcpy(bytes, now->bytes, size);
    if (damage_apply(damage, kind, n, bytes, &size)) {
        struct sim_disk *disk = sim_disk_create(1);
        sim_put_file(disk, REFERENCE_PATH, bytes, size);
        ask_walcheck(disk, &walcheck);
        ask_engine(disk, &engine);
        sim_disk_destroy(disk);
        ++*tried;
        const char *how = difference(&engine, &walcheck);
        if (how[0] && ++*wrong <= 5)
            printf("    AGREEMENT=%s,%llu: %s\n      engine: %s %03x %s\n"
                   "      walcheck: %s %03x %s\n",
                   damage_name(kind), (unsigned long long)n, how,
                   engine.is_refused ? "refused" : "open", engine.kinds, engine.text,
                   walcheck.is_refused ? "refused" : "open", walcheck.kinds,
                   walcheck.text);
    }
    free(bytes);
}

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static bool is_chosen(enum damage_kind kind, uint64_t *one)
{
    const char *wish = getenv("AGREEMENT");
    size_t len = strlen(damage_name(kind));
    *one = UINT64_MAX;
    if (wish == NULL || strcmp(wish, "all") == 0)
        return true;
    if (strncmp(wish, damage_name(kind), len) != 0)
        return false;
    if (wish[len] == ',')
        *one = strtoull(wish + len + 1, NULL, 10);
    return wish[len] == ',' || wish[len] == 0;
}

static void compare_all(enum damage_kind kind)
{
    struct damage damage;
    uint64_t one;
    uint64_t tried = 0;
    uint64_t wrong = 0;
    uint64_t until = now_ms() + BUDGET_MS;
    if (!is_chosen(kind, &one))
        return;
    damage_open(&damage);
    uint64_t count = damage_count(&damage, kind);
    if (one != UINT64_MAX)
        compare(&damage, kind, one, &tried, &wrong);
    for (uint64_t i = 0; i < count && one == UINT64_MAX; i++) {
        if (getenv("AGREEMENT") == NULL && i > 8 && now_ms() > until)
            break;
        compare(&damage, kind, damage_pick(count, i, unit_seed()), &tried, &wrong);
    }
    if (getenv("VERBOSE"))
        printf("%-8s %llu of %llu, %llu wrong\n", damage_name(kind),
               (unsigned long long)tried, (unsigned long long)count,
               (unsigned long long)wrong);
    damage_close(&damage);
    CHECK_EQ(wrong, 0);
}

TEST(agreement__on_the_healthy_file)
{
    struct damage damage;
    struct opinion walcheck;
    struct opinion engine;
    damage_open(&damage);
    struct sim_disk *disk = sim_disk_create(1);
    sim_put_file(disk, REFERENCE_PATH, damage.reference.now.bytes,
                 damage.reference.now.size);
    ask_walcheck(disk, &walcheck);
    ask_engine(disk, &engine);
    if (walcheck.kinds || walcheck.is_refused || walcheck.is_torn)
        unit_fail(__FILE__, __LINE__, "%s", walcheck.text);
    CHECK(!engine.is_refused && engine.kinds == 0);
    sim_disk_destroy(disk);
    damage_close(&damage);
}

TEST(agreement__on_each_bit)
{
    compare_all(DAMAGE_BIT);
}

TEST(agreement__on_each_sector_of_zeros)
{
    compare_all(DAMAGE_ZERO);
}

TEST(agreement__on_each_sector_of_garbage)
{
    compare_all(DAMAGE_GARBAGE);
}

TEST(agreement__on_pages_that_changed_places)
{
    compare_all(DAMAGE_SWAP);
}

TEST(agreement__on_pages_in_the_place_of_others)
{
    compare_all(DAMAGE_REPLACE);
}

TEST(agreement__on_stale_pages)
{
    compare_all(DAMAGE_STALE);
}

TEST(agreement__on_holes)
{
    compare_all(DAMAGE_HOLE);
}

TEST(agreement__on_cuts)
{
    compare_all(DAMAGE_CUT);
}

TEST(agreement__on_pages_of_another_store)
{
    compare_all(DAMAGE_FOREIGN);
}

TEST(agreement__on_another_uuid)
{
    compare_all(DAMAGE_UUID);
}
