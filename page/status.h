/* Statuses inside the library, and the one place where an error gets its sentence.
 *
 * Every fallible function returns scn_status: zero is done, positive is an answer,
 * negative is not done.  Whoever first notices an error calls one of the functions below,
 * which store the sentence for this thread (scn_last_error reads it) and return the
 * status, so that a caller can write
 *     return error_corrupt(pgno, 0, "leaf: slot %u beyond the page", i);
 * Callers above pass the status on and leave the sentence alone: the
 * first error is the one that is reported. */
#ifndef PAGE_STATUS_H
#define PAGE_STATUS_H

#include "include/scrine.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MUST_USE __attribute__((warn_unused_result))
/* On the way of a point read calls would cost as much as what they do. */
#define FLAT inline __attribute__((always_inline))
#define PRINTF_LIKE(nth, first) __attribute__((format(printf, nth, first)))

/* ASSERT is for our own mistakes and is compiled out of release builds. */
#ifdef SCN_ASSERT
#include <assert.h>
#define ASSERT(condition) assert(condition)
#else
#define ASSERT(condition) ((void)0)
#endif

/* Any status; page and offset are zero where they say nothing.  Wherever a system error
 * number is given, its own words are appended, and a negative one (what struct sys_ops
 * returns) is turned round. */
scn_status error_set(scn_status st, int sys_errno, uint64_t pgno, uint64_t off,
                     const char *format, ...) PRINTF_LIKE(5, 6);
/* A bad byte on disk. */
scn_status error_corrupt(uint64_t pgno, uint64_t off, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* A failed system call: ENOSPC, EDQUOT and EFBIG become SCN_FULL, ENOMEM SCN_NOMEM,
 * EACCES, EPERM and EROFS SCN_READONLY, all else SCN_IO. */
scn_status error_sys(int sys_errno, uint64_t off, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* Somebody else holds a lock; pid 0 when the system does not tell who. */
scn_status error_busy(uint32_t pid, const char *format, ...) PRINTF_LIKE(2, 3);
/* The caller's mistake. */
scn_status error_misuse(const char *format, ...) PRINTF_LIKE(1, 2);
scn_status error_nomem(void);

/* What this thread's last failed call said. */
const struct scn_error *error_last(void);
/* A failure that sticks is answered again: the error stays what it is where it is still
 * the last one, else what met it is named. Returns st. */
scn_status error_again(scn_status st, const char *what);
/* What this thread's last failed call said, of a commit that may be there all the same.
 * Returns SCN_UNKNOWN. */
scn_status error_in_doubt(void);
/* The english name of a status: scn_strerror. */
const char *status_text(scn_status st);

#endif
