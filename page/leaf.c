/* Leaf pages: see leaf.h.
 *
 * A random point read of a tree larger than the caches costs what its cache misses cost,
 * so a leaf is laid out for two of them: one line of tags and offsets, and the record.  A
 * bucket is such a line:
 *
 *     [20 tags u8][fill u8, 0x80: overflow][3 zero bytes][20 offsets u16]
 *
 * The upper half of a key's hash picks the bucket, its lowest byte is the tag.  Entries
 * are used from the front, `fill` counts them, so that the unused ones, all zero, never
 * match.  With 57 % of the entries in use about one bucket in 150 is too small.  What
 * does not fit goes to the next bucket that has room, and each full one on the way is
 * marked: a search goes on only behind a mark, and the mark is never taken away since a
 * page is written once.  There are more entries than records, so there is always room,
 * whatever the hashes are.
 *
 * Twenty one-byte tags give a false match in one of 22 searches; wider tags would cost
 * entries.  With 70 % in use a record takes one byte less, and seven times as many
 * buckets overflow. */
#include "page/leaf.h"

#include "page/hash.h"
#include "page/mem.h"
#include "page/slots.h"
#include "page/value.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

enum {
    BUCKET_BYTES = 64,
    BUCKET_ENTRIES = 20,
    BUCKET_FILL_OFF = BUCKET_ENTRIES,
    BUCKET_ZERO_OFF = BUCKET_FILL_OFF + 1,
    BUCKET_OFFSETS_OFF = 24,
    BUCKET_OVERFLOW = 0x80, /* in the fill byte */
    BUCKET_FILL_MASK = 0x7f,
    BUCKETS_OFF = SLOTS_BODY_OFF,

    RECORD_HEADER_BYTES = 4,
    RECORD_KIND_SHIFT = 14,
    RECORD_PAYLOAD_MASK = (1 << RECORD_KIND_SHIFT) - 1,

    /* What a page has besides buckets, slots and records, and what each record adds. */
    FIXED_BYTES = SLOTS_BODY_OFF + SLOTS_HINT_BYTES,
    SLOT_BYTES = SLOTS_HEAD_BYTES + SLOTS_OFFSET_BYTES,
    BUCKET_SHARE_BYTES = (BUCKET_BYTES * 5 + 56) / 57, /* buckets_for, a record */
    COUNT_MAX = (PAGE_BYTES - LEAF_FIXED_BYTES) / (SLOT_BYTES + RECORD_HEADER_BYTES + 1)
};

_Static_assert(BUCKET_OFFSETS_OFF + 2 * BUCKET_ENTRIES == BUCKET_BYTES,
               "a bucket is a line");
_Static_assert(FIXED_BYTES + BUCKET_BYTES == LEAF_FIXED_BYTES,
               "the header says what is here");
_Static_assert(VALUE_INLINE_MAX < 1 << RECORD_KIND_SHIFT, "a length fits its field");
_Static_assert((int)VALUE_REF_BYTES <= (int)VALUE_INLINE_MAX,
               "a reference is no longer than a value");
_Static_assert(LEAF_FIXED_BYTES + SLOT_BYTES + RECORD_HEADER_BYTES + KEY_BYTES_MAX +
                   VALUE_INLINE_MAX <= PAGE_BYTES, "one record always fits");

/* ---- where things are ---- */

/* 11.4 entries of each bucket in use, 57 %. */
static uint32_t buckets_for(uint32_t count)
{
    return (count * 5 + 56) / 57;
}

static uint32_t hints_off(uint32_t bucket_count)
{
    return BUCKETS_OFF + BUCKET_BYTES * bucket_count;
}

static uint32_t heads_off(uint32_t bucket_count)
{
    return hints_off(bucket_count) + SLOTS_HINT_BYTES;
}

static uint32_t offsets_off(uint32_t bucket_count, uint32_t count)
{
    return heads_off(bucket_count) + SLOTS_HEAD_BYTES * count;
}

static uint32_t records_off(uint32_t bucket_count, uint32_t count)
{
    return offsets_off(bucket_count, count) + SLOTS_OFFSET_BYTES * count;
}

