/* Snapshots, as the public interface has them: which one is made of which, and what is
 * remembered of it.  The writing is in export.c and increment.c, the applying in
 * amend.c. */
#include "engine/amend.h"
#include "engine/export.h"
#include "engine/increment.h"
#include "engine/tablelist.h"

#include <string.h>

/* ---- what is told ---- */

static scn_status check_info(const scn_snapshot_info *info)
{
    if (info && info->struct_size < sizeof info->struct_size)
        return error_misuse("snapshot: the struct_size of the result is not set");
    return SCN_OK;
}

static void hand_out(const scn_snapshot_info *from, scn_snapshot_info *to)
{
    if (to == NULL)
        return;
    uint32_t size = to->struct_size;
    memcpy(to, from, size < sizeof *from ? size : sizeof *from);
    to->struct_size = size;
}

static void tell_ancestor(const struct ancestor *from, scn_snapshot_info *to)
{
    to->gen = from->gen;
    to->lsn = from->lsn;
    to->wall_ms = (int64_t)from->wall_ms;
    memcpy(to->uuid, from->uuid, sizeof to->uuid);
    memcpy(to->id, from->id, sizeof to->id);
}

static void tell_since(const struct ancestor *from, scn_snapshot_info *to)
{
    to->since_gen = from->gen;
    to->since_lsn = from->lsn;
    memcpy(to->since_id, from->id, sizeof to->since_id);
}

static void tell_head(const struct parcel_head *head, scn_snapshot_info *to)
{
    to->kind = SCN_SNAPSHOT_INCREMENT;
    to->gen = head->gen;
    to->lsn = head->lsn;
    to->wall_ms = (int64_t)head->wall_ms;
    to->since_gen = head->since_gen;
    to->since_lsn = head->since_lsn;
    memcpy(to->uuid, head->uuid, sizeof to->uuid);
    memcpy(to->id, head->id, sizeof to->id);
    memcpy(to->since_id, head->since_id, sizeof to->since_id);
}

/* ---- taking one ---- */

/* A snapshot into the store's own file would be the end of both. */
static scn_status check_target(struct store *store, const struct hostfile *to)
{
    struct sys_stat found;
    int failed = to->sys->ops->stat(to->handle, &found);
    if (failed)
        return error_sys(failed, 0, "snapshot: cannot look at the target");
    bool is_own = to->sys == store->sys && found.device == store->file.device &&
                  found.inode == store->file.inode;
    return is_own ? error_misuse("snapshot: the descriptor leads to the store itself")
                  : SCN_OK;
}

static scn_status take_options(const scn_snapshot_options *from, scn_snapshot_options *to)
{
    *to = (scn_snapshot_options){.struct_size = sizeof *to};
    if (from == NULL)
        return SCN_OK;
    if (from->struct_size < sizeof from->struct_size)
        return error_misuse("snapshot: the struct_size of the options is not set");
    memcpy(to, from, from->struct_size < sizeof *to ? from->struct_size : sizeof *to);
    if (to->flags & ~(uint32_t)SCN_SNAPSHOT_UNNOTED)
        return error_misuse("snapshot: unknown flags 0x%x", to->flags);
    if (to->since_gen == 0 && !bytes_are_zero(to->since_id, sizeof to->since_id))
        return error_misuse("snapshot: since_id without since_gen");
    return SCN_OK;
}

static scn_status describe(struct scn_txn *txn, struct ancestor *self)
{
    struct store *store = txn->store;
    const struct sys_ops *ops = store->sys->ops;
    *self = (struct ancestor){.gen = txn->view->gen, .lsn = txn->lsn};
    ops->mutex_lock(store->state_mutex);
    memcpy(self->uuid, store->superblock.uuid, sizeof self->uuid);
    ops->mutex_unlock(store->state_mutex);
    self->wall_ms = (uint64_t)ops->wall_ms(store->sys);
    int failed = ops->random(store->sys, self->id, sizeof self->id);
    return failed ? error_sys(failed, 0, "no random numbers from the system") : SCN_OK;
}

