/* An adaptive radix tree of delta entries, ordered by key bytes.
 *
 * Keys are any bytes; one may be a prefix of another.  Entries are never taken out.
 *
 * [D5] One thread places and inserts; any number find and seek, without locks and
 *      without waiting.
 * [D6] Who synchronised with the inserter after an insert sees it.  An entry that is
 *      inserted while a seek runs may be returned or passed over; all others are
 *      judged exactly.
 * [D7] Nodes come from the inserter's arena, whose owner reserves art_reserve_bytes
 *      before inserting. */
#ifndef ENGINE_ART_H
#define ENGINE_ART_H

#include "engine/arena.h"

struct delta_entry;

/* A child: nothing (0), an entry, or a node. */
struct art_slot {
    _Atomic(uintptr_t) child;
};

struct art {
    struct art_slot root;
};

/* What the nodes of one or more trees take; one for an arena.  Inserter only. */
struct art_memory {
    struct arena *arena;
    uint64_t growth_debt; /* what growth may take because of past inserts, at most */
};

void art_init(struct art *art);
/* Bytes of nodes that any `count` inserts may take. */
uint64_t art_reserve_bytes(const struct art_memory *memory, uint64_t count);

/* Where a key belongs; good until the next insert. */
struct art_place {
    struct art_slot *slot;
    uint32_t
        differs; /* the first byte in which the key differs from all keys below slot */
    const struct delta_entry *sample; /* one of those; NULL when there is none */
};
/* The entry with this key, or NULL and its place. */
struct delta_entry *art_place(struct art *art, scn_slice key, struct art_place *out);
/* Readers may see the entry from here on. */
void art_insert(struct art_memory *memory, const struct art_place *place,
                struct delta_entry *entry);

struct delta_entry *art_find(const struct art *art, scn_slice key);
/* The nearest entry: op is SCN_GE, SCN_GT, SCN_LE or SCN_LT; key NULL: first (GE) or
 * last (LE).  NULL: none. */
struct delta_entry *art_seek(const struct art *art, const scn_slice *key, int op);

#endif
