/* An increment as a stream of operations: cut into blocks when it is written, and judged
 * block by block when it is read, before anything of the block is believed.
 *
 * One thread. */
#ifndef ENGINE_PARCELS_H
#define ENGINE_PARCELS_H

#include "engine/hostfile.h"
#include "page/parcel.h"

/* ---- writing ---- */

struct parcels_out {
    struct hostfile *to;
    struct parcel_header next; /* the block being filled */
    uint64_t off;
    uint8_t chain[PARCEL_CHAIN_BYTES];
    uint64_t tables;
    uint64_t rows;
    uint8_t *block; /* header and payload; owned */
};

/* Writes HEAD. */
scn_status parcels_begin(struct parcels_out *out, struct hostfile *to,
                         const struct parcel_head *head) MUST_USE;
scn_status parcels_put_op(struct parcels_out *out, enum parcel_op op) MUST_USE;
scn_status parcels_put_number(struct parcels_out *out, uint64_t number) MUST_USE;
/* Length and bytes. */
scn_status parcels_put_bytes(struct parcels_out *out, scn_slice bytes) MUST_USE;
/* The rest, and END; out->chain is then the digest of the increment. */
scn_status parcels_end(struct parcels_out *out) MUST_USE;
/* Of a zeroed one too. */
void parcels_out_destroy(struct parcels_out *out);

/* ---- reading ---- */

struct parcels_in {
    struct hostfile *from;
    struct parcel_head head;
    struct parcel_end end;     /* when has_ended */
    struct parcel_header now;  /* the block being read */
    uint64_t off;              /* in the file, behind that block */
    uint32_t at;               /* in its payload */
    bool has_ended;
    uint8_t chain[PARCEL_CHAIN_BYTES];
    uint64_t tables;
    uint64_t rows;
    uint8_t *payload;   /* owned */
    uint8_t *value;     /* owned; the last value */
    size_t value_capacity;
    uint8_t *keys[2];   /* owned; KEY_BYTES_MAX each, of the last operation */
};

/* One operation; bytes are good until the next call. */
struct parcels_item {
    enum parcel_op op;
    uint64_t number; /* NEXT, NAME, TABLE: id */
    uint64_t flags;  /* NAME */
    scn_slice key;   /* also NAME's name, CLEAR's and RANGE's from */
    scn_slice value; /* also CLEAR's and RANGE's to */
};

/* Reads HEAD.  SCN_NOTADB: it is no increment.  SCN_VERSION, SCN_CORRUPT, SCN_IO. */
scn_status parcels_open(struct parcels_in *in, struct hostfile *from) MUST_USE;
/* SCN_END behind the last operation, when END agrees with what was read.  SCN_CORRUPT;
 * SCN_NOMEM. */
scn_status parcels_next(struct parcels_in *in, struct parcels_item *out) MUST_USE;
/* Of a zeroed one too. */
void parcels_in_destroy(struct parcels_in *in);

#endif
