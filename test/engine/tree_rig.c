#include "test/engine/tree_rig.h"

#include "page/inner.h"

#include <unistd.h>

uint32_t rig_random(uint64_t *random, uint32_t below)
{
    return (uint32_t)(unit_random(random) >> 16) % below;
}

/* ---- keys and values ---- */

static uint32_t make_number(uint32_t id, uint8_t *at)
{
    put_be32(at, 0);
    put_be32(at + 4, id * 3);
    return 8;
}

static uint32_t make_bytes(uint32_t id, uint64_t *random, uint8_t *at)
{
    uint32_t len = rig_random(random, 36);
    for (uint32_t i = 0; i < len; i++)
        at[i] = (uint8_t)(unit_random(random) >> 32);
    put_be32(at + len, id);
    return len + 4;
}

static uint32_t make_text(uint32_t id, uint8_t *at)
{
    return (uint32_t)snprintf((char *)at, 64, "memory/2026-%02u-%02u/agent-%02u/%06u",
                              id % 12, id / 12 % 28, id / 336 % 17, id);
}

/* Long common beginnings, so that separators are long too and trees are deep. */
static uint32_t make_long(uint32_t id, uint64_t *random, uint32_t max, uint8_t *at)
{
    uint32_t len = max - 4;
    if (rig_random(random, 2) == 0)
        len -= rig_random(random, max / 3);
    memset(at, (int)('a' + id % 2), len);
    put_be32(at + len, id);
    return len + 4;
}

static uint32_t make_key(enum rig_shape shape, uint32_t id, uint64_t *random, uint8_t *at)
{
    switch (shape) {
    case RIG_NUMBERS:
        return make_number(id, at);
    case RIG_BYTES:
        return make_bytes(id, random, at);
    case RIG_TEXT:
        return make_text(id, at);
    case RIG_MIDDLE:
        return make_long(id, random, PAGE_BYTES / 16, at);
    default:
        return make_long(id, random, KEY_BYTES_MAX, at);
    }
}

static int compare_keys(const void *a, const void *b)
{
    const struct rig_key *left = a;
    const struct rig_key *right = b;
    return bytes_compare(left->data, left->len, right->data, right->len);
}

static void make_keys(struct tree_rig *rig, enum rig_shape shape, uint64_t seed)
{
    static uint8_t buf[KEY_BYTES_MAX];
    uint64_t random = seed | 1;
    for (uint32_t id = 0; id < rig->key_count; id++) {
        struct rig_key *key = &rig->keys[id];
        key->len = make_key(shape, id, &random, buf);
        key->data = malloc(key->len);
        memcpy(key->data, buf, key->len);
    }
    qsort(rig->keys, rig->key_count, sizeof *rig->keys, compare_keys);
}

scn_slice rig_key(const struct tree_rig *rig, uint32_t rank)
{
    return (scn_slice){rig->keys[rank].data, rig->keys[rank].len};
}

static void make_value(uint32_t rank, const struct rig_entry *entry, uint8_t *at)
{
    uint64_t word = (uint64_t)rank << 32 | entry->version;
    for (uint32_t i = 0; i < entry->len; i++)
        at[i] = (uint8_t)((word * 0x9e3779b97f4a7c15 + i * 31) >> 40);
}

/* ---- life ---- */

static int no_flush(struct sys_file *file, uint64_t off, uint64_t len)
{
    (void)file;
    (void)off;
    (void)len;
    return 0;
}

static void open_file(struct tree_rig *rig)
{
    const char *path = unit_path("tree");
    FILE *file = fopen(path, "w");
    CHECK(file != NULL);
    fclose(file);
    CHECK(truncate(path, (off_t)FIRST_FREE_PAGE_NO * PAGE_BYTES) == 0);
    rig->ops = *sys_posix()->ops;
    rig->ops.flush_range = no_flush;
    CHECK_OK(file_open(&rig->file, sys_posix(), path, false));
    rig->sys.ops = &rig->ops;
    rig->file.sys = &rig->sys;
}

