/* scn_check: silent on healthy files, also beside writers, and not on damaged ones. */
#include "engine/store.h"

#include "engine/catalog.h"
#include "page/inner.h"
#include "page/leaf.h"
#include "page/mem.h"
#include "test/unit/unit.h"

#include <stdatomic.h>
#include <stdbool.h>

/* ---- findings ---- */

enum { KINDS = SCN_ISSUE_LOST + 1 };

struct report {
    uint64_t kinds[KINDS];
    uint64_t count;
    uint64_t stop_at;
    bool is_loud;
};

static scn_status note(void *ctx, const scn_issue *issue)
{
    struct report *report = ctx;
    if (report->is_loud)
        printf("  issue %u, page %llu: %s\n", issue->kind,
               (unsigned long long)issue->page, issue->text);
    CHECK_EQ(issue->struct_size, sizeof *issue);
    CHECK(issue->kind > 0 && issue->kind < KINDS);
    CHECK(issue->text != NULL && issue->text[0] != 0);
    report->kinds[issue->kind]++;
    report->count++;
    return report->count == report->stop_at ? SCN_INTERRUPTED : SCN_OK;
}

static struct report report_of(scn_db *db, int level)
{
    struct report report = {0};
    uint64_t issues = 77;
    CHECK_OK(scn_check(db, level, note, &report, &issues));
    CHECK_EQ(issues, report.count);
    return report;
}

static void check_is_silent(scn_db *db)
{
    struct report report = {.is_loud = true};
    uint64_t issues;
    CHECK_OK(scn_check(db, SCN_CHECK_QUICK, note, &report, &issues));
    CHECK_EQ(issues, 0);
    CHECK_OK(scn_check(db, SCN_CHECK_ALL, note, &report, &issues));
    CHECK_EQ(issues, 0);
}

/* ---- a store with some of everything ---- */

static scn_db *open_store(const char *path, uint32_t flags)
{
    scn_options options;
    scn_db *db = NULL;
    scn_options_init(&options);
    options.flags = flags;
    options.busy_timeout_ms = 60000; /* the disk may have others to serve */
    if (scn_open(path, &options, &db) != SCN_OK)
        unit_fail(__FILE__, __LINE__, "%s", error_last()->text);
    return db;
}

static scn_slice key_of(char *buf, uint32_t number)
{
    return (scn_slice){buf, (size_t)snprintf(buf, 16, "key-%07u", number)};
}

struct filler {
    scn_db *db;
    uint64_t random;
    uint8_t bytes[8 * SCN_PAGE_BYTES];
};

static struct filler *filler_create(scn_db *db, uint64_t seed)
{
    struct filler *filler = mem_zalloc(sizeof *filler);
    CHECK(filler != NULL);
    filler->db = db;
    filler->random = seed;
    for (size_t i = 0; i < sizeof filler->bytes; i++)
        filler->bytes[i] = (uint8_t)(unit_random(&filler->random) % 7);
    return filler;
}

static uint32_t pick(struct filler *filler, uint32_t bound)
{
    return (uint32_t)(unit_random(&filler->random) % bound);
}

/* Mostly short, some outside the leaf, a few longer than a page. */
static scn_slice pick_value(struct filler *filler)
{
    uint32_t bound = pick(filler, 10)  ? VALUE_INLINE_MAX / 4
                     : pick(filler, 4) ? SCN_PAGE_BYTES / 3
                                       : 4 * SCN_PAGE_BYTES;
    return (scn_slice){filler->bytes + pick(filler, 1000), pick(filler, bound)};
}

/* Also in threads of their own, so nothing is checked here. */
static scn_status write_rows(struct filler *filler, scn_txn *txn, scn_table_id id,
                             uint32_t count)
{
    char key[16];
    scn_status st = SCN_OK;
    for (uint32_t i = 0; i < count && st >= 0; i++) {
        scn_slice slice = key_of(key, pick(filler, 3000));
        st = pick(filler, 5) == 0
                 ? scn_del(txn, id, slice)
                 : scn_put(txn, id, slice, pick_value(filler), SCN_PUT_BLIND);
    }
    return st < 0 ? st : SCN_OK;
}

static scn_status write_some(struct filler *filler, const char *table, uint32_t flags,
                             uint32_t count)
{
    scn_txn *txn;
    scn_table_id id;
    scn_status st = scn_begin(filler->db, SCN_WRITE, &txn);
    if (st < 0)
        return st;
    st = scn_table(txn, table, SCN_CREATE | flags, &id);
    if (st == SCN_OK)
        st = write_rows(filler, txn, id, count);
    if (st == SCN_OK)
        return scn_commit(txn);
    scn_abort(txn);
    return st;
}

