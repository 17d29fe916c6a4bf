/* Inside the simulator: what its files share. */
#ifndef TEST_SIM_STATE_H
#define TEST_SIM_STATE_H

#include "test/sim/disk.h"
#include "test/sim/medium.h"

enum { SIM_FAULT_MAX = 8 };

struct lock_range {
    struct sim_handle *handle;
    uint64_t start;
    uint64_t end; /* one past */
    enum sys_lock_mode mode;
};

struct sim_disk {
    struct sim_sched *sched; /* NULL: threads are real ones; const after create */
    struct sys_mutex *mutex; /* guards everything below */
    struct medium *medium;
    struct lock_range *locks;
    size_t lock_count;
    uint64_t seed;
    uint64_t boot_no;
    uint64_t clock_ns;
    uint64_t capacity;
    bool has_lying_locks;
    bool lacks_unnamed;
    bool is_alone;
    uint32_t process_count;
    sim_hook_fn hook; /* const while calls are made */
    void *hook_ctx;
};

struct armed_fault {
    struct sim_fault fault;
    uint64_t seen;
};

/* A mutex or a condition: in a list, for those whose process dies before it destroys
 * them. */
struct sim_part {
    struct sim_part *next;
    struct sim_part **at; /* who leads here */
    void (*free)(struct sim_part *part);
};

/* In front of a block of the library's memory (heap.c). */
struct sim_block {
    struct sim_block *next;
    struct sim_block **at;
};

struct sim_process {
    struct sys sys;
    struct sim_disk *disk;
    struct sim_part *parts;
    struct sim_block *blocks;
    struct sim_handle *handles;
    struct armed_fault faults[SIM_FAULT_MAX];
    uint64_t hits;
    uint64_t counts[SIM_CALL_COUNT];
    uint64_t random_state;
    uint32_t pid;
    bool is_dead;
    bool is_mourned; /* the hook knows that it died */
    bool is_forked;
};

struct sim_handle {
    struct sim_process *process;
    struct sim_handle *next;
    uint32_t file_no;
    bool is_read_only;
    bool is_unnamed;   /* opened so, and not linked yet */
    bool is_stream;    /* adopted: each transfer goes on where the one before ended */
    uint64_t position; /* of a stream */
};

/* A test without memory has nothing to say. */
void *must(void *block);

void disk_lock(struct sim_disk *disk);
void disk_unlock(struct sim_disk *disk);
/* The time, a little later than at the last look. */
uint64_t disk_look_at_clock(struct sim_disk *disk);
/* Never back. */
void disk_move_clock_to(struct sim_disk *disk, uint64_t ns);

/* ---- fault.c: the steps of a call ---- */

/* Takes the mutex of the disk, always.  Negative: the call fails at once with it.  Writes
 * and syncs look at *fault themselves, since theirs strike in the middle. */
int call_begin(struct sim_process *process, enum sim_call call, struct sim_fault *fault);
/* Between the writing and the promise: tests cut the power here.  The mutex is given back
 * for as long.  Negative when the process did not live to see the sync done. */
int call_before_sync(struct sim_process *process, enum sim_call call);
/* Gives the mutex back. */
int64_t call_end(struct sim_process *process, enum sim_call call, int64_t result);

/* ---- process.c; with the mutex of the disk ---- */

/* Sets a range of a handle to a mode, without a look at others. */
void locks_set(struct sim_disk *disk, const struct lock_range *want);
void process_die(struct sim_process *process);

/* ---- thread.c: entries of the table of system calls ---- */

void parts_free(struct sim_process *process);

int sim_thread_start(struct sys *sys, void (*run)(void *), void *arg,
                     struct sys_thread **out);
void sim_thread_join(struct sys_thread *thread);
uint64_t sim_thread_id(struct sys *sys);
int sim_mutex_create(struct sys *sys, struct sys_mutex **out);
void sim_mutex_destroy(struct sys_mutex *mutex);
void sim_mutex_lock(struct sys_mutex *mutex);
bool sim_mutex_lock_until(struct sys_mutex *mutex, uint64_t deadline_ns);
void sim_mutex_unlock(struct sys_mutex *mutex);
int sim_cond_create(struct sys *sys, struct sys_cond **out);
void sim_cond_destroy(struct sys_cond *cond);
bool sim_cond_wait(struct sys_cond *cond, struct sys_mutex *mutex, uint64_t deadline_ns);
void sim_cond_wake_all(struct sys_cond *cond);

#endif
