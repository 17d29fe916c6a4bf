/* Values outside leaves: see content.h. */
#include "tools/walcheck/content.h"

#include "page/compress.h"
#include "page/hash.h"
#include "page/mem.h"

#include <inttypes.h>

/* Values lie in key order, those of later checkpoints elsewhere: a few pages take
 * turns. */
enum { IMAGES = 16 };

struct held_image {
    struct page_ref ref;
    uint8_t *image;
    bool is_good;
};

struct content {
    struct subject *subject;
    struct findings *findings;
    struct holdings *holdings;
    struct held_image images[IMAGES];
    uint8_t *index_image;
    uint8_t *data_image;
    uint8_t *block;               /* VALUE_BLOCK_BYTES_MAX */
    struct value_ref block_owner; /* whose block is in it; page.pgno 0: none */
    uint8_t *whole;               /* a value put together from its pages */
    size_t whole_len;
    size_t whole_capacity;
    /* of the value under way */
    const struct content_owner *owner;
    const struct value_ref *ref;
    bool wants_bytes;
    struct hash_pieces *pieces; /* of one in several pages */
};

scn_status content_create(struct subject *subject, struct findings *findings,
                          struct holdings *holdings, struct content **out)
{
    *out = mem_zalloc(sizeof **out);
    if (*out == NULL)
        return error_nomem();
    (*out)->subject = subject;
    (*out)->findings = findings;
    (*out)->holdings = holdings;
    return SCN_OK;
}

void content_destroy(struct content *content)
{
    if (content == NULL)
        return;
    for (int i = 0; i < IMAGES; i++)
        pagecopy_free(content->images[i].image);
    pagecopy_free(content->index_image);
    pagecopy_free(content->data_image);
    mem_free(content->block);
    mem_free(content->whole);
    mem_free(content);
}

/* ---- pages ---- */

static void value_fault(struct content *content, const char *what)
{
    const struct value_ref *ref = content->ref;
    findings_note(content->findings, FINDING_VALUE, ref->page.pgno,
                  (uint64_t)ref->page.pgno * PAGE_BYTES + ref->off,
                  "a value of %" PRIu64 " bytes in page %" PRIu32 " of %s: %s", ref->len,
                  ref->page.pgno, content->owner->name, what);
}

/* What is behind it, nobody can say. */
static void lose_owners(struct content *content)
{
    if (content->holdings)
        content->holdings->is_whole = false;
}

static scn_status read_page(struct content *content, const struct page_ref *ref,
                            uint8_t *image, bool *is_good)
{
    scn_status st = subject_page(content->subject, ref, image);
    *is_good = st == SCN_OK;
    if (st == SCN_OK)
        return SCN_OK;
    lose_owners(content);
    return findings_note_error(content->findings, FINDING_PAGE, st);
}

static bool take_page(struct content *content, uint32_t pgno)
{
    return content->holdings == NULL ||
           holdings_take(content->holdings, pgno, 1, content->owner->kind,
                         content->owner->name);
}

/* ---- packed ---- */

static bool share_page(struct content *content)
{
    return content->holdings == NULL ||
           holdings_share(content->holdings, content->ref->page.pgno,
                          content->owner->kind, content->owner->name, content->ref->len);
}

/* A page that several values share; *image NULL: it cannot be read, which was told when
 * it was tried. */
static scn_status packed_image(struct content *content, uint8_t **image)
{
    const struct page_ref *ref = &content->ref->page;
    struct held_image *held = &content->images[ref->pgno % IMAGES];
    scn_status st = SCN_OK;
    if (held->image == NULL || !page_ref_equal(&held->ref, ref)) {
        st = pagecopy_reserve(&held->image);
        if (st < 0)
            return st;
        held->ref = *ref;
        st = read_page(content, ref, held->image, &held->is_good);
    }
    *image = held->is_good ? held->image : NULL;
    return st;
}

