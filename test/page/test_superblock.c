#include "page/hash.h"
#include "page/superblock.h"
#include "test/sim/disk.h"
#include "test/unit/unit.h"

#include <errno.h>

static struct superblock sample(void)
{
    struct superblock sb = {
        .version = SUPERBLOCK_VERSION,
        .page_bytes = PAGE_BYTES,
        .compatible = 1u << 5,
        .gen = 41,
        .gen_id = UINT64_C(0x1122334455667788),
        .previous_gen_id = UINT64_C(0x99aabbccddeeff00),
        .base = {.lsn = 5000, .epoch = 77, .prev_crc = 0xabcdef01, .extent_pgno = 3,
                 .extent_pages = 4, .extent_off = 640, .extent_number = 12},
        .catalog = {.hash = 9, .birth_gen = 40, .link_gen = 40, .pgno = 100, .hint = 3,
                    .level = 2, .type = PAGE_INNER},
        .space = {.hash = 8, .birth_gen = 41, .link_gen = 41, .pgno = 101,
                  .type = PAGE_SPACE},
        .page_count = 102,
        .needed_pages = 110,
        .spare_count = 2,
        .spares = {{.pgno = 20, .pages = 16}, {.pgno = 40, .pages = 16}},
    };
    memcpy(sb.uuid, "0123456789abcdef", 16);
    memcpy(sb.boot_id, "fedcba9876543210", 16);
    return sb;
}

/* Makes a slot with whatever bytes a test put there look whole. */
static void forge_checksum(uint8_t *slot)
{
    memset(slot + 16, 0, 16);
    hash128(slot, SUPERBLOCK_BYTES, slot + 16);
}

static enum superblock_verdict verdict_of(const struct superblock *sb)
{
    uint8_t slot[SUPERBLOCK_BYTES];
    struct superblock back;
    superblock_encode(sb, slot);
    return superblock_decode(slot, &back, NULL);
}

static enum superblock_verdict verdict_with_byte(size_t off, uint8_t byte)
{
    uint8_t slot[SUPERBLOCK_BYTES];
    struct superblock back;
    struct superblock sb = sample();
    superblock_encode(&sb, slot);
    slot[off] = byte;
    forge_checksum(slot);
    return superblock_decode(slot, &back, NULL);
}

TEST(superblock__round_trips)
{
    uint8_t slot[SUPERBLOCK_BYTES];
    uint8_t again[SUPERBLOCK_BYTES];
    struct superblock sb = sample();
    struct superblock back;
    const char *why = "";
    superblock_encode(&sb, slot);
    CHECK_EQ(superblock_decode(slot, &back, &why), SUPERBLOCK_GOOD);
    CHECK(why == NULL);
    superblock_encode(&back, again);
    CHECK(memcmp(slot, again, sizeof slot) == 0);
    CHECK(memcmp(&back.base, &sb.base, sizeof sb.base) == 0);
    CHECK_EQ(back.spares[1].pgno, 40);
    CHECK_EQ(back.compatible, sb.compatible);
    CHECK(memcmp(back.boot_id, sb.boot_id, 16) == 0);
}

TEST(superblock__round_trips_full_and_empty)
{
    struct superblock sb = sample();
    sb.spare_count = LOG_SPARE_MAX;
    for (uint32_t i = 0; i < LOG_SPARE_MAX; i++)
        sb.spares[i] = (struct log_spare){.pgno = 60 + i, .pages = 1};
    CHECK_EQ(verdict_of(&sb), SUPERBLOCK_GOOD);
    sb.spare_count = 0;
    memset(&sb.catalog, 0, sizeof sb.catalog);
    memset(&sb.space, 0, sizeof sb.space);
    CHECK_EQ(verdict_of(&sb), SUPERBLOCK_GOOD);
}

/* The bytes on disk are the contract between releases. */
TEST(superblock__lies_as_the_format_says)
{
    uint8_t slot[SUPERBLOCK_BYTES];
    struct superblock sb = sample();
    superblock_encode(&sb, slot);
    CHECK(memcmp(slot, "\x89Scrine\n", 8) == 0);
    CHECK_EQ(get_u32(slot + 8), 1);
    CHECK_EQ(get_u32(slot + 12), PAGE_BYTES);
    CHECK_EQ(get_u64(slot + 72), 41);
    CHECK_EQ(get_u64(slot + 96), 5000);
    CHECK_EQ(get_u64(slot + 112), 12);
    CHECK_EQ(get_u32(slot + 120), 0xabcdef01);
    CHECK_EQ(get_u32(slot + 132), 640);
    CHECK_EQ(get_u32(slot + 136), 102);
    CHECK_EQ(get_u32(slot + 160 + 24), 100);
    CHECK_EQ(get_u32(slot + 224), 2);
    CHECK_EQ(get_u32(slot + 256 + 8), 40);
}

