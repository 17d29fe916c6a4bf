/* Salvage: see salvage.h. */
#include "tools/walcheck/salvage.h"

#include "page/inner.h"
#include "tools/walcheck/content.h"
#include "tools/walcheck/descent.h"
#include "tools/walcheck/draft.h"
#include "tools/walcheck/layer.h"
#include "tools/walcheck/losses.h"
#include "tools/walcheck/survivors.h"
#include "tools/walcheck/trail.h"

/* LZ4 makes a byte out of 255 at most, and a page may be read in two layers. */
enum { RATIO_MAX = 512 };

struct rescue {
    struct subject *subject;
    const struct salvage_wishes *wishes;
    struct salvage *result;
    struct findings findings;
    struct layers layers;
    struct directory tables; /* as they will be */
    struct directory older;  /* of the older layer */
    bool has_whole_older;    /* no row of its catalog is missing */
    struct losses losses;
    struct draft draft;
    struct descent *descent[2]; /* of the layers */
    struct content *content;
    bool bridges; /* the log is whole between the bases of the layers */
    /* of the tree under way */
    uint32_t table_id;
    char owner[TABLE_OWNER_BYTES];
    bool is_run;
    bool is_filled; /* nothing was missing in the older tree */
    /* of the log under way */
    bool is_for_holes; /* only for keys that are missing */
    uint64_t until_lsn;
    uint64_t last_lsn;
    scn_status failure; /* of what was done with its operations */
};

/* ---- telling ---- */

static void tell_loss(struct rescue *rescue, struct loss *loss)
{
    const struct table *table = directory_find(&rescue->tables, loss->table_id);
    loss->table = table ? table->name : NULL;
    rescue->result->loss_count++;
    if (rescue->wishes->loss)
        rescue->wishes->loss(rescue->wishes->ctx, loss);
}

static void tell_range(struct rescue *rescue, enum loss_kind kind, uint32_t table_id,
                       const struct keyrange *range, uint32_t page)
{
    struct loss loss = {
        .kind = kind,
        .table_id = table_id,
        .page = page,
        .has_from = range->from.is_set,
        .has_to = range->to.is_set && kind != LOSS_VALUE,
        .from = bound_key(&range->from),
        .to = bound_key(&range->to),
    };
    tell_loss(rescue, &loss);
}

static void tell_gap(struct rescue *rescue, uint64_t from_lsn, uint64_t to_lsn)
{
    struct loss loss = {.kind = LOSS_LOG, .from_lsn = from_lsn, .to_lsn = to_lsn};
    if (!rescue->is_for_holes && from_lsn < to_lsn)
        tell_loss(rescue, &loss);
}

/* The log breaks off, and no record says how far it went. */
static void tell_rest(struct rescue *rescue)
{
    struct loss loss = {.kind = LOSS_LOG, .from_lsn = rescue->last_lsn};
    if (!rescue->is_for_holes)
        tell_loss(rescue, &loss);
}

/* What the older layer and the log have made good is not lost. */
static void tell_holes(struct rescue *rescue)
{
    for (uint32_t i = 0; i < rescue->losses.count; i++) {
        const struct hole *hole = &rescue->losses.holes[i];
        enum loss_kind kind = hole->is_filled  ? LOSS_OLDER
                              : hole->is_point ? LOSS_VALUE
                                               : LOSS_KEYS;
        if (!hole->is_settled && !(hole->is_filled && rescue->bridges))
            tell_range(rescue, kind, hole->table_id, &hole->range, hole->page);
    }
}

/* ---- rows ---- */

static scn_status read_value(struct rescue *rescue, const struct leaf_record *record,
                             scn_slice *bytes, bool *is_good)
{
    struct value_ref ref;
    struct content_owner owner = {rescue->table_id, rescue->owner, HOLDING_EITHER};
    *is_good = record->kind == LEAF_INLINE;
    *bytes = (scn_slice){record->payload, record->payload_len};
    if (record->kind != LEAF_REF)
        return SCN_OK;
    if (record->payload_len != VALUE_REF_BYTES ||
        value_ref_decode(record->payload, &ref) != NULL)
        return SCN_OK;
    return content_read(rescue->content, &owner, &ref, bytes, is_good);
}

