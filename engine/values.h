/* Values outside the leaf: packed, spread over pages, compressed in blocks; written once
 * by a checkpoint or a bulk run in key order, and read back whole or in part.  Layout and
 * [V1] in page/value.h. */
#ifndef ENGINE_VALUES_H
#define ENGINE_VALUES_H

#include "buffer/pool.h"
#include "engine/writer.h"
#include "page/value.h"

/* ---- writing ---- */

/* One table's values, in one thread.  A packed page is sealed when it is full or at
 * values_flush; the pointer inside a leaf needs the page's hash, so values_put only
 * answers a ticket, and values_resolve the reference once the page is sealed. */
struct values;

/* compress: LZ4 blocks of up to VALUES_BLOCK_BYTES of values together. */
enum { VALUES_BLOCK_BYTES = PAGE_IS_SMALL ? PAGE_BYTES : 16384 };
scn_status values_create(struct writer *writer, uint32_t table_id, bool compress,
                         struct values **out) MUST_USE;
void values_destroy(struct values *values);
/* Copies the bytes.  1 <= len <= VALUE_BYTES_MAX.  Tickets count up from 0.  After a
 * failure here or in values_flush the values and their writer are only good for
 * destruction. */
scn_status values_put(struct values *values, const void *data, uint64_t len,
                      uint64_t *ticket) MUST_USE;
/* Seals the open page and block; every ticket can be resolved.  Does not flush the
 * writer. */
scn_status values_flush(struct values *values) MUST_USE;
/* True when the ticket's page is sealed. */
bool values_resolve(struct values *values, uint64_t ticket, struct value_ref *out);
/* Forgets the tickets below this one, which can all be resolved: bounds the memory. */
void values_forget(struct values *values, uint64_t ticket);

/* ---- reading ---- */

/* References come from value_ref_decode, which has judged them; whatever else is wrong
 * with them is SCN_CORRUPT.  All three functions run between pool_enter and pool_leave.
 */

/* Starts zeroed; one for each thread that reads. */
struct values_scratch {
    uint8_t *data;
    size_t capacity;
    /* the block decompressed last: {page, off} */
    uint8_t *block;
    size_t block_capacity;
    struct page_ref block_page;
    uint32_t block_off;
    uint32_t block_len;
};
void values_scratch_destroy(struct values_scratch *scratch);
/* The whole value.  In place where it lies plain in one page (*page is that page, for
 * pool_hold), else in the scratch buffers until their next use (*page NULL), its own hash
 * checked.  All pages of a spread value stay readable until pool_leave: one that is
 * longer than the pool is better read in parts. */
scn_status values_read(struct pool_reader *reader, const struct value_ref *ref,
                       struct values_scratch *scratch, scn_slice *out,
                       const uint8_t **page) MUST_USE;
/* Bytes [off, off+len) cut at the value's end into buf; *got tells how many.  Touches
 * only the pages it needs; of a spread value each page is checked, but not the whole's
 * hash. */
scn_status values_read_at(struct pool_reader *reader, const struct value_ref *ref,
                          struct values_scratch *scratch, uint64_t off, void *buf,
                          size_t len, size_t *got) MUST_USE;
typedef scn_status (*values_page_fn)(void *ctx, uint32_t pgno, uint32_t count,
                                     uint64_t birth_gen, bool is_shared);
/* Calls fn for each page range a value lies in: its index pages and its data pages, which
 * are its own, or the page it shares. */
scn_status values_each_page(struct pool_reader *reader, const struct value_ref *ref,
                            values_page_fn fn, void *ctx) MUST_USE;

#endif
