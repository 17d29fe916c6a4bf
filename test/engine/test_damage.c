/* Files that somebody has changed: a bit that rotted, a write that went elsewhere or
 * nowhere, a file that was cut, bytes that were made up by hand.
 *
 * A small file with pages of every kind and a log that has not been merged is made, and
 * then damaged in one place.  Whoever opens it is refused with a status that says so, or
 * reads what was written, or is told at the read that there is damage: never other data.
 * Where the damage was sealed with right checksums, as only a person does, any data may
 * be read, but nothing crashes.
 *
 * A failure prints a line DAMAGE=...; with that in the environment its test damages this
 * one place alone.  Here the files are many and the places few; test_hostile.c takes one
 * file and all places. */
#include "page/page.h"
#include "test/engine/story.h"
#include "test/sim/disk.h"

#define STORE "store"

enum { BUDGET_MS = PAGE_IS_SMALL ? 1500 : 1000 };

/* ---- the file ---- */

struct specimen {
    uint64_t seed;
    uint8_t *bytes;
    uint64_t size;
    uint8_t *older; /* the same file, two checkpoints before */
    uint64_t older_size;
    struct story story;
    uint32_t in_trees;  /* transactions that the newest generation holds */
    bool is_marked;     /* the log ends with a witness of all commits */
    uint64_t *records;  /* offsets of valid records */
    uint64_t record_count;
};

static scn_status open_on(struct sys *sys, uint32_t flags, scn_db **db)
{
    scn_options options = {.struct_size = sizeof options, .flags = SCN_NOTHREAD | flags};
    options.pool_bytes = 64 * PAGE_BYTES;
    options.log_bytes = UINT64_C(4) * LOG_EXTENT_PAGES * PAGE_BYTES;
    return store_open_on(sys, STORE, &options, db);
}

static uint8_t *copy_file(struct sim_disk *disk, uint64_t *size)
{
    CHECK(sim_file_size(disk, STORE, size));
    uint8_t *bytes = malloc(*size);
    CHECK(bytes != NULL);
    CHECK(sim_peek(disk, STORE, 0, bytes, *size));
    return bytes;
}

static void commit_some(struct specimen *specimen, scn_db *db, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        CHECK_OK(story_commit(&specimen->story, db));
}

static void find_records(struct specimen *specimen)
{
    struct record record;
    specimen->records = malloc(specimen->size / 64 * sizeof *specimen->records);
    for (uint64_t off = 0; off + RECORD_HEADER_BYTES < specimen->size; off += 8)
        if (record_decode(specimen->bytes + off, specimen->size - off, &record) &&
            record_crc_matches(&record, specimen->bytes + off))
            specimen->records[specimen->record_count++] = off;
    CHECK(specimen->record_count > 0);
}

static void make_specimen(struct specimen *specimen, uint64_t seed)
{
    scn_db *db;
    struct sim_disk *disk = sim_disk_create(seed);
    struct sys *sys = sim_process_create(disk);
    *specimen = (struct specimen){.seed = seed, .is_marked = seed % 2 == 0};
    uint32_t flags = STORY_TABLE | (seed % 3 == 0 ? STORY_BULK : 0) |
                     (seed % 5 == 0 ? STORY_BIG : 0);
    story_init(&specimen->story, seed, flags);
    CHECK_OK(open_on(sys, 0, &db));
    commit_some(specimen, db, 5);
    CHECK_OK(scn_checkpoint(db));
    commit_some(specimen, db, 2);
    CHECK_OK(scn_checkpoint(db));
    specimen->older = copy_file(disk, &specimen->older_size);
    commit_some(specimen, db, 2);
    CHECK_OK(scn_checkpoint(db));
    commit_some(specimen, db, 1);
    CHECK_OK(scn_checkpoint(db));
    specimen->in_trees = specimen->story.begun;
    commit_some(specimen, db, seed % 3 == 0 ? 2 : 5);
    if (!specimen->is_marked)
        sim_process_kill(sys);
    CHECK_OK(scn_close(db));
    specimen->bytes = copy_file(disk, &specimen->size);
    sim_process_destroy(sys);
    sim_disk_destroy(disk);
    find_records(specimen);
}

