/* Every kind of damage, at every place of the reference file (test/engine/reference.h):
 * a list that can be walked, each variant by its number. */
#ifndef TEST_WALCHECK_DAMAGE_H
#define TEST_WALCHECK_DAMAGE_H

#include "test/engine/reference.h"

enum damage_kind {
    DAMAGE_BIT,      /* one bit flipped */
    DAMAGE_ZERO,     /* a sector of zeros: a hole */
    DAMAGE_GARBAGE,  /* a sector of anything */
    DAMAGE_SWAP,     /* two pages changed places */
    DAMAGE_REPLACE,  /* a page that is another one */
    DAMAGE_STALE,    /* a page as it was earlier */
    DAMAGE_HOLE,     /* a page of zeros */
    DAMAGE_CUT,      /* the file ends early */
    DAMAGE_FOREIGN,  /* a page of another store, at the same place */
    DAMAGE_UUID,     /* a superblock with another uuid, rightly sealed */
    DAMAGE_KINDS
};
const char *damage_name(enum damage_kind kind);

struct damage {
    struct reference reference;
    uint8_t *foreign; /* another store of the same content */
    uint64_t foreign_size;
};
void damage_open(struct damage *damage);
void damage_close(struct damage *damage);
uint64_t damage_count(const struct damage *damage, enum damage_kind kind);
/* bytes hold the healthy file, *size of them.  False: this variant changes nothing. */
bool damage_apply(const struct damage *damage, enum damage_kind kind, uint64_t n,
                  uint8_t *bytes, uint64_t *size);

/* Tries variants of one kind, some at equal distances for BUDGET_MS (in the environment;
 * usually less than a second).  `wish` names a variable of the environment: all, or a
 * kind, or a kind and a number.  is_right says what is wrong itself and gets the damaged
 * file.  Fails the test where one was. */
void damage_walk(enum damage_kind kind, const char *wish,
                 bool (*is_right)(const struct damage *damage, const uint8_t *bytes,
                                  uint64_t size));

/* Numbers below count that lie everywhere, however early one stops: the i-th of them,
 * from a seed. */
uint64_t damage_pick(uint64_t count, uint64_t i, uint64_t seed);

#endif
