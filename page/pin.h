/* Pins: the generations that snapshots of this process stand on, as kernel locks that
 * every checkpoint looks at.
 *
 * A pin is a shared lock on a byte of its own, PIN + gen, so it vanishes with its process
 * and works on descriptors for reading.  Several views of a process share one lock.
 *
 * [K5] A new pin counts only if the generation published, read again after pin_take, is
 *      still this one: a checkpoint publishes first and looks at pins after, so either it
 *      sees the pin or the reader sees the newer generation.
 *
 * With locks->is_exclusive nobody else looks and no kernel lock is taken.  Any thread. */
#ifndef PAGE_PIN_H
#define PAGE_PIN_H

#include "page/lock.h"

struct pin {
    uint64_t gen;
    uint32_t references;
};

struct pins {
    struct locks *locks;
    struct sys_mutex *mutex;
    struct pin *items; /* mutex */
    uint32_t count;
    uint32_t capacity;
};

scn_status pins_init(struct pins *pins, struct locks *locks) MUST_USE;
/* Initialised or zeroed.  What is still held goes with the file's handle. */
void pins_destroy(struct pins *pins);

/* One reference more; with the first the lock is taken.  Never waits: nobody takes these
 * bytes exclusively.  SCN_NOMEM, SCN_IO. */
scn_status pin_take(struct pins *pins, uint64_t gen) MUST_USE;
/* One reference less, of what was taken. */
void pin_drop(struct pins *pins, uint64_t gen);

/* The generations (modulo 2^48) that others pin, ascending, each once; *gens is the
 * caller's to free.  The system does not tell a process of its own locks.  SCN_NOMEM;
 * SCN_IO, also when a program that locks the whole file hides the pins. */
scn_status pins_foreign(struct pins *pins, uint64_t **gens, uint32_t *count) MUST_USE;

#endif
