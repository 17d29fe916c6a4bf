#include "bench/mate.h"

#include "bench/figure.h"

#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STEP = 's', END = 'e' };

void mate_start(struct mate *mate, void (*fn)(void *ctx, struct mate *caller), void *ctx)
{
    int ends[2];
    fflush(stdout);
    require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0,
            "a pair of sockets can be made");
    mate->pid = fork();
    require(mate->pid >= 0, "a process can be started");
    if (mate->pid == 0) {
        struct mate caller = {.pid = getppid(), .line = ends[1]};
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(ends[0]);
        fn(ctx, &caller);
        fflush(stdout);
        _exit(0);
    }
    close(ends[1]);
    mate->line = ends[0];
}

static char hear(struct mate *mate)
{
    char what;
    require(read(mate->line, &what, 1) == 1, "the other process lives");
    return what;
}

static void tell(struct mate *mate, char what)
{
    require(send(mate->line, &what, 1, MSG_NOSIGNAL) == 1, "the other process listens");
}

void mate_tell(struct mate *mate)
{
    tell(mate, STEP);
}

void mate_hear(struct mate *mate)
{
    (void)hear(mate);
}

bool mate_goes_on(struct mate *caller)
{
    return hear(caller) == STEP;
}

void mate_end(struct mate *mate)
{
    int status;
    tell(mate, END);
    require(waitpid(mate->pid, &status, 0) == mate->pid, "the process can be waited for");
    require(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the process ended well");
    close(mate->line);
}

void mate_kill(struct mate *mate)
{
    require(kill(mate->pid, SIGKILL) == 0, "the process can be killed");
}

void mate_bury(struct mate *mate)
{
    int status;
    require(waitpid(mate->pid, &status, 0) == mate->pid, "the process can be waited for");
    require(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "the process was killed");
    close(mate->line);
}

void *mate_memory(size_t bytes)
{
    void *memory =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    require(memory != MAP_FAILED, "there is memory to share");
    return memory;
}
