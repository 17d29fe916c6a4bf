/* A stack of LSNs that never decrease: one thread pushes, any number look into it.
 *
 * Each node knows its neighbour below and one far below, so that a node is found in a
 * logarithmic number of steps, however old the snapshot that asks.  Nodes are embedded
 * in what they stand for and const once pushed. */
#ifndef ENGINE_LSN_STACK_H
#define ENGINE_LSN_STACK_H

#include <stdatomic.h>
#include <stdint.h>

struct lsn_node {
    uint64_t lsn;
    uint64_t depth; /* nodes from here to the bottom */
    struct lsn_node *below;
    struct lsn_node *far_below;
};

struct lsn_stack {
    _Atomic(struct lsn_node *) top;
};

/* lsn is not below the top's. */
void lsn_stack_push(struct lsn_stack *stack, struct lsn_node *node, uint64_t lsn);
/* Takes off every node above lsn; how many there were.  No concurrent reader. */
uint64_t lsn_stack_pop(struct lsn_stack *stack, uint64_t lsn);
struct lsn_node *lsn_stack_top(const struct lsn_stack *stack);
/* The topmost node with an LSN of at most max_lsn, or NULL. */
struct lsn_node *lsn_stack_at(const struct lsn_stack *stack, uint64_t max_lsn);
/* Node idx from the top, or NULL. */
struct lsn_node *lsn_stack_nth(const struct lsn_stack *stack, uint64_t idx);

#endif
