/* Processes that hold what others want: they are killed, fork, are exclusive, or idle. */
#include "test/many/desk.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Who waits for a lock that is not given back waits for all of busy_timeout. */
enum { ATTEMPTS = 3, GOAL_MS = 50, LIMIT_MS = PARTY_BUSY_MS / 2 };

/* ---- killed with the lock of all commits in its hand ---- */

struct holding {
    int fd;
    int attempts;
    bool forks;
};

/* The first attempts lose against the other process.  The next one has the lock. */
static scn_status hold(scn_txn *txn, void *ctx)
{
    struct holding *holding = ctx;
    scn_table_id table;
    MUST_OK(scn_table(txn, "desk", 0, &table));
    MUST_OK(scn_get(txn, table, desk_text("key"), NULL));
    if (holding->attempts++ < ATTEMPTS) {
        party_tell(holding->fd, 'b');
        party_hear(holding->fd, 'g');
        return scn_put(txn, table, desk_text("key"), desk_text("mine"), 0);
    }
    pid_t child = holding->forks ? fork() : -1;
    if (child == 0) {
        party_tell(holding->fd, 'c');
        party_await_end(holding->fd);
        _exit(0);
    }
    if (!holding->forks)
        party_tell(holding->fd, 'c');
    pause();
    return SCN_OK;
}

static void hold_run(void *ctx, int fd)
{
    struct holding holding = {.fd = fd, .forks = *(bool *)ctx};
    scn_db *db = desk_open(desk_path("held"), 0);
    (void)scn_update(db, hold, &holding);
    MUST(false);
}

static void kill_holder(bool forks)
{
    scn_db *db;
    char value[24];
    struct partner holder;
    db = desk_open(desk_path("held"), 0);
    desk_put(db, "key", "begin");
    desk_close(db);
    holder = party_start(hold_run, &forks);
    db = desk_open(desk_path("held"), 0);
    for (int i = 0; i < ATTEMPTS; i++) {
        party_hear(holder.fd, 'b');
        snprintf(value, sizeof value, "theirs%d", i);
        desk_put(db, "key", value);
        party_tell(holder.fd, 'g');
    }
    party_hear(holder.fd, 'c');
    party_strike(&holder);
    uint64_t begun = party_ns();
    desk_put(db, "key", "after");
    uint64_t ms = (party_ns() - begun) / 1000000;
    printf("    after the death of a lock's holder%s: commit in %llu ms (goal: %d)\n",
           forks ? " whose child lives on" : "", (unsigned long long)ms, GOAL_MS);
    party_forget(&holder);
    CHECK(ms < LIMIT_MS);
    CHECK(desk_holds(db, "key", "after"));
    desk_close(db);
}

TEST(holder__that_is_killed_holds_nobody_up)
{
    kill_holder(false);
}

TEST(holder__that_is_killed_holds_nobody_up_while_its_child_lives)
{
    kill_holder(true);
}

/* ---- fork ---- */

/* done_fd is closed for the parent to see. */
static void child_of_fork(scn_db *db, scn_txn *txn, int fd, int done_fd)
{
    scn_txn *other = NULL;
    MUST_OK(scn_begin(db, SCN_READ, &other) - SCN_FORKED);
    MUST_OK(scn_put1(db, "desk", desk_text("key"), desk_text("")) - SCN_FORKED);
    MUST_OK(scn_commit(txn) - SCN_FORKED);
    MUST_OK(scn_checkpoint(db) - SCN_FORKED);
    MUST_OK(scn_close(db) - SCN_FORKED);
    party_tell(fd, 'f');
    party_hear(fd, 'o');
    scn_db *own = desk_open(desk_path("forked"), 0);
    MUST(desk_holds(own, "key", "parent"));
    desk_put(own, "key", "child");
    desk_close(own);
    close(done_fd);
    party_await_end(fd);
    _exit(0);
}

static void fork_run(void *ctx, int fd)
{
    scn_txn *txn;
    int done[2];
    scn_db *db = desk_open(desk_path("forked"), 0);
    (void)ctx;
    desk_put(db, "key", "parent");
    MUST_OK(pipe(done));
    MUST_OK(scn_begin(db, SCN_WRITE, &txn));
    if (fork() == 0)
        child_of_fork(db, txn, fd, done[1]);
    close(done[1]);
    party_await_end(done[0]);
    MUST_OK(scn_commit(txn));
    desk_close(db);
}

