/* A store that is written: see outfile.h. */
#include "tools/walcheck/outfile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_same_file(struct sys *sys, const char *a, const char *b)
{
    struct sys_stat one;
    struct sys_stat other;
    return sys->ops->stat_path(sys, a, &one) == 0 &&
           sys->ops->stat_path(sys, b, &other) == 0 && one.device == other.device &&
           one.inode == other.inode;
}

static enum outcome check_name(struct sys *sys, const char *path, const char *source,
                               bool is_forced)
{
    struct sys_stat stat;
    int error = sys->ops->stat_path(sys, path, &stat);
    if (error == -ENOENT)
        return OUTCOME_OK;
    if (error != 0)
        return outcome_say(OUTCOME_IO, "%s: %s", path, strerror(-error));
    if (is_same_file(sys, path, source))
        return outcome_say(OUTCOME_USAGE, "%s is the file that is to be salvaged", path);
    if (!stat.is_regular)
        return outcome_say(OUTCOME_IO, "%s is no regular file", path);
    return is_forced
               ? OUTCOME_OK
               : outcome_say(OUTCOME_IO, "%s exists; --force replaces it", path);
}

static enum outcome open_working(struct outfile *outfile)
{
    scn_options options;
    size_t size = strlen(outfile->target.temporary) + 16;
    outfile->working = malloc(size);
    if (outfile->working == NULL)
        outcome_no_memory();
    snprintf(outfile->working, size, "%s.store", outfile->target.temporary);
    scn_options_init(&options);
    options.flags = SCN_EXCLUSIVE;
    options.durability = SCN_SYNC_LAZY;
    scn_status st = scn_open(outfile->working, &options, &outfile->db);
    return st == SCN_OK ? OUTCOME_OK : outcome_of_store(NULL, outfile->working, st);
}

static enum outcome finish(struct outfile *outfile, enum outcome outcome)
{
    if (outcome == OUTCOME_OK)
        outcome = target_put(&outfile->target, outfile->working);
    if (outcome != OUTCOME_OK)
        (void)unlink(outfile->working);
    outcome = target_close(&outfile->target, outcome);
    free(outfile->working);
    *outfile = (struct outfile){.db = NULL};
    return outcome;
}

enum outcome outfile_open(struct outfile *outfile, struct sys *sys, const char *path,
                          const char *source, bool is_forced)
{
    *outfile = (struct outfile){.db = NULL};
    enum outcome outcome = check_name(sys, path, source, is_forced);
    if (outcome == OUTCOME_OK)
        outcome = target_open(&outfile->target, path, is_forced, &source, 1);
    if (outcome != OUTCOME_OK)
        return outcome;
    outcome = open_working(outfile);
    return outcome == OUTCOME_OK ? OUTCOME_OK : finish(outfile, outcome);
}

enum outcome outfile_close(struct outfile *outfile, bool is_whole)
{
    scn_status st = scn_close(outfile->db);
    if (!is_whole) {
        (void)finish(outfile, OUTCOME_INTERRUPTED);
        return OUTCOME_OK;
    }
    return finish(outfile, st == SCN_OK
                               ? OUTCOME_OK
                               : outcome_of_store(NULL, outfile->working, st));
}
