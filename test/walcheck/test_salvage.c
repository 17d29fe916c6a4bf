/* Salvage of damaged files: what the damage did not touch comes back as it was, what is
 * missing or older is told, and nothing comes back that was never committed.
 *
 * What a damaged place touches is reckoned here from the healthy file: the keys of a
 * leaf, the table of an inner page or of a page of values, the commits of the log.  All
 * else (superblocks, catalog, counts, allocation state, free pages) costs no row, as the
 * other generation and the log make up for it. */
#include "engine/store.h"
#include "page/leaf.h"
#include "page/mem.h"
#include "test/engine/forge.h"
#include "test/sim/disk.h"
#include "test/unit/unit.h"
#include "test/walcheck/damage.h"
#include "tools/walcheck/directory.h"
#include "tools/walcheck/inspection.h"
#include "tools/walcheck/salvage.h"

enum { ROWS = 128, COMMITS = 32, OUT_PAGES = 64 };
#define OUT_PATH "out"

/* ---- what is told ---- */

struct told {
    bool has_lost[ROWS]; /* rows of the reference, by number */
    uint64_t count;
    const uint64_t *lsns;         /* of the commits, by number; 0: in the trees */
    bool has_lost_commit[COMMITS];
};

static void note_gap(struct told *told, const struct loss *loss)
{
    for (uint32_t n = 0; n < COMMITS; n++)
        told->has_lost_commit[n] |= told->lsns[n] != 0 &&
                                    told->lsns[n] >= loss->from_lsn &&
                                    (loss->to_lsn == 0 || told->lsns[n] < loss->to_lsn);
}

static bool covers(const struct loss *loss, const struct reference_row *row)
{
    if (loss->kind == LOSS_LOG)
        return false;
    if (loss->table_id == CATALOG_TABLE)
        return true;
    if (loss->table_id != row->table_id)
        return false;
    int from = loss->has_from ? bytes_compare(row->key.data, row->key.size,
                                              loss->from.data, loss->from.size)
                              : 1;
    if (loss->kind == LOSS_VALUE)
        return from == 0;
    int to = loss->has_to ? bytes_compare(row->key.data, row->key.size, loss->to.data,
                                          loss->to.size)
                          : -1;
    return from >= 0 && to < 0;
}

static void note_loss(void *ctx, const struct loss *loss)
{
    struct told *told = ctx;
    struct reference_row row;
    told->count++;
    if (loss->kind == LOSS_LOG)
        note_gap(told, loss);
    for (uint32_t i = 0; i < ROWS && reference_row(1, i, &row); i++)
        told->has_lost[i] |= covers(loss, &row);
}

/* ---- what is touched ---- */

struct touched {
    bool row[ROWS];
    bool log; /* a commit that no tree holds may be gone */
    uint32_t roots; /* superblocks and pages of catalogs: with one generation gone the
                       other has all */
};

static bool is_log(const struct forge *forge, uint64_t off)
{
    for (uint32_t i = 0; i < forge->extent_count; i++)
        if (off >= forge->extents[i] &&
            off < forge->extents[i] + LOG_EXTENT_PAGES * PAGE_BYTES)
            return true;
    return false;
}

static bool leaf_has(const uint8_t *page, const struct reference_row *row)
{
    bool is_equal;
    leaf_seek(page, row->key.data, (uint32_t)row->key.size, &is_equal);
    return is_equal;
}

static void touch_page(struct touched *touched, struct forge *forge, uint32_t pgno)
{
    const uint8_t *page = forge_page(forge, pgno);
    uint32_t table_id = get_u32(page + 4);
    struct reference_row row;
    for (uint32_t i = 0; i < ROWS && reference_row(1, i, &row); i++)
        if (row.table_id == table_id && (page[0] != PAGE_LEAF || leaf_has(page, &row)))
            touched->row[i] = true;
}

static bool is_root(struct forge *forge, uint32_t pgno)
{
    return pgno < PUBLISH_PAGE_NO ||
           (forge_is_reached(forge, pgno) &&
            get_u32(forge_page(forge, pgno) + 4) == TABLE_CATALOG);
}

/* Byte by byte: what differs is touched. */
static void find_touched(const struct damage *damage, struct forge *forge,
                         const uint8_t *bytes, uint64_t size, struct touched *touched)
{
    const struct reference_image *now = &damage->reference.now;
    uint32_t last_root = UINT32_MAX;
    for (uint64_t off = 0; off < now->size; off += 8) {
        uint32_t pgno = (uint32_t)(off / PAGE_BYTES);
        if (off + 8 <= size && memcmp(bytes + off, now->bytes + off, 8) == 0)
            continue;
        if (is_root(forge, pgno)) {
            touched->roots += pgno != last_root;
            last_root = pgno;
        } else if (is_log(forge, off))
            touched->log = true;
        else if (pgno > PUBLISH_PAGE_NO && forge_is_reached(forge, pgno))
            touch_page(touched, forge, pgno);
        off = off - off % 512 + 504; /* a sector is enough */
    }
}

