/* Creation and recovery: see recovery.h. */
#include "engine/recovery.h"

#include "engine/ancestry.h"
#include "engine/apply.h"
#include "engine/checkpoint.h"
#include "engine/peers.h"
#include "engine/room.h"
#include "page/hash.h"
#include "page/mem.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- a new file ---- */

static scn_status random_bytes(struct sys *sys, void *buf, size_t len)
{
    int failed = sys->ops->random(sys, buf, len);
    return failed ? error_sys(failed, 0, "no random numbers from the system") : SCN_OK;
}

static scn_status fill_superblock(struct sys *sys, struct superblock *sb)
{
    *sb = (struct superblock){
        .version = SUPERBLOCK_VERSION, .page_bytes = PAGE_BYTES, .gen = 1};
    scn_status st = random_bytes(sys, sb->uuid, sizeof sb->uuid);
    if (st == SCN_OK)
        st = random_bytes(sys, &sb->gen_id, sizeof sb->gen_id);
    sys->ops->boot_id(sys, sb->boot_id);
    sb->page_count = FIRST_FREE_PAGE_NO + LOG_EXTENT_FIRST_PAGES;
    sb->needed_pages = sb->page_count;
    sb->used_pages = sb->page_count;
    return st;
}

/* Both slots are written: generation 1 and 2 with the same, empty content. */
static scn_status write_new(struct file *file, struct sys *sys)
{
    struct superblock sb;
    uint64_t epoch = 0;
    uint32_t first;
    scn_status st = fill_superblock(sys, &sb);
    if (st == SCN_OK)
        st = random_bytes(sys, &epoch, sizeof epoch);
    if (st == SCN_OK)
        st = file_grow(file, sb.page_count, &first);
    if (st == SCN_OK)
        st = log_prepare_extent(file, FIRST_FREE_PAGE_NO, LOG_EXTENT_FIRST_PAGES);
    if (st == SCN_OK)
        st = log_format(file, sb.uuid, FIRST_FREE_PAGE_NO, LOG_EXTENT_FIRST_PAGES, epoch,
                        &sb.base);
    if (st == SCN_OK)
        st = file_sync(file);
    if (st == SCN_OK)
        st = superblock_write(file, &sb);
    sb.gen = 2;
    sb.previous_gen_id = sb.gen_id;
    if (st == SCN_OK)
        st = random_bytes(sys, &sb.gen_id, sizeof sb.gen_id);
    return st < 0 ? st : superblock_write(file, &sb);
}

/* Without a name until it is whole: nothing is left of a maker who is killed.  Several
 * may be at it; who comes second finds the file of the first one. */
static scn_status create_unnamed(struct sys *sys, const char *path, bool *is_there)
{
    struct file file;
    *is_there = false;
    scn_status st = file_open_unnamed(&file, sys, path);
    if (st != SCN_OK)
        return st == SCN_NOTFOUND ? SCN_OK : st;
    st = write_new(&file, sys);
    if (st == SCN_OK)
        *is_there = file_give_name(&file);
    file_close(&file);
    return st;
}

static scn_status write_temporary(struct sys *sys, const char *name)
{
    struct sys_file *handle;
    struct file file;
    int failed = sys->ops->open(sys, name, SYS_CREATE | SYS_EXCL, &handle);
    if (failed)
        return error_sys(failed, 0, "the new store %.120s cannot be created", name);
    sys->ops->close(handle);
    scn_status st = file_open(&file, sys, name, false);
    if (st != SCN_OK)
        return st == SCN_NOTFOUND ? error_sys(0, 0, "the new file %.120s vanished", name)
                                  : st;
    st = write_new(&file, sys);
    file_close(&file);
    return st;
}

static scn_status temporary_name(struct sys *sys, const char *path, char **out)
{
    uint64_t random;
    size_t size = strlen(path) + 32;
    scn_status st = random_bytes(sys, &random, sizeof random);
    if (st < 0)
        return st;
    *out = mem_alloc(size);
    if (*out == NULL)
        return error_nomem();
    snprintf(*out, size, "%s.new-%016llx", path, (unsigned long long)random);
    return SCN_OK;
}

