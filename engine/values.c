/* Values outside the leaf: see values.h.
 *
 * Writing.  A value takes one of three ways, by its length and its table:
 *
 *     longer than a page   spread: data pages first, neighbours where that can be had,
 *                          then the index pages from the last to the first, since each
 *                          leads to the next
 *     SCN_COMPRESS         into the open block; a full block is compressed and put into
 *                          the open page as if it were one value, or as it is when that
 *                          saves less than 1/8
 *     else                 into the open page
 *
 * The open page is built here and not in the writer's buffer, because leaves are written
 * while it fills.  A ticket's reference is complete but for the pointer until its page is
 * sealed; tickets of spread values are complete at once, so tickets are resolved one by
 * one and not up to a mark.
 *
 * Reading.  References were judged when they were decoded (page/value.h), and pages when
 * the pool loaded them.  What is left is judged here: that the bytes lie in the part of
 * the page that its hash covers, that an index has as many parts as the value has pages,
 * and that what was put together or decompressed is the value.  Memory for a spread value
 * is asked for when its index is right and the page with the highest number in it is
 * there: where all pages are different ones, the file is then as long as the value says.
 *
 * The block decompressed last stays in the scratch buffer: a scan meets a block's values
 * one after the other and decompresses it once. */
#include "engine/values.h"

#include "page/compress.h"
#include "page/hash.h"
#include "page/mem.h"

enum {
    PACKED_BYTES = PAGE_BYTES - PAGE_HEADER_BYTES,
    /* So that a block that does not shrink fits a page. */
    BLOCK_BYTES = VALUES_BLOCK_BYTES < PACKED_BYTES ? VALUES_BLOCK_BYTES : PACKED_BYTES
};

_Static_assert((int)VALUE_SPREAD_BYTES == (int)PACKED_BYTES, "longer values are spread");
_Static_assert((int)BLOCK_BYTES <= (int)VALUE_BLOCK_BYTES_MAX, "readers take our blocks");

struct values {
    struct writer *writer;
    uint32_t table_id;
    bool compress;
    uint8_t *page;  /* the open page */
    uint32_t used;  /* of it; the header alone: empty */
    uint8_t *block; /* the open block, PACKED_BYTES: a long value is a block of its own */
    uint32_t block_len;
    uint8_t *packed; /* the compressed block */
    /* The references of tickets [first, first + count).  off 0: in the open block, with
     * its place there in `inside`.  A null pointer: in the open page. */
    struct value_ref *refs;
    uint64_t first;
    uint64_t forgotten; /* tickets below are, though their places may still be there */
    uint32_t count;
    uint32_t capacity;
    uint32_t page_from;  /* no reference before is in the open page or block */
    uint32_t block_from; /* no reference before is in the open block */
};

/* ---- writing ---- */

scn_status values_create(struct writer *writer, uint32_t table_id, bool compress,
                         struct values **out)
{
    struct values *values = mem_zalloc(sizeof *values);
    if (values == NULL)
        return error_nomem();
    values->writer = writer;
    values->table_id = table_id;
    values->compress = compress;
    values->used = PAGE_HEADER_BYTES;
    values->page = mem_alloc(PAGE_BYTES);
    values->block = compress ? mem_alloc(PACKED_BYTES) : NULL;
    values->packed = compress ? mem_alloc(PACKED_BYTES) : NULL;
    bool has_blocks = values->block != NULL && values->packed != NULL;
    if (values->page == NULL || (compress && !has_blocks)) {
        values_destroy(values);
        return error_nomem();
    }
    *out = values;
    return SCN_OK;
}

void values_destroy(struct values *values)
{
    if (values == NULL)
        return;
    mem_free(values->page);
    mem_free(values->block);
    mem_free(values->packed);
    mem_free(values->refs);
    mem_free(values);
}

static scn_status add_ticket(struct values *values, const struct value_ref *ref)
{
    scn_status st = mem_make_room(&values->refs, &values->capacity, values->count + 1,
                                  sizeof *values->refs);
    if (st == SCN_OK)
        values->refs[values->count++] = *ref;
    return st;
}

