/* ^C: the first one asks the command to stop where it leaves whole work behind, the
 * second one ends it at once, which the store survives like any other kill. */
#ifndef TOOLS_INTERRUPT_H
#define TOOLS_INTERRUPT_H

#include <stdbool.h>
#include <stdint.h>

/* From here on SIGINT is noted.  Before, and in commands that do not call this, it
 * simply ends the program. */
void interrupt_watch(void);
bool interrupt_seen(void);
/* Called before the second one ends the program, in the signal's handler.  NULL: nothing
 * is to be done. */
void interrupt_at_end(void (*fn)(void));
/* The shell's next command begins: what was noted before is not for it. */
void interrupt_forget(void);

/* SIGTERM is noted from here on as if it were ^C: for who has a terminal to put back. */
void interrupt_watch_end(void);
/* Sleeps so long; false: interrupted. */
bool interrupt_sleep(uint32_t ms);
/* Waits until fd has something to read or has ended; false: interrupted.  A signal
 * between the look and the wait is not lost. */
bool interrupt_wait_readable(int fd);

#endif