static void destroy_specimen(struct specimen *specimen)
{
    story_destroy(&specimen->story);
    free(specimen->bytes);
    free(specimen->older);
    free(specimen->records);
}

/* ---- one damaged file ---- */

struct mutant {
    struct specimen *specimen;
    struct story story; /* what may be read */
    uint8_t *bytes;
    uint64_t size;
    uint64_t random;
    bool is_sealed; /* by hand: any data may be read */
    bool is_refused;
    scn_status said;
};

static uint64_t roll(struct mutant *mutant, uint64_t bound)
{
    return (unit_random(&mutant->random) >> 20) % bound;
}

static void judge(struct mutant *mutant, scn_db *db, scn_status st, const char *what)
{
    scn_error error = {.struct_size = sizeof error};
    if (st >= 0 || st == SCN_CORRUPT)
        return;
    if (mutant->is_sealed && st == SCN_FULL)
        return;
    scn_last_error(db, &error);
    story_fail(&mutant->story, "%s says %d: %s", what, st, error.text);
}

static void judge_open(struct mutant *mutant, scn_status st)
{
    scn_error error = {.struct_size = sizeof error};
    mutant->is_refused = st != SCN_OK;
    mutant->said = st;
    if (st == SCN_NOTADB || st == SCN_VERSION)
        return;
    scn_last_error(NULL, &error);
    if (st < 0 && (error.status != st || error.text[0] == 0))
        story_fail(&mutant->story, "opening says %d without a sentence", st);
    judge(mutant, NULL, st, "opening");
}

static scn_status look(struct mutant *mutant, scn_db *db)
{
    uint32_t number = 0;
    scn_status st = story_read(&mutant->story, db, &number);
    if (mutant->is_sealed)
        mutant->story.wrong[0] = 0;
    judge(mutant, db, st, "reading");
    if (st == SCN_OK && mutant->story.wrong[0] == 0 && !mutant->is_sealed)
        story_settle(&mutant->story, number);
    return st;
}

/* A log that is damaged in the middle can be read up to there, by somebody who does not
 * want to write; scn_health tells. */
static void allow_what_health_tells(struct mutant *mutant, scn_db *db)
{
    scn_health_t health = {.struct_size = sizeof health};
    judge(mutant, db, scn_health(db, &health), "health");
    if (!health.healthy)
        mutant->story.acked = mutant->specimen->in_trees;
}

/* The store goes on for a while; nothing that is read before or after may be wrong. */
static void use(struct mutant *mutant, scn_db *db, bool is_read_only)
{
    uint64_t issues;
    if (is_read_only)
        allow_what_health_tells(mutant, db);
    scn_status st = look(mutant, db);
    if (mutant->story.wrong[0] == 0 && !is_read_only)
        judge(mutant, db, scn_check(db, SCN_CHECK_ALL, NULL, NULL, &issues), "a check");
    if (st < 0 || mutant->story.wrong[0] != 0 || is_read_only || mutant->is_sealed)
        return;
    judge(mutant, db, story_commit(&mutant->story, db), "a commit");
    st = mutant->story.wrong[0] == 0 ? scn_checkpoint(db) : SCN_OK;
    judge(mutant, db, st, "a checkpoint");
    if (mutant->story.wrong[0] == 0)
        (void)look(mutant, db);
}

