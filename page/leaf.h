/* Leaf pages: records in key order, found by hash or by order.
 *
 *     [page header 64][leaf header 64][buckets 64 B each][hints 32 x u32][heads n x u32]
 *     [offsets n x u16][records in key order]
 *
 * A point read goes: hash of the key -> bucket (number of buckets from the parent's
 * pointer) -> tag compare -> record.  Two cache lines, no binary search.  Buckets come
 * first, so that the bucket's address follows from the pointer's hint alone.  A seek
 * goes: hints -> heads -> record.  A head is made of four bytes in which the keys of the
 * page differ, so that integer order is key order up to ties (page/slots.h).
 *
 * Bucket: 20 tags u8 | fill u8, 0x80: overflow | 3 zero bytes | 20 offsets u16.  hash =
 * leaf_hash(key); the bucket is (hash >> 32) * buckets >> 32, the tag hash & 0xff.
 *
 * Record: klen u16 | info u16 | key | payload.  info has the kind in its upper 2 bits and
 * the payload's length in the lower 14.  Keys are stored whole: a cursor hands them out
 * in place.
 *
 * Accessors trust the image; page_check has judged it [P2]. */
#ifndef PAGE_LEAF_H
#define PAGE_LEAF_H

#include "page/page.h"

enum leaf_kind {
    LEAF_INLINE = 0,   /* payload is the value */
    LEAF_REF = 1,      /* payload is an encoded struct value_ref */
    LEAF_TOMBSTONE = 2 /* only in bulk runs; no payload */
};

enum {
    /* What a page has besides its records, their slots and their share of the buckets:
     * two headers, the hints, and a bucket for rounding up. */
    LEAF_FIXED_BYTES = PAGE_HEADER_BYTES + 64 + 128 + 64,
    /* A pointer's hint is no greater. */
    LEAF_BUCKETS_MAX = (PAGE_BYTES - LEAF_FIXED_BYTES) / 64
};

struct leaf_record {
    const uint8_t *key;
    const uint8_t *payload;
    uint32_t key_len;
    uint16_t payload_len;
    uint8_t kind;
};

/* The hash that picks bucket and tag; also the delta's. */
uint64_t leaf_hash(const void *key, size_t len);

uint32_t leaf_count(const uint8_t *page);

/* bucket_count is the pointer's hint. */
bool leaf_find(const uint8_t *page, uint32_t bucket_count, uint64_t hash, const void *key,
               uint32_t key_len, struct leaf_record *out);
/* For batches: the line that leaf_find reads first. */
void leaf_prefetch(const uint8_t *page, uint32_t bucket_count, uint64_t hash);
/* For batches, second step: the record of the first matching tag. */
void leaf_prefetch_record(const uint8_t *page, uint32_t bucket_count, uint64_t hash);

/* Index of the first record with key >= the given one (leaf_count when none); *is_equal
 * tells. */
uint32_t leaf_seek(const uint8_t *page, const void *key, uint32_t key_len,
                   bool *is_equal);
void leaf_at(const uint8_t *page, uint32_t idx, struct leaf_record *out);

/* Used by page_check: NULL, or what is wrong. */
const char *leaf_check(const uint8_t *page, const struct page_ref *ref);

/* Builds one page from records in ascending key order.  Keys and payloads are borrowed
 * until leaf_build returns. */
struct leaf_builder;
scn_status leaf_builder_create(struct leaf_builder **out) MUST_USE;
void leaf_builder_destroy(struct leaf_builder *builder);
void leaf_builder_reset(struct leaf_builder *builder);
/* False when the record does not fit any more; nothing changed then.  One record always
 * fits. */
bool leaf_builder_add(struct leaf_builder *builder, const struct leaf_record *record);
uint32_t leaf_builder_count(const struct leaf_builder *builder);
/* Bytes of the page that would come out now. */
uint32_t leaf_builder_bytes(const struct leaf_builder *builder);
/* What a record takes of a page, its share of the buckets included, rounded up: for
 * planning even cuts.  leaf_builder_bytes never exceeds LEAF_FIXED_BYTES and the sum over
 * the page's records, and falls short of it by at most 64 bytes and one byte a record. */
uint32_t leaf_record_bytes(uint32_t key_len, uint32_t payload_len);
/* Writes PAGE_BYTES at page, sealed; the pointer's hint is the bucket count. */
void leaf_build(struct leaf_builder *builder, uint8_t *page, uint32_t table_id,
                uint32_t pgno, uint64_t birth_gen, struct page_ref *out);

#endif
