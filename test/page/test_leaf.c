/* Leaf pages: every key found, no other; seek against a plain scan; and no image that
 * page_check accepts lies.  Pages are heap blocks of exactly their size, so that the
 * sanitizer sees a byte read behind them. */
#include "page/leaf.h"

#include "page/value.h"
#include "test/page/key_shapes.h"

enum { PGNO = 77, TABLE_ID = 5, BIRTH = 9, BUCKETS_AT = 128, BUCKET = 64 };

struct leaf_fixture {
    struct key_set set;
    uint32_t count; /* of set, as many as fit */
    struct leaf_builder *builder;
    uint8_t *page;
    struct page_ref ref;
};

static uint8_t payloads[VALUE_INLINE_MAX + 256];

static void fill_payloads(uint64_t *state)
{
    for (uint32_t i = 0; i < sizeof payloads; i++)
        payloads[i] = (uint8_t)unit_random(state);
}

static void encode_some_reference(uint8_t *at)
{
    struct value_ref ref = {
        .len = 100,
        .page = {.pgno = 12, .type = PAGE_VALUES, .hash = 3, .birth_gen = 2},
        .off = 64,
    };
    value_ref_encode(&ref, at);
}

static struct leaf_record record_of(const struct key *key, uint32_t idx)
{
    static uint8_t reference[VALUE_REF_BYTES];
    struct leaf_record record = {
        .key = key->bytes,
        .key_len = key->len,
        .payload = payloads + idx % 256,
        .payload_len = (uint16_t)(idx % 31 == 0 ? VALUE_INLINE_MAX : idx * 7 % 60),
        .kind = LEAF_INLINE,
    };
    if (idx % 13 == 5) {
        encode_some_reference(reference);
        record.kind = LEAF_REF;
        record.payload = reference;
        record.payload_len = VALUE_REF_BYTES;
    } else if (idx % 13 == 7) {
        record.kind = LEAF_TOMBSTONE;
        record.payload_len = 0;
    }
    return record;
}

static bool is_record(const struct leaf_record *got, const struct leaf_record *want)
{
    return got->key_len == want->key_len && got->payload_len == want->payload_len &&
           got->kind == want->kind && memcmp(got->key, want->key, want->key_len) == 0 &&
           memcmp(got->payload, want->payload, want->payload_len) == 0;
}

static void fixture_build(struct leaf_fixture *fixture, uint32_t count_max)
{
    leaf_builder_reset(fixture->builder);
    fixture->count = 0;
    while (fixture->count < fixture->set.count && fixture->count < count_max) {
        struct leaf_record record =
            record_of(&fixture->set.keys[fixture->count], fixture->count);
        if (!leaf_builder_add(fixture->builder, &record))
            break;
        fixture->count++;
    }
    leaf_build(fixture->builder, fixture->page, TABLE_ID, PGNO, BIRTH, &fixture->ref);
}

static struct leaf_fixture fixture_create(enum shape shape, uint32_t count,
                                          uint64_t *state)
{
    struct leaf_fixture fixture = {.set = key_set_create(shape, count, state)};
    fill_payloads(state);
    CHECK_OK(leaf_builder_create(&fixture.builder));
    fixture.page = malloc(PAGE_BYTES);
    memset(fixture.page, 0xee, PAGE_BYTES);
    fixture_build(&fixture, UINT32_MAX);
    return fixture;
}

static void fixture_destroy(struct leaf_fixture *fixture)
{
    leaf_builder_destroy(fixture->builder);
    key_set_destroy(&fixture->set);
    free(fixture->page);
}

static bool find(const uint8_t *page, uint32_t hint, const uint8_t *key, uint32_t len,
                 struct leaf_record *out)
{
    return leaf_find(page, hint, leaf_hash(key, len), key, len, out);
}

/* Everything a page says about itself agrees, whoever wrote it. */
static void check_consistent(const uint8_t *page, const struct page_ref *ref)
{
    uint32_t count = leaf_count(page);
    CHECK(count >= 1);
    for (uint32_t i = 0; i < count; i++) {
        struct leaf_record record;
        struct leaf_record found;
        bool is_equal;
        leaf_at(page, i, &record);
        CHECK(record.payload + record.payload_len <= page + PAGE_BYTES);
        CHECK(find(page, ref->hint, record.key, record.key_len, &found));
        CHECK(found.key == record.key);
        CHECK_EQ(leaf_seek(page, record.key, record.key_len, &is_equal), i);
        CHECK(is_equal);
    }
}

