/* Full snapshots: see export.h.
 *
 * Each table is built by rebuild_tree from an empty tree, as a bulk run is, with the rows
 * of the snapshot as its changes; so leaves, values and inner pages come from the code
 * that makes those of the store.  One tree is different: that of the usage, with a row
 * for each page of packed values, which grows while the tables are written.  Their pages
 * are sealed in the order of their numbers and the references to them come in the same
 * order, so its rows come sorted, and its leaves are cut while the tables' are. */
#include "engine/export.h"

#include "engine/catalog.h"
#include "engine/leafcut.h"
#include "engine/levels.h"
#include "engine/rowstream.h"
#include "engine/tablelist.h"
#include "page/mem.h"
#include "wal/extent.h"

enum {
    BIRTH_GEN = 1,
    FIRST_TREE_PAGE = FIRST_FREE_PAGE_NO + LOG_EXTENT_FIRST_PAGES,
    HEAD_BYTES = FIRST_TREE_PAGE * PAGE_BYTES,
    USAGE_KEY_BYTES = 4,
    USAGE_ROW_BYTES = 12
};

/* The tree of the usage, while it grows. */
struct side_tree {
    struct levels *levels;
    struct leafcut *cut;
    uint32_t pgno; /* of the row that is being summed up; 0: none */
    uint64_t bytes;
    uint64_t count;
};

/* What a table has become. */
struct exported {
    struct catalog_root root;
    struct digest digest;
};

struct export {
    struct scn_txn *txn;
    struct hostfile *to;
    struct ancestor origin;
    struct pool_reader *idle_reader; /* for rebuild_tree, which has nothing to read */
    struct table_list tables;
    struct exported *results; /* one a table */
    struct writer *writer;
    uint32_t next_pgno;
    struct side_tree usage;
    struct catalog_root usage_root;
    struct page_ref catalog;
    struct superblock superblock;
    /* the table being written */
    struct rowstream rows;
    struct digest *digest;
    /* the catalog being written */
    uint32_t next_tally; /* 0: the origin */
    uint32_t next_root;  /* 0: the usage */
    uint8_t key[CATALOG_KEY_MAX];
    uint8_t row[ANCESTRY_ORIGIN_BYTES]; /* or a root, or a tally */
};

_Static_assert((int)CATALOG_ROOT_BYTES <= (int)ANCESTRY_ORIGIN_BYTES, "a root fits");
_Static_assert((int)ANCESTRY_TALLY_BYTES <= (int)ANCESTRY_ORIGIN_BYTES, "and a tally");

/* ---- pages ---- */

static scn_status take(void *ctx, uint32_t wanted, uint32_t *pgno, uint32_t *count)
{
    struct export *export = ctx;
    if (export->next_pgno > FILE_PAGES_MAX - wanted)
        return error_set(SCN_FULL, 0, 0, 0, "snapshot: more than %u pages",
                         (unsigned)FILE_PAGES_MAX);
    *pgno = export->next_pgno;
    *count = wanted;
    export->next_pgno += wanted;
    return SCN_OK;
}

static scn_status put(void *ctx, uint32_t pgno, const void *pages, uint32_t count)
{
    struct export *export = ctx;
    return hostfile_write(export->to, (uint64_t)pgno * PAGE_BYTES, pages,
                          (uint64_t)count * PAGE_BYTES);
}

/* ---- the usage ---- */

static scn_status keep_side(void *ctx)
{
    struct side_tree *side = ctx;
    return leafcut_keep(side->cut);
}

static scn_status no_value(void *ctx, const struct value_ref *ref)
{
    (void)ctx;
    return error_corrupt(ref->page.pgno, 0, "snapshot: a row lies outside its leaf");
}

static scn_status side_open(struct export *export)
{
    struct side_tree *side = &export->usage;
    *side = (struct side_tree){0};
    scn_status st =
        levels_create(export->writer, TABLE_USAGE, keep_side, side, &side->levels);
    if (st < 0)
        return st;
    struct leafcut_options options = {.writer = export->writer,
                                      .levels = side->levels,
                                      .table_id = TABLE_USAGE,
                                      .value_added = no_value};
    st = leafcut_create(&options, &side->cut);
    if (st == SCN_OK)
        leafcut_begin(side->cut, NULL, 0);
    return st;
}

static void side_close(struct side_tree *side)
{
    leafcut_destroy(side->cut);
    levels_destroy(side->levels);
    *side = (struct side_tree){0};
}

