/* Files, names and what is pending: see medium.h.
 *
 * The list of pending changes is one array in order of time.  Syncs take their changes
 * out and apply them to the durable images; a power cut applies a choice of them to a
 * copy.  Both use the same two functions, image_apply and names_apply, so a crash can
 * show no state that a sync could not also have begun to write. */
#include "test/sim/medium.h"

#include "page/hash.h"
#include "test/sim/state.h"

#include <stdlib.h>
#include <string.h>

enum { IMAGE_ROOM_STEP = 65536 };

enum change_kind {
    CHANGE_SECTOR,
    CHANGE_SIZE,
    CHANGE_NAME,
    CHANGE_UNNAME,
    CHANGE_RENAME
};

struct change {
    enum change_kind kind;
    uint32_t file_no;
    uint64_t call_no;
    uint64_t at; /* sector number, or size */
    char *from;  /* UNNAME, RENAME */
    char *to;    /* NAME, RENAME */
    uint8_t data[MEDIUM_SECTOR_BYTES]; /* SECTOR */
};

/* Bytes from size to room are zero. */
struct image {
    uint8_t *bytes;
    uint64_t size;
    uint64_t room;
};

struct file_state {
    bool is_directory;
    struct image current;
    struct image durable;
};

struct name {
    char *path;
    uint32_t file_no;
};

struct names {
    struct name *at;
    size_t count;
};

struct medium {
    struct file_state *files;
    uint32_t file_count;
    struct names current;
    struct names durable;
    struct change **changes;
    size_t change_count;
    size_t change_room;
    uint64_t call_no;
};

static char *copy_text(const char *text)
{
    return text ? must(strdup(text)) : NULL;
}

/* splitmix64 */
uint64_t medium_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* ---- images ---- */

static void image_set_size(struct image *image, uint64_t size)
{
    if (size > MEDIUM_SIZE_MAX)
        abort();
    if (size > image->room) {
        uint64_t room = image->room * 2 > size ? image->room * 2 : size;
        room = (room + IMAGE_ROOM_STEP - 1) / IMAGE_ROOM_STEP * IMAGE_ROOM_STEP;
        image->bytes = must(realloc(image->bytes, room));
        memset(image->bytes + image->room, 0, room - image->room);
        image->room = room;
    }
    if (size < image->size)
        memset(image->bytes + size, 0, image->size - size);
    image->size = size;
}

static void image_copy(struct image *to, const struct image *from)
{
    image_set_size(to, 0);
    image_set_size(to, from->size);
    if (from->size > 0)
        memcpy(to->bytes, from->bytes, from->size);
}

/* len bytes, with zeros behind the end. */
static void image_read(const struct image *image, uint64_t off, void *buf, uint64_t len)
{
    uint64_t there = off < image->size ? least(len, image->size - off) : 0;
    if (there > 0)
        memcpy(buf, image->bytes + off, there);
    memset((uint8_t *)buf + there, 0, len - there);
}

/* Behind the end nothing is stored [M4]. */
static void image_put(struct image *image, uint64_t off, const void *buf, uint64_t len)
{
    if (off < image->size)
        memcpy(image->bytes + off, buf, least(len, image->size - off));
}

static void image_apply(struct image *image, const struct change *change)
{
    if (change->kind == CHANGE_SIZE)
        image_set_size(image, change->at);
    else
        image_put(image, change->at * MEDIUM_SECTOR_BYTES, change->data,
                  MEDIUM_SECTOR_BYTES);
}

/* ---- names ---- */

static struct name *names_find(const struct names *names, const char *path)
{
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->at[i].path, path) == 0)
            return &names->at[i];
    return NULL;
}

static void names_set(struct names *names, const char *path, uint32_t file_no)
{
    struct name *name = names_find(names, path);
    if (!name) {
        names->at = must(realloc(names->at, (names->count + 1) * sizeof *names->at));
        name = &names->at[names->count++];
        name->path = copy_text(path);
    }
    name->file_no = file_no;
}

static void names_remove(struct names *names, const char *path, uint32_t file_no)
{
    struct name *name = names_find(names, path);
    if (!name || name->file_no != file_no)
        return;
    free(name->path);
    *name = names->at[--names->count];
}

static void names_apply(struct names *names, const struct change *change)
{
    if (change->from)
        names_remove(names, change->from, change->file_no);
    if (change->to)
        names_set(names, change->to, change->file_no);
}