static void check_all_found(const struct leaf_fixture *fixture)
{
    struct page_header header;
    page_header_decode(fixture->page, &header);
    CHECK_OK(page_check(fixture->page, &fixture->ref));
    CHECK_EQ(leaf_count(fixture->page), fixture->count);
    CHECK_EQ(leaf_builder_count(fixture->builder), fixture->count);
    CHECK_EQ(leaf_builder_bytes(fixture->builder), header.used);
    for (uint32_t i = 0; i < fixture->count; i++) {
        struct leaf_record want = record_of(&fixture->set.keys[i], i);
        struct leaf_record got;
        CHECK(find(fixture->page, fixture->ref.hint, want.key, want.key_len, &got));
        CHECK(is_record(&got, &want));
        leaf_at(fixture->page, i, &got);
        CHECK(is_record(&got, &want));
    }
}

static void check_near_keys(const struct leaf_fixture *fixture, uint64_t *state)
{
    for (uint32_t i = 0; i < fixture->set.count && i < 400; i++) {
        for (uint32_t kind = 0; kind < NEAR_KINDS; kind++) {
            struct key key = key_near(&fixture->set.keys[i], kind, state);
            struct leaf_record record;
            bool is_equal;
            bool is_there;
            uint32_t want = key_set_scan(&fixture->set, fixture->count, &key, &is_there);
            CHECK_EQ(find(fixture->page, fixture->ref.hint, key.bytes, key.len, &record),
                     is_there);
            CHECK_EQ(leaf_seek(fixture->page, key.bytes, key.len, &is_equal), want);
            CHECK_EQ(is_equal, is_there);
            free(key.bytes);
        }
    }
}

static uint32_t many(void)
{
    return PAGE_IS_SMALL ? 120 : 1200;
}

TEST(leaf__finds_every_key_whatever_its_shape)
{
    uint64_t state = unit_seed();
    for (int shape = 0; shape < SHAPE_COUNT; shape++) {
        struct leaf_fixture fixture = fixture_create((enum shape)shape, many(), &state);
        check_all_found(&fixture);
        for (uint32_t count = 1; count < 40; count += 1 + count / 4) {
            fixture_build(&fixture, count);
            check_all_found(&fixture);
        }
        fixture_destroy(&fixture);
    }
}

TEST(leaf__seek_equals_a_scan_and_absent_keys_are_not_found)
{
    uint64_t state = unit_seed();
    for (int shape = 0; shape < SHAPE_COUNT; shape++) {
        struct leaf_fixture fixture = fixture_create((enum shape)shape, many(), &state);
        check_near_keys(&fixture, &state);
        for (uint32_t count = 1; count < 12; count += 2) {
            fixture_build(&fixture, count);
            check_near_keys(&fixture, &state);
        }
        fixture_destroy(&fixture);
    }
}

TEST(leaf__seek_of_keys_around_all_others)
{
    uint64_t state = unit_seed();
    struct leaf_fixture fixture = fixture_create(SHAPE_TEXT, many(), &state);
    bool is_equal;
    CHECK_EQ(leaf_seek(fixture.page, "", 0, &is_equal), 0);
    CHECK_EQ(leaf_seek(fixture.page, "\0", 1, &is_equal), 0);
    CHECK_EQ(leaf_seek(fixture.page, "episode", 7, &is_equal), 0);
    CHECK_EQ(leaf_seek(fixture.page, "episodf", 7, &is_equal), fixture.count);
    CHECK_EQ(leaf_seek(fixture.page, "\xff\xff\xff\xff\xff", 5, &is_equal),
             fixture.count);
    CHECK(!is_equal);
    fixture_destroy(&fixture);
}

/* An entry of zeros leads to the page header, which could pass for a record with a key of
 * one byte, the lowest of the table's id. */
