/* The lock bytes, far behind the end of the file, where no data ever is.
 *
 * Each lock is an in-process mutex and, behind it, a kernel lock of the same order
 * (kernel locks do not exclude threads that share a handle).  The order, outermost first:
 *     GATE, ATTACH, BACKUP, CHECKPOINT, EXTEND, APPEND, SYNC
 * [K1] Whoever holds a lock only takes later ones.  SYNC is innermost.
 * [K2] Nobody waits for space, throttling, CHECKPOINT or a cold page while holding
 *      APPEND.
 * [K3] With `is_exclusive` (the process holds ATTACH exclusively) nobody else can have
 *      the file, and the kernel locks of BACKUP, CHECKPOINT, EXTEND, APPEND and SYNC are
 *      not taken.
 * [K4] Who waits for another process holds the lock's WANT byte, shared, and who takes
 *      the lock and finds it wanted pauses once before the first try.  WANT only makes
 *      waiting fairer: nothing else may be concluded from it. */
#ifndef PAGE_LOCK_H
#define PAGE_LOCK_H

#include "page/file.h"

/* docs/format.md, "Lock bytes".  PIN and GROW are ranges, one byte a generation or
 * page. */
#define LOCK_BASE (UINT64_C(1) << 62)
enum lock_kind {
    LOCK_GATE,
    LOCK_ATTACH,
    LOCK_READER,
    LOCK_BACKUP,
    LOCK_CHECKPOINT,
    LOCK_EXTEND, /* who makes a log extent ready */
    LOCK_APPEND,
    LOCK_SYNC,
    LOCK_KIND_COUNT
};
#define LOCK_POISON (LOCK_BASE + 32) /* page/publish.c, [U3]; no lock comes after it */
#define LOCK_WANT_BASE (LOCK_BASE + 64)                   /* + kind, see [K4] */
#define LOCK_NAMED_BASE (LOCK_BASE + (UINT64_C(1) << 20)) /* scn_lock_try: + 2^20 names */
#define LOCK_GROW_BASE (LOCK_BASE + (UINT64_C(1) << 32))  /* + pgno */
#define LOCK_PIN_BASE (LOCK_BASE + (UINT64_C(1) << 48))   /* + gen modulo 2^48 */

struct locks {
    struct file *file;
    struct sys_mutex *mutex[LOCK_KIND_COUNT];
    bool has_kernel_lock[LOCK_KIND_COUNT];   /* under its mutex */
    uint64_t append_look_ns; /* under the mutex of APPEND: when WANT was looked at last */
    _Atomic uint64_t owner[LOCK_KIND_COUNT]; /* thread that holds it; 0: none of ours */
    struct sys_mutex *pause_mutex;           /* for waiting between two tries */
    struct sys_cond *pause_cond;
    bool is_exclusive; /* [K3]; const after open */
    bool sees_others;  /* the same only for a recovery, which others live beside: they can
                        * be looked at; const after open */
    bool tries_again;  /* who finds ATTACH or READER taken comes again, and need not be
                        * told by whom; of the thread that opens */
};

/* SCN_NOMEM: nothing to destroy. */
scn_status locks_init(struct locks *locks, struct file *file) MUST_USE;
/* With no lock held. */
void locks_destroy(struct locks *locks);

/* Takes the mutex and the kernel lock, exclusively; not for ATTACH and READER, not for a
 * file open for reading only (SCN_READONLY).  timeout_ms 0 tries once, UINT32_MAX waits
 * as long as it takes.  SCN_BUSY: the sentence names the lock and, where the system
 * tells, its holder.  SCN_IO.  Between processes nobody queues: who tries next gets
 * it, and [K4] makes that likely to be one who waits. */
scn_status lock_take(struct locks *locks, enum lock_kind kind, uint32_t timeout_ms)
    MUST_USE;
/* The same, but the kernel lock is shared with other processes; also for a file open for
 * reading only.  Threads of one process take it one after the other. */
scn_status lock_take_shared(struct locks *locks, enum lock_kind kind, uint32_t timeout_ms)
    MUST_USE;
/* The same as lock_take, and waits as long as it takes; but while another process has the
 * lock, is_done is asked again and again whether that one has done what it is wanted for.
 * SCN_EXISTS: it has, and the lock is not held. */
struct lock_unless {
    bool (*is_done)(void *ctx);
    void *ctx;
    uint64_t first_pause_ns; /* before the first look: what it takes at least, mostly */
};
scn_status lock_take_unless(struct locks *locks, enum lock_kind kind,
                            const struct lock_unless *unless) MUST_USE;
/* Either.  By the thread that took it. */
void lock_give(struct locks *locks, enum lock_kind kind);
/* The calling thread holds it: for assertions. */
bool lock_is_mine(struct locks *locks, enum lock_kind kind);

/* Another process (another open of the file) holds it, in whatever mode, or that cannot
 * be known; false with is_exclusive.  True only for the moment, unless a lock of ours
 * keeps it so. */
bool lock_is_held_elsewhere(struct locks *locks, enum lock_kind kind);
/* What others have locked of [start, start + len), in disjoint ranges that ascend: where
 * several of them have one byte, it is told once.  What is taken or given meanwhile may
 * be told or not.  Nothing with is_exclusive, unless it sees_others.  fn's negative
 * status ends it.  SCN_IO. */
scn_status lock_each_elsewhere(struct locks *locks, uint64_t start, uint64_t len,
                               scn_status (*fn)(void *ctx, uint64_t start, uint64_t len),
                               void *ctx) MUST_USE;

/* Kernel lock only, for ATTACH and READER: never waits.  SCN_BUSY (without a sentence if
 * tries_again is set), SCN_IO.  A held lock is exchanged for the new mode at once, or
 * kept. */
scn_status lock_attach(struct locks *locks, enum lock_kind kind, enum sys_lock_mode mode)
    MUST_USE;
/* The same, exclusively, by who only wants to know whether it is alone.  SCN_BUSY comes
 * without a sentence: to find out who the other is means to look through all processes,
 * which takes longer than a durable commit. */
scn_status lock_attach_alone(struct locks *locks, enum lock_kind kind) MUST_USE;
/* Whether it is held or not. */
void lock_detach(struct locks *locks, enum lock_kind kind);

#endif
