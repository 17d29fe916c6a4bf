/* scn_check: is the file what it should be?
 *
 * The check holds CHECKPOINT, so the newest generation stays the newest, nothing of it is
 * freed and nobody gives out pages; whoever only reads holds it shared, which keeps
 * checkpoints away as well.  What goes on beside it only adds: records to the
 * log, extents and bulk runs in reserved pages.  So everything a superblock leads to can
 * be read from the file as it lies there, and is judged with that superblock alone:
 *
 *     slots -> allocation state from disk (used, freed) -> owners claim their pages:
 *         fixed pages, the state's own pages, the log's extents and spares,
 *         catalog -> tables -> values, usage rows, bulk runs
 *     -> used pages without an owner
 *
 * The log does change.  A scan that meets a record half written takes it for a torn tail,
 * and one that runs beside appenders may even believe to have found damage; then it is
 * repeated while nobody appends, and only that counts. */
#include "engine/store.h"

#include "engine/ancestry.h"
#include "engine/catalog.h"
#include "engine/checkpoint.h"
#include "engine/peers.h"
#include "engine/recovery.h"
#include "engine/treecheck.h"
#include "page/hash.h"
#include "page/mem.h"
#include "page/pagecopy.h"
#include "page/utf8.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* What the catalog says of a table, in up to three rows. */
struct name_row {
    uint32_t table_id;
    uint64_t name_hash;
};

struct root_row {
    uint32_t table_id;
    struct catalog_root root;
};

struct rows {
    void *items;
    uint32_t count;
    uint32_t capacity;
};

struct check {
    struct store *store;
    struct findings findings;
    struct superblock superblock; /* the newest, as this process knows it */
    struct space *space;          /* as it lies on disk; NULL: it cannot be read */
    struct claims claims;
    struct treecheck *trees;
    struct log_spare *extents; /* of the log */
    uint32_t extent_count;
    uint32_t extent_capacity;
    bool log_is_whole;
    struct rows names; /* struct name_row, of 'N' rows */
    struct rows ids;   /* struct name_row, of 'I' rows */
    struct rows roots; /* struct root_row */
    uint32_t next_id;  /* of the '#' row */
};

static scn_status take_lock(struct store *store, enum lock_kind kind)
{
    uint32_t timeout_ms = store->options.busy_timeout_ms;
    return store->is_read_only ? lock_take_shared(&store->locks, kind, timeout_ms)
                               : lock_take(&store->locks, kind, timeout_ms);
}

static scn_status found(struct check *check, uint32_t kind, const char *what)
{
    return findings_add(&check->findings, kind, 0, 0, "%s", what);
}

/* ---- superblocks ---- */

static scn_status check_slot(struct check *check, uint32_t idx, const char *why,
                             enum superblock_verdict verdict)
{
    static const char *const names[] = {"good", "blank", "not ours", "damaged",
                                        "of a newer version"};
    if (verdict == SUPERBLOCK_GOOD)
        return SCN_OK;
    return findings_add(&check->findings, SCN_ISSUE_SLOT, idx, (uint64_t)idx * PAGE_BYTES,
                        "superblock %" PRIu32 " is %s%s%s: only one generation is left",
                        idx, names[verdict], why ? ": " : "", why ? why : "");
}

/* The older generation was opened, because this one could not be read. */
static scn_status check_newer(struct check *check, uint32_t idx,
                              const struct superblock *sb)
{
    if (sb->gen <= check->superblock.gen)
        return SCN_OK;
    return findings_add(&check->findings, SCN_ISSUE_SLOT, idx, (uint64_t)idx * PAGE_BYTES,
                        "superblock %" PRIu32 " has generation %" PRIu64
                        ", which cannot be used: %" PRIu64 " is open",
                        idx, sb->gen, check->superblock.gen);
}

