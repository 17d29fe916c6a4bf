/* A JSON object as lines for people: a line a member, a line an item of a list, keys and
 * other bytes as scan prints them. */
#ifndef TOOLS_WALCHECK_SHEET_H
#define TOOLS_WALCHECK_SHEET_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

void sheet_print(FILE *out, json_t *facts);
/* Sixteen bytes a line: offset, digits, characters.  Lines of zeros are left out. */
void sheet_dump(FILE *out, const uint8_t *bytes, size_t size);

#endif