/* The range of one key. */
static scn_status point_of(const struct leaf_record *record, struct keyrange *out)
{
    *out = (struct keyrange){0};
    scn_status st = bound_set(&out->from, record->key, record->key_len);
    if (st == SCN_OK)
        st = bound_set_behind(&out->to, record->key, record->key_len);
    return st;
}

static scn_status put_row(struct rescue *rescue, const struct leaf_record *record,
                          bool *is_good)
{
    scn_slice key = {record->key, record->key_len};
    scn_slice value;
    scn_status st = read_value(rescue, record, &value, is_good);
    if (st < 0 || !*is_good)
        return st;
    return draft_put(&rescue->draft, rescue->table_id, key, value);
}

/* ---- the older layer ---- */

static scn_status take_older_row(void *ctx, const struct leaf_record *record,
                                 uint32_t pgno)
{
    struct rescue *rescue = ctx;
    bool is_good;
    (void)pgno;
    scn_status st = put_row(rescue, record, &is_good);
    rescue->is_filled &= is_good;
    return st;
}

static scn_status descend(struct rescue *rescue, int layer, const struct page_ref *root,
                          const struct keyrange *within,
                          const struct descent_visitor *visitor, bool *is_whole)
{
    struct descent_tree tree = {
        .root = *root,
        .table_id = rescue->table_id,
        .gen = rescue->is_run ? SUPERBLOCK_GEN_MAX : rescue->layers.layer[layer].gen_max,
        .owner = rescue->owner,
        .within = within,
        .pages_max = atomic_load(&rescue->subject->file.page_count),
    };
    return descent_run(rescue->descent[layer], &tree, visitor, NULL, is_whole);
}

/* What the older layer has of a range.  *is_filled: all that it had. */
static scn_status fill(struct rescue *rescue, const struct keyrange *range,
                       bool *is_filled)
{
    struct descent_visitor visitor = {.ctx = rescue, .record = take_older_row};
    const struct table *table = directory_find(&rescue->older, rescue->table_id);
    bool is_whole = rescue->layers.count == 2 && rescue->has_whole_older;
    scn_status st = SCN_OK;
    rescue->is_filled = true;
    if (table && table->has_root)
        st = descend(rescue, 1, &table->root.root, range, &visitor, &is_whole);
    *is_filled = is_whole && rescue->is_filled;
    return st;
}

static scn_status lose(struct rescue *rescue, const struct keyrange *range, uint32_t pgno,
                       bool is_point)
{
    struct hole *hole;
    bool is_filled;
    scn_status st = losses_add(&rescue->losses, rescue->table_id, range, pgno, &hole);
    if (st < 0)
        return st;
    if (hole)
        hole->is_point = is_point;
    st = fill(rescue, range, &is_filled);
    if (hole)
        hole->is_filled = is_filled;
    else
        tell_range(rescue, is_point ? LOSS_VALUE : LOSS_KEYS, rescue->table_id, range,
                   pgno);
    return st;
}

/* ---- the newest layer ---- */

static scn_status lose_range(void *ctx, const struct keyrange *range, uint32_t pgno)
{
    return lose(ctx, range, pgno, false);
}

static scn_status take_row(void *ctx, const struct leaf_record *record, uint32_t pgno)
{
    struct rescue *rescue = ctx;
    struct keyrange point;
    bool is_good;
    if (record->kind == LEAF_TOMBSTONE)
        return SCN_OK;
    scn_status st = put_row(rescue, record, &is_good);
    if (st < 0 || is_good)
        return st;
    st = point_of(record, &point);
    if (st == SCN_OK)
        st = lose(rescue, &point, pgno, true);
    keyrange_free(&point);
    return st;
}

static void begin_tree(struct rescue *rescue, uint32_t table_id, bool is_run)
{
    rescue->table_id = table_id;
    rescue->is_run = is_run;
    table_owner(rescue->owner, table_id);
}