static scn_status seal_page(struct values *values)
{
    if (values->used == PAGE_HEADER_BYTES)
        return SCN_OK;
    uint32_t pgno;
    uint8_t *image;
    scn_status st = writer_begin(values->writer, &pgno, &image);
    if (st != SCN_OK)
        return st;
    memcpy(image + PAGE_HEADER_BYTES, values->page + PAGE_HEADER_BYTES,
           values->used - PAGE_HEADER_BYTES);
    struct page_ref page;
    page_seal(image, PAGE_VALUES, 0, values->table_id, pgno, writer_gen(values->writer),
              values->used, &page);
    st = writer_finish(values->writer, &page);
    if (st != SCN_OK)
        return st;
    for (uint32_t i = values->page_from; i < values->count; i++) {
        struct value_ref *ref = &values->refs[i];
        if (page_ref_is_null(&ref->page) && ref->off != 0)
            ref->page = page;
    }
    values->used = PAGE_HEADER_BYTES;
    values->page_from = values->block_len > 0 ? values->block_from : values->count;
    return SCN_OK;
}

/* A place for len bytes in the open page. */
static scn_status make_room(struct values *values, uint32_t len, uint32_t *off)
{
    ASSERT(len <= PACKED_BYTES);
    if (len > PAGE_BYTES - values->used) {
        scn_status st = seal_page(values);
        if (st != SCN_OK)
            return st;
    }
    *off = values->used;
    values->used += len;
    return SCN_OK;
}

/* 0 when it does not pay. */
static uint32_t compress_open_block(struct values *values)
{
    uint32_t most = values->block_len - values->block_len / 8;
    return (uint32_t)compress_block(values->block, values->block_len, values->packed,
                                    most);
}

static scn_status close_block(struct values *values)
{
    if (values->block_len == 0)
        return SCN_OK;
    uint32_t stored = compress_open_block(values);
    bool is_plain = stored == 0;
    uint32_t len = is_plain ? values->block_len : stored;
    uint32_t off;
    scn_status st = make_room(values, len, &off);
    if (st != SCN_OK)
        return st;
    memcpy(values->page + off, is_plain ? values->block : values->packed, len);
    for (uint32_t i = values->block_from; i < values->count; i++) {
        struct value_ref *ref = &values->refs[i];
        if (ref->off != 0 || value_ref_is_spread(ref))
            continue;
        ref->off = is_plain ? off + ref->inside : off;
        ref->inside = is_plain ? 0 : ref->inside;
        ref->block_stored = stored;
        ref->block_raw = is_plain ? 0 : values->block_len;
    }
    values->block_len = 0;
    values->block_from = values->count;
    return SCN_OK;
}

static scn_status put_into_block(struct values *values, const void *data, uint32_t len,
                                 struct value_ref *ref)
{
    if (len > BLOCK_BYTES || values->block_len > BLOCK_BYTES - len) {
        scn_status st = close_block(values);
        if (st != SCN_OK)
            return st;
    }
    if (values->block_len == 0)
        values->block_from = values->count;
    memcpy(values->block + values->block_len, data, len);
    ref->inside = values->block_len;
    values->block_len += len;
    return SCN_OK;
}

static scn_status put_into_page(struct values *values, const void *data, uint32_t len,
                                struct value_ref *ref)
{
    scn_status st = make_room(values, len, &ref->off);
    if (st == SCN_OK)
        memcpy(values->page + ref->off, data, len);
    return st;
}

/* Page idx of a value's data. */
static scn_status write_data_page(struct values *values, const uint8_t *data,
                                  uint64_t len, uint32_t idx, struct value_part *part)
{
    uint64_t from = (uint64_t)idx * VALUE_SPREAD_BYTES;
    uint32_t bytes =
        (uint32_t)(len - from < VALUE_SPREAD_BYTES ? len - from : VALUE_SPREAD_BYTES);
    uint8_t *image;
    scn_status st = writer_begin(values->writer, &part->pgno, &image);
    if (st != SCN_OK)
        return st;
    memcpy(image + PAGE_HEADER_BYTES, data + from, bytes);
    struct page_ref page;
    page_seal(image, PAGE_VALUES, 0, values->table_id, part->pgno,
              writer_gen(values->writer), PAGE_HEADER_BYTES + bytes, &page);
    part->hash = page.hash;
    return writer_finish(values->writer, &page);
}

