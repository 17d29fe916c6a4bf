/* Readers that are left alone: the writer is gone, and what it had not finished is there.
 */
#include "test/many/desk.h"

#include <inttypes.h>
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

/* By a process, so far, as the kernel counts; 0: it does not tell. */
static uint64_t bytes_written(pid_t pid)
{
    char text[64];
    uint64_t bytes = 0;
    snprintf(text, sizeof text, "/proc/%d/io", (int)pid);
    FILE *file = fopen(text, "r");
    while (file && fgets(text, sizeof text, file))
        if (sscanf(text, "wchar: %" SCNu64, &bytes) == 1)
            break;
    if (file)
        fclose(file);
    return bytes;
}

/* The first thing that a commit writes is its record. */
static void await_record(pid_t pid, uint64_t before)
{
    uint64_t until = party_ns() + UINT64_C(30000000000);
    while (bytes_written(pid) <= before) {
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
    uint64_t before = bytes_written(writer.pid);
    party_tell(writer.fd, 'c');
    await_record(writer.pid, before);
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
