/* A signal at a system call: see strike.h. */
#include "test/tools/strike.h"

#include "test/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- the command ---- */

static void become(const char *folder, const char *const *words, const char *output)
{
    int out = open(output, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0644);
    int in = open("/dev/null", O_RDONLY);
    if (chdir(folder) != 0 || out < 0 || in < 0 || dup2(in, 0) < 0 ||
        dup2(out, 1) < 0 || dup2(out, 2) < 0)
        _exit(126);
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
        _exit(127);
    (void)raise(SIGSTOP);
    execv(words[0], (char *const *)words);
    _exit(126);
}

static pid_t start(const char *folder, const char *const *words, const char *output)
{
    const long options = PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE |
                         PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC;
    int status;
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0)
        become(folder, words, output);
    CHECK(waitpid(pid, &status, 0) == pid);
    if (!WIFSTOPPED(status) || ptrace(PTRACE_SETOPTIONS, pid, NULL, options) != 0) {
        (void)kill(pid, SIGKILL);
        return -1;
    }
    return pid;
}

/* ---- its calls ---- */

static bool is_changing(uint64_t call)
{
    static const uint16_t changing[] = {
        SYS_open,      SYS_openat,    SYS_creat,     SYS_write,     SYS_pwrite64,
        SYS_writev,    SYS_pwritev,   SYS_pwritev2,  SYS_rename,    SYS_renameat,
        SYS_renameat2, SYS_link,      SYS_linkat,    SYS_unlink,    SYS_unlinkat,
        SYS_fsync,     SYS_fdatasync, SYS_truncate,  SYS_ftruncate, SYS_fallocate,
        SYS_mkdir,     SYS_rmdir,     SYS_sendfile,  SYS_copy_file_range,
        SYS_sync_file_range,
    };
    for (size_t i = 0; i < sizeof changing / sizeof *changing; i++)
        if (changing[i] == call)
            return true;
    return false;
}

/* True: it is struck. */
static bool count_call(pid_t tid, struct strike strike, struct strike_result *result)
{
    struct __ptrace_syscall_info info;
    if (ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof info, &info) <= 0 ||
        info.op != PTRACE_SYSCALL_INFO_ENTRY)
        return false;
    bool is_counted = strike.kind == STRIKE_ANY || is_changing(info.entry.nr);
    result->calls[STRIKE_ANY]++;
    result->calls[STRIKE_CHANGING] += is_changing(info.entry.nr);
    return is_counted && result->calls[strike.kind] >= strike.nth &&
           result->calls[strike.kind] - strike.nth <= strike.more;
}

/* A stop that is neither a call's nor a signal's for the command: something about
 * tracing, such as a new thread. */
static bool is_of_tracing(int status)
{
    return status >> 16 != 0 || WSTOPSIG(status) == SIGSTOP ||
           WSTOPSIG(status) == SIGTRAP;
}

static void note_end(int status, struct strike_result *result)
{
    result->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    result->signal_no = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

/* Until all its threads have gone. */
static void follow(pid_t pid, struct strike strike, struct strike_result *result)
{
    bool is_running = false; /* exec is behind it */
    for (;;) {
        int status;
        pid_t tid = waitpid(-1, &status, __WALL);
        if (tid < 0 && errno == EINTR)
            continue;
        if (tid < 0)
            return;
        if (!WIFSTOPPED(status)) {
            if (tid == pid)
                note_end(status, result);
            continue;
        }
        int sent = 0;
        is_running |= status >> 16 == PTRACE_EVENT_EXEC;
        if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
            if (is_running && count_call(tid, strike, result)) {
                result->was_struck = true;
                (void)kill(pid, strike.signal_no);
            }
        } else if (!is_of_tracing(status)) {
            sent = WSTOPSIG(status);
        }
        (void)ptrace(PTRACE_SYSCALL, tid, NULL, (long)sent);
    }
}

struct strike_result strike_run(const char *folder, const char *const *words,
                                const char *output, struct strike strike)
{
    struct strike_result result = {.exit_code = -1};
    pid_t pid = start(folder, words, output);
    CHECK(pid > 0);
    CHECK(ptrace(PTRACE_SYSCALL, pid, NULL, 0L) == 0);
    follow(pid, strike, &result);
    CHECK(result.was_struck || result.exit_code >= 0);
    return result;
}

bool strike_is_allowed(void)
{
    static const char *const words[] = {"/bin/true", NULL};
    static bool is_known;
    static bool is_allowed;
    if (!is_known) {
        struct strike_result result = {.exit_code = -1};
        pid_t pid = start("/", words, "/dev/null");
        if (pid > 0 && ptrace(PTRACE_SYSCALL, pid, NULL, 0L) != 0)
            (void)kill(pid, SIGKILL);
        follow(pid, (struct strike){.nth = 0}, &result);
        is_allowed = result.calls[STRIKE_ANY] > 0; /* old kernels do not tell of calls */
        if (!is_allowed)
            printf("SKIPPED: processes may not be traced here, so none is struck\n");
    }
    is_known = true;
    return is_allowed;
}
