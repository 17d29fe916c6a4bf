/* Two struct locks on two opens of one file stand for two processes: the kernel's locks
 * belong to the open, not to the process. */
#include "page/lock.h"
#include "page/mem.h"
#include "test/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define NS_PER_MS UINT64_C(1000000)

/* One "process". */
struct side {
    struct file file;
    struct locks locks;
};

static void create_file(const char *name)
{
    struct sys *sys = sys_posix();
    struct sys_file *handle = NULL;
    CHECK_OK(sys->ops->open(sys, unit_path(name), SYS_CREATE, &handle));
    sys->ops->close(handle);
}

static void side_open(struct side *side, const char *name)
{
    CHECK_OK(file_open(&side->file, sys_posix(), unit_path(name), false));
    CHECK_OK(locks_init(&side->locks, &side->file));
}

static void side_close(struct side *side)
{
    side->file.sys = sys_posix();
    locks_destroy(&side->locks);
    file_close(&side->file);
}

static void open_two(struct side *a, struct side *b, const char *name)
{
    create_file(name);
    side_open(a, name);
    side_open(b, name);
}

static uint64_t now_ms(void)
{
    return sys_posix()->ops->now_ns(sys_posix()) / NS_PER_MS;
}

/* ---- exclusion ---- */

TEST(lock__excludes_another_process_and_says_which_lock)
{
    static const enum lock_kind kinds[] = {LOCK_GATE, LOCK_BACKUP, LOCK_CHECKPOINT,
                                           LOCK_EXTEND, LOCK_APPEND, LOCK_SYNC};
    static const char *const names[] = {"GATE", "BACKUP", "CHECKPOINT",
                                        "EXTEND", "APPEND", "SYNC"};
    struct side a;
    struct side b;
    open_two(&a, &b, "exclude");
    for (int i = 0; i < 6; i++) {
        CHECK(!lock_is_mine(&a.locks, kinds[i]));
        CHECK_OK(lock_take(&a.locks, kinds[i], 0));
        CHECK(lock_is_mine(&a.locks, kinds[i]));
        CHECK(!lock_is_mine(&b.locks, kinds[i]));
        CHECK_EQ(lock_take(&b.locks, kinds[i], 0), SCN_BUSY);
        CHECK(strstr(error_last()->text, names[i]) != NULL);
        lock_give(&a.locks, kinds[i]);
        CHECK_OK(lock_take(&b.locks, kinds[i], 0));
        lock_give(&b.locks, kinds[i]);
    }
    side_close(&a);
    side_close(&b);
}

TEST(lock__different_locks_do_not_exclude_each_other)
{
    struct side a;
    struct side b;
    open_two(&a, &b, "different");
    CHECK_OK(lock_take(&a.locks, LOCK_CHECKPOINT, 0));
    CHECK_OK(lock_take(&a.locks, LOCK_SYNC, 0));
    CHECK_OK(lock_take(&b.locks, LOCK_GATE, 0));
    CHECK_OK(lock_take(&b.locks, LOCK_BACKUP, 0));
    CHECK_OK(lock_take(&b.locks, LOCK_APPEND, 0));
    CHECK_EQ(lock_take(&b.locks, LOCK_SYNC, 0), SCN_BUSY);
    lock_give(&b.locks, LOCK_APPEND);
    lock_give(&b.locks, LOCK_BACKUP);
    lock_give(&b.locks, LOCK_GATE);
    lock_give(&a.locks, LOCK_SYNC);
    lock_give(&a.locks, LOCK_CHECKPOINT);
    side_close(&a);
    side_close(&b);
}

TEST(lock__busy_comes_at_the_deadline)
{
    struct side a;
    struct side b;
    open_two(&a, &b, "deadline");
    CHECK_OK(lock_take(&a.locks, LOCK_APPEND, 0));
    uint64_t start = now_ms();
    CHECK_EQ(lock_take(&b.locks, LOCK_APPEND, 30), SCN_BUSY);
    CHECK(now_ms() - start >= 29);
    CHECK(now_ms() - start < 20000); /* the machine may have others to serve */
    lock_give(&a.locks, LOCK_APPEND);
    side_close(&a);
    side_close(&b);
}