/* Twice: what the first life has written is read by the second. */
static void open_and_use(struct mutant *mutant)
{
    struct sim_disk *disk = sim_disk_create(1);
    struct sys *sys = sim_process_create(disk);
    sim_put_file(disk, STORE, mutant->bytes, mutant->size);
    uint32_t flags = SCN_NOCREATE | (roll(mutant, 3) == 0 ? SCN_RDONLY : 0);
    for (int i = 0; i < 2 && mutant->story.wrong[0] == 0; i++) {
        scn_db *db;
        scn_status st = open_on(sys, flags, &db);
        judge_open(mutant, st);
        if (st != SCN_OK)
            break;
        use(mutant, db, (flags & SCN_RDONLY) != 0);
        if (scn_close(db) != SCN_OK)
            story_fail(&mutant->story, "the store does not close");
    }
    sim_process_destroy(sys);
    sim_disk_destroy(disk);
}

/* ---- damage ---- */

static void flip_bit(struct mutant *mutant, uint64_t off)
{
    mutant->bytes[off] ^= (uint8_t)(1 << roll(mutant, 8));
}

static uint8_t *some_page(struct mutant *mutant)
{
    return mutant->bytes + roll(mutant, mutant->size / PAGE_BYTES) * PAGE_BYTES;
}

/* Damage as long as this may hide both a commit and everything that bears witness of it;
 * what is found then is a prefix. */
static void allow_prefix(struct mutant *mutant)
{
    mutant->story.acked = mutant->specimen->in_trees;
}

static void change_superblock(struct mutant *mutant)
{
    flip_bit(mutant, roll(mutant, 2) * PAGE_BYTES + roll(mutant, 400));
}

static void change_page_header(struct mutant *mutant)
{
    flip_bit(mutant, (uint64_t)(some_page(mutant) - mutant->bytes) + roll(mutant, 64));
}

static void change_record(struct mutant *mutant)
{
    const struct specimen *specimen = mutant->specimen;
    uint64_t off = specimen->records[roll(mutant, specimen->record_count)];
    flip_bit(mutant, off + roll(mutant, RECORD_HEADER_BYTES));
}

static void change_sector(struct mutant *mutant)
{
    uint64_t off = roll(mutant, mutant->size / 512) * 512;
    bool is_zero = roll(mutant, 2) == 0;
    allow_prefix(mutant);
    for (uint64_t i = 0; i < 512; i++)
        mutant->bytes[off + i] = is_zero ? 0 : (uint8_t)roll(mutant, 256);
}

static void zero_page(struct mutant *mutant)
{
    allow_prefix(mutant);
    memset(some_page(mutant), 0, PAGE_BYTES);
}

static void copy_page(struct mutant *mutant)
{
    uint8_t *from = some_page(mutant);
    uint8_t *to = some_page(mutant);
    allow_prefix(mutant);
    memmove(to, from, PAGE_BYTES);
}

static void swap_pages(struct mutant *mutant)
{
    uint8_t *a = some_page(mutant);
    uint8_t *b = some_page(mutant);
    allow_prefix(mutant);
    for (size_t i = 0; i < PAGE_BYTES; i++) {
        uint8_t byte = a[i];
        a[i] = b[i];
        b[i] = byte;
    }
}

/* A write that was lost. */
static void age_page(struct mutant *mutant)
{
    const struct specimen *specimen = mutant->specimen;
    uint64_t pages = (specimen->older_size < mutant->size ? specimen->older_size
                                                          : mutant->size) / PAGE_BYTES;
    uint64_t off = roll(mutant, pages) * PAGE_BYTES;
    allow_prefix(mutant);
    memcpy(mutant->bytes + off, specimen->older + off, PAGE_BYTES);
}

static void cut_file(struct mutant *mutant)
{
    mutant->size = roll(mutant, mutant->size / 512) * 512;
}

/* ---- damage with right checksums ---- */

static void seal_superblock(uint8_t *slot)
{
    struct superblock sb;
    (void)superblock_decode(slot, &sb, NULL);
    sb.spare_count %= LOG_SPARE_MAX + 1;
    superblock_encode(&sb, slot);
}

