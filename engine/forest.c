/* The trees of the next generation: see forest.h. */
#include "engine/forest.h"

#include "page/mem.h"

#include <stdlib.h>

/* A page of values that holds less is worth emptying. */
enum { FULL_ENOUGH_BYTES = PAGE_BYTES / 4 * 3 };

/* ---- what a rebuild asks and tells ---- */

static scn_status next_change(void *ctx, struct change *out)
{
    struct forest *forest = ctx;
    return frozen_input_next(&forest->input, out);
}

static bool is_cleared(void *ctx, scn_slice key)
{
    struct forest *forest = ctx;
    return frozen_is_cleared(forest->frozen, forest->table_id, key);
}

static bool touches_clear(void *ctx, const scn_slice *from, const scn_slice *to)
{
    struct forest *forest = ctx;
    return frozen_touches_clear(forest->frozen, forest->table_id, from, to);
}

static scn_status page_freed(void *ctx, const struct page_ref *ref)
{
    struct forest *forest = ctx;
    return space_free(forest->store->space, ref->pgno, 1, ref->birth_gen, SPACE_PAGES);
}

static scn_status free_value_pages(void *ctx, uint32_t pgno, uint32_t count,
                                   uint64_t birth_gen, bool is_shared)
{
    struct forest *forest = ctx;
    return is_shared
               ? SCN_OK
               : space_free(forest->store->space, pgno, count, birth_gen, SPACE_PAGES);
}

static scn_status keep_value_pages(void *ctx, uint32_t pgno, uint32_t count,
                                   uint64_t birth_gen, bool is_shared)
{
    struct forest *forest = ctx;
    (void)birth_gen;
    (void)is_shared;
    run_pages_keep(&forest->run_pages, pgno, count);
    return SCN_OK;
}

static scn_status each_value_page(struct forest *forest, const struct value_ref *ref,
                                  values_page_fn fn)
{
    pool_enter(forest->frozen->reader);
    scn_status st = values_each_page(forest->frozen->reader, ref, fn, forest);
    pool_leave(forest->frozen->reader);
    return st;
}

static scn_status value_dropped(void *ctx, const struct value_ref *ref)
{
    struct forest *forest = ctx;
    if (value_ref_is_spread(ref))
        return each_value_page(forest, ref, free_value_pages);
    return usage_note(&forest->usage, ref->page.pgno, ref->page.birth_gen,
                      -(int64_t)ref->len);
}

static scn_status value_added(void *ctx, const struct value_ref *ref)
{
    struct forest *forest = ctx;
    scn_status st = SCN_OK;
    if (forest->run_pages.count)
        st = value_ref_is_spread(ref) && ref->page.birth_gen == forest->gen
                 ? SCN_OK
                 : each_value_page(forest, ref, keep_value_pages);
    if (st == SCN_OK && !value_ref_is_spread(ref))
        st = usage_note(&forest->usage, ref->page.pgno, ref->page.birth_gen,
                        (int64_t)ref->len);
    return st;
}

/* A poisoned file, or a host that wants to stop. */
static scn_status step(void *ctx)
{
    struct forest *forest = ctx;
    return file_check_poison(&forest->store->file);
}

static scn_status add_root(struct forest *forest, uint32_t table_id,
                           const struct catalog_root *root)
{
    scn_status st = mem_make_room(&forest->roots, &forest->root_capacity,
                                  forest->root_count + 1, sizeof *forest->roots);
    if (st == SCN_OK)
        forest->roots[forest->root_count++] = (struct new_root){table_id, *root};
    return st;
}

static scn_status read_old_root(struct forest *forest, uint32_t table_id,
                                struct catalog_root *out)
{
    pool_enter(forest->frozen->reader);
    scn_status st = catalog_read_root(forest->frozen->reader,
                                      &forest->frozen->view->catalog, table_id, out);
    pool_leave(forest->frozen->reader);
    return st;
}

static void fill_job(struct forest *forest, struct rebuild *job, uint32_t table_id,
                     const struct catalog_root *old)
{
    *job = (struct rebuild){
        .reader = forest->store->maintenance_reader,
        .writer = forest->writer,
        .old = {old->root, table_id},
        .stat = old->stat,
        .page_freed = page_freed,
        .value_dropped = value_dropped,
        .value_added = value_added,
        .step = step,
        .ctx = forest,
    };
}

static scn_status no_change(void *ctx, struct change *out)
{
    (void)ctx;
    (void)out;
    return SCN_END;
}

static bool all_is_cleared(void *ctx, scn_slice key)
{
    (void)ctx;
    (void)key;
    return true;
}

