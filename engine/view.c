/* Views and runs: see view.h. */
#include "engine/view.h"

#include "page/mem.h"

static void *copy_bytes(const void *data, size_t len)
{
    uint8_t *copy = mem_alloc(len ? len : 1);
    if (copy && len)
        memcpy(copy, data, len);
    return copy;
}

scn_status run_create(uint32_t table_id, const struct op_run *op,
                      const struct op_range *ranges, uint32_t range_count,
                      uint64_t birth_gen, struct run **out)
{
    struct run *run = mem_zalloc(sizeof *run);
    if (run == NULL)
        return error_nomem();
    atomic_init(&run->references, 1);
    run->tree = (struct tree){op->root, table_id};
    run->count = op->count;
    run->tombstones = op->tombstones;
    run->value_bytes = op->value_bytes;
    run->birth_gen = birth_gen;
    run->min = (scn_slice){copy_bytes(op->min.data, op->min.size), op->min.size};
    run->max = (scn_slice){copy_bytes(op->max.data, op->max.size), op->max.size};
    run->ranges = copy_bytes(ranges, range_count * sizeof *ranges);
    run->range_count = range_count;
    if (run->min.data == NULL || run->max.data == NULL || run->ranges == NULL) {
        run_unref(run);
        return error_nomem();
    }
    *out = run;
    return SCN_OK;
}

struct run *run_ref(struct run *run)
{
    atomic_fetch_add(&run->references, 1);
    return run;
}

void run_unref(struct run *run)
{
    if (run == NULL || atomic_fetch_sub(&run->references, 1) != 1)
        return;
    mem_free((void *)run->min.data);
    mem_free((void *)run->max.data);
    mem_free(run->ranges);
    mem_free(run);
}

scn_status view_create(uint64_t gen, uint64_t base_lsn, const struct page_ref *catalog,
                       const struct source *sources, uint32_t source_count,
                       struct view **out)
{
    struct view *view = mem_zalloc(sizeof *view + source_count * sizeof *sources);
    if (view == NULL)
        return error_nomem();
    view->references = 1;
    view->gen = gen;
    view->base_lsn = base_lsn;
    view->catalog = *catalog;
    view->source_count = source_count;
    for (uint32_t i = 0; i < source_count; i++) {
        view->sources[i] = sources[i];
        if (sources[i].delta)
            delta_ref(sources[i].delta);
        else
            run_ref(sources[i].run);
    }
    *out = view;
    return SCN_OK;
}

void view_destroy(struct view *view)
{
    if (view == NULL)
        return;
    for (uint32_t i = 0; i < view->source_count; i++) {
        if (view->sources[i].delta)
            delta_unref(view->sources[i].delta);
        else
            run_unref(view->sources[i].run);
    }
    mem_free(view);
}
