/* Cycles: see tangle.h.
 *
 * Each node is there twice, by whether an rw edge led to it.  Where skew is allowed, no
 * rw edge leads on from the second one: so the walks are those without two rw edges in a
 * row, and a cycle of them has none where it closes either.
 *
 * What nothing leads to is taken away, again and again.  If anything is left, there is a
 * cycle, and a search from each of the rest for the shortest way back finds it. */
#include "test/many/tangle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_BYTES = 1000 };

struct edge {
    uint32_t from;
    uint32_t to;
    enum tangle_kind kind;
};

struct tangle {
    uint32_t node_count;
    struct edge *edges; /* sorted by `from` once the search begins */
    uint32_t count;
    uint32_t capacity;
    bool allows_skew;
    /* By state, which is 2 * node + whether an rw edge led there. */
    uint32_t *first; /* by node: its first edge */
    uint32_t *in;    /* how many edges lead there */
    bool *is_gone;
    uint32_t *queue;
    struct {
        uint32_t state;
        uint32_t edge;
        uint32_t search; /* which one came here */
    } *came;
};

static void *zeroed(size_t count, size_t size)
{
    void *memory = calloc(count ? count : 1, size);
    if (memory == NULL)
        abort();
    return memory;
}

struct tangle *tangle_create(uint32_t node_count)
{
    struct tangle *tangle = zeroed(1, sizeof *tangle);
    tangle->node_count = node_count;
    return tangle;
}

void tangle_destroy(struct tangle *tangle)
{
    free(tangle->edges);
    free(tangle->first);
    free(tangle->in);
    free(tangle->is_gone);
    free(tangle->queue);
    free(tangle->came);
    free(tangle);
}

void tangle_add(struct tangle *tangle, uint32_t from, uint32_t to, enum tangle_kind kind)
{
    if (tangle->count == tangle->capacity) {
        tangle->capacity = tangle->capacity ? 2 * tangle->capacity : 1024;
        tangle->edges = realloc(tangle->edges, tangle->capacity * sizeof *tangle->edges);
        if (tangle->edges == NULL)
            abort();
    }
    tangle->edges[tangle->count++] = (struct edge){from, to, kind};
}

static int compare_edges(const void *a, const void *b)
{
    const struct edge *one = a;
    const struct edge *two = b;
    if (one->from != two->from)
        return one->from < two->from ? -1 : 1;
    if (one->kind != two->kind)
        return one->kind < two->kind ? -1 : 1;
    return one->to < two->to ? -1 : one->to > two->to;
}

static void prepare(struct tangle *tangle)
{
    uint32_t states = 2 * tangle->node_count;
    qsort(tangle->edges, tangle->count, sizeof *tangle->edges, compare_edges);
    tangle->first = zeroed(tangle->node_count + 1, sizeof *tangle->first);
    for (uint32_t i = 0; i < tangle->count; i++)
        tangle->first[tangle->edges[i].from + 1]++;
    for (uint32_t i = 0; i < tangle->node_count; i++)
        tangle->first[i + 1] += tangle->first[i];
    tangle->in = zeroed(states, sizeof *tangle->in);
    tangle->is_gone = zeroed(states, sizeof *tangle->is_gone);
    tangle->queue = zeroed(states, sizeof *tangle->queue);
    tangle->came = zeroed(states, sizeof *tangle->came);
}

/* Where an edge leads from a state; false: it must not be taken. */
static bool step(const struct tangle *tangle, uint32_t state, uint32_t edge, uint32_t *to)
{
    bool is_rw = tangle->edges[edge].kind == TANGLE_RW;
    if (is_rw && tangle->allows_skew && state % 2)
        return false;
    *to = 2 * tangle->edges[edge].to + is_rw;
    return true;
}

/* ---- what lies on cycles ---- */

static void count_in(struct tangle *tangle)
{
    uint32_t to;
    for (uint32_t state = 0; state < 2 * tangle->node_count; state++)
        for (uint32_t i = tangle->first[state / 2]; i < tangle->first[state / 2 + 1]; i++)
            if (step(tangle, state, i, &to))
                tangle->in[to]++;
}

