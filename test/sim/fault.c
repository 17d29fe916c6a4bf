/* Faults, and the two ends of every call.
 *
 * Each call goes through call_begin and call_end.  The first takes the mutex of the disk,
 * counts the call and says whether a fault strikes; the second gives the mutex back and
 * runs the hook.  So every call is one step, and between two steps a test may look at the
 * disk, kill a process or cut the power.  The hook before a sync runs with the mutex
 * given back. */
#include "test/sim/state.h"
#include "test/sim/turns.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct sim_process *process_of(struct sys *sys)
{
    return (struct sim_process *)sys;
}

static bool fault_strikes(struct armed_fault *armed, enum sim_call call)
{
    const struct sim_fault *fault = &armed->fault;
    if (!fault->kind || (fault->call != call && fault->call != SIM_ANY))
        return false;
    armed->seen++;
    return armed->seen >= fault->nth;
}

/* Every fault counts the call; the first that strikes is told. */
static struct sim_fault find_fault(struct sim_process *process, enum sim_call call)
{
    struct sim_fault found = {0};
    for (int i = 0; i < SIM_FAULT_MAX; i++) {
        struct armed_fault *armed = &process->faults[i];
        if (!fault_strikes(armed, call) || found.kind)
            continue;
        found = armed->fault;
        process->hits++;
        if (!found.is_forever)
            armed->fault.kind = 0;
    }
    return found;
}

static bool is_sync(enum sim_call call)
{
    return call == SIM_SYNC || call == SIM_DSYNC || call == SIM_SYNC_DIR;
}

static bool is_write(enum sim_call call)
{
    return call == SIM_WRITE || call == SIM_DSYNC;
}

int call_begin(struct sim_process *process, enum sim_call call, struct sim_fault *fault)
{
    turns_take(process, call, SIM_AT_BEGIN);
    disk_lock(process->disk);
    *fault = (struct sim_fault){0};
    if (process->is_dead)
        return -EIO;
    process->counts[call]++;
    medium_begin_call(process->disk->medium);
    *fault = find_fault(process, call);
    if (is_write(call) || is_sync(call))
        return 0;
    if (fault->kind == SIM_KILL) {
        process_die(process);
        return -EIO;
    }
    return fault->kind == SIM_FAIL ? -fault->error : 0;
}

int call_before_sync(struct sim_process *process, enum sim_call call)
{
    struct sim_disk *disk = process->disk;
    if (!process->is_dead) {
        disk_unlock(disk);
        if (disk->hook)
            disk->hook(disk->hook_ctx, disk, call, SIM_BEFORE_SYNC);
        turns_take(process, call, SIM_AT_SYNC);
        disk_lock(disk);
    }
    return process->is_dead ? -EIO : 0;
}

int64_t call_end(struct sim_process *process, enum sim_call call, int64_t result)
{
    struct sim_disk *disk = process->disk;
    enum sim_moment moment = process->is_dead ? SIM_KILLED : SIM_AFTER;
    bool is_told = process->is_mourned;
    process->is_mourned = process->is_dead;
    disk_unlock(disk);
    if (disk->hook && !is_told)
        disk->hook(disk->hook_ctx, disk, call, moment);
    turns_take(process, call, SIM_AT_END);
    return result;
}

void sim_fault_set(struct sys *sys, const struct sim_fault *fault)
{
    struct sim_process *process = process_of(sys);
    int free_idx = 0;
    disk_lock(process->disk);
    while (free_idx < SIM_FAULT_MAX && process->faults[free_idx].fault.kind)
        free_idx++;
    if (free_idx == SIM_FAULT_MAX || fault->nth == 0)
        abort();
    process->faults[free_idx] = (struct armed_fault){.fault = *fault};
    disk_unlock(process->disk);
}

void sim_fault_clear(struct sys *sys)
{
    struct sim_process *process = process_of(sys);
    disk_lock(process->disk);
    memset(process->faults, 0, sizeof process->faults);
    process->hits = 0;
    disk_unlock(process->disk);
}

uint64_t sim_fault_hits(struct sys *sys)
{
    return process_of(sys)->hits;
}

uint64_t sim_call_count(struct sys *sys, enum sim_call call)
{
    struct sim_process *process = process_of(sys);
    uint64_t count = 0;
    for (int i = 0; i < SIM_CALL_COUNT; i++)
        if (call == SIM_ANY || (int)call == i)
            count += process->counts[i];
    return count;
}