static scn_status check_slots(struct check *check)
{
    struct store *store = check->store;
    bool has_newest = false;
    scn_status st = SCN_OK;
    for (uint32_t i = 0; i < 2 && st == SCN_OK; i++) {
        struct superblock sb;
        enum superblock_verdict verdict;
        const char *why;
        st = superblock_read(&store->file, i, &sb, &verdict, &why);
        if (st < 0)
            return findings_add_error(&check->findings, SCN_ISSUE_SLOT, st);
        has_newest |= verdict == SUPERBLOCK_GOOD && sb.gen == check->superblock.gen &&
                      sb.gen_id == check->superblock.gen_id;
        st = check_slot(check, i, why, verdict);
        if (st == SCN_OK && verdict == SUPERBLOCK_GOOD)
            st = check_newer(check, i, &sb);
    }
    if (st == SCN_OK && !has_newest)
        st = found(check, SCN_ISSUE_SLOT,
                   "no superblock has the generation that is open");
    uint64_t pages = atomic_load(&store->file.page_count);
    if (st == SCN_OK && pages < check->superblock.needed_pages)
        st = findings_add(&check->findings, SCN_ISSUE_SPACE, 0, 0,
                          "the file has %" PRIu64 " pages, but needs %" PRIu32
                          ": it was cut",
                          pages, check->superblock.needed_pages);
    return st;
}

/* ---- what the superblock leads to ---- */

static scn_status load_space(struct check *check)
{
    const struct superblock *sb = &check->superblock;
    scn_status st = space_create(check->store->sys, &check->space);
    if (st < 0)
        return st;
    st = page_ref_is_null(&sb->space) ? space_init_new(check->space, sb->page_count)
                                      : space_load(check->space, &check->store->file,
                                                   &sb->space, sb->page_count, sb->gen);
    if (st == SCN_OK) {
        space_mature(check->space, NULL, 0); /* as recovery does */
        return SCN_OK;
    }
    space_destroy(check->space);
    check->space = NULL;
    return findings_add_error(&check->findings, SCN_ISSUE_SPACE, st);
}

static scn_status check_catalog_root(struct check *check)
{
    const struct page_ref *root = &check->superblock.catalog;
    if (page_ref_is_null(root))
        return SCN_OK;
    uint8_t *image = NULL;
    scn_status st = pagecopy_reserve(&image);
    if (st < 0)
        return st;
    st = pagecopy_read(&check->store->file, root, image);
    pagecopy_free(image);
    return st == SCN_OK ? st : findings_add_error(&check->findings, SCN_ISSUE_PAGE, st);
}

/* ---- the log ---- */

static scn_status add_extent(struct check *check, uint32_t pgno, uint32_t pages)
{
    for (uint32_t i = 0; i < check->extent_count; i++)
        if (check->extents[i].pgno == pgno)
            return SCN_OK;
    scn_status st = mem_make_room(&check->extents, &check->extent_capacity,
                                  check->extent_count + 1, sizeof *check->extents);
    if (st == SCN_OK)
        check->extents[check->extent_count++] = (struct log_spare){pgno, pages};
    return st;
}

static scn_status note_extent(void *ctx, const struct log_visit *visit)
{
    if (visit->record.type != RECORD_EXTENT)
        return SCN_OK;
    return add_extent(ctx, visit->extent.pgno, visit->extent.pages);
}

/* *is_good: the log is whole up to what was durable before. */
static scn_status scan_log(struct check *check, bool *is_good,
                           struct log_scan_result *result)
{
    struct store *store = check->store;
    const struct superblock *sb = &check->superblock;
    uint64_t synced = store->is_read_only ? sb->base.lsn : log_synced(store->log);
    check->extent_count = 0;
    scn_status st = add_extent(check, sb->base.extent_pgno, sb->base.extent_pages);
    if (st == SCN_OK)
        st = log_scan(&store->file, sb->uuid, &sb->base, synced, false, note_extent,
                      check, result);
    *is_good = st == SCN_OK && result->kind != LOG_END_CORRUPT &&
               result->end.lsn >= synced;
    return st;
}

static scn_status scan_log_alone(struct check *check, bool *is_good,
                                 struct log_scan_result *result)
{
    struct store *store = check->store;
    scn_status st = take_lock(store, LOCK_APPEND);
    if (st < 0)
        return st;
    st = scan_log(check, is_good, result);
    lock_give(&store->locks, LOCK_APPEND);
    return st;
}

