/* The encoding is read by every replay and by walcheck, of files that anybody may have
 * made: the reader takes one field after another through take_*, each of which judges the
 * bytes that are left before it touches them. */
#include "wal/ops.h"

#include "page/mem.h"

enum {
    CLEAR_HAS_FROM = 1,
    CLEAR_HAS_TO = 2,
    VARINT_BYTES_MAX = 10,
    GROW_BYTES_MIN = 256
};

/* Before the first TABLE. */
#define NO_TABLE UINT32_MAX

/* ---- writing ---- */

void ops_writer_init(struct ops_writer *writer)
{
    *writer = (struct ops_writer){.table_id = NO_TABLE};
}

void ops_writer_destroy(struct ops_writer *writer)
{
    mem_free(writer->data);
    ops_writer_init(writer);
}

static scn_status reserve(struct ops_writer *writer, size_t more)
{
    if (more <= writer->capacity - writer->len)
        return SCN_OK;
    size_t capacity = writer->capacity + writer->capacity / 2 + more + GROW_BYTES_MIN;
    uint8_t *data = mem_grow(writer->data, writer->len, capacity);
    if (!data)
        return error_nomem();
    writer->data = data;
    writer->capacity = capacity;
    return SCN_OK;
}

static void put_byte(struct ops_writer *writer, uint8_t byte)
{
    writer->data[writer->len++] = byte;
}

static void put_varint(struct ops_writer *writer, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        put_byte(writer, (uint8_t)(value | 0x80));
    put_byte(writer, (uint8_t)value);
}

static void put_slice(struct ops_writer *writer, scn_slice slice)
{
    put_varint(writer, slice.size);
    if (slice.size > 0)
        memcpy(writer->data + writer->len, slice.data, slice.size);
    writer->len += slice.size;
}

/* Room for a TABLE, an opcode and `more`; then writes the first two. */
static scn_status begin(struct ops_writer *writer, uint32_t table_id, enum op_code code,
                        size_t more)
{
    ASSERT(table_id != NO_TABLE);
    scn_status st = reserve(writer, 2 + VARINT_BYTES_MAX + more);
    if (st != SCN_OK)
        return st;
    if (writer->table_id != table_id) {
        put_byte(writer, OP_TABLE);
        put_varint(writer, table_id);
        writer->table_id = table_id;
    }
    put_byte(writer, (uint8_t)code);
    return SCN_OK;
}

static size_t slice_room(scn_slice slice)
{
    return VARINT_BYTES_MAX + slice.size;
}

scn_status ops_put(struct ops_writer *writer, uint32_t table_id, scn_slice key,
                   scn_slice value)
{
    scn_status st = begin(writer, table_id, OP_PUT, slice_room(key) + slice_room(value));
    if (st != SCN_OK)
        return st;
    put_slice(writer, key);
    put_slice(writer, value);
    return SCN_OK;
}

scn_status ops_del(struct ops_writer *writer, uint32_t table_id, scn_slice key)
{
    scn_status st = begin(writer, table_id, OP_DEL, slice_room(key));
    if (st != SCN_OK)
        return st;
    put_slice(writer, key);
    return SCN_OK;
}

scn_status ops_clear(struct ops_writer *writer, uint32_t table_id, const scn_slice *from,
                     const scn_slice *to)
{
    size_t room = 1 + (from ? slice_room(*from) : 0) + (to ? slice_room(*to) : 0);
    scn_status st = begin(writer, table_id, OP_CLEAR, room);
    if (st != SCN_OK)
        return st;
    put_byte(writer, (uint8_t)((from ? CLEAR_HAS_FROM : 0) | (to ? CLEAR_HAS_TO : 0)));
    if (from)
        put_slice(writer, *from);
    if (to)
        put_slice(writer, *to);
    return SCN_OK;
}

scn_status ops_run(struct ops_writer *writer, uint32_t table_id, const struct op_run *run,
                   const struct op_range *ranges, uint64_t range_count)
{
    if (range_count > SIZE_MAX / (4 * VARINT_BYTES_MAX))
        return error_nomem();
    size_t room = PAGE_REF_BYTES + 4 * VARINT_BYTES_MAX + slice_room(run->min) +
                  slice_room(run->max) + (size_t)range_count * 2 * VARINT_BYTES_MAX;
    scn_status st = begin(writer, table_id, OP_RUN, room);
    if (st != SCN_OK)
        return st;
    page_ref_encode(&run->root, writer->data + writer->len);
    writer->len += PAGE_REF_BYTES;
    put_varint(writer, run->count);
    put_varint(writer, run->tombstones);
    put_varint(writer, run->value_bytes);
    put_slice(writer, run->min);
    put_slice(writer, run->max);
    put_varint(writer, range_count);
    for (uint64_t i = 0; i < range_count; i++) {
        put_varint(writer, ranges[i].pgno);
        put_varint(writer, ranges[i].pages);
    }
    return SCN_OK;
}

/* ---- reading ---- */

void ops_reader_init(struct ops_reader *reader, const void *payload, size_t len)
{
    *reader = (struct ops_reader){.at = payload, .table_id = NO_TABLE};
    reader->end = len > 0 ? reader->at + len : reader->at;
}

static size_t bytes_left(const struct ops_reader *reader)
{
    return (size_t)(reader->end - reader->at);
}

/* The take functions answer false when the payload has no such field at this place. */
static bool take_byte(struct ops_reader *reader, uint8_t *out)
{
    if (bytes_left(reader) == 0)
        return false;
    *out = *reader->at++;
    return true;
}

