/* Applying a COMMIT record: see apply.h.
 *
 * An operation goes to the newest delta of the new list, the `target`. A run is put in
 * front of it, so what follows the run needs a delta of its own; so do range deletions
 * that follow puts, because within one delta and LSN puts win (delta.h, D3). */
#include "engine/apply.h"

#include "engine/catalog.h"
#include "engine/room.h"
#include "page/mem.h"

/* Where the walk over a record's operations stands; the same in both steps. */
struct walk {
    struct delta *target;
    uint32_t next;     /* first source of the list not yet passed */
    bool has_puts;     /* in target */
    bool needs_target; /* a run lies in front of it */
};

struct need {
    uint64_t count;
    uint64_t key_bytes;
    uint64_t value_bytes;
};

static bool needs_new_delta(const struct walk *walk, const struct op *op)
{
    return walk->needs_target || (op->code == OP_CLEAR && walk->has_puts);
}

/* ---- preparing ---- */

static scn_status push(struct apply *apply, struct source source)
{
    void *grown = mem_grow(apply->sources, apply->count * sizeof source,
                           (apply->count + 1) * sizeof source);
    if (grown == NULL)
        return error_nomem();
    apply->sources = grown;
    apply->sources[apply->count++] = source;
    return SCN_OK;
}

static scn_status push_delta(struct store *store, struct apply *apply, struct walk *walk)
{
    struct source source = {0};
    scn_status st = delta_create(store_appended(store), &source.delta);
    if (st == SCN_OK)
        st = push(apply, source);
    if (st < 0) {
        if (source.delta)
            delta_unref(source.delta);
        return st;
    }
    walk->target = source.delta;
    walk->has_puts = false;
    walk->needs_target = false;
    return SCN_OK;
}

static scn_status read_ranges(const struct op_run *run, struct op_range **out)
{
    struct op_range *ranges = mem_alloc((run->range_count + 1) * sizeof *ranges);
    uint64_t cursor = 0;
    uint32_t count = 0;
    if (ranges == NULL)
        return error_nomem();
    while (count < run->range_count && op_run_range(run, &cursor, &ranges[count]))
        count++;
    if (count != run->range_count) {
        mem_free(ranges);
        return error_corrupt(run->root.pgno, 0,
                             "log: the page ranges of a bulk run are malformed");
    }
    *out = ranges;
    return SCN_OK;
}

/* The file had the pages, durably, before the record was written. */
static scn_status reserve_ranges(struct store *store, const struct op_range *ranges,
                                 uint64_t count)
{
    uint64_t file_pages = atomic_load(&store->file.page_count);
    for (uint64_t i = 0; i < count; i++) {
        if ((uint64_t)ranges[i].pgno + ranges[i].pages > file_pages)
            return error_corrupt(ranges[i].pgno, 0,
                                 "log: a bulk run has pages behind the end of the file");
        scn_status st = store->space ? space_reserve(store->space, ranges[i].pgno,
                                                     ranges[i].pages)
                                     : SCN_OK;
        if (st < 0)
            return st;
    }
    return SCN_OK;
}

static void note_key(struct store *store, const scn_slice *key)
{
    if (key->size > atomic_load_explicit(&store->longest_key, memory_order_relaxed))
        atomic_store(&store->longest_key, key->size);
}

static scn_status push_run(struct store *store, struct apply *apply, const struct op *op,
                           enum apply_origin origin)
{
    struct op_range *ranges = NULL;
    struct source source = {0};
    scn_status st = read_ranges(&op->run, &ranges);
    if (st == SCN_OK && origin == APPLY_RECOVERED)
        st = reserve_ranges(store, ranges, op->run.range_count);
    if (st == SCN_OK)
        st = run_create(op->table_id, &op->run, ranges, (uint32_t)op->run.range_count,
                        op->run.root.birth_gen, &source.run);
    if (st == SCN_OK)
        st = push(apply, source);
    uint64_t pages = 0;
    for (uint64_t i = 0; st == SCN_OK && i < op->run.range_count; i++)
        pages += ranges[i].pages;
    note_key(store, &op->run.max);
    apply->ops += op->run.count;
    if (op->run.root.birth_gen > apply->newest_birth)
        apply->newest_birth = op->run.root.birth_gen;
    apply->run_pages += room_for_run(store, op->run.count, pages);
    if (st < 0)
        run_unref(source.run);
    mem_free(ranges);
    return st;
}

