/* The radix tree: see art.h.
 *
 * A node stands for all keys that share their first `depth` bytes, and tells them
 * apart by the byte that follows.  The key that ends there hangs at `end`, before all
 * children.  Bytes in which the keys of a node do not differ make no nodes: a child's
 * depth may be any number greater than its parent's, and the bytes in between are
 * read, when they are needed, from `sample`, some key of the subtree.  So a prefix of
 * any length costs nothing, and a node never changes when a new key parts from its
 * prefix: the fork is a new node above it.
 *
 *     depth 0 [a ..... u]               sample: any key below
 *              |       |
 *             "axe"   depth 5 [end 1 2]            keys: axe, user:, user:17, user:2
 *                             |   |  |
 *                       "user:"   |  "user:2"
 *                         "user:17"
 *
 * Children come in four sizes.  Up to 16 they lie in the order of their coming, with
 * their bytes in one or two words; up to 48 an index leads from byte to slot; then
 * there is a slot for each byte.  The two large kinds have a bitmap for finding
 * neighbours.
 *
 * Readers need no lock because every change is one release store of something that is
 * complete: a count, an index byte, or a slot.  A node that is full is copied into a
 * larger one, which takes its place in the parent's slot; readers that are in the old
 * one see the tree as it was.  Nothing is freed before the arena, and nothing is taken
 * out, so a slot that led somewhere always will.
 *
 * art_find is optimistic: it looks only at the bytes that tell keys apart and compares
 * the whole key once, at the end. A seek must know on which side of a subtree the key
 * lies and compares the skipped bytes too.  It keeps no path: on the way down it
 * remembers the nearest subtree on the far side, which is the answer when the key's
 * own subtree has none.
 *
 * Memory can be promised for n inserts because growth is paid in advance.  An insert
 * makes at most one node of the smallest kind or puts one child into a node.  A node
 * grows only after enough children were put into it, so GROWTH_SHARE bytes for each
 * child pay for the larger node.  `growth_debt` is what was paid and not yet taken: n
 * inserts take no more than that and their own share, and no more than n largest
 * nodes. */
#include "engine/art.h"

#include "engine/delta.h"
#include "page/bytes.h"
#include "page/limits.h"

enum art_kind { ART_4, ART_16, ART_48, ART_256 };

struct art_node {
    const struct delta_entry *sample; /* const: some key of the subtree */
    struct art_slot end;              /* the key of `depth` bytes */
    uint16_t depth;                   /* const */
    uint8_t kind;                     /* const */
    _Atomic uint16_t count;           /* children; publishes them in the small kinds */
};

/* words: byte i of a key is bits 8 * (i % 8) and up of word i / 8, whatever the
 * machine. */
struct art_4 {
    struct art_node node;
    _Atomic uint64_t words[1];
    struct art_slot slots[4];
};

struct art_16 {
    struct art_node node;
    _Atomic uint64_t words[2];
    struct art_slot slots[16];
};

/* bitmap: bit b of word b / 64 says that byte b has a child; set after the child. */
struct art_48 {
    struct art_node node;
    _Atomic uint64_t bitmap[4];
    _Atomic uint8_t index[256]; /* slot + 1; 0: no child; publishes the slot */
    struct art_slot slots[48];
};

struct art_256 {
    struct art_node node;
    _Atomic uint64_t bitmap[4];
    struct art_slot slots[256];
};

enum { GROWTH_SHARE = 66 };

struct art_kind_of {
    uint16_t bytes;
    uint16_t capacity;
    uint16_t
        share; /* what its children paid, at least, when it is full and one more comes */
};

static const struct art_kind_of kinds[] = {
    [ART_4] = {sizeof(struct art_4), 4, 3 * GROWTH_SHARE}, /* it began with two */
    [ART_16] = {sizeof(struct art_16), 16, 12 * GROWTH_SHARE},
    [ART_48] = {sizeof(struct art_48), 48, 32 * GROWTH_SHARE},
    [ART_256] = {sizeof(struct art_256), 256, 0},
};

_Static_assert(KEY_BYTES_MAX <= UINT16_MAX, "a depth fits");
_Static_assert(sizeof(struct art_4) == 64, "the commonest node is one cache line long");
_Static_assert(sizeof(struct art_16) <= 3 * GROWTH_SHARE, "growth is paid");
_Static_assert(sizeof(struct art_48) <= 12 * GROWTH_SHARE, "growth is paid");
_Static_assert(sizeof(struct art_256) <= 32 * GROWTH_SHARE, "growth is paid");

