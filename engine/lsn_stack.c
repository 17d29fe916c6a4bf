/* Stacks of LSNs: see lsn_stack.h.
 *
 * far_below follows the skew binary numbers: where the two last jumps had the same
 * length, the new node jumps over both, else it jumps one node.  A search goes far
 * below while that is still too new, else one down; it takes at most about three times
 * the logarithm of the depth. */
#include "engine/lsn_stack.h"

#include "page/status.h"

static uint64_t depth_of(const struct lsn_node *node)
{
    return node ? node->depth : 0;
}

static struct lsn_node *far_below(const struct lsn_node *node)
{
    return node ? node->far_below : NULL;
}

void lsn_stack_push(struct lsn_stack *stack, struct lsn_node *node, uint64_t lsn)
{
    struct lsn_node *below = atomic_load_explicit(&stack->top, memory_order_relaxed);
    ASSERT(below == NULL || below->lsn <= lsn);
    struct lsn_node *far = far_below(below);
    uint64_t last_jump = depth_of(below) - depth_of(far);
    uint64_t jump_before = depth_of(far) - depth_of(far_below(far));
    node->lsn = lsn;
    node->depth = depth_of(below) + 1;
    node->below = below;
    node->far_below = far && last_jump == jump_before ? far->far_below : below;
    atomic_store_explicit(&stack->top, node, memory_order_release);
}

uint64_t lsn_stack_pop(struct lsn_stack *stack, uint64_t lsn)
{
    struct lsn_node *top = atomic_load_explicit(&stack->top, memory_order_relaxed);
    struct lsn_node *left = lsn_stack_at(stack, lsn);
    atomic_store_explicit(&stack->top, left, memory_order_relaxed);
    return depth_of(top) - depth_of(left);
}

struct lsn_node *lsn_stack_top(const struct lsn_stack *stack)
{
    return atomic_load_explicit(&stack->top, memory_order_acquire);
}

struct lsn_node *lsn_stack_at(const struct lsn_stack *stack, uint64_t max_lsn)
{
    struct lsn_node *node = lsn_stack_top(stack);
    while (node && node->lsn > max_lsn)
        node = node->far_below && node->far_below->lsn > max_lsn ? node->far_below
                                                                 : node->below;
    return node;
}

struct lsn_node *lsn_stack_nth(const struct lsn_stack *stack, uint64_t idx)
{
    struct lsn_node *node = lsn_stack_top(stack);
    if (idx >= depth_of(node))
        return NULL;
    uint64_t depth = node->depth - idx;
    while (node->depth > depth)
        node = depth_of(node->far_below) >= depth ? node->far_below : node->below;
    return node;
}
