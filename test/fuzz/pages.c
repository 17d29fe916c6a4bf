/* One page through its decoder.
 *
 * The input is either the body of a page as it stands, or the rows of a page that is
 * built from them and then changed in a few bytes.  It is sealed with a right hash, so
 * that only page_check stands between it and the accessors.  What page_check lets
 * through has to keep what the headers promise: every key of a leaf is found by hash and
 * by order, every key belongs to a child of an inner page, and nothing outside the page
 * is looked at. */
#include "page/hash.h"
#include "page/inner.h"
#include "page/leaf.h"
#include "page/ledger.h"
#include "page/page.h"
#include "page/value.h"
#include "test/fuzz/feed.h"
#include "test/fuzz/stage.h"
#include "test/fuzz/target.h"

#include <stdlib.h>

enum { PGNO = 5, GEN = 9, TABLE = 16 };

/* Of its own length on the heap: a look behind it is seen. */
static uint8_t *new_page(void)
{
    uint8_t *page = aligned_alloc(64, PAGE_BYTES);
    FUZZ_CHECK(page != NULL);
    memset(page, 0, PAGE_BYTES);
    return page;
}

/* ---- what must hold of a page that was accepted ---- */

static void look_at_record(const uint8_t *page, const struct page_ref *ref, uint32_t idx)
{
    struct leaf_record record;
    struct leaf_record found;
    struct value_ref value;
    bool is_equal;
    leaf_at(page, idx, &record);
    FUZZ_CHECK(record.key >= page && record.payload + record.payload_len <=
                                         page + PAGE_BYTES);
    uint64_t hash = leaf_hash(record.key, record.key_len);
    leaf_prefetch_record(page, ref->hint, hash);
    FUZZ_CHECK(leaf_find(page, ref->hint, hash, record.key, record.key_len, &found));
    FUZZ_CHECK(found.key == record.key && found.payload_len == record.payload_len);
    FUZZ_CHECK(leaf_seek(page, record.key, record.key_len, &is_equal) == idx && is_equal);
    if (record.key_len > 1) {
        (void)leaf_seek(page, record.key, record.key_len - 1, &is_equal);
        FUZZ_CHECK(leaf_find(page, ref->hint, leaf_hash(record.key, record.key_len - 1),
                             record.key, record.key_len - 1, &found) == is_equal);
    }
    if (record.kind == LEAF_REF)
        (void)value_ref_decode(record.payload, &value);
}

static void look_at_leaf(const uint8_t *page, const struct page_ref *ref)
{
    bool is_equal;
    FUZZ_CHECK(leaf_count(page) >= 1);
    for (uint32_t i = 0; i < leaf_count(page); i++)
        look_at_record(page, ref, i);
    FUZZ_CHECK(leaf_seek(page, "", 0, &is_equal) == 0 && !is_equal);
    uint8_t last[KEY_BYTES_MAX + 1];
    memset(last, 0xff, sizeof last);
    FUZZ_CHECK(leaf_seek(page, last, sizeof last, &is_equal) == leaf_count(page));
}

static void look_at_inner(const uint8_t *page)
{
    uint32_t count = inner_count(page);
    FUZZ_CHECK(count >= 1);
    FUZZ_CHECK(inner_find(page, "", 0) == 0);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t len;
        struct page_ref child = page_ref_decode(inner_ref(page, i));
        FUZZ_CHECK(child.pgno >= FIRST_FREE_PAGE_NO && child.pgno < FILE_PAGES_MAX);
        if (i == 0)
            continue;
        const uint8_t *bound = inner_separator(page, i, &len);
        FUZZ_CHECK(bound > page && bound + len <= page + PAGE_BYTES);
        FUZZ_CHECK(inner_find(page, bound, len) == i);
        FUZZ_CHECK(inner_find(page, bound, len - 1) < i);
    }
}

static void look_at_index(const uint8_t *page)
{
    struct page_ref next = value_index_next(page);
    for (uint32_t i = 0; i < value_index_count(page); i++) {
        struct value_part part = value_index_part(page, i);
        FUZZ_CHECK(part.pgno >= FIRST_FREE_PAGE_NO && part.pgno < FILE_PAGES_MAX);
    }
    FUZZ_CHECK(value_index_count(page) >= 1);
    FUZZ_CHECK(page_ref_is_null(&next) || next.type == PAGE_VALUE_INDEX);
}

static void judge(const uint8_t *page, const struct page_ref *ref)
{
    scn_status st = page_check(page, ref);
    FUZZ_CHECK(st == SCN_OK || st == SCN_CORRUPT);
    if (st != SCN_OK)
        return;
    if (ref->type == PAGE_LEAF)
        look_at_leaf(page, ref);
    else if (ref->type == PAGE_INNER)
        look_at_inner(page);
    else if (ref->type == PAGE_VALUE_INDEX)
        look_at_index(page);
}

