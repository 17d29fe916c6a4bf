/* Members of JSON objects.  Where memory is wanting the program ends. */
#ifndef TOOLS_MEMBER_H
#define TOOLS_MEMBER_H

#include "tools/text.h"

#include <jansson.h>

/* The value, which was just made, or the end of the program. */
json_t *member_must(json_t *json);
/* Takes the value over. */
void member_set(json_t *object, const char *name, json_t *value);
void member_set_number(json_t *object, const char *name, uint64_t value);
/* A sentence: bytes of a file's name in it that are no UTF-8 are escaped as scan does. */
void member_set_text(json_t *object, const char *name, const char *text);
/* Digits, for identities and hashes. */
void member_set_hex(json_t *object, const char *name, const uint8_t *bytes, size_t size);
/* 16 digits: for numbers that are no amounts. */
void member_set_word(json_t *object, const char *name, uint64_t value);

/* A member "name", or "name_hex" where the bytes are no text. */
void member_set_bytes(json_t *object, const char *name, scn_slice bytes);
/* "name_hex" whatever they are. */
void member_set_digits(json_t *object, const char *name, scn_slice bytes);
/* The file that is spoken of: "file", or "file_hex". */
void member_set_file(json_t *object, const char *path);

/* A new list, a member of the object, which owns it; and a new object in a list. */
json_t *member_list(json_t *object, const char *name);
json_t *member_item(json_t *list);
/* Takes the value over. */
void member_append(json_t *list, json_t *value);

#endif
