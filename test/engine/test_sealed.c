/* Damage under right checksums: each bit and each word of the pages that are led to, of
 * the superblocks, the records of the log and the heads of its extents, changed and
 * sealed again up to the superblock (test/engine/forge.h).  Only a person does that, and
 * any data may be read then; but nothing crashes, hangs, or takes much memory.
 *
 * As in test_hostile.c, HOSTILE=all in the environment tries all of it. */
#include "test/engine/attempt.h"
#include "test/engine/forge.h"
#include "test/unit/unit.h"

enum {
    BUDGET_MS = 500,
    /* Behind so many bytes a page of values, or a record, has nothing but values. */
    VALUES_FROM = 160,
    HASH_OFF = 24
};

/* A part of the file that has one seal. */
struct part {
    uint32_t no; /* page, slot, record or extent */
    uint64_t off;
    uint32_t bytes;
    uint64_t first; /* its first byte among the bytes of all parts */
};

struct sealed {
    struct reference reference;
    struct forge forge;
    struct part *parts;
    uint32_t part_count;
    uint64_t byte_count;
    void (*seal)(struct forge *forge, uint32_t no);
};

static void add_part(struct sealed *sealed, uint32_t no, uint64_t off, uint32_t bytes)
{
    sealed->parts = realloc(sealed->parts,
                            (sealed->part_count + 1) * sizeof *sealed->parts);
    CHECK(sealed->parts != NULL);
    sealed->parts[sealed->part_count++] =
        (struct part){no, off, bytes, sealed->byte_count};
    sealed->byte_count += bytes;
}

/* ---- what is changed ---- */

static const struct part *part_of(const struct sealed *sealed, uint64_t byte)
{
    const struct part *part = sealed->parts;
    while (byte >= part->first + part->bytes)
        part++;
    return part;
}

static bool flip_bit(void *ctx, struct attempt *attempt, uint64_t n)
{
    struct sealed *sealed = ctx;
    const struct part *part = part_of(sealed, n / 8);
    attempt->is_forged = true;
    forge_use(&sealed->forge, attempt->bytes);
    attempt->bytes[part->off + (n / 8 - part->first)] ^= (uint8_t)(1u << n % 8);
    sealed->seal(&sealed->forge, part->no);
    return true;
}

enum { WORDS = 12 };

/* What lengths, counts, offsets and numbers are not. */
static uint32_t strange_word(uint32_t word, uint32_t which)
{
    const uint32_t words[WORDS] = {
        0, 1, UINT32_MAX, INT32_MAX, (uint32_t)INT32_MAX + 1, UINT16_MAX, UINT16_MAX + 1,
        word + 1, word - 1, word << 16 | word >> 16, PAGE_BYTES, FILE_PAGES_MAX,
    };
    return words[which];
}

/* At every second byte, since there are fields of two. */
static bool change_word(void *ctx, struct attempt *attempt, uint64_t n)
{
    struct sealed *sealed = ctx;
    uint64_t byte = n / WORDS * 2;
    const struct part *part = part_of(sealed, byte);
    uint64_t off = part->off + (byte - part->first);
    uint32_t word = get_u32(attempt->bytes + off);
    uint32_t strange = strange_word(word, (uint32_t)(n % WORDS));
    if (strange == word || byte + 4 > part->first + part->bytes)
        return false;
    attempt->is_forged = true;
    forge_use(&sealed->forge, attempt->bytes);
    put_u32(attempt->bytes + off, strange);
    sealed->seal(&sealed->forge, part->no);
    return true;
}

/* ---- the parts ---- */

static void add_pages(struct sealed *sealed)
{
    struct forge *forge = &sealed->forge;
    sealed->seal = forge_seal;
    for (uint32_t pgno = FIRST_FREE_PAGE_NO; pgno < forge->size / PAGE_BYTES; pgno++) {
        const uint8_t *page = forge_page(forge, pgno);
        uint32_t used = get_u32(page + 12);
        uint64_t off = (uint64_t)pgno * PAGE_BYTES;
        if (!forge_is_reached(forge, pgno))
            continue;
        if (page[0] == PAGE_VALUES && used > VALUES_FROM)
            used = VALUES_FROM;
        add_part(sealed, pgno, off, HASH_OFF);
        add_part(sealed, pgno, off + HASH_OFF + 8, used - HASH_OFF - 8);
    }
}

static void add_slots(struct sealed *sealed)
{
    sealed->seal = forge_seal_slot;
    for (uint32_t slot = 0; slot < 2; slot++) {
        uint64_t off = (uint64_t)slot * PAGE_BYTES;
        add_part(sealed, slot, off, 16);
        add_part(sealed, slot, off + 32, 256 + 8 * LOG_SPARE_MAX - 32);
        add_part(sealed, slot, off + SUPERBLOCK_BYTES - 8, 8);
    }
}

static void add_records(struct sealed *sealed)
{
    struct forge *forge = &sealed->forge;
    sealed->seal = forge_seal_record;
    for (uint32_t i = 0; i < forge->record_count; i++) {
        uint32_t bytes = forge->records[i].bytes - 4;
        if (bytes > RECORD_HEADER_BYTES + 2 * VALUES_FROM)
            bytes = RECORD_HEADER_BYTES + 2 * VALUES_FROM;
        add_part(sealed, i, forge->records[i].off + 4, bytes);
        if (bytes < forge->records[i].bytes - 4)
            add_part(sealed, i, forge->records[i].off + forge->records[i].bytes - 32, 32);
    }
}

static void add_extents(struct sealed *sealed)
{
    struct forge *forge = &sealed->forge;
    sealed->seal = forge_seal_extent;
    for (uint32_t i = 0; i < forge->extent_count; i++) {
        add_part(sealed, i, forge->extents[i], 56);
        add_part(sealed, i, forge->extents[i] + 64, 56);
    }
}

static void forge_all(const char *name, void (*add_parts)(struct sealed *),
                      bool (*how)(void *, struct attempt *, uint64_t))
{
    struct sealed sealed = {0};
    reference_make(&sealed.reference);
    forge_open(&sealed.forge, sealed.reference.now.bytes, sealed.reference.now.size);
    add_parts(&sealed);
    struct campaign campaign = {.name = name, .damage = how, .ctx = &sealed};
    campaign.count = how == flip_bit ? sealed.byte_count * 8
                                     : sealed.byte_count / 2 * WORDS;
    campaign_run(&campaign, &sealed.reference, BUDGET_MS);
    free(sealed.parts);
    forge_close(&sealed.forge);
    reference_destroy(&sealed.reference);
}

TEST(hostile__sealed_bits_of_pages_crash_nothing)
{
    forge_all("page-bit", add_pages, flip_bit);
}

TEST(hostile__sealed_words_of_pages_crash_nothing)
{
    forge_all("page-word", add_pages, change_word);
}

TEST(hostile__sealed_bits_of_superblocks_crash_nothing)
{
    forge_all("slot-bit", add_slots, flip_bit);
}

TEST(hostile__sealed_words_of_superblocks_crash_nothing)
{
    forge_all("slot-word", add_slots, change_word);
}

TEST(hostile__sealed_bits_of_records_crash_nothing)
{
    forge_all("record-bit", add_records, flip_bit);
}

TEST(hostile__sealed_words_of_records_crash_nothing)
{
    forge_all("record-word", add_records, change_word);
}

TEST(hostile__sealed_bits_of_extents_crash_nothing)
{
    forge_all("extent-bit", add_extents, flip_bit);
}

TEST(hostile__sealed_words_of_extents_crash_nothing)
{
    forge_all("extent-word", add_extents, change_word);
}
