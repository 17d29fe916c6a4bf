/* Tests of rebuilding: against a model, generation after generation, and of the shapes
 * that come out. */
#include "test/engine/tree_rig.h"

#include "page/inner.h"

#include <malloc.h>

enum {
    POOL_BYTES = 512 * PAGE_BYTES,
    /* So many records of 100 bytes fill some twenty leaves. */
    RECORDS_OF_20_LEAVES = PAGE_BYTES / 8
};

/* ---- against the model ---- */

static uint32_t random_len(uint64_t *random)
{
    if (rig_random(random, 500) == 0)
        return rig_random(random, 3 * PAGE_BYTES);
    switch (rig_random(random, 12)) {
    case 0:
        return 0;
    case 1:
        return rig_random(random, VALUE_INLINE_MAX + 1);
    case 2:
        return VALUE_INLINE_MAX + 1 + rig_random(random, PAGE_BYTES / 8);
    default:
        return rig_random(random, 100);
    }
}

/* Keys of [from, to), each with a chance of `chance` in 1000. */
static void change_some(struct tree_rig *rig, uint64_t *random, uint32_t from,
                        uint32_t to, uint32_t chance, bool is_deleting)
{
    for (uint32_t rank = from; rank < to; rank++) {
        if (rig_random(random, 1000) >= chance)
            continue;
        if (rig_random(random, 10) < (is_deleting ? 9 : 2))
            rig_delete(rig, rank);
        else
            rig_put(rig, rank, random_len(random));
    }
}

/* Short ranges more often than long ones. */
static void random_range(struct tree_rig *rig, uint64_t *random, uint32_t *from,
                         uint32_t *to)
{
    uint32_t len = rig->key_count / (1 + rig_random(random, 200));
    len = rig_random(random, len + 1);
    *from = rig_random(random, rig->key_count - len + 1);
    *to = *from + len;
    if (rig_random(random, 20) == 0)
        *from = 0;
    if (rig_random(random, 20) == 0)
        *to = rig->key_count;
}

static void random_changes(struct tree_rig *rig, uint64_t *random)
{
    static const uint32_t chances[] = {1, 5, 30, 300};
    uint32_t from;
    uint32_t to;
    random_range(rig, random, &from, &to);
    uint32_t chance = chances[rig_random(random, 4)];
    switch (rig_random(random, 6)) {
    case 0:
        change_some(rig, random, from, to, 1000, false);
        break;
    case 1:
        change_some(rig, random, from, to, 980, true);
        break;
    case 2:
        change_some(rig, random, from, to, chance, false);
        break;
    default:
        change_some(rig, random, 0, rig->key_count, chance, false);
    }
    for (uint32_t i = rig_random(random, 12); i < 2; i++) {
        random_range(rig, random, &from, &to);
        if (from < to)
            rig_clear(rig, from, to);
    }
}

static void follow_model(enum rig_shape shape, uint32_t key_count, uint32_t generations,
                         bool compress, uint64_t salt)
{
    uint64_t random = unit_seed() ^ salt;
    /* Few frames, so that pages come and go. */
    struct tree_rig *rig = rig_open(shape, key_count, random, 24 * PAGE_BYTES);
    rig->compress = compress;
    change_some(rig, &random, 0, key_count, 700, false);
    for (uint32_t i = 0; i < generations; i++) {
        random_changes(rig, &random);
        CHECK_OK(rig_build(rig));
        rig_check(rig, &random);
    }
    rig_close(rig);
}

TEST(rebuild__follows_the_model_with_numbers)
{
    follow_model(RIG_NUMBERS, 10000, 40, false, 0x11);
}

TEST(rebuild__follows_the_model_with_bytes)
{
    follow_model(RIG_BYTES, 10000, 40, false, 0x22);
}

TEST(rebuild__follows_the_model_with_text)
{
    follow_model(RIG_TEXT, 10000, 40, false, 0x33);
}

TEST(rebuild__follows_the_model_with_longer_keys)
{
    follow_model(RIG_MIDDLE, PAGE_IS_SMALL ? 5000 : 2000, 50, false, 0x66);
}

TEST(rebuild__follows_the_model_with_the_longest_keys)
{
    follow_model(RIG_LONG, PAGE_IS_SMALL ? 1000 : 150, 50, false, 0x44);
}

TEST(rebuild__follows_the_model_with_compression)
{
    follow_model(RIG_TEXT, 5000, 30, true, 0x55);
}

/* ---- memory [T3], [G1], [N3] ---- */

static size_t most_memory;
static int64_t (*write_through)(struct sys_file *, uint64_t, const void *, uint64_t,
                                uint32_t);

