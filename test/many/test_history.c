/* The judge of histories: it finds each anomaly, and nothing in what is right. */
#include "test/many/history.h"
#include "test/unit/unit.h"

/* Transactions in short: "a1 r1:1,2", appends and reads of keys 1 to 9; its times. */
struct story {
    uint32_t start;
    uint32_t end;
    uint32_t outcome;
    const char *ops;
};

static void add_op(struct history_txn *txn, const char **at)
{
    struct history_op *op = &txn->ops[txn->count++];
    char kind = *(*at)++;
    op->key = (uint32_t)strtoul(*at, (char **)at, 10);
    while (**at == ':' || **at == ',') {
        uint32_t number = (uint32_t)strtoul(*at + 1, (char **)at, 10);
        if (kind == 'a')
            op->element = number;
        else
            op->list[op->count++] = number;
    }
}

static const char *judge(const struct story *stories, size_t count,
                         enum history_level level)
{
    static struct history_txn txns[16];
    memset(txns, 0, sizeof txns);
    for (size_t i = 0; i < count; i++) {
        const char *at = stories[i].ops;
        txns[i].start_ns = stories[i].start;
        txns[i].end_ns = stories[i].end;
        txns[i].outcome = stories[i].outcome;
        txns[i].process = (uint32_t)i;
        while (*at) {
            add_op(&txns[i], &at);
            at += strspn(at, " ");
        }
    }
    return history_judge(txns, count, level);
}

#define JUDGE(stories, level) judge(stories, sizeof(stories) / sizeof *(stories), level)

static int begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

#define CHECK_FOUND(stories, level, name)                                                \
    do {                                                                                 \
        const char *found_ = JUDGE(stories, level);                                      \
        if (!begins(found_, name))                                                       \
            unit_fail(__FILE__, __LINE__, "not %s, but \"%s\"", name, found_);           \
    } while (0)

#define CHECK_RIGHT(stories, level)                                                      \
    do {                                                                                 \
        const char *found_ = JUDGE(stories, level);                                      \
        if (found_[0])                                                                   \
            unit_fail(__FILE__, __LINE__, "found %s", found_);                           \
    } while (0)

enum { UNKNOWN = HISTORY_UNKNOWN, OK = HISTORY_COMMITTED, ABORTED = HISTORY_ABORTED };

TEST(history__finds_nothing_in_one_after_the_other)
{
    static const struct story stories[] = {
        {1, 2, OK, "a1:1 a2:2"},
        {3, 4, OK, "r1:1 a1:3 r1:1,3 a1:4"},
        {5, 6, ABORTED, "r1:1,3,4 a2:5"},
        {5, 9, OK, "r2:2 r1:1,3,4"},
        {10, 11, UNKNOWN, "a2:6"},
        {12, 13, UNKNOWN, "a2:7 r1:1,3,4"},
        {20, 21, OK, "r1:1,3,4"},
        {20, 21, OK, "r2:2,6"},
    };
    CHECK_RIGHT(stories, HISTORY_STRICT);
    CHECK_RIGHT(stories, HISTORY_SNAPSHOT);
}

TEST(history__lets_those_at_the_same_time_come_in_any_order)
{
    static const struct story stories[] = {
        {1, 9, OK, "a1:1"}, {1, 9, OK, "r1"}, {1, 9, OK, "a1:2 r1:2"}, {2, 8, OK, "r1:2"},
        {10, 11, OK, "r1:2,1"},
    };
    CHECK_RIGHT(stories, HISTORY_STRICT);
}

TEST(history__finds_write_skew_and_allows_it_in_snapshots)
{
    static const struct story stories[] = {
        {1, 4, OK, "r1 a2:1"},
        {2, 5, OK, "r2 a1:2"},
        {6, 7, OK, "r1:2 r2:1"},
    };
    CHECK_FOUND(stories, HISTORY_STRICT, "G2:");
    CHECK_RIGHT(stories, HISTORY_SNAPSHOT);
}

TEST(history__finds_a_lost_update)
{
    static const struct story gone[] = {
        {1, 4, OK, "r1 a1:1"},
        {2, 5, OK, "r1 a1:2"},
        {6, 7, OK, "r1:2"},
    };
    static const struct story kept[] = {
        {1, 4, OK, "r1 a1:1"},
        {2, 5, OK, "r1 a1:2"},
        {6, 7, OK, "r1:1,2"},
    };
    CHECK_FOUND(gone, HISTORY_STRICT, "lost");
    CHECK_FOUND(gone, HISTORY_SNAPSHOT, "lost");
    CHECK_FOUND(kept, HISTORY_STRICT, "G-single:");
    CHECK_FOUND(kept, HISTORY_SNAPSHOT, "G-single:");
}