struct tree_rig *rig_open(enum rig_shape shape, uint32_t key_count, uint64_t seed,
                          uint64_t pool_bytes)
{
    struct tree_rig *rig = calloc(1, sizeof *rig);
    rig->key_count = key_count;
    rig->keys = calloc(key_count, sizeof *rig->keys);
    rig->model = calloc(key_count, sizeof *rig->model);
    rig->changes = calloc(key_count, sizeof *rig->changes);
    rig->change_value = malloc(VALUE_BYTES_MAX / 1024);
    rig->takes_left = -1;
    rig->steps_left = -1;
    rig->gen = 1;
    rig->tree.table_id = RIG_TABLE;
    make_keys(rig, shape, seed);
    open_file(rig);
    CHECK_OK(pool_create(&rig->file, pool_bytes, &rig->pool));
    CHECK_OK(pool_reader_create(rig->pool, &rig->reader));
    return rig;
}

void rig_close(struct tree_rig *rig)
{
    pool_reader_destroy(rig->reader);
    pool_destroy(rig->pool);
    rig->file.sys = sys_posix();
    file_close(&rig->file);
    for (uint32_t i = 0; i < rig->key_count; i++)
        free(rig->keys[i].data);
    free(rig->keys);
    free(rig->model);
    free(rig->changes);
    free(rig->change_value);
    free(rig->used);
    free(rig->freed);
    free(rig->reusable);
    free(rig);
}

/* ---- what a rebuild asks of its caller ---- */

static void reserve_pages(struct tree_rig *rig, uint32_t end)
{
    if (end <= rig->page_capacity)
        return;
    uint32_t capacity = end * 2;
    rig->used = realloc(rig->used, capacity);
    rig->freed = realloc(rig->freed, capacity);
    rig->reusable = realloc(rig->reusable, capacity * sizeof *rig->reusable);
    memset(rig->used + rig->page_capacity, 0, capacity - rig->page_capacity);
    memset(rig->freed + rig->page_capacity, 0, capacity - rig->page_capacity);
    rig->page_capacity = capacity;
}

static scn_status take(void *ctx, uint32_t wanted, uint32_t *pgno, uint32_t *count)
{
    struct tree_rig *rig = ctx;
    bool has_old = rig->reusable_count > 0;
    if (rig->takes_left == 0)
        return error_set(SCN_FULL, 0, 0, 0, "rig: no more pages");
    rig->takes_left--;
    *count = has_old ? 1 : wanted;
    rig->taken += *count;
    if (has_old) {
        *pgno = rig->reusable[--rig->reusable_count];
        return SCN_OK;
    }
    scn_status st = file_grow(&rig->file, *count, pgno);
    if (st == SCN_OK)
        reserve_pages(rig, *pgno + *count);
    return st;
}

static scn_status next(void *ctx, struct change *out)
{
    struct tree_rig *rig = ctx;
    while (rig->change_at < rig->key_count && !rig->changes[rig->change_at].is_changed)
        rig->change_at++;
    if (rig->change_at == rig->key_count)
        return SCN_END;
    uint32_t rank = rig->change_at++;
    const struct rig_entry *entry = &rig->changes[rank].entry;
    make_value(rank, entry, rig->change_value);
    *out = (struct change){
        .key = rig_key(rig, rank),
        .value = {rig->change_value, entry->len},
        .kind = entry->version != 0 ? CHANGE_PUT : CHANGE_DELETE,
    };
    return SCN_OK;
}

static bool is_cleared(void *ctx, scn_slice key)
{
    struct tree_rig *rig = ctx;
    for (uint32_t i = 0; i < rig->clear_count; i++) {
        const struct rig_clear *clear = &rig->clears[i];
        const struct rig_key *from = &rig->keys[clear->from];
        if (bytes_compare(key.data, key.size, from->data, from->len) < 0)
            continue;
        if (clear->to == rig->key_count)
            return true;
        const struct rig_key *to = &rig->keys[clear->to];
        if (bytes_compare(key.data, key.size, to->data, to->len) < 0)
            return true;
    }
    return false;
}

