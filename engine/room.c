/* Room in the log: see room.h. */
#include "engine/room.h"

#include "engine/background.h"
#include "engine/checkpoint.h"
#include "engine/leafcut.h"
#include "engine/peers.h"
#include "engine/rebuild.h"

/* So much is read in a millisecond or two. */
enum { WORTH_BYTES_MIN = 256 << 10 };
/* Between two looks at what other processes have done. */
#define LOOK_NS UINT64_C(5000000)

static uint64_t log_bytes(struct store *store)
{
    return log_bytes_since(store->log, atomic_load(&store->base_lsn));
}

bool room_is_checkpoint_due(struct store *store)
{
    return atomic_load(&store->wants_drain) ||
           log_bytes(store) > store->options.log_bytes / 2 ||
           atomic_load(&store->delta_debt) > 2 * store->options.log_bytes ||
           atomic_load(&store->run_count) > RUN_COUNT_HIGH ||
           atomic_load(&store->clear_count) > CLEAR_COUNT_HIGH;
}

bool room_is_worth_a_checkpoint(struct store *store)
{
    uint64_t worth = store->options.log_bytes / 16;
    if (worth < WORTH_BYTES_MIN)
        worth = WORTH_BYTES_MIN;
    return room_is_checkpoint_due(store) || log_bytes(store) > worth;
}

bool room_is_exhausted(struct store *store)
{
    return log_bytes(store) > store->options.log_bytes ||
           atomic_load(&store->delta_debt) > 8 * store->options.log_bytes ||
           atomic_load(&store->run_count) > 4 * RUN_COUNT_HIGH;
}

/* The checkpoint that was waited for may have ended before the wait began, and of a
 * poisoned store there will be none. */
static bool must_wait(struct store *store, enum checkpoint_mode mode)
{
    return !file_is_poisoned(&store->file) &&
           (mode == CHECKPOINT_DRAIN || room_is_exhausted(store));
}

static scn_status outcome(struct store *store)
{
    scn_status st = atomic_load(&store->checkpoint_status);
    if (st < 0)
        return error_set(
            st, 0, 0, 0,
            "the log is full and the checkpoint that would empty it failed: %s",
            scn_strerror(st));
    return SCN_OK;
}

/* State mutex held.  False when the deadline has passed.  What other processes do wakes
 * nobody. */
static bool wait_a_while(struct store *store, const _Atomic uint64_t *number,
                         uint64_t seen, uint64_t deadline_ns)
{
    const struct sys_ops *ops = store->sys->ops;
    uint64_t until = deadline_ns;
    uint64_t now = ops->now_ns(store->sys);
    if (now >= deadline_ns)
        return false;
    if (store_is_shared(store) && deadline_ns - now > LOOK_NS)
        until = now + LOOK_NS;
    if (atomic_load(number) == seen)
        (void)ops->cond_wait(store->space_cond, store->state_mutex, until);
    return true;
}

static scn_status wait_for_thread(struct store *store, enum checkpoint_mode mode,
                                  uint64_t deadline_ns)
{
    const struct sys_ops *ops = store->sys->ops;
    const _Atomic uint64_t *number =
        mode == CHECKPOINT_DRAIN ? &store->drain_number : &store->checkpoint_number;
    uint64_t seen = atomic_load(number);
    bool in_time = true;
    scn_status st = SCN_OK;
    if (mode == CHECKPOINT_DRAIN)
        atomic_store(&store->wants_drain, true);
    background_wake(store->background);
    while (in_time && st == SCN_OK && atomic_load(number) == seen &&
           must_wait(store, mode)) {
        ops->mutex_lock(store->state_mutex);
        in_time = wait_a_while(store, number, seen, deadline_ns);
        ops->mutex_unlock(store->state_mutex);
        /* Another process may have made the checkpoint. */
        st = peers_follow(store);
    }
    if (st < 0)
        return st;
    if (!in_time)
        return error_set(
            SCN_BUSY, 0, 0, 0,
            "the log is full and the checkpoint that empties it takes longer than "
            "busy_timeout; give the store a larger log or more time");
    return atomic_load(number) != seen ? outcome(store)
                                       : file_check_poison(&store->file);
}

