/* Pages that this process has grown the file by and that no record and no generation
 * leads to yet: a bulk run being built, a log extent being made ready.
 *
 * Nobody else can know whose they are, so each range is a kernel lock, GROW + pgno, from
 * before the size changes until the record that leads there is in the log (or the pages
 * are given up).  A checkpoint frees and cuts no page that is locked so.
 *
 * Whether the record is in the log may be in doubt, after a failed write: then the range
 * stays locked until the log has been recovered, and the record is there for everybody to
 * see or for nobody.
 *
 * With locks->is_exclusive no kernel lock is taken.  Any thread. */
#ifndef PAGE_GROWN_H
#define PAGE_GROWN_H

#include "page/bitmap.h"
#include "page/lock.h"

struct grown {
    struct locks *locks;
    struct sys_mutex *mutex;
    struct bitmap pages;   /* mutex */
    struct bitmap doubted; /* mutex; of these, those whose record is in doubt */
};

scn_status grown_init(struct grown *grown, struct locks *locks) MUST_USE;
/* Initialised or zeroed.  What is still locked goes with the file's handle. */
void grown_destroy(struct grown *grown);

/* Before the file grows, under the append lock. SCN_NOMEM, SCN_IO (no lock to be had). */
scn_status grown_add(struct grown *grown, uint32_t pgno, uint32_t count) MUST_USE;
/* The range has found its record, or is given up.  Any part of what was added. */
void grown_remove(struct grown *grown, uint32_t pgno, uint32_t count);

/* Nobody knows whether the range has found its record.  What is not this process's any
 * more is left alone. */
void grown_doubt(struct grown *grown, uint32_t pgno, uint32_t count);
/* The log was recovered: what was in doubt is given back. */
void grown_settle(struct grown *grown);

/* This process has it. */
bool grown_has(struct grown *grown, uint32_t pgno);

/* Every range of this process and of others, in no order; fn's negative status ends it.
 * fn calls nothing of this file.  SCN_IO. */
scn_status grown_each(struct grown *grown,
                      scn_status (*fn)(void *ctx, uint32_t pgno, uint32_t count),
                      void *ctx) MUST_USE;
/* One past the last of them; 0: none. */
scn_status grown_end(struct grown *grown, uint32_t *end) MUST_USE;

#endif
