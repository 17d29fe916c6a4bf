/* The file that is looked at: open for reading only, page by page.
 *
 * Nothing of it is changed, and nobody is kept waiting: no lock is taken but a pin
 * (page/pin.h says what that is), which others never wait for.  One thread. */
#ifndef TOOLS_WALCHECK_SUBJECT_H
#define TOOLS_WALCHECK_SUBJECT_H

#include "page/pagecopy.h"

struct subject {
    struct file file;
    /* Asked every so often; false: stop, which becomes SCN_INTERRUPTED.  May be NULL. */
    bool (*goes_on)(void *ctx, uint64_t pages_done, uint64_t pages_expected);
    void *ctx;
    uint64_t pages_done;
    uint64_t pages_expected;
    uint64_t pinned_gen;
    bool is_pinned;
};

/* SCN_NOTFOUND, SCN_NOTADB, SCN_READONLY (may not be read), SCN_IO, SCN_NOMEM; the file
 * is closed then. */
scn_status subject_open(struct subject *subject, struct sys *sys,
                        const char *path) MUST_USE;
void subject_close(struct subject *subject);

/* One page, judged against the pointer that led to it, into memory of pagecopy_reserve.
 * SCN_CORRUPT, SCN_IO, SCN_INTERRUPTED. */
scn_status subject_page(struct subject *subject, const struct page_ref *ref,
                       uint8_t *image) MUST_USE;
/* SCN_INTERRUPTED where the caller of all this has had enough. */
scn_status subject_breathe(struct subject *subject) MUST_USE;

/* While it is pinned the pages of a generation are not used again.  Where there are no
 * locks to be had it is as it is. */
void subject_pin(struct subject *subject, uint64_t gen);
void subject_unpin(struct subject *subject);
/* Somebody has the file open for writing. */
bool subject_is_live(struct subject *subject);

#endif
