/* Named locks: see namelock.h.
 *
 * A name is hashed to one of 2^20 lock bytes of the file, so the lock vanishes with its
 * process and nothing has to be cleaned up.  Two names may share a byte (one pair in a
 * million does): then the second is busy although nobody has it, which a caller of a
 * `try` has to bear anyway.
 *
 * Kernel locks do not exclude threads that share a handle.  So the byte is claimed in the
 * store's list first: whoever is in the list has the kernel lock, or is just trying. */
#include "engine/namelock.h"

#include "page/hash.h"
#include "page/mem.h"

#include <errno.h>
#include <string.h>

enum { NAME_SLOTS = 1 << 20, NAME_LEN_MAX = 255 };

_Static_assert(LOCK_NAMED_BASE + NAME_SLOTS <= LOCK_GROW_BASE, "the next lock bytes");

struct scn_lock {
    struct store *store;   /* NULL: the store was closed before */
    struct scn_lock *next; /* state */
    uint32_t slot;
};

static uint64_t lock_byte(uint32_t slot)
{
    return LOCK_NAMED_BASE + slot;
}

/* ---- the store's list ---- */

static bool is_claimed(const struct store *store, uint32_t slot)
{
    for (const struct scn_lock *lock = store->named_locks; lock; lock = lock->next)
        if (lock->slot == slot)
            return true;
    return false;
}

static bool claim(struct store *store, struct scn_lock *lock)
{
    store->sys->ops->mutex_lock(store->state_mutex);
    bool is_free = !is_claimed(store, lock->slot);
    if (is_free) {
        lock->next = store->named_locks;
        store->named_locks = lock;
    }
    store->sys->ops->mutex_unlock(store->state_mutex);
    return is_free;
}

static void unclaim(struct store *store, struct scn_lock *lock)
{
    store->sys->ops->mutex_lock(store->state_mutex);
    struct scn_lock **at = &store->named_locks;
    while (*at != lock)
        at = &(*at)->next;
    *at = lock->next;
    store->sys->ops->mutex_unlock(store->state_mutex);
}

/* ---- taking ---- */

static scn_status busy_here(struct store *store, const char *name)
{
    return error_busy(
        store->sys->ops->pid(store->sys),
        "scn_lock_try: this process holds the lock \"%.100s\", or one that shares its "
        "place",
        name);
}

static scn_status busy_elsewhere(struct store *store, const char *name, uint32_t slot)
{
    uint32_t pid;
    char program[SYS_PROGRAM_BYTES];
    store->sys->ops->lock_holder(store->file.handle, lock_byte(slot), 0, &pid,
                                   program);
    if (pid != 0)
        return error_busy(pid, "scn_lock_try: process %u (%s) holds the lock \"%.100s\"",
                          pid, program, name);
    return error_busy(0, "scn_lock_try: another process holds the lock \"%.100s\"", name);
}

static scn_status take(struct store *store, const char *name, struct scn_lock *lock)
{
    if (!claim(store, lock))
        return busy_here(store, name);
    int error = store->sys->ops->lock(store->file.handle, lock_byte(lock->slot), 1,
                                      SYS_EXCLUSIVE);
    if (error == 0)
        return SCN_OK;
    unclaim(store, lock);
    if (error == -EAGAIN)
        return busy_elsewhere(store, name, lock->slot);
    return error_set(SCN_IO, error, 0, 0,
                     "scn_lock_try: the system refuses the lock \"%.100s\"", name);
}

static scn_status check_try(const scn_db *db, const char *name)
{
    scn_status st = db_check(db);
    if (st < 0)
        return st;
    size_t len = name ? strnlen(name, NAME_LEN_MAX + 1) : 0;
    if (len == 0 || len > NAME_LEN_MAX)
        return error_misuse("scn_lock_try: a name has 1 to %d bytes", NAME_LEN_MAX);
    if (db->store->is_read_only)
        return error_set(SCN_READONLY, 0, 0, 0,
                         "scn_lock_try: the store is open for reading only");
    return SCN_OK;
}

scn_status scn_lock_try(scn_db *db, const char *name, scn_lock **out)
{
    if (out == NULL)
        return error_misuse("scn_lock_try: the place for the lock is NULL");
    *out = NULL;
    scn_status st = check_try(db, name);
    if (st < 0)
        return st;
    struct scn_lock *lock = mem_alloc(sizeof *lock);
    if (lock == NULL)
        return error_nomem();
    uint64_t hash = hash64(name, strlen(name));
    *lock = (struct scn_lock){.store = db->store, .slot = (uint32_t)(hash % NAME_SLOTS)};
    st = take(db->store, name, lock);
    if (st < 0)
        mem_free(lock);
    else
        *out = lock;
    return st;
}

/* ---- giving back ---- */

/* In a forked child the lock is the parent's: only the memory is ours. */
void scn_lock_drop(scn_lock *lock)
{
    if (lock == NULL)
        return;
    struct store *store = lock->store;
    if (store && !store->sys->ops->is_forked(store->sys)) {
        /* To give back a lock fails only when the descriptor is no longer ours: then it
         * is gone. */
        (void)store->sys->ops->lock(store->file.handle, lock_byte(lock->slot), 1,
                                    SYS_UNLOCK);
        unclaim(store, lock);
    }
    mem_free(lock);
}

void namelock_detach_all(struct store *store)
{
    while (store->named_locks) {
        struct scn_lock *lock = store->named_locks;
        store->named_locks = lock->next;
        lock->store = NULL;
    }
}
