/* Rows: see row.h.
 *
 * The bytes of a value are pieces of a tape that is written once; where a piece begins
 * follows from the version.  So a value is compared as fast as memory is. */
#include "test/engine/row.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PIECE_BYTES = 4096,
    TAPE_BYTES = 16 * PIECE_BYTES,
    MARK_BYTES = 4, /* the version itself, where it fits */
    KEY_ROOM = 48
};

static uint8_t tapes[2][TAPE_BYTES]; /* the second one compresses well */
static char keys[ROW_KEYS][KEY_ROOM];
static size_t key_lens[ROW_KEYS];

static uint64_t mixed(uint64_t n)
{
    n = (n ^ n >> 31) * UINT64_C(0x9e3779b97f4a7c15);
    n = (n ^ n >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
    return n ^ n >> 32;
}

__attribute__((constructor)) static void make_rows(void)
{
    static const char tail[] = "-the-rest-of-a-longer-key";
    for (uint32_t i = 0; i < ROW_KEYS; i++)
        key_lens[i] = (size_t)snprintf(keys[i], KEY_ROOM, "%04u%.*s", i, (int)(i % 4 * 8),
                                       tail);
    for (size_t i = 0; i < TAPE_BYTES; i++) {
        tapes[0][i] = (uint8_t)mixed(i + 1);
        tapes[1][i] = (uint8_t)mixed(i / 64 + 1);
    }
}

scn_slice row_key(uint32_t key)
{
    return (scn_slice){keys[key], key_lens[key]};
}

size_t row_value_len(uint32_t version)
{
    uint64_t r = mixed(version) >> 8;
    switch (version % ROW_CLASSES) {
    case ROW_SMALL:
        return r % 40;
    case ROW_MIDDLE:
        return 300 + r % 1200;
    case ROW_PAGE:
        return PAGE_BYTES / 2 + r % PAGE_BYTES;
    case ROW_PAGES:
        return PAGE_BYTES * (2 + r % 46);
    case ROW_1K:
        return 1024;
    case ROW_100K:
        return (100 << 10) + r % 2;
    case ROW_3M:
        return (3 << 20) + r % 2;
    default:
        return 0;
    }
}

static const uint8_t *piece_at(uint32_t version, size_t off)
{
    uint64_t place = mixed((uint64_t)version << 32 | off / PIECE_BYTES) >> 16;
    const uint8_t *tape = tapes[version / ROW_CLASSES % 2];
    return tape + place % (TAPE_BYTES - PIECE_BYTES);
}

static size_t piece_len(size_t len, size_t off)
{
    return len - off < PIECE_BYTES ? len - off : PIECE_BYTES;
}

scn_slice row_value(uint32_t version)
{
    size_t len = row_value_len(version);
    uint8_t *bytes = malloc(len + 1);
    if (bytes == NULL)
        abort();
    for (size_t off = 0; off < len; off += PIECE_BYTES)
        memcpy(bytes + off, piece_at(version, off), piece_len(len, off));
    if (len >= MARK_BYTES)
        memcpy(bytes, &version, MARK_BYTES);
    return (scn_slice){bytes, len};
}

bool row_value_is(uint32_t version, scn_slice value)
{
    const uint8_t *bytes = value.data;
    size_t mark = value.size >= MARK_BYTES ? MARK_BYTES : 0;
    if (value.size != row_value_len(version) ||
        (mark > 0 && memcmp(bytes, &version, mark) != 0))
        return false;
    for (size_t off = 0; off < value.size; off += PIECE_BYTES) {
        size_t skip = off == 0 ? mark : 0;
        if (memcmp(bytes + off + skip, piece_at(version, off) + skip,
                   piece_len(value.size, off) - skip) != 0)
            return false;
    }
    return true;
}
