#include "page/compress.h"
#include "page/hash.h"
#include "test/unit/unit.h"

enum { ROOM = 70000 };

static void fill_random(uint8_t *buf, size_t len, uint64_t *state)
{
    for (size_t i = 0; i < len; i++)
        buf[i] = (uint8_t)unit_random(state);
}

/* The test vector generator of XXH3's own sanity check. */
static void fill_sanity(uint8_t *buf, size_t len)
{
    uint64_t generator = UINT32_C(2654435761);
    for (size_t i = 0; i < len; i++) {
        buf[i] = (uint8_t)(generator >> 56);
        generator *= UINT64_C(11400714785074694797);
    }
}

static void check_hash128(const uint8_t *buf, size_t len, uint64_t low, uint64_t high)
{
    uint8_t hash[16];
    hash128(buf, len, hash);
    uint64_t got[2];
    memcpy(got, hash, 16);
    CHECK(got[0] == low);
    CHECK(got[1] == high);
}

/* Published vectors, one for each of the paths that XXH3 takes by length: a hash that
 * differs between machines or releases would make every file unreadable. */
TEST(hash__agrees_with_the_published_vectors)
{
    static uint8_t buf[65536];
    fill_sanity(buf, sizeof buf);
    CHECK(hash64(buf, 0) == UINT64_C(0x2D06800538D394C2));
    CHECK(hash64(buf, 1) == UINT64_C(0xC44BDFF4074EECDB));
    CHECK(hash64(buf, 6) == UINT64_C(0x27B56A84CD2D7325));
    CHECK(hash64(buf, 12) == UINT64_C(0xA713DAF0DFBB77E7));
    CHECK(hash64(buf, 24) == UINT64_C(0xA3FE70BF9D3510EB));
    CHECK(hash64(buf, 48) == UINT64_C(0x397DA259ECBA1F11));
    CHECK(hash64(buf, 80) == UINT64_C(0xBCDEFBBB2C47C90A));
    CHECK(hash64(buf, 195) == UINT64_C(0xCD94217EE362EC3A));
    CHECK(hash64(buf, 403) == UINT64_C(0xCDEB804D65C6DEA4));
    CHECK(hash64(buf, 512) == UINT64_C(0x617E49599013CB6B));
    CHECK(hash64(buf, 2048) == UINT64_C(0xDD59E2C3A5F038E0));
    CHECK(hash64(buf, 2240) == UINT64_C(0x6E73A90539CF2948));
    CHECK(hash64(buf, 2367) == UINT64_C(0xCB37AEB9E5D361ED));
    check_hash128(buf, 0, UINT64_C(0x6001C324468D497F), UINT64_C(0x99AA06D3014798D8));
    check_hash128(buf, 403, UINT64_C(0xCDEB804D65C6DEA4), UINT64_C(0x1B6DE21E332DD73D));
    check_hash128(buf, 2240, UINT64_C(0x6E73A90539CF2948), UINT64_C(0xCCB134FBFA7CE49D));
}

/* The lengths at which XXH3 changes its path, as the reference library hashes them: the
 * processor of this run decides which of our two loops is compared. */
TEST(hash__agrees_with_the_reference_at_every_border)
{
    static uint8_t buf[65536];
    fill_sanity(buf, sizeof buf);
    CHECK(hash64(buf, 16) == UINT64_C(0x981B17D36C7498C9));
    CHECK(hash64(buf, 17) == UINT64_C(0x796F5ACD3A60F862));
    CHECK(hash64(buf, 128) == UINT64_C(0xFCFF24126754D861));
    CHECK(hash64(buf, 129) == UINT64_C(0x98F1B0A679A2CA29));
    CHECK(hash64(buf, 240) == UINT64_C(0x81C3C2B67F568CCF));
    CHECK(hash64(buf, 241) == UINT64_C(0xC5A639ECD2030E5E));
    CHECK(hash64(buf, 1024) == UINT64_C(0xDD85C9B5C1109C5C));
    CHECK(hash64(buf, 1025) == UINT64_C(0xD870C0FA13211C6A));
    CHECK(hash64(buf, 65536) == UINT64_C(0x918F7F0F912CA480));
    check_hash128(buf, 240, UINT64_C(0x5C9AAE94C8EBE5A0),
                  UINT64_C(0xAA4202DAA2769DC8));
    check_hash128(buf, 241, UINT64_C(0xC5A639ECD2030E5E),
                  UINT64_C(0x99A80ECF0ECFC647));
    check_hash128(buf, 4096, UINT64_C(0xE91206429D1F48F9),
                  UINT64_C(0xB9CFAEA2CA5626A4));
    check_hash128(buf, 65536, UINT64_C(0x918F7F0F912CA480),
                  UINT64_C(0xDEAFBD9DF07EDB70));
}

