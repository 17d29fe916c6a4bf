/* The file under the eye: see subject.h. */
#include "tools/walcheck/subject.h"

#include "page/lock.h"
#include "page/mem.h"

enum {
    IMAGE_ALIGN = 4096,
    /* At a GB/s, a look at the clock and the terminal every ten milliseconds or so. */
    BREATH_PAGES = 256
};

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
    scn_status st = file_read_page(&subject->file, ref->pgno, image, 0);
    if (st == SCN_OK)
        st = page_check(image, ref);
    if (st != SCN_CORRUPT)
        return st;
    st = file_read_page(&subject->file, ref->pgno, image, SYS_UNCACHED);
    return st == SCN_OK ? page_check(image, ref) : st;
}

/* The block itself is found again in front of the image. */
scn_status subject_image(uint8_t **image)
{
    if (*image)
        return SCN_OK;
    uint8_t *block = mem_alloc(PAGE_BYTES + 2 * IMAGE_ALIGN);
    if (block == NULL)
        return error_nomem();
    *image = block + IMAGE_ALIGN + (-(uintptr_t)block & (IMAGE_ALIGN - 1));
    memcpy(*image - sizeof block, &block, sizeof block);
    return SCN_OK;
}

void subject_image_free(uint8_t *image)
{
    uint8_t *block;
    if (image == NULL)
        return;
    memcpy(&block, image - sizeof block, sizeof block);
    mem_free(block);
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
