#include "tools/demo/staff.h"

#include "tools/demo/crew.h"
#include "tools/demo/receipts.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* So that a slow disk does not make the demo long. */
static const double limit_seconds = 8;

static int work(int process, const struct material *material, const char *store_path,
                const char *receipts_path)
{
    struct memory memory = {0};
    int receipts = receipts_create(receipts_path);
    scn_status st = receipts < 0 ? SCN_IO : memory_open(&memory, store_path);
    if (st != SCN_OK)
        return memory_fail(&memory, "opening the store", st);
    struct crew_orders orders = {.memory = &memory,
                                 .material = material,
                                 .first = (size_t)process,
                                 .step = STAFF_PROCESSES,
                                 .receipts = receipts,
                                 .limit_seconds = limit_seconds};
    if (process == STAFF_KILLED)
        orders.kill_count = material->count / STAFF_PROCESSES / 2 + 1;
    bool is_good = crew_work(&orders);
    st = memory_close(&memory);
    if (st != SCN_OK)
        return memory_fail(&memory, "closing the store", st);
    return is_good ? 0 : 1;
}

static bool ended_as_planned(int process, pid_t pid)
{
    int how = 0;
    while (pid > 0 && waitpid(pid, &how, 0) < 0 && errno == EINTR)
        continue;
    bool is_good = pid > 0 && (process == STAFF_KILLED
                                   ? WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL
                                   : WIFEXITED(how) && WEXITSTATUS(how) == 0);
    if (!is_good)
        fprintf(stderr, "demo: process %d ended in another way than planned\n",
                process + 1);
    return is_good;
}

bool staff_work(const struct material *material, const char *store_path,
                const char *const receipts_paths[STAFF_PROCESSES])
{
    pid_t pids[STAFF_PROCESSES];
    bool is_good = true;
    fflush(NULL);
    for (int i = 0; i < STAFF_PROCESSES; i++) {
        pids[i] = fork();
        if (pids[i] == 0)
            _exit(work(i, material, store_path, receipts_paths[i]));
    }
    for (int i = 0; i < STAFF_PROCESSES; i++)
        is_good &= ended_as_planned(i, pids[i]);
    return is_good;
}