scn_status room_wait(struct store *store, enum checkpoint_mode mode, uint64_t deadline_ns)
{
    scn_status st = checkpoint_check_not_inside(store);
    if (st < 0)
        return st;
    if (store->background)
        return wait_for_thread(store, mode, deadline_ns);
    return checkpoint_run(store, mode);
}

/* A file that somebody has cut by pages that were freed is shorter than what it has given
 * out; it gets these back first, since new pages have to be new ones. */
static scn_status grow_behind_all(struct store *store, uint32_t pages, bool keeps,
                                  uint32_t *pgno)
{
    uint32_t first;
    scn_status st = file_learn_size(&store->file);
    if (st < 0)
        return st;
    uint64_t file_pages = atomic_load(&store->file.page_count);
    uint64_t end = atomic_load(&store->end_pages);
    uint32_t missing = end > file_pages ? (uint32_t)(end - file_pages) : 0;
    *pgno = (uint32_t)file_pages + missing;
    if (keeps && file_pages + missing + pages <= FILE_PAGES_MAX) /* else it cannot grow */
        st = grown_add(&store->grown, *pgno, pages);
    if (st < 0)
        return st;
    st = file_grow(&store->file, missing + pages, &first);
    if (st < 0 && keeps && grown_has(&store->grown, *pgno))
        grown_remove(&store->grown, *pgno, pages);
    return st;
}

scn_status room_grow(struct store *store, uint32_t pages, bool has_append, bool keeps,
                     uint32_t *pgno)
{
    scn_status st = SCN_OK;
    if (!has_append && lock_is_mine(&store->locks, LOCK_APPEND))
        st = error_misuse("inside scn_update, another transaction cannot grow the file");
    else if (!has_append)
        st = lock_take(&store->locks, LOCK_APPEND, store->options.busy_timeout_ms);
    if (st < 0)
        return st;
    st = grow_behind_all(store, pages, keeps, pgno);
    if (!has_append)
        lock_give(&store->locks, LOCK_APPEND);
    return st;
}

void room_give_back(struct store *store, uint32_t pgno, uint32_t pages)
{
    /* First: whoever counts between the two (room_measure) has them in his count. */
    atomic_fetch_add(&store->room_pages, pages);
    grown_remove(&store->grown, pgno, pages);
}

/* ---- admission ----
 *
 * What is admitted can be merged: a checkpoint takes no more pages than are counted here,
 * and gets as many as are left.  The second is engine/supply.h's promise: pages are taken
 * one by one where they have no neighbours, from all that is free and all that the file
 * may grow by, which is what room_measure has counted; nothing that a checkpoint writes
 * has to lie side by side.  The first, for each kind of page:
 *
 *     leaves         two for an operation: a put into a full leaf cuts it, and a deletion
 *                    that leaves little has the next leaf written anew, too
 *     inner pages    inner_pages_needed
 *     catalog        a leaf for each table more than one, since its root is another one
 *     values         value_pages_needed
 *     usage, state   side_pages: all of both, written anew
 *     the rest       OVERHEAD_PAGES
 *
 * Whoever else makes the file longer takes of the room, in this process or another: what
 * the file has grown by since is taken off.  Who made the generation tells the others how
 * many pages were free then: only he knows whose those between its own are.  A log extent
 * is counted with each commit; but each process makes its own ready, so they are judged
 * as they grow, like bulk runs, when all that others were promised is known.
 */

