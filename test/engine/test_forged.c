/* Files that somebody has made up with right checksums, each for one purpose: no host
 * crashes, and no call goes on for ever (test/engine/test_hostile.c tries at random). */
#include "engine/apply.h"
#include "engine/store.h"
#include "page/leaf.h"
#include "page/value.h"
#include "test/sim/disk.h"
#include "test/unit/unit.h"
#include "wal/ops.h"

#define STORE "store"

struct rig {
    struct sim_disk *disk;
    struct sys *sys;
    scn_db *db;
};

static scn_status rig_open(struct rig *rig)
{
    rig->db = NULL;
    scn_options options = {.struct_size = sizeof options, .flags = SCN_NOTHREAD};
    options.pool_bytes = 64 * PAGE_BYTES;
    return store_open_on(rig->sys, STORE, &options, &rig->db);
}

static void rig_begin(struct rig *rig)
{
    rig->disk = sim_disk_create(unit_seed());
    rig->sys = sim_process_create(rig->disk);
    CHECK_OK(rig_open(rig));
}

static void rig_end(struct rig *rig)
{
    if (rig->db)
        CHECK_OK(scn_close(rig->db));
    sim_process_destroy(rig->sys);
    sim_disk_destroy(rig->disk);
}

static scn_status put_noise(struct rig *rig, size_t len)
{
    static uint64_t random = 7;
    uint8_t *noise = malloc(len);
    CHECK(noise != NULL);
    for (size_t i = 0; i < len; i++)
        noise[i] = (uint8_t)(unit_random(&random) >> 30);
    scn_status st = scn_put1(rig->db, "words", (scn_slice){"noise", 5},
                             (scn_slice){noise, len});
    free(noise);
    return st;
}

/* ---- superblocks ---- */

static void forge_superblock(struct rig *rig, void (*forge)(struct superblock *))
{
    uint64_t gen = rig->db->store->superblock.gen;
    uint64_t off = (uint64_t)superblock_slot(gen) * PAGE_BYTES;
    uint8_t slot[SUPERBLOCK_BYTES];
    struct superblock sb;
    CHECK_OK(scn_close(rig->db));
    rig->db = NULL;
    CHECK(sim_peek(rig->disk, STORE, off, slot, sizeof slot));
    CHECK_EQ(superblock_decode(slot, &sb, NULL), SUPERBLOCK_GOOD);
    forge(&sb);
    superblock_encode(&sb, slot);
    CHECK(sim_rot(rig->disk, STORE, off, slot, sizeof slot));
}

static void add_short_spare(struct superblock *sb)
{
    sb->spare_count = 1;
    sb->spares[0] = (struct log_spare){sb->page_count - 1, 1};
}

TEST(forged__a_spare_too_short_for_a_record_is_no_reason_to_wait)
{
    struct rig rig;
    rig_begin(&rig);
    CHECK_OK(scn_checkpoint(rig.db));
    forge_superblock(&rig, add_short_spare);
    CHECK_OK(rig_open(&rig));
    /* The spare lies on a page that has another use: who finds that out may say so. */
    scn_status st = SCN_OK;
    for (int i = 0; i < 20 && st == SCN_OK; i++)
        st = put_noise(&rig, log_payload_max() - 100);
    CHECK(st == SCN_OK || st == SCN_CORRUPT);
    rig_end(&rig);
}

/* ---- records ---- */

/* The log gets one record more, of these operations; the process dies. */
static void forge_record(struct rig *rig, const struct ops_writer *ops)
{
    struct log_base at;
    uint8_t bytes[4096] = {0};
    log_position(rig->db->store->log, &at);
    struct record record = {.type = RECORD_COMMIT, .stored_len = (uint32_t)ops->len};
    record.raw_len = record.stored_len;
    record.lsn = at.lsn;
    record.epoch = at.epoch;
    record.synced_lsn = log_synced(rig->db->store->log);
    record.prev_crc = at.prev_crc;
    CHECK(record_bytes(record.stored_len) <= sizeof bytes);
    memcpy(bytes + RECORD_HEADER_BYTES, ops->data, ops->len);
    record_encode(&record, record_payload_crc(ops->data, record.stored_len), bytes);
    uint64_t off = extent_file_off(at.extent_pgno) + at.extent_off;
    sim_process_kill(rig->sys);
    (void)scn_close(rig->db);
    rig->db = NULL;
    sim_process_destroy(rig->sys);
    rig->sys = sim_process_create(rig->disk);
    CHECK(sim_rot(rig->disk, STORE, off, bytes, record_bytes(record.stored_len)));
}