static void change_sealed_superblock(struct mutant *mutant)
{
    static const uint8_t zeros[SUPERBLOCK_BYTES];
    uint64_t slot = roll(mutant, 2) * PAGE_BYTES;
    mutant->is_sealed = true;
    if (memcmp(mutant->bytes + slot, zeros, 64) == 0)
        return;
    for (uint64_t i = 0; i <= roll(mutant, 2); i++)
        mutant->bytes[slot + 72 + roll(mutant, 200)] = (uint8_t)roll(mutant, 256);
    seal_superblock(mutant->bytes + slot);
}

static bool replace_hash(uint8_t *bytes, size_t len, uint64_t from, uint64_t to)
{
    bool found = false;
    for (size_t i = 0; i + 8 <= len; i++) {
        if (get_u64(bytes + i) != from)
            continue;
        put_u64(bytes + i, to);
        found = true;
    }
    return found;
}

static uint64_t seal_page(uint8_t *page)
{
    struct page_header header;
    struct page_ref ref;
    page_header_decode(page, &header);
    uint32_t used = header.used < 64 || header.used > PAGE_BYTES ? PAGE_BYTES
                                                                 : header.used;
    page_seal(page, (enum page_type)header.type, header.level, header.table_id,
              header.pgno < FIRST_FREE_PAGE_NO ? FIRST_FREE_PAGE_NO : header.pgno,
              header.birth_gen, used, &ref);
    return ref.hash;
}

/* Hashes are found by their value: every page that holds the old one gets the new one,
 * and is sealed in its turn, up to the superblocks. */
static void seal_up(struct mutant *mutant, uint64_t from, uint64_t to)
{
    struct {
        uint64_t from;
        uint64_t to;
    } todo[64] = {{from, to}};
    uint32_t count = 1;
    for (uint32_t i = 0; i < count; i++) {
        for (uint64_t off = 2 * PAGE_BYTES; off < mutant->size; off += PAGE_BYTES) {
            uint8_t *page = mutant->bytes + off;
            uint64_t old = get_u64(page + 24);
            if (!replace_hash(page + 32, PAGE_BYTES - 32, todo[i].from, todo[i].to) ||
                get_u32(page + 8) != off / PAGE_BYTES || count == 64)
                continue;
            todo[count].from = old;
            todo[count++].to = seal_page(page);
        }
        for (uint64_t off = 0; off < 2 * PAGE_BYTES; off += PAGE_BYTES)
            if (replace_hash(mutant->bytes + off, 400, todo[i].from, todo[i].to))
                seal_superblock(mutant->bytes + off);
    }
}

static void change_sealed_page(struct mutant *mutant)
{
    uint8_t *page = some_page(mutant);
    struct page_header header;
    mutant->is_sealed = true;
    page_header_decode(page, &header);
    bool is_page = page >= mutant->bytes + 3 * PAGE_BYTES && header.type >= PAGE_LEAF &&
                   header.type <= PAGE_SPACE && header.used > 64 &&
                   header.used <= PAGE_BYTES;
    if (!is_page)
        return;
    uint64_t changes = 1 + roll(mutant, 3);
    for (uint64_t i = 0; i < changes; i++) {
        uint32_t bound = roll(mutant, 2) && header.used > 128 ? 64 : header.used - 64;
        uint8_t *at = page + 64 + roll(mutant, bound);
        *at = roll(mutant, 3) ? (uint8_t)roll(mutant, 256) : (uint8_t)(*at + 1);
    }
    if (roll(mutant, 8) == 0)
        page[roll(mutant, 16)] ^= (uint8_t)(1 << roll(mutant, 8));
    seal_up(mutant, header.hash, seal_page(page));
}