static void *take_without_waiting(void *arg)
{
    static scn_status st;
    st = lock_take(arg, LOCK_APPEND, 5);
    if (st == SCN_BUSY && !strstr(error_last()->text, "thread of this process"))
        st = SCN_UNKNOWN;
    return &st;
}

TEST(lock__excludes_threads_of_one_process)
{
    struct side a;
    pthread_t thread;
    void *st = NULL;
    create_file("threads");
    side_open(&a, "threads");
    CHECK_OK(lock_take(&a.locks, LOCK_APPEND, 0));
    CHECK_OK(pthread_create(&thread, NULL, take_without_waiting, &a.locks));
    CHECK_OK(pthread_join(thread, &st));
    lock_give(&a.locks, LOCK_APPEND);
    CHECK_EQ(*(scn_status *)st, SCN_BUSY);
    side_close(&a);
}

struct crowd {
    struct side sides[2];
    _Atomic int turn;
    _Atomic int inside;
    _Atomic int clashes;
    _Atomic int failures;
};

static void *count_under_lock(void *arg)
{
    struct crowd *crowd = arg;
    struct locks *locks = &crowd->sides[atomic_fetch_add(&crowd->turn, 1) % 2].locks;
    for (int i = 0; i < 50; i++) {
        if (lock_take(locks, LOCK_APPEND, i % 2 ? 20000 : UINT32_MAX) != SCN_OK) {
            atomic_fetch_add(&crowd->failures, 1);
            continue;
        }
        if (atomic_fetch_add(&crowd->inside, 1) != 0)
            atomic_fetch_add(&crowd->clashes, 1);
        atomic_fetch_sub(&crowd->inside, 1);
        lock_give(locks, LOCK_APPEND);
    }
    return NULL;
}

TEST(lock__everybody_gets_it_and_never_two_at_once)
{
    struct crowd crowd = {0};
    pthread_t threads[4];
    open_two(&crowd.sides[0], &crowd.sides[1], "crowd");
    for (int i = 0; i < 4; i++)
        CHECK_OK(pthread_create(&threads[i], NULL, count_under_lock, &crowd));
    for (int i = 0; i < 4; i++)
        CHECK_OK(pthread_join(threads[i], NULL));
    CHECK_EQ(crowd.turn, 4);
    CHECK_EQ(crowd.clashes, 0);
    CHECK_EQ(crowd.failures, 0);
    side_close(&crowd.sides[0]);
    side_close(&crowd.sides[1]);
}

TEST(lock__of_a_killed_process_is_free)
{
    struct side a;
    int ready[2];
    char byte;
    create_file("killed");
    CHECK_OK(pipe(ready));
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        struct side own;
        side_open(&own, "killed");
        if (lock_take(&own.locks, LOCK_APPEND, 0) == SCN_OK)
            (void)!write(ready[1], "x", 1);
        pause();
        _exit(0);
    }
    side_open(&a, "killed");
    CHECK_EQ(read(ready[0], &byte, 1), 1);
    CHECK_EQ(lock_take(&a.locks, LOCK_APPEND, 0), SCN_BUSY);
    CHECK_OK(kill(child, SIGKILL));
    CHECK_OK(lock_take(&a.locks, LOCK_APPEND, 60000));
    lock_give(&a.locks, LOCK_APPEND);
    CHECK_EQ(waitpid(child, NULL, 0), child);
    close(ready[0]);
    close(ready[1]);
    side_close(&a);
}

/* ---- modes ---- */

TEST(lock__alone_only_the_gate_reaches_the_kernel)
{
    struct side a;
    struct side b;
    open_two(&a, &b, "alone");
    const struct sys_ops *ops = a.file.sys->ops;
    a.locks.is_exclusive = true;
    CHECK_OK(lock_take(&a.locks, LOCK_CHECKPOINT, 0));
    CHECK_OK(lock_take(&a.locks, LOCK_APPEND, 0));
    CHECK_EQ(ops->lock_probe(b.file.handle, LOCK_BASE, 16, NULL), 0);
    lock_give(&a.locks, LOCK_APPEND);
    lock_give(&a.locks, LOCK_CHECKPOINT);
    CHECK_OK(lock_take(&a.locks, LOCK_GATE, 0));
    CHECK_EQ(ops->lock_probe(b.file.handle, LOCK_BASE, 16, NULL), 1);
    lock_give(&a.locks, LOCK_GATE);
    side_close(&a);
    side_close(&b);
}