/* Parts in index page idx of a value: all pages but the last are full. */
static uint32_t index_part_count(uint32_t data_pages, uint32_t idx)
{
    uint32_t left = data_pages - idx * VALUE_INDEX_FANOUT;
    return left < VALUE_INDEX_FANOUT ? left : VALUE_INDEX_FANOUT;
}

/* Index page idx; *next leads to the one behind it, and afterwards to this one. */
static scn_status write_index_page(struct values *values, const struct value_part *parts,
                                   uint32_t data_pages, uint32_t idx,
                                   struct page_ref *next)
{
    uint32_t count = index_part_count(data_pages, idx);
    uint32_t pgno;
    uint8_t *image;
    scn_status st = writer_begin(values->writer, &pgno, &image);
    if (st != SCN_OK)
        return st;
    value_index_fill(image, parts + (size_t)idx * VALUE_INDEX_FANOUT, count, next);
    page_seal(image, PAGE_VALUE_INDEX, 0, values->table_id, pgno,
              writer_gen(values->writer), value_index_used(count), next);
    return writer_finish(values->writer, next);
}

static scn_status spread(struct values *values, const void *data, uint64_t len,
                         struct value_ref *ref)
{
    uint32_t data_pages = value_page_count(len);
    uint32_t index_pages = value_index_pages(len);
    struct value_part *parts = mem_alloc(data_pages * sizeof *parts);
    if (parts == NULL)
        return error_nomem();
    scn_status st = SCN_OK;
    writer_expect(values->writer, data_pages + index_pages);
    for (uint32_t i = 0; st == SCN_OK && i < data_pages; i++)
        st = write_data_page(values, data, len, i, &parts[i]);
    for (uint32_t i = index_pages; st == SCN_OK && i > 0; i--)
        st = write_index_page(values, parts, data_pages, i - 1, &ref->page);
    mem_free(parts);
    return st;
}

scn_status values_put(struct values *values, const void *data, uint64_t len,
                      uint64_t *ticket)
{
    ASSERT(len > 0);
    ASSERT(len <= VALUE_BYTES_MAX);
    struct value_ref ref = {.len = len, .hash = hash64(data, len)};
    scn_status st;
    if (len > PACKED_BYTES)
        st = spread(values, data, len, &ref);
    else if (values->compress)
        st = put_into_block(values, data, (uint32_t)len, &ref);
    else
        st = put_into_page(values, data, (uint32_t)len, &ref);
    if (st == SCN_OK)
        st = add_ticket(values, &ref);
    if (st == SCN_OK)
        *ticket = values->first + values->count - 1;
    return st;
}

scn_status values_flush(struct values *values)
{
    scn_status st = close_block(values);
    return st == SCN_OK ? seal_page(values) : st;
}

bool values_resolve(struct values *values, uint64_t ticket, struct value_ref *out)
{
    ASSERT(ticket >= values->forgotten);
    ASSERT(ticket - values->first < values->count);
    *out = values->refs[ticket - values->first];
    return !page_ref_is_null(&out->page);
}

static void lower_by(uint32_t *idx, uint32_t gone)
{
    *idx -= *idx < gone ? *idx : gone;
}

/* Moves the rest down only when at least half is forgotten: constant work a ticket. */
void values_forget(struct values *values, uint64_t ticket)
{
    if (ticket <= values->forgotten)
        return;
    ASSERT(ticket - values->first <= values->count);
    for (uint64_t i = values->forgotten; i < ticket; i++)
        ASSERT(!page_ref_is_null(&values->refs[i - values->first].page));
    values->forgotten = ticket;
    uint32_t gone = (uint32_t)(ticket - values->first);
    if (gone < values->count - gone)
        return;
    values->count -= gone;
    memmove(values->refs, values->refs + gone, values->count * sizeof *values->refs);
    values->first = ticket;
    lower_by(&values->page_from, gone);
    lower_by(&values->block_from, gone);
}