static void names_copy(struct names *to, const struct names *from)
{
    for (size_t i = 0; i < from->count; i++)
        names_set(to, from->at[i].path, from->at[i].file_no);
}

static void names_clear(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->at[i].path);
    free(names->at);
}

static size_t folder_len(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) : 0;
}

static bool is_in_folder_of(const char *path, const char *other)
{
    size_t len = folder_len(other);
    return path && folder_len(path) == len && memcmp(path, other, len) == 0;
}

/* ---- pending changes ---- */

static struct change *add_change(struct medium *medium, enum change_kind kind,
                                 uint32_t file_no)
{
    if (medium->change_count == medium->change_room) {
        medium->change_room = medium->change_room * 2 + 64;
        medium->changes = must(realloc(medium->changes,
                                       medium->change_room * sizeof *medium->changes));
    }
    struct change *change = must(calloc(1, sizeof *change));
    change->kind = kind;
    change->file_no = file_no;
    change->call_no = medium->call_no;
    medium->changes[medium->change_count++] = change;
    return change;
}

static void add_name_change(struct medium *medium, enum change_kind kind,
                            uint32_t file_no, const char *from, const char *to)
{
    struct change *change = add_change(medium, kind, file_no);
    change->from = copy_text(from);
    change->to = copy_text(to);
    names_apply(&medium->current, change);
}

static void change_free(struct change *change)
{
    free(change->from);
    free(change->to);
    free(change);
}

static bool is_name_change(const struct change *change)
{
    return change->kind >= CHANGE_NAME;
}

/* Closes the gaps that set-to-NULL entries left. */
static void forget_taken(struct medium *medium)
{
    size_t count = 0;
    for (size_t i = 0; i < medium->change_count; i++)
        if (medium->changes[i])
            medium->changes[count++] = medium->changes[i];
    medium->change_count = count;
}

static void take_change(struct medium *medium, size_t i)
{
    change_free(medium->changes[i]);
    medium->changes[i] = NULL;
}

/* ---- life ---- */

struct medium *medium_create(void)
{
    return must(calloc(1, sizeof(struct medium)));
}

void medium_destroy(struct medium *medium)
{
    for (uint32_t i = 0; i < medium->file_count; i++) {
        free(medium->files[i].current.bytes);
        free(medium->files[i].durable.bytes);
    }
    for (size_t i = 0; i < medium->change_count; i++)
        change_free(medium->changes[i]);
    names_clear(&medium->current);
    names_clear(&medium->durable);
    free(medium->files);
    free(medium->changes);
    free(medium);
}

/* With the durable state as the current one. */
static struct medium *copy_durable(const struct medium *medium)
{
    struct medium *copy = medium_create();
    copy->files = must(calloc((size_t)medium->file_count + 1, sizeof *copy->files));
    copy->file_count = medium->file_count;
    for (uint32_t i = 0; i < medium->file_count; i++) {
        copy->files[i].is_directory = medium->files[i].is_directory;
        image_copy(&copy->files[i].durable, &medium->files[i].durable);
    }
    names_copy(&copy->durable, &medium->durable);
    copy->call_no = medium->call_no;
    return copy;
}

struct medium *medium_copy(const struct medium *medium)
{
    struct medium *copy = copy_durable(medium);
    for (uint32_t i = 0; i < medium->file_count; i++)
        image_copy(&copy->files[i].current, &medium->files[i].current);
    names_copy(&copy->current, &medium->current);
    for (size_t i = 0; i < medium->change_count; i++) {
        const struct change *from = medium->changes[i];
        struct change *to = add_change(copy, from->kind, from->file_no);
        *to = *from;
        to->from = copy_text(from->from);
        to->to = copy_text(from->to);
    }
    return copy;
}

void medium_begin_call(struct medium *medium)
{
    medium->call_no++;
}

/* ---- names, as the system calls see them ---- */

uint32_t medium_find(const struct medium *medium, const char *path)
{
    const struct name *name = names_find(&medium->current, path);
    return name ? name->file_no : MEDIUM_NONE;
}

uint32_t medium_add_file(struct medium *medium, const char *path, bool is_directory)
{
    uint32_t file_no = medium->file_count++;
    medium->files = must(realloc(medium->files,
                                 medium->file_count * sizeof *medium->files));
    medium->files[file_no] = (struct file_state){.is_directory = is_directory};
    add_name_change(medium, CHANGE_NAME, file_no, NULL, path);
    return file_no;
}

void medium_link(struct medium *medium, uint32_t file_no, const char *path)
{
    add_name_change(medium, CHANGE_NAME, file_no, NULL, path);
}