static scn_status create_named(struct sys *sys, const char *path)
{
    char *name = NULL;
    scn_status st = temporary_name(sys, path, &name);
    if (st < 0)
        return st;
    st = write_temporary(sys, name);
    if (st == SCN_OK) {
        int failed = sys->ops->link(sys, name, path);
        if (failed && failed != -EEXIST)
            st = error_sys(failed, 0, "the new store cannot get its name %.120s", path);
    }
    sys->ops->unlink(sys, name);
    mem_free(name);
    return st;
}

/* The second way is for file systems that have no files without a name; it says why it
 * fails, too. */
scn_status recovery_create(struct sys *sys, const char *path)
{
    bool is_there;
    scn_status st = create_unnamed(sys, path, &is_there);
    return st < 0 || is_there ? st : create_named(sys, path);
}

/* Who made the file, or found it and did not commit, may have died or failed before its
 * name was durable: so whoever finds it as it was made sees to that, the maker included.
 * First comes the file, which was synced when it had no name [Y3].
 * A folder that may not be read cannot be synced either. */
static scn_status keep_name(struct store *store)
{
    bool is_new = store->recovered.record_count == 0 &&
                  page_ref_is_null(&store->superblock.space);
    if (!is_new)
        return SCN_OK;
    scn_status st = file_sync(&store->file);
    if (st < 0)
        return st;
    int failed = store->sys->ops->sync_dir(store->sys, store->file.path);
    if (failed == 0 || failed == -EACCES)
        return SCN_OK;
    return error_sys(failed, 0, "the folder of %.120s cannot be synced",
                     store->file.path);
}

/* ---- the superblocks ---- */

struct slots {
    struct superblock sb[2];
    enum superblock_verdict verdict[2];
    const char *why[2];
    uint64_t told_synced_lsn; /* in a cure */
};

static scn_status read_slots(struct file *file, struct slots *slots)
{
    for (uint32_t i = 0; i < 2; i++) {
        scn_status st = superblock_read(file, i, &slots->sb[i], &slots->verdict[i],
                                        &slots->why[i]);
        if (st < 0)
            return st;
    }
    return SCN_OK;
}

/* One of them is good. */
static uint32_t newest_of(const struct slots *slots)
{
    bool good0 = slots->verdict[0] == SUPERBLOCK_GOOD;
    bool good1 = slots->verdict[1] == SUPERBLOCK_GOOD;
    return good1 && (!good0 || slots->sb[1].gen > slots->sb[0].gen) ? 1 : 0;
}

static bool has_verdict(const struct slots *slots, enum superblock_verdict verdict)
{
    return slots->verdict[0] == verdict || slots->verdict[1] == verdict;
}

static scn_status refuse(const struct file *file, const struct slots *slots)
{
    if (slots->verdict[0] == SUPERBLOCK_NEWER || slots->verdict[1] == SUPERBLOCK_NEWER)
        return superblock_say_newer(
            &slots->sb[slots->verdict[0] == SUPERBLOCK_NEWER ? 0 : 1]);
    if (has_verdict(slots, SUPERBLOCK_BROKEN))
        return error_corrupt(
            0, 0,
            "%.100s: both superblocks are damaged (%s); restore a backup or let "
            "walcheck salvage it",
            file->path, slots->why[0] ? slots->why[0] : slots->why[1]);
    return error_set(SCN_NOTADB, 0, 0, 0,
                     "%.160s is not a Scrine store; nothing was changed", file->path);
}

static scn_status load_space(struct store *store, const struct superblock *sb)
{
    scn_status st = page_ref_is_null(&sb->space)
                        ? space_init_new(store->space, sb->page_count)
                        : space_load(store->space, &store->file, &sb->space,
                                     sb->page_count, sb->gen);
    if (st == SCN_OK)
        atomic_store(&store->space_gen, sb->gen);
    return st;
}

/* What snapshots stand on, in this process or another, stays; but what was given up the
 * log may have gone on in. */
