/* Ranges of keys: see keyrange.h. */
#include "page/keyrange.h"

#include "page/inner.h"
#include "page/leaf.h"
#include "page/mem.h"

/* ---- bounds ---- */

/* There is room for one more byte: see bound_set_behind. */
scn_status bound_set(struct bound *bound, const void *key, size_t len)
{
    if (bound->capacity < len + 1) {
        uint8_t *fresh = mem_alloc(len + 1);
        if (fresh == NULL)
            return error_nomem();
        mem_free(bound->bytes);
        bound->bytes = fresh;
        bound->capacity = len + 1;
    }
    if (len > 0)
        memcpy(bound->bytes, key, len);
    bound->len = len;
    bound->is_set = true;
    return SCN_OK;
}

scn_status bound_set_behind(struct bound *bound, const void *key, size_t len)
{
    scn_status st = bound_set(bound, key, len);
    if (st == SCN_OK)
        bound->bytes[bound->len++] = 0;
    return st;
}

static void bound_clear(struct bound *bound)
{
    bound->len = 0;
    bound->is_set = false;
}

scn_status bound_copy(struct bound *bound, const struct bound *from)
{
    if (from->is_set)
        return bound_set(bound, from->bytes, from->len);
    bound_clear(bound);
    return SCN_OK;
}

void bound_free(struct bound *bound)
{
    mem_free(bound->bytes);
    *bound = (struct bound){0};
}

/* ---- ranges ---- */

void keyrange_clear(struct keyrange *range)
{
    bound_clear(&range->from);
    bound_clear(&range->to);
}

/* Where child idx - 1 ends and child idx begins: the separator, or at the ends of the
 * page the bound of the parent. */
static scn_status set_between(struct bound *bound, const uint8_t *page, uint32_t idx,
                              const struct bound *end)
{
    uint32_t len;
    if (idx == 0 || idx == inner_count(page))
        return bound_copy(bound, end);
    const uint8_t *separator = inner_separator(page, idx, &len);
    return bound_set(bound, separator, len);
}

scn_status keyrange_of_child(struct keyrange *child, const struct keyrange *parent,
                             const uint8_t *page, uint32_t idx)
{
    ASSERT(idx < inner_count(page));
    scn_status st = set_between(&child->from, page, idx, &parent->from);
    if (st == SCN_OK)
        st = set_between(&child->to, page, idx + 1, &parent->to);
    return st;
}

void keyrange_free(struct keyrange *range)
{
    bound_free(&range->from);
    bound_free(&range->to);
}

/* ---- pages ---- */

/* Number idx of a leaf's keys or of an inner page's separators. */
static scn_slice key_of(const uint8_t *page, bool is_leaf, uint32_t idx)
{
    struct leaf_record record;
    uint32_t len;
    if (is_leaf) {
        leaf_at(page, idx, &record);
        return (scn_slice){record.key, record.key_len};
    }
    const uint8_t *separator = inner_separator(page, idx + 1, &len);
    return (scn_slice){separator, len};
}

/* The first and the last tell for all: page_check has seen that they ascend. */
const char *keyrange_fault(const struct keyrange *range, const uint8_t *page)
{
    struct page_header header;
    page_header_decode(page, &header);
    bool is_leaf = header.type == PAGE_LEAF;
    uint32_t count = is_leaf ? leaf_count(page) : inner_count(page) - 1;
    if (count == 0)
        return NULL;
    scn_slice first = key_of(page, is_leaf, 0);
    scn_slice last = key_of(page, is_leaf, count - 1);
    const struct bound *from = &range->from;
    if (bytes_compare(first.data, first.size, from->bytes, from->len) < 0)
        return "its first key is below what its parent promises";
    return bound_is_above(&range->to, last.data, last.size)
               ? NULL
               : "its last key is beyond what its parent promises";
}