void medium_unlink(struct medium *medium, const char *path)
{
    add_name_change(medium, CHANGE_UNNAME, medium_find(medium, path), path, NULL);
}

void medium_rename(struct medium *medium, const char *from, const char *to)
{
    add_name_change(medium, CHANGE_RENAME, medium_find(medium, from), from, to);
}

uint64_t medium_links(const struct medium *medium, uint32_t file_no)
{
    uint64_t links = 0;
    for (size_t i = 0; i < medium->current.count; i++)
        links += medium->current.at[i].file_no == file_no;
    return links;
}

void medium_sync_names(struct medium *medium, const char *path)
{
    for (size_t i = 0; i < medium->change_count; i++) {
        struct change *change = medium->changes[i];
        if (!is_in_folder_of(change->from, path) && !is_in_folder_of(change->to, path))
            continue;
        names_apply(&medium->durable, change);
        take_change(medium, i);
    }
    forget_taken(medium);
}

/* ---- bytes ---- */

bool medium_is_directory(const struct medium *medium, uint32_t file_no)
{
    return medium->files[file_no].is_directory;
}

uint64_t medium_size(const struct medium *medium, uint32_t file_no)
{
    return medium->files[file_no].current.size;
}

uint64_t medium_used_bytes(const struct medium *medium)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < medium->file_count; i++)
        if (medium_links(medium, i) > 0)
            bytes += medium->files[i].current.size;
    return bytes;
}

static void add_sector_changes(struct medium *medium, uint32_t file_no, uint64_t off,
                               uint64_t len)
{
    const struct image *current = &medium->files[file_no].current;
    uint64_t end = (off + len + MEDIUM_SECTOR_BYTES - 1) / MEDIUM_SECTOR_BYTES;
    for (uint64_t no = off / MEDIUM_SECTOR_BYTES; no < end; no++) {
        struct change *change = add_change(medium, CHANGE_SECTOR, file_no);
        change->at = no;
        image_read(current, no * MEDIUM_SECTOR_BYTES, change->data, MEDIUM_SECTOR_BYTES);
    }
}

void medium_set_size(struct medium *medium, uint32_t file_no, uint64_t size)
{
    struct image *current = &medium->files[file_no].current;
    if (size == current->size)
        return;
    image_set_size(current, size);
    add_change(medium, CHANGE_SIZE, file_no)->at = size;
}

static bool is_dirty(const struct medium *medium, uint32_t file_no)
{
    for (size_t i = 0; i < medium->change_count; i++)
        if (medium->changes[i]->file_no == file_no && !is_name_change(medium->changes[i]))
            return true;
    return false;
}

/* The file as the medium would give it after all that is dirty was written. */
static void image_uncached(const struct medium *medium, uint32_t file_no,
                           struct image *out)
{
    image_copy(out, &medium->files[file_no].durable);
    for (size_t i = 0; i < medium->change_count; i++) {
        const struct change *change = medium->changes[i];
        if (change->file_no == file_no && !is_name_change(change))
            image_apply(out, change);
    }
}

static uint64_t read_image(const struct image *image, uint64_t off, void *buf,
                           uint64_t len)
{
    uint64_t there = off < image->size ? least(len, image->size - off) : 0;
    if (there > 0)
        image_read(image, off, buf, there);
    return there;
}

uint64_t medium_read(const struct medium *medium, uint32_t file_no, uint64_t off,
                     void *buf, uint64_t len)
{
    return read_image(&medium->files[file_no].current, off, buf, len);
}

uint64_t medium_read_uncached(const struct medium *medium, uint32_t file_no, uint64_t off,
                              void *buf, uint64_t len)
{
    if (!is_dirty(medium, file_no))
        return read_image(&medium->files[file_no].durable, off, buf, len);
    struct image image = {0};
    image_uncached(medium, file_no, &image);
    uint64_t there = read_image(&image, off, buf, len);
    free(image.bytes);
    return there;
}

void medium_evict(struct medium *medium)
{
    for (uint32_t i = 0; i < medium->file_count; i++) {
        struct image image = {0};
        image_uncached(medium, i, &image);
        image_copy(&medium->files[i].current, &image);
        free(image.bytes);
    }
}

void medium_write(struct medium *medium, uint32_t file_no, uint64_t off, const void *buf,
                  uint64_t len)
{
    struct image *current = &medium->files[file_no].current;
    if (len == 0)
        return;
    if (off + len > current->size)
        medium_set_size(medium, file_no, off + len);
    image_put(current, off, buf, len);
    add_sector_changes(medium, file_no, off, len);
}

