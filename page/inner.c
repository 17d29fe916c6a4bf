/* Inner pages: see inner.h.
 *
 * The way down a tree is a search among separators, and goes as a seek in a leaf does
 * (page/slots.c).  The pointers lie apart from what is searched, 32 bytes each and
 * aligned, so that a step ends with exactly one more cache line.
 *
 * There is one offset more than separators: separator i, which stands between the
 * children i - 1 and i, lies between offsets i - 1 and i.  The last offset is the page's
 * length, which therefore stays below 65536. */
#include "page/inner.h"

#include "page/leaf.h"
#include "page/mem.h"
#include "page/slots.h"

enum {
    POINTERS_OFF = SLOTS_BODY_OFF + SLOTS_HINT_BYTES,
    /* An offset has 16 bits, also the one behind the last separator. */
    USED_MAX = PAGE_BYTES - 1,
    CHILD_BYTES = PAGE_REF_BYTES + SLOTS_HEAD_BYTES + SLOTS_OFFSET_BYTES,
    /* Each child but the first has a separator of at least one byte. */
    COUNT_MAX = (USED_MAX - POINTERS_OFF + SLOTS_HEAD_BYTES + 1) / (CHILD_BYTES + 1)
};

_Static_assert(POINTERS_OFF + 2 * CHILD_BYTES + KEY_BYTES_MAX <= USED_MAX,
               "two children always fit");

/* ---- where things are ---- */

static uint32_t heads_off(uint32_t count)
{
    return POINTERS_OFF + PAGE_REF_BYTES * count;
}

static uint32_t offsets_off(uint32_t count)
{
    return heads_off(count) + SLOTS_HEAD_BYTES * (count - 1);
}

static uint32_t separators_off(uint32_t count)
{
    return offsets_off(count) + SLOTS_OFFSET_BYTES * count;
}

static const uint8_t *key_at(const struct slots *slots, uint32_t idx, uint32_t *len)
{
    uint32_t off = slots_offset(slots, idx);
    *len = slots_offset(slots, idx + 1) - off;
    return slots->page + off;
}

/* The keys are the separators, one less than children. */
static struct slots inner_slots(const uint8_t *page, uint32_t count)
{
    return (struct slots){
        .page = page,
        .count = count - 1,
        .hints_off = SLOTS_BODY_OFF,
        .heads_off = heads_off(count),
        .offsets_off = offsets_off(count),
        .key_at = key_at,
    };
}

/* ---- reading ---- */

uint32_t inner_count(const uint8_t *page)
{
    return slots_count(page) + 1;
}

uint32_t inner_find(const uint8_t *page, const void *key, uint32_t key_len)
{
    struct slots slots = inner_slots(page, inner_count(page));
    bool is_equal;
    uint32_t idx = slots_seek(&slots, key, key_len, &is_equal);
    return idx + is_equal;
}

const uint8_t *inner_child(const uint8_t *page, const void *key, uint32_t key_len)
{
    return page + POINTERS_OFF + PAGE_REF_BYTES * inner_find(page, key, key_len);
}

const uint8_t *inner_ref(const uint8_t *page, uint32_t idx)
{
    ASSERT(idx < inner_count(page));
    return page + POINTERS_OFF + PAGE_REF_BYTES * idx;
}

const uint8_t *inner_separator(const uint8_t *page, uint32_t idx, uint32_t *len)
{
    struct slots slots = inner_slots(page, inner_count(page));
    ASSERT(idx >= 1);
    ASSERT(idx <= slots.count);
    return key_at(&slots, idx - 1, len);
}

uint32_t inner_separator_len(const void *left, uint32_t left_len, const void *right,
                             uint32_t right_len)
{
    const uint8_t *a = left;
    const uint8_t *b = right;
    uint32_t len = 0;
    ASSERT(bytes_compare(left, left_len, right, right_len) < 0);
    while (len < left_len && len + 1 < right_len && a[len] == b[len])
        len++;
    return len + 1;
}

/* ---- judging ---- */

static const char *check_geometry(const uint8_t *page, const struct page_header *header)
{
    if (header->level < 1 || header->level >= TREE_LEVEL_MAX)
        return "inner: its level is impossible";
    if (header->used < POINTERS_OFF || header->used > USED_MAX)
        return "inner: its length is impossible";
    if (slots_count(page) >= COUNT_MAX || slots_bucket_count(page) != 0)
        return "inner: the count is impossible";
    if (separators_off(inner_count(page)) > header->used)
        return "inner: the pointers and slots do not fit";
    return NULL;
}

static const char *check_child(const struct page_ref *child, uint8_t level)
{
    if (child->pgno < FIRST_FREE_PAGE_NO || child->pgno >= FILE_PAGES_MAX)
        return "inner: a child cannot exist";
    if (child->type != (level == 1 ? PAGE_LEAF : PAGE_INNER) || child->level != level - 1)
        return "inner: a child is of the wrong kind or level";
    if (level == 1 ? child->hint < 1 || child->hint > LEAF_BUCKETS_MAX : child->hint != 0)
        return "inner: a child's hint is impossible";
    return NULL;
}