/* ---- making pages ---- */

/* A few bytes behind the header become others, and the hash is right again. */
static void change(struct feed *feed, uint8_t *page, struct page_ref *ref)
{
    uint32_t used = get_u32(page + 12);
    uint16_t hint = ref->hint;
    bool is_changed = false;
    while (feed_left(feed) >= 3) {
        uint32_t at = feed_u16(feed) % (PAGE_BYTES - PAGE_HEADER_BYTES);
        page[PAGE_HEADER_BYTES + at] ^= feed_u8(feed);
        is_changed = true;
    }
    if (!is_changed)
        return;
    if (feed_left(feed) == 2)
        used = PAGE_HEADER_BYTES + feed_u16(feed) % (PAGE_BYTES - PAGE_HEADER_BYTES + 1);
    page_seal(page, (enum page_type)ref->type, ref->level, TABLE, PGNO, GEN, used, ref);
    ref->hint = hint;
}

static void make_raw(struct feed *feed, uint8_t *page, struct page_ref *ref)
{
    size_t got;
    uint8_t type = feed_u8(feed);
    uint8_t level = feed_u8(feed);
    uint16_t hint = feed_u16(feed);
    uint32_t used = feed_u16(feed);
    const uint8_t *body = feed_bytes(feed, PAGE_BYTES - PAGE_HEADER_BYTES, &got);
    memcpy(page + PAGE_HEADER_BYTES, body, got);
    if (used < PAGE_HEADER_BYTES || used > PAGE_BYTES)
        used = PAGE_HEADER_BYTES + (uint32_t)got;
    page_seal(page, (enum page_type)type, level, TABLE, PGNO, GEN, used, ref);
    ref->hint = hint;
}

/* The next key: some of the last one's bytes, then others, and above it. */
struct key_chain {
    uint8_t bytes[KEY_BYTES_MAX];
    uint32_t len;
};

static bool next_key(struct feed *feed, struct key_chain *key)
{
    size_t got;
    uint8_t fresh[KEY_BYTES_MAX];
    uint32_t shared = feed_u8(feed);
    if (shared > key->len)
        shared = key->len;
    if (shared == 255)
        shared += feed_u16(feed) % (key->len - shared + 1);
    uint32_t more = feed_u8(feed);
    if (more >= 250)
        more = feed_u16(feed) % (KEY_BYTES_MAX - shared + 1);
    if (shared + more > KEY_BYTES_MAX)
        more = KEY_BYTES_MAX - shared;
    memset(fresh, 'k', sizeof fresh);
    memcpy(fresh, key->bytes, shared);
    const uint8_t *bytes = feed_bytes(feed, more, &got);
    memcpy(fresh + shared, bytes, got);
    if (shared + more == 0 ||
        bytes_compare(fresh, shared + more, key->bytes, key->len) <= 0)
        return false;
    memcpy(key->bytes, fresh, shared + more);
    key->len = shared + more;
    return true;
}

/* False: it is none that a leaf may hold. */
static bool some_ref(struct feed *feed, uint8_t at[VALUE_REF_BYTES])
{
    struct value_ref again;
    uint8_t kind = feed_u8(feed);
    struct value_ref ref = {
        .len = 1 + feed_u16(feed),
        .hash = GEN,
        .page = {.hash = 1, .birth_gen = GEN, .link_gen = GEN, .pgno = 3 + feed_u8(feed),
                 .type = kind & 1 ? PAGE_VALUE_INDEX : PAGE_VALUES},
    };
    if (!(kind & 1))
        ref.off = PAGE_HEADER_BYTES + feed_u16(feed);
    value_ref_encode(&ref, at);
    return value_ref_decode(at, &again) == NULL;
}

enum { ROWS_MAX = 128 };

static struct leaf_record some_record(struct feed *feed, const struct key_chain *key,
                                      uint8_t *copy, uint8_t payload[VALUE_INLINE_MAX])
{
    memcpy(copy, key->bytes, key->len);
    memset(payload, 'v', VALUE_INLINE_MAX);
    struct leaf_record record = {.key = copy, .key_len = key->len, .payload = payload};
    uint8_t kind = feed_u8(feed);
    if (kind == 255) {
        record.kind = LEAF_TOMBSTONE;
    } else if (kind >= 240) {
        record.kind = some_ref(feed, payload) ? LEAF_REF : LEAF_INLINE;
        record.payload_len = VALUE_REF_BYTES;
    } else {
        record.payload_len = (uint16_t)(kind >= 200 ? feed_u16(feed) % VALUE_INLINE_MAX
                                                    : kind);
    }
    return record;
}

