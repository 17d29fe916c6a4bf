/* A crew: the processes of one disk, for schedules by chance (test_crews.c).
 *
 * Each hand is a process: it opens the store, lets its doers do transactions by chance,
 * and closes it.  All of it is done by actors of the scheduler. */
#ifndef TEST_SCHEDULE_CREW_H
#define TEST_SCHEDULE_CREW_H

#include "test/schedule/verdict.h"
#include "test/sim/sched.h"

enum { HANDS_MAX = 12 /* in a life */ };

enum crew_flags {
    CREW_CUTS = 1, /* power cuts */
    CREW_KILLS = 2,
    CREW_TIMEOUTS = 4, /* deadlines pass early, so locks are not got */
    CREW_SYNCS = 8,    /* syncs fail; then nothing is lazy, and the power stays */
    CREW_EXCLUSIVE = 16 /* some want the file for themselves */
};

struct crew_totals {
    uint64_t trace;
    uint64_t runs;
    uint64_t steps;
    uint64_t processes;
    uint64_t commits;
    uint64_t conflicts;
    uint64_t gaps; /* conflicts since the history has a gap */
    uint64_t refusals;
    uint64_t readers;
    uint64_t checkpoints;
    uint64_t states; /* after power cuts */
    uint64_t kills;
    uint64_t doubts;
    uint64_t kept; /* of these, commits that are in the log */
    uint64_t failures; /* calls that met a failed sync */
    uint64_t alone;    /* processes that had the file for themselves */
};

struct doer {
    struct hand *hand;
    struct sim_actor *actor;
    uint32_t no;
    uint32_t count; /* transactions to do */
    bool is_reader;
    bool uses_update;
    bool takes_care;
    uint64_t random;
    uint32_t entry_no; /* under way */
    bool is_committing;
    bool has_gap;
    bool is_lost; /* it does not know whether its last commit is there */
    scn_txn *txn;
    uint64_t lsn;
};

/* A process of the crew. */
struct hand {
    struct crew *crew;
    struct sys *sys;
    struct sim_actor *actor;
    scn_db *db;
    uint32_t store_flags;
    struct sys_mutex *mutex;
    struct sys_cond *cond;
    bool is_open;    /* mutex */
    bool is_refused; /* mutex */
    uint32_t busy;   /* mutex: doers that are not done */
    bool is_leaving;
    bool is_gone;
};

struct crew {
    uint64_t seed;
    uint32_t flags;
    uint64_t random;
    struct sim_disk *disk;
    struct sim_sched *sched;
    struct chronicle chronicle;
    struct crew_totals *totals;
    struct sim_seen *seen;
    struct hand *hands[HANDS_MAX];
    uint32_t hand_count;
    struct doer *doers[DEED_ACTORS];
    uint32_t doer_count;
    uint64_t events;
    uint64_t last_event; /* number of the one that ends the life; 0: none */
    bool ends_in_kill;
};

bool crew_is_fine(const struct crew *crew);
void crew_fail(struct crew *crew, scn_status st, const char *what);
uint64_t crew_roll(uint64_t *random, uint64_t bound);
scn_status crew_open(struct sys *sys, uint32_t flags, uint32_t busy_timeout_ms,
                     scn_db **db);
/* scn_check; what it finds is wrong. */
scn_status crew_check(struct crew *crew, scn_db *db);
/* Another process, with doers, unless the life has had enough of them. */
void crew_start_hand(struct crew *crew);
bool hand_is_alive(const struct hand *hand);
/* The hook of the disk: notes the place in the log of each commit. */
void crew_on_call(void *ctx, struct sim_disk *disk, enum sim_call call,
                  enum sim_moment moment);

#endif
