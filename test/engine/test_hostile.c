/* Damage of every kind in every place of the reference file (test/engine/reference.h):
 * each bit flipped, each sector and page replaced, each cut and each extension.  Whoever
 * opens the file is told or reads what was written, never other data.
 *
 * There are millions of such files; `make check` tries some at equal distances, and
 * HOSTILE=all in the environment all of them (test/engine/attempt.h). */
#include "test/engine/attempt.h"
#include "test/engine/forge.h"
#include "test/sim/disk.h"
#include "test/unit/unit.h"

enum { BUDGET_MS = 500, SECTOR_BYTES = 512 };

/* ---- what the file is ---- */

struct kinds {
    uint32_t pages[PAGE_SPACE + 1][TREE_LEVEL_MAX];
    uint32_t records[RECORD_TYPE_MAX + 1];
    uint32_t packed_records;
};

static void count_kinds(struct forge *forge, struct kinds *kinds)
{
    for (uint32_t pgno = FIRST_FREE_PAGE_NO; pgno < forge->size / PAGE_BYTES; pgno++) {
        const uint8_t *page = forge_page(forge, pgno);
        if (forge_is_reached(forge, pgno))
            kinds->pages[page[0]][page[1]]++;
    }
    for (uint32_t i = 0; i < forge->record_count; i++) {
        const uint8_t *at = forge->bytes + forge->records[i].off;
        kinds->records[at[12]]++;
        kinds->packed_records += at[13] & RECORD_IS_LZ4;
    }
}

TEST(hostile__reference_file_has_everything)
{
    struct reference reference;
    struct forge forge;
    struct kinds kinds = {0};
    reference_make(&reference);
    forge_open(&forge, reference.now.bytes, reference.now.size);
    count_kinds(&forge, &kinds);
    const struct superblock *sb = &forge.sb[forge.newest];
    if (getenv("VERBOSE"))
        printf("%llu bytes, %u pointers, %u records, %u spares, %u leaves, %u and %u "
               "inner pages, %u value pages, %u indexes, %u pages of space\n",
               (unsigned long long)forge.size, forge.place_count, forge.record_count,
               sb->spare_count, kinds.pages[PAGE_LEAF][0], kinds.pages[PAGE_INNER][1],
               kinds.pages[PAGE_INNER][2], kinds.pages[PAGE_VALUES][0],
               kinds.pages[PAGE_VALUE_INDEX][0], kinds.pages[PAGE_SPACE][0]);
    CHECK(kinds.pages[PAGE_LEAF][0] >= 8);
    CHECK(kinds.pages[PAGE_INNER][1] >= 2);
    CHECK(kinds.pages[PAGE_INNER][2] >= 1);
    CHECK(kinds.pages[PAGE_VALUES][0] >= 5);
    CHECK(kinds.pages[PAGE_VALUE_INDEX][0] >= 1);
    /* Two, and the older generation's. */
    CHECK(kinds.pages[PAGE_SPACE][0] >= (PAGE_IS_SMALL ? 3 : 2));
    CHECK(forge_find(&forge, PAGE_LEAF, 0, TABLE_USAGE, 0) != 0);
    CHECK(sb->spare_count > 0 || !PAGE_IS_SMALL);
    CHECK(kinds.records[RECORD_COMMIT] >= 8);
    CHECK(kinds.records[RECORD_EPOCH] >= 1);
    CHECK(kinds.records[RECORD_EXTENT] >= 1 || !PAGE_IS_SMALL);
    CHECK(kinds.records[RECORD_MARK] >= 2);
    CHECK(kinds.packed_records >= 1);
    forge_close(&forge);
    reference_destroy(&reference);
}

/* What comes of the reference file with one byte changed. */
static struct attempt attempt_at(const struct reference *reference, uint64_t off,
                                 uint8_t flip)
{
    struct sim_disk *disk = sim_disk_create(1);
    sim_put_file(disk, REFERENCE_PATH, reference->now.bytes, reference->now.size);
    struct attempt attempt = {.reference = reference, .disk = disk};
    attempt.size = reference->now.size;
    attempt.least = reference->commits;
    attempt.least_told = reference->in_trees;
    attempt.bytes = malloc(attempt.size);
    CHECK(attempt.bytes != NULL);
    memcpy(attempt.bytes, reference->now.bytes, attempt.size);
    attempt.bytes[off] ^= flip;
    attempt_run(&attempt);
    free(attempt.bytes);
    sim_disk_destroy(disk);
    return attempt;
}

