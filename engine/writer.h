/* Where new pages go: numbers, one buffer of neighbours, one paced write.
 *
 * A writer serves one checkpoint or one bulk run, in one thread.  `take` gives page
 * numbers (from allocation, or from a grown range): one at a time, or several neighbours
 * of those that were expected; they are gathered up to WRITER_BATCH_BYTES and written at
 * once.
 * Nothing is durable before the owner syncs the file.  Written pages go into the pool,
 * clean.  After a failure the writer is only good for writer_destroy, and the owner gives
 * the pages back in allocation.  The pool may keep them: no pointer that anybody has
 * leads to them, and the next page of that number has another tag. */
#ifndef ENGINE_WRITER_H
#define ENGINE_WRITER_H

#include "buffer/pool.h"
#include "page/page.h"

enum { WRITER_BATCH_BYTES = 1 << 20 };

/* Neighbours from *pgno on: one at least, and no more than `wanted`. */
typedef scn_status (*writer_take_fn)(void *ctx, uint32_t wanted, uint32_t *pgno,
                                     uint32_t *count);
/* Called after each written batch with its bytes: throttling; may be NULL. */
typedef void (*writer_pace_fn)(void *ctx, uint64_t bytes);

/* Where whole pages go that are not for the store's file; the bytes are good during the
 * call. */
typedef scn_status (*writer_put_fn)(void *ctx, uint32_t pgno, const void *pages,
                                    uint32_t count);

struct writer;

/* pool NULL: do not install. */
scn_status writer_create(struct file *file, struct pool *pool, uint64_t birth_gen,
                         writer_take_fn take, writer_pace_fn pace, void *ctx,
                         struct writer **out) MUST_USE;
/* A writer of another file: batches go to put, and not into a pool. */
scn_status writer_create_for(writer_put_fn put, uint64_t birth_gen, writer_take_fn take,
                             void *ctx, struct writer **out) MUST_USE;
void writer_destroy(struct writer *writer);
uint64_t writer_gen(const struct writer *writer);

/* A page number and a zeroed image of PAGE_BYTES to fill.  Exactly one writer_finish
 * follows, before the next writer_begin or writer_flush; the image is gone with it. */
scn_status writer_begin(struct writer *writer, uint32_t *pgno, uint8_t **image) MUST_USE;
/* The image begun last is sealed; ref leads to it. */
scn_status writer_finish(struct writer *writer, const struct page_ref *ref) MUST_USE;
/* The next `count` pages begun belong together: they are neighbours where that can be
 * had.  Not while pages expected before are left. */
void writer_expect(struct writer *writer, uint32_t count);
/* Everything finished is written (not synced). */
scn_status writer_flush(struct writer *writer) MUST_USE;
/* Pages handed out so far. */
uint64_t writer_page_count(const struct writer *writer);

#endif
