/* The reference file: see reference.h. */
#include "test/engine/reference.h"

#include "engine/checkpoint.h"
#include "page/bytes.h"
#include "page/hash.h"
#include "test/engine/forge.h"
#include "test/sim/disk.h"
#include "test/unit/unit.h"
#include "wal/extent.h"

#include <stdarg.h>

/* ---- what is in it ---- */

enum table { STEP, LONG, PACKED, BLOCKS, SPREAD, BULK, TABLES };

static const struct {
    const char *name;
    uint32_t flags;
    uint32_t rows;
    uint32_t value_len;
} tables[TABLES] = {
    [STEP] = {"step", 0, 1, 8},
    /* Keys so long that an inner page has few children: a tree of three levels. */
    [LONG] = {"long", 0, 13, 20},
    [PACKED] = {"packed", 0, 4, PAGE_BYTES / 6},
    [BLOCKS] = {"blocks", SCN_COMPRESS, 6, PAGE_BYTES / 16},
    [SPREAD] = {"spread", 0, 1, PAGE_BYTES + PAGE_BYTES / 8},
    /* Together more than a record holds. */
    [BULK] = {"bulk", SCN_COMPRESS, 9, PAGE_BYTES / 2 - 100},
};

enum {
    LONG_KEY_BYTES = KEY_BYTES_MAX - 4,
    ROWS_MOST = 13,
    /* Numbers of commits. */
    FILLED = 8, /* all tables but `bulk` have rows, and the log has left an extent */
    MERGED = 11, /* what the trees hold */
    PACKS_WELL = 12, /* a record that is compressed */
    BEGINS_EPOCH = 13,
    IS_BULK = 14,
    FILLS_LOG = 15, /* to 17: the log goes on in another extent */
    DELETES = 18,
    CLEARS = 19,
    LAST = 20,
    VERSIONS_MOST = 32
};

static bool fills(uint32_t n, enum table table, uint32_t row)
{
    switch (n) {
    case 1:
        return table == LONG && row < 7;
    case 2:
        return table == LONG && row >= 7;
    case 3:
        return table == PACKED || table == BLOCKS;
    default:
        return table == SPREAD;
    }
}

/* In the log alone. */
static bool follows(uint32_t n, enum table table, uint32_t row)
{
    return (n == PACKS_WELL && table == BLOCKS) ||
           (n == BEGINS_EPOCH && table == LONG && row % 5 == 0) ||
           (n == IS_BULK && table == BULK) ||
           (n >= FILLS_LOG && n < DELETES && table == SPREAD) ||
           (n == LAST && table == PACKED && row == 0);
}

/* Does commit number n write this row? */
static bool writes(uint32_t n, enum table table, uint32_t row)
{
    if (table == STEP)
        return true;
    if (n <= FILLED)
        return fills(n, table, row);
    if (n <= MERGED)
        return (n == FILLED + 1 && table == LONG && row == 4) ||
               (n == FILLED + 1 && table == PACKED && row == 1) ||
               (n == MERGED && table == LONG && row == 9);
    if (n <= LAST)
        return follows(n, table, row);
    return (table == LONG && (row + n) % 4 == 0) || (table == PACKED && row == n % 4) ||
           (table == BLOCKS && row == n % 6);
}

static bool deletes(uint32_t n, enum table table, uint32_t row)
{
    if (n == DELETES)
        return (table == LONG && row == 3) || (table == PACKED && row == 1);
    return n == CLEARS && table == LONG && row >= 9 && row < 11;
}

/* The commit that wrote the row as it is after commit number n; 0: there is none. */
static uint32_t version_of(uint32_t n, enum table table, uint32_t row)
{
    for (; n > 0; n--) {
        if (deletes(n, table, row))
            return 0;
        if (writes(n, table, row))
            return n;
    }
    return 0;
}

static bool exists(uint32_t n, enum table table)
{
    static const uint32_t born[TABLES] = {
        [STEP] = 1, [LONG] = 1, [PACKED] = 3, [BLOCKS] = 3, [SPREAD] = 4,
        [BULK] = IS_BULK,
    };
    return n >= born[table];
}

/* ---- bytes ---- */

enum { VALUE_BYTES_MOST = PAGE_BYTES + PAGE_BYTES / 8 };

static scn_slice make_key(uint8_t *buf, enum table table, uint32_t row)
{
    size_t len = table == LONG ? LONG_KEY_BYTES : 6;
    memset(buf, 'k', len);
    buf[len - 2] = (uint8_t)('0' + row / 10);
    buf[len - 1] = (uint8_t)('0' + row % 10);
    return (scn_slice){buf, len};
}

