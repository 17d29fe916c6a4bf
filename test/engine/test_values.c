/* Values outside the leaf: written in three ways, read whole and in part, and not
 * believed when the reference, the index or the block lies. */
#include "engine/values.h"
#include "page/compress.h"
#include "page/hash.h"
#include "page/mem.h"
#include "test/unit/unit.h"

enum { TABLE = 5, GEN = 7, POOL_PAGES = 64, VALUES_MAX = 4000, PAGES_MAX = 4000 };

struct store {
    struct sys *sys;
    struct file file;
    struct pool *pool;
    struct pool_reader *reader;
    struct writer *writer;
    struct values *values;
    struct values_scratch scratch;
    bool is_scattered;
};

/* In a scattered store each page lies two behind the one before. */
static scn_status take(void *ctx, uint32_t wanted, uint32_t *pgno, uint32_t *count)
{
    struct store *store = ctx;
    *count = store->is_scattered ? 1 : wanted;
    scn_status st = file_grow(&store->file, *count + store->is_scattered, pgno);
    *pgno += store->is_scattered;
    return st;
}

static void store_open(struct store *store, bool compress)
{
    *store = (struct store){.sys = sys_memory_create()};
    CHECK(store->sys != NULL);
    struct sys_file *handle;
    CHECK_OK(store->sys->ops->open(store->sys, "values", SYS_CREATE, &handle));
    store->sys->ops->close(handle);
    CHECK_OK(file_open(&store->file, store->sys, "values", false));
    uint32_t first;
    CHECK_OK(file_grow(&store->file, FIRST_FREE_PAGE_NO, &first));
    CHECK_OK(pool_create(&store->file, (uint64_t)POOL_PAGES * PAGE_BYTES, &store->pool));
    CHECK_OK(pool_reader_create(store->pool, &store->reader));
    CHECK_OK(writer_create(&store->file, NULL, GEN, take, NULL, store, &store->writer));
    CHECK_OK(values_create(store->writer, TABLE, compress, &store->values));
}

static void store_close(struct store *store)
{
    values_scratch_destroy(&store->scratch);
    values_destroy(store->values);
    writer_destroy(store->writer);
    pool_reader_destroy(store->reader);
    pool_destroy(store->pool);
    file_close(&store->file);
    sys_memory_destroy(store->sys);
}

static scn_status read_whole(struct store *store, const struct value_ref *ref,
                             scn_slice *out, const uint8_t **page)
{
    pool_enter(store->reader);
    scn_status st = values_read(store->reader, ref, &store->scratch, out, page);
    pool_leave(
        store->reader); /* one thread, and nothing is loaded meanwhile: bytes stay */
    return st;
}

static scn_status read_part(struct store *store, const struct value_ref *ref,
                            uint64_t off, void *buf, size_t len, size_t *got)
{
    pool_enter(store->reader);
    scn_status st =
        values_read_at(store->reader, ref, &store->scratch, off, buf, len, got);
    pool_leave(store->reader);
    return st;
}

/* Flips a bit, which the pool does not know yet. */
static void damage(struct store *store, uint32_t pgno, uint32_t off)
{
    uint8_t byte;
    CHECK_OK(file_read(&store->file, (uint64_t)pgno * PAGE_BYTES + off, &byte, 1, 0));
    byte ^= 0x10;
    CHECK_OK(file_write(&store->file, (uint64_t)pgno * PAGE_BYTES + off, &byte, 1, 0));
    pool_forget(store->pool, pgno, 1);
}

/* Text that shrinks, or bytes that do not; a value is known by its seed. */
static void fill(uint8_t *data, size_t len, uint64_t seed)
{
    uint64_t state = seed * 2 + 1;
    for (size_t i = 0; i < len; i++) {
        uint64_t random = unit_random(&state);
        data[i] = seed % 3 == 0 ? (uint8_t)(random >> 32) : "{\"episode\": 12, "[i % 16];
        if (random % 31 == 0)
            data[i] = (uint8_t)(random >> 40);
    }
}

static uint8_t *make(size_t len, uint64_t seed)
{
    uint8_t *data = mem_alloc(len);
    CHECK(data != NULL);
    fill(data, len, seed);
    return data;
}

