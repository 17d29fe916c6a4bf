/* Locks between threads, then between processes: see lock.h.
 *
 * The kernel's waiting lock call knows no time limit, so a lock is tried again and again
 * until it is free or the deadline has passed.  Two things keep that cheap.  The mutex in
 * front lets one thread of a process poll, the others sleep on it.  And the pauses grow:
 * the locks are held for about as long as one sync (APPEND, SYNC) or for seconds
 * (CHECKPOINT, BACKUP), and a pause should be no longer than the wait so far.  Their
 * length is random, or two processes that hold a lock in the same rhythm would always
 * meet.
 *
 * Polling alone is unfair: a process that gives a lock and takes it again at once leaves
 * a gap of a microsecond, and one that tries 200 times a second does not find it for
 * seconds.  So whoever waits says so [K4], and whoever comes makes room for one pause.  A
 * queue would be fairer still, but would have to survive the death of those who stand in
 * it.  A WANT byte is a kernel lock and dies with its holder; a holder that is stopped
 * costs the others one short pause each time and no more. */
#include "page/lock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#define NS_PER_MS UINT64_C(1000000)
/* Between two looks whether APPEND is wanted. */
#define LOOK_NS UINT64_C(100000)
/* As long as a commit's sync takes. */
#define PAUSE_FIRST_NS UINT64_C(50000)
/* 200 tries a second cost half a percent of a core. */
#define PAUSE_MAX_NS UINT64_C(5000000)

static const char *const names[LOCK_KIND_COUNT] = {
    [LOCK_GATE] = "GATE",
    [LOCK_ATTACH] = "ATTACH",
    [LOCK_READER] = "READER",
    [LOCK_BACKUP] = "BACKUP",
    [LOCK_CHECKPOINT] = "CHECKPOINT",
    [LOCK_EXTEND] = "EXTEND",
    [LOCK_APPEND] = "APPEND",
    [LOCK_SYNC] = "SYNC",
};

static const struct sys_ops *ops_of(const struct locks *locks)
{
    return locks->file->sys->ops;
}

static uint64_t byte_of(enum lock_kind kind)
{
    return LOCK_BASE + (uint64_t)kind;
}

static uint64_t want_byte_of(enum lock_kind kind)
{
    return LOCK_WANT_BASE + (uint64_t)kind;
}

static int create_all(struct locks *locks)
{
    struct sys *sys = locks->file->sys;
    int error = sys->ops->mutex_create(sys, &locks->pause_mutex);
    if (error == 0)
        error = sys->ops->cond_create(sys, &locks->pause_cond);
    for (int kind = 0; kind < LOCK_KIND_COUNT && error == 0; kind++)
        error = sys->ops->mutex_create(sys, &locks->mutex[kind]);
    return error;
}

scn_status locks_init(struct locks *locks, struct file *file)
{
    *locks = (struct locks){.file = file};
    int error = create_all(locks);
    if (error == 0)
        return SCN_OK;
    locks_destroy(locks);
    return error_sys(error, 0, "lock: cannot make the locks of %s", file->path);
}

void locks_destroy(struct locks *locks)
{
    if (!locks->file)
        return;
    const struct sys_ops *ops = ops_of(locks);
    for (int kind = 0; kind < LOCK_KIND_COUNT; kind++) {
        ASSERT(atomic_load(&locks->owner[kind]) == 0);
        if (locks->mutex[kind])
            ops->mutex_destroy(locks->mutex[kind]);
    }
    if (locks->pause_cond)
        ops->cond_destroy(locks->pause_cond);
    if (locks->pause_mutex)
        ops->mutex_destroy(locks->pause_mutex);
    *locks = (struct locks){0};
}

/* ---- waiting ---- */

static uint64_t deadline_of(struct sys *sys, uint32_t timeout_ms)
{
    if (timeout_ms == UINT32_MAX)
        return UINT64_MAX;
    return sys->ops->now_ns(sys) + timeout_ms * NS_PER_MS;
}

struct pauses {
    uint64_t deadline_ns;
    uint64_t length_ns; /* of the next one, on average */
    uint64_t random;
};

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Between half and one and a half of the length, which then grows by half. */
static uint64_t next_length(struct pauses *pauses, struct sys *sys)
{
    if (pauses->random == 0)
        pauses->random = (sys->ops->now_ns(sys) << 20) ^ sys->ops->thread_id(sys) ^
                         sys->ops->pid(sys);
    uint64_t length = pauses->length_ns;
    uint64_t longer = length + length / 2;
    pauses->length_ns = longer < PAUSE_MAX_NS ? longer : PAUSE_MAX_NS;
    return length / 2 + next_random(&pauses->random) % length;
}

