/* Changes to a file that leave its checksums right: see image.h. */
#include "page/hash.h"
#include "page/page.h"
#include "page/superblock.h"
#include "test/fuzz/image.h"
#include "wal/extent.h"
#include "wal/record.h"

#include <string.h>

enum { HASH_OFF = 24, BODY_OFF = 32, TODO_MAX = 64, WALK_MAX = 512 };

static uint32_t page_count(const struct image *image)
{
    return (uint32_t)(image->size / PAGE_BYTES);
}

static uint8_t *page_at(struct image *image, uint32_t pgno)
{
    return image->bytes + (size_t)pgno * PAGE_BYTES;
}

static bool has_magic(const uint8_t *at, const char *magic)
{
    return memcmp(at, magic, 8) == 0;
}

/* ---- the log ---- */

static void repair_heads(struct image *image)
{
    for (uint32_t pgno = FIRST_FREE_PAGE_NO; pgno < page_count(image); pgno++) {
        uint8_t *head = page_at(image, pgno);
        if (has_magic(head, "scnextnt"))
            put_u64(head + 56, hash64(head, 56));
        if (has_magic(head + EXTENT_LINK_OFF, "scnlink."))
            put_u64(head + EXTENT_LINK_OFF + 56, hash64(head + EXTENT_LINK_OFF, 56));
    }
}

struct place {
    uint32_t pgno;
    uint32_t pages;
    uint32_t off;
};

static bool is_place(const struct image *image, const struct place *place)
{
    return place->pgno >= FIRST_FREE_PAGE_NO && place->pages >= 1 &&
           place->pages <= LOG_EXTENT_PAGES &&
           (uint64_t)place->pgno + place->pages <= page_count(image) &&
           place->off % RECORD_ALIGN == 0 &&
           place->off + RECORD_HEADER_BYTES <= place->pages * PAGE_BYTES;
}

/* The checksum of one record, in it and in the one behind. */
static bool repair_record(struct image *image, struct place *place, uint32_t *before,
                          uint32_t *after)
{
    uint8_t *at = page_at(image, place->pgno) + place->off;
    uint32_t room = place->pages * PAGE_BYTES - place->off - RECORD_HEADER_BYTES;
    uint32_t stored = get_u32(at + 4);
    if (at[12] < RECORD_COMMIT || at[12] > RECORD_TYPE_MAX || stored > room ||
        record_bytes(stored) - RECORD_HEADER_BYTES > room)
        return false;
    if (*before != *after && get_u32(at + 40) == *before)
        put_u32(at + 40, *after);
    *before = get_u32(at);
    uint32_t crc = record_payload_crc(at + RECORD_HEADER_BYTES, stored);
    *after = crc32c(crc, at + 4, RECORD_HEADER_BYTES - 4);
    put_u32(at, *after);
    if (at[12] == RECORD_EXTENT && stored == RECORD_EXTENT_PAYLOAD_BYTES) {
        struct log_extent next;
        extent_payload_decode(at + RECORD_HEADER_BYTES, &next);
        *place = (struct place){next.pgno, next.pages, RECORD_FIRST_OFF};
    } else {
        place->off += record_bytes(stored);
    }
    return true;
}

static void repair_log(struct image *image, const uint8_t *slot)
{
    struct place place = {get_u32(slot + 124), get_u32(slot + 128), get_u32(slot + 132)};
    uint32_t before = 0;
    uint32_t after = 0;
    for (int i = 0; i < WALK_MAX && is_place(image, &place); i++)
        if (!repair_record(image, &place, &before, &after))
            return;
}

/* ---- pages ---- */

static uint64_t hash_of(const uint8_t *page, uint32_t used)
{
    uint8_t sum[BODY_OFF];
    memcpy(sum, page, HASH_OFF);
    put_u64(sum + HASH_OFF, hash64(page + BODY_OFF, used - BODY_OFF));
    return hash64(sum, sizeof sum);
}

static bool is_sealed_kind(const uint8_t *page)
{
    uint32_t used = get_u32(page + 12);
    return page[0] >= PAGE_LEAF && page[0] <= PAGE_SPACE && used >= PAGE_HEADER_BYTES &&
           used <= PAGE_BYTES && !has_magic(page, "scnextnt");
}

