/* The forger's tools: see forge.h. */
#include "test/engine/forge.h"

#include "engine/store.h"
#include "page/hash.h"
#include "page/inner.h"
#include "page/leaf.h"
#include "page/value.h"
#include "test/unit/unit.h"
#include "wal/extent.h"
#include "wal/ops.h"

enum {
    /* docs/format.md */
    SLOT_CHECKSUM_OFF = 16,
    SLOT_CHECKSUM_BYTES = 16,
    SLOT_CATALOG_OFF = 160,
    SLOT_SPACE_OFF = 192,
    HEADER_HASH_OFF = 24,
    LEAF_BUCKETS_OFF = 68,
    INNER_POINTERS_OFF = 256,
    NEXT_OFF = 64, /* of a value index page and of the allocation state */
    VALUE_POINTER_OFF = 16,
    RECORD_PREV_CRC_OFF = 40,
    EXTENT_HASH_OFF = 56 /* also of the link, from its start */
};

/* ---- what leads where ---- */

static void *grow(void *items, uint32_t count, uint32_t *capacity, size_t size)
{
    if (count < *capacity)
        return items;
    *capacity = *capacity * 2 + 64;
    items = realloc(items, *capacity * size);
    CHECK(items != NULL);
    return items;
}

static struct forge_place *add_place(struct forge *forge, uint64_t off, uint32_t pgno)
{
    forge->places = grow(forge->places, forge->place_count, &forge->place_capacity,
                         sizeof *forge->places);
    struct forge_place *place = &forge->places[forge->place_count++];
    *place = (struct forge_place){.off = off, .pgno = pgno};
    return place;
}

/* NULL: a pointer to nothing. */
static struct forge_place *add_pointer(struct forge *forge, const uint8_t *at)
{
    struct page_ref ref = page_ref_decode(at);
    if (page_ref_is_null(&ref))
        return NULL;
    CHECK((uint64_t)(ref.pgno + 1) * PAGE_BYTES <= forge->size);
    struct forge_place *place = add_place(forge, (uint64_t)(at - forge->bytes), ref.pgno);
    place->type = ref.type;
    return place;
}

static void read_leaf(struct forge *forge, uint32_t pgno)
{
    const uint8_t *page = forge_page(forge, pgno);
    bool is_catalog = get_u32(page + 4) == TABLE_CATALOG;
    for (uint32_t i = 0; i < leaf_count(page); i++) {
        struct leaf_record record;
        leaf_at(page, i, &record);
        if (record.kind == LEAF_REF)
            add_pointer(forge, record.payload + VALUE_POINTER_OFF);
        else if (is_catalog && record.key[0] == 'R')
            add_pointer(forge, record.payload);
    }
}

static void read_index(struct forge *forge, uint32_t pgno)
{
    const uint8_t *page = forge_page(forge, pgno);
    uint64_t off = (uint64_t)(page - forge->bytes) + VALUE_INDEX_HEADER_BYTES;
    add_pointer(forge, page + NEXT_OFF);
    for (uint32_t i = 0; i < value_index_count(page); i++) {
        add_place(forge, off, value_index_part(page, i).pgno)->is_part = true;
        off += VALUE_INDEX_ENTRY_BYTES;
    }
}

static void read_page(struct forge *forge, const struct forge_place *place)
{
    const uint8_t *page = forge_page(forge, place->pgno);
    switch (place->type) {
    case PAGE_LEAF:
        read_leaf(forge, place->pgno);
        break;
    case PAGE_INNER:
        for (uint32_t i = 0; i < inner_count(page); i++)
            add_pointer(forge, inner_ref(page, i));
        break;
    case PAGE_VALUE_INDEX:
        read_index(forge, place->pgno);
        break;
    case PAGE_SPACE:
        add_pointer(forge, page + NEXT_OFF);
        break;
    default:
        break;
    }
}

static bool was_read(const struct forge *forge, uint32_t pgno, uint32_t before)
{
    for (uint32_t i = 0; i < before; i++)
        if (forge->places[i].pgno == pgno)
            return true;
    return false;
}

/* The list of places is also the list of what is still to be read. */
static void read_pages(struct forge *forge, uint32_t *next)
{
    for (; *next < forge->place_count; ++*next) {
        uint32_t i = *next;
        struct forge_place place = forge->places[i];
        if (!place.is_part && !was_read(forge, place.pgno, i))
            read_page(forge, &place);
    }
}

/* ---- the log ---- */

static void add_run(struct forge *forge, const struct record *record, uint8_t *payload)
{
    struct ops_reader reader;
    struct op op;
    if (record->type != RECORD_COMMIT || (record->flags & RECORD_IS_LZ4))
        return;
    ops_reader_init(&reader, payload, record->stored_len);
    while (ops_next(&reader, &op) == SCN_OK) {
        if (op.code != OP_RUN)
            continue;
        uint8_t encoded[PAGE_REF_BYTES];
        page_ref_encode(&op.run.root, encoded);
        for (uint32_t i = 0; i + PAGE_REF_BYTES <= record->stored_len; i++)
            if (memcmp(payload + i, encoded, PAGE_REF_BYTES) == 0)
                add_pointer(forge, payload + i);
    }
}

