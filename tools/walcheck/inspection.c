/* Inspecting a file: see inspection.h. */
#include "tools/walcheck/inspection.h"

#include "page/mem.h"
#include "page/publish.h"
#include "tools/walcheck/content.h"
#include "tools/walcheck/descent.h"
#include "tools/walcheck/holding.h"

#include <inttypes.h>

enum {
    /* A commit writes its record in microseconds: a log that looks damaged so often in a
     * row, while the page that tells its end does not change, is. */
    LOG_TRIES = 20,
    /* A checkpoint lies between two changes of the superblocks. */
    TRIES = 4
};

/* ---- one look ---- */

struct look {
    struct subject *subject;
    const struct inspection_wishes *wishes;
    struct inspection *out;
    const struct superblock *sb;
    struct space *space; /* NULL: it cannot be read */
    bool is_denied;      /* the page that is lost has another owner */
    struct holdings holdings;
    struct descent *descent;
    struct content *content;
    /* of the tree under way */
    struct content_owner owner;
    uint64_t count;
    uint64_t tombstones;
    uint64_t key_bytes;
    uint64_t value_bytes;
    scn_status (*row)(struct look *look, const struct leaf_record *record);
    char owner_name[TABLE_OWNER_BYTES];
};

static struct findings *findings_of(struct look *look)
{
    return &look->out->findings;
}

/* ---- superblocks ---- */

static void judge_slot(struct look *look, uint32_t idx)
{
    const struct generations *generations = &look->out->generations;
    const struct superblock *sb = &generations->sb[idx];
    const char *why = generations->why[idx];
    uint64_t off = (uint64_t)idx * PAGE_BYTES;
    if (generations->verdict[idx] != SUPERBLOCK_GOOD)
        findings_note(findings_of(look), FINDING_SLOT, idx, off,
                      "superblock %" PRIu32 " is %s%s%s: only one generation is left",
                      idx, generation_verdict_word(generations->verdict[idx]),
                      why ? ": " : "", why ? why : "");
    else if (sb->gen > look->sb->gen)
        findings_note(findings_of(look), FINDING_SLOT, idx, off,
                      "superblock %" PRIu32 " has generation %" PRIu64
                      ", which cannot be used: an open takes %" PRIu64,
                      idx, sb->gen, look->sb->gen);
}

/* None of them can be used at all. */
static void refuse_slots(struct look *look)
{
    const struct generations *generations = &look->out->generations;
    look->out->is_refused = true;
    for (int i = 0; i < 2; i++)
        if (generations->verdict[i] == SUPERBLOCK_NEWER) {
            (void)superblock_say_newer(&generations->sb[i]);
            findings_note(findings_of(look), FINDING_NEWER, (uint64_t)i,
                          (uint64_t)i * PAGE_BYTES, "%s", error_last()->text);
            return;
        }
    if (generations_have(generations, SUPERBLOCK_BROKEN))
        findings_note(findings_of(look), FINDING_SLOTS, 0, 0,
                      "both superblocks are damaged (0: %s; 1: %s)",
                      generations->why[0] ? generations->why[0] : "blank",
                      generations->why[1] ? generations->why[1] : "blank");
    else
        findings_note(findings_of(look), FINDING_FOREIGN, 0, 0,
                      "this is not a Scrine store");
}

static void judge_features(struct look *look, const struct superblock *sb)
{
    if (!superblock_is_read_only(sb))
        return;
    look->out->is_refused = true;
    (void)superblock_say_newer(sb);
    findings_note(findings_of(look), FINDING_NEWER, 0, 0, "%s", error_last()->text);
}

/* ---- which generation ---- */

/* Can the older generation stand in?  The log from its base has to lead up to the newest
 * one's, and to be fine. */
