/* What belongs to the library and to no store: its version, its statuses, its memory, a
 * hash.
 */
#include "engine/store.h"

#include "page/hash.h"
#include "page/mem.h"

#include <string.h>

#define LIBRARY_VERSION "0.1.0"

const char *scn_version(void)
{
    return LIBRARY_VERSION;
}

const char *scn_strerror(scn_status st)
{
    return status_text(st);
}

/* The same work, begun anew, may succeed without anybody changing anything.  UNKNOWN is
 * not among them: the work may have been done. */
int scn_is_retryable(scn_status st)
{
    switch (st) {
    case SCN_BUSY:
    case SCN_CONFLICT:
    case SCN_SNAPSHOT_GONE:
    case SCN_INTERRUPTED:
        return 1;
    default:
        return 0;
    }
}

/* Errors are kept per thread, so the handle says nothing more. */
void scn_last_error(const scn_db *db, scn_error *out)
{
    (void)db;
    if (out == NULL || out->struct_size < sizeof out->struct_size)
        return;
    struct scn_error error = *error_last();
    error.struct_size = out->struct_size;
    memcpy(out, &error,
           out->struct_size < sizeof error ? out->struct_size : sizeof error);
}

scn_status scn_set_allocator(void *(*alloc)(void *, size_t),
                             void (*dealloc)(void *, void *), void *user)
{
    return mem_set_allocator(alloc, dealloc, user);
}

void scn_hash128(const void *data, size_t size, uint8_t out[16])
{
    hash128(size ? data : "", size, out);
}