static void fill_value(uint8_t *buf, uint32_t version, enum table table, uint32_t row)
{
    uint64_t random = ((uint64_t)version << 32 | (uint64_t)table << 16 | row) * 2 + 1;
    bool packs_well = (tables[table].flags & SCN_COMPRESS) != 0;
    for (int i = 0; i < 4; i++)
        unit_random(&random);
    for (uint32_t i = 0; i < tables[table].value_len; i++)
        buf[i] = packs_well && i % 16 ? 'b' : (uint8_t)(unit_random(&random) >> 30);
    if (table == STEP)
        put_u64(buf, version);
}

/* Made once: the same ones are compared a million times. */
static scn_slice value_of(uint32_t version, enum table table, uint32_t row)
{
    static uint8_t *values[VERSIONS_MOST][TABLES][ROWS_MOST];
    CHECK(version < VERSIONS_MOST);
    uint8_t **value = &values[version][table][row];
    if (*value == NULL) {
        *value = malloc(VALUE_BYTES_MOST);
        CHECK(*value != NULL);
        fill_value(*value, version, table, row);
    }
    return (scn_slice){*value, tables[table].value_len};
}

bool reference_row(uint32_t number, uint32_t idx, struct reference_row *out)
{
    static uint8_t key[KEY_BYTES_MAX];
    enum table table = (enum table)(idx / ROWS_MOST);
    uint32_t row = idx % ROWS_MOST;
    if (idx >= TABLES * ROWS_MOST)
        return false;
    *out = (struct reference_row){.table = tables[table].name};
    out->table_id = TABLE_FIRST_USER + table;
    out->key = make_key(key, table, row);
    out->version = row < tables[table].rows ? version_of(number, table, row) : 0;
    if (out->version)
        out->value = value_of(out->version, table, row);
    return true;
}

/* ---- one commit ---- */

static scn_status write_row(scn_txn *txn, scn_table_id id, uint32_t n, enum table table,
                            uint32_t row)
{
    static uint8_t key[KEY_BYTES_MAX];
    if (writes(n, table, row))
        return scn_put(txn, id, make_key(key, table, row), value_of(n, table, row), 0);
    if (deletes(n, table, row) && n != CLEARS)
        return scn_del(txn, id, make_key(key, table, row));
    return SCN_OK;
}

static scn_status clear_some(scn_txn *txn, scn_table_id id)
{
    static uint8_t from[KEY_BYTES_MAX];
    static uint8_t to[KEY_BYTES_MAX];
    return scn_del_range(txn, id, make_key(from, LONG, 9), make_key(to, LONG, 11), NULL);
}

static scn_status write_table(scn_txn *txn, uint32_t n, enum table table)
{
    scn_table_id id;
    scn_status st = scn_table(txn, tables[table].name, SCN_CREATE | tables[table].flags,
                              &id);
    if (st == SCN_OK && n == CLEARS && table == LONG)
        st = clear_some(txn, id);
    for (uint32_t row = 0; row < tables[table].rows && st >= 0; row++)
        st = write_row(txn, id, n, table, row);
    return st;
}

scn_status reference_commit(scn_db *db, uint32_t number)
{
    scn_txn *txn;
    scn_status st = scn_begin(db, SCN_WRITE, &txn);
    if (st < 0)
        return st;
    for (int table = 0; table < TABLES && st >= 0; table++)
        if (exists(number, (enum table)table))
            st = write_table(txn, number, (enum table)table);
    if (st >= 0)
        return scn_commit(txn);
    scn_abort(txn);
    return st;
}

/* ---- reading ---- */

/* More rows than a forger can put into so few pages. */
enum { CURSOR_ROWS_MAX = 100000 };

