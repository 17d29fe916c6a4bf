/* Files that come into being as a whole: see target.h. */
#include "tools/target.h"
#include "tools/interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TRIES = 100 };
#define TEMPORARY ".part-"

/* ---- signals ---- */

/* What a signal that ends the program removes: of each target two names. */
static struct {
    char *volatile temporary;
    char *volatile companion;
} doomed[TARGETS_MAX];

static void remove_doomed(void)
{
    for (int i = 0; i < TARGETS_MAX; i++)
        if (doomed[i].temporary) {
            (void)unlink(doomed[i].temporary);
            (void)unlink(doomed[i].companion);
        }
}

static void remove_and_die(int signal_no)
{
    remove_doomed();
    (void)signal(signal_no, SIG_DFL);
    (void)raise(signal_no);
}

static void watch(void)
{
    static const int signals[] = {SIGTERM, SIGHUP, SIGXCPU, SIGXFSZ};
    bool is_empty = true;
    for (int i = 0; i < TARGETS_MAX; i++)
        is_empty &= doomed[i].temporary == NULL;
    struct sigaction action = {.sa_handler = is_empty ? SIG_DFL : remove_and_die};
    struct sigaction before;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        if (sigaction(signals[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            (void)sigaction(signals[i], &action, NULL);
    interrupt_at_end(is_empty ? NULL : remove_doomed);
}

static int place_of(const char *temporary)
{
    int i = 0;
    while (i < TARGETS_MAX - 1 && doomed[i].temporary != temporary)
        i++;
    return i;
}

static void doom(const struct target *target)
{
    int i = place_of(NULL);
    doomed[i].companion = target->companion;
    doomed[i].temporary = target->temporary;
    watch();
}

/* Its names are no more. */
static void forget(struct target *target)
{
    if (target->temporary) {
        doomed[place_of(target->temporary)].temporary = NULL;
        watch();
    }
    free(target->temporary);
    free(target->companion);
    target->temporary = target->companion = NULL;
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

/* Calls fn for the files whose names go on after this one with a text. */
static void each_that_begins(const char *name, const char *text, void (*fn)(const char *))
{
    char pattern[PATH_MAX];
    glob_t found;
    size_t len = 0;
    /* The pattern of a part of a name would fit others'. */
    if (strlen(name) >= sizeof pattern / 2 - strlen(TEMPORARY))
        return;
    for (const char *at = name; *at; at++) {
        if (strchr("*?[\\", *at))
            pattern[len++] = '\\';
        pattern[len++] = *at;
    }
    snprintf(pattern + len, sizeof pattern - len, "%s*", text);
    if (glob(pattern, 0, NULL, &found) != 0)
        return;
    for (size_t i = 0; i < found.gl_pathc; i++)
        fn(found.gl_pathv[i]);
    globfree(&found);
}

static void remove_file(const char *name)
{
    (void)unlink(name);
}

static void remove_companions(const char *temporary)
{
    each_that_begins(temporary, ".", remove_file);
}

/* The name leads to the file of the descriptor, which is nobody else's from now on: also
 * where files cannot be locked, and leftovers stay. */
static bool is_taken(int fd, const char *name)
{
    struct stat there;
    bool is_mine = flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
    return is_mine && fstat(fd, &there) == 0 && is_same_file(name, &there);
}

/* Whoever had it was killed if nobody has it locked. */
static void remove_leftover(const char *name)
{
    struct stat there;
    const char *number = strrchr(name, '-') + 1;
    if (number[strspn(number, "0123456789")])
        return;
    int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &there) == 0 &&
        S_ISREG(there.st_mode) && is_same_file(name, &there)) {
        remove_companions(name);
        (void)unlink(name);
    }
    close(fd);
}

/* A new file of that name, locked.  -1: why, in errno; EEXIST: somebody else has it. */
static int take_name(const char *name, mode_t mode)
{
    int fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0 || is_taken(fd, name))
        return fd;
    close(fd);
    errno = EEXIST; /* it was taken for a leftover */
    return -1;
}

/* A number behind the name is enough for who writes beside others. */
static void name_files(struct target *target, int number)
{
    size_t size = strlen(target->path) + 32;
    if (target->temporary == NULL)
        target->temporary = malloc(size);
    if (target->companion == NULL)
        target->companion = malloc(size);
    if (target->temporary == NULL || target->companion == NULL)
        outcome_no_memory();
    snprintf(target->temporary, size, "%s" TEMPORARY "%d", target->path, number);
    snprintf(target->companion, size, "%s.store", target->temporary);
}

/* A signal comes before the file is there, or when it is known. */
static void take_some_name(struct target *target, mode_t mode)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, &before);
    for (int i = 0; i < TRIES; i++) {
        name_files(target, i);
        target->fd = take_name(target->temporary, mode);
        if (target->fd >= 0 || errno != EEXIST)
            break;
    }
    int error = errno;
    if (target->fd >= 0)
        doom(target);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = error;
}

