/* Checking a tree: see treecheck.h.
 *
 * The walk keeps one page image a level, its own copy.  So nothing of the pool is used or
 * driven out, what is judged is what lies in the file, and no epoch is held while the
 * caller is told.
 *
 * Each page is claimed before it is read.  A page that was claimed before is not entered
 * again: a walk ends, whatever the pointers say, after as many pages as the file has.
 *
 * After a page that cannot be read the walk goes on behind it; is_whole then tells that
 * sums and missing owners mean nothing any more. */
#include "engine/treecheck.h"

#include "page/compress.h"
#include "page/hash.h"
#include "page/inner.h"
#include "page/keyrange.h"
#include "page/mem.h"
#include "page/pagecopy.h"
#include "page/value.h"

#include <inttypes.h>
#include <stdio.h>

enum {
    /* Values lie in key order, those of later checkpoints elsewhere: a few pages take
       turns. */
    VALUE_IMAGES = 16,
    OWNER_BYTES = 24,
    /* A few milliseconds of reading from the system's cache, and a blink from a disk. */
    BREATH_PAGES = 64
};

struct step {
    struct page_ref ref;
    uint32_t idx;
    uint32_t count; /* children; 0 for a leaf, and for a page that is not to be entered */
    struct keyrange range;
    uint8_t *image;
};

struct value_image {
    struct page_ref ref;
    uint8_t *image;
    bool is_good;
};

struct treecheck {
    struct file *file;
    struct findings *findings;
    struct claims *claims;
    const scn_hooks *hooks;
    uint64_t pages_read; /* in all runs */
    uint64_t gen;
    uint64_t run_gen;
    struct step path[TREE_LEVEL_MAX];
    struct value_image values[VALUE_IMAGES];
    uint8_t *index_image;
    uint8_t *data_image;
    struct hash_pieces *pieces;   /* of a spread value; NULL: one of them is missing */
    uint8_t *block;               /* VALUE_BLOCK_BYTES_MAX */
    struct value_ref block_owner; /* whose block is in it; page.pgno 0: none */
    /* of the tree under way */
    struct tree tree;
    enum claim_kind kind;
    char owner[OWNER_BYTES];
    scn_status (*record)(void *ctx, const struct leaf_record *record);
    void *ctx;
    struct treecheck_total total;
};

/* ---- life ---- */

scn_status treecheck_create(struct file *file, struct findings *findings,
                            struct claims *claims, const scn_hooks *hooks, uint64_t gen,
                            uint64_t run_gen, struct treecheck **out)
{
    struct treecheck *check = mem_zalloc(sizeof *check);
    if (check == NULL)
        return error_nomem();
    check->file = file;
    check->findings = findings;
    check->claims = claims;
    check->hooks = hooks;
    check->gen = gen;
    check->run_gen = run_gen;
    *out = check;
    return SCN_OK;
}

void treecheck_destroy(struct treecheck *check)
{
    if (check == NULL)
        return;
    for (int i = 0; i < TREE_LEVEL_MAX; i++) {
        keyrange_free(&check->path[i].range);
        pagecopy_free(check->path[i].image);
    }
    for (int i = 0; i < VALUE_IMAGES; i++)
        pagecopy_free(check->values[i].image);
    pagecopy_free(check->index_image);
    pagecopy_free(check->data_image);
    mem_free(check->block);
    mem_free(check);
}

/* ---- pages ---- */

static scn_status fault(struct treecheck *check, uint32_t kind, uint32_t pgno,
                        const char *what)
{
    return findings_add(check->findings, kind, pgno, (uint64_t)pgno * PAGE_BYTES,
                        "page %" PRIu32 " of %s: %s", pgno, check->owner, what);
}

static scn_status tell_progress(const struct treecheck *check)
{
    uint64_t pages = atomic_load(&check->file->page_count);
    uint64_t expected = pages > check->pages_read ? pages : check->pages_read;
    if (check->hooks->progress == NULL ||
        check->hooks->progress(check->hooks->user, check->pages_read * PAGE_BYTES,
                               expected * PAGE_BYTES) == 0)
        return SCN_OK;
    return error_set(SCN_INTERRUPTED, 0, 0, 0, "the program has stopped the check");
}