static scn_status try_older(struct look *look, int older, bool *is_good)
{
    struct generations *generations = &look->out->generations;
    const struct superblock *sb = &generations->sb[older];
    struct findings unheard = {0};
    struct trail trail = {0};
    struct space *space = NULL;
    *is_good = false;
    if (generations->verdict[older] != SUPERBLOCK_GOOD)
        return SCN_OK;
    scn_status st = generation_load(look->subject, sb, &space);
    if (st == SCN_CORRUPT)
        return SCN_OK;
    if (st == SCN_OK)
        st = trail_follow(look->subject, &unheard, sb, generations_synced(generations),
                          space, NULL, NULL, &trail);
    *is_good = st == SCN_OK && trail.end.kind != LOG_END_CORRUPT && !trail.is_refused &&
               trail.last_lsn >= generations->sb[generations->newest].base.lsn;
    trail_destroy(&trail);
    space_destroy(space);
    return st;
}

static enum finding_kind kind_of_root(struct look *look, const struct superblock *sb)
{
    const struct scn_error *error = error_last();
    if (sb->needed_pages > atomic_load(&look->subject->file.page_count))
        return FINDING_CUT;
    return error->page == sb->catalog.pgno ? FINDING_PAGE : FINDING_SPACE;
}

static void choose(struct look *look, int slot)
{
    look->out->chosen = slot;
    look->sb = &look->out->generations.sb[slot];
}

/* The newest generation's roots cannot be read, and error_last says why. */
static scn_status fall_back(struct look *look, scn_status why)
{
    int newest = look->out->generations.newest;
    const struct superblock *sb = &look->out->generations.sb[newest];
    enum finding_kind kind = kind_of_root(look, sb);
    struct scn_error error = *error_last();
    bool is_good;
    scn_status st = try_older(look, newest ^ 1, &is_good);
    if (st < 0)
        return st;
    if (is_good) {
        look->out->is_older = true;
        choose(look, newest ^ 1);
        return generation_load(look->subject, look->sb, &look->space);
    }
    look->out->is_refused = true;
    (void)error_set(why, error.sys_errno, error.page, error.offset, "%s", error.text);
    /* The walk meets the catalog's root once more. */
    if (kind != FINDING_PAGE)
        st = findings_note_error(findings_of(look), kind, why);
    if (st == SCN_OK)
        st = generation_load_space(look->subject, look->sb, &look->space);
    if (st == SCN_CORRUPT && kind != FINDING_SPACE)
        st = findings_note_error(findings_of(look), FINDING_SPACE, st);
    return st == SCN_CORRUPT ? SCN_OK : st;
}

static scn_status load_generation(struct look *look)
{
    choose(look, look->out->generations.newest);
    judge_features(look, look->sb);
    scn_status st = generation_load(look->subject, look->sb, &look->space);
    if (st == SCN_CORRUPT || st == SCN_IO)
        st = fall_back(look, st);
    for (uint32_t i = 0; i < 2 && st == SCN_OK; i++)
        judge_slot(look, i);
    return st;
}

/* ---- the log ---- */

static bool publish_equal(const struct publish *a, const struct publish *b)
{
    const enum publish_line lines[] = {PUBLISH_APPEND, PUBLISH_SESSION};
    for (int i = 0; i < 2; i++)
        if (a->line[lines[i]].sequence != b->line[lines[i]].sequence ||
            a->line[lines[i]].epoch != b->line[lines[i]].epoch)
            return false;
    return true;
}

static scn_status follow_log(struct look *look, struct findings *findings, trail_fn fn)
{
    struct inspection *out = look->out;
    trail_destroy(&out->trail);
    if (look->space)
        space_forget_reservations(look->space);
    return trail_follow(look->subject, findings, look->sb,
                        generations_synced(&out->generations), look->space, fn,
                        look->wishes->ctx, &out->trail);
}

/* A log that is being written may look damaged where somebody is at work: so it is read
 * until it does not, or nobody is. */
