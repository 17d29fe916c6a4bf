/* Where an error gets its sentence: see status.h.
 *
 * The last error is kept per thread, because a status travels up through callers that
 * know nothing of each other, and because a failed open has no handle that could keep
 * it.  It is written only when something fails, so the good path never touches it. */
#include "page/status.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local struct scn_error last_error = {.struct_size = sizeof last_error};

static void append_errno(int sys_errno)
{
    size_t len = strlen(last_error.text);
    snprintf(last_error.text + len, sizeof last_error.text - len, ": %s",
             strerror(sys_errno));
}

static scn_status store(scn_status st, int sys_errno, const char *format, va_list args)
{
    ASSERT(st != SCN_OK);
    ASSERT(sys_errno >= 0);
    last_error = (struct scn_error){
        .struct_size = sizeof last_error,
        .status = st,
        .sys_errno = sys_errno,
    };
    vsnprintf(last_error.text, sizeof last_error.text, format, args);
    if (sys_errno != 0)
        append_errno(sys_errno);
    return st;
}

scn_status error_set(scn_status st, int sys_errno, uint64_t pgno, uint64_t off,
                     const char *format, ...)
{
    va_list args;
    va_start(args, format);
    store(st, sys_errno < 0 ? -sys_errno : sys_errno, format, args);
    va_end(args);
    last_error.page = pgno;
    last_error.offset = off;
    return st;
}

scn_status error_corrupt(uint64_t pgno, uint64_t off, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    store(SCN_CORRUPT, 0, format, args);
    va_end(args);
    last_error.page = pgno;
    last_error.offset = off;
    return SCN_CORRUPT;
}

static scn_status status_of_errno(int sys_errno)
{
    switch (sys_errno) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return SCN_FULL;
    case ENOMEM:
        return SCN_NOMEM;
    case EACCES:
    case EPERM:
    case EROFS:
        return SCN_READONLY;
    default:
        return SCN_IO;
    }
}

scn_status error_sys(int sys_errno, uint64_t off, const char *format, ...)
{
    if (sys_errno < 0)
        sys_errno = -sys_errno;
    va_list args;
    va_start(args, format);
    scn_status st = store(status_of_errno(sys_errno), sys_errno, format, args);
    va_end(args);
    last_error.offset = off;
    return st;
}

scn_status error_busy(uint32_t pid, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    store(SCN_BUSY, 0, format, args);
    va_end(args);
    last_error.pid = pid;
    return SCN_BUSY;
}

scn_status error_misuse(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    store(SCN_MISUSE, 0, format, args);
    va_end(args);
    return SCN_MISUSE;
}

scn_status error_nomem(void)
{
    return error_set(SCN_NOMEM, 0, 0, 0, "no memory");
}

const struct scn_error *error_last(void)
{
    return &last_error;
}

scn_status error_again(scn_status st, const char *what)
{
    if (st == SCN_OK || last_error.status == st)
        return st;
    return error_set(st, 0, 0, 0, "%s failed before: %s", what, status_text(st));
}

scn_status error_in_doubt(void)
{
    struct scn_error cause = last_error;
    if (cause.status == SCN_UNKNOWN)
        return SCN_UNKNOWN;
    last_error.status = SCN_UNKNOWN;
    snprintf(last_error.text, sizeof last_error.text,
             "the outcome of a commit is not known, look whether it is there: %.180s",
             cause.text);
    return SCN_UNKNOWN;
}

const char *status_text(scn_status st)
{
    switch (st) {
    case SCN_OK: return "done";
    case SCN_NOTFOUND: return "not found";
    case SCN_EXISTS: return "exists already";
    case SCN_END: return "no more entries";
    case SCN_BUSY: return "somebody else holds a lock";
    case SCN_CONFLICT: return "another transaction changed what this one read";
    case SCN_FULL: return "no space left";
    case SCN_POISONED: return "a write or sync failed; the store must be opened again";
    case SCN_CORRUPT: return "the file is damaged";
    case SCN_MOVED: return "the path no longer leads to the open file";
    case SCN_FORKED: return "the handle belongs to the parent process";
    case SCN_NOT_LOCAL: return "the file system does not lock reliably";
    case SCN_VERSION: return "the file was written by a newer version";
    case SCN_SNAPSHOT_GONE: return "the snapshot grew too old";
    case SCN_READONLY: return "not writable";
    case SCN_TOOBIG: return "beyond a size limit";
    case SCN_NOMEM: return "no memory";
    case SCN_IO: return "the system reported an input or output error";
    case SCN_MISUSE: return "the call is not allowed here";
    case SCN_INTERRUPTED: return "stopped by the program";
    case SCN_UNKNOWN: return "the outcome is not known";
    case SCN_NOTADB: return "not a Scrine file";
    default: return "no such status";
    }
}