static bool take_varint(struct ops_reader *reader, uint64_t *out)
{
    *out = 0;
    for (uint32_t i = 0; i < VARINT_BYTES_MAX; i++) {
        uint8_t byte;
        if (!take_byte(reader, &byte))
            return false;
        /* The tenth byte has room for one bit more. */
        if (i == VARINT_BYTES_MAX - 1 && byte > 1)
            return false;
        *out |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (!(byte & 0x80))
            return true;
    }
    return false;
}

static bool take_slice(struct ops_reader *reader, uint64_t size_max, scn_slice *out)
{
    uint64_t size;
    if (!take_varint(reader, &size) || size > size_max || size > bytes_left(reader))
        return false;
    *out = (scn_slice){reader->at, (size_t)size};
    reader->at += size;
    return true;
}

static bool take_key(struct ops_reader *reader, scn_slice *out)
{
    return take_slice(reader, KEY_BYTES_MAX, out);
}

static bool take_table(struct ops_reader *reader)
{
    uint64_t id;
    if (!take_varint(reader, &id) || id >= NO_TABLE)
        return false;
    reader->table_id = (uint32_t)id;
    return true;
}

static bool take_clear(struct ops_reader *reader, struct op *op)
{
    uint8_t flags;
    if (!take_byte(reader, &flags) || flags > (CLEAR_HAS_FROM | CLEAR_HAS_TO))
        return false;
    op->has_from = flags & CLEAR_HAS_FROM;
    op->has_to = flags & CLEAR_HAS_TO;
    if (op->has_from && !take_key(reader, &op->key))
        return false;
    return !op->has_to || take_key(reader, &op->value);
}

static bool take_range(struct ops_reader *reader, struct op_range *out)
{
    uint64_t pgno;
    uint64_t pages;
    if (!take_varint(reader, &pgno) || !take_varint(reader, &pages))
        return false;
    if (pgno < FIRST_FREE_PAGE_NO || pgno > FILE_PAGES_MAX || pages == 0 ||
        pages > FILE_PAGES_MAX - pgno)
        return false;
    *out = (struct op_range){.pgno = (uint32_t)pgno, .pages = (uint32_t)pages};
    return true;
}

static bool root_is_possible(const struct page_ref *root)
{
    if (root->pgno < FIRST_FREE_PAGE_NO || root->pgno >= FILE_PAGES_MAX)
        return false;
    if (root->type == PAGE_LEAF)
        return root->level == 0;
    return root->type == PAGE_INNER && root->level > 0 && root->level < TREE_LEVEL_MAX;
}

static bool take_run(struct ops_reader *reader, struct op_run *run)
{
    if (bytes_left(reader) < PAGE_REF_BYTES)
        return false;
    run->root = page_ref_decode(reader->at);
    reader->at += PAGE_REF_BYTES;
    if (!root_is_possible(&run->root))
        return false;
    if (!take_varint(reader, &run->count) || !take_varint(reader, &run->tombstones) ||
        !take_varint(reader, &run->value_bytes) || run->tombstones > run->count)
        return false;
    if (!take_key(reader, &run->min) || !take_key(reader, &run->max) ||
        bytes_compare(run->min.data, run->min.size, run->max.data, run->max.size) > 0)
        return false;
    /* A range has at least two bytes. */
    if (!take_varint(reader, &run->range_count) ||
        run->range_count > bytes_left(reader) / 2)
        return false;
    run->ranges = reader->at;
    for (uint64_t i = 0; i < run->range_count; i++) {
        struct op_range range;
        if (!take_range(reader, &range))
            return false;
    }
    run->ranges_len = (size_t)(reader->at - run->ranges);
    return true;
}

static bool take_op(struct ops_reader *reader, uint8_t code, struct op *op)
{
    if (code == OP_PUT)
        return take_key(reader, &op->key) &&
               take_slice(reader, VALUE_BYTES_MAX, &op->value);
    if (code == OP_DEL)
        return take_key(reader, &op->key);
    if (code == OP_CLEAR)
        return take_clear(reader, op);
    return code == OP_RUN && take_run(reader, &op->run);
}

scn_status ops_next(struct ops_reader *reader, struct op *op)
{
    *op = (struct op){0};
    uint8_t code;
    if (!take_byte(reader, &code))
        return SCN_END;
    /* Each TABLE takes at least two bytes, so the loop ends. */
    while (code == OP_TABLE) {
        if (!take_table(reader))
            return error_corrupt(0, 0, "ops: a table id is cut off or too large");
        if (!take_byte(reader, &code))
            return SCN_END;
    }
    if (reader->table_id == NO_TABLE)
        return error_corrupt(0, 0, "ops: an operation before the first table");
    if (!take_op(reader, code, op))
        return error_corrupt(0, 0, "ops: operation %u is unknown, cut off or impossible",
                             code);
    op->code = (enum op_code)code;
    op->table_id = reader->table_id;
    return SCN_OK;
}

/* ops_next has judged every range; *cursor is the index of the next one above its byte
 * offset. */
bool op_run_range(const struct op_run *run, uint64_t *cursor, struct op_range *out)
{
    uint64_t idx = *cursor >> 32;
    if (idx >= run->range_count)
        return false;
    struct ops_reader reader = {
        .at = run->ranges + (uint32_t)*cursor,
        .end = run->ranges + run->ranges_len,
    };
    bool is_range = take_range(&reader, out);
    ASSERT(is_range);
    *cursor = (idx + 1) << 32 | (uint32_t)(reader.at - run->ranges);
    return is_range;
}
