/* Ordered search in a page: see slots.h.
 *
 * A page has hundreds of keys, and a binary search that looked at keys would touch a new
 * cache line at each step.  So the search runs on numbers that lie side by side: 32
 * hints, two cache lines, leave a thirty-third of the heads; those, one or two lines,
 * leave the keys with an equal head, mostly one or none.  Both passes count the numbers
 * below the one sought, without a branch that could be mispredicted.
 *
 * A head has four bytes, and they must tell the keys of this page apart.  Behind the
 * shared prefix random keys do so at once; keys made by people go on with a digit, a
 * slash, two zeros.  So the head takes the first four positions at which the keys of the
 * page differ and leaves out those between, at which they are alike.
 *
 * Why heads may decide.  Two keys of the page that differ below p3 differ first at a
 * position, and padding an ended key with zeros keeps a <= b; so head(a) < head(b) means
 * a < b.  Equal heads (of "a" and "a\0", or of keys that differ later) mean nothing, and
 * the keys are compared.  A key sought need not be like the keys of the page where these
 * are all alike.  Let it part from them at such a byte, or end there, and let h be its
 * head up to there.  Keys whose heads begin below or above h are below or above it as
 * before; those whose heads begin with h part from it at that byte, all to the same
 * side.  So its place is at the lower or the upper end of the heads that begin with h,
 * and no key needs to be looked at.  The shared prefix is the case in which h is
 * empty. */
#include "page/slots.h"

#if defined(__SSE4_1__)
#include <smmintrin.h>
#endif

enum {
    HEADER_BUCKETS = 4,
    HEADER_POSITIONS = 8,
    HEADER_TEMPLATE = 16,
    TEMPLATE_BYTES = SLOTS_HEADER_BYTES - HEADER_TEMPLATE,
    POSITION_COUNT = 4,
    /* How far from p0 the others may be: two vectors a key when positions are chosen. */
    WINDOW_BYTES = 32
};

/* Encoded: 0, 1, 2, 3.  The head is how the key begins. */
#define PLAIN_POSITIONS UINT64_C(0x0003000200010000)

/* The key bytes that make a head. */
struct positions {
    uint32_t at[POSITION_COUNT];
};

static uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static uint32_t hint_idx(uint32_t hint, uint32_t count)
{
    return (hint + 1) * count / (SLOTS_HINT_COUNT + 1);
}

static uint32_t head_at(const struct slots *slots, uint32_t idx)
{
    return get_u32(slots->page + slots->heads_off + SLOTS_HEAD_BYTES * idx);
}

static uint32_t sampled_head(const struct slots *slots, uint32_t hint)
{
    return slots->count > 0 ? head_at(slots, hint_idx(hint, slots->count)) : 0;
}

static struct positions decode_positions(const uint8_t *header)
{
    uint64_t word = get_u64(header + HEADER_POSITIONS);
    return (struct positions){
        {word & 0xffff, word >> 16 & 0xffff, word >> 32 & 0xffff, word >> 48}};
}

static bool is_dense(const struct positions *positions)
{
    return positions->at[3] == positions->at[0] + 3;
}

/* The head of any key. */
static uint32_t key_head(const struct positions *positions, const uint8_t *key,
                         uint32_t len)
{
    if (is_dense(positions) && len > positions->at[3])
        return get_be32(key + positions->at[0]);
    uint32_t head = 0;
    for (int i = 0; i < POSITION_COUNT; i++) {
        uint32_t byte = positions->at[i] < len ? key[positions->at[i]] : 0;
        head = head << 8 | byte;
    }
    return head;
}

#if defined(__SSE4_1__)
/* Minus one in each lane whose number is not below its bound. */
static inline __m128i reached_lanes(const uint8_t *at, __m128i bounds)
{
    __m128i numbers = _mm_loadu_si128((const __m128i *)(const void *)at);
    return _mm_cmpeq_epi32(_mm_max_epu32(numbers, bounds), numbers);
}

static inline uint32_t lane_sum(__m128i lanes)
{
    lanes = _mm_add_epi32(lanes, _mm_shuffle_epi32(lanes, 0x4e));
    lanes = _mm_add_epi32(lanes, _mm_shuffle_epi32(lanes, 0xb1));
    return (uint32_t)_mm_cvtsi128_si32(lanes);
}
#endif

/* How many of count numbers are below bound.  Up to eight numbers behind them are read
 * too: what follows the heads in a page, and in its buffer, is longer than that. */