static void clear_table(scn_db *db, const char *table, bool drops)
{
    scn_txn *txn;
    scn_table_id id;
    CHECK_OK(scn_begin(db, SCN_WRITE, &txn));
    if (scn_table(txn, table, 0, &id) == SCN_OK)
        CHECK_OK(drops ? scn_table_drop(txn, id) : scn_table_clear(txn, id));
    CHECK_OK(scn_commit(txn));
}

/* More than one write set holds: bulk runs. */
static void load(struct filler *filler, const char *table, uint32_t flags)
{
    uint32_t each = VALUE_INLINE_MAX * 2;
    scn_txn *txn;
    scn_table_id id;
    char key[16];
    CHECK_OK(scn_begin(filler->db, SCN_WRITE, &txn));
    CHECK_OK(scn_table(txn, table, SCN_CREATE | flags, &id));
    for (uint32_t i = 0; i < WRITE_SET_BYTES_MAX / each + 50; i++)
        CHECK_OK(scn_put(txn, id, key_of(key, i),
                         (scn_slice){filler->bytes + i % 64, each}, 0));
    CHECK_OK(scn_commit(txn));
}

static void fill(scn_db *db, uint64_t seed, uint32_t rounds)
{
    struct filler *filler = filler_create(db, seed);
    for (uint32_t i = 0; i < rounds; i++) {
        CHECK_OK(write_some(filler, "plain", 0, 200));
        CHECK_OK(write_some(filler, "packed", SCN_COMPRESS, 200));
        if (i % 3 == 0)
            CHECK_OK(scn_checkpoint(db));
        if (i % 4 == 1)
            CHECK_OK(write_some(filler, "passing", 0, 100));
        if (i % 8 == 3)
            clear_table(db, "passing", i % 16 == 3);
    }
    mem_free(filler);
}

/* ---- healthy ---- */

TEST(check__is_silent_on_an_empty_store)
{
    scn_db *db = open_store(":memory:", SCN_NOTHREAD);
    check_is_silent(db);
    CHECK_OK(scn_checkpoint(db));
    check_is_silent(db);
    CHECK_OK(scn_close(db));
}

TEST(check__is_silent_between_all_steps_of_a_life)
{
    const char *path = unit_path("check-life.scn");
    scn_db *db = open_store(path, SCN_NOTHREAD);
    uint64_t seed = unit_seed();
    for (uint32_t round = 0; round < 12; round++) {
        fill(db, seed + round, 1 + round % 5);
        check_is_silent(db);
        if (round % 4 == 3) {
            CHECK_OK(scn_close(db));
            db = open_store(path, SCN_NOTHREAD);
            check_is_silent(db);
        }
    }
    CHECK_OK(scn_checkpoint(db));
    CHECK_OK(scn_checkpoint(db));
    check_is_silent(db);
    CHECK_OK(scn_close(db));
    db = open_store(path, SCN_RDONLY);
    check_is_silent(db);
    CHECK_OK(scn_close(db));
}

TEST(check__is_silent_on_bulk_runs_and_open_snapshots)
{
    const char *path = unit_path("check-runs.scn");
    scn_db *db = open_store(path, SCN_NOTHREAD);
    struct filler *filler = filler_create(db, unit_seed());
    scn_txn *old;
    load(filler, "bulk", 0);
    check_is_silent(db);
    CHECK_OK(scn_begin(db, SCN_READ, &old));
    CHECK_OK(write_some(filler, "bulk", 0, 100));
    load(filler, "bulk", 0);
    load(filler, "other", SCN_COMPRESS);
    check_is_silent(db);
    CHECK_OK(scn_checkpoint(db));
    check_is_silent(db);
    scn_abort(old);
    clear_table(db, "bulk", true);
    load(filler, "third", 0);
    CHECK_OK(scn_close(db));
    db = open_store(path, SCN_NOTHREAD);
    check_is_silent(db);
    CHECK_OK(scn_checkpoint(db));
    check_is_silent(db);
    mem_free(filler);
    CHECK_OK(scn_close(db));
}

