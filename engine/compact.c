/* Compaction: the file becomes as short as what it holds.
 *
 * A checkpoint gives back what lies free behind the last used page, and moves what is
 * cheap to move.  Compaction also empties pages of values that hold little else than
 * garbage, and moves every table's pages out of the tail: one pass over all tables, in
 * steps.
 *
 * [K7] A step is one generation, so all that holds for checkpoints holds for it: readers
 *      and commits go on, a crash or a failure leaves the generation before.
 * [K8] A step reads and writes a bounded number of bytes, and no more than half of the
 *      free pages: the file does not grow by it where anything is free.
 * [K9] Between two steps nothing is held: other checkpoints, of this process or another,
 *      come in between.
 *
 * What a step frees can be given out two generations later, so where little is free,
 * generations without a step come first.  Three of them without a free page mean that a
 * reader holds the garbage, or that it all lies inside of pages: then the step goes on,
 * and the file grows by one step at most.
 *
 * [K10] A file at rest is no longer in the end than before.
 *
 * Each generation writes its allocation state, and what leads to its changes, anew: in
 * a packed file behind the end, and where the file holds little that is as much as there
 * was to gain.  So generations follow that change nothing; every third moves down what
 * lies too far.  What one of them frees is free for the next but one, which then leaves
 * the end, and that is cut off. */
#include "engine/checkpoint.h"
#include "engine/forest.h"
#include "engine/room.h"

enum {
    PASSES_MAX = 3,
    SHORTENINGS_MAX = 10,
    QUIET_MAX = 3,
    SLACK_PAGES = 8,
    WAITS_MAX = 3,
    STEP_PAGES_MIN = 64,
    STEP_PAGES_MAX = 1024
};

struct compaction {
    struct store *store;
    uint32_t goal_pages; /* of the file: as many as before, or what is needed now */
    struct forest_pass pass;
    bool is_planned;
    bool is_finished; /* there is nothing to gain */
    uint32_t passes;
    uint32_t waits;
    uint32_t shortenings;
    uint64_t bytes_left;
    uint64_t deadline_ns; /* UINT64_MAX: none */
    uint64_t done_bytes;
    uint64_t expected_bytes;
};

/* ---- with the checkpoint lock ---- */

static scn_status read_usage(struct store *store, uint64_t *pages, uint64_t *needed)
{
    struct catalog_root root;
    struct pool_reader *reader = store->maintenance_reader;
    pool_enter(reader);
    scn_status st =
        catalog_read_root(reader, &store->superblock.catalog, TABLE_USAGE, &root);
    pool_leave(reader);
    struct tree table = {root.root, TABLE_USAGE};
    return st < 0 ? st : usage_count(reader, &table, pages, needed);
}

/* What was committed and not yet merged needs room, too. */
static void set_goal(struct compaction *compaction, uint64_t enough)
{
    uint64_t pages = atomic_load(&compaction->store->file.page_count);
    enough = enough < pages ? enough : pages;
    if (compaction->goal_pages < enough)
        compaction->goal_pages = (uint32_t)enough;
}

/* Worth a pass is what a checkpoint calls garbage, too: a sixteenth of the file. */
static scn_status plan(struct compaction *compaction)
{
    struct space_stat stat;
    uint64_t pages;
    uint64_t needed;
    scn_status st = read_usage(compaction->store, &pages, &needed);
    if (st < 0)
        return st;
    space_stat(compaction->store->space, &stat);
    uint64_t kept = stat.used_pages - stat.freed_pages;
    uint64_t live = kept - (pages - needed);
    if (compaction->passes == 0)
        set_goal(compaction, kept + SLACK_PAGES);
    uint64_t garbage = stat.end_pages > live ? stat.end_pages - live : 0;
    compaction->is_finished = garbage < LOG_EXTENT_PAGES ||
                              garbage < stat.end_pages / 16 ||
                              compaction->passes == PASSES_MAX;
    uint64_t packed = live + live / 32 + SLACK_PAGES;
    if (packed > compaction->goal_pages && stat.used_pages <= compaction->goal_pages)
        packed = compaction->goal_pages;
    compaction->pass.relocation.from = (uint32_t)packed;
    compaction->pass.table_id = 0;
    compaction->pass.is_done = false;
    relocation_rewind(&compaction->pass.relocation);
    compaction->is_planned = true;
    compaction->waits = 0;
    compaction->expected_bytes =
        compaction->done_bytes + (live / 4 + garbage) * PAGE_BYTES;
    return SCN_OK;
}

static uint64_t step_bytes(const struct compaction *compaction, uint64_t free_pages)
{
    uint64_t pages = free_pages / 2;
    pages = pages < STEP_PAGES_MIN ? STEP_PAGES_MIN : pages;
    pages = pages > STEP_PAGES_MAX ? STEP_PAGES_MAX : pages;
    uint64_t bytes = pages * PAGE_BYTES;
    return bytes < compaction->bytes_left ? bytes : compaction->bytes_left;
}

