/* Gathering records and cutting them into leaves.
 *
 * Records wait in a queue of {pointers, lengths}.  Those of an old leaf are borrowed from
 * its page: they are copied once, into the new page.  Those of changes are copied into
 * chunks, which are counted and used again when the last record in them is in a page.
 *
 * The queue is cut in three situations, as those of the inner levels are
 * (engine/levels.c): one page from the front when more than two wait; all of it in even
 * pages; all of it in full pages.  Even pages leave room on both sides of a cut, which is
 * where inserts in random order come next.  Full ones suit the right edge, where nothing
 * is inserted any more when keys ascend.
 *
 * A value outside has no place before its page is sealed, and that page is shared with
 * values of the leaves to come.  To seal it for each leaf would waste most of it.  So
 * such a leaf is held: its records, all copied now, go into a ring, and the level above
 * gets a promise.  The ring is emptied from its oldest leaf on, as far as the places are
 * known. */
#include "engine/leafcut.h"

#include "engine/values.h"
#include "page/inner.h"
#include "page/mem.h"

enum {
    WAITING_BYTES = 2 * PAGE_BYTES,
    FILL_BYTES = PAGE_BYTES / 16 * 15, /* room for the first inserts after a bulk load */
    SMALL_BYTES = PAGE_BYTES / 4
};

struct chunk {
    struct chunk *next_made; /* all there are */
    struct chunk *next_free;
    uint32_t used;
    uint32_t live; /* records with bytes here */
    uint8_t data[PAGE_BYTES];
};

struct cut_record {
    struct leaf_record record;
    struct chunk *chunk; /* NULL: borrowed */
    uint8_t *place;      /* where a reference goes that is not known yet, else NULL */
    uint64_t ticket;     /* for it */
};

/* A leaf waiting for the places of its values. */
struct held {
    struct cut_record *records;
    uint32_t count;
    uint32_t capacity;
    uint32_t resolved; /* records before this one need nothing more */
    uint64_t promise;
};

struct leafcut {
    struct leafcut_options options;
    struct leaf_builder *builder;
    struct values *values; /* NULL until the first value outside */
    uint64_t page_count;

    /* The queue: records [first, end). */
    struct cut_record *records;
    uint32_t first;
    uint32_t end;
    uint32_t capacity;
    uint32_t places; /* of them with a place to fill */
    uint64_t bytes;  /* in a page */

    struct held ring[LEAFCUT_HELD_MAX];
    uint32_t ring_first;
    uint32_t ring_count;

    struct chunk *made;
    struct chunk *free;
    struct chunk *current;

    uint32_t bound_len; /* lower bound of the queue */
    uint8_t bound[KEY_BYTES_MAX];
    uint8_t placeholder[VALUE_REF_BYTES];
};

/* ---- life ---- */

/* A reference such as a leaf accepts, for records whose own is not known yet. */
static void make_placeholder(uint8_t *at)
{
    struct value_ref ref = {
        .len = 1,
        .page = {.type = PAGE_VALUES, .pgno = FIRST_FREE_PAGE_NO},
        .off = PAGE_HEADER_BYTES,
    };
    value_ref_encode(&ref, at);
}

scn_status leafcut_create(const struct leafcut_options *options, struct leafcut **out)
{
    *out = NULL;
    struct leafcut *cut = mem_zalloc(sizeof *cut);
    if (cut == NULL)
        return error_nomem();
    cut->options = *options;
    make_placeholder(cut->placeholder);
    scn_status st = leaf_builder_create(&cut->builder);
    if (st != SCN_OK) {
        mem_free(cut);
        return st;
    }
    *out = cut;
    return SCN_OK;
}

void leafcut_destroy(struct leafcut *cut)
{
    if (cut == NULL)
        return;
    while (cut->made != NULL) {
        struct chunk *chunk = cut->made;
        cut->made = chunk->next_made;
        mem_free(chunk);
    }
    for (uint32_t i = 0; i < LEAFCUT_HELD_MAX; i++)
        mem_free(cut->ring[i].records);
    mem_free(cut->records);
    values_destroy(cut->values);
    leaf_builder_destroy(cut->builder);
    mem_free(cut);
}

uint64_t leafcut_page_count(const struct leafcut *cut)
{
    return cut->page_count;
}

/* ---- chunks ---- */

