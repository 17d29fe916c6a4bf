/* What pages say: see features.h. */
#include "tools/walcheck/features.h"

#include "page/inner.h"
#include "page/leaf.h"
#include "page/ledger.h"
#include "page/slots.h"
#include "page/value.h"
#include "tools/member.h"
#include "tools/walcheck/directory.h"

#include <inttypes.h>
#include <stdio.h>

const char *features_kind(uint8_t type)
{
    static const char *const words[] = {"unknown", "leaf",        "inner",
                                        "values",  "value index", "space"};
    return words[type < sizeof words / sizeof *words ? type : 0];
}

/* ---- leaves ---- */

static void set_value(json_t *item, const struct leaf_record *record)
{
    struct value_ref ref;
    if (record->kind == LEAF_TOMBSTONE) {
        member_set(item, "deleted", json_true());
        return;
    }
    if (record->kind == LEAF_INLINE) {
        member_set_number(item, "size", record->payload_len);
        return;
    }
    const char *fault = record->payload_len == VALUE_REF_BYTES
                            ? value_ref_decode(record->payload, &ref)
                            : "value: its reference has a wrong length";
    if (fault) {
        member_set(item, "fault", json_string(fault));
        return;
    }
    member_set_number(item, "size", ref.len);
    member_set_number(item, value_ref_is_spread(&ref) ? "index" : "page",
                        ref.page.pgno);
    if (!value_ref_is_spread(&ref))
        member_set_number(item, "at", ref.off);
    if (ref.block_stored)
        member_set_number(item, "block", ref.block_stored);
}

/* What a row of the catalog leads to. */
static void set_catalog_row(json_t *item, const struct leaf_record *record)
{
    struct catalog_row row;
    if (record->kind != LEAF_INLINE)
        return;
    catalog_row_decode((scn_slice){record->key, record->key_len},
                       (scn_slice){record->payload, record->payload_len}, &row);
    if (row.kind != CATALOG_ROW_BAD && row.kind != CATALOG_ROW_PAST)
        member_set_number(item, "table", row.table_id);
    if (row.kind == CATALOG_ROW_ID)
        member_set_bytes(item, "name", row.name);
    if (row.kind == CATALOG_ROW_ROOT) {
        member_set_number(item, "root", row.root.pgno);
        member_set_number(item, "rows", row.count);
    }
}

static void set_leaf(json_t *facts, const uint8_t *image)
{
    struct leaf_record record;
    struct page_header header;
    page_header_decode(image, &header);
    member_set_number(facts, "buckets", slots_bucket_count(image));
    member_set_number(facts, "count", leaf_count(image));
    json_t *records = member_list(facts, "records");
    for (uint32_t i = 0; i < leaf_count(image); i++) {
        leaf_at(image, i, &record);
        json_t *item = member_item(records);
        member_set_bytes(item, "key", (scn_slice){record.key, record.key_len});
        set_value(item, &record);
        if (header.table_id == CATALOG_TABLE)
            set_catalog_row(item, &record);
    }
}

/* ---- the others ---- */

static void set_inner(json_t *facts, const uint8_t *image)
{
    member_set_number(facts, "count", inner_count(image));
    json_t *children = member_list(facts, "children");
    for (uint32_t i = 0; i < inner_count(image); i++) {
        struct page_ref ref = page_ref_decode(inner_ref(image, i));
        json_t *item = member_item(children);
        member_set_number(item, "page", ref.pgno);
        member_set(item, "kind", json_string(features_kind(ref.type)));
        member_set_number(item, "birth", ref.birth_gen);
        member_set_number(item, "link", ref.link_gen);
        if (i > 0) {
            uint32_t len;
            const uint8_t *bound = inner_separator(image, i, &len);
            member_set_bytes(item, "from", (scn_slice){bound, len});
        }
    }
}

static void set_value_index(json_t *facts, const uint8_t *image)
{
    struct page_ref next = value_index_next(image);
    member_set_number(facts, "next", next.pgno);
    member_set_number(facts, "count", value_index_count(image));
    json_t *parts = member_list(facts, "parts");
    for (uint32_t i = 0; i < value_index_count(image); i++) {
        struct value_part part = value_index_part(image, i);
        json_t *item = member_item(parts);
        member_set_number(item, "page", part.pgno);
        member_set_word(item, "hash", part.hash);
    }
}

void features_of_page(json_t *facts, const uint8_t *image)
{
    struct page_header header;
    struct page_ref next;
    page_header_decode(image, &header);
    if (header.type == PAGE_LEAF) {
        set_leaf(facts, image);
    } else if (header.type == PAGE_INNER) {
        set_inner(facts, image);
    } else if (header.type == PAGE_VALUE_INDEX) {
        set_value_index(facts, image);
    } else if (header.type == PAGE_SPACE) {
        member_set_number(facts, "count", ledger_page_items(image, &next));
        member_set_number(facts, "next", next.pgno);
    } else {
        member_set_number(facts, "value_bytes", header.used - PAGE_HEADER_BYTES);
    }
}