static uint64_t put(struct store *store, size_t len, uint64_t seed)
{
    uint8_t *data = make(len, seed);
    uint64_t ticket = 0;
    CHECK_OK(values_put(store->values, data, len, &ticket));
    mem_free(data);
    return ticket;
}

/* Through its encoded form, as a leaf keeps it. */
static struct value_ref resolved(struct store *store, uint64_t ticket)
{
    struct value_ref ref;
    CHECK(values_resolve(store->values, ticket, &ref));
    uint8_t bytes[VALUE_REF_BYTES];
    struct value_ref decoded;
    value_ref_encode(&ref, bytes);
    const char *fault = value_ref_decode(bytes, &decoded);
    if (fault != NULL)
        fprintf(stderr, "    %s\n", fault);
    CHECK(fault == NULL);
    return decoded;
}

static struct value_ref put_alone(struct store *store, size_t len, uint64_t seed)
{
    uint64_t ticket = put(store, len, seed);
    CHECK_OK(values_flush(store->values));
    CHECK_OK(writer_flush(store->writer));
    return resolved(store, ticket);
}

static void check_value(struct store *store, const struct value_ref *ref, size_t len,
                        uint64_t seed)
{
    scn_slice got;
    const uint8_t *page;
    uint8_t *data = make(len, seed);
    CHECK_OK(read_whole(store, ref, &got, &page));
    CHECK_EQ(got.size, len);
    CHECK(memcmp(got.data, data, len) == 0);
    bool is_in_place = !value_ref_is_spread(ref) && ref->block_stored == 0;
    CHECK_EQ(page != NULL, is_in_place);
    mem_free(data);
}

static void check_parts(struct store *store, const struct value_ref *ref, size_t len,
                        uint64_t seed, uint64_t *random)
{
    uint8_t *data = make(len, seed);
    uint8_t *buf = mem_alloc(len + 10);
    CHECK(buf != NULL);
    for (int i = 0; i < 4; i++) {
        uint64_t off = unit_random(random) % (len + 2);
        size_t wanted = unit_random(random) % (len + 10);
        size_t expected = off >= len ? 0 : wanted < len - off ? wanted : len - off;
        size_t got;
        CHECK_OK(read_part(store, ref, off, buf, wanted, &got));
        CHECK_EQ(got, expected);
        CHECK(got == 0 || memcmp(buf, data + off, got) == 0);
    }
    mem_free(buf);
    mem_free(data);
}

static size_t random_len(uint64_t *random)
{
    switch (unit_random(random) % 16) {
    case 0:
        return 1 + unit_random(random) % (4 * PAGE_BYTES);
    case 1:
        return VALUE_SPREAD_BYTES - 2 + unit_random(random) % 5;
    case 2:
        return VALUES_BLOCK_BYTES - 2 + unit_random(random) % 5;
    case 3:
        return 1 + unit_random(random) % 8;
    default:
        return 1 + unit_random(random) % (PAGE_BYTES / 8);
    }
}

static void check_round_trip(bool compress)
{
    struct store store;
    store_open(&store, compress);
    uint64_t random = unit_seed();
    enum { COUNT = 600 };
    static size_t lens[COUNT];
    static struct value_ref refs[COUNT];
    uint32_t known = 0;
    for (uint32_t i = 0; i < COUNT; i++) {
        lens[i] = random_len(&random);
        CHECK_EQ(put(&store, lens[i], i), i);
        /* In order, as a rebuild does it. */
        struct value_ref ref;
        while (known <= i && values_resolve(store.values, known, &ref)) {
            refs[known] = resolved(&store, known);
            known++;
            if (known % 5 == 0)
                values_forget(store.values, known);
        }
    }
    CHECK(known > COUNT / 2);
    CHECK_OK(values_flush(store.values));
    CHECK_OK(writer_flush(store.writer));
    for (; known < COUNT; known++)
        refs[known] = resolved(&store, known);
    for (uint32_t i = 0; i < COUNT; i++)
        check_value(&store, &refs[i], lens[i], i);
    for (uint32_t i = 0; i < COUNT; i++) {
        uint32_t idx = (uint32_t)(unit_random(&random) % COUNT);
        check_value(&store, &refs[idx], lens[idx], idx);
        check_parts(&store, &refs[idx], lens[idx], idx, &random);
    }
    store_close(&store);
}

