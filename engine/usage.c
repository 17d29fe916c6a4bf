/* Live bytes of value pages: see usage.h. */
#include "engine/usage.h"

#include "engine/store.h"
#include "page/mem.h"

#include <stdlib.h>

enum { USAGE_KEY_BYTES = 4, USAGE_ROW_BYTES = 12, USAGE_NOTES_HIGH = 1 << 16 };
/* What a page holds that was packed well: the next value mostly does not fit. */
enum { FULL_BYTES = PAGE_BYTES / 8 * 7 };

void usage_destroy(struct usage *usage)
{
    mem_free(usage->notes);
    *usage = (struct usage){0};
}

static int by_page(const void *left, const void *right)
{
    const struct usage_note *a = left;
    const struct usage_note *b = right;
    return (a->pgno > b->pgno) - (a->pgno < b->pgno);
}

/* One note a page, ascending. */
static void settle(struct usage *usage)
{
    size_t kept = 0;
    if (usage->count)
        qsort(usage->notes, usage->count, sizeof *usage->notes, by_page);
    for (size_t i = 0; i < usage->count; i++) {
        if (kept && usage->notes[kept - 1].pgno == usage->notes[i].pgno)
            usage->notes[kept - 1].bytes += usage->notes[i].bytes;
        else
            usage->notes[kept++] = usage->notes[i];
    }
    usage->count = kept;
}

static scn_status make_room(struct usage *usage)
{
    if (usage->count < usage->capacity)
        return SCN_OK;
    if (usage->count >= USAGE_NOTES_HIGH) {
        settle(usage);
        if (usage->count < usage->capacity / 2)
            return SCN_OK;
    }
    /* Twice as many, whatever has become free: what is left may be all different. */
    return mem_make_room(&usage->notes, &usage->capacity, (uint64_t)usage->capacity + 1,
                         sizeof *usage->notes);
}

scn_status usage_note(struct usage *usage, uint32_t pgno, uint64_t birth_gen,
                      int64_t bytes)
{
    if (usage->count && usage->notes[usage->count - 1].pgno == pgno) {
        usage->notes[usage->count - 1].bytes += bytes;
        return SCN_OK;
    }
    scn_status st = make_room(usage);
    if (st == SCN_OK)
        usage->notes[usage->count++] = (struct usage_note){pgno, bytes, birth_gen};
    return st;
}

/* ---- the rows ---- */

static scn_status row_live(const struct leaf_record *record, uint32_t pgno,
                           uint32_t *live)
{
    if (record->kind != LEAF_INLINE || record->payload_len != USAGE_ROW_BYTES)
        return error_corrupt(pgno, 0, "usage: the row of page %u is malformed", pgno);
    *live = get_u32(record->payload);
    return SCN_OK;
}

scn_status usage_read(struct pool_reader *reader, const struct tree *table, uint32_t pgno,
                      uint32_t *live)
{
    uint8_t buf[USAGE_KEY_BYTES];
    scn_slice key = {buf, sizeof buf};
    struct tree_record found;
    *live = 0;
    if (page_ref_is_null(&table->root))
        return SCN_OK;
    put_be32(buf, pgno);
    pool_enter(reader);
    scn_status st =
        tree_get(reader, table, key, leaf_hash(key.data, key.size), &found);
    if (st == SCN_OK)
        st = row_live(&found.record, pgno, live);
    pool_leave(reader);
    return st < 0 ? st : SCN_OK;
}

struct usage_sum {
    uint64_t pages;
    uint64_t bytes;
};

static scn_status add_leaf(void *ctx, const struct page_ref *ref, const uint8_t *page)
{
    struct usage_sum *sum = ctx;
    scn_status st = SCN_OK;
    for (uint32_t idx = 0; ref->level == 0 && idx < leaf_count(page); idx++) {
        struct leaf_record record;
        uint32_t live = 0;
        leaf_at(page, idx, &record);
        st = row_live(&record, ref->pgno, &live);
        if (st < 0)
            return st;
        sum->pages++;
        sum->bytes += live < PAGE_BYTES ? live : PAGE_BYTES;
    }
    return st;
}

scn_status usage_count(struct pool_reader *reader, const struct tree *table,
                       uint64_t *pages, uint64_t *needed)
{
    struct usage_sum sum = {0};
    scn_status st = SCN_OK;
    if (!page_ref_is_null(&table->root))
        st = tree_walk(reader, table, add_leaf, &sum);
    *pages = sum.pages;
    uint64_t packed = (sum.bytes + FULL_BYTES - 1) / FULL_BYTES;
    *needed = packed < sum.pages ? packed : sum.pages;
    return st;
}

/* ---- into the tree ---- */

struct feed {
    struct usage *usage;
    struct pool_reader *reader;
    struct space *space;
    struct tree old;
    size_t next;
    uint8_t rows[2][USAGE_KEY_BYTES + USAGE_ROW_BYTES];
    uint32_t turn;
};

static scn_status next_row(void *ctx, struct change *out)
{
    struct feed *feed = ctx;
    if (feed->next == feed->usage->count)
        return SCN_END;
    const struct usage_note *note = &feed->usage->notes[feed->next++];
    uint8_t *row = feed->rows[feed->turn ^= 1];
    uint32_t old_live;
    put_be32(row, note->pgno);
    scn_slice key = {row, USAGE_KEY_BYTES};
    scn_status st = usage_read(feed->reader, &feed->old, note->pgno, &old_live);
    if (st < 0)
        return st;
    int64_t live = (int64_t)old_live + note->bytes;
    if (live < 0 || live > UINT32_MAX)
        return error_corrupt(note->pgno, 0, "usage: page %u would have %lld live bytes",
                             note->pgno, (long long)live);
    put_u32(row + USAGE_KEY_BYTES, (uint32_t)live);
    put_u64(row + USAGE_KEY_BYTES + 4, note->birth_gen);
    *out = (struct change){.key = key,
                           .value = {row + USAGE_KEY_BYTES, USAGE_ROW_BYTES},
                           .kind = live ? CHANGE_PUT : CHANGE_DELETE};
    return live ? SCN_OK
                : space_free(feed->space, note->pgno, 1, note->birth_gen, SPACE_PAGES);
}

static scn_status row_page_freed(void *ctx, const struct page_ref *ref)
{
    struct feed *feed = ctx;
    return space_free(feed->space, ref->pgno, 1, ref->birth_gen, SPACE_PAGES);
}

/* Rows are short and lie in their leaves, in files of ours. */
static scn_status row_outside(void *ctx, const struct value_ref *ref)
{
    (void)ctx;
    return error_corrupt(ref->page.pgno, 0, "usage: a row lies outside its leaf");
}

scn_status usage_rebuild(struct usage *usage, struct rebuild *job,
                         struct pool_reader *reader, struct space *space,
                         struct page_ref *root)
{
    struct feed feed = {
        .usage = usage, .reader = reader, .space = space, .old = job->old};
    settle(usage);
    job->next = next_row;
    job->page_freed = row_page_freed;
    /* The caller's functions expect the caller's ctx. */
    job->value_dropped = row_outside;
    job->value_added = row_outside;
    job->step = NULL;
    job->ctx = &feed;
    return rebuild_tree(job, root);
}