enum {
    /* A checkpoint takes this much beside what is counted: paths of the catalog, and the
     * upper levels of the usage. */
    OVERHEAD_PAGES = 12,
    /* A row of the usage takes 32 bytes of a leaf, which is a quarter full at least. */
    USAGE_ROWS_MIN = PAGE_BYTES / 4 / 32,
    /* Items in a page of the allocation state, and pages whose bits are one. */
    STATE_ITEMS = (PAGE_BYTES - PAGE_HEADER_BYTES - PAGE_REF_BYTES) / 32,
    STATE_BITS = 256,
    /* Kept for transactions that only delete. */
    RESERVE_PAGES_MAX = (PAGE_IS_SMALL ? 128 << 10 : 4 << 20) / PAGE_BYTES
};

static uint64_t growable_pages(struct store *store, uint64_t end_pages)
{
    uint64_t limit = FILE_PAGES_MAX;
    uint64_t free_bytes;
    if (store->sys->ops->free_bytes(store->file.handle, &free_bytes) == 0) {
        uint64_t size = atomic_load(&store->file.page_count);
        if (size + free_bytes / PAGE_BYTES < limit)
            limit = size + free_bytes / PAGE_BYTES;
    }
    if (store->file.max_bytes && store->file.max_bytes / PAGE_BYTES < limit)
        limit = store->file.max_bytes / PAGE_BYTES;
    return limit > end_pages ? limit - end_pages : 0;
}

/* Exactly where the allocation is loaded; else what the superblock says, in which pages
 * behind its end are not counted as free. */
void room_stat(struct store *store, struct space_stat *out)
{
    store->sys->ops->mutex_lock(store->state_mutex);
    const struct superblock *sb = &store->superblock;
    bool is_loaded = store->space && atomic_load(&store->space_gen) == sb->gen;
    *out = (struct space_stat){
        .used_pages = sb->used_pages,
        .freed_pages = sb->freed_pages,
        .free_pages = sb->page_count - sb->used_pages,
        .end_pages = sb->page_count,
    };
    store->sys->ops->mutex_unlock(store->state_mutex);
    if (is_loaded)
        space_stat(store->space, out);
    uint64_t pages = atomic_load(&store->file.page_count);
    if (!is_loaded && pages > out->end_pages)
        out->end_pages = pages;
}

/* Of usage and allocation state, where each of so many pages has a row in both. */
static uint64_t side_pages(uint64_t pages)
{
    uint64_t usage_leaves = pages / USAGE_ROWS_MIN;
    return usage_leaves + usage_leaves / USAGE_ROWS_MIN +
           (pages + pages / STATE_BITS) / STATE_ITEMS;
}

uint64_t room_count(struct store *store, uint64_t file_pages)
{
    struct space_stat stat;
    space_stat(store->space, &stat);
    uint64_t tail = file_pages > stat.end_pages ? file_pages - stat.end_pages : 0;
    return stat.free_pages + tail + 1;
}

static scn_status sum_up(void *ctx, uint32_t pgno, uint32_t count)
{
    uint64_t *pages = ctx;
    (void)pgno;
    *pages += count;
    return SCN_OK;
}

uint64_t room_count_alone(struct store *store)
{
    uint64_t grown = 0;
    if (grown_each(&store->grown, sum_up, &grown) < 0 || grown > 0)
        return 0;
    return room_count(store, atomic_load(&store->file.page_count));
}

/* Where nobody has counted, nothing is free until somebody has. */
void room_measure(struct store *store, uint64_t counted)
{
    struct space_stat stat;
    room_stat(store, &stat);
    uint64_t size = atomic_load(&store->file.page_count);
    uint64_t end = store->superblock.page_count;
    uint64_t first_new = size > end ? size : end;
    uint64_t growable = growable_pages(store, first_new);
    uint64_t reserve = (first_new + growable) / 16;
    atomic_store(&store->end_pages, end);
    atomic_store(&store->tree_pages, stat.used_pages - stat.freed_pages);
    atomic_store(&store->side_pages, side_pages(first_new + growable));
    atomic_store(&store->room_size, size);
    atomic_store(&store->room_needed, 0);
    atomic_store(&store->room_pages, (counted ? counted - 1 : 0) + growable);
    atomic_store(&store->reserve_pages,
                 reserve < RESERVE_PAGES_MAX ? reserve : RESERVE_PAGES_MAX);
}