/* ---- what came out ---- */

struct outcome_rows {
    const struct told *told;
    const struct touched *touched;
    uint32_t commits;
    uint32_t older;
    char wrong[200];
};

static bool value_equals(scn_slice a, scn_slice b)
{
    return a.size == b.size && memcmp(a.data, b.data, a.size) == 0;
}

/* The row was once so. */
static bool was_committed(uint32_t commits, uint32_t idx, scn_slice value)
{
    struct reference_row row;
    for (uint32_t n = 1; n <= commits; n++)
        if (reference_row(n, idx, &row) && row.version && value_equals(row.value, value))
            return true;
    return false;
}

static bool commit_touches(uint32_t n, uint32_t idx)
{
    struct reference_row before = {0};
    struct reference_row after = {0};
    if (n > 1)
        CHECK(reference_row(n - 1, idx, &before));
    CHECK(reference_row(n, idx, &after));
    return before.version != after.version;
}

/* The row as the commits made it that are not lost. */
static void expect(const struct outcome_rows *rows, uint32_t idx,
                   struct reference_row *out)
{
    uint32_t n = rows->commits;
    while (n > 1 && (rows->told->has_lost_commit[n] || !commit_touches(n, idx)))
        n--;
    CHECK(reference_row(n, idx, out));
}

static void judge_row(struct outcome_rows *rows, scn_txn *txn, uint32_t idx)
{
    struct reference_row row;
    scn_table_id id;
    scn_slice value = {0};
    expect(rows, idx, &row);
    scn_status st = scn_table(txn, row.table, 0, &id);
    if (st == SCN_OK)
        st = scn_get(txn, id, row.key, &value);
    CHECK(st == SCN_OK || st == SCN_NOTFOUND);
    bool is_right = st == SCN_NOTFOUND ? row.version == 0
                                       : row.version && value_equals(row.value, value);
    if (is_right)
        return;
    const char *what = NULL;
    if (st == SCN_OK && !was_committed(rows->commits, idx, value))
        what = "was never so";
    else if (!rows->told->has_lost[idx])
        what = st == SCN_OK ? "is older, untold" : "is lost, untold";
    else if (!rows->touched->row[idx] && !rows->touched->log && rows->touched->roots < 2)
        what = "is lost, though nothing of it was touched";
    if (what && rows->wrong[0] == 0)
        snprintf(rows->wrong, sizeof rows->wrong, "row %u of %s %s", idx % 13, row.table,
                 what);
}

static scn_status note_stranger(void *ctx, const char *name, scn_table_id id)
{
    struct outcome_rows *rows = ctx;
    struct reference_row row;
    (void)id;
    for (uint32_t i = 0; i < ROWS && reference_row(1, i, &row); i++)
        if (strcmp(row.table, name) == 0)
            return SCN_OK;
    if (rows->told->count == 0)
        snprintf(rows->wrong, sizeof rows->wrong, "there is a table %s", name);
    return SCN_OK;
}

/* Damage in the last batch looks like a torn tail (docs/durability.md, "The limit"): then
 * what comes out is all that there was after an earlier commit. */
static uint32_t last_commit(scn_txn *txn, uint32_t commits)
{
    struct reference_row row;
    scn_table_id id;
    scn_slice value;
    CHECK(reference_row(1, 0, &row));
    scn_status st = scn_table(txn, row.table, 0, &id);
    if (st == SCN_OK)
        st = scn_get(txn, id, row.key, &value);
    return st == SCN_OK ? (uint32_t)get_u64(value.data) : commits;
}

static void judge(struct outcome_rows *rows, scn_db *db)
{
    struct reference_row row;
    scn_txn *txn;
    uint64_t issues;
    CHECK_OK(scn_check(db, SCN_CHECK_ALL, NULL, NULL, &issues));
    CHECK_EQ(issues, 0);
    CHECK_OK(scn_begin(db, SCN_READ, &txn));
    CHECK_OK(scn_table_each(txn, note_stranger, rows));
    if (rows->touched->log)
        rows->commits = last_commit(txn, rows->commits);
    for (uint32_t i = 0; i < ROWS && reference_row(1, i, &row); i++)
        judge_row(rows, txn, i);
    scn_abort(txn);
}

