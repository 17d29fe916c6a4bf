/* The store that a command works on: opened, read in one snapshot, closed. */
#ifndef TOOLS_HANDLE_H
#define TOOLS_HANDLE_H

#include "tools/outcome.h"
#include "tools/text.h"

/* Zeroed is closed. */
struct handle {
    const char *path;
    scn_db *db;
    scn_txn *txn; /* the snapshot; NULL until handle_read */
    bool is_lent; /* of the shell: it stays open */
    enum outcome warning; /* what handle_close returns when all else went well */
};

/* Memory for pages of who reads everything once: more would only have to be filled. */
#define HANDLE_POOL_ONCE (UINT64_C(32) << 20)

/* flags as for scn_open; the store of the shell (tools/home.h) is not opened again.
 * Otherwise than OUTCOME_OK: said why, nothing to close. */
enum outcome handle_open(struct handle *handle, const char *path, uint32_t flags);
/* The same with so much memory for pages; 0: as usual. */
enum outcome handle_open_with(struct handle *handle, const char *path, uint32_t flags,
                              uint64_t pool_bytes);
/* For a command that only reads: never creates, never changes a byte.  Of a file whose
 * log is damaged it reads what is left, but says so and will end with OUTCOME_CORRUPT:
 * nobody is to take a part for the whole.  Of one that is in use and poisoned it only
 * says so: what can be seen is all there. */
enum outcome handle_open_to_read(struct handle *handle, const char *path);
enum outcome handle_open_to_read_with(struct handle *handle, const char *path,
                                      uint32_t flags, uint64_t pool_bytes);
/* Begins the snapshot. */
enum outcome handle_read(struct handle *handle);
/* Begins the snapshot and finds a table in it.  OUTCOME_FINDINGS: there is none of
 * that name, said so. */
enum outcome handle_read_table(struct handle *handle, const char *name,
                               scn_table_id *table);
/* Says what the library said about a failed call. */
enum outcome handle_fail(const struct handle *handle, scn_status st);
/* As scn_update; in the shell's transaction, where one was begun: then what fn has done
 * is taken back where it fails. */
scn_status handle_update(struct handle *handle, scn_status (*fn)(scn_txn *txn, void *ctx),
                         void *ctx);
/* As scn_check of all the file, with progress; ^C ends it where it is watched for. */
scn_status handle_check(struct handle *handle,
                        scn_status (*fn)(void *ctx, const scn_issue *issue), void *ctx,
                        uint64_t *issues);
/* Says that the table holds no such key. */
enum outcome handle_no_key(const struct handle *handle, const char *table,
                           const char *key);
/* Ends snapshot and store.  The outcome given is kept unless it is OUTCOME_OK and
 * closing fails. */
enum outcome handle_close(struct handle *handle, enum outcome outcome);

#endif