TEST(lock__taken_before_being_alone_is_given_back_to_the_kernel)
{
    struct side a;
    struct side b;
    open_two(&a, &b, "upgrade");
    CHECK_OK(lock_take(&a.locks, LOCK_APPEND, 0));
    a.locks.is_exclusive = true;
    lock_give(&a.locks, LOCK_APPEND);
    CHECK_OK(lock_take(&b.locks, LOCK_APPEND, 0));
    lock_give(&b.locks, LOCK_APPEND);
    side_close(&a);
    side_close(&b);
}

TEST(lock__attach_is_shared_by_many_and_exclusive_for_one)
{
    struct side a;
    struct side b;
    open_two(&a, &b, "attach");
    CHECK_OK(lock_attach(&a.locks, LOCK_ATTACH, SYS_EXCLUSIVE));
    CHECK_EQ(lock_attach(&b.locks, LOCK_ATTACH, SYS_SHARED), SCN_BUSY);
    CHECK_OK(lock_attach(&a.locks, LOCK_ATTACH, SYS_SHARED));
    CHECK_OK(lock_attach(&b.locks, LOCK_ATTACH, SYS_SHARED));
    CHECK_EQ(lock_attach(&b.locks, LOCK_ATTACH, SYS_EXCLUSIVE), SCN_BUSY);
    CHECK_EQ(lock_attach_alone(&b.locks, LOCK_ATTACH), SCN_BUSY);
    CHECK_EQ(lock_attach(&a.locks, LOCK_ATTACH, SYS_EXCLUSIVE), SCN_BUSY);
    CHECK_OK(lock_attach(&b.locks, LOCK_ATTACH, SYS_UNLOCK));
    CHECK_OK(lock_attach_alone(&a.locks, LOCK_ATTACH));
    CHECK_OK(lock_attach(&b.locks, LOCK_READER, SYS_SHARED));
    side_close(&a);
    side_close(&b);
}

TEST(lock__read_only_file_attaches_shared_and_takes_nothing)
{
    struct side a = {0};
    create_file("reader");
    CHECK_OK(file_open(&a.file, sys_posix(), unit_path("reader"), true));
    CHECK_OK(locks_init(&a.locks, &a.file));
    CHECK_EQ(lock_take(&a.locks, LOCK_APPEND, 0), SCN_READONLY);
    CHECK_OK(lock_attach(&a.locks, LOCK_READER, SYS_SHARED));
    CHECK_EQ(lock_attach(&a.locks, LOCK_ATTACH, SYS_EXCLUSIVE), SCN_IO);
    side_close(&a);
}

static void open_reader(struct side *side, const char *name)
{
    CHECK_OK(file_open(&side->file, sys_posix(), unit_path(name), true));
    CHECK_OK(locks_init(&side->locks, &side->file));
}

TEST(lock__taken_shared_keeps_out_who_wants_it_alone)
{
    struct side a;
    struct side b;
    struct side reader;
    open_two(&a, &b, "shared");
    open_reader(&reader, "shared");
    CHECK_OK(lock_take_shared(&a.locks, LOCK_GATE, 0));
    CHECK(lock_is_mine(&a.locks, LOCK_GATE));
    CHECK_OK(lock_take_shared(&reader.locks, LOCK_GATE, 0));
    CHECK_EQ(lock_take(&b.locks, LOCK_GATE, 0), SCN_BUSY);
    lock_give(&a.locks, LOCK_GATE);
    CHECK(!lock_is_mine(&a.locks, LOCK_GATE));
    CHECK_EQ(lock_take(&b.locks, LOCK_GATE, 0), SCN_BUSY);
    lock_give(&reader.locks, LOCK_GATE);
    CHECK_OK(lock_take(&b.locks, LOCK_GATE, 0));
    CHECK_EQ(lock_take_shared(&reader.locks, LOCK_GATE, 0), SCN_BUSY);
    CHECK_EQ(error_last()->pid, getpid());
    lock_give(&b.locks, LOCK_GATE);
    side_close(&a);
    side_close(&b);
    side_close(&reader);
}