/* The table's row is missing in the catalog of the newest layer. */
static bool has_lost_row(const struct rescue *rescue, char letter, uint32_t table_id)
{
    uint8_t key[5] = {(uint8_t)letter};
    put_be32(key + 1, table_id);
    return losses_find(&rescue->losses, CATALOG_TABLE, (scn_slice){key, 5}) != NULL;
}

static scn_status take_table(struct rescue *rescue, const struct table *table)
{
    struct descent_visitor visitor = {
        .ctx = rescue, .record = take_row, .lost = lose_range};
    struct page_ref root = table->root.root;
    struct keyrange all = {0};
    bool is_whole;
    begin_tree(rescue, table->id, false);
    if (table->has_root)
        return descend(rescue, 0, &root, NULL, &visitor, &is_whole);
    if (has_lost_row(rescue, 'R', table->id))
        return lose(rescue, &all, rescue->layers.layer[0].sb->catalog.pgno, false);
    return SCN_OK;
}

static scn_status take_tables(struct rescue *rescue)
{
    scn_status st = SCN_OK;
    directory_sort(&rescue->tables);
    for (uint32_t i = 0; i < rescue->tables.count && st == SCN_OK; i++)
        if (rescue->tables.tables[i].id >= FIRST_USER_TABLE)
            st = take_table(rescue, &rescue->tables.tables[i]);
    return st;
}

/* ---- catalogs ---- */

static void decode_record(const struct leaf_record *record, struct catalog_row *row)
{
    scn_slice key = {record->key, record->key_len};
    scn_slice value = {record->payload, record->payload_len};
    *row = (struct catalog_row){.kind = CATALOG_ROW_BAD};
    if (record->kind == LEAF_INLINE)
        catalog_row_decode(key, value, row);
}

static scn_status learn_row(void *ctx, const struct leaf_record *record, uint32_t pgno)
{
    struct rescue *rescue = ctx;
    struct catalog_row row;
    (void)pgno;
    decode_record(record, &row);
    return directory_learn(&rescue->tables, &row);
}

static scn_status learn_older_row(void *ctx, const struct leaf_record *record,
                                  uint32_t pgno)
{
    struct rescue *rescue = ctx;
    struct catalog_row row;
    (void)pgno;
    decode_record(record, &row);
    return directory_learn(&rescue->older, &row);
}

static scn_status lose_rows(void *ctx, const struct keyrange *range, uint32_t pgno)
{
    struct rescue *rescue = ctx;
    struct hole *hole;
    scn_status st = losses_add(&rescue->losses, CATALOG_TABLE, range, pgno, &hole);
    if (hole)
        hole->is_filled = rescue->layers.count == 2 && rescue->has_whole_older;
    return st;
}

/* Of a table that the newest catalog does not know any more, what the older one says;
 * its rows come from the older tree. */
static scn_status learn_lost_table(struct rescue *rescue, const struct table *older)
{
    struct table *table;
    bool has_lost_id = has_lost_row(rescue, 'I', older->id);
    if (!has_lost_id && !has_lost_row(rescue, 'R', older->id))
        return SCN_OK;
    scn_status st = directory_get(&rescue->tables, older->id, &table);
    struct catalog_row row = {.kind = CATALOG_ROW_ID,
                              .table_id = older->id,
                              .flags = older->flags,
                              .name = {older->name, older->name_len}};
    if (st < 0 || table->exists || !has_lost_id || !older->exists)
        return st;
    return directory_learn(&rescue->tables, &row);
}

static scn_status read_catalogs(struct rescue *rescue)
{
    struct descent_visitor older = {.ctx = rescue, .record = learn_older_row};
    struct descent_visitor newest = {
        .ctx = rescue, .record = learn_row, .lost = lose_rows};
    const struct layer *layers = rescue->layers.layer;
    bool is_whole;
    scn_status st = SCN_OK;
    begin_tree(rescue, CATALOG_TABLE, false);
    if (rescue->layers.count == 2)
        st = descend(rescue, 1, &layers[1].sb->catalog, NULL, &older,
                     &rescue->has_whole_older);
    if (st == SCN_OK)
        st = descend(rescue, 0, &layers[0].sb->catalog, NULL, &newest, &is_whole);
    for (uint32_t i = 0; i < rescue->older.count && st == SCN_OK; i++)
        st = learn_lost_table(rescue, &rescue->older.tables[i]);
    return st;
}