/* A run whose transaction was aborted, or is still open, belongs to nobody. */
TEST(check__is_silent_beside_an_open_bulk_load)
{
    scn_db *db = open_store(":memory:", SCN_NOTHREAD);
    struct filler *filler = filler_create(db, unit_seed());
    scn_txn *txn;
    scn_table_id id;
    char key[16];
    CHECK_OK(scn_begin(db, SCN_WRITE, &txn));
    CHECK_OK(scn_table(txn, "bulk", SCN_CREATE, &id));
    for (uint32_t i = 0; i < WRITE_SET_BYTES_MAX / 1000 + 50; i++)
        CHECK_OK(scn_put(txn, id, key_of(key, i), (scn_slice){filler->bytes, 1000}, 0));
    check_is_silent(db);
    CHECK_OK(write_some(filler, "plain", 0, 100));
    CHECK_OK(scn_checkpoint(db));
    check_is_silent(db);
    scn_abort(txn);
    check_is_silent(db);
    CHECK_OK(scn_checkpoint(db));
    check_is_silent(db);
    mem_free(filler);
    CHECK_OK(scn_close(db));
}

struct writer_thread {
    struct filler *filler;
    const char *table;
    uint32_t flags;
    atomic_bool *stops;
    _Atomic uint64_t commits;
    scn_status failed;
    char why[256];
};

static void write_until_stopped(void *arg)
{
    struct writer_thread *writer = arg;
    while (!atomic_load(writer->stops) && writer->failed == SCN_OK) {
        scn_status st = write_some(writer->filler, writer->table, writer->flags, 30);
        atomic_fetch_add(&writer->commits, st == SCN_OK);
        if (st == SCN_OK || st == SCN_CONFLICT)
            continue;
        writer->failed = st;
        snprintf(writer->why, sizeof writer->why, "%s", error_last()->text);
    }
}

enum { WRITERS = 2, CHECKS = 30, COMMITS = 20 };

static bool have_committed(struct writer_thread *writers)
{
    for (int i = 0; i < WRITERS; i++)
        if (writers[i].commits < COMMITS)
            return false;
    return true;
}

/* Nothing is checked while the threads run: a failed check would leave them to
 * themselves. */
TEST(check__is_silent_beside_writers_and_checkpoints)
{
    static const char *const tables[WRITERS] = {"plain", "packed"};
    scn_db *db = open_store(unit_path("check-live.scn"), 0);
    struct sys *sys = sys_posix();
    struct sys_thread *threads[WRITERS];
    struct writer_thread writers[WRITERS];
    atomic_bool stops = false;
    uint64_t issues = 0;
    scn_status failed = SCN_OK;
    for (uint32_t i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer_thread){.filler = filler_create(db, unit_seed() + i),
                                            .table = tables[i],
                                            .flags = i ? SCN_COMPRESS : 0,
                                            .stops = &stops};
        CHECK_OK(write_some(writers[i].filler, tables[i], writers[i].flags, 1));
        CHECK_EQ(
            sys->ops->thread_start(sys, write_until_stopped, &writers[i], &threads[i]),
            0);
    }
    /* However late the writers get a processor. */
    for (int i = 0; i < CHECKS || (i < 100 * CHECKS && !have_committed(writers)); i++) {
        struct report report = {.is_loud = true};
        scn_status st = scn_check(db, SCN_CHECK_ALL, note, &report, NULL);
        issues += report.count;
        failed = st < 0 ? st : failed;
        if (i % 5 == 0 && scn_checkpoint(db) < 0)
            failed = SCN_BUSY;
    }
    atomic_store(&stops, true);
    for (int i = 0; i < WRITERS; i++)
        sys->ops->thread_join(threads[i]);
    for (int i = 0; i < WRITERS; i++) {
        if (writers[i].failed)
            unit_fail(__FILE__, __LINE__, "%s", writers[i].why);
        mem_free(writers[i].filler);
    }
    CHECK_EQ(issues, 0);
    CHECK_OK(failed);
    CHECK(have_committed(writers));
    check_is_silent(db);
    CHECK_OK(scn_close(db));
}

/* ---- damage ---- */

struct image {
    const char *path;
    uint8_t *bytes;
    size_t size;
    struct superblock sb; /* the newest */
};

static uint8_t *page_of(struct image *image, uint32_t pgno)
{
    CHECK((uint64_t)pgno * PAGE_BYTES + PAGE_BYTES <= image->size);
    return image->bytes + (size_t)pgno * PAGE_BYTES;
}

static void image_read(struct image *image)
{
    FILE *file = fopen(image->path, "rb");
    struct superblock slots[2];
    const char *why;
    CHECK(file != NULL);
    CHECK_EQ(fseek(file, 0, SEEK_END), 0);
    image->size = (size_t)ftell(file);
    image->bytes = mem_alloc(image->size);
    CHECK(image->bytes != NULL);
    rewind(file);
    CHECK_EQ(fread(image->bytes, 1, image->size, file), image->size);
    fclose(file);
    for (uint32_t i = 0; i < 2; i++)
        CHECK_EQ(superblock_decode(page_of(image, i), &slots[i], &why), SUPERBLOCK_GOOD);
    image->sb = slots[slots[1].gen > slots[0].gen];
}

