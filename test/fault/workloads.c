/* The workloads: see workload.h.
 *
 * Each begins with a store that was just made, in which the making itself has been looked
 * at. They are short, so that faults can be tried at every place of them; what is rare is
 * done on purpose and not waited for. */
#include "test/fault/life.h"

#include "test/fault/heirs.h"
#include "test/fault/repairs.h"

enum { ALPHA, BETA, GAMMA };

/* ---- acts ---- */

static scn_status put_small(struct act *act, uint64_t arg)
{
    return act_put(act, ALPHA, (uint32_t)arg % STORY_TINY_KEYS, ROW_SMALL);
}

static scn_status delete_small(struct act *act, uint64_t arg)
{
    if (!act->state->exists[ALPHA])
        return SCN_OK;
    return act_delete(act, ALPHA, (uint32_t)arg % STORY_TINY_KEYS);
}

static scn_status put_1k(struct act *act, uint64_t arg)
{
    return act_put(act, ALPHA, (uint32_t)arg % 12, ROW_1K);
}

static scn_status put_100k(struct act *act, uint64_t arg)
{
    return act_put(act, ALPHA, (uint32_t)arg % 3, ROW_100K);
}

static scn_status put_3m(struct act *act, uint64_t arg)
{
    return act_put(act, ALPHA, (uint32_t)arg % 2, ROW_3M);
}

static scn_status put_page(struct act *act, uint64_t arg)
{
    return act_put(act, BETA, (uint32_t)arg % 40, ROW_PAGE);
}

static scn_status put_pages(struct act *act, uint64_t arg)
{
    return act_put(act, BETA, (uint32_t)arg % 4, ROW_PAGES);
}

/* So many rows one after the other; arg says which. */
enum { ROWS = 8 };

static scn_status put_rows(struct act *act, uint64_t arg)
{
    scn_status st = SCN_OK;
    for (uint32_t i = 0; i < ROWS && st == SCN_OK; i++)
        st = act_put(act, ALPHA, (uint32_t)(arg * ROWS + i) % STORY_KEYS, ROW_MIDDLE);
    return st;
}

static scn_status delete_rows(struct act *act, uint64_t arg)
{
    uint32_t from = (uint32_t)(arg * ROWS) % STORY_KEYS;
    if (!act->state->exists[ALPHA])
        return SCN_OK;
    return act_delete_range(act, ALPHA, from, from + 2 * ROWS, arg % 2 == 0);
}

static scn_status delete_all(struct act *act, uint64_t table)
{
    if (!act->state->exists[table])
        return SCN_OK;
    return act_delete_range(act, (uint32_t)table, 0, STORY_KEYS, false);
}

/* More than a record, or the write set in memory, may hold. */
static scn_status put_bulk(struct act *act, uint64_t arg)
{
    enum { BYTES = PAGE_IS_SMALL ? 150 << 10 : 600 << 10 };
    enum row_class class = arg % 2 ? ROW_MIDDLE : ROW_PAGE;
    scn_status st = SCN_OK;
    size_t bytes = 0;
    for (uint32_t i = 0; bytes < BYTES && i < STORY_KEYS && st == SCN_OK; i++) {
        st = act_put(act, (uint32_t)arg % STORY_TABLES, i, class);
        bytes += row_value_len(act->state->version[arg % STORY_TABLES][i]);
    }
    return st;
}

static scn_status add(struct act *act, uint64_t arg)
{
    scn_status st = act_add(act, (int64_t)arg * 7 - 3);
    return st == SCN_OK && arg % 3 == 0 ? act_add(act, 1) : st;
}

/* ---- commits ---- */

static void tiny(struct life *life)
{
    for (uint64_t i = 0; i < 16; i++) {
        life_commit(life, i % 4 == 3 ? delete_small : put_small, i * 5);
        if (i == 4 || i == 9)
            life_checkpoint(life);
        if (i == 6 || i == 12)
            life_reopen(life);
    }
}

static void values_of_1k(struct life *life)
{
    for (uint64_t i = 0; i < 12; i++) {
        life_commit(life, put_1k, i * 5);
        if (i % 5 == 3)
            life_checkpoint(life);
    }
}

static void values_of_100k(struct life *life)
{
    life_commit(life, put_100k, 0);
    life_commit(life, put_100k, 1);
    life_checkpoint(life);
    life_commit(life, put_100k, 1);
    life_commit(life, delete_small, 0);
    life_checkpoint(life);
    life_commit(life, put_100k, 2);
}