/* ---- the log ---- */

static bool is_wanted(struct rescue *rescue, uint32_t table_id, scn_slice key)
{
    struct hole *hole = losses_find(&rescue->losses, table_id, key);
    if (hole && hole->is_point)
        hole->is_settled = true;
    return hole || !rescue->is_for_holes;
}

static scn_status apply_catalog(struct rescue *rescue, const struct op *op)
{
    struct catalog_row row;
    const uint8_t *key = op->key.data;
    struct table *table;
    if (op->code == OP_CLEAR || op->code == OP_RUN || op->key.size == 0 ||
        !is_wanted(rescue, CATALOG_TABLE, op->key))
        return SCN_OK;
    if (op->code == OP_PUT) {
        catalog_row_decode(op->key, op->value, &row);
        bool is_said = row.kind == CATALOG_ROW_ID || row.kind == CATALOG_ROW_NAME;
        return is_said ? directory_learn(&rescue->tables, &row) : SCN_OK;
    }
    if (op->key.size != 5 || key[0] != 'I')
        return SCN_OK;
    scn_status st = directory_get(&rescue->tables, get_be32(key + 1), &table);
    if (st == SCN_OK) {
        table->exists = false;
        table->is_dropped = true;
    }
    return st;
}

static scn_status take_run_row(void *ctx, const struct leaf_record *record, uint32_t pgno)
{
    struct rescue *rescue = ctx;
    scn_slice key = {record->key, record->key_len};
    struct keyrange point;
    bool is_good;
    if (!is_wanted(rescue, rescue->table_id, key))
        return SCN_OK;
    if (record->kind == LEAF_TOMBSTONE)
        return draft_del(&rescue->draft, rescue->table_id, key);
    scn_status st = put_row(rescue, record, &is_good);
    if (st < 0 || is_good)
        return st;
    st = point_of(record, &point);
    if (st == SCN_OK)
        tell_range(rescue, LOSS_VALUE, rescue->table_id, &point, pgno);
    keyrange_free(&point);
    return st;
}

static scn_status lose_run_rows(void *ctx, const struct keyrange *range, uint32_t pgno)
{
    struct rescue *rescue = ctx;
    tell_range(rescue, LOSS_KEYS, rescue->table_id, range, pgno);
    return SCN_OK;
}

static scn_status apply_run(struct rescue *rescue, const struct op *op)
{
    struct descent_visitor visitor = {
        .ctx = rescue, .record = take_run_row, .lost = lose_run_rows};
    bool is_whole;
    begin_tree(rescue, op->table_id, true);
    return descend(rescue, 0, &op->run.root, NULL, &visitor, &is_whole);
}

/* In the part of the log that only fills holes a range may hold keys that have been
 * written again since: the older rows in it stay. */
static scn_status apply_clear(struct rescue *rescue, const struct op *op)
{
    if (rescue->is_for_holes)
        return SCN_OK;
    return draft_clear(&rescue->draft, op->table_id, op->has_from ? &op->key : NULL,
                       op->has_to ? &op->value : NULL);
}

static scn_status apply_op(struct rescue *rescue, const struct op *op)
{
    bool has_key = op->key.size > 0 || op->code == OP_CLEAR || op->code == OP_RUN;
    if (op->table_id == CATALOG_TABLE)
        return apply_catalog(rescue, op);
    if (op->table_id < FIRST_USER_TABLE || !has_key)
        return SCN_OK;
    if (op->code == OP_CLEAR)
        return apply_clear(rescue, op);
    if (op->code == OP_RUN)
        return apply_run(rescue, op);
    if (!is_wanted(rescue, op->table_id, op->key))
        return SCN_OK;
    return op->code == OP_PUT
               ? draft_put(&rescue->draft, op->table_id, op->key, op->value)
               : draft_del(&rescue->draft, op->table_id, op->key);
}