static const uint8_t *key_at(const struct slots *slots, uint32_t idx, uint32_t *len)
{
    const uint8_t *record = slots->page + slots_offset(slots, idx);
    *len = get_u16(record);
    return record + RECORD_HEADER_BYTES;
}

static struct slots leaf_slots(const uint8_t *page, uint32_t bucket_count, uint32_t count)
{
    return (struct slots){
        .page = page,
        .count = count,
        .hints_off = hints_off(bucket_count),
        .heads_off = heads_off(bucket_count),
        .offsets_off = offsets_off(bucket_count, count),
        .key_at = key_at,
    };
}

static void record_decode(const uint8_t *record, struct leaf_record *out)
{
    uint32_t key_len = get_u16(record);
    uint32_t info = get_u16(record + 2);
    out->key = record + RECORD_HEADER_BYTES;
    out->payload = record + RECORD_HEADER_BYTES + key_len;
    out->key_len = key_len;
    out->payload_len = (uint16_t)(info & RECORD_PAYLOAD_MASK);
    out->kind = (uint8_t)(info >> RECORD_KIND_SHIFT);
}

/* ---- buckets ---- */

static uint32_t bucket_idx(uint64_t hash, uint32_t bucket_count)
{
    return (uint32_t)((hash >> 32) * bucket_count >> 32);
}

static uint32_t next_bucket(uint32_t idx, uint32_t bucket_count)
{
    return idx + 1 == bucket_count ? 0 : idx + 1;
}

static uint8_t hash_tag(uint64_t hash)
{
    return (uint8_t)hash;
}

static uint32_t bucket_fill(const uint8_t *bucket)
{
    return bucket[BUCKET_FILL_OFF] & BUCKET_FILL_MASK;
}

static bool bucket_overflows(const uint8_t *bucket)
{
    return (bucket[BUCKET_FILL_OFF] & BUCKET_OVERFLOW) != 0;
}

static uint32_t bucket_offset(const uint8_t *bucket, uint32_t entry)
{
    return get_u16(bucket + BUCKET_OFFSETS_OFF + 2 * entry);
}

/* A bit for each used entry that has the tag. */
static uint32_t bucket_match(const uint8_t *bucket, uint8_t tag)
{
    uint32_t is_used = (1u << bucket_fill(bucket)) - 1;
#if defined(__SSE2__)
    __m128i tags = _mm_set1_epi8((char)tag);
    __m128i front = _mm_loadu_si128((const __m128i *)(const void *)bucket);
    __m128i back = _mm_loadu_si128((const __m128i *)(const void *)(bucket + 16));
    uint32_t match = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(front, tags)) |
                     (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(back, tags)) << 16;
#else
    uint32_t match = 0;
    for (uint32_t i = 0; i < BUCKET_ENTRIES; i++)
        match |= (uint32_t)(bucket[i] == tag) << i;
#endif
    return match & is_used;
}

static void bucket_add(uint8_t *buckets, uint32_t bucket_count, uint64_t hash,
                       uint32_t off)
{
    uint32_t idx = bucket_idx(hash, bucket_count);
    uint8_t *bucket = buckets + BUCKET_BYTES * idx;
    for (uint32_t i = 0; i < bucket_count && bucket_fill(bucket) == BUCKET_ENTRIES; i++) {
        bucket[BUCKET_FILL_OFF] |= BUCKET_OVERFLOW;
        idx = next_bucket(idx, bucket_count);
        bucket = buckets + BUCKET_BYTES * idx;
    }
    uint32_t entry = bucket_fill(bucket);
    ASSERT(entry < BUCKET_ENTRIES);
    bucket[entry] = hash_tag(hash);
    put_u16(bucket + BUCKET_OFFSETS_OFF + 2 * entry, (uint16_t)off);
    bucket[BUCKET_FILL_OFF]++;
}

/* ---- reading ---- */

uint64_t leaf_hash(const void *key, size_t len)
{
    return hash64(key, len);
}

uint32_t leaf_count(const uint8_t *page)
{
    return slots_count(page);
}