static scn_status step(struct compaction *compaction, uint64_t free_pages)
{
    struct relocation *relocation = &compaction->pass.relocation;
    uint64_t budget = step_bytes(compaction, free_pages);
    relocation->budget_bytes = budget;
    scn_status st = checkpoint_generation(compaction->store, &compaction->pass);
    uint64_t used = budget - relocation->budget_bytes;
    compaction->done_bytes += used;
    if (compaction->bytes_left != UINT64_MAX)
        compaction->bytes_left -= used;
    return st;
}

static scn_status go_on(void *ctx)
{
    struct compaction *compaction = ctx;
    struct space_stat stat;
    scn_status st = compaction->is_planned ? SCN_OK : plan(compaction);
    if (st < 0 || compaction->is_finished)
        return st;
    space_stat(compaction->store->space, &stat);
    if (stat.free_pages < 2 * STEP_PAGES_MIN && compaction->waits < WAITS_MAX) {
        compaction->waits++;
        return checkpoint_generation(compaction->store, NULL);
    }
    compaction->waits = 0;
    return step(compaction, stat.free_pages);
}

/* ---- without ---- */

static bool is_over(const struct compaction *compaction)
{
    struct sys *sys = compaction->store->sys;
    return compaction->bytes_left == 0 ||
           (compaction->deadline_ns != UINT64_MAX &&
            sys->ops->now_ns(sys) >= compaction->deadline_ns);
}

static scn_status tell(const struct compaction *compaction, const scn_hooks *hooks)
{
    if (hooks->progress == NULL ||
        hooks->progress(hooks->user, compaction->done_bytes,
                        compaction->expected_bytes) == 0)
        return SCN_OK;
    return error_set(SCN_INTERRUPTED, 0, 0, 0,
                     "the compaction was ended by the program; what is done stays done");
}

static bool is_longer(const struct compaction *compaction)
{
    return atomic_load(&compaction->store->file.page_count) > compaction->goal_pages;
}

/* What was freed in the last generation that moved something is free before the next. */
static scn_status shorten(void *ctx)
{
    struct compaction *compaction = ctx;
    struct store *store = compaction->store;
    if (!is_longer(compaction))
        return SCN_OK;
    return compaction->shortenings++ % 3 == 0
               ? checkpoint_shorten(store, compaction->goal_pages)
               : checkpoint_generation(store, NULL);
}

/* [K10] Some without any change mean that there is more in the file than there was, or
 * that a reader holds it. */
static scn_status end_where_it_began(struct compaction *compaction)
{
    struct space_stat last = {0};
    struct space_stat stat;
    uint32_t quiet = 0;
    scn_status st = SCN_OK;
    while (st == SCN_OK && is_longer(compaction) && !is_over(compaction) &&
           quiet < QUIET_MAX && compaction->shortenings < SHORTENINGS_MAX) {
        st = checkpoint_hold(compaction->store, shorten, compaction);
        space_stat(compaction->store->space, &stat);
        quiet = memcmp(&stat, &last, sizeof stat) == 0 ? quiet + 1 : 0;
        last = stat;
    }
    return st;
}

/* One pass after the other, and after each what it has freed goes back. */
static scn_status run(struct compaction *compaction, const scn_hooks *hooks)
{
    scn_status st = checkpoint_run(compaction->store, CHECKPOINT_PLAIN);
    while (st == SCN_OK) {
        if (is_over(compaction))
            return SCN_END;
        st = checkpoint_hold(compaction->store, go_on, compaction);
        if (st == SCN_OK && compaction->is_finished)
            return end_where_it_began(compaction);
        if (st < 0)
            return st;
        if (compaction->pass.is_done) {
            compaction->is_planned = false;
            compaction->pass.is_done = false;
            compaction->passes++;
            st = checkpoint_run(compaction->store, CHECKPOINT_DRAIN);
        }
        if (st == SCN_OK)
            st = tell(compaction, hooks);
    }
    return st;
}

static scn_status read_options(const scn_compact_options *options,
                               scn_compact_options *out)
{
    *out = (scn_compact_options){.struct_size = sizeof *out};
    if (options == NULL)
        return SCN_OK;
    if (options->struct_size < sizeof options->struct_size)
        return error_misuse("scn_compact: struct_size is not set");
    memcpy(out, options,
           options->struct_size < sizeof *out ? options->struct_size : sizeof *out);
    return SCN_OK;
}

scn_status scn_compact(scn_db *db, const scn_compact_options *options)
{
    scn_compact_options chosen;
    scn_status st = db_check_write(db);
    if (st == SCN_OK)
        st = read_options(options, &chosen);
    if (st == SCN_OK)
        st = checkpoint_check_caller(db->store);
    if (st < 0)
        return st;
    struct sys *sys = db->store->sys;
    struct compaction compaction = {
        .store = db->store,
        .bytes_left = chosen.max_bytes ? chosen.max_bytes : UINT64_MAX,
        .deadline_ns = chosen.budget_ms ? sys->ops->now_ns(sys) +
                                              chosen.budget_ms * UINT64_C(1000000)
                                        : UINT64_MAX,
    };
    st = file_learn_size(&compaction.store->file);
    compaction.goal_pages = (uint32_t)atomic_load(&compaction.store->file.page_count);
    if (st == SCN_OK)
        st = run(&compaction, &chosen.hooks);
    relocation_destroy(&compaction.pass.relocation);
    return st;
}