static void *take_shared_without_waiting(void *arg)
{
    static scn_status st;
    st = lock_take_shared(arg, LOCK_GATE, 5);
    return &st;
}

TEST(lock__taken_shared_excludes_the_threads_of_its_process)
{
    struct side a;
    pthread_t thread;
    void *st = NULL;
    create_file("shared-threads");
    side_open(&a, "shared-threads");
    CHECK_OK(lock_take_shared(&a.locks, LOCK_GATE, 0));
    CHECK_OK(pthread_create(&thread, NULL, take_shared_without_waiting, &a.locks));
    CHECK_OK(pthread_join(thread, &st));
    lock_give(&a.locks, LOCK_GATE);
    CHECK_EQ(*(scn_status *)st, SCN_BUSY);
    side_close(&a);
}

TEST(lock__is_held_elsewhere_by_others_in_any_mode)
{
    struct side a;
    struct side b;
    open_two(&a, &b, "elsewhere");
    CHECK_OK(lock_take(&a.locks, LOCK_EXTEND, 0));
    CHECK_OK(lock_attach(&a.locks, LOCK_ATTACH, SYS_SHARED));
    CHECK(lock_is_held_elsewhere(&b.locks, LOCK_EXTEND));
    CHECK(lock_is_held_elsewhere(&b.locks, LOCK_ATTACH));
    CHECK(!lock_is_held_elsewhere(&b.locks, LOCK_APPEND));
    CHECK(!lock_is_held_elsewhere(&a.locks, LOCK_EXTEND));
    CHECK(!lock_is_held_elsewhere(&a.locks, LOCK_ATTACH));
    lock_give(&a.locks, LOCK_EXTEND);
    CHECK(!lock_is_held_elsewhere(&b.locks, LOCK_EXTEND));
    side_close(&a);
    CHECK(!lock_is_held_elsewhere(&b.locks, LOCK_ATTACH));
    side_close(&b);
}

/* ---- what others hold ---- */

enum { SPAN_BYTES = 40, SPAN_BASE_OFF = 1 << 24 };
#define SPAN_BASE (LOCK_BASE + SPAN_BASE_OFF)

struct seen {
    uint8_t bytes[SPAN_BYTES];
    uint64_t end;
    int calls;
    int calls_left; /* then SCN_NOMEM */
};

static scn_status see(void *ctx, uint64_t start, uint64_t len)
{
    struct seen *seen = ctx;
    if (seen->calls++ == seen->calls_left)
        return SCN_NOMEM;
    CHECK(len > 0);
    CHECK(start >= seen->end);
    CHECK(start >= SPAN_BASE);
    CHECK(start + len <= SPAN_BASE + SPAN_BYTES);
    memset(seen->bytes + (start - SPAN_BASE), 1, len);
    seen->end = start + len;
    return SCN_OK;
}

TEST(lock__each_elsewhere_agrees_with_a_model)
{
    enum { SIDES = 4, STEPS = 300 };
    struct side sides[SIDES];
    uint8_t model[SIDES][SPAN_BYTES] = {{0}};
    uint64_t state = unit_seed();
    create_file("spans");
    for (int i = 0; i < SIDES; i++)
        side_open(&sides[i], "spans");
    for (int step = 0; step < STEPS; step++) {
        uint64_t i = unit_random(&state) % SIDES;
        uint64_t start = unit_random(&state) % SPAN_BYTES;
        uint64_t len = 1 + unit_random(&state) % 10;
        enum sys_lock_mode mode = (enum sys_lock_mode)(unit_random(&state) % 3);
        struct sys_file *handle = sides[i].file.handle;
        if (len > SPAN_BYTES - start)
            len = SPAN_BYTES - start;
        if (sys_posix()->ops->lock(handle, SPAN_BASE + start, len, mode) == 0)
            memset(model[i] + start, mode != SYS_UNLOCK, len);
        struct seen seen = {.calls_left = -1};
        CHECK_OK(lock_each_elsewhere(&sides[0].locks, SPAN_BASE, SPAN_BYTES, see, &seen));
        for (int at = 0; at < SPAN_BYTES; at++)
            CHECK_EQ(seen.bytes[at], model[1][at] | model[2][at] | model[3][at]);
    }
    for (int i = 0; i < SIDES; i++)
        side_close(&sides[i]);
}