/* SCN_OK with *is_good false: it was told. */
static scn_status read_page(struct treecheck *check, const struct page_ref *ref,
                            uint8_t *image, bool *is_good)
{
    *is_good = false;
    scn_status st =
        ++check->pages_read % BREATH_PAGES == 0 ? tell_progress(check) : SCN_OK;
    if (st < 0)
        return st;
    st = pagecopy_read(check->file, ref, image);
    *is_good = st == SCN_OK;
    if (st == SCN_OK)
        return SCN_OK;
    check->claims->is_whole = false;
    check->total.is_whole = false;
    return findings_add_error(check->findings, SCN_ISSUE_PAGE, st);
}

static bool has_possible_gens(const struct treecheck *check, const struct page_ref *ref)
{
    uint64_t newest = check->kind == CLAIM_LATER ? check->run_gen : check->gen;
    return ref->birth_gen <= ref->link_gen && ref->link_gen <= newest;
}

/* ---- values ---- */

static scn_status value_fault(struct treecheck *check, const struct value_ref *ref,
                              const char *what)
{
    return findings_add(check->findings, SCN_ISSUE_VALUE, ref->page.pgno, ref->off,
                        "a value of %" PRIu64 " bytes in page %" PRIu32 " of %s: %s",
                        ref->len, ref->page.pgno, check->owner, what);
}

/* A page that several values share; *image NULL: it cannot be read, which was told. */
static scn_status packed_image(struct treecheck *check, const struct page_ref *ref,
                               uint8_t **image)
{
    struct value_image *slot = &check->values[ref->pgno % VALUE_IMAGES];
    scn_status st = SCN_OK;
    if (slot->image == NULL || !page_ref_equal(&slot->ref, ref)) {
        st = pagecopy_reserve(&slot->image);
        if (st < 0)
            return st;
        slot->ref = *ref;
        st = read_page(check, ref, slot->image, &slot->is_good);
    }
    *image = slot->is_good ? slot->image : NULL;
    return st;
}

/* The block that has the value, in check->block; false: it cannot be unpacked. */
static bool load_block(struct treecheck *check, const struct value_ref *ref,
                       const uint8_t *image)
{
    struct value_ref *owner = &check->block_owner;
    if (owner->block_raw == ref->block_raw && owner->off == ref->off &&
        page_ref_equal(&owner->page, &ref->page))
        return true;
    *owner = (struct value_ref){0};
    if (!decompress_block(image + ref->off, ref->block_stored, check->block,
                          ref->block_raw))
        return false;
    *owner = *ref;
    return true;
}

static scn_status check_packed_bytes(struct treecheck *check, const struct value_ref *ref,
                                     const uint8_t *image)
{
    struct page_header header;
    const uint8_t *data = image + ref->off;
    uint64_t stored = ref->block_stored ? ref->block_stored : ref->len;
    page_header_decode(image, &header);
    if (header.table_id != check->tree.table_id)
        return value_fault(check, ref, "its page is another table's");
    if (ref->off > header.used || stored > header.used - ref->off)
        return value_fault(check, ref, "it goes beyond the end of the data");
    if (ref->block_stored) {
        if (check->block == NULL)
            check->block = mem_alloc(VALUE_BLOCK_BYTES_MAX);
        if (check->block == NULL)
            return error_nomem();
        if (!load_block(check, ref, image))
            return value_fault(check, ref, "its block cannot be decompressed");
        data = check->block + ref->inside;
    }
    return hash64(data, ref->len) == ref->hash
               ? SCN_OK
               : value_fault(check, ref, "it has another hash");
}

static scn_status check_packed(struct treecheck *check, const struct value_ref *ref)
{
    bool is_new;
    bool is_bad;
    uint8_t *image = NULL;
    scn_status st = claims_share(check->claims, ref->page.pgno, check->kind, check->owner,
                                 ref->len, &is_new, &is_bad);
    if (st == SCN_OK && !is_bad)
        st = packed_image(check, &ref->page, &image);
    return st == SCN_OK && image ? check_packed_bytes(check, ref, image) : st;
}

/* Data page number `idx` of a spread value, of which the index in hand says `part`. */
static scn_status check_data_page(struct treecheck *check, const struct value_ref *ref,
                                  const struct page_ref *index, uint32_t idx,
                                  const struct value_part *part)
{
    bool is_good = false;
    bool is_last = idx + 1 == value_page_count(ref->len);
    uint64_t bytes = is_last ? ref->len - (uint64_t)idx * VALUE_SPREAD_BYTES
                             : VALUE_SPREAD_BYTES;
    struct page_header header;
    struct page_ref data = {
        .hash = part->hash,
        .birth_gen = index->birth_gen,
        .pgno = part->pgno,
        .type = PAGE_VALUES,
    };
    scn_status st = claims_take(check->claims, part->pgno, 1, check->kind, check->owner,
                                &is_good);
    if (st == SCN_OK && is_good)
        st = read_page(check, &data, check->data_image, &is_good);
    if (st == SCN_OK && is_good) {
        page_header_decode(check->data_image, &header);
        if (header.used < PAGE_HEADER_BYTES + bytes) {
            is_good = false;
            st = value_fault(check, ref, "one of its pages is too short");
        }
    }
    if (!is_good)
        check->pieces = NULL;
    else if (check->pieces)
        hash_add(check->pieces, check->data_image + PAGE_HEADER_BYTES, bytes);
    return st;
}