/* ---- children as numbers: entries are odd ---- */

static inline uintptr_t child_of_entry(const struct delta_entry *entry)
{
    return (uintptr_t)entry | 1;
}

static inline bool is_node(uintptr_t child)
{
    return child != 0 && (child & 1) == 0;
}

static inline struct art_node *node_at(uintptr_t child)
{
    return (struct art_node *)child;
}

static inline struct delta_entry *entry_at(uintptr_t child)
{
    return child ? (struct delta_entry *)(child - 1) : NULL;
}

static inline uintptr_t slot_get(const struct art_slot *slot)
{
    return atomic_load_explicit(&slot->child, memory_order_acquire);
}

static inline void slot_set(struct art_slot *slot, uintptr_t child)
{
    atomic_store_explicit(&slot->child, child, memory_order_release);
}

static inline uint32_t count_of(const struct art_node *node)
{
    return atomic_load_explicit(&node->count, memory_order_acquire);
}

static inline uint64_t word_get(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_acquire);
}

/* Only the inserter stores, so that no read-modify-write is needed. */
static inline void word_add(_Atomic uint64_t *word, uint64_t bits)
{
    uint64_t old = atomic_load_explicit(word, memory_order_relaxed);
    atomic_store_explicit(word, old | bits, memory_order_release);
}

static inline scn_slice key_of(const struct delta_entry *entry)
{
    return (scn_slice){entry->key, entry->key_len};
}

static inline uint8_t byte_at(scn_slice key, size_t idx)
{
    return ((const uint8_t *)key.data)[idx];
}

/* The parts of a node, wherever its kind has them. */
struct art_parts {
    _Atomic uint64_t *words; /* bytes of the small kinds, bitmap of the large ones */
    struct art_slot *slots;
};

static inline struct art_parts parts_of(struct art_node *node)
{
    switch (node->kind) {
    case ART_4:
        return (struct art_parts){((struct art_4 *)node)->words,
                                  ((struct art_4 *)node)->slots};
    case ART_16:
        return (struct art_parts){((struct art_16 *)node)->words,
                                  ((struct art_16 *)node)->slots};
    case ART_48:
        return (struct art_parts){((struct art_48 *)node)->bitmap,
                                  ((struct art_48 *)node)->slots};
    default:
        return (struct art_parts){((struct art_256 *)node)->bitmap,
                                  ((struct art_256 *)node)->slots};
    }
}

/* ---- small nodes ---- */

/* Finds the byte among the first `count`; what lies behind them is zero.  The usual
 * test for a zero byte in a word errs only above a true one, and the lowest is taken. */
static inline struct art_slot *small_find(struct art_parts parts, uint32_t count,
                                          uint8_t byte)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    for (uint32_t i = 0; i < count; i += 8) {
        uint64_t differs = word_get(&parts.words[i / 8]) ^ ones * byte;
        uint64_t equals = (differs - ones) & ~differs & ones << 7;
        if (equals) {
            i += (uint32_t)__builtin_ctzll(equals) / 8;
            return i < count ? &parts.slots[i] : NULL;
        }
    }
    return NULL;
}

static inline uint32_t small_byte(struct art_parts parts, uint32_t idx)
{
    return word_get(&parts.words[idx / 8]) >> 8 * (idx % 8) & 255;
}

/* The child with the smallest byte in [from, to), or the largest. */
static uintptr_t small_nearest(struct art_parts parts, uint32_t count, uint32_t from,
                               uint32_t to, bool is_up)
{
    const struct art_slot *best = NULL;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t byte = small_byte(parts, i);
        if (byte < from || byte >= to)
            continue;
        best = &parts.slots[i];
        if (is_up)
            to = byte;
        else
            from = byte + 1;
    }
    return best ? slot_get(best) : 0;
}

/* ---- bitmaps of large nodes ---- */

/* The smallest byte >= from that is set; 256 when there is none. */
static uint32_t bitmap_next(const _Atomic uint64_t *bitmap, uint32_t from)
{
    while (from < 256) {
        uint64_t word = word_get(&bitmap[from / 64]) >> from % 64;
        if (word)
            return from + (uint32_t)__builtin_ctzll(word);
        from += 64 - from % 64;
    }
    return 256;
}