TEST(lock__each_elsewhere_clips_and_ends_where_it_is_told)
{
    struct side a;
    struct side b;
    struct seen seen = {.calls_left = 1};
    open_two(&a, &b, "clips");
    const struct sys_ops *ops = a.file.sys->ops;
    CHECK_OK(ops->lock(a.file.handle, SPAN_BASE - 5, 10, SYS_EXCLUSIVE));
    CHECK_OK(ops->lock(a.file.handle, SPAN_BASE + 10, 1, SYS_SHARED));
    CHECK_OK(ops->lock(a.file.handle, SPAN_BASE + 39, 10, SYS_EXCLUSIVE));
    CHECK_EQ(lock_each_elsewhere(&b.locks, SPAN_BASE, SPAN_BYTES, see, &seen),
             SCN_NOMEM);
    CHECK_EQ(seen.calls, 2);
    CHECK_EQ(seen.end, SPAN_BASE + 5);
    seen = (struct seen){.calls_left = -1};
    CHECK_OK(lock_each_elsewhere(&b.locks, SPAN_BASE, SPAN_BYTES, see, &seen));
    CHECK_EQ(seen.calls, 3);
    CHECK_EQ(seen.end, SPAN_BASE + SPAN_BYTES);
    side_close(&a);
    side_close(&b);
}

/* As a program does that knows nothing of us. */
TEST(lock__each_elsewhere_bears_a_lock_of_the_whole_file)
{
    struct side b;
    struct seen seen = {.calls_left = -1};
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    create_file("whole");
    side_open(&b, "whole");
    int fd = open(unit_path("whole"), O_RDWR);
    CHECK_OK(fcntl(fd, F_OFD_SETLK, &whole));
    CHECK_OK(lock_each_elsewhere(&b.locks, SPAN_BASE, SPAN_BYTES, see, &seen));
    CHECK_EQ(seen.calls, 1);
    CHECK_EQ(seen.end, SPAN_BASE + SPAN_BYTES);
    close(fd);
    side_close(&b);
}

/* ---- with answers that the test gives ---- */

/* The real system with a clock of its own and locks that answer what they are told. */
static struct {
    struct sys sys;
    struct sys_ops ops;
    uint64_t now_ns;
    uint64_t shortest_ns;
    uint64_t longest_ns;
    uint64_t first_ns;
    int pauses;
    int lock_error;
    bool is_wanted;
    int wants_taken;
    int wants_given;
    uint32_t holder_pid;
    int probe_result;
    int creations_left;
} fake;

static uint64_t fake_now_ns(struct sys *sys)
{
    (void)sys;
    return fake.now_ns;
}

static bool fake_cond_wait(struct sys_cond *cond, struct sys_mutex *mutex,
                           uint64_t deadline_ns)
{
    (void)cond;
    (void)mutex;
    uint64_t length = deadline_ns - fake.now_ns;
    if (fake.pauses++ == 0)
        fake.first_ns = fake.shortest_ns = length;
    fake.shortest_ns = length < fake.shortest_ns ? length : fake.shortest_ns;
    fake.longest_ns = length > fake.longest_ns ? length : fake.longest_ns;
    fake.now_ns = deadline_ns;
    return false;
}

static bool fake_mutex_lock_until(struct sys_mutex *mutex, uint64_t deadline_ns)
{
    (void)deadline_ns;
    sys_posix()->ops->mutex_lock(mutex);
    return true;
}

static bool is_want_byte(uint64_t start)
{
    return start >= LOCK_WANT_BASE && start < LOCK_WANT_BASE + LOCK_KIND_COUNT;
}

static int fake_lock(struct sys_file *file, uint64_t start, uint64_t len,
                     enum sys_lock_mode mode)
{
    (void)file;
    (void)len;
    if (!is_want_byte(start))
        return -fake.lock_error;
    fake.wants_taken += mode == SYS_SHARED;
    fake.wants_given += mode == SYS_UNLOCK;
    return 0;
}