void medium_sync(struct medium *medium, uint32_t file_no)
{
    for (size_t i = 0; i < medium->change_count; i++) {
        const struct change *change = medium->changes[i];
        if (change->file_no != file_no || is_name_change(change))
            continue;
        image_apply(&medium->files[file_no].durable, change);
        take_change(medium, i);
    }
    forget_taken(medium);
}

static bool is_sector_in(const struct change *change, uint32_t file_no, uint64_t off,
                         uint64_t len)
{
    if (change->kind != CHANGE_SECTOR || change->file_no != file_no)
        return false;
    uint64_t start = change->at * MEDIUM_SECTOR_BYTES;
    return start < off + len && start + MEDIUM_SECTOR_BYTES > off;
}

void medium_drop_range(struct medium *medium, uint32_t file_no, uint64_t off,
                       uint64_t len)
{
    for (size_t i = 0; i < medium->change_count; i++)
        if (is_sector_in(medium->changes[i], file_no, off, len))
            take_change(medium, i);
    forget_taken(medium);
}

static bool is_size_of(const struct change *change, uint32_t file_no)
{
    return change && change->kind == CHANGE_SIZE && change->file_no == file_no;
}

static bool has_pending_cut(const struct medium *medium, uint32_t file_no)
{
    uint64_t size = medium->files[file_no].durable.size;
    bool has_cut = false;
    for (size_t i = 0; i < medium->change_count; i++) {
        if (!is_size_of(medium->changes[i], file_no))
            continue;
        has_cut |= medium->changes[i]->at < size;
        size = medium->changes[i]->at;
    }
    return has_cut;
}

/* What a sector that is cut at this size has behind the cut is gone for good. */
static void cut_change(struct change *change, uint64_t size)
{
    uint64_t start = change->at * MEDIUM_SECTOR_BYTES;
    uint64_t stay = size > start ? least(size - start, MEDIUM_SECTOR_BYTES) : 0;
    memset(change->data + stay, 0, MEDIUM_SECTOR_BYTES - stay);
}

/* Makes one size durable, and so cuts the sectors that were written before it. */
static void sync_one_size(struct medium *medium, size_t size_idx)
{
    const struct change *size = medium->changes[size_idx];
    image_apply(&medium->files[size->file_no].durable, size);
    for (size_t i = 0; i < size_idx; i++) {
        struct change *change = medium->changes[i];
        if (change && change->kind == CHANGE_SECTOR && change->file_no == size->file_no)
            cut_change(change, size->at);
    }
}

/* Only as much size as reaches `end`, for nothing promises more; but with a cut among the
 * pending sizes all of them, because after the cut alone the bytes would be lost. */
static void sync_sizes(struct medium *medium, uint32_t file_no, uint64_t end)
{
    struct image *durable = &medium->files[file_no].durable;
    bool all = has_pending_cut(medium, file_no);
    if (!all && durable->size < end)
        image_set_size(durable, end);
    for (size_t i = 0; i < medium->change_count; i++) {
        if (!is_size_of(medium->changes[i], file_no))
            continue;
        if (all)
            sync_one_size(medium, i);
        if (all || medium->changes[i]->at <= durable->size)
            take_change(medium, i);
    }
    forget_taken(medium);
}

void medium_sync_range(struct medium *medium, uint32_t file_no, uint64_t off,
                       uint64_t len)
{
    if (len == 0)
        return;
    sync_sizes(medium, file_no, off + len);
    for (size_t i = 0; i < medium->change_count; i++) {
        if (!is_sector_in(medium->changes[i], file_no, off, len))
            continue;
        image_apply(&medium->files[file_no].durable, medium->changes[i]);
        take_change(medium, i);
    }
    forget_taken(medium);
}

void medium_rot(struct medium *medium, uint32_t file_no, uint64_t off, const void *buf,
                uint64_t len)
{
    image_put(&medium->files[file_no].current, off, buf, len);
    image_put(&medium->files[file_no].durable, off, buf, len);
}

/* ---- power cuts ---- */

static bool continues_call(const struct medium *medium, size_t i)
{
    return i > 0 && medium->changes[i]->call_no == medium->changes[i - 1]->call_no;
}

uint64_t medium_pending(const struct medium *medium, bool by_call)
{
    uint64_t count = 0;
    for (size_t i = 0; i < medium->change_count; i++) {
        count += !by_call || !continues_call(medium, i);
    }
    return count;
}

