/* Surveys: see survey.h. */
#include "test/fault/survey.h"

#include "test/fault/heirs.h"
#include "test/fault/repairs.h"

enum {
    DEPTH_MAX = 3,         /* power cuts in one line of lives */
    DEEPER_ONE_IN = 24,    /* so few lives after a crash are cut again */
    DEEPER_CHOICES = 2,    /* and so many disks looked at, at each of their points */
    CHECKPOINT_ONE_IN = 8, /* before it goes on, and after */
    REOPEN_ONE_IN = 4
};

/* The life that runs now, on the last disk that was cut off. */
static const struct life *current;

static uint64_t roll(uint64_t *random, uint64_t bound)
{
    return (unit_random(random) >> 20) % bound;
}

/* ---- keys ---- */

static uint32_t fill_cuts(const struct life *life, struct key *key)
{
    uint32_t depth = life->depth;
    key->cut_count = depth < KEY_CUTS_MAX ? depth : KEY_CUTS_MAX;
    for (; life->parent; life = life->parent)
        if (life->depth <= KEY_CUTS_MAX)
            key->cuts[life->depth - 1] = (struct key_cut){
                .point = life->parent->point, .choice = life->choice};
    return depth;
}

static void make_key(const struct life *life, struct key *key)
{
    *key = (struct key){.seed = life->seed};
    snprintf(key->workload, sizeof key->workload, "%s", life->workload->name);
    fill_cuts(life, key);
}

bool survey_current(struct key *key)
{
    if (current)
        make_key(current, key);
    return current != NULL;
}

/* ---- after a power cut ---- */

static void go_on(struct life *life)
{
    if (roll(&life->dice, CHECKPOINT_ONE_IN) == 0)
        life_must(life, scn_checkpoint(life->db), "a checkpoint after the crash");
    if (life_is_fine(life))
        life_must(life, story_commit(&life->story, life->db), "a commit after the crash");
    if (life_is_fine(life) && roll(&life->dice, CHECKPOINT_ONE_IN) == 0) {
        life_must(life, scn_checkpoint(life->db), "a checkpoint");
        if (life_is_fine(life))
            life_must(life, story_commit(&life->story, life->db), "a second commit");
    }
}

/* Who opens the store again may find it closed well, or its process killed. */
static void restart(struct life *life)
{
    if (roll(&life->dice, 2) == 0) {
        sim_process_kill(life->sys);
        life_close(life);
        sim_process_destroy(life->sys);
        life_resume_alone(life);
        return;
    }
    life_close(life);
    story_ack(&life->story);
    if (life_is_fine(life))
        life_resume(life);
}

static void survive(struct life *life)
{
    life->sys = sim_process_create(life->disk);
    repairs_check(life);
    if (life_is_fine(life))
        life_resume(life);
    if (life_is_fine(life))
        heirs_check(life);
    if (life_is_fine(life))
        go_on(life);
    if (life_is_fine(life) && roll(&life->dice, REOPEN_ONE_IN) == 0)
        restart(life);
    sim_process_kill(life->sys);
    life_close(life);
    sim_process_destroy(life->sys);
}

/* ---- crash points ---- */