static scn_status mature(struct store *store)
{
    struct publish page;
    uint64_t *gens = NULL;
    uint32_t count = 0;
    uint32_t gone = 0;
    scn_status st = store_pins(store, &gens, &count);
    if (st == SCN_OK)
        st = publish_read(&store->file, &page);
    if (st == SCN_OK) {
        uint64_t floor = page.line[PUBLISH_CHECKPOINT].field[CHECKPOINT_GONE_FLOOR];
        while (gone < count && gens[gone] < floor)
            gone++;
        space_mature(store->space, gone < count ? &gens[gone] : NULL, count - gone);
    }
    mem_free(gens);
    return st;
}

/* The catalog's root and the allocation state can be read. */
static scn_status check_roots(struct store *store, const struct superblock *sb)
{
    const uint8_t *page;
    scn_status st = SCN_OK;
    if (sb->needed_pages > atomic_load(&store->file.page_count))
        return error_corrupt(
            0, 0, "the file has %llu pages, but generation %llu needs %u: it was cut",
            (unsigned long long)atomic_load(&store->file.page_count),
            (unsigned long long)sb->gen, sb->needed_pages);
    if (!page_ref_is_null(&sb->catalog)) {
        pool_enter(store->maintenance_reader);
        st = pool_get(store->maintenance_reader, &sb->catalog, &page);
        pool_leave(store->maintenance_reader);
    }
    if (st < 0 || store->space == NULL)
        return st;
    st = load_space(store, sb);
    return st == SCN_OK && !page_ref_is_null(&sb->space) ? mature(store) : st;
}

/* What may be between a generation and the next but one: more is no number of one. */
enum { SKIPPED_MAX = 1 << 16 };

/* [H2]: greater than any generation in either slot, readable or probable, and not in the
 * slot of the good one.  A torn slot may still have its number. */
static uint64_t first_new_gen(const struct slots *slots, uint32_t chosen)
{
    uint64_t newest = slots->sb[chosen].gen;
    uint64_t other = slots->sb[chosen ^ 1].gen;
    bool is_good = slots->verdict[chosen ^ 1] == SUPERBLOCK_GOOD;
    uint64_t gen = is_good ? newest + 1 : newest + 3;
    if (other >= gen && (is_good || other - newest < SKIPPED_MAX))
        gen = other + 1;
    return superblock_slot(gen) == superblock_slot(newest) ? gen + 1 : gen;
}

static void adopt_slot(struct store *store, const struct slots *slots, uint32_t chosen)
{
    store->superblock = slots->sb[chosen];
    store->next_gen = first_new_gen(slots, chosen);
    store->rest_base = store->superblock.base;
    store->has_commits = false;
    atomic_store(&store->base_lsn, store->superblock.base.lsn);
}

/* ---- replay ---- */

struct replay {
    struct store *store;
    uint64_t last_commit;          /* end of the last COMMIT */
    struct log_base behind_commit; /* the place behind it */
};

static scn_status replay_commit(struct store *store, const struct log_visit *visit)
{
    struct apply apply;
    scn_status st = apply_prepare(store, visit->payload, visit->payload_len,
                                  APPLY_RECOVERED, &apply);
    if (st < 0)
        return st;
    uint64_t ops = apply.count ? 0 : apply.ops; /* a new view counts anew */
    apply_finish(store, &apply, visit->end_lsn);
    store_note_active(store, ops);
    store->has_commits = true;
    store->replayed_lsn = visit->end_lsn;
    return SCN_OK;
}

/* An extent that came from the end of the file is not yet known to the generation. */
static scn_status replay_extent(struct store *store, const struct log_visit *visit)
{
    if (store->space == NULL || space_is_used(store->space, visit->extent.pgno))
        return SCN_OK;
    return space_reserve(store->space, visit->extent.pgno, visit->extent.pages);
}

static scn_status replay_record(void *ctx, const struct log_visit *visit)
{
    struct replay *replay = ctx;
    scn_status st = SCN_OK;
    if (visit->record.type == RECORD_COMMIT) {
        st = replay_commit(replay->store, visit);
        replay->last_commit = visit->end_lsn;
        replay->behind_commit = visit->next;
    } else if (visit->record.type == RECORD_EXTENT) {
        st = replay_extent(replay->store, visit);
    } else if (visit->record.type == RECORD_FREEZE) {
        st = apply_freeze(replay->store, &visit->next);
    }
    replay->store->replayed_lsn = visit->end_lsn;
    return st;
}