static const char *check_separators(const struct slots *slots, uint32_t off,
                                    uint32_t used)
{
    if (slots_offset(slots, 0) != off)
        return "inner: the first separator is not behind the slots";
    for (uint32_t i = 0; i < slots->count; i++) {
        uint32_t end = slots_offset(slots, i + 1);
        if (end <= off || end > used)
            return "inner: a separator is empty or reaches beyond the end";
        if (end - off > KEY_BYTES_MAX)
            return "inner: a separator is too long";
        off = end;
    }
    return off == used ? NULL : "inner: bytes behind the last separator";
}

const char *inner_check(const uint8_t *page, const struct page_ref *ref)
{
    struct page_header header;
    page_header_decode(page, &header);
    const char *fault = check_geometry(page, &header);
    if (fault == NULL && ref->hint != 0)
        fault = "inner: its pointer has a hint";
    if (fault != NULL)
        return fault;
    uint32_t count = inner_count(page);
    for (uint32_t i = 0; i < count; i++) {
        struct page_ref child = page_ref_decode(inner_ref(page, i));
        fault = check_child(&child, header.level);
        if (fault != NULL)
            return fault;
    }
    struct slots slots = inner_slots(page, count);
    fault = check_separators(&slots, separators_off(count), header.used);
    return fault != NULL ? fault : slots_check(&slots);
}

/* ---- building ---- */

struct inner_builder {
    uint32_t count;
    uint32_t separator_bytes;
    uint32_t bound_len;
    struct page_ref children[COUNT_MAX];
    uint32_t ends[COUNT_MAX]; /* of separator i in separators; 0 for the first child */
    uint8_t bound[KEY_BYTES_MAX]; /* the first child's */
    uint8_t separators[USED_MAX];
};

scn_status inner_builder_create(struct inner_builder **out)
{
    *out = mem_alloc(sizeof **out);
    if (*out == NULL)
        return error_nomem();
    inner_builder_reset(*out);
    return SCN_OK;
}

void inner_builder_destroy(struct inner_builder *builder)
{
    mem_free(builder);
}

void inner_builder_reset(struct inner_builder *builder)
{
    builder->count = 0;
    builder->separator_bytes = 0;
    builder->bound_len = 0;
}

static void add_first(struct inner_builder *builder, const void *bound,
                      uint32_t bound_len)
{
    if (bound_len > 0)
        memcpy(builder->bound, bound, bound_len);
    builder->bound_len = bound_len;
}

static bool add_separator(struct inner_builder *builder, const void *bound,
                          uint32_t bound_len)
{
    uint32_t bytes = builder->separator_bytes;
    ASSERT(bound_len >= 1);
    if (separators_off(builder->count + 1) + bytes + bound_len > USED_MAX)
        return false;
    memcpy(builder->separators + bytes, bound, bound_len);
    builder->separator_bytes = bytes + bound_len;
    return true;
}

bool inner_builder_add(struct inner_builder *builder, const void *bound,
                       uint32_t bound_len, const struct page_ref *child)
{
    ASSERT(bound_len <= KEY_BYTES_MAX);
    if (builder->count == 0)
        add_first(builder, bound, bound_len);
    else if (!add_separator(builder, bound, bound_len))
        return false;
    builder->children[builder->count] = *child;
    builder->ends[builder->count] = builder->separator_bytes;
    builder->count++;
    return true;
}

uint32_t inner_builder_count(const struct inner_builder *builder)
{
    return builder->count;
}

uint32_t inner_builder_bytes(const struct inner_builder *builder)
{
    uint32_t count = builder->count;
    return count == 0 ? POINTERS_OFF : separators_off(count) + builder->separator_bytes;
}

const uint8_t *inner_builder_bound(const struct inner_builder *builder, uint32_t *len)
{
    *len = builder->bound_len;
    return builder->bound;
}

void inner_build(struct inner_builder *builder, uint8_t *page, uint8_t level,
                 uint32_t table_id, uint32_t pgno, uint64_t birth_gen,
                 struct page_ref *out)
{
    uint32_t count = builder->count;
    ASSERT(count >= 1);
    ASSERT(level >= 1);
    struct slots slots = inner_slots(page, count);
    uint32_t off = separators_off(count);
    for (uint32_t i = 0; i < count; i++) {
        ASSERT(check_child(&builder->children[i], level) == NULL);
        page_ref_encode(&builder->children[i], page + POINTERS_OFF + PAGE_REF_BYTES * i);
        put_u16(page + slots.offsets_off + SLOTS_OFFSET_BYTES * i,
                (uint16_t)(off + builder->ends[i]));
    }
    memcpy(page + off, builder->separators, builder->separator_bytes);
    slots_fill(&slots, page, 0);
    page_seal(page, PAGE_INNER, level, table_id, pgno, birth_gen,
              inner_builder_bytes(builder), out);
}