static int64_t measure_and_write(struct sys_file *file, uint64_t off, const void *buf,
                                 uint64_t len, uint32_t flags)
{
    size_t now = mallinfo2().uordblks;
    most_memory = now > most_memory ? now : most_memory;
    return write_through(file, off, buf, len, flags);
}

/* What a build of so many records takes, seen at its writes. */
static size_t memory_for(uint32_t records)
{
    struct tree_rig *rig = rig_open(RIG_NUMBERS, records, 1, POOL_BYTES);
    for (uint32_t rank = 0; rank < records; rank++)
        rig_put(rig, rank, 60);
    write_through = rig->ops.write;
    rig->ops.write = measure_and_write;
    size_t before = mallinfo2().uordblks;
    most_memory = before;
    CHECK_OK(rig_build(rig));
    rig->ops.write = write_through;
    rig_close(rig);
    return most_memory - before;
}

TEST(rebuild__takes_no_more_memory_for_more_records)
{
    size_t some = memory_for(50000);
    size_t more = memory_for(250000);
    CHECK(more < some + 4 * PAGE_BYTES + 100000);
}

/* ---- shapes ---- */

static void put_all(struct tree_rig *rig, uint32_t from, uint32_t to, uint32_t len)
{
    for (uint32_t rank = from; rank < to; rank++)
        rig_put(rig, rank, len);
}

/* Twenty leaves, built at once. */
static struct tree_rig *open_filled(void)
{
    struct tree_rig *rig = rig_open(RIG_NUMBERS, RECORDS_OF_20_LEAVES, 1, POOL_BYTES);
    put_all(rig, 0, rig->key_count, 100);
    CHECK_OK(rig_build(rig));
    return rig;
}

TEST(rebuild__fills_leaves_when_it_builds_all_at_once)
{
    struct tree_rig *rig = open_filled();
    struct rig_shape_stat stat;
    rig_measure(rig, &stat);
    CHECK(stat.leaves > 15);
    CHECK(stat.leaf_bytes > (uint64_t)(stat.leaves - 2) * PAGE_BYTES / 16 * 14);
    CHECK_EQ(stat.small_pages, 0);
    rig_close(rig);
}

TEST(rebuild__keeps_a_tree_without_changes)
{
    struct tree_rig *rig = open_filled();
    struct page_ref root = rig->tree.root;
    CHECK_OK(rig_build(rig));
    CHECK(page_ref_equal(&rig->tree.root, &root));
    CHECK_EQ(rig->taken, 0);
    rig_close(rig);
}

TEST(rebuild__writes_one_path_for_one_change)
{
    struct tree_rig *rig = open_filled();
    uint32_t levels = rig->tree.root.level + 1u;
    rig_put(rig, rig->key_count / 2, 100);
    CHECK_OK(rig_build(rig));
    CHECK_EQ(rig->taken, levels);
    CHECK_EQ(rig->reusable_count, levels);
    rig_close(rig);
}

TEST(rebuild__packs_ascending_keys)
{
    struct tree_rig *rig = rig_open(RIG_NUMBERS, RECORDS_OF_20_LEAVES, 1, POOL_BYTES);
    uint32_t some = rig->key_count / 50;
    for (uint32_t from = 0; from + some <= rig->key_count; from += some) {
        put_all(rig, from, from + some, 100);
        CHECK_OK(rig_build(rig));
    }
    struct rig_shape_stat stat;
    rig_measure(rig, &stat);
    CHECK(stat.leaf_bytes > (uint64_t)(stat.leaves - 1) * (PAGE_BYTES - 256));
    rig_close(rig);
}

TEST(rebuild__cuts_a_full_leaf_into_even_ones)
{
    struct tree_rig *rig = open_filled();
    uint32_t middle = rig->key_count / 2;
    /* Longer values for a fifth of a leaf. */
    put_all(rig, middle, middle + rig->key_count / 100, 200);
    CHECK_OK(rig_build(rig));
    struct rig_shape_stat stat;
    rig_measure(rig, &stat);
    CHECK_EQ(stat.small_pages, 0);
    rig_close(rig);
}

TEST(rebuild__joins_what_a_deletion_leaves)
{
    struct tree_rig *rig = open_filled();
    struct rig_shape_stat before;
    struct rig_shape_stat after;
    rig_measure(rig, &before);
    for (uint32_t rank = 0; rank < rig->key_count; rank++) {
        if (rank % 16 != 0)
            rig_delete(rig, rank);
    }
    CHECK_OK(rig_build(rig));
    rig_measure(rig, &after);
    CHECK(after.leaves <= before.leaves / 4);
    CHECK_EQ(after.small_pages, 0);
    rig_close(rig);
}

