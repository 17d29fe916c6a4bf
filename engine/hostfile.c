/* Descriptors of the host's: see hostfile.h. */
#include "engine/hostfile.h"

#include <errno.h>
#include <inttypes.h>

enum {
    /* Of one write; a pipe gets no more at once, and is rested after each. */
    PART_BYTES = 256 << 10,
    /* Beside commits: a sync that meets a push waits for all of it, and one that meets
     * none is as fast as ever. So the same bytes in few pushes cost fewer commits; of
     * thousands a second so many pushes meet less than one in a hundred. */
    PUSHES_PER_S = 16,
    PUSH_BYTES_BESIDE = 4 << 20,
    /* Alone: two of them are on their way, so that the disk does not rest while the next
     * one is made. */
    PUSH_BYTES_ALONE = 8 << 20,
    /* Beside commits the disk is theirs for so many times as long as a push took: with a
     * slow disk the rate alone would leave them little. Who names a rate wants less. */
    REST_TIMES = 2,
    REST_TIMES_RATED = 6
};
#define NS_PER_S UINT64_C(1000000000)
#define REST_NS_MAX (NS_PER_S / 10)

/* ---- life ---- */

/* Grows with each commit that anybody waits for; the publish page tells of others'. */
static uint64_t commits_so_far(struct store *store)
{
    struct publish page;
    uint64_t known = atomic_load(&store->full_lsn);
    if (!store_is_shared(store) || publish_read(&store->file, &page) < 0)
        return known;
    return page.line[PUBLISH_APPEND].field[APPEND_FULL_LSN];
}

scn_status hostfile_open(struct hostfile *file, struct sys *sys, int fd,
                         struct store *store, const scn_snapshot_options *options)
{
    *file = (struct hostfile){.store = store};
    if (options) {
        file->rate = options->rate_bytes_per_s;
        file->hooks = options->hooks;
    }
    int failed =
        sys->ops->adopt(sys, fd, &file->can_seek, &file->sys, &file->handle);
    if (failed)
        return error_sys(failed, 0, "snapshot: descriptor %d cannot be used", fd);
    if (store)
        file->commits = commits_so_far(store);
    return SCN_OK;
}

void hostfile_close(struct hostfile *file)
{
    if (file->handle)
        file->sys->ops->close(file->handle);
    *file = (struct hostfile){0};
}

/* ---- pace ---- */

static uint64_t rate_now(struct hostfile *file)
{
    uint64_t commits = commits_so_far(file->store);
    file->is_alone = commits == file->commits;
    file->commits = commits;
    if (file->rate)
        return file->rate;
    return file->is_alone ? 0 : HOSTFILE_GENTLE_BYTES;
}

static bool is_in_a_hurry(const struct hostfile *file)
{
    return file->is_alone && !file->rate;
}

static uint64_t push_bytes(const struct hostfile *file)
{
    uint64_t rate = file->rate ? file->rate : HOSTFILE_GENTLE_BYTES;
    uint64_t bytes = rate / PUSHES_PER_S;
    if (!file->can_seek || bytes < PART_BYTES)
        return PART_BYTES;
    if (is_in_a_hurry(file))
        return PUSH_BYTES_ALONE;
    return bytes < PUSH_BYTES_BESIDE ? bytes : PUSH_BYTES_BESIDE;
}

static void wait_until(struct store *store, uint64_t until_ns)
{
    const struct sys_ops *ops = store->sys->ops;
    ops->mutex_lock(store->state_mutex);
    while (ops->cond_wait(store->space_cond, store->state_mutex, until_ns))
        ;
    ops->mutex_unlock(store->state_mutex);
}

static uint64_t clock_of(const struct hostfile *file)
{
    return file->store->sys->ops->now_ns(file->store->sys);
}

static scn_status tell_progress(const struct hostfile *file)
{
    uint64_t expected = file->expected > file->done ? file->expected : file->done;
    if (file->hooks.progress == NULL ||
        file->hooks.progress(file->hooks.user, file->done, expected) == 0)
        return SCN_OK;
    return error_set(SCN_INTERRUPTED, 0, 0, 0, "the program has stopped the snapshot");
}

/* With a low rate this is long, and the program is asked meanwhile. */
static scn_status rest_until(struct hostfile *file, uint64_t due_ns)
{
    scn_status st = SCN_OK;
    for (uint64_t now; st == SCN_OK && (now = clock_of(file)) < due_ns;) {
        uint64_t left = due_ns - now;
        wait_until(file->store, now + (left < REST_NS_MAX ? left : REST_NS_MAX));
        st = tell_progress(file);
    }
    return st;
}

/* After a push that began then.  What was lost by waiting for the disk is not made up
 * for. */
