/* References to values outside the leaf, and the index pages of spread ones: see value.h.
 *
 * Everything is judged when it is decoded, against all that can be known without the page
 * it leads to, so that readers may add lengths and offsets without looking at them again.
 * */
#include "page/value.h"

enum {
    REF_PAGE_OFF = 16,
    INDEX_NEXT_OFF = PAGE_HEADER_BYTES,
    INDEX_COUNT_OFF = INDEX_NEXT_OFF + PAGE_REF_BYTES
};

_Static_assert(VALUE_INDEX_FANOUT >= 1, "an index page leads somewhere");

void value_ref_encode(const struct value_ref *ref, uint8_t *at)
{
    put_u64(at, ref->len);
    put_u64(at + 8, ref->hash);
    page_ref_encode(&ref->page, at + REF_PAGE_OFF);
    put_u32(at + 48, ref->off);
    put_u32(at + 52, ref->block_stored);
    put_u32(at + 56, ref->block_raw);
    put_u32(at + 60, ref->inside);
}

uint32_t value_page_count(uint64_t len)
{
    ASSERT(len <= VALUE_BYTES_MAX);
    return (uint32_t)((len + VALUE_SPREAD_BYTES - 1) / VALUE_SPREAD_BYTES);
}

uint32_t value_index_pages(uint64_t len)
{
    return (value_page_count(len) + VALUE_INDEX_FANOUT - 1) / VALUE_INDEX_FANOUT;
}

static bool page_exists(uint32_t pgno)
{
    return pgno >= FIRST_FREE_PAGE_NO && pgno < FILE_PAGES_MAX;
}

static const char *spread_fault(const struct value_ref *ref)
{
    if (ref->off != 0 || ref->block_stored != 0 || ref->block_raw != 0 ||
        ref->inside != 0)
        return "value: a spread value with an offset or a block";
    return NULL;
}

static const char *packed_fault(const struct value_ref *ref)
{
    bool is_block = ref->block_stored != 0;
    uint64_t stored = is_block ? ref->block_stored : ref->len;
    if (ref->off < PAGE_HEADER_BYTES || ref->off + stored > PAGE_BYTES)
        return "value: it does not lie in its page";
    if (!is_block && (ref->block_raw != 0 || ref->inside != 0))
        return "value: a plain value with parts of a block";
    if (is_block && ref->block_raw > VALUE_BLOCK_BYTES_MAX)
        return "value: its block is too long";
    if (is_block && ref->inside + ref->len > ref->block_raw)
        return "value: it does not lie in its block";
    return NULL;
}

const char *value_ref_decode(const uint8_t *at, struct value_ref *out)
{
    *out = (struct value_ref){
        .len = get_u64(at),
        .hash = get_u64(at + 8),
        .page = page_ref_decode(at + REF_PAGE_OFF),
        .off = get_u32(at + 48),
        .block_stored = get_u32(at + 52),
        .block_raw = get_u32(at + 56),
        .inside = get_u32(at + 60),
    };
    bool is_spread = value_ref_is_spread(out);
    if (!is_spread && out->page.type != PAGE_VALUES)
        return "value: its pointer leads to no page of values";
    if (out->page.level != 0 || !page_exists(out->page.pgno))
        return "value: its pointer is impossible";
    if (out->len == 0 || out->len > VALUE_BYTES_MAX)
        return "value: its length is impossible";
    return is_spread ? spread_fault(out) : packed_fault(out);
}

/* ---- index pages ---- */

uint32_t value_index_count(const uint8_t *page)
{
    return get_u32(page + INDEX_COUNT_OFF);
}

struct page_ref value_index_next(const uint8_t *page)
{
    return page_ref_decode(page + INDEX_NEXT_OFF);
}

static uint32_t part_off(uint32_t idx)
{
    return VALUE_INDEX_HEADER_BYTES + VALUE_INDEX_ENTRY_BYTES * idx;
}

struct value_part value_index_part(const uint8_t *page, uint32_t idx)
{
    ASSERT(idx < value_index_count(page));
    const uint8_t *at = page + part_off(idx);
    return (struct value_part){.hash = get_u64(at), .pgno = get_u32(at + 8)};
}

uint32_t value_index_used(uint32_t count)
{
    ASSERT(count <= VALUE_INDEX_FANOUT);
    return part_off(count);
}

static const char *next_fault(const uint8_t *page)
{
    struct page_ref next = value_index_next(page);
    if (page_ref_is_null(&next))
        return bytes_are_zero(page + INDEX_NEXT_OFF, PAGE_REF_BYTES)
                   ? NULL : "value index: half a pointer to the next page";
    if (next.type != PAGE_VALUE_INDEX || next.level != 0 || !page_exists(next.pgno))
        return "value index: the pointer to the next page is impossible";
    return NULL;
}

const char *value_index_check(const uint8_t *page)
{
    struct page_header header;
    page_header_decode(page, &header);
    if (header.level != 0)
        return "value index: its level is not zero";
    if (header.used < VALUE_INDEX_HEADER_BYTES)
        return "value index: it is too short";
    uint32_t count = value_index_count(page);
    if (count < 1 || count > VALUE_INDEX_FANOUT || header.used != value_index_used(count))
        return "value index: its count is impossible";
    if (get_u32(page + INDEX_COUNT_OFF + 4) != 0)
        return "value index: the reserved bytes are not zero";
    for (uint32_t i = 0; i < count; i++) {
        if (!page_exists(value_index_part(page, i).pgno))
            return "value index: one of its pages cannot exist";
    }
    return next_fault(page);
}

void value_index_fill(uint8_t *page, const struct value_part *parts, uint32_t count,
                      const struct page_ref *next)
{
    ASSERT(count >= 1);
    ASSERT(count <= VALUE_INDEX_FANOUT);
    memset(page + INDEX_NEXT_OFF, 0, PAGE_REF_BYTES);
    if (!page_ref_is_null(next))
        page_ref_encode(next, page + INDEX_NEXT_OFF);
    put_u32(page + INDEX_COUNT_OFF, count);
    put_u32(page + INDEX_COUNT_OFF + 4, 0);
    for (uint32_t i = 0; i < count; i++) {
        put_u64(page + part_off(i), parts[i].hash);
        put_u32(page + part_off(i) + 8, parts[i].pgno);
    }
}