/* [H2] It was made, and is lost. */
static void skip(struct store *store, uint64_t lost)
{
    uint64_t newest = store->superblock.gen;
    if (lost < store->next_gen || lost - newest >= SKIPPED_MAX)
        return;
    bool is_in_slot = superblock_slot(lost + 1) == superblock_slot(newest);
    store->next_gen = lost + 1 + is_in_slot;
}

/* Where the slot of a lost generation tells nothing, or has an older one again, others
 * bear its number.  A snapshot may be noted of it: an increment would take what a second
 * one of its number has merged for older.  A run may be born in it, and its pages would
 * be taken for those that the second one has written.  A process may still have its
 * allocation state, and the line CHECKPOINT tells of it. */
static scn_status skip_lost(struct store *store)
{
    uint64_t noted;
    struct publish page;
    const struct view *view = store->view;
    scn_status st = ancestry_newest_gen(view, store->maintenance_reader, &noted);
    if (st == SCN_OK)
        st = publish_read(&store->file, &page);
    if (st < 0)
        return st;
    skip(store, noted);
    skip(store, page.line[PUBLISH_CHECKPOINT].field[CHECKPOINT_GEN]);
    for (uint32_t i = 0; i < view->source_count; i++)
        if (view->sources[i].run)
            skip(store, view->sources[i].run->birth_gen);
    return SCN_OK;
}

static scn_status first_view(struct store *store)
{
    store->replayed_lsn = store->superblock.base.lsn;
    return store_start_view(store, false);
}

static uint64_t known_synced(const struct slots *slots)
{
    uint64_t known = slots->told_synced_lsn;
    for (int i = 0; i < 2; i++)
        if (slots->verdict[i] == SUPERBLOCK_GOOD && slots->sb[i].base.lsn > known)
            known = slots->sb[i].base.lsn;
    return known;
}

static scn_status judge_end(struct store *store)
{
    const struct log_scan_result *result = &store->recovered;
    if (result->kind != LOG_END_CORRUPT || store->is_read_only)
        return SCN_OK;
    return error_corrupt(
        0, result->bad_off,
        "the log is damaged at offset %llu before acknowledged commits (%s); "
        "nothing was changed: open read-only, or let walcheck salvage it",
        (unsigned long long)result->bad_off, result->why ? result->why : "");
}

/* ---- from here the log can be written ---- */

static bool is_in_chain(const struct log_extent *chain, uint32_t count, uint32_t pgno)
{
    for (uint32_t i = 0; i < count; i++)
        if (chain[i].pgno == pgno)
            return true;
    return false;
}

/* Spares that were linked behind the superblock's back are part of the chain now. */
static scn_status drop_linked_spares(struct store *store)
{
    uint32_t count = log_extents(store->log, NULL, 0);
    struct log_spare spares[LOG_SPARE_MAX];
    struct log_extent *chain = mem_alloc((count + 1) * sizeof *chain);
    if (chain == NULL)
        return error_nomem();
    count = log_extents(store->log, chain, count);
    uint32_t have = log_drop_spares(store->log, 0, 0, spares);
    scn_status st = SCN_OK;
    for (uint32_t i = 0; i < have && st == SCN_OK; i++)
        if (!is_in_chain(chain, count, spares[i].pgno))
            st = log_add_spare(store->log, spares[i]);
    mem_free(chain);
    return st;
}

/* The place where the adopted part begins: behind the last record that is known to be
 * durable. */
struct adopted {
    uint64_t watermark;
    struct log_base from;
};

static scn_status find_adopted(void *ctx, const struct log_visit *visit)
{
    struct adopted *adopted = ctx;
    if (visit->end_lsn <= adopted->watermark)
        adopted->from = visit->next;
    return SCN_OK;
}