static scn_status pace(struct hostfile *file, uint64_t bytes, uint64_t began_ns)
{
    uint64_t now = clock_of(file);
    uint64_t rate = rate_now(file);
    uint64_t times = file->rate ? REST_TIMES_RATED : REST_TIMES;
    uint64_t rested = file->is_alone ? now : now + times * (now - began_ns);
    uint64_t due = file->due_ns > rested ? file->due_ns : rested;
    scn_status st = rest_until(file, due);
    now = clock_of(file);
    file->due_ns = rate ? now + bytes * NS_PER_S / rate : now;
    return st;
}

/* ---- writing ---- */

/* Alone, what was pushed last is waited for while this is on its way. */
static int push_range(struct hostfile *file, uint64_t off, uint64_t len)
{
    const struct sys_ops *ops = file->sys->ops;
    uint64_t last_off = file->pushed_off;
    uint64_t last_len = file->pushed;
    bool is_late = is_in_a_hurry(file);
    int failed = is_late ? ops->start_flush(file->handle, off, len)
                         : ops->flush_range(file->handle, off, len);
    file->pushed_off = off;
    file->pushed = is_late ? len : 0;
    return failed || last_len == 0 ? failed
                                   : ops->flush_range(file->handle, last_off, last_len);
}

/* A push that fails may have lost bytes, and then so has a later sync: it is the end. */
static scn_status push(struct hostfile *file)
{
    uint64_t bytes = file->written;
    uint64_t began_ns = clock_of(file);
    int failed = 0;
    file->written = 0;
    if (!file->is_dry && file->can_seek && bytes)
        failed = push_range(file, file->push_off, bytes);
    if (failed)
        return error_sys(failed, file->push_off, "snapshot: the target is not written");
    scn_status st = file->is_dry ? SCN_OK : pace(file, bytes, began_ns);
    return st == SCN_OK ? tell_progress(file) : st;
}

static scn_status write_all(struct hostfile *file, uint64_t off, const uint8_t *data,
                            uint64_t len)
{
    while (len > 0) {
        int64_t count = file->sys->ops->write(file->handle, off, data, len, 0);
        if (count == -EINTR) {
            scn_status st = tell_progress(file);
            if (st < 0)
                return st;
            continue;
        }
        if (count < 0)
            return error_sys((int)count, off, "snapshot: the target cannot be written");
        if (count == 0)
            return error_sys(-EIO, off, "snapshot: the target takes no more bytes");
        off += (uint64_t)count;
        data += count;
        len -= (uint64_t)count;
    }
    return SCN_OK;
}

scn_status hostfile_write(struct hostfile *file, uint64_t off, const void *data,
                          uint64_t len)
{
    const uint8_t *at = data;
    while (len > 0) {
        uint64_t part = len < PART_BYTES ? len : PART_BYTES;
        scn_status st = file->is_dry ? SCN_OK : write_all(file, off, at, part);
        if (st < 0)
            return st;
        if (file->written == 0 || off < file->push_off)
            file->push_off = off;
        file->written += part;
        file->done += part;
        off += part;
        at += part;
        len -= part;
        st = file->written >= push_bytes(file) ? push(file) : SCN_OK;
        if (st < 0)
            return st;
    }
    return SCN_OK;
}

scn_status hostfile_sync(struct hostfile *file)
{
    if (!file->can_seek || file->is_dry)
        return SCN_OK;
    scn_status st = file->written ? push(file) : SCN_OK;
    if (st < 0)
        return st;
    int failed = file->sys->ops->sync(file->handle);
    if (failed == -EINVAL || failed == -EROFS)
        return SCN_OK; /* no file on a disk */
    if (failed)
        return error_sys(failed, 0, "snapshot: the target cannot be synced");
    return SCN_OK;
}

/* ---- reading ---- */

/* The program is asked where a signal has ended a wait for a pipe, and now and then. */
static scn_status account_for(struct hostfile *file, int64_t count)
{
    uint64_t before = file->done;
    if (count > 0)
        file->done += (uint64_t)count;
    bool is_due = count < 0 || before / PART_BYTES != file->done / PART_BYTES;
    return is_due ? tell_progress(file) : SCN_OK;
}

scn_status hostfile_read(struct hostfile *file, uint64_t off, void *buf, uint64_t len,
                         uint64_t *got)
{
    uint8_t *at = buf;
    scn_status st = SCN_OK;
    *got = 0;
    while (*got < len && st == SCN_OK) {
        int64_t count = file->sys->ops->read(file->handle, off + *got, at + *got,
                                             len - *got, 0);
        if (count == 0)
            break;
        if (count < 0 && count != -EINTR)
            return error_sys((int)count, off + *got, "snapshot: the file cannot be read");
        *got += count > 0 ? (uint64_t)count : 0;
        st = account_for(file, count);
    }
    return st;
}