/* Random choices keep few, half or most: with one half alone, long runs of kept changes,
 * which lead deep into recovery, would never be seen. */
static bool is_kept_by_luck(const struct sim_choice *choice, uint64_t unit)
{
    static const uint8_t eighths[4] = {1, 4, 7, 7};
    uint64_t seed = choice->n;
    uint64_t kept = eighths[medium_random(&seed) % 4];
    seed += unit * UINT64_C(0x632be59bd9b4e019);
    return medium_random(&seed) % 8 < kept;
}

static bool choice_keeps(const struct sim_choice *choice, uint64_t unit)
{
    switch (choice->keep) {
    case SIM_KEEP_NONE:
        return false;
    case SIM_KEEP_ALL:
        return true;
    case SIM_KEEP_PREFIX:
        return unit < choice->n;
    case SIM_KEEP_ALL_BUT:
        return unit != choice->n;
    case SIM_KEEP_ONLY:
        return unit == choice->n;
    case SIM_KEEP_RANDOM:
    case SIM_KEEP_TORN:
        break;
    }
    return is_kept_by_luck(choice, unit);
}

/* One flag a change. */
static bool *choose(const struct medium *medium, const struct sim_choice *choice)
{
    bool *kept = must(calloc(medium->change_count + 1, sizeof *kept));
    uint64_t unit = 0;
    for (size_t i = 0; i < medium->change_count; i++) {
        unit += i > 0 && (!choice->by_call || !continues_call(medium, i));
        kept[i] = choice_keeps(choice, unit);
    }
    return kept;
}

/* [M2]: from the end, so that one kept size is seen before those that it implies. */
static void keep_implied_sizes(const struct medium *medium, bool *kept)
{
    bool *is_implied = must(calloc((size_t)medium->file_count + 1, sizeof *is_implied));
    for (size_t i = medium->change_count; i-- > 0;) {
        const struct change *change = medium->changes[i];
        if (change->kind != CHANGE_SIZE)
            continue;
        is_implied[change->file_no] |= kept[i];
        kept[i] = is_implied[change->file_no];
    }
    free(is_implied);
}

/* Some sectors get only their first or only their last bytes written. */
static void tear(struct image *image, struct change *change, uint64_t *luck)
{
    uint64_t split = medium_random(luck) % (MEDIUM_SECTOR_BYTES / MEDIUM_TORN_BYTES);
    uint8_t old[MEDIUM_SECTOR_BYTES];
    image_read(image, change->at * MEDIUM_SECTOR_BYTES, old, sizeof old);
    split *= MEDIUM_TORN_BYTES;
    if (medium_random(luck) % 2)
        memcpy(change->data, old, split);
    else
        memcpy(change->data + split, old + split, sizeof old - split);
}

static void crash_apply(struct medium *crashed, const struct change *change,
                        uint64_t *luck)
{
    if (is_name_change(change)) {
        names_apply(&crashed->durable, change);
        return;
    }
    struct image *image = &crashed->files[change->file_no].durable;
    struct change copy = *change;
    if (luck && change->kind == CHANGE_SECTOR && medium_random(luck) % 4 == 0)
        tear(image, &copy, luck);
    image_apply(image, &copy);
}

struct medium *medium_crash(const struct medium *medium, const struct sim_choice *choice)
{
    struct medium *crashed = copy_durable(medium);
    bool *kept = choose(medium, choice);
    uint64_t luck = choice->n;
    keep_implied_sizes(medium, kept);
    for (size_t i = 0; i < medium->change_count; i++)
        if (kept[i])
            crash_apply(crashed, medium->changes[i],
                        choice->keep == SIM_KEEP_TORN ? &luck : NULL);
    for (uint32_t i = 0; i < crashed->file_count; i++)
        image_copy(&crashed->files[i].current, &crashed->files[i].durable);
    names_copy(&crashed->current, &crashed->durable);
    free(kept);
    return crashed;
}

uint64_t medium_hash(const struct medium *medium)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < medium->current.count; i++) {
        const struct name *name = &medium->current.at[i];
        const struct image *image = &medium->files[name->file_no].current;
        uint64_t parts[3] = {
            hash64(name->path, strlen(name->path)),
            image->size,
            image->size > 0 ? hash64(image->bytes, image->size) : 0,
        };
        hash += hash64(parts, sizeof parts);
    }
    return hash;
}
