/* Judging histories: see history.h. */
#include "test/many/history.h"

#include "test/many/tangle.h"
#include "test/unit/unit.h"

enum { TEXT_BYTES = 2000, NOBODY = -1 };

/* The longest list that anybody read of a key. */
struct order {
    uint32_t count;
    const uint32_t *list;
};

struct judge {
    const struct history_txn *txns;
    size_t count;
    uint32_t element_count; /* one past the largest */
    uint32_t key_count;
    int *owners;     /* element -> transaction */
    uint32_t *keys;  /* element -> key it was appended to */
    bool *is_seen;   /* element -> somebody read it */
    bool *is_part;   /* transaction -> it happened */
    struct order *orders;
    struct tangle *tangle;
    char text[TEXT_BYTES];
    size_t text_len;
};

static void *zeroed(size_t count, size_t size)
{
    void *memory = calloc(count ? count : 1, size);
    if (memory == NULL)
        abort();
    return memory;
}

/* Only the first examples. */
static void accuse(struct judge *judge, const char *what, size_t txn, uint32_t key,
                   uint32_t element)
{
    size_t room = sizeof judge->text - judge->text_len;
    int len = snprintf(judge->text + judge->text_len, room,
                       "%s: transaction %zu of process %u, key %u, element %u\n", what,
                       txn, judge->txns[txn].process, key, element);
    if (len > 0 && (size_t)len < room)
        judge->text_len += (size_t)len;
    judge->text[judge->text_len] = '\0';
}

/* ---- who appended what ---- */

static void measure(struct judge *judge)
{
    for (size_t i = 0; i < judge->count; i++) {
        for (uint32_t j = 0; j < judge->txns[i].count; j++) {
            const struct history_op *op = &judge->txns[i].ops[j];
            if (op->key >= judge->key_count)
                judge->key_count = op->key + 1;
            if (op->element >= judge->element_count)
                judge->element_count = op->element + 1;
        }
    }
    judge->owners = zeroed(judge->element_count, sizeof *judge->owners);
    judge->keys = zeroed(judge->element_count, sizeof *judge->keys);
    judge->is_seen = zeroed(judge->element_count, sizeof *judge->is_seen);
    judge->is_part = zeroed(judge->count, sizeof *judge->is_part);
    judge->orders = zeroed(judge->key_count, sizeof *judge->orders);
}

static void note_owners(struct judge *judge)
{
    for (uint32_t i = 0; i < judge->element_count; i++)
        judge->owners[i] = NOBODY;
    for (size_t i = 0; i < judge->count; i++) {
        for (uint32_t j = 0; j < judge->txns[i].count; j++) {
            const struct history_op *op = &judge->txns[i].ops[j];
            if (op->element == 0)
                continue;
            judge->owners[op->element] = (int)i;
            judge->keys[op->element] = op->key;
        }
    }
}

static int owner_of(const struct judge *judge, uint32_t element)
{
    return element < judge->element_count ? judge->owners[element] : NOBODY;
}

/* ---- each read by itself ---- */

static void judge_element(struct judge *judge, size_t txn, const struct history_op *op,
                          uint32_t place)
{
    uint32_t element = op->list[place];
    int owner = owner_of(judge, element);
    if (owner == NOBODY || judge->keys[element] != op->key) {
        accuse(judge, "from nowhere", txn, op->key, element);
        return;
    }
    judge->is_seen[element] = true;
    if (judge->txns[owner].outcome == HISTORY_ABORTED && (size_t)owner != txn)
        accuse(judge, "G1a", txn, op->key, element);
    for (uint32_t i = 0; i < place; i++)
        if (op->list[i] == element)
            accuse(judge, "twice", txn, op->key, element);
}

static bool has_element(const struct history_op *op, uint32_t element)
{
    for (uint32_t i = 0; i < op->count; i++)
        if (op->list[i] == element)
            return true;
    return false;
}

/* A transaction sees its own appends, and of its reads of one key the later ones go on
 * where the earlier ones ended. */