/* The largest byte < to that is set; 256 when there is none. */
static uint32_t bitmap_previous(const _Atomic uint64_t *bitmap, uint32_t to)
{
    while (to > 0) {
        uint32_t last = to - 1;
        uint64_t word = word_get(&bitmap[last / 64]) << (63 - last % 64);
        if (word)
            return last - (uint32_t)__builtin_clzll(word);
        to = last - last % 64;
    }
    return 256;
}

/* ---- nodes of any kind ---- */

static inline bool is_small(const struct art_node *node)
{
    return node->kind <= ART_16;
}

/* The slot of a byte, which may be empty, or NULL. */
static inline struct art_slot *node_slot(struct art_node *node, uint8_t byte)
{
    if (is_small(node))
        return small_find(parts_of(node), count_of(node), byte);
    if (node->kind == ART_256)
        return &((struct art_256 *)node)->slots[byte];
    struct art_48 *indexed = (struct art_48 *)node;
    uint32_t idx = atomic_load_explicit(&indexed->index[byte], memory_order_acquire);
    return idx ? &indexed->slots[idx - 1] : NULL;
}

static inline uintptr_t node_child(struct art_node *node, uint8_t byte)
{
    const struct art_slot *slot = node_slot(node, byte);
    return slot ? slot_get(slot) : 0;
}

/* The child with the smallest byte >= from; 0 when there is none. */
static uintptr_t node_above(struct art_node *node, uint32_t from)
{
    if (is_small(node))
        return small_nearest(parts_of(node), count_of(node), from, 256, true);
    uint32_t byte = bitmap_next(parts_of(node).words, from);
    return byte < 256 ? node_child(node, (uint8_t)byte) : 0;
}

/* The child with the largest byte < to; 0 when there is none. */
static uintptr_t node_below(struct art_node *node, uint32_t to)
{
    if (is_small(node))
        return small_nearest(parts_of(node), count_of(node), 0, to, false);
    uint32_t byte = bitmap_previous(parts_of(node).words, to);
    return byte < 256 ? node_child(node, (uint8_t)byte) : 0;
}

/* ---- inserting ---- */

static struct art_node *node_create(struct art_memory *memory, enum art_kind kind,
                                    uint32_t depth, const struct delta_entry *sample)
{
    struct art_node *node = arena_take(memory->arena, kinds[kind].bytes);
    memset(node, 0, kinds[kind].bytes);
    node->sample = sample;
    node->depth = (uint16_t)depth;
    node->kind = (uint8_t)kind;
    return node;
}

/* The node has room and no such child.  The slot comes first, then what leads to it. */
static void node_add(struct art_node *node, uint8_t byte, uintptr_t child)
{
    struct art_parts parts = parts_of(node);
    uint32_t count = count_of(node);
    ASSERT(count < kinds[node->kind].capacity);
    slot_set(&parts.slots[node->kind == ART_256 ? byte : count], child);
    if (node->kind == ART_48)
        atomic_store_explicit(&((struct art_48 *)node)->index[byte], (uint8_t)(count + 1),
                              memory_order_release);
    if (is_small(node))
        word_add(&parts.words[count / 8], (uint64_t)byte << 8 * (count % 8));
    else
        word_add(&parts.words[byte / 64], UINT64_C(1) << byte % 64);
    atomic_store_explicit(&node->count, (uint16_t)(count + 1), memory_order_release);
}

/* A copy of the next kind, not yet published. */
static struct art_node *node_grown(struct art_memory *memory, struct art_node *node)
{
    struct art_node *grown =
        node_create(memory, node->kind + 1, node->depth, node->sample);
    struct art_parts parts = parts_of(node);
    slot_set(&grown->end, slot_get(&node->end));
    if (is_small(node)) {
        for (uint32_t i = 0; i < count_of(node); i++)
            node_add(grown, (uint8_t)small_byte(parts, i), slot_get(&parts.slots[i]));
        return grown;
    }
    for (uint32_t byte = bitmap_next(parts.words, 0); byte < 256;
         byte = bitmap_next(parts.words, byte + 1))
        node_add(grown, (uint8_t)byte, node_child(node, (uint8_t)byte));
    return grown;
}