/* A record with a malformed end is taken as far as it goes: its checksum was right. */
static scn_status apply_record(void *ctx, const struct log_visit *visit)
{
    struct rescue *rescue = ctx;
    struct ops_reader reader;
    struct op op;
    scn_status st = subject_breathe(rescue->subject);
    rescue->last_lsn = visit->end_lsn;
    if (st < 0 || visit->end_lsn > rescue->until_lsn)
        return st;
    rescue->result->record_count++;
    if (visit->record.type != RECORD_COMMIT)
        return SCN_OK;
    ops_reader_init(&reader, visit->payload, visit->payload_len);
    while ((st = ops_next(&reader, &op)) == SCN_OK) {
        st = apply_op(rescue, &op);
        if (st < 0)
            return rescue->failure = st;
    }
    return st == SCN_END || st == SCN_CORRUPT ? SCN_OK : st;
}

static scn_status apply_gap(void *ctx, const struct survivors_gap *gap)
{
    struct rescue *rescue = ctx;
    tell_gap(rescue, gap->from_lsn, gap->to_lsn);
    return SCN_OK;
}

/* The records of a log that cannot be read are as good as damaged.  Where what was read
 * cannot be written, the salvage has failed. */
static scn_status forgive(struct rescue *rescue, scn_status st)
{
    if (rescue->failure < 0)
        return rescue->failure;
    if (st != SCN_IO && st != SCN_CORRUPT)
        return st;
    tell_rest(rescue);
    return findings_note_error(&rescue->findings, FINDING_LOG, st);
}

/* Behind the last record that can be read: a log that is damaged in one place may be in
 * others, and of damage in its last batch nothing tells. */
static void tell_end(struct rescue *rescue, uint64_t watermark)
{
    if (watermark > rescue->last_lsn)
        tell_gap(rescue, rescue->last_lsn, watermark);
    else
        tell_rest(rescue);
}

static scn_status apply_log(struct rescue *rescue, const struct log_base *base,
                            uint64_t until_lsn, bool is_for_holes)
{
    struct log_scan_result end;
    struct survivors survivors;
    struct survivors_visitor visitor = {rescue, apply_gap, apply_record};
    rescue->until_lsn = until_lsn;
    rescue->is_for_holes = is_for_holes;
    rescue->last_lsn = base->lsn;
    scn_status st = log_scan(&rescue->subject->file, rescue->layers.uuid, base,
                             generations_synced(&rescue->layers.generations), false,
                             apply_record, rescue, &end);
    if (st < 0)
        return forgive(rescue, st);
    if (end.kind != LOG_END_CORRUPT)
        return SCN_OK;
    st = survivors_find(rescue->subject, rescue->layers.uuid, &end, &visitor, &survivors);
    if (st < 0)
        return forgive(rescue, st);
    tell_end(rescue, survivors.watermark);
    return SCN_OK;
}

/* Does the log lead without a gap from the older layer's base to the newest one's? */
static scn_status find_bridge(struct rescue *rescue)
{
    const struct log_base *newest = layer_base(&rescue->layers, 0);
    const struct log_base *older = layer_base(&rescue->layers, 1);
    struct findings unheard = {0};
    struct trail trail = {0};
    struct superblock sb;
    if (older == NULL)
        return SCN_OK;
    sb = *rescue->layers.layer[1].sb;
    memcpy(sb.uuid, rescue->layers.uuid, sizeof sb.uuid);
    sb.spare_count = 0;
    scn_status st = trail_follow(rescue->subject, &unheard, &sb, 0, NULL, NULL, NULL,
                                 &trail);
    rescue->bridges = st == SCN_OK && trail.end.kind != LOG_END_CORRUPT
                          ? newest == NULL || trail.last_lsn >= newest->lsn
                          : newest != NULL && trail.last_lsn >= newest->lsn;
    trail_destroy(&trail);
    return st == SCN_IO || st == SCN_CORRUPT ? SCN_OK : st;
}

