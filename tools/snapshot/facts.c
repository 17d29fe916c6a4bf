/* What a file is: see facts.h. */
#include "tools/snapshot/facts.h"
#include "tools/fingerprint.h"
#include "tools/interrupt.h"
#include "tools/member.h"
#include "tools/progress.h"
#include "tools/snapshot/card.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_input(const char *path)
{
    return strcmp(path, "-") == 0;
}

const char *facts_name(const char *path)
{
    return is_input(path) ? "standard input" : path;
}

int facts_open(const char *path, enum outcome *outcome)
{
    if (is_input(path) && isatty(STDIN_FILENO)) {
        *outcome =
            outcome_say(OUTCOME_USAGE, "a snapshot is not read from a terminal");
        return -1;
    }
    int fd = is_input(path) ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1)
                            : open(path, O_RDONLY | O_CLOEXEC);
    *outcome = fd >= 0            ? OUTCOME_OK
               : interrupt_seen() ? OUTCOME_INTERRUPTED
                                  : outcome_say(OUTCOME_IO, "%s: %s", facts_name(path),
                                                strerror(errno));
    return fd;
}

static scn_status add_table(void *ctx, const scn_snapshot_table *table)
{
    json_t *tables = ctx;
    member_append(tables, card_table_json(table));
    return SCN_OK;
}

static enum outcome read_tables(struct facts *facts, struct handle *handle)
{
    facts->tables = member_must(json_array());
    scn_status st = scn_snapshot_tables(handle->db, add_table, facts->tables);
    return st < 0 ? handle_fail(handle, st) : OUTCOME_OK;
}

enum outcome facts_of_store(struct facts *facts, struct handle *handle,
                            bool wants_tables, bool is_quiet)
{
    scn_stats_t stats = {.struct_size = sizeof stats};
    *facts = (struct facts){.info = {.struct_size = sizeof facts->info}};
    scn_status st = scn_snapshot_origin(handle->db, &facts->info);
    if (st == SCN_NOTFOUND && is_quiet)
        return OUTCOME_FINDINGS;
    if (st == SCN_NOTFOUND)
        return outcome_say(OUTCOME_FINDINGS, "%s: a store, but no snapshot of one",
                           handle->path);
    if (st == SCN_OK)
        st = scn_stats(handle->db, &stats);
    if (st < 0)
        return handle_fail(handle, st);
    facts->info.bytes = stats.file_bytes;
    return wants_tables ? read_tables(facts, handle) : OUTCOME_OK;
}

static enum outcome read_store(struct facts *facts, const char *path, bool wants_tables,
                               bool is_quiet)
{
    struct handle handle;
    scn_db *db = NULL;
    if (is_quiet) {
        scn_options options;
        scn_options_init(&options);
        options.flags |= SCN_RDONLY | SCN_NOCREATE;
        scn_status st = scn_open(path, &options, &db);
        if (st == SCN_OK)
            st = scn_close(db);
        if (st == SCN_NOTADB)
            return OUTCOME_FOREIGN;
    }
    enum outcome outcome = handle_open_to_read(&handle, path);
    if (outcome != OUTCOME_OK)
        return outcome;
    return handle_close(&handle,
                        facts_of_store(facts, &handle, wants_tables, is_quiet));
}

enum outcome facts_read(struct facts *facts, const char *path, bool wants_tables,
                        bool is_quiet)
{
    enum outcome outcome;
    struct progress progress;
    scn_snapshot_options options = {.struct_size = sizeof options};
    *facts = (struct facts){.info = {.struct_size = sizeof facts->info}};
    int fd = facts_open(path, &outcome);
    if (fd < 0)
        return outcome;
    options.hooks = progress_hooks(&progress);
    scn_status st = scn_snapshot_verify(fd, &options, &facts->info);
    progress_end(&progress);
    close(fd);
    if (st == SCN_NOTADB && is_input(path))
        return outcome_say(OUTCOME_FOREIGN, "standard input holds no increment; a full "
                                            "snapshot has to be a file");
    if (st == SCN_NOTADB)
        return read_store(facts, path, wants_tables, is_quiet);
    return st == SCN_OK ? OUTCOME_OK : outcome_of_store(NULL, facts_name(path), st);
}

enum outcome facts_compare(const struct facts *facts, struct handle *handle)
{
    struct fingerprints prints = {0};
    enum outcome outcome = fingerprints_read(&prints, handle, NULL);
    bool is_same =
        memcmp(prints.digest, facts->info.digest, sizeof prints.digest) == 0;
    fingerprints_free(&prints);
    if (handle->txn)
        scn_abort(handle->txn);
    handle->txn = NULL;
    if (outcome == OUTCOME_OK && !is_same)
        return outcome_say(OUTCOME_FINDINGS,
                           "%s: its rows are not those of the snapshot: it has been "
                           "changed since",
                           handle->path);
    return outcome;
}