static scn_status find_since(struct scn_txn *txn, const scn_snapshot_options *options,
                             struct ancestor *since)
{
    txn_enter(txn);
    scn_status st =
        ancestry_find_note(txn, options->since_gen, options->since_id, since);
    st = txn_leave(txn, st);
    if (st != SCN_NOTFOUND)
        return st;
    return error_set(SCN_NOTFOUND, 0, 0, 0,
                     "no such snapshot of generation %llu is noted in this store, so no "
                     "increment can be based on it: take a full one",
                     (unsigned long long)options->since_gen);
}

static uint64_t used_bytes(struct store *store)
{
    const struct sys_ops *ops = store->sys->ops;
    ops->mutex_lock(store->state_mutex);
    const struct superblock *sb = &store->superblock;
    uint64_t pages = sb->used_pages - sb->freed_pages;
    ops->mutex_unlock(store->state_mutex);
    return pages * PAGE_BYTES;
}

static scn_status write_full(struct scn_txn *txn, struct hostfile *to,
                             const struct ancestor *self, scn_snapshot_info *info)
{
    struct export_result result = {.pages = 0};
    to->expected = used_bytes(txn->store) * (to->can_seek ? 1 : 2);
    scn_status st = export_store(txn, to, self, &result);
    info->kind = SCN_SNAPSHOT_FULL;
    info->pages = result.pages;
    info->bytes = result.pages * PAGE_BYTES;
    info->tables = result.tables;
    info->rows = result.rows;
    digest_encode(&result.digest, info->digest);
    return st;
}

static scn_status write_increment(struct scn_txn *txn, struct hostfile *to,
                                  const struct ancestor *self,
                                  const scn_snapshot_options *options,
                                  scn_snapshot_info *info)
{
    struct ancestor since;
    struct increment_result result;
    scn_status st = find_since(txn, options, &since);
    if (st == SCN_OK)
        st = increment_write(txn, to, self, &since, &result);
    if (st != SCN_OK)
        return st;
    info->kind = SCN_SNAPSHOT_INCREMENT;
    info->bytes = to->done;
    info->tables = result.tables;
    info->rows = result.rows;
    memcpy(info->digest, result.chain, sizeof info->digest);
    tell_since(&since, info);
    return SCN_OK;
}

static scn_status write_snapshot(struct scn_txn *txn, struct hostfile *to,
                                 const scn_snapshot_options *options,
                                 struct ancestor *self, scn_snapshot_info *info)
{
    scn_status st = describe(txn, self);
    if (st < 0)
        return st;
    tell_ancestor(self, info);
    return options->since_gen ? write_increment(txn, to, self, options, info)
                              : write_full(txn, to, self, info);
}

/* A transaction, and the session in which it began. */
static scn_status begin_in_session(scn_db *db, scn_txn **txn, uint64_t *session)
{
    struct file *file = &db->store->file;
    scn_status st;
    do {
        scn_abort(*txn);
        *txn = NULL;
        *session = file_session(file);
        st = scn_begin(db, SCN_READ, txn);
    } while (st == SCN_OK && file_session(file) != *session);
    return st;
}

scn_status scn_snapshot_to(scn_db *db, int fd, const scn_snapshot_options *from,
                           scn_snapshot_info *out)
{
    scn_snapshot_options options;
    scn_snapshot_info info = {.struct_size = sizeof info};
    struct hostfile to = {.store = NULL};
    struct ancestor self;
    uint64_t session;
    scn_txn *txn = NULL;
    scn_status st = db_check(db);
    if (st == SCN_OK)
        st = take_options(from, &options);
    if (st == SCN_OK)
        st = check_info(out);
    if (st == SCN_OK)
        st = update_check_not_inside(db->store);
    if (st == SCN_OK)
        st = hostfile_open(&to, db->store->sys, fd, db->store, &options);
    if (st < 0)
        return st;
    st = check_target(db->store, &to);
    if (st == SCN_OK)
        st = begin_in_session(db, &txn, &session);
    if (st == SCN_OK)
        st = write_snapshot(txn, &to, &options, &self, &info);
    hostfile_close(&to);
    scn_abort(txn);
    if (st != SCN_OK)
        return st;
    if (!db->is_read_only && !(options.flags & SCN_SNAPSHOT_UNNOTED))
        info.is_noted = ancestry_note(db, &self, session) == SCN_OK; /* [Z1] */
    hand_out(&info, out);
    return SCN_OK;
}

