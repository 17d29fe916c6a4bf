/* Files that come into being as a whole: see target.h. */
#include "tools/snapshot/target.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TRIES = 100 };

enum { DOOMED_MAX = 2 }; /* a restore: the copy, and what comes of it */

/* What a signal that ends the program removes. */
static char *volatile doomed[DOOMED_MAX];
static volatile sig_atomic_t doomed_count;

static void remove_and_die(int signal_no)
{
    for (int i = 0; i < doomed_count; i++)
        (void)unlink(doomed[i]);
    (void)signal(signal_no, SIG_DFL);
    (void)raise(signal_no);
}

static void handle_signals(void (*handler)(int))
{
    static const int signals[] = {SIGTERM, SIGHUP, SIGXCPU, SIGXFSZ};
    struct sigaction action = {.sa_handler = handler};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        (void)sigaction(signals[i], &action, NULL);
}

static void watch(char *temporary)
{
    doomed[doomed_count] = temporary;
    doomed_count = doomed_count + 1;
    handle_signals(remove_and_die);
}

/* The one that was watched last. */
static void unwatch(void)
{
    doomed_count = doomed_count - 1;
    if (doomed_count == 0)
        handle_signals(SIG_DFL);
}

static enum outcome fail(const struct target *target, const char *what)
{
    return outcome_say(OUTCOME_IO, "%s: %s: %s", target->path, what, strerror(errno));
}

/* ---- before ---- */

static bool is_same_file(const char *path, const struct stat *there)
{
    struct stat found;
    return stat(path, &found) == 0 && found.st_dev == there->st_dev &&
           found.st_ino == there->st_ino;
}

static enum outcome check_name(const struct target *target, const char *const *kept,
                               int kept_count)
{
    struct stat there;
    if (lstat(target->path, &there) < 0)
        return errno == ENOENT ? OUTCOME_OK : fail(target, "cannot be looked at");
    if (S_ISLNK(there.st_mode) && stat(target->path, &there) < 0)
        return outcome_say(OUTCOME_USAGE, "%s is a link that leads nowhere",
                           target->path);
    for (int i = 0; i < kept_count; i++)
        if (is_same_file(kept[i], &there))
            return outcome_say(OUTCOME_USAGE, "%s is one of the files that are read",
                               target->path);
    if (!S_ISREG(there.st_mode))
        return outcome_say(OUTCOME_USAGE, "%s is there, and no file", target->path);
    return target->may_replace
               ? OUTCOME_OK
               : outcome_say(OUTCOME_USAGE, "%s is there already; --force replaces it",
                             target->path);
}

/* No more people than may read what it is made from may read it. */
static mode_t mode_like(const char *path)
{
    struct stat found;
    return stat(path, &found) == 0 ? (found.st_mode & 0666) | 0600 : 0600;
}

static enum outcome open_temporary(struct target *target, mode_t mode)
{
    size_t size = strlen(target->path) + 48;
    target->temporary = malloc(size);
    if (target->temporary == NULL)
        outcome_no_memory();
    for (int i = 0; i < TRIES; i++) {
        snprintf(target->temporary, size, "%s.part-%ld-%d", target->path,
                 (long)getpid(), i);
        target->fd = open(target->temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode);
        if (target->fd >= 0 || errno != EEXIST)
            break;
    }
    if (target->fd >= 0) {
        watch(target->temporary);
        return OUTCOME_OK;
    }
    enum outcome outcome = fail(target, "cannot be created");
    free(target->temporary);
    target->temporary = NULL;
    return outcome;
}

enum outcome target_open(struct target *target, const char *path, bool force,
                         const char *const *kept, int kept_count)
{
    *target = (struct target){.path = path, .fd = -1, .may_replace = force};
    if (strcmp(path, "-") == 0) {
        if (isatty(STDOUT_FILENO))
            return outcome_say(OUTCOME_USAGE, "a snapshot is not written to a terminal");
        target->fd = STDOUT_FILENO;
        return OUTCOME_OK;
    }
    enum outcome outcome = check_name(target, kept, kept_count);
    return outcome == OUTCOME_OK ? open_temporary(target, mode_like(kept[0])) : outcome;
}

/* ---- after ---- */

static int sync_folder(const char *path)
{
    char folder[4096];
    const char *slash = strrchr(path, '/');
    size_t len = slash ? (size_t)(slash - path) : 0;
    if (len >= sizeof folder)
        return -1;
    snprintf(folder, sizeof folder, "%.*s", slash && len == 0 ? 1 : (int)len,
             slash ? path : ".");
    int fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno == EACCES ? 0 : -1; /* a folder that may not be read */
    int result = fsync(fd);
    int error = errno;
    close(fd);
    errno = error;
    return result < 0 && errno != EINVAL ? -1 : 0;
}

/* Without force nothing that has come meanwhile is replaced. */
static int give_name(const struct target *target)
{
    if (target->may_replace)
        return rename(target->temporary, target->path);
    if (link(target->temporary, target->path) == 0)
        return unlink(target->temporary);
    if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS)
        return -1;
    return rename(target->temporary, target->path); /* no links here */
}

static enum outcome finish(struct target *target)
{
    if (fsync(target->fd) < 0)
        return fail(target, "cannot be synced");
    int closed = close(target->fd);
    target->fd = -1;
    if (closed < 0)
        return fail(target, "cannot be written");
    if (give_name(target) < 0)
        return errno == EEXIST ? outcome_say(OUTCOME_USAGE, "%s is there meanwhile",
                                             target->path)
                               : fail(target, "cannot get its name");
    return sync_folder(target->path) < 0 ? fail(target, "its folder cannot be synced")
                                         : OUTCOME_OK;
}

enum outcome target_close(struct target *target, enum outcome outcome)
{
    if (target->temporary && outcome == OUTCOME_OK)
        outcome = finish(target);
    if (target->temporary) {
        (void)unlink(target->temporary); /* or it has its name, and is not there */
        unwatch();
    }
    if (target->fd > STDERR_FILENO)
        (void)close(target->fd);
    free(target->temporary);
    *target = (struct target){.fd = -1};
    return outcome;
}
