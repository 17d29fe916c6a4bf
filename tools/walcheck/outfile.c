/* A store that is written: see outfile.h. */
#include "tools/walcheck/outfile.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

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

/* A signal waits for it: the library makes the file under a name that it makes up. */
static enum outcome open_store(struct outfile *outfile)
{
    scn_options options;
    sigset_t all;
    sigset_t before;
    scn_options_init(&options);
    options.flags = SCN_EXCLUSIVE;
    options.durability = SCN_SYNC_LAZY;
    sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, &before);
    scn_status st = scn_open(outfile->target.companion, &options, &outfile->db);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return st == SCN_OK ? OUTCOME_OK
                        : outcome_of_store(NULL, outfile->target.path, st);
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
    outcome = open_store(outfile);
    return outcome == OUTCOME_OK ? OUTCOME_OK : target_close(&outfile->target, outcome);
}

enum outcome outfile_close(struct outfile *outfile, bool is_whole)
{
    scn_status st = scn_close(outfile->db);
    outfile->db = NULL;
    if (!is_whole) {
        (void)target_close(&outfile->target, OUTCOME_INTERRUPTED);
        return OUTCOME_OK;
    }
    enum outcome outcome = st == SCN_OK
                               ? target_put(&outfile->target)
                               : outcome_of_store(NULL, outfile->target.path, st);
    return target_close(&outfile->target, outcome);
}