static void image_write(struct image *image)
{
    FILE *file = fopen(image->path, "r+b");
    CHECK(file != NULL);
    CHECK_EQ(fwrite(image->bytes, 1, image->size, file), image->size);
    CHECK_EQ(fclose(file), 0);
}

static void image_write_page(struct image *image, uint32_t pgno)
{
    FILE *file = fopen(image->path, "r+b");
    CHECK(file != NULL);
    CHECK_EQ(fseek(file, (long)pgno * PAGE_BYTES, SEEK_SET), 0);
    CHECK_EQ(fwrite(page_of(image, pgno), 1, PAGE_BYTES, file), PAGE_BYTES);
    CHECK_EQ(fclose(file), 0);
}

static void image_free(struct image *image)
{
    mem_free(image->bytes);
}

static void seal_superblock(struct image *image)
{
    superblock_encode(&image->sb, page_of(image, superblock_slot(image->sb.gen)));
}

/* A file without a log tail: all is in the trees.  Several leaves, packed and spread
 * values. */
static struct image healthy_image(const char *name)
{
    struct image image = {.path = unit_path(name)};
    scn_db *db = open_store(image.path, SCN_NOTHREAD);
    struct filler *filler = filler_create(db, 12345);
    for (int i = 0; i < 8; i++) {
        CHECK_OK(write_some(filler, "plain", 0, 400));
        CHECK_OK(write_some(filler, "packed", SCN_COMPRESS, 100));
    }
    CHECK_OK(scn_checkpoint(db));
    CHECK_OK(write_some(filler, "plain", 0, 100));
    CHECK_OK(scn_checkpoint(db));
    CHECK_OK(scn_close(db));
    mem_free(filler);
    image_read(&image);
    CHECK_EQ(image.sb.catalog.type, PAGE_LEAF);
    return image;
}

static struct report report_of_image(struct image *image)
{
    scn_db *db = open_store(image->path, SCN_RDONLY);
    struct report report = report_of(db, SCN_CHECK_ALL);
    CHECK_OK(scn_close(db));
    return report;
}

static struct report damaged_report(struct image *image)
{
    image_write(image);
    return report_of_image(image);
}

/* Rewrites a leaf in place: change returns false for a record that is to vanish. */
struct edit {
    bool (*change)(void *ctx, struct leaf_record *record, uint8_t *payload);
    void *ctx;
};

static void rewrite_leaf(struct image *image, struct page_ref *ref,
                         const struct edit *edit)
{
    uint8_t *page = page_of(image, ref->pgno);
    uint8_t *copy = mem_alloc(2 * PAGE_BYTES);
    struct leaf_builder *builder;
    struct page_header header;
    uint64_t link_gen = ref->link_gen;
    CHECK(copy != NULL);
    CHECK_OK(leaf_builder_create(&builder));
    memcpy(copy, page, PAGE_BYTES);
    page_header_decode(copy, &header);
    uint8_t *spare = copy + PAGE_BYTES;
    for (uint32_t i = 0; i < leaf_count(copy); i++) {
        struct leaf_record record;
        leaf_at(copy, i, &record);
        memcpy(spare, record.payload, record.payload_len);
        record.payload = spare;
        spare += record.payload_len;
        if (edit->change(edit->ctx, &record, (uint8_t *)record.payload))
            CHECK(leaf_builder_add(builder, &record));
    }
    leaf_build(builder, page, header.table_id, header.pgno, header.birth_gen, ref);
    ref->link_gen = link_gen;
    leaf_builder_destroy(builder);
    mem_free(copy);
}

static void rewrite_catalog(struct image *image, const struct edit *edit)
{
    rewrite_leaf(image, &image->sb.catalog, edit);
    seal_superblock(image);
}

/* The root row of a table in the catalog. */
static struct catalog_root root_of(struct image *image, uint32_t table_id)
{
    const uint8_t *page = page_of(image, image->sb.catalog.pgno);
    struct catalog_root root = {0};
    for (uint32_t i = 0; i < leaf_count(page); i++) {
        struct leaf_record record;
        leaf_at(page, i, &record);
        if (record.key[0] == 'R' && get_be32(record.key + 1) == table_id)
            catalog_root_decode(record.payload, &root);
    }
    CHECK(root.root.pgno != 0);
    return root;
}

enum { PLAIN = TABLE_FIRST_USER, PACKED = TABLE_FIRST_USER + 1 };

