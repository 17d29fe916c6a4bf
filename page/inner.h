/* Inner pages: children in key order, and between each two the separator.
 *
 *     [page header 64][slot header 64][hints 32 x u32][pointers n x 32 B]
 *     [heads n-1 x u32][offsets n x u16][separators]
 *
 * Separator i is a lower bound of child i and greater than every key of child i-1; child
 * 0 has none here (its bound stands in the parent).  Heads and hints as in leaves.
 * Accessors trust the image; page_check has judged it. */
#ifndef PAGE_INNER_H
#define PAGE_INNER_H

#include "page/page.h"

uint32_t inner_count(const uint8_t *page); /* children, at least 1 */
/* The child whose range holds the key. */
uint32_t inner_find(const uint8_t *page, const void *key, uint32_t key_len);
/* The encoded pointer of that child. */
const uint8_t *inner_child(const uint8_t *page, const void *key, uint32_t key_len);
/* The encoded pointer of a child: page_ref_decode(inner_ref(...)). */
const uint8_t *inner_ref(const uint8_t *page, uint32_t idx);
/* Lower bound of child idx, 1 <= idx < count. */
const uint8_t *inner_separator(const uint8_t *page, uint32_t idx, uint32_t *len);

const char *inner_check(const uint8_t *page, const struct page_ref *ref);

/* The shortest separator s with left < s <= right: a prefix of right; its length. */
uint32_t inner_separator_len(const void *left, uint32_t left_len, const void *right,
                             uint32_t right_len);

/* Builds one page.  Separators are copied into the builder. */
struct inner_builder;
scn_status inner_builder_create(struct inner_builder **out) MUST_USE;
void inner_builder_destroy(struct inner_builder *builder);
void inner_builder_reset(struct inner_builder *builder);
/* bound is the child's lower bound; that of the first child is kept for
 * inner_builder_bound and not written to the page.  False when it does not fit.  Two
 * children always fit. */
bool inner_builder_add(struct inner_builder *builder, const void *bound,
                       uint32_t bound_len, const struct page_ref *child);
uint32_t inner_builder_count(const struct inner_builder *builder);
uint32_t inner_builder_bytes(const struct inner_builder *builder);
/* The lower bound of the first child; valid until the next reset or destroy. */
const uint8_t *inner_builder_bound(const struct inner_builder *builder, uint32_t *len);
/* level >= 1; the children's level is one less. */
void inner_build(struct inner_builder *builder, uint8_t *page, uint8_t level,
                 uint32_t table_id, uint32_t pgno, uint64_t birth_gen,
                 struct page_ref *out);

#endif
