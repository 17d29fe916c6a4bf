/* Hashes, the hot loops under every page check and every log record.
 *
 * XXH3 is compiled into this file, so that hashing a key of a known short length costs a
 * dozen instructions and no call through a library.  Long inputs are another matter: the
 * baseline of the build has 16-byte vectors, and a page of 64 KiB takes more than twice
 * as long with them as with 32-byte ones.  So inputs beyond the short ones go to a second
 * copy of the same loop, compiled for AVX2, where the processor has it.  Both give the
 * same hash.
 *
 * CRC32C has an instruction with a latency of three cycles and a throughput of one.  A
 * long input is therefore cut into three streams which run side by side.  A CRC is a
 * remainder, and remainders add: the CRC of A|B|C is crc(A) * x^(bits of B and C) +
 * crc(B) * x^(bits of C) + crc(C).  The multiplication is 32 shifts, cheap enough next to
 * a stream of STREAM_BYTES that no table is needed. */
#include "page/hash.h"
#include "page/bytes.h"

#if defined(__x86_64__)
#include <immintrin.h>
/* The names under which xxhash.h offers the AVX2 loop to a dispatcher. */
#define XXH_DISPATCH_AVX2 1
#define XXH_TARGET_AVX2 __attribute__((target("avx2")))
#define XXH_ACC_ALIGN 64
#endif

#define XXH_INLINE_ALL
#include <xxhash.h>

#if defined(__x86_64__)

/* xxhash 0.8.2 moved the loop over stripes into the function that it is given. */
#if XXH_VERSION_NUMBER < 802
#define LONG_ACCUMULATE XXH3_accumulate_512_avx2
#else
#define LONG_ACCUMULATE XXH3_accumulate_avx2
#endif

XXH_TARGET_AVX2 static uint64_t long_hash64(const void *data, size_t len)
{
    return XXH3_hashLong_64b_internal(data, len, XXH3_kSecret, sizeof XXH3_kSecret,
                                      LONG_ACCUMULATE, XXH3_scrambleAcc_avx2);
}

XXH_TARGET_AVX2 static XXH128_hash_t long_hash128(const void *data, size_t len)
{
    return XXH3_hashLong_128b_internal(data, len, XXH3_kSecret, sizeof XXH3_kSecret,
                                       LONG_ACCUMULATE, XXH3_scrambleAcc_avx2);
}

/* The vector loop is only defined for inputs that XXH3 calls long. */
static inline int is_for_avx2(size_t len)
{
    return len > XXH3_MIDSIZE_MAX && __builtin_cpu_supports("avx2");
}

#else

static uint64_t long_hash64(const void *data, size_t len)
{
    return XXH3_64bits(data, len);
}

static XXH128_hash_t long_hash128(const void *data, size_t len)
{
    return XXH3_128bits(data, len);
}

static inline int is_for_avx2(size_t len)
{
    (void)len;
    return 0;
}

#endif

uint64_t hash64(const void *data, size_t len)
{
    return is_for_avx2(len) ? long_hash64(data, len) : XXH3_64bits(data, len);
}

_Static_assert(sizeof(XXH3_state_t) <= sizeof(struct hash_pieces) &&
                   _Alignof(XXH3_state_t) <= _Alignof(struct hash_pieces),
               "the state of XXH3 has room");

void hash_begin(struct hash_pieces *pieces)
{
    XXH3_INITSTATE((XXH3_state_t *)pieces->state);
    (void)XXH3_64bits_reset((XXH3_state_t *)pieces->state);
}

void hash_add(struct hash_pieces *pieces, const void *data, size_t len)
{
    (void)XXH3_64bits_update((XXH3_state_t *)pieces->state, data, len);
}

uint64_t hash_end(const struct hash_pieces *pieces)
{
    return XXH3_64bits_digest((const XXH3_state_t *)pieces->state);
}

void hash128(const void *data, size_t len, uint8_t out[16])
{
    XXH128_hash_t hash = is_for_avx2(len) ? long_hash128(data, len)
                                          : XXH3_128bits(data, len);
    put_u64(out, hash.low64);
    put_u64(out + 8, hash.high64);
}

/* The CRC of four bits that follow a zero: two steps a byte, in a table of one cache
 * line. */
static const uint32_t crc_of_nibble[16] = {
    0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
    0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
    0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
};

uint32_t crc32c_portable(uint32_t crc, const void *data, size_t len)
{
    const uint8_t *at = data;
    crc = ~crc;
    for (size_t i = 0; i < len; i++) {
        crc ^= at[i];
        crc = crc >> 4 ^ crc_of_nibble[crc & 15];
        crc = crc >> 4 ^ crc_of_nibble[crc & 15];
    }
    return ~crc;
}

#if defined(__x86_64__) && defined(__SSE4_2__)

enum { STREAM_BYTES = 2048 };

static const uint32_t crc_polynomial = 0x82f63b78; /* bits reversed: x^31 is bit 0 */
/* x^(8 n) modulo the polynomial, for one stream and for two. */
static const uint32_t skip_one_stream = 0x0d65762a;
static const uint32_t skip_two_streams = 0x35d73a62;

static uint32_t crc_multiply(uint32_t a, uint32_t b)
{
    uint32_t product = 0;
    for (int bit = 31; bit >= 0; bit--) {
        product ^= b & -(a >> bit & 1);
        b = b >> 1 ^ (crc_polynomial & -(b & 1));
    }
    return product;
}

/* The inner form of a CRC, without the complements before and after. */
static uint32_t crc_of_streams(uint32_t crc, const uint8_t *at)
{
    uint64_t first = crc;
    uint64_t second = 0;
    uint64_t third = 0;
    for (size_t i = 0; i < STREAM_BYTES; i += 8) {
        first = _mm_crc32_u64(first, get_u64(at + i));
        second = _mm_crc32_u64(second, get_u64(at + STREAM_BYTES + i));
        third = _mm_crc32_u64(third, get_u64(at + 2 * STREAM_BYTES + i));
    }
    return crc_multiply((uint32_t)first, skip_two_streams) ^
           crc_multiply((uint32_t)second, skip_one_stream) ^ (uint32_t)third;
}

uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
    const uint8_t *at = data;
    uint64_t inner = ~crc;
    for (; len >= 3 * STREAM_BYTES; len -= 3 * STREAM_BYTES) {
        inner = crc_of_streams((uint32_t)inner, at);
        at += 3 * STREAM_BYTES;
    }
    for (; len >= 8; len -= 8) {
        inner = _mm_crc32_u64(inner, get_u64(at));
        at += 8;
    }
    for (; len > 0; len--)
        inner = _mm_crc32_u8((uint32_t)inner, *at++);
    return ~(uint32_t)inner;
}

#else

uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
    return crc32c_portable(crc, data, len);
}

#endif