static void make_leaf(struct feed *feed, uint8_t *page, struct page_ref *ref)
{
    static uint8_t keys[ROWS_MAX][KEY_BYTES_MAX];
    static uint8_t payloads[ROWS_MAX][VALUE_INLINE_MAX];
    struct leaf_builder *builder;
    struct key_chain key = {.len = 0};
    uint32_t rows = 1 + feed_below(feed, ROWS_MAX);
    FUZZ_CHECK(leaf_builder_create(&builder) == SCN_OK);
    for (uint32_t i = 0; i < rows; i++) {
        if (!next_key(feed, &key))
            continue;
        struct leaf_record record = some_record(feed, &key, keys[i], payloads[i]);
        if (!leaf_builder_add(builder, &record))
            break;
    }
    struct leaf_record one = {.key = keys[0], .key_len = 1, .payload = payloads[0]};
    if (leaf_builder_count(builder) == 0)
        FUZZ_CHECK(leaf_builder_add(builder, &one));
    leaf_build(builder, page, TABLE, PGNO, GEN, ref);
    leaf_builder_destroy(builder);
    FUZZ_CHECK(page_check(page, ref) == SCN_OK);
}

static void make_inner(struct feed *feed, uint8_t *page, struct page_ref *ref)
{
    struct inner_builder *builder;
    struct key_chain key = {.len = 1};
    uint8_t level = (uint8_t)(1 + feed_below(feed, 3));
    uint32_t rows = 1 + feed_below(feed, ROWS_MAX);
    struct page_ref child = {.hash = 1, .birth_gen = GEN, .link_gen = GEN, .pgno = 7,
                             .hint = level == 1, .level = (uint8_t)(level - 1),
                             .type = level == 1 ? PAGE_LEAF : PAGE_INNER};
    FUZZ_CHECK(inner_builder_create(&builder) == SCN_OK);
    FUZZ_CHECK(inner_builder_add(builder, key.bytes, key.len, &child));
    for (uint32_t i = 0; i < rows; i++) {
        if (!next_key(feed, &key))
            continue;
        child.pgno++;
        if (!inner_builder_add(builder, key.bytes, key.len, &child))
            break;
    }
    inner_build(builder, page, level, TABLE, PGNO, GEN, ref);
    inner_builder_destroy(builder);
    FUZZ_CHECK(page_check(page, ref) == SCN_OK);
}

static void make_index(struct feed *feed, uint8_t *page, struct page_ref *ref)
{
    struct value_part parts[VALUE_INDEX_FANOUT];
    uint32_t count = 1 + feed_u16(feed) % VALUE_INDEX_FANOUT;
    for (uint32_t i = 0; i < count; i++)
        parts[i] = (struct value_part){.hash = i, .pgno = FIRST_FREE_PAGE_NO + i};
    struct page_ref next = {.pgno = feed_u8(feed), .type = PAGE_VALUE_INDEX, .hash = 3};
    next.pgno = next.pgno < FIRST_FREE_PAGE_NO ? 0 : next.pgno;
    value_index_fill(page, parts, count, &next);
    page_seal(page, PAGE_VALUE_INDEX, 0, TABLE, PGNO, GEN, value_index_used(count), ref);
    FUZZ_CHECK(page_check(page, ref) == SCN_OK);
}

/* ---- the allocation state: a chain of pages in a file ---- */

enum { LEDGER_PAGES_MAX = 4000, LEDGER_RANGES_MAX = 160 };

static void some_ledger(struct feed *feed, struct ledger *ledger)
{
    uint32_t end = FIRST_FREE_PAGE_NO;
    uint32_t ranges = feed_below(feed, LEDGER_RANGES_MAX);
    FUZZ_CHECK(bitmap_grow(&ledger->used, LEDGER_PAGES_MAX) == SCN_OK);
    FUZZ_CHECK(bitmap_grow(&ledger->freed, LEDGER_PAGES_MAX) == SCN_OK);
    bitmap_set(&ledger->used, 0, FIRST_FREE_PAGE_NO + 3);
    end += 3;
    for (uint32_t i = 0; i < ranges && end < LEDGER_PAGES_MAX - 64; i++) {
        uint8_t shape = feed_u8(feed);
        struct ledger_range range = {.pgno = end + shape % 5, .count = 1 + shape / 5 % 8,
                                     .birth = feed_below(feed, GEN),
                                     .kind = shape >> 7};
        range.freed = range.birth + 1 + feed_below(feed, (uint32_t)(GEN - range.birth));
        end = range.pgno + range.count;
        bitmap_set(&ledger->used, range.pgno, range.count);
        FUZZ_CHECK(ledger_add_range(ledger, &range) == SCN_OK);
    }
    ledger_sort(ledger);
    uint32_t pages = ledger_chain_pages(ledger, ledger_page_count(ledger));
    FUZZ_CHECK(pages <= 3);
    for (uint32_t i = 0; i < pages; i++)
        FUZZ_CHECK(ledger_add_own(ledger, FIRST_FREE_PAGE_NO + i) == SCN_OK);
}