/* False when the deadline has passed.  Nobody wakes the condition: it is a sleep that the
 * owner of the clock sees. */
static bool pause_once(struct locks *locks, struct pauses *pauses)
{
    struct sys *sys = locks->file->sys;
    uint64_t now = sys->ops->now_ns(sys);
    if (now >= pauses->deadline_ns)
        return false;
    uint64_t until = now + next_length(pauses, sys);
    if (until > pauses->deadline_ns)
        until = pauses->deadline_ns;
    sys->ops->mutex_lock(locks->pause_mutex);
    (void)sys->ops->cond_wait(locks->pause_cond, locks->pause_mutex, until);
    sys->ops->mutex_unlock(locks->pause_mutex);
    return true;
}

static int try_kernel(struct locks *locks, enum lock_kind kind, enum sys_lock_mode mode)
{
    return ops_of(locks)->lock(locks->file->handle, byte_of(kind), 1, mode);
}

/* [K4], of the one who waits.  It is only advice, so failing at it is no failure. */
static void set_wanted(struct locks *locks, enum lock_kind kind, enum sys_lock_mode mode)
{
    (void)ops_of(locks)->lock(locks->file->handle, want_byte_of(kind), 1, mode);
}

/* [K4], of the one who comes.  APPEND is held for microseconds, thousands of times a
 * second: who waits for it can wait for the next look, and most commits need none. */
static bool is_wanted(struct locks *locks, enum lock_kind kind)
{
    struct sys_file *handle = locks->file->handle;
    if (kind == LOCK_APPEND) {
        uint64_t now = ops_of(locks)->now_ns(locks->file->sys);
        if (locks->append_look_ns && now - locks->append_look_ns < LOOK_NS)
            return false;
        locks->append_look_ns = now;
    }
    return ops_of(locks)->lock_probe(handle, want_byte_of(kind), 1, NULL) == 1;
}

/* Until somebody else has done what the lock is wanted for.  Such waiters need no WANT:
 * it is of no matter to them who gets the lock, and if each of them made room for the
 * others nobody would sync.  A look costs the processor as much as a commit's own work,
 * so the first comes when it may well be the last.  -EALREADY: it is done. */
static int poll_unless(struct locks *locks, enum lock_kind kind, struct pauses *pauses,
                       const struct lock_unless *unless)
{
    struct pauses first = *pauses;
    int error = -EAGAIN;
    if (first.length_ns < unless->first_pause_ns)
        first.length_ns = unless->first_pause_ns;
    bool goes_on = pause_once(locks, &first);
    while (error == -EAGAIN && goes_on) {
        if (unless->is_done(unless->ctx))
            return -EALREADY;
        error = try_kernel(locks, kind, SYS_EXCLUSIVE);
        goes_on = error != -EAGAIN || pause_once(locks, pauses);
    }
    return error;
}

/* 0, -EAGAIN when the deadline passed, or what the system says.  The last try comes after
 * the deadline. */
static int poll_kernel(struct locks *locks, enum lock_kind kind, enum sys_lock_mode mode,
                       struct pauses *pauses)
{
    int error;
    set_wanted(locks, kind, SYS_SHARED);
    do {
        error = try_kernel(locks, kind, mode);
    } while (error == -EAGAIN && pause_once(locks, pauses));
    set_wanted(locks, kind, SYS_UNLOCK);
    return error;
}

static int take_kernel(struct locks *locks, enum lock_kind kind, enum sys_lock_mode mode,
                       uint64_t deadline_ns, const struct lock_unless *unless)
{
    struct pauses pauses = {.deadline_ns = deadline_ns, .length_ns = PAUSE_FIRST_NS};
    if (is_wanted(locks, kind))
        (void)pause_once(locks, &pauses);
    int error = try_kernel(locks, kind, mode);
    if (error == -EAGAIN && unless)
        return poll_unless(locks, kind, &pauses, unless);
    if (error != -EAGAIN || !pause_once(locks, &pauses))
        return error;
    return poll_kernel(locks, kind, mode, &pauses);
}

/* ---- what is said when it fails ---- */

