/* Sealing and judging pages: see page.h.
 *
 * A page carries its hash twice, in its header and in the pointer that leads to it.  The
 * copy in the header lets a reader without a pointer tell damage from age; the copy in
 * the pointer is the one that finds lost and misdirected writes [P1], since an old image
 * is right in itself.
 *
 * The hash is taken in two steps, the body first and then the header's head together with
 * the body's hash: so it runs over the image in place, hash field and all, and needs no
 * copy of it. */
#include "page/page.h"

#include "page/hash.h"
#include "page/inner.h"
#include "page/leaf.h"
#include "page/value.h"

enum {
    HASH_OFF = 24,     /* the hash field, and the end of what is hashed before it */
    RESERVED_OFF = 32, /* reserved bytes, and the beginning of what is hashed behind it */
    RESERVED_BYTES = PAGE_HEADER_BYTES - RESERVED_OFF
};

void page_ref_encode(const struct page_ref *ref, uint8_t *at)
{
    put_u64(at, ref->hash);
    put_u64(at + 8, ref->birth_gen);
    put_u64(at + 16, ref->link_gen);
    put_u64(at + 24, page_ref_place(ref));
}

void page_header_decode(const uint8_t *page, struct page_header *out)
{
    *out = (struct page_header){
        .type = page[0],
        .level = page[1],
        .table_id = get_u32(page + 4),
        .pgno = get_u32(page + 8),
        .used = get_u32(page + 12),
        .birth_gen = get_u64(page + 16),
        .hash = get_u64(page + HASH_OFF),
    };
}

static uint64_t page_hash(const uint8_t *page, uint32_t used)
{
    uint8_t head[HASH_OFF + 8];
    memcpy(head, page, HASH_OFF);
    put_u64(head + HASH_OFF, hash64(page + RESERVED_OFF, used - RESERVED_OFF));
    return hash64(head, sizeof head);
}

void page_seal(uint8_t *page, enum page_type type, uint8_t level, uint32_t table_id,
               uint32_t pgno, uint64_t birth_gen, uint32_t used, struct page_ref *out)
{
    ASSERT(used >= PAGE_HEADER_BYTES);
    ASSERT(used <= PAGE_BYTES);
    ASSERT(pgno >= FIRST_FREE_PAGE_NO);
    page[0] = (uint8_t)type;
    page[1] = level;
    put_u16(page + 2, 0);
    put_u32(page + 4, table_id);
    put_u32(page + 8, pgno);
    put_u32(page + 12, used);
    put_u64(page + 16, birth_gen);
    memset(page + RESERVED_OFF, 0, RESERVED_BYTES);
    memset(page + used, 0, PAGE_BYTES - used);
    uint64_t hash = page_hash(page, used);
    put_u64(page + HASH_OFF, hash);
    *out = (struct page_ref){
        .hash = hash,
        .birth_gen = birth_gen,
        .link_gen = birth_gen,
        .pgno = pgno,
        .level = level,
        .type = (uint8_t)type,
    };
}

/* What is wrong with the header in itself, or NULL; the hash comes last, once its length
 * is known to lie in the page. */
static const char *header_fault(const uint8_t *page, const struct page_header *header)
{
    if (header->type < PAGE_LEAF || header->type > PAGE_SPACE)
        return "the type is unknown";
    if (get_u16(page + 2) != 0)
        return "the flags are not zero";
    if (!bytes_are_zero(page + RESERVED_OFF, RESERVED_BYTES))
        return "the reserved bytes are not zero";
    if (header->used < PAGE_HEADER_BYTES || header->used > PAGE_BYTES)
        return "the length is impossible";
    if (page_hash(page, header->used) != header->hash)
        return "the checksum is wrong";
    return NULL;
}

static uint64_t page_off(uint32_t pgno)
{
    return (uint64_t)pgno * PAGE_BYTES;
}

scn_status page_check_header(const uint8_t *page, uint32_t pgno)
{
    struct page_header header;
    page_header_decode(page, &header);
    const char *fault = header_fault(page, &header);
    if (fault != NULL)
        return error_corrupt(pgno, page_off(pgno), "page: %s", fault);
    if (header.pgno != pgno)
        return error_corrupt(pgno, page_off(pgno), "page: it says it is page %u",
                             header.pgno);
    return SCN_OK;
}

/* What the pointer promised and the page does not hold, or NULL [P1]. */
static const char *promise_fault(const struct page_header *header,
                                 const struct page_ref *ref)
{
    if (header->pgno != ref->pgno)
        return "it is another page than its pointer says (misdirected write)";
    if (header->birth_gen != ref->birth_gen)
        return "its generation is not its pointer's (lost write, or page used again)";
    if (header->hash != ref->hash)
        return "its checksum is not its pointer's (lost write, or page used again)";
    if (header->type != ref->type)
        return "its type is not its pointer's";
    if (header->level != ref->level)
        return "its level is not its pointer's";
    return NULL;
}

/* What is wrong with the contents, or NULL [P2]. */
static const char *contents_fault(const uint8_t *page, const struct page_ref *ref)
{
    switch (ref->type) {
    case PAGE_LEAF:
        return leaf_check(page, ref);
    case PAGE_INNER:
        return inner_check(page, ref);
    case PAGE_VALUE_INDEX:
        return value_index_check(page);
    default:
        /* Values are bytes, judged with the reference that leads to them; the allocation
         * state is judged by its one reader. */
        return NULL;
    }
}

scn_status page_check(const uint8_t *page, const struct page_ref *ref)
{
    struct page_header header;
    page_header_decode(page, &header);
    const char *fault = header_fault(page, &header);
    if (fault == NULL)
        fault = promise_fault(&header, ref);
    if (fault == NULL)
        fault = contents_fault(page, ref);
    if (fault != NULL)
        return error_corrupt(ref->pgno, page_off(ref->pgno), "page %u: %s", ref->pgno,
                             fault);
    return SCN_OK;
}