TEST(values__come_back_whole_and_in_part)
{
    check_round_trip(false);
}

TEST(values__come_back_from_compressed_blocks)
{
    check_round_trip(true);
}

TEST(values__share_a_page_and_are_known_when_it_is_sealed)
{
    struct store store;
    store_open(&store, false);
    struct value_ref ref;
    uint32_t len = VALUE_SPREAD_BYTES / 3;
    put(&store, len, 1);
    put(&store, len, 2);
    put(&store, len, 3);
    CHECK(!values_resolve(store.values, 0, &ref));
    uint64_t spread = put(&store, 2 * PAGE_BYTES, 4);
    CHECK(values_resolve(store.values, spread, &ref));
    CHECK(!values_resolve(store.values, 2, &ref));
    put(&store, len, 5);
    CHECK(!values_resolve(store.values, 4, &ref));
    struct value_ref first = resolved(&store, 0);
    struct value_ref third = resolved(&store, 2);
    CHECK(page_ref_equal(&first.page, &third.page));
    values_forget(store.values, 3);
    CHECK_OK(values_flush(store.values));
    CHECK_OK(writer_flush(store.writer));
    struct value_ref last = resolved(&store, 4);
    check_value(&store, &first, len, 1);
    check_value(&store, &third, len, 3);
    check_value(&store, &last, len, 5);
    store_close(&store);
}

TEST(values__in_blocks_take_less_room)
{
    struct store store;
    store_open(&store, true);
    enum { COUNT = 200, LEN = PAGE_BYTES / 32 };
    for (uint64_t i = 0; i < COUNT; i++)
        put(&store, LEN, 3 * i + 1);
    CHECK_OK(values_flush(store.values));
    CHECK_OK(writer_flush(store.writer));
    CHECK(writer_page_count(store.writer) < COUNT * LEN / PAGE_BYTES * 2 / 3);
    uint32_t blocks = 0;
    uint32_t off = 0;
    for (uint64_t i = 0; i < COUNT; i++) {
        struct value_ref ref = resolved(&store, i);
        CHECK(ref.block_stored != 0);
        CHECK(ref.block_raw <= VALUES_BLOCK_BYTES);
        check_value(&store, &ref, LEN, 3 * i + 1);
        blocks += ref.off != off;
        off = ref.off;
    }
    CHECK(blocks <= 2 + COUNT * LEN / (VALUES_BLOCK_BYTES - LEN - PAGE_HEADER_BYTES));
    store_close(&store);
}

TEST(values__of_one_block_are_decompressed_once)
{
    struct store store;
    store_open(&store, true);
    put(&store, 400, 1);
    struct value_ref second = put_alone(&store, 400, 4);
    struct value_ref first = resolved(&store, 0);
    CHECK_EQ(first.off, second.off);
    check_value(&store, &first, 400, 1);
    damage(&store, first.page.pgno, first.off + 3);
    check_value(&store, &second, 400, 4);
    values_scratch_destroy(&store.scratch);
    scn_slice got;
    const uint8_t *page;
    CHECK_EQ(read_whole(&store, &second, &got, &page), SCN_CORRUPT);
    /* Blocks of equal place and length in two pages are two blocks. */
    struct value_ref third = put_alone(&store, 800, 7);
    struct value_ref fourth = put_alone(&store, 800, 10);
    CHECK_EQ(third.off, fourth.off);
    check_value(&store, &third, 800, 7);
    check_value(&store, &fourth, 800, 10);
    store_close(&store);
}