TEST(leaf__unused_entries_match_nothing)
{
    uint64_t state = unit_seed();
    struct leaf_fixture fixture = fixture_create(SHAPE_RANDOM, 20, &state);
    static const uint8_t key[1] = {TABLE_ID};
    for (uint64_t bucket = 0; bucket < 64; bucket++) {
        struct leaf_record record;
        uint64_t hash = bucket << 58; /* the tag is zero */
        CHECK(!leaf_find(fixture.page, fixture.ref.hint, hash, key, 1, &record));
    }
    fixture_destroy(&fixture);
}

/* Under the hash of another key, as if bucket and tag were the same. */
TEST(leaf__keys_are_told_apart_by_each_of_their_bytes)
{
    enum { LEN_MAX = 70 };
    uint8_t key[LEN_MAX] = {0};
    uint8_t *page = malloc(PAGE_BYTES);
    struct leaf_builder *builder;
    struct page_ref ref;
    struct leaf_record found;
    CHECK_OK(leaf_builder_create(&builder));
    for (uint32_t len = 1; len <= LEN_MAX; len++) {
        struct leaf_record record = {.key = key, .payload = key, .key_len = len};
        leaf_builder_reset(builder);
        CHECK(leaf_builder_add(builder, &record));
        leaf_build(builder, page, TABLE_ID, PGNO, BIRTH, &ref);
        uint64_t hash = leaf_hash(key, len);
        CHECK(leaf_find(page, ref.hint, hash, key, len, &found));
        CHECK(!leaf_find(page, ref.hint, hash, key, len - 1, &found));
        for (uint32_t i = 0; i < len; i++) {
            key[i] ^= 0x80;
            CHECK(!leaf_find(page, ref.hint, hash, key, len, &found));
            key[i] ^= 0x80;
        }
    }
    leaf_builder_destroy(builder);
    free(page);
}

TEST(leaf__a_batch_prefetches_only_what_is_there)
{
    uint64_t state = unit_seed();
    struct leaf_fixture fixture = fixture_create(SHAPE_RANDOM, many(), &state);
    for (uint32_t i = 0; i < 1000; i++) {
        uint64_t hash = unit_random(&state);
        leaf_prefetch(fixture.page, fixture.ref.hint, hash);
        leaf_prefetch_record(fixture.page, fixture.ref.hint, hash);
    }
    fixture_destroy(&fixture);
}

/* ---- building ---- */

TEST(leaf__one_record_always_fits)
{
    static uint8_t key[KEY_BYTES_MAX];
    struct leaf_builder *builder;
    uint8_t *page = malloc(PAGE_BYTES);
    struct page_ref ref;
    CHECK_OK(leaf_builder_create(&builder));
    memset(key, 'k', sizeof key);
    struct leaf_record record = {key, payloads, KEY_BYTES_MAX, VALUE_INLINE_MAX,
                                 LEAF_INLINE};
    CHECK(leaf_builder_add(builder, &record));
    leaf_build(builder, page, TABLE_ID, PGNO, BIRTH, &ref);
    CHECK_OK(page_check(page, &ref));
    check_consistent(page, &ref);
    leaf_builder_destroy(builder);
    free(page);
}

TEST(leaf__a_refused_record_changes_nothing)
{
    uint64_t state = unit_seed();
    struct leaf_fixture fixture = fixture_create(SHAPE_RANDOM, many() * 2, &state);
    CHECK(fixture.count < fixture.set.count);
    uint32_t bytes = leaf_builder_bytes(fixture.builder);
    CHECK(bytes <= PAGE_BYTES);
    struct leaf_record record =
        record_of(&fixture.set.keys[fixture.count], fixture.count);
    CHECK(!leaf_builder_add(fixture.builder, &record));
    CHECK_EQ(leaf_builder_count(fixture.builder), fixture.count);
    CHECK_EQ(leaf_builder_bytes(fixture.builder), bytes);
    fixture_destroy(&fixture);
}

