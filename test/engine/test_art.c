#include "engine/art.h"
#include "engine/delta.h"
#include "page/bytes.h"
#include "page/limits.h"
#include "page/mem.h"
#include "test/unit/unit.h"

/* A tree and, beside it, its entries in a sorted array. */
struct model {
    struct arena arena;
    struct art_memory memory;
    struct art art;
    struct delta_entry **sorted;
    uint32_t count;
};

static void model_init(struct model *model, uint32_t capacity)
{
    arena_init(&model->arena, NULL, 0);
    model->memory = (struct art_memory){.arena = &model->arena};
    art_init(&model->art);
    model->sorted = malloc(capacity * sizeof *model->sorted);
    model->count = 0;
}

static void model_destroy(struct model *model)
{
    arena_destroy(&model->arena);
    free(model->sorted);
}

static int order(const struct delta_entry *entry, scn_slice key)
{
    return bytes_compare(entry->key, entry->key_len, key.data, key.size);
}

/* The first entry that is not before the key. */
static uint32_t rank(const struct model *model, scn_slice key)
{
    uint32_t low = 0;
    uint32_t high = model->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (order(model->sorted[middle], key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct delta_entry *model_seek(const struct model *model, scn_slice key, int op)
{
    uint32_t idx = rank(model, key);
    bool is_equal = idx < model->count && order(model->sorted[idx], key) == 0;
    if (op == SCN_GT && is_equal)
        idx++;
    if ((op == SCN_LE && !is_equal) || op == SCN_LT)
        idx--; /* may wrap around, to beyond the count */
    return idx < model->count ? model->sorted[idx] : NULL;
}

/* False when it was there.  Each insert is held to its promise of memory. */
static bool model_insert(struct model *model, scn_slice key)
{
    struct art_place place;
    struct delta_entry *found = art_place(&model->art, key, &place);
    uint32_t idx = rank(model, key);
    if (found) {
        CHECK(idx < model->count && model->sorted[idx] == found);
        return false;
    }
    CHECK(idx == model->count || order(model->sorted[idx], key) != 0);
    uint64_t nodes = art_reserve_bytes(&model->memory, 1);
    uint64_t entry_bytes = arena_rounded(offsetof(struct delta_entry, key) + key.size);
    CHECK_OK(arena_reserve(&model->arena, nodes + entry_bytes));
    struct delta_entry *entry =
        arena_take(&model->arena, offsetof(struct delta_entry, key) + key.size);
    entry->key_len = (uint16_t)key.size;
    memcpy(entry->key, key.data, key.size);
    uint64_t used = arena_used(&model->arena);
    art_insert(&model->memory, &place, entry);
    CHECK(arena_used(&model->arena) - used <= nodes);
    memmove(model->sorted + idx + 1, model->sorted + idx,
            (model->count - idx) * sizeof *model->sorted);
    model->sorted[idx] = entry;
    model->count++;
    return true;
}

static void check_probe(const struct model *model, scn_slice key)
{
    uint32_t idx = rank(model, key);
    struct delta_entry *there = idx < model->count ? model->sorted[idx] : NULL;
    CHECK(art_find(&model->art, key) == (there && order(there, key) == 0 ? there : NULL));
    for (int op = SCN_GE; op <= SCN_LT; op++)
        CHECK(art_seek(&model->art, &key, op) == model_seek(model, key, op));
}

static void check_walk(const struct model *model)
{
    struct delta_entry *entry = art_seek(&model->art, NULL, SCN_GE);
    for (uint32_t i = 0; i < model->count; i++) {
        CHECK(entry == model->sorted[i]);
        entry = art_seek(&model->art, &(scn_slice){entry->key, entry->key_len}, SCN_GT);
    }
    CHECK(entry == NULL);
    entry = art_seek(&model->art, NULL, SCN_LE);
    for (uint32_t i = model->count; i-- > 0;) {
        CHECK(entry == model->sorted[i]);
        entry = art_seek(&model->art, &(scn_slice){entry->key, entry->key_len}, SCN_LT);
    }
    CHECK(entry == NULL);
}

static scn_slice slice_of(const char *text)
{
    return (scn_slice){text, strlen(text)};
}

TEST(art__empty_tree_has_nothing_to_find)
{
    struct model model;
    model_init(&model, 1);
    check_probe(&model, slice_of("a"));
    check_walk(&model);
    model_destroy(&model);
}

TEST(art__key_that_ends_comes_before_those_that_go_on)
{
    static const char *const keys[] = {"user:17", "user:",  "user:2",
                                       "u",       "user:1", "user:\x01"};
    struct model model;
    model_init(&model, 8);
    for (int i = 0; i < 6; i++)
        CHECK(model_insert(&model, slice_of(keys[i])));
    CHECK(!model_insert(&model, slice_of("user:")));
    CHECK(model_insert(&model, (scn_slice){"user:\0", 6}));
    check_walk(&model);
    static const char *const probes[] = {"",       "a",        "us",    "user",
                                         "user:0", "user:171", "user;", "z"};
    for (int i = 0; i < 8; i++)
        check_probe(&model, slice_of(probes[i]));
    model_destroy(&model);
}

TEST(art__every_byte_is_a_child_in_any_order_of_coming)
{
    for (int step = 1; step < 256; step += 58) { /* odd: each byte comes once */
        struct model model;
        model_init(&model, 512);
        for (int i = 0; i < 256; i++) {
            uint8_t key[2] = {'k', (uint8_t)(i * step)};
            CHECK(model_insert(&model, (scn_slice){key, 2}));
            uint8_t probe[2] = {'k', (uint8_t)(i * 7)};
            check_probe(&model, (scn_slice){probe, 2});
            probe[1] = (uint8_t)(key[1] + 1);
            check_probe(&model, (scn_slice){probe, 2});
        }
        CHECK(model_insert(&model, slice_of("k")));
        check_walk(&model);
        model_destroy(&model);
    }
}

TEST(art__chain_of_prefixes_is_as_deep_as_its_longest_key)
{
    enum { LENGTH = 2000 };
    struct model model;
    model_init(&model, LENGTH);
    uint8_t key[LENGTH];
    memset(key, 'a', LENGTH);
    for (uint32_t i = 0; i < LENGTH; i++) /* up from the middle and down from it */
        CHECK(model_insert(&model, (scn_slice){key, i < LENGTH / 2 ? LENGTH / 2 + i + 1
                                                                    : LENGTH - i}));
    check_walk(&model);
    model_destroy(&model);
}

TEST(art__longest_keys_part_in_their_last_byte)
{
    struct model model;
    model_init(&model, 300);
    uint8_t *key = calloc(1, KEY_BYTES_MAX);
    for (int i = 0; i < 200; i++) {
        key[KEY_BYTES_MAX - 1] = (uint8_t)(i * 77);
        CHECK(model_insert(&model, (scn_slice){key, KEY_BYTES_MAX}));
    }
    check_probe(&model, (scn_slice){key, KEY_BYTES_MAX - 1});
    key[100] = 1; /* parts from the prefix that all nodes below skip */
    check_probe(&model, (scn_slice){key, KEY_BYTES_MAX});
    CHECK(model_insert(&model, (scn_slice){key, KEY_BYTES_MAX}));
    CHECK(model_insert(&model, (scn_slice){key, 50}));
    check_walk(&model);
    free(key);
    model_destroy(&model);
}

TEST(art__memory_of_inserts_is_promised_for_the_worst_of_them)
{
    enum { NODES = 200, FULL = 48 };
    struct model model;
    model_init(&model, NODES * (FULL + 1));
    for (int i = 0; i < NODES * FULL; i++) {
        uint8_t key[2] = {(uint8_t)(i / FULL), (uint8_t)(i % FULL * 5)};
        CHECK(model_insert(&model, (scn_slice){key, 2}));
    }
    /* Every node is full now: each of these makes one grow to the largest kind. */
    uint64_t promised = art_reserve_bytes(&model.memory, NODES);
    uint64_t used = arena_used(&model.arena);
    for (int i = 0; i < NODES; i++) {
        uint8_t key[2] = {(uint8_t)i, 255};
        CHECK(model_insert(&model, (scn_slice){key, 2}));
    }
    uint64_t entries = NODES * arena_rounded(offsetof(struct delta_entry, key) + 2);
    CHECK(arena_used(&model.arena) - used <= promised + entries);
    CHECK(arena_used(&model.arena) - used > NODES * 2048 + entries); /* they did grow */
    CHECK(promised < NODES * 4096);
    check_walk(&model);
    model_destroy(&model);
}

/* Keys that share much: few letters, prefixes and continuations of others, long runs. */
static scn_slice random_key(const struct model *model, uint64_t *state, uint8_t *buf)
{
    uint64_t dice = unit_random(state);
    size_t len = 1 + (dice >> 8) % 12;
    const struct delta_entry *other =
        model->count ? model->sorted[(dice >> 32) % model->count] : NULL;
    for (size_t i = 0; i < len; i++)
        buf[i] = (uint8_t)(dice & 1 ? unit_random(state) >> 60 & 1
                                    : unit_random(state) >> 56);
    switch (dice % 7) {
    case 2: /* dense: the large nodes */
        return (scn_slice){buf, 1 + len % 2};
    case 3:
        memmove(buf + 500, buf, len);
        memset(buf, 'p', 500);
        return (scn_slice){buf, 500 + len};
    case 4:
        if (other == NULL)
            break;
        memcpy(buf, other->key, other->key_len);
        return (scn_slice){buf, 1 + (dice >> 12) % other->key_len};
    case 5:
        if (other == NULL || other->key_len + len > KEY_BYTES_MAX)
            break;
        memmove(buf + other->key_len, buf, len);
        memcpy(buf, other->key, other->key_len);
        return (scn_slice){buf, other->key_len + len};
    case 6: /* differs in one byte from another */
        if (other == NULL)
            break;
        memcpy(buf, other->key, other->key_len);
        buf[(dice >> 12) % other->key_len] ^= (uint8_t)(1 << (dice >> 9) % 8);
        return (scn_slice){buf, other->key_len};
    default:
        break;
    }
    return (scn_slice){buf, len};
}

TEST(art__agrees_with_a_sorted_array)
{
    enum { ROUNDS = 6000 };
    uint64_t state = unit_seed();
    struct model model;
    model_init(&model, ROUNDS);
    uint8_t *buf = malloc(KEY_BYTES_MAX + 512);
    for (int i = 0; i < ROUNDS; i++) {
        model_insert(&model, random_key(&model, &state, buf));
        check_probe(&model, random_key(&model, &state, buf));
        if ((i & (i + 1)) == 0)
            check_walk(&model);
    }
    CHECK(model.count > ROUNDS / 8);
    check_walk(&model);
    free(buf);
    model_destroy(&model);
}