/* Commits are missing and nobody tells: then the log must look as if it ended there. */
static void judge_silence(struct outcome_rows *rows, const struct damage *damage,
                          struct sys *sys)
{
    struct inspection_wishes wishes = {.is_quick = true};
    struct inspection inspection;
    if (rows->commits == damage->reference.commits || rows->told->count > 0)
        return;
    CHECK_OK(inspection_run(sys, REFERENCE_PATH, &wishes, &inspection));
    if (inspection.findings.count_of[FINDING_LOG] && rows->wrong[0] == 0)
        snprintf(rows->wrong, sizeof rows->wrong,
                 "the log is damaged, commits behind %u are lost, untold", rows->commits);
    inspection_destroy(&inspection);
}

/* ---- one file ---- */

static scn_status open_out(struct sys *sys, scn_db **db)
{
    scn_options options = {.struct_size = sizeof options, .flags = SCN_NOTHREAD};
    options.pool_bytes = OUT_PAGES * PAGE_BYTES;
    return store_open_on(sys, OUT_PATH, &options, db);
}

/* The commits of the log follow those that the trees hold. */
static void find_lsns(const struct damage *damage, const struct forge *forge,
                      uint64_t lsns[COMMITS])
{
    uint32_t n = damage->reference.in_trees;
    memset(lsns, 0, COMMITS * sizeof *lsns);
    for (uint32_t i = 0; i < forge->record_count; i++) {
        const uint8_t *at = damage->reference.now.bytes + forge->records[i].off;
        if (at[12] == RECORD_COMMIT)
            lsns[++n] = get_u64(at + 16);
    }
    CHECK_EQ(n, damage->reference.commits);
}

/* Whatever is left of the file: salvage says OK, or that there is nothing to begin
 * with. */
static void salvage_one(const struct damage *damage, struct forge *forge,
                        const uint8_t *bytes, uint64_t size, char *wrong)
{
    uint64_t lsns[COMMITS];
    struct told told = {.lsns = lsns};
    struct touched touched = {0};
    struct outcome_rows rows = {&told, &touched, damage->reference.commits,
                                damage->reference.in_older_trees, ""};
    struct salvage_wishes wishes = {.ctx = &told, .loss = note_loss};
    struct salvage result;
    struct sim_disk *disk = sim_disk_create(1);
    struct sys *sys = sim_process_create(disk);
    scn_db *db;
    sim_put_file(disk, REFERENCE_PATH, bytes, size);
    find_touched(damage, forge, bytes, size, &touched);
    find_lsns(damage, forge, lsns);
    CHECK_OK(open_out(sys, &db));
    scn_status st = salvage_run(sys, REFERENCE_PATH, db, &wishes, &result);
    if (st == SCN_OK) {
        judge(&rows, db);
        judge_silence(&rows, damage, sys);
    } else if (touched.roots < 2 || (st != SCN_CORRUPT && st != SCN_NOTADB)) {
        snprintf(rows.wrong, sizeof rows.wrong, "salvage says %d: %.140s", st,
                 error_last()->text);
    }
    CHECK_OK(scn_close(db));
    sim_process_destroy(sys);
    sim_disk_destroy(disk);
    strcpy(wrong, rows.wrong);
}

/* What the healthy file leads to is learnt once. */
static struct forge forge;

static bool comes_back(const struct damage *damage, const uint8_t *bytes, uint64_t size)
{
    char wrong[200];
    forge_use(&forge, damage->reference.now.bytes);
    salvage_one(damage, &forge, bytes, size, wrong);
    if (wrong[0])
        printf("    %s\n", wrong);
    return wrong[0] == 0;
}

static void try_all(enum damage_kind kind)
{
    struct reference reference;
    reference_make(&reference);
    forge_open(&forge, reference.now.bytes, reference.now.size);
    damage_walk(kind, "SALVAGE", comes_back);
    forge_close(&forge);
    reference_destroy(&reference);
}

TEST(salvage__of_a_healthy_file_is_all_of_it)
{
    struct damage damage;
    char wrong[200];
    damage_open(&damage);
    forge_open(&forge, damage.reference.now.bytes, damage.reference.now.size);
    size_t live = mem_live();
    salvage_one(&damage, &forge, damage.reference.now.bytes, damage.reference.now.size,
                wrong);
    CHECK_EQ(mem_live(), live);
    if (wrong[0])
        unit_fail(__FILE__, __LINE__, "%s", wrong);
    forge_close(&forge);
    damage_close(&damage);
}

TEST(salvage__behind_each_bit)
{
    try_all(DAMAGE_BIT);
}