static scn_status check_log(struct check *check)
{
    struct log_scan_result result;
    bool is_good;
    scn_status st = scan_log(check, &is_good, &result);
    if (st == SCN_OK && !is_good)
        st = scan_log_alone(check, &is_good, &result);
    if (st != SCN_OK)
        return findings_add_error(&check->findings, SCN_ISSUE_LOG, st);
    check->log_is_whole = is_good;
    if (is_good)
        return SCN_OK;
    return findings_add(
        &check->findings, SCN_ISSUE_LOG, result.bad_off / PAGE_BYTES, result.bad_off,
        "the log is damaged at offset %" PRIu64 " before acknowledged commits: %s",
        result.bad_off, result.why ? result.why : "it ends there");
}

/* The generation knows of the extent where its log begins, and of its spares. */
static enum claim_kind kind_of_extent(const struct superblock *sb, uint32_t pgno)
{
    bool is_known = pgno == sb->base.extent_pgno;
    for (uint32_t i = 0; i < sb->spare_count; i++)
        is_known |= pgno == sb->spares[i].pgno;
    return is_known ? CLAIM_USED : CLAIM_EITHER;
}

static scn_status claim_log(struct check *check)
{
    const struct superblock *sb = &check->superblock;
    scn_status st = SCN_OK;
    for (uint32_t i = 0; i < sb->spare_count && st == SCN_OK; i++)
        st = add_extent(check, sb->spares[i].pgno, sb->spares[i].pages);
    for (uint32_t i = 0; i < check->extent_count && st == SCN_OK; i++) {
        const struct log_spare *extent = &check->extents[i];
        bool is_new;
        st = claims_take(&check->claims, extent->pgno, extent->pages,
                         kind_of_extent(sb, extent->pgno), "the log", &is_new);
    }
    return st;
}

/* ---- fixed pages and the allocation state ---- */

static scn_status claim_own(void *ctx, uint32_t pgno)
{
    struct check *check = ctx;
    bool is_new;
    return claims_take(&check->claims, pgno, 1, CLAIM_USED, "the allocation state",
                       &is_new);
}

static scn_status claim_fixed(struct check *check)
{
    bool is_new;
    scn_status st = claims_take(&check->claims, 0, FIRST_FREE_PAGE_NO, CLAIM_USED,
                                "the fixed pages", &is_new);
    if (st == SCN_OK && check->space)
        st = space_each_own(check->space, claim_own, check);
    return st;
}

/* ---- the catalog ---- */

static scn_status rows_add(struct rows *rows, const void *item, size_t size)
{
    scn_status st = mem_make_room(&rows->items, &rows->capacity, rows->count + 1, size);
    if (st == SCN_OK)
        memcpy((uint8_t *)rows->items + rows->count++ * size, item, size);
    return st;
}

static scn_status note_name(struct check *check, const struct leaf_record *record)
{
    struct name_row row = {.table_id = get_u32(record->payload),
                           .name_hash = hash64(record->key + 1, record->key_len - 1)};
    return rows_add(&check->names, &row, sizeof row);
}

static scn_status note_id(struct check *check, const struct leaf_record *record)
{
    struct name_row row = {
        .table_id = get_be32(record->key + 1),
        .name_hash = hash64(record->payload + 4, record->payload_len - 4u)};
    return rows_add(&check->ids, &row, sizeof row);
}

static scn_status note_root(struct check *check, const struct leaf_record *record)
{
    struct root_row row = {.table_id = get_be32(record->key + 1)};
    catalog_root_decode(record->payload, &row.root);
    return rows_add(&check->roots, &row, sizeof row);
}