TEST(rebuild__touches_little_where_little_is_left)
{
    struct tree_rig *rig = open_filled();
    uint32_t levels = rig->tree.root.level + 1u;
    /* Most of some leaf in the middle: its rest is joined with the next leaf. */
    for (uint32_t rank = rig->key_count / 2; rank < rig->key_count * 11 / 20; rank++)
        rig_delete(rig, rank);
    CHECK_OK(rig_build(rig));
    CHECK(rig->taken <= levels + 3);
    rig_close(rig);
}

TEST(rebuild__ends_with_one_leaf_and_with_none)
{
    struct tree_rig *rig = open_filled();
    uint64_t random = 1;
    CHECK(rig->tree.root.level > 0);
    rig_clear(rig, 1, rig->key_count);
    CHECK_OK(rig_build(rig));
    CHECK_EQ(rig->tree.root.level, 0);
    rig_check(rig, &random);
    rig_delete(rig, 0);
    CHECK_OK(rig_build(rig));
    CHECK(page_ref_is_null(&rig->tree.root));
    rig_check(rig, &random);
    rig_close(rig);
}

/* The first key of the last page of level 1. */
static uint32_t rank_of_last_branch(struct tree_rig *rig)
{
    struct page_ref ref = rig->tree.root;
    uint32_t rank = 0;
    pool_enter(rig->reader);
    while (ref.level > 1) {
        const uint8_t *page;
        CHECK_OK(pool_get(rig->reader, &ref, &page));
        uint32_t last = inner_count(page) - 1;
        ref = page_ref_decode(inner_ref(page, last));
        if (last == 0)
            continue;
        uint32_t len;
        const uint8_t *separator = inner_separator(page, last, &len);
        scn_slice key = rig_key(rig, rank);
        while (bytes_compare(key.data, key.size, separator, len) < 0)
            key = rig_key(rig, ++rank);
    }
    pool_leave(rig->reader);
    return rank;
}

/* A page of the right edge with a single child, when all before it goes. */
TEST(rebuild__takes_no_root_with_a_single_child)
{
    struct tree_rig *rig = rig_open(RIG_LONG, PAGE_IS_SMALL ? 500 : 100, 1, POOL_BYTES);
    uint64_t random = 1;
    put_all(rig, 0, rig->key_count, 10);
    CHECK_OK(rig_build(rig));
    CHECK(rig->tree.root.level > 1);
    uint32_t rank = rank_of_last_branch(rig);
    CHECK(rank > 0);
    if (rank + 1 < rig->key_count)
        rig_clear(rig, rank + 1, rig->key_count);
    CHECK_OK(rig_build(rig));
    CHECK_EQ(rank_of_last_branch(rig), rank);
    rig_clear(rig, 0, rank);
    CHECK_OK(rig_build(rig));
    CHECK_EQ(rig->tree.root.level, 0);
    CHECK_EQ(rig->stat.count, 1);
    CHECK_EQ(rig->taken, 1); /* what is left stands for all that is gone [T5] */
    rig_check(rig, &random);
    rig_close(rig);
}

TEST(rebuild__lets_many_leaves_share_a_page_of_values)
{
    struct tree_rig *rig = open_filled();
    for (uint32_t rank = 0; rank < rig->key_count; rank += rig->key_count / 40)
        rig_put(rig, rank, VALUE_INLINE_MAX + 1);
    CHECK_OK(rig_build(rig));
    struct rig_shape_stat stat;
    rig_measure(rig, &stat);
    CHECK(stat.leaves > 15);
    CHECK(stat.value_pages <= 4);
    CHECK(rig->refs >= 40);
    rig_close(rig);
}

/* ---- failures ---- */

TEST(rebuild__leaves_the_old_tree_alone_when_pages_run_out)
{
    struct tree_rig *rig = open_filled();
    uint64_t random = 1;
    scn_status st = SCN_FULL;
    for (int64_t takes = 0; st != SCN_OK; takes++) {
        CHECK(takes < 200);
        for (uint32_t rank = 0; rank < rig->key_count; rank += 50)
            rig_put(rig, rank, rank % 100 == 0 ? VALUE_INLINE_MAX + 1 : 120);
        rig->takes_left = takes;
        st = rig_build(rig);
        CHECK(st == SCN_OK || st == SCN_FULL);
        if (takes % 8 == 0 || st == SCN_OK)
            rig_check(rig, &random);
    }
    rig_close(rig);
}

