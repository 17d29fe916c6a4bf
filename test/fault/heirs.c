/* Snapshots of a life: see heirs.h. */
#include "test/fault/heirs.h"

#include "test/engine/rowsum.h"

#include <stdio.h>
#include <string.h>

enum { PATH_BYTES = 32, POOL_PAGES = 16 };

static void name_of(char path[PATH_BYTES], const char *what, uint32_t number)
{
    snprintf(path, PATH_BYTES, "%s%u", what, number);
}

static scn_status open_heir(struct life *life, const char *path, uint32_t flags,
                            scn_db **db)
{
    scn_options options = {.struct_size = sizeof options,
                           .flags = SCN_NOTHREAD | SCN_NOCREATE | flags};
    options.pool_bytes = POOL_PAGES * PAGE_BYTES;
    return store_open_on(life->sys, path, &options, db);
}

/* An empty file that no power cut takes. */
static int make_target(struct life *life, const char *path)
{
    sim_put_file(life->disk, path, "", 0);
    return sim_fd(life->disk, path, false);
}

/* ---- looking ---- */

static bool is_either(const struct heirs *heirs, const uint8_t id[16])
{
    return memcmp(heirs->last.id, id, 16) == 0 || memcmp(heirs->next.id, id, 16) == 0;
}

/* Its rows are those of the snapshot that it says it is. */
static void judge_heir(struct life *life, scn_db *db, const char *path)
{
    scn_snapshot_info info = {.struct_size = sizeof info};
    uint8_t digest[16];
    scn_status st = scn_snapshot_origin(db, &info);
    if (st == SCN_OK)
        st = rowsum_digest(db, digest);
    if (st != SCN_OK && life->trouble)
        return;
    if (st != SCN_OK)
        story_fail(&life->story, "%s: reading it says %d: %s", path, st,
                   error_last()->text);
    else if (memcmp(digest, info.digest, sizeof digest) != 0)
        story_fail(&life->story, "%s: its rows are not those it tells of", path);
    else if (strncmp(path, "full", 4) == 0 && life->heirs.has_base &&
             !is_either(&life->heirs, info.id))
        story_fail(&life->story, "%s: it is neither the old snapshot nor the new", path);
}

/* ---- full ones ---- */

/* In a story where all is well, what the story tells is in the copy. */
static void check_copy(struct life *life, const char *path)
{
    scn_db *db;
    uint32_t number;
    if (life->trouble)
        return;
    scn_status st = open_heir(life, path, SCN_RDONLY, &db);
    life_must(life, st, "opening a snapshot");
    if (st < 0)
        return;
    (void)story_check(&life->story, db, &number);
    (void)story_check_file(&life->story, db);
    judge_heir(life, db, path);
    (void)scn_close(db);
}

static scn_status take_full(struct life *life, const struct step *step)
{
    struct heirs *heirs = &life->heirs;
    char path[PATH_BYTES];
    scn_snapshot_info info = {.struct_size = sizeof info};
    bool is_over = heirs->has_base && !heirs->is_over;
    uint32_t number = is_over ? heirs->base : ++heirs->count;
    (void)step;
    name_of(path, "full", number);
    int fd = is_over ? sim_fd(life->disk, path, false) : make_target(life, path);
    heirs->has_base = false;
    heirs->is_over = is_over;
    scn_status st = scn_snapshot_to(life->db, fd, NULL, &info);
    if (st != SCN_OK)
        return st;
    heirs->last = info;
    heirs->next = info;
    heirs->base = number;
    heirs->has_base = true;
    check_copy(life, path);
    return SCN_OK;
}

void heirs_take(struct life *life)
{
    struct step step = {.what = "a snapshot", .run = take_full};
    life_take(life, &step);
}

/* ---- increments ---- */

static scn_status take_increment(struct life *life, int fd, scn_snapshot_info *info)
{
    scn_snapshot_options options = {.struct_size = sizeof options,
                                    .since_gen = life->heirs.last.gen};
    memcpy(options.since_id, life->heirs.last.id, sizeof options.since_id);
    *info = (scn_snapshot_info){.struct_size = sizeof *info};
    return scn_snapshot_to(life->db, fd, &options, info);
}

static scn_status apply(struct life *life, int fd)
{
    struct heirs *heirs = &life->heirs;
    char path[PATH_BYTES];
    scn_db *db;
    name_of(path, "full", heirs->base);
    scn_status st = open_heir(life, path, 0, &db);
    if (st < 0)
        return st;
    st = scn_snapshot_apply(db, fd, NULL, NULL);
    if (st == SCN_NOTADB && life->trouble) /* a bit of its magic was flipped */
        st = error_corrupt(0, 0, "%s", error_last()->text);
    if (st == SCN_EXISTS) /* what was told to be unknown had been done */
        st = SCN_OK;
    if (st == SCN_OK) {
        heirs->last = heirs->next;
        judge_heir(life, db, path);
    }
    scn_status closed = scn_close(db);
    return st < 0 ? st : closed;
}

/* An applying whose outcome was not told has taken place, or not. */
static scn_status settle(struct life *life)
{
    struct heirs *heirs = &life->heirs;
    char path[PATH_BYTES];
    scn_snapshot_info info = {.struct_size = sizeof info};
    scn_db *db;
    if (memcmp(heirs->last.id, heirs->next.id, sizeof info.id) == 0)
        return SCN_OK;
    name_of(path, "full", heirs->base);
    scn_status st = open_heir(life, path, 0, &db);
    if (st < 0)
        return st;
    st = scn_snapshot_origin(db, &info);
    if (st == SCN_OK && memcmp(info.id, heirs->next.id, sizeof info.id) == 0)
        heirs->last = heirs->next;
    scn_status closed = scn_close(db);
    return st < 0 ? st : closed;
}

static scn_status follow(struct life *life, const struct step *step)
{
    struct heirs *heirs = &life->heirs;
    char path[PATH_BYTES];
    scn_snapshot_info info;
    scn_status st = heirs->has_base ? settle(life) : SCN_OK;
    if (st < 0)
        return st;
    if (!heirs->has_base || !heirs->last.is_noted)
        return take_full(life, step);
    name_of(path, "increment", ++heirs->count);
    int fd = make_target(life, path);
    st = take_increment(life, fd, &info);
    if (st == SCN_NOTFOUND) /* the base was noted, but the note was never durable */
        return take_full(life, step);
    if (st != SCN_OK)
        return st;
    heirs->next = info;
    st = apply(life, fd);
    name_of(path, "full", heirs->base);
    if (st == SCN_OK)
        check_copy(life, path);
    return st;
}

void heirs_follow(struct life *life)
{
    struct step step = {.what = "an increment", .run = follow};
    life_take(life, &step);
}

/* ---- after a power cut ---- */

void heirs_check(struct life *life)
{
    for (uint32_t i = 1; i <= life->heirs.count && life_is_fine(life); i++) {
        char path[PATH_BYTES];
        scn_db *db;
        name_of(path, "full", i);
        scn_status st = open_heir(life, path, SCN_RDONLY, &db);
        if (st == SCN_NOTFOUND)
            continue; /* the number of an increment */
        bool was_whole = life->heirs.has_base && i == life->heirs.base;
        if (st < 0 && (was_whole || (st != SCN_NOTADB && st != SCN_CORRUPT)))
            story_fail(&life->story, "%s: opening says %d: %s", path, st,
                       error_last()->text);
        if (st < 0)
            continue;
        if (was_whole || !life->heirs.has_base)
            judge_heir(life, db, path);
        (void)story_check_file(&life->story, db);
        (void)scn_close(db);
    }
}