static inline uint32_t count_below(const uint8_t *at, uint32_t count, uint32_t bound)
{
#if defined(__SSE4_1__)
    const __m128i bounds = _mm_set1_epi32((int)bound);
    __m128i first = _mm_setzero_si128();
    __m128i second = _mm_setzero_si128();
    uint32_t left = count;
    for (; left >= 8; left -= 8, at += 32) {
        first = _mm_add_epi32(first, reached_lanes(at, bounds));
        second = _mm_add_epi32(second, reached_lanes(at + 16, bounds));
    }
    const __m128i lanes = _mm_set1_epi32((int)left);
    __m128i is_first = _mm_cmpgt_epi32(lanes, _mm_setr_epi32(0, 1, 2, 3));
    __m128i is_second = _mm_cmpgt_epi32(lanes, _mm_setr_epi32(4, 5, 6, 7));
    first = _mm_add_epi32(first, _mm_and_si128(is_first, reached_lanes(at, bounds)));
    second =
        _mm_add_epi32(second, _mm_and_si128(is_second, reached_lanes(at + 16, bounds)));
    return count + lane_sum(_mm_add_epi32(first, second));
#else
    uint32_t below = 0;
    for (uint32_t i = 0; i < count; i++)
        below += get_u32(at + 4 * i) < bound;
    return below;
#endif
}

/* The same of the hints, which are always so many. */
static inline uint32_t hints_below(const struct slots *slots, uint32_t bound)
{
    const uint8_t *at = slots->page + slots->hints_off;
#if defined(__SSE4_1__)
    const __m128i bounds = _mm_set1_epi32((int)bound);
    __m128i first = reached_lanes(at, bounds);
    __m128i second = reached_lanes(at + 16, bounds);
#pragma GCC unroll 4
    for (uint32_t i = 32; i < SLOTS_HINT_BYTES; i += 32) {
        first = _mm_add_epi32(first, reached_lanes(at + i, bounds));
        second = _mm_add_epi32(second, reached_lanes(at + i + 16, bounds));
    }
    return SLOTS_HINT_COUNT + lane_sum(_mm_add_epi32(first, second));
#else
    return count_below(at, SLOTS_HINT_COUNT, bound);
#endif
}

/* Compares the key with what all keys of the page have in [from, to); 0: it has the same.
 * */
static int compare_shared(const uint8_t *shared, const uint8_t *key, uint32_t len,
                          uint32_t from, uint32_t to)
{
    uint32_t end = min_u32(len, to);
    int order = from < end ? memcmp(key + from, shared + from, end - from) : 0;
    if (order != 0)
        return order;
    return len < to ? -1 : 0;
}

/* The shared bytes below p0, and below p3 where the positions have gaps. */
static const uint8_t *shared_bytes(const struct slots *slots,
                                   const struct positions *positions)
{
    uint32_t len;
    if (positions->at[0] <= TEMPLATE_BYTES)
        return slots_header(slots->page) + HEADER_TEMPLATE;
    return slots->key_at(slots, 0, &len);
}

/* The head of a key sought.  0: keys with this head must be compared.  Else it parts from
 * the keys where these are alike: -1, the place is before the first head >= *head, and 1,
 * behind the last head <= *head. */
static int seek_head(const struct slots *slots, const struct positions *positions,
                     const uint8_t *key, uint32_t len, uint32_t *head)
{
    if (positions->at[0] == 0 && is_dense(positions) && len > positions->at[3]) {
        *head = get_be32(key);
        return 0;
    }
    const uint8_t *shared = shared_bytes(slots, positions);
    uint32_t from = 0;
    *head = 0;
    for (int i = 0; i < POSITION_COUNT; i++) {
        uint32_t to = positions->at[i];
        int order = from < to ? compare_shared(shared, key, len, from, to) : 0;
        if (order != 0) {
            uint32_t open = UINT32_MAX >> 8 * i; /* what is left of the head */
            *head = *head | (order < 0 ? 0 : open);
            return order < 0 ? -1 : 1;
        }
        if (i == 0 && is_dense(positions)) {
            *head = key_head(positions, key, len);
            return 0;
        }
        *head |= (to < len ? (uint32_t)key[to] : 0) << (24 - 8 * i);
        from = to + 1;
    }
    return 0;
}

/* Among keys [low, high), all with the head of the one sought; both sides have the
 * prefix. */