static int fake_lock_probe(struct sys_file *file, uint64_t start, uint64_t len,
                           struct sys_lock_found *found)
{
    (void)file;
    (void)len;
    (void)found;
    return is_want_byte(start) ? fake.is_wanted : fake.probe_result;
}

static void fake_lock_holder(struct sys_file *file, uint64_t byte, uint32_t nth,
                             uint32_t *pid, char program[SYS_PROGRAM_BYTES])
{
    (void)file;
    (void)byte;
    (void)nth;
    *pid = fake.holder_pid;
    strcpy(program, fake.holder_pid ? "sweeper" : "");
}

static int fake_mutex_create(struct sys *sys, struct sys_mutex **out)
{
    if (fake.creations_left-- == 0)
        return -ENOMEM;
    return sys_posix()->ops->mutex_create(sys, out);
}

static int fake_cond_create(struct sys *sys, struct sys_cond **out)
{
    if (fake.creations_left-- == 0)
        return -ENOMEM;
    return sys_posix()->ops->cond_create(sys, out);
}

static void fake_open(struct side *side, const char *name)
{
    memset(&fake, 0, sizeof fake);
    fake.sys = *sys_posix();
    fake.ops = *sys_posix()->ops;
    fake.sys.ops = &fake.ops;
    fake.now_ns = 12345;
    fake.creations_left = -1;
    fake.ops.now_ns = fake_now_ns;
    fake.ops.cond_wait = fake_cond_wait;
    fake.ops.mutex_lock_until = fake_mutex_lock_until;
    fake.ops.lock = fake_lock;
    fake.ops.lock_probe = fake_lock_probe;
    fake.ops.lock_holder = fake_lock_holder;
    fake.ops.mutex_create = fake_mutex_create;
    fake.ops.cond_create = fake_cond_create;
    create_file(name);
    CHECK_OK(file_open(&side->file, sys_posix(), unit_path(name), false));
    side->file.sys = &fake.sys;
}

TEST(lock__pauses_grow_from_50_us_to_5_ms_and_end_at_the_deadline)
{
    struct side a = {0};
    fake_open(&a, "pauses");
    CHECK_OK(locks_init(&a.locks, &a.file));
    fake.lock_error = EAGAIN;
    uint64_t start = fake.now_ns;
    CHECK_EQ(lock_take(&a.locks, LOCK_APPEND, 1000), SCN_BUSY);
    CHECK_EQ(fake.now_ns - start, 1000 * NS_PER_MS);
    CHECK(fake.first_ns >= 25000);
    CHECK(fake.first_ns <= 75000);
    CHECK(fake.longest_ns > 4 * NS_PER_MS);
    CHECK(fake.longest_ns <= 15 * NS_PER_MS / 2);
    CHECK(fake.pauses > 130);
    CHECK(fake.pauses < 400);
    side_close(&a);
}

static struct {
    uint64_t first_look_ns;
    uint64_t last_look_ns;
    uint32_t looks;
} done_watch;

static bool is_done_at_third_look(void *ctx)
{
    (void)ctx;
    done_watch.last_look_ns = fake.now_ns;
    if (done_watch.looks++ == 0)
        done_watch.first_look_ns = fake.now_ns;
    return done_watch.looks == 3;
}

TEST(lock__first_look_comes_when_the_holder_may_be_done_and_the_next_ones_soon)
{
    struct side a = {0};
    struct lock_unless unless = {is_done_at_third_look, NULL, 4 * NS_PER_MS};
    memset(&done_watch, 0, sizeof done_watch);
    fake_open(&a, "unless");
    CHECK_OK(locks_init(&a.locks, &a.file));
    fake.lock_error = EAGAIN;
    uint64_t start_ns = fake.now_ns;
    CHECK_EQ(lock_take_unless(&a.locks, LOCK_SYNC, &unless), SCN_EXISTS);
    CHECK_EQ(done_watch.looks, 3);
    CHECK(done_watch.first_look_ns - start_ns >= 2 * NS_PER_MS);
    CHECK(done_watch.first_look_ns - start_ns <= 6 * NS_PER_MS);
    CHECK(done_watch.last_look_ns - done_watch.first_look_ns < NS_PER_MS);
    CHECK_EQ(fake.wants_taken, 0);
    side_close(&a);
}

