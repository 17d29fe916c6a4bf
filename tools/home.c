/* The shell's store: see home.h. */
#include "tools/home.h"
#include "tools/handle.h"

static struct {
    struct handle handle;
    scn_txn *txn;
} home;

/* Quietly: why it does not open is told already. */
static bool can_read(const char *path)
{
    scn_options options;
    scn_db *db;
    scn_options_init(&options);
    options.flags |= SCN_RDONLY | SCN_NOCREATE;
    return scn_open(path, &options, &db) == SCN_OK && scn_close(db) == SCN_OK;
}

enum outcome home_open(const char *path)
{
    struct handle handle;
    enum outcome outcome = handle_open(&handle, path, SCN_NOCREATE);
    bool may_read = outcome == OUTCOME_CORRUPT || outcome == OUTCOME_IO;
    if (may_read && can_read(path))
        outcome = handle_open_to_read(&handle, path);
    if (outcome == OUTCOME_OK)
        home.handle = handle;
    if (outcome == OUTCOME_OK && may_read)
        outcome_say(OUTCOME_OK, "%s is open for reading only", path);
    return outcome == OUTCOME_OK ? handle.warning : outcome;
}

bool home_is_open(void)
{
    return home.handle.db != NULL;
}

enum outcome home_close(enum outcome outcome)
{
    struct handle handle = home.handle;
    scn_abort(home.txn);
    home.txn = NULL;
    home.handle = (struct handle){0};
    return handle_close(&handle, outcome);
}

scn_db *home_store(const char *path)
{
    return path == home.handle.path ? home.handle.db : NULL;
}

scn_txn *home_txn(void)
{
    return home.txn;
}

enum outcome home_begin(void)
{
    if (home.txn)
        return outcome_say(OUTCOME_USAGE, "a transaction has begun already");
    scn_status st = scn_begin(home.handle.db, SCN_WRITE, &home.txn);
    return st == SCN_OK ? OUTCOME_OK : handle_fail(&home.handle, st);
}

enum outcome home_commit(void)
{
    if (home.txn == NULL)
        return outcome_say(OUTCOME_USAGE, "no transaction has begun");
    scn_status st = scn_commit(home.txn);
    home.txn = NULL;
    return st == SCN_OK ? OUTCOME_OK : handle_fail(&home.handle, st);
}

enum outcome home_rollback(void)
{
    if (home.txn == NULL)
        return outcome_say(OUTCOME_USAGE, "no transaction has begun");
    scn_abort(home.txn);
    home.txn = NULL;
    return OUTCOME_OK;
}