struct root_edit {
    uint32_t table_id;
    const struct catalog_root *root; /* NULL: the row vanishes */
};

static bool change_root(void *ctx, struct leaf_record *record, uint8_t *payload)
{
    const struct root_edit *edit = ctx;
    if (record->key[0] != 'R' || get_be32(record->key + 1) != edit->table_id)
        return true;
    if (edit->root)
        catalog_root_encode(edit->root, payload);
    return edit->root != NULL;
}

static void set_root(struct image *image, uint32_t table_id,
                     const struct catalog_root *root)
{
    struct root_edit change = {table_id, root};
    rewrite_catalog(image, &(struct edit){change_root, &change});
}

TEST(check__is_silent_on_the_image_that_damage_starts_from)
{
    struct image image = healthy_image("check-image.scn");
    CHECK_EQ(damaged_report(&image).count, 0);
    CHECK_EQ(root_of(&image, PLAIN).root.type, PAGE_INNER);
    image_free(&image);
}

TEST(check__finds_a_flipped_byte_in_every_page_in_use)
{
    struct image image = healthy_image("check-flip.scn");
    uint32_t silent = 0;
    uint32_t loud = 0;
    for (uint32_t pgno = FIRST_FREE_PAGE_NO; pgno < image.size / PAGE_BYTES; pgno++) {
        struct page_header header;
        page_header_decode(page_of(&image, pgno), &header);
        if (page_check_header(page_of(&image, pgno), pgno) != SCN_OK ||
            pgno == image.sb.catalog.pgno)
            continue; /* the log, zeros; the root without which there is no opening */
        uint8_t *at = page_of(&image, pgno) + header.used / 2;
        *at ^= 0x10;
        image_write_page(&image, pgno);
        struct report report = report_of_image(&image);
        *at ^= 0x10;
        image_write_page(&image, pgno);
        silent += report.count == 0;
        loud += report.count != 0;
        CHECK_EQ(report.kinds[SCN_ISSUE_LOST], 0); /* nothing follows from it */
        CHECK_EQ(report.count,
                 report.kinds[SCN_ISSUE_PAGE] + report.kinds[SCN_ISSUE_SPACE]);
    }
    CHECK(loud > 10);
    CHECK(silent < loud); /* freed pages */
    image_free(&image);
}

TEST(check__finds_a_count_that_is_wrong)
{
    struct image image = healthy_image("check-count.scn");
    struct catalog_root root = root_of(&image, PLAIN);
    root.stat.count++;
    root.stat.value_bytes--;
    set_root(&image, PLAIN, &root);
    struct report report = damaged_report(&image);
    CHECK_EQ(report.kinds[SCN_ISSUE_COUNT], 2);
    CHECK_EQ(report.count, 2);
    image_free(&image);
}

TEST(check__finds_the_pages_of_a_forgotten_table)
{
    struct image image = healthy_image("check-lost.scn");
    set_root(&image, PLAIN, NULL);
    struct report report = damaged_report(&image);
    CHECK(report.kinds[SCN_ISSUE_LOST] > 0);
    CHECK(report.kinds[SCN_ISSUE_USAGE] > 0);
    CHECK_EQ(report.count, report.kinds[SCN_ISSUE_LOST] + report.kinds[SCN_ISSUE_USAGE]);
    image_free(&image);
}

TEST(check__finds_a_tree_that_two_tables_share)
{
    struct image image = healthy_image("check-shared.scn");
    struct catalog_root root = root_of(&image, PLAIN);
    set_root(&image, PACKED, &root);
    struct report report = damaged_report(&image);
    CHECK_EQ(report.kinds[SCN_ISSUE_SHARED], 1);
    image_free(&image);
}

static bool rename_table(void *ctx, struct leaf_record *record, uint8_t *payload)
{
    (void)ctx;
    if (record->key[0] == 'I' && get_be32(record->key + 1) == PLAIN)
        payload[4] ^= 1;
    return true;
}

static bool forget_name(void *ctx, struct leaf_record *record, uint8_t *payload)
{
    (void)ctx;
    return record->key[0] != 'N' || get_u32(payload) != PLAIN;
}

static bool forget_table(void *ctx, struct leaf_record *record, uint8_t *payload)
{
    (void)ctx;
    (void)payload;
    return record->key[0] != 'I' || get_be32(record->key + 1) != PLAIN;
}

static bool lower_next_id(void *ctx, struct leaf_record *record, uint8_t *payload)
{
    (void)ctx;
    if (record->key[0] == '#')
        put_u32(payload, PLAIN);
    return true;
}

