/* Lies about space and the log, and each pointer where it does not belong
 * (test/engine/lie.h). */
#include "test/engine/lie.h"

#include "page/value.h"
#include "test/unit/unit.h"

enum {
    /* docs/format.md */
    SPACE_ITEMS_OFF = 96,
    SPACE_ITEM_BYTES = 32
};

/* ---- space ---- */

static uint8_t *space_item(struct forge *forge, uint32_t idx, uint32_t *pgno)
{
    enum { ITEMS = (PAGE_BYTES - SPACE_ITEMS_OFF) / SPACE_ITEM_BYTES };
    *pgno = forge->sb[forge->newest].space.pgno;
    for (; idx >= ITEMS; idx -= ITEMS)
        *pgno = get_u32(forge_page(forge, *pgno) + NEXT_PAGE_OFF + 24);
    return forge_page(forge, *pgno) + SPACE_ITEMS_OFF + idx * SPACE_ITEM_BYTES;
}

static void flip_used(struct forge *forge, uint32_t pgno)
{
    uint32_t space;
    uint8_t *bits = space_item(forge, 1 + pgno / 256, &space);
    bits[pgno % 256 / 8] ^= (uint8_t)(1u << pgno % 8);
    forge_seal(forge, space);
}

static void free_a_leaf(struct forge *forge)
{
    flip_used(forge, forge_find(forge, PAGE_LEAF, 0, TABLE_LONG, 0));
}

static void free_a_value(struct forge *forge)
{
    flip_used(forge, forge_find(forge, PAGE_VALUES, 0, TABLE_PACKED, 0));
}

static void free_the_log(struct forge *forge)
{
    flip_used(forge, forge->sb[forge->newest].base.extent_pgno + 1);
}

static void free_itself(struct forge *forge)
{
    flip_used(forge, forge->sb[forge->newest].space.pgno);
}

static void use_nobodys(struct forge *forge)
{
    flip_used(forge, forge->sb[forge->newest].page_count - 2);
}

static uint32_t range_count(struct forge *forge)
{
    uint32_t space;
    return get_u32(space_item(forge, 0, &space) + 12);
}

static uint8_t *range_at(struct forge *forge, uint32_t idx, uint32_t *space)
{
    uint32_t bits = (forge->sb[forge->newest].page_count + 255) / 256;
    return space_item(forge, 1 + bits + idx, space);
}

/* A range begins one page earlier, with a tree's page. */
static void free_pages_in_use(struct forge *forge)
{
    for (uint32_t i = 0; i < range_count(forge); i++) {
        uint32_t space;
        uint8_t *range = range_at(forge, i, &space);
        uint32_t before = get_u32(range) - 1;
        if (before >= forge->size / PAGE_BYTES)
            break;
        bool is_tree = forge_is_reached(forge, before) &&
                       get_u64(forge_page(forge, before) + HEADER_BIRTH_OFF) <
                           get_u64(range + 16);
        uint32_t type = forge_page(forge, before)[0];
        if (!is_tree || (type != PAGE_LEAF && type != PAGE_INNER && type != PAGE_VALUES))
            continue;
        put_u32(range, before);
        put_u32(range + 4, get_u32(range + 4) + 1);
        forge_seal(forge, space);
        return;
    }
    CHECK(!"a freed range behind a page in use");
}

static void have_ranges_without_number(struct forge *forge)
{
    uint32_t space;
    put_u32(space_item(forge, 0, &space) + 12, forge->sb[forge->newest].page_count);
    forge_seal(forge, space);
}

/* All 2^28 pages, whose bits would be many pages of state. */
static void have_all_pages(struct forge *forge)
{
    uint32_t space;
    struct superblock *sb = &forge->sb[forge->newest];
    put_u32(space_item(forge, 0, &space) + 8, FILE_PAGES_MAX);
    put_u32(forge->bytes + forge->newest * PAGE_BYTES + 136, FILE_PAGES_MAX);
    sb->page_count = FILE_PAGES_MAX;
    forge_seal(forge, space);
}

/* A generation of the number that lets a page lead to itself, with all pages a file can
 * have: the state goes round for as long as it has bits to tell.  The other slot holds
 * the generation that this one was made from. */
static void go_round_in_space(struct forge *forge)
{
    uint32_t pgno;
    uint8_t *slot = forge->bytes + superblock_slot(FORGETFUL_GEN) * PAGE_BYTES;
    struct superblock sb = forge->sb[forge->newest];
    uint8_t *page = space_item(forge, 0, &pgno) - SPACE_ITEMS_OFF;
    memset(page + SPACE_ITEMS_OFF, 0xff, PAGE_BYTES - SPACE_ITEMS_OFF);
    put_u64(page + SPACE_ITEMS_OFF, FORGETFUL_GEN);
    put_u32(page + SPACE_ITEMS_OFF + 8, FILE_PAGES_MAX);
    put_u32(page + SPACE_ITEMS_OFF + 12, 1000);
    memset(page + SPACE_ITEMS_OFF + 16, 0, 16);
    put_u64(page + HEADER_BIRTH_OFF, FORGETFUL_GEN);
    sb.gen = FORGETFUL_GEN;
    sb.page_count = FILE_PAGES_MAX;
    page_seal(page, PAGE_SPACE, 0, 0, pgno, FORGETFUL_GEN, PAGE_BYTES, &sb.space);
    page_ref_encode(&sb.space, page + NEXT_PAGE_OFF);
    CHECK(sb.space.hash == forge_hash(page));
    superblock_encode(&sb, slot);
}

