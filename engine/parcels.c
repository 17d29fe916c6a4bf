/* Increments as streams: see parcels.h. */
#include "engine/parcels.h"

#include "page/mem.h"

enum {
    /* Memory for a value is asked for as its bytes come: a wrong length costs no more. */
    VALUE_STEP_BYTES = 1 << 20
};

static uint64_t tag_of(const struct parcel_head *head)
{
    return get_u64(head->id);
}

/* ---- writing ---- */

static scn_status write_block(struct parcels_out *out, enum parcel_type type)
{
    out->next.type = type;
    parcel_header_encode(&out->next, out->block + PARCEL_HEADER_BYTES, out->block);
    if (type != PARCEL_END)
        parcel_chain(out->chain, get_u64(out->block + PARCEL_HEADER_BYTES - 8));
    uint32_t len = PARCEL_HEADER_BYTES + out->next.len;
    scn_status st = hostfile_write(out->to, out->off, out->block, len);
    out->off += len;
    out->next.number++;
    out->next.len = 0;
    return st;
}

scn_status parcels_begin(struct parcels_out *out, struct hostfile *to,
                         const struct parcel_head *head)
{
    *out = (struct parcels_out){.to = to, .next = {.tag = tag_of(head)}};
    out->block = mem_zalloc(PARCEL_HEADER_BYTES + PARCEL_BYTES_MAX);
    if (out->block == NULL)
        return error_nomem();
    parcel_head_encode(head, out->block + PARCEL_HEADER_BYTES);
    out->next.len = PARCEL_HEAD_BYTES;
    return write_block(out, PARCEL_HEAD);
}

static scn_status put_raw(struct parcels_out *out, const uint8_t *data, uint64_t len)
{
    scn_status st = SCN_OK;
    while (len > 0 && st == SCN_OK) {
        uint64_t room = PARCEL_BYTES_MAX - out->next.len;
        uint64_t part = len < room ? len : room;
        memcpy(out->block + PARCEL_HEADER_BYTES + out->next.len, data, part);
        out->next.len += (uint32_t)part;
        data += part;
        len -= part;
        if (out->next.len == PARCEL_BYTES_MAX)
            st = write_block(out, PARCEL_BODY);
    }
    return st;
}

scn_status parcels_put_op(struct parcels_out *out, enum parcel_op op)
{
    uint8_t code = (uint8_t)op;
    out->tables += op == PARCEL_TABLE;
    out->rows += op == PARCEL_PUT || op == PARCEL_KEEP || op == PARCEL_DELETE;
    return put_raw(out, &code, 1);
}

scn_status parcels_put_number(struct parcels_out *out, uint64_t number)
{
    uint8_t at[PARCEL_NUMBER_BYTES_MAX];
    return put_raw(out, at, parcel_number_encode(number, at));
}

scn_status parcels_put_bytes(struct parcels_out *out, scn_slice bytes)
{
    scn_status st = parcels_put_number(out, bytes.size);
    return st == SCN_OK ? put_raw(out, bytes.data, bytes.size) : st;
}

scn_status parcels_end(struct parcels_out *out)
{
    scn_status st = out->next.len ? write_block(out, PARCEL_BODY) : SCN_OK;
    if (st < 0)
        return st;
    struct parcel_end end = {.tables = out->tables, .rows = out->rows};
    memcpy(end.chain, out->chain, sizeof end.chain);
    parcel_end_encode(&end, out->block + PARCEL_HEADER_BYTES);
    out->next.len = PARCEL_END_BYTES;
    return write_block(out, PARCEL_END);
}

void parcels_out_destroy(struct parcels_out *out)
{
    mem_free(out->block);
    out->block = NULL;
}

/* ---- blocks ---- */

static scn_status corrupt(const struct parcels_in *in, const char *what)
{
    return error_corrupt(0, in->off, "%s", what);
}

static scn_status read_exactly(struct parcels_in *in, void *buf, uint64_t len)
{
    uint64_t got;
    scn_status st = hostfile_read(in->from, in->off, buf, len, &got);
    if (st == SCN_OK && got < len)
        return corrupt(in, "increment: the file is cut off");
    in->off += got;
    return st;
}