TEST(check__finds_names_and_tables_that_do_not_match)
{
    static const struct {
        bool (*change)(void *, struct leaf_record *, uint8_t *);
        uint32_t findings;
    } cases[] = {
        {rename_table, 1}, {forget_name, 1}, {forget_table, 2}, {lower_next_id, 2}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char name[32];
        snprintf(name, sizeof name, "check-catalog-%zu.scn", i);
        struct image image = healthy_image(name);
        rewrite_catalog(&image, &(struct edit){cases[i].change, NULL});
        struct report report = damaged_report(&image);
        CHECK_EQ(report.kinds[SCN_ISSUE_CATALOG], cases[i].findings);
        CHECK_EQ(report.count, cases[i].findings);
        image_free(&image);
    }
}

static bool raise_live(void *ctx, struct leaf_record *record, uint8_t *payload)
{
    uint32_t *changed = ctx;
    (void)record;
    if ((*changed)++ == 0)
        put_u32(payload, get_u32(payload) + 1);
    return true;
}

static bool forget_live(void *ctx, struct leaf_record *record, uint8_t *payload)
{
    uint32_t *changed = ctx;
    (void)record;
    (void)payload;
    return (*changed)++ != 1;
}

TEST(check__finds_live_bytes_that_are_wrong_or_missing)
{
    bool (*const changes[])(void *, struct leaf_record *, uint8_t *) = {raise_live,
                                                                        forget_live};
    for (size_t i = 0; i < 2; i++) {
        uint32_t changed = 0;
        struct image image = healthy_image(i ? "check-usage-1.scn" : "check-usage-0.scn");
        struct catalog_root root = root_of(&image, TABLE_USAGE);
        CHECK_EQ(root.root.type, PAGE_LEAF);
        rewrite_leaf(&image, &root.root, &(struct edit){changes[i], &changed});
        set_root(&image, TABLE_USAGE, &root);
        CHECK_EQ(damaged_report(&image).kinds[SCN_ISSUE_USAGE], 1);
        image_free(&image);
    }
}

/* The first two children of the root change places; each is whole, but holds the other's
 * keys. */
static void swap_children(struct image *image, struct page_ref *ref)
{
    uint8_t *page = page_of(image, ref->pgno);
    struct inner_builder *builder;
    struct page_header header;
    uint64_t link_gen = ref->link_gen;
    uint8_t *copy = mem_alloc(PAGE_BYTES);
    CHECK(copy != NULL);
    CHECK_OK(inner_builder_create(&builder));
    memcpy(copy, page, PAGE_BYTES);
    page_header_decode(copy, &header);
    for (uint32_t i = 0; i < inner_count(copy); i++) {
        uint32_t len = 0;
        struct page_ref child = page_ref_decode(inner_ref(copy, i < 2 ? 1 - i : i));
        const uint8_t *bound = i ? inner_separator(copy, i, &len) : (const uint8_t *)"";
        CHECK(inner_builder_add(builder, bound, len, &child));
    }
    inner_build(builder, page, header.level, header.table_id, header.pgno,
                header.birth_gen, ref);
    ref->link_gen = link_gen;
    inner_builder_destroy(builder);
    mem_free(copy);
}

TEST(check__finds_keys_beyond_their_separators)
{
    struct image image = healthy_image("check-order.scn");
    struct catalog_root root = root_of(&image, PLAIN);
    swap_children(&image, &root.root);
    set_root(&image, PLAIN, &root);
    struct report report = damaged_report(&image);
    CHECK_EQ(report.kinds[SCN_ISSUE_TREE], 2);
    CHECK_EQ(report.count, 2);
    image_free(&image);
}

static bool spoil_value(void *ctx, struct leaf_record *record, uint8_t *payload)
{
    uint32_t *changed = ctx;
    if (record->kind == LEAF_REF && (*changed)++ == 0)
        payload[8] ^= 1; /* its hash */
    return true;
}

TEST(check__finds_a_value_with_another_hash)
{
    struct image image = healthy_image("check-value.scn");
    struct catalog_root root = root_of(&image, PACKED);
    uint32_t changed = 0;
    if (root.root.type != PAGE_LEAF) {
        /* Small pages: the root's first child will do, behind a root that leads to it
         * alone. */
        const uint8_t *page = page_of(&image, root.root.pgno);
        while (root.root.type != PAGE_LEAF) {
            root.root = page_ref_decode(inner_ref(page, 0));
            page = page_of(&image, root.root.pgno);
        }
    }
    rewrite_leaf(&image, &root.root, &(struct edit){spoil_value, &changed});
    CHECK(changed > 0);
    set_root(&image, PACKED, &root);
    CHECK_EQ(damaged_report(&image).kinds[SCN_ISSUE_VALUE], 1);
    image_free(&image);
}