uint64_t room_for_run(struct store *store, uint64_t rows, uint64_t pages)
{
    uint64_t row_bytes = atomic_load(&store->longest_key) + VALUE_INLINE_MAX + 8;
    uint64_t leaves = 2 * rows * row_bytes / PAGE_BYTES + 1;
    return leaves < pages ? leaves : pages;
}

/* Inner pages, at worst half full, that lead to so many leaves written anew, when keys
 * are as long as the longest one: their own path each, or all there will be, with a right
 * edge for each of so many tables more than one.  Where only two or three children fit a
 * page, one that is left alone goes on to the next page, and so through the whole level.
 */
static uint64_t inner_pages_needed(struct store *store, uint64_t tree, uint64_t leaves,
                                   uint64_t more_tables)
{
    enum { FANOUT_MIN = 2, FANOUT_STEADY = 4 };
    uint64_t child_bytes = PAGE_REF_BYTES + 8 + atomic_load(&store->longest_key);
    uint64_t fanout = PAGE_BYTES / 2 / child_bytes;
    uint64_t levels = 1;
    if (fanout < FANOUT_MIN)
        fanout = FANOUT_MIN;
    for (uint64_t pages = fanout; pages < tree; pages *= fanout)
        levels++;
    uint64_t all = tree / fanout + leaves / (fanout - 1) + levels * (1 + more_tables);
    return fanout < FANOUT_STEADY || leaves * levels > all ? all : leaves * levels;
}

/* A value of one byte more than a page takes three: two of data and one of index.  No
 * other takes more for its bytes: longer ones have the same index for more data, and of
 * those that share pages two neighbours together are longer than a page.  But a page is
 * also sealed before its time: when too many leaves wait for it, and before an inner page
 * is written that leads to one of these.  In each there is a new value. */
static uint64_t value_pages_needed(uint64_t puts, uint64_t bytes, uint64_t inner_pages)
{
    uint64_t sealed = puts / LEAFCUT_HELD_MAX + (puts < inner_pages ? puts : inner_pages);
    if (sealed > bytes / REBUILD_COMPRESS_MIN)
        sealed = bytes / REBUILD_COMPRESS_MIN;
    return 3 * bytes / VALUE_SPREAD_BYTES + sealed;
}

/* What a checkpoint has to merge. */
struct load {
    uint64_t ops;
    uint64_t puts; /* of them */
    uint64_t tables;
    uint64_t bytes;
    uint64_t run_pages;
};

/* Each operation has at most two leaves written, and all of them at most all leaves; of
 * rows that come new, their bytes say how many leaves they fill. */
static uint64_t pages_needed(struct store *store, const struct load *load)
{
    uint64_t tree = atomic_load(&store->tree_pages);
    uint64_t fresh = 3 * load->bytes / VALUE_SPREAD_BYTES + load->run_pages;
    uint64_t leaves = 2 * load->ops;
    if (leaves > 2 * tree)
        leaves = 2 * tree;
    /* What is committed may be in the table that has changed already. */
    uint64_t more_tables = load->tables > 2 ? load->tables - 2 : 0;
    uint64_t inner = inner_pages_needed(store, tree, leaves + fresh, more_tables);
    return leaves + inner + more_tables + load->run_pages +
           value_pages_needed(load->puts, load->bytes, inner) +
           atomic_load(&store->side_pages) + OVERHEAD_PAGES;
}

/* What is frozen belongs to a checkpoint under way, and what came after it to the next
 * one: the pages that the first frees are not there for the second. */
