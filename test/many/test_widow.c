/* Readers that are left alone: the writer is gone, and what it had not finished is there.
 */
#include "test/many/desk.h"

#include <stdio.h>

static void commit_run(void *ctx, int fd)
{
    scn_options options;
    scn_db *db = NULL;
    (void)ctx;
    scn_options_init(&options);
    options.durability = SCN_SYNC_GROUP;
    options.group_window_ms = 10000; /* to be killed between the record and its sync */
    options.lazy_interval_ms = 3600000;
    MUST_OK(scn_open(desk_path("widow"), &options, &db));
    party_tell(fd, 'o');
    party_hear(fd, 'c');
    desk_put(db, "key", "new");
}

static void read_run(void *ctx, int fd)
{
    atomic_bool *is_new = ctx;
    scn_db *db = desk_open(desk_path("widow"), SCN_RDONLY);
    MUST(desk_holds(db, "key", "old"));
    party_tell(fd, 'o');
    party_hear(fd, 'r');
    atomic_store(is_new, desk_holds(db, "key", "new"));
    party_tell(fd, 'r');
    party_await_end(fd);
}

/* Of all that is in the file. */
static uint64_t sum_of_file(const char *path)
{
    static unsigned char buf[1 << 16];
    uint64_t sum = 0;
    FILE *file = fopen(path, "rb");
    CHECK(file);
    for (size_t got; (got = fread(buf, 1, sizeof buf, file)) > 0;)
        for (size_t i = 0; i < got; i++)
            sum = (sum ^ buf[i]) * UINT64_C(0x100000001b3);
    fclose(file);
    return sum;
}

/* The first thing that a commit writes is its record. */
static void await_record(const char *path, uint64_t before)
{
    uint64_t until = party_ns() + UINT64_C(300000000000);
    while (sum_of_file(path) == before) {
        CHECK(party_ns() < until);
        party_pause_us(500);
    }
}

/* Whether the record is there when its writer dies is for chance to say; that who reads
 * later sees no less is not. */
TEST(widow__sees_what_others_have_seen_before)
{
    atomic_bool *is_new = party_shared(sizeof *is_new);
    scn_db *db = desk_open(desk_path("widow"), 0);
    desk_put(db, "key", "old");
    desk_close(db);
    struct partner writer = party_start(commit_run, NULL);
    party_hear(writer.fd, 'o');
    struct partner early = party_start(read_run, is_new);
    party_hear(early.fd, 'o');
    uint64_t before = sum_of_file(desk_path("widow"));
    party_tell(writer.fd, 'c');
    await_record(desk_path("widow"), before);
    party_kill(&writer);
    db = desk_open(desk_path("widow"), SCN_RDONLY);
    bool was_new = desk_holds(db, "key", "new");
    party_tell(early.fd, 'r');
    party_hear(early.fd, 'r');
    party_kill(&early);
    desk_close(db);
    printf("    a lone reader %s, an earlier one %s what its writer had not finished\n",
           was_new ? "sees" : "does not see",
           atomic_load(is_new) ? "sees" : "does not see");
    CHECK(!was_new || atomic_load(is_new));
}
