/* Sorted sets of keys of many shapes, and keys near them: for the tests of leaf and inner
 * pages. */
#ifndef TEST_PAGE_KEY_SHAPES_H
#define TEST_PAGE_KEY_SHAPES_H

#include "page/bytes.h"
#include "page/limits.h"
#include "test/unit/unit.h"

#include <stdbool.h>

enum shape {
    SHAPE_RANDOM,       /* 24 random bytes */
    SHAPE_COUNTER,      /* 8 bytes, big-endian, ascending */
    SHAPE_TEXT,         /* a long common prefix, then digits and constant bytes between */
    SHAPE_NESTED,       /* each key begins with the one before it */
    SHAPE_ZEROS,        /* zeros and ones, up to 12 of them */
    SHAPE_FEW_LETTERS,  /* 0x00, 'a', 0xff, up to 6 of them */
    SHAPE_GAPS,         /* four letters, each behind constant bytes */
    SHAPE_DEEP_GAPS,    /* the same behind 42 that all share */
    SHAPE_SUFFIX,       /* a counter, then 40 bytes that are always the same */
    SHAPE_FAMILIES,     /* two kinds of text */
    SHAPE_DEEP,         /* random bytes behind 60 that all share */
    SHAPE_HIGH,         /* 0xff, and now and then something else */
    SHAPE_LONG,         /* up to KEY_BYTES_MAX */
    SHAPE_COUNT
};

struct key {
    uint8_t *bytes;
    uint32_t len;
};

struct key_set {
    struct key *keys; /* strictly ascending */
    uint32_t count;
};

static inline uint32_t shape_text(char *at, uint32_t idx)
{
    return (uint32_t)sprintf(at, "episode|memory/2026-%02u-%02u/agent-%02u/%06u",
                             idx / 900 % 12 + 1, idx / 300 % 28 + 1, idx / 60 % 7,
                             idx * 7);
}

/* Two constant bytes and a letter, four times; random bytes at `at` pick the letters. */
static inline uint32_t shape_gaps(uint8_t *at, uint32_t base)
{
    static const uint8_t letters[4] = {0, 1, 0xfe, 0xff};
    uint32_t len = base + 12 - (at[79] % 8 == 0);
    for (uint32_t i = 0; i < 4; i++) {
        uint8_t letter = letters[at[64 + i] % 4];
        memset(at + base + 3 * i, 'x', 2);
        at[base + 3 * i + 2] = letter;
    }
    memset(at, 'p', base);
    return len;
}

/* The bytes of key idx of a shape; at has KEY_BYTES_MAX. */
static inline uint32_t shape_key(enum shape shape, uint32_t idx, uint64_t *state,
                                 uint8_t *at)
{
    static const uint8_t letters[3] = {0, 'a', 0xff};
    uint32_t len = 24;
    for (uint32_t i = 0; i < 80; i++)
        at[i] = (uint8_t)unit_random(state);
    switch (shape) {
    case SHAPE_COUNTER:
        put_be32(at, 0);
        put_be32(at + 4, idx * 3);
        return 8;
    case SHAPE_TEXT:
        return shape_text((char *)at, idx);
    case SHAPE_NESTED:
        len = 1 + idx % (PAGE_IS_SMALL ? 90 : 400);
        memset(at, idx % 3 == 0 ? 'n' : 0, len);
        return len;
    case SHAPE_ZEROS:
        len = 1 + at[79] % 12;
        for (uint32_t i = 0; i < len; i++)
            at[i] &= 1;
        return len;
    case SHAPE_FEW_LETTERS:
        len = 1 + at[79] % 6;
        for (uint32_t i = 0; i < len; i++)
            at[i] = letters[at[i] % 3];
        return len;
    case SHAPE_GAPS:
        return shape_gaps(at, 0);
    case SHAPE_DEEP_GAPS:
        return shape_gaps(at, 42);
    case SHAPE_SUFFIX:
        put_be32(at, idx * 5);
        memset(at + 4, 's', 40);
        return 44;
    case SHAPE_FAMILIES:
        return idx % 2 ? shape_text((char *)at, idx)
                       : (uint32_t)sprintf((char *)at, "user:%08u:name", idx);
    case SHAPE_DEEP:
        memset(at, 'd', 60);
        return 60 + at[79] % 15;
    case SHAPE_HIGH:
        len = 1 + at[79] % 9;
        for (uint32_t i = 0; i < len; i++)
            at[i] = at[i] < 40 ? at[i] : 0xff;
        return len;
    case SHAPE_LONG:
        len = 1 + (uint32_t)(unit_random(state) % KEY_BYTES_MAX);
        memset(at, 'l', len);
        at[len - 1] = (uint8_t)unit_random(state);
        at[len / 2] = (uint8_t)unit_random(state);
        return len;
    default:
        return len;
    }
}

static inline int key_order(const void *a, const void *b)
{
    const struct key *x = a;
    const struct key *y = b;
    return bytes_compare(x->bytes, x->len, y->bytes, y->len);
}

/* A copy in a block of exactly its size, so that a read beyond the key is found. */
static inline struct key key_copy(const uint8_t *bytes, uint32_t len)
{
    struct key key = {malloc(len > 0 ? len : 1), len};
    memcpy(key.bytes, bytes, len);
    return key;
}

static inline struct key_set key_set_create(enum shape shape, uint32_t count,
                                            uint64_t *state)
{
    static uint8_t scratch[KEY_BYTES_MAX + 80];
    struct key_set set = {calloc(count, sizeof(struct key)), 0};
    for (uint32_t i = 0; i < count; i++) {
        uint32_t len = shape_key(shape, i, state, scratch);
        set.keys[i] = key_copy(scratch, len);
    }
    qsort(set.keys, count, sizeof(struct key), key_order);
    for (uint32_t i = 0; i < count; i++) {
        if (set.count > 0 && key_order(&set.keys[set.count - 1], &set.keys[i]) == 0)
            free(set.keys[i].bytes);
        else
            set.keys[set.count++] = set.keys[i];
    }
    return set;
}

static inline void key_set_destroy(struct key_set *set)
{
    for (uint32_t i = 0; i < set->count; i++)
        free(set->keys[i].bytes);
    free(set->keys);
}

enum { NEAR_KINDS = 8 };

/* A key that differs little from the given one: a byte changed, cut, or followed by more.
 * */
static inline struct key key_near(const struct key *key, uint32_t kind, uint64_t *state)
{
    static uint8_t scratch[KEY_BYTES_MAX + 8];
    uint32_t len = key->len;
    memcpy(scratch, key->bytes, len);
    uint32_t at = (uint32_t)(unit_random(state) % len);
    switch (kind) {
    case 0: return key_copy(scratch, len);
    case 1: scratch[at]++; break;
    case 2: scratch[at]--; break;
    case 3: scratch[at] = (uint8_t)unit_random(state); break;
    case 4: len = at + (at == 0); break;
    case 5: scratch[len++] = 0; break;
    case 6: scratch[len++] = 0xff; break;
    default: scratch[len - 1]--; scratch[len++] = 0xff; break;
    }
    return key_copy(scratch, len < KEY_BYTES_MAX ? len : KEY_BYTES_MAX);
}

/* Index of the first key >= the given one, by looking at each. */
static inline uint32_t key_set_scan(const struct key_set *set, uint32_t count,
                                    const struct key *key, bool *is_equal)
{
    uint32_t idx = 0;
    while (idx < count && key_order(&set->keys[idx], key) < 0)
        idx++;
    *is_equal = idx < count && key_order(&set->keys[idx], key) == 0;
    return idx;
}

#endif
