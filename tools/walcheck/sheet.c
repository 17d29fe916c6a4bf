/* JSON for people: see sheet.h. */
#include "tools/walcheck/sheet.h"

#include "page/bytes.h"
#include "tools/text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { LABEL_WIDTH = 18, DUMP_BYTES = 16 };

/* The member holds digits, where another one would hold text. */
static bool is_hex(const char *name, size_t *len)
{
    static const char tail[] = "_hex";
    *len = strlen(name);
    if (*len < sizeof tail || strcmp(name + *len - (sizeof tail - 1), tail) != 0)
        return false;
    *len -= sizeof tail - 1;
    return true;
}

static void print_bytes(FILE *out, const json_t *value, bool is_digits)
{
    struct text bytes = {0};
    scn_slice text = {json_string_value(value), json_string_length(value)};
    if (is_digits && text_append_unhex(&bytes, text.data, text.size))
        text = text_slice(&bytes);
    text_print_escaped(out, text);
    text_free(&bytes);
}

static void print_value(FILE *out, const json_t *value, bool is_digits)
{
    if (json_is_string(value))
        print_bytes(out, value, is_digits);
    else if (json_is_integer(value))
        fprintf(out, "%" PRIu64, (uint64_t)json_integer_value(value));
    else
        fputs(json_is_true(value) ? "yes" : json_is_false(value) ? "no" : "?", out);
}

static void print_label(FILE *out, const char *name, size_t len)
{
    for (size_t i = 0; i < len; i++)
        putc(name[i] == '_' ? ' ' : name[i], out);
}

static void print_item(FILE *out, json_t *item)
{
    const char *name;
    json_t *value;
    const char *before = "";
    json_object_foreach(item, name, value) {
        size_t len;
        bool is_digits = is_hex(name, &len);
        fputs(before, out);
        print_label(out, name, len);
        putc(' ', out);
        print_value(out, value, is_digits);
        before = ", ";
    }
    putc('\n', out);
}

/* "records" are printed each as a "record". */
static size_t singular(const char *name)
{
    size_t len = strlen(name);
    if (strcmp(name, "children") == 0)
        return strlen("child");
    return len && name[len - 1] == 's' ? len - 1 : len;
}

static void print_list(FILE *out, const char *name, json_t *list)
{
    size_t i;
    json_t *item;
    size_t len = singular(name);
    json_array_foreach(list, i, item) {
        print_label(out, name, len);
        fprintf(out, "%*s", LABEL_WIDTH - (int)len, "");
        print_item(out, item);
    }
}

void sheet_print(FILE *out, json_t *facts)
{
    const char *name;
    json_t *value;
    json_object_foreach(facts, name, value) {
        size_t len;
        bool is_digits = is_hex(name, &len);
        if (json_is_array(value)) {
            print_list(out, name, value);
            continue;
        }
        print_label(out, name, len);
        fprintf(out, "%*s", LABEL_WIDTH - (int)len, "");
        print_value(out, value, is_digits);
        putc('\n', out);
    }
}

static void dump_line(FILE *out, size_t offset, const uint8_t *bytes, size_t count)
{
    fprintf(out, "%06zx ", offset);
    for (size_t i = 0; i < DUMP_BYTES; i++) {
        fputs(i == DUMP_BYTES / 2 ? "  " : " ", out);
        if (i < count)
            fprintf(out, "%02x", bytes[i]);
        else
            fputs("  ", out);
    }
    fputs("   ", out);
    for (size_t i = 0; i < count; i++)
        putc(bytes[i] >= ' ' && bytes[i] < 0x7f ? bytes[i] : '.', out);
    putc('\n', out);
}

void sheet_dump(FILE *out, const uint8_t *bytes, size_t size)
{
    for (size_t at = 0; at < size; at += DUMP_BYTES) {
        size_t count = size - at < DUMP_BYTES ? size - at : DUMP_BYTES;
        if (!bytes_are_zero(bytes + at, count))
            dump_line(out, at, bytes + at, count);
    }
}