/* What open says of a log that ends with these operations. */
static scn_status open_forged(const struct ops_writer *ops)
{
    struct rig rig;
    rig_begin(&rig);
    CHECK_OK(put_noise(&rig, 10));
    forge_record(&rig, ops);
    scn_status st = rig_open(&rig);
    rig_end(&rig);
    return st;
}

static scn_status open_forged_put(uint32_t table_id, const char *key, size_t value_size)
{
    static const uint8_t zeros[2 * VALUE_INLINE_MAX];
    struct ops_writer ops;
    ops_writer_init(&ops);
    CHECK_OK(ops_put(&ops, table_id, (scn_slice){key, strlen(key)},
                     (scn_slice){zeros, value_size}));
    scn_status st = open_forged(&ops);
    ops_writer_destroy(&ops);
    return st;
}

TEST(forged__rows_of_the_catalog_are_what_transactions_write)
{
    CHECK_OK(open_forged_put(TABLE_CATALOG, "#", 4));
    CHECK_OK(open_forged_put(TABLE_CATALOG, "Nname", 4));
    CHECK_OK(open_forged_put(TABLE_CATALOG, "Iabcd", 4 + TABLE_NAME_MAX));
    CHECK_EQ(open_forged_put(TABLE_CATALOG, "#", 2 * VALUE_INLINE_MAX), SCN_CORRUPT);
    CHECK_EQ(open_forged_put(TABLE_CATALOG, "N", 4), SCN_CORRUPT);
    CHECK_EQ(open_forged_put(TABLE_CATALOG, "Nname", 5), SCN_CORRUPT);
    CHECK_EQ(open_forged_put(TABLE_CATALOG, "Nname\xff", 4), SCN_CORRUPT);
    CHECK_EQ(open_forged_put(TABLE_CATALOG, "Iabcd", 4), SCN_CORRUPT);
    CHECK_EQ(open_forged_put(TABLE_CATALOG, "Iabcd", 5 + TABLE_NAME_MAX), SCN_CORRUPT);
    CHECK_EQ(open_forged_put(TABLE_CATALOG, "Rabcd", 64), SCN_CORRUPT);
}

TEST(forged__tables_of_the_library_are_not_for_the_log)
{
    CHECK_OK(open_forged_put(TABLE_FIRST_USER, "key", 1));
    CHECK_EQ(open_forged_put(TABLE_FIRST_USER, "", 1), SCN_CORRUPT);
    CHECK_EQ(open_forged_put(0, "key", 1), SCN_CORRUPT);
    CHECK_EQ(open_forged_put(TABLE_USAGE, "page", 12), SCN_CORRUPT);
    CHECK_EQ(open_forged_put(TABLE_FIRST_USER - 1, "key", 1), SCN_CORRUPT);
}

TEST(forged__the_catalog_is_not_cleared)
{
    struct ops_writer ops;
    ops_writer_init(&ops);
    CHECK_OK(ops_clear(&ops, TABLE_CATALOG, NULL, NULL));
    CHECK_EQ(open_forged(&ops), SCN_CORRUPT);
    ops_writer_destroy(&ops);
}

static void add_bytes(struct ops_writer *ops, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        ops->data[ops->len++] = bytes[i];
}

static void add_number(struct ops_writer *ops, uint64_t number)
{
    for (; number >= 128; number >>= 7)
        ops->data[ops->len++] = (uint8_t)(number | 128);
    ops->data[ops->len++] = (uint8_t)number;
}

/* What open says of operations on a table of the user that end with these: a code, then
 * `skip` bytes as they may be, then this number, and a little more. */
static scn_status open_forged_number(enum op_code code, const uint8_t *skip, size_t len,
                                     uint64_t number)
{
    static const uint8_t tail[16] = {1, 'k', 1, 'k'};
    static uint8_t data[256];
    struct ops_writer ops = {.data = data};
    add_number(&ops, OP_TABLE);
    add_number(&ops, TABLE_FIRST_USER);
    add_number(&ops, code);
    add_bytes(&ops, skip, len);
    add_number(&ops, number);
    add_bytes(&ops, tail, sizeof tail);
    return open_forged(&ops);
}