static scn_status next_chunk(struct leafcut *cut)
{
    struct chunk *chunk = cut->free;
    if (chunk != NULL) {
        cut->free = chunk->next_free;
    } else {
        chunk = mem_alloc(sizeof *chunk);
        if (chunk == NULL)
            return error_nomem();
        chunk->next_made = cut->made;
        cut->made = chunk;
    }
    chunk->used = 0;
    chunk->live = 0;
    cut->current = chunk;
    return SCN_OK;
}

/* Room for one record's bytes; the chunk counts it. */
static scn_status chunk_take(struct leafcut *cut, uint32_t len, uint8_t **at)
{
    ASSERT(len <= PAGE_BYTES);
    struct chunk *chunk = cut->current;
    if (chunk == NULL || PAGE_BYTES - chunk->used < len) {
        scn_status st = next_chunk(cut);
        if (st != SCN_OK)
            return st;
        if (chunk != NULL && chunk->live == 0) {
            chunk->next_free = cut->free;
            cut->free = chunk;
        }
        chunk = cut->current;
    }
    *at = chunk->data + chunk->used;
    chunk->used += len;
    chunk->live++;
    return SCN_OK;
}

static void chunk_give(struct leafcut *cut, struct chunk *chunk)
{
    if (chunk == NULL || --chunk->live > 0)
        return;
    if (chunk == cut->current) {
        chunk->used = 0;
        return;
    }
    chunk->next_free = cut->free;
    cut->free = chunk;
}

/* ---- the queue ---- */

static uint32_t waiting(const struct leafcut *cut)
{
    return cut->end - cut->first;
}

static uint32_t record_bytes(const struct cut_record *record)
{
    return leaf_record_bytes(record->record.key_len, record->record.payload_len);
}

bool leafcut_is_empty(const struct leafcut *cut)
{
    return waiting(cut) == 0;
}

bool leafcut_is_small(const struct leafcut *cut)
{
    return cut->bytes < SMALL_BYTES;
}

void leafcut_begin(struct leafcut *cut, const void *bound, uint32_t bound_len)
{
    ASSERT(bound_len <= KEY_BYTES_MAX);
    if (!leafcut_is_empty(cut))
        return;
    if (bound_len > 0)
        memcpy(cut->bound, bound, bound_len);
    cut->bound_len = bound_len;
}

static scn_status make_room(struct leafcut *cut)
{
    if (cut->first > cut->capacity / 2) {
        memmove(cut->records, cut->records + cut->first,
                waiting(cut) * sizeof *cut->records);
        cut->end -= cut->first;
        cut->first = 0;
        return SCN_OK;
    }
    return mem_make_room(&cut->records, &cut->capacity, cut->end + 1,
                         sizeof *cut->records);
}

/* Gives the record's bytes a chunk of their own. */
static scn_status own(struct leafcut *cut, struct cut_record *record)
{
    uint32_t key_len = record->record.key_len;
    uint32_t payload_len = record->record.payload_len;
    uint8_t *at;
    scn_status st = chunk_take(cut, key_len + payload_len, &at);
    if (st != SCN_OK)
        return st;
    memcpy(at, record->record.key, key_len);
    if (payload_len > 0)
        memcpy(at + key_len, record->record.payload, payload_len);
    record->record.key = at;
    record->record.payload = at + key_len;
    if (record->place != NULL)
        record->place = at + key_len;
    record->chunk = cut->current;
    return SCN_OK;
}

scn_status leafcut_own(struct leafcut *cut)
{
    for (uint32_t i = cut->first; i < cut->end; i++) {
        if (cut->records[i].chunk != NULL)
            continue;
        scn_status st = own(cut, &cut->records[i]);
        if (st != SCN_OK)
            return st;
    }
    return SCN_OK;
}

/* ---- building one leaf ---- */

/* Into the builder, from the front of the queue: up to `count` records, until `bytes` are
 * reached, as long as they fit, and one at least. */
static uint32_t load(struct leafcut *cut, uint32_t count, uint32_t bytes)
{
    leaf_builder_reset(cut->builder);
    for (uint32_t i = 0; i < count; i++) {
        if (leaf_builder_bytes(cut->builder) >= bytes ||
            !leaf_builder_add(cut->builder, &cut->records[cut->first + i].record))
            break;
    }
    ASSERT(leaf_builder_count(cut->builder) > 0);
    return leaf_builder_count(cut->builder);
}

