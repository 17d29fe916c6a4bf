/* Transactions: begin, end, savepoints, the shells.  See txn.h. */
#include "engine/txn.h"

#include "engine/peers.h"
#include "page/mem.h"

/* So many shells rest before one is used again: a stale handle is told for that long. */
enum { IDLE_TXN_MIN = 64 };
/* A buffer up to this size waits for the next use. */
enum { ARENA_KEEP_BYTES = 65536 };

/* ---- handles ---- */

static scn_status gone(void)
{
    return error_set(
        SCN_SNAPSHOT_GONE, 0, 0, 0,
        "the snapshot is older than max_snapshot_age, or than the file's recovery from "
        "a failed sync, and its pages were given to others; abort and begin anew");
}

scn_status txn_refuse(const struct scn_txn *txn)
{
    if (txn == NULL)
        return error_misuse("the transaction is NULL");
    if (txn->magic == TXN_ENDED)
        return error_misuse("the transaction has ended; begin another one");
    if (txn->magic != TXN_MAGIC)
        return error_misuse("this is no transaction");
    if (txn->store->sys->ops->is_forked(txn->store->sys))
        return error_set(
            SCN_FORKED, 0, 0, 0,
            "the transaction belongs to the parent process; open the store anew");
    if (atomic_load_explicit(&txn->is_gone, memory_order_relaxed))
        return gone();
    return error_again(txn->broken, "a call of this transaction");
}

scn_status txn_check_write(const struct scn_txn *txn)
{
    scn_status st = txn_check(txn);
    if (st < 0)
        return st;
    if (!txn_is_write(txn))
        return error_misuse("the transaction was begun for reading; use SCN_WRITE");
    return SCN_OK;
}

/* ---- operations ---- */

static void arena_reset(struct arena_block **arena, size_t keep_bytes)
{
    struct arena_block *block = *arena;
    while (block && (block->next || block->capacity > keep_bytes)) {
        struct arena_block *next = block->next;
        mem_free(block);
        block = next;
    }
    if (block)
        block->used = 0;
    *arena = block;
}

void txn_reuse_arena(struct scn_txn *txn)
{
    arena_reset(&txn->arena[txn->turn], ARENA_KEEP_BYTES);
}

/* Marked, here or on the publish page, before its pages were given out, so a page that is
 * no longer the snapshot's is found here.  The same where the file was recovered since:
 * what was cut then, and a generation that could not be read, have no pages any more. */
scn_status txn_failure(struct scn_txn *txn, scn_status st)
{
    if (st == SCN_CORRUPT && (atomic_load(&txn->is_stale) ||
                              peers_have_given_up(txn->store, txn->view->gen)))
        atomic_store(&txn->is_gone, true);
    return atomic_load(&txn->is_gone) ? gone() : st;
}

scn_status txn_copy(struct scn_txn *txn, scn_slice *bytes)
{
    struct arena_block **arena = &txn->arena[txn->turn];
    struct arena_block *block = *arena;
    if (block == NULL || block->capacity - block->used < bytes->size) {
        size_t capacity = bytes->size > 4000 ? bytes->size : 4000;
        block = mem_alloc(sizeof *block + capacity);
        if (block == NULL)
            return error_nomem();
        *block = (struct arena_block){*arena, capacity, 0};
        *arena = block;
    }
    uint8_t *copy = block->data + block->used;
    memcpy(copy, bytes->data, bytes->size);
    block->used += bytes->size;
    bytes->data = copy;
    return SCN_OK;
}

scn_status txn_keep(struct scn_txn *txn, const uint8_t *page, scn_slice *bytes)
{
    if (page == NULL || bytes->size == 0 || pool_hold(txn->reader, page))
        return SCN_OK;
    return txn_copy(txn, bytes);
}

/* ---- begin ---- */

static struct scn_txn *shell_take(struct store *store)
{
    struct scn_txn *txn = NULL;
    store->sys->ops->mutex_lock(store->state_mutex);
    if (store->idle_txn_count > IDLE_TXN_MIN) {
        txn = store->idle_txns;
        store->idle_txns = txn->next;
        store->idle_txn_count--;
    }
    store->sys->ops->mutex_unlock(store->state_mutex);
    return txn;
}

/* State mutex held. */
static void rest_locked(struct store *store, struct scn_txn *txn)
{
    txn->next = NULL;
    if (store->idle_txns)
        store->idle_txns_tail->next = txn;
    else
        store->idle_txns = txn;
    store->idle_txns_tail = txn;
    store->idle_txn_count++;
}