/* One index page's share of a spread value's data pages. */
static scn_status check_data_pages(struct treecheck *check, const struct value_ref *ref,
                                   const struct page_ref *index, uint32_t first,
                                   uint32_t count)
{
    scn_status st = pagecopy_reserve(&check->data_image);
    for (uint32_t i = 0; i < count && st == SCN_OK; i++) {
        struct value_part part = value_index_part(check->index_image, i);
        st = check_data_page(check, ref, index, first + i, &part);
    }
    return st;
}

/* Whose pages are behind a wrong index, nobody can say. */
static scn_status index_fault(struct treecheck *check, const struct value_ref *ref,
                              const char *what)
{
    check->claims->is_whole = false;
    return value_fault(check, ref, what);
}

/* An index page that leads to the data pages from number `done` on; *count of them, 0
 * where nothing behind it can be followed. */
static scn_status check_index_page(struct treecheck *check, const struct value_ref *ref,
                                   const struct page_ref *index, uint32_t done,
                                   uint32_t *count)
{
    uint32_t left = value_page_count(ref->len) - done;
    bool is_good = false;
    *count = 0;
    if (page_ref_is_null(index) || index->type != PAGE_VALUE_INDEX)
        return index_fault(check, ref, "its index ends before it");
    scn_status st = claims_take(check->claims, index->pgno, 1, check->kind, check->owner,
                                &is_good);
    if (st == SCN_OK && is_good)
        st = read_page(check, index, check->index_image, &is_good);
    if (st != SCN_OK || !is_good)
        return st;
    if (value_index_count(check->index_image) !=
        (left < VALUE_INDEX_FANOUT ? left : VALUE_INDEX_FANOUT))
        return index_fault(check, ref, "its index has another length than it");
    *count = value_index_count(check->index_image);
    return check_data_pages(check, ref, index, done, *count);
}

/* The index pages lead from one to the next; each is claimed, so they cannot run in a
 * circle. */
static scn_status check_spread(struct treecheck *check, const struct value_ref *ref)
{
    uint32_t pages = value_page_count(ref->len);
    struct page_ref index = ref->page;
    struct hash_pieces pieces;
    hash_begin(&pieces);
    check->pieces = &pieces;
    scn_status st = pagecopy_reserve(&check->index_image);
    for (uint32_t done = 0; done < pages && st == SCN_OK;) {
        uint32_t count;
        st = check_index_page(check, ref, &index, done, &count);
        if (st != SCN_OK || count == 0)
            return st;
        done += count;
        index = value_index_next(check->index_image);
    }
    if (st == SCN_OK && !page_ref_is_null(&index))
        return index_fault(check, ref, "its index goes on behind it");
    if (st == SCN_OK && check->pieces && hash_end(&pieces) != ref->hash)
        return value_fault(check, ref, "it has another hash");
    return st;
}

static scn_status check_value(struct treecheck *check, const struct leaf_record *record)
{
    struct value_ref ref;
    const char *why = record->payload_len == VALUE_REF_BYTES
                          ? value_ref_decode(record->payload, &ref)
                          : "it is no reference to a value";
    if (why)
        return fault(check, SCN_ISSUE_VALUE, check->path[check->tree.root.level].ref.pgno,
                     why);
    check->total.value_bytes += ref.len;
    if (!has_possible_gens(check, &ref.page))
        return value_fault(check, &ref, "its pointer is newer than the generation");
    return value_ref_is_spread(&ref) ? check_spread(check, &ref)
                                     : check_packed(check, &ref);
}

/* ---- leaves ---- */

static scn_status check_keys(struct treecheck *check, const struct step *step)
{
    const char *why = keyrange_fault(&step->range, step->image);
    return why ? fault(check, SCN_ISSUE_TREE, step->ref.pgno, why) : SCN_OK;
}