static scn_status build(struct leafcut *cut, struct page_ref *ref)
{
    struct writer *writer = cut->options.writer;
    uint32_t pgno;
    uint8_t *image;
    scn_status st = writer_begin(writer, &pgno, &image);
    if (st != SCN_OK)
        return st;
    leaf_build(cut->builder, image, cut->options.table_id, pgno, writer_gen(writer), ref);
    cut->page_count++;
    return writer_finish(writer, ref);
}

/* ---- leaves that wait for values ---- */

/* True when the places of all values of the leaf are known; then they are filled in. */
static scn_status resolve(struct leafcut *cut, struct held *held, bool *is_resolved)
{
    *is_resolved = false;
    for (; held->resolved < held->count; held->resolved++) {
        struct cut_record *record = &held->records[held->resolved];
        if (record->place == NULL)
            continue;
        struct value_ref ref;
        if (!values_resolve(cut->values, record->ticket, &ref))
            return SCN_OK;
        value_ref_encode(&ref, record->place);
        values_forget(cut->values, record->ticket + 1);
        scn_status st = cut->options.value_added(cut->options.ctx, &ref);
        if (st != SCN_OK)
            return st;
    }
    *is_resolved = true;
    return SCN_OK;
}

static scn_status build_held(struct leafcut *cut, struct held *held)
{
    leaf_builder_reset(cut->builder);
    for (uint32_t i = 0; i < held->count; i++) {
        bool fits = leaf_builder_add(cut->builder, &held->records[i].record);
        ASSERT(fits);
        (void)fits;
    }
    struct page_ref ref;
    scn_status st = build(cut, &ref);
    if (st != SCN_OK)
        return st;
    for (uint32_t i = 0; i < held->count; i++)
        chunk_give(cut, held->records[i].chunk);
    levels_keep(cut->options.levels, held->promise, &ref);
    cut->ring_first = (cut->ring_first + 1) % LEAFCUT_HELD_MAX;
    cut->ring_count--;
    return SCN_OK;
}

/* Builds leaves from the oldest on, as far as their values have places. */
static scn_status build_ready(struct leafcut *cut)
{
    while (cut->ring_count > 0) {
        struct held *oldest = &cut->ring[cut->ring_first];
        bool is_resolved;
        scn_status st = resolve(cut, oldest, &is_resolved);
        if (st != SCN_OK || !is_resolved)
            return st;
        st = build_held(cut, oldest);
        if (st != SCN_OK)
            return st;
    }
    return SCN_OK;
}

scn_status leafcut_keep(struct leafcut *cut)
{
    if (cut->ring_count == 0)
        return SCN_OK;
    scn_status st = values_flush(cut->values);
    if (st == SCN_OK)
        st = build_ready(cut);
    ASSERT(st != SCN_OK || cut->ring_count == 0);
    return st;
}

static scn_status held_reserve(struct held *held, uint32_t count)
{
    if (held->capacity >= count)
        return SCN_OK;
    mem_free(held->records);
    held->capacity = 0;
    held->records = mem_alloc(count * sizeof *held->records);
    if (held->records == NULL)
        return error_nomem();
    held->capacity = count;
    return SCN_OK;
}

/* The first `count` records move from the queue to the ring. */
static scn_status hold(struct leafcut *cut, uint32_t count)
{
    scn_status st = SCN_OK;
    if (cut->ring_count == LEAFCUT_HELD_MAX)
        st = leafcut_keep(cut);
    uint32_t slot = (cut->ring_first + cut->ring_count) % LEAFCUT_HELD_MAX;
    struct held *held = &cut->ring[slot];
    if (st == SCN_OK)
        st = held_reserve(held, count);
    for (uint32_t i = 0; i < count && st == SCN_OK; i++) {
        struct cut_record *record = &cut->records[cut->first + i];
        if (record->chunk == NULL)
            st = own(cut, record);
        held->records[i] = *record;
    }
    if (st == SCN_OK)
        st = levels_promise(cut->options.levels, cut->bound, cut->bound_len,
                            &held->promise);
    if (st != SCN_OK)
        return st;
    held->count = count;
    held->resolved = 0;
    cut->ring_count++;
    return SCN_OK;
}

/* ---- cutting ---- */

/* Of the first `count` records, those whose value has no place yet. */
static uint32_t places_in(const struct leafcut *cut, uint32_t count)
{
    uint32_t places = 0;
    for (uint32_t i = 0; i < count && cut->places > 0; i++)
        places += cut->records[cut->first + i].place != NULL;
    return places;
}