static scn_status note_catalog_row(void *ctx, const struct leaf_record *record)
{
    struct check *check = ctx;
    uint8_t letter = record->key[0];
    bool is_inline = record->kind == LEAF_INLINE;
    if (is_inline && letter == 'N' && record->payload_len == 4 && record->key_len > 1 &&
        utf8_is_text(record->key + 1, record->key_len - 1u))
        return note_name(check, record);
    if (is_inline && letter == 'I' && record->key_len == 5 && record->payload_len > 4)
        return note_id(check, record);
    if (is_inline && letter == 'R' && record->key_len == 5 &&
        record->payload_len == CATALOG_ROOT_BYTES)
        return note_root(check, record);
    if (is_inline && letter == '#' && record->key_len == 1 && record->payload_len == 4) {
        check->next_id = get_u32(record->payload);
        return SCN_OK;
    }
    if (is_inline &&
        ancestry_row_is_right((scn_slice){record->key, record->key_len},
                              (scn_slice){record->payload, record->payload_len}))
        return SCN_OK;
    return findings_add(&check->findings, SCN_ISSUE_CATALOG,
                        check->superblock.catalog.pgno, 0,
                        "the catalog has a malformed row of kind 0x%02x", letter);
}

static int by_table(const void *left, const void *right)
{
    const struct name_row *a = left;
    const struct name_row *b = right;
    return (a->table_id > b->table_id) - (a->table_id < b->table_id);
}

static scn_status catalog_fault(struct check *check, uint32_t table_id, const char *what)
{
    return findings_add(&check->findings, SCN_ISSUE_CATALOG,
                        check->superblock.catalog.pgno, 0, "table %" PRIu32 ": %s",
                        table_id, what);
}

/* Each name has its id and each id its name. */
static scn_status match_names(struct check *check)
{
    struct name_row *names = check->names.items;
    const struct name_row *ids =
        check->ids.items; /* in the order of their keys: by number */
    uint32_t n = 0;
    uint32_t i = 0;
    scn_status st = SCN_OK;
    if (check->names.count)
        qsort(names, check->names.count, sizeof *names, by_table);
    while (st == SCN_OK && (n < check->names.count || i < check->ids.count)) {
        bool has_name = n < check->names.count &&
                        (i == check->ids.count || names[n].table_id <= ids[i].table_id);
        bool has_id = i < check->ids.count &&
                      (n == check->names.count || ids[i].table_id <= names[n].table_id);
        if (has_name && !has_id)
            st = catalog_fault(check, names[n].table_id,
                               "a name leads to it, but it does not exist");
        else if (has_id && !has_name)
            st = catalog_fault(check, ids[i].table_id, "no name leads to it");
        else if (names[n].name_hash != ids[i].name_hash)
            st = catalog_fault(check, ids[i].table_id,
                               "it has another name than the one that leads to it");
        else if (ids[i].table_id < TABLE_FIRST_USER || ids[i].table_id >= check->next_id)
            st = catalog_fault(check, ids[i].table_id,
                               "it has a number that was never given");
        n += has_name;
        i += has_id;
    }
    return st;
}

static bool has_id(const struct check *check, uint32_t table_id)
{
    struct name_row key = {.table_id = table_id};
    return table_id == TABLE_USAGE ||
           (check->ids.count && bsearch(&key, check->ids.items, check->ids.count,
                                        sizeof(struct name_row), by_table) != NULL);
}

static scn_status check_catalog(struct check *check)
{
    struct tree tree = {check->superblock.catalog, TABLE_CATALOG};
    struct treecheck_total total;
    scn_status st = treecheck_run(check->trees, &tree, CLAIM_USED, note_catalog_row,
                                  check, &total);
    if (st != SCN_OK || !total.is_whole)
        return st;
    st = match_names(check);
    const struct root_row *roots = check->roots.items;
    for (uint32_t i = 0; i < check->roots.count && st == SCN_OK; i++)
        if (!has_id(check, roots[i].table_id))
            st = catalog_fault(check, roots[i].table_id,
                               "it has rows, but does not exist");
    return st;
}

/* ---- tables ---- */

static scn_status compare_count(struct check *check, uint32_t table_id, const char *what,
                                uint64_t said, uint64_t is)
{
    if (said == is)
        return SCN_OK;
    return findings_add(&check->findings, SCN_ISSUE_COUNT, check->superblock.catalog.pgno,
                        0,
                        "table %" PRIu32 " has %" PRIu64 " %s, but its row says %" PRIu64,
                        table_id, is, what, said);
}