/* Mostly all commits are known to be durable. Then what comes behind the last one is
 * written again without a look at it: marks, and perhaps the record that leads on. */
static scn_status make_durable(struct store *store, const struct replay *replay)
{
    struct log_scan_result *result = &store->recovered;
    struct adopted adopted = {result->watermark, store->superblock.base};
    struct log_scan_result again;
    if (replay->last_commit <= result->watermark && result->is_settled) {
        log_settle(store->log, &result->settled);
        return SCN_OK;
    }
    if (replay->last_commit <= result->watermark)
        return log_rewrite(store->log, &replay->behind_commit);
    scn_status st = log_scan(&store->file, store->superblock.uuid,
                             &store->superblock.base, result->watermark, false,
                             find_adopted, &adopted, &again);
    return st < 0 ? st : log_rewrite(store->log, &adopted.from);
}

static scn_status open_log(struct store *store, const struct replay *replay)
{
    struct superblock *sb = &store->superblock;
    uint64_t epoch;
    scn_status st = log_create(&store->file, &store->locks, sb->uuid, &sb->base,
                               &store->recovered.end, sb->spares, sb->spare_count,
                               &store->log);
    if (st == SCN_OK)
        st = drop_linked_spares(store);
    if (st == SCN_OK)
        st = keep_name(store);
    if (st == SCN_OK)
        st = make_durable(store, replay);
    if (st == SCN_OK)
        st = random_bytes(store->sys, &epoch, sizeof epoch);
    if (st < 0)
        return st;
    atomic_store(&store->epoch_start_lsn, store->recovered.capacity_lsn);
    atomic_store(&store->found_lsn, store->recovered.end.lsn);
    atomic_store(&store->lazy_lsn, store->recovered.end.lsn);
    log_begin_epoch(store->log, epoch, store->recovered.capacity_lsn);
    room_measure(store, room_count(store, atomic_load(&store->file.page_count)));
    return SCN_OK;
}

/* One try with one slot: roots, replay, judgement.  The log is read from the medium, by
 * who only reads, too: what the page cache has besides was lost with a failed sync. */
static scn_status run_slot(struct store *store, const struct slots *slots,
                           uint32_t chosen)
{
    struct replay replay = {.store = store, .behind_commit = slots->sb[chosen].base};
    scn_status st = check_roots(store, &slots->sb[chosen]);
    if (st < 0)
        return st;
    adopt_slot(store, slots, chosen);
    st = first_view(store);
    if (st == SCN_OK)
        st = log_scan(&store->file, store->superblock.uuid, &store->superblock.base,
                      known_synced(slots), true, replay_record, &replay,
                      &store->recovered);
    if (st == SCN_OK)
        st = judge_end(store);
    if (st == SCN_OK)
        st = skip_lost(store);
    if (st < 0)
        return st;
    /* A reader only follows, should somebody write. */
    return store->is_read_only
               ? log_join(&store->file, &store->locks, store->superblock.uuid,
                          &store->recovered.end, &store->log)
               : open_log(store, &replay);
}

/* What a generation lacks today may be there tomorrow, when the file is longer; by then
 * its pages are others'.  All else of its slot stays: the number is not given again [H2],
 * and the base bears witness of the log [L3].  Before anybody takes a page; and again
 * where it was done before, by a recovery that may have been killed before its sync. */
static scn_status give_up(struct store *store, const struct superblock *newest)
{
    struct superblock sb = *newest;
    if (store->is_read_only)
        return SCN_OK;
    sb.needed_pages = FILE_PAGES_MAX;
    return superblock_write(&store->file, &sb);
}

/* The newest generation's roots do not verify: the older one will do if the log fills
 * the gap. known_synced holds the newest base, so a log that ends before it is judged
 * corrupt. */
static scn_status run_older(struct store *store, const struct slots *slots,
                            uint32_t newest)
{
    uint32_t older = newest ^ 1;
    struct scn_error first = *error_last();
    if (slots->verdict[older] != SUPERBLOCK_GOOD)
        return SCN_CORRUPT;
    scn_status st = run_slot(store, slots, older);
    if (st < 0)
        return st;
    if (store->replayed_lsn >= slots->sb[newest].base.lsn)
        return give_up(store, &slots->sb[newest]);
    return error_corrupt(first.page, first.offset, "%s", first.text);
}