/* The row that was summed up. */
static scn_status side_settle(struct side_tree *side)
{
    uint8_t key[USAGE_KEY_BYTES];
    uint8_t row[USAGE_ROW_BYTES];
    if (side->pgno == 0)
        return SCN_OK;
    put_be32(key, side->pgno);
    put_u32(row, (uint32_t)side->bytes);
    put_u64(row + 4, BIRTH_GEN);
    struct leaf_record record = {.key = key,
                                 .payload = row,
                                 .key_len = sizeof key,
                                 .payload_len = sizeof row,
                                 .kind = LEAF_INLINE};
    side->count++;
    side->pgno = 0;
    return leafcut_copy(side->cut, &record);
}

static scn_status value_added(void *ctx, const struct value_ref *ref)
{
    struct export *export = ctx;
    struct side_tree *side = &export->usage;
    scn_status st = SCN_OK;
    if (value_ref_is_spread(ref))
        return SCN_OK;
    if (ref->page.pgno != side->pgno) {
        ASSERT(ref->page.pgno > side->pgno);
        st = side_settle(side);
        side->bytes = 0;
    }
    side->pgno = ref->page.pgno;
    side->bytes += ref->len;
    return st;
}

static scn_status side_finish(struct export *export)
{
    struct side_tree *side = &export->usage;
    struct catalog_root *root = &export->usage_root;
    *root = (struct catalog_root){0};
    scn_status st = side_settle(side);
    if (st == SCN_OK)
        st = leafcut_flush(side->cut, true);
    if (st == SCN_OK)
        st = leafcut_keep(side->cut);
    if (st == SCN_OK)
        st = levels_finish(side->levels, &root->root);
    root->stat = (struct rebuild_stat){
        .count = side->count,
        .key_bytes = side->count * USAGE_KEY_BYTES,
        .value_bytes = side->count * USAGE_ROW_BYTES,
        .pages = leafcut_page_count(side->cut) + levels_page_count(side->levels)};
    return st;
}

/* ---- tables ---- */

static scn_status nothing_freed(void *ctx, const struct page_ref *ref)
{
    (void)ctx;
    return error_corrupt(ref->pgno, 0, "snapshot: a page of a fresh tree was freed");
}

static scn_status next_row(void *ctx, struct change *out)
{
    struct export *export = ctx;
    scn_status st = rowstream_next(&export->rows, &out->key, &out->value);
    out->kind = CHANGE_PUT;
    if (st == SCN_OK)
        digest_add_row(export->digest, out->key, out->value);
    return st;
}

static struct rebuild make_job(struct export *export, uint32_t table_id)
{
    return (struct rebuild){.reader = export->idle_reader,
                            .writer = export->writer,
                            .old = {{0}, table_id},
                            .page_freed = nothing_freed,
                            .value_dropped = no_value,
                            .value_added = value_added,
                            .ctx = export};
}

static scn_status bind_table(struct scn_txn *txn, uint32_t id, struct binding *out)
{
    struct binding *binding = NULL;
    txn_enter(txn);
    scn_status st = catalog_bind(txn, id, &binding);
    if (st == SCN_OK)
        *out = *binding;
    return txn_leave(txn, st);
}

static scn_status write_table(struct export *export, uint32_t idx)
{
    const struct table_entry *table = &export->tables.entries[idx];
    struct exported *result = &export->results[idx];
    struct rebuild job = make_job(export, table->id);
    struct binding binding;
    *result = (struct exported){0};
    export->digest = &result->digest;
    job.next = next_row;
    job.compress = (table->flags & SCN_COMPRESS) != 0;
    scn_status st = bind_table(export->txn, table->id, &binding);
    if (st == SCN_OK)
        st = rowstream_open(&export->rows, export->txn, &binding);
    if (st == SCN_OK)
        st = rebuild_tree(&job, &result->root.root);
    rowstream_close(&export->rows);
    result->root.stat = job.stat;
    return st;
}

/* ---- the catalog ---- */

static scn_status next_root(struct export *export, struct change *out)
{
    while (export->next_root <= export->tables.count) {
        uint32_t idx = export->next_root++;
        const struct catalog_root *root =
            idx == 0 ? &export->usage_root : &export->results[idx - 1].root;
        uint32_t id = TABLE_USAGE;
        if (idx > 0)
            id = export->tables.entries[idx - 1].id;
        if (page_ref_is_null(&root->root))
            continue;
        catalog_root_encode(root, export->row);
        out->key = catalog_key_root(export->key, id);
        out->value = (scn_slice){export->row, CATALOG_ROOT_BYTES};
        return SCN_OK;
    }
    return SCN_END;
}

static struct digest_sum digest_of_all(const struct export *export)
{
    struct digest_sum sum = {.low = 0};
    for (uint32_t i = 0; i < export->tables.count; i++) {
        const struct table_entry *table = &export->tables.entries[i];
        digest_add_table(&sum, &export->results[i].digest, table->flags, table->name,
                         table->name_len);
    }
    return sum;
}