static bool touches_clear(void *ctx, const scn_slice *from, const scn_slice *to)
{
    struct tree_rig *rig = ctx;
    for (uint32_t i = 0; i < rig->clear_count; i++) {
        const struct rig_clear *clear = &rig->clears[i];
        const struct rig_key *first = &rig->keys[clear->from];
        if (to != NULL && bytes_compare(to->data, to->size, first->data, first->len) <= 0)
            continue;
        if (clear->to == rig->key_count || from == NULL)
            return true;
        const struct rig_key *end = &rig->keys[clear->to];
        if (bytes_compare(from->data, from->size, end->data, end->len) < 0)
            return true;
    }
    return false;
}

static scn_status page_freed(void *ctx, const struct page_ref *ref)
{
    struct tree_rig *rig = ctx;
    CHECK(!pool_is_entered(rig->reader));
    CHECK(ref->birth_gen < rig->gen);
    CHECK_EQ(rig->used[ref->pgno], 1);
    CHECK_EQ(rig->freed[ref->pgno], 0);
    rig->freed[ref->pgno] = 1;
    rig->freed_count++;
    return SCN_OK;
}

static uint64_t ref_word(const struct value_ref *ref)
{
    uint64_t word = (uint64_t)ref->page.pgno << 32 | ref->off;
    word = (word ^ ref->inside) * 0x9e3779b97f4a7c15;
    return (word ^ word >> 29) * (ref->len | 1);
}

static scn_status value_dropped(void *ctx, const struct value_ref *ref)
{
    struct tree_rig *rig = ctx;
    rig->refs--;
    rig->ref_sum -= ref_word(ref);
    return SCN_OK;
}

static scn_status value_added(void *ctx, const struct value_ref *ref)
{
    struct tree_rig *rig = ctx;
    rig->refs++;
    rig->ref_sum += ref_word(ref);
    return SCN_OK;
}

static scn_status step(void *ctx)
{
    struct tree_rig *rig = ctx;
    CHECK(!pool_is_entered(rig->reader));
    if (rig->steps_left == 0)
        return SCN_INTERRUPTED;
    rig->steps_left--;
    return SCN_OK;
}

/* ---- generations ---- */

void rig_put(struct tree_rig *rig, uint32_t rank, uint32_t len)
{
    struct rig_entry entry = {.version = ++rig->next_version, .len = len};
    rig->changes[rank] = (struct rig_change){.is_changed = true, .entry = entry};
}

void rig_delete(struct tree_rig *rig, uint32_t rank)
{
    rig->changes[rank] = (struct rig_change){.is_changed = true};
}

void rig_clear(struct tree_rig *rig, uint32_t from, uint32_t to)
{
    CHECK(rig->clear_count < RIG_CLEARS_MAX);
    rig->clears[rig->clear_count++] = (struct rig_clear){.from = from, .to = to};
}

static void adopt(struct tree_rig *rig)
{
    for (uint32_t i = 0; i < rig->clear_count; i++) {
        for (uint32_t rank = rig->clears[i].from; rank < rig->clears[i].to; rank++)
            rig->model[rank].version = 0;
    }
    for (uint32_t rank = 0; rank < rig->key_count; rank++) {
        if (rig->changes[rank].is_changed)
            rig->model[rank] = rig->changes[rank].entry;
    }
}

struct marks {
    struct tree_rig *rig;
    uint8_t *reached;
    uint32_t count;
};

static scn_status mark_page(void *ctx, const struct page_ref *ref, const uint8_t *page)
{
    struct marks *marks = ctx;
    (void)page;
    CHECK_EQ(marks->reached[ref->pgno], 0);
    marks->reached[ref->pgno] = 1;
    marks->count++;
    return SCN_OK;
}

