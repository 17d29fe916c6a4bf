/* Processes that work beside each other while a supervisor kills one with SIGKILL, or
 * stops one until several checkpoints have been made without it. */
#ifndef TEST_MANY_CREW_H
#define TEST_MANY_CREW_H

#include "test/many/party.h"

enum { CREW_MAX = 8, CREW_MISSED_GENS = 3 };

/* In shared memory. */
struct crew_signs {
    atomic_bool is_over;         /* come to an end */
    _Atomic uint64_t newest_gen; /* that anybody knows */
};

struct crew {
    void (*run)(void *ctx, int fd);
    void *ctx;
    struct crew_signs *signs;
    uint64_t dice; /* another one for each process */
    struct partner members[CREW_MAX];
    int count;
    int stopped; /* -1: nobody */
    uint64_t stopped_until_ns;
    uint64_t stopped_gen;
    uint32_t kills;
    uint32_t stops;
    uint32_t missed; /* stops that lasted for CREW_MISSED_GENS */
};

/* run is to return once signs->is_over; ctx leads to the crew. */
void crew_init(struct crew *crew, void (*run)(void *ctx, int fd), void *ctx,
               uint64_t seed);
/* Four to eight processes for so long; in the end all are killed, or asked to end.  Who
 * ends otherwise, or hangs, fails the test. */
void crew_round(struct crew *crew, double seconds);
/* One process, to its end. */
void crew_alone(struct crew *crew, void (*run)(void *ctx, int fd));

uint32_t crew_roll(uint64_t *dice, uint32_t limit);
/* The generation that a member has seen. */
void crew_note_gen(struct crew_signs *signs, scn_db *db);

#endif
