/* Threads, mutexes and conditions, with deadlines on the simulated clock.
 *
 * On a disk with a scheduler they are its coroutines and what they wait for
 * (test/sim/sched.h).  Else they are real.
 *
 * Simulated time does not pass by itself.  A wait of a real thread with a deadline
 * therefore gives other threads a moment to end it, and then moves the clock to the
 * deadline: a test that waits for a minute takes a millisecond. */
#include "test/sim/state.h"
#include "test/sim/turns.h"

#include <stdlib.h>

enum { REAL_WAIT_NS = 1000000 };

static const struct sys_ops *real_ops(void)
{
    return sys_posix()->ops;
}

static struct sim_process *process_of(struct sys *sys)
{
    return (struct sim_process *)sys;
}

static bool has_sched(const struct sim_process *process)
{
    return process->disk->sched != NULL;
}

/* ---- parts ---- */

static void part_add(struct sim_process *process, struct sim_part *part,
                     void (*free_part)(struct sim_part *))
{
    disk_lock(process->disk);
    part->free = free_part;
    part->next = process->parts;
    part->at = &process->parts;
    if (part->next)
        part->next->at = &part->next;
    process->parts = part;
    disk_unlock(process->disk);
}

static void part_remove(struct sim_process *process, struct sim_part *part)
{
    disk_lock(process->disk);
    *part->at = part->next;
    if (part->next)
        part->next->at = part->at;
    disk_unlock(process->disk);
    part->free(part);
}

void parts_free(struct sim_process *process)
{
    while (process->parts)
        part_remove(process, process->parts);
}

static void mutex_free(struct sim_part *part)
{
    struct sim_mutex *mutex = (struct sim_mutex *)part;
    if (mutex->real)
        real_ops()->mutex_destroy(mutex->real);
    free(mutex);
}

static void cond_free(struct sim_part *part)
{
    struct sim_cond *cond = (struct sim_cond *)part;
    if (cond->real)
        real_ops()->cond_destroy(cond->real);
    free(cond);
}

/* ---- threads ---- */

static void thread_free(struct sim_part *part)
{
    free((struct sim_thread *)part);
}

static int start_thread(struct sim_thread *thread, void (*run)(void *), void *arg)
{
    if (!has_sched(thread->process))
        return real_ops()->thread_start(sys_posix(), run, arg, &thread->real);
    thread->actor = turns_thread_start(thread->process, run, arg);
    return 0;
}

int sim_thread_start(struct sys *sys, void (*run)(void *), void *arg,
                     struct sys_thread **out)
{
    struct sim_process *process = process_of(sys);
    struct sim_fault fault;
    int st = call_begin(process, SIM_THREAD_START, &fault);
    st = (int)call_end(process, SIM_THREAD_START, st);
    if (st < 0)
        return st;
    struct sim_thread *thread = must(calloc(1, sizeof *thread));
    thread->process = process;
    part_add(process, &thread->part, thread_free);
    st = start_thread(thread, run, arg);
    if (st < 0)
        part_remove(process, &thread->part);
    else
        *out = (struct sys_thread *)thread;
    return st;
}

void sim_thread_join(struct sys_thread *handle)
{
    struct sim_thread *thread = (struct sim_thread *)handle;
    if (thread->actor)
        turns_thread_join(thread->process, thread->actor);
    else
        real_ops()->thread_join(thread->real);
    part_remove(thread->process, &thread->part);
}

uint64_t sim_thread_id(struct sys *sys)
{
    struct sim_process *process = process_of(sys);
    return has_sched(process) ? turns_thread_id(process->disk)
                              : real_ops()->thread_id(sys_posix());
}

/* ---- mutexes ---- */

int sim_mutex_create(struct sys *sys, struct sys_mutex **out)
{
    struct sim_process *process = process_of(sys);
    struct sim_fault fault;
    int st = call_begin(process, SIM_MUTEX_CREATE, &fault);
    st = (int)call_end(process, SIM_MUTEX_CREATE, st);
    if (st < 0)
        return st;
    struct sim_mutex *mutex = must(calloc(1, sizeof *mutex));
    mutex->process = process;
    if (!has_sched(process))
        st = real_ops()->mutex_create(sys_posix(), &mutex->real);
    if (st < 0) {
        free(mutex);
        return st;
    }
    part_add(process, &mutex->part, mutex_free);
    *out = (struct sys_mutex *)mutex;
    return 0;
}

static struct sim_mutex *mutex_of(struct sys_mutex *mutex)
{
    return (struct sim_mutex *)mutex;
}

void sim_mutex_destroy(struct sys_mutex *mutex)
{
    part_remove(mutex_of(mutex)->process, &mutex_of(mutex)->part);
}

