/* The catalog: table 1, an ordinary table for the log and for transactions, so that
 * creating, renaming and dropping tables is atomic, conflicts and is replayed like any
 * other write.
 *
 *     'N' name          -> id u32                                 binding of a name
 *     'I' id (BE u32)   -> flags u32 | name                       the table exists
 *     '#'               -> next id u32
 *     'B', 'O'          -> about snapshots (engine/ancestry.h)
 *     'R' id (BE u32)   -> pointer 32 | count u64 | key bytes u64 | value bytes u64
 *                          | pages u64
 * 'R' rows are written by checkpoints only and never appear in the log. Ids are never
 * used again: creators read and write '#', so two of them conflict. */
#ifndef ENGINE_CATALOG_H
#define ENGINE_CATALOG_H

#include "engine/tree.h"
#include "engine/rebuild.h"
#include "wal/ops.h"

enum { CATALOG_KEY_MAX = 1 + TABLE_NAME_MAX, CATALOG_ROOT_BYTES = 64 };

struct catalog_root {
    struct page_ref root;
    struct rebuild_stat stat;
};

/* Keys are written to buf (CATALOG_KEY_MAX bytes). */
scn_slice catalog_key_name(uint8_t *buf, const char *name, size_t len);
scn_slice catalog_key_id(uint8_t *buf, uint32_t table_id);
scn_slice catalog_key_root(uint8_t *buf, uint32_t table_id);

void catalog_root_encode(const struct catalog_root *root,
                         uint8_t out[CATALOG_ROOT_BYTES]);
void catalog_root_decode(const uint8_t row[CATALOG_ROOT_BYTES], struct catalog_root *out);
/* Can a transaction have written this operation of table 1?  For replay: the log may be
 * anybody's. */
bool catalog_op_is_possible(const struct op *op);
/* The root of a table in one generation: SCN_OK, SCN_NOTFOUND (no tree: empty),
 * SCN_CORRUPT. Between pool_enter and pool_leave. */
scn_status catalog_read_root(struct pool_reader *reader, const struct page_ref *catalog,
                             uint32_t table_id, struct catalog_root *out) MUST_USE;

#endif