static scn_status next_tally(struct export *export, struct change *out)
{
    if (export->next_tally > export->tables.count)
        return next_root(export, out);
    uint32_t idx = export->next_tally++;
    if (idx == 0) {
        export->origin.digest = digest_of_all(export);
        ancestry_origin_encode(&export->origin, export->row);
        out->key = ancestry_key_origin(export->key);
        out->value = (scn_slice){export->row, ANCESTRY_ORIGIN_BYTES};
        return SCN_OK;
    }
    ancestry_tally_encode(&export->results[idx - 1].digest, export->row);
    out->key = ancestry_key_tally(export->key, export->tables.entries[idx - 1].id);
    out->value = (scn_slice){export->row, ANCESTRY_TALLY_BYTES};
    return SCN_OK;
}

/* Names, ids and the next id of the source; its own past and its roots are not the new
 * store's, and sort behind those but for the notes. */
static scn_status next_catalog_row(void *ctx, struct change *out)
{
    struct export *export = ctx;
    out->kind = CHANGE_PUT;
    while (export->rows.merge) {
        scn_status st = rowstream_next(&export->rows, &out->key, &out->value);
        if (st < 0)
            return st;
        uint8_t letter = st == SCN_OK ? *(const uint8_t *)out->key.data : 'O';
        if (letter >= 'O')
            rowstream_close(&export->rows);
        else if (letter != 'B')
            return SCN_OK;
    }
    return next_tally(export, out);
}

static scn_status write_catalog(struct export *export)
{
    struct rebuild job = make_job(export, TABLE_CATALOG);
    struct binding catalog = catalog_binding(export->txn);
    export->next_tally = 0;
    export->next_root = 0;
    job.next = next_catalog_row;
    job.value_added = no_value;
    job.is_uncounted = true;
    scn_status st = rowstream_open(&export->rows, export->txn, &catalog);
    if (st == SCN_OK)
        st = rebuild_tree(&job, &export->catalog);
    rowstream_close(&export->rows);
    return st;
}

static scn_status write_trees(struct export *export)
{
    export->next_pgno = FIRST_TREE_PAGE;
    scn_status st =
        writer_create_for(put, BIRTH_GEN, take, export, &export->writer);
    if (st == SCN_OK)
        st = side_open(export);
    for (uint32_t i = 0; st == SCN_OK && i < export->tables.count; i++)
        st = write_table(export, i);
    if (st == SCN_OK)
        st = side_finish(export);
    if (st == SCN_OK)
        st = write_catalog(export);
    if (st == SCN_OK)
        st = writer_flush(export->writer);
    side_close(&export->usage);
    writer_destroy(export->writer);
    export->writer = NULL;
    return st;
}

/* ---- the head ---- */

static scn_status random_bytes(struct sys *sys, void *buf, size_t len)
{
    int failed = sys->ops->random(sys, buf, len);
    return failed ? error_sys(failed, 0, "no random numbers from the system") : SCN_OK;
}

static scn_status fill_superblock(struct export *export)
{
    struct sys *sys = export->txn->store->sys;
    struct superblock *sb = &export->superblock;
    uint64_t epoch = 0;
    *sb = (struct superblock){
        .version = SUPERBLOCK_VERSION, .page_bytes = PAGE_BYTES, .gen = BIRTH_GEN};
    scn_status st = random_bytes(sys, sb->uuid, sizeof sb->uuid);
    if (st == SCN_OK)
        st = random_bytes(sys, &sb->gen_id, sizeof sb->gen_id);
    if (st == SCN_OK)
        st = random_bytes(sys, &sb->previous_gen_id, sizeof sb->previous_gen_id);
    if (st == SCN_OK)
        st = random_bytes(sys, &epoch, sizeof epoch);
    sys->ops->boot_id(sys, sb->boot_id);
    sb->base = (struct log_base){.lsn = RECORD_FIRST_OFF,
                                 .epoch = record_epoch(sb->uuid, epoch),
                                 .extent_pgno = FIRST_FREE_PAGE_NO,
                                 .extent_pages = LOG_EXTENT_FIRST_PAGES,
                                 .extent_off = RECORD_FIRST_OFF};
    return st;
}

/* Without a page of allocation state all pages are used, which they are. */
static void note_trees(struct export *export)
{
    struct superblock *sb = &export->superblock;
    sb->catalog = export->catalog;
    sb->page_count = export->next_pgno;
    sb->needed_pages = export->next_pgno;
    sb->used_pages = export->next_pgno;
}

