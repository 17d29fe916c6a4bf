/* One snapshot a command: what it prints belongs together, whatever other programs
 * write meanwhile. */
#include "tools/handle.h"
#include "tools/home.h"
#include "tools/progress.h"

#include <string.h>

/* What a command has put there would be gone with it. */
static enum outcome judge_name(const char *path)
{
    if (path[0] == '\0')
        return outcome_say(OUTCOME_USAGE, "the name of a file is not empty");
    if (strcmp(path, ":memory:") == 0)
        return outcome_say(OUTCOME_USAGE, "a store in memory ends with the command; name "
                                          "a file, or ./:memory: if that is its name");
    return OUTCOME_OK;
}

/* Of checks: stores have their hooks from the time when they are opened. */
static struct progress checking = PROGRESS_NONE;

/* A store that was opened a while ago may have been replaced: what is written to it then
 * is nobody else's, and gone with the shell. */
static enum outcome check_place(const struct handle *handle)
{
    scn_health_t health = {.struct_size = sizeof health};
    scn_status st = scn_health(handle->db, &health);
    return st == SCN_OK ? OUTCOME_OK : handle_fail(handle, st);
}

enum outcome handle_open(struct handle *handle, const char *path, uint32_t flags)
{
    return handle_open_with(handle, path, flags, 0);
}

enum outcome handle_open_with(struct handle *handle, const char *path, uint32_t flags,
                              uint64_t pool_bytes)
{
    scn_options options;
    *handle = (struct handle){.path = path, .db = home_store(path)};
    handle->is_lent = handle->db != NULL;
    if (handle->is_lent)
        return check_place(handle);
    enum outcome outcome = judge_name(path);
    if (outcome != OUTCOME_OK)
        return outcome;
    scn_options_init(&options);
    options.flags |= flags;
    options.pool_bytes = pool_bytes;
    options.hooks = progress_hooks_unwatched(&checking);
    scn_status st = scn_open(path, &options, &handle->db);
    if (st == SCN_OK)
        return OUTCOME_OK;
    outcome = outcome_of_store(NULL, path, st);
    return st == SCN_NOTFOUND ? OUTCOME_IO : outcome; /* no key is absent, but the file */
}

/* Of a damaged file a part is read, and for reading only.  Of one in use, in which a sync
 * has failed, all that anybody sees; and what the shell may write to is whole, however
 * little room there is. */
static enum outcome warn(const char *path, const scn_health_t *health)
{
    if (health->poisoned)
        return outcome_say(OUTCOME_OK, "%s: %s", path, health->reason);
    return health->read_only
               ? outcome_say(OUTCOME_CORRUPT, "%s: %s", path, health->reason)
               : OUTCOME_OK;
}

enum outcome handle_open_to_read(struct handle *handle, const char *path)
{
    return handle_open_to_read_with(handle, path, 0, 0);
}

enum outcome handle_open_to_read_with(struct handle *handle, const char *path,
                                      uint32_t flags, uint64_t pool_bytes)
{
    scn_health_t health = {.struct_size = sizeof health};
    enum outcome outcome =
        handle_open_with(handle, path, flags | SCN_RDONLY | SCN_NOCREATE, pool_bytes);
    if (outcome != OUTCOME_OK)
        return outcome;
    scn_status st = scn_health(handle->db, &health);
    if (st != SCN_OK)
        return handle_close(handle, handle_fail(handle, st));
    if (!health.healthy)
        handle->warning = warn(path, &health);
    return OUTCOME_OK;
}

enum outcome handle_fail(const struct handle *handle, scn_status st)
{
    return outcome_of_store(handle->db, handle->path, st);
}

enum outcome handle_no_key(const struct handle *handle, const char *table,
                           const char *key)
{
    return outcome_say(OUTCOME_FINDINGS, "%s: table \"%s\" has no key \"%s\"",
                       handle->path, table, key);
}

enum outcome handle_read(struct handle *handle)
{
    if (handle->is_lent && home_txn()) {
        handle->txn = home_txn();
        return OUTCOME_OK;
    }
    scn_status st = scn_begin(handle->db, SCN_READ, &handle->txn);
    return st == SCN_OK ? OUTCOME_OK : handle_fail(handle, st);
}

struct listener {
    scn_status (*fn)(void *ctx, const scn_issue *issue);
    void *ctx;
};

/* What is said of an issue does not go into the line that shows progress. */
static scn_status hear(void *ctx, const scn_issue *issue)
{
    const struct listener *listener = ctx;
    progress_end(&checking);
    return listener->fn(listener->ctx, issue);
}

scn_status handle_check(struct handle *handle,
                        scn_status (*fn)(void *ctx, const scn_issue *issue), void *ctx,
                        uint64_t *issues)
{
    struct listener listener = {fn, ctx};
    scn_status st = scn_check(handle->db, SCN_CHECK_ALL, hear, &listener, issues);
    progress_end(&checking);
    return st;
}

scn_status handle_update(struct handle *handle, scn_status (*fn)(scn_txn *txn, void *ctx),
                         void *ctx)
{
    uint32_t savepoint;
    scn_txn *txn = handle->is_lent ? home_txn() : NULL;
    if (txn == NULL)
        return scn_update(handle->db, fn, ctx);
    scn_status st = scn_savepoint(txn, &savepoint);
    if (st < 0)
        return st;
    st = fn(txn, ctx);
    if (st != SCN_OK)
        (void)scn_rollback_to(txn, savepoint);
    return st;
}

enum outcome handle_read_table(struct handle *handle, const char *name,
                               scn_table_id *table)
{
    enum outcome outcome = handle_read(handle);
    if (outcome != OUTCOME_OK)
        return outcome;
    scn_status st = scn_table(handle->txn, name, 0, table);
    if (st == SCN_NOTFOUND)
        return outcome_say(OUTCOME_FINDINGS, "%s: there is no table \"%s\"", handle->path,
                           name);
    return st == SCN_OK ? OUTCOME_OK : handle_fail(handle, st);
}

enum outcome handle_close(struct handle *handle, enum outcome outcome)
{
    if (handle->txn && !(handle->is_lent && handle->txn == home_txn()))
        scn_abort(handle->txn);
    scn_status st = handle->db && !handle->is_lent ? scn_close(handle->db) : SCN_OK;
    if (st != SCN_OK && outcome == OUTCOME_OK)
        outcome = outcome_of_store(NULL, handle->path, st);
    if (outcome == OUTCOME_OK)
        outcome = handle->warning;
    *handle = (struct handle){0};
    return outcome;
}