/* Records of one kind, and a last one that fills the page to its last byte. */
static void build_full(struct leaf_fixture *fixture)
{
    struct leaf_builder *builder = fixture->builder;
    uint32_t room = PAGE_BYTES;
    leaf_builder_reset(builder);
    for (uint32_t i = 0; room > 0; i++) {
        struct leaf_record record = record_of(&fixture->set.keys[i], 1);
        bool is_last = room <= VALUE_INLINE_MAX;
        if (is_last)
            record.payload_len = (uint16_t)(room - record.key_len - 10);
        if (!leaf_builder_add(builder, &record)) {
            record.payload_len -= BUCKET; /* it takes one more bucket */
            CHECK(is_last && leaf_builder_add(builder, &record));
        }
        room = PAGE_BYTES - leaf_builder_bytes(builder);
        CHECK(!is_last || room == 0);
    }
    leaf_build(builder, fixture->page, TABLE_ID, PGNO, BIRTH, &fixture->ref);
    fixture->count = leaf_builder_count(builder);
}

TEST(leaf__a_page_may_be_full_to_the_last_byte)
{
    uint64_t state = unit_seed();
    struct leaf_fixture fixture = fixture_create(SHAPE_RANDOM, many() * 2, &state);
    build_full(&fixture);
    CHECK_OK(page_check(fixture.page, &fixture.ref));
    check_consistent(fixture.page, &fixture.ref);
    fixture_destroy(&fixture);
}

TEST(leaf__planned_bytes_bound_the_built_ones)
{
    uint64_t state = unit_seed();
    for (int shape = 0; shape < SHAPE_COUNT; shape++) {
        struct leaf_fixture fixture = fixture_create((enum shape)shape, many(), &state);
        leaf_builder_reset(fixture.builder);
        uint32_t planned = LEAF_FIXED_BYTES;
        for (uint32_t i = 0; i < fixture.count; i++) {
            struct leaf_record record = record_of(&fixture.set.keys[i], i);
            CHECK(leaf_builder_add(fixture.builder, &record));
            planned += leaf_record_bytes(record.key_len, record.payload_len);
            CHECK(leaf_builder_bytes(fixture.builder) <= planned);
            CHECK(leaf_builder_bytes(fixture.builder) + 64 + i + 1 >= planned);
        }
        fixture_destroy(&fixture);
    }
}

/* Few records, so that there are one or two buckets, and all want the last one. */
TEST(leaf__a_bucket_is_marked_when_it_turns_a_record_away)
{
    enum { COUNT_MAX = 22, BUCKET_ENTRIES = 20 };
    uint64_t state = unit_seed();
    struct leaf_fixture fixture = fixture_create(SHAPE_COUNTER, COUNT_MAX, &state);
    for (fixture.count = 1; fixture.count <= COUNT_MAX; fixture.count++) {
        uint32_t buckets = (fixture.count * 5 + 56) / 57;
        leaf_builder_reset(fixture.builder);
        for (uint32_t i = 0, number = 0; i < fixture.count; number++) {
            put_be32(fixture.set.keys[i].bytes, number);
            if ((leaf_hash(fixture.set.keys[i].bytes, 8) >> 32) * buckets >> 32 !=
                buckets - 1)
                continue;
            struct leaf_record record = record_of(&fixture.set.keys[i], 7);
            CHECK(leaf_builder_add(fixture.builder, &record));
            i++;
        }
        leaf_build(fixture.builder, fixture.page, TABLE_ID, PGNO, BIRTH, &fixture.ref);
        CHECK_EQ(fixture.ref.hint, buckets);
        CHECK_OK(page_check(fixture.page, &fixture.ref));
        check_consistent(fixture.page, &fixture.ref);
        uint8_t fill = fixture.page[BUCKETS_AT + (buckets - 1) * BUCKET + BUCKET_ENTRIES];
        CHECK_EQ(fill & 0x80 ? 1 : 0, fixture.count > BUCKET_ENTRIES);
    }
    fixture_destroy(&fixture);
}

