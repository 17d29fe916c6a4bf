/* The superblock as bytes.
 *
 * Byte table: docs/format.md, "Superblock".  The order in which a slot is judged matters,
 * for each step believes only what the steps before it have proved:
 *
 *     magic      not ours: say so, and touch nothing
 *     checksum   wrong: torn or rotten; no field means anything
 *     version    newer than we are: the fields behind the feature words may mean anything
 *     page size  another build's file: nothing is wrong with it
 *     features   unknown bits that change what the rest means
 *     fields     ours, and yet impossible: a bug of a writer, or a forged file
 *
 * So magic, version, page size, checksum and feature words stay where they are in every
 * version. */
#include "page/superblock.h"

#include "page/hash.h"

enum {
    AT_MAGIC = 0,
    AT_VERSION = 8,
    AT_PAGE_BYTES = 12,
    AT_CHECKSUM = 16,
    AT_UUID = 32,
    AT_INCOMPATIBLE = 48,
    AT_READ_COMPATIBLE = 56,
    AT_COMPATIBLE = 64,
    AT_GEN = 72,
    AT_GEN_ID = 80,
    AT_PREVIOUS_GEN_ID = 88,
    AT_BASE = 96,
    AT_PAGE_COUNT = 136,
    AT_NEEDED_PAGES = 140,
    AT_BOOT_ID = 144,
    AT_CATALOG = 160,
    AT_SPACE = 192,
    AT_SPARE_COUNT = 224,
    AT_USED_PAGES = 228,
    AT_FREED_PAGES = 232,
    AT_RESERVED = 236,
    AT_SPARES = 256,

    MAGIC_BYTES = 8,
    CHECKSUM_BYTES = 16,
    BASE_BYTES = 40,
    SPARE_BYTES = 8
};

_Static_assert(AT_BASE + BASE_BYTES == AT_PAGE_COUNT, "the base fills its place");
_Static_assert(AT_CATALOG + PAGE_REF_BYTES == AT_SPACE, "a pointer fills its place");
_Static_assert(AT_SPACE + PAGE_REF_BYTES == AT_SPARE_COUNT, "a pointer fills its place");
_Static_assert(AT_SPARES + LOG_SPARE_MAX * SPARE_BYTES <= SUPERBLOCK_BYTES, "spares fit");

/* Not text, and spoilt by whatever translates line ends or strips the eighth bit. */
static const uint8_t magic[MAGIC_BYTES] = {0x89, 'S', 'c', 'r', 'i', 'n', 'e', '\n'};

static void base_encode(const struct log_base *base, uint8_t *at)
{
    put_u64(at, base->lsn);
    put_u64(at + 8, base->epoch);
    put_u64(at + 16, base->extent_number);
    put_u32(at + 24, base->prev_crc);
    put_u32(at + 28, base->extent_pgno);
    put_u32(at + 32, base->extent_pages);
    put_u32(at + 36, base->extent_off);
}

static void base_decode(const uint8_t *at, struct log_base *out)
{
    out->lsn = get_u64(at);
    out->epoch = get_u64(at + 8);
    out->extent_number = get_u64(at + 16);
    out->prev_crc = get_u32(at + 24);
    out->extent_pgno = get_u32(at + 28);
    out->extent_pages = get_u32(at + 32);
    out->extent_off = get_u32(at + 36);
}

static void spares_encode(const struct superblock *sb, uint8_t *slot)
{
    ASSERT(sb->spare_count <= LOG_SPARE_MAX);
    put_u32(slot + AT_SPARE_COUNT, sb->spare_count);
    for (uint32_t i = 0; i < sb->spare_count && i < LOG_SPARE_MAX; i++) {
        uint8_t *at = slot + AT_SPARES + i * SPARE_BYTES;
        put_u32(at, sb->spares[i].pgno);
        put_u32(at + 4, sb->spares[i].pages);
    }
}

static void spares_decode(const uint8_t *slot, struct superblock *out)
{
    out->spare_count = get_u32(slot + AT_SPARE_COUNT);
    for (uint32_t i = 0; i < out->spare_count && i < LOG_SPARE_MAX; i++) {
        const uint8_t *at = slot + AT_SPARES + i * SPARE_BYTES;
        out->spares[i].pgno = get_u32(at);
        out->spares[i].pages = get_u32(at + 4);
    }
}

/* Over the slot with the checksum's own place taken as zero. */
static void checksum_of(const uint8_t *slot, uint8_t out[CHECKSUM_BYTES])
{
    uint8_t image[SUPERBLOCK_BYTES];
    memcpy(image, slot, SUPERBLOCK_BYTES);
    memset(image + AT_CHECKSUM, 0, CHECKSUM_BYTES);
    hash128(image, SUPERBLOCK_BYTES, out);
}

