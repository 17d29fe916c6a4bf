/* Byte table: docs/format.md, "Publish page".
 *
 * Why a read gives no less than what was published before it began.  Of a line's two
 * copies the older one is overwritten, so a read that meets one write finds the newer
 * copy whole.  A read that is stopped in the middle may meet two writes: it takes the
 * older copy before the first, and finds the other torn by the second.  What it then
 * falls back to may be older than what was there when it began.  But a value was
 * published meanwhile, so a second read can be behind that one at most by as much, and
 * the higher of the two values is good.  Only when both copies were torn in both reads
 * has it to go on.
 *
 * Copies of a line share a sector and may be torn together by a power cut.  That costs
 * nothing, because after a power cut the page is written anew [U1]; between live
 * processes a write tears no other bytes than its own. */
#include "page/publish.h"

#include "page/bytes.h"
#include "page/hash.h"
#include "page/lock.h"

#include <errno.h>

enum {
    AT_HASH = 0,
    AT_EPOCH = 8,
    AT_SEQUENCE = 16,
    AT_FIELDS = 24,
    AT_LINE = AT_FIELDS + 8 * PUBLISH_FIELD_COUNT,
    AT_RESERVED = AT_LINE + 4,
    /* To meet two writes at once is rare, and after so many times it is somebody who
     * writes nonsense. */
    READS_MAX = 8,
    /* [U3] Whatever poison is written twice is the same bytes. */
    POISON_SEQUENCE = 1,
    /* Between two tries to lock what is held for a read and a write. */
    PAUSE_NS = 200000
};

_Static_assert((int)AT_RESERVED <= (int)PUBLISH_COPY_BYTES, "the fields fit in a copy");
_Static_assert((int)PUBLISH_BYTES <= (int)PAGE_BYTES, "the lines fit in their page");

#define PAGE_OFF ((uint64_t)PUBLISH_PAGE_NO * PAGE_BYTES)

/* ---- a copy ---- */

/* Counted from one, so that no field of a valid copy can be taken for a hole. */
static uint32_t line_number(enum publish_line line)
{
    ASSERT(line < PUBLISH_LINE_COUNT);
    return (uint32_t)line + 1;
}

static uint64_t hash_of(const uint8_t *copy)
{
    return hash64(copy + AT_EPOCH, PUBLISH_COPY_BYTES - AT_EPOCH);
}

void publish_encode(enum publish_line line, const struct publish_value *value,
                    uint8_t copy[PUBLISH_COPY_BYTES])
{
    memset(copy, 0, PUBLISH_COPY_BYTES);
    put_u64(copy + AT_EPOCH, value->epoch);
    put_u64(copy + AT_SEQUENCE, value->sequence);
    for (int i = 0; i < PUBLISH_FIELD_COUNT; i++)
        put_u64(copy + AT_FIELDS + 8 * i, value->field[i]);
    put_u32(copy + AT_LINE, line_number(line));
    put_u64(copy + AT_HASH, hash_of(copy));
}

bool publish_decode(enum publish_line line, const uint8_t copy[PUBLISH_COPY_BYTES],
                    struct publish_value *out)
{
    if (get_u64(copy + AT_HASH) != hash_of(copy))
        return false;
    if (get_u32(copy + AT_LINE) != line_number(line))
        return false;
    if (!bytes_are_zero(copy + AT_RESERVED, PUBLISH_COPY_BYTES - AT_RESERVED))
        return false;
    out->epoch = get_u64(copy + AT_EPOCH);
    out->sequence = get_u64(copy + AT_SEQUENCE);
    for (int i = 0; i < PUBLISH_FIELD_COUNT; i++)
        out->field[i] = get_u64(copy + AT_FIELDS + 8 * i);
    return true;
}

/* ---- reading ---- */

/* How a line was found, from good to bad. */
enum {
    SURE,   /* nothing newer was there when the read began */
    BEHIND, /* perhaps, since a copy is torn */
    TORN    /* both copies are */
};

/* Raises *value to what the line says.  Both copies are verified: a bit that was flipped
 * on the way, in a sequence above all, must not make the older one the newer, nor unsay a
 * line.  One that is all zeros has never been written, or not before this read began. */
static int pick(const uint8_t *image, enum publish_line line, struct publish_value *value)
{
    int valid = 0;
    int blank = 0;
    for (uint32_t i = 0; i < 2; i++) {
        const uint8_t *copy = image + publish_off(line, i);
        struct publish_value found;
        if (!publish_decode(line, copy, &found)) {
            blank += bytes_are_zero(copy, PUBLISH_COPY_BYTES);
            continue;
        }
        valid++;
        if (found.sequence > value->sequence)
            *value = found;
    }
    if (valid + blank == 2)
        return SURE;
    return valid > 0 ? BEHIND : TORN;
}

