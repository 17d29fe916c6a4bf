/* The library's memory, by simulated process: what a killed process had is freed with it.
 *
 * A test program that kills processes whose threads are coroutines calls
 * sim_heap_install before anything else.  From then on each block of the library is
 * charged to the process that took it, and sim_process_destroy frees what is left.  For
 * one real thread. */
#ifndef TEST_SIM_HEAP_H
#define TEST_SIM_HEAP_H

#include <stddef.h>

struct sys;
struct sim_process;

void sim_heap_install(void);
/* Blocks that a process has and has not given back. */
size_t sim_heap_count(struct sys *sys);

/* ---- inside the simulator ---- */

/* Blocks taken from now on are this process's; NULL: nobody's.  Whose they were. */
struct sim_process *heap_charge(struct sim_process *process);
void heap_release(struct sim_process *process);

#endif