void superblock_encode(const struct superblock *sb, uint8_t slot[SUPERBLOCK_BYTES])
{
    memset(slot, 0, SUPERBLOCK_BYTES);
    memcpy(slot + AT_MAGIC, magic, MAGIC_BYTES);
    put_u32(slot + AT_VERSION, sb->version);
    put_u32(slot + AT_PAGE_BYTES, sb->page_bytes);
    memcpy(slot + AT_UUID, sb->uuid, sizeof sb->uuid);
    put_u64(slot + AT_INCOMPATIBLE, sb->incompatible);
    put_u64(slot + AT_READ_COMPATIBLE, sb->read_compatible);
    put_u64(slot + AT_COMPATIBLE, sb->compatible);
    put_u64(slot + AT_GEN, sb->gen);
    put_u64(slot + AT_GEN_ID, sb->gen_id);
    put_u64(slot + AT_PREVIOUS_GEN_ID, sb->previous_gen_id);
    base_encode(&sb->base, slot + AT_BASE);
    put_u32(slot + AT_PAGE_COUNT, sb->page_count);
    put_u32(slot + AT_NEEDED_PAGES, sb->needed_pages);
    put_u32(slot + AT_USED_PAGES, sb->used_pages);
    put_u32(slot + AT_FREED_PAGES, sb->freed_pages);
    memcpy(slot + AT_BOOT_ID, sb->boot_id, sizeof sb->boot_id);
    page_ref_encode(&sb->catalog, slot + AT_CATALOG);
    page_ref_encode(&sb->space, slot + AT_SPACE);
    spares_encode(sb, slot);
    checksum_of(slot, slot + AT_CHECKSUM);
}

static void fields_decode(const uint8_t *slot, struct superblock *out)
{
    out->version = get_u32(slot + AT_VERSION);
    out->page_bytes = get_u32(slot + AT_PAGE_BYTES);
    memcpy(out->uuid, slot + AT_UUID, sizeof out->uuid);
    out->incompatible = get_u64(slot + AT_INCOMPATIBLE);
    out->read_compatible = get_u64(slot + AT_READ_COMPATIBLE);
    out->compatible = get_u64(slot + AT_COMPATIBLE);
    out->gen = get_u64(slot + AT_GEN);
    out->gen_id = get_u64(slot + AT_GEN_ID);
    out->previous_gen_id = get_u64(slot + AT_PREVIOUS_GEN_ID);
    base_decode(slot + AT_BASE, &out->base);
    out->page_count = get_u32(slot + AT_PAGE_COUNT);
    out->needed_pages = get_u32(slot + AT_NEEDED_PAGES);
    out->used_pages = get_u32(slot + AT_USED_PAGES);
    out->freed_pages = get_u32(slot + AT_FREED_PAGES);
    memcpy(out->boot_id, slot + AT_BOOT_ID, sizeof out->boot_id);
    out->catalog = page_ref_decode(slot + AT_CATALOG);
    out->space = page_ref_decode(slot + AT_SPACE);
    spares_decode(slot, out);
}

/* Behind the fixed pages and within what 32-bit page numbers may address. */
static bool is_page_range(uint32_t pgno, uint32_t pages)
{
    uint64_t end = (uint64_t)pgno + pages;
    return pgno >= FIRST_FREE_PAGE_NO && pages > 0 && end <= FILE_PAGES_MAX;
}

static const char *judge_reserved(const struct superblock *sb, const uint8_t *slot)
{
    uint32_t spares_end = AT_SPARES + sb->spare_count * SPARE_BYTES;
    if (!bytes_are_zero(slot + AT_RESERVED, AT_SPARES - AT_RESERVED))
        return "superblock: reserved bytes are not zero";
    if (!bytes_are_zero(slot + spares_end, SUPERBLOCK_BYTES - spares_end))
        return "superblock: bytes behind the spare extents are not zero";
    return NULL;
}

/* Both are possible ranges. */
static bool overlaps(const struct log_spare *spare, uint32_t pgno, uint32_t pages)
{
    return spare->pgno < pgno + pages && pgno < spare->pgno + spare->pages;
}

static const char *judge_spares(const struct superblock *sb)
{
    if (sb->spare_count > LOG_SPARE_MAX)
        return "superblock: too many spare extents";
    for (uint32_t i = 0; i < sb->spare_count; i++)
        if (!is_page_range(sb->spares[i].pgno, sb->spares[i].pages))
            return "superblock: a spare extent lies outside of every file";
    for (uint32_t i = 0; i < sb->spare_count; i++) {
        const struct log_spare *spare = &sb->spares[i];
        if (overlaps(spare, sb->base.extent_pgno, sb->base.extent_pages))
            return "superblock: the log lies in a spare extent";
        for (uint32_t k = 0; k < i; k++)
            if (overlaps(spare, sb->spares[k].pgno, sb->spares[k].pages))
                return "superblock: a page is in two spare extents";
    }
    return NULL;
}

