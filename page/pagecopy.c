/* Copies of pages: see pagecopy.h. */
#include "page/pagecopy.h"

#include "page/mem.h"

enum { ALIGN = 4096 }; /* page/sys.h asks it of buffers that are read uncached */

scn_status pagecopy_read(struct file *file, const struct page_ref *ref, uint8_t *copy)
{
    scn_status st = file_read_page(file, ref->pgno, copy, 0);
    if (st == SCN_OK)
        st = page_check(copy, ref);
    if (st != SCN_CORRUPT)
        return st;
    st = file_read_page(file, ref->pgno, copy, SYS_UNCACHED);
    return st == SCN_OK ? page_check(copy, ref) : st;
}

/* The block itself is found again in front of the copy. */
scn_status pagecopy_reserve(uint8_t **copy)
{
    if (*copy)
        return SCN_OK;
    uint8_t *block = mem_alloc(PAGE_BYTES + 2 * ALIGN);
    if (block == NULL)
        return error_nomem();
    *copy = block + ALIGN + (-(uintptr_t)block & (ALIGN - 1));
    memcpy(*copy - sizeof block, &block, sizeof block);
    return SCN_OK;
}

void pagecopy_free(uint8_t *copy)
{
    uint8_t *block;
    if (copy == NULL)
        return;
    memcpy(&block, copy - sizeof block, sizeof block);
    mem_free(block);
}
