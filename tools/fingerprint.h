/* What the tables of a store hold, as numbers that do not depend on where the rows lie:
 * equal rows, equal numbers.  docs/format.md says how they are made ("Digest").  Reads
 * every row. */
#ifndef TOOLS_FINGERPRINT_H
#define TOOLS_FINGERPRINT_H

#include "tools/handle.h"

#include <stdint.h>

enum { FINGERPRINT_BYTES = 16, FINGERPRINT_HEX_BYTES = 33 };

struct fingerprint {
    char name[256];
    scn_table_id id;
    uint32_t flags;
    uint64_t rows;
    uint8_t digest[FINGERPRINT_BYTES];
};

/* Starts zeroed. */
struct fingerprints {
    struct fingerprint *items; /* by name; owned */
    size_t count;
    size_t capacity;
    uint8_t digest[FINGERPRINT_BYTES]; /* of all of them, whether listed or not */
};

/* table NULL: all.  OUTCOME_FINDINGS: there is no such table; OUTCOME_INTERRUPTED. */
enum outcome fingerprints_read(struct fingerprints *out, struct handle *handle,
                               const char *table);
void fingerprints_free(struct fingerprints *prints);

/* Hexadecimal digits and a zero. */
void fingerprint_hex(const uint8_t bytes[FINGERPRINT_BYTES],
                     char out[FINGERPRINT_HEX_BYTES]);

#endif