static void values_of_3m(struct life *life)
{
    life_commit(life, put_3m, 0);
    life_checkpoint(life);
    life_commit(life, put_3m, 0);
    life_commit(life, delete_small, 0);
    life_checkpoint(life);
    life_checkpoint(life);
}

static void values_of_pages(struct life *life)
{
    for (uint64_t i = 0; i < 8; i++) {
        life_commit(life, i % 3 == 2 ? put_page : put_pages, i);
        if (i % 3 == 1)
            life_checkpoint(life);
    }
}

static void lazy(struct life *life)
{
    for (uint64_t i = 0; i < 24; i++) {
        life_commit_lazy(life, i % 5 == 4 ? delete_small : put_small, i * 7);
        if (i % 6 == 3)
            life_commit(life, put_small, i);
        if (i % 8 == 5)
            life_tick(life);
        if (i % 12 == 7)
            life_checkpoint(life);
        if (i == 14)
            life_reopen(life);
    }
}

static void additions(struct life *life)
{
    for (uint64_t i = 0; i < 14; i++) {
        if (i % 3 == 2)
            life_commit_lazy(life, add, i);
        else
            life_commit(life, add, i);
        if (i % 5 == 4)
            life_checkpoint(life);
    }
}

/* ---- transactions ---- */

static scn_status save_and_return(struct act *act, uint64_t arg)
{
    struct act_mark *marks = calloc(2, sizeof *marks);
    scn_status st = marks ? put_rows(act, arg) : SCN_NOMEM;
    if (st == SCN_OK)
        st = act_mark(act, &marks[0]);
    if (st == SCN_OK)
        st = arg % 3 == 0 ? put_bulk(act, arg) : delete_rows(act, arg);
    if (st >= 0)
        st = act_mark(act, &marks[1]);
    if (st == SCN_OK)
        st = put_rows(act, arg + 1);
    if (st == SCN_OK)
        st = act_return(act, &marks[arg % 2]);
    if (st == SCN_OK)
        st = put_page(act, arg);
    free(marks);
    return st;
}

static void savepoints(struct life *life)
{
    for (uint64_t i = 0; i < 8; i++) {
        life_commit(life, save_and_return, i);
        if (i % 3 == 2)
            life_checkpoint(life);
    }
}

static void bulk(struct life *life)
{
    for (uint64_t i = 0; i < 6; i++) {
        life_commit(life, put_bulk, i);
        life_commit(life, put_small, i);
        if (i == 3)
            life_commit(life, delete_all, ALPHA);
        if (i % 3 == 2)
            life_checkpoint(life);
    }
}

/* ---- tables ---- */

static scn_status make_tables(struct act *act, uint64_t arg)
{
    scn_status st = SCN_OK;
    for (uint32_t i = 0; i < STORY_TABLES && st >= 0; i++)
        if (!act->state->exists[i])
            st = act_create(act, i, (arg + i) % 2 ? SCN_COMPRESS : 0);
    return st;
}

static scn_status clear_one(struct act *act, uint64_t arg)
{
    uint32_t table = (uint32_t)arg % STORY_TABLES;
    return act->state->exists[table] ? act_clear(act, table) : SCN_OK;
}

static scn_status drop_one(struct act *act, uint64_t arg)
{
    uint32_t table = (uint32_t)arg % STORY_TABLES;
    return act->state->exists[table] ? act_drop(act, table) : SCN_OK;
}

static scn_status rename_one(struct act *act, uint64_t arg)
{
    uint32_t from = (uint32_t)arg % STORY_TABLES;
    uint32_t to = (from + 1) % STORY_TABLES;
    bool can = act->state->exists[from] && !act->state->exists[to];
    return can ? act_rename(act, from, to) : SCN_OK;
}

/* Away and there again, under the same name, in one transaction. */
static scn_status replace_one(struct act *act, uint64_t arg)
{
    scn_status st = drop_one(act, arg);
    if (st >= 0)
        st = act_create(act, (uint32_t)arg % STORY_TABLES, 0);
    return st >= 0 ? put_rows(act, arg) : st;
}

static void tables(struct life *life)
{
    static const life_act acts[] = {make_tables, put_rows,  put_page, drop_one,
                                    rename_one,  put_small, clear_one, replace_one};
    enum { ACTS = sizeof acts / sizeof *acts };
    for (uint64_t i = 0; i < 2 * ACTS; i++) {
        life_commit(life, acts[i % ACTS], i / 3);
        if (i % 5 == 4)
            life_checkpoint(life);
        if (i == 11)
            life_reopen(life);
    }
}

/* ---- checkpoints, the log, the file ---- */