static scn_status await_log(struct look *look, bool *is_fine)
{
    struct file *file = &look->subject->file;
    struct publish before;
    struct publish after;
    scn_status st = SCN_OK;
    *is_fine = false;
    for (int i = 0; i < LOG_TRIES && st == SCN_OK && !*is_fine; i++) {
        struct findings unheard = {0};
        if (publish_read(file, &before) < 0)
            before = (struct publish){0};
        st = follow_log(look, &unheard, NULL);
        *is_fine = st == SCN_OK && unheard.count == 0 &&
                   look->out->trail.end.kind != LOG_END_CORRUPT;
        if (i > 0 && publish_read(file, &after) == SCN_OK &&
            publish_equal(&before, &after))
            return st;
    }
    look->out->is_unsteady |= !*is_fine;
    return st;
}

/* What a file in use has in its log by now; whatever is wrong was told before. */
static scn_status show_records(struct look *look)
{
    struct findings unheard = {0};
    struct trail trail = {0};
    scn_status st = trail_follow(look->subject, &unheard, look->sb, 0, NULL,
                                 look->wishes->record, look->wishes->ctx, &trail);
    trail_destroy(&trail);
    return st;
}

static scn_status read_log(struct look *look)
{
    struct inspection *out = look->out;
    struct sys *sys = look->subject->file.sys;
    uint64_t begun = sys->ops->now_ns(sys);
    bool is_fine = false;
    scn_status st = out->is_live ? await_log(look, &is_fine) : SCN_OK;
    if (st == SCN_OK && !is_fine)
        st = follow_log(look, findings_of(look),
                        out->is_live ? NULL : look->wishes->record);
    if (st == SCN_OK && out->is_live && look->wishes->record)
        st = show_records(look);
    out->log_ns = sys->ops->now_ns(sys) - begun;
    if (st == SCN_IO || st == SCN_CORRUPT) {
        out->is_refused = true;
        return findings_note_error(findings_of(look), FINDING_LOG, st);
    }
    if (st < 0)
        return st;
    trail_judge_end(&out->trail, findings_of(look), out->is_live);
    out->is_refused |= out->trail.is_refused || out->trail.end.kind == LOG_END_CORRUPT;
    return SCN_OK;
}

static scn_status show_survivor(void *ctx, const struct log_visit *visit)
{
    struct look *look = ctx;
    return look->wishes->record ? look->wishes->record(look->wishes->ctx, visit) : SCN_OK;
}

static scn_status tell_gap(void *ctx, const struct survivors_gap *gap)
{
    struct look *look = ctx;
    findings_note(findings_of(look), FINDING_LOG, gap->from_off / PAGE_BYTES,
                  gap->from_off,
                  "records from lsn %" PRIu64 " to lsn %" PRIu64
                  " are missing; behind them, at offset %" PRIu64
                  ", the log can be read again",
                  gap->from_lsn, gap->to_lsn, gap->to_off);
    return SCN_OK;
}

static scn_status find_survivors(struct look *look)
{
    struct survivors_visitor visitor = {look, tell_gap, show_survivor};
    if (look->out->trail.end.kind != LOG_END_CORRUPT)
        return SCN_OK;
    scn_status st = survivors_find(look->subject, look->sb->uuid, &look->out->trail.end,
                                   &visitor, &look->out->survivors);
    return st == SCN_IO || st == SCN_CORRUPT
               ? findings_note_error(findings_of(look), FINDING_LOG, st)
               : st;
}

/* ---- owners that are no trees ---- */

static scn_status claim_own(void *ctx, uint32_t pgno)
{
    (void)holdings_take(ctx, pgno, 1, HOLDING_OLD, "the allocation state");
    return SCN_OK;
}

/* The generation knows of the extent where its log begins, and of its spares. */
static enum holding_kind kind_of_extent(const struct superblock *sb, uint32_t pgno)
{
    bool is_known = pgno == sb->base.extent_pgno;
    for (uint32_t i = 0; i < sb->spare_count; i++)
        is_known |= pgno == sb->spares[i].pgno;
    return is_known ? HOLDING_OLD : HOLDING_EITHER;
}