TEST(salvage__behind_each_sector_of_zeros)
{
    try_all(DAMAGE_ZERO);
}

TEST(salvage__behind_each_sector_of_garbage)
{
    try_all(DAMAGE_GARBAGE);
}

TEST(salvage__behind_pages_that_changed_places)
{
    try_all(DAMAGE_SWAP);
}

TEST(salvage__behind_pages_in_the_place_of_others)
{
    try_all(DAMAGE_REPLACE);
}

TEST(salvage__behind_stale_pages)
{
    try_all(DAMAGE_STALE);
}

TEST(salvage__behind_holes)
{
    try_all(DAMAGE_HOLE);
}

TEST(salvage__behind_cuts)
{
    try_all(DAMAGE_CUT);
}

TEST(salvage__behind_pages_of_another_store)
{
    try_all(DAMAGE_FOREIGN);
}

TEST(salvage__behind_another_uuid)
{
    try_all(DAMAGE_UUID);
}

/* ---- many deletions of ranges ---- */

enum { TABLES_CLEARED = 50, COMMITS_OF_CLEARS = 200 };

static void clear_tables(scn_db *db)
{
    scn_txn *txn;
    scn_table_id id;
    char name[20];
    CHECK_OK(scn_begin(db, SCN_WRITE, &txn));
    for (int i = 0; i < TABLES_CLEARED; i++) {
        snprintf(name, sizeof name, "table%d", i);
        CHECK_OK(scn_table(txn, name, SCN_CREATE, &id));
        CHECK_OK(scn_table_clear(txn, id));
    }
    CHECK_OK(scn_commit(txn));
}

/* Each costs the file a few bytes. */
TEST(salvage__of_many_cleared_tables_is_no_forgery)
{
    struct sim_disk *disk = sim_disk_create(1);
    struct sys *sys = sim_process_create(disk);
    scn_options options = {.struct_size = sizeof options, .flags = SCN_NOTHREAD};
    struct salvage_wishes wishes = {.ctx = NULL};
    struct salvage result;
    scn_db *many;
    scn_db *db;
    options.log_bytes = UINT64_C(400) * LOG_EXTENT_PAGES * PAGE_BYTES;
    CHECK_OK(store_open_on(sys, "many", &options, &many));
    for (int i = 0; i < COMMITS_OF_CLEARS; i++)
        clear_tables(many);
    CHECK_OK(scn_put1(many, "table0", (scn_slice){"k", 1}, (scn_slice){"v", 1}));
    CHECK_OK(open_out(sys, &db));
    CHECK_OK(salvage_run(sys, "many", db, &wishes, &result));
    CHECK(result.record_count > COMMITS_OF_CLEARS);
    CHECK_EQ(result.put_count, 1);
    CHECK_EQ(result.table_count, TABLES_CLEARED);
    CHECK_OK(scn_close(db));
    CHECK_OK(scn_close(many));
    sim_process_destroy(sys);
    sim_disk_destroy(disk);
}

/* ---- many losses ---- */

enum { ROWS_LOST = 300, VALUE_BYTES = 1500 };

static void put_values(scn_db *db)
{
    static char value[VALUE_BYTES];
    scn_txn *txn;
    scn_table_id id;
    memset(value, 'v', sizeof value);
    CHECK_OK(scn_begin(db, SCN_WRITE, &txn));
    CHECK_OK(scn_table(txn, "t", SCN_CREATE, &id));
    for (int i = 0; i < ROWS_LOST; i++) {
        char key[8];
        scn_slice at = {key, (size_t)snprintf(key, sizeof key, "k%03d", i)};
        CHECK_OK(scn_put(txn, id, at, (scn_slice){value, sizeof value}, 0));
    }
    CHECK_OK(scn_commit(txn));
}

/* A bit of each page of values. */
static void spoil_values(struct sys *sys, const char *path)
{
    struct sys_file *file;
    uint8_t page[PAGE_BYTES];
    uint8_t *at;
    CHECK_EQ(sys->ops->open(sys, path, 0, &file), 0);
    for (uint64_t off = 0;
         sys->ops->read(file, off, page, sizeof page, 0) == (int64_t)sizeof page;
         off += sizeof page)
        if (page[0] == PAGE_VALUES && (at = memchr(page, 'v', sizeof page)) != NULL) {
            *at ^= 1;
            CHECK_EQ(sys->ops->write(file, off, page, sizeof page, 0),
                     (int64_t)sizeof page);
        }
    sys->ops->close(file);
}

