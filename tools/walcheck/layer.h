/* The generations that a salvage can draw from.
 *
 * Where a superblock's checksum is wrong its fields may be right all the same: a pointer
 * to a page that has the hash which the pointer says is no accident.  So such a slot
 * counts as a layer where its catalog is found, but its log base is believed only where
 * there is no better one. */
#ifndef TOOLS_WALCHECK_LAYER_H
#define TOOLS_WALCHECK_LAYER_H

#include "tools/walcheck/generation.h"

struct layer {
    const struct superblock *sb;
    bool is_sound;    /* the superblock's checksum is right */
    bool has_catalog; /* a page of a catalog is where its pointer leads */
    uint64_t gen;     /* for telling which is newer */
    uint64_t gen_max; /* no page of it is newer, as far as that is known */
};

struct layers {
    struct generations generations;
    struct layer layer[2]; /* newest first */
    int count;
    uint8_t uuid[16]; /* of the log */
};

/* SCN_NOTADB, SCN_VERSION, SCN_CORRUPT (no layer at all), SCN_IO, SCN_NOMEM. */
scn_status layers_find(struct subject *subject, struct layers *out) MUST_USE;

/* Where the log of a layer begins; NULL: that is not known. */
const struct log_base *layer_base(const struct layers *layers, int idx);

#endif
