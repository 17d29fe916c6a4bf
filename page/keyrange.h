/* Ranges of keys, from <= key < to, as the separators of inner pages promise them to the
 * pages below.
 *
 * A zeroed one is the range of all keys.  Bounds are copies, so a range is good when the
 * page that it was read from is gone.  Whoever walks down a tree has one a level and sets
 * it again and again, mostly in the memory it has. */
#ifndef PAGE_KEYRANGE_H
#define PAGE_KEYRANGE_H

#include "page/page.h"

/* A key on which a range borders; not set: it has no border there. */
struct bound {
    uint8_t *bytes; /* owned */
    size_t len;     /* 0 if it is not set: as a lower bound it is the empty key */
    size_t capacity;
    bool is_set;
};

/* SCN_NOMEM: as before. */
scn_status bound_set(struct bound *bound, const void *key, size_t len) MUST_USE;
/* Right behind the key: no other lies between. */
scn_status bound_set_behind(struct bound *bound, const void *key, size_t len) MUST_USE;
scn_status bound_copy(struct bound *bound, const struct bound *from) MUST_USE;
void bound_free(struct bound *bound);

static inline scn_slice bound_key(const struct bound *bound)
{
    return (scn_slice){bound->bytes, bound->len};
}

/* Of an upper bound: the key lies before it. */
static inline bool bound_is_above(const struct bound *to, const void *key, size_t len)
{
    return !to->is_set || bytes_compare(key, len, to->bytes, to->len) < 0;
}

struct keyrange {
    struct bound from;
    struct bound to;
};

/* All keys; the memory stays. */
void keyrange_clear(struct keyrange *range);
/* Of a child of an inner page, whose own range is given. */
scn_status keyrange_of_child(struct keyrange *child, const struct keyrange *parent,
                             const uint8_t *page, uint32_t idx) MUST_USE;
void keyrange_free(struct keyrange *range);

static inline bool keyrange_has(const struct keyrange *range, const void *key, size_t len)
{
    return bytes_compare(key, len, range->from.bytes, range->from.len) >= 0 &&
           bound_is_above(&range->to, key, len);
}

/* A leaf whose keys, or an inner page whose separators, are not all in the range that its
 * parent promises.  NULL: they are.  The image was accepted by page_check. */
const char *keyrange_fault(const struct keyrange *range, const uint8_t *page);

#endif