/* Where the magic is missing from the very first bytes it is somebody else's file. */
static scn_status read_block(struct parcels_in *in, uint64_t number)
{
    uint8_t header[PARCEL_HEADER_BYTES];
    scn_status st = read_exactly(in, header, sizeof header);
    if (number == 0 && (st == SCN_CORRUPT || (st == SCN_OK && !parcel_has_magic(header))))
        return error_set(SCN_NOTADB, 0, 0, 0, "the file is no increment of a store");
    if (st < 0)
        return st;
    const char *why = parcel_header_decode(header, &in->now);
    if (why)
        return corrupt(in, why);
    st = read_exactly(in, in->payload, in->now.len);
    if (st < 0)
        return st;
    if (!parcel_hash_is_right(header, in->payload))
        return corrupt(in, "increment: a block with a wrong checksum");
    if (in->now.number != number || (in->now.type == PARCEL_HEAD) != (number == 0))
        return corrupt(in, "increment: a block out of order");
    if (in->now.type != PARCEL_END)
        parcel_chain(in->chain, in->now.hash);
    in->at = 0;
    return SCN_OK;
}

scn_status parcels_open(struct parcels_in *in, struct hostfile *from)
{
    *in = (struct parcels_in){.from = from, .payload = mem_alloc(PARCEL_BYTES_MAX)};
    for (int i = 0; i < 2; i++)
        in->keys[i] = mem_alloc(KEY_BYTES_MAX);
    if (in->payload == NULL || in->keys[0] == NULL || in->keys[1] == NULL)
        return error_nomem();
    scn_status st = read_block(in, 0);
    if (st == SCN_OK)
        st = parcel_head_decode(in->payload, &in->head);
    if (st == SCN_OK && in->now.tag != tag_of(&in->head))
        return corrupt(in, "increment: the head is of another one");
    in->at = in->now.len;
    return st;
}

void parcels_in_destroy(struct parcels_in *in)
{
    mem_free(in->payload);
    mem_free(in->value);
    mem_free(in->keys[0]);
    mem_free(in->keys[1]);
    *in = (struct parcels_in){0};
}

static scn_status check_end(struct parcels_in *in)
{
    uint8_t more;
    uint64_t got;
    parcel_end_decode(in->payload, &in->end);
    if (memcmp(in->end.chain, in->chain, sizeof in->chain) != 0 ||
        in->end.tables != in->tables || in->end.rows != in->rows)
        return corrupt(in, "increment: its end does not agree with what was read");
    scn_status st = hostfile_read(in->from, in->off, &more, 1, &got);
    if (st == SCN_OK && got)
        return corrupt(in, "increment: something follows its end");
    in->has_ended = st == SCN_OK;
    return st < 0 ? st : SCN_END;
}

/* More of the stream is in the payload, or SCN_END. */
static scn_status refill(struct parcels_in *in)
{
    if (in->has_ended)
        return SCN_END;
    if (in->at < in->now.len)
        return SCN_OK;
    scn_status st = read_block(in, in->now.number + 1);
    if (st < 0)
        return st;
    if (in->now.tag != tag_of(&in->head))
        return corrupt(in, "increment: a block of another one");
    return in->now.type == PARCEL_END ? check_end(in) : SCN_OK;
}

/* ---- fields ---- */

static scn_status get_raw(struct parcels_in *in, uint8_t *to, uint64_t len)
{
    while (len > 0) {
        scn_status st = refill(in);
        if (st != SCN_OK)
            return st < 0 ? st : corrupt(in, "increment: an operation is cut off");
        uint64_t left = in->now.len - in->at;
        uint64_t part = len < left ? len : left;
        memcpy(to, in->payload + in->at, part);
        in->at += (uint32_t)part;
        to += part;
        len -= part;
    }
    return SCN_OK;
}

static scn_status get_number(struct parcels_in *in, uint64_t *out)
{
    *out = 0;
    for (uint32_t i = 0; i < PARCEL_NUMBER_BYTES_MAX; i++) {
        uint8_t byte;
        scn_status st = get_raw(in, &byte, 1);
        if (st < 0)
            return st;
        if (i == 9 && byte > 1)
            break;
        *out |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80)
            return SCN_OK;
    }
    return corrupt(in, "increment: an impossible number");
}