static uint64_t all_pages_needed(struct store *store, const struct load *commit)
{
    uint64_t active_ops = atomic_load(&store->active_ops);
    struct load frozen = {
        .ops = atomic_load(&store->frozen_ops),
        .puts = atomic_load(&store->frozen_ops),
        .tables = atomic_load(&store->frozen_tables),
        .bytes = atomic_load(&store->frozen_bytes),
        .run_pages = atomic_load(&store->debt_run_pages),
    };
    struct load active = *commit;
    active.ops += active_ops;
    active.puts += active_ops;
    active.tables += atomic_load(&store->active_tables);
    active.bytes += atomic_load(&store->delta_debt) - frozen.bytes;
    uint64_t needed = pages_needed(store, &active) + LOG_EXTENT_PAGES;
    return frozen.ops ? needed + pages_needed(store, &frozen) : needed;
}

/* Room that a put has to leave, taken that it takes all it may for good: for a deletion
 * in the longer tree, and for the log that has gone on. */
static uint64_t reserve_for_deletions(struct store *store, uint64_t needed)
{
    enum { LEAVES = 8 };
    uint64_t reserve = atomic_load(&store->reserve_pages);
    uint64_t tree = atomic_load(&store->tree_pages) + needed;
    uint64_t least = LEAVES + inner_pages_needed(store, tree, 1, 0) +
                     2 * LOG_EXTENT_PAGES + atomic_load(&store->side_pages);
    return reserve > least ? reserve : least;
}

/* Others tell nobody that they make the file longer, so it is looked at; but not for each
 * put, which would be one more system call a commit.  Who grows the file leaves room for
 * all that is appended then, and the reserve: so puts for which no more than a part of it
 * is needed beside what was appended at the last look fit, whatever has grown meanwhile.
 */
static bool has_to_look(struct store *store, const struct load *commit, uint64_t needed)
{
    enum { PARTS = 4 };
    uint64_t part = atomic_load(&store->reserve_pages) / PARTS;
    bool are_puts = commit->puts > 0 && commit->run_pages == 0;
    return store_is_shared(store) &&
           (!are_puts || needed > atomic_load(&store->room_needed) + part);
}

static scn_status room_left(struct store *store, const struct load *commit,
                            uint64_t needed, uint64_t *room)
{
    scn_status st = SCN_OK;
    if (has_to_look(store, commit, needed)) {
        const struct load nothing = {0};
        st = file_learn_size(&store->file);
        /* Not the commit's own, which may be refused, or of pages that grow now. */
        atomic_store(&store->room_needed, all_pages_needed(store, &nothing));
    }
    uint64_t size = atomic_load(&store->file.page_count);
    uint64_t then = atomic_load(&store->room_size);
    uint64_t grown = size > then ? size - then : 0;
    uint64_t all = atomic_load(&store->room_pages);
    *room = all > grown ? all - grown : 0;
    return st;
}

/* pages: an extent for the commit. */
static scn_status admit(struct store *store, const struct load *commit, uint64_t pages,
                        bool has_puts)
{
    uint64_t room;
    uint64_t needed = all_pages_needed(store, commit) + pages;
    scn_status st = room_left(store, commit, needed, &room);
    if (st < 0)
        return st;
    uint64_t reserve = has_puts ? reserve_for_deletions(store, needed) : 0;
    if (needed + reserve <= room)
        return SCN_OK;
    return error_set(
        SCN_FULL, 0, 0, 0,
        "no room is left that a checkpoint would need for this commit; delete "
        "something, allow a larger file or free disk space");
}

scn_status room_admit(struct store *store, uint64_t ops, uint64_t tables, uint64_t bytes,
                      uint64_t run_pages, bool has_puts)
{
    struct load commit = {ops, has_puts ? ops : 0, tables, bytes, run_pages};
    return admit(store, &commit, 0, has_puts);
}

/* ---- growth ---- */

enum growth { FOR_CHECKPOINT, FOR_DELETIONS, FOR_PUTS, FOR_RUN };

static scn_status admit_growth(struct store *store, enum growth growth, uint32_t pages)
{
    const struct load nothing = {0};
    switch (growth) {
    case FOR_CHECKPOINT:
        return SCN_OK;
    case FOR_RUN:
        return room_admit(store, 0, 1, 0, pages, true);
    default:
        return admit(store, &nothing, pages, growth == FOR_PUTS);
    }
}

