/* Files, names and what is pending: see medium.h.
 *
 * The list of pending changes is one array in order of time.  Syncs take their changes
 * out and apply them to the durable images; a power cut applies a choice of them to a
 * copy (powercut.c).  Both use the same two functions, image_apply and names_apply, so a
 * crash can show no state that a sync could not also have begun to write.
 *
 * A sector is kept as a reference to the chunk that holds it, as it was after the write:
 * as long as somebody refers to a chunk the next write makes a new one (image.h), so all
 * versions stay without a copy of each. */
#include "test/sim/medium.h"

#include "test/sim/change.h"
#include "test/sim/state.h"

#include <stdlib.h>
#include <string.h>

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

/* ---- pending changes ---- */

bool is_name_change(const struct change *change)
{
    return change->kind >= CHANGE_NAME;
}

uint64_t chunk_no_of(const struct change *change)
{
    return change->at / CHUNK_SECTORS;
}

void names_apply(struct names *names, const struct change *change)
{
    if (change->from)
        names_remove(names, change->from, change->file_no);
    if (change->to)
        names_set(names, change->to, change->file_no);
}

static const uint8_t *sector_of(const struct change *change)
{
    return chunk_bytes(change->chunk) + change->at % CHUNK_SECTORS * SECTOR_BYTES;
}

void image_apply(struct image *image, const struct change *change)
{
    if (change->kind == CHANGE_SIZE)
        image_set_size(image, change->at);
    else
        image_write(image, change->at * SECTOR_BYTES, sector_of(change), SECTOR_BYTES);
}

size_t whole_chunk_at(const struct medium *medium, size_t i)
{
    const struct change *first = &medium->changes[i];
    if (first->kind != CHANGE_SECTOR || first->at % CHUNK_SECTORS != 0 ||
        medium->change_count - i < CHUNK_SECTORS)
        return 0;
    for (size_t k = 1; k < CHUNK_SECTORS; k++)
        if (first[k].kind != CHANGE_SECTOR || first[k].chunk != first->chunk ||
            first[k].file_no != first->file_no || first[k].at != first->at + k)
            return 0;
    return CHUNK_SECTORS;
}

size_t apply_at(struct image *image, const struct medium *medium, size_t i)
{
    const struct change *change = &medium->changes[i];
    size_t whole = whole_chunk_at(medium, i);
    if (whole == 0) {
        image_apply(image, change);
        return 1;
    }
    image_put_chunk(image, chunk_no_of(change), change->chunk);
    return whole;
}

