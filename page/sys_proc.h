/* What /proc tells of locks that the kernel's own answer leaves out: who holds them.
 * Part of sys_posix.  Any thread. */
#ifndef PAGE_SYS_PROC_H
#define PAGE_SYS_PROC_H

#include "page/sys.h"

/* The nth process, if need be our own, with an open file description other than fd's that
 * has the byte of fd's file locked; pid 0 and an empty name when none is found.
 * Processes of other users and of other pid namespaces are not seen. */
void sys_proc_holder(int fd, uint64_t byte, uint32_t nth, uint32_t *pid,
                     char program[SYS_PROGRAM_BYTES]);

#endif