TEST(forged__lengths_beyond_all_measure_are_damage)
{
    static const uint64_t numbers[] = {200, KEY_BYTES_MAX + 1, 1 << 20, VALUE_BYTES_MAX,
                                       UINT32_MAX, UINT64_C(1) << 62, UINT64_MAX};
    static const uint8_t key[] = {1, 'k'};
    static const uint8_t has_both[] = {3};
    uint8_t run[PAGE_REF_BYTES + 3] = {0};
    struct page_ref root = {.pgno = 100, .type = PAGE_LEAF, .hint = 1};
    page_ref_encode(&root, run);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        uint64_t number = numbers[i];
        CHECK_EQ(open_forged_number(OP_PUT, NULL, 0, number), SCN_CORRUPT);
        CHECK_EQ(open_forged_number(OP_PUT, key, sizeof key, number), SCN_CORRUPT);
        CHECK_EQ(open_forged_number(OP_DEL, NULL, 0, number), SCN_CORRUPT);
        CHECK_EQ(open_forged_number(OP_CLEAR, has_both, 1, number), SCN_CORRUPT);
        CHECK_EQ(open_forged_number(OP_TABLE, NULL, 0, number | UINT32_MAX), SCN_CORRUPT);
        /* Records, tombstones, bytes; then the length of the lowest key. */
        CHECK_EQ(open_forged_number(OP_RUN, run, sizeof run, number), SCN_CORRUPT);
        run[PAGE_REF_BYTES] = 1;
    }
}

/* So many ranges of a bulk run, of which none is there. */
TEST(forged__ranges_beyond_all_measure_are_damage)
{
    static const uint64_t numbers[] = {100, UINT32_MAX, UINT64_C(1) << 60, UINT64_MAX};
    uint8_t run[PAGE_REF_BYTES + 7] = {0};
    struct page_ref root = {.pgno = 100, .type = PAGE_LEAF, .hint = 1};
    page_ref_encode(&root, run);
    memcpy(run + PAGE_REF_BYTES, "\1\0\1\1k\1k", 7);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        CHECK_EQ(open_forged_number(OP_RUN, run, sizeof run, numbers[i]), SCN_CORRUPT);
}

/* Of the log, of pages that two runs would share, and of one that is there twice. */
TEST(forged__runs_do_not_own_pages_of_somebody_else)
{
    static const struct op_range ranges[][2] = {
        {{FIRST_FREE_PAGE_NO, 1}, {100, 1}},
        {{100, 4}, {FIRST_FREE_PAGE_NO + 1, 1}},
        {{100, 4}, {103, 2}},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        struct ops_writer ops;
        struct op_run run = {
            .root = {.pgno = 100, .type = PAGE_LEAF, .hint = 1, .birth_gen = 1},
            .count = 1,
            .min = {"k", 1},
            .max = {"k", 1},
        };
        ops_writer_init(&ops);
        CHECK_OK(ops_run(&ops, TABLE_FIRST_USER, &run, ranges[i], 2));
        CHECK_EQ(open_forged(&ops), SCN_CORRUPT);
        ops_writer_destroy(&ops);
    }
}

static scn_status get_row(scn_db *db, const char *key)
{
    scn_txn *txn;
    CHECK_OK(scn_begin(db, SCN_READ, &txn));
    scn_status st = scn_get(txn, TABLE_FIRST_USER, (scn_slice){key, strlen(key)}, NULL);
    scn_abort(txn);
    return st;
}

/* The format allows it; our transactions write their deletions of ranges first. */
TEST(forged__deletion_of_a_range_hides_what_its_record_put_before)
{
    struct rig rig;
    struct ops_writer ops;
    rig_begin(&rig);
    CHECK_OK(put_noise(&rig, 10));
    ops_writer_init(&ops);
    CHECK_OK(ops_put(&ops, TABLE_FIRST_USER, (scn_slice){"a", 1}, (scn_slice){"v", 1}));
    CHECK_OK(ops_clear(&ops, TABLE_FIRST_USER, NULL, NULL));
    CHECK_OK(ops_put(&ops, TABLE_FIRST_USER, (scn_slice){"b", 1}, (scn_slice){"v", 1}));
    forge_record(&rig, &ops);
    ops_writer_destroy(&ops);
    CHECK_OK(rig_open(&rig));
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(get_row(rig.db, "noise"), SCN_NOTFOUND);
        CHECK_EQ(get_row(rig.db, "a"), SCN_NOTFOUND);
        CHECK_OK(get_row(rig.db, "b"));
        CHECK_OK(scn_checkpoint(rig.db));
    }
    rig_end(&rig);
}

