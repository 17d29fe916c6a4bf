/* A file that is poisoned, and what becomes of those who have it: rules 4, 5 and 26,
 * between processes.  As in test_protocol_peers.c, one process is stopped somewhere, or
 * dies there, and others go on. */
#include "test/schedule/pair.h"

#include "engine/session.h"
#include "page/lock.h"
#include "page/publish.h"

#include <errno.h>

enum { BULK_BYTES = PAGE_IS_SMALL ? 40 << 10 : 1200 << 10 };

/* A commit was acknowledged, and this process has not followed it; then the file was
 * poisoned, and who recovered it died between the lines of the new session. */
TEST(protocol__26_a_cure_that_died_hides_no_commit)
{
    struct pair pair;
    struct stage third;
    pair_open(&pair);
    CHECK(stage_has(&pair.a, "k", NULL));
    stage_put(&pair.b, "k", "new");
    stage_fail(&pair.b, SIM_DSYNC, 1, EIO);
    CHECK_EQ(part_finish(stage_cast(&pair.b, do_put, "k", "lost")), SCN_UNKNOWN);
    stage_come(&third, &pair.a, 0);
    struct part *opener = stage_cast(&third, do_open, "opener", NULL);
    part_until_line(opener, PUBLISH_SESSION, SIM_AT_BEGIN);
    stage_leave(&third);
    CHECK(stage_has(&pair.a, "k", "new"));
    CHECK_OK(stage_try_open(&third));
    CHECK(stage_has(&pair.a, "k", "new"));
    stage_put(&third, "k", "newer");
    CHECK(stage_has(&pair.a, "k", "newer"));
    CHECK(stage_has(&pair.b, "k", "newer"));
    stage_close(&third);
    pair_close(&pair);
}

/* Its sync fails in a session that is over when it comes to say so: the next one has
 * begun meanwhile, and is poisoned itself. */
TEST(protocol__26_late_poison_hides_none_of_a_later_session)
{
    struct pair pair;
    struct stage third;
    pair_open(&pair);
    stage_put(&pair.a, "k", "old");
    struct part *late = stage_cast(&pair.b, do_put, "bulk", "run");
    late->len = BULK_BYTES;
    stage_fail(&pair.b, SIM_SYNC, 1, EIO);
    part_until_lock(late, LOCK_POISON, 1, SIM_AT_BEGIN);
    stage_fail(&pair.a, SIM_DSYNC, 1, EIO);
    CHECK_EQ(part_finish(stage_cast(&pair.a, do_put, "a", "lost")), SCN_UNKNOWN);
    stage_join(&third, &pair.a, 0);
    stage_put(&third, "k", "new");
    stage_fail(&pair.a, SIM_DSYNC, 1, EIO);
    CHECK_EQ(part_finish(stage_cast(&pair.a, do_put, "a", "lost")), SCN_UNKNOWN);
    CHECK(part_finish(late) < 0);
    CHECK_EQ(part_finish(stage_cast(&third, do_put, "b", "2")), SCN_POISONED);
    stage_speak(&third);
    CHECK_OK(session_cure(store_of(&third)));
    stage_put(&pair.a, "a", "3");
    stage_put(&pair.b, "b", "3");
    CHECK(stage_has(&third, "k", "new"));
    stage_close(&third);
    pair_close(&pair);
}

/* Who poisons is stopped between its look at the session and the line: nobody begins
 * another one meanwhile. */
TEST(protocol__26_no_session_begins_while_one_is_being_poisoned)
{
    struct pair pair;
    struct stage third;
    pair_open(&pair);
    stage_put(&pair.a, "k", "old");
    struct part *late = stage_cast(&pair.b, do_put, "bulk", "run");
    late->len = BULK_BYTES;
    stage_fail(&pair.b, SIM_SYNC, 1, EIO);
    part_until(late, SIM_SYNC, SIM_AT_BEGIN);
    stage_fail(&pair.a, SIM_DSYNC, 1, EIO);
    CHECK_EQ(part_finish(stage_cast(&pair.a, do_put, "a", "lost")), SCN_UNKNOWN);
    part_until_line(late, PUBLISH_POISON, SIM_AT_BEGIN);
    stage_come(&third, &pair.a, 0);
    struct part *opener = stage_cast(&third, do_open, "opener", NULL);
    part_blocks(opener);
    CHECK(part_finish(late) < 0);
    CHECK_OK(part_await(opener));
    stage_put(&third, "k", "new");
    CHECK(stage_has(&pair.a, "k", "new"));
    stage_put(&pair.b, "k", "newer");
    CHECK(stage_has(&third, "k", "newer"));
    stage_close(&third);
    pair_close(&pair);
}
