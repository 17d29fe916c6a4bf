/* LZ4 blocks. */
#ifndef PAGE_COMPRESS_H
#define PAGE_COMPRESS_H

#include "page/status.h"

#include <stddef.h>

/* Bytes written to out, or 0 when the result would not fit out_size. */
size_t compress_block(const void *data, size_t len, void *out, size_t out_size);
/* True when exactly raw_len bytes came out; out has raw_len bytes.  Any input is safe. */
bool decompress_block(const void *data, size_t len, void *out, size_t raw_len) MUST_USE;

#endif
