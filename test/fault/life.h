/* The life of a store on a simulated machine, as a workload tells it.
 *
 * A workload calls the functions below and knows nothing of what happens to the machine:
 *
 *     cuts      nothing fails.  Before every sync and after every acknowledgement the
 *               disks that a power cut could leave now are looked at (survey.h).
 *     trouble   a call, an allocation or a read goes wrong (trouble.h).  What fails then
 *               has to say so with a status that fits; the call is made again, after
 *               opening anew where the store was poisoned; nothing is lost.
 *
 * What is wrong is a sentence in life.story.wrong, the first one; from then on all these
 * functions do nothing.  A life repeats itself exactly: all luck comes from its seed. */
#ifndef TEST_FAULT_LIFE_H
#define TEST_FAULT_LIFE_H

#include "test/engine/act.h"
#include "test/fault/workload.h"
#include "test/sim/disk.h"

struct survey;

struct trouble {
    struct sim_fault fault;
    uint64_t failing_allocation; /* 0: none */
    bool is_scarce_forever;
    bool is_over; /* it has struck and is gone, or was taken away */
};

/* What snapshots were taken; heirs.c. */
struct heirs {
    uint32_t count;         /* files so far */
    uint32_t base;          /* number of the full one that increments are applied to */
    bool has_base;          /* that is whole */
    bool is_over;           /* the last full one was written over one */
    scn_snapshot_info last; /* what it is */
    scn_snapshot_info next; /* or what is being applied to it */
};

/* What scrine-walcheck wrote; repairs.c. */
struct repairs {
    uint32_t run_count; /* of walcheck */
    bool is_durable; /* what a process that died has left, before a tail is cut */
    bool has_tail;   /* that was found torn */
    uint64_t tail_lsn;
    uint64_t tail_off;
    uint64_t tail_bytes;
    uint64_t tail_sum;
    uint32_t out_count; /* stores that were salvaged so far; the last of them ... */
    bool is_out_whole;  /* ... has been closed */
    uint8_t out_digest[16];
};

struct life {
    const struct workload *workload;
    uint64_t seed;
    struct sim_disk *disk;
    struct sys *sys;
    scn_db *db;
    struct story story;
    bool is_named;      /* opened once: no power cut takes its name */
    bool may_be_full;   /* SCN_FULL is an answer */
    uint32_t pages_max; /* the file may not grow beyond; 0: no limit */

    struct sys *peer_sys; /* another process that has the store open, NULL: none */
    scn_db *peer_db;

    uint64_t beside_after; /* so many calls into a checkpoint something is committed */
    uint64_t beside_calls; /* since it began, or since the last such commit */
    scn_txn *reader;       /* an old snapshot, NULL: none */
    struct story memory;   /* the story as the reader knows it */

    struct trouble *trouble; /* NULL: none */

    struct heirs heirs;
    struct repairs repairs;

    /* Power cuts; survey.c. */
    struct survey *survey; /* NULL: none */
    const struct life *parent;
    struct sim_choice choice; /* of the parent's machine, at its point */
    uint64_t point;           /* crash points so far */
    uint32_t depth;
    uint64_t dice; /* of what is done after a crash */
    uint64_t luck; /* of further crashes */
};

/* What a transaction does; may be called more than once. */
typedef scn_status (*life_act)(struct act *act, uint64_t arg);

/* ---- for workloads ---- */

bool life_is_fine(const struct life *life);
/* A number below bound. */
uint64_t life_roll(struct life *life, uint64_t bound);
void life_commit(struct life *life, life_act fn, uint64_t arg);
void life_commit_lazy(struct life *life, life_act fn, uint64_t arg);
/* A few random acts. */
void life_commit_any(struct life *life);
void life_checkpoint(struct life *life);
/* So many calls into the checkpoint, and again after as many, a commit is made. */
void life_checkpoint_beside(struct life *life, uint64_t call_count);
/* The same of a compaction; 0: no commit. */
void life_compact_beside(struct life *life, uint64_t call_count);
/* Another process comes, and goes. */
void life_join(struct life *life);
void life_part(struct life *life);
/* What follows is done by the other process; what is done beside a checkpoint, by who
 * does not make it. */
void life_swap(struct life *life);
void life_tick(struct life *life);
void life_reopen(struct life *life);
/* The process dies in the nth call of the checkpoint, commit or close that it makes now;
 * another one goes on. */
enum life_deed { DEED_COMMIT, DEED_CHECKPOINT, DEED_CLOSE };
void life_die(struct life *life, enum life_deed deed, uint64_t nth);
/* So does the machine, now. */
void life_lose_power(struct life *life);
/* An I/O error, once, in the nth call of its kind. */
void life_suffer(struct life *life, enum life_deed deed, enum sim_call call,
                 uint64_t nth);
/* Takes a snapshot, or looks whether it still shows what it did; sometimes drops it. */
void life_read_old(struct life *life);

/* ---- for those who tell lives ---- */

/* One call that may fail, and be made again. */
struct step {
    const char *what;
    scn_status (*run)(struct life *life, const struct step *step);
    life_act fn;
    uint64_t arg;
    uint32_t durability;
};

void life_take(struct life *life, const struct step *step);
/* A machine and a process.  The store is opened by life_resume. */
void life_begin(struct life *life, const struct workload *workload, uint64_t seed);
void life_end(struct life *life);
/* What its machine is asked from now on are moments of this life. */
void life_listen(struct life *life);
/* The process is killed. */
void life_leave(struct life *life);
/* The machine is another one from now on. */
void life_move(struct life *life, struct sim_disk *disk);
scn_status life_open(struct life *life, uint32_t flags);
/* The power may be gone: then the last sync fails, and the handle ends all the same. */
void life_close(struct life *life);
/* Opens; what is there is what the story has been from now on. */
void life_resume(struct life *life);
/* The same by a new process after the death of one, which loses nothing that was told. */
void life_resume_alone(struct life *life);
/* A negative status is wrong, but for SCN_FULL where that may be. */
void life_must(struct life *life, scn_status st, const char *what);

#endif