TEST(holder__that_forks_leaves_nothing_to_its_child)
{
    struct partner parent = party_start(fork_run, NULL);
    party_hear(parent.fd, 'f');
    /* Beside its parent, for itself. */
    party_tell(parent.fd, 'o');
    int how;
    CHECK(waitpid(parent.pid, &how, 0) == parent.pid);
    CHECK(WIFEXITED(how));
    CHECK_EQ(WEXITSTATUS(how), 0);
    /* The child lives, and is not in the way. */
    scn_db *db = desk_open(desk_path("forked"), SCN_EXCLUSIVE);
    CHECK(desk_holds(db, "key", "child"));
    desk_close(db);
    party_forget(&parent);
}

/* ---- exclusive ---- */

static void stay_run(void *ctx, int fd)
{
    scn_db *db = desk_open(desk_path("stay"), *(uint32_t *)ctx);
    (void)desk_holds(db, "key", NULL);
    party_tell(fd, 'o');
    party_hear(fd, 'e');
    desk_close(db);
}

static scn_status try_open(const char *path, uint32_t flags, scn_error *error)
{
    scn_options options;
    scn_db *db = NULL;
    scn_options_init(&options);
    options.flags = flags;
    options.busy_timeout_ms = 30;
    scn_status st = scn_open(path, &options, &db);
    if (st == SCN_OK)
        MUST_OK(scn_close(db));
    error->struct_size = sizeof *error;
    scn_last_error(NULL, error);
    return st;
}

/* Whoever is there, by number and name. */
static void check_refused(uint32_t theirs, uint32_t ours)
{
    scn_error error;
    char number[16];
    char program[64] = "";
    struct partner other = party_start(stay_run, &theirs);
    party_hear(other.fd, 'o');
    CHECK_EQ(try_open(desk_path("stay"), ours, &error), SCN_BUSY);
    FILE *file = fopen("/proc/self/comm", "r");
    CHECK(file && fgets(program, sizeof program, file));
    fclose(file);
    program[strcspn(program, "\n")] = '\0';
    snprintf(number, sizeof number, "%d", (int)other.pid);
    if (strstr(error.text, number) == NULL || strstr(error.text, program) == NULL)
        printf("    not who it is (%s, %s): %s\n", number, program, error.text);
    CHECK(strstr(error.text, number));
    CHECK(strstr(error.text, program));
    CHECK_EQ(error.pid, other.pid);
    party_tell(other.fd, 'e');
    party_end(&other);
    CHECK_OK(try_open(desk_path("stay"), ours, &error));
}

TEST(holder__that_is_exclusive_keeps_others_out)
{
    desk_close(desk_open(desk_path("stay"), 0));
    check_refused(SCN_EXCLUSIVE, 0);
    check_refused(SCN_EXCLUSIVE, SCN_RDONLY);
    check_refused(SCN_EXCLUSIVE, SCN_EXCLUSIVE);
}

TEST(holder__is_waited_for_by_who_wants_to_be_exclusive)
{
    desk_close(desk_open(desk_path("stay"), 0));
    check_refused(0, SCN_EXCLUSIVE);
    check_refused(SCN_RDONLY, SCN_EXCLUSIVE);
}

/* ---- locks by name ---- */

static void lock_run(void *ctx, int fd)
{
    scn_lock *lock = NULL;
    scn_db *db = desk_open(desk_path("named"), 0);
    (void)ctx;
    MUST_OK(scn_lock_try(db, "door", &lock));
    party_tell(fd, 'l');
    party_hear(fd, 'd');
    scn_lock_drop(lock);
    party_tell(fd, 'd');
    party_hear(fd, 'l');
    MUST_OK(scn_lock_try(db, "door", &lock));
    party_tell(fd, 'l');
    party_await_end(fd);
}

