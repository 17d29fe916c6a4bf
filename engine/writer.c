/* Where new pages go: see writer.h.
 *
 * Pages are built in place, in a buffer that holds a batch: pages whose numbers follow
 * each other.
 *
 *     batch_first                         + finished           + BATCH_PAGES
 *     | finished | finished | ... | finished | begun |   room    |
 *
 * A full batch is written, and so is one that the next page does not continue.
 * Allocation gives the lowest free page first, so after the holes of an old file come
 * long batches, and in a new one there is nothing else.
 *
 * A page is shown to the pool only when it is written.  Before that a reader whose frame
 * is taken away would look for it in the file, where it is not yet. */
#include "engine/writer.h"

#include "page/mem.h"

enum { BATCH_PAGES = WRITER_BATCH_BYTES / PAGE_BYTES };

_Static_assert(BATCH_PAGES >= 1, "a batch has room for a page");

struct writer {
    struct file *file; /* or put */
    struct pool *pool;
    writer_put_fn put;
    uint64_t birth_gen;
    writer_take_fn take;
    writer_pace_fn pace;
    void *ctx;
    uint32_t batch_first;
    uint32_t finished; /* pages of the batch */
    bool is_begun;
    uint32_t begun_pgno;
    uint32_t expected;   /* pages to be begun that belong together */
    uint32_t taken_pgno; /* the next of those taken and not begun */
    uint32_t taken_count;
    uint64_t page_count;
    uint8_t *batch;
    struct page_ref refs[BATCH_PAGES];
};

scn_status writer_create(struct file *file, struct pool *pool, uint64_t birth_gen,
                         writer_take_fn take, writer_pace_fn pace, void *ctx,
                         struct writer **out)
{
    struct writer *writer = mem_zalloc(sizeof *writer);
    if (writer == NULL)
        return error_nomem();
    writer->batch = mem_alloc(WRITER_BATCH_BYTES);
    if (writer->batch == NULL) {
        mem_free(writer);
        return error_nomem();
    }
    writer->file = file;
    writer->pool = pool;
    writer->birth_gen = birth_gen;
    writer->take = take;
    writer->pace = pace;
    writer->ctx = ctx;
    *out = writer;
    return SCN_OK;
}

scn_status writer_create_for(writer_put_fn put, uint64_t birth_gen, writer_take_fn take,
                             void *ctx, struct writer **out)
{
    scn_status st = writer_create(NULL, NULL, birth_gen, take, NULL, ctx, out);
    if (st == SCN_OK)
        (*out)->put = put;
    return st;
}

void writer_destroy(struct writer *writer)
{
    if (writer == NULL)
        return;
    mem_free(writer->batch);
    mem_free(writer);
}

uint64_t writer_gen(const struct writer *writer)
{
    return writer->birth_gen;
}

uint64_t writer_page_count(const struct writer *writer)
{
    return writer->page_count;
}

static uint8_t *image_at(struct writer *writer, uint32_t idx)
{
    return writer->batch + (size_t)idx * PAGE_BYTES;
}

scn_status writer_flush(struct writer *writer)
{
    ASSERT(!writer->is_begun);
    uint32_t count = writer->finished;
    if (count == 0)
        return SCN_OK;
    scn_status st =
        writer->put
            ? writer->put(writer->ctx, writer->batch_first, writer->batch, count)
            : file_write_pages(writer->file, writer->batch_first, writer->batch, count);
    if (st != SCN_OK)
        return st;
    for (uint32_t i = 0; writer->pool != NULL && i < count; i++)
        pool_install(writer->pool, &writer->refs[i], image_at(writer, i));
    writer->finished = 0;
    if (writer->pace != NULL)
        writer->pace(writer->ctx, (uint64_t)count * PAGE_BYTES);
    return SCN_OK;
}

void writer_expect(struct writer *writer, uint32_t count)
{
    ASSERT(writer->expected == 0);
    writer->expected = count;
}

/* No more are taken than are expected, so none is left over. */
static scn_status next_pgno(struct writer *writer, uint32_t *pgno)
{
    if (writer->taken_count == 0) {
        uint32_t wanted = writer->expected > 0 ? writer->expected : 1;
        scn_status st = writer->take(writer->ctx, wanted, &writer->taken_pgno,
                                     &writer->taken_count);
        if (st != SCN_OK)
            return st;
        ASSERT(writer->taken_count >= 1 && writer->taken_count <= wanted);
    }
    writer->expected -= writer->expected > 0;
    writer->taken_count--;
    *pgno = writer->taken_pgno++;
    return SCN_OK;
}

scn_status writer_begin(struct writer *writer, uint32_t *pgno, uint8_t **image)
{
    ASSERT(!writer->is_begun);
    scn_status st = next_pgno(writer, pgno);
    if (st != SCN_OK)
        return st;
    bool continues =
        *pgno == writer->batch_first + writer->finished && writer->finished < BATCH_PAGES;
    if (!continues)
        st = writer_flush(writer);
    if (st != SCN_OK)
        return st;
    if (writer->finished == 0)
        writer->batch_first = *pgno;
    *image = image_at(writer, writer->finished);
    memset(*image, 0, PAGE_BYTES);
    writer->begun_pgno = *pgno;
    writer->is_begun = true;
    writer->page_count++;
    return SCN_OK;
}

scn_status writer_finish(struct writer *writer, const struct page_ref *ref)
{
    ASSERT(writer->is_begun);
    ASSERT(ref->pgno == writer->begun_pgno);
    ASSERT(ref->birth_gen == writer->birth_gen);
    ASSERT(page_check(image_at(writer, writer->finished), ref) == SCN_OK);
    writer->refs[writer->finished++] = *ref;
    writer->is_begun = false;
    return writer->finished == BATCH_PAGES ? writer_flush(writer) : SCN_OK;
}