TEST(values__that_do_not_shrink_stay_plain)
{
    struct store store;
    store_open(&store, true);
    uint8_t *data = mem_alloc(VALUE_SPREAD_BYTES);
    CHECK(data != NULL);
    uint64_t random = 99;
    for (uint32_t i = 0; i < VALUE_SPREAD_BYTES; i++)
        data[i] = (uint8_t)(unit_random(&random) >> 32);
    uint64_t tickets[2];
    CHECK_OK(values_put(store.values, data, 100, &tickets[0]));
    CHECK_OK(values_put(store.values, data, VALUE_SPREAD_BYTES, &tickets[1]));
    CHECK_OK(values_flush(store.values));
    CHECK_OK(writer_flush(store.writer));
    for (int i = 0; i < 2; i++) {
        struct value_ref ref = resolved(&store, tickets[i]);
        CHECK_EQ(ref.block_stored, 0);
        scn_slice got;
        const uint8_t *page;
        CHECK_OK(read_whole(&store, &ref, &got, &page));
        CHECK(memcmp(got.data, data, got.size) == 0);
    }
    mem_free(data);
    store_close(&store);
}

/* Long enough for a chain of index pages, where pages are small. */
static size_t long_len(void)
{
    return PAGE_IS_SMALL ? (size_t)(2 * VALUE_INDEX_FANOUT + 3) * VALUE_SPREAD_BYTES + 7
                         : (size_t)5 * VALUE_SPREAD_BYTES + 7;
}

TEST(values__may_need_many_index_pages)
{
    struct store store;
    store_open(&store, false);
    uint64_t random = unit_seed();
    struct value_ref ref = put_alone(&store, long_len(), 1);
    CHECK(value_ref_is_spread(&ref));
    check_value(&store, &ref, long_len(), 1);
    check_parts(&store, &ref, long_len(), 1, &random);
    check_value(&store, &ref, long_len(), 1);
    store_close(&store);
}

TEST(values__of_several_pages_may_lie_anywhere)
{
    struct store store;
    store_open(&store, false);
    uint64_t random = unit_seed();
    store.is_scattered = true;
    struct value_ref ref = put_alone(&store, long_len(), 1);
    check_value(&store, &ref, long_len(), 1);
    check_parts(&store, &ref, long_len(), 1, &random);
    store_close(&store);
}

TEST(values__fill_their_last_page_exactly)
{
    for (int pages = 1; pages <= 3; pages++) {
        for (int more = -1; more <= 1; more++) {
            struct store store;
            store_open(&store, pages == 2);
            size_t len = (size_t)pages * VALUE_SPREAD_BYTES + (size_t)more;
            struct value_ref ref = put_alone(&store, len, 3);
            CHECK_EQ(value_ref_is_spread(&ref), len > VALUE_SPREAD_BYTES);
            check_value(&store, &ref, len, 3);
            store_close(&store);
        }
    }
}

/* ---- pages ---- */

struct page_set {
    uint8_t seen[PAGES_MAX];
    uint32_t count;
    uint32_t shared;
};

static scn_status note_pages(void *ctx, uint32_t pgno, uint32_t count, uint64_t birth_gen,
                             bool is_shared)
{
    struct page_set *set = ctx;
    CHECK_EQ(birth_gen, GEN);
    for (uint32_t i = pgno; i < pgno + count; i++) {
        CHECK(i < PAGES_MAX);
        CHECK(is_shared || !set->seen[i]);
        set->count += !set->seen[i];
        set->shared += is_shared && !set->seen[i];
        set->seen[i] = 1;
    }
    return SCN_OK;
}

TEST(values__name_every_page_they_lie_in)
{
    struct store store;
    store_open(&store, false);
    struct page_set *set = mem_zalloc(sizeof *set);
    CHECK(set != NULL);
    uint64_t random = unit_seed();
    put(&store, long_len(), 1);
    for (uint32_t i = 1; i < 100; i++) {
        store.is_scattered = i % 8 == 0;
        put(&store, random_len(&random), i);
    }
    CHECK_OK(values_flush(store.values));
    CHECK_OK(writer_flush(store.writer));
    pool_enter(store.reader);
    for (uint32_t i = 0; i < 100; i++) {
        struct value_ref ref = resolved(&store, i);
        CHECK_OK(values_each_page(store.reader, &ref, note_pages, set));
    }
    pool_leave(store.reader);
    CHECK_EQ(set->count, writer_page_count(store.writer));
    CHECK(set->shared > 0);
    mem_free(set);
    store_close(&store);
}