static void claim_log(struct look *look)
{
    const struct trail *trail = &look->out->trail;
    const struct superblock *sb = look->sb;
    struct holdings *holdings = &look->holdings;
    for (uint32_t i = 0; i < trail->extent_count; i++)
        (void)holdings_take(holdings, trail->extents[i].pgno, trail->extents[i].pages,
                            kind_of_extent(sb, trail->extents[i].pgno), "the log");
    for (uint32_t i = 0; i < sb->spare_count; i++)
        if (!trail_has_extent(trail, sb->spares[i].pgno))
            (void)holdings_take(holdings, sb->spares[i].pgno, sb->spares[i].pages,
                                HOLDING_OLD, "the log");
}

static scn_status claim_fixed(struct look *look)
{
    (void)holdings_take(&look->holdings, 0, FIRST_FREE_PAGE_NO, HOLDING_OLD,
                        "the fixed pages");
    scn_status st = look->space
                        ? space_each_own(look->space, claim_own, &look->holdings)
                        : SCN_OK;
    claim_log(look);
    return st;
}

/* ---- trees ---- */

static bool may_enter(void *ctx, const struct page_ref *ref)
{
    struct look *look = ctx;
    look->is_denied = !holdings_take(&look->holdings, ref->pgno, 1, look->owner.kind,
                                     look->owner.name);
    return !look->is_denied;
}

/* What lies below a page that somebody else has, has its owner there. */
static scn_status miss(void *ctx, const struct keyrange *range, uint32_t pgno)
{
    struct look *look = ctx;
    (void)range;
    (void)pgno;
    look->holdings.is_whole &= look->is_denied;
    look->is_denied = false;
    return SCN_OK;
}

static void tree_fault(struct look *look, enum finding_kind kind, uint32_t pgno,
                       const char *what)
{
    findings_note(findings_of(look), kind, pgno, (uint64_t)pgno * PAGE_BYTES,
                  "page %" PRIu32 " of %s: %s", pgno, look->owner.name, what);
}

static scn_status check_value(struct look *look, const struct leaf_record *record,
                              uint32_t pgno)
{
    struct value_ref ref;
    bool is_good;
    uint64_t newest =
        look->owner.kind == HOLDING_LATER ? SUPERBLOCK_GEN_MAX : look->sb->gen;
    const char *why = record->payload_len == VALUE_REF_BYTES
                          ? value_ref_decode(record->payload, &ref)
                          : "it is no reference to a value";
    if (!why && (ref.page.birth_gen > ref.page.link_gen || ref.page.link_gen > newest))
        why = "the pointer to a value is newer than the generation";
    if (why) {
        tree_fault(look, FINDING_VALUE, pgno, why);
        return SCN_OK;
    }
    look->value_bytes += ref.len;
    return content_read(look->content, &look->owner, &ref, NULL, &is_good);
}

static scn_status check_record(void *ctx, const struct leaf_record *record, uint32_t pgno)
{
    struct look *look = ctx;
    scn_status st = SCN_OK;
    if (record->kind == LEAF_TOMBSTONE) {
        look->tombstones++;
        if (look->owner.kind != HOLDING_LATER)
            tree_fault(look, FINDING_TREE, pgno, "it has a tombstone");
        return SCN_OK;
    }
    look->count++;
    look->key_bytes += record->key_len;
    if (record->kind == LEAF_REF)
        st = check_value(look, record, pgno);
    else
        look->value_bytes += record->payload_len;
    return st == SCN_OK && look->row ? look->row(look, record) : st;
}

static scn_status check_tree(struct look *look, const struct page_ref *root,
                             uint32_t table_id, enum holding_kind kind, uint64_t *pages,
                             bool *is_whole)
{
    struct descent_tree tree = {.root = *root, .table_id = table_id,
                                .pages_max = UINT64_MAX};
    struct descent_visitor visitor = {look, may_enter, check_record, miss};
    look->owner = (struct content_owner){
        table_id, table_owner(look->owner_name, table_id), kind};
    look->count = look->tombstones = look->key_bytes = look->value_bytes = 0;
    tree.owner = look->owner.name;
    tree.gen = kind == HOLDING_LATER ? SUPERBLOCK_GEN_MAX : look->sb->gen;
    return descent_run(look->descent, &tree, &visitor, pages, is_whole);
}

