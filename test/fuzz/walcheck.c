/* A whole file, as anybody may have written it, is looked at and salvaged without the
 * engine: an answer, an end, the file as it was; and what was salvaged is a sound store.
 *
 * Input: test/fuzz/recipe.h. */
#include "tools/walcheck/inspection.h"
#include "test/fuzz/recipe.h"
#include "test/fuzz/stage.h"
#include "test/fuzz/target.h"
#include "tools/walcheck/salvage.h"

#include "engine/store.h"

static struct image image;

static void judge_finding(void *ctx, const struct finding *finding)
{
    uint64_t *count = ctx;
    FUZZ_CHECK(finding->text[0] != 0);
    ++*count;
}

/* True: nothing at all was found. */
static bool inspect(struct sys *sys)
{
    struct inspection inspection;
    uint64_t count = 0;
    struct inspection_wishes wishes = {.ctx = &count, .finding = judge_finding};
    scn_status st = inspection_run(sys, STAGE_STORE, &wishes, &inspection);
    bool is_damaged = inspection.findings.worst > SEVERITY_HANDLED;
    FUZZ_CHECK(st == SCN_OK);
    FUZZ_CHECK(count == inspection.findings.count);
    FUZZ_CHECK(!inspection.is_refused || is_damaged);
    FUZZ_CHECK(!inspection.is_unsteady);
    inspection_destroy(&inspection);
    return count == 0;
}

static scn_status say_issue(void *ctx, const scn_issue *issue)
{
    (void)ctx;
    fuzz_fail(__FILE__, __LINE__, "what was salvaged has an issue: %s", issue->text);
}

static scn_status open_out(struct sys *sys, scn_db **db)
{
    scn_options options = stage_options(0);
    return store_open_on(sys, "out", &options, db);
}

/* A file can claim more than the new one may hold. */
static void salvage(struct sys *sys, bool is_clean)
{
    struct salvage_wishes wishes = {0};
    struct salvage result;
    scn_db *db;
    FUZZ_CHECK(open_out(sys, &db) == SCN_OK);
    scn_status st = salvage_run(sys, STAGE_STORE, db, &wishes, &result);
    stage_judge(st, "salvage");
    if (st == SCN_OK) {
        FUZZ_CHECK(!is_clean || result.loss_count == 0);
        FUZZ_CHECK(scn_check(db, SCN_CHECK_ALL, say_issue, NULL, NULL) == SCN_OK);
    }
    FUZZ_CHECK(scn_close(db) == SCN_OK);
}

static void check_unchanged(struct sys *sys)
{
    static uint8_t bytes[IMAGE_BYTES_MAX];
    size_t size = image.size ? stage_take_file(sys, bytes, sizeof bytes) : 0;
    FUZZ_CHECK(size == image.size && memcmp(bytes, image.bytes, size) == 0);
}

static void run_walcheck(const uint8_t *data, size_t size)
{
    struct feed feed = feed_of(data, size);
    (void)feed_u8(&feed);
    if (size <= RECIPE_BYTES_MAX)
        recipe_cook(&image, feed_u8(&feed), feed_u8(&feed));
    else
        image_decode(&image, &feed);
    struct sys *sys = stage_build();
    stage_put_file(sys, image.bytes, image.size);
    salvage(sys, inspect(sys));
    check_unchanged(sys);
    stage_strike(sys);
}

FUZZ_TARGET(walcheck, run_walcheck, recipe_mutate)
