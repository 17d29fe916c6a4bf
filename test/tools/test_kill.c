/* Each command that writes is killed at each of its system calls.  After it everything is
 * as test/tools/task.h says, the same command then succeeds, and nothing is left of the
 * one that was killed.
 *
 * Of the calls that change something each is the one, of all of them every seventh, by
 * turns; with KILL=all in the environment each of those, too. */
#include "test/tools/task.h"
#include "test/unit/unit.h"

#include <signal.h>

enum { STRIDE = 7 };

static void check_again(const struct task *task, bool is_done)
{
    int code = yard_run(task->words);
    if (code != 0 && !((is_done || task->place) && code == task->again))
        unit_fail(__FILE__, __LINE__, "the same once more ends with %d: %s", code,
                  yard_output());
    CHECK(task_check(task));
    yard_check_only(task->files, task_product(task));
}

/* False: it came to its end. */
static bool strike(const struct task *task, struct strike strike)
{
    yard_stock(task->files);
    struct strike_result result = yard_strike(task->words, strike);
    if (!result.was_struck && result.exit_code != 0)
        unit_fail(__FILE__, __LINE__, "it ends with %d: %s", result.exit_code,
                  yard_output());
    bool is_done = task_check(task);
    CHECK(result.was_struck || is_done);
    check_again(task, is_done);
    return result.was_struck;
}

static void sweep(enum task_kind kind)
{
    const struct task *task = task_of(kind);
    bool wants_all = getenv("KILL") && strcmp(getenv("KILL"), "all") == 0;
    uint64_t first = unit_seed() % STRIDE;
    struct strike at = {.kind = STRIKE_CHANGING, .signal_no = SIGKILL};
    uint64_t changing = 0;
    uint64_t any = 0;
    if (!strike_is_allowed())
        return;
    task_prepare();
    for (at.nth = 1; strike(task, at); at.nth++)
        changing++;
    at.kind = STRIKE_ANY;
    at.nth = wants_all ? 1 : 1 + first;
    for (; strike(task, at); at.nth += wants_all ? 1 : STRIDE)
        any++;
    printf("    killed at %llu calls that change something and %llu others\n",
           (unsigned long long)changing, (unsigned long long)any);
    CHECK(changing > 0 && any > 0);
}

/* ---- snapshots ---- */

TEST(kill__create_leaves_no_half_snapshot)
{
    sweep(TASK_CREATE);
}

TEST(kill__create_replaces_a_snapshot_by_a_whole_one)
{
    sweep(TASK_CREATE_OVER);
}

TEST(kill__create_leaves_no_half_increment)
{
    sweep(TASK_INCREMENT);
}

TEST(kill__apply_does_all_of_an_increment_or_nothing)
{
    sweep(TASK_APPLY);
}

TEST(kill__restore_leaves_no_half_store)
{
    sweep(TASK_RESTORE);
}

TEST(kill__restore_replaces_a_store_by_a_whole_one)
{
    sweep(TASK_RESTORE_OVER);
}

/* ---- walcheck ---- */

TEST(kill__salvage_leaves_no_half_store)
{
    sweep(TASK_SALVAGE);
}

TEST(kill__salvage_replaces_a_store_by_a_whole_one)
{
    sweep(TASK_SALVAGE_OVER);
}

TEST(kill__truncate_loses_no_row)
{
    sweep(TASK_TRUNCATE);
}

/* ---- scrine ---- */

TEST(kill__put_does_it_or_not)
{
    sweep(TASK_PUT);
}

/* A store that is not there may come into being, and nothing else. */
TEST(kill__first_put_leaves_a_store_or_nothing)
{
    sweep(TASK_FIRST_PUT);
}

TEST(kill__del_does_it_or_not)
{
    sweep(TASK_DEL);
}

TEST(kill__load_leaves_a_sound_store)
{
    sweep(TASK_LOAD);
}

TEST(kill__compact_keeps_all_rows)
{
    sweep(TASK_COMPACT);
}