/* The block that has the value, in content->block; false: it cannot be unpacked. */
static bool load_block(struct content *content, const uint8_t *image)
{
    const struct value_ref *ref = content->ref;
    struct value_ref *owner = &content->block_owner;
    if (owner->block_raw == ref->block_raw && owner->off == ref->off &&
        owner->block_stored == ref->block_stored &&
        page_ref_equal(&owner->page, &ref->page))
        return true;
    *owner = (struct value_ref){0};
    if (!decompress_block(image + ref->off, ref->block_stored, content->block,
                          ref->block_raw))
        return false;
    *owner = *ref;
    return true;
}

/* The bytes in the image or in the block, or NULL: *why says what is wrong. */
static const uint8_t *packed_bytes(struct content *content, const uint8_t *image,
                                   const char **why)
{
    const struct value_ref *ref = content->ref;
    const uint8_t *data = image + ref->off;
    uint64_t stored = ref->block_stored ? ref->block_stored : ref->len;
    struct page_header header;
    page_header_decode(image, &header);
    *why = "its page is another table's";
    if (header.table_id != content->owner->table_id)
        return NULL;
    *why = "it goes beyond the end of the data";
    if (ref->off > header.used || stored > header.used - ref->off)
        return NULL;
    *why = "its block cannot be decompressed";
    if (ref->block_stored && !load_block(content, image))
        return NULL;
    if (ref->block_stored)
        data = content->block + ref->inside;
    *why = "it has another hash";
    return hash64(data, ref->len) == ref->hash ? data : NULL;
}

static scn_status read_packed(struct content *content, scn_slice *bytes, bool *is_good)
{
    uint8_t *image;
    const char *why;
    if (!share_page(content))
        return SCN_OK;
    scn_status st = packed_image(content, &image);
    if (st < 0 || image == NULL)
        return st;
    if (content->block == NULL)
        content->block = mem_alloc(VALUE_BLOCK_BYTES_MAX);
    if (content->block == NULL)
        return error_nomem();
    const uint8_t *data = packed_bytes(content, image, &why);
    if (data == NULL) {
        value_fault(content, why);
        return SCN_OK;
    }
    if (bytes)
        *bytes = (scn_slice){data, content->ref->len};
    *is_good = true;
    return SCN_OK;
}

/* ---- spread ---- */

/* Memory grows with what was proved, not with what is claimed. */
static scn_status append(struct content *content, const uint8_t *data, uint64_t len)
{
    if (content->whole_capacity - content->whole_len < len) {
        size_t capacity = content->whole_capacity * 2 + len;
        void *grown = mem_grow(content->whole, content->whole_len, capacity);
        if (grown == NULL)
            return error_nomem();
        content->whole = grown;
        content->whole_capacity = capacity;
    }
    memcpy(content->whole + content->whole_len, data, len);
    content->whole_len += len;
    return SCN_OK;
}

/* Data page number `idx` of the value, of which the index in hand says `part`. */
static scn_status read_part(struct content *content, const struct page_ref *index,
                            uint32_t idx, bool *is_good)
{
    const struct value_ref *ref = content->ref;
    uint32_t pages = value_page_count(ref->len);
    uint64_t bytes = idx + 1 == pages ? ref->len - (uint64_t)idx * VALUE_SPREAD_BYTES
                                      : VALUE_SPREAD_BYTES;
    struct value_part part =
        value_index_part(content->index_image, idx % VALUE_INDEX_FANOUT);
    struct page_header header;
    struct page_ref data = {.hash = part.hash,
                            .birth_gen = index->birth_gen,
                            .pgno = part.pgno,
                            .type = PAGE_VALUES};
    *is_good = take_page(content, part.pgno);
    scn_status st = *is_good
                        ? read_page(content, &data, content->data_image, is_good)
                        : SCN_OK;
    if (st < 0 || !*is_good)
        return st;
    page_header_decode(content->data_image, &header);
    *is_good = header.used >= PAGE_HEADER_BYTES + bytes;
    if (!*is_good)
        value_fault(content, "one of its pages is too short");
    else
        hash_add(content->pieces, content->data_image + PAGE_HEADER_BYTES, bytes);
    return *is_good && content->wants_bytes
               ? append(content, content->data_image + PAGE_HEADER_BYTES, bytes)
               : st;
}

