#include "tools/output.h"
#include "tools/interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <string.h>
#include <unistd.h>

void output_prepare(void)
{
    struct sigaction action = {.sa_handler = SIG_IGN};
    sigemptyset(&action.sa_mask);
    (void)sigaction(SIGPIPE, &action, NULL);
    /* open takes the lowest free number.  The wrong way round, so that use is still an
     * error. */
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)!open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

bool output_is_broken(void)
{
    return ferror(stdout) != 0;
}

static bool is_reader_gone(void)
{
    struct pollfd end = {.fd = STDOUT_FILENO, .events = POLLOUT};
    return poll(&end, 1, 0) == 1 && (end.revents & (POLLERR | POLLHUP));
}

/* A pipe that is ready takes as much as is kept back for it. */
static bool is_reader_ready(void)
{
    struct pollfd room = {.fd = STDOUT_FILENO, .events = POLLOUT};
    return poll(&room, 1, 0) == 1;
}

/* After ^C the last lines are not for a pipe that nobody empties: waiting for that is
 * what ^C was to end, and exit would wait. */
static enum outcome finish_interrupted(void)
{
    if (!is_reader_ready())
        __fpurge(stdout);
    return OUTCOME_INTERRUPTED;
}

enum outcome output_finish(enum outcome outcome)
{
    if (outcome == OUTCOME_INTERRUPTED)
        return finish_interrupted();
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return outcome;
    if (interrupt_seen())
        return finish_interrupted();
    const char *why = errno ? strerror(errno) : "an earlier write failed";
    if (is_reader_gone())
        return outcome;
    enum outcome failure = outcome_say(OUTCOME_IO, "cannot write the output: %s", why);
    return outcome == OUTCOME_OK || outcome == OUTCOME_FINDINGS ? failure : outcome;
}

void output_json_to(FILE *out, json_t *json, size_t flags)
{
    /* As it is written: the text of a long value has several times its length. */
    if (json == NULL || (json_dumpf(json, out, flags) < 0 && !ferror(out)))
        outcome_no_memory();
    putc('\n', out);
    json_decref(json);
}

void output_json(json_t *json, size_t flags)
{
    output_json_to(stdout, json, flags);
}