/* ---- the catalog ---- */

static scn_status note_catalog_row(struct look *look, const struct leaf_record *record)
{
    struct catalog_row row = {.kind = CATALOG_ROW_BAD};
    scn_slice key = {record->key, record->key_len};
    scn_slice value = {record->payload, record->payload_len};
    uint32_t pgno = look->sb->catalog.pgno;
    if (record->kind == LEAF_INLINE)
        catalog_row_decode(key, value, &row);
    if (row.kind == CATALOG_ROW_BAD)
        findings_note(findings_of(look), FINDING_CATALOG, pgno,
                      (uint64_t)pgno * PAGE_BYTES,
                      "the catalog has a malformed row of kind 0x%02x", record->key[0]);
    return directory_learn(&look->out->directory, &row);
}

static scn_status check_catalog(struct look *look)
{
    uint64_t pages;
    look->row = note_catalog_row;
    scn_status st = check_tree(look, &look->sb->catalog, CATALOG_TABLE, HOLDING_OLD,
                               &pages, &look->out->has_whole_directory);
    look->row = NULL;
    if (st == SCN_OK && look->out->has_whole_directory)
        directory_judge(&look->out->directory, findings_of(look),
                        look->sb->catalog.pgno);
    return st;
}

/* ---- tables ---- */

static void compare_count(struct look *look, const struct table *table, const char *what,
                          uint64_t said, uint64_t is)
{
    uint32_t pgno = look->sb->catalog.pgno;
    if (said != is)
        findings_note(findings_of(look), FINDING_COUNT, pgno,
                      (uint64_t)pgno * PAGE_BYTES,
                      "table %" PRIu32 " has %" PRIu64 " %s, but its row says %" PRIu64,
                      table->id, is, what, said);
}

static scn_status check_table(struct look *look, const struct table *table)
{
    uint64_t pages;
    bool is_whole;
    scn_status st = check_tree(look, &table->root.root, table->id, HOLDING_OLD, &pages,
                               &is_whole);
    if (st == SCN_OK && is_whole) {
        compare_count(look, table, "rows", table->root.count, look->count);
        compare_count(look, table, "bytes of keys", table->root.key_bytes,
                      look->key_bytes);
        compare_count(look, table, "bytes of values", table->root.value_bytes,
                      look->value_bytes);
        compare_count(look, table, "pages", table->root.pages, pages);
    }
    if (table->id >= FIRST_USER_TABLE) {
        look->out->row_count += look->count;
        look->out->value_bytes += look->value_bytes;
    }
    return st;
}

/* A row of the usage table, after all values have been claimed. */
static scn_status settle_usage_row(struct look *look, const struct leaf_record *record)
{
    struct holdings *holdings = &look->holdings;
    if (record->kind != LEAF_INLINE || record->key_len != 4 ||
        record->payload_len != 12) {
        findings_note(findings_of(look), FINDING_USAGE, 0, 0,
                      "the usage table has a malformed row");
        return SCN_OK;
    }
    uint32_t pgno = get_be32(record->key);
    uint32_t said = get_u32(record->payload);
    uint32_t is = pgno < holdings->page_count ? holdings->live[pgno] : 0;
    if (pgno < holdings->page_count)
        holdings->live[pgno] = 0;
    if (said != is && holdings->is_whole)
        findings_note(findings_of(look), FINDING_USAGE, pgno,
                      (uint64_t)pgno * PAGE_BYTES,
                      "value page %" PRIu32 " has %" PRIu32
                      " live bytes, but its row says %" PRIu32,
                      pgno, is, said);
    return SCN_OK;
}

static void judge_unsettled(struct look *look)
{
    const struct holdings *holdings = &look->holdings;
    for (uint32_t pgno = 0; pgno < holdings->page_count && holdings->is_whole; pgno++)
        if (holdings->live[pgno])
            findings_note(findings_of(look), FINDING_USAGE, pgno,
                          (uint64_t)pgno * PAGE_BYTES,
                          "value page %" PRIu32 " has %" PRIu32
                          " live bytes, but no row",
                          pgno, holdings->live[pgno]);
}

