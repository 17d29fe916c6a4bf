/* What the pages of the trees, the values and the allocation state say, as members of
 * a JSON object; lists of what they hold are arrays of objects. */
#ifndef TOOLS_WALCHECK_FEATURES_H
#define TOOLS_WALCHECK_FEATURES_H

#include "page/page.h"

#include <jansson.h>
#include <stdbool.h>

/* "leaf", "inner" ...; "unknown". */
const char *features_kind(uint8_t type);

/* The contents of an image that page_check has accepted. */
void features_of_page(json_t *facts, const uint8_t *image);

#endif