TEST(superblock__notices_every_flipped_bit)
{
    uint8_t slot[SUPERBLOCK_BYTES];
    struct superblock sb = sample();
    struct superblock back;
    superblock_encode(&sb, slot);
    for (size_t bit = 0; bit < sizeof slot * 8; bit++) {
        slot[bit / 8] ^= (uint8_t)(1u << bit % 8);
        enum superblock_verdict verdict = superblock_decode(slot, &back, NULL);
        CHECK_EQ(verdict, bit < 64 ? SUPERBLOCK_FOREIGN : SUPERBLOCK_BROKEN);
        slot[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

TEST(superblock__notices_every_cut)
{
    uint8_t slot[SUPERBLOCK_BYTES];
    uint8_t old[SUPERBLOCK_BYTES];
    struct superblock sb = sample();
    struct superblock back;
    superblock_encode(&sb, old);
    sb.gen += 2;
    sb.base.lsn += 100;
    superblock_encode(&sb, slot);
    for (size_t cut = 0; cut < SUPERBLOCK_BYTES; cut += 8) {
        uint8_t torn[SUPERBLOCK_BYTES] = {0};
        memcpy(torn, slot, cut);
        enum superblock_verdict verdict = superblock_decode(torn, &back, NULL);
        CHECK(verdict != SUPERBLOCK_NEWER);
        CHECK(verdict != SUPERBLOCK_GOOD || memcmp(torn, slot, sizeof torn) == 0);
        memcpy(torn, old, sizeof torn);
        memcpy(torn, slot, cut);
        verdict = superblock_decode(torn, &back, NULL);
        bool is_whole = memcmp(torn, slot, sizeof torn) == 0;
        is_whole |= memcmp(torn, old, sizeof torn) == 0;
        CHECK_EQ(verdict, is_whole ? SUPERBLOCK_GOOD : SUPERBLOCK_BROKEN);
    }
}

TEST(superblock__tells_blank_from_foreign)
{
    uint8_t slot[SUPERBLOCK_BYTES] = {0};
    struct superblock back;
    const char *why = "";
    CHECK_EQ(superblock_decode(slot, &back, &why), SUPERBLOCK_BLANK);
    CHECK(why == NULL);
    memcpy(slot, "SQLite format 3", 16);
    CHECK_EQ(superblock_decode(slot, &back, &why), SUPERBLOCK_FOREIGN);
    CHECK(why != NULL);
}

TEST(superblock__names_what_is_newer)
{
    uint8_t slot[SUPERBLOCK_BYTES];
    struct superblock back;
    struct superblock sb = sample();
    sb.version = SUPERBLOCK_VERSION + 1;
    sb.spare_count = 0;
    superblock_encode(&sb, slot);
    slot[4000] = 1; /* a newer version may use what we reserve */
    forge_checksum(slot);
    CHECK_EQ(superblock_decode(slot, &back, NULL), SUPERBLOCK_NEWER);
    CHECK_EQ(superblock_say_newer(&back), SCN_VERSION);
    CHECK(strstr(error_last()->text, "version 2") != NULL);

    sb = sample();
    sb.page_bytes = PAGE_BYTES / 2;
    CHECK_EQ(verdict_of(&sb), SUPERBLOCK_NEWER);
    CHECK_EQ(superblock_say_newer(&sb), SCN_VERSION);
    CHECK(strstr(error_last()->text, "pages of") != NULL);

    sb = sample();
    sb.incompatible = 0x40;
    CHECK_EQ(verdict_of(&sb), SUPERBLOCK_NEWER);
    CHECK_EQ(superblock_say_newer(&sb), SCN_VERSION);
    CHECK(strstr(error_last()->text, "0x40") != NULL);
}

TEST(superblock__broken_newer_slots_are_broken)
{
    uint8_t slot[SUPERBLOCK_BYTES];
    struct superblock back;
    struct superblock sb = sample();
    sb.version = SUPERBLOCK_VERSION + 1;
    superblock_encode(&sb, slot);
    slot[700] ^= 1;
    CHECK_EQ(superblock_decode(slot, &back, NULL), SUPERBLOCK_BROKEN);
    CHECK_EQ(back.gen, 41); /* what [H2] calls probable */
}

TEST(superblock__unknown_read_compatible_features_forbid_writing_only)
{
    struct superblock sb = sample();
    CHECK(!superblock_is_read_only(&sb));
    sb.read_compatible = 2;
    CHECK_EQ(verdict_of(&sb), SUPERBLOCK_GOOD);
    CHECK(superblock_is_read_only(&sb));
    CHECK_EQ(superblock_say_newer(&sb), SCN_VERSION);
    CHECK(strstr(error_last()->text, "reading") != NULL);
}

TEST(superblock__every_reserved_byte_is_checked)
{
    for (size_t off = 236; off < 256; off++)
        CHECK_EQ(verdict_with_byte(off, 1), SUPERBLOCK_BROKEN);
    for (size_t off = 256 + 2 * 8; off < SUPERBLOCK_BYTES; off++)
        CHECK_EQ(verdict_with_byte(off, 0x80), SUPERBLOCK_BROKEN);
}

#define CHECK_BROKEN_WITH(change)                                                        \
    do {                                                                                 \
        struct superblock sb = sample();                                                 \
        change;                                                                          \
        CHECK_EQ(verdict_of(&sb), SUPERBLOCK_BROKEN);                                    \
    } while (0)

TEST(superblock__impossible_fields_are_broken)
{
    CHECK_BROKEN_WITH(sb.gen = SUPERBLOCK_GEN_MAX + 1);
    CHECK_BROKEN_WITH(sb.version = 0);
    CHECK_BROKEN_WITH(sb.page_count = FILE_PAGES_MAX + 1u);
    CHECK_BROKEN_WITH(sb.page_count = 2);
    CHECK_BROKEN_WITH(sb.needed_pages = FILE_PAGES_MAX + 1u);
    CHECK_BROKEN_WITH(sb.base.extent_pgno = FILE_PAGES_MAX);
    CHECK_BROKEN_WITH(sb.base.extent_pgno = PUBLISH_PAGE_NO);
    CHECK_BROKEN_WITH(sb.base.extent_pages = UINT32_MAX);
    CHECK_BROKEN_WITH(sb.base.extent_pages = 0);
    CHECK_BROKEN_WITH(sb.base.extent_off = 4 * PAGE_BYTES + 1);
    CHECK_BROKEN_WITH(sb.base.extent_off = LOG_EXTENT_HEADER_BYTES - 1);
    CHECK_BROKEN_WITH(sb.spares[1].pgno = FILE_PAGES_MAX);
    CHECK_BROKEN_WITH(sb.spares[1].pgno = 0);
    CHECK_BROKEN_WITH(sb.spares[0].pages = 0);
    CHECK_BROKEN_WITH(sb.spares[0].pages = UINT32_MAX);
}

/* Without pages that are younger than it, everything else could be. */
TEST(superblock__generation_0_is_broken)
{
    struct superblock sb = sample();
    memset(&sb.catalog, 0, sizeof sb.catalog);
    memset(&sb.space, 0, sizeof sb.space);
    sb.page_count = sb.needed_pages;
    CHECK_EQ(verdict_of(&sb), SUPERBLOCK_GOOD);
    sb.gen = 0;
    CHECK_EQ(verdict_of(&sb), SUPERBLOCK_BROKEN);
}

TEST(superblock__impossible_pointers_are_broken)
{
    CHECK_BROKEN_WITH(sb.catalog.pgno = 0);
    CHECK_BROKEN_WITH(sb.catalog.pgno = 1);
    CHECK_BROKEN_WITH(sb.catalog.pgno = sb.page_count);
    CHECK_BROKEN_WITH(sb.catalog.pgno = FILE_PAGES_MAX);
    CHECK_BROKEN_WITH(sb.catalog.type = PAGE_VALUES);
    CHECK_BROKEN_WITH(sb.catalog.type = PAGE_LEAF);
    CHECK_BROKEN_WITH(sb.catalog.level = 0);
    CHECK_BROKEN_WITH(sb.catalog.level = TREE_LEVEL_MAX);
    CHECK_BROKEN_WITH(sb.catalog.birth_gen = sb.gen + 1);
    CHECK_BROKEN_WITH(sb.space.pgno = 0);
    CHECK_BROKEN_WITH(sb.space.pgno = sb.page_count);
    CHECK_BROKEN_WITH(sb.space.type = PAGE_LEAF);
    CHECK_BROKEN_WITH(sb.space.level = 1);
}

TEST(superblock__claims_no_more_used_pages_without_a_list_than_the_file_needs)
{
    CHECK_BROKEN_WITH(memset(&sb.space, 0, sizeof sb.space);
                      sb.page_count = sb.needed_pages + 1);
}

TEST(superblock__a_spare_count_beyond_the_slot_is_broken)
{
    for (unsigned byte = 65; byte < 256; byte++)
        CHECK_EQ(verdict_with_byte(224, (uint8_t)byte), SUPERBLOCK_BROKEN);
    for (size_t off = 225; off < 228; off++)
        CHECK_EQ(verdict_with_byte(off, 0xff), SUPERBLOCK_BROKEN);
}

/* Forged slots with right checksums: any verdict is fine, a wild read is not. */
TEST(superblock__survives_any_bytes)
{
    uint64_t state = unit_seed();
    uint8_t slot[SUPERBLOCK_BYTES];
    struct superblock back;
    for (int round = 0; round < 5000; round++) {
        struct superblock sb = sample();
        superblock_encode(&sb, slot);
        for (int i = 0; i < 3; i++)
            slot[32 + unit_random(&state) % 300] = (uint8_t)unit_random(&state);
        forge_checksum(slot);
        enum superblock_verdict verdict = superblock_decode(slot, &back, NULL);
        CHECK(verdict == SUPERBLOCK_NEWER || verdict == SUPERBLOCK_BROKEN ||
              (verdict == SUPERBLOCK_GOOD && back.spare_count <= LOG_SPARE_MAX));
    }
}

/* ---- in a file ---- */

enum { FILE_BYTES = 4 * PAGE_BYTES };

struct bench {
    struct sim_disk *disk;
    struct sys *sys;
    struct file file;
};

/* Slot 0 holds generation 40. */
static void bench_open(struct bench *bench)
{
    static uint8_t zeros[FILE_BYTES];
    struct superblock sb = sample();
    sb.gen = 40;
    sb.space.birth_gen = 40;
    bench->disk = sim_disk_create(3);
    bench->sys = sim_process_create(bench->disk);
    sim_put_file(bench->disk, "/d/store", zeros, sizeof zeros);
    CHECK_OK(file_open(&bench->file, bench->sys, "/d/store", false));
    CHECK_OK(superblock_write(&bench->file, &sb));
}

static void bench_close(struct bench *bench)
{
    file_close(&bench->file);
    sim_process_destroy(bench->sys);
    sim_disk_destroy(bench->disk);
}

static enum superblock_verdict read_slot(struct file *file, uint32_t slot_idx,
                                         struct superblock *out)
{
    enum superblock_verdict verdict;
    const char *why;
    CHECK_OK(superblock_read(file, slot_idx, out, &verdict, &why));
    CHECK((why == NULL) == (verdict == SUPERBLOCK_GOOD || verdict == SUPERBLOCK_BLANK));
    return verdict;
}

/* What a file of these bytes says of both slots. */
static void check_file(const void *bytes, uint64_t len, enum superblock_verdict first,
                       enum superblock_verdict second)
{
    struct sim_disk *disk = sim_disk_create(1);
    struct sys *sys = sim_process_create(disk);
    struct superblock sb;
    struct file file;
    sim_put_file(disk, "/d/store", bytes, len);
    CHECK_OK(file_open(&file, sys, "/d/store", true));
    CHECK_EQ(read_slot(&file, 0, &sb), first);
    CHECK_EQ(read_slot(&file, 1, &sb), second);
    file_close(&file);
    sim_process_destroy(sys);
    sim_disk_destroy(disk);
}

TEST(superblock__each_generation_has_its_slot)
{
    struct bench bench;
    struct superblock sb = sample();
    struct superblock back;
    bench_open(&bench);
    CHECK_EQ(read_slot(&bench.file, 1, &back), SUPERBLOCK_BLANK);
    CHECK_OK(superblock_write(&bench.file, &sb));
    CHECK_EQ(sim_pending(bench.disk, false), 0);
    CHECK_EQ(read_slot(&bench.file, 0, &back), SUPERBLOCK_GOOD);
    CHECK_EQ(back.gen, 40);
    CHECK_EQ(read_slot(&bench.file, 1, &back), SUPERBLOCK_GOOD);
    CHECK_EQ(back.gen, 41);
    bench_close(&bench);
}

TEST(superblock__a_slot_in_the_other_place_is_broken)
{
    uint8_t bytes[PAGE_BYTES + SUPERBLOCK_BYTES] = {0};
    struct superblock sb = sample();
    superblock_encode(&sb, bytes);
    check_file(bytes, sizeof bytes, SUPERBLOCK_BROKEN, SUPERBLOCK_BLANK);
}

TEST(superblock__short_files_are_judged_by_what_they_hold)
{
    uint8_t slot[SUPERBLOCK_BYTES];
    struct superblock sb = sample();
    sb.gen = 42;
    superblock_encode(&sb, slot);
    check_file("", 0, SUPERBLOCK_BLANK, SUPERBLOCK_BLANK);
    check_file("hello", 5, SUPERBLOCK_FOREIGN, SUPERBLOCK_BLANK);
    check_file(slot, 200, SUPERBLOCK_BROKEN, SUPERBLOCK_BLANK);
    check_file(slot, sizeof slot, SUPERBLOCK_GOOD, SUPERBLOCK_BLANK);
}

static uint64_t newest_gen(struct sim_disk *disk)
{
    struct sys *sys = sim_process_create(disk);
    struct file file;
    uint64_t gen = 0;
    CHECK_OK(file_open(&file, sys, "/d/store", true));
    for (uint32_t slot_idx = 0; slot_idx < 2; slot_idx++) {
        struct superblock sb;
        bool is_good = read_slot(&file, slot_idx, &sb) == SUPERBLOCK_GOOD;
        if (is_good && sb.gen > gen)
            gen = sb.gen;
    }
    file_close(&file);
    sim_process_destroy(sys);
    return gen;
}

struct gens {
    uint32_t seen[64];
};

static void note_gen(void *ctx, struct sim_disk *crashed, const struct sim_choice *choice)
{
    struct gens *gens = ctx;
    (void)choice;
    gens->seen[newest_gen(crashed)]++;
}

static void crash_before_sync(void *ctx, struct sim_disk *disk, enum sim_call call,
                              enum sim_moment moment)
{
    struct sim_plan plan = {.by_sector = true, .random_count = 100, .seed = unit_seed()};
    if (call == SIM_SYNC && moment == SIM_BEFORE_SYNC)
        sim_each_crash(disk, &plan, note_gen, ctx);
}

TEST(superblock__a_power_cut_leaves_the_old_or_the_new_generation)
{
    struct bench bench;
    struct gens gens = {{0}};
    struct superblock sb = sample();
    bench_open(&bench);
    sb.spare_count = LOG_SPARE_MAX; /* fills more than one sector */
    for (uint32_t i = 0; i < LOG_SPARE_MAX; i++)
        sb.spares[i] = (struct log_spare){.pgno = 60 + i, .pages = 1};
    sim_hook_set(bench.disk, crash_before_sync, &gens);
    CHECK_OK(superblock_write(&bench.file, &sb));
    sim_hook_set(bench.disk, NULL, NULL);
    CHECK(gens.seen[40] > 1);
    CHECK(gens.seen[41] > 0);
    for (int gen = 0; gen < 64; gen++)
        CHECK(gen == 40 || gen == 41 || gens.seen[gen] == 0);
    CHECK_EQ(newest_gen(bench.disk), 41);
    bench_close(&bench);
}

TEST(superblock__a_failed_write_poisons_and_leaves_the_other_slot)
{
    struct bench bench;
    struct superblock sb = sample();
    struct superblock back;
    struct sim_fault fault = {
        .kind = SIM_FAIL, .call = SIM_WRITE, .nth = 1, .error = EIO, .len = 100};
    bench_open(&bench);
    sim_fault_set(bench.sys, &fault);
    CHECK_EQ(superblock_write(&bench.file, &sb), SCN_IO);
    CHECK(file_is_poisoned(&bench.file));
    CHECK_EQ(read_slot(&bench.file, 1, &back), SUPERBLOCK_BROKEN);
    CHECK_EQ(read_slot(&bench.file, 0, &back), SUPERBLOCK_GOOD);
    CHECK_EQ(superblock_write(&bench.file, &sb), SCN_POISONED);
    bench_close(&bench);
}

TEST(superblock__a_failed_sync_poisons)
{
    struct bench bench;
    struct superblock sb = sample();
    struct sim_fault fault = {.kind = SIM_FAIL, .call = SIM_SYNC, .nth = 1, .error = EIO};
    bench_open(&bench);
    sim_fault_set(bench.sys, &fault);
    CHECK(superblock_write(&bench.file, &sb) < 0);
    CHECK(file_is_poisoned(&bench.file));
    CHECK_EQ(superblock_write(&bench.file, &sb), SCN_POISONED);
    bench_close(&bench);
}

TEST(superblock__what_could_not_be_read_is_not_written)
{
    struct bench bench;
    struct superblock sb = sample();
    struct superblock back;
    bench_open(&bench);
    sb.catalog.pgno = sb.page_count;
    CHECK_EQ(superblock_write(&bench.file, &sb), SCN_POISONED);
    CHECK(strstr(error_last()->text, "catalog") != NULL);
    CHECK_EQ(read_slot(&bench.file, 1, &back), SUPERBLOCK_BLANK);
    CHECK(file_is_poisoned(&bench.file));
    bench_close(&bench);
}

TEST(superblock__is_not_written_with_unknown_features)
{
    struct bench bench;
    struct superblock sb = sample();
    struct superblock back;
    bench_open(&bench);
    sb.read_compatible = 8;
    CHECK_EQ(superblock_write(&bench.file, &sb), SCN_VERSION);
    CHECK_EQ(read_slot(&bench.file, 1, &back), SUPERBLOCK_BLANK);
    CHECK(!file_is_poisoned(&bench.file));
    bench_close(&bench);
}

TEST(superblock__a_bit_flipped_on_the_way_is_noticed_and_read_again)
{
    struct bench bench;
    struct superblock back;
    bench_open(&bench);
    for (uint64_t bit = 0; bit < SUPERBLOCK_BYTES * 8; bit += 97) {
        struct sim_fault fault = {
            .kind = SIM_FLIP, .call = SIM_READ, .nth = 1, .bit = bit};
        sim_fault_set(bench.sys, &fault);
        CHECK_EQ(read_slot(&bench.file, 0, &back), SUPERBLOCK_GOOD);
        CHECK_EQ(sim_fault_hits(bench.sys), 1);
        fault.is_forever = true;
        sim_fault_set(bench.sys, &fault);
        CHECK(read_slot(&bench.file, 0, &back) != SUPERBLOCK_GOOD);
        sim_fault_clear(bench.sys);
    }
    bench_close(&bench);
}

TEST(superblock__an_unreadable_slot_is_an_error_and_not_a_verdict)
{
    struct bench bench;
    struct superblock back;
    enum superblock_verdict verdict;
    bench_open(&bench);
    struct sim_fault fault = {.kind = SIM_FAIL, .call = SIM_READ, .nth = 1, .error = EIO};
    sim_fault_set(bench.sys, &fault);
    CHECK_EQ(superblock_read(&bench.file, 0, &back, &verdict, NULL), SCN_IO);
    fault.call = SIM_STAT;
    sim_fault_set(bench.sys, &fault);
    CHECK_EQ(superblock_read(&bench.file, 0, &back, &verdict, NULL), SCN_IO);
    bench_close(&bench);
}

/* Its bytes are in the page cache, clean, as if all had gone well. */
TEST(superblock__of_a_failed_sync_is_not_believed)
{
    struct bench bench;
    struct superblock sb = sample();
    struct superblock back;
    uint8_t cached[SUPERBLOCK_BYTES];
    struct sim_fault fault = {SIM_FAIL, SIM_SYNC, .nth = 1, .error = EIO};
    bench_open(&bench);
    sim_fault_set(bench.sys, &fault);
    CHECK_EQ(superblock_write(&bench.file, &sb), SCN_IO);
    sim_fault_clear(bench.sys);
    CHECK_OK(file_read(&bench.file, PAGE_BYTES, cached, sizeof cached, 0));
    CHECK_EQ(superblock_decode(cached, &back, NULL), SUPERBLOCK_GOOD);
    CHECK_EQ(read_slot(&bench.file, 1, &back), SUPERBLOCK_BLANK);
    CHECK_EQ(read_slot(&bench.file, 0, &back), SUPERBLOCK_GOOD);
    bench_close(&bench);
}