/* All keys want the last bucket: its records wrap around to the first ones. */
TEST(leaf__keys_of_one_bucket_overflow_into_the_others)
{
    enum { COUNT = 100, BUCKETS = 9 };
    uint64_t state = unit_seed();
    struct leaf_fixture fixture = fixture_create(SHAPE_COUNTER, COUNT, &state);
    for (uint32_t i = 0, number = 0; i < COUNT; number++) {
        put_be32(fixture.set.keys[i].bytes, number);
        uint64_t hash = leaf_hash(fixture.set.keys[i].bytes, 8);
        i += (hash >> 32) * BUCKETS >> 32 == BUCKETS - 1;
    }
    leaf_builder_reset(fixture.builder);
    fixture.count = COUNT;
    for (uint32_t i = 0; i < COUNT; i++) {
        struct leaf_record record = record_of(&fixture.set.keys[i], 7);
        CHECK(leaf_builder_add(fixture.builder, &record));
    }
    leaf_build(fixture.builder, fixture.page, TABLE_ID, PGNO, BIRTH, &fixture.ref);
    CHECK_EQ(fixture.ref.hint, BUCKETS);
    CHECK_OK(page_check(fixture.page, &fixture.ref));
    check_consistent(fixture.page, &fixture.ref);
    check_near_keys(&fixture, &state);

    /* Without the mark on the full bucket the records behind it are lost. */
    fixture.page[BUCKETS_AT + (BUCKETS - 1) * BUCKET + 20] &= 0x7f;
    const char *fault = leaf_check(fixture.page, &fixture.ref);
    CHECK(fault != NULL && strstr(fault, "cannot be found") != NULL);
    fixture_destroy(&fixture);
}

/* ---- judging ---- */

TEST(leaf__each_changed_byte_is_refused)
{
    uint64_t state = unit_seed();
    struct leaf_fixture fixture =
        fixture_create(SHAPE_RANDOM, PAGE_IS_SMALL ? 60 : 100, &state);
    uint32_t used = leaf_builder_bytes(fixture.builder);
    for (uint32_t i = 0; i < used; i++) {
        uint8_t flip = (uint8_t)(1 + unit_random(&state) % 255);
        fixture.page[i] ^= flip;
        CHECK_EQ(page_check(fixture.page, &fixture.ref), SCN_CORRUPT);
        fixture.page[i] ^= flip;
    }
    CHECK_OK(page_check(fixture.page, &fixture.ref));
    fixture_destroy(&fixture);
}

static void change(uint8_t *page, uint32_t used, uint64_t *state)
{
    uint32_t at =
        PAGE_HEADER_BYTES + (uint32_t)(unit_random(state) % (used - PAGE_HEADER_BYTES));
    uint32_t structure = unit_random(state) % 2 ? 900 : 80;
    if (unit_random(state) % 2 && used > PAGE_HEADER_BYTES + structure)
        at = PAGE_HEADER_BYTES + (uint32_t)(unit_random(state) % structure);
    switch (unit_random(state) % 5) {
    case 0: page[at] ^= (uint8_t)(1u << unit_random(state) % 8); break;
    case 1: page[at] = 0; break;
    case 2: page[at] = 0xff; break;
    case 3: page[at] = (uint8_t)unit_random(state); break;
    default: page[at]++; break;
    }
}

static void reseal(uint8_t *page, uint32_t used, struct page_ref *ref)
{
    uint16_t hint = ref->hint;
    page_seal(page, PAGE_LEAF, 0, TABLE_ID, PGNO, BIRTH, used, ref);
    ref->hint = hint;
}

/* Whoever can change a page can also make its hash right. */
TEST(leaf__what_is_accepted_with_a_right_hash_is_consistent)
{
    uint64_t state = unit_seed();
    uint8_t *page = malloc(PAGE_BYTES);
    uint32_t accepted = 0;
    for (int shape = 0; shape < SHAPE_COUNT; shape++) {
        struct leaf_fixture fixture = fixture_create((enum shape)shape, 60, &state);
        uint32_t full = leaf_builder_bytes(fixture.builder);
        for (uint32_t i = 0; i < 1500; i++) {
            memcpy(page, fixture.page, PAGE_BYTES);
            for (uint32_t n = 1 + (uint32_t)(unit_random(&state) % 2); n > 0; n--)
                change(page, full, &state);
            struct page_ref ref = fixture.ref;
            uint32_t used =
                i % 10 ? full : full - (uint32_t)(unit_random(&state) % (full - 64));
            ref.hint = (uint16_t)(i % 50 ? ref.hint : unit_random(&state) % 40);
            reseal(page, used, &ref);
            if (page_check(page, &ref) == SCN_OK) {
                check_consistent(page, &ref);
                accepted++;
            }
        }
        fixture_destroy(&fixture);
    }
    CHECK(accepted > 0); /* values may be any bytes */
    free(page);
}