static scn_status check_tables(struct look *look)
{
    const struct directory *directory = &look->out->directory;
    const struct table *usage = directory_find(directory, USAGE_TABLE);
    scn_status st = SCN_OK;
    for (uint32_t i = 0; i < directory->count && st == SCN_OK; i++) {
        const struct table *table = &directory->tables[i];
        look->out->table_count += table->exists;
        if (table->has_root && table != usage)
            st = check_table(look, table);
    }
    if (st == SCN_OK && usage && usage->has_root) {
        look->row = settle_usage_row;
        st = check_table(look, usage);
        look->row = NULL;
    }
    if (st == SCN_OK && look->out->has_whole_directory)
        judge_unsettled(look);
    return st;
}

static scn_status check_runs(struct look *look)
{
    const struct trail *trail = &look->out->trail;
    scn_status st = SCN_OK;
    /* The newest first, as scn_check has it: of two owners the older one is told. */
    for (uint32_t i = trail->run_count; i > 0 && st == SCN_OK; i--) {
        const struct trail_run *run = &trail->runs[i - 1];
        uint64_t pages;
        bool is_whole;
        look->out->has_strays |= run->root.birth_gen > look->sb->gen;
        st = check_tree(look, &run->root, run->table_id, HOLDING_LATER, &pages,
                        &is_whole);
        if (st == SCN_OK && is_whole &&
            (look->count + look->tombstones != run->count ||
             look->tombstones != run->tombstones))
            findings_note(findings_of(look), FINDING_COUNT, run->root.pgno,
                          (uint64_t)run->root.pgno * PAGE_BYTES,
                          "a bulk run of table %" PRIu32 " has %" PRIu64
                          " rows and %" PRIu64
                          " tombstones, but its record says otherwise",
                          run->table_id, look->count, look->tombstones);
    }
    return st;
}

/* ---- all of it ---- */

/* Bits of the generation alone: what the log reserves comes behind. */
static scn_status begin_claims(struct look *look)
{
    struct file *file = &look->subject->file;
    struct findings *findings = findings_of(look);
    scn_status st = file_learn_size(file);
    if (st == SCN_OK)
        st = holdings_init(&look->holdings, findings, look->space,
                           (uint32_t)atomic_load(&file->page_count));
    if (st == SCN_OK)
        st = descent_create(look->subject, findings, &look->descent);
    if (st == SCN_OK)
        st = content_create(look->subject, findings, &look->holdings, &look->content);
    if (st == SCN_OK && look->space)
        space_stat(look->space, &look->out->space);
    return st;
}

static scn_status check_pages(struct look *look)
{
    look->holdings.is_whole &= look->out->trail.end.kind != LOG_END_CORRUPT &&
                               !look->out->trail.is_refused;
    scn_status st = claim_fixed(look);
    if (st == SCN_OK)
        st = check_catalog(look);
    if (st < 0 || look->wishes->is_quick)
        return st;
    st = check_tables(look);
    if (st == SCN_OK)
        st = check_runs(look);
    if (st == SCN_OK)
        holdings_judge(&look->holdings);
    return st;
}

static void look_end(struct look *look)
{
    descent_destroy(look->descent);
    content_destroy(look->content);
    holdings_destroy(&look->holdings);
    space_destroy(look->space);
}

/* The pin only counts if the superblocks are the same after it was taken [K5]. */
static scn_status read_pinned(struct look *look)
{
    struct generations *generations = &look->out->generations;
    struct generations again;
    scn_status st = generations_read(look->subject, generations);
    for (int i = 0; i < TRIES && st == SCN_OK && generations->newest >= 0; i++) {
        subject_pin(look->subject, generations->sb[generations->newest].gen);
        st = generations_read(look->subject, &again);
        if (st < 0 || generations_equal(generations, &again))
            break;
        *generations = again;
    }
    return st;
}

