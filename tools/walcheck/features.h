/* What the pages of the trees, the values and the allocation state say, as members of
 * a JSON object; lists of what they hold are arrays of objects. */
#ifndef TOOLS_WALCHECK_FEATURES_H
#define TOOLS_WALCHECK_FEATURES_H

#include "page/page.h"

#include <jansson.h>
#include <stdbool.h>

/* Sets a member, or ends the program for want of memory. */
void features_set(json_t *object, const char *name, json_t *value);
void features_set_number(json_t *object, const char *name, uint64_t value);
/* 16 digits: for numbers that are no amounts. */
void features_set_word(json_t *object, const char *name, uint64_t value);
void features_set_bytes(json_t *object, const char *name, const uint8_t *bytes,
                        int count);
/* A new list, a member of the object, which owns it. */
json_t *features_list(json_t *object, const char *name);
json_t *features_item(json_t *list);

/* "leaf", "inner" ...; "unknown". */
const char *features_kind(uint8_t type);

/* The contents of an image that page_check has accepted. */
void features_of_page(json_t *facts, const uint8_t *image);

#endif
