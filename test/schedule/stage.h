/* A stage for directed schedules: a store on a simulated machine, actors that do one
 * thing each, and a director who says how far each of them goes.
 *
 *     struct stage stage;
 *     stage_open(&stage, 0);
 *     stage_put(&stage, "k", "old");
 *     struct part *writer = stage_cast(&stage, do_put, "k", "new");
 *     part_until(writer, SIM_DSYNC, SIM_AT_BEGIN);
 *     stage_cut(&stage, SIM_KEEP_NONE);               the power goes, and comes back
 *     CHECK(stage_has(&stage, "k", "old"));
 *     stage_close(&stage);
 *
 * Everything is in the table "t".  Without a background thread, unless asked for: then a
 * part that is run alone runs alone.  Functions check what they are not told to expect,
 * and fail the test. */
#ifndef TEST_SCHEDULE_STAGE_H
#define TEST_SCHEDULE_STAGE_H

#include "engine/checkpoint.h"
#include "test/sim/sched.h"
#include "test/unit/unit.h"

enum {
    STAGE_PARTS = 24,
    STAGE_TEXT_BYTES = 64,
    /* A record with so many bytes is no run, but two of them are synced with the whole
     * file: they do not fit one extent, or are too long to be written twice. */
    STAGE_LONG_BYTES = PAGE_IS_SMALL ? 10 << 10 : 400 << 10
};

struct stage {
    struct stage *host; /* NULL: the machine is its own */
    struct sim_disk *disk;
    struct sim_sched *sched;
    struct sys *sys;
    scn_db *db;
    scn_options options; /* of the next open */
    struct part *parts[STAGE_PARTS];
    uint32_t part_count;
};

struct part {
    struct stage *stage;
    struct sim_actor *actor;
    void (*fn)(struct part *part);
    char key[STAGE_TEXT_BYTES];
    char value[STAGE_TEXT_BYTES];
    uint32_t len;        /* of a long value that begins with `value`; 0: the text alone */
    uint32_t flags;      /* of the put */
    uint32_t durability;
    scn_txn *txn;        /* to go on with; NULL: one of its own */
    scn_status st;       /* what came out; SCN_INTERRUPTED before it has */
    uint64_t lsn;
    uint64_t count;
};

/* A new machine with an open store that has an empty table.  flags: SCN_NOTHREAD is
 * added, but with STAGE_BACKGROUND. */
#define STAGE_BACKGROUND (UINT32_C(1) << 31)
void stage_open(struct stage *stage, uint32_t flags);
/* Options can be changed before. */
void stage_init(struct stage *stage, uint32_t flags);
void stage_begin(struct stage *stage);
void stage_close(struct stage *stage);

/* Another process of the host's machine, with the store open.  Its parts are its own.  It
 * has to be closed, or left, before the host is. */
void stage_join(struct stage *stage, struct stage *host, uint32_t flags);
/* Without opening: for stage_cast(stage, do_open, ...), or stage_try_open. */
void stage_come(struct stage *stage, struct stage *host, uint32_t flags);
/* What the director takes of memory by calls of the library is this process's. */
void stage_speak(struct stage *stage);

/* The process is killed, or closes the store, or the power goes: another one opens it.
 * All parts are gone. */
void stage_kill(struct stage *stage);
void stage_reopen(struct stage *stage);
void stage_cut(struct stage *stage, enum sim_keep keep);
void stage_cut_by(struct stage *stage, const struct sim_choice *choice);
/* The same, with the answer of the open in place of a failure. */
scn_status stage_try_kill(struct stage *stage);
scn_status stage_try_cut(struct stage *stage, enum sim_keep keep);
/* Each disk that a power cut could leave now opens, fulfils the promise, and goes on.
 * `holds` reads with a store of its own. */
void stage_each_cut(struct stage *stage, bool (*holds)(scn_db *db));
/* One of the first, without opening: the process is gone, the disk stays. */
void stage_leave(struct stage *stage);
scn_status stage_try_open(struct stage *stage);

/* ---- by the director himself ---- */

struct store *store_of(struct stage *stage);
void stage_put(struct stage *stage, const char *key, const char *value);
/* A value of len bytes that do not compress. */
void stage_put_long(struct stage *stage, const char *key, const char *value,
                    uint32_t len);
void stage_del(struct stage *stage, const char *key);
void stage_checkpoint(struct stage *stage);
scn_txn *stage_txn(struct stage *stage, uint32_t flags);
/* The row is there with this value; NULL: it is not there. */
bool stage_has(struct stage *stage, const char *key, const char *value);
bool stage_has_long(struct stage *stage, const char *key, const char *value,
                    uint32_t len);
bool db_has(scn_db *db, const char *key, const char *value);
bool txn_has(scn_txn *txn, const char *key, const char *value);
bool txn_has_long(scn_txn *txn, const char *key, const char *value, uint32_t len);
scn_table_id txn_table(scn_txn *txn, const char *name);
scn_status txn_put(scn_txn *txn, const char *key, const char *value, uint32_t flags);
scn_status txn_put_long(scn_txn *txn, const char *key, const char *value, uint32_t len);
scn_status txn_clear(scn_txn *txn, void *unused); /* the table */
uint64_t stage_count(struct stage *stage);
/* scn_check finds nothing. */
void stage_check_file(struct stage *stage);
/* Where the bytes of a text first are in the file; UINT64_MAX: nowhere. */
uint64_t stage_find(struct stage *stage, const char *text);

/* ---- parts ---- */

struct part *stage_cast(struct stage *stage, void (*fn)(struct part *), const char *key,
                        const char *value);
void do_put(struct part *part);    /* in `txn` if there is one, with flags, then commit */
void do_commit(struct part *part); /* `txn` */
void do_update(struct part *part); /* scn_update that reads the key and puts the value */
void do_checkpoint(struct part *part);
void do_drain(struct part *part); /* a checkpoint that gives all spares up */
void do_open(struct part *part);   /* the store of its process */
void do_close(struct part *part);
void do_read(struct part *part);   /* st: SCN_OK when the key has the value */
void do_add(struct part *part);    /* count to the counter `key` */

/* Only this one runs, up to the step, where it must get. */
void part_until(struct part *part, int step, enum sim_when when);
void part_until_nth(struct part *part, int step, enum sim_when when, uint64_t nth);
/* ... up to a call on bytes of these pages. */
void part_until_pages(struct part *part, int step, enum sim_when when, uint64_t first,
                      uint64_t end);
void part_until_holds(struct part *part, int step, enum sim_when when,
                      bool (*holds)(void *), void *ctx);
/* Only this one runs, to its end; what came out. */
/* Until its record is in the log and it has given the append lock back. */
void part_until_appended(struct part *part);
scn_status part_finish(struct part *part);
/* Only this one runs, until it waits for somebody, which it must. */
void part_blocks(struct part *part);
/* All of them run, to their ends. */
void stage_finish(struct stage *stage);

/* ---- damage ---- */

/* The n-th call of a kind fails from now on, once. */
void stage_fail(struct stage *stage, enum sim_call call, uint64_t nth, int error);
/* A commit whose sync fails. */
void stage_poison(struct stage *stage);
/* The root of the newest generation rots. */
void stage_lose_newest_root(struct stage *stage);
/* Where the log ends in the file. */
uint64_t stage_log_end_off(struct stage *stage);

#endif