/* The worst of all lines. */
static int pick_all(const uint8_t *image, struct publish *out)
{
    int worst = SURE;
    for (int line = 0; line < PUBLISH_LINE_COUNT; line++) {
        int how = pick(image, (enum publish_line)line, &out->line[line]);
        worst = how > worst ? how : worst;
    }
    return worst;
}

scn_status publish_fetch(struct file *file, uint8_t image[PUBLISH_BYTES])
{
    return file_read(file, PAGE_OFF, image, PUBLISH_BYTES, 0);
}

scn_status publish_recall(struct publish_seen *seen, const uint8_t image[PUBLISH_BYTES],
                          struct publish *out)
{
    if (memcmp(seen->image, image, PUBLISH_BYTES) != 0) {
        struct publish value = {0};
        if (pick_all(image, &value) != SURE)
            return SCN_END;
        memcpy(seen->image, image, PUBLISH_BYTES);
        seen->value = value;
    }
    *out = seen->value;
    return SCN_OK;
}

scn_status publish_read(struct file *file, struct publish *out)
{
    uint8_t image[PUBLISH_BYTES];
    *out = (struct publish){0};
    for (int i = 0; i < READS_MAX; i++) {
        scn_status st = publish_fetch(file, image);
        if (st != SCN_OK)
            return st;
        int how = pick_all(image, out);
        if (how == SURE || (how == BEHIND && i > 0))
            break;
    }
    return SCN_OK;
}

/* ---- writing ---- */

static scn_status write_failed(struct file *file, scn_status st)
{
    file_poison(file);
    if (st != SCN_FULL)
        return st;
    return error_set(SCN_IO, error_last()->sys_errno, PUBLISH_PAGE_NO, PAGE_OFF,
                     "publish: no room to tell other processes of %s", file->path);
}

scn_status publish_write(struct file *file, enum publish_line line,
                         struct publish_value *value)
{
    uint8_t copy[PUBLISH_COPY_BYTES];
    struct publish_value next = *value;
    next.sequence++;
    ASSERT(!file->is_read_only);
    publish_encode(line, &next, copy);
    uint64_t off = PAGE_OFF + publish_off(line, next.sequence & 1);
    scn_status st = file_write(file, off, copy, sizeof copy, 0);
    if (st != SCN_OK)
        return write_failed(file, st);
    value->sequence = next.sequence;
    return SCN_OK;
}

/* ---- poison ---- */

/* Behind every other lock, and held for a read and a write.  Should the system have no
 * lock to give, there is poison without it. */
static void lock_poison(struct file *file)
{
    const struct sys_ops *ops = file->sys->ops;
    ops->mutex_lock(file->poison_mutex);
    while (ops->lock(file->handle, LOCK_POISON, 1, SYS_EXCLUSIVE) == -EAGAIN)
        (void)ops->cond_wait(file->poison_cond, file->poison_mutex,
                             ops->now_ns(file->sys) + PAUSE_NS);
}

static void unlock_poison(struct file *file)
{
    const struct sys_ops *ops = file->sys->ops;
    (void)ops->lock(file->handle, LOCK_POISON, 1, SYS_UNLOCK);
    ops->mutex_unlock(file->poison_mutex);
}

/* Where that cannot be read it may be so; the last error stays. */
static bool is_session(struct file *file, uint64_t epoch)
{
    uint8_t image[PUBLISH_BYTES];
    struct publish_value session = {.sequence = 0};
    int64_t count =
        file->sys->ops->read(file->handle, PAGE_OFF, image, sizeof image, 0);
    if (count == (int64_t)sizeof image)
        (void)pick(image, PUBLISH_SESSION, &session);
    return session.sequence == 0 || session.epoch == epoch;
}

/* [U3] Should a session begin between the look and the write, its own poison waits for
 * the lock, and comes after this one. */
void publish_poison(struct file *file, uint64_t epoch)
{
    uint8_t copies[2 * PUBLISH_COPY_BYTES];
    struct publish_value value = {.epoch = epoch, .sequence = POISON_SEQUENCE};
    publish_encode(PUBLISH_POISON, &value, copies);
    memcpy(copies + PUBLISH_COPY_BYTES, copies, PUBLISH_COPY_BYTES);
    lock_poison(file);
    if (is_session(file, epoch))
        file_write_hint(file, PAGE_OFF + publish_off(PUBLISH_POISON, 0), copies,
                        sizeof copies);
    unlock_poison(file);
}