/* [T1]: freed are exactly the pages that the old tree had and the new one has not. */
static void settle_pages(struct tree_rig *rig)
{
    struct marks marks = {.rig = rig, .reached = calloc(rig->page_capacity + 1, 1)};
    CHECK_OK(tree_walk(rig->reader, &rig->tree, mark_page, &marks));
    CHECK_EQ(marks.count, rig->stat.pages);
    for (uint32_t pgno = 0; pgno < rig->page_capacity; pgno++) {
        CHECK_EQ(rig->freed[pgno], rig->used[pgno] && !marks.reached[pgno]);
        if (rig->freed[pgno])
            rig->reusable[rig->reusable_count++] = pgno;
        rig->used[pgno] = marks.reached[pgno];
        rig->freed[pgno] = 0;
    }
    rig->freed_count = 0;
    free(marks.reached);
}

static void forget_changes(struct tree_rig *rig)
{
    memset(rig->changes, 0, rig->key_count * sizeof *rig->changes);
    rig->clear_count = 0;
}

scn_status rig_build(struct tree_rig *rig)
{
    uint64_t refs = rig->refs;
    uint64_t ref_sum = rig->ref_sum;
    struct writer *writer;
    rig->gen++;
    rig->change_at = 0;
    rig->taken = 0;
    CHECK_OK(writer_create(&rig->file, rig->pool, rig->gen, take, NULL, rig, &writer));
    struct rebuild job = {
        .reader = rig->reader,
        .writer = writer,
        .old = rig->tree,
        .stat = rig->stat,
        .compress = rig->compress,
        .next = next,
        .is_cleared = rig->clear_count > 0 ? is_cleared : NULL,
        .touches_clear = touches_clear,
        .page_freed = page_freed,
        .value_dropped = value_dropped,
        .value_added = value_added,
        .step = step,
        .ctx = rig,
    };
    struct page_ref root;
    scn_status st = rebuild_tree(&job, &root);
    writer_destroy(writer);
    if (st == SCN_OK) {
        rig->tree.root = root;
        rig->stat = job.stat;
        adopt(rig);
        settle_pages(rig);
    } else {
        rig->refs = refs;
        rig->ref_sum = ref_sum;
        rig->freed_count = 0;
        if (rig->freed != NULL)
            memset(rig->freed, 0, rig->page_capacity);
    }
    forget_changes(rig);
    return st;
}

/* ---- comparing ---- */

static void check_record(struct tree_rig *rig, uint32_t rank,
                         const struct leaf_record *record)
{
    static uint8_t expected[VALUE_BYTES_MAX / 1024];
    const struct rig_entry *entry = &rig->model[rank];
    const struct rig_key *key = &rig->keys[rank];
    CHECK(bytes_compare(record->key, record->key_len, key->data, key->len) == 0);
    scn_slice value = {record->payload, record->payload_len};
    struct values_scratch scratch = {0};
    if (record->kind == LEAF_REF) {
        struct value_ref ref;
        const uint8_t *page;
        CHECK(value_ref_decode(record->payload, &ref) == NULL);
        CHECK_OK(values_read(rig->reader, &ref, &scratch, &value, &page));
    }
    bool is_outside = entry->len > VALUE_INLINE_MAX ||
                      (rig->compress && entry->len >= REBUILD_COMPRESS_MIN);
    CHECK_EQ(record->kind, is_outside ? LEAF_REF : LEAF_INLINE);
    CHECK_EQ(value.size, entry->len);
    make_value(rank, entry, expected);
    CHECK(entry->len == 0 || memcmp(value.data, expected, entry->len) == 0);
    values_scratch_destroy(&scratch);
}

static uint32_t rank_after(const struct tree_rig *rig, uint32_t rank)
{
    while (rank < rig->key_count && rig->model[rank].version == 0)
        rank++;
    return rank;
}

/* UINT32_MAX: none. */
static uint32_t rank_before(const struct tree_rig *rig, uint32_t rank)
{
    while (rank != UINT32_MAX && rig->model[rank].version == 0)
        rank--;
    return rank;
}

