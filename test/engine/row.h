/* Rows of stories: keys and values that follow from numbers, so that a whole table is
 * remembered in a few bytes, yet no two values are alike. */
#ifndef TEST_ENGINE_ROW_H
#define TEST_ENGINE_ROW_H

#include "page/limits.h"
#include "page/status.h"

#include <stdbool.h>
#include <stdint.h>

enum { ROW_KEYS = 240 };

/* The low bits of a version say of which class its length is. */
enum row_class {
    ROW_SMALL, /* below 40 bytes */
    ROW_MIDDLE, /* 300 to 1500 */
    ROW_PAGE,  /* about a page */
    ROW_PAGES, /* up to 48 of them */
    ROW_1K,
    ROW_100K,
    ROW_3M,
    ROW_EMPTY,
    ROW_CLASSES
};

/* key < ROW_KEYS.  Good for ever. */
scn_slice row_key(uint32_t key);
size_t row_value_len(uint32_t version);
/* Half of the versions compress well.  To be freed. */
scn_slice row_value(uint32_t version);
bool row_value_is(uint32_t version, scn_slice value);

#endif