void sim_mutex_lock(struct sys_mutex *mutex)
{
    struct sim_mutex *sim = mutex_of(mutex);
    if (sim->real) {
        real_ops()->mutex_lock(sim->real);
        return;
    }
    turns_take(sim->process, SIM_MUTEX_LOCK, SIM_AT_BEGIN);
    (void)turns_lock(sim, 0);
    turns_take(sim->process, SIM_MUTEX_LOCK, SIM_AT_END);
}

/* A deadline of the simulated clock, as one of the real clock. */
static uint64_t real_deadline(struct sim_disk *disk, uint64_t deadline_ns,
                              uint64_t longest_ns)
{
    uint64_t now = disk_look_at_clock(disk);
    uint64_t left = deadline_ns > now ? deadline_ns - now : 0;
    return real_ops()->now_ns(sys_posix()) + (left < longest_ns ? left : longest_ns);
}

static bool real_lock_until(struct sim_mutex *sim, uint64_t deadline_ns)
{
    struct sim_disk *disk = sim->process->disk;
    uint64_t real = real_deadline(disk, deadline_ns, UINT32_MAX);
    bool has_it = real_ops()->mutex_lock_until(sim->real, real);
    if (!has_it)
        disk_move_clock_to(disk, deadline_ns);
    return has_it;
}

bool sim_mutex_lock_until(struct sys_mutex *mutex, uint64_t deadline_ns)
{
    struct sim_mutex *sim = mutex_of(mutex);
    if (sim->real)
        return real_lock_until(sim, deadline_ns);
    turns_take(sim->process, SIM_MUTEX_LOCK, SIM_AT_BEGIN);
    bool has_it = turns_lock(sim, deadline_ns ? deadline_ns : 1);
    turns_take(sim->process, SIM_MUTEX_LOCK, SIM_AT_END);
    return has_it;
}

void sim_mutex_unlock(struct sys_mutex *mutex)
{
    struct sim_mutex *sim = mutex_of(mutex);
    if (sim->real) {
        real_ops()->mutex_unlock(sim->real);
        return;
    }
    turns_take(sim->process, SIM_MUTEX_UNLOCK, SIM_AT_BEGIN);
    turns_unlock(sim);
    turns_take(sim->process, SIM_MUTEX_UNLOCK, SIM_AT_END);
}

/* ---- conditions ---- */

static struct sim_cond *cond_of(struct sys_cond *cond)
{
    return (struct sim_cond *)cond;
}

int sim_cond_create(struct sys *sys, struct sys_cond **out)
{
    struct sim_process *process = process_of(sys);
    struct sim_fault fault;
    int st = call_begin(process, SIM_COND_CREATE, &fault);
    st = (int)call_end(process, SIM_COND_CREATE, st);
    if (st < 0)
        return st;
    struct sim_cond *cond = must(calloc(1, sizeof *cond));
    cond->process = process;
    if (!has_sched(process))
        st = real_ops()->cond_create(sys_posix(), &cond->real);
    if (st < 0) {
        free(cond);
        return st;
    }
    part_add(process, &cond->part, cond_free);
    *out = (struct sys_cond *)cond;
    return 0;
}

void sim_cond_destroy(struct sys_cond *cond)
{
    part_remove(cond_of(cond)->process, &cond_of(cond)->part);
}

static bool real_wait(struct sim_cond *sim, struct sim_mutex *mutex, uint64_t deadline_ns)
{
    struct sim_disk *disk = sim->process->disk;
    if (deadline_ns == 0)
        return real_ops()->cond_wait(sim->real, mutex->real, 0);
    uint64_t longest_ns = disk->is_alone ? 0 : REAL_WAIT_NS;
    uint64_t real = real_deadline(disk, deadline_ns, longest_ns);
    bool is_woken = real_ops()->cond_wait(sim->real, mutex->real, real);
    if (!is_woken)
        disk_move_clock_to(disk, deadline_ns);
    return is_woken;
}

bool sim_cond_wait(struct sys_cond *cond, struct sys_mutex *mutex, uint64_t deadline_ns)
{
    struct sim_cond *sim = cond_of(cond);
    if (sim->real)
        return real_wait(sim, mutex_of(mutex), deadline_ns);
    turns_take(sim->process, SIM_COND_WAIT, SIM_AT_BEGIN);
    bool is_woken = turns_wait(sim, mutex_of(mutex), deadline_ns);
    turns_take(sim->process, SIM_COND_WAIT, SIM_AT_END);
    return is_woken;
}

void sim_cond_wake_all(struct sys_cond *cond)
{
    struct sim_cond *sim = cond_of(cond);
    if (sim->real) {
        real_ops()->cond_wake_all(sim->real);
        return;
    }
    turns_wake(sim);
    turns_take(sim->process, SIM_COND_WAKE, SIM_AT_END);
}
