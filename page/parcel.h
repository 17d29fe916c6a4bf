/* Blocks of an increment: a file that is read and written from front to back, in order,
 * through pipes too.
 *
 *     [HEAD][BODY][BODY] ... [BODY][END]
 *
 * Each block has a header of 40 bytes (docs/format.md, "Increment"):
 *      0 magic 8 | 8 type u8 | 9 zero 3 | 12 len u32 | 16 number u64 | 24 tag u64
 *     32 hash u64, XXH3-64 of 40 bytes: [0,32) and the XXH3-64 of the payload
 * The tag is the first half of the increment's id, so blocks of another one are found.
 * The chain goes over all blocks before: XXH3-128 of (the chain so far 16 | hash 8),
 * beginning with zeros; END has it, so a block that is left out or added is found.
 *
 * What the payloads of BODY hold, one after the other, is a single stream of operations,
 * which are cut into blocks anywhere. */
#ifndef PAGE_PARCEL_H
#define PAGE_PARCEL_H

#include "page/bytes.h"
#include "page/limits.h"
#include "page/status.h"

enum parcel_type { PARCEL_HEAD = 1, PARCEL_BODY = 2, PARCEL_END = 3 };

enum {
    PARCEL_HEADER_BYTES = 40,
    PARCEL_BYTES_MAX = PAGE_IS_SMALL ? 4096 : 256 << 10,
    PARCEL_HEAD_BYTES = 96,
    PARCEL_END_BYTES = 32,
    PARCEL_CHAIN_BYTES = 16
};
#define PARCEL_VERSION 1u

struct parcel_header {
    enum parcel_type type;
    uint32_t len; /* of the payload */
    uint64_t number;
    uint64_t tag;
    uint64_t hash;
};

/* Header and checksum for a payload that is complete. */
void parcel_header_encode(const struct parcel_header *header, const uint8_t *payload,
                          uint8_t at[PARCEL_HEADER_BYTES]);
/* NULL, or what is wrong; judges all but the checksum. */
const char *parcel_header_decode(const uint8_t at[PARCEL_HEADER_BYTES],
                                 struct parcel_header *out);
bool parcel_has_magic(const uint8_t at[8]);
bool parcel_hash_is_right(const uint8_t at[PARCEL_HEADER_BYTES], const uint8_t *payload);
void parcel_chain(uint8_t chain[PARCEL_CHAIN_BYTES], uint64_t hash);

/* Payload of HEAD: version u32 | zero u32 | uuid 16 | gen u64 | lsn u64 | id 16
 * | wall_ms u64 | since: gen u64 | lsn u64 | id 16. */
struct parcel_head {
    uint8_t uuid[16]; /* of the source */
    uint64_t gen;
    uint64_t lsn;
    uint8_t id[16];
    uint64_t wall_ms;
    uint64_t since_gen;
    uint64_t since_lsn;
    uint8_t since_id[16];
};
void parcel_head_encode(const struct parcel_head *head, uint8_t at[PARCEL_HEAD_BYTES]);
/* SCN_VERSION, SCN_CORRUPT. */
scn_status parcel_head_decode(const uint8_t at[PARCEL_HEAD_BYTES],
                              struct parcel_head *out) MUST_USE;

/* Payload of END: tables u64 | rows u64 | chain 16. */
struct parcel_end {
    uint64_t tables;
    uint64_t rows;
    uint8_t chain[PARCEL_CHAIN_BYTES];
};
void parcel_end_encode(const struct parcel_end *end, uint8_t at[PARCEL_END_BYTES]);
void parcel_end_decode(const uint8_t at[PARCEL_END_BYTES], struct parcel_end *out);

/* Operations: a code, then fields.  A number is a LEB128 varint; a key is its length and
 * its bytes; a bound is the same with length 0 for none.
 *     1 NEXT   id                  for the next new table
 *     2 NAME   id flags key        a table and its name
 *     3 TABLE  id                  what follows is in this table
 *     4 CLEAR  from to             the base's rows with from <= key < to go
 *     5 RANGE  from to             up to DONE: all rows there are, of these keys
 *     6 PUT    key len value
 *     7 KEEP   key                 in a RANGE: the row as the base has it
 *     8 DELETE key                 outside of a RANGE
 *     9 DONE
 * NEXT, then the NAMEs by id, then the TABLEs by id; in each the CLEARs, then the rest by
 * key. */
enum parcel_op {
    PARCEL_NEXT = 1,
    PARCEL_NAME = 2,
    PARCEL_TABLE = 3,
    PARCEL_CLEAR = 4,
    PARCEL_RANGE = 5,
    PARCEL_PUT = 6,
    PARCEL_KEEP = 7,
    PARCEL_DELETE = 8,
    PARCEL_DONE = 9
};
enum { PARCEL_NUMBER_BYTES_MAX = 10 };
/* Bytes written to at. */
uint32_t parcel_number_encode(uint64_t number, uint8_t at[PARCEL_NUMBER_BYTES_MAX]);

#endif
