/* A graph of dependencies between transactions, and its cycles. */
#ifndef TEST_MANY_TANGLE_H
#define TEST_MANY_TANGLE_H

#include <stdbool.h>
#include <stdint.h>

enum tangle_kind { TANGLE_WW, TANGLE_WR, TANGLE_RW, TANGLE_RT };

struct tangle;

struct tangle *tangle_create(uint32_t node_count);
void tangle_destroy(struct tangle *tangle);
void tangle_add(struct tangle *tangle, uint32_t from, uint32_t to, enum tangle_kind kind);

/* A short cycle, or "": its name (G0, G1c, G-single, G2; with "-realtime" behind it where
 * it needs the order in time) and its nodes, of those below shown_count.  allows_skew:
 * cycles with two rw edges in a row do not count.  The text is good until the next
 * call. */
const char *tangle_cycle(struct tangle *tangle, bool allows_skew, uint32_t shown_count);

#endif