struct renamed {
    uint64_t from;
    uint64_t to;
};

/* Every place that holds the old hash. */
static void rename_in(uint8_t *at, size_t len, const struct renamed *renamed)
{
    uint8_t needle[8];
    uint8_t *end = at + len;
    put_u64(needle, renamed->from);
    while ((at = memmem(at, (size_t)(end - at), needle, sizeof needle)) != NULL) {
        put_u64(at, renamed->to);
        at += sizeof needle;
    }
}

/* Pages whose hash is not theirs get a new one, which may change the pages that lead
 * there; a chain of them is as long as a tree is high, unless it bites its own tail. */
static void repair_pages(struct image *image)
{
    struct renamed todo[TODO_MAX];
    uint32_t count = 0;
    for (uint32_t round = 0; round < TREE_LEVEL_MAX && count < TODO_MAX; round++) {
        uint32_t first = count;
        for (uint32_t pgno = FIRST_FREE_PAGE_NO; pgno < page_count(image); pgno++) {
            uint8_t *page = page_at(image, pgno);
            uint64_t hash = is_sealed_kind(page) ? hash_of(page, get_u32(page + 12)) : 0;
            if (hash == 0 || hash == get_u64(page + HASH_OFF) || count == TODO_MAX)
                continue;
            todo[count++] = (struct renamed){get_u64(page + HASH_OFF), hash};
            put_u64(page + HASH_OFF, hash);
        }
        if (first == count)
            return;
        for (uint32_t i = first; i < count; i++) {
            if (todo[i].from == 0)
                continue;
            rename_in(image->bytes, 2 * PAGE_BYTES, &todo[i]);
            for (uint32_t pgno = FIRST_FREE_PAGE_NO; pgno < page_count(image); pgno++)
                if (is_sealed_kind(page_at(image, pgno)))
                    rename_in(page_at(image, pgno) + BODY_OFF, PAGE_BYTES - BODY_OFF,
                              &todo[i]);
        }
    }
}

void image_repair(struct image *image)
{
    if (page_count(image) < 2)
        return;
    repair_heads(image);
    repair_log(image, image->bytes);
    repair_log(image, image->bytes + PAGE_BYTES);
    repair_pages(image);
    for (uint32_t i = 0; i < 2; i++) {
        uint8_t *slot = page_at(image, i);
        uint8_t sum[16];
        if (!has_magic(slot, "\x89Scrine\n"))
            continue;
        memset(slot + 16, 0, 16);
        hash128(slot, SUPERBLOCK_BYTES, sum);
        memcpy(slot + 16, sum, 16);
    }
}

/* ---- changes ---- */

static uint64_t roll(uint64_t *random, uint64_t bound)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return (*random * UINT64_C(2685821657736338717) >> 20) % bound;
}

static uint32_t some_page(struct image *image, uint64_t *random)
{
    for (int i = 0; i < 8; i++) {
        uint32_t pgno = (uint32_t)roll(random, page_count(image));
        if (!bytes_are_zero(page_at(image, pgno), 64))
            return pgno;
    }
    return 0;
}

/* A field of 1, 2, 4 or 8 bytes: a little more or less, a bit, or a number that is often
 * a bound. */
static void change_field(uint8_t *at, uint64_t *random)
{
    static const uint64_t bounds[] = {0, 1, 3, 64, 255, 4095, 4096, 65535, 1u << 28,
                                      INT32_MAX, UINT32_MAX, INT64_MAX, UINT64_MAX};
    uint8_t bytes[8];
    size_t len = (size_t)1 << roll(random, 4);
    memcpy(bytes, at, len);
    uint64_t value = 0;
    memcpy(&value, bytes, len);
    switch (roll(random, 4)) {
    case 0:
        value += roll(random, 9) - 4;
        break;
    case 1:
        value ^= UINT64_C(1) << roll(random, 8 * len);
        break;
    case 2:
        value = bounds[roll(random, sizeof bounds / sizeof *bounds)];
        break;
    default:
        value = roll(random, 256);
    }
    memcpy(at, &value, len);
}

