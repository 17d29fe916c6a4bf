/* LZ4 counts in int.  A longer block is one that does not fit, and nothing else. */
#include "page/compress.h"

#include <limits.h>
#include <lz4.h>

size_t compress_block(const void *data, size_t len, void *out, size_t out_size)
{
    if (len > LZ4_MAX_INPUT_SIZE)
        return 0;
    int room = out_size > INT_MAX ? INT_MAX : (int)out_size;
    int packed = LZ4_compress_default(data, out, (int)len, room);
    return packed > 0 ? (size_t)packed : 0;
}

bool decompress_block(const void *data, size_t len, void *out, size_t raw_len)
{
    if (len > INT_MAX || raw_len > INT_MAX)
        return false;
    return LZ4_decompress_safe(data, out, (int)len, (int)raw_len) == (int)raw_len;
}