/* What the older generation has is asked for each of them, and lies in the same pages. */
TEST(salvage__of_many_losses_reads_no_page_for_each)
{
    struct sim_disk *disk = sim_disk_create(1);
    struct sys *sys = sim_process_create(disk);
    scn_options options = {.struct_size = sizeof options, .flags = SCN_NOTHREAD};
    struct salvage_wishes wishes = {.ctx = NULL};
    struct salvage result;
    scn_db *db;
    CHECK_OK(store_open_on(sys, "many", &options, &db));
    put_values(db);
    CHECK_OK(scn_checkpoint(db));
    CHECK_OK(scn_put1(db, "u", (scn_slice){"k", 1}, (scn_slice){"v", 1}));
    CHECK_OK(scn_checkpoint(db));
    CHECK_OK(scn_close(db));
    spoil_values(sys, "many");
    CHECK_OK(open_out(sys, &db));
    uint64_t before = sim_call_count(sys, SIM_READ);
    CHECK_OK(salvage_run(sys, "many", db, &wishes, &result));
    CHECK_EQ(result.loss_count, ROWS_LOST);
    CHECK(sim_call_count(sys, SIM_READ) - before < 2 * ROWS_LOST);
    CHECK_OK(scn_close(db));
    sim_process_destroy(sys);
    sim_disk_destroy(disk);
}

/* ---- a file that ends in front of its log ---- */

static void keep_loss(void *ctx, const struct loss *loss)
{
    *(struct loss *)ctx = *loss;
}

/* No record is left to say how far it went. */
TEST(salvage__of_a_file_without_its_log_tells_a_loss)
{
    struct sim_disk *disk = sim_disk_create(1);
    struct sys *sys = sim_process_create(disk);
    scn_options options = {.struct_size = sizeof options, .flags = SCN_NOTHREAD};
    struct loss loss = {.kind = LOSS_KEYS};
    struct salvage_wishes wishes = {.ctx = &loss, .loss = keep_loss};
    struct salvage result;
    struct sys_file *file;
    scn_db *db;
    CHECK_OK(store_open_on(sys, "short", &options, &db));
    CHECK_OK(scn_put1(db, "t", (scn_slice){"k", 1}, (scn_slice){"v", 1}));
    CHECK_OK(scn_close(db));
    CHECK_EQ(sys->ops->open(sys, "short", 0, &file), 0);
    CHECK_EQ(sys->ops->truncate(file, (uint64_t)FIRST_FREE_PAGE_NO * PAGE_BYTES), 0);
    sys->ops->close(file);
    CHECK_OK(open_out(sys, &db));
    CHECK_OK(salvage_run(sys, "short", db, &wishes, &result));
    CHECK_EQ(result.loss_count, 1);
    CHECK(loss.kind == LOSS_LOG && loss.to_lsn == 0);
    CHECK_OK(scn_close(db));
    sim_process_destroy(sys);
    sim_disk_destroy(disk);
}

/* ---- a store in use ---- */

static bool checkpoint_once(void *ctx, uint64_t pages_done, uint64_t pages_expected)
{
    scn_db **used = ctx;
    (void)pages_done;
    (void)pages_expected;
    for (int i = 0; *used && i < 4; i++) {
        CHECK_OK(scn_put1(*used, "t", (scn_slice){"k", 1}, (scn_slice){"v", 1}));
        CHECK_OK(scn_checkpoint(*used));
    }
    *used = NULL;
    return true;
}

/* What the log held when it began is gone when it is read. */
TEST(salvage__of_a_store_that_moves_says_so)
{
    struct sim_disk *disk = sim_disk_create(1);
    struct sys *sys = sim_process_create(disk);
    struct sys *other = sim_process_create(disk);
    scn_options options = {.struct_size = sizeof options, .flags = SCN_NOTHREAD};
    scn_db *used;
    scn_db *db;
    CHECK_OK(store_open_on(other, "used", &options, &used));
    scn_db *once = used;
    struct salvage_wishes wishes = {.ctx = &once, .goes_on = checkpoint_once};
    struct salvage result;
    CHECK_OK(scn_put1(used, "t", (scn_slice){"j", 1}, (scn_slice){"v", 1}));
    CHECK_OK(open_out(sys, &db));
    CHECK_EQ(salvage_run(sys, "used", db, &wishes, &result), SCN_BUSY);
    CHECK_OK(scn_close(db));
    CHECK_OK(open_out(sys, &db));
    CHECK_OK(salvage_run(sys, "used", db, &wishes, &result));
    CHECK_EQ(result.put_count, 2);
    CHECK_OK(scn_close(db));
    CHECK_OK(scn_close(used));
    sim_process_destroy(other);
    sim_process_destroy(sys);
    sim_disk_destroy(disk);
}