/* Most keys are short enough for two words or two vectors, which may overlap. */
static inline bool is_same_key(const uint8_t *a, const uint8_t *b, uint32_t len)
{
    if (len > 32 || len < 8)
        return memcmp(a, b, len) == 0;
    if (len < 16)
        return get_u64(a) == get_u64(b) && get_u64(a + len - 8) == get_u64(b + len - 8);
    uint64_t front = (get_u64(a) ^ get_u64(b)) | (get_u64(a + 8) ^ get_u64(b + 8));
    uint64_t back = (get_u64(a + len - 16) ^ get_u64(b + len - 16)) |
                    (get_u64(a + len - 8) ^ get_u64(b + len - 8));
    return (front | back) == 0;
}

bool leaf_find(const uint8_t *page, uint32_t bucket_count, uint64_t hash, const void *key,
               uint32_t key_len, struct leaf_record *out)
{
    uint32_t idx = bucket_idx(hash, bucket_count);
    for (uint32_t seen = 0; seen < bucket_count; seen++) {
        const uint8_t *bucket = page + BUCKETS_OFF + BUCKET_BYTES * idx;
        uint32_t match = bucket_match(bucket, hash_tag(hash));
        for (; match != 0; match &= match - 1) {
            uint32_t entry = (uint32_t)__builtin_ctz(match);
            const uint8_t *record = page + bucket_offset(bucket, entry);
            if (get_u16(record) == key_len &&
                is_same_key(record + RECORD_HEADER_BYTES, key, key_len)) {
                record_decode(record, out);
                return true;
            }
        }
        if (!bucket_overflows(bucket))
            return false;
        idx = next_bucket(idx, bucket_count);
    }
    return false;
}

void leaf_prefetch(const uint8_t *page, uint32_t bucket_count, uint64_t hash)
{
    __builtin_prefetch(page + BUCKETS_OFF +
                       BUCKET_BYTES * bucket_idx(hash, bucket_count));
}

void leaf_prefetch_record(const uint8_t *page, uint32_t bucket_count, uint64_t hash)
{
    const uint8_t *bucket =
        page + BUCKETS_OFF + BUCKET_BYTES * bucket_idx(hash, bucket_count);
    uint32_t match = bucket_match(bucket, hash_tag(hash));
    if (match == 0)
        return;
    const uint8_t *record = page + bucket_offset(bucket, (uint32_t)__builtin_ctz(match));
    __builtin_prefetch(record);
    __builtin_prefetch(record + 63);
}

static struct slots stored_slots(const uint8_t *page)
{
    return leaf_slots(page, slots_bucket_count(page), leaf_count(page));
}

uint32_t leaf_seek(const uint8_t *page, const void *key, uint32_t key_len, bool *is_equal)
{
    struct slots slots = stored_slots(page);
    return slots_seek(&slots, key, key_len, is_equal);
}

void leaf_at(const uint8_t *page, uint32_t idx, struct leaf_record *out)
{
    struct slots slots = stored_slots(page);
    ASSERT(idx < slots.count);
    record_decode(page + slots_offset(&slots, idx), out);
}

/* ---- judging ---- */

static const char *check_geometry(const uint8_t *page, const struct page_ref *ref,
                                  const struct page_header *header)
{
    uint32_t count = leaf_count(page);
    uint32_t bucket_count = slots_bucket_count(page);
    if (header->level != 0)
        return "leaf: its level is not zero";
    if (header->used < SLOTS_BODY_OFF)
        return "leaf: it is too short for its header";
    if (count < 1 || count > COUNT_MAX)
        return "leaf: the count is impossible";
    if (bucket_count < 1 || bucket_count > LEAF_BUCKETS_MAX || bucket_count != ref->hint)
        return "leaf: the number of buckets is not its pointer's";
    if (records_off(bucket_count, count) > header->used)
        return "leaf: the slots do not fit";
    return NULL;
}

/* A payload of this kind can be of this length and, for references, is one. */
static const char *check_payload(const struct leaf_record *record)
{
    struct value_ref value;
    switch (record->kind) {
    case LEAF_INLINE:
        return record->payload_len > VALUE_INLINE_MAX ? "leaf: a value is too long"
                                                      : NULL;
    case LEAF_REF:
        if (record->payload_len != VALUE_REF_BYTES)
            return "leaf: a reference has a wrong length";
        return value_ref_decode(record->payload, &value);
    case LEAF_TOMBSTONE:
        return record->payload_len > 0 ? "leaf: a tombstone has a value" : NULL;
    default:
        return "leaf: a record of unknown kind";
    }
}

