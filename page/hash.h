/* XXH3 (canonical, seed 0) and CRC32C.  Any thread. */
#ifndef PAGE_HASH_H
#define PAGE_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t hash64(const void *data, size_t len);
/* The same of bytes that come in pieces. */
struct hash_pieces {
    _Alignas(64) uint8_t state[640];
};
void hash_begin(struct hash_pieces *pieces);
void hash_add(struct hash_pieces *pieces, const void *data, size_t len);
uint64_t hash_end(const struct hash_pieces *pieces);
/* The low half comes first, both little-endian. */
void hash128(const void *data, size_t len, uint8_t out[16]);

/* Incremental: start with 0, feed the result back in. */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);
/* The same without special instructions; crc32c is this where the processor has none. */
uint32_t crc32c_portable(uint32_t crc, const void *data, size_t len);

#endif
