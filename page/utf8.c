#include "page/utf8.h"

/* The length of the character at `at`; 0: this is no UTF-8. */
static size_t character_bytes(const uint8_t *at, size_t room)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = at[0] < 0x80 ? 1 : at[0] < 0xc0 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3
                 : at[0] < 0xf8 ? 4 : 0;
    uint32_t code = len > 1 ? at[0] & (0x7fu >> len) : at[0];
    if (len > room)
        return 0;
    for (size_t i = 1; i < len; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (at[i] & 0x3f);
    }
    bool is_surrogate = code >= 0xd800 && code < 0xe000;
    return len && (code < least[len] || is_surrogate || code > 0x10ffff) ? 0 : len;
}

bool utf8_is_text(const void *text, size_t len)
{
    const uint8_t *at = text;
    const uint8_t *end = at + len;
    size_t step = 1;
    while (at < end && *at && step) {
        step = character_bytes(at, (size_t)(end - at));
        at += step;
    }
    return at == end && step != 0;
}
