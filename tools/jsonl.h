/* One row as one line of JSON, both ways.
 *
 * A line stands for a row in one of two forms:
 *   written out:  {"key": K, "value": V}, exactly these two members, both strings;
 *                 each may instead be "key_hex" or "value_hex" with hexadecimal
 *                 digits, for bytes that are no text.
 *   whole:        any other object; its member FIELD, a string or a number, is the
 *                 key, and the text of the object itself, from brace to brace, is the
 *                 value.
 * The first form wins where both fit.  jsonl_print uses the second form only for rows
 * that jsonl_parse makes of it again, so that any table survives printing and parsing
 * with the same FIELD, whatever its rows hold. */
#ifndef TOOLS_JSONL_H
#define TOOLS_JSONL_H

#include "tools/text.h"

#include <jansson.h>

/* Why a line is no row. */
struct jsonl_problem {
    char text[256];
};

/* Appends the key to key and the value to value.  field NULL: only rows that are
 * written out.  False: nothing appended, problem says why. */
bool jsonl_parse(scn_slice line, const char *field, struct text *key, struct text *value,
                 struct jsonl_problem *problem);

/* Prints a row and a newline.  field NULL: always written out. */
void jsonl_print(scn_slice key, scn_slice value, const char *field);

/* The row written out, or with is_key_only its key alone. */
json_t *jsonl_row(scn_slice key, scn_slice value, bool is_key_only);

#endif