/* ---- pages ---- */

/* The first row of the catalog that begins with this letter leads to a value outside. */
static void move_row_outside(struct superblock *sb, uint8_t *page, uint8_t letter)
{
    struct value_ref value = {.len = 4, .off = PAGE_HEADER_BYTES};
    value.page = (struct page_ref){.pgno = FIRST_FREE_PAGE_NO, .type = PAGE_VALUES};
    uint8_t encoded[VALUE_REF_BYTES];
    uint8_t copy[PAGE_BYTES];
    struct leaf_builder *builder;
    value_ref_encode(&value, encoded);
    memcpy(copy, page, sizeof copy);
    memset(page, 0, PAGE_BYTES);
    CHECK_OK(leaf_builder_create(&builder));
    for (uint32_t i = 0; i < leaf_count(copy); i++) {
        struct leaf_record record;
        leaf_at(copy, i, &record);
        if (record.key[0] == letter) {
            record.kind = LEAF_REF;
            record.payload = encoded;
            record.payload_len = sizeof encoded;
            letter = 0;
        }
        CHECK(leaf_builder_add(builder, &record));
    }
    leaf_build(builder, page, TABLE_CATALOG, sb->catalog.pgno, sb->catalog.birth_gen,
               &sb->catalog);
    leaf_builder_destroy(builder);
}

static struct {
    struct rig *rig;
    uint8_t letter;
} forging;

static void forge_catalog(struct superblock *sb)
{
    uint8_t page[PAGE_BYTES];
    uint64_t off = (uint64_t)sb->catalog.pgno * PAGE_BYTES;
    CHECK_EQ(sb->catalog.type, PAGE_LEAF);
    CHECK(sim_peek(forging.rig->disk, STORE, off, page, sizeof page));
    move_row_outside(sb, page, forging.letter);
    CHECK(sim_rot(forging.rig->disk, STORE, off, page, sizeof page));
}

TEST(forged__a_row_of_the_catalog_outside_its_leaf_is_damage)
{
    struct rig rig;
    scn_txn *txn;
    scn_table_id table;
    rig_begin(&rig);
    CHECK_OK(put_noise(&rig, 10));
    CHECK_OK(scn_checkpoint(rig.db));
    CHECK_OK(scn_begin(rig.db, SCN_WRITE, &txn));
    CHECK_OK(scn_table(txn, "words", 0, &table));
    scn_abort(txn);
    forging.rig = &rig;
    forging.letter = 'N';
    forge_superblock(&rig, forge_catalog);
    CHECK_OK(rig_open(&rig));
    CHECK_OK(scn_begin(rig.db, SCN_WRITE, &txn));
    CHECK_OK(scn_table_drop(txn, table));
    CHECK_OK(scn_commit(txn));
    CHECK_EQ(scn_checkpoint(rig.db), SCN_CORRUPT);
    rig_end(&rig);
}

TEST(forged__a_bulk_run_behind_the_end_of_the_file_is_refused)
{
    struct rig rig;
    struct apply apply;
    struct ops_writer ops;
    rig_begin(&rig);
    struct store *store = rig.db->store;
    struct op_range range = {(uint32_t)atomic_load(&store->file.page_count), 1};
    struct op_run run = {.root = {.pgno = range.pgno, .type = PAGE_LEAF, .hint = 1},
                         .count = 1, .min = {"a", 1}, .max = {"b", 1}};
    ops_writer_init(&ops);
    CHECK_OK(ops_run(&ops, TABLE_FIRST_USER, &run, &range, 1));
    CHECK_EQ(apply_prepare(store, ops.data, ops.len, APPLY_RECOVERED, &apply),
             SCN_CORRUPT);
    ops_writer_destroy(&ops);
    rig_end(&rig);
}