static void judge_internal(struct judge *judge, size_t txn, uint32_t at)
{
    const struct history_txn *own = &judge->txns[txn];
    const struct history_op *op = &own->ops[at];
    uint32_t since = 0;
    for (uint32_t i = at; i-- > 0;) {
        const struct history_op *before = &own->ops[i];
        if (before->key != op->key)
            continue;
        if (before->element && !has_element(op, before->element))
            accuse(judge, "internal", txn, op->key, before->element);
        since += before->element != 0;
        if (before->element == 0) {
            bool fits = op->count == before->count + since &&
                        memcmp(op->list, before->list,
                               before->count * sizeof *op->list) == 0;
            if (!fits)
                accuse(judge, "internal", txn, op->key, op->count);
            break;
        }
    }
}

/* Others' transactions are seen whole: behind an element the rest of what its transaction
 * appended to the key. */
static void judge_whole(struct judge *judge, size_t txn, const struct history_op *op)
{
    if (op->count == 0)
        return;
    uint32_t last = op->list[op->count - 1];
    int owner = owner_of(judge, last);
    if (owner == NOBODY || (size_t)owner == txn)
        return;
    for (uint32_t i = 0; i < judge->txns[owner].count; i++) {
        const struct history_op *append = &judge->txns[owner].ops[i];
        if (append->element && append->key == op->key &&
            !has_element(op, append->element))
            accuse(judge, "G1b", txn, op->key, append->element);
    }
}

static void judge_reads(struct judge *judge)
{
    for (size_t i = 0; i < judge->count; i++) {
        if (judge->txns[i].outcome != HISTORY_COMMITTED)
            continue;
        for (uint32_t j = 0; j < judge->txns[i].count; j++) {
            const struct history_op *op = &judge->txns[i].ops[j];
            if (op->element)
                continue;
            for (uint32_t k = 0; k < op->count; k++)
                judge_element(judge, i, op, k);
            judge_internal(judge, i, j);
            judge_whole(judge, i, op);
        }
    }
}

/* ---- the order of each list ---- */

/* What a read shows of others: without the transaction's own appends at its end. */
static uint32_t foreign_count(const struct judge *judge, size_t txn,
                              const struct history_op *op)
{
    uint32_t count = op->count;
    while (count && owner_of(judge, op->list[count - 1]) == (int)txn)
        count--;
    return count;
}

static void find_orders(struct judge *judge)
{
    for (size_t i = 0; i < judge->count; i++) {
        for (uint32_t j = 0; j < judge->txns[i].count; j++) {
            const struct history_op *op = &judge->txns[i].ops[j];
            struct order *order = &judge->orders[op->key];
            if (judge->txns[i].outcome == HISTORY_COMMITTED && op->element == 0 &&
                op->count > order->count)
                *order = (struct order){op->count, op->list};
        }
    }
}

static void judge_orders(struct judge *judge)
{
    for (size_t i = 0; i < judge->count; i++) {
        for (uint32_t j = 0; j < judge->txns[i].count; j++) {
            const struct history_op *op = &judge->txns[i].ops[j];
            const struct order *order = &judge->orders[op->key];
            if (judge->txns[i].outcome == HISTORY_COMMITTED && op->element == 0 &&
                op->count &&
                memcmp(op->list, order->list, op->count * sizeof *op->list) != 0)
                accuse(judge, "incompatible order", i, op->key, op->count);
        }
    }
}

/* Somebody read the key in the end, after all others: so what was committed is in the
 * longest list. */
static void judge_lost(struct judge *judge)
{
    for (uint32_t element = 1; element < judge->element_count; element++) {
        int owner = judge->owners[element];
        if (owner == NOBODY || judge->is_seen[element])
            continue;
        if (judge->txns[owner].outcome == HISTORY_COMMITTED)
            accuse(judge, "lost", (size_t)owner, judge->keys[element], element);
    }
}

/* Who was killed happened if anybody has seen a part of it. */
static void find_parts(struct judge *judge)
{
    for (size_t i = 0; i < judge->count; i++) {
        const struct history_txn *txn = &judge->txns[i];
        judge->is_part[i] = txn->outcome == HISTORY_COMMITTED;
        for (uint32_t j = 0; txn->outcome == HISTORY_UNKNOWN && j < txn->count; j++)
            judge->is_part[i] |= judge->is_seen[txn->ops[j].element];
    }
}

static void judge_parts(struct judge *judge)
{
    for (size_t i = 0; i < judge->count; i++) {
        const struct history_txn *txn = &judge->txns[i];
        for (uint32_t j = 0; j < txn->count; j++) {
            uint32_t element = txn->ops[j].element;
            if (txn->outcome == HISTORY_UNKNOWN && judge->is_part[i] && element &&
                !judge->is_seen[element])
                accuse(judge, "in part", i, txn->ops[j].key, element);
        }
    }
}