static void insert_child(struct art_memory *memory, struct art_slot *slot,
                         struct art_node *node, struct delta_entry *entry)
{
    uint8_t byte = entry->key[node->depth];
    if (node->kind != ART_256)
        memory->growth_debt += GROWTH_SHARE;
    if (count_of(node) < kinds[node->kind].capacity) {
        node_add(node, byte, child_of_entry(entry));
        return;
    }
    ASSERT(memory->growth_debt >= kinds[node->kind].share);
    memory->growth_debt -= kinds[node->kind].share;
    struct art_node *grown = node_grown(memory, node);
    node_add(grown, byte, child_of_entry(entry));
    slot_set(slot, (uintptr_t)grown);
}

static void hang(struct art_node *node, scn_slice key, uintptr_t child)
{
    if (key.size == node->depth)
        slot_set(&node->end, child);
    else
        node_add(node, byte_at(key, node->depth), child);
}

/* A new node above what the slot leads to. */
static void insert_fork(struct art_memory *memory, const struct art_place *place,
                        struct delta_entry *entry)
{
    struct art_node *fork = node_create(memory, ART_4, place->differs, entry);
    hang(fork, key_of(place->sample), slot_get(place->slot));
    hang(fork, key_of(entry), child_of_entry(entry));
    slot_set(place->slot, (uintptr_t)fork);
}

void art_insert(struct art_memory *memory, const struct art_place *place,
                struct delta_entry *entry)
{
    uintptr_t child = slot_get(place->slot);
    if (child == 0)
        slot_set(place->slot, child_of_entry(entry));
    else if (!is_node(child) || node_at(child)->depth != place->differs)
        insert_fork(memory, place, entry);
    else if (entry->key_len == place->differs)
        slot_set(&node_at(child)->end, child_of_entry(entry));
    else
        insert_child(memory, place->slot, node_at(child), entry);
}

void art_init(struct art *art)
{
    atomic_init(&art->root.child, 0);
}

uint64_t art_reserve_bytes(const struct art_memory *memory, uint64_t count)
{
    uint64_t growth = count * sizeof(struct art_256);
    if (growth > memory->growth_debt)
        growth = memory->growth_debt;
    return growth + count * (sizeof(struct art_4) + GROWTH_SHARE);
}

/* ---- placing ---- */

/* The first byte in which two keys differ, or the length of the shorter. */
static uint32_t first_difference(scn_slice a, scn_slice b)
{
    uint32_t len = (uint32_t)(a.size < b.size ? a.size : b.size);
    uint32_t idx = 0;
    for (; idx + 8 <= len; idx += 8) {
        uint64_t differs = get_u64((const uint8_t *)a.data + idx) ^
                           get_u64((const uint8_t *)b.data + idx);
        if (differs)
            return idx + (uint32_t)__builtin_ctzll(differs) / 8;
    }
    while (idx < len && byte_at(a, idx) == byte_at(b, idx))
        idx++;
    return idx;
}

/* Where the key leads from a node; NULL or an empty slot when nowhere. */
static inline struct art_slot *step(struct art_node *node, scn_slice key)
{
    if (key.size > node->depth)
        return node_slot(node, byte_at(key, node->depth));
    return key.size == node->depth ? &node->end : NULL;
}

/* The slot above the first node or entry at or below the given depth, on the key's
 * way. */
static struct art_slot *slot_at_depth(struct art *art, scn_slice key, uint32_t depth)
{
    struct art_slot *slot = &art->root;
    uintptr_t child = slot_get(slot);
    while (is_node(child) && node_at(child)->depth < depth) {
        slot = node_slot(node_at(child), byte_at(key, node_at(child)->depth));
        child = slot_get(slot);
    }
    return slot;
}

/* Follows the key as far as it leads: out gets the last slot and a key from below it;
 * *decided is the number of bytes that the nodes above the slot have decided on.  The
 * entry where the way ended, or NULL. */
static struct delta_entry *follow(struct art *art, scn_slice key, struct art_place *out,
                                  uint32_t *decided)
{
    uintptr_t child = slot_get(&art->root);
    *decided = 0;
    *out = (struct art_place){.slot = &art->root};
    while (is_node(child)) {
        struct art_node *node = node_at(child);
        struct art_slot *next = step(node, key);
        out->sample = node->sample;
        child = next ? slot_get(next) : 0;
        if (child == 0)
            return NULL;
        out->slot = next;
        *decided = node->depth + 1u;
    }
    out->sample = entry_at(child);
    return entry_at(child);
}