/* Who was killed while he gave it up has torn its slot; the power cut that takes the torn
 * bytes would bring it back. */
static scn_status keep_torn(struct store *store, const struct slots *slots,
                            uint32_t newest)
{
    uint32_t other = newest ^ 1;
    bool was_newer = slots->verdict[other] != SUPERBLOCK_GOOD &&
                     slots->sb[other].gen > slots->sb[newest].gen;
    return was_newer && !store->is_read_only ? file_sync(&store->file) : SCN_OK;
}

/* A run whose birth is a generation that cannot be read any more.  No pin keeps its
 * pages once it is merged, since nobody can stand on that one, and whoever follows the
 * log would wait for it [O3]. */
static bool has_stray_run(const struct store *store)
{
    const struct view *view = store->view;
    for (uint32_t i = 0; i < view->source_count; i++)
        if (view->sources[i].run && view->sources[i].run->birth_gen > view->gen)
            return true;
    return false;
}

/* Whoever comes pins it himself, with the kernel's lock. */
static void unpin(struct store *store)
{
    struct view *view = store->view;
    if (!view->is_pinned)
        return;
    view->is_pinned = false;
    atomic_store(&store->pinned_gen, 0);
    pin_drop(&store->pins, view->gen);
}

/* Who is in the session before may read the lost generation's pages, which are free in
 * this one: they are left alone, unless the file cannot grow. */
static scn_status merge_beside(struct store *store)
{
    scn_status st = checkpoint_run(store, CHECKPOINT_GROWING);
    return st == SCN_FULL ? checkpoint_run(store, CHECKPOINT_PLAIN) : st;
}

/* Before anybody begins a snapshot.  Who only reads sees it alone, and on the generation
 * that there is.  Others may live, in good health and with the lost generation, and would
 * go on building upon that one, should this process be killed behind the superblock: so
 * their session ends first. */
static scn_status merge_strays(struct store *store)
{
    struct publish page;
    if (store->is_read_only || !has_stray_run(store))
        return SCN_OK;
    scn_status st = publish_read(&store->file, &page);
    if (st < 0)
        return st;
    if (page.line[PUBLISH_SESSION].sequence)
        publish_poison(&store->file, page.line[PUBLISH_SESSION].epoch);
    st = merge_beside(store);
    unpin(store);
    return st;
}

scn_status recovery_run(struct store *store)
{
    struct slots slots = {.told_synced_lsn = store->told_synced_lsn};
    uint64_t begun = store->sys->ops->now_ns(store->sys);
    /* Others may have grown the file since it was opened. */
    scn_status st = file_learn_size(&store->file);
    if (st == SCN_OK)
        st = read_slots(&store->file, &slots);
    if (st < 0)
        return st;
    bool good0 = slots.verdict[0] == SUPERBLOCK_GOOD;
    bool good1 = slots.verdict[1] == SUPERBLOCK_GOOD;
    if (has_verdict(&slots, SUPERBLOCK_NEWER) || (!good0 && !good1))
        return refuse(&store->file, &slots);
    uint32_t newest = newest_of(&slots);
    if (!store->is_read_only && superblock_is_read_only(&slots.sb[newest]))
        return superblock_say_newer(&slots.sb[newest]);
    st = run_slot(store, &slots, newest);
    if (st == SCN_OK)
        st = keep_torn(store, &slots, newest);
    else if (st == SCN_CORRUPT && store->view == NULL)
        st = run_older(store, &slots, newest);
    if (st == SCN_OK)
        st = merge_strays(store);
    store->recovery_ns = store->sys->ops->now_ns(store->sys) - begun;
    return st;
}

/* ---- the checkpoint lock ---- */

/* What the other slot holds was not begun in the session: nobody died while writing it.
 * (A newer generation from before the session is one that recovery could not use.) */