/* ---- edges ---- */

static void link_owners(struct judge *judge, int from, int to, enum tangle_kind kind)
{
    if (from != NOBODY && to != NOBODY && from != to && judge->is_part[from] &&
        judge->is_part[to])
        tangle_add(judge->tangle, (uint32_t)from, (uint32_t)to, kind);
}

static void link_orders(struct judge *judge)
{
    for (uint32_t key = 0; key < judge->key_count; key++) {
        const struct order *order = &judge->orders[key];
        for (uint32_t i = 1; i < order->count; i++)
            link_owners(judge, owner_of(judge, order->list[i - 1]),
                        owner_of(judge, order->list[i]), TANGLE_WW);
    }
}

static void link_read(struct judge *judge, size_t txn, const struct history_op *op)
{
    const struct order *order = &judge->orders[op->key];
    uint32_t count = foreign_count(judge, txn, op);
    if (count)
        link_owners(judge, owner_of(judge, op->list[count - 1]), (int)txn, TANGLE_WR);
    if (count < order->count)
        link_owners(judge, (int)txn, owner_of(judge, order->list[count]), TANGLE_RW);
}

static void link_reads(struct judge *judge)
{
    for (size_t i = 0; i < judge->count; i++)
        for (uint32_t j = 0; judge->is_part[i] && j < judge->txns[i].count; j++)
            if (judge->txns[i].ops[j].element == 0)
                link_read(judge, i, &judge->txns[i].ops[j]);
}

struct moment {
    uint64_t ns;
    bool is_end;
    uint32_t txn;
};

static int compare_moments(const void *a, const void *b)
{
    const struct moment *one = a;
    const struct moment *two = b;
    if (one->ns != two->ns)
        return one->ns < two->ns ? -1 : 1;
    /* At the same time: nothing is said, so beginnings first. */
    return (int)one->is_end - (int)two->is_end;
}

/* A chain of nodes, one for each end: from what has ended by then to what begins after.
 * So there are few edges, and no cycle that is not one. */
static void link_times(struct judge *judge)
{
    struct moment *moments = zeroed(2 * judge->count, sizeof *moments);
    size_t count = 0;
    for (uint32_t i = 0; i < judge->count; i++) {
        if (!judge->is_part[i])
            continue;
        moments[count++] = (struct moment){judge->txns[i].start_ns, false, i};
        if (judge->txns[i].outcome == HISTORY_COMMITTED)
            moments[count++] = (struct moment){judge->txns[i].end_ns, true, i};
    }
    qsort(moments, count, sizeof *moments, compare_moments);
    uint32_t last = (uint32_t)judge->count;
    for (size_t i = 0; i < count; i++) {
        if (!moments[i].is_end) {
            tangle_add(judge->tangle, last, moments[i].txn, TANGLE_RT);
            continue;
        }
        tangle_add(judge->tangle, last, last + 1, TANGLE_RT);
        tangle_add(judge->tangle, moments[i].txn, ++last, TANGLE_RT);
    }
    free(moments);
}

static void judge_cycles(struct judge *judge, enum history_level level)
{
    judge->tangle = tangle_create((uint32_t)(2 * judge->count + 1));
    link_orders(judge);
    link_reads(judge);
    link_times(judge);
    const char *cycle =
        tangle_cycle(judge->tangle, level == HISTORY_SNAPSHOT, (uint32_t)judge->count);
    size_t room = sizeof judge->text - judge->text_len;
    snprintf(judge->text + judge->text_len, room, "%s", cycle);
    tangle_destroy(judge->tangle);
}

const char *history_judge(const struct history_txn *txns, size_t count,
                          enum history_level level)
{
    static char text[TEXT_BYTES];
    struct judge judge = {.txns = txns, .count = count};
    measure(&judge);
    note_owners(&judge);
    judge_reads(&judge);
    find_orders(&judge);
    judge_orders(&judge);
    judge_lost(&judge);
    find_parts(&judge);
    judge_parts(&judge);
    judge_cycles(&judge, level);
    memcpy(text, judge.text, sizeof text);
    free(judge.owners);
    free(judge.keys);
    free(judge.is_seen);
    free(judge.is_part);
    free(judge.orders);
    return text;
}
