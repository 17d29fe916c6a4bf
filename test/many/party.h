/* Other processes of a test.
 *
 * They are forked while this one has nothing open, run one function each, and are killed
 * with it.  In them nothing of unit.h is to be used but unit_random: a check that fails
 * there is MUST, which ends the process, and so fails who waits for it. */
#ifndef TEST_MANY_PARTY_H
#define TEST_MANY_PARTY_H

#include "include/scrine.h"
#include "test/unit/unit.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

/* busy_timeout of stores for which SCN_BUSY is a failure: the usual five seconds are no
 * more than a disk may take that has others to serve. */
enum { PARTY_BUSY_MS = 60000 };

struct partner {
    pid_t pid; /* 0: none */
    int fd;    /* one byte there and back at a time */
};

/* The new process calls run(ctx, fd) and ends well when that returns. */
struct partner party_start(void (*run)(void *ctx, int fd), void *ctx);
/* SIGKILL, and waits for its end.  Its children hear of it only by party_forget. */
void party_strike(struct partner *partner);
void party_forget(struct partner *partner);
/* Both. */
void party_kill(struct partner *partner);
/* Waits until it has ended by itself, well: else the test fails. */
void party_end(struct partner *partner);
/* True: it has ended, or was killed; *is_well: as it should. */
bool party_has_ended(struct partner *partner, bool *is_well);

/* On either side; a byte that does not come for minutes, or not from a living process,
 * ends the test or the process. */
void party_tell(int fd, char byte);
void party_hear(int fd, char byte);

/* Memory that this process shares with all that are forked later; zeroed, kept to the
 * end. */
void *party_shared(size_t size);

uint64_t party_ns(void);
void party_pause_us(uint32_t us);

_Noreturn void party_die(const char *file, int line, const char *what, long long got);

/* In a process that party_start made. */
#define MUST(condition)                                                                  \
    do {                                                                                 \
        if (!(condition))                                                                \
            party_die(__FILE__, __LINE__, #condition, 0);                                \
    } while (0)

#define MUST_OK(call)                                                                    \
    do {                                                                                 \
        long long must_got_ = (long long)(call);                                         \
        if (must_got_ != 0)                                                              \
            party_die(__FILE__, __LINE__, #call, must_got_);                             \
    } while (0)

/* Until the other side has gone. */
void party_await_end(int fd);

/* Either side: what the library said last. */
const char *party_last_words(void);

#endif