static enum outcome open_temporary(struct target *target, mode_t mode)
{
    take_some_name(target, mode);
    if (target->fd >= 0) {
        remove_companions(target->temporary);
        return OUTCOME_OK;
    }
    enum outcome outcome = fail(target, "cannot be created");
    free(target->temporary);
    free(target->companion);
    *target = (struct target){.fd = -1};
    return outcome;
}

enum outcome target_open(struct target *target, const char *path, bool force,
                         const char *const *kept, int kept_count)
{
    *target = (struct target){.path = path, .fd = -1, .may_replace = force};
    if (path[0] == '\0')
        return outcome_say(OUTCOME_USAGE, "the name of a file is not empty");
    if (strcmp(path, "-") == 0) {
        if (isatty(STDOUT_FILENO))
            return outcome_say(OUTCOME_USAGE, "a snapshot is not written to a terminal");
        target->fd = STDOUT_FILENO;
        return OUTCOME_OK;
    }
    each_that_begins(path, TEMPORARY, remove_leftover);
    enum outcome outcome = check_name(target, kept, kept_count);
    return outcome == OUTCOME_OK ? open_temporary(target, mode_like(kept[0])) : outcome;
}

/* ---- after ---- */

enum outcome target_put(struct target *target)
{
    int fd = open(target->companion, O_RDWR | O_CLOEXEC);
    if (fd < 0 || !is_taken(fd, target->companion) ||
        rename(target->companion, target->temporary) < 0) {
        enum outcome outcome = fail(target, "cannot be put together");
        if (fd >= 0)
            close(fd);
        return outcome;
    }
    (void)close(target->fd);
    target->fd = fd;
    return OUTCOME_OK;
}

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
    const char *from = target->temporary;
    if (target->may_replace)
        return rename(from, target->path);
    if (renameat2(AT_FDCWD, from, AT_FDCWD, target->path, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -1;
    if (link(from, target->path) == 0)
        return unlink(from);
    if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS)
        return -1;
    return rename(from, target->path); /* no links here */
}

static enum outcome finish(struct target *target)
{
    if (fsync(target->fd) < 0)
        return fail(target, "cannot be synced");
    if (give_name(target) < 0)
        return errno == EEXIST ? outcome_say(OUTCOME_USAGE, "%s is there meanwhile",
                                             target->path)
                               : fail(target, "cannot get its name");
    forget(target);
    return sync_folder(target->path) < 0 ? fail(target, "its folder cannot be synced")
                                         : OUTCOME_OK;
}

enum outcome target_close(struct target *target, enum outcome outcome)
{
    if (target->temporary && outcome == OUTCOME_OK)
        outcome = finish(target);
    if (target->temporary) {
        (void)unlink(target->companion);
        (void)unlink(target->temporary);
    }
    forget(target);
    if (target->fd > STDERR_FILENO && close(target->fd) < 0 && outcome == OUTCOME_OK)
        outcome = fail(target, "cannot be written");
    *target = (struct target){.fd = -1};
    return outcome;
}