/* A commit beside the checkpoint, in each of its phases. */
static void checkpoints(struct life *life)
{
    for (uint64_t i = 1; i <= 10; i++) {
        life_commit(life, put_rows, i);
        life_commit(life, i % 2 ? put_small : delete_small, i);
        life_checkpoint_beside(life, i);
    }
}

static void log_recycling(struct life *life)
{
    for (uint64_t i = 0; i < 24; i++) {
        life_commit(life, put_page, i);
        if (i % 3 == 2)
            life_tick(life);
        if (i == 15)
            life_reopen(life);
    }
}

static void reuse(struct life *life)
{
    for (uint64_t i = 0; i < 6; i++) {
        life_commit(life, put_rows, i % 3);
        life_commit(life, put_page, i % 2);
        life_checkpoint(life);
        life_commit(life, delete_rows, i % 2);
        life_checkpoint(life);
    }
}

static void sizes(struct life *life)
{
    for (uint64_t i = 0; i < 3; i++) {
        life_commit(life, put_bulk, BETA);
        life_checkpoint(life);
        life_commit(life, put_pages, i);
        life_commit(life, delete_all, BETA);
        life_checkpoint(life);
        life_checkpoint(life);
    }
}

/* Some of the values in each page are written anew, and a table goes: the file is long,
 * and no page of it is without use. */
static void compactions(struct life *life)
{
    for (uint64_t i = 0; i < 2; i++) {
        life_commit(life, put_bulk, BETA);
        for (uint64_t k = 0; k < 12; k++)
            life_commit(life, put_1k, k);
        life_commit(life, put_pages, i);
        life_checkpoint(life);
        for (uint64_t k = 0; k < 12; k += 1 + k % 2)
            life_commit(life, put_1k, k);
        life_commit(life, delete_all, BETA);
        life_compact_beside(life, 9 * i);
        life_compact_beside(life, 0);
    }
}

static void readers(struct life *life)
{
    for (uint64_t i = 0; i < 8; i++) {
        life_commit(life, put_rows, i % 3);
        life_read_old(life);
        life_checkpoint(life);
        life_commit(life, delete_rows, i % 3);
        life_read_old(life);
    }
}

/* At every call: the making of the file, one commit, one checkpoint. */
static void creation(struct life *life)
{
    life_commit(life, put_small, 1);
    life_reopen(life);
    life_checkpoint(life);
}

/* ---- no room ---- */

static void fill_and_empty(struct life *life)
{
    for (uint64_t i = 0; i < 14; i++) {
        life_commit(life, i % 2 ? put_rows : put_page, i);
        if (i % 6 == 5)
            life_commit(life, delete_all, i % 4 == 1 ? ALPHA : BETA);
        if (i % 4 == 3)
            life_checkpoint(life);
    }
}

static void full_file(struct life *life)
{
    life->may_be_full = true;
    life->pages_max = 4 * LOG_EXTENT_PAGES + 30 + (uint32_t)(life->seed % 7) * 8;
    life_reopen(life);
    fill_and_empty(life);
}

static void full_disk(struct life *life)
{
    uint64_t pages = 4 * LOG_EXTENT_PAGES + 24 + life->seed % 7 * 8;
    life->may_be_full = true;
    sim_disk_set_capacity(life->disk, pages * PAGE_BYTES);
    fill_and_empty(life);
}

/* ---- any acts ---- */

static void mixture(struct life *life)
{
    for (int i = 0; i < 12; i++) {
        life_commit_any(life);
        if (i == 2 || i == 6 || i == 10)
            life_checkpoint(life);
        if (i == 5)
            life_tick(life);
        if (i == 8)
            life_reopen(life);
    }
}

/* ---- worse things ---- */

/* The page cache shows what a failed sync has lost as if it were written, slots of the
 * superblock, too. */
static void failed_syncs(struct life *life)
{
    enum { SYNCS = 6 };
    uint64_t nth[] = {1 + life->seed % SYNCS, 1 + life->seed / SYNCS % SYNCS};
    for (uint64_t i = 0; i < 3; i++) {
        life_commit(life, put_small, i);
        life_checkpoint(life);
    }
    for (int i = 0; i < 2; i++) {
        life_commit(life, put_small, 7);
        life_suffer(life, DEED_CHECKPOINT, SIM_SYNC, nth[i]);
        life_reopen(life);
    }
    for (uint64_t i = 0; i < 2; i++) {
        life_commit(life, put_small, i);
        life_checkpoint(life);
    }
}

