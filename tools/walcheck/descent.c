/* Walking down trees: see descent.h. */
#include "tools/walcheck/descent.h"

#include "page/inner.h"
#include "page/mem.h"

#include <inttypes.h>

struct step {
    struct page_ref ref;
    uint32_t idx;
    uint32_t end; /* of the children on the way; 0 for a leaf, and for a page that is
                     not entered */
    struct keyrange range;
    uint8_t *image;
    struct page_ref held; /* the page that is in it, or that could not be read; or null */
    bool is_good;
    bool is_new; /* what is wrong with it was not told yet */
};

struct descent {
    struct subject *subject;
    struct findings *findings;
    struct step path[TREE_LEVEL_MAX];
    /* of the tree under way */
    const struct descent_tree *tree;
    const struct descent_visitor *visitor;
    uint64_t pages;
    uint64_t entered;
    bool is_whole;
};

/* ---- ranges ---- */

static int compare(const struct bound *bound, const uint8_t *key, size_t len)
{
    return bytes_compare(key, len, bound->bytes, bound->len);
}

/* What of the range is in the other one, too.  Bounds are borrowed. */
static void narrow(struct keyrange *range, const struct keyrange *by)
{
    if (by->from.is_set && (!range->from.is_set ||
                            compare(&range->from, by->from.bytes, by->from.len) > 0))
        range->from = by->from;
    if (by->to.is_set &&
        (!range->to.is_set || compare(&range->to, by->to.bytes, by->to.len) < 0))
        range->to = by->to;
}

static bool range_is_empty(const struct keyrange *range)
{
    return range->from.is_set && range->to.is_set &&
           compare(&range->to, range->from.bytes, range->from.len) >= 0;
}

/* ---- life ---- */

scn_status descent_create(struct subject *subject, struct findings *findings,
                          struct descent **out)
{
    *out = mem_zalloc(sizeof **out);
    if (*out == NULL)
        return error_nomem();
    (*out)->subject = subject;
    (*out)->findings = findings;
    return SCN_OK;
}

void descent_destroy(struct descent *descent)
{
    if (descent == NULL)
        return;
    for (int i = 0; i < TREE_LEVEL_MAX; i++) {
        keyrange_free(&descent->path[i].range);
        pagecopy_free(descent->path[i].image);
    }
    mem_free(descent);
}

/* ---- one page ---- */

static void fault(struct descent *descent, uint32_t pgno, const char *what)
{
    findings_note(descent->findings, FINDING_TREE, pgno, (uint64_t)pgno * PAGE_BYTES,
                  "page %" PRIu32 " of %s: %s", pgno, descent->tree->owner, what);
}

/* What all pages on the way to path[at], and that one, promise together.  Borrowed. */
static struct keyrange reach_of(const struct descent *descent, uint32_t at)
{
    struct keyrange reach = {0};
    for (uint32_t i = 0; i <= at; i++)
        narrow(&reach, &descent->path[i].range);
    return reach;
}

/* What lies below the page cannot be reached. */
static scn_status lose(struct descent *descent, struct step *step)
{
    step->end = 0;
    descent->is_whole = false;
    if (descent->visitor->lost == NULL)
        return SCN_OK;
    struct keyrange reach = reach_of(descent, (uint32_t)(step - descent->path));
    return descent->visitor->lost(descent->visitor->ctx, &reach, step->ref.pgno);
}

static scn_status skip(struct descent *descent, struct step *step, const char *what)
{
    fault(descent, step->ref.pgno, what);
    return lose(descent, step);
}

static void check_keys(struct descent *descent, const struct step *step)
{
    const char *why = keyrange_fault(&step->range, step->image);
    if (why && step->is_new)
        fault(descent, step->ref.pgno, why);
}

static scn_status visit_records(struct descent *descent, struct step *step)
{
    const struct keyrange *within = descent->tree->within;
    uint32_t count = leaf_count(step->image);
    uint32_t i = 0;
    bool is_equal;
    scn_status st = SCN_OK;
    if (within && within->from.is_set)
        i = leaf_seek(step->image, within->from.bytes, (uint32_t)within->from.len,
                      &is_equal);
    for (; i < count && st >= 0; i++) {
        struct leaf_record record;
        leaf_at(step->image, i, &record);
        if (within && !keyrange_has(within, record.key, record.key_len))
            break;
        st = descent->visitor->record(descent->visitor->ctx, &record, step->ref.pgno);
    }
    return st;
}

/* The children in which keys of the range may be: those between the two that have its
 * borders. */
static void choose_children(const struct descent *descent, struct step *step)
{
    const struct keyrange *within = descent->tree->within;
    step->end = inner_count(step->image);
    if (within && within->from.is_set)
        step->idx = inner_find(step->image, within->from.bytes,
                               (uint32_t)within->from.len);
    if (within && within->to.is_set)
        step->end =
            inner_find(step->image, within->to.bytes, (uint32_t)within->to.len) + 1;
}