/* Whoever tries again by itself knows alone how long it has waited: then nothing is said
 * of that. */
static scn_status busy_process(struct locks *locks, enum lock_kind kind,
                               uint32_t waited_ms)
{
    const char *path = locks->file->path;
    uint32_t pid;
    char program[SYS_PROGRAM_BYTES];
    char waited[32] = "";
    if (waited_ms)
        snprintf(waited, sizeof waited, ", waited %" PRIu32 " ms", waited_ms);
    ops_of(locks)->lock_holder(locks->file->handle, byte_of(kind), 0, &pid, program);
    if (pid != 0)
        return error_busy(pid,
                          "lock: process %" PRIu32 " (%s) holds %s%s: %s", pid, program,
                          names[kind], waited, path);
    return error_busy(0,
                      "lock: another process holds %s%s (stopped processes and frozen "
                      "containers keep their locks): %s",
                      names[kind], waited, path);
}

static scn_status busy_thread(struct locks *locks, enum lock_kind kind,
                              uint32_t waited_ms)
{
    struct sys *sys = locks->file->sys;
    return error_busy(sys->ops->pid(sys),
                      "lock: another thread of this process holds %s or waits for it, "
                      "waited %" PRIu32 " ms: %s",
                      names[kind], waited_ms, locks->file->path);
}

static scn_status kernel_failed(struct locks *locks, enum lock_kind kind, int error,
                                uint32_t waited_ms)
{
    if (error == -EAGAIN)
        return busy_process(locks, kind, waited_ms);
    return error_set(SCN_IO, error, 0, 0, "lock: cannot take %s of %s", names[kind],
                     locks->file->path);
}

/* ---- taking and giving ---- */

#ifdef SCN_ASSERT
/* [K1]: of this lock and the later ones, this thread holds none. */
static bool is_in_order(struct locks *locks, enum lock_kind kind)
{
    for (int later = (int)kind; later < LOCK_KIND_COUNT; later++)
        if (lock_is_mine(locks, (enum lock_kind)later))
            return false;
    return true;
}
#endif

bool lock_is_mine(struct locks *locks, enum lock_kind kind)
{
    struct sys *sys = locks->file->sys;
    return atomic_load_explicit(&locks->owner[kind], memory_order_relaxed) ==
           sys->ops->thread_id(sys);
}

static void set_owner(struct locks *locks, enum lock_kind kind, uint64_t thread_id)
{
    /* Relaxed: a thread only ever compares with itself. */
    atomic_store_explicit(&locks->owner[kind], thread_id, memory_order_relaxed);
}

static bool lock_mutex(struct locks *locks, enum lock_kind kind, uint64_t deadline_ns)
{
    const struct sys_ops *ops = ops_of(locks);
    if (deadline_ns != UINT64_MAX)
        return ops->mutex_lock_until(locks->mutex[kind], deadline_ns);
    ops->mutex_lock(locks->mutex[kind]);
    return true;
}

/* [K3] */
static bool needs_kernel_lock(const struct locks *locks, enum lock_kind kind)
{
    return !locks->is_exclusive || kind == LOCK_GATE;
}

static scn_status take(struct locks *locks, enum lock_kind kind, enum sys_lock_mode mode,
                       uint32_t timeout_ms, const struct lock_unless *unless)
{
    struct sys *sys = locks->file->sys;
    ASSERT(kind != LOCK_ATTACH);
    ASSERT(kind != LOCK_READER);
    ASSERT(is_in_order(locks, kind));
    uint64_t deadline_ns = deadline_of(sys, timeout_ms);
    if (!lock_mutex(locks, kind, deadline_ns))
        return busy_thread(locks, kind, timeout_ms);
    bool is_needed = needs_kernel_lock(locks, kind);
    int error = is_needed ? take_kernel(locks, kind, mode, deadline_ns, unless) : 0;
    if (error != 0) {
        sys->ops->mutex_unlock(locks->mutex[kind]);
        if (error == -EALREADY)
            return SCN_EXISTS;
        return kernel_failed(locks, kind, error, timeout_ms);
    }
    locks->has_kernel_lock[kind] = is_needed;
    set_owner(locks, kind, sys->ops->thread_id(sys));
    return SCN_OK;
}

scn_status lock_take(struct locks *locks, enum lock_kind kind, uint32_t timeout_ms)
{
    if (locks->file->is_read_only)
        return error_set(SCN_READONLY, 0, 0, 0, "lock: %s is open for reading only",
                         locks->file->path);
    return take(locks, kind, SYS_EXCLUSIVE, timeout_ms, NULL);
}