static void deaths(struct life *life)
{
    for (int i = 0; i < 12; i++) {
        life_commit_any(life);
        life_die(life, (enum life_deed)life_roll(life, 3), 1 + life_roll(life, 24));
    }
}

/* ---- stories ---- */

static void suffer(struct life *life)
{
    static const enum sim_call calls[] = {SIM_WRITE, SIM_DSYNC, SIM_SYNC, SIM_ANY};
    enum life_deed deed = life_roll(life, 3) == 0 ? DEED_CHECKPOINT : DEED_COMMIT;
    life_suffer(life, deed, calls[life_roll(life, 4)], 1 + life_roll(life, 6));
}

static void checkpoint_some(struct life *life)
{
    for (uint64_t i = 1 + life_roll(life, 3); i > 0; i--) {
        /* On a full file a commit would wait for the end of this very checkpoint. */
        bool beside = life_roll(life, 2) == 0 && !life->may_be_full;
        life_checkpoint_beside(life, beside ? 1 + life_roll(life, 16) : 0);
    }
}

static void tell_one(struct life *life)
{
    uint64_t what = life_roll(life, 100);
    if (what < 10)
        checkpoint_some(life);
    else if (what < 14)
        life_reopen(life);
    else if (what < 18)
        life_die(life, (enum life_deed)life_roll(life, 3), 1 + life_roll(life, 24));
    else if (what < 22)
        life_lose_power(life);
    else if (what < 26)
        suffer(life);
    else if (what < 38)
        life_read_old(life);
    else if (what < 40)
        life_tick(life);
    else
        life_commit_any(life);
}

/* ---- snapshots ---- */

/* Full ones, with rows in the log, in trees and in runs. */
static void snapshots(struct life *life)
{
    heirs_take(life);
    life_commit(life, put_small, 1);
    heirs_take(life);
    life_commit(life, put_page, 2);
    life_checkpoint(life);
    life_commit(life, delete_small, 1);
    life_commit_lazy(life, put_small, 3);
    heirs_take(life);
    life_commit(life, put_bulk, 1);
    heirs_take(life);
}

/* A base that becomes newer again and again. */
static void increments(struct life *life)
{
    life_commit(life, put_rows, 1);
    heirs_take(life);
    for (uint64_t i = 0; i < 6; i++) {
        life_commit(life, i % 2 ? put_page : put_rows, i);
        if (i % 3 == 1)
            life_checkpoint(life);
        if (i == 3)
            life_commit(life, delete_rows, 1);
        heirs_follow(life);
        if (i == 4)
            life_reopen(life);
    }
}

/* ---- what walcheck writes ---- */

static void cuts_of_tails(struct life *life)
{
    for (uint64_t i = 0; i < 8; i++) {
        life_commit(life, i % 3 == 1 ? put_page : put_small, i);
        if (i % 3 == 2)
            life_checkpoint(life);
        repairs_cut(life);
    }
}

/* Of rows in the log, in trees and in runs. */
static void salvages(struct life *life)
{
    life_commit(life, put_rows, 1);
    repairs_salvage(life);
    life_checkpoint(life);
    life_commit(life, put_page, 2);
    repairs_salvage(life);
    life_commit(life, delete_rows, 1);
    life_checkpoint(life);
    life_commit_lazy(life, put_small, 3);
    repairs_salvage(life);
    life_commit(life, put_bulk, 1);
    repairs_salvage(life);
}

/* ---- two processes ---- */

/* Commits of both in turn, checkpoints by either and beside the other's commits; they
 * come and go. */
static void peers(struct life *life)
{
    life_join(life);
    for (uint64_t i = 0; i < 16; i++) {
        life_commit(life, i % 5 == 3 ? put_page : put_small, i * 5);
        life_swap(life);
        if (i == 3 || i == 8)
            life_checkpoint_beside(life, 5 + i);
        if (i == 5)
            life_reopen(life);
        if (i == 10)
            life_part(life);
        if (i == 12)
            life_join(life);
    }
    life_part(life);
}

/* The log goes through extents that either makes ready, and both use again. */
static void peers_log(struct life *life)
{
    life_join(life);
    for (uint64_t i = 0; i < 14; i++) {
        life_commit(life, i % 3 ? put_rows : put_pages, i);
        life_swap(life);
        if (i % 4 == 3)
            life_checkpoint_beside(life, 9);
    }
}

/* Either dies in the middle of a commit, a checkpoint, or while it leaves; the other goes
 * on, and another one joins. */
