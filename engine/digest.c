/* Sums of hashes: see digest.h. */
#include "engine/digest.h"

#include "page/bytes.h"
#include "page/hash.h"
#include "page/limits.h"

void digest_encode(const struct digest_sum *sum, uint8_t out[DIGEST_BYTES])
{
    put_u64(out, sum->low);
    put_u64(out + 8, sum->high);
}

struct digest_sum digest_decode(const uint8_t at[DIGEST_BYTES])
{
    return (struct digest_sum){.low = get_u64(at), .high = get_u64(at + 8)};
}

static struct digest_sum hash_of(const void *data, size_t len)
{
    uint8_t hash[DIGEST_BYTES];
    hash128(data, len, hash);
    return digest_decode(hash);
}

static void add(struct digest_sum *sum, struct digest_sum more)
{
    sum->low += more.low;
    sum->high += more.high + (sum->low < more.low);
}

static void subtract(struct digest_sum *sum, struct digest_sum less)
{
    sum->high -= less.high + (sum->low < less.low);
    sum->low -= less.low;
}

static struct digest_sum row_hash(scn_slice key, scn_slice value)
{
    uint8_t image[DIGEST_BYTES + KEY_BYTES_MAX];
    ASSERT(key.size <= KEY_BYTES_MAX);
    hash128(value.size ? value.data : "", value.size, image);
    memcpy(image + DIGEST_BYTES, key.data, key.size);
    return hash_of(image, DIGEST_BYTES + key.size);
}

void digest_add_row(struct digest *digest, scn_slice key, scn_slice value)
{
    add(&digest->sum, row_hash(key, value));
    digest->rows++;
}

void digest_remove_row(struct digest *digest, scn_slice key, scn_slice value)
{
    subtract(&digest->sum, row_hash(key, value));
    digest->rows--;
}

void digest_add_table(struct digest_sum *store, const struct digest *table,
                      uint32_t flags, const char *name, size_t name_len)
{
    uint8_t image[12 + DIGEST_BYTES + TABLE_NAME_MAX];
    ASSERT(name_len <= TABLE_NAME_MAX);
    put_u32(image, flags);
    put_u64(image + 4, table->rows);
    digest_encode(&table->sum, image + 12);
    memcpy(image + 12 + DIGEST_BYTES, name, name_len);
    add(store, hash_of(image, 12 + DIGEST_BYTES + name_len));
}