static void say(struct reading *reading, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void say(struct reading *reading, const char *format, ...)
{
    va_list args;
    if (reading->wrong[0] != 0)
        return;
    va_start(args, format);
    vsnprintf(reading->wrong, sizeof reading->wrong, format, args);
    va_end(args);
}

/* True where the answer says something about the content. */
static bool is_answer(struct reading *reading, scn_status st)
{
    if (st < 0 && reading->st == SCN_OK)
        reading->st = st;
    return st >= 0;
}

static bool value_is(uint32_t version, enum table table, uint32_t row, scn_slice value)
{
    if (version == 0 || value.size != tables[table].value_len)
        return false;
    return memcmp(value.data, value_of(version, table, row).data, value.size) == 0;
}

static void read_number(scn_txn *txn, struct reading *reading)
{
    static uint8_t key[KEY_BYTES_MAX];
    scn_table_id id;
    scn_slice value;
    scn_status st = scn_table(txn, tables[STEP].name, 0, &id);
    if (st == SCN_OK)
        st = scn_get(txn, id, make_key(key, STEP, 0), &value);
    if (!is_answer(reading, st))
        return;
    uint64_t number = st == SCN_OK && value.size == 8 ? get_u64(value.data) : 0;
    if (number < reading->least || number > reading->most)
        say(reading, "commit %llu is the last one, not %u to %u",
            (unsigned long long)number, reading->least, reading->most);
    reading->is_known = true;
    reading->number = reading->wrong[0] ? reading->most : (uint32_t)number;
}

static void check_get(scn_txn *txn, struct reading *reading, scn_table_id id,
                      enum table table, uint32_t row)
{
    static uint8_t key[KEY_BYTES_MAX];
    scn_slice value;
    uint32_t version = version_of(reading->number, table, row);
    scn_status st = scn_get(txn, id, make_key(key, table, row), &value);
    if (!is_answer(reading, st))
        return;
    if ((st == SCN_OK) != (version != 0))
        say(reading, "after commit %u row %u of %s is %s", reading->number, row,
            tables[table].name, version ? "missing" : "there");
    else if (version && !value_is(version, table, row, value))
        say(reading, "after commit %u row %u of %s is wrong", reading->number, row,
            tables[table].name);
}

static uint32_t next_row(uint32_t n, enum table table, uint32_t row)
{
    while (row < tables[table].rows && version_of(n, table, row) == 0)
        row++;
    return row;
}

static void check_cursor(struct reading *reading, scn_cursor *cursor, enum table table)
{
    static uint8_t buf[KEY_BYTES_MAX];
    scn_slice key;
    scn_slice value;
    uint32_t row = next_row(reading->number, table, 0);
    scn_status st = scn_first(cursor, &key, &value);
    for (uint32_t i = 0; st == SCN_OK && i < CURSOR_ROWS_MAX; i++) {
        scn_slice wanted = make_key(buf, table, row);
        if (row >= tables[table].rows || key.size != wanted.size ||
            memcmp(key.data, wanted.data, key.size) != 0 ||
            !value_is(version_of(reading->number, table, row), table, row, value))
            say(reading, "after commit %u a cursor on %s meets something else than row "
                "%u", reading->number, tables[table].name, row);
        row = next_row(reading->number, table, row + 1);
        st = scn_next(cursor, &key, &value);
    }
    reading->is_endless |= st == SCN_OK;
    if (is_answer(reading, st) && row != tables[table].rows)
        say(reading, "after commit %u a cursor on %s does not meet row %u",
            reading->number, tables[table].name, row);
}

static void check_count(scn_txn *txn, struct reading *reading, scn_table_id id,
                        enum table table)
{
    uint64_t count;
    uint64_t wanted = 0;
    for (uint32_t row = 0; row < tables[table].rows; row++)
        wanted += version_of(reading->number, table, row) != 0;
    scn_status st = scn_table_count(txn, id, &count);
    if (is_answer(reading, st) && count != wanted)
        say(reading, "after commit %u %s counts %llu rows, not %llu", reading->number,
            tables[table].name, (unsigned long long)count, (unsigned long long)wanted);
}

static void check_table(scn_txn *txn, struct reading *reading, enum table table)
{
    scn_table_id id;
    scn_cursor *cursor;
    scn_status st = scn_table(txn, tables[table].name, 0, &id);
    if (!is_answer(reading, st))
        return;
    if ((st == SCN_OK) != exists(reading->number, table))
        say(reading, "after commit %u table %s %s", reading->number, tables[table].name,
            st == SCN_OK ? "exists" : "does not exist");
    if (st != SCN_OK)
        return;
    for (uint32_t row = 0; row < tables[table].rows; row++)
        check_get(txn, reading, id, table, row);
    check_count(txn, reading, id, table);
    st = scn_cursor_open(txn, id, &cursor);
    if (!is_answer(reading, st) || st != SCN_OK)
        return;
    check_cursor(reading, cursor, table);
    scn_cursor_close(cursor);
}

void reference_read(scn_db *db, struct reading *reading)
{
    scn_txn *txn;
    reading->st = SCN_OK;
    reading->wrong[0] = 0;
    reading->is_endless = false;
    reading->number = reading->most;
    reading->is_known = reading->least == reading->most;
    if (!is_answer(reading, scn_begin(db, SCN_READ, &txn)))
        return;
    read_number(txn, reading);
    for (int table = 0; table < TABLES; table++)
        check_table(txn, reading, (enum table)table);
    scn_abort(txn);
}

/* ---- making it ---- */

scn_status reference_open(struct sys *sys, uint32_t flags, scn_db **db)
{
    scn_options options = {.struct_size = sizeof options, .flags = SCN_NOTHREAD | flags};
    options.pool_bytes = 64 * PAGE_BYTES;
    options.log_bytes = UINT64_C(16) * LOG_EXTENT_PAGES * PAGE_BYTES;
    return store_open_on(sys, REFERENCE_PATH, &options, db);
}

/* Pages behind page `end` that belong to a log extent which begins before. */
static uint32_t extent_pages_behind(const struct reference_image *image, uint64_t end)
{
    struct extent_header header;
    for (uint64_t i = 1; i < LOG_EXTENT_PAGES; i++)
        if (extent_header_decode(image->bytes + (end - i) * PAGE_BYTES, &header))
            return header.pages > i ? header.pages - (uint32_t)i : 0;
    return 0;
}

/* Without the zeros at the end, which nobody needs. */
static struct reference_image take_image(struct sim_disk *disk)
{
    struct reference_image image;
    CHECK(sim_file_size(disk, REFERENCE_PATH, &image.size));
    image.bytes = malloc(image.size);
    CHECK(image.bytes != NULL);
    CHECK(sim_peek(disk, REFERENCE_PATH, 0, image.bytes, image.size));
    uint64_t end = image.size / PAGE_BYTES;
    while (bytes_are_zero(image.bytes + (end - 1) * PAGE_BYTES, PAGE_BYTES))
        end--;
    end += extent_pages_behind(&image, end);
    CHECK(end * PAGE_BYTES <= image.size);
    image.size = end * PAGE_BYTES;
    return image;
}

static void remember(struct reference *reference, struct sim_disk *disk)
{
    CHECK(reference->older_count < REFERENCE_OLDER_MAX);
    reference->older[reference->older_count++] = take_image(disk);
}

static void checkpoint(scn_db *db)
{
    CHECK_OK(checkpoint_run(db->store, CHECKPOINT_PLAIN));
}

/* Many generations, so that pages and extents come back. */
static void fill_trees(struct reference *reference, struct sim_disk *disk, scn_db *db)
{
    for (uint32_t n = 1; n <= MERGED; n++) {
        CHECK_OK(reference_commit(db, n));
        if (n >= FILLED)
            checkpoint(db);
        if (n >= FILLED - 1)
            remember(reference, disk);
    }
    reference->in_trees = MERGED;
    reference->in_older_trees = MERGED - 1;
}

static void reopen(struct sys *sys, scn_db **db)
{
    CHECK_OK(scn_close(*db));
    CHECK_OK(reference_open(sys, 0, db));
}

/* A file that was once twice as long, and has been cut since: of the pages that it no
 * longer has every second one was freed.  So its allocation state needs a second page,
 * for ranges, which no file of a few pages comes to by itself. */
struct longer {
    struct forge *forge;
    struct superblock *sb;
    uint32_t second; /* the second page of the state */
    uint32_t old_ranges;
    uint32_t ranges;
    uint32_t bit_items;
    uint8_t items[2 * PAGE_BYTES];
};

enum {
    /* docs/format.md, "Space pages" */
    ITEM_BYTES = 32,
    ITEM_PAGES = 256,
    ITEMS_OFF = 96,
    PAGE_ITEMS = (PAGE_BYTES - ITEMS_OFF) / ITEM_BYTES,
    MORE_ITEMS = 3 /* in the second page */
};

static void add_ranges(struct longer *longer)
{
    uint32_t first = (uint32_t)(longer->forge->size / PAGE_BYTES) + 1;
    uint8_t *bits = longer->items + ITEM_BYTES;
    uint8_t *ranges = bits + longer->bit_items * ITEM_BYTES;
    for (uint32_t i = longer->old_ranges; i < longer->ranges; i++) {
        uint32_t pgno = first + (i - longer->old_ranges) * 2;
        uint8_t *range = ranges + i * ITEM_BYTES;
        bits[pgno / 8] |= (uint8_t)(1u << pgno % 8);
        put_u32(range, pgno);
        put_u32(range + 4, 1);
        put_u64(range + 8, 3);
        put_u64(range + 16, longer->sb->gen);
        longer->sb->page_count = pgno + 1;
    }
}

/* The state as it is, with more bits and room for more ranges. */
static void read_state(struct longer *longer)
{
    const uint8_t *page = forge_page(longer->forge, longer->sb->space.pgno);
    uint32_t old_bits = (longer->sb->page_count + ITEM_PAGES - 1) / ITEM_PAGES;
    longer->old_ranges = get_u32(page + ITEMS_OFF + 12);
    longer->ranges = PAGE_ITEMS + MORE_ITEMS - 1 - longer->bit_items;
    memcpy(longer->items, page + ITEMS_OFF, (1 + old_bits) * ITEM_BYTES);
    memcpy(longer->items + (1 + longer->bit_items) * ITEM_BYTES,
           page + ITEMS_OFF + (1 + old_bits) * ITEM_BYTES,
           longer->old_ranges * ITEM_BYTES);
    longer->items[ITEM_BYTES + longer->second / 8] |= (uint8_t)(1u << longer->second % 8);
}

static void write_state(struct longer *longer)
{
    struct superblock *sb = longer->sb;
    uint8_t *page = forge_page(longer->forge, sb->space.pgno);
    uint8_t *next = forge_page(longer->forge, longer->second);
    struct page_ref ref;
    put_u32(longer->items + 8, sb->page_count);
    put_u32(longer->items + 12, longer->ranges);
    memcpy(next + ITEMS_OFF, longer->items + PAGE_ITEMS * ITEM_BYTES,
           MORE_ITEMS * ITEM_BYTES);
    page_seal(next, PAGE_SPACE, 0, 0, longer->second, sb->gen,
              ITEMS_OFF + MORE_ITEMS * ITEM_BYTES, &ref);
    memcpy(page + ITEMS_OFF, longer->items, PAGE_ITEMS * ITEM_BYTES);
    page_ref_encode(&ref, page + 64);
    page_seal(page, PAGE_SPACE, 0, 0, sb->space.pgno, sb->gen,
              ITEMS_OFF + PAGE_ITEMS * ITEM_BYTES, &sb->space);
    superblock_encode(sb, longer->forge->bytes + longer->forge->newest * PAGE_BYTES);
}

static void lengthen_state(struct reference_image *image)
{
    struct forge forge;
    struct longer *longer = calloc(1, sizeof *longer);
    CHECK(longer != NULL);
    image->size += PAGE_BYTES;
    image->bytes = realloc(image->bytes, image->size);
    CHECK(image->bytes != NULL);
    memset(image->bytes + image->size - PAGE_BYTES, 0, PAGE_BYTES);
    forge_open(&forge, image->bytes, image->size);
    longer->forge = &forge;
    longer->sb = &forge.sb[forge.newest];
    longer->second = (uint32_t)(image->size / PAGE_BYTES) - 1;
    longer->sb->needed_pages = longer->second + 1;
    longer->bit_items = (longer->second + 2 * PAGE_ITEMS) / ITEM_PAGES + 1;
    read_state(longer);
    add_ranges(longer);
    longer->bit_items = (longer->sb->page_count + ITEM_PAGES - 1) / ITEM_PAGES;
    write_state(longer);
    forge_close(&forge);
    free(longer);
}

void reference_make(struct reference *reference)
{
    scn_db *db;
    struct sim_disk *disk = sim_disk_create(20);
    struct sys *sys = sim_process_create(disk);
    *reference = (struct reference){0};
    CHECK_OK(reference_open(sys, 0, &db));
    fill_trees(reference, disk, db);
    for (uint32_t n = MERGED + 1; n <= LAST; n++) {
        if (n == BEGINS_EPOCH)
            reopen(sys, &db);
        CHECK_OK(reference_commit(db, n));
        if (n == IS_BULK)
            remember(reference, disk);
    }
    CHECK_OK(scn_close(db));
    reference->commits = LAST;
    reference->now = take_image(disk);
    if (PAGE_IS_SMALL) /* else it would be a very long file */
        lengthen_state(&reference->now);
    sim_process_destroy(sys);
    sim_disk_destroy(disk);
}

void reference_destroy(struct reference *reference)
{
    free(reference->now.bytes);
    for (uint32_t i = 0; i < reference->older_count; i++)
        free(reference->older[i].bytes);
}