/* ---- reading ---- */

void values_scratch_destroy(struct values_scratch *scratch)
{
    mem_free(scratch->data);
    mem_free(scratch->block);
    *scratch = (struct values_scratch){0};
}

/* What was in the buffer is gone. */
static scn_status reserve_buffer(uint8_t **buffer, size_t *capacity, size_t needed)
{
    if (needed <= *capacity)
        return SCN_OK;
    mem_free(*buffer);
    *capacity = 0;
    *buffer = mem_alloc(needed);
    if (*buffer == NULL)
        return error_nomem();
    *capacity = needed;
    return SCN_OK;
}

static scn_status value_fault(uint32_t pgno, uint32_t off, const char *what)
{
    return error_corrupt(pgno, (uint64_t)pgno * PAGE_BYTES + off, "value: page %u: %s",
                         pgno, what);
}

/* A page with len bytes at off that its hash covers. */
static scn_status get_covered(struct pool_reader *reader, const struct page_ref *ref,
                              uint32_t off, uint32_t len, const uint8_t **page)
{
    scn_status st = pool_get(reader, ref, page);
    if (st != SCN_OK)
        return st;
    struct page_header header;
    page_header_decode(*page, &header);
    if (off < PAGE_HEADER_BYTES || off > header.used || len > header.used - off)
        return value_fault(ref->pgno, off, "a value goes beyond the end of the data");
    return SCN_OK;
}

/* Leaves the block that has the value in scratch->block. */
static scn_status load_block(struct pool_reader *reader, const struct value_ref *ref,
                             struct values_scratch *scratch)
{
    if (scratch->block_len == ref->block_raw && scratch->block_off == ref->off &&
        page_ref_equal(&scratch->block_page, &ref->page))
        return SCN_OK;
    const uint8_t *page;
    scn_status st = get_covered(reader, &ref->page, ref->off, ref->block_stored, &page);
    if (st != SCN_OK)
        return st;
    scratch->block_len = 0;
    st = reserve_buffer(&scratch->block, &scratch->block_capacity, ref->block_raw);
    if (st != SCN_OK)
        return st;
    if (!decompress_block(page + ref->off, ref->block_stored, scratch->block,
                          ref->block_raw))
        return value_fault(ref->page.pgno, ref->off, "a block cannot be decompressed");
    scratch->block_page = ref->page;
    scratch->block_off = ref->off;
    scratch->block_len = ref->block_raw;
    return SCN_OK;
}

static scn_status read_block(struct pool_reader *reader, const struct value_ref *ref,
                             struct values_scratch *scratch, const uint8_t **data)
{
    scn_status st = load_block(reader, ref, scratch);
    if (st != SCN_OK)
        return st;
    if (ref->inside > scratch->block_len || ref->len > scratch->block_len - ref->inside)
        return value_fault(ref->page.pgno, ref->off, "a value goes beyond its block");
    *data = scratch->block + ref->inside;
    if (hash64(*data, ref->len) != ref->hash)
        return value_fault(ref->page.pgno, ref->off,
                           "a decompressed value has another hash");
    return SCN_OK;
}

/* A walk along the index pages of a spread value. */
struct index_walk {
    struct pool_reader *reader;
    uint32_t data_pages;
    uint32_t index_pages;
    uint32_t idx;        /* of page */
    struct page_ref ref; /* of page */
    const uint8_t *page;
};

/* Loads the page that walk->ref leads to; it must have what index page idx has to have.
 */
static scn_status walk_load(struct index_walk *walk)
{
    if (page_ref_is_null(&walk->ref) || walk->ref.type != PAGE_VALUE_INDEX)
        return value_fault(walk->ref.pgno, 0, "an index ends before its value");
    scn_status st = pool_get(walk->reader, &walk->ref, &walk->page);
    if (st != SCN_OK)
        return st;
    if (value_index_count(walk->page) != index_part_count(walk->data_pages, walk->idx))
        return value_fault(walk->ref.pgno, 0,
                           "an index has another length than its value");
    struct page_ref next = value_index_next(walk->page);
    bool is_last = walk->idx + 1 == walk->index_pages;
    if (is_last && !page_ref_is_null(&next))
        return value_fault(walk->ref.pgno, 0, "an index goes on behind its value");
    return SCN_OK;
}

