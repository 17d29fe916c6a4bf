/* Holders of locks, from /proc.
 *
 * An OFD lock belongs to an open file description and not to a process, so the kernel
 * answers -1 where F_OFD_GETLK would name the holder.  But /proc/<pid>/fdinfo/<fd> lists
 * the locks of the description behind that descriptor:
 *     lock:  1: OFDLCK ADVISORY  WRITE -1 fe:00:10960948 4611686018427387909 ...909
 * (first and last byte; EOF for a last byte without end).  So each descriptor of each
 * process is looked at.  That takes milliseconds, which is why nobody asks who does not
 * have to tell a human.
 *
 * The device in that line is the file system's, which is not the one that fstat tells
 * where a file system has several (btrfs, overlays).  So a lock of the right byte counts
 * when the path /proc/<pid>/fd/<fd>, which leads to the open file whatever its name,
 * leads to ours.  The line comes first: its byte is one that hardly any other program
 * locks, and to ask a file may wait for a server that is gone.
 *
 * A process may end while it is looked at; then its files are not there, and no more is
 * said.  A child between vfork and exec shares descriptions with its parent and may be
 * named in its place. */
#include "page/sys_proc.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PATH_BYTES = 64, /* "/proc/<pid>/fdinfo/<fd>" */
    /* Some 200 locks.  They come in the order of their bytes, so those that people ask
     * for are among them. */
    TEXT_BYTES = 16384
};

struct wanted {
    struct stat file;
    uint64_t byte;
    int own_fd;
};

/* ---- one line ---- */

static bool has_byte(const char *first, const char *last, uint64_t byte)
{
    bool is_endless = strcmp(last, "EOF") == 0;
    return strtoull(first, NULL, 10) <= byte &&
           (is_endless || byte <= strtoull(last, NULL, 10));
}

/* Locks of flock() have no bytes and leases are no locks, though both are listed. */
static bool is_lock_of(const char *line, uint64_t byte)
{
    char kind[8] = "";
    char first[24] = "";
    char last[24] = "";
    if (sscanf(line, "lock:%*d: %7s %*s %*s %*s %*s %23s %23s", kind, first, last) != 3)
        return false;
    bool is_of_bytes = strcmp(kind, "OFDLCK") == 0 || strcmp(kind, "POSIX") == 0;
    return is_of_bytes && has_byte(first, last, byte);
}

/* ---- one descriptor ---- */

/* As much as fits, with an end; nothing when it cannot be read. */
static void read_text(const char *path, char *text, size_t size)
{
    size_t done = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && done < size - 1) {
        ssize_t count = read(fd, text + done, size - 1 - done);
        if (count <= 0)
            break;
        done += (size_t)count;
    }
    if (fd >= 0)
        (void)close(fd);
    text[done] = '\0';
}

static bool lists_lock(const char *pid, const char *fd, uint64_t byte)
{
    char path[PATH_BYTES];
    char text[TEXT_BYTES];
    (void)snprintf(path, sizeof path, "/proc/%.16s/fdinfo/%.16s", pid, fd);
    read_text(path, text, sizeof text);
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (is_lock_of(line, byte))
            return true;
    }
    return false;
}

static bool leads_to(const char *pid, const char *fd, const struct stat *file)
{
    char path[PATH_BYTES];
    struct stat found;
    (void)snprintf(path, sizeof path, "/proc/%.16s/fd/%.16s", pid, fd);
    return stat(path, &found) == 0 && found.st_dev == file->st_dev &&
           found.st_ino == file->st_ino;
}

/* ---- one process ---- */

/* "." and ".." give 0. */
static uint32_t number_of(const char *name)
{
    return (uint32_t)strtoul(name, NULL, 10);
}

static bool is_own(const struct wanted *wanted, const char *pid, const char *fd)
{
    return number_of(pid) == (uint32_t)getpid() &&
           number_of(fd) == (uint32_t)wanted->own_fd;
}

static bool is_holder(const struct wanted *wanted, const char *pid)
{
    char path[PATH_BYTES];
    bool is_found = false;
    (void)snprintf(path, sizeof path, "/proc/%.16s/fdinfo", pid);
    DIR *folder = opendir(path);
    if (!folder)
        return false;
    for (struct dirent *entry; !is_found && (entry = readdir(folder));) {
        const char *fd = entry->d_name;
        if (fd[0] != '.' && !is_own(wanted, pid, fd))
            is_found = lists_lock(pid, fd, wanted->byte) &&
                       leads_to(pid, fd, &wanted->file);
    }
    (void)closedir(folder);
    return is_found;
}

/* A program may give itself any name: what a terminal would obey is not passed on. */
static void read_name(const char *pid, char program[SYS_PROGRAM_BYTES])
{
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "/proc/%.16s/comm", pid);
    read_text(path, program, SYS_PROGRAM_BYTES);
    program[strcspn(program, "\n")] = '\0';
    for (char *c = program; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 127)
            *c = '?';
    if (program[0] == '\0')
        (void)snprintf(program, SYS_PROGRAM_BYTES, "?");
}

void sys_proc_holder(int fd, uint64_t byte, uint32_t nth, uint32_t *pid,
                     char program[SYS_PROGRAM_BYTES])
{
    struct wanted wanted = {.byte = byte, .own_fd = fd};
    *pid = 0;
    program[0] = '\0';
    DIR *folder = fstat(fd, &wanted.file) == 0 ? opendir("/proc") : NULL;
    if (!folder)
        return;
    for (struct dirent *entry; *pid == 0 && (entry = readdir(folder));) {
        uint32_t number = number_of(entry->d_name);
        if (number == 0 || !is_holder(&wanted, entry->d_name) || nth-- > 0)
            continue;
        read_name(entry->d_name, program);
        *pid = number;
    }
    (void)closedir(folder);
}