static scn_status check_table(struct check *check, const struct root_row *row,
                              scn_status (*record)(void *, const struct leaf_record *))
{
    struct tree tree = {row->root.root, row->table_id};
    const struct rebuild_stat *stat = &row->root.stat;
    struct treecheck_total total;
    scn_status st = treecheck_run(check->trees, &tree, CLAIM_USED, record, check, &total);
    if (st != SCN_OK || !total.is_whole)
        return st;
    st = compare_count(check, row->table_id, "rows", stat->count, total.count);
    if (st == SCN_OK)
        st = compare_count(check, row->table_id, "bytes of keys", stat->key_bytes,
                           total.key_bytes);
    if (st == SCN_OK)
        st = compare_count(check, row->table_id, "bytes of values", stat->value_bytes,
                           total.value_bytes);
    if (st == SCN_OK)
        st = compare_count(check, row->table_id, "pages", stat->pages, total.pages);
    return st;
}

/* A row of the usage table, after all values have been claimed. */
static scn_status settle_usage_row(void *ctx, const struct leaf_record *record)
{
    struct check *check = ctx;
    struct claims *claims = &check->claims;
    if (record->kind != LEAF_INLINE || record->key_len != 4 || record->payload_len != 12)
        return found(check, SCN_ISSUE_USAGE, "the usage table has a malformed row");
    uint32_t pgno = get_be32(record->key);
    uint32_t said = get_u32(record->payload);
    uint32_t is = pgno < claims->page_count ? claims->live[pgno] : 0;
    if (pgno < claims->page_count)
        claims->live[pgno] = 0;
    if (said == is || !claims->is_whole)
        return SCN_OK;
    return findings_add(
        &check->findings, SCN_ISSUE_USAGE, pgno, (uint64_t)pgno * PAGE_BYTES,
        "value page %" PRIu32 " has %" PRIu32 " live bytes, but its row says %" PRIu32,
        pgno, is, said);
}

static scn_status check_unsettled(struct check *check)
{
    struct claims *claims = &check->claims;
    scn_status st = SCN_OK;
    for (uint32_t pgno = 0; pgno < claims->page_count && st == SCN_OK; pgno++)
        if (claims->live[pgno] && claims->is_whole)
            st = findings_add(
                &check->findings, SCN_ISSUE_USAGE, pgno, (uint64_t)pgno * PAGE_BYTES,
                "value page %" PRIu32 " has %" PRIu32 " live bytes, but no row", pgno,
                claims->live[pgno]);
    return st;
}

static scn_status check_tables(struct check *check)
{
    const struct root_row *roots = check->roots.items;
    const struct root_row *usage = NULL;
    scn_status st = SCN_OK;
    for (uint32_t i = 0; i < check->roots.count && st == SCN_OK; i++) {
        if (roots[i].table_id == TABLE_USAGE)
            usage = &roots[i];
        else
            st = check_table(check, &roots[i], NULL);
    }
    if (st == SCN_OK && usage)
        st = check_table(check, usage, settle_usage_row);
    return st == SCN_OK ? check_unsettled(check) : st;
}

/* ---- bulk runs ---- */

static scn_status check_run(struct check *check, const struct run *run)
{
    struct treecheck_total total;
    scn_status st = treecheck_run(check->trees, &run->tree, CLAIM_LATER, NULL, NULL,
                                  &total);
    if (st == SCN_OK && total.is_whole &&
        (total.count + total.tombstones != run->count ||
         total.tombstones != run->tombstones))
        st = findings_add(&check->findings, SCN_ISSUE_COUNT, run->tree.root.pgno, 0,
                          "a bulk run of table %" PRIu32 " has %" PRIu64
                          " rows and %" PRIu64
                          " tombstones, but its record says otherwise",
                          run->tree.table_id, total.count, total.tombstones);
    return st;
}

static scn_status check_runs(struct check *check, const struct view *view)
{
    scn_status st = SCN_OK;
    for (uint32_t i = 0; i < view->source_count && st == SCN_OK; i++)
        if (view->sources[i].run)
            st = check_run(check, view->sources[i].run);
    return st;
}

/* ---- all of it ---- */