TEST(rebuild__ends_when_step_says_so)
{
    struct tree_rig *rig = open_filled();
    uint64_t random = 1;
    scn_status st = SCN_INTERRUPTED;
    int64_t steps = 0;
    for (; st != SCN_OK; steps++) {
        CHECK(steps < 200);
        put_all(rig, 0, rig->key_count, 80);
        rig->steps_left = steps;
        st = rig_build(rig);
        CHECK(st == SCN_OK || st == SCN_INTERRUPTED);
    }
    CHECK(steps > 15);
    rig_check(rig, &random);
    rig_close(rig);
}

TEST(rebuild__refuses_a_catalog_that_counts_too_few)
{
    struct tree_rig *rig = open_filled();
    rig->stat.count = 3;
    for (uint32_t rank = 0; rank < 10; rank++)
        rig_delete(rig, rank);
    CHECK_EQ(rig_build(rig), SCN_CORRUPT);
    rig->stat.count = rig->key_count;
    rig->stat.pages = 1;
    rig_delete(rig, 0);
    CHECK_EQ(rig_build(rig), SCN_CORRUPT);
    rig_close(rig);
}

/* ---- runs ---- */

static const struct change run_changes[] = {
    {.key = {"a", 1}, .value = {"1", 1}, .kind = CHANGE_PUT},
    {.key = {"b", 1}, .kind = CHANGE_DELETE},
    {.key = {"c", 1}, .value = {"", 0}, .kind = CHANGE_PUT},
};

struct run_source {
    uint32_t at;
    uint8_t ref[VALUE_REF_BYTES];
    uint32_t added;
};

static scn_status next_of_run(void *ctx, struct change *out)
{
    struct run_source *source = ctx;
    if (source->at == 4)
        return SCN_END;
    if (source->at == 3) {
        *out = (struct change){.key = {"d", 1}, .kind = CHANGE_PUT_REF};
        out->value = (scn_slice){source->ref, VALUE_REF_BYTES};
    } else {
        *out = run_changes[source->at];
    }
    source->at++;
    return SCN_OK;
}

static scn_status added_to_run(void *ctx, const struct value_ref *ref)
{
    struct run_source *source = ctx;
    CHECK_EQ(ref->len, 5);
    source->added++;
    return SCN_OK;
}

static scn_status take_of_run(void *ctx, uint32_t wanted, uint32_t *pgno, uint32_t *count)
{
    struct tree_rig *rig = ctx;
    *count = wanted;
    return file_grow(&rig->file, wanted, pgno);
}

static void check_kind(struct tree_rig *rig, const struct tree *tree, const char *key,
                       int kind)
{
    struct tree_record record;
    scn_slice slice = {key, 1};
    pool_enter(rig->reader);
    CHECK_OK(tree_get(rig->reader, tree, slice, leaf_hash(key, 1), &record));
    pool_leave(rig->reader);
    CHECK_EQ(record.record.kind, kind);
}

TEST(rebuild__writes_tombstones_into_a_run)
{
    struct tree_rig *rig = rig_open(RIG_NUMBERS, 1, 1, POOL_BYTES);
    struct run_source source = {0};
    struct value_ref ref = {.len = 5, .off = PAGE_HEADER_BYTES};
    ref.page = (struct page_ref){.pgno = FIRST_FREE_PAGE_NO, .type = PAGE_VALUES};
    value_ref_encode(&ref, source.ref);
    struct writer *writer;
    CHECK_OK(writer_create(&rig->file, rig->pool, 9, take_of_run, NULL, rig, &writer));
    struct rebuild job = {
        .reader = rig->reader,
        .writer = writer,
        .old = {.table_id = 5},
        .keep_tombstones = true,
        .next = next_of_run,
        .value_added = added_to_run,
        .ctx = &source,
    };
    struct tree tree = {.table_id = 5};
    CHECK_OK(rebuild_tree(&job, &tree.root));
    writer_destroy(writer);
    check_kind(rig, &tree, "a", LEAF_INLINE);
    check_kind(rig, &tree, "b", LEAF_TOMBSTONE);
    check_kind(rig, &tree, "c", LEAF_INLINE);
    check_kind(rig, &tree, "d", LEAF_REF);
    CHECK_EQ(job.stat.count, 3);
    CHECK_EQ(job.stat.key_bytes, 3);
    CHECK_EQ(job.stat.value_bytes, 6);
    CHECK_EQ(job.stat.pages, 1);
    CHECK_EQ(source.added, 1);
    rig_close(rig);
}