static scn_status look_at(struct look *look)
{
    struct inspection *out = look->out;
    out->is_live = subject_is_live(look->subject);
    scn_status st = read_pinned(look);
    if (st == SCN_OK)
        st = file_learn_size(&look->subject->file);
    if (st < 0)
        return st;
    if (out->generations.newest < 0 ||
        generations_have(&out->generations, SUPERBLOCK_NEWER)) {
        refuse_slots(look);
        return SCN_OK;
    }
    st = load_generation(look);
    if (st == SCN_OK)
        st = begin_claims(look);
    if (st == SCN_OK)
        st = read_log(look);
    if (st == SCN_OK)
        st = find_survivors(look);
    if (st == SCN_OK)
        st = check_pages(look);
    return st;
}

static void forget(struct inspection *inspection)
{
    trail_destroy(&inspection->trail);
    directory_destroy(&inspection->directory);
}

static scn_status look_once(struct subject *subject,
                            const struct inspection_wishes *wishes,
                            struct inspection *out)
{
    struct look look = {.subject = subject, .wishes = wishes, .out = out};
    *out = (struct inspection){.chosen = -1};
    out->findings.tell = wishes->finding;
    out->findings.ctx = wishes->ctx;
    subject->pages_done = 0;
    scn_status st = look_at(&look);
    out->file_bytes = atomic_load(&subject->file.page_count) * PAGE_BYTES;
    out->pages_read = subject->pages_done;
    look_end(&look);
    return st;
}

/* Damage that the file's life explains is no damage: the generation was given up, or the
 * superblocks were written meanwhile. */
static bool has_moved(struct subject *subject, const struct inspection *inspection)
{
    struct generations now;
    return inspection->is_live && inspection->findings.worst > SEVERITY_NONE &&
           (generations_read(subject, &now) < 0 ||
            !generations_equal(&now, &inspection->generations));
}

/* A file in use is looked at without telling, until nothing is found, which is the
 * answer, or nothing moves: then once more for the caller. */
static scn_status settle(struct subject *subject, const struct inspection_wishes *wishes,
                         struct inspection *out, bool *is_done)
{
    struct inspection_wishes quiet = {.ctx = wishes->ctx, .is_quick = wishes->is_quick};
    bool is_moving = true;
    scn_status st = SCN_OK;
    *is_done = false;
    for (int i = 0; i < TRIES && st == SCN_OK && is_moving; i++) {
        forget(out);
        st = look_once(subject, &quiet, out);
        *is_done = st == SCN_OK && out->findings.worst == SEVERITY_NONE;
        is_moving = !*is_done && has_moved(subject, out);
    }
    return st;
}

static scn_status look_well(struct subject *subject,
                            const struct inspection_wishes *wishes,
                            struct inspection *out)
{
    bool is_done = false;
    scn_status st = SCN_OK;
    if (subject_is_live(subject) && !wishes->record)
        st = settle(subject, wishes, out, &is_done);
    if (st < 0 || is_done)
        return st;
    forget(out);
    st = look_once(subject, wishes, out);
    out->is_unsteady |= st == SCN_OK && has_moved(subject, out);
    return st;
}

scn_status inspection_run(struct sys *sys, const char *path,
                          const struct inspection_wishes *wishes, struct inspection *out)
{
    struct subject subject;
    uint64_t begun = sys->ops->now_ns(sys);
    *out = (struct inspection){.chosen = -1};
    scn_status st = subject_open(&subject, sys, path);
    if (st != SCN_OK)
        return st;
    subject.goes_on = wishes->goes_on;
    subject.ctx = wishes->ctx;
    st = look_well(&subject, wishes, out);
    out->total_ns = sys->ops->now_ns(sys) - begun;
    subject_close(&subject);
    return st;
}

void inspection_destroy(struct inspection *inspection)
{
    forget(inspection);
    *inspection = (struct inspection){.chosen = -1};
}