/* Of the first index page. */
static struct value_part part_of(struct store *store, const struct value_ref *ref,
                                 uint32_t idx)
{
    uint8_t *image = mem_alloc(PAGE_BYTES);
    CHECK(image != NULL);
    CHECK_OK(file_read_page(&store->file, ref->page.pgno, image, 0));
    struct value_part part = value_index_part(image, idx);
    mem_free(image);
    return part;
}

TEST(values__read_in_part_touch_only_the_pages_they_need)
{
    struct store store;
    store_open(&store, false);
    size_t len = 4 * VALUE_SPREAD_BYTES;
    struct value_ref ref = put_alone(&store, len, 1);
    damage(&store, part_of(&store, &ref, 2).pgno, 500);
    uint8_t *buf = mem_alloc(len);
    CHECK(buf != NULL);
    size_t got;
    CHECK_OK(read_part(&store, &ref, 10, buf, 2 * VALUE_SPREAD_BYTES - 10, &got));
    CHECK_OK(read_part(&store, &ref, 3 * VALUE_SPREAD_BYTES, buf, len, &got));
    CHECK_EQ(got, VALUE_SPREAD_BYTES);
    CHECK_EQ(read_part(&store, &ref, 2 * VALUE_SPREAD_BYTES, buf, 1, &got), SCN_CORRUPT);
    CHECK_EQ(got, 0);
    scn_slice whole;
    const uint8_t *page;
    CHECK_EQ(read_whole(&store, &ref, &whole, &page), SCN_CORRUPT);
    mem_free(buf);
    store_close(&store);
}

TEST(values__find_damage_in_each_of_their_pages)
{
    static const bool compressed[] = {false, true};
    for (int i = 0; i < 2; i++) {
        struct store store;
        store_open(&store, compressed[i]);
        struct value_ref small = put_alone(&store, 300, 1);
        struct value_ref large = put_alone(&store, 2 * PAGE_BYTES, 1);
        scn_slice got;
        const uint8_t *page;
        damage(&store, small.page.pgno, PAGE_HEADER_BYTES + 5);
        CHECK_EQ(read_whole(&store, &small, &got, &page), SCN_CORRUPT);
        damage(&store, large.page.pgno, PAGE_HEADER_BYTES + 45);
        CHECK_EQ(read_whole(&store, &large, &got, &page), SCN_CORRUPT);
        damage(&store, large.page.pgno, PAGE_HEADER_BYTES + 45); /* as it was */
        check_value(&store, &large, 2 * PAGE_BYTES, 1);
        store_close(&store);
    }
}

/* ---- references that lie ---- */

/* What a lie may lead to: an error, or bytes that bear the value's own hash.  A plain
 * value in a page is covered by the page's hash alone, so there any bytes of that page
 * may come. */
static void check_lie(struct store *store, const uint8_t *bytes)
{
    struct value_ref ref;
    if (value_ref_decode(bytes, &ref) != NULL)
        return;
    scn_slice got;
    const uint8_t *page;
    values_scratch_destroy(&store->scratch);
    scn_status st = read_whole(store, &ref, &got, &page);
    CHECK(store->scratch.capacity <= ref.len);
    CHECK(store->scratch.block_capacity <= PAGE_BYTES);
    if (st != SCN_OK) {
        CHECK_EQ(st, SCN_CORRUPT);
        return;
    }
    CHECK_EQ(got.size, ref.len);
    if (page == NULL)
        CHECK_EQ(hash64(got.data, got.size), ref.hash);
    else {
        struct page_header header;
        page_header_decode(page, &header);
        CHECK((const uint8_t *)got.data + got.size <= page + header.used);
    }
    uint8_t part[40];
    size_t part_len;
    CHECK_OK(read_part(store, &ref, ref.len / 2, part, sizeof part, &part_len));
}

