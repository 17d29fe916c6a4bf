/* Operations: the payload of a COMMIT record.
 *
 * A transaction is one record: a list of segments, oldest first.  A segment is range
 * deletions, then either bulk runs or single operations:
 *     clear*  run*   put/del*   clear* run* ... put/del*
 * Reading order is applying order: a clear hides what lies before it, in older segments
 * and in the store, and never what comes after it in the same record.
 *
 * Encoding: opcode u8, then fields; integers are LEB128 varints (u64, at most 10 bytes).
 *     1 TABLE  id                        the following operations are in this table
 *     2 PUT    klen key vlen value
 *     3 DEL    klen key
 *     4 CLEAR  flags [from] [to]         flags 1: has from, 2: has to; from <= key < to
 *     5 RUN    root pointer 32 B | count | tombstones | value_bytes | min key | max key
 *              | range_count {pgno pages}*   (keys: klen key)
 * The first opcode is TABLE.  Decoding judges each length before it is used. */
#ifndef WAL_OPS_H
#define WAL_OPS_H

#include "page/page.h"

enum op_code { OP_TABLE = 1, OP_PUT = 2, OP_DEL = 3, OP_CLEAR = 4, OP_RUN = 5 };

struct op_range {
    uint32_t pgno;
    uint32_t pages;
};

/* A bulk run: a private tree of one table; ranges are all pages grown for it. */
struct op_run {
    struct page_ref root;
    uint64_t count; /* records, tombstones included */
    uint64_t tombstones;
    uint64_t value_bytes;
    scn_slice min;
    scn_slice max;
    const uint8_t *ranges; /* encoded; op_run_range reads them */
    size_t ranges_len;
    uint64_t range_count;
};

struct op {
    enum op_code code; /* never OP_TABLE: that is in table_id */
    uint32_t table_id;
    scn_slice key;   /* PUT, DEL; CLEAR: from */
    scn_slice value; /* PUT;      CLEAR: to */
    bool has_from;   /* CLEAR */
    bool has_to;
    struct op_run run;
};

/* Growing buffer; frees with ops_writer_destroy.  A failed call (SCN_NOMEM) leaves it as
 * it was. */
struct ops_writer {
    uint8_t *data;
    size_t len;
    size_t capacity;
    uint32_t table_id;
};
void ops_writer_init(struct ops_writer *writer);
void ops_writer_destroy(struct ops_writer *writer);
scn_status ops_put(struct ops_writer *writer, uint32_t table_id, scn_slice key,
                   scn_slice value) MUST_USE;
scn_status ops_del(struct ops_writer *writer, uint32_t table_id, scn_slice key) MUST_USE;
/* NULL: no bound on that side. */
scn_status ops_clear(struct ops_writer *writer, uint32_t table_id, const scn_slice *from,
                     const scn_slice *to) MUST_USE;
/* run->ranges is ignored; the list is given plainly. */
scn_status ops_run(struct ops_writer *writer, uint32_t table_id, const struct op_run *run,
                   const struct op_range *ranges, uint64_t range_count) MUST_USE;

struct ops_reader {
    const uint8_t *at;
    const uint8_t *end;
    uint32_t table_id;
};
void ops_reader_init(struct ops_reader *reader, const void *payload, size_t len);
/* SCN_OK, SCN_END, SCN_CORRUPT (static sentence set; the caller adds the place).  Slices
 * point into the payload. */
scn_status ops_next(struct ops_reader *reader, struct op *op) MUST_USE;
/* Range idx of a run, in order: pass *cursor = 0 first. False after the last. */
bool op_run_range(const struct op_run *run, uint64_t *cursor, struct op_range *out);

#endif