static bool is_quiet(const struct store *store, const struct slots *slots)
{
    uint64_t gen = store->superblock.gen;
    uint32_t newest = superblock_slot(gen);
    uint32_t other = newest ^ 1;
    bool is_there = slots->verdict[newest] == SUPERBLOCK_GOOD &&
                    slots->sb[newest].gen == gen;
    bool is_old = slots->sb[other].gen < gen || slots->sb[other].gen < store->session_gen;
    return is_there && slots->verdict[other] == SUPERBLOCK_GOOD && is_old;
}

/* The slot of the generation that this process stands on has rotted, or has an older one
 * again: it is written anew, before the next one takes the place of the one before it.
 * Torn, that would leave none to go on from. */
static scn_status renew_newest(struct store *store, struct slots *slots)
{
    const struct superblock *sb = &store->superblock;
    uint32_t slot = superblock_slot(sb->gen);
    const struct superblock *found = &slots->sb[slot];
    enum superblock_verdict verdict = slots->verdict[slot];
    bool is_ours = verdict == SUPERBLOCK_GOOD &&
                   memcmp(found->uuid, sb->uuid, sizeof sb->uuid) == 0;
    if (is_ours && found->gen == sb->gen)
        return SCN_OK;
    bool is_older = is_ours && found->gen < sb->gen;
    if (verdict == SUPERBLOCK_NEWER || (verdict == SUPERBLOCK_GOOD && !is_older))
        return error_corrupt(slot, 0, "the superblock of generation %llu is damaged",
                             (unsigned long long)sb->gen);
    scn_status st = lock_take(&store->locks, LOCK_SYNC, UINT32_MAX);
    if (st < 0)
        return st;
    st = file_check_handle(&store->file);
    if (st == SCN_OK)
        st = superblock_write(&store->file, sb);
    lock_give(&store->locks, LOCK_SYNC);
    return st == SCN_OK ? read_slots(&store->file, slots) : st;
}

/* What a checkpoint that died has written may be durable or not: the sync decides it. */
static scn_status settle_slots(struct store *store, struct slots *slots)
{
    uint64_t gen = store->superblock.gen;
    scn_status st = read_slots(&store->file, slots);
    if (st < 0 || is_quiet(store, slots))
        return st;
    st = file_sync(&store->file);
    if (st == SCN_OK)
        st = read_slots(&store->file, slots);
    if (st == SCN_OK)
        st = renew_newest(store, slots);
    if (st < 0)
        return st;
    const struct superblock *other = &slots->sb[superblock_slot(gen) ^ 1];
    bool is_newer = slots->verdict[superblock_slot(gen) ^ 1] == SUPERBLOCK_GOOD &&
                    other->gen > gen && other->gen >= store->session_gen;
    if (!is_newer)
        return SCN_OK;
    st = peers_tell_generation(store, other, 0);
    return st == SCN_OK ? peers_follow(store) : st;
}

/* Recovery may have fallen back, and nobody has made a generation since: the log may lie
 * in pages that this one has freed.  The other slot does not tell: it may be lost, or
 * have an older generation again. */
static bool is_recovered(const struct store *store)
{
    return store->superblock.gen < store->session_gen;
}

/* Nobody else writes, but slots rot. */
static scn_status renew_alone(struct store *store)
{
    struct slots slots;
    scn_status st = read_slots(&store->file, &slots);
    return st == SCN_OK ? renew_newest(store, &slots) : st;
}

scn_status recovery_adopt(struct store *store)
{
    struct slots slots;
    if (store->is_read_only)
        return SCN_OK;
    if (!store_is_shared(store))
        return renew_alone(store);
    scn_status st = peers_follow(store);
    if (st == SCN_OK)
        st = settle_slots(store, &slots);
    if (st < 0)
        return st;
    store->next_gen = first_new_gen(&slots, superblock_slot(store->superblock.gen));
    if (store->next_gen < store->session_gen)
        store->next_gen = store->session_gen;
    if (atomic_load(&store->space_gen) != store->superblock.gen)
        st = load_space(store, &store->superblock);
    return st == SCN_OK && is_recovered(store) ? mature(store) : st;
}
