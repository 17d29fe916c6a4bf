/* The sizes that shape the file.  They are build constants: the release library has one
 * set; test builds make everything small, so that rare paths become common. */
#ifndef PAGE_LIMITS_H
#define PAGE_LIMITS_H

#include <stdint.h>

#ifndef SCN_PAGE_BYTES
#define SCN_PAGE_BYTES 65536
#endif

enum {
    /* 64 KiB: one read, one LZ4 window, and 16-bit offsets inside the page still fit. */
    PAGE_BYTES = SCN_PAGE_BYTES,
    PAGE_HEADER_BYTES = 64,
    PAGE_IS_SMALL = PAGE_BYTES < 65536,

    SUPERBLOCK_BYTES = 4096,
    PUBLISH_PAGE_NO = 2,
    FIRST_FREE_PAGE_NO = 3,

    /* Two separators of this size may not fit one inner page, but one and two children
     * do. */
    KEY_BYTES_MAX = PAGE_IS_SMALL ? PAGE_BYTES / 4 : 32768,
    VALUE_BYTES_MAX = 1 << 30,
    /* Longer values leave the leaf, so that rewriting a leaf does not rewrite them. */
    VALUE_INLINE_MAX = PAGE_IS_SMALL ? 288 : 1024,
    TABLE_NAME_MAX = 255,

    /* Fan-out is at least two, so 32 levels address more leaves than a file can hold. */
    TREE_LEVEL_MAX = 32,
    /* 2^28 pages of 64 KiB are 16 TiB; it bounds the translation array of the pool. */
    FILE_PAGES_MAX = PAGE_IS_SMALL ? 1 << 20 : 1 << 28,

    LOG_EXTENT_FIRST_PAGES = 4,
    LOG_EXTENT_PAGES = PAGE_IS_SMALL ? 4 : 16,
    LOG_EXTENT_HEADER_BYTES = 64,
    LOG_SPARE_MAX = 480 /* as many as fit behind the other fields of a superblock */
};

_Static_assert(PAGE_BYTES >= 4096 && PAGE_BYTES <= 65536, "offsets in a page are 16 bit");
_Static_assert((PAGE_BYTES & (PAGE_BYTES - 1)) == 0, "a page is a power of two");
_Static_assert(4 + TABLE_NAME_MAX <= VALUE_INLINE_MAX,
               "rows of the catalog stay in leaves");
_Static_assert(SUPERBLOCK_BYTES <= PAGE_BYTES, "a slot lies in one page");

#endif