static scn_status index_fault(struct content *content, const char *what)
{
    lose_owners(content);
    value_fault(content, what);
    return SCN_OK;
}

/* The index page that leads to the data pages from number `done` on; *count of them, 0
 * where nothing behind it can be followed. */
static scn_status read_index(struct content *content, const struct page_ref *index,
                             uint32_t done, uint32_t *count)
{
    uint32_t left = value_page_count(content->ref->len) - done;
    bool is_good;
    *count = 0;
    if (page_ref_is_null(index) || index->type != PAGE_VALUE_INDEX)
        return index_fault(content, "its index ends before it");
    if (!take_page(content, index->pgno))
        return SCN_OK;
    scn_status st = read_page(content, index, content->index_image, &is_good);
    if (st < 0 || !is_good)
        return st;
    if (value_index_count(content->index_image) !=
        (left < VALUE_INDEX_FANOUT ? left : VALUE_INDEX_FANOUT))
        return index_fault(content, "its index has another length than it");
    *count = value_index_count(content->index_image);
    return SCN_OK;
}

/* All parts are looked at, also behind a bad one: their pages have an owner.  But nobody
 * puts together what is not whole. */
static scn_status read_parts(struct content *content, const struct page_ref *index,
                             uint32_t done, uint32_t count, bool *are_good)
{
    scn_status st = SCN_OK;
    for (uint32_t i = 0; i < count && st >= 0; i++) {
        bool is_good;
        st = read_part(content, index, done + i, &is_good);
        *are_good &= is_good;
        if (!is_good && content->holdings == NULL)
            break;
        content->wants_bytes &= is_good;
    }
    return st;
}

/* The number of pages bounds the loop: it falls with each index page. */
static scn_status read_spread_pages(struct content *content, bool *is_good)
{
    uint32_t pages = value_page_count(content->ref->len);
    struct page_ref index = content->ref->page;
    bool are_good = true;
    scn_status st = SCN_OK;
    for (uint32_t done = 0; done < pages;) {
        uint32_t count;
        st = read_index(content, &index, done, &count);
        if (st >= 0 && count)
            st = read_parts(content, &index, done, count, &are_good);
        if (st < 0 || count == 0 || (!are_good && content->holdings == NULL))
            return st;
        done += count;
        index = value_index_next(content->index_image);
    }
    if (!page_ref_is_null(&index))
        return index_fault(content, "its index goes on behind it");
    *is_good = are_good;
    return st;
}

static scn_status read_spread(struct content *content, scn_slice *bytes, bool *is_good)
{
    scn_status st = pagecopy_reserve(&content->index_image);
    if (st == SCN_OK)
        st = pagecopy_reserve(&content->data_image);
    struct hash_pieces pieces;
    hash_begin(&pieces);
    content->pieces = &pieces;
    content->whole_len = 0;
    content->wants_bytes = bytes != NULL;
    if (st == SCN_OK)
        st = read_spread_pages(content, is_good);
    content->pieces = NULL;
    if (st < 0 || !*is_good)
        return st;
    *is_good = hash_end(&pieces) == content->ref->hash;
    if (!*is_good)
        value_fault(content, "it has another hash");
    if (bytes)
        *bytes = (scn_slice){content->whole, content->whole_len};
    return SCN_OK;
}

scn_status content_read(struct content *content, const struct content_owner *owner,
                        const struct value_ref *ref, scn_slice *bytes, bool *is_good)
{
    *is_good = false;
    content->owner = owner;
    content->ref = ref;
    return value_ref_is_spread(ref) ? read_spread(content, bytes, is_good)
                                    : read_packed(content, bytes, is_good);
}