/* Where the newest base is not known, the older one has to do: what lies between them is
 * in the trees already, and once more does no harm. */
static scn_status apply_logs(struct rescue *rescue)
{
    const struct log_base *newest = layer_base(&rescue->layers, 0);
    const struct log_base *older = layer_base(&rescue->layers, 1);
    bool has_holes = rescue->losses.count > 0;
    scn_status st = SCN_OK;
    if (older && (newest == NULL || (has_holes && rescue->bridges)))
        return apply_log(rescue, older, UINT64_MAX, false);
    if (older && has_holes)
        st = apply_log(rescue, older, newest->lsn, true);
    return st == SCN_OK && newest ? apply_log(rescue, newest, UINT64_MAX, false) : st;
}

/* ---- all of it ---- */

static scn_status begin(struct rescue *rescue, scn_db *out)
{
    struct subject *subject = rescue->subject;
    uint64_t pages = atomic_load(&subject->file.page_count);
    scn_status st = layers_find(subject, &rescue->layers);
    draft_begin(&rescue->draft, out, &rescue->tables,
                (pages + 1) * PAGE_BYTES * (uint64_t)RATIO_MAX);
    if (st == SCN_OK) {
        subject_pin(subject, rescue->layers.layer[0].sb->gen);
        st = file_learn_size(&subject->file);
    }
    for (int i = 0; i < 2 && st == SCN_OK; i++)
        st = descent_create(subject, &rescue->findings, &rescue->descent[i]);
    if (st == SCN_OK)
        st = content_create(subject, &rescue->findings, NULL, &rescue->content);
    return st;
}

/* A checkpoint gives pages and log of the generations before it to others: what was read
 * behind it is a prefix at best. */
static scn_status check_still(struct rescue *rescue)
{
    struct generations now;
    scn_status st = generations_read(rescue->subject, &now);
    if (st < 0 || generations_equal(&now, &rescue->layers.generations))
        return SCN_OK;
    return error_set(SCN_BUSY, 0, 0, 0,
                     "%.160s is in use, and checkpoints were made meanwhile: end who has "
                     "it open, or take a snapshot",
                     rescue->subject->file.path);
}

static scn_status rescue_all(struct rescue *rescue)
{
    scn_status st = find_bridge(rescue);
    if (st == SCN_OK)
        st = read_catalogs(rescue);
    if (st == SCN_OK)
        st = take_tables(rescue);
    if (st == SCN_OK)
        st = apply_logs(rescue);
    if (st == SCN_OK)
        st = check_still(rescue);
    if (st == SCN_OK)
        st = draft_finish(&rescue->draft);
    if (st == SCN_OK)
        tell_holes(rescue);
    return st;
}

static void rescue_end(struct rescue *rescue)
{
    draft_abandon(&rescue->draft);
    descent_destroy(rescue->descent[0]);
    descent_destroy(rescue->descent[1]);
    content_destroy(rescue->content);
    losses_destroy(&rescue->losses);
    directory_destroy(&rescue->tables);
    directory_destroy(&rescue->older);
}

static void count_tables(struct rescue *rescue)
{
    for (uint32_t i = 0; i < rescue->tables.count; i++)
        rescue->result->table_count += rescue->tables.tables[i].exists;
    rescue->result->put_count = rescue->draft.put_count;
}

scn_status salvage_run(struct sys *sys, const char *path, scn_db *out,
                       const struct salvage_wishes *wishes, struct salvage *result)
{
    struct subject subject;
    *result = (struct salvage){0};
    scn_status st = subject_open(&subject, sys, path);
    if (st != SCN_OK)
        return st;
    subject.goes_on = wishes->goes_on;
    subject.ctx = wishes->ctx;
    struct rescue rescue = {.subject = &subject, .wishes = wishes, .result = result};
    rescue.findings.tell = wishes->finding;
    rescue.findings.ctx = wishes->ctx;
    st = begin(&rescue, out);
    if (st == SCN_OK)
        st = rescue_all(&rescue);
    count_tables(&rescue);
    rescue_end(&rescue);
    subject_close(&subject);
    return st;
}