/* Pages that this process keeps.  Whoever has the append lock knows all that was
 * appended. */
static scn_status grow_where_admitted(struct store *store, uint32_t pages,
                                      enum growth growth, bool has_append, uint32_t *pgno)
{
    if (has_append || lock_is_mine(&store->locks, LOCK_APPEND)) {
        scn_status st = admit_growth(store, growth, pages);
        return st < 0 ? st : room_grow(store, pages, has_append, true, pgno);
    }
    scn_status st = append_enter(store, store->options.busy_timeout_ms);
    if (st < 0)
        return st;
    st = admit_growth(store, growth, pages);
    apply_leave(store); /* the file may take its time to grow */
    if (st == SCN_OK)
        st = room_grow(store, pages, true, true, pgno);
    lock_give(&store->locks, LOCK_APPEND);
    return st;
}

scn_status room_grow_for_run(struct store *store, uint32_t pages, bool has_append,
                             uint32_t *pgno)
{
    return grow_where_admitted(store, pages, FOR_RUN, has_append, pgno);
}

/* Growing costs nothing yet, zeroing does: a full disk would leave the file longer at
 * each try. */
static scn_status check_disk(struct store *store, uint32_t pages)
{
    uint64_t free_bytes;
    if (store->sys->ops->free_bytes(store->file.handle, &free_bytes) != 0 ||
        free_bytes >= (uint64_t)pages * PAGE_BYTES)
        return SCN_OK;
    return error_set(SCN_FULL, 0, 0, 0, "the disk has no room for another log extent");
}

bool room_can_extend(struct store *store)
{
    uint64_t pages = atomic_load(&store->file.page_count);
    return growable_pages(store, pages) >= LOG_EXTENT_PAGES;
}

bool room_is_cornered(struct store *store)
{
    return !log_has_full_spare(store->log) && !room_can_extend(store);
}

static scn_status make_spare(struct store *store, enum growth growth, bool has_append)
{
    struct log_spare spare = {0, LOG_EXTENT_PAGES};
    scn_status st = check_disk(store, spare.pages);
    if (st == SCN_OK)
        st = grow_where_admitted(store, spare.pages, growth, has_append, &spare.pgno);
    if (st < 0)
        return st;
    st = log_prepare_extent(&store->file, spare.pgno, spare.pages);
    if (st == SCN_OK) {
        apply_enter(store); /* who goes to a newer generation lists the spares anew */
        st = log_add_spare(store->log, spare);
        apply_leave(store);
    }
    if (st < 0)
        room_give_back(store, spare.pgno, spare.pages);
    return st;
}

static scn_status extend(struct store *store, enum growth growth, bool has_append)
{
    if (has_append)
        return log_has_full_spare(store->log) ? SCN_OK : make_spare(store, growth, true);
    uint64_t seen = log_extent_number(store->log);
    scn_status st = lock_take(&store->locks, LOCK_EXTEND, store->options.busy_timeout_ms);
    if (st < 0)
        return st;
    st = peers_follow(store);
    /* Another process has gone on in an extent of its own meanwhile: look again. */
    bool has_moved = log_extent_number(store->log) != seen;
    if (st == SCN_OK && !has_moved && !log_has_full_spare(store->log))
        st = make_spare(store, growth, false);
    lock_give(&store->locks, LOCK_EXTEND);
    return st;
}

scn_status room_extend(struct store *store, bool has_append)
{
    return extend(store, FOR_CHECKPOINT, has_append);
}

scn_status room_extend_for_commit(struct store *store, bool has_append, bool has_puts)
{
    return extend(store, has_puts ? FOR_PUTS : FOR_DELETIONS, has_append);
}

void room_after_commit(struct store *store)
{
    if (store->background &&
        (room_is_checkpoint_due(store) || log_spare_count(store->log) == 0))
        background_wake(store->background);
}