/* The records, one behind the other, fill the page from the last slot to its end. */
static const char *check_records(const struct slots *slots, uint32_t off, uint32_t used)
{
    for (uint32_t i = 0; i < slots->count; i++) {
        if (slots_offset(slots, i) != off || used - off < RECORD_HEADER_BYTES)
            return "leaf: a record is not where its slot says";
        struct leaf_record record;
        record_decode(slots->page + off, &record);
        if (record.key_len < 1 || record.key_len > KEY_BYTES_MAX)
            return "leaf: the length of a key is impossible";
        uint32_t len = RECORD_HEADER_BYTES + record.key_len + record.payload_len;
        if (len > used - off)
            return "leaf: a record reaches beyond the end";
        const char *fault = check_payload(&record);
        if (fault != NULL)
            return fault;
        off += len;
    }
    return off == used ? NULL : "leaf: bytes behind the last record";
}

/* Entries in use, over all buckets, or a number that no page has when a bucket is
 * misshapen. */
static uint32_t count_entries(const uint8_t *page, uint32_t bucket_count)
{
    uint32_t entries = 0;
    for (uint32_t i = 0; i < bucket_count; i++) {
        const uint8_t *bucket = page + BUCKETS_OFF + BUCKET_BYTES * i;
        uint32_t fill = bucket_fill(bucket);
        if (fill > BUCKET_ENTRIES || (bucket_overflows(bucket) && fill < BUCKET_ENTRIES))
            return UINT32_MAX;
        uint32_t unused = BUCKET_ENTRIES - fill;
        if (!bytes_are_zero(bucket + fill, unused) ||
            !bytes_are_zero(bucket + BUCKET_ZERO_OFF,
                            BUCKET_OFFSETS_OFF - BUCKET_ZERO_OFF) ||
            !bytes_are_zero(bucket + BUCKET_OFFSETS_OFF + 2 * fill, 2 * unused))
            return UINT32_MAX;
        entries += fill;
    }
    return entries;
}

/* True when a search for the hash comes by an entry of this offset: leaf_find, without
 * keys. */
static bool leads_to(const uint8_t *page, uint32_t bucket_count, uint64_t hash,
                     uint32_t off)
{
    uint32_t idx = bucket_idx(hash, bucket_count);
    for (uint32_t seen = 0; seen < bucket_count; seen++) {
        const uint8_t *bucket = page + BUCKETS_OFF + BUCKET_BYTES * idx;
        uint32_t match = bucket_match(bucket, hash_tag(hash));
        for (; match != 0; match &= match - 1) {
            if (bucket_offset(bucket, (uint32_t)__builtin_ctz(match)) == off)
                return true;
        }
        if (!bucket_overflows(bucket))
            return false;
        idx = next_bucket(idx, bucket_count);
    }
    return false;
}

/* There are as many entries as records, and every record has one: so each has exactly
 * one, and none leads elsewhere. */
static const char *check_buckets(const struct slots *slots, uint32_t bucket_count)
{
    if (count_entries(slots->page, bucket_count) != slots->count)
        return "leaf: a bucket is misshapen or the buckets do not hold all records";
    for (uint32_t i = 0; i < slots->count; i++) {
        uint32_t len;
        const uint8_t *key = key_at(slots, i, &len);
        if (!leads_to(slots->page, bucket_count, leaf_hash(key, len),
                      slots_offset(slots, i)))
            return "leaf: a record cannot be found through its bucket";
    }
    return NULL;
}

const char *leaf_check(const uint8_t *page, const struct page_ref *ref)
{
    struct page_header header;
    page_header_decode(page, &header);
    const char *fault = check_geometry(page, ref, &header);
    if (fault != NULL)
        return fault;
    struct slots slots = stored_slots(page);
    fault = check_records(&slots, records_off(ref->hint, slots.count), header.used);
    if (fault == NULL)
        fault = slots_check(&slots);
    if (fault == NULL)
        fault = check_buckets(&slots, ref->hint);
    return fault;
}