/* Every operation of one target may be in a table of its own. */
static scn_status reserve(struct delta *target, struct need *need)
{
    scn_status st = need->count ? delta_reserve(target, need->count, need->key_bytes,
                                                need->value_bytes, need->count)
                                : SCN_OK;
    *need = (struct need){0};
    return st;
}

/* What plan has learned on its way. */
struct planning {
    struct walk walk;
    struct need need;        /* of the target */
    struct need active_need; /* of the active delta, when it is no longer the target */
    uint64_t run_count;
    uint32_t table_id; /* of the operation before; 0: none */
};

static scn_status reserve_target(struct store *store, struct planning *plan)
{
    if (plan->walk.target == store->active)
        plan->active_need = plan->need;
    return reserve(plan->walk.target, &plan->need);
}

static scn_status plan_op(struct store *store, struct apply *apply, const struct op *op,
                          struct planning *plan)
{
    scn_status st = SCN_OK;
    if (needs_new_delta(&plan->walk, op)) {
        st = reserve_target(store, plan);
        if (st == SCN_OK)
            st = push_delta(store, apply, &plan->walk);
    }
    /* Of a range only the leaves at its ends are written again. */
    apply->ops += op->code == OP_CLEAR ? (uint64_t)op->has_from + op->has_to : 1;
    apply->bytes += op->key.size + op->value.size;
    note_key(store, &op->key);
    plan->need.count++;
    plan->need.key_bytes += op->key.size;
    plan->need.value_bytes += op->value.size;
    plan->walk.has_puts |= op->code != OP_CLEAR;
    return st;
}

/* Each run is noted in the active delta, for table versions. */
static scn_status reserve_for_runs(struct store *store, struct planning *plan)
{
    if (plan->run_count == 0)
        return SCN_OK;
    plan->active_need.count += plan->run_count;
    return reserve(store->active, &plan->active_need);
}

/* What this process has encoded needs no judge. */
static scn_status judge_op(const struct op *op)
{
    bool has_key = op->key.size > 0 || (op->code != OP_PUT && op->code != OP_DEL);
    if ((op->table_id >= TABLE_FIRST_USER && has_key) ||
        (op->table_id == TABLE_CATALOG && catalog_op_is_possible(op)))
        return SCN_OK;
    return error_corrupt(0, 0, "log: operation %d in table %u is impossible", op->code,
                         op->table_id);
}

static scn_status plan(struct store *store, struct apply *apply, enum apply_origin origin)
{
    struct planning plan = {.walk = {.target = store->active}};
    struct ops_reader reader;
    struct op op;
    scn_status st;
    ops_reader_init(&reader, apply->payload, apply->len);
    while ((st = ops_next(&reader, &op)) == SCN_OK) {
        st = origin != APPLY_OWN ? judge_op(&op) : SCN_OK;
        if (st < 0)
            return st;
        apply->tables += op.table_id != plan.table_id && op.table_id != TABLE_CATALOG;
        plan.table_id = op.table_id;
        if (op.code == OP_RUN) {
            st = push_run(store, apply, &op, origin);
            plan.walk.needs_target = true;
            plan.run_count++;
        } else {
            st = plan_op(store, apply, &op, &plan);
        }
        if (st < 0)
            return st;
    }
    if (st != SCN_END)
        return st;
    st = reserve_target(store, &plan);
    if (st == SCN_OK)
        st = reserve_for_runs(store, &plan);
    return st == SCN_OK && plan.walk.needs_target ? push_delta(store, apply, &plan.walk)
                                                  : st;
}

