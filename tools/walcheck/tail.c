/* Torn tails: see tail.h. */
#include "tools/walcheck/tail.h"

#include "page/lock.h"
#include "page/mem.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { ERASED = 0xff };

/* ---- what lies there ---- */

static uint64_t room_of(const struct log_base *end)
{
    return (uint64_t)end->extent_pages * PAGE_BYTES - end->extent_off;
}

/* *bytes is the caller's to free. */
static scn_status read_tail(struct file *file, const struct log_base *end,
                            struct tail *out, uint8_t **bytes)
{
    uint64_t room = room_of(end);
    *out = (struct tail){.lsn = end->lsn,
                         .offset = extent_file_off(end->extent_pgno) + end->extent_off};
    *bytes = mem_alloc(room + 1);
    if (*bytes == NULL)
        return error_nomem();
    scn_status st = file_read(file, out->offset, *bytes, room, 0);
    while (st == SCN_OK && room > 0 && (*bytes)[room - 1] == 0)
        room--;
    out->bytes = st == SCN_OK ? room : 0;
    return st;
}

scn_status tail_measure(struct sys *sys, const char *path,
                        const struct inspection *inspection, struct tail *out)
{
    struct subject subject;
    uint8_t *bytes = NULL;
    scn_status st = subject_open(&subject, sys, path);
    if (st != SCN_OK)
        return st;
    st = read_tail(&subject.file, &inspection->trail.end.end, out, &bytes);
    mem_free(bytes);
    subject_close(&subject);
    return st;
}

/* ---- keeping ---- */

static int write_all(struct sys *sys, struct sys_file *handle, const uint8_t *bytes,
                     uint64_t len)
{
    for (uint64_t done = 0; done < len;) {
        int64_t count = sys->ops->write(handle, done, bytes + done, len - done, 0);
        if (count == -EINTR)
            continue;
        if (count <= 0)
            return count ? (int)count : -EIO;
        done += (uint64_t)count;
    }
    return sys->ops->sync(handle);
}

static int write_file(struct sys *sys, const char *name, const uint8_t *bytes,
                      uint64_t len)
{
    struct sys_file *handle;
    int error = sys->ops->open(sys, name, SYS_CREATE | SYS_EXCL, &handle);
    if (error != 0)
        return error;
    error = write_all(sys, handle, bytes, len);
    sys->ops->close(handle);
    return error;
}

/* What is left of a tail that somebody began to erase. */
static bool is_left_of(const uint8_t *bytes, uint64_t len, const uint8_t *whole)
{
    for (uint64_t i = 0; i < len; i++) {
        bool is_erased = bytes[i] == 0 || (bytes[i] == ERASED && i < RECORD_HEADER_BYTES);
        if (!is_erased && bytes[i] != whole[i])
            return false;
    }
    return true;
}

/* By somebody who was killed before the end, or whose machine stopped. */
static bool are_kept(struct sys *sys, const char *keep, const uint8_t *bytes,
                     uint64_t len)
{
    struct sys_file *handle;
    uint8_t *there = mem_alloc(len + 1);
    if (there == NULL || sys->ops->open(sys, keep, SYS_READ_ONLY, &handle) != 0) {
        mem_free(there);
        return false;
    }
    int64_t got = sys->ops->read(handle, 0, there, len, 0);
    bool has_all = got == (int64_t)len && is_left_of(bytes, len, there);
    sys->ops->close(handle);
    mem_free(there);
    return has_all;
}

/* A folder that may not be read cannot be synced either. */
static int sync_folder(struct sys *sys, const char *path)
{
    int error = sys->ops->sync_dir(sys, path);
    return error == -EACCES ? 0 : error;
}

/* name: for the time until all of it is there.  Whoever has it has the store's locks. */
static int keep_as(struct sys *sys, const char *name, const char *keep,
                   const uint8_t *bytes, uint64_t len)
{
    (void)sys->ops->unlink(sys, name);
    int error = write_file(sys, name, bytes, len);
    if (error == 0)
        error = sys->ops->link(sys, name, keep);
    bool is_mine = error == 0;
    if (error == -EEXIST && are_kept(sys, keep, bytes, len))
        error = 0;
    (void)sys->ops->unlink(sys, name);
    if (error == 0)
        error = sync_folder(sys, keep);
    if (error != 0 && is_mine)
        (void)sys->ops->unlink(sys, keep);
    return error;
}