/* ---- applying one ---- */

static const char *refuse_base(const struct parcel_head *head,
                               const struct ancestor *origin)
{
    if (memcmp(head->uuid, origin->uuid, sizeof head->uuid) != 0)
        return "the increment was made from another store than the base";
    if (head->since_lsn > origin->lsn)
        return "the increment follows a later snapshot than the base: another one has to "
               "be applied before";
    return "the increment follows another snapshot than the base, or an earlier one";
}

static scn_status check_base(struct scn_txn *txn, const struct parcel_head *head)
{
    struct ancestor origin;
    txn_enter(txn);
    scn_status st = txn_leave(txn, ancestry_origin(txn, &origin));
    if (st == SCN_NOTFOUND)
        return error_misuse("the base is no snapshot, nor made from one");
    if (st < 0)
        return st;
    if (memcmp(head->id, origin.id, sizeof head->id) == 0)
        return SCN_EXISTS;
    if (memcmp(head->since_id, origin.id, sizeof head->since_id) == 0)
        return SCN_OK;
    return error_misuse("%s (base: generation %llu; increment: from %llu to %llu)",
                        refuse_base(head, &origin), (unsigned long long)origin.gen,
                        (unsigned long long)head->since_gen,
                        (unsigned long long)head->gen);
}

/* What the store says that it holds. */
static scn_status sum_up(struct scn_txn *txn, struct ancestor *origin,
                         scn_snapshot_info *info)
{
    struct table_list list = {.count = 0};
    txn_enter(txn);
    scn_status st = txn_leave(txn, ancestry_origin(txn, origin));
    if (st == SCN_OK)
        st = table_list_read(&list, txn);
    for (uint32_t i = 0; st == SCN_OK && i < list.count; i++) {
        const struct table_entry *table = &list.entries[i];
        struct digest tally;
        txn_enter(txn);
        st = txn_leave(txn, ancestry_tally(txn, table->id, &tally));
        if (st == SCN_NOTFOUND)
            st = SCN_OK; /* made since */
        info->rows += tally.rows;
    }
    info->tables = list.count;
    if (st == SCN_OK)
        digest_encode(&origin->digest, info->digest);
    table_list_destroy(&list);
    return st;
}

static scn_status apply_in(struct scn_txn *txn, struct parcels_in *in,
                           scn_snapshot_info *info)
{
    struct ancestor origin;
    scn_status st = scn_set_durability(txn, SCN_SYNC_FULL);
    if (st == SCN_OK)
        st = check_base(txn, &in->head);
    if (st == SCN_OK)
        st = amend(txn, in);
    return st == SCN_OK ? sum_up(txn, &origin, info) : st;
}

static scn_status apply_parcels(scn_db *db, struct parcels_in *in,
                                scn_snapshot_info *info)
{
    scn_txn *txn;
    scn_status st = scn_begin(db, SCN_WRITE | SCN_SNAPSHOT, &txn);
    if (st < 0)
        return st;
    st = apply_in(txn, in, info);
    tell_head(&in->head, info);
    info->bytes = in->off;
    if (st == SCN_OK)
        return scn_commit(txn);
    scn_abort(txn);
    return st;
}

/* To be read; how much there is to come is only known of a file. */
static scn_status open_source(struct hostfile *from, struct sys *sys, int fd,
                              const scn_snapshot_options *given)
{
    scn_snapshot_options options;
    struct sys_stat found;
    scn_status st = take_options(given, &options);
    if (st == SCN_OK)
        st = hostfile_open(from, sys, fd, NULL, &options);
    if (st == SCN_OK && from->sys->ops->stat(from->handle, &found) == 0)
        from->expected = found.size;
    return st;
}