static void check_forward(struct tree_rig *rig)
{
    struct tree_cursor cursor;
    struct tree_record record;
    tree_cursor_init(&cursor, &rig->tree);
    uint32_t rank = rank_after(rig, 0);
    pool_enter(rig->reader);
    scn_status st = tree_seek(rig->reader, &cursor, NULL, SCN_GE, &record);
    for (; st == SCN_OK; rank = rank_after(rig, rank + 1)) {
        CHECK(rank < rig->key_count);
        check_record(rig, rank, &record.record);
        CHECK_OK(tree_current(rig->reader, &cursor, &record));
        check_record(rig, rank, &record.record);
        pool_leave(rig->reader);
        pool_enter(rig->reader);
        st = tree_next(rig->reader, &cursor, &record);
    }
    pool_leave(rig->reader);
    CHECK_EQ(st, SCN_END);
    CHECK_EQ(rank, rig->key_count);
}

static void check_backward(struct tree_rig *rig)
{
    struct tree_cursor cursor;
    struct tree_record record;
    tree_cursor_init(&cursor, &rig->tree);
    uint32_t rank = rank_before(rig, rig->key_count - 1);
    pool_enter(rig->reader);
    scn_status st = tree_seek(rig->reader, &cursor, NULL, SCN_LE, &record);
    for (; st == SCN_OK; rank = rank_before(rig, rank - 1)) {
        CHECK(rank != UINT32_MAX);
        check_record(rig, rank, &record.record);
        pool_leave(rig->reader);
        pool_enter(rig->reader);
        st = tree_prev(rig->reader, &cursor, &record);
    }
    pool_leave(rig->reader);
    CHECK_EQ(st, SCN_END);
    CHECK_EQ(rank, UINT32_MAX);
}

static void check_gets(struct tree_rig *rig)
{
    scn_slice keys[TREE_BATCH_MAX];
    uint64_t hashes[TREE_BATCH_MAX];
    struct tree_record records[TREE_BATCH_MAX];
    scn_status statuses[TREE_BATCH_MAX];
    for (uint32_t from = 0; from < rig->key_count; from += TREE_BATCH_MAX) {
        uint32_t left = rig->key_count - from;
        uint32_t count = left < TREE_BATCH_MAX ? left : TREE_BATCH_MAX;
        for (uint32_t i = 0; i < count; i++) {
            keys[i] = rig_key(rig, from + i);
            hashes[i] = leaf_hash(keys[i].data, keys[i].size);
        }
        pool_enter(rig->reader);
        CHECK_OK(tree_get_many(rig->reader, &rig->tree, keys, hashes, count, records,
                               statuses));
        for (uint32_t i = 0; i < count; i++) {
            struct tree_record record;
            bool is_there = rig->model[from + i].version != 0;
            CHECK_EQ(statuses[i], is_there ? SCN_OK : SCN_NOTFOUND);
            CHECK_EQ(tree_get(rig->reader, &rig->tree, keys[i], hashes[i], &record),
                     statuses[i]);
            if (is_there)
                check_record(rig, from + i, &records[i].record);
            if (is_there)
                check_record(rig, from + i, &record.record);
        }
        pool_leave(rig->reader);
    }
}

static uint32_t expected_rank(const struct tree_rig *rig, uint32_t rank, int op)
{
    if (op == SCN_GE || op == SCN_GT)
        return rank_after(rig, op == SCN_GT ? rank + 1 : rank);
    return rank_before(rig, op == SCN_LT ? rank - 1 : rank);
}

static void check_seeks(struct tree_rig *rig, uint64_t *random)
{
    static const int ops[] = {SCN_GE, SCN_GT, SCN_LE, SCN_LT};
    struct tree_cursor cursor;
    struct tree_record record;
    tree_cursor_init(&cursor, &rig->tree);
    for (uint32_t i = 0; i < 200; i++) {
        uint32_t rank = rig_random(random, rig->key_count);
        int op = ops[i % 4];
        uint32_t expected = expected_rank(rig, rank, op);
        scn_slice key = rig_key(rig, rank);
        pool_enter(rig->reader);
        scn_status st = tree_seek(rig->reader, &cursor, &key, op, &record);
        bool is_there = expected < rig->key_count;
        CHECK_EQ(st, is_there ? SCN_OK : SCN_END);
        if (is_there)
            check_record(rig, expected, &record.record);
        CHECK_EQ(cursor.is_positioned, is_there);
        if (!is_there)
            CHECK_EQ(tree_next(rig->reader, &cursor, &record), SCN_END);
        pool_leave(rig->reader);
    }
}