static void shell_put(struct scn_txn *txn)
{
    struct store *store = txn->store;
    store->sys->ops->mutex_lock(store->state_mutex);
    rest_locked(store, txn);
    store->sys->ops->mutex_unlock(store->state_mutex);
}

static scn_status shell_create(struct store *store, struct scn_txn **out)
{
    struct scn_txn *txn = mem_zalloc(sizeof *txn);
    if (txn == NULL)
        return error_nomem();
    scn_status st = pool_reader_create(store->pool, &txn->reader);
    if (st < 0) {
        mem_free(txn);
        return st;
    }
    txn->store = store;
    ops_writer_init(&txn->ops);
    log_packet_init(&txn->packet);
    *out = txn;
    return SCN_OK;
}

void txn_destroy_shell(struct scn_txn *txn)
{
    for (int i = 0; i < 2; i++) {
        values_scratch_destroy(&txn->scratch[i]);
        arena_reset(&txn->arena[i], 0);
    }
    ops_writer_destroy(&txn->ops);
    log_packet_destroy(&txn->packet);
    pool_reader_destroy(txn->reader);
    mem_free(txn);
}

/* Announced before the snapshot is used: view and LSN are read and the list joined in one
 * critical section.  False when the view's pin does not count (any more), what was
 * visible is not applied, or another thread has exchanged the trees and not learnt yet
 * what is visible with them: follow first. */
static bool try_snapshot(struct scn_txn *txn, uint64_t visible)
{
    struct store *store = txn->store;
    store->sys->ops->mutex_lock(store->state_mutex);
    txn->lsn = store_visible(store);
    if (store_is_shared(store) &&
        (atomic_load(&store->has_gap) || !atomic_load(&store->pinned_gen) ||
         txn->lsn < visible || txn->lsn < store->view->base_lsn)) {
        store->sys->ops->mutex_unlock(store->state_mutex);
        return false;
    }
    store->begin_count++;
    txn->view = store->view;
    txn->view->references++;
    txn->next = store->open_txns;
    txn->previous = NULL;
    if (txn->next)
        txn->next->previous = txn;
    store->open_txns = txn;
    store->sys->ops->mutex_unlock(store->state_mutex);
    return true;
}

static scn_status take_snapshot(struct scn_txn *txn, bool is_as_it_is)
{
    uint64_t visible = 0;
    scn_status st = SCN_OK;
    if (is_as_it_is && try_snapshot(txn, 0))
        return SCN_OK;
    do {
        st = peers_look(txn->store, &visible);
    } while (st == SCN_OK && !try_snapshot(txn, visible));
    return st;
}

scn_status txn_begin_on(struct store *store, scn_db *db, uint32_t flags,
                        struct scn_txn **out)
{
    struct scn_txn *txn = shell_take(store);
    if (txn == NULL) {
        scn_status st = shell_create(store, &txn);
        if (st < 0)
            return st;
    }
    txn->magic = TXN_MAGIC;
    atomic_store_explicit(&txn->is_gone, false, memory_order_relaxed);
    txn->flags = flags & ~TXN_AS_IT_IS;
    txn->db = db;
    txn->durability = store->options.durability;
    txn->thread_id = store->sys->ops->thread_id(store->sys);
    txn->begun_ns = flags & SCN_WRITE || store->options.max_snapshot_age_ms
                        ? store->sys->ops->now_ns(store->sys)
                        : 0;
    atomic_store_explicit(&txn->is_stale, false, memory_order_relaxed);
    scn_status st = take_snapshot(txn, (flags & TXN_AS_IT_IS) != 0);
    if (st < 0) {
        txn->magic = TXN_ENDED;
        shell_put(txn);
        return st;
    }
    *out = txn;
    return SCN_OK;
}

scn_status scn_begin(scn_db *db, uint32_t flags, scn_txn **out)
{
    if (out == NULL)
        return error_misuse("scn_begin: the place for the transaction is NULL");
    *out = NULL;
    scn_status st = db_check(db);
    if (st < 0)
        return st;
    if (flags == 0)
        flags = SCN_READ;
    if (flags & ~(uint32_t)(SCN_READ | SCN_WRITE | SCN_SNAPSHOT))
        return error_misuse("scn_begin: unknown flags 0x%x", flags);
    st = flags & SCN_WRITE ? db_check_write(db) : SCN_OK;
    if (st < 0)
        return st;
    return txn_begin_on(db->store, db, flags, out);
}

/* ---- end ---- */

static void run_end_calls(struct scn_txn *txn, scn_status st, uint64_t lsn)
{
    struct end_call *call = txn->end_calls;
    txn->end_calls = NULL;
    while (call) {
        struct end_call *next = call->next;
        call->fn(call->ctx, st, lsn);
        mem_free(call);
        call = next;
    }
}