/* The last record begins two bytes before the end of a full page: not even its lengths
 * can be read. */
TEST(leaf__a_record_header_that_does_not_fit_is_not_read)
{
    uint64_t state = unit_seed();
    struct leaf_fixture fixture = fixture_create(SHAPE_RANDOM, many() * 2, &state);
    build_full(&fixture);
    struct leaf_record record;
    leaf_at(fixture.page, fixture.count - 2, &record);
    uint32_t end = PAGE_BYTES - 2;
    uint8_t *info = fixture.page + (record.key - fixture.page) - 2;
    uint8_t *offsets = fixture.page + BUCKETS_AT + BUCKET * fixture.ref.hint + 128 +
                       4 * fixture.count;
    put_u16(info, (uint16_t)(fixture.page + end - record.payload));
    put_u16(offsets + 2 * (fixture.count - 1), (uint16_t)end);
    CHECK(leaf_check(fixture.page, &fixture.ref) != NULL);
    fixture_destroy(&fixture);
}

/* Its key reaches to the end of a full page, and a reference is said to follow. */
TEST(leaf__a_reference_that_does_not_fit_is_not_read)
{
    uint64_t state = unit_seed();
    struct leaf_fixture fixture = fixture_create(SHAPE_RANDOM, many() * 2, &state);
    build_full(&fixture);
    struct leaf_record record;
    leaf_at(fixture.page, fixture.count - 1, &record);
    uint8_t *at = fixture.page + (record.key - fixture.page) - 4;
    put_u16(at, (uint16_t)(fixture.page + PAGE_BYTES - record.key));
    put_u16(at + 2, LEAF_REF << 14 | VALUE_REF_BYTES);
    CHECK(leaf_check(fixture.page, &fixture.ref) != NULL);
    fixture_destroy(&fixture);
}

/* Lengths at the end of a full page: what is read behind it, the sanitizer sees. */
TEST(leaf__no_change_of_a_full_page_leads_behind_it)
{
    uint64_t state = unit_seed();
    struct leaf_fixture fixture = fixture_create(SHAPE_RANDOM, many() * 2, &state);
    build_full(&fixture);
    for (uint32_t i = 0; i < 2000; i++) {
        struct leaf_record record;
        leaf_at(fixture.page, fixture.count - 1 - i % 3, &record);
        uint8_t *at = fixture.page + (record.key - fixture.page) - 4;
        uint8_t saved[4];
        memcpy(saved, at, 4);
        at[i / 3 % 4] = (uint8_t)unit_random(&state);
        bool is_changed = memcmp(saved, at, 4) != 0;
        CHECK_EQ(leaf_check(fixture.page, &fixture.ref) != NULL, is_changed);
        memcpy(at, saved, 4);
    }
    fixture_destroy(&fixture);
}

static void expect_fault(const struct leaf_fixture *fixture, uint8_t *at, uint32_t len,
                         const void *bytes, const char *sentence)
{
    uint8_t saved[64];
    memcpy(saved, at, len);
    memcpy(at, bytes, len);
    const char *fault = leaf_check(fixture->page, &fixture->ref);
    memcpy(at, saved, len);
    CHECK(fault != NULL);
    if (strstr(fault, sentence) == NULL)
        unit_fail(__FILE__, __LINE__, "'%s' instead of '%s'", fault, sentence);
    CHECK(leaf_check(fixture->page, &fixture->ref) == NULL);
}

static uint8_t *info_of(const struct leaf_fixture *fixture, uint32_t idx)
{
    struct leaf_record record;
    leaf_at(fixture->page, idx, &record);
    return fixture->page + (record.key - fixture->page) - 2;
}