TEST(holder__of_a_named_lock_is_alone_among_all_processes)
{
    scn_lock *lock = NULL;
    scn_lock *window = NULL;
    scn_db *db = desk_open(desk_path("named"), 0);
    desk_close(db);
    struct partner other = party_start(lock_run, NULL);
    party_hear(other.fd, 'l');
    db = desk_open(desk_path("named"), 0);
    CHECK_EQ(scn_lock_try(db, "door", &lock), SCN_BUSY);
    CHECK_OK(scn_lock_try(db, "window", &window));
    party_tell(other.fd, 'd');
    party_hear(other.fd, 'd');
    CHECK_OK(scn_lock_try(db, "door", &lock));
    scn_lock_drop(lock);
    party_tell(other.fd, 'l');
    party_hear(other.fd, 'l');
    CHECK_EQ(scn_lock_try(db, "door", &lock), SCN_BUSY);
    party_kill(&other);
    CHECK_OK(scn_lock_try(db, "door", &lock));
    scn_lock_drop(lock);
    scn_lock_drop(window);
    desk_close(db);
}

/* ---- idle ---- */

static long status_kib(const char *name)
{
    char line[200];
    long kib = -1;
    FILE *file = fopen("/proc/self/status", "r");
    MUST(file);
    while (kib < 0 && fgets(line, sizeof line, file))
        if (strncmp(line, name, strlen(name)) == 0)
            kib = strtol(line + strlen(name), NULL, 10);
    fclose(file);
    return kib;
}

struct idle {
    _Atomic long before_kib;
    _Atomic long after_kib;
};

static void idle_run(void *ctx, int fd)
{
    struct idle *idle = ctx;
    atomic_store(&idle->before_kib, status_kib("VmRSS:"));
    scn_db *db = desk_open(desk_path("idle"), 0);
    MUST(desk_holds(db, "key", "value"));
    desk_put(db, "mine", "value");
    party_tell(fd, 'i');
    party_hear(fd, 'm');
    atomic_store(&idle->after_kib, status_kib("VmRSS:"));
    party_tell(fd, 'm');
    party_hear(fd, 'e');
    MUST(desk_holds(db, "key", "value"));
    MUST(desk_holds(db, "mine", "value"));
    desk_close(db);
}

static void rewrite_rows(scn_db *db, int round)
{
    char key[16];
    uint64_t value[250];
    uint64_t dice = (uint64_t)round + 1;
    for (int i = 0; i < 100; i++) {
        scn_txn *txn;
        scn_table_id table;
        MUST_OK(scn_begin(db, SCN_WRITE, &txn));
        MUST_OK(scn_table(txn, "desk", 0, &table));
        MUST_OK(scn_set_durability(txn, SCN_SYNC_LAZY));
        for (size_t k = 0; k < sizeof value / sizeof *value; k++)
            value[k] = unit_random(&dice);
        snprintf(key, sizeof key, "row%04d", i);
        MUST_OK(scn_put(txn, table, desk_text(key), (scn_slice){value, sizeof value}, 0));
        MUST_OK(scn_commit(txn));
    }
    MUST_OK(scn_checkpoint(db));
}

static uint64_t file_bytes(scn_db *db)
{
    scn_stats_t stats = {.struct_size = sizeof stats};
    MUST_OK(scn_stats(db, &stats));
    return stats.file_bytes;
}

TEST(holder__that_idles_does_not_make_the_file_grow)
{
    enum { ROUNDS = 40, WARM_UP = 8, GOAL_KIB = 4096, LIMIT_KIB = 64 << 10 };
    struct idle *idle = party_shared(sizeof *idle);
    scn_db *db = desk_open(desk_path("idle"), 0);
    desk_put(db, "key", "value");
    desk_close(db);
    struct partner other = party_start(idle_run, idle);
    party_hear(other.fd, 'i');
    db = desk_open(desk_path("idle"), 0);
    uint64_t early = 0;
    for (int i = 0; i < ROUNDS; i++) {
        rewrite_rows(db, i);
        if (i < WARM_UP && file_bytes(db) > early)
            early = file_bytes(db);
        party_pause_us(10000); /* it rests after a tenth of a second */
    }
    uint64_t late = file_bytes(db);
    party_tell(other.fd, 'm');
    party_hear(other.fd, 'm');
    long kib = atomic_load(&idle->after_kib) - atomic_load(&idle->before_kib);
    printf("    idle: %ld KiB of memory (goal: %d); file of %llu KiB, later %llu\n",
           kib, GOAL_KIB, (unsigned long long)early / 1024,
           (unsigned long long)late / 1024);
    party_tell(other.fd, 'e');
    party_end(&other);
    desk_close(db);
    CHECK(late <= early + early / 2);
    CHECK(kib < LIMIT_KIB);
}
