/* A store that is written: see outfile.h. */
#include "tools/walcheck/outfile.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_same_file(struct sys *sys, const char *a, const char *b)
{
    struct sys_stat one;
    struct sys_stat other;
    return sys->ops->stat_path(sys, a, &one) == 0 &&
           sys->ops->stat_path(sys, b, &other) == 0 && one.device == other.device &&
           one.inode == other.inode;
}

static enum outcome check_name(const struct outfile *outfile, const char *source)
{
    struct sys_stat stat;
    int error = outfile->sys->ops->stat_path(outfile->sys, outfile->path, &stat);
    if (error == -ENOENT)
        return OUTCOME_OK;
    if (error != 0)
        return outcome_say(OUTCOME_IO, "%s: %s", outfile->path, strerror(-error));
    if (is_same_file(outfile->sys, outfile->path, source))
        return outcome_say(OUTCOME_USAGE, "%s is the file that is to be salvaged",
                           outfile->path);
    if (!stat.is_regular)
        return outcome_say(OUTCOME_IO, "%s is no regular file", outfile->path);
    return outfile->is_forced
               ? OUTCOME_OK
               : outcome_say(OUTCOME_IO, "%s exists; --force replaces it", outfile->path);
}

static enum outcome make_working_name(struct outfile *outfile)
{
    uint64_t random;
    size_t size = strlen(outfile->path) + 32;
    if (outfile->sys->ops->random(outfile->sys, &random, sizeof random) != 0)
        return outcome_say(OUTCOME_IO, "no random numbers from the system");
    outfile->working = malloc(size);
    if (outfile->working == NULL)
        outcome_no_memory();
    snprintf(outfile->working, size, "%s.new-%016" PRIx64, outfile->path, random);
    return OUTCOME_OK;
}

enum outcome outfile_open(struct outfile *outfile, struct sys *sys, const char *path,
                          const char *source, bool is_forced)
{
    scn_options options;
    *outfile = (struct outfile){.sys = sys, .path = path, .is_forced = is_forced};
    enum outcome outcome = check_name(outfile, source);
    if (outcome == OUTCOME_OK)
        outcome = make_working_name(outfile);
    if (outcome != OUTCOME_OK)
        return outcome;
    scn_options_init(&options);
    options.flags = SCN_EXCLUSIVE;
    options.durability = SCN_SYNC_LAZY;
    scn_status st = scn_open(outfile->working, &options, &outfile->db);
    if (st == SCN_OK)
        return OUTCOME_OK;
    outcome = outcome_of_store(NULL, outfile->working, st);
    sys->ops->unlink(sys, outfile->working);
    free(outfile->working);
    return outcome;
}

/* Without force the name is not taken from anybody who came meanwhile. */
static enum outcome give_name(const struct outfile *outfile)
{
    struct sys *sys = outfile->sys;
    int error = outfile->is_forced
                    ? sys->ops->rename(sys, outfile->working, outfile->path)
                    : sys->ops->link(sys, outfile->working, outfile->path);
    if (error == 0)
        error = sys->ops->sync_dir(sys, outfile->path);
    if (error == 0 || error == -EACCES)
        return OUTCOME_OK;
    return outcome_say(OUTCOME_IO, "%s: %s", outfile->path, strerror(-error));
}

enum outcome outfile_close(struct outfile *outfile, bool is_whole)
{
    enum outcome outcome = OUTCOME_OK;
    scn_status st = scn_close(outfile->db);
    if (is_whole && st != SCN_OK)
        outcome = outcome_of_store(NULL, outfile->working, st);
    else if (is_whole)
        outcome = give_name(outfile);
    outfile->sys->ops->unlink(outfile->sys, outfile->working);
    free(outfile->working);
    *outfile = (struct outfile){0};
    return outcome;
}
