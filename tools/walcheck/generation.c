/* Which generation counts: see generation.h. */
#include "tools/walcheck/generation.h"

#include <inttypes.h>

const char *generation_verdict_word(enum superblock_verdict verdict)
{
    static const char *const words[] = {
        [SUPERBLOCK_GOOD] = "good",       [SUPERBLOCK_BLANK] = "blank",
        [SUPERBLOCK_FOREIGN] = "no superblock", [SUPERBLOCK_BROKEN] = "damaged",
        [SUPERBLOCK_NEWER] = "of a newer version"};
    return words[verdict];
}

scn_status generations_read(struct subject *subject, struct generations *out)
{
    *out = (struct generations){.newest = -1};
    scn_status st = SCN_OK;
    for (uint32_t i = 0; i < 2 && st == SCN_OK; i++) {
        st = superblock_read(&subject->file, i, &out->sb[i], &out->verdict[i],
                             &out->why[i]);
        bool is_good = st == SCN_OK && out->verdict[i] == SUPERBLOCK_GOOD;
        if (is_good && (out->newest < 0 || out->sb[i].gen > out->sb[0].gen))
            out->newest = (int)i;
    }
    return st;
}

bool generations_equal(const struct generations *a, const struct generations *b)
{
    for (int i = 0; i < 2; i++)
        if (a->verdict[i] != b->verdict[i] || a->sb[i].gen != b->sb[i].gen ||
            a->sb[i].gen_id != b->sb[i].gen_id)
            return false;
    return true;
}

bool generations_have(const struct generations *generations,
                      enum superblock_verdict verdict)
{
    return generations->verdict[0] == verdict || generations->verdict[1] == verdict;
}

uint64_t generations_synced(const struct generations *generations)
{
    uint64_t known = 0;
    for (int i = 0; i < 2; i++)
        if (generations->verdict[i] == SUPERBLOCK_GOOD &&
            generations->sb[i].base.lsn > known)
            known = generations->sb[i].base.lsn;
    return known;
}

static scn_status check_length(struct subject *subject, const struct superblock *sb)
{
    uint64_t pages = atomic_load(&subject->file.page_count);
    if (sb->needed_pages <= pages)
        return SCN_OK;
    return error_corrupt(pages, pages * PAGE_BYTES,
                         "the file has %" PRIu64 " pages, but generation %" PRIu64
                         " needs %" PRIu32 ": it was cut",
                         pages, sb->gen, sb->needed_pages);
}

static scn_status check_catalog(struct subject *subject, const struct superblock *sb)
{
    uint8_t *image = NULL;
    if (page_ref_is_null(&sb->catalog))
        return SCN_OK;
    scn_status st = pagecopy_reserve(&image);
    if (st == SCN_OK)
        st = subject_page(subject, &sb->catalog, image);
    pagecopy_free(image);
    return st;
}

scn_status generation_load_space(struct subject *subject, const struct superblock *sb,
                                 struct space **space)
{
    *space = NULL;
    scn_status st = space_create(subject->file.sys, space);
    if (st < 0)
        return st;
    st = page_ref_is_null(&sb->space)
             ? space_init_new(*space, sb->page_count)
             : space_load(*space, &subject->file, &sb->space, sb->page_count, sb->gen);
    if (st == SCN_OK) {
        space_mature(*space, NULL, 0);
        return SCN_OK;
    }
    space_destroy(*space);
    *space = NULL;
    return st;
}

scn_status generation_load(struct subject *subject, const struct superblock *sb,
                           struct space **space)
{
    *space = NULL;
    scn_status st = check_length(subject, sb);
    if (st == SCN_OK)
        st = check_catalog(subject, sb);
    return st == SCN_OK ? generation_load_space(subject, sb, space) : st;
}
