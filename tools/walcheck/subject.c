/* The file under the eye: see subject.h. */
#include "tools/walcheck/subject.h"

#include "page/lock.h"

/* At a GB/s, a look at the clock and the terminal every ten milliseconds or so. */
enum { BREATH_PAGES = 256 };

#define PIN_GENS (UINT64_C(1) << 48)

scn_status subject_open(struct subject *subject, struct sys *sys, const char *path)
{
    *subject = (struct subject){0};
    scn_status st = file_open(&subject->file, sys, path, true);
    if (st == SCN_OK)
        subject->pages_expected = atomic_load(&subject->file.page_count);
    return st;
}

void subject_close(struct subject *subject)
{
    subject_unpin(subject);
    file_close(&subject->file);
}

scn_status subject_breathe(struct subject *subject)
{
    if (subject->goes_on == NULL ||
        subject->goes_on(subject->ctx, subject->pages_done, subject->pages_expected))
        return SCN_OK;
    return error_set(SCN_INTERRUPTED, 0, 0, 0, "interrupted");
}

scn_status subject_page(struct subject *subject, const struct page_ref *ref,
                        uint8_t *image)
{
    if (++subject->pages_done % BREATH_PAGES == 0) {
        scn_status stop = subject_breathe(subject);
        if (stop < 0)
            return stop;
    }
    return pagecopy_read(&subject->file, ref, image);
}

/* ---- others ---- */

static void lock_pin(struct subject *subject, enum sys_lock_mode mode)
{
    (void)subject->file.sys->ops->lock(subject->file.handle,
                                      LOCK_PIN_BASE + subject->pinned_gen % PIN_GENS, 1,
                                      mode);
}

void subject_pin(struct subject *subject, uint64_t gen)
{
    subject_unpin(subject);
    subject->pinned_gen = gen;
    subject->is_pinned = true;
    lock_pin(subject, SYS_SHARED);
}

void subject_unpin(struct subject *subject)
{
    if (subject->is_pinned)
        lock_pin(subject, SYS_UNLOCK);
    subject->is_pinned = false;
}

bool subject_is_live(struct subject *subject)
{
    const struct sys_ops *ops = subject->file.sys->ops;
    return ops->lock_probe(subject->file.handle, LOCK_BASE + LOCK_ATTACH, 1, NULL) > 0;
}
