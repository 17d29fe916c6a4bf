/* The forger's tools: to change a store's file by hand and make its checksums right.
 *
 * A forge knows every pointer that leads to a page: from both superblocks over trees,
 * values and allocation state, and from the bulk runs of the log.  After a page was
 * changed, forge_seal makes its hash right, in its header and in each pointer to it, and
 * so on with the pages and records that hold these pointers, up to the superblocks and
 * along the chain of the log.
 *
 *     struct forge forge;
 *     forge_open(&forge, bytes, size);       bytes are a good file, and stay the caller's
 *     put_u32(forge_page(&forge, pgno) + 64, 7);
 *     forge_seal(&forge, pgno);
 *
 * A pointer that was changed to lead elsewhere is the forger's: forge_seal writes only
 * into those that still name the page. */
#ifndef TEST_ENGINE_FORGE_H
#define TEST_ENGINE_FORGE_H

#include "page/superblock.h"
#include "wal/record.h"

/* A place in the file from which a page is led to. */
struct forge_place {
    uint64_t off;  /* of the pointer; of {hash, number} alone where is_part */
    uint32_t pgno; /* the page */
    uint8_t type;
    bool is_part; /* of a spread value, in its index */
};

struct forge_record {
    uint64_t off;
    uint32_t bytes;
};

struct forge {
    uint8_t *bytes;
    uint64_t size;
    uint32_t newest; /* slot */
    struct superblock sb[2];
    struct forge_place *places;
    uint32_t place_count;
    uint32_t place_capacity;
    uint32_t newest_count; /* those of the newest generation and of the log come first */
    struct forge_record *records; /* of the log from the newest generation's base on */
    uint32_t record_count;
    uint32_t record_capacity;
    uint64_t *extents; /* offsets of the log's extents, in order */
    uint32_t extent_count;
};

void forge_open(struct forge *forge, uint8_t *bytes, uint64_t size);
/* What was learned holds for another copy of the same file, too. */
void forge_use(struct forge *forge, uint8_t *bytes);
void forge_close(struct forge *forge);

uint8_t *forge_page(struct forge *forge, uint32_t pgno);
/* A page that some pointer leads to, as of its header. */
bool forge_is_reached(const struct forge *forge, uint32_t pgno);
/* The first pointer to a page; NULL: none. */
uint8_t *forge_pointer(struct forge *forge, uint32_t pgno);
/* The page number `nth` (from 0) of a type and level that the newest generation has; 0:
 * none.  table_id 0: any table. */
uint32_t forge_find(const struct forge *forge, enum page_type type, uint8_t level,
                    uint32_t table_id, uint32_t nth);

/* The hash of this image, whatever is in it. */
uint64_t forge_hash(const uint8_t *page);
/* Pointers get level, type, birth, hash and number of buckets of the page. */
void forge_seal(struct forge *forge, uint32_t pgno);
void forge_seal_slot(struct forge *forge, uint32_t slot);
/* CRC of a record of which any part was changed, and the chain behind it. */
void forge_seal_record(struct forge *forge, uint32_t idx);
/* Whatever of these has the byte: a page that is led to, a superblock, a record. */
void forge_seal_around(struct forge *forge, uint64_t off);
/* Header and link of an extent. */
void forge_seal_extent(struct forge *forge, uint32_t idx);

#endif