static scn_status check_record(struct treecheck *check, const struct leaf_record *record,
                               uint32_t pgno)
{
    scn_status st = SCN_OK;
    if (record->kind == LEAF_TOMBSTONE) {
        check->total.tombstones++;
        return check->kind == CLAIM_LATER
                   ? SCN_OK
                   : fault(check, SCN_ISSUE_TREE, pgno, "it has a tombstone");
    }
    check->total.count++;
    check->total.key_bytes += record->key_len;
    if (record->kind == LEAF_REF)
        st = check_value(check, record);
    else
        check->total.value_bytes += record->payload_len;
    return st == SCN_OK && check->record ? check->record(check->ctx, record) : st;
}

static scn_status check_leaf(struct treecheck *check, struct step *step)
{
    uint32_t count = leaf_count(step->image);
    scn_status st = check_keys(check, step);
    for (uint32_t i = 0; i < count && st == SCN_OK; i++) {
        struct leaf_record record;
        leaf_at(step->image, i, &record);
        st = check_record(check, &record, step->ref.pgno);
    }
    return st;
}

/* ---- the walk ---- */

static scn_status check_inner(struct treecheck *check, struct step *step)
{
    step->count = inner_count(step->image);
    return check_keys(check, step);
}

/* NULL: the pointer can lead to a page of this tree. */
static const char *strange_pointer(const struct treecheck *check,
                                   const struct page_ref *ref)
{
    uint8_t type = ref->level ? PAGE_INNER : PAGE_LEAF;
    if (ref->level >= TREE_LEVEL_MAX || ref->type != type)
        return "its pointer leads to no page of a tree";
    if (!has_possible_gens(check, ref))
        return "its pointer is newer than the generation";
    return NULL;
}

static scn_status skip(struct treecheck *check, uint32_t pgno, const char *what)
{
    check->claims->is_whole = false;
    check->total.is_whole = false;
    return fault(check, SCN_ISSUE_TREE, pgno, what);
}

/* The page of path[at], whose ref and range are set. */
static scn_status visit(struct treecheck *check, uint32_t at)
{
    struct step *step = &check->path[at];
    struct page_header header;
    bool is_good = false;
    step->idx = 0;
    step->count = 0;
    const char *why = strange_pointer(check, &step->ref);
    if (why)
        return skip(check, step->ref.pgno, why);
    scn_status st = pagecopy_reserve(&step->image);
    if (st == SCN_OK)
        st = claims_take(check->claims, step->ref.pgno, 1, check->kind, check->owner,
                         &is_good);
    if (st == SCN_OK && !is_good)
        check->total.is_whole = false;
    if (st == SCN_OK && is_good)
        st = read_page(check, &step->ref, step->image, &is_good);
    if (st != SCN_OK || !is_good)
        return st;
    check->total.pages++;
    page_header_decode(step->image, &header);
    if (header.table_id != check->tree.table_id)
        return skip(check, step->ref.pgno, "it is another table's");
    return step->ref.level ? check_inner(check, step) : check_leaf(check, step);
}

static scn_status visit_child(struct treecheck *check, uint32_t at)
{
    struct step *parent = &check->path[at];
    struct step *child = &check->path[at + 1];
    uint32_t idx = parent->idx++;
    child->ref = page_ref_decode(inner_ref(parent->image, idx));
    child->count = 0;
    scn_status st =
        keyrange_of_child(&child->range, &parent->range, parent->image, idx);
    if (st < 0)
        return st;
    if (child->ref.level + 1 != parent->ref.level)
        return skip(check, parent->ref.pgno, "a child is not one level lower");
    return visit(check, at + 1);
}

static scn_status walk(struct treecheck *check)
{
    struct step *path = check->path;
    path[0].ref = check->tree.root;
    keyrange_clear(&path[0].range);
    scn_status st = visit(check, 0);
    for (uint32_t at = 0; st == SCN_OK;) {
        if (path[at].idx < path[at].count)
            st = visit_child(check, at++);
        else if (at == 0)
            break;
        else
            at--;
    }
    return st;
}

scn_status
treecheck_run(struct treecheck *check, const struct tree *tree, enum claim_kind kind,
              scn_status (*record)(void *ctx, const struct leaf_record *record),
              void *ctx, struct treecheck_total *total)
{
    check->tree = *tree;
    check->kind = kind;
    check->record = record;
    check->ctx = ctx;
    check->total = (struct treecheck_total){.is_whole = true};
    snprintf(check->owner, sizeof check->owner, "table %" PRIu32, tree->table_id);
    scn_status st = page_ref_is_null(&tree->root) ? SCN_OK : walk(check);
    *total = check->total;
    return st;
}