TEST(lock__timeout_of_zero_tries_once)
{
    struct side a = {0};
    fake_open(&a, "once");
    CHECK_OK(locks_init(&a.locks, &a.file));
    fake.lock_error = EAGAIN;
    fake.is_wanted = true;
    CHECK_EQ(lock_take(&a.locks, LOCK_SYNC, 0), SCN_BUSY);
    CHECK_EQ(fake.pauses, 0);
    CHECK_EQ(fake.wants_taken, 0);
    side_close(&a);
}

TEST(lock__who_comes_makes_room_once_for_who_waits)
{
    struct side a = {0};
    fake_open(&a, "room");
    CHECK_OK(locks_init(&a.locks, &a.file));
    CHECK_OK(lock_take(&a.locks, LOCK_SYNC, 1000));
    lock_give(&a.locks, LOCK_SYNC);
    CHECK_EQ(fake.pauses, 0);
    fake.is_wanted = true;
    CHECK_OK(lock_take(&a.locks, LOCK_SYNC, 1000));
    lock_give(&a.locks, LOCK_SYNC);
    CHECK_EQ(fake.pauses, 1);
    CHECK(fake.longest_ns <= 75000);
    CHECK_EQ(fake.wants_taken, 0);
    side_close(&a);
}

/* Commits take APPEND thousands of times a second. */
TEST(lock__append_is_looked_at_now_and_then)
{
    struct side a = {0};
    fake_open(&a, "often");
    CHECK_OK(locks_init(&a.locks, &a.file));
    fake.is_wanted = true;
    for (int i = 0; i < 3; i++) {
        CHECK_OK(lock_take(&a.locks, LOCK_APPEND, 1000));
        lock_give(&a.locks, LOCK_APPEND);
    }
    CHECK_EQ(fake.pauses, 1);
    side_close(&a);
}

TEST(lock__who_waits_says_so_until_it_stops_waiting)
{
    struct side a = {0};
    fake_open(&a, "wants");
    CHECK_OK(locks_init(&a.locks, &a.file));
    fake.lock_error = EAGAIN;
    CHECK_EQ(lock_take(&a.locks, LOCK_APPEND, 10), SCN_BUSY);
    CHECK_EQ(fake.wants_taken, 1);
    CHECK_EQ(fake.wants_given, 1);
    side_close(&a);
}

static void *take_patiently(void *arg)
{
    struct locks *locks = arg;
    if (lock_take(locks, LOCK_APPEND, UINT32_MAX) == SCN_OK)
        lock_give(locks, LOCK_APPEND);
    return NULL;
}

TEST(lock__is_wanted_while_another_process_waits_and_not_after)
{
    struct side a;
    struct side b;
    pthread_t thread;
    int wanted = 0;
    open_two(&a, &b, "wanted");
    const struct sys_ops *ops = a.file.sys->ops;
    uint64_t byte = LOCK_WANT_BASE + LOCK_APPEND;
    CHECK_OK(lock_take(&a.locks, LOCK_APPEND, 0));
    CHECK_OK(pthread_create(&thread, NULL, take_patiently, &b.locks));
    uint64_t start = now_ms();
    while (wanted == 0 && now_ms() - start < 60000) {
        wanted = ops->lock_probe(a.file.handle, byte, 1, NULL);
        usleep(100);
    }
    lock_give(&a.locks, LOCK_APPEND);
    CHECK_OK(pthread_join(thread, NULL));
    CHECK_EQ(wanted, 1);
    CHECK_EQ(ops->lock_probe(a.file.handle, byte, 1, NULL), 0);
    side_close(&a);
    side_close(&b);
}

TEST(lock__busy_names_the_holder_where_the_system_tells)
{
    struct side a = {0};
    fake_open(&a, "holder");
    CHECK_OK(locks_init(&a.locks, &a.file));
    fake.lock_error = EAGAIN;
    fake.holder_pid = 4711;
    CHECK_EQ(lock_take(&a.locks, LOCK_CHECKPOINT, 0), SCN_BUSY);
    CHECK_EQ(error_last()->pid, 4711);
    CHECK(strstr(error_last()->text, "process 4711 (sweeper) holds CHECKPOINT") != NULL);
    fake.holder_pid = 0;
    CHECK_EQ(lock_take(&a.locks, LOCK_CHECKPOINT, 0), SCN_BUSY);
    CHECK_EQ(error_last()->pid, 0);
    CHECK(strstr(error_last()->text, "another process holds CHECKPOINT") != NULL);
    side_close(&a);
}