static void add_extent(struct forge *forge, uint32_t pgno)
{
    forge->extents = realloc(forge->extents,
                             (forge->extent_count + 1) * sizeof *forge->extents);
    CHECK(forge->extents != NULL);
    forge->extents[forge->extent_count++] = extent_file_off(pgno);
}

static void read_log(struct forge *forge)
{
    const struct log_base *base = &forge->sb[forge->newest].base;
    uint64_t start = extent_file_off(base->extent_pgno);
    uint64_t end = start + extent_bytes(base->extent_pages);
    uint64_t off = start + base->extent_off;
    uint32_t prev_crc = base->prev_crc;
    struct record record;
    add_extent(forge, base->extent_pgno);
    while (record_decode(forge->bytes + off, end - off, &record) &&
           record.prev_crc == prev_crc &&
           record_crc_matches(&record, forge->bytes + off)) {
        uint8_t *payload = forge->bytes + off + RECORD_HEADER_BYTES;
        forge->records = grow(forge->records, forge->record_count,
                              &forge->record_capacity, sizeof *forge->records);
        forge->records[forge->record_count++] =
            (struct forge_record){off, record_bytes(record.stored_len)};
        add_run(forge, &record, payload);
        prev_crc = record.crc;
        off += record_bytes(record.stored_len);
        if (record.type == RECORD_EXTENT) {
            struct log_extent next;
            extent_payload_decode(payload, &next);
            add_extent(forge, next.pgno);
            off = extent_file_off(next.pgno);
            end = off + extent_bytes(next.pages);
            off += RECORD_FIRST_OFF;
        }
    }
}

/* ---- life ---- */

static void add_slot(struct forge *forge, uint32_t slot)
{
    const uint8_t *at = forge->bytes + slot * PAGE_BYTES;
    add_pointer(forge, at + SLOT_CATALOG_OFF);
    add_pointer(forge, at + SLOT_SPACE_OFF);
}

void forge_open(struct forge *forge, uint8_t *bytes, uint64_t size)
{
    const char *why;
    uint32_t next = 0;
    *forge = (struct forge){.bytes = bytes, .size = size};
    for (uint32_t i = 0; i < 2; i++)
        CHECK_EQ(superblock_decode(bytes + i * PAGE_BYTES, &forge->sb[i], &why),
                 SUPERBLOCK_GOOD);
    forge->newest = forge->sb[1].gen > forge->sb[0].gen;
    add_slot(forge, forge->newest);
    read_log(forge);
    read_pages(forge, &next);
    forge->newest_count = forge->place_count;
    add_slot(forge, forge->newest ^ 1);
    read_pages(forge, &next);
}

void forge_use(struct forge *forge, uint8_t *bytes)
{
    forge->bytes = bytes;
}

void forge_close(struct forge *forge)
{
    free(forge->places);
    free(forge->records);
    free(forge->extents);
}

uint8_t *forge_page(struct forge *forge, uint32_t pgno)
{
    CHECK((uint64_t)(pgno + 1) * PAGE_BYTES <= forge->size);
    return forge->bytes + (uint64_t)pgno * PAGE_BYTES;
}

/* ---- finding ---- */

bool forge_is_reached(const struct forge *forge, uint32_t pgno)
{
    return was_read(forge, pgno, forge->place_count);
}

uint8_t *forge_pointer(struct forge *forge, uint32_t pgno)
{
    for (uint32_t i = 0; i < forge->place_count; i++)
        if (forge->places[i].pgno == pgno && !forge->places[i].is_part)
            return forge->bytes + forge->places[i].off;
    return NULL;
}

uint32_t forge_find(const struct forge *forge, enum page_type type, uint8_t level,
                    uint32_t table_id, uint32_t nth)
{
    for (uint32_t i = 0; i < forge->place_count; i++) {
        uint32_t pgno = forge->places[i].pgno;
        const uint8_t *page = forge->bytes + (uint64_t)pgno * PAGE_BYTES;
        if (page[0] != type || page[1] != level || was_read(forge, pgno, i) ||
            (table_id && get_u32(page + 4) != table_id))
            continue;
        if (nth-- == 0)
            return pgno;
    }
    return 0;
}

/* ---- sealing ---- */

uint64_t forge_hash(const uint8_t *page)
{
    uint8_t head[HEADER_HASH_OFF + 8];
    uint32_t used = get_u32(page + 12);
    if (used < PAGE_HEADER_BYTES || used > PAGE_BYTES)
        used = PAGE_BYTES;
    memcpy(head, page, HEADER_HASH_OFF);
    put_u64(head + HEADER_HASH_OFF, hash64(page + 32, used - 32));
    return hash64(head, sizeof head);
}