TEST(hash__changes_with_every_bit_of_a_long_input)
{
    static uint8_t buf[1024];
    uint64_t state = unit_seed();
    fill_random(buf, sizeof buf, &state);
    uint64_t whole = hash64(buf, sizeof buf);
    for (size_t bit = 0; bit < sizeof buf * 8; bit++) {
        buf[bit / 8] ^= (uint8_t)(1u << bit % 8);
        CHECK(hash64(buf, sizeof buf) != whole);
        buf[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

TEST(hash__of_pieces_is_that_of_the_whole)
{
    static uint8_t buf[70000];
    uint64_t state = unit_seed();
    fill_random(buf, sizeof buf, &state);
    for (int round = 0; round < 200; round++) {
        size_t len = unit_random(&state) % (sizeof buf + 1);
        struct hash_pieces pieces;
        hash_begin(&pieces);
        for (size_t at = 0; at < len;) {
            size_t piece = 1 + unit_random(&state) % 9000;
            piece = piece < len - at ? piece : len - at;
            hash_add(&pieces, buf + at, piece);
            at += piece;
        }
        CHECK(hash_end(&pieces) == hash64(buf, len));
    }
}

TEST(crc32c__agrees_with_the_published_vectors)
{
    uint8_t buf[32];
    CHECK_EQ(crc32c(0, "", 0), 0);
    CHECK_EQ(crc32c(0, "123456789", 9), UINT32_C(0xE3069283));
    memset(buf, 0, sizeof buf);
    CHECK_EQ(crc32c(0, buf, sizeof buf), UINT32_C(0x8A9136AA));
    memset(buf, 0xff, sizeof buf);
    CHECK_EQ(crc32c(0, buf, sizeof buf), UINT32_C(0x62A8AB43));
}

TEST(crc32c__is_the_same_with_and_without_instructions)
{
    static uint8_t buf[ROOM];
    uint64_t state = unit_seed();
    fill_random(buf, sizeof buf, &state);
    for (size_t len = 0; len < sizeof buf; len += 1 + len / 7) {
        size_t off = unit_random(&state) % (sizeof buf - len);
        uint32_t start = (uint32_t)unit_random(&state);
        CHECK_EQ(crc32c(start, buf + off, len), crc32c_portable(start, buf + off, len));
    }
    for (size_t len = 3 * 2048 - 9; len < 3 * 2048 + 9; len++)
        CHECK_EQ(crc32c(0, buf, len), crc32c_portable(0, buf, len));
}

TEST(crc32c__continues_from_any_cut)
{
    static uint8_t buf[20000];
    uint64_t state = unit_seed();
    fill_random(buf, sizeof buf, &state);
    uint32_t whole = crc32c(0, buf, sizeof buf);
    for (size_t cut = 0; cut <= sizeof buf; cut += 1 + unit_random(&state) % 400) {
        uint32_t first = crc32c(0, buf, cut);
        CHECK_EQ(crc32c(first, buf + cut, sizeof buf - cut), whole);
    }
}

TEST(compress__round_trips)
{
    static uint8_t raw[ROOM];
    static uint8_t packed[ROOM + ROOM / 100];
    static uint8_t back[ROOM];
    uint64_t state = unit_seed();
    for (size_t len = 0; len < sizeof raw; len = len * 3 + 1) {
        for (size_t i = 0; i < len; i++)
            raw[i] = (uint8_t)("abcdefgh"[unit_random(&state) % 8]);
        size_t got = compress_block(raw, len, packed, sizeof packed);
        CHECK(got > 0);
        CHECK(decompress_block(packed, got, back, len));
        CHECK(memcmp(raw, back, len) == 0);
    }
}

TEST(compress__says_zero_when_the_result_does_not_fit)
{
    uint8_t raw[1000];
    uint8_t packed[900];
    uint64_t state = unit_seed();
    fill_random(raw, sizeof raw, &state);
    CHECK_EQ(compress_block(raw, sizeof raw, packed, sizeof packed), 0);
    CHECK_EQ(compress_block(raw, sizeof raw, packed, 0), 0);
}

TEST(decompress__refuses_another_length_and_survives_any_byte)
{
    uint8_t raw[2000];
    uint8_t packed[2100];
    uint8_t back[2001];
    uint64_t state = unit_seed();
    for (size_t i = 0; i < sizeof raw; i++)
        raw[i] = (uint8_t)(i / 16);
    size_t len = compress_block(raw, sizeof raw, packed, sizeof packed);
    CHECK(!decompress_block(packed, len, back, sizeof raw - 1));
    CHECK(!decompress_block(packed, len, back, sizeof raw + 1));
    CHECK(!decompress_block(packed, len - 1, back, sizeof raw));
    CHECK(!decompress_block(packed, 0, back, sizeof raw));
    CHECK(!decompress_block(packed, len, back, SIZE_MAX));
    size_t accepted = 0;
    for (int round = 0; round < 2000; round++) {
        packed[unit_random(&state) % len] ^= (uint8_t)(1 + unit_random(&state) % 255);
        accepted += decompress_block(packed, len, back, sizeof raw);
    }
    CHECK(accepted < 2000);
}