scn_status lock_take_unless(struct locks *locks, enum lock_kind kind,
                            const struct lock_unless *unless)
{
    ASSERT(!locks->file->is_read_only);
    return take(locks, kind, SYS_EXCLUSIVE, UINT32_MAX, unless);
}

scn_status lock_take_shared(struct locks *locks, enum lock_kind kind, uint32_t timeout_ms)
{
    return take(locks, kind, SYS_SHARED, timeout_ms, NULL);
}

void lock_give(struct locks *locks, enum lock_kind kind)
{
    const struct sys_ops *ops = ops_of(locks);
    ASSERT(lock_is_mine(locks, kind));
    set_owner(locks, kind, 0);
    /* To give back one whole lock needs no memory: it only fails when the descriptor is
     * no longer ours, and then nothing may be written through it either. */
    if (locks->has_kernel_lock[kind] &&
        ops->lock(locks->file->handle, byte_of(kind), 1, SYS_UNLOCK) != 0)
        file_poison(locks->file);
    locks->has_kernel_lock[kind] = false;
    ops->mutex_unlock(locks->mutex[kind]);
}

/* ---- what others hold ---- */

bool lock_is_held_elsewhere(struct locks *locks, enum lock_kind kind)
{
    struct sys_file *handle = locks->file->handle;
    if (locks->is_exclusive)
        return false;
    return ops_of(locks)->lock_probe(handle, byte_of(kind), 1, NULL) != 0;
}

struct span {
    uint64_t start;
    uint64_t end;
};

/* 1, and the locked part; 0: nobody else has a byte of it.  Of whatever lies there, the
 * system tells one. */
static int probe_span(struct locks *locks, struct span span, struct span *part)
{
    struct sys_lock_found found;
    int result = ops_of(locks)->lock_probe(locks->file->handle, span.start,
                                           span.end - span.start, &found);
    if (result != 1)
        return result;
    uint64_t end = found.start + found.len;
    part->start = found.start > span.start ? found.start : span.start;
    part->end = end < span.end ? end : span.end;
    ASSERT(part->start < part->end);
    return 1;
}

/* The first one: whatever is found, what lies before it is looked at as well. */
static int probe_first(struct locks *locks, struct span span, struct span *first)
{
    int result = probe_span(locks, span, first);
    int before = result;
    while (before == 1 && first->start > span.start) {
        struct span rest = {span.start, first->start};
        before = probe_span(locks, rest, first);
    }
    return before < 0 ? before : result;
}

/* A lock that comes over the same bytes again and again cannot keep it here: every round
 * begins behind the last one's end. */
scn_status lock_each_elsewhere(struct locks *locks, uint64_t start, uint64_t len,
                               scn_status (*fn)(void *ctx, uint64_t start, uint64_t len),
                               void *ctx)
{
    struct span left = {start, start + len};
    struct span part = left;
    bool can_see = !locks->is_exclusive || locks->sees_others;
    while (can_see && left.start < left.end) {
        int result = probe_first(locks, left, &part);
        if (result < 0)
            return error_set(SCN_IO, result, 0, 0, "lock: cannot see the locks of %s",
                             locks->file->path);
        if (result == 0)
            break;
        scn_status st = fn(ctx, part.start, part.end - part.start);
        if (st < 0)
            return st;
        left.start = part.end;
    }
    return SCN_OK;
}

/* ---- attaching ---- */

scn_status lock_attach(struct locks *locks, enum lock_kind kind, enum sys_lock_mode mode)
{
    int error = try_kernel(locks, kind, mode);
    if (error == -EAGAIN && locks->tries_again)
        return SCN_BUSY;
    return error == 0 ? SCN_OK : kernel_failed(locks, kind, error, 0);
}

scn_status lock_attach_alone(struct locks *locks, enum lock_kind kind)
{
    int error = try_kernel(locks, kind, SYS_EXCLUSIVE);
    if (error == -EAGAIN)
        return SCN_BUSY;
    return error == 0 ? SCN_OK : kernel_failed(locks, kind, error, 0);
}

/* As in lock_give it only fails when the descriptor is no longer ours. */
void lock_detach(struct locks *locks, enum lock_kind kind)
{
    (void)try_kernel(locks, kind, SYS_UNLOCK);
}