/* With large pages the reference file has none. */
static struct superblock *have_a_spare(struct forge *forge)
{
    struct superblock *sb = &forge->sb[forge->newest];
    if (sb->spare_count == 0)
        sb->spares[sb->spare_count++] =
            (struct log_spare){sb->base.extent_pgno + sb->base.extent_pages, 2};
    return sb;
}

static void spare_a_leaf(struct forge *forge)
{
    struct superblock *sb = have_a_spare(forge);
    sb->spares[0].pgno = forge_find(forge, PAGE_LEAF, 0, TABLE_LONG, 0);
    sb->spares[0].pages = 1;
    superblock_encode(sb, forge->bytes + forge->newest * PAGE_BYTES);
}

static void spare_the_same_twice(struct forge *forge)
{
    struct superblock *sb = have_a_spare(forge);
    sb->spares[sb->spare_count] = sb->spares[0];
    sb->spares[sb->spare_count++].pages--;
    superblock_encode(sb, forge->bytes + forge->newest * PAGE_BYTES);
}

static void spare_all(struct forge *forge)
{
    struct superblock *sb = have_a_spare(forge);
    sb->spares[0].pages = FILE_PAGES_MAX - sb->spares[0].pgno;
    superblock_encode(sb, forge->bytes + forge->newest * PAGE_BYTES);
}

static void need_more(struct forge *forge)
{
    struct superblock *sb = &forge->sb[forge->newest];
    sb->needed_pages = FILE_PAGES_MAX;
    superblock_encode(sb, forge->bytes + forge->newest * PAGE_BYTES);
}

TEST(lies__about_space_are_told)
{
    static const struct lie lies[] = {
        {"a leaf that is free", free_a_leaf, ISSUE(SPACE)},
        {"a value that is free", free_a_value, ISSUE(SPACE)},
        {"a log that is free", free_the_log, ISSUE(SPACE)},
        {"a state that is free", free_itself, ISSUE(SPACE)},
        {"a page of nobody", use_nobodys, ISSUE(LOST) | ISSUE(SPACE)},
        {"a page freed in use", free_pages_in_use, ISSUE(SPACE)},
        {"ranges without number", have_ranges_without_number, ISSUE(SPACE)},
        {"all pages", have_all_pages, ISSUE(SPACE)},
        {"a state in a circle", go_round_in_space, ISSUE(SPACE) | ISSUE(SLOT)},
        {"a leaf to spare", spare_a_leaf, ISSUE(SHARED)},
        {"a spare to spare", spare_the_same_twice, ISSUE(SLOT)},
        {"everything to spare", spare_all, ISSUE(SLOT) | ISSUE(PAGE)},
        {"a file too short", need_more, ISSUE(SLOT)},
    };
    TELL_ALL(lies);
}

/* ---- the log ---- */

static uint8_t *record_of(struct forge *forge, enum record_type type, bool is_packed,
                          uint32_t *idx)
{
    for (uint32_t i = 0; i < forge->record_count; i++) {
        uint8_t *at = forge->bytes + forge->records[i].off;
        bool fits = at[12] == type && (at[13] & RECORD_IS_LZ4) == is_packed;
        *idx = i;
        if (fits)
            return at;
    }
    CHECK(!"a record of this type");
    return NULL;
}

static void set_raw_len(struct forge *forge, uint32_t len)
{
    uint32_t idx;
    put_u32(record_of(forge, RECORD_COMMIT, true, &idx) + 8, len);
    forge_seal_record(forge, idx);
}

static void unpack_the_longest(struct forge *forge)
{
    set_raw_len(forge, RECORD_PAYLOAD_MAX);
}

static void unpack_a_longer(struct forge *forge)
{
    set_raw_len(forge, RECORD_PAYLOAD_MAX + 1);
}

static void unpack_without_end(struct forge *forge)
{
    set_raw_len(forge, UINT32_MAX);
}

static void unpack_nothing(struct forge *forge)
{
    set_raw_len(forge, 0);
}

static void store_without_end(struct forge *forge)
{
    uint32_t idx;
    put_u32(record_of(forge, RECORD_COMMIT, true, &idx) + 4, UINT32_MAX - 7);
    forge_seal_record(forge, idx);
}

