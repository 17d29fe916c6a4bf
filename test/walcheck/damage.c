/* Damage: see damage.h. */
#include "test/walcheck/damage.h"

#include "page/superblock.h"
#include "test/sim/disk.h"
#include "test/unit/unit.h"

#include <time.h>

enum { SECTOR = 512, BUDGET_MS = 700, TRIED_MIN = 8, WRONG_MAX = 5 };

static const char *const names[DAMAGE_KINDS] = {"bit",     "zero",  "garbage", "swap",
                                                "replace", "stale", "hole",    "cut",
                                                "foreign", "uuid"};

const char *damage_name(enum damage_kind kind)
{
    return names[kind];
}

/* The same commits on another disk, whose chance is another. */
static void make_foreign(struct damage *damage)
{
    struct sim_disk *disk = sim_disk_create(21);
    struct sys *sys = sim_process_create(disk);
    scn_db *db;
    CHECK_OK(reference_open(sys, 0, &db));
    for (uint32_t n = 1; n <= damage->reference.commits; n++)
        CHECK_OK(reference_commit(db, n));
    CHECK_OK(scn_close(db));
    CHECK(sim_file_size(disk, REFERENCE_PATH, &damage->foreign_size));
    damage->foreign = malloc(damage->foreign_size);
    CHECK(damage->foreign != NULL);
    CHECK(sim_peek(disk, REFERENCE_PATH, 0, damage->foreign, damage->foreign_size));
    sim_process_destroy(sys);
    sim_disk_destroy(disk);
}

void damage_open(struct damage *damage)
{
    *damage = (struct damage){0};
    reference_make(&damage->reference);
    make_foreign(damage);
}

void damage_close(struct damage *damage)
{
    reference_destroy(&damage->reference);
    free(damage->foreign);
}

uint64_t damage_count(const struct damage *damage, enum damage_kind kind)
{
    uint64_t size = damage->reference.now.size;
    uint64_t pages = size / PAGE_BYTES;
    switch (kind) {
    case DAMAGE_BIT:
        return size * 8;
    case DAMAGE_ZERO:
    case DAMAGE_GARBAGE:
    case DAMAGE_CUT:
        return size / SECTOR;
    case DAMAGE_SWAP:
    case DAMAGE_REPLACE:
        return pages * pages;
    case DAMAGE_STALE:
        return pages * damage->reference.older_count;
    case DAMAGE_UUID:
        return 3;
    default:
        return pages;
    }
}

static void swap_pages(uint8_t *a, uint8_t *b)
{
    static uint8_t page[PAGE_BYTES];
    memcpy(page, a, PAGE_BYTES);
    memcpy(a, b, PAGE_BYTES);
    memcpy(b, page, PAGE_BYTES);
}

static bool put_page(uint8_t *to, const uint8_t *bytes, uint64_t size, uint64_t off)
{
    if (off + PAGE_BYTES <= size)
        memcpy(to, bytes + off, PAGE_BYTES);
    return off + PAGE_BYTES <= size;
}

/* n: bit i, slot i. */
static void change_uuid(uint8_t *bytes, uint64_t n)
{
    for (uint32_t i = 0; i < 2; i++) {
        struct superblock sb;
        if (!((n + 1) >> i & 1) ||
            superblock_decode(bytes + i * PAGE_BYTES, &sb, NULL) != SUPERBLOCK_GOOD)
            continue;
        sb.uuid[3] ^= 0x40;
        superblock_encode(&sb, bytes + i * PAGE_BYTES);
    }
}

static void spoil_sector(uint8_t *sector, enum damage_kind kind, uint64_t n)
{
    for (uint32_t i = 0; i < SECTOR; i++)
        sector[i] = kind == DAMAGE_ZERO ? 0 : (uint8_t)(i * 167 + n);
}