TEST(hostile__reference_file_is_healthy)
{
    struct reference reference;
    reference_make(&reference);
    struct attempt attempt = attempt_at(&reference, 0, 0);
    if (attempt.wrong[0] != 0)
        unit_fail(__FILE__, __LINE__, "%s", attempt.wrong);
    CHECK(!attempt.is_detected);
    reference_destroy(&reference);
}

/* With tiny limits its log has a bulk run that was built when the newer one was there: it
 * is merged at once, and the damaged slot is written anew. */
TEST(hostile__older_generation_is_as_good)
{
    struct reference reference;
    struct forge forge;
    reference_make(&reference);
    forge_open(&forge, reference.now.bytes, reference.now.size);
    struct attempt attempt = attempt_at(&reference, forge.newest * PAGE_BYTES + 200, 1);
    if (attempt.wrong[0] != 0)
        unit_fail(__FILE__, __LINE__, "%s", attempt.wrong);
    CHECK(!attempt.is_refused);
    CHECK_EQ(attempt.kinds, PAGE_IS_SMALL ? 0 : 1u << SCN_ISSUE_SLOT);
    forge_close(&forge);
    reference_destroy(&reference);
}

/* ---- damage ---- */

struct damage {
    struct reference reference;
    struct {
        uint32_t image;
        uint32_t pgno;
    } *older; /* pages of older images that are not as now */
    uint64_t older_count;
};

static const struct reference *reference_of(void *ctx)
{
    return &((struct damage *)ctx)->reference;
}

/* Damage so large may hide both a commit and everything that bears witness of it; what is
 * found then is a prefix. */
static void allow_prefix(struct attempt *attempt)
{
    attempt->least = attempt->reference->in_trees;
    attempt->least_told = attempt->reference->in_trees;
}

static bool flip_bit(void *ctx, struct attempt *attempt, uint64_t n)
{
    (void)ctx;
    attempt->bytes[n / 8] ^= (uint8_t)(1u << n % 8);
    return true;
}

static bool fill_sector(void *ctx, struct attempt *attempt, uint64_t n)
{
    (void)ctx;
    uint8_t *sector = attempt->bytes + n / 3 * SECTOR_BYTES;
    uint8_t before[SECTOR_BYTES];
    memcpy(before, sector, sizeof before);
    allow_prefix(attempt);
    memset(sector, n % 3 == 1 ? 0xff : 0, SECTOR_BYTES);
    for (uint32_t i = 0; i < SECTOR_BYTES && n % 3 == 2; i++)
        sector[i] = (uint8_t)(i * 167 + n);
    return memcmp(before, sector, sizeof before) != 0;
}

static bool replace_page(void *ctx, struct attempt *attempt, uint64_t n)
{
    uint64_t pages = attempt->size / PAGE_BYTES;
    uint8_t *to = attempt->bytes + n % pages * PAGE_BYTES;
    const uint8_t *from =
        reference_of(ctx)->now.bytes + n / pages * PAGE_BYTES;
    allow_prefix(attempt);
    if (memcmp(to, from, PAGE_BYTES) == 0)
        return false;
    memcpy(to, from, PAGE_BYTES);
    return true;
}

static bool swap_pages(void *ctx, struct attempt *attempt, uint64_t n)
{
    const uint8_t *now = reference_of(ctx)->now.bytes;
    uint64_t pages = attempt->size / PAGE_BYTES;
    uint64_t a = n % pages * PAGE_BYTES;
    uint64_t b = n / pages * PAGE_BYTES;
    allow_prefix(attempt);
    /* The newest superblock, and the log that would make up for it. */
    attempt->least_told = attempt->reference->in_older_trees;
    if (a >= b || memcmp(now + a, now + b, PAGE_BYTES) == 0)
        return false;
    memcpy(attempt->bytes + a, now + b, PAGE_BYTES);
    memcpy(attempt->bytes + b, now + a, PAGE_BYTES);
    return true;
}

/* A write that was lost. */
static bool age_page(void *ctx, struct attempt *attempt, uint64_t n)
{
    struct damage *damage = ctx;
    const struct reference_image *older =
        &damage->reference.older[damage->older[n].image];
    uint64_t off = (uint64_t)damage->older[n].pgno * PAGE_BYTES;
    allow_prefix(attempt);
    memcpy(attempt->bytes + off, older->bytes + off, PAGE_BYTES);
    return true;
}