/* The last record: those behind it would not chain on. */
static void change_sealed_record(struct mutant *mutant)
{
    const struct specimen *specimen = mutant->specimen;
    struct record record;
    uint64_t off = specimen->records[roll(mutant, specimen->record_count)];
    uint8_t *at = mutant->bytes + off;
    mutant->is_sealed = true;
    if (!record_decode(at, mutant->size - off, &record) || record.stored_len == 0)
        return;
    uint64_t changes = 1 + roll(mutant, 3);
    for (uint64_t i = 0; i < changes; i++) {
        uint64_t bound = roll(mutant, 2) && record.stored_len > 40 ? 40
                                                                   : record.stored_len;
        at[RECORD_HEADER_BYTES + roll(mutant, bound)] = (uint8_t)roll(mutant, 256);
    }
    if (roll(mutant, 4) == 0)
        record.flags ^= RECORD_IS_LZ4;
    record_encode(&record,
                  record_payload_crc(at + RECORD_HEADER_BYTES, record.stored_len), at);
}

static void change_byte(struct mutant *mutant)
{
    mutant->bytes[roll(mutant, mutant->size)] ^= (uint8_t)(1 + roll(mutant, 255));
}

static void (*const damages[])(struct mutant *) = {
    change_byte, change_superblock, change_page_header, change_record,
    change_sector, zero_page, copy_page, swap_pages,
    age_page, cut_file, change_sealed_superblock, change_sealed_page,
    change_sealed_record,
};
enum { DAMAGES = sizeof damages / sizeof *damages, SEALED_FIRST = 10 };

/* ---- all ---- */

/* n chooses the place. */
static bool try_mutant(struct specimen *specimen, int damage, uint64_t n)
{
    struct mutant mutant = {.specimen = specimen, .size = specimen->size};
    mutant.random = n * 2 + 1;
    unit_random(&mutant.random);
    mutant.bytes = malloc(specimen->size);
    memcpy(mutant.bytes, specimen->bytes, specimen->size);
    struct story story = specimen->story;
    story.acked = specimen->in_trees;
    story_fork(&mutant.story, &story);
    /* Nothing bears witness of the last commit but a mark. */
    mutant.story.acked = specimen->story.begun - !specimen->is_marked;
    damages[damage](&mutant);
    open_and_use(&mutant);
    story_destroy(&mutant.story);
    free(mutant.bytes);
    if (mutant.story.wrong[0] != 0)
        unit_fail(__FILE__, __LINE__, "%s\n    DAMAGE=%llu,%d,%llu", mutant.story.wrong,
                  (unsigned long long)specimen->seed, damage, (unsigned long long)n);
    return mutant.is_refused;
}

static bool try_only(void)
{
    unsigned long long seed;
    unsigned long long n;
    int damage;
    struct specimen specimen;
    const char *only = getenv("DAMAGE");
    if (only == NULL || sscanf(only, "%llu,%d,%llu", &seed, &damage, &n) != 3)
        return false;
    make_specimen(&specimen, seed);
    try_mutant(&specimen, damage, n);
    destroy_specimen(&specimen);
    return true;
}

/* One kind of damage after the other, on a few files, until the time is over. */
static void try_damages(int first, int end)
{
    enum { MUTANTS = 200, TRIED_MIN = 8 };
    uint64_t seed = unit_seed() % 1000003;
    uint64_t until = story_now_ms() + story_budget_ms(BUDGET_MS);
    uint64_t tried = 0;
    uint64_t refused = 0;
    if (try_only())
        return;
    while (tried < TRIED_MIN || story_now_ms() < until) {
        struct specimen specimen;
        make_specimen(&specimen, seed++);
        for (uint64_t i = 0;
             i < MUTANTS && (tried < TRIED_MIN || story_now_ms() < until); i++, tried++) {
            int damage = first + (int)((i + seed) % (uint64_t)(end - first));
            refused += try_mutant(&specimen, damage, seed * 1000 + i);
        }
        destroy_specimen(&specimen);
    }
    if (getenv("VERBOSE"))
        printf("%llu files, %llu refused\n", (unsigned long long)tried,
               (unsigned long long)refused);
}

TEST(damage__is_refused_or_told_and_never_read)
{
    try_damages(0, SEALED_FIRST);
}

TEST(damage__with_right_checksums_crashes_nothing)
{
    try_damages(SEALED_FIRST, DAMAGES);
}