TEST(lock__that_cannot_be_looked_at_may_be_held_and_is_not_listed)
{
    struct side a = {0};
    fake_open(&a, "blind");
    CHECK_OK(locks_init(&a.locks, &a.file));
    fake.probe_result = -EBADF;
    CHECK(lock_is_held_elsewhere(&a.locks, LOCK_APPEND));
    CHECK_EQ(lock_each_elsewhere(&a.locks, LOCK_BASE, 16, NULL, NULL), SCN_IO);
    a.locks.is_exclusive = true;
    CHECK(!lock_is_held_elsewhere(&a.locks, LOCK_APPEND));
    CHECK_OK(lock_each_elsewhere(&a.locks, LOCK_BASE, 16, NULL, NULL));
    side_close(&a);
}

TEST(lock__failed_take_holds_nothing)
{
    struct side a = {0};
    fake_open(&a, "failed");
    CHECK_OK(locks_init(&a.locks, &a.file));
    fake.lock_error = ENOLCK;
    CHECK_EQ(lock_take(&a.locks, LOCK_APPEND, 1000), SCN_IO);
    CHECK_EQ(error_last()->sys_errno, ENOLCK);
    CHECK_EQ(fake.pauses, 0);
    CHECK(!lock_is_mine(&a.locks, LOCK_APPEND));
    fake.lock_error = 0;
    CHECK_OK(lock_take(&a.locks, LOCK_APPEND, 0));
    lock_give(&a.locks, LOCK_APPEND);
    side_close(&a);
}

TEST(lock__that_cannot_be_given_back_poisons)
{
    struct side a = {0};
    fake_open(&a, "stuck");
    CHECK_OK(locks_init(&a.locks, &a.file));
    CHECK_OK(lock_take(&a.locks, LOCK_APPEND, 0));
    fake.lock_error = EBADF;
    lock_give(&a.locks, LOCK_APPEND);
    CHECK(file_is_poisoned(&a.file));
    side_close(&a);
}

TEST(lock__init_that_runs_out_of_memory_leaves_nothing)
{
    struct side a = {0};
    fake_open(&a, "no-memory");
    for (int left = 0; left < 2 + LOCK_KIND_COUNT; left++) {
#ifdef SCN_ASSERT
        size_t before = mem_live();
#endif
        fake.creations_left = left;
        CHECK_EQ(locks_init(&a.locks, &a.file), SCN_NOMEM);
        CHECK(a.locks.file == NULL);
#ifdef SCN_ASSERT
        CHECK_EQ(mem_live(), before);
#endif
    }
    side_close(&a);
}

#if defined SCN_ASSERT && !defined NDEBUG
static void take_two(const char *name, enum lock_kind first, enum lock_kind second)
{
    struct side a;
    side_open(&a, name);
    (void)!freopen("/dev/null", "w", stderr);
    if (lock_take(&a.locks, first, 0) == SCN_OK)
        (void)!lock_take(&a.locks, second, 0);
}

static bool is_asserted(enum lock_kind first, enum lock_kind second)
{
    int status = 0;
    create_file("order");
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        take_two("order", first, second);
        _exit(0);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

TEST(lock__order_is_asserted)
{
    CHECK(is_asserted(LOCK_SYNC, LOCK_APPEND));
    CHECK(is_asserted(LOCK_APPEND, LOCK_CHECKPOINT));
    CHECK(is_asserted(LOCK_APPEND, LOCK_EXTEND));
    CHECK(is_asserted(LOCK_EXTEND, LOCK_CHECKPOINT));
    CHECK(!is_asserted(LOCK_EXTEND, LOCK_APPEND));
    CHECK(is_asserted(LOCK_APPEND, LOCK_APPEND));
    CHECK(!is_asserted(LOCK_APPEND, LOCK_SYNC));
}
#endif