static const char *judge_base(const struct log_base *base)
{
    if (!is_page_range(base->extent_pgno, base->extent_pages))
        return "superblock: the log extent lies outside of every file";
    if (base->extent_off < LOG_EXTENT_HEADER_BYTES)
        return "superblock: the log begins inside of an extent header";
    if (base->extent_off > (uint64_t)base->extent_pages * PAGE_BYTES)
        return "superblock: the log begins behind its extent";
    return NULL;
}

/* page_count bounds the pointers: the pages from there on are free. */
static const char *judge_sizes(const struct superblock *sb)
{
    if (sb->page_count < FIRST_FREE_PAGE_NO || sb->page_count > FILE_PAGES_MAX)
        return "superblock: impossible page count";
    if (sb->needed_pages > FILE_PAGES_MAX)
        return "superblock: impossible needed pages";
    if (sb->used_pages > sb->page_count || sb->freed_pages > sb->used_pages)
        return "superblock: impossible counts of pages";
    if (sb->gen == 0 || sb->gen > SUPERBLOCK_GEN_MAX)
        return "superblock: impossible generation";
    return NULL;
}

static bool is_reachable(const struct superblock *sb, const struct page_ref *ref)
{
    return ref->pgno >= FIRST_FREE_PAGE_NO && ref->pgno < sb->page_count &&
           ref->birth_gen <= sb->gen;
}

static const char *judge_catalog(const struct superblock *sb, const uint8_t *slot)
{
    const struct page_ref *ref = &sb->catalog;
    if (page_ref_is_null(ref))
        return bytes_are_zero(slot + AT_CATALOG, PAGE_REF_BYTES)
                   ? NULL : "superblock: catalog pointer without a page";
    if (!is_reachable(sb, ref))
        return "superblock: catalog pointer to an impossible page";
    bool is_leaf = ref->type == PAGE_LEAF && ref->level == 0;
    bool is_level = ref->level > 0 && ref->level < TREE_LEVEL_MAX;
    bool is_inner = ref->type == PAGE_INNER && is_level;
    return is_leaf || is_inner ? NULL : "superblock: catalog pointer of a wrong type";
}

static const char *judge_space(const struct superblock *sb, const uint8_t *slot)
{
    const struct page_ref *ref = &sb->space;
    if (page_ref_is_null(ref) && !bytes_are_zero(slot + AT_SPACE, PAGE_REF_BYTES))
        return "superblock: space pointer without a page";
    /* All pages of such a generation are used, so the file has them; else a few bytes
     * could claim 2^28 of them. */
    if (page_ref_is_null(ref))
        return sb->page_count <= sb->needed_pages
                   ? NULL : "superblock: more pages used than are needed";
    if (!is_reachable(sb, ref))
        return "superblock: space pointer to an impossible page";
    bool is_space = ref->type == PAGE_SPACE && ref->level == 0;
    return is_space ? NULL : "superblock: space pointer of a wrong type";
}

/* NULL, or what is impossible.  The spares come before the reserved bytes: they say where
 * the zeros begin. */
static const char *judge_fields(const struct superblock *sb, const uint8_t *slot)
{
    const char *why = judge_base(&sb->base);
    if (!why)
        why = judge_spares(sb);
    if (!why)
        why = judge_reserved(sb, slot);
    if (!why)
        why = judge_sizes(sb);
    if (!why)
        why = judge_catalog(sb, slot);
    if (!why)
        why = judge_space(sb, slot);
    return why;
}

static const char *judge_newer(const struct superblock *sb)
{
    if (sb->version > SUPERBLOCK_VERSION)
        return "superblock: a newer format version";
    if (sb->page_bytes != PAGE_BYTES)
        return "superblock: another page size";
    if (sb->incompatible != 0)
        return "superblock: unknown features";
    return NULL;
}

static bool checksum_is_right(const uint8_t *slot)
{
    uint8_t right[CHECKSUM_BYTES];
    checksum_of(slot, right);
    return memcmp(slot + AT_CHECKSUM, right, CHECKSUM_BYTES) == 0;
}

static enum superblock_verdict judge(const uint8_t *slot, struct superblock *out,
                                     const char **why)
{
    memset(out, 0, sizeof *out);
    *why = NULL;
    if (bytes_are_zero(slot, SUPERBLOCK_BYTES))
        return SUPERBLOCK_BLANK;
    *why = "superblock: no magic";
    if (memcmp(slot + AT_MAGIC, magic, MAGIC_BYTES) != 0)
        return SUPERBLOCK_FOREIGN;
    fields_decode(slot, out);
    *why = "superblock: wrong checksum";
    if (!checksum_is_right(slot))
        return SUPERBLOCK_BROKEN;
    *why = "superblock: version zero";
    if (out->version == 0)
        return SUPERBLOCK_BROKEN;
    *why = judge_newer(out);
    if (*why)
        return SUPERBLOCK_NEWER;
    *why = judge_fields(out, slot);
    return *why ? SUPERBLOCK_BROKEN : SUPERBLOCK_GOOD;
}

