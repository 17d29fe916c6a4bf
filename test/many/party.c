/* Other processes: see party.h. */
#include "test/many/party.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Who takes longer hangs; the machine may be slow, and have others to serve. */
enum { PATIENCE_MS = 300000 };

static bool is_partner; /* this process was made by party_start */

const char *party_last_words(void)
{
    static scn_error error;
    error.struct_size = sizeof error;
    scn_last_error(NULL, &error);
    return error.text;
}

_Noreturn void party_die(const char *file, int line, const char *what, long long got)
{
    fprintf(stderr, "    %s:%d: process %d: %s: %lld (%s)\n", file, line, (int)getpid(),
            what, got, party_last_words());
    _exit(1);
}

static _Noreturn void be_partner(void (*run)(void *, int), void *ctx, int fd)
{
    is_partner = true;
    run(ctx, fd);
    _exit(0);
}

struct partner party_start(void (*run)(void *ctx, int fd), void *ctx)
{
    int ends[2];
    pid_t parent = getpid();
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid > 0) {
        close(ends[1]);
        return (struct partner){pid, ends[0]};
    }
    close(ends[0]);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
        _exit(1);
    be_partner(run, ctx, ends[1]);
}

void party_forget(struct partner *partner)
{
    close(partner->fd);
    *partner = (struct partner){0};
}

void party_strike(struct partner *partner)
{
    kill(partner->pid, SIGKILL);
    while (waitpid(partner->pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

void party_kill(struct partner *partner)
{
    if (partner->pid == 0)
        return;
    party_strike(partner);
    party_forget(partner);
}

bool party_has_ended(struct partner *partner, bool *is_well)
{
    int how = 0;
    if (waitpid(partner->pid, &how, WNOHANG) != partner->pid)
        return false;
    *is_well = WIFEXITED(how) && WEXITSTATUS(how) == 0;
    if (WIFSIGNALED(how))
        printf("    process %d: signal %d\n", (int)partner->pid, WTERMSIG(how));
    party_forget(partner);
    return true;
}

void party_end(struct partner *partner)
{
    uint64_t until = party_ns() + PATIENCE_MS * UINT64_C(1000000);
    bool is_well = false;
    while (!party_has_ended(partner, &is_well)) {
        if (party_ns() > until) {
            party_kill(partner);
            unit_fail(__FILE__, __LINE__, "a process does not end");
        }
        party_pause_us(500);
    }
    CHECK(is_well);
}

static void complain(int line, const char *what)
{
    if (is_partner)
        party_die(__FILE__, line, what, 0);
    unit_fail(__FILE__, line, "%s", what);
}

void party_tell(int fd, char byte)
{
    if (send(fd, &byte, 1, MSG_NOSIGNAL) != 1)
        complain(__LINE__, "the other process does not listen");
}

void party_hear(int fd, char byte)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    char got = 0;
    int ready;
    do {
        ready = poll(&wait, 1, PATIENCE_MS);
    } while (ready < 0 && errno == EINTR);
    if (ready != 1 || read(fd, &got, 1) != 1)
        complain(__LINE__, "the other process does not answer");
    if (got != byte)
        complain(__LINE__, "the other process says something else");
}

void *party_shared(size_t size)
{
    void *memory =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    return memory;
}

void party_await_end(int fd)
{
    char byte;
    while (read(fd, &byte, 1) != 0)
        ;
}

uint64_t party_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

void party_pause_us(uint32_t us)
{
    struct timespec pause = {us / 1000000, (long)(us % 1000000) * 1000};
    nanosleep(&pause, NULL);
}