static uint64_t mixed(uint64_t a, uint64_t b)
{
    uint64_t n = (a ^ b << 32 ^ b >> 32) * UINT64_C(0x9e3779b97f4a7c15);
    n = (n ^ n >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
    return n ^ n >> 32;
}

static uint64_t salt_of(const struct life *life)
{
    return life->story.acked * UINT64_C(0x9e3779b97f4a7c15);
}

static const struct key_cut *only_cut(const struct life *life, uint32_t depth)
{
    const struct key *only = life->survey->only;
    return only && depth < only->cut_count ? &only->cuts[depth] : NULL;
}

static bool is_cut_again(const struct life *life)
{
    if (life->survey->only)
        return only_cut(life, life->depth) != NULL;
    uint64_t luck = life->luck;
    return life->depth < DEPTH_MAX && roll(&luck, DEEPER_ONE_IN) == 0;
}

/* The innermost life that failed is told first. */
static void note_key(struct survey *survey, const struct life *life)
{
    struct key key;
    if (survey->wrong_key[0] != 0)
        return;
    make_key(life, &key);
    key_print(&key, survey->wrong_key);
}

static void look_at(void *ctx, struct sim_disk *crashed, const struct sim_choice *choice)
{
    struct life *life = ctx;
    struct survey *survey = life->survey;
    if (!life_is_fine(life) || survey->state_count >= survey->state_max)
        return;
    struct life later = {
        .workload = life->workload,
        .seed = life->seed,
        .disk = crashed,
        .is_named = life->is_named,
        .may_be_full = life->may_be_full,
        .pages_max = life->pages_max,
        .heirs = life->heirs,
        .repairs = life->repairs,
        .survey = survey,
        .parent = life,
        .choice = *choice,
        .depth = life->depth + 1,
    };
    later.dice = mixed(mixed(life->seed + life->depth, life->point),
                       choice->n * 16 + choice->keep * 2 + choice->by_call) | 1;
    later.luck = mixed(later.dice, 1) | 1;
    story_fork(&later.story, &life->story);
    current = &later;
    if (is_cut_again(&later))
        life_listen(&later);
    survive(&later);
    current = life;
    survey->state_count += life->depth == 0;
    survey->second_count += life->depth > 0;
    if (!life_is_fine(&later)) {
        note_key(survey, &later);
        story_fail(&life->story, "%s", later.story.wrong);
    }
    story_destroy(&later.story);
}

struct sim_choice survey_choice(struct sim_disk *disk, uint64_t *random)
{
    enum { LUCKY_SEEDS = 1 << 20 };
    struct sim_choice choice = {.keep = (enum sim_keep)roll(random, SIM_KEEP_SUBSET)};
    choice.by_call = roll(random, 2) == 0;
    choice.has_garbage = roll(random, 4) == 0;
    bool is_lucky = choice.keep == SIM_KEEP_RANDOM || choice.keep == SIM_KEEP_TORN;
    uint64_t pending = sim_pending(disk, choice.by_call);
    choice.n = roll(random, is_lucky ? LUCKY_SEEDS : pending + 1);
    return choice;
}

static void look_at_choice(struct life *life, const struct sim_choice *choice)
{
    struct sim_disk *crashed = sim_crash(life->disk, choice);
    if (life->survey->only ||
        sim_seen_add(life->survey->seen, sim_hash(crashed) + salt_of(life)))
        look_at(life, crashed, choice);
    sim_disk_destroy(crashed);
}

/* All that the plan asks for. */
static void look_at_all(struct life *life)
{
    struct sim_plan plan = life->survey->plan;
    plan.seen = life->survey->seen;
    plan.salt = salt_of(life);
    plan.seed = mixed(life->seed, life->point) % 1000003;
    sim_each_crash(life->disk, &plan, look_at, life);
}

static void look_at_some(struct life *life)
{
    for (int i = 0; i < DEEPER_CHOICES; i++) {
        struct sim_choice choice = survey_choice(life->disk, &life->luck);
        look_at_choice(life, &choice);
    }
}

static bool is_late(const struct survey *survey)
{
    return survey->state_count >= survey->state_max ||
           (survey->until_ms && story_now_ms() > survey->until_ms);
}

void survey_point(struct life *life)
{
    struct survey *survey = life->survey;
    if (survey == NULL || !life_is_fine(life))
        return;
    life->point++;
    const struct key_cut *cut = only_cut(life, life->depth);
    if (cut && cut->point == life->point)
        look_at_choice(life, &cut->choice);
    if (survey->only || is_late(survey))
        return;
    if (life->depth > 0)
        look_at_some(life);
    else if (survey->point_one_in <= 1 ||
             mixed(life->seed, life->point) % survey->point_one_in == 0)
        look_at_all(life);
}

/* ---- a run ---- */

bool survey_run(struct survey *survey, const struct workload *workload, uint64_t seed)
{
    struct life life = {.survey = survey};
    life_begin(&life, workload, seed);
    current = &life;
    life_resume(&life);
    if (life_is_fine(&life))
        workload->run(&life);
    life_close(&life);
    story_ack(&life.story);
    survey_point(&life);
    current = NULL;
    bool is_fine = life_is_fine(&life);
    if (!is_fine) {
        note_key(survey, &life);
        memcpy(survey->wrong, life.story.wrong, sizeof survey->wrong);
    }
    life_end(&life);
    return is_fine;
}