/* Generation 2 is generation 1 once more: the store begins with two good slots. */
static void encode_slots(const struct export *export, uint8_t *head)
{
    struct superblock sb = export->superblock;
    superblock_encode(&sb, head + PAGE_BYTES);
    sb.gen = BIRTH_GEN + 1;
    sb.gen_id = export->superblock.previous_gen_id;
    sb.previous_gen_id = export->superblock.gen_id;
    superblock_encode(&sb, head);
}

static void encode_extent(const struct export *export, uint8_t *head)
{
    const struct superblock *sb = &export->superblock;
    struct extent_header header = {.start_lsn = sb->base.lsn,
                                   .epoch = sb->base.epoch,
                                   .pages = LOG_EXTENT_FIRST_PAGES};
    memcpy(header.uuid, sb->uuid, sizeof header.uuid);
    extent_header_encode(&header, head + FIRST_FREE_PAGE_NO * PAGE_BYTES);
}

/* has_slots: without them nobody takes the file for a store. */
static scn_status write_head(struct export *export, bool has_slots)
{
    uint8_t *head = mem_zalloc(HEAD_BYTES);
    if (head == NULL)
        return error_nomem();
    encode_extent(export, head);
    if (has_slots)
        encode_slots(export, head);
    scn_status st = hostfile_write(export->to, 0, head, HEAD_BYTES);
    mem_free(head);
    return st;
}

static scn_status write_slots(struct export *export, bool are_blank)
{
    uint8_t *head = mem_zalloc(2 * PAGE_BYTES);
    if (head == NULL)
        return error_nomem();
    if (!are_blank)
        encode_slots(export, head);
    scn_status st = hostfile_write(export->to, 0, head, 2 * PAGE_BYTES);
    mem_free(head);
    return st;
}

/* ---- all of it ---- */

/* What was a store in this file is none any more before anything else of it is written
 * over. */
static scn_status write_seekable(struct export *export)
{
    scn_status st = write_slots(export, true);
    if (st == SCN_OK)
        st = hostfile_sync(export->to);
    if (st == SCN_OK)
        st = write_head(export, false);
    if (st == SCN_OK)
        st = write_trees(export);
    note_trees(export);
    if (st == SCN_OK)
        st = hostfile_sync(export->to);
    if (st == SCN_OK)
        st = write_slots(export, false);
    return st == SCN_OK ? hostfile_sync(export->to) : st;
}

/* The catalog's pointer has the hash of all hashes. */
static bool is_repeated(const struct export *export)
{
    const struct superblock *sb = &export->superblock;
    return sb->page_count == export->next_pgno &&
           (page_ref_is_null(&sb->catalog)
                ? page_ref_is_null(&export->catalog)
                : page_ref_equal(&sb->catalog, &export->catalog));
}

static scn_status write_stream(struct export *export)
{
    export->to->is_dry = true;
    scn_status st = write_trees(export);
    export->to->is_dry = false;
    note_trees(export);
    if (st == SCN_OK)
        st = write_head(export, true);
    if (st == SCN_OK)
        st = write_trees(export);
    if (st == SCN_OK && !is_repeated(export))
        return error_corrupt(0, 0, "snapshot: its rows have changed meanwhile");
    return st;
}

static void sum_up(const struct export *export, struct export_result *out)
{
    *out = (struct export_result){.pages = export->next_pgno,
                                  .tables = export->tables.count,
                                  .digest = export->origin.digest};
    for (uint32_t i = 0; i < export->tables.count; i++)
        out->rows += export->results[i].digest.rows;
}

static scn_status prepare(struct export *export)
{
    scn_status st = pool_reader_create(export->txn->store->pool, &export->idle_reader);
    if (st == SCN_OK)
        st = table_list_read(&export->tables, export->txn);
    if (st == SCN_OK)
        st = fill_superblock(export);
    if (st < 0)
        return st;
    export->results = mem_zalloc((export->tables.count + 1) * sizeof *export->results);
    return export->results ? SCN_OK : error_nomem();
}

scn_status export_store(struct scn_txn *txn, struct hostfile *to,
                        const struct ancestor *origin, struct export_result *out)
{
    struct export *export = mem_zalloc(sizeof *export);
    if (export == NULL)
        return error_nomem();
    *export = (struct export){.txn = txn, .to = to, .origin = *origin};
    scn_status st = prepare(export);
    if (st == SCN_OK)
        st = to->can_seek ? write_seekable(export) : write_stream(export);
    if (st == SCN_OK)
        sum_up(export, out);
    if (export->idle_reader)
        pool_reader_destroy(export->idle_reader);
    table_list_destroy(&export->tables);
    mem_free(export->results);
    mem_free(export);
    return st;
}
