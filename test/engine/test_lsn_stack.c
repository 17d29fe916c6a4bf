#include "engine/lsn_stack.h"
#include "test/unit/unit.h"

enum { NODES = 1000 };

TEST(lsn_stack__finds_the_topmost_node_at_a_bound)
{
    static struct lsn_node nodes[NODES];
    struct lsn_stack stack = {NULL};
    CHECK(lsn_stack_top(&stack) == NULL);
    CHECK(lsn_stack_at(&stack, 5) == NULL);
    CHECK(lsn_stack_nth(&stack, 0) == NULL);
    for (uint64_t i = 0; i < NODES; i++) {
        lsn_stack_push(&stack, &nodes[i], 10 + i * 10);
        CHECK(lsn_stack_top(&stack) == &nodes[i]);
        uint64_t asked = i * 7919 % (i + 1);
        CHECK(lsn_stack_at(&stack, 10 + asked * 10) == &nodes[asked]);
        CHECK(lsn_stack_at(&stack, 19 + asked * 10) == &nodes[asked]);
        CHECK(lsn_stack_nth(&stack, asked) == &nodes[i - asked]);
        CHECK(lsn_stack_at(&stack, 9) == NULL);
        CHECK(lsn_stack_nth(&stack, i + 1) == NULL);
    }
}

TEST(lsn_stack__steps_are_logarithmic)
{
    static struct lsn_node nodes[NODES];
    struct lsn_stack stack = {NULL};
    for (uint64_t i = 0; i < NODES; i++)
        lsn_stack_push(&stack, &nodes[i], i + 1);
    for (uint64_t max = 0; max <= NODES; max++) {
        int steps = 0;
        const struct lsn_node *node = lsn_stack_top(&stack);
        while (node && node->lsn > max) {
            node = node->far_below && node->far_below->lsn > max ? node->far_below
                                                                 : node->below;
            steps++;
        }
        CHECK(steps <= 3 * 10);
    }
}

TEST(lsn_stack__equal_lsns_are_told_apart_by_age)
{
    struct lsn_node nodes[4];
    struct lsn_stack stack = {NULL};
    for (int i = 0; i < 4; i++)
        lsn_stack_push(&stack, &nodes[i], i < 3 ? 7 : 8);
    CHECK(lsn_stack_at(&stack, 7) == &nodes[2]);
    CHECK(lsn_stack_nth(&stack, 3) == &nodes[0]);
}

TEST(lsn_stack__pop_leaves_what_is_at_or_below_the_bound)
{
    struct lsn_node nodes[20];
    struct lsn_stack stack = {NULL};
    for (uint64_t i = 0; i < 20; i++)
        lsn_stack_push(&stack, &nodes[i], i + 1);
    CHECK_EQ(lsn_stack_pop(&stack, 20), 0);
    CHECK_EQ(lsn_stack_pop(&stack, 12), 8);
    CHECK(lsn_stack_top(&stack) == &nodes[11]);
    lsn_stack_push(&stack, &nodes[12], 30);
    CHECK(lsn_stack_nth(&stack, 12) == &nodes[0]);
    CHECK_EQ(lsn_stack_pop(&stack, 0), 13);
    CHECK(lsn_stack_top(&stack) == NULL);
}