static void check_stat(const struct tree_rig *rig)
{
    struct rebuild_stat sum = {.pages = rig->stat.pages};
    for (uint32_t rank = 0; rank < rig->key_count; rank++) {
        if (rig->model[rank].version == 0)
            continue;
        sum.count++;
        sum.key_bytes += rig->keys[rank].len;
        sum.value_bytes += rig->model[rank].len;
    }
    CHECK_EQ(rig->stat.count, sum.count);
    CHECK_EQ(rig->stat.key_bytes, sum.key_bytes);
    CHECK_EQ(rig->stat.value_bytes, sum.value_bytes);
    CHECK_EQ(page_ref_is_null(&rig->tree.root), sum.count == 0);
}

struct walk_state {
    struct rig_shape_stat *stat;
    uint64_t refs;
    uint64_t ref_sum;
    uint32_t last_used[TREE_LEVEL_MAX]; /* of the page before, by level */
    bool is_narrow;       /* an inner page had one child ... */
    uint8_t narrow_level; /* ... at this level, so no other may follow there or above */
    uint32_t last_value_page;
};

static void walk_leaf(struct walk_state *state, const uint8_t *page)
{
    state->stat->leaves++;
    state->stat->leaf_bytes += state->last_used[0];
    for (uint32_t i = 0; i < leaf_count(page); i++) {
        struct leaf_record record;
        struct value_ref ref;
        leaf_at(page, i, &record);
        if (record.kind != LEAF_REF)
            continue;
        CHECK(value_ref_decode(record.payload, &ref) == NULL);
        state->refs++;
        state->ref_sum += ref_word(&ref);
        state->stat->value_pages += ref.page.pgno != state->last_value_page;
        state->last_value_page = ref.page.pgno;
    }
}

static scn_status walk_page(void *ctx, const struct page_ref *ref, const uint8_t *page)
{
    struct walk_state *state = ctx;
    struct page_header header;
    page_header_decode(page, &header);
    uint32_t *last_used = &state->last_used[ref->level];
    /* Beside keys of half a page there is no even cut. */
    uint32_t entries = ref->level ? inner_count(page) : leaf_count(page);
    if (*last_used != 0 && *last_used < PAGE_BYTES / 4 && entries > 3)
        state->stat->small_pages++;
    *last_used = header.used;
    if (ref->level == 0) {
        walk_leaf(state, page);
        return SCN_OK;
    }
    state->stat->inner_pages++;
    /* [N2] */
    CHECK(!state->is_narrow || ref->level < state->narrow_level);
    if (inner_count(page) == 1) {
        state->is_narrow = true;
        state->narrow_level = ref->level;
    }
    return SCN_OK;
}

void rig_measure(struct tree_rig *rig, struct rig_shape_stat *out)
{
    *out = (struct rig_shape_stat){0};
    struct walk_state state = {.stat = out};
    CHECK_OK(tree_walk(rig->reader, &rig->tree, walk_page, &state));
    CHECK_EQ(out->leaves + out->inner_pages, rig->stat.pages);
    /* [T2] */
    CHECK_EQ(state.refs, rig->refs);
    CHECK(state.ref_sum == rig->ref_sum);
}

void rig_check(struct tree_rig *rig, uint64_t *random)
{
    struct rig_shape_stat stat;
    check_stat(rig);
    rig_measure(rig, &stat);
    CHECK_EQ(stat.small_pages, 0);
    check_forward(rig);
    check_backward(rig);
    check_gets(rig);
    check_seeks(rig, random);
}