static scn_status keep_bytes(struct sys *sys, const char *keep, const uint8_t *bytes,
                             uint64_t len)
{
    size_t size = strlen(keep) + 8;
    char *name = mem_alloc(size);
    if (name == NULL)
        return error_nomem();
    snprintf(name, size, "%s.part", keep);
    int error = keep_as(sys, name, keep, bytes, len);
    mem_free(name);
    if (error == -EEXIST)
        return SCN_EXISTS;
    return error == 0 ? SCN_OK
                      : error_sys(error, 0, "%.160s cannot be written", keep);
}

/* ---- cutting ---- */

/* As whoever recovers: alone, and nobody may come. */
static scn_status lock_all(struct locks *locks)
{
    scn_status st = lock_take(locks, LOCK_GATE, 0);
    if (st < 0)
        return st;
    st = lock_attach(locks, LOCK_ATTACH, SYS_EXCLUSIVE);
    return st == SCN_OK ? lock_attach(locks, LOCK_READER, SYS_EXCLUSIVE) : st;
}

static scn_status follow_again(struct subject *subject,
                               const struct inspection *inspection, struct trail *trail,
                               struct generations *now)
{
    const struct superblock *sb = &inspection->generations.sb[inspection->chosen];
    struct findings unheard = {0};
    scn_status st = generations_read(subject, now);
    if (st == SCN_OK)
        st = trail_follow(subject, &unheard, sb, generations_synced(now), NULL, NULL,
                          NULL, trail);
    return st;
}

/* Somebody may have opened the file since, or cut the tail. */
static scn_status check_end(const struct file *file, const struct inspection *inspection,
                            const struct tail *tail)
{
    struct subject subject;
    struct generations now;
    struct trail trail = {0};
    scn_status st = subject_open(&subject, file->sys, file->path);
    if (st != SCN_OK)
        return st;
    bool is_same = subject.file.inode == file->inode;
    st = follow_again(&subject, inspection, &trail, &now);
    is_same &= st == SCN_OK && generations_equal(&now, &inspection->generations) &&
               trail.end.kind == LOG_END_TORN && !trail.is_refused &&
               trail.end.bad_off == tail->offset && trail.end.end.lsn == tail->lsn;
    trail_destroy(&trail);
    subject_close(&subject);
    if (st < 0 || is_same)
        return st;
    return error_set(SCN_CONFLICT, 0, 0, 0, "the log does not end there any more");
}

/* The header first: without it nothing of the rest is a record [L8].  Not with zeros,
 * which who opens the store would not sync once more. */
static scn_status erase(struct file *file, const struct tail *tail)
{
    uint64_t head = tail->bytes < RECORD_HEADER_BYTES ? tail->bytes : RECORD_HEADER_BYTES;
    uint8_t *bytes = mem_zalloc(tail->bytes + 1);
    if (bytes == NULL)
        return error_nomem();
    memset(bytes, ERASED, head);
    scn_status st = file_write(file, tail->offset, bytes, head, 0);
    if (st == SCN_OK)
        st = file_sync(file);
    memset(bytes, 0, head);
    if (st == SCN_OK)
        st = file_write(file, tail->offset, bytes, tail->bytes, 0);
    if (st == SCN_OK)
        st = file_sync(file);
    mem_free(bytes);
    return st;
}

static scn_status cut(struct file *file, const struct inspection *inspection,
                      const struct tail *tail, const char *keep)
{
    struct tail again;
    uint8_t *bytes = NULL;
    scn_status st = check_end(file, inspection, tail);
    if (st == SCN_OK)
        st = read_tail(file, &inspection->trail.end.end, &again, &bytes);
    if (st == SCN_OK)
        st = keep_bytes(file->sys, keep, bytes, again.bytes);
    if (st == SCN_OK)
        st = erase(file, &again);
    mem_free(bytes);
    return st;
}

scn_status tail_cut(struct sys *sys, const char *path,
                    const struct inspection *inspection, const struct tail *tail,
                    const char *keep)
{
    struct file file;
    struct locks locks;
    scn_status st = file_open(&file, sys, path, false);
    if (st != SCN_OK)
        return st;
    st = locks_init(&locks, &file);
    if (st == SCN_OK) {
        st = lock_all(&locks);
        if (st == SCN_OK)
            st = cut(&file, inspection, tail, keep);
        if (lock_is_mine(&locks, LOCK_GATE))
            lock_give(&locks, LOCK_GATE);
        locks_destroy(&locks);
    }
    file_close(&file);
    return st;
}