/* A page of the chain is changed and sealed, and so are the pointers before it. */
static void change_chain(struct feed *feed, struct file *file, uint32_t pages,
                         struct page_ref *first)
{
    static uint8_t page[PAGE_BYTES];
    struct page_ref next = {0};
    for (uint32_t i = pages; i > 0; i--) {
        uint32_t pgno = FIRST_FREE_PAGE_NO + i - 1;
        FUZZ_CHECK(file_read_page(file, pgno, page, 0) == SCN_OK);
        uint32_t used = get_u32(page + 12);
        if (i < pages)
            page_ref_encode(&next, page + PAGE_HEADER_BYTES);
        for (uint32_t n = feed_below(feed, 4); n > 0; n--) {
            uint32_t at = PAGE_HEADER_BYTES + feed_u16(feed) % (used - PAGE_HEADER_BYTES);
            page[at] = feed_u8(feed);
        }
        if (feed_below(feed, 8) == 7)
            used = PAGE_HEADER_BYTES + 32 * feed_below(feed, 127);
        page_seal(page, PAGE_SPACE, 0, 0, pgno, GEN, used, &next);
        FUZZ_CHECK(file_write_pages(file, pgno, page, 1) == SCN_OK);
    }
    *first = next;
}

/* What was loaded is written, loaded again, and the same. */
static void check_ledger(const struct ledger *ledger, struct file *file)
{
    struct page_ref first;
    struct ledger again = {0};
    uint32_t pages = ledger_page_count(ledger);
    FUZZ_CHECK(bitmap_has_all(&ledger->used, 0, FIRST_FREE_PAGE_NO));
    for (uint32_t i = 0; i < ledger->own_count; i++)
        FUZZ_CHECK(bitmap_get(&ledger->used, ledger->own[i]) &&
                   !bitmap_get(&ledger->freed, ledger->own[i]));
    if (ledger->own_count != ledger_chain_pages(ledger, pages))
        return;
    FUZZ_CHECK(ledger_write(ledger, file, GEN, &first) == SCN_OK);
    FUZZ_CHECK(ledger_load(&again, file, &first, pages, GEN) == SCN_OK);
    FUZZ_CHECK(again.range_count == ledger->range_count);
    FUZZ_CHECK(bitmap_count(&again.used) == bitmap_count(&ledger->used));
    FUZZ_CHECK(bitmap_count(&again.freed) == bitmap_count(&ledger->freed));
    FUZZ_CHECK(ledger_needed_pages(&again) == ledger_needed_pages(ledger));
    ledger_destroy(&again);
}

static void run_ledger(struct feed *feed)
{
    static const uint8_t empty[(FIRST_FREE_PAGE_NO + 3) * PAGE_BYTES];
    struct file file;
    struct page_ref first;
    struct ledger made = {0};
    struct ledger loaded = {0};
    struct sys *sys = stage_build();
    stage_put_file(sys, empty, sizeof empty);
    FUZZ_CHECK(file_open(&file, sys, STAGE_STORE, false) == SCN_OK);
    some_ledger(feed, &made);
    uint32_t pages = ledger_page_count(&made);
    FUZZ_CHECK(ledger_write(&made, &file, GEN, &first) == SCN_OK);
    change_chain(feed, &file, made.own_count, &first);
    pages += feed_below(feed, 16) == 15;
    scn_status st = ledger_load(&loaded, &file, &first, pages, GEN);
    FUZZ_CHECK(st == SCN_OK || st == SCN_CORRUPT);
    if (st == SCN_OK)
        check_ledger(&loaded, &file);
    ledger_destroy(&loaded);
    ledger_destroy(&made);
    file_close(&file);
    stage_strike(sys);
}

/* ---- all ---- */

static void run_pages(const uint8_t *data, size_t size)
{
    static void (*const makers[])(struct feed *, uint8_t *, struct page_ref *) = {
        make_raw, make_leaf, make_leaf, make_inner, make_index};
    enum { MAKERS = sizeof makers / sizeof *makers };
    struct feed feed = feed_of(data, size);
    struct page_ref ref;
    uint32_t kind = feed_below(&feed, MAKERS + 1);
    if (kind == MAKERS) {
        run_ledger(&feed);
        return;
    }
    uint8_t *page = new_page();
    makers[kind](&feed, page, &ref);
    if (makers[kind] != make_raw)
        change(&feed, page, &ref);
    judge(page, &ref);
    free(page);
}

FUZZ_TARGET(pages, run_pages, NULL)