TEST(history__finds_a_stale_read)
{
    static const struct story stories[] = {
        {1, 2, OK, "a1:1"},
        {3, 4, OK, "r1"},
        {5, 6, OK, "r1:1"},
    };
    CHECK_FOUND(stories, HISTORY_STRICT, "G-single-realtime:");
    CHECK_FOUND(stories, HISTORY_SNAPSHOT, "G-single-realtime:");
}

TEST(history__finds_a_read_that_goes_back)
{
    static const struct story stories[] = {
        {1, 9, UNKNOWN, "a1:1"},
        {2, 3, OK, "r1:1"},
        {4, 5, OK, "r1"},
        {10, 11, OK, "r1:1"},
    };
    CHECK_FOUND(stories, HISTORY_STRICT, "G-single-realtime:");
    CHECK_FOUND(stories, HISTORY_SNAPSHOT, "G-single-realtime:");
}

TEST(history__finds_circular_writes_and_reads)
{
    static const struct story g0[] = {
        {1, 9, OK, "a1:1 a2:2"},
        {1, 9, OK, "a1:3 a2:4"},
        {10, 11, OK, "r1:1,3 r2:4,2"},
    };
    static const struct story g1c[] = {
        {1, 9, OK, "a1:1 r2:2"},
        {1, 9, OK, "a2:2 r1:1"},
        {10, 11, OK, "r1:1 r2:2"},
    };
    CHECK_FOUND(g0, HISTORY_STRICT, "G0:");
    CHECK_FOUND(g0, HISTORY_SNAPSHOT, "G0:");
    CHECK_FOUND(g1c, HISTORY_STRICT, "G1c:");
    CHECK_FOUND(g1c, HISTORY_SNAPSHOT, "G1c:");
}

TEST(history__finds_a_fractured_read)
{
    static const struct story stories[] = {
        {1, 9, OK, "a1:1 a2:2"},
        {1, 9, OK, "r1:1 r2"},
        {10, 11, OK, "r1:1 r2:2"},
    };
    CHECK_FOUND(stories, HISTORY_STRICT, "G-single:");
    CHECK_FOUND(stories, HISTORY_SNAPSHOT, "G-single:");
}

TEST(history__finds_two_readers_who_disagree_on_the_order)
{
    /* A long fork: each has seen what the other has not. */
    static const struct story stories[] = {
        {1, 9, OK, "a1:1"},     {1, 9, OK, "a2:2"}, {1, 9, OK, "r1:1 r2"},
        {1, 9, OK, "r1 r2:2"}, {10, 11, OK, "r1:1 r2:2"},
    };
    CHECK_FOUND(stories, HISTORY_STRICT, "G2:");
}

TEST(history__finds_what_was_aborted_or_half_seen)
{
    static const struct story g1a[] = {{1, 2, ABORTED, "a1:1"}, {3, 4, OK, "r1:1"}};
    static const struct story g1b[] = {
        {1, 9, OK, "a1:1 a1:2"}, {2, 3, OK, "r1:1"}, {10, 11, OK, "r1:1,2"}};
    static const struct story part[] = {{1, 9, UNKNOWN, "a1:1 a2:2"},
                                        {10, 11, OK, "r1:1 r2"}};
    CHECK_FOUND(g1a, HISTORY_SNAPSHOT, "G1a");
    CHECK_FOUND(g1b, HISTORY_SNAPSHOT, "G1b");
    CHECK_FOUND(part, HISTORY_SNAPSHOT, "in part");
}

TEST(history__finds_elements_that_are_out_of_place)
{
    static const struct story nowhere[] = {{1, 2, OK, "a1:1"}, {3, 4, OK, "r1:1,7"}};
    static const struct story twice[] = {{1, 2, OK, "a1:1"}, {3, 4, OK, "r1:1,1"}};
    static const struct story other[] = {{1, 2, OK, "a1:1"}, {3, 4, OK, "r1:1 r2:1"}};
    static const struct story order[] = {
        {1, 9, OK, "a1:1"}, {1, 9, OK, "a1:2"}, {1, 9, OK, "r1:1"}, {1, 9, OK, "r1:2,1"}};
    static const struct story own[] = {{1, 2, OK, "a1:1 r1"}, {3, 4, OK, "r1:1"}};
    CHECK_FOUND(nowhere, HISTORY_STRICT, "from nowhere");
    CHECK_FOUND(twice, HISTORY_STRICT, "twice");
    CHECK_FOUND(other, HISTORY_STRICT, "from nowhere");
    CHECK_FOUND(order, HISTORY_STRICT, "incompatible order");
    CHECK_FOUND(own, HISTORY_STRICT, "internal");
}