/* ---- building ---- */

struct leaf_builder {
    uint32_t count;
    uint32_t record_bytes; /* of all records, headers included */
    struct leaf_record records[COUNT_MAX];
};

static uint32_t page_bytes(uint32_t count, uint32_t record_bytes)
{
    return records_off(buckets_for(count), count) + record_bytes;
}

static uint32_t stored_bytes(const struct leaf_record *record)
{
    return RECORD_HEADER_BYTES + record->key_len + record->payload_len;
}

scn_status leaf_builder_create(struct leaf_builder **out)
{
    *out = mem_alloc(sizeof **out);
    if (*out == NULL)
        return error_nomem();
    leaf_builder_reset(*out);
    return SCN_OK;
}

void leaf_builder_destroy(struct leaf_builder *builder)
{
    mem_free(builder);
}

void leaf_builder_reset(struct leaf_builder *builder)
{
    builder->count = 0;
    builder->record_bytes = 0;
}

bool leaf_builder_add(struct leaf_builder *builder, const struct leaf_record *record)
{
    ASSERT(record->key_len >= 1);
    ASSERT(record->key_len <= KEY_BYTES_MAX);
    ASSERT(check_payload(record) == NULL);
    uint32_t count = builder->count;
    uint32_t record_bytes = builder->record_bytes + stored_bytes(record);
    if (page_bytes(count + 1, record_bytes) > PAGE_BYTES)
        return false;
    ASSERT(count == 0 || bytes_compare(builder->records[count - 1].key,
                                       builder->records[count - 1].key_len, record->key,
                                       record->key_len) < 0);
    builder->records[count] = *record;
    builder->count = count + 1;
    builder->record_bytes = record_bytes;
    return true;
}

uint32_t leaf_builder_count(const struct leaf_builder *builder)
{
    return builder->count;
}

uint32_t leaf_builder_bytes(const struct leaf_builder *builder)
{
    return page_bytes(builder->count, builder->record_bytes);
}

uint32_t leaf_record_bytes(uint32_t key_len, uint32_t payload_len)
{
    return BUCKET_SHARE_BYTES + SLOT_BYTES + RECORD_HEADER_BYTES + key_len + payload_len;
}

static uint32_t record_encode(const struct leaf_record *record, uint8_t *at)
{
    uint32_t info = (uint32_t)record->kind << RECORD_KIND_SHIFT | record->payload_len;
    put_u16(at, (uint16_t)record->key_len);
    put_u16(at + 2, (uint16_t)info);
    memcpy(at + RECORD_HEADER_BYTES, record->key, record->key_len);
    if (record->payload_len > 0)
        memcpy(at + RECORD_HEADER_BYTES + record->key_len, record->payload,
               record->payload_len);
    return stored_bytes(record);
}

void leaf_build(struct leaf_builder *builder, uint8_t *page, uint32_t table_id,
                uint32_t pgno, uint64_t birth_gen, struct page_ref *out)
{
    ASSERT(builder->count >= 1);
    uint32_t count = builder->count;
    uint32_t bucket_count = buckets_for(count);
    struct slots slots = leaf_slots(page, bucket_count, count);
    uint32_t off = records_off(bucket_count, count);
    memset(page + BUCKETS_OFF, 0, BUCKET_BYTES * bucket_count);
    for (uint32_t i = 0; i < count; i++) {
        const struct leaf_record *record = &builder->records[i];
        put_u16(page + slots.offsets_off + SLOTS_OFFSET_BYTES * i, (uint16_t)off);
        bucket_add(page + BUCKETS_OFF, bucket_count,
                   leaf_hash(record->key, record->key_len), off);
        off += record_encode(record, page + off);
    }
    ASSERT(off == leaf_builder_bytes(builder));
    slots_fill(&slots, page, bucket_count);
    page_seal(page, PAGE_LEAF, 0, table_id, pgno, birth_gen, off, out);
    out->hint = (uint16_t)bucket_count;
}
