/* XXH3 and CRC32C. */
#ifndef PAGE_HASH_H
#define PAGE_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t hash64(const void *data, size_t len);
void hash128(const void *data, size_t len, uint8_t out[16]);

/* Incremental: start with 0, feed the result back in. */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);

#endif