scn_status scn_snapshot_apply(scn_db *db, int fd, const scn_snapshot_options *options,
                              scn_snapshot_info *out)
{
    scn_snapshot_info info = {.struct_size = sizeof info};
    struct hostfile from = {.store = NULL};
    struct parcels_in in = {.from = NULL};
    scn_status st = db_check_write(db);
    if (st == SCN_OK)
        st = check_info(out);
    if (st == SCN_OK)
        st = update_check_not_inside(db->store);
    if (st == SCN_OK)
        st = open_source(&from, db->store->sys, fd, options);
    if (st < 0)
        return st;
    st = parcels_open(&in, &from);
    if (st == SCN_OK)
        st = apply_parcels(db, &in, &info);
    parcels_in_destroy(&in);
    hostfile_close(&from);
    if (st >= 0)
        hand_out(&info, out);
    return st;
}

/* ---- looking at one ---- */

static scn_status read_all(struct parcels_in *in, scn_snapshot_info *info)
{
    struct parcels_item item;
    scn_status st = SCN_OK;
    while (st == SCN_OK)
        st = parcels_next(in, &item);
    if (st < 0)
        return st;
    tell_head(&in->head, info);
    info->bytes = in->off;
    info->tables = in->end.tables;
    info->rows = in->end.rows;
    memcpy(info->digest, in->chain, sizeof info->digest);
    return SCN_OK;
}

scn_status scn_snapshot_verify(int fd, const scn_snapshot_options *options,
                               scn_snapshot_info *out)
{
    scn_snapshot_info info = {.struct_size = sizeof info};
    struct hostfile from = {.store = NULL};
    struct parcels_in in = {.from = NULL};
    struct sys *sys = sys_posix();
    if (sys == NULL)
        return error_nomem();
    scn_status st = check_info(out);
    if (st == SCN_OK)
        st = open_source(&from, sys, fd, options);
    if (st < 0)
        return st;
    st = parcels_open(&in, &from);
    if (st == SCN_OK)
        st = read_all(&in, &info);
    parcels_in_destroy(&in);
    hostfile_close(&from);
    if (st == SCN_OK)
        hand_out(&info, out);
    return st;
}

scn_status scn_snapshot_origin(scn_db *db, scn_snapshot_info *out)
{
    scn_snapshot_info info = {.struct_size = sizeof info, .kind = SCN_SNAPSHOT_FULL};
    struct ancestor origin;
    scn_txn *txn = NULL;
    scn_status st = check_info(out);
    if (st == SCN_OK)
        st = scn_begin(db, SCN_READ, &txn);
    if (st < 0)
        return st;
    st = sum_up(txn, &origin, &info);
    scn_abort(txn);
    if (st != SCN_OK)
        return st;
    tell_ancestor(&origin, &info);
    hand_out(&info, out);
    return SCN_OK;
}

static scn_status tell_table(struct scn_txn *txn, const struct table_entry *table,
                             scn_status (*fn)(void *, const scn_snapshot_table *),
                             void *ctx)
{
    scn_snapshot_table out = {
        .struct_size = sizeof out, .flags = table->flags, .name = table->name};
    struct digest tally;
    txn_enter(txn);
    scn_status st = txn_leave(txn, ancestry_tally(txn, table->id, &tally));
    if (st != SCN_OK)
        return st == SCN_NOTFOUND ? SCN_OK : st;
    out.rows = tally.rows;
    digest_encode(&tally.sum, out.digest);
    return fn(ctx, &out);
}

scn_status scn_snapshot_tables(scn_db *db,
                               scn_status (*fn)(void *, const scn_snapshot_table *),
                               void *ctx)
{
    struct table_list list = {.count = 0};
    scn_txn *txn = NULL;
    if (fn == NULL)
        return error_misuse("scn_snapshot_tables: the function is NULL");
    scn_status st = scn_begin(db, SCN_READ, &txn);
    if (st < 0)
        return st;
    st = table_list_read(&list, txn);
    for (uint32_t i = 0; st == SCN_OK && i < list.count; i++)
        st = tell_table(txn, &list.entries[i], fn, ctx);
    table_list_destroy(&list);
    scn_abort(txn);
    return st;
}