enum superblock_verdict superblock_decode(const uint8_t slot[SUPERBLOCK_BYTES],
                                          struct superblock *out, const char **why)
{
    const char *sentence;
    enum superblock_verdict verdict = judge(slot, out, &sentence);
    if (why)
        *why = sentence;
    return verdict;
}

scn_status superblock_say_newer(const struct superblock *sb)
{
    if (sb->version > SUPERBLOCK_VERSION)
        return error_set(SCN_VERSION, 0, 0, 0,
                         "the file has format version %u, we know up to %u",
                         (unsigned)sb->version, SUPERBLOCK_VERSION);
    if (sb->page_bytes != PAGE_BYTES)
        return error_set(SCN_VERSION, 0, 0, 0,
                         "the file has pages of %u bytes, this build of the library %u",
                         (unsigned)sb->page_bytes, (unsigned)PAGE_BYTES);
    if (sb->incompatible != 0)
        return error_set(SCN_VERSION, 0, 0, 0,
                         "the file uses features that we do not know: bits 0x%llx",
                         (unsigned long long)sb->incompatible);
    return error_set(SCN_VERSION, 0, 0, 0,
                     "the file can only be opened for reading: it uses features that "
                     "we would break, bits 0x%llx",
                     (unsigned long long)sb->read_compatible);
}

static uint64_t slot_off(uint32_t slot_idx)
{
    return (uint64_t)slot_idx * PAGE_BYTES;
}

static scn_status read_once(struct file *file, uint32_t slot_idx, struct superblock *out,
                            enum superblock_verdict *verdict, const char **why,
                            uint32_t how)
{
    _Alignas(SUPERBLOCK_BYTES) uint8_t slot[SUPERBLOCK_BYTES] = {0};
    uint64_t off = slot_off(slot_idx);
    struct sys_stat stat;
    int failed = file->sys->ops->stat(file->handle, &stat);
    if (failed < 0)
        return error_sys(-failed, off, "superblock: cannot tell the size of the file");
    uint64_t there = stat.size > off ? stat.size - off : 0;
    uint64_t len = there < SUPERBLOCK_BYTES ? there : SUPERBLOCK_BYTES;
    uint32_t flags = len == SUPERBLOCK_BYTES ? how : 0;
    scn_status st = len > 0 ? file_read(file, off, slot, len, flags) : SCN_OK;
    if (st != SCN_OK)
        return st;
    const char *sentence;
    *verdict = judge(slot, out, &sentence);
    if (*verdict == SUPERBLOCK_GOOD && superblock_slot(out->gen) != slot_idx) {
        *verdict = SUPERBLOCK_BROKEN;
        sentence = "superblock: this generation belongs into the other slot";
    }
    if (why)
        *why = sentence;
    return SCN_OK;
}

/* Twice where it is not good: what was damaged only on the way would else cost the newest
 * generation. */
scn_status superblock_read(struct file *file, uint32_t slot_idx, struct superblock *out,
                           enum superblock_verdict *verdict, const char **why)
{
    ASSERT(slot_idx < 2);
    scn_status st = read_once(file, slot_idx, out, verdict, why, SYS_UNCACHED);
    if (st == SCN_OK && *verdict != SUPERBLOCK_GOOD)
        st = read_once(file, slot_idx, out, verdict, why, SYS_UNCACHED);
    return st;
}

scn_status superblock_peek(struct file *file, uint32_t slot_idx, struct superblock *out,
                           enum superblock_verdict *verdict)
{
    return read_once(file, slot_idx, out, verdict, NULL, 0);
}

scn_status superblock_write(struct file *file, const struct superblock *sb)
{
    if (superblock_is_read_only(sb))
        return superblock_say_newer(sb);
    uint32_t slot_idx = superblock_slot(sb->gen);
    uint8_t slot[SUPERBLOCK_BYTES];
    superblock_encode(sb, slot);
    /* The last gate before the only bytes that nothing points to: a mistake stops here.
     * */
    struct superblock back;
    const char *why;
    if (judge(slot, &back, &why) != SUPERBLOCK_GOOD) {
        file_poison(file);
        return error_set(SCN_POISONED, 0, slot_idx, 0, "not written: %s", why);
    }
    scn_status st = file_write(file, slot_off(slot_idx), slot, sizeof slot, 0);
    if (st == SCN_OK)
        return file_sync(file);
    /* Perhaps all of the bytes are there: whoever went on would overwrite the pages that
     * they lead to. */
    file_poison(file);
    return st;
}
