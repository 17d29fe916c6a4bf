/* The threads of the library block every signal, so SIGINT always reaches the one
 * thread of this program, and blocking it here holds it back until ppoll opens the
 * door. */
#include "tools/interrupt.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>

static volatile sig_atomic_t is_seen;
static void (*volatile at_end)(void);

static void end(int signal_no)
{
    if (at_end)
        at_end();
    (void)signal(signal_no, SIG_DFL);
    (void)raise(signal_no); /* it comes when the handler is left */
}

/* timeout(1) sends two at once: to the command, and to its group. */
static void note(int signal_no)
{
    if (is_seen)
        end(signal_no);
    is_seen = 1;
}

static void watch(int signal_no)
{
    /* Without SA_RESTART, so that a write to a full pipe returns; the library repeats
     * its own calls.  A shell that started us in the background had SIGINT ignored: that
     * is undone, as we stop more gently than it can. */
    struct sigaction action = {.sa_handler = note};
    sigemptyset(&action.sa_mask);
    (void)sigaction(signal_no, &action, NULL);
}

void interrupt_watch(void)
{
    watch(SIGINT);
}

void interrupt_watch_end(void)
{
    interrupt_watch();
    watch(SIGTERM);
}

void interrupt_forget(void)
{
    is_seen = 0;
    interrupt_watch();
}

void interrupt_at_end(void (*fn)(void))
{
    at_end = fn;
}

bool interrupt_seen(void)
{
    return is_seen;
}

/* A signal between the look and the wait is not lost: it is let in by ppoll alone. */
static bool wait_for(struct pollfd *polled, nfds_t count, const struct timespec *timeout)
{
    sigset_t ends, before;
    int result = 0;
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    (void)pthread_sigmask(SIG_BLOCK, &ends, &before);
    /* Any error but EINTR is left to the read that follows. */
    while (!is_seen && result == 0)
        result = ppoll(polled, count, timeout, &before) < 0 && errno == EINTR ? 0 : 1;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return !is_seen;
}

bool interrupt_wait_readable(int fd)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    return wait_for(&wait, 1, NULL);
}

bool interrupt_sleep(uint32_t ms)
{
    struct timespec timeout = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    return wait_for(NULL, 0, &timeout);
}
