/* A store that is written: see outfile.h. */
#include "tools/walcheck/outfile.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

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

enum outcome outfile_open(struct outfile *outfile, const char *path, const char *source,
                          bool is_forced)
{
    *outfile = (struct outfile){.db = NULL};
    if (strcmp(path, "-") == 0)
        return outcome_say(OUTCOME_USAGE, "a salvage writes a file, not standard output");
    enum outcome outcome = target_open(&outfile->target, path, is_forced, &source, 1);
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