/* No run is younger.  Who only reads has not learnt anew which generation comes next. */
static uint64_t newest_birth(const struct check *check)
{
    uint64_t before_next = check->store->next_gen - 1;
    return before_next > check->superblock.gen ? before_next : check->superblock.gen;
}

/* The file's size comes after everything that may lie at its end: runs, extents. */
static scn_status begin_claims(struct check *check)
{
    struct file *file = &check->store->file;
    scn_status st = file_learn_size(file);
    uint32_t pages = (uint32_t)atomic_load(&file->page_count);
    if (st == SCN_OK)
        st = claims_init(&check->claims, &check->findings, check->space, pages);
    check->claims.is_whole = check->log_is_whole;
    if (st == SCN_OK)
        st = treecheck_create(file, &check->findings, &check->claims,
                              &check->store->options.hooks, check->superblock.gen,
                              newest_birth(check), &check->trees);
    return st;
}

static scn_status check_everything(struct check *check, const struct view *view)
{
    scn_status st = check_log(check);
    if (st == SCN_OK)
        st = begin_claims(check);
    if (st == SCN_OK)
        st = claim_fixed(check);
    if (st == SCN_OK)
        st = claim_log(check);
    if (st == SCN_OK)
        st = check_catalog(check);
    if (st == SCN_OK)
        st = check_tables(check);
    if (st == SCN_OK)
        st = check_runs(check, view);
    return st == SCN_OK ? claims_judge(&check->claims) : st;
}

static scn_status check_levels(struct check *check, int level)
{
    uint64_t visible;
    scn_status st = check_slots(check);
    if (st == SCN_OK)
        st = load_space(check);
    if (st == SCN_OK && level == SCN_CHECK_QUICK)
        st = check_catalog_root(check);
    if (st != SCN_OK || level == SCN_CHECK_QUICK)
        return st;
    struct view *view = store_view(check->store, &visible);
    st = check_everything(check, view);
    store_view_release(check->store, view);
    return st;
}

static void release(struct check *check)
{
    treecheck_destroy(check->trees);
    claims_destroy(&check->claims);
    space_destroy(check->space);
    mem_free(check->extents);
    mem_free(check->names.items);
    mem_free(check->ids.items);
    mem_free(check->roots.items);
}

/* The generation is then the file's newest, and stays it.  Who only reads cannot settle
 * what a checkpoint that died has left, and goes by what was published. */
static scn_status learn_generation(struct check *check)
{
    struct store *store = check->store;
    const struct sys_ops *ops = store->sys->ops;
    scn_status st = store->is_read_only ? peers_follow(store) : recovery_adopt(store);
    if (st == SCN_OK)
        st = file_learn_size(&store->file);
    ops->mutex_lock(store->state_mutex);
    check->superblock = store->superblock;
    ops->mutex_unlock(store->state_mutex);
    return st;
}

static scn_status run_locked(struct store *store, int level, struct check *check)
{
    scn_status st = take_lock(store, LOCK_CHECKPOINT);
    if (st < 0)
        return st;
    st = learn_generation(check);
    if (st == SCN_OK)
        st = check_levels(check, level);
    lock_give(&store->locks, LOCK_CHECKPOINT);
    return st;
}

scn_status scn_check(scn_db *db, int level, scn_status (*fn)(void *, const scn_issue *),
                     void *ctx, uint64_t *issues)
{
    scn_status st = db_check(db);
    if (issues)
        *issues = 0;
    if (st < 0)
        return st;
    if (level != SCN_CHECK_QUICK && level != SCN_CHECK_ALL)
        return error_misuse(
            "scn_check: level %d; there are SCN_CHECK_QUICK and SCN_CHECK_ALL", level);
    st = checkpoint_check_caller(db->store);
    if (st < 0)
        return st;
    struct check *check = mem_zalloc(sizeof *check);
    if (check == NULL)
        return error_nomem();
    check->store = db->store;
    check->findings = (struct findings){.fn = fn, .ctx = ctx};
    st = run_locked(db->store, level, check);
    if (issues)
        *issues = check->findings.count;
    release(check);
    mem_free(check);
    return st;
}