/* The first `count` records leave the queue. */
static void drop(struct leafcut *cut, uint32_t count, bool is_built)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct cut_record *record = &cut->records[cut->first + i];
        cut->bytes -= record_bytes(record);
        if (is_built)
            chunk_give(cut, record->chunk);
    }
    cut->first += count;
    if (cut->first == cut->end)
        cut->first = cut->end = 0;
}

/* The bound of what remains when the first `count` records are cut off. */
static void bound_rest(struct leafcut *cut, uint32_t count)
{
    if (count == waiting(cut))
        return;
    const struct leaf_record *left = &cut->records[cut->first + count - 1].record;
    const struct leaf_record *right = &cut->records[cut->first + count].record;
    cut->bound_len = inner_separator_len(left->key, left->key_len, right->key,
                                         right->key_len);
    memcpy(cut->bound, right->key, cut->bound_len);
}

/* The first `count` records, which are in the builder, become a leaf. */
static scn_status cut_off(struct leafcut *cut, uint32_t count)
{
    uint32_t places = places_in(cut, count);
    scn_status st;
    if (places > 0) {
        st = hold(cut, count);
    } else {
        struct page_ref ref;
        st = build(cut, &ref);
        if (st == SCN_OK)
            st = levels_add(cut->options.levels, cut->bound, cut->bound_len, &ref);
    }
    if (st != SCN_OK)
        return st;
    bound_rest(cut, count);
    drop(cut, count, places == 0);
    cut->places -= places;
    return build_ready(cut);
}

/* Of a queue whose first `fitting` records fill a page: how many to take so that all
 * pages become alike. */
static uint32_t even_share(const struct leafcut *cut, uint32_t fitting)
{
    const struct cut_record *records = cut->records + cut->first;
    uint64_t page = 0;
    for (uint32_t i = 0; i < fitting; i++)
        page += record_bytes(&records[i]);
    uint64_t pages = (cut->bytes + page - 1) / page;
    uint64_t share = cut->bytes / (pages > 2 ? pages : 2);
    uint64_t bytes = record_bytes(&records[0]);
    uint32_t count = 1;
    /* The record on the border goes to the side where more of it lies. */
    while (count < fitting && bytes + record_bytes(&records[count]) / 2 < share)
        bytes += record_bytes(&records[count++]);
    return count;
}

scn_status leafcut_flush(struct leafcut *cut, bool is_right_edge)
{
    while (!leafcut_is_empty(cut)) {
        uint32_t count = load(cut, waiting(cut), PAGE_BYTES);
        if (count < waiting(cut) && !is_right_edge)
            count = load(cut, even_share(cut, count), PAGE_BYTES);
        scn_status st = cut_off(cut, count);
        if (st != SCN_OK)
            return st;
    }
    return SCN_OK;
}

/* ---- records ---- */

static scn_status append(struct leafcut *cut, const struct cut_record *record)
{
    if (cut->end == cut->capacity) {
        scn_status st = make_room(cut);
        if (st != SCN_OK)
            return st;
    }
    cut->records[cut->end++] = *record;
    cut->places += record->place != NULL;
    cut->bytes += record_bytes(record);
    if (cut->bytes <= WAITING_BYTES)
        return SCN_OK;
    return cut_off(cut, load(cut, waiting(cut), FILL_BYTES));
}

scn_status leafcut_borrow(struct leafcut *cut, const struct leaf_record *record)
{
    struct cut_record borrowed = {.record = *record};
    return append(cut, &borrowed);
}

scn_status leafcut_copy(struct leafcut *cut, const struct leaf_record *record)
{
    struct cut_record copied = {.record = *record};
    scn_status st = own(cut, &copied);
    return st == SCN_OK ? append(cut, &copied) : st;
}

scn_status leafcut_put_outside(struct leafcut *cut, scn_slice key, scn_slice value)
{
    const struct leafcut_options *options = &cut->options;
    scn_status st = SCN_OK;
    if (cut->values == NULL)
        st = values_create(options->writer, options->table_id, options->compress,
                           &cut->values);
    struct cut_record outside = {
        .record = {.key = key.data,
                   .payload = cut->placeholder,
                   .key_len = (uint32_t)key.size,
                   .payload_len = VALUE_REF_BYTES,
                   .kind = LEAF_REF},
        .place = cut->placeholder,
    };
    if (st == SCN_OK)
        st = values_put(cut->values, value.data, value.size, &outside.ticket);
    if (st == SCN_OK)
        st = own(cut, &outside);
    return st == SCN_OK ? append(cut, &outside) : st;
}