/* The shell gives back all memory but the small buffers it will need again. */
static void shell_empty(struct scn_txn *txn)
{
    for (int i = 0; i < 2; i++) {
        if (txn->scratch[i].capacity + txn->scratch[i].block_capacity >
            ARENA_KEEP_BYTES) {
            values_scratch_destroy(&txn->scratch[i]);
            txn->scratch[i] = (struct values_scratch){0};
        }
        arena_reset(&txn->arena[i], ARENA_KEEP_BYTES);
    }
    if (txn->ops.capacity > ARENA_KEEP_BYTES)
        ops_writer_destroy(&txn->ops);
    if (txn->packet.capacity > ARENA_KEEP_BYTES)
        log_packet_destroy(&txn->packet);
    catalog_forget(txn);
    readset_destroy(&txn->reads);
    write_destroy(txn);
    txn->broken = SCN_OK;
    txn->is_priority = false;
    if (txn->is_in_update) {
        txn->store->sys->ops->mutex_lock(txn->store->state_mutex);
        txn->is_in_update = false;
        txn->store->sys->ops->mutex_unlock(txn->store->state_mutex);
    }
}

static void shell_rest(struct scn_txn *txn)
{
    struct store *store = txn->store;
    struct view *view = txn->view;
    store->sys->ops->mutex_lock(store->state_mutex);
    txn->view = NULL; /* who walks the open ones looks at it */
    if (txn->previous)
        txn->previous->next = txn->next;
    else
        store->open_txns = txn->next;
    if (txn->next)
        txn->next->previous = txn->previous;
    rest_locked(store, txn);
    store->sys->ops->mutex_unlock(store->state_mutex);
    store_view_release(store, view);
    if (store->options.flags & SCN_NOTHREAD)
        peers_rest(store);
}

void txn_end(struct scn_txn *txn, scn_status st, uint64_t lsn)
{
    cursor_close_all(txn);
    pool_release_all(txn->reader);
    struct end_call *calls = txn->end_calls;
    if (txn->read_count) {
        atomic_fetch_add_explicit(&txn->store->counters.reads, txn->read_count,
                                  memory_order_relaxed);
        txn->read_count = 0;
    }
    shell_empty(txn);
    txn->magic = TXN_ENDED;
    txn->end_calls = calls;
    run_end_calls(txn, st, lsn);
    shell_rest(txn);
}

scn_status scn_commit_at(scn_txn *txn, uint64_t *lsn)
{
    uint64_t at = 0;
    scn_status st = txn_check(txn);
    if (st == SCN_MISUSE || st == SCN_FORKED)
        return st;
    if (txn->is_in_update)
        return error_misuse("scn_update commits its own transaction; return SCN_OK");
    if (st == SCN_OK)
        st = commit_txn(txn, &at);
    txn_end(txn, st, at);
    if (lsn)
        *lsn = at;
    return st;
}

scn_status scn_commit(scn_txn *txn)
{
    return scn_commit_at(txn, NULL);
}

void scn_abort(scn_txn *txn)
{
    if (txn == NULL || txn->magic != TXN_MAGIC || txn->is_in_update)
        return;
    if (txn->store->sys->ops->is_forked(txn->store->sys))
        return;
    txn_end(txn, SCN_INTERRUPTED, 0);
}

scn_db *scn_txn_db(const scn_txn *txn)
{
    return txn_check(txn) == SCN_MISUSE ? NULL : txn->db;
}

uint64_t scn_txn_lsn(const scn_txn *txn)
{
    return txn_check(txn) == SCN_MISUSE ? 0 : txn->lsn;
}

scn_status scn_on_end(scn_txn *txn, void (*fn)(void *, scn_status, uint64_t), void *ctx)
{
    scn_status st = txn_check(txn);
    if (st < 0)
        return st;
    if (fn == NULL)
        return error_misuse("scn_on_end: the function is NULL");
    struct end_call *call = mem_alloc(sizeof *call);
    if (call == NULL)
        return error_nomem();
    *call = (struct end_call){NULL, fn, ctx};
    struct end_call **tail = &txn->end_calls;
    while (*tail)
        tail = &(*tail)->next;
    *tail = call;
    return SCN_OK;
}

scn_status scn_set_durability(scn_txn *txn, uint32_t durability)
{
    scn_status st = txn_check_write(txn);
    if (st < 0)
        return st;
    if (durability > SCN_SYNC_LAZY)
        return error_misuse("unknown durability %u", durability);
    txn->durability = durability;
    return SCN_OK;
}