/* The bits of the first 256 pages are the second item of the first page. */
static void flip_used(struct image *image, uint32_t pgno)
{
    uint8_t *page = page_of(image, image->sb.space.pgno);
    struct page_header header;
    page_header_decode(page, &header);
    uint64_t link_gen = image->sb.space.link_gen;
    page[PAGE_HEADER_BYTES + PAGE_REF_BYTES + 32 + pgno / 8] ^= (uint8_t)(1u << pgno % 8);
    page_seal(page, PAGE_SPACE, 0, 0, header.pgno, header.birth_gen, header.used,
              &image->sb.space);
    image->sb.space.link_gen = link_gen;
    seal_superblock(image);
}

TEST(check__finds_an_owned_page_that_is_free)
{
    struct image image = healthy_image("check-free.scn");
    flip_used(&image, root_of(&image, PLAIN).root.pgno);
    struct report report = damaged_report(&image);
    CHECK_EQ(report.kinds[SCN_ISSUE_SPACE], 1);
    CHECK_EQ(report.count, 1);
    image_free(&image);
}

static uint32_t find_free_page(struct image *image)
{
    const uint8_t *bits = page_of(image, image->sb.space.pgno) + PAGE_HEADER_BYTES +
                          PAGE_REF_BYTES + 32;
    for (uint32_t pgno = FIRST_FREE_PAGE_NO; pgno < image->sb.page_count && pgno < 256;
         pgno++)
        if (!(bits[pgno / 8] >> (pgno % 8) & 1))
            return pgno;
    return 0;
}

TEST(check__finds_a_used_page_that_nobody_owns)
{
    struct image image = healthy_image("check-leak.scn");
    uint32_t pgno = find_free_page(&image);
    CHECK(pgno != 0);
    flip_used(&image, pgno);
    struct report report = damaged_report(&image);
    CHECK_EQ(report.kinds[SCN_ISSUE_LOST], 1);
    CHECK_EQ(report.count, 1);
    image_free(&image);
}

TEST(check__finds_a_broken_superblock)
{
    struct image image = healthy_image("check-slot.scn");
    page_of(&image, superblock_slot(image.sb.gen + 1))[100] ^= 1;
    struct report report = damaged_report(&image);
    CHECK_EQ(report.kinds[SCN_ISSUE_SLOT], 1);
    CHECK_EQ(report.count, 1);
    scn_db *db = open_store(image.path, SCN_RDONLY);
    CHECK_EQ(report_of(db, SCN_CHECK_QUICK).kinds[SCN_ISSUE_SLOT], 1);
    CHECK_OK(scn_close(db));
    image_free(&image);
}

/* Damage that comes while the store is open, and whose page a reader has in the pool. */
TEST(check__looks_at_the_file_and_not_at_the_pool)
{
    struct image image = healthy_image("check-pool.scn");
    scn_db *db = open_store(image.path, SCN_NOTHREAD);
    CHECK_EQ(report_of(db, SCN_CHECK_ALL).count, 0);
    scn_txn *txn;
    scn_table_id id;
    scn_cursor *cursor;
    CHECK_OK(scn_begin(db, SCN_READ, &txn));
    CHECK_OK(scn_table(txn, "plain", 0, &id));
    CHECK_OK(scn_cursor_open(txn, id, &cursor));
    CHECK_OK(scn_first(cursor, NULL, NULL));
    scn_abort(txn);
    page_of(&image, root_of(&image, PLAIN).root.pgno)[200] ^= 1;
    image_write(&image);
    CHECK_EQ(report_of(db, SCN_CHECK_ALL).kinds[SCN_ISSUE_PAGE], 1);
    CHECK_OK(scn_close(db));
    image_free(&image);
}

TEST(check__finds_damage_in_the_log)
{
    const char *path = unit_path("check-log.scn");
    scn_db *db = open_store(path, SCN_NOTHREAD);
    for (int i = 0; i < 20; i++)
        CHECK_OK(scn_put1(db, "t", (scn_slice){"key", 3}, (scn_slice){"value", 5}));
    check_is_silent(db);
    struct image image = {.path = path};
    image_read(&image);
    page_of(&image, image.sb.base.extent_pgno)[image.sb.base.extent_off + 400] ^= 1;
    image_write(&image);
    struct report report = report_of(db, SCN_CHECK_ALL);
    CHECK_EQ(report.kinds[SCN_ISSUE_LOG], 1);
    CHECK_EQ(report.count, 1);
    CHECK_OK(scn_close(db));
    image_free(&image);
}