/* NULL: the pointer can lead to a page of this tree. */
static const char *strange_pointer(const struct descent *descent,
                                   const struct page_ref *ref)
{
    uint8_t type = ref->level ? PAGE_INNER : PAGE_LEAF;
    if (ref->level >= TREE_LEVEL_MAX || ref->type != type)
        return "its pointer leads to no page of a tree";
    if (ref->birth_gen > ref->link_gen || ref->link_gen > descent->tree->gen)
        return "its pointer is newer than the generation";
    if (descent->entered == descent->tree->pages_max)
        return "the tree has more pages than the file";
    return NULL;
}

/* Nor can another pointer say of the page that it is something else. */
static bool is_held(const struct step *step)
{
    const struct page_ref *held = &step->held;
    const struct page_ref *ref = &step->ref;
    return page_ref_equal(held, ref) && held->type == ref->type &&
           held->level == ref->level && held->hint == ref->hint;
}

/* What cannot be read is told when it is tried. */
static scn_status read_image(struct descent *descent, struct step *step)
{
    step->is_new = !is_held(step);
    if (!step->is_new)
        return SCN_OK;
    step->held = (struct page_ref){0};
    scn_status st = subject_page(descent->subject, &step->ref, step->image);
    step->is_good = st == SCN_OK;
    if (st < 0)
        st = findings_note_error(descent->findings, FINDING_PAGE, st);
    if (st == SCN_OK)
        step->held = step->ref;
    return st;
}

static scn_status read_step(struct descent *descent, struct step *step, bool *is_good)
{
    struct page_header header;
    *is_good = false;
    scn_status st = read_image(descent, step);
    if (st < 0 || !step->is_good)
        return st < 0 ? st : lose(descent, step);
    descent->pages++;
    page_header_decode(step->image, &header);
    if (header.table_id != descent->tree->table_id)
        return skip(descent, step, "it is another table's");
    *is_good = true;
    return SCN_OK;
}

/* The page of path[at], whose ref and range are set. */
static scn_status visit(struct descent *descent, uint32_t at)
{
    struct step *step = &descent->path[at];
    const struct descent_visitor *visitor = descent->visitor;
    bool is_good;
    step->idx = 0;
    step->end = 0;
    const char *why = strange_pointer(descent, &step->ref);
    if (why)
        return skip(descent, step, why);
    scn_status st = pagecopy_reserve(&step->image);
    if (st < 0)
        return st;
    if (visitor->may_enter && !visitor->may_enter(visitor->ctx, &step->ref))
        return lose(descent, step);
    descent->entered++;
    st = read_step(descent, step, &is_good);
    if (st < 0 || !is_good)
        return st;
    check_keys(descent, step);
    if (step->ref.level == 0)
        return visit_records(descent, step);
    choose_children(descent, step);
    return SCN_OK;
}

/* ---- the way ---- */

/* Nothing of what is looked for can be below path[at]. */
static bool is_apart(const struct descent *descent, uint32_t at)
{
    if (descent->tree->within == NULL)
        return false;
    struct keyrange reach = reach_of(descent, at);
    narrow(&reach, descent->tree->within);
    return range_is_empty(&reach);
}

static scn_status visit_child(struct descent *descent, uint32_t at)
{
    struct step *parent = &descent->path[at];
    struct step *child = &descent->path[at + 1];
    uint32_t idx = parent->idx++;
    child->ref = page_ref_decode(inner_ref(parent->image, idx));
    child->idx = 0;
    child->end = 0;
    scn_status st =
        keyrange_of_child(&child->range, &parent->range, parent->image, idx);
    if (st < 0 || is_apart(descent, at + 1))
        return st;
    if (child->ref.level + 1 != parent->ref.level)
        return skip(descent, child, "it is not one level below its parent");
    return visit(descent, at + 1);
}

static scn_status walk(struct descent *descent)
{
    struct step *path = descent->path;
    path[0].ref = descent->tree->root;
    keyrange_clear(&path[0].range);
    scn_status st = visit(descent, 0);
    /* Each level is one lower than the one before. */
    for (uint32_t at = 0; st >= 0;) {
        if (path[at].idx < path[at].end)
            st = visit_child(descent, at++);
        else if (at == 0)
            break;
        else
            at--;
    }
    return st < 0 ? st : SCN_OK;
}

scn_status descent_run(struct descent *descent, const struct descent_tree *tree,
                       const struct descent_visitor *visitor, uint64_t *pages,
                       bool *is_whole)
{
    descent->tree = tree;
    descent->visitor = visitor;
    descent->pages = 0;
    descent->entered = 0;
    descent->is_whole = true;
    scn_status st = page_ref_is_null(&tree->root) ? SCN_OK : walk(descent);
    if (pages)
        *pages = descent->pages;
    *is_whole = descent->is_whole;
    return st;
}
