/* Little-endian integers in byte buffers.  Nothing else moves integers to or from
 * disk. */
#ifndef PAGE_BYTES_H
#define PAGE_BYTES_H

#include <stdint.h>
#include <string.h>

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define BYTES_LE(width, value) (value)
#else
#define BYTES_LE(width, value) __builtin_bswap##width(value)
#endif

static inline uint16_t get_u16(const uint8_t *at)
{
    uint16_t value;
    memcpy(&value, at, sizeof value);
    return BYTES_LE(16, value);
}

static inline uint32_t get_u32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return BYTES_LE(32, value);
}

static inline uint64_t get_u64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return BYTES_LE(64, value);
}

static inline void put_u16(uint8_t *at, uint16_t value)
{
    value = BYTES_LE(16, value);
    memcpy(at, &value, sizeof value);
}

static inline void put_u32(uint8_t *at, uint32_t value)
{
    value = BYTES_LE(32, value);
    memcpy(at, &value, sizeof value);
}

static inline void put_u64(uint8_t *at, uint64_t value)
{
    value = BYTES_LE(64, value);
    memcpy(at, &value, sizeof value);
}

/* Big-endian: only inside keys, where memcmp must order integers. */
static inline void put_be32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> (24 - 8 * i));
}

static inline uint32_t get_be32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* memcmp order; a proper prefix sorts before what it begins. */
static inline int bytes_compare(const void *a, size_t a_len, const void *b, size_t b_len)
{
    size_t common = a_len < b_len ? a_len : b_len;
    int order = common ? memcmp(a, b, common) : 0;
    if (order != 0)
        return order;
    return (a_len > b_len) - (a_len < b_len);
}

static inline int bytes_are_zero(const uint8_t *at, size_t len)
{
    uint64_t seen = 0;
    uint64_t word;
    for (; len >= sizeof word; at += sizeof word, len -= sizeof word) {
        memcpy(&word, at, sizeof word);
        seen |= word;
    }
    for (; len > 0; at++, len--)
        seen |= *at;
    return seen == 0;
}

#endif