static struct change *add_change(struct medium *medium, enum change_kind kind,
                                 uint32_t file_no)
{
    if (medium->change_count == medium->change_room) {
        medium->change_room = medium->change_room * 2 + 64;
        medium->changes = must(realloc(medium->changes,
                                       medium->change_room * sizeof *medium->changes));
    }
    struct change *change = &medium->changes[medium->change_count++];
    *change = (struct change){
        .kind = kind, .file_no = file_no, .call_no = medium->call_no};
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

static void take_change(struct change *change)
{
    chunk_drop(change->chunk);
    free(change->from);
    free(change->to);
    *change = (struct change){.kind = CHANGE_TAKEN};
}

/* Closes the gaps. */
static void forget_taken(struct medium *medium)
{
    size_t count = 0;
    for (size_t i = 0; i < medium->change_count; i++)
        if (medium->changes[i].kind != CHANGE_TAKEN)
            medium->changes[count++] = medium->changes[i];
    medium->change_count = count;
}

/* ---- life ---- */

struct medium *medium_create(void)
{
    return must(calloc(1, sizeof(struct medium)));
}

void medium_destroy(struct medium *medium)
{
    for (uint32_t i = 0; i < medium->file_count; i++) {
        image_clear(&medium->files[i].current);
        image_clear(&medium->files[i].durable);
    }
    for (size_t i = 0; i < medium->change_count; i++)
        take_change(&medium->changes[i]);
    names_clear(&medium->current);
    names_clear(&medium->durable);
    free(medium->files);
    free(medium->changes);
    free(medium);
}

struct medium *copy_durable(const struct medium *medium)
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
    for (uint32_t i = 0; i < medium->file_count; i++) {
        copy->files[i].is_loose = medium->files[i].is_loose;
        image_copy(&copy->files[i].current, &medium->files[i].current);
    }
    names_copy(&copy->current, &medium->current);
    for (size_t i = 0; i < medium->change_count; i++) {
        const struct change *from = &medium->changes[i];
        struct change *to = add_change(copy, from->kind, from->file_no);
        *to = *from;
        to->chunk = chunk_share(from->chunk);
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
    if (path)
        add_name_change(medium, CHANGE_NAME, file_no, NULL, path);
    return file_no;
}

uint64_t medium_name_count(const struct medium *medium)
{
    return medium->current.count;
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

/* Whole sectors, with what was around the bytes. */
static void add_sector_changes(struct medium *medium, uint32_t file_no, uint64_t off,
                               uint64_t len)
{
    struct image *current = &medium->files[file_no].current;
    uint64_t end = (off + len + SECTOR_BYTES - 1) / SECTOR_BYTES;
    for (uint64_t no = off / SECTOR_BYTES; no < end; no++) {
        struct change *change = add_change(medium, CHANGE_SECTOR, file_no);
        change->at = no;
        change->chunk = image_take_chunk(current, chunk_no_of(change));
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

/* Of its bytes: a sector or a size. */
static bool is_of_file(const struct change *change, uint32_t file_no)
{
    return change->file_no == file_no &&
           (change->kind == CHANGE_SECTOR || change->kind == CHANGE_SIZE);
}

static bool is_dirty(const struct medium *medium, uint32_t file_no)
{
    for (size_t i = 0; i < medium->change_count; i++)
        if (is_of_file(&medium->changes[i], file_no))
            return true;
    return false;
}

/* The file as the medium would give it after all that is dirty was written. */
static void image_uncached(const struct medium *medium, uint32_t file_no,
                           struct image *out)
{
    image_copy(out, &medium->files[file_no].durable);
    size_t count;
    for (size_t i = 0; i < medium->change_count; i += count) {
        count = 1;
        if (is_of_file(&medium->changes[i], file_no))
            count = apply_at(out, medium, i);
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
    image_clear(&image);
    return there;
}

void medium_evict(struct medium *medium)
{
    for (uint32_t i = 0; i < medium->file_count; i++) {
        struct image image = {0};
        image_uncached(medium, i, &image);
        image_clear(&medium->files[i].current);
        medium->files[i].current = image;
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
    image_write(current, off, buf, len);
    add_sector_changes(medium, file_no, off, len);
}

void medium_sync(struct medium *medium, uint32_t file_no)
{
    size_t count;
    for (size_t i = 0; i < medium->change_count; i += count) {
        count = 1;
        if (!is_of_file(&medium->changes[i], file_no))
            continue;
        count = apply_at(&medium->files[file_no].durable, medium, i);
        for (size_t k = i; k < i + count; k++)
            take_change(&medium->changes[k]);
    }
    medium->files[file_no].is_loose = medium_links(medium, file_no) == 0;
    forget_taken(medium);
}

/* [M7] */
static void loosen(struct medium *medium, uint32_t file_no)
{
    struct file_state *file = &medium->files[file_no];
    file->is_loose = false;
    image_clear(&file->durable);
    add_change(medium, CHANGE_SIZE, file_no)->at = file->current.size;
    add_sector_changes(medium, file_no, 0, file->current.size);
}

static bool is_in_folder(const struct change *change, const char *path)
{
    return is_in_folder_of(change->from, path) || is_in_folder_of(change->to, path);
}

void medium_sync_names(struct medium *medium, const char *path)
{
    size_t count = medium->change_count;
    for (size_t i = 0; i < count; i++) {
        if (!is_in_folder(&medium->changes[i], path))
            continue;
        names_apply(&medium->durable, &medium->changes[i]);
        uint32_t file_no = medium->changes[i].file_no;
        take_change(&medium->changes[i]);
        if (medium->files[file_no].is_loose)
            loosen(medium, file_no);
    }
    forget_taken(medium);
}

static bool is_sector_in(const struct change *change, uint32_t file_no, uint64_t off,
                         uint64_t len)
{
    if (change->kind != CHANGE_SECTOR || change->file_no != file_no)
        return false;
    uint64_t start = change->at * SECTOR_BYTES;
    return start < off + len && start + SECTOR_BYTES > off;
}

void medium_drop_range(struct medium *medium, uint32_t file_no, uint64_t off,
                       uint64_t len, uint64_t luck)
{
    for (size_t i = 0; i < medium->change_count; i++) {
        struct change *change = &medium->changes[i];
        if (!is_sector_in(change, file_no, off, len))
            continue;
        if (luck && medium_random(&luck) % 2)
            image_apply(&medium->files[file_no].durable, change);
        take_change(change);
    }
    forget_taken(medium);
}

static bool is_size_of(const struct change *change, uint32_t file_no)
{
    return change->kind == CHANGE_SIZE && change->file_no == file_no;
}

static bool has_pending_cut(const struct medium *medium, uint32_t file_no)
{
    uint64_t size = medium->files[file_no].durable.size;
    bool has_cut = false;
    for (size_t i = 0; i < medium->change_count; i++) {
        const struct change *change = &medium->changes[i];
        if (!is_size_of(change, file_no))
            continue;
        has_cut |= change->at < size;
        size = change->at;
    }
    return has_cut;
}

/* What a sector that is cut at this size has behind the cut is gone for good. */
static void cut_change(struct change *change, uint64_t size)
{
    uint8_t bytes[CHUNK_BYTES];
    uint64_t start = chunk_no_of(change) * CHUNK_BYTES;
    uint64_t stay = size > start ? least(size - start, CHUNK_BYTES) : 0;
    if (stay == CHUNK_BYTES)
        return;
    memcpy(bytes, chunk_bytes(change->chunk), CHUNK_BYTES);
    memset(bytes + stay, 0, CHUNK_BYTES - stay);
    change->chunk = chunk_replace(change->chunk, bytes);
}

/* Makes one size durable, and so cuts the sectors that were written before it. */
static void sync_one_size(struct medium *medium, size_t size_idx)
{
    const struct change *size = &medium->changes[size_idx];
    image_apply(&medium->files[size->file_no].durable, size);
    for (size_t i = 0; i < size_idx; i++) {
        struct change *change = &medium->changes[i];
        if (change->kind == CHANGE_SECTOR && change->file_no == size->file_no)
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
        struct change *change = &medium->changes[i];
        if (!is_size_of(change, file_no))
            continue;
        if (all)
            sync_one_size(medium, i);
        if (all || change->at <= durable->size)
            take_change(change);
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
        struct change *change = &medium->changes[i];
        if (!is_sector_in(change, file_no, off, len))
            continue;
        image_apply(&medium->files[file_no].durable, change);
        take_change(change);
    }
    forget_taken(medium);
}

void medium_rot(struct medium *medium, uint32_t file_no, uint64_t off, const void *buf,
                uint64_t len)
{
    image_write(&medium->files[file_no].current, off, buf, len);
    image_write(&medium->files[file_no].durable, off, buf, len);
}
