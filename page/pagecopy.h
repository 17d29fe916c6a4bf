/* A copy of a page of the file, judged against the pointer that led to it.
 *
 * Where the two disagree the medium decides: the system's cache may be older, when
 * another process wrote past it, so the page is read again past the cache before anybody
 * is told of damage.  Such a read asks for aligned memory, which pagecopy_reserve gives.
 * Any thread. */
#ifndef PAGE_PAGECOPY_H
#define PAGE_PAGECOPY_H

#include "page/file.h"
#include "page/page.h"

/* copy: PAGE_BYTES, aligned to 4096.  SCN_CORRUPT, SCN_IO: its bytes mean nothing. */
scn_status pagecopy_read(struct file *file, const struct page_ref *ref,
                         uint8_t *copy) MUST_USE;

/* Memory for a copy, in *copy unless it is there already.  SCN_NOMEM. */
scn_status pagecopy_reserve(uint8_t **copy) MUST_USE;
/* NULL is fine. */
void pagecopy_free(uint8_t *copy);

#endif
