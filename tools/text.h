/* Bytes on their way in from the command line and out to people: hexadecimal digits,
 * escapes, growing buffers. */
#ifndef TOOLS_TEXT_H
#define TOOLS_TEXT_H

#include "include/scrine.h"

#include <stdbool.h>
#include <stdio.h>

/* A buffer that grows; zeroed is empty.  The owner frees it with text_free. */
struct text {
    char *data;
    size_t size;
    size_t capacity;
};

void text_append(struct text *text, const void *data, size_t size);
/* Room for so many bytes after size; nothing is added. */
void text_reserve(struct text *text, size_t size);
void text_free(struct text *text);

static inline scn_slice text_slice(const struct text *text)
{
    return (scn_slice){text->data, text->size};
}

/* Appends what the digits stand for.  False, nothing appended: an odd number of them,
 * or something else than 0-9a-fA-F. */
bool text_append_unhex(struct text *text, const char *hex, size_t size);

/* Every byte as two digits. */
void text_append_hex(struct text *text, scn_slice bytes);
void text_print_hex(FILE *out, scn_slice bytes);
/* UTF-8 as it is; backslash, control characters and bytes that are no UTF-8 as \\ \t
 * \n \r \xNN: one line, and it can be turned back. */
void text_print_escaped(FILE *out, scn_slice bytes);
/* The same, but backslashes as they are: a sentence, which may have names in it. */
void text_print_line(FILE *out, scn_slice bytes);
/* As text_print_escaped, zero-terminated and the caller's to free. */
char *text_escaped(scn_slice bytes);

bool text_equal(scn_slice a, scn_slice b);
/* Below 0: a comes first, as keys do. */
int text_order(scn_slice a, scn_slice b);

#endif
