/* Byte table: docs/format.md, "Publish page".
 *
 * A copy is one sector's neighbour, not a sector: two copies of a line share 128 bytes
 * and may be torn together by a power cut.  That costs nothing, because after a power cut
 * recovery writes the page anew; between live processes a write tears no other bytes than
 * its own. */
#include "page/publish.h"

#include "page/bytes.h"
#include "page/hash.h"

enum {
    AT_HASH = 0,
    AT_EPOCH = 8,
    AT_SEQUENCE = 16,
    AT_A = 24,
    AT_B = 32,
    AT_LINE = 40,
    AT_RESERVED = 44
};

/* Counted from one, so that no field of a valid copy can be taken for a hole. */
static uint32_t line_number(enum publish_line line)
{
    ASSERT(line < PUBLISH_LINE_COUNT);
    return (uint32_t)line + 1;
}

static uint64_t hash_of(const uint8_t *copy)
{
    return hash64(copy + AT_EPOCH, PUBLISH_COPY_BYTES - AT_EPOCH);
}

void publish_encode(enum publish_line line, const struct publish_value *value,
                    uint8_t copy[PUBLISH_COPY_BYTES])
{
    memset(copy, 0, PUBLISH_COPY_BYTES);
    put_u64(copy + AT_EPOCH, value->epoch);
    put_u64(copy + AT_SEQUENCE, value->sequence);
    put_u64(copy + AT_A, value->a);
    put_u64(copy + AT_B, value->b);
    put_u32(copy + AT_LINE, line_number(line));
    put_u64(copy + AT_HASH, hash_of(copy));
}

bool publish_decode(enum publish_line line, const uint8_t copy[PUBLISH_COPY_BYTES],
                    struct publish_value *out)
{
    if (get_u64(copy + AT_HASH) != hash_of(copy))
        return false;
    if (get_u32(copy + AT_LINE) != line_number(line))
        return false;
    if (!bytes_are_zero(copy + AT_RESERVED, PUBLISH_COPY_BYTES - AT_RESERVED))
        return false;
    out->epoch = get_u64(copy + AT_EPOCH);
    out->sequence = get_u64(copy + AT_SEQUENCE);
    out->a = get_u64(copy + AT_A);
    out->b = get_u64(copy + AT_B);
    return true;
}

bool publish_pick(const uint8_t *image, enum publish_line line, struct publish_value *out)
{
    struct publish_value second;
    bool has_first = publish_decode(line, image + publish_off(line, 0), out);
    bool has_second = publish_decode(line, image + publish_off(line, 1), &second);
    if (has_second && (!has_first || second.sequence > out->sequence))
        *out = second;
    return has_first || has_second;
}