static void peers_die(struct life *life)
{
    for (uint64_t i = 0; i < 10; i++) {
        life_join(life);
        life_commit(life, put_small, i * 5);
        life_swap(life);
        life_die(life, (enum life_deed)(i % 3), 1 + life_roll(life, 40));
        life_swap(life);
        life_commit_any(life);
        if (life_roll(life, 3) == 0)
            life_part(life);
        if (life_roll(life, 5) == 0)
            life_lose_power(life);
    }
}

static void story(struct life *life)
{
    for (int i = 0; i < 40; i++)
        tell_one(life);
}

static void story_on_full_file(struct life *life)
{
    life->may_be_full = true;
    life->pages_max = 4 * LOG_EXTENT_PAGES + 30 + (uint32_t)(life->seed % 7) * 30;
    life_reopen(life);
    story(life);
}

/* ---- all ---- */

const struct workload workloads[] = {
    {"tiny", tiny, .story_flags = STORY_TINY, .share = 110},
    {"1k", values_of_1k, .story_flags = STORY_TINY, .share = 80},
    {"100k", values_of_100k, .story_flags = STORY_TINY, .share = 20},
    {"3m", values_of_3m, .story_flags = STORY_TINY, .share = 4},
    {"pages", values_of_pages, .story_flags = STORY_TINY, .share = 25},
    {"lazy", lazy, .story_flags = STORY_TINY | STORY_LAZY, .share = 100},
    {"add", additions, .story_flags = STORY_TINY | STORY_LAZY, .share = 80},
    {"savepoint", savepoints, .story_flags = STORY_TINY, .share = 25},
    {"bulk", bulk, .story_flags = STORY_TINY | STORY_BULK, .share = 12},
    {"tables", tables, .story_flags = STORY_TINY | STORY_TABLE, .share = 60},
    {"checkpoint", checkpoints, .story_flags = STORY_TINY, .share = 60},
    {"log", log_recycling, .story_flags = STORY_TINY, .share = 40},
    {"reuse", reuse, .story_flags = STORY_TINY, .share = 40},
    {"size", sizes, .story_flags = STORY_TINY, .share = 15},
    {"compact", compactions, .story_flags = STORY_TINY, .share = 20},
    {"reader", readers, .story_flags = STORY_TINY, .is_patient = true, .share = 25},
    {"create", creation, .story_flags = STORY_TINY, .at_every_call = true, .share = 50},
    {"full-file", full_file, .story_flags = STORY_TINY, .share = 30},
    {"full-disk", full_disk, .story_flags = STORY_TINY, .share = 30},
    {"mix-tiny", mixture, .story_flags = STORY_TINY | STORY_LAZY, .share = 40},
    {"mix-all", mixture,
     .story_flags = STORY_TABLE | STORY_LAZY | STORY_BULK | STORY_BIG, .share = 6},
    {"syncs", failed_syncs, .story_flags = STORY_TINY, .is_patient = true, .share = 60},
    {"deaths", deaths, .story_flags = STORY_TINY, .is_patient = true, .share = 60},
    {"snapshot", snapshots, .story_flags = STORY_TINY, .share = 20},
    {"increment", increments, .story_flags = STORY_TINY, .share = 30},
    {"truncate", cuts_of_tails, .story_flags = STORY_TINY, .is_patient = true,
     .share = 20},
    {"salvage", salvages, .story_flags = STORY_TINY, .is_patient = true, .share = 20},
    {"peers", peers, .story_flags = STORY_TINY, .is_patient = true, .share = 60},
    {"peers-log", peers_log, .story_flags = STORY_TINY, .is_patient = true, .share = 20},
    {"peers-die", peers_die, .story_flags = STORY_TINY, .is_patient = true, .share = 40},
    {"story-tiny", story, .story_flags = STORY_TINY | STORY_LAZY, .is_patient = true,
     .share = 60},
    {"story-rows", story, .story_flags = STORY_LAZY, .is_patient = true, .share = 10},
    {"story-big", story, .story_flags = STORY_BIG | STORY_TABLE, .is_patient = true,
     .share = 8},
    {"story-bulk", story, .story_flags = STORY_BULK | STORY_LAZY, .is_patient = true,
     .share = 4},
    {"story-tables", story, .story_flags = STORY_TABLE | STORY_LAZY, .is_patient = true,
     .share = 10},
    {"story-full", story_on_full_file,
     .story_flags = STORY_TABLE | STORY_LAZY | STORY_BULK, .is_patient = true,
     .share = 6},
    {"story-all", story,
     .story_flags = STORY_TABLE | STORY_LAZY | STORY_BULK | STORY_BIG, .is_patient = true,
     .share = 4},
};
const uint32_t workload_count = sizeof workloads / sizeof *workloads;