static bool all_touches(void *ctx, const scn_slice *from, const scn_slice *to)
{
    (void)ctx;
    (void)from;
    (void)to;
    return true;
}

/* ---- what moves ---- */

static scn_status lies_behind(void *ctx, uint32_t pgno, uint32_t count,
                              uint64_t birth_gen, bool is_shared)
{
    struct forest *forest = ctx;
    (void)birth_gen;
    (void)is_shared;
    forest->judged_moves |= pgno + count > forest->pass->relocation.from;
    return SCN_OK;
}

static scn_status judge_page(struct forest *forest, uint32_t pgno)
{
    uint32_t live;
    scn_status st = usage_read(forest->frozen->reader, &forest->old_usage, pgno, &live);
    forest->judged_moves = pgno >= forest->pass->relocation.from ||
                           (live > 0 && live < FULL_ENOUGH_BYTES);
    return st;
}

/* Neighbours mostly share their page. */
static scn_status judge(void *ctx, const struct value_ref *ref, bool *moves)
{
    struct forest *forest = ctx;
    uint32_t pgno = ref->page.pgno;
    scn_status st = SCN_OK;
    if (value_ref_is_spread(ref)) {
        forest->judged_pgno = 0;
        forest->judged_moves = false;
        st = each_value_page(forest, ref, lies_behind);
    } else if (forest->judged_pgno != pgno) {
        st = judge_page(forest, pgno);
        forest->judged_pgno = pgno;
    }
    *moves = forest->judged_moves;
    return st;
}

static scn_status begin_pass(struct forest *forest)
{
    struct catalog_root root;
    if (forest->pass == NULL)
        return SCN_OK;
    scn_status st = read_old_root(forest, TABLE_USAGE, &root);
    forest->old_usage = (struct tree){root.root, TABLE_USAGE};
    forest->pass->relocation.judge = judge;
    forest->pass->relocation.ctx = forest;
    return st < 0 ? st : SCN_OK; /* there may be no such table yet */
}

/* Where the budget is spent, the pass stays in the table where it was. */
static struct relocation *relocation_for(struct forest *forest, uint32_t table_id)
{
    struct forest_pass *pass = forest->pass;
    if (pass == NULL)
        return forest->moves_tables ? &forest->tail : NULL;
    if (table_id < pass->table_id || pass->relocation.budget_bytes == 0)
        return NULL;
    if (table_id > pass->table_id)
        relocation_rewind(&pass->relocation);
    return &pass->relocation;
}

/* Where the budget lasted, the table is done. */
static void note_pass(struct forest *forest, uint32_t table_id, const struct rebuild *job)
{
    struct forest_pass *pass = forest->pass;
    if (pass == NULL || job->relocation == NULL)
        return;
    bool is_done = pass->relocation.budget_bytes > 0 || pass->relocation.is_at_end;
    pass->table_id = table_id + is_done;
    if (is_done)
        relocation_rewind(&pass->relocation);
}

static scn_status rebuild_table(struct forest *forest, uint32_t table_id)
{
    struct catalog_root root;
    struct rebuild job;
    bool exists;
    uint32_t flags;
    scn_status st = frozen_table_flags(forest->frozen, table_id, &exists, &flags);
    if (st == SCN_OK)
        st = read_old_root(forest, table_id, &root);
    if (st < 0)
        return st;
    fill_job(forest, &job, table_id, &root);
    job.compress = (flags & SCN_COMPRESS) != 0;
    job.next = next_change;
    if (frozen_has_clears(forest->frozen, table_id)) {
        job.is_cleared = is_cleared;
        job.touches_clear = touches_clear;
    }
    job.relocation = relocation_for(forest, table_id);
    if (!exists) {
        job.next = no_change;
        job.is_cleared = all_is_cleared;
        job.touches_clear = all_touches;
    }
    forest->table_id = table_id;
    st = frozen_input_open(&forest->input, forest->frozen, table_id, forest->gen);
    if (st == SCN_OK)
        st = rebuild_tree(&job, &root.root);
    frozen_input_close(&forest->input);
    root.stat = job.stat;
    if (st == SCN_OK)
        note_pass(forest, table_id, &job);
    return st < 0 ? st : add_root(forest, table_id, &root);
}

static scn_status rebuild_tables(struct forest *forest)
{
    uint32_t *ids = NULL;
    uint32_t count = 0;
    scn_status st = run_pages_adopt(&forest->run_pages, forest->frozen->sources,
                                    forest->frozen->source_count, forest->store->space);
    if (st == SCN_OK)
        st = begin_pass(forest);
    if (st == SCN_OK)
        st = frozen_tables(forest->frozen, forest->moves_tables || forest->pass, &ids,
                           &count);
    for (uint32_t i = 0; i < count && st == SCN_OK; i++)
        st = rebuild_table(forest, ids[i]);
    mem_free(ids);
    if (forest->pass && forest->pass->relocation.budget_bytes > 0)
        forest->pass->is_done = true;
    return st < 0 ? st : run_pages_free_rest(&forest->run_pages, forest->store->space);
}