scn_status apply_prepare(struct store *store, const void *payload, size_t len,
                         enum apply_origin origin, struct apply *out)
{
    *out = (struct apply){.payload = payload, .len = len};
    scn_status st = plan(store, out, origin);
    if (st == SCN_OK && out->count)
        st = store_prepare_push(store, out->sources, out->count, &out->view);
    if (st < 0)
        apply_abandon(out);
    return st;
}

static void drop_sources(struct apply *apply)
{
    for (uint32_t i = 0; i < apply->count; i++) {
        if (apply->sources[i].delta)
            delta_unref(apply->sources[i].delta);
        else
            run_unref(apply->sources[i].run);
    }
    mem_free(apply->sources);
    apply->sources = NULL;
    apply->count = 0;
}

void apply_abandon(struct apply *apply)
{
    view_destroy(apply->view);
    apply->view = NULL;
    drop_sources(apply);
}

/* ---- finishing ---- */

static void append_op(struct delta *target, const struct op *op, uint64_t lsn)
{
    switch (op->code) {
    case OP_PUT:
        delta_append(target, op->table_id, op->key, DELTA_PUT, op->value, lsn);
        break;
    case OP_DEL:
        delta_append(target, op->table_id, op->key, DELTA_TOMBSTONE, (scn_slice){NULL, 0},
                     lsn);
        break;
    default:
        delta_append_clear(target, op->table_id, op->has_from ? &op->key : NULL,
                           op->has_to ? &op->value : NULL, lsn);
    }
}

/* The delta that the plan put behind the runs passed so far. */
static void enter_next_delta(const struct apply *apply, struct walk *walk)
{
    while (apply->sources[walk->next].delta == NULL)
        walk->next++;
    walk->target = apply->sources[walk->next++].delta;
    walk->has_puts = false;
    walk->needs_target = false;
}

static void append_all(struct store *store, const struct apply *apply, uint64_t lsn)
{
    struct walk walk = {.target = store->active};
    struct ops_reader reader;
    struct op op;
    ops_reader_init(&reader, apply->payload, apply->len);
    while (ops_next(&reader, &op) == SCN_OK) {
        if (op.code == OP_RUN) {
            walk.needs_target = true;
            delta_touch(store->active, op.table_id, lsn);
            continue;
        }
        if (needs_new_delta(&walk, &op))
            enter_next_delta(apply, &walk);
        append_op(walk.target, &op, lsn);
        walk.has_puts |= op.code != OP_CLEAR;
    }
}

void apply_finish(struct store *store, struct apply *apply, uint64_t lsn)
{
    for (uint32_t i = 0; i < apply->count; i++) {
        if (apply->sources[i].delta)
            delta_set_start(apply->sources[i].delta, lsn);
        else
            apply->sources[i].run->lsn = lsn;
    }
    append_all(store, apply, lsn);
    if (apply->count)
        store_finish_push(store, apply->sources, apply->count, apply->view);
    apply->view = NULL;
    drop_sources(apply);
}

static scn_status end_delta(struct store *store, uint64_t lsn)
{
    struct apply apply = {0};
    struct walk walk = {0};
    scn_status st = push_delta(store, &apply, &walk);
    if (st == SCN_OK)
        st = store_prepare_push(store, apply.sources, apply.count, &apply.view);
    if (st < 0)
        apply_abandon(&apply);
    else
        apply_finish(store, &apply, lsn);
    return st;
}

scn_status apply_freeze(struct store *store, const struct log_base *behind)
{
    scn_status st = SCN_OK;
    if (delta_is_empty(store->active))
        delta_set_start(store->active, behind->lsn);
    else
        st = end_delta(store, behind->lsn);
    if (st < 0)
        return st;
    store->rest_base = *behind;
    store->has_commits = false;
    return SCN_OK;
}