static scn_status get_key(struct parcels_in *in, uint32_t which, uint64_t least,
                          scn_slice *out)
{
    uint64_t len;
    scn_status st = get_number(in, &len);
    if (st == SCN_OK && (len < least || len > KEY_BYTES_MAX))
        return corrupt(in, "increment: a key of an impossible length");
    if (st == SCN_OK)
        st = get_raw(in, in->keys[which], len);
    *out = (scn_slice){in->keys[which], st == SCN_OK ? len : 0};
    return st;
}

static scn_status grow_value(struct parcels_in *in, uint64_t used, uint64_t wanted)
{
    if (wanted <= in->value_capacity)
        return SCN_OK;
    size_t capacity = wanted + wanted / 2;
    uint8_t *grown = mem_grow(in->value, used, capacity);
    if (grown == NULL)
        return error_nomem();
    in->value = grown;
    in->value_capacity = capacity;
    return SCN_OK;
}

static scn_status get_value(struct parcels_in *in, scn_slice *out)
{
    uint64_t len;
    scn_status st = get_number(in, &len);
    if (st == SCN_OK && len > VALUE_BYTES_MAX)
        return corrupt(in, "increment: a value of an impossible length");
    for (uint64_t off = 0; off < len && st == SCN_OK;) {
        uint64_t part = len - off < VALUE_STEP_BYTES ? len - off : VALUE_STEP_BYTES;
        st = grow_value(in, off, off + part);
        if (st == SCN_OK)
            st = get_raw(in, in->value + off, part);
        off += part;
    }
    *out = (scn_slice){in->value, st == SCN_OK ? len : 0};
    return st;
}

static scn_status get_id(struct parcels_in *in, uint64_t *id)
{
    scn_status st = get_number(in, id);
    if (st == SCN_OK && (*id < TABLE_FIRST_USER || *id > UINT32_MAX))
        return corrupt(in, "increment: an impossible table id");
    return st;
}

static scn_status get_range(struct parcels_in *in, struct parcels_item *out)
{
    scn_status st = get_key(in, 0, 0, &out->key);
    if (st == SCN_OK)
        st = get_key(in, 1, 0, &out->value);
    if (st == SCN_OK && out->value.size &&
        bytes_compare(out->key.data, out->key.size, out->value.data,
                      out->value.size) >= 0)
        return corrupt(in, "increment: an impossible range");
    return st;
}

static scn_status get_name(struct parcels_in *in, struct parcels_item *out)
{
    scn_status st = get_id(in, &out->number);
    if (st == SCN_OK)
        st = get_number(in, &out->flags);
    return st == SCN_OK ? get_key(in, 0, 1, &out->key) : st;
}

static scn_status get_fields(struct parcels_in *in, struct parcels_item *out)
{
    scn_status st;
    switch (out->op) {
    case PARCEL_NEXT:
        return get_id(in, &out->number);
    case PARCEL_TABLE:
        in->tables++;
        return get_id(in, &out->number);
    case PARCEL_NAME:
        return get_name(in, out);
    case PARCEL_CLEAR:
    case PARCEL_RANGE:
        return get_range(in, out);
    case PARCEL_PUT:
        in->rows++;
        st = get_key(in, 0, 1, &out->key);
        return st == SCN_OK ? get_value(in, &out->value) : st;
    case PARCEL_KEEP:
    case PARCEL_DELETE:
        in->rows++;
        return get_key(in, 0, 1, &out->key);
    case PARCEL_DONE:
        return SCN_OK;
    }
    return corrupt(in, "increment: an unknown operation");
}

scn_status parcels_next(struct parcels_in *in, struct parcels_item *out)
{
    uint8_t code;
    *out = (struct parcels_item){.number = 0};
    scn_status st = refill(in);
    if (st == SCN_OK)
        st = get_raw(in, &code, 1);
    if (st != SCN_OK)
        return st;
    out->op = (enum parcel_op)code;
    return get_fields(in, out);
}
