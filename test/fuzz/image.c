#include "test/fuzz/image.h"

#include "page/superblock.h"
#include "wal/extent.h"

enum { UNIT = 8, ZEROS_MIN = 2 * UNIT, PART_MAX = UINT16_MAX };

void image_decode(struct image *image, struct feed *feed)
{
    size_t at = 0;
    memset(image->bytes, 0, sizeof image->bytes);
    image->size = (size_t)(1 + feed_u8(feed) % IMAGE_PAGES_MAX) * PAGE_BYTES;
    while (feed_left(feed) > 0) {
        size_t got;
        at += (size_t)feed_u16(feed) * UNIT;
        size_t len = feed_u16(feed);
        if (at >= image->size)
            return;
        const uint8_t *bytes =
            feed_bytes(feed, len < image->size - at ? len : image->size - at, &got);
        if (got > 0)
            memcpy(image->bytes + at, bytes, got);
        at += got;
    }
}

static size_t zeros_at(const struct image *image, size_t at)
{
    size_t end = at;
    while (end + PAGE_BYTES / 16 <= image->size &&
           bytes_are_zero(image->bytes + end, PAGE_BYTES / 16))
        end += PAGE_BYTES / 16;
    while (end < image->size && image->bytes[end] == 0)
        end++;
    return end - at;
}

/* Up to the next zeros that are worth a part of their own. */
static size_t part_at(const struct image *image, size_t at)
{
    size_t end = at;
    while (end < image->size && end - at < PART_MAX) {
        size_t zeros = image->bytes[end] == 0 ? zeros_at(image, end) : 0;
        if (zeros >= ZEROS_MIN)
            break;
        end += zeros ? zeros : 1;
    }
    return end - at < PART_MAX ? end - at : PART_MAX;
}

size_t image_encode(const struct image *image, uint8_t *out, size_t room)
{
    size_t len = 1;
    size_t at = 0;
    if (room == 0)
        return 0;
    out[0] = (uint8_t)(image->size / PAGE_BYTES - 1);
    while (at < image->size) {
        size_t units = zeros_at(image, at) / UNIT;
        units = units < UINT16_MAX ? units : UINT16_MAX;
        at += units * UNIT;
        size_t part = part_at(image, at);
        if (room - len < 4 + part)
            return 0;
        put_u16(out + len, (uint16_t)units);
        put_u16(out + len + 2, (uint16_t)part);
        memcpy(out + len + 4, image->bytes + at, part);
        len += 4 + part;
        at += part;
    }
    return len;
}