static uint32_t seek_between(const struct slots *slots, uint32_t low, uint32_t high,
                             uint32_t skip, const uint8_t *key, uint32_t key_len,
                             bool *is_equal)
{
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        uint32_t len;
        const uint8_t *at = slots->key_at(slots, mid, &len);
        int order = bytes_compare(at + skip, len - skip, key + skip, key_len - skip);
        if (order == 0) {
            *is_equal = true;
            return mid;
        }
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* One past the last key whose head is the one at idx. */
static uint32_t ties_end(const struct slots *slots, uint32_t idx, uint32_t head)
{
    if (idx + 1 == slots->count || head_at(slots, idx + 1) != head)
        return idx + 1;
    if (head == UINT32_MAX)
        return slots->count;
    uint32_t hint = hints_below(slots, head + 1);
    uint32_t high = hint < SLOTS_HINT_COUNT ? hint_idx(hint, slots->count) : slots->count;
    const uint8_t *heads = slots->page + slots->heads_off + SLOTS_HEAD_BYTES * idx;
    return idx + count_below(heads, high - idx, head + 1);
}

/* Index of the first head >= the given one. */
static inline uint32_t lower_head(const struct slots *slots, uint32_t head)
{
    const uint8_t *heads = slots->page + slots->heads_off;
    uint32_t count = slots->count;
    if (count <= SLOTS_HINT_COUNT)
        return count_below(heads, count, head);
    uint32_t hint = hints_below(slots, head);
    /* hints[hint - 1] < head <= hints[hint] */
    uint32_t low = hint > 0 ? hint_idx(hint - 1, count) + 1 : 0;
    uint32_t high = hint < SLOTS_HINT_COUNT ? hint_idx(hint, count) : count;
    __builtin_prefetch(slots->page + slots->offsets_off + SLOTS_OFFSET_BYTES * low);
    return low + count_below(heads + SLOTS_HEAD_BYTES * low, high - low, head);
}

/* Among the keys from `low` on whose head is this one. */
__attribute__((noinline)) static uint32_t
seek_ties(const struct slots *slots, uint32_t low, uint32_t head, uint32_t skip,
          const uint8_t *key, uint32_t key_len, bool *is_equal)
{
    uint32_t high = ties_end(slots, low, head);
    return seek_between(slots, low, high, skip, key, key_len, is_equal);
}

/* Where the keys share a prefix, or the head has gaps, or the key ends in it. */
__attribute__((noinline)) static uint32_t
seek_anywhere(const struct slots *slots, const uint8_t *key, uint32_t key_len,
              bool *is_equal)
{
    struct positions positions = decode_positions(slots_header(slots->page));
    uint32_t head;
    if (slots->count == 0 || key_len == 0)
        return 0; /* an empty key, which may be NULL, lies before all */
    int order = seek_head(slots, &positions, key, key_len, &head);
    if (order > 0 && head == UINT32_MAX)
        return slots->count;
    uint32_t low = lower_head(slots, head + (order > 0));
    if (order != 0 || low == slots->count || head_at(slots, low) != head)
        return low;
    return seek_ties(slots, low, head, positions.at[0], key, key_len, is_equal);
}

uint32_t slots_seek(const struct slots *slots, const void *key, uint32_t key_len,
                    bool *is_equal)
{
    bool is_plain = get_u64(slots_header(slots->page) + HEADER_POSITIONS) ==
                    PLAIN_POSITIONS;
    *is_equal = false;
    if (!is_plain || key_len < POSITION_COUNT || slots->count == 0)
        return seek_anywhere(slots, key, key_len, is_equal);
    uint32_t head = get_be32(key);
    uint32_t low = lower_head(slots, head);
    if (low == slots->count || head_at(slots, low) != head)
        return low;
    return seek_ties(slots, low, head, 0, key, key_len, is_equal);
}

/* ---- building and judging ---- */

static uint32_t common_len(const uint8_t *a, uint32_t a_len, const uint8_t *b,
                           uint32_t b_len)
{
    uint32_t end = min_u32(a_len, b_len);
    uint32_t len = 0;
    while (len < end && a[len] == b[len])
        len++;
    return len;
}

/* Keys ascend, so what the first and the last share, all share. */
static uint32_t shared_prefix(const struct slots *slots)
{
    uint32_t first_len;
    uint32_t last_len;
    const uint8_t *first = slots->key_at(slots, 0, &first_len);
    const uint8_t *last = slots->key_at(slots, slots->count - 1, &last_len);
    return common_len(first, first_len, last, last_len);
}

/* The bytes of key idx from base on, padded with zeros; returns how many it has there. */
static uint32_t key_window(const struct slots *slots, uint32_t idx, uint32_t base,
                           uint8_t window[WINDOW_BYTES])
{
    uint32_t key_len;
    const uint8_t *key = slots->key_at(slots, idx, &key_len);
    uint32_t len = key_len > base ? min_u32(key_len - base, WINDOW_BYTES) : 0;
    memset(window, 0, WINDOW_BYTES);
    if (len > 0)
        memcpy(window, key + base, len);
    return len;
}

/* differs[i]: the keys are not all alike at base + i.  Stops early when the first four
 * are known to differ, since no more are needed. */
static void mark_differences(const struct slots *slots, uint32_t base,
                             uint8_t differs[WINDOW_BYTES])
{
    uint8_t first[WINDOW_BYTES];
    uint32_t shortest = key_window(slots, 0, base, first);
    memset(differs, 0, WINDOW_BYTES);
    for (uint32_t i = 1; i < slots->count; i++) {
        uint8_t window[WINDOW_BYTES];
        shortest = min_u32(shortest, key_window(slots, i, base, window));
        for (uint32_t j = 0; j < WINDOW_BYTES; j++)
            differs[j] |= window[j] ^ first[j];
        if (differs[0] && differs[1] && differs[2] && differs[3])
            return;
    }
    memset(differs + shortest, 1, WINDOW_BYTES - shortest);
}

static struct positions choose_positions(const struct slots *slots)
{
    struct positions positions;
    uint8_t differs[WINDOW_BYTES];
    uint32_t base = shared_prefix(slots);
    uint32_t end =
        base < TEMPLATE_BYTES ? min_u32(TEMPLATE_BYTES - base, WINDOW_BYTES) : 0;
    mark_differences(slots, base, differs);
    positions.at[0] = base;
    uint32_t last = 0;
    for (int i = 1; i < POSITION_COUNT; i++) {
        uint32_t next = last + 1;
        while (next < end && !differs[next])
            next++;
        last = next < end ? next : last + 1;
        positions.at[i] = base + last;
    }
    return positions;
}

static void fill_header(const struct slots *slots, uint8_t *header, uint32_t bucket_count)
{
    memset(header, 0, SLOTS_HEADER_BYTES);
    put_u32(header, slots->count);
    put_u32(header + HEADER_BUCKETS, bucket_count);
    if (slots->count == 0)
        return;
    struct positions positions = choose_positions(slots);
    uint32_t len;
    const uint8_t *key = slots->key_at(slots, 0, &len);
    uint8_t *template = header + HEADER_TEMPLATE;
    memcpy(template, key, min_u32(min_u32(len, positions.at[3]), TEMPLATE_BYTES));
    for (int i = 0; i < POSITION_COUNT; i++) {
        put_u16(header + HEADER_POSITIONS + 2 * i, (uint16_t)positions.at[i]);
        if (positions.at[i] < TEMPLATE_BYTES)
            template[positions.at[i]] = 0;
    }
}

void slots_fill(const struct slots *slots, uint8_t *page, uint32_t bucket_count)
{
    ASSERT(page == slots->page);
    fill_header(slots, page + SLOTS_HEADER_OFF, bucket_count);
    struct positions positions = decode_positions(page + SLOTS_HEADER_OFF);
    for (uint32_t i = 0; i < slots->count; i++) {
        uint32_t len;
        const uint8_t *key = slots->key_at(slots, i, &len);
        put_u32(page + slots->heads_off + SLOTS_HEAD_BYTES * i,
                key_head(&positions, key, len));
    }
    for (uint32_t i = 0; i < SLOTS_HINT_COUNT; i++)
        put_u32(page + slots->hints_off + 4 * i, sampled_head(slots, i));
}

/* Order and heads. */
static const char *check_keys(const struct slots *slots,
                              const struct positions *positions)
{
    const uint8_t *last = NULL;
    uint32_t last_len = 0;
    for (uint32_t i = 0; i < slots->count; i++) {
        uint32_t len;
        const uint8_t *key = slots->key_at(slots, i, &len);
        if (i > 0 && bytes_compare(last, last_len, key, len) >= 0)
            return "the keys do not ascend";
        if (head_at(slots, i) != key_head(positions, key, len))
            return "a head is not its key's";
        last = key;
        last_len = len;
    }
    return NULL;
}

const char *slots_check(const struct slots *slots)
{
    /* What fill_header makes of keys that do not ascend means nothing, but it stays in
     * bounds; that they do ascend is known in the end. */
    uint8_t header[SLOTS_HEADER_BYTES];
    const uint8_t *actual = slots_header(slots->page);
    fill_header(slots, header, get_u32(actual + HEADER_BUCKETS));
    if (memcmp(header, actual, SLOTS_HEADER_BYTES) != 0)
        return "the positions or the template are not the keys'";
    struct positions positions = decode_positions(header);
    const char *fault = check_keys(slots, &positions);
    if (fault != NULL)
        return fault;
    for (uint32_t i = 0; i < SLOTS_HINT_COUNT; i++) {
        if (get_u32(slots->page + slots->hints_off + 4 * i) != sampled_head(slots, i))
            return "a hint is not its head";
    }
    return NULL;
}
