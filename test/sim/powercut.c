/* Power cuts: the durable part of a medium, and some of what is pending. */
#include "test/sim/change.h"
#include "test/sim/disk.h"
#include "test/sim/state.h"

#include <stdlib.h>
#include <string.h>

static bool continues_call(const struct medium *medium, size_t i)
{
    return i > 0 && medium->changes[i].call_no == medium->changes[i - 1].call_no;
}

uint64_t medium_pending(const struct medium *medium, bool by_call)
{
    uint64_t count = 0;
    if (!by_call)
        return medium->change_count;
    for (size_t i = 0; i < medium->change_count; i++)
        count += !continues_call(medium, i);
    return count;
}

/* Torn sectors and garbage follow other numbers than what is kept. */
#define LUCK_SALT UINT64_C(0x5c0f1a6d93e7b284)

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
    case SIM_KEEP_SUBSET:
        return unit < 64 && (choice->n >> unit & 1);
    case SIM_KEEP_RANDOM:
    case SIM_KEEP_TORN:
        break;
    }
    return is_kept_by_luck(choice, unit);
}

static void choose(const struct medium *medium, const struct sim_choice *choice,
                   bool *kept)
{
    uint64_t unit = 0;
    for (size_t i = 0; i < medium->change_count; i++) {
        unit += i > 0 && (!choice->by_call || !continues_call(medium, i));
        kept[i] = choice_keeps(choice, unit);
    }
}

/* [M2]: from the end, so that one kept size is seen before those that it implies. */
static void keep_implied_sizes(const struct medium *medium, bool *kept)
{
    bool *is_implied = must(calloc((size_t)medium->file_count + 1, sizeof *is_implied));
    for (size_t i = medium->change_count; i-- > 0;) {
        const struct change *change = &medium->changes[i];
        if (change->kind != CHANGE_SIZE)
            continue;
        is_implied[change->file_no] |= kept[i];
        kept[i] = is_implied[change->file_no];
    }
    free(is_implied);
}

/* Only its first or only its last bytes are written. */
static void apply_torn(struct image *image, const struct change *change, uint64_t *luck)
{
    uint8_t was[SECTOR_BYTES];
    uint64_t off = change->at * SECTOR_BYTES;
    uint64_t split = medium_random(luck) % (SECTOR_BYTES / MEDIUM_TORN_BYTES);
    split *= MEDIUM_TORN_BYTES;
    image_read(image, off, was, sizeof was);
    image_apply(image, change);
    if (medium_random(luck) % 2)
        image_write(image, off, was, split);
    else
        image_write(image, off + split, was + split, sizeof was - split);
}

/* What an unwritten sector shows: what it always was, or what some other file, or this
 * one, has left there. */
static void put_garbage(struct image *image, uint64_t no, uint64_t *luck)
{
    uint8_t bytes[SECTOR_BYTES];
    uint64_t kind = medium_random(luck) % 3;
    if (kind == 0)
        return;
    if (kind == 1)
        image_read(image, medium_random(luck) % no * SECTOR_BYTES, bytes, sizeof bytes);
    for (size_t i = 0; kind == 2 && i < sizeof bytes; i++)
        bytes[i] = (uint8_t)medium_random(luck);
    image_write(image, no * SECTOR_BYTES, bytes, sizeof bytes);
}

/* The bytes that a size has gained, before anything is written to them. */
static void apply_size(struct image *image, const struct change *change, uint64_t *luck)
{
    uint64_t first = (image->size + SECTOR_BYTES - 1) / SECTOR_BYTES;
    uint64_t end = change->at / SECTOR_BYTES;
    image_apply(image, change);
    for (uint64_t no = first > 0 ? first : 1; no < end; no++)
        put_garbage(image, no, luck);
}

struct cut {
    const struct medium *medium;
    struct medium *crashed;
    const struct sim_choice *choice;
    bool *kept; /* one flag a change */
    uint64_t luck;
};

static bool are_kept(const struct cut *cut, size_t i, size_t count)
{
    for (size_t k = 0; k < count; k++)
        if (!cut->kept[i + k])
            return false;
    return true;
}

static bool is_torn(struct cut *cut)
{
    return cut->choice->keep == SIM_KEEP_TORN && medium_random(&cut->luck) % 4 == 0;
}

/* How many changes it was. */
static size_t apply_next(struct cut *cut, size_t i)
{
    const struct change *change = &cut->medium->changes[i];
    if (!cut->kept[i])
        return 1;
    if (is_name_change(change)) {
        names_apply(&cut->crashed->durable, change);
        return 1;
    }
    struct image *image = &cut->crashed->files[change->file_no].durable;
    bool may_tear = cut->choice->keep == SIM_KEEP_TORN;
    size_t whole = may_tear ? 0 : whole_chunk_at(cut->medium, i);
    if (whole > 0 && are_kept(cut, i, whole)) {
        image_put_chunk(image, chunk_no_of(change), change->chunk);
        return whole;
    }
    if (change->kind == CHANGE_SIZE && cut->choice->has_garbage)
        apply_size(image, change, &cut->luck);
    else if (change->kind == CHANGE_SECTOR && is_torn(cut))
        apply_torn(image, change, &cut->luck);
    else
        image_apply(image, change);
    return 1;
}

/* The next boot finds what is durable, and no file without a name [M3]. */
static void boot(struct medium *crashed)
{
    names_copy(&crashed->current, &crashed->durable);
    for (uint32_t i = 0; i < crashed->file_count; i++) {
        struct file_state *file = &crashed->files[i];
        if (!names_lead_to(&crashed->durable, i))
            image_clear(&file->durable);
        image_copy(&file->current, &file->durable);
    }
}

struct medium *medium_crash(const struct medium *medium, const struct sim_choice *choice)
{
    struct cut cut = {
        .medium = medium,
        .crashed = copy_durable(medium),
        .choice = choice,
        .kept = must(malloc(medium->change_count + 1)),
        .luck = choice->n ^ LUCK_SALT,
    };
    choose(medium, choice, cut.kept);
    keep_implied_sizes(medium, cut.kept);
    for (size_t i = 0; i < medium->change_count;)
        i += apply_next(&cut, i);
    boot(cut.crashed);
    free(cut.kept);
    return cut.crashed;
}

uint64_t medium_hash(const struct medium *medium)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < medium->current.count; i++) {
        const struct name *name = &medium->current.at[i];
        uint64_t mix = image_hash(&medium->files[name->file_no].current);
        for (const char *at = name->path; *at; at++)
            mix = (mix ^ (uint8_t)*at) * UINT64_C(0x100000001b3);
        hash += medium_random(&mix);
    }
    return hash;
}