static bool cut_file(void *ctx, struct attempt *attempt, uint64_t n)
{
    (void)ctx;
    attempt->size = n * SECTOR_BYTES;
    return true;
}

/* By zeros, by bytes that mean nothing, by the beginning of the file once more. */
static bool extend_file(void *ctx, struct attempt *attempt, uint64_t n)
{
    uint64_t more = (n / 3 + 1) * SECTOR_BYTES;
    uint8_t *bytes = realloc(attempt->bytes, attempt->size + more);
    CHECK(bytes != NULL);
    attempt->bytes = bytes;
    for (uint64_t i = 0; i < more; i++)
        bytes[attempt->size + i] = n % 3 == 0   ? 0
                                   : n % 3 == 1 ? (uint8_t)(i * 167 + n)
                                                : reference_of(ctx)->now.bytes[i];
    attempt->size += more;
    return true;
}

/* ---- all of it ---- */

static bool is_known(const struct damage *damage, uint32_t image, uint32_t pgno)
{
    uint64_t off = (uint64_t)pgno * PAGE_BYTES;
    const uint8_t *page = damage->reference.older[image].bytes + off;
    if (memcmp(page, damage->reference.now.bytes + off, PAGE_BYTES) == 0)
        return true;
    for (uint64_t i = 0; i < damage->older_count; i++)
        if (damage->older[i].pgno == pgno &&
            memcmp(page, damage->reference.older[damage->older[i].image].bytes + off,
                   PAGE_BYTES) == 0)
            return true;
    return false;
}

static void find_older_pages(struct damage *damage)
{
    const struct reference *reference = &damage->reference;
    uint64_t pages = reference->now.size / PAGE_BYTES;
    damage->older = malloc(reference->older_count * pages * sizeof *damage->older);
    CHECK(damage->older != NULL);
    for (uint32_t image = 0; image < reference->older_count; image++)
        for (uint32_t pgno = 0; pgno < pages; pgno++) {
            uint64_t end = (uint64_t)(pgno + 1) * PAGE_BYTES;
            if (end > reference->older[image].size || is_known(damage, image, pgno))
                continue;
            damage->older[damage->older_count].image = image;
            damage->older[damage->older_count++].pgno = pgno;
        }
}

enum per { PER_BIT, PER_SECTOR, PER_PAIR_OF_PAGES, PER_OLDER_PAGE };

static uint64_t count_of(const struct damage *damage, enum per per)
{
    uint64_t size = damage->reference.now.size;
    uint64_t pages = size / PAGE_BYTES;
    switch (per) {
    case PER_BIT:
        return size * 8;
    case PER_SECTOR:
        return size / SECTOR_BYTES;
    case PER_PAIR_OF_PAGES:
        return pages * pages;
    default:
        return damage->older_count;
    }
}

static void damage_all(const char *name, enum per per, uint32_t variants,
                       bool (*how)(void *, struct attempt *, uint64_t))
{
    struct damage damage = {0};
    reference_make(&damage.reference);
    find_older_pages(&damage);
    struct campaign campaign = {.name = name, .damage = how, .ctx = &damage};
    campaign.count = count_of(&damage, per) * variants;
    campaign_run(&campaign, &damage.reference, BUDGET_MS);
    free(damage.older);
    reference_destroy(&damage.reference);
}

TEST(hostile__no_bit_can_flip_unnoticed)
{
    damage_all("bit", PER_BIT, 1, flip_bit);
}

TEST(hostile__no_sector_can_be_lost_unnoticed)
{
    damage_all("sector", PER_SECTOR, 3, fill_sector);
}

TEST(hostile__no_page_can_take_the_place_of_another)
{
    damage_all("page", PER_PAIR_OF_PAGES, 1, replace_page);
}

TEST(hostile__no_two_pages_can_change_places)
{
    damage_all("swap", PER_PAIR_OF_PAGES, 1, swap_pages);
}

TEST(hostile__no_page_can_be_an_older_one)
{
    damage_all("older", PER_OLDER_PAGE, 1, age_page);
}

TEST(hostile__no_cut_goes_unnoticed)
{
    damage_all("cut", PER_SECTOR, 1, cut_file);
}

TEST(hostile__bytes_behind_the_end_are_nobodys)
{
    damage_all("extension", PER_SECTOR, 3, extend_file);
}
