/* Each command that writes is sent SIGINT, and SIGTERM, at each of its system calls that
 * change something.  It ends with 130, or by the signal, or has come to its end before;
 * everything is as test/tools/task.h says, and nothing is left of it. */
#include "test/tools/task.h"
#include "test/unit/unit.h"

#include <signal.h>

enum { INTERRUPTED = 130 };

static bool is_fair_end(const struct strike_result *result, int signal_no)
{
    return result->exit_code == 0 || result->signal_no == signal_no ||
           (signal_no == SIGINT && result->exit_code == INTERRUPTED);
}

/* False: it came to its end before the signal. */
static bool strike(const struct task *task, struct strike strike)
{
    yard_stock(task->files);
    struct strike_result result = yard_strike(task->words, strike);
    if (!is_fair_end(&result, strike.signal_no))
        unit_fail(__FILE__, __LINE__, "signal %d at call %llu: it ends with %d (%d): %s",
                  strike.signal_no, (unsigned long long)strike.nth, result.exit_code,
                  result.signal_no, yard_output());
    bool is_done = task_check(task);
    CHECK(is_done || result.exit_code != 0);
    yard_check_only(task->files, task_product(task));
    return result.was_struck;
}

static void sweep_with(enum task_kind kind, struct strike at)
{
    const struct task *task = task_of(kind);
    if (!strike_is_allowed())
        return;
    task_prepare();
    while (strike(task, at))
        at.nth++;
    printf("    at %llu calls\n", (unsigned long long)at.nth - 1);
    CHECK(at.nth > 1);
}

static void sweep(enum task_kind kind, int signal_no)
{
    sweep_with(kind, (struct strike){STRIKE_CHANGING, .nth = 1, .signal_no = signal_no});
}

/* The second one comes at the next call, which may be one that the first has led to. */
static void sweep_twice(enum task_kind kind)
{
    sweep_with(kind, (struct strike){STRIKE_CHANGING, .nth = 1, 1, SIGINT});
}

TEST(signal__int_ends_create)
{
    sweep(TASK_CREATE, SIGINT);
}

TEST(signal__int_ends_an_increment)
{
    sweep(TASK_INCREMENT, SIGINT);
}

TEST(signal__int_ends_apply)
{
    sweep(TASK_APPLY, SIGINT);
}

TEST(signal__int_ends_restore)
{
    sweep(TASK_RESTORE, SIGINT);
}

TEST(signal__int_ends_salvage)
{
    sweep(TASK_SALVAGE, SIGINT);
}

TEST(signal__int_ends_truncate)
{
    sweep(TASK_TRUNCATE, SIGINT);
}

TEST(signal__int_ends_load)
{
    sweep(TASK_LOAD, SIGINT);
}

TEST(signal__int_ends_compact)
{
    sweep(TASK_COMPACT, SIGINT);
}

TEST(signal__a_second_int_leaves_nothing_of_create)
{
    sweep_twice(TASK_CREATE_OVER);
}

TEST(signal__a_second_int_leaves_nothing_of_restore)
{
    sweep_twice(TASK_RESTORE);
}

TEST(signal__a_second_int_leaves_nothing_of_salvage)
{
    sweep_twice(TASK_SALVAGE);
}

TEST(signal__term_ends_create)
{
    sweep(TASK_CREATE_OVER, SIGTERM);
}

TEST(signal__term_ends_restore)
{
    sweep(TASK_RESTORE, SIGTERM);
}

TEST(signal__term_ends_salvage)
{
    sweep(TASK_SALVAGE_OVER, SIGTERM);
}
