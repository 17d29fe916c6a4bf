/* A history of transactions on lists, and its judgement.
 *
 * The value of a key is a list of elements, to which transactions append; every element
 * is appended once in all.  So a read tells which appends came before it and in what
 * order, and from the longest reads follows what each transaction must have seen of each
 * other (after Kingsbury and Alvaro, "Elle"):
 *
 *     ww   the next element of the same list was appended by ...
 *     wr   the last element of a list that was read was appended by the reader's ...
 *     rw   the element behind the end of what was read was appended by ...
 *     rt   it began after ... had ended
 *
 * In a history that is strictly serializable these edges have no cycle.  Under snapshot
 * isolation a cycle has two rw edges that follow each other; any other is an anomaly (G0,
 * G1c, G-single).  Beside the cycles: elements that nobody appended, or an aborted
 * transaction, or that are there twice, or vanish, or only a part of what a transaction
 * appended to the list. */
#ifndef TEST_MANY_HISTORY_H
#define TEST_MANY_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HISTORY_OPS_MAX = 6, HISTORY_LIST_MAX = 48 };

enum history_outcome {
    HISTORY_UNKNOWN, /* its process was killed: it may be there or not */
    HISTORY_COMMITTED,
    HISTORY_ABORTED
};

/* An element is never 0. */
struct history_op {
    uint32_t key;
    uint32_t element; /* appended; 0: a read */
    uint32_t count;   /* of what was read */
    uint32_t list[HISTORY_LIST_MAX];
};

struct history_txn {
    uint64_t start_ns;
    uint64_t end_ns; /* committed only */
    uint32_t process;
    uint32_t outcome;
    uint32_t count;
    struct history_op ops[HISTORY_OPS_MAX];
};

enum history_level { HISTORY_STRICT, HISTORY_SNAPSHOT };

/* What is wrong, by the names above, each with an example; empty: nothing.  The text is
 * good until the next call.  Elements and keys are small numbers. */
const char *history_judge(const struct history_txn *txns, size_t count,
                          enum history_level level);

#endif