/* States that nothing leads to, one after the other. */
static void prune(struct tangle *tangle)
{
    uint32_t begin = 0;
    uint32_t end = 0;
    uint32_t to;
    count_in(tangle);
    for (uint32_t state = 0; state < 2 * tangle->node_count; state++)
        if (tangle->in[state] == 0)
            tangle->queue[end++] = state;
    while (begin < end) {
        uint32_t state = tangle->queue[begin++];
        tangle->is_gone[state] = true;
        for (uint32_t i = tangle->first[state / 2]; i < tangle->first[state / 2 + 1]; i++)
            if (step(tangle, state, i, &to) && --tangle->in[to] == 0)
                tangle->queue[end++] = to;
    }
}

/* The edge that closes the shortest cycle through `start`, and the state it comes from;
 * false: there is none.  Breadth first. */
static bool search(struct tangle *tangle, uint32_t start, uint32_t number,
                   uint32_t *last_state, uint32_t *last_edge)
{
    uint32_t begin = 0;
    uint32_t end = 0;
    uint32_t to;
    tangle->queue[end++] = start;
    tangle->came[start].search = number;
    while (begin < end) {
        uint32_t state = tangle->queue[begin++];
        uint32_t past = tangle->first[state / 2 + 1];
        for (uint32_t i = tangle->first[state / 2]; i < past; i++) {
            if (!step(tangle, state, i, &to) || tangle->is_gone[to])
                continue;
            if (to == start) {
                *last_state = state;
                *last_edge = i;
                return true;
            }
            if (tangle->came[to].search == number)
                continue;
            tangle->came[to].search = number;
            tangle->came[to].state = state;
            tangle->came[to].edge = i;
            tangle->queue[end++] = to;
        }
    }
    return false;
}

/* ---- telling ---- */

static const char *name_of(const uint32_t kinds[4])
{
    if (kinds[TANGLE_RW] > 1)
        return "G2";
    if (kinds[TANGLE_RW] == 1)
        return "G-single";
    return kinds[TANGLE_WR] ? "G1c" : "G0";
}

/* Backwards, since that is how it was found. */
static void describe(const struct tangle *tangle, uint32_t start, uint32_t state,
                     uint32_t edge, uint32_t shown_count, char *text)
{
    static const char *const names[] = {"ww", "wr", "rw", "rt"};
    uint32_t kinds[4] = {0};
    char path[TEXT_BYTES - 100];
    size_t len = 0;
    for (bool is_last = false; !is_last;) {
        const struct edge *at = &tangle->edges[edge];
        is_last = state == start;
        kinds[at->kind]++;
        if (at->to < shown_count && len + 40 < sizeof path)
            len += (size_t)sprintf(path + len, " %u <-%s-", at->to, names[at->kind]);
        else if (at->from < shown_count && len + 40 < sizeof path)
            len += (size_t)sprintf(path + len, " (time) <-%s-", names[at->kind]);
        edge = tangle->came[state].edge;
        state = tangle->came[state].state;
    }
    path[len] = '\0';
    snprintf(text, TEXT_BYTES, "%s%s:%s\n", name_of(kinds),
             kinds[TANGLE_RT] ? "-realtime" : "", path);
}

const char *tangle_cycle(struct tangle *tangle, bool allows_skew, uint32_t shown_count)
{
    static char text[TEXT_BYTES];
    uint32_t state, edge;
    text[0] = '\0';
    tangle->allows_skew = allows_skew;
    prepare(tangle);
    prune(tangle);
    uint32_t number = 0;
    for (uint32_t start = 0; start < 2 * shown_count; start++) {
        if (tangle->is_gone[start])
            continue;
        if (search(tangle, start, ++number, &state, &edge)) {
            describe(tangle, start, state, edge, shown_count, text);
            break;
        }
    }
    return text;
}