static scn_status walk_begin(struct index_walk *walk, struct pool_reader *reader,
                             const struct value_ref *ref)
{
    *walk = (struct index_walk){
        .reader = reader,
        .data_pages = value_page_count(ref->len),
        .index_pages = value_index_pages(ref->len),
        .ref = ref->page,
    };
    return walk_load(walk);
}

/* To the index page that has the entry of a data page, which is not behind us. */
static scn_status walk_to(struct index_walk *walk, uint32_t data_page)
{
    ASSERT(data_page < walk->data_pages);
    ASSERT(data_page / VALUE_INDEX_FANOUT >= walk->idx);
    while (walk->idx < data_page / VALUE_INDEX_FANOUT) {
        walk->ref = value_index_next(walk->page);
        walk->idx++;
        scn_status st = walk_load(walk);
        if (st != SCN_OK)
            return st;
    }
    return SCN_OK;
}

/* The pointer that entry idx of the walk's index page stands for. */
static struct page_ref part_ref(const struct index_walk *walk, uint32_t idx)
{
    struct value_part part = value_index_part(walk->page, idx);
    return (struct page_ref){
        .hash = part.hash,
        .birth_gen = walk->ref.birth_gen,
        .link_gen = walk->ref.link_gen,
        .pgno = part.pgno,
        .type = PAGE_VALUES,
    };
}

/* Bytes [from, from + len) of a data page. */
static scn_status walk_get(struct index_walk *walk, uint32_t data_page, uint32_t from,
                           uint32_t len, const uint8_t **data)
{
    scn_status st = walk_to(walk, data_page);
    if (st != SCN_OK)
        return st;
    struct page_ref ref = part_ref(walk, data_page % VALUE_INDEX_FANOUT);
    const uint8_t *page;
    st = get_covered(walk->reader, &ref, PAGE_HEADER_BYTES + from, len, &page);
    if (st == SCN_OK)
        *data = page + PAGE_HEADER_BYTES + from;
    return st;
}

/* Bytes [off, off + len), which the value has, into buf. */
static scn_status copy_spread(struct pool_reader *reader, const struct value_ref *ref,
                              uint64_t off, uint8_t *buf, uint64_t len)
{
    struct index_walk walk;
    scn_status st = walk_begin(&walk, reader, ref);
    uint64_t done = 0;
    while (st == SCN_OK && done < len) {
        uint32_t data_page = (uint32_t)((off + done) / VALUE_SPREAD_BYTES);
        uint32_t from = (uint32_t)((off + done) % VALUE_SPREAD_BYTES);
        uint32_t room = VALUE_SPREAD_BYTES - from;
        uint32_t part = len - done < room ? (uint32_t)(len - done) : room;
        const uint8_t *data;
        st = walk_get(&walk, data_page, from, part, &data);
        if (st == SCN_OK)
            memcpy(buf + done, data, part);
        done += part;
    }
    return st;
}

static scn_status find_highest(struct index_walk *walk, struct page_ref *highest)
{
    *highest = (struct page_ref){.pgno = 0};
    for (uint32_t i = 0; i < walk->index_pages; i++) {
        scn_status st = walk_to(walk, i * VALUE_INDEX_FANOUT);
        if (st != SCN_OK)
            return st;
        uint32_t count = value_index_count(walk->page);
        for (uint32_t idx = 0; idx < count; idx++) {
            if (value_index_part(walk->page, idx).pgno > highest->pgno)
                *highest = part_ref(walk, idx);
        }
    }
    return SCN_OK;
}

/* The index is whole, and the file has as many pages: the value can be as long as it
 * says. */