static void lead_the_log(struct forge *forge, uint32_t pgno, uint32_t pages)
{
    uint32_t idx;
    uint8_t *at = record_of(forge, RECORD_EXTENT, false, &idx);
    put_u32(at + RECORD_HEADER_BYTES + 16, pgno);
    put_u32(at + RECORD_HEADER_BYTES + 20, pages);
    forge_seal_record(forge, idx);
}

static void lead_the_log_round(struct forge *forge)
{
    lead_the_log(forge, (uint32_t)(forge->extents[0] / PAGE_BYTES), LOG_EXTENT_PAGES);
}

static void lead_the_log_into_a_tree(struct forge *forge)
{
    lead_the_log(forge, forge_find(forge, PAGE_LEAF, 0, TABLE_LONG, 0), 1);
}

static void lead_the_log_outside(struct forge *forge)
{
    lead_the_log(forge, UINT32_MAX - 1, LOG_EXTENT_PAGES);
}

static void lead_the_log_far(struct forge *forge)
{
    lead_the_log(forge, (uint32_t)(forge->extents[1] / PAGE_BYTES), UINT32_MAX);
}

static void sync_the_future(struct forge *forge)
{
    uint32_t idx;
    uint8_t *at = record_of(forge, RECORD_MARK, false, &idx);
    put_u64(at + 32, UINT64_MAX);
    forge_seal_record(forge, idx);
}

static void jump_far(struct forge *forge)
{
    uint32_t idx;
    put_u64(record_of(forge, RECORD_EPOCH, false, &idx) + 16, RECORD_LSN_MAX - 8);
    forge_seal_record(forge, idx);
}

/* The run's record: its operation begins with the root's pointer. */
static void lead_run_elsewhere(struct forge *forge)
{
    uint32_t leaf = forge_find(forge, PAGE_LEAF, 0, TABLE_PACKED, 0);
    for (uint32_t i = 0; i < forge->place_count; i++) {
        const struct forge_place *place = &forge->places[i];
        for (uint32_t k = 0; k < forge->record_count; k++) {
            if (place->off < forge->records[k].off ||
                place->off >= forge->records[k].off + forge->records[k].bytes)
                continue;
            memcpy(forge->bytes + place->off, forge_pointer(forge, leaf), PAGE_REF_BYTES);
            forge_seal_record(forge, k);
            return;
        }
    }
    CHECK(!"a bulk run");
}

TEST(lies__of_the_log_are_told)
{
    static const struct lie lies[] = {
        {"the longest record", unpack_the_longest, REFUSED},
        {"a record too long", unpack_a_longer, REFUSED},
        {"a record without end", unpack_without_end, REFUSED},
        {"a record of nothing", unpack_nothing, REFUSED},
        {"a record stored without end", store_without_end, REFUSED},
        {"a log in a circle", lead_the_log_round, REFUSED | ISSUE(LOG)},
        {"a log in a tree", lead_the_log_into_a_tree, REFUSED | ISSUE(LOG)},
        {"a log outside", lead_the_log_outside, REFUSED | ISSUE(LOG)},
        {"a log in a large extent", lead_the_log_far, REFUSED | ISSUE(LOG)},
        {"a sync of the future", sync_the_future, REFUSED},
        {"a jump", jump_far, REFUSED},
        {"a run of another table", lead_run_elsewhere, ISSUE(TREE) | ISSUE(SHARED)},
    };
    if (PAGE_IS_SMALL) /* the others have no second extent and no run */
        TELL_ALL(lies);
}

/* ---- pointers ---- */

struct pointers {
    struct reference reference;
    struct forge forge;
};

/* Each leads where each other one leads. */
static bool lead_elsewhere(void *ctx, struct attempt *attempt, uint64_t n)
{
    struct pointers *pointers = ctx;
    struct forge *forge = &pointers->forge;
    uint32_t idx = (uint32_t)(n % forge->place_count);
    const struct forge_place *from = &forge->places[idx];
    const struct forge_place *to = &forge->places[n / forge->place_count];
    uint8_t *at = attempt->bytes + from->off;
    if (from->is_part != to->is_part || from->pgno == to->pgno)
        return false;
    forge_use(forge, attempt->bytes);
    memcpy(at, attempt->bytes + to->off,
           from->is_part ? VALUE_INDEX_ENTRY_BYTES : PAGE_REF_BYTES);
    forge_seal_around(forge, from->off);
    attempt->is_forged = true;
    attempt->is_lie = idx < forge->newest_count;
    return true;
}

TEST(lies__no_pointer_can_lead_elsewhere)
{
    enum { BUDGET_MS = 500 };
    struct pointers pointers = {0};
    reference_make(&pointers.reference);
    forge_open(&pointers.forge, pointers.reference.now.bytes,
               pointers.reference.now.size);
    uint64_t count = pointers.forge.place_count;
    struct campaign campaign = {"pointer", count * count, lead_elsewhere, &pointers};
    campaign_run(&campaign, &pointers.reference, BUDGET_MS);
    forge_close(&pointers.forge);
    reference_destroy(&pointers.reference);
}