struct eager {
    scn_db *db;
    uint32_t calls;
};

/* Without a thread for checkpoints, the commit that finds the log full makes one. */
static scn_status call_what_waits(void *ctx, const scn_issue *issue)
{
    static uint8_t value[PAGE_BYTES / 2];
    struct eager *eager = ctx;
    scn_status st = SCN_OK;
    uint64_t luck = 1;
    (void)issue;
    for (size_t at = 0; at < sizeof value; at++)
        value[at] = (uint8_t)unit_random(&luck); /* or the log would not fill */
    eager->calls++;
    CHECK_EQ(scn_checkpoint(eager->db), SCN_MISUSE);
    CHECK_EQ(scn_tick(eager->db, 0), SCN_MISUSE);
    CHECK_EQ(scn_check(eager->db, SCN_CHECK_QUICK, NULL, NULL, NULL), SCN_MISUSE);
    for (int i = 0; i < 1000 && st == SCN_OK; i++)
        st = scn_put1(eager->db, "t", (scn_slice){"key", 3},
                      (scn_slice){value, sizeof value});
    CHECK_EQ(st, SCN_MISUSE);
    return SCN_OK;
}

TEST(check__refuses_inside_what_would_wait_for_it)
{
    struct image image = healthy_image("check-inside.scn");
    struct catalog_root root = root_of(&image, PLAIN);
    root.stat.count++;
    set_root(&image, PLAIN, &root);
    image_write(&image);
    struct eager eager = {.db = open_store(image.path, SCN_NOTHREAD)};
    CHECK_OK(scn_check(eager.db, SCN_CHECK_ALL, call_what_waits, &eager, NULL));
    CHECK_EQ(eager.calls, 1);
    CHECK_OK(scn_checkpoint(eager.db));
    CHECK_OK(scn_close(eager.db));
    image_free(&image);
}

struct course {
    uint64_t calls;
    uint64_t last; /* this call ends it */
    uint64_t done;
};

static int go_on(void *user, uint64_t done, uint64_t expected)
{
    struct course *course = user;
    CHECK(done > course->done && done <= expected);
    course->done = done;
    return ++course->calls == course->last;
}

/* Every 64 pages, which takes small ones. */
TEST(check__asks_the_program_whether_to_go_on)
{
    struct course course = {0};
    scn_options options;
    scn_db *db;
    if (!PAGE_IS_SMALL)
        return;
    scn_options_init(&options);
    options.hooks = (scn_hooks){.progress = go_on, .user = &course};
    CHECK_OK(scn_open(unit_path("asking"), &options, &db));
    struct filler *filler = filler_create(db, 5);
    CHECK_OK(write_some(filler, "t", 0, 3000));
    CHECK_OK(scn_checkpoint(db));
    CHECK_OK(scn_check(db, SCN_CHECK_ALL, NULL, NULL, NULL));
    CHECK(course.calls > 2);
    course = (struct course){.last = 2};
    CHECK_EQ(scn_check(db, SCN_CHECK_ALL, NULL, NULL, NULL), SCN_INTERRUPTED);
    CHECK_EQ(course.calls, 2);
    course = (struct course){0};
    check_is_silent(db);
    mem_free(filler);
    CHECK_OK(scn_close(db));
}

TEST(check__stops_when_it_is_told_to)
{
    struct image image = healthy_image("check-stop.scn");
    struct report report = {.stop_at = 1};
    uint64_t issues = 0;
    struct catalog_root root = root_of(&image, PLAIN);
    root.stat.count++;
    root.stat.key_bytes++;
    set_root(&image, PLAIN, &root);
    image_write(&image);
    scn_db *db = open_store(image.path, SCN_NOTHREAD);
    CHECK_EQ(scn_check(db, SCN_CHECK_ALL, note, &report, &issues), SCN_INTERRUPTED);
    CHECK_EQ(issues, 1);
    CHECK_OK(scn_check(db, SCN_CHECK_ALL, NULL, NULL, &issues));
    CHECK_EQ(issues, 2);
    CHECK_OK(scn_check(db, SCN_CHECK_ALL, NULL, NULL, NULL));
    CHECK_EQ(scn_check(db, 2, NULL, NULL, NULL), SCN_MISUSE);
    CHECK_EQ(scn_check(NULL, 0, NULL, NULL, &issues), SCN_MISUSE);
    CHECK_OK(scn_close(db));
    image_free(&image);
}