static scn_status check_length(struct pool_reader *reader, const struct value_ref *ref)
{
    struct index_walk walk;
    struct page_ref highest;
    const uint8_t *page;
    scn_status st = walk_begin(&walk, reader, ref);
    if (st == SCN_OK)
        st = find_highest(&walk, &highest);
    if (st != SCN_OK)
        return st;
    if (highest.pgno < FIRST_FREE_PAGE_NO + walk.data_pages - 1)
        return value_fault(ref->page.pgno, 0, "an index names a page twice");
    return pool_get(reader, &highest, &page);
}

static scn_status read_spread(struct pool_reader *reader, const struct value_ref *ref,
                              struct values_scratch *scratch)
{
    scn_status st = check_length(reader, ref);
    if (st == SCN_OK)
        st = reserve_buffer(&scratch->data, &scratch->capacity, ref->len);
    if (st == SCN_OK)
        st = copy_spread(reader, ref, 0, scratch->data, ref->len);
    if (st == SCN_OK && hash64(scratch->data, ref->len) != ref->hash)
        st = value_fault(ref->page.pgno, 0, "a value put together has another hash");
    return st;
}

scn_status values_read(struct pool_reader *reader, const struct value_ref *ref,
                       struct values_scratch *scratch, scn_slice *out,
                       const uint8_t **page)
{
    const uint8_t *data = NULL;
    scn_status st;
    *page = NULL;
    if (value_ref_is_spread(ref)) {
        st = read_spread(reader, ref, scratch);
        data = scratch->data;
    } else if (ref->block_stored != 0)
        st = read_block(reader, ref, scratch, &data);
    else if (ref->len > PACKED_BYTES)
        st = value_fault(ref->page.pgno, ref->off, "a value is longer than its page");
    else {
        st = get_covered(reader, &ref->page, ref->off, (uint32_t)ref->len, page);
        data = *page + ref->off;
    }
    if (st == SCN_OK)
        *out = (scn_slice){data, ref->len};
    return st;
}

scn_status values_read_at(struct pool_reader *reader, const struct value_ref *ref,
                          struct values_scratch *scratch, uint64_t off, void *buf,
                          size_t len, size_t *got)
{
    *got = 0;
    if (off >= ref->len || len == 0)
        return SCN_OK;
    uint64_t count = len < ref->len - off ? len : ref->len - off;
    scn_status st;
    if (value_ref_is_spread(ref))
        st = copy_spread(reader, ref, off, buf, count);
    else {
        scn_slice whole;
        const uint8_t *page;
        st = values_read(reader, ref, scratch, &whole, &page);
        if (st == SCN_OK)
            memcpy(buf, (const uint8_t *)whole.data + off, count);
    }
    if (st == SCN_OK)
        *got = count;
    return st;
}

/* The data pages that the walk's index page lists, neighbours together. */
static scn_status each_part(const struct index_walk *walk, values_page_fn fn, void *ctx)
{
    uint32_t count = value_index_count(walk->page);
    scn_status st = SCN_OK;
    for (uint32_t from = 0, to; st == SCN_OK && from < count; from = to) {
        uint32_t first = value_index_part(walk->page, from).pgno;
        for (to = from + 1; to < count; to++) {
            if (value_index_part(walk->page, to).pgno != first + (to - from))
                break;
        }
        st = fn(ctx, first, to - from, walk->ref.birth_gen, false);
    }
    return st;
}

scn_status values_each_page(struct pool_reader *reader, const struct value_ref *ref,
                            values_page_fn fn, void *ctx)
{
    if (!value_ref_is_spread(ref))
        return fn(ctx, ref->page.pgno, 1, ref->page.birth_gen, true);
    struct index_walk walk;
    scn_status st = walk_begin(&walk, reader, ref);
    for (uint32_t i = 0; st == SCN_OK && i < walk.index_pages; i++) {
        st = walk_to(&walk, i * VALUE_INDEX_FANOUT);
        if (st == SCN_OK)
            st = each_part(&walk, fn, ctx);
        if (st == SCN_OK)
            st = fn(ctx, walk.ref.pgno, 1, walk.ref.birth_gen, false);
    }
    return st;
}