struct delta_entry *art_place(struct art *art, scn_slice key, struct art_place *out)
{
    uint32_t decided;
    struct delta_entry *entry = follow(art, key, out, &decided);
    if (out->sample == NULL)
        return NULL;
    out->differs = first_difference(key, key_of(out->sample));
    if (out->differs == key.size && out->differs == out->sample->key_len) {
        ASSERT(entry); /* a key that is here is never missed on the way */
        return entry;
    }
    if (out->differs < decided) /* in bytes that a node above skipped */
        out->slot = slot_at_depth(art, key, out->differs);
    return NULL;
}

/* ---- finding ---- */

struct delta_entry *art_find(const struct art *art, scn_slice key)
{
    uintptr_t child = slot_get(&art->root);
    while (is_node(child)) {
        const struct art_slot *next = step(node_at(child), key);
        child = next ? slot_get(next) : 0;
    }
    struct delta_entry *entry = entry_at(child);
    if (entry == NULL || entry->key_len != key.size ||
        memcmp(entry->key, key.data, key.size) != 0)
        return NULL;
    return entry;
}

/* ---- seeking ---- */

static struct delta_entry *first_below(uintptr_t child)
{
    while (is_node(child)) {
        uintptr_t end = slot_get(&node_at(child)->end);
        child = end ? end : node_above(node_at(child), 0);
    }
    return entry_at(child);
}

static struct delta_entry *last_below(uintptr_t child)
{
    while (is_node(child))
        child = node_below(node_at(child), 256);
    return entry_at(child);
}

/* Where the node's keys lie, all of which share their first `depth` bytes: 1 behind
 * the key, -1 before it, 0 around it: the key begins with these bytes.  They agree in
 * the first `from` bytes. */
static inline int node_side(const struct art_node *node, scn_slice key, uint32_t from)
{
    size_t to = key.size < node->depth ? key.size : node->depth;
    if (from < to) {
        int order = memcmp(node->sample->key + from, (const uint8_t *)key.data + from,
                           to - from);
        if (order != 0)
            return order > 0 ? 1 : -1;
    }
    return key.size < node->depth ? 1 : 0;
}

static inline int entry_side(uintptr_t child, scn_slice key)
{
    const struct delta_entry *entry = entry_at(child);
    return bytes_compare(entry->key, entry->key_len, key.data, key.size);
}

/* The subtree whose first entry is the nearest behind the key; 0 when there is none. */
static uintptr_t seek_up(uintptr_t child, scn_slice key, bool may_equal)
{
    uintptr_t above = 0;
    uint32_t from = 0;
    while (is_node(child)) {
        struct art_node *node = node_at(child);
        int side = node_side(node, key, from);
        if (side != 0)
            return side > 0 ? child : above;
        if (key.size == node->depth)
            return may_equal ? child : node_above(node, 0);
        uint8_t byte = byte_at(key, node->depth);
        uintptr_t next = node_above(node, byte + 1u);
        if (next)
            above = next;
        from = node->depth + 1u;
        child = node_child(node, byte);
    }
    if (child == 0)
        return above;
    int side = entry_side(child, key);
    return side > 0 || (side == 0 && may_equal) ? child : above;
}

/* The subtree whose last entry is the nearest before the key; 0 when there is none. */
static uintptr_t seek_down(uintptr_t child, scn_slice key, bool may_equal)
{
    uintptr_t below = 0;
    uint32_t from = 0;
    while (is_node(child)) {
        struct art_node *node = node_at(child);
        int side = node_side(node, key, from);
        if (side != 0)
            return side < 0 ? child : below;
        uintptr_t end = slot_get(&node->end);
        if (key.size == node->depth)
            return may_equal && end ? end : below;
        uint8_t byte = byte_at(key, node->depth);
        uintptr_t next = node_below(node, byte);
        if (next || end)
            below = next ? next : end;
        from = node->depth + 1u;
        child = node_child(node, byte);
    }
    if (child == 0)
        return below;
    int side = entry_side(child, key);
    return side < 0 || (side == 0 && may_equal) ? child : below;
}

struct delta_entry *art_seek(const struct art *art, const scn_slice *key, int op)
{
    ASSERT(op >= SCN_GE && op <= SCN_LT);
    uintptr_t root = slot_get(&art->root);
    bool is_up = op == SCN_GE || op == SCN_GT;
    if (key == NULL)
        return is_up ? first_below(root) : last_below(root);
    if (is_up)
        return first_below(seek_up(root, *key, op == SCN_GE));
    return last_below(seek_down(root, *key, op == SCN_LE));
}