static void change_superblock(struct image *image, uint64_t *random)
{
    uint8_t *slot = page_at(image, (uint32_t)roll(random, 2));
    change_field(slot + (roll(random, 8) ? 72 + roll(random, 180) : roll(random, 1024)),
                 random);
}

static void change_page(struct image *image, uint64_t *random)
{
    uint8_t *page = page_at(image, some_page(image, random));
    uint32_t used = get_u32(page + 12);
    if (used < 128 || used > PAGE_BYTES)
        used = PAGE_BYTES;
    uint64_t at = roll(random, 8) == 0 ? roll(random, 64)
                  : roll(random, 3) == 0 ? 64 + roll(random, 64)
                                         : 64 + roll(random, used - 64);
    change_field(page + (at < PAGE_BYTES - 8 ? at : PAGE_BYTES - 8), random);
}

/* In the operations of a record, or its header. */
static void change_record(struct image *image, uint64_t *random)
{
    const uint8_t *slot = page_at(image, (uint32_t)roll(random, 2));
    struct place place = {get_u32(slot + 124), get_u32(slot + 128), get_u32(slot + 132)};
    uint32_t before = 0;
    uint32_t after = 0;
    for (uint64_t skip = roll(random, 8); is_place(image, &place); skip--) {
        uint8_t *at = page_at(image, place.pgno) + place.off;
        uint32_t len = RECORD_HEADER_BYTES + get_u32(at + 4) % PAGE_BYTES;
        if (skip == 0) {
            uint64_t off = roll(random, 3) ? roll(random, len) : 4 + roll(random, 40);
            if (at + off + 8 <= image->bytes + image->size)
                change_field(at + off, random);
            return;
        }
        if (!repair_record(image, &place, &before, &after))
            return;
    }
}

/* A pointer that somewhere leads to one page leads to another, and agrees with it. */
static void redirect(struct image *image, uint64_t *random)
{
    const uint8_t *from = page_at(image, some_page(image, random));
    const uint8_t *to = page_at(image, some_page(image, random));
    uint8_t *at = memmem(image->bytes, image->size, from + HASH_OFF, 8);
    while (at != NULL && (at == from + HASH_OFF || roll(random, 3) == 0)) {
        at += 8;
        at = memmem(at, (size_t)(image->bytes + image->size - at), from + HASH_OFF, 8);
    }
    if (at == NULL || at + PAGE_REF_BYTES > image->bytes + image->size)
        return;
    memcpy(at, to + HASH_OFF, 8);
    memcpy(at + 8, to + 16, 8);
    put_u32(at + 24, get_u32(to + 8));
    put_u16(at + 28, to[0] == PAGE_LEAF ? get_u16(to + 68) : 0);
    at[30] = to[1];
    at[31] = to[0];
}

static void move_page(struct image *image, uint64_t *random)
{
    uint8_t *from = page_at(image, some_page(image, random));
    uint8_t *to = page_at(image, (uint32_t)roll(random, page_count(image)));
    if (roll(random, 4) == 0)
        memset(to, 0, PAGE_BYTES);
    else
        memmove(to, from, PAGE_BYTES);
}

static void copy_bytes(struct image *image, uint64_t *random)
{
    uint8_t *page = page_at(image, some_page(image, random));
    uint64_t len = 1 + roll(random, 96);
    uint64_t from = roll(random, PAGE_BYTES - len);
    uint64_t to = roll(random, PAGE_BYTES - len);
    memmove(page + to, page + from, len);
}

static void change_size(struct image *image, uint64_t *random)
{
    uint64_t pages = roll(random, 4) ? page_count(image) + roll(random, 5) - 2
                                     : roll(random, IMAGE_PAGES_MAX);
    if (pages >= 1 && pages <= IMAGE_PAGES_MAX)
        image->size = pages * PAGE_BYTES;
}

void image_forge(struct image *image, uint64_t *random)
{
    static void (*const changes[])(struct image *, uint64_t *) = {
        change_superblock, change_page, change_page, change_page, change_record,
        change_record,     redirect,    redirect,    move_page,   copy_bytes,
        change_size};
    if (page_count(image) >= 2)
        changes[roll(random, sizeof changes / sizeof *changes)](image, random);
}