static void check_lies(bool compress, size_t len)
{
    struct store store;
    store_open(&store, compress);
    put(&store, 200, 1);
    struct value_ref ref = put_alone(&store, len, 1);
    uint8_t bytes[VALUE_REF_BYTES];
    value_ref_encode(&ref, bytes);
    uint64_t random = unit_seed();
    for (uint32_t bit = 0; bit < 8 * VALUE_REF_BYTES; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        check_lie(&store, bytes);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (uint32_t round = 0; round < 2000; round++) {
        uint8_t changed[VALUE_REF_BYTES];
        memcpy(changed, bytes, sizeof changed);
        for (int i = 0; i < 3; i++) {
            /* Mostly lengths, offsets and numbers: the rest is refused at once. */
            uint32_t at =
                unit_random(&random) % 4 == 0 ? 0 : 48 + unit_random(&random) % 16;
            changed[at + unit_random(&random) % (at == 0 ? 4 : 1)] =
                (uint8_t)unit_random(&random);
        }
        check_lie(&store, changed);
    }
    check_value(&store, &ref, len, 1);
    store_close(&store);
}

TEST(values__do_not_believe_a_reference_to_a_plain_value)
{
    check_lies(false, 700);
}

TEST(values__do_not_believe_a_reference_into_a_block)
{
    check_lies(true, 700);
}

TEST(values__do_not_believe_a_reference_to_a_spread_value)
{
    check_lies(false, 3 * PAGE_BYTES);
}

TEST(values__ask_for_no_memory_before_a_length_is_proved)
{
    struct store store;
    store_open(&store, false);
    struct value_ref ref = put_alone(&store, 3 * PAGE_BYTES, 1);
    ref.len = VALUE_BYTES_MAX;
    scn_slice got;
    const uint8_t *page;
    CHECK_EQ(read_whole(&store, &ref, &got, &page), SCN_CORRUPT);
    CHECK_EQ(store.scratch.capacity, 0);
    store_close(&store);
}

/* Writes a page that is right in itself. */
static struct page_ref plant(struct store *store, uint8_t *image, enum page_type type,
                             uint32_t used)
{
    struct page_ref ref;
    uint32_t pgno;
    CHECK_OK(file_grow(&store->file, 1, &pgno));
    page_seal(image, type, 0, TABLE, pgno, GEN, used, &ref);
    CHECK_OK(file_write_pages(&store->file, pgno, image, 1));
    return ref;
}

/* A page named again and again makes a value long, but not the file. */
TEST(values__ask_for_no_memory_for_a_page_named_twice)
{
    enum { COUNT = PAGE_IS_SMALL ? VALUE_INDEX_FANOUT : 1000 };
    struct store store;
    store_open(&store, false);
    struct value_ref ref = put_alone(&store, 3 * VALUE_SPREAD_BYTES, 1);
    struct value_part *parts = mem_alloc(COUNT * sizeof *parts);
    uint8_t *image = mem_zalloc(PAGE_BYTES);
    struct page_ref none = {0};
    CHECK(parts != NULL && image != NULL);
    for (uint32_t i = 0; i < COUNT; i++)
        parts[i] = part_of(&store, &ref, 0);
    value_index_fill(image, parts, COUNT, &none);
    ref.len = (uint64_t)COUNT * VALUE_SPREAD_BYTES;
    ref.page = plant(&store, image, PAGE_VALUE_INDEX, value_index_used(COUNT));
    scn_slice got;
    const uint8_t *page;
    CHECK_EQ(read_whole(&store, &ref, &got, &page), SCN_CORRUPT);
    CHECK_EQ(store.scratch.capacity, 0);
    mem_free(image);
    mem_free(parts);
    store_close(&store);
}

TEST(values__do_not_believe_an_index_of_another_length)
{
    struct store store;
    store_open(&store, false);
    put(&store, 3 * VALUE_SPREAD_BYTES, 2); /* the file is long enough for a lie */
    struct value_ref ref = put_alone(&store, 3 * VALUE_SPREAD_BYTES, 1);
    uint8_t *image = mem_zalloc(PAGE_BYTES);
    CHECK(image != NULL);
    CHECK_OK(file_read_page(&store.file, ref.page.pgno, image, 0));
    struct value_part parts[3];
    for (uint32_t i = 0; i < 3; i++)
        parts[i] = value_index_part(image, i);
    scn_slice got;
    const uint8_t *page;
    struct page_ref none = {0};
    struct value_ref lie = ref;
    value_index_fill(image, parts, 2, &none);
    lie.page = plant(&store, image, PAGE_VALUE_INDEX, value_index_used(2));
    CHECK_EQ(read_whole(&store, &lie, &got, &page), SCN_CORRUPT);
    /* It goes on, though it has all. */
    value_index_fill(image, parts, 3, &ref.page);
    lie.page = plant(&store, image, PAGE_VALUE_INDEX, value_index_used(3));
    CHECK_EQ(read_whole(&store, &lie, &got, &page), SCN_CORRUPT);
    mem_free(image);
    store_close(&store);
}

/* The index says where each part is and what it is: only both together lead to it. */
TEST(values__do_not_believe_an_index_of_other_pages)
{
    struct store store;
    store_open(&store, false);
    struct value_ref ref = put_alone(&store, 3 * VALUE_SPREAD_BYTES, 1);
    struct value_ref lie = ref;
    struct page_ref none = {0};
    uint8_t *image = mem_zalloc(PAGE_BYTES);
    CHECK(image != NULL);
    for (int round = 0; round < 3; round++) {
        struct value_part parts[3];
        for (uint32_t i = 0; i < 3; i++)
            parts[i] = part_of(&store, &ref, i);
        struct value_part first = parts[0];
        parts[0].hash = round == 1 ? parts[0].hash : parts[1].hash;
        parts[0].pgno = round == 2 ? parts[0].pgno : parts[1].pgno;
        parts[1] = round == 0 ? first : parts[1];
        value_index_fill(image, parts, 3, &none);
        lie.page = plant(&store, image, PAGE_VALUE_INDEX, value_index_used(3));
        scn_slice got;
        const uint8_t *page;
        CHECK_EQ(read_whole(&store, &lie, &got, &page), SCN_CORRUPT);
    }
    mem_free(image);
    store_close(&store);
}

TEST(values__do_not_believe_a_block_of_garbage)
{
    struct store store;
    store_open(&store, true);
    uint64_t random = unit_seed();
    uint8_t *image = mem_zalloc(PAGE_BYTES);
    uint8_t *text = make(2000, 1);
    CHECK(image != NULL);
    uint32_t stored =
        (uint32_t)compress_block(text, 2000, image + PAGE_HEADER_BYTES, 2000);
    CHECK(stored > 0);
    for (uint32_t round = 0; round < 300; round++) {
        uint8_t *byte = image + PAGE_HEADER_BYTES + unit_random(&random) % stored;
        uint8_t old = *byte;
        *byte = round == 0 ? old : (uint8_t)unit_random(&random);
        struct value_ref ref = {.len = 500,
                                .hash = hash64(text + 100, 500),
                                .off = PAGE_HEADER_BYTES,
                                .block_stored = stored,
                                .block_raw = 2000,
                                .inside = 100};
        ref.page = plant(&store, image, PAGE_VALUES, PAGE_HEADER_BYTES + stored);
        scn_slice got;
        const uint8_t *page;
        scn_status st = read_whole(&store, &ref, &got, &page);
        CHECK(st == SCN_CORRUPT || memcmp(got.data, text + 100, 500) == 0);
        CHECK(round > 0 || st == SCN_OK);
        ref.block_stored++; /* a byte that no hash covers */
        values_scratch_destroy(&store.scratch);
        CHECK_EQ(read_whole(&store, &ref, &got, &page), SCN_CORRUPT);
        *byte = old;
    }
    mem_free(text);
    mem_free(image);
    store_close(&store);
}

TEST(values__pass_on_that_there_is_no_room)
{
    struct store store;
    store_open(&store, false);
    store.file.max_bytes = (uint64_t)5 * PAGE_BYTES;
    uint8_t *data = make(3 * PAGE_BYTES, 1);
    uint64_t ticket;
    CHECK_EQ(values_put(store.values, data, 3 * PAGE_BYTES, &ticket), SCN_FULL);
    mem_free(data);
    store_close(&store);
}