/* Pages whose hash may have changed. */
struct dirty {
    uint32_t pgno[256];
    uint32_t count;
};

static void dirty_add(struct dirty *dirty, uint32_t pgno)
{
    for (uint32_t i = 0; i < dirty->count; i++)
        if (dirty->pgno[i] == pgno)
            return;
    CHECK(dirty->count < 256);
    dirty->pgno[dirty->count++] = pgno;
}

void forge_seal_around(struct forge *forge, uint64_t off)
{
    uint32_t pgno = (uint32_t)(off / PAGE_BYTES);
    if (pgno < PUBLISH_PAGE_NO)
        forge_seal_slot(forge, pgno);
    else if (was_read(forge, pgno, forge->place_count))
        forge_seal(forge, pgno);
    for (uint32_t i = 0; i < forge->record_count; i++)
        if (off >= forge->records[i].off &&
            off < forge->records[i].off + forge->records[i].bytes)
            forge_seal_record(forge, i);
}

/* Whoever holds the pointer is changed by it. */
static void point(struct forge *forge, const struct forge_place *place,
                  const uint8_t *page, struct dirty *dirty)
{
    uint8_t *at = forge->bytes + place->off;
    uint32_t holder = (uint32_t)(place->off / PAGE_BYTES);
    if (get_u32(at + (place->is_part ? 8 : 24)) != place->pgno)
        return;
    memcpy(at, page + HEADER_HASH_OFF, 8);
    if (!place->is_part) {
        memcpy(at + 8, page + 16, 8);
        if (page[0] == PAGE_LEAF)
            memcpy(at + 28, page + LEAF_BUCKETS_OFF, 2);
        at[30] = page[1];
        at[31] = page[0];
    }
    if (holder >= PUBLISH_PAGE_NO && was_read(forge, holder, forge->place_count))
        dirty_add(dirty, holder);
    else
        forge_seal_around(forge, place->off);
}

/* Upwards; the same page may come several times, but never below itself: a page that
 * leads to itself keeps its hash. */
void forge_seal(struct forge *forge, uint32_t pgno)
{
    struct dirty dirty = {.pgno = {pgno}, .count = 1};
    bool is_first = true;
    for (uint32_t round = 0; dirty.count > 0 && round < 4096; round++) {
        uint32_t at = dirty.pgno[--dirty.count];
        uint8_t *page = forge_page(forge, at);
        uint64_t hash = forge_hash(page);
        if (hash == get_u64(page + HEADER_HASH_OFF) && !is_first)
            continue;
        is_first = false;
        put_u64(page + HEADER_HASH_OFF, hash);
        for (uint32_t i = 0; i < forge->place_count; i++)
            if (forge->places[i].pgno == at)
                point(forge, &forge->places[i], page, &dirty);
    }
}

void forge_seal_slot(struct forge *forge, uint32_t slot)
{
    uint8_t *at = forge->bytes + slot * PAGE_BYTES;
    memset(at + SLOT_CHECKSUM_OFF, 0, SLOT_CHECKSUM_BYTES);
    hash128(at, SUPERBLOCK_BYTES, at + SLOT_CHECKSUM_OFF);
}

/* The length that counts is the header's, if there is so much room. */
static uint32_t padded_len(const struct forge *forge, const uint8_t *record)
{
    uint64_t left = forge->size - (uint64_t)(record - forge->bytes) - RECORD_HEADER_BYTES;
    uint32_t len = get_u32(record + 4);
    return len < left - RECORD_ALIGN ? record_bytes(len) - RECORD_HEADER_BYTES : 0;
}

void forge_seal_record(struct forge *forge, uint32_t idx)
{
    for (uint32_t i = idx; i < forge->record_count; i++) {
        uint8_t *at = forge->bytes + forge->records[i].off;
        if (i > idx)
            put_u32(at + RECORD_PREV_CRC_OFF,
                    get_u32(forge->bytes + forge->records[i - 1].off));
        uint32_t crc = crc32c(0, at + RECORD_HEADER_BYTES, padded_len(forge, at));
        put_u32(at, crc32c(crc, at + 4, RECORD_HEADER_BYTES - 4));
    }
}

void forge_seal_extent(struct forge *forge, uint32_t idx)
{
    uint8_t *at = forge->bytes + forge->extents[idx];
    put_u64(at + EXTENT_HASH_OFF, hash64(at, EXTENT_HASH_OFF));
    at += EXTENT_LINK_OFF;
    if (get_u64(at) != 0)
        put_u64(at + EXTENT_HASH_OFF, hash64(at, EXTENT_HASH_OFF));
}