static bool apply(const struct damage *damage, enum damage_kind kind, uint64_t n,
                  uint8_t *bytes, uint64_t *size)
{
    uint64_t pages = damage->reference.now.size / PAGE_BYTES;
    uint64_t at = n % pages * PAGE_BYTES;
    const struct reference_image *older = damage->reference.older;
    switch (kind) {
    case DAMAGE_BIT:
        bytes[n / 8] ^= (uint8_t)(1u << n % 8);
        return true;
    case DAMAGE_ZERO:
    case DAMAGE_GARBAGE:
        spoil_sector(bytes + n * SECTOR, kind, n);
        return true;
    case DAMAGE_SWAP:
        swap_pages(bytes + at, bytes + n / pages * PAGE_BYTES);
        return n % pages > n / pages;
    case DAMAGE_REPLACE:
        memcpy(bytes + at, damage->reference.now.bytes + n / pages * PAGE_BYTES,
               PAGE_BYTES);
        return true;
    case DAMAGE_STALE:
        return put_page(bytes + at, older[n / pages].bytes, older[n / pages].size, at);
    case DAMAGE_HOLE:
        memset(bytes + at, 0, PAGE_BYTES);
        return true;
    case DAMAGE_CUT:
        *size = n * SECTOR;
        return true;
    case DAMAGE_FOREIGN:
        return put_page(bytes + at, damage->foreign, damage->foreign_size, at);
    default:
        change_uuid(bytes, n);
        return true;
    }
}

bool damage_apply(const struct damage *damage, enum damage_kind kind, uint64_t n,
                  uint8_t *bytes, uint64_t *size)
{
    const struct reference_image *now = &damage->reference.now;
    bool is_applied = apply(damage, kind, n, bytes, size);
    return is_applied && (*size != now->size || memcmp(bytes, now->bytes, *size) != 0);
}

static bool has_common_factor(uint64_t a, uint64_t b)
{
    while (b) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a != 1;
}

/* Golden distances. */
uint64_t damage_pick(uint64_t count, uint64_t i, uint64_t seed)
{
    uint64_t stride = (uint64_t)((double)count * 0.6180339887) | 1;
    while (has_common_factor(count, stride))
        stride += 2;
    return (seed % count + i % count * (stride % count)) % count;
}

/* ---- many variants ---- */

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint64_t budget_ms(void)
{
    const char *given = getenv("BUDGET_MS");
    return given ? strtoull(given, NULL, 10) : BUDGET_MS;
}

struct walk {
    const struct damage *damage;
    enum damage_kind kind;
    const char *wish;
    bool (*is_right)(const struct damage *, const uint8_t *, uint64_t);
    uint64_t tried;
    uint64_t wrong;
};

static void try_one(struct walk *walk, uint64_t n)
{
    const struct reference_image *now = &walk->damage->reference.now;
    uint64_t size = now->size;
    uint8_t *bytes = malloc(size);
    CHECK(bytes != NULL);
    memcpy(bytes, now->bytes, size);
    if (damage_apply(walk->damage, walk->kind, n, bytes, &size)) {
        walk->tried++;
        if (!walk->is_right(walk->damage, bytes, size) && walk->wrong++ < WRONG_MAX)
            printf("    %s=%s,%llu\n", walk->wish, damage_name(walk->kind),
                   (unsigned long long)n);
    }
    free(bytes);
}

static void try_some(struct walk *walk, bool are_all)
{
    uint64_t count = damage_count(walk->damage, walk->kind);
    uint64_t until = now_ms() + budget_ms();
    uint64_t seed = unit_seed();
    for (uint64_t i = 0; i < count; i++) {
        if (!are_all && walk->tried > TRIED_MIN && now_ms() > until)
            break;
        try_one(walk, damage_pick(count, i, seed));
    }
}

static void walk_wished(struct walk *walk)
{
    const char *text = getenv(walk->wish);
    size_t len = strlen(damage_name(walk->kind));
    if (text == NULL || strcmp(text, "all") == 0)
        try_some(walk, text != NULL);
    else if (strncmp(text, damage_name(walk->kind), len) == 0 && text[len] == ',')
        try_one(walk, strtoull(text + len + 1, NULL, 10));
    else if (strcmp(text, damage_name(walk->kind)) == 0)
        try_some(walk, getenv("BUDGET_MS") == NULL);
}

void damage_walk(enum damage_kind kind, const char *wish,
                 bool (*is_right)(const struct damage *damage, const uint8_t *bytes,
                                  uint64_t size))
{
    struct damage damage;
    struct walk walk = {&damage, kind, wish, is_right, 0, 0};
    damage_open(&damage);
    walk_wished(&walk);
    if (getenv("VERBOSE"))
        printf("%-8s %llu of %llu, %llu wrong\n", damage_name(kind),
               (unsigned long long)walk.tried,
               (unsigned long long)damage_count(&damage, kind),
               (unsigned long long)walk.wrong);
    damage_close(&damage);
    CHECK_EQ(walk.wrong, 0);
}