static scn_status rebuild_usage(struct forest *forest)
{
    struct catalog_root root;
    struct rebuild job;
    if (forest->usage.count == 0 && forest->tail.from == 0)
        return SCN_OK;
    scn_status st = read_old_root(forest, TABLE_USAGE, &root);
    if (st < 0 || (forest->usage.count == 0 && page_ref_is_null(&root.root)))
        return st < 0 ? st : SCN_OK;
    fill_job(forest, &job, TABLE_USAGE, &root);
    job.relocation = &forest->tail;
    st = usage_rebuild(&forest->usage, &job, forest->frozen->reader, forest->store->space,
                       &root.root);
    root.stat = job.stat;
    return st < 0 ? st : add_root(forest, TABLE_USAGE, &root);
}

/* The catalog's changes: what transactions wrote, then the roots. 'R' sorts behind all
 * letters that transactions write, so the second stream simply follows the first. */
struct catalog_feed {
    struct forest *forest;
    uint32_t next_root;
    uint32_t turn;
    uint8_t keys[2][CATALOG_KEY_MAX];
    uint8_t rows[2][CATALOG_ROOT_BYTES];
};

static scn_status next_catalog_change(void *ctx, struct change *out)
{
    struct catalog_feed *feed = ctx;
    struct forest *forest = feed->forest;
    scn_status st = frozen_input_next(&forest->input, out);
    if (st != SCN_END)
        return st;
    if (feed->next_root == forest->root_count)
        return SCN_END;
    const struct new_root *root = &forest->roots[feed->next_root++];
    uint32_t turn = feed->turn ^= 1;
    *out = (struct change){.key = catalog_key_root(feed->keys[turn], root->table_id),
                           .kind = CHANGE_DELETE};
    if (!page_ref_is_null(&root->root.root)) {
        catalog_root_encode(&root->root, feed->rows[turn]);
        out->kind = CHANGE_PUT;
        out->value = (scn_slice){feed->rows[turn], CATALOG_ROOT_BYTES};
    }
    return SCN_OK;
}

static scn_status catalog_page_freed(void *ctx, const struct page_ref *ref)
{
    struct catalog_feed *feed = ctx;
    return page_freed(feed->forest, ref);
}

/* Rows are short and lie in their leaves, in files of ours. */
static scn_status value_outside(void *ctx, const struct value_ref *ref)
{
    (void)ctx;
    return error_corrupt(ref->page.pgno, 0, "catalog: a row lies outside its leaf");
}

static int by_table(const void *left, const void *right)
{
    const struct new_root *a = left;
    const struct new_root *b = right;
    return (a->table_id > b->table_id) - (a->table_id < b->table_id);
}

static scn_status rebuild_catalog(struct forest *forest)
{
    struct catalog_feed feed = {.forest = forest};
    struct catalog_root old = {.root = forest->frozen->view->catalog};
    struct rebuild job;
    if (forest->root_count)
        qsort(forest->roots, forest->root_count, sizeof *forest->roots, by_table);
    fill_job(forest, &job, TABLE_CATALOG, &old);
    job.next = next_catalog_change;
    job.page_freed = catalog_page_freed;
    job.value_dropped = value_outside;
    job.value_added = value_outside;
    job.step = NULL;
    job.is_uncounted = true;
    job.relocation = &forest->tail;
    job.ctx = &feed;
    scn_status st = frozen_input_open(&forest->input, forest->frozen, TABLE_CATALOG,
                                      forest->gen);
    if (st == SCN_OK)
        st = rebuild_tree(&job, &forest->catalog);
    frozen_input_close(&forest->input);
    return st;
}

/* ---- all of them ---- */

void forest_destroy(struct forest *forest)
{
    usage_destroy(&forest->usage);
    run_pages_destroy(&forest->run_pages);
    mem_free(forest->roots);
}

scn_status forest_rebuild(struct forest *forest, struct page_ref *catalog)
{
    scn_status st = rebuild_tables(forest);
    if (st == SCN_OK)
        st = rebuild_usage(forest);
    if (st == SCN_OK)
        st = rebuild_catalog(forest);
    if (st == SCN_OK)
        st = writer_flush(forest->writer);
    *catalog = forest->catalog;
    return st;
}
