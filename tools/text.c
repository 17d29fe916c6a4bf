/* Keys and values are bytes.  A terminal wants lines of characters: the printed form
 * keeps readable text readable and loses nothing, because the escape character itself
 * is escaped. */
#include "tools/text.h"
#include "tools/outcome.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void text_reserve(struct text *text, size_t size)
{
    if (text->capacity - text->size >= size)
        return;
    size_t capacity = text->capacity ? text->capacity : 256;
    while (capacity - text->size < size) {
        if (capacity > SIZE_MAX / 2)
            outcome_no_memory();
        capacity *= 2;
    }
    char *data = realloc(text->data, capacity);
    if (data == NULL)
        outcome_no_memory();
    text->data = data;
    text->capacity = capacity;
}

void text_append(struct text *text, const void *data, size_t size)
{
    text_reserve(text, size);
    if (size)
        memcpy(text->data + text->size, data, size);
    text->size += size;
}

void text_free(struct text *text)
{
    free(text->data);
    *text = (struct text){0};
}

static int digit_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}

bool text_append_unhex(struct text *text, const char *hex, size_t size)
{
    size_t before = text->size;
    if (size % 2 != 0)
        return false;
    text_reserve(text, size / 2);
    for (size_t i = 0; i < size; i += 2) {
        int high = digit_value(hex[i]);
        int low = digit_value(hex[i + 1]);
        if (high < 0 || low < 0) {
            text->size = before;
            return false;
        }
        text->data[text->size++] = (char)(high << 4 | low);
    }
    return true;
}

static const char digits[] = "0123456789abcdef";

void text_append_hex(struct text *text, scn_slice bytes)
{
    const uint8_t *data = bytes.data;
    text_reserve(text, bytes.size * 2);
    for (size_t i = 0; i < bytes.size; i++) {
        text->data[text->size++] = digits[data[i] >> 4];
        text->data[text->size++] = digits[data[i] & 15];
    }
}

void text_print_hex(FILE *out, scn_slice bytes)
{
    const uint8_t *data = bytes.data;
    for (size_t i = 0; i < bytes.size; i++) {
        putc_unlocked(digits[data[i] >> 4], out);
        putc_unlocked(digits[data[i] & 15], out);
    }
}

/* The length of the character of two to four bytes that begins here; 0: it is none, or
 * a C1 control. */
static size_t wide_character(const uint8_t *at, size_t room)
{
    size_t len = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
    if (at[0] < 0xc2 || at[0] > 0xf4 || room < len)
        return 0;
    uint32_t code = at[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (at[i] & 0x3fu);
    }
    static const uint32_t least[] = {[2] = 0xa0, [3] = 0x800, [4] = 0x10000};
    bool is_surrogate = code >= 0xd800 && code <= 0xdfff;
    return code < least[len] || code > 0x10ffff || is_surrogate ? 0 : len;
}

static void print_escape(FILE *out, uint8_t byte)
{
    static const char names[] = {['\t'] = 't', ['\n'] = 'n', ['\r'] = 'r', ['\\'] = '\\'};
    if (byte < sizeof names && names[byte])
        fprintf(out, "\\%c", names[byte]);
    else
        fprintf(out, "\\x%02x", byte);
}

static void print_visible(FILE *out, scn_slice bytes, char escaped)
{
    const uint8_t *data = bytes.data;
    size_t i = 0;
    while (i < bytes.size) {
        size_t len = data[i] >= 0x80
                         ? wide_character(data + i, bytes.size - i)
                         : data[i] >= ' ' && data[i] < 0x7f && data[i] != escaped;
        if (len)
            fwrite(data + i, 1, len, out);
        else
            print_escape(out, data[i]);
        i += len ? len : 1;
    }
}

void text_print_escaped(FILE *out, scn_slice bytes)
{
    print_visible(out, bytes, '\\');
}

void text_print_line(FILE *out, scn_slice bytes)
{
    print_visible(out, bytes, '\0');
}

char *text_escaped(scn_slice bytes)
{
    char *data = NULL;
    size_t size = 0;
    FILE *memory = open_memstream(&data, &size);
    if (memory == NULL)
        outcome_no_memory();
    text_print_escaped(memory, bytes);
    if (fclose(memory) != 0)
        outcome_no_memory();
    return data;
}

bool text_equal(scn_slice a, scn_slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

int text_order(scn_slice a, scn_slice b)
{
    size_t shared = a.size < b.size ? a.size : b.size;
    int result = shared ? memcmp(a.data, b.data, shared) : 0;
    return result ? result : (a.size > b.size) - (a.size < b.size);
}
