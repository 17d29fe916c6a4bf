/* The input of a target as a sequence of small decisions.  Where it has ended every
 * number is 0, so that each input means something and a shorter one means less. */
#ifndef TEST_FUZZ_FEED_H
#define TEST_FUZZ_FEED_H

#include "page/bytes.h"

#include <stddef.h>

struct feed {
    const uint8_t *at;
    const uint8_t *end;
};

static inline struct feed feed_of(const uint8_t *data, size_t size)
{
    return (struct feed){data, data + size};
}

static inline size_t feed_left(const struct feed *feed)
{
    return (size_t)(feed->end - feed->at);
}

static inline uint8_t feed_u8(struct feed *feed)
{
    return feed->at < feed->end ? *feed->at++ : 0;
}

static inline uint16_t feed_u16(struct feed *feed)
{
    uint16_t low = feed_u8(feed);
    return (uint16_t)(low | feed_u8(feed) << 8);
}

static inline uint32_t feed_u32(struct feed *feed)
{
    uint32_t low = feed_u16(feed);
    return low | (uint32_t)feed_u16(feed) << 16;
}

static inline uint64_t feed_u64(struct feed *feed)
{
    uint64_t low = feed_u32(feed);
    return low | (uint64_t)feed_u32(feed) << 32;
}

/* A number that every change of the input changes: for choices that nobody has to be
 * able to make. */
static inline uint64_t feed_dice(const uint8_t *data, size_t size)
{
    uint64_t dice = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < size; i++)
        dice = (dice ^ data[i]) * UINT64_C(0x100000001b3);
    return dice >> 32;
}

/* From 0 to bound - 1; bounds up to 256 cost one byte. */
static inline uint32_t feed_below(struct feed *feed, uint32_t bound)
{
    return (bound <= 256 ? feed_u8(feed) : feed_u16(feed)) % bound;
}

/* At most len bytes, fewer at the end; *got tells. */
static inline const uint8_t *feed_bytes(struct feed *feed, size_t len, size_t *got)
{
    const uint8_t *bytes = feed->at;
    *got = len < feed_left(feed) ? len : feed_left(feed);
    feed->at += *got;
    return bytes;
}

#endif
