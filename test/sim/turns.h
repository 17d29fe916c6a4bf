/* Inside the simulator: where the calls of a process meet the scheduler of its disk.
 * With the mutex of the disk free, and only where there is a scheduler. */
#ifndef TEST_SIM_TURNS_H
#define TEST_SIM_TURNS_H

#include "test/sim/sched.h"
#include "test/sim/state.h"

struct sim_thread {
    struct sim_part part; /* the first member */
    struct sim_process *process;
    struct sys_thread *real;
    struct sim_actor *actor; /* where there is a scheduler */
};

struct sim_mutex {
    struct sim_part part; /* the first member */
    struct sys_mutex *real; /* NULL: a scheduler's */
    struct sim_process *process;
    struct sim_actor *owner;
};

struct sim_cond {
    struct sim_part part; /* the first member */
    struct sys_cond *real;
    struct sim_process *process;
};

/* A step of the current actor: others may run before it returns, and it does not return
 * when its process was killed. */
void turns_take(struct sim_process *process, int step, enum sim_when when);
/* A sync that begins now takes its effect at once, not at its end. */
bool turns_sync_early(struct sim_process *process);
/* The bytes that the next call is about. */
void turns_note_range(struct sim_process *process, uint64_t off, uint64_t len);
/* The process is dead, and so are its threads. */
void turns_drop(struct sim_process *process);
/* ... and gone: they are freed. */
void turns_forget(struct sim_process *process);

struct sim_actor *turns_thread_start(struct sim_process *process, void (*run)(void *),
                                     void *arg);
void turns_thread_join(struct sim_process *process, struct sim_actor *awaited);
uint64_t turns_thread_id(struct sim_disk *disk);
/* deadline_ns 0: none.  False: it has passed. */
bool turns_lock(struct sim_mutex *mutex, uint64_t deadline_ns);
void turns_unlock(struct sim_mutex *mutex);
bool turns_wait(struct sim_cond *cond, struct sim_mutex *mutex, uint64_t deadline_ns);
void turns_wake(struct sim_cond *cond);

#endif