TEST(leaf__each_part_is_judged)
{
    uint64_t state = unit_seed();
    struct leaf_fixture fixture = fixture_create(SHAPE_RANDOM, 20, &state);
    uint8_t *page = fixture.page;
    CHECK_EQ(fixture.count, 20);
    CHECK_EQ(fixture.ref.hint, 2);
    struct leaf_record before;
    uint8_t *hints = page + BUCKETS_AT + 2 * BUCKET;
    uint8_t *heads = hints + 128;
    uint8_t *offsets = heads + 4 * 20;
    static const uint8_t zeros[4];
    uint8_t large[4];
    static const uint8_t ones[4] = {0xff, 0xff, 0xff, 0xff};

    expect_fault(&fixture, page + 1, 1, "\1", "level");
    expect_fault(&fixture, page + 64, 4, zeros, "count");
    expect_fault(&fixture, page + 64, 4, ones, "count");
    put_u32(large, (PAGE_BYTES - 400) / 11);
    expect_fault(&fixture, page + 64, 4, large, "slots do not fit");
    put_u32(large, leaf_builder_bytes(fixture.builder) + 1);
    expect_fault(&fixture, page + 12, 4, large, "bytes behind the last record");
    expect_fault(&fixture, page + 68, 4, ones, "buckets");
    expect_fault(&fixture, page + 72, 2, ones, "positions");
    expect_fault(&fixture, page + 127, 1, ones, "template");
    expect_fault(&fixture, hints + 4 * 31, 4, zeros, "hint");
    expect_fault(&fixture, heads, 4, zeros, "head");
    expect_fault(&fixture, offsets + 2 * 7, 2, offsets + 2 * 6, "slot");
    expect_fault(&fixture, offsets + 2 * 7, 2, ones, "slot");
    expect_fault(&fixture, page + BUCKETS_AT + 20, 1, ones, "bucket");
    expect_fault(&fixture, page + BUCKETS_AT + 20, 1, zeros, "bucket");
    expect_fault(&fixture, page + BUCKETS_AT + 21, 1, ones, "bucket");
    expect_fault(&fixture, page + BUCKETS_AT + 24, 2, page + BUCKETS_AT + 26,
                 "cannot be found");
    expect_fault(&fixture, info_of(&fixture, 19) - 2, 2, zeros, "length of a key");
    expect_fault(&fixture, info_of(&fixture, 19) - 2, 2, ones, "length of a key");
    leaf_at(page, 7, &before);
    expect_fault(&fixture, info_of(&fixture, 8) + 2, 24, before.key, "do not ascend");
    fixture_destroy(&fixture);
}

TEST(leaf__payloads_are_judged_by_their_kind)
{
    uint64_t state = unit_seed();
    struct leaf_fixture fixture = fixture_create(SHAPE_RANDOM, 20, &state);
    struct leaf_record reference;
    uint8_t info[2];
    put_u16(info, 3u << 14 | 7);
    expect_fault(&fixture, info_of(&fixture, 1), 2, info, "unknown kind");
    put_u16(info, LEAF_TOMBSTONE << 14 | 7);
    expect_fault(&fixture, info_of(&fixture, 1), 2, info, "tombstone");
    put_u16(info, LEAF_REF << 14 | 7);
    expect_fault(&fixture, info_of(&fixture, 1), 2, info, "reference has a wrong length");
    put_u16(info, VALUE_INLINE_MAX + 1);
    expect_fault(&fixture, info_of(&fixture, 1), 2, info, "");
    put_u16(info, 8);
    expect_fault(&fixture, info_of(&fixture, 1), 2, info, "");

    leaf_at(fixture.page, 5, &reference);
    CHECK_EQ(reference.kind, LEAF_REF);
    uint8_t *at = fixture.page + (reference.payload - fixture.page);
    expect_fault(&fixture, at, 8, "\0\0\0\0\0\0\0\0", "value: its length");
    expect_fault(&fixture, at + 31 + 16, 1, "\1", "no page of values");
    fixture_destroy(&fixture);
}

TEST(leaf__the_pointers_hint_is_the_bucket_count)
{
    uint64_t state = unit_seed();
    struct leaf_fixture fixture = fixture_create(SHAPE_RANDOM, 40, &state);
    struct page_ref ref = fixture.ref;
    CHECK_OK(page_check(fixture.page, &ref));
    ref.hint++;
    CHECK_EQ(page_check(fixture.page, &ref), SCN_CORRUPT);
    ref.hint = 0;
    CHECK_EQ(page_check(fixture.page, &ref), SCN_CORRUPT);
    fixture_destroy(&fixture);
}
