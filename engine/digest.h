/* What rows a table has, as one number that does not depend on where they lie: the sum,
 * modulo 2^128, of a hash of each row.
 *
 *     row:   XXH3-128 of (XXH3-128 of the value, 16 bytes | key)
 *     table: XXH3-128 of (flags u32 | rows u64 | sum 16 bytes | name)
 *     store: the sum of its tables
 *
 * A sum can be kept up to date: rows are added and taken away in any order.  It is in
 * docs/format.md too, since digests are written into files.  One thread. */
#ifndef ENGINE_DIGEST_H
#define ENGINE_DIGEST_H

#include "page/status.h"

enum { DIGEST_BYTES = 16 };

/* Starts zeroed. */
struct digest_sum {
    uint64_t low;
    uint64_t high;
};

/* Of one table. */
struct digest {
    struct digest_sum sum;
    uint64_t rows;
};

/* Keys up to KEY_BYTES_MAX. */
void digest_add_row(struct digest *digest, scn_slice key, scn_slice value);
void digest_remove_row(struct digest *digest, scn_slice key, scn_slice value);
/* The table counts for the store. */
void digest_add_table(struct digest_sum *store, const struct digest *table,
                      uint32_t flags, const char *name, size_t name_len);

/* Low half first, both little-endian. */
void digest_encode(const struct digest_sum *sum, uint8_t out[DIGEST_BYTES]);
struct digest_sum digest_decode(const uint8_t at[DIGEST_BYTES]);

#endif
