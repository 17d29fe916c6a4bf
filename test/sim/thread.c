/* Threads, mutexes and conditions: real ones, with deadlines on the simulated clock.
 *
 * Simulated time does not pass by itself.  A wait with a deadline therefore gives real
 * threads a moment to end it, and then moves the clock to the deadline: a test that waits
 * for a minute takes a millisecond. */
#include "test/sim/state.h"

#include <stdlib.h>

enum { REAL_WAIT_NS = 1000000 };

struct sim_mutex {
    struct sys_mutex *real;
    struct sim_disk *disk;
};

struct sim_cond {
    struct sys_cond *real;
    struct sim_disk *disk;
};

static const struct sys_ops *real_ops(void)
{
    return sys_posix()->ops;
}

static struct sim_process *process_of(struct sys *sys)
{
    return (struct sim_process *)sys;
}

int sim_thread_start(struct sys *sys, void (*run)(void *), void *arg,
                            struct sys_thread **out)
{
    struct sim_process *process = process_of(sys);
    struct sim_fault fault;
    int st = call_begin(process, SIM_THREAD_START, &fault);
    st = (int)call_end(process, SIM_THREAD_START, st);
    return st == 0 ? real_ops()->thread_start(sys_posix(), run, arg, out) : st;
}

void sim_thread_join(struct sys_thread *thread)
{
    real_ops()->thread_join(thread);
}

uint64_t sim_thread_id(struct sys *sys)
{
    (void)sys;
    return real_ops()->thread_id(sys_posix());
}

int sim_mutex_create(struct sys *sys, struct sys_mutex **out)
{
    struct sim_process *process = process_of(sys);
    struct sim_fault fault;
    int st = call_begin(process, SIM_MUTEX_CREATE, &fault);
    st = (int)call_end(process, SIM_MUTEX_CREATE, st);
    if (st < 0)
        return st;
    struct sim_mutex *mutex = must(calloc(1, sizeof *mutex));
    mutex->disk = process->disk;
    st = real_ops()->mutex_create(sys_posix(), &mutex->real);
    if (st < 0) {
        free(mutex);
        return st;
    }
    *out = (struct sys_mutex *)mutex;
    return 0;
}

static struct sim_mutex *mutex_of(struct sys_mutex *mutex)
{
    return (struct sim_mutex *)mutex;
}

void sim_mutex_destroy(struct sys_mutex *mutex)
{
    real_ops()->mutex_destroy(mutex_of(mutex)->real);
    free(mutex);
}

void sim_mutex_lock(struct sys_mutex *mutex)
{
    real_ops()->mutex_lock(mutex_of(mutex)->real);
}

/* A deadline of the simulated clock, as one of the real clock. */
static uint64_t real_deadline(struct sim_disk *disk, uint64_t deadline_ns,
                              uint64_t longest_ns)
{
    uint64_t now = disk_look_at_clock(disk);
    uint64_t left = deadline_ns > now ? deadline_ns - now : 0;
    return real_ops()->now_ns(sys_posix()) + (left < longest_ns ? left : longest_ns);
}

bool sim_mutex_lock_until(struct sys_mutex *mutex, uint64_t deadline_ns)
{
    struct sim_mutex *sim = mutex_of(mutex);
    uint64_t real = real_deadline(sim->disk, deadline_ns, UINT32_MAX);
    bool has_it = real_ops()->mutex_lock_until(sim->real, real);
    if (!has_it)
        disk_move_clock_to(sim->disk, deadline_ns);
    return has_it;
}

void sim_mutex_unlock(struct sys_mutex *mutex)
{
    real_ops()->mutex_unlock(mutex_of(mutex)->real);
}

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
    cond->disk = process->disk;
    st = real_ops()->cond_create(sys_posix(), &cond->real);
    if (st < 0) {
        free(cond);
        return st;
    }
    *out = (struct sys_cond *)cond;
    return 0;
}

void sim_cond_destroy(struct sys_cond *cond)
{
    real_ops()->cond_destroy(cond_of(cond)->real);
    free(cond);
}

bool sim_cond_wait(struct sys_cond *cond, struct sys_mutex *mutex, uint64_t deadline_ns)
{
    struct sim_cond *sim = cond_of(cond);
    if (deadline_ns == 0)
        return real_ops()->cond_wait(sim->real, mutex_of(mutex)->real, 0);
    uint64_t longest_ns = sim->disk->is_alone ? 0 : REAL_WAIT_NS;
    uint64_t real = real_deadline(sim->disk, deadline_ns, longest_ns);
    bool is_woken = real_ops()->cond_wait(sim->real, mutex_of(mutex)->real, real);
    if (!is_woken)
        disk_move_clock_to(sim->disk, deadline_ns);
    return is_woken;
}

void sim_cond_wake_all(struct sys_cond *cond)
{
    real_ops()->cond_wake_all(cond_of(cond)->real);
}
